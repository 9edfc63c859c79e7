//! Tokens of logins are renewed in time and once, however many sessions ask and whatever becomes of
//! the request.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, LogEntry, Sandbox};
use postgres::Client;
use system_tests::checked::rows;
use system_tests::logins::{
    COUNT, asked_for_tokens, config, count, logged_in, oauth, refresh_fault, session, status, until,
};
use system_tests::{Workspace, failure, log_in};

#[test]
fn tokens_are_renewed_before_and_after_they_expire() {
    let Some((mut w, n)) = logged_in("logins_clock", config()) else { return };
    w.age("interval '10 minutes'");
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 0));
    for (round, left) in ["1 minute", "0", "-1 day"].into_iter().enumerate() {
        w.age(&format!("interval '{left}'"));
        assert_eq!((count(&mut w.client), w.refreshes()), (n, round + 1));
        assert_eq!((count(&mut w.client), w.refreshes()), (n, round + 1));
    }
    // The old token was not tried first.
    assert!(w.sandbox.log().iter().all(|entry| entry.status == Some(200)));
}

#[test]
fn tokens_of_a_short_life_are_renewed_over_and_over() {
    let config = oauth(|oauth| oauth.access_token_lifetime = Duration::from_secs(3));
    let Some((mut w, n)) = logged_in("logins_short", config) else { return };
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        assert_eq!(count(&mut w.client), n);
        thread::sleep(Duration::from_millis(100));
    }
    assert!((2..=12).contains(&w.refreshes()), "{}", w.refreshes());
}

#[test]
fn an_unexpected_401_is_followed_by_one_refresh() {
    let Some((mut w, n)) = logged_in("logins_401", config()) else { return };
    assert_eq!(w.sandbox.expire_access_tokens(), 1);
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
    let statuses: Vec<u16> = w.sandbox.log().iter().filter_map(|entry| entry.status).collect();
    assert_eq!(statuses[..3], [401, 200, 200], "{statuses:?}");
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
}

#[test]
fn a_new_token_that_is_refused_as_well_ends_the_statement() {
    let Some((mut w, n)) = logged_in("logins_loop", config()) else { return };
    w.sandbox.add_fault(Fault {
        path: "/projects".into(),
        query: None,
        nth: None,
        first: None,
        action: Action::Expired,
    });
    w.failure("SELECT count(name) FROM projects").is("28000", &["awork_fdw_login_url"]);
    assert_eq!(w.refreshes(), 1);
    w.sandbox.clear_faults();
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
}

#[test]
fn what_the_user_may_not_read_is_no_reason_for_a_refresh() {
    let Some(mut w) = Workspace::with_logins("logins_forbidden", config()) else { return };
    w.log_in("limited");
    let refused = w.failure("SELECT count(*) FROM time_entries");
    refused.is("42501", &["permission denied by awork", "logged in"]);
    assert_eq!(w.refreshes(), 0);
}

#[test]
fn planning_renews_nothing() {
    let Some((mut w, _)) = logged_in("logins_explain", config()) else { return };
    for expired in [true, false] {
        match expired {
            true => w.expire(),
            false => drop(rows(&mut w.client, "SELECT awork_fdw_logout('logins_explain')")),
        }
        let plan = rows(&mut w.client, "EXPLAIN (VERBOSE) SELECT * FROM projects").unwrap();
        assert!(plan.concat().contains("Foreign Scan"), "{plan:?}");
        assert_eq!(w.sandbox.log(), []);
    }
}

#[test]
fn analyze_and_check_renew_tokens_too() {
    let Some((mut w, _)) = logged_in("logins_check", config()) else { return };
    let check = "SELECT ok FROM awork_fdw_check('logins_check')";
    for (round, sql) in ["ANALYZE projects; SELECT true", check].into_iter().enumerate() {
        w.sandbox.expire_access_tokens();
        assert_eq!(
            (rows(&mut w.client, sql).unwrap(), w.refreshes()),
            (vec!["t".into()], 2 * round + 1)
        );
        w.expire();
        assert_eq!(
            (rows(&mut w.client, sql).unwrap(), w.refreshes()),
            (vec!["t".into()], 2 * round + 2)
        );
    }
}

