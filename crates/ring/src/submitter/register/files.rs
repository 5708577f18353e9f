//! Registered files: the ring's own table of files, whose slots operations name by
//! [`Fixed`](crate::types::Fixed).
//!
//! The kernel takes a reference of its own to each file; the program may close its descriptors.
#![allow(unsafe_code, reason = "two structures hold addresses of lists, which are borrowed for the call")]

use std::io;
use std::mem::size_of;
use std::os::fd::RawFd;

use annulus_abi::{FileIndexRange, RegisterOp, RsrcFlags, RsrcRegister, RsrcUpdate, RsrcUpdate2};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{address, count};
use crate::Submitter;
use crate::register::RegisterError;

/// The size of an argument that is told in `nr`. Both structures have the same.
const RSRC_SIZE: u32 = 32;

const _: () = assert!(size_of::<RsrcRegister>() == 32 && size_of::<RsrcUpdate2>() == 32);

impl Submitter<'_> {
    /// Registers files; operations name them by their index in `fds`. An entry of -1 leaves its slot empty.
    ///
    /// The kernel allows as many as the process may have open; if that is too few, the soft limit
    /// (`RLIMIT_NOFILE`) is raised as far as the hard limit allows, and the call is made again.
    /// [`try_register_files`](Self::try_register_files) says what an errno means and what to do.
    ///
    /// # Errors
    ///
    /// `EBUSY` if files are registered already, `EBADF` for a descriptor that is not open or is itself a
    /// ring's, `EMFILE` for more than the hard limit, `EINVAL` for none, `ENXIO` on a ring that is being closed.
    pub fn register_files(&self, fds: &[RawFd]) -> io::Result<()> {
        self.with_raised_limit(count(fds), || self.register_told(RegisterOp::REGISTER_FILES, fds, count(fds)))
    }

    /// Registers files as [`register_files`](Self::register_files), and explains a refusal.
    ///
    /// # Errors
    ///
    /// [`RegisterError`], with the errnos of `register_files`: `EBADF` tells which descriptor it was, `EMFILE`
    /// what the limit is.
    pub fn try_register_files(&self, fds: &[RawFd]) -> Result<(), RegisterError> {
        self.register_files(fds).map_err(|error| RegisterError::of_files(Errno::from_io_error(&error), fds))
    }

    /// Registers files, each with a tag: once it has been unregistered or replaced and nothing uses it
    /// any more, a completion is posted whose user data is the tag and whose result is 0. A tag of 0 posts
    /// nothing. As many as the shorter list has. Raises the soft limit as
    /// [`register_files`](Self::register_files). Linux 5.13.
    ///
    /// # Errors
    ///
    /// As [`register_files`](Self::register_files); `EINVAL` also before 5.13, and for a tag on an empty slot.
    pub fn register_files2(&self, fds: &[RawFd], tags: &[u64]) -> io::Result<()> {
        let nr = count(fds).min(count(tags));
        let arg = RsrcRegister { nr, data: address(fds), tags: address(tags), ..RsrcRegister::default() };
        self.with_raised_limit(nr, || {
            let mut arg = arg;
            // SAFETY: the argument holds two lists of at least `nr` elements, borrowed for the call.
            unsafe { self.register_raw(RegisterOp::REGISTER_FILES2, (&raw mut arg).cast(), RSRC_SIZE) }
        })
    }

    /// Registers `nr` empty slots, to be filled by
    /// [`register_files_update`](Self::register_files_update) or by operations with a
    /// [`DestinationSlot`](crate::types::DestinationSlot). Raises the soft limit as
    /// [`register_files`](Self::register_files). Linux 5.19.
    ///
    /// # Errors
    ///
    /// `EBUSY` if files are registered already, `EMFILE` for more than the hard limit, `EINVAL` before 5.19 and
    /// for none.
    pub fn register_files_sparse(&self, nr: u32) -> io::Result<()> {
        let arg = RsrcRegister { nr, flags: RsrcFlags::SPARSE.bits(), ..RsrcRegister::default() };
        self.with_raised_limit(nr, || {
            let mut arg = arg;
            // SAFETY: a sparse registration names no memory.
            unsafe { self.register_raw(RegisterOp::REGISTER_FILES2, (&raw mut arg).cast(), RSRC_SIZE) }
        })
    }

    /// Replaces registered files from slot `offset` on. -1 empties a slot,
    /// [`SKIP_FILE`](crate::register::SKIP_FILE) leaves it. Returns how many slots were gone through. Linux 5.5.
    ///
    /// # Errors
    ///
    /// `ENXIO` if no files are registered, `EINVAL` for slots beyond the table, `EBADF` for a descriptor that
    /// is not open or is itself a ring's, if it is the first.
    pub fn register_files_update(&self, offset: u32, fds: &[RawFd]) -> io::Result<usize> {
        let mut arg = RsrcUpdate { offset, resv: 0, data: address(fds) };
        let op = RegisterOp::REGISTER_FILES_UPDATE;
        // SAFETY: the argument holds a list of as many elements as `nr` says, borrowed for the call.
        let done = unsafe { self.register_raw(op, (&raw mut arg).cast(), count(fds)) }?;
        Ok(done as usize)
    }

    /// Replaces registered files from slot `offset` on, with tags for those that come; see
    /// [`register_files2`](Self::register_files2). As many as the shorter list has. Returns how many slots were
    /// gone through. Linux 5.13.
    ///
    /// # Errors
    ///
    /// As [`register_files_update`](Self::register_files_update); `EINVAL` also for a tag on a slot that is
    /// emptied or left.
    pub fn register_files_update2(&self, offset: u32, fds: &[RawFd], tags: &[u64]) -> io::Result<usize> {
        let nr = count(fds).min(count(tags));
        let mut arg =
            RsrcUpdate2 { offset, data: address(fds), tags: address(tags), nr, ..RsrcUpdate2::default() };
        let op = RegisterOp::REGISTER_FILES_UPDATE2;
        // SAFETY: the argument holds two lists of at least `nr` elements, borrowed for the call.
        let done = unsafe { self.register_raw(op, (&raw mut arg).cast(), RSRC_SIZE) }?;
        Ok(done as usize)
    }

    /// Says which slots the kernel may pick for
    /// [`DestinationSlot::auto_target`](crate::types::DestinationSlot::auto_target): `len` of them from `off` on.
    /// Without this it picks from all. Linux 6.0.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a range beyond the table and before 6.0, `EOVERFLOW` if its end does not fit 32 bits.
    pub fn register_file_alloc_range(&self, off: u32, len: u32) -> io::Result<()> {
        let arg = FileIndexRange { off, len, resv: 0 };
        self.register_told(RegisterOp::REGISTER_FILE_ALLOC_RANGE, &arg, 0).map(drop)
    }

    /// Forgets all registered files. What is in flight keeps its file until it is over. Before 5.13 this
    /// waits for that.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there are none.
    pub fn unregister_files(&self) -> io::Result<()> {
        self.register_plain(RegisterOp::UNREGISTER_FILES, 0).map(drop)
    }

    /// Registers, and once more with a higher soft limit if `nr` files are more than it allows.
    fn with_raised_limit(&self, nr: u32, register: impl Fn() -> io::Result<u32>) -> io::Result<()> {
        let Err(refused) = register() else { return Ok(()) };
        if Errno::from_io_error(&refused) == Some(Errno::MFILE) && raise_soft_limit(u64::from(nr)) {
            return register().map(drop);
        }
        Err(refused)
    }
}

/// Lets the process open `files` files, if its hard limit does. Says whether the limit rose.
fn raise_soft_limit(files: u64) -> bool {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let enough = current.is_none_or(|current| current >= files);
    let possible = maximum.is_none_or(|maximum| maximum >= files);
    if enough || !possible {
        return false;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum });
    tracing::debug!(files, ?raised, "raising RLIMIT_NOFILE to register files");
    raised.is_ok()
}
