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
use awork_api::waiting::{self, Waiting};
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

/// How often a wait looks what it waits for, in milliseconds: where that can be shown.
#[cfg(any(feature = "pg17", feature = "pg18"))]
const LOOK_FOR_EVENT: Option<i64> = Some(1000);
#[cfg(not(any(feature = "pg17", feature = "pg18")))]
const LOOK_FOR_EVENT: Option<i64> = None;

/// What a backend waits for, as `pg_stat_activity` shows it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Response,
    RateLimit,
    Retry,
    Login,
}

impl Event {
    /// What the requests of this process wait for.
    fn now() -> Self {
        match waiting::now() {
            Waiting::Response => Event::Response,
            Waiting::RateLimit => Event::RateLimit,
            Waiting::Retry => Event::Retry,
        }
    }

    /// Its number for the server, by which every process knows its name.
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    fn number(self) -> u32 {
        use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
        static NUMBERS: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
        let name = match self {
            Event::Response => c"AworkFdwResponse",
            Event::RateLimit => c"AworkFdwRateLimit",
            Event::Retry => c"AworkFdwRetry",
            Event::Login => c"AworkFdwLogin",
        };
        let number = &NUMBERS[self as usize];
        if number.load(Relaxed) == 0 {
            // SAFETY: the name is copied; a name that is known already keeps its number.
            number.store(unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) }, Relaxed);
        }
        number.load(Relaxed)
    }

    /// Before version 17, an extension has one event.
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    fn number(self) -> u32 {
        pg_sys::PG_WAIT_EXTENSION
    }
}

/// Sleeps until `fd` is readable, or for a moment where somebody may ask for another access
/// token, or what is waited for may change. Raises an error where the statement is to end.
pub(super) fn until_readable(fd: RawFd) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_SOCKET_READABLE | pg_sys::WL_EXIT_ON_PM_DEATH;
    let renewals = RENEWALS.is_used().then_some(LOOK_FOR_RENEWALS);
    let (timed, timeout) = match renewals.or(LOOK_FOR_EVENT) {
        Some(timeout) => (pg_sys::WL_TIMEOUT, timeout),
        None => (0, -1),
    };
    let event = Event::now().number();
    // SAFETY: the latch is this process's own; the descriptor is open as long as its owner,
    // who called. An error that is raised here leaves nothing behind.
    unsafe {
        pgrx::check_for_interrupts!();
        deadline::set(statement_end());
        let woken =
            pg_sys::WaitLatchOrSocket(pg_sys::MyLatch, (events | timed) as i32, fd, timeout, event);
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

/// Sleeps for a time, waiting for something. Raises an error where the statement is to end.
pub(super) fn pause(time: Duration, event: Event) {
    let event = event.number();
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: the latch is this process's own.
    unsafe {
        pgrx::check_for_interrupts!();
        let milliseconds = time.as_millis() as i64;
        pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, milliseconds, event);
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
