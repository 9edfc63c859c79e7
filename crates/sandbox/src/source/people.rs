//! What belongs to the caller and to other users: tasks, documents, filters, capacity.

use serde_json::{Value, json};

use super::times::time_entries;
use super::{
    Asked, Found, array, checklist, counted, files, is, is_set, is_true, keeps, made, number, of,
    private_statuses, shows_archived, tags_of, tags_of_tasks, tasks, trashed, without,
};
use crate::data::clock::{self, DAY};
use crate::data::entry_json::Shape;
use crate::data::fabric::object;
use crate::data::world::World;
use crate::data::{business, guid, people, planning, words};

pub(super) fn of_me(world: &World, asked: Asked<'_>, path: &str) -> Found {
    let me = asked.me;
    let id = world.id_text("users", me);
    let own = |row: &Value| is(row, "userId", &id);
    let kind = asked.arguments.first().map(String::as_str).unwrap_or_default();
    match path {
        "me" => Found::One(myself(world, me)),
        "me/permissions" => Found::One(permissions(world, asked)),
        "me/allavailabletasks" => available(world, me),
        "me/projecttasks" => tasks(0..world.tasks.private().start),
        "me/assignedtasks" => assigned(world, asked, me),
        "me/privatetasks" => private(world, me, false),
        "me/otherprivatetasks" => private(world, me, true),
        "me/privatetasks/{}/checklistitems" | "me/otherprivatetasks/{}/checklistitems" => {
            checklist(world, asked, 0)
        }
        "me/privatetasks/tags" => made(counted(world, "task_tags")),
        "me/privatetasks/taskstatuses" => private_statuses(world),
        "me/tasks/tags" => made(tags_of_tasks(world, 0..world.tasks.rows.len())),
        "me/dashboards" => {
            let rows = world.table("dashboards").rows.iter().cloned();
            let widgets = asked.query.get("includewidgets").is_some_and(|v| v == "true");
            made(rows.map(|row| if widgets { row } else { without(row, "widgets") }).collect())
        }
        "me/filters" => of(world, "filters", own),
        "me/filters/{}" => of(world, "filters", |row| own(row) && is(row, "entityType", kind)),
        "me/sharedfilters" => of(world, "filters", |row| !own(row)),
        "me/sharedfilters/{}" => {
            of(world, "filters", |row| !own(row) && is(row, "entityType", kind))
        }
        "me/filters/{}/{}" => match world.row("filters", kind) {
            Some(_) => Found::One(json!({
                "items": [], "totalCount": 0, "pageNumber": 1, "pageSize": 10,
                "sortPropertyName": null, "sortOrder": 0, "nextCursor": null, "itemCount": 0,
            })),
            None => Found::Missing,
        },
        "me/privatedocuments" => {
            of(world, "documents", |row| is_true(row, "isPrivate") && keeps(row, asked))
        }
        "me/privatedocuments/trash" => {
            of(world, "documents", |row| is_true(row, "isPrivate") && trashed(row))
        }
        "me/shareddocuments" => {
            of(world, "documents", |row| is_set(row, "documentSpaceId") && keeps(row, asked))
        }
        _ => time_entries(world, asked, path, Shape::Full, Shape::Simple),
    }
}

/// The calling user with the workspace.
pub(super) fn myself(world: &World, me: usize) -> Value {
    let id = world.id("users", me);
    let mut given = world.row("users", &guid::show(id)).cloned().map(object).unwrap_or_default();
    given.insert("accountId".into(), Value::Null);
    let workspace = world.id_text("workspaces", 0);
    let url = "https://agentur-nord.example";
    let name = "Agentur Nord & Partner";
    given.insert("workspace".into(), json!({"id": workspace, "name": name, "url": url}));
    world.make("UserAndWorkspace", id, given)
}

pub(super) fn permissions(world: &World, asked: Asked<'_>) -> Value {
    let role = world.id_text("roles", if asked.admin { 0 } else { 3 });
    let levels = if asked.admin { json!(["read", "write"]) } else { json!(["read"]) };
    let feature = |feature: &&str| json!({"feature": feature, "accessLevels": levels});
    json!({
        "signature": "c2FuZGJveA==",
        "userPermission": {
            "userId": world.id_text("users", asked.me),
            "isAdmin": asked.admin, "isGuest": false, "isBlocked": false, "roleId": role,
            "permissions": words::FEATURES.iter().map(feature).collect::<Vec<_>>(),
            "projectRolesPermissions": [],
        },
    })
}

