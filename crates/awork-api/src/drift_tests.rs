use serde_json::json;

use super::*;

fn resource(name: &str) -> &'static Resource {
    Catalogue::bundled().resource(name).unwrap()
}

/// A project with every property that the catalogue knows, none of them null.
fn project() -> Map<String, Value> {
    whole(model(resource("projects")).unwrap(), 0)
}

fn whole(model: &Model, depth: usize) -> Map<String, Value> {
    let value = |property: &Property| match &property.ty {
        Type::Uuid => json!("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        Type::Text => json!("text"),
        Type::Boolean => json!(true),
        Type::Integer | Type::Bigint | Type::Double => json!(7),
        Type::Instant | Type::LocalTimestamp => json!("2026-10-01T08:00:00Z"),
        Type::Date => json!("2026-10-01"),
        Type::TimeOfDay => json!("08:00:00"),
        Type::Json => json!({}),
        Type::List(_) => json!([]),
        Type::Model(_) if depth == DEPTH => Value::Null,
        Type::Model(name) => {
            Value::Object(whole(Catalogue::bundled().model(name).unwrap(), depth + 1))
        }
    };
    model.properties.iter().map(|p| (p.name.clone(), value(p))).collect()
}

fn projects(rows: &[Map<String, Value>]) -> Sample {
    let body = serde_json::to_vec(rows).unwrap();
    Sample::new(resource("projects"), &body).unwrap()
}

/// The findings of imported projects with these changes to each row, as drift, column, field and
/// message.
fn found(change: impl Fn(&mut Map<String, Value>)) -> Vec<Finding> {
    let mut row = project();
    change(&mut row);
    compare(resource("projects"), &projects(&[row.clone(), row]), &imported(resource("projects")))
}

fn column(name: &str, field: &[&str], kind: Kind) -> Shown {
    let field = field.iter().map(|name| (*name).to_owned()).collect();
    Shown { name: name.to_owned(), source: Some(Source::Field(field)), kind }
}

#[track_caller]
fn is(finding: &Finding, drift: Drift, column: &str, field: &str, words: &str) {
    let has = (finding.drift, finding.column.as_deref(), finding.field.as_deref());
    assert_eq!(has, (drift, Some(column), Some(field)), "{finding:?}");
    assert!(finding.message.contains(words), "{finding:?}");
}

#[test]
fn rows_as_the_catalogue_has_them_have_no_findings() {
    for resource in &Catalogue::bundled().resources {
        let Some(model) = model(resource) else { continue };
        let mut body = Value::Object(whole(model, 0));
        if resource.shape == Shape::List {
            body = json!([body]);
        }
        let sample = Sample::new(resource, body.to_string().as_bytes()).unwrap();
        let findings = compare(resource, &sample, &imported(resource));
        assert!(findings.is_empty(), "{}: {findings:#?}", resource.name);
    }
}

#[test]
fn an_unknown_property_is_new() {
    for (value, ty, words) in [
        (json!("6f9619ff-8b86-d011-b42d-00c04fc964ff"), Type::Uuid, "a string in 2 of 2 rows"),
        (json!("abc"), Type::Text, "a string"),
        (json!("2026-10-01"), Type::Date, "a string"),
        (json!("2026-10-01T08:00:00Z"), Type::Instant, "a string"),
        (json!(5), Type::Bigint, "a number"),
        (json!(5.5), Type::Double, "a number"),
        (json!(false), Type::Boolean, "a boolean"),
        (json!([1]), Type::Json, "an array"),
        (json!({"a": 1}), Type::Json, "an object"),
        (json!(null), Type::Json, "null"),
    ] {
        let findings = found(|row| drop(row.insert("newField".into(), value.clone())));
        assert_eq!(findings.len(), 1, "{findings:#?}");
        is(&findings[0], Drift::New, "new_field", "newField", words);
        assert_eq!(findings[0].ty, Some(ty));
    }
    // The wall clock has no zone, whatever its text says.
    let local = json!("2026-10-01T08:00:00Z");
    let findings = found(|row| drop(row.insert("newLocal".into(), local.clone())));
    assert_eq!(findings[0].ty, Some(Type::LocalTimestamp));
}

#[test]
fn several_kinds_of_values_are_all_named() {
    let row = |value: Value| {
        let mut row = project();
        row.insert("newField".into(), value);
        row
    };
    let sample = projects(&[row(json!(1)), row(json!("x")), row(json!(null)), project()]);
    let findings = compare(resource("projects"), &sample, &imported(resource("projects")));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let words = "a number or a string or null in 3 of 4 rows";
    is(&findings[0], Drift::New, "new_field", "newField", words);
    assert_eq!(findings[0].ty, Some(Type::Json));
}

#[test]
fn an_unknown_property_of_an_object_in_the_row_is_new() {
    let findings = found(|row| {
        row["company"].as_object_mut().unwrap().insert("vatId".into(), json!("DE1"));
    });
    assert_eq!(findings.len(), 1, "{findings:#?}");
    is(&findings[0], Drift::New, "company_vat_id", "company/vatId", "a string");
}

#[test]
fn a_property_that_a_column_shows_already_is_not_new() {
    let mut row = project();
    row.insert("newField".into(), json!(1));
    let mut table = imported(resource("projects"));
    table.push(column("mine", &["newField"], Kind::Text));
    assert_eq!(compare(resource("projects"), &projects(&[row]), &table), []);
}

#[test]
fn a_new_column_gets_a_name_that_is_free() {
    let findings = found(|row| {
        row.insert("attrs".into(), json!(1));
        row.insert("Attrs".into(), json!(1));
        row.insert(format!("x{}", "ä".repeat(50)), json!(1));
    });
    let names: Vec<_> = findings.iter().map(|f| f.column.clone().unwrap()).collect();
    assert_eq!(names[..2], ["attrs_2", "attrs_3"]);
    assert!(names[2].len() <= LONGEST_NAME && names[2].starts_with("xä"), "{names:?}");
}

#[test]
fn what_no_option_can_name_is_new_without_a_column() {
    for name in ["", "a/b", "a\u{0}b"] {
        let findings = found(|row| drop(row.insert(name.into(), json!(1))));
        assert_eq!((findings[0].drift, &findings[0].column), (Drift::New, &None));
        assert!(!findings[0].field.as_ref().unwrap().contains('\u{0}'));
        // PostgreSQL's jsonb has no NUL, not even in a name.
        let others: Vec<_> = findings[1..].iter().map(|f| f.column.as_deref()).collect();
        assert_eq!(others, if name.contains('\u{0}') { vec![Some("attrs")] } else { vec![] });
    }
}

#[test]
fn very_many_new_properties_are_cut_short() {
    let findings = found(|row| {
        for i in 0..MOST_NEW + 5 {
            row.insert(format!("new{i}"), json!(i));
        }
    });
    assert_eq!(findings.len(), MOST_NEW + 1);
    assert!(findings[MOST_NEW].message.contains("5 more properties"));
}

#[test]
fn a_property_in_no_row_is_gone() {
    let findings = found(|row| drop(row.remove("timeBudget")));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let words = "in none of 2 rows: it may be gone, or null everywhere";
    is(&findings[0], Drift::Gone, "time_budget", "timeBudget", words);
    // In one of the rows is enough.
    let mut without = project();
    without.remove("timeBudget");
    let sample = projects(&[without, project()]);
    assert_eq!(compare(resource("projects"), &sample, &imported(resource("projects"))), []);
}

#[test]
fn a_part_of_an_object_is_gone_where_the_object_comes_without_it() {
    let table = [column("client", &["company", "name"], Kind::Text)];
    let of = |company: Value| {
        let mut row = project();
        row.insert("company".into(), company);
        compare(resource("projects"), &projects(&[row]), &table)
    };
    let findings = of(json!({"id": "6f9619ff-8b86-d011-b42d-00c04fc964ff"}));
    is(&findings[0], Drift::Gone, "client", "company/name", "none of 1 rows");
    // Nothing can be said where no row has the object.
    assert_eq!(of(Value::Null), []);
    let mut row = project();
    row.remove("company");
    let findings = compare(resource("projects"), &projects(&[row]), &table);
    is(&findings[0], Drift::Gone, "client", "company", "none of 1 rows");
}

#[test]
fn what_is_worked_out_is_gone_with_either_of_its_properties() {
    let entries = resource("time_entries");
    let mut row = whole(model(entries).unwrap(), 0);
    row.remove("startDateUtc");
    let sample = Sample::new(entries, &serde_json::to_vec(&[row]).unwrap()).unwrap();
    let findings = compare(entries, &sample, &imported(entries));
    let columns: Vec<_> = findings.iter().map(|f| f.column.clone().unwrap()).collect();
    assert_eq!(columns, ["start_date_utc", "started_at"]);
}

#[test]
fn a_value_that_does_not_fit_its_column_is_changed() {
    for (property, value, column, words) in [
        ("timeBudget", json!("12"), "time_budget", "value \"12\" of the object"),
        ("timeBudget", json!(3_000_000_000_u64), "time_budget", "out of range"),
        ("createdOn", json!("soon"), "created_on", "does not have the form"),
        ("isPrivate", json!("yes"), "is_private", "a query that reads it fails"),
    ] {
        let findings = found(|row| drop(row.insert(property.into(), value.clone())));
        assert_eq!(findings.len(), 1, "{findings:#?}");
        is(&findings[0], Drift::Changed, column, property, words);
    }
}

#[test]
fn the_columns_own_type_decides_what_fits() {
    let mut row = project();
    row.insert("timeBudget".into(), json!(3_000_000_000_u64));
    let of = |kind: Kind| {
        let table = [column("seconds", &["timeBudget"], kind)];
        compare(resource("projects"), &projects(std::slice::from_ref(&row)), &table).len()
    };
    assert_eq!(of(Kind::Int { bits: 32 }), 1);
    assert_eq!(of(Kind::Int { bits: 64 }), 0);
}

#[test]
fn an_array_that_became_an_object_is_changed() {
    let findings = found(|row| drop(row.insert("tags".into(), json!({"a": 1}))));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let words = "an object where the specification has an array";
    is(&findings[0], Drift::Changed, "tags", "tags", words);
    // Text can show a number, but it is not what awork promises.
    let findings = found(|row| drop(row.insert("name".into(), json!(5))));
    is(
        &findings[0],
        Drift::Changed,
        "name",
        "name",
        "a number where the specification has a string",
    );
    // An object that became a string has no parts any more.
    let findings = found(|row| drop(row.insert("company".into(), json!("flat"))));
    assert!(findings.iter().all(|f| f.drift == Drift::Changed), "{findings:#?}");
    let columns: Vec<_> = findings.iter().map(|f| f.column.as_deref().unwrap()).collect();
    assert!(columns.contains(&"company") && columns.contains(&"company_name"), "{columns:?}");
}

#[test]
fn null_is_changed_only_where_the_specification_could_have_said_it() {
    let projects = model(resource("projects")).unwrap();
    assert!(!projects.property("isPrivate").unwrap().nullable);
    assert!(projects.property("timeBudget").unwrap().nullable);
    let findings = found(|row| drop(row.insert("isPrivate".into(), Value::Null)));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    is(&findings[0], Drift::Changed, "is_private", "isPrivate", "null in 2 of 2 rows");
    for name in ["timeBudget", "company"] {
        assert_eq!(found(|row| drop(row.insert(name.into(), Value::Null))), []);
    }
}

#[test]
fn a_column_that_stands_for_nothing_is_gone() {
    let table = [Shown { name: "odd".into(), source: None, kind: Kind::Text }];
    let findings = compare(resource("projects"), &projects(&[project()]), &table);
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].drift, findings[0].column.as_deref()), (Drift::Gone, Some("odd")));
}

