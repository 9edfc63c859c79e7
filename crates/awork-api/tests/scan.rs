//! Scans against the sandbox: what they ask, how often, and that the rows are all there once.

mod common;

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use awork_api::catalogue::columns::Source;
use awork_api::error::ErrorKind;
use awork_api::filter::{ColumnType, Comparison, Conjunct, Field, Leaf, Operand, Value};
use awork_api::pages::Consistency;
use awork_api::rows::{Kind, Projection, Target};
use awork_api::scan::job::{Job, Order, Start};
use awork_api::scan::{Begun, Scan};
use awork_sandbox::{Action, Change, Config, Fault, Feature, LogEntry, Refused, RowName, Update};

use common::*;

// Whole lists.

#[test]
fn a_list_is_read_to_its_end_in_order() {
    let awork = workspace();
    let order = Order {
        required: Some("createdOn asc".into()),
        needs_filter: false,
        stable: Some("id asc".into()),
    };
    let delivered = awork.read(Job { order, ..job_for("time_entries", "createdOn") });
    assert_eq!(delivered.begun(), Begun { ordered: true, skipped: 0, total: None });
    assert_eq!(delivered.rows.len(), SCALE);
    // The times have as many digits as they need, so that their texts compare when padded.
    let times: Vec<String> =
        delivered.rows.iter().map(|t| t.trim_end_matches('Z').replace('.', " ")).collect();
    assert!(times.is_sorted(), "{times:?}");
    let log = awork.sandbox.log();
    assert_eq!(log.len(), requests(SCALE, PAGE));
    assert!(log.iter().all(|e| e.parameter("orderby") == Some("createdOn asc,id asc")));
    let ids = awork.read(job("time_entries"));
    assert_eq!(ids.distinct(), awork.ids("time_entries", &[]));
}

#[test]
fn nothing_is_asked_beyond_the_first_page_until_it_is_wanted() {
    let awork = workspace();
    let mut scan = awork.start(job("time_entries"));
    let mut delivered = Delivered::default();
    delivered.take(&mut scan, false);
    assert_eq!((delivered.rows.len(), awork.sandbox.log().len()), (PAGE as usize, 1));
    scan.demand();
    delivered.take(&mut scan, true);
    assert_eq!(delivered.distinct(), awork.ids("time_entries", &[]));
    assert!(scan.progress().first_request().unwrap().starts_with("GET /timeentries?page=1&"));
    let decoded = scan.progress().rows.load(Ordering::Relaxed) as usize;
    assert!((SCALE..SCALE * 12 / 10).contains(&decoded), "{decoded}");
}

#[test]
fn a_consumer_is_woken_once_where_it_wants_to_be_reminded() {
    let w = with(Config { latency: Duration::from_secs(5), ..Config::default() });
    let mut scan = Scan::start(w.client, job("projects")).unwrap();
    let is_woken = |scan: &mut Scan, within: Duration| {
        assert!(scan.poll().is_none(), "nothing has come");
        is_readable(scan, within)
    };
    assert!(!is_woken(&mut scan, QUIET));
    for _ in 0..2 {
        scan.remind();
        assert!(is_woken(&mut scan, Duration::from_secs(2)));
        assert!(!is_woken(&mut scan, QUIET));
    }
}

#[test]
fn a_scan_that_is_dropped_asks_no_more() {
    let awork = workspace();
    awork.fault("/timeentries", None, Action::Latency { ms: 300 });
    let scan = awork.start(job("time_entries"));
    scan.demand();
    std::thread::sleep(QUIET);
    drop(scan);
    std::thread::sleep(QUIET);
    let log = awork.sandbox.log();
    assert_eq!(log.len(), 1);
    assert!(log[0].gone, "{log:?}");
}

#[test]
fn no_more_pages_are_in_flight_than_allowed() {
    let awork = with(Config { latency: Duration::from_millis(15), ..Config::default() });
    let delivered = awork.read(Job { page_size: 20, ..job("time_entries") });
    assert_eq!(delivered.distinct().len(), SCALE);
    let most = concurrency(&awork.sandbox.log());
    assert!((2..=4).contains(&most), "{most}");
}

// The first rows.

