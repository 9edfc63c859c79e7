//! Planning a foreign scan: how many rows, at what cost, with which keys.
//!
//! Every restriction stays with the executor, which checks it on the rows that come; a key
//! only decides what is asked for. A table whose path needs keys is scanned once per value:
//! of a condition, or of the outer side of a nested loop.

use awork_api::catalogue::columns::Source;
use pgrx::prelude::*;
use pgrx::{PgList, PgMemoryContexts};

use super::foreign::{self, ForeignTable};
use super::keys::{self, KeyColumn};
use super::plan::ScanPlan;
use crate::columns::{known, required_keys, source};

/// Rows of a table of which nothing is known: what ANALYZE would store for a small list.
const DEFAULT_ROWS: f64 = 1000.0;

/// Cost of a round trip; postgres_fdw's default for reaching a server.
const REQUEST_COST: f64 = 100.0;

/// Cost of fetching and decoding a row.
const ROW_COST: f64 = 0.05;

/// Cost of a path that cannot be run for want of a key, so that any other is preferred.
const IMPOSSIBLE_COST: f64 = 1.0e10;

/// What the callbacks of one relation share; in `fdw_private` of the relation.
struct Relation {
    table: ForeignTable,
    /// The columns that bind a parameter.
    keys: Vec<KeyColumn>,
    /// The parameters without which no request can be made.
    required: Vec<usize>,
}

impl Relation {
    fn new(relation: pg_sys::Oid) -> Self {
        let table = foreign::table(relation);
        let known = known(table.resource);
        let keys = table
            .attributes
            .iter()
            .filter_map(|attribute| match source(table.resource, &known, attribute) {
                Some(Source::Parameter(parameter)) => {
                    Some(KeyColumn { attribute: attribute.number, parameter })
                }
                _ => None,
            })
            .collect();
        let required = required_keys(table.resource).collect();
        Self { table, keys, required }
    }

    /// The key columns that must be bound and are not by the clauses.
    ///
    /// # Safety
    /// `clauses` must be the restrictions of the relation `relid`.
    unsafe fn unbound(
        &self,
        root: *mut pg_sys::PlannerInfo,
        relid: pg_sys::Index,
        clauses: *mut pg_sys::List,
    ) -> Vec<KeyColumn> {
        // SAFETY: as the caller promises.
        let bound: Vec<usize> = unsafe {
            PgList::<pg_sys::RestrictInfo>::from_pg(clauses)
                .iter_ptr()
                .filter_map(|r| keys::binding(root, relid, (*r).clause.cast(), &self.keys))
                .map(|(key, _)| key.parameter)
                .collect()
        };
        let required = |key: &&KeyColumn| self.required.contains(&key.parameter);
        let mut unbound: Vec<KeyColumn> = self.keys.iter().filter(required).copied().collect();
        unbound.retain(|key| !bound.contains(&key.parameter));
        unbound
    }
}

/// `GetForeignRelSize` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn get_foreign_rel_size(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    relation: pg_sys::Oid,
) {
    let relation = Relation::new(relation);
    // SAFETY: the planner's structures live in the current memory context, whose deletion
    // drops what is stored in them.
    unsafe {
        (*baserel).fdw_private =
            PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(relation).cast();
        if (*baserel).tuples < 1.0 {
            (*baserel).tuples = DEFAULT_ROWS;
        }
        pg_sys::set_baserel_size_estimates(root, baserel);
    }
}

/// `GetForeignPaths` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn get_foreign_paths(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    _relation: pg_sys::Oid,
) {
    // SAFETY: `fdw_private` was set by `get_foreign_rel_size` for this relation.
    unsafe {
        let relation = &*(*baserel).fdw_private.cast::<Relation>();
        let rows = (*baserel).rows;
        let unbound = relation.unbound(root, (*baserel).relid, (*baserel).baserestrictinfo);
        let cost = REQUEST_COST + (*baserel).tuples * ROW_COST;
        let cost = if unbound.is_empty() { cost } else { IMPOSSIBLE_COST };
        add_path(root, baserel, rows, cost, (*baserel).lateral_relids);

        // A join condition on each missing key makes the scan the inner side of a nested loop.
        let mut outer = (*baserel).lateral_relids;
        for key in &unbound {
            let Some(relids) = joined_relids(root, baserel, *key) else { return };
            outer = pg_sys::bms_union(outer, relids);
        }
        if !unbound.is_empty() {
            let info = pg_sys::get_baserel_parampathinfo(root, baserel, outer);
            let rows = (*info).ppi_rows;
            add_path(root, baserel, rows, REQUEST_COST + rows * ROW_COST, outer);
        }
    }
}

