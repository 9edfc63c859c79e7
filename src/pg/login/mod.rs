//! Logins of users by OAuth 2.0: where they are kept, and how their tokens are renewed. The
//! modules: `store` has the tables, `worker` changes them on the `order` of a session, and `lock`
//! sees to it that no refresh token is sent twice.

mod lock;
mod order;
mod store;
mod worker;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use awork_api::credentials::oauth::{self, Application, Endpoint};
use awork_api::credentials::{AccessToken, Login, RENEWALS, Renewal, Secret};
use awork_api::error::{Error, ErrorKind};
use awork_api::settings::Settings;
use jiff::Timestamp;
use pgrx::pg_sys;

use self::lock::{Lock, Of};
use self::order::{Order, Task};
use self::store::{Place, Requested, Stored};
use super::credential::{Access, role_name};
use super::datum::server_string;
use super::foreign::{is_ours, server_named, server_options, usable_server};
use super::wait::or_raise;

/// How long the answer to a request for a login is waited for.
const LONGEST_LOGIN: Duration = Duration::from_secs(600);

/// How long a session goes on with a token that is ending, after it could not be renewed.
const PAUSE: Duration = Duration::from_secs(30);

thread_local! {
    /// The last login that this session could not renew, and when.
    static FAILED: Cell<Option<(Place, Instant)>> = const { Cell::new(None) };
}

/// The login of a role, with an access token that is good for a while.
pub(super) fn current(access: &Access, settings: &Settings) -> Result<Arc<Login>, Error> {
    let application = access.application()?;
    let stored = match of_server(access, settings, &application)? {
        Some(stored) if !stored.access.is_ending(Timestamp::now()) => stored,
        Some(Stored { access: token, .. }) => {
            let is_needed = token.is_expired(Timestamp::now());
            renew(access, settings, &application, (Some(&token.token), is_needed))?
        }
        None if access.refresh_token()?.is_some() => {
            renew(access, settings, &application, (None, true))?
        }
        None => return Err(not_logged_in(access)),
    };
    Ok(login(access, stored))
}

/// The login of a role as it is, without renewing anything; none where there is none.
pub(super) fn stored(access: &Access, settings: &Settings) -> Result<Option<Arc<Login>>, Error> {
    let stored = of_server(access, settings, &access.application()?)?;
    Ok(stored.map(|stored| login(access, stored)))
}

fn login(access: &Access, stored: Stored) -> Arc<Login> {
    let place = u64::from(access.server.to_u32()) << 32 | u64::from(access.user.to_u32());
    Login::new(stored.login.as_u128(), place, stored.access)
}

/// The login that is kept, if it is one to the server as it is now: no token goes to another
/// address or application than the one it came from.
fn of_server(
    access: &Access,
    settings: &Settings,
    application: &Application,
) -> Result<Option<Stored>, Error> {
    let stored: Option<Stored> = store::find(place(access.server, access.user))?;
    let (api_url, seed) = (settings.base(1)?, access.refresh_token()?);
    Ok(stored.filter(|stored| stored.belongs_to(&api_url, application, seed.as_ref())))
}

fn not_logged_in(access: &Access) -> Error {
    let (role, server) = (role_name(access.user), &access.server_name);
    Error::new(
        ErrorKind::NoCredential,
        format!("role \"{role}\" is not logged in to foreign server \"{server}\""),
    )
    .hint(format!(
        "SELECT awork_fdw_login_url({}) gives the address to log in.",
        pgrx::spi::quote_literal(server)
    ))
}

