//! One GET after another to one workspace: credential, retries, limits on size and time, and
//! what each status means.
//!
//! Retry policy. Only GETs are sent, so every request may be repeated. Repeated are: failed
//! connections, cut answers, timeouts, 408, 429 and 5xx; at most `max_retries` times. A 429
//! waits as long as `Retry-After` or else `ratelimit-reset` says, up to [`LONGEST_WAIT`]; the
//! others wait 0.2 s, 0.4 s, 0.8 s … with jitter. Nothing else is repeated: a refused filter,
//! credential or path stays refused.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::error::{Error, ErrorKind, excerpt};
use crate::pages::PageInfo;
use crate::request::shown;
use crate::settings::{ApiKey, Settings};

/// The largest answer that is read, after decompression.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// A rate limit that resets later than this is an error instead of a wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(65);

/// How much of an answer is read that only explains an error.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// A workspace as one identity sees it.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    settings: Settings,
    key: ApiKey,
    /// What has been sent and received so far.
    pub counters: Counters,
}

/// Running totals of a [`Client`].
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests sent, retries included.
    pub requests: AtomicU64,
    /// Requests that were sent again.
    pub retries: AtomicU64,
    /// Milliseconds between a failed request and the next try.
    pub waited: AtomicU64,
    /// Bytes of answers, decompressed.
    pub bytes: AtomicU64,
}

/// A good answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The body; none where the status says that there is no content.
    pub body: Option<Bytes>,
    /// What the headers say of the list.
    pub page: PageInfo,
}

