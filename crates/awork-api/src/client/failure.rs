//! What it means that a request gets no good answer: the error that comes of it, and whether the
//! request is sent again.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::Client;
use super::headers::{reset, text};
use crate::connections::innermost;
use crate::credentials::{Credential, Secret};
use crate::error::{Error, ErrorKind, excerpt};

/// What a request has failed with.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) retry: Retry,
}

/// Whether it is sent again.
pub(super) enum Retry {
    No,
    /// After a wait that grows from one time to the next.
    BackOff,
    /// After what the answer says.
    After(Duration),
}

impl Failure {
    /// It is not sent again.
    pub(super) fn last(error: Error) -> Self {
        Self { error, retry: Retry::No }
    }

    /// It is sent again after a while.
    pub(super) fn again(error: Error) -> Self {
        Self { error, retry: Retry::BackOff }
    }
}

impl Client {
    /// A failure below HTTP. The cause is named without the address, which DETAIL has.
    pub(super) fn transport(
        &self,
        error: &reqwest::Error,
        status: Option<StatusCode>,
        token: &Secret,
    ) -> Failure {
        let cause = token.redact(&innermost(error));
        if error.is_connect() {
            let host = self.settings.api_url.host_str().unwrap_or_default();
            return Failure::again(
                Error::new(
                    ErrorKind::Unreachable,
                    format!("could not connect to \"{host}\": {cause}"),
                )
                .hint(
                    "Check the server option \"api_url\" and the network of the database server.",
                ),
            );
        }
        let status =
            status.map_or(String::new(), |status| format!(" (HTTP status {})", status.as_u16()));
        Failure::again(Error::new(
            ErrorKind::BadReply,
            format!("could not read the answer of awork{status}: {cause}"),
        ))
    }

    /// What a status other than 200 means.
    pub(super) fn refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        token: &Secret,
    ) -> Failure {
        let object: ErrorObject = serde_json::from_slice(body).unwrap_or_default();
        let code = object.code.as_deref().unwrap_or_default();
        let is_awork = object.code.is_some();
        let mut failure = match status.as_u16() {
            400 if code == "invalid-filter-or-order" => Failure::last(Error::new(
                ErrorKind::RefusedFilter,
                "awork refused the filter or the order of a request",
            )),
            400 => Failure::last(Error::new(ErrorKind::RefusedRequest, "awork refused a request")),
            401 if code == "unauthorized" => Failure::last(
                Error::new(ErrorKind::PermissionDenied, "permission denied by awork").hint(
                    match self.credential {
                        Credential::Key(_) => {
                            "The identity of the API key has no right to read this. \
                         Give its role in awork the permission, or use another key."
                        }
                        Credential::Login(_) => {
                            "The user who is logged in has no right to read this in awork."
                        }
                    },
                ),
            ),
            401 => Failure::last(match self.credential {
                Credential::Key(_) => {
                    Error::new(ErrorKind::Unauthorized, "awork refused the API key").hint(
                        "Check the option \"api_key\" of the user mapping, or else of the server: \
                     the key may be mistyped, revoked or of another workspace.",
                    )
                }
                Credential::Login(_) => Error::new(
                    ErrorKind::Unauthorized,
                    "awork refused the access token of the login",
                )
                .hint("awork_fdw_login_url gives the address to log in again."),
            }),
            403 => Failure::last(blocked(headers, token)),
            404 | 410 => Failure::last(not_found(is_awork)),
            429 => {
                let reset = reset(headers);
                Failure {
                    error: rate_limited(reset),
                    retry: reset.map_or(Retry::BackOff, Retry::After),
                }
            }
            300..=399 => Failure::last(
                Error::new(
                    ErrorKind::BadReply,
                    format!("awork answered with a redirect ({status})"),
                )
                .hint(
                    "Redirects are not followed, since the credential would travel to another \
                       address. Check the server option \"api_url\".",
                ),
            ),
            408 | 500..=599 => Failure::again(Error::new(
                ErrorKind::BadReply,
                format!("awork answered with HTTP status {}", status.as_u16()),
            )),
            other => Failure::last(Error::new(
                ErrorKind::BadReply,
                format!("awork answered with HTTP status {other}"),
            )),
        };
        // Nothing is cut before it is redacted: the rest of a secret would stay.
        let quoted = |text: &str| excerpt(token.redact(text).trim());
        let sentences = [
            object.description.map(|d| format!("awork says: {}", quoted(&d))),
            validation(object.validation_errors, quoted).map(|v| format!("Refused values: {v}.")),
            object.trace_id.map(|id| format!("Trace id: {}.", quoted(&id))),
        ];
        failure.error.detail.extend(sentences.into_iter().flatten());
        failure
    }
}

/// The error object of the API (API documentation, "Error handling").
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorObject {
    code: Option<String>,
    description: Option<String>,
    trace_id: Option<String>,
    validation_errors: Option<Vec<ValidationError>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ValidationError {
    property: Option<String>,
    message: Option<String>,
}

/// What the limit leaves no room for, or not within the time that there is.
pub(super) fn rate_limited(wait: Option<Duration>) -> Error {
    let when = wait.map_or("in a minute".to_owned(), |wait| {
        format!("in {} s", wait.as_secs_f64().ceil().max(1.0))
    });
    Error::new(ErrorKind::RateLimited, "rate limit of the awork workspace exceeded").hint(format!(
        "The limit is shared by all clients of the workspace. Try again {when}. \
         The server option \"rate_limit_max_wait\" sets how long a request may wait."
    ))
}

fn not_found(is_awork: bool) -> Error {
    if is_awork {
        Error::new(ErrorKind::NoSuchObject, "awork has no such object")
    } else {
        Error::new(ErrorKind::NotFound, "awork has no such path").hint(
            "Check the server option \"api_url\". awork may also have removed the path \
             since this version of awork_fdw.",
        )
    }
}

fn blocked(headers: &HeaderMap, token: &Secret) -> Error {
    let error =
        Error::new(ErrorKind::Blocked, "request blocked in front of awork (HTTP status 403)");
    match text(headers, "x-edge-ref") {
        Some(reference) => {
            error.detail(format!("X-Edge-Ref: {}.", excerpt(&token.redact(reference)))).hint(
                "awork's support can tell why from the reference. \
             A firewall may take a condition of the query for an attack.",
            )
        }
        None => error.hint("A proxy or firewall between this server and awork may be the cause."),
    }
}

fn validation(
    errors: Option<Vec<ValidationError>>,
    quoted: impl Fn(&str) -> String,
) -> Option<String> {
    let texts: Vec<String> = errors?
        .into_iter()
        .map(|e| {
            let property = quoted(&e.property.unwrap_or_default());
            format!("{property} ({})", quoted(&e.message.unwrap_or_default()))
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}
