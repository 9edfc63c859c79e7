//! How long lists take of a large workspace. Not run by default: the limits are those of a
//! release build on a machine that has nothing else to do.

mod common;

use std::time::Instant;

use awork_sandbox::Config;
use common::{list, start};

#[test]
#[ignore = "measures; wants a release build and about a minute"]
fn a_million_entries() {
    let began = Instant::now();
    let sandbox = start(Config { scale: 1_000_000, ..Config::default() });
    println!("{:8.1} ms  start", began.elapsed().as_secs_f64() * 1e3);
    let projects = sandbox.rows("projects", &[]);
    let project = projects[0]["id"].as_str().expect("an id");
    let range =
        "startDateUtc ge datetime'2026-03-01T00:00' and startDateUtc lt datetime'2026-04-01T00:00'";
    let of_project = format!("projectId eq guid'{project}'");
    let both = format!("{range} and {of_project}");
    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        line.unwrap_or_default().to_owned()
    };
    let ask = |path: &str, parameters: &[(&str, &str)], limit: f64| {
        let began = Instant::now();
        let response = list(&sandbox, path, parameters);
        let took = began.elapsed().as_secs_f64();
        let total = response.header("aw-totalitems").unwrap_or_default().to_owned();
        println!("{:8.1} ms  {total:>8}  {path} {parameters:?}", took * 1e3);
        assert_eq!(response.status, 200);
        assert!(took < limit, "{took} s");
    };
    for path in ["/timeentries", "/me/allavailabletasks"] {
        ask(path, &[("pageSize", "1")], 0.5);
        ask(path, &[("pageSize", "1000")], 0.5);
    }
    for filter in [
        range,
        &of_project,
        &both,
        "note eq 'x'",
        "substringof('a',note)",
        "user/lastName eq 'x'",
        "project/name eq 'x'",
        "project/projectStatus/type eq 'closed'",
        "task/tags/any(t: t/name eq 'bug')",
        "updatedBy eq me.id",
    ] {
        ask("/timeentries", &[("filterby", filter), ("pageSize", "1")], 1.0);
        ask("/timeentries", &[("filterby", filter), ("pageSize", "1"), ("page", "2")], 0.1);
    }
    for order in ["createdOn desc", "createdOn,id", "startDateUtc desc", "note", "project/name"] {
        ask("/timeentries", &[("orderby", order), ("pageSize", "1")], 3.0);
        ask("/timeentries", &[("orderby", order), ("pageSize", "1000"), ("page", "500")], 0.1);
    }
    for filter in [
        "baseType eq 'projecttask'",
        "description eq 'x'",
        "tags/any(t: t/name eq 'bug')",
        "assignees/count() gt 1",
        "name eq 'x'",
    ] {
        ask("/me/allavailabletasks", &[("filterby", filter), ("pageSize", "1")], 1.0);
    }
    ask("/me/allavailabletasks", &[("orderby", "name"), ("pageSize", "1")], 3.0);
    println!("{}", memory());
    for seconds in 0..400 {
        let filter = format!("duration ne {seconds}");
        let response = list(&sandbox, "/timeentries", &[("filterby", &filter), ("pageSize", "1")]);
        assert_eq!(response.status, 200);
    }
    println!("{} after 400 long lists", memory());
}
