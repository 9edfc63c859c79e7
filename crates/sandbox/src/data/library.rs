//! What a workspace is set up with: tags, types, workflows and their statuses, roles, custom
//! fields, templates, documents, filters, reports, webhooks.

use serde_json::{Value, json};

use super::fabric::{Object, object, part};
use super::guid;
use super::seed::Chance;
use super::sizes::{
    CUSTOM_FIELDS, OPTIONS, PRIVATE_STATUSES, PROJECT_STATUSES, TASK_LISTS, TASK_STATUSES,
    WORKFLOWS,
};
use super::words::{self, TAGS};
use super::world::World;
use super::{clock, clock::DAY};

/// The names of the roles in projects.
pub(crate) const PROJECT_ROLES: [&str; 4] = ["Project Manager", "Member", "Freelancer", "Gast"];

/// The custom fields by entity, type and name: each type for tasks and for projects, and names that
/// are hard to tell apart, or to write.
const FIELDS: [(&str, &str, &str); CUSTOM_FIELDS] = [
    ("task", "text", "Auftragsnummer"),
    ("task", "number", "Stundensatz €"),
    ("task", "date", "Abnahme"),
    ("task", "datetime", "Go-live"),
    ("task", "select", "Phase"),
    ("task", "coloredSelect", "Risiko"),
    ("task", "link", "Ablage"),
    ("task", "boolean", "Abgenommen?"),
    ("task", "user", "Verantwortlich"),
    ("task", "client", "Endkunde"),
    ("project", "text", "Auftragsnummer"),
    ("project", "number", "Stundensatz"),
    ("project", "date", "Abnahme"),
    ("project", "datetime", "Go-live"),
    ("project", "select", "Phase"),
    ("project", "coloredSelect", "Risiko"),
    ("project", "link", "Ablage"),
    ("project", "boolean", "Abgenommen?"),
    ("project", "user", "Verantwortlich"),
    ("project", "client", "Endkunde"),
    ("project", "number", "Festpreis"),
    (
        "task",
        "text",
        "Größe & Maß: \"Höhe × Breite\" des Überseecontainers in Zentimetern, wie gemessen",
    ),
    ("task", "text", "🔥"),
    ("task", "text", "Phase"),
    ("task", "text", "Name"),
];

/// What other rows are built from.
pub(crate) fn basics(world: &mut World) {
    for (kind, names) in TAGS {
        let table = match kind {
            "company" => "company_tags",
            "project" => "project_tags",
            "task" => "task_tags",
            _ => "user_tags",
        };
        let tag = |(i, name): (usize, &&str)| {
            let given = json!({"name": name, "color": words::COLORS[i]});
            world.make("BaseTagModel", world.id(table, i), object(given))
        };
        let rows = names.iter().enumerate().map(tag).collect();
        world.insert(table, rows);
    }
    fill_table(world, "types_of_work", "TypeOfWork", 8, |_, i| {
        let (name, icon) = words::TYPES_OF_WORK[i];
        json!({"name": name, "icon": icon, "isArchived": i == 7})
    });
    fill_table(world, "project_types", "ProjectType", 5, |_, i| {
        let (name, icon) = words::PROJECT_TYPES[i];
        json!({"name": name, "icon": icon, "isArchived": i == 4, "isPreset": i < 2})
    });
    fill_table(world, "workflows", "Workflow", WORKFLOWS, |_, i| {
        let name = ["Standard", "Agil", "Wartung (alt)"][i];
        json!({"name": name, "icon": "workflow", "isArchived": i == 2, "isExternal": false})
    });
    let statuses = WORKFLOWS * PROJECT_STATUSES;
    fill_table(world, "project_statuses", "ProjectStatus", statuses, |world, i| {
        let (name, kind) = words::PROJECT_STATUSES[i % PROJECT_STATUSES];
        json!({"name": name, "type": kind, "order": i % PROJECT_STATUSES, "projectId": null,
               "projectTemplateId": null, "isExternal": false,
               "workflowId": world.id_text("workflows", i / PROJECT_STATUSES)})
    });
    let shared = WORKFLOWS * TASK_STATUSES;
    fill_table(world, "task_statuses", "TaskStatus", shared + PRIVATE_STATUSES, |world, i| {
        let private = i >= shared;
        let step = if private { [0, 1, 4][i - shared] } else { i % TASK_STATUSES };
        let (name, kind, icon) = words::TASK_STATUSES[step];
        let workflow = (!private).then(|| world.id_text("workflows", i / TASK_STATUSES));
        json!({"name": name, "type": kind, "icon": icon, "order": step as f64, "projectId": null,
               "projectTypeId": null, "workflowId": workflow, "isExternal": false})
    });
    fill_table(world, "roles", "Role", 5, |_, i| {
        json!({"name": (["Admin", "Mitarbeiter", "Freelancer", "Gast", "Buchhaltung"][i]),
               "isAdminRole": i == 0, "isGuestRole": i == 3, "isAgentRole": false,
               "isPreset": i < 4, "isArchived": false})
    });
    fill_table(world, "project_roles", "ProjectRole", 4, |_, i| {
        json!({"name": PROJECT_ROLES[i], "isDefault": i == 1, "defaultProjectRoleId": null,
               "allowOnlyProjectMasterDataRead": i == 3, "memberCount": 0, "members": null})
    });
    fill_custom_fields(world);
}

