//! The figures of servers and tables. scripts/test runs this against a cluster with the library
//! among `shared_preload_libraries`, too.

use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, RateLimit, Sandbox};
use postgres::{Client, Row};
use system_tests::cluster::Cluster;
use system_tests::{Workspace, connect, failure};

fn config() -> Config {
    Config { scale: 2_500, ..Config::default() }
}

fn workspace(name: &str) -> Option<Workspace> {
    Workspace::imported(name, config())
}

fn of_server(w: &mut Workspace) -> Row {
    let sql = "SELECT * FROM awork_fdw_stats WHERE server = $1";
    w.client.query_one(sql, &[&w.name]).unwrap()
}

fn of_table(w: &mut Workspace, table: &str) -> Row {
    let sql = "SELECT * FROM awork_fdw_table_stats WHERE server = $1 AND table_name = $2";
    w.client.query_one(sql, &[&w.name, &table]).unwrap()
}

fn numbers<const N: usize>(row: &Row, columns: [&str; N]) -> [i64; N] {
    columns.map(|column| row.get::<_, i64>(column))
}

fn fault(path: &str, action: Action) -> Fault {
    Fault { path: path.into(), query: None, nth: None, first: None, action }
}

fn status(status: u16, code: Option<&str>) -> Action {
    Action::Status { status, code: code.map(str::to_owned), retry_after: None }
}

#[test]
fn each_table_has_what_its_own_scans_took() {
    let Some(mut w) = workspace("stats_tables") else { return };
    w.client
        .batch_execute(
            "CREATE FOREIGN TABLE entries (id uuid, note text) SERVER stats_tables
                 OPTIONS (resource 'time_entries')",
        )
        .unwrap();
    w.client.query("SELECT id, duration FROM time_entries", &[]).unwrap();
    w.client.query("SELECT id FROM entries LIMIT 5", &[]).unwrap();
    let row = of_table(&mut w, "time_entries");
    // Pages overlap by a row or two.
    assert_eq!(numbers(&row, ["requests", "pages", "rows_received", "failures"]), [3, 3, 2_503, 0]);
    assert!(row.get::<_, i64>("bytes_received") > 500_000);
    assert!(row.get::<_, f64>("latency_p50_ms") <= row.get::<_, f64>("latency_p95_ms"));
    let [took, decoding] = numbers(&row, ["request_ms", "decode_ms"]);
    assert!(took > 0 && decoding > 0, "{took}, {decoding}");
    assert_eq!(row.get::<_, &str>("table_schema"), "stats_tables");
    assert_eq!(row.get::<_, &str>("resource"), "time_entries");
    assert!(row.get::<_, Option<String>>("last_error").is_none());
    let row = of_table(&mut w, "entries");
    assert_eq!(numbers(&row, ["requests", "rows_received"]), [1, 5]);
    assert_eq!(row.get::<_, &str>("resource"), "time_entries");
    // The lists of parents are read for the table whose parents they are.
    w.sandbox.clear_log();
    w.client.query("SELECT id FROM project_task_lists", &[]).unwrap();
    let requests = w.sandbox.log().len() as i64;
    assert!(requests > 5, "{requests}");
    assert_eq!(numbers(&of_table(&mut w, "project_task_lists"), ["requests"]), [requests]);
    let projects =
        "SELECT FROM awork_fdw_table_stats WHERE table_name = 'projects' AND server = $1";
    assert!(w.client.query(projects, &[&w.name]).unwrap().is_empty());
    // What no table asks is the server's.
    let check = "SELECT awork_fdw_check('stats_tables')";
    w.client.query(check, &[]).unwrap();
    let row = of_server(&mut w);
    assert_eq!(numbers(&row, ["requests", "pages"]), [4 + requests + 2, 4 + requests]);
    w.client.batch_execute("DROP FOREIGN TABLE entries").unwrap();
    let left = "SELECT count(*) FROM awork_fdw_table_stats WHERE server = 'stats_tables'";
    assert_eq!(w.client.query_one(left, &[]).unwrap().get::<_, i64>(0), 2);
    assert_eq!(numbers(&of_server(&mut w), ["requests"]), [4 + requests + 2]);
}

