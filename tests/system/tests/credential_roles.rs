//! Whose key it is that a statement asks with.

use std::collections::BTreeSet;

use awork_sandbox::Config;
use postgres::Client;
use system_tests::roles::{askers, known, make_role};
use system_tests::{Notices, Workspace, connect, connect_as, failure};

/// A workspace where the roles NAME_owner and NAME_caller have keys of their own.
fn with_two_roles(name: &str) -> Option<(Workspace, Client, Client)> {
    let mut w = Workspace::imported(name, known(&["owner", "caller", "superuser"]))?;
    let mut roles = ["owner", "caller"].map(|role| {
        let client = w.role(&format!("{name}_{role}"));
        w.run(&format!(
            "CREATE USER MAPPING FOR {name}_{role} SERVER {name} OPTIONS (api_key '{role}')"
        ));
        client
    });
    w.run(&format!(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (SET api_key 'superuser')"
    ));
    let [owner, caller] = &mut roles;
    assert_eq!((w.asks(owner), w.asks(caller)), (vec!["owner".into()], vec!["caller".into()]));
    let [owner, caller] = roles;
    Some((w, owner, caller))
}

/// Who asks when a session runs this.
#[track_caller]
fn asks(w: &Workspace, client: &mut Client, sql: &str) -> Vec<String> {
    askers(&w.sandbox);
    if let Err(error) = client.batch_execute(sql) {
        panic!("{sql}: {error:?}");
    }
    askers(&w.sandbox)
}

#[test]
fn a_view_asks_with_the_key_of_its_owner_unless_it_is_one_of_the_invoker() {
    let Some((mut w, mut owner, mut caller)) = with_two_roles("cred_view") else { return };
    let version = "SELECT current_setting('server_version_num')::int";
    if w.client.query_one(version, &[]).unwrap().get::<_, i32>(0) < 150_000 {
        println!("skipped: PostgreSQL 14 has no views of the invoker");
        return;
    }
    w.run(
        "CREATE VIEW plain AS SELECT id FROM projects;
         CREATE VIEW invoked WITH (security_invoker) AS SELECT id FROM projects;
         CREATE VIEW outer_plain AS SELECT id FROM invoked;
         ALTER VIEW plain OWNER TO cred_view_owner;
         ALTER VIEW invoked OWNER TO cred_view_owner;
         ALTER VIEW outer_plain OWNER TO cred_view_owner;
         GRANT SELECT ON plain, invoked, outer_plain TO cred_view_caller",
    );
    assert_eq!(asks(&w, &mut caller, "SELECT * FROM plain"), ["owner"]);
    assert_eq!(asks(&w, &mut caller, "SELECT * FROM invoked"), ["caller"]);
    assert_eq!(asks(&w, &mut owner, "SELECT * FROM invoked"), ["owner"]);
    // So CREATE VIEW documents it.
    assert_eq!(asks(&w, &mut caller, "SELECT * FROM outer_plain"), ["caller"]);
    assert_eq!(asks(&w, &mut superuser(), "SELECT * FROM cred_view.plain"), ["owner"]);
    let both = "SELECT * FROM plain JOIN projects p USING (id)";
    assert_eq!(asks(&w, &mut caller, both), ["caller", "owner"]);
    let both = "SELECT id FROM plain UNION ALL SELECT id FROM invoked";
    assert_eq!(asks(&w, &mut caller, both), ["caller", "owner"]);
    // A cache of answers mixes nothing of that up, and neither does a plan that is kept.
    w.run("ALTER SERVER cred_view OPTIONS (ADD cache_ttl '600')");
    caller
        .batch_execute("PREPARE q AS SELECT id FROM plain UNION ALL SELECT id FROM invoked")
        .unwrap();
    assert_eq!(asks(&w, &mut caller, "EXECUTE q"), ["caller", "owner"]);
    assert!(asks(&w, &mut caller, "EXECUTE q").is_empty());
}

/// Another session of the superuser.
fn superuser() -> Client {
    let mut client = connect().expect("there is a cluster");
    client.batch_execute("SET client_min_messages = error").unwrap();
    client
}

