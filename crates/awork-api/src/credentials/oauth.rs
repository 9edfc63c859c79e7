//! The OAuth 2.0 login of users through a client application (API documentation,
//! "Authentication"; RFC 6749, RFC 7636): the address to open, and the token endpoint.
//!
//! awork's refresh tokens are good once. So nothing here is sent a second time by itself, and a
//! failure says what it means for the token that was sent.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use jiff::{SignedDuration, Timestamp};
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, Scope, StandardRevocableToken, TokenResponse, TokenUrl,
};
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};

use super::secret::encoded;
use super::{AccessToken, Secret};
use crate::connections::{connections, innermost};
use crate::error::{Error, ErrorKind, excerpt};
use crate::settings::Settings;

/// What awork calls the right to act as the user, and to do so for longer than a day.
const SCOPES: [&str; 2] = ["full_access", "offline_access"];

/// A longer `expires_in` than this must be a point in time: ten years in seconds.
const LONGEST_LIFE: i64 = 315_360_000;

/// The most characters that an access and a refresh token may have together, so that they fit into
/// a row of PostgreSQL.
const LONGEST_TOKENS: usize = 7_000;

/// How much of an answer of the token endpoint is read.
const MAX_BODY: usize = 256 * 1024;

/// A client application of awork (Settings, Integrations, API clients).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: String,
    /// Its secret; none for a public client.
    pub secret: Option<Secret>,
}

/// What a user opens to log in, and what is needed for the answer to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The address to open.
    pub url: String,
    /// Comes back with the code.
    pub state: Secret,
    /// Proves that the code is redeemed by whom it was asked for.
    pub verifier: Secret,
}

impl fmt::Debug for Request {
    /// The address has the state in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// What the token endpoint gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: AccessToken,
    /// With what the next access token is asked for; none where awork gave none.
    pub refresh: Option<Secret>,
}

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What to tell the user.
    pub error: Error,
    /// What became of the code or refresh token that was sent.
    pub fate: Fate,
}

/// What a failure means for the code or refresh token that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// awork has refused it; it is of no use any more.
    Refused,
    /// It was not used.
    Unused,
    /// It may have been used: there was no complete answer.
    Unknown,
}

/// The client application and where its workspace is.
pub struct Endpoint<'s> {
    settings: &'s Settings,
    application: &'s Application,
}

