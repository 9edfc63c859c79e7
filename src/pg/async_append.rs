//! Scans of which an Append reads several at the same time (execAsync.c, nodeAppend.c). It asks
//! each for a row, which none waits for, and then waits for all that have none together.

use awork_api::deadline;
use pgrx::prelude::*;

use super::login;
use super::scan_state::ScanState;
use crate::error;

/// `IsForeignPathAsyncCapable` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn is_foreign_path_async_capable(
    path: *mut pg_sys::ForeignPath,
) -> bool {
    // Only what `ScanState` runs gives its rows without waiting: a table, a count, a slice; not a
    // join by lookups, which has the plan of its outer side.
    // SAFETY: the path is one of this wrapper's.
    unsafe { (*path).fdw_outerpath.is_null() }
}

/// `ForeignAsyncRequest` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn foreign_async_request(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: the request is Append's, of a node that `begin_foreign_scan` has prepared.
    unsafe { answer(request) }
}

/// `ForeignAsyncConfigureWait` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn foreign_async_configure_wait(
    request: *mut pg_sys::AsyncRequest,
) {
    // SAFETY: as in `foreign_async_request`; the set has room for one event of each request.
    unsafe {
        let append = (*request).requestor.cast::<pg_sys::AppendState>();
        if let Some(fd) = (*state(request)).wake_fd() {
            let (events, latch) = (pg_sys::WL_SOCKET_READABLE, std::ptr::null_mut());
            pg_sys::AddWaitEventToSet((*append).as_eventset, events, fd, latch, request.cast());
        }
    }
}

/// `ForeignAsyncNotify` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn foreign_async_notify(request: *mut pg_sys::AsyncRequest) {
    // Append's wait does not end for the latch in all minor versions, but for the reminder.
    deadline::set(None);
    pgrx::check_for_interrupts!();
    login::serve_renewals();
    error::log_requests();
    // SAFETY: as in `foreign_async_request`.
    unsafe { answer(request) }
}

/// Gives the request its row, or leaves it pending where the row has not come yet.
unsafe fn answer(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: as in `foreign_async_request`; nothing has a reference to the state meanwhile.
    unsafe {
        let (node, state) = ((*request).requestee, state(request));
        ((*state).waits, (*state).is_pending) = (false, false);
        // The caller measures the time, as `ExecProcNode` would.
        let next = (*node).ExecProcNodeReal;
        let slot = pg_sys::ffi::pg_guard_ffi_boundary(|| match next {
            Some(next) => next(node),
            None => std::ptr::null_mut(),
        });
        (*state).waits = true;
        // A pending scan gave an empty slot, which would mean its end.
        let pending = (*state).is_pending;
        (*request).callback_pending = pending;
        (*request).request_complete = !pending;
        (*request).result = if pending { std::ptr::null_mut() } else { slot };
    }
}

unsafe fn state(request: *mut pg_sys::AsyncRequest) -> *mut ScanState {
    // SAFETY: as in `foreign_async_request`.
    unsafe { (*(*request).requestee.cast::<pg_sys::ForeignScanState>()).fdw_state.cast() }
}
