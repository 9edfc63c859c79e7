//! The callbacks that run a foreign scan. What they work on is in `scan_state`.

use pgrx::PgMemoryContexts;
use pgrx::prelude::*;

use super::lookup_join::{self, JoinState};
use super::scan_state::ScanState;

/// `BeginForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn begin_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
    flags: i32,
) {
    if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0 {
        return;
    }
    // SAFETY: the executor's structures are valid until the end of the query.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        let mut query_memory = PgMemoryContexts::For((*(*node).ss.ps.state).es_query_cxt);
        (*node).fdw_state = match lookup_join::is_one(node) {
            true => query_memory.leak_and_drop_on_delete(JoinState::new(node, plan, flags)).cast(),
            false => query_memory.leak_and_drop_on_delete(ScanState::new(node, plan, flags)).cast(),
        };
    }
}

/// `IterateForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn iterate_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the state was set by `begin_foreign_scan`; nothing else has a reference to it
    // while the callback runs.
    unsafe {
        let slot = (*node).ss.ss_ScanTupleSlot;
        pg_sys::ExecClearTuple(slot);
        let context = (*node).ss.ps.ps_ExprContext;
        match lookup_join::is_one(node) {
            true => (*(*node).fdw_state.cast::<JoinState>()).next(context, slot),
            false => (*(*node).fdw_state.cast::<ScanState>()).next(context, slot),
        }
        slot
    }
}

/// `ReScanForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn rescan_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as in `iterate_foreign_scan`.
    unsafe {
        pg_sys::ExecClearTuple((*node).ss.ss_ScanTupleSlot);
        match lookup_join::is_one(node) {
            true => (*(*node).fdw_state.cast::<JoinState>()).stop(),
            false => (*(*node).fdw_state.cast::<ScanState>()).stop(),
        }
    }
}

/// `EndForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn end_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as in `iterate_foreign_scan`; EXPLAIN without ANALYZE has no state.
    unsafe {
        if (*node).fdw_state.is_null() {
            return;
        }
        pg_sys::ExecClearTuple((*node).ss.ss_ScanTupleSlot);
        match lookup_join::is_one(node) {
            true => (*(*node).fdw_state.cast::<JoinState>()).end(),
            false => (*(*node).fdw_state.cast::<ScanState>()).end(),
        }
    }
}
