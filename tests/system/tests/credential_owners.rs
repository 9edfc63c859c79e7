//! What others than superusers may do: servers and keys of their own, and no other hosts and files.

use awork_sandbox::Sandbox;
use postgres::{Client, Config as Connection, NoTls};
use system_tests::roles::{askers, known, make_role};
use system_tests::{Notices, Workspace, connect, connect_as, failure};

/// Another host than the ones that are allowed, to which no test connects.
const ELSEWHERE: &str = "https://awork.example/api/v1";

#[test]
fn a_role_with_usage_of_the_server_brings_its_own_key() {
    let Some(mut w) = Workspace::imported("cred_brings", known(&["server", "mine"])) else {
        return;
    };
    let mut a = w.role("cred_brings_a");
    w.run("ALTER SERVER cred_brings OPTIONS (ADD api_key 'server')");
    assert_eq!(w.asks(&mut a), ["server"]);
    a.batch_execute("CREATE USER MAPPING FOR USER SERVER cred_brings OPTIONS (api_key 'mine')")
        .unwrap();
    assert_eq!(w.asks(&mut a), ["mine"]);
    failure(&mut a, "ALTER SERVER cred_brings OPTIONS (SET api_key 'mine')").is("42501", &[]);
    failure(&mut a, "CREATE USER MAPPING FOR PUBLIC SERVER cred_brings OPTIONS (api_key 'mine')")
        .is("42501", &[]);
    a.batch_execute("DROP USER MAPPING FOR USER SERVER cred_brings").unwrap();
    assert_eq!(w.asks(&mut a), ["server"]);
}

#[test]
fn a_role_with_usage_of_the_wrapper_does_all_by_itself() {
    let Some(mut admin) = connect() else { return };
    let sandbox = Sandbox::start(known(&["mine"])).unwrap();
    admin.batch_execute("DROP SERVER IF EXISTS cred_own CASCADE").unwrap();
    make_role(&mut admin, "cred_own_a");
    admin
        .batch_execute("DROP SCHEMA IF EXISTS cred_own CASCADE; CREATE SCHEMA cred_own AUTHORIZATION cred_own_a")
        .unwrap();
    let mut a = connect_as("cred_own_a", Notices::default()).unwrap();
    let create = format!(
        "CREATE SERVER cred_own FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{}')",
        sandbox.api_url()
    );
    failure(&mut a, &create).is("42501", &["awork_fdw"]);
    admin.batch_execute("GRANT USAGE ON FOREIGN DATA WRAPPER awork_fdw TO cred_own_a").unwrap();
    a.batch_execute(&format!(
        "{create};
         CREATE USER MAPPING FOR CURRENT_USER SERVER cred_own OPTIONS (api_key 'mine');
         IMPORT FOREIGN SCHEMA awork LIMIT TO (projects) FROM SERVER cred_own INTO cred_own"
    ))
    .unwrap();
    let rows = a.query("SELECT id FROM cred_own.projects", &[]).unwrap();
    assert_eq!(rows.len(), sandbox.rows("projects", &[]).len());
    let check = a.query_one("SELECT ok, is_admin FROM awork_fdw_check('cred_own')", &[]).unwrap();
    assert_eq!((check.get(0), check.get(1)), (true, Some(true)));
    let stats = "SELECT FROM awork_fdw_stats WHERE server = 'cred_own'";
    assert_eq!(a.query(stats, &[]).unwrap().len(), 1);
    assert_eq!(askers(&sandbox), ["mine"]);
    a.batch_execute("DROP SERVER cred_own CASCADE").unwrap();
}

