//! What is asked, and the right answers: those of PostgreSQL over a full copy of the sandbox's
//! rows. They are worked out once, before there are faults.

use differential::schema::Schema;
use fastrand::Rng;
use postgres::{Client, Error};

use crate::faults::without_added;
use crate::session::{Failure, rows};

/// A statement and its rows.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The statement.
    pub(crate) sql: String,
    /// The rows as text, sorted where the statement has no order of its own.
    pub(crate) rows: Vec<String>,
}

/// A statement with a parameter, and the rows for some of its values.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// What `PREPARE` and `EXECUTE` call it.
    pub(crate) name: String,
    /// The whole `PREPARE`.
    pub(crate) prepare: String,
    /// `EXECUTE` with a value each.
    pub(crate) executions: Vec<Question>,
}

/// All that is asked.
#[derive(Debug)]
pub(crate) struct Questions {
    /// Statements by themselves.
    pub(crate) plain: Vec<Question>,
    /// Statements with up to [`LOOP`] rows, as arguments of `soak_read`; the rows are its own.
    pub(crate) looped: Vec<Question>,
    /// Statements that are executed again and again.
    pub(crate) prepared: Vec<Prepared>,
    /// Tables that are analyzed.
    pub(crate) analyzed: &'static [&'static str],
}

/// The most rows of a statement that PL/pgSQL gathers in an array.
const LOOP: usize = 300;

/// How many times a statement with placeholders is asked, with other values.
const VARIANTS: usize = 4;

/// `{table.column}` stands for a value of the column. Every order is total, and every limit is
/// over an order: otherwise there are several right answers.
const STATEMENTS: &[&str] = &[
    // full scans
    "SELECT id, duration, is_billable, created_on, note FROM time_entries",
    "SELECT id, name, project_id, task_status_type FROM tasks",
    "SELECT id, name, company_id, is_retainer FROM projects",
    "SELECT id, first_name, last_name FROM users",
    "SELECT * FROM companies",
    "SELECT id, user_id, start_on, end_on FROM absences",
    "SELECT id, user_id, project_id FROM time_bookings",
    "SELECT id, name FROM custom_field_definitions",
    "SELECT is_billable, count(*), sum(duration), min(created_on) FROM time_entries GROUP BY 1",
    // filters
    "SELECT id, duration FROM time_entries WHERE project_id = '{time_entries.project_id}'",
    "SELECT id FROM time_entries WHERE created_on >= '{time_entries.created_on}' AND is_billable",
    "SELECT id FROM time_entries WHERE duration BETWEEN {time_entries.duration} AND 9000",
    "SELECT id, name FROM tasks WHERE project_id IN ('{tasks.project_id}', '{tasks.project_id}')",
    "SELECT id, name FROM projects WHERE company_id = '{projects.company_id}' OR is_retainer",
    "SELECT id FROM users WHERE first_name LIKE '%a%' AND last_name <> ''",
    "SELECT id FROM tasks WHERE task_status_type = 'done' AND created_on < '{tasks.created_on}'",
    // lookups by key
    "SELECT id, duration, note FROM time_entries WHERE id = '{time_entries.id}'",
    "SELECT id, name FROM projects WHERE id = '{projects.id}'",
    "SELECT id, name FROM tasks WHERE id IN ('{tasks.id}', '{tasks.id}', '{tasks.id}')",
    "SELECT project_id, user_id FROM project_members WHERE project_id = '{projects.id}'",
    "SELECT id, name FROM project_task_lists WHERE project_id = '{projects.id}'",
    "SELECT id, task_id, created_on FROM task_comments WHERE task_id = '{task_comments.task_id}'",
    // lists of all parents
    "SELECT project_id, user_id FROM project_members",
    "SELECT project_id, count(*) FROM project_task_lists GROUP BY 1",
    // counts
    "SELECT count(*) FROM time_entries",
    "SELECT count(*) FROM time_entries WHERE project_id = '{time_entries.project_id}'",
    "SELECT count(*) FROM tasks WHERE is_prio",
    "SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM users)",
    // the first rows of an order
    "SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 7",
    "SELECT created_on FROM time_entries WHERE is_billable ORDER BY created_on LIMIT 150",
    "SELECT created_on FROM tasks ORDER BY created_on LIMIT 5 OFFSET 20",
    "SELECT id, created_on FROM projects ORDER BY created_on, id LIMIT 12",
    // joins
    "SELECT p.name, m.user_id FROM projects p JOIN project_members m ON m.project_id = p.id
      WHERE p.company_id = '{projects.company_id}'",
    "SELECT e.id, t.name FROM time_entries e JOIN tasks t ON t.id = e.task_id
      WHERE e.project_id = '{time_entries.project_id}'",
    "SELECT p.id, t.id FROM projects p LEFT JOIN tasks t ON t.project_id = p.id AND t.is_prio
      WHERE p.company_id = '{projects.company_id}'",
    "SELECT p.id FROM projects p WHERE p.company_id = '{projects.company_id}'
        AND NOT EXISTS (SELECT FROM time_entries e WHERE e.project_id = p.id AND e.is_billable)",
    "SELECT c.name, count(*) FROM companies c JOIN projects p ON p.company_id = c.id GROUP BY 1",
    // several scans at a time
    "SELECT id FROM projects UNION ALL SELECT id FROM users UNION ALL SELECT id FROM companies",
    "SELECT id, duration FROM time_entries WHERE is_billable
        UNION ALL SELECT id, length(name) FROM tasks UNION ALL SELECT id, -1 FROM absences",
    "SELECT 'entries', count(*) FROM time_entries UNION ALL SELECT 'tasks', count(*) FROM tasks",
];

