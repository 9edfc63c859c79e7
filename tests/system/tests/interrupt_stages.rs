//! Whatever ends a statement or its session does so at once, at every stage of asking awork, and
//! leaves no thread, no socket and no request.
//!
//! The limit leaves room for machines that do other things as well; the times are printed.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use system_tests::cluster::Cluster;
use system_tests::logins::until;
use system_tests::processes::{Held, has_ended};
use system_tests::stages::{Stage, stages};

/// What waits for longer than this has not noticed.
const LIMIT: Duration = Duration::from_secs(1);

const SETTINGS: &str =
    "shared_preload_libraries = 'awork_fdw'\nclient_connection_check_interval = '20ms'";

/// A statement that gets on.
const WELL: &str = "SELECT id FROM headers.companies";

/// How many stages are tried at a time: most of the time is spent with waiting.
const LANES: usize = 4;

/// The time that a statement has, where it has one.
const TIMEOUT: Duration = Duration::from_millis(600);

fn pid(client: &mut Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).expect("a session").get(0)
}

/// Runs the statement of a stage, and does something to it once it hangs there. Gives the SQLSTATE
/// that it ended with, and when.
fn run(stage: &Stage, client: &mut Client, act: impl FnOnce() -> Instant) -> (String, Duration) {
    stage.begin();
    thread::scope(|scope| {
        let statement = scope.spawn(|| {
            let error = client.simple_query(&stage.sql).expect_err(stage.name);
            let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
            (code, Instant::now())
        });
        until(stage.name, || stage.is_reached() || statement.is_finished());
        thread::sleep(Duration::from_millis(50));
        assert!(!statement.is_finished(), "{}: {:?}", stage.name, statement.join());
        let since = act();
        let (code, ended) = statement.join().expect("no test panics here");
        (code, ended.duration_since(since))
    })
}

/// Waits until no more is under way than before.
fn assert_nothing_left(stage: &Stage, what: &str, before: usize) {
    let what = format!("{}, {what}: something is under way", stage.name);
    until(&what, || stage.under_way() <= before);
}

#[track_caller]
fn assert_at_once(stage: &Stage, what: &str, took: Duration) {
    println!("{}: {what} took {took:?}", stage.name);
    assert!(took < LIMIT, "{}: {what} took {took:?}", stage.name);
}

#[test]
fn statements_and_sessions_end_at_every_stage() {
    let Some(cluster) = Cluster::new("interrupt_stages", SETTINGS) else { return };
    let stages = stages(&mut cluster.connect());
    thread::scope(|scope| {
        let (cluster, stages) = (&cluster, &stages);
        for lane in 0..LANES {
            scope.spawn(move || {
                for stage in stages.iter().skip(lane).step_by(LANES) {
                    ends_at(stage, cluster);
                }
            });
        }
    });
}

/// Interrupts the statement of a stage in every way.
fn ends_at(stage: &Stage, cluster: &Cluster) {
    let (mut client, mut observer) = (cluster.connect(), cluster.connect());
    // The first request of a session starts threads.
    client.simple_query(WELL).expect("the sandbox answers");
    let other = stage.waits_for_another.then(|| {
        let (mut other, sql) = (cluster.connect(), stage.sql.clone());
        let other_pid = pid(&mut other);
        let asking = thread::spawn(move || other.simple_query(&sql).is_ok());
        until("the other session asks", || stage.is_reached());
        (other_pid, asking)
    });
    let before = stage.under_way();
    let backend = pid(&mut client);
    let held = Held::of(backend);
    let survives = |client: &mut Client, what: &str| {
        // The server signals a process and its group (postmaster.c, `signal_child`), so that one
        // cancel may be noticed twice where the first is so quickly.
        if client.simple_query(WELL).is_err() {
            client.simple_query(WELL).expect("the session goes on");
        }
        assert_nothing_left(stage, what, before);
        assert_eq!(Held::beyond(backend, held), None, "{}: {what}", stage.name);
    };

    let token = client.cancel_token();
    let (code, took) = run(stage, &mut client, || {
        let sent = Instant::now();
        token.cancel_query(NoTls).expect("the cluster takes the request");
        sent
    });
    assert_eq!(code, "57014", "{}", stage.name);
    assert_at_once(stage, "cancel", took);
    survives(&mut client, "cancel");

    let timeout = format!("SET statement_timeout = {}", TIMEOUT.as_millis());
    client.simple_query(&timeout).expect("a setting");
    timed_out(stage, &mut client);
    client.simple_query("RESET statement_timeout").expect("a setting");
    survives(&mut client, "statement_timeout");

    let (code, took) = run(stage, &mut client, || {
        let sent = Instant::now();
        observer.query("SELECT pg_terminate_backend($1)", &[&backend]).expect("it is there");
        sent
    });
    // The client may notice only that the connection is closed.
    assert!(["57P01", ""].contains(&code.as_str()), "{}: {code}", stage.name);
    assert_at_once(stage, "terminate", took);
    until("the session goes on", || has_ended(backend));
    assert_nothing_left(stage, "terminate", before);

    let (psql, backend) = in_psql(cluster, &mut observer, stage);
    assert_at_once(stage, "client gone", abandoned(psql, backend));
    assert_nothing_left(stage, "client gone", before);

    if let Some((other, asking)) = other {
        observer.query("SELECT pg_terminate_backend($1)", &[&other]).expect("it is there");
        assert!(!asking.join().expect("no test panics here"));
    }
    assert_nothing_left(stage, "the end", 0);
}

/// Runs the statement of a stage into its timeout.
fn timed_out(stage: &Stage, client: &mut Client) {
    stage.begin();
    let started = Instant::now();
    let error = client.simple_query(&stage.sql).expect_err(stage.name);
    let took = started.elapsed();
    let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
    if !stage.instead.contains(&code.as_str()) {
        assert_eq!(code, "57014", "{}", stage.name);
    }
    assert_at_once(stage, "statement_timeout", took.saturating_sub(TIMEOUT));
}

/// Has psql run the statement of a stage; the program, and its backend once it hangs there.
fn in_psql(cluster: &Cluster, observer: &mut Client, stage: &Stage) -> (Child, i32) {
    stage.begin();
    let psql = cluster.psql(stage.name, &stage.sql);
    let mut backend = None;
    until(stage.name, || {
        let sql = "SELECT pid FROM pg_stat_activity
            WHERE application_name = $1 AND state = 'active' AND backend_type = 'client backend'";
        let row = observer.query_opt(sql, &[&stage.name]).expect("a session");
        backend = row.map(|row| row.get(0));
        backend.is_some() && stage.is_reached()
    });
    thread::sleep(Duration::from_millis(50));
    (psql, backend.expect("it is there"))
}

/// Ends the client of a backend, and waits for the backend to notice.
fn abandoned(mut psql: Child, backend: i32) -> Duration {
    let since = Instant::now();
    psql.kill().expect("psql runs");
    until("the session goes on without its client", || has_ended(backend));
    let took = since.elapsed();
    psql.wait().expect("psql has ended");
    took
}
