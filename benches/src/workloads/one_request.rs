//! Queries that one request answers, beside that request of a plain client.

use std::error::Error;

use super::Stage;
use crate::plain::one::RoundTrips;
use crate::report::{Report, Spread};

/// More than the full scans have, since each takes a twentieth of a second.
const RUNS: usize = 9;

/// A query, and the request that a plain client sends for its answer.
struct Question {
    name: &'static str,
    sql: &'static str,
    target: &'static str,
}

/// The range of days holds about one of a hundred entries, so that they fit a page of the usual
/// sandbox, and awork filters by it exactly.
const QUESTIONS: [Question; 4] = [
    Question {
        name: "count(*)",
        sql: "SELECT count(*) FROM time_entries",
        target: "/timeentries?page=1&pageSize=1",
    },
    Question {
        name: "LIMIT 10",
        sql: "SELECT count(*) FROM (SELECT id, note, duration FROM time_entries LIMIT 10) t",
        target: "/timeentries?page=1&pageSize=10&orderby=createdOn%20asc,id%20asc",
    },
    Question {
        name: "ORDER BY created_on DESC LIMIT 20",
        sql: "SELECT count(*) FROM (SELECT id, note, created_on FROM time_entries
                                    ORDER BY created_on DESC LIMIT 20) t",
        target: "/timeentries?page=1&pageSize=20&orderby=createdOn%20desc,id%20asc",
    },
    Question {
        name: "1 % filter",
        sql: "SELECT count(*), sum(duration), max(updated_on) FROM time_entries
              WHERE start_date_utc >= '2026-03-02' AND start_date_utc < '2026-03-05'",
        target: "/timeentries?page=1&pageSize=1000&orderby=createdOn%20asc,id%20asc&filterby=\
                 startDateUtc%20ge%20datetime'2026-03-02T00:00:00'%20and%20\
                 startDateUtc%20lt%20datetime'2026-03-05T00:00:00'",
    },
];

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let sandbox = stage.sandbox(stage.scale)?;
    stage.cluster.import("bench_one", &sandbox.url, stage.concurrency, "")?;
    let trips = RoundTrips::new(&sandbox.url)?;
    let mut warm = stage.cluster.session("bench_one")?;
    for Question { name, sql, target } in QUESTIONS {
        // Both know the connection, and the sandbox the list, before anything is measured.
        trips.time(target)?;
        let (_, row) = warm.time(sql)?;
        if name == "1 % filter" {
            let share = row.try_get::<_, i64>(0)? as f64 / stage.scale as f64 * 100.0;
            report.figure("1 % filter: per cent of the rows", Some(Spread::exactly(share)), None);
        }
        let (mut trip, mut in_warm, mut in_fresh) = (Vec::new(), Vec::new(), Vec::new());
        let mut with_connecting = Vec::new();
        sandbox.clear_log()?;
        for _ in 0..RUNS {
            trip.push(trips.time(target)?);
            in_warm.push(warm.time(sql)?.0);
            let mut fresh = stage.cluster.session("bench_one")?;
            let (seconds, _) = fresh.time(sql)?;
            in_fresh.push(seconds);
            with_connecting.push(seconds + fresh.connecting);
        }
        let requests = sandbox.log()?.len() as f64 / RUNS as f64 - 1.0;
        let trip = Spread::of(trip);
        report.compare(&format!("{name}, warm session: wall s"), Spread::of(in_warm), trip, 1.5);
        report.compare(&format!("{name}, fresh session: wall s"), Spread::of(in_fresh), trip, 1.5);
        report.figure(
            &format!("{name}, fresh session with connecting: wall s"),
            Some(Spread::of(with_connecting)),
            Some(trip),
        );
        report.figure(
            &format!("{name}: requests of one warm and one fresh statement"),
            Some(Spread::exactly(requests)),
            None,
        );
    }
    Ok(())
}
