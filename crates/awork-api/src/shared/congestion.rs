//! How many requests a workspace stands at a time: fewer after it has refused or failed some or
//! has become slow, and one by one more again while it answers well.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::now;

/// What the requests to a workspace have met with.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Congestion {
    /// By how many requests a window is smaller than it could be, in thousandths.
    less: AtomicU64,
    /// When it was last made smaller, in microseconds.
    reduced_at: AtomicU64,
    /// The shortest time to an answer, in microseconds; 0 where there was none. Grows slowly, so
    /// that it is not for ever what a single request took.
    shortest: AtomicU64,
}

/// A window is not made smaller again before its effect could be seen.
const PAUSE: u64 = 1_000_000;

/// Answers that take so many times as long as they could are slow,
const SLOW: u64 = 4;

/// unless they take less than this all the same.
const QUICK: Duration = Duration::from_millis(1000);

impl Congestion {
    /// Forgets what they have met with.
    pub(super) fn clear(&self) {
        let Self { less, reduced_at, shortest } = self;
        [less, reduced_at, shortest].into_iter().for_each(|number| number.store(0, Relaxed));
    }

    /// Requests that should be in flight, of `most` that may be.
    pub fn window(&self, most: usize) -> usize {
        let less = (self.less.load(Relaxed) / 1000) as usize;
        most.saturating_sub(less).max(1)
    }

    /// A good answer came, its first byte after so long.
    pub fn answered(&self, after: Duration, most: usize) {
        let after_us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX).max(1);
        let shortest = self.shortest.load(Relaxed);
        let next = match shortest {
            0 => after_us,
            shortest if after_us < shortest => after_us,
            shortest => shortest + shortest.div_ceil(1000),
        };
        self.shortest.store(next, Relaxed);
        if shortest > 0 && after > QUICK && after_us > shortest.saturating_mul(SLOW) {
            self.refused(most);
            return;
        }
        // One more after as many good answers as are in flight.
        let step = 1000 / self.window(most) as u64;
        // Always succeeds, since there is always a next value.
        let _ = self.less.fetch_update(Relaxed, Relaxed, |less| Some(less.saturating_sub(step)));
    }

    /// A request failed in a way that says that there are too many: the window is halved.
    pub fn refused(&self, most: usize) {
        let at = now();
        let before = self.reduced_at.load(Relaxed);
        let due = before == 0 || at.saturating_sub(before) > PAUSE;
        if due && self.reduced_at.compare_exchange(before, at, Relaxed, Relaxed).is_ok() {
            let half = self.window(most) / 2;
            self.less.store(most.saturating_sub(half.max(1)) as u64 * 1000, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_once_a_second_and_recovers_one_by_one() {
        let congestion = Congestion::default();
        assert_eq!(congestion.window(8), 8);
        congestion.refused(8);
        congestion.refused(8);
        assert_eq!(congestion.window(8), 4);
        for _ in 0..4 {
            congestion.answered(Duration::from_millis(50), 8);
        }
        assert_eq!(congestion.window(8), 5);
        for _ in 0..40 {
            congestion.answered(Duration::from_millis(50), 8);
        }
        assert_eq!(congestion.window(8), 8);
        assert_eq!(congestion.window(1), 1);
    }

    #[test]
    fn slow_answers_make_the_window_smaller() {
        let congestion = Congestion::default();
        congestion.answered(Duration::from_millis(50), 8);
        congestion.answered(Duration::from_millis(900), 8);
        assert_eq!(congestion.window(8), 8, "still quick enough");
        congestion.answered(Duration::from_millis(1500), 8);
        assert_eq!(congestion.window(8), 4);
    }
}