#[test]
fn no_rows_say_nothing() {
    let findings = compare(resource("projects"), &projects(&[]), &imported(resource("projects")));
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].drift, &findings[0].column), (Drift::Unchecked, &None));
}

#[test]
fn answers_that_are_no_list_of_objects() {
    let of = |name: &str, body: &str| Sample::new(resource(name), body.as_bytes());
    let drift = |name: &str, body: &str| of(name, body).unwrap_err();
    let finding = drift("projects", "{\"data\": []}");
    assert_eq!(finding.drift, Drift::Changed);
    assert!(finding.message.contains("an object, not with a list"), "{finding:?}");
    assert_eq!(drift("projects", "[1]").drift, Drift::Changed);
    assert_eq!(drift("projects", "[null]").drift, Drift::Changed);
    for malformed in ["", "<html>secret</html>", "[{\"id\":", "[]]"] {
        let finding = drift("projects", malformed);
        assert_eq!(finding.drift, Drift::Unchecked, "{malformed}");
        assert!(!finding.message.contains("secret"));
    }
    assert!(of("me", "null").unwrap().rows().is_empty());
    assert_eq!(drift("me", "[]").drift, Drift::Changed);
    assert_eq!(of("company_industries", "[\"a\"]").map(|s| s.rows().len()), Ok(1));
}

