//! What people know the value of a condition by, where it is known only when the query runs.

use pgrx::{is_a, pg_sys};

/// What people know a value by: `$1`, `t.id`, the text of a constant expression.
///
/// # Safety
/// `node` must be an expression of the planner.
pub(super) unsafe fn label(root: *mut pg_sys::PlannerInfo, node: *mut pg_sys::Node) -> String {
    // SAFETY: every cast follows a test of the node's tag; an expression without columns can be
    // shown without a context.
    unsafe {
        let mut inner = node;
        while is_a(inner, pg_sys::NodeTag::T_RelabelType) {
            inner = (*inner.cast::<pg_sys::RelabelType>()).arg.cast();
        }
        if is_a(inner, pg_sys::NodeTag::T_Var) {
            let var = &*inner.cast::<pg_sys::Var>();
            let entries = (*root).simple_rte_array;
            #[allow(clippy::useless_conversion)] // of another type before PostgreSQL 15
            let number = usize::try_from(var.varno).unwrap_or_default();
            let known = number < (*root).simple_rel_array_size as usize && var.varlevelsup == 0;
            if !entries.is_null() && known {
                let entry = *entries.add(number);
                if !entry.is_null() && var.varattno > 0 {
                    let table = super::foreign::text((*(*entry).eref).aliasname);
                    let column = pg_sys::get_rte_attribute_name(entry, var.varattno);
                    return format!("{table}.{}", super::foreign::text(column));
                }
            }
        }
        if is_a(inner, pg_sys::NodeTag::T_Param) {
            let parameter = &*inner.cast::<pg_sys::Param>();
            return format!("${}", parameter.paramid);
        }
        let has_columns = pg_sys::bms_num_members(pg_sys::pull_varnos(root, node)) > 0;
        if has_columns || has_internal_parameter(node) {
            return "...".to_owned();
        }
        super::foreign::text(pg_sys::deparse_expression(node, std::ptr::null_mut(), false, false))
    }
}

/// Whether an expression has a parameter that another part of the plan sets, which cannot be
/// shown without that plan.
unsafe fn has_internal_parameter(node: *mut pg_sys::Node) -> bool {
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn walker(
        node: *mut pg_sys::Node,
        context: *mut std::ffi::c_void,
    ) -> bool {
        // SAFETY: a node of the expression that is walked through; every cast follows a test.
        unsafe {
            if node.is_null() {
                return false;
            }
            if is_a(node, pg_sys::NodeTag::T_Param) {
                let kind = (*node.cast::<pg_sys::Param>()).paramkind;
                return kind != pg_sys::ParamKind::PARAM_EXTERN;
            }
            pg_sys::expression_tree_walker(node, Some(walker), context)
        }
    }
    // SAFETY: as the caller promises.
    unsafe { walker(node, std::ptr::null_mut()) }
}
