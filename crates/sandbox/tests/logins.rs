//! What becomes of logins while the sandbox runs: faults, control calls, and the log.

mod common;

use std::time::Duration;

use awork_sandbox::{ClientAuthentication, Config, Fault, Identity, OAuth, Sandbox};
use common::oauth::{
    CHALLENGE, CLIENT, PUBLIC, REDIRECT, SECRET, TOKEN, VERIFIER, authorize, basic, code, log_in,
    redeem, refresh, refusal, token, tokens, with_token,
};
use common::{KEY, LIMITED, Response, get, send, small, start};
use serde_json::{Value, json};

const PROJECTS: &str = "/api/v1/projects";

fn fault(sandbox: &Sandbox, fault: Value) {
    sandbox.clear_faults();
    sandbox.add_fault(serde_json::from_value::<Fault>(fault).expect("a fault"));
}

fn control(sandbox: &Sandbox, method: &str, path: &str, body: &Value) -> Response {
    send(sandbox.address(), method, &format!("/_sandbox/{path}"), &[], &body.to_string())
}

#[test]
fn answers_are_lost_after_tokens_have_rotated() {
    let oauth = OAuth { revoke_on_reuse: false, ..OAuth::default() };
    let sandbox = start(Config { scale: 100, oauth, ..Config::default() });
    for cut in [json!({"kind": "cut_body"}), json!({"kind": "cut_body", "after": 0})] {
        let (_, lasting) = log_in(&sandbox, "admin");
        fault(&sandbox, cut);
        let response = refresh(&sandbox, &lasting);
        assert!(response.status == 200 && !response.complete);
        sandbox.clear_faults();
        assert_eq!(refusal(&refresh(&sandbox, &lasting)), (400, "invalid_grant".into()));
    }
    let (_, lasting) = log_in(&sandbox, "admin");
    fault(&sandbox, json!({"kind": "slow_body", "ms": 60}));
    let (_, lasting) = tokens(&refresh(&sandbox, &lasting));
    // A client that gives up while nothing comes may have lost its refresh token or not.
    for (kind, rotated) in [("hang", false), ("hang_after", true)] {
        fault(&sandbox, json!({"path": "/accounts/token", "kind": kind}));
        give_up(&sandbox, &lasting);
        let entry = sandbox.log().pop().expect("a request");
        assert_eq!((entry.status, entry.grant_type.as_deref()), (None, Some("refresh_token")));
        sandbox.clear_faults();
        if rotated {
            assert_eq!(refusal(&refresh(&sandbox, &lasting)), (400, "invalid_grant".into()));
        }
    }
}

/// Sends a refresh token and waits a little while for an answer that does not come.
fn give_up(sandbox: &Sandbox, lasting: &str) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(sandbox.address()).expect("a connection");
    let body = format!("grant_type=refresh_token&client_id={PUBLIC}&refresh_token={lasting}");
    let head = format!(
        "POST {TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("sent");
    stream.set_read_timeout(Some(Duration::from_millis(400))).expect("a timeout");
    assert!(stream.read(&mut [0; 1]).is_err(), "no answer comes");
}

#[test]
fn faults_before_anything_happens() {
    let sandbox = small();
    let (_, mut lasting) = log_in(&sandbox, "admin");
    for (kind, status) in [
        (json!({"kind": "status", "status": 500}), 500),
        (json!({"kind": "status", "status": 429, "retry_after": 1}), 429),
        (json!({"kind": "blocked"}), 403),
        (json!({"kind": "html"}), 200),
        (json!({"kind": "redirect", "location": "http://127.0.0.1:1/"}), 302),
    ] {
        fault(&sandbox, kind);
        assert_eq!(refresh(&sandbox, &lasting).status, status);
        sandbox.clear_faults();
        // Nothing was rotated.
        (_, lasting) = tokens(&refresh(&sandbox, &lasting));
    }
    fault(&sandbox, json!({"kind": "latency", "ms": 100}));
    let begin = std::time::Instant::now();
    tokens(&refresh(&sandbox, &lasting));
    assert!(begin.elapsed() >= Duration::from_millis(100));
}

#[test]
fn faults_choose_by_grant() {
    let sandbox = small();
    let query = "grant_type=refresh_token";
    fault(
        &sandbox,
        json!({"path": "/accounts/token", "query": query, "kind": "status",
        "status": 500, "first": 1}),
    );
    let (_, lasting) = log_in(&sandbox, "admin");
    assert_eq!(refresh(&sandbox, &lasting).status, 500);
    tokens(&refresh(&sandbox, &lasting));
}

#[test]
fn access_tokens_expire_on_request() {
    let sandbox = small();
    let (access, lasting) = log_in(&sandbox, "admin");
    assert_eq!(sandbox.expire_access_tokens(), 1);
    assert_eq!(with_token(&sandbox, &access, PROJECTS).json()["exp"], "token expired");
    let (access, _) = tokens(&refresh(&sandbox, &lasting));
    assert_eq!(with_token(&sandbox, &access, PROJECTS).status, 200);
    assert_eq!(control(&sandbox, "POST", "expire", &json!({})).json()["expired"], 1);
    assert_eq!(with_token(&sandbox, &access, PROJECTS).json()["exp"], "token expired");
    assert_eq!(get(&sandbox, PROJECTS).status, 200, "keys do not expire");
}

