//! What scans share: answers, requests in flight, and the rate limit of a workspace.

mod common;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use awork_api::catalogue::columns::Source;
use awork_api::error::ErrorKind;
use awork_api::pages::Consistency;
use awork_api::rows::{Kind, Projection, Target};
use awork_api::scan::{Job, Order, Start};
use awork_api::shared::cache;
use awork_sandbox::{Action, Config, RateLimit};

use common::*;

fn cached(job: Job) -> Job {
    cache::set_size(16 << 20);
    Job { cache_ttl: Duration::from_secs(60), ..job }
}

fn projection(properties: &[&str]) -> Projection {
    let target = |property: &&str| Target {
        name: (*property).into(),
        source: Source::Field(vec![(*property).into()]),
        kind: Kind::Text,
    };
    Projection::new(&properties.iter().map(target).collect::<Vec<_>>(), true)
}

#[test]
fn an_answer_serves_again_for_as_many_columns_or_fewer() {
    let awork = workspace();
    let wide = || Job { projection: projection(&["note", "id"]), ..job("time_entries") };
    let first = awork.read(cached(wide()));
    let pages = awork.sandbox.log().len();
    assert_eq!(pages, requests(SCALE, PAGE));
    let again = awork.read(cached(wide()));
    assert_eq!(awork.sandbox.log().len(), 0);
    assert_eq!(again.rows, first.rows);
    let narrow = awork.read(cached(job("time_entries")));
    assert_eq!(awork.sandbox.log().len(), 0);
    assert_eq!(narrow.distinct(), awork.ids("time_entries", &[]));
    awork.read(cached(job_for("time_entries", "updatedOn")));
    assert_eq!(awork.sandbox.log().len(), pages, "another column");
    awork.read(wide());
    assert_eq!(awork.sandbox.log().len(), pages, "no cache is wanted");
}

#[test]
fn a_whole_list_serves_for_a_part_of_it() {
    let awork = workspace();
    let part = || Job { conjuncts: vec![billable(true)], ..job_for("time_entries", "isBillable") };
    awork.read(cached(part()));
    assert!(awork.sandbox.log().iter().all(|e| e.parameter("filterby").is_some()));
    awork.read(cached(job_for("time_entries", "isBillable")));
    let delivered = awork.read(cached(Job { page_size: 40, ..part() }));
    assert!(!awork.sandbox.log().is_empty(), "pages of another size");
    assert!(delivered.rows.iter().all(|row| row == "true"));

    let all = awork.read(cached(Job { conjuncts: vec![billable(false)], ..part() }));
    assert_eq!(awork.sandbox.log().len(), 0);
    assert_eq!(all.rows.len(), SCALE, "the consumer checks the condition");
    // The number of rows that satisfy a condition is for awork to say.
    let counted = Job { start: Start::Count, conjuncts: vec![billable(false)], ..part() };
    let counted = awork.read(cached(counted)).begun().total;
    assert_eq!(counted, Some(all.rows.iter().filter(|row| *row == "false").count() as u64));
    let order = Order { required: Some("createdOn desc".into()), ..part().order };
    let ordered = awork.read(cached(Job { order, ..part() }));
    assert!(!awork.sandbox.log().is_empty() && ordered.begun().ordered);
}

#[test]
fn scans_at_the_same_time_ask_for_each_page_once() {
    let awork = with(Config { latency: Duration::from_millis(50), ..Config::default() });
    awork.sandbox.clear_log();
    std::thread::scope(|threads| {
        for _ in 0..5 {
            threads.spawn(|| {
                let scan =
                    awork_api::scan::Scan::start(awork.client.clone(), cached(job("time_entries")));
                let mut delivered = Delivered::default();
                delivered.take(&mut scan.unwrap(), true);
                assert_eq!(delivered.distinct(), awork.ids("time_entries", &[]));
            });
        }
    });
    assert_eq!(awork.sandbox.log().len(), requests(SCALE, PAGE));
}

