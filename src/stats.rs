//! `awork_fdw_stats`, `awork_fdw_table_stats` and `awork_fdw_cache_clear`: what requests were sent
//! and what is in the cache.

use std::sync::atomic::{AtomicU64, Ordering};

use awork_api::shared::cache;
use awork_api::shared::figures::Figures;
use awork_api::shared::table;
use awork_api::shared::workspace::WORKSPACES;
use pgrx::prelude::*;

use crate::pg::{self, Text};

/// What was sent for a server and received from it, in a row without a relation, and for each of
/// its foreign tables that has been asked: by all sessions where the library is preloaded, else by
/// this session. See `awork_fdw_stats` and `awork_fdw_table_stats`.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn awork_fdw_figures(
    server: Text,
) -> TableIterator<
    'static,
    (
        name!(relation, Option<pg_sys::Oid>),
        name!(all_sessions, bool),
        name!(requests, i64),
        name!(request_ms, i64),
        name!(latency_p50_ms, Option<f64>),
        name!(latency_p95_ms, Option<f64>),
        name!(pages, i64),
        name!(rows_received, i64),
        name!(bytes_received, i64),
        name!(decode_ms, i64),
        name!(retries, i64),
        name!(retry_wait_ms, i64),
        name!(rate_limited, i64),
        name!(rate_limit_wait_ms, i64),
        name!(refused_filters, i64),
        name!(failures, i64),
        name!(last_error, Option<Text>),
        name!(last_error_at, Option<TimestampWithTimeZone>),
        name!(cache_hits, i64),
        name!(cache_misses, i64),
        name!(oldest_hit_ms, i64),
        name!(stats_since, Option<TimestampWithTimeZone>),
    ),
> {
    let id = pg::workspace_of_server(&server.0);
    // One that nobody has asked takes no place among those that are shared.
    let of_server = match WORKSPACES.known(id) {
        Some(known) => row(None, known.is_shared(), &known.figures),
        None => row(None, WORKSPACES.is_shared(), &Figures::default()),
    };
    let tables = table::of_workspace(id);
    let of_tables = tables
        .iter()
        .map(|(number, table)| row(Some(pg::object(*number)), table.is_shared(), &table.figures));
    TableIterator::new(std::iter::once(of_server).chain(of_tables).collect::<Vec<_>>())
}

type Row = (
    Option<pg_sys::Oid>,
    bool,
    i64,
    i64,
    Option<f64>,
    Option<f64>,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    Option<Text>,
    Option<TimestampWithTimeZone>,
    i64,
    i64,
    i64,
    Option<TimestampWithTimeZone>,
);

fn row(relation: Option<pg_sys::Oid>, all_sessions: bool, figures: &Figures) -> Row {
    let counters = &figures.counters;
    let of = |counter: &AtomicU64| number(counter.load(Ordering::Relaxed));
    let quantile = |share| Some((figures.latency.quantile(share)? * 10.0).round() / 10.0);
    let (failed_at, error) = figures.last_error.last().unzip();
    (
        relation,
        all_sessions,
        of(&counters.requests),
        of(&counters.took) / 1000,
        quantile(0.5),
        quantile(0.95),
        of(&counters.pages),
        of(&counters.rows),
        of(&counters.bytes),
        of(&counters.decoding) / 1000,
        of(&counters.retries),
        of(&counters.waited),
        of(&counters.limited),
        of(&counters.held_back),
        of(&counters.refused),
        of(&counters.failures),
        error.map(Text),
        failed_at.and_then(pg::timestamp),
        of(&counters.hits),
        of(&counters.misses),
        of(&counters.oldest),
        figures.since().and_then(pg::timestamp),
    )
}

/// What belongs to a server and to none of its tables: the rate limits that awork has named, and
/// what the cache holds.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_server_stats(
    server: Text,
) -> TableIterator<
    'static,
    (
        name!(requests_per_second, Option<i64>),
        name!(requests_per_minute, Option<i64>),
        name!(cached_answers, i64),
        name!(cached_bytes, i64),
    ),
> {
    let id = pg::workspace_of_server(&server.0);
    let known = WORKSPACES.known(id);
    let (second, minute) = known.map_or((None, None), |known| known.budget.limits());
    let (answers, bytes) = cache::cache().map_or((0, 0), |cache| cache.usage(id));
    TableIterator::once((second.map(number), minute.map(number), number(answers), number(bytes)))
}

/// Has the figures of a server and of its tables count from now on.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_stats_reset(server: Text) {
    let id = pg::workspace_of_server(&server.0);
    if let Some(known) = WORKSPACES.known(id) {
        known.figures.begin();
    }
    table::of_workspace(id).iter().for_each(|(_, table)| table.figures.begin());
}

/// Drops the answers of a server from the cache, and says how many they were.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_cache_clear(server: Text) -> i64 {
    let workspace = pg::workspace_of_server(&server.0);
    number(cache::cache().map_or(0, |cache| cache.clear(workspace)))
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
