//! Each fault as a client meets it.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use awork_sandbox::{Fault, Sandbox};
use common::{KEY, Response, list, send, small};
use serde_json::{Value, json};

fn with(sandbox: &Sandbox, fault: Value) {
    sandbox.clear_faults();
    let fault: Fault = serde_json::from_value(fault).expect("a fault");
    sandbox.add_fault(fault);
}

fn projects(sandbox: &Sandbox) -> Response {
    list(sandbox, "/projects", &[("page", "2"), ("pageSize", "20"), ("orderby", "createdOn")])
}

#[test]
fn answers_in_place_of_the_data() {
    let sandbox = small();
    with(&sandbox, json!({"kind": "status", "status": 429, "retry_after": 2}));
    let response = projects(&sandbox);
    assert_eq!((response.status, response.header("retry-after")), (429, Some("2")));
    with(&sandbox, json!({"kind": "status", "status": 503}));
    let response = projects(&sandbox);
    assert_eq!((response.status, response.header("retry-after")), (503, None));
    assert_eq!(response.code(), "server-error");
    with(&sandbox, json!({"kind": "expired"}));
    assert_eq!(projects(&sandbox).json()["exp"], "token expired");
    with(&sandbox, json!({"kind": "blocked"}));
    let response = projects(&sandbox);
    assert_eq!(response.status, 403);
    assert!(response.header("x-edge-ref").is_some());
    assert!(response.body.starts_with(b"<!DOCTYPE"));
    with(&sandbox, json!({"kind": "html"}));
    assert!(projects(&sandbox).body.starts_with(b"<!DOCTYPE"));
    with(&sandbox, json!({"kind": "body", "text": "[{\"id\":\"\\u0000\"}]"}));
    assert_eq!(projects(&sandbox).rows()[0]["id"], "\0");
    with(&sandbox, json!({"kind": "body", "bytes": [255, 0], "status": 201}));
    let response = projects(&sandbox);
    assert_eq!((response.status, response.body.as_slice()), (201, &[255u8, 0][..]));
    with(&sandbox, json!({"kind": "redirect", "location": "http://127.0.0.1:1/"}));
    let response = projects(&sandbox);
    assert_eq!((response.status, response.header("location")), (302, Some("http://127.0.0.1:1/")));
}

#[test]
fn pages_that_do_not_add_up() {
    let sandbox = small();
    let honest = projects(&sandbox).rows();
    with(&sandbox, json!({"kind": "repeat_page", "page": 1}));
    let response = projects(&sandbox);
    assert_eq!(response.header("aw-page"), Some("2"));
    assert_ne!(response.rows(), honest);
    with(&sandbox, json!({"kind": "drop_rows", "rows": 3}));
    let response = projects(&sandbox);
    assert_eq!(response.header("aw-totalitems"), Some("40"));
    assert_eq!(response.rows(), honest[..17]);
    with(&sandbox, json!({"kind": "totals"}));
    assert_eq!(projects(&sandbox).header("aw-totalitems"), None);
    with(&sandbox, json!({"kind": "totals", "total": 7}));
    assert_eq!(projects(&sandbox).header("aw-totalitems"), Some("7"));
    with(&sandbox, json!({"kind": "page_size", "rows": 5}));
    assert_eq!(projects(&sandbox).rows().len(), 5);
    with(&sandbox, json!({"kind": "refuse_order"}));
    assert_eq!(projects(&sandbox).code(), "invalid-filter-or-order");
    with(&sandbox, json!({"kind": "refuse_filter"}));
    assert_eq!(projects(&sandbox).status, 200);
    let filtered = list(&sandbox, "/projects", &[("filterby", "isPrivate eq true")]);
    assert_eq!(filtered.code(), "invalid-filter-or-order");
    with(&sandbox, json!({"kind": "without_properties", "names": ["name"]}));
    assert!(projects(&sandbox).rows().iter().all(|row| row.get("name").is_none()));
    let set = json!({"dueDate": "2026-02-31T00:00:00Z", "timeBudget": 99_999_999_999i64});
    with(&sandbox, json!({"kind": "set_properties", "row": 1, "set": set}));
    let rows = projects(&sandbox).rows();
    assert_eq!(rows[0], honest[0]);
    assert_eq!(rows[1]["dueDate"], "2026-02-31T00:00:00Z");
}

#[test]
fn only_some_requests() {
    let sandbox = small();
    with(&sandbox, json!({"path": "/projects", "nth": 2, "kind": "status", "status": 500}));
    assert_eq!(list(&sandbox, "/users", &[]).status, 200);
    let statuses = [(); 3].map(|()| projects(&sandbox).status);
    assert_eq!(statuses, [200, 500, 200]);
    with(&sandbox, json!({"path": "/projects", "first": 2, "kind": "status", "status": 500}));
    let statuses = [(); 3].map(|()| projects(&sandbox).status);
    assert_eq!(statuses, [500, 500, 200]);
    with(&sandbox, json!({"query": "page=3", "kind": "status", "status": 500}));
    assert_eq!(projects(&sandbox).status, 200);
}

#[test]
fn slow_and_cut_bodies() {
    let sandbox = small();
    with(&sandbox, json!({"kind": "latency", "ms": 150}));
    let start = Instant::now();
    projects(&sandbox);
    assert!(start.elapsed() >= Duration::from_millis(150));
    with(&sandbox, json!({"kind": "slow_body", "ms": 150}));
    let start = Instant::now();
    let response = projects(&sandbox);
    assert!(response.complete && start.elapsed() >= Duration::from_millis(150));
    assert_eq!(response.rows().len(), 20);
    with(&sandbox, json!({"kind": "cut_body", "after": 1000}));
    let response = projects(&sandbox);
    assert!(!response.complete);
    assert_eq!(response.body.len(), 1000);
    with(&sandbox, json!({"kind": "huge_body", "mib": 3}));
    assert_eq!(projects(&sandbox).body.len(), 3 * 1024 * 1024 + 1);
}

#[test]
fn a_client_that_goes_away_is_noticed() {
    let sandbox = small();
    with(&sandbox, json!({"path": "/projects", "kind": "hang"}));
    let mut stream = TcpStream::connect(sandbox.address()).expect("a connection");
    let request =
        format!("GET /api/v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    assert!(stream.read(&mut [0; 1]).is_err(), "no answer comes");
    assert_eq!(sandbox.log()[0].finished, None);
    drop(stream);
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(20));
        if sandbox.log()[0].finished.is_some() {
            break;
        }
    }
    let entry = &sandbox.log()[0];
    assert!(entry.gone && entry.status.is_none());
}

#[test]
fn faults_over_http() {
    let sandbox = small();
    let body = json!([{"path": "/projects", "kind": "html"}, {"kind": "latency", "ms": 1}]);
    let ask =
        |method: &str, body: &str| send(sandbox.address(), method, "/_sandbox/faults", &[], body);
    assert_eq!(ask("POST", &body.to_string()).json()["added"], 2);
    assert_eq!(ask("GET", "").rows().len(), 2);
    assert!(projects(&sandbox).body.starts_with(b"<"));
    ask("DELETE", "");
    assert_eq!(projects(&sandbox).rows().len(), 20);
    assert_eq!(ask("POST", "{\"kind\":\"nothing\"}").status, 400);
}
