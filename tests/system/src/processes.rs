//! What a process holds, by /proc.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

/// What a process holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Threads.
    pub threads: usize,
    /// TCP connections, those included that are kept for the next request.
    pub connections: usize,
    /// Other descriptors, but for the files of tables and WAL, which PostgreSQL keeps open as it
    /// likes.
    pub descriptors: usize,
    /// Memory of its own (`RssAnon`) in kB.
    pub memory: usize,
}

/// How many connections to a workspace may be kept: `max_concurrency`.
const KEPT: usize = 4;

impl Held {
    /// Of a process that runs.
    pub fn of(pid: i32) -> Self {
        let of_tables =
            |target: &String| ["/base/", "/global/", "/pg_"].iter().any(|of| target.contains(of));
        let connections = connections();
        let links = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs");
        // What was closed meanwhile has no target.
        let targets = links.flatten().filter_map(|link| fs::read_link(link.path()).ok());
        let targets = targets.map(|target| target.to_string_lossy().into_owned());
        let (connections, others): (Vec<String>, Vec<String>) =
            targets.partition(|target| connections.contains(target));
        Self {
            threads: fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs").count(),
            connections: connections.len(),
            descriptors: others.iter().filter(|target| !of_tables(target)).count(),
            memory: figure(pid, "RssAnon").expect("the process runs"),
        }
    }

    /// Waits for a moment until the process has no more threads and descriptors than before, and
    /// no more connections than it may keep for another workspace; what it has more, if it does
    /// not come to that.
    pub fn beyond(pid: i32, before: Self) -> Option<String> {
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let now = Self::of(pid);
            if now.threads <= before.threads
                && now.descriptors <= before.descriptors
                && now.connections <= before.connections + KEPT
            {
                return None;
            }
            if Instant::now() > deadline {
                return Some(format!("{before:?} became {now:?}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// All TCP connections, as descriptors name them.
fn connections() -> HashSet<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let inode = |line: &str| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?));
    tables.iter().flatten().flat_map(|table| table.lines().filter_map(inode)).collect()
}

/// A figure of `/proc/PID/status`; none where there is no such process.
fn figure(pid: i32, name: &str) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process has ended. One that nobody has waited for has ended, too.
pub fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses.
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// The children of a process.
pub fn children(pid: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").expect("there is a /proc");
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|child| figure(*child, "PPid") == usize::try_from(pid).ok()).collect()
}
