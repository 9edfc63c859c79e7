//! When the statement that is running will be cancelled for taking too long. The main thread says
//! so while it waits; the threads that send requests look at it before they wait.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

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
