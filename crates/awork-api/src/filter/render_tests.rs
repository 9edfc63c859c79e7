use super::*;
use crate::filter::testing::*;
use crate::filter::{Condition, Exactness, classify};
use crate::rows::time;

const ID: &str = "guid'01010101-0101-0101-0101-010101010101'";

/// What is sent of a condition that is classified as remote, `never`, `always` or `unsaid`; with
/// `~` before it where the filter is wider than what its classification says.
fn said_of(condition: &Condition, values: &[Value]) -> String {
    let classified = classify(condition);
    let remote = classified.remote.unwrap_or_else(|| panic!("{:?}", classified.reasons));
    let (said, complete) = render(&remote, values);
    let text = match said {
        Said::Never => "never".to_owned(),
        Said::Always => "always".to_owned(),
        Said::Unsaid => "unsaid".to_owned(),
        Said::Text(conjunct) => conjunct.alternatives.join(" | "),
    };
    if complete { text } else { format!("~{text}") }
}

fn said(leaf: Leaf) -> String {
    said_of(&Condition::Leaf(leaf), &[])
}

fn compared(field: &Field, comparison: Comparison, value: Value) -> String {
    // A value is said alike whether the plan or the query has it.
    let late = Leaf::Compare(field.clone(), comparison, Operand::Expression(1));
    let late = said_of(&Condition::Leaf(late), &[Value::Other, value.clone()]);
    let early = said(Leaf::Compare(field.clone(), comparison, constant(value)));
    assert_eq!(early, late);
    early
}

fn array(values: Vec<Value>) -> Operand {
    constant(Value::Array(values))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn at(text: &str) -> Value {
    Value::Timestamp(time::instant(text.as_bytes()).unwrap())
}

use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};

#[test]
fn uuids_and_booleans() {
    let id = field("time_entries", "projectId", ColumnType::Uuid);
    assert_eq!(compared(&id, Eq, uuid(1)), format!("projectId eq {ID}"));
    assert_eq!(compared(&id, Ne, uuid(1)), format!("(projectId ne {ID} and projectId ne null)"));
    let never_null = field("time_entries", "id", ColumnType::Uuid);
    assert_eq!(compared(&never_null, Ne, uuid(1)), format!("id ne {ID}"));
    let billable = field("time_entries", "isBillable", ColumnType::Boolean);
    assert_eq!(compared(&billable, Eq, Value::Bool(true)), "isBillable eq true");
    assert_eq!(compared(&billable, Ne, Value::Bool(true)), "isBillable eq false");
    let by_default = field("projects", "isBillableByDefault", ColumnType::Boolean);
    assert_eq!(compared(&by_default, Ne, Value::Bool(false)), "isBillableByDefault eq true");
    for comparison in [Eq, Ne] {
        assert_eq!(compared(&id, comparison, Value::Null), "never");
        assert_eq!(compared(&id, comparison, Value::Other), "~unsaid");
    }
}

#[test]
fn whole_numbers_against_any_number() {
    let number = field("time_entries", "duration", ColumnType::Integer);
    let of = |comparison, value: Value| compared(&number, comparison, value);
    for comparison in [Eq, Lt, Le, Gt, Ge] {
        let word = comparison.word();
        assert_eq!(of(comparison, Value::Int(-5)), format!("duration {word} -5"));
        assert_eq!(of(comparison, Value::Float(3.0)), format!("duration {word} 3"));
        let zeros = Value::Numeric("7.000".into());
        assert_eq!(of(comparison, zeros), format!("duration {word} 7"));
    }
    assert_eq!(of(Ne, Value::Int(5)), "(duration ne 5 and duration ne null)");
    for (value, floor) in [
        (Value::Float(2.5), 2),
        (Value::Numeric("2.5".into()), 2),
        (Value::Float(-2.5), -3),
        (Value::Numeric("-2.5".into()), -3),
        (Value::Numeric("-0.5".into()), -1),
    ] {
        assert_eq!(of(Eq, value.clone()), "never");
        assert_eq!(of(Ne, value.clone()), "duration ne null");
        assert_eq!(of(Lt, value.clone()), format!("duration le {floor}"));
        assert_eq!(of(Le, value.clone()), format!("duration le {floor}"));
        assert_eq!(of(Gt, value.clone()), format!("duration gt {floor}"));
        assert_eq!(of(Ge, value), format!("duration gt {floor}"));
    }
    for comparison in [Eq, Ne, Lt, Le, Gt, Ge] {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e18] {
            assert_eq!(of(comparison, Value::Float(value)), "~unsaid");
        }
        for value in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(of(comparison, Value::Numeric(value.into())), "~unsaid");
        }
    }
}

