//! Faults on demand: which requests they meet, and what they do to them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::change::Change;

/// A fault, and the requests it applies to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The beginning of the path below the version (`/timeentries`) or of the whole path;
    /// empty for every request.
    #[serde(default)]
    pub path: String,
    /// A part of the decoded query (`name=value` joined by `&`) that the request must have. A
    /// request for tokens has `grant_type=` and its value in place of a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Only the n-th matching request, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Only this many of the matching requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// What happens.
    #[serde(flatten)]
    pub action: Action,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Waits before the headers.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// Accepts and never answers.
    Hang,
    /// Does what is asked and never says so: tokens are rotated, and the answer is lost.
    HangAfter,
    /// Pauses in the middle of the body.
    SlowBody {
        /// Where; the middle of the body by default.
        #[serde(default)]
        after: Option<usize>,
        /// Milliseconds.
        ms: u64,
    },
    /// Closes the connection in the middle of the body.
    CutBody {
        /// Where; the middle of the body by default.
        #[serde(default)]
        after: Option<usize>,
    },
    /// Answers with a status and an error object.
    Status {
        /// The status.
        status: u16,
        /// The error's code; one that suits the status by default.
        #[serde(default)]
        code: Option<String>,
        /// Seconds for `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Answers 401 as the gateway does for an expired token.
    Expired,
    /// Answers 403 with a page of HTML and the header `X-Edge-Ref`.
    Blocked,
    /// Answers 200 with a page of HTML.
    Html,
    /// Answers with these bytes.
    Body {
        /// The body as text.
        #[serde(default)]
        text: Option<String>,
        /// The body as numbers, where it is not text.
        #[serde(default)]
        bytes: Option<Vec<u8>>,
        /// The status, 200 by default.
        #[serde(default)]
        status: Option<u16>,
        /// The content type, JSON by default.
        #[serde(default)]
        content_type: Option<String>,
    },
    /// Streams an array of this size that never ends properly.
    HugeBody {
        /// MiB.
        mib: u64,
    },
    /// Sends the client elsewhere.
    Redirect {
        /// Where to.
        location: String,
        /// The status, 302 by default.
        #[serde(default)]
        status: Option<u16>,
    },
    /// Answers with another page than the one asked for, and says it were the one asked for.
    RepeatPage {
        /// The page that is served.
        page: usize,
    },
    /// Drops rows after paging, while the totals stay.
    DropRows {
        /// How many, from the page's end.
        rows: usize,
    },
    /// Changes `aw-totalitems`, or leaves all headers of paging out.
    Totals {
        /// What it says instead; none leaves the headers out.
        #[serde(default)]
        total: Option<i64>,
    },
    /// Serves pages of another size than asked for.
    PageSize {
        /// The rows of a page.
        rows: usize,
    },
    /// Changes the data once the request has been answered, before any other is.
    Change {
        /// The change.
        change: Change,
    },
    /// Refuses every filter.
    RefuseFilter,
    /// Refuses every order.
    RefuseOrder,
    /// Leaves properties out of each row.
    WithoutProperties {
        /// Their names.
        names: Vec<String>,
    },
    /// Sets properties of rows: unknown ones, or known ones to what does not fit.
    SetProperties {
        /// The row of the page, counted from 0; all by default.
        #[serde(default)]
        row: Option<usize>,
        /// The properties and their values.
        set: Map<String, Value>,
    },
}

/// The faults of a sandbox with the number of requests that each has met.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    faults: Mutex<Vec<(Fault, u64)>>,
    met: AtomicU64,
}

impl Faults {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Fault, u64)>> {
        self.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) {
        self.lock().push((fault, 0));
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.lock().iter().map(|(fault, _)| fault.clone()).collect()
    }

    /// How often a fault has met a request.
    pub(crate) fn met(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }

    /// What happens to a request; each fault counts the ones that match it.
    pub(crate) fn meet(&self, path: &str, query: &str) -> Vec<Action> {
        let below = path.strip_prefix("/api/v1").or(path.strip_prefix("/api/v2")).unwrap_or(path);
        let mut met = Vec::new();
        for (fault, count) in self.lock().iter_mut() {
            let matches = (below.starts_with(&fault.path) || path.starts_with(&fault.path))
                && fault.query.as_deref().is_none_or(|part| query.contains(part));
            if !matches {
                continue;
            }
            *count += 1;
            let hits = fault.nth.is_none_or(|nth| *count == nth)
                && fault.first.is_none_or(|first| *count <= first);
            if hits {
                met.push(fault.action.clone());
            }
        }
        self.met.fetch_add(met.len() as u64, Ordering::Relaxed);
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_form() {
        let text = r#"{"path":"/projects","nth":2,"kind":"status","status":503}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        let action = Action::Status { status: 503, code: None, retry_after: None };
        let path = "/projects".to_owned();
        assert_eq!(fault, Fault { path, query: None, nth: Some(2), first: None, action });
    }

    #[test]
    fn counts_what_matches() {
        let faults = Faults::default();
        let fault = |first, nth| Fault {
            path: "/users".into(),
            query: Some("page=2".into()),
            nth,
            first,
            action: Action::Hang,
        };
        faults.add(fault(Some(1), None));
        faults.add(fault(None, Some(2)));
        assert_eq!(faults.meet("/api/v1/users", "page=1").len(), 0);
        assert_eq!(faults.meet("/api/v1/users", "page=2&x=1").len(), 1);
        assert_eq!(faults.meet("/api/v1/users/1", "page=2").len(), 1);
        assert_eq!(faults.meet("/api/v1/users", "page=2").len(), 0);
        faults.clear();
        assert_eq!(faults.met(), 2);
    }
}
