//! `awork_fdw_drift`: what awork sends that is other than the catalogue and the tables have it.

use awork_sandbox::{Action, Config, Fault, RateLimit};
use postgres::Client;
use serde_json::{Map, Value, json};
use system_tests::{Failure, Workspace, failure};

const LIMITED: &str = "awork-sandbox-limited";

/// Tables that have rows in every workspace, and one below another.
const TABLES: &str = "projects, tasks, time_entries, project_members";

fn workspace(name: &str) -> Option<Workspace> {
    let mut w = Workspace::empty(name, Config { scale: 200, ..Config::default() })?;
    w.run(&format!(
        "IMPORT FOREIGN SCHEMA awork LIMIT TO ({TABLES}) FROM SERVER {name} INTO {name};
         SET search_path = {name}, public"
    ));
    Some(w)
}

fn fault(path: &str, action: Action) -> Fault {
    Fault { path: path.into(), query: None, nth: None, first: None, action }
}

fn set(value: Value) -> Action {
    let Value::Object(set) = value else { panic!("no object") };
    Action::SetProperties { row: None, set }
}

fn status(status: u16, code: Option<&str>) -> Action {
    Action::Status { status, code: code.map(str::to_owned), retry_after: None }
}

fn body(text: &str) -> Action {
    Action::Body { text: Some(text.into()), bytes: None, status: None, content_type: None }
}

/// A row of the result.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    table: String,
    column: Option<String>,
    field: Option<String>,
    kind: String,
    message: String,
}

fn drift(client: &mut Client, server: &str) -> Vec<Finding> {
    let rows = client.query("SELECT * FROM public.awork_fdw_drift($1)", &[&server]);
    let rows = rows.unwrap_or_else(|error| panic!("{:?}", Failure::from(&error)));
    let finding = |row: &postgres::Row| Finding {
        table: row.get(0),
        column: row.get(1),
        field: row.get(2),
        kind: row.get(3),
        message: row.get(4),
    };
    rows.iter().map(finding).collect()
}

/// The findings while a fault holds.
fn under(w: &mut Workspace, path: &str, action: Action) -> Vec<Finding> {
    w.sandbox.add_fault(fault(path, action));
    let name = w.name.clone();
    let findings = drift(&mut w.client, &name);
    w.sandbox.clear_faults();
    findings
}

/// Panics unless there is one finding, and it is this one.
#[track_caller]
fn only(findings: &[Finding], expected: [&str; 4], words: &[&str]) -> String {
    let [finding] = findings else { panic!("not one finding: {findings:#?}") };
    let shown = |text: &Option<String>| text.clone().unwrap_or_default();
    let has = [
        finding.table.clone(),
        shown(&finding.column),
        shown(&finding.field),
        finding.kind.clone(),
    ];
    assert_eq!(has, expected, "{finding:?}");
    assert!(words.iter().all(|words| finding.message.contains(words)), "{words:?}: {finding:?}");
    finding.message.clone()
}

#[test]
fn an_api_as_the_catalogue_has_it_has_no_findings() {
    let Some(mut w) = workspace("drift_none") else { return };
    let findings = drift(&mut w.client, "drift_none");
    assert!(findings.is_empty(), "{findings:#?}");
    // A page of each list, and no more; the members are those of the first project that has some.
    let log = w.sandbox.log();
    assert!((4..=6).contains(&log.len()), "{log:#?}");
    for entry in log.iter().filter(|entry| !entry.path.ends_with("/members")) {
        let parameters = ["page", "pageSize", "orderby"].map(|name| entry.parameter(name));
        assert_eq!(parameters, [Some("1"), Some("100"), None], "{entry:?}");
    }
}

#[test]
fn a_new_property_comes_with_the_statement_that_shows_it() {
    let Some(mut w) = workspace("drift_new") else { return };
    let new = || set(json!({"riskLevel": 3}));
    let message = only(
        &under(&mut w, "/timeentries", new()),
        ["drift_new.time_entries", "risk_level", "riskLevel", "new"],
        &["a number in 100 of 100 rows"],
    );
    let statement = message.split_once("; ").unwrap().1.strip_suffix(" shows it").unwrap();
    assert_eq!(
        statement,
        "ALTER FOREIGN TABLE drift_new.time_entries \
         ADD COLUMN risk_level bigint OPTIONS (field 'riskLevel')"
    );
    w.run(statement);
    assert_eq!(under(&mut w, "/timeentries", new()), []);
    w.sandbox.add_fault(fault("/timeentries", new()));
    let row = w.client.query_one("SELECT min(risk_level) FROM time_entries", &[]).unwrap();
    assert_eq!(row.get::<_, i64>(0), 3);
    w.sandbox.clear_faults();
    // The next day it is not there any more.
    let words = "in none of 100 rows: it may be gone, or null everywhere";
    let expected = ["drift_new.time_entries", "risk_level", "riskLevel", "gone"];
    only(&drift(&mut w.client, "drift_new"), expected, &[words]);
}

