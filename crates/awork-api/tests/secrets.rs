//! Secrets never show: not where a value is printed, not in an error, whatever awork answers, and
//! not at another host. And what a failure of the token endpoint means for what was sent.

#[allow(dead_code, unreachable_pub)]
#[path = "../../../tests/system/src/echo.rs"]
mod echo;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use awork_api::client::{Client, Origin};
use awork_api::credentials::oauth::{self, Application, Endpoint, Fate, Tokens};
use awork_api::credentials::{AccessToken, Credential, Login, Renewal, Secret};
use awork_api::error::{Error, ErrorKind};
use awork_api::runtime::runtime;
use awork_api::settings::Settings;
use awork_sandbox::{Action, Config, ExpiresIn, Fault, OAuth, Sandbox};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::oneshot;

use echo::{Echo, response};

/// Where the sandbox's applications take codes.
const REDIRECT: &str = "http://127.0.0.1:8765/callback";

/// What every secret of these tests begins with, and what it ends with.
const MARKS: [&str; 2] = ["MARKED", "TAILED"];

fn marked(kind: &str) -> Secret {
    // A verifier has 43 characters at the least.
    Secret::new(kind, &format!("{}-{kind:-<40}-{}", MARKS[0], MARKS[1])).unwrap()
}

fn shows_none(text: &str) {
    assert!(!MARKS.iter().any(|mark| text.contains(mark)), "{text}");
}

fn settings(api_url: &str) -> Settings {
    let mut settings = Settings::default();
    settings.set("api_url", api_url).unwrap();
    settings.max_retries = 0;
    settings
}

fn application() -> Application {
    Application { id: "marked-client".into(), secret: Some(marked("secret")) }
}

fn access_token() -> AccessToken {
    AccessToken { token: marked("access"), issued: Timestamp::now(), expires: None }
}

#[test]
fn nothing_that_holds_a_secret_prints_it() {
    let printed = |value: &dyn std::fmt::Debug| {
        let text = format!("{value:?} {value:#?}");
        shows_none(&text);
        // Not even how long it is.
        assert!(!text.contains("------"), "{text}");
    };
    let login = Login::new(1, 2, access_token());
    printed(&marked("key"));
    printed(&access_token());
    printed(&login);
    printed(&Credential::Key(marked("key")));
    printed(&Credential::Login(login.clone()));
    printed(&application());
    printed(&Tokens { access: access_token(), refresh: Some(marked("refresh")) });
    printed(&Renewal {
        login: login.clone(),
        refused: marked("access"),
        answer: oneshot::channel().0,
    });
    for credential in [Credential::Key(marked("key")), Credential::Login(login)] {
        let origin = Origin { workspace: 1, version: 0 };
        let settings = settings("http://127.0.0.1:1/api/v1");
        printed(&Client::new(settings, credential, origin).unwrap());
    }
}

#[test]
fn a_request_for_a_login_prints_neither_verifier_nor_state() {
    let (settings, application) = (settings("http://127.0.0.1:1/api/v1"), application());
    let request = Endpoint::new(&settings, &application).request(REDIRECT).unwrap();
    assert!(request.url.contains(request.state.reveal()), "{}", request.url);
    assert!(!request.url.contains(request.verifier.reveal()), "{}", request.url);
    shows_none(&request.url);
    for text in [format!("{request:?}"), format!("{request:#?}")] {
        assert!(!text.contains(request.verifier.reveal()), "{text}");
        assert!(!text.contains(request.state.reveal()), "{text}");
    }
}

/// What may come in place of tokens, with a secret in it. `{}` is the secret.
const ANSWERS: &[&str] = &[
    r#"{"error":"invalid_grant","error_description":"{}"}"#,
    r#"{"error":"invalid_grant","error_description":"and {} and {} again"}"#,
    r#"{"error":"invalid_client","error_description":"no {}","error_uri":"{}"}"#,
    r#"{"error":"{}","error_description":"{}"}"#,
    r#"{"error":"server_error","error_description":"{}"}"#,
    r#"{"error":["{}"],"error_description":"{}"}"#,
    r#"{"code":"{}","description":"{}","traceId":"{}"}"#,
    r#"{"access_token":"{}","refresh_token":"#,
    r#"{"access_token":"{} ","refresh_token":"{}"}"#,
    r#"{"access_token":"x","refresh_token":"{}\n"}"#,
    r#"{"access_token":["{}"]}"#,
    r#"{"access_token":{"{}":1}}"#,
    r#"{"access_token":"x","token_type":["{}"]}"#,
    r#"{"{}":1}"#,
    r#""{}""#,
    r#"["{}"]"#,
    "{}",
    "",
    "<html>{}</html>",
];

