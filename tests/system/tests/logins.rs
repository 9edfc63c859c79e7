//! Logins of users by OAuth 2.0: the way to one, what awork may answer on it, whose login a role's
//! statements ask as, and what transactions, locks and settings do to logins.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use awork_sandbox::{Action, ClientAuthentication, ExpiresIn, Fault};
use system_tests::checked::rows;
use system_tests::logins::{
    COUNT, REFRESH, asked_for_tokens, config, count, database, identity, log_in_with, logged_in,
    oauth, session, status, until,
};
use system_tests::{
    CONFIDENTIAL, REDIRECT, Seed, Workspace, browse, code, failure, log_in, login_url,
};

#[test]
fn the_address_that_the_browser_was_sent_to_logs_in() {
    let Some(mut w) = Workspace::with_logins("logins_browser", config()) else { return };
    w.failure(COUNT).is("HV002", &["not logged in", "awork_fdw_login_url('logins_browser')"]);
    assert_eq!(w.sandbox.log().len(), 0);
    let url = login_url(&mut w.client, "logins_browser");
    let begin = format!("{}/accounts/authorize?", w.sandbox.api_url());
    let parts = [
        "response_type=code",
        "client_id=awork-sandbox-public",
        "code_challenge_method=S256",
        "scope=full_access+offline_access",
        "redirect_uri=http%3A%2F%2F127.0.0.1%3A8765%2Fcallback",
    ];
    assert!(url.starts_with(&begin) && parts.iter().all(|part| url.contains(part)), "{url}");
    let redirected = browse(&w.sandbox, &format!("{url}&login=limited"));
    assert!(redirected.starts_with(REDIRECT), "{redirected}");
    let says = log_in_with(&mut w, &format!(" {redirected}\n")).unwrap();
    assert!(says.starts_with("logged in to workspace \""), "{says}");
    let [asked] = asked_for_tokens(&w.sandbox).try_into().unwrap();
    assert_eq!(asked.grant_type.as_deref(), Some("authorization_code"));
    assert_eq!(asked.client_authentication, Some(ClientAuthentication::None));
    assert!(!asked.authorization);
    assert_ne!(count(&mut w.client), 0);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("limited"));
    assert_eq!(w.refreshes(), 0);
}

#[test]
fn a_bare_code_logs_in_and_a_secret_travels_in_the_header() {
    let config = oauth(|oauth| oauth.require_pkce = true);
    let Some(mut w) = Workspace::with_logins("logins_secret", config) else { return };
    w.client
        .batch_execute(&format!(
            "ALTER SERVER logins_secret OPTIONS (SET client_id '{CONFIDENTIAL}');
             CREATE USER MAPPING FOR CURRENT_USER SERVER logins_secret
                 OPTIONS (client_secret 'awork-sandbox-wrong')"
        ))
        .unwrap();
    let url = login_url(&mut w.client, "logins_secret");
    let brought = code(&w.sandbox, &url, "admin");
    let refused = log_in_with(&mut w, &brought).unwrap_err();
    refused.is("28000", &["client application", "invalid_client", "\"client_secret\""]);
    assert!(!refused.text.contains("awork-sandbox-wrong"), "{refused:?}");
    w.client
        .batch_execute(
            "ALTER USER MAPPING FOR CURRENT_USER SERVER logins_secret
                 OPTIONS (SET client_secret 'awork-sandbox-secret')",
        )
        .unwrap();
    // The code was not used up.
    log_in_with(&mut w, &brought).unwrap();
    w.expire();
    count(&mut w.client);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
    let asked = asked_for_tokens(&w.sandbox);
    assert_eq!(asked.len(), 3);
    for asked in asked {
        assert_eq!(asked.client_authentication, Some(ClientAuthentication::Basic));
    }
}

