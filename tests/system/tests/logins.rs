//! Logins of users by OAuth 2.0: the way to one, how its tokens are renewed, and who sees what of
//! them.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{
    Action, ClientAuthentication, Config, ExpiresIn, Fault, LogEntry, OAuth, Sandbox,
};
use postgres::Client;
use system_tests::checked::rows;
use system_tests::{
    CONFIDENTIAL, Failure, REDIRECT, Seed, Workspace, browse, code, connect, failure, log_in,
    login_url,
};

const COUNT: &str = "SELECT count(*) FROM projects";
const REFRESH: &str = "grant_type=refresh_token";

fn config() -> Config {
    Config { scale: 200, ..Config::default() }
}

fn oauth(change: impl FnOnce(&mut OAuth)) -> Config {
    let mut config = config();
    change(&mut config.oauth);
    config
}

/// A workspace where the superuser is logged in, and the number of its projects.
fn logged_in(name: &str, config: Config) -> Option<(Workspace, i64)> {
    let mut w = Workspace::with_logins(name, config)?;
    w.log_in("admin");
    // What hangs must not hang the tests.
    w.client.batch_execute("SET statement_timeout = '120s'").unwrap();
    let rows = count(&mut w.client);
    assert_ne!(rows, 0);
    w.sandbox.clear_log();
    Some((w, rows))
}

fn count(client: &mut Client) -> i64 {
    client.query_one(COUNT, &[]).unwrap().get(0)
}

fn session(name: &str) -> Client {
    let mut client = connect().expect("there is a cluster");
    client.batch_execute(&format!("SET search_path = {name}, public")).unwrap();
    client
}

/// As whom the projects were last asked for.
fn identity(sandbox: &Sandbox) -> Option<String> {
    let log = sandbox.log();
    let asked = log.iter().rev().find(|entry| entry.path == "/api/v1/projects");
    asked.expect("projects were asked for").identity.clone()
}

fn asked_for_tokens(sandbox: &Sandbox) -> Vec<LogEntry> {
    sandbox.log().into_iter().filter(|entry| entry.grant_type.is_some()).collect()
}

fn log_in_with(w: &mut Workspace, brought: &str) -> Result<String, Failure> {
    let row = w.client.query_one("SELECT awork_fdw_login($1, $2)", &[&w.name, &brought]);
    row.map(|row| row.get(0)).map_err(|error| Failure::from(&error))
}

fn refresh_fault(w: &Workspace, action: Action, first: Option<u64>) {
    let query = Some(REFRESH.to_owned());
    w.sandbox.add_fault(Fault { path: String::new(), query, nth: None, first, action });
}

fn status(status: u16) -> Action {
    Action::Status { status, code: None, retry_after: None }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Access and refresh tokens of the server, as far as there are any.
fn tokens(w: &mut Workspace) -> Vec<String> {
    let sql = "SELECT unnest(array_remove(ARRAY[access_token, refresh_token], NULL))
        FROM awork_fdw_tokens JOIN pg_foreign_server s ON s.oid = server WHERE srvname = $1";
    w.client.query(sql, &[&w.name]).unwrap().iter().map(|row| row.get(0)).collect()
}

// The way to a login.

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
fn servers_that_are_not_set_up_for_logins_say_what_is_missing() {
    let Some(mut w) = Workspace::with_logins("logins_options", config()) else { return };
    let url = "SELECT awork_fdw_login_url('logins_options')";
    w.client.batch_execute("ALTER SERVER logins_options OPTIONS (DROP redirect_uri)").unwrap();
    w.failure(url).is("HV002", &["\"redirect_uri\"", "redirect addresses"]);
    w.client
        .batch_execute(
            "CREATE USER MAPPING FOR PUBLIC SERVER logins_options OPTIONS (api_key 'awork-sandbox-key')",
        )
        .unwrap();
    for sql in [url, "SELECT awork_fdw_login('logins_options', 'code')"] {
        w.failure(sql).is("HV002", &["uses an API key", "\"client_id\""]);
    }
    count(&mut w.client);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
    w.failure("SELECT awork_fdw_login_url('logins_nowhere')").is("42704", &["logins_nowhere"]);
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

// Logins and transactions.

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

// Renewing.

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
            let is_on = |entry: &LogEntry| entry.status == Some(200) && entry.rows == Some(100);
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

// Refresh tokens from elsewhere.

#[test]
fn a_refresh_token_in_a_mapping_begins_a_login() {
    let Some(mut w) = Workspace::with_logins("logins_seed", config()) else { return };
    let Seed(seed) = Seed::of(&w.sandbox, "limited");
    w.client
        .batch_execute(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER logins_seed OPTIONS (refresh_token '{seed}')"
        ))
        .unwrap();
    let asked = |w: &mut Workspace| {
        count(&mut w.client);
        (identity(&w.sandbox).unwrap(), w.refreshes())
    };
    assert_eq!(asked(&mut w), ("limited".to_owned(), 1));
    assert_eq!(asked(&mut w), ("limited".to_owned(), 1));
    for refreshes in 2..4 {
        w.expire();
        assert_eq!(asked(&mut w), ("limited".to_owned(), refreshes));
        assert!(!tokens(&mut w).contains(&seed));
    }
    let Seed(other) = Seed::of(&w.sandbox, "admin");
    w.client
        .batch_execute(&format!(
            "ALTER USER MAPPING FOR CURRENT_USER SERVER logins_seed OPTIONS (SET refresh_token '{other}')"
        ))
        .unwrap();
    assert_eq!(asked(&mut w), ("admin".to_owned(), 4));
    w.expire();
    assert_eq!(asked(&mut w), ("admin".to_owned(), 5));
    w.log_in("limited");
    assert_eq!(asked(&mut w), ("limited".to_owned(), 5));
    w.expire();
    assert_eq!(asked(&mut w), ("limited".to_owned(), 6));
}

#[test]
fn a_refresh_token_in_a_mapping_is_used_once_by_many_sessions() {
    let Some(mut w) = Workspace::with_logins("logins_seeds", config()) else { return };
    let Seed(seed) = Seed::of(&w.sandbox, "limited");
    w.client
        .batch_execute(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER logins_seeds OPTIONS (refresh_token '{seed}')"
        ))
        .unwrap();
    let mut clients: Vec<Client> = (0..10).map(|_| session("logins_seeds")).collect();
    let barrier = Barrier::new(clients.len());
    thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| {
                barrier.wait();
                count(client);
            });
        }
    });
    assert_eq!(w.refreshes(), 1);
}