#[test]
fn a_long_scan_gives_every_row_once_when_its_token_expires_on_the_way() {
    let config = Config { scale: 5_000, latency: Duration::from_millis(150), ..Config::default() };
    let Some((mut w, _)) = logged_in("logins_scan", config) else { return };
    w.client
        .batch_execute(
            "ALTER SERVER logins_scan OPTIONS (ADD page_size '100', ADD max_concurrency '3')",
        )
        .unwrap();
    let sql = "SELECT id FROM time_entries WHERE note IS DISTINCT FROM 'x'";
    let mut expected: Vec<String> = w
        .sandbox
        .rows("time_entries", &[])
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    expected.sort_unstable();
    assert_eq!(expected.len(), 5_000);
    let (client, sandbox) = (&mut w.client, &w.sandbox);
    let mut found = thread::scope(|scope| {
        let scan = scope.spawn(move || rows(client, sql).unwrap());
        for round in 1..=2 {
            let is_on = |entry: &LogEntry| entry.status == Some(200) && entry.rows > Some(50);
            until("the scan goes on", || {
                sandbox.log().iter().filter(|e| is_on(e)).count() >= round * 10
            });
            sandbox.expire_access_tokens();
        }
        scan.join().unwrap()
    });
    found.sort_unstable();
    assert!(found == expected, "{} rows", found.len());
    assert_eq!(w.refreshes(), 2);
    assert!(w.sandbox.log().iter().any(|entry| entry.status == Some(401)));
}

/// Holds a statement, whose plan has nodes of a kind, against itself where it waits for a refresh.
fn same_over_a_refresh(w: &mut Workspace, sql: &str, kind: &str) {
    let plan = rows(&mut w.client, &format!("EXPLAIN {sql}")).unwrap().join("\n");
    assert!(plan.contains(kind), "{plan}");
    let expected = Ok(rows(&mut w.client, sql).unwrap());
    for _ in 0..3 {
        w.sandbox.clear_log();
        assert_ne!(w.sandbox.expire_access_tokens(), 0);
        assert_eq!((rows(&mut w.client, sql), w.refreshes()), (expected.clone(), 1));
        w.expire();
        assert_eq!((rows(&mut w.client, sql), w.refreshes()), (expected.clone(), 2));
    }
}

#[test]
fn lookup_joins_wait_for_one_refresh() {
    let Some((mut w, _)) = logged_in("logins_lookup", config()) else { return };
    w.client
        .batch_execute(
            "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
             SET enable_memoize = off; SET awork_fdw.request_cost = 10;",
        )
        .unwrap();
    let sql = "SELECT count(p.name) FROM tasks t JOIN projects p ON p.id = t.project_id";
    same_over_a_refresh(&mut w, sql, "Lookup Join of");
}

#[test]
fn scans_side_by_side_wait_for_one_refresh() {
    let Some((mut w, _)) = logged_in("logins_async", config()) else { return };
    let sql = "SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM time_entries
        UNION ALL SELECT id FROM tasks UNION ALL SELECT id FROM projects) x";
    same_over_a_refresh(&mut w, sql, "Async Foreign Scan");
}

// Refreshes that fail, and lost answers.

#[test]
fn a_refresh_that_did_not_happen_is_tried_again() {
    let Some((mut w, n)) = logged_in("logins_again", config()) else { return };
    w.client.batch_execute("ALTER SERVER logins_again OPTIONS (ADD request_timeout '2')").unwrap();
    for action in [status(500), status(503), Action::Hang, Action::Html, Action::Blocked] {
        refresh_fault(&w, action.clone(), Some(1));
        w.expire();
        w.sandbox.clear_log();
        let failed = w.failure(COUNT);
        assert!(!failed.text.contains("interrupted"), "{action:?}: {failed:?}");
        assert_eq!((count(&mut w.client), w.refreshes()), (n, 2), "{action:?}");
        assert_eq!((count(&mut w.client), w.refreshes()), (n, 2), "{action:?}");
        w.sandbox.clear_faults();
    }
}

