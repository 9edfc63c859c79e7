//! The secrets of logins show in no table that others can read, and in no view, catalogue,
//! statistics, dump and error.

use std::thread;

use awork_sandbox::Action;
use postgres::Client;
use system_tests::checked::rows;
use system_tests::logins::{
    COUNT, asked_for_tokens, config, count, database, logged_in, refresh_fault, session, tokens,
    until,
};
use system_tests::{failure, login_url};

#[test]
fn the_tables_are_closed_to_all_but_superusers() {
    let Some((mut w, n)) = logged_in("logins_tables", config()) else { return };
    login_url(&mut w.client, "logins_tables");
    let [mut plain, mut all] =
        ["logins_tables_plain", "logins_tables_all"].map(|role| w.role(role));
    w.client
        .batch_execute("GRANT pg_read_all_data, pg_write_all_data TO logins_tables_all")
        .unwrap();
    for table in ["awork_fdw_tokens", "awork_fdw_login_requests"] {
        for sql in [
            format!("SELECT * FROM {table}"),
            format!("INSERT INTO {table} SELECT * FROM {table}"),
            format!("UPDATE {table} SET role = role"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("DO 'BEGIN LOCK TABLE {table} IN ACCESS SHARE MODE; END'"),
            format!("COPY {table} TO STDOUT"),
        ] {
            failure(&mut plain, &sql).is("42501", &["permission denied", table]);
        }
        for sql in [
            format!("SELECT * FROM {table}"),
            format!("UPDATE {table} SET role = role RETURNING *"),
            format!("DELETE FROM {table} RETURNING *"),
        ] {
            assert_eq!(rows(&mut all, &sql).unwrap().len(), 0, "{sql}");
        }
        failure(&mut all, &format!("TRUNCATE {table}")).is("42501", &["permission denied"]);
        let names = if table == "awork_fdw_tokens" {
            "(server, role, login, api_url, client_id, access_token, access_issued_at, logged_in_at)
             SELECT 1, 1, gen_random_uuid(), '', '', '', now(), now()"
        } else {
            "SELECT 1, 1, '', '', '', '', '', now()"
        };
        failure(&mut all, &format!("INSERT INTO {table} {names}")).is("42501", &["row-level"]);
        failure(&mut all, &format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"))
            .is("42501", &["owner"]);
    }
    assert_eq!(count(&mut w.client), n);
}

#[test]
fn the_view_of_logins_shows_no_secret() {
    let Some((mut w, _)) = logged_in("logins_view", config()) else { return };
    let sql = "SELECT l::text FROM awork_fdw_logins l WHERE server = 'logins_view'";
    let [shown] = rows(&mut w.client, sql).unwrap().try_into().unwrap();
    assert!(shown.contains("logins_view,postgres,awork-sandbox-public,"), "{shown}");
    assert!(shown.ends_with(",f)"), "{shown}");
    assert!(tokens(&mut w).iter().all(|token| !shown.contains(token)), "{shown}");
}

#[test]
fn no_catalogue_and_no_activity_shows_a_token() {
    let Some((mut w, _)) = logged_in("logins_activity", config()) else { return };
    login_url(&mut w.client, "logins_activity");
    let mut secrets = tokens(&mut w);
    assert_eq!(secrets.len(), 2);
    refresh_fault(&w, Action::Latency { ms: 2_000 }, Some(1));
    w.expire();
    let (client, sandbox) = (&mut w.client, &w.sandbox);
    let seen = thread::scope(|scope| {
        let mut other = session("logins_activity");
        scope.spawn(move || other.query_one(COUNT, &[]).unwrap());
        until("no refresh", || !asked_for_tokens(sandbox).is_empty());
        ["pg_stat_activity", "pg_locks", "pg_shmem_allocations", "pg_foreign_server"]
            .map(|view| rows(client, &format!("SELECT x::text FROM {view} x")).unwrap().join("\n"))
            .concat()
    });
    assert!(seen.contains("awork_fdw login"), "{seen}");
    secrets.extend(tokens(&mut w));
    secrets.dedup();
    assert_eq!(secrets.len(), 4);
    for secret in secrets {
        assert!(!seen.contains(&secret));
    }
}

/// All that is secret in a database.
fn secrets(client: &mut Client) -> Vec<String> {
    let sql = "SELECT unnest(ARRAY[access_token, refresh_token]) FROM awork_fdw_tokens
        UNION SELECT unnest(ARRAY[state, verifier]) FROM awork_fdw_login_requests";
    let secrets = rows(client, sql).unwrap();
    assert_eq!(secrets.len(), 8);
    secrets
}

#[test]
fn statistics_have_no_token() {
    let Some((mut client, _sandbox)) = database("logins_analyze") else { return };
    client.batch_execute("ANALYZE; ANALYZE awork_fdw_tokens, awork_fdw_login_requests").unwrap();
    let statistics = rows(&mut client, "SELECT s::text FROM pg_statistic s").unwrap().join("\n");
    let shown: Vec<String> =
        secrets(&mut client).into_iter().filter(|secret| statistics.contains(secret)).collect();
    assert!(shown.is_empty(), "{} secrets are in pg_statistic", shown.len());
}

#[test]
fn a_dump_has_no_token() {
    let Some((mut client, _sandbox)) = database("logins_dump") else { return };
    let sql = "SELECT setting FROM pg_config WHERE name = 'BINDIR'";
    let programs: String = client.query_one(sql, &[]).unwrap().get(0);
    for arguments in [&[][..], &["--inserts", "--table=awork_fdw_*"], &["--extension=*"]] {
        let dump = std::process::Command::new(format!("{programs}/pg_dump"))
            .args(["-h", &std::env::var("AWORK_FDW_TEST_HOST").unwrap(), "-U", "postgres"])
            .args(arguments)
            .arg("logins_dump")
            .output()
            .unwrap();
        let text = String::from_utf8(dump.stdout).unwrap();
        assert!(dump.status.success() && text.contains("PostgreSQL database dump complete"));
        assert!(secrets(&mut client).iter().all(|secret| !text.contains(secret)), "{arguments:?}");
    }
}

#[test]
fn errors_of_the_token_endpoint_show_no_token() {
    let Some((mut w, _)) = logged_in("logins_echo", config()) else { return };
    let secrets = tokens(&mut w);
    for (status, text) in [
        (400, format!(r#"{{"error":"invalid_request","error_description":"bad {}"}}"#, secrets[1])),
        (400, format!("bad {}", secrets[1])),
        (200, format!(r#"{{"access_token":"a b","refresh_token":"{}"}}"#, secrets[1])),
        (200, format!(r#"{{"acess_token":"{}"}}"#, secrets[1])),
        (200, format!(r#"{{"refresh_token":{{"{}":1}}}}"#, secrets[1])),
    ] {
        w.sandbox.clear_faults();
        let (text, status) = (Some(text), Some(status));
        refresh_fault(&w, Action::Body { text, bytes: None, status, content_type: None }, None);
        w.expire();
        let failed = w.failure(COUNT);
        assert!(secrets.iter().all(|secret| !failed.text.contains(secret)), "{failed:?}");
        assert!(failed.text.contains("token"), "{failed:?}");
    }
}
