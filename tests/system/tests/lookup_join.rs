//! Joins that look rows up side by side: the rows are those of a copy, and the requests are few
//! and run at the same time.

use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, Feature, Refused};
use postgres::NoTls;
use system_tests::Failure;
use system_tests::checked::{Checked, requests, rows};

/// Leaves only nested loops and joins by lookups, of which the latter are cheaper.
const NO_OTHER: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off; SET awork_fdw.request_cost = 10;";

fn checked(name: &str) -> Option<Checked> {
    Checked::new(name, Config { scale: 700, ..Config::default() })
}

/// Holds the rows of statements against those of the copy, of joins of the kinds that are said.
fn same(w: &mut Checked, statements: &[(&str, &[&str])]) {
    let (mut all, mut others) = (Vec::new(), String::new());
    for (sql, kinds) in statements {
        let [explained] = w.filled(&format!("EXPLAIN {sql}")).try_into().unwrap();
        w.over_foreign_tables();
        w.workspace.client.batch_execute(NO_OTHER).unwrap();
        let plan = rows(&mut w.workspace.client, &explained).unwrap().join("\n");
        for kind in *kinds {
            if !plan.contains(kind) {
                others += &format!("no {kind}:\n{sql}\n{plan}\n");
            }
        }
        all.push(format!("{NO_OTHER}{sql}"));
    }
    assert!(others.is_empty(), "{others}");
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    w.same(&all);
    let tiny: Vec<String> = all.iter().map(|sql| format!("SET work_mem = '64kB'; {sql}")).collect();
    w.same(&tiny.iter().map(String::as_str).collect::<Vec<_>>());
}

const INNER: &[&str] = &["Lookup Join of"];
const LEFT: &[&str] = &["Lookup Left Join of"];
const SEMI: &[&str] = &["Lookup Semi Join of"];
const ANTI: &[&str] = &["Lookup Anti Join of"];
/// Any plan will do.
const ANY: &[&str] = &[];

