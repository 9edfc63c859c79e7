//! Lists of which the cache has pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::fetch::Wanted;
use super::job::Job;
use crate::client::Client;
use crate::pages::{Page, PageInfo};
use crate::request;
use crate::settings::MAX_PAGE_SIZE;
use crate::shared::cache::{self, Cache, Copied};

/// A list as it is asked for, its pages apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PagedList {
    pub(super) target: String,
    /// The page that is read first.
    pub(super) first: Page,
    /// The most rows of the others.
    pub(super) page_size: u32,
    /// Whether pages lie over each other.
    pub(super) overlapping: bool,
    pub(super) orderby: Option<String>,
    pub(super) filter: String,
}

impl PagedList {
    /// Its pages from the first that is read, while it does not change; none where nobody has said
    /// how many rows there are.
    fn pages(&self, first: &PageInfo) -> Option<impl Iterator<Item = Page>> {
        let size = first.page_size.filter(|&size| size > 0).unwrap_or(self.first.size.into());
        let size = u32::try_from(size).ok()?;
        let largest = if size < self.first.size { size } else { self.page_size };
        let most = if size < self.first.size { size } else { MAX_PAGE_SIZE };
        let (total, overlapping) = (first.total?, self.overlapping);
        let begin = Page { size, ..self.first };
        Some(std::iter::successors(Some(begin), move |page| {
            let next = page.after(largest, most, overlapping);
            Some(next).filter(|_| page.end() < total)
        }))
    }

    pub(super) fn page(&self, page: Page) -> String {
        let orderby = self.orderby.as_deref();
        request::page(&self.target, page.number, page.size, orderby, &self.filter)
    }
}

/// By what the cache knows an answer; `together_with` is when the first page of its list was
/// asked for.
pub(super) fn key(
    client: &Client,
    job: &Job,
    target: &str,
    wanted: Wanted,
    together_with: Option<u64>,
) -> cache::Key {
    // Headers belong to the resource.
    let shown = request::shown(job.resource.version, target);
    let rows = match wanted {
        Wanted::Headers => cache::Rows::Headers,
        _ if job.projection.reads_ids() => cache::Rows::WithIds,
        _ => cache::Rows::Plain,
    };
    let columns = if wanted == Wanted::Headers { &[] } else { job.projection.columns() };
    let with = together_with.map_or(String::new(), |date| date.to_string());
    cache::Key {
        scope: client.cache_scope(),
        workspace: client.workspace_id(),
        request: format!("{} {shown} {with}", job.resource.name),
        columns: columns.to_vec(),
        rows,
    }
}

/// The pages of a list that were read together, for a scan that reads on from them: nothing of
/// the list is asked for any more, whatever becomes of the cache meanwhile.
#[derive(Debug)]
pub(super) struct KeptPages(Mutex<HashMap<Page, Copied>>);

/// Pages that were read with so much time between them are not of one reading.
const ONE_READING: Duration = Duration::from_secs(10);

/// The most bytes that are copied out of the cache at a time.
const MOST: usize = 64 << 20;

/// What a reading can do with a first page that the cache has.
pub(super) enum Usable {
    /// Go on with the pages that are there and ask for the others: the list is being read.
    BeingRead,
    /// Go on with these pages, which are all.
    Whole(Arc<KeptPages>),
    /// Nothing: a list that has changed since would miss rows between old pages and new ones.
    Not,
}

impl KeptPages {
    /// Takes a page.
    pub(super) fn take(&self, page: Page) -> Option<Copied> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&page)
    }

    /// All pages of a list from the first that is read; none where one is missing, or there are
    /// more than `most`.
    pub(super) fn of(
        cache: &Cache,
        client: &Client,
        job: &Job,
        list: &PagedList,
        most: u64,
    ) -> Option<Arc<Self>> {
        let first = key(client, job, &list.page(list.first), Wanted::Rows, None);
        let (info, date) = cache.peek(&first, job.cache_ttl)?;
        let pages = list.pages(&info)?;
        let mut copies = HashMap::new();
        let mut bytes = 0;
        for (place, page) in pages.enumerate() {
            if copies.len() as u64 >= most {
                return None;
            }
            let later = || key(client, job, &list.page(page), Wanted::Rows, Some(date));
            let key = if place == 0 { first.clone() } else { later() };
            let copy = cache.copy(&key)?;
            // A first page that was renewed just now is of another reading.
            if place == 0 && copy.date != date {
                return None;
            }
            bytes += copy.bytes();
            if bytes > MOST {
                return None;
            }
            copies.insert(if place == 0 { list.first } else { page }, copy);
        }
        Some(Arc::new(Self(Mutex::new(copies))))
    }
}

impl Usable {
    /// What can be done with the first page of a list, which was asked for at `date`.
    pub(super) fn new(
        cache: &Cache,
        client: &Client,
        job: &Job,
        list: &PagedList,
        info: &PageInfo,
        date: u64,
    ) -> Self {
        let later = |page: Page| {
            let key = key(client, job, &list.page(page), Wanted::Rows, Some(date));
            cache.peek(&key, Duration::MAX).map(|(_, date)| date)
        };
        let pages = list.pages(info);
        let latest = pages.into_iter().flatten().skip(1).filter_map(later).max();
        if cache::age(latest.unwrap_or(date)) < ONE_READING {
            return Usable::BeingRead;
        }
        let whole = KeptPages::of(cache, client, job, list, u64::MAX);
        whole.map_or(Usable::Not, Usable::Whole)
    }
}
