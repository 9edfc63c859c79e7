//! Every kind of fault meets every kind of scan. A statement gives the right rows, or an error
//! whose SQLSTATE belongs to the fault. Afterwards the session goes on, the same statement gives
//! the right rows, and no request is under way.

use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, Sandbox};
use postgres::Client;
use serde_json::Value;
use system_tests::checked::{Checked, rows};
use system_tests::{Failure, Workspace};

/// What a statement may come to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// The right rows.
    Right,
    /// An error with this SQLSTATE.
    Error(String),
    /// Other rows, and a warning that awork announced more.
    Told,
    /// The check says that something is wrong.
    No,
    /// Other rows, and no word of it.
    Wrong,
}

/// A kind of fault.
struct Kind {
    name: &'static str,
    action: Action,
    /// Whether it changes rows and pages, and no answer that has none.
    is_of_rows: bool,
    /// What most scans may come to: [`RIGHT`], [`TOLD`], or a SQLSTATE.
    most: &'static [&'static str],
    /// What some scans may come to instead.
    others: &'static [(&'static str, &'static [&'static str])],
}

impl Kind {
    fn may(&self, scan: &str) -> &'static [&'static str] {
        let other = self.others.iter().find(|(name, _)| *name == scan);
        match scan {
            _ if other.is_some() => other.map_or(&[], |(_, may)| may),
            "check" | "refresh" if self.is_of_rows => &[RIGHT],
            // It is for finding out, and says what is wrong in a row.
            "check" if self.most != [RIGHT] => &[NO],
            _ => self.most,
        }
    }
}

const RIGHT: &str = "right";
const TOLD: &str = "told";
const NO: &str = "no";
const WRONG: &str = "wrong";

/// Answers with a status and nothing that explains it.
fn status(status: u16) -> Action {
    Action::Status { status, code: None, retry_after: None }
}

fn refusal(status: u16, code: &str) -> Action {
    Action::Status { status, code: Some(code.into()), retry_after: None }
}

fn body(bytes: &[u8]) -> Action {
    Action::Body { text: None, bytes: Some(bytes.into()), status: None, content_type: None }
}

fn set(name: &str, value: Value) -> Action {
    Action::SetProperties { row: None, set: [(name.to_owned(), value)].into_iter().collect() }
}

/// The token endpoint has other reasons to refuse, which it names.
const TOKEN: &[(&str, &[&str])] = &[("refresh", &["HV00M"])];

/// A key that names nothing has no rows.
const GONE: &[(&str, &[&str])] = &[("key lookup", &[WRONG]), ("refresh", &["HV00M"])];

