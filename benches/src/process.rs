//! What a process costs, read from the operating system.

use std::error::Error;
use std::fs;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
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
    /// Of these, the seconds of the main thread.
    pub(crate) main_cpu: f64,
    /// The most memory that the process held, in kB.
    pub(crate) peak_kb: u64,
}

/// Processor time of all threads of a process so far, in seconds.
pub(crate) fn cpu(pid: u32) -> Result<f64, Box<dyn Error>> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?))?;
    Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
}

/// Processor time of the main thread of a process so far, in seconds.
pub(crate) fn main_thread_cpu(pid: u32) -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"))?;
    let nanoseconds: f64 = text.split_whitespace().next().ok_or("no schedstat")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// Processor time of all processes that PostgreSQL started for this backend's cluster, this
/// backend and those that have ended included, in seconds.
pub(crate) fn cluster_cpu(backend: u32) -> Result<f64, Box<dyn Error>> {
    let postmaster: u32 = stat(backend, 4)?.parse()?;
    let ended: f64 =
        stat(postmaster, 16)?.parse::<f64>()? + stat(postmaster, 17)?.parse::<f64>()?;
    let processes = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    // A process may end while this looks at it.
    let running = processes
        .filter(|pid| stat(*pid, 4).is_ok_and(|parent| parent == postmaster.to_string()))
        .filter_map(|pid| cpu(pid).ok());
    Ok(ended / TICKS + running.sum::<f64>())
}

/// A field of `/proc/PID/stat` by its number in proc(5), from 3 on.
fn stat(pid: u32, field: usize) -> Result<String, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses is field 2 and may contain spaces.
    let (_, rest) = stat.rsplit_once(')').ok_or("no name")?;
    Ok(rest.split_whitespace().nth(field - 3).ok_or("no such field")?.to_owned())
}

/// A figure of memory in `/proc/PID/status`, in kB: `VmHWM` is the most that was held.
pub(crate) fn memory_kb(pid: u32, figure: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(figure)).ok_or("no such figure")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
}