type Client = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl<'s> Endpoint<'s> {
    /// The endpoints of the workspace that the settings lead to.
    pub fn new(settings: &'s Settings, application: &'s Application) -> Self {
        Self { settings, application }
    }

    fn client(&self) -> Result<Client, Error> {
        let url =
            |name: &str| Ok::<_, Error>(format!("{}/accounts/{name}", self.settings.base(1)?));
        let invalid = |e| Error::new(ErrorKind::Setting, format!("invalid address: {e}"));
        let client = oauth2::Client::new(ClientId::new(self.application.id.clone()))
            .set_auth_type(match self.application.secret {
                Some(_) => AuthType::BasicAuth,
                None => AuthType::RequestBody,
            })
            .set_auth_uri(AuthUrl::new(url("authorize")?).map_err(invalid)?)
            .set_token_uri(TokenUrl::new(url("token")?).map_err(invalid)?);
        Ok(match &self.application.secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.reveal().to_owned())),
            None => client,
        })
    }

    /// What a user opens to log in. awork answers at `redirect_uri`.
    pub fn request(&self, redirect_uri: &str) -> Result<Request, Error> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = self
            .client()?
            .set_redirect_uri(redirect_url(redirect_uri)?)
            .authorize_url(CsrfToken::new_random)
            .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            // Not of the RFC, but of awork's documentation.
            .add_extra_param("grant_type", "authorization_code")
            .url();
        Ok(Request {
            url: url.into(),
            state: Secret::new("state", state.secret())?,
            verifier: Secret::new("verifier", verifier.secret())?,
        })
    }

    /// Turns the code of a login into tokens.
    pub async fn exchange(
        &self,
        redirect_uri: &str,
        code: &Secret,
        verifier: &Secret,
    ) -> Result<Tokens, Failure> {
        let http = |request| self.send(request);
        let asked = Timestamp::now();
        let client = self.client()?.set_redirect_uri(redirect_url(redirect_uri)?);
        let answer = client
            .exchange_code(AuthorizationCode::new(code.reveal().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.reveal().to_owned()))
            .request_async(&http)
            .await;
        self.tokens(answer, asked, "code", &[code, verifier])
    }

    /// Gets a new access token, and with it a new refresh token, since the one that is sent is
    /// good only once.
    pub async fn refresh(&self, refresh: &Secret) -> Result<Tokens, Failure> {
        let http = |request| self.send(request);
        let asked = Timestamp::now();
        let answer = self
            .client()?
            .exchange_refresh_token(&RefreshToken::new(refresh.reveal().to_owned()))
            .request_async(&http)
            .await;
        self.tokens(answer, asked, "refresh token", &[refresh])
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let timeout = self.settings.request_timeout;
        let exchange = async {
            let http = connections(self.settings)?;
            let mut request: reqwest::Request = request.try_into().map_err(|_| {
                Error::new(ErrorKind::Internal, "could not make a request for a token")
            })?;
            if let Some(basic) = request.headers_mut().get_mut(AUTHORIZATION) {
                basic.set_sensitive(true);
            }
            let mut response = http.execute(request).await.map_err(|e| self.transport(&e))?;
            let status = response.status().as_u16();
            let mut answer = http::Response::builder().status(response.status());
            for (name, value) in response.headers() {
                answer = answer.header(name, value);
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|e| self.transport(&e))? {
                if body.len() + chunk.len() > MAX_BODY {
                    return Err(unknown("the token endpoint of awork answered with too much"));
                }
                body.extend_from_slice(&chunk);
            }
            // An error as the RFC has it says more than its status.
            let says_why = serde_json::from_slice::<BasicErrorResponse>(&body).is_ok();
            match status {
                200..=299 => {}
                400 | 401 if says_why => {}
                status => return Err(refusal(status)),
            }
            answer.body(body).map_err(|_| unknown("the token endpoint of awork has no good answer"))
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| {
            let seconds = timeout.as_secs_f64();
            Err(unknown(&format!("no answer of awork's token endpoint within {seconds} s")))
        })
    }

    fn transport(&self, error: &reqwest::Error) -> Failure {
        let cause = innermost(error);
        if error.is_connect() {
            let host = self.settings.api_url.host_str().unwrap_or_default();
            let message = format!("could not connect to \"{host}\": {cause}");
            let error = Error::new(ErrorKind::Unreachable, message).hint(
                "Check the server option \"api_url\" and the network of the database server.",
            );
            return Failure { error, fate: Fate::Unused };
        }
        unknown(&format!("could not read the answer of awork's token endpoint: {cause}"))
    }

    fn tokens(
        &self,
        answer: Result<Answer, RequestTokenError<Failure, BasicErrorResponse>>,
        asked: Timestamp,
        what: &str,
        sent: &[&Secret],
    ) -> Result<Tokens, Failure> {
        let basic =
            self.application.secret.as_ref().map(|secret| basic(&self.application.id, secret));
        let secrets: Vec<&Secret> =
            sent.iter().copied().chain(&self.application.secret).chain(&basic).collect();
        let redact = |text: String| secrets.iter().fold(text, |text, secret| secret.redact(&text));
        let refusal = match answer {
            Ok(answer) => return answer.tokens(asked),
            Err(RequestTokenError::ServerResponse(refusal)) => refusal,
            Err(RequestTokenError::Request(failure)) => return Err(failure),
            // What was not understood is not shown: it may hold a token.
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
                return Err(unknown("awork's token endpoint gave an answer that is no token"));
            }
        };
        let says =
            [Some(refusal.error().as_ref().to_owned()), refusal.error_description().cloned()];
        let says: Vec<String> = says.into_iter().flatten().collect();
        let says = format!("awork says: {}", excerpt(redact(says.join(": ")).trim()));
        let (fate, error) = match refusal.error() {
            BasicErrorResponseType::InvalidGrant => (
                Fate::Refused,
                Error::new(ErrorKind::Unauthorized, format!("awork refused the {what}")).hint(
                    "It may have expired, been used before, or belong to another client \
                     application. awork_fdw_login_url gives the address to log in again.",
                ),
            ),
            BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => (
                Fate::Unused,
                Error::new(ErrorKind::Unauthorized, "awork refused the client application").hint(
                    "Check the options \"client_id\" and \"client_secret\" of the user mapping, \
                     or else of the server.",
                ),
            ),
            _ => (
                Fate::Unused,
                Error::new(ErrorKind::BadReply, format!("awork gave no token for the {what}")),
            ),
        };
        Err(Failure { error: error.detail(says), fate })
    }
}