/// Makes the table and its rows.
pub(crate) fn fill_table(
    world: &mut World,
    table: &'static str,
    model: &str,
    count: usize,
    given: impl Fn(&World, usize) -> Value,
) {
    let row = |i| world.make(model, world.id(table, i), object(given(world, i)));
    let rows = (0..count).map(row).collect();
    world.insert(table, rows);
}

fn fill_custom_fields(world: &mut World) {
    let model = "CustomFieldDefinitionWithSelectionOptionsAndLinkedProjectIds";
    fill_table(world, "custom_fields", model, CUSTOM_FIELDS, |world, i| {
        let (entity, kind, name) = FIELDS[i];
        let options = (0..OPTIONS).map(|n| option(world, i, n));
        let linked = (0..world.sizes.projects).filter(|p| is_linked(i, *p));
        json!({"name": name, "entity": entity, "type": kind,
               "order": i as f64 + 0.5, "isExternal": false,
               "selectionOptions": if kind.ends_with("elect") {
                   options.collect()
               } else {
                   Value::Null
               },
               "linkedProjectIds": linked.map(|p| world.id_text("projects", p))
                   .collect::<Vec<_>>()})
    });
}

/// Whether a project uses a custom field.
pub(crate) fn is_linked(field: usize, project: usize) -> bool {
    (field + project).is_multiple_of(3)
}

fn option(world: &World, field: usize, n: usize) -> Value {
    let names = ["S1: \"kritisch\"", "S2: hoch", "S3: mittel", "S4: egal 🤷"];
    json!({"id": world.id_text("selection_options", field * OPTIONS + n), "value": names[n],
           "color": (["red", "orange", "yellow", "green"][n]), "order": n as f64 + 1.0})
}

