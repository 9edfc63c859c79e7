//! Secrets never show: whatever awork answers, no message, log and plan has one.

use std::sync::{Arc, Mutex};

use awork_sandbox::Action;
use postgres::Client;
use serde_json::{Map, Value, json};
use system_tests::echo::{Echo, response};
use system_tests::watched::{KINDS, READING, TELLING, Watched, marked};

fn status(status: u16, code: Option<&str>) -> Action {
    Action::Status { status, code: code.map(str::to_owned), retry_after: None }
}

fn body(status: u16, text: impl Into<String>) -> Action {
    Action::Body { text: Some(text.into()), bytes: None, status: Some(status), content_type: None }
}

fn set(property: &str, value: Value) -> Action {
    let set = Map::from_iter([(property.to_owned(), value)]);
    Action::SetProperties { row: None, set }
}

/// Every kind of fault but those of rows, and those that take time.
fn faults() -> Vec<Action> {
    let mut faults = vec![
        Action::Expired,
        Action::Blocked,
        Action::Html,
        Action::CutBody { after: None },
        Action::CutBody { after: Some(0) },
        Action::SlowBody { after: None, ms: 1 },
        Action::Latency { ms: 1 },
        Action::HugeBody { mib: 1 },
        Action::Redirect { location: "https://elsewhere.example/".into(), status: None },
        body(200, ""),
        body(200, "[[["),
        body(204, ""),
    ];
    for number in [400, 401, 403, 404, 408, 500, 503] {
        faults.push(status(number, None));
        faults.push(status(number, Some("other")));
        faults.push(body(number, ""));
    }
    faults.push(status(401, Some("unauthorized")));
    faults.push(status(400, Some("invalid-filter-or-order")));
    faults
}

/// Faults of lists and their rows.
fn row_faults() -> Vec<Action> {
    vec![
        Action::RepeatPage { page: 1 },
        Action::DropRows { rows: 3 },
        Action::Totals { total: Some(-1) },
        Action::Totals { total: None },
        Action::PageSize { rows: 2 },
        Action::RefuseFilter,
        Action::RefuseOrder,
        Action::WithoutProperties { names: vec!["id".into()] },
        set("createdOn", json!("yesterday")),
        set("duration", json!([{"a": 1}])),
        set("id", json!(5)),
        set("name", json!({"no": "text"})),
    ]
}

/// Faults that take as long as a request may take, or after which the next ones wait.
fn slow_faults() -> [Action; 6] {
    [
        status(429, None),
        Action::Status { status: 429, code: Some("other".into()), retry_after: Some(1) },
        Action::Hang,
        Action::HangAfter,
        Action::SlowBody { after: None, ms: 60_000 },
        Action::Latency { ms: 60_000 },
    ]
}

/// Responses with a secret in the places that are quoted.
fn errors_with(secret: &str) -> Vec<String> {
    let headers = format!("X-Edge-Ref: {secret}\r\nLocation: /{secret}\r\nTrace-Id: {secret}\r\n");
    let mut responses = Vec::new();
    for status in [302, 400, 401, 403, 404, 408, 429, 500, 503] {
        // What is quoted is cut after 100 characters.
        for before in [0, 70, 95] {
            let said = format!("{} {secret}", "x".repeat(before));
            let errors = json!([{"property": secret, "message": said}, {"property": said}]);
            let body = json!({"code": "other", "description": said, "traceId": said,
                "validationErrors": errors, "error": secret, "error_description": said});
            responses.push(response(status, &headers, &body.to_string()));
        }
        responses.push(response(status, &headers, secret));
    }
    let filter = json!({"code": "invalid-filter-or-order", "description": secret});
    responses.push(response(400, "", &filter.to_string()));
    let rights = json!({"code": "unauthorized", "description": secret});
    responses.push(response(401, "", &rights.to_string()));
    for body in ["<p>{}</p>", "[{}]", "{\"{}\": ", "{}"] {
        responses.push(response(200, &headers, &body.replace("{}", secret)));
    }
    responses.push(format!("HTTP/1.1 {secret}\r\n\r\n"));
    responses.push(format!("HTTP/1.1 200 OK\r\n{secret}\r\n\r\n"));
    responses.push(format!("{secret}\r\n\r\n"));
    responses
}

