//! The outer rows of a join by lookups: a batch of them at a time, kept until all that they look
//! up has come.

use std::collections::HashMap;
use std::rc::Rc;

use awork_api::lookups::Key;
use pgrx::PgMemoryContexts;
use pgrx::prelude::*;

/// A batch of outer rows.
pub(super) struct OuterRows {
    /// Copies, in a memory context of the batch.
    rows: Vec<pg_sys::MinimalTuple>,
    bytes: usize,
    /// Whether an inner row was found for each.
    pub(super) matched: Vec<bool>,
    /// The rows by what they look up, in the order in which the keys came.
    keys: Vec<Key>,
    by_key: HashMap<Key, Vec<u32>>,
}

impl OuterRows {
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
            matched: Vec::new(),
            keys: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The memory that the copies take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row that looks up some keys.
    ///
    /// # Safety
    /// `row` must stay as long as the batch.
    pub(super) unsafe fn push(&mut self, row: pg_sys::MinimalTuple, keys: Vec<Key>) {
        let index = self.rows.len() as u32;
        // SAFETY: as the caller promises.
        self.bytes += unsafe { (*row).t_len } as usize;
        self.rows.push(row);
        self.matched.push(false);
        for key in keys {
            match self.by_key.get_mut(&key) {
                Some(rows) => rows.push(index),
                None => {
                    self.keys.push(key.clone());
                    self.by_key.insert(key, vec![index]);
                }
            }
        }
    }

    /// Takes what is looked up: each key once, and the rows that look it up.
    pub(super) fn take_keys(&mut self) -> (Vec<Key>, HashMap<Key, Rc<[u32]>>) {
        let by_key = std::mem::take(&mut self.by_key);
        let by_key = by_key.into_iter().map(|(key, rows)| (key, rows.into())).collect();
        (std::mem::take(&mut self.keys), by_key)
    }

    /// The copy of a row.
    pub(super) fn row(&self, index: usize) -> pg_sys::MinimalTuple {
        self.rows[index]
    }
}

/// The plan below a join.
pub(super) struct Outer {
    plan: *mut pg_sys::PlanState,
    /// Shows copies of its rows.
    slot: *mut pg_sys::TupleTableSlot,
    query_memory: pg_sys::MemoryContext,
    /// Whether it has no more rows.
    pub(super) exhausted: bool,
}

impl Outer {
    /// # Safety
    /// `plan` must be the running plan below a node of `estate`.
    pub(super) unsafe fn new(plan: *mut pg_sys::PlanState, estate: *mut pg_sys::EState) -> Self {
        // SAFETY: as the caller promises; the slot belongs to the executor's state.
        unsafe {
            let descriptor = pg_sys::ExecGetResultType(plan);
            let operations = &raw const pg_sys::TTSOpsMinimalTuple;
            let slot = pg_sys::ExecInitExtraTupleSlot(estate, descriptor, operations);
            Self { plan, slot, query_memory: (*estate).es_query_cxt, exhausted: false }
        }
    }

    /// A copy of the next row, in `memory`; none at the end.
    ///
    /// # Safety
    /// The plan must be running still.
    pub(super) unsafe fn next(
        &mut self,
        memory: pg_sys::MemoryContext,
    ) -> Option<pg_sys::MinimalTuple> {
        // SAFETY: as the caller promises. Nodes keep what outlives a row in the current context.
        unsafe {
            let row = PgMemoryContexts::For(self.query_memory)
                .switch_to(|_| pg_sys::ExecProcNode(self.plan));
            if row.is_null() || (*row).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 != 0 {
                self.exhausted = true;
                return None;
            }
            Some(PgMemoryContexts::For(memory).switch_to(|_| pg_sys::ExecCopySlotMinimalTuple(row)))
        }
    }

    /// Writes a row to the beginning of the values of a tuple.
    ///
    /// # Safety
    /// `row` must be a copy of one of the plan's rows, and stay as long as the values are used;
    /// there must be room for all of its columns.
    pub(super) unsafe fn show(
        &mut self,
        row: pg_sys::MinimalTuple,
        values: *mut pg_sys::Datum,
        nulls: *mut bool,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            pg_sys::ExecStoreMinimalTuple(row, self.slot, false);
            let count = (*(*self.slot).tts_tupleDescriptor).natts as usize;
            pg_sys::slot_getsomeattrs_int(self.slot, count as i32);
            std::ptr::copy_nonoverlapping((*self.slot).tts_values, values, count);
            std::ptr::copy_nonoverlapping((*self.slot).tts_isnull, nulls, count);
        }
    }

    /// Lets go of the row that was shown.
    pub(super) fn clear(&mut self) {
        // SAFETY: the slot lives as long as the executor's state.
        unsafe { pg_sys::ExecClearTuple(self.slot) };
    }
}
