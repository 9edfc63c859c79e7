//! The text of the last error, which several processes may write and read at the same time, without
//! a lock that one of them could leave behind.
//!
//! Each error goes into another one of a few slots, with a checksum. What somebody is writing, or
//! has left half written, does not fit its checksum; then the error before it is the last.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of a text; what is longer is cut.
const ROOM: usize = 256;

const WORDS: usize = ROOM / 8;

/// So many errors may be written at the same time.
const SLOTS: usize = 4;

/// What a text that was cut ends with.
const CUT: &str = "…";

/// The last error. Memory that is all zero is one without.
#[derive(Debug, Default)]
#[repr(C)]
pub struct LastError {
    /// Errors so far.
    written: AtomicU64,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
#[repr(C)]
struct Slot {
    /// Of all that follows; 0 where there is nothing.
    checksum: AtomicU64,
    at: AtomicU64,
    length: AtomicU64,
    text: [AtomicU64; WORDS],
}

impl LastError {
    /// Takes note of an error that happened at some time.
    pub fn note(&self, at: u64, text: &str) {
        let number = self.written.fetch_add(1, Relaxed);
        self.slots[number as usize % SLOTS].write(at, &cut(text));
    }

    /// When the last error happened, and its text; none where there was none.
    pub fn last(&self) -> Option<(u64, String)> {
        let written = self.written.load(Relaxed);
        let oldest = written.saturating_sub(SLOTS as u64);
        (oldest..written).rev().find_map(|number| self.slots[number as usize % SLOTS].read())
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        self.slots.iter().for_each(|slot| slot.checksum.store(0, Relaxed));
        self.written.store(0, Relaxed);
    }
}

impl Slot {
    fn write(&self, at: u64, text: &str) {
        let mut bytes = [0; ROOM];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        self.checksum.store(0, Relaxed);
        self.at.store(at, Relaxed);
        self.length.store(text.len() as u64, Relaxed);
        for (word, bytes) in self.text.iter().zip(bytes.chunks_exact(8)) {
            word.store(bytes.try_into().map_or(0, u64::from_le_bytes), Relaxed);
        }
        self.checksum.store(checksum(at, text.len() as u64, &bytes), Relaxed);
    }

    fn read(&self) -> Option<(u64, String)> {
        let checksum_before = self.checksum.load(Relaxed);
        let (at, length) = (self.at.load(Relaxed), self.length.load(Relaxed));
        let mut bytes = [0; ROOM];
        for (word, bytes) in self.text.iter().zip(bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        if checksum_before != checksum(at, length, &bytes) {
            return None;
        }
        let text = bytes.get(..usize::try_from(length).ok()?)?;
        Some((at, String::from_utf8(text.to_vec()).ok()?))
    }
}

/// Never 0.
fn checksum(at: u64, length: u64, bytes: &[u8; ROOM]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (at, length, bytes).hash(&mut hasher);
    hasher.finish() | 1
}

/// A text as it fits, whole characters only.
fn cut(text: &str) -> String {
    if text.len() <= ROOM {
        return text.to_owned();
    }
    format!("{}{CUT}", &text[..text.floor_char_boundary(ROOM - CUT.len())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_last_one_counts_and_is_cut_between_characters() {
        let error = LastError::default();
        assert_eq!(error.last(), None);
        error.note(1, "");
        assert_eq!(error.last(), Some((1, String::new())));
        for number in 2..20 {
            error.note(number, &format!("could not {number}"));
            assert_eq!(error.last(), Some((number, format!("could not {number}"))));
        }
        let fits = "x".repeat(ROOM);
        error.note(20, &fits);
        assert_eq!(error.last(), Some((20, fits)));
        // Two bytes each, of which a cut at the last byte that fits would halve one.
        for text in ["ö".repeat(ROOM), format!("x{}", "ö".repeat(ROOM))] {
            error.note(21, &text);
            let (_, shown) = error.last().unwrap();
            let kept = shown.strip_suffix(CUT).unwrap();
            assert!(text.starts_with(kept) && kept.len() > ROOM - 8 && shown.len() <= ROOM);
        }
        error.clear();
        assert_eq!(error.last(), None);
    }

    #[test]
    fn one_that_was_not_written_to_its_end_is_none() {
        let error = LastError::default();
        error.note(1, "the first");
        error.note(2, "the second");
        error.slots[1].text[0].store(7, Relaxed);
        assert_eq!(error.last(), Some((1, "the first".to_owned())));
        error.slots[0].checksum.store(0, Relaxed);
        assert_eq!(error.last(), None);
        error.note(3, "the third");
        assert_eq!(error.last(), Some((3, "the third".to_owned())));
    }

    #[test]
    fn many_write_and_read_at_once_and_no_text_is_mixed() {
        let error = LastError::default();
        thread::scope(|scope| {
            for letter in ["a", "b", "c"] {
                let error = &error;
                scope.spawn(move || {
                    for length in 0..5_000 {
                        error.note(length, &letter.repeat(length as usize % ROOM));
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..5_000 {
                    if let Some((at, text)) = error.last() {
                        let first = text.chars().next();
                        assert!(text.chars().all(|c| Some(c) == first), "{text}");
                        assert_eq!(text.len(), at as usize % ROOM);
                    }
                }
            });
        });
        assert!(error.last().is_some());
    }
}
