//! Paths of joins whose inner side is looked up by values of the outer side: many lookups at a
//! time, where a nested loop would run one after the other. The scan of such a path takes the
//! outer rows from the plan below it.
//!
//! A lookup reads the list that a key names, or the rows that a filter finds. All conditions are
//! checked on the rows that come, as in other scans.

use pgrx::prelude::*;
use pgrx::{PgList, is_a};

use awork_api::filter::{ColumnType, Comparison, Leaf, Operand, Remote};
use awork_api::lookups;

use super::keys;
use super::plan::JoinKind;
use super::planner::restrictions;
use super::relation::{Estimate, Question, Relation};
use super::upper::parts;
use crate::settings as gucs;

/// How many values are expected to fit into one filter (a GUID takes some 60 bytes as sent).
const VALUES_PER_FILTER: f64 = 50.0;

/// Bytes that the outer rows of a batch may take; kept answers may take as many.
pub(super) fn room() -> usize {
    // SAFETY: a setting of the session.
    unsafe { pg_sys::work_mem as usize * 1024 / 2 }
}

/// A way to look rows of the inner table up.
pub(super) struct Lookup {
    /// The conditions that take their values from the outer side.
    clauses: Vec<*mut pg_sys::RestrictInfo>,
    /// What becomes of these and of the table's own restrictions.
    pub(super) question: Question,
    /// The condition by which rows are found, where no key takes its value from the outer side.
    pub(super) filter: Option<usize>,
}

/// `GetForeignJoinPaths` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn get_foreign_join_paths(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    outerrel: *mut pg_sys::RelOptInfo,
    innerrel: *mut pg_sys::RelOptInfo,
    jointype: pg_sys::JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
) {
    // SAFETY: the planner's structures; both sides are relations of one of our servers, and
    // `fdw_private` of a table was set by `get_foreign_rel_size`.
    unsafe {
        let Some(kind) = kind_of(jointype) else { return };
        let outer_path = (*outerrel).cheapest_total_path;
        let restrictlist = (*extra).restrictlist;
        if !gucs::enable_lookup_join()
            || !is_plain(root, joinrel, outerrel, innerrel)
            || outer_path.is_null()
            || !(*outer_path).param_info.is_null()
        {
            return;
        }
        let clauses = PgList::<pg_sys::RestrictInfo>::from_pg(restrictlist);
        let gates = clauses.iter_ptr().any(|c| (*c).pseudoconstant);
        if gates || pg_sys::contain_volatile_functions(restrictlist.cast()) {
            return;
        }
        let relation = &*(*innerrel).fdw_private.cast::<Relation>();
        let mut nodes: Vec<*mut pg_sys::Node> =
            clauses.iter_ptr().map(|clause| (*clause).clause.cast()).collect();
        nodes.extend(restrictions(innerrel).iter().map(|r| (**r).clause.cast::<pg_sys::Node>()));
        nodes.push((*(*joinrel).reltarget).exprs.cast());
        let mut best: Option<(Lookup, (f64, f64))> = None;
        for lookup in ways(root, innerrel, outerrel, relation) {
            let values = lookup.clauses.iter().map(|clause| (**clause).clause.cast());
            if !nodes.iter().copied().chain(values).all(|n| is_made_of(n, outerrel, innerrel)) {
                continue;
            }
            let of_lookups = cost_of_lookups(root, innerrel, outer_path, relation, &lookup);
            if is_read_once_for_less(innerrel, &clauses, of_lookups) {
                continue;
            }
            let cost = cost(root, joinrel, outer_path, restrictlist, of_lookups);
            if best.as_ref().is_none_or(|(_, (_, least))| cost.1 < *least) {
                best = Some((lookup, cost));
            }
        }
        if let Some((lookup, cost)) = best {
            let private = private(innerrel, kind, restrictlist, &lookup.clauses);
            add_path(root, joinrel, outer_path, cost, private);
        }
    }
}

