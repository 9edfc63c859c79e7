//! Answers that serve again, serve only who could have asked for them.

use awork_sandbox::Config;
use postgres::Client;
use system_tests::Workspace;
use system_tests::roles::askers;

const ADMIN: &str = "awork-sandbox-key";
const LIMITED: &str = "awork-sandbox-limited";

/// A workspace whose answers serve again.
fn cached(name: &str) -> Option<Workspace> {
    let mut w = Workspace::imported(name, Config { scale: 100, ..Config::default() })?;
    w.run(&format!("ALTER SERVER {name} OPTIONS (ADD cache_ttl '3600')"));
    Some(w)
}

/// The number of rows, and who was asked for them.
fn read(w: &Workspace, client: &mut Client) -> (usize, Vec<String>) {
    askers(&w.sandbox);
    let rows = client.query("SELECT id FROM projects", &[]).unwrap();
    (rows.len(), askers(&w.sandbox))
}

/// What both keys see.
fn both(w: &mut Workspace) -> (usize, usize) {
    let all = w.sandbox.rows("projects", &[]);
    let open = all.iter().filter(|row| row["isPrivate"] != true).count();
    assert!(0 < open && open < all.len(), "{open} of {}", all.len());
    (all.len(), open)
}

#[test]
fn rows_of_the_admin_do_not_serve_a_role_with_another_key() {
    let Some(mut w) = cached("cred_cache_role") else { return };
    let (all, open) = both(&mut w);
    let mut a = w.role("cred_cache_role_a");
    w.run(&format!(
        "DROP USER MAPPING FOR CURRENT_USER SERVER cred_cache_role;
         ALTER SERVER cred_cache_role OPTIONS (ADD api_key '{ADMIN}');
         CREATE USER MAPPING FOR cred_cache_role_a SERVER cred_cache_role
             OPTIONS (api_key '{LIMITED}')"
    ));
    // The cache is one of the session where the library is not preloaded.
    let mut session = system_tests::connect_as("postgres", Default::default()).unwrap();
    session
        .batch_execute("SET search_path = cred_cache_role; SET client_min_messages = error")
        .unwrap();
    assert_eq!(read(&w, &mut session), (all, vec!["admin".into()]));
    session.batch_execute("SET ROLE cred_cache_role_a").unwrap();
    assert_eq!(read(&w, &mut session), (open, vec!["limited".into()]));
    assert_eq!(read(&w, &mut session), (open, vec![]));
    session.batch_execute("RESET ROLE").unwrap();
    assert_eq!(read(&w, &mut session), (all, vec![]));
    assert_eq!(read(&w, &mut a).0, open);
}

#[test]
fn rows_of_the_admin_do_not_serve_another_key_in_the_same_setting() {
    let Some(mut w) = cached("cred_cache_setting") else { return };
    let (all, open) = both(&mut w);
    let mut a = w.role("cred_cache_setting_a");
    w.run("ALTER SERVER cred_cache_setting OPTIONS (ADD api_key_setting 'cred.cache_key')");
    let mut with = |key: &str| {
        a.batch_execute(&format!("SET cred.cache_key = '{key}'")).unwrap();
        read(&w, &mut a)
    };
    assert_eq!(with(ADMIN), (all, vec!["admin".into()]));
    assert_eq!(with(LIMITED), (open, vec!["limited".into()]));
    assert_eq!(with(ADMIN), (all, vec![]));
    assert_eq!(with(LIMITED), (open, vec![]));
}

#[test]
fn roles_share_the_rows_of_the_key_that_they_share() {
    let Some(mut w) = cached("cred_cache_public") else { return };
    let (_, open) = both(&mut w);
    let _roles = (w.role("cred_cache_public_a"), w.role("cred_cache_public_b"));
    w.run(&format!(
        "CREATE USER MAPPING FOR PUBLIC SERVER cred_cache_public OPTIONS (api_key '{LIMITED}')"
    ));
    let mut session = system_tests::connect_as("postgres", Default::default()).unwrap();
    session
        .batch_execute(
            "SET search_path = cred_cache_public; SET client_min_messages = error;
             SET ROLE cred_cache_public_a",
        )
        .unwrap();
    assert_eq!(read(&w, &mut session), (open, vec!["limited".into()]));
    session.batch_execute("SET ROLE cred_cache_public_b").unwrap();
    assert_eq!(read(&w, &mut session), (open, vec![]));
}

#[test]
fn rows_of_the_key_before_do_not_serve_the_key_after() {
    let Some(mut w) = cached("cred_cache_rotated") else { return };
    let (all, open) = both(&mut w);
    let mut a = w.role("cred_cache_rotated_a");
    let mapping = "USER MAPPING FOR cred_cache_rotated_a SERVER cred_cache_rotated";
    w.run(&format!("CREATE {mapping} OPTIONS (api_key '{ADMIN}')"));
    a.batch_execute("PREPARE q AS SELECT count(name) FROM projects").unwrap();
    for (key, rows) in [(LIMITED, open), (ADMIN, all), (LIMITED, open), (ADMIN, all)] {
        w.run(&format!("ALTER {mapping} OPTIONS (SET api_key '{key}')"));
        for _ in 0..2 {
            assert_eq!(read(&w, &mut a).0, rows);
            let counted: i64 = match &a.simple_query("EXECUTE q").unwrap()[1] {
                postgres::SimpleQueryMessage::Row(row) => row.get(0).unwrap().parse().unwrap(),
                message => panic!("{message:?}"),
            };
            assert_eq!(counted, rows as i64);
        }
        // Twice the same question is once a request.
        assert_eq!(read(&w, &mut a).1, Vec::<String>::new());
    }
}
