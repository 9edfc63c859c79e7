//! Logging in by OAuth 2.0: authorization codes with PKCE, and refresh tokens that rotate. Knows
//! nothing of connections.

mod authorize;
mod client;
mod form;
mod page;
mod refusal;
mod secret;
mod settings;
mod store;
mod token;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::Method;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde_json::json;

use crate::answer::Answer;
use crate::identities::Identities;
use crate::log::LogEntry;
use crate::request::collect;

use authorize::SCOPES;
use form::Form;
pub use settings::{ClientApplication, ExpiresIn, OAuth};
use store::Store;
pub(crate) use store::Worth;
use token::TokenRequest;

const AUTHORIZE: &str = "/api/v1/accounts/authorize";
const TOKEN: &str = "/api/v1/accounts/token";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The largest body that is read.
const LARGEST: usize = 64 * 1024;

/// Gives codes and tokens.
pub(crate) struct Authority {
    settings: OAuth,
    /// Scheme, host and port of the sandbox.
    origin: String,
    store: Mutex<Store>,
}

impl fmt::Debug for Authority {
    /// Leaves the tokens out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A request to one of the paths of this module. It holds secrets, and so cannot be printed.
pub(crate) enum Call {
    Authorize(Form),
    Token(TokenRequest),
    Discovery,
    /// Another method than the one that is taken.
    Method(&'static str),
}

impl Call {
    /// Reads a request; none if the path is not one of OAuth's.
    pub(crate) async fn read(head: &Parts, path: &str, body: Incoming) -> Option<Call> {
        let get = head.method == Method::GET;
        Some(match path {
            TOKEN if head.method == Method::POST => {
                Call::Token(TokenRequest::new(&head.headers, collect(body, LARGEST).await))
            }
            TOKEN => Call::Method("POST"),
            AUTHORIZE if get => {
                let query = head.uri.query().unwrap_or_default();
                Call::Authorize(Form::parse(query.as_bytes()))
            }
            DISCOVERY if get => Call::Discovery,
            AUTHORIZE | DISCOVERY => Call::Method("GET"),
            _ => return None,
        })
    }

    /// Notes what may be known of it.
    pub(crate) fn note(&self, entry: &mut LogEntry) {
        if let Call::Token(request) = self {
            entry.grant_type = request.grant_type().map(str::to_owned);
            entry.client_authentication = Some(request.client_authentication());
        }
    }

    /// The kind of grant, by which faults may choose requests for tokens.
    pub(crate) fn grant_type(&self) -> Option<&str> {
        match self {
            Call::Token(request) => request.grant_type(),
            _ => None,
        }
    }
}

impl Authority {
    pub(crate) fn new(settings: OAuth, origin: String) -> Authority {
        Authority { settings, origin, store: Mutex::default() }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_code(&self, login: store::Login, uri: &str, challenge: Option<&str>) -> String {
        self.store().give_code(login, uri, challenge, self.settings.code_lifetime)
    }

    /// Answers a request.
    pub(crate) fn answer(&self, call: &Call, identities: &Identities) -> Answer {
        match call {
            Call::Authorize(form) => authorize::answer(self, form, identities),
            Call::Token(request) => token::answer(self, request, identities),
            Call::Discovery => self.discovery(),
            Call::Method(allowed) => {
                let mut answer = Answer::error(405, "invalid-operation", "Another method.");
                answer.headers.push(("allow", (*allowed).to_owned()));
                answer
            }
        }
    }

    fn discovery(&self) -> Answer {
        let mut methods = vec!["client_secret_basic", "none"];
        methods.extend(self.settings.secret_in_body.then_some("client_secret_post"));
        let body = json!({
            "issuer": self.origin,
            "authorization_endpoint": format!("{}{AUTHORIZE}", self.origin),
            "token_endpoint": format!("{}{TOKEN}", self.origin),
            "scopes_supported": SCOPES,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": methods,
        });
        Answer::json(200, body.to_string().into_bytes())
    }

    /// A code without the way through a browser; `Err` says why there is none.
    pub(crate) fn log_in(
        &self,
        identities: &Identities,
        parameters: &[(&str, &str)],
    ) -> Result<String, String> {
        let form = Form::of(parameters);
        authorize::directly(self, identities, &form).map_err(|refusal| refusal.text())
    }

    /// What an access token is worth now.
    pub(crate) fn worth(&self, token: &str) -> Worth {
        self.store().worth(token)
    }

    /// Ends all access tokens now; says how many that are.
    pub(crate) fn expire(&self) -> usize {
        self.store().expire()
    }

    /// Revokes all that was given for the logins of some identities, chosen by name; says how
    /// many codes and tokens that are.
    pub(crate) fn revoke(&self, chosen: impl Fn(&str) -> bool) -> usize {
        self.store().end(|login| chosen(&login.identity))
    }
}
