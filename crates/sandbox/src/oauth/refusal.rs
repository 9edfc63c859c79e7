//! Why a request for a code or for tokens is refused, in the words of RFC 6749.

use serde_json::json;

use crate::answer::Answer;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The `error`.
    pub(crate) error: &'static str,
    /// The `error_description`, which never holds what was sent.
    pub(crate) why: String,
}

impl Refusal {
    pub(crate) fn new(error: &'static str, why: impl Into<String>) -> Refusal {
        Refusal { error, why: why.into() }
    }

    pub(crate) fn invalid_request(why: impl Into<String>) -> Refusal {
        Refusal::new("invalid_request", why)
    }

    pub(crate) fn invalid_client(why: impl Into<String>) -> Refusal {
        Refusal::new("invalid_client", why)
    }

    pub(crate) fn invalid_grant(why: impl Into<String>) -> Refusal {
        Refusal::new("invalid_grant", why)
    }

    /// What the log keeps.
    pub(crate) fn text(&self) -> String {
        format!("{}: {}", self.error, self.why)
    }

    /// The answer of the token endpoint (RFC 6749, section 5.2).
    pub(crate) fn answer(&self) -> Answer {
        let status = if self.error == "invalid_client" { 401 } else { 400 };
        let body = json!({"error": self.error, "error_description": self.why});
        let mut answer = Answer::json(status, body.to_string().into_bytes()).not_stored();
        if status == 401 {
            // HTTP wants a challenge with every 401, whatever the client tried.
            answer.headers.push(("www-authenticate", "Basic realm=\"awork\"".into()));
        }
        answer.refusal = Some(self.text().into());
        answer
    }
}
