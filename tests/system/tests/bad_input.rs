//! What each kind of bad answer gets: its SQLSTATE, what the message names, and that the key
//! is in none of it. The session goes on every time.

use awork_sandbox::{Action, Config, Fault};
use serde_json::json;
use system_tests::{Failure, Workspace};

const KEY: &str = "awork-sandbox-key";

fn workspace(name: &str) -> Option<Workspace> {
    Workspace::imported(name, Config { scale: 500, ..Config::default() })
}

fn fault(path: &str, action: Action) -> Fault {
    Fault { path: path.into(), query: None, nth: None, first: None, action }
}

/// The failure of a query while a fault holds.
fn under(workspace: &mut Workspace, action: Action, sql: &str) -> Failure {
    workspace.sandbox.add_fault(fault("", action));
    let failure = workspace.failure(sql);
    workspace.sandbox.clear_faults();
    assert!(!failure.text.contains(KEY), "{failure:?}");
    failure
}

fn status(status: u16) -> Action {
    Action::Status { status, code: None, retry_after: None }
}

fn body(text: &str) -> Action {
    Action::Body { text: Some(text.into()), bytes: None, status: None, content_type: None }
}

#[track_caller]
fn expect(failure: &Failure, code: &str, parts: &[&str]) {
    assert_eq!(failure.code, code, "{}", failure.text);
    for part in parts {
        assert!(failure.text.contains(part), "\"{part}\" is not in: {}", failure.text);
    }
}

#[test]
fn refusals() {
    let Some(mut w) = workspace("bad_refusals") else { return };
    let sql = "SELECT id FROM projects";

    let failure = under(&mut w, Action::Expired, sql);
    expect(&failure, "28000", &["refused the API key", "GET /projects?page=1", "api_key"]);
    let unauthorized =
        Action::Status { status: 401, code: Some("unauthorized".into()), retry_after: None };
    let failure = under(&mut w, unauthorized, sql);
    expect(&failure, "42501", &["permission denied by awork", "\"projects\""]);
    let failure = under(&mut w, Action::Blocked, sql);
    expect(&failure, "42501", &["blocked in front of awork", "X-Edge-Ref: "]);
    let failure = under(&mut w, status(404), sql);
    expect(&failure, "HV00R", &["\"projects\""]);
    let failure = under(&mut w, status(400), sql);
    expect(&failure, "HV00L", &["refused a request"]);
    for code in [500, 502, 503] {
        let failure = under(&mut w, status(code), sql);
        expect(&failure, "HV00M", &[&format!("HTTP status {code}"), "page 1", "\"projects\""]);
    }
    let failure = under(&mut w, status(429), sql);
    expect(&failure, "53400", &["rate limit"]);
    let failure = under(&mut w, Action::Redirect { location: "/".into(), status: None }, sql);
    expect(&failure, "HV00M", &["redirect"]);
}

#[test]
fn a_wrong_key_of_ones_own() {
    let Some(mut w) = workspace("bad_key") else { return };
    w.client
        .batch_execute(
            "ALTER USER MAPPING FOR CURRENT_USER SERVER bad_key OPTIONS (SET api_key 'opensesame')",
        )
        .unwrap();
    let failure = w.failure("SELECT * FROM users");
    expect(&failure, "28000", &["refused the API key"]);
    assert!(!failure.text.contains("opensesame"));
}

#[test]
fn malformed_answers() {
    let Some(mut w) = workspace("bad_answers") else { return };
    let sql = "SELECT name FROM projects";
    let failure = under(&mut w, Action::Html, sql);
    expect(&failure, "HV00M", &["malformed answer", "HTTP status 200", "GET /projects"]);
    for text in ["", "[{\"id\":", "{\"data\":[]}", "[1]", "[{\"name\":\"a\"}]]", "nonsense"] {
        let failure = under(&mut w, body(text), sql);
        expect(&failure, "HV00M", &["malformed answer", "HTTP status 200"]);
    }
    let bytes = Action::Body {
        text: None,
        bytes: Some(b"[{\"name\":\"\xff\"}]".to_vec()),
        status: None,
        content_type: None,
    };
    expect(&under(&mut w, bytes, sql), "HV00M", &["malformed answer"]);
    let failure = under(&mut w, Action::CutBody { after: None }, sql);
    expect(&failure, "HV00M", &["could not read the answer"]);
}

#[test]
fn unreachable_hosts() {
    let Some(mut w) = workspace("bad_host") else { return };
    w.client.batch_execute("SET awork_fdw.allowed_hosts = '*'").unwrap();
    for (url, part) in [
        ("http://127.0.0.1:9/api/v1", "could not connect to \"127.0.0.1\""),
        ("https://awork.invalid/api/v1", "could not connect to \"awork.invalid\""),
    ] {
        w.client
            .batch_execute(&format!("ALTER SERVER bad_host OPTIONS (SET api_url '{url}')"))
            .unwrap();
        expect(&w.failure("SELECT * FROM users"), "HV00N", &[part]);
    }
    // TLS to a server that speaks none.
    let tls = w.sandbox.api_url().replace("http://", "https://");
    w.client
        .batch_execute(&format!("ALTER SERVER bad_host OPTIONS (SET api_url '{tls}')"))
        .unwrap();
    expect(&w.failure("SELECT * FROM users"), "HV00N", &["could not connect"]);
}