#[test]
fn logins_are_revoked_on_request() {
    let sandbox = small();
    let given = code(&sandbox, "admin");
    let (access, lasting) = log_in(&sandbox, "admin");
    let (other, _) = log_in(&sandbox, "limited");
    assert!(sandbox.revoke_logins("admin") > 0);
    let response = with_token(&sandbox, &access, PROJECTS);
    assert_eq!((response.status, &response.json()["message"]), (401, &"Unauthorized".into()));
    assert_eq!(refusal(&refresh(&sandbox, &lasting)), (400, "invalid_grant".into()));
    assert_eq!(refusal(&redeem(&sandbox, &given)), (400, "invalid_grant".into()));
    assert_eq!(with_token(&sandbox, &other, PROJECTS).status, 200);
    // Who comes again gets in again.
    let (access, _) = log_in(&sandbox, "admin");
    assert_eq!(with_token(&sandbox, &access, PROJECTS).status, 200);
    let revoked = control(&sandbox, "DELETE", "logins/limited", &json!({})).json();
    assert!(revoked["revoked"].as_u64() > Some(0));
    assert_eq!(with_token(&sandbox, &other, PROJECTS).status, 401);
}

#[test]
fn identities_are_replaced() {
    let sandbox = small();
    let (admin, _) = log_in(&sandbox, "admin");
    let (limited, lasting) = log_in(&sandbox, "limited");
    let status = |key: &str, path: &str| with_token(&sandbox, key, path).status;
    assert_eq!(status(LIMITED, PROJECTS), 200);
    sandbox.replace_identities(vec![Identity::admin("rotated")]);
    assert_eq!([KEY, LIMITED, "rotated"].map(|key| status(key, PROJECTS)), [401, 401, 200]);
    assert_eq!(status(&admin, PROJECTS), 200, "a login does not hang on the key");
    assert_eq!(status(&limited, PROJECTS), 401);
    assert_eq!(refusal(&refresh(&sandbox, &lasting)), (400, "invalid_grant".into()));
    let identities = json!([
        {"name": "one", "key": "first", "admin": true},
        {"name": "two", "key": "second", "user": 1, "refused": ["/projects"]},
        {"name": "three", "key": "third"},
    ]);
    assert_eq!(control(&sandbox, "PUT", "identities", &identities).status, 200);
    assert_eq!(["rotated", "first", "second"].map(|key| status(key, PROJECTS)), [401, 200, 401]);
    // The same user with and without rights.
    let users = |key: &str| with_token(&sandbox, key, "/api/v1/users?pageSize=1000").rows().len();
    assert!(users("first") > users("third"));
    let shown = control(&sandbox, "GET", "identities", &json!({}));
    assert_eq!(shown.rows()[1]["refused"], json!(["/projects"]));
    assert!(!String::from_utf8_lossy(&shown.body).contains("second"));
    assert_eq!(control(&sandbox, "PUT", "identities", &json!([{"name": "x"}])).status, 400);
}

#[test]
fn logins_over_http() {
    let sandbox = small();
    let mut login = json!({"clientId": PUBLIC, "identity": "limited", "redirectUri": REDIRECT,
        "codeChallenge": CHALLENGE});
    let given = control(&sandbox, "POST", "logins", &login).json();
    tokens(&redeem(&sandbox, given["code"].as_str().expect("a code")));
    login["identity"] = "nobody".into();
    assert_eq!(control(&sandbox, "POST", "logins", &login).status, 400);
}

#[test]
fn the_log_keeps_no_secrets() {
    let sandbox = small();
    let given = code(&sandbox, "limited");
    let first = redeem(&sandbox, &given);
    let second = refresh(&sandbox, &tokens(&first).1);
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", "lost-token")];
    token(&sandbox, Some(&basic(CLIENT, SECRET)), &pairs);
    token(&sandbox, None, &[("client_id", CLIENT), ("client_secret", "lost-secret")]);
    authorize(&sandbox, &[]);
    let misplaced = format!("{TOKEN}?code=lost-code&Client_Secret=lost-secret&code_verifier=lost");
    send(sandbox.address(), "POST", &misplaced, &[], "");
    let log = sandbox.log();
    let seen: Vec<_> = log
        .iter()
        .map(|entry| {
            let asked = (entry.grant_type.as_deref(), entry.client_authentication);
            (entry.method.as_str(), entry.status, asked, entry.identity.as_deref())
        })
        .collect();
    let none = Some(ClientAuthentication::None);
    assert_eq!(
        seen,
        [
            ("POST", Some(200), (Some("authorization_code"), none), Some("limited")),
            ("POST", Some(200), (Some("refresh_token"), none), Some("limited")),
            ("POST", Some(400), (Some("refresh_token"), Some(ClientAuthentication::Basic)), None),
            ("POST", Some(401), (None, Some(ClientAuthentication::Body)), None),
            ("GET", Some(200), (None, None), None),
            ("POST", Some(400), (None, none), None),
        ]
    );
    assert_eq!(log[0].path, TOKEN);
    assert!(log[2].refusal.as_deref().is_some_and(|why| why.starts_with("invalid_grant")));
    assert_eq!(log[4].parameter("state"), Some("a state & more"));
    assert_eq!(log[4].parameter("code_challenge"), Some(CHALLENGE));
    let over_http = control(&sandbox, "GET", "log", &json!({}));
    assert_eq!(over_http.rows()[2]["clientAuthentication"], "basic");
    assert_eq!(over_http.rows()[0]["grantType"], "authorization_code");
    let texts = [
        format!("{log:?}"),
        format!("{sandbox:?}"),
        String::from_utf8_lossy(&over_http.body).into_owned(),
    ];
    let (first, second) = (tokens(&first), tokens(&second));
    let secrets = [&*given, VERIFIER, SECRET, "lost", &*first.0, &*first.1, &*second.0, &*second.1];
    for text in &texts {
        for secret in secrets.iter().chain(&[KEY, LIMITED]) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