fn kind_of(jointype: pg_sys::JoinType::Type) -> Option<JoinKind> {
    match jointype {
        pg_sys::JoinType::JOIN_INNER => Some(JoinKind::Inner),
        pg_sys::JoinType::JOIN_LEFT => Some(JoinKind::Left),
        pg_sys::JoinType::JOIN_SEMI => Some(JoinKind::Semi),
        pg_sys::JoinType::JOIN_ANTI => Some(JoinKind::Anti),
        _ => None,
    }
}

/// Whether nothing about the join needs more than its two sides and their columns.
unsafe fn is_plain(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    outerrel: *mut pg_sys::RelOptInfo,
    innerrel: *mut pg_sys::RelOptInfo,
) -> bool {
    // SAFETY: as for the callback.
    unsafe {
        let parse = (*root).parse;
        // A row that is locked or changed may have to be checked again without its outer plan.
        let reads = [pg_sys::CmdType::CMD_SELECT, pg_sys::CmdType::CMD_INSERT];
        let only_reads = reads.contains(&(*parse).commandType)
            && (*parse).rowMarks.is_null()
            && (*root).rowMarks.is_null();
        let is_table = (*innerrel).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL
            && (*innerrel).rtekind == pg_sys::RTEKind::RTE_RELATION
            && !(*innerrel).fdw_private.is_null();
        let lateral = [joinrel, outerrel, innerrel]
            .iter()
            .any(|rel| pg_sys::bms_num_members((**rel).lateral_relids) > 0);
        // What is worked out below an outer join is null where the inner row is missing.
        let places = PgList::<pg_sys::PlaceHolderInfo>::from_pg((*root).placeholder_list);
        let placed_here = places.iter_ptr().any(|place| {
            let at = (*place).ph_eval_at;
            pg_sys::bms_overlap(at, (*innerrel).relids)
                || (pg_sys::bms_is_subset(at, (*joinrel).relids)
                    && !pg_sys::bms_is_subset(at, (*outerrel).relids))
        });
        only_reads
            && is_table
            && (*joinrel).reloptkind == pg_sys::RelOptKind::RELOPT_JOINREL
            && !lateral
            && !placed_here
            // Conditions of a view that hides rows must be checked first.
            && (*root).qual_security_level == 0
    }
}

/// The lookups that are possible with values of the outer side alone.
unsafe fn ways(
    root: *mut pg_sys::PlannerInfo,
    innerrel: *mut pg_sys::RelOptInfo,
    outerrel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
) -> Vec<Lookup> {
    let mut all = Vec::new();
    // SAFETY: as for the callback.
    unsafe {
        for path in PgList::<pg_sys::Path>::from_pg((*innerrel).pathlist).iter_ptr() {
            let info = (*path).param_info;
            if info.is_null() || !pg_sys::bms_is_subset((*info).ppi_req_outer, (*outerrel).relids) {
                continue;
            }
            let relid = (*innerrel).relid;
            let joined: Vec<*mut pg_sys::RestrictInfo> =
                PgList::<pg_sys::RestrictInfo>::from_pg((*info).ppi_clauses).iter_ptr().collect();
            let binds = |restriction: &*mut pg_sys::RestrictInfo| {
                keys::binding(root, relid, (**restriction).clause.cast(), &relation.keys).is_some()
            };
            let binding: Vec<_> = joined.iter().copied().filter(binds).collect();
            let each = match binding.is_empty() {
                false => vec![binding],
                true => joined.iter().map(|clause| vec![*clause]).collect(),
            };
            all.extend(each.into_iter().filter_map(|way| lookup(root, innerrel, relation, way)));
        }
    }
    all
}