#[test]
fn a_scan_that_is_given_up_leaves_nobody_waiting() {
    let awork = with(Config { latency: Duration::from_millis(300), ..Config::default() });
    let given_up = awork.start(cached(job("projects")));
    std::thread::sleep(Duration::from_millis(50));
    let started = Instant::now();
    let mut waiting = awork.start(cached(job("projects")));
    drop(given_up);
    let mut delivered = Delivered::default();
    delivered.take(&mut waiting, true);
    assert_eq!(delivered.distinct(), awork.ids("projects", &[]));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_error_is_not_kept() {
    let awork = workspace();
    awork.fault("/users", None, status(500));
    assert!(awork.read(cached(job("users"))).ended.unwrap().is_err());
    awork.sandbox.clear_faults();
    assert_eq!(awork.read(cached(job("users"))).distinct(), awork.ids("users", &[]));
}

#[test]
fn the_beginning_of_a_list_is_asked_for_again_with_the_rest_if_it_is_old() {
    let awork = workspace();
    let old = || Job { cache_ttl: Duration::from_secs(3600), ..cached(job("time_entries")) };
    let mut scan = awork.start(old());
    let mut delivered = Delivered::default();
    delivered.take(&mut scan, false);
    assert_eq!((delivered.rows.len(), awork.sandbox.log().len()), (PAGE as usize, 1));
    drop(scan);
    // Soon after, the scan that goes on is of the same reading.
    let mut scan = awork.start(old());
    Delivered::default().take(&mut scan, false);
    assert_eq!(awork.sandbox.log().len(), 0);
    drop(scan);
    std::thread::sleep(Duration::from_millis(10_500));
    awork.read(old());
    assert_eq!(awork.sandbox.log().len(), requests(SCALE, PAGE));

    // A list that the cache has whole is read from there to its end, whatever is dropped meanwhile.
    std::thread::sleep(Duration::from_millis(10_500));
    let mut scan = awork.start(old());
    let mut delivered = Delivered::default();
    delivered.take(&mut scan, false);
    let dropped = cache::cache().unwrap().clear(awork.client.workspace_id());
    assert!(dropped as usize >= requests(SCALE, PAGE));
    scan.demand();
    delivered.take(&mut scan, true);
    assert_eq!(delivered.distinct(), awork.ids("time_entries", &[]));
    assert_eq!(awork.sandbox.log().len(), 0);
}

#[test]
fn a_limit_that_resets_much_later_is_an_error_and_stops_nobody_for_longer() {
    let awork = workspace();
    let refusal = Action::Status { status: 429, code: None, retry_after: Some(3600) };
    awork.fault("/users", None, refusal);
    let started = Instant::now();
    let error = awork.read(job("users")).ended.unwrap().unwrap_err();
    assert!(error.hint.unwrap().contains("in 3601 s"));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_longer_wait_than_is_allowed_is_an_error() {
    let mut awork = workspace();
    let mut settings = awork.client.settings().clone();
    (settings.max_retries, settings.rate_limit_max_wait) = (3, Duration::from_secs(5));
    awork = awork.with_settings(settings.clone());
    let refusal = Action::Status { status: 429, code: None, retry_after: Some(20) };
    awork.fault("/users", None, refusal);
    let started = Instant::now();
    let error = awork.read(job("users")).ended.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert!(error.hint.unwrap().contains("in 21 s"));
    // The next one knows without asking, and says how long it still takes.
    awork.sandbox.clear_faults();
    let error = awork.read(job("users")).ended.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert!(["in 20 s", "in 21 s"].iter().any(|when| error.hint.as_ref().unwrap().contains(when)));
    assert_eq!(awork.sandbox.log().len(), 0);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_rate_limit_is_used_up_and_not_exceeded() {
    let rate_limit = Some(RateLimit { per_second: 10, per_minute: 1000, retry_after: false });
    let awork = with(Config { rate_limit, ..Config::default() });
    let started = Instant::now();
    let job = Job { consistency: Consistency::Relaxed, page_size: 20, ..job("time_entries") };
    let delivered = awork.read(job);
    let took = started.elapsed().as_secs_f64();
    assert_eq!(delivered.distinct(), awork.ids("time_entries", &[]));
    let log = awork.sandbox.log();
    assert_eq!(log.iter().filter(|e| e.status == Some(429)).count(), 0);
    // 30 pages, of which the first 10 need no wait.
    assert!((1.9..2.6).contains(&took), "{took} s");
    assert!(awork.client.counters.held_back.load(Ordering::Relaxed) > 0);
}

#[test]
fn requests_of_others_count() {
    let rate_limit = Some(RateLimit { per_second: 10, per_minute: 1000, retry_after: true });
    let awork = with(Config { rate_limit, ..Config::default() });
    let strangers = [awork.stranger(), awork.stranger()];
    std::thread::scope(|threads| {
        for client in &strangers {
            threads.spawn(|| {
                let relaxed = Consistency::Relaxed;
                let job = Job { page_size: 20, consistency: relaxed, ..job("time_entries") };
                let mut scan = awork_api::scan::Scan::start(client.clone(), job).unwrap();
                let mut delivered = Delivered::default();
                delivered.take(&mut scan, true);
                assert_eq!(delivered.distinct(), awork.ids("time_entries", &[]));
            });
        }
    });
    let refused = awork.sandbox.log().iter().filter(|e| e.status == Some(429)).count();
    assert!(refused <= 20, "{refused} of 60 requests were refused");
}

#[test]
fn the_option_rate_limit_is_kept_where_awork_allows_more() {
    let awork = with(Config::default());
    let mut settings = awork.client.settings().clone();
    settings.set("rate_limit", "20").unwrap();
    let awork = awork.with_settings(settings);
    let started = Instant::now();
    let job = Job { consistency: Consistency::Relaxed, page_size: 12, ..job("time_entries") };
    awork.read(job);
    let took = started.elapsed().as_secs_f64();
    assert_eq!(awork.sandbox.log().len(), 50);
    assert!((1.9..3.0).contains(&took), "{took} s");
}
