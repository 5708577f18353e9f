//! The back end of a ring, shared between the ring and what is registered with it.
//!
//! A [`BufRing`](crate::BufRing) must unregister itself when it is dropped, wherever that is and whatever
//! became of the [`IoUring`](crate::IoUring) value. So it holds the back end too, which is closed with its last
//! holder. Only resizing changes a back end; a lock keeps that apart from everybody but the ring,
//! which needs no lock, as resizing borrows it exclusively.
#![allow(unsafe_code, reason = "one owner reads without the lock, because it is the one that writes")]

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::fmt::{self, Debug, Formatter};
use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use annulus_abi::{Backend, Params, RegisterOp};
use rustix::io::Errno;

/// A back end with several holders, of which one, the ring, may change it.
pub(crate) struct SharedBackend {
    /// Held for writing while the back end changes, for reading by all holders but the ring.
    resizing: RwLock<()>,
    backend: UnsafeCell<Box<dyn Backend>>,
}

// SAFETY: a `Backend` is `Send` and `Sync`; changes exclude every other access, see `get` and `resize`.
unsafe impl Sync for SharedBackend {}

impl SharedBackend {
    pub(crate) fn new(backend: Box<dyn Backend>) -> Self {
        Self { resizing: RwLock::new(()), backend: UnsafeCell::new(backend) }
    }

    /// Gives the queues new sizes.
    ///
    /// # Errors
    ///
    /// Those of [`Backend::resize`].
    ///
    /// # Safety
    ///
    /// No reference from [`get`](Self::get) is in use.
    pub(crate) unsafe fn resize(&self, params: &mut Params) -> Result<(), Errno> {
        let _alone = self.resizing.write().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: no `get` by contract, and everybody else waits for the lock.
        let backend = unsafe { &mut *self.backend.get() };
        backend.resize(params)
    }

    /// The back end, for the ring: without the lock.
    ///
    /// # Safety
    ///
    /// The reference is not in use when [`resize`](Self::resize) is called: the ring lends it with `&self` and
    /// resizes with `&mut self`.
    #[inline]
    pub(crate) unsafe fn get(&self) -> &dyn Backend {
        // SAFETY: nobody changes it meanwhile, by contract.
        let backend = unsafe { &*self.backend.get() };
        &**backend
    }

    /// [`Backend::register`], for holders other than the ring.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    ///
    /// # Safety
    ///
    /// That of [`Backend::register`].
    pub(crate) unsafe fn register(&self, op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
        let _unchanged = self.unchanged();
        // SAFETY: the lock is held.
        let backend = unsafe { self.get() };
        // SAFETY: the contract of this function.
        unsafe { backend.register(op, arg, nr) }
    }

    /// [`Backend::map`], for holders other than the ring.
    ///
    /// # Errors
    ///
    /// Those of [`Backend::map`].
    pub(crate) fn map(&self, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
        let _unchanged = self.unchanged();
        // SAFETY: the lock is held.
        unsafe { self.get() }.map(len, offset)
    }

    /// [`Backend::unmap`], for holders other than the ring.
    ///
    /// # Safety
    ///
    /// That of [`Backend::unmap`].
    pub(crate) unsafe fn unmap(&self, start: NonNull<u8>, len: usize) {
        let _unchanged = self.unchanged();
        // SAFETY: the lock is held.
        let backend = unsafe { self.get() };
        // SAFETY: the contract of this function.
        unsafe { backend.unmap(start, len) };
    }

    fn unchanged(&self) -> RwLockReadGuard<'_, ()> {
        self.resizing.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for SharedBackend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let _unchanged = self.unchanged();
        // SAFETY: the lock is held.
        Debug::fmt(unsafe { self.get() }, f)
    }
}
