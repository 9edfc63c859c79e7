//! Reads values from rows of every kind: JSON, compact tasks, compact time entries.

use std::borrow::Cow;

use awork_api::catalogue::Type;
use serde_json::Value;

use super::check::{Path, Step};
use crate::data::clock::{self, DAY, Ticks};
use crate::data::entries::{Entry, flag};
use crate::data::entry_json::Shape;
use crate::data::tasks::Task;
use crate::data::words::NOTES;
use crate::data::world::World;
use crate::data::{guid, people};

/// A row or an object within one.
#[derive(Debug, Clone)]
pub(crate) enum Node<'a> {
    Json(Cow<'a, Value>),
    /// By its place among all tasks.
    Task(usize),
    Entry(&'a Entry, Shape),
}

/// A single value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Whole(i64),
    Number(f64),
    Text(Cow<'a, str>),
    Guid(u128),
    At(Ticks),
    /// Something that is there and cannot be compared.
    Present,
}

/// What a step leads to.
enum Found<'a> {
    Cell(Cell<'a>),
    Node(Node<'a>),
    Json(Cow<'a, Value>),
    /// The whole rows that a list refers to.
    Rows(Vec<&'a Value>),
}

impl<'a> Node<'a> {
    /// The value at the end of a path.
    pub(crate) fn cell(&self, world: &'a World, path: &Path) -> Cell<'a> {
        match self.walk(world, &path.steps) {
            Some(Found::Cell(cell)) => cell,
            Some(Found::Node(_) | Found::Rows(_)) => Cell::Present,
            Some(Found::Json(value)) => cell_of(value, &path.ty),
            None => Cell::Null,
        }
    }

    /// The items of the list at the end of a path.
    pub(crate) fn items(&self, world: &'a World, path: &Path) -> Vec<Node<'a>> {
        match self.walk(world, &path.steps) {
            Some(Found::Rows(rows)) => {
                rows.into_iter().map(|row| Node::Json(Cow::Borrowed(row))).collect()
            }
            Some(Found::Json(Cow::Borrowed(Value::Array(items)))) => {
                items.iter().map(|item| Node::Json(Cow::Borrowed(item))).collect()
            }
            Some(Found::Json(Cow::Owned(Value::Array(items)))) => {
                items.into_iter().map(|item| Node::Json(Cow::Owned(item))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn walk(&self, world: &'a World, steps: &[Step]) -> Option<Found<'a>> {
        let (last, before) = steps.split_last()?;
        let mut node = Cow::Borrowed(self);
        for step in before {
            let next = match node.step(world, step)? {
                Found::Node(next) => next,
                Found::Json(value) if !value.is_null() => Node::Json(value),
                _ => return None,
            };
            node = Cow::Owned(next);
        }
        node.step(world, last)
    }

    fn step(&self, world: &'a World, step: &Step) -> Option<Found<'a>> {
        match self {
            Node::Json(Cow::Borrowed(row)) => {
                if let Some((table, key)) = &step.via {
                    return whole(world, table, row.get(key)?.as_str()?);
                }
                row.get(&step.name).map(|value| Found::Json(Cow::Borrowed(value)))
            }
            Node::Json(Cow::Owned(row)) => {
                if let Some((table, key)) = &step.via {
                    return whole(world, table, row.get(key)?.as_str()?);
                }
                row.get(&step.name).map(|value| Found::Json(Cow::Owned(value.clone())))
            }
            Node::Task(place) => task(world, *place, step),
            Node::Entry(entry, shape) => {
                if !world.entries.changed.is_empty()
                    && world.entries.changed.contains_key(&entry.id)
                {
                    let row = Node::Json(Cow::Owned(world.entry_in(entry, *shape)));
                    return row.step(world, step);
                }
                self::entry(world, entry, *shape, step)
            }
        }
    }
}

/// The whole row that a reference names.
fn whole<'a>(world: &'a World, table: &str, id: &str) -> Option<Found<'a>> {
    if table == "tasks" {
        return world.tasks.place(guid::parse(id)?).map(|place| Found::Node(Node::Task(place)));
    }
    world.row(table, id).map(|row| Found::Node(Node::Json(Cow::Borrowed(row))))
}

fn at(value: Option<Ticks>) -> Found<'static> {
    Found::Cell(value.map_or(Cell::Null, Cell::At))
}

fn task<'a>(world: &'a World, place: usize, step: &Step) -> Option<Found<'a>> {
    let task: &'a Task = world.tasks.rows.get(place)?;
    let numbered = |table: &str, number: usize| {
        let row = world.row(table, &world.id_text(table, number))?;
        Some(Found::Node(Node::Json(Cow::Borrowed(row))))
    };
    let id = |table: &str, number: usize| Found::Cell(Cell::Guid(world.id(table, number)));
    Some(match step.name.as_str() {
        "id" => Found::Cell(Cell::Guid(task.id)),
        "name" => Found::Cell(Cell::Text(world.task_name(task).into())),
        "baseType" => {
            let kind = if task.project.is_some() { "projecttask" } else { "private" };
            Found::Cell(Cell::Text(kind.into()))
        }
        "isPrio" => Found::Cell(Cell::Boolean(task.prio)),
        "plannedDuration" => Found::Cell(Cell::Whole(task.planned.into())),
        "startOn" => at(task.start_on),
        "dueOn" => at(task.due_on),
        "createdOn" => at(Some(task.created)),
        "updatedOn" => at(Some(task.updated)),
        "closedOn" => at(task.closed),
        "projectId" => id("projects", task.project? as usize),
        "project" => return numbered("projects", task.project? as usize),
        "taskStatusId" => id("task_statuses", task.status.into()),
        "taskStatus" => return numbered("task_statuses", task.status.into()),
        "typeOfWorkId" => id("types_of_work", task.type_of_work.into()),
        "typeOfWork" => return numbered("types_of_work", task.type_of_work.into()),
        "userId" => id("users", task.owner? as usize),
        "createdBy" => id("users", task.created_by as usize),
        "description" => {
            Found::Cell(world.task_drawn(task).1.map_or(Cell::Null, |text| Cell::Text(text.into())))
        }
        "order" => Found::Cell(Cell::Number(world.task_drawn(task).0)),
        "taskIdentifier" => {
            let key = world.task_identifier(task);
            Found::Cell(key.map_or(Cell::Null, |key| Cell::Text(key.into())))
        }
        "tags" => Found::Rows(world.task_tags(task).collect()),
        "assignees" => Found::Json(Cow::Owned(world.assignees(task).into())),
        "lists" => {
            let order = world.task_drawn(task).0;
            Found::Json(Cow::Owned(world.task_lists(task, order).into()))
        }
        "parentId" => Found::Cell(Cell::Guid(world.tasks.rows[task.parent? as usize].id)),
        name => Found::Json(Cow::Owned(world.task_row(place).get_mut(name)?.take())),
    })
}

fn entry<'a>(world: &'a World, entry: &'a Entry, shape: Shape, step: &Step) -> Option<Found<'a>> {
    let day = |at: Ticks| Found::Cell(Cell::At(at.div_euclid(DAY) * DAY));
    let timed = || (!entry.has(flag::DATE_ONLY)).then_some(Found::Cell(Cell::Present));
    let known_user = !people::is_deleted(world, entry.user as usize);
    let row = |table: &str, number: u32| {
        let row = world.table(table).rows.get(number as usize)?;
        Some(Found::Node(Node::Json(Cow::Borrowed(row))))
    };
    let id = |table: &str, number: usize| Found::Cell(Cell::Guid(world.id(table, number)));
    Some(match step.name.as_str() {
        "id" => Found::Cell(Cell::Guid(entry.id)),
        "isBillable" => Found::Cell(Cell::Boolean(entry.has(flag::BILLABLE))),
        "isBilled" => Found::Cell(Cell::Boolean(entry.has(flag::BILLED))),
        "isDateOnly" => Found::Cell(Cell::Boolean(entry.has(flag::DATE_ONLY))),
        "duration" => Found::Cell(Cell::Whole(entry.seconds.into())),
        "breakDuration" => Found::Cell(Cell::Whole(entry.break_seconds.into())),
        "createdOn" => at(Some(entry.created)),
        "updatedOn" => at(Some(entry.updated)),
        "startDate" => at(Some(entry.start)),
        "endDate" => at(entry.end()),
        "startDateUtc" => day(entry.start),
        "startDateLocal" => day(entry.start_local()),
        "startTimeUtc" | "startTimeLocal" => {
            timed()?;
            // The order of times of day needs the value; filters only ask for its presence.
            let at = if step.name == "startTimeUtc" { entry.start } else { entry.start_local() };
            Found::Cell(Cell::At(at.rem_euclid(DAY)))
        }
        "endDateUtc" => day(entry.end()?),
        "endDateLocal" => day(entry.end_local()?),
        "endTimeUtc" => Found::Cell(Cell::At(entry.end()?.rem_euclid(DAY))),
        "endTimeLocal" => Found::Cell(Cell::At(entry.end_local()?.rem_euclid(DAY))),
        "timezone" => Found::Cell(Cell::Text(clock::ZONES[usize::from(entry.zone)].into())),
        "userId" if known_user => id("users", entry.user as usize),
        "user" if known_user => return row("users", entry.user),
        "userId" | "user" => return None,
        "createdBy" => id("users", entry.user as usize),
        "updatedBy" if entry.has(flag::BY_SYSTEM) => Found::Cell(Cell::Guid(guid::SYSTEM_ACTOR)),
        "updatedBy" => id("users", entry.user as usize),
        "note" => {
            let note = NOTES.get(usize::from(entry.note).wrapping_sub(1))?;
            Found::Cell(Cell::Text((*note).into()))
        }
        "projectId" => {
            let project = entry.project as usize;
            (project < world.sizes.projects).then(|| id("projects", project))?
        }
        "project" => return row("projects", entry.project),
        "taskId" => Found::Cell(Cell::Guid(world.tasks.rows.get(entry.task as usize)?.id)),
        "task" => {
            world.tasks.rows.get(entry.task as usize)?;
            Found::Node(Node::Task(entry.task as usize))
        }
        "typeOfWorkId" => id("types_of_work", entry.type_of_work.into()),
        "typeOfWork" => return row("types_of_work", entry.type_of_work.into()),
        name => Found::Json(Cow::Owned(world.entry_in(entry, shape).get_mut(name)?.take())),
    })
}

/// A JSON value read as what its type says.
fn cell_of<'a>(value: Cow<'a, Value>, ty: &Type) -> Cell<'a> {
    let text = |value: Cow<'a, Value>| match value {
        Cow::Borrowed(Value::String(text)) => Some(Cow::Borrowed(text.as_str())),
        Cow::Owned(Value::String(text)) => Some(Cow::Owned(text)),
        _ => None,
    };
    if value.is_null() {
        return Cell::Null;
    }
    let read = match ty {
        Type::Boolean => value.as_bool().map(Cell::Boolean),
        Type::Integer | Type::Bigint => value.as_i64().map(Cell::Whole),
        Type::Double => value.as_f64().map(Cell::Number),
        Type::Text => text(value).map(Cell::Text),
        Type::Uuid => value.as_str().and_then(guid::parse).map(Cell::Guid),
        Type::Instant | Type::LocalTimestamp | Type::Date => {
            value.as_str().and_then(clock::parse).map(Cell::At)
        }
        Type::TimeOfDay => {
            let time = value.as_str().map(|time| format!("1970-01-01T{time}"));
            time.and_then(|time| clock::parse(&time)).map(Cell::At)
        }
        Type::Json | Type::Model(_) | Type::List(_) => Some(Cell::Present),
    };
    read.unwrap_or(Cell::Null)
}
