//! Holds the catalogue against the vendor's specification, where its files are at hand: no
//! readable path may be missing, and no column may claim what the specification does not say.
//! Reads the files by itself, not with the tool that writes the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use awork_api::catalogue::columns::{ATTRS, Source, VALUE, columns};
use awork_api::catalogue::{Catalogue, Location, Shape, Type};
use serde_json::Value;

/// The optional vendor specification, or none with the reason printed.
fn specification(version: u8) -> Option<Value> {
    let file = format!("../../../shared/api/openapi-v{version}.json");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).expect("the specification is JSON")),
        Err(error) => {
            println!("skipped: the optional vendor specification is not readable: {error}");
            None
        }
    }
}

fn resolve<'s>(specification: &'s Value, schema: &'s Value) -> &'s Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            specification.pointer(&reference[1..]).expect("the reference leads somewhere")
        }
        None => schema,
    }
}

/// Path → schema of its JSON answer, for every GET that has one.
fn answers(specification: &Value) -> BTreeMap<String, Value> {
    let mut answers = BTreeMap::new();
    for (path, operations) in specification["paths"].as_object().unwrap() {
        let content = &operations["get"]["responses"]["200"]["content"];
        let Some(content) = content.as_object() else { continue };
        let Some((_, answer)) = content.iter().find(|(media, _)| media.contains("json")) else {
            continue;
        };
        let schema = resolve(specification, &answer["schema"]);
        if schema["format"] != "binary" {
            answers.insert(path.clone(), schema.clone());
        }
    }
    answers
}

/// The paths that the catalogue reads or deliberately leaves out, of one version.
fn covered(version: u8) -> BTreeSet<String> {
    let catalogue = Catalogue::bundled();
    let mut covered = BTreeSet::new();
    for resource in catalogue.resources.iter().filter(|r| r.version == version) {
        covered.insert(resource.path.clone());
        covered.extend(resource.lookups.iter().map(|l| l.path.clone()));
    }
    for excluded in &catalogue.excluded {
        assert!(!excluded.reason.is_empty(), "{} is excluded without a reason", excluded.path);
        let path = match (version, excluded.path.strip_prefix("v2:")) {
            (1, None) => excluded.path.as_str(),
            (2, Some(path)) => path,
            _ => continue,
        };
        covered.insert(path.to_owned());
    }
    covered
}

#[test]
fn every_readable_path_is_a_table_or_excluded_with_a_reason() {
    for (version, lists) in [(1, 155), (2, 4)] {
        let Some(specification) = specification(version) else { return };
        let answers = answers(&specification);
        let arrays = answers.values().filter(|s| s["type"] == "array").count();
        assert!(arrays >= lists, "version {version} has {arrays} lists");
        let covered = covered(version);
        let missing: Vec<_> = answers.keys().filter(|path| !covered.contains(*path)).collect();
        assert!(missing.is_empty(), "neither table nor excluded: {missing:?}");
        let gone: Vec<_> = covered.iter().filter(|path| !answers.contains_key(*path)).collect();
        assert!(gone.is_empty(), "not in the specification: {gone:?}");
    }
}

/// The PostgreSQL type that a schema calls for, found without the catalogue's help.
fn sql_type(specification: &Value, name: &str, schema: &Value) -> &'static str {
    let schema = resolve(specification, schema);
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("boolean"), _) => "boolean",
        (Some("integer"), Some("int64")) => "bigint",
        (Some("integer"), _) => "integer",
        (Some("number"), _) => "double precision",
        (Some("string"), Some("uuid")) => "uuid",
        (Some("string"), Some("date")) => "date",
        (Some("string"), Some("date-time")) if name.ends_with("Local") => {
            "timestamp without time zone"
        }
        (Some("string"), Some("date-time")) => "timestamp with time zone",
        (Some("string"), None)
            if ["startTimeUtc", "endTimeUtc", "startTimeLocal", "endTimeLocal"].contains(&name) =>
        {
            "time without time zone"
        }
        (Some("string"), _) => "text",
        _ => "jsonb",
    }
}

