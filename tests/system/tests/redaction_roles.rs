//! Secrets never show: whatever roles bring, and wherever they look, no message, view, catalogue
//! and process has one.

use std::fs;
use std::thread;

use awork_sandbox::Action;
use postgres::Client;
use system_tests::REDIRECT;
use system_tests::watched::{KINDS, Watched, assert_shows_none, rows, session, shown};

#[test]
fn what_a_user_brings_in_place_of_a_code_is_not_repeated() {
    let Some(mut watched) = Watched::new("redact_codes", None) else { return };
    let mut client = watched.session("login");
    let code = watched.code(&mut client);
    for brought in [
        format!("{REDIRECT}?code={code}&state=other"),
        format!("{REDIRECT}?code={code}"),
        format!("{code} {code}"),
        format!("wrong{code}"),
        format!("code:{code}"),
    ] {
        assert!(watched.complete(&mut client, &brought).is_err(), "{brought}");
    }
    assert!(!watched.seen.lock().unwrap().is_empty());
    watched.shows_none("a wrong code");
}

/// Text of all that a role can read in the catalogues and in the schema of the extension.
fn all_readable(client: &mut Client) -> Vec<(String, String)> {
    let relations = client
        .query(
            "SELECT format('%I.%I', nspname, relname)
             FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname IN ('pg_catalog', 'information_schema', 'public', 'pg_toast')
               AND relkind IN ('r', 'v', 'm', 't', 'f')
               AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')",
            &[],
        )
        .expect("the catalogue can be read");
    let names = relations.iter().map(|row| row.get::<_, String>(0));
    names
        .filter_map(|name| {
            // Some views call functions that the role may not.
            let messages = client.simple_query(&format!("SELECT t::text FROM {name} AS t"));
            Some((name, rows(&messages.ok()?)))
        })
        .collect()
}

#[test]
fn other_roles_read_no_secret_anywhere() {
    let Some(mut watched) = Watched::new("redact_nosy", None) else { return };
    // One where all is in use, and a login that is half done.
    let mut clients: Vec<Client> = KINDS.iter().map(|kind| watched.session(kind)).collect();
    watched.log_in(&mut clients[3]);
    watched.code(&mut clients[3]);
    for client in &mut clients {
        client.batch_execute("PREPARE q AS SELECT * FROM projects; EXECUTE q").unwrap();
        client.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT * FROM tasks; FETCH c").unwrap();
    }
    let (name, seen) = (watched.name.clone(), watched.seen.clone());
    let mut nosy = session(&name, &format!("{name}_nosy"), &seen);
    let read = all_readable(&mut nosy);
    assert!(read.len() > 150, "{} relations", read.len());
    for expected in ["pg_catalog.pg_user_mappings", "information_schema.user_mapping_options"] {
        assert!(read.iter().any(|(name, text)| name == expected && !text.is_empty()));
    }
    for (relation, text) in &read {
        assert_shows_none(&watched.secrets, text, relation);
    }
    for table in ["awork_fdw_tokens", "awork_fdw_login_requests"] {
        assert!(nosy.query(&format!("SELECT * FROM {table}"), &[]).is_err(), "{table}");
    }
    watched.shows_none("other roles");

    // Nor does a role that may read all tables, or all that concerns other sessions.
    let grant = format!("GRANT pg_read_all_data, pg_write_all_data, pg_monitor TO {name}_nosy");
    watched.admin.batch_execute(&grant).unwrap();
    let mut nosy = session(&name, &format!("{name}_nosy"), &seen);
    for (relation, text) in all_readable(&mut nosy) {
        // PostgreSQL itself lets such a role read user mappings.
        if !relation.contains("pg_user_mapping") {
            assert_shows_none(&watched.secrets, &text, &relation);
        }
    }

    // What is looked for is there.
    let all = all_readable(&mut watched.admin);
    let kept = |relation: &str| {
        all.iter().find(|(name, _)| name == relation).expect("a superuser can read it").1.clone()
    };
    assert!(shown(&watched.secrets, &kept("pg_catalog.pg_user_mapping")).is_some());
    assert!(shown(&watched.secrets, &kept("public.awork_fdw_tokens")).is_some());
    assert!(shown(&watched.secrets, &kept("public.awork_fdw_login_requests")).is_some());
}

