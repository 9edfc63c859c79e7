//! A full scan of a workspace that answers 429 beyond 50 requests per second.

use std::error::Error;

use super::{Stage, short};
use crate::plain::Columns;
use crate::report::{Report, Spread};
use crate::sandbox::Sandbox;

const PER_SECOND: f64 = 50.0;
/// So few that the limit of 1000 requests per minute is no bound as well.
const RUNS: usize = 4;

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Box<dyn Error>> {
    scan(stage, report, stage.scale, stage.runs.min(RUNS), &[])?;
    if stage.full {
        // A minute's limit would be the bound, and another one.
        scan(stage, report, stage.scale * 10, 1, &["--per-minute", "1000000"])?;
    }
    Ok(())
}

fn scan(
    stage: &Stage,
    report: &mut Report,
    scale: usize,
    runs: usize,
    flags: &[&str],
) -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::of_scale(&stage.sandbox, scale, &[&["--rate-limit"], flags].concat())?;
    sandbox.set_latency(stage.latency_ms)?;
    stage.cluster.import("bench_limited", &sandbox.url, stage.concurrency, "")?;
    let (mut wall, mut refused, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        sandbox.clear_log()?;
        let mut session = stage.cluster.session("bench_limited")?;
        // The bound is that of the pages; what is asked once per session is not one.
        session.run("SET awork_fdw.warn_not_admin = off")?;
        let cost = session.measure(Columns::Two.query())?;
        let log = sandbox.log()?;
        wall.push(cost.wall);
        requests.push(log.len() as f64);
        let refusals = log.iter().filter(|request| request.status == Some(429)).count();
        refused.push(refusals as f64);
        // The windows of the limit end, so that no run pays for the one before.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let title = |what: &str| format!("{}, 50 requests/s: {what}", short(scale));
    let pages = Spread::exactly(scale.div_ceil(1000) as f64);
    let requests = Spread::of(requests);
    let bound = Spread::exactly(requests.median / PER_SECOND);
    let wall = Spread::of(wall.into_iter().map(|wall| wall - stage.latency()));
    report.compare(&title("wall s less one latency"), wall, bound, 1.05);
    // Pages overlap.
    report.compare(&title("requests"), requests, pages, 1.05);
    let one = Spread::exactly(1.0);
    report.compare(&title("answers 429"), Spread::of(refused).worst(), one, 1.0);
    Ok(())
}
