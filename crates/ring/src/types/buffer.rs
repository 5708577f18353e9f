//! One entry of a provided buffer ring.
//!
//! Deliberately not here: the ring of buffers as an object.
#![allow(unsafe_code, reason = "the tail of a buffer ring lies inside its first entry")]

use std::ptr;

use annulus_abi::Buf;

/// One entry of a provided buffer ring (`struct io_uring_buf`): where a buffer lies, how long it is, and
/// its number. For programs that manage the ring's memory themselves.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct BufRingEntry(Buf);

#[allow(clippy::len_without_is_empty, reason = "the length is a field, the entry no collection")]
impl BufRingEntry {
    /// Sets the buffer's address.
    #[inline]
    pub const fn set_addr(&mut self, addr: u64) {
        self.0.addr = addr;
    }

    /// The buffer's address.
    #[must_use]
    #[inline]
    pub const fn addr(&self) -> u64 {
        self.0.addr
    }

    /// Sets the buffer's size in bytes.
    #[inline]
    pub const fn set_len(&mut self, len: u32) {
        self.0.len = len;
    }

    /// The buffer's size in bytes.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> u32 {
        self.0.len
    }

    /// Sets the buffer's number, which completions give back.
    #[inline]
    pub const fn set_bid(&mut self, bid: u16) {
        self.0.bid = bid;
    }

    /// The buffer's number.
    #[must_use]
    #[inline]
    pub const fn bid(&self) -> u16 {
        self.0.bid
    }

    /// Where the ring's tail lies: in the last two bytes of its first entry. Store it with release
    /// ordering after the entries are written.
    ///
    /// # Safety
    ///
    /// `ring_base` points to the first entry of a buffer ring, in one live allocation.
    #[must_use]
    #[inline]
    pub const unsafe fn tail(ring_base: *const Self) -> *const u16 {
        // SAFETY: the caller says that an entry lies there, so its last field does.
        unsafe { ptr::addr_of!((*ring_base).0.resv) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_two_bytes_of_the_first_entry() {
        let mut entry = BufRingEntry::default();
        entry.set_addr(1);
        entry.set_len(2);
        entry.set_bid(3);
        assert_eq!((entry.addr(), entry.len(), entry.bid()), (1, 2, 3));
        // SAFETY: `entry` is live; only the address is taken.
        let tail = unsafe { BufRingEntry::tail(&raw const entry) };
        assert_eq!(tail.addr() - (&raw const entry).addr(), 14);
    }
}
