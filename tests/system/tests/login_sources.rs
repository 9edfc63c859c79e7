//! What decides on a login: refresh tokens from elsewhere, the options of mappings, of PUBLIC and
//! of servers, the secrets among them, and the role that a statement asks as.

use std::sync::Barrier;
use std::thread;

use awork_sandbox::{Action, ClientAuthentication};
use postgres::Client;
use system_tests::checked::rows;
use system_tests::logins::{
    COUNT, asked_for_tokens, config, count, identity, logged_in, refresh_fault, session, tokens,
};
use system_tests::{CONFIDENTIAL, Seed, Workspace, failure, log_in, login_url};

#[test]
fn of_two_mappings_and_the_server_the_first_that_names_a_source_decides() {
    let Some(mut w) = Workspace::with_logins("logins_source", config()) else { return };
    let mut role = w.role("logins_source_role");
    log_in(&mut role, &w.sandbox, "logins_source", "limited");
    let mapping = |w: &mut Workspace, of: &str, options: &str| {
        w.client
            .batch_execute(&format!(
                "DROP USER MAPPING IF EXISTS FOR {of} SERVER logins_source;
                 CREATE USER MAPPING FOR {of} SERVER logins_source OPTIONS ({options})"
            ))
            .unwrap();
    };
    mapping(&mut w, "PUBLIC", "api_key 'awork-sandbox-key'");
    count(&mut role);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
    // An own mapping hides that for PUBLIC, also where it names no source.
    mapping(&mut w, "logins_source_role", "redirect_uri 'http://localhost:8765/callback'");
    count(&mut role);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("limited"));
    let url = login_url(&mut role, "logins_source");
    assert!(url.contains("redirect_uri=http%3A%2F%2Flocalhost%3A8765%2Fcallback"), "{url}");
    w.client
        .batch_execute(
            "ALTER SERVER logins_source OPTIONS (DROP client_id);
             SET client_min_messages = error;
             ALTER SERVER logins_source OPTIONS (ADD api_key 'awork-sandbox-key')",
        )
        .unwrap();
    count(&mut role);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
    mapping(&mut w, "logins_source_role", "client_id 'awork-sandbox-public'");
    count(&mut role);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("limited"));
    // Without a login there is no falling back to the key.
    rows(&mut role, "SELECT awork_fdw_logout('logins_source')").unwrap();
    failure(&mut role, COUNT).is("HV002", &["not logged in"]);
}

#[test]
fn the_secret_of_the_server_is_that_of_its_application_alone() {
    let Some(mut w) = Workspace::with_logins("logins_own_app", config()) else { return };
    w.client
        .batch_execute(&format!(
            "ALTER SERVER logins_own_app OPTIONS (SET client_id '{CONFIDENTIAL}',
                 ADD client_secret 'awork-sandbox-secret')"
        ))
        .unwrap();
    w.log_in("admin");
    w.client
        .batch_execute(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER logins_own_app
                 OPTIONS (client_id 'awork-sandbox-public')",
        )
        .unwrap();
    w.failure(COUNT).is("HV002", &["not logged in"]);
    w.log_in("limited");
    let shown: Vec<_> =
        asked_for_tokens(&w.sandbox).iter().map(|entry| entry.client_authentication).collect();
    assert_eq!(shown, [Some(ClientAuthentication::Basic), Some(ClientAuthentication::None)]);
}

#[test]
fn servers_that_are_not_set_up_for_logins_say_what_is_missing() {
    let Some(mut w) = Workspace::with_logins("logins_options", config()) else { return };
    let url = "SELECT awork_fdw_login_url('logins_options')";
    w.client.batch_execute("ALTER SERVER logins_options OPTIONS (DROP redirect_uri)").unwrap();
    w.failure(url).is("HV002", &["\"redirect_uri\"", "redirect addresses"]);
    w.client
        .batch_execute(
            "CREATE USER MAPPING FOR PUBLIC SERVER logins_options OPTIONS (api_key 'awork-sandbox-key')",
        )
        .unwrap();
    for sql in [url, "SELECT awork_fdw_login('logins_options', 'code')"] {
        w.failure(sql).is("HV002", &["uses an API key", "\"client_id\""]);
    }
    count(&mut w.client);
    assert_eq!(identity(&w.sandbox).as_deref(), Some("admin"));
    w.failure("SELECT awork_fdw_login_url('logins_nowhere')").is("42704", &["logins_nowhere"]);
}

