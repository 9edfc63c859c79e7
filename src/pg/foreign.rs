//! Reads servers, user mappings, foreign tables and their options from the catalogues.

use std::ffi::CStr;
use std::time::Duration;

use awork_api::catalogue::Resource;
use awork_api::error::Error;
use awork_api::pages::Consistency;
use awork_api::settings::{Settings, flag, shows_mismatches_as_null};
use pgrx::{PgList, PgRelation, pg_sys};

use super::datum::server_string;
use super::wait::or_raise;
use crate::columns::Attribute;
use crate::{error, options};

/// Names and values of options.
pub(super) type Options = Vec<(String, String)>;

/// A foreign table and what it says of its scans.
pub(super) struct ForeignTable {
    pub(super) name: String,
    pub(super) server: pg_sys::Oid,
    pub(super) resource: &'static Resource,
    pub(super) page_size: Option<u32>,
    /// How long answers serve again, where the table says so itself.
    pub(super) cache_ttl: Option<Duration>,
    /// What it means that a list changes while it is read, where the table says so itself.
    pub(super) consistency: Option<Consistency>,
    /// Whether the lists of all parents are read where a key has no value.
    pub(super) fan_out: bool,
    /// Whether a value that does not fit its column is null, and no error.
    pub(super) nulls_mismatches: bool,
    /// The columns that have not been dropped.
    pub(super) attributes: Vec<Attribute>,
}

/// Reads a foreign table. The relation must be open or locked by the caller.
pub(super) fn table(relation: pg_sys::Oid) -> ForeignTable {
    // SAFETY: the caller's lock keeps the relation and its catalogue rows in place.
    let (name, server, options) = unsafe {
        let table = pg_sys::GetForeignTable(relation);
        (text(pg_sys::get_rel_name(relation)), (*table).serverid, definitions((*table).options))
    };
    let Some(resource) = find(&options, "resource") else {
        error::missing_option(
            format!("foreign table \"{name}\" has no option \"resource\""),
            "ALTER FOREIGN TABLE … OPTIONS (ADD resource 'projects') says what it shows; \
             IMPORT FOREIGN SCHEMA sets it.",
        );
    };
    let mut settings = Settings::default();
    let page_size = find(&options, "page_size").map(|value| {
        or_raise(settings.set("page_size", value));
        settings.page_size
    });
    let cache_ttl = find(&options, "cache_ttl").map(|value| {
        or_raise(settings.set("cache_ttl", value));
        settings.cache_ttl
    });
    let consistency = find(&options, "consistency").map(|value| {
        or_raise(settings.set("consistency", value));
        settings.consistency
    });
    ForeignTable {
        name,
        server,
        resource: options::resource(resource),
        page_size,
        cache_ttl,
        consistency,
        fan_out: find(&options, "fan_out").is_none_or(|value| or_raise(flag("fan_out", value))),
        nulls_mismatches: find(&options, "on_type_mismatch")
            .is_some_and(|value| or_raise(shows_mismatches_as_null(value))),
        attributes: attributes(relation),
    }
}

/// The columns of a table that have not been dropped. The caller must have it locked.
pub(super) fn attributes(relation: pg_sys::Oid) -> Vec<Attribute> {
    // SAFETY: the caller's lock keeps the relation; its options are read by number.
    let open = unsafe { PgRelation::open(relation) };
    open.tuple_desc()
        .iter()
        .filter(|attribute| !attribute.attisdropped)
        .map(|attribute| {
            // SAFETY: as above; the name is a NUL-terminated array.
            let (name, options, base_type) = unsafe {
                (
                    text(attribute.attname.data.as_ptr()),
                    definitions(pg_sys::GetForeignColumnOptions(relation, attribute.attnum)),
                    pg_sys::getBaseType(attribute.atttypid),
                )
            };
            Attribute {
                number: attribute.attnum,
                name,
                type_oid: attribute.atttypid,
                base_type,
                typmod: attribute.atttypmod,
                not_null: attribute.attnotnull,
                field: find(&options, "field").map(str::to_owned),
                custom_field: find(&options, "custom_field").map(options::custom_field),
            }
        })
        .collect()
}

/// The settings of a server.
pub(super) fn settings(server: pg_sys::Oid) -> Settings {
    or_raise(settings_of(&server_options(server).1))
}

/// The settings that the options of a server make.
pub(super) fn settings_of(options: &Options) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    for (option, value) in options {
        settings.set(option, value)?;
    }
    Ok(settings)
}