#[test]
fn statements_quote_what_needs_it() {
    let Some(mut w) = workspace("drift_quoted") else { return };
    w.run("ALTER TABLE time_entries RENAME TO \"Zeit; einträge\"");
    let new = || set(json!({"order": {"a": 1}, "it's": "x"}));
    let findings = under(&mut w, "/timeentries", new());
    assert_eq!(findings.len(), 2, "{findings:#?}");
    for finding in &findings {
        assert_eq!(finding.table, "drift_quoted.\"Zeit; einträge\"");
        let statement = finding.message.split_once("; ALTER").unwrap().1;
        w.run(&format!("ALTER{}", statement.strip_suffix(" shows it").unwrap()));
    }
    assert_eq!(under(&mut w, "/timeentries", new()), []);
}

#[test]
fn a_missing_property_is_gone_from_every_table_that_shows_it() {
    let Some(mut w) = workspace("drift_missing") else { return };
    w.run(
        "CREATE FOREIGN TABLE budgets (mine text OPTIONS (field 'timeBudget'))
             SERVER drift_missing OPTIONS (resource 'projects')",
    );
    let without = Action::WithoutProperties { names: vec!["timeBudget".into()] };
    let findings = under(&mut w, "/projects", without);
    let found: Vec<_> = findings
        .iter()
        .filter(|finding| finding.kind == "gone")
        .map(|finding| (finding.table.as_str(), finding.column.as_deref().unwrap()))
        .collect();
    let expected = [("drift_missing.budgets", "mine"), ("drift_missing.projects", "time_budget")];
    assert_eq!(found, expected, "{findings:#?}");
}

#[test]
fn a_path_that_is_gone_does_not_keep_the_others_from_being_looked_at() {
    let Some(mut w) = workspace("drift_gone") else { return };
    let entries = ["drift_gone.time_entries", "", "", "gone"];
    for (action, words) in [
        (status(404, None), "no such path any more"),
        (status(410, None), "no such path any more"),
        (status(401, Some("unauthorized")), "permission denied by awork"),
    ] {
        only(&under(&mut w, "/timeentries", action), entries, &[words]);
    }
    // Another finding comes beside it.
    w.sandbox.add_fault(fault("/timeentries", status(404, None)));
    let tasks = set(json!({"newField": "x"}));
    let findings = under(&mut w, "/me/allavailabletasks", tasks);
    let kinds: Vec<_> = findings.iter().map(|f| (f.table.as_str(), f.kind.as_str())).collect();
    assert_eq!(kinds, [("drift_gone.tasks", "new"), ("drift_gone.time_entries", "gone")]);
}

#[test]
fn lists_below_others_are_asked_for_a_few_parents() {
    let Some(mut w) = workspace("drift_below") else { return };
    w.run("DROP FOREIGN TABLE projects, tasks, time_entries");
    assert_eq!(drift(&mut w.client, "drift_below"), []);
    let paths: Vec<String> = w.sandbox.log().into_iter().map(|entry| entry.path).collect();
    assert!(paths[0].ends_with("/projects") && paths.len() <= 4, "{paths:?}");
    assert!(paths[1..].iter().all(|path| path.ends_with("/members")), "{paths:?}");
    // Without parents there is nothing to ask for.
    let findings = under(&mut w, "/projects", body("[]"));
    let members = ["drift_below.project_members", "", "", "unchecked"];
    only(&findings, members, &["no rows that could be read"]);
}

#[test]
fn values_that_changed() {
    let Some(mut w) = workspace("drift_changed") else { return };
    for (value, column, field, words) in [
        (json!({"duration": "60"}), "duration", "duration", "value \"60\" of the object "),
        (json!({"isBillable": null}), "is_billable", "isBillable", "null in 100 of 100 rows"),
        (json!({"note": 5}), "note", "note", "a number where the specification has a string"),
    ] {
        let expected = ["drift_changed.time_entries", column, field, "changed"];
        only(&under(&mut w, "/timeentries", set(value)), expected, &[words]);
    }
    let array = set(json!({"tags": {"0": "x"}}));
    let expected = ["drift_changed.projects", "tags", "tags", "changed"];
    let findings = under(&mut w, "/projects", array);
    let findings: Vec<_> =
        findings.into_iter().filter(|f| f.table == "drift_changed.projects").collect();
    only(&findings, expected, &["an object where the specification has an array"]);
    let expected = ["drift_changed.time_entries", "", "", "changed"];
    only(&under(&mut w, "/timeentries", body("{\"data\":[]}")), expected, &["not with a list"]);
}