#[test]
fn the_first_rows_cost_one_small_request() {
    let awork = workspace();
    let order = Order { required: Some("updatedOn desc".into()), ..job("time_entries").order };
    let relaxed = Job { consistency: Consistency::Relaxed, ..job("time_entries") };
    let whole = awork.read(Job { order: order.clone(), ..relaxed });
    let mut scan = awork.start(Job { start: Start::Head(7), order, ..job("time_entries") });
    let mut delivered = Delivered::default();
    delivered.take(&mut scan, false);
    assert_eq!(delivered.rows, whole.rows[..7]);
    assert_eq!(delivered.begun(), Begun { ordered: true, skipped: 0, total: None });
    let log = awork.sandbox.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].parameter("pageSize"), Some("7"));
    // More after all.
    scan.demand();
    delivered.take(&mut scan, true);
    assert_eq!(delivered.rows, whole.rows);
}

#[test]
fn a_list_that_is_no_longer_than_its_head_is_not_asked_for_again() {
    let awork = workspace();
    let delivered = awork.read(Job { start: Start::Head(45), ..job("projects") });
    assert_eq!(delivered.distinct(), awork.ids("projects", &[]));
    assert_eq!(awork.sandbox.log().len(), 1);
}

#[test]
fn a_head_larger_than_a_page_is_the_first_page() {
    let awork = workspace();
    let mut scan = awork.start(Job { start: Start::Head(120), ..job("time_entries") });
    let mut delivered = Delivered::default();
    delivered.take(&mut scan, false);
    assert_eq!(awork.sandbox.log()[0].parameter("pageSize"), Some("50"));
}

#[test]
fn an_order_that_was_promised_is_kept_or_the_scan_fails() {
    let awork = workspace();
    let order = Order { required: Some("updatedOn desc".into()), ..Order::default() };
    let head = Job { start: Start::Head(7), order, ..job("time_entries") };
    let mut scan = awork.start(head);
    let mut delivered = Delivered::default();
    delivered.take(&mut scan, false);
    assert!(delivered.begun().ordered);
    awork.sandbox.refuse(Refused::features([Feature::Order]));
    scan.demand();
    delivered.take(&mut scan, true);
    assert_eq!(delivered.error().kind, ErrorKind::RefusedFilter);
    assert_eq!(delivered.rows.len(), 7);
}

// Somewhere in a list.

#[test]
fn rows_in_the_middle_are_one_page() {
    let awork = workspace();
    let whole = awork.read(job("time_entries")).rows;
    for (skip, count) in [(0, 10), (30, 20), (100, 50), (595, 5), (599, 1)] {
        let mut scan = awork.start(Job { start: Start::At { skip, count }, ..job("time_entries") });
        let mut delivered = Delivered::default();
        delivered.take(&mut scan, false);
        let skipped = delivered.begun().skipped as usize;
        let skip = skip as usize;
        assert!(skipped <= skip);
        let wanted = &whole[skip..skip + count as usize];
        assert_eq!(&delivered.rows[skip - skipped..][..count as usize], wanted, "at {skip}");
        assert_eq!(awork.sandbox.log().len(), 1, "at {skip}");
        // The others follow when they are wanted.
        scan.demand();
        delivered.take(&mut scan, true);
        assert_eq!(delivered.rows, whole[skipped..], "from {skip}");
    }
}

#[test]
fn rows_that_no_page_holds_are_on_two() {
    let awork = workspace();
    let whole = awork.read(job("time_entries")).rows;
    let start = Start::At { skip: 49, count: 50 };
    let delivered = awork.read(Job { start, ..job("time_entries") });
    let skipped = delivered.begun().skipped as usize;
    assert!(skipped <= 49);
    assert_eq!(delivered.rows, whole[skipped..]);
}

#[test]
fn past_the_end_is_nothing() {
    let awork = workspace();
    let start = Start::At { skip: 10_000, count: 10 };
    let delivered = awork.read(Job { start, ..job("time_entries") });
    assert_eq!(delivered.distinct().len(), 0);
    assert_eq!(delivered.notices, [""; 0]);
    assert!(delivered.begun().skipped <= 10_000);
    assert_eq!(awork.sandbox.log().len(), 1);
}

#[test]
fn pages_other_than_asked_for_skip_nothing() {
    let start = Start::At { skip: 57, count: 10 };
    for other in [
        // Pages of ten rows rather than of the fourteen that were asked for, and no word of which
        // page it is.
        Action::PageSize { rows: 10 },
        Action::Totals { total: None },
    ] {
        let awork = workspace();
        let whole = awork.read(job("time_entries")).rows;
        awork.sandbox.clear_log();
        awork.sandbox.add_fault(Fault {
            path: "/timeentries".into(),
            query: Some("pageSize=14".into()),
            nth: None,
            first: Some(1),
            action: other,
        });
        let delivered = awork.read(Job { start, ..job("time_entries") });
        assert_eq!(awork.sandbox.log()[0].parameter("page"), Some("5"));
        assert_eq!(awork.sandbox.log()[1].parameter("page"), Some("1"));
        assert_eq!(delivered.begun().skipped, 0);
        assert_eq!(delivered.rows, whole);
    }
}

