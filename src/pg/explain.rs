//! What EXPLAIN says of a foreign scan: what is asked of awork, what PostgreSQL checks itself
//! and why, and, after a run, what it took. Sends nothing.

use std::ffi::{CStr, CString};

use awork_api::filter::render::{Said, render};
use awork_api::filter::{Exactness, Operand, describe, split};
use awork_api::request;
use awork_api::scan::{Order, parents};
use awork_api::totals;
use pgrx::PgList;
use pgrx::prelude::*;

use super::credential;
use super::foreign::{self, ForeignTable};
use super::lookup_join::JoinState;
use super::node::{checked_user, range_table_entry};
use super::plan::{Conjunct, JoinKind, ScanPlan, Tuple};
use super::scan_state::ScanState;

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
        let entry = range_table_entry(node, plan, &scan_plan);
        let table = foreign::table((*entry).relid);
        match scan_plan.tuple {
            _ if scan_plan.join.is_some() => join(plan, &scan_plan, &table, es),
            Tuple::Relation => {}
            Tuple::Columns => property(es, "Slice of", &table.name),
            Tuple::Counts(_) => property(es, "Count of", &table.name),
        }
        if (*es).verbose {
            property(es, "Remote Request", &remote_request(&table, &scan_plan));
            let filters = |exactness| {
                let these = scan_plan.conjuncts.iter().filter(|c| c.exactness == exactness);
                let texts: Vec<String> = these.filter_map(|c| shown(&scan_plan, c)).collect();
                texts.join(" and ")
            };
            property_if_any(es, "Remote Filter", &filters(Exactness::Exact));
            property_if_any(es, "Remote Filter, Rechecked", &filters(Exactness::Superset));
            let reasons: Vec<String> = scan_plan.local.iter().map(ToString::to_string).collect();
            list(es, "Checked Locally", &reasons);
            property_if_any(es, "Remote Order", &scan_plan.orderby().unwrap_or_default());
            let user = checked_user(entry, plan);
            property_if_any(es, "One List per Row of", &parents_of(&table, &scan_plan, user));
        }
        if (*es).analyze && !(*node).fdw_state.is_null() {
            let totals = match scan_plan.join.is_some() {
                false => (*(*node).fdw_state.cast::<ScanState>()).totals(),
                true => {
                    let state = &*(*node).fdw_state.cast::<JoinState>();
                    let (totals, lookups, batches) = state.totals();
                    count(es, c"Lookups", None, lookups);
                    count(es, c"Batches of Outer Rows", None, batches);
                    totals
                }
            };
            if let (true, Some(request)) = ((*es).verbose, &totals.first_request) {
                property(es, "First Request Sent", request);
            }
            count(es, c"Requests", None, totals.requests);
            count(es, c"Pages", None, totals.pages);
            count(es, c"Rows Received", None, totals.rows);
            count(es, c"Bytes Received", None, totals.bytes);
            let decoding = if (*es).timing { totals.decoding } else { 0 };
            for (label, unit, value) in [
                (c"Decoding", Some(c"ms"), decoding),
                (c"Retries", None, totals.retries),
                (c"Waited Before Retries", Some(c"ms"), totals.waited),
                (c"Held Back by the Rate Limit", Some(c"ms"), totals.held_back),
                (c"Cache Hits", None, totals.hits),
                (c"Cache Misses", None, totals.misses),
                (c"Oldest Answer from the Cache", Some(c"ms"), totals.oldest),
                (c"Parents", None, totals.parents),
                (c"Values Shown as Null", None, totals.mismatches),
                (c"Answers Used Again", None, totals.repeated),
                (c"Sorts Instead of Remote Order", None, totals.sorted),
            ] {
                if value > 0 {
                    count(es, label, unit, value);
                }
            }
            list(es, "Refused by awork", &totals.refused);
        }
    }
}

/// Which table a join looks rows up in, and when they match.
///
/// # Safety
/// `plan` must be the plan of the join, `es` the state that the callback was given.
unsafe fn join(
    plan: *mut pg_sys::ForeignScan,
    scan_plan: &ScanPlan,
    table: &ForeignTable,
    es: *mut pg_sys::ExplainState,
) {
    let label = match scan_plan.join.as_ref().map(|join| join.kind) {
        Some(JoinKind::Left) => "Lookup Left Join of",
        Some(JoinKind::Semi) => "Lookup Semi Join of",
        Some(JoinKind::Anti) => "Lookup Anti Join of",
        Some(JoinKind::Inner) | None => "Lookup Join of",
    };
    // SAFETY: as the caller promises; the conditions are the last of the plan's expressions.
    unsafe {
        property(es, label, &table.name);
        let all = PgList::<pg_sys::Node>::from_pg((*plan).fdw_exprs);
        let mut conditions = PgList::<pg_sys::Node>::new();
        for condition in all.iter_ptr().skip(all.len().saturating_sub(scan_plan.quals)) {
            conditions.push(condition);
        }
        if conditions.is_empty() {
            return;
        }
        let condition = pg_sys::make_ands_explicit(conditions.into_pg()).cast();
        let names =
            pg_sys::set_deparse_context_plan((*es).deparse_cxt, plan.cast(), std::ptr::null_mut());
        let text = pg_sys::deparse_expression(condition, names, true, false);
        property(es, "Join Condition", &foreign::text(text));
    }
}

