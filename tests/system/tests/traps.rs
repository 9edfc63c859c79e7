//! Forms of statements, and events between and within them, that foreign data wrappers have
//! stumbled over.

use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, Feature, Refused, Sandbox};
use system_tests::Workspace;
use system_tests::checked::{Checked, requests, rows};

const SCALE: usize = 2_500;

fn checked(name: &str) -> Option<Checked> {
    Checked::new(name, Config { scale: SCALE, ..Config::default() })
}

fn workspace(name: &str) -> Option<Workspace> {
    Workspace::imported(name, Config { scale: SCALE, ..Config::default() })
}

fn fault(path: &str, query: Option<&str>, action: Action) -> Fault {
    Fault { path: path.into(), query: query.map(str::to_owned), nth: None, first: None, action }
}

fn status(status: u16) -> Action {
    Action::Status { status, code: None, retry_after: None }
}

#[test]
fn statements_give_the_rows_of_a_copy() {
    let Some(mut w) = checked("traps_rows") else { return };
    w.same(&[
        // Operators with the column on the right, and columns on both sides.
        "SELECT id FROM time_entries WHERE 3600 <= duration AND '2026-09-01' < start_date_utc",
        "SELECT id FROM time_entries WHERE '{project}' <> project_id",
        "SELECT id FROM time_entries WHERE 5000 BETWEEN duration - 600 AND duration + 600",
        "SELECT id FROM time_entries WHERE duration BETWEEN break_duration AND 3600",
        "SELECT id FROM time_entries WHERE created_on BETWEEN start_date_utc AND updated_on",
        "SELECT id FROM time_entries WHERE duration BETWEEN SYMMETRIC 3600 AND 900",
        "SELECT id FROM time_entries WHERE created_on BETWEEN '2026-10-01' AND '2026-09-01'",
        // Unknown.
        "SELECT id FROM time_entries WHERE task_id NOT IN (SELECT id FROM tasks WHERE name < 'M')",
        "SELECT id FROM time_entries WHERE task_id NOT IN (SELECT NULL::uuid)",
        "SELECT id FROM time_entries WHERE task_id <> ALL (ARRAY['{task}', NULL]::uuid[])",
        "SELECT id FROM time_entries WHERE NOT (project_id = '{project}')",
        "SELECT id FROM time_entries WHERE NOT (project_id = '{project}' AND task_id IS NULL)",
        "SELECT id FROM time_entries WHERE (project_id = '{project}') IS NOT TRUE",
        "SELECT id FROM time_entries WHERE (task_id = '{task}') IS UNKNOWN",
        "SELECT id FROM time_entries WHERE coalesce(task_id, '{task}') = '{task}'",
        "SELECT id FROM time_entries WHERE CASE WHEN is_billable THEN duration > 3600 ELSE project_id = '{project}' END",
        // Limits.
        "SELECT id FROM time_entries LIMIT 0",
        "SELECT id FROM time_entries ORDER BY created_on, id LIMIT NULL",
        "SELECT id FROM time_entries ORDER BY created_on, id LIMIT NULL OFFSET NULL",
        "SELECT id FROM time_entries ORDER BY created_on, id OFFSET 2400",
        "SELECT id FROM time_entries ORDER BY created_on, id OFFSET 2499",
        "SELECT id FROM time_entries ORDER BY created_on, id OFFSET 2500",
        "SELECT id FROM time_entries ORDER BY created_on, id OFFSET 100000",
        "SELECT id FROM time_entries ORDER BY created_on, id LIMIT 10 OFFSET 2495",
        "SELECT id FROM time_entries ORDER BY created_on, id LIMIT 1500 OFFSET 700",
        "SELECT id FROM time_entries ORDER BY created_on DESC LIMIT (SELECT 3) OFFSET (SELECT 2)",
        "SELECT created_on FROM time_entries WHERE is_billable ORDER BY created_on DESC LIMIT 1200",
        "SELECT id FROM time_entries ORDER BY created_on LIMIT 3000",
        "SELECT count(*) FROM (SELECT id FROM time_entries LIMIT 1200) x",
        "SELECT count(*) FROM (SELECT id FROM time_entries OFFSET 1200) x",
        "SELECT count(*) FROM (SELECT id FROM time_entries ORDER BY created_on LIMIT 7 OFFSET 3) x",
        "SELECT id FROM (SELECT * FROM time_entries ORDER BY created_on LIMIT 10) x WHERE is_billable ORDER BY 1",
        "SELECT id FROM (SELECT * FROM time_entries ORDER BY created_on LIMIT 10) x ORDER BY id LIMIT 3",
        "SELECT DISTINCT ON (project_id) project_id, created_on FROM time_entries ORDER BY project_id, created_on DESC",
        "SELECT is_billable, count(*), min(created_on) FROM time_entries GROUP BY 1 ORDER BY 1 LIMIT 1",
        "SELECT created_on, id FROM time_entries ORDER BY created_on FETCH FIRST 3 ROWS WITH TIES",
        "SELECT id, lag(id) OVER (ORDER BY created_on) FROM time_entries ORDER BY created_on LIMIT 5",
        // Counts.
        "SELECT count(*) FROM time_entries WHERE is_billable AND NOT is_billable",
        "SELECT count(*) FROM time_entries HAVING false",
        "SELECT count(*) + count(*), 'x' FROM time_entries",
        "SELECT (SELECT count(*) FROM time_entries), (SELECT count(*) FROM projects)",
        "SELECT count(*) FROM time_entries WHERE now() < '2000-01-01'",
        "SELECT count(*) FROM time_entries GROUP BY ()",
        "SELECT count(*) FROM time_entries GROUP BY GROUPING SETS ((), ())",
        "SELECT 1 FROM time_entries WHERE is_billable",
        "SELECT FROM projects",
        // Joins.
        "SELECT p.id FROM projects p WHERE EXISTS (SELECT FROM time_entries t WHERE t.project_id = p.id AND t.is_billable)",
        "SELECT p.id FROM projects p WHERE NOT EXISTS (SELECT FROM time_entries t WHERE t.project_id = p.id)",
        "SELECT p.id FROM projects p WHERE p.id IN (SELECT project_id FROM project_members m WHERE m.user_id = '{user}')",
        "SELECT a.id FROM time_entries a JOIN time_entries b ON a.id = b.id AND b.is_billable",
        "SELECT count(*) FROM time_entries a JOIN time_entries b ON a.project_id = b.project_id AND a.created_on < b.created_on",
        "SELECT p.id, t.id FROM projects p LEFT JOIN time_entries t ON t.project_id = p.id AND t.duration > 9000",
        "SELECT p.id, t.id FROM time_entries t FULL JOIN projects p ON t.project_id = p.id",
        "SELECT p.id, l.* FROM projects p, LATERAL (SELECT t.id, t.created_on FROM time_entries t WHERE t.project_id = p.id ORDER BY t.created_on DESC LIMIT 2) l",
        "SELECT p.id, l.n FROM projects p LEFT JOIN LATERAL (SELECT count(*) AS n FROM time_entries t WHERE t.project_id = p.id AND t.is_billable) l ON true",
        "SELECT p.id, l.user_id FROM projects p, LATERAL (SELECT user_id FROM project_members m WHERE m.project_id = p.id OFFSET 0) l",
        "SELECT p.id, (SELECT max(t.duration) FROM time_entries t WHERE t.project_id = p.id AND t.duration > 0) FROM projects p",
        "SELECT p.id, (SELECT t.id FROM time_entries t WHERE t.project_id = p.id ORDER BY t.created_on LIMIT 1) FROM projects p",
        "SELECT p.id, m.id FROM projects p JOIN project_members m ON m.project_id = p.id AND m.user_id = p.created_by",
        "SELECT c.name, count(*) FROM companies c JOIN projects p ON p.company_id = c.id JOIN project_members m ON m.project_id = p.id GROUP BY 1",
        "SELECT id FROM time_entries UNION ALL SELECT id FROM projects",
        "SELECT id FROM time_entries WHERE is_billable UNION SELECT id FROM time_entries WHERE NOT is_billable",
        "SELECT project_id FROM time_entries EXCEPT SELECT id FROM projects WHERE company_id = '{company}'",
        "SELECT * FROM (SELECT id, created_on FROM time_entries UNION ALL SELECT id, created_on FROM projects) x ORDER BY created_on, id LIMIT 9",
        "WITH x AS MATERIALIZED (SELECT * FROM time_entries WHERE is_billable) SELECT count(*) FROM x a JOIN x b USING (id)",
        "WITH RECURSIVE r(id, n) AS (SELECT id, 1 FROM projects WHERE company_id = '{company}' UNION ALL
             SELECT t.project_id, n + 1 FROM r JOIN time_entries t ON t.project_id = r.id WHERE n < 2 AND t.duration > 10000)
         SELECT id, n FROM r",
        // Whole rows.
        "SELECT p FROM projects p WHERE p.company_id = '{company}'",
        "SELECT (t).id FROM (SELECT t FROM time_entries t WHERE is_billable) x",
        "SELECT count(t) FROM time_entries t",
        "SELECT to_jsonb(t) ->> 'id' FROM time_entries t WHERE t.id = '{entry}'",
    ]);
}

