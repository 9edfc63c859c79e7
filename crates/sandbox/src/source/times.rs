//! Time entries in all shapes of both versions of the API.

use super::{Asked, Found, Kind, Listing, number};
use crate::data::entries;
use crate::data::entry_json::Shape;
use crate::data::world::World;

/// The time entries that satisfy a test, newest first.
pub(super) fn time(world: &World, shape: Shape, test: impl Fn(&entries::Entry) -> bool) -> Found {
    let rows = world.entries.rows.iter().enumerate().rev();
    let places = rows.filter(|(_, entry)| test(entry)).map(|(i, _)| i as u32).collect();
    Found::List(Listing { kind: Kind::Entries(shape), places })
}

pub(super) fn time_entries(
    world: &World,
    asked: Asked<'_>,
    path: &str,
    full: Shape,
    simple: Shape,
) -> Found {
    let last = |user: Option<usize>| {
        let user = user.map(|u| u as u32);
        let rows = &world.entries.rows;
        match rows.iter().rev().find(|entry| Some(entry.user) == user) {
            Some(entry) => Found::One(world.entry_in(entry, full)),
            None => Found::Empty,
        }
    };
    match path {
        "timeentries" => time(world, full, |_| true),
        "timeentries/simplified" => time(world, simple, |_| true),
        "projects/{}/timeentries" => match number(world, "projects", asked, 0) {
            Some(project) => time(world, full, |entry| entry.project == project as u32),
            None => Found::Missing,
        },
        "tasks/{}/timeentries" => match number(world, "tasks", asked, 0) {
            Some(task) => time(world, full, |entry| entry.task == task as u32),
            None => Found::Missing,
        },
        "users/{}/timeentries/last" => last(number(world, "users", asked, 0)),
        "me/timeentries/last" => match asked.query.get("userid") {
            Some(id) => last(world.table("users").place(id)),
            // A key tracks no time itself; it is shown the newest entry.
            None => match world.entries.rows.last() {
                Some(entry) => Found::One(world.entry_in(entry, full)),
                None => Found::Empty,
            },
        },
        _ => Found::Missing,
    }
}
