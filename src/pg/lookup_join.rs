//! The state of a running join by lookups: takes a batch of outer rows from the plan below, looks
//! up what they all need side by side, and puts together the rows that match.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awork_api::catalogue::Resource;
use awork_api::client::Client;
use awork_api::filter::render::{Said, render};
use awork_api::filter::{Leaf, Operand, Remote, Value};
use awork_api::lookups::{Answers, FIRST_BATCH, Key, KeyOf, Page, next_batch};
use awork_api::pages::Consistency;
use awork_api::rows::Projection;
use awork_api::scan::{Job, Start};
use pgrx::PgMemoryContexts;
use pgrx::prelude::*;

use super::expressions::Expressions;
use super::job::{self, Asking};
use super::join::room;
use super::lookups::{Lookups, started};
use super::node::{checked_user, memory_context, range_table_entry};
use super::outer_rows::{Outer, OuterRows};
use super::output::Output;
use super::plan::{Join, JoinKind, ScanPlan};
use super::rights::Rights;
use super::scan_state::Totals;
use super::{credential, foreign};
use crate::columns::Attribute;
use crate::error;

/// The state of a running join. Lives in the query's memory context, whose deletion drops it,
/// also after an error.
pub(super) struct JoinState {
    /// As the planner made it, but without the condition by which rows are looked up.
    plan: ScanPlan,
    join: Join,
    /// That condition.
    filter: Option<Remote>,
    table: String,
    resource: &'static Resource,
    client: Arc<Client>,
    page_size: u32,
    cache_ttl: Duration,
    consistency: Consistency,
    attributes: Vec<Attribute>,
    /// Of the inner row.
    output: Output,
    key_of: KeyOf,
    expressions: Expressions,
    outer: Outer,
    /// Values of the expressions; reset by a rescan.
    value_memory: pg_sys::MemoryContext,
    /// Outer rows of a batch; reset with each.
    outer_memory: pg_sys::MemoryContext,
    /// Datums of the inner rows of a page; reset with each.
    page_memory: pg_sys::MemoryContext,
    /// Bytes that the outer rows of a batch may take, if they are more than the first.
    room: usize,
    /// Whether the join may run again.
    repeats: bool,
    answers: Answers,
    /// What the answers were asked with, keys apart.
    answered: Option<Asking>,
    run: Option<Run>,
    totals: Totals,
    /// Different keys that were looked up.
    lookups: u64,
    batches: u64,
    /// What the credential may do, where that is not known.
    rights: Option<Rights>,
    server: pg_sys::Oid,
    nulls_mismatches: bool,
}

/// One run of the join, from the first outer row to the last.
struct Run {
    /// What is asked, keys apart; none where no inner row can satisfy the conditions.
    asking: Option<Asking>,
    /// Outer rows of the next batch.
    size: usize,
    batch: Option<Pairs>,
}

/// A batch of outer rows, and the inner rows that they look up.
struct Pairs {
    outer: OuterRows,
    by_key: HashMap<Key, Rc<[u32]>>,
    lookups: Lookups,
    /// The page of the inner row, and the values of its columns that show parameters.
    page: Option<(Rc<Page>, Vec<Option<pg_sys::Datum>>)>,
    /// The inner row.
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    /// The outer rows that look it up, and how many have been tried.
    candidates: Rc<[u32]>,
    tried: usize,
    /// Once there are no more inner rows: how many outer rows have been looked at again.
    revisited: Option<usize>,
}

/// Whether the node is a join: no other scan has a plan below it.
///
/// # Safety
/// `node` must be a foreign scan of a running executor.
pub(super) unsafe fn is_one(node: *mut pg_sys::ForeignScanState) -> bool {
    // SAFETY: as the caller promises.
    unsafe { !(*(*node).ss.ps.plan).lefttree.is_null() }
}

/// Which of the plan's values a lookup compares with.
fn value_number(filter: &Remote) -> Option<usize> {
    match filter.fixed()? {
        (_, Operand::Expression(number)) => Some(*number),
        _ => None,
    }
}

