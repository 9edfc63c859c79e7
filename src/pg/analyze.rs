//! ANALYZE: a random sample of a foreign table's rows, from random pages of its list; of a table
//! with one list per parent, from the lists of the first parents.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use awork_api::client::Client;
use awork_api::pages::Consistency;
use awork_api::request::{self, Bindings};
use awork_api::rows::{Batch, Projection};
use awork_api::scan::{Event, Job, Order, Scan, Start, parents, sample};
use awork_api::totals;
use pgrx::prelude::*;

use super::credential;
use super::foreign::{self, ForeignTable};
use super::output::Output;
use super::wait::{block_on, or_raise, until_readable};
use crate::columns::required_keys;
use crate::error;

/// The most parents whose lists are read.
const MOST_PARENTS: u64 = 100;

/// Rows of a sample, and how many the table has in all.
struct Sample {
    batches: Vec<(Batch, Arc<Bindings>)>,
    total: f64,
}

/// `AnalyzeForeignTable` (fdwhandler.sgml). False for a table that can only be read with a
/// condition on a key, which makes ANALYZE skip it with a warning.
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn analyze_foreign_table(
    relation: pg_sys::Relation,
    function: *mut pg_sys::AcquireSampleRowsFunc,
    pages: *mut pg_sys::BlockNumber,
) -> bool {
    // SAFETY: ANALYZE has the relation open and locked.
    let (table, owner) = unsafe { ((*relation).rd_id, (*(*relation).rd_rel).relowner) };
    let table = foreign::table(table);
    if !is_readable(&table) {
        return false;
    }
    let rows = credential::scope(table.server, owner)
        .and_then(|scope| totals::rows(scope, table.resource))
        .unwrap_or(table.resource.rows as f64);
    // SAFETY: the callback's results. The number of pages is only compared with others.
    unsafe {
        *function = Some(acquire_sample_rows);
        *pages = (rows / 1000.0).ceil().clamp(1.0, f64::from(u32::MAX)) as pg_sys::BlockNumber;
    }
    true
}

/// Whether the table can be read without a condition.
fn is_readable(table: &ForeignTable) -> bool {
    let chain =
        parents::chain(table.resource, &[]).filter(|chain| chain.is_empty() || table.fan_out);
    let needs_query = required_keys(table.resource).any(|parameter| {
        let parameter = &table.resource.parameters[parameter];
        parameter.location == awork_api::catalogue::Location::Query
    });
    chain.is_some() && !needs_query
}

/// `AcquireSampleRowsFunc` (fdwhandler.sgml).
#[pg_guard]
unsafe extern "C-unwind" fn acquire_sample_rows(
    relation: pg_sys::Relation,
    _level: i32,
    rows: *mut pg_sys::HeapTuple,
    wanted: i32,
    total_rows: *mut f64,
    total_dead_rows: *mut f64,
) -> i32 {
    // SAFETY: ANALYZE has the relation open and locked, and room for `wanted` rows; the current
    // memory context is that of the sample.
    unsafe {
        let table = foreign::table((*relation).rd_id);
        let owner = (*(*relation).rd_rel).relowner;
        let client = credential::client((*relation).rd_id, table.server, owner);
        let mut output = Output::new(&table, |attribute| usize::try_from(attribute - 1).ok());
        let wanted = wanted as usize;
        let sample = read(&table, client, &output, wanted);
        let descriptor = (*relation).rd_att;
        let columns = (*descriptor).natts as usize;
        let mut values = vec![pg_sys::Datum::from(0); columns];
        let mut nulls = vec![true; columns];
        let mut taken = 0;
        for (batch, bindings) in &sample.batches {
            let parameters = output.parameters(table.resource, bindings);
            for row in 0..batch.rows().min(wanted - taken) {
                output.fill(batch, row, &parameters, &mut values, &mut nulls);
                *rows.add(taken) =
                    pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
                taken += 1;
            }
            pgrx::check_for_interrupts!();
        }
        *total_rows = sample.total;
        *total_dead_rows = 0.0;
        taken as i32
    }
}

fn read(table: &ForeignTable, client: Arc<Client>, output: &Output, wanted: usize) -> Sample {
    let resource = table.resource;
    let properties = resource.properties();
    let bindings: Bindings = vec![None; resource.parameters.len()];
    let job = Job {
        resource,
        bindings: vec![bindings.clone()],
        conjuncts: Vec::new(),
        lookup: None,
        order: Order { stable: request::stable_order(resource, &properties), ..Order::default() },
        start: Start::Beginning,
        projection: Projection::new(output.targets(), properties.contains(&"id"))
            .with_mismatches_as_null(table.nulls_mismatches),
        page_size: table.page_size.unwrap_or(client.settings().page_size),
        most_filters: 1,
        // Statistics are of what is there now.
        cache_ttl: Duration::ZERO,
        // Statistics are estimates.
        consistency: Consistency::Relaxed,
        table: table.name.clone(),
    };
    if resource.paged && !resource.is_keyed() {
        let (batches, total) = or_raise(block_on(sample::pages(client, job, wanted)));
        let bindings = Arc::new(bindings);
        let batches = batches.into_iter().map(|batch| (batch, bindings.clone())).collect();
        return Sample { batches, total: total as f64 };
    }
    lists(client, job, wanted)
}

/// Reads a table from its beginning, until there are enough rows.
fn lists(client: Arc<Client>, job: Job, wanted: usize) -> Sample {
    let parents = parents::chain(job.resource, &[]).unwrap_or_default();
    let scope = client.scope();
    let mut scan = or_raise(Scan::start(client, job));
    let mut batches: Vec<(Batch, Arc<Bindings>)> = Vec::new();
    let mut rows = 0;
    let mut complete = false;
    loop {
        let event = match scan.poll() {
            Some(event) => event,
            None => {
                until_readable(scan.wake_fd());
                continue;
            }
        };
        match event {
            Event::Rows(batch, bindings, _) => {
                rows += batch.rows();
                batches.push((batch, bindings));
                scan.demand();
                let parents = scan.progress().parents.load(Ordering::Relaxed);
                if rows >= wanted || parents >= MOST_PARENTS {
                    break;
                }
            }
            Event::Begun(_) => {}
            Event::Notice(message) => error::warn_incomplete(message),
            Event::End => {
                complete = true;
                break;
            }
            Event::Failed(failure) => error::raise(failure),
        }
    }
    let read = scan.progress().parents.load(Ordering::Relaxed).max(1) as f64;
    let all: f64 = parents
        .iter()
        .map(|parent| totals::rows(scope, parent).unwrap_or(parent.rows as f64))
        .product();
    let scale = if complete || parents.is_empty() { 1.0 } else { (all / read).max(1.0) };
    Sample { batches, total: rows as f64 * scale }
}
