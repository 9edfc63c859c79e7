//! The memory of the bodies of answers, in mappings of its own: the allocator of a process with
//! several threads cuts pieces of some megabytes out of several heaps, which then hold far more
//! than is in use. Pages of a scan are of much the same size, so that the mapping of one serves
//! the next without a fault for each of its 4 kB. While answers are in use, as many are kept as were
//! at one time; a process that waits keeps a few of moderate size.

use std::io;
use std::sync::{Mutex, MutexGuard};

use memmap2::MmapMut;

/// Sizes are multiples of this, so that a page that is a little larger than the one before fits.
const GRAIN: usize = 256 * 1024;

/// How many are kept while no answer is in use: one for each thread that decodes.
const KEPT: usize = 2;

/// The size up to which one is kept then.
const LARGEST_KEPT: usize = 16 * GRAIN;

/// The buffers of this process.
pub(crate) static BUFFERS: Pool = Pool::new();

pub(crate) struct Pool(Mutex<Buffers>);

struct Buffers {
    free: Vec<MmapMut>,
    in_use: usize,
}

impl Pool {
    const fn new() -> Self {
        Self(Mutex::new(Buffers { free: Vec::new(), in_use: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Buffers> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// An empty buffer with room for at least `size` bytes. Fails where there is no memory.
    pub(crate) fn buffer(&'static self, size: usize) -> io::Result<Buffer> {
        let mut buffers = self.lock();
        let free = buffers.free.pop();
        drop(buffers);
        let map = match free {
            Some(map) if map.len() >= size => map,
            _ => mapping(size)?,
        };
        self.lock().in_use += 1;
        Ok(Buffer { map: Some(map), length: 0, pool: self })
    }
}

fn mapping(size: usize) -> io::Result<MmapMut> {
    MmapMut::map_anon(size.max(1).next_multiple_of(GRAIN))
}

/// A buffer, which goes back to its pool when it is dropped.
pub(crate) struct Buffer {
    /// There until the drop.
    map: Option<MmapMut>,
    length: usize,
    pool: &'static Pool,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Adds bytes. Fails where there is no memory for them.
    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.length + bytes.len();
        let room = self.map.as_ref().map_or(0, |map| map.len());
        if end > room {
            let mut larger = mapping(end.max(2 * room))?;
            larger[..self.length].copy_from_slice(self.as_ref());
            self.map = Some(larger);
        }
        if let Some(map) = &mut self.map {
            map[self.length..end].copy_from_slice(bytes);
            self.length = end;
        }
        Ok(())
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], |map| &map[..self.length])
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut buffers = self.pool.lock();
        buffers.in_use -= 1;
        buffers.free.extend(self.map.take());
        if buffers.in_use == 0 {
            buffers.free.retain(|map| map.len() <= LARGEST_KEPT);
            buffers.free.truncate(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_serves_again_while_another_is_in_use() {
        static POOL: Pool = Pool::new();
        let other = POOL.buffer(0).unwrap();
        let mut buffer = POOL.buffer(GRAIN + 1).unwrap();
        buffer.extend_from_slice(b"page").unwrap();
        assert_eq!((buffer.len(), buffer.as_ref()), (4, b"page".as_slice()));
        drop(buffer);
        let buffer = POOL.buffer(10).unwrap();
        assert!(buffer.as_ref().is_empty());
        assert_eq!(buffer.map.as_ref().unwrap().len(), 2 * GRAIN);
        drop(buffer);
        assert_eq!(POOL.lock().free.len(), 1);
        drop(other);
        assert_eq!(POOL.lock().free.len(), 2);
    }

    #[test]
    fn few_and_no_large_buffers_are_kept() {
        static POOL: Pool = Pool::new();
        let buffers = [LARGEST_KEPT + 1, 1, LARGEST_KEPT, 1].map(|size| POOL.buffer(size).unwrap());
        drop(buffers);
        let sizes: Vec<usize> = POOL.lock().free.iter().map(|map| map.len()).collect();
        assert_eq!(sizes, [GRAIN, LARGEST_KEPT]);
    }

    #[test]
    fn a_buffer_grows() {
        static POOL: Pool = Pool::new();
        let mut buffer = POOL.buffer(0).unwrap();
        let mut expected = Vec::new();
        for i in 0..100 {
            let chunk = vec![i; 10_000];
            buffer.extend_from_slice(&chunk).unwrap();
            expected.extend(chunk);
        }
        assert!(buffer.as_ref() == expected);
    }
}
