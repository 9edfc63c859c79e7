//! Time entries as JSON. Version 1 is written byte by byte, because a page of a thousand is
//! the unit of the benchmarks; the other shapes are made from it.

use serde_json::{Value, json};

use super::clock::{self, DAY, SECOND};
use super::entries::{Entry, NONE, flag};
use super::fabric::{Object, object};
use super::words::NOTES;
use super::world::World;
use super::{guid, people};

/// JSON that many entries share, rendered once.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    projects: Vec<Box<[u8]>>,
    users: Vec<Box<[u8]>>,
    types: Vec<Box<[u8]>>,
    /// All of a task but its project, open at the end.
    tasks: Vec<Box<[u8]>>,
    notes: Vec<Box<[u8]>>,
    user_ids: Vec<u128>,
    project_ids: Vec<u128>,
    type_ids: Vec<u128>,
}

/// The shapes in which time entries are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// `TimeTracking` of version 1.
    Full,
    /// `TimeEntry` of version 2.
    FullV2,
    /// `SimplifiedTimeTracking` of version 1.
    Simple,
    /// `SimplifiedTimeEntry` of version 2.
    SimpleV2,
}

fn bytes(value: &Value) -> Box<[u8]> {
    value.to_string().into_bytes().into_boxed_slice()
}

impl Fragments {
    /// Renders the rows that entries nest.
    pub(crate) fn of(world: &World) -> Fragments {
        let trimmed = |table: &str, model: &str| -> Vec<Box<[u8]>> {
            let rows = &world.table(table).rows;
            rows.iter().map(|row| bytes(&world.trim_to(row, model))).collect()
        };
        let ids = |table: &str, count: usize| -> Vec<u128> {
            (0..count).map(|i| world.id(table, i)).collect()
        };
        Fragments {
            projects: trimmed("projects", "ProjectModelForTimeTrackings"),
            users: trimmed("users", "UserModelForTimeTrackings"),
            types: trimmed("types_of_work", "NestedTypeModel"),
            tasks: (0..world.tasks.rows.len()).map(|i| task(world, i)).collect(),
            notes: NOTES.iter().map(|note| bytes(&json!(note))).collect(),
            user_ids: ids("users", world.sizes.users),
            project_ids: ids("projects", world.sizes.projects),
            type_ids: ids("types_of_work", world.sizes.of_table("types_of_work")),
        }
    }
}

fn task(world: &World, place: usize) -> Box<[u8]> {
    let task = &world.tasks.rows[place];
    let status = world.id_text("task_statuses", usize::from(task.status));
    let parent = task.parent.map(|p| &world.tasks.rows[p as usize]);
    let mut json = bytes(&json!({
        "id": guid::show(task.id),
        "name": world.task_name(task),
        "baseType": if task.project.is_some() { "projecttask" } else { "private" },
        "taskIdentifier": world.task_identifier(task),
        "taskStatusId": status,
        "taskStatus": world.row("task_statuses", &status)
            .map(|s| world.trim_to(s, "NestedTaskStatusModel")),
        "typeOfWorkId": world.id_text("types_of_work", usize::from(task.type_of_work)),
        "projectId": task.project.map(|p| world.id_text("projects", p as usize)),
        "plannedDuration": task.planned,
        "closedOn": task.closed.map(clock::instant),
        "createdBy": world.id_text("users", task.created_by as usize),
        "correlationId": guid::show(parent.map_or(task.id, |p| p.id)),
        "parentId": parent.map(|p| guid::show(p.id)),
        "parentTask": parent.map(|p| json!({"id": guid::show(p.id), "name": world.task_name(p)})),
    }))
    .into_vec();
    json.pop();
    json.extend_from_slice(b",\"project\":");
    json.into_boxed_slice()
}

/// Writes one object's properties, leaving nulls out where the row does so.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    nulls: bool,
}

