//! Runs a query on both sides, each in a session of its own.

use postgres::{Client, Error, SimpleQueryMessage};

use crate::ast::{How, Query};
use crate::compare::{Difference, Outcome, Row, difference};
use crate::load::{self, Sides};
use crate::render;

/// SQLSTATE of a query that was cancelled.
const CANCELLED: &str = "57014";

/// A session for each side.
pub struct Sessions {
    remote: Client,
    local: Client,
}

/// What a query gave.
#[derive(Debug)]
pub struct Pair {
    /// On the foreign side.
    pub remote: Outcome,
    /// Over the copy.
    pub local: Outcome,
}

impl Pair {
    /// Whether a side did not finish in time, which says nothing about its rows.
    pub fn is_too_slow(&self) -> bool {
        [&self.remote, &self.local].iter().any(|side| side.sqlstate() == Some(CANCELLED))
    }

    /// The difference that is a fault.
    pub fn difference(&self) -> Option<Difference> {
        if self.is_too_slow() {
            return None;
        }
        difference(&self.remote, &self.local)
    }
}

impl Sessions {
    /// Opens both.
    pub fn open(host: &str, sides: &Sides) -> Result<Sessions, Error> {
        let open = |schema: &str| {
            let mut client = load::connect(host)?;
            client.batch_execute(&format!(
                "SET search_path = {schema}, public; SET statement_timeout = '10s';
                 SET client_min_messages = error; SET TimeZone = 'UTC'; SET jit = off;"
            ))?;
            Ok(client)
        };
        Ok(Sessions { remote: open(&sides.remote)?, local: open(&sides.local)? })
    }

    /// Runs a query on both sides. An error of the connection is passed on.
    pub fn run(&mut self, query: &Query) -> Result<Pair, Error> {
        let script = render::script(query);
        let mut local = outcome(&mut self.local, &script)?;
        let mut remote = outcome(&mut self.remote, &script)?;
        // Portions of a cursor are only comparable in a total order.
        if !query.select.is_ordered() {
            for side in [&mut remote, &mut local] {
                if query.how == How::Cursor
                    && let Outcome::Rows(sets) = side
                {
                    *sets = vec![sets.drain(..).flatten().collect()];
                }
                side.sort();
            }
        }
        Ok(Pair { remote, local })
    }

    /// The plan of the foreign side, or why there is none.
    pub fn explain(&mut self, query: &Query) -> String {
        match outcome(&mut self.remote, &render::explain(query)) {
            Ok(Outcome::Rows(sets)) => {
                let lines = sets.into_iter().flatten().flatten().flatten();
                lines.collect::<Vec<String>>().join("\n")
            }
            Ok(Outcome::Error(code, message)) => format!("{code} {message}"),
            Err(error) => error.to_string(),
        }
    }
}

/// Runs statements in one transaction.
fn outcome(client: &mut Client, script: &str) -> Result<Outcome, Error> {
    let messages = match client.simple_query(script) {
        Ok(messages) => messages,
        Err(error) => {
            return match error.as_db_error() {
                Some(db) => {
                    let detail = db.detail().map(|d| format!(" ({d})")).unwrap_or_default();
                    let message = format!("{}{detail}", db.message());
                    Ok(Outcome::Error(db.code().code().to_owned(), message))
                }
                None => Err(error),
            };
        }
    };
    let mut sets = vec![Vec::new()];
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values: Row = (0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect();
                sets.last_mut().expect("never empty").push(values);
            }
            SimpleQueryMessage::CommandComplete(_) => sets.push(Vec::new()),
            _ => {}
        }
    }
    Ok(Outcome::Rows(sets))
}