/// What the header of a client application with a secret has (RFC 6749, 2.3.1).
fn basic(id: &str, secret: &Secret) -> Secret {
    let (id, secret) = (encoded(id), encoded(secret.reveal()));
    Secret::from(base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

fn redirect_url(redirect_uri: &str) -> Result<RedirectUrl, Error> {
    RedirectUrl::new(redirect_uri.to_owned()).map_err(|e| {
        Error::new(ErrorKind::Setting, format!("value of option \"redirect_uri\" is no URL: {e}"))
    })
}

/// An answer that is neither a token nor an error of the RFC. A server error may come after the
/// token was used; what is in front of awork has not let it through.
fn refusal(status: u16) -> Failure {
    let message = format!("awork's token endpoint answered with HTTP status {status}");
    let (kind, fate) = match status {
        403 => (ErrorKind::Blocked, Fate::Unused),
        429 => (ErrorKind::RateLimited, Fate::Unused),
        500..=599 => (ErrorKind::BadReply, Fate::Unknown),
        _ => (ErrorKind::BadReply, Fate::Unused),
    };
    Failure { error: Error::new(kind, message), fate }
}

fn unknown(message: &str) -> Failure {
    Failure { error: Error::new(ErrorKind::BadReply, message), fate: Fate::Unknown }
}

/// Errors from before anything was sent.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, fate: Fate::Unused }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failure {}

/// An answer of the token endpoint, read leniently: `expires_in` is documented as seconds, and
/// the specification's example is a point in time.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Answer {
    access_token: oauth2::AccessToken,
    #[serde(default = "bearer")]
    token_type: BasicTokenType,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
}

fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

impl Answer {
    fn tokens(&self, asked: Timestamp) -> Result<Tokens, Failure> {
        let secret = |text: &str| {
            Secret::new("token", text)
                .map_err(|_| unknown("awork's token endpoint gave an answer that is no token"))
        };
        let seconds = self.expires_in.as_ref().and_then(|value| match value {
            serde_json::Value::String(text) => text.trim().parse::<f64>().ok(),
            value => value.as_f64(),
        });
        let expires = seconds.map(|s| s as i64).filter(|&s| s >= 0).and_then(|seconds| {
            match seconds > LONGEST_LIFE {
                true => Timestamp::from_second(seconds).ok(),
                // Counted from before the answer, so that it is never too long.
                false => asked.checked_add(SignedDuration::from_secs(seconds)).ok(),
            }
        });
        let token = secret(self.access_token.secret())?;
        let refresh = self.refresh_token.as_ref();
        let refresh = refresh.map(|token| secret(token.secret())).transpose()?;
        let length = |token: &Secret| token.reveal().len();
        if length(&token) + refresh.as_ref().map_or(0, length) > LONGEST_TOKENS {
            let message = format!("awork's tokens are longer than {LONGEST_TOKENS} characters");
            let error = Error::new(ErrorKind::TooLarge, message)
                .hint("They cannot be kept. Use an API key, or ask awork for shorter ones.");
            return Err(Failure { error, fate: Fate::Unknown });
        }
        Ok(Tokens { access: AccessToken { token, issued: asked, expires }, refresh })
    }
}

impl TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &oauth2::AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// The code in what a user brings back: the code itself, or the address that the browser was sent
/// to. `state` must be the one of the request, where there is one.
pub fn code(brought: &str, state: &Secret) -> Result<Secret, Error> {
    let brought = brought.trim();
    let parameters: HashMap<String, String> = match Url::parse(brought) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => return Secret::new("the code", brought),
    };
    if let Some(error) = parameters.get("error") {
        let description = parameters.get("error_description").map(|d| format!(": {d}"));
        let says = format!("{error}{}", description.unwrap_or_default());
        return Err(Error::new(ErrorKind::Unauthorized, "awork refused the login")
            .detail(format!("awork says: {}", excerpt(&says))));
    }
    let Some(code) = parameters.get("code") else {
        return Err(Error::new(ErrorKind::Setting, "the address has no code of a login").hint(
            "Take the whole address that the browser was sent to, with everything behind \"?\".",
        ));
    };
    if parameters.get("state").map(String::as_str) != Some(state.reveal()) {
        return Err(Error::new(
            ErrorKind::Setting,
            "the address answers another login than the last one that was asked for",
        )
        .hint("Open what awork_fdw_login_url gives, and bring back what follows."));
    }
    Secret::new("the code", code)
}
