//! Who asks without being an admin in awork is told that rows may be missing.

use awork_sandbox::{Action, Config, Fault};
use postgres::Client;
use system_tests::{Notices, Workspace, connect_as};

const ADMIN: &str = "awork-sandbox-key";
const LIMITED: &str = "awork-sandbox-limited";

/// A workspace, and a session of a role whose key this is.
fn with_key(name: &str, key: &str) -> Option<(Workspace, Client, Notices)> {
    let mut w = Workspace::imported(name, Config { scale: 100, ..Config::default() })?;
    w.role(&format!("{name}_a"));
    w.run(&format!(
        "CREATE USER MAPPING FOR {name}_a SERVER {name} OPTIONS (api_key '{key}');
         ALTER ROLE {name}_a RESET client_min_messages"
    ));
    let (client, notices) = again(name);
    Some((w, client, notices))
}

/// Another session of the same role.
fn again(name: &str) -> (Client, Notices) {
    let notices = Notices::default();
    let client = connect_as(&format!("{name}_a"), notices.clone()).expect("there is a cluster");
    (client, notices)
}

/// The warnings of a session since this was asked for the last time.
fn warnings(client: &mut Client, notices: &Notices) -> usize {
    // What the server sent is read with the next answer at the latest.
    client.batch_execute("SELECT 1").unwrap();
    let notices = std::mem::take(&mut *notices.lock().unwrap());
    notices.iter().filter(|notice| notice.contains("is no admin in awork")).count()
}

/// How many requests asked for permissions since the log was cleared, which this does.
fn questions(w: &Workspace) -> usize {
    let asked = w.sandbox.log().iter().filter(|e| e.path.ends_with("/me/permissions")).count();
    w.sandbox.clear_log();
    asked
}

#[test]
fn the_warning_comes_once_per_session_and_credential() {
    let Some((mut w, mut a, notices)) = with_key("cred_warned", LIMITED) else { return };
    for (sql, expected) in [
        ("SELECT id FROM projects", 1),
        ("SELECT id FROM projects", 0),
        ("SELECT id FROM users", 0),
        ("SELECT p.id FROM projects p JOIN users u ON u.id = p.id", 0),
    ] {
        a.batch_execute(sql).unwrap();
        assert_eq!(warnings(&mut a, &notices), expected, "{sql}");
        assert_eq!(questions(&w), expected, "{sql}");
    }
    // A change that leaves the key alone is no reason to ask again; another key is.
    w.run("ALTER SERVER cred_warned OPTIONS (ADD page_size '500')");
    a.batch_execute("SELECT id FROM projects").unwrap();
    assert_eq!((warnings(&mut a, &notices), questions(&w)), (0, 0));
    let mapping = "USER MAPPING FOR cred_warned_a SERVER cred_warned OPTIONS";
    w.run(&format!("ALTER {mapping} (SET api_key '{ADMIN}')"));
    a.batch_execute("SELECT id FROM projects").unwrap();
    assert_eq!((warnings(&mut a, &notices), questions(&w)), (0, 1));
    let (mut later, notices) = again("cred_warned");
    w.run(&format!("ALTER {mapping} (SET api_key '{LIMITED}')"));
    later.batch_execute("SELECT id FROM projects").unwrap();
    assert_eq!((warnings(&mut later, &notices), questions(&w)), (1, 1));
}

#[test]
fn the_warning_names_the_server_and_how_to_be_rid_of_it() {
    let Some((_w, mut a, notices)) = with_key("cred_words", LIMITED) else { return };
    a.batch_execute("SELECT id FROM projects; SELECT 1").unwrap();
    let notices = notices.lock().unwrap().clone();
    assert!(
        notices.iter().any(|notice| notice.contains("foreign server \"cred_words\"")),
        "{notices:?}"
    );
}

#[test]
fn an_admin_is_not_warned() {
    let Some((w, mut a, notices)) = with_key("cred_unwarned", ADMIN) else { return };
    for asked in [1, 0] {
        a.batch_execute("SELECT id FROM projects").unwrap();
        assert_eq!((warnings(&mut a, &notices), questions(&w)), (0, asked));
    }
}

#[test]
fn a_warning_that_nobody_would_see_is_not_asked_for() {
    let Some((w, mut a, notices)) = with_key("cred_unseen", LIMITED) else { return };
    for setting in [
        "SET awork_fdw.warn_not_admin = off",
        "RESET awork_fdw.warn_not_admin; SET client_min_messages = error",
    ] {
        a.batch_execute(setting).unwrap();
        a.batch_execute("SELECT id FROM projects").unwrap();
        assert_eq!((warnings(&mut a, &notices), questions(&w)), (0, 0), "{setting}");
    }
    // The first time that somebody would see it is the first time.
    a.batch_execute("RESET client_min_messages; SELECT id FROM projects").unwrap();
    assert_eq!((warnings(&mut a, &notices), questions(&w)), (1, 1));
}

