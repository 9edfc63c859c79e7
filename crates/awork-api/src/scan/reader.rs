//! The reading itself: keeps requests in flight, decodes their answers, and sends rows on in
//! the order of the pages. What a list is asked for with is decided in `ask`.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::ask::Asked;
use super::fetch::{Fetched, Part, Wanted, stopped};
use super::head::Head;
use super::job::{Job, Start};
use super::kept::{KeptPages, PagedList};
use super::parents::{Lists, Next};
use super::reading::{InFlight, Open, Pending, Reading};
use super::{Begun, Event, Outlet, Progress};
use crate::catalogue::Location;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::pages::{Manner, Page, Pages, Received};
use crate::request::{self, Bindings};
use crate::rows::Batch;
use crate::shared::cache;
use crate::totals;

/// Reads what a job says. Boxed, since reading the parents of a list is reading as well.
pub(super) fn run(
    client: Arc<Client>,
    job: Job,
    outlet: Outlet,
    progress: Arc<Progress>,
    permits: Arc<Semaphore>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let fans_out = job.bindings.iter().any(|b| is_missing_one(&job, b));
        let reader = Reader { client, job: Arc::new(job), progress, permits, fans_out, outlet };
        let last = match reader.read().await {
            Ok(()) => Event::End,
            Err(error) => {
                reader.client.failed(&error);
                if error.kind == ErrorKind::Changed
                    && let Some(cache) = cache::cache()
                {
                    // What is kept of the list does not go together, and is not to serve again.
                    cache.clear(reader.client.workspace_id());
                }
                Event::Failed(error)
            }
        };
        reader.outlet.send(last).await;
    })
}

/// The most pages that are read from the cache rather than to ask awork for a part of them.
const LARGEST_WHOLE: u64 = 100;

/// How often a page is asked for again that was refused after others of its list were not.
const REFUSALS: u32 = 3;

pub(super) struct Reader {
    pub(super) client: Arc<Client>,
    pub(super) job: Arc<Job>,
    pub(super) progress: Arc<Progress>,
    /// Of the requests in flight, those for the lists of parents included.
    pub(super) permits: Arc<Semaphore>,
    /// Whether the lists of all parents are read.
    pub(super) fans_out: bool,
    pub(super) outlet: Outlet,
}

impl Reader {
    /// A reader of single pages, which sends nothing on.
    pub(super) fn alone(client: Arc<Client>, job: Job) -> Self {
        let (sender, _) = tokio::sync::mpsc::channel(1);
        let outlet = Outlet { sender, waker: None, demand: None };
        let progress = Arc::default();
        let permits = Arc::new(Semaphore::new(client.settings().max_concurrency));
        Self { client, job: Arc::new(job), progress, permits, fans_out: false, outlet }
    }

    /// Asks for a page of a list without a filter.
    pub(super) fn page(
        &self,
        bindings: &Bindings,
        number: u64,
        asked: &Asked,
    ) -> AbortOnDropHandle<Result<Fetched, Error>> {
        let target = request::target(self.job.resource, bindings).unwrap_or_default();
        let order = asked.orderby.as_deref();
        let page = Page { number, size: self.job.page_size };
        let target = request::page(&target, page.number, page.size, order, "");
        self.fetch(target, page, Wanted::Rows, Part::Only)
    }

