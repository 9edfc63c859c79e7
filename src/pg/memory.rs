//! The allocator of this library: what is large comes in a mapping of its own, which goes back to
//! the system as soon as it is freed. glibc's allocator has a heap for each thread, and keeps much of
//! what was freed: after some very large answers 10 to 40 MB, for as long as the session lives.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::Ordering;

use awork_api::client::LARGE_ANSWER;

#[global_allocator]
static ALLOCATOR: Mappings = Mappings;

struct Mappings;

/// What is at least this large, in bytes. Most pages of rows are smaller, so that not each page's
/// memory is mapped anew. What glibc keeps grows with the largest piece that it has given
/// (mallopt(3), `M_MMAP_THRESHOLD`).
const LARGE: usize = 1 << 20;

/// Gives back what the system's allocator has kept of earlier statements, if one of them has had a
/// very large answer: PostgreSQL's own copies of its rows come from there.
pub(super) fn give_back() {
    if LARGE_ANSWER.swap(false, Ordering::Relaxed) {
        // SAFETY: a function without conditions (malloc_trim(3)).
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0);
        }
    }
}

/// The smallest page of memory that a platform has, at whose multiples mappings begin.
const PAGE: usize = 4096;

fn is_large(size: usize, align: usize) -> bool {
    size >= LARGE && align <= PAGE
}

/// New memory, all zero; null where there is none.
fn map(size: usize) -> *mut u8 {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, at an address that the system chooses, touches no other memory.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
    or_null(mapped)
}

fn or_null(mapped: *mut c_void) -> *mut u8 {
    if mapped == libc::MAP_FAILED { ptr::null_mut() } else { mapped.cast() }
}

// SAFETY: which of the two has given a piece of memory follows from the layout that comes back with
// it, and either keeps to the contract of the trait for its own. Nothing here panics.
unsafe impl GlobalAlloc for Mappings {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match is_large(layout.size(), layout.align()) {
            true => map(layout.size()),
            // SAFETY: as the caller promises.
            false => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match is_large(layout.size(), layout.align()) {
            true => map(layout.size()),
            // SAFETY: as the caller promises.
            false => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory is as long as the layout says, and nobody uses it any more. That the
        // system fails to take it back is no harm.
        unsafe {
            match is_large(layout.size(), layout.align()) {
                true => _ = libc::munmap(memory.cast(), layout.size()),
                false => System.dealloc(memory, layout),
            }
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the memory is as long as the layout says; the caller promises that the new size
        // makes a layout, too.
        unsafe {
            match (is_large(layout.size(), align), is_large(size, align)) {
                (true, true) => {
                    or_null(libc::mremap(memory.cast(), layout.size(), size, libc::MREMAP_MAYMOVE))
                }
                (false, false) => System.realloc(memory, layout, size),
                _ => {
                    let new = self.alloc(Layout::from_size_align_unchecked(size, align));
                    if !new.is_null() {
                        ptr::copy_nonoverlapping(memory, new, layout.size().min(size));
                        self.dealloc(memory, layout);
                    }
                    new
                }
            }
        }
    }
}
