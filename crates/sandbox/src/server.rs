//! Connections: reads requests, asks the engine, lets the faults and limits have their way,
//! sends the answer and keeps the log.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;

use crate::answer::Answer;
use crate::body::{Flow, Step};
use crate::config::Identity;
use crate::control;
use crate::engine::{self, Engine};
use crate::fault::{Action, Faults};
use crate::limits::Limits;
use crate::log::{Log, LogEntry, Open};
use crate::oauth::{Authority, Call, Worth};
use crate::prepared;
use crate::request::Query;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) faults: Faults,
    pub(crate) log: Arc<Log>,
    pub(crate) limits: Limits,
    pub(crate) oauth: Authority,
}

impl Shared {
    /// Knows nobody but these from now on.
    pub(crate) fn replace_identities(&self, identities: Vec<Identity>) {
        let known = &self.engine.identities;
        known.replace(identities);
        self.oauth.revoke(|name| known.by_name(name).is_none());
    }

    /// A code for all scopes; `Err` says why there is none.
    pub(crate) fn log_in(
        &self,
        client_id: &str,
        identity: &str,
        redirect_uri: &str,
        code_challenge: Option<&str>,
    ) -> Result<String, String> {
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", client_id),
            ("login", identity),
            ("redirect_uri", redirect_uri),
            ("scope", "full_access offline_access"),
        ];
        if let Some(challenge) = code_challenge {
            parameters.extend([("code_challenge", challenge), ("code_challenge_method", "S256")]);
        }
        self.oauth.log_in(&self.engine.identities, &parameters)
    }
}

/// Whose request it is.
#[derive(Debug, Clone)]
enum Caller {
    Known(Arc<Identity>),
    /// The access token was good until a while ago.
    Expired,
    Unknown,
}

impl Caller {
    fn name(&self) -> Option<String> {
        match self {
            Caller::Known(identity) => Some(identity.name.clone()),
            _ => None,
        }
    }
}

/// Accepts connections for as long as the runtime lives.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let connections = AtomicU64::new(0);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely; the next attempt may fare better.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let number = connections.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| handle(&shared, number, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away is its own business; the log has it.
            connection.await.ok();
        });
    }
}

