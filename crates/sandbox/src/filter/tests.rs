//! The filter language against a small workspace.

use super::parse::{Atom, Expression, Literal, Operator, parse};
use super::*;
use crate::data::clock;
use crate::data::world::World;
use awork_api::catalogue::Catalogue;
use std::borrow::Cow;

const HABITS: Habits = Habits {
    case_sensitive: false,
    nulls_last: false,
    top_level_in: false,
    ne_excludes_null: false,
};

fn now() -> i64 {
    clock::parse("2026-10-15T09:00:00Z").unwrap()
}

fn parsed(text: &str) -> Result<Expression, Refusal> {
    parse(text, moment(now(), 7))
}

fn checked(model: &str, text: &str) -> Result<(), Refusal> {
    let expression = parsed(text)?;
    check::check(Catalogue::bundled(), model, &expression, HABITS, &Refused::default()).map(|_| ())
}

fn literal(text: &str) -> Literal {
    match parsed(&format!("x eq {text}")) {
        Ok(Expression::Compare(Operator::Eq, _, Atom::Literal(literal))) => literal,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn and_binds_tighter_than_or() {
    let Ok(Expression::Or(parts)) = parsed("a eq 1 or b eq 2 and c eq 3") else { panic!() };
    assert!(matches!(&parts[1], Expression::And(both) if both.len() == 2));
    let Ok(Expression::And(parts)) = parsed("(a eq 1 or b eq 2) and not (c eq 3)") else {
        panic!()
    };
    assert!(matches!(&parts[1], Expression::Not(_)));
}

#[test]
fn literals() {
    assert_eq!(literal("'O''Neill'"), Literal::Text("O'Neill".into()));
    assert_eq!(literal(r"'a\\b\n\u00e4\101'"), Literal::Text("a\\b\nä\u{41}".into()));
    assert_eq!(literal("32"), Literal::Whole(32));
    assert_eq!(literal("-64L"), Literal::Whole(-64));
    assert_eq!(literal("0x22"), Literal::Whole(0x22));
    assert_eq!(literal("2.345M"), Literal::Number(2.345));
    assert_eq!(literal("2m"), Literal::Number(2.0));
    assert_eq!(literal("1.5f"), Literal::Number(1.5));
    assert_eq!(literal("null"), Literal::Null);
    assert_eq!(literal("true"), Literal::Boolean(true));
    assert_eq!(literal("me.id"), Literal::Guid(7));
    let at = |text| Literal::At(clock::parse(text).unwrap());
    assert_eq!(literal("datetime'2018-04-03T00:00'"), at("2018-04-03T00:00:00Z"));
    assert_eq!(literal("now"), at("2026-10-15T09:00:00Z"));
    assert_eq!(literal("today-30d"), at("2026-09-15T00:00:00Z"));
    assert_eq!(literal("today+5d"), at("2026-10-20T00:00:00Z"));
    assert_eq!(literal("sow"), at("2026-10-12T00:00:00Z"));
    assert_eq!(literal("eom"), at("2026-10-31T23:59:59.9999999Z"));
}

#[test]
fn quirks_that_are_refused() {
    for text in [
        "startswith(FirstName, 'Neil')",
        "startswith(FirstName ,'Neil')",
        "a EQ 1",
        "a eq 1 AND b eq 2",
        "a  eq 1",
        "a eq 'x",
        r"a eq 'C:\Projekte'",
        "a eq GUID'6e3ff5d1-0000-0000-0000-000000000000'",
        "a eq guid'6e3ff5d1'",
        "a eq datetime'2026-01-01'",
        "a eq datetime'2026-01-01T00:00:00Z'",
        "a eq datetime'2026-01-01T00:00:00.123'",
        "a eq datetime'2026-02-31T00:00:00'",
        "user.id eq 1",
        "tags[0].id eq 1",
        "p\\FirstName eq 'x'",
        "a in ('x', 'y')",
        "tags/any(t:t/name eq 'x')",
        "(a eq 1",
        "a eq 1)",
        "a eq 1 and",
        "",
        "today-d eq a",
    ] {
        assert!(parsed(text).is_err(), "{text}");
    }
}

#[test]
fn types_are_checked() {
    for text in [
        "name eq 'x'",
        "NAME eq 'x' and ProjectId eq guid'6e3ff5d1-0000-0000-0000-000000000000'",
        "startOn ge datetime'2026-01-01T00:00' and startOn lt now",
        "plannedDuration gt 3.5",
        "isPrio",
        "isPrio eq true",
        "not isPrio",
        "parentId eq null",
        "projectId eq me.id",
        "project/company/name eq 'x'",
        "taskstatus/type ne 'done'",
        "tags/any(t: t/name eq 'Draft' or t/name in ('a','b')) eq false",
        "lists/any()",
        "assignees/count() gt 1",
        "tolower(name) eq 'x'",
        "substringof('x',name) or endswith(name,'y')",
        "'x' eq name",
        "project eq null",
    ] {
        assert_eq!(checked("TaskModel", text), Ok(()), "{text}");
    }
    for text in [
        "nothing eq 1",
        "projectId eq '6e3ff5d1-0000-0000-0000-000000000000'",
        "substringof('x',projectId)",
        "startOn ge '2026-01-01'",
        "name eq 1",
        "isPrio gt true",
        "name gt null",
        "plannedDuration",
        "isSubtask eq true",
        "trackedDuration gt 0",
        "customFields/any(c: c/textValue eq 'x')",
        "name in ('a','b')",
        "tags/any(t: name eq 'x')",
        "tags eq null",
        "name/x eq 'y'",
        "project/name/any(x: x/y eq 1)",
    ] {
        assert!(checked("TaskModel", text).is_err(), "{text}");
    }
    assert!(checked("TimeTracking", "startTimeUtc ne null and endTimeUtc eq null").is_ok());
    assert!(checked("TimeTracking", "startTimeUtc gt datetime'2026-01-01T00:00'").is_err());
    assert!(checked("TimeTracking", "task/tags/any(a: a/name eq 'x')").is_ok());
    assert!(checked("TimeTracking", "startDate ge datetime'2026-01-01T00:00'").is_err());
    assert!(checked("V2.TimeEntry", "startDate ge datetime'2026-01-01T00:00'").is_ok());
    assert!(checked("User", "status/isDeactivated eq false").is_err());
}

fn holds_for(row: &serde_json::Value, text: &str, habits: Habits) -> bool {
    static WORLD: std::sync::LazyLock<World> =
        std::sync::LazyLock::new(|| World::invent(1, now(), 50));
    let expression = parsed(text).unwrap_or_else(|why| panic!("{text}: {why}"));
    let refused = Refused::default();
    let predicate = check::check(Catalogue::bundled(), "Company", &expression, habits, &refused);
    let predicate = predicate.unwrap_or_else(|why| panic!("{text}: {why}"));
    holds(&WORLD, &Node::Json(Cow::Borrowed(row)), &predicate, habits)
}

#[test]
fn null_satisfies_only_ne() {
    let row = serde_json::json!({"name": "Café ", "industry": null});
    for (text, expected) in [
        ("industry eq 'x'", false),
        ("industry ne 'x'", true),
        ("industry lt 'x'", false),
        ("industry eq null", true),
        ("industry ne null", false),
        ("name ne null", true),
        ("not (industry eq 'x')", true),
        ("startswith(industry,'x')", false),
        ("startswith(industry,'x') eq false", true),
        ("tags/count() eq 0", true),
    ] {
        assert_eq!(holds_for(&row, text, HABITS), expected, "{text}");
    }
}

#[test]
fn null_satisfies_nothing_where_ne_excludes_it() {
    let row = serde_json::json!({"name": "Café", "industry": null});
    let sql = Habits { ne_excludes_null: true, top_level_in: true, ..HABITS };
    let lax = Habits { top_level_in: true, ..HABITS };
    for (text, by_default, excluding) in [
        ("industry ne 'x'", true, false),
        ("'x' ne industry", true, false),
        ("industry eq 'x'", false, false),
        ("industry ne null", false, false),
        ("industry eq null", true, true),
        ("name ne null", true, true),
        ("name ne 'x'", true, true),
        ("not (industry ne null)", true, true),
        ("not (industry eq 'x')", true, false),
        ("not (industry ne 'x')", false, false),
        ("not (not (industry ne 'x'))", true, false),
        ("industry ne 'x' and name eq 'Café'", true, false),
        ("industry ne 'x' or name eq 'Café'", true, true),
        ("industry ne 'x' or name eq 'y'", true, false),
        ("not (industry eq 'x' and name eq 'Café')", true, false),
        ("not (industry eq 'x' and name eq 'y')", true, true),
        ("not (industry eq 'x' or name eq 'y')", true, false),
        ("industry eq null or industry ne 'x'", true, true),
        ("not (industry in ('x','y'))", true, false),
        ("not (startswith(industry,'x'))", true, false),
        ("tolower(industry) ne 'x'", true, false),
    ] {
        assert_eq!(holds_for(&row, text, lax), by_default, "{text}");
        assert_eq!(holds_for(&row, text, sql), excluding, "{text}");
    }
}

#[test]
fn case_and_trailing_blanks() {
    let row = serde_json::json!({"name": "Café "});
    let strict = Habits { case_sensitive: true, ..HABITS };
    for (text, insensitive, sensitive) in [
        ("name eq 'Café'", true, false),
        ("name eq 'CAFÉ '", true, false),
        ("name eq 'Café '", true, true),
        ("name eq 'Cafe '", false, false),
        ("substringof('AFÉ',name)", true, false),
        ("startswith(name,'caf')", true, false),
        ("endswith(name,'é ')", true, true),
        ("endswith(name,'é')", false, false),
        ("tolower(name) eq 'café '", true, true),
    ] {
        assert_eq!(holds_for(&row, text, HABITS), insensitive, "{text}");
        assert_eq!(holds_for(&row, text, strict), sensitive, "{text}");
    }
}

#[test]
fn orders_are_read_strictly() {
    let order =
        |text: &str| Order::parse(Catalogue::bundled(), "Project", text, &Refused::default());
    assert!(order("Name").is_ok());
    assert!(order("projectStatus/type desc,createdOn asc,id").is_ok());
    for text in
        ["name, id", "name ,id", "name down", "nothing", "tags", "name  asc", "", "trackedDuration"]
    {
        assert!(order(text).is_err(), "{text}");
    }
}
