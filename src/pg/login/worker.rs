//! The background worker that changes the tables of logins, in transactions of its own: so a
//! login outlives a ROLLBACK of who asked for it, and no cancelled statement loses a token that
//! awork has already replaced.

use std::panic::AssertUnwindSafe;

use awork_api::credentials::Secret;
use awork_api::credentials::oauth::{Endpoint, Failure, Fate, Tokens};
use awork_api::error::{Error, ErrorKind};
use awork_api::runtime::runtime;
use jiff::Timestamp;
use pgrx::PgTryBuilder;
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, SignalWakeFlags};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use super::lock::{Lock, Of};
use super::order::{Order, Reply, Segment, Task};
use super::store::{self, Place, Requested, Stored};
use crate::pg::foreign::settings_of;
use crate::pg::wait::pause;

/// How often a worker is asked for where all places are taken, 50 ms apart.
const TRIES: u32 = 100;

/// The longest that a token is waited for: so long may stopping the database server be held up.
const LONGEST_EXCHANGE: std::time::Duration = std::time::Duration::from_secs(30);

/// Has a worker carry out an order, and waits for it. Where the wait is interrupted, the worker
/// goes on.
pub(super) fn run(order: &Order) -> Reply {
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
            Err(_) if tries < TRIES => pause(std::time::Duration::from_millis(50)),
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
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGTERM);
    let database: u32 = BackgroundWorker::get_extra().parse().unwrap_or_default();
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(pg_sys::Oid::from(database)), None);
    let handle = argument.value() as pg_sys::dsm_handle;
    let Some(segment) = BackgroundWorker::transaction(|| Segment::of(handle)) else { return };
    // A token that is stored must be there after a crash, however the database is set.
    // SAFETY: a setting of the process.
    unsafe {
        let local = pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_LOCAL_FLUSH as i32;
        pg_sys::synchronous_commit = pg_sys::synchronous_commit.max(local);
    }
    let carried_out = AssertUnwindSafe(|| segment.order().and_then(|order| carry_out(&order)));
    let reply = PgTryBuilder::new(carried_out)
        .catch_others(|cause| {
            // SAFETY: the error came from within a transaction, or there is none to abort.
            unsafe { pg_sys::AbortCurrentTransaction() };
            Err(caught(&cause))
        })
        .execute();
    if let Err(error) = segment.reply(&reply) {
        crate::error::raise(error);
    }
    // The mapping stays to the end of the process.
    std::mem::forget(segment);
}

fn caught(cause: &CaughtError) -> Error {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = cause;
    Error::new(ErrorKind::Internal, report.message())
}

fn carry_out(order: &Order) -> Reply {
    let place = order.place();
    let lock = BackgroundWorker::transaction(|| Lock::take(Of::Changing, place, true));
    if !matches!(order.task, Task::Refresh { .. }) {
        change(move || store::remove_orphans(place.schema));
    }
    let outcome = match &order.task {
        Task::Request { state, verifier, redirect_uri } => {
            let requested = Requested {
                api_url: settings_of(&order.options)?.base(1)?,
                client_id: order.application()?.id,
                state: Secret::new("state", state)?,
                verifier: Secret::new("verifier", verifier)?,
                redirect_uri: redirect_uri.clone(),
                requested: Timestamp::now(),
            };
            change(move || store::put(place, &requested));
            Ok(true)
        }
        Task::Exchange { code, verifier, redirect_uri, seed } => {
            exchange(order, place, (code, verifier, redirect_uri), seed_of(seed)?)
        }
        Task::Refresh { refused, seed } => {
            refresh(order, place, refused.as_deref(), seed_of(seed)?)
        }
        Task::LogOut => Ok(change(move || {
            store::remove::<Requested>(place);
            store::remove::<Stored>(place)
        })),
    };
    drop(lock);
    outcome
}