#[test]
fn a_view_works_for_a_role_without_a_key_and_without_the_right_to_the_server() {
    let Some((mut w, ..)) = with_two_roles("cred_reader") else { return };
    w.run(
        "CREATE VIEW plain AS SELECT id FROM projects; ALTER VIEW plain OWNER TO cred_reader_owner",
    );
    make_role(&mut w.client, "cred_reader_other");
    w.run(
        "GRANT USAGE ON SCHEMA cred_reader TO cred_reader_other;
         GRANT SELECT ON plain TO cred_reader_other",
    );
    let mut other = connect_as("cred_reader_other", Notices::default()).unwrap();
    assert_eq!(asks(&w, &mut other, "SELECT * FROM cred_reader.plain"), ["owner"]);
    failure(&mut other, "SELECT * FROM cred_reader.projects").is("42501", &["projects"]);
}

#[test]
fn a_function_asks_with_the_key_of_its_definer_only_if_it_says_so() {
    let Some((mut w, _owner, mut caller)) = with_two_roles("cred_definer") else { return };
    for (name, language, rights, body, asker) in [
        ("f1", "sql", "SECURITY DEFINER", "SELECT count(name) FROM projects", "owner"),
        ("f2", "sql", "SECURITY INVOKER", "SELECT count(name) FROM projects", "caller"),
        (
            "f3",
            "plpgsql",
            "SECURITY DEFINER",
            "BEGIN RETURN (SELECT count(name) FROM projects); END",
            "owner",
        ),
        (
            "f4",
            "plpgsql",
            "SECURITY INVOKER",
            "BEGIN RETURN (SELECT count(name) FROM projects); END",
            "caller",
        ),
    ] {
        w.run(&format!(
            "CREATE FUNCTION {name}() RETURNS bigint LANGUAGE {language} {rights} AS $${body}$$;
             ALTER FUNCTION {name}() OWNER TO cred_definer_owner;
             GRANT EXECUTE ON FUNCTION {name}() TO PUBLIC"
        ));
        assert_eq!(asks(&w, &mut caller, &format!("SELECT {name}()")), [asker], "{name}");
    }
    // A function that gives a cursor away has asked as its definer.
    w.run(
        "CREATE FUNCTION opened() RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER AS
             $$ DECLARE c refcursor := 'c'; BEGIN OPEN c FOR SELECT id FROM projects; RETURN c; END $$;
         ALTER FUNCTION opened() OWNER TO cred_definer_owner",
    );
    let fetched = "BEGIN; SELECT opened(); FETCH ALL FROM c; COMMIT";
    assert_eq!(asks(&w, &mut caller, fetched), ["owner"]);
}

#[test]
fn a_kept_plan_asks_with_the_key_of_the_role_of_the_moment() {
    let Some((w, ..)) = with_two_roles("cred_set_role") else { return };
    let mut session = superuser();
    session
        .batch_execute("SET search_path = cred_set_role; PREPARE q AS SELECT id FROM projects")
        .unwrap();
    for _ in 0..2 {
        for (role, asker) in [
            ("postgres", "superuser"),
            ("cred_set_role_owner", "owner"),
            ("cred_set_role_caller", "caller"),
        ] {
            session.batch_execute(&format!("SET ROLE {role}")).unwrap();
            assert_eq!(asks(&w, &mut session, "EXECUTE q"), [asker]);
            session
                .batch_execute(&format!("RESET ROLE; SET SESSION AUTHORIZATION {role}"))
                .unwrap();
            assert_eq!(asks(&w, &mut session, "EXECUTE q"), [asker]);
            session.batch_execute("RESET SESSION AUTHORIZATION").unwrap();
        }
    }
    // What was begun as one role goes on as that.
    session
        .batch_execute(
            "ALTER SERVER cred_set_role OPTIONS (ADD page_size '2', ADD max_concurrency '1');
             SET ROLE cred_set_role_owner; BEGIN; DECLARE c CURSOR FOR SELECT id FROM projects;
             FETCH 1 FROM c; SET ROLE cred_set_role_caller",
        )
        .unwrap();
    assert_eq!(asks(&w, &mut session, "FETCH ALL FROM c"), ["owner"]);
}

/// Who asked for what: identities, and paths with `ID` for identifiers.
fn questions(w: &Workspace) -> BTreeSet<(String, String)> {
    let log = w.sandbox.log();
    w.sandbox.clear_log();
    let asked = log.into_iter().map(|entry| {
        let words = entry.path.trim_start_matches("/api/v1/").split('/');
        let words = words.map(|word| if word.len() == 36 { "ID" } else { word });
        (entry.identity.unwrap_or_default(), words.collect::<Vec<_>>().join("/"))
    });
    asked.collect()
}

