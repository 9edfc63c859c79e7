//! The rate limit of a workspace: when the next request may be sent.
//!
//! awork counts the requests of all clients of a workspace in a second and in a minute, and says
//! with each answer what is left (API documentation, "Rate limits"). It does not say when its
//! windows begin. So a request may be sent where one of two things is certain:
//!
//! - fewer requests than the limit have been on their way or answered within the last second, and
//!   within the last minute, wherever the windows begin, or
//! - the last answer has said that more are left than have been sent since.
//!
//! The first is enough where nobody else asks. Requests that others have sent are seen in what
//! the answers say is left, and count as ours. The second also keeps a service that names a limit
//! without counting from being asked slower than it would answer.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::now;

/// The most requests in a second that are kept apart. A larger limit counts as this; where there is
/// none, more are not counted.
const MOST_PER_SECOND: usize = 512;

/// The seconds of a minute, and some more for one that has just begun.
const SECONDS: usize = 64;

const SECOND: u64 = 1_000_000;

/// How long a request holds its slot if its process ends without saying so.
const LOST: u64 = 60 * SECOND;

/// Marks a slot whose request has not been answered.
const IN_FLIGHT: u64 = 1 << 63;

/// Marks a slot for a request of another client, by what answers say.
const OTHERS: u64 = 1 << 62;

/// The bits of a slot that are the time until which it is taken.
const TIME: u64 = OTHERS - 1;

/// The requests of a workspace within the last second and minute.
#[derive(Debug)]
#[repr(C)]
pub struct Budget {
    /// Until when each request of the last second counts.
    slots: [AtomicU64; MOST_PER_SECOND],
    /// Requests per second of the last minute: the second and, in the lowest 24 bits, how many.
    seconds: [AtomicU64; SECONDS],
    second: Window,
    minute: Window,
    /// Requests so far.
    sent: AtomicU64,
    /// Nothing is sent before, since awork has refused a request for its rate.
    blocked_until: AtomicU64,
}

/// What awork says of one of its windows.
#[derive(Debug, Default)]
#[repr(C)]
struct Window {
    /// Requests; 0 where that is not known.
    limit: AtomicU64,
    /// What the last answer has left, less what has been sent since.
    left: AtomicI64,
    /// Whether an answer has left less than the limit, 0 or 1.
    counts: AtomicU64,
}

/// What an answer says of the limits: requests per window, and those left of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Of a second.
    pub second: Option<(u64, u64)>,
    /// Of a minute.
    pub minute: Option<(u64, u64)>,
    /// Where nothing is left of the window that is named without its length: the seconds to its
    /// end.
    pub used_up: Option<u64>,
}

/// The slots that are taken.
#[derive(Debug, Default, Clone, Copy)]
struct Busy {
    in_flight: usize,
    answered: usize,
    others: usize,
    /// When the first of them is free, those in flight left out.
    first_free: Option<u64>,
}

impl Busy {
    fn own(self) -> usize {
        self.in_flight + self.answered
    }

    fn all(self) -> usize {
        self.own() + self.others
    }
}

/// A request that counts. Its slot is free a second after the answer, or after it was given up.
#[derive(Debug)]
pub struct Permit<'b> {
    budget: &'b Budget,
    /// Its slot, and what it has put there.
    slot: Option<(usize, u64)>,
    hold: u64,
    /// Its number among the requests.
    number: u64,
    /// What counted when it was sent.
    before: Busy,
    in_minute_before: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            slots: [const { AtomicU64::new(0) }; MOST_PER_SECOND],
            seconds: [const { AtomicU64::new(0) }; SECONDS],
            second: Window::default(),
            minute: Window::default(),
            sent: AtomicU64::new(0),
            blocked_until: AtomicU64::new(0),
        }
    }
}

impl Budget {
    /// Forgets all requests and limits.
    pub(super) fn clear(&self) {
        let Self { slots, seconds, second, minute, sent, blocked_until } = self;
        let numbers = slots.iter().chain(seconds).chain([sent, blocked_until]);
        numbers.for_each(|number| number.store(0, Relaxed));
        for Window { limit, left, counts } in [second, minute] {
            limit.store(0, Relaxed);
            left.store(0, Relaxed);
            counts.store(0, Relaxed);
        }
    }

