//! What is left behind at the end, and the figures of the run.

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

/// Complaints that are printed; there may be many of one cause.
const SHOWN: usize = 20;

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
    for complaint in complaints.iter().take(SHOWN) {
        println!("FAILED {complaint}");
    }
    if complaints.len() > SHOWN {
        println!("FAILED and {} more", complaints.len() - SHOWN);
    }
    println!("soak: {}", if complaints.is_empty() { "all is well" } else { "FAILED" });
    complaints.is_empty()
}
