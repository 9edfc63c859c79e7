//! Which pages of a list are still to be read, and what of them is new. Decides from what the
//! answers say; sends nothing itself.
//!
//! A list may change while it is read: rows come and go, or begin and cease to satisfy a filter,
//! so that others move to other pages. There are two ways to read it:
//!
//! - Overlapping: each page begins before the end of the one before. Where it has a row of that
//!   one, no row that was there all the time can have been missed between the two, whatever has
//!   happened; where it has none, what may have been missed is read again. This takes rows with
//!   identities, and an order in which no two rows change places.
//! - Side by side: the pages meet. What has moved is noticed by the totals and by rows that
//!   come twice, unless one change hides another.
//!
//! A page with fewer rows than asked for, even none, is not the end of a list: awork has dropped
//! rows after paging before.

mod overlapping;
mod page;
mod side_by_side;

use std::collections::HashSet;

use crate::error::{Error, ErrorKind};
use crate::settings::MAX_PAGE_SIZE;

pub use page::Page;

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

/// What becomes of a page that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Its rows count, but for those at these places, which have come before.
    Rows(HashSet<usize>),
    /// None of its rows count.
    Nothing,
    /// None of its rows count; these pages are to be read in its place, before all others.
    Again(Vec<Page>),
}

/// What it means that a list changes while it is read: the option `consistency`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Each row that is there all the time comes once, or the reading fails.
    #[default]
    Strict,
    /// What is read counts, and changes that are noticed are told.
    Relaxed,
}

/// How a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// What changes mean.
    pub consistency: Consistency,
    /// Whether rows can be recognised.
    pub has_ids: bool,
    /// Whether a row that is changed may take another place among the others.
    pub rows_move: bool,
}

impl Manner {
    /// Whether pages lie over each other.
    pub fn overlaps(self) -> bool {
        self.consistency == Consistency::Strict && self.has_ids
    }
}

/// The pages of one list. The first page is asked for alone; what it says decides the rest.
#[derive(Debug)]
pub struct Pages {
    /// Whether the specification says that the list has pages.
    declared: bool,
    manner: Manner,
    /// The page that is asked for first.
    first: Page,
    /// The rows of a page, about.
    page_size: u32,
    /// The most rows of a page, as far as the server has shown.
    most: u32,
    overlapping: bool,
    /// The rows of a page by the server, which does not heed what is asked for.
    own_size: Option<u64>,
    /// Whether what answers say of their size has been seen to be wrong.
    ignores_header: bool,
    /// Rows of the first page, once it has come.
    first_rows: Option<u64>,
    /// The last page that was asked for, those left out that were asked for again.
    asked: Option<Page>,
    outstanding: u64,
    /// The end has been reached.
    is_complete: bool,
    /// The rows of the list as the last answer counts them.
    total: Option<u64>,
    /// Whether the answers agree.
    is_steady: bool,
    /// Distinct rows that have come.
    rows: u64,
    /// How many rows of the list have been read, as it was then.
    read_to: u64,
    /// The same, had rows that are missing not been there.
    rows_to: u64,
    /// How often something was asked for again since a page brought something new.
    attempts: u32,
    /// How often a page has come in the place of another one since then.
    repeats: u32,
    /// Whether rows are missing: a page lacks some, or the end was never seen.
    lacks_rows: bool,
    /// Whether the last page has nothing new and is not full.
    seems_over: bool,
    /// Whether nothing new was found then.
    in_vain: bool,
    /// How many pages in a row were empty.
    empty: u32,
    /// The identities of the rows of the last page that brought something new; of all rows where
    /// they move.
    newest: HashSet<u128>,
    /// The last of them.
    last: Option<u128>,
    /// Those of the page before, and of pages that brought nothing new since.
    older: HashSet<u128>,
    fingerprint: Option<u64>,
}

/// An answer, by what it says itself.
struct Answer<'i> {
    page: Page,
    rows: u64,
    ids: &'i [Option<u128>],
    /// Rows per page, by which the server counts.
    size: u64,
    /// The same by its header.
    said_size: Option<u64>,
    /// Rows of the list before this page.
    start: u64,
    /// Rows of the list, unless the page itself shows that there are more.
    total: Option<u64>,
}

