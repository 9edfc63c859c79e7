//! What the whole-system tests share: a connection to the throwaway cluster that scripts/test
//! starts, and a sandbox of one's own behind a foreign server.
#![forbid(unsafe_code)]

pub mod checked;
pub mod cluster;
pub mod echo;
pub mod logins;
pub mod processes;
pub mod roles;
pub mod stages;
pub mod tls;
pub mod watched;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use awork_sandbox::{Config, Sandbox};
use postgres::{Client, Config as Connection, Error, NoTls};

pub use logins::{CONFIDENTIAL, PUBLIC, REDIRECT, Seed, browse, code, log_in, login_url};

/// A foreign server over a sandbox that no other test uses.
pub struct Workspace {
    /// A superuser's session.
    pub client: Client,
    /// The server behind the tables.
    pub sandbox: Sandbox,
    /// The name of the foreign server and of the schema with its tables.
    pub name: String,
    /// The warnings and notices of the session so far.
    pub notices: Notices,
}

/// Messages that a session got beside its results.
pub type Notices = Arc<Mutex<Vec<String>>>;

/// A new session; none, with the reason printed, where no cluster was started for tests.
pub fn connect() -> Option<Client> {
    connect_as("postgres", Notices::default())
}

/// A new session of a role that collects its warnings and notices.
pub fn connect_as(role: &str, notices: Notices) -> Option<Client> {
    connect_with(role, "postgres", notices)
}

/// A new session of a role in a database.
pub fn connect_to(role: &str, database: &str) -> Option<Client> {
    connect_with(role, database, Notices::default())
}

fn connect_with(role: &str, database: &str, notices: Notices) -> Option<Client> {
    let Ok(host) = std::env::var("AWORK_FDW_TEST_HOST") else {
        println!("skipped: no cluster to test with; scripts/test starts one");
        return None;
    };
    let mut connection = Connection::new();
    connection.host_path(host).user(role).dbname(database);
    connection.connect_timeout(Duration::from_secs(10));
    connection.notice_callback(move |notice| {
        notices.lock().expect("no test panics here").push(notice.message().to_owned());
    });
    Some(connection.connect(NoTls).expect("the cluster of scripts/test accepts connections"))
}

impl Workspace {
    /// A foreign server `name` without tables.
    pub fn empty(name: &str, config: Config) -> Option<Self> {
        let notices = Notices::default();
        let mut client = connect_as("postgres", notices.clone())?;
        let sandbox = Sandbox::start(config).expect("the sandbox starts");
        client
            .batch_execute(&format!(
                "SET client_min_messages = error;
                 DROP SCHEMA IF EXISTS {name} CASCADE;
                 DROP SERVER IF EXISTS {name} CASCADE;
                 CREATE SCHEMA {name};
                 CREATE SERVER {name} FOREIGN DATA WRAPPER awork_fdw
                     OPTIONS (api_url '{}', max_retries '0');
                 CREATE USER MAPPING FOR CURRENT_USER SERVER {name}
                     OPTIONS (api_key 'awork-sandbox-key');",
                sandbox.api_url()
            ))
            .expect("a server can be made");
        Some(Self { client, sandbox, name: name.to_owned(), notices })
    }

    /// A foreign server `name` with every table in the schema `name`.
    pub fn imported(name: &str, config: Config) -> Option<Self> {
        let mut workspace = Self::empty(name, config)?;
        workspace
            .client
            .batch_execute(&format!(
                "IMPORT FOREIGN SCHEMA awork FROM SERVER {name} INTO {name};
                 SET search_path = {name}, public;"
            ))
            .expect("the tables can be imported");
        Some(workspace)
    }

    /// Runs a query that must fail, and then one that must not; returns the failure.
    pub fn failure(&mut self, sql: &str) -> Failure {
        failure(&mut self.client, sql)
    }
}

/// Runs a query that must fail, and then one that must not; returns the failure.
pub fn failure(client: &mut Client, sql: &str) -> Failure {
    let error = client.query(sql, &[]).expect_err(sql);
    let failure = Failure::from(&error);
    let row = client.query_one("SELECT 1", &[]).expect("the session goes on");
    assert_eq!(row.get::<_, i32>(0), 1);
    failure
}

/// An error as the server reported it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// SQLSTATE.
    pub code: String,
    /// Message, detail and hint, a line each.
    pub text: String,
}

impl Failure {
    /// Panics unless the failure has this SQLSTATE and all of these words.
    #[track_caller]
    pub fn is(&self, code: &str, words: &[&str]) {
        let says_all = words.iter().all(|words| self.text.contains(words));
        assert!(self.code == code && says_all, "no {code} with {words:?}: {self:?}");
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let error =
            error.as_db_error().unwrap_or_else(|| panic!("no error of the server: {error}"));
        let parts = [Some(error.message()), error.detail(), error.hint()];
        let text: Vec<&str> = parts.into_iter().flatten().collect();
        Self { code: error.code().code().to_owned(), text: text.join("\n") }
    }
}

/// A figure of `/proc/PID/status` in kB, of the backend of this session.
pub fn backend_memory(client: &mut Client, figure: &str) -> u64 {
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).expect("a pid").get(0);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the backend runs");
    let line = status.lines().find(|l| l.starts_with(figure)).expect("the figure is there");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of kB")
}
