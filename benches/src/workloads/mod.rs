//! The workloads, a file each. A workload measures the wrapper and the limit in turns, since the
//! machine is not as fast at all times, and tells the report.

mod append;
mod dashboard;
mod join;
mod one_request;
mod rate_limit;
mod scan;

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use clap::ValueEnum;

use crate::cluster::Cluster;
use crate::plain::Task;
use crate::process::Cost;
use crate::report::Report;
use crate::sandbox::Sandbox;

/// What the workloads run on, and how much of it.
pub(crate) struct Stage {
    /// The sandbox's program.
    pub(crate) sandbox: PathBuf,
    pub(crate) cluster: Cluster,
    /// A cluster that preloads the library, where there is one.
    pub(crate) preloaded: Option<Cluster>,
    /// Time entries of the usual sandbox; the small one has a tenth, the large one ten times.
    pub(crate) scale: usize,
    /// Milliseconds that the sandbox waits.
    pub(crate) latency_ms: u64,
    /// Pages in flight, of both contenders.
    pub(crate) concurrency: usize,
    /// How often each is measured; long workloads are measured less often.
    pub(crate) runs: usize,
    /// Leaves the large sandbox out.
    pub(crate) quick: bool,
    /// Reads the large sandbox under the rate limit as well.
    pub(crate) full: bool,
}

/// The workloads by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Full scans of three sizes, with and without latency; all columns and two of them.
    Scan,
    /// Queries that one request answers, in a warm session and first in a fresh one.
    OneRequest,
    /// A full scan under an enforced rate limit.
    RateLimit,
    /// Five sessions with the same query four times, and the cache on.
    Dashboard,
    /// A nested loop of projects and their members.
    Join,
    /// Three scans in one query, of one server and of several.
    Append,
}

impl Workload {
    /// Measures; what cannot be measured is in the report too.
    pub(crate) fn measure(self, stage: &Stage, report: &mut Report) {
        let outcome = match self {
            Workload::Scan => scan::measure(stage, report),
            Workload::OneRequest => one_request::measure(stage, report),
            Workload::RateLimit => rate_limit::measure(stage, report),
            Workload::Dashboard => dashboard::measure(stage, report),
            Workload::Join => join::measure(stage, report),
            Workload::Append => append::measure(stage, report),
        };
        if let Err(error) = outcome {
            report.failed(&format!("{self:?}"), describe(&*error));
        }
    }
}

impl Stage {
    /// Seconds that the sandbox waits.
    fn latency(&self) -> f64 {
        self.latency_ms as f64 / 1000.0
    }

    /// A sandbox with so many time entries and the usual latency.
    fn sandbox(&self, scale: usize) -> Result<Sandbox, Box<dyn Error>> {
        let sandbox = Sandbox::of_scale(&self.sandbox, scale, &[])?;
        sandbox.set_latency(self.latency_ms)?;
        Ok(sandbox)
    }

    /// Runs the plain program in a process of its own, so that its memory is its own too.
    fn plain(&self, task: &Task, url: &str) -> Result<Cost, Box<dyn Error>> {
        let output = Command::new(std::env::current_exe()?)
            .args(["plain", "--url", url, "--concurrency", &self.concurrency.to_string()])
            .args(["--task", &serde_json::to_string(task)?])
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// A number of rows in few characters: `100k`.
fn short(rows: usize) -> String {
    match rows {
        _ if rows >= 1_000_000 && rows.is_multiple_of(100_000) => {
            format!("{}M", rows as f64 / 1e6)
        }
        _ if rows >= 1000 && rows.is_multiple_of(100) => format!("{}k", rows as f64 / 1e3),
        _ => rows.to_string(),
    }
}

/// An error with the causes that its text leaves out, on one line.
fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// Both must have read the same.
fn agree(plain: &Cost, ours: &Cost) -> Result<(), Box<dyn Error>> {
    if (plain.rows, plain.checksum) == (ours.rows, ours.checksum) {
        return Ok(());
    }
    Err(format!("the answers differ: {plain:?} and {ours:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_few_characters() {
        let shown = [600, 5000, 10_000, 100_000, 1_000_000, 2_500_000].map(short);
        assert_eq!(shown, ["600", "5k", "10k", "100k", "1M", "2.5M"]);
    }
}
