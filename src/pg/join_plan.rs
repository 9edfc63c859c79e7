//! Makes the plan of a join by lookups. Its tuple is the outer row as the plan below gives it,
//! and then the columns that are read of the inner table.

use pgrx::PgList;
#[cfg(not(any(feature = "pg14", feature = "pg15")))]
use pgrx::is_a;
use pgrx::prelude::*;

use super::create_plan::{keys_and_values, plan};
use super::join::{self, is_same};
use super::plan::{Join, JoinKind, Tuple};
use super::planner::restrictions;
use super::relation::Relation;
use super::upper::parts;

/// The plan of a join.
///
/// # Safety
/// As for `GetForeignPlan`, with a path from `GetForeignJoinPaths`.
pub(super) unsafe fn join_plan(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::ForeignPath,
    target_list: *mut pg_sys::List,
    outer_plan: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: as the caller promises; what is shared with other paths is copied before it is
    // changed.
    unsafe {
        let join::Private { innerrel, kind, restrictlist, clauses } = join::of_path(root, path);
        let relation = &*(*innerrel).fdw_private.cast::<Relation>();
        let relid = (*innerrel).relid;
        let Some(lookup) = join::lookup(root, innerrel, relation, clauses) else {
            crate::error::internal("the conditions of a join look nothing up any more")
        };

        let (mut matching, mut others) = (std::ptr::null_mut(), std::ptr::null_mut());
        match kind {
            JoinKind::Inner | JoinKind::Semi => {
                matching = pg_sys::extract_actual_clauses(restrictlist, false);
            }
            JoinKind::Left | JoinKind::Anti => {
                let relids = (*joinrel).relids;
                pg_sys::extract_actual_join_clauses(
                    restrictlist,
                    relids,
                    &mut matching,
                    &mut others,
                );
            }
        }
        let mut conditions = PgList::<pg_sys::Expr>::new();
        for restriction in restrictions(innerrel) {
            conditions.push((*restriction).clause);
        }
        for clause in PgList::<pg_sys::Expr>::from_pg(matching).iter_ptr() {
            conditions.push(clause);
        }

        let mut tuple = PgList::<pg_sys::TargetEntry>::new();
        let mut add = |node: *mut pg_sys::Node| {
            let number = tuple.len() as i16 + 1;
            let node = pg_sys::copyObjectImpl(node.cast()).cast();
            tuple.push(pg_sys::makeTargetEntry(node, number, std::ptr::null_mut(), false));
        };
        let below = PgList::<pg_sys::TargetEntry>::from_pg((*outer_plan).targetlist);
        below.iter_ptr().for_each(|entry| add((*entry).expr.cast()));
        let outer_width = below.len();
        let mut plan = plan(relation, &lookup.question, Tuple::Columns);
        // The columns of the join come first, so that the tuple has them as they are above it.
        let read = parts((*(*joinrel).reltarget).exprs)
            .into_iter()
            .chain(parts(conditions.as_ptr()))
            .chain(parts(others));
        for node in read {
            let Some(attribute) = super::keys::column(node, relid) else { continue };
            if !plan.attributes.contains(&attribute) {
                plan.attributes.push(attribute);
                add(node);
            }
        }

        plan.lookup = None;
        plan.quals = conditions.len();
        plan.join = Some(Join {
            kind,
            member: pg_sys::bms_member_index((*joinrel).relids, relid as i32).max(0) as usize,
            outer_width,
            filter: lookup.filter,
            wants_all: (*root).tuple_fraction <= 0.0 && (*root).limit_tuples < 0.0,
        });
        let mut expressions = keys_and_values(&lookup.question);
        conditions.iter_ptr().for_each(|condition| expressions.push(condition));
        pg_sys::make_foreignscan(
            target_list,
            as_in(&tuple, others),
            0,
            as_in(&tuple, expressions.into_pg()),
            plan.to_list(),
            tuple.into_pg(),
            std::ptr::null_mut(),
            outer_plan,
        )
    }
}

/// A copy of some expressions whose columns are those of the tuple: a condition sees the columns
/// before an outer join may make them null, or after; there is one place for both.
unsafe fn as_in(
    tuple: &PgList<pg_sys::TargetEntry>,
    expressions: *mut pg_sys::List,
) -> *mut pg_sys::List {
    // SAFETY: expressions of the planner; the parts of the copy are in it, not copied again.
    unsafe {
        let copy: *mut pg_sys::List = pg_sys::copyObjectImpl(expressions.cast()).cast();
        for part in parts(copy) {
            let shown = tuple.iter_ptr().find(|entry| is_same((**entry).expr.cast(), part));
            let Some(shown) = shown else { continue };
            see_alike((*shown).expr.cast(), part);
        }
        copy
    }
}

/// Makes `node` the same as `shown`, as far as outer joins are concerned.
#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn see_alike(_shown: *mut pg_sys::Node, _node: *mut pg_sys::Node) {}

/// Makes `node` the same as `shown`, as far as outer joins are concerned.
#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe fn see_alike(shown: *mut pg_sys::Node, node: *mut pg_sys::Node) {
    // SAFETY: both are columns, or both placeholders.
    unsafe {
        if is_a(node, pg_sys::NodeTag::T_Var) {
            let shown = shown.cast::<pg_sys::Var>();
            (*node.cast::<pg_sys::Var>()).varnullingrels = (*shown).varnullingrels;
        } else {
            let shown = shown.cast::<pg_sys::PlaceHolderVar>();
            (*node.cast::<pg_sys::PlaceHolderVar>()).phnullingrels = (*shown).phnullingrels;
        }
    }
}
