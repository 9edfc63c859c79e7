use super::*;

#[test]
fn names_become_snake_case() {
    for (name, expected) in [
        ("id", "id"),
        ("startDateUtc", "start_date_utc"),
        ("allowSSOLogin", "allow_sso_login"),
        ("virtualMRR", "virtual_mrr"),
        ("addressLine1", "address_line1"),
        ("client_id", "client_id"),
    ] {
        assert_eq!(snake_case(name), expected);
    }
}

#[test]
fn a_repeated_parent_is_said_once() {
    let path = |p: &str| p.split('/').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(column_name(&path("project/projectStatus/type")), "project_status_type");
    assert_eq!(column_name(&path("project/company/name")), "project_company_name");
    assert_eq!(column_name(&path("task/project/projectKey")), "task_project_key");
    assert_eq!(column_name(&path("user/userName")), "user_name");
    assert_eq!(column_name(&path("user/username")), "user_username");
    assert_eq!(column_name(&path("user")), "user_");
    assert_eq!(column_name(&path("project/order")), "project_order");
}

#[test]
fn columns_of_core_tables() {
    let catalogue = Catalogue::bundled();
    let of = |table: &str| columns(catalogue, catalogue.resource(table).unwrap());
    let ty = |table: &str, column: &str| {
        of(table).into_iter().find(|c| c.name == column).map(|c| c.ty.sql())
    };
    assert_eq!(ty("projects", "project_status_type"), Some("text"));
    assert_eq!(ty("projects", "company_name"), Some("text"));
    assert_eq!(ty("tasks", "task_status_name"), Some("text"));
    assert_eq!(ty("time_entries", "started_at"), Some("timestamp with time zone"));
    assert_eq!(ty("time_entries", "is_running"), Some("boolean"));
    assert_eq!(ty("time_entries", "start_date_local"), Some("timestamp without time zone"));
    assert_eq!(ty("time_entries", "start_time_utc"), Some("time without time zone"));
    assert_eq!(ty("time_bookings", "start_date"), Some("date"));
    assert_eq!(ty("user_capacities", "weekly_capacity_mon"), Some("integer"));
    assert_eq!(ty("users", "show_archived"), Some("boolean"));
    assert_eq!(ty("project_members", "project_id"), Some("uuid"));
}

#[test]
fn every_table_ends_with_attrs_and_has_each_name_once() {
    let catalogue = Catalogue::bundled();
    for resource in &catalogue.resources {
        let columns = columns(catalogue, resource);
        assert_eq!(columns.last().unwrap().name, ATTRS, "{}", resource.name);
        let names: HashSet<_> = columns.iter().map(|c| &c.name).collect();
        assert_eq!(names.len(), columns.len(), "{}", resource.name);
        assert!(columns.iter().all(|c| c.name.len() < 64), "{}", resource.name);
    }
}

#[test]
fn an_imported_column_keeps_its_meaning_under_any_name() {
    let catalogue = Catalogue::bundled();
    for resource in &catalogue.resources {
        let known = columns(catalogue, resource);
        for column in &known {
            let field = field_option(resource, column);
            let place = format!("{}.{}", resource.name, column.name);
            let renamed = resolve(resource, &known, "renamed", Some(&field));
            assert_eq!(renamed.as_ref(), Some(&column.source), "{place}");
            let by_name = resolve(resource, &known, &column.name, None);
            assert_eq!(by_name.as_ref(), Some(&column.source), "{place}");
        }
    }
}
