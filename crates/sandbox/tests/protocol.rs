//! Keys, pages, filters, orders, limits and control calls over the wire.

mod common;

use std::io::Read;

use awork_sandbox::{Change, Config, Identity, LargePages, RateLimit, RowName, Sandbox, Update};
use common::{KEY, LIMITED, get, list, send, small, start};
use serde_json::{Value, json};

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect()
}

fn instants(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn keys() {
    let sandbox = small();
    let ask =
        |headers: &[(&str, &str)], path: &str| send(sandbox.address(), "GET", path, headers, "");
    for headers in [&[][..], &[("Authorization", "Bearer wrong")], &[("Authorization", KEY)]] {
        let response = ask(headers, "/api/v1/projects");
        assert_eq!(response.status, 401);
        assert_ne!(response.code(), "unauthorized");
    }
    let limited = format!("Bearer {LIMITED}");
    let limited = &[("Authorization", limited.as_str())];
    let response = ask(limited, "/api/v1/timeentries");
    assert_eq!((response.status, response.code().as_str()), (401, "unauthorized"));
    assert_eq!(ask(limited, "/api/v1/me").json()["firstName"], "Time Clock");
    assert_eq!(ask(limited, "/api/v1/users").rows().len(), 1);
    let route = ask(&[], "/api/v1/nothing");
    assert_eq!(route.status, 401);
    let route = get(&sandbox, "/api/v1/tasks");
    assert_eq!(route.status, 404);
    assert_eq!(route.json()["message"], "no Route matched with those values");
    let log = sandbox.log();
    assert!(!log[0].authorization && log[1].authorization);
    assert_eq!(log[1].identity, None);
    assert_eq!(log[3].identity.as_deref(), Some("limited"));
    assert!(!format!("{log:?}").contains(LIMITED));
}

#[test]
fn pages() {
    let sandbox = small();
    let mut seen = Vec::new();
    for page in 1..=5 {
        let response =
            list(&sandbox, "/timeentries", &[("Page", &page.to_string()), ("PAGESIZE", "150")]);
        assert_eq!(response.header("aw-page"), Some(page.to_string().as_str()));
        assert_eq!(response.header("aw-pagesize"), Some("150"));
        assert_eq!(response.header("aw-totalitems"), Some("600"));
        let rows = response.rows();
        assert_eq!(rows.len(), if page < 5 { 150 } else { 0 });
        assert_eq!(response.header("aw-items"), Some(rows.len().to_string().as_str()));
        seen.extend(ids(&rows));
    }
    assert_eq!(seen, ids(&sandbox.rows("time_entries", &[])));
    let created = instants(&sandbox.rows("time_entries", &[]), "createdOn");
    assert!(created[0][..10] >= created[599][..10], "newest first");
    assert_eq!(list(&sandbox, "/timeentries", &[]).rows().len(), 10);
    assert_eq!(list(&sandbox, "/timeentries", &[("pageSize", "5000")]).rows().len(), 600);
    assert_eq!(list(&sandbox, "/timeentries", &[("page", "0")]).status, 400);
    let unpaged = list(&sandbox, "/taskschedules", &[("page", "2"), ("filterby", "nonsense")]);
    assert_eq!(unpaged.header("aw-totalitems"), None);
    assert_eq!(unpaged.rows().len(), sandbox.rows("task_schedules", &[]).len());
    let other = start(Config {
        scale: 100,
        default_page_size: 1000,
        large_pages: LargePages::Refuse,
        filter_undeclared: true,
        chunked: true,
        ..Config::default()
    });
    let response = list(&other, "/timeentries", &[]);
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    assert_eq!(response.rows().len(), 100);
    assert_eq!(list(&other, "/timeentries", &[("pageSize", "1001")]).status, 400);
    let filtered = list(&other, "/customfielddefinitions", &[("filterby", "entity eq 'task'")]);
    assert_eq!(filtered.rows().len(), 14);
}

#[test]
fn filters_select_what_the_rows_say() {
    let sandbox = small();
    let all = sandbox.rows("time_entries", &[]);
    let is = |row: &Value, at: &str, value: &str| row.pointer(at) == Some(&json!(value));
    type Test<'a> = &'a dyn Fn(&Value) -> bool;
    let after = |row: &Value| row["startDateLocal"].as_str() >= Some("2026-06-01T00:00:00");
    let cases: [(&str, Test<'_>); 7] = [
        ("isBillable eq true", &|row| row["isBillable"] == true),
        ("startDateLocal ge datetime'2026-06-01T00:00'", &after),
        ("endTimeUtc eq null and startTimeUtc ne null", &|row| {
            row["endTimeUtc"].is_null() && !row["startTimeUtc"].is_null()
        }),
        ("Project/ProjectStatus/Type eq 'closed'", &|row| {
            is(row, "/project/projectStatus/type", "closed")
        }),
        ("task/baseType eq 'projecttask' and duration gt 3600", &|row| {
            is(row, "/task/baseType", "projecttask") && row["duration"].as_i64() > Some(3600)
        }),
        ("user/firstName eq 'annika'", &|row| is(row, "/user/firstName", "Annika")),
        ("userId eq null", &|row| row["userId"].is_null()),
    ];
    for (filter, test) in cases {
        let response =
            list(&sandbox, "/timeentries", &[("filterby", filter), ("pageSize", "1000")]);
        let expected: Vec<Value> = all.iter().filter(|row| test(row)).cloned().collect();
        assert!(!expected.is_empty(), "{filter}");
        assert_eq!(response.header("aw-totalitems"), Some(expected.len().to_string().as_str()));
        assert_eq!(ids(&response.rows()), ids(&expected), "{filter}");
    }
    let tagged = "tags/any(t: t/name in ('Draft','bug'))";
    let rows =
        list(&sandbox, "/me/allavailabletasks", &[("filterby", tagged), ("pageSize", "1000")]);
    let expected = sandbox.rows("tasks", &[]).into_iter().filter(|row| {
        let tags = row["tags"].as_array().cloned().unwrap_or_default();
        tags.iter().any(|tag| tag["name"] == "Draft" || tag["name"] == "bug")
    });
    assert_eq!(rows.rows().len(), expected.count());
}

/// Time entries and tasks are kept compactly, and read by the filter without making their JSON.
#[test]
fn filters_see_what_is_shown() {
    let sandbox = small();
    for (path, resource, names) in [
        (
            "/timeentries",
            "time_entries",
            &["note", "createdBy", "updatedBy", "typeOfWorkId", "duration", "timezone"][..],
        ),
        (
            "/me/allavailabletasks",
            "tasks",
            &["description", "order", "taskIdentifier", "createdBy", "parentId", "closedOn"],
        ),
    ] {
        let all = sandbox.rows(resource, &[]);
        for name in names {
            let shown = |row: &&Value| row[*name].is_string() || row[*name].is_number();
            let value = &all.iter().find(shown).unwrap_or_else(|| panic!("no {name}"))[*name];
            let literal = match (value, *name) {
                (Value::String(id), name) if name.ends_with("By") || name.ends_with("Id") => {
                    format!("guid'{id}'")
                }
                (Value::String(_), "closedOn") => "null".to_owned(),
                (Value::String(text), _) => {
                    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
                }
                (number, _) => number.to_string(),
            };
            let wanted = if literal == "null" { &Value::Null } else { value };
            let filter = format!("{name} eq {literal}");
            let found = list(&sandbox, path, &[("filterby", &filter), ("pageSize", "1000")]).rows();
            let expected: Vec<Value> =
                all.iter().filter(|row| row[*name] == *wanted).cloned().collect();
            assert!(!expected.is_empty());
            assert_eq!(ids(&found), ids(&expected), "{filter}");
        }
    }
}

#[test]
fn wrong_filters_and_orders_are_refused() {
    let sandbox = small();
    for (name, value) in [
        ("filterby", "id eq 'x'"),
        ("filterby", "resourceVersion gt 1"),
        ("filterBy", "isBillable eq TRUE"),
        ("orderby", "nothing asc"),
        ("OrderBy", "createdOn, id"),
    ] {
        let response = list(&sandbox, "/timeentries", &[(name, value)]);
        assert_eq!(response.status, 400, "{value}");
        assert_eq!(response.code(), "invalid-filter-or-order");
        let names: Vec<String> =
            response.json().as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default();
        for name in ["code", "description", "link", "traceId", "details", "validationErrors"] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
    }
    assert!(sandbox.log().iter().all(|entry| entry.refusal.is_some()));
    let ignored = list(&sandbox, "/timeentries", &[("startDateUtc", "x"), ("select", "id")]);
    assert_eq!(ignored.status, 200);
}

#[test]
fn orders() {
    let sandbox = small();
    let ordered = |sandbox: &Sandbox, path: &str, order: &str| {
        list(sandbox, path, &[("orderby", order), ("pageSize", "1000")]).rows()
    };
    let created = instants(&ordered(&sandbox, "/timeentries", "createdOn,id"), "createdOn");
    let mut sorted = created.clone();
    sorted.sort_by_key(|text| text.trim_end_matches('Z').to_owned());
    assert_eq!(created, sorted);
    let nulls =
        |rows: &[Value]| -> Vec<bool> { rows.iter().map(|r| r["companyId"].is_null()).collect() };
    let first = nulls(&ordered(&sandbox, "/projects", "companyId"));
    assert!(first[0] && !first[first.len() - 1]);
    let last = nulls(&ordered(&sandbox, "/projects", "companyId desc"));
    assert!(!last[0] && last[last.len() - 1]);
    let other = start(Config { scale: 100, nulls_last: true, ..Config::default() });
    assert!(!nulls(&ordered(&other, "/projects", "companyId"))[0]);
    // Guids sort by their last group first, as SQL Server sorts them.
    let groups: Vec<String> =
        ids(&ordered(&sandbox, "/projects", "id")).iter().map(|id| id[24..].to_owned()).collect();
    assert!(groups.is_sorted());
    let names = instants(&ordered(&sandbox, "/projects", "name"), "name");
    let folded: Vec<String> =
        names.iter().map(|name| name.trim_end_matches(' ').to_lowercase()).collect();
    assert!(folded.is_sorted());
}

#[test]
fn parameters_select_rows() {
    let sandbox = small();
    let users = list(&sandbox, "/users", &[("pageSize", "1000")]).rows();
    let all = list(&sandbox, "/users", &[("pageSize", "1000"), ("showarchived", "true")]).rows();
    assert!(users.len() < all.len());
    assert!(users.iter().all(|user| user["isArchived"] == false));
    let teams = list(&sandbox, "/teams", &[]).rows();
    assert!(teams[0].get("userIds").is_none());
    let teams = list(&sandbox, "/teams", &[("includeUserIds", "true")]).rows();
    assert!(teams[0]["userIds"].is_array());
    for missing in ["userIds", "intervalStart", "intervalEnd", "roughPlanningFrom"] {
        let id = all[4]["id"].as_str().unwrap_or_default();
        let given = [
            ("userIds", id),
            ("intervalStart", "2026-10-01T00:00:00Z"),
            ("intervalEnd", "2026-10-14T00:00:00Z"),
            ("roughPlanningFrom", "14"),
        ];
        let complete = list(&sandbox, "/users/workload", &given).rows();
        assert_eq!(complete[0]["workloads"].as_array().map(Vec::len), Some(14));
        let rest: Vec<_> = given.into_iter().filter(|(name, _)| *name != missing).collect();
        let response = list(&sandbox, "/users/workload", &rest);
        assert_eq!(response.status, 400, "{missing}");
        assert_eq!(response.json()["validationErrors"][0]["property"], missing);
    }
    let nobody = "6e3ff5d1-0000-0000-0000-000000000000";
    let last = get(&sandbox, &format!("/api/v1/users/{nobody}/timeentries/last"));
    assert_eq!(last.status, 204);
    let missing = get(&sandbox, &format!("/api/v1/projects/{nobody}/members"));
    assert_eq!((missing.status, missing.code().as_str()), (404, "not-found"));
}

#[test]
fn limits() {
    let limit = RateLimit { per_second: 1000, per_minute: 3, retry_after: true };
    let sandbox = start(Config { scale: 60, rate_limit: Some(limit), ..Config::default() });
    for left in ["2", "1", "0"] {
        let response = list(&sandbox, "/projects", &[]);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("x-ratelimit-remaining-minute"), Some(left));
    }
    let response = list(&sandbox, "/projects", &[]);
    assert_eq!(response.status, 429);
    assert!(response.header("retry-after").is_some());
    assert!(response.header("ratelimit-reset").is_some());
}

#[test]
fn compression() {
    let sandbox = small();
    let key = format!("Bearer {KEY}");
    let headers = [("Authorization", key.as_str()), ("Accept-Encoding", "gzip")];
    let response = send(sandbox.address(), "GET", "/api/v1/projects", &headers, "");
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&response.body[..]).read_to_end(&mut plain).expect("gzip");
    assert_eq!(plain, get(&sandbox, "/api/v1/projects").body);
}