impl Client {
    /// A client for a workspace. Connections are shared by all clients of the process.
    pub fn new(settings: Settings, key: ApiKey) -> Result<Self, Error> {
        let http = connections(settings.connect_timeout, settings.api_url.scheme() == "https")?;
        Ok(Self { http, settings, key, counters: Counters::default() })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells apart who asks which workspace, for what is remembered of answers. Says nothing of
    /// the key.
    pub fn scope(&self) -> u64 {
        scope(&self.settings, &self.key)
    }

    /// Fetches a path with its query from a version of the API.
    pub async fn get(
        &self,
        version: u8,
        target: &str,
        headers: &[(String, String)],
    ) -> Result<Answer, Error> {
        let url = format!("{}{target}", self.settings.base(version)?);
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_times(self.settings.max_retries)
            .with_jitter()
            .build();
        loop {
            self.counters.requests.fetch_add(1, Ordering::Relaxed);
            let failure = match self.attempt(&url, headers).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let wait = match (failure.retry, waits.next()) {
                (Retry::BackOff, Some(wait)) => wait,
                (Retry::After(wait), Some(_)) if wait <= LONGEST_WAIT => wait,
                _ => {
                    return Err(failure.error.detail(format!(
                        "Remote request was {}.",
                        self.key.redact(&shown(version, target))
                    )));
                }
            };
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.counters.waited.fetch_add(milliseconds, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, url: &str, headers: &[(String, String)]) -> Result<Answer, Failure> {
        let timeout = self.settings.request_timeout;
        match tokio::time::timeout(timeout, self.exchange(url, headers)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::again(
                Error::new(
                    ErrorKind::BadReply,
                    format!("no complete answer from awork within {} s", timeout.as_secs_f64()),
                )
                .hint("The server option \"request_timeout\" sets how long a request may take."),
            )),
        }
    }

    async fn exchange(&self, url: &str, headers: &[(String, String)]) -> Result<Answer, Failure> {
        let mut request = self.http.get(url).header(AUTHORIZATION, self.key.header());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(|e| self.transport(&e, None))?;
        match response.status() {
            StatusCode::OK => {
                let page = page_info(response.headers());
                let body = self.body(&mut response, MAX_BODY).await?;
                Ok(Answer { body: Some(body), page })
            }
            StatusCode::NO_CONTENT => Ok(Answer { body: None, page: PageInfo::default() }),
            status => {
                let headers = response.headers().clone();
                // An error that cannot be read is still the status that it came with.
                let body = self.body(&mut response, MAX_ERROR_BODY).await.unwrap_or_default();
                Err(refusal(status, &headers, &body, &self.key))
            }
        }
    }

    /// Reads a body, and stops as soon as it is larger than `limit`.
    async fn body(&self, response: &mut Response, limit: usize) -> Result<Bytes, Failure> {
        let status = response.status();
        let mut body = BytesMut::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|e| self.transport(&e, Some(status)))?
        {
            if body.len() + chunk.len() > limit {
                return Err(Failure::last(
                    Error::new(
                        ErrorKind::TooLarge,
                        format!("answer of awork is larger than {} MiB", limit >> 20),
                    )
                    .hint("Set the option \"page_size\" to a smaller number of rows."),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        self.counters.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(body.freeze())
    }

    /// A failure below HTTP. The cause is named without the address, which DETAIL has.
    fn transport(&self, error: &reqwest::Error, status: Option<StatusCode>) -> Failure {
        let cause = self.key.redact(&innermost(error));
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
}

struct Failure {
    error: Error,
    retry: Retry,
}

enum Retry {
    No,
    BackOff,
    After(Duration),
}

impl Failure {
    fn last(error: Error) -> Self {
        Self { error, retry: Retry::No }
    }

    fn again(error: Error) -> Self {
        Self { error, retry: Retry::BackOff }
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

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], key: &ApiKey) -> Failure {
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
                "The identity of the API key has no right to read this. \
                 Give its role in awork the permission, or use another key.",
            ),
        ),
        401 => {
            Failure::last(Error::new(ErrorKind::Unauthorized, "awork refused the API key").hint(
                "Check the option \"api_key\" of the user mapping, or else of the server: \
                 the key may be mistyped, revoked or of another workspace.",
            ))
        }
        403 => Failure::last(blocked(headers)),
        404 | 410 => Failure::last(not_found(is_awork)),
        429 => Failure {
            error: Error::new(ErrorKind::RateLimited, "rate limit of the awork workspace exceeded")
                .hint(
                    "The limit is shared by all clients of the workspace. Try again in a minute.",
                ),
            retry: reset(headers).map_or(Retry::BackOff, Retry::After),
        },
        300..=399 => Failure::last(
            Error::new(ErrorKind::BadReply, format!("awork answered with a redirect ({status})"))
                .hint(
                    "Redirects are not followed, since the API key would travel to another \
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
    let sentences = [
        object.description.map(|d| format!("awork says: {}", excerpt(d.trim()))),
        validation(object.validation_errors).map(|v| format!("Refused values: {v}.")),
        object.trace_id.map(|id| format!("Trace id: {}.", excerpt(&id))),
    ];
    for sentence in sentences.into_iter().flatten() {
        failure.error.detail.push(key.redact(&sentence));
    }
    failure
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

fn blocked(headers: &HeaderMap) -> Error {
    let error =
        Error::new(ErrorKind::Blocked, "request blocked in front of awork (HTTP status 403)");
    match text(headers, "x-edge-ref") {
        Some(reference) => error.detail(format!("X-Edge-Ref: {}.", excerpt(reference))).hint(
            "awork's support can tell why from the reference. \
             A firewall may take a condition of the query for an attack.",
        ),
        None => error.hint("A proxy or firewall between this server and awork may be the cause."),
    }
}

fn validation(errors: Option<Vec<ValidationError>>) -> Option<String> {
    let texts: Vec<String> = errors?
        .into_iter()
        .map(|e| {
            let property = e.property.unwrap_or_default();
            format!("{} ({})", excerpt(&property), excerpt(e.message.unwrap_or_default().trim()))
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn page_info(headers: &HeaderMap) -> PageInfo {
    let number = |name| text(headers, name).and_then(|t| t.trim().parse().ok());
    PageInfo {
        total: number("aw-totalitems"),
        page: number("aw-page"),
        page_size: number("aw-pagesize"),
        fingerprint: None,
    }
}

/// How long a 429 says to wait, in whole seconds. A moment more, so that the request does not
/// come in the last instant of the window that is used up.
fn reset(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name| text(headers, name).and_then(|t| t.trim().parse::<u64>().ok());
    let seconds = seconds("retry-after").or_else(|| seconds("ratelimit-reset"))?;
    Some(Duration::from_secs(seconds) + Duration::from_millis(50))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// As [`Client::scope`], before there is a client.
pub fn scope(settings: &Settings, key: &ApiKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    settings.api_url.as_str().hash(&mut hasher);
    key.hash(&mut hasher);
    hasher.finish()
}

/// The connections of this process, one pool for each `connect_timeout` in use, with and
/// without TLS.
static POOLS: Mutex<Vec<((Duration, bool), reqwest::Client)>> = Mutex::new(Vec::new());

fn connections(connect_timeout: Duration, tls: bool) -> Result<reqwest::Client, Error> {
    let mut pools = POOLS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let kind = (connect_timeout, tls);
    if let Some((_, pool)) = pools.iter().find(|(of, _)| *of == kind) {
        return Ok(pool.clone());
    }
    let pool = build(connect_timeout, tls).map_err(|error| {
        Error::new(
            ErrorKind::Unreachable,
            format!("could not set up TLS: {}", innermost(&error)),
        )
        .hint("The database server needs the certificates of public authorities (Debian's package ca-certificates).")
    })?;
    pools.push((kind, pool.clone()));
    Ok(pool)
}

fn build(connect_timeout: Duration, tls: bool) -> reqwest::Result<reqwest::Client> {
    // The first caller decides for the process; another library that did so before is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("awork_fdw/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(
        HeaderName::from_static("x-originating-app"),
        HeaderValue::from_static("awork_fdw"),
    );
    let mut builder = reqwest::Client::builder()
        .default_headers(headers)
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .tcp_nodelay(true);
    if !tls {
        // Plain HTTP is for loopback only: the key must not leave the machine in clear through a
        // proxy that the environment names, and there is no certificate to check.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build()
}

/// The cause below all wrappers, which is the one that says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
