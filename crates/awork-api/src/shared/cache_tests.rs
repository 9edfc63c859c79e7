use std::collections::HashMap;

use super::*;
const TTL: Duration = Duration::from_secs(60);

fn cache(bytes: usize) -> &'static Cache {
    Box::leak(Box::new(Cache { memory: Box::new(Own::new(bytes).unwrap()) }))
}

fn key(request: &str, columns: &[u64]) -> Key {
    Key {
        scope: 7,
        workspace: 1,
        request: request.into(),
        columns: columns.into(),
        rows: Rows::WithIds,
    }
}

/// A page of one row that holds a number per column, and text of a length.
fn page(numbers: &[u64], length: usize) -> (PageInfo, Batch) {
    let mut batch = Batch::new(numbers.len() + 1);
    let text = batch.push_text(&"x".repeat(length)).unwrap();
    let words: Vec<u64> = numbers.iter().copied().chain([text]).collect();
    batch.push_row(&words, &vec![false; words.len()], Some(1));
    (PageInfo { total: Some(1), ..Default::default() }, batch)
}

fn put(cache: &'static Cache, key: &Key, numbers: &[u64], length: usize) {
    let Found::Nothing(ticket) = cache.look(key, TTL) else { panic!("it is there already") };
    let (info, batch) = page(numbers, length);
    ticket.answer(date(), &info, &batch);
}

fn numbers(cache: &'static Cache, key: &Key, ttl: Duration) -> Option<Vec<u64>> {
    match cache.look(key, ttl) {
        Found::Answer(_, batch, _) => Some(batch.row(0).0.to_vec()),
        _ => None,
    }
}

#[test]
fn more_columns_serve_fewer_in_any_order() {
    let cache = cache(1 << 20);
    put(cache, &key("a", &[10, 20, 30]), &[1, 2], 3);
    let cells = numbers(cache, &key("a", &[20, 10]), TTL);
    assert_eq!(cells, Some(vec![2, 1]));
    assert_eq!(numbers(cache, &key("a", &[20, 40]), TTL), None);
    assert_eq!(numbers(cache, &key("b", &[20]), TTL), None);
    let other = Key { scope: 8, ..key("a", &[20]) };
    assert_eq!(numbers(cache, &other, TTL), None, "another credential");
    let headers = Key { rows: Rows::Headers, ..key("a", &[]) };
    assert!(cache.peek(&headers, TTL).is_some());
}

#[test]
fn headers_alone_are_no_rows() {
    let cache = cache(1 << 20);
    let headers = Key { rows: Rows::Headers, ..key("a", &[]) };
    let Found::Nothing(ticket) = cache.look(&headers, TTL) else { panic!() };
    ticket.answer(date(), &PageInfo::default(), &Batch::new(0));
    assert!(matches!(cache.look(&headers, TTL), Found::Answer(..)));
    let rows = Key { rows: Rows::Plain, ..headers };
    assert!(matches!(cache.look(&rows, TTL), Found::Nothing(_)));
}

#[test]
fn an_answer_serves_no_longer_than_it_may() {
    let cache = cache(1 << 20);
    let key = key("a", &[1, 2]);
    let Found::Nothing(ticket) = cache.look(&key, TTL) else { panic!() };
    let (info, batch) = page(&[5], 0);
    ticket.answer(date() - 2_000_000, &info, &batch);
    assert!(numbers(cache, &key, Duration::from_secs(1)).is_none());
    assert!(matches!(cache.look(&key, Duration::from_secs(3)), Found::Answer(..)));
}

#[test]
fn one_asks_and_the_others_wait_until_it_has_an_answer_or_gives_up() {
    let cache = cache(1 << 20);
    let (wide, narrow, other) = (key("a", &[1, 2]), key("a", &[2]), key("a", &[3]));
    let Found::Nothing(ticket) = cache.look(&wide, TTL) else { panic!() };
    assert!(matches!(cache.look(&wide, TTL), Found::InFlight));
    assert!(matches!(cache.look(&narrow, TTL), Found::InFlight));
    assert!(matches!(cache.look(&other, TTL), Found::Nothing(_)));
    drop(ticket);
    let Found::Nothing(ticket) = cache.look(&narrow, TTL) else { panic!("nobody asks any more") };
    let (info, mut batch) = (PageInfo::default(), Batch::new(1));
    batch.push_row(&[4], &[false], Some(9));
    ticket.answer(date(), &info, &batch);
    assert_eq!(numbers(cache, &narrow, TTL), Some(vec![4]));
}