/// The lookup by these conditions, if they make one.
///
/// # Safety
/// `innerrel` must be the table of `relation`, the clauses must be its own.
pub(super) unsafe fn lookup(
    root: *mut pg_sys::PlannerInfo,
    innerrel: *mut pg_sys::RelOptInfo,
    relation: &Relation,
    clauses: Vec<*mut pg_sys::RestrictInfo>,
) -> Option<Lookup> {
    // SAFETY: as the caller promises.
    unsafe {
        let relid = (*innerrel).relid;
        let mut all = restrictions(innerrel);
        all.extend(&clauses);
        let question = relation.question(root, relid, &all);
        let reads_lists = question.parents.as_ref().is_some_and(Vec::is_empty);
        if !reads_lists || question.gated {
            return None;
        }
        let depends = |node: *mut pg_sys::Expr| {
            pg_sys::bms_num_members(pg_sys::pull_varnos(root, node.cast())) > 0
        };
        if question.keys.iter().any(|(_, value)| depends(*value)) {
            let by_key_alone = question.expressions.iter().all(|e| !depends(e.node));
            return by_key_alone.then_some(Lookup { clauses, question, filter: None });
        }
        let is_uuid = |attribute: &crate::columns::Attribute| {
            attribute.type_oid == pg_sys::UUIDOID
                && relation.field(attribute.number).is_ok_and(|f| f.column == ColumnType::Uuid)
        };
        let filter = question.conjuncts.iter().position(|conjunct| match &conjunct.remote {
            Remote::Leaf(Leaf::Compare(field, Comparison::Eq, Operand::Expression(number))) => {
                depends(question.expressions[*number].node)
                    && relation.table.attributes.iter().filter(|a| is_uuid(a)).any(|attribute| {
                        relation.field(attribute.number).is_ok_and(|known| known == *field)
                    })
            }
            _ => false,
        })?;
        let others = question.expressions.iter().filter(|e| depends(e.node)).count();
        (others == 1).then_some(Lookup { clauses, question, filter: Some(filter) })
    }
}

/// Whether an expression needs of the outer side only what its rows show, and of the inner side
/// only columns: no row as a whole, nor what identifies it to PostgreSQL.
unsafe fn is_made_of(
    node: *mut pg_sys::Node,
    outerrel: *mut pg_sys::RelOptInfo,
    innerrel: *mut pg_sys::RelOptInfo,
) -> bool {
    // SAFETY: as for the callback; every cast follows a test of the node's tag.
    unsafe {
        let shown = parts((*(*outerrel).reltarget).exprs);
        let is_shown = |node: *mut pg_sys::Node| shown.iter().any(|s| is_same(*s, node));
        parts(node.cast()).into_iter().all(|part| {
            if is_a(part, pg_sys::NodeTag::T_Var) {
                let var = part.cast::<pg_sys::Var>();
                if (*var).varno as pg_sys::Index == (*innerrel).relid {
                    return (*var).varattno > 0;
                }
            }
            is_shown(part)
        })
    }
}

/// Whether two nodes are the same column or placeholder, whatever may have made it null.
///
/// # Safety
/// Both must be of the kinds that [`parts`] gives.
pub(super) unsafe fn is_same(left: *mut pg_sys::Node, right: *mut pg_sys::Node) -> bool {
    use pg_sys::NodeTag::{T_PlaceHolderVar, T_Var};
    // SAFETY: every cast follows a test of the node's tag.
    unsafe {
        if is_a(left, T_Var) && is_a(right, T_Var) {
            let (left, right) = (&*left.cast::<pg_sys::Var>(), &*right.cast::<pg_sys::Var>());
            return (left.varno, left.varattno) == (right.varno, right.varattno);
        }
        if is_a(left, T_PlaceHolderVar) && is_a(right, T_PlaceHolderVar) {
            return (*left.cast::<pg_sys::PlaceHolderVar>()).phid
                == (*right.cast::<pg_sys::PlaceHolderVar>()).phid;
        }
        false
    }
}

