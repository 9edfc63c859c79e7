//! Cancelling takes effect within 100 ms at every stage, and leaves no request running.

use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault};
use postgres::NoTls;
use system_tests::logins::until;
use system_tests::processes::has_ended;
use system_tests::{Failure, Workspace};

const LIMIT: Duration = Duration::from_millis(100);

fn stages() -> [(&'static str, Action); 4] {
    [
        ("headers", Action::Latency { ms: 10_000 }),
        ("body", Action::SlowBody { after: None, ms: 10_000 }),
        ("silence", Action::Hang),
        ("back-off", Action::Status { status: 429, code: None, retry_after: Some(10) }),
    ]
}

/// How long a cancelled statement goes on after it is cancelled.
fn cancelled(w: &mut Workspace, sql: &str) -> Duration {
    let token = w.client.cancel_token();
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        let sent = Instant::now();
        token.cancel_query(NoTls).expect("the cluster takes the cancel request");
        sent
    });
    let error = w.client.query(sql, &[]).expect_err("the statement is cancelled");
    let ended = Instant::now();
    assert_eq!(Failure::from(&error).code, "57014");
    ended.duration_since(canceller.join().expect("the canceller ends"))
}

/// Waits until the sandbox has no request that the client still waits for.
fn assert_nothing_runs(w: &Workspace, stage: &str) {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let running: Vec<_> =
            w.sandbox.log().into_iter().filter(|e| e.finished.is_none() && !e.gone).collect();
        if running.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{stage}: still running: {running:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn cancel_and_timeout_at_every_stage() {
    let config = Config { scale: 500, ..Config::default() };
    let Some(mut w) = Workspace::imported("interrupts", config) else { return };
    w.client.batch_execute("ALTER SERVER interrupts OPTIONS (SET max_retries '3')").unwrap();
    // The first request of a session starts threads, which is not what is measured.
    w.client.query("SELECT id FROM companies", &[]).unwrap();
    for (stage, action) in stages() {
        let fault = Fault { path: "/projects".into(), query: None, nth: None, first: None, action };
        w.sandbox.add_fault(fault);
        ends_at_once(&mut w, stage, "SELECT count(created_on) FROM projects");
        w.sandbox.clear_faults();
        let rows = w.client.query("SELECT id FROM projects", &[]).unwrap();
        assert_eq!(rows.len(), w.sandbox.rows("projects", &[]).len(), "{stage}");
    }
}

/// Cancels a statement, and lets it run into its timeout: both take effect in time, and leave
/// nothing running.
fn ends_at_once(w: &mut Workspace, stage: &str, sql: &str) {
    let took = cancelled(w, sql);
    assert!(took < LIMIT, "{stage}: cancelled after {took:?}");
    assert_nothing_runs(w, stage);

    w.client.batch_execute("SET statement_timeout = '300ms'").unwrap();
    let started = Instant::now();
    let failure = w.failure(sql);
    let took = started.elapsed();
    // What would wait beyond the timeout says at once why it had to wait, if that is known in time.
    let codes: &[&str] = if stage == "back-off" { &["53400", "57014"] } else { &["57014"] };
    assert!(codes.contains(&failure.code.as_str()), "{stage}: {failure:?}");
    assert!(took < Duration::from_millis(300) + LIMIT, "{stage}: timed out after {took:?}");
    w.client.batch_execute("RESET statement_timeout").unwrap();
    assert_nothing_runs(w, stage);
}

#[test]
fn cancel_and_timeout_while_several_scans_are_waited_for() {
    let config = Config { scale: 500, ..Config::default() };
    let Some(mut w) = Workspace::imported("interrupted_append", config) else { return };
    w.client
        .batch_execute("ALTER SERVER interrupted_append OPTIONS (SET max_retries '3')")
        .unwrap();
    w.client.query("SELECT id FROM companies", &[]).unwrap();
    let all =
        "SELECT id FROM projects UNION ALL SELECT id FROM users UNION ALL SELECT id FROM tasks";
    let plan = w.client.query(&format!("EXPLAIN {all}"), &[]).unwrap();
    assert!(plan.iter().any(|line| line.get::<_, &str>(0).contains("Async Foreign Scan")));
    for (stage, action) in stages() {
        let path = String::new();
        w.sandbox.add_fault(Fault { path, query: None, nth: None, first: None, action });
        ends_at_once(&mut w, stage, all);
        w.sandbox.clear_faults();
    }
}

#[test]
fn the_check_can_be_cancelled() {
    let config = Config { scale: 100, ..Config::default() };
    let Some(mut w) = Workspace::empty("interrupted_check", config) else { return };
    let action = Action::Hang;
    w.sandbox.add_fault(Fault { path: String::new(), query: None, nth: None, first: None, action });
    let took = cancelled(&mut w, "SELECT * FROM awork_fdw_check('interrupted_check')");
    assert!(took < LIMIT, "cancelled after {took:?}");
    assert_nothing_runs(&w, "check");
}

#[test]
fn a_terminated_session_ends_at_once() {
    let config = Config { scale: 100, ..Config::default() };
    let Some(mut w) = Workspace::imported("terminated", config) else { return };
    let Some(mut other) = system_tests::connect() else { return };
    let pid: i32 = w.client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    w.sandbox.add_fault(Fault {
        path: "/projects".into(),
        query: None,
        nth: None,
        first: None,
        action: Action::Hang,
    });
    let terminator = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        let sent = Instant::now();
        other.query("SELECT pg_terminate_backend($1)", &[&pid]).expect("it can be terminated");
        while std::path::Path::new(&format!("/proc/{pid}")).exists() {
            assert!(sent.elapsed() < Duration::from_secs(5), "the backend goes on");
            thread::sleep(Duration::from_millis(5));
        }
        sent.elapsed()
    });
    w.client.query("SELECT * FROM projects", &[]).expect_err("the session is terminated");
    let took = terminator.join().expect("the terminator ends");
    assert!(took < LIMIT * 2, "ended after {took:?}");
    assert_nothing_runs(&w, "terminate");
}

