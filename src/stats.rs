//! `awork_fdw_stats` and `awork_fdw_cache_clear`: what requests were sent and what is in the cache.

use std::sync::atomic::{AtomicU64, Ordering};

use awork_api::shared::cache;
use awork_api::shared::workspace::{self, Known, Workspace};
use pgrx::prelude::*;

use crate::pg;

/// What was sent to the workspace of a server and received from it: by all sessions since the
/// start of the database server where the library is preloaded, else by this session.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn awork_fdw_server_stats(
    server: &str,
) -> TableIterator<
    'static,
    (
        name!(all_sessions, bool),
        name!(requests, i64),
        name!(retries, i64),
        name!(retry_wait_ms, i64),
        name!(rate_limited, i64),
        name!(rate_limit_wait_ms, i64),
        name!(failures, i64),
        name!(latency_p50_ms, Option<f64>),
        name!(latency_p95_ms, Option<f64>),
        name!(bytes_received, i64),
        name!(requests_per_second, Option<i64>),
        name!(requests_per_minute, Option<i64>),
        name!(cache_hits, i64),
        name!(cache_misses, i64),
        name!(oldest_hit_ms, i64),
        name!(cached_answers, i64),
        name!(cached_bytes, i64),
    ),
> {
    let id = pg::workspace_of_server(server);
    // One that nobody has asked takes no place among those that are shared.
    let known = workspace::known(id).unwrap_or_else(|| Known::Own(Workspace::new(id).into()));
    let of = |counter: &AtomicU64| number(counter.load(Ordering::Relaxed));
    let counters = &known.counters;
    let quantile = |share| Some((counters.latency.quantile(share)? * 10.0).round() / 10.0);
    let (second, minute) = known.budget.limits();
    let (answers, bytes) = cache::cache().map_or((0, 0), |cache| cache.usage(id));
    TableIterator::once((
        workspace::is_shared(),
        of(&counters.requests),
        of(&counters.retries),
        of(&counters.waited),
        of(&counters.limited),
        of(&counters.held_back),
        of(&counters.failures),
        quantile(0.5),
        quantile(0.95),
        of(&counters.bytes),
        second.map(number),
        minute.map(number),
        of(&counters.hits),
        of(&counters.misses),
        of(&counters.oldest),
        number(answers),
        number(bytes),
    ))
}

/// Drops the answers of a server from the cache, and says how many they were.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_cache_clear(server: &str) -> i64 {
    let workspace = pg::workspace_of_server(server);
    number(cache::cache().map_or(0, |cache| cache.clear(workspace)))
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