#[test]
fn nothing_is_skipped_where_a_condition_is_left_out() {
    let awork = workspace();
    awork.sandbox.refuse(Refused::features([Feature::Boolean]));
    let whole = awork.read(job("time_entries")).rows;
    let start = Start::At { skip: 100, count: 10 };
    let conjuncts = vec![billable(true)];
    let delivered = awork.read(Job { start, conjuncts, ..job("time_entries") });
    assert_eq!(delivered.begun().skipped, 0);
    assert_eq!(delivered.rows, whole);
}

// The number of rows.

#[test]
fn counting_costs_one_request_of_one_row() {
    let awork = workspace();
    let count =
        |conjuncts| awork.read(Job { start: Start::Count, conjuncts, ..job("time_entries") });
    let delivered = count(vec![]);
    assert_eq!(delivered.begun().total, Some(SCALE as u64));
    assert_eq!(delivered.distinct().len(), 0);
    let log = awork.sandbox.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].parameter("pageSize"), Some("1"));
    assert_eq!(log[0].parameter("orderby"), None);

    let wanted = awork.ids_where("time_entries", |row| row["isBillable"] == true).len();
    assert_eq!(count(vec![billable(true)]).begun().total, Some(wanted as u64));
    assert!(wanted > 0 && wanted < SCALE);
}

#[test]
fn counts_of_several_parents_add_up() {
    let awork = workspace();
    let projects: Vec<String> = awork.ids("projects", &[]).into_iter().take(3).collect();
    let lists = |project: &String| awork.ids("project_task_lists", &[("projectId", project)]).len();
    let wanted: usize = projects.iter().map(lists).sum();
    let mut bindings: Vec<_> = projects.iter().map(|p| vec![Some(p.clone()), None]).collect();
    // One that has gone has none.
    bindings.push(vec![Some(uuid::Uuid::nil().to_string()), None]);
    let counted = Job { start: Start::Count, bindings, ..job("project_task_lists") };
    assert_eq!(awork.read(counted).begun().total, Some(wanted as u64));
    assert!(wanted > 0);
}

#[test]
fn without_totals_the_rows_are_counted() {
    let awork = workspace();
    awork.fault("/timeentries", None, Action::Totals { total: None });
    let delivered = awork.read(Job { start: Start::Count, ..job("time_entries") });
    assert_eq!(delivered.begun().total, None);
    assert_eq!(delivered.distinct().len(), SCALE);
}

#[test]
fn a_count_needs_all_conditions() {
    let awork =
        with(Config { refused: Refused::features([Feature::Boolean]), ..Config::default() });
    let conjuncts = vec![billable(true)];
    let delivered = awork.read(Job { start: Start::Count, conjuncts, ..job("time_entries") });
    assert_eq!(delivered.begun().total, None);
    assert_eq!(delivered.distinct().len(), SCALE);
}

// Refusals.

#[test]
fn what_is_refused_is_left_out_and_remembered() {
    let awork =
        with(Config { refused: Refused::features([Feature::Boolean]), ..Config::default() });
    let filtered = || Job { conjuncts: vec![billable(true)], ..job("time_entries") };
    let (delivered, scan) = awork.read_with_scan(filtered());
    assert_eq!(delivered.distinct().len(), SCALE);
    assert_eq!(scan.progress().refused(), ["isBillable eq"]);
    assert!(awork.refused_requests() > 0);
    let (delivered, scan) = awork.read_with_scan(filtered());
    assert_eq!(delivered.distinct().len(), SCALE);
    assert_eq!(scan.progress().refused(), ["isBillable eq"]);
    assert_eq!((awork.refused_requests(), awork.filters().len()), (0, 0));
    // Another server has refused nothing.
    let other = workspace();
    let delivered = other.read(filtered());
    assert!(delivered.distinct().len() < SCALE);
}

#[test]
fn only_what_is_refused_is_left_out() {
    let refused = Refused::properties(["isBillable"]);
    let awork = with(Config { refused, ..Config::default() });
    let project = awork.sandbox.rows("time_entries", &[]);
    let project = project.iter().find_map(|row| row["projectId"].as_str()).unwrap().to_owned();
    let id = field("time_entries", "projectId", ColumnType::Uuid);
    let of_project = compare(id, Comparison::Eq, uuid(&project));
    let conjuncts = vec![billable(true), of_project];
    let (delivered, scan) = awork.read_with_scan(Job { conjuncts, ..job("time_entries") });
    let wanted = awork.ids_where("time_entries", |row| row["projectId"] == project.as_str());
    assert_eq!(delivered.distinct(), wanted);
    assert_eq!(scan.progress().refused(), ["isBillable eq"]);
}

