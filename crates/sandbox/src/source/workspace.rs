//! Lists of the whole workspace that belong to nobody in particular.

use serde_json::{Value, json};

use super::{
    Asked, Found, array, files, is, is_set, is_true, made, number, of, shows_archived, tags_of,
    texts, without,
};
use crate::data::clock::{self, DAY};
use crate::data::fabric::{Object, object, part};
use crate::data::sizes::WORKFLOWS;
use crate::data::world::World;
use crate::data::{children, words};

pub(super) fn of_the_rest(world: &World, asked: Asked<'_>, path: &str) -> Found {
    let first = asked.arguments.first().map(String::as_str).unwrap_or_default();
    let archived = |row: &Value| shows_archived(asked) || !is_true(row, "isArchived");
    let all = |table: &'static str| of(world, table, |_| true);
    match path {
        "absences" => {
            let me = world.id_text("users", asked.me);
            of(world, "absences", |row| asked.admin || is(row, "userId", &me))
        }
        "workspaceabsences" => all("workspace_absences"),
        "absenceregions" => {
            let rows = &world.table("absence_regions").rows;
            made(rows.iter().map(|row| world.trim_to(row, asked.model)).collect())
        }
        "absenceregions/countries" => {
            let countries = [("AT", "Austria"), ("DE", "Germany"), ("GB", "United Kingdom")];
            made(countries.map(|(code, name)| json!({"code": code, "name": name})).to_vec())
        }
        "absenceregions/countries/{}/locations" => match first {
            "DE" => made(vec![
                json!({"code": "DE-HH", "name": "Hamburg"}),
                json!({"code": "DE-BY", "name": "Bayern"}),
            ]),
            "AT" => made(vec![json!({"code": "AT-9", "name": "Wien"})]),
            "GB" => made(vec![json!({"code": "GB-ENG", "name": "England"})]),
            _ => Found::Missing,
        },
        "absenceregions/{}" => one(world, "absence_regions", first),
        "autopilot/{}" => one(world, "autopilots", first),
        "workspaces/{}" => one(world, "workspaces", first),
        "accounts/me/authorizedclients" => {
            let rows = &world.table("client_applications").rows;
            let shown = rows.iter().map(|row| {
                let mut given = object(row.clone());
                given.insert("authorizedOn".into(), clock::instant(world.now - 90 * DAY).into());
                given.insert("scopes".into(), json!(["full_access"]));
                world.trim_to(&given.into(), asked.model)
            });
            made(shown.collect())
        }
        "apiusers" => all("api_users"),
        "automations/catalog" => Found::One(json!({
            "triggerTypes": ["task-created", "task-status-changed", "project-status-changed"],
            "actionTypes": ["tag-add-task", "task-set-assignee", "task-set-status"],
        })),
        "autopilot/availablealerts" => texts(&["due_soon", "overdue", "budget_exceeded"]),
        "clientapplications" => all("client_applications"),
        "companies" => all("companies"),
        "companies/industries" => texts(&words::INDUSTRIES),
        "companies/tags" => made(world.table("company_tags").rows.clone()),
        "companies/{}/contactinfo" => match world.row("companies", first) {
            Some(row) => made(array(row, "companyContactInfos")),
            None => Found::Missing,
        },
        "companies/{}/tags" => match world.row("companies", first) {
            Some(row) => tags_of(world, row, "company_tags"),
            None => Found::Missing,
        },
        "customfielddefinitions" => {
            let linked = asked.query.get("includelinkedprojectids") == Some("true");
            let rows = world.table("custom_fields").rows.iter().cloned();
            made(
                rows.map(|row| if linked { row } else { without(row, "linkedProjectIds") })
                    .collect(),
            )
        }
        "filters" => all("filters"),
        "filters/{}" => of(world, "filters", |row| is(row, "entityType", first)),
        "permissions/features" => texts(&words::FEATURES),
        "permissions/projectfeatures" => texts(&words::FEATURES[..3]),
        "projectmilestones" => all("milestones"),
        "projectroles" => {
            let members = asked.query.get("includemembers") == Some("true");
            let rows = world.table("project_roles").rows.iter().enumerate();
            made(rows.map(|(i, row)| project_role(world, i, row, members)).collect())
        }
        "projectroles/byuserid/{}" => match world.row("users", first) {
            Some(_) => made(world.table("project_roles").rows[..2].to_vec()),
            None => Found::Missing,
        },
        "projectroles/{}/permissions" => granted(world, asked, "project_roles"),
        "roles/{}/permissions" => granted(world, asked, "roles"),
        "projectstatuses" => of(world, "project_statuses", |row| {
            // The statuses of the archived workflow count as archived.
            let old = world.id_text("workflows", WORKFLOWS - 1);
            shows_archived(asked) || !is(row, "workflowId", &old)
        }),
        "projecttypes" => of(world, "project_types", archived),
        "projecttypes/icons" | "typeofwork/icons" => texts(&words::ICONS),
        "typeofwork" => of(world, "types_of_work", archived),
        "projecttimebookings" => of(world, "time_bookings", |row| is_set(row, "projectId")),
        "timebookings" => all("time_bookings"),
        "taskschedules" => all("task_schedules"),
        "teams" => {
            let mut rows = world.table("teams").rows.clone();
            for (parameter, property) in
                [("includeuserids", "userIds"), ("includeprojectids", "projectIds")]
            {
                if asked.query.get(parameter) != Some("true") {
                    rows = rows.into_iter().map(|row| without(row, property)).collect();
                }
            }
            made(rows)
        }
        "temporaryfiles" => all("temporary_files"),
        "timereports" => all("time_reports"),
        "timetracking/settings" => made(
            world
                .table("settings")
                .rows
                .iter()
                .map(|row| world.trim_to(row, asked.model))
                .collect(),
        ),
        "roles" => of(world, "roles", archived),
        "roles/{}/deactivatedmenuitems" => match world.row("roles", first) {
            Some(_) => texts(&["planner", "documents"]),
            None => Found::Missing,
        },
        "roles/users" => made(in_roles(world, |_| true)),
        "roles/{}/users" => match world.row("roles", first) {
            Some(_) => made(in_roles(world, |role| world.id_text("roles", role) == first)),
            None => Found::Missing,
        },
        "search" => Found::One(world.make(
            asked.model,
            part(world.id("workspaces", 0), asked.query.get("searchterm").unwrap_or(""), 0),
            object(json!({"top": []})),
        )),
        "webhooks" => all("webhooks"),
        "webhooks/eventtypes" => texts(&words::EVENT_TYPES),
        "webhooks/eventtypes/slack" => texts(&words::EVENT_TYPES[..4]),
        "webhooks/{}/logs" => match number(world, "webhooks", asked, 0) {
            Some(n) => made(children::webhook_logs(world, world.id("webhooks", n))),
            None => Found::Missing,
        },
        "workspaces/types" => texts(&["creative-agency", "consulting", "software", "other"]),
        _ if path.starts_with("companies/") && world.row("companies", first).is_some() => {
            files(world, asked, path, "company", "companyId")
        }
        _ if path.starts_with("workspaces/") && world.row("workspaces", first).is_some() => {
            files(world, asked, path, "workspace", "entityId")
        }
        _ => Found::Missing,
    }
}