    /// Waits until a request may be sent. `rate` are the requests per second that are allowed at
    /// the most, whatever awork allows. Returns the permit and how long it took; or, where
    /// `may_wait` says no of how long it would take in all and from now on, the latter.
    pub async fn permit(
        &self,
        rate: Option<f64>,
        may_wait: impl Fn(Duration, Duration) -> bool,
    ) -> Result<(Permit<'_>, Duration), Duration> {
        let started = now();
        loop {
            let at = now();
            let until =
                |free_at: u64, from: u64| Duration::from_micros(free_at.saturating_sub(from));
            match self.take(rate, at) {
                Ok(permit) => return Ok((permit, until(at, started))),
                Err(free_at) if !may_wait(until(free_at, started), until(free_at, at)) => {
                    return Err(until(free_at, at));
                }
                Err(free_at) => {
                    // Those who wait come back at slightly different times, so that none of them
                    // is always the first.
                    let jitter = fastrand::u64(0..2_000);
                    let wait = (free_at.saturating_sub(at) + jitter).clamp(1_000, SECOND / 10);
                    tokio::time::sleep(Duration::from_micros(wait)).await;
                }
            }
        }
    }

    /// Takes a slot, or says when to try again.
    fn take(&self, rate: Option<f64>, at: u64) -> Result<Permit<'_>, u64> {
        let blocked = self.blocked_until.load(Relaxed);
        if blocked > at {
            return Err(blocked);
        }
        // A rate of 2.5 are 2 requests in 0.8 seconds.
        let (most, hold) = match rate {
            Some(rate) => {
                let most = rate.max(1.0).floor();
                (most as usize, (most / rate * SECOND as f64) as u64)
            }
            None => (usize::MAX, SECOND),
        };
        self.minute.is_free(|limit| self.in_last_minute(at) < limit)?;
        let limit = match self.second.limit.load(Relaxed) {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let before = self.busy(at);
        let by_count = before.all() < limit;
        // More than the limit within a second may be within two windows of awork's.
        if before.own() >= most || !(by_count || self.second.left.load(Relaxed) > 0) {
            return Err(before.first_free.unwrap_or(at + hold));
        }
        let value = IN_FLIGHT | (at + hold + LOST);
        let slot = self.take_slot(value, at);
        if slot.is_none() && (limit < usize::MAX || most < usize::MAX) {
            return Err(before.first_free.unwrap_or(at + hold));
        }
        // Another one may have taken what seemed to be the last.
        let after = self.busy(at);
        let left = self.second.left.fetch_sub(1, Relaxed);
        if after.own() > most || !((by_count && after.all() <= limit) || left > 0) {
            if let Some(slot) = slot {
                self.slots[slot].store(0, Relaxed);
            }
            self.second.left.fetch_add(1, Relaxed);
            return Err(at);
        }
        self.minute.left.fetch_sub(1, Relaxed);
        let in_minute_before = self.in_last_minute(at);
        self.count(at, 1);
        let number = self.sent.fetch_add(1, Relaxed);
        let slot = slot.map(|slot| (slot, value));
        Ok(Permit { budget: self, slot, hold, number, before, in_minute_before })
    }

    /// Puts a value into a slot that is free, if there is one.
    fn take_slot(&self, value: u64, at: u64) -> Option<usize> {
        self.slots.iter().position(|slot| {
            let before = slot.load(Relaxed);
            before & TIME <= at && slot.compare_exchange(before, value, Relaxed, Relaxed).is_ok()
        })
    }

    fn busy(&self, at: u64) -> Busy {
        let mut busy = Busy::default();
        for slot in &self.slots {
            let value = slot.load(Relaxed);
            let until = value & TIME;
            if until <= at {
                continue;
            }
            match value & !TIME {
                IN_FLIGHT => busy.in_flight += 1,
                kind => {
                    let of = if kind == OTHERS { &mut busy.others } else { &mut busy.answered };
                    *of += 1;
                    busy.first_free = Some(busy.first_free.map_or(until, |first| first.min(until)));
                }
            }
        }
        busy
    }