    async fn read(&self) -> Result<(), Error> {
        if let Some(target) = &self.job.lookup
            && self.look_up(target).await?
        {
            return Ok(());
        }
        if let Some(total) = self.count().await? {
            let begun = Begun { ordered: true, skipped: 0, total: Some(total) };
            self.outlet.send(Event::Begun(begun)).await;
            return Ok(());
        }
        let max = self.client.settings().max_concurrency;
        let mut lists = Lists::new(self)?;
        let window = if self.job.start == Start::All { max } else { 1 };
        let mut reading = Reading::new(self.asked(&Vec::new()), window);
        loop {
            if !self.fill_window(&mut reading, &mut lists).await? {
                return Ok(());
            }
            let Some(front) = reading.in_flight.pop_front() else {
                self.begin(&mut reading, 0).await;
                return Ok(());
            };
            let (list, page) = (front.list, front.page);
            let outcome = front.task.await.map_err(|_| stopped())?;
            let at = reading
                .open
                .iter()
                .position(|open| open.number == list)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "a page of no list"))?;
            let received = match outcome {
                Err(error) => {
                    self.ask_again(&mut reading, at, page, front.revision, error).await?;
                    continue;
                }
                Ok(received) => received,
            };
            let more_lists = !reading.pending.is_empty() || !lists.is_exhausted();
            if !reading.begun && !reading.is_as_asked(at, page, received.info) {
                reading.read_from_the_first(at);
                continue;
            }
            let open = &mut reading.open[at];
            open.refused = 0;
            open.read_since.get_or_insert(received.date);
            open.kept = open.kept.take().or(received.kept);
            let mut batch = received.batch;
            let is_plain = open.filter.is_empty();
            let announced = received.info.total;
            let outcome =
                open.pages.received(page, batch.rows(), batch.ids(), received.info).map_err(
                    |e| e.detail(format!("The resource is \"{}\".", self.job.resource.name)),
                )?;
            let skipped = open.pages.first().start();
            let done = open.pages.is_done();
            let from_the_first = open.pages.first().number == 1;
            let remark = if done { open.pages.remark(&self.job.resource.name) } else { None };
            if is_plain && from_the_first && (done || page.number == 1) {
                let rows = announced.or(done.then(|| open.pages.rows()));
                if let Some(rows) = rows {
                    totals::note(self.client.scope(), self.job.resource, rows);
                }
            }
            match &outcome {
                Received::Rows(repeated) => {
                    let in_head = |id: Option<u128>| id.is_some_and(|id| open.head.contains(&id));
                    batch.drop_places(|place, id| repeated.contains(&place) || in_head(id));
                }
                Received::Nothing | Received::Again(_) => {
                    self.progress.mismatches.fetch_sub(batch.mismatches, Ordering::Relaxed);
                    batch = Batch::new(0);
                }
            }
            if let Received::Again(pages) = outcome {
                for page in pages.into_iter().rev() {
                    self.ask_first(&mut reading, at, page);
                }
                continue;
            }
            let (binding, bindings) = (open.binding, open.bindings.clone());
            if done {
                reading.open.remove(at);
            }
            reading.drop_known(binding, &mut batch);
            self.begin(&mut reading, skipped).await;
            let more = !done || !reading.open.is_empty() || more_lists;
            let last = !more && remark.is_none();
            if !self.outlet.send(Event::Rows(batch, bindings, last)).await {
                return Ok(());
            }
            if let Some(remark) = remark {
                self.outlet.send(Event::Notice(remark)).await;
            }
            if more && reading.window == 1 {
                // A query that has enough with the first page costs one request.
                self.outlet.demanded().await;
            }
            reading.window = (reading.window * 2).min(max);
        }
    }

    /// Asks for as many pages as may be in flight; false where nobody wants them any more.
    async fn fill_window(&self, reading: &mut Reading, lists: &mut Lists) -> Result<bool, Error> {
        while reading.in_flight.len() < reading.window.min(self.client.window()) {
            let next = reading
                .open
                .iter_mut()
                .enumerate()
                .find_map(|(at, open)| open.pages.request().map(|page| (at, page)));
            if let Some((at, page)) = next {
                self.ask_for(reading, at, page);
                continue;
            }
            if let Some(pending) = reading.pending.pop_front() {
                if request::target(self.job.resource, &pending.bindings).is_none() {
                    // A value that addresses nothing, so that nothing can have it.
                    continue;
                }
                let manner = self.manner(&reading.asked);
                let pages = match self.page_at(reading) {
                    Some(first) => Pages::starting_at(first, self.job.page_size, manner),
                    None => Pages::new(self.job.resource.paged, self.job.page_size, manner),
                };
                reading.open.push(Open {
                    number: reading.lists_opened,
                    binding: pending.binding,
                    bindings: pending.bindings,
                    filter: pending.filter,
                    pages,
                    read_since: None,
                    kept: pending.kept,
                    head: pending.head,
                    refused: 0,
                });
                reading.lists_opened += 1;
                continue;
            }
            match lists.next(self, reading.in_flight.is_empty()).await? {
                Next::List(bindings) => {
                    self.count_parent();
                    reading.asked = self.asked(&bindings);
                    let kept = self.whole_list_kept(&bindings, &reading.asked);
                    let with_ids = self.job.projection.reads_ids();
                    let bindings = Arc::new(bindings);
                    if kept.is_some() {
                        reading.open_kept(bindings, kept);
                    } else if self.has_head(&reading.asked) && !reading.begun {
                        match self.head(reading, &bindings).await? {
                            Head::Enough => continue,
                            Head::More(head) => reading.open_later(bindings, head, with_ids),
                        }
                    } else {
                        reading.open_later(bindings, HashSet::new(), with_ids);
                    }
                }
                Next::Rows(batch, bindings) => {
                    self.count_parent();
                    self.begin(reading, 0).await;
                    if !self.outlet.send(Event::Rows(batch, Arc::new(bindings), false)).await {
                        return Ok(false);
                    }
                }
                Next::Childless => self.count_parent(),
                Next::NotYet | Next::End => break,
            }
        }
        Ok(true)
    }

    fn count_parent(&self) {
        self.progress.parents.fetch_add(u64::from(self.fans_out), Ordering::Relaxed);
    }

    /// Asks for a page after those that are on their way.
    fn ask_for(&self, reading: &mut Reading, at: usize, page: Page) {
        let in_flight = self.in_flight(reading, at, page, false);
        reading.in_flight.extend(in_flight);
    }

    /// Asks for a page that is to be read before those that are on their way.
    fn ask_first(&self, reading: &mut Reading, at: usize, page: Page) {
        if let Some(in_flight) = self.in_flight(reading, at, page, true) {
            reading.in_flight.push_front(in_flight);
        }
    }

    fn in_flight(&self, reading: &Reading, at: usize, page: Page, again: bool) -> Option<InFlight> {
        let open = &reading.open[at];
        let list = PagedList {
            target: request::target(self.job.resource, &open.bindings)?,
            first: open.pages.first(),
            page_size: self.job.page_size,
            overlapping: self.manner(&reading.asked).overlaps(),
            orderby: reading.asked.orderby.clone(),
            filter: open.filter.clone(),
        };
        let is_paged = open.pages.is_paged();
        let target = if is_paged { list.page(page) } else { list.target.clone() };
        let part = match (&open.kept, open.read_since) {
            (Some(kept), _) if !again => Part::Kept(kept.clone()),
            (_, Some(date)) if again => Part::Again(date),
            (_, Some(date)) => Part::Later(date),
            (_, None) if is_paged => Part::First(list),
            (_, None) => Part::Only,
        };
        let task = self.fetch(target, page, Wanted::Rows, part);
        Some(InFlight { list: open.number, page, revision: reading.revision, task })
    }

    /// How lists are read that are asked for in this way.
    fn manner(&self, asked: &Asked) -> Manner {
        Manner {
            consistency: self.job.consistency,
            has_ids: self.job.projection.reads_ids(),
            // Where awork knows no order, that of its own is taken for one.
            rows_move: asked.orderby.as_deref().is_some_and(|by| !request::is_stable(by)),
        }
    }

    /// After a failed request: asks for the list again with what awork does not refuse, where
    /// that was the cause.
    async fn ask_again(
        &self,
        reading: &mut Reading,
        at: usize,
        page: Page,
        revision: usize,
        error: Error,
    ) -> Result<(), Error> {
        let was = reading.asked.clone();
        let open = &mut reading.open[at];
        let is_refusal = Self::is_refusal(&error, &open.filter, was.orderby.as_deref());
        if is_refusal && page != open.pages.first() && open.refused < REFUSALS {
            // What was fine for the pages before it is so most likely.
            open.refused += 1;
            self.ask_first(reading, at, page);
            return Ok(());
        }
        let open = &reading.open[at];
        let paged = open.pages.is_paged();
        // Of rows that have come with one of several filters, some come again without, which only
        // their identities tell.
        let alone = was.filters.len() == 1 || !reading.begun || reading.seen.is_some();
        if page != open.pages.first() || !paged || !alone || !is_refusal {
            return Err(error);
        }
        let open = reading.open.remove(at);
        let mut now = self.asked(&open.bindings);
        if revision == reading.revision {
            self.learn(&open.bindings, &was, &error).await?;
            now = self.asked(&open.bindings);
            if now == was {
                return Err(error);
            }
            reading.revision += 1;
        }
        if reading.begun && !self.fans_out && was.ordered && !now.ordered {
            // Rows have come of which the consumer was told that they are in order.
            return Err(error);
        }
        if !reading.begun {
            reading.pending.clear();
        }
        if now.filters.len() > 1 && self.job.projection.reads_ids() {
            reading.seen.get_or_insert_default();
        }
        for filter in now.filters.iter().rev() {
            reading.pending.push_front(Pending {
                binding: open.binding,
                bindings: open.bindings.clone(),
                filter: filter.clone(),
                kept: None,
                head: open.head.clone(),
            });
        }
        reading.asked = now;
        Ok(())
    }

    /// The pages of the whole list, where the cache has them and a filtered one was asked for: the
    /// consumer checks all conditions.
    fn whole_list_kept(&self, bindings: &Bindings, asked: &Asked) -> Option<Arc<KeptPages>> {
        let useful = self.job.cache_ttl > Duration::ZERO
            && matches!(self.job.start, Start::Beginning | Start::All)
            && asked.filters != [""]
            && self.job.order.required.is_none()
            && self.job.resource.paged;
        let cache = useful.then(cache::cache).flatten()?;
        let list = PagedList {
            target: request::target(self.job.resource, bindings)?,
            first: Page { number: 1, size: self.job.page_size },
            page_size: self.job.page_size,
            overlapping: self.manner(asked).overlaps(),
            orderby: asked.orderby.clone(),
            filter: String::new(),
        };
        KeptPages::of(cache, &self.client, &self.job, &list, LARGEST_WHOLE)
    }

    /// Says what of the question is answered, once.
    pub(super) async fn begin(&self, reading: &mut Reading, skipped: u64) {
        if !reading.begun {
            reading.begun = true;
            let ordered = reading.asked.ordered && !self.fans_out;
            self.outlet.send(Event::Begun(Begun { ordered, skipped, total: None })).await;
        }
    }

    /// The first page, where rows are skipped.
    fn page_at(&self, reading: &Reading) -> Option<Page> {
        let Start::At { skip, count } = self.job.start else { return None };
        if reading.counts_differently || !self.answers_all(&reading.asked) {
            return None;
        }
        let largest = self.job.page_size;
        let whole = || Page { number: skip / u64::from(largest) + 1, size: largest };
        let page = Start::page(skip, count, largest).unwrap_or_else(whole);
        // Servers take no larger numbers.
        (page.number <= i32::MAX as u64).then_some(page)
    }

    /// Whether the rows that come are those that are wanted, in the wanted order.
    pub(super) fn answers_all(&self, asked: &Asked) -> bool {
        let ordered = self.job.order.required.is_none() || asked.ordered;
        self.is_single(asked) && asked.complete && ordered
    }
}

/// Whether a parameter of the path has no value, so that its parents have to be read.
fn is_missing_one(job: &Job, bindings: &Bindings) -> bool {
    let mut parameters = job.resource.parameters.iter().zip(bindings);
    parameters.any(|(p, value)| p.location == Location::Path && value.is_none())
}
