//! What a dashboard does: several sessions ask the same at once, and again. With the library
//! preloaded and the cache on, the pages are fetched once.

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::{Stage, describe};
use crate::cluster::Cluster;
use crate::plain::Columns;
use crate::report::{Report, Spread};
use crate::sandbox::Sandbox;

const SESSIONS: usize = 5;
const REPETITIONS: usize = 4;
/// Each with a sandbox of its own, so that nothing is cached yet.
const RUNS: usize = 2;
const TITLE: &str = "dashboard, 5 sessions × 4: page requests";

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let Some(cluster) = &stage.preloaded else {
        report.failed(TITLE, "not available: no cluster preloads the library");
        return Ok(());
    };
    let (mut one, mut all, mut wall) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let sandbox = stage.sandbox(stage.scale)?;
        stage.cluster.import("bench_dashboard", &sandbox.url, stage.concurrency, "")?;
        stage.cluster.session("bench_dashboard")?.measure(Columns::Thirteen.query())?;
        one.push(requests(&sandbox)?);
        sandbox.clear_log()?;
        let cached = "cache_ttl '60'";
        if let Err(error) = cluster.import("bench", &sandbox.url, stage.concurrency, cached) {
            report.failed(TITLE, format!("not available: {}", describe(&error)));
            return Ok(());
        }
        wall.push(ask(cluster)?);
        all.push(requests(&sandbox)?);
    }
    report.compare(TITLE, Spread::of(all).worst(), Spread::of(one), 1.0);
    report.figure("dashboard, 5 sessions × 4: wall s", Some(Spread::of(wall)), None);
    Ok(())
}

/// Requests for pages of time entries.
fn requests(sandbox: &Sandbox) -> Result<f64, Box<dyn Error>> {
    let log = sandbox.log()?;
    Ok(log.iter().filter(|request| request.path.ends_with("/timeentries")).count() as f64)
}

/// All sessions at once, each the same query several times; returns the seconds that they took.
fn ask(cluster: &Cluster) -> Result<f64, Box<dyn Error>> {
    let start = Barrier::new(SESSIONS + 1);
    thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| {
                scope.spawn(|| {
                    let session = cluster.session("bench").map_err(|error| describe(&*error));
                    start.wait();
                    let mut session = session?;
                    for _ in 0..REPETITIONS {
                        let answer = session.time(Columns::Thirteen.query());
                        answer.map_err(|error| describe(&error))?;
                    }
                    Ok(())
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        for session in sessions {
            let outcome: Result<(), String> =
                session.join().unwrap_or_else(|_| Err("a session's thread panicked".to_owned()));
            outcome?;
        }
        Ok(started.elapsed().as_secs_f64())
    })
}
