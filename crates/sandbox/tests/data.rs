//! The invented data: every resource answers, fits its model, and refers to rows that exist.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use awork_api::catalogue::{Catalogue, Location, Resource, Type};
use awork_sandbox::{Config, Sandbox};
use common::{get, path, small, start};
use serde_json::Value;

const SYSTEM: &str = "01010001-0000-0000-0000-111111111111";

/// The rows of every resource.
fn everything(sandbox: &Sandbox) -> Vec<(&'static Resource, Vec<Value>)> {
    let resources = Catalogue::bundled().resources.iter();
    resources
        .map(|resource| {
            let values = sandbox.parameters(&resource.name);
            let values = values.unwrap_or_else(|| panic!("no rows of {}", resource.name));
            let pairs: Vec<(&str, &str)> =
                values.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            (resource, sandbox.rows(&resource.name, &pairs))
        })
        .collect()
}

fn fits(value: &Value, ty: &Type, nullable: bool, at: &str, wrong: &mut BTreeSet<String>) {
    if value.is_null() {
        if !nullable && !matches!(ty, Type::Model(_) | Type::Json) {
            wrong.insert(format!("{at} is null"));
        }
        return;
    }
    let text = value.as_str().unwrap_or_default();
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    let good = match ty {
        Type::Uuid => text.len() == 36 && text.matches('-').count() == 4,
        Type::Text => value.is_string(),
        Type::Boolean => value.is_boolean(),
        Type::Integer => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        Type::Bigint => value.is_i64(),
        Type::Double => value.is_number(),
        Type::Instant => digits(0..4) && text.get(10..11) == Some("T"),
        Type::LocalTimestamp => digits(0..4) && !text.ends_with('Z') && text.len() >= 19,
        Type::Date => digits(0..4) && text.len() == 10,
        Type::TimeOfDay => digits(0..2) && text.get(2..3) == Some(":"),
        Type::Json => true,
        Type::List(item) => {
            for element in value.as_array().into_iter().flatten() {
                fits(element, item, false, &format!("{at}[]"), wrong);
            }
            value.is_array()
        }
        Type::Model(name) => {
            let model = Catalogue::bundled().model(name).unwrap_or_else(|| panic!("no {name}"));
            for (property, inner) in value.as_object().into_iter().flatten() {
                match model.property(property) {
                    Some(p) => fits(inner, &p.ty, p.nullable, &format!("{name}.{property}"), wrong),
                    None => {
                        wrong.insert(format!("{at}: {name} has no \"{property}\""));
                    }
                }
            }
            value.is_object()
        }
    };
    if !good {
        wrong.insert(format!("{at} is no {ty}: {value}"));
    }
}

