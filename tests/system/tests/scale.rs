//! What a statement costs does not grow with the table where awork can answer it.

use awork_sandbox::{Config, Sandbox};
use system_tests::Workspace;
use system_tests::checked::{requests, rows};

const SMALL: usize = 10_000;

/// Stands for a million, which `AWORK_FDW_TEST_SCALE=1000000` tries.
const LARGE: usize = 100_000;

/// The rows that satisfy the condition, and the days of all rows, in order.
struct Truth {
    since: u64,
    days: Vec<String>,
}

const SINCE: &str = "2026-06-01T00:00:00Z";

fn truth(sandbox: &Sandbox) -> Truth {
    let mut truth = Truth { since: 0, days: Vec::new() };
    sandbox.visit("time_entries", &[], |row| {
        if let Some(day) = row["startDateUtc"].as_str() {
            truth.since += u64::from(day >= SINCE);
            truth.days.push(day.to_owned());
        }
    });
    truth.days.sort_unstable();
    truth
}

/// What some statements send, and how many pages a filter transfers that keeps one row in a
/// hundred.
fn measured(scale: usize) -> Option<(Vec<Vec<String>>, usize)> {
    let name = format!("scale_{scale}");
    let mut w = Workspace::imported(&name, Config { scale, ..Config::default() })?;
    let truth = truth(&w.sandbox);
    let mut sent = Vec::new();
    let mut ask = |w: &mut Workspace, sql: &str| {
        w.sandbox.clear_log();
        let started = std::time::Instant::now();
        let found = rows(&mut w.client, sql).expect("the statement runs");
        let requests = requests(&w.sandbox);
        println!("{scale}: {} requests, {:?}: {sql}", requests.len(), started.elapsed());
        sent.push(requests);
        found
    };
    let count =
        ask(&mut w, "SELECT count(*) FROM time_entries WHERE start_date_utc >= '2026-06-01'");
    assert_eq!(count, [truth.since.to_string()]);
    assert_eq!(ask(&mut w, "SELECT count(*) FROM time_entries"), [scale.to_string()]);
    let newest =
        ask(&mut w, "SELECT created_on, id FROM time_entries ORDER BY created_on DESC LIMIT 20");
    assert_eq!(newest.len(), 20);
    assert!(newest.is_sorted_by(|a, b| a >= b), "{newest:#?}");
    assert_eq!(
        ask(
            &mut w,
            "SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 20 OFFSET 2000"
        )
        .len(),
        20
    );
    ask(&mut w, "SELECT min(created_on), max(created_on) FROM time_entries");
    ask(&mut w, "SELECT EXISTS (SELECT FROM time_entries WHERE is_billable)");

    let day = &truth.days[truth.days.len() - scale / 100];
    let kept = truth.days.iter().filter(|d| *d >= day).count();
    w.sandbox.clear_log();
    let started = std::time::Instant::now();
    let sql = format!(
        "SELECT count(duration), count(*) FROM time_entries WHERE start_date_utc >= '{day}'"
    );
    let counts = rows(&mut w.client, &sql).expect("the statement runs");
    assert_eq!(counts[0].split('|').nth(1), Some(kept.to_string().as_str()));
    let pages = requests(&w.sandbox).len();
    println!("{scale}: {pages} pages for {kept} rows, {:?}: {sql}", started.elapsed());
    looks_up_what_a_join_needs(&mut w, scale);
    Some((sent, pages))
}

/// A join with few rows asks for what belongs to them where that is less than the table.
fn looks_up_what_a_join_needs(w: &mut Workspace, scale: usize) {
    let company = "SELECT company_id FROM projects WHERE company_id IS NOT NULL
        GROUP BY 1 ORDER BY count(*), 1 LIMIT 1";
    let company = rows(&mut w.client, company).expect("the statement runs").remove(0);
    let of_company = format!("SELECT count(*) FROM projects WHERE company_id = '{company}'");
    let projects: usize =
        rows(&mut w.client, &of_company).expect("the statement runs")[0].parse().expect("a count");
    for joined in ["project_members", "time_entries"] {
        w.sandbox.clear_log();
        let sql = format!(
            "SELECT count(t.attrs) FROM projects p JOIN {joined} t ON t.project_id = p.id
             WHERE p.company_id = '{company}'"
        );
        rows(&mut w.client, &sql).expect("the statement runs");
        let sent = requests(&w.sandbox);
        println!("{scale}: {} requests for {projects} projects with {joined}", sent.len());
        let rows_of_each = if joined == "time_entries" { scale / 250 } else { 0 };
        let most = 1 + projects * (1 + rows_of_each / 1000);
        assert!(sent.len() <= most, "{most} are enough: {sent:#?}");
    }
}

#[test]
fn the_number_of_requests_does_not_grow_with_the_table() {
    let large = std::env::var("AWORK_FDW_TEST_SCALE").map_or(LARGE, |scale| {
        scale.parse().expect("AWORK_FDW_TEST_SCALE is a number of time entries")
    });
    let Some((of_small, pages_of_small)) = measured(SMALL) else { return };
    let Some((of_large, pages_of_large)) = measured(large) else { return };
    assert_eq!(of_small, of_large);
    assert!(of_large.iter().all(|requests| requests.len() <= 2), "{of_large:#?}");
    for (scale, pages) in [(SMALL, pages_of_small), (large, pages_of_large)] {
        let most = (scale / 1000 * 2).div_ceil(100);
        assert!(
            pages <= most,
            "{pages} pages of a table of {scale} rows, of which {most} are enough"
        );
    }
}
