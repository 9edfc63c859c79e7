//! A page as plain bytes, and back: what the cache holds. Column by column, so that those that
//! are not wanted are passed over.

use crate::pages::PageInfo;
use crate::rows::{Batch, Cell};

/// Writes a page: what its headers say, identities, then each column.
pub(super) fn write(info: &PageInfo, batch: &Batch, width: usize, out: &mut Vec<u8>) {
    for number in [info.total, info.page, info.page_size, info.fingerprint] {
        option(number.map(u64::to_le_bytes), out);
    }
    out.extend((batch.rows() as u32).to_le_bytes());
    for id in batch.ids() {
        option(id.map(u128::to_le_bytes), out);
    }
    for column in 0..width {
        let length_at = out.len();
        out.extend([0; 4]);
        for row in 0..batch.rows() {
            cell(batch, batch.row(row)[column], out);
        }
        let length = (out.len() - length_at - 4) as u32;
        out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Reads a page with the columns at these positions. None where the bytes are no page.
pub(super) fn read(bytes: &[u8], columns: &[usize]) -> Option<(PageInfo, Batch)> {
    let mut bytes = Bytes(bytes);
    let info = bytes.info()?;
    let rows = u32::from_le_bytes(bytes.array()?) as usize;
    let ids: Option<Vec<Option<u128>>> =
        (0..rows).map(|_| Some(bytes.option()?.map(u128::from_le_bytes))).collect();
    let ids = ids?;
    let mut starts = Vec::new();
    while !bytes.0.is_empty() {
        let length = u32::from_le_bytes(bytes.array()?) as usize;
        starts.push(Bytes(bytes.take(length)?));
    }
    let mut wanted: Vec<Bytes<'_>> = Vec::with_capacity(columns.len());
    for &column in columns {
        wanted.push(*starts.get(column)?);
    }
    let mut batch = Batch::new(columns.len());
    let mut row = vec![Cell::Null; columns.len()];
    for id in ids {
        for (cell, column) in row.iter_mut().zip(&mut wanted) {
            *cell = column.cell(&mut batch)?;
        }
        batch.push_row(&row, id);
    }
    Some((info, batch))
}

/// Reads only what the headers of a page say.
pub(super) fn read_info(bytes: &[u8]) -> Option<PageInfo> {
    Bytes(bytes).info()
}

const NULL: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const UUID: u8 = 4;
const TIMESTAMP: u8 = 5;
const DATE: u8 = 6;
const TIME: u8 = 7;
const TEXT: u8 = 8;

fn cell(batch: &Batch, cell: Cell, out: &mut Vec<u8>) {
    let mut put = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend(bytes);
    };
    match cell {
        Cell::Null => put(NULL, &[]),
        Cell::Bool(value) => put(BOOL, &[u8::from(value)]),
        Cell::Int(value) => put(INT, &value.to_le_bytes()),
        Cell::Float(value) => put(FLOAT, &value.to_le_bytes()),
        Cell::Uuid(bytes) => put(UUID, &bytes),
        Cell::Timestamp(value) => put(TIMESTAMP, &value.to_le_bytes()),
        Cell::Date(value) => put(DATE, &value.to_le_bytes()),
        Cell::Time(value) => put(TIME, &value.to_le_bytes()),
        Cell::Text(span) => {
            let text = batch.text(span);
            put(TEXT, &(text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        }
    }
}

fn option<const N: usize>(bytes: Option<[u8; N]>, out: &mut Vec<u8>) {
    out.push(u8::from(bytes.is_some()));
    out.extend(bytes.unwrap_or([0; N]));
}

#[derive(Clone, Copy)]
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn option<const N: usize>(&mut self) -> Option<Option<[u8; N]>> {
        let is_some = self.array::<1>()? == [1];
        let bytes = self.array()?;
        Some(is_some.then_some(bytes))
    }

    fn info(&mut self) -> Option<PageInfo> {
        let mut number = || self.option().map(|number| number.map(u64::from_le_bytes));
        let (total, page, page_size, fingerprint) = (number()?, number()?, number()?, number()?);
        Some(PageInfo { total, page, page_size, fingerprint })
    }

    fn cell(&mut self, batch: &mut Batch) -> Option<Cell> {
        Some(match self.array::<1>()?[0] {
            NULL => Cell::Null,
            BOOL => Cell::Bool(self.array::<1>()? == [1]),
            INT => Cell::Int(i64::from_le_bytes(self.array()?)),
            FLOAT => Cell::Float(f64::from_le_bytes(self.array()?)),
            UUID => Cell::Uuid(self.array()?),
            TIMESTAMP => Cell::Timestamp(i64::from_le_bytes(self.array()?)),
            DATE => Cell::Date(i32::from_le_bytes(self.array()?)),
            TIME => Cell::Time(i64::from_le_bytes(self.array()?)),
            TEXT => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                let text = std::str::from_utf8(self.take(length)?).ok()?;
                Cell::Text(batch.push_text(text)?)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_comes_back_with_the_columns_that_are_wanted() {
        let mut batch = Batch::new(9);
        for i in 0..3 {
            let text = batch.push_text(&format!("tëxt {i}")).map_or(Cell::Null, Cell::Text);
            let cells = [
                Cell::Null,
                Cell::Bool(i == 1),
                Cell::Int(-i),
                Cell::Float(0.5),
                Cell::Uuid([i as u8; 16]),
                Cell::Timestamp(i64::MAX),
                Cell::Date(i32::MIN),
                Cell::Time(7),
                text,
            ];
            batch.push_row(&cells, (i > 0).then_some(i as u128));
        }
        let info = PageInfo { total: Some(3), page: Some(1), page_size: None, fingerprint: None };
        let mut bytes = Vec::new();
        write(&info, &batch, 9, &mut bytes);
        let all: Vec<usize> = (0..9).collect();
        for columns in [&all[..], &[8, 4, 2], &[8], &[]] {
            let (read_info, read) = read(&bytes, columns).unwrap();
            assert_eq!(read_info, info);
            assert_eq!(read.ids(), batch.ids());
            for row in 0..3 {
                let show = |batch: &Batch, cell: Cell| match cell {
                    Cell::Text(span) => batch.text(span).to_owned(),
                    other => format!("{other:?}"),
                };
                let were: Vec<String> =
                    columns.iter().map(|&c| show(&batch, batch.row(row)[c])).collect();
                let are: Vec<String> = read.row(row).iter().map(|&c| show(&read, c)).collect();
                assert_eq!(are, were);
            }
        }
        assert!(read(&bytes, &[9]).is_none());
        for length in 0..bytes.len() {
            // Never a panic, whatever the bytes are.
            let _ = read(&bytes[..length], &all);
        }
    }
}
