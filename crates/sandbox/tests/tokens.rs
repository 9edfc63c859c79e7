//! Tokens for codes and for refresh tokens, and who gets them.

mod common;

use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use awork_sandbox::{ClientApplication, Config, ExpiresIn, OAuth, Sandbox};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::oauth::{
    CHALLENGE, CLIENT, PUBLIC, REDIRECT, SECRET, TOKEN, VERIFIER, authorize, basic, code, form,
    log_in, redeem, refresh, refusal, sent_back, token, tokens, with_token,
};
use common::{Response, send, small, start};
use serde_json::Value;

const PROJECTS: &str = "/api/v1/projects";

fn with(oauth: OAuth) -> Sandbox {
    start(Config { scale: 100, oauth, ..Config::default() })
}

fn refused(response: &Response, status: u16, error: &str) {
    assert_eq!(refusal(response), (status, error.to_owned()));
    let challenge = response.header("www-authenticate");
    assert_eq!(challenge.is_some_and(|text| text.starts_with("Basic")), status == 401);
}

/// A request for tokens of the public application, with changes as in [`common::oauth::question`].
fn changed<'a>(code: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("grant_type", "authorization_code"),
        ("client_id", PUBLIC),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("code", code),
    ];
    for (name, value) in changes {
        all.retain(|(n, _)| n != name);
        if !value.is_empty() {
            all.push((name, value));
        }
    }
    all
}

#[test]
fn an_answer_with_tokens() {
    let sandbox = small();
    let response = redeem(&sandbox, &code(&sandbox, "admin"));
    assert_eq!(response.status, 200);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.header("content-type").is_some_and(|kind| kind.contains("json")));
    let body = response.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 86_400);
    assert_eq!(body["scope"], "full_access offline_access");
    let (access, lasting) = tokens(&response);
    assert!(!lasting.is_empty());
    let parts: Vec<&str> = access.split('.').collect();
    assert_eq!(parts.len(), 3);
    let parts: Vec<Vec<u8>> =
        parts.iter().map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
    for part in &parts[..2] {
        assert!(serde_json::from_slice::<Value>(part).expect("JSON").is_object());
    }
    let all: HashSet<String> = (0..20).map(|_| log_in(&sandbox, "admin").0).collect();
    assert_eq!(all.len(), 20);
}

#[test]
fn tokens_act_as_who_logged_in() {
    let sandbox = small();
    let key = |key: &str, path: &str| with_token(&sandbox, key, path);
    for (identity, own) in [("admin", common::KEY), ("limited", common::LIMITED)] {
        let (access, _) = log_in(&sandbox, identity);
        for path in ["/me", "/users?pageSize=1000", "/timeentries", "/projects", "/tasks"] {
            let path = format!("/api/v1{path}");
            let (by_token, by_key) = (key(&access, &path), key(own, &path));
            assert_eq!((by_token.status, by_token.body), (by_key.status, by_key.body), "{path}");
        }
        assert_eq!(
            key(&access, "/api/v2/timeentries").status,
            key(own, "/api/v2/timeentries").status
        );
        let log = sandbox.log();
        assert_eq!(log.last().and_then(|entry| entry.identity.clone()).as_deref(), Some(identity));
    }
    let (_, lasting) = log_in(&sandbox, "admin");
    assert_eq!(key(&lasting, PROJECTS).status, 401, "a refresh token is no access token");
    assert_eq!(key(&code(&sandbox, "admin"), PROJECTS).status, 401);
}