#[test]
fn settings_that_force_other_plans_change_no_rows() {
    let Some(mut w) = checked("traps_plans") else { return };
    let join = "SELECT p.name, m.user_id, count(t.id) FROM projects p JOIN project_members m ON m.project_id = p.id
        LEFT JOIN time_entries t ON t.project_id = p.id AND t.user_id = m.user_id
        WHERE p.company_id = '{company}' GROUP BY 1, 2";
    let mut statements = Vec::new();
    for settings in [
        &["enable_hashjoin", "enable_mergejoin"][..],
        &["enable_nestloop", "enable_hashjoin"],
        &["enable_nestloop", "enable_mergejoin"],
        &["enable_hashjoin", "enable_mergejoin", "enable_memoize", "enable_material"],
        &["enable_sort", "enable_hashagg"],
    ] {
        let settings: Vec<String> = settings.iter().map(|s| format!("SET {s} = off;")).collect();
        statements.push(format!("{}{join}", settings.concat()));
    }
    statements.push(format!("SET work_mem = '64kB'; {join}"));
    statements.push("SET plan_cache_mode = force_generic_plan;
        PREPARE q(uuid[], int, timestamptz) AS SELECT id FROM time_entries WHERE project_id = ANY ($1) AND duration > $2 AND created_on < $3;
        EXECUTE q(ARRAY['{project}', '{project2}']::uuid[], 600, '2026-10-01'); EXECUTE q(ARRAY['{project}', NULL]::uuid[], NULL, '2026-10-01');
        EXECUTE q(NULL, 600, '2026-10-01'); EXECUTE q('{}', 600, 'infinity'); EXECUTE q(ARRAY['{project}']::uuid[], -1, 'infinity')".to_owned());
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    w.same(&statements);
}

#[test]
fn a_cursor_reads_no_further_than_it_is_fetched() {
    let Some(mut w) = workspace("traps_cursor") else { return };
    w.client.batch_execute("ALTER SERVER traps_cursor OPTIONS (ADD page_size '100')").unwrap();
    w.client
        .batch_execute("BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT id FROM time_entries")
        .unwrap();
    assert_eq!(rows(&mut w.client, "FETCH 10 FROM c").unwrap().len(), 10);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(requests(&w.sandbox).len(), 1);
    assert_eq!(rows(&mut w.client, "FETCH 200 FROM c").unwrap().len(), 200);
    w.client.batch_execute("CLOSE c; COMMIT").unwrap();
    // What was sent before the end may still arrive.
    thread::sleep(Duration::from_millis(100));
    let before = requests(&w.sandbox).len();
    assert!(before <= 8, "{before} pages of 100 rows for 210 rows");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(requests(&w.sandbox).len(), before, "requests went on after CLOSE");

    // In pieces come all rows, each once; nothing is left behind by the earlier cursor.
    w.client.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT id FROM time_entries").unwrap();
    let mut all = Vec::new();
    loop {
        let piece = rows(&mut w.client, "FETCH 333 FROM c").unwrap();
        if piece.is_empty() {
            break;
        }
        all.extend(piece);
    }
    assert_eq!(rows(&mut w.client, "FETCH 1 FROM c").unwrap().len(), 0);
    w.client.batch_execute("COMMIT").unwrap();
    assert_eq!(all.len(), SCALE);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), SCALE);

    // A cursor that goes back, and one that outlives its transaction.
    w.client
        .batch_execute(
            "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM time_entries ORDER BY created_on",
        )
        .unwrap();
    let forth = rows(&mut w.client, "FETCH 150 FROM c").unwrap();
    let mut back = rows(&mut w.client, "FETCH BACKWARD 149 FROM c").unwrap();
    back.reverse();
    assert_eq!(back, forth[..149]);
    w.client
        .batch_execute(
            "COMMIT; BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT id FROM projects; COMMIT",
        )
        .unwrap();
    assert_eq!(rows(&mut w.client, "FETCH ALL FROM h").unwrap().len(), 40);
    w.client.batch_execute("CLOSE h").unwrap();
}

