//! Planning a foreign scan: how many rows, at what cost, with which keys and in which order.
//!
//! Every restriction also stays with the executor, which checks it on the rows that come; a
//! key or a filter decides what is asked for. So a filter that awork refuses, or answers too
//! widely, costs time and no correctness. Only an answer that needs no look at the rows (the
//! number of them, or where to begin) depends on a condition being exact.

use awork_api::catalogue::Support;
use awork_api::filter::{Comparison, Leaf, Operand, Remote, Value, classify};
use awork_api::filter::{Condition, Exactness};
use pgrx::prelude::*;
use pgrx::{PgList, PgMemoryContexts};

use super::keys::{self, KeyColumn};
use super::order;
use super::relation::{Question, Relation};

/// Cost of a path that cannot be run for want of a key, so that any other is preferred, also
/// one that `enable_nestloop` discourages (by 1e10, `disable_cost` in costsize.c).
const IMPOSSIBLE_COST: f64 = 1.0e13;

/// How many sets of outer relations are tried for the keys of one table.
const MOST_PATHS: usize = 16;

/// `GetForeignRelSize` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn get_foreign_rel_size(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    relation: pg_sys::Oid,
) {
    // SAFETY: the planner's structures live in the current memory context, whose deletion
    // drops what is stored in them.
    unsafe {
        let user = checked_user(root, baserel);
        let relation = Relation::new(relation, user, (*baserel).tuples);
        // Selectivities depend on it, and are remembered once they are computed.
        (*baserel).tuples = relation.rows().max(1.0);
        pg_sys::set_baserel_size_estimates(root, baserel);
        let question = relation.question(root, (*baserel).relid, &restrictions(baserel));
        let estimate = relation.estimate(root, (*baserel).relid, &question);
        (*baserel).rows = pg_sys::clamp_row_est(estimate.rows);
        (*baserel).fdw_private =
            PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(relation).cast();
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
        let question = relation.question(root, (*baserel).relid, &restrictions(baserel));
        let mut possible = question.parents.is_some();
        let mut outer_sets: Vec<pg_sys::Relids> = vec![lateral];
        for key in relation.unbound(&question) {
            let joined = joined_relids(root, baserel, key.attribute, Some(key));
            let required = relation.is_required(key.parameter);
            // A join condition on a parameter that has a default must bind it in every plan,
            // since the rows that come depend on it.
            if !required && !joined.is_empty() {
                possible = false;
            }
            if !joined.is_empty() || required {
                outer_sets = unions(&outer_sets, &joined);
            }
        }
        if possible {
            let estimate = relation.estimate(root, (*baserel).relid, &question);
            let cost = relation.cost(&estimate);
            let rows = (*baserel).rows;
            add_path(root, baserel, rows, cost, std::ptr::null_mut(), lateral);
            let pathkeys = order::useful_pathkeys(root, baserel, relation, &question);
            // A reference to another relation may bind a key to several lists.
            if !pathkeys.is_null() && pg_sys::bms_num_members(lateral) == 0 {
                add_path(root, baserel, rows, cost, pathkeys, lateral);
            }
        } else {
            // There must be a path without other relations, even if running it is an error.
            let cost = (IMPOSSIBLE_COST, IMPOSSIBLE_COST);
            add_path(root, baserel, (*baserel).rows, cost, std::ptr::null_mut(), lateral);
        }
        let required: Vec<pg_sys::Relids> =
            outer_sets.iter().copied().filter(|set| !pg_sys::bms_equal(*set, lateral)).collect();
        let mut sets = required.clone();
        // As the inner side of a nested loop, the scan gets values from the outer side.
        let base = if possible { vec![lateral] } else { required };
        for attribute in lookup_attributes(relation) {
            let joined = joined_relids(root, baserel, attribute, None);
            for set in unions(&base, &joined) {
                if sets.len() < MOST_PATHS && !sets.iter().any(|s| pg_sys::bms_equal(*s, set)) {
                    sets.push(set);
                }
            }
        }
        for outer in sets {
            add_parameterised_path(root, baserel, relation, outer);
        }
    }
}

