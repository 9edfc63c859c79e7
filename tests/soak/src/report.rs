//! What is left behind at the end, and the figures of the run.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::Sandbox;
use postgres::Client;

use crate::faults::History;
use crate::figures::Record;
use crate::session::Failure;
use crate::verdict::Tally;

/// How long what ends may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Complaints of one kind that are printed.
const SHOWN: usize = 3;

/// Background workers of the extension.
const WORKERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE '%awork%'";

/// Complains of requests and background workers that are still there though all sessions are
/// idle.
pub(crate) fn left_behind(
    sandbox: &Sandbox,
    superuser: &Mutex<Client>,
) -> Result<Vec<String>, Failure> {
    let mut superuser = superuser.lock().expect("no thread panics with it");
    let since = Instant::now();
    loop {
        let running = sandbox.running();
        let workers: i64 = superuser.query_one(WORKERS, &[])?.get(0);
        println!("left behind: {} requests, {workers} background workers", running.len());
        if running.is_empty() && workers == 0 {
            return Ok(Vec::new());
        }
        if since.elapsed() > PATIENCE {
            let mut complaints: Vec<String> =
                running.iter().map(|entry| format!("a request goes on: {entry:?}")).collect();
            if workers > 0 {
                complaints.push(format!("{workers} background workers are left"));
            }
            return Ok(complaints);
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// Prints the figures, and says whether all is well.
pub(crate) fn print(
    tally: &Tally,
    records: &[Record],
    history: &History,
    sandbox: &Sandbox,
    run: Duration,
) -> bool {
    let statements: u64 = tally.statements.values().sum();
    let errors: u64 = tally.errors.values().sum();
    println!("{statements} statements:");
    tally.statements.iter().for_each(|(way, count)| println!("  {count:>8}  {way}"));
    println!(
        "{} gave the right rows, {} fewer rows with a warning, {errors} an error:",
        tally.right, tally.told
    );
    for (code, count) in &tally.errors {
        let code = if code.is_empty() { "connection closed" } else { code };
        println!("  {count:>8}  {code}");
    }
    let (requests, met) = (sandbox.requests(), sandbox.faults_met());
    println!(
        "{} rows, {requests} requests, {met} of them with a fault ({:.1} %), {} sessions, {} logins",
        tally.rows,
        100.0 * met as f64 / requests.max(1) as f64,
        tally.sessions,
        tally.logins
    );
    let faults: Vec<String> =
        history.counts().iter().map(|(name, count)| format!("{name} {count}")).collect();
    println!("faults: {}", faults.join(", "));

    println!("after a quarter of the run, and at its end:");
    println!(
        "  {:<28} {:>15} {:>15} {:>15} {:>9} {:>11} {:>9}",
        "", "VmRSS kB", "RssAnon kB", "VmHWM kB", "threads", "descriptors", "files"
    );
    let mut complaints = tally.complaints.clone();
    for record in records {
        let Some(change) = record.change(run) else {
            complaints.push(format!("{}: too few samples", record.name));
            continue;
        };
        let (warm, last) = (change.warm, change.last);
        let pair = |a: u64, b: u64| format!("{a} {b}");
        println!(
            "  {:<28} {:>15} {:>15} {:>15} {:>9} {:>11} {:>9}",
            record.name,
            pair(warm.resident, last.resident),
            pair(warm.own, last.own),
            pair(warm.highest, last.highest),
            pair(warm.threads, last.threads),
            pair(warm.descriptors, last.descriptors),
            pair(warm.files, last.files),
        );
        let grown = change.complaints();
        complaints.extend(grown.into_iter().map(|what| format!("{} {what}", record.name)));
    }
    for alike in kinds(&complaints) {
        println!("FAILED {} times, so for example:", alike.len());
        alike.iter().take(SHOWN).for_each(|complaint| println!("  {complaint}"));
    }
    println!("soak: {}", if complaints.is_empty() { "all is well" } else { "FAILED" });
    complaints.is_empty()
}

/// The complaints by kind, the most frequent first: those are alike whose second line, or else
/// first, begins alike but for numbers.
fn kinds(complaints: &[String]) -> Vec<Vec<&str>> {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for complaint in complaints {
        let line = complaint.lines().nth(1).or(complaint.lines().next()).unwrap_or_default();
        let key = line.chars().filter(|c| !c.is_ascii_digit()).take(40).collect();
        kinds.entry(key).or_default().push(complaint);
    }
    let mut kinds: Vec<Vec<&str>> = kinds.into_values().collect();
    kinds.sort_by_key(|alike| std::cmp::Reverse(alike.len()));
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_a_kind_are_together() {
        let complaint = |line: &str| format!("plain: SELECT 1\n    gave {line}");
        let complaints = [complaint("3 rows"), complaint("HV00M"), complaint("12 rows")];
        let kinds: Vec<usize> = kinds(&complaints).iter().map(Vec::len).collect();
        assert_eq!(kinds, [2, 1]);
    }
}
