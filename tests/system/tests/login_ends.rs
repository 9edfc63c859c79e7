//! The ends of logins: by logout, in awork, by another login, and with the server; and what a login
//! is not good for, such as other addresses and cached rows of others.

use awork_sandbox::{LogEntry, Sandbox};
use system_tests::checked::rows;
use system_tests::logins::{
    COUNT, config, count, database, identity, log_in_with, logged_in, session, tokens,
};
use system_tests::{
    CONFIDENTIAL, Failure, REDIRECT, Workspace, browse, code, failure, log_in, login_url,
};

#[test]
fn a_role_logs_itself_out_and_its_members_and_superusers_do() {
    let Some(mut w) = Workspace::with_logins("logins_out", config()) else { return };
    let [mut a, mut member, mut other] =
        ["logins_out_a", "logins_out_member", "logins_out_other"].map(|role| w.role(role));
    w.client.batch_execute("GRANT logins_out_a TO logins_out_member").unwrap();
    let logins = "SELECT role FROM awork_fdw_logins WHERE server = 'logins_out' ORDER BY 1";
    let log_out = "SELECT awork_fdw_logout('logins_out', 'logins_out_a')";
    for who in ["a", "member", "superuser"] {
        log_in(&mut a, &w.sandbox, "logins_out", "limited");
        count(&mut a);
        for (client, seen) in [(&mut a, 1), (&mut member, 1), (&mut w.client, 1), (&mut other, 0)] {
            assert_eq!(rows(client, logins).unwrap().len(), seen);
        }
        failure(&mut other, log_out).is("42501", &["logins_out_a"]);
        count(&mut a);
        let (client, sql) = match who {
            "a" => (&mut a, "SELECT awork_fdw_logout('logins_out')"),
            "member" => (&mut member, log_out),
            _ => (&mut w.client, log_out),
        };
        assert_eq!(rows(client, sql).unwrap(), ["t"], "{who}");
        assert_eq!(rows(client, sql).unwrap(), ["f"], "{who}");
        failure(&mut a, COUNT).is("HV002", &["not logged in"]);
        assert_eq!(rows(&mut a, logins).unwrap().len(), 0);
    }
    failure(&mut other, "SELECT awork_fdw_logout('logins_out', 'logins_out_nobody')")
        .is("42704", &["logins_out_nobody"]);
    w.client
        .batch_execute("REVOKE USAGE ON FOREIGN SERVER logins_out FROM logins_out_other")
        .unwrap();
    for sql in
        ["SELECT awork_fdw_login_url('logins_out')", "SELECT awork_fdw_login('logins_out', 'code')"]
    {
        failure(&mut other, sql).is("42501", &["logins_out"]);
    }
    // Forgetting needs no right.
    assert_eq!(rows(&mut other, "SELECT awork_fdw_logout('logins_out')").unwrap(), ["f"]);
}

#[test]
fn a_revoked_login_ends_with_the_way_to_another() {
    let Some((mut w, n)) = logged_in("logins_revoked", config()) else { return };
    assert_ne!(w.sandbox.revoke_logins("admin"), 0);
    let lost = w.failure(COUNT);
    lost.is("28000", &["refused the refresh token", "invalid_grant", "awork_fdw_login_url"]);
    assert!(!lost.text.contains("interrupted"), "{lost:?}");
    assert!(tokens(&mut w).iter().all(|token| !lost.text.contains(token)));
    // What was refused once is not sent again.
    w.failure(COUNT).is("28000", &["has ended", "awork_fdw_login_url"]);
    w.expire();
    w.failure(COUNT).is("28000", &["has ended", "awork_fdw_login_url"]);
    assert_eq!(w.refreshes(), 1);
    w.log_in("admin");
    assert_eq!(count(&mut w.client), n);
}

#[test]
fn a_check_of_a_revoked_login_is_a_row() {
    let Some((mut w, _)) = logged_in("logins_check_revoked", config()) else { return };
    w.sandbox.revoke_logins("admin");
    let check = "SELECT ok, message FROM awork_fdw_check('logins_check_revoked')";
    // At a 401, after one, and where the clock says that a refresh is due.
    for expired in [false, false, true] {
        if expired {
            w.expire();
        }
        let [row] = rows(&mut w.client, check).unwrap().try_into().unwrap();
        assert!(row.starts_with("f|") && row.contains("awork_fdw_login_url"), "{row}");
    }
}