impl JoinState {
    /// # Safety
    /// `node` and `plan` must belong together, in a running executor.
    pub(super) unsafe fn new(
        node: *mut pg_sys::ForeignScanState,
        plan: *mut pg_sys::ForeignScan,
        flags: i32,
    ) -> JoinState {
        // SAFETY: as the caller promises.
        let (relation, user, mut scan_plan, expressions, outer, query_memory) = unsafe {
            let scan_plan = ScanPlan::from_list((*plan).fdw_private);
            let entry = range_table_entry(node, plan, &scan_plan);
            let estate = (*node).ss.ps.state;
            (
                (*entry).relid,
                checked_user(entry, plan),
                scan_plan.clone(),
                Expressions::new(node, plan, &scan_plan),
                Outer::new((*node).ss.ps.lefttree, estate),
                (*estate).es_query_cxt,
            )
        };
        let Some(join) = scan_plan.join.take() else { error::internal("a join without its plan") };
        let filter = join.filter.map(|index| scan_plan.conjuncts.remove(index).remote);
        let table = foreign::table(relation);
        let client = credential::client(relation, table.server, user);
        let output = Output::new(&table, |attribute| scan_plan.position(attribute));
        let key_of = match &filter {
            None => KeyOf::List,
            Some(remote) => {
                let fields = super::relation::fields(&table);
                let is_field = |attribute: &&(i16, awork_api::filter::Field)| {
                    remote.leaves().iter().any(|leaf| *leaf.field() == attribute.1)
                };
                let found = fields.iter().filter(is_field).find_map(|(number, _)| {
                    output.cell(scan_plan.position(*number)?).map(KeyOf::Cell)
                });
                match found {
                    Some(cell) => cell,
                    None => error::internal("a join does not read the column that it looks up"),
                }
            }
        };
        // SAFETY: as the caller promises.
        let repeats = flags & pg_sys::EXEC_FLAG_REWIND as i32 != 0
            || unsafe { !(*plan).scan.plan.extParam.is_null() };
        let room = room();
        JoinState {
            page_size: table.page_size.unwrap_or(client.settings().page_size),
            cache_ttl: table.cache_ttl.unwrap_or(client.settings().cache_ttl),
            consistency: table.consistency.unwrap_or(client.settings().consistency),
            plan: scan_plan,
            join,
            filter,
            table: table.name,
            resource: table.resource,
            client,
            attributes: table.attributes,
            output,
            key_of,
            expressions,
            outer,
            value_memory: memory_context(query_memory, c"awork_fdw values"),
            outer_memory: memory_context(query_memory, c"awork_fdw outer rows"),
            page_memory: memory_context(query_memory, c"awork_fdw batch"),
            room,
            repeats,
            answers: Answers::new(room),
            answered: None,
            run: None,
            totals: Totals::default(),
            lookups: 0,
            batches: 0,
            rights: None,
            server: table.server,
            nulls_mismatches: table.nulls_mismatches,
        }
    }

