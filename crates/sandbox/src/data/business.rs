//! Companies and projects: who pays, which workflow a project follows, who is in it, and how
//! much of its budget is used according to the time entries.

use serde_json::{Value, json};

use super::clock::{self, DAY};
use super::fabric::{object, part, ragged};
use super::guid;
use super::library;
use super::seed::Chance;
use super::sizes::{API_USERS, PROJECT_STATUSES as STATUSES, WORKFLOWS};
use super::words::{self, COMPANIES, PROJECTS};
use super::world::World;

/// Makes the companies; their counts of projects follow from [`company_of`].
pub(crate) fn fill_companies(world: &mut World) {
    let rows = (0..world.sizes.companies).map(|i| company(world, i)).collect();
    world.insert("companies", rows);
}

/// Makes the projects; the tasks and time entries must exist.
pub(crate) fn fill_projects(world: &mut World) {
    let tracked = world.entries.tracked_by_project(world.sizes.projects);
    let rows = (0..world.sizes.projects).map(|i| project(world, i, tracked[i])).collect();
    world.insert("projects", rows);
}

/// The company that a project is for; every ninth is for nobody.
pub(crate) fn company_of(world: &World, project: usize) -> Option<usize> {
    (project % 9 != 8).then(|| world.chance("company of", project).skewed(world.sizes.companies))
}

/// The status of a project within its workflow: most run.
pub(crate) fn status_of(world: &World, project: usize) -> usize {
    *world.chance("status of", project).pick(&[0, 1, 1, 1, 1, 2, 3, 3, 4])
}

/// Whether a project's tasks are still worked on.
pub(crate) fn is_closed(world: &World, project: usize) -> bool {
    words::PROJECT_STATUSES[status_of(world, project)].1 == "closed"
}

/// The members of a project, the one responsible first.
pub(crate) fn members_of(world: &World, project: usize) -> Vec<usize> {
    let chance = &mut world.chance("members of", project);
    let mut members = Vec::new();
    for _ in 0..chance.within(2, 6) {
        let user = world.person(chance);
        if !members.contains(&user) {
            members.push(user);
        }
    }
    // The key of the API takes part in a few projects, so that it has tasks of its own.
    if project.is_multiple_of(10) {
        members.push(0);
    }
    members
}

/// The key of a project in task identifiers, unique in the workspace.
pub(crate) fn key_of(project: usize) -> String {
    let words = PROJECTS[project % PROJECTS.len()];
    let letters: String = words.chars().filter(char::is_ascii_uppercase).take(3).collect();
    format!("{letters}{project}")
}

/// Whether time on a project is billable unless an entry says otherwise.
pub(crate) fn is_billable(project: usize) -> bool {
    !matches!(project % words::PROJECT_TYPES.len(), 1 | 2)
}

fn company(world: &World, i: usize) -> Value {
    let id = world.id("companies", i);
    let base = COMPANIES[i % COMPANIES.len()];
    let name = if i < COMPANIES.len() { base.to_owned() } else { format!("{base} {i}") };
    let projects: Vec<usize> =
        (0..world.sizes.projects).filter(|p| company_of(world, *p) == Some(i)).collect();
    let running = projects.iter().filter(|p| status_of(world, **p) == 1).count();
    let contacts = (0..1 + i % 3).map(|n| contact(world, id, n, &name));
    let tags = (0..6).filter(|t| (i + t * 3).is_multiple_of(5));
    let tags = tags.filter_map(|t| world.row("company_tags", &world.id_text("company_tags", t)));
    world.make(
        "Company",
        id,
        object(json!({
            "name": name,
            "industry": if i % 6 == 5 { Value::Null } else {
                words::INDUSTRIES[i % words::INDUSTRIES.len()].into()
            },
            "companyContactInfos": contacts.collect::<Vec<_>>(),
            "tags": tags.map(|t| world.trim_to(t, "CompanyTagModel")).collect::<Vec<_>>(),
            "projectsCount": projects.len(),
            "projectsInProgressCount": running,
            "isExternal": false,
        })),
    )
}

fn contact(world: &World, company: u128, n: usize, name: &str) -> Value {
    let kinds = [
        json!({"type": "email", "subType": "central", "value": "post@kunde.example"}),
        json!({"type": "address", "subType": "central", "isAddress": true,
               "addressLine1": "Große Straße 1 \"Hinterhof\"", "zipCode": "20095",
               "city": "Hamburg", "country": "DE"}),
        json!({"type": "custom", "label": "Debitor", "value": format!("D-{}", name.len() * 137)}),
    ];
    let mut given = object(json!({"label": null, "value": null, "subType": null,
        "addressLine1": null, "addressLine2": null, "zipCode": null, "city": null,
        "state": null, "country": null, "isAddress": false}));
    given.extend(object(kinds[n % 3].clone()));
    world.make("ContactInfoForCompanies", part(company, "contact", n as u64), given)
}

