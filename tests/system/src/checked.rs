//! Statements held against the requests that they may send, and against a copy of the rows.
//!
//! Statements and requests have placeholders: `{project}` is an identity, `{*projects}` in a
//! request stands for one request per identity of a list, `{in id few}` for the chain of
//! comparisons that `id IN (…)` becomes, `{1..3}` for one request per number, and `{s}` for the
//! order that keeps pages stable.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Config, LogEntry, Sandbox};
use postgres::{Client, SimpleQueryMessage};

use crate::Workspace;

/// The order that keeps pages stable.
const STABLE: &str = "orderby=createdOn asc,id asc";

/// The tables that are copied.
const COPIED: &[&str] = &[
    "companies",
    "projects",
    "project_members",
    "retainers",
    "task_comments",
    "tasks",
    "time_entries",
    "users",
];

/// What the placeholders stand for: their names, and a query over the copy.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("project", "SELECT project_id FROM time_entries GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"),
    ("two", "SELECT project_id FROM time_entries GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 2"),
    (
        "project2",
        "SELECT project_id FROM time_entries GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1 OFFSET 1",
    ),
    ("few", "SELECT id FROM time_entries ORDER BY id LIMIT 3"),
    ("few2", "SELECT id FROM time_entries ORDER BY id LIMIT 1 OFFSET 1"),
    ("few3", "SELECT id FROM time_entries ORDER BY id LIMIT 1 OFFSET 2"),
    ("entry project", "SELECT project_id FROM time_entries ORDER BY id LIMIT 1"),
    ("entry", "SELECT id FROM time_entries ORDER BY id LIMIT 1"),
    ("user", "SELECT user_id FROM time_entries GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"),
    (
        "company",
        "SELECT company_id FROM projects WHERE company_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
    ),
    (
        "projects",
        "SELECT id FROM projects WHERE company_id = (SELECT company_id FROM projects
        WHERE company_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1) ORDER BY id",
    ),
    ("name", "SELECT name FROM projects WHERE name !~ '[^A-Za-z0-9 ]' ORDER BY id LIMIT 1"),
    ("task", "SELECT id FROM tasks WHERE comment_count > 0 ORDER BY id LIMIT 1"),
    ("some", "SELECT id FROM tasks WHERE comment_count > 0 ORDER BY id LIMIT 2"),
    ("some2", "SELECT id FROM tasks WHERE comment_count > 0 ORDER BY id LIMIT 1 OFFSET 1"),
    ("commented", "SELECT id FROM tasks WHERE comment_count > 0"),
    ("retained", "SELECT id FROM projects WHERE is_retainer"),
    ("today", "SELECT current_date"),
    ("last month", "SELECT current_date - 30"),
];

/// A workspace, a copy of its main tables, and what the placeholders stand for.
pub struct Checked {
    /// The foreign tables.
    pub workspace: Workspace,
    placeholders: HashMap<&'static str, Vec<String>>,
}

/// A statement and its requests.
pub struct Case {
    /// With placeholders.
    pub sql: &'static str,
    /// In any order, with placeholders.
    pub requests: &'static [&'static str],
    /// Whether the rows are to be those of the copy.
    pub compared: bool,
}

