//! A sample of a list's rows: whole pages, chosen at random.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::Job;
use super::fetch::stopped;
use super::reader::Reader;
use crate::client::Client;
use crate::error::Error;
use crate::request::Bindings;
use crate::rows::Batch;

/// Pages that have at least `wanted` rows together, in the order of the list, and the number of
/// rows that it has. The list must have pages and no parameters in its path.
pub async fn pages(
    client: Arc<Client>,
    job: Job,
    wanted: usize,
) -> Result<(Vec<Batch>, u64), Error> {
    let max = client.settings().max_concurrency;
    let size = u64::from(job.page_size);
    let reader = Reader::alone(client, job);
    let bindings: Bindings = reader.job.bindings.first().cloned().unwrap_or_default();
    let first = loop {
        let asked = reader.asked(&bindings);
        match reader.page(&bindings, 1, &asked).await.map_err(|_| stopped())? {
            Err(error) if Reader::is_refusal(&error, "", asked.orderby.as_deref()) => {
                reader.learn(&bindings, &asked, &error).await?;
                if reader.asked(&bindings) == asked {
                    return Err(error);
                }
            }
            other => break other?,
        }
    };
    let asked = reader.asked(&bindings);
    let size = first.info.page_size.filter(|&size| size > 0).unwrap_or(size);
    let total = first.info.total.unwrap_or(first.batch.rows() as u64);
    let pages = total.div_ceil(size).max(1);
    let count = (wanted as u64).div_ceil(size).clamp(1, pages);
    let mut chosen = BTreeSet::new();
    while (chosen.len() as u64) < count {
        chosen.insert(fastrand::u64(1..=pages));
    }
    let mut chosen = chosen.into_iter().peekable();
    let mut batches = Vec::new();
    if chosen.next_if_eq(&1).is_some() {
        batches.push(first.batch);
    }
    let mut in_flight = VecDeque::new();
    loop {
        while in_flight.len() < max {
            let Some(page) = chosen.next() else { break };
            in_flight.push_back((page, reader.page(&bindings, page, &asked)));
        }
        let Some((page, task)) = in_flight.pop_front() else { break };
        let fetched = match task.await.map_err(|_| stopped())? {
            // What was fine for the first page is so most likely.
            Err(error) if Reader::is_refusal(&error, "", asked.orderby.as_deref()) => {
                reader.page(&bindings, page, &asked).await.map_err(|_| stopped())?
            }
            other => other,
        };
        batches.push(fetched?.batch);
    }
    crate::totals::note(reader.client.scope(), reader.job.resource, total);
    Ok((batches, total))
}