#[test]
fn joins_samples_and_the_cache_count_for_their_table() {
    let Some(mut w) = workspace("stats_kinds") else { return };
    w.client.batch_execute("ANALYZE companies").unwrap();
    assert_eq!(numbers(&of_table(&mut w, "companies"), ["requests"]), [1]);
    w.client
        .batch_execute(
            "ALTER FOREIGN TABLE users OPTIONS (ADD cache_ttl '60');
             SELECT id FROM users; SELECT id FROM users; SELECT id FROM users",
        )
        .unwrap();
    let hits = numbers(&of_table(&mut w, "users"), ["requests", "cache_misses", "cache_hits"]);
    assert_eq!(hits, [1, 1, 2]);
    let join = "SELECT m.id FROM (SELECT id FROM projects ORDER BY created_on LIMIT 3) p
        JOIN project_task_lists m ON m.project_id = p.id";
    w.sandbox.clear_log();
    w.client.query(join, &[]).unwrap();
    let log = w.sandbox.log();
    let of_projects = log.iter().filter(|entry| entry.path.ends_with("/projects")).count() as i64;
    assert_eq!(numbers(&of_table(&mut w, "projects"), ["requests"]), [of_projects]);
    let others = log.len() as i64 - of_projects;
    assert_eq!(numbers(&of_table(&mut w, "project_task_lists"), ["requests"]), [others]);
    assert_eq!((of_projects, others), (1, 3), "{log:?}");
}

#[test]
fn refusals_retries_and_limits_are_counted_apart() {
    let Some(mut w) = workspace("stats_refusals") else { return };
    w.client.batch_execute("ALTER SERVER stats_refusals OPTIONS (SET max_retries '2')").unwrap();
    let first = |action, first| Fault { first: Some(first), ..fault("/projects", action) };
    w.sandbox.add_fault(first(status(503, None), 2));
    w.client.query("SELECT id FROM projects", &[]).unwrap();
    let columns = ["requests", "retries", "rate_limited", "refused_filters", "failures"];
    assert_eq!(numbers(&of_table(&mut w, "projects"), columns), [3, 2, 0, 0, 0]);
    assert!(of_table(&mut w, "projects").get::<_, i64>("retry_wait_ms") > 0);
    w.sandbox.clear_faults();
    w.sandbox.add_fault(first(Action::Status { status: 429, code: None, retry_after: Some(0) }, 1));
    w.client.query("SELECT id FROM projects", &[]).unwrap();
    assert_eq!(numbers(&of_table(&mut w, "projects"), columns), [5, 3, 1, 0, 0]);
    w.sandbox.clear_faults();
    w.sandbox.add_fault(fault("/timeentries", Action::RefuseFilter));
    w.client.query("SELECT id FROM time_entries WHERE is_billable", &[]).unwrap();
    let row = of_table(&mut w, "time_entries");
    let [refused, failures] = numbers(&row, ["refused_filters", "failures"]);
    assert!(refused > 0 && failures == 0, "{refused}, {failures}");
    // A query that had all its rows has no error.
    assert!(row.get::<_, Option<String>>("last_error").is_none());
    let row = of_server(&mut w);
    assert_eq!(numbers(&row, ["retries", "rate_limited"]), [3, 1]);
    assert_eq!(numbers(&row, ["refused_filters", "failures"]), [refused, 0]);
}

#[test]
fn waiting_for_the_rate_limit_is_counted_for_table_and_server() {
    let rate_limit = Some(RateLimit { per_second: 5, per_minute: 1000, retry_after: false });
    let config = Config { scale: 1_500, rate_limit, ..Config::default() };
    let Some(mut w) = Workspace::imported("stats_limit", config) else { return };
    w.client.batch_execute("ALTER SERVER stats_limit OPTIONS (ADD page_size '100')").unwrap();
    w.client.query("SELECT id, note FROM time_entries", &[]).unwrap();
    let [of_table] = numbers(&of_table(&mut w, "time_entries"), ["rate_limit_wait_ms"]);
    assert!(of_table > 1_000, "{of_table}");
    let row = of_server(&mut w);
    assert_eq!(numbers(&row, ["rate_limit_wait_ms", "requests_per_second"]), [of_table, 5]);
}