#[test]
fn views_and_prepared_statements_ask_as_the_login_of_their_role_at_the_time() {
    let Some((mut w, n)) = logged_in("logins_plans", config()) else { return };
    let mut role = w.role("logins_plans_role");
    log_in(&mut role, &w.sandbox, "logins_plans", "limited");
    let seen = count(&mut role);
    assert_ne!(seen, n);
    w.client
        .batch_execute(
            "SET plan_cache_mode = force_generic_plan;
             CREATE VIEW seen AS SELECT id FROM projects;
             ALTER VIEW seen OWNER TO logins_plans_role;
             PREPARE of_view AS SELECT count(*) FROM seen;
             PREPARE own AS SELECT count(*) FROM projects;",
        )
        .unwrap();
    let found = |w: &mut Workspace, name: &str| rows(&mut w.client, &format!("EXECUTE {name}"));
    for _ in 0..2 {
        assert_eq!(found(&mut w, "of_view").unwrap(), [seen.to_string()]);
        assert_eq!(found(&mut w, "own").unwrap(), [n.to_string()]);
        w.expire();
    }
    w.log_in("limited");
    assert_eq!(found(&mut w, "own").unwrap(), [seen.to_string()]);
    rows(&mut w.client, "SELECT awork_fdw_logout('logins_plans')").unwrap();
    assert!(found(&mut w, "own").unwrap_err().contains("not logged in"));
    assert_eq!(found(&mut w, "of_view").unwrap(), [seen.to_string()]);
}

// Refresh tokens from elsewhere.

#[test]
fn a_refresh_token_in_a_mapping_begins_a_login() {
    let Some(mut w) = Workspace::with_logins("logins_seed", config()) else { return };
    let Seed(seed) = Seed::of(&w.sandbox, "limited");
    w.client
        .batch_execute(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER logins_seed OPTIONS (refresh_token '{seed}')"
        ))
        .unwrap();
    let asked = |w: &mut Workspace| {
        count(&mut w.client);
        (identity(&w.sandbox).unwrap(), w.refreshes())
    };
    assert_eq!(asked(&mut w), ("limited".to_owned(), 1));
    assert_eq!(asked(&mut w), ("limited".to_owned(), 1));
    for refreshes in 2..4 {
        w.expire();
        assert_eq!(asked(&mut w), ("limited".to_owned(), refreshes));
        assert!(!tokens(&mut w).contains(&seed));
    }
    let Seed(other) = Seed::of(&w.sandbox, "admin");
    w.client
        .batch_execute(&format!(
            "ALTER USER MAPPING FOR CURRENT_USER SERVER logins_seed OPTIONS (SET refresh_token '{other}')"
        ))
        .unwrap();
    assert_eq!(asked(&mut w), ("admin".to_owned(), 4));
    w.expire();
    assert_eq!(asked(&mut w), ("admin".to_owned(), 5));
    w.log_in("limited");
    assert_eq!(asked(&mut w), ("limited".to_owned(), 5));
    w.expire();
    assert_eq!(asked(&mut w), ("limited".to_owned(), 6));
}

#[test]
fn a_refresh_token_in_a_mapping_is_used_once_by_many_sessions() {
    let Some(mut w) = Workspace::with_logins("logins_seeds", config()) else { return };
    let Seed(seed) = Seed::of(&w.sandbox, "limited");
    w.client
        .batch_execute(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER logins_seeds OPTIONS (refresh_token '{seed}')"
        ))
        .unwrap();
    let mut clients: Vec<Client> = (0..10).map(|_| session("logins_seeds")).collect();
    let barrier = Barrier::new(clients.len());
    thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| {
                barrier.wait();
                count(client);
            });
        }
    });
    assert_eq!(w.refreshes(), 1);
}

#[test]
fn a_lost_answer_to_a_refresh_token_of_a_mapping_is_told() {
    let Some(mut w) = Workspace::with_logins("logins_seed_lost", config()) else { return };
    let Seed(seed) = Seed::of(&w.sandbox, "limited");
    w.client
        .batch_execute(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER logins_seed_lost
                 OPTIONS (refresh_token '{seed}');
             ALTER SERVER logins_seed_lost OPTIONS (ADD request_timeout '2')"
        ))
        .unwrap();
    refresh_fault(&w, Action::HangAfter, Some(1));
    w.failure(COUNT);
    let refused = w.failure(COUNT);
    refused.is("28000", &["refused the refresh token", "awork_fdw_login_url"]);
    assert!(!refused.text.contains(&seed), "{refused:?}");
    w.log_in("limited");
    count(&mut w.client);
    assert_eq!(w.refreshes(), 2);
}

#[test]
fn a_refresh_token_for_all_roles_is_refused() {
    let Some(mut w) = Workspace::with_logins("logins_shared_seed", config()) else { return };
    let Seed(seed) = Seed::of(&w.sandbox, "admin");
    w.client
        .batch_execute(&format!(
            "CREATE USER MAPPING FOR PUBLIC SERVER logins_shared_seed OPTIONS (refresh_token '{seed}')"
        ))
        .unwrap();
    let refused = w.failure(COUNT);
    refused.is("22023", &["\"refresh_token\"", "one role only"]);
    assert!(!refused.text.contains(&seed), "{refused:?}");
    assert_eq!(w.sandbox.log().len(), 1);
}