#[test]
fn every_resource_has_rows_that_fit_its_model() {
    let sandbox = small();
    let mut wrong = BTreeSet::new();
    for (resource, rows) in everything(&sandbox) {
        assert!(!rows.is_empty(), "{} is empty", resource.name);
        for row in &rows {
            fits(row, &resource.item, false, &resource.name, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_resource_answers() {
    let sandbox = small();
    for resource in &Catalogue::bundled().resources {
        let values = sandbox.parameters(&resource.name).unwrap_or_default();
        let internal: String =
            resource.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let key = format!("Bearer {}\r\n{internal}X-Test: 1", common::KEY);
        let path = path(resource, &values);
        let ask = |path: &str| {
            common::send(sandbox.address(), "GET", path, &[("Authorization", &key)], "")
        };
        let response = ask(&path);
        assert_eq!(response.status, 200, "{path}: {:?}", String::from_utf8_lossy(&response.body));
        assert_eq!(response.header("aw-totalitems").is_some(), resource.paged, "{path}");
    }
}

/// Which table a property refers to, told by its name alone and on purpose not by the
/// sandbox's own list.
fn target(property: &str) -> Option<&'static str> {
    Some(match property {
        "userId" | "createdBy" | "updatedBy" | "closedBy" | "userIds" | "assigneeIds"
        | "memberId" | "userIdValue" => "users",
        "projectId" | "projectIds" | "linkedProjectIds" => "projects",
        "taskId" | "predecessorId" | "successorId" => "tasks",
        "companyId" | "clientIdValue" => "companies",
        "typeOfWorkId" => "types_of_work",
        "projectTypeId" => "project_types",
        "projectStatusId" => "project_statuses",
        "workflowId" => "workflows",
        "projectRoleId" => "project_roles",
        "roleId" => "roles",
        "teamId" => "teams",
        "documentSpaceId" => "document_spaces",
        "customFieldDefinitionId" => "custom_field_definitions",
        "webhookId" => "webhooks",
        "projectTemplateId" => "project_templates",
        "regionId" => "absence_regions",
        _ => return None,
    })
}

fn references(
    value: &Value,
    known: &BTreeMap<&str, BTreeSet<String>>,
    at: &str,
    bad: &mut BTreeSet<String>,
) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, known, at, bad)),
        Value::Object(properties) => {
            for (name, inner) in properties {
                let ids: Vec<&str> = match inner {
                    Value::String(id) => vec![id],
                    Value::Array(ids) => ids.iter().filter_map(Value::as_str).collect(),
                    _ => vec![],
                };
                if let Some(table) = target(name) {
                    for id in ids {
                        let system = name == "updatedBy" && id == SYSTEM;
                        if !system && !known[table].contains(id) {
                            bad.insert(format!("{at}.{name} → {table} {id}"));
                        }
                    }
                }
                // A nested row agrees with the id beside it.
                let beside = properties.get(&format!("{name}Id")).and_then(Value::as_str);
                if let (Some(beside), Some(nested)) = (beside, inner.get("id"))
                    && nested != beside
                {
                    bad.insert(format!("{at}.{name} is not {beside}"));
                }
                references(inner, known, &format!("{at}.{name}"), bad);
            }
        }
        _ => {}
    }
}

#[test]
fn references_lead_to_rows() {
    let sandbox = small();
    let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let everyone = &[("showArchived", "true"), ("includeTrashedDocuments", "true")];
    for table in [
        "users",
        "projects",
        "tasks",
        "companies",
        "types_of_work",
        "project_types",
        "project_statuses",
        "workflows",
        "project_roles",
        "roles",
        "teams",
        "document_spaces",
        "custom_field_definitions",
        "webhooks",
        "project_templates",
        "absence_regions",
    ] {
        let rows = sandbox.rows(table, everyone);
        let ids = rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned));
        known.insert(table, ids.collect());
    }
    for user in known["users"].clone() {
        for row in sandbox.rows("user_private_tasks", &[("userId", &user)]) {
            let id = row["id"].as_str().unwrap_or_default().to_owned();
            known.get_mut("tasks").map(|tasks| tasks.insert(id));
        }
    }
    let mut bad = BTreeSet::new();
    for (resource, rows) in everything(&sandbox) {
        for row in &rows {
            references(row, &known, &resource.name, &mut bad);
        }
    }
    assert!(bad.is_empty(), "{:#?}", bad.iter().take(40).collect::<Vec<_>>());
}

