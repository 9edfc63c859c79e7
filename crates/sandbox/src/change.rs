//! Changes to the data while somebody reads it: rows go, come, or take other values.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Error;
use crate::data::clock;
use crate::data::world::World;
use crate::data::{entries, guid};
use crate::engine::Engine;
use crate::source::{Found, Kind};

/// Tables to whose rows time entries refer by their places.
const REFERRED: &[&str] = &["projects", "users", "types_of_work"];

/// A change to one resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// The resource's name, e.g. `time_entries`.
    pub resource: String,
    /// The parameters of its path.
    pub parameters: Map<String, Value>,
    /// Rows to delete.
    pub delete: Vec<RowName>,
    /// Rows to insert: these properties over an invented row; `{}` takes the invented one.
    pub insert: Vec<Map<String, Value>>,
    /// Rows to update.
    pub update: Vec<Update>,
}

/// A row by its place in the unfiltered, unordered list, or by its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RowName {
    /// Counted from 0.
    Place(usize),
    /// The value of `id`.
    Id(String),
}

/// New values for a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Which row.
    pub row: RowName,
    /// The properties and their values. `updatedOn` moves to the present unless given.
    pub set: Map<String, Value>,
}

/// What a change has done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The ids of the deleted rows.
    pub deleted: Vec<String>,
    /// The ids of the inserted rows.
    pub inserted: Vec<String>,
    /// The ids of the updated rows.
    pub updated: Vec<String>,
}

impl Engine {
    /// Applies a change.
    pub(crate) fn change(&self, change: &Change) -> Result<Changed, Error> {
        let mut world = self.world.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let parameters: Vec<(&str, &str)> = change
            .parameters
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        let Some(Found::List(listing)) = self.found(&world, &change.resource, &parameters) else {
            return Err(Error::Change(format!("there is no list \"{}\"", change.resource)));
        };
        let place = |world: &World, name: &RowName| -> Result<usize, Error> {
            let found = match name {
                RowName::Place(n) => listing.places.get(*n).map(|place| *place as usize),
                RowName::Id(id) => match &listing.kind {
                    Kind::Entries(_) => guid::parse(id).and_then(|id| world.entries.place(id)),
                    Kind::Table(table) => world.table(table).place(id),
                    _ => None,
                },
            };
            found.ok_or_else(|| Error::Change(format!("there is no row {name:?}")))
        };
        let deleted: Vec<usize> =
            change.delete.iter().map(|name| place(&world, name)).collect::<Result<_, _>>()?;
        let updated: Vec<(usize, &Map<String, Value>)> = change
            .update
            .iter()
            .map(|update| Ok((place(&world, &update.row)?, &update.set)))
            .collect::<Result<_, Error>>()?;
        let changed = match &listing.kind {
            Kind::Entries(_) => change_entries(&mut world, &deleted, &updated, &change.insert),
            Kind::Table(table) => {
                if !deleted.is_empty() && REFERRED.contains(&&**table) {
                    let why =
                        format!("rows of \"{}\" cannot go: time entries refer to them", table);
                    return Err(Error::Change(why));
                }
                change_table(&mut world, table, &deleted, &updated, &change.insert)
            }
            _ => {
                let why = format!("the rows of \"{}\" are not kept", change.resource);
                return Err(Error::Change(why));
            }
        };
        // While the world is locked, so that no page is cut from a list of before.
        self.forget();
        drop(world);
        Ok(changed)
    }
}

fn change_entries(
    world: &mut World,
    deleted: &[usize],
    updated: &[(usize, &Map<String, Value>)],
    inserted: &[Map<String, Value>],
) -> Changed {
    let mut changed = Changed::default();
    let now = world.now;
    for (place, set) in updated {
        let entry = &mut world.entries.rows[*place];
        if !set.contains_key("updatedOn") {
            entry.updated = now;
        }
        if let Some(seconds) = set.get("duration").and_then(Value::as_i64) {
            entry.seconds = seconds as i32;
        }
        let id = entry.id;
        world.entries.changed.entry(id).or_default().extend((*set).clone());
        changed.updated.push(guid::show(id));
    }
    for place in deleted {
        changed.deleted.push(guid::show(world.entries.rows[*place].id));
    }
    let mut place = 0;
    world.entries.rows.retain(|_| {
        place += 1;
        !deleted.contains(&(place - 1))
    });
    for set in inserted {
        let entry = entries::fresh(world, world.entries.made);
        world.entries.made += 1;
        changed.inserted.push(guid::show(entry.id));
        if !set.is_empty() {
            world.entries.changed.insert(entry.id, set.clone());
        }
        world.entries.rows.push(entry);
    }
    world.entries.index();
    world.recount();
    changed
}

fn change_table(
    world: &mut World,
    table: &'static str,
    deleted: &[usize],
    updated: &[(usize, &Map<String, Value>)],
    inserted: &[Map<String, Value>],
) -> Changed {
    let mut changed = Changed::default();
    let now = clock::instant(world.now);
    let count = world.table(table).rows.len();
    let fresh: Vec<Value> = inserted
        .iter()
        .enumerate()
        .map(|(n, set)| {
            let mut row = world.table(table).rows.last().cloned().unwrap_or_default();
            if let Value::Object(row) = &mut row {
                let id = world.id(&format!("inserted {table}"), count + n);
                row.insert("id".into(), guid::show(id).into());
                row.insert("createdOn".into(), now.clone().into());
                row.insert("updatedOn".into(), now.clone().into());
                row.extend(set.clone());
            }
            row
        })
        .collect();
    let id = |row: &Value| row.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(table) = world.table_mut(table) {
        table.change(|rows| {
            for (place, set) in updated {
                if let Value::Object(row) = &mut rows[*place] {
                    if row.contains_key("updatedOn") {
                        row.insert("updatedOn".into(), now.clone().into());
                    }
                    row.extend((*set).clone());
                }
                changed.updated.push(id(&rows[*place]));
            }
            changed.deleted = deleted.iter().map(|place| id(&rows[*place])).collect();
            let mut place = 0;
            rows.retain(|_| {
                place += 1;
                !deleted.contains(&(place - 1))
            });
            changed.inserted = fresh.iter().map(id).collect();
            rows.extend(fresh);
        });
    }
    changed
}

impl World {
    /// Sums up the tracked time anew.
    pub(crate) fn recount(&mut self) {
        let tracked = self.entries.tracked_by_task(self.tasks.rows.len());
        let mut lists = vec![0; self.table("task_lists").rows.len()];
        for (task, seconds) in self.tasks.rows.iter_mut().zip(tracked) {
            task.tracked = seconds;
            if let Some(sum) = task.list.and_then(|list| lists.get_mut(list as usize)) {
                *sum += seconds;
            }
        }
        let projects = self.entries.tracked_by_project(self.sizes.projects);
        for (table, sums) in [("projects", projects), ("task_lists", lists)] {
            if let Some(table) = self.table_mut(table) {
                let rows = table.rows.iter_mut().filter_map(Value::as_object_mut);
                for (row, sum) in rows.zip(sums) {
                    row.insert("trackedDuration".into(), sum.into());
                }
            }
        }
    }
}