#[test]
fn sessions_that_idle_for_too_long_leave_nothing() {
    let config = Config { scale: 3000, ..Config::default() };
    let Some(mut w) = Workspace::imported("idle", config) else { return };
    w.client.batch_execute("ALTER SERVER idle OPTIONS (ADD page_size '100')").unwrap();
    let later = Fault {
        path: "/timeentries".into(),
        query: Some("page=8&".into()),
        nth: None,
        first: None,
        action: Action::Hang,
    };
    for (setting, held) in [
        // Pages are on their way while the client does nothing with the first rows.
        (
            "idle_in_transaction_session_timeout",
            "BEGIN; DECLARE c CURSOR FOR SELECT id FROM idle.time_entries; FETCH 600 FROM c",
        ),
        ("idle_session_timeout", "SELECT id FROM idle.time_entries LIMIT 250"),
    ] {
        let Some(mut client) = system_tests::connect() else { return };
        let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        w.sandbox.add_fault(later.clone());
        client.batch_execute(held).unwrap();
        let on_their_way = usize::from(held.contains("FETCH"));
        until(setting, || w.sandbox.running().len() == on_their_way);
        client.batch_execute(&format!("SET {setting} = '300ms'")).unwrap();
        until(setting, || has_ended(pid));
        assert_nothing_runs(&w, setting);
        w.sandbox.clear_faults();
        assert!(client.is_closed() || client.batch_execute("SELECT 1").is_err(), "{setting}");
    }
}

#[test]
fn an_early_end_stops_the_requests() {
    let config = Config { scale: 20_000, ..Config::default() };
    let Some(mut w) = Workspace::imported("early_end", config) else { return };
    // A page is enough, so that one is all that is asked for.
    w.client.query("SELECT id FROM time_entries LIMIT 10", &[]).unwrap();
    assert_eq!(w.sandbox.log().len(), 1);
    w.sandbox.clear_log();
    w.client.query("SELECT id FROM time_entries LIMIT 2500", &[]).unwrap();
    assert_nothing_runs(&w, "limit");
    assert!(w.sandbox.log().len() <= 8, "{} of 20 pages were asked for", w.sandbox.log().len());
}
