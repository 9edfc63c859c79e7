//! Copies of foreign tables and answers that serve again, with what docs/materialise.md says they cost.

use awork_sandbox::{Action, Change, Config, Fault, LogEntry};
use system_tests::Workspace;

/// Requests for entries; a session asks once for its rights besides.
fn pages(w: &Workspace) -> usize {
    w.sandbox.log().iter().filter(|entry: &&LogEntry| entry.path.ends_with("/timeentries")).count()
}

fn number(w: &mut Workspace, sql: &str) -> i64 {
    w.client.query_one(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
}

#[test]
fn a_copy_is_refreshed_concurrently_for_a_request_per_page() {
    let config = Config { scale: 10_000, ..Config::default() };
    let Some(mut w) = Workspace::imported("materialise_refresh", config) else { return };
    w.client
        .batch_execute(
            "CREATE MATERIALIZED VIEW time_copy AS SELECT * FROM time_entries;
             CREATE UNIQUE INDEX ON time_copy (id);",
        )
        .unwrap();
    let refresh = "REFRESH MATERIALIZED VIEW CONCURRENTLY time_copy";
    w.sandbox.clear_log();
    w.client.batch_execute(refresh).unwrap();
    // Ten full pages would hold them, but pages overlap.
    assert!((10..=11).contains(&pages(&w)), "{} pages", pages(&w));
    assert_eq!(number(&mut w, "SELECT count(*) FROM time_copy"), 10_000);

    // What was added, changed and deleted arrives.
    let change: Change = serde_json::from_value(serde_json::json!({
        "resource": "time_entries", "delete": [0, 5], "insert": [{}],
        "update": [{"row": 1, "set": {"note": "changed meanwhile"}}]
    }))
    .unwrap();
    w.sandbox.change(&change).unwrap();
    w.client.batch_execute(refresh).unwrap();
    assert_eq!(number(&mut w, "SELECT count(*) FROM time_copy"), 9_999);
    assert_eq!(
        number(&mut w, "SELECT count(*) FROM time_copy WHERE note = 'changed meanwhile'"),
        1
    );
    let differences =
        "SELECT count(*) FROM (TABLE time_copy EXCEPT TABLE time_entries) AS different";
    assert_eq!(number(&mut w, differences), 0);

    // A refresh that fails leaves the copy as it was.
    w.sandbox.add_fault(Fault {
        path: "/timeentries".into(),
        query: None,
        nth: Some(7),
        first: None,
        action: Action::Status { status: 503, code: None, retry_after: None },
    });
    w.failure(refresh);
    w.sandbox.clear_faults();
    assert_eq!(number(&mut w, "SELECT count(*) FROM time_copy"), 9_999);
    w.client.batch_execute("DROP MATERIALIZED VIEW time_copy").unwrap();
}

#[test]
fn a_copy_of_the_last_weeks_reads_their_pages_only() {
    let config = Config { scale: 3_000, ..Config::default() };
    let Some(mut w) = Workspace::imported("materialise_part", config) else { return };
    w.client
        .batch_execute(
            "DROP SCHEMA IF EXISTS materialise_part_views CASCADE;
             CREATE SCHEMA materialise_part_views;
             SELECT * FROM awork_fdw_create_reports('materialise_part', 'materialise_part_views');
             SET search_path = materialise_part_views, public;
             CREATE TABLE time_until_september AS SELECT * FROM tracked_time WHERE day < '2026-10-01';
             CREATE MATERIALIZED VIEW time_since_october AS
                 SELECT * FROM tracked_time WHERE day >= '2026-10-01';
             CREATE UNIQUE INDEX ON time_since_october (entry_id);
             CREATE VIEW all_time AS
                 SELECT * FROM time_until_september UNION ALL SELECT * FROM time_since_october;",
        )
        .unwrap();
    w.sandbox.clear_log();
    w.client.batch_execute("REFRESH MATERIALIZED VIEW CONCURRENTLY time_since_october").unwrap();
    assert_eq!(pages(&w), 1);
    assert_eq!(number(&mut w, "SELECT count(*) FROM all_time"), 3_000);
    w.client.batch_execute("DROP SCHEMA materialise_part_views CASCADE").unwrap();
}

#[test]
fn whoever_refreshes_reads_with_the_owners_credential() {
    let config = Config { scale: 100, ..Config::default() };
    let Some(mut w) = Workspace::imported("materialise_owner", config) else { return };
    w.client
        .batch_execute(
            "DROP ROLE IF EXISTS materialise_analyst;
             CREATE ROLE materialise_analyst;
             GRANT USAGE, CREATE ON SCHEMA materialise_owner TO materialise_analyst;
             GRANT SELECT ON time_entries TO materialise_analyst;
             GRANT USAGE ON FOREIGN SERVER materialise_owner TO materialise_analyst;
             CREATE USER MAPPING FOR materialise_analyst SERVER materialise_owner
                 OPTIONS (api_key 'awork-sandbox-key');
             DROP USER MAPPING FOR CURRENT_USER SERVER materialise_owner;
             SET ROLE materialise_analyst;
             CREATE MATERIALIZED VIEW time_copy AS SELECT * FROM time_entries;
             CREATE UNIQUE INDEX ON time_copy (id);
             RESET ROLE;",
        )
        .unwrap();
    w.failure("SELECT count(note) FROM time_entries");
    w.client.batch_execute("REFRESH MATERIALIZED VIEW CONCURRENTLY time_copy").unwrap();
    assert_eq!(number(&mut w, "SELECT count(*) FROM time_copy"), 100);
    w.client
        .batch_execute(
            "DROP MATERIALIZED VIEW time_copy; DROP OWNED BY materialise_analyst CASCADE;
             DROP USER MAPPING IF EXISTS FOR materialise_analyst SERVER materialise_owner;
             DROP ROLE materialise_analyst",
        )
        .unwrap();
}

#[test]
fn tiles_ask_once_each_or_not_at_all_within_the_time_to_live() {
    let config = Config { scale: 3_000, ..Config::default() };
    let Some(mut w) = Workspace::imported("materialise_cache", config) else { return };
    w.client
        .batch_execute(
            "ALTER SERVER materialise_cache OPTIONS (ADD cache_ttl '300');
             DROP SCHEMA IF EXISTS materialise_cache_views CASCADE;
             CREATE SCHEMA materialise_cache_views;
             SELECT * FROM awork_fdw_create_reports('materialise_cache', 'materialise_cache_views');
             SET search_path = materialise_cache_views, public;",
        )
        .unwrap();
    let tiles = [
        "SELECT client, sum(hours) FROM tracked_time GROUP BY 1",
        "SELECT person, sum(hours) FROM tracked_time GROUP BY 1",
        "SELECT type_of_work, sum(hours) FROM tracked_time GROUP BY 1",
    ];
    let whole = "SELECT count(entry) FROM tracked_time AS entry";
    w.sandbox.clear_log();
    assert_eq!(number(&mut w, whole), 3_000);
    let list = pages(&w);
    assert!(list >= 3, "{list} pages");

    number(&mut w, "SELECT awork_fdw_cache_clear('materialise_cache')");
    w.sandbox.clear_log();
    for _ in 0..3 {
        for tile in tiles {
            assert!(!w.client.query(tile, &[]).unwrap().is_empty());
        }
    }
    assert_eq!(pages(&w), 3 * list);

    number(&mut w, "SELECT awork_fdw_cache_clear('materialise_cache')");
    w.sandbox.clear_log();
    assert_eq!(number(&mut w, whole), 3_000);
    let others = [
        "SELECT project, sum(hours) FROM tracked_time WHERE day >= '2026-09-01' GROUP BY 1",
        "SELECT client, hours FROM unbilled_hours",
    ];
    for tile in tiles.into_iter().chain(others) {
        assert!(!w.client.query(tile, &[]).unwrap().is_empty(), "{tile}");
    }
    assert_eq!(pages(&w), list);
    w.client.batch_execute("DROP SCHEMA materialise_cache_views CASCADE").unwrap();
}
