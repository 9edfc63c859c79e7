//! A page as plain bytes, and back: what the cache holds.

use crate::pages::PageInfo;
use crate::rows::Batch;

/// Writes a page: what its headers say, identities, the cells, and what their words point into.
pub(super) fn write(info: &PageInfo, batch: &Batch, out: &mut Vec<u8>) {
    for number in [info.total, info.page, info.page_size, info.fingerprint] {
        option(number.map(u64::to_le_bytes), out);
    }
    out.extend((batch.rows() as u32).to_le_bytes());
    for id in batch.ids() {
        option(id.map(u128::to_le_bytes), out);
    }
    let (words, nulls) = batch.cells();
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    out.extend(nulls.iter().map(|&null| u8::from(null)));
    out.extend(batch.arena());
}

/// Reads a page of `width` columns, those at some positions. None where the bytes are no page.
pub(super) fn read(bytes: &[u8], width: usize, columns: &[usize]) -> Option<(PageInfo, Batch)> {
    let mut bytes = Bytes(bytes);
    let info = bytes.info()?;
    let rows = u32::from_le_bytes(bytes.array()?) as usize;
    let identities = bytes.take(rows.checked_mul(1 + size_of::<u128>())?)?;
    let mut identities = Bytes(identities);
    let ids = std::iter::from_fn(|| Some(identities.option()?.map(u128::from_le_bytes)));
    let ids: Vec<Option<u128>> = ids.take(rows).collect();
    let words = bytes.take(rows.checked_mul(width)?.checked_mul(size_of::<u64>())?)?;
    let nulls = bytes.take(rows * width)?;
    if ids.len() != rows || columns.iter().any(|&column| column >= width) {
        return None;
    }
    let cells = (0..rows).flat_map(|row| columns.iter().map(move |column| row * width + column));
    let word = |cell: usize| words[cell * 8..cell * 8 + 8].try_into().map_or(0, u64::from_le_bytes);
    let batch = Batch::from_parts(
        columns.len(),
        cells.clone().map(word).collect(),
        cells.map(|cell| nulls[cell] != 0).collect(),
        bytes.0.to_vec(),
        ids,
    );
    Some((info, batch))
}

/// Reads only what the headers of a page say.
pub(super) fn read_info(bytes: &[u8]) -> Option<PageInfo> {
    Bytes(bytes).info()
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_comes_back_with_the_columns_that_are_wanted() {
        let mut batch = Batch::new(3);
        for i in 0..4 {
            let text = batch.push_text(&format!("tëxt {i}")).unwrap();
            batch.push_row(&[i, text, u64::MAX], &[false, i == 2, false], (i > 0).then_some(7));
        }
        let info = PageInfo { total: Some(4), page: Some(1), page_size: None, fingerprint: None };
        let mut bytes = Vec::new();
        write(&info, &batch, &mut bytes);
        assert_eq!(read_info(&bytes), Some(info));
        for columns in [&[0, 1, 2][..], &[2, 1], &[1], &[]] {
            let (read_info, read) = read(&bytes, 3, columns).unwrap();
            assert_eq!((read_info, read.ids(), read.rows()), (info, batch.ids(), 4));
            for row in 0..4 {
                for (at, &column) in columns.iter().enumerate() {
                    assert_eq!(read.row(row).0[at], batch.row(row).0[column]);
                    assert_eq!(read.row(row).1[at], batch.row(row).1[column]);
                    if column == 1 {
                        assert_eq!(read.text(row, at), batch.text(row, 1));
                    }
                }
            }
        }
        assert!(read(&bytes, 3, &[3]).is_none());
        for length in 0..bytes.len() {
            // Never a panic, whatever the bytes are.
            let _ = read(&bytes[..length], 3, &[0, 1, 2]);
        }
    }
}