fn exchange(
    order: &Order,
    place: Place,
    (code, verifier, redirect_uri): (&str, &str, &str),
    seed: Option<Secret>,
) -> Reply {
    let (code, verifier) = (Secret::new("code", code)?, Secret::new("verifier", verifier)?);
    let redirect_uri = redirect_uri.to_owned();
    let tokens = ask(order, async move |endpoint: Endpoint<'_>| {
        endpoint.exchange(&redirect_uri, &code, &verifier).await
    });
    let tokens = tokens.map_err(|failure| failure.error)?;
    let stored = new_login(order, tokens, seed)?;
    change(move || {
        store::put(place, &stored);
        store::remove::<Requested>(place);
    });
    Ok(true)
}

fn seed_of(seed: &Option<String>) -> Result<Option<Secret>, Error> {
    seed.as_ref().map(|seed| Secret::new("refresh token", seed)).transpose()
}

fn new_login(order: &Order, tokens: Tokens, seed: Option<Secret>) -> Result<Stored, Error> {
    Ok(Stored {
        login: uuid::Uuid::new_v4(),
        api_url: settings_of(&order.options)?.base(1)?,
        client_id: order.application()?.id,
        logged_in: tokens.access.issued,
        access: tokens.access,
        refresh: tokens.refresh,
        refresh_began: None,
        seed,
    })
}

/// Gets another access token than the refused one. A refresh token is good once: before it is
/// sent, the table says so, and only a complete answer takes that back.
fn refresh(order: &Order, place: Place, refused: Option<&str>, seed: Option<Secret>) -> Reply {
    let before = BackgroundWorker::transaction(move || store::find::<Stored>(place))?;
    let api_url = settings_of(&order.options)?.base(1)?;
    let application = order.application()?;
    // A mapping that was given another refresh token begins another login with it.
    let before = before.filter(|b| b.belongs_to(&api_url, &application, seed.as_ref()));
    let Some(before) = before else {
        let Some(seed) = seed else {
            return Err(Error::new(ErrorKind::Unauthorized, "the login has ended meanwhile"));
        };
        let sent = seed.clone();
        let tokens = ask(order, async move |endpoint: Endpoint<'_>| endpoint.refresh(&sent).await);
        let stored = new_login(order, tokens.map_err(|failure| failure.error)?, Some(seed))?;
        change(move || store::put(place, &stored));
        return Ok(true);
    };
    if refused != Some(before.access.token.reveal()) {
        return Ok(false);
    }
    let Some(sent) = before.refresh.clone() else { return Err(login_again()) };
    let was_interrupted = before.refresh_began.is_some();
    let began = Stored { refresh_began: Some(Timestamp::now()), ..before.clone() };
    change(move || store::put(place, &began));
    let outcome = ask(order, async move |endpoint: Endpoint<'_>| endpoint.refresh(&sent).await);
    let (after, reply) = match outcome {
        Ok(Tokens { access, refresh }) => {
            let refresh = refresh.or(before.refresh.clone());
            (Stored { access, refresh, refresh_began: None, ..before }, Ok(true))
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
            let error = error.detail(
                "It is not known whether awork has replaced the refresh token. \
                 The next statement tries it once more.",
            );
            return Err(error);
        }
    };
    change(move || store::put(place, &after));
    reply
}

/// There is nothing with which to get another access token.
pub(super) fn login_again() -> Error {
    Error::new(ErrorKind::Unauthorized, "the login to awork has ended")
        .hint("awork_fdw_login_url gives the address to log in again.")
}

/// Speaks to the token endpoint. Nothing interrupts that.
fn ask(
    order: &Order,
    exchange: impl AsyncFnOnce(Endpoint<'_>) -> Result<Tokens, Failure>,
) -> Result<Tokens, Failure> {
    if BackgroundWorker::sigterm_received() {
        return Err(
            Error::new(ErrorKind::NoResources, "the database server is shutting down").into()
        );
    }
    let application = order.application()?;
    let mut settings = settings_of(&order.options)?;
    settings.request_timeout = settings.request_timeout.min(LONGEST_EXCHANGE);
    runtime()?.block_on(exchange(Endpoint::new(&settings, &application)))
}

fn change<R>(body: impl FnOnce() -> R) -> R {
    let body = AssertUnwindSafe(body);
    BackgroundWorker::transaction(AssertUnwindSafe(move || {
        let AssertUnwindSafe(body) = body;
        body()
    }))
}