#[test]
fn a_setting_that_switches_keys_warns_for_each_that_is_limited() {
    let Some((mut w, mut a, notices)) = with_key("cred_switched", ADMIN) else { return };
    w.run(
        "DROP USER MAPPING FOR cred_switched_a SERVER cred_switched;
         ALTER SERVER cred_switched OPTIONS (ADD api_key_setting 'cred.switched')",
    );
    for (key, expected) in [(ADMIN, 0), (LIMITED, 1), (ADMIN, 0), (LIMITED, 0)] {
        a.batch_execute(&format!("SET cred.switched = '{key}'; SELECT id FROM projects")).unwrap();
        assert_eq!(warnings(&mut a, &notices), expected);
    }
    assert_eq!(questions(&w), 2);
}

#[test]
fn every_way_to_read_warns() {
    let Some((w, ..)) = with_key("cred_every", LIMITED) else { return };
    let mut silent = Vec::new();
    for sql in [
        "SELECT id FROM projects LIMIT 1",
        "SELECT count(*) FROM projects",
        "EXPLAIN ANALYZE SELECT id FROM projects",
        "BEGIN; DECLARE c CURSOR FOR SELECT id FROM projects; FETCH 1 FROM c; COMMIT",
        "SELECT u.id FROM users u WHERE EXISTS (SELECT FROM projects p WHERE p.id = u.id)",
        "SELECT id FROM users UNION ALL SELECT id FROM projects",
        "SELECT * FROM project_members WHERE project_id = (SELECT id FROM projects LIMIT 1)",
        "CREATE TEMPORARY TABLE copied AS SELECT id FROM projects",
        "DO $$ BEGIN PERFORM id FROM projects; END $$",
        "PREPARE q AS SELECT id FROM projects; EXECUTE q",
    ] {
        let (mut a, notices) = again("cred_every");
        a.batch_execute(sql).unwrap();
        let (warned, asked) = (warnings(&mut a, &notices), questions(&w));
        if (warned, asked) != (1, 1) {
            silent.push(format!("{sql}: {warned} warnings, {asked} questions"));
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn rows_from_the_cache_warn_each_session_too() {
    let Some((mut w, ..)) = with_key("cred_from_cache", LIMITED) else { return };
    w.run("ALTER SERVER cred_from_cache OPTIONS (ADD cache_ttl '600')");
    for _ in 0..2 {
        let (mut a, notices) = again("cred_from_cache");
        for expected in [1, 0] {
            a.batch_execute("SELECT id FROM projects").unwrap();
            assert_eq!((warnings(&mut a, &notices), questions(&w)), (expected, expected));
        }
    }
}

#[test]
fn a_statement_that_fails_does_not_use_the_warning_up() {
    let Some((w, mut a, notices)) = with_key("cred_failed", LIMITED) else { return };
    a.batch_execute("SELECT id FROM time_entries").unwrap_err();
    let before = warnings(&mut a, &notices);
    a.batch_execute("SELECT id FROM projects").unwrap();
    assert_eq!(before + warnings(&mut a, &notices), 1);
    assert!(questions(&w) > 0);
}

#[test]
fn explain_counts_the_requests_of_the_scan_alone() {
    let Some((w, mut a, _)) = with_key("cred_counted", LIMITED) else { return };
    for asked in [1, 0] {
        let sql = "EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT id FROM projects";
        let rows = a.query(sql, &[]).unwrap();
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
        let sent = w.sandbox.log().len() - asked;
        assert!(plan.contains(&format!("Requests: {sent}\n")), "{sent}: {plan}");
        assert_eq!(questions(&w), asked);
    }
}

#[test]
fn a_scan_does_not_fail_where_permissions_are_not_readable() {
    let Some((w, mut a, notices)) = with_key("cred_unreadable", LIMITED) else { return };
    let action = Action::Status { status: 500, code: None, retry_after: None };
    let path = "/me/permissions".to_owned();
    w.sandbox.add_fault(Fault { path, query: None, nth: None, first: None, action });
    let rows = a.query("SELECT id FROM projects", &[]).unwrap();
    assert!(!rows.is_empty());
    assert_eq!(warnings(&mut a, &notices), 0);
}

#[test]
fn a_scan_does_not_wait_for_an_answer_that_does_not_come() {
    let Some((w, mut a, notices)) = with_key("cred_hanging", LIMITED) else { return };
    let path = "/me/permissions".to_owned();
    let action = Action::Hang;
    w.sandbox.add_fault(Fault { path, query: None, nth: None, first: None, action });
    // The request itself may take a minute.
    a.batch_execute("SET statement_timeout = '30s'; SELECT id FROM projects").unwrap();
    assert_eq!(warnings(&mut a, &notices), 0);
}

#[test]
fn the_check_says_who_is_an_admin() {
    for (name, key, expected) in
        [("cred_check_admin", ADMIN, true), ("cred_check_limited", LIMITED, false)]
    {
        let Some((_w, mut a, notices)) = with_key(name, key) else { return };
        let sql = "SELECT ok, is_admin, message FROM awork_fdw_check($1)";
        let row = a.query_one(sql, &[&name]).unwrap();
        assert_eq!((row.get(0), row.get(1)), (true, Some(expected)));
        assert_eq!(row.get::<_, String>(2).contains("no admin"), !expected);
        assert_eq!(warnings(&mut a, &notices), 0);
    }
}
