//! Which pages of a list are still to be read. Decides from what the answers say and counts
//! rows only to notice that something is missing; sends nothing itself.
//!
//! A list ends where the pages that `aw-totalitems` announces end, or with an empty page where
//! nothing is announced or rows are missing. A page with fewer rows than asked for, even none, is
//! not the end: awork has dropped rows after paging before.

use std::collections::HashSet;

use crate::error::{Error, ErrorKind};

/// What an answer says about its list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageInfo {
    /// `aw-totalitems`: rows in all pages, filters considered.
    pub total: Option<u64>,
    /// `aw-page`: which page it is.
    pub page: Option<u64>,
    /// `aw-pagesize`: rows per page as the server counts them.
    pub page_size: Option<u64>,
    /// A hash of the answer, where nothing announces the end of the list.
    pub fingerprint: Option<u64>,
}

/// What of a page has come before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeated {
    /// The rows of these identities.
    Rows(HashSet<u128>),
    /// All of it.
    Page,
}

/// The pages of one list. The first page is asked for alone; what it says decides the rest.
#[derive(Debug)]
pub struct Pages {
    declared: bool,
    page_size: u64,
    /// The page that is asked for first.
    first: u64,
    next: u64,
    /// The last page, once it is known.
    last: Option<u64>,
    /// The last page by what is announced.
    announced: Option<u64>,
    /// Where no total is announced, pages are read one by one until an empty one.
    one_by_one: bool,
    outstanding: u64,
    total: Option<u64>,
    rows: u64,
    /// The identities of the rows of the last two pages, in which a row that moved would be.
    seen: [HashSet<u128>; 2],
    fingerprint: Option<u64>,
}

impl Pages {
    /// `declared`: whether the specification says that the list has pages. Others are asked
    /// for without paging, and read on only where the answer announces more than it holds.
    pub fn new(declared: bool, page_size: u32) -> Self {
        Self {
            declared,
            page_size: page_size.into(),
            first: 1,
            next: 1,
            last: None,
            announced: None,
            one_by_one: true,
            outstanding: 0,
            total: None,
            rows: 0,
            seen: Default::default(),
            fingerprint: None,
        }
    }

    /// The pages of a list with pages, from a later one on.
    pub fn starting_at(page: u64, page_size: u32) -> Self {
        Self { first: page, next: page, ..Self::new(true, page_size) }
    }

    /// The page that is asked for first.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Rows so far, those that came twice left out.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next page that can be asked for now, if any.
    pub fn request(&mut self) -> Option<u64> {
        let allowed = match self.last {
            Some(last) => self.next <= last,
            None => self.outstanding == 0,
        };
        allowed.then(|| {
            self.outstanding += 1;
            self.next += 1;
            self.next - 1
        })
    }

    /// Whether a page is asked for with `page` and `pageSize`.
    pub fn is_paged(&self, page: u64) -> bool {
        self.declared || page > 1
    }

    /// The rows per page as the server counts them, once page 1 has told.
    pub fn page_size(&self) -> u32 {
        u32::try_from(self.page_size).unwrap_or(u32::MAX)
    }

    /// Whether every page has been asked for and has come.
    pub fn is_done(&self) -> bool {
        self.outstanding == 0 && self.last.is_some_and(|last| self.next > last)
    }

    /// Takes note of a page, in the order of the pages. `rows` is how many it brought, `ids`
    /// their identities; returns what of it an earlier page brought already.
    pub fn received(
        &mut self,
        page: u64,
        rows: usize,
        ids: &[Option<u128>],
        info: PageInfo,
    ) -> Result<Repeated, Error> {
        self.outstanding -= 1;
        let rows = rows as u64;
        if page == self.first {
            self.begin(rows, info);
        } else if let (Some(total), false) = (info.total, self.one_by_one) {
            // The largest total counts: a row that went may have moved another one away.
            self.total = self.total.max(Some(total));
            self.announced = Some(total.div_ceil(self.page_size));
            self.last = self.announced.max(Some(page));
        } else if rows == 0 {
            // Past the end, whatever was announced before.
            self.last = Some(self.last.unwrap_or(page).min(page));
        }
        let repeated: HashSet<u128> = ids
            .iter()
            .flatten()
            .copied()
            .filter(|id| self.seen.iter().any(|page| page.contains(id)))
            .collect();
        // A single row may have moved here from the page before; a whole page has not.
        let same_rows = repeated.len() as u64 == rows && (rows > 1 || self.one_by_one);
        let same_bytes = info.fingerprint.is_some() && info.fingerprint == self.fingerprint;
        self.fingerprint = info.fingerprint;
        if page > self.first && rows > 0 && (same_rows || same_bytes) {
            let past_the_end = self.announced.is_some_and(|announced| page > announced);
            if !self.declared || past_the_end || (self.one_by_one && rows < self.page_size) {
                // It has no pages, so that what came is all there is: the same again, and less
                // than was asked for.
                self.last = Some(page);
                return Ok(Repeated::Page);
            }
            return Err(Error::new(
                ErrorKind::BadReply,
                format!("page {page} repeats the rows of the page before"),
            )
            .hint("The server seems to ignore the parameter \"page\", so that the list cannot be read to its end."));
        }
        self.seen.rotate_left(1);
        self.seen[1] = ids.iter().flatten().copied().collect();
        self.rows += rows - repeated.len() as u64;
        if rows > 0 && self.is_done() && self.shortfall().is_some() {
            // Rows are missing, and the size of a page may not be what it was said to be.
            self.last = Some(page + 1);
        }
        Ok(Repeated::Rows(repeated))
    }

    /// How many rows were announced and how many came, where they are fewer.
    pub fn shortfall(&self) -> Option<(u64, u64)> {
        let before = (self.first - 1).saturating_mul(self.page_size);
        let expected = self.total.map(|total| total.saturating_sub(before));
        expected.filter(|&expected| expected > self.rows).map(|expected| (expected, self.rows))
    }

    fn begin(&mut self, rows: u64, info: PageInfo) {
        // A full page of the size that was asked for says more than the header.
        let as_asked = self.declared && rows == self.page_size;
        if let Some(size) = info.page_size.filter(|&size| size > 0 && !as_asked) {
            self.page_size = size;
        } else if !self.declared && rows > 0 {
            self.page_size = rows;
        }
        match info.total {
            Some(total) => {
                self.total = Some(total);
                self.one_by_one = false;
                // A list that came whole has one page, whatever the sizes say.
                let pages = if rows >= total { 1 } else { total.div_ceil(self.page_size) };
                self.announced = Some(pages.max(1));
                self.last = self.announced;
            }
            None if !self.declared || rows == 0 => self.last = Some(1),
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
