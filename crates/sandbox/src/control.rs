//! Control over HTTP, for tests that run the sandbox as a process of its own: the log, faults,
//! changes, and the ground truth, below `/_sandbox/`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::body::Flow;
use crate::change::Change;
use crate::fault::Fault;
use crate::filter::Refused;
use crate::request::Query;
use crate::server::Shared;

/// The largest body that is read.
const LARGEST: usize = 64 * 1024 * 1024;

/// One or several of them.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMany::Many(all) => all,
            OneOrMany::One(one) => vec![one],
        }
    }
}

/// Answers a control call.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    path: &str,
    request: Request<Incoming>,
) -> Response<Flow> {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let method = request.method().clone();
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    let result = match (&method, name) {
        (&Method::GET, "health") => Ok(json!({"status": "ok"})),
        (&Method::GET, "log") => Ok(json!(shared.log.entries())),
        (&Method::DELETE, "log") => {
            shared.log.clear();
            Ok(json!({}))
        }
        (&Method::GET, "faults") => Ok(json!(shared.faults.list())),
        (&Method::POST, "faults") => read::<OneOrMany<Fault>>(request).await.map(|faults| {
            let faults = faults.into_vec();
            let count = faults.len();
            faults.into_iter().for_each(|fault| shared.faults.add(fault));
            json!({"added": count})
        }),
        (&Method::DELETE, "faults") => {
            shared.faults.clear();
            Ok(json!({}))
        }
        (&Method::GET, "refused") => Ok(json!(*shared.engine.refused())),
        (&Method::PUT, "refused") => read::<Refused>(request).await.map(|refused| {
            tokio::task::block_in_place(|| shared.engine.refuse(refused));
            json!({})
        }),
        (&Method::DELETE, "refused") => {
            tokio::task::block_in_place(|| shared.engine.refuse(Refused::default()));
            Ok(json!({}))
        }
        (&Method::POST, "changes") => read::<Change>(request).await.and_then(|change| {
            let done = tokio::task::block_in_place(|| shared.engine.change(&change));
            done.map(|changed| json!(changed)).map_err(|error| error.to_string())
        }),
        (&Method::GET, "rows") => {
            let pairs = query.pairs().iter().map(|(n, v)| (n.as_str(), v.as_str()));
            let pairs: Vec<(&str, &str)> = pairs.collect();
            Ok(tokio::task::block_in_place(|| json!(shared.engine.rows(rest, &pairs))))
        }
        (&Method::GET, "parameters") => match shared.engine.parameters(rest) {
            Some(found) => {
                Ok(found.into_iter().map(|(n, v)| (n, Value::from(v))).collect::<Value>())
            }
            None => Err(format!("no rows of \"{rest}\"")),
        },
        _ => Err(format!("no control call {method} /_sandbox/{path}")),
    };
    let (status, body) = match result {
        Ok(body) => (200, body),
        Err(why) => (400, json!({"error": why})),
    };
    let mut response = Response::new(Flow::plain(Bytes::from(body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, String> {
    let mut body = request.into_body();
    let mut data = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Ok(bytes) = frame.into_data() {
            data.extend_from_slice(&bytes);
        }
        if data.len() > LARGEST {
            return Err("the body is too large".to_owned());
        }
    }
    serde_json::from_slice(&data).map_err(|error| error.to_string())
}
