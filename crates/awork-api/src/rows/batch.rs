//! The rows of one page in a form without an allocation per value: fixed-size cells, row after
//! row, and one arena for all text.

/// A value of a row. Dates and times are in PostgreSQL's own units, so that the other side
/// only has to wrap them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// No value: `null` or a missing property.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number of up to 64 bits.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A GUID, most significant byte first.
    Uuid([u8; 16]),
    /// Microseconds since 2000-01-01 00:00, UTC or wall clock as the column's type has it.
    Timestamp(i64),
    /// Days since 2000-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Text or JSON in the arena.
    Text(Span),
}

/// A range of bytes in the arena of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

/// Decoded rows.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// Columns per row; may be 0 where only the number of rows is wanted.
    width: usize,
    rows: usize,
    cells: Vec<Cell>,
    arena: String,
    /// Identity of each row, where it has one.
    ids: Vec<Option<u128>>,
}

impl Batch {
    /// An empty batch of rows with `width` columns.
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The cells of a row. Panics where there is no such row.
    pub fn row(&self, row: usize) -> &[Cell] {
        &self.cells[row * self.width..(row + 1) * self.width]
    }

    /// The text of a cell's span.
    pub fn text(&self, span: Span) -> &str {
        &self.arena[span.start as usize..(span.start + span.len) as usize]
    }

    /// The identities of the rows, in their order; none for a row without one.
    pub fn ids(&self) -> &[Option<u128>] {
        &self.ids
    }

    /// The memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        let ids = self.ids.len() * size_of::<Option<u128>>();
        self.cells.len() * size_of::<Cell>() + self.arena.len() + ids
    }

    /// Puts text into the arena. `None` once the arena holds 4 GiB, which the limit on the
    /// size of an answer rules out.
    pub fn push_text(&mut self, text: &str) -> Option<Span> {
        let start = u32::try_from(self.arena.len()).ok()?;
        let len = u32::try_from(text.len()).ok()?;
        start.checked_add(len)?;
        self.arena.push_str(text);
        Some(Span { start, len })
    }

    /// Adds a row of `width` cells.
    pub fn push_row(&mut self, cells: &[Cell], id: Option<u128>) {
        debug_assert_eq!(cells.len(), self.width);
        self.cells.extend_from_slice(cells);
        self.ids.push(id);
        self.rows += 1;
    }

    /// Drops the rows whose identity `repeated` accepts; a row without identity stays.
    /// Returns how many rows went.
    pub fn drop_rows(&mut self, repeated: impl Fn(u128) -> bool) -> usize {
        let keep = |id: &Option<u128>| !id.is_some_and(&repeated);
        if self.ids.iter().all(keep) {
            return 0;
        }
        let kept: Vec<usize> = (0..self.rows).filter(|&row| keep(&self.ids[row])).collect();
        let dropped = self.rows - kept.len();
        self.cells = kept.iter().flat_map(|&row| self.row(row).to_vec()).collect();
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
            let text = batch.push_text(&format!("row {i}")).map_or(Cell::Null, Cell::Text);
            batch.push_row(&[Cell::Int(i), text], Some(i as u128));
        }
        assert_eq!(batch.drop_rows(|id| id % 2 == 0), 2);
        assert_eq!(batch.rows(), 2);
        assert_eq!(batch.row(1)[0], Cell::Int(3));
        let Cell::Text(span) = batch.row(1)[1] else { panic!("not text") };
        assert_eq!(batch.text(span), "row 3");
        assert_eq!(batch.ids(), [Some(1), Some(3)]);
    }

    #[test]
    fn a_cell_is_small() {
        assert_eq!(std::mem::size_of::<Cell>(), 24);
    }
}
