//! The server stops, or its postmaster dies, while sessions wait for awork at every stage: no
//! process, no connection and no request is left, and the server starts again.

use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, Sandbox};
use postgres::Client;
use system_tests::cluster::Cluster;
use system_tests::logins::{PUBLIC, REDIRECT, REFRESH, log_in, until};
use system_tests::processes::{children, has_ended};
use system_tests::stages::{Stage, server, stages};

/// What goes on for longer than this has not noticed. Leaves room for machines that do other
/// things as well; the times are printed.
const LIMIT: Duration = Duration::from_secs(1);

/// A request for a token is waited for beyond its session: for `request_timeout` at the most.
const LONGEST_EXCHANGE: Duration = Duration::from_millis(1_500);

const SETTINGS: &str = "shared_preload_libraries = 'awork_fdw'\nmax_worker_processes = 20";

/// A session and the statement that it runs.
struct Session {
    what: String,
    pid: i32,
    statement: JoinHandle<bool>,
}

fn sandbox() -> Sandbox {
    Sandbox::start(Config { scale: 300, ..Config::default() }).expect("the sandbox starts")
}

fn fault(path: &str, query: Option<&str>, first: Option<u64>, action: Action) -> Fault {
    Fault { path: path.into(), query: query.map(str::to_owned), nth: None, first, action }
}

fn pid(client: &mut Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).expect("a session").get(0)
}

/// Begins a statement in a session of its own.
fn begin(cluster: &Cluster, what: &str, sql: &str) -> Session {
    let (mut client, sql) = (cluster.connect(), sql.to_owned());
    let pid = pid(&mut client);
    let statement = thread::spawn(move || client.simple_query(&sql).is_ok());
    Session { what: what.to_owned(), pid, statement }
}

/// Sessions that hang, one or two at each stage.
fn hang(cluster: &Cluster, stages: &[Stage]) -> Vec<Session> {
    let mut sessions = Vec::new();
    for stage in stages {
        until(stage.name, || stage.under_way() == 0);
        stage.begin();
        sessions.push(begin(cluster, stage.name, &stage.sql));
        until(stage.name, || stage.is_reached());
        if stage.waits_for_another {
            sessions.push(begin(cluster, "another", &stage.sql));
        }
    }
    thread::sleep(Duration::from_millis(50));
    sessions
}

/// A session without a statement that has a cursor open, whose next page does not come.
fn cursor(cluster: &Cluster, sandbox: &Sandbox) -> Client {
    let mut client = cluster.connect();
    client
        .batch_execute(
            "BEGIN; DECLARE c CURSOR FOR SELECT id FROM open_cursor.time_entries; FETCH 8 FROM c",
        )
        .expect("the first page comes");
    until("the next page is asked for", || !sandbox.running().is_empty());
    client
}

/// Waits for processes to end, and gives the time that each takes.
fn ends(pids: &[i32], since: Instant) -> Vec<Duration> {
    let mut times = vec![None; pids.len()];
    until("processes go on", || {
        for (time, pid) in times.iter_mut().zip(pids).filter(|(time, _)| time.is_none()) {
            *time = has_ended(*pid).then(|| since.elapsed());
        }
        times.iter().all(Option::is_some)
    });
    times.into_iter().flatten().collect()
}