#[test]
fn the_last_error_is_what_the_statement_failed_with() {
    let Some(mut w) = workspace("stats_error") else { return };
    let started = std::time::SystemTime::now();
    w.sandbox.add_fault(fault("/projects", status(503, None)));
    w.failure("SELECT id FROM projects");
    let row = of_table(&mut w, "projects");
    let text: String = row.get("last_error");
    assert_eq!(
        text,
        "could not fetch page 1 of resource \"projects\": awork answered with HTTP status 503"
    );
    let at: std::time::SystemTime = row.get("last_error_at");
    assert!(at >= started && at <= std::time::SystemTime::now(), "{at:?}");
    assert_eq!(numbers(&row, ["failures"]), [1]);
    assert_eq!(of_server(&mut w).get::<_, String>("last_error"), text);
    // Rows that cannot be shown are an error of a request that did not fail.
    let type_text = "CREATE FOREIGN TABLE bad (name integer) SERVER stats_error
        OPTIONS (resource 'companies')";
    w.client.batch_execute(type_text).unwrap();
    w.failure("SELECT name FROM bad");
    let row = of_table(&mut w, "bad");
    assert!(row.get::<_, &str>("last_error").contains("does not fit column \"name\""));
    assert_eq!(numbers(&row, ["failures"]), [0]);
    assert!(of_server(&mut w).get::<_, String>("last_error").contains("does not fit"));
    // What no table asked has failed too.
    w.sandbox.add_fault(fault("/me", status(500, None)));
    w.client.query("SELECT awork_fdw_check('stats_error')", &[]).unwrap();
    let row = of_server(&mut w);
    assert_eq!(row.get::<_, &str>("last_error"), "awork answered with HTTP status 500");
    assert_eq!(numbers(&row, ["failures"]), [2]);
    // The next good answer takes no error away.
    w.sandbox.clear_faults();
    w.client.query("SELECT id FROM projects", &[]).unwrap();
    assert!(of_table(&mut w, "projects").get::<_, Option<String>>("last_error").is_some());
}

#[test]
fn figures_count_again_from_a_reset_by_whom_a_superuser_allows_it() {
    let Some(mut w) = workspace("stats_reset") else { return };
    let Some(mut other) = Workspace::imported("stats_reset_other", config()) else { return };
    w.sandbox.add_fault(fault("/users", status(503, None)));
    w.failure("SELECT id FROM users");
    w.client.query("SELECT id FROM projects", &[]).unwrap();
    w.client.query("SELECT id FROM stats_reset_other.projects", &[]).unwrap();
    let since = |row: &Row| row.get::<_, Option<std::time::SystemTime>>("stats_since").unwrap();
    let before = since(&of_server(&mut w));
    w.client
        .batch_execute(
            "DROP ROLE IF EXISTS stats_role; CREATE ROLE stats_role;
             GRANT USAGE ON FOREIGN SERVER stats_reset TO stats_role; SET ROLE stats_role",
        )
        .unwrap();
    for sql in ["SELECT awork_fdw_stats_reset('stats_reset')", "SELECT awork_fdw_stats_reset()"] {
        w.failure(sql).is("42501", &["permission denied for function"]);
    }
    w.client
        .batch_execute(
            "RESET ROLE; GRANT EXECUTE ON FUNCTION awork_fdw_stats_reset(text) TO stats_role;
             SET ROLE stats_role",
        )
        .unwrap();
    w.failure("SELECT awork_fdw_stats_reset('stats_reset_other')").is("42501", &["server"]);
    assert_eq!(numbers(&of_table(&mut w, "projects"), ["requests"]), [1]);
    w.client.query("SELECT awork_fdw_stats_reset('stats_reset')", &[]).unwrap();
    w.client.batch_execute("RESET ROLE").unwrap();
    let row = of_server(&mut w);
    assert_eq!(numbers(&row, ["requests", "failures", "rows_received"]), [0, 0, 0]);
    assert!(row.get::<_, Option<String>>("last_error").is_none() && since(&row) > before);
    assert!(row.get::<_, Option<f64>>("latency_p50_ms").is_none());
    for table in ["projects", "users"] {
        let row = of_table(&mut w, table);
        assert_eq!(numbers(&row, ["requests", "failures"]), [0, 0]);
    }
    // Those of the other server are as they were, until all are reset that the role may use.
    (other.client, w.client) = (w.client, other.client);
    assert_eq!(numbers(&of_table(&mut other, "projects"), ["requests"]), [1]);
    other
        .client
        .batch_execute(
            "GRANT USAGE ON FOREIGN SERVER stats_reset_other TO stats_role;
             GRANT EXECUTE ON FUNCTION awork_fdw_stats_reset() TO stats_role;
             SET ROLE stats_role; SELECT awork_fdw_stats_reset(); RESET ROLE",
        )
        .unwrap();
    assert_eq!(numbers(&of_table(&mut other, "projects"), ["requests"]), [0]);
    other.client.batch_execute("DROP OWNED BY stats_role; DROP ROLE stats_role").unwrap();
}

