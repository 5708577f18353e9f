//! The pool of receive buffers of an executor.
//!
//! A buffer ring that the kernel picks from (Linux 6.0 with its multishot receive), or, where there is none,
//! a bound on buffers that are allocated and picked here. Either way a buffer is lent as a guard that brings
//! it back; who finds none waits. A guard may outlive the runtime, and its pool with it.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::ops::Deref;
use std::rc::Rc;

use annulus::{BufRing, Filled};

use super::turns::{Turn, Turns};
use crate::driver::{Completion, Driver};

/// The group of the pool among those of its ring.
const GROUP: u16 = 0;

/// The buffers.
pub(crate) struct Pool {
    kind: RefCell<Kind>,
    count: u16,
    size: u32,
    /// Guards that are out.
    lent: Cell<usize>,
    /// How many have come back.
    returns: Cell<u64>,
    /// Who waits for a buffer.
    turns: Turns,
}

#[derive(Clone)]
enum Kind {
    Ring(Rc<BufRing>),
    Own,
}

impl Pool {
    /// A pool of `count` buffers of `size` bytes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and what else the registration of a buffer ring says but `EINVAL`: then there is none here.
    pub(crate) fn new(driver: &Driver, count: u16, size: u32) -> io::Result<Rc<Self>> {
        let registered = driver.with_ring(|ring| BufRing::register(&ring.submitter(), GROUP, count, size));
        let kind = match registered {
            Some(Ok(ring)) => Kind::Ring(Rc::new(ring)),
            Some(Err(error)) if error.raw_os_error() == Some(libc::EINVAL) => Kind::Own,
            Some(Err(error)) => return Err(error),
            None => return Err(io::Error::from_raw_os_error(libc::ECANCELED)),
        };
        let (lent, returns) = (Cell::new(0), Cell::new(0));
        Ok(Rc::new(Self { kind: RefCell::new(kind), count, size, lent, returns, turns: Turns::default() }))
    }

    /// The ring that the kernel picks from, if there is one.
    pub(crate) fn ring(&self) -> Option<Rc<BufRing>> {
        match &*self.kind.borrow() {
            Kind::Ring(ring) => Some(ring.clone()),
            Kind::Own => None,
        }
    }

    /// Goes on without the ring, which no multishot receive takes here (before Linux 6.0).
    pub(crate) fn give_up_ring(&self) {
        let ring = self.kind.replace(Kind::Own);
        drop(ring);
    }

    /// How many completions with buffers one receiver may leave unread.
    pub(crate) fn share(&self) -> usize {
        usize::from(self.count / 4).clamp(2, 64)
    }

    /// What a completion brought, as a guard; nothing if it names no buffer. To be called for every
    /// completion of an operation that picks from `ring`.
    pub(crate) fn filled(self: &Rc<Self>, ring: &Rc<BufRing>, completion: Completion) -> Option<PooledBuf> {
        let filled = Filled::of(ring.clone(), completion.flags.bits(), completion.result)?;
        // It lies in one buffer then, as `PooledBuf` takes for granted.
        assert!(filled.len() <= self.size as usize, "{} bytes in a buffer of {}", filled.len(), self.size);
        Some(PooledBuf { bytes: Bytes::Ring(filled), _lent: Lent::of(self) })
    }

    /// A buffer to receive into, if fewer than all are lent.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Vec<u8>> {
        (self.lent.get() < usize::from(self.count)).then(|| Vec::with_capacity(self.size as usize))
    }

    /// Bytes as a guard that were received in another way.
    pub(crate) fn lend(self: &Rc<Self>, bytes: Vec<u8>) -> PooledBuf {
        PooledBuf { bytes: Bytes::Own(bytes), _lent: Lent::of(self) }
    }

    /// How many buffers have come back so far.
    pub(crate) const fn returns(&self) -> u64 {
        self.returns.get()
    }

    /// Waits until a buffer comes back, for who was told that there is none. Without a turn one is to be had already, or may
    /// be: before Linux 6.8 a ring does not tell, and one has come back since `before`, when the operation began that was
    /// told so.
    pub(crate) async fn returned(&self, before: u64) -> Option<Turn<'_>> {
        let free = match self.ring() {
            Some(ring) => {
                ring.available().map_or_else(|_| self.returns.get() != before, |available| available > 0)
            }
            None => self.lent.get() < usize::from(self.count),
        };
        if free { None } else { Some(self.turns.wait().await) }
    }

    /// A guard is gone.
    #[inline]
    fn give_back(&self) {
        self.lent.set(self.lent.get() - 1);
        self.returns.set(self.returns.get().wrapping_add(1));
        if !self.turns.is_empty() {
            self.turns.next();
        }
    }
}

/// Bytes that were received, in a buffer of the executor's pool, which gets it back when this is dropped.
///
/// Keep it short: every buffer that is held is one that no connection can receive into. It can be sent
/// as it is.
pub struct PooledBuf {
    // Dropped before what follows: who is woken is to find the buffer.
    bytes: Bytes,
    _lent: Lent,
}

enum Bytes {
    Ring(Filled<Rc<BufRing>>),
    Own(Vec<u8>),
}

/// The count of one guard.
struct Lent(Rc<Pool>);

impl Lent {
    fn of(pool: &Rc<Pool>) -> Self {
        pool.lent.set(pool.lent.get() + 1);
        Self(pool.clone())
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl PooledBuf {
    // Both as those of the slice, without looking for the bytes.

    /// How many bytes there are.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        match &self.bytes {
            Bytes::Ring(filled) => filled.len(),
            Bytes::Own(bytes) => bytes.len(),
        }
    }

    /// Whether there are none. A receive never brings that.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Deref for PooledBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Ring(filled) => filled.as_slice().unwrap_or_default(),
            Bytes::Own(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for PooledBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Debug for PooledBuf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBuf").field("len", &self.len()).finish_non_exhaustive()
    }
}
