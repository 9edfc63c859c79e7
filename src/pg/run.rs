//! One run of a scan: takes batches from the runtime's threads, or from what an earlier run has
//! kept, and goes through their rows.

use std::collections::HashSet;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};

use awork_api::deadline;
use awork_api::error::{Error, ErrorKind};
use awork_api::request::Bindings;
use awork_api::rows::Batch;
use awork_api::scan::{Begun, Event, Scan, Start};
use pgrx::PgMemoryContexts;
use pgrx::prelude::*;

use super::job::Asking;
use super::memo::Answer;
use super::scan_state::ScanState;
use super::sort::Sort;
use super::wait::{or_raise, statement_end, until_readable};
use crate::error;

/// One reading of the table, from the first row to the last.
pub(super) struct Run {
    pub(super) source: Rows,
    pub(super) asking: Option<Asking>,
    /// None until awork's first answer says it.
    pub(super) begun: Option<Begun>,
    pub(super) batch: Option<(Batch, Arc<Bindings>)>,
    pub(super) row: usize,
    /// Values of the columns that show parameters, for the rows of the batch.
    pub(super) parameters: Vec<Option<pg_sys::Datum>>,
    /// The rows in order, where they are sorted here.
    pub(super) sort: Option<Sort>,
    /// Rows counted so far, where they are counted here.
    pub(super) counted: u64,
    /// What was left out of the question when the answer began, since awork refuses it.
    pub(super) left_out: Vec<String>,
    /// Rows that have come from an earlier answer, of which this run reads the rest.
    pub(super) known: HashSet<u128>,
    /// Rows of the offset that awork has not skipped.
    pub(super) skip: u64,
    /// Rows that may still be given to the executor; none for all.
    pub(super) remaining: Option<u64>,
}

/// Where rows come from.
pub(super) enum Rows {
    /// Nowhere.
    None,
    Live {
        scan: Scan,
        /// What has come, where it is to be kept.
        record: Option<Vec<(Batch, Arc<Bindings>)>>,
    },
    Known {
        answer: Rc<Answer>,
        next: usize,
    },
}

impl ScanState {
    /// Gets what a run begins with, and gets ready for what is left to do here.
    ///
    /// # Safety
    /// The node of the scan must be alive.
    pub(super) unsafe fn begin(&mut self) -> Poll<()> {
        if self.run.as_ref().is_none_or(|run| run.begun.is_some()) {
            return Poll::Ready(());
        }
        let begun = ready!(self.begun());
        let asking = self.run.as_ref().and_then(|run| run.asking.as_ref());
        let asked = asking.is_some_and(|asking| asking.order.required.is_some());
        let relies_on_order = !self.plan.order.is_empty();
        // SAFETY: as the caller promises.
        let sort =
            (relies_on_order && !(begun.ordered && asked)).then(|| unsafe { self.new_sort() });
        if let Some(run) = &mut self.run {
            run.begun = Some(begun);
            run.skip = run.skip.saturating_sub(begun.skipped);
            run.sort = sort;
        }
        Poll::Ready(())
    }

    fn begun(&mut self) -> Poll<Begun> {
        if let Some(Run { source: Rows::Known { answer, .. }, .. }) = &self.run {
            return Poll::Ready(answer.begun);
        }
        loop {
            match ready!(self.event()) {
                Some(Event::Begun(begun)) => {
                    if let Some(run) = &mut self.run
                        && let Rows::Live { scan, .. } = &run.source
                    {
                        run.left_out = scan.progress().refused();
                    }
                    return Poll::Ready(begun);
                }
                Some(Event::Notice(message)) => error::warn_incomplete(message),
                Some(Event::Failed(failure)) => {
                    self.stop();
                    error::raise(failure)
                }
                _ => error::raise(Error::new(
                    ErrorKind::Internal,
                    "a scan did not begin with what it answers",
                )),
            }
        }
    }

