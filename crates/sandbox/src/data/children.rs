//! Rows that belong to a parent and are few: comments, files, checklist items, activities,
//! automations. They are made when asked for, from the parent's id.

use serde_json::{Value, json};

use super::clock;
use super::fabric::{Object, object, part};
use super::guid;
use super::seed::Chance;
use super::words::{MESSAGES, TASKS};
use super::world::World;

/// How many rows of a generic list a parent has.
fn few(parent: u128, kind: &str) -> u64 {
    1 + Chance::of_id(parent, kind).below(3) as u64
}

/// Rows of a model that say no more than whose they are.
pub(crate) fn generic(world: &World, model: &str, parent: u128, given: &Object) -> Vec<Value> {
    let row = |n| world.make(model, part(parent, model, n), given.clone());
    (0..few(parent, model)).map(row).collect()
}

/// The comments on a task, project or document.
pub(crate) fn comments(world: &World, kind: &str, parent: &Value, count: u64) -> Vec<Value> {
    let Some(id) = id_of(parent) else { return Vec::new() };
    let comment = |n: u64| {
        let chance = &mut Chance::of_id(id, &format!("comment {n}"));
        let user = world.id_text("users", world.person(chance));
        let message = *chance.pick(&MESSAGES);
        let name = json!({"id": parent.get("id"), "name": parent.get("name")});
        let project = match kind {
            "projects" => Some(name.clone()),
            _ => parent
                .get("project")
                .filter(|p| p.is_object())
                .map(|p| json!({"id": p.get("id"), "name": p.get("name")})),
        };
        let given = json!({
            "entityId": parent.get("id"), "entityType": kind, "entity": name,
            "project": project,
            "task": if kind == "tasks" { name.clone() } else { Value::Null },
            "document": if kind == "documents" { name.clone() } else { Value::Null },
            "createdBy": user, "userId": user, "agentId": null, "agentNameSnapshot": null,
            "message": message,
            "plainFormattedMessage": message,
            "formattedMessage": format!("<p>{message}</p>"),
            "inReplyToCommentId": null, "previews": [],
            "mentions": {"users": [], "agentIds": [], "everyUserHadPermissions": true},
            "reactions": if n == 0 { json!([{"userId": user, "emoji": "👍"}]) } else { json!([]) },
        });
        world.make("Comment", part(id, "comment", n), object(given))
    };
    (0..count).map(comment).collect()
}

/// The files of a parent; `property` holds its id.
pub(crate) fn files(world: &World, kind: &str, property: &str, parent: u128) -> Vec<Value> {
    let file = |n: u64| {
        let id = part(parent, "file", n);
        let mut given = object(super::library::unattached_file());
        given.insert("entityId".into(), guid::show(parent).into());
        given.insert("entityType".into(), kind.into());
        given.insert(property.into(), guid::show(parent).into());
        given.insert(
            "name".into(),
            ["Logo final_v3.png", "Größen & Maße.txt"][n as usize % 2].into(),
        );
        given.insert("fileVersions".into(), versions(world, id).into());
        if property == "taskId" {
            let project = world.shown("tasks", &guid::show(parent));
            let project = project.and_then(|t| t.get("projectId").cloned());
            given.insert("projectId".into(), project.unwrap_or(Value::Null));
        }
        world.make("FileInfo", id, given)
    };
    (0..2).map(file).collect()
}

/// The versions of a file.
pub(crate) fn versions(world: &World, file: u128) -> Vec<Value> {
    let version = |n: u64| {
        let given = json!({"fileInfoId": guid::show(file), "version": n as f64 + 1.0});
        world.make("FileVersion", part(file, "version", n), object(given))
    };
    (0..few(file, "versions")).map(version).collect()
}

/// The checklist of a task.
pub(crate) fn checklist(world: &World, task: usize) -> Vec<Value> {
    let task = &world.tasks.rows[task];
    let item = |n: u8| {
        let given = json!({
            "isDone": n < task.checklist_done,
            "name": TASKS[usize::from(n + task.tags) % TASKS.len()],
            "order": f64::from(n) + 0.25,
            "taskId": guid::show(task.id),
        });
        world.make("ChecklistItem", part(task.id, "checklist", n.into()), object(given))
    };
    (0..task.checklist).map(item).collect()
}

