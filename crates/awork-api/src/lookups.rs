//! What a join by lookups keeps of its inner rows: by which key a row was looked up, the answers
//! for keys that come again, and how many outer rows are taken at a time.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::request::Bindings;
use crate::rows::Batch;

/// Outer rows that are taken before the first lookups are sent.
pub const FIRST_BATCH: usize = 64;

/// How many times more rows each batch has than the one before.
const BATCH_GROWTH: usize = 4;

/// The most rows of a batch.
const LARGEST_BATCH: usize = 4096;

/// How many rows the batch after one of `size` rows has.
pub fn next_batch(size: usize) -> usize {
    (size * BATCH_GROWTH).min(LARGEST_BATCH)
}

/// In how many batches so many outer rows come, if memory holds `most`.
pub fn batches(rows: f64, most: f64) -> f64 {
    let largest = most.clamp(FIRST_BATCH as f64, LARGEST_BATCH as f64);
    let (mut batches, mut size, mut left) = (1.0, FIRST_BATCH, rows);
    while left > size as f64 && (size as f64) < largest {
        left -= size as f64;
        size = next_batch(size).min(largest as usize);
        batches += 1.0;
    }
    batches + ((left / size as f64).ceil() - 1.0).max(0.0)
}

/// What outer rows look inner rows up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// The parameters of a list.
    List(Bindings),
    /// The value of the column that is filtered by.
    Value([u8; 16]),
}

/// Where the key of an inner row is.
#[derive(Debug, Clone, Copy)]
pub enum KeyOf {
    /// In the parameters of its list.
    List,
    /// In this cell, which is a GUID.
    Cell(usize),
}

/// Rows that came together.
#[derive(Debug)]
pub struct Page {
    /// Their cells.
    pub batch: Batch,
    /// The parameters of their list.
    pub bindings: Arc<Bindings>,
}

/// An inner row.
#[derive(Debug, Clone)]
pub struct InnerRow {
    /// What it came with.
    pub page: Rc<Page>,
    /// Its number there.
    pub row: usize,
}

impl InnerRow {
    /// The key by which it is looked up; none where the column is null.
    pub fn key(&self, key_of: KeyOf) -> Option<Key> {
        match key_of {
            KeyOf::List => Some(Key::List(self.page.bindings.as_ref().clone())),
            KeyOf::Cell(cell) => self.page.batch.uuid(self.row, cell).map(Key::Value),
        }
    }
}

/// The rows that come for some keys, to be kept once all have come.
#[derive(Debug)]
pub struct Record {
    rows: HashMap<Key, Vec<InnerRow>>,
    bytes: usize,
}

impl Record {
    /// A record for rows with these keys.
    pub fn new(keys: Vec<Key>) -> Self {
        Self { rows: keys.into_iter().map(|key| (key, Vec::new())).collect(), bytes: 0 }
    }

    /// Adds a row, if its key is one of those.
    pub fn add(&mut self, key: &Key, row: &InnerRow) {
        if let Some(rows) = self.rows.get_mut(key) {
            rows.push(row.clone());
        }
    }
}

/// Complete answers by their keys, up to a size.
#[derive(Debug)]
pub struct Answers {
    rows: HashMap<Key, Rc<[InnerRow]>>,
    /// Bytes that more answers may take.
    room: usize,
    limit: usize,
    /// How often an answer was there.
    pub hits: u64,
}

impl Answers {
    /// Answers that take up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { rows: HashMap::new(), room: limit, limit, hits: 0 }
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.room = self.limit;
    }

    /// The answer for a key.
    pub fn get(&mut self, key: &Key) -> Option<Rc<[InnerRow]>> {
        let rows = self.rows.get(key).cloned();
        self.hits += u64::from(rows.is_some());
        rows
    }

    /// Adds a page to what a record takes; false where so much cannot be kept.
    pub fn has_room(&self, record: &mut Record, page: &Page) -> bool {
        record.bytes += page.batch.bytes();
        record.bytes <= self.room
    }

    /// Keeps what has come, if there is room.
    pub fn keep(&mut self, record: Record) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: &[u8]) -> Rc<Page> {
        let mut batch = Batch::new(1);
        for id in ids {
            let word = batch.push_uuid(&[*id; 16]);
            batch.push_row(&[word], &[false], None);
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
    fn only_rows_of_the_asked_keys_are_kept() {
        let page = page(&[1, 2, 1]);
        let mut record = Record::new(vec![Key::Value([1; 16]), Key::Value([9; 16])]);
        for row in 0..3 {
            let row = InnerRow { page: page.clone(), row };
            let key = row.key(KeyOf::Cell(0)).unwrap();
            record.add(&key, &row);
        }
        let mut answers = Answers::new(1000);
        assert!(answers.has_room(&mut record, &page));
        answers.keep(record);
        let mut rows = |key| answers.get(&Key::Value([key; 16])).map(|rows| rows.len());
        assert_eq!((rows(1), rows(2), rows(9)), (Some(2), None, Some(0)));
    }

    #[test]
    fn batches_grow() {
        let known = [(1.0, 1.0), (64.0, 1.0), (65.0, 2.0), (320.0, 2.0), (321.0, 3.0)];
        for (rows, expected) in known.into_iter().chain([(5440.0, 4.0), (9537.0, 6.0)]) {
            assert_eq!(batches(rows, 1e6), expected, "{rows} rows");
        }
        assert_eq!(batches(640.0, 1.0), 10.0);
        assert_eq!(batches(264.0, 100.0), 3.0);
    }
}
