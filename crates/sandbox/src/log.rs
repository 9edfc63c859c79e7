//! What was asked and how it went, for tests to read. Keys, codes, tokens and secrets are never kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// How many requests are remembered.
const KEPT: usize = 200_000;

/// A request to the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Counted from the start of the sandbox.
    pub number: u64,
    /// The connection it came on, counted alike.
    pub connection: u64,
    /// `GET` mostly.
    pub method: String,
    /// The path with the version: `/api/v1/projects`.
    pub path: String,
    /// The decoded parameters in their order, codes and secrets redacted.
    pub query: Vec<(String, String)>,
    /// Whether there was an `Authorization` header.
    pub authorization: bool,
    /// Whose key or access token it was, if anyone's, or whose tokens were given.
    pub identity: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The answer's status; none if none was given.
    pub status: Option<u16>,
    /// The rows of the answer, where it has rows.
    pub rows: Option<usize>,
    /// The bytes of the body that were handed over.
    pub bytes: u64,
    /// Milliseconds since the sandbox started.
    pub started: f64,
    /// Milliseconds since the sandbox started; none while it goes on.
    pub finished: Option<f64>,
    /// Whether the client went away before it had everything.
    pub gone: bool,
    /// Why a filter or order was refused, or a request for a code or tokens.
    pub refusal: Option<String>,
    /// The `grant_type` of a request for tokens.
    pub grant_type: Option<String>,
    /// How the application showed who it is, in a request for tokens.
    pub client_authentication: Option<ClientAuthentication>,
}

/// How an application shows who it is when it asks for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthentication {
    /// By id and secret in the header.
    Basic,
    /// By a secret in the body.
    Body,
    /// Without a secret.
    None,
}

impl LogEntry {
    /// The decoded value of a parameter such as `filterby`, `orderby`, `page` or `pageSize`,
    /// whatever its name's case. None where the request left it out.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The log of a sandbox.
#[derive(Debug)]
pub(crate) struct Log {
    start: Instant,
    entries: Mutex<(u64, VecDeque<LogEntry>)>,
}

impl Log {
    pub(crate) fn new() -> Log {
        Log { start: Instant::now(), entries: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<LogEntry>)> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn clock(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1000.0
    }

    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        self.lock().1.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().1.clear();
    }

    /// How many requests there were since the start, those that were cleared away included.
    pub(crate) fn count(&self) -> u64 {
        self.lock().0
    }

    /// The requests that go on.
    pub(crate) fn running(&self) -> Vec<LogEntry> {
        self.lock().1.iter().filter(|entry| entry.finished.is_none()).cloned().collect()
    }

    /// Notes the beginning of a request.
    pub(crate) fn open(self: &Arc<Log>, mut entry: LogEntry) -> Open {
        let mut entries = self.lock();
        let number = entries.0;
        entries.0 += 1;
        entry.number = number;
        entry.started = self.clock();
        if entries.1.len() == KEPT {
            entries.1.pop_front();
        }
        entries.1.push_back(entry);
        Open { log: Arc::clone(self), number, bytes: 0, complete: false }
    }
}

/// A request that goes on; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    log: Arc<Log>,
    number: u64,
    bytes: u64,
    complete: bool,
}

impl Open {
    /// Changes the entry, unless it was cleared away.
    pub(crate) fn note(&self, change: impl FnOnce(&mut LogEntry)) {
        let mut entries = self.log.lock();
        let first = entries.1.front().map_or(0, |entry| entry.number);
        let place = self.number.checked_sub(first).map(|n| n as usize);
        if let Some(entry) = place.and_then(|place| entries.1.get_mut(place)) {
            change(entry);
        }
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let now = self.log.clock();
        self.note(|entry| {
            entry.bytes = self.bytes;
            entry.finished = Some(now);
            entry.gone = !self.complete;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Query;

    #[test]
    fn parameters_have_no_case() {
        let query =
            Query::parse("FilterBy=name%20eq%20'a%26b'&orderBy=name+desc&PAGE=2&pagesize=5");
        let entry = LogEntry { query: query.pairs().to_vec(), ..LogEntry::default() };
        assert_eq!(entry.parameter("filterby"), Some("name eq 'a&b'"));
        assert_eq!(entry.parameter("orderby"), Some("name desc"));
        assert_eq!(entry.parameter("page"), Some("2"));
        assert_eq!(entry.parameter("pageSize"), Some("5"));
        assert_eq!(entry.parameter("includeTags"), None);
    }
}