#[test]
fn a_login_without_a_refresh_token_lasts_as_long_as_its_access_token() {
    let Some(mut w) = Workspace::with_logins("logins_once", config()) else { return };
    let url = login_url(&mut w.client, "logins_once")
        .replace("full_access+offline_access", "full_access");
    let redirected = browse(&w.sandbox, &format!("{url}&login=limited"));
    log_in_with(&mut w, &redirected).unwrap();
    count(&mut w.client);
    assert_eq!(tokens(&mut w).len(), 1);
    w.age("interval '1 minute'");
    count(&mut w.client);
    w.sandbox.expire_access_tokens();
    w.failure(COUNT).is("28000", &["has ended", "awork_fdw_login_url"]);
    w.expire();
    w.failure(COUNT).is("28000", &["has ended", "awork_fdw_login_url"]);
    assert_eq!(w.refreshes(), 0);
    let sql = "SELECT needs_login FROM awork_fdw_logins WHERE server = 'logins_once'";
    assert_eq!(rows(&mut w.client, sql).unwrap(), ["t"]);
}

#[test]
fn a_scan_that_runs_on_tells_that_its_login_was_replaced() {
    let Some((mut w, _)) = logged_in("logins_replaced", config()) else { return };
    w.client
        .batch_execute(
            "ALTER SERVER logins_replaced OPTIONS (ADD page_size '10', ADD max_concurrency '1');
             BEGIN; DECLARE c CURSOR FOR SELECT id FROM time_entries",
        )
        .unwrap();
    assert_eq!(rows(&mut w.client, "FETCH 5 FROM c").unwrap().len(), 5);
    w.sandbox.revoke_logins("admin");
    let mut other = session("logins_replaced");
    log_in(&mut other, &w.sandbox, "logins_replaced", "limited");
    let sql = "FETCH ALL FROM c";
    let error = w.client.query(sql, &[]).unwrap_err();
    Failure::from(&error).is("28000", &["replaced while it was in use", "again"]);
    w.client.batch_execute("ROLLBACK").unwrap();
    let asked = w.sandbox.log();
    let of_others =
        |e: &&LogEntry| e.path.contains("timeentries") && e.identity.as_deref() == Some("limited");
    assert_eq!(asked.iter().find(of_others), None);
}

#[test]
fn cached_rows_serve_the_login_that_asked_for_them() {
    let Some(mut w) = Workspace::with_logins("logins_cache", config()) else { return };
    w.client.batch_execute("ALTER SERVER logins_cache OPTIONS (ADD cache_ttl '600')").unwrap();
    let sql = "SELECT count(name) FROM projects";
    let asks = |w: &mut Workspace| {
        w.sandbox.clear_log();
        rows(&mut w.client, sql).unwrap();
        w.sandbox.log().iter().filter(|entry| entry.path == "/api/v1/projects").count()
    };
    w.log_in("admin");
    assert_ne!(asks(&mut w), 0);
    assert_eq!(asks(&mut w), 0);
    w.expire();
    assert_eq!(asks(&mut w), 0);
    assert_eq!(w.refreshes(), 1);
    rows(&mut w.client, "SELECT awork_fdw_logout('logins_cache')").unwrap();
    w.failure(sql).is("HV002", &["not logged in"]);
    w.log_in("limited");
    assert_ne!(asks(&mut w), 0);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("limited"));
    assert_eq!(asks(&mut w), 0);
}

// Other servers and addresses.

#[test]
fn a_server_of_the_same_name_has_no_logins() {
    let Some((mut w, _)) = logged_in("logins_dropped", config()) else { return };
    let url = w.sandbox.api_url();
    w.client
        .batch_execute(&format!(
            "DROP SERVER logins_dropped CASCADE;
             CREATE SERVER logins_dropped FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{url}',
                 client_id 'awork-sandbox-public', redirect_uri '{REDIRECT}');
             IMPORT FOREIGN SCHEMA awork LIMIT TO (projects) FROM SERVER logins_dropped
                 INTO logins_dropped"
        ))
        .unwrap();
    w.failure(COUNT).is("HV002", &["not logged in"]);
    assert_eq!(w.sandbox.log().len(), 0);
}

