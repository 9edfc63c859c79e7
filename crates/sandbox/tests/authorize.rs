//! The way through a browser to a code.

mod common;

use awork_sandbox::{ClientApplication, Config, Error, Identity, OAuth, Sandbox};
use common::oauth::{
    AUTHORIZE, CHALLENGE, CLIENT, PUBLIC, REDIRECT, VERIFIER, authorize, form, question, redeem,
    sent_back, token, tokens,
};
use common::{Response, send, start};

fn with(oauth: OAuth) -> Sandbox {
    start(Config { scale: 100, oauth, ..Config::default() })
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

#[test]
fn a_page_with_a_link_per_identity() {
    let sandbox = with(OAuth::default());
    let page = authorize(&sandbox, &[]);
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let page = text(&page);
    let links: Vec<&str> =
        page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links.len(), 3, "{page}");
    for (link, end) in links.iter().zip(["login=admin", "login=limited", "refuse=true"]) {
        assert!(link.starts_with('?') && link.ends_with(end), "{link}");
    }
    let follow = |link: &str| {
        let path = format!("{AUTHORIZE}{}", link.replace("&amp;", "&"));
        send(sandbox.address(), "GET", &path, &[], "")
    };
    let back = follow(links[1]);
    assert!(back.header("location").is_some_and(|url| url.starts_with(&format!("{REDIRECT}?"))));
    assert_eq!(sent_back(&back, "state").as_deref(), Some("a state & more"));
    assert_eq!(sent_back(&back, "error"), None);
    tokens(&redeem(&sandbox, &sent_back(&back, "code").expect("a code")));
    let back = follow(links[2]);
    assert_eq!(sent_back(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(sent_back(&back, "code"), None);
    assert_eq!(authorize(&sandbox, &[("login", "nobody")]).status, 400);
}

#[test]
fn names_cannot_write_the_page() {
    let name = "<b>\"&";
    let identities = vec![Identity { name: name.into(), ..Identity::admin("k") }];
    let sandbox = start(Config { scale: 100, identities, ..Config::default() });
    let page = text(&authorize(&sandbox, &[("state", "\"><script>")]));
    assert!(!page.contains("<b>") && !page.contains("<script>"), "{page}");
    assert!(page.contains("Log in as &lt;b>&quot;&amp;"), "{page}");
}

#[test]
fn logs_in_at_once() {
    let sandbox = with(OAuth { login: Some("limited".into()), ..OAuth::default() });
    let code = sent_back(&authorize(&sandbox, &[]), "code").expect("a code");
    tokens(&redeem(&sandbox, &code));
    assert_eq!(sandbox.log()[1].identity.as_deref(), Some("limited"));
    let code = sent_back(&authorize(&sandbox, &[("login", "admin")]), "code").expect("a code");
    tokens(&redeem(&sandbox, &code));
    assert_eq!(sandbox.log()[3].identity.as_deref(), Some("admin"));
    let oauth = OAuth { login: Some("nobody".into()), ..OAuth::default() };
    let started = Sandbox::start(Config { scale: 100, oauth, ..Config::default() });
    assert!(matches!(started, Err(Error::LogIn(_))));
}

#[test]
fn nobody_is_sent_to_an_unknown_place() {
    let sandbox = with(OAuth { login: Some("admin".into()), ..OAuth::default() });
    for changes in [
        ("client_id", ""),
        ("client_id", "unknown"),
        ("redirect_uri", ""),
        ("redirect_uri", "not a URL"),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:8765/other"),
        ("redirect_uri", "http://127.0.0.1:8765/callback?x=1"),
        ("redirect_uri", "http://127.0.0.1:8765/callback#x"),
        ("redirect_uri", "http://127.0.0.1.evil.example:8765/callback"),
    ] {
        // Even where more is wrong, of which the application would be told.
        for more in [("state", "x"), ("response_type", "token")] {
            let response = authorize(&sandbox, &[changes, more]);
            assert_eq!((response.status, response.header("location")), (400, None), "{changes:?}");
            assert!(text(&response).starts_with("<!DOCTYPE"));
        }
    }
    let twice = format!("{AUTHORIZE}?{}&redirect_uri=http%3A%2F%2Fx", form(&question(&[])));
    assert_eq!(send(sandbox.address(), "GET", &twice, &[], "").status, 400);
}

#[test]
fn the_application_is_told_of_other_errors() {
    let sandbox = with(OAuth { login: Some("admin".into()), ..OAuth::default() });
    for (change, error) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("grant_type", "password"), "invalid_request"),
        (("scope", "everything"), "invalid_scope"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
    ] {
        let response = authorize(&sandbox, &[change]);
        assert_eq!(sent_back(&response, "error").as_deref(), Some(error), "{change:?}");
        assert_eq!(sent_back(&response, "state").as_deref(), Some("a state & more"));
        assert_eq!(sent_back(&response, "code"), None);
    }
    let twice = format!("{AUTHORIZE}?{}&scope=full_access", form(&question(&[])));
    let response = send(sandbox.address(), "GET", &twice, &[], "");
    assert_eq!(sent_back(&response, "error").as_deref(), Some("invalid_request"));
    let response = authorize(&sandbox, &[("state", "")]);
    assert!(sent_back(&response, "code").is_some() && sent_back(&response, "state").is_none());
    let response = authorize(&sandbox, &[("grant_type", "")]);
    assert!(sent_back(&response, "code").is_some());
    let response = send(sandbox.address(), "POST", AUTHORIZE, &[], "");
    assert_eq!((response.status, response.header("allow")), (405, Some("GET")));
}

#[test]
fn loopback_ports() {
    let elsewhere = "http://localhost:40123/callback";
    let ask = |oauth| {
        let sandbox = with(OAuth { login: Some("admin".into()), ..oauth });
        authorize(&sandbox, &[("redirect_uri", elsewhere)])
    };
    let response = ask(OAuth::default());
    assert!(sent_back(&response, "code").is_some());
    assert!(response.header("location").is_some_and(|url| url.starts_with(elsewhere)));
    assert_eq!(ask(OAuth { any_loopback_port: false, ..OAuth::default() }).status, 400);
}

#[test]
fn redirects_keep_their_query() {
    let redirect = "app.example:/back?tenant=7";
    let redirect_uris = vec![redirect.to_owned()];
    let clients = vec![ClientApplication { redirect_uris, ..ClientApplication::public(PUBLIC) }];
    let sandbox = with(OAuth { clients, login: Some("admin".into()), ..OAuth::default() });
    let response = authorize(&sandbox, &[("redirect_uri", redirect)]);
    assert_eq!(sent_back(&response, "tenant").as_deref(), Some("7"));
    assert!(sent_back(&response, "code").is_some());
}

#[test]
fn a_challenge_is_a_matter_of_choice_with_a_secret() {
    let none = [("client_id", CLIENT), ("code_challenge", ""), ("code_challenge_method", "")];
    let lax = with(OAuth { login: Some("admin".into()), ..OAuth::default() });
    let code = sent_back(&authorize(&lax, &none), "code").expect("a code");
    let basic = common::oauth::basic(CLIENT, common::oauth::SECRET);
    let mut pairs =
        vec![("grant_type", "authorization_code"), ("redirect_uri", REDIRECT), ("code", &code)];
    pairs.push(("code_verifier", VERIFIER));
    let response = token(&lax, Some(&basic), &pairs);
    assert_eq!(response.json()["error"], "invalid_grant", "there was no challenge to meet");
    pairs.pop();
    tokens(&token(&lax, Some(&basic), &pairs));
    let strict =
        with(OAuth { login: Some("admin".into()), require_pkce: true, ..OAuth::default() });
    let response = authorize(&strict, &none);
    assert_eq!(sent_back(&response, "error").as_deref(), Some("invalid_request"));
}

#[test]
fn codes_without_a_browser() {
    let sandbox = with(OAuth::default());
    let code = sandbox.log_in(PUBLIC, "admin", REDIRECT, Some(CHALLENGE)).expect("a code");
    tokens(&redeem(&sandbox, &code));
    for (client, identity, redirect, challenge) in [
        ("unknown", "admin", REDIRECT, Some(CHALLENGE)),
        (PUBLIC, "nobody", REDIRECT, Some(CHALLENGE)),
        (PUBLIC, "admin", "https://evil.example/", Some(CHALLENGE)),
        (PUBLIC, "admin", REDIRECT, None),
    ] {
        let refused = sandbox.log_in(client, identity, redirect, challenge);
        assert!(matches!(refused, Err(Error::LogIn(_))));
    }
}

#[test]
fn discovery() {
    let ask = |sandbox: &Sandbox| {
        let path = "/.well-known/openid-configuration";
        let response = send(sandbox.address(), "GET", path, &[], "");
        assert_eq!(response.status, 200);
        response.json()
    };
    let sandbox = with(OAuth::default());
    let found = ask(&sandbox);
    assert_eq!(found["issuer"], format!("http://{}", sandbox.address()));
    let below = |path: &str| format!("{}/accounts/{path}", sandbox.api_url());
    assert_eq!(found["authorization_endpoint"], below("authorize"));
    assert_eq!(found["token_endpoint"], below("token"));
    assert_eq!(found["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    let methods = "token_endpoint_auth_methods_supported";
    assert_eq!(found[methods], serde_json::json!(["client_secret_basic", "none"]));
    let found = ask(&with(OAuth { secret_in_body: true, ..OAuth::default() }));
    assert_eq!(found[methods][2], "client_secret_post");
}
