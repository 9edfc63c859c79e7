//! Logins in clusters of one's own: on a hot standby, after a crash, and where no worker can start.

use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, Sandbox};
use postgres::Client;
use system_tests::cluster::Cluster;
use system_tests::{PUBLIC, REDIRECT, code, failure, log_in, login_url};

const COUNT: &str = "SELECT count(*) FROM awork.projects";

fn sandbox() -> Sandbox {
    Sandbox::start(Config { scale: 200, ..Config::default() }).unwrap()
}

/// The extension and a server where users log in.
fn set_up(client: &mut Client, sandbox: &Sandbox) {
    client
        .batch_execute(&format!(
            "CREATE EXTENSION awork_fdw; CREATE SCHEMA awork;
             CREATE SERVER awork FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{}',
                 max_retries '0', client_id '{PUBLIC}', redirect_uri '{REDIRECT}');
             IMPORT FOREIGN SCHEMA awork FROM SERVER awork INTO awork;",
            sandbox.api_url()
        ))
        .unwrap();
}

fn age(client: &mut Client, left: &str) {
    let sql = format!(
        "UPDATE awork_fdw_tokens SET access_issued_at = now() - interval '1 hour',
             access_expires_at = now() + interval '{left}'"
    );
    assert_eq!(client.execute(&sql, &[]).unwrap(), 1);
}

fn count(client: &mut Client) -> i64 {
    client.query_one(COUNT, &[]).unwrap().get(0)
}

fn refreshes(sandbox: &Sandbox) -> usize {
    let log = sandbox.log();
    log.iter().filter(|entry| entry.grant_type.as_deref() == Some("refresh_token")).count()
}

/// Has every answer with refreshed tokens wait, or worse.
fn refresh_fault(sandbox: &Sandbox, action: Action) {
    let query = Some("grant_type=refresh_token".to_owned());
    sandbox.add_fault(Fault { path: String::new(), query, nth: None, first: None, action });
}

fn until_refreshing(sandbox: &Sandbox) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while refreshes(sandbox) == 0 {
        assert!(Instant::now() < deadline, "no refresh began");
        thread::sleep(Duration::from_millis(20));
    }
}

fn tokens(client: &mut Client) -> Vec<String> {
    let row = client.query_one("SELECT access_token, refresh_token FROM awork_fdw_tokens", &[]);
    let row = row.unwrap();
    vec![row.get(0), row.get(1)]
}

#[test]
fn a_standby_uses_logins_and_changes_none() {
    let Some(primary) = Cluster::new("logins_primary", "log_statement = 'none'") else { return };
    let sandbox = sandbox();
    let mut on_primary = primary.connect();
    set_up(&mut on_primary, &sandbox);
    let standby = primary.standby("logins_standby");
    let mut on_standby = standby.connect();
    primary.wait_for(&standby);
    failure(&mut on_standby, COUNT).is("HV002", &["not logged in", "awork_fdw_login_url"]);
    log_in(&mut on_primary, &sandbox, "awork", "limited");
    let mut secrets = tokens(&mut on_primary);
    let rows = count(&mut on_primary);
    primary.wait_for(&standby);
    assert_eq!(count(&mut on_standby), rows);
    assert_eq!(sandbox.log().last().unwrap().identity.as_deref(), Some("limited"));

    let url = login_url(&mut on_primary, "awork");
    primary.wait_for(&standby);
    let login = format!("SELECT awork_fdw_login('awork', '{}')", code(&sandbox, &url, "limited"));
    for sql in ["SELECT awork_fdw_login_url('awork')", &login, "SELECT awork_fdw_logout('awork')"] {
        failure(&mut on_standby, sql).is("25006", &["standby", "on the primary"]);
    }

    // About to expire, but good.
    age(&mut on_primary, "1 minute");
    primary.wait_for(&standby);
    assert_eq!((count(&mut on_standby), refreshes(&sandbox)), (rows, 0));
    // Expired by the clock, and only in awork.
    age(&mut on_primary, "-1 second");
    primary.wait_for(&standby);
    failure(&mut on_standby, COUNT).is("25006", &["renewed", "standby", "on the primary"]);
    age(&mut on_primary, "1 day");
    assert_ne!(sandbox.expire_access_tokens(), 0);
    primary.wait_for(&standby);
    failure(&mut on_standby, COUNT).is("25006", &["renewed", "standby", "on the primary"]);
    assert_eq!(refreshes(&sandbox), 0);

    assert_eq!(count(&mut on_primary), rows);
    secrets.extend(tokens(&mut on_primary));
    primary.wait_for(&standby);
    assert_eq!((count(&mut on_standby), refreshes(&sandbox)), (rows, 1));
    for secret in secrets {
        assert!(!primary.log().contains(&secret) && !standby.log().contains(&secret));
    }
}

