//! The options of servers, user mappings, tables and columns: which there are, and whether
//! their values make sense. All of them are in one table.

use awork_api::catalogue::Catalogue;
use awork_api::error::Error;
use awork_api::settings::{ApiKey, Settings, flag};
use pgrx::prelude::*;

use crate::error;

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

const OPTIONS: &[OptionEntry] = &[
    ("api_key", &[Context::Server, Context::UserMapping], |_, value| ApiKey::new(value).map(drop)),
    ("api_url", &[Context::Server], setting),
    ("page_size", &[Context::Server, Context::Table], setting),
    ("max_concurrency", &[Context::Server], setting),
    ("connect_timeout", &[Context::Server], setting),
    ("request_timeout", &[Context::Server], setting),
    ("max_retries", &[Context::Server], setting),
    ("rate_limit", &[Context::Server], setting),
    ("cache_ttl", &[Context::Server, Context::Table], setting),
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
];

fn setting(option: &str, value: &str) -> Result<(), Error> {
    Settings::default().set(option, value)
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
fn validator(options: Vec<Option<String>>, catalog: pg_sys::Oid) {
    let context = match catalog {
        pg_sys::ForeignServerRelationId => Some(Context::Server),
        pg_sys::UserMappingRelationId => Some(Context::UserMapping),
        pg_sys::ForeignTableRelationId => Some(Context::Table),
        pg_sys::AttributeRelationId => Some(Context::Column),
        // The wrapper itself has no options.
        _ => None,
    };
    for option in options.iter().flatten() {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let here = |entry: &&OptionEntry| context.is_some_and(|c| entry.1.contains(&c));
        let Some((_, _, check)) = OPTIONS.iter().filter(here).find(|(n, ..)| *n == name) else {
            let valid: Vec<&str> = OPTIONS.iter().filter(here).map(|(n, ..)| *n).collect();
            error::invalid_option(name, &valid.join(", "));
        };
        if let Err(invalid) = check(name, value) {
            error::raise(invalid);
        }
        if name == "api_key" && context == Some(Context::Server) {
            error::warn_public_secret(name);
        }
    }
}