#[test]
fn conditions_that_are_refused_only_together_are_left_out_together() {
    let awork = with(Config { refused: Refused::features([Feature::And]), ..Config::default() });
    let created = field("time_entries", "createdOn", ColumnType::Timestamp);
    let later = compare(created, Comparison::Ge, Value::Timestamp(0));
    let conjuncts = || vec![billable(true), later.clone()];
    let (delivered, scan) =
        awork.read_with_scan(Job { conjuncts: conjuncts(), ..job("time_entries") });
    assert_eq!(delivered.distinct().len(), SCALE);
    assert_eq!(scan.progress().refused().len(), 1, "{:?}", scan.progress().refused());
    awork.read(Job { conjuncts: conjuncts(), ..job("time_entries") });
    assert_eq!(awork.refused_requests(), 0);
    // Each alone is asked for as before.
    let delivered = awork.read(Job { conjuncts: vec![billable(true)], ..job("time_entries") });
    assert_eq!(
        delivered.distinct(),
        awork.ids_where("time_entries", |row| row["isBillable"] == true)
    );
    assert_eq!(awork.refused_requests(), 0);
}

#[test]
fn a_refused_order_is_no_order() {
    let awork = with(Config { refused: Refused::features([Feature::Order]), ..Config::default() });
    let order = Order { required: Some("updatedOn desc".into()), ..job("time_entries").order };
    let ordered = || Job { order: order.clone(), ..job("time_entries") };
    let delivered = awork.read(ordered());
    assert!(!delivered.begun().ordered);
    assert_eq!(delivered.distinct().len(), SCALE);
    let (delivered, scan) = awork.read_with_scan(ordered());
    assert_eq!(delivered.distinct().len(), SCALE);
    assert_eq!(awork.refused_requests(), 0);
    assert!(scan.progress().refused()[0].starts_with("order updatedOn desc"));
}

#[test]
fn an_order_in_which_rows_move_must_not_change() {
    let awork = workspace();
    let order = Order { required: Some("updatedOn desc".into()), ..job("time_entries").order };
    let ordered = || Job { order: order.clone(), ..job("time_entries") };
    let delivered = awork.read(ordered());
    assert!(delivered.begun().ordered);
    assert_eq!(delivered.rows.len(), SCALE);
    assert_eq!(delivered.distinct().len(), SCALE);
    // A row that is changed moves to the front, where the pages have been read.
    let last = delivered.rows[SCALE - 1].clone();
    let update = Update { row: RowName::Id(last), set: serde_json::Map::new() };
    let change =
        Change { resource: "time_entries".into(), update: vec![update], ..Change::default() };
    awork.fault("/timeentries", Some("page=2&"), Action::Change { change });
    let error = awork.read(ordered()).ended.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Changed);
}

#[test]
fn an_order_by_fewer_keys_is_still_an_order() {
    let refused = Refused::features([Feature::OrderSeveral]);
    let awork = with(Config { refused, ..Config::default() });
    let order = Order { required: Some("updatedOn desc".into()), ..job("time_entries").order };
    let relaxed = Job { consistency: Consistency::Relaxed, ..job("time_entries") };
    let (delivered, _scan) =
        awork.read_with_scan(Job { order, conjuncts: vec![billable(true)], ..relaxed });
    assert!(delivered.begun().ordered);
    let billed = awork.ids_where("time_entries", |row| row["isBillable"] == true);
    assert_eq!(delivered.distinct(), billed);
    let log = awork.sandbox.log();
    assert_eq!(log.last().unwrap().parameter("orderby"), Some("updatedOn desc"));
}

#[test]
fn a_refused_order_does_not_cost_the_head_its_rows() {
    let awork = with(Config { refused: Refused::features([Feature::Order]), ..Config::default() });
    let delivered = awork.read(Job { start: Start::Head(7), ..job("time_entries") });
    assert_eq!(delivered.distinct(), awork.ids("time_entries", &[]));
}

#[test]
fn a_filter_that_a_firewall_blocks_is_left_out() {
    let awork = workspace();
    awork.fault("/timeentries", Some("filterby="), Action::Blocked);
    let (delivered, scan) =
        awork.read_with_scan(Job { conjuncts: vec![billable(true)], ..job("time_entries") });
    assert_eq!(delivered.distinct().len(), SCALE);
    assert_eq!(scan.progress().refused(), ["isBillable eq"]);
    // Without a filter it is an error.
    awork.fault("/timeentries", None, Action::Blocked);
    assert_eq!(awork.read(job("time_entries")).error().kind, ErrorKind::Blocked);
}

