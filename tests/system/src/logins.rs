//! Servers of the sandbox where users log in, the way to a code without a browser, and what the
//! tests of logins ask and look at.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Config, Fault, LogEntry, OAuth, Sandbox};
use postgres::Client;
use serde_json::Value;

use crate::{Failure, Workspace, connect, connect_to};

/// The application without a secret.
pub const PUBLIC: &str = "awork-sandbox-public";

/// The application with a secret.
pub const CONFIDENTIAL: &str = "awork-sandbox-client";

/// Where both may have codes sent.
pub const REDIRECT: &str = "http://127.0.0.1:8765/callback";

/// A statement that sends one request, which needs a good access token.
pub const COUNT: &str = "SELECT count(*) FROM projects";

/// What a request for new tokens has in its form, for faults of these requests alone.
pub const REFRESH: &str = "grant_type=refresh_token";

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A refresh token that was got without the extension.
#[derive(Debug)]
pub struct Seed(pub String);

impl Seed {
    /// The one of a new login through the public application.
    pub fn of(sandbox: &Sandbox, identity: &str) -> Self {
        let code = sandbox.log_in(PUBLIC, identity, REDIRECT, Some(CHALLENGE)).expect("a code");
        let form = format!(
            "grant_type=authorization_code&client_id={PUBLIC}&code={code}\
             &code_verifier={VERIFIER}&redirect_uri={REDIRECT}"
        );
        let answer = http(sandbox, "POST", "/api/v1/accounts/token", &form);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body: Value = serde_json::from_str(body).expect("tokens");
        Self(body["refresh_token"].as_str().expect("a refresh token").to_owned())
    }
}

/// Opens an address of the sandbox, as a browser would: the address that it is sent to.
pub fn browse(sandbox: &Sandbox, url: &str) -> String {
    let origin = format!("http://{}", sandbox.address());
    let target = url.strip_prefix(&origin).expect("an address of the sandbox");
    let answer = http(sandbox, "GET", target, "");
    let is_location = |line: &&str| line.to_ascii_lowercase().starts_with("location: ");
    let location = answer.lines().find(is_location).expect(&answer);
    location["location: ".len()..].to_owned()
}

fn http(sandbox: &Sandbox, method: &str, target: &str, form: &str) -> String {
    let mut stream = TcpStream::connect(sandbox.address()).expect("the sandbox listens");
    let length = form.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes()).expect("the sandbox reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the sandbox answers in text");
    answer
}

/// The address at which the role of a session logs in.
pub fn login_url(client: &mut Client, server: &str) -> String {
    client.query_one("SELECT awork_fdw_login_url($1)", &[&server]).expect("an address").get(0)
}

/// A code for an identity as the address `url` would bring it.
pub fn code(sandbox: &Sandbox, url: &str, identity: &str) -> String {
    let redirected = browse(sandbox, &format!("{url}&login={identity}"));
    let (_, query) = redirected.split_once('?').expect("a query");
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    code.expect("a code").to_owned()
}

/// Logs the role of a session in; what the login says.
pub fn log_in(client: &mut Client, sandbox: &Sandbox, server: &str, identity: &str) -> String {
    let code = code(sandbox, &login_url(client, server), identity);
    client.query_one("SELECT awork_fdw_login($1, $2)", &[&server, &code]).expect("a login").get(0)
}

impl Workspace {
    /// A foreign server `name` with every table, where users log in through the public application.
    pub fn with_logins(name: &str, config: Config) -> Option<Self> {
        let mut workspace = Self::imported(name, config)?;
        workspace
            .client
            .batch_execute(&format!(
                "DROP USER MAPPING FOR CURRENT_USER SERVER {name};
                 ALTER SERVER {name} OPTIONS (ADD client_id '{PUBLIC}', ADD redirect_uri '{REDIRECT}')"
            ))
            .expect("options can be changed");
        Some(workspace)
    }

    /// Logs the superuser in.
    pub fn log_in(&mut self, identity: &str) -> String {
        log_in(&mut self.client, &self.sandbox, &self.name, identity)
    }

    /// How often a refresh token has come to the sandbox.
    pub fn refreshes(&self) -> usize {
        let log = self.sandbox.log();
        log.iter().filter(|entry| entry.grant_type.as_deref() == Some("refresh_token")).count()
    }

    /// Lets the access tokens of all roles expire, both in awork and by the clock of the database.
    pub fn expire(&mut self) {
        self.sandbox.expire_access_tokens();
        self.age("interval '-1 second'");
    }

    /// The same by another session, since this one's transaction cannot or must not do it.
    pub fn expire_elsewhere(&mut self) {
        let other = connect_to("postgres", "postgres").expect("there is a cluster");
        let own = std::mem::replace(&mut self.client, other);
        self.expire();
        self.client = own;
    }

