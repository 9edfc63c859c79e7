//! Which order of rows awork can be asked for: by numbers and times that are never null, since
//! awork sorts text, GUIDs and nulls by rules of its own.

use awork_api::filter::{Field, Reason};
use awork_api::request;
use pgrx::{PgList, pg_sys};

use super::clause;
use super::plan::{self, SortKey};
use super::relation::{Question, Relation};

/// An order that awork keeps.
pub(super) struct Order {
    pub(super) keys: Vec<SortKey>,
    /// Whether a key may be null in rows that do not satisfy the conditions.
    pub(super) needs_filter: bool,
    /// Why there are no keys although awork might keep the order.
    pub(super) reason: Option<Reason>,
}

/// The longest beginning of the query's order that awork can keep; null where there is none.
///
/// # Safety
/// `baserel` must be the relation that is planned, `question` of its restrictions.
pub(super) unsafe fn useful_pathkeys(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
    question: &Question,
) -> *mut pg_sys::List {
    // SAFETY: as the caller promises.
    unsafe {
        let pathkeys = (*root).query_pathkeys;
        let mut order = of_pathkeys(baserel, relation, question, pathkeys).unless_refused(relation);
        if (*root).tuple_fraction == 0.0 {
            // All rows are wanted. In an order in which rows move when they are changed, one could
            // move from pages that are still to be read to those that have been.
            let moving = order.keys.iter().position(|key| !request::is_stable(&key.path));
            order.keys.truncate(moving.unwrap_or(order.keys.len()));
        }
        let mut list = PgList::<pg_sys::PathKey>::new();
        for pathkey in
            PgList::<pg_sys::PathKey>::from_pg(pathkeys).iter_ptr().take(order.keys.len())
        {
            list.push(pathkey);
        }
        list.into_pg()
    }
}

/// The keys of the longest beginning of `pathkeys` that awork can keep.
///
/// # Safety
/// As for [`useful_pathkeys`].
pub(super) unsafe fn of_pathkeys(
    baserel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
    question: &Question,
    pathkeys: *mut pg_sys::List,
) -> Order {
    let mut order = Order { keys: Vec::new(), needs_filter: false, reason: None };
    let single = question.parents.as_ref().is_some_and(Vec::is_empty)
        && question.keys.iter().all(|(key, _)| !key.any_of);
    if !relation.table.resource.paged || !single {
        return order;
    }
    // SAFETY: as the caller promises.
    unsafe {
        for pathkey in PgList::<pg_sys::PathKey>::from_pg(pathkeys).iter_ptr() {
            let Some((attribute, field)) = column(baserel, relation, pathkey) else { break };
            let Some(path) = field.path() else { break };
            let path = path.to_owned();
            if !field.is_ordered_alike() || order.keys.iter().any(|key| key.path == path) {
                break;
            }
            if field.nullable {
                if !question.conjuncts.iter().any(|c| c.remote.excludes_null(&path)) {
                    break;
                }
                order.needs_filter = true;
            }
            order.keys.push(SortKey {
                attribute,
                path,
                descending: is_descending(pathkey),
                nulls_first: (*pathkey).pk_nulls_first,
            });
            if !field.is_lossless() {
                break;
            }
        }
    }
    order
}

impl Order {
    /// The order unless awork has refused it before.
    pub(super) fn unless_refused(mut self, relation: &Relation) -> Self {
        let orderby = plan::orderby(&self.keys);
        if !self.keys.is_empty() && relation.is_order_refused(&orderby) {
            self.keys.clear();
            let why = "awork has refused the order before".to_owned();
            self.reason = Some(Reason { column: Some(orderby), why });
        }
        self
    }
}

/// The column of the relation that a path key sorts by, in the default order of its type.
unsafe fn column(
    baserel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
    pathkey: *mut pg_sys::PathKey,
) -> Option<(i16, Field)> {
    // SAFETY: nodes of the planner.
    unsafe {
        let class = (*pathkey).pk_eclass;
        if (*class).ec_has_volatile {
            return None;
        }
        let relid = (*baserel).relid;
        members(class, relid).into_iter().find_map(|member| {
            let expression: *mut pg_sys::Node = (*member).em_expr.cast();
            let attribute = clause::column(expression, relid)?;
            let flags = pg_sys::TYPECACHE_BTREE_OPFAMILY as i32;
            let ty = pg_sys::exprType(expression);
            let family = (*pg_sys::lookup_type_cache(ty, flags)).btree_opf;
            let field = relation.field(attribute).ok()?;
            (family == (*pathkey).pk_opfamily).then_some((attribute, field))
        })
    }
}

/// The members of an equivalence class that a relation may have a column among. Those of
/// partitions are kept apart since PostgreSQL 18.
unsafe fn members(
    class: *mut pg_sys::EquivalenceClass,
    relid: pg_sys::Index,
) -> Vec<*mut pg_sys::EquivalenceMember> {
    // SAFETY: nodes of the planner; the array has as many lists as its size says.
    unsafe {
        let list = |list| PgList::<pg_sys::EquivalenceMember>::from_pg(list);
        #[allow(unused_mut)]
        let mut members: Vec<_> = list((*class).ec_members).iter_ptr().collect();
        #[cfg(feature = "pg18")]
        if !(*class).ec_childmembers.is_null() && (relid as i32) < (*class).ec_childmembers_size {
            let of_child = *(*class).ec_childmembers.add(relid as usize);
            members.extend(list(of_child).iter_ptr());
        }
        #[cfg(not(feature = "pg18"))]
        let _ = relid;
        members
    }
}

unsafe fn is_descending(pathkey: *mut pg_sys::PathKey) -> bool {
    // SAFETY: a node of the planner.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let descending = (*pathkey).pk_strategy == pg_sys::BTGreaterStrategyNumber as i32;
        #[cfg(feature = "pg18")]
        let descending = (*pathkey).pk_cmptype == pg_sys::CompareType::COMPARE_GT;
        descending
    }
}