#[test]
fn what_is_blocked_altogether_teaches_nothing() {
    let awork = workspace();
    awork.fault("/timeentries", None, Action::Blocked);
    let filtered = || Job { conjuncts: vec![billable(true)], ..job("time_entries") };
    assert_eq!(awork.read(filtered()).error().kind, ErrorKind::Blocked);
    awork.sandbox.clear_faults();
    let (delivered, scan) = awork.read_with_scan(filtered());
    assert!(delivered.distinct().len() < SCALE);
    assert!(scan.progress().refused().is_empty());
}

#[test]
fn lists_without_pages_are_not_asked_for_with_a_filter() {
    let awork = workspace();
    let wanted = awork.ids("task_schedules", &[]);
    assert!(!wanted.is_empty());
    let created = field("task_schedules", "createdOn", ColumnType::Timestamp);
    let job = Job {
        conjuncts: vec![compare(created, Comparison::Lt, Value::Timestamp(0))],
        order: Order { required: Some("createdOn desc".into()), ..Order::default() },
        ..job("task_schedules")
    };
    assert!(!job.resource.paged);
    let delivered = awork.read(job);
    assert!(!delivered.begun().ordered, "nobody has ordered it");
    assert_eq!(delivered.distinct(), wanted);
    let asked = |e: &LogEntry| e.parameter("filterby").or(e.parameter("orderby")).is_some();
    assert!(!awork.sandbox.log().iter().any(asked), "{:?}", awork.sandbox.log());
}

// Filters that are cut.

fn any_of(field: Field, values: Vec<Value>) -> Conjunct {
    conjunct(Leaf::AnyOf(field, Operand::Constant(Value::Array(values))))
}

/// Names of tasks in two spellings, in as many values as several requests take.
fn spellings(awork: &Workspace) -> (Conjunct, BTreeSet<String>) {
    let rows = awork.sandbox.rows("tasks", &[]);
    let names: BTreeSet<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    let names: Vec<&str> = names.into_iter().take(8).collect();
    let mut values: Vec<Value> = Vec::new();
    for name in &names {
        values.push(Value::Text((*name).to_owned()));
        values.push(Value::Text(name.to_uppercase()));
        values.push(Value::Text(name.to_lowercase()));
    }
    // What is between capital and small letters, so that these are in another request.
    values.extend((0..200).map(|i| Value::Text(format!("ZZ, which is no task's name {i}"))));
    let is_named = |row: &serde_json::Value| names.contains(&row["name"].as_str().unwrap());
    let wanted = awork.ids_where("tasks", is_named);
    assert!(!wanted.is_empty());
    (any_of(field("tasks", "name", ColumnType::Text), values), wanted)
}

#[test]
fn a_list_of_texts_brings_no_row_twice() {
    let awork = workspace();
    let (names, wanted) = spellings(&awork);
    let delivered = awork.read(Job { conjuncts: vec![names], ..job("tasks") });
    assert!(delivered.distinct().is_superset(&wanted));
    let filters: HashSet<String> = awork.filters().into_iter().collect();
    assert!(filters.len() > 1);
    let log = awork.sandbox.log();
    let length = |e: &LogEntry| e.query.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
    assert!(log.iter().all(|entry| length(entry) < 4000));
}

#[test]
fn one_filter_may_become_several_when_another_is_refused() {
    let mut became_several = false;
    for most_filters in 2..14 {
        let refused = Refused::features([Feature::Guid]);
        let awork = with(Config { refused, ..Config::default() });
        let (names, wanted) = spellings(&awork);
        let ids: Vec<String> = awork.ids("projects", &[]).into_iter().take(30).collect();
        let project = field("tasks", "projectId", ColumnType::Uuid);
        let ids = any_of(project, ids.iter().map(|id| uuid(id)).collect());
        let conjuncts = vec![names, ids];
        let delivered = awork.read(Job { conjuncts, most_filters, ..job("tasks") });
        assert!(delivered.distinct().is_superset(&wanted), "with {most_filters}");
        // The ids alone, refused, and then the names in several filters.
        let filters = awork.filters();
        let first_alone = !filters[0].contains("name eq");
        let several: HashSet<&String> = filters.iter().filter(|f| f.contains("name eq")).collect();
        became_several |= first_alone && several.len() > 1;
    }
    assert!(became_several);
}