#[test]
fn changes_between_pages() {
    let sandbox = small();
    let before = sandbox.rows("time_entries", &[]);
    list(&sandbox, "/timeentries", &[("orderby", "createdOn"), ("pageSize", "100")]);
    let changed = sandbox
        .change(&Change {
            resource: "time_entries".into(),
            delete: vec![RowName::Place(0), RowName::Id(ids(&before)[5].clone())],
            insert: vec![serde_json::Map::default(); 3],
            update: vec![Update {
                row: RowName::Place(1),
                set: json!({"note": "changed"}).as_object().cloned().unwrap_or_default(),
            }],
            ..Change::default()
        })
        .expect("a change");
    assert_eq!(changed.deleted, [ids(&before)[0].clone(), ids(&before)[5].clone()]);
    let after = list(&sandbox, "/timeentries", &[("orderby", "createdOn"), ("pageSize", "1000")]);
    assert_eq!(after.header("aw-totalitems"), Some("601"));
    let rows = after.rows();
    let row = |id: &str| rows.iter().find(|row| row["id"] == id);
    assert!(changed.inserted.iter().all(|id| row(id).is_some()));
    assert!(changed.deleted.iter().all(|id| row(id).is_none()));
    assert_eq!(row(&changed.updated[0]).map(|row| row["note"].clone()), Some("changed".into()));
    let found = list(&sandbox, "/timeentries", &[("filterby", "note eq 'changed'")]);
    assert_eq!(ids(&found.rows()), changed.updated);
    let body = json!({"resource": "projects", "update": [{"row": 0, "set": {"name": "Neu"}}]});
    let over = send(sandbox.address(), "POST", "/_sandbox/changes", &[], &body.to_string());
    assert_eq!(over.status, 200);
    assert_eq!(sandbox.rows("projects", &[])[0]["name"], "Neu");
    let nothing = json!({"resource": "nothing"}).to_string();
    assert_eq!(send(sandbox.address(), "POST", "/_sandbox/changes", &[], &nothing).status, 400);
}

