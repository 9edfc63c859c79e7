//! Lists that change while they are read: the option `consistency`.

use std::collections::BTreeSet;

use awork_sandbox::{Action, Change, Config, Fault, RowName, Update};
use serde_json::{Map, Value, json};
use system_tests::Workspace;

/// Rows of the list that changes, and of its pages.
const ROWS: usize = 1_000;
const PAGE: usize = 100;

fn workspace(name: &str) -> Option<Workspace> {
    let mut w = Workspace::imported(name, Config { scale: ROWS, ..Config::default() })?;
    let options = format!(
        "ALTER SERVER {name} OPTIONS (ADD page_size '{PAGE}'); SET client_min_messages = warning"
    );
    w.client.batch_execute(&options).unwrap();
    Some(w)
}

/// The ids that a query returns, in its order.
fn ids(w: &mut Workspace, sql: &str) -> Vec<String> {
    w.client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Changes the time entries after the request for each page whose number is among these.
fn change_after(w: &Workspace, pages: &[u64], change: &Change) {
    for page in pages {
        let action = Action::Change { change: change.clone() };
        w.sandbox.add_fault(Fault {
            path: "/timeentries".into(),
            query: Some(format!("page={page}&")),
            nth: None,
            first: Some(1),
            action,
        });
    }
}

fn change() -> Change {
    Change { resource: "time_entries".into(), ..Change::default() }
}

/// What changes, and whether the number of rows stays the same.
fn changes() -> Vec<(&'static str, Change)> {
    let delete = vec![RowName::Place(0), RowName::Place(7)];
    let insert = vec![Map::new(), Map::new()];
    let old = |day: u32| {
        let created = json!(format!("2001-01-{day:02}T00:00:00Z"));
        Map::from_iter([("createdOn".to_owned(), created)])
    };
    vec![
        ("rows go", Change { delete: delete.clone(), ..change() }),
        ("rows come", Change { insert: insert.clone(), ..change() }),
        ("rows go and come", Change { delete: delete.clone(), insert, ..change() }),
        ("old rows come", Change { insert: vec![old(1), old(2)], ..change() }),
        ("rows go and old ones come", Change { delete, insert: vec![old(1), old(2)], ..change() }),
    ]
}

/// Every row that is there all the time, once; the others at most once.
fn check(what: &str, before: &[String], came: &[String], after: &[String]) {
    let set = |ids: &[String]| -> BTreeSet<String> { ids.iter().cloned().collect() };
    let distinct = set(came);
    assert_eq!(distinct.len(), came.len(), "{what}: a row came twice");
    let always: BTreeSet<String> = set(before).intersection(&set(after)).cloned().collect();
    let missing: Vec<_> = always.difference(&distinct).collect();
    assert!(missing.is_empty(), "{what}: {} of {} rows are missing", missing.len(), always.len());
}

#[test]
fn rows_that_are_there_all_the_time_come_once() {
    let Some(mut w) = workspace("consistent") else { return };
    let all = "SELECT id::text FROM time_entries";
    for sql in [
        all,
        "SELECT id::text FROM time_entries WHERE NOT is_billable OR is_billable",
        "SELECT id::text FROM time_entries ORDER BY created_on",
        "SELECT id::text FROM time_entries ORDER BY updated_on DESC",
    ] {
        for (what, change) in changes() {
            for pages in [&[1][..], &[2], &[4], &[9], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] {
                let before = ids(&mut w, all);
                change_after(&w, pages, &change);
                let came = ids(&mut w, sql);
                w.sandbox.clear_faults();
                let after = ids(&mut w, all);
                check(&format!("{what} after {pages:?}: {sql}"), &before, &came, &after);
            }
        }
    }
    let told = std::mem::take(&mut *w.notices.lock().unwrap());
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn rows_that_cease_to_satisfy_a_condition_take_no_other_one_along() {
    let Some(mut w) = workspace("consistent_filter") else { return };
    let billable = "SELECT id::text FROM time_entries WHERE is_billable ORDER BY created_on";
    for turn in 0..6_usize {
        let before = ids(&mut w, billable);
        let others = ids(&mut w, "SELECT id::text FROM time_entries WHERE NOT is_billable");
        let set = |id: &String, is_billable: bool| Update {
            row: RowName::Id(id.clone()),
            set: Map::from_iter([("isBillable".to_owned(), json!(is_billable))]),
        };
        // One row of the first page leaves the list, another one begins to be in it.
        let update = vec![set(&before[turn], false), set(&others[turn * 3], true)];
        change_after(&w, &[1 + turn as u64], &Change { update, ..change() });
        let came = ids(&mut w, billable);
        w.sandbox.clear_faults();
        let after = ids(&mut w, billable);
        check(&format!("turn {turn}"), &before, &came, &after);
    }
}

#[test]
fn what_is_asked_for_again_does_not_come_from_the_cache() {
    let Some(mut w) = workspace("consistent_cache") else { return };
    w.client.batch_execute("ALTER SERVER consistent_cache OPTIONS (ADD cache_ttl '60')").unwrap();
    let sql = "SELECT id::text FROM time_entries";
    // A page that lacks rows is kept; what it lacks is asked for all the same.
    w.sandbox.add_fault(Fault {
        path: "/timeentries".into(),
        query: Some("page=3&".into()),
        nth: None,
        first: Some(1),
        action: Action::DropRows { rows: PAGE / 2 },
    });
    assert_eq!(ids(&mut w, sql).len(), ROWS);
    w.sandbox.clear_faults();
    assert_eq!(ids(&mut w, sql).len(), ROWS);
    // After an error nothing of the list is kept.
    w.client.query("SELECT awork_fdw_cache_clear('consistent_cache')", &[]).unwrap();
    let change = Change {
        delete: (0..ROWS).map(RowName::Place).collect(),
        insert: vec![Map::new(); ROWS],
        ..change()
    };
    change_after(&w, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &change);
    w.failure(sql).is("40001", &["kept changing"]);
    w.sandbox.clear_faults();
    assert_eq!(ids(&mut w, sql).len(), ROWS);
    assert!(w.notices.lock().unwrap().is_empty());
}

#[test]
fn an_order_in_which_rows_move_is_kept() {
    let Some(mut w) = workspace("consistent_order") else { return };
    let sql = "SELECT updated_on::text FROM time_entries ORDER BY updated_on DESC";
    change_after(&w, &[2, 5], &Change { delete: vec![RowName::Place(1)], ..change() });
    let came = ids(&mut w, sql);
    assert!((ROWS - 2..=ROWS).contains(&came.len()));
    assert!(came.windows(2).all(|two| two[0] >= two[1]), "{came:?}");
    // Some of a kept answer, then more of it: the rest has the order of the beginning.
    let nested = "SELECT count(*) FROM (SELECT id, user_id FROM time_entries LIMIT 40) o
        WHERE EXISTS (SELECT FROM (SELECT project_id FROM time_entries t WHERE t.user_id = o.user_id
                                   ORDER BY updated_on DESC LIMIT 500) x
                      WHERE x.project_id IS NOT NULL)";
    assert!(w.client.query_one(nested, &[]).unwrap().get::<_, i64>(0) > 0);
}

#[test]
fn a_list_that_never_rests_is_an_error() {
    let Some(mut w) = workspace("restless") else { return };
    // No row stays for longer than an answer.
    let delete = (0..ROWS).map(RowName::Place).collect();
    let insert = vec![Map::new(); ROWS];
    let fault = |w: &Workspace| {
        w.sandbox.add_fault(Fault {
            path: "/timeentries".into(),
            query: None,
            nth: None,
            first: None,
            action: Action::Change {
                change: Change { delete: Vec::clone(&delete), insert: insert.clone(), ..change() },
            },
        });
    };
    fault(&w);
    let sql = "SELECT id::text FROM time_entries";
    w.failure(sql).is(
        "40001",
        &["kept changing", "The resource is \"time_entries\"", "consistency 'relaxed'"],
    );
    w.sandbox.clear_faults();
    let before = ids(&mut w, sql);
    assert_eq!(before.len(), ROWS);
    // Relaxed, what came counts, and a warning says so.
    w.client
        .batch_execute("ALTER FOREIGN TABLE time_entries OPTIONS (ADD consistency 'relaxed')")
        .unwrap();
    let delete = vec![RowName::Place(0)];
    change_after(&w, &[2], &Change { delete, ..change() });
    w.notices.lock().unwrap().clear();
    let came = ids(&mut w, sql);
    assert!((ROWS - 2..=ROWS).contains(&came.len()), "{}", came.len());
    let told = w.notices.lock().unwrap().join("\n");
    assert!(told.contains("\"time_entries\""), "{told}");
}

#[test]
fn relaxed_lists_take_as_many_requests_as_pages() {
    let Some(mut w) = workspace("relaxed") else { return };
    let sql = "SELECT id::text FROM time_entries";
    let requests = |w: &mut Workspace| {
        w.sandbox.clear_log();
        assert_eq!(ids(w, sql).len(), ROWS);
        w.sandbox.log().iter().filter(|e| e.path.ends_with("/timeentries")).count()
    };
    ids(&mut w, sql);
    let strict = requests(&mut w);
    w.client.batch_execute("ALTER SERVER relaxed OPTIONS (ADD consistency 'relaxed')").unwrap();
    assert_eq!(requests(&mut w), ROWS / PAGE);
    assert!((ROWS / PAGE..=ROWS / PAGE + 1).contains(&strict), "{strict}");
    w.client
        .batch_execute("ALTER FOREIGN TABLE time_entries OPTIONS (ADD consistency 'strict')")
        .unwrap();
    assert_eq!(requests(&mut w), strict);
    w.failure("ALTER SERVER relaxed OPTIONS (SET consistency 'eventual')")
        .is("22023", &["consistency", "strict or relaxed"]);
}

#[test]
fn an_offset_leaves_out_what_was_before_it_and_nothing_else() {
    let Some(mut w) = workspace("consistent_offset") else { return };
    let all = "SELECT id::text FROM time_entries ORDER BY created_on";
    let beyond = format!("{all} OFFSET 250");
    for (what, change) in changes() {
        for pages in [&[3][..], &[4], &[9], &[3, 5, 7, 9]] {
            let before = ids(&mut w, all);
            change_after(&w, pages, &change);
            let came = ids(&mut w, &beyond);
            w.sandbox.clear_faults();
            let after = ids(&mut w, all);
            let what = format!("{what} after {pages:?}");
            check(&what, &before[before.len().min(250 + 8)..], &came, &after);
            // What was and is before the offset is not there.
            let first: BTreeSet<&String> = before[..242].iter().collect();
            let is_first = |id: &&String| first.contains(id) && after[..242].contains(id);
            assert_eq!(came.iter().find(is_first), None, "{what}");
        }
    }
}

#[test]
fn conditions_that_take_several_requests_find_each_row_once() {
    let Some(mut w) = workspace("consistent_parts") else { return };
    let all = "SELECT id::text FROM time_entries";
    let projects = ids(
        &mut w,
        "SELECT DISTINCT project_id::text FROM time_entries
        WHERE project_id IS NOT NULL ORDER BY 1",
    );
    // So many values that no address holds them all.
    let others = (0..150).map(|i| format!("00000000-0000-4000-8000-{i:012}"));
    let values: Vec<String> =
        projects.iter().cloned().chain(others).map(|id| format!("'{id}'")).collect();
    let sql = format!("{all} WHERE project_id IN ({})", values.join(", "));
    let every = format!("{all} WHERE project_id IS NOT NULL");
    w.sandbox.clear_log();
    assert_eq!(ids(&mut w, &sql).len(), ids(&mut w, &every).len());
    let filters: BTreeSet<String> = w
        .sandbox
        .log()
        .iter()
        .filter_map(|entry| {
            let mut parts = entry.query.iter();
            parts.find(|(name, _)| name == "filterby").map(|(_, value)| value.clone())
        })
        .collect();
    assert!(filters.len() > 1, "{filters:?}");
    for (what, change) in changes() {
        for pages in [&[1][..], &[2], &[1, 2, 3]] {
            let before = ids(&mut w, &every);
            change_after(&w, pages, &change);
            let came = ids(&mut w, &sql);
            w.sandbox.clear_faults();
            let after = ids(&mut w, &every);
            check(&format!("{what} after {pages:?}"), &before, &came, &after);
        }
    }
}

#[test]
fn lists_of_all_parents_have_each_row_once_while_parents_come_and_go() {
    let Some(mut w) = workspace("consistent_parents") else { return };
    w.client.batch_execute("ALTER SERVER consistent_parents OPTIONS (SET page_size '5')").unwrap();
    let lists = "SELECT id::text FROM project_task_lists";
    let is_asked = |w: &Workspace, end: &str| w.sandbox.log().iter().any(|e| e.path.ends_with(end));
    // Projects that came before all others move those to other pages.
    let insert = |count: usize| -> Vec<Map<String, Value>> {
        let created = ("createdOn".to_owned(), json!("2001-01-01T00:00:00Z"));
        vec![Map::from_iter([created]); count]
    };
    for count in [1, 4] {
        for page in 1..=3 {
            let before = ids(&mut w, lists);
            let change =
                Change { resource: "projects".into(), insert: insert(count), ..Change::default() };
            w.sandbox.add_fault(Fault {
                path: "/projects".into(),
                query: Some(format!("page={page}&")),
                nth: None,
                first: Some(1),
                action: Action::Change { change },
            });
            w.sandbox.clear_log();
            let came = ids(&mut w, lists);
            assert!(is_asked(&w, "/tasklists"));
            w.sandbox.clear_faults();
            let after = ids(&mut w, lists);
            check(&format!("{count} parents come after page {page}"), &before, &came, &after);
        }
    }
}
