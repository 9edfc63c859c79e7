//! The callbacks that run a foreign scan. What they work on is in `scan_state`.

use pgrx::PgMemoryContexts;
use pgrx::prelude::*;

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
        let state = ScanState::new(node, plan, flags);
        let query_memory = (*(*node).ss.ps.state).es_query_cxt;
        (*node).fdw_state =
            PgMemoryContexts::For(query_memory).leak_and_drop_on_delete(state).cast();
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
        let state = &mut *(*node).fdw_state.cast::<ScanState>();
        state.next((*node).ss.ps.ps_ExprContext, slot);
        slot
    }
}

/// `ReScanForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn rescan_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as in `iterate_foreign_scan`.
    unsafe {
        pg_sys::ExecClearTuple((*node).ss.ss_ScanTupleSlot);
        (*(*node).fdw_state.cast::<ScanState>()).stop();
    }
}

/// `EndForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn end_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as in `iterate_foreign_scan`; EXPLAIN without ANALYZE has no state.
    unsafe {
        if let Some(state) = (*node).fdw_state.cast::<ScanState>().as_mut() {
            pg_sys::ExecClearTuple((*node).ss.ss_ScanTupleSlot);
            state.stop();
        }
    }
}
