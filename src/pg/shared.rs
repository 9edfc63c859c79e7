//! Memory that the backends share where the library is among `shared_preload_libraries`: the rate
//! limits of workspaces, the figures of them and of tables, and the cache of answers. Elsewhere each backend has its own.
//!
//! The threads that speak HTTP use it as well, so that it has a lock of its own in the place of
//! one of PostgreSQL's, which are for the main thread. The lock is held for as long as copying an
//! answer takes, by code that neither waits nor calls PostgreSQL. It is never left behind: before a
//! backend ends, its threads are kept from taking it; a backend that crashes takes the shared
//! memory of all with it (postmaster.c).

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use awork_api::shared::cache::{self, Memory};
use awork_api::shared::table::{TABLES, Tables};
use awork_api::shared::workspace::{WORKSPACES, Workspaces};
use pgrx::pg_shmem_init;
use pgrx::prelude::*;
use pgrx::shmem::PgSharedMemoryInitialization;

use crate::settings;

/// What the shared memory begins with; the bytes of the cache follow.
#[repr(C)]
struct Shared {
    workspaces: Workspaces,
    tables: Tables,
    /// Whether the cache is in use, 0 or 1.
    lock: AtomicU32,
    /// The size of the cache, which the setting says when the server starts.
    cache_size: usize,
}

/// Where the shared memory is; null where the library was not preloaded.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());

static AREA: Area = Area;

/// Held by the thread that uses the cache; true once the process is about to end.
static CLOSED: Mutex<bool> = Mutex::new(false);

struct Area;

/// Asks for shared memory, while the server loads its preloaded libraries.
// The macro knows versions of PostgreSQL that are no features here.
#[allow(unexpected_cfgs)]
pub(crate) fn request() {
    pg_shmem_init!(AREA = ());
}

impl Area {
    fn bytes(cache_size: usize) -> usize {
        size_of::<Shared>() + cache_size
    }
}

impl PgSharedMemoryInitialization for Area {
    type Value = ();

    unsafe fn on_shmem_request(&'static self) {
        // SAFETY: called by the hook for it.
        unsafe { pg_sys::RequestAddinShmemSpace(Area::bytes(settings::cache_size()) as _) }
    }

    unsafe fn on_shmem_startup(&'static self, (): ()) {
        let cache_size = settings::cache_size();
        let bytes = Area::bytes(cache_size);
        // SAFETY: called by the hook for it, in the postmaster, of which there is one. All zero is
        // a valid state of everything in it.
        unsafe {
            let mut found = false;
            let area = pg_sys::ShmemInitStruct(c"awork_fdw".as_ptr(), bytes as _, &mut found)
                .cast::<Shared>();
            if !found {
                std::ptr::write_bytes(area.cast::<u8>(), 0, bytes);
                (*area).cache_size = cache_size;
            }
            SHARED.store(area, Ordering::Release);
        }
    }
}

/// Makes this process use the shared memory, if there is any, at the first call.
pub(super) fn attach() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        cache::set_size(settings::cache_size() as u64);
        // SAFETY: the memory stays where it is for as long as the process lives.
        let Some(shared) = (unsafe { SHARED.load(Ordering::Acquire).as_ref() }) else { return };
        WORKSPACES.share(&shared.workspaces);
        TABLES.share(&shared.tables);
        cache::share(Box::new(SharedCache));
        // SAFETY: the callback is a function of this library, which is never unloaded.
        unsafe { pg_sys::before_shmem_exit(Some(close), pg_sys::Datum::from(0)) };
    });
}

/// Keeps this process's threads from the shared memory.
#[pg_guard]
unsafe extern "C-unwind" fn close(_code: i32, _argument: pg_sys::Datum) {
    *CLOSED.lock().unwrap_or_else(PoisonError::into_inner) = true;
}

struct SharedCache;

/// The lock of the shared cache while it is held.
struct Held<'l>(&'l AtomicU32);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl Memory for SharedCache {
    fn exclusive(&self, use_it: &mut dyn FnMut(&mut [u8])) {
        let closed = CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
        let area = SHARED.load(Ordering::Acquire);
        if *closed || area.is_null() {
            return;
        }
        // SAFETY: the area was made with room for a cache of this size behind its fixed part.
        let (lock, start, size) = unsafe {
            (&(*area).lock, area.add(1).cast::<c_void>().cast::<u8>(), (*area).cache_size)
        };
        let mut tries = 0_u32;
        while lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            tries += 1;
            match tries {
                0..100 => std::hint::spin_loop(),
                _ => std::thread::sleep(Duration::from_micros(50)),
            }
        }
        let held = Held(lock);
        // SAFETY: the lock gives this thread the use of the bytes until it is released.
        use_it(unsafe { std::slice::from_raw_parts_mut(start, size) });
        drop(held);
    }
}
