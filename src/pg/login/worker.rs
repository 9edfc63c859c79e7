//! The background worker that changes the tables of logins, in transactions of its own: so a
//! login outlives a ROLLBACK of who asked for it, and no cancelled statement loses a token that
//! awork has already replaced.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use awork_api::credentials::oauth::{Endpoint, Failure, Fate, Tokens};
use awork_api::credentials::{AccessToken, Secret};
use awork_api::error::{Error, ErrorKind};
use jiff::Timestamp;
use pgrx::PgTryBuilder;
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::lock::{Lock, Of};
use super::order::{Order, Outcome, Reply, Segment, Task};
use super::store::{self, Place, Requested, Row, Stored};
use crate::pg::wait::{Event, block_on, pause};

/// How often a worker is asked for where all places are taken, 50 ms apart.
const TRIES: u32 = 100;

/// The longest that a token is waited for: so long may stopping the database server be held up.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(30);

/// Has a worker carry out an order, and waits for it; false where there was nothing to be done.
/// Where the wait is interrupted, the worker goes on.
pub(super) fn run(order: &Order) -> Result<bool, Error> {
    // Whoever has to wait for another one does it here, where it can be interrupted, and not in a
    // worker, of which there are few.
    let _asking = Lock::take(Of::Asking, order.place(), true);
    loop {
        // There may be a worker whose session is gone.
        drop(Lock::take(Of::Changing, order.place(), true));
        match run_worker(order)? {
            Outcome::Busy => pause(Duration::from_millis(1), Event::Login),
            outcome => return Ok(outcome == Outcome::Changed),
        }
    }
}

fn run_worker(order: &Order) -> Reply {
    let segment = Segment::with(order)?;
    // SAFETY: variables of the process.
    let (database, pid) = unsafe { (pg_sys::MyDatabaseId, pg_sys::MyProcPid) };
    let worker = || {
        BackgroundWorkerBuilder::new("awork_fdw login")
            .set_library("$libdir/awork_fdw")
            .set_function("awork_fdw_login_worker")
            .set_argument(Some(pg_sys::Datum::from(segment.handle() as usize)))
            .set_extra(&database.to_u32().to_string())
            .set_notify_pid(pid)
            .enable_spi_access()
            .load_dynamic()
    };
    let mut tries = 0;
    let worker = loop {
        match worker() {
            Ok(worker) => break worker,
            Err(_) if tries < TRIES => pause(Duration::from_millis(50), Event::Login),
            Err(_) => {
                return Err(Error::new(
                    ErrorKind::NoResources,
                    "could not start a background worker for a login",
                )
                .hint("All places of the setting max_worker_processes are taken."));
            }
        }
        tries += 1;
    };
    // It waits for this process's latch, and looks for interrupts (bgworker.c).
    let _ = worker.wait_for_shutdown();
    segment.replied()
}

/// The worker's beginning. The argument is the handle of the segment with its order.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn awork_fdw_login_worker(argument: pg_sys::Datum) {
    // SAFETY: the handler does what one may do.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(terminate));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(terminate));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    let database: u32 = BackgroundWorker::get_extra().parse().unwrap_or_default();
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(pg_sys::Oid::from(database)), None);
    let handle = argument.value() as pg_sys::dsm_handle;
    let Some(segment) = BackgroundWorker::transaction(|| Segment::of(handle)) else { return };
    // SAFETY: settings of the process.
    unsafe {
        // A token that is stored must be there after a crash, however the database is set.
        let local = pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_LOCAL_FLUSH as i32;
        pg_sys::synchronous_commit = pg_sys::synchronous_commit.max(local);
        // The session that waits may itself hold what is waited for.
        pg_sys::LockTimeout = 10_000;
    }
    let mut schema = None;
    let carried_out = AssertUnwindSafe(|| {
        let order = segment.order()?;
        schema = Some(order.place().schema);
        carry_out(&order)
    });
    let reply = PgTryBuilder::new(carried_out)
        .catch_others(|cause| {
            // SAFETY: the error came from within a transaction, or there is none to abort.
            unsafe { pg_sys::AbortCurrentTransaction() };
            Err(caught(&cause))
        })
        .execute();
    let outcome = segment.reply(&reply).and_then(|()| {
        let Some(schema) = schema else { return Ok(()) };
        change(move || store::sweep::<Requested>(schema).and(store::sweep::<Stored>(schema)))
    });
    // The mapping stays to the end of the process.
    std::mem::forget(segment);
    if let Err(error) = outcome {
        crate::error::raise(error);
    }
}