fn kinds() -> Vec<Kind> {
    let answer =
        |name, action, most, others| Kind { name, action, is_of_rows: false, most, others };
    let rows = |name, action, most, others| Kind { name, action, is_of_rows: true, most, others };
    vec![
        answer("latency", Action::Latency { ms: 20 }, &[RIGHT], &[]),
        answer("hang", Action::Hang, &["HV00M"], &[]),
        answer("hang after", Action::HangAfter, &["HV00M"], &[]),
        answer("slow body", Action::SlowBody { after: None, ms: 20 }, &[RIGHT], &[]),
        answer("stuck body", Action::SlowBody { after: Some(1), ms: 60_000 }, &["HV00M"], &[]),
        answer("cut body", Action::CutBody { after: None }, &["HV00M"], &[]),
        answer("cut at once", Action::CutBody { after: Some(0) }, &["HV00M"], &[]),
        answer("500", status(500), &["HV00M"], &[]),
        answer("503", status(503), &["HV00M"], &[]),
        answer("408", status(408), &["HV00M"], &[]),
        answer("429", status(429), &["53400"], &[]),
        answer("400", status(400), &["HV00L"], TOKEN),
        answer("401", refusal(401, "unknown"), &["28000"], TOKEN),
        answer("no right", refusal(401, "unauthorized"), &["42501"], TOKEN),
        answer("404", status(404), &["HV00R"], GONE),
        answer("410", status(410), &["HV00R"], GONE),
        answer("expired", Action::Expired, &["28000"], TOKEN),
        answer("blocked", Action::Blocked, &["42501"], &[]),
        answer("html", Action::Html, &["HV00M"], &[]),
        answer("empty body", body(b""), &["HV00M"], &[]),
        answer("no JSON", body(b"nonsense"), &["HV00M"], &[]),
        answer("no UTF-8", body(b"\xff\xfe"), &["HV00M"], &[]),
        answer("huge body", Action::HugeBody { mib: 70 }, &["54000"], TOKEN),
        answer(
            "redirect",
            Action::Redirect { location: "http://127.0.0.1:1/".into(), status: None },
            &["HV00M"],
            &[],
        ),
        // Only the time entries have several pages.
        rows("repeat page", Action::RepeatPage { page: 1 }, &[RIGHT], &[("plain", &["HV00M"])]),
        rows(
            "drop rows",
            Action::DropRows { rows: 1 },
            &[TOLD],
            &[
                // An object is no list, and counts come from the total.
                ("key lookup", &[RIGHT]),
                ("count", &[RIGHT]),
                ("first rows", &[RIGHT]),
                ("analyze", &[RIGHT]),
            ],
        ),
        rows("no totals", Action::Totals { total: None }, &[RIGHT], &[]),
        rows(
            "few totals",
            Action::Totals { total: Some(1) },
            &[RIGHT],
            // A count is the number announced.
            &[("count", &[WRONG])],
        ),
        rows(
            "more totals",
            Action::Totals { total: Some(2_000) },
            &[RIGHT],
            &[("count", &[WRONG])],
        ),
        rows("page size", Action::PageSize { rows: 50 }, &[RIGHT], &[]),
        rows("refuse filter", Action::RefuseFilter, &[RIGHT], &[]),
        rows("refuse order", Action::RefuseOrder, &[RIGHT], &[]),
        rows(
            "without properties",
            Action::WithoutProperties { names: vec!["resourceVersion".into()] },
            &[RIGHT],
            &[],
        ),
        rows("new property", set("addedYesterday", Value::from(vec![1, 2])), &[RIGHT], &[]),
        rows(
            "bad value",
            set("createdOn", "2026-02-31T00:00:00Z".into()),
            &["HV004"],
            // They do not read it.
            &[("fan-out", &[RIGHT]), ("lookup join", &[RIGHT]), ("count", &[RIGHT])],
        ),
    ]
}

/// Leaves only nested loops and joins by lookups, of which the latter are cheaper.
const LOOKUPS: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;";

/// Names and statements. `created_on` is read wherever a value is read that does not fit.
const SCANS: &[(&str, &str)] = &[
    ("plain", "SELECT id, duration, created_on FROM time_entries"),
    (
        "filtered",
        "SELECT id, created_on FROM time_entries WHERE project_id = '{project}' AND duration > 60",
    ),
    ("key lookup", "SELECT id, name, created_on FROM projects WHERE id = '{project}'"),
    ("fan-out", "SELECT project_id, id, user_id FROM project_members"),
    ("count", "SELECT count(*) FROM time_entries WHERE is_billable"),
    ("first rows", "SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 7"),
    (
        "lookup join",
        "SELECT p.id, m.user_id FROM projects p
         JOIN project_members m ON m.project_id = p.id",
    ),
    (
        "append",
        "SELECT id, created_on FROM projects UNION ALL SELECT id, created_on FROM users
         UNION ALL SELECT id, created_on FROM companies",
    ),
    ("analyze", "ANALYZE projects"),
    ("check", "SELECT ok FROM awork_fdw_check('fault_matrix')"),
];

fn fault(query: Option<&str>, action: &Action) -> Fault {
    let query = query.map(str::to_owned);
    Fault { path: String::new(), query, nth: None, first: None, action: action.clone() }
}