#[test]
fn all_processes_end_with_the_postmaster_or_a_fast_shutdown() {
    let Some(cluster) = Cluster::new("shutdown_hanging", SETTINGS) else { return };
    let mut client = cluster.connect();
    let stages = stages(&mut client);
    let paged = sandbox();
    server(&mut client, "open_cursor", &paged.api_url(), "ADD page_size '10'");
    paged.add_fault(fault("/timeentries", Some("page=2"), None, Action::Hang));
    drop(client);

    for what in ["postmaster killed", "fast shutdown"] {
        let sessions = hang(&cluster, &stages);
        let mut idle = cursor(&cluster, &paged);
        let idle_pid = pid(&mut idle);
        let postmaster = cluster.postmaster();
        let all = children(postmaster);
        assert!(sessions.iter().all(|session| all.contains(&session.pid)));
        let backends: Vec<i32> =
            sessions.iter().map(|session| session.pid).chain([idle_pid]).collect();
        let since = Instant::now();
        let watched = match what {
            "fast shutdown" => {
                cluster.begin_to_stop("fast");
                &backends
            }
            _ => {
                let killed = Command::new("kill").args(["-KILL", &postmaster.to_string()]).status();
                assert!(killed.expect("kill runs").success());
                &all
            }
        };
        let times = ends(watched, since);
        for (pid, took) in watched.iter().zip(times) {
            let session = sessions.iter().find(|session| session.pid == *pid);
            let name = match session {
                Some(session) => session.what.as_str(),
                None if *pid == idle_pid => "the open cursor",
                None => "another process",
            };
            println!("{what}: {name} ended after {took:?}");
            assert!(took < LIMIT, "{what}: {name} ended after {took:?}");
        }
        for session in sessions {
            assert!(!session.statement.join().expect("no test panics here"), "{}", session.what);
        }
        ends(&all, since);
        ends(&[postmaster], since);
        let took = since.elapsed();
        println!("{what}: the server was gone after {took:?}");
        assert!(took < LONGEST_EXCHANGE + 5 * LIMIT, "{what}: the server was gone after {took:?}");
        // The next one takes it for alive until somebody has waited for it.
        until("the postmaster", || !Path::new(&format!("/proc/{postmaster}")).exists());
        for stage in &stages {
            until(stage.name, || stage.under_way() == 0);
        }
        until("the cursor's page", || paged.running().is_empty());
        cluster.start();
        let sql = "SELECT count(created_on) FROM headers.companies";
        assert_ne!(cluster.connect().query_one(sql, &[]).expect("it works").get::<_, i64>(0), 0);
    }
}

#[test]
fn a_smart_shutdown_waits_for_what_is_asked() {
    const WAIT: u64 = 1_000;
    let Some(cluster) = Cluster::new("shutdown_smart", SETTINGS) else { return };
    let mut client = cluster.connect();
    client.batch_execute("CREATE EXTENSION awork_fdw").expect("the extension can be made");
    let asked = [
        ("headers", "", fault("/projects", None, None, Action::Latency { ms: WAIT })),
        ("body", "", fault("/projects", None, None, Action::SlowBody { after: Some(1), ms: WAIT })),
        (
            "back_off",
            "SET max_retries '9'",
            fault(
                "/projects",
                None,
                Some(2),
                Action::Status { status: 503, code: None, retry_after: Some(1) },
            ),
        ),
        ("refresh", "", fault("", Some(REFRESH), None, Action::Latency { ms: WAIT })),
    ];
    let sandboxes: Vec<Sandbox> = asked
        .iter()
        .map(|(name, options, _)| {
            let sandbox = sandbox();
            server(&mut client, name, &sandbox.api_url(), options);
            sandbox
        })
        .collect();
    client
        .batch_execute(&format!(
            "DROP USER MAPPING FOR CURRENT_USER SERVER refresh;
             ALTER SERVER refresh OPTIONS (ADD client_id '{PUBLIC}', ADD redirect_uri '{REDIRECT}')"
        ))
        .expect("options can be changed");
    log_in(&mut client, &sandboxes[3], "refresh", "admin");
    client
        .batch_execute("UPDATE awork_fdw_tokens SET access_expires_at = now() - interval '1 s'")
        .expect("a superuser can do that");
    drop(client);

    let mut sessions = Vec::new();
    for ((name, _, fault), sandbox) in asked.into_iter().zip(&sandboxes) {
        sandbox.clear_log();
        sandbox.add_fault(fault);
        sessions.push(begin(&cluster, name, &format!("SELECT created_on FROM {name}.projects")));
        until(name, || !sandbox.log().is_empty());
    }
    let postmaster = cluster.postmaster();
    let all = children(postmaster);
    cluster.begin_to_stop("smart");
    until("sessions are taken", || cluster.try_connect().is_err());
    for session in sessions {
        assert!(session.statement.join().expect("no test panics here"), "{}", session.what);
    }
    let since = Instant::now();
    ends(&all, since);
    ends(&[postmaster], since);
    println!("the server was gone after {:?}", since.elapsed());
    assert!(since.elapsed() < 3 * LIMIT, "{:?}", since.elapsed());
}