#[test]
fn the_figures_of_a_server_are_for_who_may_use_it() {
    let Some(mut w) = workspace("stats_rights") else { return };
    w.client.query("SELECT id FROM projects", &[]).unwrap();
    w.client
        .batch_execute(
            "DROP ROLE IF EXISTS stats_nobody; CREATE ROLE stats_nobody; SET ROLE stats_nobody",
        )
        .unwrap();
    for view in ["awork_fdw_stats", "awork_fdw_table_stats"] {
        let rows = format!("SELECT FROM {view} WHERE server = 'stats_rights'");
        assert!(w.client.query(&rows, &[]).unwrap().is_empty(), "{view}");
    }
    for function in ["awork_fdw_figures", "awork_fdw_server_stats"] {
        w.failure(&format!("SELECT * FROM {function}('stats_rights')"))
            .is("42501", &["permission denied for foreign server"]);
    }
    w.client
        .batch_execute(
            "RESET ROLE; GRANT USAGE ON FOREIGN SERVER stats_rights TO stats_nobody;
             SET ROLE stats_nobody",
        )
        .unwrap();
    assert_eq!(numbers(&of_table(&mut w, "projects"), ["requests"]), [1]);
    w.client
        .batch_execute("RESET ROLE; DROP OWNED BY stats_nobody; DROP ROLE stats_nobody")
        .unwrap();
}

#[test]
fn sessions_see_what_others_asked_where_they_share() {
    let Some(mut w) = workspace("stats_shared") else { return };
    let libraries: String =
        w.client.query_one("SHOW shared_preload_libraries", &[]).unwrap().get(0);
    let is_shared = libraries.contains("awork_fdw");
    w.client.query("SELECT id FROM projects", &[]).unwrap();
    let mut other = connect().unwrap();
    other.batch_execute("SET client_min_messages = error").unwrap();
    w.sandbox.add_fault(fault("/projects", status(503, None)));
    failure(&mut other, "SELECT id FROM stats_shared.projects");
    let row = of_table(&mut w, "projects");
    assert_eq!(row.get::<_, bool>("all_sessions"), is_shared);
    assert_eq!(numbers(&row, ["requests"]), [if is_shared { 2 } else { 1 }]);
    assert_eq!(row.get::<_, Option<String>>("last_error").is_some(), is_shared);
    assert_eq!(of_server(&mut w).get::<_, bool>("all_sessions"), is_shared);
}

#[test]
fn explain_shows_what_decoding_took_where_times_are_wanted() {
    let Some(mut w) = workspace("stats_explain") else { return };
    let mut plan = |options: &str| {
        let sql = format!("EXPLAIN (ANALYZE, {options}) SELECT id, note, attrs FROM time_entries");
        let rows = w.client.query(&sql, &[]).unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
    };
    assert!(plan("TIMING on").contains("Decoding: "));
    assert!(!plan("TIMING off").contains("Decoding: "));
}

/// A server and its tables in a cluster of its own.
fn set_up(client: &mut Client, sandbox: &Sandbox) {
    client
        .batch_execute(&format!(
            "CREATE EXTENSION awork_fdw; CREATE SCHEMA awork;
             CREATE SERVER awork FOREIGN DATA WRAPPER awork_fdw
                 OPTIONS (api_url '{}', api_key 'awork-sandbox-key');
             IMPORT FOREIGN SCHEMA awork FROM SERVER awork INTO awork;",
            sandbox.api_url()
        ))
        .unwrap();
}

fn total(client: &mut Client, view: &str) -> i64 {
    let sql = format!("SELECT sum(requests)::bigint FROM {view}");
    client.query_one(&sql, &[]).unwrap().get(0)
}

