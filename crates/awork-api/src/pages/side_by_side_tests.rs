use super::*;

const RELAXED: Manner =
    Manner { consistency: Consistency::Relaxed, has_ids: true, rows_move: false };

fn relaxed(declared: bool, page_size: u32) -> Pages {
    Pages::new(declared, page_size, RELAXED)
}

/// Reads a list from a server that is a function of the page's number; returns the numbers of the
/// pages asked for and the number of distinct rows.
fn read(
    pages: &mut Pages,
    server: impl Fn(u64) -> (Vec<Option<u128>>, PageInfo),
) -> Result<(Vec<u64>, usize), Error> {
    let (mut asked, mut rows) = (Vec::new(), 0);
    while !pages.is_done() {
        let page = pages.request().expect("a page, since none is outstanding");
        assert!(page.number < 100, "no end");
        asked.push(page.number);
        let (ids, info) = server(page.number);
        rows += match pages.received(page, ids.len(), &ids, info)? {
            Received::Rows(repeated) => ids.len() - repeated.len(),
            Received::Nothing => 0,
            Received::Again(pages) => panic!("{pages:?} again"),
        };
    }
    assert_eq!(pages.request(), None);
    Ok((asked, rows))
}

fn slice(page: u64, size: u64, total: u64) -> Vec<Option<u128>> {
    ((page - 1) * size..(page * size).min(total)).map(|id| Some(id.into())).collect()
}

fn info(total: u64) -> PageInfo {
    PageInfo { total: Some(total), ..PageInfo::default() }
}

#[test]
fn announced_pages_are_read_and_no_more() {
    for (total, pages) in [(0, 1), (1, 1), (10, 1), (11, 2), (30, 3), (31, 4)] {
        let read = read(&mut relaxed(true, 10), |p| (slice(p, 10, total), info(total))).unwrap();
        assert_eq!(read, ((1..=pages).collect(), total as usize));
    }
}

#[test]
fn pages_after_the_first_can_be_in_flight_together() {
    let mut pages = relaxed(true, 10);
    let page = |number| Some(Page { number, size: 10 });
    assert_eq!(pages.request(), page(1));
    assert_eq!(pages.request(), None);
    pages.received(page(1).unwrap(), 10, &slice(1, 10, 35), info(35)).unwrap();
    assert_eq!([(); 4].map(|()| pages.request()), [page(2), page(3), page(4), None]);
    assert!(!pages.is_done());
}

#[test]
fn without_a_total_an_empty_page_is_the_end() {
    let read = read(&mut relaxed(true, 10), |p| (slice(p, 10, 20), PageInfo::default()));
    assert_eq!(read.unwrap(), (vec![1, 2, 3], 20));
}

#[test]
fn a_short_page_is_not_the_end() {
    let mut pages = relaxed(true, 10);
    let server = |p| (slice(p, 10, 30).split_off(usize::from(p == 1) * 2), info(30));
    assert_eq!(read(&mut pages, server).unwrap(), (vec![1, 2, 3, 4], 28));
    assert_eq!(
        pages.remark("tasks").as_deref(),
        Some("awork announced 30 rows of \"tasks\" and sent 28")
    );
}

#[test]
fn an_emptied_page_in_the_middle_is_not_the_end() {
    let mut pages = relaxed(true, 10);
    let server = |p| (if p == 2 { Vec::new() } else { slice(p, 10, 30) }, info(30));
    assert_eq!(read(&mut pages, server).unwrap(), (vec![1, 2, 3, 4], 20));
    assert_eq!(
        pages.remark("tasks").as_deref(),
        Some("awork announced 30 rows of \"tasks\" and sent 20")
    );
}

#[test]
fn a_row_that_goes_while_pages_are_read_is_noticed() {
    // A row of page 1 is deleted after it was read, so that row 10 moves there unseen.
    let mut pages = relaxed(true, 10);
    let server = |p| match p {
        1 => (slice(1, 10, 30), info(30)),
        p => {
            (((p - 1) * 10 + 1..(p * 10 + 1).min(30)).map(|id| Some(id.into())).collect(), info(29))
        }
    };
    assert_eq!(read(&mut pages, server).unwrap(), (vec![1, 2, 3, 4], 29));
    assert_eq!(
        pages.remark("tasks").as_deref(),
        Some("awork announced 30 rows of \"tasks\" and sent 29")
    );
}

#[test]
fn a_smaller_page_than_the_header_says_is_noticed() {
    let mut pages = relaxed(true, 1000);
    let answer = PageInfo { total: Some(25), page_size: Some(1000), ..PageInfo::default() };
    assert_eq!(read(&mut pages, |p| (slice(p, 10, 25), answer)).unwrap(), (vec![1, 2, 3], 25));
}

#[test]
fn a_server_that_repeats_its_last_page_past_the_end_is_at_its_end() {
    let mut pages = relaxed(true, 10);
    let server = |p: u64| (slice(p.min(3), 10, 28), info(30));
    assert_eq!(read(&mut pages, server).unwrap(), (vec![1, 2, 3, 4], 28));
}

#[test]
fn a_full_page_says_more_than_the_header() {
    let mut pages = relaxed(true, 10);
    let answer = PageInfo { total: Some(25), page_size: Some(1000), ..PageInfo::default() };
    assert_eq!(read(&mut pages, |p| (slice(p, 10, 25), answer)).unwrap(), (vec![1, 2, 3], 25));
}

#[test]
fn the_servers_page_size_counts() {
    let mut pages = relaxed(true, 1000);
    let answer = PageInfo { total: Some(25), page_size: Some(10), ..PageInfo::default() };
    assert_eq!(read(&mut pages, |p| (slice(p, 10, 25), answer)).unwrap(), (vec![1, 2, 3], 25));
}

