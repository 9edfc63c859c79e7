//! The two sides, the roles that log in, and their logins.

use awork_sandbox::{Config, OAuth, RateLimit};
use differential::load::{self, Sides};
use differential::modes::Mode;
use postgres::Client;

use crate::questions;
use crate::session::{Failure, Session};

/// The application without a secret, of the sandbox.
const APPLICATION: &str = "awork-sandbox-public";

/// Where codes may be sent.
const REDIRECT: &str = "http://127.0.0.1:8765/callback";

/// What the foreign server is called whose users log in.
pub(crate) const LOGIN_SERVER: &str = "soak_logins";

/// The schema with the tables of [`LOGIN_SERVER`].
pub(crate) const LOGIN_SCHEMA: &str = "soak_logins";

/// How the sandbox is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Number of time entries.
    pub(crate) scale: usize,
    /// Requests per second and per minute that it allows.
    pub(crate) limits: (u32, u32),
    /// How long access tokens live.
    pub(crate) token_lifetime: std::time::Duration,
}

/// The name of the foreign server that is asked with a key.
pub(crate) fn key_server(sides: &Sides) -> &str {
    sides.remote.trim_end_matches("_remote")
}

/// Starts the sandbox, and makes its tables and their copy.
pub(crate) fn make(client: &mut Client, settings: Settings) -> Result<Sides, postgres::Error> {
    let (per_second, per_minute) = settings.limits;
    let config = Config {
        scale: settings.scale,
        rate_limit: Some(RateLimit { per_second, per_minute, retry_after: false }),
        oauth: OAuth { access_token_lifetime: settings.token_lifetime, ..OAuth::default() },
        ..Config::default()
    };
    let mode = Mode { name: "soak".into(), ..Mode::default() };
    let sides = load::load(client, &mode, config)?;
    let key_server = key_server(&sides);
    let tables: Vec<&str> = sides.schema.tables.iter().map(|table| table.name).collect();
    // Two servers stand for one workspace, and do not know of each other's requests.
    let (key_rate, login_rate) = (f64::from(per_second) * 0.75, f64::from(per_second) * 0.2);
    // Timeouts are short, so that what hangs is given up soon. With few attempts there is both
    // what is mended and what is not.
    client.batch_execute(&format!(
        "ALTER SERVER {key_server} OPTIONS (SET max_retries '2', ADD request_timeout '2',
             ADD rate_limit '{key_rate}');
         DROP SCHEMA IF EXISTS {LOGIN_SCHEMA} CASCADE;
         DROP SERVER IF EXISTS {LOGIN_SERVER} CASCADE;
         CREATE SCHEMA {LOGIN_SCHEMA};
         CREATE SERVER {LOGIN_SERVER} FOREIGN DATA WRAPPER awork_fdw
             OPTIONS (api_url '{}', max_retries '2', request_timeout '2', page_size '100',
                      rate_limit '{login_rate}', client_id '{APPLICATION}', redirect_uri '{REDIRECT}');
         IMPORT FOREIGN SCHEMA awork LIMIT TO ({}) FROM SERVER {LOGIN_SERVER}
             INTO {LOGIN_SCHEMA};",
        sides.sandbox.api_url(),
        tables.join(", "),
    ))?;
    questions::make_function(client)?;
    Ok(sides)
}

/// Makes a role anew that may read the tables of [`LOGIN_SERVER`].
pub(crate) fn make_role(client: &mut Client, role: &str) -> Result<(), postgres::Error> {
    client.batch_execute(&format!(
        "DO $$ BEGIN IF to_regrole('{role}') IS NOT NULL THEN
             DROP OWNED BY {role} CASCADE; DROP ROLE {role};
         END IF; END $$;
         CREATE ROLE {role} LOGIN; {}",
        questions::grants(LOGIN_SCHEMA, LOGIN_SERVER, role)
    ))
}

/// Logs the role of a session in, as the identity that sees everything.
pub(crate) fn log_in(session: &mut Session, sides: &Sides) -> Result<(), Failure> {
    let url = session.rows(&format!("SELECT awork_fdw_login_url('{LOGIN_SERVER}')"))?.concat();
    let challenge = url.split(['?', '&']).find_map(|pair| pair.strip_prefix("code_challenge="));
    let code = sides
        .sandbox
        .log_in(APPLICATION, "admin", REDIRECT, challenge)
        .map_err(|error| Failure { code: String::new(), text: error.to_string() })?;
    session.rows(&format!("SELECT awork_fdw_login('{LOGIN_SERVER}', '{code}')"))?;
    Ok(())
}