#[test]
fn a_code_is_good_once_and_for_the_login_that_it_was_asked_for() {
    let Some(mut w) = Workspace::with_logins("logins_state", config()) else { return };
    let none = log_in_with(&mut w, "abc").unwrap_err();
    none.is("HV002", &["no login", "begun", "awork_fdw_login_url"]);
    let [first, second] = [(); 2].map(|()| login_url(&mut w.client, "logins_state"));
    assert_ne!(first, second);
    let redirected = browse(&w.sandbox, &format!("{first}&login=admin"));
    log_in_with(&mut w, &redirected).unwrap_err().is("22023", &["another login"]);
    assert_eq!(asked_for_tokens(&w.sandbox), []);
    // Without the state, the verifier is what does not fit.
    let of_first = code(&w.sandbox, &first, "admin");
    let refused = log_in_with(&mut w, &of_first).unwrap_err();
    refused.is("28000", &["refused the code", "invalid_grant", "awork_fdw_login_url"]);
    assert!(!refused.text.contains(&of_first), "{refused:?}");
    let refused = browse(&w.sandbox, &format!("{second}&refuse=1"));
    log_in_with(&mut w, &refused).unwrap_err().is("28000", &["access_denied"]);
    log_in_with(&mut w, REDIRECT).unwrap_err().is("22023", &["no code", "whole address"]);
    let redirected = browse(&w.sandbox, &format!("{second}&login=admin"));
    log_in_with(&mut w, &redirected).unwrap();
    log_in_with(&mut w, &redirected).unwrap_err().is("HV002", &["no login", "begun"]);
    // The second use would have ended the login.
    count(&mut w.client);
}

