//! The state of a running foreign scan: evaluates the plan's expressions, starts reading, and
//! turns the batches that come from the runtime's threads into rows of the scan's tuple.
//!
//! What awork was to do and did not, is done here: an order that it refused is sorted, rows
//! that a refused filter let through are neither counted nor do they use up a limit.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;

use awork_api::catalogue::columns::Source;
use awork_api::catalogue::{Location, Resource};
use awork_api::client::Client;
use awork_api::filter::refusals;
use awork_api::pages::Consistency;
use awork_api::request::Bindings;
use awork_api::rows::Projection;
use awork_api::scan::{Begun, Job, Scan, parents};
use pgrx::PgMemoryContexts;
use pgrx::prelude::*;

use super::expressions::Expressions;
use super::job::{self, Asking};
use super::memo::Memo;
use super::node::{checked_user, memory_context, range_table_entry};
use super::output::Output;
use super::plan::{ScanPlan, Tuple};
use super::rights::Rights;
use super::run::{Rows, Run, key};
use super::sort::{Column, Sort};
use super::wait::or_raise;
use super::{credential, foreign};
use crate::columns::{Attribute, known, required_keys, source};
use crate::error;

/// The state of a running scan. Lives in the query's memory context, whose deletion drops it,
/// also after an error.
pub(super) struct ScanState {
    pub(super) plan: ScanPlan,
    table: String,
    pub(super) resource: &'static Resource,
    fan_out: bool,
    pub(super) client: Arc<Client>,
    page_size: u32,
    cache_ttl: Duration,
    consistency: Consistency,
    attributes: Vec<Attribute>,
    pub(super) output: Output,
    expressions: Expressions,
    descriptor: pg_sys::TupleDesc,
    /// Values of the expressions; reset by a rescan.
    value_memory: pg_sys::MemoryContext,
    /// Datums of the rows of one batch; reset with each.
    pub(super) batch_memory: pg_sys::MemoryContext,
    query_memory: pg_sys::MemoryContext,
    pub(super) run: Option<Run>,
    /// Whether the next row is waited for where it has not come yet.
    pub(super) waits: bool,
    /// Whether the last call gave no row since it has not come yet.
    pub(super) is_pending: bool,
    /// Whether the scan has run before, with other values or the same.
    runs_again: bool,
    pub(super) memo: Option<Memo>,
    pub(super) totals: Totals,
    /// What the credential may do, where that is not known.
    rights: Option<Rights>,
    server: pg_sys::Oid,
    nulls_mismatches: bool,
}

/// What a scan has done, for EXPLAIN.
#[derive(Debug, Default, Clone)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) pages: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Milliseconds that decoding took.
    pub(super) decoding: u64,
    pub(super) retries: u64,
    /// Milliseconds between a failed request and the next try.
    pub(super) waited: u64,
    /// Milliseconds for which requests waited so as to keep within the rate limit.
    pub(super) held_back: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
    /// Milliseconds since the oldest answer from the cache.
    pub(super) oldest: u64,
    pub(super) parents: u64,
    pub(super) repeated: u64,
    pub(super) sorted: u64,
    /// Values that did not fit their columns and are shown as null.
    pub(super) mismatches: u64,
    pub(super) refused: Vec<String>,
    pub(super) first_request: Option<String>,
}

impl ScanState {
    /// # Safety
    /// `node` and `plan` must belong together, in a running executor.
    pub(super) unsafe fn new(
        node: *mut pg_sys::ForeignScanState,
        plan: *mut pg_sys::ForeignScan,
        flags: i32,
    ) -> ScanState {
        // SAFETY: as the caller promises.
        let (relation, user, scan_plan, expressions, query_memory, descriptor) = unsafe {
            let scan_plan = ScanPlan::from_list((*plan).fdw_private);
            let entry = range_table_entry(node, plan, &scan_plan);
            (
                (*entry).relid,
                checked_user(entry, plan),
                scan_plan.clone(),
                Expressions::new(node, plan, &scan_plan),
                (*(*node).ss.ps.state).es_query_cxt,
                (*(*node).ss.ss_ScanTupleSlot).tts_tupleDescriptor,
            )
        };
        let table = foreign::table(relation);
        let client = credential::client(relation, table.server, user);
        let output = Output::new(&table, |attribute| {
            scan_plan.attributes.contains(&attribute).then(|| scan_plan.position(attribute))?
        });
        // Answers are worth keeping where the scan is likely to run again.
        // SAFETY: as the caller promises.
        let repeats = flags & pg_sys::EXEC_FLAG_REWIND as i32 != 0
            || unsafe { !(*plan).scan.plan.extParam.is_null() };
        // SAFETY: a setting of the session.
        let room = unsafe { pg_sys::work_mem } as usize * 1024;
        ScanState {
            page_size: table.page_size.unwrap_or(client.settings().page_size),
            cache_ttl: table.cache_ttl.unwrap_or(client.settings().cache_ttl),
            consistency: table.consistency.unwrap_or(client.settings().consistency),
            plan: scan_plan,
            table: table.name,
            resource: table.resource,
            fan_out: table.fan_out,
            client,
            attributes: table.attributes,
            output,
            expressions,
            descriptor,
            value_memory: memory_context(query_memory, c"awork_fdw values"),
            batch_memory: memory_context(query_memory, c"awork_fdw batch"),
            query_memory,
            run: None,
            waits: true,
            is_pending: false,
            runs_again: false,
            memo: repeats.then(|| Memo::new(room)),
            totals: Totals::default(),
            rights: None,
            server: table.server,
            nulls_mismatches: table.nulls_mismatches,
        }
    }

