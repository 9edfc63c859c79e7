//! What was sent and received for a server or a table, and what became of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use super::last_error::LastError;
use super::latency::Latency;

/// Figures since some time. Memory that is all zero has none.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Figures {
    /// Running totals.
    pub counters: Counters,
    /// How long requests took, from sending to the last byte of the answer.
    pub latency: Latency,
    /// The last request that was given up, or scan that failed.
    pub last_error: LastError,
    /// Since when, in microseconds of the Unix epoch; 0 where there are none.
    since: AtomicU64,
}

/// Running totals.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Counters {
    /// Requests sent, retries included.
    pub requests: AtomicU64,
    /// Microseconds that they took, from sending to the last byte of the answer.
    pub took: AtomicU64,
    /// Requests that were sent again.
    pub retries: AtomicU64,
    /// Milliseconds between a failed request and the next try.
    pub waited: AtomicU64,
    /// Requests that were refused for their rate.
    pub limited: AtomicU64,
    /// Milliseconds for which requests waited so as to keep within the rate limit.
    pub held_back: AtomicU64,
    /// Requests that were refused for their filter or their order.
    pub refused: AtomicU64,
    /// Requests that were given up: what a user sees as an error.
    pub failures: AtomicU64,
    /// Answers with a page or an object.
    pub pages: AtomicU64,
    /// Rows decoded, rows that came twice included.
    pub rows: AtomicU64,
    /// Bytes of answers, decompressed.
    pub bytes: AtomicU64,
    /// Microseconds that decoding took.
    pub decoding: AtomicU64,
    /// Answers that were taken from the cache.
    pub hits: AtomicU64,
    /// Answers that the cache did not have.
    pub misses: AtomicU64,
    /// The age of the oldest answer that was taken from the cache, in milliseconds.
    pub oldest: AtomicU64,
}

impl Figures {
    /// Counts from now on.
    pub fn begin(&self) {
        let Self { counters, latency, last_error, since } = self;
        counters.clear();
        latency.clear();
        last_error.clear();
        since.store(unix_time(), Relaxed);
    }

    /// Since when these are the figures, in microseconds of the Unix epoch.
    pub fn since(&self) -> Option<u64> {
        Some(self.since.load(Relaxed)).filter(|&since| since > 0)
    }

    /// Takes note of a request that has ended.
    pub fn took(&self, time: Duration) {
        self.latency.note(time);
        self.counters.took.fetch_add(microseconds(time), Relaxed);
    }
}

impl Counters {
    fn clear(&self) {
        let Self {
            requests,
            took,
            retries,
            waited,
            limited,
            held_back,
            refused,
            failures,
            pages,
            rows,
            bytes,
            decoding,
            hits,
            misses,
            oldest,
        } = self;
        let all = [
            requests, took, retries, waited, limited, held_back, refused, failures, pages, rows,
            bytes, decoding, hits, misses, oldest,
        ];
        all.into_iter().for_each(|counter| counter.store(0, Relaxed));
    }
}

/// Microseconds since the Unix epoch.
pub(crate) fn unix_time() -> u64 {
    microseconds(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_again_leaves_nothing() {
        let figures = Figures::default();
        assert_eq!(figures.since(), None);
        figures.begin();
        let shown = |figures: &Figures| format!("{:?} {:?}", figures.counters, figures.latency);
        let new = shown(&figures);
        figures.took(Duration::from_millis(3));
        figures.last_error.note(1, "no");
        figures.counters.oldest.store(1, Relaxed);
        assert_ne!(shown(&figures), new);
        let before = figures.since();
        std::thread::sleep(Duration::from_millis(1));
        figures.begin();
        assert_eq!((shown(&figures), figures.last_error.last()), (new, None));
        assert!(figures.since() > before);
    }
}
