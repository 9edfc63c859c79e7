//! Settings of a session: `awork_fdw.*`.

use std::ffi::CStr;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static REQUEST_COST: GucSetting<f64> = GucSetting::<f64>::new(100.0);
static ROW_COST: GucSetting<f64> = GucSetting::<f64>::new(0.01);

/// Defines the settings. Called when the library is loaded.
pub(crate) fn define() {
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

/// Cost of a request.
pub(crate) fn request_cost() -> f64 {
    REQUEST_COST.get()
}

/// Cost of fetching and decoding a row.
pub(crate) fn row_cost() -> f64 {
    ROW_COST.get()
}