/// The lists that are read to find the lists of the table, with the number of their rows as far as
/// it is known.
fn parents_of(table: &ForeignTable, plan: &ScanPlan, user: pg_sys::Oid) -> String {
    let bound: Vec<usize> = plan.keys.iter().map(|key| key.parameter).collect();
    let chain = parents::chain(table.resource, &bound).filter(|_| table.fan_out);
    let scope = credential::scope(table.server, user);
    let rows = |parent| scope.and_then(|scope| totals::rows(scope, parent));
    let shown: Vec<String> = chain
        .iter()
        .flatten()
        .map(|parent| match rows(parent) {
            Some(rows) => format!("{} ({rows:.0} rows)", parent.name),
            None => format!("{} (about {} rows)", parent.name, parent.rows),
        })
        .collect();
    shown.join(", ")
}

/// A condition as it is sent, where its values are known, or else with their names. None where
/// every row satisfies it.
fn shown(plan: &ScanPlan, conjunct: &Conjunct) -> Option<String> {
    let later = conjunct
        .remote
        .leaves()
        .into_iter()
        .any(|leaf| matches!(leaf.operand(), Some(Operand::Expression(_))));
    if later {
        let label = |number: usize| plan.values.get(number).map_or("...", |v| v.label.as_str());
        return Some(describe::describe(&conjunct.remote, &label));
    }
    Some(match render(&conjunct.remote, &[]).0 {
        Said::Text(conjunct) if conjunct.alternatives.len() == 1 => {
            conjunct.alternatives[0].clone()
        }
        Said::Text(conjunct) => format!("({})", conjunct.alternatives.join(" or ")),
        Said::Never => "nothing, since no row can satisfy it".to_owned(),
        Said::Always => return None,
        Said::Unsaid => describe::describe(&conjunct.remote, &|_| "..."),
    })
}

/// The first request, with names in the place of values that are not known, and without
/// escapes.
fn remote_request(table: &ForeignTable, plan: &ScanPlan) -> String {
    let resource = table.resource;
    if let Some((index, operand)) = &plan.lookup
        && let Some(lookup) = resource.lookups.get(*index)
    {
        let label = |number: usize| plan.values.get(number).map_or("...", |v| v.label.as_str());
        let value = describe::operand(operand, &label);
        let path = match lookup.path.rsplit_once('/') {
            Some((parent, _)) => format!("{parent}/{}", value.trim_matches('\'')),
            None => lookup.path.clone(),
        };
        return request::shown(resource.version, &path);
    }
    let mut query: Vec<String> = plan
        .keys
        .iter()
        .map(|key| &resource.parameters[key.parameter].name)
        .filter(|name| !resource.path.contains(&format!("{{{name}}}")))
        .map(|name| format!("{name}={{{name}}}"))
        .collect();
    if resource.paged {
        let filter: Vec<String> = plan.conjuncts.iter().filter_map(|c| shown(plan, c)).collect();
        let settings = foreign::settings(table.server);
        let page_size = table.page_size.unwrap_or(settings.page_size);
        let size = match (plan.tuple, plan.limit, plan.head) {
            (Tuple::Counts(_), ..) if plan.exact => "1".to_owned(),
            (_, Some(_), _) => "{limit}".to_owned(),
            (_, _, Some(head)) => head.min(page_size).to_string(),
            _ => page_size.to_string(),
        };
        let page = if matches!(plan.limit, Some((_, true))) { "{offset}" } else { "1" };
        query.push(format!("page={page}&pageSize={size}"));
        let filter = filter.join(" and ");
        if !filter.is_empty() && filter.len() <= split::LONGEST_TARGET {
            query.push(format!("filterby={filter}"));
        }
        let order = Order {
            required: plan.orderby(),
            needs_filter: false,
            stable: request::stable_order(resource, &resource.properties()),
        };
        if let (Some(order), false) = (order.best(), matches!(plan.tuple, Tuple::Counts(_))) {
            query.push(format!("orderby={order}"));
        }
    }
    let target = match query.is_empty() {
        true => resource.path.clone(),
        false => format!("{}?{}", resource.path, query.join("&")),
    };
    request::shown(resource.version, &target)
}

/// # Safety
/// `es` must be the state that the callback was given.
unsafe fn property_if_any(es: *mut pg_sys::ExplainState, label: &str, value: &str) {
    if !value.is_empty() {
        // SAFETY: as the caller promises.
        unsafe { property(es, label, value) }
    }
}

/// # Safety
/// `es` must be the state that the callback was given.
unsafe fn property(es: *mut pg_sys::ExplainState, label: &str, value: &str) {
    let label = CString::new(label).unwrap_or_default();
    let value = super::datum::server_string(value);
    // SAFETY: as the caller promises; the strings are copied into the output.
    unsafe { pg_sys::ExplainPropertyText(label.as_ptr(), value, es) }
}

/// Several texts, a list in the structured formats; nothing where there are none.
///
/// # Safety
/// `es` must be the state that the callback was given.
unsafe fn list(es: *mut pg_sys::ExplainState, label: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    let label = CString::new(label).unwrap_or_default();
    let mut list = PgList::<std::ffi::c_char>::new();
    for value in values {
        list.push(super::datum::server_string(value));
    }
    // SAFETY: as the caller promises; the strings are copied into the output.
    unsafe { pg_sys::ExplainPropertyList(label.as_ptr(), list.into_pg(), es) }
}

/// # Safety
/// `es` must be the state that the callback was given.
unsafe fn count(es: *mut pg_sys::ExplainState, label: &CStr, unit: Option<&CStr>, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    let unit = unit.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: as the caller promises; a null unit is none.
    unsafe { pg_sys::ExplainPropertyInteger(label.as_ptr(), unit, value, es) }
}
