//! Rendered pages, kept so that a page that is asked for again costs no more than sending it.
//! Benchmarks and tests measure the client, which shares the machine with the sandbox.

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Bodies below this are sent as they are.
const WORTH_COMPRESSING: usize = 512;
/// How many pages are about to be kept, from which the cache derives how it is divided.
const EXPECTED: usize = 128;

/// Some rows of a list as they go on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) body: Bytes,
    /// Whether the body is compressed.
    pub(crate) packed: bool,
    /// The bytes of the body before that.
    pub(crate) plain_length: usize,
}

impl Page {
    /// A page as it was rendered.
    pub(crate) fn plain(body: Vec<u8>) -> Page {
        Page { plain_length: body.len(), packed: false, body: body.into() }
    }

    fn packed(self) -> Page {
        match pack(&self.body) {
            Some(body) => Page { body, packed: true, ..self },
            None => self,
        }
    }
}

/// Compresses a body that is worth it.
pub(crate) fn pack(body: &[u8]) -> Option<Bytes> {
    if body.len() < WORTH_COMPRESSING {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).ok().map(Bytes::from)
}

/// What tells one page from another: the list in its order, the places in it, and the coding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    list: String,
    rows: Range<usize>,
    packed: bool,
}

/// Counts the bytes of a page and of its key.
#[derive(Debug, Clone)]
struct Bytewise;

impl Weighter<Key, Page> for Bytewise {
    fn weight(&self, key: &Key, page: &Page) -> u64 {
        (page.body.len() + key.list.len() + size_of::<(Key, Page)>()) as u64
    }
}

/// The pages that are kept. They hold for the data of now; a change has to clear them.
#[derive(Debug)]
pub(crate) struct Prepared(Cache<Key, Page, Bytewise>);

impl Prepared {
    /// Keeps pages of so many bytes together; none at all with 0.
    pub(crate) fn new(bytes: u64) -> Prepared {
        Prepared(Cache::with_weighter(EXPECTED, bytes, Bytewise))
    }

    /// These rows of a list, which `render` renders unless they are kept. Of requests for one
    /// page at a time, one renders it and the others wait.
    pub(crate) fn page(
        &self,
        list: &str,
        rows: Range<usize>,
        packed: bool,
        render: impl FnOnce() -> Vec<u8>,
    ) -> Page {
        let key = Key { list: list.to_owned(), rows, packed };
        let page = || {
            if !packed {
                return Page::plain(render());
            }
            let plain = self.0.peek(&Key { packed: false, ..key.clone() });
            plain.unwrap_or_else(|| Page::plain(render())).packed()
        };
        match self.0.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(page())) {
            Ok(page) => page,
            Err(never) => match never {},
        }
    }

    /// Forgets all pages.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(size: usize) -> Vec<u8> {
        vec![b'x'; size]
    }

    #[test]
    fn renders_once() {
        let prepared = Prepared::new(1 << 20);
        let first = prepared.page("a", 0..9, false, || body(1000));
        let again = prepared.page("a", 0..9, false, || unreachable!("the page is kept"));
        assert_eq!(first.body, again.body);
        let packed = prepared.page("a", 0..9, true, || unreachable!("its plain form is kept"));
        assert!(packed.packed && packed.body.len() < 1000 && packed.plain_length == 1000);
        prepared.clear();
        assert_eq!(prepared.page("a", 0..9, false, || body(5)).body.len(), 5);
    }

    #[test]
    fn tells_pages_apart() {
        let prepared = Prepared::new(1 << 20);
        for (size, (list, rows)) in [("a", 0..9), ("a", 0..8), ("b", 0..9)].iter().enumerate() {
            let page = prepared.page(list, rows.clone(), false, || body(size));
            assert_eq!(page.body.len(), size);
        }
    }

    #[test]
    fn holds_no_more_than_it_may() {
        let prepared = Prepared::new(100_000);
        for i in 0..1000 {
            assert_eq!(prepared.page("a", 0..i, false, || body(3000)).body.len(), 3000);
        }
        assert!((30_000..=100_000).contains(&prepared.0.weight()), "{}", prepared.0.weight());
        let none = Prepared::new(0);
        none.page("a", 0..9, false, || body(1000));
        assert_eq!(none.page("a", 0..9, false, || body(5)).body.len(), 5);
    }

    #[test]
    fn small_pages_are_not_compressed() {
        let page = Prepared::new(1 << 20).page("a", 0..1, true, || body(100));
        assert!(!page.packed && page.body.len() == 100);
    }
}
