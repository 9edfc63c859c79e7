//! An application that logs in, a step at a time.

use awork_sandbox::Sandbox;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Response, encode, send};

pub(crate) const CLIENT: &str = "awork-sandbox-client";
pub(crate) const SECRET: &str = "awork-sandbox-secret";
pub(crate) const PUBLIC: &str = "awork-sandbox-public";
pub(crate) const REDIRECT: &str = "http://127.0.0.1:8765/callback";
pub(crate) const SCOPE: &str = "full_access offline_access";

/// The example of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) const AUTHORIZE: &str = "/api/v1/accounts/authorize";
pub(crate) const TOKEN: &str = "/api/v1/accounts/token";

/// What a well-behaved application asks the authorization endpoint, one parameter changed: set, or
/// left out where the value is empty.
pub(crate) fn question(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [
        ("response_type", "code"),
        ("grant_type", "authorization_code"),
        ("client_id", PUBLIC),
        ("redirect_uri", REDIRECT),
        ("scope", SCOPE),
        ("state", "a state & more"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for (name, value) in changes {
        all.retain(|(n, _)| n != name);
        if !value.is_empty() {
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    all
}

pub(crate) fn form<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| (name.as_ref(), encode(value.as_ref())));
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

pub(crate) fn authorize(sandbox: &Sandbox, changes: &[(&str, &str)]) -> Response {
    let path = format!("{AUTHORIZE}?{}", form(&question(changes)));
    send(sandbox.address(), "GET", &path, &[], "")
}

/// A parameter of the address that a browser is sent to.
pub(crate) fn sent_back(response: &Response, name: &str) -> Option<String> {
    assert_eq!(response.status, 302, "{}", String::from_utf8_lossy(&response.body));
    let url = url::Url::parse(response.header("location").expect("a location")).expect("a URL");
    url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// Asks for tokens with these parameters and this `Authorization`.
pub(crate) fn token(
    sandbox: &Sandbox,
    authorization: Option<&str>,
    pairs: &[(&str, &str)],
) -> Response {
    let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded")];
    headers.extend(authorization.map(|value| ("Authorization", value)));
    send(sandbox.address(), "POST", TOKEN, &headers, &form(pairs))
}

/// A code for the public application.
pub(crate) fn code(sandbox: &Sandbox, identity: &str) -> String {
    sandbox.log_in(PUBLIC, identity, REDIRECT, Some(CHALLENGE)).expect("a code")
}

pub(crate) fn redeem(sandbox: &Sandbox, code: &str) -> Response {
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", PUBLIC),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("code", code),
    ];
    token(sandbox, None, &pairs)
}

pub(crate) fn refresh(sandbox: &Sandbox, token: &str) -> Response {
    let pairs = [("grant_type", "refresh_token"), ("client_id", PUBLIC), ("refresh_token", token)];
    self::token(sandbox, None, &pairs)
}

/// The access token and the refresh token of an answer.
pub(crate) fn tokens(response: &Response) -> (String, String) {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    let body = response.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// Logs in to the public application.
pub(crate) fn log_in(sandbox: &Sandbox, identity: &str) -> (String, String) {
    tokens(&redeem(sandbox, &code(sandbox, identity)))
}

/// Asks a path of the API with a token.
pub(crate) fn with_token(sandbox: &Sandbox, token: &str, path: &str) -> Response {
    let bearer = format!("Bearer {token}");
    send(sandbox.address(), "GET", path, &[("Authorization", &bearer)], "")
}

/// The status of a refusal and its `error`.
pub(crate) fn refusal(response: &Response) -> (u16, String) {
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let body: Value = response.json();
    (response.status, body["error"].as_str().unwrap_or_default().to_owned())
}