impl Answer<'_> {
    /// Rows of the list up to the end of the page, had all come.
    fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }

    /// Rows of the list up to the last one that came, if none is missing.
    fn rows_end(&self) -> u64 {
        self.start.saturating_add(self.rows)
    }

    /// Whether it has as many rows as can be.
    fn is_full(&self) -> bool {
        self.rows >= self.size
    }

    /// Whether the list goes no further.
    fn is_at_end(&self) -> bool {
        self.total.is_some_and(|total| self.end() >= total)
    }
}

impl Pages {
    /// `declared`: whether the specification says that the list has pages. Others are asked
    /// for without paging, and read on only where the answer announces more than it holds.
    pub fn new(declared: bool, page_size: u32, manner: Manner) -> Self {
        let size = page_size.max(1);
        Self {
            declared,
            manner,
            first: Page { number: 1, size },
            page_size: size,
            most: MAX_PAGE_SIZE,
            overlapping: manner.overlaps(),
            own_size: None,
            ignores_header: false,
            first_rows: None,
            asked: None,
            outstanding: 0,
            is_complete: false,
            total: None,
            is_steady: true,
            rows: 0,
            read_to: 0,
            rows_to: 0,
            attempts: 0,
            repeats: 0,
            lacks_rows: false,
            seems_over: false,
            in_vain: false,
            empty: 0,
            newest: HashSet::new(),
            last: None,
            older: HashSet::new(),
            fingerprint: None,
        }
    }

    /// The pages of a list with pages, from a later one on. Those that follow may have
    /// `page_size` rows.
    pub fn starting_at(first: Page, page_size: u32, manner: Manner) -> Self {
        Self { first, ..Self::new(true, page_size, manner) }
    }

    /// The page that is asked for first.
    pub fn first(&self) -> Page {
        self.first
    }

    /// Distinct rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next page that can be asked for now, if any.
    pub fn request(&mut self) -> Option<Page> {
        let next = match self.asked {
            None => self.first,
            Some(_) if self.is_complete => return None,
            Some(last) => {
                let is_announced = self.total.is_some_and(|total| last.end() < total);
                match self.outstanding {
                    _ if is_announced => self.ahead(last),
                    0 => self.after_all(last),
                    _ => return None,
                }
            }
        };
        self.outstanding += 1;
        self.asked = Some(next);
        Some(next)
    }

    /// Whether a page is asked for with `page` and `pageSize`.
    pub fn is_paged(&self) -> bool {
        self.declared || self.first_rows.is_some()
    }

    /// Whether every page has been asked for and has come.
    pub fn is_done(&self) -> bool {
        self.outstanding == 0 && self.is_complete
    }

    /// Takes note of a page, in the order of the pages. `rows` is how many it brought, `ids`
    /// their identities.
    pub fn received(
        &mut self,
        page: Page,
        rows: usize,
        ids: &[Option<u128>],
        info: PageInfo,
    ) -> Result<Received, Error> {
        self.outstanding -= 1;
        if self.is_complete {
            // Asked for when the list was longer.
            return Ok(Received::Nothing);
        }
        let mut answer = self.answer(page, rows as u64, ids, info);
        if let Some(size) = self.size_of_its_own(&answer) {
            // Its pages cannot be made to overlap.
            self.overlapping = false;
            self.own_size = Some(size);
            self.page_size = u32::try_from(size).unwrap_or(u32::MAX);
            self.asked = self.asked.map(|asked| Page { size: self.page_size, ..asked });
            self.read_to = size.saturating_mul(page.number - 1);
            answer = self.answer(page, rows as u64, ids, info);
        }
        let same_bytes = info.fingerprint.is_some() && info.fingerprint == self.fingerprint;
        self.fingerprint = info.fingerprint;
        let received = if self.first_rows.is_none() {
            self.received_first(&answer)?
        } else if same_bytes && rows > 0 {
            self.repeated(&answer)?
        } else if self.overlapping {
            self.received_over(&answer)?
        } else {
            self.received_beside(&answer)?
        };
        if let Received::Again(pages) = &received {
            self.outstanding += pages.len() as u64;
        }
        Ok(received)
    }