    /// Makes the access tokens of all roles an hour old, good for this long from now on.
    pub fn age(&mut self, left: &str) {
        let sql = format!(
            "UPDATE awork_fdw_tokens SET access_issued_at = clock_timestamp() - interval '1 hour',
                 access_expires_at = clock_timestamp() + {left}
             WHERE server = (SELECT oid FROM pg_foreign_server WHERE srvname = $1)"
        );
        let changed = self.client.execute(&sql, &[&self.name]).expect("a superuser can do that");
        assert_ne!(changed, 0, "nobody is logged in");
    }
}

/// A sandbox with a few projects.
pub fn config() -> Config {
    Config { scale: 200, ..Config::default() }
}

/// The same with something else about its logins.
pub fn oauth(change: impl FnOnce(&mut OAuth)) -> Config {
    let mut config = config();
    change(&mut config.oauth);
    config
}

/// A workspace where the superuser is logged in, and the number of its projects.
pub fn logged_in(name: &str, config: Config) -> Option<(Workspace, i64)> {
    let mut w = Workspace::with_logins(name, config)?;
    w.log_in("admin");
    // What hangs must not hang the tests.
    w.client.batch_execute("SET statement_timeout = '120s'").expect("a setting");
    let rows = count(&mut w.client);
    assert_ne!(rows, 0);
    w.sandbox.clear_log();
    Some((w, rows))
}

/// A database of its own, where nobody else changes anything, with two logins.
pub fn database(name: &str) -> Option<(Client, Sandbox)> {
    let mut client = connect()?;
    let sandbox = Sandbox::start(config()).expect("the sandbox starts");
    for sql in [
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        format!("CREATE DATABASE {name} TEMPLATE template0"),
    ] {
        client.execute(&sql, &[]).expect("a database can be made");
    }
    let mut client = connect_to("postgres", name)?;
    client
        .batch_execute(&format!(
            "SET client_min_messages = error;
             CREATE EXTENSION awork_fdw;
             CREATE SERVER a FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{0}',
                 client_id '{PUBLIC}', redirect_uri '{REDIRECT}');
             CREATE SERVER b FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url '{0}',
                 client_id '{PUBLIC}', redirect_uri '{REDIRECT}');",
            sandbox.api_url()
        ))
        .expect("servers can be made");
    for server in ["a", "b"] {
        log_in(&mut client, &sandbox, server, "admin");
        login_url(&mut client, server);
    }
    Some((client, sandbox))
}

/// A new session of the superuser with the tables of a workspace.
pub fn session(name: &str) -> Client {
    let mut client = connect().expect("there is a cluster");
    client.batch_execute(&format!("SET search_path = {name}, public")).expect("a setting");
    client
}

/// The number of projects that a session sees.
#[track_caller]
pub fn count(client: &mut Client) -> i64 {
    client.query_one(COUNT, &[]).expect("projects can be read").get(0)
}

/// Completes a login of the superuser with what somebody brings; what it says, or why it failed.
pub fn log_in_with(w: &mut Workspace, brought: &str) -> Result<String, Failure> {
    let row = w.client.query_one("SELECT awork_fdw_login($1, $2)", &[&w.name, &brought]);
    row.map(|row| row.get(0)).map_err(|error| Failure::from(&error))
}

/// Access and refresh tokens of the server, as far as there are any.
pub fn tokens(w: &mut Workspace) -> Vec<String> {
    let sql = "SELECT unnest(array_remove(ARRAY[access_token, refresh_token], NULL))
        FROM awork_fdw_tokens JOIN pg_foreign_server s ON s.oid = server WHERE srvname = $1";
    let rows = w.client.query(sql, &[&w.name]).expect("a superuser can read them");
    rows.iter().map(|row| row.get(0)).collect()
}

/// As whom the projects were last asked for.
pub fn identity(sandbox: &Sandbox) -> Option<String> {
    let log = sandbox.log();
    let asked = log.iter().rev().find(|entry| entry.path == "/api/v1/projects");
    asked.expect("projects were asked for").identity.clone()
}

/// The requests for tokens that have come to the sandbox.
pub fn asked_for_tokens(sandbox: &Sandbox) -> Vec<LogEntry> {
    sandbox.log().into_iter().filter(|entry| entry.grant_type.is_some()).collect()
}

/// Lets the first requests that renew tokens, or all of them, fail in some way.
pub fn refresh_fault(w: &Workspace, action: Action, first: Option<u64>) {
    let query = Some(REFRESH.to_owned());
    w.sandbox.add_fault(Fault { path: String::new(), query, nth: None, first, action });
}

/// The fault that answers with this status and nothing else.
pub fn status(status: u16) -> Action {
    Action::Status { status, code: None, retry_after: None }
}

/// Waits for something to be so, and panics where it takes a minute.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
