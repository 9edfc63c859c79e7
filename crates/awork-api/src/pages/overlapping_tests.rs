use super::*;

const STRICT: Manner = Manner { consistency: Consistency::Strict, has_ids: true, rows_move: false };

fn strict(page_size: u32) -> Pages {
    Pages::new(true, page_size, STRICT)
}

fn numbers(range: std::ops::Range<u128>) -> Vec<u128> {
    range.collect()
}

/// Rows of a list on a page, and what the server says of them.
fn answer(list: &[u128], page: Page) -> (Vec<u128>, PageInfo) {
    let rows = list.iter().skip(page.start() as usize).take(page.size as usize);
    (rows.copied().collect(), info(list.len() as u64))
}

fn info(total: u64) -> PageInfo {
    PageInfo { total: Some(total), ..PageInfo::default() }
}

/// What is read from a server that gets the pages one by one: how many requests it took, and the
/// rows.
fn read(
    pages: &mut Pages,
    mut server: impl FnMut(Page) -> (Vec<u128>, PageInfo),
) -> Result<(usize, Vec<u128>), Error> {
    let (mut requests, mut rows) = (0, Vec::new());
    let mut first = Vec::new();
    while !pages.is_done() {
        let page = first.pop().or_else(|| pages.request()).expect("a page");
        requests += 1;
        assert!(requests < 1000, "no end");
        let (ids, info) = server(page);
        let some: Vec<_> = ids.iter().copied().map(Some).collect();
        match pages.received(page, ids.len(), &some, info)? {
            Received::Rows(repeated) => {
                rows.extend((0..ids.len()).filter(|i| !repeated.contains(i)).map(|i| ids[i]));
            }
            Received::Nothing => {}
            Received::Again(pages) => first.extend(pages.into_iter().rev()),
        }
    }
    assert_eq!(pages.request(), None);
    Ok((requests, rows))
}

#[test]
fn each_page_begins_with_the_last_row_of_the_one_before() {
    let mut pages = strict(10);
    let mut starts = Vec::new();
    let read = read(&mut pages, |page| {
        starts.push((page.start(), page.end()));
        answer(&numbers(0..30), page)
    });
    assert_eq!(read.unwrap(), (4, numbers(0..30)));
    assert!(starts.windows(2).all(|two| two[1].0 < two[0].1), "{starts:?}");
    assert_eq!(pages.remark("tasks"), None);
}

#[test]
fn a_list_of_one_page_takes_one_request() {
    // A full page may not be the last: awork may count after it has read.
    for (rows, requests) in [(0, 1), (1, 1), (9, 1), (10, 2)] {
        let read = read(&mut strict(10), |page| answer(&numbers(0..rows), page)).unwrap();
        assert_eq!(read, (requests, numbers(0..rows)));
    }
}

#[test]
fn a_total_that_is_younger_than_the_rows_hides_none() {
    let list = numbers(0..31);
    let (_, rows) = read(&mut strict(10), |page| {
        let (rows, _) = answer(&list, page);
        // Another row has gone meanwhile, one of those that were read.
        (rows, info(30))
    })
    .unwrap();
    assert_eq!(rows, list);
}

#[test]
fn rows_that_never_come_are_told_although_the_total_changes() {
    let mut total = 30;
    let mut pages = strict(10);
    let (_, rows) = read(&mut pages, |page| {
        let (mut rows, _) = answer(&numbers(0..30), page);
        rows.retain(|row| *row != 15);
        total += 1;
        (rows, info(total))
    })
    .unwrap();
    assert_eq!(rows.len(), 29);
    assert!(pages.remark("tasks").is_some());
}

#[test]
fn a_server_that_gives_smaller_pages_is_asked_for_none_that_are_larger() {
    for most in [3, 7, 10, 41, 50, 99] {
        let list = numbers(0..1000);
        let (_, rows) = read(&mut strict(100), |page| {
            let size = page.size.min(most);
            let (rows, info) = answer(&list, Page { size, ..page });
            (rows, PageInfo { page_size: Some(size.into()), ..info })
        })
        .unwrap_or_else(|error| panic!("{most}: {error:?}"));
        assert_eq!(rows, list, "{most}");
    }
}

#[test]
fn without_totals_a_first_page_that_is_cut_is_not_the_end() {
    let mut asked = 0;
    let (_, rows) = read(&mut strict(10), |page| {
        asked += 1;
        let (mut rows, _) = answer(&numbers(0..30), page);
        rows.truncate(if asked == 1 { 3 } else { 10 });
        (rows, PageInfo::default())
    })
    .unwrap();
    assert_eq!(rows, numbers(0..30));
}

#[test]
fn a_row_that_goes_takes_no_other_one_along() {
    // With and without another one that comes, so that the total stays the same.
    for comes in [0, 1] {
        let mut list = numbers(0..30);
        let mut pages = strict(10);
        let (_, rows) = read(&mut pages, |page| {
            let answer = answer(&list, page);
            if page.start() == 0 && page.size == 10 && list[0] == 0 {
                list.remove(0);
                list.extend(numbers(100..100 + comes));
            }
            answer
        })
        .unwrap();
        assert!(rows.starts_with(&numbers(0..30)), "{rows:?}");
        assert_eq!(pages.remark("tasks"), None);
    }
}

