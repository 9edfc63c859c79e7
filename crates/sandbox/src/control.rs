//! Control over HTTP, for tests that run the sandbox as a process of its own: the log, faults,
//! changes, and the ground truth, below `/_sandbox/`.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::body::Flow;
use crate::change::Change;
use crate::config::Identity;
use crate::fault::Fault;
use crate::filter::Refused;
use crate::request::{Query, collect};
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

/// A login without the way through a browser.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogIn {
    client_id: String,
    identity: String,
    redirect_uri: String,
    code_challenge: Option<String>,
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
        (&Method::GET, "identities") => {
            let shown = |identity: &Arc<Identity>| {
                json!({"name": identity.name, "user": identity.user, "admin": identity.admin,
                    "refused": identity.refused})
            };
            Ok(shared.engine.identities.all().iter().map(shown).collect())
        }
        (&Method::PUT, "identities") => read::<Vec<Identity>>(request).await.map(|identities| {
            shared.replace_identities(identities);
            json!({})
        }),
        (&Method::POST, "logins") => read::<LogIn>(request).await.and_then(|login| {
            let LogIn { client_id, identity, redirect_uri, code_challenge } = &login;
            let challenge = code_challenge.as_deref();
            let code = shared.log_in(client_id, identity, redirect_uri, challenge);
            code.map(|code| json!({"code": code}))
        }),
        (&Method::DELETE, "logins") => {
            Ok(json!({"revoked": shared.oauth.revoke(|name| name == rest)}))
        }
        (&Method::POST, "expire") => Ok(json!({"expired": shared.oauth.expire()})),
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
    let data = collect(request.into_body(), LARGEST).await?;
    serde_json::from_slice(&data).map_err(|error| error.to_string())
}