#[test]
fn one_code_is_redeemed_by_one_session() {
    let Some(mut w) = Workspace::with_logins("logins_twice", config()) else { return };
    let url = login_url(&mut w.client, "logins_twice");
    let brought = code(&w.sandbox, &url, "admin");
    let sql = format!("SELECT awork_fdw_login('logins_twice', '{brought}')");
    let barrier = Barrier::new(5);
    let outcomes: Vec<Result<Vec<String>, String>> = thread::scope(|scope| {
        let sessions = (0..5).map(|_| {
            scope.spawn(|| {
                let mut client = session("logins_twice");
                barrier.wait();
                rows(&mut client, &sql)
            })
        });
        let sessions: Vec<_> = sessions.collect();
        sessions.into_iter().map(|session| session.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(asked_for_tokens(&w.sandbox).len(), 1);
    // A second use would have ended the login.
    assert_ne!(count(&mut w.client), 0);
}

#[test]
fn a_used_or_expired_code_is_refused() {
    let config = oauth(|oauth| oauth.code_lifetime = Duration::ZERO);
    let Some(mut w) = Workspace::with_logins("logins_code", config) else { return };
    let url = login_url(&mut w.client, "logins_code");
    let expired = code(&w.sandbox, &url, "admin");
    let refused = log_in_with(&mut w, &expired).unwrap_err();
    refused.is("28000", &["refused the code", "expired", "awork_fdw_login_url"]);
    w.failure(COUNT).is("HV002", &["not logged in"]);
}

#[test]
fn a_login_that_was_begun_long_ago_must_begin_anew() {
    let Some(mut w) = Workspace::with_logins("logins_late", config()) else { return };
    let url = login_url(&mut w.client, "logins_late");
    let redirected = browse(&w.sandbox, &format!("{url}&login=admin"));
    let age = |w: &mut Workspace, minutes: i32| {
        let sql = "UPDATE awork_fdw_login_requests SET requested_at = now() - $1 * interval '1 min'
            WHERE server = (SELECT oid FROM pg_foreign_server WHERE srvname = 'logins_late')";
        assert_eq!(w.client.execute(sql, &[&f64::from(minutes)]).unwrap(), 1);
    };
    age(&mut w, 11);
    log_in_with(&mut w, &redirected).unwrap_err().is("HV002", &["begun", "ten minutes"]);
    age(&mut w, 8);
    log_in_with(&mut w, &redirected).unwrap();
}

#[test]
fn a_cancelled_login_is_completed_all_the_same() {
    let Some(mut w) = Workspace::with_logins("logins_hurry", config()) else { return };
    let url = login_url(&mut w.client, "logins_hurry");
    let brought = code(&w.sandbox, &url, "admin");
    w.sandbox.add_fault(Fault {
        path: "/accounts/token".into(),
        query: None,
        nth: None,
        first: Some(1),
        action: Action::Latency { ms: 3_000 },
    });
    w.client.batch_execute("SET statement_timeout = '1s'").unwrap();
    log_in_with(&mut w, &brought).unwrap_err().is("57014", &[]);
    w.client.batch_execute("RESET statement_timeout").unwrap();
    until("no login", || rows(&mut w.client, COUNT).is_ok());
    assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
}

#[test]
fn roles_see_what_the_one_who_is_logged_in_may_see() {
    let Some(mut w) = Workspace::with_logins("logins_roles", config()) else { return };
    let [mut a, mut b, mut c] =
        ["logins_roles_a", "logins_roles_b", "logins_roles_c"].map(|role| w.role(role));
    // Side by side, so that one could take the other's place.
    let [of_a, of_b] = [&mut a, &mut b].map(|role| login_url(role, "logins_roles"));
    for (role, url, name) in [(&mut b, of_b, "limited"), (&mut a, of_a, "admin")] {
        let code = code(&w.sandbox, &url, name);
        role.query_one("SELECT awork_fdw_login('logins_roles', $1)", &[&code]).unwrap();
    }
    for _ in 0..2 {
        for (role, name) in [(&mut a, "admin"), (&mut b, "limited")] {
            assert_ne!(count(role), 0);
            assert_eq!(identity(&w.sandbox).as_deref(), Some(name));
        }
        w.expire();
    }
    assert_eq!(w.refreshes(), 2);
    failure(&mut c, COUNT).is("HV002", &["role \"logins_roles_c\" is not logged in"]);
    // A session that changes its role asks as that role, and not as before.
    w.client.batch_execute("SET ROLE logins_roles_b").unwrap();
    count(&mut w.client);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("limited"));
    w.client.batch_execute("RESET ROLE").unwrap();
    w.failure(COUNT).is("HV002", &["role \"postgres\" is not logged in"]);
}

// What awork answers.

#[test]
fn a_login_stands_where_awork_does_not_say_whose_it_is() {
    let Some(mut w) = Workspace::with_logins("logins_whose", config()) else { return };
    let action = status(500);
    w.sandbox.add_fault(Fault { path: "/me".into(), query: None, nth: None, first: None, action });
    let says = w.log_in("admin");
    assert!(says.starts_with("logged in to awork, which does not say as whom"), "{says}");
    assert_ne!(count(&mut w.client), 0);
}

#[test]
fn an_expiry_may_be_told_in_any_way() {
    for (name, told) in [
        ("logins_seconds", ExpiresIn::Seconds),
        ("logins_epoch", ExpiresIn::Epoch),
        ("logins_text", ExpiresIn::Text),
        ("logins_omitted", ExpiresIn::Omitted),
    ] {
        let config = oauth(|oauth| oauth.expires_in = told);
        let Some((mut w, n)) = logged_in(name, config) else { return };
        let sql =
            "SELECT access_expires_at - now() BETWEEN interval '23 h' AND interval '24 h 1 min'
            FROM awork_fdw_logins WHERE server = $1 AND role = 'postgres'";
        let good = w.client.query_one(sql, &[&name]).unwrap().get::<_, Option<bool>>(0);
        assert_eq!(good, (told != ExpiresIn::Omitted).then_some(true), "{told:?}");
        w.sandbox.expire_access_tokens();
        assert_eq!((count(&mut w.client), w.refreshes()), (n, 1), "{told:?}");
        let good = w.client.query_one(sql, &[&name]).unwrap().get::<_, Option<bool>>(0);
        assert_eq!(good, (told != ExpiresIn::Omitted).then_some(true), "{told:?}");
        assert_eq!((count(&mut w.client), w.refreshes()), (n, 1), "{told:?}");
    }
}

#[test]
fn a_strange_expiry_is_no_obstacle() {
    let Some(mut w) = Workspace::with_logins("logins_strange", config()) else { return };
    for told in [
        "-5",
        "0",
        "1e300",
        "\"\"",
        "\"soon\"",
        "null",
        "true",
        "[]",
        "99999999999999999999",
        "0.5",
    ] {
        w.sandbox.clear_faults();
        let Seed(refresh) = Seed::of(&w.sandbox, "admin");
        let text = format!(
            r#"{{"access_token":"unknown","refresh_token":"{refresh}","expires_in":{told}}}"#
        );
        w.sandbox.add_fault(Fault {
            path: "/accounts/token".into(),
            query: Some("grant_type=authorization_code".into()),
            nth: None,
            first: None,
            action: Action::Body {
                text: Some(text),
                bytes: None,
                status: None,
                content_type: None,
            },
        });
        w.sandbox.clear_log();
        w.log_in("limited");
        assert_ne!(count(&mut w.client), 0);
        assert_eq!(w.refreshes(), 1, "{told}");
        assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
    }
}

#[test]
fn tokens_may_be_long() {
    let Some((mut w, _)) = logged_in("logins_long", config()) else { return };
    let Seed(refresh) = Seed::of(&w.sandbox, "limited");
    // Hard to compress, too.
    let access: String = (0..6_000u64)
        .map(|i| {
            char::from(b'a' + (i.wrapping_mul(i).wrapping_mul(2_654_435_761) >> 13) as u8 % 26)
        })
        .collect();
    let tokens = format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}"}}"#);
    w.sandbox.add_fault(Fault {
        path: "/accounts/token".into(),
        query: Some("grant_type=authorization_code".into()),
        nth: None,
        first: Some(1),
        action: Action::Body { text: Some(tokens), bytes: None, status: None, content_type: None },
    });
    w.sandbox.clear_log();
    // The sandbox does not know the token, which then is renewed.
    w.log_in("limited");
    assert_ne!(count(&mut w.client), 0);
    assert_eq!(w.refreshes(), 1);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("limited"));
}

