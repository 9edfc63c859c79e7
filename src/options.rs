//! The options of servers, user mappings, tables and columns: which there are, and whether
//! their values make sense. All of them are in one table.

use awork_api::catalogue::Catalogue;
use awork_api::credentials::Secret;
use awork_api::error::{Error, ErrorKind};
use awork_api::settings::{self, Settings, flag};
use pgrx::prelude::*;
use uuid::Uuid;

use crate::error;
use crate::pg::{self, Text};

/// Where an option can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Server,
    UserMapping,
    Table,
    Column,
}

/// Name, contexts, check of the value.
type OptionEntry = (&'static str, &'static [Context], fn(&str, &str) -> Result<(), Error>);

/// Where an API key comes from.
pub(crate) const KEY_SOURCES: &[&str] = &["api_key", "api_key_file", "api_key_setting"];

/// What says that the role logs in as a user.
pub(crate) const LOGIN_SOURCES: &[&str] = &["client_id", "refresh_token"];

/// Both places where a credential can be.
const CREDENTIAL: &[Context] = &[Context::Server, Context::UserMapping];

const OPTIONS: &[OptionEntry] = &[
    ("api_key", CREDENTIAL, secret),
    ("api_key_file", CREDENTIAL, |option, value| settings::file(option, value).map(drop)),
    ("api_key_setting", CREDENTIAL, setting_name),
    ("client_id", CREDENTIAL, secret),
    ("client_secret", CREDENTIAL, secret),
    ("redirect_uri", CREDENTIAL, |_, value| settings::redirect_uri(value).map(drop)),
    ("refresh_token", &[Context::UserMapping], secret),
    ("ssl_ca_file", &[Context::Server], setting),
    ("api_url", &[Context::Server], setting),
    ("page_size", &[Context::Server, Context::Table], setting),
    ("max_concurrency", &[Context::Server], setting),
    ("connect_timeout", &[Context::Server], setting),
    ("request_timeout", &[Context::Server], setting),
    ("max_retries", &[Context::Server], setting),
    ("rate_limit", &[Context::Server], setting),
    ("rate_limit_max_wait", &[Context::Server], setting),
    ("cache_ttl", &[Context::Server, Context::Table], setting),
    ("consistency", &[Context::Server, Context::Table], setting),
    ("on_type_mismatch", &[Context::Table], |_, value| {
        settings::shows_mismatches_as_null(value).map(drop)
    }),
    ("fan_out", &[Context::Table], |option, value| flag(option, value).map(drop)),
    ("resource", &[Context::Table], |_, value| {
        resource(value);
        Ok(())
    }),
    ("field", &[Context::Column], |_, value| {
        if value.split('/').any(str::is_empty) {
            error::invalid_value(
                format!("value \"{value}\" of option \"field\" is no path of property names"),
                Some("A path is a name or names joined by slashes, such as project/name.".into()),
            );
        }
        Ok(())
    }),
    ("custom_field", &[Context::Column], |_, value| {
        custom_field(value);
        Ok(())
    }),
];

/// The definition that the option `custom_field` names.
pub(crate) fn custom_field(value: &str) -> Uuid {
    Uuid::try_parse(value).unwrap_or_else(|_| {
        error::invalid_value(
            format!("value \"{value}\" of option \"custom_field\" is no id"),
            Some("The column id of custom_field_definitions has the ids of custom fields.".into()),
        )
    })
}

fn setting(option: &str, value: &str) -> Result<(), Error> {
    settings_with(option, value).map(drop)
}

fn settings_with(option: &str, value: &str) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    settings.set(option, value).map(|()| settings)
}

fn secret(option: &str, value: &str) -> Result<(), Error> {
    Secret::new(&format!("value of option \"{option}\""), value).map(drop)
}

/// A setting that a session can make up for itself, so that none of the server's own is sent.
fn setting_name(option: &str, value: &str) -> Result<(), Error> {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
    };
    let is_ours = value.to_ascii_lowercase().starts_with("awork_fdw.");
    match value.contains('.') && value.split('.').all(is_word) && !is_ours {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Setting,
            format!("value of option \"{option}\" must be the name of a custom setting"),
        )
        .hint("Such a name is two words joined by a dot, for example app.awork_key.")),
    }
}

/// The resource of this name, or an error that helps to find the right one.
pub(crate) fn resource(name: &str) -> &'static awork_api::catalogue::Resource {
    let catalogue = Catalogue::bundled();
    catalogue.resource(name).unwrap_or_else(|| {
        error::invalid_value(
            format!("unrecognized resource \"{name}\""),
            Some("SELECT DISTINCT table_name FROM awork_fdw_catalog lists the resources.".into()),
        )
    })
}

/// Checks the options of a CREATE or ALTER statement.
#[pg_extern(name = "awork_fdw_validator")]
fn validator(options: Vec<Option<Text>>, catalog: pg_sys::Oid) {
    let options: Vec<String> = options.into_iter().flatten().map(|option| option.0).collect();
    let context = match catalog {
        pg_sys::ForeignServerRelationId => Some(Context::Server),
        pg_sys::UserMappingRelationId => Some(Context::UserMapping),
        pg_sys::ForeignTableRelationId => Some(Context::Table),
        pg_sys::AttributeRelationId => Some(Context::Column),
        // The wrapper itself has no options.
        _ => None,
    };
    for option in options.iter() {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let here = |entry: &&OptionEntry| context.is_some_and(|c| entry.1.contains(&c));
        let Some((_, _, check)) = OPTIONS.iter().filter(here).find(|(n, ..)| *n == name) else {
            let valid: Vec<&str> = OPTIONS.iter().filter(here).map(|(n, ..)| *n).collect();
            error::invalid_option(name, &valid.join(", "));
        };
        if let Err(invalid) = check(name, value) {
            error::raise(invalid);
        }
        if ["api_key_file", "ssl_ca_file"].contains(&name) && !pg::is_superuser() {
            error::superuser_only(name);
        }
        // A superuser may restore a dump before the setting; it counts where requests are sent.
        if name == "api_url"
            && !pg::is_superuser()
            && let Err(refused) = settings_with(name, value).and_then(|s| pg::allow(&s))
        {
            error::raise(refused);
        }
        if ["api_key", "client_secret"].contains(&name) && context == Some(Context::Server) {
            error::warn_public_secret(name);
        }
    }
    let names = || options.iter().filter_map(|option| Some(option.split_once('=')?.0));
    let keys: Vec<&str> = names().filter(|name| KEY_SOURCES.contains(name)).collect();
    let login = names().find(|name| LOGIN_SOURCES.contains(name));
    if let [first, second, ..] = [&keys[..], login.as_slice()].concat()[..] {
        error::invalid_value(
            format!("options \"{first}\" and \"{second}\" exclude each other"),
            Some("A server or user mapping names one source of its credential.".into()),
        );
    }
    if names().any(|name| name == "field") && names().any(|name| name == "custom_field") {
        error::invalid_value(
            "options \"field\" and \"custom_field\" exclude each other".into(),
            Some("A column shows a property or a custom field.".into()),
        );
    }
}
