//! Custom fields as columns where they change, where awork fails, and where people name them oddly.

use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault};
use postgres::Client;
use serde_json::{Value, json};
use system_tests::roles::{admin, askers};
use system_tests::{Workspace, connect, connect_to, failure};

const PATH: &str = "/customfielddefinitions";

fn config() -> Config {
    let identities = vec![admin("awork-sandbox-key"), admin("importer")];
    Config { scale: 200, identities, ..Config::default() }
}

fn import(name: &str, tables: &str) -> String {
    format!(
        "IMPORT FOREIGN SCHEMA awork LIMIT TO ({tables}) FROM SERVER {name} INTO {name}
             OPTIONS (custom_fields 'columns')"
    )
}

/// A workspace without tables.
fn workspace(name: &str) -> Option<Workspace> {
    let mut w = Workspace::empty(name, config())?;
    w.run(&format!("SET search_path = {name}, public"));
    Some(w)
}

/// Has awork answer with these custom fields from now on.
fn define(w: &Workspace, fields: &[Value]) {
    w.sandbox.clear_faults();
    let text = Some(serde_json::to_string(fields).unwrap());
    fault(w, Action::Body { text, bytes: None, status: None, content_type: None });
}

fn fault(w: &Workspace, action: Action) {
    w.sandbox.add_fault(Fault { path: PATH.into(), query: None, nth: None, first: None, action });
}

fn field(n: u64, entity: &str, ty: &str, name: &str) -> Value {
    json!({"id": id(n), "name": name, "entity": entity, "type": ty,
           "createdOn": format!("2024-01-01T00:00:{n:02}Z")})
}

fn id(n: u64) -> String {
    format!("{n:08x}-0000-0000-0000-000000000000")
}

/// Names, types and comments of the columns of a table that show custom fields.
fn shown(client: &mut Client, table: &str) -> Vec<[String; 3]> {
    let sql = format!(
        "SELECT attname::text, format_type(atttypid, atttypmod), coalesce(col_description(attrelid, attnum), '')
         FROM pg_attribute CROSS JOIN pg_options_to_table(attfdwoptions)
         WHERE attrelid = '{table}'::regclass AND option_name = 'custom_field' ORDER BY attnum"
    );
    let rows = client.query(&sql, &[]).unwrap();
    rows.iter().map(|row| [0, 1, 2].map(|i| row.get(i))).collect()
}