/// The custom field values of a task or project, for the fields that its project uses.
pub(crate) fn custom_field_values(world: &World, entity: &str, id: u128, project: usize) -> Value {
    let mut values = Vec::new();
    for (field, (of, kind, field_name)) in FIELDS.iter().enumerate() {
        let chance = &mut Chance::of_id(id, &format!("custom field {field}"));
        if *of != entity || !is_linked(field, project) || chance.percent(40) {
            continue;
        }
        let mut value = Object::new();
        value
            .insert("customFieldDefinitionId".into(), world.id_text("custom_fields", field).into());
        let day = world.today() + chance.within(-90, 90) * DAY;
        let (name, filled) = match *kind {
            "number" => {
                let cents = match *field_name {
                    "Festpreis" => chance.within(10, 500) * 10_000,
                    _ => chance.within(240, 720) * 25,
                };
                ("numberValue", json!(cents as f64 / 100.0))
            }
            "date" => ("dateValue", clock::instant(day).into()),
            "datetime" => ("dateValue", clock::instant(day + chance.within(0, DAY - 1)).into()),
            "select" | "coloredSelect" => {
                let option = option(world, field, chance.below(OPTIONS));
                value.insert("selectionOption".into(), option.clone());
                ("selectionOptionIdValue", option["id"].clone())
            }
            "boolean" => ("booleanValue", chance.percent(50).into()),
            "user" => ("userIdValue", world.id_text("users", world.person(chance)).into()),
            "client" => {
                let company = chance.below(world.sizes.companies);
                ("clientIdValue", world.id_text("companies", company).into())
            }
            "link" => ("textValue", "https://example.com/?q=ä&x=1".into()),
            _ => ("textValue", format!("A-{:05} \"neu\"", chance.below(99_999)).into()),
        };
        value.insert(name.into(), filled);
        values.push(Value::Object(value));
    }
    values.into()
}

/// The rest, which shows users and projects.
pub(crate) fn fill(world: &mut World) {
    let none: fn(&World, usize) -> Value = |_, _| json!({});
    fill_table(world, "workspaces", "Workspace", 1, |world, _| {
        json!({"name": "Agentur Nord & Partner", "language": "de-DE", "type": "creative-agency",
               "memberCount": world.sizes.users, "isApproved": true, "accountIds": [],
               "subdomains": [{"name": "agentur-nord", "isDefault": true}]})
    });
    fill_table(world, "project_templates", "ProjectTemplate", 4, |world, i| {
        let first = (i % WORKFLOWS) * PROJECT_STATUSES;
        let statuses = &world.table("project_statuses").rows[first..first + PROJECT_STATUSES];
        json!({"name": words::PROJECTS[i], "projectStatuses": statuses,
               "workflowId": workflow_of(world, i), "defaultTaskListIdForEmails": null})
    });
    fill_table(
        world,
        "template_lists",
        "NestedTaskList",
        8,
        |_, i| json!({"name": words::TASK_LISTS[i % TASK_LISTS], "isArchived": false}),
    );
    fill_table(world, "task_templates", "TaskTemplate", 16, |world, i| {
        let list = world.shown("template_lists", &world.id_text("template_lists", i / 2));
        let list = list.map(|l| world.trim_to(&l, "TaskListTemplate"));
        json!({"name": words::TASKS[i], "taskListTemplate": list.into_iter().collect::<Vec<_>>(),
               "parentId": null, "taskDependencyTemplates": [], "customFields": []})
    });
    fill_table(world, "task_bundles", "TaskBundle", 4, |world, i| {
        let tasks = world.table("task_templates").rows[i * 4..i * 4 + 4].to_vec();
        let lists = &world.table("template_lists").rows[i * 2..i * 2 + 2];
        let lists: Vec<Value> =
            lists.iter().map(|l| world.trim_to(l, "TaskListTemplate")).collect();
        json!({"name": format!("Paket {}", words::PROJECTS[i]), "tasks": tasks,
               "taskLists": lists,
               "projectTemplateId": world.id_text("project_templates", i)})
    });
    fill_table(
        world,
        "document_spaces",
        "DocumentSpaceModel",
        4,
        |_, i| json!({"name": (["Wissen", "Vorlagen", "Kunden", "Archiv 🗄"][i]), "isExternal": false}),
    );
    fill_documents(world);
    fill_table(world, "filters", "Filter", 9, |world, i| {
        json!({"name": format!("Meine Aufgaben {i}"), "entityType": (["tasks", "projects", "users"][i % 3]),
               "userId": world.id_text("users", if i < 6 { 0 } else { 2 }),
               "filterQuery": "isPrio eq true", "contributors": [], "teams": []})
    });
    fill_table(world, "dashboards", "Dashboard", 2, |world, i| {
        let id = world.id("dashboards", i);
        let widget = |n: u64| {
            let given = json!({"entityId": null, "filterId": null, "type": "task-views"});
            world.make("Widget", part(id, "widget", n), object(given))
        };
        json!({"userId": world.id_text("users", 0), "widgets": [widget(0), widget(1)]})
    });
    fill_table(world, "time_reports", "TimeReport", 6, |world, i| {
        json!({"name": format!("Auswertung {}", 2020 + i), "shared": i % 2 == 0,
               "filter": format!("projectId eq guid'{}'", world.id_text("projects", i))})
    });
    fill_table(world, "client_applications", "ClientApplication", 3, |_, i| {
        json!({"clientId": (["bi-export", "time-clock", "planner"][i]),
               "redirectUris": ["https://example.com/callback"]})
    });
    fill_table(world, "temporary_files", "FileInfo", 2, |_, _| unattached_file());
    fill_table(world, "settings", "TimeTrackingSetting", 3, |_, i| {
        let kind = words::values_of("TimeTrackingSetting", "type").map(|v| v[i]);
        json!({"type": kind, "enabled": i == 0})
    });
    let projects = world.sizes.projects;
    fill_table(world, "autopilots", "Autopilot", projects, none);
    fill_table(world, "webhooks", "WebhookConfig", 3, none);
    // The captured configurations lack the zone, which makes them the test of such values.
    if let Some(table) = world.table_mut("webhooks") {
        table.change(|rows| {
            for row in rows.iter_mut().filter_map(Value::as_object_mut) {
                for name in ["createdOn", "updatedOn"] {
                    if let Some(Value::String(at)) = row.get_mut(name) {
                        *at = at.trim_end_matches('Z').to_owned();
                    }
                }
            }
        });
    }
}