#[test]
fn figures_are_there_on_a_standby_and_in_read_only_transactions() {
    let preload = "shared_preload_libraries = 'awork_fdw'";
    let Some(primary) = Cluster::new("stats_primary", preload) else { return };
    let sandbox = Sandbox::start(config()).unwrap();
    let mut on_primary = primary.connect();
    set_up(&mut on_primary, &sandbox);
    on_primary.query("SELECT id FROM awork.projects", &[]).unwrap();
    let standby = primary.standby("stats_standby");
    primary.wait_for(&standby);
    let mut on_standby = standby.connect();
    on_standby.query("SELECT id FROM awork.users", &[]).unwrap();
    on_standby.query("SELECT id FROM awork.users", &[]).unwrap();
    // Each server has its own.
    let mut another = standby.connect();
    for client in [&mut on_standby, &mut another] {
        assert_eq!(total(client, "awork_fdw_stats"), 2);
        assert_eq!(total(client, "awork_fdw_table_stats"), 2);
    }
    on_primary.batch_execute("BEGIN READ ONLY").unwrap();
    assert_eq!(total(&mut on_primary, "awork_fdw_stats"), 1);
    on_primary.query("SELECT id FROM awork.projects", &[]).unwrap();
    assert_eq!(total(&mut on_primary, "awork_fdw_table_stats"), 2);
    on_primary.query("SELECT awork_fdw_stats_reset('awork')", &[]).unwrap();
    assert_eq!(total(&mut on_primary, "awork_fdw_stats"), 0);
    on_primary.batch_execute("COMMIT").unwrap();
    another.query("SELECT awork_fdw_stats_reset()", &[]).unwrap();
    assert_eq!(total(&mut on_standby, "awork_fdw_table_stats"), 0);
    // A crash leaves nothing half done.
    drop((on_primary, on_standby, another));
    primary.stop("immediate");
    primary.start();
    let mut client = primary.connect();
    assert_eq!(total(&mut client, "awork_fdw_stats"), 0);
    client.query("SELECT id FROM awork.projects", &[]).unwrap();
    assert_eq!(total(&mut client, "awork_fdw_stats"), 1);
}

#[test]
fn what_finds_no_place_among_the_shared_is_counted_by_its_session() {
    // More servers than can be shared, all of them asked lately.
    let preload = "shared_preload_libraries = 'awork_fdw'";
    let Some(cluster) = Cluster::new("stats_many", preload) else { return };
    let sandbox = Sandbox::start(Config { scale: 20, ..config() }).unwrap();
    let mut client = cluster.connect();
    set_up(&mut client, &sandbox);
    let each = |statement: &str| {
        format!(
            "DO $$ BEGIN FOR i IN 1..140 LOOP EXECUTE format('{statement}', i); END LOOP; END $$"
        )
    };
    let create = format!(
        "CREATE SERVER many_%1$s FOREIGN DATA WRAPPER awork_fdw
             OPTIONS (api_url ''{}'', api_key ''awork-sandbox-key'');
         CREATE FOREIGN TABLE of_many_%1$s (id uuid) SERVER many_%1$s
             OPTIONS (resource ''companies'')",
        sandbox.api_url()
    );
    client.batch_execute(&each(&create)).unwrap();
    client.batch_execute(&each("SELECT count(id) FROM of_many_%s")).unwrap();
    let figures = |client: &mut Client, view: &str| {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE all_sessions AND requests > 0), sum(requests)::bigint
             FROM {view} WHERE server ~ '^many_'"
        );
        let row = client.query_one(&sql, &[]).unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    assert_eq!(figures(&mut client, "awork_fdw_stats"), (128, 140));
    assert_eq!(figures(&mut client, "awork_fdw_table_stats"), (140, 140));
    // Others see what is shared, and nothing of the rest.
    let mut other = cluster.connect();
    assert_eq!(figures(&mut other, "awork_fdw_stats"), (128, 128));
    assert_eq!(figures(&mut other, "awork_fdw_table_stats"), (140, 140));
    client.batch_execute("SELECT awork_fdw_stats_reset()").unwrap();
    assert_eq!(figures(&mut client, "awork_fdw_stats").1, 0);
}

#[test]
fn who_waits_for_awork_shows_it() {
    let Some(mut w) = workspace("stats_waits") else { return };
    w.sandbox.add_fault(fault("/projects", Action::Latency { ms: 2_000 }));
    let mut other = connect().unwrap();
    other.batch_execute("SET client_min_messages = error").unwrap();
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let scan = thread::spawn(move || {
        other.query("SELECT id FROM stats_waits.projects", &[]).unwrap().len()
    });
    let sql = "SELECT wait_event_type, wait_event FROM pg_stat_activity
        WHERE pid = $1 AND state = 'active' AND wait_event IS NOT NULL";
    let deadline = Instant::now() + Duration::from_secs(30);
    let row = loop {
        if let Some(row) = w.client.query_opt(sql, &[&pid]).unwrap() {
            break row;
        }
        assert!(Instant::now() < deadline, "it waits for nothing");
        thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(row.get::<_, &str>(0), "Extension");
    let version = "SHOW server_version_num";
    let version: String = w.client.query_one(version, &[]).unwrap().get(0);
    let named = version.parse::<u32>().unwrap() >= 170_000;
    assert_eq!(row.get::<_, &str>(1), if named { "AworkFdwResponse" } else { "Extension" });
    assert_ne!(scan.join().unwrap(), 0);
}