#[test]
fn every_column_is_in_the_specification_with_its_type() {
    let catalogue = Catalogue::bundled();
    let mut checked = 0;
    for version in [1, 2] {
        let Some(specification) = specification(version) else { return };
        let answers = answers(&specification);
        for resource in catalogue.resources.iter().filter(|r| r.version == version) {
            let answer = &answers[&resource.path];
            assert_eq!(
                answer["type"] == "array",
                resource.shape == Shape::List,
                "{}",
                resource.path
            );
            let row = match resource.shape {
                Shape::List => resolve(&specification, &answer["items"]),
                Shape::Object => answer,
            };
            for column in columns(catalogue, resource) {
                let place = format!("{}.{}", resource.name, column.name);
                match &column.source {
                    Source::Field(path) if path.is_empty() => {
                        assert!([ATTRS, VALUE].contains(&column.name.as_str()), "{place}");
                    }
                    Source::Field(path) => {
                        let mut schema = row;
                        for name in path {
                            schema = &resolve(&specification, schema)["properties"][name];
                            assert!(!schema.is_null(), "{place}: no property {path:?}");
                        }
                        let name = path.last().unwrap();
                        assert_eq!(
                            column.ty.sql(),
                            sql_type(&specification, name, schema),
                            "{place}"
                        );
                    }
                    Source::Parameter(i) => {
                        let parameter = &resource.parameters[*i];
                        let declared =
                            parameter_schema(&specification, &resource.path, &parameter.name)
                                .unwrap_or_else(|| panic!("{place}: no such parameter"));
                        let expected =
                            sql_type(&specification, &parameter.name, &declared["schema"]);
                        assert_eq!(column.ty.sql(), expected, "{place}");
                        let place_of =
                            if parameter.location == Location::Path { "path" } else { "query" };
                        assert_eq!(declared["in"], place_of, "{place}");
                    }
                    Source::InstantOf { date, time } => {
                        assert_eq!(row["properties"][date]["format"], "date-time", "{place}");
                        assert_eq!(row["properties"][time]["type"], "string", "{place}");
                    }
                    Source::CustomField(_) => panic!("{place}: only a workspace has custom fields"),
                    Source::SetWithout { set, unset } => {
                        for name in [set, unset] {
                            assert!(row["properties"][name].is_object(), "{place}");
                        }
                    }
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 3000, "only {checked} columns were checked");
}

fn parameter_schema<'s>(specification: &'s Value, path: &str, name: &str) -> Option<&'s Value> {
    let operations = &specification["paths"][path];
    [&operations["get"]["parameters"], &operations["parameters"]]
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
        .map(|p| resolve(specification, p))
        .find(|p| p["name"] == name)
}

#[test]
fn every_property_has_a_column() {
    let catalogue = Catalogue::bundled();
    for version in [1, 2] {
        let Some(specification) = specification(version) else { return };
        let answers = answers(&specification);
        for resource in catalogue.resources.iter().filter(|r| r.version == version) {
            let answer = &answers[&resource.path];
            let row = if resource.shape == Shape::List {
                resolve(&specification, &answer["items"])
            } else {
                answer
            };
            let Some(properties) = row["properties"].as_object() else {
                assert!(!matches!(resource.item, Type::Model(_)), "{}", resource.name);
                continue;
            };
            let columns = columns(catalogue, resource);
            for property in properties.keys() {
                // A key of the path takes the place of the property that repeats it.
                let carried = columns.iter().any(|column| match &column.source {
                    Source::Field(path) => path.len() == 1 && path[0] == *property,
                    Source::Parameter(i) => {
                        resource.parameters[*i].name.eq_ignore_ascii_case(property)
                    }
                    _ => false,
                });
                assert!(carried, "no column of {} carries {property}", resource.name);
            }
        }
    }
}

#[test]
fn every_parameter_is_a_column_or_left_out_on_purpose() {
    let catalogue = Catalogue::bundled();
    // What these do to an answer is not a choice of rows.
    let left_out = ["page", "pageSize", "orderby", "filterby", "searchReindex", "streamAsFile"];
    for version in [1, 2] {
        let Some(specification) = specification(version) else { return };
        for resource in catalogue.resources.iter().filter(|r| r.version == version) {
            let declared = specification["paths"][&resource.path]["get"]["parameters"].as_array();
            for parameter in declared.into_iter().flatten().map(|p| resolve(&specification, p)) {
                let name = parameter["name"].as_str().unwrap();
                let known = match parameter["in"].as_str() {
                    Some("header") => resource.headers.iter().any(|(header, _)| header == name),
                    _ => columns(catalogue, resource).iter().any(|column| match column.source {
                        Source::Parameter(i) => resource.parameters[i].name == name,
                        _ => false,
                    }),
                };
                assert!(known || left_out.contains(&name), "{}: {name}", resource.path);
            }
        }
    }
}

#[test]
fn embedded_rows_have_the_schema_of_the_list() {
    let catalogue = Catalogue::bundled();
    for version in [1, 2] {
        let Some(specification) = specification(version) else { return };
        let answers = answers(&specification);
        for resource in catalogue.resources.iter().filter(|r| r.version == version) {
            let Some(embedded) = &resource.embedded else { continue };
            let outer = &answers[&catalogue.resource(&embedded.resource).unwrap().path];
            let outer = resolve(&specification, &outer["items"]);
            let array = resolve(&specification, &outer["properties"][&embedded.property]);
            assert!(array["items"]["$ref"].is_string(), "{}", resource.name);
            assert_eq!(array["items"], answers[&resource.path]["items"], "{}", resource.name);
            assert_ne!(array["deprecated"], true, "{}", resource.name);
        }
    }
}