/// The errors of both grants at an endpoint.
fn refusals(api_url: &str, application: &Application) -> Vec<Error> {
    let settings = settings(api_url);
    let endpoint = Endpoint::new(&settings, application);
    runtime().unwrap().block_on(async {
        let code = endpoint.exchange(REDIRECT, &marked("code"), &marked("verifier")).await;
        let refresh = endpoint.refresh(&marked("refresh")).await;
        [code, refresh].into_iter().filter_map(|outcome| Some(outcome.err()?.error)).collect()
    })
}

#[test]
fn no_answer_of_the_token_endpoint_brings_a_secret_into_an_error() {
    let answer = Arc::new(Mutex::new(String::new()));
    let given = answer.clone();
    let echo = Echo::start(move |_| given.lock().unwrap().clone());
    let secrets = ["secret", "code", "verifier", "refresh"].map(marked);
    let mut masked = 0;
    for status in [200, 302, 400, 401, 403, 404, 408, 429, 500, 503] {
        for body in ANSWERS {
            // Both grants, so that each secret is one that was sent.
            for secret in &secrets[..] {
                let headers = format!("Location: /{0}\r\nX-Edge-Ref: {0}\r\n", secret.reveal());
                let body = body.replace("{}", secret.reveal());
                *answer.lock().unwrap() = response(status, &headers, &body);
                let sent = match secret.reveal() {
                    s if s.contains("refresh") => 1..2,
                    s if s.contains("secret") => 0..2,
                    _ => 0..1,
                };
                let errors = refusals(&echo.api_url(), &application());
                for error in errors.get(sent).unwrap_or_default() {
                    let text = format!("{error:?}");
                    shows_none(&text);
                    masked += usize::from(text.contains("********"));
                }
            }
        }
    }
    assert!(masked > 50, "{masked} errors quote awork");
}

#[test]
fn cutting_what_awork_says_leaves_no_part_of_a_secret() {
    let answer = Arc::new(Mutex::new(String::new()));
    let given = answer.clone();
    let echo = Echo::start(move |_| given.lock().unwrap().clone());
    for before in [50, 60, 70, 80, 90, 95, 99, 100] {
        let said = format!("{}{}", "x".repeat(before), marked("secret").reveal());
        let body = json!({"error": "invalid_grant", "error_description": said});
        *answer.lock().unwrap() = response(400, "", &body.to_string());
        for error in refusals(&echo.api_url(), &application()) {
            assert!(error.detail[0].contains("xxx"), "{error:?}");
            shows_none(&format!("{error:?}"));
        }
    }
}

/// The secret travels encoded in the header of a request for tokens.
#[test]
fn the_header_that_has_the_secret_of_the_application_is_not_shown_either() {
    let echo = Echo::start(|request| {
        let header = request.lines().find(|l| l.to_lowercase().starts_with("authorization"));
        let body = json!({"error": "invalid_client", "error_description": header});
        response(401, "", &body.to_string())
    });
    let errors = refusals(&echo.api_url(), &application());
    assert_eq!(errors.len(), 2);
    let requests = echo.requests();
    let encoded = requests[0].split_once("Basic ").expect("HTTP Basic").1;
    let encoded = encoded.split_whitespace().next().unwrap();
    for error in errors {
        assert!(!format!("{error:?}").contains(&encoded[..20]), "{error:?}");
    }
}

/// A form has characters escaped that a secret may have.
#[test]
fn a_secret_is_not_shown_as_it_is_written_in_a_form_either() {
    let echo = Echo::start(|request| {
        let form = request.rsplit("\r\n\r\n").next().unwrap();
        response(400, "", &json!({"error": "invalid_grant", "error_description": form}).to_string())
    });
    let code = Secret::new("code", "MARKED/+code=TAILED").unwrap();
    let (settings, application) = (settings(&echo.api_url()), application());
    let endpoint = Endpoint::new(&settings, &application);
    let verifier = marked("verifier");
    let exchanged = endpoint.exchange(REDIRECT, &code, &verifier);
    let failure = runtime().unwrap().block_on(exchanged).unwrap_err();
    assert!(failure.error.detail[0].contains("********"), "{failure:?}");
    shows_none(&format!("{failure:?}"));
}

#[test]
fn a_redirect_of_the_token_endpoint_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Echo::start(|_| response(200, "", r#"{"access_token":"stolen"}"#));
        let location = format!("Location: {}/accounts/token\r\n", elsewhere.api_url());
        let echo = Echo::start(move |_| response(status, &location, ""));
        assert_eq!(refusals(&echo.api_url(), &application()).len(), 2);
        assert_eq!(echo.requests().len(), 2);
        assert!(elsewhere.requests().is_empty(), "{status}: {:?}", elsewhere.requests());
    }
}

