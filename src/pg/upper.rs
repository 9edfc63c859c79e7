//! Scans that are more than those of a table: the number of its rows, which awork announces
//! with every page, and a slice of them where an offset or a parameter decides which.
//!
//! A constant LIMIT without OFFSET is none of these: the scan below it asks for a first page of
//! that size, see `head` in `create_plan`.

use pgrx::prelude::*;
use pgrx::{PgList, is_a};

use super::order;
use super::planner::restrictions;
use super::relation::{Question, Relation};
use crate::settings as gucs;

/// What a path of an upper relation does; the second node of its `fdw_private`, after the
/// index of the relation below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    Slice,
}

/// `GetForeignUpperPaths` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn get_foreign_upper_paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    _input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut std::ffi::c_void,
) {
    // SAFETY: the planner's structures; `extra` is what the stage says it is.
    unsafe {
        let Some(baserel) = only_relation(root, output) else { return };
        let relation = &*(*baserel).fdw_private.cast::<Relation>();
        let question = relation.question(root, (*baserel).relid, &restrictions(baserel));
        let answered = relation.table.resource.paged
            && question.exact
            && !question.gated
            && question.parents.as_ref().is_some_and(Vec::is_empty)
            && relation.unbound(&question).iter().all(|key| !relation.is_required(key.parameter));
        if !answered {
            return;
        }
        match stage {
            pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG => {
                add_count_path(root, baserel, relation, output, extra.cast());
            }
            pg_sys::UpperRelationKind::UPPERREL_FINAL => {
                let extra = extra.cast::<pg_sys::FinalPathExtraData>();
                add_slice_path(root, baserel, relation, &question, output, extra);
            }
            _ => {}
        }
    }
}

/// The only relation of a query, if it is one of ours.
unsafe fn only_relation(
    root: *mut pg_sys::PlannerInfo,
    output: *mut pg_sys::RelOptInfo,
) -> Option<*mut pg_sys::RelOptInfo> {
    // SAFETY: as for the callback.
    unsafe {
        let relids = (*root).all_baserels;
        if pg_sys::bms_num_members(relids) != 1 {
            return None;
        }
        let baserel = *(*root).simple_rel_array.add(pg_sys::bms_singleton_member(relids) as usize);
        let ours = !baserel.is_null()
            && (*baserel).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL
            && (*baserel).rtekind == pg_sys::RTEKind::RTE_RELATION
            && (*baserel).fdwroutine == (*output).fdwroutine
            && !(*baserel).fdw_private.is_null();
        ours.then_some(baserel)
    }
}

unsafe fn add_count_path(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut pg_sys::GroupPathExtraData,
) {
    use pg_sys::PartitionwiseAggregateType as Partitionwise;
    // SAFETY: as for the callback.
    unsafe {
        let parse = (*root).parse;
        let target = *(*root)
            .upper_targets
            .as_ptr()
            .add(pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG as usize);
        let plain = (*parse).groupClause.is_null()
            && (*parse).groupingSets.is_null()
            && (*extra).havingQual.is_null()
            && !(*parse).hasTargetSRFs
            && (*extra).patype == Partitionwise::PARTITIONWISE_AGGREGATE_NONE;
        if !plain || target.is_null() {
            return;
        }
        let parts = parts((*target).exprs);
        let counts = |node: *mut pg_sys::Node| counts_rows(node, baserel, relation);
        if parts.is_empty() || !parts.into_iter().all(counts) {
            return;
        }
        let request = gucs::request_cost();
        add_path(root, output, target, baserel, Kind::Count, 1.0, request, std::ptr::null_mut());
    }
}

/// The aggregates in some expressions, and the columns outside of them.
///
/// # Safety
/// `expressions` must be a list of expressions of the planner.
pub(super) unsafe fn parts(expressions: *mut pg_sys::List) -> Vec<*mut pg_sys::Node> {
    // SAFETY: as the caller promises.
    unsafe {
        let flags = pg_sys::PVC_INCLUDE_AGGREGATES
            | pg_sys::PVC_RECURSE_WINDOWFUNCS
            | pg_sys::PVC_INCLUDE_PLACEHOLDERS;
        let list = pg_sys::pull_var_clause(expressions.cast(), flags as i32);
        PgList::<pg_sys::Node>::from_pg(list).iter_ptr().collect()
    }
}

/// Whether a node is `count(*)`, or `count` of a column that is never null.
unsafe fn counts_rows(
    node: *mut pg_sys::Node,
    baserel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
) -> bool {
    // SAFETY: every cast follows a test of the node's tag.
    unsafe {
        if !is_a(node, pg_sys::NodeTag::T_Aggref) {
            return false;
        }
        let aggregate = &*node.cast::<pg_sys::Aggref>();
        let plain = aggregate.aggfilter.is_null()
            && aggregate.aggdistinct.is_null()
            && aggregate.aggorder.is_null()
            && aggregate.agglevelsup == 0
            && aggregate.aggsplit == pg_sys::AggSplit::AGGSPLIT_SIMPLE;
        if !plain {
            return false;
        }
        match aggregate.aggfnoid.to_u32() {
            pg_sys::F_COUNT_ => true,
            pg_sys::F_COUNT_ANY => {
                let arguments = PgList::<pg_sys::TargetEntry>::from_pg(aggregate.args);
                let Some(argument) = arguments.head() else { return false };
                let attribute = super::keys::column((*argument).expr.cast(), (*baserel).relid);
                attribute
                    .and_then(|attribute| relation.field(attribute).ok())
                    .is_some_and(|field| field.path() == Some("id") && !field.nullable)
            }
            _ => false,
        }
    }
}

