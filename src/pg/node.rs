//! What the executor's node of a scan says: which table it reads, and for whom.

use pgrx::pg_sys;

use super::plan::ScanPlan;

/// The entry of the foreign table in the query's range table, also for a scan that is more
/// than one of a relation: in a join, that of the inner table.
///
/// # Safety
/// `node` and `plan` must belong together, in a running executor.
pub(super) unsafe fn range_table_entry(
    node: *mut pg_sys::ForeignScanState,
    plan: *mut pg_sys::ForeignScan,
    scan_plan: &ScanPlan,
) -> *mut pg_sys::RangeTblEntry {
    let member = scan_plan.join.as_ref().map_or(0, |join| join.member);
    // SAFETY: as the caller promises.
    unsafe {
        let index = match (*plan).scan.scanrelid {
            0 => (0..=member)
                .fold(-1, |before, _| pg_sys::bms_next_member((*plan).fs_relids, before))
                as pg_sys::Index,
            index => index,
        };
        pg_sys::exec_rt_fetch(index, (*node).ss.ps.state)
    }
}

/// The role whose user mapping counts: that of the view's owner where the table is read
/// through a view (`postgresBeginForeignScan` in postgres_fdw.c).
///
/// # Safety
/// `node` and `plan` must belong together, in a running executor.
pub(super) unsafe fn checked_user(
    entry: *mut pg_sys::RangeTblEntry,
    plan: *mut pg_sys::ForeignScan,
) -> pg_sys::Oid {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let user = {
            let _ = plan;
            (*entry).checkAsUser
        };
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let user = {
            let _ = entry;
            (*plan).checkAsUser
        };
        if user == pg_sys::InvalidOid { pg_sys::GetUserId() } else { user }
    }
}

/// A memory context below another one.
pub(super) fn memory_context(
    parent: pg_sys::MemoryContext,
    name: &'static std::ffi::CStr,
) -> pg_sys::MemoryContext {
    // SAFETY: the parent is the query's context, and a static string outlives everything.
    unsafe {
        pg_sys::AllocSetContextCreateInternal(
            parent,
            name.as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        )
    }
}