#[test]
fn a_lost_answer_to_a_refresh_token_of_a_mapping_is_told() {
    let Some(mut w) = Workspace::with_logins("logins_seed_lost", config()) else { return };
    let Seed(seed) = Seed::of(&w.sandbox, "limited");
    w.client
        .batch_execute(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER logins_seed_lost
                 OPTIONS (refresh_token '{seed}');
             ALTER SERVER logins_seed_lost OPTIONS (ADD request_timeout '2')"
        ))
        .unwrap();
    refresh_fault(&w, Action::HangAfter, Some(1));
    w.failure(COUNT);
    let refused = w.failure(COUNT);
    refused.is("28000", &["refused the refresh token", "awork_fdw_login_url"]);
    assert!(!refused.text.contains(&seed), "{refused:?}");
    w.log_in("limited");
    count(&mut w.client);
    assert_eq!(w.refreshes(), 2);
}

// The ends of logins.

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
fn the_view_of_logins_shows_no_secret() {
    let Some((mut w, _)) = logged_in("logins_view", config()) else { return };
    let sql = "SELECT l::text FROM awork_fdw_logins l WHERE server = 'logins_view'";
    let [shown] = rows(&mut w.client, sql).unwrap().try_into().unwrap();
    assert!(shown.contains("logins_view,postgres,awork-sandbox-public,"), "{shown}");
    assert!(shown.ends_with(",f)"), "{shown}");
    assert!(tokens(&mut w).iter().all(|token| !shown.contains(token)), "{shown}");
}

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

// Who sees what.

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

/// A database of its own, where nobody else changes anything, with two logins.
fn database(name: &str) -> Option<(Client, Sandbox)> {
    let mut client = connect()?;
    let sandbox = Sandbox::start(config()).unwrap();
    client.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), &[]).unwrap();
    client.execute(&format!("CREATE DATABASE {name} TEMPLATE template0"), &[]).unwrap();
    let mut client = system_tests::connect_to("postgres", name)?;
    client
        .batch_execute(&format!(
            "SET client_min_messages = error;
             CREATE EXTENSION awork_fdw;
             CREATE SERVER a FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{0}',
                 client_id 'awork-sandbox-public', redirect_uri '{REDIRECT}');
             CREATE SERVER b FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{0}',
                 client_id 'awork-sandbox-public', redirect_uri '{REDIRECT}');",
            sandbox.api_url()
        ))
        .unwrap();
    for server in ["a", "b"] {
        log_in(&mut client, &sandbox, server, "admin");
        login_url(&mut client, server);
    }
    Some((client, sandbox))
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

// Odd answers, plans and settings.

