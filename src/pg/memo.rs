//! The answers of a scan that runs several times within one statement, so that no question is
//! asked twice: the lookups of a nested loop, a subquery for each row.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use awork_api::request::Bindings;
use awork_api::rows::Batch;
use awork_api::scan::Begun;

/// An answer, or its beginning where nobody wanted more.
pub(super) struct Answer {
    pub(super) begun: Begun,
    pub(super) batches: Vec<(Batch, Arc<Bindings>)>,
    pub(super) complete: bool,
}

impl Answer {
    fn rows(&self) -> usize {
        self.batches.iter().map(|(batch, _)| batch.rows()).sum()
    }

    fn bytes(&self, question: &str) -> usize {
        let rows: usize = self.batches.iter().map(|(batch, _)| batch.bytes()).sum();
        rows + question.len() + OVERHEAD
    }

    /// The identities of its rows; none where a row has none, so that it could not be recognised
    /// when the rest is asked for.
    pub(super) fn identities(&self) -> Option<HashSet<u128>> {
        self.batches.iter().flat_map(|(batch, _)| batch.ids()).copied().collect()
    }
}

/// Answers by what was asked, up to a size.
pub(super) struct Memo {
    answers: HashMap<String, Rc<Answer>>,
    /// Bytes that more answers may take.
    room: usize,
    /// How often an answer was there.
    pub(super) hits: u64,
}

impl Memo {
    /// A memo that takes up to `room` bytes.
    pub(super) fn new(room: usize) -> Self {
        Self { answers: HashMap::new(), room, hits: 0 }
    }

    pub(super) fn get(&mut self, question: &str) -> Option<Rc<Answer>> {
        let answer = self.answers.get(question).cloned();
        self.hits += u64::from(answer.is_some());
        answer
    }

    /// Whether an answer of this size can still be kept.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.room
    }

    pub(super) fn keep(&mut self, question: String, answer: Answer) {
        let known = self.answers.get(&question);
        if known.is_some_and(|known| known.complete) {
            return;
        }
        let usable = answer.complete || (answer.rows() > 0 && answer.identities().is_some());
        // An answer that goes further takes the place of its beginning.
        let room = self.room + known.map_or(0, |known| known.bytes(&question));
        let bytes = answer.bytes(&question);
        if usable && bytes <= room {
            self.room = room - bytes;
            self.answers.insert(question, Rc::new(answer));
        }
    }
}

/// What an entry takes beside its rows and its question.
const OVERHEAD: usize = 200;
