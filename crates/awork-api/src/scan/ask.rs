//! Which filters and which order a list is asked for with: all that awork has not refused
//! before. Finds out what it refuses by asking for a single row with each part alone.

use tokio::task::JoinSet;

use super::fetch::stopped;
use super::job::{Job, Start};
use super::reader::Reader;
use crate::error::{Error, ErrorKind};
use crate::filter::{refusals, split};
use crate::request::{self, Bindings};

/// What a list is asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// One filter after the other; the empty text is none.
    pub(super) filters: Vec<String>,
    /// Whether the filters say all conditions.
    pub(super) complete: bool,
    /// Whether a row may come with several filters.
    pub(super) overlapping: bool,
    pub(super) orderby: Option<String>,
    /// Whether `orderby` is the order that the consumer relies on.
    pub(super) ordered: bool,
}

/// Bytes of an address that paging takes at the most.
const PAGING: usize = 60;

/// By what a refused combination of conditions is remembered, each of which alone is fine.
const COMBINATION: &str = "combination of ";

impl Reader {
    /// What to ask with, by what is known to be refused.
    pub(super) fn asked(&self, bindings: &Bindings) -> Asked {
        let (job, base) = (&self.job, self.base());
        if !job.resource.paged {
            // It declares neither filter nor order, and is asked for without.
            return Asked {
                filters: vec![String::new()],
                complete: job.conjuncts.is_empty(),
                overlapping: false,
                orderby: None,
                ordered: false,
            };
        }
        let name = job.resource.name.as_str();
        let refused = |signature: &str| refusals::is_refused(base, name, signature);
        let mut kept = Vec::new();
        for conjunct in &job.conjuncts {
            if refused(&conjunct.signature) {
                self.progress.leave_out(&conjunct.signature);
            } else {
                kept.push(conjunct.clone());
            }
        }
        let together = combination(kept.iter().map(|conjunct| conjunct.signature.as_str()));
        if kept.len() > 1 && refused(&together) {
            self.progress.leave_out(&together);
            kept.clear();
        }
        let mut order = None;
        for (text, required) in job.order.candidates() {
            if refused(&order_signature(&text)) {
                self.progress.leave_out(&order_signature(&text));
            } else {
                order = Some((text, required));
                break;
            }
        }
        let (orderby, ordered) = order.map_or((None, false), |(text, is)| (Some(text), is));
        let target = request::target(job.resource, bindings).unwrap_or_default();
        let taken = target.len() + PAGING + orderby.as_deref().map_or(0, str::len) * 2;
        let room = split::LONGEST_TARGET.saturating_sub(taken);
        let mut filters = split::filters(&kept, room, job.most_filters);
        if filters.overlapping && !job.projection.reads_ids() {
            // A row that comes twice could not be recognised.
            filters = split::filters(&kept, room, 1);
        }
        let complete = filters.complete && kept.len() == job.conjuncts.len();
        // Several answers, each in order, are not in order together.
        let single = filters.texts.len() == 1 && job.bindings.len() == 1;
        Asked {
            complete,
            ordered: ordered && single && (complete || !job.order.needs_filter),
            filters: filters.texts,
            overlapping: filters.overlapping,
            orderby,
        }
    }

    /// Whether an error may be about the filter or the order of a request that had one. A
    /// firewall may take a filter for an attack.
    pub(super) fn is_refusal(error: &Error, filter: &str, orderby: Option<&str>) -> bool {
        match error.kind {
            ErrorKind::RefusedFilter => !filter.is_empty() || orderby.is_some(),
            ErrorKind::Blocked => !filter.is_empty(),
            _ => false,
        }
    }