    /// The next event of a live scan, once it is there; none where no scan is live.
    fn event(&mut self) -> Poll<Option<Event>> {
        let Some(Run { source: Rows::Live { scan, .. }, .. }) = &mut self.run else {
            return Poll::Ready(None);
        };
        loop {
            match scan.poll() {
                Some(event) => return Poll::Ready(Some(event)),
                None if self.waits => until_readable(scan.wake_fd()),
                None => return Poll::Pending,
            }
        }
    }

    /// A descriptor that becomes readable when a pending scan may go on, and at the latest when it
    /// is time to look whether the statement is to end. None where the scan waits for nothing.
    pub(super) fn wake_fd(&self) -> Option<RawFd> {
        let Some(Run { source: Rows::Live { scan, .. }, .. }) = &self.run else { return None };
        deadline::set(statement_end());
        scan.remind();
        Some(scan.wake_fd())
    }

    /// Goes to the next row of the batches; false at the end.
    pub(super) fn advance(&mut self) -> Poll<bool> {
        loop {
            let Some(run) = &mut self.run else { return Poll::Ready(false) };
            if let Some((batch, _)) = &run.batch {
                run.row += 1;
                let early = run.asking.as_ref().is_some_and(|a| a.start == Start::Beginning);
                let used_up = run.row == batch.rows();
                if let (Rows::Live { scan, .. }, true) =
                    (&run.source, used_up || (early && run.row == batch.rows() / 2))
                {
                    // Most of a page has been used, so that the next will be wanted.
                    scan.demand();
                }
                if run.row < batch.rows() {
                    return Poll::Ready(true);
                }
            }
            run.batch = None;
            match &mut run.source {
                Rows::None => return Poll::Ready(false),
                Rows::Known { answer, next } => {
                    let Some((batch, bindings)) = answer.batches.get(*next) else {
                        if answer.complete {
                            return Poll::Ready(false);
                        }
                        self.resume();
                        continue;
                    };
                    *next += 1;
                    let (batch, bindings) = (batch.clone(), bindings.clone());
                    if self.take(batch, bindings) {
                        return Poll::Ready(true);
                    }
                }
                Rows::Live { .. } => match ready!(self.event()) {
                    Some(Event::Rows(mut batch, bindings, last)) => {
                        if let Some(run) = &self.run {
                            batch.drop_rows(|id| run.known.contains(&id));
                        }
                        self.record(&batch, &bindings);
                        if last {
                            // The consumer may never ask for what comes after the last row.
                            self.keep();
                        }
                        if self.take(batch, bindings) {
                            return Poll::Ready(true);
                        }
                        if let Some(Run { source: Rows::Live { scan, .. }, .. }) = &self.run {
                            scan.demand();
                        }
                    }
                    Some(Event::Notice(message)) => error::warn_incomplete(message),
                    Some(Event::Begun(begun)) => self.resumed(begun),
                    Some(Event::Failed(failure)) => {
                        self.stop();
                        error::raise(failure)
                    }
                    Some(Event::End) => {
                        self.keep();
                        return Poll::Ready(false);
                    }
                    None => return Poll::Ready(false),
                },
            }
        }
    }

    /// Makes a batch the one whose rows come next; false where it has none.
    fn take(&mut self, batch: Batch, bindings: Arc<Bindings>) -> bool {
        pgrx::check_for_interrupts!();
        // SAFETY: the slot that shows a row of the last batch was cleared.
        unsafe { pg_sys::MemoryContextReset(self.batch_memory) };
        if batch.rows() == 0 {
            return false;
        }
        // SAFETY: the context lives as long as the state.
        let parameters = unsafe {
            PgMemoryContexts::For(self.batch_memory)
                .switch_to(|_| self.output.parameters(self.resource, &bindings))
        };
        if let Some(run) = &mut self.run {
            run.parameters = parameters;
            run.row = 0;
            run.batch = Some((batch, bindings));
        }
        true
    }

    /// Adds a batch to what is kept, as long as there is room.
    fn record(&mut self, batch: &Batch, bindings: &Arc<Bindings>) {
        let (Some(memo), Some(Run { source: Rows::Live { record, .. }, .. })) =
            (&self.memo, &mut self.run)
        else {
            return;
        };
        if let Some(batches) = record {
            batches.push((batch.clone(), bindings.clone()));
            let bytes = batches.iter().map(|(batch, _)| batch.bytes()).sum();
            if !memo.has_room(bytes) {
                *record = None;
            }
        }
    }

