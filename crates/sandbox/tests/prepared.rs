//! Pages that are kept after they were rendered: the answers are those of a sandbox that keeps
//! none, and a change is seen at once.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use awork_api::catalogue::Catalogue;
use awork_sandbox::{Change, Config, Fault, Feature, Refused, RowName, Sandbox, Update};
use common::{KEY, LIMITED, Response, list, path, send, small, start};
use serde_json::{Value, json};

fn ask(sandbox: &Sandbox, key: &str, path: &str, gzip: bool) -> Response {
    let key = format!("Bearer {key}");
    let coding = if gzip { "gzip" } else { "identity" };
    let headers = [("Authorization", key.as_str()), ("Accept-Encoding", coding)];
    send(sandbox.address(), "GET", path, &headers, "")
}

/// The answer but for the date and what is left of the rate limit.
fn lasting(response: Response) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let passing = |name: &str| name == "date" || name.contains("ratelimit");
    let headers = response.headers.into_iter().filter(|(name, _)| !passing(name)).collect();
    (response.status, headers, response.body)
}

fn update(row: usize, set: &Value) -> Change {
    let set = set.as_object().cloned().unwrap_or_default();
    let update = vec![Update { row: RowName::Place(row), set }];
    Change { resource: "time_entries".into(), update, ..Change::default() }
}

#[test]
fn answers_are_those_of_fresh_pages() {
    let few = Config { scale: 60, ..Config::default() };
    let keeps = start(few.clone());
    let renders = start(Config { prepared_bytes: 0, ..few });
    let mut paths: Vec<String> = Catalogue::bundled()
        .resources
        .iter()
        .map(|resource| path(resource, &keeps.parameters(&resource.name).unwrap_or_default()))
        .collect();
    let entries = "/api/v1/timeentries?orderby=createdOn%20desc&pageSize";
    paths.extend([
        format!("{entries}=20&page=2"),
        format!("{entries}=15&page=3"),
        format!("{entries}=7&page=2&filterby=isBillable%20eq%20true"),
        format!("{entries}=7&page=2&filterby=isBillable%20eq%20false"),
        format!("{entries}=200&page=9"),
    ]);
    for (place, path) in paths.iter().enumerate() {
        // Lists are told apart by who asks; some of them show it.
        let keys = if place % 10 == 0 { &[KEY, LIMITED][..] } else { &[KEY] };
        for key in keys {
            // The plain form first and last, so that the compressed one is made of it once.
            for gzip in [false, true, true, false] {
                let fresh = lasting(ask(&renders, key, path, gzip));
                let kept = lasting(ask(&keeps, key, path, gzip));
                assert!(fresh == kept, "{path} {key} {gzip}: {:?} {:?}", fresh.1, kept.1);
            }
        }
    }
}

#[test]
fn changes_are_seen_at_once() {
    let sandbox = small();
    let newest = || list(&sandbox, "/timeentries", &[("pageSize", "100")]).rows();
    for gzip in [false, true] {
        ask(&sandbox, KEY, "/api/v1/timeentries?pageSize=100", gzip);
    }
    let before = newest();
    sandbox.change(&update(0, &json!({"note": "changed"}))).expect("a change");
    assert_eq!(newest()[0]["note"], "changed");
    let packed = ask(&sandbox, KEY, "/api/v1/timeentries?pageSize=100", true);
    let mut reader = flate2::read::GzDecoder::new(&packed.body[..]);
    let rows: Value = serde_json::from_reader(&mut reader).expect("JSON");
    assert_eq!(rows[0]["note"], "changed");
    let gone = Change {
        resource: "time_entries".into(),
        delete: vec![RowName::Place(0)],
        ..Change::default()
    };
    sandbox.change(&gone).expect("a change");
    assert_eq!(newest()[0], before[1]);
    let project = list(&sandbox, "/projects", &[]).rows()[0]["id"].clone();
    let named =
        json!({"resource": "projects", "update": [{"row": project, "set": {"name": "Neu"}}]});
    let over = send(sandbox.address(), "POST", "/_sandbox/changes", &[], &named.to_string());
    assert_eq!(over.status, 200);
    assert_eq!(list(&sandbox, "/projects", &[]).rows()[0]["name"], "Neu");
}

#[test]
fn faults_and_refusals_meet_kept_pages_too() {
    let sandbox = small();
    let parameters = [("pageSize", "20"), ("page", "2"), ("orderby", "createdOn")];
    let projects = || list(&sandbox, "/projects", &parameters);
    let honest = projects();
    let with = |fault: Value| {
        sandbox.clear_faults();
        sandbox.add_fault(serde_json::from_value::<Fault>(fault).expect("a fault"));
        projects()
    };
    assert_eq!(with(json!({"kind": "set_properties", "set": {"name": 7}})).rows()[0]["name"], 7);
    let lacking = with(json!({"kind": "without_properties", "names": ["name"]}));
    assert!(lacking.rows()[0].get("name").is_none());
    assert_eq!(with(json!({"kind": "drop_rows", "rows": 3})).rows(), honest.rows()[..17]);
    assert_eq!(with(json!({"kind": "page_size", "rows": 5})).rows().len(), 5);
    assert_ne!(with(json!({"kind": "repeat_page", "page": 1})).body, honest.body);
    sandbox.clear_faults();
    assert_eq!(lasting(projects()), lasting(honest));
    sandbox.refuse(Refused::features([Feature::Order]));
    assert_eq!(projects().code(), "invalid-filter-or-order");
}

#[test]
fn no_page_of_before_a_change_is_kept_after_it() {
    let sandbox = small();
    let done = AtomicBool::new(false);
    let note = || list(&sandbox, "/timeentries", &[("pageSize", "200")]).rows()[0]["note"].clone();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    note();
                }
            });
        }
        for round in 0..10 {
            sandbox.change(&update(0, &json!({"note": round.to_string()}))).expect("a change");
            assert_eq!(note(), round.to_string());
        }
        done.store(true, Ordering::Relaxed);
    });
}
