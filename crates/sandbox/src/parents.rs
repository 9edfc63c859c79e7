//! Finds parents that have rows, so that a test can ask each resource of the catalogue for
//! something that is there.

use serde_json::Value;

use crate::data::children;
use crate::data::fabric::table_of;
use crate::data::guid;
use crate::data::world::World;
use crate::engine::Engine;
use crate::list;
use crate::source::Found;

/// How many rows of a table are tried.
const TRIED: usize = 48;

/// Values for a parameter, given the path before it and the values chosen so far.
pub(crate) fn candidates(
    engine: &Engine,
    world: &World,
    before: &[&str],
    name: &str,
    chosen: &[(String, String)],
) -> Vec<String> {
    match name {
        "countryCode" => return vec!["DE".into()],
        "entityType" => return ["tasks", "projects", "users"].map(str::to_owned).to_vec(),
        "email" => return vec!["annika.2@agentur-nord.example".into()],
        _ => {}
    }
    // A path before the parameter that lists the parents is the best source.
    let parts = before.iter().map(|part| if part.starts_with('{') { "{}" } else { part });
    let template = format!("1/{}", parts.collect::<Vec<_>>().join("/").to_lowercase());
    if let Some(route) = engine.routes.list(&template) {
        let borrowed: Vec<(&str, &str)> =
            chosen.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        if let Some(Found::List(listing)) = engine.found(world, &route.resource.name, &borrowed) {
            let rows = listing.places.iter().take(TRIED);
            let rows = rows.filter_map(|place| list::row(world, &listing.kind, *place));
            let ids: Vec<String> = rows.filter_map(|row| id(&row)).collect();
            if !ids.is_empty() {
                return ids;
            }
        }
    }
    if name == "fileId" {
        let parent = chosen.last().and_then(|(_, id)| guid::parse(id));
        let files = parent.map(|parent| children::files(world, "", "entityId", parent));
        return files.unwrap_or_default().iter().filter_map(id).collect();
    }
    let table = match name {
        "projecttemplateId" => "project_templates",
        "tasktemplateId" => "task_templates",
        "absenceRegionId" => "absence_regions",
        "autopilotId" => "autopilots",
        _ => table_of(name).unwrap_or_default(),
    };
    match table {
        "tasks" => world.tasks.rows.iter().take(TRIED).map(|task| guid::show(task.id)).collect(),
        _ => world.table(table).rows.iter().take(TRIED).filter_map(id).collect(),
    }
}

fn id(row: &Value) -> Option<String> {
    row.get("id").and_then(Value::as_str).map(str::to_owned)
}
