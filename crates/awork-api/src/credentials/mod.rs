//! With what requests prove who asks: an API key, or the access token of a user's login (API
//! documentation, "Authentication"). The modules: `secret` never shows what it holds, `key_file`
//! reads keys, `login` replaces access tokens, `oauth` speaks to the token endpoint.

mod key_file;
mod login;
pub mod oauth;
mod secret;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use reqwest::header::HeaderValue;

use crate::error::Error;

pub use key_file::key_in_file;
pub use login::{AccessToken, Login, RENEWALS, Renewal, Renewals};
pub use secret::{Secret, redacted};

/// What a client asks with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// An API key: permanent and without a user.
    Key(Secret),
    /// A user's login through a client application.
    Login(Arc<Login>),
}

impl Credential {
    /// The token that the next request goes out with. Waits for a new one where the access token
    /// has expired.
    pub(crate) async fn token(&self) -> Result<Secret, Error> {
        match self {
            Credential::Key(key) => Ok(key.clone()),
            Credential::Login(login) => login.token().await,
        }
    }

    /// Gets another token than the one that was refused; none where there is no other.
    pub(crate) async fn renewed(&self, refused: &Secret) -> Option<Result<Secret, Error>> {
        match self {
            Credential::Key(_) => None,
            Credential::Login(login) => Some(login.renewed(refused).await),
        }
    }
}

/// Equal where the same one asks, whatever the access token of the moment is.
impl Hash for Credential {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Credential::Key(key) => key.hash(state),
            Credential::Login(login) => login.id.hash(state),
        }
    }
}

/// The value of the Authorization header, marked so that it is not logged.
pub(crate) fn bearer(token: &Secret) -> HeaderValue {
    token.used();
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .expect("a secret has no characters that a header cannot hold");
    value.set_sensitive(true);
    value
}