pub(super) fn one(world: &World, table: &str, id: &str) -> Found {
    world.row(table, id).map_or(Found::Missing, |row| Found::One(row.clone()))
}

/// What a role may do.
pub(super) fn granted(world: &World, asked: Asked<'_>, table: &str) -> Found {
    match number(world, table, asked, 0) {
        Some(n) => made(children::generic(world, asked.model, world.id(table, n), &Object::new())),
        None => Found::Missing,
    }
}

/// A role in projects, with the members who have it where they are asked for.
pub(super) fn project_role(world: &World, role: usize, row: &Value, members: bool) -> Value {
    let id = world.id_text("project_roles", role);
    let projects = world.table("projects").rows.iter();
    let all =
        projects.flat_map(|p| p.get("members").and_then(Value::as_array).into_iter().flatten());
    let in_role: Vec<&Value> = all.filter(|member| is(member, "projectRoleId", &id)).collect();
    let mut shown = object(row.clone());
    shown.insert("memberCount".into(), in_role.len().into());
    shown.remove("members");
    if members {
        shown.insert("members".into(), json!(in_role));
    }
    shown.into()
}

/// Users with their role; the first key of the API is an admin.
pub(super) fn in_roles(world: &World, wanted: impl Fn(usize) -> bool) -> Vec<Value> {
    let users = world.table("users").rows.iter().enumerate();
    let with_role = users.map(|(i, row)| (i % world.sizes.of_table("roles"), row));
    with_role
        .filter(|(role, _)| wanted(*role))
        .map(|(role, row)| {
            json!({"userId": row.get("id"), "isDeactivated": row.get("isDeactivated"),
                   "roleId": world.id_text("roles", role)})
        })
        .collect()
}