#[test]
fn whole_numbers_out_of_range() {
    let number = field("time_entries", "duration", ColumnType::Integer);
    let of = |comparison, value| compared(&number, comparison, Value::Int(value));
    let (above, below) = (1 << 31, -(1 << 31) - 1);
    assert_eq!(of(Eq, above), "~unsaid");
    assert_eq!(of(Ne, above), "~unsaid");
    assert_eq!(of(Gt, above), "~unsaid");
    assert_eq!(of(Ge, above), "~unsaid");
    assert_eq!(of(Lt, above), "~unsaid");
    assert_eq!(of(Le, above), "~unsaid");
    assert_eq!(of(Lt, below), "~unsaid");
    assert_eq!(of(Le, below), "~unsaid");
    assert_eq!(of(Gt, below), "~unsaid");
    assert_eq!(of(Ge, below), "~unsaid");
    assert_eq!(of(Le, i32::MAX.into()), "duration le 2147483647");
    assert_eq!(of(Ge, i32::MIN.into()), "duration ge -2147483648");
    let big = field("projects", "plannedDuration", ColumnType::Integer);
    assert_eq!(compared(&big, Lt, Value::Int(above)), "plannedDuration lt 2147483648L");
    let huge = Value::Numeric("9223372036854775808".into());
    assert_eq!(compared(&big, Eq, huge.clone()), "~unsaid");
    assert_eq!(compared(&big, Gt, huge.clone()), "~unsaid");
    assert_eq!(compared(&big, Lt, huge), "~unsaid");
    // The least that the arithmetic holds, and a half less.
    let least = Value::Numeric(format!("{}.5", i128::MIN));
    assert_eq!(compared(&big, Gt, least), "~unsaid");
}

#[test]
fn floats_are_widened() {
    let order = field("tasks", "order", ColumnType::Float);
    let between = "order ge 0.4999999490000000";
    let said = compared(&order, Eq, Value::Float(0.5));
    assert!(said.starts_with(&format!("({}", &between[..20])), "{said}");
    assert!(compared(&order, Lt, Value::Float(1.0)).starts_with("order le 1.0000001"));
    assert!(compared(&order, Gt, Value::Int(1)).starts_with("order ge 0.9999998"));
    assert!(compared(&order, Ge, Value::Numeric("-1".into())).starts_with("order ge -1.0000001"));
    for value in [f64::NAN, f64::INFINITY, 1e300] {
        assert_eq!(compared(&order, Lt, Value::Float(value)), "~unsaid");
    }
}

#[test]
fn times_with_a_fraction_are_widened_to_seconds() {
    let created = field("tasks", "createdOn", ColumnType::Timestamp);
    let of = |comparison, text| compared(&created, comparison, at(text));
    // Half a microsecond may have been rounded away.
    assert_eq!(
        of(Eq, "2026-03-01T10:00:00Z"),
        "(createdOn ge datetime'2026-03-01T09:59:59' and createdOn le datetime'2026-03-01T10:00:01')"
    );
    assert_eq!(
        of(Eq, "2026-03-01T10:00:00.5Z"),
        "(createdOn ge datetime'2026-03-01T10:00:00' and createdOn le datetime'2026-03-01T10:00:01')"
    );
    assert_eq!(of(Lt, "2026-03-01T10:00:00.5Z"), "createdOn le datetime'2026-03-01T10:00:01'");
    assert_eq!(of(Le, "2026-03-01T10:00:00.999999Z"), "createdOn le datetime'2026-03-01T10:00:01'");
    assert_eq!(of(Gt, "2026-03-01T10:00:00.5Z"), "createdOn ge datetime'2026-03-01T10:00:00'");
    assert_eq!(of(Ge, "2026-03-01T00:00:00Z"), "createdOn ge datetime'2026-02-28T23:59:59'");
    assert_eq!(of(Lt, "1999-12-31T23:59:59.5Z"), "createdOn le datetime'2000-01-01T00:00:00'");
}

