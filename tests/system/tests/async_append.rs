//! Several foreign scans below one Append run at the same time, and give what they give one
//! after another.

use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, Feature, LogEntry, Refused, Sandbox};
use system_tests::Workspace;
use system_tests::checked::rows;

/// What a request takes, where times are compared.
const LATENCY: Duration = Duration::from_millis(500);

/// Statements whose scans run at the same time.
const STATEMENTS: &[&str] = &[
    "SELECT id, duration FROM time_entries WHERE is_billable
     UNION ALL SELECT id, length(name) FROM tasks WHERE is_prio AND length(name) % 2 = 0
     UNION ALL SELECT id, -1 FROM projects WHERE name LIKE '%a%'",
    // local tables among them
    "SELECT id FROM local UNION ALL SELECT id FROM users UNION ALL SELECT id FROM companies
     UNION ALL SELECT id FROM local",
    // scans that only count, and slices
    "SELECT 'all', count(*) FROM time_entries UNION ALL SELECT 'tasks', count(*) FROM tasks
     UNION ALL SELECT 'billable', count(*) FROM time_entries WHERE is_billable",
    "(SELECT created_on FROM time_entries WHERE is_billable ORDER BY 1 LIMIT 7 OFFSET 30)
     UNION ALL (SELECT created_on FROM tasks ORDER BY 1 DESC LIMIT 5 OFFSET 3)",
    // conditions that nothing satisfies, and a key without a value
    "SELECT id FROM users WHERE id = NULL::uuid UNION ALL SELECT id FROM companies WHERE name = ''
     UNION ALL SELECT user_id FROM project_members WHERE project_id IN (SELECT id FROM local)
     UNION ALL SELECT id FROM tasks WHERE id = (SELECT max(id::text)::uuid FROM local)",
    // tables of two servers
    "SELECT * FROM entries WHERE duration > 600",
    "SELECT tableoid::regclass, is_billable, count(*), sum(duration) FROM entries GROUP BY 1, 2",
    "SELECT id FROM entries WHERE is_billable = (SELECT n = 1 FROM local ORDER BY n LIMIT 1)",
    "SELECT tableoid::regclass, id FROM parent",
    // rescans: with other values for each row, with the same, and ended early
    "SELECT p.id, e.n FROM projects p, LATERAL (
         SELECT count(b.id) AS n FROM (
             SELECT t.id FROM tasks t WHERE t.project_id = p.id
             UNION ALL SELECT e.id FROM time_entries e WHERE e.project_id = p.id) b) e",
    "SELECT l.n, u.id FROM local l CROSS JOIN (
         SELECT id FROM users UNION ALL SELECT id FROM companies) u WHERE l.n <= 3",
    "SELECT l.n FROM local l WHERE EXISTS (
         SELECT FROM users u WHERE u.id = l.id
         UNION ALL SELECT FROM companies c WHERE length(c.name) = l.n)",
    "SELECT count(*) FROM (SELECT id FROM (
         SELECT id FROM time_entries UNION ALL SELECT id FROM tasks UNION ALL SELECT id FROM users
     ) a LIMIT 2100) b",
];

/// A workspace with a local table, and with a partitioned and an inherited one of which a part is
/// `other`'s.
fn workspace(name: &str, config: Config, other: &Sandbox) -> Option<Workspace> {
    let mut w = Workspace::imported(name, config)?;
    w.client
        .batch_execute(&format!(
            "DROP SERVER IF EXISTS {name}_other CASCADE;
             CREATE SERVER {name}_other FOREIGN DATA WRAPPER awork_fdw
                 OPTIONS (api_url '{}', max_retries '0');
             CREATE USER MAPPING FOR CURRENT_USER SERVER {name}_other
                 OPTIONS (api_key 'awork-sandbox-key');
             CREATE TABLE entries (id uuid, is_billable boolean, duration integer)
                 PARTITION BY LIST (is_billable);
             CREATE FOREIGN TABLE billable PARTITION OF entries FOR VALUES IN (true)
                 SERVER {name} OPTIONS (resource 'time_entries');
             CREATE FOREIGN TABLE unbillable PARTITION OF entries FOR VALUES IN (false)
                 SERVER {name}_other OPTIONS (resource 'time_entries');
             CREATE TABLE parent (id uuid);
             CREATE FOREIGN TABLE child () INHERITS (parent)
                 SERVER {name} OPTIONS (resource 'tasks');
             CREATE FOREIGN TABLE other_child () INHERITS (parent)
                 SERVER {name}_other OPTIONS (resource 'tasks');
             INSERT INTO parent SELECT gen_random_uuid();
             CREATE TABLE local AS SELECT row_number() OVER () AS n, id FROM users LIMIT 20",
            other.api_url()
        ))
        .expect("the tables can be made");
    Some(w)
}

