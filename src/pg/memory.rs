//! What the C library keeps of memory that was freed.

use std::sync::Once;

/// Has this process give back what is large: it comes in mappings of its own, which go back to the
/// system as soon as they are freed. By default glibc takes ever larger pieces from its
/// heaps once such a one has been freed, up to 32 MiB (mallopt(3), `M_MMAP_THRESHOLD`); whatever
/// small is still in use behind them keeps a heap from shrinking, so that after some large answers a
/// session held 10 to 50 MB of free memory for as long as it lived. PostgreSQL's own copies of large
/// values come from there as well.
pub(super) fn give_back() {
    static DONE: Once = Once::new();
    // SAFETY: sets limits of the allocator, which it may be told at any time; they fail for sizes
    // out of range only.
    #[cfg(target_env = "gnu")]
    DONE.call_once(|| unsafe {
        // Most pages of rows are smaller, so that not each page's memory is mapped anew.
        const LARGE: libc::c_int = 1 << 20;
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * LARGE);
    });
}
