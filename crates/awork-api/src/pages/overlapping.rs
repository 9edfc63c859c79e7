//! Pages that lie over each other.
//!
//! Why nothing is missed and nothing comes twice: let a row be there from the first answer to the
//! last, and let no two rows change places. All such rows up to the last one of a page have come, to
//! begin with. If another page has a row of that page, what follows in it either has come with that
//! page, and is known by it, or comes after all that has come; and nothing is left out between them,
//! so that the same holds of the new last row. The end of the list is where such a page reaches it.

use super::{Answer, Page, Pages, Received, changed};
use crate::error::Error;

/// The most pages that are read in the place of one.
const MOST: usize = 16;

impl Pages {
    pub(super) fn received_over(&mut self, answer: &Answer<'_>) -> Result<Received, Error> {
        let known: Vec<usize> = self.places_of_known(answer.ids).collect();
        let is_newest =
            |place: &usize| answer.ids[*place].is_some_and(|id| self.newest.contains(&id));
        let last = known.iter().copied().rfind(is_newest);
        if !self.declared && !known.is_empty() && known.len() == answer.ids.len() {
            return self.repeated(answer);
        }
        if self.manner.rows_move {
            let expected = self.read_to.saturating_sub(answer.start);
            let is_as_before = known.len() as u64 == expected
                && last.is_none_or(|last| last + 1 == known.len())
                && (answer.total.is_none() || answer.total == self.total);
            if !is_as_before || known.is_empty() {
                return Err(changed());
            }
        }
        let is_full = answer.is_full();
        let Some(last) = last else {
            if known.is_empty() || !is_full {
                return self.again(answer);
            }
            // Rows that came in front have moved rows to this page that came long before.
            self.read_to = self.read_to.max(answer.end());
            return Ok(Received::Nothing);
        };
        let has_nothing_new = last + 1 == answer.ids.len();
        let is_longer = answer.total.is_some() && answer.total > self.total;
        let is_next = self.attempts == 0 && answer.end() > self.read_to && is_full;
        if has_nothing_new && is_next && !answer.is_at_end() && !is_longer {
            // Another page than was asked for.
            self.repeats += 1;
            return match self.repeats {
                1 => Ok(Received::Again(vec![answer.page])),
                _ if Some(self.rows) == self.first_rows => self.repeated(answer),
                _ => self.again(answer),
            };
        }
        let repeated = self.accept(answer, last + 1);
        if self.in_vain && answer.is_at_end() {
            self.empty += 1;
        }
        self.is_complete = match self.total {
            // What is missing there has been looked for twice.
            Some(total) => {
                // awork may count after it has read, and a row may go in between.
                let is_over = answer.rows_end() >= total && !(is_full && self.declared);
                self.lacks_rows |= !is_over && self.empty > 1;
                is_over || self.empty > 1
            }
            // An empty page is.
            None => false,
        };
        Ok(Received::Rows(repeated))
    }

    /// Between the page and what has been read there may be rows, which are to be read first.
    fn again(&mut self, answer: &Answer<'_>) -> Result<Received, Error> {
        if answer.rows == 0 && self.total.is_none() && self.seems_over {
            self.is_complete = true;
            return Ok(Received::Nothing);
        }
        let is_said_to_have_rows = answer.total.is_some_and(|total| answer.start < total);
        if answer.rows == 0 && is_said_to_have_rows && self.in_vain && self.attempts > 0 {
            // What comes before it has been looked at again, and goes no further.
            self.empty += 1;
            self.is_complete = self.empty > 1;
            self.lacks_rows = true;
            return Ok(Received::Nothing);
        }
        self.attempts += 1;
        let size = u64::from(self.page_size);
        let (read_to, by) = match self.attempts {
            1 => (self.read_to, size / 4),
            2 => (self.rows_to, size / 4),
            3 => (self.rows_to, size),
            4 => (self.rows_to, size * 4),
            _ => return Err(changed()),
        };
        let to = self.total.map_or(answer.page.end(), |total| answer.page.end().min(total));
        let over = |end: u64, by| {
            Page::over(end.saturating_sub(by).saturating_add(1), self.page_size, self.most)
        };
        let pages = std::iter::successors(over(read_to, by), |page| {
            let next = over(page.end(), size / 4).filter(|next| next.end() > page.end());
            next.or_else(|| over(page.end(), 1)).filter(|_| page.end() < to)
        });
        let pages: Vec<Page> = pages.take(MOST).collect();
        if pages.is_empty() { Err(changed()) } else { Ok(Received::Again(pages)) }
    }
}
