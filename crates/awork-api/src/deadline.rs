//! When the statement that is running will be cancelled for taking too long. The main thread says
//! so while it waits; the threads that send requests look at it before they wait.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

/// Microseconds since the Unix epoch; 0 for never.
static DEADLINE: AtomicU64 = AtomicU64::new(0);

/// Sets the end of the statement's time; none where it has no limit.
pub fn set(at: Option<SystemTime>) {
    let since = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let micros = since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
    DEADLINE.store(micros, Relaxed);
}

/// How long the statement may still take; none where it has no limit. What is past was the limit of
/// a statement that has ended.
pub fn time_left() -> Option<Duration> {
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(DEADLINE.load(Relaxed));
    at.duration_since(SystemTime::now()).ok()
}

/// Between two looks whether the statement has less time by now.
const STEP: Duration = Duration::from_millis(50);

/// Sleeps; false as soon as it is known that the statement has no time for it.
pub(crate) async fn sleep(wait: Duration) -> bool {
    let end = Instant::now() + wait;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        if time_left().is_some_and(|time_left| time_left < left) {
            return false;
        }
        tokio::time::sleep(left.min(STEP)).await;
    }
}
