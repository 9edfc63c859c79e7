//! One GET after another to one workspace: credential, retries, limits on size and time, and
//! what each status means.
//!
//! Retry policy. Only GETs are sent, which change nothing, so that every request may be sent again.
//! These are, `max_retries` times at the most, whatever the reasons:
//!
//! - Status 429. The next attempt waits for the seconds that `Retry-After` names, or else
//!   `ratelimit-reset`, and 50 ms; until then (but not for longer than 65 s) the whole workspace is
//!   asked nothing. Where that is longer than `rate_limit_max_wait`, the error comes at once and
//!   says when to try again. Where no header says anything, the next attempt backs off.
//! - Failed connections, broken and cut answers, timeouts, 408 and 5xx. The next attempt backs off,
//!   whatever the headers say.
//!
//! Backing off is a wait of 0.2 s, 0.4 s, 0.8 s … 60 s, and by chance up to as much again, so that
//! those who failed together do not come back together. Nothing waits for longer than the statement
//! may still take ([`crate::deadline`]): its error says more than a timeout would. A 401 for an
//! access token is sent again at once with another token, one time, which is not counted. Nothing
//! else is repeated: a refused filter, credential or path stays refused, and an answer that is whole
//! and no JSON is what was meant to be sent.
//!
//! Limits of time. `request_timeout` is for a whole request, to the last byte; and once an answer
//! has begun, it may stop for a quarter of that. awork may think for long before it answers, but
//! what it has begun to send it has: an answer that stops is cut, and is better asked for again.

mod failure;
mod headers;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use reqwest::header::AUTHORIZATION;
use reqwest::{Response, StatusCode};

use self::failure::{Failure, Retry, rate_limited};
use self::headers::{allowance, page_info};
use crate::buffers::BUFFERS;
use crate::connections::connections;
use crate::credentials::{Credential, Secret, bearer, redacted};
use crate::deadline;
use crate::error::{Error, ErrorKind};
use crate::journal;
use crate::pages::PageInfo;
use crate::request::shown;
use crate::settings::Settings;
use crate::shared::budget::Permit;
use crate::shared::figures::{Counters, Figures, microseconds, unix_time};
use crate::shared::table;
use crate::shared::workspace::{self, WORKSPACES, Workspace};
use crate::waiting::{self, Waiting};

/// The largest answer that is read, after decompression.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// The longest that one refused request keeps all sessions from asking. After it, the next one may
/// find out whether awork still refuses.
const LONGEST_BLOCK: Duration = Duration::from_secs(65);

/// How much of an answer is read that only explains an error.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// The share of `request_timeout` for which a body that has begun may stop.
const IDLE_SHARE: u32 = 4;

/// A workspace as one identity sees it.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    settings: Settings,
    credential: Credential,
    origin: Origin,
    workspace: workspace::Known,
    /// The table that is scanned, if it is a scan that asks.
    table: Option<(u64, table::Known)>,
    /// What has been sent and received so far.
    pub counters: Counters,
}