#[test]
fn hosts_that_are_not_allowed_are_refused_to_owners_of_servers() {
    let Some(mut w) = Workspace::imported("cred_hosts", known(&["mine"])) else { return };
    let mut a = w.role("cred_hosts_a");
    w.run(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER cred_hosts OPTIONS (SET api_key 'mine');
         CREATE USER MAPPING FOR PUBLIC SERVER cred_hosts OPTIONS (api_key 'mine');
         GRANT USAGE ON FOREIGN DATA WRAPPER awork_fdw TO cred_hosts_a;
         ALTER SERVER cred_hosts OWNER TO cred_hosts_a",
    );
    w.run(
        "DROP SERVER IF EXISTS cred_hosts_more CASCADE; DROP SCHEMA IF EXISTS cred_hosts_more CASCADE;
         CREATE SCHEMA cred_hosts_more",
    );
    let words = ["host \"awork.example\" is not allowed", "awork_fdw.allowed_hosts"];
    let create = format!(
        "CREATE SERVER cred_hosts_more FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{ELSEWHERE}')"
    );
    let alter = format!("ALTER SERVER cred_hosts OPTIONS (SET api_url '{ELSEWHERE}')");
    for sql in [&create, &alter] {
        failure(&mut a, sql).is("42501", &words);
    }
    // A superuser who restores a dump is not stopped; what is restored is not used.
    w.run(&create);
    w.run(
        "IMPORT FOREIGN SCHEMA awork FROM SERVER cred_hosts_more INTO cred_hosts_more;
         CREATE USER MAPPING FOR PUBLIC SERVER cred_hosts_more OPTIONS (api_key 'mine');
         GRANT USAGE ON SCHEMA cred_hosts_more TO cred_hosts_a;
         GRANT SELECT ON ALL TABLES IN SCHEMA cred_hosts_more TO cred_hosts_a",
    );
    for session in [&mut a, &mut w.client] {
        failure(session, "SELECT id FROM cred_hosts_more.projects").is("42501", &words);
    }
    w.run("DROP SERVER cred_hosts_more CASCADE; DROP SCHEMA cred_hosts_more");
    let clear = "ALTER SERVER cred_hosts OPTIONS (SET api_url 'http://awork.example/api/v1')";
    for session in [&mut a, &mut w.client] {
        failure(session, clear).is("22023", &["https://", "no key travels in clear"]);
    }
    assert_eq!(w.asks(&mut a), ["mine"]);
    assert_eq!(w.asks_for_superuser(), ["mine"]);
}

/// All that sends requests, and is to send none.
fn sends_nothing(w: &Workspace, client: &mut Client) {
    for sql in [
        "SELECT id FROM projects",
        "SELECT count(*) FROM projects",
        "EXPLAIN ANALYZE SELECT id FROM projects",
        "SELECT * FROM awork_fdw_check('cred_narrowed')",
        "SELECT awork_fdw_login_url('cred_narrowed')",
    ] {
        failure(client, sql).is("42501", &["host \"127.0.0.1\" is not allowed"]);
    }
    assert!(askers(&w.sandbox).is_empty());
}

#[test]
fn a_list_of_hosts_that_gets_shorter_takes_effect_where_servers_are_used() {
    let Some(mut w) = Workspace::imported("cred_narrowed", known(&["mine"])) else { return };
    let mut a = w.role("cred_narrowed_a");
    w.run(
        "ALTER SERVER cred_narrowed OPTIONS (ADD api_key 'mine');
         ALTER USER MAPPING FOR CURRENT_USER SERVER cred_narrowed OPTIONS (SET api_key 'mine')",
    );
    assert_eq!(w.asks(&mut a), ["mine"]);
    w.run("ALTER ROLE cred_narrowed_a SET awork_fdw.allowed_hosts = '*.awork.com'");
    let mut later = connect_as("cred_narrowed_a", Notices::default()).unwrap();
    sends_nothing(&w, &mut later);
    // As a superuser may, also for itself and in the middle of a session.
    w.run("PREPARE q AS SELECT id FROM projects; EXECUTE q");
    assert_eq!(askers(&w.sandbox), ["mine"]);
    w.run("SET awork_fdw.allowed_hosts = ''");
    let mut set_role = connect().unwrap();
    set_role
        .batch_execute(
            "LOAD 'awork_fdw'; SET client_min_messages = error; SET awork_fdw.allowed_hosts = 'localhost.example';
             SET search_path = cred_narrowed, public; SET ROLE cred_narrowed_a",
        )
        .unwrap();
    sends_nothing(&w, &mut set_role);
    w.failure("EXECUTE q").is("42501", &["not allowed"]);
    assert!(askers(&w.sandbox).is_empty());
    w.run("RESET awork_fdw.allowed_hosts; EXECUTE q");
    assert_eq!(askers(&w.sandbox), ["mine"]);
}

