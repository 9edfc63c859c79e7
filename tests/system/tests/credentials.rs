//! API keys: where they come from, and that a new one is taken at once.

use awork_sandbox::{Action, ClientAuthentication, Config, Fault, Sandbox};
use postgres::Client;
use system_tests::roles::{admin, askers, known, server_file};
use system_tests::{Workspace, failure};

/// A source of credentials, and its options.
const SOURCES: &[(&str, &str)] = &[
    ("api_key", "key"),
    ("api_key_file", "/nowhere/key"),
    ("api_key_setting", "app.key"),
    ("client_id", "client"),
];

#[test]
fn a_role_asks_with_its_own_key_or_that_of_public_or_that_of_the_server() {
    let keys = known(&["server", "everyone", "mine"]);
    let Some(mut w) = Workspace::imported("cred_order", keys) else { return };
    let (mut a, mut b) = (w.role("cred_order_a"), w.role("cred_order_b"));
    w.run("ALTER SERVER cred_order OPTIONS (ADD api_key 'server')");
    assert_eq!(w.asks(&mut a), ["server"]);
    w.run("CREATE USER MAPPING FOR PUBLIC SERVER cred_order OPTIONS (api_key 'everyone')");
    assert_eq!(
        (w.asks(&mut a), w.asks(&mut b)),
        (vec!["everyone".into()], vec!["everyone".into()])
    );
    w.run("CREATE USER MAPPING FOR cred_order_a SERVER cred_order OPTIONS (api_key 'mine')");
    assert_eq!((w.asks(&mut a), w.asks(&mut b)), (vec!["mine".into()], vec!["everyone".into()]));
    w.run("DROP USER MAPPING FOR cred_order_a SERVER cred_order");
    assert_eq!(w.asks(&mut a), ["everyone"]);
    w.run("DROP USER MAPPING FOR PUBLIC SERVER cred_order");
    assert_eq!(w.asks(&mut a), ["server"]);
    w.run("ALTER SERVER cred_order OPTIONS (DROP api_key)");
    failure(&mut a, "SELECT id FROM projects").is("HV002", &["\"cred_order_a\" has no credential"]);
    assert!(askers(&w.sandbox).is_empty());
}

#[test]
fn a_mapping_that_names_no_source_hides_that_of_public_and_uses_that_of_the_server() {
    let Some(mut w) = Workspace::imported("cred_hides", known(&["server", "everyone"])) else {
        return;
    };
    let mut a = w.role("cred_hides_a");
    w.run(
        "ALTER SERVER cred_hides OPTIONS (ADD api_key 'server');
         CREATE USER MAPPING FOR PUBLIC SERVER cred_hides OPTIONS (api_key 'everyone');
         CREATE USER MAPPING FOR cred_hides_a SERVER cred_hides
             OPTIONS (redirect_uri 'http://127.0.0.1:8765/callback')",
    );
    assert_eq!(w.asks(&mut a), ["server"]);
    w.run(
        "DROP USER MAPPING FOR cred_hides_a SERVER cred_hides;
         CREATE USER MAPPING FOR cred_hides_a SERVER cred_hides",
    );
    assert_eq!(w.asks(&mut a), ["server"]);
}

#[test]
fn the_secret_of_the_server_completes_only_a_mapping_to_the_same_application() {
    let Some(mut w) = Workspace::imported("cred_completed", known(&["user"])) else { return };
    w.run(
        "DROP USER MAPPING FOR CURRENT_USER SERVER cred_completed;
         ALTER SERVER cred_completed OPTIONS (ADD client_id 'awork-sandbox-client',
             ADD redirect_uri 'http://127.0.0.1:8765/callback')",
    );
    let mapping = |options| {
        format!(
            "DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER cred_completed;
             CREATE USER MAPPING FOR CURRENT_USER SERVER cred_completed OPTIONS ({options})"
        )
    };
    // The mapping completes the server.
    w.run(&mapping("client_secret 'awork-sandbox-secret'"));
    assert_eq!(log_in(&mut w, "awork-sandbox-client"), ClientAuthentication::Basic);
    // The server completes the mapping, but not one to another application.
    w.run("ALTER SERVER cred_completed OPTIONS (ADD client_secret 'awork-sandbox-secret')");
    w.run(&mapping("client_id 'awork-sandbox-client'"));
    assert_eq!(log_in(&mut w, "awork-sandbox-client"), ClientAuthentication::Basic);
    w.run(&mapping("client_id 'awork-sandbox-public'"));
    assert_eq!(log_in(&mut w, "awork-sandbox-public"), ClientAuthentication::None);
}