/// A statement that gives the rows of the copy.
pub const fn case(sql: &'static str, requests: &'static [&'static str]) -> Case {
    Case { sql, requests, compared: true }
}

/// A statement whose rows the copy does not have, or that gives none.
pub const fn unlike(sql: &'static str, requests: &'static [&'static str]) -> Case {
    Case { sql, requests, compared: false }
}

impl Checked {
    /// Makes both; none where there is no cluster.
    pub fn new(name: &str, config: Config) -> Option<Self> {
        let mut workspace = Workspace::imported(name, config)?;
        let client = &mut workspace.client;
        let mut sql =
            format!("DROP SCHEMA IF EXISTS {name}_copy CASCADE; CREATE SCHEMA {name}_copy;");
        for table in COPIED {
            sql += &format!("CREATE TABLE {name}_copy.{table} AS SELECT * FROM {name}.{table};");
        }
        sql += &format!("SET search_path = {name}_copy");
        client.batch_execute(&sql).expect("the tables can be copied");
        let placeholders = PLACEHOLDERS
            .iter()
            .map(|(name, sql)| {
                let rows = rows(client, sql).expect("the placeholder's query runs");
                assert!(!rows.is_empty(), "nothing for {name}");
                (*name, rows)
            })
            .collect();
        let mut checked = Self { workspace, placeholders };
        checked.over_foreign_tables();
        Some(checked)
    }

    /// Lets names mean the foreign tables, with the settings of a new session.
    pub fn over_foreign_tables(&mut self) {
        let name = self.workspace.name.clone();
        self.reset(&name);
    }

    fn over_copies(&mut self) {
        let name = format!("{}_copy", self.workspace.name);
        self.reset(&name);
    }

    fn reset(&mut self, schema: &str) {
        self.workspace
            .client
            .batch_execute(&format!(
                "RESET ALL; DEALLOCATE ALL; SET client_min_messages = error;
                 SET search_path = {schema}, public"
            ))
            .expect("settings can be reset");
    }

    /// The values of a placeholder.
    pub fn values(&self, name: &str) -> &[String] {
        self.placeholders.get(name).unwrap_or_else(|| panic!("unknown placeholder {name}"))
    }

    /// A text with its placeholders replaced, several where one stands for several.
    pub fn filled(&self, text: &str) -> Vec<String> {
        let Some((before, rest)) = text.split_once('{') else { return vec![text.to_owned()] };
        let (name, after) = rest.split_once('}').expect("a placeholder ends");
        let values: Vec<String> = if name.is_empty() {
            vec!["{}".to_owned()]
        } else if name == "s" {
            vec![STABLE.to_owned()]
        } else if let Some((first, last)) = name.split_once("..") {
            let number = |text: &str| text.parse::<u32>().expect("a number");
            (number(first)..=number(last)).map(|n| n.to_string()).collect()
        } else if let Some(list) = name.strip_prefix('*') {
            self.values(list).to_vec()
        } else if let Some(chain) = name.strip_prefix("in ") {
            let (property, list) = chain.split_once(' ').expect("a property and a list");
            let mut texts: Vec<String> =
                self.values(list).iter().map(|id| format!("{property} eq guid'{id}'")).collect();
            texts.sort_unstable();
            vec![format!("({})", texts.join(" or "))]
        } else {
            vec![self.values(name)[0].clone()]
        };
        let rest = self.filled(after);
        values
            .iter()
            .flat_map(|value| rest.iter().map(move |rest| format!("{before}{value}{rest}")))
            .collect()
    }

    /// Holds the rows of every statement against those of the copy.
    pub fn same(&mut self, statements: &[&str]) {
        let mut failures = String::new();
        for statement in statements {
            let [sql] = self.filled(statement).try_into().expect("a statement is one");
            failures += &self.difference(&sql);
        }
        assert!(failures.is_empty(), "{failures}");
    }

    /// How the rows of a statement differ from those of the copy; empty where they do not.
    fn difference(&mut self, sql: &str) -> String {
        self.over_foreign_tables();
        let foreign = rows(&mut self.workspace.client, sql);
        self.against_copy(sql, foreign)
    }

    fn against_copy(&mut self, sql: &str, foreign: Result<Vec<String>, String>) -> String {
        self.over_copies();
        let copied = rows(&mut self.workspace.client, sql);
        let comparable = |rows: Result<Vec<String>, String>| {
            let mut rows = rows?;
            if !sql.contains("ORDER BY") {
                if sql.contains("LIMIT") {
                    // Which of the rows come is open.
                    rows = vec![format!("{} rows", rows.len())];
                }
                rows.sort_unstable();
            }
            Ok::<_, String>(rows)
        };
        let (foreign, copied) = (comparable(foreign), comparable(copied));
        if foreign == copied && foreign.is_ok() {
            return String::new();
        }
        let short = |rows: &Result<Vec<String>, String>| match rows {
            Ok(rows) => format!("{} rows: {:?}", rows.len(), &rows[..rows.len().min(3)]),
            Err(error) => error.clone(),
        };
        format!("\n{sql}\n  gave {}\n  not  {}\n", short(&foreign), short(&copied))
    }

    /// Runs a statement over the foreign tables: its rows, and what it sent.
    pub fn run(&mut self, sql: &str) -> (Result<Vec<String>, String>, Vec<String>) {
        self.over_foreign_tables();
        self.workspace.sandbox.clear_log();
        let rows = rows(&mut self.workspace.client, sql);
        (rows, requests(&self.workspace.sandbox))
    }
}

/// Holds every case against what happens, and reports all that differ.
pub fn check(checked: &mut Checked, cases: &[Case]) {
    let mut failures = String::new();
    for case in cases {
        let [sql] = checked.filled(case.sql).try_into().expect("a statement is one");
        let mut expected: Vec<String> =
            case.requests.iter().flat_map(|request| checked.filled(request)).collect();
        expected.sort_unstable();
        let (foreign, sent) = checked.run(&sql);
        if sent != expected {
            let list = |requests: &[String]| requests.join("\n    ");
            failures += &format!(
                "\n{sql}\n  may send\n    {}\n  and sent\n    {}\n",
                list(&expected),
                list(&sent)
            );
        }
        if case.compared {
            failures += &checked.against_copy(&sql, foreign);
        } else if let Err(error) = foreign {
            failures += &format!("\n{sql}\n  {error}\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The rows of one or several statements as text.
pub fn rows(client: &mut Client, sql: &str) -> Result<Vec<String>, String> {
    let messages = client.simple_query(sql).map_err(|error| {
        error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
    })?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
            Some(columns.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    Ok(rows.collect())
}

/// The requests in the log once none is under way, in the alphabet's order.
pub fn requests(sandbox: &Sandbox) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while sandbox.log().iter().any(|entry| entry.finished.is_none()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    let mut requests: Vec<String> = sandbox.log().iter().map(shown).collect();
    requests.sort_unstable();
    requests
}

/// A request without escapes, paging first, then filter and order.
fn shown(entry: &LogEntry) -> String {
    const LAST: [&str; 4] = ["page", "pageSize", "filterby", "orderby"];
    let path = entry.path.strip_prefix("/api/v1").unwrap_or(&entry.path);
    let others = entry.query.iter().filter(|(name, _)| !LAST.contains(&name.as_str()));
    let last = LAST.iter().filter_map(|last| entry.query.iter().find(|(name, _)| name == last));
    // Pages overlap, so that later ones have somewhat fewer rows than the first.
    let is_later = entry.parameter("page").is_some_and(|page| page != "1");
    let is_nearly_whole = |value: &str| value.parse().is_ok_and(|rows| (990..1000).contains(&rows));
    let query: Vec<String> = others
        .chain(last)
        .map(|(name, value)| match name.as_str() {
            "pageSize" if is_later && is_nearly_whole(value) => "pageSize=1000".to_owned(),
            _ => format!("{name}={value}"),
        })
        .collect();
    let method = if entry.method == "GET" { "" } else { entry.method.as_str() };
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{method}{path}{separator}{}", query.join("&"))
}
