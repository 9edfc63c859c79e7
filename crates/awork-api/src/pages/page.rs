//! A page of a list, and which one follows another.

use crate::settings::MAX_PAGE_SIZE;

/// A page as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    /// Counted from 1, in pages of this size.
    pub number: u64,
    /// Rows, at the most.
    pub size: u32,
}

impl Page {
    /// What has no pages, or of which one is enough.
    pub(crate) const ONLY: Self = Self { number: 1, size: 1 };

    /// Rows before it.
    pub fn start(self) -> u64 {
        (self.number - 1).saturating_mul(self.size.into())
    }

    /// Rows up to its end.
    pub fn end(self) -> u64 {
        self.number.saturating_mul(self.size.into())
    }

    /// The next page of the same size.
    pub(super) fn following(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }

    /// The page to ask for after this one, of about `size` rows and of `most` at the most.
    pub(crate) fn after(self, size: u32, most: u32, overlapping: bool) -> Self {
        let over = overlapping.then(|| Self::over(self.end(), size, most)).flatten();
        over.unwrap_or_else(|| self.following())
    }

    /// The page that begins before the row `end`, by a row at least, and reaches the farthest
    /// beyond, of about `size` rows and of `most` at the most: pages begin at multiples of their
    /// sizes. None where there is no such page.
    pub(super) fn over(end: u64, size: u32, most: u32) -> Option<Self> {
        let reaching = |size: u32| {
            let number = end.saturating_sub(1) / u64::from(size) + 1;
            Some(Self { number, size }).filter(|page| page.end() > end)
        };
        let most = most.clamp(1, MAX_PAGE_SIZE);
        let size = size.clamp(1, most);
        let near = size / 2 + 1..=most.min(size + size / 8);
        let farthest = near.filter_map(reaching).max_by_key(|page| page.end());
        farthest
            .or_else(|| (size..=most.min(size + 32)).find_map(reaching))
            .or_else(|| (2..size).rev().find_map(reaching))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lie_over_the_end_of_the_one_before() {
        for size in [2, 3, 7, 10, 50, 100, 999, 1000] {
            let mut end = u64::from(size);
            for _ in 0..2000 {
                let page = Page::over(end, size, MAX_PAGE_SIZE).unwrap();
                assert!(page.start() < end && end < page.end(), "{page:?} over {end}");
                assert!(page.size <= size + 32, "{page:?} for {size}");
                end = page.end();
            }
        }
        let page = |number, size| Page { number, size };
        assert_eq!(Page::over(1000, 1000, MAX_PAGE_SIZE), Some(page(2, 999)));
        assert_eq!(Page::over(1998, 1000, MAX_PAGE_SIZE), Some(page(3, 998)));
        assert_eq!(Page::over(1, 1, MAX_PAGE_SIZE), Some(page(1, 2)));
        assert_eq!(Page::over(0, 1000, MAX_PAGE_SIZE), Some(page(1, 1000)));
    }

    #[test]
    fn few_more_pages_are_needed_than_without() {
        for (rows, most) in [(990, 1), (1_990, 2), (4_980, 5), (100_000, 104), (1_000_000, 1_040)] {
            let (mut end, mut pages) = (1000, 1);
            while end < rows {
                end = Page::over(end, 1000, MAX_PAGE_SIZE).unwrap().end();
                pages += 1;
            }
            assert!(pages <= most, "{pages} pages for {rows} rows");
        }
    }
}