/// Logs `user` in, reads a table, and says how the application showed who it is.
fn log_in(w: &mut Workspace, application: &str) -> ClientAuthentication {
    let url = "SELECT awork_fdw_login_url('cred_completed')";
    let url: String = w.client.query_one(url, &[]).unwrap().get(0);
    let (_, challenge) = url.split_once("code_challenge=").expect("a challenge");
    let challenge = challenge.split('&').next();
    let redirect = "http://127.0.0.1:8765/callback";
    let code = w.sandbox.log_in(application, "user", redirect, challenge).unwrap();
    askers(&w.sandbox);
    w.client.query("SELECT awork_fdw_login('cred_completed', $1)", &[&code]).unwrap();
    let log = w.sandbox.log();
    assert_eq!(w.asks_for_superuser(), ["user"]);
    log.iter().find_map(|entry| entry.client_authentication).expect("a request for tokens")
}

#[test]
fn a_server_or_mapping_with_two_sources_is_refused() {
    let Some(mut w) = Workspace::imported("cred_two", known(&[])) else { return };
    w.run("DROP USER MAPPING FOR CURRENT_USER SERVER cred_two");
    let token = [("refresh_token", "token")];
    let mut tried = 0;
    for (i, (first, value)) in SOURCES.iter().enumerate() {
        for (second, other) in SOURCES[i + 1..].iter().chain(&token) {
            if (*first, *second) == ("client_id", "refresh_token") {
                continue;
            }
            let words = [*first, *second, "exclude each other"];
            let both = format!("({first} '{value}', {second} '{other}')");
            let mapping = "USER MAPPING FOR CURRENT_USER SERVER cred_two OPTIONS";
            w.failure(&format!("CREATE {mapping} {both}")).is("22023", &words);
            w.run(&format!("CREATE {mapping} ({first} '{value}')"));
            w.failure(&format!("ALTER {mapping} (ADD {second} '{other}')")).is("22023", &words);
            // One in the place of the other is fine.
            w.run(&format!("ALTER {mapping} (DROP {first}, ADD {second} '{other}')"));
            w.run("DROP USER MAPPING FOR CURRENT_USER SERVER cred_two");
            tried += 1;
            if *second == "refresh_token" {
                continue;
            }
            let create = "CREATE SERVER cred_two_more FOREIGN DATA WRAPPER awork_fdw OPTIONS";
            w.failure(&format!("{create} {both}")).is("22023", &words);
            w.run(&format!("{create} ({first} '{value}')"));
            let alter = format!("ALTER SERVER cred_two_more OPTIONS (ADD {second} '{other}')");
            w.failure(&alter).is("22023", &words);
            w.run("DROP SERVER cred_two_more");
        }
    }
    assert_eq!(tried, 9);
}

#[test]
fn a_source_that_fails_is_not_replaced_by_another() {
    let Some(mut w) = Workspace::imported("cred_fails", known(&["server", "everyone"])) else {
        return;
    };
    let mut a = w.role("cred_fails_a");
    w.run(
        "ALTER SERVER cred_fails OPTIONS (ADD api_key 'server');
         CREATE USER MAPPING FOR PUBLIC SERVER cred_fails OPTIONS (api_key 'everyone')",
    );
    for (source, code, words, who) in [
        ("api_key 'wrong'", "28000", "refused", vec!["?"]),
        ("api_key_file '/nowhere/key'", "22023", "api_key_file", vec![]),
        ("api_key_setting 'cred_fails.key'", "HV002", "\"cred_fails.key\" has no API key", vec![]),
        ("client_id 'awork-sandbox-public'", "HV002", "not logged in", vec![]),
    ] {
        w.run(&format!(
            "CREATE USER MAPPING FOR cred_fails_a SERVER cred_fails OPTIONS ({source})"
        ));
        askers(&w.sandbox);
        failure(&mut a, "SELECT id FROM projects").is(code, &[words]);
        assert_eq!(askers(&w.sandbox), who, "{source}");
        w.run("DROP USER MAPPING FOR cred_fails_a SERVER cred_fails");
    }
    assert_eq!(w.asks(&mut a), ["everyone"]);
}

