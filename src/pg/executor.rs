//! Runs a foreign scan: evaluates the keys, starts reading, and turns the batches that come
//! from the runtime's threads into rows.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use awork_api::catalogue::Resource;
use awork_api::catalogue::columns::Source;
use awork_api::client::Client;
use awork_api::request::{self, Bindings};
use awork_api::rows::{Batch, Cell, Projection, Target};
use awork_api::scan::{Event, Job, Scan};
use pgrx::prelude::*;
use pgrx::{PgList, PgMemoryContexts};

use super::datum::{Converter, request_text};
use super::foreign;
use super::plan::{Key, ScanPlan};
use super::wait::{or_raise, until_readable};
use crate::columns::{Attribute, kind, known, only_kind, required_keys, source};
use crate::error;

/// The state of a running scan. Lives in the query's memory context, whose deletion drops it,
/// also after an error.
pub(super) struct ScanState {
    table: String,
    resource: &'static Resource,
    client: Arc<Client>,
    page_size: u32,
    attributes: Vec<Attribute>,
    columns: Vec<OutputColumn>,
    targets: Vec<Target>,
    keys: Vec<(Key, *mut pg_sys::ExprState)>,
    /// Values of the keys; reset by a rescan.
    key_memory: pg_sys::MemoryContext,
    /// Datums of the rows of one batch; reset with each.
    batch_memory: pg_sys::MemoryContext,
    run: Option<Run>,
    /// What finished runs have read.
    pages: u64,
    rows: u64,
}

/// One reading of the table, from the first row to the last.
struct Run {
    scan: Option<Scan>,
    /// The values of the parameters for each of the job's bindings.
    parameters: Vec<Vec<Option<pg_sys::Datum>>>,
    batch: Option<(Batch, usize)>,
    row: usize,
}

/// A column that the query reads.
struct OutputColumn {
    /// Position in the slot, from 0.
    position: usize,
    from: From,
    converter: Converter,
}

enum From {
    /// The cell at this position of a batch's row.
    Cell(usize),
    /// The value of a parameter: of the request, or else what the API assumes.
    Parameter(usize, Option<pg_sys::Datum>),
}

/// Requests, pages, rows, bytes and retries of a scan, for EXPLAIN.
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) pages: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) retries: u64,
}

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
        let state = ScanState::new(node, plan);
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
        if state.run.is_none() {
            state.start((*node).ss.ps.ps_ExprContext);
        }
        if state.next_row() {
            state.fill(slot);
            pg_sys::ExecStoreVirtualTuple(slot);
        }
        slot
    }
}

/// `ReScanForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn rescan_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as in `iterate_foreign_scan`.
    unsafe { (*(*node).fdw_state.cast::<ScanState>()).stop() }
}

/// `EndForeignScan` (fdwhandler.sgml).
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn end_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as in `iterate_foreign_scan`; EXPLAIN without ANALYZE has no state.
    unsafe {
        if let Some(state) = (*node).fdw_state.cast::<ScanState>().as_mut() {
            state.stop();
        }
    }
}

