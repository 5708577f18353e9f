//! A register call with its argument, as the program made it.
//!
//! The argument is memory of the program that may be wrong: it is copied, field by field, through the world, which answers
//! `EFAULT`. Which shape of it an operation takes is said here once for each shape.

use std::sync::Arc;

use rustix::io::Errno;

use crate::core::Ring;
use crate::world::{Span, Vouched, World};

/// A call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// The outside.
    pub(super) world: &'a Arc<dyn World>,
    /// The right to name the argument's memory.
    pub(super) vouched: Vouched,
    /// The argument's address.
    pub(super) addr: u64,
    /// How many, or what else an operation takes it for.
    pub(super) nr: u32,
}

impl<'a> Call<'a> {
    /// A call on a ring.
    pub(super) fn on(ring: &'a Ring, addr: u64, nr: u32, vouched: Vouched) -> Self {
        Self { world: &ring.world, vouched, addr, nr }
    }

    /// Neither argument nor number.
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    pub(super) const fn nothing(&self) -> Result<(), Errno> {
        if self.addr == 0 && self.nr == 0 { Ok(()) } else { Err(Errno::INVAL) }
    }

    /// An argument, and this number.
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    pub(super) const fn structure(&self, nr: u32) -> Result<(), Errno> {
        if self.addr != 0 && self.nr == nr { Ok(()) } else { Err(Errno::INVAL) }
    }

    /// The argument's first `N` bytes.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(super) fn load<const N: usize>(&self) -> Result<Fields<N>, Errno> {
        self.load_at(self.addr)
    }

    /// `N` bytes elsewhere.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(super) fn load_at<const N: usize>(&self, addr: u64) -> Result<Fields<N>, Errno> {
        let mut bytes = [0; N];
        self.world.load(self.span(addr, N), &mut bytes)?;
        Ok(Fields(bytes))
    }

    /// Writes at the argument's start.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(super) fn store(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.store_at(self.addr, bytes)
    }

    /// Writes elsewhere.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(super) fn store_at(&self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.world.store(self.span(addr, bytes.len()), bytes)
    }

    /// Memory that the call names.
    pub(super) const fn span(&self, addr: u64, len: usize) -> Span {
        self.vouched.span(addr, len)
    }
}

/// The bytes of a structure, by the offsets of its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Fields<N> {
    pub(super) const fn u8(&self, at: usize) -> u8 {
        self.0[at]
    }

    pub(super) fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.bytes(at))
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes(at))
    }

    pub(super) fn i64(&self, at: usize) -> i64 {
        i64::from_ne_bytes(self.bytes(at))
    }

    /// Reserved bytes that must be zero.
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    pub(super) fn reserved(&self, range: std::ops::Range<usize>) -> Result<(), Errno> {
        if self.0[range].iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Errno::INVAL) }
    }

    fn bytes<const M: usize>(&self, at: usize) -> [u8; M] {
        let mut bytes = [0; M];
        bytes.copy_from_slice(&self.0[at..at + M]);
        bytes
    }
}
