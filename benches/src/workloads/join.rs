//! A nested loop whose inner side is a lookup: the members of each of 1000 projects.

use std::error::Error;

use super::Stage;
use crate::plain::Task;
use crate::process::Cost;
use crate::report::{Report, Spread};
use crate::sandbox::Sandbox;

/// The time entries of a sandbox with 1000 projects.
const SCALE: usize = 250_000;
const RUNS: usize = 3;

/// A form of the join.
struct Join {
    name: &'static str,
    /// What is set for it.
    settings: &'static str,
    sql: &'static str,
}

const JOINS: [Join; 3] = [
    // The members are within the projects, too, so that it need not look them up.
    Join {
        name: "as planned",
        settings: "ALTER FOREIGN TABLE project_members OPTIONS (SET fan_out 'on')",
        sql: "SELECT count(*) FROM projects p JOIN project_members m ON m.project_id = p.id",
    },
    Join {
        name: "inner, by lookups",
        settings: "ALTER FOREIGN TABLE project_members OPTIONS (SET fan_out 'off')",
        sql: "SELECT count(*) FROM projects p JOIN project_members m ON m.project_id = p.id",
    },
    Join {
        name: "left, by lookups",
        settings: "ALTER FOREIGN TABLE project_members OPTIONS (SET fan_out 'off')",
        sql: "SELECT count(m.project_id)
              FROM projects p LEFT JOIN project_members m ON m.project_id = p.id",
    },
];

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let sandbox = stage.sandbox(SCALE)?;
    stage.cluster.import("bench_join", &sandbox.url, stage.concurrency, "")?;
    stage
        .cluster
        .session("bench_join")?
        .run("ALTER FOREIGN TABLE project_members OPTIONS (ADD fan_out 'on')")?;
    let mut plain = Vec::new();
    let mut ours: [Vec<(f64, usize)>; JOINS.len()] = Default::default();
    for _ in 0..RUNS {
        let limit = stage.plain(&Task::Lookups, &sandbox.url)?;
        for (join, runs) in JOINS.iter().zip(&mut ours) {
            // One lookup after the other, three times, would take minutes and tell no more.
            if runs.first().is_none_or(|(wall, _)| *wall < 3.0 * limit.wall) {
                runs.push(run(stage, &sandbox, join, &limit)?);
            }
        }
        plain.push(limit);
    }
    let projects = plain[0].checksum;
    let bound = projects as f64 / stage.concurrency as f64 * stage.latency();
    let title = |what: &str| format!("{projects} projects join members, {what}");
    let limit = Spread::of(plain.iter().map(|cost| cost.wall));
    report.figure(&title("plain lookups: wall s"), None, Some(limit));
    for (join, runs) in JOINS.iter().zip(ours) {
        let wall = Spread::of(runs.iter().map(|(wall, _)| *wall));
        let of_wall = format!("{}: wall s by the bound", join.name);
        report.compare(&title(&of_wall), wall, Spread::exactly(bound), 1.2);
        let lookups = Spread::of(runs.iter().map(|(_, lookups)| *lookups as f64));
        report.figure(&title(&format!("{}: lookups", join.name)), Some(lookups), None);
    }
    Ok(())
}

/// Runs a join in a fresh session; returns its seconds and the lookups that it took.
fn run(
    stage: &Stage,
    sandbox: &Sandbox,
    join: &Join,
    limit: &Cost,
) -> Result<(f64, usize), Box<dyn Error>> {
    let mut session = stage.cluster.session("bench_join")?;
    session.run("SET enable_hashjoin = off; SET enable_mergejoin = off")?;
    session.run(join.settings)?;
    sandbox.clear_log()?;
    let (wall, row) = session.time(join.sql)?;
    let rows: i64 = row.try_get(0)?;
    if rows as u64 != limit.rows {
        return Err(format!("the join has {rows} rows, the lists {}", limit.rows).into());
    }
    let log = sandbox.log()?;
    let lookups = log.iter().filter(|request| request.path.ends_with("/members")).count();
    Ok((wall, lookups))
}
