//! The pool of receive buffers of an executor.
//!
//! One allocation, cut into buffers of one size, each lent out as a guard that brings it back. Who wants
//! one while all are lent waits. A guard may outlive the runtime, and the pool with it.
#![allow(unsafe_code, reason = "owns the allocation and lends parts of it")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::fmt::{self, Debug, Formatter};
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{IoBuf, IoBufMut};

/// The buffers.
pub(crate) struct Pool {
    start: NonNull<u8>,
    layout: Layout,
    size: u32,
    state: RefCell<State>,
}

struct State {
    /// Those that nobody has.
    free: Vec<u16>,
    /// Who waits for one.
    waiting: Vec<Waker>,
}

impl Pool {
    /// A pool of `count` buffers of `size` bytes. The memory is reserved, and used as it is touched.
    pub(crate) fn new(count: u16, size: u32) -> Rc<Self> {
        let bytes = usize::from(count) * size as usize;
        let layout =
            Layout::from_size_align(bytes, 4096).expect("65,536 buffers of 4 GiB fit into the address space");
        // SAFETY: the layout is not empty, as neither factor is (`Builder::receive_buffers`).
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        let state = State { free: (0..count).rev().collect(), waiting: Vec::new() };
        Rc::new(Self { start, layout, size, state: RefCell::new(state) })
    }

    /// Lends a buffer, empty, or waits until one comes back.
    pub(crate) fn poll_lend(self: &Rc<Self>, cx: &Context<'_>) -> Poll<PooledBuf> {
        let mut state = self.state.borrow_mut();
        if let Some(id) = state.free.pop() {
            return Poll::Ready(PooledBuf { pool: self.clone(), id, len: 0 });
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    fn give_back(&self, id: u16) {
        let waiting = {
            let mut state = self.state.borrow_mut();
            state.free.push(id);
            std::mem::take(&mut state.waiting)
        };
        for waker in waiting {
            waker.wake();
        }
    }

    /// Where a buffer lies.
    fn place(&self, id: u16) -> *mut u8 {
        self.start.as_ptr().wrapping_add(usize::from(id) * self.size as usize)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; no guard is left, as each holds the pool.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Bytes that were received, in a buffer of the executor's pool, which gets it back when this is dropped.
///
/// Keep it short: every buffer that is held is one that no connection can receive into. It can be sent
/// as it is.
pub struct PooledBuf {
    pool: Rc<Pool>,
    id: u16,
    len: usize,
}

impl Deref for PooledBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for PooledBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: a part of the pool's allocation, which does not move and which this guard alone has.
unsafe impl IoBuf for PooledBuf {
    fn as_stable_ptr(&self) -> *const u8 {
        self.pool.place(self.id)
    }

    fn filled(&self) -> usize {
        self.len
    }
}

// SAFETY: as above; all of the allocation was zeroed when it was made.
unsafe impl IoBufMut for PooledBuf {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.pool.place(self.id)
    }

    fn capacity(&self) -> usize {
        self.pool.size as usize
    }

    unsafe fn set_filled(&mut self, len: usize) {
        self.len = len;
    }
}

impl Drop for PooledBuf {
    fn drop(&mut self) {
        self.pool.give_back(self.id);
    }
}

impl Debug for PooledBuf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBuf").field("len", &self.len).finish_non_exhaustive()
    }
}