/// Whether a hash join, which reads the whole inner table once, does it for less.
unsafe fn is_read_once_for_less(
    innerrel: *mut pg_sys::RelOptInfo,
    clauses: &PgList<pg_sys::RestrictInfo>,
    of_lookups: f64,
) -> bool {
    // SAFETY: as for the callback; a setting of the planner.
    unsafe {
        let whole = (*innerrel).cheapest_total_path;
        let hashable = |c: *mut pg_sys::RestrictInfo| {
            (*c).can_join && (*c).hashjoinoperator != pg_sys::InvalidOid
        };
        pg_sys::enable_hashjoin
            && clauses.iter_ptr().any(hashable)
            && !whole.is_null()
            && (*whole).param_info.is_null()
            && (*whole).total_cost <= of_lookups
    }
}

/// Startup and total cost of the join.
unsafe fn cost(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    outer_path: *mut pg_sys::Path,
    restrictlist: *mut pg_sys::List,
    of_lookups: f64,
) -> (f64, f64) {
    // SAFETY: as for the callback.
    unsafe {
        let mut conditions = pg_sys::QualCost::default();
        pg_sys::cost_qual_eval(&mut conditions, restrictlist, root);
        let per_pair = pg_sys::cpu_tuple_cost + conditions.per_tuple;
        // An outer row is copied and its key looked for, twice.
        let per_row = 2.0 * pg_sys::cpu_tuple_cost;
        let local = (*outer_path).rows * per_row + (*joinrel).rows * per_pair;
        let startup = (*outer_path).startup_cost + gucs::request_cost() + conditions.startup;
        (startup, (*outer_path).total_cost + conditions.startup + of_lookups + local)
    }
}

/// Cost of all lookups.
unsafe fn cost_of_lookups(
    root: *mut pg_sys::PlannerInfo,
    innerrel: *mut pg_sys::RelOptInfo,
    outer_path: *mut pg_sys::Path,
    relation: &Relation,
    lookup: &Lookup,
) -> f64 {
    // SAFETY: as for the callback.
    unsafe {
        let question = &lookup.question;
        let outer_rows = (*outer_path).rows.max(1.0);
        let values = distinct_values(root, relation, lookup, outer_rows);
        let width = f64::from((*(*outer_path).pathtarget).width).max(1.0);
        let batches = lookups::batches(outer_rows, room() as f64 / width);
        let one = relation.estimate(root, (*innerrel).relid, question);
        let page_size = f64::from(relation.page_size());
        let pages = |rows: f64| (rows / page_size).ceil().max(1.0);
        let mut estimate = Estimate {
            rows: values * one.rows,
            transferred: values * one.transferred,
            requests: values * one.requests,
        };
        if lookup.filter.is_some() {
            let filters = (values / VALUES_PER_FILTER).max(batches).ceil();
            let requests = filters * pages(estimate.transferred / filters);
            // A filter of too many parts is left out.
            let all = relation.rows();
            let most = batches * relation.most_filters() as f64;
            estimate = match filters <= most {
                true => Estimate { requests, ..estimate },
                false => Estimate {
                    requests: batches * pages(all),
                    transferred: batches * all,
                    ..estimate
                },
            };
        }
        // Each batch waits for its last request.
        relation.cost(&estimate).1 + (batches - 1.0) * gucs::request_cost()
    }
}

