//! Locks that keep a refresh token from being sent twice. They are heavyweight locks
//! (lock.c), so that waiting for one can be interrupted, and `pg_locks` shows them as advisory
//! locks; but no function of SQL can take them, since its locks have other numbers in the last
//! field.

use pgrx::pg_sys;

use super::store::Place;

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Having the tokens of a place changed. Held by the session that asks for it, so that the
    /// others wait instead of asking too.
    Asking = 0x4157,
    /// Changing the tokens of a place. Held by the worker through all of its transactions, also
    /// where the session that asked for it is gone.
    Changing = 0x4158,
}

/// A lock, held until it is dropped.
pub(super) struct Lock {
    tag: pg_sys::LOCKTAG,
    /// Whether it outlives the transaction.
    outlives: bool,
}

const MODE: pg_sys::LOCKMODE = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;

impl Lock {
    /// Takes a lock for the transaction, which its end releases, also after an error; none where
    /// another has it and it is not to be waited for.
    pub(super) fn take(of: Of, place: Place, wait: bool) -> Option<Self> {
        Self::acquire(of, place, wait, false)
    }

    /// Takes a lock for the process, if nobody has it.
    pub(super) fn take_for_process(of: Of, place: Place) -> Option<Self> {
        Self::acquire(of, place, false, true)
    }

    fn acquire(of: Of, place: Place, wait: bool, outlives: bool) -> Option<Self> {
        let tag = pg_sys::LOCKTAG {
            // SAFETY: a variable of the process.
            locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
            locktag_field2: place.server.to_u32(),
            locktag_field3: place.role.to_u32(),
            locktag_field4: of as u16,
            locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        };
        // SAFETY: the tag is complete.
        let outcome = unsafe { pg_sys::LockAcquire(&tag, MODE, outlives, !wait) };
        let is_taken = outcome != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL;
        is_taken.then_some(Self { tag, outlives })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: the lock is held, unless an error has ended the transaction, which releases it.
        unsafe {
            if !std::thread::panicking() {
                pg_sys::LockRelease(&self.tag, MODE, self.outlives);
            }
        }
    }
}
