//! From a path of the catalogue to the rows behind it: which table, which of its rows, or
//! which rows made for a parent. Filter, order and pages come later.

mod documents;
mod people;
mod projects;
mod times;
mod workspace;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::data::entry_json::Shape;
use crate::data::sizes::{TASK_STATUSES, WORKFLOWS};
use crate::data::world::World;
use crate::data::{children, guid, library};
use crate::request::Query;

/// What a path answers with, before anything is filtered.
#[derive(Debug)]
pub(crate) enum Found {
    List(Listing),
    One(Value),
    /// 204.
    Empty,
    /// 404.
    Missing,
    /// 400: a parameter that the path cannot do without.
    Lacks(&'static str),
}

/// Rows by their places.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) kind: Kind,
    pub(crate) places: Vec<u32>,
}

/// Where the rows of a listing are kept.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Entries(Shape),
    Tasks,
    Table(&'static str),
    Made(Arc<Vec<Value>>),
}

/// A request's path as the sources see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The path with `{}` for each parameter, headed by the version: `1/projects/{}/members`.
    pub(crate) template: &'a str,
    /// The type of a row, by its model's name.
    pub(crate) model: &'a str,
    pub(crate) arguments: &'a [String],
    pub(crate) query: &'a Query,
    /// The number of the calling user.
    pub(crate) me: usize,
    /// Whether the caller sees everything.
    pub(crate) admin: bool,
    /// Whether archived and trashed rows count, as they do for a lookup by id.
    pub(crate) all: bool,
}

fn made(rows: Vec<Value>) -> Found {
    let places = (0..rows.len() as u32).collect();
    Found::List(Listing { kind: Kind::Made(Arc::new(rows)), places })
}

fn texts(words: &[&str]) -> Found {
    made(words.iter().map(|word| (*word).into()).collect())
}

/// The rows of a table that satisfy a test.
fn of(world: &World, table: &'static str, test: impl Fn(&Value) -> bool) -> Found {
    let rows = world.table(table).rows.iter().enumerate();
    let places = rows.filter(|(_, row)| test(row)).map(|(i, _)| i as u32).collect();
    Found::List(Listing { kind: Kind::Table(table), places })
}

fn is(row: &Value, property: &str, value: &str) -> bool {
    row.get(property).and_then(Value::as_str).is_some_and(|v| v.eq_ignore_ascii_case(value))
}

fn is_true(row: &Value, property: &str) -> bool {
    row.get(property).and_then(Value::as_bool) == Some(true)
}

fn is_set(row: &Value, property: &str) -> bool {
    row.get(property).is_some_and(|value| !value.is_null())
}

fn tasks(places: impl Iterator<Item = usize>) -> Found {
    Found::List(Listing { kind: Kind::Tasks, places: places.map(|p| p as u32).collect() })
}

/// What the path answers with.
pub(crate) fn find(world: &World, asked: Asked<'_>) -> Found {
    let (version, path) = asked.template.split_once('/').unwrap_or(("1", ""));
    if version == "2" {
        return times::time_entries(world, asked, path, Shape::FullV2, Shape::SimpleV2);
    }
    match path.split('/').next().unwrap_or_default() {
        "me" => people::of_me(world, asked, path),
        "users" => people::of_users(world, asked, path),
        "projects" => projects::of_projects(world, asked, path),
        "tasks" => projects::of_tasks(world, asked, path),
        "timeentries" => times::time_entries(world, asked, path, Shape::Full, Shape::Simple),
        "projecttemplates" | "tasktemplates" | "taskbundles" => {
            documents::of_templates(world, asked, path)
        }
        "workflows" => projects::of_workflows(world, asked, path),
        "documents" | "documentspaces" => documents::of_documents(world, asked, path),
        _ => workspace::of_the_rest(world, asked, path),
    }
}

/// The place of the row of a table that an argument names.
fn number(world: &World, table: &str, asked: Asked<'_>, argument: usize) -> Option<usize> {
    let id = asked.arguments.get(argument)?;
    match table {
        "tasks" => world.tasks.place(guid::parse(id)?),
        _ => world.table(table).place(id),
    }
}

