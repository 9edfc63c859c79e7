//! Which pages are asked for, whatever the headers of the answers say.

use awork_api::error::ErrorKind;
use awork_api::pages::{PageInfo, Pages, Repeated};
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
        any::<bool>(),
        1_u32..=1000,
        prop_oneof![Just(1_u64), 2..1_000_000_u64],
        1_usize..5,
        prop::collection::vec(answer(), 1..30),
    );
    hold("pages: any headers", 3000, inputs, |(declared, size, first, window, answers)| {
        let mut pages = match first {
            1 => Pages::new(declared, size),
            first => Pages::starting_at(first, size),
        };
        let mut rows = 0;
        let mut in_flight = std::collections::VecDeque::new();
        for (info, ids) in answers {
            while in_flight.len() < window
                && let Some(page) = pages.request()
            {
                prop_assert!(in_flight.back().is_none_or(|before| page == before + 1));
                let _ = (pages.is_paged(page), pages.page_size());
                in_flight.push_back(page);
            }
            let Some(page) = in_flight.pop_front() else { break };
            match pages.received(page, ids.len(), &ids, info) {
                Ok(Repeated::Rows(known)) => {
                    prop_assert!(known.len() <= ids.len());
                    rows += ids.len() as u64 - known.len() as u64;
                }
                Ok(Repeated::Page) => {}
                Err(error) => {
                    prop_assert_eq!(error.kind, ErrorKind::BadReply);
                    return Ok(());
                }
            }
            prop_assert_eq!(pages.rows(), rows);
            if let Some((expected, read)) = pages.shortfall() {
                prop_assert!(expected > read);
            }
        }
        prop_assert!(!pages.is_done() || in_flight.is_empty());
        Ok(())
    });
}
