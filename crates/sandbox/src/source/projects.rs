//! What belongs to projects, tasks and workflows.

use super::times::time_entries;
use super::{
    Asked, Found, Kind, Listing, actions, array, checklist, counted, definitions, files, is,
    is_true, keeps, made, number, of, shows_archived, tags_of, tags_of_tasks, tasks, trashed,
};
use crate::data::entry_json::Shape;
use crate::data::fabric::{Object, part};
use crate::data::sizes::{PROJECT_STATUSES, TASK_STATUSES, WORKFLOWS};
use crate::data::world::World;
use crate::data::{business, children, guid, planning, words};

pub(super) fn of_projects(world: &World, asked: Asked<'_>, path: &str) -> Found {
    match path {
        "projects" => {
            return of(world, "projects", |row| asked.admin || !is_true(row, "isPrivate"));
        }
        "projects/tags" => return made(counted(world, "project_tags")),
        "projects/projecttasks/tags" => {
            let project = asked.query.get("projectid");
            let places = match project.map(|id| world.table("projects").place(id)) {
                Some(project) => world.tasks.of_project(project.unwrap_or(usize::MAX)),
                None => 0..world.tasks.private().start,
            };
            return made(tags_of_tasks(world, places));
        }
        _ => {}
    }
    let Some(project) = number(world, "projects", asked, 0) else { return Found::Missing };
    let row = &world.table("projects").rows[project];
    let id = world.id("projects", project);
    let text = guid::show(id);
    let numbered = |table: &'static str, first: usize, count: usize| {
        let places = (first as u32..(first + count) as u32).collect();
        Found::List(Listing { kind: Kind::Table(table), places })
    };
    let workflow = project % WORKFLOWS;
    match path {
        "projects/{}/activities" => made(children::activities(world, "project", row)),
        "projects/{}/automations" => made(children::automations(world, "projectId", id)),
        "projects/{}/automations/{}/actions" => actions(world, asked, "projectId", id),
        "projects/{}/autopilot" => Found::One(world.table("autopilots").rows[project].clone()),
        "projects/{}/comments" => made(children::comments(world, "projects", row, 2)),
        "projects/{}/customfielddefinitions" => made(definitions(world, project, asked.model)),
        "projects/{}/documents" => {
            of(world, "documents", |row| is(row, "projectId", &text) && keeps(row, asked))
        }
        "projects/{}/documents/trash" => {
            of(world, "documents", |row| is(row, "projectId", &text) && trashed(row))
        }
        "projects/{}/members" => made(array(row, "members")),
        "projects/{}/milestones" => numbered("milestones", project * 2, 2),
        "projects/{}/projectstatuses" => {
            numbered("project_statuses", workflow * PROJECT_STATUSES, PROJECT_STATUSES)
        }
        "projects/{}/taskstatuses" => {
            numbered("task_statuses", workflow * TASK_STATUSES, TASK_STATUSES)
        }
        "projects/{}/projecttasks" => tasks(world.tasks.of_project(project)),
        "projects/{}/projecttasks/{}/checklistitems" => checklist(world, asked, 1),
        "projects/{}/retainers" if business::is_retainer(project) => {
            made(vec![planning::retainer(world, project)])
        }
        "projects/{}/retainers" => made(Vec::new()),
        "projects/{}/tags" => tags_of(world, row, "project_tags"),
        "projects/{}/taskdependencies" => made(children::dependencies(world, project)),
        "projects/{}/tasklists" => {
            let first = project * words::TASK_LISTS.len();
            let count = words::TASK_LISTS.len() - usize::from(!shows_archived(asked));
            numbered("task_lists", first, count)
        }
        "projects/{}/tasklists/{}/tasks/{}" => {
            let list = number(world, "task_lists", asked, 1).map(|l| l as u32);
            let task = number(world, "tasks", asked, 2);
            match task.filter(|t| list.is_some() && world.tasks.rows[*t].list == list) {
                Some(task) => Found::One(world.task_row(task)),
                None => Found::Missing,
            }
        }
        "projects/{}/timeentries" => time_entries(world, asked, path, Shape::Full, Shape::Simple),
        "projects/{}/typeofwork" => of(world, "types_of_work", |row| !is_true(row, "isArchived")),
        _ => files(world, asked, path, "project", "projectId"),
    }
}

pub(super) fn of_tasks(world: &World, asked: Asked<'_>, path: &str) -> Found {
    if path == "tasks/tags" {
        return made(world.table("task_tags").rows.clone());
    }
    let Some(task) = number(world, "tasks", asked, 0) else { return Found::Missing };
    let row = world.task_row(task);
    match path {
        "tasks/{}/activities" => made(children::activities(world, "task", &row)),
        "tasks/{}/checklistitems" => checklist(world, asked, 0),
        "tasks/{}/comments" => {
            let count = world.tasks.rows[task].comments;
            made(children::comments(world, "tasks", &row, count.into()))
        }
        "tasks/{}/tags" => tags_of(world, &row, "task_tags"),
        "tasks/{}/recurrency" => Found::One(world.make(
            asked.model,
            part(world.tasks.rows[task].id, "again", 0),
            Object::new(),
        )),
        "tasks/{}/taskdependencies" => {
            let project = world.tasks.rows[task].project.map_or(usize::MAX, |p| p as usize);
            let id = guid::show(world.tasks.rows[task].id);
            let mut rows = children::dependencies(world, project);
            rows.retain(|row| is(row, "predecessorId", &id) || is(row, "successorId", &id));
            made(rows)
        }
        "tasks/{}/timeentries" => time_entries(world, asked, path, Shape::Full, Shape::Simple),
        _ => files(world, asked, path, "task", "taskId"),
    }
}

pub(super) fn of_workflows(world: &World, asked: Asked<'_>, path: &str) -> Found {
    if path == "workflows" {
        return of(world, "workflows", |row| shows_archived(asked) || !is_true(row, "isArchived"));
    }
    let Some(workflow) = number(world, "workflows", asked, 0) else { return Found::Missing };
    let id = world.id("workflows", workflow);
    let text = guid::show(id);
    match path {
        "workflows/{}/automations" => made(children::automations(world, "workflowId", id)),
        "workflows/{}/automations/{}/actions" => actions(world, asked, "workflowId", id),
        "workflows/{}/customfielddefinitions" => made(definitions(world, workflow, asked.model)),
        "workflows/{}/projectstatuses" => {
            of(world, "project_statuses", |row| is(row, "workflowId", &text))
        }
        "workflows/{}/taskstatuses" => {
            of(world, "task_statuses", |row| is(row, "workflowId", &text))
        }
        _ => Found::Missing,
    }
}