#[test]
fn codes_are_bound() {
    let sandbox = small();
    let given = code(&sandbox, "admin");
    let other = format!("x{}", &VERIFIER[1..]);
    for (changes, error) in [
        (&[("code", "unknown")][..], "invalid_grant"),
        (&[("code", "")], "invalid_request"),
        (&[("redirect_uri", "")], "invalid_request"),
        (&[("redirect_uri", "http://localhost:8765/callback")], "invalid_grant"),
        (&[("redirect_uri", "http://127.0.0.1:8766/callback")], "invalid_grant"),
        (&[("code_verifier", "")], "invalid_request"),
        (&[("code_verifier", CHALLENGE)], "invalid_grant"),
        (&[("code_verifier", &other)], "invalid_grant"),
        (&[("code_verifier", "short")], "invalid_request"),
        (&[("grant_type", "")], "invalid_request"),
        (&[("grant_type", "password")], "unsupported_grant_type"),
        (&[("grant_type", "client_credentials")], "unsupported_grant_type"),
    ] {
        refused(&token(&sandbox, None, &changed(&given, changes)), 400, error);
    }
    let confidential =
        token(&sandbox, Some(&basic(CLIENT, SECRET)), &changed(&given, &[("client_id", "")]));
    refused(&confidential, 400, "invalid_grant");
    tokens(&redeem(&sandbox, &given));
}

#[test]
fn a_code_that_comes_twice_ends_the_login() {
    let sandbox = small();
    let (other, _) = log_in(&sandbox, "admin");
    let given = code(&sandbox, "admin");
    let (first, lasting) = tokens(&redeem(&sandbox, &given));
    let (second, lasting) = tokens(&refresh(&sandbox, &lasting));
    refused(&redeem(&sandbox, &given), 400, "invalid_grant");
    for gone in [&first, &second] {
        let response = with_token(&sandbox, gone, PROJECTS);
        assert_eq!((response.status, &response.json()["message"]), (401, &"Unauthorized".into()));
    }
    refused(&refresh(&sandbox, &lasting), 400, "invalid_grant");
    assert_eq!(with_token(&sandbox, &other, PROJECTS).status, 200, "another login stays");
}

#[test]
fn codes_expire() {
    let oauth = OAuth { code_lifetime: Duration::from_millis(50), ..OAuth::default() };
    let sandbox = with(oauth);
    let given = code(&sandbox, "admin");
    sleep(Duration::from_millis(60));
    refused(&redeem(&sandbox, &given), 400, "invalid_grant");
}

#[test]
fn who_may_ask() {
    let sandbox = small();
    let own = |changes: &[(&'static str, &'static str)]| {
        let given = sandbox.log_in(CLIENT, "admin", REDIRECT, Some(CHALLENGE)).expect("a code");
        let all = changed(&given, &[("client_id", "")]);
        let all: Vec<(String, String)> =
            all.iter().chain(changes).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        all
    };
    let ask = |authorization: Option<&str>, changes: &[(&'static str, &'static str)]| {
        let pairs = own(changes);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
        token(&sandbox, authorization, &pairs)
    };
    tokens(&ask(Some(&basic(CLIENT, SECRET)), &[]));
    tokens(&ask(Some(&basic(CLIENT, SECRET).replace("Basic", "basic")), &[("client_id", CLIENT)]));
    for authorization in [
        basic(CLIENT, "wrong"),
        basic("unknown", SECRET),
        basic(PUBLIC, ""),
        "Basic ???".to_owned(),
        "Bearer awork-sandbox-key".to_owned(),
    ] {
        refused(&ask(Some(&authorization), &[]), 401, "invalid_client");
    }
    refused(&ask(None, &[]), 401, "invalid_client");
    refused(&ask(None, &[("client_id", CLIENT)]), 401, "invalid_client");
    refused(&ask(None, &[("client_id", "unknown")]), 401, "invalid_client");
    let body = [("client_id", CLIENT), ("client_secret", SECRET)];
    refused(&ask(None, &body), 401, "invalid_client");
    let both = basic(CLIENT, SECRET);
    refused(&ask(Some(&both), &body), 400, "invalid_request");
    refused(&ask(Some(&both), &[("client_id", PUBLIC)]), 400, "invalid_request");
}

#[test]
fn secrets_in_the_body_where_they_are_taken() {
    let sandbox = with(OAuth { secret_in_body: true, ..OAuth::default() });
    let ask = |secret: &str| {
        let given = sandbox.log_in(CLIENT, "admin", REDIRECT, Some(CHALLENGE)).expect("a code");
        let pairs = changed(&given, &[("client_id", CLIENT), ("client_secret", secret)]);
        token(&sandbox, None, &pairs)
    };
    tokens(&ask(SECRET));
    refused(&ask("wrong"), 401, "invalid_client");
    refused(&ask(""), 401, "invalid_client");
}