#[test]
fn an_address_of_the_browser_does_not_bring_a_secret_into_an_error() {
    let state = marked("state");
    for query in [
        format!("code={}&state=other", marked("code").reveal()),
        format!("code={}", marked("code").reveal()),
        format!("state={}", state.reveal()),
        format!("error=access_denied&state={}", state.reveal()),
        format!("code={} x&state={}", marked("code").reveal(), state.reveal()),
    ] {
        let error = oauth::code(&format!("{REDIRECT}?{query}"), &state).unwrap_err();
        shows_none(&format!("{error:?}"));
    }
    let error = oauth::code(&format!("{} x", marked("code").reveal()), &state).unwrap_err();
    shows_none(&format!("{error:?}"));
}

// The token endpoint of the sandbox.

struct LoggedIn {
    sandbox: Sandbox,
    settings: Settings,
    application: Application,
}

impl LoggedIn {
    fn new(oauth: OAuth) -> Self {
        let sandbox = Sandbox::start(Config { scale: 10, oauth, ..Config::default() }).unwrap();
        let mut settings = settings(&sandbox.api_url());
        settings.request_timeout = Duration::from_millis(700);
        let secret = Secret::new("client_secret", "awork-sandbox-secret").unwrap();
        let application = Application { id: "awork-sandbox-client".into(), secret: Some(secret) };
        Self { sandbox, settings, application }
    }

    fn endpoint(&self) -> Endpoint<'_> {
        Endpoint::new(&self.settings, &self.application)
    }

    fn exchange(&self) -> Result<Tokens, oauth::Failure> {
        let verifier = marked("verifier");
        let challenge = oauth2::PkceCodeChallenge::from_code_verifier_sha256(
            &oauth2::PkceCodeVerifier::new(verifier.reveal().to_owned()),
        );
        let code = self
            .sandbox
            .log_in(&self.application.id, "admin", REDIRECT, Some(challenge.as_str()))
            .unwrap();
        let code = Secret::new("code", &code).unwrap();
        runtime().unwrap().block_on(self.endpoint().exchange(REDIRECT, &code, &verifier))
    }

    fn refresh(&self, token: &Secret) -> Result<Tokens, oauth::Failure> {
        runtime().unwrap().block_on(self.endpoint().refresh(token))
    }

    fn fault(&self, action: Action) {
        let path = "/accounts/token".into();
        self.sandbox.add_fault(Fault { path, query: None, nth: None, first: None, action });
    }
}

/// An answer of the token endpoint with an error of OAuth.
fn says(status: u16, error: &str) -> Action {
    let text = Some(json!({"error": error, "error_description": "a fault"}).to_string());
    Action::Body { text, bytes: None, status: Some(status), content_type: None }
}

fn status(status: u16) -> Action {
    Action::Status { status, code: None, retry_after: None }
}

#[test]
fn a_failure_says_what_became_of_the_code_or_refresh_token() {
    use Fate::{Refused, Unknown, Unused};
    let awork = LoggedIn::new(OAuth::default());
    for (action, fates) in [
        // Only this ends a login.
        (says(400, "invalid_grant"), &[Refused][..]),
        (says(401, "invalid_client"), &[Unused]),
        (says(400, "unauthorized_client"), &[Unused]),
        (says(400, "invalid_request"), &[Unused]),
        (says(400, "unsupported_grant_type"), &[Unused]),
        // Nobody can say what was done before these.
        (Action::Hang, &[Unknown]),
        (Action::HangAfter, &[Unknown]),
        (Action::CutBody { after: None }, &[Unknown]),
        (Action::CutBody { after: Some(0) }, &[Unknown]),
        (Action::SlowBody { after: None, ms: 5_000 }, &[Unknown]),
        (Action::HugeBody { mib: 1 }, &[Unknown]),
        (Action::Html, &[Unknown]),
        (status(500), &[Unknown]),
        (status(503), &[Unknown]),
        (says(500, "invalid_grant"), &[Unknown]),
        (says(200, "invalid_grant"), &[Unknown]),
        // These come from in front of awork.
        (Action::Blocked, &[Unused]),
        (status(429), &[Unused]),
        // Whether these come before anything was done is not documented.
        (status(400), &[Unknown, Unused]),
        (status(404), &[Unknown, Unused]),
        (status(408), &[Unknown, Unused]),
        (Action::Redirect { location: "/".into(), status: None }, &[Unknown, Unused]),
    ] {
        awork.sandbox.clear_faults();
        let refresh = awork.exchange().unwrap().refresh.expect("a refresh token");
        awork.fault(action.clone());
        for failure in [awork.refresh(&refresh).unwrap_err(), awork.exchange().unwrap_err()] {
            assert!(fates.contains(&failure.fate), "{action:?}: {failure:?}");
            assert!(!format!("{failure:?}").contains(refresh.reveal()), "{failure:?}");
            assert!(!format!("{failure:?}").contains("awork-sandbox-secret"), "{failure:?}");
        }
    }
}

