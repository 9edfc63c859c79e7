//! The inner rows of a join by lookups: asks for the rows of many keys in one scan, which runs its
//! requests side by side, and keeps the answers for keys that come again.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use awork_api::lookups::{Answers, InnerRow, Key, KeyOf, Page, Record};
use awork_api::scan::{Event, Scan};

use super::wait::{or_raise, until_readable};
use crate::error;

/// The lookups of one batch of outer rows.
pub(super) struct Lookups {
    key_of: KeyOf,
    /// Rows whose keys were asked for before.
    known: VecDeque<(Key, Rc<[InnerRow]>, usize)>,
    /// Those keys. Their rows may come again, where awork refuses the filter.
    known_keys: HashSet<Key>,
    scan: Option<Scan>,
    /// The page whose rows come next, and how many have come.
    page: Option<(Rc<Page>, usize)>,
    /// Whether a page has come.
    has_come: bool,
    /// What has come for each key of the scan, where it is to be kept.
    record: Option<Record>,
}

impl Lookups {
    /// Takes what is kept for some of the keys, and starts a scan for the others, if there are
    /// any. The rows of the scan are kept with `keep`.
    pub(super) fn new(
        key_of: KeyOf,
        keys: Vec<Key>,
        answers: &mut Answers,
        keep: bool,
        start: impl FnOnce(&[Key]) -> Option<Scan>,
    ) -> Self {
        let mut known = VecDeque::new();
        let mut known_keys = HashSet::new();
        let mut unknown = Vec::new();
        for key in keys {
            match answers.get(&key) {
                Some(rows) => {
                    known_keys.insert(key.clone());
                    known.push_back((key, rows, 0));
                }
                None => unknown.push(key),
            }
        }
        let scan = if unknown.is_empty() { None } else { start(&unknown) };
        let record = (keep && scan.is_some()).then(|| Record::new(unknown));
        Self { key_of, known, known_keys, scan, page: None, has_come: false, record }
    }

    /// The scan that is running.
    pub(super) fn scan(&self) -> Option<&Scan> {
        self.scan.as_ref()
    }

    /// The next inner row and its key; waits for it. `ended` gets the scan that is at its end.
    pub(super) fn next(
        &mut self,
        answers: &mut Answers,
        mut ended: impl FnMut(&Scan),
    ) -> Option<(Key, InnerRow)> {
        while let Some((key, rows, next)) = self.known.front_mut() {
            if let Some(row) = rows.get(*next) {
                *next += 1;
                return Some((key.clone(), row.clone()));
            }
            self.known.pop_front();
        }
        loop {
            while let Some((page, next)) = &mut self.page {
                if *next == page.batch.rows() {
                    self.page = None;
                    break;
                }
                let row = InnerRow { page: page.clone(), row: *next };
                *next += 1;
                if let Some(key) = row.key(self.key_of)
                    && !self.known_keys.contains(&key)
                {
                    if let Some(record) = &mut self.record {
                        record.add(&key, &row);
                    }
                    return Some((key, row));
                }
            }
            if let (true, Some(scan)) = (self.has_come, &self.scan) {
                // A page was not enough.
                scan.demand();
            }
            match self.event()? {
                Event::Rows(batch, bindings, _) => {
                    pgrx::check_for_interrupts!();
                    let page = Rc::new(Page { batch, bindings });
                    self.record.take_if(|record| !answers.has_room(record, &page));
                    self.page = Some((page, 0));
                    self.has_come = true;
                }
                Event::Begun(_) => {}
                Event::Notice(message) => error::warn_incomplete(message),
                Event::Failed(failure) => {
                    self.scan = None;
                    error::raise(failure)
                }
                Event::End => {
                    self.scan.take().iter().for_each(&mut ended);
                    if let Some(record) = self.record.take() {
                        answers.keep(record);
                    }
                    return None;
                }
            }
        }
    }

    /// The next event of the scan, once it is there; none where there is no scan.
    fn event(&mut self) -> Option<Event> {
        let scan = self.scan.as_mut()?;
        loop {
            match scan.poll() {
                Some(event) => return Some(event),
                None => until_readable(scan.wake_fd()),
            }
        }
    }
}

/// Starts a scan, or raises an error.
pub(super) fn started(
    client: &Arc<awork_api::client::Client>,
    job: awork_api::scan::Job,
) -> Option<Scan> {
    Some(or_raise(Scan::start(client.clone(), job)))
}