#[test]
fn sums_agree_with_the_entries() {
    let sandbox = small();
    let mut projects: BTreeMap<String, i64> = BTreeMap::new();
    let mut tasks: BTreeMap<String, i64> = BTreeMap::new();
    for entry in sandbox.rows("time_entries", &[]) {
        let seconds = entry["duration"].as_i64().unwrap_or(0);
        for (sums, property) in [(&mut projects, "projectId"), (&mut tasks, "taskId")] {
            if let Some(id) = entry[property].as_str() {
                *sums.entry(id.to_owned()).or_default() += seconds;
            }
        }
    }
    for (resource, sums) in [("projects", projects), ("tasks", tasks)] {
        for row in sandbox.rows(resource, &[]) {
            let sum = sums.get(row["id"].as_str().unwrap_or_default()).copied().unwrap_or(0);
            assert_eq!(row["trackedDuration"], sum, "{resource}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let answers = |seed| {
        let sandbox = start(Config { scale: 600, seed, ..Config::default() });
        ["/timeentries", "/projects", "/users", "/me/allavailabletasks"]
            .map(|path| get(&sandbox, &format!("/api/v1{path}?pageSize=50")).body)
    };
    assert_eq!(answers(7), answers(7));
    assert_ne!(answers(7)[0], answers(8)[0]);
}

#[test]
fn the_entries_hold_what_is_hard() {
    let sandbox = start(Config { scale: 5_000, ..Config::default() });
    let rows = sandbox.rows("time_entries", &[]);
    let count = |test: &dyn Fn(&Value) -> bool| rows.iter().filter(|row| test(row)).count();
    let set = |row: &Value, name: &str| !row[name].is_null();
    assert_eq!(rows.len(), 5_000);
    assert!(count(&|row| set(row, "startTimeUtc") && !set(row, "endTimeUtc")) >= 3, "timers");
    assert!(count(&|row| !set(row, "startTimeUtc")) > 100, "mere durations");
    assert!(count(&|row| !set(row, "userId")) > 20, "deleted users");
    assert!(count(&|row| !set(row, "projectId")) > 50, "no project");
    assert!(count(&|row| row["breaks"].as_array().is_some_and(|b| !b.is_empty())) > 50, "breaks");
    assert!(
        count(&|row| set(row, "endDateLocal") && row["startDateLocal"] != row["endDateLocal"]) > 5
    );
    assert!(count(&|row| row["updatedBy"] == SYSTEM) > 50);
    assert!(count(&|row| row.get("note").is_some_and(Value::is_null)) > 50, "nulls shown");
    assert!(count(&|row| row.get("note").is_none()) > 50, "nulls left out");
    let ties: BTreeSet<&str> = rows.iter().filter_map(|row| row["createdOn"].as_str()).collect();
    assert!(ties.len() < rows.len(), "ties in createdOn");
    // Across the change of clocks the local times are further apart than the instants.
    let crossing = rows.iter().find(|row| {
        row["startDateLocal"] == "2026-03-29T00:00:00"
            && row["timezone"] == "Europe/Berlin"
            && row["startTimeLocal"] == "01:30:00"
    });
    let row = crossing.expect("an entry across the change of clocks");
    assert_eq!(row["endTimeLocal"], "04:30:00");
    assert_eq!(row["endTimeUtc"], "02:30:00");
}

#[test]
fn rows_fit_the_vendors_specification_where_it_is_present() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/api/openapi-v1.json");
    let Ok(text) = std::fs::read_to_string(file) else {
        println!("skipped: the optional vendor specification is not present");
        return;
    };
    let specification: Value = serde_json::from_str(&text).expect("JSON");
    let schemas = &specification["components"]["schemas"];
    let sandbox = small();
    let mut bad = BTreeSet::new();
    for (resource, rows) in everything(&sandbox) {
        let Type::Model(model) = &resource.item else { continue };
        if resource.version == 1 {
            for row in &rows {
                against(row, schemas, &schemas[model], model, &mut bad);
            }
        }
        let parameters = resource.parameters.iter();
        assert!(parameters.filter(|p| p.location == Location::Path).all(|p| p.required));
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

fn against(value: &Value, schemas: &Value, schema: &Value, at: &str, bad: &mut BTreeSet<String>) {
    let reference = schema["$ref"].as_str().or(schema["allOf"][0]["$ref"].as_str());
    if let Some(name) = reference.and_then(|r| r.rsplit('/').next()) {
        return against(value, schemas, &schemas[name], at, bad);
    }
    if value.is_null() {
        return;
    }
    match schema["type"].as_str() {
        Some("object") if schema["properties"].is_object() => {
            for (name, inner) in value.as_object().into_iter().flatten() {
                match schema["properties"].get(name) {
                    Some(property) => {
                        against(inner, schemas, property, &format!("{at}.{name}"), bad)
                    }
                    None => {
                        bad.insert(format!("{at} has no {name}"));
                    }
                }
            }
        }
        Some("array") => {
            for item in value.as_array().into_iter().flatten() {
                against(item, schemas, &schema["items"], &format!("{at}[]"), bad);
            }
        }
        Some("string") if !value.is_string() => {
            bad.insert(format!("{at} is no string: {value}"));
        }
        Some("string") if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) => {
            bad.insert(format!("{at} cannot be {value}"));
        }
        Some("integer") if !value.is_i64() => {
            bad.insert(format!("{at} is no integer: {value}"));
        }
        Some("number") if !value.is_number() => {
            bad.insert(format!("{at} is no number: {value}"));
        }
        Some("boolean") if !value.is_boolean() => {
            bad.insert(format!("{at} is no boolean: {value}"));
        }
        _ => {}
    }
}