/// Replaces the access token `ending`; by none, the first one is meant. Of all sessions that want
/// that, one does it. Where it is not needed yet, whoever comes meanwhile or fails goes on with
/// the token as it is.
fn renew(
    access: &Access,
    settings: &Settings,
    application: &Application,
    (ending, is_needed): (Option<&Secret>, bool),
) -> Result<Stored, Error> {
    let place = place(access.server, access.user);
    let find = || of_server(access, settings, application)?.ok_or_else(|| not_logged_in(access));
    // SAFETY: a look at the server's state.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return match is_needed {
            true => Err(Error::new(
                ErrorKind::ReadOnly,
                "a login cannot be renewed while the database server is a standby",
            )
            .hint("Run a statement on the primary, which renews it.")),
            false => find(),
        };
    }
    let has_failed = |(which, at): (Place, Instant)| which == place && at.elapsed() < PAUSE;
    if !is_needed && FAILED.get().is_some_and(has_failed) {
        return find();
    }
    let Some(asking) = Lock::take(Of::Asking, place, is_needed) else { return find() };
    match of_server(access, settings, application)? {
        Some(stored) if Some(&stored.access.token) != ending => return Ok(stored),
        Some(stored) if stored.refresh.is_none() => {
            return if is_needed { Err(worker::login_again()) } else { Ok(stored) };
        }
        _ => {}
    }
    let refresh = Task::Refresh {
        refused: ending.map(|token| token.reveal().to_owned()),
        seed: access.refresh_token()?.map(|seed| seed.reveal().to_owned()),
    };
    let outcome = worker::run(&Order::new(place, &access.server_options, application, refresh));
    drop(asking);
    if outcome.is_err() {
        FAILED.set(Some((place, Instant::now())));
    }
    match outcome {
        Err(error) if is_needed => Err(error),
        _ => find(),
    }
}

/// Renews what the threads that send requests have asked for, and is still wanted. Several that
/// ask for the same have one outcome.
pub(super) fn serve_renewals() {
    type Served = (u128, Secret, Result<AccessToken, Error>);
    let mut served: Vec<Served> = Vec::new();
    for Renewal { login, refused, answer } in RENEWALS.take() {
        if answer.is_closed() {
            continue;
        }
        let is_same = |(id, token, _): &&Served| *id == login.id && *token == refused;
        let renewed = match served.iter().find(is_same) {
            Some((.., renewed)) => renewed.clone(),
            None => {
                let renewed = serve(&login, &refused);
                served.push((login.id, refused, renewed.clone()));
                renewed
            }
        };
        // The scan that asked may have ended meanwhile.
        let _ = answer.send(renewed.map(|token| login.replace(token)));
    }
}

fn serve(login: &Login, refused: &Secret) -> Result<AccessToken, Error> {
    let current = login.current();
    if current.token != *refused {
        return Ok(current);
    }
    let oid = |number: u64| pg_sys::Oid::from(number as u32);
    let access = Access::new(oid(login.place >> 32), oid(login.place));
    let (settings, application) = (access.settings()?, access.application()?);
    let stored = renew(&access, &settings, &application, (Some(refused), true))?;
    if stored.login.as_u128() != login.id {
        return Err(Error::new(
            ErrorKind::Unauthorized,
            "the login to awork was replaced while it was in use",
        )
        .hint("Run the statement again."));
    }
    Ok(stored.access)
}

fn place(server: pg_sys::Oid, role: pg_sys::Oid) -> Place {
    // SAFETY: the server exists, and so do its wrapper and the wrapper's handler.
    let schema = unsafe {
        let wrapper = (*pg_sys::GetForeignServer(server)).fdwid;
        pg_sys::get_func_namespace((*pg_sys::GetForeignDataWrapper(wrapper)).fdwhandler)
    };
    Place { schema, server, role }
}

/// The address at which the current user logs in to a server.
pub(crate) fn login_url(server: &str) -> String {
    let access = of_current_user(server);
    let settings = or_raise(access.settings());
    let application = or_raise(access.application());
    let redirect_uri = or_raise(access.redirect_uri());
    let request = or_raise(Endpoint::new(&settings, &application).request(redirect_uri));
    let task = Task::Request {
        state: request.state.reveal().to_owned(),
        verifier: request.verifier.reveal().to_owned(),
        redirect_uri: redirect_uri.to_owned(),
    };
    or_raise(change(&access, &application, task));
    request.url
}

