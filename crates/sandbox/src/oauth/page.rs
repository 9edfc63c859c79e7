//! The pages that a browser is shown.

use std::fmt::Write;
use std::sync::Arc;

use super::form::Form;
use super::refusal::Refusal;
use crate::answer::Answer;
use crate::config::Identity;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Lets somebody choose whom to log in as; each link is the same request with one more parameter.
pub(super) fn choose(form: &Form, client: &str, identities: &[Arc<Identity>]) -> Answer {
    let mut body = format!("<h1>awork-sandbox</h1><p>{} asks for access.</p><ul>", escape(client));
    let mut link = |name: &str, value: &str, text: &str| {
        let query = escape(&form.with(name, value));
        // Writing to a string cannot fail.
        write!(body, "<li><a href=\"?{query}\">{}</a></li>", escape(text)).ok();
    };
    for identity in identities {
        link("login", &identity.name, &format!("Log in as {}", identity.name));
    }
    link("refuse", "true", "Refuse");
    body += "</ul>";
    Answer::page(200, "Log in to awork-sandbox", &body).not_stored()
}

/// Says what is wrong where it cannot be said to the application.
pub(super) fn refused(refusal: &Refusal) -> Answer {
    let body = format!("<h1>{}</h1><p>{}</p>", refusal.error, escape(&refusal.why));
    let mut answer = Answer::page(400, "Refused by awork-sandbox", &body).not_stored();
    answer.refusal = Some(refusal.text().into());
    answer
}
