//! The limit: the least that any program has to do for an answer. It fetches the pages over as
//! many connections as the wrapper, decodes the same columns in one pass with fields borrowed from
//! the body, and adds up. It plans nothing, hands nothing to a server, and does not care for pages
//! that move.

pub(crate) mod lookups;
pub(crate) mod one;
mod rows;
pub(crate) mod scan;

use std::error::Error;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::process::{self, Cost};
pub(crate) use rows::Columns;

/// An error that can leave a task.
type BoxError = Box<dyn Error + Send + Sync>;

/// Rows, and the sum of their durations.
type Sums = Result<(u64, i64), BoxError>;

/// What the plain program does; travels to the process of its own as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Reads all time entries.
    Scan(Columns),
    /// Reads the members of every project, project by project.
    Lookups,
}

/// Runs a task in this process, which should be a fresh one, and tells its cost.
pub(crate) fn run(task: &Task, url: &str, concurrency: usize) -> Result<Cost, Box<dyn Error>> {
    install_tls();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let pid = std::process::id();
    let cpu = process::cpu(pid)?;
    let (started, (rows, checksum)) = runtime
        .block_on(async {
            match task {
                Task::Scan(columns) => {
                    let started = Instant::now();
                    scan::read(url, concurrency, *columns).await.map(|sums| (started, sums))
                }
                Task::Lookups => lookups::read(url, concurrency).await,
            }
        })
        .map_err(|error| error as Box<dyn Error>)?;
    Ok(Cost {
        rows,
        checksum,
        wall: started.elapsed().as_secs_f64(),
        cpu: process::cpu(pid)? - cpu,
        main_cpu: 0.0,
        peak_kb: process::memory_kb(pid, "VmHWM")?,
    })
}

/// Chooses the cryptography of HTTP clients; the first choice stays.
pub(crate) fn install_tls() {
    // Only the first call of a process does anything, and the others say so as an error.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