#[test]
fn each_side_of_a_join_asks_with_its_own_key() {
    let Some((mut w, _owner, mut caller)) = with_two_roles("cred_sides") else { return };
    w.run(
        "CREATE VIEW their_projects AS SELECT * FROM projects;
         CREATE VIEW their_statuses AS SELECT * FROM statuses_of_project;
         ALTER VIEW their_projects OWNER TO cred_sides_owner;
         ALTER VIEW their_statuses OWNER TO cred_sides_owner;
         GRANT SELECT ON their_projects, their_statuses TO cred_sides_caller",
    );
    let join = |projects: &str, statuses: &str| {
        format!("SELECT p.name, m.id FROM {projects} p JOIN {statuses} m ON m.project_id = p.id")
    };
    for (projects, statuses, of_projects, of_statuses) in [
        ("projects", "statuses_of_project", "caller", "caller"),
        ("their_projects", "statuses_of_project", "owner", "caller"),
        ("projects", "their_statuses", "caller", "owner"),
        ("their_projects", "their_statuses", "owner", "owner"),
    ] {
        for settings in [
            "RESET enable_hashjoin; RESET enable_mergejoin; RESET awork_fdw.enable_lookup_join",
            "SET enable_hashjoin = off; SET enable_mergejoin = off",
            "SET awork_fdw.enable_lookup_join = off",
        ] {
            caller.batch_execute(settings).unwrap();
            askers(&w.sandbox);
            caller.batch_execute(&join(projects, statuses)).unwrap();
            let asked = questions(&w);
            let statuses_asked = (of_statuses.to_owned(), "projects/ID/projectstatuses".to_owned());
            assert!(asked.contains(&statuses_asked), "{projects} {statuses} {settings}: {asked:?}");
            let all = BTreeSet::from([of_projects, of_statuses]);
            let askers: BTreeSet<&str> = asked.iter().map(|(asker, _)| asker.as_str()).collect();
            assert_eq!(askers, all, "{projects} {statuses} {settings}: {asked:?}");
            let others = asked
                .iter()
                .any(|(asker, path)| path == "projects/ID/projectstatuses" && asker != of_statuses);
            assert!(!others, "{projects} {statuses} {settings}: {asked:?}");
        }
    }
}

#[test]
fn rows_of_two_keys_in_one_statement_are_not_mixed_up() {
    let config = Config { scale: 100, ..Config::default() };
    let Some(mut w) = Workspace::imported("cred_mixed", config) else { return };
    let mut a = w.role("cred_mixed_a");
    w.run(
        "CREATE USER MAPPING FOR cred_mixed_a SERVER cred_mixed
             OPTIONS (api_key 'awork-sandbox-limited');
         CREATE VIEW all_projects AS SELECT * FROM projects;
         CREATE VIEW all_statuses AS SELECT * FROM statuses_of_project;
         GRANT SELECT ON all_projects, all_statuses TO cred_mixed_a",
    );
    let mut count = |sql: &str| -> i64 { w.client.query_one(sql, &[]).unwrap().get(0) };
    let all = count("SELECT count(name) FROM projects");
    let statuses = count("SELECT count(name) FROM statuses_of_project");
    let hidden = w.sandbox.rows("projects", &[]);
    let hidden = hidden.iter().filter(|row| row["isPrivate"] == true).count() as i64;
    assert!(hidden > 0);
    for ttl in ["0", "600"] {
        w.run(&format!("ALTER SERVER cred_mixed OPTIONS (ADD cache_ttl '{ttl}')"));
        for _ in 0..2 {
            for (first, second) in [("all_projects", "projects"), ("projects", "all_projects")] {
                let sql = format!(
                    "SELECT (SELECT count(name) FROM {first}), (SELECT count(name) FROM {second})"
                );
                let row = a.query_one(&sql, &[]).unwrap();
                let counts: (i64, i64) = (row.get(0), row.get(1));
                let expected = |table| if table == "projects" { all - hidden } else { all };
                assert_eq!(counts, (expected(first), expected(second)), "{sql}");
            }
            let sql = "SELECT (SELECT count(name) FROM statuses_of_project),
                 (SELECT count(name) FROM all_statuses), (SELECT count(name) FROM statuses_of_project)";
            let row = a.query_one(sql, &[]).unwrap();
            let (before, theirs, after): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
            assert_eq!((theirs, before), (statuses, after));
            assert!(before < statuses, "{before} of {statuses}");
        }
        w.run("ALTER SERVER cred_mixed OPTIONS (DROP cache_ttl)");
    }
}