#[test]
fn a_type_of_the_users_own_decides_what_fits() {
    let Some(mut w) = workspace("drift_types") else { return };
    w.run("ALTER FOREIGN TABLE time_entries ALTER COLUMN duration TYPE text");
    let findings = under(&mut w, "/timeentries", set(json!({"duration": "60"})));
    let expected = ["drift_types.time_entries", "duration", "duration", "changed"];
    let message = only(&findings, expected, &["a string where the specification has a number"]);
    assert!(!message.contains("fails"), "{message}");
    let rows = w.client.query("SELECT duration FROM time_entries LIMIT 1", &[]).unwrap();
    assert_eq!(rows.len(), 1);
}

#[test]
fn what_could_not_be_looked_at_is_said() {
    let Some(mut w) = workspace("drift_unchecked") else { return };
    let expected = ["drift_unchecked.time_entries", "", "", "unchecked"];
    for (action, words) in [
        (status(500, None), "HTTP status 500"),
        (Action::Html, "cannot be read as JSON"),
        (Action::CutBody { after: None }, "could not read the answer"),
        (Action::HugeBody { mib: 100 }, "larger than 64 MiB"),
        (body("[]"), "no rows"),
    ] {
        only(&under(&mut w, "/timeentries", action), expected, &[words]);
    }
    w.run(
        "CREATE FOREIGN TABLE workloads (user_ids text) SERVER drift_unchecked
             OPTIONS (resource 'user_workloads')",
    );
    let expected = ["drift_unchecked.workloads", "", "", "unchecked"];
    only(&drift(&mut w.client, "drift_unchecked"), expected, &["a value for \"userIds\""]);
}

#[test]
fn tables_that_this_version_cannot_read_are_listed() {
    let Some(mut w) = workspace("drift_odd") else { return };
    w.run(
        "CREATE FOREIGN TABLE none (id uuid) SERVER drift_odd;
         CREATE FOREIGN TABLE odd (id uuid, odd text) SERVER drift_odd
             OPTIONS (resource 'types_of_work')",
    );
    let findings = drift(&mut w.client, "drift_odd");
    let kinds: Vec<_> =
        findings.iter().map(|f| (f.table.as_str(), f.column.as_deref(), f.kind.as_str())).collect();
    let expected = [("drift_odd.\"none\"", None, "gone"), ("drift_odd.odd", Some("odd"), "gone")];
    assert_eq!(kinds, expected, "{findings:#?}");
}

/// Panics if a path is gone or anything has changed: the sandbox only leaves out some properties.
#[track_caller]
fn only_absent(findings: &[Finding]) {
    let is_other = |finding: &&Finding| match finding.kind.as_str() {
        "gone" => !finding.message.contains("it may be gone, or null everywhere"),
        kind => kind == "changed",
    };
    let others: Vec<_> = findings.iter().filter(is_other).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn without_tables_every_list_is_looked_at() {
    let config = Config { scale: 200, ..Config::default() };
    let Some(mut w) = Workspace::empty("drift_empty", config) else { return };
    w.sandbox.add_fault(fault("/timeentries", set(json!({"newField": 1}))));
    let findings = drift(&mut w.client, "drift_empty");
    let (unchecked, found): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.kind == "unchecked");
    let new: Vec<_> = found.iter().filter(|finding| finding.kind == "new").collect();
    let statement = "; after the import, ALTER FOREIGN TABLE time_entries ADD COLUMN new_field";
    let of_entries: Vec<_> = new.iter().filter(|f| f.table == "time_entries").collect();
    assert!(of_entries.len() == 1 && of_entries[0].message.contains(statement), "{new:#?}");
    assert!(new.iter().all(|finding| finding.table.contains("time_entries")), "{new:#?}");
    only_absent(&found);
    assert!(unchecked.iter().all(|f| f.message.contains("no rows")), "{unchecked:#?}");
    let asked = w.sandbox.log().len();
    assert!(asked > 30, "{asked} requests");
}

