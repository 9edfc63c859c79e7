//! What requests were sent, for the log of the database server. The threads that send them note
//! it; only the main thread can write a log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// The most notes that wait to be written; older ones are lost.
const MOST: usize = 4096;

static IS_KEPT: AtomicBool = AtomicBool::new(false);
static NOTES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Says whether requests are noted from now on.
pub fn keep(is_kept: bool) {
    IS_KEPT.store(is_kept, Relaxed);
}

/// Notes a request, if that is wanted. The text must have no secret.
pub(crate) fn note(text: impl FnOnce() -> String) {
    if !IS_KEPT.load(Relaxed) {
        return;
    }
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    if notes.len() == MOST {
        notes.pop_front();
    }
    notes.push_back(text());
}

/// Takes the notes, in the order of the answers.
pub fn take() -> VecDeque<String> {
    match IS_KEPT.load(Relaxed) {
        true => std::mem::take(&mut *NOTES.lock().unwrap_or_else(PoisonError::into_inner)),
        false => VecDeque::new(),
    }
}
