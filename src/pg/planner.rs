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
use crate::error;

/// Rows of a table of which nothing is known: what ANALYZE would store for a small list.
const DEFAULT_ROWS: f64 = 1000.0;

/// Cost of a round trip; postgres_fdw's default for reaching a server.
const REQUEST_COST: f64 = 100.0;

/// Cost of fetching and decoding a row.
const ROW_COST: f64 = 0.05;

/// Cost of a path that cannot be run for want of a key, so that any other is preferred, also
/// one that `enable_nestloop` discourages (by 1e10, `disable_cost` in costsize.c).
const IMPOSSIBLE_COST: f64 = 1.0e13;

/// How many sets of outer relations are tried for the keys of one table.
const MOST_PATHS: usize = 16;

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
        let mut keys: Vec<KeyColumn> = Vec::new();
        for attribute in &table.attributes {
            let Some(Source::Parameter(parameter)) = source(table.resource, &known, attribute)
            else {
                continue;
            };
            if keys.iter().any(|key| key.parameter == parameter) {
                error::invalid_value(
                    format!(
                        "column \"{}\" of foreign table \"{}\" shows the parameter \"{}\", as another column does",
                        attribute.name, table.name, table.resource.parameters[parameter].name
                    ),
                    Some("Drop one of the columns, or give it another option \"field\".".into()),
                );
            }
            keys.push(KeyColumn { attribute: attribute.number, parameter });
        }
        let required = required_keys(table.resource).collect();
        Self { table, keys, required }
    }

    /// The key columns that the clauses do not bind.
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
        self.keys.iter().filter(|key| !bound.contains(&key.parameter)).copied().collect()
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
        let lateral = (*baserel).lateral_relids;
        let mut possible = true;
        let mut outer_sets: Vec<pg_sys::Relids> = vec![lateral];
        for key in relation.unbound(root, (*baserel).relid, (*baserel).baserestrictinfo) {
            let joined = joined_relids(root, baserel, key);
            // A join condition on a parameter that has a default must bind it in every plan,
            // since the rows that come depend on it.
            if !joined.is_empty() || relation.required.contains(&key.parameter) {
                possible = false;
                outer_sets = unions(&outer_sets, &joined);
            }
        }
        let rows = (*baserel).rows;
        if possible {
            add_path(root, baserel, rows, REQUEST_COST + (*baserel).tuples * ROW_COST, lateral);
            return;
        }
        // There must be a path without other relations, even if running it is an error.
        add_path(root, baserel, rows, IMPOSSIBLE_COST, lateral);
        for outer in outer_sets {
            // As the inner side of a nested loop, the scan gets its keys from the outer side.
            let info = pg_sys::get_baserel_parampathinfo(root, baserel, outer);
            let rows = (*info).ppi_rows;
            add_path(root, baserel, rows, REQUEST_COST + rows * ROW_COST, outer);
        }
    }
}

/// Every union of a set of one list with a set of the other, each once.
///
/// # Safety
/// The sets must be the planner's.
unsafe fn unions(left: &[pg_sys::Relids], right: &[pg_sys::Relids]) -> Vec<pg_sys::Relids> {
    let mut all: Vec<pg_sys::Relids> = Vec::new();
    for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
        // SAFETY: as the caller promises; the union is a new set.
        let union = unsafe { pg_sys::bms_union(a, b) };
        // SAFETY: as above.
        if all.len() < MOST_PATHS && !all.iter().any(|s| unsafe { pg_sys::bms_equal(*s, union) }) {
            all.push(union);
        }
    }
    all
}

/// The other relations of each join condition that equates the key's column.
///
/// # Safety
/// `baserel` must be the relation that is planned.
unsafe fn joined_relids(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    key: KeyColumn,
) -> Vec<pg_sys::Relids> {
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
            .filter(|r| keys::binding(root, relid, (**r).clause.cast(), &[key]).is_some())
            .map(|r| pg_sys::bms_del_member(pg_sys::bms_copy((*r).clause_relids), relid as i32))
            .filter(|relids| pg_sys::bms_num_members(*relids) > 0)
            .collect()
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
            i32::from(total_cost >= IMPOSSIBLE_COST),
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