#[test]
fn only_the_first_rows_are_looked_at() {
    let body = serde_json::to_vec(&vec![project(); MOST_ROWS + 1]).unwrap();
    let sample = Sample::new(resource("projects"), &body).unwrap();
    assert_eq!(sample.rows().len(), MOST_ROWS);
}

#[test]
fn statuses_say_what_became_of_a_path() {
    let of = |name: &str, kind: ErrorKind, keys: usize| {
        refused(resource(name), &Error::new(kind, "why").detail("Request."), keys)
    };
    for (kind, keys, drift) in [
        (ErrorKind::NotFound, 0, Drift::Gone),
        (ErrorKind::NoSuchObject, 0, Drift::Gone),
        (ErrorKind::NoSuchObject, 3, Drift::Gone),
        (ErrorKind::PermissionDenied, 0, Drift::Gone),
        (ErrorKind::RefusedRequest, 0, Drift::Changed),
        (ErrorKind::BadReply, 0, Drift::Unchecked),
        (ErrorKind::TooLarge, 0, Drift::Unchecked),
        (ErrorKind::Blocked, 0, Drift::Unchecked),
    ] {
        assert_eq!(of("projects", kind, keys).drift, drift, "{kind:?}");
    }
    // An object that is not there may never have been.
    assert_eq!(of("user_capacities", ErrorKind::NoSuchObject, 3).drift, Drift::Unchecked);
    assert_eq!(of("projects", ErrorKind::BadReply, 0).message, "why. Request");
}