#[test]
fn rows_are_those_of_a_copy() {
    let Some(mut w) = checked("lookup_rows") else { return };
    same(
        &mut w,
        &[
            // Lists by key, and rows by the value of a column.
            ("SELECT c.id, p.name FROM tasks p JOIN task_comments c ON c.task_id = p.id", INNER),
            ("SELECT t.id, p.name FROM tasks t JOIN projects p ON p.id = t.project_id", INNER),
            ("SELECT e.id, t.name FROM time_entries e JOIN tasks t ON t.id = e.task_id", INNER),
            (
                "SELECT p.id, e.duration FROM projects p JOIN time_entries e ON e.project_id = p.id",
                INNER,
            ),
            // A value that is an error for a row that is not there.
            (
                "SELECT e.id, p.name FROM time_entries e JOIN projects p ON p.id = coalesce(e.project_id::text, 'none')::uuid WHERE e.project_id IS NOT NULL",
                INNER,
            ),
            // Keys that are null, or that name nothing.
            ("SELECT e.id, t.name FROM time_entries e LEFT JOIN tasks t ON t.id = e.task_id", LEFT),
            (
                "SELECT t.id, m.user_id FROM tasks t LEFT JOIN project_members m ON m.project_id = t.id",
                LEFT,
            ),
            (
                "SELECT t.id, m.user_id FROM tasks t LEFT JOIN project_members m ON m.project_id = t.created_by WHERE t.project_id = '{project}'",
                ANY,
            ),
            ("SELECT c.id, p.id FROM companies c LEFT JOIN projects p ON p.id = c.id", LEFT),
            // More conditions: of the join, of the inner table, and after the join.
            (
                "SELECT e.id, p.name FROM time_entries e JOIN projects p ON p.id = e.project_id AND p.created_on < e.created_on AND e.is_billable",
                INNER,
            ),
            (
                "SELECT e.id, p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id AND p.name LIKE '%e%' AND e.is_billable",
                LEFT,
            ),
            (
                "SELECT e.id, p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id AND e.duration > 5000 WHERE p.name IS NULL OR p.name > 'M'",
                LEFT,
            ),
            (
                "SELECT e.id, p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id AND p.company_id IS NULL WHERE coalesce(p.name, 'x') <> e.note",
                ANY,
            ),
            (
                "SELECT e.id FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id AND p.is_retainer WHERE p.id IS NULL",
                ANTI,
            ),
            (
                "SELECT p.id, m.id FROM projects p JOIN project_members m ON m.project_id = p.id AND m.user_id = p.created_by",
                INNER,
            ),
            (
                "SELECT p.id FROM projects p JOIN time_entries e ON e.project_id = p.id AND e.user_id = p.created_by",
                INNER,
            ),
            (
                "SELECT e.id FROM time_entries e JOIN projects p ON p.id = e.project_id AND (e.is_billable OR p.name < 'M')",
                INNER,
            ),
            (
                "SELECT e.id FROM time_entries e JOIN projects p ON p.id = e.project_id WHERE e.duration > (SELECT avg(duration) FROM time_entries)",
                INNER,
            ),
            (
                "SELECT e.id FROM time_entries e JOIN projects p ON p.id = e.project_id AND p.name = ANY (SELECT name FROM projects x WHERE x.company_id = e.project_id OR x.id = p.id)",
                ANY,
            ),
            // EXISTS, IN, and their negations.
            (
                "SELECT p.id FROM projects p WHERE EXISTS (SELECT FROM time_entries e WHERE e.project_id = p.id AND e.is_billable)",
                ANY,
            ),
            (
                "SELECT e.id FROM time_entries e WHERE EXISTS (SELECT FROM projects p WHERE p.id = e.project_id AND p.created_on < e.created_on)",
                SEMI,
            ),
            (
                "SELECT t.id FROM tasks t WHERE EXISTS (SELECT FROM task_comments c WHERE c.task_id = t.id AND c.created_on > t.created_on)",
                SEMI,
            ),
            (
                "SELECT t.id FROM tasks t WHERE NOT EXISTS (SELECT FROM task_comments c WHERE c.task_id = t.id AND c.created_on > t.created_on)",
                ANTI,
            ),
            (
                "SELECT e.id FROM time_entries e WHERE NOT EXISTS (SELECT FROM tasks t WHERE t.id = e.task_id)",
                ANTI,
            ),
            (
                "SELECT p.id FROM projects p WHERE p.id NOT IN (SELECT project_id FROM time_entries WHERE is_billable AND project_id IS NOT NULL)",
                ANY,
            ),
            // A row as a whole, of either side.
            ("SELECT e, p.name FROM time_entries e JOIN projects p ON p.id = e.project_id", INNER),
            ("SELECT e.id, p FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id", ANY),
            (
                "SELECT e.id, p.tableoid = 0 FROM time_entries e JOIN projects p ON p.id = e.project_id",
                ANY,
            ),
            (
                "SELECT e.*, t.* FROM time_entries e LEFT JOIN tasks t ON t.id = e.task_id AND t.name > 'M'",
                LEFT,
            ),
            // Joins of joins.
            (
                "SELECT c.name, p.name, m.user_id FROM companies c JOIN projects p ON p.company_id = c.id JOIN project_members m ON m.project_id = p.id",
                INNER,
            ),
            (
                "SELECT e.id, t.name, p.name, u.first_name FROM time_entries e LEFT JOIN tasks t ON t.id = e.task_id LEFT JOIN projects p ON p.id = t.project_id LEFT JOIN users u ON u.id = e.user_id",
                LEFT,
            ),
            (
                "SELECT e.id, p.name, c.name FROM time_entries e LEFT JOIN (projects p JOIN companies c ON c.id = p.company_id) ON p.id = e.project_id AND e.is_billable",
                ANY,
            ),
            (
                "SELECT e.id, x.name, x.n FROM time_entries e LEFT JOIN (SELECT id, name, coalesce(description, 'none') AS n FROM projects WHERE name > 'M') x ON x.id = e.project_id",
                ANY,
            ),
            (
                "SELECT a.id, b.id FROM time_entries a JOIN projects p ON p.id = a.project_id JOIN time_entries b ON b.project_id = p.id AND b.created_on < a.created_on AND b.user_id = a.user_id",
                ANY,
            ),
            (
                "SELECT e.id, p.name FROM projects p RIGHT JOIN time_entries e ON p.id = e.project_id",
                LEFT,
            ),
            (
                "SELECT e.id, p.name FROM projects p FULL JOIN time_entries e ON p.id = e.project_id",
                ANY,
            ),
            // What is above.
            (
                "SELECT p.name, count(*), sum(e.duration) FROM time_entries e JOIN projects p ON p.id = e.project_id GROUP BY 1",
                INNER,
            ),
            (
                "SELECT p.name, e.id FROM time_entries e JOIN projects p ON p.id = e.project_id ORDER BY p.name COLLATE \"C\", e.id",
                INNER,
            ),
            (
                "SELECT e.id, p.name FROM time_entries e JOIN projects p ON p.id = e.project_id ORDER BY e.created_on DESC, e.id LIMIT 7",
                ANY,
            ),
            (
                "SELECT e.id, p.name FROM time_entries e JOIN projects p ON p.id = e.project_id LIMIT 7",
                ANY,
            ),
            (
                "SELECT DISTINCT p.name FROM time_entries e JOIN projects p ON p.id = e.project_id",
                INNER,
            ),
            (
                "SELECT p.name || e.id, row_number() OVER (PARTITION BY p.name ORDER BY e.id) FROM time_entries e JOIN projects p ON p.id = e.project_id",
                INNER,
            ),
            ("SELECT 1 FROM time_entries e JOIN projects p ON p.id = e.project_id", INNER),
            ("SELECT 1 FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id", LEFT),
            // A subquery that runs for each row, with the same lookups and with others.
            (
                "SELECT c.id, (SELECT count(m.user_id) FROM projects p JOIN project_members m ON m.project_id = p.id WHERE p.company_id = c.id OR p.name > c.name) FROM companies c",
                ANY,
            ),
            (
                "SELECT u.id, (SELECT sum(length(p.name)) FROM time_entries e JOIN projects p ON p.id = e.project_id AND p.name < u.first_name WHERE e.user_id = u.id) FROM users u",
                ANY,
            ),
            (
                "SELECT u.id, l.name FROM users u, LATERAL (SELECT p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id AND p.created_by = u.id WHERE e.user_id = u.id ORDER BY e.created_on, e.id LIMIT 2) l",
                ANY,
            ),
        ],
    );
}