fn other(config: Config) -> Sandbox {
    Sandbox::start(Config { seed: 2, ..config }).expect("the sandbox starts")
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort_unstable();
    rows
}

fn set_async(w: &mut Workspace, setting: &str) {
    w.client.batch_execute(&format!("SET enable_async_append = {setting}")).unwrap();
}

fn async_scans(w: &mut Workspace, sql: &str) -> usize {
    let plan = rows(&mut w.client, &format!("EXPLAIN {sql}")).expect("it can be explained");
    plan.iter().filter(|line| line.contains("Async Foreign Scan")).count()
}

/// Waits until nothing runs, and gives what was asked.
fn finished(sandbox: &Sandbox) -> Vec<LogEntry> {
    let deadline = Instant::now() + Duration::from_secs(2);
    while sandbox.log().iter().any(|entry| entry.finished.is_none()) {
        assert!(Instant::now() < deadline, "still running: {:?}", sandbox.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    sandbox.log()
}

#[test]
fn answers_are_those_of_one_scan_after_another() {
    let config = Config { scale: 1_500, ..Config::default() };
    let other = other(config.clone());
    let Some(mut w) = workspace("async_same", config, &other) else { return };
    for sql in STATEMENTS {
        set_async(&mut w, "off");
        assert_eq!(async_scans(&mut w, sql), 0, "{sql}");
        let expected = sorted(rows(&mut w.client, sql).expect(sql));
        set_async(&mut w, "on");
        assert!(async_scans(&mut w, sql) >= 2, "{sql}");
        assert_eq!(sorted(rows(&mut w.client, sql).expect(sql)), expected, "{sql}");
    }
}

#[test]
fn a_refusal_makes_no_scan_wait() {
    let config = Config { scale: 1_500, ..Config::default() };
    let other = other(config.clone());
    let Some(mut w) = workspace("async_refused", config, &other) else { return };
    set_async(&mut w, "off");
    let expected: Vec<Vec<String>> =
        STATEMENTS.iter().map(|sql| sorted(rows(&mut w.client, sql).expect(sql))).collect();
    set_async(&mut w, "on");
    // Rows are counted and sorted here where awork does neither.
    let features = [Feature::Filter, Feature::Order].into();
    w.sandbox.refuse(Refused { features, ..Refused::default() });
    for (sql, expected) in STATEMENTS.iter().zip(expected) {
        assert_eq!(sorted(rows(&mut w.client, sql).expect(sql)), expected, "{sql}");
    }
}

#[test]
fn plans_and_cursors_serve_again() {
    let config = Config { scale: 1_500, ..Config::default() };
    let other = other(config.clone());
    let Some(mut w) = workspace("async_again", config, &other) else { return };
    let all = "SELECT id FROM users UNION ALL SELECT id FROM tasks UNION ALL SELECT id FROM local";
    let expected = sorted(rows(&mut w.client, all).unwrap());

    // The plan becomes a generic one on the way.
    let longer = |n: i32| {
        format!(
            "SELECT id FROM time_entries WHERE duration > {n}
             UNION ALL SELECT id FROM tasks WHERE length(name) > {n} / 100"
        )
    };
    let generic = longer(0).replace("> 0", "> $1");
    w.client.batch_execute(&format!("PREPARE longer (integer) AS {generic}")).unwrap();
    for n in (600..=4200).step_by(600) {
        let executed = sorted(rows(&mut w.client, &format!("EXECUTE longer ({n})")).unwrap());
        assert_eq!(executed, sorted(rows(&mut w.client, &longer(n)).unwrap()), "{n}");
    }

    for (scrolls, goes_back) in [("", false), ("SCROLL", true)] {
        let declare = format!("BEGIN; DECLARE c {scrolls} CURSOR FOR {all}");
        w.client.batch_execute(&declare).unwrap();
        let mut fetched = Vec::new();
        loop {
            let ten = rows(&mut w.client, "FETCH 10 FROM c").unwrap();
            if ten.is_empty() {
                break;
            }
            if goes_back && fetched.len() == 20 {
                let back = rows(&mut w.client, "FETCH BACKWARD 1 FROM c").unwrap();
                assert_eq!(back, ten[8..9]);
                assert_eq!(rows(&mut w.client, "FETCH 1 FROM c").unwrap(), ten[9..]);
            }
            fetched.extend(ten);
        }
        assert_eq!(sorted(fetched), expected, "{scrolls}");
        w.client.batch_execute("COMMIT").unwrap();
    }
}

#[test]
fn a_row_that_changed_meanwhile_is_checked_again() {
    let config = Config { scale: 100, ..Config::default() };
    let other = other(config.clone());
    let Some(mut w) = workspace("async_again_checked", config, &other) else { return };
    let Some(mut first) = system_tests::connect() else { return };
    first
        .batch_execute("BEGIN; UPDATE async_again_checked.local SET n = n + 100")
        .expect("the rows can be changed");
    let update = "UPDATE local l SET n = l.n + 1000 FROM (
            SELECT id FROM users UNION ALL SELECT id FROM companies) u WHERE u.id = l.id
        RETURNING l.n";
    assert_eq!(async_scans(&mut w, update), 2);
    let committing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        first.batch_execute("COMMIT").expect("the other transaction ends");
    });
    let changed = w.client.query(update, &[]).expect("the statement goes on");
    committing.join().expect("the other session ends");
    assert_eq!(changed.len(), 20);
    assert!(changed.iter().all(|row| row.get::<_, i64>(0) > 1100), "{changed:?}");
}

