//! Whose credential a scan uses: the options of the user mapping, or else of the server, and
//! what they lead to.

use std::ffi::CString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use awork_api::client::{Client, Origin};
use awork_api::credentials::oauth::Application;
use awork_api::credentials::{Credential, Secret, key_in_file};
use awork_api::error::{Error, ErrorKind};
use awork_api::settings::{self, Settings};
use pgrx::pg_sys;

use super::foreign::{self, Options, find, server_options, settings_of, text, usable_server};
use super::login;
use super::wait::or_raise;
use crate::options::{KEY_SOURCES, LOGIN_SOURCES};
use crate::settings as setting;

/// A foreign server as one role uses it.
pub(super) struct Access {
    pub(super) server: pg_sys::Oid,
    pub(super) user: pg_sys::Oid,
    pub(super) server_name: String,
    pub(super) server_options: Options,
    mapping: Options,
    mapping_version: u64,
    /// Whether the mapping is the one for PUBLIC.
    is_public: bool,
}

impl Access {
    pub(super) fn new(server: pg_sys::Oid, user: pg_sys::Oid) -> Self {
        let (server_name, server_options) = server_options(server);
        let (mapping, mapping_version, is_public) = mapping(server, user);
        Self { server, user, server_name, server_options, mapping, mapping_version, is_public }
    }

    /// The settings of the server, whose host must be an allowed one.
    pub(super) fn settings(&self) -> Result<Settings, Error> {
        let settings = settings_of(&self.server_options)?;
        allow(&settings)?;
        Ok(settings)
    }

    /// The options that say where the credential comes from: those of the mapping if it says so
    /// at all, else those of the server.
    fn source(&self) -> Result<&Options, Error> {
        let names_source = |options: &&Options| {
            let mut sources = KEY_SOURCES.iter().chain(LOGIN_SOURCES);
            sources.any(|option| find(options, option).is_some())
        };
        [&self.mapping, &self.server_options].into_iter().find(names_source).ok_or_else(|| {
            let (role, server) = (role_name(self.user), &self.server_name);
            Error::new(
                ErrorKind::NoCredential,
                format!("role \"{role}\" has no credential for foreign server \"{server}\""),
            )
            .hint(format!(
                "CREATE USER MAPPING FOR {} SERVER {} OPTIONS (api_key '…') sets an API key.",
                quoted(&role),
                quoted(server)
            ))
        })
    }

    fn credential(&self, settings: &Settings) -> Result<Credential, Error> {
        let source = self.source()?;
        let key = match KEY_SOURCES.iter().find_map(|name| Some((*name, find(source, name)?))) {
            Some(("api_key_file", path)) => key_in_file(&settings::file("api_key_file", path)?)?,
            Some(("api_key_setting", name)) => key_in_setting(name)?,
            Some((option, key)) => Secret::new(&shown_option(option), key)?,
            None => return Ok(Credential::Login(login::current(self, settings)?)),
        };
        Ok(Credential::Key(key))
    }

    /// The client application of a server where users log in; an error where they do not.
    pub(super) fn application(&self) -> Result<Application, Error> {
        let uses_key = |source: &Options| KEY_SOURCES.iter().any(|key| find(source, key).is_some());
        let uses_key = self.source().is_ok_and(uses_key);
        let id = [&self.mapping, &self.server_options].iter().find_map(|o| find(o, "client_id"));
        let (role, server) = (role_name(self.user), &self.server_name);
        if uses_key {
            return Err(Error::new(
                ErrorKind::NoCredential,
                format!(
                    "role \"{role}\" uses an API key for foreign server \"{server}\", and no login"
                ),
            )
            .hint(CLIENT_ID_HINT));
        }
        let Some(id) = id else {
            return Err(Error::new(
                ErrorKind::NoCredential,
                format!("foreign server \"{server}\" has no client application"),
            )
            .hint(CLIENT_ID_HINT));
        };
        // The server's secret is that of the server's application.
        let of_server = find(&self.server_options, "client_id") == Some(id);
        let secret = find(&self.mapping, "client_secret")
            .or_else(|| find(&self.server_options, "client_secret").filter(|_| of_server));
        let secret =
            secret.map(|secret| Secret::new(&shown_option("client_secret"), secret)).transpose()?;
        Ok(Application { id: id.to_owned(), secret })
    }

    /// Where a login of this role ends up.
    pub(super) fn redirect_uri(&self) -> Result<&str, Error> {
        [&self.mapping, &self.server_options]
            .into_iter()
            .find_map(|options| find(options, "redirect_uri"))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NoCredential,
                    format!(
                        "foreign server \"{}\" has no option \"redirect_uri\"",
                        self.server_name
                    ),
                )
                .hint(
                    "It must be one of the redirect addresses of the client application in awork.",
                )
            })
    }

    /// A refresh token that the mapping brings from elsewhere. It is good once, and so for one
    /// role.
    pub(super) fn refresh_token(&self) -> Result<Option<Secret>, Error> {
        let token = find(&self.mapping, "refresh_token");
        if token.is_some() && self.is_public {
            return Err(Error::new(
                ErrorKind::Setting,
                "option \"refresh_token\" is of use in the mapping of one role only",
            )
            .hint("Each role has a login of its own; a refresh token is good for one."));
        }
        token.map(|token| Secret::new(&shown_option("refresh_token"), token)).transpose()
    }
}

const CLIENT_ID_HINT: &str =
    "Users log in where the user mapping, or else the server, has the option \"client_id\".";

fn shown_option(option: &str) -> String {
    format!("value of option \"{option}\"")
}