/// Good JSON with a secret where another type is expected.
fn values_with(secret: &str) -> Vec<String> {
    let bodies = [
        json!(secret),
        json!([secret]),
        json!({ "id": [secret] }),
        json!({ "workspace": secret, "userPermission": secret }),
        json!({ secret: secret }),
        json!([{ "id": secret, "duration": secret, "createdOn": secret, "isBillable": secret }]),
    ];
    bodies.iter().map(|body| response(200, "", &body.to_string())).collect()
}

/// The same for each kind of credential: what a session of it says under each fault.
fn under_faults(watched: &mut Watched, kind: &str) {
    let mut client = watched.session(kind);
    if kind == "login" {
        watched.log_in(&mut client);
    }
    watched.sandbox.clear_log();
    watched.run_all(&mut client);
    let log = watched.sandbox.log();
    assert!(log.len() > READING.len(), "{} requests", log.len());
    let told = watched.seen.lock().unwrap().join("\n");
    assert!(told.contains("Lookup Join of") && told.contains("<Async-Capable>true"), "{told}");
    let others = log.iter().find(|entry| entry.identity.as_deref() != Some(kind));
    assert!(others.is_none(), "{others:?}");
    for action in faults().into_iter().chain(row_faults()) {
        watched.add("", None, action.clone());
        if ["key", "login"].contains(&kind) {
            watched.run_all(&mut client);
        } else {
            watched.run(&mut client, READING[0], false);
            watched.run(&mut client, TELLING[0], true);
        }
        watched.sandbox.clear_faults();
        watched.learn_tokens();
        watched.shows_none(&format!("{kind}, {action:?}"));
    }
}

/// Sessions with each kind of credential at a server that gives back what it is sent, in every
/// form.
fn under_echoes(
    name: &str,
    responses: fn(&str) -> Vec<String>,
    run: fn(&Watched, &mut Client),
) -> Option<()> {
    let form = Arc::new(Mutex::new(0));
    let (chosen, of) = (form.clone(), name.to_owned());
    let echo = Echo::start(move |request| {
        if request.starts_with("POST") {
            let tokens = json!({"expires_in": 86_400,
                "access_token": marked(&of, &format!("access-{}", request.len())),
                "refresh_token": marked(&of, "refresh")});
            return response(200, "", &tokens.to_string());
        }
        let token = request.split("Bearer ").nth(1).and_then(|rest| rest.lines().next());
        responses(token.unwrap_or("nothing")).swap_remove(*chosen.lock().unwrap())
    });
    let mut watched = Watched::new(name, Some(&echo.api_url()))?;
    for kind in KINDS {
        let mut client = watched.session(kind);
        if *kind == "login" {
            let sql = "SELECT awork_fdw_login_url($1)";
            client.query_one(sql, &[&watched.name]).expect("an address");
            let outcome = watched.complete(&mut client, &marked(name, "code"));
            outcome.expect("a login");
        }
        for number in 0..responses("").len() {
            *form.lock().unwrap() = number;
            run(&watched, &mut client);
            watched.learn_tokens();
            watched.shows_none(&format!("{kind}, response {number}"));
        }
    }
    let sent = echo.requests();
    let has = |kind: &str| {
        let token = marked(name, kind);
        sent.iter().any(|request| request.contains(&token[..18 + kind.len()]))
    };
    assert!(["key", "file", "setting", "access", "code"].into_iter().all(has));
    Some(())
}

#[test]
fn faults_bring_no_key_into_what_is_said() {
    let Some(mut watched) = Watched::new("redact_keys", None) else { return };
    for kind in ["key", "file", "setting"] {
        under_faults(&mut watched, kind);
    }
}

#[test]
fn faults_bring_no_token_of_a_login_into_what_is_said() {
    let Some(mut watched) = Watched::new("redact_login", None) else { return };
    under_faults(&mut watched, "login");
}

#[test]
fn requests_that_take_too_long_or_must_wait_bring_no_secret_into_what_is_said() {
    let Some(mut watched) = Watched::new("redact_slow", None) else { return };
    let mut client = watched.session("login");
    watched.log_in(&mut client);
    let sql = "ALTER SERVER redact_slow OPTIONS (SET request_timeout '0.3')";
    watched.admin.batch_execute(sql).unwrap();
    for action in slow_faults() {
        // A token that has expired is renewed first, by the endpoint that hangs as well.
        for is_expired in [false, true] {
            if is_expired {
                watched.sandbox.expire_access_tokens();
            }
            watched.add("", None, action.clone());
            watched.run(&mut client, READING[0], false);
            watched.run(&mut client, READING[4], false);
            watched.run(&mut client, TELLING[0], true);
            watched.sandbox.clear_faults();
            watched.learn_tokens();
            watched.shows_none(&format!("{action:?}"));
        }
    }
}