    /// Sends nothing for a while, since a request was refused for its rate.
    pub fn block(&self, wait: Duration) {
        let until = now().saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        self.blocked_until.fetch_max(until, Relaxed);
        self.second.left.store(0, Relaxed);
    }

    /// How many requests may be sent in a second, and in a minute, as far as awork has said.
    pub fn limits(&self) -> (Option<u64>, Option<u64>) {
        let of = |window: &Window| Some(window.limit.load(Relaxed)).filter(|&limit| limit > 0);
        (of(&self.second), of(&self.minute))
    }

    fn in_last_minute(&self, at: u64) -> u64 {
        let this = at / SECOND;
        let recent = |value: u64| (value >> 24) + 61 > this;
        let values = self.seconds.iter().map(|second| second.load(Relaxed));
        values.filter(|&value| recent(value)).map(|value| value & 0xFF_FFFF).sum()
    }

    fn count(&self, at: u64, requests: u64) {
        let this = at / SECOND;
        let second = &self.seconds[this as usize % SECONDS];
        // Always succeeds, since there is always a next value.
        let _ = second.fetch_update(Relaxed, Relaxed, |value| {
            let known = if value >> 24 == this { value & 0xFF_FFFF } else { 0 };
            Some(this << 24 | known.saturating_add(requests).min(0xFF_FFFF))
        });
    }
}

impl Permit<'_> {
    /// What the answer to the request says.
    pub fn answered(&self, allowance: Allowance) {
        let budget = self.budget;
        let at = now();
        let sent_since = budget.sent.load(Relaxed).saturating_sub(self.number + 1);
        // Answers come in another order than requests are counted in: those that were in flight
        // when it was sent, or were sent since, may have been counted after it.
        let not_counted = self.before.in_flight as u64 + sent_since;
        if let Some((limit, left)) = allowance.second {
            budget.second.set(limit, left, not_counted);
            let ours = self.before.all() as u64 + 1 + sent_since;
            // Another answer may have told of the same requests.
            let ours = ours.max(budget.busy(at).all() as u64);
            for _ in 0..(limit.saturating_sub(left)).saturating_sub(ours) {
                if budget.take_slot(OTHERS | (at + SECOND), at).is_none() {
                    break;
                }
            }
        }
        if let Some((limit, left)) = allowance.minute {
            budget.minute.set(limit, left, not_counted);
            let ours = self.in_minute_before + 1 + sent_since;
            let ours = ours.max(budget.in_last_minute(at));
            budget.count(at, limit.saturating_sub(left).saturating_sub(ours));
        }
        if let Some(seconds) = allowance.used_up {
            budget.block(Duration::from_secs(seconds));
        }
    }
}

impl Window {
    /// An answer to a request has left so much, less what may have been counted since.
    fn set(&self, limit: u64, left: u64, since: u64) {
        // Where all of the limit is left after a request, nothing is counted; but the first answer
        // of a window may tell what was left before.
        self.counts.fetch_max((left < limit).into(), Relaxed);
        let counts = self.counts.load(Relaxed) != 0;
        self.limit.store(if counts { limit } else { 0 }, Relaxed);
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        self.left.store(left.saturating_sub_unsigned(since), Relaxed);
    }

    /// Whether a request may be sent as far as the window is concerned; else when to look again.
    fn is_free(&self, is_below: impl Fn(u64) -> bool) -> Result<(), u64> {
        let limit = self.limit.load(Relaxed);
        let free = limit == 0 || self.left.load(Relaxed) > 0 || is_below(limit);
        if free { Ok(()) } else { Err(now() + SECOND / 10) }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some((slot, value)) = self.slot {
            // After a long time another request may have it.
            let free_at = now() + self.hold;
            let _ = self.budget.slots[slot].compare_exchange(value, free_at, Relaxed, Relaxed);
        }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
