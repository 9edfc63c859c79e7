//! What sessions share: the cache of answers and the rate limit. scripts/test runs this against a
//! cluster with the library among `shared_preload_libraries`, too; else each session has its own.

use std::time::Duration;

use awork_sandbox::{Change, Config, RateLimit, RowName};
use postgres::Client;
use system_tests::{Workspace, connect};

/// A scan of five pages.
const SUMS: &str =
    "SELECT count(id), sum(duration) FROM time_entries WHERE note IS DISTINCT FROM 'x'";

fn config() -> Config {
    Config { scale: 4_900, latency: Duration::from_millis(30), ..Config::default() }
}

fn session(name: &str) -> Client {
    let mut client = connect().expect("there is a cluster");
    // Where warnings are seen, each session also asks what the key may do.
    let settings = format!("SET client_min_messages = error; SET search_path = {name}, public");
    client.batch_execute(&settings).unwrap();
    client
}

/// Whether the sessions share anything; the reason is printed where they do not.
fn is_preloaded(client: &mut Client) -> bool {
    let libraries: String = client.query_one("SHOW shared_preload_libraries", &[]).unwrap().get(0);
    let preloaded = libraries.contains("awork_fdw");
    if !preloaded {
        println!("skipped in part: awork_fdw is not among shared_preload_libraries");
    }
    preloaded
}

fn cached(name: &str) -> Option<Workspace> {
    let mut w = Workspace::imported(name, config())?;
    w.client.batch_execute(&format!("ALTER SERVER {name} OPTIONS (ADD cache_ttl '60')")).unwrap();
    Some(w)
}

fn sums(client: &mut Client) -> (i64, i64) {
    let row = client.query_one(SUMS, &[]).unwrap();
    (row.get(0), row.get(1))
}

fn stat(w: &mut Workspace, column: &str) -> i64 {
    let sql = format!("SELECT {column} FROM awork_fdw_stats WHERE server = $1");
    w.client.query_one(&sql, &[&w.name]).unwrap().get(0)
}

