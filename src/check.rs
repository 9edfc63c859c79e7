//! `awork_fdw_check(server)`: does it work, as whom, and how fast.

use std::time::Instant;

use awork_api::client::Client;
use awork_api::credentials::redacted;
use awork_api::error::{Error, ErrorKind};
use pgrx::prelude::*;
use serde::Deserialize;

use crate::error;
use crate::pg::{self, Text};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Me {
    id: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    workspace: Option<Workspace>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Workspace {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Permissions {
    user_permission: Option<UserPermission>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UserPermission {
    is_admin: Option<bool>,
}

/// Reaches awork through a foreign server, as the current user's scans would. What awork
/// refuses is a row with `ok` false and the reason, so that a list of servers can be checked
/// in one query; a server that is not set up is an error.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn awork_fdw_check(
    server: Text,
) -> TableIterator<
    'static,
    (
        name!(ok, bool),
        name!(workspace, Option<Text>),
        name!(workspace_id, Option<Text>),
        name!(identity, Option<Text>),
        name!(identity_id, Option<Text>),
        name!(is_admin, Option<bool>),
        name!(latency_ms, Option<f64>),
        name!(message, Text),
    ),
> {
    let client = pg::client_for_server(&server.0);
    if let Err(error) = &client
        && is_of_setup(error.kind)
    {
        error::raise(error.clone());
    }
    let row = match client.and_then(|client| {
        pg::block_on(async move {
            // The first request also connects, so that the second one's time is a round trip.
            let me: Me = fetch(&client, "/me").await?;
            let started = Instant::now();
            let permissions: Result<Permissions, Error> = fetch(&client, "/me/permissions").await;
            let latency = started.elapsed().as_secs_f64() * 1000.0;
            Ok((me, permissions, latency))
        })
    }) {
        Ok((me, permissions, latency)) => {
            let is_admin =
                permissions.as_ref().ok().and_then(|p| p.user_permission.as_ref()?.is_admin);
            let message = match (&permissions, is_admin) {
                (Err(error), _) => format!("connected; the permissions are not readable: {error}"),
                (_, Some(true)) => "connected".to_owned(),
                (_, Some(false)) => {
                    "connected; no admin, so that tables show what this identity may see".to_owned()
                }
                (_, None) => "connected; awork does not say whether this is an admin".to_owned(),
            };
            let identity = me.name();
            let workspace = me.workspace.unwrap_or_default();
            // awork may answer with anything.
            let shown = |text: Option<String>| text.map(|text| Text(redacted(&text)));
            (
                true,
                shown(workspace.name),
                shown(workspace.id),
                shown(identity),
                shown(me.id),
                is_admin,
                Some((latency * 10.0).round() / 10.0),
                Text(redacted(&message)),
            )
        }
        Err(error) => {
            let (message, hint) = (error.message, error.hint);
            let message = [vec![message], error.detail, hint.into_iter().collect()].concat();
            let message = message.iter().map(|part| part.trim_end_matches('.')).collect::<Vec<_>>();
            let message = Text(redacted(&message.join(". ")));
            (false, None, None, None, None, None, None, message)
        }
    };
    TableIterator::once(row)
}

/// Whether an error says that the server is not set up, rather than what awork says.
fn is_of_setup(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Setting
            | ErrorKind::NoCredential
            | ErrorKind::HostNotAllowed
            | ErrorKind::NotReady
            | ErrorKind::Internal
    )
}

/// Whether a client's credential is an admin; none where awork does not say.
pub(crate) async fn is_admin(client: &Client) -> Option<bool> {
    let permissions: Permissions = fetch(client, "/me/permissions").await.ok()?;
    permissions.user_permission?.is_admin
}

/// Who is logged in to a server, as a sentence.
pub(crate) fn identity(server: &str) -> String {
    let me = pg::client_for_server(server)
        .and_then(|client| pg::block_on(async move { fetch::<Me>(&client, "/me").await }));
    match me {
        Ok(me) => {
            let name = me.name().map_or(String::new(), |name| format!(" as {name}"));
            let workspace = me.workspace.and_then(|workspace| workspace.name);
            let workspace = workspace.map(|name| format!("workspace \"{name}\""));
            redacted(&format!("logged in to {}{name}", workspace.as_deref().unwrap_or("awork")))
        }
        Err(error) if error.kind == ErrorKind::Unauthorized => error::raise(error),
        Err(error) => format!("logged in to awork, which does not say as whom: {error}"),
    }
}

impl Me {
    fn name(&self) -> Option<String> {
        let names = [self.first_name.as_deref(), self.last_name.as_deref()];
        let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ").trim().to_owned();
        Some(name).filter(|name| !name.is_empty())
    }
}

async fn fetch<T: Default + for<'de> Deserialize<'de>>(
    client: &Client,
    path: &str,
) -> Result<T, Error> {
    let Some(body) = client.get(1, path, &[]).await?.body else { return Ok(T::default()) };
    serde_json::from_slice(&body).map_err(|e| {
        // Its message would quote the answer.
        let (line, column) = (e.line(), e.column());
        let message = format!("malformed answer to GET {path}, at line {line}, column {column}");
        Error::new(ErrorKind::BadReply, message)
            .hint("Check that the server option \"api_url\" is the address of awork's API")
    })
}