/// Changes the key from `old` to `new` by `alter`, which has `{}` for the key, while `a` is in
/// the middle of its work.
fn rotates(w: &mut Workspace, a: &mut Client, alter: &str) {
    w.sandbox.replace_identities(vec![admin("old"), admin("new")]);
    let to = |key: &str| alter.replace("{}", key);
    a.batch_execute("DEALLOCATE ALL; PREPARE q AS SELECT id FROM projects").unwrap();
    for _ in 0..7 {
        a.batch_execute("EXECUTE q").unwrap();
    }
    let plans = "SELECT generic_plans FROM pg_prepared_statements WHERE name = 'q'";
    assert_eq!(a.query_one(plans, &[]).unwrap().get::<_, i64>(0), 7);
    assert_eq!(askers(&w.sandbox), ["old"]);
    let mut execute = |w: &Workspace| {
        a.batch_execute("EXECUTE q").map(|()| askers(&w.sandbox)).map_err(|e| (&e).into())
    };
    w.run(&to("new"));
    assert_eq!(execute(w).unwrap(), ["new"]);
    w.sandbox.replace_identities(vec![admin("new")]);
    assert_eq!(execute(w).unwrap(), ["new"]);
    w.run(&to("old"));
    let refused: system_tests::Failure = execute(w).unwrap_err();
    refused.is("28000", &[]);
    assert_eq!(askers(&w.sandbox), ["?"]);
    w.run(&to("new"));
    assert_eq!(execute(w).unwrap(), ["new"]);
    assert_eq!(w.asks(a), ["new"]);
    w.sandbox.replace_identities(vec![admin("old"), admin("new")]);
    // Cursors of one transaction.
    let cursor = |a: &mut Client, w: &Workspace, name: &str| {
        let sql = format!("DECLARE {name} CURSOR FOR SELECT id FROM projects; FETCH 1 FROM {name}");
        a.batch_execute(&sql).unwrap();
        askers(&w.sandbox)
    };
    a.batch_execute("BEGIN").unwrap();
    assert_eq!(cursor(a, w, "first"), ["new"]);
    w.run(&to("old"));
    assert_eq!(cursor(a, w, "second"), ["old"]);
    a.batch_execute("FETCH ALL FROM first; CLOSE first; COMMIT").unwrap();
    assert_eq!(w.asks(a), ["old"]);
}

#[test]
fn the_next_statement_of_an_open_session_asks_with_the_new_key() {
    let Some(mut w) = Workspace::imported("cred_rotates", known(&[])) else { return };
    let mut a = w.role("cred_rotates_a");
    w.run("ALTER SERVER cred_rotates OPTIONS (ADD api_key 'old')");
    rotates(&mut w, &mut a, "ALTER SERVER cred_rotates OPTIONS (SET api_key '{}')");
    w.run("CREATE USER MAPPING FOR PUBLIC SERVER cred_rotates OPTIONS (api_key 'old')");
    let alter = "ALTER USER MAPPING FOR PUBLIC SERVER cred_rotates OPTIONS (SET api_key '{}')";
    rotates(&mut w, &mut a, alter);
    w.run("CREATE USER MAPPING FOR cred_rotates_a SERVER cred_rotates OPTIONS (api_key 'old')");
    let alter =
        "ALTER USER MAPPING FOR cred_rotates_a SERVER cred_rotates OPTIONS (SET api_key '{}')";
    rotates(&mut w, &mut a, alter);
    // Another row of the catalogue rather than another version of it.
    let again = "DROP USER MAPPING FOR cred_rotates_a SERVER cred_rotates;
         CREATE USER MAPPING FOR cred_rotates_a SERVER cred_rotates OPTIONS (api_key '{}')";
    rotates(&mut w, &mut a, again);
}

#[test]
fn a_key_that_is_changed_in_vain_stays() {
    let Some(mut w) = Workspace::imported("cred_vain", known(&["old", "new"])) else { return };
    let set = "ALTER USER MAPPING FOR CURRENT_USER SERVER cred_vain OPTIONS (SET api_key 'KEY')";
    w.run(&set.replace("KEY", "old"));
    assert_eq!(w.asks_for_superuser(), ["old"]);
    w.run(&format!("BEGIN; {}", set.replace("KEY", "new")));
    assert_eq!(w.asks_for_superuser(), ["new"]);
    w.run("ROLLBACK");
    assert_eq!(w.asks_for_superuser(), ["old"]);
}