#[test]
fn logins_to_servers_that_are_gone_are_forgotten() {
    let Some((mut client, sandbox)) = database("logins_gone") else { return };
    let kept = "SELECT count(*) FROM awork_fdw_tokens";
    assert_eq!(rows(&mut client, kept).unwrap(), ["2"]);
    client
        .batch_execute(
            "DROP SERVER b;
             UPDATE awork_fdw_tokens SET logged_in_at = now() - interval '2 hours'",
        )
        .unwrap();
    assert_eq!(rows(&mut client, "SELECT server FROM awork_fdw_logins").unwrap(), ["a"]);
    log_in(&mut client, &sandbox, "a", "admin");
    assert_eq!(rows(&mut client, kept).unwrap(), ["1"]);
}

#[test]
fn tokens_go_to_no_other_address_and_application() {
    let Some((mut w, n)) = logged_in("logins_moved", config()) else { return };
    let other = Sandbox::start(config()).unwrap();
    let (here, there) = (w.sandbox.api_url(), other.api_url());
    let changes = [
        (format!("SET api_url '{there}'"), format!("SET api_url '{here}'")),
        (
            format!("SET client_id '{CONFIDENTIAL}'"),
            "SET client_id 'awork-sandbox-public'".to_owned(),
        ),
    ];
    for (away, back) in changes {
        for expired in [false, true] {
            w.client.batch_execute(&format!("ALTER SERVER logins_moved OPTIONS ({away})")).unwrap();
            if expired {
                w.age("interval '-1 s'");
            }
            w.sandbox.clear_log();
            w.failure(COUNT).is("HV002", &["not logged in", "awork_fdw_login_url"]);
            w.failure("SELECT awork_fdw_login('logins_moved', 'code')").is("HV002", &["begun"]);
            let needs = "SELECT needs_login FROM awork_fdw_logins WHERE server = 'logins_moved'";
            assert_eq!(rows(&mut w.client, needs).unwrap(), ["t"]);
            assert_eq!((w.sandbox.log(), other.log()), (vec![], vec![]));
            w.client.batch_execute(&format!("ALTER SERVER logins_moved OPTIONS ({back})")).unwrap();
            assert_eq!((count(&mut w.client), w.refreshes()), (n, expired.into()));
            assert_eq!(rows(&mut w.client, needs).unwrap(), ["f"]);
        }
    }
    // A login that was begun here is not completed there.
    let url = login_url(&mut w.client, "logins_moved");
    let redirected = browse(&w.sandbox, &format!("{url}&login=limited"));
    w.client
        .batch_execute(&format!("ALTER SERVER logins_moved OPTIONS (SET api_url '{there}')"))
        .unwrap();
    log_in_with(&mut w, &redirected).unwrap_err().is("HV002", &["begun"]);
    assert_eq!(other.log(), []);
}

#[test]
fn a_host_that_is_not_allowed_gets_no_token() {
    let Some((mut w, n)) = logged_in("logins_hosts", config()) else { return };
    w.expire();
    let url = login_url(&mut w.client, "logins_hosts");
    let brought = code(&w.sandbox, &url, "admin");
    w.sandbox.clear_log();
    w.client.batch_execute("SET awork_fdw.allowed_hosts = '*.awork.com'").unwrap();
    for sql in [
        COUNT,
        "SELECT awork_fdw_login_url('logins_hosts')",
        &format!("SELECT awork_fdw_login('logins_hosts', '{brought}')"),
    ] {
        w.failure(sql).is("42501", &["127.0.0.1", "not allowed"]);
    }
    assert_eq!(w.sandbox.log(), []);
    w.client.batch_execute("RESET awork_fdw.allowed_hosts").unwrap();
    assert_eq!(count(&mut w.client), n);
}
