//! What EXPLAIN says of a foreign scan. Sends nothing.

use std::ffi::CString;

use awork_api::request;
use pgrx::prelude::*;

use super::executor::ScanState;
use super::foreign;
use super::plan::ScanPlan;

/// `ExplainForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn explain_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: the node is the plan's; its state is only there where the scan has begun.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        let scan_plan = ScanPlan::from_list((*plan).fdw_private);
        let relation = (*(*node).ss.ss_currentRelation).rd_id;
        if (*es).verbose {
            property(es, "Remote Request", &remote_request(relation, &scan_plan));
        }
        if let (true, Some(state)) = ((*es).analyze, (*node).fdw_state.cast::<ScanState>().as_ref())
        {
            let totals = state.totals();
            count(es, c"Requests", totals.requests);
            count(es, c"Pages", totals.pages);
            count(es, c"Rows Received", totals.rows);
            count(es, c"Bytes Received", totals.bytes);
            if totals.retries > 0 {
                count(es, c"Retries", totals.retries);
            }
        }
    }
}

/// The first request, with the names of the parameters in the place of their values.
fn remote_request(relation: pg_sys::Oid, plan: &ScanPlan) -> String {
    let table = foreign::table(relation);
    let resource = table.resource;
    let mut target = resource.path.clone();
    let query: Vec<String> = plan
        .keys
        .iter()
        .map(|key| &resource.parameters[key.parameter].name)
        .filter(|name| !target.contains(&format!("{{{name}}}")))
        .map(|name| format!("{name}={{{name}}}"))
        .collect();
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    if resource.paged {
        let order = request::stable_order(resource, &resource.properties());
        let page_size = table.page_size.unwrap_or(foreign::settings(table.server).page_size);
        target = request::page(&target, 1, page_size, order.as_deref());
    }
    request::shown(resource.version, &target)
}

/// # Safety
/// `es` must be the state that the callback was given.
unsafe fn property(es: *mut pg_sys::ExplainState, label: &str, value: &str) {
    let label = CString::new(label).unwrap_or_default();
    let value = super::datum::server_string(value);
    // SAFETY: as the caller promises; the strings are copied into the output.
    unsafe { pg_sys::ExplainPropertyText(label.as_ptr(), value, es) }
}

/// # Safety
/// `es` must be the state that the callback was given.
unsafe fn count(es: *mut pg_sys::ExplainState, label: &std::ffi::CStr, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    // SAFETY: as the caller promises; a null unit is none.
    unsafe { pg_sys::ExplainPropertyInteger(label.as_ptr(), std::ptr::null(), value, es) }
}
