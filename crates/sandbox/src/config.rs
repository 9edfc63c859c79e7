//! What a sandbox is started with. Each switch stands for something that is documented twice,
//! differently, or not at all, so that a client can be tried against either answer.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::filter::Refused;
use crate::oauth::OAuth;

/// The settings of a sandbox.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on; only loopback addresses are taken. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// The number of time entries; the other tables follow.
    pub scale: usize,
    /// What the invented data is drawn from.
    pub seed: u64,
    /// The present, as `2026-10-15T09:00:00Z`; it never moves.
    pub now: String,
    /// Who may ask, and be logged in. The first one is shown as `me` in [`crate::Sandbox::rows`].
    pub identities: Vec<Identity>,
    /// How long every answer waits.
    pub latency: Duration,
    /// Answers 429 beyond these limits.
    pub rate_limit: Option<RateLimit>,
    /// Whether texts compare with regard to case and to blanks at the end.
    pub case_sensitive: bool,
    /// Whether `x ne 'v'` leaves out the rows whose x is null, and `not` likewise leaves out
    /// rows of which it cannot be said, as in SQL. `x ne null` means the same either way.
    pub ne_excludes_null: bool,
    /// What is refused in filters and orders; see [`crate::Sandbox::refuse`].
    pub refused: Refused,
    /// Whether nulls come last in ascending order.
    pub nulls_last: bool,
    /// Whether `in` is understood outside of `any`.
    pub top_level_in: bool,
    /// The rows of a page where `pageSize` is left out.
    pub default_page_size: usize,
    /// What becomes of a `pageSize` above 1000.
    pub large_pages: LargePages,
    /// Whether `filterby` is heeded on lists that do not declare it.
    pub filter_undeclared: bool,
    /// Whether answers are compressed for clients that ask for it.
    pub gzip: bool,
    /// How many bytes of rendered pages are kept for when they are asked for again; 0 keeps none.
    /// It changes no answer, only what an answer costs.
    pub prepared_bytes: u64,
    /// Whether bodies come in chunks of unknown number rather than with a length.
    pub chunked: bool,
    /// How applications log in.
    pub oauth: OAuth,
}

/// What becomes of a `pageSize` above 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LargePages {
    /// It counts as 1000.
    Clamp,
    /// The request is refused.
    Refuse,
}

/// How many requests a workspace has.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// Requests per second.
    pub per_second: u32,
    /// Requests per minute.
    pub per_minute: u32,
    /// Whether a refusal carries `Retry-After`, which awork does not document.
    pub retry_after: bool,
}

impl Default for RateLimit {
    fn default() -> RateLimit {
        RateLimit { per_second: 50, per_minute: 1000, retry_after: false }
    }
}

/// A key and whom it stands for.
#[derive(Clone, Deserialize)]
pub struct Identity {
    /// The name in the request log, and to log in by.
    pub name: String,
    /// What follows `Bearer`.
    pub key: String,
    /// The number of its user: 0 for the admin key, 1 for the limited one.
    #[serde(default)]
    pub user: usize,
    /// Whether it sees everything.
    #[serde(default)]
    pub admin: bool,
    /// Paths that answer 401 with the code `unauthorized`, by their beginning: `/webhooks`.
    #[serde(default)]
    pub refused: Vec<String>,
}

impl fmt::Debug for Identity {
    /// Leaves the key out, which may be a real one by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.name)
            .field("user", &self.user)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// The key that may do everything.
    pub fn admin(key: impl Into<String>) -> Identity {
        let refused = Vec::new();
        Identity { name: "admin".into(), key: key.into(), user: 0, admin: true, refused }
    }

    /// A key without rights to times, webhooks and other people's absences.
    pub fn limited(key: impl Into<String>) -> Identity {
        let refused = ["/timeentries", "/webhooks", "/apiusers", "/users/workload"];
        Identity {
            name: "limited".into(),
            key: key.into(),
            user: 1,
            admin: false,
            refused: refused.map(str::to_owned).to_vec(),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            scale: 5_000,
            seed: 1,
            now: "2026-10-15T09:00:00Z".into(),
            identities: vec![
                Identity::admin("awork-sandbox-key"),
                Identity::limited("awork-sandbox-limited"),
            ],
            latency: Duration::ZERO,
            rate_limit: None,
            case_sensitive: false,
            ne_excludes_null: false,
            refused: Refused::default(),
            nulls_last: false,
            top_level_in: false,
            default_page_size: 10,
            large_pages: LargePages::Clamp,
            filter_undeclared: false,
            gzip: true,
            prepared_bytes: 384 << 20,
            chunked: false,
            oauth: OAuth::default(),
        }
    }
}

/// Why a sandbox could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is reachable from other machines.
    #[error("cannot listen on {0}: the sandbox only listens on loopback addresses")]
    NotLoopback(SocketAddr),
    /// The present is no date and time.
    #[error("invalid point in time \"{0}\"")]
    Now(String),
    /// The operating system refused.
    #[error("could not listen: {0}")]
    Listen(#[from] std::io::Error),
    /// A change names something that is not there.
    #[error("cannot change the data: {0}")]
    Change(String),
    /// Nobody is logged in: the application, the identity, or what it is asked with is wrong.
    #[error("cannot log in: {0}")]
    LogIn(String),
}
