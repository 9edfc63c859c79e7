//! Waiting for the threads that speak HTTP. The only place where a backend sleeps, save where
//! Append waits for several scans (`async_append`): it wakes for its latch, so that cancelling,
//! terminating and timeouts take effect at once.

use std::future::Future;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime};

use awork_api::credentials::RENEWALS;
use awork_api::deadline;
use awork_api::error::{Error, ErrorKind};
use awork_api::runtime::runtime;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::login;
use crate::error;

/// Microseconds from the Unix epoch to that of PostgreSQL.
pub(super) const EPOCH: i64 = 946_684_800_000_000;

/// A point in time for PostgreSQL, from microseconds of the Unix epoch; none where it has no such.
pub(crate) fn timestamp(unix: u64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(i64::try_from(unix).ok()?.checked_sub(EPOCH)?).ok()
}

/// How often a wait looks for access tokens that are to be renewed, in milliseconds.
const LOOK_FOR_RENEWALS: i64 = 50;

/// Sleeps until `fd` is readable, or for a moment where somebody may ask for another access
/// token. Raises an error where the statement is to end.
pub(super) fn until_readable(fd: RawFd) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_SOCKET_READABLE | pg_sys::WL_EXIT_ON_PM_DEATH;
    let (timed, timeout) = match RENEWALS.is_used() {
        true => (pg_sys::WL_TIMEOUT, LOOK_FOR_RENEWALS),
        false => (0, -1),
    };
    // SAFETY: the latch is this process's own; the descriptor is open as long as its owner,
    // who called. An error that is raised here leaves nothing behind.
    unsafe {
        pgrx::check_for_interrupts!();
        deadline::set(statement_end());
        let woken = pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            (events | timed) as i32,
            fd,
            timeout,
            pg_sys::PG_WAIT_EXTENSION,
        );
        if woken & pg_sys::WL_LATCH_SET as i32 != 0 {
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        // Requests may go on while the next statement is awaited, which has a time of its own.
        deadline::set(None);
        pgrx::check_for_interrupts!();
    }
    login::serve_renewals();
    error::log_requests();
}

/// When `statement_timeout` will end the statement, if it will.
pub(super) fn statement_end() -> Option<SystemTime> {
    // SAFETY: a setting of the session, and a look-up of its state.
    let (timeout, started) =
        unsafe { (pg_sys::StatementTimeout, pg_sys::GetCurrentStatementStartTimestamp()) };
    let timeout = u64::try_from(timeout).ok().filter(|&milliseconds| milliseconds > 0)?;
    let started = Duration::from_micros(u64::try_from(started + EPOCH).ok()?);
    Some(SystemTime::UNIX_EPOCH + started + Duration::from_millis(timeout))
}

/// Sleeps for a time. Raises an error where the statement is to end.
pub(super) fn pause(time: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: the latch is this process's own.
    unsafe {
        pgrx::check_for_interrupts!();
        let milliseconds = time.as_millis() as i64;
        pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        pgrx::check_for_interrupts!();
    }
}

/// Runs a future on the runtime's threads and waits for it. The future ends with the wait.
pub(crate) fn block_on<T: Send + 'static>(
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let internal = |what: &str| Error::new(ErrorKind::Internal, what);
    let (wake, waker) = UnixStream::pair().map_err(|_| internal("could not open a socket pair"))?;
    let (sender, mut outcome) = oneshot::channel();
    let _task = AbortOnDropHandle::new(runtime()?.spawn(async move {
        let _ = sender.send(future.await);
        // Closing one end makes the other readable.
        drop(waker);
    }));
    loop {
        match outcome.try_recv() {
            Ok(outcome) => return outcome,
            Err(oneshot::error::TryRecvError::Empty) => until_readable(wake.as_raw_fd()),
            Err(oneshot::error::TryRecvError::Closed) => {
                return Err(internal("a thread for requests stopped unexpectedly"));
            }
        }
    }
}

/// Raises what a fallible step of a callback returned.
pub(super) fn or_raise<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|e| error::raise(e))
}