/// Logs the current user in with the code that awork gave, or the address that has it.
pub(crate) fn log_in(server: &str, brought: &str) {
    let access = of_current_user(server);
    let settings = or_raise(access.settings());
    let application = or_raise(access.application());
    let place = place(access.server, access.user);
    let requested: Option<Requested> = or_raise(store::find(place));
    let api_url = or_raise(settings.base(1));
    let age = |requested: &Requested| Timestamp::now().duration_since(requested.requested);
    let requested = requested.filter(|requested| {
        age(requested).unsigned_abs() <= LONGEST_LOGIN
            && requested.api_url == api_url
            && requested.client_id == application.id
    });
    let requested = or_raise(requested.ok_or_else(|| {
        Error::new(
            ErrorKind::NoCredential,
            format!("no login to foreign server \"{}\" has been begun", access.server_name),
        )
        .detail("A login must be completed within ten minutes.")
        .hint(format!(
            "SELECT awork_fdw_login_url({}) gives the address to log in.",
            pgrx::spi::quote_literal(&access.server_name)
        ))
    }));
    let code: Secret = or_raise(oauth::code(brought, &requested.state));
    let task = Task::Exchange {
        code: code.reveal().to_owned(),
        state: requested.state.reveal().to_owned(),
        seed: or_raise(access.refresh_token()).map(|seed| seed.reveal().to_owned()),
    };
    or_raise(change(&access, &application, task));
}

/// Forgets the login of a role, the current user by default; false where there is none. Whoever
/// may not use the server any more may still do that.
pub(crate) fn log_out(server: &str, role: Option<&str>) -> bool {
    let server = server_named(server);
    // SAFETY: variables and look-ups of the session; a role that does not exist is an error.
    let (user, role) = unsafe {
        let user = pg_sys::GetUserId();
        let role = role.map(|role| pg_sys::get_role_oid(server_string(role), false));
        (user, role.unwrap_or(user))
    };
    // SAFETY: as above.
    if !unsafe { pg_sys::has_privs_of_role(user, role) } {
        crate::error::not_the_role(&role_name(role));
    }
    // The server may have changed since, so that neither its address nor its application counts.
    let application = Application { id: String::new(), secret: None };
    let (_, options) = server_options(server);
    or_raise(refuse_on_standby());
    let order = Order::new(place(server, role), &options, &application, Task::LogOut);
    or_raise(worker::run(&order))
}

/// Whether a role that has logged in to a server must do so again: since its login has ended, or
/// the server is another one by now. Where a refresh was interrupted, only the next one will tell.
/// None where there is no such server or role.
pub(crate) fn needs_login(server: pg_sys::Oid, role: pg_sys::Oid) -> Option<bool> {
    if !store::exists(pg_sys::SysCacheIdentifier::AUTHOID, role) || !is_ours(server) {
        return None;
    }
    // SAFETY: a look-up of the current user and of both roles.
    if !unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), role) } {
        crate::error::not_the_role(&role_name(role));
    }
    let access = Access::new(server, role);
    let stored = access
        .settings()
        .and_then(|settings| of_server(&access, &settings, &access.application()?));
    let is_good =
        |stored: Stored| stored.refresh.is_some() || !stored.access.is_expired(Timestamp::now());
    Some(!stored.ok().flatten().is_some_and(is_good))
}

fn of_current_user(server: &str) -> Access {
    // SAFETY: a variable of the session.
    Access::new(usable_server(server), unsafe { pg_sys::GetUserId() })
}

fn change(access: &Access, application: &Application, task: Task) -> Result<bool, Error> {
    refuse_on_standby()?;
    let place = place(access.server, access.user);
    worker::run(&Order::new(place, &access.server_options, application, task))
}

fn refuse_on_standby() -> Result<(), Error> {
    // SAFETY: a look at the server's state.
    match unsafe { pg_sys::RecoveryInProgress() } {
        true => Err(Error::new(
            ErrorKind::ReadOnly,
            "logins cannot be changed while the database server is a standby",
        )
        .hint("Log in and out on the primary.")),
        false => Ok(()),
    }
}
