//! Answers that take no reading of a list: the only row, by its identity, and the number of rows,
//! by what the lists announce.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ask::Asked;
use super::fetch::{Part, Wanted, stopped};
use super::job::Start;
use super::reader::Reader;
use super::{Begun, Event};
use crate::catalogue::Shape;
use crate::error::{Error, ErrorKind};
use crate::pages::Page;
use crate::request;
use crate::rows::Batch;
use crate::totals;

impl Reader {
    /// Asks for the only row that can be there; false where the list has to be asked.
    pub(super) async fn look_up(&self, target: &str) -> Result<bool, Error> {
        let resource = self.job.resource;
        let batch = match self
            .fetch(target.to_owned(), Page::ONLY, Wanted::Object(Shape::Object), Part::Only)
            .await
        {
            Err(_) => return Err(stopped()),
            Ok(Ok(page)) => page.batch,
            Ok(Err(error)) => match error.kind {
                ErrorKind::NoSuchObject => Batch::new(0),
                // The list leaves out what may not be seen, and its filter knows the property.
                ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::RefusedRequest
                    if resource.paged =>
                {
                    return Ok(false);
                }
                _ => return Err(error),
            },
        };
        let bindings = self.job.bindings.first().cloned().unwrap_or_default();
        let begun = Begun { ordered: true, skipped: 0, total: None };
        self.outlet.send(Event::Begun(begun)).await;
        self.outlet.send(Event::Rows(batch, Arc::new(bindings), true)).await;
        Ok(true)
    }

    /// The number of rows by what the lists announce; none where that does not answer.
    pub(super) async fn count(&self) -> Result<Option<u64>, Error> {
        if self.job.start != Start::Count || self.fans_out {
            return Ok(None);
        }
        let max = self.client.settings().max_concurrency;
        let mut sum = 0;
        for bindings in &self.job.bindings {
            let Some(target) = request::target(self.job.resource, bindings) else { continue };
            let mut asked = self.asked(bindings);
            'again: loop {
                if !self.counts(&asked) {
                    return Ok(None);
                }
                let mut of_binding = 0;
                let mut in_flight = VecDeque::new();
                let mut filters = asked.filters.iter();
                loop {
                    while in_flight.len() < max {
                        let Some(filter) = filters.next() else { break };
                        // The order is left out: it cannot change the number.
                        let target = request::page(&target, 1, 1, None, filter);
                        in_flight.push_back((
                            filter,
                            self.fetch(target, Page::ONLY, Wanted::Headers, Part::Only),
                        ));
                    }
                    let Some((filter, task)) = in_flight.pop_front() else { break };
                    match task.await.map_err(|_| stopped())? {
                        Err(error) if Self::is_refusal(&error, filter, None) => {
                            let without_order = Asked { orderby: None, ..asked.clone() };
                            self.learn(bindings, &without_order, &error).await?;
                            let now = self.asked(bindings);
                            if now == asked {
                                return Err(error);
                            }
                            asked = now;
                            continue 'again;
                        }
                        Err(error)
                            if error.kind == ErrorKind::NoSuchObject
                                && self.job.resource.is_keyed() => {}
                        other => match other?.info.total {
                            Some(total) => of_binding += total,
                            None => return Ok(None),
                        },
                    }
                }
                if asked.filters == [""] {
                    totals::note(self.client.scope(), self.job.resource, of_binding);
                }
                sum += of_binding;
                break;
            }
        }
        Ok(Some(sum))
    }
}
