//! The reports over a workspace: what docs/reports.md says of them is run and compared, and they ask
//! awork for no more than the conditions need. tests/sql/reports.sql has their figures.

use awork_sandbox::{Config, Sandbox};
use postgres::{Client, SimpleQueryMessage};
use system_tests::{Workspace, connect, connect_to};

const DOCUMENT: &str = include_str!("../../../docs/reports.md");

/// The SQL of a part of the document, a block each.
fn blocks(part: &str) -> Vec<&str> {
    let from = DOCUMENT.split_once(part).unwrap_or_else(|| panic!("there is no {part}")).1;
    let section = from.split_once("\n## ").map_or(from, |(section, _)| section);
    section
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("a block ends").0)
        .collect()
}

/// A session in a new database with the extension and a foreign server `awork`.
fn desk(database: &str, sandbox: &Sandbox) -> Option<Client> {
    let mut client = connect()?;
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {database}")).unwrap();
    client.batch_execute(&format!("CREATE DATABASE {database}")).unwrap();
    let mut client = connect_to("postgres", database)?;
    client
        .batch_execute(&format!(
            "CREATE EXTENSION awork_fdw;
             SET client_min_messages = error;
             SET jit = off;
             CREATE SERVER awork FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{}');
             CREATE USER MAPPING FOR CURRENT_USER SERVER awork OPTIONS (api_key 'awork-sandbox-key');
             CREATE SCHEMA awork;",
            sandbox.api_url()
        ))
        .unwrap();
    Some(client)
}

fn drop_database(database: &str) {
    let mut client = connect().expect("there is a cluster");
    client.batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)")).unwrap();
}

fn number_of_rows(client: &mut Client, sql: &str) -> usize {
    let messages = client.simple_query(sql).unwrap_or_else(|e| panic!("{sql}\n{e:?}"));
    messages.iter().filter(|m| matches!(m, SimpleQueryMessage::Row(_))).count()
}

/// The filters that were sent to a list, in no order.
fn filters(sandbox: &Sandbox, path: &str) -> Vec<String> {
    let log = sandbox.log();
    let mut filters: Vec<String> = log
        .iter()
        .filter(|entry| entry.path.ends_with(path))
        .map(|entry| entry.parameter("filterby").unwrap_or_default().to_owned())
        .collect();
    filters.sort_unstable();
    filters
}

#[test]
fn each_question_of_the_document_has_an_answer() {
    let Ok(sandbox) = Sandbox::start(Config { scale: 3_000, ..Config::default() }) else {
        panic!("the sandbox starts")
    };
    let Some(mut client) = desk("reports_document", &sandbox) else { return };
    let setup = blocks("# Reports\n");
    client.batch_execute(setup[0]).unwrap();
    let reports = |source: &str, target: &str| {
        // The made-up workspace does not age.
        format!(
            "SELECT count(left_out_because) FROM awork_fdw_create_reports('{source}', '{target}',
                 'Europe/Berlin', first_day => '2025-01-01',
                 hourly_rate_field => 'Stundensatz', fixed_price_field => 'Festpreis')"
        )
    };
    let left_out: i64 = client.query_one(&reports("awork", "reports"), &[]).unwrap().get(0);
    assert_eq!(left_out, 0);
    client
        .batch_execute(&format!(
            "CREATE SERVER vienna FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{}');
             CREATE USER MAPPING FOR CURRENT_USER SERVER vienna OPTIONS (api_key 'awork-sandbox-key');
             CREATE SCHEMA awork_vienna;
             IMPORT FOREIGN SCHEMA awork LIMIT TO (time_entries) FROM SERVER vienna INTO awork_vienna;
             CREATE SCHEMA reports_vienna;
             SELECT * FROM awork_fdw_create_reports('awork_vienna', 'reports_vienna');",
            sandbox.api_url()
        ))
        .unwrap();

    let questions = blocks("## Twelve questions\n");
    assert_eq!(questions.len(), 12);
    for sql in questions {
        assert!(sql.starts_with("SELECT ") && sql.matches(';').count() == 1, "{sql}");
        assert!(number_of_rows(&mut client, sql) > 0, "no rows: {sql}");
    }

    // Whose working time serves again costs little the next time.
    let advice = blocks("## What is asked for\n");
    assert_eq!(advice.len(), 2);
    client.batch_execute(advice[0]).unwrap();
    let month = "SELECT sum(tracked_hours) FROM reports.utilisation_by_day
                 WHERE day >= '2026-09-01' AND day < '2026-10-01'";
    number_of_rows(&mut client, month);
    sandbox.clear_log();
    number_of_rows(&mut client, month);
    let log = sandbox.log();
    assert!(log.iter().all(|entry| !entry.path.ends_with("/capacity")), "{log:?}");
    assert!(log.len() <= 20, "{} requests", log.len());
    drop(client);
    drop_database("reports_document");
}

