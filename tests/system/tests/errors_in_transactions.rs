//! Statements that fail in the middle of a scan, wherever they stand: the transaction is as after
//! any other error, the session goes on at once, and nothing is left.

use std::io::Read;

use awork_sandbox::{Action, Config, Fault};
use serde_json::Value;
use system_tests::checked::rows;
use system_tests::logins::{status, until};
use system_tests::processes::Held;
use system_tests::{Failure, Workspace};

const SCALE: usize = 900;

/// Reads all pages of ten.
const ALL: &str = "SELECT id, created_on FROM time_entries";

/// What comes between the scan and its rows on the sixth of ten pages, and the SQLSTATE.
fn failures() -> Vec<(&'static str, Action, &'static str)> {
    let bad = [("createdOn".to_owned(), Value::from("2026-02-31T00:00:00Z"))];
    let unknown = Action::Status { status: 401, code: Some("unknown".into()), retry_after: None };
    vec![
        ("an error of awork", status(500), "HV00M"),
        ("an answer that is cut", Action::CutBody { after: None }, "HV00M"),
        (
            "a value that does not fit",
            Action::SetProperties { row: None, set: bad.into_iter().collect() },
            "HV004",
        ),
        ("a refused key", unknown, "28000"),
        ("a time that is up", Action::Hang, "57014"),
    ]
}

fn workspace(name: &str) -> Option<Workspace> {
    let mut w = Workspace::imported(name, Config { scale: SCALE, ..Config::default() })?;
    w.client
        .batch_execute(&format!(
            "ALTER SERVER {name} OPTIONS (ADD page_size '100');
             CREATE TABLE local AS SELECT n, id FROM time_entries, generate_series(1, 5) n;
             CREATE TABLE written (n int);
             ANALYZE local"
        ))
        .expect("tables can be made");
    Some(w)
}

fn fail(w: &Workspace, action: &Action) {
    let (path, query) = ("/timeentries".into(), Some("page=6".into()));
    w.sandbox.add_fault(Fault { path, query, nth: None, first: None, action: action.clone() });
}

fn pid(w: &mut Workspace) -> i32 {
    w.client.query_one("SELECT pg_backend_pid()", &[]).expect("a session").get(0)
}

/// The SQLSTATE of a statement that fails.
#[track_caller]
fn code(w: &mut Workspace, sql: &str) -> String {
    Failure::from(&w.client.simple_query(sql).expect_err(sql)).code
}

#[track_caller]
fn count(w: &mut Workspace, sql: &str) -> usize {
    rows(&mut w.client, sql).expect(sql).len()
}

/// Runs something under each failure, and looks for what it has left: a statement after it gives
/// all rows, no request goes on, and the backend has no more threads and descriptors.
fn under_each(w: &mut Workspace, mut run: impl FnMut(&mut Workspace, &str, &str)) {
    assert_eq!(count(w, ALL), SCALE);
    let backend = pid(w);
    let before = Held::of(backend);
    for (what, action, expected) in failures() {
        fail(w, &action);
        if expected == "57014" {
            w.client.batch_execute("SET statement_timeout = '1s'").expect("a setting");
        }
        run(w, what, expected);
        w.sandbox.clear_faults();
        w.client.batch_execute("RESET statement_timeout").expect("a setting");
        assert_eq!(count(w, ALL), SCALE, "{what}");
        until(what, || w.sandbox.running().is_empty());
        assert_eq!(Held::beyond(backend, before), None, "{what}");
    }
}

#[test]
fn a_transaction_fails_and_the_next_one_goes_well() {
    let Some(mut w) = workspace("errors_plain") else { return };
    under_each(&mut w, |w, what, expected| {
        assert_eq!(code(w, ALL), expected, "{what}");
        w.client.batch_execute("BEGIN; INSERT INTO written VALUES (1)").unwrap();
        assert_eq!(code(w, ALL), expected, "{what}");
        assert_eq!(code(w, "SELECT 1"), "25P02", "{what}");
        w.client.batch_execute("ROLLBACK").unwrap();
        assert_eq!(count(w, "SELECT FROM written"), 0, "{what}");
    });
}

#[test]
fn a_savepoint_is_gone_back_to() {
    let Some(mut w) = workspace("errors_savepoint") else { return };
    under_each(&mut w, |w, what, expected| {
        w.client.batch_execute("BEGIN; INSERT INTO written VALUES (1)").unwrap();
        for _ in 0..3 {
            w.client.batch_execute("SAVEPOINT s; INSERT INTO written VALUES (2)").unwrap();
            assert_eq!(code(w, ALL), expected, "{what}");
            w.client.batch_execute("ROLLBACK TO s").unwrap();
            assert_eq!(rows(&mut w.client, "SELECT n FROM written").unwrap(), ["1"], "{what}");
            assert_ne!(count(w, "SELECT id FROM projects"), 0, "{what}");
        }
        w.client.batch_execute("ROLLBACK").unwrap();
    });
}