#[test]
fn sessions_that_ask_the_same_ask_once() {
    let Some(mut w) = cached("shared_dashboard") else { return };
    let shared = is_preloaded(&mut w.client);
    let expected: Vec<(i64, i64)> = (0..5)
        .map(|_| {
            std::thread::spawn(|| {
                let mut client = session("shared_dashboard");
                let first = sums(&mut client);
                for _ in 0..3 {
                    assert_eq!(sums(&mut client), first);
                }
                first
            })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert!(expected.iter().all(|sums| *sums == expected[0] && sums.0 == 4_900));
    let requests = w.sandbox.log().len();
    assert_eq!(requests, if shared { 5 } else { 25 });
    assert_eq!(stat(&mut w, "requests"), if shared { 5 } else { 0 });
    assert_eq!(stat(&mut w, "cache_hits"), if shared { 95 } else { 0 });
}

#[test]
fn changes_to_server_mapping_and_table_are_heeded_at_once() {
    let Some(mut w) = cached("shared_changes") else { return };
    let asks = |w: &mut Workspace| {
        w.sandbox.clear_log();
        sums(&mut w.client);
        !w.sandbox.log().is_empty()
    };
    assert!(asks(&mut w));
    assert!(!asks(&mut w));
    for (change, asks_again) in [
        ("ALTER SERVER shared_changes OPTIONS (ADD request_timeout '50')", true),
        (
            "ALTER USER MAPPING FOR CURRENT_USER SERVER shared_changes OPTIONS (SET api_key 'awork-sandbox-key')",
            true,
        ),
        ("ALTER FOREIGN TABLE time_entries OPTIONS (ADD cache_ttl '0')", true),
        ("ALTER FOREIGN TABLE time_entries OPTIONS (SET cache_ttl '100')", false),
        ("SELECT awork_fdw_cache_clear('shared_changes')", true),
        ("SELECT awork_fdw_cache_clear()", true),
        ("SELECT 1", false),
    ] {
        asks(&mut w);
        w.client.batch_execute(change).unwrap();
        assert_eq!(asks(&mut w), asks_again, "{change}");
    }
    // A change that is rolled back has not been made.
    w.client
        .batch_execute("BEGIN; ALTER SERVER shared_changes OPTIONS (SET cache_ttl '50')")
        .unwrap();
    assert!(asks(&mut w));
    w.client.batch_execute("ROLLBACK").unwrap();
    assert!(!asks(&mut w));
}

#[test]
fn an_answer_is_for_the_credential_that_asked_for_it() {
    let Some(mut w) = cached("shared_credentials") else { return };
    sums(&mut w.client);
    w.client
        .batch_execute(
            "DROP ROLE IF EXISTS shared_other;
             CREATE ROLE shared_other;
             GRANT USAGE ON FOREIGN SERVER shared_credentials TO shared_other;
             GRANT USAGE ON SCHEMA shared_credentials TO shared_other;
             GRANT SELECT ON ALL TABLES IN SCHEMA shared_credentials TO shared_other;
             CREATE USER MAPPING FOR shared_other SERVER shared_credentials
                 OPTIONS (api_key 'not-the-right-key');
             SET ROLE shared_other",
        )
        .unwrap();
    assert_eq!(w.failure(SUMS).code, "28000");
    w.client
        .batch_execute("RESET ROLE; DROP OWNED BY shared_other; DROP ROLE shared_other")
        .unwrap();
}

#[test]
fn a_cached_answer_is_the_answer_of_then() {
    let Some(mut w) = cached("shared_stale") else { return };
    let count = "SELECT count(name) FROM companies";
    let before: i64 = w.client.query_one(count, &[]).unwrap().get(0);
    let change = Change {
        resource: "companies".into(),
        delete: vec![RowName::Place(0)],
        ..Change::default()
    };
    w.sandbox.change(&change).unwrap();
    let now = |w: &mut Workspace| -> i64 { w.client.query_one(count, &[]).unwrap().get(0) };
    assert_eq!(now(&mut w), before);
    w.client.execute("SELECT awork_fdw_cache_clear()", &[]).unwrap();
    assert_eq!(now(&mut w), before - 1);
}

#[test]
fn the_statistics_are_those_of_the_servers_that_one_may_use() {
    let Some(mut w) = cached("shared_stats") else { return };
    sums(&mut w.client);
    assert_eq!(stat(&mut w, "requests"), 5);
    assert_eq!(stat(&mut w, "cached_answers"), 5);
    assert_eq!(stat(&mut w, "oldest_hit_ms"), 0);
    std::thread::sleep(Duration::from_millis(50));
    sums(&mut w.client);
    assert_eq!((stat(&mut w, "requests"), stat(&mut w, "cache_hits")), (5, 5));
    assert!(stat(&mut w, "oldest_hit_ms") >= 50);
    assert!(stat(&mut w, "bytes_received") > 1_000_000);
    w.client
        .batch_execute(
            "DROP ROLE IF EXISTS shared_nobody; CREATE ROLE shared_nobody; SET ROLE shared_nobody",
        )
        .unwrap();
    let rows = w.client.query("SELECT * FROM awork_fdw_stats", &[]).unwrap();
    assert!(rows.is_empty());
    assert_eq!(w.failure("SELECT awork_fdw_cache_clear('shared_stats')").code, "42501");
    w.client.batch_execute("RESET ROLE; DROP ROLE shared_nobody").unwrap();
}

#[test]
fn servers_that_nobody_asks_take_no_place() {
    // More servers than can be shared, of which the statistics show all.
    let Some(mut w) = cached("shared_idle") else { return };
    let shared = is_preloaded(&mut w.client);
    w.client
        .batch_execute(
            "DO $$ BEGIN FOR i IN 1..200 LOOP
                 EXECUTE format('CREATE SERVER shared_idle_%s FOREIGN DATA WRAPPER awork_fdw', i);
             END LOOP; END $$",
        )
        .unwrap();
    let zeros = "SELECT count(*) FROM awork_fdw_stats
        WHERE server ~ '^shared_idle_' AND requests = 0";
    assert_eq!(w.client.query_one(zeros, &[]).unwrap().get::<_, i64>(0), 200);
    let mut other = session("shared_idle");
    sums(&mut other);
    assert_eq!(stat(&mut w, "requests"), if shared { 5 } else { 0 });
    w.client
        .batch_execute(
            "DO $$ BEGIN FOR i IN 1..200 LOOP
                 EXECUTE format('DROP SERVER shared_idle_%s', i);
             END LOOP; END $$",
        )
        .unwrap();
}

#[test]
fn sessions_keep_within_the_rate_limit_together() {
    let rate_limit = Some(RateLimit { per_second: 10, per_minute: 1000, retry_after: false });
    let config = Config { rate_limit, scale: 1_000, ..Config::default() };
    let Some(mut w) = Workspace::imported("shared_limit", config) else { return };
    if !is_preloaded(&mut w.client) {
        return;
    }
    w.client
        .batch_execute(
            "ALTER SERVER shared_limit OPTIONS (ADD page_size '100', ADD consistency 'relaxed')",
        )
        .unwrap();
    let started = std::time::Instant::now();
    let threads: Vec<_> =
        (0..3).map(|_| std::thread::spawn(|| sums(&mut session("shared_limit")))).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap().0, 1_000);
    }
    let took = started.elapsed().as_secs_f64();
    let log = w.sandbox.log();
    assert_eq!(log.iter().filter(|e| e.status == Some(429)).count(), 0, "of {}", log.len());
    assert_eq!(log.len(), 30);
    assert!((1.9..3.5).contains(&took), "{took} s");
}

#[test]
fn waiting_for_the_rate_limit_or_another_session_can_be_cancelled() {
    let config = Config { scale: 2_000, latency: Duration::from_secs(20), ..Config::default() };
    let Some(mut w) = Workspace::imported("shared_waits", config) else { return };
    w.client
        .batch_execute(
            "ALTER SERVER shared_waits OPTIONS (ADD cache_ttl '60', ADD rate_limit '0.1')",
        )
        .unwrap();
    let mut other = session("shared_waits");
    let asks = std::thread::spawn(move || {
        other.batch_execute("SET statement_timeout = '3s'").unwrap();
        other.query(SUMS, &[]).expect_err("it takes longer");
    });
    std::thread::sleep(Duration::from_millis(500));
    // Where the sessions share, this one waits for the answer to the other's request.
    let started = std::time::Instant::now();
    w.client.batch_execute("SET statement_timeout = '500ms'").unwrap();
    assert_eq!(w.failure(SUMS).code, "57014");
    // Its next request has to wait for its turn, for which the statement has no time.
    let code = w.failure("SELECT count(name) FROM projects").code;
    assert!(["53400", "57014"].contains(&code.as_str()), "{code}");
    assert!(started.elapsed() < Duration::from_millis(1400), "{:?}", started.elapsed());
    asks.join().unwrap();
}