#[test]
fn of_two_mappings_and_the_server_the_first_that_names_a_source_decides() {
    let Some(mut w) = Workspace::with_logins("logins_source", config()) else { return };
    let mut role = w.role("logins_source_role");
    log_in(&mut role, &w.sandbox, "logins_source", "limited");
    let mapping = |w: &mut Workspace, of: &str, options: &str| {
        w.client
            .batch_execute(&format!(
                "DROP USER MAPPING IF EXISTS FOR {of} SERVER logins_source;
                 CREATE USER MAPPING FOR {of} SERVER logins_source OPTIONS ({options})"
            ))
            .unwrap();
    };
    mapping(&mut w, "PUBLIC", "api_key 'awork-sandbox-key'");
    count(&mut role);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
    // An own mapping hides that for PUBLIC, also where it names no source.
    mapping(&mut w, "logins_source_role", "redirect_uri 'http://localhost:8765/callback'");
    count(&mut role);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("limited"));
    let url = login_url(&mut role, "logins_source");
    assert!(url.contains("redirect_uri=http%3A%2F%2Flocalhost%3A8765%2Fcallback"), "{url}");
    w.client
        .batch_execute(
            "ALTER SERVER logins_source OPTIONS (DROP client_id);
             SET client_min_messages = error;
             ALTER SERVER logins_source OPTIONS (ADD api_key 'awork-sandbox-key')",
        )
        .unwrap();
    count(&mut role);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
    mapping(&mut w, "logins_source_role", "client_id 'awork-sandbox-public'");
    count(&mut role);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("limited"));
    // Without a login there is no falling back to the key.
    rows(&mut role, "SELECT awork_fdw_logout('logins_source')").unwrap();
    failure(&mut role, COUNT).is("HV002", &["not logged in"]);
}

#[test]
fn the_secret_of_the_server_is_that_of_its_application_alone() {
    let Some(mut w) = Workspace::with_logins("logins_own_app", config()) else { return };
    w.client
        .batch_execute(&format!(
            "ALTER SERVER logins_own_app OPTIONS (SET client_id '{CONFIDENTIAL}',
                 ADD client_secret 'awork-sandbox-secret')"
        ))
        .unwrap();
    w.log_in("admin");
    w.client
        .batch_execute(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER logins_own_app
                 OPTIONS (client_id 'awork-sandbox-public')",
        )
        .unwrap();
    w.failure(COUNT).is("HV002", &["not logged in"]);
    w.log_in("limited");
    let shown: Vec<_> =
        asked_for_tokens(&w.sandbox).iter().map(|entry| entry.client_authentication).collect();
    assert_eq!(shown, [Some(ClientAuthentication::Basic), Some(ClientAuthentication::None)]);
}

#[test]
fn views_and_prepared_statements_ask_as_the_login_of_their_role_at_the_time() {
    let Some((mut w, n)) = logged_in("logins_plans", config()) else { return };
    let mut role = w.role("logins_plans_role");
    log_in(&mut role, &w.sandbox, "logins_plans", "limited");
    let seen = count(&mut role);
    assert_ne!(seen, n);
    w.client
        .batch_execute(
            "SET plan_cache_mode = force_generic_plan;
             CREATE VIEW seen AS SELECT id FROM projects;
             ALTER VIEW seen OWNER TO logins_plans_role;
             PREPARE of_view AS SELECT count(*) FROM seen;
             PREPARE own AS SELECT count(*) FROM projects;",
        )
        .unwrap();
    let found = |w: &mut Workspace, name: &str| rows(&mut w.client, &format!("EXECUTE {name}"));
    for _ in 0..2 {
        assert_eq!(found(&mut w, "of_view").unwrap(), [seen.to_string()]);
        assert_eq!(found(&mut w, "own").unwrap(), [n.to_string()]);
        w.expire();
    }
    w.log_in("limited");
    assert_eq!(found(&mut w, "own").unwrap(), [seen.to_string()]);
    rows(&mut w.client, "SELECT awork_fdw_logout('logins_plans')").unwrap();
    assert!(found(&mut w, "own").unwrap_err().contains("not logged in"));
    assert_eq!(found(&mut w, "of_view").unwrap(), [seen.to_string()]);
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
fn a_login_stands_where_awork_does_not_say_whose_it_is() {
    let Some(mut w) = Workspace::with_logins("logins_whose", config()) else { return };
    let action = status(500);
    w.sandbox.add_fault(Fault { path: "/me".into(), query: None, nth: None, first: None, action });
    let says = w.log_in("admin");
    assert!(says.starts_with("logged in to awork, which does not say as whom"), "{says}");
    assert_ne!(count(&mut w.client), 0);
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
fn a_refresh_token_for_all_roles_is_refused() {
    let Some(mut w) = Workspace::with_logins("logins_shared_seed", config()) else { return };
    let Seed(seed) = Seed::of(&w.sandbox, "admin");
    w.client
        .batch_execute(&format!(
            "CREATE USER MAPPING FOR PUBLIC SERVER logins_shared_seed OPTIONS (refresh_token '{seed}')"
        ))
        .unwrap();
    let refused = w.failure(COUNT);
    refused.is("22023", &["\"refresh_token\"", "one role only"]);
    assert!(!refused.text.contains(&seed), "{refused:?}");
    assert_eq!(w.sandbox.log().len(), 1);
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
fn scans_side_by_side_wait_for_one_refresh() {
    let Some((mut w, _)) = logged_in("logins_async", config()) else { return };
    let sql = "SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM time_entries
        UNION ALL SELECT id FROM tasks UNION ALL SELECT id FROM projects) x";
    same_over_a_refresh(&mut w, sql, "Async Foreign Scan");
}
