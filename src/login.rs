//! `awork_fdw_login_url`, `awork_fdw_login`, `awork_fdw_logout`: the login of a user by OAuth 2.0.

use pgrx::prelude::*;

use crate::{check, pg};

/// The address at which the current user logs in to awork for a server. It is good for ten
/// minutes; a later one takes its place.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_login_url(server: &str) -> String {
    pg::login_url(server)
}

/// Completes a login: takes the code, or the whole address that the browser was sent to, and says
/// who is logged in.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_login(server: &str, code_or_redirected_url: &str) -> String {
    pg::log_in(server, code_or_redirected_url);
    check::identity(server)
}

/// Forgets the login of a role to a server, by default that of the current user; false where
/// there is none. awork is not told.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_logout(server: &str, role: default!(Option<&str>, "NULL")) -> bool {
    pg::log_out(server, role)
}

/// Whether a role that has logged in to a server must do so again; for the view
/// `awork_fdw_logins`.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_needs_login(server: pg_sys::Oid, role: pg_sys::Oid) -> Option<bool> {
    pg::needs_login(server, role)
}
