//! Lists of which the cache has pages.

use std::time::Duration;

use super::fetch::Wanted;
use super::job::Job;
use crate::client::Client;
use crate::pages::PageInfo;
use crate::request;
use crate::shared::cache::{self, Cache};

/// A list as it is asked for, its pages apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PagedList {
    pub(super) target: String,
    /// The page that is read first.
    pub(super) first: u64,
    pub(super) page_size: u32,
    pub(super) orderby: Option<String>,
    pub(super) filter: String,
}

impl PagedList {
    pub(super) fn page(&self, page: u64) -> String {
        let orderby = self.orderby.as_deref();
        request::page(&self.target, page, self.page_size, orderby, &self.filter)
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

/// What the cache has of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// Pages of the list from the first one that is read; none where nobody has said.
    pub(super) pages: Option<u64>,
    /// Those that are not there.
    missing: u64,
    /// When the last of them was asked for.
    latest: u64,
}

/// Pages that were read with so much time between them are not of one reading.
const ONE_READING: Duration = Duration::from_secs(10);

impl Kept {
    /// Looks for the other pages of a list whose first page is there.
    pub(super) fn new(
        cache: &Cache,
        client: &Client,
        job: &Job,
        list: &PagedList,
        first: PageInfo,
        date: u64,
    ) -> Self {
        let size = first.page_size.filter(|&size| size > 0).unwrap_or(list.page_size.into());
        let last = first.total.map(|total| total.div_ceil(size));
        let mut kept = Self {
            pages: last.map(|last| (last + 1).saturating_sub(list.first)),
            missing: 0,
            latest: date,
        };
        for page in list.first + 1..=last.unwrap_or(0) {
            let key = key(client, job, &list.page(page), Wanted::Rows, Some(date));
            match cache.peek(&key, job.cache_ttl) {
                Some((_, date)) => kept.latest = kept.latest.max(date),
                None => kept.missing += 1,
            }
        }
        kept
    }

    /// Whether all pages are there.
    pub(super) fn is_whole(self) -> bool {
        self.pages.is_some() && self.missing == 0
    }

    /// Whether a reading may go on with its pages: a list that has changed since they were read
    /// would miss rows between old pages and new ones.
    pub(super) fn is_usable(self) -> bool {
        self.is_whole() || cache::age(self.latest) < ONE_READING
    }
}
