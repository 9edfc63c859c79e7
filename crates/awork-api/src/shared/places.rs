//! Places in memory that processes share, each for one thing that has a number. Where all are
//! taken, a new thing gets the place of the one that was used the longest ago, if that is long
//! enough; else each process has its own.
//!
//! There is no lock, so that none can be left behind. A place belongs to the number that it names;
//! who takes it names first none, then clears it, and then its own. Wherever that ends early, the
//! place is one that nobody uses, and is taken again when its time has come. Who holds a place
//! looks whether it still has it, see [`Known::is_current`].

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use once_cell::sync::OnceCell;

use super::now;

/// What a place holds. Memory that is all zero must be a valid one that is as new.
pub trait Content: Default {
    /// Makes it as new, at the beginning of its use.
    fn begin(&self);
}

/// How long a place is kept that nobody uses, in microseconds: no request takes so long, nor does
/// one wait for so long, so that no request under way loses its place.
const KEPT: u64 = 2 * 3600 * 1_000_000;

/// The number of a place that is being cleared.
const NOBODY: u64 = u64::MAX;

/// `N` places. Memory that is all zero is a valid one.
#[derive(Debug)]
#[repr(C)]
pub struct Places<T, const N: usize> {
    /// Whose each is; 0 where nobody has taken it yet.
    numbers: [AtomicU64; N],
    /// When each was last used.
    used: [AtomicU64; N],
    contents: [T; N],
}

/// A place that processes share.
#[derive(Debug)]
pub struct Place<T: 'static> {
    number: u64,
    holder: &'static AtomicU64,
    used: &'static AtomicU64,
    content: &'static T,
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

/// A thing as this process knows it.
#[derive(Debug)]
pub enum Known<T: 'static> {
    /// In memory that processes share.
    Shared(Place<T>),
    /// In memory of this process.
    Own(Arc<T>),
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        match self {
            Known::Shared(place) => Known::Shared(*place),
            Known::Own(content) => Known::Own(content.clone()),
        }
    }
}

impl<T> Deref for Known<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Known::Shared(place) => place.content,
            Known::Own(content) => content,
        }
    }
}

impl<T> Known<T> {
    /// Whether other processes see the same.
    pub fn is_shared(&self) -> bool {
        matches!(self, Known::Shared(_))
    }

    /// Whether the place has not been given to something else meanwhile.
    pub fn is_current(&self) -> bool {
        match self {
            Known::Shared(place) => place.holder.load(Relaxed) == place.number,
            Known::Own(_) => true,
        }
    }

    /// Takes note that it is used, so that the place is kept.
    pub fn touch(&self) {
        if let Known::Shared(place) = self {
            place.used.store(now(), Relaxed);
        }
    }
}

impl<T: Content, const N: usize> Places<T, N> {
    /// The place of this number.
    fn find(&'static self, number: u64) -> Option<Place<T>> {
        let at = self.numbers.iter().position(|holder| holder.load(Relaxed) == number)?;
        Some(self.place(at, number))
    }

    fn place(&'static self, at: usize, number: u64) -> Place<T> {
        let (holder, used) = (&self.numbers[at], &self.used[at]);
        Place { number, holder, used, content: &self.contents[at] }
    }

    /// The place of this number, taken if it has none; none where all are in use.
    fn find_or_take(&'static self, number: u64, now: u64) -> Option<Place<T>> {
        loop {
            // Also after it was taken: another process may have taken one for the same number.
            if let Some(place) = self.find(number) {
                place.used.store(now, Relaxed);
                return Some(place);
            }
            if !self.take(number, now) {
                return None;
            }
        }
    }

    /// Gets a place for this number; false where all are in use. True as well where another process
    /// was quicker, so that one looks again.
    fn take(&self, number: u64, now: u64) -> bool {
        for (at, holder) in self.numbers.iter().enumerate() {
            if holder.load(Relaxed) == 0 {
                // Before it is taken, so that nobody takes it for one that was never used.
                self.used[at].store(now, Relaxed);
                match holder.compare_exchange(0, number, Relaxed, Relaxed) {
                    Ok(_) => {
                        self.contents[at].begin();
                        return true;
                    }
                    Err(other) if other == number => return true,
                    Err(_) => {}
                }
            }
        }
        let used = self.used.iter().map(|used| used.load(Relaxed)).enumerate();
        let Some((at, used)) = used.min_by_key(|(_, used)| *used) else { return false };
        if now.saturating_sub(used) < KEPT {
            return false;
        }
        if self.used[at].compare_exchange(used, now, Relaxed, Relaxed).is_ok() {
            self.numbers[at].store(NOBODY, Relaxed);
            self.contents[at].begin();
            self.numbers[at].store(number, Relaxed);
        }
        true
    }

    /// All that are taken.
    fn all(&'static self) -> impl Iterator<Item = Place<T>> {
        let numbers = self.numbers.iter().map(|holder| holder.load(Relaxed)).enumerate();
        let taken = numbers.filter(|(_, number)| ![0, NOBODY].contains(number));
        taken.map(|(at, number)| self.place(at, number))
    }
}

/// The things of one kind: those that processes share, and those of this process alone.
#[derive(Debug)]
pub struct Registry<T: 'static, const N: usize> {
    shared: OnceCell<&'static Places<T, N>>,
    own: Mutex<BTreeMap<u64, Arc<T>>>,
}

impl<T: Content, const N: usize> Registry<T, N> {
    /// One that knows nothing.
    pub const fn new() -> Self {
        Self { shared: OnceCell::new(), own: Mutex::new(BTreeMap::new()) }
    }

    /// Uses memory that other processes use as well. Has an effect once.
    pub fn share(&self, places: &'static Places<T, N>) {
        // A second call comes from a process that was forked after the first.
        let _ = self.shared.set(places);
    }

    /// Whether there is memory that other processes use as well.
    pub fn is_shared(&self) -> bool {
        self.shared.get().is_some()
    }

    /// The thing of this number, if it has been used.
    pub fn known(&self, number: u64) -> Option<Known<T>> {
        let shared = self.shared.get().and_then(|places| places.find(number));
        let own = || self.own().get(&number).cloned().map(Known::Own);
        shared.map(Known::Shared).or_else(own)
    }

    /// The thing of this number, which is not 0, about to be used. Where more are in use than can
    /// be shared, it is known to this process only.
    pub fn of(&self, number: u64) -> Known<T> {
        self.of_at(number, now())
    }

    fn of_at(&self, number: u64, now: u64) -> Known<T> {
        if let Some(place) = self.shared.get().and_then(|places| places.find_or_take(number, now)) {
            return Known::Shared(place);
        }
        let new = || {
            let content = T::default();
            content.begin();
            Arc::new(content)
        };
        Known::Own(self.own().entry(number).or_insert_with(new).clone())
    }

    /// All that have been used, with their numbers.
    pub fn all(&self) -> Vec<(u64, Known<T>)> {
        let shared = self.shared.get().into_iter().flat_map(|places| places.all());
        let mut all: BTreeMap<u64, Known<T>> =
            self.own().iter().map(|(number, own)| (*number, Known::Own(own.clone()))).collect();
        all.extend(shared.map(|place| (place.number, Known::Shared(place))));
        all.into_iter().collect()
    }

    fn own(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<T>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Content, const N: usize> Default for Registry<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