#[test]
fn times_in_whole_seconds_are_exact() {
    let start = field("time_entries", "startDateUtc", ColumnType::Timestamp);
    let of = |comparison, text| compared(&start, comparison, at(text));
    for comparison in [Eq, Lt, Le, Gt, Ge] {
        let word = comparison.word();
        assert_eq!(
            of(comparison, "2026-03-01T00:00:00Z"),
            format!("startDateUtc {word} datetime'2026-03-01T00:00:00'")
        );
    }
    assert_eq!(
        of(Ne, "2026-03-01T00:00:00Z"),
        "(startDateUtc ne datetime'2026-03-01T00:00:00' and startDateUtc ne null)"
    );
    let between = "2026-03-01T00:00:00.5Z";
    assert_eq!(of(Eq, between), "never");
    assert_eq!(of(Ne, between), "startDateUtc ne null");
    assert_eq!(of(Lt, between), "startDateUtc lt datetime'2026-03-01T00:00:01'");
    assert_eq!(of(Le, between), "startDateUtc le datetime'2026-03-01T00:00:00'");
    assert_eq!(of(Gt, between), "startDateUtc gt datetime'2026-03-01T00:00:00'");
    assert_eq!(of(Ge, between), "startDateUtc ge datetime'2026-03-01T00:00:01'");
    let local = field("time_entries", "startDateLocal", ColumnType::Timestamp);
    assert_eq!(
        compared(&local, Ge, at("2026-03-01T00:00:00Z")),
        "startDateLocal ge datetime'2026-03-01T00:00:00'"
    );
}

#[test]
fn infinities_and_dates_before_christ_are_not_said() {
    let created = field("tasks", "createdOn", ColumnType::Timestamp);
    let day = field("tasks", "createdOn", ColumnType::Date);
    let start = field("time_entries", "startDateUtc", ColumnType::Timestamp);
    let bc = -63_113_904_000_000_000 - 86_400_000_000;
    for comparison in [Eq, Lt, Le, Gt, Ge] {
        for value in [i64::MAX, i64::MIN, bc] {
            assert_eq!(compared(&created, comparison, Value::Timestamp(value)), "~unsaid");
            assert_eq!(compared(&started_at(), comparison, Value::Timestamp(value)), "~unsaid");
        }
        for value in [i32::MAX, i32::MIN, -730_500] {
            assert_eq!(compared(&day, comparison, Value::Date(value)), "~unsaid");
        }
    }
    assert_eq!(compared(&start, Lt, Value::Timestamp(bc)), "~unsaid");
    assert_eq!(compared(&start, Lt, Value::Timestamp(i64::MAX)), "~unsaid");
    // A value of another type than the column has was not converted.
    assert_eq!(compared(&created, Eq, Value::Date(0)), "~unsaid");
    assert_eq!(compared(&day, Eq, Value::Timestamp(0)), "~unsaid");
}

#[test]
fn days() {
    let (day, next) = ("datetime'2000-01-02T00:00:00'", "datetime'2000-01-03T00:00:00'");
    let instant = field("time_entries", "startDateUtc", ColumnType::Date);
    let date = field("time_bookings", "startDate", ColumnType::Date);
    for (comparison, word, bound) in
        [(Lt, "lt", day), (Le, "lt", next), (Gt, "ge", next), (Ge, "ge", day)]
    {
        assert_eq!(
            compared(&instant, comparison, Value::Date(1)),
            format!("startDateUtc {word} {bound}")
        );
        assert_eq!(
            compared(&date, comparison, Value::Date(1)),
            format!("startDate {word} {bound}")
        );
    }
    assert_eq!(
        compared(&instant, Eq, Value::Date(1)),
        format!("(startDateUtc ge {day} and startDateUtc lt {next})")
    );
    assert_eq!(compared(&instant, Ne, Value::Date(1)), "~unsaid");
    assert_eq!(compared(&date, Eq, Value::Date(1)), format!("startDate eq {day}"));
    assert_eq!(compared(&date, Ne, Value::Date(1)), format!("startDate ne {day}"));
    // A date that is shown as a time has no fraction of a second either.
    let as_time = field("time_bookings", "startDate", ColumnType::Timestamp);
    assert_eq!(compared(&as_time, Le, at("2000-01-02T00:00:00Z")), format!("startDate le {day}"));
    assert_eq!(compared(&as_time, Eq, at("2000-01-02T00:00:00.5Z")), "never");
}