/// What `awork_fdw_sync_columns` says: column, name and change.
fn sync(client: &mut Client, arguments: &str) -> Vec<[String; 3]> {
    let sql = format!(
        "SELECT column_name, coalesce(awork_name, ''), change FROM public.awork_fdw_sync_columns({arguments})"
    );
    let rows = client.query(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    rows.iter().map(|row| [0, 1, 2].map(|i| row.get(i))).collect()
}

fn asked(w: &Workspace) -> usize {
    let log = w.sandbox.log();
    w.sandbox.clear_log();
    log.iter().filter(|entry| entry.path.ends_with(PATH)).count()
}

#[test]
fn fields_that_change_keep_their_columns() {
    let Some(mut w) = workspace("fields_change") else { return };
    let before = [
        field(1, "project", "text", "Kept"),
        field(2, "project", "date", "Due by"),
        field(3, "project", "text", "Old name"),
        field(4, "project", "number", "Going"),
        field(5, "task", "number", "Of tasks"),
    ];
    define(&w, &before);
    w.run(&import("fields_change", "projects"));
    assert_eq!(asked(&w), 1);
    let names = ["kept", "due_by", "old_name", "going"];
    assert_eq!(shown(&mut w.client, "projects").iter().map(|c| &c[0]).collect::<Vec<_>>(), names);
    assert_eq!(sync(&mut w.client, "'projects'"), [[""; 3]; 0]);

    // The answer's order is nothing to go by.
    let after = [
        field(7, "project", "boolean", "Later"),
        field(3, "project", "text", "New name"),
        field(2, "project", "datetime", "Due by"),
        field(1, "project", "text", "Kept"),
        field(6, "project", "number", "Old name"),
    ];
    define(&w, &after);
    let changes = [
        ["due_by", "Due by", "changed"],
        ["old_name", "New name", "renamed"],
        ["going", "Going", "removed"],
        ["old_name_0000", "Old name", "added"],
        ["later", "Later", "added"],
    ];
    assert_eq!(sync(&mut w.client, "'fields_change.projects'"), changes);
    let columns = shown(&mut w.client, "projects");
    let columns: Vec<[&str; 3]> = columns.iter().map(|c| [0, 1, 2].map(|i| &*c[i])).collect();
    assert_eq!(
        columns,
        [
            ["kept", "text", "Custom field \"Kept\" (text)."],
            ["due_by", "date", "Custom field \"Due by\" (datetime)."],
            ["old_name", "text", "Custom field \"New name\" (text)."],
            ["going", "numeric", "Custom field \"Going\" (number)."],
            ["old_name_0000", "numeric", "Custom field \"Old name\" (number)."],
            ["later", "boolean", "Custom field \"Later\" (boolean)."],
        ]
    );
    // What is gone stays gone until it is dropped; the rest is known now.
    assert_eq!(sync(&mut w.client, "'projects'"), [["going", "Going", "removed"]]);
    assert_eq!(sync(&mut w.client, "'projects', 'drop'"), [["going", "Going", "dropped"]]);
    assert_eq!(sync(&mut w.client, "'projects', 'drop'"), [[""; 3]; 0]);
    assert_eq!(asked(&w), 5);

    // Comments of people's own are left alone.
    w.run("COMMENT ON COLUMN projects.kept IS 'ours'");
    define(&w, &[field(1, "project", "text", "Renamed")]);
    let changes = sync(&mut w.client, "'projects'");
    assert!(changes.iter().all(|change| change[2] == "removed"), "{changes:?}");
    assert_eq!(shown(&mut w.client, "projects")[0][2], "ours");
}

#[test]
fn a_type_that_nobody_knows_is_text() {
    let Some(mut w) = workspace("fields_new") else { return };
    define(&w, &[field(1, "task", "money", "Price"), field(2, "company", "text", "X")]);
    w.run(&import("fields_new", "tasks, projects"));
    let comment = "Custom field \"Price\" (money).";
    assert_eq!(shown(&mut w.client, "tasks"), [["price", "text", comment]]);
    assert_eq!(shown(&mut w.client, "projects"), [[""; 3]; 0]);
    let values =
        json!({"customFields": [{"customFieldDefinitionId": id(1), "moneyValue": {"amount": 5}}]});
    let Value::Object(set) = values else { unreachable!() };
    let action = Action::SetProperties { row: None, set };
    let path = "/me/allavailabletasks".into();
    w.sandbox.add_fault(Fault { path, query: None, nth: None, first: None, action });
    let row = w.client.query_one("SELECT count(*), count(price), min(price) FROM tasks", &[]);
    let row = row.unwrap();
    assert!(row.get::<_, i64>(0) > 0 && row.get::<_, i64>(0) == row.get::<_, i64>(1));
    assert_eq!(row.get::<_, String>(2), r#"{"amount":5}"#);
    // Nothing of it is drift.
    w.sandbox.clear_faults();
    let sql = "SELECT column_name FROM awork_fdw_drift('fields_new') WHERE column_name = 'price'";
    assert!(w.client.query(sql, &[]).unwrap().is_empty());
}

#[test]
fn drift_says_that_a_custom_field_does_not_fit() {
    let Some(mut w) = workspace("fields_drift") else { return };
    w.run(&import("fields_drift", "projects"));
    let sql = "SELECT column_name, kind, message FROM awork_fdw_drift('fields_drift')";
    assert_eq!(w.client.query(sql, &[]).unwrap().len(), 0);
    w.run("ALTER FOREIGN TABLE projects ALTER COLUMN auftragsnummer TYPE integer");
    let rows = w.client.query(sql, &[]).unwrap();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.get(0), row.get(1)), ("auftragsnummer", "changed"));
    assert!(row.get::<_, &str>(2).contains("on_type_mismatch"), "{row:?}");
}