/// What happened to a task or project.
pub(crate) fn activities(world: &World, kind: &str, parent: &Value) -> Vec<Value> {
    let Some(id) = id_of(parent) else { return Vec::new() };
    let shown = json!({"id": parent.get("id"), "name": parent.get("name")});
    let project = if kind == "project" { parent.get("id") } else { parent.get("projectId") };
    let activity = |n: u64| {
        let chance = &mut Chance::of_id(id, &format!("activity {n}"));
        let user = world.id_text("users", world.person(chance));
        let given = json!({
            "entityType": kind, "entityId": parent.get("id"), "entity": shown,
            "createdBy": user, "updatedBy": user, "userId": user, "executingUserId": user,
            "triggeredByUserId": null, "agentId": null, "agentNameSnapshot": null,
            "originType": "human", "eventType": if n == 0 { "added" } else { "updated" },
            "threadId": null, "parentId": null,
            "projectId": project,
            "taskId": if kind == "task" { json!(parent.get("id")) } else { Value::Null },
        });
        world.make("ActivityModel", part(id, "activity", n), object(given))
    };
    (0..1 + few(id, "activities")).map(activity).collect()
}

/// The dependencies among a project's tasks: the first of each four waits for the next.
pub(crate) fn dependencies(world: &World, project: usize) -> Vec<Value> {
    let tasks = world.tasks.of_project(project);
    let pairs = tasks.clone().step_by(4).filter(|first| first + 1 < tasks.end);
    pairs
        .map(|first| {
            let (a, b) = (&world.tasks.rows[first], &world.tasks.rows[first + 1]);
            let given = json!({"predecessorId": guid::show(a.id), "successorId": guid::show(b.id)});
            world.make("TaskDependency", part(a.id, "dependency", 0), object(given))
        })
        .collect()
}

/// The automations of a project, workflow or template; `property` holds the parent's id.
pub(crate) fn automations(world: &World, property: &str, parent: u128) -> Vec<Value> {
    let automation = |n: u64| {
        let mut given = object(json!({
            "projectId": null, "projectTemplateId": null, "workflowId": null,
            "createdByAutomationIdFromWorkflow": null, "failed": null, "enabled": true,
        }));
        given.insert(property.into(), guid::show(parent).into());
        let id = part(parent, "automation", n);
        let action = |n| world.make("Action", part(id, "action", n), Object::new());
        given.insert("actions".into(), (0..2).map(action).collect());
        world.make("Automation", id, given)
    };
    (0..few(parent, "automations")).map(automation).collect()
}

/// The dependency among the first two templates of a bundle.
pub(crate) fn template_dependencies(world: &World, bundle: usize) -> Vec<Value> {
    let (a, b) =
        (world.id("task_templates", bundle * 4), world.id("task_templates", bundle * 4 + 1));
    let given = json!({
        "predecessorTemplateId": guid::show(a), "successorTemplateId": guid::show(b),
    });
    vec![world.make("TaskDependencyTemplate", part(a, "dependency", 0), object(given))]
}

/// The log of a webhook, newest first.
pub(crate) fn webhook_logs(world: &World, webhook: u128) -> Vec<Value> {
    let log = |n: u64| {
        let failed = n == 1;
        let given = json!({
            "webhookId": guid::show(webhook),
            "createdOn": clock::instant(world.now - n as i64 * clock::HOUR),
            "responseCode": if failed { 500 } else { 200 },
            "isSuccessful": !failed,
            "reason": if failed { json!("The receiver answered with 500.") } else { Value::Null },
        });
        world.make("WebhookLog", part(webhook, "log", n), object(given))
    };
    (0..3).map(log).collect()
}

/// The id of a row.
pub(crate) fn id_of(row: &Value) -> Option<u128> {
    row.get("id").and_then(Value::as_str).and_then(guid::parse)
}
