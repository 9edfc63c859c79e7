//! Which pages are asked for, whatever the headers of the answers say.

use std::collections::{BTreeSet, VecDeque};

use awork_api::error::ErrorKind;
use awork_api::pages::{Consistency, Manner, Page, PageInfo, Pages, Received};
use proptest::prelude::*;

use super::hold;

/// A number of a header: small, or as large as can be.
fn number() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (0_u64..40).prop_map(Some),
        any::<u64>().prop_map(Some),
        Just(Some(u64::MAX)),
    ]
}

fn answer() -> impl Strategy<Value = (PageInfo, Vec<Option<u128>>)> {
    let ids = prop::collection::vec(proptest::option::weighted(0.9, 0_u128..60), 0..12);
    (number(), number(), number(), number(), ids).prop_map(|(total, page, page_size, mark, ids)| {
        (PageInfo { total, page, page_size, fingerprint: mark }, ids)
    })
}

#[test]
fn headers_of_any_numbers_are_no_danger() {
    let inputs = (
        (any::<bool>(), any::<bool>(), any::<bool>()),
        1_u32..=1000,
        prop_oneof![Just(1_u64), 2..1_000_000_u64],
        1_usize..5,
        prop::collection::vec(answer(), 1..30),
    );
    hold("pages: any headers", 3000, inputs, |(flags, size, first, window, answers)| {
        let (declared, strict, rows_move) = flags;
        let consistency = if strict { Consistency::Strict } else { Consistency::Relaxed };
        let manner = Manner { consistency, has_ids: true, rows_move };
        let mut pages = match first {
            1 => Pages::new(declared, size, manner),
            number => Pages::starting_at(Page { number, size }, size, manner),
        };
        let mut rows = 0;
        let mut in_flight = VecDeque::new();
        for (info, ids) in answers {
            while in_flight.len() < window
                && let Some(page) = pages.request()
            {
                let _ = pages.is_paged();
                in_flight.push_back(page);
            }
            let Some(page) = in_flight.pop_front() else { break };
            match pages.received(page, ids.len(), &ids, info) {
                Ok(Received::Rows(known)) => {
                    prop_assert!(known.iter().all(|place| *place < ids.len()));
                    rows += ids.len() as u64 - known.len() as u64;
                }
                Ok(Received::Nothing) => {}
                Ok(Received::Again(pages)) => {
                    prop_assert!((1..=16).contains(&pages.len()));
                    for page in pages.into_iter().rev() {
                        in_flight.push_front(page);
                    }
                }
                Err(error) => {
                    prop_assert!([ErrorKind::BadReply, ErrorKind::Changed].contains(&error.kind));
                    return Ok(());
                }
            }
            prop_assert_eq!(pages.rows(), rows);
            let _ = pages.remark("tasks");
        }
        prop_assert!(!pages.is_done() || in_flight.is_empty());
        Ok(())
    });
}

/// What an answer has: rows and the total.
type Seen = (Vec<u128>, u64);

/// A change of a list between two answers.
#[derive(Debug, Clone)]
enum Change {
    /// The row at a place of a thousand goes.
    Delete(usize),
    /// A row comes at a place of a thousand: it begins to satisfy the filter.
    Insert(usize),
    /// A row is created.
    Append,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0_usize..1000).prop_map(Change::Delete),
        1 => (0_usize..1000).prop_map(Change::Insert),
        2 => Just(Change::Append),
    ]
}

/// Rows are in the order of their numbers.
fn apply(list: &mut Vec<u128>, ever: &mut BTreeSet<u128>, change: &Change) {
    let last = list.last().copied().unwrap_or(0);
    match *change {
        Change::Append => {
            let next = ever.last().copied().unwrap_or(0).max(last) + 1_000_000;
            ever.insert(next);
            list.push(next);
        }
        Change::Delete(at) if !list.is_empty() => {
            list.remove(at * list.len() / 1000);
        }
        Change::Insert(at) if list.len() > 1 => {
            let at = (at * list.len() / 1000).max(1);
            let between = u128::midpoint(list[at - 1], list[at]);
            // Nothing that has gone comes back.
            if ever.insert(between) {
                list.insert(at, between);
            }
        }
        Change::Delete(_) | Change::Insert(_) => {}
    }
}

#[test]
fn rows_that_are_there_all_the_time_come_once() {
    let inputs = (
        10_u32..40,
        0_u128..400,
        1_usize..9,
        any::<bool>(),
        prop::collection::vec((prop::collection::vec(change(), 0..5), any::<bool>()), 0..60),
    );
    hold("pages: changing lists", 2000, inputs, |(size, rows, window, totals, changes)| {
        let mut list: Vec<u128> = (1..=rows).map(|row| row * 1_000_000).collect();
        let mut always: BTreeSet<u128> = list.iter().copied().collect();
        let mut ever = always.clone();
        let manner = Manner { consistency: Consistency::Strict, has_ids: true, rows_move: false };
        let mut pages = Pages::new(true, size, manner);
        let mut came: Vec<u128> = Vec::new();
        // Requests in the order in which they are awaited; the server answers them in any order.
        let mut in_flight: VecDeque<(Page, Option<Seen>)> = VecDeque::new();
        let mut changes = changes.into_iter();
        let mut steps = 0;
        while !pages.is_done() {
            steps += 1;
            prop_assert!(steps < 2000, "no end");
            while in_flight.len() < window
                && let Some(page) = pages.request()
            {
                in_flight.push_back((page, None));
            }
            let (more, last_first) = changes.next().unwrap_or_default();
            let see = |list: &[u128], page: Page| {
                let rows = list.iter().skip(page.start() as usize).take(page.size as usize);
                (rows.copied().collect::<Vec<_>>(), list.len() as u64)
            };
            if last_first && let Some((page, answer @ None)) = in_flight.back_mut() {
                *answer = Some(see(&list, *page));
            }
            for change in &more {
                apply(&mut list, &mut ever, change);
            }
            always.retain(|row| list.binary_search(row).is_ok());
            let (page, answer) = in_flight.pop_front().expect("a page");
            let (ids, total) = answer.unwrap_or_else(|| see(&list, page));
            let info = PageInfo { total: totals.then_some(total), ..PageInfo::default() };
            let some: Vec<_> = ids.iter().copied().map(Some).collect();
            match pages.received(page, ids.len(), &some, info) {
                Ok(Received::Rows(known)) => {
                    let new = ids.iter().enumerate().filter(|(place, _)| !known.contains(place));
                    came.extend(new.map(|(_, id)| *id));
                }
                Ok(Received::Nothing) => {}
                Ok(Received::Again(pages)) => {
                    for page in pages.into_iter().rev() {
                        in_flight.push_front((page, None));
                    }
                }
                Err(error) => {
                    prop_assert!(error.kind == ErrorKind::Changed || !totals, "{error:?}");
                    return Ok(());
                }
            }
        }
        let distinct: BTreeSet<_> = came.iter().collect();
        prop_assert!(distinct.len() == came.len(), "twice: {came:?}");
        let kept: Vec<_> = came.iter().filter(|row| always.contains(row)).collect();
        prop_assert!(kept.is_sorted(), "out of order: {came:?}");
        let missing: Vec<_> = always.iter().filter(|row| !came.contains(row)).collect();
        prop_assert!(missing.is_empty(), "missing {missing:?} in {came:?}");
        Ok(())
    });
}