#[test]
fn every_table_that_can_be_imported_is_looked_at() {
    let config = Config { scale: 500, ..Config::default() };
    let Some(mut w) = Workspace::imported("drift_all", config) else { return };
    let findings = drift(&mut w.client, "drift_all");
    assert!(findings.iter().all(|finding| finding.kind != "new"), "{findings:#?}");
    only_absent(&findings);
    let requests = w.sandbox.log().len();
    assert!(requests < 500, "{requests} requests");
}

#[test]
fn only_tables_that_the_user_may_read_are_looked_at() {
    let Some(mut w) = workspace("drift_rights") else { return };
    let mut a = w.role("drift_rights_a");
    w.run(&format!(
        "CREATE USER MAPPING FOR drift_rights_a SERVER drift_rights OPTIONS (api_key '{LIMITED}');
         REVOKE SELECT ON ALL TABLES IN SCHEMA drift_rights FROM drift_rights_a;
         GRANT SELECT ON projects TO drift_rights_a"
    ));
    w.sandbox.clear_log();
    w.sandbox.add_fault(fault("", set(json!({"newField": 1}))));
    let findings = drift(&mut a, "drift_rights");
    assert!(findings.iter().any(|finding| finding.kind == "new"), "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.table == "drift_rights.projects"));
    let log = w.sandbox.log();
    assert!(log.iter().all(|e| e.path.ends_with("/projects")), "{log:#?}");
    assert!(log.iter().all(|e| e.identity.as_deref() != Some("admin")), "{log:#?}");
    w.run("REVOKE USAGE ON FOREIGN SERVER drift_rights FROM drift_rights_a");
    failure(&mut a, "SELECT * FROM public.awork_fdw_drift('drift_rights')")
        .is("42501", &["permission denied for foreign server"]);
}

#[test]
fn what_every_request_would_meet_is_an_error() {
    let Some(mut w) = workspace("drift_errors") else { return };
    let sql = "SELECT * FROM awork_fdw_drift('drift_errors')";
    w.sandbox.add_fault(fault("", Action::Expired));
    w.failure(sql).is("28000", &["refused the API key"]);
    w.sandbox.clear_faults();
    w.sandbox.add_fault(fault("", status(429, None)));
    w.failure(sql).is("53400", &["rate limit"]);
    w.sandbox.clear_faults();
    w.failure("SELECT * FROM awork_fdw_drift('nowhere')").is("42704", &["does not exist"]);
    w.run("DROP USER MAPPING FOR CURRENT_USER SERVER drift_errors");
    w.failure(sql).is("HV002", &["has no credential"]);
    assert!(!w.notices.lock().unwrap().iter().any(|n| n.contains("awork-sandbox-key")));
}

#[test]
fn it_ends_with_the_statement() {
    let Some(mut w) = workspace("drift_ended") else { return };
    w.sandbox.add_fault(fault("/timeentries", Action::Hang));
    w.run("SET statement_timeout = '500ms'");
    let started = std::time::Instant::now();
    w.failure("SELECT * FROM awork_fdw_drift('drift_ended')").is("57014", &[]);
    assert!(started.elapsed().as_millis() < 1500, "{:?}", started.elapsed());
    w.run("RESET statement_timeout");
    w.sandbox.clear_faults();
    assert_eq!(drift(&mut w.client, "drift_ended"), []);
}

#[test]
fn the_rate_limit_is_kept() {
    let rate_limit = Some(RateLimit { per_second: 5, per_minute: 1000, retry_after: false });
    let config = Config { scale: 100, rate_limit, ..Config::default() };
    let Some(mut w) = Workspace::empty("drift_limit", config) else { return };
    drift(&mut w.client, "drift_limit");
    let log = w.sandbox.log();
    let refused = log.iter().filter(|e| e.status == Some(429)).count();
    assert!(log.len() > 30 && refused == 0, "{refused} of {}", log.len());
}

#[test]
fn a_secret_that_awork_echoes_is_not_shown() {
    let Some(mut w) = workspace("drift_secret") else { return };
    let key = "awork-sandbox-key";
    let mut echo = Map::new();
    echo.insert(key.into(), json!(1));
    echo.insert("duration".into(), json!(key));
    let findings = under(&mut w, "/timeentries", set(Value::Object(echo)));
    let columns: Vec<_> = findings.iter().map(|f| f.column.as_deref()).collect();
    assert_eq!(columns, [None, Some("duration")], "{findings:#?}");
    assert!(!format!("{findings:?}").contains(key), "{findings:#?}");
}