#[test]
fn clearing_drops_one_workspace() {
    let cache = cache(1 << 20);
    put(cache, &key("a", &[1, 2]), &[1], 0);
    put(cache, &key("b", &[1, 2]), &[1], 0);
    let other = Key { workspace: 2, ..key("c", &[1, 2]) };
    put(cache, &other, &[3], 0);
    assert_eq!(cache.usage(1).0, 2);
    assert_eq!(cache.clear(1), 2);
    assert_eq!(cache.usage(1), (0, 0));
    assert!(numbers(cache, &key("a", &[1, 2]), TTL).is_none());
    assert!(numbers(cache, &other, TTL).is_some());
}

#[test]
fn an_answer_that_is_on_its_way_does_not_outlive_the_clearing() {
    let cache = cache(1 << 20);
    let key = key("a", &[1, 2]);
    let Found::Nothing(before) = cache.look(&key, TTL) else { panic!() };
    assert_eq!(cache.clear(1), 0);
    let Found::Nothing(after) = cache.look(&key, TTL) else { panic!("nobody waits for the old") };
    let (info, batch) = page(&[1], 0);
    before.answer(date(), &info, &batch);
    assert!(matches!(cache.look(&key, TTL), Found::InFlight));
    let (info, batch) = page(&[2], 0);
    after.answer(date(), &info, &batch);
    assert_eq!(numbers(cache, &key, TTL).map(|n| n[0]), Some(2));
}

#[test]
fn an_answer_that_is_renewed_is_waited_for() {
    let cache = cache(1 << 20);
    let key = key("a", &[1, 2]);
    put(cache, &key, &[1], 0);
    let ticket = cache.renew(&key);
    assert!(matches!(cache.look(&key, TTL), Found::InFlight));
    drop(ticket);
    assert_eq!(numbers(cache, &key, TTL).map(|n| n[0]), Some(1));
    assert!(cache.copy(&key).and_then(|copy| copy.read()).is_some());
}

#[test]
fn the_newest_answers_stay_and_are_right_however_often_the_ring_turns() {
    let mut random = fastrand::Rng::with_seed(7);
    for size in [64 * 1024, 100_003, 1 << 20] {
        let cache = cache(size);
        let mut known: HashMap<String, u64> = HashMap::new();
        for i in 0..3000 {
            let request = format!("r{}", random.u32(0..200));
            let key = key(&request, &[1, 2]);
            let length = random.usize(0..size / 8);
            match cache.look(&key, TTL) {
                Found::Answer(_, batch, _) => {
                    assert_eq!(batch.row(0).0[0], known[&request]);
                }
                Found::Nothing(ticket) => {
                    let (info, batch) = page(&[i], length);
                    ticket.answer(date(), &info, &batch);
                    known.insert(request, i);
                    assert_eq!(numbers(cache, &key, TTL).map(|c| c[0]), Some(i));
                }
                Found::InFlight => panic!("nobody asks"),
            }
            let (_, bytes) = cache.usage(1);
            assert!(bytes <= size as u64);
        }
    }
}

#[test]
fn what_is_too_large_is_not_kept_and_does_no_harm() {
    let cache = cache(64 * 1024);
    put(cache, &key("small", &[1, 2]), &[1], 10);
    let Found::Nothing(ticket) = cache.look(&key("large", &[1, 2]), TTL) else { panic!() };
    let (info, batch) = page(&[2], 60 * 1024);
    ticket.answer(date(), &info, &batch);
    assert!(matches!(cache.look(&key("large", &[1, 2]), TTL), Found::Nothing(_)));
    assert!(numbers(cache, &key("small", &[1, 2]), TTL).is_some());
}