    /// Puts the next row into `slot`, or leaves it empty: at the end, and where the row has not
    /// come yet and is not waited for.
    ///
    /// # Safety
    /// `context` must be the expression context of the scan's node, `slot` its slot, empty.
    pub(super) unsafe fn next(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) {
        // SAFETY: as the caller promises.
        self.is_pending = unsafe { self.poll_next(context, slot) }.is_pending();
    }

    unsafe fn poll_next(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> Poll<()> {
        // SAFETY: as for `next`.
        unsafe {
            if self.run.is_none() {
                self.start(context);
            }
            ready!(self.begin());
            match self.plan.tuple {
                Tuple::Counts(counts) => self.count(context, slot, counts),
                Tuple::Relation | Tuple::Columns => {
                    ready!(self.sort(context, slot));
                    self.row(context, slot)
                }
            }
        }
    }

    /// Ends the scan. What the user should know of its values and its credential is said now.
    pub(super) fn end(&mut self) {
        self.stop();
        self.totals.tell(&self.table, self.rights.take());
    }

    /// Evaluates the expressions and starts reading.
    unsafe fn start(&mut self, context: *mut pg_sys::ExprContext) {
        // SAFETY: nobody has a reference to the values of an earlier run any more.
        let (asking, slice) = unsafe {
            pg_sys::MemoryContextReset(self.value_memory);
            PgMemoryContexts::For(self.value_memory).switch_to(|_| {
                let slice = self.expressions.slice(context);
                let bindings = self.bindings(context);
                let values = self.expressions.values(context, &self.plan, None);
                // Each of a parent's lists takes a request, however few rows it has.
                let reusable = self.runs_again && self.memo.is_some() && self.fans_out();
                let (resource, plan, size) = (self.resource, &self.plan, self.page_size);
                let asking = job::asking(resource, plan, bindings, &values, slice, size, reusable);
                (asking, slice)
            })
        };
        self.runs_again = true;
        let nothing = slice.is_some_and(|slice| slice.count == Some(0));
        let asking = asking.filter(|_| !nothing);
        let mut run = Run {
            source: Rows::None,
            asking: None,
            begun: None,
            batch: None,
            row: 0,
            parameters: Vec::new(),
            sort: None,
            counted: 0,
            left_out: Vec::new(),
            known: HashSet::new(),
            skip: slice.map_or(0, |slice| slice.skip),
            remaining: slice.and_then(|slice| slice.count),
        };
        if let Some(asking) = asking {
            self.rights = self.rights.take().or_else(|| Rights::ask(&self.client, self.server));
            let known = match &mut self.memo {
                Some(memo) => {
                    let base = self.client.settings().api_url.as_str();
                    let name = &self.resource.name;
                    memo.get(&key(&asking, |what| refusals::is_refused(base, name, what)))
                }
                None => None,
            };
            run.source = match known {
                Some(answer) => Rows::Known { answer, next: 0 },
                None => {
                    let scan = or_raise(Scan::start(self.client.clone(), self.job(&asking)));
                    Rows::Live { scan, record: self.memo.is_some().then(Vec::new) }
                }
            };
            run.asking = Some(asking);
        } else {
            run.begun = Some(Begun { ordered: true, skipped: 0, total: Some(0) });
        }
        self.run = Some(run);
    }

    /// Whether the lists of all parents are read.
    pub(super) fn fans_out(&self) -> bool {
        let bound = |p: &usize| self.plan.keys.iter().any(|key| key.parameter == *p);
        required_keys(self.resource).any(|parameter| !bound(&parameter))
    }

    pub(super) fn job(&self, asking: &Asking) -> Job {
        let with_ids = self.resource.properties().contains(&"id");
        Job {
            resource: self.resource,
            bindings: asking.bindings.clone(),
            conjuncts: asking.conjuncts.clone(),
            lookup: asking.lookup.clone(),
            order: asking.order.clone(),
            start: asking.start,
            projection: Projection::new(self.output.targets(), with_ids)
                .with_mismatches_as_null(self.nulls_mismatches),
            page_size: self.page_size,
            most_filters: self.plan.most_filters,
            cache_ttl: self.cache_ttl,
            consistency: self.consistency,
            table: self.table.clone(),
        }
    }

    /// The parameters of each list to ask for; raises an error where one has no value.
    ///
    /// # Safety
    /// As for [`ScanState::next`].
    unsafe fn bindings(&self, context: *mut pg_sys::ExprContext) -> Vec<Bindings> {
        let bound: Vec<usize> =
            self.expressions.keys.iter().map(|(key, _)| key.parameter).collect();
        let has_parents = self.fan_out && parents::chain(self.resource, &bound).is_some();
        let is_missing = |p: &usize| {
            let of_parents = self.resource.parameters[*p].location == Location::Path && has_parents;
            !bound.contains(p) && !of_parents
        };
        if let Some(missing) = required_keys(self.resource).find(is_missing) {
            self.refuse_unbound(missing);
        }
        // SAFETY: as the caller promises.
        unsafe { self.expressions.bindings(context, self.resource, &self.attributes) }
    }

    fn refuse_unbound(&self, parameter: usize) -> ! {
        let name = &self.resource.parameters[parameter].name;
        let known = known(self.resource);
        let column = self.attributes.iter().find(|attribute| {
            source(self.resource, &known, attribute) == Some(Source::Parameter(parameter))
        });
        let detail = format!("awork answers {} only for a given \"{name}\".", self.resource.path);
        let bound: Vec<usize> = self.plan.keys.iter().map(|key| key.parameter).collect();
        let off = !self.fan_out && parents::chain(self.resource, &bound).is_some();
        let or_fan_out = match off {
            true => " ALTER FOREIGN TABLE … OPTIONS (SET fan_out 'on') reads the lists of all.",
            false => "",
        };
        match column {
            Some(Attribute { name: column, .. }) => error::unbound_key(
                format!(
                    "foreign table \"{}\" needs a condition on column \"{column}\"",
                    self.table
                ),
                detail,
                format!(
                    "Add a condition such as {column} = '…' or {column} IN ('…', '…') with values \
                     of the column's type, or join the column with a table that has the values.\
                     {or_fan_out}"
                ),
            ),
            None => error::unbound_key(
                format!("foreign table \"{}\" needs a column for \"{name}\"", self.table),
                detail,
                format!("Add a column with OPTIONS (field '{name}') and a condition on it."),
            ),
        }
    }

    /// The next row for the executor, of a table or of a slice.
    unsafe fn row(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> Poll<()> {
        loop {
            let Some(run) = &mut self.run else { return Poll::Ready(()) };
            if run.remaining == Some(0) {
                return Poll::Ready(());
            }
            // SAFETY: as for `next`; the sort's rows have passed the conditions.
            unsafe {
                if let Some(sort) = &mut run.sort {
                    if !sort.next(slot) {
                        return Poll::Ready(());
                    }
                } else {
                    if !ready!(self.advance()) {
                        return Poll::Ready(());
                    }
                    self.fill(slot);
                    if !self.expressions.passes(context, slot) {
                        pg_sys::ExecClearTuple(slot);
                        continue;
                    }
                }
            }
            let Some(run) = &mut self.run else { return Poll::Ready(()) };
            if run.skip > 0 {
                run.skip -= 1;
                // SAFETY: as for `next`.
                unsafe { pg_sys::ExecClearTuple(slot) };
                continue;
            }
            if let Some(remaining) = &mut run.remaining {
                *remaining -= 1;
                if *remaining == 0 {
                    self.keep_slice();
                }
            }
            return Poll::Ready(());
        }
    }

    /// The only row of a count.
    unsafe fn count(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
        counts: usize,
    ) -> Poll<()> {
        let Some(run) = &mut self.run else { return Poll::Ready(()) };
        if run.remaining == Some(0) {
            return Poll::Ready(());
        }
        let total = match run.begun.and_then(|begun| begun.total) {
            Some(total) => {
                self.keep();
                total
            }
            None => {
                while ready!(self.advance()) {
                    // SAFETY: as for `next`.
                    let passes = unsafe {
                        self.fill(slot);
                        let passes = self.expressions.passes(context, slot);
                        pg_sys::ExecClearTuple(slot);
                        passes
                    };
                    if let Some(run) = &mut self.run {
                        run.counted += u64::from(passes);
                    }
                }
                self.run.as_ref().map_or(0, |run| run.counted)
            }
        };
        if let Some(run) = &mut self.run {
            run.remaining = Some(0);
        }
        // SAFETY: as for `next`; the tuple begins with the counts.
        unsafe {
            let count = (*(*slot).tts_tupleDescriptor).natts as usize;
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, count);
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, count);
            nulls.fill(true);
            let total = i64::try_from(total).unwrap_or(i64::MAX);
            for position in 0..counts {
                values[position] = total.into();
                nulls[position] = false;
            }
            pg_sys::ExecStoreVirtualTuple(slot);
        }
        Poll::Ready(())
    }

