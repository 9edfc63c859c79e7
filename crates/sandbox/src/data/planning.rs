//! What is planned: task lists, milestones, retainers, time bookings, task schedules.

use serde_json::{Value, json};

use super::clock::{self, DAY, HOUR};
use super::fabric::{object, part};
use super::guid;
use super::library::fill_table;
use super::people;
use super::sizes::TASK_LISTS;
use super::words;
use super::world::World;

/// Makes the tables of planning.
pub(crate) fn fill(world: &mut World) {
    let lists = world.sizes.projects * TASK_LISTS;
    let mut sums = vec![(0i64, 0i64); lists];
    for task in &world.tasks.rows {
        if let Some(list) = task.list {
            sums[list as usize].0 += i64::from(task.planned);
            sums[list as usize].1 += task.tracked;
        }
    }
    fill_table(world, "task_lists", "TaskList", lists, |_, i| {
        let (planned, tracked) = sums[i];
        json!({"name": words::TASK_LISTS[i % TASK_LISTS], "order": (i % TASK_LISTS) as f64,
               "plannedDuration": planned, "totalPlannedDuration": planned,
               "totalPlannedDurationWithHierarchy": planned, "trackedDuration": tracked,
               "isArchived": i % TASK_LISTS == 3, "isHiddenForConnectUsers": false})
    });
    let milestones = world.sizes.of_table("milestones");
    fill_table(world, "milestones", "ProjectMilestone", milestones, |world, i| {
        let project = world.id_text("projects", i / 2);
        let chance = &mut world.chance("milestones", i);
        json!({"name": (["Go-live 🚀", "Abnahme Kunde"][i % 2]),
               "dueDate": clock::instant(world.today() + chance.within(-100, 200) * DAY),
               "projectId": project, "project": world.row("projects", &project)})
    });
    let bookings = world.sizes.of_table("time_bookings");
    fill_table(world, "time_bookings", "TimeBooking", bookings, |world, i| {
        let chance = &mut world.chance("time_bookings", i);
        let from = world.now.div_euclid(DAY) + chance.within(-60, 60);
        let days = chance.within(1, 10);
        let project = (i % 6 != 5).then(|| chance.below(world.sizes.projects));
        json!({"userId": world.id_text("users", world.person(chance)),
               "projectId": project.map(|p| world.id_text("projects", p)),
               "startDate": clock::date(from), "endDate": clock::date(from + days - 1),
               "duration": days * chance.within(1, 8) * 3600,
               "description": if project.is_some() { Value::Null } else { "Intern".into() },
               "laneOrder": i % 3, "isAnonymized": null})
    });
    let schedules = world.sizes.of_table("task_schedules");
    fill_table(world, "task_schedules", "TaskSchedule", schedules, |world, i| {
        let chance = &mut world.chance("task_schedules", i);
        let start = world.today() + chance.within(-20, 20) * DAY + chance.within(7, 16) * HOUR;
        let hours = chance.within(1, 4);
        json!({"userId": world.id_text("users", world.person(chance)),
               "taskId": world.id_text("tasks", chance.below(world.sizes.tasks)),
               "startDate": clock::instant(start),
               "endDate": clock::instant(start + hours * HOUR),
               "plannedDuration": hours * 3600})
    });
    let rows = &world.table("task_schedules").rows;
    let ids = rows.iter().filter_map(|row| guid::parse(row.get("taskId")?.as_str()?));
    let places: Vec<usize> = ids.filter_map(|id| world.tasks.place(id)).collect();
    for place in places {
        world.tasks.rows[place].schedules += 1;
    }
}

/// The retainer of a project that has one, with a budget per month.
pub(crate) fn retainer(world: &World, project: usize) -> Value {
    let id = part(world.id("projects", project), "retainer", 0);
    let first = clock::days(2026, 7, 1);
    let budget = |month: i64| {
        let (from, to) = (clock::days(2026, 7 + month, 1), clock::days(2026, 8 + month, 1) - 1);
        json!({"id": guid::show(part(id, "budget", month as u64)), "timeBudget": 72_000,
               "trackedDuration": 3600 * (5 + month), "startDate": clock::instant(from * DAY),
               "endDate": clock::instant(to * DAY)})
    };
    let given = json!({
        "timeBudget": 72_000, "timezone": "Europe/Berlin", "retainerPeriod": "monthly",
        "startDate": clock::instant(first * DAY), "endDate": null,
        "projectId": world.id_text("projects", project),
        "retainerBudgets": (0..4).map(budget).collect::<Vec<_>>(),
    });
    world.make("Retainer", id, object(given))
}

/// The bookings of a user that overlap an interval of days.
fn bookings<'a>(
    world: &'a World,
    user: &'a str,
    from: i64,
    to: i64,
) -> impl Iterator<Item = &'a Value> {
    let day = |row: &Value, name: &str| {
        row.get(name).and_then(Value::as_str).and_then(clock::parse).map_or(0, |t| t / DAY)
    };
    world.table("time_bookings").rows.iter().filter(move |row| {
        row.get("userId").and_then(Value::as_str) == Some(user)
            && day(row, "startDate") <= to
            && day(row, "endDate") >= from
    })
}

/// The answer of `/users/timebookings` for a user; with `projects` only the bookings that
/// have a project.
pub(crate) fn bookings_of(world: &World, user: &str, from: i64, to: i64, projects: bool) -> Value {
    let has_project = |row: &&Value| row.get("projectId").is_some_and(|p| !p.is_null());
    let rows = bookings(world, user, from, to).filter(|row| !projects || has_project(row));
    json!({"userId": user, "timeBookings": rows.cloned().collect::<Vec<_>>()})
}

/// The answer of `/users/workload` for a user: a row per day with what the bookings take of
/// the capacity.
pub(crate) fn workload_of(
    world: &World,
    number: usize,
    from: i64,
    to: i64,
    details: bool,
) -> Value {
    let user = world.id_text("users", number);
    let day = |day: i64| {
        let capacity = people::capacity_on(number, clock::weekday(day));
        let mut booked = 0.0;
        let mut projects = Vec::new();
        for row in bookings(world, &user, day, day) {
            let at = |name: &str| {
                row.get(name).and_then(Value::as_str).and_then(clock::parse).unwrap_or(0) / DAY
            };
            let total = row.get("duration").and_then(Value::as_i64).unwrap_or(0);
            let share = total as f64 / (at("endDate") - at("startDate") + 1) as f64;
            booked += share;
            let project = row.get("projectId").and_then(Value::as_str);
            if let Some(project) = project.and_then(|id| world.row("projects", id)) {
                projects.push(json!({
                    "id": project.get("id"), "name": project.get("name"), "tasks": [],
                    "timeBookings": [{"id": row.get("id"), "description": null,
                        "duration": share as i64, "isAnonymized": false}],
                    "isAnonymized": false, "hasImage": project.get("hasImage"),
                    "company": project.get("company").filter(|c| !c.is_null())
                        .map(|c| world.trim_to(c, "WorkloadCompany")),
                }));
            }
        }
        json!({
            "date": clock::instant(day * DAY), "duration": booked,
            "userCapacity": capacity,
            "remainingUserCapacity": capacity - booked as i64,
            "projects": if details { projects.into() } else { Value::Null },
            "tasks": if details { json!([]) } else { Value::Null },
            "appointments": null, "calendarAbsences": null,
        })
    };
    json!({"userId": user, "workloads": (from..=to).map(day).collect::<Vec<_>>()})
}