#[test]
fn control_calls() {
    let sandbox = small();
    let ask = |method: &str, path: &str| send(sandbox.address(), method, path, &[], "");
    assert_eq!(ask("GET", "/_sandbox/health").json()["status"], "ok");
    list(&sandbox, "/projects", &[("pageSize", "3")]);
    let log = ask("GET", "/_sandbox/log").json();
    assert_eq!(log[0]["path"], "/api/v1/projects");
    assert_eq!(log[0]["query"], json!([["pageSize", "3"]]));
    assert_eq!(log[0]["rows"], 3);
    assert_eq!(log[0]["gone"], false);
    assert!(log[0]["bytes"].as_u64() > Some(500));
    ask("DELETE", "/_sandbox/log");
    assert_eq!(ask("GET", "/_sandbox/log").json(), json!([]));
    assert_eq!(ask("GET", "/_sandbox/rows/types_of_work?showArchived=true").rows().len(), 8);
    assert!(ask("GET", "/_sandbox/parameters/project_members").status == 200);
    assert_eq!(ask("GET", "/_sandbox/nothing").status, 400);
}

#[test]
fn only_loopback() {
    let listen = "0.0.0.0:0".parse().expect("an address");
    assert!(Sandbox::start(Config { listen, scale: 10, ..Config::default() }).is_err());
    let secret = format!("{:?}", Identity::admin("a-secret"));
    assert!(!secret.contains("a-secret"), "{secret}");
}