#[test]
fn rows_are_those_of_a_copy_in_prepared_statements_and_cursors() {
    let Some(mut w) = checked("lookup_prepared") else { return };
    let prepared = "PREPARE q(boolean, text, uuid) AS SELECT e.id, p.name FROM time_entries e
            LEFT JOIN projects p ON p.id = e.project_id AND p.name > $2 WHERE e.is_billable = $1 OR e.user_id = $3;";
    let executed = "EXECUTE q(true, 'A', NULL); EXECUTE q(false, 'M', '{user}'); EXECUTE q(NULL, NULL, '{user}'); EXECUTE q(NULL, 'A', NULL)";
    let mut statements: Vec<String> = ["auto", "force_generic_plan", "force_custom_plan"]
        .iter()
        .map(|mode| {
            format!("{NO_OTHER} SET plan_cache_mode = {mode}; {prepared} {executed}; {executed}")
        })
        .collect();
    let declared = "SELECT e.id, p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id ORDER BY e.created_on, e.id";
    for cursor in ["CURSOR", "SCROLL CURSOR"] {
        statements.push(format!(
            "{NO_OTHER} BEGIN; DECLARE c {cursor} FOR {declared}; FETCH 100 FROM c; FETCH 1 FROM c; FETCH ALL FROM c; FETCH 1 FROM c; COMMIT"
        ));
    }
    statements.push(format!(
        "{NO_OTHER} BEGIN; DECLARE c SCROLL CURSOR FOR {declared}; FETCH 100 FROM c; FETCH BACKWARD 50 FROM c; FETCH 70 FROM c; COMMIT"
    ));
    w.same(&statements.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn rows_are_locked_and_changed_without_such_joins() {
    let Some(mut w) = checked("lookup_locks") else { return };
    w.over_foreign_tables();
    let client = &mut w.workspace.client;
    client
        .batch_execute(&format!(
            "{NO_OTHER} CREATE TABLE lookup_locks.own AS SELECT id, name FROM projects"
        ))
        .unwrap();
    let changed = "UPDATE own SET name = e.id::text FROM time_entries e JOIN projects p ON p.id = e.project_id WHERE p.id = own.id";
    let plan = rows(client, &format!("EXPLAIN {changed}")).unwrap().join("\n");
    assert!(!plan.contains("Lookup"), "{plan}");
    client.batch_execute(changed).unwrap();
    let changed = rows(client, "SELECT FROM own WHERE name IN (SELECT id::text FROM time_entries)");
    let entries = rows(
        client,
        "SELECT DISTINCT project_id FROM time_entries JOIN projects p ON p.id = project_id",
    );
    assert_eq!(changed.unwrap().len(), entries.unwrap().len());
}

#[test]
fn each_key_is_asked_for_once() {
    let Some(mut w) = checked("lookup_requests") else { return };
    // Lists by key: one request per list, though tasks have several comments' projects.
    let lists = "SELECT c.id FROM tasks t JOIN task_comments c ON c.task_id = t.id WHERE t.comment_count > 0";
    let (found, sent) = w.run(&format!(
        "{NO_OTHER} ALTER FOREIGN TABLE task_comments OPTIONS (ADD fan_out 'off'); {lists}"
    ));
    w.workspace
        .client
        .batch_execute("ALTER FOREIGN TABLE lookup_requests.task_comments OPTIONS (DROP fan_out)")
        .unwrap();
    assert!(!found.unwrap().is_empty());
    let commented = w.values("commented").len();
    let asked: Vec<&String> = sent.iter().filter(|r| r.contains("/comments")).collect();
    assert_eq!(asked.len(), commented, "{sent:?}");
    let mut distinct = asked.clone();
    distinct.dedup();
    assert_eq!(distinct.len(), asked.len(), "a list was read twice");

    // Rows by a column: several values in one filter, none of them twice.
    let (found, sent) = w.run(&format!(
        "{NO_OTHER} SELECT e.id, p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id"
    ));
    assert_eq!(found.unwrap().len(), 700);
    let filters: Vec<&String> = sent.iter().filter(|r| r.starts_with("/projects")).collect();
    assert!(filters.len() <= 3, "{sent:?}");
    let named: usize = filters.iter().map(|filter| filter.matches("id eq guid").count()).sum();
    let projects = rows(
        &mut w.workspace.client,
        "SELECT DISTINCT project_id FROM lookup_requests_copy.time_entries WHERE project_id IS NOT NULL",
    );
    assert_eq!(named, projects.unwrap().len(), "{filters:?}");

    // Off is off.
    w.over_foreign_tables();
    w.workspace.client.batch_execute(NO_OTHER).unwrap();
    w.workspace.client.batch_execute("SET awork_fdw.enable_lookup_join = off").unwrap();
    let plan = rows(&mut w.workspace.client, &format!("EXPLAIN {lists}")).unwrap().join("\n");
    assert!(!plan.contains("Lookup"), "{plan}");
}

fn slow(path: &str, ms: u64) -> Fault {
    let action = Action::Latency { ms };
    Fault { path: path.into(), query: None, nth: None, first: None, action }
}

#[test]
fn lookups_run_side_by_side() {
    let Some(mut w) = checked("lookup_beside") else { return };
    w.over_foreign_tables();
    w.workspace
        .client
        .batch_execute(&format!(
            "{NO_OTHER} ALTER SERVER lookup_beside OPTIONS (ADD max_concurrency '8');
             ALTER FOREIGN TABLE task_comments OPTIONS (ADD fan_out 'off')"
        ))
        .unwrap();
    w.workspace.sandbox.clear_log();
    w.workspace.sandbox.add_fault(slow("", 50));
    let found = rows(
        &mut w.workspace.client,
        "SELECT c.id FROM tasks t JOIN task_comments c ON c.task_id = t.id",
    );
    assert!(!found.unwrap().is_empty());
    requests(&w.workspace.sandbox);
    let log: Vec<(f64, f64)> = w
        .workspace
        .sandbox
        .log()
        .iter()
        .filter(|entry| entry.path.ends_with("/comments"))
        .map(|entry| (entry.started, entry.finished.unwrap()))
        .collect();
    let beside = |at: f64| log.iter().filter(|(start, end)| *start <= at && at < *end).count();
    let most = log.iter().map(|(start, _)| beside(*start)).max().unwrap();
    assert_eq!(most, 8, "of {} requests", log.len());
    // All but the first and the last few, and those between two batches.
    let full = log.iter().filter(|(start, end)| beside((start + end) / 2.0) >= 7).count();
    assert!(full * 10 >= log.len() * 8, "{full} of {} requests had 7 beside them", log.len());
}

#[test]
fn a_limit_stops_the_lookups() {
    let Some(mut w) = checked("lookup_limit") else { return };
    let (found, sent) = w.run(&format!(
        "{NO_OTHER} ALTER FOREIGN TABLE task_comments OPTIONS (ADD fan_out 'off');
         SELECT c.id FROM tasks t JOIN task_comments c ON c.task_id = t.id WHERE t.comment_count > 0 LIMIT 1"
    ));
    assert_eq!(found.unwrap().len(), 1);
    let lookups = sent.iter().filter(|r| r.contains("/comments")).count();
    assert!((1..=8).contains(&lookups), "{sent:?}");
}

#[test]
fn what_awork_refuses_is_checked_here() {
    for refused in [
        &[Feature::Filter][..],
        &[Feature::Guid],
        &[Feature::Or],
        &[Feature::And, Feature::Order],
        &[Feature::Boolean],
    ] {
        let Some(mut w) = checked("lookup_refused") else { return };
        w.workspace.sandbox.refuse(Refused::features(refused.iter().copied()));
        println!("{refused:?}");
        let statements = [
            "SELECT e.id, p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id AND p.is_billable_by_default",
            "SELECT e.id FROM time_entries e WHERE NOT EXISTS (SELECT FROM tasks t WHERE t.id = e.task_id AND t.name > 'M')",
            "SELECT p.id, e.id FROM projects p JOIN time_entries e ON e.project_id = p.id AND e.is_billable",
            "SELECT p.id, m.id FROM projects p JOIN project_members m ON m.project_id = p.id",
        ];
        let statements = statements.map(|sql| format!("{NO_OTHER}{sql}"));
        w.same(&statements.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn a_failing_lookup_fails_the_statement_and_no_more() {
    let Some(mut w) = checked("lookup_failing") else { return };
    w.over_foreign_tables();
    let sql = "SELECT e.id, p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id";
    w.workspace.client.batch_execute(NO_OTHER).unwrap();
    let action = Action::Status { status: 500, code: None, retry_after: None };
    let fault = Fault { path: "/projects".into(), query: None, nth: None, first: None, action };
    w.workspace.sandbox.add_fault(fault);
    for _ in 0..2 {
        let failure = w.workspace.failure(sql);
        assert!(failure.text.contains("projects"), "{failure:?}");
    }
    w.workspace.sandbox.clear_faults();
    assert_eq!(rows(&mut w.workspace.client, sql).unwrap().len(), 700);
}

#[test]
fn a_cancelled_join_ends_at_once() {
    let Some(mut w) = checked("lookup_cancelled") else { return };
    w.over_foreign_tables();
    w.workspace.client.batch_execute(NO_OTHER).unwrap();
    let sql = "SELECT e.id, p.name FROM time_entries e JOIN projects p ON p.id = e.project_id";
    w.workspace.sandbox.add_fault(slow("/projects", 10_000));
    let token = w.workspace.client.cancel_token();
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1_000));
        let sent = Instant::now();
        token.cancel_query(NoTls).unwrap();
        sent
    });
    let error = w.workspace.client.query(sql, &[]).expect_err("the statement is cancelled");
    let took = Instant::now().duration_since(canceller.join().unwrap());
    assert_eq!(Failure::from(&error).code, "57014");
    assert!(took < Duration::from_millis(100), "cancelled after {took:?}");
    let deadline = Instant::now() + Duration::from_secs(2);
    while w.workspace.sandbox.log().iter().any(|e| e.finished.is_none() && !e.gone) {
        assert!(Instant::now() < deadline, "a request goes on");
        thread::sleep(Duration::from_millis(20));
    }
    w.workspace.sandbox.clear_faults();
    assert!(!rows(&mut w.workspace.client, sql).unwrap().is_empty());
}

#[test]
fn explain_tells_what_is_looked_up() {
    let Some(mut w) = checked("lookup_explain") else { return };
    w.over_foreign_tables();
    let client = &mut w.workspace.client;
    client.batch_execute(NO_OTHER).unwrap();
    let sql = "SELECT e.id, p.name FROM time_entries e LEFT JOIN projects p ON p.id = e.project_id AND p.name > 'M' WHERE p.id IS NULL OR e.is_billable";
    let plan = rows(client, &format!("EXPLAIN (ANALYZE, VERBOSE, TIMING OFF, COSTS OFF) {sql}"));
    let plan = plan.unwrap().join("\n");
    for expected in [
        "Lookup Left Join of: projects",
        "Join Condition: ((p.name > 'M'::text) AND (p.id = e.project_id))",
        "Filter: ((p.id IS NULL) OR e.is_billable)",
        "filterby=id eq {e.project_id}",
        "Lookups: ",
        "Batches of Outer Rows: ",
        "Foreign Scan on lookup_explain.time_entries e",
    ] {
        assert!(plan.contains(expected), "no {expected}:\n{plan}");
    }
    let plan = rows(client, &format!("EXPLAIN (FORMAT JSON) {sql}")).unwrap().join("\n");
    assert!(plan.contains("\"Lookup Left Join of\": \"projects\""), "{plan}");
}