// Transactions, locks and settings.

#[test]
fn a_login_outlives_a_rollback_and_needs_no_right_to_write() {
    let Some(mut w) = Workspace::with_logins("logins_rollback", config()) else { return };
    for begin in ["BEGIN", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL SERIALIZABLE"] {
        w.client.batch_execute(begin).unwrap();
        w.log_in("limited");
        count(&mut w.client);
        w.client.batch_execute("ROLLBACK").unwrap();
        count(&mut w.client);
        w.client.batch_execute("BEGIN READ ONLY").unwrap();
        w.expire_elsewhere();
        count(&mut w.client);
        w.client.batch_execute("ROLLBACK").unwrap();
        count(&mut w.client);
        assert_eq!(w.refreshes(), 1, "{begin}");
        w.client.batch_execute("BEGIN READ ONLY").unwrap();
        rows(&mut w.client, "SELECT awork_fdw_logout('logins_rollback')").unwrap();
        w.client.batch_execute("ROLLBACK").unwrap();
        w.failure(COUNT).is("HV002", &["not logged in"]);
        w.sandbox.clear_log();
    }
}

#[test]
fn a_token_that_came_after_the_snapshot_is_used() {
    let Some((mut w, n)) = logged_in("logins_snapshot", config()) else { return };
    let mut other = session("logins_snapshot");
    w.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    rows(&mut w.client, "SELECT count(*) FROM pg_class").unwrap();
    w.expire_elsewhere();
    assert_eq!(count(&mut other), n);
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
    // Nor is an older one used that the transaction itself has seen.
    w.expire_elsewhere();
    assert_eq!(count(&mut other), n);
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 2));
    w.client.batch_execute("COMMIT").unwrap();
    // Nothing was sent with a token that had expired.
    assert!(w.sandbox.log().iter().all(|entry| entry.status == Some(200)));
}