#[test]
fn after_a_crash_in_the_middle_of_a_refresh_the_error_tells_of_it() {
    let Some(cluster) = Cluster::new("logins_crash", "") else { return };
    let sandbox = sandbox();
    let mut client = cluster.connect();
    set_up(&mut client, &sandbox);
    log_in(&mut client, &sandbox, "awork", "limited");
    let rows = count(&mut client);
    age(&mut client, "-1 second");
    refresh_fault(&sandbox, Action::HangAfter);
    let waiting = thread::spawn(move || client.query_one(COUNT, &[]).unwrap_err());
    until_refreshing(&sandbox);
    // What is asked has been done: only the answer is lost.
    thread::sleep(Duration::from_millis(500));
    cluster.stop("immediate");
    waiting.join().unwrap();
    sandbox.clear_faults();
    cluster.start();
    let mut client = cluster.connect();
    failure(&mut client, COUNT).is("28000", &["was interrupted", "awork_fdw_login_url"]);
    assert_eq!(refreshes(&sandbox), 2);
    log_in(&mut client, &sandbox, "awork", "limited");
    assert_eq!(count(&mut client), rows);
}

#[test]
fn a_stop_of_the_server_loses_no_refresh() {
    let Some(cluster) = Cluster::new("logins_stop", "") else { return };
    let sandbox = sandbox();
    let mut client = cluster.connect();
    set_up(&mut client, &sandbox);
    log_in(&mut client, &sandbox, "awork", "limited");
    let rows = count(&mut client);
    age(&mut client, "-1 second");
    refresh_fault(&sandbox, Action::Latency { ms: 3_000 });
    let waiting = thread::spawn(move || client.query_one(COUNT, &[]).is_err());
    until_refreshing(&sandbox);
    cluster.stop("fast");
    assert!(waiting.join().unwrap());
    cluster.start();
    assert_eq!((count(&mut cluster.connect()), refreshes(&sandbox)), (rows, 1));
}

#[test]
fn without_a_place_for_a_worker_a_login_fails_and_good_tokens_serve_on() {
    let Some(cluster) = Cluster::new("logins_workers", "") else { return };
    let sandbox = sandbox();
    let mut client = cluster.connect();
    set_up(&mut client, &sandbox);
    log_in(&mut client, &sandbox, "awork", "limited");
    let rows = count(&mut client);
    age(&mut client, "1 minute");
    drop(client);
    cluster.stop("fast");
    cluster.configure("max_worker_processes = 0");
    cluster.start();
    let mut client = cluster.connect();
    failure(&mut client, "SELECT awork_fdw_login_url('awork')")
        .is("53000", &["background worker", "max_worker_processes"]);
    assert_eq!(count(&mut client), rows);
    age(&mut client, "-1 second");
    failure(&mut client, COUNT).is("53000", &["max_worker_processes"]);
    assert_eq!(refreshes(&sandbox), 0);
}

#[test]
fn a_worker_that_is_told_to_end_stores_its_token_first() {
    let Some(cluster) = Cluster::new("logins_told", "") else { return };
    let sandbox = sandbox();
    let mut client = cluster.connect();
    set_up(&mut client, &sandbox);
    log_in(&mut client, &sandbox, "awork", "limited");
    let rows = count(&mut client);
    age(&mut client, "-1 second");
    refresh_fault(&sandbox, Action::Latency { ms: 3_000 });
    let waiting = thread::spawn(move || count(&mut client));
    until_refreshing(&sandbox);
    let mut other = cluster.connect();
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        let sql = format!(
            "SELECT {function}(pid) FROM pg_stat_activity WHERE backend_type = 'awork_fdw login'"
        );
        assert_eq!(other.query(&sql, &[]).unwrap().len(), 1, "{function}");
    }
    assert_eq!(waiting.join().unwrap(), rows);
    assert_eq!((count(&mut other), refreshes(&sandbox)), (rows, 1));
}

#[test]
fn cancelled_statements_leave_places_for_other_workers() {
    let Some(cluster) = Cluster::new("logins_places", "max_worker_processes = 3") else { return };
    let sandbox = sandbox();
    let mut client = cluster.connect();
    set_up(&mut client, &sandbox);
    log_in(&mut client, &sandbox, "awork", "limited");
    age(&mut client, "-1 second");
    refresh_fault(&sandbox, Action::Hang);
    client.batch_execute("SET statement_timeout = '500ms'").unwrap();
    for _ in 0..5 {
        failure(&mut client, COUNT).is("57014", &[]);
    }
    assert_eq!(refreshes(&sandbox), 1);
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'awork_fdw login'";
    assert_eq!(client.query_one(workers, &[]).unwrap().get::<_, i64>(0), 1);
    client
        .batch_execute("SET statement_timeout = '60s'; CREATE ROLE other SUPERUSER; SET ROLE other")
        .unwrap();
    log_in(&mut client, &sandbox, "awork", "limited");
    assert_ne!(count(&mut client), 0);
}