#[test]
fn texts() {
    let note = field("time_entries", "note", ColumnType::Text);
    let of = |value: &str| compared(&note, Eq, text(value));
    assert_eq!(of("O'Hara"), "note eq 'O''Hara'");
    assert_eq!(of("a "), "note eq 'a '");
    assert_eq!(of(""), "note eq ''");
    assert_eq!(of(r"a\b"), "~unsaid");
    assert_eq!(of("a\tb"), "~unsaid");
    assert_eq!(of(&"x".repeat(301)), "~unsaid");
    assert_eq!(of("x eq 'y' or z"), "note eq 'x eq ''y'' or z'");

    let like = |pattern: &str| {
        said_of(
            &Condition::Leaf(Leaf::Like(note.clone(), Operand::Expression(0))),
            &[text(pattern)],
        )
    };
    assert_eq!(like("a%"), "startswith(note,'a')");
    assert_eq!(like("%a"), "endswith(note,'a')");
    assert_eq!(like("%a'b%"), "substringof('a''b',note)");
    assert_eq!(like("a_b"), "(startswith(note,'a') and endswith(note,'b'))");
    assert_eq!(like("a"), "note eq 'a'");
    assert_eq!(like("a %"), "startswith(note,'a')");
    assert_eq!(like("% a "), "always");
    assert_eq!(like("%"), "always");
    assert_eq!(like(r"50\%%"), "startswith(note,'50%')");
    assert_eq!(like(r"a\\%"), "~unsaid");
    assert_eq!(like(r"a\\%b"), "~endswith(note,'b')");
    assert_eq!(like(r"a\"), "~unsaid");
    let null = Condition::Leaf(Leaf::Like(note.clone(), Operand::Expression(0)));
    assert_eq!(said_of(&null, &[Value::Null]), "never");

    let begins = |prefix| said(Leaf::StartsWith(note.clone(), constant(prefix)));
    assert_eq!(begins(text("100%_")), "startswith(note,'100%_')");
    assert_eq!(begins(text("a ")), "startswith(note,'a')");
    assert_eq!(begins(text("")), "note ne null");
    assert_eq!(begins(text("  ")), "note ne null");
    assert_eq!(begins(Value::Null), "never");
}

#[test]
fn nulls() {
    let project = field("time_entries", "projectId", ColumnType::Uuid);
    assert_eq!(said(Leaf::Null(project.clone(), true)), "projectId eq null");
    assert_eq!(said(Leaf::Null(project, false)), "projectId ne null");
    let id = field("time_entries", "id", ColumnType::Uuid);
    assert_eq!(said(Leaf::Null(id, false)), "always");
    let time = field("time_entries", "startTimeUtc", ColumnType::Other);
    assert_eq!(said(Leaf::Null(time, true)), "startTimeUtc eq null");
    let nested = field("time_entries", "project/name", ColumnType::Text);
    assert_eq!(said(Leaf::Null(nested, false)), "project/name ne null");
}

#[test]
fn distinct_or_not() {
    let project = field("time_entries", "projectId", ColumnType::Uuid);
    let same = |field: &Field, value: Value, same| {
        said_of(&Condition::Leaf(Leaf::Same(field.clone(), Operand::Expression(0), same)), &[value])
    };
    assert_eq!(same(&project, uuid(1), true), format!("projectId eq {ID}"));
    assert_eq!(same(&project, uuid(1), false), format!("(projectId ne {ID} or projectId eq null)"));
    assert_eq!(same(&project, Value::Null, true), "projectId eq null");
    assert_eq!(same(&project, Value::Null, false), "projectId ne null");
    let id = field("time_entries", "id", ColumnType::Uuid);
    assert_eq!(same(&id, uuid(1), false), format!("id ne {ID}"));
    let duration = field("time_entries", "duration", ColumnType::Integer);
    assert_eq!(same(&duration, Value::Float(0.5), true), "never");
    assert_eq!(same(&duration, Value::Float(0.5), false), "always");
    // A missing object has no name, and awork may see no null there.
    let nested = field("time_entries", "project/name", ColumnType::Text);
    assert_eq!(same(&nested, text("x"), true), "project/name eq 'x'");
    assert_eq!(same(&nested, Value::Null, true), "~unsaid");
    assert_eq!(same(&started_at(), Value::Null, true), "~unsaid");
    assert_eq!(same(&is_running(), Value::Null, true), "never");
    assert_eq!(same(&is_running(), Value::Null, false), "always");
}

#[test]
fn arrays() {
    let id = field("time_entries", "projectId", ColumnType::Uuid);
    let any = |field: &Field, values| said(Leaf::AnyOf(field.clone(), array(values)));
    let none = |field: &Field, values| said(Leaf::NoneOf(field.clone(), array(values)));
    let two = "guid'02020202-0202-0202-0202-020202020202'";
    assert_eq!(
        any(&id, vec![uuid(2), Value::Null, uuid(1), uuid(2)]),
        format!("projectId eq {ID} | projectId eq {two}")
    );
    assert_eq!(any(&id, vec![]), "never");
    assert_eq!(any(&id, vec![Value::Null]), "never");
    assert_eq!(any(&id, vec![uuid(1), Value::Other]), "~unsaid");
    assert_eq!(said(Leaf::AnyOf(id.clone(), constant(Value::Null))), "never");
    assert_eq!(
        none(&id, vec![uuid(1), uuid(2)]),
        format!(
            "((projectId ne {ID} and projectId ne null) and (projectId ne {two} and projectId ne null))"
        )
    );
    // A null among the values leaves it unknown; no values at all are unequal even to null.
    assert_eq!(none(&id, vec![uuid(1), Value::Null]), "never");
    assert_eq!(none(&id, vec![]), "always");
    assert_eq!(said(Leaf::NoneOf(id.clone(), constant(Value::Null))), "never");
    assert_eq!(
        none(&id, vec![uuid(1), Value::Other]),
        format!("~(projectId ne {ID} and projectId ne null)")
    );
    let duration = field("time_entries", "duration", ColumnType::Integer);
    assert_eq!(any(&duration, vec![Value::Int(1), Value::Int(1 << 40)]), "~unsaid");
    assert_eq!(any(&duration, vec![Value::Float(0.5)]), "never");
}

#[test]
fn what_may_satisfy_two_alternatives_overlaps() {
    let overlaps = |field: &Field, values| {
        let leaf = Leaf::AnyOf(field.clone(), array(values));
        match render(&Remote::Leaf(leaf), &[]).0 {
            Said::Text(conjunct) => {
                assert!(conjunct.alternatives.len() > 1, "{conjunct:?}");
                conjunct.overlapping
            }
            said => panic!("{said:?}"),
        }
    };
    let times = || vec![Value::Timestamp(0), Value::Timestamp(1_000_000)];
    let id = field("time_entries", "id", ColumnType::Uuid);
    assert!(!overlaps(&id, vec![uuid(1), uuid(2)]));
    assert!(!overlaps(&field("time_entries", "startDateUtc", ColumnType::Timestamp), times()));
    let day = field("tasks", "createdOn", ColumnType::Date);
    assert!(!overlaps(&day, vec![Value::Date(1), Value::Date(2)]));
    assert!(overlaps(&field("tasks", "createdOn", ColumnType::Timestamp), times()));
    assert!(overlaps(&started_at(), vec![Value::Timestamp(0), Value::Timestamp(86_400_000_000)]));
    assert!(overlaps(&field("time_entries", "note", ColumnType::Text), vec![text("a"), text("A")]));
    let order = field("tasks", "order", ColumnType::Float);
    assert!(overlaps(&order, vec![Value::Float(1.0), Value::Float(1.0 + 1e-9)]));
}

#[test]
fn one_of_several_values_is_remembered_apart_from_one() {
    let id = field("time_entries", "projectId", ColumnType::Uuid);
    let signature = |values| {
        let leaf = Leaf::AnyOf(id.clone(), array(values));
        match render(&Remote::Leaf(leaf), &[]).0 {
            Said::Text(conjunct) => conjunct.signature,
            said => panic!("{said:?}"),
        }
    };
    assert_eq!(signature(vec![uuid(1)]), "projectId eq");
    assert_eq!(signature(vec![uuid(1), uuid(2)]), "projectId in");
}

#[test]
fn columns_of_two_properties() {
    let started = started_at();
    let of = |comparison, text| compared(&started, comparison, at(text));
    // Rounding may have moved the instant into the next day.
    assert_eq!(of(Ge, "2026-03-02T00:00:00Z"), "startDateUtc ge datetime'2026-03-01T00:00:00'");
    assert_eq!(of(Gt, "2026-03-02T10:00:00Z"), "startDateUtc ge datetime'2026-03-02T00:00:00'");
    assert_eq!(of(Lt, "2026-03-02T10:00:00Z"), "startDateUtc lt datetime'2026-03-03T00:00:00'");
    assert_eq!(
        of(Eq, "2026-03-02T10:00:00Z"),
        "(startDateUtc ge datetime'2026-03-02T00:00:00' and startDateUtc lt datetime'2026-03-03T00:00:00')"
    );
    assert_eq!(said(Leaf::Null(started, false)), "startTimeUtc ne null");

    let running = is_running();
    let is = "(startTimeUtc ne null and endTimeUtc eq null)";
    let is_not = "(startTimeUtc eq null or endTimeUtc ne null)";
    for (comparison, value, expected) in
        [(Eq, true, is), (Ne, false, is), (Eq, false, is_not), (Ne, true, is_not)]
    {
        assert_eq!(compared(&running, comparison, Value::Bool(value)), expected);
    }
    let both = vec![Value::Bool(true), Value::Bool(false)];
    assert_eq!(said(Leaf::NoneOf(running.clone(), array(both))), format!("({is_not} and {is})"));
    assert_eq!(said(Leaf::Null(running.clone(), true)), "never");
    assert_eq!(said(Leaf::Null(running, false)), "always");
}

#[test]
fn trees() {
    use Condition::{And, Or};
    let id = is(&field("time_entries", "projectId", ColumnType::Uuid), Eq, uuid(1));
    let number = field("projects", "plannedDuration", ColumnType::Integer);
    let long = || is(&number, Gt, Value::Int(5));
    let never = || is(&number, Eq, Value::Float(0.5));
    let always = || Condition::Leaf(Leaf::NoneOf(number.clone(), array(vec![])));
    let unsaid = || is(&number, Lt, Value::Float(f64::INFINITY));
    let of = |condition: Condition| said_of(&condition, &[]);
    let id = || id.clone();
    assert_eq!(
        of(And(vec![id(), long()])),
        format!("(projectId eq {ID} and plannedDuration gt 5)")
    );
    assert_eq!(of(Or(vec![id(), long()])), format!("(projectId eq {ID} or plannedDuration gt 5)"));
    assert_eq!(
        of(not(And(vec![not(id()), long()]))),
        format!("(projectId eq {ID} or plannedDuration le 5)")
    );
    assert_eq!(of(And(vec![id(), never()])), "never");
    assert_eq!(of(And(vec![unsaid(), never()])), "never");
    assert_eq!(of(And(vec![id(), always()])), format!("projectId eq {ID}"));
    assert_eq!(of(And(vec![id(), unsaid()])), format!("~projectId eq {ID}"));
    assert_eq!(of(Or(vec![id(), never()])), format!("projectId eq {ID}"));
    assert_eq!(of(Or(vec![id(), always()])), "always");
    assert_eq!(of(Or(vec![id(), unsaid()])), "~unsaid");
    assert_eq!(of(Or(vec![never(), never()])), "never");
    assert_eq!(
        of(Or(vec![And(vec![id(), unsaid()]), long()])),
        format!("~(projectId eq {ID} or plannedDuration gt 5)")
    );
    // A list of values within a tree is written out.
    let list =
        Condition::Leaf(Leaf::AnyOf(number.clone(), array(vec![Value::Int(1), Value::Int(2)])));
    assert_eq!(
        of(And(vec![id(), list])),
        format!("(projectId eq {ID} and (plannedDuration eq 1 or plannedDuration eq 2))")
    );
}

#[test]
fn an_exact_condition_is_not_exact_where_a_value_cannot_be_said() {
    let id = field("time_entries", "projectId", ColumnType::Uuid);
    let classified = classify(&is(&id, Eq, Value::Other));
    assert_eq!(classified.exactness, Exactness::Exact);
    assert_eq!(render(&classified.remote.unwrap(), &[]), (Said::Unsaid, false));
    // An expression that the plan does not have.
    let missing = Leaf::Compare(id, Eq, Operand::Expression(3));
    assert_eq!(render(&Remote::Leaf(missing), &[uuid(1)]), (Said::Unsaid, false));
}
