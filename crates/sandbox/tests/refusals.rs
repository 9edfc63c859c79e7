//! Parts of the filter and order language, and properties, that are refused on request.

mod common;

use awork_sandbox::{Config, Feature, Refused, Sandbox};
use common::{encode, get, list, send, small, start};
use serde_json::json;

/// A parameter of a list of tasks that uses this feature.
fn using(feature: Feature) -> (&'static str, &'static str) {
    let filter = match feature {
        Feature::Filter => "isPrio",
        Feature::Eq => "name eq 'x'",
        Feature::Ne => "name ne 'x'",
        Feature::Range => "plannedDuration ge 5",
        Feature::And => "name eq 'x' and isPrio eq true",
        Feature::Or => "name eq 'x' or isPrio eq true",
        Feature::Not => "not (name eq 'x')",
        Feature::In => "tags/any(t: t/name in ('a','b'))",
        Feature::Null => "project eq null",
        Feature::Guid => "projectId eq guid'6e3ff5d1-0000-0000-0000-000000000000'",
        Feature::Datetime => "createdOn lt today-30d",
        Feature::Boolean => "not isPrio",
        Feature::Number => "plannedDuration gt 5",
        Feature::String => "name eq 'x'",
        Feature::Startswith => "startswith(name,'x')",
        Feature::Endswith => "endswith(name,'x')",
        Feature::Substringof => "substringof('x',name)",
        Feature::Tolower => "tolower(name) eq 'x'",
        Feature::Nested => "project/name eq 'x'",
        Feature::Any => "tags/any(t: t/name eq 'x')",
        Feature::Count => "assignees/count() gt 1",
        Feature::Order => return ("orderby", "createdOn"),
        Feature::OrderSeveral => return ("orderby", "createdOn,id"),
        Feature::OrderDesc => return ("orderby", "createdOn desc"),
    };
    ("filterby", filter)
}

/// A parameter that does not use it, though it may look alike.
fn avoiding(feature: Feature) -> (&'static str, &'static str) {
    let filter = match feature {
        Feature::Filter => return ("orderby", "name desc"),
        Feature::Order => "isPrio eq true",
        Feature::OrderSeveral => return ("orderby", "createdOn desc"),
        Feature::OrderDesc => return ("orderby", "createdOn asc,id"),
        Feature::Eq => "name ne 'eq' and tags/any(t: t/name in (' eq '))",
        Feature::Boolean => "startswith(name,'true')",
        // The variable of `any` is no object on the way.
        Feature::Nested => "tags/any(t: t/name eq 'a/b')",
        Feature::Null => "name eq 'null'",
        Feature::And | Feature::Or | Feature::Not => "name eq ' and or not '",
        Feature::String => "plannedDuration eq 5",
        _ => "name eq 'ne gt not in guid 5'",
    };
    ("filterby", filter)
}

fn status(sandbox: &Sandbox, parameter: (&str, &str)) -> u16 {
    let response = list(sandbox, "/me/allavailabletasks", &[parameter]);
    if response.status == 400 {
        assert_eq!(response.code(), "invalid-filter-or-order");
    }
    response.status
}

#[test]
fn each_feature_by_itself() {
    let sandbox = small();
    for feature in Feature::ALL {
        assert_eq!(feature.name().parse(), Ok(feature));
        assert_eq!(json!(feature), json!(feature.name()));
        sandbox.refuse(Refused::default());
        assert_eq!(status(&sandbox, using(feature)), 200, "{feature}");
        // The list that the first request left behind must not answer the second.
        sandbox.refuse(Refused::features([feature]));
        assert_eq!(status(&sandbox, using(feature)), 400, "{feature}");
        assert_eq!(status(&sandbox, avoiding(feature)), 200, "{feature}");
    }
    assert!("nothing".parse::<Feature>().is_err());
}

#[test]
fn features_hide_in_corners() {
    let sandbox = small();
    for (feature, parameter) in [
        (Feature::String, ("filterby", "tags/any(t: t/name in ('a','b'))")),
        (Feature::String, ("filterby", "startswith(name,'a') eq false")),
        (Feature::Boolean, ("filterby", "startswith(name,'a') eq false")),
        (Feature::Boolean, ("filterby", "isPrio")),
        (Feature::Guid, ("filterby", "userId eq me.id")),
        (Feature::Nested, ("filterby", "tolower(taskStatus/name) eq 'x'")),
        (Feature::Nested, ("orderby", "project/name")),
        (Feature::Ne, ("filterby", "not (tags/any(t: t/name ne 'x') or isPrio)")),
        (Feature::Null, ("filterby", "tags/any(t: t/color ne null)")),
    ] {
        sandbox.refuse(Refused::default());
        assert_eq!(status(&sandbox, parameter), 200, "{parameter:?}");
        sandbox.refuse(Refused::features([feature]));
        assert_eq!(status(&sandbox, parameter), 400, "{parameter:?}");
    }
}