/// The name of a server and its options.
pub(super) fn server_options(server: pg_sys::Oid) -> (String, Options) {
    // SAFETY: the server is referenced by a table or was just looked up by name.
    unsafe {
        let server = pg_sys::GetForeignServer(server);
        (text((*server).servername), definitions((*server).options))
    }
}

/// Tells the workspaces, of which each foreign server is one, and the foreign tables of all
/// databases apart.
pub(super) fn number(object: pg_sys::Oid) -> u64 {
    // SAFETY: a variable of the process.
    let database = unsafe { pg_sys::MyDatabaseId };
    u64::from(database.to_u32()) << 32 | u64::from(object.to_u32())
}

/// The object that a number stands for.
pub(crate) fn object(number: u64) -> pg_sys::Oid {
    pg_sys::Oid::from(number as u32)
}

/// The number of the workspace of the server of this name, which the current user may use.
pub(crate) fn workspace_of_server(name: &str) -> u64 {
    let server = usable_server(name);
    super::shared::attach();
    number(server)
}

/// The server of this name, if it is one of awork_fdw that the current user may use; else an
/// error.
pub(super) fn usable_server(name: &str) -> pg_sys::Oid {
    let server = server_named(name);
    // SAFETY: the server was looked up just now.
    unsafe {
        let name = (*pg_sys::GetForeignServer(server)).servername;
        require_usage(server, pg_sys::GetUserId(), name);
    }
    server
}

/// The server of this name, if it is one of awork_fdw; else an error.
pub(super) fn server_named(name: &str) -> pg_sys::Oid {
    // SAFETY: a look-up by name; a server that does not exist is an error.
    let server = unsafe { pg_sys::get_foreign_server_oid(server_string(name), false) };
    if !is_ours(server) {
        error::invalid_value(format!("server \"{name}\" is no server of awork_fdw"), None);
    }
    server
}

/// Whether there is a server of this number, and it is one of awork_fdw.
pub(super) fn is_ours(server: pg_sys::Oid) -> bool {
    // SAFETY: look-ups by number; a missing server is a null pointer, and one that is there has a
    // wrapper.
    unsafe {
        let server =
            pg_sys::GetForeignServerExtended(server, pg_sys::FSV_MISSING_OK as pg_sys::bits16);
        if server.is_null() {
            return false;
        }
        let wrapper = pg_sys::GetForeignDataWrapper((*server).fdwid);
        text((*wrapper).fdwname) == "awork_fdw"
    }
}

/// Raises an error unless `user` has USAGE on the server.
///
/// # Safety
/// `name` must be a string with a NUL at its end.
unsafe fn require_usage(server: pg_sys::Oid, user: pg_sys::Oid, name: *const std::ffi::c_char) {
    // SAFETY: the object exists, since it was just looked up.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let result = pg_sys::pg_foreign_server_aclcheck(server, user, pg_sys::ACL_USAGE);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let result = pg_sys::object_aclcheck(
            pg_sys::ForeignServerRelationId,
            server,
            user,
            pg_sys::ACL_USAGE.into(),
        );
        if result != pg_sys::AclResult::ACLCHECK_OK {
            pg_sys::aclcheck_error(result, pg_sys::ObjectType::OBJECT_FOREIGN_SERVER, name);
        }
    }
}

/// Copies a list of option definitions.
///
/// # Safety
/// `list` must be null or a list of `DefElem`.
pub(super) unsafe fn definitions(list: *mut pg_sys::List) -> Options {
    // SAFETY: as the caller promises.
    unsafe {
        PgList::<pg_sys::DefElem>::from_pg(list)
            .iter_ptr()
            .map(|element| (text((*element).defname), text(pg_sys::defGetString(element))))
            .collect()
    }
}

/// Copies a string of the server, from the server's encoding.
///
/// # Safety
/// `pointer` must be null or a string with a NUL at its end.
pub(super) unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises; the conversion returns its argument or a new string.
    unsafe {
        let length = CStr::from_ptr(pointer).to_bytes().len() as i32;
        let utf8 = pg_sys::pg_server_to_any(pointer, length, pg_sys::pg_enc::PG_UTF8 as i32);
        CStr::from_ptr(utf8).to_string_lossy().into_owned()
    }
}

/// The value of an option.
pub(super) fn find<'o>(options: &'o Options, name: &str) -> Option<&'o str> {
    options.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
}