#[test]
fn rows_without_an_identity_are_not_asked_for_by_overlapping_filters() {
    let awork = workspace();
    let (names, wanted) = spellings(&awork);
    let job = Job { conjuncts: vec![names], ..job("tasks") };
    let target =
        Target { name: "id".into(), source: Source::Field(vec!["id".into()]), kind: Kind::Text };
    let projection = Projection::new(&[target], false);
    let delivered = awork.read(Job { projection, ..job });
    assert!(delivered.distinct().is_superset(&wanted));
}

#[test]
fn a_count_by_overlapping_filters_reads_the_rows() {
    let awork = workspace();
    let (names, wanted) = spellings(&awork);
    let delivered = awork.read(Job { conjuncts: vec![names], start: Start::Count, ..job("tasks") });
    assert_eq!(delivered.begun().total, None);
    assert!(delivered.distinct().is_superset(&wanted));
}

#[test]
fn a_long_list_of_ids_is_cut() {
    let awork = workspace();
    let wanted: BTreeSet<String> = awork.ids("time_entries", &[]).into_iter().take(300).collect();
    let id = || field("time_entries", "id", ColumnType::Uuid);
    let ids = || any_of(id(), wanted.iter().map(|id| uuid(id)).collect());
    let order = Order { required: Some("createdOn asc".into()), ..job("time_entries").order };
    let delivered =
        awork.read(Job { conjuncts: vec![ids()], order: order.clone(), ..job("time_entries") });
    assert_eq!(delivered.distinct(), wanted);
    assert!(!delivered.begun().ordered, "each answer has an order of its own");
    assert!(awork.filters().len() > 3);
    // The parts do not overlap, so that they can be counted.
    let counted = Job { conjuncts: vec![ids()], start: Start::Count, ..job("time_entries") };
    assert_eq!(awork.read(counted).begun().total, Some(300));
    // Rather without than in too many parts.
    let few = Job { conjuncts: vec![ids()], most_filters: 2, order, ..job("time_entries") };
    let delivered = awork.read(few);
    assert_eq!(delivered.distinct().len(), SCALE);
    assert!(delivered.begun().ordered);
    assert_eq!(awork.filters().len(), 0);
}

#[test]
fn a_part_that_is_refused_after_others_brings_no_row_twice() {
    let awork = workspace();
    let all = awork.ids("time_entries", &[]);
    let id = field("time_entries", "id", ColumnType::Uuid);
    let ids = any_of(id, all.iter().take(300).map(|id| uuid(id)).collect());
    // The last id is in the last part, or in the text of no other.
    let last = format!("'{}'", all.iter().nth(299).unwrap());
    awork.fault("/timeentries", Some(&last), Action::Blocked);
    let delivered = awork.read(Job { conjuncts: vec![ids], ..job("time_entries") });
    assert_eq!(delivered.distinct(), all, "the refused part is asked for without a filter");
}

#[test]
fn a_refused_list_of_ids_is_left_out() {
    let awork = with(Config { refused: Refused::features([Feature::Or]), ..Config::default() });
    let all = awork.ids("time_entries", &[]);
    let id = field("time_entries", "id", ColumnType::Uuid);
    let ids = any_of(id, all.iter().take(300).map(|id| uuid(id)).collect());
    let delivered = awork.read(Job { conjuncts: vec![ids], ..job("time_entries") });
    assert_eq!(delivered.distinct(), all);
}

// Lookups.

fn lookup(path: String) -> Job {
    let id = field("projects", "id", ColumnType::Uuid);
    let id = compare(id, Comparison::Eq, uuid(path.rsplit('/').next().unwrap()));
    Job { lookup: Some(path), conjuncts: vec![id], ..job("projects") }
}

#[test]
fn one_row_is_looked_up() {
    let awork = workspace();
    let id = awork.ids("projects", &[]).pop_first().unwrap();
    let path = format!("/projects/{id}");
    let delivered = awork.read(lookup(path.clone()));
    assert_eq!(delivered.distinct(), BTreeSet::from([id.clone()]));
    let log = awork.sandbox.log();
    assert_eq!(log.len(), 1);
    assert!(log[0].path.ends_with(&path));

    let nil = uuid::Uuid::nil();
    let delivered = awork.read(lookup(format!("/projects/{nil}")));
    assert_eq!(delivered.distinct().len(), 0);
    assert_eq!(awork.sandbox.log().len(), 1);
}

