//! Memory that entries name: addresses in the program, which may be wrong.
//!
//! A [`Span`] can be made only with a [`Vouched`], and that only by whoever was promised the memory: the
//! caller of `Backend::enter` or `Backend::register`. So everything that takes a `Span` is safe to call.
#![allow(unsafe_code, reason = "declares who may name the program's memory; follows no address")]

use rustix::io::Errno;

/// The proof that entries and arguments which are being executed were vouched for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vouched(());

impl Vouched {
    /// # Safety
    ///
    /// What is executed with it came through `Backend::enter` or `Backend::register`, whose callers promise
    /// that the memory named there stays valid until the last completion.
    pub(crate) const unsafe fn new() -> Self {
        Self(())
    }

    /// For unit tests, which name memory of their own that lives long enough, or nonsense that is to be refused.
    #[cfg(test)]
    pub(crate) const fn in_tests() -> Self {
        Self(())
    }

    /// The `len` bytes from `addr`, as an entry names them.
    #[must_use]
    pub(crate) const fn span(self, addr: u64, len: usize) -> Span {
        Span { addr, len }
    }
}

/// A piece of the program's memory. May be nonsense: using it then answers `EFAULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    addr: u64,
    len: usize,
}

impl Span {
    /// Its first byte.
    #[must_use]
    pub(crate) const fn addr(self) -> u64 {
        self.addr
    }

    /// Its length in bytes.
    #[must_use]
    pub(crate) const fn len(self) -> usize {
        self.len
    }

    /// The part of it from byte `start` on, at most `len` bytes: never beyond this one.
    #[must_use]
    pub(crate) fn part(self, start: usize, len: usize) -> Self {
        let start = start.min(self.len);
        Self { addr: self.addr.wrapping_add(start as u64), len: len.min(self.len - start) }
    }
}

/// What copies from and to the program's memory. A wrong address is `EFAULT`, never a crash, where the system can tell.
pub(crate) trait Memory {
    /// Fills `into` from the start of `from`, which must be at least as long.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    fn load(&self, from: Span, into: &mut [u8]) -> Result<(), Errno>;

    /// Puts `bytes` at the start of `to`, which must be at least as long.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    fn store(&self, to: Span, bytes: &[u8]) -> Result<(), Errno>;

    /// A string that ends with a zero byte, at most `limit` bytes of it.
    ///
    /// # Errors
    ///
    /// `EFAULT`; `ENAMETOOLONG` if there is no zero byte within `limit`.
    fn load_string(&self, from: Span, limit: usize) -> Result<std::ffi::CString, Errno>;

    /// Makes sure that all of it is there and can be written: what Linux does when it pins a buffer.
    ///
    /// # Errors
    ///
    /// `EFAULT`; `ENOMEM` if there is not so much memory.
    fn populate(&self, span: Span) -> Result<(), Errno>;
}
