//! Makes the plan of a foreign scan from the path that the planner chose.

use pgrx::PgList;
use pgrx::prelude::*;

use super::clause::Expression;
use super::join_plan;
use super::order;
use super::plan::{ScanPlan, Tuple, ValueExpression};
use super::planner::restrictions;
use super::relation::{Question, Relation};
use super::upper::{self, Kind};

/// `GetForeignPlan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn get_foreign_plan(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    _relation: pg_sys::Oid,
    path: *mut pg_sys::ForeignPath,
    target_list: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    outer_plan: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: `fdw_private` was set by `get_foreign_rel_size` for the relation; lists and nodes
    // are the planner's and live as long as the plan.
    unsafe {
        if (*baserel).reloptkind == pg_sys::RelOptKind::RELOPT_JOINREL {
            return join_plan::join_plan(root, baserel, path, target_list, outer_plan);
        }
        if (*baserel).relid == 0 {
            return upper_plan(root, path, target_list, outer_plan);
        }
        let relation = &*(*baserel).fdw_private.cast::<Relation>();
        let restrictions: Vec<_> =
            PgList::<pg_sys::RestrictInfo>::from_pg(clauses).iter_ptr().collect();
        let question = relation.question(root, (*baserel).relid, &restrictions);
        let pathkeys = (*path).path.pathkeys;
        let order = order::of_pathkeys(baserel, relation, &question, pathkeys);
        if order.keys.len() != PgList::<pg_sys::PathKey>::from_pg(pathkeys).len() {
            crate::error::internal("a path promises an order that its conditions do not allow");
        }
        let mut plan = plan(relation, &question, Tuple::Relation);
        plan.attributes = attributes(relation, baserel, clauses);
        for key in &order.keys {
            if !plan.attributes.contains(&key.attribute) {
                plan.attributes.push(key.attribute);
            }
        }
        plan.order = order.keys;
        plan.order_needs_filter = order.needs_filter;
        plan.head = head(root, pathkeys, &question);
        let wanted = order::of_pathkeys(baserel, relation, &question, (*root).query_pathkeys);
        plan.local.extend(wanted.unless_refused(relation).reason);
        let expressions = keys_and_values(&question);
        pg_sys::make_foreignscan(
            target_list,
            pg_sys::extract_actual_clauses(clauses, false),
            (*baserel).relid,
            expressions.into_pg(),
            plan.to_list(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            outer_plan,
        )
    }
}

/// The plan of a count or of a slice.
unsafe fn upper_plan(
    root: *mut pg_sys::PlannerInfo,
    path: *mut pg_sys::ForeignPath,
    target_list: *mut pg_sys::List,
    outer_plan: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: as for the callback.
    unsafe {
        let (baserel, kind) = upper::of_path(root, path);
        let relation = &*(*baserel).fdw_private.cast::<Relation>();
        let relid = (*baserel).relid;
        let question = relation.question(root, relid, &restrictions(baserel));
        let quals = pg_sys::extract_actual_clauses((*baserel).baserestrictinfo, false);
        let quals = PgList::<pg_sys::Expr>::from_pg(quals);

        // The tuple of the scan: aggregates, then columns.
        let mut tuple = PgList::<pg_sys::TargetEntry>::new();
        let mut plan = plan(relation, &question, Tuple::Columns);
        let mut add = |node: *mut pg_sys::Node| {
            let number = tuple.len() as i16 + 1;
            let name = std::ptr::null_mut();
            tuple.push(pg_sys::makeTargetEntry(node.cast(), number, name, false));
        };
        let wanted: Vec<*mut pg_sys::Node> = upper::parts(target_list);
        if kind == Kind::Count {
            let mut counts: Vec<*mut pg_sys::Node> = Vec::new();
            for node in &wanted {
                if !counts.iter().any(|known| pg_sys::equal((*known).cast(), (*node).cast())) {
                    counts.push(*node);
                    add(*node);
                }
            }
            plan.tuple = Tuple::Counts(counts.len());
        }
        let columns = upper::parts(quals.as_ptr());
        let of_output = if kind == Kind::Count { &[] } else { wanted.as_slice() };
        for node in of_output.iter().chain(&columns) {
            let Some(attribute) = super::keys::column(*node, relid) else { continue };
            if !plan.attributes.contains(&attribute) {
                plan.attributes.push(attribute);
                add(*node);
            }
        }

        let mut expressions = keys_and_values(&question);
        if kind == Kind::Slice {
            let pathkeys = (*root).sort_pathkeys;
            let order = order::of_pathkeys(baserel, relation, &question, pathkeys);
            // A column that only the order reads is part of the tuple as well.
            for key in &order.keys {
                if !plan.attributes.contains(&key.attribute) {
                    plan.attributes.push(key.attribute);
                    add(variable(root, relid, key.attribute).cast());
                }
            }
            plan.order = order.keys;
            plan.order_needs_filter = order.needs_filter;
            let parse = (*root).parse;
            plan.limit = Some((!(*parse).limitCount.is_null(), !(*parse).limitOffset.is_null()));
            for node in [(*parse).limitCount, (*parse).limitOffset] {
                if !node.is_null() {
                    expressions.push(node.cast());
                }
            }
        }
        plan.quals = quals.len();
        for qual in quals.iter_ptr() {
            expressions.push(qual);
        }
        pg_sys::make_foreignscan(
            target_list,
            std::ptr::null_mut(),
            0,
            expressions.into_pg(),
            plan.to_list(),
            tuple.into_pg(),
            std::ptr::null_mut(),
            outer_plan,
        )
    }
}

