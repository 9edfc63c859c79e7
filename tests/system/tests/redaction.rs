//! Secrets never show: whatever awork answers, no message, log, plan, view or catalogue has one.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use awork_sandbox::{Action, ClientApplication, Config, Fault, Identity, OAuth, Sandbox};
use postgres::{Client, NoTls, SimpleQueryMessage};
use serde_json::{Map, Value, json};
use system_tests::connect;
use system_tests::echo::{Echo, response};

/// Where codes go.
const REDIRECT: &str = "http://127.0.0.1:8765/callback";

/// What stands in the place of a secret.
const MASK: &str = "********";

/// Takes the other plans away, so that joins look up and scans run side by side.
const PLANS: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET enable_material = off; SET enable_memoize = off; SET awork_fdw.request_cost = 10";

/// Statements whose rows are awork's; what they say beside them is looked at.
const READING: &[&str] = &[
    "SELECT * FROM projects",
    "SELECT id FROM time_entries WHERE is_billable AND duration > 600 ORDER BY created_on LIMIT 3",
    "SELECT count(*) FROM tasks WHERE name LIKE '%a%'",
    "SELECT t.id, p.name FROM tasks t JOIN projects p ON p.id = t.project_id",
    "SELECT id FROM projects UNION ALL SELECT id FROM users UNION ALL SELECT id FROM tasks",
    "ANALYZE projects",
];

/// Statements whose rows say something of the server; these are looked at too.
const TELLING: &[&str] = &[
    "SELECT * FROM awork_fdw_check('{server}')",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM projects",
    "EXPLAIN (ANALYZE, VERBOSE, FORMAT json) SELECT id FROM time_entries WHERE is_billable",
    "EXPLAIN (ANALYZE, VERBOSE, FORMAT xml) SELECT id FROM users UNION ALL SELECT id FROM tasks",
    "EXPLAIN (ANALYZE, VERBOSE, FORMAT yaml)
         SELECT t.id, p.name FROM tasks t JOIN projects p ON p.id = t.project_id",
    "SELECT * FROM awork_fdw_stats",
    "SELECT * FROM awork_fdw_logins",
    "SELECT * FROM pg_prepared_statements",
    "SELECT * FROM pg_locks",
    "SELECT * FROM pg_stat_activity",
];

/// The kinds of credentials; each is a role's.
const KINDS: &[&str] = &["key", "file", "setting", "login"];

/// What sessions were told and gave.
type Seen = Arc<Mutex<Vec<String>>>;

/// A database in which every session says and logs all that it can, and a server in it that each
/// of the roles uses with another kind of credential.
struct Watched {
    /// The server, the database, and what the names of the roles begin with.
    name: String,
    sandbox: Sandbox,
    admin: Client,
    seen: Seen,
    secrets: Vec<String>,
    log: PathBuf,
    /// Where the server's log ended when this began.
    log_start: u64,
}