    /// Asks for the rest of an answer of which the beginning was known.
    fn resume(&mut self) {
        let Some(Run { source: Rows::Known { answer, .. }, asking: Some(asking), .. }) = &self.run
        else {
            return;
        };
        let known = answer.identities().unwrap_or_default();
        let record = Some(answer.batches.clone());
        let job = self.job(&Asking { start: Start::Beginning, ..asking.clone() });
        let scan = or_raise(Scan::start(self.client.clone(), job));
        if let Some(run) = &mut self.run {
            run.source = Rows::Live { scan, record };
            run.known = known;
        }
    }

    /// Takes note of what the rest of an answer begins with.
    fn resumed(&mut self, begun: Begun) {
        let Some(run) = &mut self.run else { return };
        if let (Rows::Live { scan, record }, Some(asking)) = (&mut run.source, &run.asking) {
            run.left_out = scan.progress().refused();
            if asking.conjuncts.iter().any(|c| run.left_out.contains(&c.signature)) {
                // The beginning may have been narrowed by what is left out of the rest.
                *record = None;
            }
        }
        if run.begun.is_some_and(|was| was.ordered != begun.ordered) {
            error::internal("the rest of an answer has another order than its beginning");
        }
    }

    /// Keeps the answer that has come to its end, and lets go of the scan.
    pub(super) fn keep(&mut self) {
        self.keep_as(true);
    }

    fn keep_as(&mut self, complete: bool) {
        let Some(run) = &mut self.run else { return };
        let Rows::Live { scan, record } = std::mem::replace(&mut run.source, Rows::None) else {
            return;
        };
        self.totals.add(&scan);
        if let (Some(memo), Some(batches), Some(asking), Some(begun)) =
            (&mut self.memo, record, &run.asking, run.begun)
        {
            // A condition that was refused on the way has narrowed the lists before.
            if scan.progress().refused() == run.left_out {
                let key = key(asking, |what| run.left_out.iter().any(|known| known == what));
                memo.keep(key, Answer { begun, batches, complete });
            }
        }
    }

    /// Keeps what has come for a slice whose last row has been taken, if awork has checked all
    /// conditions: where the slice ends depends on them, and what awork did not check is no part
    /// of what the answer is kept by.
    pub(super) fn keep_slice(&mut self) {
        let Some(Run { source: Rows::Live { .. }, asking: Some(asking), sort: None, .. }) =
            &self.run
        else {
            return;
        };
        let all_checked = self.run.as_ref().is_some_and(|run| run.left_out.is_empty());
        if asking.start != Start::Beginning && all_checked {
            self.keep();
        }
    }

    /// Ends the run, and with it its requests.
    pub(super) fn stop(&mut self) {
        // The rest of an answer is told from its beginning by identities, which only the rows of
        // one list have for themselves. What is skipped belongs to the slice that it was skipped
        // for.
        let can_resume = |run: &Run| match &run.asking {
            Some(asking) => {
                asking.bindings.len() == 1
                    && asking.start != Start::Count
                    && run.begun.is_some_and(|begun| begun.skipped == 0)
                    && !self.fans_out()
            }
            None => false,
        };
        if self.run.as_ref().is_some_and(can_resume) {
            self.keep_as(false);
        }
        let Some(run) = self.run.take() else { return };
        if let Rows::Live { scan, .. } = &run.source {
            self.totals.add(scan);
        }
        if let Some(sort) = run.sort {
            sort.end();
        }
    }
}

/// By what an answer is kept: what is asked, without the conditions that are left out since awork
/// refuses them, so that a loop whose condition is refused reads the list once. A combination that is refused as such
/// stays part of it.
pub(super) fn key(asking: &Asking, is_left_out: impl Fn(&str) -> bool) -> String {
    let mut asked = asking.clone();
    asked.conjuncts.retain(|conjunct| !is_left_out(&conjunct.signature));
    format!("{asked:?}")
}