    /// Finds out what awork refuses of what was asked, and remembers it. Fails where the cause
    /// of `error` is none of it.
    pub(super) async fn learn(
        &self,
        bindings: &Bindings,
        asked: &Asked,
        error: &Error,
    ) -> Result<(), Error> {
        let (job, base) = (&self.job, self.base());
        let name = job.resource.name.as_str();
        if error.kind == ErrorKind::Blocked
            && let Some(target) = request::target(job.resource, bindings)
        {
            // What blocks a filter may block everything.
            let target = request::page(&target, 1, 1, None, "");
            self.client.get(job.resource.version, &target, &job.resource.headers).await?;
        }
        let sent: Vec<&crate::filter::Conjunct> = job
            .conjuncts
            .iter()
            .filter(|conjunct| !refusals::is_refused(base, name, &conjunct.signature))
            .collect();
        let sent = if asked.filters == [""] { Vec::new() } else { sent };
        let order = asked.orderby.as_ref();
        match (sent.as_slice(), order) {
            ([one], None) => refusals::remember(base, name, &one.signature),
            ([], Some(order)) => refusals::remember(base, name, &order_signature(order)),
            _ => {
                let mut probes = JoinSet::new();
                for conjunct in &sent {
                    let one = split::filters(
                        std::slice::from_ref(*conjunct),
                        split::LONGEST_TARGET / 2,
                        usize::MAX,
                    );
                    let filter = one.texts.into_iter().next().unwrap_or_default();
                    self.probe(&mut probes, bindings, &filter, None, &conjunct.signature);
                }
                if let Some(order) = order {
                    self.probe(&mut probes, bindings, "", Some(order), &order_signature(order));
                }
                let mut found = false;
                while let Some(outcome) = probes.join_next().await {
                    let (signature, outcome) = outcome.map_err(|_| stopped())?;
                    match outcome {
                        Err(error) if Self::is_refusal(&error, "x", Some("x")) => {
                            refusals::remember(base, name, &signature);
                            found = true;
                        }
                        // A parent that has gone meanwhile refuses nothing.
                        Err(error) if error.kind == ErrorKind::NoSuchObject => {}
                        other => other?,
                    }
                }
                if !found {
                    let signatures = sent.iter().map(|conjunct| conjunct.signature.as_str());
                    match sent.len() {
                        0 | 1 => {
                            // The order and the condition, only together.
                            if let Some(order) = order {
                                refusals::remember(base, name, &order_signature(order));
                            }
                        }
                        _ => refusals::remember(base, name, &combination(signatures)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks for one row with one part of the question.
    fn probe(
        &self,
        probes: &mut JoinSet<(String, Result<(), Error>)>,
        bindings: &Bindings,
        filter: &str,
        orderby: Option<&String>,
        signature: &str,
    ) {
        let Some(target) = request::target(self.job.resource, bindings) else { return };
        let target = request::page(&target, 1, 1, orderby.map(String::as_str), filter);
        let (client, resource) = (self.client.clone(), self.job.resource);
        let signature = signature.to_owned();
        probes.spawn(async move {
            let answer = client.get(resource.version, &target, &resource.headers).await;
            (signature, answer.map(drop))
        });
    }

    fn base(&self) -> &str {
        self.client.settings().api_url.as_str()
    }

    /// Whether a smaller first page or a later one is right: not where lists are put together.
    pub(super) fn is_single(&self, asked: &Asked) -> bool {
        let job: &Job = &self.job;
        job.resource.paged && job.bindings.len() == 1 && asked.filters.len() == 1 && !self.fans_out
    }

    /// Whether what was asked for with [`Start::Count`] can be taken from the totals.
    pub(super) fn counts(&self, asked: &Asked) -> bool {
        self.job.start == Start::Count
            && asked.complete
            && !asked.overlapping
            && self.job.resource.paged
    }
}

/// By what a refused order is remembered.
pub(super) fn order_signature(text: &str) -> String {
    format!("order {text}")
}

fn combination<'s>(signatures: impl Iterator<Item = &'s str>) -> String {
    let mut signatures: Vec<&str> = signatures.collect();
    signatures.sort_unstable();
    format!("{COMBINATION}{}", signatures.join(" and "))
}