#[test]
fn a_server_that_is_made_anew_leads_to_its_new_workspace() {
    let Some(mut w) = Workspace::imported("cred_anew", known(&["first"])) else { return };
    let mut a = w.role("cred_anew_a");
    let second = Sandbox::start(Config { seed: 2, ..known(&["second"]) }).unwrap();
    w.run("CREATE USER MAPPING FOR cred_anew_a SERVER cred_anew OPTIONS (api_key 'first')");
    a.batch_execute("PREPARE q AS SELECT id FROM projects; EXECUTE q").unwrap();
    assert_eq!(askers(&w.sandbox), ["first"]);
    w.run(&format!(
        "DROP SERVER cred_anew CASCADE;
         CREATE SERVER cred_anew FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{}');
         CREATE USER MAPPING FOR cred_anew_a SERVER cred_anew OPTIONS (api_key 'second');
         IMPORT FOREIGN SCHEMA awork FROM SERVER cred_anew INTO cred_anew;
         GRANT SELECT ON ALL TABLES IN SCHEMA cred_anew TO cred_anew_a",
        second.api_url()
    ));
    a.batch_execute("EXECUTE q").unwrap();
    assert!(w.sandbox.log().is_empty());
    assert_eq!(askers(&second), ["second"]);
}

#[test]
fn an_address_that_is_changed_leads_elsewhere_in_the_next_statement() {
    let Some(mut w) = Workspace::imported("cred_moved", known(&["first"])) else { return };
    let second = Sandbox::start(Config { seed: 2, ..known(&["first"]) }).unwrap();
    w.run("ALTER USER MAPPING FOR CURRENT_USER SERVER cred_moved OPTIONS (SET api_key 'first')");
    w.run("ALTER SERVER cred_moved OPTIONS (ADD cache_ttl '600')");
    w.run("PREPARE q AS SELECT id FROM projects; EXECUTE q");
    assert_eq!(askers(&w.sandbox), ["first"]);
    w.run(&format!("ALTER SERVER cred_moved OPTIONS (SET api_url '{}')", second.api_url()));
    w.run("EXECUTE q");
    assert!(w.sandbox.log().is_empty());
    assert_eq!(askers(&second), ["first"]);
}

#[test]
fn a_key_in_a_file_is_read_when_it_is_used() {
    let Some(mut w) = Workspace::imported("cred_file", known(&["one", "two"])) else { return };
    let mut a = w.role("cred_file_a");
    let path = server_file(&mut w.client, "cred_file_key", "one", "600");
    w.run(&format!(
        "CREATE USER MAPPING FOR cred_file_a SERVER cred_file OPTIONS (api_key_file '{path}')"
    ));
    a.batch_execute("PREPARE q AS SELECT id FROM projects; EXECUTE q").unwrap();
    assert_eq!(askers(&w.sandbox), ["one"]);
    server_file(&mut w.client, "cred_file_key", "two", "640");
    a.batch_execute("EXECUTE q").unwrap();
    assert_eq!(askers(&w.sandbox), ["two"]);
    w.run("DROP USER MAPPING FOR cred_file_a SERVER cred_file");
    w.run(&format!("ALTER SERVER cred_file OPTIONS (ADD api_key_file '{path}')"));
    assert_eq!(w.asks(&mut a), ["two"]);
    for (text, mode, words) in [
        ("one", "644", "must not be open to all users"),
        ("one", "602", "must not be open to all users"),
        ("", "600", "must be visible ASCII characters"),
        ("one\ntwo", "600", "must be visible ASCII characters"),
    ] {
        server_file(&mut w.client, "cred_file_key", text, mode);
        refuses_the_file(&w, &mut a, words);
    }
    let make_folder = format!("rm \"{path}\" && mkdir \"{path}\"");
    w.run(&format!("COPY (SELECT 1) TO PROGRAM '{make_folder}'"));
    refuses_the_file(&w, &mut a, "is no regular file");
    // A pipe would never end.
    w.run(&format!("COPY (SELECT 1) TO PROGRAM 'rmdir \"{path}\" && mkfifo -m 600 \"{path}\"'"));
    refuses_the_file(&w, &mut a, "is no regular file");
    w.run(&format!("COPY (SELECT 1) TO PROGRAM 'rm \"{path}\"'"));
    refuses_the_file(&w, &mut a, "No such file");
}

