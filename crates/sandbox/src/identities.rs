//! Whom the sandbox knows. The list may be replaced while it runs, as keys are rotated.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::config::Identity;

/// The identities, by key and by name.
#[derive(Debug)]
pub(crate) struct Identities(RwLock<Vec<Arc<Identity>>>);

impl Identities {
    pub(crate) fn new(identities: Vec<Identity>) -> Identities {
        Identities(RwLock::new(identities.into_iter().map(Arc::new).collect()))
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Identity>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn replace(&self, identities: Vec<Identity>) {
        let identities = identities.into_iter().map(Arc::new).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identities;
    }

    /// All of them, in their order.
    pub(crate) fn all(&self) -> Vec<Arc<Identity>> {
        self.read().clone()
    }

    pub(crate) fn first(&self) -> Option<Arc<Identity>> {
        self.read().first().cloned()
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<Arc<Identity>> {
        self.read().iter().find(|identity| identity.key == key).cloned()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Identity>> {
        self.read().iter().find(|identity| identity.name == name).cloned()
    }
}