#[test]
fn values_that_do_not_fit() {
    let Some(mut w) = workspace("bad_values") else { return };
    let row = |value: serde_json::Value| {
        let mut row = json!({"id": "6f9619ff-8b86-d011-b42d-00c04fc964ff"});
        row.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        json!([row]).to_string()
    };
    let long = "x".repeat(500);
    for (value, column, shown) in [
        (json!({"name": "a\u{0}b"}), "name", "NUL"),
        (json!({"createdOn": "2026-02-31T00:00:00Z"}), "created_on", "2026-02-31"),
        (json!({"createdOn": 5}), "created_on", "5"),
        (json!({"timeBudget": 3_000_000_000_u64}), "time_budget", "3000000000"),
        (json!({"timeBudget": 1.5}), "time_budget", "1.5"),
        (json!({"timeBudget": "12"}), "time_budget", "\"12\""),
        (json!({"isPrivate": "yes"}), "is_private", "\"yes\""),
        (json!({"companyId": "no uuid"}), "company_id", "no uuid"),
        (json!({"companyId": long.as_str()}), "company_id", "xxx…"),
        (json!({"company": "flat"}), "company_name", "is no object"),
        (json!({"tags": "a\u{0}b"}), "tags", "NUL"),
    ] {
        let sql = format!("SELECT {column} FROM projects");
        let failure = under(&mut w, body(&row(value)), &sql);
        let column = format!("column \"{column}\"");
        let parts = ["\"projects\"", &column, shown, "6f9619ff-8b86-d011-b42d-00c04fc964ff"];
        expect(&failure, "HV004", &parts);
        assert!(!failure.text.contains(&long[..200]), "{}", failure.text);
    }
}

#[test]
fn values_that_do_not_fit_may_be_null() {
    let Some(mut w) = workspace("bad_nulls") else { return };
    let ids = ["6f9619ff-8b86-d011-b42d-00c04fc964ff", "7f9619ff-8b86-d011-b42d-00c04fc964ff"];
    let text = json!([
        {"id": ids[0], "name": "A", "timeBudget": "12", "company": "flat", "tags": {"a": 1}},
        {"id": ids[1], "name": "B", "timeBudget": 12, "company": {"name": "C"}, "tags": []},
    ]);
    w.sandbox.add_fault(fault("/projects", body(&text.to_string())));
    w.client
        .batch_execute("ALTER FOREIGN TABLE projects OPTIONS (ADD on_type_mismatch 'null')")
        .unwrap();
    let sql = "SELECT name, time_budget, company_name, attrs ->> 'timeBudget' FROM projects
               WHERE time_budget IS NULL OR company_name = 'C' ORDER BY name";
    // awork would tell a string from null, so that nothing is left to it.
    let plan = w.client.query(&format!("EXPLAIN (VERBOSE) {sql}"), &[]).unwrap();
    let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
    assert!(!plan.iter().any(|line| line.contains("filterby")), "{plan:#?}");
    assert!(plan.iter().any(|line| line.contains("are shown as null")), "{plan:#?}");
    w.client.batch_execute("SET client_min_messages = warning").unwrap();
    let rows = w.client.query(sql, &[]).unwrap();
    let show = |row: &postgres::Row| {
        let text = |column: usize| row.get::<_, Option<String>>(column);
        (text(0), row.get::<_, Option<i32>>(1), text(2), text(3))
    };
    let own = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows.iter().map(show).collect::<Vec<_>>(),
        [(own("A"), None, None, own("12")), (own("B"), Some(12), own("C"), own("12"))]
    );
    let notices = w.notices.lock().unwrap().clone();
    assert!(notices.iter().any(|n| n.starts_with("2 values from awork do not fit")), "{notices:?}");
    w.client
        .batch_execute("ALTER FOREIGN TABLE projects OPTIONS (SET on_type_mismatch 'error')")
        .unwrap();
    expect(&w.failure(sql), "HV004", &["company_name", "is no object"]);
    let refused = w.failure("ALTER FOREIGN TABLE projects OPTIONS (SET on_type_mismatch 'skip')");
    expect(&refused, "22023", &["must be error or null"]);
}