/// Rows without an order, or an error.
fn run(client: &mut Client, sql: &str) -> Result<Vec<String>, Failure> {
    let messages = client.simple_query(sql).map_err(|error| Failure::from(&error))?;
    let rows = messages.iter().filter_map(|message| match message {
        postgres::SimpleQueryMessage::Row(row) => {
            let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
            Some(columns.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    let mut rows: Vec<String> = rows.collect();
    rows.sort_unstable();
    Ok(rows)
}

/// Waits until the sandbox has no request that goes on.
fn nothing_runs(sandbox: &Sandbox) -> bool {
    let deadline = Instant::now() + Duration::from_secs(2);
    while !sandbox.running().is_empty() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// What a statement comes to while a fault holds, and what is wrong afterwards.
fn meet(
    w: &mut Workspace,
    fault: Fault,
    sql: &str,
    right: &[String],
) -> (Outcome, Vec<&'static str>) {
    w.notices.lock().expect("no test panics here").clear();
    w.sandbox.add_fault(fault);
    let result = run(&mut w.client, sql);
    w.sandbox.clear_faults();
    let notices = std::mem::take(&mut *w.notices.lock().expect("no test panics here"));
    let outcome = match result {
        Ok(rows) if rows == right => Outcome::Right,
        Ok(rows) if rows == ["f"] => Outcome::No,
        Ok(_) if notices.iter().any(|notice| notice.contains("awork announced")) => Outcome::Told,
        Ok(_) => Outcome::Wrong,
        Err(failure) => Outcome::Error(failure.code),
    };
    let mut left = Vec::new();
    if !nothing_runs(&w.sandbox) {
        left.push("a request goes on");
    }
    if run(&mut w.client, "SELECT 1").is_err() {
        left.push("the session does not go on");
    }
    (outcome, left)
}

fn shown(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Right => RIGHT,
        Outcome::Told => TOLD,
        Outcome::No => NO,
        Outcome::Wrong => WRONG,
        Outcome::Error(code) => code,
    }
}

/// Whether the scan may come to this, and if not, a line that says so.
fn verdict(kind: &Kind, scan: &str, outcome: &Outcome, left: &[&str]) -> String {
    let may = kind.may(scan);
    let mut failures = String::new();
    if !may.contains(&shown(outcome)) {
        failures += &format!("{} x {scan}: {outcome:?}, may be {may:?}\n", kind.name);
    }
    for what in left {
        failures += &format!("{} x {scan}: {what}\n", kind.name);
    }
    failures
}

#[test]
fn every_fault_meets_every_scan() {
    let config = Config { scale: 300, ..Config::default() };
    let Some(mut checked) = Checked::new("fault_matrix", config) else { return };
    checked
        .workspace
        .run("ALTER SERVER fault_matrix OPTIONS (ADD page_size '100', ADD request_timeout '1')");
    let statements: Vec<&str> = SCANS[..8].iter().map(|(_, sql)| *sql).collect();
    checked.same(&statements);
    checked.over_foreign_tables();
    let scans: Vec<(&str, String)> =
        SCANS.iter().map(|(name, sql)| (*name, checked.filled(sql).concat())).collect();
    let w = &mut checked.workspace;
    w.run(&format!("{LOOKUPS} SET client_min_messages = warning"));
    let plan = |w: &mut Workspace, name: &str| {
        let (_, sql) = scans.iter().find(|(scan, _)| *scan == name).expect("a scan");
        rows(&mut w.client, &format!("EXPLAIN {sql}")).unwrap().join("\n")
    };
    assert!(plan(w, "lookup join").contains("Lookup Join"), "{}", plan(w, "lookup join"));
    assert!(plan(w, "append").contains("Async Foreign Scan"), "{}", plan(w, "append"));

    let mut failures = String::new();
    for (scan, sql) in &scans {
        let right = run(&mut w.client, sql).unwrap();
        for kind in kinds() {
            let (outcome, mut left) = meet(w, fault(None, &kind.action), sql, &right);
            if run(&mut w.client, sql).ok().as_ref() != Some(&right) {
                left.push("the same statement does not give the right rows afterwards");
            }
            failures += &verdict(&kind, scan, &outcome, &left);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_fault_meets_a_refresh() {
    const SQL: &str = "SELECT id, created_on FROM projects";
    let config = Config { scale: 100, ..Config::default() };
    let Some(mut w) = Workspace::with_logins("fault_matrix_refresh", config) else { return };
    w.run(
        "ALTER SERVER fault_matrix_refresh OPTIONS (ADD request_timeout '1');
         SET client_min_messages = warning",
    );
    w.log_in("admin");
    let right = run(&mut w.client, SQL).unwrap();
    assert_ne!(right.len(), 0);
    let mut failures = String::new();
    for kind in kinds() {
        w.expire();
        let refresh = fault(Some("grant_type=refresh_token"), &kind.action);
        let (outcome, mut left) = meet(&mut w, refresh, SQL, &right);
        let again = run(&mut w.client, SQL);
        let is_lost = again.as_ref().is_err_and(|failure| failure.code == "28000");
        if is_lost {
            w.log_in("admin");
        }
        if (if is_lost { run(&mut w.client, SQL) } else { again }).ok().as_ref() != Some(&right) {
            left.push("the same statement does not give the right rows afterwards");
        }
        failures += &verdict(&kind, "refresh", &outcome, &left);
    }
    assert!(failures.is_empty(), "{failures}");
}
