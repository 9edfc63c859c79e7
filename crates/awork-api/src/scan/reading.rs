//! What is known while lists are read: which are open, what is on its way, and what waits.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use super::ask::Asked;
use super::fetch::Fetched;
use super::kept::KeptPages;
use crate::error::Error;
use crate::pages::{Page, PageInfo, Pages};
use crate::request::Bindings;
use crate::rows::Batch;

/// A list that is being read.
pub(super) struct Open {
    pub(super) number: usize,
    pub(super) binding: usize,
    pub(super) bindings: Arc<Bindings>,
    pub(super) filter: String,
    pub(super) pages: Pages,
    /// When its first page was asked for.
    pub(super) read_since: Option<u64>,
    /// Its pages, where the cache had all of them.
    pub(super) kept: Option<Arc<KeptPages>>,
    /// Rows that have come before the pages began.
    pub(super) head: HashSet<u128>,
    /// How often the page that is waited for was refused, which is like others before it.
    pub(super) refused: u32,
}

/// A list that is to be read.
pub(super) struct Pending {
    pub(super) binding: usize,
    pub(super) bindings: Arc<Bindings>,
    pub(super) filter: String,
    /// Its pages, where the cache has all of them.
    pub(super) kept: Option<Arc<KeptPages>>,
    pub(super) head: HashSet<u128>,
}

/// A page that has been asked for.
pub(super) struct InFlight {
    pub(super) list: usize,
    pub(super) page: Page,
    /// How often the question had been changed then.
    pub(super) revision: usize,
    pub(super) task: AbortOnDropHandle<Result<Fetched, Error>>,
}

/// What is known while lists are read.
pub(super) struct Reading {
    pub(super) asked: Asked,
    /// How often `asked` has changed.
    pub(super) revision: usize,
    pub(super) bindings_opened: usize,
    pub(super) lists_opened: usize,
    pub(super) pending: VecDeque<Pending>,
    pub(super) open: Vec<Open>,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) window: usize,
    pub(super) begun: bool,
    /// Binding and identity of the rows so far, where a row may come with several filters.
    pub(super) seen: Option<HashSet<(usize, u128)>>,
    /// Whether the server was found to have other pages than were asked for.
    pub(super) counts_differently: bool,
}

impl Reading {
    /// Nothing is known yet but how lists are asked for.
    pub(super) fn new(asked: Asked, window: usize) -> Self {
        Self {
            asked,
            revision: 0,
            bindings_opened: 0,
            lists_opened: 0,
            pending: VecDeque::new(),
            open: Vec::new(),
            in_flight: VecDeque::new(),
            window,
            begun: false,
            seen: None,
            counts_differently: false,
        }
    }

    /// Whether a first page that is not the list's first is the one that was asked for, so that
    /// the rows before it are known by their number.
    pub(super) fn is_as_asked(&self, at: usize, page: Page, info: PageInfo) -> bool {
        let is_said = info.page == Some(page.number) && info.page_size == Some(page.size.into());
        self.open[at].pages.first().number == 1 || is_said
    }

    /// Puts a list back, to be read from its first page.
    pub(super) fn read_from_the_first(&mut self, at: usize) {
        let Open { binding, bindings, filter, head, .. } = self.open.remove(at);
        self.counts_differently = true;
        self.pending.push_front(Pending { binding, bindings, filter, kept: None, head });
    }

    /// Drops the rows that have come with another filter.
    pub(super) fn drop_known(&mut self, binding: usize, batch: &mut Batch) {
        let Some(seen) = &mut self.seen else { return };
        let ids = batch.ids().iter().flatten().copied();
        let known: HashSet<u128> = ids.filter(|id| seen.contains(&(binding, *id))).collect();
        seen.extend(batch.ids().iter().flatten().map(|id| (binding, *id)));
        batch.drop_rows(|id| known.contains(&id));
    }

    /// Puts a list that is read without a filter behind those that wait.
    pub(super) fn open_kept(&mut self, bindings: Arc<Bindings>, kept: Option<Arc<KeptPages>>) {
        let binding = self.bindings_opened;
        self.bindings_opened += 1;
        let (filter, head) = (String::new(), HashSet::new());
        self.pending.push_back(Pending { binding, bindings, filter, kept, head });
    }

    /// Puts the lists of some parameters behind those that wait, one per filter.
    pub(super) fn open_later(
        &mut self,
        bindings: Arc<Bindings>,
        head: HashSet<u128>,
        with_ids: bool,
    ) {
        let binding = self.bindings_opened;
        self.bindings_opened += 1;
        if self.asked.filters.len() > 1 && with_ids {
            self.seen.get_or_insert_default();
        }
        for filter in &self.asked.filters {
            self.pending.push_back(Pending {
                binding,
                bindings: bindings.clone(),
                filter: filter.clone(),
                kept: None,
                head: head.clone(),
            });
        }
    }
}