impl Watched {
    /// None where there is no cluster. Requests go to `api_url`, or else to the sandbox.
    fn new(name: &str, api_url: Option<&str>) -> Option<Self> {
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
    fn session(&self, kind: &str) -> Client {
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
    fn secret(&self, kind: &str) -> &str {
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
    fn learn_tokens(&mut self) -> Vec<String> {
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
    fn code(&mut self, client: &mut Client) -> String {
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
    fn complete(&mut self, client: &mut Client, code: &str) -> Result<String, postgres::Error> {
        let outcome =
            client.query_one("SELECT awork_fdw_login($1, $2)", &[&self.name.as_str(), &code]);
        let outcome = outcome.map(|row| row.get::<_, String>(0));
        self.see(format!("{outcome:?}"));
        outcome
    }

    fn log_in(&mut self, client: &mut Client) {
        let code = self.code(client);
        self.complete(client, &code).expect("a login");
        self.learn_tokens();
    }

    fn see(&self, text: String) {
        self.seen.lock().unwrap().push(text);
    }

    /// Runs a statement, whose rows are seen where they tell something.
    fn run(&self, client: &mut Client, sql: &str, is_telling: bool) {
        let outcome = client.simple_query(&sql.replace("{server}", &self.name));
        match outcome {
            Ok(messages) if is_telling => self.see(rows(&messages)),
            Ok(_) => {}
            Err(error) => self.see(format!("{error:?}")),
        }
    }

    fn run_all(&self, client: &mut Client) {
        READING.iter().for_each(|sql| self.run(client, sql, false));
        TELLING.iter().for_each(|sql| self.run(client, sql, true));
    }

    fn add(&self, path: &str, query: Option<&str>, action: Action) {
        let (path, query) = (path.to_owned(), query.map(str::to_owned));
        self.sandbox.add_fault(Fault { path, query, nth: None, first: None, action });
    }

    /// How often awork's words were seen without a secret that was in them.
    fn masked(&self) -> usize {
        self.seen.lock().unwrap().iter().filter(|text| text.contains(MASK)).count()
    }

    /// Looks for all secrets in all that was seen since the last look, and in the log.
    fn shows_none(&mut self, when: &str) {
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
fn marked(name: &str, kind: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let mark = hasher.finish();
    format!("M{mark:016x}-{kind}-and-{kind}-{mark:016X}M")
}

/// A session that takes down every field of every message.
fn session(database: &str, role: &str, seen: &Seen) -> Client {
    let host = std::env::var("AWORK_FDW_TEST_HOST").expect("a cluster");
    let seen = seen.clone();
    let mut connection = postgres::Config::new();
    connection.host_path(host).user(role).dbname(database);
    connection.notice_callback(move |notice| seen.lock().unwrap().push(format!("{notice:?}")));
    connection.connect(NoTls).expect("the cluster accepts connections")
}

/// The rows of a statement as text.
fn rows(messages: &[SimpleQueryMessage]) -> String {
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
fn shown(secrets: &[String], text: &str) -> Option<usize> {
    let parts = secrets.iter().flat_map(|secret| {
        let length = secret.len().min(12);
        [&secret[..length], &secret[secret.len() - length..]]
    });
    parts.filter_map(|part| text.find(part)).min()
}

fn assert_shows_none(secrets: &[String], text: &str, when: &str) {
    if let Some(place) = shown(secrets, text) {
        let around: String =
            text[..].bytes().skip(place.saturating_sub(400)).take(900).map(char::from).collect();
        panic!("{when}: {around}");
    }
}

fn status(status: u16, code: Option<&str>) -> Action {
    Action::Status { status, code: code.map(str::to_owned), retry_after: None }
}

fn body(status: u16, text: impl Into<String>) -> Action {
    Action::Body { text: Some(text.into()), bytes: None, status: Some(status), content_type: None }
}

fn set(property: &str, value: Value) -> Action {
    let set = Map::from_iter([(property.to_owned(), value)]);
    Action::SetProperties { row: None, set }
}

/// Every kind of fault but those of rows, and those that take time.
fn faults() -> Vec<Action> {
    let mut faults = vec![
        Action::Expired,
        Action::Blocked,
        Action::Html,
        Action::CutBody { after: None },
        Action::CutBody { after: Some(0) },
        Action::SlowBody { after: None, ms: 1 },
        Action::Latency { ms: 1 },
        Action::HugeBody { mib: 1 },
        Action::Redirect { location: "https://elsewhere.example/".into(), status: None },
        body(200, ""),
        body(200, "[[["),
        body(204, ""),
    ];
    for number in [400, 401, 403, 404, 408, 500, 503] {
        faults.push(status(number, None));
        faults.push(status(number, Some("other")));
        faults.push(body(number, ""));
    }
    faults.push(status(401, Some("unauthorized")));
    faults.push(status(400, Some("invalid-filter-or-order")));
    faults
}

/// Faults of lists and their rows.
fn row_faults() -> Vec<Action> {
    vec![
        Action::RepeatPage { page: 1 },
        Action::DropRows { rows: 3 },
        Action::Totals { total: Some(-1) },
        Action::Totals { total: None },
        Action::PageSize { rows: 2 },
        Action::RefuseFilter,
        Action::RefuseOrder,
        Action::WithoutProperties { names: vec!["id".into()] },
        set("createdOn", json!("yesterday")),
        set("duration", json!([{"a": 1}])),
        set("id", json!(5)),
        set("name", json!({"no": "text"})),
    ]
}

/// Faults that take as long as a request may take, or after which the next ones wait.
fn slow_faults() -> [Action; 6] {
    [
        status(429, None),
        Action::Status { status: 429, code: Some("other".into()), retry_after: Some(1) },
        Action::Hang,
        Action::HangAfter,
        Action::SlowBody { after: None, ms: 60_000 },
        Action::Latency { ms: 60_000 },
    ]
}

/// Responses with a secret in the places that are quoted.
fn errors_with(secret: &str) -> Vec<String> {
    let headers = format!("X-Edge-Ref: {secret}\r\nLocation: /{secret}\r\nTrace-Id: {secret}\r\n");
    let mut responses = Vec::new();
    for status in [302, 400, 401, 403, 404, 408, 429, 500, 503] {
        // What is quoted is cut after 100 characters.
        for before in [0, 70, 95] {
            let said = format!("{} {secret}", "x".repeat(before));
            let errors = json!([{"property": secret, "message": said}, {"property": said}]);
            let body = json!({"code": "other", "description": said, "traceId": said,
                "validationErrors": errors, "error": secret, "error_description": said});
            responses.push(response(status, &headers, &body.to_string()));
        }
        responses.push(response(status, &headers, secret));
    }
    let filter = json!({"code": "invalid-filter-or-order", "description": secret});
    responses.push(response(400, "", &filter.to_string()));
    let rights = json!({"code": "unauthorized", "description": secret});
    responses.push(response(401, "", &rights.to_string()));
    for body in ["<p>{}</p>", "[{}]", "{\"{}\": ", "{}"] {
        responses.push(response(200, &headers, &body.replace("{}", secret)));
    }
    responses.push(format!("HTTP/1.1 {secret}\r\n\r\n"));
    responses.push(format!("HTTP/1.1 200 OK\r\n{secret}\r\n\r\n"));
    responses.push(format!("{secret}\r\n\r\n"));
    responses
}

/// Good JSON with a secret where another type is expected.
fn values_with(secret: &str) -> Vec<String> {
    let bodies = [
        json!(secret),
        json!([secret]),
        json!({ "id": [secret] }),
        json!({ "workspace": secret, "userPermission": secret }),
        json!({ secret: secret }),
        json!([{ "id": secret, "duration": secret, "createdOn": secret, "isBillable": secret }]),
    ];
    bodies.iter().map(|body| response(200, "", &body.to_string())).collect()
}

/// The same for each kind of credential: what a session of it says under each fault.
fn under_faults(watched: &mut Watched, kind: &str) {
    let mut client = watched.session(kind);
    if kind == "login" {
        watched.log_in(&mut client);
    }
    watched.sandbox.clear_log();
    watched.run_all(&mut client);
    let log = watched.sandbox.log();
    assert!(log.len() > READING.len(), "{} requests", log.len());
    let told = watched.seen.lock().unwrap().join("\n");
    assert!(told.contains("Lookup Join of") && told.contains("<Async-Capable>true"), "{told}");
    let others = log.iter().find(|entry| entry.identity.as_deref() != Some(kind));
    assert!(others.is_none(), "{others:?}");
    for action in faults().into_iter().chain(row_faults()) {
        watched.add("", None, action.clone());
        if ["key", "login"].contains(&kind) {
            watched.run_all(&mut client);
        } else {
            watched.run(&mut client, READING[0], false);
            watched.run(&mut client, TELLING[0], true);
        }
        watched.sandbox.clear_faults();
        watched.learn_tokens();
        watched.shows_none(&format!("{kind}, {action:?}"));
    }
}

/// Sessions with each kind of credential at a server that gives back what it is sent, in every
/// form.
fn under_echoes(
    name: &str,
    responses: fn(&str) -> Vec<String>,
    run: fn(&Watched, &mut Client),
) -> Option<()> {
    let form = Arc::new(Mutex::new(0));
    let (chosen, of) = (form.clone(), name.to_owned());
    let echo = Echo::start(move |request| {
        if request.starts_with("POST") {
            let tokens = json!({"expires_in": 86_400,
                "access_token": marked(&of, &format!("access-{}", request.len())),
                "refresh_token": marked(&of, "refresh")});
            return response(200, "", &tokens.to_string());
        }
        let token = request.split("Bearer ").nth(1).and_then(|rest| rest.lines().next());
        responses(token.unwrap_or("nothing")).swap_remove(*chosen.lock().unwrap())
    });
    let mut watched = Watched::new(name, Some(&echo.api_url()))?;
    for kind in KINDS {
        let mut client = watched.session(kind);
        if *kind == "login" {
            let sql = "SELECT awork_fdw_login_url($1)";
            client.query_one(sql, &[&watched.name]).expect("an address");
            let outcome = watched.complete(&mut client, &marked(name, "code"));
            outcome.expect("a login");
        }
        for number in 0..responses("").len() {
            *form.lock().unwrap() = number;
            run(&watched, &mut client);
            watched.learn_tokens();
            watched.shows_none(&format!("{kind}, response {number}"));
        }
    }
    let sent = echo.requests();
    let has = |kind: &str| {
        let token = marked(name, kind);
        sent.iter().any(|request| request.contains(&token[..18 + kind.len()]))
    };
    assert!(["key", "file", "setting", "access", "code"].into_iter().all(has));
    Some(())
}

#[test]
fn faults_bring_no_key_into_what_is_said() {
    let Some(mut watched) = Watched::new("redact_keys", None) else { return };
    for kind in ["key", "file", "setting"] {
        under_faults(&mut watched, kind);
    }
}

#[test]
fn faults_bring_no_token_of_a_login_into_what_is_said() {
    let Some(mut watched) = Watched::new("redact_login", None) else { return };
    under_faults(&mut watched, "login");
}

#[test]
fn requests_that_take_too_long_or_must_wait_bring_no_secret_into_what_is_said() {
    let Some(mut watched) = Watched::new("redact_slow", None) else { return };
    let mut client = watched.session("login");
    watched.log_in(&mut client);
    let sql = "ALTER SERVER redact_slow OPTIONS (SET request_timeout '0.3')";
    watched.admin.batch_execute(sql).unwrap();
    for action in slow_faults() {
        // A token that has expired is renewed first, by the endpoint that hangs as well.
        for is_expired in [false, true] {
            if is_expired {
                watched.sandbox.expire_access_tokens();
            }
            watched.add("", None, action.clone());
            watched.run(&mut client, READING[0], false);
            watched.run(&mut client, READING[4], false);
            watched.run(&mut client, TELLING[0], true);
            watched.sandbox.clear_faults();
            watched.learn_tokens();
            watched.shows_none(&format!("{action:?}"));
        }
    }
}

#[test]
fn awork_may_say_the_secret_and_no_error_does() {
    under_echoes("redact_errors", errors_with, Watched::run_all);
}

#[test]
fn a_check_does_not_quote_what_it_does_not_understand() {
    let responses = |secret: &str| {
        let mut responses = values_with(secret);
        // Read as an object whose first property is the id, which is shown.
        responses.remove(1);
        responses
    };
    under_echoes("redact_check", responses, |w, client| w.run(client, TELLING[0], true));
}

#[test]
fn awork_may_give_the_secret_as_a_value_and_no_error_shows_it() {
    under_echoes("redact_values", values_with, Watched::run_all);
}

#[test]
fn the_token_endpoint_may_say_the_secret_and_no_error_does() {
    let Some(mut watched) = Watched::new("redact_token", None) else { return };
    let mut client = watched.session("login");
    // Its request would be the one that is told why there is no new token.
    client.batch_execute("SET awork_fdw.warn_not_admin = off").unwrap();
    let application = watched.secrets[KINDS.len()].clone();
    for form in [
        |secret: &str| json!({"error": "invalid_grant", "error_description": secret}),
        |secret: &str| json!({"error": "invalid_client", "error_description": secret}),
        |secret: &str| json!({"error": secret, "error_uri": secret}),
        |secret: &str| json!({"access_token": [secret], "refresh_token": secret}),
        |secret: &str| json!({"access_token": format!("{secret} "), "token_type": secret}),
        |secret: &str| json!({"code": "other", "description": secret, "traceId": secret}),
    ] {
        for status in [200, 400, 401, 429, 500] {
            let code = watched.code(&mut client);
            let login = "SELECT verifier FROM awork_fdw_login_requests";
            let verifier: String = watched.admin.query_one(login, &[]).unwrap().get(0);
            let said = format!("{code} {verifier} {application}");
            watched.add("/accounts/token", None, body(status, form(&said).to_string()));
            assert!(watched.complete(&mut client, &code).is_err());
            watched.sandbox.clear_faults();

            watched.log_in(&mut client);
            let login = "SELECT refresh_token FROM awork_fdw_tokens";
            let refresh: String = watched.admin.query_one(login, &[]).unwrap().get(0);
            watched.sandbox.expire_access_tokens();
            let said = format!("{application} {refresh}");
            watched.add("/accounts/token", None, body(status, form(&said).to_string()));
            watched.run(&mut client, READING[0], false);
            watched.run(&mut client, TELLING[0], true);
            watched.sandbox.clear_faults();
            if status == 400 && form("")["error"] == "invalid_grant" {
                assert!(watched.masked() > 1, "what awork says is shown without the secret");
            }
            watched.learn_tokens();
            watched.shows_none(&format!("{status}, {}", form("…")));
        }
    }
    let failed = watched.sandbox.log();
    let of = |grant: &str| failed.iter().any(|e| e.grant_type.as_deref() == Some(grant));
    assert!(of("authorization_code") && of("refresh_token"));
}

#[test]
fn faults_of_the_token_endpoint_bring_no_secret_into_what_is_said() {
    let Some(mut watched) = Watched::new("redact_grants", None) else { return };
    let mut client = watched.session("login");
    for action in faults() {
        let code = watched.code(&mut client);
        watched.add("/accounts/token", Some("grant_type=authorization_code"), action.clone());
        watched.complete(&mut client, &code).ok();
        watched.sandbox.clear_faults();
        watched.log_in(&mut client);
        watched.sandbox.expire_access_tokens();
        watched.add("/accounts/token", Some("grant_type=refresh_token"), action.clone());
        watched.run(&mut client, READING[0], false);
        watched.run(&mut client, TELLING[0], true);
        watched.sandbox.clear_faults();
        watched.learn_tokens();
        watched.shows_none(&format!("{action:?}"));
    }
}

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