async fn handle(
    shared: &Arc<Shared>,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Response<Flow>, Infallible> {
    let path = percent_encoding::percent_decode_str(request.uri().path());
    let path = path.decode_utf8_lossy().into_owned();
    if let Some(control) = path.strip_prefix("/_sandbox/") {
        return Ok(control::answer(shared, control, request).await);
    }
    let (request, body) = request.into_parts();
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let caller = caller(shared, &request.headers);
    let text = |name| request.headers.get(name).and_then(|v| v.to_str().ok());
    let open = shared.log.open(LogEntry {
        connection,
        method: request.method.to_string(),
        path: path.clone(),
        query: query.redacted(),
        authorization: request.headers.contains_key(header::AUTHORIZATION),
        identity: caller.name(),
        user_agent: text(header::USER_AGENT).map(str::to_owned),
        ..LogEntry::default()
    });
    let call = Call::read(&request, &path, body).await;
    let mut joined: Vec<String> = query.pairs().iter().map(|(n, v)| format!("{n}={v}")).collect();
    if let Some(call) = &call {
        open.note(|entry| call.note(entry));
        joined.extend(call.grant_type().map(|grant_type| format!("grant_type={grant_type}")));
    }
    let faults = shared.faults.meet(&path, &joined.join("&"));
    let mut wait = shared.engine.config.latency;
    for fault in &faults {
        match fault {
            Action::Latency { ms } => wait += Duration::from_millis(*ms),
            Action::Hang => std::future::pending().await,
            _ => {}
        }
    }
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    // A fault that brings a body of its own brings it as it is.
    let own_body = faults.iter().any(|fault| matches!(fault, Action::HugeBody { .. }));
    let gzip = shared.engine.config.gzip
        && !own_body
        && text(header::ACCEPT_ENCODING).is_some_and(|accepts| accepts.contains("gzip"));
    let internal = request.headers.contains_key("aw-internal-request");
    let reads = request.method == hyper::Method::GET;
    let allowance = shared.limits.ask();
    let instead = faults.iter().find_map(Answer::instead);
    let mut answer = match instead {
        Some(answer) => answer,
        None if allowance.refused => {
            Answer::error(429, "too-many-requests", "The rate limit is exceeded.")
        }
        None => tokio::task::block_in_place(|| {
            if let Some(call) = &call {
                return shared.oauth.answer(call, &shared.engine.identities);
            }
            answer(shared, &path, &query, &caller, &faults, (gzip, internal), reads)
        }),
    };
    for fault in &faults {
        if let Action::Change { change } = fault
            && let Err(error) = shared.engine.change(change)
        {
            answer = Answer::error(500, "server-error", &error.to_string());
        }
    }
    if faults.contains(&Action::HangAfter) {
        std::future::pending().await
    }
    answer.headers.extend(allowance.headers);
    Ok(respond(shared, answer, &faults, gzip, open))
}

/// Whose key or access token came with the request.
fn caller(shared: &Shared, headers: &HeaderMap) -> Caller {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = value.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let Some(key) = bearer else { return Caller::Unknown };
    let identities = &shared.engine.identities;
    if let Some(identity) = identities.by_key(key) {
        return Caller::Known(identity);
    }
    match shared.oauth.worth(key) {
        Worth::Identity(name) => identities.by_name(&name).map_or(Caller::Unknown, Caller::Known),
        Worth::Expired => Caller::Expired,
        Worth::Unknown => Caller::Unknown,
    }
}

fn answer(
    shared: &Shared,
    path: &str,
    query: &Query,
    caller: &Caller,
    faults: &[Action],
    (gzip, internal): (bool, bool),
    reads: bool,
) -> Answer {
    let below = [(1, "/api/v1"), (2, "/api/v2")];
    let below = below.into_iter().find_map(|(version, base)| {
        let rest = path.strip_prefix(base)?;
        rest.starts_with('/').then_some((version, rest))
    });
    let Some((version, path)) = below else { return Answer::no_route() };
    let identity = match caller {
        Caller::Known(identity) => identity,
        Caller::Expired => return Answer::expired(),
        Caller::Unknown => return Answer::no_key(&json!({"message": "Unauthorized"})),
    };
    if !reads {
        return Answer::error(400, "invalid-operation", "The sandbox only reads.");
    }
    let request = engine::Request { version, path, query, identity, faults, gzip, internal };
    shared.engine.answer(request)
}

/// Turns an answer into a response.
fn respond(
    shared: &Shared,
    mut answer: Answer,
    faults: &[Action],
    gzip: bool,
    open: Open,
) -> Response<Flow> {
    let mut response = Response::builder().status(answer.status);
    if gzip
        && !answer.packed
        && let Some(packed) = prepared::pack(&answer.body)
    {
        (answer.body, answer.packed) = (packed, true);
    }
    if answer.packed {
        response = response.header(header::CONTENT_ENCODING, "gzip");
    }
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    if answer.status != 204 {
        response = response.header(header::CONTENT_TYPE, &*answer.content_type);
    }
    let keeping = if answer.no_store { "no-store" } else { "no-cache" };
    response = response.header(header::CACHE_CONTROL, keeping);
    open.note(|entry| {
        entry.status = Some(answer.status);
        entry.rows = answer.rows;
        entry.refusal = answer.refusal.map(String::from);
        if let Some(identity) = answer.identity {
            entry.identity = Some(identity.name.clone());
        }
    });
    let body = answer.body;
    let size = body.len();
    let mut length = (!shared.engine.config.chunked || answer.status == 204).then_some(size as u64);
    let mut steps = if body.is_empty() { Vec::new() } else { vec![Step::Data(body.clone())] };
    let halves = |after: Option<usize>| {
        let at = after.unwrap_or(size / 2).min(size);
        (Step::Data(body.slice(..at)), Step::Data(body.slice(at..)))
    };
    for fault in faults {
        match fault {
            Action::SlowBody { after, ms } => {
                let (first, rest) = halves(*after);
                steps = vec![first, Step::Pause(Duration::from_millis(*ms)), rest];
            }
            Action::CutBody { after } => {
                let (first, _) = halves(*after);
                // Without the pause the headers would be lost together with the body.
                steps = vec![first, Step::Pause(Duration::from_millis(5)), Step::Cut];
            }
            Action::HugeBody { mib } => {
                let filler = Bytes::from(vec![b' '; 1024 * 1024]);
                steps = vec![Step::Data(Bytes::from_static(b"[")), Step::Repeat(filler, *mib)];
                length = None;
            }
            _ => {}
        }
    }
    match response.body(Flow::logged(steps, length, open)) {
        Ok(response) => response,
        Err(_) => Response::new(Flow::plain(Bytes::from_static(b"a fault has invalid headers"))),
    }
}
