//! `AlignedBuf`: memory at an aligned address, as reads and writes around the page cache (`O_DIRECT`) need it.
#![allow(unsafe_code, reason = "allocates with an alignment, which Vec does not")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{IoBuf, IoBufMut};

/// What every device and file system takes: the size of a page.
const PAGE: usize = 4096;

/// A buffer at an aligned address, with a length and a capacity that does not grow.
///
/// `O_DIRECT` wants the address, the offset and the length aligned; by how much the file says
/// ([`File::direct_alignment`](crate::fs::File::direct_alignment)), and 4096 is enough for all that are known. The
/// capacity is rounded up to a multiple of the alignment, so that reading into the whole buffer is aligned too.
///
/// ```
/// use annulus_rt::buf::AlignedBuf;
///
/// let mut buf = AlignedBuf::with_capacity(10_000);
/// assert_eq!((buf.as_ptr().addr() % 4096, buf.capacity(), buf.len()), (0, 12_288, 0));
/// buf.resize(4096, 7);
/// assert_eq!(buf[4095], 7);
/// ```
pub struct AlignedBuf {
    start: NonNull<u8>,
    len: usize,
    layout: Layout,
}

impl AlignedBuf {
    /// An empty buffer for `capacity` bytes, at an address that 4096 divides.
    ///
    /// # Panics
    ///
    /// If `capacity` is above `isize::MAX`.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_alignment(capacity, PAGE)
    }

    /// An empty buffer for `capacity` bytes, at an address that `alignment` divides.
    ///
    /// # Panics
    ///
    /// If `alignment` is not a power of two, or `capacity` is above `isize::MAX`.
    #[must_use]
    pub fn with_alignment(capacity: usize, alignment: usize) -> Self {
        assert!(alignment.is_power_of_two(), "an alignment of {alignment} is not a power of two");
        let layout = capacity
            .checked_next_multiple_of(alignment)
            .and_then(|size| Layout::from_size_align(size, alignment).ok());
        let layout = layout.unwrap_or_else(|| panic!("{capacity} bytes are more than memory can hold"));
        if layout.size() == 0 {
            // Never read or written.
            let start = std::ptr::without_provenance_mut(alignment);
            let start = NonNull::new(start).expect("no power of two is zero");
            return Self { start, len: 0, layout };
        }
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, len: 0, layout }
    }

    /// Copies bytes into a new buffer, at an address that 4096 divides.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut buf = Self::with_capacity(bytes.len());
        buf.extend_from_slice(bytes);
        buf
    }

    /// Cuts what it holds to at most `len` bytes.
    pub const fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
        }
    }

    /// Holds nothing any more.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes it hold `len` bytes; those that are new are `value`.
    ///
    /// # Panics
    ///
    /// If that is more than the capacity.
    pub fn resize(&mut self, len: usize, value: u8) {
        self.assert_room_for(len);
        if let Some(more) = len.checked_sub(self.len) {
            // SAFETY: `len` bytes are within the allocation, and so is where the new ones begin.
            let end = unsafe { self.start.add(self.len) };
            // SAFETY: as above; nothing else points there.
            unsafe { end.write_bytes(value, more) };
        }
        self.len = len;
    }

    /// Puts bytes behind those that it holds.
    ///
    /// # Panics
    ///
    /// If they do not fit into the capacity.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let len = self.len.saturating_add(bytes.len());
        self.assert_room_for(len);
        // SAFETY: as in `resize`.
        let end = unsafe { self.start.add(self.len) };
        // SAFETY: there is room for them; `bytes` is borrowed from elsewhere, as `self` is borrowed uniquely.
        unsafe { end.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        self.len = len;
    }

    /// How many bytes there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// What divides its address.
    #[must_use]
    pub const fn alignment(&self) -> usize {
        self.layout.align()
    }

    /// A size as the capacity that a buffer of it has.
    pub(super) const fn rounded(size: usize) -> usize {
        size.next_multiple_of(PAGE)
    }

    fn assert_room_for(&self, len: usize) {
        assert!(len <= self.capacity(), "{len} bytes for a buffer of {}", self.capacity());
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: allocated with this layout, and given back once.
            unsafe { dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}

// SAFETY: it owns its memory, as a vector does.
unsafe impl Send for AlignedBuf {}
// SAFETY: through `&` it is only read.
unsafe impl Sync for AlignedBuf {}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised: written by the methods above, or by an operation that said so.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed uniquely.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Clone for AlignedBuf {
    /// A buffer of the same capacity and alignment that holds the same.
    fn clone(&self) -> Self {
        let mut copy = Self::with_alignment(self.capacity(), self.alignment());
        copy.extend_from_slice(self);
        copy
    }
}

impl PartialEq for AlignedBuf {
    /// Whether they hold the same.
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for AlignedBuf {}

impl Debug for AlignedBuf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .field("alignment", &self.alignment())
            .finish_non_exhaustive()
    }
}

// SAFETY: an allocation of its own, where moving the buffer leaves it.
unsafe impl IoBuf for AlignedBuf {
    fn as_stable_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    fn filled(&self) -> usize {
        self.len
    }
}

// SAFETY: as above; the capacity is the allocation's size.
unsafe impl IoBufMut for AlignedBuf {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn capacity(&self) -> usize {
        self.layout.size()
    }

    unsafe fn set_filled(&mut self, len: usize) {
        self.len = len;
    }
}
