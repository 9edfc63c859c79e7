//! Sorts the rows of a scan here, where the plan relies on an order that awork did not keep.
//! PostgreSQL's own sort: within work_mem, else on disk.

use pgrx::pg_sys;

/// Neither random access nor a bound.
#[cfg(feature = "pg14")]
const NO_OPTIONS: bool = false;
#[cfg(not(feature = "pg14"))]
const NO_OPTIONS: i32 = pg_sys::TUPLESORT_NONE as i32;

/// A column to sort by.
pub(super) struct Column {
    /// Number in the scan's tuple, from 1.
    pub(super) number: i16,
    pub(super) type_oid: pg_sys::Oid,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

/// A sort. Lives in the query's memory context.
pub(super) struct Sort {
    state: *mut pg_sys::Tuplesortstate,
    /// What the sort puts rows into.
    slot: *mut pg_sys::TupleTableSlot,
    /// Whether all rows have been put.
    pub(super) is_complete: bool,
}

impl Sort {
    /// # Safety
    /// `descriptor` must be that of the rows, and live as long as the query, as does the current
    /// memory context.
    pub(super) unsafe fn new(descriptor: pg_sys::TupleDesc, columns: &[Column]) -> Self {
        let mut numbers: Vec<i16> = columns.iter().map(|c| c.number).collect();
        // SAFETY: look-ups of the types' default order; the sort copies the arrays.
        unsafe {
            let mut operators: Vec<pg_sys::Oid> = columns
                .iter()
                .map(|column| {
                    let flags = pg_sys::TYPECACHE_LT_OPR | pg_sys::TYPECACHE_GT_OPR;
                    let entry = pg_sys::lookup_type_cache(column.type_oid, flags as i32);
                    if column.descending { (*entry).gt_opr } else { (*entry).lt_opr }
                })
                .collect();
            let mut collations = vec![pg_sys::InvalidOid; columns.len()];
            let mut nulls_first: Vec<bool> = columns.iter().map(|c| c.nulls_first).collect();
            let state = pg_sys::tuplesort_begin_heap(
                descriptor,
                columns.len() as i32,
                numbers.as_mut_ptr(),
                operators.as_mut_ptr(),
                collations.as_mut_ptr(),
                nulls_first.as_mut_ptr(),
                pg_sys::work_mem,
                std::ptr::null_mut(),
                NO_OPTIONS,
            );
            let slot =
                pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsMinimalTuple);
            Self { state, slot, is_complete: false }
        }
    }

    /// Takes a copy of the row in `slot`.
    ///
    /// # Safety
    /// `slot` must hold a row of the descriptor.
    pub(super) unsafe fn put(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: as the caller promises.
        unsafe { pg_sys::tuplesort_puttupleslot(self.state, slot) }
    }

    /// Sorts what was put.
    pub(super) fn perform(&mut self) {
        // SAFETY: the state is alive.
        unsafe { pg_sys::tuplesort_performsort(self.state) }
        self.is_complete = true;
    }

    /// Puts the next row into `slot`; false at the end.
    ///
    /// # Safety
    /// `slot` must be empty and of the descriptor.
    pub(super) unsafe fn next(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        // SAFETY: as the caller promises. The values stay in the sort's own slot, which keeps
        // them until the next row.
        unsafe {
            let (forward, copy) = (true, false);
            let abbreviated = std::ptr::null_mut();
            if !pg_sys::tuplesort_gettupleslot(self.state, forward, copy, self.slot, abbreviated) {
                return false;
            }
            let count = (*(*slot).tts_tupleDescriptor).natts as usize;
            pg_sys::slot_getsomeattrs_int(self.slot, count as i32);
            std::ptr::copy_nonoverlapping((*self.slot).tts_values, (*slot).tts_values, count);
            std::ptr::copy_nonoverlapping((*self.slot).tts_isnull, (*slot).tts_isnull, count);
            pg_sys::ExecStoreVirtualTuple(slot);
            true
        }
    }

    /// Ends the sort and frees what it holds.
    pub(super) fn end(self) {
        // SAFETY: nothing refers to its rows any more: the scan's slot is empty.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::tuplesort_end(self.state);
        }
    }
}