#[test]
fn an_exception_block_survives_a_failing_scan() {
    let Some(mut w) = workspace("traps_exceptions") else { return };
    w.client
        .batch_execute(
            "CREATE FUNCTION traps_exceptions.read(entry_limit int) RETURNS text LANGUAGE plpgsql AS $$
             DECLARE n int := 0; r record; said text := '';
             BEGIN
                 BEGIN
                     FOR r IN SELECT id FROM traps_exceptions.time_entries LOOP
                         n := n + 1;
                         IF n = entry_limit THEN RAISE EXCEPTION 'enough'; END IF;
                     END LOOP;
                 EXCEPTION WHEN OTHERS THEN
                     said := SQLSTATE || ' after ' || n || ', ';
                 END;
                 SELECT said || count(*) INTO said FROM traps_exceptions.projects;
                 RETURN said;
             END $$",
        )
        .unwrap();
    let read = |w: &mut Workspace, limit: &str| {
        rows(&mut w.client, &format!("SELECT traps_exceptions.read({limit})")).unwrap().remove(0)
    };
    assert_eq!(read(&mut w, "NULL"), "40");
    assert_eq!(read(&mut w, "5"), "P0001 after 5, 40");
    assert_eq!(read(&mut w, "1700"), "P0001 after 1700, 40");
    w.sandbox.add_fault(fault("/timeentries", Some("page=2"), status(500)));
    // PL/pgSQL fetches 10 rows, then 50 at a time.
    for _ in 0..3 {
        assert_eq!(read(&mut w, "NULL"), "HV00M after 960, 40");
    }
    w.sandbox.clear_faults();
    assert_eq!(read(&mut w, "NULL"), "40");

    // A cursor that an outer block has opened fails in an inner one.
    w.client
        .batch_execute(
            "CREATE FUNCTION traps_exceptions.fetched() RETURNS text LANGUAGE plpgsql AS $$
             DECLARE c CURSOR FOR SELECT id FROM traps_exceptions.time_entries; n int := 0; r record; said text := '';
             BEGIN
                 OPEN c;
                 FETCH c INTO r;
                 BEGIN
                     LOOP FETCH c INTO r; EXIT WHEN NOT FOUND; n := n + 1; END LOOP;
                 EXCEPTION WHEN OTHERS THEN said := SQLSTATE || ' after ' || n || ', ';
                 END;
                 SELECT said || count(*) INTO said FROM traps_exceptions.projects;
                 RETURN said;
             END $$",
        )
        .unwrap();
    w.sandbox.add_fault(fault("/timeentries", Some("page=2"), status(500)));
    assert_eq!(
        rows(&mut w.client, "SELECT traps_exceptions.fetched()").unwrap(),
        ["HV00M after 999, 40"]
    );

    // A savepoint, likewise.
    w.client.batch_execute("BEGIN; SAVEPOINT s").unwrap();
    rows(&mut w.client, "SELECT id FROM time_entries").unwrap_err();
    w.client.batch_execute("ROLLBACK TO s").unwrap();
    w.sandbox.clear_faults();
    assert_eq!(rows(&mut w.client, "SELECT id FROM time_entries").unwrap().len(), SCALE);
    w.client.batch_execute("COMMIT").unwrap();
}

