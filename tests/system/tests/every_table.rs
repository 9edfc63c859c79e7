//! Every table of the catalogue is read, with keys where it needs them. Its rows are those of
//! the sandbox, and each column is what PostgreSQL itself makes of the property in `attrs`.

use std::collections::BTreeMap;

use awork_sandbox::Config;
use serde_json::Value;
use system_tests::{Failure, Workspace};

/// A resource as `awork_fdw_catalog` has it.
#[derive(Default)]
struct Table {
    path: String,
    version: i32,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    ty: String,
    field: Option<String>,
    /// `path` or `query`, where the column is a parameter.
    parameter: Option<String>,
    required: bool,
}

type Keys = Vec<(String, String)>;

fn tables(w: &mut Workspace) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for row in w.client.query("SELECT * FROM awork_fdw_catalog", &[]).unwrap() {
        let table = tables.entry(row.get("table_name")).or_default();
        table.path = row.get("api_path");
        table.version = row.get("api_version");
        table.columns.push(Column {
            name: row.get("column_name"),
            ty: row.get("data_type"),
            field: row.get("field"),
            parameter: row.get("parameter"),
            required: row.get("required"),
        });
    }
    tables
}

/// Values of the keys of a path for which there are rows, if any are found.
fn keys(w: &Workspace, tables: &BTreeMap<String, Table>, name: &str) -> Keys {
    let table = &tables[name];
    let mut candidates: Vec<Keys> = vec![Vec::new()];
    let mut prefix = String::new();
    for segment in table.path.split('/').skip(1) {
        if let Some(parameter) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            candidates = candidates
                .into_iter()
                .flat_map(|keys| {
                    let values = parents(w, tables, &prefix, table.version, parameter, &keys);
                    values.into_iter().map(move |value| {
                        let mut keys = keys.clone();
                        keys.push((parameter.to_owned(), value));
                        keys
                    })
                })
                .take(400)
                .collect();
        }
        prefix = format!("{prefix}/{segment}");
    }
    let has_rows = |keys: &&Keys| !w.sandbox.rows(name, &borrowed(keys)).is_empty();
    candidates.iter().find(has_rows).or(candidates.first()).cloned().unwrap_or_default()
}

