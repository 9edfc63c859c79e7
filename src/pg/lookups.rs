//! The inner rows of a join by lookups: asks for the rows of many keys in one scan, which runs its
//! requests side by side, and keeps the answers for keys that come again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use awork_api::request::Bindings;
use awork_api::rows::{Batch, Cell};
use awork_api::scan::{Event, Scan};

use super::wait::{or_raise, until_readable};
use crate::error;

/// What outer rows look inner rows up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The parameters of a list.
    List(Bindings),
    /// The value of the column that is filtered by.
    Value([u8; 16]),
}

/// Where the key of an inner row is.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyOf {
    /// In the parameters of its list.
    List,
    /// In this cell.
    Cell(usize),
}

/// Rows that came together.
pub(super) struct Page {
    pub(super) batch: Batch,
    pub(super) bindings: Arc<Bindings>,
}

/// An inner row.
#[derive(Clone)]
pub(super) struct InnerRow {
    pub(super) page: Rc<Page>,
    pub(super) row: usize,
}

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

struct Record {
    rows: HashMap<Key, Vec<InnerRow>>,
    bytes: usize,
}

impl InnerRow {
    fn key(&self, key_of: KeyOf) -> Option<Key> {
        match key_of {
            KeyOf::List => Some(Key::List(self.page.bindings.as_ref().clone())),
            KeyOf::Cell(cell) => match self.page.batch.row(self.row).get(cell) {
                Some(Cell::Uuid(bytes)) => Some(Key::Value(*bytes)),
                _ => None,
            },
        }
    }
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
        let rows = unknown.into_iter().map(|key| (key, Vec::new())).collect();
        let record = (keep && scan.is_some()).then_some(Record { rows, bytes: 0 });
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
                    self.record(&key, &row);
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
                    if let Some(record) = &mut self.record {
                        record.bytes += batch.bytes();
                        if record.bytes > answers.room {
                            self.record = None;
                        }
                    }
                    self.page = Some((Rc::new(Page { batch, bindings }), 0));
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

    fn record(&mut self, key: &Key, row: &InnerRow) {
        if let Some(rows) = self.record.as_mut().and_then(|record| record.rows.get_mut(key)) {
            rows.push(row.clone());
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

/// Complete answers by their keys, up to a size.
pub(super) struct Answers {
    rows: HashMap<Key, Rc<[InnerRow]>>,
    /// Bytes that more answers may take.
    room: usize,
    limit: usize,
    /// How often an answer was there.
    pub(super) hits: u64,
}

impl Answers {
    /// Answers that take up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { rows: HashMap::new(), room: limit, limit, hits: 0 }
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.room = self.limit;
    }

    fn get(&mut self, key: &Key) -> Option<Rc<[InnerRow]>> {
        let rows = self.rows.get(key).cloned();
        self.hits += u64::from(rows.is_some());
        rows
    }

    fn keep(&mut self, record: Record) {
        let rows: usize = record.rows.values().map(Vec::len).sum();
        let bytes = record.bytes + rows * size_of::<InnerRow>() + record.rows.len() * OVERHEAD;
        if bytes <= self.room {
            self.room -= bytes;
            self.rows.extend(record.rows.into_iter().map(|(key, rows)| (key, rows.into())));
        }
    }
}

/// What an answer takes beside its rows.
const OVERHEAD: usize = 200;

/// Starts a scan, or raises an error.
pub(super) fn started(
    client: &Arc<awork_api::client::Client>,
    job: awork_api::scan::Job,
) -> Option<Scan> {
    Some(or_raise(Scan::start(client.clone(), job)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: &[u8]) -> Rc<Page> {
        let mut batch = Batch::new(1);
        for id in ids {
            batch.push_row(&[Cell::Uuid([*id; 16])], None);
        }
        Rc::new(Page { batch, bindings: Arc::default() })
    }

    fn record(rows: &[u8], bytes: usize) -> Record {
        let page = page(rows);
        let of = |row| (Key::Value([rows[row]; 16]), vec![InnerRow { page: page.clone(), row }]);
        Record { rows: (0..rows.len()).map(of).collect(), bytes }
    }

    #[test]
    fn answers_are_kept_up_to_a_size() {
        let mut answers = Answers::new(1000);
        answers.keep(record(&[1, 2], 100));
        answers.keep(record(&[3], 900));
        assert!(answers.get(&Key::Value([1; 16])).is_some_and(|rows| rows.len() == 1));
        assert!(answers.get(&Key::Value([3; 16])).is_none());
        assert_eq!(answers.hits, 1);
        answers.clear();
        answers.keep(record(&[3], 700));
        assert!(answers.get(&Key::Value([3; 16])).is_some());
        assert!(answers.get(&Key::Value([1; 16])).is_none());
    }

    #[test]
    fn kept_rows_come_before_those_of_a_scan() {
        let mut answers = Answers::new(1000);
        answers.keep(record(&[1, 2], 0));
        let keys = vec![Key::Value([2; 16]), Key::Value([1; 16])];
        let mut lookups =
            Lookups::new(KeyOf::Cell(0), keys, &mut answers, true, |_| panic!("all is known"));
        let mut came = Vec::new();
        while let Some((key, row)) = lookups.next(&mut answers, |_| {}) {
            assert_eq!(row.key(KeyOf::Cell(0)), Some(key.clone()));
            came.push(key);
        }
        assert_eq!(came, [Key::Value([2; 16]), Key::Value([1; 16])]);
    }
}