#[test]
fn a_login_under_way_shows_no_secret_of_it() {
    let Some(mut watched) = Watched::new("redact_under_way", None) else { return };
    let mut client = watched.session("login");
    let code = watched.code(&mut client);
    watched.add("/accounts/token", None, Action::Latency { ms: 3_000 });
    let name = watched.name.clone();
    let login = thread::spawn(move || {
        client.query_one("SELECT awork_fdw_login($1, $2)", &[&name, &code]).map(drop)
    });
    let mut was_seen = false;
    while !login.is_finished() {
        let sql =
            "SELECT * FROM pg_stat_activity; SELECT * FROM pg_locks; SELECT * FROM pg_settings;
             SELECT * FROM pg_shmem_allocations; SELECT * FROM pg_stat_database";
        let text = rows(&watched.admin.simple_query(sql).unwrap());
        was_seen |= text.contains("awork_fdw login");
        assert_shows_none(&watched.secrets, &text, "what a superuser sees");
        let processes = watched.admin.query("SELECT pid FROM pg_stat_activity", &[]).unwrap();
        for pid in processes.iter().map(|row| row.get::<_, i32>(0)) {
            // It may have ended.
            for file in ["cmdline", "environ"] {
                let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                assert_shows_none(&watched.secrets, &String::from_utf8_lossy(&text), "a process");
            }
        }
    }
    login.join().unwrap().expect("a login");
    assert!(was_seen, "the worker shows");
    watched.shows_none("afterwards");
}

#[test]
fn a_secret_that_every_role_can_read_draws_a_warning_that_does_not_repeat_it() {
    let Some(mut watched) = Watched::new("redact_warning", None) else { return };
    let warnings = |watched: &mut Watched, sql: &str| {
        watched.seen.lock().unwrap().clear();
        watched.admin.batch_execute(sql).unwrap();
        let seen = watched.seen.lock().unwrap().clone();
        seen.into_iter().filter(|m| m.contains("severity: \"WARNING\"")).collect::<Vec<_>>()
    };
    for (sql, option) in [
        ("CREATE SERVER open FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_key '{}')", "api_key"),
        ("ALTER SERVER open OPTIONS (SET api_key '{}')", "api_key"),
        ("ALTER SERVER redact_warning OPTIONS (ADD client_secret '{}')", "client_secret"),
    ] {
        let sql = sql.replace("{}", watched.secret("key"));
        let [warning] = warnings(&mut watched, &sql).try_into().expect("one warning");
        let words = format!("every role of this cluster can read the server option \\\"{option}");
        assert!(warning.contains(&words), "{warning}");
        assert!(warning.contains("Put it into a user mapping"), "{warning}");
        assert!(warning.contains("01000"), "{warning}");
        assert_shows_none(&watched.secrets, &warning, &sql);
    }
    let key = watched.secret("key").to_owned();
    let sql = format!(
        "CREATE USER MAPPING FOR CURRENT_USER SERVER redact_warning
             OPTIONS (client_id 'x', client_secret '{key}');
         ALTER SERVER open OPTIONS (DROP api_key)"
    );
    assert!(warnings(&mut watched, &sql).is_empty());
    watched.shows_none("servers with secrets");
}

#[test]
fn a_value_that_is_refused_is_not_repeated() {
    let Some(mut watched) = Watched::new("redact_refused", None) else { return };
    let key = watched.secret("key").to_owned();
    let mapping = "ALTER USER MAPPING FOR redact_refused_key SERVER redact_refused OPTIONS";
    for sql in [
        format!("{mapping} (SET api_key '{key} ')"),
        format!("{mapping} (SET api_key '\u{e4}{key}')"),
        format!("{mapping} (ADD refresh_token '{key}')"),
        format!("{mapping} (ADD refresh_token '{key}\n{key}')"),
        format!("{mapping} (ADD client_secret '{key} {key}')"),
        format!("{mapping} (ADD api_key_setting '{key}')"),
        format!("{mapping} (ADD api_keys '{key}')"),
        format!("ALTER SERVER redact_refused OPTIONS (ADD refresh_token '{key}')"),
    ] {
        watched.run(&mut { session("redact_refused", "postgres", &watched.seen) }, &sql, false);
    }
    assert!(watched.seen.lock().unwrap().iter().filter(|m| m.contains("ERROR")).count() >= 8);
    watched.shows_none("refused options");

    // Keys that lead nowhere.
    let mut client = watched.session("setting");
    for value in [format!("{key} {key}"), format!("{key}\n"), format!("\u{e4}{key}")] {
        client.batch_execute(&format!("SET marked.key = '{value}'")).unwrap();
        watched.run_all(&mut client);
    }
    assert!(watched.seen.lock().unwrap().iter().any(|m| m.contains("visible ASCII")));
    watched.shows_none("a setting without a key");
}
