//! A database whose encoding is another one than awork's.

use awork_sandbox::{Action, Config, Fault, Sandbox};
use postgres::Client;
use system_tests::{Failure, connect, connect_to};

/// A database in LATIN1 with a server of a name that is not ASCII, and its sandbox.
fn latin1() -> Option<(Client, Sandbox)> {
    let mut postgres = connect()?;
    let sandbox = Sandbox::start(Config::default()).unwrap();
    postgres.batch_execute("DROP DATABASE IF EXISTS latin1").unwrap();
    let create = "CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    postgres.batch_execute(create).unwrap();
    let mut client = connect_to("postgres", "latin1")?;
    let setup = format!(
        "CREATE EXTENSION awork_fdw;
         CREATE SERVER \"büro\" FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{}');
         CREATE USER MAPPING FOR CURRENT_USER SERVER \"büro\" OPTIONS (api_key 'awork-sandbox-key');
         IMPORT FOREIGN SCHEMA awork LIMIT TO (users, projects) FROM SERVER \"büro\" INTO public;
         ALTER FOREIGN TABLE users RENAME last_name TO \"nächster\";
         ALTER FOREIGN TABLE users RENAME created_on TO \"früh\"",
        sandbox.api_url()
    );
    client.batch_execute(&setup).unwrap();
    Some((client, sandbox))
}

#[test]
fn texts_are_those_of_the_database() {
    let Some((mut client, sandbox)) = latin1() else { return };
    let text = |client: &mut Client, sql: &str| -> Option<String> {
        client
            .query_one(sql, &[])
            .unwrap_or_else(|e| panic!("{sql}: {:?}", Failure::from(&e)))
            .get(0)
    };
    let users = "SELECT count(*)::text FROM users WHERE \"nächster\" = 'Müller'";
    assert_ne!(text(&mut client, users).as_deref(), Some("0"));
    // Arguments and results of functions.
    let answer = |path: &str, body: &str| {
        let action = Action::Body {
            text: Some(body.to_owned()),
            bytes: None,
            status: None,
            content_type: None,
        };
        let path = path.into();
        sandbox.add_fault(Fault { path, query: None, nth: None, first: None, action });
    };
    answer("/me", r#"{"firstName":"Jörg","lastName":"Groß","workspace":{"name":"Büro Süd"}}"#);
    let check = "SELECT workspace || ', ' || identity FROM awork_fdw_check('büro')";
    assert_eq!(text(&mut client, check).as_deref(), Some("Büro Süd, Jörg Groß"));
    sandbox.clear_faults();
    answer("/users", r#"[{"id":"6f9619ff-8b86-d011-b42d-00c04fc964ff","größe":1}]"#);
    let drift = "SELECT message FROM awork_fdw_drift('büro') WHERE field = 'größe'";
    let message = text(&mut client, drift).unwrap_or_default();
    assert!(message.contains("'größe'"), "{message}");
    sandbox.clear_faults();
    // A character that LATIN1 lacks is the database's own error, and the session goes on.
    answer("/users", r#"[{"id":"6f9619ff-8b86-d011-b42d-00c04fc964ff","lastName":"Łódź"}]"#);
    let failure = system_tests::failure(&mut client, "SELECT \"nächster\" FROM users");
    assert!(["22P05", "HV004"].contains(&failure.code.as_str()), "{failure:?}");
    // What is said of names is legible all the same.
    sandbox.clear_faults();
    answer("/users", r#"[{"id":"6f9619ff-8b86-d011-b42d-00c04fc964ff","createdOn":"x"}]"#);
    let failure = system_tests::failure(&mut client, "SELECT \"früh\" FROM users");
    failure.is("HV004", &["fr\\u{fc}h"]);
    sandbox.clear_faults();
    assert_ne!(text(&mut client, users).as_deref(), Some("0"));
    let last = "SELECT last_error FROM awork_fdw_stats WHERE server = 'büro'";
    assert!(text(&mut client, last).is_some());
    let options = "ALTER SERVER \"büro\" OPTIONS (ADD page_size 'zwölf')";
    system_tests::failure(&mut client, options).is("22023", &["page_size"]);
}
