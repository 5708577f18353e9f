//! The seam: what the user's side of a ring asks of whatever executes it.
//!
//! One call crosses here per batch, never per operation. A back end owns the memory and the
//! descriptor; the user's side fills and empties the queues through [`RingMemory`] and calls in.
#![allow(
    unsafe_code,
    reason = "declares what implementers must keep and callers must promise; calls nothing"
)]

use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use crate::{EnterFlags, GeteventsArg, Params, RegisterOp, RingMemory};

/// What accompanies an enter, by kind (io_uring_enter(2)). The back end adds the enter flags that
/// go with the kind (`EXT_ARG`, `EXT_ARG_REG`).
#[derive(Clone, Copy, Debug)]
pub enum EnterArg<'a> {
    /// Nothing.
    None,
    /// The signals to block while waiting: the kernel's 64-bit set.
    Sigmask(&'a u64),
    /// Signals, timeout and minimum wait.
    Extended(&'a GeteventsArg),
    /// Byte offset of an `IORING_REGISTER_MEM_REGION` wait argument ([`RegWait`](crate::RegWait)).
    Registered(u64),
    /// Bytes as the caller has them; `flags` must say what they are.
    Raw {
        /// The argument.
        arg: *const c_void,
        /// Its size in bytes.
        size: usize,
    },
}

/// What executes a ring: the kernel, an engine in user space, or a decorator over either.
///
/// # Safety
///
/// Implementers keep the regions behind [`memory`](Self::memory) mapped for as long as they live,
/// follow the ordering table of [`RingMemory`], and touch memory that a submission names only
/// between its submission and its last completion.
pub unsafe trait Backend: Send + Sync + fmt::Debug {
    /// The queues.
    fn memory(&self) -> &RingMemory;

    /// The parameters as the back end filled them in.
    fn params(&self) -> &Params;

    /// Submits, wakes, waits: io_uring_enter(2). Returns how many submissions were consumed.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2): `EAGAIN`, `EBADF`, `EBADFD`, `EBADR`, `EBUSY`, `EEXIST`, `EFAULT`, `EINTR`,
    /// `EINVAL`, `ENXIO`, `EOPNOTSUPP`, `EOWNERDEAD`, `ETIME`.
    ///
    /// # Safety
    ///
    /// Every entry that is consumed names memory that stays valid until its last completion, and
    /// `arg` (with what it points to) is readable.
    unsafe fn enter(
        &self,
        to_submit: u32,
        min_complete: u32,
        flags: EnterFlags,
        arg: EnterArg<'_>,
    ) -> Result<u32, Errno>;

    /// Registers, unregisters, configures, asks: io_uring_register(2).
    ///
    /// # Errors
    ///
    /// Those of io_uring_register(2), by operation.
    ///
    /// # Safety
    ///
    /// `arg` and `nr` are what `op` asks for, and memory that becomes registered stays valid until
    /// it is unregistered or the ring is gone.
    unsafe fn register(&self, op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno>;

    /// The descriptor of the ring: readable while completions wait. `None` for a ring that exists only
    /// as an index of the registering thread (`IORING_SETUP_REGISTERED_FD_ONLY`).
    fn ring_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Enters through an index of the calling thread's registered rings (`IORING_REGISTER_RING_FDS`)
    /// from now on, or again by descriptor. Says whether that changed anything.
    ///
    /// # Errors
    ///
    /// `EINVAL` from a back end or kernel without it, `EBUSY` if the thread's 16 places are taken.
    fn use_registered_fd(&self, on: bool) -> Result<bool, Errno> {
        if on { Err(Errno::INVAL) } else { Ok(false) }
    }

    /// Whether [`consumed`](Self::consumed) is to be called. Asked once.
    fn follows_consumption(&self) -> bool {
        false
    }

    /// The program has given completions back. For a back end that cannot see that by itself, and whose descriptor
    /// is to be readable only while completions wait.
    fn consumed(&self) {}

    /// Gives the ring new sizes (`IORING_REGISTER_RESIZE_RINGS`, Linux 6.13). `params` holds the
    /// wanted entries and flags and receives the new layout; what is queued moves along.
    ///
    /// # Errors
    ///
    /// `EINVAL` from a back end or kernel without it or for a ring without `DEFER_TASKRUN`,
    /// `EOVERFLOW` if the completions that wait do not fit.
    fn resize(&mut self, params: &mut Params) -> Result<(), Errno> {
        let _ = params;
        Err(Errno::INVAL)
    }

    /// Maps memory of the ring's beside its queues, which the back end allocated when it was registered: a
    /// buffer ring ([`IORING_OFF_PBUF_RING`](crate::IORING_OFF_PBUF_RING)), a region
    /// ([`RegionDesc::mmap_offset`](crate::RegionDesc::mmap_offset)).
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` from a back end without such memory, and what mmap(2) says: `EINVAL` for an offset where
    /// there is none, `ENOMEM`.
    fn map(&self, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
        let _ = (len, offset);
        Err(Errno::OPNOTSUPP)
    }

    /// Undoes a [`map`](Self::map).
    ///
    /// # Safety
    ///
    /// `start` and `len` are those of one `map` of this back end, and nothing refers to that memory any more.
    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) {
        let _ = (start, len);
    }
}