#[test]
fn locks_of_users_hold_up_no_refresh() {
    let Some((mut w, n)) = logged_in("logins_locks", config()) else { return };
    let mut role = w.role("logins_locks_role");
    let lock = |function: &str, arguments: &str| {
        format!(
            "SELECT {function}({arguments}) FROM (SELECT s.oid::int8::int4 AS server,
                 r.oid::int8::int4 AS role, d.oid::int8::int4 AS database
             FROM pg_foreign_server s, pg_roles r, pg_database d
             WHERE srvname = 'logins_locks' AND rolname = 'postgres' AND datname = 'postgres') x"
        )
    };
    role.batch_execute("BEGIN").unwrap();
    for function in ["pg_advisory_lock", "pg_advisory_xact_lock"] {
        for arguments in [
            "server, role",
            "role, server",
            "(server::int8 << 32) | role::int8",
            "(role::int8 << 32) | server::int8",
            "server",
        ] {
            rows(&mut role, &lock(function, arguments)).unwrap();
        }
    }
    w.client.batch_execute("SET statement_timeout = '30s'").unwrap();
    w.expire();
    assert_eq!((count(&mut w.client), w.refreshes()), (n, 1));
    log_in(&mut w.client, &w.sandbox, "logins_locks", "admin");
    // A transaction that has read the tables holds nobody up either.
    w.client.batch_execute("BEGIN").unwrap();
    assert_eq!(count(&mut w.client), n);
    w.expire_elsewhere();
    assert_eq!(count(&mut session("logins_locks")), n);
    w.client.batch_execute("COMMIT").unwrap();
}

#[test]
fn a_lock_timeout_of_the_database_is_none_of_the_workers() {
    let Some((mut client, sandbox)) = database("logins_lock_timeout") else { return };
    client.batch_execute("ALTER DATABASE logins_lock_timeout SET lock_timeout = '1s'").unwrap();
    let check = "SELECT ok, message FROM awork_fdw_check('a')";
    client.batch_execute("SET lock_timeout = 0").unwrap();
    // A worker that waits for another one is no lock of the user's.
    sandbox.expire_access_tokens();
    sandbox.clear_log();
    sandbox.add_fault(Fault {
        path: String::new(),
        query: Some(REFRESH.into()),
        nth: None,
        first: Some(1),
        action: Action::Latency { ms: 3_000 },
    });
    client.batch_execute("SET statement_timeout = '1s'").unwrap();
    failure(&mut client, check).is("57014", &[]);
    client.batch_execute("SET statement_timeout = 0").unwrap();
    let [row] = rows(&mut client, check).unwrap().try_into().unwrap();
    assert!(row.starts_with("t|"), "{row}");
    assert_eq!(asked_for_tokens(&sandbox).len(), 1);
}

#[test]
fn settings_of_a_database_hold_up_no_login() {
    let Some((mut client, sandbox)) = database("logins_settings") else { return };
    for setting in [
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
        "search_path = ''",
        "row_security = off",
        "session_replication_role = replica",
    ] {
        client.batch_execute(&format!("ALTER DATABASE logins_settings SET {setting}")).unwrap();
    }
    let mut client = system_tests::connect_to("postgres", "logins_settings").unwrap();
    client.batch_execute("SET search_path = public").unwrap();
    log_in(&mut client, &sandbox, "a", "admin");
    sandbox.expire_access_tokens();
    let check = "SELECT ok, message FROM public.awork_fdw_check('a')";
    let [row] = rows(&mut client, check).unwrap().try_into().unwrap();
    assert!(row.starts_with("t|"), "{row}");
}

#[test]
fn the_extension_may_be_in_any_schema() {
    let Some((mut client, sandbox)) = database("logins_schema") else { return };
    let url = sandbox.api_url();
    client
        .batch_execute(&format!(
            "DROP EXTENSION awork_fdw CASCADE;
             CREATE SCHEMA \"Other Schema\";
             CREATE EXTENSION awork_fdw SCHEMA \"Other Schema\";
             SET search_path = \"Other Schema\";
             CREATE SERVER c FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{url}',
                 client_id 'awork-sandbox-public', redirect_uri '{REDIRECT}')"
        ))
        .unwrap();
    log_in(&mut client, &sandbox, "c", "limited");
    client.batch_execute("SET search_path = ''").unwrap();
    let check = "SELECT ok FROM \"Other Schema\".awork_fdw_check('c')";
    sandbox.expire_access_tokens();
    assert_eq!(rows(&mut client, check).unwrap(), ["t"]);
    let logins = "SELECT server, needs_login FROM \"Other Schema\".awork_fdw_logins";
    assert_eq!(rows(&mut client, logins).unwrap(), ["c|f"]);
}