/// How many different values the outer rows are expected to have.
unsafe fn distinct_values(
    root: *mut pg_sys::PlannerInfo,
    relation: &Relation,
    lookup: &Lookup,
    outer_rows: f64,
) -> f64 {
    // SAFETY: as for the callback; a null list of sets is none.
    unsafe {
        let question = &lookup.question;
        let of_keys = question.keys.iter().map(|(_, value)| *value);
        let of_filter = question.expressions.iter().map(|e| e.node);
        let mut values = PgList::<pg_sys::Node>::new();
        let mut most = outer_rows;
        match lookup.filter.map(|filter| &question.conjuncts[filter].remote) {
            None => {
                of_keys.for_each(|value| values.push(value.cast()));
                most = most.min(relation.parents_in_all().max(1.0));
            }
            Some(remote) => {
                of_filter.for_each(|value| values.push(value.cast()));
                if remote.fixed().is_some_and(|(path, _)| path == "id") {
                    most = most.min(relation.rows().max(1.0));
                }
            }
        }
        let mut info = pg_sys::EstimationInfo::default();
        let sets = std::ptr::null_mut();
        let estimated =
            pg_sys::estimate_num_groups(root, values.into_pg(), outer_rows, sets, &mut info);
        // Where there are no statistics, it is a figure that says nothing.
        let guessed = info.flags & pg_sys::SELFLAG_USED_DEFAULT != 0;
        (if guessed { most } else { estimated.min(most) }).max(1.0)
    }
}

unsafe fn add_path(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    outer_path: *mut pg_sys::Path,
    (startup_cost, total_cost): (f64, f64),
    private: *mut pg_sys::List,
) {
    // SAFETY: as for the callback; all other arguments may be null.
    unsafe {
        let path = pg_sys::create_foreign_join_path(
            root,
            joinrel,
            std::ptr::null_mut(),
            (*joinrel).rows,
            #[cfg(feature = "pg18")]
            (*outer_path).disabled_nodes,
            startup_cost,
            total_cost,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            outer_path,
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            std::ptr::null_mut(),
            private,
        );
        pg_sys::add_path(joinrel, path.cast());
    }
}

/// What the plan is made from: the inner table, the kind of join, its conditions, and those by
/// which rows are looked up.
unsafe fn private(
    innerrel: *mut pg_sys::RelOptInfo,
    kind: JoinKind,
    restrictlist: *mut pg_sys::List,
    clauses: &[*mut pg_sys::RestrictInfo],
) -> *mut pg_sys::List {
    // SAFETY: nodes of the planner, which live as long as the path.
    unsafe {
        let mut of_lookup = PgList::<pg_sys::RestrictInfo>::new();
        clauses.iter().for_each(|clause| of_lookup.push(*clause));
        let mut private = PgList::<pg_sys::Node>::new();
        private.push(pg_sys::makeInteger((*innerrel).relid as i32).cast());
        private.push(pg_sys::makeInteger(kind as i32).cast());
        private.push(restrictlist.cast());
        private.push(of_lookup.into_pg().cast());
        private.into_pg()
    }
}

/// The contents of [`private`].
pub(super) struct Private {
    pub(super) innerrel: *mut pg_sys::RelOptInfo,
    pub(super) kind: JoinKind,
    pub(super) restrictlist: *mut pg_sys::List,
    pub(super) clauses: Vec<*mut pg_sys::RestrictInfo>,
}

/// # Safety
/// `path` must come from [`get_foreign_join_paths`].
pub(super) unsafe fn of_path(
    root: *mut pg_sys::PlannerInfo,
    path: *mut pg_sys::ForeignPath,
) -> Private {
    // SAFETY: as the caller promises, the list has two integers and two lists.
    unsafe {
        let private = PgList::<pg_sys::Node>::from_pg((*path).fdw_private);
        let item = |index| private.get_ptr(index).unwrap_or(std::ptr::null_mut());
        let relid = super::upper::integer(item(0)) as usize;
        let kinds = [JoinKind::Inner, JoinKind::Left, JoinKind::Semi, JoinKind::Anti];
        let kind = super::upper::integer(item(1));
        Private {
            innerrel: *(*root).simple_rel_array.add(relid),
            kind: kinds.into_iter().find(|k| *k as i32 == kind).unwrap_or(JoinKind::Inner),
            restrictlist: item(2).cast(),
            clauses: PgList::<pg_sys::RestrictInfo>::from_pg(item(3).cast()).iter_ptr().collect(),
        }
    }
}
