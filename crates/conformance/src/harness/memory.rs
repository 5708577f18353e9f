//! Memory for operations to point to: allocated once, never freed.
//!
//! What is pushed may be read and written by the back end until its last completion, and a case that
//! fails leaves operations behind. So nothing that an entry points to is ever freed: the process is a
//! test, and ends soon. Contents are only copied in and out, as somebody else may write at any time.
#![allow(unsafe_code, reason = "copies to and from memory that a back end writes to")]

use std::alloc::{Layout, alloc_zeroed};
use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// Bytes at a page boundary, for reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    start: NonNull<u8>,
    len: usize,
}

impl Buffer {
    const ALIGN: usize = 4096;

    /// `len` zeroes.
    ///
    /// # Panics
    ///
    /// If there is no memory, or `len` is 0.
    #[must_use]
    pub fn new(len: usize) -> Self {
        assert!(len > 0, "a buffer has bytes");
        let layout = Layout::from_size_align(len, Self::ALIGN).expect("a size in bounds");
        // SAFETY: the size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        Self { start: NonNull::new(start).expect("memory for a buffer"), len }
    }

    /// A buffer that holds these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let buffer = Self::new(bytes.len());
        buffer.write(bytes);
        buffer
    }

    /// Where it begins.
    #[must_use]
    pub const fn ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Where it begins, as a number for a field of a structure.
    #[must_use]
    pub fn addr(&self) -> u64 {
        address(self.ptr())
    }

    /// Its size in bytes.
    ///
    /// # Panics
    ///
    /// If that is 4 GiB or more.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.len).expect("buffers of cases are small")
    }

    /// Never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where and how long it is, for operations on several buffers.
    #[must_use]
    pub const fn iovec(&self) -> libc::iovec {
        libc::iovec { iov_base: self.ptr().cast(), iov_len: self.len }
    }

    /// The part of it that begins at `offset`.
    ///
    /// # Panics
    ///
    /// If the part does not lie in the buffer.
    #[must_use]
    pub fn part(&self, offset: usize, len: usize) -> Self {
        assert!(offset + len <= self.len, "{offset} + {len} of {}", self.len);
        // SAFETY: inside the allocation, as just asserted.
        Self { start: unsafe { self.start.add(offset) }, len }
    }

    /// A copy of what it holds.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut copy = vec![0; self.len];
        // SAFETY: the allocation has `len` bytes and is never freed; `copy` has as many.
        unsafe { self.start.as_ptr().copy_to_nonoverlapping(copy.as_mut_ptr(), self.len) };
        copy
    }

    /// A copy of its first `len` bytes.
    #[must_use]
    pub fn first(&self, len: usize) -> Vec<u8> {
        self.part(0, len).bytes()
    }

    /// Overwrites its beginning.
    ///
    /// # Panics
    ///
    /// If there are more bytes than it has.
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.len, "{} bytes for {}", bytes.len(), self.len);
        // SAFETY: the allocation is never freed and has room, as just asserted.
        unsafe { bytes.as_ptr().copy_to_nonoverlapping(self.start.as_ptr(), bytes.len()) };
    }

    /// Stores a word of two bytes after everything that was written before.
    ///
    /// # Panics
    ///
    /// If the word does not lie in the buffer, or across its alignment.
    pub fn publish(&self, offset: usize, word: u16) {
        let place = self.part(offset, size_of::<u16>()).ptr().cast::<u16>();
        assert!(place.is_aligned(), "{place:?}");
        // SAFETY: in bounds, aligned, never freed; the back end reads it as an atomic.
        let word_there = unsafe { AtomicU16::from_ptr(place) };
        // Release: pairs with the back end's acquire load of the tail, so that it sees the entries.
        word_there.store(word, Ordering::Release);
    }
}

/// Values that entries point to: structures, arrays, words.
#[derive(Clone, Copy, Debug)]
pub struct Kept<T: Copy + 'static> {
    start: NonNull<T>,
    len: usize,
}

impl<T: Copy + 'static> Kept<T> {
    /// Keeps one value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { start: NonNull::from(Box::leak(Box::new(value))), len: 1 }
    }

    /// Keeps an array.
    ///
    /// # Panics
    ///
    /// If it is empty.
    #[must_use]
    pub fn slice(values: &[T]) -> Self {
        assert!(!values.is_empty(), "nothing to point to");
        let values = Box::leak(values.to_vec().into_boxed_slice());
        Self { len: values.len(), start: NonNull::from(&mut values[0]) }
    }

    /// Where it lies, or the first of the array.
    #[must_use]
    pub const fn ptr(&self) -> *mut T {
        self.start.as_ptr()
    }

    /// Where it lies, as a number for a field of a structure.
    #[must_use]
    pub fn addr(&self) -> u64 {
        address(self.ptr())
    }

    /// What is there now: the value, or the first of the array.
    #[must_use]
    pub fn get(&self) -> T {
        self.at(0)
    }

    /// What is at this place of the array now.
    ///
    /// # Panics
    ///
    /// If there is no such place.
    #[must_use]
    pub fn at(&self, index: usize) -> T {
        assert!(index < self.len, "{index} of {}", self.len);
        // SAFETY: initialised by the constructors, never freed, and in bounds.
        let place = unsafe { self.start.as_ptr().add(index) };
        // SAFETY: as above; volatile, because a back end may have written there.
        unsafe { place.read_volatile() }
    }

    /// Replaces the value, or the first of the array.
    pub fn set(&self, value: T) {
        // SAFETY: never freed; volatile, because a back end may read there.
        unsafe { self.start.as_ptr().write_volatile(value) };
    }
}

/// The address of what is never freed, as entries and structures hold it.
#[must_use]
pub fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// A path as operations take it.
///
/// # Panics
///
/// If there is a zero byte in it.
#[must_use]
pub fn path(path: impl AsRef<Path>) -> *const c_char {
    CString::new(path.as_ref().as_os_str().as_bytes()).expect("a path without zero bytes").into_raw()
}

/// A message header over `count` parts, without address and control data.
#[must_use]
pub fn message(parts: *mut libc::iovec, count: usize) -> Kept<libc::msghdr> {
    // SAFETY: of integers and pointers only, for which zeroes are values.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = parts;
    header.msg_iovlen = count;
    Kept::new(header)
}

/// Lends a descriptor that the back end made, and that nobody has closed yet.
pub fn with_descriptor<T>(
    descriptor: annulus::types::Fd,
    look: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> T,
) -> T {
    // SAFETY: the case that was given the descriptor closes it later.
    look(unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor.0) })
}
