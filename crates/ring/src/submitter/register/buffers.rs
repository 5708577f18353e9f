//! Registered buffers: pinned once, then named by index in `ReadFixed`, `WriteFixed` and their kin.
//!
//! The memory stays the program's: nothing here allocates or frees it.
#![allow(
    unsafe_code,
    reason = "the kernel reads and writes registered memory for as long as it is registered"
)]

use std::io;
use std::mem::size_of;
use std::os::fd::RawFd;

use annulus_abi::{CloneBuffers, RegisterOp, RsrcFlags, RsrcRegister, RsrcUpdate2};
use rustix::io::Errno;

use super::{address, count};
use crate::Submitter;
use crate::register::RegisterError;
use crate::types::CloneBuffersFlags;

/// The size of an argument that is told in `nr`. Both structures have the same.
const RSRC_SIZE: u32 = 32;

const _: () = assert!(size_of::<RsrcRegister>() == 32 && size_of::<RsrcUpdate2>() == 32);

impl Submitter<'_> {
    /// Registers buffers, which operations then name by their index in `bufs`. The kernel pins the memory
    /// once instead of at every operation. An entry whose address is null leaves its slot empty.
    ///
    /// [`try_register_buffers`](Self::try_register_buffers) says what an errno means and what to do.
    ///
    /// # Errors
    ///
    /// `EBUSY` if buffers are registered already, `ENOMEM` if `RLIMIT_MEMLOCK` does not allow so much locked
    /// memory, `EFAULT` for memory that is not there, `EINVAL` for no or too many buffers, `EOPNOTSUPP` for
    /// memory mapped from a file system that does not allow it, `ENXIO` on a ring that is being closed.
    ///
    /// # Safety
    ///
    /// The memory is there and stays until the buffers are unregistered or the ring is gone, and the program
    /// touches it only as the operations that use it allow.
    pub unsafe fn register_buffers(&self, bufs: &[libc::iovec]) -> io::Result<()> {
        let list = bufs.as_ptr().cast_mut().cast();
        // SAFETY: `bufs` are that many descriptions of memory that the caller vouches for.
        unsafe { self.register_raw(RegisterOp::REGISTER_BUFFERS, list, count(bufs)) }.map(drop)
    }

    /// Registers buffers as [`register_buffers`](Self::register_buffers), and explains a refusal.
    ///
    /// # Errors
    ///
    /// [`RegisterError`], with the errnos of `register_buffers`: `ENOMEM` tells how much was to be locked and
    /// what the limit is, `EFAULT` and `EINVAL` which buffer it was.
    ///
    /// # Safety
    ///
    /// That of [`register_buffers`](Self::register_buffers).
    pub unsafe fn try_register_buffers(&self, bufs: &[libc::iovec]) -> Result<(), RegisterError> {
        // SAFETY: the contract of this function.
        let result = unsafe { self.register_buffers(bufs) };
        result.map_err(|error| RegisterError::of_buffers(Errno::from_io_error(&error), bufs))
    }

    /// Registers buffers, each with a tag: once it has been unregistered or replaced and nothing uses it
    /// any more, a completion is posted whose user data is the tag and whose result is 0. A tag of 0 posts
    /// nothing. As many as the shorter list has. Linux 5.13.
    ///
    /// # Errors
    ///
    /// As [`register_buffers`](Self::register_buffers); `EINVAL` also before 5.13.
    ///
    /// # Safety
    ///
    /// That of [`register_buffers`](Self::register_buffers).
    pub unsafe fn register_buffers2(&self, bufs: &[libc::iovec], tags: &[u64]) -> io::Result<()> {
        let nr = count(bufs).min(count(tags));
        let mut arg =
            RsrcRegister { nr, data: address(bufs), tags: address(tags), ..RsrcRegister::default() };
        let op = RegisterOp::REGISTER_BUFFERS2;
        // SAFETY: the argument holds two lists of at least `nr` elements; the caller vouches for the buffers.
        unsafe { self.register_raw(op, (&raw mut arg).cast(), RSRC_SIZE) }.map(drop)
    }

    /// Registers `nr` empty slots, to be filled by
    /// [`register_buffers_update`](Self::register_buffers_update) or
    /// [`register_buffers_clone_offset`](Self::register_buffers_clone_offset). Linux 5.19.
    ///
    /// # Errors
    ///
    /// `EBUSY` if buffers are registered already; `EINVAL` before 5.19 and for no or too many slots.
    pub fn register_buffers_sparse(&self, nr: u32) -> io::Result<()> {
        let mut arg = RsrcRegister { nr, flags: RsrcFlags::SPARSE.bits(), ..RsrcRegister::default() };
        let op = RegisterOp::REGISTER_BUFFERS2;
        // SAFETY: a sparse registration names no memory.
        unsafe { self.register_raw(op, (&raw mut arg).cast(), RSRC_SIZE) }.map(drop)
    }

    /// Replaces registered buffers from slot `offset` on. An entry whose address is null empties its slot.
    /// With `tags`, as many as the shorter list has; see
    /// [`register_buffers2`](Self::register_buffers2). Linux 5.13.
    ///
    /// # Errors
    ///
    /// `ENXIO` if no buffers are registered, `EINVAL` for slots beyond the table, and as
    /// [`register_buffers`](Self::register_buffers).
    ///
    /// # Safety
    ///
    /// That of [`register_buffers`](Self::register_buffers). What is replaced stays in use until the
    /// operations that name it are over.
    pub unsafe fn register_buffers_update(
        &self,
        offset: u32,
        bufs: &[libc::iovec],
        tags: Option<&[u64]>,
    ) -> io::Result<()> {
        let nr = tags.map_or(bufs.len(), |tags| bufs.len().min(tags.len()));
        let nr = count(&bufs[..nr]);
        let mut arg = RsrcUpdate2 {
            offset,
            data: address(bufs),
            tags: tags.map_or(0, address),
            nr,
            ..RsrcUpdate2::default()
        };
        let op = RegisterOp::REGISTER_BUFFERS_UPDATE;
        // SAFETY: the argument holds lists of at least `nr` elements; the caller vouches for the buffers.
        unsafe { self.register_raw(op, (&raw mut arg).cast(), RSRC_SIZE) }.map(drop)
    }

    /// Shares all registered buffers of the ring `src_fd` with this one, which has none yet. The memory is
    /// not pinned a second time. Linux 6.12.
    ///
    /// # Errors
    ///
    /// `EBUSY` if this ring has buffers, `ENXIO` if the other has none, `EINVAL` if the two rings do not account
    /// their memory to the same user, and before 6.12; `EBADF` and `EOPNOTSUPP` for no descriptor or none of a
    /// ring.
    pub fn register_buffers_clone(&self, src_fd: RawFd) -> io::Result<()> {
        self.register_buffers_clone_offset(src_fd, 0, 0, 0, CloneBuffersFlags::empty())
    }

    /// Shares `nr` registered buffers of the ring `src_fd` (0: all from there on), those from `src_off`
    /// on, with this one, where they get the slots from `dst_off` on. Buffers that this ring has already
    /// are kept, and replaced only where the flags say so. With `SRC_REGISTERED` the ring `src_fd` is named by
    /// its index among the registered ring descriptors. Linux 6.13.
    ///
    /// # Errors
    ///
    /// As [`register_buffers_clone`](Self::register_buffers_clone); `EBUSY` if there are buffers and the flags
    /// do not hold `DST_REPLACE`, `EOVERFLOW` for a range beyond the other ring's table.
    pub fn register_buffers_clone_offset(
        &self,
        src_fd: RawFd,
        src_off: u32,
        dst_off: u32,
        nr: u32,
        flags: CloneBuffersFlags,
    ) -> io::Result<()> {
        let src_fd = src_fd.cast_unsigned();
        let arg = CloneBuffers { src_fd, flags: flags.bits(), src_off, dst_off, nr, pad: [0; 3] };
        self.register_told(RegisterOp::REGISTER_CLONE_BUFFERS, &arg, 1).map(drop)
    }

    /// Forgets all registered buffers. What is in flight keeps its buffer until it is over. Before 5.13 this
    /// waits for that.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there are none.
    pub fn unregister_buffers(&self) -> io::Result<()> {
        self.register_plain(RegisterOp::UNREGISTER_BUFFERS, 0).map(drop)
    }
}
