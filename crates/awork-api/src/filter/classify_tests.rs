use super::*;
use crate::catalogue::Catalogue;
use crate::catalogue::columns::Source;
use crate::filter::testing::*;

use Exactness::{Exact, Superset};

/// What becomes of a condition that is one test: how exact it is, or why it is local.
fn outcome(condition: &Condition) -> Result<Exactness, String> {
    let classified = classify(condition);
    match classified.remote {
        Some(_) => Ok(classified.exactness),
        None => Err(classified.reasons[0].why.clone()),
    }
}

/// Every test of a column that takes one value, with what becomes of it.
fn all_of(field: &Field, value: Value) -> Vec<Result<Exactness, String>> {
    let array = Operand::Constant(Value::Array(vec![value.clone()]));
    let value = Operand::Constant(value);
    let f = || field.clone();
    [
        Leaf::Compare(f(), Comparison::Eq, value.clone()),
        Leaf::Compare(f(), Comparison::Ne, value.clone()),
        Leaf::Compare(f(), Comparison::Lt, value.clone()),
        Leaf::Compare(f(), Comparison::Le, value.clone()),
        Leaf::Compare(f(), Comparison::Gt, value.clone()),
        Leaf::Compare(f(), Comparison::Ge, value.clone()),
        Leaf::Same(f(), value.clone(), true),
        Leaf::Same(f(), value, false),
        Leaf::AnyOf(f(), array.clone()),
        Leaf::NoneOf(f(), array),
        Leaf::Null(f(), true),
        Leaf::Null(f(), false),
    ]
    .map(|leaf| outcome(&Condition::Leaf(leaf)))
    .to_vec()
}