#[test]
fn missing_and_unknown_fields_are_no_errors() {
    let Some(mut w) = workspace("bad_fields") else { return };
    let id = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
    let other = "6f9619ff-8b86-d011-b42d-00c04fc964fe";
    let text =
        json!([{"id": id, "unheardOf": {"deep": [1]}}, {"id": other, "name": null}]).to_string();
    w.sandbox.add_fault(fault("/projects", body(&text)));
    let rows = w
        .client
        .query(
            "SELECT id::text, name, company_name, attrs #>> '{unheardOf,deep,0}' FROM projects",
            &[],
        )
        .unwrap();
    let text = |row: usize, column: usize| rows[row].get::<_, Option<String>>(column);
    assert_eq!(rows.len(), 2);
    assert_eq!([text(0, 0), text(0, 1), text(0, 2)], [Some(id.to_owned()), None, None]);
    assert_eq!(text(0, 3).as_deref(), Some("1"));
    assert_eq!([text(1, 0).as_deref(), text(1, 1).as_deref()], [Some(other), None]);
}

#[test]
fn an_answer_over_the_limit_is_refused_while_it_comes() {
    let Some(mut w) = workspace("bad_size") else { return };
    let before = system_tests::backend_memory(&mut w.client, "VmHWM");
    let failure = under(&mut w, Action::HugeBody { mib: 1000 }, "SELECT id FROM projects");
    expect(&failure, "54000", &["larger than 64 MiB", "page_size"]);
    let grown = system_tests::backend_memory(&mut w.client, "VmHWM") - before;
    assert!(grown < 256 * 1024, "the backend grew by {grown} kB");
    let sent = w.sandbox.log().iter().map(|entry| entry.bytes).max().unwrap();
    assert!(sent < 200 << 20, "{sent} bytes were taken");
}

#[test]
fn faults_that_pass_are_retried() {
    let Some(mut w) = workspace("bad_retry") else { return };
    w.client.batch_execute("ALTER SERVER bad_retry OPTIONS (SET max_retries '3')").unwrap();
    for action in [status(503), status(429), Action::CutBody { after: None }] {
        w.sandbox.clear_log();
        w.sandbox.add_fault(Fault { first: Some(2), ..fault("/companies", action) });
        let rows: i64 = w.client.query_one("SELECT count(*) FROM companies", &[]).unwrap().get(0);
        assert_eq!(rows as usize, w.sandbox.rows("companies", &[]).len());
        let asked = w.sandbox.log().iter().filter(|e| e.path.ends_with("/companies")).count();
        assert_eq!(asked, 3);
        w.sandbox.clear_faults();
    }
}

#[test]
fn a_refused_order_is_left_out() {
    let Some(mut w) = workspace("bad_order") else { return };
    w.sandbox.add_fault(fault("", Action::RefuseOrder));
    let sql = "SELECT count(created_on) FROM time_entries";
    assert_eq!(w.client.query_one(sql, &[]).unwrap().get::<_, i64>(0), 500);
}

#[test]
fn a_page_that_always_comes_again_is_an_error_and_rows_that_never_come_are_a_warning() {
    let Some(mut w) = workspace("bad_pages") else { return };
    w.client.batch_execute("ALTER SERVER bad_pages OPTIONS (ADD page_size '100')").unwrap();
    // Rows are read, and not counted by awork.
    let sql = "SELECT count(created_on) FROM time_entries";
    let failure = under(&mut w, Action::RepeatPage { page: 1 }, sql);
    expect(&failure, "HV00M", &["repeats the rows", "\"time_entries\""]);

    // What a page lacks once is asked for again.
    w.client.batch_execute("SET client_min_messages = warning").unwrap();
    let drop_rows = || fault("/timeentries", Action::DropRows { rows: 2 });
    w.sandbox.add_fault(Fault { nth: Some(1), ..drop_rows() });
    assert_eq!(w.client.query_one(sql, &[]).unwrap().get::<_, i64>(0), 500);
    assert!(w.notices.lock().unwrap().is_empty());
    w.sandbox.clear_faults();
    w.sandbox.add_fault(drop_rows());
    assert_eq!(w.client.query_one(sql, &[]).unwrap().get::<_, i64>(0), 498);
    let warnings = w.notices.lock().unwrap().clone();
    assert_eq!(warnings, ["awork announced 500 rows of \"time_entries\" and sent 498"]);
    w.sandbox.clear_faults();

    // Totals and page sizes that are not what was asked for, or are missing.
    for action in [Action::Totals { total: None }, Action::PageSize { rows: 30 }] {
        w.sandbox.add_fault(fault("", action));
        assert_eq!(w.client.query_one(sql, &[]).unwrap().get::<_, i64>(0), 500);
        w.sandbox.clear_faults();
    }
}

#[test]
fn the_key_travels_to_no_other_host() {
    let Some(mut w) = workspace("bad_redirect") else { return };
    let other = awork_sandbox::Sandbox::start(Config { scale: 100, ..Config::default() }).unwrap();
    let location = format!("{}/projects", other.api_url());
    let failure =
        under(&mut w, Action::Redirect { location, status: Some(307) }, "SELECT id FROM projects");
    expect(&failure, "HV00M", &["redirect"]);
    assert!(other.log().is_empty(), "{:?}", other.log());
}