impl Writer<'_> {
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name).extend_from_slice(json);
    }

    fn null(&mut self, name: &str) {
        if self.nulls {
            self.raw(name, b"null");
        }
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.raw(name, if value { b"true" } else { b"false" });
    }

    fn number(&mut self, name: &str, value: i64) {
        let out = self.name(name);
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            out.push(b'-');
        }
        out.extend_from_slice(&digits[at..]);
    }

    fn quoted(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let out = self.name(name);
        out.push(b'"');
        write(out);
        out.push(b'"');
    }

    fn id(&mut self, name: &str, id: u128) {
        self.quoted(name, |out| guid::write(out, id));
    }

    fn instant(&mut self, name: &str, at: i64) {
        self.quoted(name, |out| {
            clock::write_stamp(out, at);
            out.push(b'Z');
        });
    }

    /// Midnight of the day that `at` falls on.
    fn day(&mut self, name: &str, at: i64, zone: &[u8]) {
        self.quoted(name, |out| {
            clock::write_date(out, at.div_euclid(DAY));
            out.extend_from_slice(b"T00:00:00");
            out.extend_from_slice(zone);
        });
    }

    fn time(&mut self, name: &str, at: i64) {
        self.quoted(name, |out| clock::write_time(out, at.rem_euclid(DAY)));
    }
}

impl World {
    /// Appends a time entry in its version 1 shape.
    pub(crate) fn write_entry(&self, entry: &Entry, out: &mut Vec<u8>) {
        if !self.entries.changed.is_empty() && self.entries.changed.contains_key(&entry.id) {
            out.extend_from_slice(self.entry_row(entry).to_string().as_bytes());
            return;
        }
        self.write_plain(entry, out);
    }

    fn write_plain(&self, entry: &Entry, out: &mut Vec<u8>) {
        let shared = &self.entries.fragments;
        out.extend_from_slice(b"{\"id\":\"");
        guid::write(out, entry.id);
        out.push(b'"');
        let mut w = Writer { out, nulls: entry.has(flag::SHOWS_NULLS) };
        w.flag("isBillable", entry.has(flag::BILLABLE));
        w.flag("isBilled", entry.has(flag::BILLED));
        match shared.project_ids.get(entry.project as usize) {
            Some(id) => w.id("projectId", *id),
            None => w.null("projectId"),
        }
        match self.tasks.rows.get(entry.task as usize) {
            Some(task) => w.id("taskId", task.id),
            None => w.null("taskId"),
        }
        match shared.notes.get(usize::from(entry.note).wrapping_sub(1)) {
            Some(note) => w.raw("note", note),
            None => w.null("note"),
        }
        let timed = !entry.has(flag::DATE_ONLY);
        w.day("startDateUtc", entry.start, b"Z");
        w.day("startDateLocal", entry.start_local(), b"");
        if timed {
            w.time("startTimeUtc", entry.start);
            w.time("startTimeLocal", entry.start_local());
        } else {
            w.null("startTimeUtc");
            w.null("startTimeLocal");
        }
        match (entry.end(), entry.end_local()) {
            (Some(utc), Some(local)) => {
                w.day("endDateUtc", utc, b"Z");
                w.time("endTimeUtc", utc);
                w.day("endDateLocal", local, b"");
                w.time("endTimeLocal", local);
            }
            _ => {
                for name in ["endDateUtc", "endTimeUtc", "endDateLocal", "endTimeLocal"] {
                    w.null(name);
                }
            }
        }
        w.raw("timezone", b"\"");
        w.out.extend_from_slice(clock::ZONES[usize::from(entry.zone)].as_bytes());
        w.out.push(b'"');
        w.number("duration", i64::from(entry.seconds));
        w.number("breakDuration", i64::from(entry.break_seconds));
        let type_id = shared.type_ids.get(usize::from(entry.type_of_work));
        w.id("typeOfWorkId", type_id.copied().unwrap_or_default());
        let user = entry.user as usize;
        let user_id = shared.user_ids.get(user).copied().unwrap_or_default();
        w.id("createdBy", user_id);
        w.instant("createdOn", entry.created);
        let system = entry.has(flag::BY_SYSTEM);
        w.id("updatedBy", if system { guid::SYSTEM_ACTOR } else { user_id });
        w.instant("updatedOn", entry.updated);
        if people::is_deleted(self, user) {
            w.null("userId");
            w.null("user");
        } else {
            w.id("userId", user_id);
            w.raw("user", &shared.users[user]);
        }
        w.raw("typeOfWork", &shared.types[usize::from(entry.type_of_work)]);
        let project = shared.projects.get(entry.project as usize);
        match project {
            Some(project) => w.raw("project", project),
            None => w.null("project"),
        }
        match shared.tasks.get(entry.task as usize) {
            Some(task) => {
                w.raw("task", task);
                w.out.extend_from_slice(project.map_or(&b"null"[..], |p| p));
                w.out.push(b'}');
            }
            None => w.null("task"),
        }
        write_breaks(&mut w, entry);
        let ticks = (entry.id >> 64) as i64 & 0x3f_ffff;
        w.number("resourceVersion", clock::version(entry.updated + ticks));
        w.flag("isExternal", false);
        out.push(b'}');
    }

