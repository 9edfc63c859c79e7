//! What a run costs, read from `/proc`.

use std::error::Error;
use std::fs;

use serde::{Deserialize, Serialize};

/// Clock ticks per second in `/proc/PID/stat`; fixed in the interface of Linux.
const TICKS: f64 = 100.0;

/// The cost of reading all rows once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) rows: u64,
    /// The sum of the durations, to see that both read the same.
    pub(crate) checksum: i64,
    /// Seconds from the start to the last row.
    pub(crate) wall: f64,
    /// Seconds of processor time of all threads.
    pub(crate) cpu: f64,
    /// The most memory that the process held, in kB.
    pub(crate) peak_kb: u64,
}

impl Cost {
    /// The run with the median wall time.
    pub(crate) fn median(mut runs: Vec<Cost>) -> Cost {
        runs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
        runs.swap_remove(runs.len() / 2)
    }
}

/// Processor time of a process so far, in seconds.
pub(crate) fn cpu(pid: &str) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may contain spaces; user and system time are fields 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).map(|f| f.parse::<f64>().unwrap_or(0.0)).sum();
    Ok(ticks / TICKS)
}

/// The most memory that a process has held, in kB.
pub(crate) fn peak_kb(pid: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|l| l.starts_with("VmHWM")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
}