unsafe fn variable(
    root: *mut pg_sys::PlannerInfo,
    relid: pg_sys::Index,
    attribute: i16,
) -> *mut pg_sys::Var {
    // SAFETY: the attribute is one of the relation.
    unsafe {
        let entry = *(*root).simple_rte_array.add(relid as usize);
        let (mut ty, mut typmod, mut collation) = (pg_sys::InvalidOid, 0, pg_sys::InvalidOid);
        pg_sys::get_atttypetypmodcoll(
            (*entry).relid,
            attribute,
            &mut ty,
            &mut typmod,
            &mut collation,
        );
        #[allow(clippy::useless_conversion)]
        let relid = relid.try_into().unwrap_or_default();
        pg_sys::makeVar(relid, attribute, ty, typmod, collation, 0)
    }
}

/// The part of a plan that follows from the restrictions.
pub(super) fn plan(relation: &Relation, question: &Question, tuple: Tuple) -> ScanPlan {
    let value = |e: &Expression| ValueExpression {
        to: e.to.map(|to| to.to_u32()),
        shift: e.shift,
        label: e.label.clone(),
    };
    ScanPlan {
        tuple,
        attributes: Vec::new(),
        keys: question.keys.iter().map(|(key, _)| key.clone()).collect(),
        conjuncts: question.conjuncts.clone(),
        values: question.expressions.iter().map(value).collect(),
        lookup: relation.lookup(question),
        order: Vec::new(),
        order_needs_filter: false,
        head: None,
        limit: None,
        quals: 0,
        exact: question.exact,
        local: question.local.clone(),
        most_filters: relation.most_filters(),
        join: None,
    }
}

/// The expressions of a plan, in the order that `plan` describes.
pub(super) struct Expressions(PgList<pg_sys::Expr>);

impl Expressions {
    pub(super) fn push(&mut self, node: *mut pg_sys::Expr) {
        self.0.push(node);
    }

    pub(super) fn into_pg(self) -> *mut pg_sys::List {
        self.0.into_pg()
    }
}

pub(super) fn keys_and_values(question: &Question) -> Expressions {
    let mut list = PgList::<pg_sys::Expr>::new();
    for (_, value) in &question.keys {
        list.push(*value);
    }
    for expression in &question.expressions {
        list.push(expression.node);
    }
    Expressions(list)
}

/// How many rows of the scan will be enough, where the query says so and nothing is left to
/// check: a constant LIMIT, `min` and `max`, EXISTS. Only a hint: more come where they are
/// wanted.
unsafe fn head(
    root: *mut pg_sys::PlannerInfo,
    pathkeys: *mut pg_sys::List,
    question: &Question,
) -> Option<u32> {
    // SAFETY: as for the callback.
    unsafe {
        let parse = (*root).parse;
        let single = question.likely_exact
            && pg_sys::bms_num_members((*root).all_baserels) == 1
            && (*parse).rowMarks.is_null()
            && (*parse).limitOption != pg_sys::LimitOption::LIMIT_OPTION_WITH_TIES;
        if !single || !pg_sys::pathkeys_contained_in((*root).sort_pathkeys, pathkeys) {
            return None;
        }
        let whole = |rows: f64| (rows.is_finite() && rows >= 1.0).then(|| rows.ceil() as u32);
        if let Some(rows) = whole((*root).limit_tuples) {
            return Some(rows);
        }
        let groups = (*parse).hasAggs
            || (*parse).hasWindowFuncs
            || (*parse).hasTargetSRFs
            || !(*parse).groupClause.is_null()
            || !(*parse).groupingSets.is_null()
            || !(*parse).distinctClause.is_null()
            || !(*parse).limitCount.is_null()
            || !(*parse).limitOffset.is_null();
        if groups { None } else { whole((*root).tuple_fraction) }
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