fn project(world: &World, i: usize, tracked: i64) -> Value {
    let id = world.id("projects", i);
    let chance = &mut world.chance("projects", i);
    let company = company_of(world, i);
    let status = (i % WORKFLOWS) * STATUSES + status_of(world, i);
    let status_row = world.shown("project_statuses", &world.id_text("project_statuses", status));
    let company_row = company.map(|c| world.id_text("companies", c));
    let company_row = company_row.and_then(|id| world.row("companies", &id));
    let kind = world.id_text("project_types", i % words::PROJECT_TYPES.len());
    let no_kind = i % 13 == 12;
    let (created, mut updated) = world.history(id);
    let closed = is_closed(world, i);
    let closed_on = ragged(created + (world.now - created) / 2, chance);
    if closed {
        updated = updated.max(closed_on);
    }
    let start = created.div_euclid(DAY) * DAY + chance.within(0, 20) * DAY;
    let tasks = world.tasks.of_project(i);
    let done = tasks.clone().filter(|t| world.tasks.rows[*t].closed.is_some()).count();
    let planned: i64 = tasks.clone().map(|t| i64::from(world.tasks.rows[t].planned)).sum();
    let name = format!("{} {}", PROJECTS[i % PROJECTS.len()], [2025, 2026][i % 2]);
    let name = match company_row.and_then(|c| c.get("name")).and_then(Value::as_str) {
        Some(company) if i.is_multiple_of(3) => format!("{company}: {name}"),
        _ => name,
    };
    let members = members_of(world, i);
    let members = members.iter().enumerate().map(|(n, user)| member(world, id, n, *user));
    let tags = (0..6).filter(|t| (i + t * 5).is_multiple_of(7));
    let tags = tags.filter_map(|t| world.row("project_tags", &world.id_text("project_tags", t)));
    let team = world.shown("teams", &world.id_text("teams", i % words::TEAMS.len()));
    let mut status_shown = status_row.map(|s| world.trim_to(&s, "ExtendedProjectStatusModel"));
    if let Some(Value::Object(shown)) = &mut status_shown {
        shown.insert("typeOrder".into(), status_of(world, i).into());
    }
    world.make(
        "Project",
        id,
        object(json!({
            "name": name,
            "isPrivate": i % 17 == 16,
            "startDate": if i % 8 == 7 { Value::Null } else { clock::instant(start).into() },
            "dueDate": if i % 5 == 4 { Value::Null } else {
                clock::instant(start + chance.within(30, 400) * DAY).into()
            },
            "companyId": company.map(|c| world.id_text("companies", c)),
            "company": company_row.map(|c| world.trim_to(c, "NestedCompanyModelForProjects")),
            "timeBudget": if i % 4 == 3 { Value::Null } else {
                ((tracked / 3600 + 1) * chance.within(40, 220) / 100 * 3600 + 36_000).into()
            },
            "isBillableByDefault": is_billable(i),
            "projectTypeId": if no_kind { Value::Null } else { kind.into() },
            "deductNonBillableHours": i.is_multiple_of(6),
            "projectStatusId": world.id_text("project_statuses", status),
            "projectStatus": status_shown,
            "projectTemplateId": null,
            "publicProjectTemplateId": null,
            "workflowId": world.id_text("workflows", i % WORKFLOWS),
            "projectKey": key_of(i),
            "createdOn": clock::instant(created),
            "updatedOn": clock::instant(updated),
            "closedOn": if closed { clock::instant(closed_on).into() } else { Value::Null },
            "closedBy": if closed { json!(world.id_text("users", API_USERS)) } else { json!(null) },
            "tags": tags.map(|t| world.trim_to(t, "ProjectTagModel")).collect::<Vec<_>>(),
            "plannedDuration": planned,
            "totalPlannedDurationWithHierarchy": planned,
            "tasksCount": tasks.len(),
            "tasksDoneCount": done,
            "members": members.collect::<Vec<_>>(),
            "trackedDuration": tracked,
            "customFields": library::custom_field_values(world, "project", id, i),
            "teams": team.map(|t| vec![world.trim_to(&t, "TeamModel")]),
            "isExternal": i % 29 == 28,
            "isRetainer": is_retainer(i),
        })),
    )
}

/// Whether a project is billed by period.
pub(crate) fn is_retainer(project: usize) -> bool {
    project.is_multiple_of(10)
}

fn member(world: &World, project: u128, n: usize, user: usize) -> Value {
    let id = world.id_text("users", user);
    let row = world.row("users", &id);
    let text = |name: &str| row.and_then(|r| r.get(name)).cloned().unwrap_or(Value::Null);
    let role = usize::from(n != 0) * (1 + Chance::of_id(project, &id).below(3));
    let role_id = world.id_text("project_roles", role);
    json!({
        "id": guid::show(part(project, "member", n as u64)),
        "userId": id,
        "firstName": text("firstName"),
        "lastName": text("lastName"),
        "hasImage": text("hasImage"),
        "projectRoleId": role_id,
        "projectRoleName": library::PROJECT_ROLES[role],
        "isResponsible": n == 0,
        "isDeactivated": text("isDeactivated"),
        "isExternal": text("isExternal"),
    })
}
