//! Rate limits per workspace: windows of a second and of a minute, shared by all keys.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::config::RateLimit;

/// The requests of the current windows.
#[derive(Debug)]
pub(crate) struct Limits {
    limit: RateLimit,
    enforced: bool,
    windows: Mutex<[Window; 2]>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Instant,
    used: u32,
}

/// What a request is told about the limits.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) refused: bool,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Limits {
    pub(crate) fn new(limit: Option<RateLimit>) -> Limits {
        let now = Window { start: Instant::now(), used: 0 };
        Limits {
            limit: limit.unwrap_or_default(),
            enforced: limit.is_some(),
            windows: Mutex::new([now; 2]),
        }
    }

    /// Counts a request. Without enforcement it is told that nothing is used.
    pub(crate) fn ask(&self) -> Allowance {
        let lengths = [Duration::from_secs(1), Duration::from_secs(60)];
        let limits = [self.limit.per_second, self.limit.per_minute];
        let mut windows = self.windows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let mut left = [0; 2];
        let mut wait = [0; 2];
        let mut refused = false;
        for i in 0..2 {
            let window = &mut windows[i];
            if now.duration_since(window.start) >= lengths[i] {
                *window = Window { start: now, used: 0 };
            }
            if self.enforced {
                refused |= window.used >= limits[i];
            }
            let end = lengths[i].saturating_sub(now.duration_since(window.start));
            wait[i] = end.as_secs_f64().ceil().max(1.0) as u64;
        }
        for i in 0..2 {
            if self.enforced && !refused {
                windows[i].used += 1;
            }
            left[i] = limits[i].saturating_sub(windows[i].used);
        }
        // The generic headers tell of the window that is nearer to its end of requests, and of the
        // one that ends later where both are used up.
        let tight = usize::from((left[1], wait[0]) < (left[0], wait[1]));
        let mut headers = vec![
            ("ratelimit-limit", limits[tight].to_string()),
            ("ratelimit-remaining", left[tight].to_string()),
            ("ratelimit-reset", wait[tight].to_string()),
            ("x-ratelimit-limit-second", limits[0].to_string()),
            ("x-ratelimit-limit-minute", limits[1].to_string()),
            ("x-ratelimit-remaining-second", left[0].to_string()),
            ("x-ratelimit-remaining-minute", left[1].to_string()),
        ];
        if refused && self.limit.retry_after {
            headers.push(("retry-after", wait[tight].to_string()));
        }
        Allowance { refused, headers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_beyond_the_limit() {
        let limit = RateLimit { per_second: 2, per_minute: 100, retry_after: true };
        let limits = Limits::new(Some(limit));
        assert!(!limits.ask().refused);
        assert!(!limits.ask().refused);
        let third = limits.ask();
        assert!(third.refused);
        assert!(third.headers.contains(&("ratelimit-remaining", "0".into())));
        assert!(third.headers.iter().any(|(name, _)| *name == "retry-after"));
    }

    #[test]
    fn counts_nothing_when_off() {
        let limits = Limits::new(None);
        for _ in 0..100 {
            assert!(!limits.ask().refused);
        }
        assert!(limits.ask().headers.contains(&("x-ratelimit-remaining-second", "50".into())));
    }
}
