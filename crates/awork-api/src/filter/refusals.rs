//! What awork has refused in this process, so that it is not asked again: kinds of conditions
//! and orders by the base of the API and the resource. Values are no part of it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use once_cell::sync::Lazy;

/// Base of the API, resource, signature.
type Refusal = (String, String, String);

static REFUSED: Lazy<Mutex<HashSet<Refusal>>> = Lazy::new(Mutex::default);

/// Remembers that a server refuses what has this signature.
pub fn remember(base: &str, resource: &str, signature: &str) {
    refused().insert((base.to_owned(), resource.to_owned(), signature.to_owned()));
}

/// Whether a server has refused what has this signature.
pub fn is_refused(base: &str, resource: &str, signature: &str) -> bool {
    let refused = refused();
    !refused.is_empty()
        && refused.contains(&(base.to_owned(), resource.to_owned(), signature.to_owned()))
}

fn refused() -> std::sync::MutexGuard<'static, HashSet<Refusal>> {
    REFUSED.lock().unwrap_or_else(PoisonError::into_inner)
}