/// Ends the process where it next looks for interrupts, as `die` (postgres.c) does; and not within
/// what must not be interrupted.
unsafe extern "C-unwind" fn terminate(_signal: i32) {
    // SAFETY: flags of the process, and its own latch.
    unsafe {
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
        (&raw mut pg_sys::ProcDiePending).write_volatile(1);
        pg_sys::SetLatch(pg_sys::MyLatch);
    }
}

fn caught(cause: &CaughtError) -> Error {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = cause;
    Error::new(ErrorKind::Internal, report.message())
}

fn carry_out(order: &Order) -> Reply {
    let place = order.place();
    let lock = BackgroundWorker::transaction(|| Lock::take_for_process(Of::Changing, place));
    let Some(lock) = lock else { return Ok(Outcome::Busy) };
    let outcome = match &order.task {
        Task::Request { state, verifier, redirect_uri } => {
            let requested = Requested {
                api_url: order.settings()?.1,
                client_id: order.application()?.id,
                state: Secret::new("state", state)?,
                verifier: Secret::new("verifier", verifier)?,
                redirect_uri: redirect_uri.clone(),
                requested: Timestamp::now(),
            };
            put(place, requested).map(|()| Outcome::Changed)
        }
        Task::Exchange { code, state, seed } => {
            exchange(order, Secret::new("code", code)?, state, secret(seed.as_deref())?)
        }
        Task::Refresh { refused, seed } => {
            refresh(order, refused.as_deref(), secret(seed.as_deref())?)
        }
        Task::LogOut => {
            let was_there = change(move || {
                store::remove::<Requested>(place).and(store::remove::<Stored>(place))
            });
            was_there.map(|was| if was { Outcome::Changed } else { Outcome::Unchanged })
        }
    };
    drop(lock);
    outcome
}

fn secret(seed: Option<&str>) -> Result<Option<Secret>, Error> {
    seed.map(|seed| Secret::new("refresh token", seed)).transpose()
}

/// Redeems a code. A code is good once, and awork may end the login of one that comes twice: so
/// what was requested is looked up here, where nobody else does the same.
fn exchange(order: &Order, code: Secret, state: &str, seed: Option<Secret>) -> Reply {
    let place = order.place();
    let requested = BackgroundWorker::transaction(move || store::find::<Requested>(place))?;
    let requested = requested.filter(|requested| requested.state.reveal() == state);
    let Some(Requested { verifier, redirect_uri, .. }) = requested else {
        return Err(Error::new(
            ErrorKind::NoCredential,
            "the login has been completed, or another one has been begun",
        ));
    };
    let uninterrupted = Uninterrupted::begin();
    let tokens = ask(order, async move |endpoint: Endpoint<'_>| {
        endpoint.exchange(&redirect_uri, &code, &verifier).await
    });
    let stored = new_login(order, tokens.map_err(|failure| failure.error)?, seed)?;
    change(move || store::put(place, &stored).and(store::remove::<Requested>(place)))?;
    drop(uninterrupted);
    Ok(Outcome::Changed)
}

fn new_login(order: &Order, tokens: Tokens, seed: Option<Secret>) -> Result<Stored, Error> {
    Ok(Stored {
        login: uuid::Uuid::new_v4(),
        api_url: order.settings()?.1,
        client_id: order.application()?.id,
        logged_in: tokens.access.issued,
        access: tokens.access,
        refresh: tokens.refresh,
        refresh_began: None,
        seed,
    })
}

/// Gets another access token than the refused one.
fn refresh(order: &Order, refused: Option<&str>, seed: Option<Secret>) -> Reply {
    let place = order.place();
    let (application, (_, api_url)) = (order.application()?, order.settings()?);
    let before = BackgroundWorker::transaction(move || store::find::<Stored>(place))?;
    let before = before.filter(|b| b.belongs_to(&api_url, &application, seed.as_ref()));
    match (before, seed) {
        (Some(before), _) if refused != Some(before.access.token.reveal()) => {
            Ok(Outcome::Unchanged)
        }
        (Some(before), _) => refresh_again(order, before),
        // A mapping that was given another refresh token begins another login with it.
        (None, Some(seed)) => refresh_first(order, seed),
        (None, None) => Err(login_again()),
    }
}