#[test]
fn ids_and_secrets_of_any_text() {
    let (id, secret) = ("an id: 1+1", "p+w%d/ü&=");
    let clients = vec![ClientApplication::confidential(id, secret)];
    let sandbox = with(OAuth { clients, ..OAuth::default() });
    let ask = |authorization: &str| {
        let given = sandbox.log_in(id, "admin", REDIRECT, Some(CHALLENGE)).expect("a code");
        token(&sandbox, Some(authorization), &changed(&given, &[("client_id", "")]))
    };
    tokens(&ask(&basic(&common::encode(id), &common::encode(secret))));
    tokens(&ask(&basic(&common::encode(id).replace("%20", "+"), &common::encode(secret))));
    refused(&ask(&basic("an id%3A 1%2B1", secret)), 401, "invalid_client");
}

#[test]
fn the_form_of_a_request() {
    let sandbox = small();
    let given = code(&sandbox, "admin");
    let body = form(&changed(&given, &[]));
    let ask = |headers: &[(&str, &str)], body: &str| {
        send(sandbox.address(), "POST", TOKEN, headers, body)
    };
    let plain = [("Content-Type", "application/x-www-form-urlencoded")];
    refused(&ask(&[], &body), 400, "invalid_request");
    refused(&ask(&[("Content-Type", "application/json")], "{}"), 400, "invalid_request");
    refused(&ask(&plain, &format!("{body}&code=x")), 400, "invalid_request");
    refused(&ask(&plain, &format!("{body}&x={}", "y".repeat(70_000))), 400, "invalid_request");
    // What is in the query does not count, and does not show.
    let in_query = format!("{TOKEN}?{body}");
    refused(&send(sandbox.address(), "POST", &in_query, &plain, ""), 401, "invalid_client");
    let response = send(sandbox.address(), "GET", &in_query, &[], "");
    assert_eq!((response.status, response.header("allow")), (405, Some("POST")));
    let charset = [("Content-Type", "Application/X-WWW-Form-URLencoded; charset=UTF-8")];
    tokens(&ask(&charset, &format!("{body}&unknown=x")));
    assert!(!format!("{:?}", sandbox.log()).contains(&given));
}

#[test]
fn refresh_tokens_rotate() {
    let sandbox = small();
    let (first, lasting) = log_in(&sandbox, "limited");
    let response = refresh(&sandbox, &lasting);
    let (second, next) = tokens(&response);
    assert_eq!(response.json()["scope"], "full_access offline_access");
    assert!(first != second && lasting != next);
    for access in [&first, &second] {
        assert_eq!(with_token(&sandbox, access, PROJECTS).status, 200);
    }
    // Of another application, it is neither taken nor spoilt.
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", &next)];
    refused(&token(&sandbox, Some(&basic(CLIENT, SECRET)), &pairs), 400, "invalid_grant");
    refused(&refresh(&sandbox, "unknown"), 400, "invalid_grant");
    refused(&refresh(&sandbox, ""), 400, "invalid_request");
    let (third, next) = tokens(&refresh(&sandbox, &next));
    refused(&refresh(&sandbox, &lasting), 400, "invalid_grant");
    // That was the second use of it, which ends the login.
    refused(&refresh(&sandbox, &next), 400, "invalid_grant");
    for access in [&first, &second, &third] {
        assert_eq!(with_token(&sandbox, access, PROJECTS).status, 401);
    }
}

#[test]
fn reuse_may_be_forgiven() {
    let sandbox = with(OAuth { revoke_on_reuse: false, ..OAuth::default() });
    let (access, lasting) = log_in(&sandbox, "admin");
    let (_, next) = tokens(&refresh(&sandbox, &lasting));
    refused(&refresh(&sandbox, &lasting), 400, "invalid_grant");
    assert_eq!(with_token(&sandbox, &access, PROJECTS).status, 200);
    tokens(&refresh(&sandbox, &next));
}

