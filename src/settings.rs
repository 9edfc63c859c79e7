//! Settings of a session: `awork_fdw.*`.

use std::ffi::{CStr, CString};

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static REQUEST_COST: GucSetting<f64> = GucSetting::<f64>::new(100.0);
static ROW_COST: GucSetting<f64> = GucSetting::<f64>::new(0.01);
static CACHE_SIZE: GucSetting<i32> = GucSetting::<i32>::new(64);
static ALLOWED_HOSTS: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"*.awork.com, *.awork.io, localhost"));
static WARN_NOT_ADMIN: GucSetting<bool> = GucSetting::<bool>::new(true);
static LOG_REQUESTS: GucSetting<bool> = GucSetting::<bool>::new(false);
static ENABLE_LOOKUP_JOIN: GucSetting<bool> = GucSetting::<bool>::new(true);

/// Defines the settings. Called when the library is loaded.
pub(crate) fn define() {
    // Shared memory has its size from the start of the server.
    let context = match crate::pg::is_preloading() {
        true => GucContext::Postmaster,
        false => GucContext::Userset,
    };
    GucRegistry::define_int_guc(
        c"awork_fdw.cache_size",
        c"Sets the memory for answers that serve again, see the option cache_ttl.",
        c"Shared by all sessions where the library is preloaded, else of each session that uses it, from its first use on. 0 turns the cache off.",
        &CACHE_SIZE,
        0,
        MOST_MEGABYTES,
        context,
        GucFlags::UNIT_MB,
    );
    cost(
        c"awork_fdw.request_cost",
        c"Sets the planner's estimate of the cost of a request to awork.",
        c"In the unit of seq_page_cost. A lower value makes joins look up rows one by one more often.",
        &REQUEST_COST,
    );
    cost(
        c"awork_fdw.row_cost",
        c"Sets the planner's estimate of the cost of fetching and decoding a row from awork.",
        c"In the unit of seq_page_cost, beside cpu_tuple_cost.",
        &ROW_COST,
    );
    GucRegistry::define_bool_guc(
        c"awork_fdw.enable_lookup_join",
        c"Enables the planner's use of joins that look up many rows side by side.",
        c"Without them, a nested loop looks up one row after the other.",
        &ENABLE_LOOKUP_JOIN,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"awork_fdw.allowed_hosts",
        c"Sets the hosts that requests may go to, separated by commas.",
        c"localhost stands for this machine, *.awork.com for the domain and all below it, * for every host.",
        &ALLOWED_HOSTS,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"awork_fdw.warn_not_admin",
        c"Warns once per session where the credential is no admin in awork.",
        c"awork leaves out what others may not see, and says nothing.",
        &WARN_NOT_ADMIN,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"awork_fdw.log_requests",
        c"Logs each request to awork, and how long it took.",
        c"Keys and tokens are not logged; conditions of queries are, as parts of requests.",
        &LOG_REQUESTS,
        GucContext::Suset,
        GucFlags::default(),
    );
    #[cfg(not(feature = "pg14"))]
    crate::pg::reserve_setting_prefix(c"awork_fdw");
}

fn cost(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<f64>,
) {
    let (context, flags) = (GucContext::Userset, GucFlags::default());
    GucRegistry::define_float_guc(name, short, long, setting, 0.0, 1e10, context, flags);
}

/// The largest cache, in megabytes.
const MOST_MEGABYTES: i32 = 65_536;

/// Bytes for answers that serve again.
pub(crate) fn cache_size() -> usize {
    usize::try_from(CACHE_SIZE.get()).unwrap_or(0) << 20
}

/// Cost of a request.
pub(crate) fn request_cost() -> f64 {
    REQUEST_COST.get()
}

/// Cost of fetching and decoding a row.
pub(crate) fn row_cost() -> f64 {
    ROW_COST.get()
}

/// Whether joins may run their lookups side by side.
pub(crate) fn enable_lookup_join() -> bool {
    ENABLE_LOOKUP_JOIN.get()
}

/// The hosts that requests may go to.
pub(crate) fn allowed_hosts() -> String {
    ALLOWED_HOSTS.get().map_or_else(String::new, |hosts| hosts.to_string_lossy().into_owned())
}

/// Whether to say that the credential is no admin.
pub(crate) fn warn_not_admin() -> bool {
    WARN_NOT_ADMIN.get()
}

/// Whether to log requests.
pub(crate) fn log_requests() -> bool {
    LOG_REQUESTS.get()
}