/// Name, type of the parameter, the column with its values, statement.
const PREPARED: &[(&str, &str, &str, &str)] = &[
    (
        "by_project",
        "uuid",
        "time_entries.project_id",
        "SELECT id, duration FROM time_entries WHERE project_id = $1",
    ),
    ("entry", "uuid", "time_entries.id", "SELECT id, note FROM time_entries WHERE id = $1"),
    (
        "members",
        "uuid",
        "projects.id",
        "SELECT p.name, m.user_id FROM projects p
         JOIN project_members m ON m.project_id = p.id WHERE p.id = $1",
    ),
    (
        "since",
        "timestamptz",
        "tasks.created_on",
        "SELECT count(*) FROM tasks WHERE created_on > $1",
    ),
];

const ANALYZED: &[&str] = &["companies", "projects", "tasks", "time_entries", "users"];

/// `soak_read`: the rows of a statement, read in a loop within an exception block; where that
/// fails, `error`, the SQLSTATE and the message, after another statement has shown that the block
/// can go on.
pub(crate) const READ: &str = "
    CREATE OR REPLACE FUNCTION soak_read(question text) RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE r record; found text[] := '{}'; said text;
    BEGIN
        BEGIN
            FOR r IN EXECUTE question LOOP found := found || r::text; END LOOP;
        EXCEPTION WHEN OTHERS THEN
            said := 'error ' || SQLSTATE || ' ' || SQLERRM;
        END;
        IF said IS NOT NULL THEN
            PERFORM count(*) FROM pg_class;
            RETURN NEXT said;
        ELSE
            RETURN QUERY SELECT unnest(found);
        END IF;
    END $$";

impl Questions {
    /// Works the answers out in a session whose names mean the copy.
    pub(crate) fn new(
        client: &mut Client,
        schema: &Schema,
        rng: &mut Rng,
    ) -> Result<Self, Failure> {
        let mut plain = Vec::new();
        for statement in STATEMENTS {
            let variants = if statement.contains('{') { VARIANTS } else { 1 };
            for _ in 0..variants {
                plain.push(Question::answered(client, filled(statement, schema, rng))?);
            }
        }
        let mut looped = Vec::new();
        for question in plain.iter().filter(|question| question.rows.len() <= LOOP) {
            let sql = format!("SELECT soak_read({})", quoted(&question.sql));
            looped.push(Question::answered(client, sql)?);
        }
        let mut prepared = Vec::new();
        for (name, ty, column, statement) in PREPARED {
            let prepare = format!("PREPARE {name} ({ty}) AS {statement}");
            rows(client, &prepare)?;
            let mut executions = Vec::new();
            for _ in 0..3 * VARIANTS {
                let value = value(schema, column, rng);
                let sql = format!("EXECUTE {name} ('{value}')");
                executions.push(Question::answered(client, sql)?);
            }
            prepared.push(Prepared { name: (*name).to_owned(), prepare, executions });
        }
        Ok(Self { plain, looped, prepared, analyzed: ANALYZED })
    }
}

impl Question {
    fn answered(client: &mut Client, sql: String) -> Result<Self, Failure> {
        let rows = rows(client, &sql)?;
        Ok(Self { rows: comparable(&sql, rows), sql })
    }

    /// Whether these are the right rows.
    pub(crate) fn is_answered_by(&self, rows: Vec<String>) -> bool {
        let rows = rows.iter().map(|row| without_added(row)).collect();
        comparable(&self.sql, rows) == self.rows
    }
}

/// The rows in an order that does not matter, unless the statement has one.
fn comparable(sql: &str, mut rows: Vec<String>) -> Vec<String> {
    if !sql.contains("ORDER BY") {
        rows.sort_unstable();
    }
    rows
}

/// The tables that the sessions read, as superusers see them: the grants that users need.
pub(crate) fn grants(remote: &str, server: &str, role: &str) -> String {
    format!(
        "GRANT USAGE ON SCHEMA {remote} TO {role}; GRANT USAGE ON FOREIGN SERVER {server} TO {role};
         GRANT SELECT ON ALL TABLES IN SCHEMA {remote} TO {role};
         ALTER ROLE {role} SET search_path = {remote}, public"
    )
}

/// Makes what statements need beside the tables.
pub(crate) fn make_function(client: &mut Client) -> Result<(), Error> {
    client.batch_execute(READ)
}

fn filled(statement: &str, schema: &Schema, rng: &mut Rng) -> String {
    let mut sql = String::new();
    let mut rest = statement;
    while let Some((before, after)) = rest.split_once('{') {
        let (column, after) = after.split_once('}').expect("a placeholder ends");
        sql += before;
        sql += &value(schema, column, rng).replace('\'', "''");
        rest = after;
    }
    sql + rest
}

fn value(schema: &Schema, column: &str, rng: &mut Rng) -> String {
    let (table, column) = column.split_once('.').expect("a table and a column");
    let table = schema.tables.iter().find(|t| t.name == table).expect("a table of the schema");
    let column = table.columns.iter().find(|c| c.name == column).expect("a column of the table");
    rng.choice(&column.values).expect("the column has values").clone()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