/// A file that belongs to nothing yet.
pub(crate) fn unattached_file() -> Value {
    json!({"entityId": null, "projectId": null, "projectTemplateId": null, "companyId": null,
           "taskId": null, "taskTemplateId": null, "userId": null, "documentId": null,
           "entityType": null, "fileVersions": [], "externalProvider": null})
}

/// Documents in spaces, in projects, and private ones of the caller; some in the trash.
fn fill_documents(world: &mut World) {
    let count = world.sizes.of_table("documents");
    fill_table(world, "documents", "DocumentModel", count, |world, i| {
        let trashed = i % 4 == 3;
        let project = i.checked_sub(16);
        let space = (i < 12).then(|| world.id_text("document_spaces", i / 3));
        let trash = trashed || (i < 12 && i % 3 == 2);
        let owner = if i < 16 { 0 } else { world.person(&mut world.chance("documents", i)) };
        let project_id = project.map(|p| world.id_text("projects", p));
        let shown = project_id.as_deref().and_then(|p| world.row("projects", p));
        json!({
            "name": format!("Briefing {} \"{}\"", i, words::PROJECTS[i % 16]),
            "currentDocumentVersionId": null,
            "documentSpaceId": space,
            "documentSpace": space.as_deref().and_then(|s| world.row("document_spaces", s)),
            "parentId": null,
            "projectId": project_id,
            "project": shown.map(|p| world.trim_to(p, "PermissionProject")),
            "taskId": null,
            "isPrivate": (12..16).contains(&i),
            "isExternal": false,
            "contributors": [],
            "teams": [],
            "createdBy": world.id_text("users", owner),
            "inheritedWorkspaceAccessFromDocumentId": null,
            "inheritedWorkspaceAccessFromDocument": null,
            "movedToTrashOn": trash.then(|| clock::instant(world.now - DAY)),
            "movedToTrashBy": trash.then(|| world.id_text("users", owner)),
        })
    });
}

/// The id of the statuses' workflow that a project follows.
pub(crate) fn workflow_of(world: &World, project: usize) -> String {
    guid::show(world.id("workflows", project % WORKFLOWS))
}