#[test]
fn properties() {
    let refused = Refused::properties(["PROJECTID", "project/Name", "tags/name"]);
    let sandbox = start(Config { scale: 100, refused, ..Config::default() });
    for (parameter, expected) in [
        (("filterby", "projectId eq null"), 400),
        (("filterby", "isPrio or projectid eq null"), 400),
        (("orderby", "createdOn,projectId desc"), 400),
        (("filterby", "Project/name eq 'x'"), 400),
        (("orderby", "project/name"), 400),
        (("filterby", "tags/any(t: t/name eq 'x')"), 400),
        (("filterby", "name eq 'x' and project eq null"), 200),
        (("filterby", "project/id eq null"), 200),
        (("filterby", "tags/any(t: t/color eq 'x')"), 200),
        (("orderby", "name"), 200),
    ] {
        assert_eq!(status(&sandbox, parameter), expected, "{parameter:?}");
    }
    let log = sandbox.log();
    assert_eq!(log[0].parameter("FilterBy"), Some("projectId eq null"));
    assert!(log[0].refusal.is_some());
    sandbox.refuse(Refused::properties(["project"]));
    assert_eq!(status(&sandbox, ("filterby", "project/id eq null")), 400);
    assert_eq!(status(&sandbox, ("filterby", "projectId eq null")), 200);
}

#[test]
fn over_http() {
    let sandbox = small();
    let ask =
        |method: &str, body: &str| send(sandbox.address(), method, "/_sandbox/refused", &[], body);
    let both = json!({"features": ["ne", "order-desc"], "properties": ["projectId"]});
    assert_eq!(ask("PUT", &both.to_string()).status, 200);
    assert_eq!(ask("GET", "").json(), both);
    assert_eq!(status(&sandbox, ("filterby", "name ne 'x'")), 400);
    assert_eq!(ask("PUT", r#"{"features": ["nothing"]}"#).status, 400);
    assert_eq!(ask("DELETE", "").status, 200);
    assert_eq!(status(&sandbox, ("filterby", "name ne 'x'")), 200);
}

#[test]
fn nulls_and_ne() {
    let total = |sandbox: &Sandbox, filter: &str| -> usize {
        let path = format!("/api/v1/timeentries?pageSize=1&filterby={}", encode(filter));
        let total = get(sandbox, &path).header("aw-totalitems").map(str::to_owned);
        total.and_then(|total| total.parse().ok()).expect("a total")
    };
    let lax = small();
    let strict = start(Config { scale: 600, ne_excludes_null: true, ..Config::default() });
    let project = lax.rows("projects", &[])[0]["id"].as_str().unwrap_or_default().to_owned();
    let (ne, eq) =
        (format!("projectId ne guid'{project}'"), format!("projectId eq guid'{project}'"));
    let nulls = total(&lax, "projectId eq null");
    let equal = total(&lax, &eq);
    assert!(nulls > 0 && equal > 0);
    assert_eq!(total(&lax, &ne), 600 - equal);
    assert_eq!(total(&strict, &ne), 600 - equal - nulls);
    assert_eq!(total(&strict, &eq), equal);
    for sandbox in [&lax, &strict] {
        assert_eq!(total(sandbox, "projectId eq null"), nulls);
        assert_eq!(total(sandbox, "projectId ne null"), 600 - nulls);
        assert_eq!(total(sandbox, &format!("projectId eq null or {ne}")), 600 - equal);
    }
    assert_eq!(total(&lax, &format!("not ({eq})")), 600 - equal);
    assert_eq!(total(&strict, &format!("not ({eq})")), 600 - equal - nulls);
    assert_eq!(total(&strict, &format!("not ({ne})")), equal);
    assert_eq!(total(&lax, &format!("{ne} and duration ge 0")), 600 - equal);
    assert_eq!(total(&strict, &format!("{ne} and duration ge 0")), 600 - equal - nulls);
}
