//! Several scans in one query, beside the slowest of them alone. They are so small, 20 pages of
//! 250 rows each, that the processors are not the bound where all run at once.

use std::error::Error;

use super::Stage;
use crate::cluster::Session;
use crate::report::{Report, Spread};
use crate::sandbox::Sandbox;

/// Time entries of a scan.
const ROWS: usize = 5000;
const RUNS: usize = 7;
const OPTIONS: &str = "page_size '250'";

/// Thirds of the year and a half that the sandbox's entries reach back.
const THIRDS: [&str; 3] = [
    "start_date_utc < '2025-10-21'",
    "start_date_utc >= '2025-10-21' AND start_date_utc < '2026-04-19'",
    "start_date_utc >= '2026-04-19'",
];

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let concurrency = stage.concurrency;
    let whole = stage.sandbox(3 * ROWS)?;
    stage.cluster.import("bench_append", &whole.url, concurrency, OPTIONS)?;
    let parts = THIRDS.map(|third| format!("SELECT duration FROM time_entries WHERE {third}"));
    let alone = parts.each_ref().map(|part| sum(part));
    let mut session = stage.cluster.session("bench_append")?;
    let title = "UNION ALL of three scans: wall s";
    compare(report, title, &mut session, &alone, &sum(&parts.join(" UNION ALL ")))?;

    let mut sandboxes = Vec::new();
    for seed in 1..=2 {
        let (scale, seed_text) = (ROWS.to_string(), seed.to_string());
        let flags = ["--scale", scale.as_str(), "--seed", seed_text.as_str()];
        let sandbox = Sandbox::start(&stage.sandbox, &flags)?;
        sandbox.set_latency(stage.latency_ms)?;
        let name = format!("bench_workspace_{seed}");
        stage.cluster.import(&name, &sandbox.url, concurrency, OPTIONS)?;
        sandboxes.push(sandbox);
    }
    let mut session = stage.cluster.session("bench_append")?;
    // Which partition a row belongs to is for us to know, and of no matter here.
    session.run(
        "CREATE TABLE all_entries (id uuid, duration integer) PARTITION BY HASH (id);
         CREATE FOREIGN TABLE entries_1 PARTITION OF all_entries
             FOR VALUES WITH (MODULUS 2, REMAINDER 0)
             SERVER bench_workspace_1 OPTIONS (resource 'time_entries');
         CREATE FOREIGN TABLE entries_2 PARTITION OF all_entries
             FOR VALUES WITH (MODULUS 2, REMAINDER 1)
             SERVER bench_workspace_2 OPTIONS (resource 'time_entries');",
    )?;
    let alone = [1, 2].map(|part| sum(&format!("SELECT duration FROM entries_{part}")));
    let title = "partitions over two workspaces: wall s";
    compare(report, title, &mut session, &alone, &sum("SELECT duration FROM all_entries"))
}

fn sum(rows: &str) -> String {
    format!("SELECT count(*), sum(duration)::bigint FROM ({rows}) t")
}

/// Compares all scans in one query with the slowest alone.
fn compare(
    report: &mut Report,
    title: &str,
    session: &mut Session,
    alone: &[String],
    together: &str,
) -> Result<(), Box<dyn Error>> {
    let mut alone_walls = vec![Vec::new(); alone.len()];
    let mut walls = Vec::new();
    for run in 0..=RUNS {
        let mut sums = (0, 0);
        let mut add = |row: &postgres::Row| -> Result<(i64, i64), postgres::Error> {
            sums = (sums.0 + row.try_get::<_, i64>(0)?, sums.1 + row.try_get::<_, i64>(1)?);
            Ok(sums)
        };
        let mut expected = (0, 0);
        for (sql, walls) in alone.iter().zip(&mut alone_walls) {
            let (wall, row) = session.time(sql)?;
            expected = add(&row)?;
            // The first run opens the connections.
            if run > 0 {
                walls.push(wall);
            }
        }
        let (wall, row) = session.time(together)?;
        let found = (row.try_get(0)?, row.try_get(1)?);
        if found != expected {
            return Err(format!("the answers differ: {expected:?} and {found:?}").into());
        }
        if run > 0 {
            walls.push(wall);
        }
    }
    let slowest = alone_walls.into_iter().map(Spread::of);
    let slowest = slowest.max_by(|a, b| a.median.total_cmp(&b.median)).ok_or("no scan")?;
    report.compare(title, Spread::of(walls), slowest, 1.15);
    Ok(())
}
