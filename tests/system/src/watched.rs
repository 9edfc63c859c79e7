//! Sessions that take down all that they are told, to look for secrets in it.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use awork_sandbox::{Action, ClientApplication, Config, Fault, Identity, OAuth, Sandbox};
use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::{REDIRECT, connect};

/// What stands in the place of a secret.
const MASK: &str = "********";

/// Takes the other plans away, so that joins look up and scans run side by side.
const PLANS: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET enable_material = off; SET enable_memoize = off; SET awork_fdw.request_cost = 10";

/// Statements whose rows are awork's; what they say beside them is looked at.
pub const READING: &[&str] = &[
    "SELECT * FROM projects",
    "SELECT id FROM time_entries WHERE is_billable AND duration > 600 ORDER BY created_on LIMIT 3",
    "SELECT count(*) FROM tasks WHERE name LIKE '%a%'",
    "SELECT t.id, p.name FROM tasks t JOIN projects p ON p.id = t.project_id",
    "SELECT id FROM projects UNION ALL SELECT id FROM users UNION ALL SELECT id FROM tasks",
    "ANALYZE projects",
];

/// Statements whose rows say something of the server; these are looked at too.
pub const TELLING: &[&str] = &[
    "SELECT * FROM awork_fdw_check('{server}')",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM projects",
    "EXPLAIN (ANALYZE, VERBOSE, FORMAT json) SELECT id FROM time_entries WHERE is_billable",
    "EXPLAIN (ANALYZE, VERBOSE, FORMAT xml) SELECT id FROM users UNION ALL SELECT id FROM tasks",
    "EXPLAIN (ANALYZE, VERBOSE, FORMAT yaml)
         SELECT t.id, p.name FROM tasks t JOIN projects p ON p.id = t.project_id",
    "SELECT * FROM awork_fdw_stats",
    "SELECT * FROM awork_fdw_table_stats",
    "SELECT * FROM awork_fdw_logins",
    "SELECT * FROM pg_prepared_statements",
    "SELECT * FROM pg_locks",
    "SELECT * FROM pg_stat_activity",
];

/// The kinds of credentials; each is a role's.
pub const KINDS: &[&str] = &["key", "file", "setting", "login"];

/// What sessions were told and gave.
pub type Seen = Arc<Mutex<Vec<String>>>;

/// A database in which every session says and logs all that it can, and a server in it that each
/// of the roles uses with another kind of credential.
pub struct Watched {
    /// The server, the database, and what the names of the roles begin with.
    pub name: String,
    /// What the server gets its rows from, where it does not ask elsewhere.
    pub sandbox: Sandbox,
    /// A superuser's session.
    pub admin: Client,
    /// What the sessions were told and gave since the last look.
    pub seen: Seen,
    /// All secrets so far: the key of each of the kinds, that of the application, and tokens.
    pub secrets: Vec<String>,
    log: PathBuf,
    /// Where the server's log ended when this began.
    log_start: u64,
}

