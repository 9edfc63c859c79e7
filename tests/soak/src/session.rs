//! A connection with what came beside its rows, and what a statement comes to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postgres::{CancelToken, Client, Config, Error, NoTls, SimpleQueryMessage};

/// The longest that any statement may take: what takes longer hangs.
const PATIENCE: &str = "150s";

/// An error as the server reported it, or the end of the connection.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// SQLSTATE; empty where the connection ended without one.
    pub(crate) code: String,
    /// Message, detail and hint, a line each.
    pub(crate) text: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(error) => {
                let parts = [Some(error.message()), error.detail(), error.hint()];
                let text: Vec<&str> = parts.into_iter().flatten().collect();
                Self { code: error.code().code().to_owned(), text: text.join("\n") }
            }
            None => Self { code: String::new(), text: error.to_string() },
        }
    }
}

/// A session, with its warnings.
pub(crate) struct Session {
    /// The connection.
    pub(crate) client: Client,
    /// The process of its backend.
    pub(crate) pid: i32,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Session {
    /// Connects a role to the cluster whose socket is in this folder; names mean this schema's.
    pub(crate) fn open(host: &str, role: &str, schema: &str) -> Result<Self, Failure> {
        let warnings = Arc::<Mutex<Vec<String>>>::default();
        let collected = Arc::clone(&warnings);
        let mut client = Config::new()
            .host_path(host)
            .user(role)
            .dbname("postgres")
            .connect_timeout(Duration::from_secs(20))
            .notice_callback(move |notice| {
                let mut warnings = collected.lock().unwrap_or_else(PoisonError::into_inner);
                warnings.push(notice.message().to_owned());
            })
            .connect(NoTls)?;
        client.batch_execute(&format!(
            "SET search_path = {schema}, public; SET TimeZone = 'UTC';
             SET statement_timeout = '{PATIENCE}'"
        ))?;
        let pid = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        Ok(Self { client, pid, warnings })
    }

    /// What cancels a statement of this session.
    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }

    /// Runs a statement: its rows as text.
    pub(crate) fn rows(&mut self, sql: &str) -> Result<Vec<String>, Failure> {
        rows(&mut self.client, sql)
    }

    /// The warnings since this was asked for the last time.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a cancel request that came too late for its statement hit nothing that matters: the
    /// server may take a while to heed it, and signals twice (postmaster.c, `signal_child`).
    pub(crate) fn settle(&mut self, has_come: bool) -> Result<(), Failure> {
        let wait = if has_come { 0.05 } else { 2.0 };
        for seconds in [wait, 0.05] {
            match self.rows(&format!("SELECT pg_sleep({seconds})")) {
                Err(failure) if failure.code != "57014" => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The rows of one or several statements as text, values joined by bars.
pub(crate) fn rows(client: &mut Client, sql: &str) -> Result<Vec<String>, Failure> {
    let messages = client.simple_query(sql)?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
            Some(columns.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    Ok(rows.collect())
}
