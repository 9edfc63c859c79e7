//! The rows of one page in the form that PostgreSQL's side needs only to point at: a word per
//! value, row after row, and one arena for all values that are no words.

/// Decoded rows.
///
/// Each value is a word of 64 bits, and beside it a flag that says that there is none. What the
/// word means, the [`Kind`](super::Kind) of its column says:
///
/// | kind | word |
/// | --- | --- |
/// | `Bool`, `Presence` | 0 or 1 |
/// | `Int` | the number, sign-extended |
/// | `Float` | its bits; those of 32-bit numbers sign-extended |
/// | `Instant`, `LocalTimestamp` | microseconds since 2000-01-01 00:00, UTC or wall clock |
/// | `Date` | days since 2000-01-01, sign-extended |
/// | `TimeOfDay` | microseconds since midnight |
/// | `Uuid` | where its 16 bytes begin in the arena |
/// | `Text`, `Json` | where the text begins in the arena |
///
/// The words of types that are passed by value are their `Datum`s on 64-bit platforms (`postgres.h`).
/// A text in the arena is a `varlena` with a four-byte header (`varatt.h`) at a multiple of four,
/// followed by a NUL, so that it can serve as a `text` datum and as a C string. (The system's
/// allocator aligns the beginning of the arena to more than that.)
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// Columns per row; may be 0 where only the number of rows is wanted.
    width: usize,
    rows: usize,
    words: Vec<u64>,
    nulls: Vec<bool>,
    arena: Vec<u8>,
    /// Identity of each row, where it has one.
    ids: Vec<Option<u128>>,
    /// Values that did not fit their columns and are null, as they were decoded.
    pub(crate) mismatches: u64,
}

/// The size of the header of a text.
pub const TEXT_HEADER: usize = 4;

impl Batch {
    /// An empty batch of rows with `width` columns.
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The words of a row, and for each whether it is null. Panics where there is no such row.
    pub fn row(&self, row: usize) -> (&[u64], &[bool]) {
        let cells = row * self.width..(row + 1) * self.width;
        (&self.words[cells.clone()], &self.nulls[cells])
    }

    /// What words of the kinds `Uuid`, `Text` and `Json` point into.
    pub fn arena(&self) -> &[u8] {
        &self.arena
    }

    /// The text of a row's column, whose kind must be `Text` or `Json`; none for null.
    pub fn text(&self, row: usize, column: usize) -> Option<&str> {
        let (words, nulls) = self.row(row);
        (!nulls[column]).then(|| self.text_at(words[column]))
    }

    /// The text that a word points at. Panics where there is none.
    pub fn text_at(&self, word: u64) -> &str {
        let start = word as usize + TEXT_HEADER;
        let header: [u8; TEXT_HEADER] = std::array::from_fn(|i| self.arena[word as usize + i]);
        let header = u32::from_ne_bytes(header);
        let size = if cfg!(target_endian = "little") { header >> 2 } else { header };
        let text = &self.arena[start..word as usize + size as usize];
        std::str::from_utf8(text).expect("only UTF-8 is put into the arena as text")
    }

    /// The GUID of a row's column, whose kind must be `Uuid`; none for null.
    pub fn uuid(&self, row: usize, column: usize) -> Option<[u8; 16]> {
        let (words, nulls) = self.row(row);
        let start = words[column] as usize;
        (!nulls[column]).then(|| std::array::from_fn(|i| self.arena[start + i]))
    }

    /// The identities of the rows, in their order; none for a row without one.
    pub fn ids(&self) -> &[Option<u128>] {
        &self.ids
    }