unsafe fn add_slice_path(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
    question: &Question,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut pg_sys::FinalPathExtraData,
) {
    // SAFETY: as for the callback.
    unsafe {
        let parse = (*root).parse;
        let is_constant =
            |node: *mut pg_sys::Node| node.is_null() || is_a(node, pg_sys::NodeTag::T_Const);
        let plain = (*parse).commandType == pg_sys::CmdType::CMD_SELECT
            && !extra.is_null()
            && (*extra).limit_needed
            && (*parse).limitOption != pg_sys::LimitOption::LIMIT_OPTION_WITH_TIES
            && (*parse).rowMarks.is_null()
            && (*parse).groupClause.is_null()
            && (*parse).groupingSets.is_null()
            && (*parse).havingQual.is_null()
            && (*parse).distinctClause.is_null()
            && (*parse).setOperations.is_null()
            && !(*parse).hasAggs
            && !(*parse).hasWindowFuncs
            && !(*parse).hasTargetSRFs;
        // A constant limit needs no path of its own.
        if !plain || ((*parse).limitOffset.is_null() && is_constant((*parse).limitCount)) {
            return;
        }
        if question.keys.iter().any(|(key, _)| key.any_of) {
            return;
        }
        let pathkeys = (*root).sort_pathkeys;
        let order = order::of_pathkeys(baserel, relation, question, pathkeys);
        let keys = order.unless_refused(relation).keys;
        let target =
            *(*root).upper_targets.as_ptr().add(pg_sys::UpperRelationKind::UPPERREL_FINAL as usize);
        if keys.len() != PgList::<pg_sys::PathKey>::from_pg(pathkeys).len() || target.is_null() {
            return;
        }
        let columns = |node: *mut pg_sys::Node| {
            super::keys::column(node, (*baserel).relid).is_some_and(|attribute| attribute > 0)
        };
        if !parts((*target).exprs).into_iter().all(columns) {
            return;
        }
        // As preprocess_limit in planner.c has them: 0 is none, and -1, not known, is taken for a
        // tenth.
        let all = (*baserel).rows;
        let skipped = match (*extra).offset_est {
            -1 => all / 10.0,
            offset => offset as f64,
        };
        let rest = (all - skipped).max(1.0);
        let rows = match (*extra).count_est {
            0 => rest,
            -1 => (all / 10.0).clamp(1.0, rest),
            count => (count as f64).min(rest),
        };
        let cost = relation.cost_of_rows(rows);
        add_path(root, output, target, baserel, Kind::Slice, rows, cost, pathkeys);
    }
}

#[allow(clippy::too_many_arguments)]
unsafe fn add_path(
    root: *mut pg_sys::PlannerInfo,
    output: *mut pg_sys::RelOptInfo,
    target: *mut pg_sys::PathTarget,
    baserel: *mut pg_sys::RelOptInfo,
    kind: Kind,
    rows: f64,
    cost: f64,
    pathkeys: *mut pg_sys::List,
) {
    // SAFETY: as for the callback; other arguments may be null.
    unsafe {
        let mut private = PgList::<pg_sys::Node>::new();
        private.push(pg_sys::makeInteger((*baserel).relid as i32).cast());
        private.push(pg_sys::makeInteger(i32::from(kind == Kind::Count)).cast());
        let path = pg_sys::create_foreign_upper_path(
            root,
            output,
            target,
            rows,
            #[cfg(feature = "pg18")]
            0,
            gucs::request_cost(),
            cost,
            pathkeys,
            std::ptr::null_mut(),
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            std::ptr::null_mut(),
            private.into_pg(),
        );
        pg_sys::add_path(output, path.cast());
    }
}

/// The relation below a path of an upper relation, and what the path does.
///
/// # Safety
/// `path` must come from [`get_foreign_upper_paths`].
pub(super) unsafe fn of_path(
    root: *mut pg_sys::PlannerInfo,
    path: *mut pg_sys::ForeignPath,
) -> (*mut pg_sys::RelOptInfo, Kind) {
    // SAFETY: as the caller promises, the private list has two integers.
    unsafe {
        let private = PgList::<pg_sys::Node>::from_pg((*path).fdw_private);
        let integer = |index| private.get_ptr(index).map_or(0, |node| integer(node));
        let baserel = *(*root).simple_rel_array.add(integer(0) as usize);
        (baserel, if integer(1) == 1 { Kind::Count } else { Kind::Slice })
    }
}

/// The value of an integer node.
///
/// # Safety
/// `node` must come from `makeInteger`.
pub(super) unsafe fn integer(node: *mut pg_sys::Node) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(feature = "pg14")]
        let value = (*node.cast::<pg_sys::Value>()).val.ival;
        #[cfg(not(feature = "pg14"))]
        let value = (*node.cast::<pg_sys::Integer>()).ival;
        value
    }
}