#[test]
fn a_cursor_fails_and_others_go_on() {
    let Some(mut w) = workspace("errors_cursor") else { return };
    let expected_ids = rows(&mut w.client, "SELECT id FROM tasks").unwrap();
    under_each(&mut w, |w, what, expected| {
        w.client
            .batch_execute(
                "BEGIN;
                 DECLARE other CURSOR FOR SELECT id FROM tasks;
                 DECLARE early CURSOR FOR SELECT id, created_on FROM time_entries;
                 SAVEPOINT s;
                 DECLARE late CURSOR FOR SELECT id, created_on FROM time_entries",
            )
            .unwrap();
        let mut ids = rows(&mut w.client, "FETCH 120 FROM other").unwrap();
        assert_eq!(count(w, "FETCH 250 FROM late"), 250, "{what}");
        assert_eq!(code(w, "FETCH ALL FROM late"), expected, "{what}");
        w.client.batch_execute("ROLLBACK TO s").unwrap();
        // It was declared after the savepoint.
        assert_eq!(code(w, "FETCH 1 FROM late"), "34000", "{what}");
        w.client.batch_execute("ROLLBACK TO s").unwrap();
        ids.extend(rows(&mut w.client, "FETCH 1 FROM other").unwrap());

        assert_eq!(count(w, "FETCH 250 FROM early"), 250, "{what}");
        assert_eq!(code(w, "FETCH ALL FROM early"), expected, "{what}");
        w.client.batch_execute("ROLLBACK TO s").unwrap();
        // It is there and of no use, as PostgreSQL has it.
        assert_eq!(code(w, "FETCH 1 FROM early"), "55000", "{what}");
        w.client.batch_execute("ROLLBACK TO s; CLOSE early").unwrap();

        // What a subtransaction has taken from a cursor of the transaction is taken.
        w.client.batch_execute("SAVEPOINT t").unwrap();
        ids.extend(rows(&mut w.client, "FETCH 100 FROM other").unwrap());
        assert_eq!(code(w, ALL), expected, "{what}");
        w.client.batch_execute("ROLLBACK TO t").unwrap();
        ids.extend(rows(&mut w.client, "FETCH ALL FROM other").unwrap());
        w.client.batch_execute("COMMIT").unwrap();
        assert_eq!(ids, expected_ids, "{what}");
    });
}

#[test]
fn an_exception_block_in_a_loop_catches_each() {
    let Some(mut w) = workspace("errors_exception") else { return };
    w.client
        .batch_execute(
            "CREATE FUNCTION caught(times int) RETURNS text LANGUAGE plpgsql AS $$
             DECLARE r record; n int := 0; codes text[] := '{}';
             BEGIN
                 FOR i IN 1..times LOOP
                     BEGIN
                         INSERT INTO written VALUES (i);
                         FOR r IN SELECT id, created_on FROM time_entries LOOP n := n + 1; END LOOP;
                     EXCEPTION WHEN OTHERS OR query_canceled THEN
                         codes := codes || SQLSTATE::text;
                     END;
                     PERFORM id FROM projects LIMIT 1;
                 END LOOP;
                 RETURN (SELECT string_agg(DISTINCT code, ' ') || ' ' || count(*)
                         FROM unnest(codes) code) || ' ' || n || ' ' || (SELECT count(*) FROM written);
             END $$",
        )
        .unwrap();
    under_each(&mut w, |w, what, expected| {
        // A statement's time is up once.
        let times = if expected == "57014" { 1 } else { 12 };
        let caught = rows(&mut w.client, &format!("SELECT caught({times})")).unwrap().remove(0);
        // PL/pgSQL fetches ten rows, then fifty at a time: the last of them come with the failure.
        let complete = format!("{expected} {times} {} 0", times * 460);
        assert_eq!(caught, complete, "{what}");
    });
}

#[test]
fn parallel_workers_end_with_the_scan() {
    const JOINED: &str = "SELECT count(*), count(t.created_on) FROM local l
        JOIN time_entries t ON t.id = l.id WHERE l.n > 0";
    let Some(mut w) = workspace("errors_parallel") else { return };
    let version: i32 = rows(&mut w.client, "SHOW server_version_num").unwrap()[0].parse().unwrap();
    let debug = if version < 160_000 { "force_parallel_mode" } else { "debug_parallel_query" };
    w.client
        .batch_execute(&format!(
            "SET {debug} = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
             SET min_parallel_table_scan_size = 0; SET enable_nestloop = off;
             SET enable_mergejoin = off; SET parallel_leader_participation = off"
        ))
        .unwrap();
    let plan = rows(&mut w.client, &format!("EXPLAIN (COSTS OFF) {JOINED}")).unwrap().join("\n");
    assert!(plan.contains("Parallel Seq Scan on local"), "{plan}");
    assert!(plan.contains("Foreign Scan"), "{plan}");
    let right = rows(&mut w.client, JOINED).unwrap();
    assert_eq!(right, [format!("{0}|{0}", 5 * SCALE)]);
    under_each(&mut w, |w, what, expected| {
        for _ in 0..3 {
            assert_eq!(code(w, JOINED), expected, "{what}");
            let workers = "SELECT pid FROM pg_stat_activity
                WHERE backend_type = 'parallel worker' AND leader_pid = pg_backend_pid()";
            let left = rows(&mut w.client, &format!("SET {debug} = off; {workers}")).unwrap();
            assert_eq!(left, [""; 0], "{what}");
            w.client.batch_execute(&format!("SET {debug} = on")).unwrap();
        }
        w.sandbox.clear_faults();
        assert_eq!(rows(&mut w.client, JOINED).unwrap(), right, "{what}");
    });
}

#[test]
fn a_copy_breaks_off() {
    let Some(mut w) = workspace("errors_copy") else { return };
    let copy = format!("COPY ({ALL}) TO STDOUT");
    let mut whole = String::new();
    w.client.copy_out(&copy).unwrap().read_to_string(&mut whole).unwrap();
    assert_eq!(whole.lines().count(), SCALE);
    under_each(&mut w, |w, what, expected| {
        let mut part = String::new();
        let read = w.client.copy_out(&copy).map(|mut rows| rows.read_to_string(&mut part));
        let error = match read {
            Ok(read) => *read.expect_err(what).into_inner().expect("a cause").downcast().unwrap(),
            Err(error) => error,
        };
        assert_eq!(Failure::from(&error).code, expected, "{what}");
    });
}
