//! What is sent for a query: no more than it takes, and what a good client sends.

use awork_sandbox::{Action, Config, Fault, RateLimit};
use system_tests::Workspace;

fn explain(w: &mut Workspace, sql: &str) -> String {
    let rows = w.client.query(&format!("EXPLAIN (ANALYZE, COSTS off) {sql}"), &[]).unwrap();
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

#[test]
fn planning_and_explaining_send_nothing() {
    let config = Config { scale: 100, ..Config::default() };
    let Some(mut w) = Workspace::imported("requests_none", config) else { return };
    w.client
        .batch_execute("EXPLAIN (VERBOSE) SELECT * FROM projects; PREPARE q AS SELECT * FROM users")
        .unwrap();
    w.client.batch_execute("SELECT * FROM project_members WHERE project_id = NULL").unwrap();
    w.client.batch_execute("SELECT * FROM projects LIMIT 0").unwrap();
    assert!(w.sandbox.log().is_empty(), "{:?}", w.sandbox.log());
}

#[test]
fn lists_without_paging_are_fetched_once_and_without_parameters() {
    let config = Config { scale: 100, ..Config::default() };
    let Some(mut w) = Workspace::imported("requests_once", config) else { return };
    w.client.query("SELECT * FROM custom_field_definitions", &[]).unwrap();
    let log = w.sandbox.log();
    assert_eq!(log.len(), 1);
    assert!(log[0].query.is_empty(), "{:?}", log[0]);
}

#[test]
fn pages_are_asked_for_once_each_with_a_key_and_a_name() {
    let config = Config { scale: 3_500, ..Config::default() };
    let Some(mut w) = Workspace::imported("requests_pages", config) else { return };
    w.client.query("SELECT * FROM time_entries", &[]).unwrap();
    let log = w.sandbox.log();
    let mut pages: Vec<_> = log.iter().filter_map(|e| e.parameter("page")).collect();
    pages.sort_unstable();
    assert_eq!(pages, ["1", "2", "3", "4"]);
    for entry in &log {
        assert!(
            entry.authorization
                && entry.user_agent.as_deref().unwrap_or("").starts_with("awork_fdw/")
        );
        // Pages overlap, so that they are not all of one size.
        let size: u32 = entry.parameter("pageSize").unwrap().parse().unwrap();
        assert!((990..=1000).contains(&size), "{size}");
        assert_eq!(entry.parameter("orderby"), Some("createdOn asc,id asc"));
    }
    let connections: std::collections::HashSet<_> = log.iter().map(|e| e.connection).collect();
    assert!(connections.len() <= 4, "{} connections for 4 requests", connections.len());

    // The connections live as long as the session.
    w.sandbox.clear_log();
    w.client.query("SELECT * FROM time_entries", &[]).unwrap();
    assert!(w.sandbox.log().iter().all(|e| connections.contains(&e.connection)));
}

#[test]
fn a_rate_limit_slows_a_scan_down_but_does_not_fail_it() {
    let rate_limit = Some(RateLimit { per_second: 5, per_minute: 1000, retry_after: false });
    let config = Config { scale: 1_500, rate_limit, ..Config::default() };
    let Some(mut w) = Workspace::imported("requests_limited", config) else { return };
    w.client.batch_execute("ALTER SERVER requests_limited OPTIONS (ADD page_size '100')").unwrap();
    let rows: i64 =
        w.client.query_one("SELECT count(created_on) FROM time_entries", &[]).unwrap().get(0);
    assert_eq!(rows, 1_500);
    assert_eq!(w.sandbox.log().iter().filter(|e| e.status == Some(429)).count(), 0);
    let plan = explain(&mut w, "SELECT count(created_on) FROM time_entries");
    assert!(plan.contains("Held Back by the Rate Limit"), "{plan}");
}

#[test]
fn requests_are_logged_and_measured_where_that_is_wanted() {
    let config = Config { scale: 500, ..Config::default() };
    let Some(mut w) = Workspace::imported("requests_log", config) else { return };
    w.client.batch_execute("SET client_min_messages = log").unwrap();
    let logged = |w: &Workspace| {
        let notices = std::mem::take(&mut *w.notices.lock().unwrap());
        notices.into_iter().filter(|n| n.starts_with("awork_fdw: ")).collect::<Vec<_>>()
    };
    w.client.query("SELECT id FROM projects", &[]).unwrap();
    assert_eq!(logged(&w), [""; 0]);
    w.client.batch_execute("SET awork_fdw.log_requests = on").unwrap();
    w.client.query("SELECT id FROM projects", &[]).unwrap();
    let lines = logged(&w);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("awork_fdw: GET /projects?page=1"), "{lines:?}");
    assert!(
        lines[0].contains(" bytes in ") && !lines[0].contains("awork-sandbox-key"),
        "{lines:?}"
    );

    w.sandbox.add_fault(Fault {
        path: "/projects".into(),
        query: None,
        nth: None,
        first: None,
        action: Action::Status { status: 503, code: None, retry_after: None },
    });
    w.failure("SELECT id FROM projects");
    assert!(logged(&w).iter().any(|line| line.contains("HTTP status 503")));
    let stats = w
        .client
        .query_one(
            "SELECT failures, latency_p50_ms <= latency_p95_ms FROM awork_fdw_stats
             WHERE server = 'requests_log'",
            &[],
        )
        .unwrap();
    assert_eq!((stats.get::<_, i64>(0), stats.get::<_, bool>(1)), (1, true));
    w.client.batch_execute("CREATE ROLE requests_log_role; SET ROLE requests_log_role").unwrap();
    let refused = w.failure("SET awork_fdw.log_requests = off");
    w.client.batch_execute("RESET ROLE; DROP ROLE requests_log_role").unwrap();
    assert_eq!(refused.code, "42501");
}
