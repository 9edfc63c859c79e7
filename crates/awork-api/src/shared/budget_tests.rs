use super::*;

/// What a server with fixed windows that begin with a request says.
struct Server {
    limit: u64,
    began: u64,
    used: u64,
}

impl Server {
    fn ask(&mut self, at: u64) -> Option<Allowance> {
        if at >= self.began + SECOND {
            (self.began, self.used) = (at, 0);
        }
        if self.used == self.limit {
            return None;
        }
        self.used += 1;
        Some(Allowance { second: Some((self.limit, self.limit - self.used)), ..Default::default() })
    }
}

fn budget() -> Box<Budget> {
    Box::default()
}

fn second(limit: u64, left: u64) -> Allowance {
    Allowance { second: Some((limit, left)), ..Default::default() }
}

/// A budget after one request with this answer.
fn told(allowance: Allowance) -> Box<Budget> {
    let budget = budget();
    budget.take(None, now()).unwrap().answered(allowance);
    budget
}

fn allowed(budget: &Budget, rate: Option<f64>, at: u64) -> usize {
    let mut permits = Vec::new();
    while let Ok(permit) = budget.take(rate, at) {
        permits.push(permit);
        if permits.len() == 1000 {
            break;
        }
    }
    let count = permits.len();
    std::mem::forget(permits);
    count
}

#[test]
fn a_rate_is_kept_whatever_the_service_says() {
    let budget = told(second(50, 49));
    let at = now() + 2 * SECOND;
    assert_eq!(allowed(&budget, Some(5.0), at), 5);
    assert_eq!(allowed(&budget, Some(5.0), at), 0);
    let slow = budget_with_rate(0.5);
    assert!(slow.0.take(Some(0.5), slow.1 + SECOND).is_err(), "one in two seconds");
    assert!(slow.0.take(Some(0.5), slow.1 + 3 * SECOND).is_ok());
}

fn budget_with_rate(rate: f64) -> (Box<Budget>, u64) {
    let budget = budget();
    drop(budget.take(Some(rate), now()));
    (budget, now())
}

#[test]
fn a_service_that_leaves_all_counts_nothing() {
    let budget = told(second(5, 5));
    assert!(allowed(&budget, None, now()) > 100);
}

#[test]
fn no_more_than_the_limit_go_out_within_a_second() {
    let budget = told(second(50, 0));
    // What is left was used by others, and counts for a second.
    assert_eq!(allowed(&budget, None, now()), 0);
    assert_eq!(allowed(&budget, None, now() + SECOND), 50);
}

#[test]
fn answers_in_another_order_leave_no_more_than_there_is() {
    let budget = budget();
    let permits: Vec<_> = (0..10).map(|_| budget.take(None, now()).unwrap()).collect();
    // The last one is answered first.
    for (number, permit) in permits.iter().enumerate().rev() {
        permit.answered(second(12, 11 - number as u64));
    }
    drop(permits);
    assert_eq!(allowed(&budget, None, now()), 2);
}

#[test]
fn a_slow_answer_does_not_make_own_requests_those_of_others() {
    let budget = budget();
    let at = now() - 3 * SECOND;
    for number in 0..10 {
        let permit = budget.take(None, at).unwrap();
        permit.answered(second(12, 11 - number));
    }
    assert_eq!(budget.busy(now()).others, 0);
}

#[test]
fn what_the_answers_leave_may_be_used_at_once() {
    let budget = budget();
    let at = now();
    let mut server = Server { limit: 10, began: 0, used: 0 };
    let mut sent = 0;
    for _ in 0..100 {
        let Ok(permit) = budget.take(None, at) else { break };
        let Some(allowance) = server.ask(at) else { panic!("refused after {sent}") };
        permit.answered(allowance);
        drop(permit);
        sent += 1;
    }
    assert_eq!(sent, 10);
}

#[test]
fn a_service_that_does_not_count_is_not_asked_slower() {
    let budget = budget();
    for _ in 0..500 {
        let permit = budget.take(None, now()).expect("49 are said to be left each time");
        permit.answered(Allowance {
            second: Some((50, 49)),
            minute: Some((1000, 999)),
            used_up: None,
        });
        drop(permit);
    }
}

#[test]
fn a_minute_counts_as_well() {
    let budget = told(Allowance { minute: Some((30, 29)), ..Default::default() });
    let at = now();
    assert_eq!(allowed(&budget, None, at), 29);
    assert!(budget.take(None, at + 50 * SECOND).is_err());
    assert!(budget.take(None, at + 62 * SECOND).is_ok());
}

#[test]
fn a_refusal_stops_all_for_as_long_as_it_says() {
    let budget = budget();
    budget.block(Duration::from_secs(2));
    let at = now();
    assert!(budget.take(None, at + SECOND).is_err());
    assert!(budget.take(None, at + 2 * SECOND + 1000).is_ok());
}

#[test]
fn a_process_that_ends_gives_its_slot_back() {
    let budget = told(second(1, 0));
    let at = now() + 2 * SECOND;
    std::mem::forget(budget.take(None, at).unwrap());
    assert!(budget.take(None, at + 5 * SECOND).is_err());
    assert!(budget.take(None, at + LOST + 2 * SECOND).is_ok());
}

#[test]
fn a_request_that_took_very_long_leaves_the_slot_to_its_next_owner() {
    let budget = told(second(1, 0));
    let at = now() + 2 * SECOND;
    let slow = budget.take(None, at).unwrap();
    let next = budget.take(None, at + LOST + 2 * SECOND).unwrap();
    drop(slow);
    assert_eq!(budget.busy(at + LOST + 3 * SECOND).in_flight, 1);
    drop(next);
}

#[test]
fn a_limit_that_is_told_before_counting_stays_one() {
    let budget = told(second(5, 4));
    budget.take(None, now() + 2 * SECOND).unwrap().answered(second(5, 5));
    assert_eq!(budget.limits().0, Some(5));
}

#[test]
fn several_answers_tell_of_the_same_requests_of_others() {
    let budget = budget();
    let permits: Vec<_> = (0..4).map(|_| budget.take(None, now()).unwrap()).collect();
    permits.iter().for_each(|permit| permit.answered(second(50, 16)));
    assert_eq!(budget.busy(now()).others, 30);
}

#[test]
fn a_budget_that_begins_again_is_as_new() {
    let budget = budget();
    let new = format!("{budget:?}");
    let permits: Vec<_> = (0..4).map(|_| budget.take(None, now()).unwrap()).collect();
    let allowance = Allowance { minute: Some((1000, 500)), ..second(50, 16) };
    permits.iter().for_each(|permit| permit.answered(allowance));
    budget.block(Duration::from_secs(1));
    assert_ne!(format!("{budget:?}"), new);
    budget.clear();
    assert_eq!(format!("{budget:?}"), new);
}