    /// Reads everything and sorts it, where the rows are sorted here.
    unsafe fn sort(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> Poll<()> {
        if !matches!(&self.run, Some(Run { sort: Some(sort), .. }) if !sort.is_complete) {
            return Poll::Ready(());
        }
        while ready!(self.advance()) {
            // SAFETY: as for `next`.
            unsafe {
                self.fill(slot);
                if self.expressions.passes(context, slot)
                    && let Some(Run { sort: Some(sort), .. }) = &mut self.run
                {
                    sort.put(slot);
                }
                pg_sys::ExecClearTuple(slot);
            }
        }
        if let Some(Run { sort: Some(sort), .. }) = &mut self.run {
            sort.perform();
        }
        self.totals.sorted += 1;
        Poll::Ready(())
    }

    /// A sort by the order that the plan relies on.
    ///
    /// # Safety
    /// The node of the scan must be alive.
    pub(super) unsafe fn new_sort(&self) -> Sort {
        let column = |key: &super::plan::SortKey| {
            let attribute = self.attributes.iter().find(|a| a.number == key.attribute)?;
            Some(Column {
                number: self.plan.position(key.attribute)? as i16 + 1,
                type_oid: attribute.base_type,
                descending: key.descending,
                nulls_first: key.nulls_first,
            })
        };
        let columns: Vec<Column> = self.plan.order.iter().filter_map(column).collect();
        // SAFETY: as the caller promises; the descriptor is that of the node's slot.
        unsafe {
            PgMemoryContexts::For(self.query_memory)
                .switch_to(|_| Sort::new(self.descriptor, &columns))
        }
    }

    /// Puts the row at hand into the slot, which is to be cleared before the batch goes.
    ///
    /// # Safety
    /// `slot` must be the scan's slot, cleared.
    unsafe fn fill(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        let Some(Run { batch: Some((batch, _)), row, parameters, .. }) = &self.run else {
            return;
        };
        let output = &mut self.output;
        // SAFETY: the slot's arrays have as many elements as the tuple has columns.
        unsafe {
            let count = (*(*slot).tts_tupleDescriptor).natts as usize;
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, count);
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, count);
            if output.allocates {
                PgMemoryContexts::For(self.batch_memory)
                    .switch_to(|_| output.fill(batch, *row, parameters, values, nulls));
            } else {
                output.fill(batch, *row, parameters, values, nulls);
            }
            pg_sys::ExecStoreVirtualTuple(slot);
        }
    }

    /// What the scan has done so far.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.totals.clone();
        if let Some(Run { source: Rows::Live { scan, .. }, .. }) = &self.run {
            totals.add(scan);
        }
        totals.count(&self.client);
        totals.repeated = self.memo.as_ref().map_or(0, |memo| memo.hits);
        totals
    }
}

