//! A first page that is only as large as is expected to be enough.

use std::collections::HashSet;
use std::sync::Arc;

use super::Event;
use super::ask::Asked;
use super::fetch::{Part, Wanted, stopped};
use super::job::Start;
use super::reader::Reader;
use super::reading::Reading;
use crate::error::Error;
use crate::pages::Page;
use crate::request::{self, Bindings};
use crate::totals;

/// What comes of a small first page.
pub(super) enum Head {
    /// All rows have come, or no more are wanted.
    Enough,
    /// The list is to be read; these of its rows have come.
    More(HashSet<u128>),
}

impl Reader {
    /// Whether such a page can be asked for.
    pub(super) fn has_head(&self, asked: &Asked) -> bool {
        matches!(self.job.start, Start::Head(rows) if rows < self.job.page_size)
            && self.answers_all(asked)
            && self.job.projection.reads_ids()
    }

    /// Reads it, and sends its rows on.
    pub(super) async fn head(
        &self,
        reading: &mut Reading,
        bindings: &Arc<Bindings>,
    ) -> Result<Head, Error> {
        let Start::Head(rows) = self.job.start else { return Ok(Head::More(HashSet::new())) };
        let Some(target) = request::target(self.job.resource, bindings) else {
            return Ok(Head::Enough);
        };
        let (received, asked) = loop {
            let asked = self.asked(bindings);
            if !self.has_head(&asked) {
                reading.asked = asked;
                return Ok(Head::More(HashSet::new()));
            }
            let filter = &asked.filters[0];
            let target = request::page(&target, 1, rows.max(1), asked.orderby.as_deref(), filter);
            match self
                .fetch(target, Page::ONLY, Wanted::Rows, Part::Only)
                .await
                .map_err(|_| stopped())?
            {
                Err(error) if Self::is_refusal(&error, filter, asked.orderby.as_deref()) => {
                    self.learn(bindings, &asked, &error).await?;
                    if self.asked(bindings) == asked {
                        return Err(error);
                    }
                }
                other => break (other?, asked),
            }
        };
        let came = received.batch.rows() as u64;
        if let (Some(total), "") = (received.info.total, asked.filters[0].as_str()) {
            totals::note(self.client.scope(), self.job.resource, total);
        }
        reading.asked = asked;
        let head: HashSet<u128> = received.batch.ids().iter().flatten().copied().collect();
        self.begin(reading, 0).await;
        // awork may count after it has read, and a row may go in between.
        let is_full = came >= rows.max(1).into();
        let all = received.info.total.is_some_and(|total| total <= came) && !is_full;
        let sent = self.outlet.send(Event::Rows(received.batch, bindings.clone(), all)).await;
        if all || !sent {
            return Ok(Head::Enough);
        }
        self.outlet.demanded().await;
        Ok(Head::More(head))
    }
}