/// The foreign server that a client belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// Tells workspaces apart, for their rate limit; not 0.
    pub workspace: u64,
    /// Another number after each change to the server or its user mapping, so that answers from
    /// before do not serve any more.
    pub version: u64,
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
    pub fn new(settings: Settings, credential: Credential, origin: Origin) -> Result<Self, Error> {
        let http = connections(&settings)?;
        let workspace = WORKSPACES.of(origin.workspace);
        let counters = Counters::default();
        Ok(Self { http, settings, credential, origin, workspace, table: None, counters })
    }

    /// The client for scans of a table; its number, which is not 0, tells tables apart.
    pub fn for_table(mut self, number: u64) -> Self {
        self.table = Some((number, table::table(number, self.origin.workspace)));
        self
    }

    /// The same client with counters of its own, and for no table.
    pub fn another(&self) -> Self {
        Self {
            http: self.http.clone(),
            settings: self.settings.clone(),
            credential: self.credential.clone(),
            origin: self.origin,
            workspace: self.workspace.clone(),
            table: None,
            counters: Counters::default(),
        }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells apart who asks which workspace, for what is remembered of answers. Says nothing of
    /// the credential.
    pub fn scope(&self) -> u64 {
        scope(&self.settings, &self.credential)
    }

    /// Tells apart whose answers, and of which version of the server, the cache has.
    pub fn cache_scope(&self) -> u128 {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, self.origin.version, self.settings.api_url.as_str()).hash(&mut hasher);
            self.credential.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }

    /// The number of the workspace, by which its answers are dropped from the cache.
    pub fn workspace_id(&self) -> u64 {
        self.origin.workspace
    }

    /// Requests that should be in flight at a time.
    pub fn window(&self) -> usize {
        self.workspace().congestion.window(self.settings.max_concurrency)
    }

    /// The workspace. Its place may have been given away, if it was not used for long.
    fn workspace(&self) -> workspace::Known {
        match self.workspace.is_current() {
            true => self.workspace.clone(),
            false => WORKSPACES.of(self.origin.workspace),
        }
    }

    fn table(&self) -> Option<table::Known> {
        let (number, table) = self.table.as_ref()?;
        Some(match table.is_current() {
            true => table.clone(),
            false => table::table(*number, self.origin.workspace),
        })
    }

    /// Does something to the figures of the workspace, and to those of the table.
    fn figures(&self, note: impl Fn(&Figures)) {
        note(&self.workspace().figures);
        if let Some(table) = self.table() {
            note(&table.figures);
        }
    }

    /// Adds to a counter of this client, of the workspace and of the table.
    pub(crate) fn count(&self, counter: fn(&Counters) -> &AtomicU64, value: u64) {
        if value > 0 {
            counter(&self.counters).fetch_add(value, Ordering::Relaxed);
            self.figures(|figures| {
                counter(&figures.counters).fetch_add(value, Ordering::Relaxed);
            });
        }
    }

    /// Takes note of how long it took to decode an answer with so many rows.
    pub(crate) fn decoded(&self, rows: usize, took: Duration) {
        self.count(|c| &c.rows, rows as u64);
        self.count(|c| &c.decoding, microseconds(took));
    }

    /// Takes note of the age of an answer from the cache.
    pub(crate) fn used(&self, age: Duration) {
        let note = |counters: &Counters| {
            counters.oldest.fetch_max(milliseconds(age), Ordering::Relaxed);
        };
        note(&self.counters);
        self.figures(|figures| note(&figures.counters));
    }

    /// Takes note of the error that a scan or a request has ended with.
    pub(crate) fn failed(&self, error: &Error) {
        let (at, text) = (unix_time(), redacted(&error.message));
        self.figures(|figures| figures.last_error.note(at, &text));
    }

    /// Fetches a path with its query from a version of the API.
    pub async fn get(
        &self,
        version: u8,
        target: &str,
        headers: &[(String, String)],
    ) -> Result<Answer, Error> {
        let outcome = self.answer(version, target, headers).await;
        match &outcome {
            Ok(_) => {}
            // An object that is not there is an answer.
            Err(error) if error.kind == ErrorKind::NoSuchObject => {}
            // What asks again without the filter has not failed.
            Err(error) if error.kind == ErrorKind::RefusedFilter => self.count(|c| &c.refused, 1),
            Err(error) => {
                self.count(|c| &c.failures, 1);
                self.failed(error);
            }
        }
        outcome
    }

    async fn answer(
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
        let mut token = self.credential.token().await?;
        let mut is_renewed = false;
        loop {
            self.keep_places();
            let workspace = self.workspace();
            let permit = self.permit(&workspace).await.map_err(|error| {
                error.detail(format!("Remote request was {}.", shown(version, target)))
            })?;
            // It may have waited for long.
            self.keep_places();
            self.count(|c| &c.requests, 1);
            let started = Instant::now();
            let exchange = self.exchange(&url, headers, &token, &workspace, permit);
            let outcome = self.in_time(exchange).await;
            let took = started.elapsed();
            self.figures(|figures| figures.took(took));
            journal::note(|| {
                let request = token.redact(&shown(version, target));
                let what = match &outcome {
                    Ok(answer) => {
                        format!("{} bytes", answer.body.as_ref().map_or(0, Bytes::len))
                    }
                    Err(failure) => failure.error.message.clone(),
                };
                format!("{request}: {what} in {} ms", milliseconds(took))
            });
            let failure = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if failure.error.kind == ErrorKind::Unauthorized
                && !is_renewed
                && let Some(renewed) = self.credential.renewed(&token).await
            {
                (token, is_renewed) = (renewed?, true);
                continue;
            }
            let limited = failure.error.kind == ErrorKind::RateLimited;
            self.count(|c| &c.limited, limited.into());
            if let Retry::After(wait) = failure.retry {
                workspace.budget.block(wait.min(LONGEST_BLOCK));
            }
            if limited || matches!(failure.retry, Retry::BackOff) {
                workspace.congestion.refused(self.settings.max_concurrency);
            }
            let wait = match (failure.retry, waits.next()) {
                (Retry::BackOff, Some(wait)) => Some(wait),
                (Retry::After(wait), Some(_)) => {
                    Some(wait).filter(|wait| *wait <= self.settings.rate_limit_max_wait)
                }
                _ => None,
            };
            let waits_since = Instant::now();
            let again = match wait {
                Some(wait) => {
                    let _waits = waiting::begin(Waiting::Retry);
                    deadline::sleep(wait).await
                }
                None => false,
            };
            self.count(|c| &c.waited, milliseconds(waits_since.elapsed()));
            if !again {
                return Err(failure.error.detail(format!(
                    "Remote request was {}.",
                    token.redact(&shown(version, target))
                )));
            }
            self.count(|c| &c.retries, 1);
        }
    }

    /// Says that workspace and table are in use, so that their places are kept.
    fn keep_places(&self) {
        self.workspace().touch();
        if let Some(table) = self.table() {
            table.touch();
        }
    }

    /// Waits until the rate limit allows a request.
    async fn permit<'w>(&self, workspace: &'w Workspace) -> Result<Permit<'w>, Error> {
        let most = self.settings.rate_limit_max_wait;
        let may_wait = |in_all: Duration, from_now: Duration| {
            in_all <= most && deadline::time_left().is_none_or(|left| from_now < left)
        };
        let _waits = waiting::begin(Waiting::RateLimit);
        match workspace.budget.permit(self.settings.rate_limit, may_wait).await {
            Ok((permit, held_back)) => {
                self.count(|c| &c.held_back, milliseconds(held_back));
                Ok(permit)
            }
            Err(wait) => Err(rate_limited(Some(wait))),
        }
    }

    /// Waits for an exchange, for no longer than a request may take.
    async fn in_time(
        &self,
        exchange: impl Future<Output = Result<Answer, Failure>>,
    ) -> Result<Answer, Failure> {
        let _waits = waiting::begin(Waiting::Response);
        let timeout = self.settings.request_timeout;
        match tokio::time::timeout(timeout, exchange).await {
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

    async fn exchange(
        &self,
        url: &str,
        headers: &[(String, String)],
        token: &Secret,
        workspace: &Workspace,
        permit: Permit<'_>,
    ) -> Result<Answer, Failure> {
        let mut request = self.http.get(url).header(AUTHORIZATION, bearer(token));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let started = Instant::now();
        let mut response = request.send().await.map_err(|e| self.transport(&e, None, token))?;
        // awork has counted the request by now.
        permit.answered(allowance(response.headers(), response.status()));
        drop(permit);
        match response.status() {
            StatusCode::OK => {
                let most = self.settings.max_concurrency;
                workspace.congestion.answered(started.elapsed(), most);
                let page = page_info(response.headers());
                let body = self.body(&mut response, MAX_BODY, token).await?;
                Ok(Answer { body: Some(body), page })
            }
            StatusCode::NO_CONTENT => Ok(Answer { body: None, page: PageInfo::default() }),
            status => {
                let headers = response.headers().clone();
                // An error that cannot be read is still the status that it came with.
                let body =
                    self.body(&mut response, MAX_ERROR_BODY, token).await.unwrap_or_default();
                Err(self.refusal(status, &headers, &body, token))
            }
        }
    }

    /// Reads a body, and stops as soon as it is larger than `limit`.
    async fn body(
        &self,
        response: &mut Response,
        limit: usize,
        token: &Secret,
    ) -> Result<Bytes, Failure> {
        let status = response.status();
        // Growing step by step would hold, for a moment, nearly twice of what is needed. Compressed
        // answers do not say how large they are.
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let no_memory = |error: std::io::Error| {
            let message = format!("could not get memory for an answer: {error}");
            Failure::last(Error::new(ErrorKind::Internal, message))
        };
        let mut body = BUFFERS.buffer(announced.unwrap_or(0).min(limit)).map_err(no_memory)?;
        let idle = self.settings.request_timeout / IDLE_SHARE;
        let stopped = |_| {
            let message =
                format!("the answer of awork stopped for {} s before its end", idle.as_secs_f64());
            Failure::again(
                Error::new(ErrorKind::BadReply, message).hint(
                    "An answer may stop for a quarter of the server option \"request_timeout\".",
                ),
            )
        };
        while let Some(chunk) = tokio::time::timeout(idle, response.chunk())
            .await
            .map_err(stopped)?
            .map_err(|e| self.transport(&e, Some(status), token))?
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
            body.extend_from_slice(&chunk).map_err(no_memory)?;
        }
        self.count(|c| &c.bytes, body.len() as u64);
        Ok(Bytes::from_owner(body))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// As [`Client::scope`], before there is a client.
pub fn scope(settings: &Settings, credential: &Credential) -> u64 {
    let mut hasher = DefaultHasher::new();
    settings.api_url.as_str().hash(&mut hasher);
    credential.hash(&mut hasher);
    hasher.finish()
}