/// Begins a login with the refresh token of the user mapping.
fn refresh_first(order: &Order, seed: Secret) -> Reply {
    let (place, sent) = (order.place(), seed.clone());
    let uninterrupted = Uninterrupted::begin();
    let outcome = ask(order, async move |endpoint: Endpoint<'_>| endpoint.refresh(&sent).await);
    let (tokens, reply) = match outcome {
        Ok(tokens) => (tokens, Ok(Outcome::Changed)),
        Err(Failure { error, fate: Fate::Refused }) => {
            // Kept as a login that has ended, so that it is not sent again with every statement.
            let now = Timestamp::now();
            let token = Secret::new("token", "none")?;
            let access = AccessToken { token, issued: now, expires: Some(now) };
            (Tokens { access, refresh: None }, Err(error))
        }
        Err(Failure { error, .. }) => return Err(error),
    };
    put(place, new_login(order, tokens, Some(seed))?)?;
    drop(uninterrupted);
    reply
}

/// Goes on with a login. A refresh token is good once: before it is sent, the table says so, and
/// only a complete answer takes that back.
fn refresh_again(order: &Order, before: Stored) -> Reply {
    let place = order.place();
    let Some(sent) = before.refresh.clone() else { return Err(login_again()) };
    let was_interrupted = before.refresh_began.is_some();
    put(place, Stored { refresh_began: Some(Timestamp::now()), ..before.clone() })?;
    let uninterrupted = Uninterrupted::begin();
    let outcome = ask(order, async move |endpoint: Endpoint<'_>| endpoint.refresh(&sent).await);
    let (after, reply) = match outcome {
        Ok(Tokens { access, refresh }) => {
            let refresh = refresh.or(before.refresh.clone());
            (Stored { access, refresh, refresh_began: None, ..before }, Ok(Outcome::Changed))
        }
        Err(Failure { error, fate: Fate::Refused }) => {
            let error = match was_interrupted {
                true => error.detail(
                    "An earlier refresh was interrupted after it was sent, so that the token \
                     which awork gave in its place was lost.",
                ),
                false => error,
            };
            (Stored { refresh: None, refresh_began: None, ..before }, Err(error))
        }
        Err(Failure { error, fate: Fate::Unused }) => (before, Err(error)),
        Err(Failure { error, fate: Fate::Unknown }) => {
            return Err(error.detail(
                "It is not known whether awork has replaced the refresh token. \
                 The next statement tries it once more.",
            ));
        }
    };
    put(place, after)?;
    drop(uninterrupted);
    reply
}

/// There is nothing with which to get another access token.
pub(super) fn login_again() -> Error {
    Error::new(ErrorKind::Unauthorized, "the login to awork has ended")
        .hint("awork_fdw_login_url gives the address to log in again.")
}

/// Speaks to the token endpoint. Nothing interrupts the wait but the death of the postmaster, which
/// is a crash: the server cannot start again before all of its processes are gone.
fn ask(
    order: &Order,
    exchange: impl AsyncFnOnce(Endpoint<'_>) -> Result<Tokens, Failure> + Send + 'static,
) -> Result<Tokens, Failure> {
    let (application, (mut settings, _)) = (order.application()?, order.settings()?);
    settings.request_timeout = settings.request_timeout.min(LONGEST_EXCHANGE);
    // What a library does here has to stay in one thread.
    let exchange =
        move || Handle::current().block_on(exchange(Endpoint::new(&settings, &application)));
    block_on(async {
        spawn_blocking(exchange).await.map_err(|_| {
            Error::new(ErrorKind::Internal, "a thread for requests stopped unexpectedly")
        })
    })?
}

fn put<R: Row + 'static>(place: Place, row: R) -> Result<(), Error> {
    change(move || store::put(place, &row))
}

fn change<R>(body: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    BackgroundWorker::transaction(AssertUnwindSafe(body))
}

/// Keeps the process from being ended between a token's being sent and its successor's being
/// stored (`HOLD_INTERRUPTS`, miscadmin.h).
struct Uninterrupted;

impl Uninterrupted {
    fn begin() -> Self {
        // SAFETY: a counter of the process.
        unsafe { pg_sys::InterruptHoldoffCount += 1 };
        Self
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // SAFETY: a counter of the process, which an error has reset.
        unsafe {
            if !std::thread::panicking() {
                pg_sys::InterruptHoldoffCount -= 1;
            }
        }
    }
}
