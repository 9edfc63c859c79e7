//! How long requests take, as a histogram that needs no lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets per doubling, so that a bucket is a fifth wide.
const PER_DOUBLING: u32 = 4;

/// Up to an hour and more.
const BUCKETS: usize = 96;

/// Durations by their size. Memory that is all zero is an empty one.
#[derive(Debug)]
#[repr(C)]
pub struct Latency([AtomicU64; BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Latency {
    /// Counts a duration.
    pub fn note(&self, took: Duration) {
        self.0[bucket(took)].fetch_add(1, Relaxed);
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Relaxed));
    }

    /// The milliseconds that this share of the durations, between 0 and 1, did not exceed, a fifth
    /// too long at the most; none where none were counted.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let counts = self.0.each_ref().map(|count| count.load(Relaxed));
        let total: u64 = counts.iter().sum();
        let rank = (total as f64 * share).ceil().max(1.0) as u64;
        let mut so_far = 0;
        let within = counts.iter().position(|count| {
            so_far += count;
            so_far >= rank
        });
        within.filter(|_| total > 0).map(end)
    }
}

/// Bucket n has what takes up to 2^(n / 4) / 1024 s.
fn bucket(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() * 1024.0).log2();
    let number = (doublings * f64::from(PER_DOUBLING)).ceil().max(0.0);
    (number as usize).min(BUCKETS - 1)
}

/// The longest duration of a bucket, in milliseconds.
fn end(bucket: usize) -> f64 {
    (bucket as f64 / f64::from(PER_DOUBLING)).exp2() / 1.024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near() {
        let latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for milliseconds in 1..=1000 {
            latency.note(Duration::from_millis(milliseconds));
        }
        for (share, milliseconds) in [(0.0, 1.0), (0.5, 500.0), (0.95, 950.0), (1.0, 1000.0)] {
            let found = latency.quantile(share).unwrap();
            assert!(
                (milliseconds * 0.999..milliseconds * 1.2).contains(&found),
                "{share}: {found}"
            );
        }
        latency.note(Duration::ZERO);
        latency.note(Duration::from_secs(1_000_000));
        assert!(latency.quantile(1.0).unwrap() > 3_600_000.0);
    }
}