#[test]
fn a_kept_plan_of_a_join_asks_with_the_key_of_the_role_of_the_moment() {
    let Some((w, ..)) = with_two_roles("cred_kept_join") else { return };
    let mut session = superuser();
    session
        .batch_execute(
            "SET search_path = cred_kept_join; SET plan_cache_mode = force_generic_plan;
             SET enable_hashjoin = off; SET enable_mergejoin = off;
             PREPARE q AS SELECT m.id, p.name FROM statuses_of_project m
                 JOIN projects p ON p.id = m.project_id",
        )
        .unwrap();
    for (role, asker) in [
        ("postgres", "superuser"),
        ("cred_kept_join_owner", "owner"),
        ("cred_kept_join_caller", "caller"),
        ("postgres", "superuser"),
    ] {
        session.batch_execute(&format!("SET ROLE {role}")).unwrap();
        assert_eq!(asks(&w, &mut session, "EXECUTE q"), [asker]);
    }
}

#[test]
fn a_role_without_a_key_is_told_how_to_give_it_one() {
    let Some(mut w) = Workspace::imported("\"cred Odd\"", known(&["mine"])) else { return };
    let mut a = w.role("\"cred Odd Role\"");
    for sql in [
        "SELECT id FROM projects",
        "EXPLAIN (ANALYZE) SELECT id FROM projects",
        "SELECT * FROM awork_fdw_check('cred Odd')",
    ] {
        let failure = failure(&mut a, sql);
        failure.is(
            "HV002",
            &["role \"cred Odd Role\" has no credential for foreign server \"cred Odd\""],
        );
        // A hint's statement does what it says.
        let hint = failure.text.lines().last().unwrap();
        let (statement, _) = hint.split_once(" sets an API key").expect("a statement");
        let statement = statement.replace('…', "mine");
        assert!(
            statement.contains("\"cred Odd Role\"") && statement.contains("'mine'"),
            "{statement}"
        );
        w.run(&statement);
        assert_eq!(w.asks(&mut a), ["mine"]);
        w.run("DROP USER MAPPING FOR \"cred Odd Role\" SERVER \"cred Odd\"");
    }
    // Planning needs no key.
    a.batch_execute(
        "EXPLAIN (VERBOSE) SELECT id FROM projects; PREPARE q AS SELECT id FROM projects",
    )
    .unwrap();
    assert!(askers(&w.sandbox).is_empty());
}

#[test]
fn a_key_in_a_mapping_is_shown_to_nobody_else() {
    let Some((_w, _owner, mut caller)) = with_two_roles("cred_shown") else { return };
    let shown = |client: &mut Client| -> i64 {
        let sql = "SELECT count(*) FROM pg_user_mappings
             WHERE srvname = 'cred_shown' AND umoptions::text LIKE '%owner%'";
        client.query_one(sql, &[]).unwrap().get(0)
    };
    assert_eq!((shown(&mut caller), shown(&mut superuser())), (0, 1));
}

#[test]
fn two_workspaces_side_by_side_are_asked_with_their_own_keys() {
    let Some(mut w) = Workspace::imported("cred_first", known(&["first"])) else { return };
    let config = Config { seed: 7, ..known(&["second"]) };
    let Some(second) = Workspace::imported("cred_second", config) else { return };
    w.run(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER cred_first OPTIONS (SET api_key 'first');
         ALTER USER MAPPING FOR CURRENT_USER SERVER cred_second OPTIONS (SET api_key 'second');
         CREATE VIEW both_projects AS
             SELECT 'first' AS workspace, id, name FROM cred_first.projects
             UNION ALL SELECT 'second', id, name FROM cred_second.projects",
    );
    let (ours, theirs) = (w.sandbox.rows("projects", &[]), second.sandbox.rows("projects", &[]));
    let ids = |rows: &[serde_json::Value]| {
        let mut ids: Vec<_> =
            rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        ids.sort_unstable();
        ids
    };
    let mut shown = |workspace: &str| {
        let sql = "SELECT id::text FROM both_projects WHERE workspace = $1 ORDER BY 1";
        let rows = w.client.query(sql, &[&workspace]).unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
    };
    assert_eq!((shown("first"), shown("second")), (ids(&ours), ids(&theirs)));
    assert_ne!(ids(&ours), ids(&theirs));
    askers(&w.sandbox);
    askers(&second.sandbox);
    let rows = w.client.query("SELECT * FROM both_projects", &[]).unwrap();
    assert_eq!(rows.len(), ours.len() + theirs.len());
    assert_eq!(askers(&w.sandbox), ["first"]);
    assert_eq!(askers(&second.sandbox), ["second"]);
}