#[test]
fn names_are_quoted_whatever_they_are() {
    let Some(mut w) = workspace("fields_quoted") else { return };
    let names = [
        "it's \"quoted\"",
        "$function$; DROP TABLE x; --",
        "back\\slash \u{1}\n",
        "%I %s",
        "😀",
        "SELECT",
    ];
    let fields = (1..).zip(names).map(|(n, name)| field(n, "project", "text", name));
    define(&w, &fields.collect::<Vec<_>>());
    w.run(&import("fields_quoted", "projects"));
    let columns = shown(&mut w.client, "projects");
    let found: Vec<&str> = columns.iter().map(|column| column[0].as_str()).collect();
    let expected =
        ["it_s_quoted", "function_drop_table_x", "back_slash", "i_s", "field_00000005", "select_"];
    assert_eq!(found, expected);
    for (column, name) in columns.iter().zip(names) {
        let name = name.replace(char::is_control, " ");
        assert_eq!(column[2], format!("Custom field \"{name}\" (text)."));
    }
    w.run("ALTER FOREIGN TABLE projects DROP COLUMN it_s_quoted, DROP COLUMN i_s");
    assert_eq!(sync(&mut w.client, "'projects'").len(), 2);
}

#[test]
fn failures_of_awork_are_told_and_leave_nothing_behind() {
    let Some(mut w) = workspace("fields_fail") else { return };
    let statement = import("fields_fail", "projects, users");
    let status = |status, code: Option<&str>| Action::Status {
        status,
        code: code.map(str::to_owned),
        retry_after: None,
    };
    let body = |text: &str| Action::Body {
        text: Some(text.into()),
        bytes: None,
        status: None,
        content_type: None,
    };
    for (action, code, words) in [
        (status(500, None), "HV00M", "500"),
        (status(401, Some("unauthorized")), "42501", "permission denied"),
        (Action::Expired, "28000", ""),
        (
            body(r#"[{"name": "no id"}]"#),
            "HV00M",
            "malformed answer to GET /customfielddefinitions",
        ),
        (body("{}"), "HV00M", "malformed answer"),
    ] {
        w.sandbox.clear_faults();
        fault(&w, action);
        let failed = failure(&mut w.client, &statement);
        assert!(failed.text.contains(words), "{failed:?}");
        assert_eq!(failed.code, code, "{failed:?}");
        let row = w.client.query_one("SELECT to_regclass('projects')::text", &[]).unwrap();
        assert_eq!(row.get::<_, Option<String>>(0), None);
    }
    w.sandbox.clear_faults();
    fault(&w, Action::Hang);
    w.run("SET statement_timeout = '300ms'");
    let started = Instant::now();
    failure(&mut w.client, &statement).is("57014", &[]);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    w.sandbox.clear_faults();
    w.run("RESET statement_timeout");
    w.run(&statement);
    assert!(shown(&mut w.client, "projects").len() > 10);
}

#[test]
fn definitions_are_asked_for_once_and_only_where_they_are_needed() {
    let Some(mut w) = workspace("fields_once") else { return };
    w.run("IMPORT FOREIGN SCHEMA awork FROM SERVER fields_once INTO fields_once");
    assert_eq!(asked(&w), 0);
    w.run("DROP SCHEMA fields_once CASCADE; CREATE SCHEMA fields_once");
    w.run(&import("fields_once", "users, companies"));
    assert_eq!(w.sandbox.log().len(), 0);
    w.run(&import("fields_once", "projects, tasks, project_tasks"));
    assert_eq!(asked(&w), 1);
}

#[test]
fn the_importing_user_asks() {
    let Some(mut w) = workspace("fields_user") else { return };
    let mut a = w.role("fields_user_a");
    w.run("GRANT CREATE ON SCHEMA fields_user TO fields_user_a");
    failure(&mut a, &import("fields_user", "projects")).is("HV002", &["fields_user_a"]);
    assert_eq!(askers(&w.sandbox), [""; 0]);
    a.batch_execute("CREATE USER MAPPING FOR USER SERVER fields_user OPTIONS (api_key 'importer')")
        .unwrap();
    a.batch_execute(&import("fields_user", "projects")).unwrap();
    assert_eq!(askers(&w.sandbox), ["importer"]);
    let columns = shown(&mut a, "projects");
    assert!(columns.iter().all(|column| column[2].starts_with("Custom field")), "{columns:?}");
    assert_eq!(sync(&mut a, "'projects'"), [[""; 3]; 0]);
    assert_eq!(askers(&w.sandbox), ["importer"]);
    // Somebody who only may read the table cannot even ask.
    let mut b = w.role("fields_user_b");
    failure(&mut b, "SELECT awork_fdw_sync_columns('projects')").is("42501", &["must be owner"]);
    assert_eq!(askers(&w.sandbox), [""; 0]);
    drop((a, b));
    w.run("DROP OWNED BY fields_user_a CASCADE");
}

#[test]
fn other_encodings_get_what_they_can_have() {
    let Some(mut admin) = connect() else { return };
    let sandbox = awork_sandbox::Sandbox::start(config()).unwrap();
    admin.batch_execute("DROP DATABASE IF EXISTS fields_latin").unwrap();
    admin
        .batch_execute(
            "CREATE DATABASE fields_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
        )
        .unwrap();
    let mut client = connect_to("postgres", "fields_latin").unwrap();
    client
        .batch_execute(&format!(
            "SET client_min_messages = error;
             CREATE EXTENSION awork_fdw;
             CREATE SERVER fields_latin FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{}');
             CREATE USER MAPPING FOR CURRENT_USER SERVER fields_latin OPTIONS (api_key 'awork-sandbox-key');
             CREATE SCHEMA fields_latin; SET search_path = fields_latin, public;
             {}",
            sandbox.api_url(),
            import("fields_latin", "tasks")
        ))
        .unwrap();
    let columns = shown(&mut client, "tasks");
    assert!(columns.iter().all(|column| column.iter().all(|text| text.is_ascii())), "{columns:?}");
    let size = columns.iter().find(|column| column[0].starts_with("groesse")).unwrap();
    assert!(size[2].starts_with("Custom field \"Grosse & Mass"), "{size:?}");
    assert_eq!(sync(&mut client, "'tasks'"), [[""; 3]; 0]);
    drop(client);
    admin.batch_execute("DROP DATABASE fields_latin").unwrap();
}

#[test]
fn a_null_where_none_may_be_is_an_error() {
    let Some(mut w) = workspace("fields_null") else { return };
    w.run(
        "IMPORT FOREIGN SCHEMA awork LIMIT TO (projects) FROM SERVER fields_null INTO fields_null",
    );
    let Value::Object(set) = json!({"id": null}) else { unreachable!() };
    let action = Action::SetProperties { row: None, set };
    let path = "/projects".into();
    w.sandbox.add_fault(Fault { path, query: None, nth: None, first: None, action });
    w.failure("SELECT id FROM projects").is("23502", &["column \"id\"", "NOT NULL"]);
    assert!(w.client.query("SELECT name FROM projects", &[]).is_ok());
    w.run("ALTER FOREIGN TABLE projects ALTER COLUMN id DROP NOT NULL");
    let row = w.client.query_one("SELECT count(*), count(id::text) FROM projects", &[]).unwrap();
    assert!(row.get::<_, i64>(0) > 0 && row.get::<_, i64>(1) == 0);
}
