//! `awork_fdw_login_url`, `awork_fdw_login`, `awork_fdw_logout`: the login of a user by OAuth 2.0.

use pgrx::prelude::*;

use crate::check;
use crate::pg::{self, Text};

/// The address at which the current user logs in to awork for a server. It is good for ten
/// minutes; a later one takes its place.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_login_url(server: Text) -> Text {
    Text(pg::login_url(&server.0))
}

/// Completes a login: takes the code, or the whole address that the browser was sent to, and says
/// who is logged in.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_login(server: Text, code_or_redirected_url: Text) -> Text {
    pg::log_in(&server.0, &code_or_redirected_url.0);
    Text(check::identity(&server.0))
}

/// Forgets the login of a role to a server, by default that of the current user; false where
/// there is none. awork is not told.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_logout(server: Text, role: default!(Option<Text>, "NULL")) -> bool {
    pg::log_out(&server.0, role.as_ref().map(|role| role.0.as_str()))
}

/// Whether a role that has logged in to a server must do so again; for the view
/// `awork_fdw_logins`.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_needs_login(server: pg_sys::Oid, role: pg_sys::Oid) -> Option<bool> {
    pg::needs_login(server, role)
}