#[test]
fn awork_may_say_the_secret_and_no_error_does() {
    under_echoes("redact_errors", errors_with, Watched::run_all);
}

#[test]
fn a_check_does_not_quote_what_it_does_not_understand() {
    let responses = |secret: &str| {
        let mut responses = values_with(secret);
        // Read as an object whose first property is the id, which is shown.
        responses.remove(1);
        responses
    };
    under_echoes("redact_check", responses, |w, client| w.run(client, TELLING[0], true));
}

#[test]
fn awork_may_give_the_secret_as_a_value_and_no_error_shows_it() {
    under_echoes("redact_values", values_with, Watched::run_all);
}

#[test]
fn the_token_endpoint_may_say_the_secret_and_no_error_does() {
    let Some(mut watched) = Watched::new("redact_token", None) else { return };
    let mut client = watched.session("login");
    // Its request would be the one that is told why there is no new token.
    client.batch_execute("SET awork_fdw.warn_not_admin = off").unwrap();
    let application = watched.secrets[KINDS.len()].clone();
    for form in [
        |secret: &str| json!({"error": "invalid_grant", "error_description": secret}),
        |secret: &str| json!({"error": "invalid_client", "error_description": secret}),
        |secret: &str| json!({"error": secret, "error_uri": secret}),
        |secret: &str| json!({"access_token": [secret], "refresh_token": secret}),
        |secret: &str| json!({"access_token": format!("{secret} "), "token_type": secret}),
        |secret: &str| json!({"code": "other", "description": secret, "traceId": secret}),
    ] {
        for status in [200, 400, 401, 429, 500] {
            let code = watched.code(&mut client);
            let login = "SELECT verifier FROM awork_fdw_login_requests";
            let verifier: String = watched.admin.query_one(login, &[]).unwrap().get(0);
            let said = format!("{code} {verifier} {application}");
            watched.add("/accounts/token", None, body(status, form(&said).to_string()));
            assert!(watched.complete(&mut client, &code).is_err());
            watched.sandbox.clear_faults();

            watched.log_in(&mut client);
            let login = "SELECT refresh_token FROM awork_fdw_tokens";
            let refresh: String = watched.admin.query_one(login, &[]).unwrap().get(0);
            watched.sandbox.expire_access_tokens();
            let said = format!("{application} {refresh}");
            watched.add("/accounts/token", None, body(status, form(&said).to_string()));
            watched.run(&mut client, READING[0], false);
            watched.run(&mut client, TELLING[0], true);
            watched.sandbox.clear_faults();
            if status == 400 && form("")["error"] == "invalid_grant" {
                assert!(watched.masked() > 1, "what awork says is shown without the secret");
            }
            watched.learn_tokens();
            watched.shows_none(&format!("{status}, {}", form("…")));
        }
    }
    let failed = watched.sandbox.log();
    let of = |grant: &str| failed.iter().any(|e| e.grant_type.as_deref() == Some(grant));
    assert!(of("authorization_code") && of("refresh_token"));
}

#[test]
fn faults_of_the_token_endpoint_bring_no_secret_into_what_is_said() {
    let Some(mut watched) = Watched::new("redact_grants", None) else { return };
    let mut client = watched.session("login");
    for action in faults() {
        let code = watched.code(&mut client);
        watched.add("/accounts/token", Some("grant_type=authorization_code"), action.clone());
        watched.complete(&mut client, &code).ok();
        watched.sandbox.clear_faults();
        watched.log_in(&mut client);
        watched.sandbox.expire_access_tokens();
        watched.add("/accounts/token", Some("grant_type=refresh_token"), action.clone());
        watched.run(&mut client, READING[0], false);
        watched.run(&mut client, TELLING[0], true);
        watched.sandbox.clear_faults();
        watched.learn_tokens();
        watched.shows_none(&format!("{action:?}"));
    }
}