    /// A time entry as version 1 shows it.
    pub(crate) fn entry_row(&self, entry: &Entry) -> Value {
        let mut out = Vec::with_capacity(2048);
        self.write_plain(entry, &mut out);
        let mut row: Value = serde_json::from_slice(&out).unwrap_or(Value::Null);
        if let (Value::Object(row), Some(set)) = (&mut row, self.entries.changed.get(&entry.id)) {
            row.extend(set.clone());
        }
        row
    }

    /// A time entry in one of its shapes.
    pub(crate) fn entry_in(&self, entry: &Entry, shape: Shape) -> Value {
        let full = self.entry_row(entry);
        let (model, fills) = match shape {
            Shape::Full => return full,
            Shape::FullV2 => ("V2.TimeEntry", self.version_2(entry)),
            Shape::Simple => ("SimplifiedTimeTracking", self.simple(entry, &full)),
            Shape::SimpleV2 => {
                let mut fills = self.version_2(entry);
                fills.extend(self.simple(entry, &full));
                ("V2.SimplifiedTimeEntry", fills)
            }
        };
        let Value::Object(mut row) = full else { return Value::Null };
        row.extend(fills);
        self.trim_to(&Value::Object(row), model)
    }

    fn version_2(&self, entry: &Entry) -> Object {
        object(json!({
            "isDateOnly": entry.has(flag::DATE_ONLY),
            "startDate": clock::instant(entry.start),
            "endDate": entry.end().map(clock::instant),
        }))
    }

    fn simple(&self, entry: &Entry, full: &Value) -> Object {
        let place = (entry.task != NONE).then_some(entry.task as usize);
        let task = place.map(|p| &self.tasks.rows[p]);
        let list = task.and_then(|t| t.list).map(|l| self.id_text("task_lists", l as usize));
        let list_row = list.as_deref().and_then(|id| self.row("task_lists", id));
        let mut shown = full.get("task").cloned().unwrap_or(Value::Null);
        if let Value::Object(shown) = &mut shown {
            shown.insert("entityId".into(), shown.get("projectId").cloned().unwrap_or(Value::Null));
            shown.insert("primaryTaskListId".into(), json!(list));
            let list = list_row.map(|row| json!({"id": row.get("id"), "name": row.get("name")}));
            shown.insert("primaryTaskList".into(), json!(list));
        }
        object(json!({"task": shown}))
    }
}

fn write_breaks(w: &mut Writer<'_>, entry: &Entry) {
    let open = entry.has(flag::OPEN_BREAK);
    if entry.break_seconds == 0 && !open {
        w.raw("breaks", b"[]");
        return;
    }
    let start = entry.start + i64::from(entry.seconds) / 2 * SECOND;
    w.raw("breaks", b"[{\"startDate\":\"");
    clock::write_stamp(w.out, start);
    w.out.extend_from_slice(b"Z\"");
    if open {
        w.null("duration");
        w.null("endDate");
    } else {
        w.number("duration", i64::from(entry.break_seconds));
        w.instant("endDate", start + i64::from(entry.break_seconds) * SECOND);
    }
    w.out.extend_from_slice(b"}]");
}