fn array(row: &Value, property: &str) -> Vec<Value> {
    row.get(property).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn without(mut row: Value, property: &str) -> Value {
    if let Value::Object(row) = &mut row {
        row.remove(property);
    }
    row
}

/// Whether archived rows are shown.
fn shows_archived(asked: Asked<'_>) -> bool {
    asked.all || asked.query.get("showarchived").is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

fn trashed(row: &Value) -> bool {
    is_set(row, "movedToTrashOn")
}

/// Whether a document is shown: not in the trash unless asked for.
fn keeps(row: &Value, asked: Asked<'_>) -> bool {
    let wanted = asked.query.get("includetrasheddocuments") == Some("true");
    asked.all || wanted || !trashed(row)
}

fn checklist(world: &World, asked: Asked<'_>, argument: usize) -> Found {
    match number(world, "tasks", asked, argument) {
        Some(task) => made(children::checklist(world, task)),
        None => Found::Missing,
    }
}

/// The tags that a row nests, as whole rows.
fn tags_of(world: &World, row: &Value, table: &str) -> Found {
    let tags = row.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let ids = tags.iter().filter_map(|tag| tag.get("id").and_then(Value::as_str));
    made(ids.filter_map(|id| world.row(table, id).cloned()).collect())
}

/// Files of a parent in the first argument, and what belongs to them.
fn files(world: &World, asked: Asked<'_>, path: &str, kind: &str, property: &str) -> Found {
    let Some(parent) = asked.arguments.first().and_then(|id| guid::parse(id)) else {
        return Found::Missing;
    };
    let rest = path.split_once("/{}/").map_or("", |(_, rest)| rest);
    let files = children::files(world, kind, property, parent);
    let file = || {
        let id = asked.arguments.get(1)?;
        files.iter().find(|file| is(file, "id", id))
    };
    match (rest, file()) {
        ("files" | "allfiles", _) => made(files),
        ("files/{}", Some(file)) => Found::One(file.clone()),
        ("files/{}/versions", Some(file)) => made(array(file, "fileVersions")),
        ("files/{}/shareurl", Some(file)) => {
            let id = children::id_of(file).unwrap_or_default();
            Found::One(format!("https://files.example/share/{}", guid::show(id)).into())
        }
        _ => Found::Missing,
    }
}

fn actions(world: &World, asked: Asked<'_>, property: &str, parent: u128) -> Found {
    let automations = children::automations(world, property, parent);
    let id = asked.arguments.get(1).map(String::as_str).unwrap_or_default();
    match automations.iter().find(|row| is(row, "id", id)) {
        Some(row) => made(array(row, "actions")),
        None => Found::Missing,
    }
}

/// The custom fields that a project uses.
fn definitions(world: &World, project: usize, model: &str) -> Vec<Value> {
    let rows = world.table("custom_fields").rows.iter().enumerate();
    let linked = rows.filter(|(field, _)| library::is_linked(*field, project));
    linked.map(|(_, row)| world.trim_to(row, model)).collect()
}

fn private_statuses(world: &World) -> Found {
    let first = WORKFLOWS * TASK_STATUSES;
    made(world.table("task_statuses").rows[first..].to_vec())
}

/// Tags with the number of their uses.
fn counted(world: &World, table: &str) -> Vec<Value> {
    let rows = world.table(table).rows.iter().enumerate();
    rows.map(
        |(i, tag)| json!({"name": tag.get("name"), "color": tag.get("color"), "usageCount": i + 1}),
    )
    .collect()
}

/// The tags that some tasks carry.
fn tags_of_tasks(world: &World, places: impl Iterator<Item = usize>) -> Vec<Value> {
    let used = places.fold(0, |mask, i| mask | world.tasks.rows[i].tags);
    let tags = world.table("task_tags").rows.iter().enumerate();
    tags.filter(|(i, _)| used & (1 << i) != 0).map(|(_, tag)| tag.clone()).collect()
}
