//! What the processes of a database server may share of a workspace: its rate limit, how many
//! requests it stands at a time, figures of it and of its tables, and answers.
//!
//! All of it is made of atomic numbers for which zero is the state to start with, or of plain
//! bytes, so that it can lie in memory that several processes see. Where nobody shares such
//! memory, each process has its own.

pub mod budget;
pub mod cache;
pub mod congestion;
pub mod figures;
mod flat;
pub mod last_error;
pub mod latency;
pub mod places;
pub mod table;
pub mod workspace;

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Microseconds of a clock that only goes forward, the same for all processes of a machine.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
