//! The expressions of a plan while it runs: the values of keys and conditions, the limit and the
//! offset, and the conditions that a scan checks itself.

use awork_api::catalogue::Resource;
use awork_api::filter::Value;
use awork_api::request::Bindings;
use pgrx::prelude::*;
use pgrx::{FromDatum, PgList, PgMemoryContexts};

use super::datum::{elements, request_text};
use super::job::{self, Slice};
use super::plan::{Key, ScanPlan, ValueExpression};
use super::values;
use crate::columns::Attribute;
use crate::error;

/// The plan's expressions, ready to be evaluated.
pub(super) struct Expressions {
    pub(super) keys: Vec<(Key, *mut pg_sys::ExprState)>,
    values: Vec<*mut pg_sys::ExprState>,
    limit: Option<*mut pg_sys::ExprState>,
    offset: Option<*mut pg_sys::ExprState>,
    /// The conditions that the scan itself checks; null where it has none to check.
    quals: *mut pg_sys::ExprState,
}

impl Expressions {
    /// # Safety
    /// `node` and `plan` must belong together, in a running executor.
    pub(super) unsafe fn new(
        node: *mut pg_sys::ForeignScanState,
        plan: *mut pg_sys::ForeignScan,
        scan_plan: &ScanPlan,
    ) -> Self {
        // SAFETY: as the caller promises; the list has the expressions that `plan` describes.
        unsafe {
            let all = PgList::<pg_sys::Expr>::from_pg((*plan).fdw_exprs);
            let mut rest = all.iter_ptr();
            let init = |expression| pg_sys::ExecInitExpr(expression, node.cast());
            let keys = scan_plan.keys.iter().cloned();
            let keys = keys.zip(rest.by_ref()).map(|(key, e)| (key, init(e))).collect();
            let values = rest.by_ref().take(scan_plan.values.len()).map(init).collect();
            let (has_limit, has_offset) = scan_plan.limit.unwrap_or((false, false));
            let limit = if has_limit { rest.next().map(init) } else { None };
            let offset = if has_offset { rest.next().map(init) } else { None };
            let mut quals = PgList::<pg_sys::Expr>::new();
            for qual in rest {
                quals.push(qual);
            }
            let quals = match quals.is_empty() {
                true => std::ptr::null_mut(),
                false => pg_sys::ExecInitQual(quals.into_pg(), node.cast()),
            };
            Self { keys, values, limit, offset, quals }
        }
    }

    /// The values of the conditions.
    ///
    /// # Safety
    /// `context` must be the expression context of the scan's node.
    pub(super) unsafe fn values(
        &self,
        context: *mut pg_sys::ExprContext,
        plan: &ScanPlan,
        left_out: Option<usize>,
    ) -> Vec<Value> {
        let read = |(number, (state, expression)): (usize, (&*mut pg_sys::ExprState, &_))| {
            if left_out == Some(number) {
                return Value::Null;
            }
            let ValueExpression { to, shift, .. } = expression;
            // SAFETY: as the caller promises.
            unsafe {
                let ty = pg_sys::getBaseType(pg_sys::exprType((**state).expr.cast()));
                let Some(datum) = evaluate(*state, context) else { return Value::Null };
                let value = values::read(datum, ty);
                match to {
                    Some(to) => values::shifted(values::converted(value, ty, (*to).into()), *shift),
                    None => value,
                }
            }
        };
        self.values.iter().zip(&plan.values).enumerate().map(read).collect()
    }

    /// Every combination of the keys' values, as text for the requests. None where a key has no
    /// value, since then no row can satisfy the condition.
    ///
    /// # Safety
    /// `context` must be the expression context of the scan's node.
    pub(super) unsafe fn bindings(
        &self,
        context: *mut pg_sys::ExprContext,
        resource: &Resource,
        attributes: &[Attribute],
    ) -> Vec<Bindings> {
        let keys: Vec<(usize, Vec<String>)> = self
            .keys
            .iter()
            .map(|(key, state)| {
                let attribute = attributes.iter().find(|a| a.number == key.attribute);
                // SAFETY: as the caller promises.
                let texts = attribute.map(|a| unsafe { key_values(key, *state, a, context) });
                (key.parameter, texts.unwrap_or_default())
            })
            .collect();
        job::combinations(resource.parameters.len(), &keys)
    }

    /// The limit and the offset, with the errors of `recompute_limits` (nodeLimit.c).
    ///
    /// # Safety
    /// `context` must be the expression context of the scan's node.
    pub(super) unsafe fn slice(&self, context: *mut pg_sys::ExprContext) -> Option<Slice> {
        if self.limit.is_none() && self.offset.is_none() {
            return None;
        }
        let number = |state: Option<*mut pg_sys::ExprState>| {
            // SAFETY: as the caller promises; both are of type bigint.
            let datum = unsafe { evaluate(state?, context) }?;
            // SAFETY: as above.
            unsafe { i64::from_datum(datum, false) }
        };
        let skip = u64::try_from(number(self.offset).unwrap_or(0));
        let skip = skip.unwrap_or_else(|_| error::negative_offset());
        let count = number(self.limit)
            .map(|count| u64::try_from(count).unwrap_or_else(|_| error::negative_limit()));
        Some(Slice { skip, count })
    }

    /// Whether the row in `slot` satisfies the conditions that the scan itself checks.
    ///
    /// # Safety
    /// `context` must be the expression context of the scan's node, `slot` its slot.
    pub(super) unsafe fn passes(
        &self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> bool {
        if self.quals.is_null() {
            return true;
        }
        // SAFETY: as the caller promises; the context's memory is for one row.
        unsafe {
            pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            (*context).ecxt_scantuple = slot;
            PgMemoryContexts::For((*context).ecxt_per_tuple_memory)
                .switch_to(|_| pg_sys::ExecQual(self.quals, context))
        }
    }
}

/// The values of a key, nulls left out.
///
/// # Safety
/// As for [`evaluate`].
unsafe fn key_values(
    key: &Key,
    state: *mut pg_sys::ExprState,
    attribute: &Attribute,
    context: *mut pg_sys::ExprContext,
) -> Vec<String> {
    // SAFETY: as the caller promises.
    unsafe {
        let Some(value) = evaluate(state, context) else { return Vec::new() };
        let elements = if key.any_of { elements(value) } else { vec![Some(value)] };
        let text = |datum| request_text(datum, attribute.base_type);
        elements.into_iter().flatten().map(text).collect()
    }
}

/// The value of an expression in the current memory context; none for null.
///
/// # Safety
/// `context` must be the expression context of the scan's node.
pub(super) unsafe fn evaluate(
    state: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
) -> Option<pg_sys::Datum> {
    let mut is_null = false;
    // SAFETY: as the caller promises.
    let value = unsafe { pg_sys::ExecEvalExpr(state, context, &mut is_null) };
    (!is_null).then_some(value)
}