/// Reads a table and expects an error about the file that tells nothing of it.
#[track_caller]
fn refuses_the_file(w: &Workspace, a: &mut Client, words: &str) {
    let failure = failure(a, "SELECT id FROM projects");
    failure.is("22023", &["option \"api_key_file\"", words]);
    assert!(
        !failure.text.contains("cred_file_key") && !failure.text.contains("two"),
        "{failure:?}"
    );
    assert!(askers(&w.sandbox).is_empty());
}

#[test]
fn only_superusers_name_a_file_with_a_key() {
    let Some(mut w) = Workspace::imported("cred_files", known(&[])) else { return };
    let mut a = w.role("cred_files_a");
    w.run(
        "GRANT USAGE ON FOREIGN DATA WRAPPER awork_fdw TO cred_files_a;
         ALTER SERVER cred_files OWNER TO cred_files_a;
         CREATE USER MAPPING FOR cred_files_a SERVER cred_files OPTIONS (api_key 'x')",
    );
    let option = "OPTIONS (ADD api_key_file '/etc/hidden')";
    for sql in [
        "CREATE SERVER cred_files_more FOREIGN DATA WRAPPER awork_fdw
             OPTIONS (api_key_file '/etc/hidden')",
        "CREATE USER MAPPING FOR PUBLIC SERVER cred_files OPTIONS (api_key_file '/etc/hidden')",
        &format!("ALTER SERVER cred_files {option}"),
        "ALTER USER MAPPING FOR cred_files_a SERVER cred_files
             OPTIONS (DROP api_key, ADD api_key_file '/etc/hidden')",
    ] {
        let failure = failure(&mut a, sql);
        failure.is("42501", &["api_key_file", "Only superusers"]);
        assert!(!failure.text.contains("hidden"), "{failure:?}");
    }
    w.run(&format!("ALTER SERVER cred_files {option}"));
    // What a superuser has named stays, but cannot be made another one.
    failure(&mut a, "ALTER SERVER cred_files OPTIONS (SET api_key_file '/etc/hidden2')")
        .is("42501", &[]);
    // Nor can its key be sent elsewhere.
    failure(&mut a, "ALTER SERVER cred_files OPTIONS (SET api_url 'http://localhost:1/api/v1')")
        .is("42501", &["api_key_file"]);
    a.batch_execute("ALTER SERVER cred_files OPTIONS (DROP api_key_file)").unwrap();
}

#[test]
fn a_key_in_a_setting_is_that_of_the_session() {
    let config = Config { scale: 100, ..Config::default() };
    let Some(mut w) = Workspace::imported("cred_setting", config) else { return };
    let (mut a, mut b) = (w.role("cred_setting_a"), w.role("cred_setting_b"));
    w.run("ALTER SERVER cred_setting OPTIONS (ADD api_key_setting 'cred.key')");
    for session in [&mut a, &mut b] {
        failure(session, "SELECT id FROM projects")
            .is("HV002", &["setting \"cred.key\" has no API key", "SET cred.key = "]);
    }
    assert!(w.sandbox.log().is_empty());
    a.batch_execute("SET cred.key = 'awork-sandbox-key'").unwrap();
    failure(&mut b, "SELECT id FROM projects").is("HV002", &["cred.key"]);
    b.batch_execute("SET cred.key = 'awork-sandbox-limited'").unwrap();
    let rows = |client: &mut Client| client.query("SELECT id FROM projects", &[]).unwrap().len();
    assert!(rows(&mut a) > rows(&mut b));
    assert_eq!((w.asks(&mut a), w.asks(&mut b)), (vec!["admin".into()], vec!["limited".into()]));
    a.batch_execute("RESET cred.key").unwrap();
    failure(&mut a, "SELECT id FROM projects").is("HV002", &["cred.key"]);
    a.batch_execute("SET cred.key = 'two words'").unwrap();
    let refused = failure(&mut a, "SELECT id FROM projects");
    refused.is("22023", &["value of setting \"cred.key\""]);
    assert!(!refused.text.contains("two words"), "{refused:?}");
}

