//! Decoded answers that serve again, for as long as a server or table says (`cache_ttl`).
//!
//! The unit is the answer to one request, as the columns that were decoded of it; an answer with
//! more columns serves a request for fewer. A request that is in flight is there as well, so that
//! others wait for its answer instead of asking too.
//!
//! Answers lie one behind the other in a ring of bytes: the newest takes the place of the oldest.
//! They are found by chains of positions, one chain per bucket, the newest first. A position
//! counts bytes since the beginning, so that one that has been overwritten is known by its number.
//! Nothing in the bytes depends on where in memory they are, so that processes may share them.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use memmap2::MmapMut;
use once_cell::sync::OnceCell;

use super::{flat, now};
use crate::pages::PageInfo;
use crate::rows::Batch;

/// Memory of which one has the use at a time, all zero at first.
pub trait Memory: Send + Sync {
    /// Calls `use_it` with the memory while nobody else uses it; not at all where the process is
    /// about to end.
    fn exclusive(&self, use_it: &mut dyn FnMut(&mut [u8]));
}

/// A cache of answers.
pub struct Cache {
    memory: Box<dyn Memory>,
}

/// Which answer is wanted.
#[derive(Debug, Clone)]
pub struct Key {
    /// Tells apart who asks, and the settings of the server with which it is asked.
    pub scope: u128,
    /// The workspace, by which answers are dropped.
    pub workspace: u64,
    /// Version and address of the request.
    pub request: String,
    /// What is wanted of each row, in the order of the columns.
    pub columns: Vec<u64>,
    /// What is wanted beside the columns.
    pub rows: Rows,
}

/// What of an answer is wanted beside columns; each has what the one before has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rows {
    /// Only what the headers say.
    Headers,
    /// The rows.
    Plain,
    /// The rows and their identities.
    WithIds,
}

/// What the cache has for a key.
pub enum Found {
    /// An answer, and when it was asked for, by [`date`].
    Answer(PageInfo, Batch, u64),
    /// A request that is in flight.
    InFlight,
    /// Nothing: the request is for the one who has asked, and others wait for it.
    Nothing(Ticket),
}

/// An answer as the cache has it, with the columns that are wanted of it.
#[derive(Debug)]
pub struct Copied {
    bytes: Vec<u8>,
    width: usize,
    positions: Vec<usize>,
    /// When it was asked for.
    pub date: u64,
}

