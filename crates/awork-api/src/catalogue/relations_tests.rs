//! What the catalogue says of resources among each other must lead somewhere.

use std::collections::BTreeSet;

use super::*;

fn resource(name: &str) -> &'static Resource {
    Catalogue::bundled().resource(name).unwrap_or_else(|| panic!("there is no {name}"))
}

/// The type of a property of a resource's rows.
fn property(resource: &Resource, name: &str) -> &'static Type {
    let Type::Model(model) = &resource.item else { panic!("{} has no model", resource.name) };
    let property = Catalogue::bundled().model(model).unwrap().property(name);
    &property.unwrap_or_else(|| panic!("{} has no {name}", resource.name)).ty
}

fn path_parameters(resource: &Resource) -> impl Iterator<Item = &Parameter> {
    resource.parameters.iter().filter(|p| p.location == Location::Path)
}

fn keys(resource: &Resource) -> BTreeSet<&str> {
    path_parameters(resource).map(|p| p.name.as_str()).collect()
}

#[test]
fn a_parent_is_a_list_that_has_the_values_and_needs_no_other_keys() {
    let mut parents = 0;
    for child in &Catalogue::bundled().resources {
        for parameter in &child.parameters {
            let Some(of) = &parameter.parent else { continue };
            let place = format!("{}.{}", child.name, parameter.name);
            assert_eq!(parameter.location, Location::Path, "{place}");
            let parent = resource(&of.resource);
            assert_eq!(parent.shape, Shape::List, "{place}");
            assert_eq!(*property(parent, &of.property), parameter.ty, "{place}");
            assert!(keys(parent).is_subset(&keys(child)), "{place}");
            assert!(!keys(parent).contains(parameter.name.as_str()), "{place}");
            if let Some(only_if) = &of.only_if {
                let ty = property(parent, only_if);
                assert!(matches!(ty, Type::Boolean | Type::Integer | Type::Bigint), "{place}");
            }
            parents += 1;
        }
    }
    assert!(parents > 100, "only {parents} parameters have a parent");
}

/// The longest way up from a resource; a cycle would be longer than there are resources.
fn height(resource: &Resource, steps: usize) -> usize {
    assert!(steps < Catalogue::bundled().resources.len(), "{} is below itself", resource.name);
    path_parameters(resource)
        .filter_map(|p| p.parent.as_ref())
        .map(|parent| 1 + height(self::resource(&parent.resource), steps + 1))
        .max()
        .unwrap_or(0)
}

#[test]
fn nothing_is_below_itself() {
    let highest = Catalogue::bundled().resources.iter().map(|r| height(r, 0)).max();
    assert_eq!(highest, Some(2), "versions of files of projects");
}

#[test]
fn parents_of_core_tables() {
    let parent = |table: &str, parameter: &str| {
        let parameter = resource(table).parameters.iter().find(|p| p.name == parameter).unwrap();
        parameter
            .parent
            .as_ref()
            .map(|p| (p.resource.as_str(), p.property.as_str(), p.only_if.as_deref().unwrap_or("")))
    };
    assert_eq!(parent("project_members", "projectId"), Some(("projects", "id", "")));
    assert_eq!(parent("project_time_entries_v2", "projectId"), Some(("projects", "id", "")));
    assert_eq!(parent("retainers", "projectId"), Some(("projects", "id", "isRetainer")));
    assert_eq!(parent("task_comments", "taskId"), Some(("tasks", "id", "commentCount")));
    assert_eq!(
        parent("project_task_checklist_items", "taskId"),
        Some(("project_tasks", "id", "checklistItemsCount"))
    );
    assert_eq!(parent("document_file_versions", "fileId"), Some(("document_files", "id", "")));
    assert_eq!(
        parent("absence_region_locations", "countryCode"),
        Some(("absence_region_countries", "code", ""))
    );
    for (table, parameter) in [
        ("user_autofills", "email"),
        ("me_filter_results", "entityType"),
        ("entity_filters", "entityType"),
        ("project_task_list_tasks", "taskId"),
        ("search_results", "searchTerm"),
    ] {
        assert_eq!(parent(table, parameter), None, "{table}.{parameter}");
    }
}

#[test]
fn embedded_rows_are_of_the_same_model_and_their_key_is_known() {
    let mut pairs = Vec::new();
    for child in &Catalogue::bundled().resources {
        let Some(place) = &child.embedded else { continue };
        assert_eq!(child.shape, Shape::List, "{}", child.name);
        let outer = resource(&place.resource);
        let array = Type::List(Box::new(child.item.clone()));
        assert_eq!(*property(outer, &place.property), array, "{}", child.name);
        let from_outer =
            |p: &&Parameter| p.parent.as_ref().is_some_and(|parent| parent.resource == outer.name);
        let rest: BTreeSet<&str> =
            path_parameters(child).filter(|p| !from_outer(p)).map(|p| p.name.as_str()).collect();
        assert_eq!(keys(child).len(), rest.len() + 1, "{}", child.name);
        assert_eq!(rest, keys(outer), "{}", child.name);
        pairs.push((child.name.as_str(), outer.name.as_str()));
    }
    assert_eq!(
        pairs,
        [
            ("company_contact_infos", "companies"),
            ("project_members", "projects"),
            ("user_contact_infos", "users"),
        ]
    );
}

