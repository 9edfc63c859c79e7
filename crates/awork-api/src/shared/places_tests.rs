use std::thread;

use super::*;

/// Counts how often it was used since it was begun.
#[derive(Debug, Default)]
struct Uses(AtomicU64);

impl Content for Uses {
    fn begin(&self) {
        self.0.store(0, Relaxed);
    }
}

type Three = Registry<Uses, 3>;

/// A registry with the memory of another.
fn sharing(places: &'static Places<Uses, 3>) -> Three {
    let registry = Three::new();
    registry.share(places);
    registry
}

fn places<const N: usize>() -> &'static Places<Uses, N> {
    Box::leak(Box::new(Places {
        numbers: [const { AtomicU64::new(0) }; N],
        used: [const { AtomicU64::new(0) }; N],
        contents: std::array::from_fn(|_| Uses::default()),
    }))
}

/// Some time, and the same so much later.
const START: u64 = 1_000;
const LATER: u64 = START + KEPT;

/// Uses what has a number, and says how often it has been used by now.
fn use_at(registry: &Three, number: u64, now: u64) -> u64 {
    registry.of_at(number, now).0.fetch_add(1, Relaxed) + 1
}

fn use_it(registry: &Three, number: u64) -> u64 {
    use_at(registry, number, START)
}

#[test]
fn who_shares_sees_the_same_until_all_places_are_taken() {
    let places = places();
    let (one, other) = (sharing(places), sharing(places));
    assert!(one.known(7).is_none());
    assert_eq!((use_it(&one, 7), use_it(&other, 7)), (1, 2));
    assert!(one.known(7).unwrap().is_shared() && one.is_shared());
    assert_eq!((use_it(&one, 8), use_it(&one, 9)), (1, 1));
    // What is too much, each has for itself.
    assert_eq!((use_it(&one, 10), use_it(&one, 10), use_it(&other, 10)), (1, 2, 1));
    assert!(!one.known(10).unwrap().is_shared());
    let numbers = |registry: &Three| registry.all().iter().map(|(n, _)| *n).collect::<Vec<_>>();
    assert_eq!(numbers(&one), [7, 8, 9, 10]);
    assert_eq!(use_it(&Three::new(), 7), 1);
}

#[test]
fn the_place_that_was_used_the_longest_ago_is_taken_and_cleared() {
    let places = places();
    let (one, other) = (sharing(places), sharing(places));
    for (number, at) in [(7, START + 1), (8, START), (9, START + 2)] {
        use_at(&one, number, at);
    }
    let held = [7, 8, 9].map(|number| one.known(number).unwrap());
    let current = || held.each_ref().map(Known::is_current);
    assert!(!other.of_at(10, LATER - 1).is_shared(), "all have been used lately");
    assert_eq!((use_at(&other, 11, LATER), current()), (1, [true, false, true]));
    assert!(other.known(11).unwrap().is_shared() && one.known(8).is_none());
    // Who comes back gets another place, and one that has been used meanwhile is kept.
    assert_eq!(use_at(&other, 7, LATER + 1), 2);
    assert_eq!((use_at(&one, 8, LATER + 2), current()), (1, [true, false, false]));
    assert!(one.known(8).unwrap().is_shared() && one.known(9).is_none());
    assert!(!one.of_at(9, LATER + 3).is_shared());
}

#[test]
fn a_holder_that_says_that_it_is_in_use_keeps_its_place() {
    let places = places();
    let registry = sharing(places);
    for number in [7, 8, 9] {
        use_it(&registry, number);
    }
    let held = registry.known(7).unwrap();
    held.touch();
    assert!(places.used[0].load(Relaxed) > START);
    places.used[1..].iter().for_each(|used| used.store(START, Relaxed));
    places.used[0].store(LATER, Relaxed);
    use_at(&registry, 10, LATER);
    use_at(&registry, 11, LATER);
    assert!(held.is_current() && !registry.of_at(12, LATER).is_shared());
}

#[test]
fn a_place_that_was_being_taken_when_a_process_ended_serves_again() {
    let places = places();
    let registry = sharing(places);
    for number in [7, 8, 9] {
        use_it(&registry, number);
    }
    places.numbers[1].store(NOBODY, Relaxed);
    assert_eq!((registry.known(8).is_none(), registry.all().len()), (true, 2));
    assert!(!registry.of_at(10, START).is_shared());
    places.used.iter().for_each(|used| used.store(LATER, Relaxed));
    places.used[1].store(START, Relaxed);
    assert!(registry.of_at(11, LATER).is_shared());
    assert_eq!(places.numbers[1].load(Relaxed), 11);
}

#[test]
fn who_comes_at_the_same_time_gets_a_place_that_is_found_again() {
    for _ in 0..200 {
        let places = places::<40>();
        // Half of them nobody has used for long, the others are free.
        places.numbers[..20].iter().zip(100..).for_each(|(number, n)| number.store(n, Relaxed));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 1..=10 {
                        places.find_or_take(number, LATER).expect("there are enough");
                    }
                });
            }
        });
        // Each has one, and at the worst one from each thread.
        let mut taken = [0; 10];
        for place in places.all().filter(|place| place.number <= 10) {
            taken[place.number as usize - 1] += 1;
        }
        assert!(taken.iter().all(|count| (1..=4).contains(count)), "{taken:?}");
    }
}
