//! What the requests of this process wait for, as far as it is of use to who watches: the threads
//! that send them say so, and the main thread, which waits for all of them, shows it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What all requests wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// An answer, or none of the others.
    Response,
    /// The rate limit of the workspace.
    RateLimit,
    /// The next try, after a failed one.
    Retry,
}

/// Requests that wait for something.
#[derive(Debug, Default)]
struct Requests {
    responses: AtomicUsize,
    rate_limits: AtomicUsize,
    retries: AtomicUsize,
}

static REQUESTS: Requests = Requests {
    responses: AtomicUsize::new(0),
    rate_limits: AtomicUsize::new(0),
    retries: AtomicUsize::new(0),
};

/// What the requests of this process wait for.
pub fn now() -> Waiting {
    REQUESTS.wait_for()
}

/// Says that a request waits for something, until it is dropped.
pub(crate) fn begin(what: Waiting) -> Waits<'static> {
    REQUESTS.begin(what)
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waits<'r>(&'r AtomicUsize);

impl Requests {
    /// One that is under way tells more than those that are not.
    fn wait_for(&self) -> Waiting {
        let some = |requests: &AtomicUsize| requests.load(Relaxed) > 0;
        match (some(&self.responses), some(&self.rate_limits), some(&self.retries)) {
            (false, true, _) => Waiting::RateLimit,
            (false, false, true) => Waiting::Retry,
            _ => Waiting::Response,
        }
    }

    fn begin(&self, what: Waiting) -> Waits<'_> {
        let requests = match what {
            Waiting::Response => &self.responses,
            Waiting::RateLimit => &self.rate_limits,
            Waiting::Retry => &self.retries,
        };
        requests.fetch_add(1, Relaxed);
        Waits(requests)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_under_way_counts_before_those_that_wait_for_their_turn() {
        let requests = Requests::default();
        assert_eq!(requests.wait_for(), Waiting::Response);
        let retry = requests.begin(Waiting::Retry);
        assert_eq!(requests.wait_for(), Waiting::Retry);
        let limits = [(); 2].map(|()| requests.begin(Waiting::RateLimit));
        assert_eq!(requests.wait_for(), Waiting::RateLimit);
        let response = requests.begin(Waiting::Response);
        assert_eq!(requests.wait_for(), Waiting::Response);
        drop(response);
        assert_eq!(requests.wait_for(), Waiting::RateLimit);
        drop(limits);
        assert_eq!(requests.wait_for(), Waiting::Retry);
        drop(retry);
        assert_eq!(requests.wait_for(), Waiting::Response);
    }
}
