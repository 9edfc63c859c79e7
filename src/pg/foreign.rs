//! Reads servers, user mappings, foreign tables and their options from the catalogues.

use std::ffi::CStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use awork_api::catalogue::Resource;
use awork_api::client::{Client, Origin};
use awork_api::settings::{ApiKey, Settings, flag};
use pgrx::{PgList, PgRelation, pg_sys};

use super::wait::or_raise;
use crate::columns::Attribute;
use crate::{error, options};

type Options = Vec<(String, String)>;

/// A foreign table and what it says of its scans.
pub(super) struct ForeignTable {
    pub(super) name: String,
    pub(super) server: pg_sys::Oid,
    pub(super) resource: &'static Resource,
    pub(super) page_size: Option<u32>,
    /// How long answers serve again, where the table says so itself.
    pub(super) cache_ttl: Option<Duration>,
    /// Whether the lists of all parents are read where a key has no value.
    pub(super) fan_out: bool,
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
    ForeignTable {
        name,
        server,
        resource: options::resource(resource),
        page_size,
        cache_ttl,
        fan_out: find(&options, "fan_out").is_none_or(|value| or_raise(flag("fan_out", value))),
        attributes: attributes(relation),
    }
}

fn attributes(relation: pg_sys::Oid) -> Vec<Attribute> {
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
                field: find(&options, "field").map(str::to_owned),
            }
        })
        .collect()
}

/// The settings of a server.
pub(super) fn settings(server: pg_sys::Oid) -> Settings {
    settings_of(&server_options(server).1)
}

fn settings_of(options: &Options) -> Settings {
    let mut settings = Settings::default();
    for (option, value) in options {
        or_raise(settings.set(option, value));
    }
    settings
}

fn server_options(server: pg_sys::Oid) -> (String, Options) {
    // SAFETY: the server is referenced by a table or was just looked up by name.
    unsafe {
        let server = pg_sys::GetForeignServer(server);
        (text((*server).servername), definitions((*server).options))
    }
}

/// A client for a server as `user` may use it. The user mapping's key wins over the server's.
pub(super) fn client(server: pg_sys::Oid, user: pg_sys::Oid) -> Arc<Client> {
    let (name, server_options) = server_options(server);
    let settings = settings_of(&server_options);
    let (mapping, mapping_version) = mapping(server, user);
    let Some(key) = find(&mapping, "api_key").or_else(|| find(&server_options, "api_key")) else {
        error::missing_option(
            format!("no API key for foreign server \"{name}\""),
            "CREATE USER MAPPING FOR CURRENT_USER SERVER … OPTIONS (api_key '…') sets one.",
        );
    };
    super::shared::attach();
    let origin = Origin {
        workspace: workspace(server),
        version: hash((workspace(server), server_version(server), mapping_version)),
    };
    Arc::new(or_raise(ApiKey::new(key).and_then(|key| Client::new(settings, key, origin))))
}

/// Tells the workspaces of this database server apart: each foreign server is one.
fn workspace(server: pg_sys::Oid) -> u64 {
    // SAFETY: a variable of the process.
    let database = unsafe { pg_sys::MyDatabaseId };
    u64::from(database.to_u32()) << 32 | u64::from(server.to_u32())
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

/// Tells apart who asks which workspace; none where there is no key.
pub(super) fn scope(server: pg_sys::Oid, user: pg_sys::Oid) -> Option<u64> {
    let (_, server_options) = server_options(server);
    let (mapping, _) = mapping(server, user);
    let key = find(&mapping, "api_key").or_else(|| find(&server_options, "api_key"))?;
    let key = ApiKey::new(key).ok()?;
    Some(awork_api::client::scope(&settings_of(&server_options), &key))
}

/// A client for the server of this name as the current user may use it.
pub(crate) fn client_for_server(name: &str) -> Arc<Client> {
    let server = usable_server(name);
    // SAFETY: a variable of the process.
    client(server, unsafe { pg_sys::GetUserId() })
}

/// The number of the workspace of the server of this name, which the current user may use.
pub(crate) fn workspace_of_server(name: &str) -> u64 {
    let server = usable_server(name);
    super::shared::attach();
    workspace(server)
}

/// The server of this name, if it is one of awork_fdw that the current user may use; else an
/// error.
fn usable_server(name: &str) -> pg_sys::Oid {
    let Ok(name) = std::ffi::CString::new(name) else {
        error::invalid_value("server name contains a NUL character".into(), None);
    };
    // SAFETY: plain look-ups by name and by id; a server that does not exist is an error.
    unsafe {
        let server = pg_sys::get_foreign_server_oid(name.as_ptr(), false);
        let wrapper = (*pg_sys::GetForeignServer(server)).fdwid;
        let wrapper = pg_sys::GetForeignDataWrapper(wrapper);
        if text((*wrapper).fdwname) != "awork_fdw" {
            error::invalid_value(
                format!("server \"{}\" is no server of awork_fdw", text(name.as_ptr())),
                None,
            );
        }
        require_usage(server, pg_sys::GetUserId(), name.as_ptr());
        server
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

/// The options of the user's mapping, or else of PUBLIC's, and a number that is another one after
/// each change to it; none where there is no mapping. `GetUserMapping` (foreign.c) would raise an
/// error then, but a server may have the key.
fn mapping(server: pg_sys::Oid, user: pg_sys::Oid) -> (Options, u64) {
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
                false => definitions(pg_sys::untransformRelOptions(datum)),
            };
            let version = version(tuple);
            pg_sys::ReleaseSysCache(tuple);
            return (options, version);
        }
    }
    (Options::new(), 0)
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

fn find<'o>(options: &'o Options, name: &str) -> Option<&'o str> {
    options.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
}
