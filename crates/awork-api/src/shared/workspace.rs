//! The workspaces that are asked, each with its budget, its state and its counters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use once_cell::sync::{Lazy, OnceCell};

use super::budget::Budget;
use super::congestion::Congestion;
use super::latency::Latency;

/// How many workspaces the processes of a database server can share.
const MOST: usize = 128;

/// What is known of a workspace, beside its answers.
#[derive(Debug)]
#[repr(C)]
pub struct Workspace {
    /// Which workspace it is; 0 where there is none.
    id: AtomicU64,
    /// Its rate limit.
    pub budget: Budget,
    /// How many requests it stands.
    pub congestion: Congestion,
    /// What was sent and received.
    pub counters: Counters,
}

/// Running totals.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Counters {
    /// Requests sent, retries included.
    pub requests: AtomicU64,
    /// Requests that were sent again.
    pub retries: AtomicU64,
    /// Milliseconds between a failed request and the next try.
    pub waited: AtomicU64,
    /// Requests that were refused for their rate.
    pub limited: AtomicU64,
    /// Milliseconds for which requests waited so as to keep within the rate limit.
    pub held_back: AtomicU64,
    /// Requests that were given up: what a user sees as an error.
    pub failures: AtomicU64,
    /// How long requests took, from sending to the last byte of the answer.
    pub latency: Latency,
    /// Bytes of answers, decompressed.
    pub bytes: AtomicU64,
    /// Answers that were taken from the cache.
    pub hits: AtomicU64,
    /// Answers that the cache did not have.
    pub misses: AtomicU64,
    /// The age of the oldest answer that was taken from the cache, in milliseconds.
    pub oldest: AtomicU64,
}

/// The workspaces of all processes. Memory that is all zero is a valid one.
#[derive(Debug)]
#[repr(C)]
pub struct Workspaces([Workspace; MOST]);

static SHARED: OnceCell<&'static Workspaces> = OnceCell::new();

/// Those of this process alone.
static OWN: Lazy<Mutex<Vec<Arc<Workspace>>>> = Lazy::new(Mutex::default);

/// Uses memory that other processes use as well. Has an effect once.
pub fn share(workspaces: &'static Workspaces) {
    // A second call comes from a process that was forked after the first.
    let _ = SHARED.set(workspaces);
}

/// Whether other processes see the same.
pub fn is_shared() -> bool {
    SHARED.get().is_some()
}

/// A workspace, as this process knows it.
#[derive(Debug, Clone)]
pub enum Known {
    /// In memory that processes share.
    Shared(&'static Workspace),
    /// In memory of this process.
    Own(Arc<Workspace>),
}

impl std::ops::Deref for Known {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        match self {
            Known::Shared(workspace) => workspace,
            Known::Own(workspace) => workspace,
        }
    }
}

/// The workspace of this number, if it has been asked.
pub fn known(id: u64) -> Option<Known> {
    let has_id = |w: &Workspace| w.id.load(Ordering::Relaxed) == id;
    let shared = SHARED.get().and_then(|Workspaces(shared)| shared.iter().find(|w| has_id(w)));
    let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let own = || own.iter().find(|w| has_id(w)).cloned().map(Known::Own);
    shared.map(Known::Shared).or_else(own)
}

/// The workspace of this number, which is not 0. Where more are in use than can be shared, it
/// is known to this process only.
pub fn workspace(id: u64) -> Known {
    if let Some(Workspaces(shared)) = SHARED.get() {
        let claim = |w: &&Workspace| {
            let claimed = w.id.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
            claimed.is_ok() || claimed == Err(id)
        };
        if let Some(workspace) = shared.iter().find(claim) {
            return Known::Shared(workspace);
        }
    }
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(workspace) = own.iter().find(|known| known.id.load(Ordering::Relaxed) == id) {
        return Known::Own(workspace.clone());
    }
    let workspace = Arc::new(Workspace::new(id));
    own.push(workspace.clone());
    Known::Own(workspace)
}

impl Workspace {
    /// One that has not been asked: all figures are zero.
    pub fn new(id: u64) -> Self {
        Self {
            id: id.into(),
            budget: Budget::default(),
            congestion: Congestion::default(),
            counters: Counters::default(),
        }
    }
}