/// An error unless requests may go to the host of these settings.
pub(crate) fn allow(settings: &Settings) -> Result<(), Error> {
    match settings::is_allowed(&setting::allowed_hosts(), &settings.api_url) {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::HostNotAllowed,
            format!(
                "host \"{}\" is not allowed",
                settings.api_url.host_str().unwrap_or_default()
            ),
        )
        .hint("The setting awork_fdw.allowed_hosts lists the hosts that requests may go to; superusers can change it.")),
    }
}

/// A client for scans of a table of a server as `user` may use it.
pub(super) fn client(table: pg_sys::Oid, server: pg_sys::Oid, user: pg_sys::Oid) -> Arc<Client> {
    Arc::new(or_raise(try_client(server, user)).for_table(foreign::number(table)))
}

fn try_client(server: pg_sys::Oid, user: pg_sys::Oid) -> Result<Client, Error> {
    let access = Access::new(server, user);
    let settings = access.settings()?;
    let credential = access.credential(&settings)?;
    super::memory::give_back();
    super::shared::attach();
    awork_api::journal::keep(setting::log_requests());
    let workspace = foreign::number(server);
    let version = hash((workspace, server_version(server), access.mapping_version));
    let origin = Origin { workspace, version };
    Client::new(settings, credential, origin)
}

/// Tells apart who asks which workspace, for what is remembered of it; none where there is no
/// credential.
pub(super) fn scope(server: pg_sys::Oid, user: pg_sys::Oid) -> Option<u64> {
    let access = Access::new(server, user);
    let settings = access.settings().ok()?;
    // Planning sends nothing, so that it does not renew a login either.
    let credential = match access.source().ok()? {
        source if LOGIN_SOURCES.iter().any(|option| find(source, option).is_some()) => {
            Credential::Login(login::stored(&access, &settings).ok()??)
        }
        _ => access.credential(&settings).ok()?,
    };
    Some(awork_api::client::scope(&settings, &credential))
}

/// A client for the server of this name as the current user may use it.
pub(crate) fn client_for_server(name: &str) -> Result<Arc<Client>, Error> {
    let server = usable_server(name);
    // SAFETY: a variable of the process.
    try_client(server, unsafe { pg_sys::GetUserId() }).map(Arc::new)
}

/// The key in a setting of the session, as far as the current user may see it.
fn key_in_setting(name: &str) -> Result<Secret, Error> {
    let missing = || {
        Error::new(ErrorKind::NoCredential, format!("setting \"{name}\" has no API key"))
            .hint(format!("The option \"api_key_setting\" names it; SET {name} = '…' sets it."))
    };
    let setting = CString::new(name).map_err(|_| missing())?;
    // SAFETY: a look-up by name; the value is copied.
    let key = unsafe { text(pg_sys::GetConfigOption(setting.as_ptr(), true, true)) };
    match key.as_str() {
        "" => Err(missing()),
        key => Secret::new(&format!("value of setting \"{name}\""), key),
    }
}

/// The name of a role, or its number where it is gone.
pub(super) fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: a look-up by number; a missing role is a null pointer.
    let name = unsafe { text(pg_sys::GetUserNameFromId(role, true)) };
    if name.is_empty() { role.to_u32().to_string() } else { name }
}

fn quoted(identifier: &str) -> String {
    pgrx::spi::quote_identifier(identifier)
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Another number after each change to a row of a catalogue: the transaction that wrote it, and
/// where it is.
///
/// # Safety
/// `tuple` must be a tuple of the catalogue cache.
unsafe fn version(tuple: pg_sys::HeapTuple) -> u64 {
    // SAFETY: as the caller promises.
    unsafe {
        let header = (*tuple).t_data;
        let xmin = (*header).t_choice.t_heap.t_xmin;
        let place = (*tuple).t_self;
        let frozen = pg_sys::HEAP_XMIN_FROZEN as u16;
        hash((
            u32::from(xmin),
            (*header).t_infomask & frozen == frozen,
            place.ip_blkid.bi_hi,
            place.ip_blkid.bi_lo,
            place.ip_posid,
        ))
    }
}

fn server_version(server: pg_sys::Oid) -> u64 {
    // SAFETY: a syscache look-up; the tuple is released after it was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::FOREIGNSERVEROID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, server.into());
        if tuple.is_null() {
            return 0;
        }
        let version = version(tuple);
        pg_sys::ReleaseSysCache(tuple);
        version
    }
}

/// The options of the user's mapping, or else of PUBLIC's, a number that is another one after
/// each change to it, and whether it is PUBLIC's; none where there is no mapping.
/// `GetUserMapping` (foreign.c) would raise an error then, but a server may have the credential.
fn mapping(server: pg_sys::Oid, user: pg_sys::Oid) -> (Options, u64, bool) {
    for user in [user, pg_sys::InvalidOid] {
        // SAFETY: a syscache look-up; the tuple is released after its options were copied.
        unsafe {
            let cache = pg_sys::SysCacheIdentifier::USERMAPPINGUSERSERVER as i32;
            let tuple = pg_sys::SearchSysCache2(cache, user.into(), server.into());
            if tuple.is_null() {
                continue;
            }
            let mut is_null = false;
            let attribute = pg_sys::Anum_pg_user_mapping_umoptions as pg_sys::AttrNumber;
            let datum = pg_sys::SysCacheGetAttr(cache, tuple, attribute, &mut is_null);
            let options = match is_null {
                true => Options::new(),
                false => foreign::definitions(pg_sys::untransformRelOptions(datum)),
            };
            let version = version(tuple);
            pg_sys::ReleaseSysCache(tuple);
            return (options, version, user == pg_sys::InvalidOid);
        }
    }
    (Options::new(), 0, false)
}
