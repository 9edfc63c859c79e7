//! An answer before it is sent: status, headers, body. Also what the faults do to it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::config::Identity;
use crate::fault::Action;
use crate::prepared::Page;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content_type: Box<str>,
    pub(crate) body: Bytes,
    /// Whether the body is compressed already.
    pub(crate) packed: bool,
    pub(crate) rows: Option<usize>,
    /// Why a filter or order was refused, or a request for a code or tokens.
    pub(crate) refusal: Option<Box<str>>,
    /// Whose tokens it holds.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Whether nobody may keep it.
    pub(crate) no_store: bool,
}

impl Answer {
    /// A body of JSON.
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            content_type: "application/json; charset=utf-8".into(),
            body: body.into(),
            packed: false,
            rows: None,
            refusal: None,
            identity: None,
            no_store: false,
        }
    }

    /// The same with the demand that nobody keeps it.
    pub(crate) fn not_stored(self) -> Answer {
        Answer { no_store: true, ..self }
    }

    /// A rendered array.
    pub(crate) fn rows(page: Page, rows: usize) -> Answer {
        let mut answer = Answer::json(200, Vec::new());
        answer.rows = Some(rows);
        // The service's tags lack the quotes that they should have.
        answer.headers.push(("etag", format!("W/{:x}==", page.plain_length)));
        (answer.body, answer.packed) = (page.body, page.packed);
        answer
    }

    /// A single value.
    pub(crate) fn row(row: &Value, faults: &[Action]) -> Answer {
        let mut row = row.clone();
        tamper(&mut row, 0, faults);
        Answer { rows: Some(1), ..Answer::json(200, row.to_string().into_bytes()) }
    }

    /// 204.
    pub(crate) fn empty() -> Answer {
        Answer::json(204, Vec::new())
    }

    /// awork's error object.
    pub(crate) fn error(status: u16, code: &str, description: &str) -> Answer {
        let body = json!({
            "code": code,
            "description": description,
            "link": "https://developers.awork.com",
            "traceId": "5a9d0b0c0000000000000000feedbeef",
            "details": [],
            "validationErrors": [],
        });
        let mut answer = Answer::json(status, body.to_string().into_bytes());
        answer.headers.push(("trace-id", "5a9d0b0c0000000000000000feedbeef".into()));
        answer
    }

    /// A filter or order that the service does not take; it does not say why.
    pub(crate) fn refused(why: impl Into<Box<str>>) -> Answer {
        let description = "Something is wrong with the given expression.";
        let answer = Answer::error(400, "invalid-filter-or-order", description);
        Answer { refusal: Some(why.into()), ..answer }
    }

    /// A required parameter is missing.
    pub(crate) fn lacks(name: &str) -> Answer {
        let mut answer = Answer::error(400, "validation-error", "A parameter is missing.");
        let message = format!("{name} is required.");
        if let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) {
            body["validationErrors"] = json!([{"property": name, "message": message}]);
            answer.body = body.to_string().into();
        }
        answer
    }

    /// The gateway knows no such path.
    pub(crate) fn no_route() -> Answer {
        let body = json!({"message": "no Route matched with those values"});
        Answer::json(404, body.to_string().into_bytes())
    }

    /// The gateway knows no such key.
    pub(crate) fn no_key(body: &Value) -> Answer {
        let mut answer = Answer::json(401, body.to_string().into_bytes());
        answer.headers.push(("www-authenticate", "Bearer".into()));
        answer
    }

    /// The gateway knows the token, and that its time is over.
    pub(crate) fn expired() -> Answer {
        Answer::no_key(&json!({"exp": "token expired"}))
    }

    fn html(status: u16, title: &str) -> Answer {
        Answer::page(status, title, "")
    }

    /// A page of HTML; the body comes escaped.
    pub(crate) fn page(status: u16, title: &str, body: &str) -> Answer {
        let head = format!("<!DOCTYPE html><html><head><title>{title}</title></head>");
        let body = format!("{head}<body>{body}</body></html>");
        let mut answer = Answer::json(status, body.into_bytes());
        answer.content_type = "text/html; charset=utf-8".into();
        answer
    }

    /// The answer that a fault gives in place of the data, if it does.
    pub(crate) fn instead(fault: &Action) -> Option<Answer> {
        Some(match fault {
            Action::Status { status, code, retry_after } => {
                let code = code.as_deref().unwrap_or(match status {
                    429 => "too-many-requests",
                    404 => "not-found",
                    401 => "unauthorized",
                    400 => "invalid-request",
                    _ => "server-error",
                });
                let mut answer = Answer::error(*status, code, "A fault on request.");
                let wait = retry_after.map(|seconds| ("retry-after", seconds.to_string()));
                answer.headers.extend(wait);
                answer
            }
            Action::Expired => Answer::expired(),
            Action::Blocked => {
                let mut answer = Answer::html(403, "Request blocked");
                answer.headers.push(("x-edge-ref", "edge-4711-abcdef".into()));
                answer
            }
            Action::Html => Answer::html(200, "Welcome"),
            Action::Body { text, bytes, status, content_type } => {
                let text = text.as_ref().map(|text| text.clone().into_bytes());
                let body = bytes.clone().or(text).unwrap_or_default();
                let mut answer = Answer::json(status.unwrap_or(200), body);
                if let Some(content_type) = content_type {
                    answer.content_type = content_type.as_str().into();
                }
                answer
            }
            Action::Redirect { location, status } => {
                let mut answer = Answer::json(status.unwrap_or(302), Vec::new());
                answer.headers.push(("location", location.clone()));
                answer
            }
            _ => return None,
        })
    }
}

/// Changes a row's properties as the faults demand.
pub(crate) fn tamper(row: &mut Value, number: usize, faults: &[Action]) {
    let Value::Object(properties) = row else { return };
    for fault in faults {
        match fault {
            Action::WithoutProperties { names } => {
                properties.retain(|name, _| !names.contains(name));
            }
            Action::SetProperties { row, set } if row.is_none_or(|row| row == number) => {
                properties.extend(set.clone());
            }
            _ => {}
        }
    }
}