#[test]
fn the_document_has_each_view_with_its_columns() {
    let Some(mut w) =
        Workspace::imported("reports_columns", Config { scale: 100, ..Config::default() })
    else {
        return;
    };
    w.client.batch_execute(
            "DROP SCHEMA IF EXISTS reports_columns_views CASCADE; CREATE SCHEMA reports_columns_views",
        )
        .unwrap();
    let made = w
        .client
        .query(
            "SELECT report::text, comment
             FROM awork_fdw_create_reports('reports_columns', 'reports_columns_views',
                 hourly_rate_field => 'Stundensatz')
                 WITH ORDINALITY AS made(report, comment, left_out_because, place)
             ORDER BY place",
            &[],
        )
        .unwrap();
    let mut listed = Vec::new();
    for row in made {
        let (report, comment): (String, String) = (row.get(0), row.get(1));
        let columns = w
            .client
            .query(
                "SELECT format('| `%s` | %s | %s|', attname, format_type(atttypid, atttypmod),
                               col_description(attrelid, attnum) || ' ')
                 FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
                &[&format!("reports_columns_views.{report}")],
            )
            .unwrap();
        let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
        let head = "| column | type | meaning |\n| --- | --- | --- |";
        listed.push(format!("### {report}\n\n{comment}\n\n{head}\n{}\n", columns.join("\n")));
    }
    let documented = DOCUMENT.split_once("## The views\n\n").expect("a list of the views").1;
    let listed = listed.join("\n");
    let differs = listed.lines().zip(documented.lines()).find(|(listed, said)| listed != said);
    assert_eq!(differs, None);
    assert_eq!(listed.lines().count(), documented.lines().count());
    w.client.batch_execute("DROP SCHEMA reports_columns_views CASCADE").unwrap();
}

#[test]
fn a_report_of_a_month_reads_that_month() {
    let Some(mut w) =
        Workspace::imported("reports_month", Config { scale: 3_000, ..Config::default() })
    else {
        return;
    };
    w.client
        .batch_execute(
            "DROP SCHEMA IF EXISTS reports_month_views CASCADE;
             CREATE SCHEMA reports_month_views;
             SELECT * FROM awork_fdw_create_reports('reports_month', 'reports_month_views', 'Europe/Berlin',
                 first_day => '2025-01-01',
                 hourly_rate_field => 'Stundensatz');
             SET search_path = reports_month_views, reports_month, public",
        )
        .unwrap();
    let september = "startDateLocal ge datetime'2026-09-01T00:00:00' and startDateLocal lt datetime'2026-10-01T00:00:00'";
    let mut entries = |sql: &str| {
        w.sandbox.clear_log();
        number_of_rows(&mut w.client, sql);
        filters(&w.sandbox, "/timeentries")
    };

    let sent = entries(
        "SELECT client, sum(hours) FROM tracked_time WHERE day >= '2026-09-01' AND day < '2026-10-01' GROUP BY 1",
    );
    assert_eq!(sent, [september]);
    let sent = entries(
        "SELECT person, sum(tracked_hours) FROM utilisation_by_day
         WHERE day >= '2026-09-01' AND day < '2026-10-01' GROUP BY 1",
    );
    assert!(sent.len() == 1 && sent[0].contains(september), "{sent:?}");
    let sent = entries(
        "SELECT * FROM utilisation_by_week WHERE week BETWEEN '2026-09-07' AND '2026-09-14'",
    );
    let week = |from: &str, to: &str| {
        format!(
            "startDateLocal ge datetime'2026-09-{from}T00:00:00' and startDateLocal le datetime'2026-09-{to}T00:00:00'"
        )
    };
    assert!(
        sent.len() == 2
            && sent[0].contains(&week("07", "13"))
            && sent[1].contains(&week("14", "20")),
        "{sent:?}"
    );

    let project: String =
        "SELECT project_id FROM reports_month.time_entries WHERE project_id IS NOT NULL LIMIT 1"
            .into();
    let project: String =
        w.client.query_one(&format!("SELECT ({project})::text"), &[]).unwrap().get(0);
    let mut entries = |sql: &str| {
        w.sandbox.clear_log();
        number_of_rows(&mut w.client, &sql.replace("{project}", &project));
        filters(&w.sandbox, "/timeentries")
    };
    let of_project = format!("projectId eq guid'{project}'");
    for report in ["project_budgets", "planned_by_assignee", "profitability", "tracked_time"] {
        let sent = entries(&format!("SELECT * FROM {report} WHERE project_id = '{{project}}'"));
        assert!(
            !sent.is_empty() && sent.iter().all(|f| f.contains(&of_project)),
            "{report}: {sent:?}"
        );
    }
    let sent = entries("SELECT * FROM unbilled_hours");
    assert!(
        sent.iter().all(|f| f.contains("isBillable eq true and isBilled eq false")),
        "{sent:?}"
    );
    let sent = entries("SELECT * FROM running_timers");
    assert_eq!(sent, ["(startTimeUtc ne null and endTimeUtc eq null)"]);
    assert!(entries("SELECT * FROM planned_by_project").is_empty());

    w.sandbox.clear_log();
    number_of_rows(&mut w.client, "SELECT * FROM overdue_tasks");
    let sent = filters(&w.sandbox, "/allavailabletasks");
    assert!(!sent.is_empty() && sent.iter().all(|f| f.contains("dueOn le datetime'")), "{sent:?}");
    w.client.batch_execute("DROP SCHEMA reports_month_views CASCADE").unwrap();
}
