//! What a scan is to read.

use std::time::Duration;

use crate::catalogue::Resource;
use crate::filter::{Conjunct, refusals};
use crate::pages::{Consistency, Page};
use crate::request::{self, Bindings};
use crate::rows::Projection;

/// What to read.
#[derive(Debug)]
pub struct Job {
    /// The list or object.
    pub resource: &'static Resource,
    /// The parameters of each list; several where a key may have several values. Where a
    /// required one is missing, the lists of all parents are read.
    pub bindings: Vec<Bindings>,
    /// The conditions that all must hold.
    pub conjuncts: Vec<Conjunct>,
    /// A path that answers with the only row that can satisfy the conditions, or with 404.
    pub lookup: Option<String>,
    /// The order of the rows.
    pub order: Order,
    /// Where to begin.
    pub start: Start,
    /// What is wanted of each row.
    pub projection: Projection,
    /// Rows per page.
    pub page_size: u32,
    /// How many filters a condition may be cut into before it is better left out.
    pub most_filters: usize,
    /// What it means that a list changes while it is read.
    pub consistency: Consistency,
    /// How long an answer may have been in the cache; zero where none is to come from there.
    pub cache_ttl: Duration,
    /// The foreign table's name, for errors.
    pub table: String,
}

/// The order in which a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// The order that the consumer relies on, as `orderby` keys: `createdOn desc`.
    pub required: Option<String>,
    /// Whether it is the wanted order only of rows that satisfy the conditions.
    pub needs_filter: bool,
    /// The order that keeps pages stable while they are read.
    pub stable: Option<String>,
}

/// Where a scan begins, and how much it is expected to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first row; more pages are read once the first was not enough.
    Beginning,
    /// At the first row, to read all of them.
    All,
    /// At the first row; so many will most likely be enough.
    Head(u32),
    /// At a row, counted from 0; so many will most likely be enough.
    At {
        /// Rows before it.
        skip: u64,
        /// Rows that are wanted from there.
        count: u32,
    },
    /// Nowhere: only the number of rows is wanted.
    Count,
}

impl Order {
    /// What to ask for, the best first: text, and whether it is the required order.
    pub(super) fn candidates(&self) -> Vec<(String, bool)> {
        let mut candidates = Vec::new();
        let mut add = |text: String, required| {
            if !candidates.iter().any(|(known, _)| *known == text) {
                candidates.push((text, required));
            }
        };
        if let Some(required) = &self.required {
            if let Some(stable) = &self.stable {
                add(request::then_by(required, stable), true);
            }
            add(required.clone(), true);
        }
        if let Some(stable) = &self.stable {
            add(stable.clone(), false);
            if let Some((first, _)) = stable.split_once(',') {
                add(first.to_owned(), false);
            }
        }
        candidates
    }

    /// What is asked for unless awork has refused it.
    pub fn best(&self) -> Option<String> {
        self.candidates().into_iter().next().map(|(text, _)| text)
    }

    /// Whether a server has refused all forms of the required order.
    pub fn is_refused(&self, base: &str, resource: &Resource) -> bool {
        let candidates = self.candidates();
        let mut required = candidates.iter().filter(|(_, required)| *required);
        required.all(|(text, _)| {
            refusals::is_refused(base, &resource.name, &super::ask::order_signature(text))
        })
    }
}

impl Start {
    /// The only page that has the rows `skip` to `skip + count`, if
    /// there is one that is not larger than `largest`.
    pub(super) fn page(skip: u64, count: u32, largest: u32) -> Option<Page> {
        (count.max(1)..=largest)
            .find(|&size| {
                let size = u64::from(size);
                skip / size == (skip + u64::from(count.max(1)) - 1) / size
            })
            .map(|size| Page { number: skip / u64::from(size) + 1, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_fall_back_to_fewer_keys() {
        let texts = |required: Option<&str>, stable: Option<&str>| -> Vec<(String, bool)> {
            let (required, stable) = (required.map(str::to_owned), stable.map(str::to_owned));
            Order { required, needs_filter: false, stable }.candidates()
        };
        let of = |text: &str, required| (text.to_owned(), required);
        assert_eq!(
            texts(Some("createdOn desc"), Some("createdOn asc,id asc")),
            [
                of("createdOn desc,id asc", true),
                of("createdOn desc", true),
                of("createdOn asc,id asc", false),
                of("createdOn asc", false)
            ]
        );
        assert_eq!(
            texts(Some("createdOn asc"), Some("createdOn asc,id asc")),
            [of("createdOn asc,id asc", true), of("createdOn asc", true)]
        );
        assert_eq!(texts(None, Some("id asc")), [of("id asc", false)]);
        assert_eq!(texts(None, None), []);
    }

    #[test]
    fn one_page_holds_the_wanted_rows() {
        let page = |size, number| Some(Page { number, size });
        assert_eq!(Start::page(0, 20, 1000), page(20, 1));
        assert_eq!(Start::page(40, 20, 1000), page(20, 3));
        assert_eq!(Start::page(30, 20, 1000), page(25, 2));
        assert_eq!(Start::page(5, 0, 1000), page(1, 6));
        for (skip, count) in [(17, 20), (999, 2), (123_457, 50), (1, 1000)] {
            if let Some(page) = Start::page(skip, count, 1000) {
                assert!(page.start() <= skip && skip + u64::from(count) <= page.end());
            }
        }
        assert_eq!(Start::page(1, 1000, 1000), None);
    }
}