fn borrowed(keys: &Keys) -> Vec<(&str, &str)> {
    keys.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// What can stand in the place of a parameter: the ids of the list before it, or else of the
/// list that its name speaks of.
fn parents(
    w: &Workspace,
    tables: &BTreeMap<String, Table>,
    prefix: &str,
    version: i32,
    parameter: &str,
    keys: &Keys,
) -> Vec<String> {
    let list = tables.iter().find(|(_, t)| t.path == prefix && t.version == version);
    let by_name = match parameter {
        "userId" => Some("users"),
        "projectId" => Some("projects"),
        "taskId" => Some("tasks"),
        "companyId" => Some("companies"),
        "workspaceId" => Some("me"),
        "absenceRegionId" => Some("absence_regions"),
        "documentSpaceId" => Some("document_spaces"),
        "documentId" => Some("documents"),
        "taskBundleId" => Some("task_bundles"),
        _ => None,
    };
    let rows = match (list, by_name) {
        (Some((name, _)), _) => w.sandbox.rows(name, &borrowed(keys)),
        (None, Some(name)) => w.sandbox.rows(name, &[]),
        (None, None) => Vec::new(),
    };
    let property = match parameter {
        "countryCode" => "code",
        "entityType" => "entityType",
        _ => "id",
    };
    let of = |row: &Value| match parameter {
        "workspaceId" => row["workspace"]["id"].as_str().map(str::to_owned),
        _ => row[property].as_str().map(str::to_owned),
    };
    let mut values: Vec<String> = rows.iter().filter_map(of).collect();
    values.dedup();
    if values.is_empty() {
        // Nothing to go by: an id that may exist nowhere, for which there are no rows.
        values.push(match parameter {
            "entityType" => "tasks".to_owned(),
            "email" => "someone@example.com".to_owned(),
            _ => "11111111-2222-4333-8444-555555555555".to_owned(),
        });
    }
    values
}

/// Values for the parameters of the query string without which awork does not answer.
fn required_query(w: &Workspace, field: &str) -> String {
    match field {
        "userIds" => {
            let users = w.sandbox.rows("users", &[]);
            let ids: Vec<&str> = users.iter().filter_map(|u| u["id"].as_str()).collect();
            ids.join(",")
        }
        "intervalStart" => "2026-10-05".to_owned(),
        "intervalEnd" => "2026-10-11".to_owned(),
        "roughPlanningFrom" => "0".to_owned(),
        "searchTerm" => "e".to_owned(),
        other => panic!("no value for {other}"),
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn every_table_has_the_rows_of_the_sandbox() {
    let config = Config { scale: 2_000, ..Config::default() };
    let Some(mut w) = Workspace::imported("every_table", config) else { return };
    let tables = tables(&mut w);
    assert!(tables.len() >= 159, "{} tables", tables.len());
    let (mut with_rows, mut compared) = (0, 0);
    for (name, table) in &tables {
        let mut keys = keys(&w, &tables, name);
        let mut conditions = Vec::new();
        for Column { name: column, field, parameter, required, .. } in &table.columns {
            let (Some(field), Some(parameter)) = (field, parameter) else { continue };
            if !required {
                continue;
            }
            if parameter == "query" {
                keys.push((field.clone(), required_query(&w, field)));
            }
            let value = &keys.iter().find(|(key, _)| key == field).expect("a value of the key").1;
            conditions.push(format!("{column} = {}", quote(value)));
        }
        let place = format!("{name} {keys:?}");
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", conditions.join(" AND ")),
        };
        let rows = w
            .client
            .query(&format!("SELECT attrs::text FROM \"{name}\" {filter}"), &[])
            .unwrap_or_else(|e| panic!("{place}: {:?}", Failure::from(&e)));
        let mut got: Vec<Value> =
            rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect();
        let mut expected = w.sandbox.rows(name, &borrowed(&keys));
        // Text and figures of jsonb are PostgreSQL's, so that 1.0 and 1 are told apart nowhere.
        let order = |rows: &mut Vec<Value>| rows.sort_by_key(|row| row.to_string());
        for rows in [&mut got, &mut expected] {
            rows.iter_mut().for_each(normalize);
            order(rows);
        }
        assert_eq!(got.len(), expected.len(), "{place}");
        assert_eq!(got, expected, "{place}");
        with_rows += usize::from(!got.is_empty());
        for columns in ["count(*)", "count(t)"] {
            // No column at all, and every column, parameters included.
            let sql = format!("SELECT {columns} FROM \"{name}\" t {filter}");
            let row = w.client.query_one(&sql, &[]);
            let row = row.unwrap_or_else(|e| panic!("{place}: {:?}", Failure::from(&e)));
            assert_eq!(row.get::<_, i64>(0) as usize, got.len(), "{place}: {columns}");
        }

        let mut checks = Vec::new();
        for Column { name: column, ty, field, parameter, .. } in &table.columns {
            let Some(field) = field.as_ref().filter(|_| parameter.is_none()) else { continue };
            let path = format!("{{{}}}", field.replace('/', ","));
            checks.push(match ty.as_str() {
                "jsonb" => {
                    format!("nullif(attrs #> '{path}', 'null') IS DISTINCT FROM \"{column}\"")
                }
                _ => format!("(attrs #>> '{path}')::{ty} IS DISTINCT FROM \"{column}\""),
            });
        }
        compared += checks.len();
        if !checks.is_empty() {
            let sql = format!(
                "SELECT count(*) FROM (SELECT * FROM \"{name}\" {filter}) t WHERE {}",
                checks.join(" OR ")
            );
            let row = w.client.query_one(&sql, &[]);
            let row = row.unwrap_or_else(|e| panic!("{place}: {:?}", Failure::from(&e)));
            assert_eq!(row.get::<_, i64>(0), 0, "{place}: columns differ from attrs");
        }
    }
    println!(
        "{} tables read, {with_rows} of them with rows, {compared} columns compared",
        tables.len()
    );
    assert!(with_rows * 10 >= tables.len() * 9, "only {with_rows} tables have rows");
}

/// Makes equal what is equal as jsonb: numbers by value.
fn normalize(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|f| !number.is_i64() && f.fract() == 0.0) {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::Object(properties) => properties.values_mut().for_each(normalize),
        _ => {}
    }
}
