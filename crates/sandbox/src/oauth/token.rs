//! The token endpoint (RFC 6749, sections 4.1.3 and 6).

use hyper::header::{self, HeaderMap};
use serde_json::{Map, Value, json};

use super::form::Form;
use super::refusal::Refusal;
use super::settings::ExpiresIn;
use super::store::Tokens;
use super::{Authority, client, secret};
use crate::answer::Answer;
use crate::identities::Identities;
use crate::log::ClientAuthentication;

/// The media type of requests.
const FORM: &str = "application/x-www-form-urlencoded";

/// A request for tokens as it came.
pub(crate) struct TokenRequest {
    form: Form,
    authorization: Option<String>,
    /// What is wrong before the form is looked at.
    unreadable: Option<Refusal>,
}

impl TokenRequest {
    pub(super) fn new(headers: &HeaderMap, body: Result<Vec<u8>, String>) -> TokenRequest {
        let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let media = content_type.split(';').next().unwrap_or_default().trim();
        let wrong = (!media.eq_ignore_ascii_case(FORM)).then(|| format!("the body is no {FORM}"));
        let unreadable = body.as_ref().err().cloned().or(wrong).map(Refusal::invalid_request);
        let form = Form::parse(&body.unwrap_or_default());
        let authorization = text(header::AUTHORIZATION).map(std::borrow::Cow::into_owned);
        TokenRequest { form, authorization, unreadable }
    }

    pub(super) fn grant_type(&self) -> Option<&str> {
        self.form.get("grant_type")
    }

    pub(super) fn client_authentication(&self) -> ClientAuthentication {
        client::method(self.authorization.as_deref(), &self.form)
    }
}

/// Gives tokens, or says why not.
pub(super) fn answer(
    authority: &Authority,
    request: &TokenRequest,
    identities: &Identities,
) -> Answer {
    match tokens(authority, request) {
        Ok(tokens) => {
            let body = rendered(authority, &tokens);
            let mut answer = Answer::json(200, body.to_string().into_bytes()).not_stored();
            answer.identity = identities.by_name(&tokens.identity);
            answer
        }
        Err(refusal) => refusal.answer(),
    }
}

fn tokens(authority: &Authority, request: &TokenRequest) -> Result<Tokens, Refusal> {
    if let Some(refusal) = &request.unreadable {
        return Err(refusal.clone());
    }
    let form = &request.form;
    form.check_repeated()?;
    let settings = &authority.settings;
    let client = settings.authenticate(request.authorization.as_deref(), form)?;
    let mut store = authority.store();
    match form.need("grant_type")? {
        "authorization_code" => {
            let code = form.need("code")?;
            let redirect_uri = form.need("redirect_uri")?;
            let verifier = form.get("code_verifier");
            if verifier.is_some_and(|verifier| !secret::is_verifier(verifier)) {
                return Err(Refusal::invalid_request("code_verifier is malformed"));
            }
            store.redeem(code, &client.id, redirect_uri, verifier, settings)
        }
        "refresh_token" => {
            let token = form.need("refresh_token")?;
            store.rotate(token, &client.id, form.get("scope"), settings)
        }
        _ => Err(Refusal::new("unsupported_grant_type", "there is no such grant_type")),
    }
}

/// The body of RFC 6749, section 5.1.
fn rendered(authority: &Authority, tokens: &Tokens) -> Value {
    let lasts = authority.settings.access_token_lifetime.as_secs_f64().ceil() as u64;
    let mut body = Map::new();
    body.insert("access_token".into(), json!(tokens.access));
    body.insert("token_type".into(), json!("Bearer"));
    let expires_in = match authority.settings.expires_in {
        ExpiresIn::Seconds => Some(json!(lasts)),
        ExpiresIn::Epoch => Some(json!(tokens.ends)),
        ExpiresIn::Text => Some(json!(lasts.to_string())),
        ExpiresIn::Omitted => None,
    };
    body.extend(expires_in.map(|value| ("expires_in".to_owned(), value)));
    body.extend(tokens.refresh.iter().map(|token| ("refresh_token".to_owned(), json!(token))));
    body.insert("scope".into(), json!(tokens.scope));
    Value::Object(body)
}