#[test]
fn every_table_has_a_guess_of_its_rows() {
    for resource in &Catalogue::bundled().resources {
        assert!(resource.rows > 0, "{}", resource.name);
        if resource.shape == Shape::Object {
            assert_eq!(resource.rows, 1, "{}", resource.name);
        }
    }
    assert!(resource("time_entries").rows > resource("tasks").rows);
    assert!(resource("project_tasks").rows < resource("tasks").rows);
}

#[test]
fn only_dates_with_times_have_whole_seconds() {
    let mut whole = 0;
    for model in &Catalogue::bundled().models {
        for property in model.properties.iter().filter(|p| p.whole_seconds) {
            let place = format!("{}.{}", model.name, property.name);
            assert!(matches!(property.ty, Type::Instant | Type::LocalTimestamp), "{place}");
            whole += 1;
        }
    }
    assert!(whole > 0);
    let time_entry = Catalogue::bundled().model("TimeTracking").unwrap();
    assert!(time_entry.property("startDateLocal").unwrap().whole_seconds);
    assert!(!time_entry.property("createdOn").unwrap().whole_seconds);
}

#[test]
fn a_list_that_can_be_asked_for_more_rows_has_wider_lookups() {
    for resource in &Catalogue::bundled().resources {
        let narrow = resource
            .parameters
            .iter()
            .any(|p| ["showArchived", "includeTrashedDocuments"].contains(&p.name.as_str()));
        if narrow {
            assert!(resource.lookups.iter().all(|l| l.wider), "{}", resource.name);
        }
    }
    assert!(resource("tasks").lookups.iter().all(|l| l.wider));
    assert!(resource("companies").lookups.iter().all(|l| !l.wider));
}

#[test]
fn references_of_core_tables() {
    let catalogue = Catalogue::bundled();
    let refers = |table: &str, name: &str| {
        let columns = columns::columns(catalogue, catalogue.resource(table).unwrap());
        let column = columns.into_iter().find(|column| column.name == name);
        let column = column.unwrap_or_else(|| panic!("{table} has no column {name}"));
        column.refers_to.map(|to| format!("{}.{}", to.table, to.column))
    };
    for (table, column, expected) in [
        ("time_entries", "project_id", Some("projects.id")),
        ("time_entries", "task_id", Some("tasks.id")),
        ("time_entries", "user_id", Some("users.id")),
        ("time_entries", "type_of_work_id", Some("types_of_work.id")),
        ("tasks", "project_id", Some("projects.id")),
        ("tasks", "project", None),
        ("tasks", "parent_id", Some("tasks.id")),
        ("tasks", "entity_id", None),
        ("tasks", "task_status_id", None),
        ("projects", "id", None),
        ("projects", "company_id", Some("companies.id")),
        ("projects", "project_status_id", Some("project_statuses.id")),
        ("projects", "created_by", Some("users.id")),
        ("project_members", "project_id", Some("projects.id")),
        ("project_members", "project_role_id", Some("project_roles.id")),
        ("workspace_absences", "region_id", Some("absence_regions.id")),
        ("absence_region_locations", "country_code", Some("absence_region_countries.code")),
    ] {
        assert_eq!(refers(table, column).as_deref(), expected, "{table}.{column}");
    }
}

#[test]
fn what_is_referred_to_is_a_column_of_its_type() {
    let catalogue = Catalogue::bundled();
    let all = |table: &str| catalogue.resource(table).map(|r| columns::columns(catalogue, r));
    for resource in &catalogue.resources {
        for column in columns::columns(catalogue, resource) {
            let Some(to) = &column.refers_to else { continue };
            let targets = all(&to.table).unwrap_or_default();
            let target = targets.iter().find(|target| target.name == to.column);
            let place = format!("{}.{} to {to:?}", resource.name, column.name);
            assert_eq!(target.map(|t| &t.ty), Some(&column.ty), "{place}");
        }
    }
}

#[test]
fn what_is_never_null_is_asked_for_by_it() {
    let catalogue = Catalogue::bundled();
    let never_null = |table: &str| -> Vec<String> {
        let columns = columns::columns(catalogue, catalogue.resource(table).unwrap());
        columns.into_iter().filter(|c| c.not_null).map(|c| c.name).collect()
    };
    assert_eq!(never_null("projects"), ["id"]);
    assert_eq!(never_null("project_task_lists"), ["project_id", "id"]);
    assert_eq!(never_null("tags_of_project"), ["project_id"]);
    assert_eq!(never_null("search_results"), ["search_term"]);
    let unique = |table: &str| -> Vec<String> {
        let columns = columns::columns(catalogue, catalogue.resource(table).unwrap());
        columns.into_iter().filter(|c| c.is_unique).map(|c| c.name).collect()
    };
    assert_eq!(unique("projects"), ["id"]);
    assert_eq!(unique("project_task_statuses"), [""; 0]);
    assert_eq!(unique("user_capacities"), ["user_id"]);
}