#[test]
fn a_lookup_that_may_not_be_asks_the_list() {
    let gateway = Action::Body {
        text: Some(r#"{"message": "no Route matched with those values"}"#.into()),
        bytes: None,
        status: Some(404),
        content_type: None,
    };
    for action in [status(401), status(400), gateway] {
        let awork = workspace();
        let id = awork.ids("projects", &[]).pop_first().unwrap();
        awork.fault(&format!("/projects/{id}"), None, action.clone());
        let delivered = awork.read(lookup(format!("/projects/{id}")));
        assert_eq!(delivered.distinct(), BTreeSet::from([id]), "{action:?}");
        assert_eq!(awork.sandbox.log().len(), 2, "{action:?}");
    }
    let awork = workspace();
    awork.fault("/projects/", None, Action::Expired);
    let nil = uuid::Uuid::nil();
    assert_eq!(
        awork.read(lookup(format!("/projects/{nil}"))).error().kind,
        ErrorKind::Unauthorized
    );
}

// The lists of all parents.

/// The rows of all lists below the parents, as the sandbox has them.
fn below(
    awork: &Workspace,
    resource: &str,
    parameter: &str,
    parents: &BTreeSet<String>,
) -> BTreeSet<(String, String)> {
    let of = |parent: &String| {
        let ids = awork.ids(resource, &[(parameter, parent)]);
        ids.into_iter().map(|id| (parent.clone(), id)).collect::<Vec<_>>()
    };
    parents.iter().flat_map(of).collect()
}

/// The rows with the parameter that each came with.
fn with_parents(delivered: &Delivered) -> BTreeSet<(String, String)> {
    assert_eq!(delivered.ended, Some(Ok(())));
    let pairs = delivered.bindings.iter().zip(&delivered.rows);
    let found: BTreeSet<_> = pairs.map(|(b, id)| (b[0].clone().unwrap(), id.clone())).collect();
    assert_eq!(found.len(), delivered.rows.len(), "rows came twice");
    found
}

#[test]
fn rows_inside_of_their_parents_need_no_requests() {
    let awork = workspace();
    let projects = awork.ids("projects", &[]);
    let mut wanted = BTreeSet::new();
    for project in &projects {
        for row in awork.sandbox.rows("project_members", &[("projectId", project)]) {
            wanted.insert((project.clone(), row["userId"].as_str().unwrap().to_owned()));
        }
    }
    let (delivered, scan) = awork.read_with_scan(job_for("project_members", "userId"));
    assert_eq!(with_parents(&delivered), wanted);
    assert_eq!(scan.progress().parents.load(Ordering::Relaxed), projects.len() as u64);
    assert!(awork.sandbox.log().iter().all(|entry| entry.path.ends_with("/projects")));

    // Where they are not inside, each list is asked for.
    let names = vec!["members".into()];
    awork.fault("/projects", None, Action::WithoutProperties { names });
    let delivered = awork.read(job_for("project_members", "userId"));
    assert_eq!(with_parents(&delivered), wanted);
}

#[test]
fn each_parent_is_asked_for_its_list() {
    let awork = workspace();
    let projects = awork.ids("projects", &[]);
    let wanted = below(&awork, "project_task_lists", "projectId", &projects);
    let order = Order { required: Some("createdOn asc".into()), ..Order::default() };
    let (delivered, scan) =
        awork.read_with_scan(Job { page_size: 15, order, ..job("project_task_lists") });
    assert_eq!(with_parents(&delivered), wanted);
    assert!(!delivered.begun().ordered, "the lists follow each other");
    assert_eq!(scan.progress().parents.load(Ordering::Relaxed), projects.len() as u64);
    assert_eq!(awork.sandbox.log().len(), projects.len() + requests(projects.len(), 15));
}

#[test]
fn parents_that_say_that_they_have_nothing_are_passed_over() {
    let awork = workspace();
    let commented = awork.ids_where("tasks", |row| row["commentCount"] != 0);
    let tasks = awork.ids("tasks", &[]);
    assert!(!commented.is_empty() && commented.len() < tasks.len());
    let wanted = below(&awork, "task_comments", "taskId", &tasks);
    let delivered = awork.read(job("task_comments"));
    assert_eq!(with_parents(&delivered), wanted);
    let log = awork.sandbox.log();
    let asked = log.iter().filter(|entry| entry.path.ends_with("/comments")).count();
    assert_eq!(asked, commented.len());
}

#[test]
fn parents_have_parents() {
    let awork = workspace();
    let mut wanted = BTreeSet::new();
    for document in awork.ids("documents", &[]) {
        for file in awork.ids("document_files", &[("documentId", &document)]) {
            let path = [("documentId", document.as_str()), ("fileId", file.as_str())];
            for version in awork.ids("document_file_versions", &path) {
                wanted.insert((Some(document.clone()), Some(file.clone()), version));
            }
        }
    }
    assert!(wanted.len() > 50);
    let delivered = awork.read(job("document_file_versions"));
    assert_eq!(delivered.ended, Some(Ok(())));
    let pairs = delivered.bindings.iter().zip(&delivered.rows);
    let found: BTreeSet<_> =
        pairs.map(|(b, id)| (b[0].clone(), b[1].clone(), id.clone())).collect();
    assert_eq!(found.len(), delivered.rows.len(), "rows came twice");
    assert_eq!(found, wanted);
}

#[test]
fn a_known_grandparent_is_the_only_one() {
    let awork = workspace();
    let document = awork.ids("documents", &[]).pop_first().unwrap();
    let bindings = vec![vec![Some(document.clone()), None]];
    let delivered = awork.read(Job { bindings, ..job("document_file_versions") });
    assert!(!delivered.distinct().is_empty());
    assert!(delivered.bindings.iter().all(|b| b[0].as_ref() == Some(&document) && b[1].is_some()));
    let log = awork.sandbox.log();
    assert!(log.iter().all(|entry| entry.path.contains(&document)), "{log:?}");
}

#[test]
fn a_parent_that_has_gone_has_no_rows() {
    let awork = workspace();
    let mut projects = awork.ids("projects", &[]);
    let gone = projects.pop_first().unwrap();
    let wanted = below(&awork, "project_task_lists", "projectId", &projects);
    awork.fault(&format!("/projects/{gone}/"), None, status(404));
    assert_eq!(with_parents(&awork.read(job("project_task_lists"))), wanted);
    // What is wrong with all of them is no absence.
    awork.fault("/projects/", None, status(401));
    let delivered = awork.read(job("project_task_lists"));
    assert_eq!(delivered.error().kind, ErrorKind::PermissionDenied);
}

#[test]
fn parents_are_read_no_further_than_their_lists_are_wanted() {
    let awork = workspace();
    let job = || Job { page_size: 5, ..job("project_task_lists") };
    let mut scan = awork.start(job());
    let mut delivered = Delivered::default();
    delivered.take(&mut scan, false);
    assert!(!delivered.rows.is_empty());
    let asked = awork.sandbox.log();
    let lists = asked.iter().filter(|entry| entry.path.ends_with("/tasklists")).count();
    assert_eq!(lists, 1, "{asked:?}");
    // Of eight pages of projects.
    assert!(asked.len() - lists < 8, "{}", asked.len() - lists);
    drop(scan);
    assert!(awork.read(job()).rows.len() > delivered.rows.len());
}

#[test]
fn lists_and_those_of_their_parents_share_what_may_be_in_flight() {
    let awork = with(Config { latency: Duration::from_millis(10), ..Config::default() });
    let delivered = awork.read(Job { page_size: 5, ..job("document_file_versions") });
    assert_eq!(delivered.ended, Some(Ok(())));
    let most = concurrency(&awork.sandbox.log());
    assert!((2..=4).contains(&most), "{most}");
}

#[test]
fn filters_of_children_are_refused_once() {
    let awork = with(Config { refused: Refused::features([Feature::Range]), ..Config::default() });
    let projects = awork.ids("projects", &[]);
    let wanted = below(&awork, "project_task_lists", "projectId", &projects);
    let created = field("project_task_lists", "createdOn", ColumnType::Timestamp);
    let conjuncts = vec![compare(created, Comparison::Ge, Value::Timestamp(0))];
    let delivered = awork.read(Job { conjuncts, ..job("project_task_lists") });
    assert_eq!(with_parents(&delivered), wanted);
    assert!(awork.refused_requests() <= 2, "{}", awork.refused_requests());
}

#[test]
fn filters_of_children_reach_every_list() {
    let awork = workspace();
    let projects = awork.ids("projects", &[]);
    let all = below(&awork, "project_task_lists", "projectId", &projects);
    let name = field("project_task_lists", "name", ColumnType::Text);
    let some =
        awork.sandbox.rows("project_task_lists", &[("projectId", projects.first().unwrap())]);
    let some = some[0]["name"].as_str().unwrap().to_owned();
    let conjuncts = vec![compare(name, Comparison::Eq, Value::Text(some))];
    let delivered = awork.read(Job { conjuncts, ..job("project_task_lists") });
    let found = with_parents(&delivered);
    assert!(!found.is_empty() && found.len() < all.len() && found.is_subset(&all));
    let lists = awork.sandbox.log();
    let lists = lists.iter().filter(|entry| entry.path.ends_with("/tasklists"));
    assert!(lists.into_iter().all(|entry| entry.parameter("filterby").is_some()));
}