    /// What there is to tell of the list of a resource that has been read: that rows are missing,
    /// or may be.
    pub fn remark(&self, resource: &str) -> Option<String> {
        let expected = self.total.map(|total| total.saturating_sub(self.first.start()));
        let is_sure = self.is_steady || self.lacks_rows || !self.overlapping;
        match expected.filter(|&expected| is_sure && expected > self.rows) {
            Some(expected) => Some(format!(
                "awork announced {expected} rows of \"{resource}\" and sent {}",
                self.rows
            )),
            None if self.is_steady || self.overlapping => None,
            None => Some(format!("the list of \"{resource}\" changed while it was read")),
        }
    }

    /// The size of the server's pages, where a page that does not go on from the one before shows
    /// that it is not the one that was asked for.
    fn size_of_its_own(&self, answer: &Answer<'_>) -> Option<u64> {
        let first_rows = self.first_rows.filter(|_| self.own_size.is_none() && answer.rows > 0)?;
        if self.places_of_known(answer.ids).next().is_some() {
            return None;
        }
        if self.overlapping && answer.size != u64::from(answer.page.size) {
            return Some(answer.size).filter(|_| answer.start == self.read_to);
        }
        let is_second = answer.page.number == self.first.number + 1;
        let is_short = (1..self.first.size.into()).contains(&first_rows);
        let is_past_the_end = self.total.is_some_and(|total| answer.start >= total);
        // What the header says is taken for true, unless rows come where there can be none.
        let is_said = answer.said_size == Some(answer.page.size.into());
        let is_alike = (answer.rows == first_rows && !is_said) || is_past_the_end;
        (is_second && is_short && is_alike).then_some(first_rows)
    }

    /// The places of the rows that have come before, as far as that is known.
    fn places_of_known(&self, ids: &[Option<u128>]) -> impl Iterator<Item = usize> {
        let is_known = |id: &u128| self.newest.contains(id) || self.older.contains(id);
        let known = ids.iter().enumerate().filter(move |(_, id)| id.as_ref().is_some_and(is_known));
        known.map(|(place, _)| place)
    }