    /// The memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.words)
            + size_of_val(&*self.nulls)
            + self.arena.len()
            + size_of_val(&*self.ids)
    }

    /// Puts text into the arena and returns its word. `None` where it is longer than a
    /// `varlena` may be, which the limit on the size of an answer rules out.
    pub fn push_text(&mut self, text: &str) -> Option<u64> {
        let start = self.begin_text();
        self.arena.extend_from_slice(text.as_bytes());
        self.end_text(start)
    }

    /// Begins a text, which is then written to the end of the arena.
    pub(super) fn begin_text(&mut self) -> usize {
        let start = self.arena.len().next_multiple_of(TEXT_HEADER);
        self.arena.resize(start + TEXT_HEADER, 0);
        start
    }

    /// The end of the arena, for a text that has begun. Must get UTF-8.
    pub(super) fn text_end(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// Ends the text that began at `start`; returns as [`Batch::push_text`].
    pub(super) fn end_text(&mut self, start: usize) -> Option<u64> {
        let size = u32::try_from(self.arena.len() - start).ok().filter(|size| *size < 1 << 30)?;
        let header = if cfg!(target_endian = "little") { size << 2 } else { size };
        self.arena[start..start + TEXT_HEADER].copy_from_slice(&header.to_ne_bytes());
        self.arena.push(0);
        Some(start as u64)
    }

    /// Puts a GUID into the arena, most significant byte first, and returns its word.
    pub(crate) fn push_uuid(&mut self, uuid: &[u8; 16]) -> u64 {
        let start = self.arena.len();
        self.arena.extend_from_slice(uuid);
        start as u64
    }

    /// Adds a row of `width` words, and for each whether it is null.
    pub fn push_row(&mut self, words: &[u64], nulls: &[bool], id: Option<u128>) {
        debug_assert_eq!((words.len(), nulls.len()), (self.width, self.width));
        self.words.extend_from_slice(words);
        self.nulls.extend_from_slice(nulls);
        self.ids.push(id);
        self.rows += 1;
    }

    /// Makes room for as many rows more, of which each takes as much of the arena as those
    /// that are there take on average.
    pub(super) fn expect_rows(&mut self, more: usize) {
        self.words.reserve_exact(more * self.width);
        self.nulls.reserve_exact(more * self.width);
        self.ids.reserve_exact(more);
        self.arena.reserve_exact(more * self.arena.len() / self.rows.max(1));
    }

    /// Gives back the room that no row has taken.
    pub(super) fn finish(&mut self) {
        self.words.shrink_to_fit();
        self.nulls.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.arena.shrink_to_fit();
    }

    /// The words of all rows, and for each whether it is null.
    pub(crate) fn cells(&self) -> (&[u64], &[bool]) {
        (&self.words, &self.nulls)
    }

    /// A batch of the same parts as another one: the cells of its rows, what their words point
    /// into, and the identities.
    pub(crate) fn from_parts(
        width: usize,
        words: Vec<u64>,
        nulls: Vec<bool>,
        arena: Vec<u8>,
        ids: Vec<Option<u128>>,
    ) -> Self {
        Self { width, rows: ids.len(), words, nulls, arena, ids, mismatches: 0 }
    }

    /// Drops the rows whose identity `repeated` accepts; a row without identity stays.
    /// Returns how many rows went.
    pub fn drop_rows(&mut self, repeated: impl Fn(u128) -> bool) -> usize {
        self.drop_places(|_, id| id.is_some_and(&repeated))
    }

    /// Drops the rows that `unwanted` accepts, by place and identity. Returns how many rows went.
    pub fn drop_places(&mut self, unwanted: impl Fn(usize, Option<u128>) -> bool) -> usize {
        let keep = |row: &usize| !unwanted(*row, self.ids[*row]);
        let kept: Vec<usize> = (0..self.rows).filter(keep).collect();
        if kept.len() == self.rows {
            return 0;
        }
        let dropped = self.rows - kept.len();
        let (words, nulls) = (
            kept.iter().flat_map(|&row| self.row(row).0).copied().collect(),
            kept.iter().flat_map(|&row| self.row(row).1).copied().collect(),
        );
        (self.words, self.nulls) = (words, nulls);
        self.ids = kept.iter().map(|&row| self.ids[row]).collect();
        self.rows = kept.len();
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_dropped_by_identity() {
        let mut batch = Batch::new(2);
        for i in 0..4 {
            let text = batch.push_text(&format!("row {i}")).unwrap();
            batch.push_row(&[i, text], &[false, i == 1], Some(u128::from(i)));
        }
        assert_eq!(batch.drop_rows(|id| id % 2 == 0), 2);
        assert_eq!(batch.rows(), 2);
        assert_eq!((batch.row(1).0[0], batch.row(1).1), (3, [false, false].as_slice()));
        assert_eq!((batch.text(0, 1), batch.text(1, 1)), (None, Some("row 3")));
        assert_eq!(batch.ids(), [Some(1), Some(3)]);
    }

    #[test]
    fn texts_are_varlenas_and_c_strings() {
        let mut batch = Batch::new(0);
        batch.push_uuid(&[7; 16]);
        for text in ["", "a", "äöü", "abcd"] {
            let at = batch.push_text(text).unwrap();
            assert_eq!(batch.text_at(at), text);
            let at = at as usize;
            assert_eq!(at % TEXT_HEADER, 0);
            let arena = batch.arena();
            let c_string = std::ffi::CStr::from_bytes_until_nul(&arena[at + TEXT_HEADER..]);
            assert_eq!(c_string.unwrap().to_str(), Ok(text));
            let header = u32::from_ne_bytes(arena[at..at + TEXT_HEADER].try_into().unwrap());
            if cfg!(target_endian = "little") {
                assert_eq!(header, (text.len() as u32 + 4) << 2);
            }
        }
    }
}