pub(super) fn of_users(world: &World, asked: Asked<'_>, path: &str) -> Found {
    match path {
        "users" => {
            let me = world.id_text("users", asked.me);
            return of(world, "users", |row| {
                (shows_archived(asked) || !is_true(row, "isArchived"))
                    && (asked.admin || is(row, "id", &me))
            });
        }
        "users/tags" => return made(world.table("user_tags").rows.clone()),
        "users/workload" | "users/timebookings" | "users/projecttimebookings" => {
            return intervals(world, asked, path);
        }
        "users/autofill/{}" => {
            let row = world.row("users", &world.id_text("users", 2)).cloned().unwrap_or(json!({}));
            return Found::One(world.trim_to(&row, asked.model));
        }
        "users/{}/timeentries/last" => {
            return time_entries(world, asked, path, Shape::Full, Shape::Simple);
        }
        _ => {}
    }
    let Some(user) = number(world, "users", asked, 0) else { return Found::Missing };
    let row = &world.table("users").rows[user];
    match path {
        "users/{}/allavailabletasks" => available(world, user),
        "users/{}/assignedtasks" => assigned(world, asked, user),
        "users/{}/privatetasks" => private(world, user, false),
        "users/{}/otherprivatetasks" => private(world, user, true),
        "users/{}/privatetasks/taskstatuses" => private_statuses(world),
        "users/{}/privatetasks/{}/checklistitems"
        | "users/{}/otherprivatetasks/{}/checklistitems" => checklist(world, asked, 1),
        "users/{}/capacity" => Found::One(people::capacity(world, user)),
        "users/{}/contactinfo" => made(array(row, "userContactInfos")),
        "users/{}/tags" => tags_of(world, row, "user_tags"),
        "users/{}/tasks/tags" => {
            let rows = world.tasks.rows.iter().enumerate();
            let mine = rows.filter(|(_, task)| task.assignees.contains(&(user as u32)));
            made(tags_of_tasks(world, mine.map(|(i, _)| i)))
        }
        _ => files(world, asked, path, "user", "userId"),
    }
}

/// The lists per user of an interval, all of whose parameters are required.
pub(super) fn intervals(world: &World, asked: Asked<'_>, path: &str) -> Found {
    let Some(users) = asked.query.get("userids").filter(|u| !u.is_empty()) else {
        return Found::Lacks("userIds");
    };
    let bound = |name: &str| asked.query.get(name).and_then(clock::parse).map(|at| at / DAY);
    let Some(from) = bound("intervalstart") else { return Found::Lacks("intervalStart") };
    let Some(to) = bound("intervalend") else { return Found::Lacks("intervalEnd") };
    let workload = path == "users/workload";
    if workload && asked.query.get("roughplanningfrom").is_none() {
        return Found::Lacks("roughPlanningFrom");
    }
    let details = asked.query.get("fetchdetails") == Some("true");
    let to = to.min(from + 3660);
    let users = users.split(',').filter_map(|id| world.table("users").place(id.trim()));
    let rows = users.map(|user| match workload {
        true => planning::workload_of(world, user, from, to, details),
        false => {
            let only_projects = path == "users/projecttimebookings";
            planning::bookings_of(world, &world.id_text("users", user), from, to, only_projects)
        }
    });
    made(rows.collect())
}

/// Tasks assigned to a user; with `inProgress` only those of running projects.
pub(super) fn assigned(world: &World, asked: Asked<'_>, user: usize) -> Found {
    let running = asked.query.get("inprogress").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let bound = |name: &str| asked.query.get(name).and_then(clock::parse);
    let (from, to) = (bound("assignedonfrom"), bound("assignedonto"));
    let rows = world.tasks.rows.iter().enumerate();
    tasks(
        rows.filter(move |(_, task)| {
            let runs = |p: u32| business::status_of(world, p as usize) == 1;
            task.project.is_some_and(|p| !running || runs(p))
                && task.assignees.contains(&(user as u32))
                && from.is_none_or(|from| task.updated >= from)
                && to.is_none_or(|to| task.updated <= to)
        })
        .map(|(i, _)| i),
    )
}

/// The project tasks, and the user's own private ones.
pub(super) fn available(world: &World, user: usize) -> Found {
    let own = world.tasks.private();
    let own = own.filter(move |i| world.tasks.rows[*i].owner == Some(user as u32));
    tasks((0..world.tasks.private().start).chain(own))
}

pub(super) fn private(world: &World, user: usize, given_away: bool) -> Found {
    let user = user as u32;
    tasks(world.tasks.private().filter(move |i| {
        let task = &world.tasks.rows[*i];
        if given_away {
            task.created_by == user && task.owner != Some(user)
        } else {
            task.owner == Some(user)
        }
    }))
}
