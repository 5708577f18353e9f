//! A buffer ring: which buffer is next, and how far it was used.
//!
//! The program fills entries and moves the tail; the head is only here. Nothing that the program puts into the ring can do harm:
//! a tail is a number modulo 2^16, an entry is an address which the system call that uses it checks.

use annulus_abi::{Buf, PbufRingFlags};
use rustix::io::Errno;

use super::memory::RingMemory;
use crate::world::{Span, Vouched};

/// As many buffers as one operation takes at once.
const AT_ONCE: u16 = 256;

/// A registered ring.
#[derive(Debug)]
pub(super) struct BufferRing {
    pub(super) memory: RingMemory,
    vouched: Vouched,
    head: u16,
    incremental: bool,
}

impl BufferRing {
    pub(super) const fn new(memory: RingMemory, vouched: Vouched, flags: PbufRingFlags) -> Self {
        Self { memory, vouched, head: 0, incremental: flags.contains(PbufRingFlags::INC) }
    }

    /// How many buffers were used, modulo 2^16.
    pub(super) const fn head(&self) -> u16 {
        self.head
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.memory.tail() == self.head
    }

    /// The next buffer, cut to `wanted` bytes (0: not at all). It stays in the ring.
    pub(super) fn peek(&self, wanted: usize) -> Result<(Span, u16), Errno> {
        if self.is_empty() {
            return Err(Errno::NOBUFS);
        }
        let Buf { addr, len, bid, .. } = self.memory.load(self.head);
        if addr == 0 {
            return Err(Errno::NOBUFS);
        }
        Ok((self.vouched.span(addr, cut(len, wanted)), bid))
    }

    /// The next buffers, until they hold `wanted` bytes (0: as many as there are), at most `most`. Of several whole buffers the last
    /// is not cut: the program could not tell that from one that was used whole, and the kernel ends before it.
    pub(super) fn peek_many(&self, wanted: usize, most: usize) -> Result<Vec<(Span, u16)>, Errno> {
        let waiting = self.memory.tail().wrapping_sub(self.head).min(AT_ONCE);
        let mut left = if wanted == 0 { usize::MAX } else { wanted };
        let mut found = Vec::new();
        for step in 0..waiting {
            let Buf { addr, len, bid, .. } = self.memory.load(self.head.wrapping_add(step));
            if left == 0 || found.len() == most || addr == 0 || len == 0 {
                break;
            }
            let fits = cut(len, left);
            if fits < len as usize && !self.incremental && !found.is_empty() {
                break;
            }
            found.push((self.vouched.span(addr, fits), bid));
            left -= fits;
        }
        if found.is_empty() { Err(Errno::NOBUFS) } else { Ok(found) }
    }

    /// `used` bytes of the next `count` buffers were used. Says whether the last of them stays in use.
    pub(super) fn commit(&mut self, used: usize, count: u16) -> bool {
        if self.incremental {
            return self.commit_bytes(used);
        }
        self.head = self.head.wrapping_add(count);
        false
    }

    fn commit_bytes(&mut self, mut used: usize) -> bool {
        if used == 0 {
            return true;
        }
        while used > 0 {
            let Buf { addr, len, .. } = self.memory.load(self.head);
            let here = cut(len, used);
            #[expect(clippy::cast_possible_truncation, reason = "at most `len`, which has 32 bits")]
            let left = len - here as u32;
            // An empty buffer cannot take anything: the program wrote over it.
            if left > 0 || here == 0 {
                self.memory.store(self.head, addr.wrapping_add(here as u64), left);
                return true;
            }
            self.memory.store(self.head, addr, 0);
            self.head = self.head.wrapping_add(1);
            used -= here;
        }
        false
    }
}

/// A length of an entry, at most `wanted` if that is not 0.
fn cut(len: u32, wanted: usize) -> usize {
    let len = len as usize;
    if wanted == 0 { len } else { len.min(wanted) }
}