#[test]
fn what_a_fate_says_of_a_refresh_token_is_so() {
    let awork = LoggedIn::new(OAuth::default());
    for action in
        [says(401, "invalid_client"), says(400, "invalid_request"), status(429), Action::Blocked]
    {
        let refresh = awork.exchange().unwrap().refresh.unwrap();
        awork.fault(action);
        assert_eq!(awork.refresh(&refresh).unwrap_err().fate, Fate::Unused);
        awork.sandbox.clear_faults();
        awork.refresh(&refresh).unwrap();
    }
    let refresh = awork.exchange().unwrap().refresh.unwrap();
    awork.fault(Action::CutBody { after: None });
    assert_eq!(awork.refresh(&refresh).unwrap_err().fate, Fate::Unknown);
    awork.sandbox.clear_faults();
    let failure = awork.refresh(&refresh).unwrap_err();
    assert_eq!((failure.fate, failure.error.kind), (Fate::Refused, ErrorKind::Unauthorized));
}

#[test]
fn where_no_connection_is_made_nothing_was_used() {
    // Bound but not listened to by anybody any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = settings(&format!("http://127.0.0.1:{port}/api/v1"));
    let application = application();
    let (endpoint, refresh) = (Endpoint::new(&settings, &application), marked("refresh"));
    let refreshed = endpoint.refresh(&refresh);
    let failure = runtime().unwrap().block_on(refreshed).unwrap_err();
    assert_eq!((failure.fate, failure.error.kind), (Fate::Unused, ErrorKind::Unreachable));
    shows_none(&format!("{failure:?}"));
}

#[test]
fn a_wrong_secret_of_the_application_uses_up_nothing() {
    let mut awork = LoggedIn::new(OAuth::default());
    let refresh = awork.exchange().unwrap().refresh.unwrap();
    let right = awork.application.secret.replace(marked("secret"));
    let failure = awork.refresh(&refresh).unwrap_err();
    assert_eq!((failure.fate, failure.error.kind), (Fate::Unused, ErrorKind::Unauthorized));
    shows_none(&format!("{failure:?}"));
    awork.application.secret = right;
    awork.refresh(&refresh).unwrap();
}

#[test]
fn an_access_token_ends_when_awork_says_in_whatever_way() {
    let lifetime = Duration::from_secs(1_000);
    for expires_in in [ExpiresIn::Seconds, ExpiresIn::Text, ExpiresIn::Epoch, ExpiresIn::Omitted] {
        let oauth = OAuth { access_token_lifetime: lifetime, expires_in, ..OAuth::default() };
        let awork = LoggedIn::new(oauth);
        let first = awork.exchange().unwrap();
        let second = awork.refresh(first.refresh.as_ref().unwrap()).unwrap();
        assert_ne!(first.refresh, second.refresh);
        assert_ne!(first.access.token, second.access.token);
        for AccessToken { issued, expires, .. } in [first.access, second.access] {
            if expires_in == ExpiresIn::Omitted {
                assert_eq!(expires, None);
                continue;
            }
            let life = expires.expect("an end").duration_since(issued);
            let (least, most) = (SignedDuration::from_secs(990), SignedDuration::from_secs(1_010));
            assert!(least <= life && life <= most, "{expires_in:?}: {life:?}");
        }
    }
}

#[test]
fn an_end_that_makes_no_sense_is_none() {
    for (expires_in, is_some) in [
        (json!(-1), false),
        (json!("soon"), false),
        (json!(null), false),
        (json!([86_400]), false),
        (json!(1e300), false),
        (json!(0), true),
        (json!(" 86400 "), true),
        (json!(86_400.5), true),
    ] {
        let body = json!({"access_token": "x", "expires_in": expires_in}).to_string();
        let echo = Echo::start(move |_| response(200, "", &body));
        let (settings, application) = (settings(&echo.api_url()), application());
        let (endpoint, refresh) = (Endpoint::new(&settings, &application), marked("refresh"));
        let refreshed = endpoint.refresh(&refresh);
        let tokens = runtime().unwrap().block_on(refreshed).unwrap();
        assert_eq!(tokens.access.expires.is_some(), is_some, "{expires_in}");
        assert_eq!(tokens.refresh, None);
    }
}