impl ScanState {
    /// # Safety
    /// `node` and `plan` must belong together, in a running executor.
    unsafe fn new(
        node: *mut pg_sys::ForeignScanState,
        plan: *mut pg_sys::ForeignScan,
    ) -> ScanState {
        // SAFETY: as the caller promises.
        let (relation, user, scan_plan, values, query_memory) = unsafe {
            let values = pg_sys::ExecInitExprList((*plan).fdw_exprs, node.cast());
            (
                (*(*node).ss.ss_currentRelation).rd_id,
                checked_user(node, plan),
                ScanPlan::from_list((*plan).fdw_private),
                PgList::<pg_sys::ExprState>::from_pg(values),
                (*(*node).ss.ps.state).es_query_cxt,
            )
        };
        let table = foreign::table(relation);
        let client = foreign::client(table.server, user);
        let known = known(table.resource);
        let mut columns = Vec::new();
        let mut targets = Vec::new();
        let used = |a: &&Attribute| scan_plan.attributes.contains(&a.number);
        for attribute in table.attributes.iter().filter(used) {
            let converter = Converter::new(&table.name, attribute);
            let from = match source(table.resource, &known, attribute) {
                None => error::column_not_found(
                    format!(
                        "resource \"{}\" has no column \"{}\"",
                        table.resource.name, attribute.name
                    ),
                    "Give the column the option \"field\" with the name of the property in awork.",
                ),
                Some(Source::Parameter(i)) => {
                    let assumed = table.resource.parameters[i].default.as_deref();
                    From::Parameter(i, assumed.map(|text| converter.default(text)))
                }
                Some(source) => {
                    let kind = kind(attribute);
                    let plain = attribute.type_oid == attribute.base_type && attribute.typmod < 0;
                    if only_kind(&source).is_some_and(|only| only != kind || !plain) {
                        error::wrong_type(
                            format!(
                                "column \"{}\" of foreign table \"{}\" must have the type that IMPORT FOREIGN SCHEMA gives it",
                                attribute.name, table.name
                            ),
                            "Its values are worked out: an instant is timestamptz, is_running is boolean.".into(),
                        );
                    }
                    targets.push(Target { name: attribute.name.clone(), source, kind });
                    From::Cell(targets.len() - 1)
                }
            };
            columns.push(OutputColumn { position: attribute.number as usize - 1, from, converter });
        }
        ScanState {
            page_size: table.page_size.unwrap_or(client.settings().page_size),
            table: table.name,
            resource: table.resource,
            client,
            attributes: table.attributes,
            columns,
            targets,
            keys: scan_plan.keys.into_iter().zip(values.iter_ptr()).collect(),
            key_memory: memory_context(query_memory, c"awork_fdw keys"),
            batch_memory: memory_context(query_memory, c"awork_fdw batch"),
            run: None,
            pages: 0,
            rows: 0,
        }
    }

    /// Evaluates the keys and starts reading.
    ///
    /// # Safety
    /// `expressions` must be the expression context of the scan's node.
    unsafe fn start(&mut self, expressions: *mut pg_sys::ExprContext) {
        // SAFETY: nobody has a reference to the values of an earlier run any more.
        let (bindings, parameters) = unsafe {
            pg_sys::MemoryContextReset(self.key_memory);
            PgMemoryContexts::For(self.key_memory).switch_to(|_| self.bindings(expressions))
        };
        let properties = self.resource.properties();
        let with_ids = properties.contains(&"id");
        let job = Job {
            resource: self.resource,
            projection: Projection::new(&self.targets, with_ids),
            orderby: request::stable_order(self.resource, &properties),
            page_size: self.page_size,
            table: self.table.clone(),
            bindings,
        };
        let scan =
            (!job.bindings.is_empty()).then(|| or_raise(Scan::start(self.client.clone(), job)));
        self.run = Some(Run { scan, parameters, batch: None, row: 0 });
    }

    /// Every combination of the keys' values: as text for the requests, as datums for the
    /// columns. None where a key has no value, since then no row can satisfy the condition.
    ///
    /// # Safety
    /// As for [`ScanState::start`].
    unsafe fn bindings(
        &self,
        expressions: *mut pg_sys::ExprContext,
    ) -> (Vec<Bindings>, Vec<Vec<Option<pg_sys::Datum>>>) {
        let count = self.resource.parameters.len();
        let bound: Vec<usize> = self.keys.iter().map(|(key, _)| key.parameter).collect();
        if let Some(missing) = required_keys(self.resource).find(|p| !bound.contains(p)) {
            self.refuse_unbound(missing);
        }
        let mut texts: Vec<Bindings> = vec![vec![None; count]];
        let mut datums: Vec<Vec<Option<pg_sys::Datum>>> = vec![vec![None; count]];
        for (key, state) in &self.keys {
            // SAFETY: as the caller promises; the plan's keys name existing columns, since a
            // plan is made anew when the table changes.
            let values = unsafe { self.values(key, *state, expressions) };
            let combine = |i: usize| values.iter().map(move |value| (i, value));
            let combined: Vec<_> = (0..texts.len()).flat_map(combine).collect();
            (texts, datums) = combined
                .into_iter()
                .map(|(i, (text, datum))| {
                    let (mut text_row, mut datum_row) = (texts[i].clone(), datums[i].clone());
                    text_row[key.parameter] = Some(text.clone());
                    datum_row[key.parameter] = Some(*datum);
                    (text_row, datum_row)
                })
                .unzip();
        }
        (texts, datums)
    }