impl Watched {
    /// None where there is no cluster. Requests go to `api_url`, or else to the sandbox.
    pub fn new(name: &str, api_url: Option<&str>) -> Option<Self> {
        let mut first = connect()?;
        let secret = |kind: &str| marked(name, kind);
        let identity = |kind: &str| Identity { name: kind.into(), ..Identity::admin(secret(kind)) };
        let mut application =
            ClientApplication::confidential("marked-client", secret("application"));
        application.redirect_uris = vec![REDIRECT.into()];
        let sandbox = Sandbox::start(Config {
            scale: 60,
            identities: KINDS.iter().map(|kind| identity(kind)).collect(),
            oauth: OAuth { clients: vec![application], ..OAuth::default() },
            ..Config::default()
        })
        .expect("the sandbox starts");
        let host = PathBuf::from(std::env::var("AWORK_FDW_TEST_HOST").expect("a cluster"));
        let log = host.join("postgresql.log");
        let log_start = fs::metadata(&log).expect("the server has a log").len();

        let key_file = std::env::temp_dir().join(format!("{name}.key"));
        fs::write(&key_file, secret("file")).expect("a file can be written");
        fs::set_permissions(&key_file, Permissions::from_mode(0o600)).expect("it is the test's");
        // Where root runs the tests, another user runs the server.
        let owner = fs::metadata(&host).expect("the folder is there").uid();
        chown(&key_file, Some(owner), None).expect("the server's user can have it");

        let roles = KINDS.iter().copied().chain(["nosy"]).map(|kind| format!("{name}_{kind}"));
        let mut statements = vec![format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")];
        for role in roles {
            statements.push(format!("DROP ROLE IF EXISTS {role}"));
            statements.push(format!("CREATE ROLE {role} LOGIN"));
        }
        statements.push(format!("CREATE DATABASE {name}"));
        statements.push(format!("ALTER DATABASE {name} SET log_min_messages = debug5"));
        statements.push(format!("ALTER DATABASE {name} SET client_min_messages = debug5"));
        statements.push(format!("ALTER DATABASE {name} SET log_min_error_statement = panic"));
        for statement in statements {
            first.batch_execute(&statement).expect("a database can be made");
        }
        let seen = Seen::default();
        let mut admin = session(name, "postgres", &seen);
        admin
            .batch_execute(&format!(
                "CREATE EXTENSION awork_fdw;
                 CREATE SERVER {name} FOREIGN DATA WRAPPER awork_fdw OPTIONS (
                     api_url '{api_url}', max_retries '0', request_timeout '20',
                     client_id 'marked-client', redirect_uri '{REDIRECT}');
                 GRANT USAGE ON FOREIGN SERVER {name} TO PUBLIC;
                 GRANT CREATE ON DATABASE {name} TO PUBLIC;
                 CREATE USER MAPPING FOR {name}_key SERVER {name}
                     OPTIONS (api_key '{key}');
                 CREATE USER MAPPING FOR {name}_file SERVER {name}
                     OPTIONS (api_key_file '{file}');
                 CREATE USER MAPPING FOR {name}_setting SERVER {name}
                     OPTIONS (api_key_setting 'marked.key');
                 CREATE USER MAPPING FOR {name}_login SERVER {name}
                     OPTIONS (client_id 'marked-client', client_secret '{application}');",
                api_url = api_url.map_or_else(|| sandbox.api_url(), str::to_owned),
                key = secret("key"),
                file = key_file.display(),
                application = secret("application"),
            ))
            .expect("a server can be made");
        let secrets = KINDS.iter().copied().chain(["application"]).map(secret).collect();
        let name = name.to_owned();
        Some(Self { name, sandbox, admin, seen, secrets, log, log_start })
    }

    /// A session of the role that has this kind of credential, with tables.
    pub fn session(&self, kind: &str) -> Client {
        let role = format!("{}_{kind}", self.name);
        let mut client = session(&self.name, &role, &self.seen);
        let key = self.secret(kind);
        client
            .batch_execute(&format!(
                "CREATE SCHEMA IF NOT EXISTS {role};
                 IMPORT FOREIGN SCHEMA awork LIMIT TO (projects, tasks, time_entries, users)
                     FROM SERVER {} INTO {role};
                 SET search_path = {role}, public; SET marked.key = '{key}'; {PLANS}",
                self.name
            ))
            .expect("tables can be imported");
        client
    }

    /// The key of a kind, which stands for its identity also where nobody sends it.
    pub fn secret(&self, kind: &str) -> &str {
        let place = KINDS.iter().position(|known| *known == kind).expect("a known kind");
        &self.secrets[place]
    }

    fn learn(&mut self, secrets: impl IntoIterator<Item = String>) {
        for secret in secrets {
            if !self.secrets.contains(&secret) {
                self.secrets.push(secret);
            }
        }
    }

    /// Learns what the tables of logins hold; gives the tokens of the moment, or what a login was
    /// begun with: verifier and state.
    pub fn learn_tokens(&mut self) -> Vec<String> {
        let rows = self
            .admin
            .query(
                "SELECT access_token FROM awork_fdw_tokens
                 UNION ALL SELECT refresh_token FROM awork_fdw_tokens
                 UNION ALL SELECT verifier FROM awork_fdw_login_requests
                 UNION ALL SELECT state FROM awork_fdw_login_requests",
                &[],
            )
            .expect("a superuser can read them");
        let tokens: Vec<String> =
            rows.iter().filter_map(|row| row.get::<_, Option<String>>(0)).collect();
        self.learn(tokens.clone());
        tokens
    }

    /// Begins a login and gives the code that awork sends the browser away with.
    pub fn code(&mut self, client: &mut Client) -> String {
        let sql = "SELECT awork_fdw_login_url($1)";
        let url: String = client.query_one(sql, &[&self.name]).expect("an address").get(0);
        let challenge = url.split("code_challenge=").nth(1).and_then(|rest| rest.split('&').next());
        self.learn_tokens();
        let code = self.sandbox.log_in("marked-client", "login", REDIRECT, challenge);
        let code = code.expect("a code");
        self.learn([code.clone()]);
        code
    }

    /// Completes a login, and says how it went.
    pub fn complete(&mut self, client: &mut Client, code: &str) -> Result<String, postgres::Error> {
        let outcome =
            client.query_one("SELECT awork_fdw_login($1, $2)", &[&self.name.as_str(), &code]);
        let outcome = outcome.map(|row| row.get::<_, String>(0));
        self.see(format!("{outcome:?}"));
        outcome
    }

    /// Logs the role of a session in.
    pub fn log_in(&mut self, client: &mut Client) {
        let code = self.code(client);
        self.complete(client, &code).expect("a login");
        self.learn_tokens();
    }

    fn see(&self, text: String) {
        self.seen.lock().unwrap().push(text);
    }

    /// Runs a statement, whose rows are seen where they tell something.
    pub fn run(&self, client: &mut Client, sql: &str, is_telling: bool) {
        let outcome = client.simple_query(&sql.replace("{server}", &self.name));
        match outcome {
            Ok(messages) if is_telling => self.see(rows(&messages)),
            Ok(_) => {}
            Err(error) => self.see(format!("{error:?}")),
        }
    }

    /// Runs all statements that read and that tell.
    pub fn run_all(&self, client: &mut Client) {
        READING.iter().for_each(|sql| self.run(client, sql, false));
        TELLING.iter().for_each(|sql| self.run(client, sql, true));
    }

    /// Adds a fault for requests to a path, with such a query or form.
    pub fn add(&self, path: &str, query: Option<&str>, action: Action) {
        let (path, query) = (path.to_owned(), query.map(str::to_owned));
        self.sandbox.add_fault(Fault { path, query, nth: None, first: None, action });
    }

    /// How often awork's words were seen without a secret that was in them.
    pub fn masked(&self) -> usize {
        self.seen.lock().unwrap().iter().filter(|text| text.contains(MASK)).count()
    }

    /// Looks for all secrets in all that was seen since the last look, and in the log.
    pub fn shows_none(&mut self, when: &str) {
        for text in self.seen.lock().unwrap().drain(..) {
            assert_shows_none(&self.secrets, &text, when);
        }
        let mut log = fs::File::open(&self.log).expect("the log can be read");
        log.seek(SeekFrom::Start(self.log_start)).expect("it only grows");
        let mut added = Vec::new();
        log.read_to_end(&mut added).expect("the log can be read");
        self.log_start += added.len() as u64;
        let added = String::from_utf8_lossy(&added);
        assert!(added.contains("DEBUG:"), "all messages are logged");
        assert_shows_none(&self.secrets, &added, when);
    }
}

/// A secret with a beginning and an end that are like no other text, also of other tests.
pub fn marked(name: &str, kind: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let mark = hasher.finish();
    format!("M{mark:016x}-{kind}-and-{kind}-{mark:016X}M")
}

/// A session that takes down every field of every message.
pub fn session(database: &str, role: &str, seen: &Seen) -> Client {
    let host = std::env::var("AWORK_FDW_TEST_HOST").expect("a cluster");
    let seen = seen.clone();
    let mut connection = postgres::Config::new();
    connection.host_path(host).user(role).dbname(database);
    connection.notice_callback(move |notice| seen.lock().unwrap().push(format!("{notice:?}")));
    connection.connect(NoTls).expect("the cluster accepts connections")
}

/// The rows of a statement as text.
pub fn rows(messages: &[SimpleQueryMessage]) -> String {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
            Some(columns.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Where a text has the beginning or the end of a secret, which cutting it would leave.
pub fn shown(secrets: &[String], text: &str) -> Option<usize> {
    let parts = secrets.iter().flat_map(|secret| {
        let length = secret.len().min(12);
        [&secret[..length], &secret[secret.len() - length..]]
    });
    parts.filter_map(|part| text.find(part)).min()
}

/// Panics where a text has the beginning or the end of a secret, with what stands around it.
pub fn assert_shows_none(secrets: &[String], text: &str, when: &str) {
    if let Some(place) = shown(secrets, text) {
        let around: String =
            text[..].bytes().skip(place.saturating_sub(400)).take(900).map(char::from).collect();
        panic!("{when}: {around}");
    }
}