#[test]
fn a_token_request_is_sent_once_and_follows_no_redirect() {
    let Some((mut w, n)) = logged_in("logins_resent", config()) else { return };
    let other = Sandbox::start(config()).unwrap();
    w.client
        .batch_execute(
            "ALTER SERVER logins_resent OPTIONS (SET max_retries '3', ADD request_timeout '2')",
        )
        .unwrap();
    let location = format!("{}/accounts/token", other.api_url());
    for action in [
        status(500),
        Action::Status { status: 429, code: None, retry_after: Some(1) },
        Action::Hang,
        Action::Redirect { location: location.clone(), status: Some(307) },
        Action::Redirect { location, status: None },
    ] {
        w.sandbox.clear_log();
        refresh_fault(&w, action.clone(), None);
        w.expire();
        w.failure(COUNT);
        assert_eq!(w.refreshes(), 1, "{action:?}");
        w.sandbox.clear_faults();
        assert_eq!((count(&mut w.client), w.refreshes()), (n, 2), "{action:?}");
    }
    assert_eq!(other.log(), []);
}

#[test]
fn while_the_token_is_good_a_failing_refresh_harms_no_statement() {
    let Some((mut w, n)) = logged_in("logins_early", config()) else { return };
    refresh_fault(&w, status(500), None);
    w.age("interval '2 minutes'");
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
    w.expire();
    let failed = w.failure(COUNT);
    assert_ne!(failed.code, "28000", "{failed:?}");
    w.sandbox.clear_faults();
    assert_eq!(count(&mut w.client), n);
}

#[test]
fn a_lost_answer_is_told_and_a_new_login_helps() {
    for (name, lost) in
        [("logins_lost", Action::HangAfter), ("logins_cut", Action::CutBody { after: None })]
    {
        let Some((mut w, n)) = logged_in(name, config()) else { return };
        w.client
            .batch_execute(&format!("ALTER SERVER {name} OPTIONS (ADD request_timeout '2')"))
            .unwrap();
        refresh_fault(&w, lost, Some(1));
        w.expire();
        let unknown = w.failure(COUNT);
        assert!(unknown.text.contains("not known whether awork has replaced"), "{unknown:?}");
        assert_eq!(w.refreshes(), 1);
        w.failure(COUNT).is("28000", &["was interrupted", "lost", "awork_fdw_login_url"]);
        assert_eq!(w.refreshes(), 2);
        w.failure(COUNT).is("28000", &["awork_fdw_login_url"]);
        assert_eq!(w.refreshes(), 2);
        w.log_in("admin");
        assert_eq!(count(&mut w.client), n);
        // The new login has nothing of the old one's past.
        w.expire();
        assert_eq!(count(&mut w.client), n);
        w.sandbox.revoke_logins("admin");
        let refused = w.failure(COUNT);
        assert!(!refused.text.contains("interrupted"), "{refused:?}");
    }
}

#[test]
fn an_early_refresh_whose_answer_is_lost_ends_in_the_way_to_another_login() {
    let Some((mut w, n)) = logged_in("logins_early_lost", config()) else { return };
    w.client
        .batch_execute("ALTER SERVER logins_early_lost OPTIONS (ADD request_timeout '2')")
        .unwrap();
    refresh_fault(&w, Action::HangAfter, Some(1));
    w.age("interval '2 minutes'");
    // awork takes the old access token still.
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
    // This session lets it be for a while. Of another one, the second use of the refresh token
    // ends the login.
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
    failure(&mut session("logins_early_lost"), COUNT).is("28000", &["awork_fdw_login_url"]);
    w.failure(COUNT).is("28000", &["awork_fdw_login_url"]);
    assert_eq!(w.refreshes(), 2);
    w.log_in("admin");
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 2));
}

#[test]
fn a_cancelled_statement_loses_no_token() {
    let Some((mut w, n)) = logged_in("logins_cancel", config()) else { return };
    for by_clock in [true, false] {
        w.sandbox.clear_log();
        w.sandbox.clear_faults();
        refresh_fault(&w, Action::Latency { ms: 4_000 }, Some(1));
        match by_clock {
            true => w.expire(),
            false => drop(w.sandbox.expire_access_tokens()),
        }
        w.client.batch_execute("SET statement_timeout = '1s'").unwrap();
        let started = Instant::now();
        w.failure(COUNT).is("57014", &["timeout"]);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert_eq!(w.refreshes(), 1);
        w.client.batch_execute("SET statement_timeout = '120s'").unwrap();
        // While the worker waits for awork, the next statement waits for the worker.
        assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
        assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
    }
}