#[test]
fn a_key_in_a_setting_goes_with_the_transaction_and_comes_with_the_role() {
    let Some(mut w) = Workspace::imported("cred_local", known(&["one", "two", "three"])) else {
        return;
    };
    let mut a = w.role("cred_local_a");
    w.run("ALTER SERVER cred_local OPTIONS (ADD api_key_setting 'cred.local_key')");
    a.batch_execute(
        "SET cred.local_key = 'one'; PREPARE q AS SELECT id FROM projects; EXECUTE q;
         BEGIN; SET LOCAL cred.local_key = 'two'",
    )
    .unwrap();
    assert_eq!(askers(&w.sandbox), ["one"]);
    a.batch_execute("EXECUTE q").unwrap();
    assert_eq!(askers(&w.sandbox), ["two"]);
    a.batch_execute("COMMIT; EXECUTE q").unwrap();
    assert_eq!(askers(&w.sandbox), ["one"]);
    a.batch_execute("BEGIN; SET cred.local_key = 'two'; ROLLBACK; EXECUTE q").unwrap();
    assert_eq!(askers(&w.sandbox), ["one"]);
    // A pool gives the session away like this.
    a.batch_execute("DISCARD ALL").unwrap();
    failure(&mut a, "SELECT id FROM projects").is("HV002", &["cred.local_key"]);
    w.run("ALTER ROLE cred_local_a SET cred.local_key = 'three'");
    let mut later = system_tests::connect_as("cred_local_a", Default::default()).unwrap();
    assert_eq!(w.asks(&mut later), ["three"]);
}

#[test]
fn the_setting_of_a_key_must_be_a_custom_one() {
    let Some(mut w) = Workspace::imported("cred_custom", known(&[])) else { return };
    for name in ["key", "", "app.", ".key", "app key.x", "session_authorization", "1a.b"] {
        for create in [
            "CREATE SERVER cred_custom_more FOREIGN DATA WRAPPER awork_fdw",
            "CREATE USER MAPPING FOR PUBLIC SERVER cred_custom",
        ] {
            w.failure(&format!("{create} OPTIONS (api_key_setting '{name}')"))
                .is("22023", &["\"api_key_setting\" must be the name of a custom setting"]);
        }
    }
}

#[test]
fn a_key_that_comes_back_in_an_error_is_not_shown() {
    let Some(mut w) = Workspace::imported("cred_echo", known(&[])) else { return };
    w.run("ALTER USER MAPPING FOR CURRENT_USER SERVER cred_echo OPTIONS (SET api_key 'Se.cr-et')");
    for status in [400, 401, 403, 404, 500, 200] {
        let text = r#"{"code": "Se.cr-et", "description": "no key Se.cr-et", "name": "Se.cr-et"}"#;
        let (bytes, content_type) = (None, None);
        let action =
            Action::Body { text: Some(text.into()), bytes, status: Some(status), content_type };
        let path = String::new();
        w.sandbox.clear_faults();
        w.sandbox.add_fault(Fault { path, query: None, nth: None, first: None, action });
        let failure = w.failure("SELECT id FROM projects");
        assert!(!failure.text.contains("Se.cr-et"), "{status}: {failure:?}");
        let check = "SELECT message FROM awork_fdw_check('cred_echo')";
        let message: String = w.client.query_one(check, &[]).unwrap().get(0);
        assert!(!message.contains("Se.cr-et"), "{status}: {message}");
    }
}

#[test]
fn a_key_that_no_header_can_hold_is_refused_and_not_shown() {
    let Some(mut w) = Workspace::imported("cred_header", known(&[])) else { return };
    for key in ["", "secret key", "secret\n", "secr\u{e9}t"] {
        for sql in [
            "CREATE SERVER cred_header_more FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_key 'KEY')",
            "ALTER USER MAPPING FOR CURRENT_USER SERVER cred_header OPTIONS (SET api_key 'KEY')",
        ] {
            let failure = w.failure(&sql.replace("KEY", key));
            failure.is("22023", &["option \"api_key\" must be visible ASCII"]);
            assert!(!failure.text.contains("secr"), "{failure:?}");
        }
    }
}