#[test]
fn a_list_that_grows_is_read_to_its_new_end() {
    let total = |p| if p == 1 { 20 } else { 25 };
    let read = read(&mut relaxed(true, 10), |p| (slice(p, 10, total(p)), info(total(p))));
    assert_eq!(read.unwrap(), (vec![1, 2, 3], 25));
}

#[test]
fn a_list_that_shrinks_ends_at_the_empty_page() {
    let total = |p| if p == 1 { 30 } else { 12 };
    let read = read(&mut relaxed(true, 10), |p| (slice(p, 10, total(p)), info(total(p))));
    assert_eq!(read.unwrap(), (vec![1, 2, 3], 12));
}

#[test]
fn rows_that_moved_to_the_next_page_come_once() {
    // A row is inserted in front while the pages are read, so that row 9 comes twice.
    let read = read(&mut relaxed(true, 10), |p| match p {
        1 => ((0..10).map(Some).collect(), info(15)),
        2 => ((9..15).map(Some).collect(), info(16)),
        _ => (Vec::new(), info(16)),
    });
    assert_eq!(read.unwrap(), (vec![1, 2, 3], 15));
}

#[test]
fn a_server_that_ignores_the_page_is_noticed() {
    let error = read(&mut relaxed(true, 10), |_| (slice(1, 10, 30), info(30))).unwrap_err();
    assert_eq!(error.message, "page 2 repeats the rows of the page before");
}

#[test]
fn undeclared_lists_are_fetched_once() {
    let mut pages = relaxed(false, 10);
    assert!(!pages.is_paged());
    let read = read(&mut pages, |_| (slice(1, 500, 500), PageInfo::default()));
    assert_eq!(read.unwrap(), (vec![1], 500));
}

#[test]
fn undeclared_lists_that_announce_more_are_read_on() {
    let mut pages = relaxed(false, 1000);
    let read = read(&mut pages, |p| (slice(p, 10, 25), info(25)));
    assert_eq!(read.unwrap(), (vec![1, 2, 3], 25));
    assert!(pages.is_paged());
}

#[test]
fn undeclared_lists_that_announce_more_than_they_have_are_left_at_that() {
    let mut pages = relaxed(false, 1000);
    let read = read(&mut pages, |_| (slice(1, 998, 998), info(1000)));
    assert_eq!(read.unwrap(), (vec![1, 2], 998));
    assert_eq!(
        pages.remark("tasks").as_deref(),
        Some("awork announced 1000 rows of \"tasks\" and sent 998")
    );
}

#[test]
fn a_list_that_ignores_paging_and_is_short_is_whole() {
    let same = PageInfo { fingerprint: Some(7), ..PageInfo::default() };
    let read = read(&mut relaxed(true, 10), |_| (vec![Some(1), None], same));
    assert_eq!(read.unwrap(), (vec![1, 2], 2));
}

#[test]
fn a_repeated_page_of_rows_without_identity_is_noticed() {
    let same = PageInfo { fingerprint: Some(7), ..PageInfo::default() };
    let mut pages = relaxed(true, 10);
    for number in 1..=2 {
        let page = pages.request().unwrap();
        assert_eq!(page, Page { number, size: 10 });
        // The first page is new, the second is the same bytes again.
        assert_eq!(pages.received(page, 10, &[], same).is_err(), number == 2);
    }
}

#[test]
fn a_page_size_beyond_all_numbers_is_no_danger() {
    let mut pages = Pages::starting_at(Page { number: 3, size: 10 }, 10, RELAXED);
    let page = pages.request().unwrap();
    assert_eq!(page.number, 3);
    let info = PageInfo { page_size: Some(u64::MAX), ..info(u64::MAX) };
    assert!(pages.received(page, 2, &[None, None], info).is_ok());
}

#[test]
fn a_total_beyond_all_numbers_is_not_waited_for() {
    let read = read(&mut relaxed(true, 10), |p| (slice(p, 10, 25), info(u64::MAX)));
    assert_eq!(read.unwrap(), (vec![1, 2, 3, 4, 5], 25));
}

#[test]
fn a_total_that_the_page_disproves_is_none() {
    let read = read(&mut relaxed(true, 10), |p| (slice(p, 10, 25), info(7)));
    assert_eq!(read.unwrap(), (vec![1, 2, 3, 4], 25));
}

#[test]
fn rows_without_identity_must_not_change_in_number() {
    let manner = Manner { consistency: Consistency::Strict, has_ids: false, rows_move: false };
    let without_ids = |page, total| vec![None; slice(page, 10, total).len()];
    let steady = read(&mut Pages::new(true, 10, manner), |p| (without_ids(p, 25), info(25)));
    assert_eq!(steady.unwrap(), (vec![1, 2, 3], 25));
    let total = |p| if p == 2 { 24 } else { 25 };
    let changed =
        read(&mut Pages::new(true, 10, manner), |p| (without_ids(p, total(p)), info(total(p))));
    assert_eq!(changed.unwrap_err().kind, ErrorKind::Changed);
}

#[test]
fn changes_are_told() {
    let total = |p| if p == 1 { 20 } else { 25 };
    let mut pages = relaxed(true, 10);
    read(&mut pages, |p| (slice(p, 10, total(p)), info(total(p)))).unwrap();
    assert_eq!(
        pages.remark("tasks").as_deref(),
        Some("the list of \"tasks\" changed while it was read")
    );
}

#[test]
fn identities_are_kept_of_the_last_pages_only() {
    let mut pages = relaxed(true, 10);
    read(&mut pages, |p| (slice(p, 10, 900), info(900))).unwrap();
    assert_eq!(pages.newest.len() + pages.older.len(), 20);
}