impl Copied {
    /// What it says; none where the bytes are no answer.
    pub fn read(&self) -> Option<(PageInfo, Batch)> {
        flat::read(&self.bytes, self.width, &self.positions)
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A request for whose answer others may wait.
pub struct Ticket {
    cache: &'static Cache,
    key: Key,
    position: u64,
    answered: bool,
}

/// Memory of one process, a mapping that takes no more than is used of it.
struct Own(Mutex<MmapMut>);

impl Own {
    /// None where there is not so much memory.
    fn new(bytes: usize) -> Option<Self> {
        Some(Self(Mutex::new(MmapMut::map_anon(bytes).ok()?)))
    }
}

impl Memory for Own {
    fn exclusive(&self, use_it: &mut dyn FnMut(&mut [u8])) {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

static CACHE: OnceCell<Option<Cache>> = OnceCell::new();

/// The size of the cache that a process makes for itself.
static SIZE: AtomicU64 = AtomicU64::new(0);

/// Uses memory that other processes use as well. Has an effect before the first answer.
pub fn share(memory: Box<dyn Memory>) {
    // A second call comes from a process that was forked after the first.
    let _ = CACHE.set(Some(Cache { memory }));
}

/// Sets how many bytes a cache takes that this process makes for itself, before it makes it.
pub fn set_size(bytes: u64) {
    SIZE.store(bytes, Ordering::Relaxed);
}

/// The cache of this process; none where it has no room.
pub fn cache() -> Option<&'static Cache> {
    CACHE
        .get_or_init(|| {
            let size = usize::try_from(SIZE.load(Ordering::Relaxed)).unwrap_or(0);
            let memory = (size >= SMALLEST).then(|| Own::new(size)).flatten()?;
            Some(Cache { memory: Box::new(memory) })
        })
        .as_ref()
}

/// Less would hold no answer worth the name.
const SMALLEST: usize = 64 * 1024;

/// After this time nobody waits for an answer any more.
const PATIENCE: u64 = 120_000_000;

impl Cache {
    /// Looks for an answer that is not older than `ttl`.
    pub fn look(&'static self, key: &Key, ttl: Duration) -> Found {
        let ticket = |position| Ticket { cache: self, key: key.clone(), position, answered: false };
        let mut copy = None;
        let mut found = None;
        self.with(|ring| {
            let at = now();
            let mut in_flight = false;
            // The newest first: an answer that is being renewed is waited for.
            for record in ring.chain(key) {
                let Some(positions) = ring.columns(&record, key) else { continue };
                let age = at.saturating_sub(record.at);
                match record.state {
                    State::Answer if Duration::from_micros(age) <= ttl => {
                        copy = Some(ring.copy(&record, positions));
                        return;
                    }
                    State::InFlight if age < PATIENCE && is_alive(record.process) => {
                        in_flight = true;
                        break;
                    }
                    _ => {}
                }
            }
            found = Some(match in_flight {
                true => Found::InFlight,
                false => {
                    let put = ring.put(key, State::InFlight, now(), &[]);
                    Found::Nothing(ticket(put.unwrap_or(0)))
                }
            });
        });
        if let Some(copy) = copy
            && let Some((info, batch)) = copy.read()
        {
            return Found::Answer(info, batch, copy.date);
        }
        // Without memory there is nobody who would wait.
        found.unwrap_or_else(|| Found::Nothing(ticket(0)))
    }

    /// A copy of an answer that is there, whatever its age.
    pub fn copy(&self, key: &Key) -> Option<Copied> {
        let mut copy = None;
        self.with(|ring| {
            let answer = |record: Record| {
                let positions = ring.columns(&record, key)?;
                (record.state == State::Answer).then(|| ring.copy(&record, positions))
            };
            copy = ring.chain(key).find_map(answer);
        });
        copy
    }

    /// A ticket for an answer that is to take the place of the one that is there.
    pub fn renew(&'static self, key: &Key) -> Ticket {
        let mut position = 0;
        self.with(|ring| {
            position = ring.put(key, State::InFlight, now(), &[]).unwrap_or(0);
        });
        Ticket { cache: self, key: key.clone(), position, answered: false }
    }

    /// What the headers of an answer say that is there and not older than `ttl`, and when it was
    /// asked for.
    pub fn peek(&self, key: &Key, ttl: Duration) -> Option<(PageInfo, u64)> {
        let mut info = None;
        self.with(|ring| {
            let at = now();
            let fresh = |record: &Record| {
                record.state == State::Answer
                    && Duration::from_micros(at.saturating_sub(record.at)) <= ttl
                    && ring.columns(record, key).is_some()
            };
            let record = ring.chain(key).find(fresh);
            info = record.and_then(|r| Some((flat::read_info(ring.body(&r))?, r.at)));
        });
        info
    }

    /// Drops the answers of a workspace, and says how many they were.
    pub fn clear(&self, workspace: u64) -> u64 {
        let mut dropped = 0;
        self.with(|ring| dropped = ring.clear(workspace));
        dropped
    }

    /// How many answers of a workspace there are, and how many bytes they take.
    pub fn usage(&self, workspace: u64) -> (u64, u64) {
        let mut usage = (0, 0);
        self.with(|ring| {
            let of = |r: &Record| r.workspace == workspace && r.state == State::Answer;
            for record in ring.records().filter(of) {
                usage = (usage.0 + 1, usage.1 + u64::from(record.length));
            }
        });
        usage
    }

    fn with(&self, mut use_it: impl FnMut(&mut Ring<'_>)) {
        self.memory.exclusive(&mut |bytes| {
            if let Some(mut ring) = Ring::new(bytes) {
                use_it(&mut ring);
            }
        });
    }
}

impl Ticket {
    /// Keeps the answer, and ends the wait for it. `asked_at` is when it was asked for, by
    /// [`date`].
    pub fn answer(mut self, asked_at: u64, info: &PageInfo, batch: &Batch) {
        let mut body = Vec::with_capacity(batch.bytes());
        flat::write(info, batch, &mut body);
        self.answered = true;
        self.cache.with(|ring| {
            // Where the record has gone, the answers were dropped meanwhile, or much has come.
            if ring.end(self.position) {
                ring.put(&self.key, State::Answer, asked_at, &body);
            }
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.cache.with(|ring| {
                ring.end(self.position);
            });
        }
    }
}

/// The present as answers are dated, in microseconds.
pub fn date() -> u64 {
    now()
}

/// How long ago a date was.
pub fn age(date: u64) -> Duration {
    Duration::from_micros(now().saturating_sub(date))
}

fn is_alive(process: u32) -> bool {
    let Ok(process) = i32::try_from(process) else { return false };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None)
        != Err(nix::errno::Errno::ESRCH)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Dead = 0,
    InFlight = 1,
    Answer = 2,
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy)]
struct Record {
    position: u64,
    /// Bytes that it takes, this part and what follows.
    length: u32,
    state: State,
    process: u32,
    hash: u64,
    /// The record before it in its chain.
    previous: u64,
    at: u64,
    workspace: u64,
    columns: u32,
    request: u32,
    padding: u32,
    rows: u32,
}

/// Bytes of the fixed part of a record.
const RECORD: usize = 64;

/// Bytes before the buckets: where the next record goes, and where the oldest is.
const HEADER: usize = 16;

/// The memory of a cache while one has the use of it.
struct Ring<'m> {
    bytes: &'m mut [u8],
    buckets: usize,
    /// Where the records are.
    data: usize,
}

impl<'m> Ring<'m> {
    fn new(bytes: &'m mut [u8]) -> Option<Self> {
        let buckets = (bytes.len() / 16_384).next_power_of_two().max(16);
        let data = HEADER + buckets * 8;
        (bytes.len() >= SMALLEST).then_some(Self { bytes, buckets, data })
    }

    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[at..at + N]);
        bytes
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.number(at))
    }

    fn set(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// The position of the next record. 0 is no position.
    fn head(&self) -> u64 {
        self.u64(0).max(self.size())
    }

    fn tail(&self) -> u64 {
        self.u64(8).max(self.size())
    }

    /// Bytes for records, a multiple of 8.
    fn size(&self) -> u64 {
        ((self.bytes.len() - self.data) & !7) as u64
    }

    fn offset(&self, position: u64) -> usize {
        self.data + (position % self.size()) as usize
    }

    /// Bytes from a position to the end of the ring.
    fn rest(&self, position: u64) -> u64 {
        self.size() - position % self.size()
    }

    fn record(&self, position: u64) -> Record {
        let at = self.offset(position);
        let u32_at = |offset| u32::from_le_bytes(self.number(at + offset));
        Record {
            position,
            length: u32_at(0),
            state: match u32_at(4) {
                1 => State::InFlight,
                2 => State::Answer,
                _ => State::Dead,
            },
            process: u32_at(8),
            columns: u32_at(12),
            request: u32_at(16),
            padding: u32_at(20),
            rows: u32_at(24),
            hash: self.u64(at + 32),
            previous: self.u64(at + 40),
            at: self.u64(at + 48),
            workspace: self.u64(at + 56),
        }
    }

    /// The position behind the record at a position, or behind the gap that is there.
    fn next(&self, position: u64) -> u64 {
        let rest = self.rest(position);
        if rest < RECORD as u64 {
            return position + rest;
        }
        position + u64::from(self.record(position).length).max(8)
    }

    /// All records, the oldest first.
    fn records(&self) -> impl Iterator<Item = Record> {
        let mut position = self.tail();
        std::iter::from_fn(move || {
            while position < self.head() {
                let at = position;
                position = self.next(position);
                if self.rest(at) >= RECORD as u64 {
                    return Some(self.record(at));
                }
            }
            None
        })
    }

    /// The records of a key, whatever their columns, the newest first.
    fn chain(&self, key: &Key) -> impl Iterator<Item = Record> {
        let request = key.bytes();
        let hash = hash(&request);
        let mut position = self.u64(self.bucket(hash));
        std::iter::from_fn(move || {
            while position >= self.tail() && position < self.head() {
                let record = self.record(position);
                position = record.previous;
                if record.hash == hash && self.request(&record) == request.as_slice() {
                    return Some(record);
                }
            }
            None
        })
    }

    fn bucket(&self, hash: u64) -> usize {
        HEADER + (hash as usize & (self.buckets - 1)) * 8
    }

    fn request(&self, record: &Record) -> &[u8] {
        let at = self.offset(record.position) + RECORD + record.columns as usize * 8;
        &self.bytes[at..at + record.request as usize]
    }

    fn body(&self, record: &Record) -> &[u8] {
        let at = self.offset(record.position);
        let body = RECORD + record.columns as usize * 8 + record.request as usize;
        &self.bytes[at + body..at + (record.length - record.padding) as usize]
    }

    fn copy(&self, record: &Record, positions: Vec<usize>) -> Copied {
        let (bytes, width) = (self.body(record).to_vec(), record.columns as usize);
        Copied { bytes, width, positions, date: record.at }
    }

    /// Where the wanted columns are in a record; none where it lacks something.
    fn columns(&self, record: &Record, key: &Key) -> Option<Vec<usize>> {
        let at = self.offset(record.position) + RECORD;
        let there: Vec<u64> =
            (0..record.columns as usize).map(|number| self.u64(at + number * 8)).collect();
        let place = |column: &u64| there.iter().position(|known| known == column);
        let all = key.columns.iter().map(place).collect::<Option<_>>();
        all.filter(|_| record.rows >= key.rows as u32)
    }

    /// Writes a record in the place of the oldest ones; none where it is too large for that.
    fn put(&mut self, key: &Key, state: State, at: u64, body: &[u8]) -> Option<u64> {
        let request = key.bytes();
        let plain = RECORD + key.columns.len() * 8 + request.len() + body.len();
        let length = plain.next_multiple_of(8);
        if length as u64 > self.size() / 4 {
            return None;
        }
        let mut position = self.head();
        let mut end = position + length as u64;
        if self.rest(position) < length as u64 {
            // A record is in one piece: the rest of the ring is left out.
            let rest = self.rest(position);
            self.make_room(position + rest + length as u64);
            if rest >= RECORD as u64 {
                let gap = self.offset(position);
                self.bytes[gap..gap + RECORD].fill(0);
                self.bytes[gap..gap + 4].copy_from_slice(&(rest as u32).to_le_bytes());
            }
            position += rest;
            end += rest;
        }
        self.make_room(end);
        let hash = hash(&request);
        let bucket = self.bucket(hash);
        let offset = self.offset(position);
        let head = [
            length as u32,
            state as u32,
            std::process::id(),
            key.columns.len() as u32,
            request.len() as u32,
            (length - plain) as u32,
            key.rows as u32,
        ];
        for (number, value) in head.into_iter().enumerate() {
            let at = offset + number * 4;
            self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        self.set(offset + 32, hash);
        self.set(offset + 40, self.u64(bucket));
        self.set(offset + 48, at);
        self.set(offset + 56, key.workspace);
        let mut to = offset + RECORD;
        for column in &key.columns {
            self.set(to, *column);
            to += 8;
        }
        for part in [request.as_slice(), body] {
            self.bytes[to..to + part.len()].copy_from_slice(part);
            to += part.len();
        }
        self.set(bucket, position);
        self.set(0, end);
        Some(position)
    }

    /// Forgets the oldest records until the ring has room up to a position.
    fn make_room(&mut self, end: u64) {
        let mut tail = self.tail();
        while end - tail > self.size() {
            tail = self.next(tail);
        }
        self.set(8, tail);
    }

    /// Nobody is to wait any more for a request that was in flight; false where it was no longer.
    fn end(&mut self, position: u64) -> bool {
        let is_there = position >= self.tail()
            && position < self.head()
            && self.record(position).state == State::InFlight;
        if is_there {
            self.kill(position);
        }
        is_there
    }

    fn kill(&mut self, position: u64) {
        let at = self.offset(position) + 4;
        self.bytes[at..at + 4].copy_from_slice(&(State::Dead as u32).to_le_bytes());
    }

    /// Drops the answers of a workspace, and those that are on their way; returns the number of
    /// the former.
    fn clear(&mut self, workspace: u64) -> u64 {
        let of = |r: &Record| r.workspace == workspace && r.state != State::Dead;
        let dropped: Vec<Record> = self.records().filter(of).collect();
        for record in &dropped {
            self.kill(record.position);
        }
        dropped.iter().filter(|record| record.state == State::Answer).count() as u64
    }
}

impl Key {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.scope.to_le_bytes().to_vec();
        bytes.extend(self.request.as_bytes());
        bytes
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