#[test]
fn others_than_superusers_do_not_make_the_list_of_hosts_longer() {
    let Some(mut w) = Workspace::imported("cred_longer", known(&["mine"])) else { return };
    let mut a = w.role("cred_longer_a");
    w.run(
        "ALTER SERVER cred_longer OPTIONS (ADD api_key 'mine');
         GRANT USAGE ON FOREIGN DATA WRAPPER awork_fdw TO cred_longer_a",
    );
    let create = format!(
        "CREATE SERVER cred_longer_more FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{ELSEWHERE}')"
    );
    // Where the library is loaded.
    assert_eq!(w.asks(&mut a), ["mine"]);
    for sql in [
        "SET awork_fdw.allowed_hosts = '*'",
        "SET LOCAL awork_fdw.allowed_hosts = '*'",
        "SELECT set_config('awork_fdw.allowed_hosts', '*', false)",
        "ALTER ROLE cred_longer_a SET awork_fdw.allowed_hosts = '*'",
    ] {
        failure(&mut a, sql).is("42501", &["awork_fdw.allowed_hosts"]);
    }
    failure(&mut a, &create).is("42501", &["not allowed"]);
    // Where it is not yet, the server takes what it does not know, and drops it later.
    for begin in [
        "SET awork_fdw.allowed_hosts = '*'",
        "SELECT set_config('awork_fdw.allowed_hosts', '*', false)",
    ] {
        let mut early = connect_as("cred_longer_a", Notices::default()).unwrap();
        let _ = early.batch_execute(begin);
        failure(&mut early, &create).is("42501", &["not allowed"]);
        let list: String = early.query_one("SHOW awork_fdw.allowed_hosts", &[]).unwrap().get(0);
        assert!(!list.split(", ").any(|host| host == "*"), "{list}");
    }
    let mut early = connect_as("cred_longer_a", Notices::default()).unwrap();
    failure(&mut early, "ALTER ROLE cred_longer_a SET awork_fdw.allowed_hosts = '*'")
        .is("42501", &[]);
    let host = std::env::var("AWORK_FDW_TEST_HOST").unwrap();
    let mut connection = Connection::new();
    connection.host_path(host).user("cred_longer_a").dbname("postgres");
    connection.options("-c awork_fdw.allowed_hosts=*");
    if let Ok(mut early) = connection.connect(NoTls) {
        failure(&mut early, &create).is("42501", &["not allowed"]);
    }
}

#[test]
fn only_superusers_name_the_authorities_of_a_server() {
    let Some(mut w) = Workspace::imported("cred_authority", known(&[])) else { return };
    let mut a = w.role("cred_authority_a");
    w.run(
        "GRANT USAGE ON FOREIGN DATA WRAPPER awork_fdw TO cred_authority_a;
         ALTER SERVER cred_authority OWNER TO cred_authority_a",
    );
    for sql in [
        "CREATE SERVER cred_authority_more FOREIGN DATA WRAPPER awork_fdw
             OPTIONS (ssl_ca_file '/etc/hidden')",
        "ALTER SERVER cred_authority OPTIONS (ADD ssl_ca_file '/etc/hidden')",
    ] {
        let failure = failure(&mut a, sql);
        failure.is("42501", &["ssl_ca_file", "Only superusers"]);
        assert!(!failure.text.contains("hidden"), "{failure:?}");
    }
    w.failure(
        "CREATE USER MAPPING FOR PUBLIC SERVER cred_authority OPTIONS (ssl_ca_file '/etc/x')",
    )
    .is("HV00D", &["ssl_ca_file"]);
}

#[test]
fn without_the_right_to_the_server_nothing_works() {
    let Some(mut w) = Workspace::empty("cred_usage", known(&["mine"])) else { return };
    make_role(&mut w.client, "cred_usage_a");
    w.run(
        "ALTER SERVER cred_usage OPTIONS (ADD api_key 'mine');
         GRANT CREATE, USAGE ON SCHEMA cred_usage TO cred_usage_a;
         CREATE USER MAPPING FOR cred_usage_a SERVER cred_usage OPTIONS (api_key 'mine')",
    );
    let mut a = connect_as("cred_usage_a", Notices::default()).unwrap();
    for sql in [
        "SELECT * FROM awork_fdw_check('cred_usage')",
        "SELECT awork_fdw_login_url('cred_usage')",
        "SELECT awork_fdw_login('cred_usage', 'code')",
        "SELECT awork_fdw_cache_clear('cred_usage')",
        "SELECT * FROM awork_fdw_server_stats('cred_usage')",
        "IMPORT FOREIGN SCHEMA awork FROM SERVER cred_usage INTO cred_usage",
        "CREATE FOREIGN TABLE cred_usage.p (id uuid) SERVER cred_usage OPTIONS (resource 'projects')",
    ] {
        failure(&mut a, sql).is("42501", &["permission denied for foreign server cred_usage"]);
    }
    let stats = "SELECT FROM awork_fdw_stats WHERE server = 'cred_usage'";
    assert!(a.query(stats, &[]).unwrap().is_empty());
    // But to be forgotten needs no right to the server, save for other roles.
    let logout = "SELECT awork_fdw_logout('cred_usage')";
    assert!(!a.query_one(logout, &[]).unwrap().get::<_, bool>(0));
    failure(&mut a, "SELECT awork_fdw_logout('cred_usage', 'postgres')")
        .is("42501", &["permission denied", "role \"postgres\""]);
    assert!(askers(&w.sandbox).is_empty());
    w.run("GRANT USAGE ON FOREIGN SERVER cred_usage TO cred_usage_a");
    a.batch_execute("SELECT * FROM awork_fdw_check('cred_usage')").unwrap();
    assert_eq!(askers(&w.sandbox), ["mine"]);
}
