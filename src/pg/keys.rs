//! Which restriction clauses bind a parameter of the resource: `column = value`,
//! `column = ANY (array)`, and the forms in which a boolean column is compared. Any clause that
//! binds stays a condition that the executor checks, so a form that is not recognised costs
//! time or needs a reformulation, but gives no wrong row.

use pgrx::{PgBox, PgList, is_a, pg_sys};

use super::plan::Key;

/// A column that shows a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyColumn {
    pub(super) attribute: i16,
    pub(super) parameter: usize,
}

/// The condition in `clause` that binds one of the key columns, with the expression of its
/// value, if the clause is such a condition.
///
/// # Safety
/// `clause` must be an expression of the planner for a scan of the relation `relid`.
pub(super) unsafe fn binding(
    root: *mut pg_sys::PlannerInfo,
    relid: pg_sys::Index,
    clause: *mut pg_sys::Node,
    columns: &[KeyColumn],
) -> Option<(Key, *mut pg_sys::Expr)> {
    let key_of = |node: *mut pg_sys::Node| {
        // SAFETY: nodes of the clause.
        let attribute = unsafe { column(node, relid) }?;
        columns.iter().find(|c| c.attribute == attribute).copied()
    };
    let made = |column: KeyColumn, any_of, value| {
        let key = Key { attribute: column.attribute, parameter: column.parameter, any_of };
        Some((key, value))
    };
    // SAFETY: every cast follows a test of the node's tag.
    unsafe {
        if is_a(clause, pg_sys::NodeTag::T_OpExpr) {
            let operation = clause.cast::<pg_sys::OpExpr>();
            let arguments = PgList::<pg_sys::Node>::from_pg((*operation).args);
            let (left, right) = (arguments.get_ptr(0)?, arguments.get_ptr(1)?);
            if !tells_apart((*operation).inputcollid) {
                return None;
            }
            for (column, value) in [(left, right), (right, left)] {
                if let Some(key) = key_of(column)
                    && is_equality((*operation).opno, column, value)
                    && is_value(root, relid, value)
                {
                    return made(key, false, value.cast());
                }
            }
            None
        } else if is_a(clause, pg_sys::NodeTag::T_ScalarArrayOpExpr) {
            let operation = clause.cast::<pg_sys::ScalarArrayOpExpr>();
            let arguments = PgList::<pg_sys::Node>::from_pg((*operation).args);
            let (left, array) = (arguments.get_ptr(0)?, arguments.get_ptr(1)?);
            let key = key_of(left)?;
            let element = pg_sys::get_base_element_type(pg_sys::exprType(array));
            ((*operation).useOr
                && tells_apart((*operation).inputcollid)
                && is_key_type(element)
                && element == pg_sys::exprType(left)
                && equality_of(element) == (*operation).opno
                && is_value(root, relid, array))
            .then_some(())?;
            made(key, true, array.cast())
        } else if let Some((column, value)) = boolean(clause) {
            // `column = true` has become the bare column by now.
            let value = pg_sys::makeBoolConst(value, false);
            made(key_of(column)?, false, value.cast())
        } else {
            None
        }
    }
}

/// `column`, `NOT column`, `column IS TRUE` and `column IS FALSE`: the column and the value
/// that it must have.
///
/// # Safety
/// `clause` must be an expression of the planner.
unsafe fn boolean(clause: *mut pg_sys::Node) -> Option<(*mut pg_sys::Node, bool)> {
    // SAFETY: every cast follows a test of the node's tag.
    unsafe {
        if is_a(clause, pg_sys::NodeTag::T_Var) {
            Some((clause, true))
        } else if is_a(clause, pg_sys::NodeTag::T_BoolExpr) {
            let expression = clause.cast::<pg_sys::BoolExpr>();
            let argument = PgList::<pg_sys::Node>::from_pg((*expression).args).head()?;
            let negated = (*expression).boolop == pg_sys::BoolExprType::NOT_EXPR;
            (negated && is_a(argument, pg_sys::NodeTag::T_Var)).then_some((argument, false))
        } else if is_a(clause, pg_sys::NodeTag::T_BooleanTest) {
            let test = PgBox::from_pg(clause.cast::<pg_sys::BooleanTest>());
            match test.booltesttype {
                pg_sys::BoolTestType::IS_TRUE => Some((test.arg.cast(), true)),
                pg_sys::BoolTestType::IS_FALSE => Some((test.arg.cast(), false)),
                _ => None,
            }
        } else {
            None
        }
    }
}

/// The attribute number of a column of the relation, seen through binary-compatible casts.
///
/// # Safety
/// `node` must be an expression of the planner.
pub(super) unsafe fn column(node: *mut pg_sys::Node, relid: pg_sys::Index) -> Option<i16> {
    // SAFETY: every cast follows a test of the node's tag.
    unsafe {
        let mut node = node;
        while is_a(node, pg_sys::NodeTag::T_RelabelType) {
            node = (*node.cast::<pg_sys::RelabelType>()).arg.cast();
        }
        if !is_a(node, pg_sys::NodeTag::T_Var) {
            return None;
        }
        let var = node.cast::<pg_sys::Var>();
        ((*var).varno as pg_sys::Index == relid && (*var).varlevelsup == 0)
            .then_some((*var).varattno)
    }
}

/// Whether the operator is the plain equality of two values of one type.
///
/// # Safety
/// The nodes must be expressions of the planner.
unsafe fn is_equality(
    operator: pg_sys::Oid,
    column: *mut pg_sys::Node,
    value: *mut pg_sys::Node,
) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let ty = pg_sys::exprType(column);
        is_key_type(ty) && pg_sys::exprType(value) == ty && equality_of(ty) == operator
    }
}

/// Whether values of the type that are equal are written the same, so that the text that is
/// sent finds all that the condition accepts: not numeric (1 and 1.0), nor bpchar.
fn is_key_type(ty: pg_sys::Oid) -> bool {
    [
        pg_sys::UUIDOID,
        pg_sys::TEXTOID,
        pg_sys::BOOLOID,
        pg_sys::INT2OID,
        pg_sys::INT4OID,
        pg_sys::INT8OID,
        pg_sys::DATEOID,
        pg_sys::TIMESTAMPOID,
        pg_sys::TIMESTAMPTZOID,
    ]
    .contains(&ty)
}

/// Whether text that is equal under the collation is the same text.
pub(super) fn tells_apart(collation: pg_sys::Oid) -> bool {
    // SAFETY: a look-up of a collation that an expression uses.
    collation == pg_sys::InvalidOid || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}

/// The equality operator of a type's default operator class.
///
/// # Safety
/// Reads the type cache; `ty` may be any type.
unsafe fn equality_of(ty: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: the cache's entries live as long as the process.
    unsafe { (*pg_sys::lookup_type_cache(ty, pg_sys::TYPECACHE_EQ_OPR as i32)).eq_opr }
}

/// Whether an expression has one value for the whole scan: no column of the relation itself,
/// nothing volatile.
///
/// # Safety
/// `node` must be an expression of the planner.
pub(super) unsafe fn is_value(
    root: *mut pg_sys::PlannerInfo,
    relid: pg_sys::Index,
    node: *mut pg_sys::Node,
) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        !pg_sys::bms_is_member(relid as i32, pg_sys::pull_varnos(root, node))
            && !pg_sys::contain_volatile_functions(node)
    }
}