#[test]
fn one_of_many_at_the_same_time_gets_the_tokens() {
    let sandbox = with(OAuth { revoke_on_reuse: false, ..OAuth::default() });
    let (_, lasting) = log_in(&sandbox, "admin");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || refresh(&sandbox, &lasting).status;
        let all: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 400].contains(status)));
}

#[test]
fn refresh_tokens_expire() {
    let lasts = Duration::from_millis(80);
    let sandbox = with(OAuth { refresh_token_lifetime: lasts, ..OAuth::default() });
    let (access, lasting) = log_in(&sandbox, "admin");
    sleep(lasts);
    refused(&refresh(&sandbox, &lasting), 400, "invalid_grant");
    assert_eq!(with_token(&sandbox, &access, PROJECTS).status, 200);
}

#[test]
fn scopes() {
    let sandbox = with(OAuth { login: Some("admin".into()), ..OAuth::default() });
    let given = |scope: &str| {
        let code = sent_back(&authorize(&sandbox, &[("scope", scope)]), "code").expect("a code");
        redeem(&sandbox, &code)
    };
    for scope in ["full_access", ""] {
        let response = given(scope);
        assert_eq!(response.json()["scope"], "full_access");
        assert_eq!(response.json().get("refresh_token"), None);
    }
    let (access, lasting) = tokens(&given("offline_access"));
    assert_eq!(with_token(&sandbox, &access, PROJECTS).status, 200);
    let ask = |scope: &str, lasting: &str| {
        let mut pairs = vec![("grant_type", "refresh_token"), ("client_id", PUBLIC)];
        pairs.extend([("refresh_token", lasting), ("scope", scope)]);
        token(&sandbox, None, &pairs)
    };
    refused(&ask("offline_access full_access", &lasting), 400, "invalid_scope");
    tokens(&ask("offline_access", &lasting));
    let (_, lasting) = tokens(&given("full_access offline_access"));
    let response = ask("full_access", &lasting);
    assert_eq!(response.json()["scope"], "full_access");
    // The consent is as wide as before.
    let response = refresh(&sandbox, &tokens(&response).1);
    assert_eq!(response.json()["scope"], "full_access offline_access");
}

#[test]
fn access_tokens_expire() {
    let lasts = Duration::from_millis(800);
    let sandbox = with(OAuth { access_token_lifetime: lasts, ..OAuth::default() });
    let (access, lasting) = log_in(&sandbox, "admin");
    assert_eq!(with_token(&sandbox, &access, PROJECTS).status, 200);
    sleep(lasts);
    let response = with_token(&sandbox, &access, PROJECTS);
    assert_eq!((response.status, &response.json()["exp"]), (401, &"token expired".into()));
    let (access, _) = tokens(&refresh(&sandbox, &lasting));
    assert_eq!(with_token(&sandbox, &access, PROJECTS).status, 200);
    let unknown = with_token(&sandbox, "a.b.c", PROJECTS);
    assert_eq!(unknown.body, with_token(&sandbox, "unknown", PROJECTS).body);
    assert_eq!(unknown.json()["message"], "Unauthorized");
}

#[test]
fn lifetimes_are_told_in_several_ways() {
    let told = |expires_in| {
        let access_token_lifetime = Duration::from_millis(3_599_500);
        let sandbox = with(OAuth { access_token_lifetime, expires_in, ..OAuth::default() });
        redeem(&sandbox, &code(&sandbox, "admin")).json().get("expires_in").cloned()
    };
    assert_eq!(told(ExpiresIn::Seconds), Some(3600.into()));
    assert_eq!(told(ExpiresIn::Text), Some("3600".into()));
    assert_eq!(told(ExpiresIn::Omitted), None);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let epoch = told(ExpiresIn::Epoch).and_then(|value| value.as_u64()).expect("a number");
    assert!((now + 3599..now + 3620).contains(&epoch), "{epoch}");
}