    /// The distinct values of a key, nulls left out.
    ///
    /// # Safety
    /// As for [`ScanState::start`].
    unsafe fn values(
        &self,
        key: &Key,
        state: *mut pg_sys::ExprState,
        expressions: *mut pg_sys::ExprContext,
    ) -> Vec<(String, pg_sys::Datum)> {
        let attribute = self.attributes.iter().find(|a| a.number == key.attribute);
        let Some(Attribute { base_type, .. }) = attribute else { return Vec::new() };
        let mut seen = HashSet::new();
        // SAFETY: as the caller promises; arrays are taken apart with their element's layout.
        unsafe {
            let mut is_null = false;
            let value = pg_sys::ExecEvalExpr(state, expressions, &mut is_null);
            if is_null {
                return Vec::new();
            }
            let elements = match key.any_of {
                true => elements(value),
                false => vec![copy(value, *base_type)],
            };
            elements
                .into_iter()
                .map(|datum| (request_text(datum, *base_type), datum))
                .filter(|(text, _)| seen.insert(text.clone()))
                .collect()
        }
    }

    fn refuse_unbound(&self, parameter: usize) -> ! {
        let name = &self.resource.parameters[parameter].name;
        let known = known(self.resource);
        let column = self.attributes.iter().find(|attribute| {
            source(self.resource, &known, attribute) == Some(Source::Parameter(parameter))
        });
        let detail = format!("awork answers {} only for a given \"{name}\".", self.resource.path);
        match column {
            Some(Attribute { name: column, .. }) => error::unbound_key(
                format!(
                    "foreign table \"{}\" needs a condition on column \"{column}\"",
                    self.table
                ),
                detail,
                format!(
                    "Add a condition such as {column} = '…' or {column} IN ('…', '…') with values \
                     of the column's type, or join the column with a table that has the values."
                ),
            ),
            None => error::unbound_key(
                format!("foreign table \"{}\" needs a column for \"{name}\"", self.table),
                detail,
                format!("Add a column with OPTIONS (field '{name}') and a condition on it."),
            ),
        }
    }

    /// Goes to the next row; false at the end.
    fn next_row(&mut self) -> bool {
        loop {
            let Some(Run { scan: Some(scan), batch, row, .. }) = &mut self.run else {
                return false;
            };
            if let Some((batch, _)) = batch {
                *row += 1;
                if *row == batch.rows() / 2 || *row == batch.rows() {
                    // Most of a page has been used, so that the next will be wanted.
                    scan.demand();
                }
                if *row < batch.rows() {
                    return true;
                }
            }
            *batch = None;
            let event = loop {
                match scan.poll() {
                    Some(event) => break event,
                    None => until_readable(scan.wake_fd()),
                }
            };
            match event {
                Event::Rows(rows, binding) => {
                    // SAFETY: the slot that shows a row of the last batch was cleared.
                    unsafe { pg_sys::MemoryContextReset(self.batch_memory) };
                    if rows.rows() == 0 {
                        scan.demand();
                        continue;
                    }
                    *row = 0;
                    *batch = Some((rows, binding));
                    return true;
                }
                Event::Notice(message) => error::warn_incomplete(message),
                Event::Failed(failure) => {
                    self.stop();
                    error::raise(failure)
                }
                Event::End => {
                    let progress = scan.progress();
                    self.pages += progress.pages.load(Ordering::Relaxed);
                    self.rows += progress.rows.load(Ordering::Relaxed);
                    if let Some(run) = &mut self.run {
                        run.scan = None;
                    }
                }
            }
        }
    }