#[test]
fn tables_change_under_prepared_statements() {
    let Some(mut w) = workspace("traps_changes") else { return };
    let truth = w.sandbox.rows("projects", &[]);
    let mut names: Vec<&str> = truth.iter().map(|row| row["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    w.client
        .batch_execute(
            "CREATE FOREIGN TABLE p (a text OPTIONS (field 'description'), name text, b int OPTIONS (field 'timeBudget'),
                 id uuid, created_on timestamptz OPTIONS (field 'createdOn')) SERVER traps_changes OPTIONS (resource 'projects');
             SET plan_cache_mode = force_generic_plan;
             PREPARE names AS SELECT name FROM p ORDER BY name COLLATE \"C\";
             PREPARE one(uuid) AS SELECT name FROM p WHERE id = $1;
             PREPARE newest(int) AS SELECT name FROM p ORDER BY created_on DESC LIMIT $1;
             PREPARE counted AS SELECT count(*) FROM p",
        )
        .unwrap();
    let id = truth[7]["id"].as_str().unwrap().to_owned();
    let name = truth[7]["name"].as_str().unwrap().to_owned();
    let mut by_age: Vec<(&str, &str)> = truth
        .iter()
        .map(|row| (row["createdOn"].as_str().unwrap(), row["name"].as_str().unwrap()))
        .collect();
    by_age.sort_unstable();
    let newest: Vec<&str> = by_age.iter().rev().take(2).map(|(_, name)| *name).collect();
    for change in [
        "SELECT",
        "ALTER FOREIGN TABLE p DROP COLUMN a",
        "ALTER FOREIGN TABLE p ADD COLUMN k text OPTIONS (field 'projectKey')",
        "ALTER FOREIGN TABLE p DROP COLUMN b",
        "ALTER FOREIGN TABLE p RENAME COLUMN k TO key",
        "ALTER FOREIGN TABLE p ADD COLUMN extra int",
        "ALTER SERVER traps_changes OPTIONS (ADD page_size '7')",
        "ALTER FOREIGN TABLE p OPTIONS (ADD page_size '11')",
    ] {
        w.client.batch_execute(change).unwrap();
        for _ in 0..2 {
            assert_eq!(rows(&mut w.client, "EXECUTE names").unwrap(), names, "{change}");
            assert_eq!(
                rows(&mut w.client, &format!("EXECUTE one('{id}')")).unwrap(),
                [name.as_str()],
                "{change}"
            );
            assert_eq!(rows(&mut w.client, "EXECUTE newest(2)").unwrap(), newest, "{change}");
            assert_eq!(rows(&mut w.client, "EXECUTE counted").unwrap(), ["40"], "{change}");
        }
    }
    let keys = rows(&mut w.client, "SELECT key FROM p WHERE key IS NOT NULL").unwrap();
    assert_eq!(keys.len(), truth.iter().filter(|row| row["projectKey"].is_string()).count());

    let failure = w.failure("SELECT extra FROM p");
    assert!(failure.text.contains("no column \"extra\""), "{failure:?}");

    // Another server, another workspace.
    let other = Sandbox::start(Config { scale: 100, seed: 7, ..Config::default() }).unwrap();
    let there = other.rows("projects", &[]).len();
    w.client
        .batch_execute(&format!(
            "ALTER SERVER traps_changes OPTIONS (SET api_url '{}')",
            other.api_url()
        ))
        .unwrap();
    w.sandbox.clear_log();
    assert_eq!(rows(&mut w.client, "EXECUTE counted").unwrap(), [there.to_string()]);
    assert_eq!(rows(&mut w.client, "EXECUTE names").unwrap().len(), there);
    assert_eq!(rows(&mut w.client, &format!("EXECUTE one('{id}')")).unwrap().len(), 0);
    assert!(w.sandbox.log().is_empty());
}

#[test]
fn ten_executions_in_plpgsql_each_ask_for_their_own_values() {
    let Some(mut w) = checked("traps_plpgsql") else { return };
    let body = |schema: &str| {
        format!(
            "CREATE FUNCTION {schema}.counts() RETURNS SETOF text LANGUAGE plpgsql SET search_path = {schema} AS $$
             DECLARE p record; n int; m timestamptz; d int; i int := 0;
             BEGIN
                 FOR p IN SELECT id FROM {schema}.projects ORDER BY id LIMIT 10 LOOP
                     i := i + 1;
                     SELECT count(*) INTO n FROM time_entries WHERE project_id = p.id AND start_date_utc >= timestamptz '2026-01-01' + i * interval '1 week';
                     SELECT max(created_on) INTO m FROM time_entries WHERE project_id = p.id;
                     SELECT count(duration) INTO d FROM (SELECT duration FROM time_entries WHERE project_id = p.id ORDER BY created_on LIMIT i OFFSET i) x;
                     RETURN NEXT p.id || ' ' || n || ' ' || coalesce(m::text, '') || ' ' || d;
                 END LOOP;
             END $$"
        )
    };
    w.workspace.client.batch_execute(&body("traps_plpgsql")).unwrap();
    w.workspace.client.batch_execute(&body("traps_plpgsql_copy")).unwrap();
    let (foreign, sent) = w.run("SELECT * FROM traps_plpgsql.counts()");
    let (copied, _) = w.run("SELECT * FROM traps_plpgsql_copy.counts()");
    assert_eq!(foreign.unwrap(), copied.unwrap());
    assert_eq!(sent.len(), 31, "{sent:#?}");
}

#[test]
fn a_timeout_ends_a_scan_of_many_lists() {
    let Some(mut w) = workspace("traps_timeout") else { return };
    w.client.query("SELECT id FROM companies", &[]).unwrap();
    w.sandbox.add_fault(fault("/tasks/", None, Action::Latency { ms: 150 }));
    w.client.batch_execute("SET statement_timeout = '500ms'").unwrap();
    let started = Instant::now();
    let failure = w.failure("SELECT id FROM task_comments");
    let took = started.elapsed();
    assert_eq!(failure.code, "57014");
    assert!(took < Duration::from_millis(650), "timed out after {took:?}");
    thread::sleep(Duration::from_millis(100));
    let sent = requests(&w.sandbox).len();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(requests(&w.sandbox).len(), sent, "requests went on");
    w.sandbox.clear_faults();
    w.client.batch_execute("RESET statement_timeout").unwrap();
    assert!(rows(&mut w.client, "SELECT id FROM task_comments").unwrap().len() > 10);
}

#[test]
fn a_nul_in_a_text_is_an_error_of_the_columns_that_show_it() {
    let Some(mut w) = workspace("traps_nul") else { return };
    let set = serde_json::json!({ "note": "a\u{0}b" }).as_object().unwrap().clone();
    w.sandbox.add_fault(fault("/timeentries", None, Action::SetProperties { set, row: Some(3) }));
    for column in ["note", "attrs", "*"] {
        let failure = w.failure(&format!("SELECT {column} FROM time_entries"));
        assert!(failure.text.contains("NUL"), "{column}: {failure:?}");
        assert!(failure.text.contains("id is"), "{column}: {failure:?}");
    }
    assert_eq!(rows(&mut w.client, "SELECT id, duration FROM time_entries").unwrap().len(), SCALE);
    assert_eq!(
        rows(&mut w.client, "SELECT count(*) FROM time_entries").unwrap(),
        [SCALE.to_string()]
    );
}

#[test]
fn a_read_only_transaction_reads() {
    let Some(mut w) = workspace("traps_read_only") else { return };
    w.client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE").unwrap();
    assert_eq!(
        rows(&mut w.client, "SELECT count(*) FROM time_entries").unwrap(),
        [SCALE.to_string()]
    );
    assert_eq!(rows(&mut w.client, "SELECT * FROM time_entries").unwrap().len(), SCALE);
    w.client.batch_execute("COMMIT").unwrap();
    assert_eq!(w.failure("DELETE FROM time_entries").code, "0A000");
    assert_eq!(w.failure("UPDATE time_entries SET note = 'x'").code, "0A000");
    assert_eq!(w.failure("INSERT INTO companies (name) VALUES ('x')").code, "0A000");
}

#[test]
fn partitions_on_two_servers() {
    let Some(mut w) = workspace("traps_partitions") else { return };
    let other = Sandbox::start(Config { scale: 1_500, seed: 7, ..Config::default() }).unwrap();
    let columns = "id uuid NOT NULL, created_on timestamptz, is_billable boolean, duration int";
    w.client
        .batch_execute(&format!(
            "DROP SERVER IF EXISTS traps_partitions_2 CASCADE;
             CREATE SERVER traps_partitions_2 FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{}', max_retries '0');
             CREATE USER MAPPING FOR CURRENT_USER SERVER traps_partitions_2 OPTIONS (api_key 'awork-sandbox-key');
             CREATE TABLE everything (workspace text, {columns}) PARTITION BY LIST (workspace);
             CREATE FOREIGN TABLE here (workspace text OPTIONS (field 'timezone'), {columns}) SERVER traps_partitions OPTIONS (resource 'time_entries');
             CREATE FOREIGN TABLE there (workspace text OPTIONS (field 'timezone'), {columns}) SERVER traps_partitions_2 OPTIONS (resource 'time_entries');
             ALTER TABLE everything ATTACH PARTITION here FOR VALUES IN ('here');
             ALTER TABLE everything ATTACH PARTITION there FOR VALUES IN ('there');
             CREATE TABLE copies AS SELECT * FROM everything",
            other.api_url()
        ))
        .unwrap();
    for (sql, most) in [
        ("SELECT id FROM everything ORDER BY created_on DESC, id LIMIT 20", 8),
        ("SELECT created_on FROM everything ORDER BY created_on LIMIT 20", 2),
        ("SELECT created_on FROM everything ORDER BY created_on LIMIT 20 OFFSET 10", 2),
        ("SELECT count(*) FROM everything", 8),
        ("SELECT count(*) FROM everything WHERE is_billable", 8),
        ("SELECT is_billable, count(*), sum(duration) FROM everything GROUP BY 1 ORDER BY 1", 8),
        ("SELECT min(created_on), max(created_on) FROM everything", 8),
        ("SELECT id FROM everything WHERE duration > 10000 ORDER BY id", 8),
        ("SELECT count(*) FROM everything WHERE workspace = 'nowhere'", 0),
    ] {
        w.sandbox.clear_log();
        other.clear_log();
        let foreign = rows(&mut w.client, sql).unwrap();
        let sent = [requests(&w.sandbox), requests(&other)].concat();
        assert!(sent.len() <= most, "{sql}: {sent:#?}");
        assert_eq!(
            foreign,
            rows(&mut w.client, &sql.replace("everything", "copies")).unwrap(),
            "{sql}"
        );
        w.client
            .batch_execute(
                "SET enable_partitionwise_aggregate = on; SET enable_partitionwise_join = on",
            )
            .unwrap();
        assert_eq!(foreign, rows(&mut w.client, sql).unwrap(), "{sql}, by partition");
        w.client
            .batch_execute("RESET enable_partitionwise_aggregate; RESET enable_partitionwise_join")
            .unwrap();
    }
}

#[test]
fn a_security_barrier_stays_one() {
    let Some(mut w) = checked("traps_barrier") else { return };
    let name = w.workspace.name.clone();
    for schema in [name.clone(), format!("{name}_copy")] {
        w.workspace
            .client
            .batch_execute(&format!(
                "CREATE VIEW {schema}.barred WITH (security_barrier) AS SELECT * FROM {schema}.time_entries WHERE is_billable;
                 CREATE FUNCTION {schema}.leaks(billable boolean) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
                 BEGIN IF NOT billable THEN RAISE EXCEPTION 'leaked'; END IF; RETURN true; END $$;"
            ))
            .unwrap();
    }
    w.same(&[
        "SELECT count(*) FROM barred",
        "SELECT count(*) FROM barred WHERE leaks(is_billable)",
        "SELECT id FROM barred WHERE leaks(is_billable) AND project_id = '{project}'",
        "SELECT id FROM barred WHERE project_id = '{project}' ORDER BY created_on LIMIT 3",
        "SELECT id FROM barred ORDER BY created_on DESC LIMIT 3 OFFSET 2",
        "SELECT id FROM barred WHERE note LIKE 'A%'",
    ]);
    // The view's condition is awork's to check, and so is one that cannot leak.
    let [sql] = w
        .filled("SELECT id FROM barred WHERE leaks(is_billable) AND project_id = '{project}'")
        .try_into()
        .unwrap();
    let (_, sent) = w.run(&sql);
    let [request] = sent.try_into().expect("one request");
    assert!(
        request.contains("isBillable eq true") && request.contains("projectId eq "),
        "{request}"
    );
}

#[test]
fn analyze() {
    let Some(mut w) = workspace("traps_analyze") else { return };
    w.client
        .batch_execute("SET client_min_messages = warning; ANALYZE traps_analyze.time_entries")
        .unwrap();
    let stored = |w: &mut Workspace, table: &str| -> f64 {
        rows(
            &mut w.client,
            &format!("SELECT reltuples FROM pg_class WHERE oid = '{table}'::regclass"),
        )
        .unwrap()[0]
            .parse()
            .unwrap()
    };
    let entries = stored(&mut w, "time_entries");
    assert!((entries - SCALE as f64).abs() < SCALE as f64 / 10.0, "{entries} rows");
    let statistics = rows(&mut w.client,
        "SELECT attname FROM pg_stats WHERE schemaname = 'traps_analyze' AND tablename = 'time_entries' AND n_distinct <> 0").unwrap();
    for column in ["id", "project_id", "is_billable", "created_on", "duration"] {
        assert!(statistics.iter().any(|name| name == column), "{column} is not in {statistics:?}");
    }
    // An estimate is near to what is there.
    let truth: f64 = rows(&mut w.client, "SELECT count(*) FROM time_entries WHERE is_billable")
        .unwrap()[0]
        .parse()
        .unwrap();
    let plan = rows(&mut w.client, "EXPLAIN SELECT * FROM time_entries WHERE is_billable")
        .unwrap()
        .join("\n");
    let estimate: f64 = plan
        .split("rows=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap()
        .parse()
        .unwrap();
    assert!((estimate - truth).abs() < truth / 5.0, "{estimate} for {truth} rows: {plan}");

    // A table below a parent.
    w.client.batch_execute("ANALYZE traps_analyze.project_members").unwrap();
    let members = rows(&mut w.client, "SELECT count(*) FROM project_members").unwrap()[0]
        .parse::<f64>()
        .unwrap();
    let stored_members = stored(&mut w, "project_members");
    assert!(
        (stored_members - members).abs() <= members / 5.0,
        "{stored_members} for {members} rows"
    );
    w.client.batch_execute("ANALYZE traps_analyze.task_comments").unwrap();
    let comments = rows(&mut w.client, "SELECT count(*) FROM task_comments").unwrap()[0]
        .parse::<f64>()
        .unwrap();
    let stored_comments = stored(&mut w, "task_comments");
    assert!(
        (stored_comments - comments).abs() <= comments,
        "{stored_comments} for {comments} rows"
    );

    // And one that may not be read from all parents.
    w.client
        .batch_execute("ALTER FOREIGN TABLE traps_analyze.retainers OPTIONS (ADD fan_out 'off')")
        .unwrap();
    w.sandbox.clear_log();
    w.notices.lock().unwrap().clear();
    w.client.batch_execute("ANALYZE traps_analyze.retainers").unwrap();
    let notices = w.notices.lock().unwrap().join("\n");
    assert!(notices.contains("skipping \"retainers\""), "{notices}");
    assert!(w.sandbox.log().is_empty());
}

#[test]
fn reading_moves_on_where_rows_come_and_go() {
    let Some(mut w) = workspace("traps_moving") else { return };
    // A filter keeps what it says, also when the row at hand has changed since.
    let set = serde_json::json!({ "isBillable": false }).as_object().unwrap().clone();
    let action = Action::SetProperties { set, row: Some(0) };
    w.sandbox.add_fault(fault("/timeentries", Some("page=1&"), action));
    let all = rows(&mut w.client, "SELECT id FROM time_entries WHERE is_billable").unwrap().len();
    let truth =
        w.sandbox.rows("time_entries", &[]).iter().filter(|row| row["isBillable"] == true).count();
    assert_eq!(all, truth - 1, "rows that do not satisfy the condition came through");
}

#[test]
fn columns_of_other_types_compare_as_they_are_shown() {
    let config = Config { scale: 1_200, ..Config::default() };
    let Some(mut w) = Workspace::imported("traps_types", config) else { return };
    w.client
        .batch_execute(
            "CREATE DOMAIN seconds AS int CHECK (VALUE > -1);
             CREATE DOMAIN day AS date;
             CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE FOREIGN TABLE odd (id uuid NOT NULL, id_text text OPTIONS (field 'id'),
                 day date OPTIONS (field 'createdOn'), wall timestamp OPTIONS (field 'createdOn'),
                 rounded timestamptz(0) OPTIONS (field 'createdOn'), at timestamptz OPTIONS (field 'createdOn'),
                 named day OPTIONS (field 'createdOn'), start date OPTIONS (field 'startDateUtc'),
                 local timestamptz OPTIONS (field 'startDateLocal'), local_day date OPTIONS (field 'startDateLocal'),
                 time_utc time OPTIONS (field 'startTimeUtc'), n numeric OPTIONS (field 'duration'),
                 short numeric(4, -2) OPTIONS (field 'duration'), r real OPTIONS (field 'duration'),
                 d double precision OPTIONS (field 'duration'), s seconds OPTIONS (field 'duration'),
                 t text OPTIONS (field 'duration'), b8 bigint OPTIONS (field 'duration'),
                 billable text OPTIONS (field 'isBillable'), note text COLLATE nocase,
                 zone varchar(60) OPTIONS (field 'timezone'), padded char(40) OPTIONS (field 'timezone'))
             SERVER traps_types OPTIONS (resource 'time_entries')",
        )
        .unwrap();
    let statements = [
        "SELECT id FROM odd WHERE day = '2026-10-01'",
        "SELECT id FROM odd WHERE day >= '2026-09-15' AND day < '2026-10-02'",
        "SELECT count(*) FROM odd WHERE day <> '2026-10-01'",
        "SELECT id FROM odd WHERE day IN ('2026-10-01', '2026-10-02', '2026-10-05')",
        "SELECT id FROM odd WHERE day > timestamptz '2026-10-05 03:00:00+02'",
        "SELECT id FROM odd WHERE day <= timestamp '2026-10-05 03:00:00'",
        "SELECT id FROM odd WHERE day BETWEEN timestamp '2026-10-05 00:00' AND timestamptz '2026-10-06 00:00Z'",
        "SELECT id FROM odd WHERE named = '2026-10-01'",
        "SELECT id FROM odd WHERE wall >= '2026-10-05 02:00' AND wall < '2026-10-06 02:00'",
        "SELECT id FROM odd WHERE wall >= date '2026-10-05'",
        "SELECT id FROM odd WHERE wall >= timestamptz '2026-10-05 00:00:00Z'",
        "SELECT id FROM odd WHERE rounded = (SELECT rounded FROM odd ORDER BY at DESC LIMIT 1)",
        "SELECT id FROM odd WHERE rounded > '2026-10-05'",
        "SELECT id FROM odd WHERE start = '2026-10-01'",
        "SELECT count(*) FROM odd WHERE start >= '2026-10-01'",
        "SELECT count(*) FROM odd WHERE start <> '2026-10-01'",
        "SELECT id FROM odd WHERE local = '2026-10-01'",
        "SELECT count(*) FROM odd WHERE local >= '2026-10-01'",
        "SELECT count(*) FROM odd WHERE local >= date '2026-10-01'",
        "SELECT count(*) FROM odd WHERE local_day = '2026-10-01'",
        "SELECT count(*) FROM odd WHERE local_day NOT IN ('2026-10-01', '2026-10-02')",
        "SELECT count(*) FROM odd WHERE time_utc >= '12:00'",
        "SELECT id FROM odd WHERE n > 3600.5 AND n < 7199.5",
        "SELECT id FROM odd WHERE short = 3600",
        "SELECT id FROM odd WHERE short > 7200",
        "SELECT id FROM odd WHERE r = 3600",
        "SELECT id FROM odd WHERE d BETWEEN 3600 AND 7200",
        "SELECT id FROM odd WHERE d = 'NaN' OR d > 1e300 OR d = '-Infinity'",
        "SELECT id FROM odd WHERE d < 'Infinity' AND n <> 'NaN' AND n < 'Infinity'",
        "SELECT id FROM odd WHERE s = 3600 AND b8 = 3600::bigint AND b8 < 9223372036854775807",
        "SELECT id FROM odd WHERE b8 <> 3600 AND b8 > -9223372036854775808",
        "SELECT id FROM odd WHERE t = '3600'",
        "SELECT id FROM odd WHERE t > '5'",
        "SELECT id FROM odd WHERE billable = 'true'",
        "SELECT id FROM odd WHERE id_text = (SELECT id_text FROM odd ORDER BY id LIMIT 1)",
        "SELECT id FROM odd WHERE id_text LIKE '%a'",
        "SELECT id FROM odd WHERE note = (SELECT upper(note) FROM odd WHERE note IS NOT NULL ORDER BY id LIMIT 1)",
        "SELECT id FROM odd WHERE zone = 'Europe/Berlin'",
        "SELECT id FROM odd WHERE padded = 'Europe/Berlin'",
        "SELECT id FROM odd WHERE padded LIKE 'Europe/Berlin '",
        "SELECT day FROM odd ORDER BY day DESC LIMIT 5",
        "SELECT day, id FROM odd ORDER BY day DESC, id LIMIT 5",
        "SELECT wall FROM odd ORDER BY wall LIMIT 5 OFFSET 5",
        "SELECT wall, n FROM odd WHERE n IS NOT NULL ORDER BY n, wall, id LIMIT 25",
        "SELECT rounded FROM odd ORDER BY rounded DESC LIMIT 5",
        "SELECT n FROM odd WHERE n > 60 ORDER BY n LIMIT 5",
        "SELECT s FROM odd ORDER BY s NULLS FIRST LIMIT 5",
        "SELECT s FROM odd ORDER BY s DESC LIMIT 5",
        "SELECT t FROM odd WHERE t > '' ORDER BY t LIMIT 5",
        "SELECT r FROM odd WHERE r > 0 ORDER BY r DESC, id LIMIT 5",
        "SELECT start, local, id FROM odd WHERE start > '2026-01-01' ORDER BY start, local, id LIMIT 25",
        "SELECT local FROM odd WHERE local > '2026-01-01' ORDER BY local DESC LIMIT 25",
        "SELECT min(day), max(wall), min(rounded), max(n), min(s), max(start), min(local) FROM odd",
        "SELECT max(start) FROM odd",
        "SELECT min(local_day) FROM odd",
    ];
    let mut failures = String::new();
    for zone in ["UTC", "America/New_York", "Pacific/Kiritimati"] {
        w.client
            .batch_execute(&format!(
                "SET TimeZone = '{zone}'; DROP TABLE IF EXISTS even; CREATE TABLE even AS SELECT * FROM odd"
            ))
            .unwrap();
        for sql in statements {
            let sorted = |mut rows: Result<Vec<String>, String>| {
                if let (Ok(rows), false) = (&mut rows, sql.contains("ORDER BY")) {
                    rows.sort_unstable();
                }
                rows
            };
            let foreign = sorted(rows(&mut w.client, sql));
            let copied = sorted(rows(&mut w.client, &sql.replace("FROM odd", "FROM even")));
            if foreign != copied {
                let number = |rows: &Result<Vec<String>, String>| {
                    rows.as_ref().map(Vec::len).map_err(Clone::clone)
                };
                let (a, b) = (number(&foreign), number(&copied));
                let first = |rows: Result<Vec<String>, String>| {
                    rows.unwrap_or_default().into_iter().take(4).collect::<Vec<_>>()
                };
                failures += &format!(
                    "\n{zone}: {sql}\n  gave {a:?} {:?}\n  not  {b:?} {:?}\n",
                    first(foreign),
                    first(copied)
                );
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn less_common_statements() {
    let Some(mut w) = checked("traps_rare") else { return };
    let name = w.workspace.name.clone();
    w.workspace
        .client
        .batch_execute(&format!(
            "CREATE FOREIGN TABLE {name}.nothing () SERVER {name} OPTIONS (resource 'time_entries');
             CREATE TABLE {name}_copy.nothing AS SELECT FROM {name}_copy.time_entries;
             CREATE TABLE {name}_copy.own AS SELECT id, 0 AS n FROM {name}_copy.projects;
             CREATE TABLE {name}.own AS SELECT * FROM {name}_copy.own"
        ))
        .unwrap();
    w.same(&[
        "SELECT FROM nothing",
        "SELECT count(*) FROM nothing",
        "SELECT 1 FROM nothing LIMIT 3 OFFSET 2499",
        "SELECT count(*) FROM nothing a, (SELECT FROM nothing LIMIT 2) b",
        "SELECT count(*) FROM time_entries LIMIT 0",
        "SELECT count(*) FROM time_entries OFFSET 1",
        "SELECT count(*) FROM time_entries ORDER BY count(*) LIMIT 1",
        "SELECT DISTINCT count(*) FROM time_entries",
        "SELECT count(*), generate_series(1, 2) FROM time_entries ORDER BY 2",
        "SELECT count(*) OVER (), id FROM projects",
        "SELECT sum(count(*)) OVER () FROM time_entries",
        "SELECT count(*), now() > '2020-01-01' FROM time_entries WHERE is_billable",
        "SELECT count(1), count(NULL), count(id), count(DISTINCT id) FROM time_entries",
        "SELECT n.n, (SELECT count(*) + n.n FROM time_entries) FROM generate_series(1, 3) n(n)",
        "SELECT n.n, (SELECT count(*) FROM time_entries WHERE is_billable = (n.n > 1)) FROM generate_series(0, 3) n(n)",
        "SELECT count(*) FROM time_entries WHERE random() >= 0",
        "SELECT count(*) FROM time_entries WHERE is_billable OR random() < 2",
        "SELECT id FROM time_entries WHERE random() >= 0 ORDER BY id LIMIT 3",
        "SELECT id FROM projects WHERE tableoid IS NOT NULL",
        "SELECT count(tableoid) FROM projects",
        "SELECT tableoid IS NOT NULL, created_on FROM time_entries ORDER BY created_on LIMIT 2 OFFSET 2",
        "SELECT created_on FROM time_entries ORDER BY created_on LIMIT 9223372036854775807 OFFSET 2495",
        "SELECT created_on FROM time_entries ORDER BY created_on LIMIT 5 OFFSET 9223372036854775807",
        "SELECT v.n, l.created_on FROM (VALUES (1), (2), (4), (2)) v(n), LATERAL (SELECT created_on FROM time_entries ORDER BY created_on LIMIT v.n OFFSET v.n) l ORDER BY 1, 2",
        "SELECT v.n, l.* FROM (VALUES (1, '{project}'::uuid), (3, '{project}'), (2, '{project2}')) v(n, id),
             LATERAL (SELECT created_on FROM time_entries t WHERE t.project_id = v.id ORDER BY created_on DESC LIMIT v.n) l ORDER BY 1, 2",
        "SELECT v.n, (SELECT created_on FROM time_entries WHERE is_billable ORDER BY created_on LIMIT 1 OFFSET v.n) FROM generate_series(0, 4) v(n)",
        "SELECT p.id, (SELECT count(*) FROM project_members m WHERE m.project_id = p.id) FROM projects p",
        "SELECT p.id, EXISTS (SELECT FROM time_entries t WHERE t.project_id = p.id AND t.duration > 10000) FROM projects p",
        "SELECT count(*) FROM task_comments WHERE task_id IN ('{task}', '{task}', '{project}')",
        "SELECT id FROM task_comments WHERE task_id = '{task}' ORDER BY created_on LIMIT 2 OFFSET 1",
        "SELECT created_on FROM task_comments ORDER BY created_on DESC LIMIT 5",
        "SELECT count(*) FROM task_comments",
        "SELECT count(*) FROM task_comments WHERE task_id IN (SELECT id FROM tasks WHERE comment_count > 1)",
        "SELECT t.id, c.id FROM tasks t LEFT JOIN task_comments c ON c.task_id = t.id WHERE t.project_id = '{project}'",
        "SELECT id FROM time_entries WHERE (project_id, is_billable) = ('{project}', true)",
        "SELECT id FROM time_entries WHERE (project_id, is_billable) IN (('{project}', true), ('{project2}', false))",
        "SELECT id FROM time_entries WHERE (created_on, id) > ('2026-10-01', '{entry}')",
        "SELECT id FROM time_entries WHERE ROW(project_id, task_id) IS NOT NULL",
        "SELECT id FROM time_entries WHERE project_id = ANY (SELECT id FROM projects WHERE company_id = '{company}')",
        "SELECT id FROM time_entries WHERE project_id = (SELECT id FROM projects WHERE id = '{project}')",
        "SELECT id FROM time_entries WHERE project_id = ANY (ARRAY[ARRAY['{project}'::uuid], ARRAY['{project2}'::uuid]])",
        "SELECT id FROM time_entries WHERE project_id = SOME (string_to_array('{project},{project2}', ',')::uuid[])",
        "SELECT id FROM time_entries WHERE is_billable IN (true, false) AND is_billable = ANY (ARRAY[true, NULL])",
        "SELECT id FROM time_entries WHERE is_billable > false AND is_billable <= true",
        "SELECT id FROM time_entries WHERE is_billable = is_billed",
        "SELECT is_billable, is_billed, count(*) FROM time_entries GROUP BY CUBE (1, 2)",
        "UPDATE own SET n = 1 FROM projects p WHERE p.id = own.id AND p.company_id = '{company}' RETURNING own.id",
        "DELETE FROM own USING time_entries t WHERE t.project_id = own.id AND t.is_billable RETURNING own.id",
        "INSERT INTO own SELECT id, 5 FROM projects ORDER BY created_on, id LIMIT 4 OFFSET 2 RETURNING *",
        "SELECT own.id, t.id FROM own JOIN time_entries t ON t.project_id = own.id WHERE t.duration > 9000 FOR UPDATE OF own",
        "SELECT p.id FROM projects p JOIN users u ON u.id = p.created_by WHERE u.first_name < 'M'",
        "SELECT u.id, p.id FROM users u RIGHT JOIN projects p ON u.id = p.created_by AND p.is_private",
        "SELECT a.id FROM projects a WHERE a.company_id IS NOT DISTINCT FROM (SELECT company_id FROM projects ORDER BY id LIMIT 1)",
        "SELECT id FROM projects WHERE company_id IS DISTINCT FROM NULL AND start_date IS NOT DISTINCT FROM NULL",
        "SELECT id FROM projects WHERE project_status_type IS NULL",
        "SELECT id FROM projects WHERE project_status_type IS NOT NULL AND company_name IS NULL",
        "SELECT id FROM projects WHERE company_name IS DISTINCT FROM 'x' AND NOT (company_name = 'x')",
        "SELECT id FROM projects WHERE NOT (company_name IS NULL) OR time_budget > 0",
    ]);
    for sql in [
        "SELECT id FROM time_entries LIMIT -1",
        "SELECT id FROM time_entries ORDER BY created_on LIMIT 3 OFFSET -2",
        "SET plan_cache_mode = force_generic_plan; PREPARE q(int, int) AS SELECT id FROM time_entries ORDER BY created_on LIMIT $1 OFFSET $2; EXECUTE q(-1, 0)",
        "SET plan_cache_mode = force_generic_plan; PREPARE q(int, int) AS SELECT id FROM time_entries ORDER BY created_on LIMIT $1 OFFSET $2; EXECUTE q(1, -1)",
        "SELECT id FROM time_entries WHERE duration / (duration - duration) = 1",
        "SELECT id FROM time_entries WHERE start_date_utc = ('x' || id)::timestamptz",
    ] {
        let (found, _) = w.run(sql);
        w.workspace
            .client
            .batch_execute(&format!("DEALLOCATE ALL; SET search_path = {name}_copy"))
            .unwrap();
        assert_eq!(found.unwrap_err(), rows(&mut w.workspace.client, sql).unwrap_err(), "{sql}");
    }
}

#[test]
fn whatever_is_refused_the_rows_are_right() {
    use Feature::*;
    let statements = [
        "SELECT count(*) FROM time_entries WHERE is_billable",
        "SELECT count(*) FROM time_entries WHERE project_id = '{project}' AND NOT is_billable AND task_id IS NULL",
        "SELECT count(*) FROM time_entries WHERE is_billable OR project_id IN ('{project}', '{project2}')",
        "SELECT id FROM time_entries WHERE (is_billable AND duration > 3600) OR project_id <> '{project}'",
        "SELECT id FROM time_entries WHERE start_date_utc >= '2026-06-01' AND created_on < '2026-10-01'",
        "SELECT count(*) FROM time_entries WHERE start_date_utc >= '2026-06-01'",
        "SELECT id FROM time_entries WHERE is_running OR started_at >= '2026-10-01'",
        "SELECT id FROM time_entries WHERE id IN ('{few}', '{few2}', '{few3}')",
        "SELECT id FROM projects WHERE name LIKE 'A%' OR name = '{name}' OR project_status_type = 'closed'",
        "SELECT id FROM projects WHERE project_status_type = 'closed' AND name LIKE '%e'",
        "SELECT id FROM projects WHERE name LIKE '%e%' AND company_id IS NOT NULL",
        "SELECT id FROM users WHERE id = '{user}'",
        "SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 9",
        "SELECT created_on FROM time_entries WHERE is_billable ORDER BY created_on DESC LIMIT 9 OFFSET 7",
        "SELECT created_on FROM time_entries WHERE project_id = '{project}' ORDER BY created_on OFFSET 3",
        "SELECT start_date_utc, created_on FROM time_entries WHERE start_date_utc > '2026-06-01' ORDER BY start_date_utc DESC, created_on LIMIT 9",
        "SELECT min(created_on), max(start_date_utc) FROM time_entries WHERE is_billable",
        "SELECT EXISTS (SELECT FROM time_entries WHERE is_billable AND project_id = '{project}')",
        "SELECT count(*) FROM (SELECT FROM time_entries WHERE is_billable LIMIT 1100) x",
        "SELECT v.n, (SELECT count(*) FROM time_entries t WHERE t.project_id = v.id)
             FROM (VALUES (1, '{project}'::uuid), (2, '{project2}'), (3, '{project}')) v(n, id)",
        "SELECT v.n, l.created_on FROM (VALUES (1, '{project}'::uuid), (2, '{project2}'), (3, '{project}')) v(n, id),
             LATERAL (SELECT created_on FROM time_entries t WHERE t.project_id = v.id ORDER BY created_on DESC LIMIT 2 OFFSET 1) l ORDER BY 1, 2",
        "SELECT created_on FROM task_comments WHERE task_id = '{task}' ORDER BY created_on DESC LIMIT 1",
        "SET enable_hashjoin = off; SET enable_mergejoin = off;
         SELECT t.id FROM projects p JOIN time_entries t ON t.project_id = p.id WHERE p.company_id = '{company}'",
    ];
    for refused in [
        &[Filter][..],
        &[Order],
        &[Filter, Order],
        &[OrderSeveral],
        &[OrderDesc],
        &[Guid, Range],
        &[Boolean, Null],
        &[And],
        &[Or, Ne],
        &[Number, String, Startswith, Endswith, Substringof, Nested],
    ] {
        let config = Config { scale: 1_200, ..Config::default() };
        let Some(mut w) = Checked::new("traps_refused", config) else { return };
        let prepared = "PREPARE q(uuid, int, int) AS SELECT created_on FROM time_entries
                WHERE project_id = $1 AND is_billable ORDER BY created_on DESC LIMIT $2 OFFSET $3;
            PREPARE c(timestamptz) AS SELECT count(*) FROM time_entries WHERE start_date_utc >= $1 AND task_id IS NOT NULL;";
        let [executed] = w
            .filled("EXECUTE q('{project}', 7, 2); EXECUTE c('2026-06-01'); EXECUTE q('{project2}', 3, 0)")
            .try_into()
            .unwrap();
        w.over_foreign_tables();
        let client = &mut w.workspace.client;
        client
            .batch_execute(&format!("SET plan_cache_mode = force_generic_plan; {prepared}"))
            .unwrap();
        let before = rows(client, &executed);
        w.workspace.sandbox.refuse(Refused::features(refused.iter().copied()));
        for _ in 0..2 {
            assert_eq!(
                rows(&mut w.workspace.client, &executed),
                before,
                "{refused:?}, prepared before"
            );
        }
        println!("{refused:?}");
        w.same(&statements);
    }
}

#[test]
fn a_row_that_another_session_changes_is_joined_again() {
    let Some(mut w) = workspace("traps_locks") else { return };
    let Some(mut other) = system_tests::connect() else { return };
    w.client
        .batch_execute(
            "CREATE TABLE traps_locks.own AS SELECT id, 0 AS n FROM traps_locks.projects;
             ALTER TABLE traps_locks.own ADD PRIMARY KEY (id)",
        )
        .unwrap();
    let count = |w: &mut Workspace, sql: &str| rows(&mut w.client, sql).unwrap().len();
    for settings in [
        "SET enable_hashjoin = off; SET enable_mergejoin = off",
        "RESET enable_hashjoin; SET enable_nestloop = off",
    ] {
        w.client.batch_execute(settings).unwrap();
        for (sql, expected) in [
            (
                "SELECT own.id, p.name FROM own JOIN projects p ON p.id = own.id WHERE own.n >= 0 FOR UPDATE OF own",
                40,
            ),
            (
                "SELECT own.id, p.name FROM own LEFT JOIN projects p ON p.id = own.id AND own.n = 0 WHERE n < 1 FOR UPDATE OF own",
                0,
            ),
            (
                "UPDATE own SET n = own.n + 1 FROM projects p WHERE p.id = own.id AND p.name <> '' RETURNING p.name",
                40,
            ),
        ] {
            other.batch_execute("BEGIN; UPDATE traps_locks.own SET n = 5").unwrap();
            let waiting = thread::scope(|scope| {
                let first = scope.spawn(|| count(&mut w, sql));
                thread::sleep(Duration::from_millis(300));
                other.batch_execute("COMMIT").unwrap();
                first.join().unwrap()
            });
            assert_eq!(waiting, expected, "{sql}");
            other.batch_execute("UPDATE traps_locks.own SET n = 0").unwrap();
        }
    }
}

#[test]
fn answers_kept_for_a_loop_are_those_to_its_question() {
    let Some(mut w) = checked("traps_kept") else { return };
    let name = w.workspace.name.clone();
    let small = format!("ALTER FOREIGN TABLE {name}.time_entries OPTIONS (ADD page_size '100')");
    w.workspace.client.batch_execute(&small).unwrap();
    w.same(&[
        // Slices of another length, past the size of a page.
        "SELECT o.n, (SELECT count(*) FROM (SELECT id FROM time_entries ORDER BY created_on OFFSET 3 LIMIT o.n) s)
         FROM (VALUES (150), (400), (150), (NULL::int)) o(n)",
        "SELECT o.n, (SELECT count(*) FROM (SELECT id FROM time_entries ORDER BY created_on LIMIT o.n) s)
         FROM (VALUES (5), (400), (7), (150), (5)) o(n)",
        // A condition that cannot be said for these values.
        "SELECT o.n, (SELECT count(*) FROM (SELECT id FROM time_entries WHERE start_date_utc <= o.d LIMIT o.n) s)
         FROM (VALUES (1, 'infinity'::timestamptz), (300, 'infinity'), (300, '-infinity')) o(n, d)",
        // The beginning of an answer, and then more of it.
        "SELECT o.n, (SELECT count(*) FROM (SELECT id FROM time_entries WHERE is_billable LIMIT o.n) s)
         FROM (VALUES (1), (250), (2), (600), (NULL::int), (3)) o(n)",
        "SELECT o.b, EXISTS (SELECT FROM time_entries t WHERE t.is_billable AND t.duration > o.b)
         FROM (VALUES (1), (20000), (1), (30000), (10000000)) o(b)",
    ]);

    // A filter that is refused for the list of one parent, after that of another was narrowed.
    let prio = "SELECT count(*) FROM (SELECT is_prio FROM project_tasks OFFSET 0) t WHERE is_prio";
    let other = prio.replace("WHERE is_prio", "WHERE NOT is_prio");
    let count = |w: &mut Checked, sql: &str| w.run(sql).0.unwrap().remove(0);
    let truth =
        format!("1|{}2|{}3|{}", count(&mut w, prio), count(&mut w, &other), count(&mut w, prio));
    let last = count(&mut w, "SELECT id FROM projects ORDER BY created_on DESC LIMIT 1");
    let list = format!("/projects/{last}/projecttasks");
    w.workspace.sandbox.add_fault(fault(&list, Some("filterby"), Action::RefuseFilter));
    let (found, _) = w.run(
        "SELECT o.n, (SELECT count(*) FROM project_tasks t WHERE t.is_prio = o.b)
         FROM (VALUES (1, true), (2, false), (3, true)) o(n, b) ORDER BY 1",
    );
    assert_eq!(found.unwrap().concat(), truth);
}