/// Adds a path that gets values from the relations in `outer`, where that makes it possible.
///
/// # Safety
/// `baserel` must be the relation that is planned.
unsafe fn add_parameterised_path(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
    outer: pg_sys::Relids,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let info = pg_sys::get_baserel_parampathinfo(root, baserel, outer);
        if info.is_null() {
            return;
        }
        let mut clauses = restrictions(baserel);
        clauses.extend(PgList::<pg_sys::RestrictInfo>::from_pg((*info).ppi_clauses).iter_ptr());
        let question = relation.question(root, (*baserel).relid, &clauses);
        if question.parents.is_none() {
            return;
        }
        let mut estimate = relation.estimate(root, (*baserel).relid, &question);
        // Of a key that is bound there is one list, whatever the statistics say of its column.
        estimate.rows = pg_sys::clamp_row_est(estimate.rows);
        (*info).ppi_rows = estimate.rows;
        let cost = relation.cost(&estimate);
        add_path(root, baserel, estimate.rows, cost, std::ptr::null_mut(), outer);
    }
}

/// The columns by which awork is known to find rows, so that a join may look rows up by them.
fn lookup_attributes(relation: &Relation) -> Vec<i16> {
    let finds = |field: &awork_api::filter::Field| {
        let leaf = Leaf::Compare(field.clone(), Comparison::Eq, Operand::Constant(Value::Other));
        let classified = classify(&Condition::Leaf(leaf));
        field.filter == Support::Yes && classified.exactness == Exactness::Exact
    };
    relation.fields().filter(|(_, field)| finds(field)).map(|(number, _)| number).collect()
}

/// The restrictions of a relation.
///
/// # Safety
/// `baserel` must be a relation of the planner.
pub(super) unsafe fn restrictions(
    baserel: *mut pg_sys::RelOptInfo,
) -> Vec<*mut pg_sys::RestrictInfo> {
    // SAFETY: as the caller promises.
    unsafe {
        PgList::<pg_sys::RestrictInfo>::from_pg((*baserel).baserestrictinfo).iter_ptr().collect()
    }
}

/// The role whose user mapping counts for a scan of the relation.
///
/// # Safety
/// `baserel` must be a relation of the planner.
unsafe fn checked_user(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
) -> pg_sys::Oid {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let user = {
            let entry = *(*root).simple_rte_array.add((*baserel).relid as usize);
            (*entry).checkAsUser
        };
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let user = {
            let _ = root;
            (*baserel).userid
        };
        if user == pg_sys::InvalidOid { pg_sys::GetUserId() } else { user }
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

/// The other relations of each join condition that equates a column: one that binds `key`, or
/// else any equality.
///
/// # Safety
/// `baserel` must be the relation that is planned.
unsafe fn joined_relids(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    attribute: i16,
    key: Option<KeyColumn>,
) -> Vec<pg_sys::Relids> {
    // SAFETY: the callback gets back the pointer to `attribute`, which outlives the call.
    unsafe {
        let relid = (*baserel).relid;
        let relation = &*(*baserel).fdw_private.cast::<Relation>();
        let mut attribute = attribute;
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
        let binds = |restriction: *mut pg_sys::RestrictInfo| match key {
            Some(key) => keys::binding(root, relid, (*restriction).clause.cast(), &[key]).is_some(),
            None => {
                let question = relation.question(root, relid, &[restriction]);
                equates(relation, &question, attribute)
            }
        };
        implied
            .iter_ptr()
            .chain(movable)
            .filter(|r| binds(*r))
            .map(|r| pg_sys::bms_del_member(pg_sys::bms_copy((*r).clause_relids), relid as i32))
            .filter(|relids| pg_sys::bms_num_members(*relids) > 0)
            .collect()
    }
}

/// Whether the only condition of a question is an equality of this column, exactly.
fn equates(relation: &Relation, question: &Question, attribute: i16) -> bool {
    let path = relation.field(attribute).ok().and_then(|f| f.path().map(str::to_owned));
    question.exact
        && question.conjuncts.iter().any(|conjunct| match &conjunct.remote {
            Remote::Leaf(Leaf::Compare(field, Comparison::Eq, _) | Leaf::AnyOf(field, _)) => {
                field.path() == path.as_deref()
            }
            _ => false,
        })
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
    (startup_cost, total_cost): (f64, f64),
    pathkeys: *mut pg_sys::List,
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
            startup_cost,
            total_cost,
            pathkeys,
            required_outer,
            std::ptr::null_mut(),
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        );
        pg_sys::add_path(baserel, path.cast());
    }
}