    /// Puts the row at hand into the slot.
    ///
    /// # Safety
    /// `slot` must be the scan's slot, cleared.
    unsafe fn fill(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        let Some(Run { batch: Some((batch, binding)), row, parameters, .. }) = &self.run else {
            return;
        };
        let cells: &[Cell] = batch.row(*row);
        let parameters = &parameters[*binding];
        let columns = &mut self.columns;
        // SAFETY: the slot's arrays have as many elements as the relation has columns, and the
        // positions are those of existing columns.
        unsafe {
            let count = (*(*slot).tts_tupleDescriptor).natts as usize;
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, count);
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, count);
            nulls.fill(true);
            PgMemoryContexts::For(self.batch_memory).switch_to(|_| {
                for column in columns {
                    let datum = match column.from {
                        From::Cell(cell) => column.converter.datum(batch, *row, cells[cell]),
                        From::Parameter(i, assumed) => parameters[i].or(assumed),
                    };
                    if let Some(datum) = datum {
                        values[column.position] = datum;
                        nulls[column.position] = false;
                    }
                }
            });
        }
    }

    /// Ends the run, and with it its requests.
    fn stop(&mut self) {
        if let Some(Run { scan: Some(scan), .. }) = &self.run {
            self.pages += scan.progress().pages.load(Ordering::Relaxed);
            self.rows += scan.progress().rows.load(Ordering::Relaxed);
        }
        self.run = None;
    }

    /// What the scan has done so far.
    pub(super) fn totals(&self) -> Totals {
        let counters = &self.client.counters;
        let running = self.run.as_ref().and_then(|run| run.scan.as_ref()).map(Scan::progress);
        let now = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            requests: now(&counters.requests),
            pages: self.pages + running.map_or(0, |p| now(&p.pages)),
            rows: self.rows + running.map_or(0, |p| now(&p.rows)),
            bytes: now(&counters.bytes),
            retries: now(&counters.retries),
        }
    }
}

/// The role whose user mapping counts: that of the view's owner where the table is read
/// through a view (`postgresBeginForeignScan` in postgres_fdw.c).
///
/// # Safety
/// As for [`ScanState::new`].
unsafe fn checked_user(
    node: *mut pg_sys::ForeignScanState,
    plan: *mut pg_sys::ForeignScan,
) -> pg_sys::Oid {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let user = {
            let entry = pg_sys::exec_rt_fetch((*plan).scan.scanrelid, (*node).ss.ps.state);
            (*entry).checkAsUser
        };
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let user = {
            let _ = node;
            (*plan).checkAsUser
        };
        if user == pg_sys::InvalidOid { pg_sys::GetUserId() } else { user }
    }
}

fn memory_context(
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

/// A copy of a datum in the current memory context (`datumCopy` in datum.c).
///
/// # Safety
/// `datum` must be a value of the type.
unsafe fn copy(datum: pg_sys::Datum, type_oid: pg_sys::Oid) -> pg_sys::Datum {
    // SAFETY: as the caller promises; a type of fixed length is that many bytes.
    unsafe {
        match usize::try_from(pg_sys::get_typlen(type_oid)) {
            _ if pg_sys::get_typbyval(type_oid) => datum,
            Ok(length) => {
                let target = pg_sys::palloc(length).cast::<u8>();
                std::ptr::copy_nonoverlapping(datum.cast_mut_ptr::<u8>(), target, length);
                target.into()
            }
            Err(_) => pg_sys::pg_detoast_datum_copy(datum.cast_mut_ptr()).into(),
        }
    }
}

/// The elements of an array, nulls left out, in the current memory context.
///
/// # Safety
/// `array` must be an array datum.
unsafe fn elements(array: pg_sys::Datum) -> Vec<pg_sys::Datum> {
    // SAFETY: as the caller promises; the layout is that of the array's own element type. The
    // copy makes the elements independent of the expression that gave the array.
    unsafe {
        let array = pg_sys::pg_detoast_datum_copy(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let (mut length, mut by_value, mut alignment) = (0, false, 0);
        let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let element = (*array).elemtype;
        pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut alignment);
        pg_sys::deconstruct_array(
            array,
            element,
            length.into(),
            by_value,
            alignment,
            &mut values,
            &mut nulls,
            &mut count,
        );
        (0..count as usize).filter(|&i| !*nulls.add(i)).map(|i| *values.add(i)).collect()
    }
}
