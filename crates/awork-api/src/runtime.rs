//! The threads that speak HTTP and decode. They start with the first request of a process and
//! live as long as it does.
//!
//! In a PostgreSQL backend every signal is for the main thread, whose handlers work on its
//! state; so these threads block all signals, and call nothing of PostgreSQL.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::SigSet;
use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ErrorKind};

static RUNTIME: OnceCell<Runtime> = OnceCell::new();

/// The process that started the threads: a fork has the runtime's memory but not its threads.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Enough for a request to go out while an answer is decoded; more would only compete with
/// the other backends.
const WORKERS: usize = 2;

/// The runtime of this process, started at the first call.
pub fn runtime() -> Result<&'static Runtime, Error> {
    let runtime = RUNTIME.get_or_try_init(|| {
        OWNER.store(std::process::id(), Ordering::Relaxed);
        start()
    })?;
    if OWNER.load(Ordering::Relaxed) != std::process::id() {
        return Err(Error::new(
            ErrorKind::Internal,
            "the threads for requests belong to another process",
        ));
    }
    Ok(runtime)
}

fn start() -> Result<Runtime, Error> {
    // New threads inherit the mask of the one that starts them.
    let before = SigSet::all()
        .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)
        .map_err(|e| internal(&format!("could not block signals: {e}")))?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(2)
        .thread_name("awork_fdw")
        .on_thread_start(|| {
            // Name resolution starts threads later, from wherever it is asked for.
            let _ = SigSet::all().thread_block();
        })
        .enable_io()
        .enable_time()
        .build();
    before.thread_set_mask().map_err(|e| internal(&format!("could not unblock signals: {e}")))?;
    runtime.map_err(|e| internal(&format!("could not start threads for requests: {e}")))
}

fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn threads_block_signals_and_the_caller_does_not() {
        let blocked = |signal| SigSet::thread_get_mask().unwrap().contains(signal);
        let caller_before = blocked(Signal::SIGTERM);
        let runtime = runtime().unwrap();
        let worker = runtime.spawn(async move { blocked(Signal::SIGTERM) });
        let pool = runtime.spawn_blocking(move || blocked(Signal::SIGUSR1));
        assert!(runtime.block_on(worker).unwrap());
        assert!(runtime.block_on(pool).unwrap());
        assert_eq!(blocked(Signal::SIGTERM), caller_before);
    }
}
