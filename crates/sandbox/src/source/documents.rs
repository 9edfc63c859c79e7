//! Documents, their spaces, and the templates of projects and tasks.

use serde_json::{Value, json};

use super::{
    Asked, Found, actions, definitions, files, is, keeps, made, number, of, texts, trashed,
};
use crate::data::fabric::{Object, object, part};
use crate::data::sizes::WORKFLOWS;
use crate::data::world::World;
use crate::data::{children, guid, words};

pub(super) fn of_documents(world: &World, asked: Asked<'_>, path: &str) -> Found {
    match path {
        "documents" => return of(world, "documents", |row| keeps(row, asked)),
        "documentspaces" => return of(world, "document_spaces", |_| true),
        _ => {}
    }
    let id = asked.arguments.first().map(String::as_str).unwrap_or_default();
    if path.starts_with("documentspaces/") {
        if world.row("document_spaces", id).is_none() {
            return Found::Missing;
        }
        let inside = |row: &Value| is(row, "documentSpaceId", id);
        return match path {
            "documentspaces/{}/documents" => {
                of(world, "documents", |row| inside(row) && keeps(row, asked))
            }
            "documentspaces/{}/documents/trash" => {
                of(world, "documents", |row| inside(row) && trashed(row))
            }
            _ => match world.table("documents").rows.iter().find(|row| inside(row)) {
                Some(row) => Found::One(row.clone()),
                None => Found::Missing,
            },
        };
    }
    let Some(row) = world.row("documents", id) else { return Found::Missing };
    match path {
        "documents/{}/comments" => made(children::comments(world, "documents", row, 1)),
        "documents/{}/content" => {
            Found::One(format!("<h1>Briefing</h1>{}", words::DESCRIPTIONS[1]).into())
        }
        _ => files(world, asked, path, "document", "documentId"),
    }
}

pub(super) fn of_templates(world: &World, asked: Asked<'_>, path: &str) -> Found {
    match path {
        "projecttemplates" => return of(world, "project_templates", |_| true),
        "taskbundles" => return of(world, "task_bundles", |_| true),
        "taskbundles/icons" => return texts(&words::ICONS),
        "projecttemplates/tags" => return made(world.table("project_tags").rows.clone()),
        "tasktemplates/tags" => return made(world.table("task_tags").rows.clone()),
        _ => {}
    }
    let table = match path.split('/').next() {
        Some("projecttemplates") => "project_templates",
        Some("taskbundles") => "task_bundles",
        _ => "task_templates",
    };
    let Some(n) = number(world, table, asked, 0) else { return Found::Missing };
    let id = world.id(table, n);
    let text = guid::show(id);
    let some = |table: &str| made(world.table(table).rows[n % 3..n % 3 + 2].to_vec());
    let workflow = world.id_text("workflows", n % WORKFLOWS);
    let generic = |property: &str| {
        let given = object(json!({property: text}));
        made(children::generic(world, asked.model, id, &given))
    };
    let lists = || world.table("template_lists").rows[n * 2..n * 2 + 2].to_vec();
    let templates = || world.table("task_templates").rows[n * 4..n * 4 + 4].to_vec();
    match path {
        "projecttemplates/{}/automations" => {
            made(children::automations(world, "projectTemplateId", id))
        }
        "projecttemplates/{}/automations/{}/actions" => {
            actions(world, asked, "projectTemplateId", id)
        }
        "projecttemplates/{}/customfielddefinitions" => made(definitions(world, n, asked.model)),
        "projecttemplates/{}/milestones" => generic("projectTemplateId"),
        "projecttemplates/{}/projectstatuses" => {
            of(world, "project_statuses", |row| is(row, "workflowId", &workflow))
        }
        "projecttemplates/{}/taskstatuses" => {
            of(world, "task_statuses", |row| is(row, "workflowId", &workflow))
        }
        "projecttemplates/{}/tags" => some("project_tags"),
        "projecttemplates/{}/taskbundle" => {
            Found::One(json!({"taskBundleId": world.id_text("task_bundles", n)}))
        }
        "taskbundles/{}/taskdependencytemplates" => made(children::template_dependencies(world, n)),
        "taskbundles/{}/tasklisttemplates" => made(lists()),
        "taskbundles/{}/tasktemplates" => made(templates()),
        "taskbundles/{}/tasklisttemplates/{}/tasktemplates" => {
            let list = asked.arguments.get(1).map(String::as_str).unwrap_or_default();
            match lists().iter().position(|row| is(row, "id", list)) {
                Some(at) => made(templates()[at * 2..at * 2 + 2].to_vec()),
                None => Found::Missing,
            }
        }
        "tasktemplates/{}" => Found::One(world.table(table).rows[n].clone()),
        "tasktemplates/{}/checklistitemtemplates" => generic("taskTemplateId"),
        "tasktemplates/{}/recurrency" => {
            Found::One(world.make(asked.model, part(id, "again", 0), Object::new()))
        }
        "tasktemplates/{}/tags" => some("task_tags"),
        "tasktemplates/{}/taskdependencytemplates" => {
            made(children::template_dependencies(world, n / 4))
        }
        _ if table == "task_templates" => {
            files(world, asked, path, "tasktemplate", "taskTemplateId")
        }
        _ => files(world, asked, path, "projecttemplate", "projectTemplateId"),
    }
}
