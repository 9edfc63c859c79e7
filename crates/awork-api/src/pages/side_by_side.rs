//! Pages that meet.

use std::collections::HashSet;

use super::{Answer, Consistency, Pages, Received, changed};
use crate::error::Error;

impl Pages {
    pub(super) fn received_beside(&mut self, answer: &Answer<'_>) -> Result<Received, Error> {
        let known = self.places_of_known(answer.ids).count();
        let is_strict = self.manner.consistency == Consistency::Strict;
        let is_another_total =
            answer.total.is_some_and(|total| self.total.is_some_and(|before| before != total));
        if is_strict && (is_another_total || (known > 0 && known < answer.ids.len())) {
            return Err(changed());
        }
        if answer.rows == 0 {
            self.empty += 1;
            let total = answer.total.or(self.total);
            let is_past_the_end = total.is_none_or(|total| answer.start >= total);
            self.is_complete = is_past_the_end || self.empty > 1;
            return Ok(Received::Rows(HashSet::new()));
        }
        // A single row may have moved here from the page before; a whole page has not.
        if known > 0 && known == answer.ids.len() && (known > 1 || self.total.is_none()) {
            return self.repeated(answer);
        }
        self.is_steady &= known == 0;
        let largest = self.total.max(answer.total);
        let repeated = self.accept(answer, 0);
        if self.total.is_some() && !is_strict {
            // A row that went may have moved another one away.
            self.total = self.total.max(largest);
        }
        let before = self.first.start();
        self.is_complete = self.total.is_some_and(|total| {
            answer.end() >= total && before.saturating_add(self.rows) >= total
        });
        Ok(Received::Rows(repeated))
    }
}
