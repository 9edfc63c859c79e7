//! The authorization endpoint (RFC 6749, section 4.1.1, and RFC 7636, section 4.3).

use url::Url;

use super::form::Form;
use super::refusal::Refusal;
use super::settings::ClientApplication;
use super::store::Login;
use super::{Authority, page, secret};
use crate::answer::Answer;
use crate::identities::Identities;

/// The scopes there are.
pub(super) const SCOPES: [&str; 2] = ["full_access", "offline_access"];

/// What is granted where no scope is named.
const DEFAULT_SCOPE: &str = "full_access";

/// Answers with a page, with a code, or with an error that the application is told.
pub(super) fn answer(authority: &Authority, form: &Form, identities: &Identities) -> Answer {
    let (client, redirect_uri, url) = match target(authority, form) {
        Ok(target) => target,
        Err(refusal) => return page::refused(&refusal),
    };
    let state = form.get("state").filter(|_| !form.repeats("state"));
    let back = |name: &str, value: &str| {
        let mut url = url.clone();
        url.query_pairs_mut().append_pair(name, value);
        url
    };
    let (mut url, refusal) = match demand(authority, client, form) {
        Err(refusal) => (back("error", refusal.error), Some(refusal)),
        Ok(_) if form.get("refuse").is_some() => {
            let refusal = Refusal::new("access_denied", "refused on the page");
            (back("error", refusal.error), Some(refusal))
        }
        Ok(demanded) => {
            let login = form.get("login").or(authority.settings.login.as_deref());
            let Some(login) = login else {
                return page::choose(form, &client.id, &identities.all());
            };
            match code(authority, identities, login, (client, redirect_uri), demanded) {
                Ok(code) => (back("code", &code), None),
                Err(refusal) => return page::refused(&refusal),
            }
        }
    };
    if let Some(refusal) = &refusal {
        url.query_pairs_mut().append_pair("error_description", &refusal.why);
    }
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    let mut answer = Answer::page(302, "Back to the application", "").not_stored();
    answer.headers.push(("location", url.into()));
    answer.refusal = refusal.map(|refusal| refusal.text().into());
    answer
}

/// The application and where it wants its answer. Nobody is sent to a place that is not
/// registered, whatever else is wrong.
fn target<'a>(
    authority: &'a Authority,
    form: &'a Form,
) -> Result<(&'a ClientApplication, &'a str, Url), Refusal> {
    for name in ["client_id", "redirect_uri"] {
        if form.repeats(name) {
            return Err(Refusal::invalid_request(format!("{name} is repeated")));
        }
    }
    let client = authority.settings.client(form.need("client_id")?);
    let client = client.ok_or_else(|| Refusal::invalid_request("client_id is unknown"))?;
    let redirect_uri = form.need("redirect_uri")?;
    let url = Url::parse(redirect_uri).ok().filter(|url| url.fragment().is_none());
    let url = url.filter(|_| authority.settings.may_redirect(client, redirect_uri));
    let url = url.ok_or_else(|| Refusal::invalid_request("redirect_uri is not registered"))?;
    Ok((client, redirect_uri, url))
}

/// The scope and the code challenge.
fn demand<'a>(
    authority: &Authority,
    client: &ClientApplication,
    form: &'a Form,
) -> Result<(&'a str, Option<&'a str>), Refusal> {
    form.check_repeated()?;
    if form.need("response_type")? != "code" {
        return Err(Refusal::new("unsupported_response_type", "response_type must be code"));
    }
    if form.get("grant_type").is_some_and(|grant| grant != "authorization_code") {
        return Err(Refusal::invalid_request("grant_type must be authorization_code"));
    }
    let scope = form.get("scope").unwrap_or(DEFAULT_SCOPE);
    if !scope.split(' ').all(|scope| SCOPES.contains(&scope)) {
        return Err(Refusal::new("invalid_scope", "there are full_access and offline_access"));
    }
    let challenge = form.get("code_challenge");
    match (challenge, form.get("code_challenge_method")) {
        (None, None) if client.secret.is_none() || authority.settings.require_pkce => {
            return Err(Refusal::invalid_request("code_challenge is missing"));
        }
        (None, None) => {}
        (None, Some(_)) => return Err(Refusal::invalid_request("code_challenge is missing")),
        // Without a method it would be "plain".
        (Some(_), method) if method != Some("S256") => {
            return Err(Refusal::invalid_request("code_challenge_method must be S256"));
        }
        (Some(challenge), _) if challenge.len() != 43 || !secret::is_verifier(challenge) => {
            return Err(Refusal::invalid_request("code_challenge is no SHA-256"));
        }
        _ => {}
    }
    Ok((scope, challenge))
}

/// A code for an identity, given by name.
fn code(
    authority: &Authority,
    identities: &Identities,
    name: &str,
    (client, redirect_uri): (&ClientApplication, &str),
    (scope, challenge): (&str, Option<&str>),
) -> Result<String, Refusal> {
    let identity = identities.by_name(name);
    let identity = identity.ok_or_else(|| Refusal::invalid_request("there is no such identity"))?;
    let login = Login {
        client: client.id.clone(),
        identity: identity.name.clone(),
        scope: scope.to_owned(),
    };
    Ok(authority.give_code(login, redirect_uri, challenge))
}

/// A code without the way through a browser, under the same conditions.
pub(super) fn directly(
    authority: &Authority,
    identities: &Identities,
    form: &Form,
) -> Result<String, Refusal> {
    let (client, redirect_uri, _) = target(authority, form)?;
    let demanded = demand(authority, client, form)?;
    code(authority, identities, form.need("login")?, (client, redirect_uri), demanded)
}