#[test]
fn a_session_that_is_terminated_loses_no_token() {
    let Some((mut w, n)) = logged_in("logins_terminate", config()) else { return };
    refresh_fault(&w, Action::Latency { ms: 2_000 }, Some(1));
    w.expire();
    let mut other = session("logins_terminate");
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let (client, sandbox) = (&mut w.client, &w.sandbox);
    thread::scope(|scope| {
        scope.spawn(move || other.query_one(COUNT, &[]).unwrap_err());
        until("no refresh", || !asked_for_tokens(sandbox).is_empty());
        client.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    });
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
}

#[test]
fn a_handler_of_the_interruption_can_ask_again() {
    let Some((mut w, n)) = logged_in("logins_handler", config()) else { return };
    refresh_fault(&w, Action::Latency { ms: 3_000 }, Some(1));
    w.expire();
    let mut other = session("logins_handler");
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let (client, sandbox) = (&mut w.client, &w.sandbox);
    let mut other = thread::scope(|scope| {
        let handled = scope.spawn(move || {
            other
                .batch_execute(
                    "BEGIN; DO $$ BEGIN PERFORM count(*) FROM projects; RAISE 'not cancelled';
                     EXCEPTION WHEN query_canceled THEN END $$",
                )
                .unwrap();
            other
        });
        until("no refresh", || !asked_for_tokens(sandbox).is_empty());
        client.execute("SELECT pg_cancel_backend($1)", &[&pid]).unwrap();
        handled.join().unwrap()
    });
    // The transaction goes on, and holds up neither itself nor others.
    assert_eq!(count(&mut w.client), n);
    assert_eq!((count(&mut other), w.refreshes()), (n, 1));
    w.expire();
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 2));
    assert_eq!(count(&mut other), n);
    other.batch_execute("COMMIT").unwrap();
}

// Many sessions.

#[test]
fn of_many_sessions_one_refreshes() {
    let Some((mut w, n)) = logged_in("logins_many", config()) else { return };
    for by_clock in [true, false] {
        w.sandbox.clear_log();
        let mut clients: Vec<Client> = (0..20).map(|_| session("logins_many")).collect();
        if by_clock {
            w.expire();
        } else {
            // All have begun with the token that is refused.
            clients.iter_mut().for_each(|client| assert_eq!(count(client), n));
            w.sandbox.expire_access_tokens();
        }
        let barrier = Barrier::new(clients.len());
        thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| {
                    barrier.wait();
                    assert_eq!(count(client), n);
                });
            }
        });
        assert_eq!(w.refreshes(), 1);
    }
}

#[test]
fn roles_refresh_side_by_side() {
    let Some(mut w) = Workspace::with_logins("logins_crowd", config()) else { return };
    let mut roles: Vec<Client> = (0..12).map(|i| w.role(&format!("logins_crowd_{i}"))).collect();
    for role in &mut roles {
        log_in(role, &w.sandbox, "logins_crowd", "limited");
    }
    // There are fewer places for workers than roles.
    refresh_fault(&w, Action::Latency { ms: 300 }, None);
    w.expire();
    let barrier = Barrier::new(roles.len());
    thread::scope(|scope| {
        for role in &mut roles {
            scope.spawn(|| {
                barrier.wait();
                assert_ne!(count(role), 0);
            });
        }
    });
    assert_eq!(w.refreshes(), roles.len());
}

#[test]
fn a_failing_token_endpoint_is_asked_by_one_session_at_a_time_while_the_token_is_good() {
    let Some((mut w, n)) = logged_in("logins_slow", config()) else { return };
    refresh_fault(&w, Action::Latency { ms: 5_000 }, Some(1));
    w.age("interval '2 minutes'");
    let (client, sandbox) = (&mut w.client, &w.sandbox);
    thread::scope(|scope| {
        let mut other = session("logins_slow");
        let asking = scope.spawn(move || count(&mut other));
        until("no refresh", || !asked_for_tokens(sandbox).is_empty());
        let started = Instant::now();
        assert_eq!(count(client), n);
        assert!(started.elapsed() < Duration::from_secs(4) && !asking.is_finished());
        assert_eq!(asking.join().unwrap(), n);
    });
    assert_eq!(w.refreshes(), 1);
}
