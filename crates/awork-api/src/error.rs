//! Everything that can go wrong between a query and awork's rows. Which SQLSTATE a kind gets
//! is decided on the PostgreSQL side.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, as far as it decides how a user can react.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// An option or setting has no usable value.
    Setting,
    /// Neither the user mapping nor the server says with which credential to ask.
    NoCredential,
    /// Requests must not go to the host of the server.
    HostNotAllowed,
    /// What has to be stored cannot be, since the database is a standby.
    ReadOnly,
    /// Something must be committed or brought up to date first.
    NotReady,
    /// The database server has no room for what has to run.
    NoResources,
    /// No connection could be made: name resolution, TCP, TLS.
    Unreachable,
    /// The credential is missing, wrong or expired (401).
    Unauthorized,
    /// The credential is good but may not read this (401 with code `unauthorized`).
    PermissionDenied,
    /// Refused before awork saw it (403 with `X-Edge-Ref`).
    Blocked,
    /// The path does not exist (404 of a gateway, or of a list without a key).
    NotFound,
    /// A key in the path names nothing (404 with awork's error object).
    NoSuchObject,
    /// `filterby` or `orderby` was refused (400 with code `invalid-filter-or-order`).
    RefusedFilter,
    /// A parameter was refused (any other 400).
    RefusedRequest,
    /// The workspace's rate limit is used up for longer than is worth waiting (429).
    RateLimited,
    /// A server error, a cut or malformed answer, a timeout.
    BadReply,
    /// A list did not stay as it was for long enough to be read.
    Changed,
    /// An answer larger than the limit.
    TooLarge,
    /// A value does not fit its column.
    BadValue,
    /// A defect of this library.
    Internal,
}

/// An error with what PostgreSQL shows of it. Never holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The kind, which decides the SQLSTATE.
    pub kind: ErrorKind,
    /// Primary message: lower case, no full stop.
    pub message: String,
    /// Sentences, one a line.
    pub detail: Vec<String>,
    /// What the user can do, as a sentence.
    pub hint: Option<String>,
}

impl Error {
    /// An error with a primary message only.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: Vec::new(), hint: None }
    }

    /// Adds a sentence to the detail.
    pub fn detail(mut self, sentence: impl Into<String>) -> Self {
        self.detail.push(sentence.into());
        self
    }

    /// Sets the hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The start of a text that is quoted in an error: at most 100 characters.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
