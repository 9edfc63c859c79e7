//! Client applications, lifetimes, and what is documented in more than one way.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How the sandbox lets applications log in.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// The applications that may ask.
    pub clients: Vec<ClientApplication>,
    /// The name of the identity that is logged in at once, without a page to choose on.
    pub login: Option<String>,
    /// Whether a registered redirect to the loopback interface stands for all ports, as RFC 8252,
    /// section 7.3, wants it.
    pub any_loopback_port: bool,
    /// Whether an application may send its secret in the body rather than by HTTP Basic.
    pub secret_in_body: bool,
    /// Whether applications with a secret need a code challenge too; those without one always do.
    pub require_pkce: bool,
    /// How long a code may be redeemed.
    pub code_lifetime: Duration,
    /// How long an access token is taken, in real time; fractions of a second count.
    pub access_token_lifetime: Duration,
    /// How long a refresh token is taken, in real time.
    pub refresh_token_lifetime: Duration,
    /// How the lifetime of an access token is told.
    pub expires_in: ExpiresIn,
    /// Whether the second use of a refresh token ends the whole login.
    pub revoke_on_reuse: bool,
}

/// How an answer with tokens tells the lifetime of the access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiresIn {
    /// As a number of seconds, rounded up.
    Seconds,
    /// As the number of seconds from 1970 to its end.
    Epoch,
    /// As a number of seconds in a string.
    Text,
    /// Not at all.
    Omitted,
}

impl FromStr for ExpiresIn {
    type Err = String;

    fn from_str(name: &str) -> Result<ExpiresIn, String> {
        Ok(match name {
            "seconds" => ExpiresIn::Seconds,
            "epoch" => ExpiresIn::Epoch,
            "text" => ExpiresIn::Text,
            "omitted" => ExpiresIn::Omitted,
            _ => return Err("there are seconds, epoch, text and omitted".to_owned()),
        })
    }
}

/// An application that is known to the sandbox.
#[derive(Clone)]
pub struct ClientApplication {
    /// The `client_id`.
    pub id: String,
    /// The `client_secret`; none for a public application.
    pub secret: Option<String>,
    /// Where codes may be sent.
    pub redirect_uris: Vec<String>,
}

impl fmt::Debug for ClientApplication {
    /// Leaves the secret out, which may be a real one by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientApplication")
            .field("id", &self.id)
            .field("redirect_uris", &self.redirect_uris)
            .finish_non_exhaustive()
    }
}

impl ClientApplication {
    /// An application with a secret.
    pub fn confidential(id: impl Into<String>, secret: impl Into<String>) -> ClientApplication {
        let redirect_uris = default_redirects();
        ClientApplication { id: id.into(), secret: Some(secret.into()), redirect_uris }
    }

    /// An application that cannot keep a secret.
    pub fn public(id: impl Into<String>) -> ClientApplication {
        ClientApplication { id: id.into(), secret: None, redirect_uris: default_redirects() }
    }
}

fn default_redirects() -> Vec<String> {
    ["http://127.0.0.1:8765/callback", "http://localhost:8765/callback"].map(str::to_owned).to_vec()
}

impl Default for OAuth {
    fn default() -> OAuth {
        OAuth {
            clients: vec![
                ClientApplication::confidential("awork-sandbox-client", "awork-sandbox-secret"),
                ClientApplication::public("awork-sandbox-public"),
            ],
            login: None,
            any_loopback_port: true,
            secret_in_body: false,
            require_pkce: false,
            code_lifetime: Duration::from_secs(60),
            access_token_lifetime: Duration::from_secs(86_400),
            refresh_token_lifetime: Duration::from_secs(30 * 86_400),
            expires_in: ExpiresIn::Seconds,
            revoke_on_reuse: true,
        }
    }
}