/// As [`all_of`] with each reason by its first letters: `E`xact, `s`uperset, or why not.
fn pattern(field: &Field, value: Value) -> String {
    all_of(field, value)
        .into_iter()
        .map(|outcome| match outcome {
            Ok(Exact) => "E",
            Ok(Superset) => "s",
            Err(why) => match why.as_str() {
                COMPUTED => "computed",
                NEGATED_TEXT => "case",
                ORDER => "order",
                FRACTION => "fraction",
                NESTED_NULL => "nested",
                NEVER_NULL => "never",
                STRUCTURE => "structure",
                other => panic!("{other}"),
            },
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_test_of_every_kind_of_column() {
    use ColumnType as Column;
    let at = || Value::Timestamp(0);
    let text = || Value::Text("x".into());
    for (name, path, column, value, expected) in [
        // The order: = <> < <= > >= SAME DISTINCT ANY NONE NULL NOTNULL.
        (
            "time_entries",
            "projectId",
            Column::Uuid,
            uuid(1),
            "E E order order order order E E E E E E",
        ),
        (
            "time_entries",
            "id",
            Column::Uuid,
            uuid(1),
            "E E order order order order E E E E never s",
        ),
        (
            "time_entries",
            "isBillable",
            Column::Boolean,
            Value::Bool(true),
            "E E order order order order E E E E never s",
        ),
        // Nobody knows whether awork filters by these.
        (
            "projects",
            "isBillableByDefault",
            Column::Boolean,
            Value::Bool(true),
            "s s order order order order s s s s s s",
        ),
        ("time_entries", "duration", Column::Integer, Value::Int(1), "s s s s s s s s s s s s"),
        ("projects", "plannedDuration", Column::Integer, Value::Int(1), "E E E E E E E E E E E E"),
        ("projects", "plannedDuration", Column::Numeric, Value::Int(1), "E E E E E E E E E E E E"),
        (
            "tasks",
            "subtaskOrder",
            Column::Float,
            Value::Float(1.0),
            "s fraction s s s s s fraction s fraction s s",
        ),
        (
            "tasks",
            "createdOn",
            Column::Timestamp,
            at(),
            "s fraction s s s s s fraction s fraction never s",
        ),
        (
            "tasks",
            "createdOn",
            Column::Date,
            Value::Date(0),
            "s fraction s s s s s fraction s fraction never s",
        ),
        ("time_entries", "startDateUtc", Column::Timestamp, at(), "E E E E E E E E E E E E"),
        ("time_entries", "startDateUtc", Column::Date, Value::Date(0), "E E E E E E E E E E E E"),
        ("time_entries", "startDateLocal", Column::Timestamp, at(), "E E E E E E E E E E E E"),
        ("time_bookings", "startDate", Column::Date, Value::Date(0), "s s s s s s s s s s never s"),
        (
            "time_entries",
            "startTimeUtc",
            Column::Other,
            Value::Other,
            "structure structure structure structure structure structure structure structure structure structure E E",
        ),
        (
            "users",
            "lastName",
            Column::Text,
            text(),
            "s case order order order order s case s case E E",
        ),
        (
            "tasks",
            "name",
            Column::Text,
            text(),
            "s case order order order order s case s case never s",
        ),
        (
            "time_entries",
            "project/name",
            Column::Text,
            text(),
            "s case order order order order s nested s case nested s",
        ),
        (
            "time_entries",
            "project/id",
            Column::Uuid,
            uuid(1),
            "s s order order order order s nested s s nested s",
        ),
        (
            "time_entries",
            "resourceVersion",
            Column::Integer,
            Value::Int(1),
            "computed computed computed computed computed computed computed computed computed computed computed computed",
        ),
        (
            "time_entries",
            "project",
            Column::Other,
            Value::Other,
            "computed computed computed computed computed computed computed computed computed computed computed computed",
        ),
        // Declared as another type than the property has.
        (
            "time_entries",
            "projectId",
            Column::Text,
            text(),
            "structure structure structure structure structure structure structure structure structure structure E E",
        ),
        (
            "projects",
            "plannedDuration",
            Column::Float,
            Value::Float(1.0),
            "structure structure structure structure structure structure structure structure structure structure E E",
        ),
        (
            "time_entries",
            "duration",
            Column::Float,
            Value::Float(1.0),
            "structure structure structure structure structure structure structure structure structure structure s s",
        ),
    ] {
        assert_eq!(pattern(&field(name, path, column), value), expected, "{path} {column:?}");
    }
}

#[test]
fn columns_of_two_properties() {
    let at = Value::Timestamp(0);
    assert_eq!(pattern(&started_at(), at), "s fraction s s s s s fraction s fraction structure s");
    assert_eq!(
        pattern(&is_running(), Value::Bool(true)),
        "E E order order order order E E E E E E"
    );
    let wrong = Field { column: ColumnType::Date, ..started_at() };
    assert!(pattern(&wrong, Value::Date(0)).starts_with("structure structure"));
}

#[test]
fn patterns_and_prefixes_are_for_text() {
    let name = field("tasks", "name", ColumnType::Text);
    let like = |pattern: &str| Leaf::Like(name.clone(), constant(Value::Text(pattern.into())));
    assert_eq!(outcome(&Condition::Leaf(like("a%"))), Ok(Superset));
    assert_eq!(outcome(&Condition::Leaf(like("a"))), Ok(Superset));
    for nothing in ["%", "_", "%  %", r"a\"] {
        let why = outcome(&Condition::Leaf(like(nothing))).unwrap_err();
        assert!(why.contains("no part"), "{nothing}: {why}");
    }
    assert_eq!(
        outcome(&Condition::Leaf(Leaf::Like(name.clone(), Operand::Expression(0)))),
        Ok(Superset)
    );
    let prefix = Leaf::StartsWith(name.clone(), constant(Value::Text("a".into())));
    assert_eq!(outcome(&Condition::Leaf(prefix.clone())), Ok(Superset));
    for leaf in [like("a%"), prefix] {
        assert_eq!(outcome(&not(Condition::Leaf(leaf))), Err(NEGATED_TEXT.into()));
    }
    let id = field("tasks", "id", ColumnType::Uuid);
    let leaf = Leaf::StartsWith(id, constant(Value::Text("a".into())));
    assert_eq!(outcome(&Condition::Leaf(leaf)), Err(STRUCTURE.into()));
}

#[test]
fn a_property_that_nobody_knows_is_no_field() {
    let tasks = Catalogue::bundled().resource("tasks").unwrap();
    let source = Source::Field(vec!["nothing".into()]);
    assert!(Field::new(tasks, &source, ColumnType::Text).is_err());
    let users = Catalogue::bundled().resource("users").unwrap();
    assert!(Field::new(users, &Source::Parameter(0), ColumnType::Boolean).is_err());
}

fn local() -> Condition {
    Condition::Local(Reason { column: None, why: "whatever".into() })
}

fn exact() -> Condition {
    is(&field("time_entries", "projectId", ColumnType::Uuid), Comparison::Eq, uuid(1))
}

fn superset() -> Condition {
    let name = field("tasks", "name", ColumnType::Text);
    is(&name, Comparison::Eq, Value::Text("x".into()))
}

#[test]
fn trees_are_as_exact_as_their_parts() {
    use Condition::{And, Or};
    let of = |condition: Condition| outcome(&condition);
    assert_eq!(of(And(vec![exact(), exact()])), Ok(Exact));
    assert_eq!(of(And(vec![exact(), superset()])), Ok(Superset));
    assert_eq!(of(And(vec![exact(), local()])), Ok(Superset));
    assert_eq!(of(And(vec![local(), local()])), Err("whatever".into()));
    assert_eq!(of(Or(vec![exact(), exact()])), Ok(Exact));
    assert_eq!(of(Or(vec![exact(), superset()])), Ok(Superset));
    assert_eq!(of(Or(vec![exact(), local()])), Err("whatever".into()));
    assert_eq!(of(not(exact())), Ok(Exact));
    assert_eq!(of(not(not(superset()))), Ok(Superset));
    assert_eq!(of(not(superset())), Err(NEGATED_TEXT.into()));
    // NOT (a AND b) is NOT a OR NOT b.
    assert_eq!(of(not(And(vec![exact(), local()]))), Err("whatever".into()));
    assert_eq!(of(not(Or(vec![exact(), local()]))), Ok(Superset));
    assert_eq!(of(not(Or(vec![exact(), superset()]))), Ok(Superset));
    assert_eq!(of(not(And(vec![exact(), exact()]))), Ok(Exact));
}

#[test]
fn what_is_local_is_told_with_its_column() {
    let condition = Condition::And(vec![exact(), not(superset()), local()]);
    let classified = classify(&condition);
    let reasons: Vec<String> = classified.reasons.iter().map(Reason::to_string).collect();
    assert_eq!(
        reasons,
        ["name: awork may compare text without regard to case".to_owned(), "whatever".to_owned()]
    );
    assert_eq!(classified.remote.unwrap().leaves().len(), 1);
}

#[test]
fn negations_are_said_by_the_test() {
    let duration = field("projects", "plannedDuration", ColumnType::Integer);
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    for (comparison, negated) in [(Eq, Ne), (Ne, Eq), (Lt, Ge), (Le, Gt), (Gt, Le), (Ge, Lt)] {
        let remote = classify(&not(is(&duration, comparison, Value::Int(1)))).remote;
        assert_eq!(remote, classify(&is(&duration, negated, Value::Int(1))).remote);
    }
}

#[test]
fn signatures_have_no_values_and_no_order() {
    let signature = |condition: Condition| classify(&condition).remote.unwrap().signature();
    let id = field("time_entries", "projectId", ColumnType::Uuid);
    let one = is(&id, Comparison::Eq, uuid(1));
    let other = is(&id, Comparison::Eq, uuid(2));
    assert_eq!(signature(one.clone()), signature(other.clone()));
    assert_eq!(signature(one.clone()), "projectId eq");
    let null = Condition::Leaf(Leaf::Null(id.clone(), true));
    let both = |a: &Condition, b: &Condition| Condition::Or(vec![a.clone(), b.clone()]);
    assert_eq!(signature(both(&one, &null)), signature(both(&null, &other)));
    assert_eq!(signature(both(&one, &null)), "(projectId eq or projectId null)");
    assert_ne!(signature(both(&one, &null)), signature(Condition::And(vec![one, null])));
}

#[test]
fn what_is_fixed_and_what_excludes_nulls() {
    let id = field("time_entries", "projectId", ColumnType::Uuid);
    let remote = |condition: &Condition| classify(condition).remote.unwrap();
    let equal = is(&id, Comparison::Eq, uuid(1));
    assert_eq!(remote(&equal).fixed(), Some(("projectId", &constant(uuid(1)))));
    assert_eq!(remote(&is(&id, Comparison::Ne, uuid(1))).fixed(), None);

    let leaf = |leaf| Condition::Leaf(leaf);
    let array = |values| constant(Value::Array(values));
    for (condition, excludes) in [
        (equal.clone(), true),
        (is(&id, Comparison::Ne, uuid(1)), true),
        (leaf(Leaf::Null(id.clone(), false)), true),
        (leaf(Leaf::Null(id.clone(), true)), false),
        (leaf(Leaf::Same(id.clone(), Operand::Expression(0), true)), false),
        (leaf(Leaf::Same(id.clone(), constant(uuid(1)), false)), false),
        (leaf(Leaf::AnyOf(id.clone(), Operand::Expression(0))), true),
        (leaf(Leaf::NoneOf(id.clone(), array(vec![uuid(1)]))), true),
        // x <> ALL ('{}') is true also where x is null.
        (leaf(Leaf::NoneOf(id.clone(), array(vec![]))), false),
        (leaf(Leaf::NoneOf(id.clone(), Operand::Expression(0))), false),
        (Condition::Or(vec![equal.clone(), leaf(Leaf::Null(id.clone(), true))]), false),
        (Condition::And(vec![equal.clone(), leaf(Leaf::Null(id.clone(), true))]), true),
    ] {
        assert_eq!(remote(&condition).excludes_null("projectId"), excludes, "{condition:?}");
        assert!(!remote(&condition).excludes_null("taskId"));
    }
}