#[test]
fn scans_run_at_the_same_time() {
    let config = Config { scale: 500, latency: LATENCY, ..Config::default() };
    let other = other(config.clone());
    let Some(mut w) = workspace("async_overlap", config, &other) else { return };
    let three = "SELECT id FROM time_entries WHERE is_billable
        UNION ALL SELECT id FROM tasks WHERE is_prio UNION ALL SELECT id FROM users";
    let counts = "SELECT count(*) FROM time_entries UNION ALL SELECT count(*) FROM tasks
        UNION ALL SELECT count(*) FROM users";
    for sql in [three, counts] {
        // The first request of a session takes longer.
        w.client.query(sql, &[]).unwrap();
        w.sandbox.clear_log();
        let started = Instant::now();
        w.client.query(sql, &[]).unwrap();
        let took = started.elapsed();
        let begun: Vec<f64> = w.sandbox.log().iter().map(|entry| entry.started).collect();
        assert_eq!(begun.len(), 3, "{sql}");
        let ended = w.sandbox.log()[0].finished.expect("it was answered");
        assert!(begun.iter().all(|begun| *begun < ended), "{sql}: one after another: {begun:?}");
        assert!(took < 3 * LATENCY, "{sql}: {took:?}");
    }

    // Of two servers as well, and rows of one come while the other waits.
    let slow = Duration::from_secs(2);
    for sandbox in [&w.sandbox, &other] {
        sandbox.add_fault(Fault {
            path: "/timeentries".into(),
            query: None,
            nth: None,
            first: None,
            action: Action::Latency { ms: slow.as_millis() as u64 },
        });
    }
    let started = Instant::now();
    w.client.query("SELECT id FROM entries", &[]).unwrap();
    let took = started.elapsed();
    assert!(took > slow && took < 2 * slow, "{took:?}");
    let started = Instant::now();
    let limited = format!("SELECT * FROM ({three}) a LIMIT 2");
    assert_eq!(w.client.query(&limited, &[]).unwrap().len(), 2);
    assert!(started.elapsed() < slow, "{:?}", started.elapsed());
}

#[test]
fn an_early_end_and_an_error_stop_all_scans() {
    let config = Config { scale: 10_000, ..Config::default() };
    let other = other(config.clone());
    let Some(mut w) = workspace("async_stops", config, &other) else { return };
    w.client.batch_execute("ALTER SERVER async_stops OPTIONS (ADD page_size '100')").unwrap();
    let all = "SELECT id FROM time_entries UNION ALL SELECT id FROM tasks WHERE name <> ''";
    // One page of each is all that is asked for; where the first comes at once, the statement may
    // end before the other request has left.
    w.sandbox.clear_log();
    w.client.query(&format!("SELECT * FROM ({all}) a LIMIT 10"), &[]).unwrap();
    let asked = finished(&w.sandbox).len();
    assert!((1..=2).contains(&asked), "{asked} pages were asked for");
    w.sandbox.clear_log();
    w.client.query(&format!("SELECT * FROM ({all}) a LIMIT 500"), &[]).unwrap();
    let asked = finished(&w.sandbox).len();
    assert!(asked <= 24, "{asked} pages were asked for");

    let fault = |path: &str, nth, action| Fault {
        path: path.into(),
        query: None,
        nth,
        first: None,
        action,
    };
    let failing = Action::Status { status: 500, code: None, retry_after: None };
    for nth in [None, Some(3)] {
        w.sandbox.add_fault(fault("/me/allavailabletasks", nth, failing.clone()));
        w.sandbox.add_fault(fault("/timeentries", None, Action::Latency { ms: 100 }));
        w.sandbox.clear_log();
        let failure = w.failure(all);
        assert!(failure.text.contains("resource \"tasks\""), "{}", failure.text);
        let entries = finished(&w.sandbox);
        let read = entries.iter().filter(|e| e.path.ends_with("/timeentries")).count();
        assert!(read < 100, "all {read} pages of the other scan were read");
        w.sandbox.clear_faults();
    }
    assert!(w.client.query(all, &[]).unwrap().len() > 10_000);
}