    /// Puts the next row into `slot`, or leaves it empty at the end.
    ///
    /// # Safety
    /// `context` must be the expression context of the scan's node, `slot` its slot, empty.
    pub(super) unsafe fn next(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            if self.run.is_none() {
                self.start(context, slot);
            }
            loop {
                let Some(run) = &mut self.run else { return };
                if run.batch.is_none() && !self.next_batch(context, slot) {
                    return;
                }
                if self.next_match(context, slot) {
                    return;
                }
                if let Some(run) = &mut self.run {
                    run.batch = None;
                }
            }
        }
    }

    /// Finds out what is asked, keys apart.
    unsafe fn start(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) {
        // SAFETY: as for `next`; nobody has a reference to the values of an earlier run any more.
        let asking = unsafe {
            pg_sys::MemoryContextReset(self.value_memory);
            // What depends on the outer row is of no interest yet.
            self.show(slot, None, None);
            (*context).ecxt_scantuple = slot;
            let asking = PgMemoryContexts::For(self.value_memory).switch_to(|_| {
                let bindings = match self.key_of {
                    KeyOf::List => vec![vec![None; self.resource.parameters.len()]],
                    KeyOf::Cell(_) => {
                        self.expressions.bindings(context, self.resource, &self.attributes)
                    }
                };
                // That of an outer row without values may be an error.
                let of_outer = self.filter.as_ref().and_then(value_number);
                let values = self.expressions.values(context, &self.plan, of_outer);
                let (resource, plan, size) = (self.resource, &self.plan, self.page_size);
                job::asking(resource, plan, bindings, &values, None, size, false)
            });
            pg_sys::ExecClearTuple(slot);
            asking
        };
        if asking != self.answered {
            self.answers.clear();
            self.answered = asking.clone();
        }
        self.rights = self.rights.take().or_else(|| Rights::ask(&self.client, self.server));
        self.outer.exhausted = false;
        self.run = Some(Run { asking, size: FIRST_BATCH, batch: None });
    }

    /// Takes outer rows and starts what they look up; false where there are none.
    unsafe fn next_batch(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> bool {
        let Some(size) = self.run.as_ref().map(|run| run.size) else { return false };
        // SAFETY: as for `next`; nothing refers to the rows of the last batch any more.
        let mut outer = unsafe {
            self.outer.clear();
            pg_sys::MemoryContextReset(self.outer_memory);
            self.take_outer_rows(context, slot, size)
        };
        if outer.len() == 0 {
            return false;
        }
        self.batches += 1;
        let keep = self.repeats || !self.outer.exhausted;
        let wants_all = self.join.wants_all || size > FIRST_BATCH;
        let (keys, by_key) = outer.take_keys();
        let asking = self.run.as_ref().and_then(|run| run.asking.clone());
        let keys = if asking.is_some() { keys } else { Vec::new() };
        let mut asked = 0;
        let mut answers = std::mem::replace(&mut self.answers, Answers::new(0));
        let lookups = Lookups::new(self.key_of, keys, &mut answers, keep, |keys| {
            asked = keys.len() as u64;
            started(&self.client, self.job(asking.as_ref()?, keys, wants_all))
        });
        self.answers = answers;
        self.lookups += asked;
        let width = self.plan.attributes.len();
        let pairs = Pairs {
            outer,
            by_key,
            lookups,
            page: None,
            values: vec![pg_sys::Datum::null(); width],
            nulls: vec![true; width],
            candidates: Rc::from([]),
            tried: 0,
            revisited: None,
        };
        if let Some(run) = &mut self.run {
            run.size = next_batch(size);
            run.batch = Some(pairs);
        }
        true
    }

    unsafe fn take_outer_rows(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
        size: usize,
    ) -> OuterRows {
        let mut rows = OuterRows::new();
        let keeps_all = matches!(self.join.kind, JoinKind::Left | JoinKind::Anti);
        let room = self.room;
        let has_room = |rows: &OuterRows| rows.len() < FIRST_BATCH || rows.bytes() < room;
        while rows.len() < size && has_room(&rows) && !self.outer.exhausted {
            // SAFETY: as for `next`; the copies live as long as the batch.
            unsafe {
                let Some(row) = self.outer.next(self.outer_memory) else { break };
                let keys = self.keys(context, slot, row);
                if keys.is_empty() && !keeps_all {
                    pg_sys::pfree(row.cast());
                    continue;
                }
                rows.push(row, keys);
            }
        }
        rows
    }

    /// What an outer row looks up; nothing where the value is null.
    unsafe fn keys(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
        row: pg_sys::MinimalTuple,
    ) -> Vec<Key> {
        // SAFETY: as for `next`; the context's memory is for one row.
        unsafe {
            self.show(slot, Some(row), None);
            (*context).ecxt_scantuple = slot;
            pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            let keys = PgMemoryContexts::For((*context).ecxt_per_tuple_memory).switch_to(|_| {
                let Some(remote) = &self.filter else {
                    let lists = self.expressions.bindings(context, self.resource, &self.attributes);
                    return lists.into_iter().map(Key::List).collect();
                };
                let values = self.expressions.values(context, &self.plan, None);
                match value_number(remote).and_then(|number| values.get(number)) {
                    Some(Value::Uuid(bytes)) => vec![Key::Value(*bytes)],
                    _ => Vec::new(),
                }
            });
            pg_sys::ExecClearTuple(slot);
            keys
        }
    }

    fn job(&self, asking: &Asking, keys: &[Key], wants_all: bool) -> Job {
        let mut conjuncts = asking.conjuncts.clone();
        let mut bindings = asking.bindings.clone();
        match &self.filter {
            None => {
                let list = |key: &Key| match key {
                    Key::List(bindings) => Some(bindings.clone()),
                    Key::Value(_) => None,
                };
                bindings = keys.iter().filter_map(list).collect();
            }
            Some(remote) => {
                let value = |key: &Key| match key {
                    Key::Value(bytes) => Some(Value::Uuid(*bytes)),
                    Key::List(_) => None,
                };
                let values = Value::Array(keys.iter().filter_map(value).collect());
                if let Remote::Leaf(leaf) = remote {
                    let field = leaf.field().clone();
                    let any_of = Leaf::AnyOf(field, Operand::Constant(values));
                    if let (Said::Text(said), _) = render(&Remote::Leaf(any_of), &[]) {
                        conjuncts.push(said);
                    }
                }
            }
        }
        let with_ids = self.resource.properties().contains(&"id");
        Job {
            resource: self.resource,
            bindings,
            conjuncts,
            lookup: None,
            order: asking.order.clone(),
            start: if wants_all { Start::All } else { Start::Beginning },
            projection: Projection::new(self.output.targets(), with_ids)
                .with_mismatches_as_null(self.nulls_mismatches),
            page_size: self.page_size,
            most_filters: self.plan.most_filters,
            cache_ttl: self.cache_ttl,
            consistency: self.consistency,
            table: self.table.clone(),
        }
    }

    /// Puts the next row of the batch into the slot; false where it has no more.
    unsafe fn next_match(
        &mut self,
        context: *mut pg_sys::ExprContext,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> bool {
        let kind = self.join.kind;
        let once = matches!(kind, JoinKind::Semi | JoinKind::Anti);
        loop {
            let Some(pairs) = self.run.as_mut().and_then(|run| run.batch.as_mut()) else {
                return false;
            };
            if let Some(revisited) = &mut pairs.revisited {
                let index = *revisited;
                *revisited += 1;
                if index >= pairs.outer.len() {
                    return false;
                }
                if !pairs.outer.matched[index] {
                    let row = pairs.outer.row(index);
                    // SAFETY: as for `next`.
                    unsafe { self.show(slot, Some(row), None) };
                    return true;
                }
            } else if let Some(&index) = pairs.candidates.get(pairs.tried) {
                pairs.tried += 1;
                let index = index as usize;
                if once && pairs.outer.matched[index] {
                    continue;
                }
                // SAFETY: as for `next`.
                unsafe {
                    self.show_pair(slot, index);
                    let matches = self.expressions.passes(context, slot);
                    if matches && let Some(pairs) = self.pairs() {
                        pairs.outer.matched[index] = true;
                    }
                    if matches && kind != JoinKind::Anti {
                        return true;
                    }
                    pg_sys::ExecClearTuple(slot);
                    pgrx::check_for_interrupts!();
                }
            } else if !self.next_inner() {
                if !matches!(kind, JoinKind::Left | JoinKind::Anti) {
                    return false;
                }
                if let Some(pairs) = self.pairs() {
                    pairs.revisited = Some(0);
                }
            }
        }
    }

    fn pairs(&mut self) -> Option<&mut Pairs> {
        self.run.as_mut()?.batch.as_mut()
    }

    /// Goes to the next inner row; false at the end.
    fn next_inner(&mut self) -> bool {
        let Some(pairs) = self.run.as_mut().and_then(|run| run.batch.as_mut()) else {
            return false;
        };
        let totals = &mut self.totals;
        let next = pairs.lookups.next(&mut self.answers, |scan| totals.add(scan));
        let Some((key, inner)) = next else { return false };
        let Some(candidates) = pairs.by_key.get(&key) else { return true };
        pairs.candidates = candidates.clone();
        pairs.tried = 0;
        let known = pairs.page.as_ref().is_some_and(|(page, _)| Rc::ptr_eq(page, &inner.page));
        let output = &mut self.output;
        // SAFETY: the slot that shows an inner row was cleared.
        unsafe {
            if !known {
                pg_sys::MemoryContextReset(self.page_memory);
            }
            PgMemoryContexts::For(self.page_memory).switch_to(|_| {
                let Page { batch, bindings } = inner.page.as_ref();
                let resource = self.resource;
                if !known {
                    let parameters = output.parameters(resource, bindings);
                    pairs.page = Some((inner.page.clone(), parameters));
                }
                if let Some((_, parameters)) = &pairs.page {
                    let (values, nulls) = (&mut pairs.values, &mut pairs.nulls);
                    output.fill(batch, inner.row, parameters, values, nulls);
                }
            });
        }
        true
    }

    /// Puts an outer row together with the inner row into the slot.
    ///
    /// # Safety
    /// As for [`JoinState::next`].
    unsafe fn show_pair(&mut self, slot: *mut pg_sys::TupleTableSlot, index: usize) {
        let Some(pairs) = self.run.as_ref().and_then(|run| run.batch.as_ref()) else { return };
        let row = pairs.outer.row(index);
        let inner = Some((pairs.values.as_ptr(), pairs.nulls.as_ptr()));
        // SAFETY: as the caller promises; both sides live as long as the batch and the page.
        unsafe { self.show(slot, Some(row), inner) }
    }

    /// Puts a row into the slot, with nulls for a side that is missing.
    ///
    /// # Safety
    /// As for [`JoinState::next`]; the inner row must have as many values as columns are read.
    unsafe fn show(
        &mut self,
        slot: *mut pg_sys::TupleTableSlot,
        outer: Option<pg_sys::MinimalTuple>,
        inner: Option<(*const pg_sys::Datum, *const bool)>,
    ) {
        let (width, inner_width) = (self.join.outer_width, self.plan.attributes.len());
        // SAFETY: the slot has as many columns as both sides together.
        unsafe {
            let (values, nulls) = ((*slot).tts_values, (*slot).tts_isnull);
            match outer {
                Some(row) => self.outer.show(row, values, nulls),
                None => std::slice::from_raw_parts_mut(nulls, width).fill(true),
            }
            let (values, nulls) = (values.add(width), nulls.add(width));
            match inner {
                Some((of_values, of_nulls)) => {
                    std::ptr::copy_nonoverlapping(of_values, values, inner_width);
                    std::ptr::copy_nonoverlapping(of_nulls, nulls, inner_width);
                }
                None => std::slice::from_raw_parts_mut(nulls, inner_width).fill(true),
            }
            pg_sys::ExecStoreVirtualTuple(slot);
        }
    }

    /// Ends the run, and with it its requests.
    pub(super) fn stop(&mut self) {
        let run = self.run.take();
        let pairs = run.as_ref().and_then(|run| run.batch.as_ref());
        if let Some(scan) = pairs.and_then(|pairs| pairs.lookups.scan()) {
            self.totals.add(scan);
        }
        self.outer.clear();
    }

    /// Ends the join. What the user should know of its values and its credential is said now.
    pub(super) fn end(&mut self) {
        self.stop();
        self.totals.tell(&self.table, self.rights.take());
    }

    /// What the join has done so far: its scans, how many keys it has looked up, and in how many
    /// batches of outer rows.
    pub(super) fn totals(&self) -> (Totals, u64, u64) {
        let mut totals = self.totals.clone();
        let pairs = self.run.as_ref().and_then(|run| run.batch.as_ref());
        if let Some(scan) = pairs.and_then(|pairs| pairs.lookups.scan()) {
            totals.add(scan);
        }
        totals.count(&self.client);
        totals.repeated = self.answers.hits;
        (totals, self.lookups, self.batches)
    }
}