#[test]
fn rows_that_come_in_front_make_no_other_one_come_twice() {
    let mut list = numbers(100..130);
    let mut next = 99;
    let (_, rows) = read(&mut strict(10), |page| {
        let answer = answer(&list, page);
        if next > 90 {
            list.insert(0, next);
            next -= 1;
        }
        answer
    })
    .unwrap();
    assert_eq!(rows, numbers(100..130));
}

#[test]
fn a_list_that_never_rests_is_an_error() {
    // Before each answer as many rows go as a page has.
    let mut list = numbers(0..1000);
    let error = read(&mut strict(10), |page| {
        let answer = answer(&list, page);
        list.drain(..10);
        answer
    });
    let error = error.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Changed);
    assert_eq!(error.message, "the list kept changing while it was read");
}

#[test]
fn rows_that_a_page_lacks_are_asked_for_again() {
    // Pages that are cut, empty, another one, or of another size, at any place, once.
    let list = numbers(0..50);
    for fault in 0..4 {
        for at in 0..8 {
            let mut asked = 0;
            let read = read(&mut strict(10), |page| {
                asked += 1;
                let (mut rows, said) = answer(&list, page);
                match fault {
                    _ if asked != at + 1 => return (rows, said),
                    0 => rows.truncate(5),
                    1 => rows.clear(),
                    2 => return answer(&list, Page { number: 1, ..page }),
                    _ => {
                        let (rows, said) = answer(&list, Page { size: 4, ..page });
                        return (rows, PageInfo { page_size: Some(4), ..said });
                    }
                }
                (rows, said)
            });
            let (requests, rows) = read.unwrap_or_else(|e| panic!("{fault} at {at}: {e:?}"));
            assert_eq!(rows, list, "{fault} at {at}");
            // Where it was the first page, the others are taken to be as small.
            let most = if fault == 3 && at == 0 { 25 } else { 14 };
            assert!(requests <= most, "{fault} at {at}: {requests}");
        }
    }
}

#[test]
fn rows_that_never_come_are_told() {
    // awork has dropped rows after paging: row 5, then the last of the first page, then the last.
    for dropped in [5, 9, 29] {
        let mut pages = strict(10);
        let (_, rows) = read(&mut pages, |page| {
            let (mut rows, info) = answer(&numbers(0..30), page);
            rows.retain(|row| *row != dropped);
            (rows, info)
        })
        .unwrap();
        assert_eq!(rows.len(), 29);
        assert_eq!(
            pages.remark("tasks").as_deref(),
            Some("awork announced 30 rows of \"tasks\" and sent 29")
        );
    }
}

#[test]
fn totals_that_lie_are_seen_through() {
    for total in [7, 12, 31, 1000, u64::MAX] {
        let (requests, rows) = read(&mut strict(10), |page| {
            let (rows, _) = answer(&numbers(0..30), page);
            (rows, info(total))
        })
        .unwrap();
        assert_eq!(rows, numbers(0..30), "{total}");
        assert!(requests < 12, "{total}: {requests}");
    }
}

#[test]
fn without_a_total_a_page_with_nothing_new_is_the_end() {
    for rows in [9, 10, 11, 18, 19, 30] {
        let read = read(&mut strict(10), |page| {
            let (rows, _) = answer(&numbers(0..rows), page);
            (rows, PageInfo::default())
        });
        assert_eq!(read.unwrap().1, numbers(0..rows));
    }
}

#[test]
fn a_server_with_a_page_size_of_its_own_is_read_to_its_end() {
    for (said, total) in [(Some(7), 30), (Some(1000), 30), (None, 30), (Some(1000), 9)] {
        let list = numbers(0..total);
        let read = read(&mut strict(10), |page| {
            let (rows, info) = answer(&list, Page { size: 7, ..page });
            (rows, PageInfo { page_size: said, ..info })
        });
        assert_eq!(read.unwrap().1, list, "{said:?} {total}");
    }
}

#[test]
fn a_server_that_ignores_the_page_is_noticed() {
    let first = Page { number: 1, size: 10 };
    let error = read(&mut strict(10), |_| answer(&numbers(0..30), first)).unwrap_err();
    assert_eq!(error.message, "page 2 repeats the rows of the page before");
}

#[test]
fn undeclared_lists_that_announce_more_are_read_on() {
    let list = numbers(0..25);
    let mut asked = 0;
    let read = read(&mut Pages::new(false, 1000, STRICT), |page| {
        asked += 1;
        answer(&list, if asked == 1 { Page { number: 1, size: 10 } } else { page })
    });
    assert_eq!(read.unwrap().1, list);
}

#[test]
fn undeclared_lists_that_announce_more_than_they_have_are_left_at_that() {
    let mut pages = Pages::new(false, 1000, STRICT);
    let read = read(&mut pages, |_| (numbers(0..998), info(1000)));
    assert_eq!(read.unwrap(), (2, numbers(0..998)));
    assert_eq!(
        pages.remark("tasks").as_deref(),
        Some("awork announced 1000 rows of \"tasks\" and sent 998")
    );
}

#[test]
fn rows_that_move_must_not() {
    let manner = Manner { rows_move: true, ..STRICT };
    let mut list = numbers(0..30);
    let still = read(&mut Pages::new(true, 10, manner), |page| answer(&list, page));
    assert_eq!(still.unwrap().1, list);
    let moved = read(&mut Pages::new(true, 10, manner), |page| {
        let answer = answer(&list, page);
        let last = list.pop().unwrap_or_default();
        list.insert(0, last);
        answer
    });
    assert_eq!(moved.unwrap_err().kind, ErrorKind::Changed);
}