/// The other relations of a join condition that equates the key's column, if there is one.
///
/// # Safety
/// `baserel` must be the relation that is planned.
unsafe fn joined_relids(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    key: KeyColumn,
) -> Option<pg_sys::Relids> {
    // SAFETY: the callback gets back the pointer to `attribute`, which outlives the call.
    unsafe {
        let relid = (*baserel).relid;
        let mut attribute = key.attribute;
        let implied = pg_sys::generate_implied_equalities_for_column(
            root,
            baserel,
            Some(is_column),
            (&raw mut attribute).cast(),
            (*baserel).lateral_referencers,
        );
        let implied = PgList::<pg_sys::RestrictInfo>::from_pg(implied);
        let joins = PgList::<pg_sys::RestrictInfo>::from_pg((*baserel).joininfo);
        let movable =
            joins.iter_ptr().filter(|join| pg_sys::join_clause_is_movable_to(*join, baserel));
        implied
            .iter_ptr()
            .chain(movable)
            .find(|r| keys::binding(root, relid, (**r).clause.cast(), &[key]).is_some())
            .map(|r| pg_sys::bms_del_member(pg_sys::bms_copy((*r).clause_relids), relid as i32))
            .filter(|relids| pg_sys::bms_num_members(*relids) > 0)
    }
}

/// Whether a member of an equivalence class is the column whose number `attribute` points to.
#[pg_guard]
unsafe extern "C-unwind" fn is_column(
    _root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    _class: *mut pg_sys::EquivalenceClass,
    member: *mut pg_sys::EquivalenceMember,
    attribute: *mut std::ffi::c_void,
) -> bool {
    // SAFETY: `attribute` is the pointer given to `generate_implied_equalities_for_column`.
    unsafe {
        keys::column((*member).em_expr.cast(), (*baserel).relid) == Some(*attribute.cast::<i16>())
    }
}

/// # Safety
/// `baserel` must be the relation that is planned.
unsafe fn add_path(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    rows: f64,
    total_cost: f64,
    required_outer: pg_sys::Relids,
) {
    // SAFETY: as the caller promises; all other arguments may be null.
    unsafe {
        let path = pg_sys::create_foreignscan_path(
            root,
            baserel,
            std::ptr::null_mut(),
            rows,
            #[cfg(feature = "pg18")]
            0,
            REQUEST_COST.min(total_cost),
            total_cost,
            std::ptr::null_mut(),
            required_outer,
            std::ptr::null_mut(),
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        );
        pg_sys::add_path(baserel, path.cast());
    }
}

/// `GetForeignPlan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn get_foreign_plan(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    _relation: pg_sys::Oid,
    _path: *mut pg_sys::ForeignPath,
    target_list: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    outer_plan: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: `fdw_private` was set by `get_foreign_rel_size` for this relation; lists and
    // nodes are the planner's and live as long as the plan.
    unsafe {
        let relid = (*baserel).relid;
        let relation = &*(*baserel).fdw_private.cast::<Relation>();
        let mut plan =
            ScanPlan { attributes: attributes(relation, baserel, clauses), keys: Vec::new() };
        let mut values = PgList::<pg_sys::Expr>::new();
        for clause in PgList::<pg_sys::RestrictInfo>::from_pg(clauses).iter_ptr() {
            let binding = keys::binding(root, relid, (*clause).clause.cast(), &relation.keys);
            if let Some((key, value)) = binding
                && plan.keys.iter().all(|k| k.parameter != key.parameter)
            {
                plan.keys.push(key);
                values.push(value);
            }
        }
        pg_sys::make_foreignscan(
            target_list,
            pg_sys::extract_actual_clauses(clauses, false),
            relid,
            values.into_pg(),
            plan.to_list(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            outer_plan,
        )
    }
}

/// The columns that the query reads of the relation: in its output or in a condition.
///
/// # Safety
/// `baserel` must be the relation that is planned, `clauses` its restrictions.
unsafe fn attributes(
    relation: &Relation,
    baserel: *mut pg_sys::RelOptInfo,
    clauses: *mut pg_sys::List,
) -> Vec<i16> {
    // SAFETY: as the caller promises.
    unsafe {
        let relid = (*baserel).relid;
        let mut used = std::ptr::null_mut();
        pg_sys::pull_varattnos((*(*baserel).reltarget).exprs.cast(), relid, &mut used);
        for clause in PgList::<pg_sys::RestrictInfo>::from_pg(clauses).iter_ptr() {
            pg_sys::pull_varattnos((*clause).clause.cast(), relid, &mut used);
        }
        // Numbers are stored from the lowest system column on, so that none is negative.
        let is_used = |number: i16| {
            let offset = pg_sys::FirstLowInvalidHeapAttributeNumber;
            pg_sys::bms_is_member(i32::from(number) - offset, used)
        };
        let whole_row = is_used(0);
        let numbers = relation.table.attributes.iter().map(|a| a.number);
        numbers.filter(|&number| whole_row || is_used(number)).collect()
    }
}