    fn answer<'i>(
        &self,
        page: Page,
        rows: u64,
        ids: &'i [Option<u128>],
        info: PageInfo,
    ) -> Answer<'i> {
        let asked = u64::from(page.size);
        // A full page of the size that was asked for says more than the header.
        // A server gives fewer rows than are asked for, or more, but does not say so of neither.
        let is_possible = |size: u64| size > 0 && (size <= asked || rows > asked);
        let said = info.page_size.filter(|&size| is_possible(size) && !self.ignores_header);
        let size = match self.own_size.or(said) {
            _ if rows == asked && self.is_paged() && self.own_size.is_none() => asked,
            Some(size) => size,
            None if rows > asked || !self.is_paged() => rows,
            None => asked,
        };
        let start = (page.number - 1).saturating_mul(size);
        let is_plausible = |&total: &u64| rows == 0 || total >= start.saturating_add(rows);
        let total = info.total.filter(is_plausible);
        Answer { page, rows, ids, size, said_size: info.page_size, start, total }
    }

    fn received_first(&mut self, answer: &Answer<'_>) -> Result<Received, Error> {
        let announced_more = answer.total.is_some_and(|total| total > answer.rows_end());
        if self.overlapping && answer.rows == 0 && announced_more && self.empty == 0 {
            // Nothing could lie over an empty page.
            self.empty = 1;
            return Ok(Received::Again(vec![answer.page]));
        }
        self.first_rows = Some(answer.rows);
        self.ignores_header = answer.said_size.is_some_and(|said| said != answer.size);
        if answer.size != u64::from(answer.page.size) {
            self.page_size = u32::try_from(answer.size).unwrap_or(u32::MAX).max(1);
            if self.declared && self.page_size < answer.page.size {
                self.most = self.page_size;
            }
            self.asked = Some(Page { size: self.page_size, ..answer.page });
        }
        self.overlapping &= answer.rows > 0 && answer.ids.iter().all(Option::is_some);
        let repeated = self.accept(answer, 0);
        // awork may count after it has read, and a row may go in between.
        let may_go_on = self.overlapping && self.declared && answer.is_full();
        self.is_complete = match answer.total {
            Some(_) => !announced_more && !may_go_on,
            None => !self.declared || answer.rows == 0,
        };
        Ok(Received::Rows(repeated))
    }

    /// Takes note of a page, of whose rows the first `known` are known not to be new; returns the
    /// places of all that are not.
    fn accept(&mut self, answer: &Answer<'_>, known: usize) -> HashSet<usize> {
        let mut repeated: HashSet<usize> =
            (0..known).chain(self.places_of_known(answer.ids)).collect();
        let mut ids = HashSet::with_capacity(answer.ids.len());
        for (place, id) in answer.ids.iter().enumerate() {
            // A page may have a row twice.
            if id.is_some_and(|id| !ids.insert(id)) {
                repeated.insert(place);
            }
        }
        let new = answer.rows - repeated.len() as u64;
        self.rows += new;
        self.in_vain = new == 0;
        let has_last = self.last.is_none_or(|last| ids.contains(&last));
        let goes_on = !self.overlapping || has_last;
        if self.in_vain && !self.manner.rows_move {
            self.older.extend(ids);
        } else {
            self.last = answer.ids.last().copied().flatten();
            if goes_on && !self.manner.rows_move {
                self.older = std::mem::replace(&mut self.newest, ids);
            } else {
                // The rest of the newest page may be still to come.
                self.newest.extend(ids);
            }
        }
        self.lacks_rows |= !answer.is_at_end() && !answer.is_full();
        self.seems_over = self.in_vain && !answer.is_full();
        if !self.in_vain {
            (self.attempts, self.repeats, self.empty) = (0, 0, 0);
        }
        if let Some(total) = answer.total {
            self.is_steady &= self.total.is_none_or(|before| before == total);
            self.total = Some(total);
        } else if self.total.is_some_and(|total| total < answer.rows_end()) {
            (self.is_steady, self.total) = (false, None);
        }
        // The rows that a page in the middle lacks are none of those that follow.
        let in_the_middle = self.total.is_some_and(|total| answer.end() < total);
        let read_to = if in_the_middle { answer.end() } else { answer.rows_end() };
        if self.in_vain {
            self.read_to = self.read_to.max(read_to);
        } else {
            (self.read_to, self.rows_to) = (read_to, answer.rows_end());
        }
        repeated
    }

    /// A page that is the one before once more.
    fn repeated(&mut self, answer: &Answer<'_>) -> Result<Received, Error> {
        let is_whole = self.total.is_none() && answer.rows < answer.size;
        let is_past_the_end = self.total.is_some_and(|total| answer.start >= total);
        if !self.declared || is_whole || is_past_the_end {
            // It has no pages, so that what came is all there is.
            self.is_complete = true;
            return Ok(Received::Nothing);
        }
        Err(Error::new(
            ErrorKind::BadReply,
            format!("page {} repeats the rows of the page before", answer.page.number),
        )
        .hint("The server seems to ignore the parameter \"page\", so that the list cannot be read to its end."))
    }

    fn ahead(&mut self, last: Page) -> Page {
        let over = || Page::over(last.end(), self.page_size, self.most);
        let over = self.overlapping.then(over).flatten();
        // Pages of some sizes cannot be made to overlap.
        self.overlapping = over.is_some();
        over.unwrap_or_else(|| last.following())
    }

    /// What to look for where all that is announced has been asked for and has come, and yet
    /// the end has not been seen.
    fn after_all(&self, last: Page) -> Page {
        let is_alone = last == self.first && self.first_rows < Some(last.size.into());
        let may_follow = match self.total {
            // The page may be as large as pages are here.
            Some(_) => is_alone,
            None => self.seems_over,
        };
        if !self.overlapping || may_follow {
            return last.following();
        }
        Page::over(self.read_to, self.page_size, self.most).unwrap_or(last.following())
    }
}

/// The list does not stay as it is for long enough.
fn changed() -> Error {
    Error::new(ErrorKind::Changed, "the list kept changing while it was read").hint(
        "Try again. With the option consistency 'relaxed' of the foreign table or server, what \
         was read counts, and a warning tells of changes.",
    )
}

#[cfg(test)]
mod overlapping_tests;
#[cfg(test)]
mod side_by_side_tests;