impl Totals {
    /// Says at the end of a scan or join what the user should know of its values and of its
    /// credential, and logs its last requests.
    pub(super) fn tell(&self, table: &str, rights: Option<Rights>) {
        error::log_requests();
        error::warn_mismatches(table, self.mismatches);
        if let Some(rights) = rights {
            rights.tell();
        }
    }

    /// Takes over what a client, which belongs to one scan, has counted.
    pub(super) fn count(&mut self, client: &Client) {
        let now = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        self.requests = now(&client.counters.requests);
        self.bytes = now(&client.counters.bytes);
        self.decoding = now(&client.counters.decoding) / 1000;
        self.retries = now(&client.counters.retries);
        self.waited = now(&client.counters.waited);
        self.held_back = now(&client.counters.held_back);
        self.hits = now(&client.counters.hits);
        self.misses = now(&client.counters.misses);
        self.oldest = now(&client.counters.oldest);
    }

    /// Adds what a scan has read.
    pub(super) fn add(&mut self, scan: &Scan) {
        let progress = scan.progress();
        self.pages += progress.pages.load(Ordering::Relaxed);
        self.rows += progress.rows.load(Ordering::Relaxed);
        self.parents += progress.parents.load(Ordering::Relaxed);
        self.mismatches += progress.mismatches.load(Ordering::Relaxed);
        for refused in progress.refused() {
            if !self.refused.contains(&refused) {
                self.refused.push(refused);
            }
        }
        self.first_request = self.first_request.take().or_else(|| progress.first_request());
    }
}
