//! The kernel as back end: the three system calls and the mappings.
//!
//! This module decides nothing about queues; it carries one call per batch across, keeps the ring's
//! memory mapped while it lives, and knows where a call must go: to the descriptor, or to an index
//! of the calling thread's registered rings. The calls themselves stand in a table that can be
//! replaced, see [`SystemCalls`].
#![allow(unsafe_code, reason = "calls through the table with pointers that the callers vouch for")]

mod calls;
mod mapping;
mod nested;
mod probe_flag;
mod register;
mod registered;
mod staging;

use std::ffi::c_void;
use std::mem::size_of;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr::NonNull;

use annulus_abi::{
    Backend, EnterArg, EnterFlags, Features, Params, Region, RegisterOp, RingMemory, RsrcUpdate, SetupFlags,
};
use rustix::io::Errno;

pub use calls::{SharedMemory, SystemCalls};
use mapping::Mappings;
pub(crate) use mapping::{give_memory, memory_size};
pub(crate) use probe_flag::{plain_ring, probe_flag};
use register::register;
pub(crate) use register::register_sized;
use registered::Registration;
use staging::{SIGSET_SIZE, Staged};

/// Whether the kernel of this machine knows a setup flag. Asks by setting up the smallest ring with it,
/// which is closed again; where no ring can be set up at all, the answer is meaningless.
#[must_use]
pub fn knows_setup_flag(flag: SetupFlags) -> bool {
    probe_flag(&SystemCalls::LINUX, flag)
}

/// Where the memory of a ring comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum RingSource {
    /// From the kernel, mapped.
    #[default]
    Kernel,
    /// Allocated by this crate, in huge pages if there are any (`IORING_SETUP_NO_MMAP`).
    Anonymous,
    /// The caller's (`IORING_SETUP_NO_MMAP`).
    Given(Region),
}

// SAFETY: `Given` is an address and a size; the builder's contract makes the memory the ring's.
unsafe impl Send for RingSource {}
// SAFETY: as above.
unsafe impl Sync for RingSource {}

/// A ring of the kernel's.
#[derive(Debug)]
pub struct Kernel {
    calls: SystemCalls,
    memory: RingMemory,
    mappings: Mappings,
    params: Params,
    /// `None` for a ring that is only an index (`IORING_SETUP_REGISTERED_FD_ONLY`).
    fd: Option<RingFd>,
    registered: Registration,
}

/// The descriptor of a ring, closed through the table that opened it.
#[derive(Debug)]
struct RingFd {
    raw: RawFd,
    close: unsafe fn(RawFd),
}

impl Kernel {
    /// Sets a ring up.
    ///
    /// # Errors
    ///
    /// Those of io_uring_setup(2) and mmap(2); `EIO` if the kernel's offsets do not fit its regions.
    pub(crate) fn new(
        calls: SystemCalls,
        source: RingSource,
        entries: u32,
        mut params: Params,
    ) -> Result<Self, Errno> {
        let given = give_memory(source, entries, &mut params)?;
        let fd = setup(&calls, entries, &mut params)?;
        // SAFETY: set up just now, through this table, with these parameters.
        unsafe { Self::with_ring(calls, fd, params, given) }
    }

    /// Takes over a ring that was set up elsewhere.
    ///
    /// # Errors
    ///
    /// Those of mmap(2); `EIO` if the offsets do not fit.
    ///
    /// # Safety
    ///
    /// `fd` is a ring that nobody else uses or closes, set up with `params` as the kernel filled them in.
    pub(crate) unsafe fn from_fd(fd: RawFd, params: Params) -> Result<Self, Errno> {
        // SAFETY: the contract of this function.
        unsafe { Self::with_ring(SystemCalls::LINUX, fd, params, None) }
    }

    /// # Safety
    ///
    /// `fd` is a ring (or an index of one, if the flags say so) of `calls`, set up with `params`.
    unsafe fn with_ring(
        calls: SystemCalls,
        fd: RawFd,
        params: Params,
        given: Option<Mappings>,
    ) -> Result<Self, Errno> {
        let only_registered = params.setup_flags().contains(SetupFlags::REGISTERED_FD_ONLY);
        let registered = Registration::none();
        let ring_fd = if only_registered {
            registered.set(fd.cast_unsigned());
            None
        } else {
            Some(RingFd { raw: fd, close: calls.close })
        };
        let mappings = match given {
            Some(mappings) => mappings,
            // SAFETY: the contract of this function.
            None => unsafe { Mappings::of_fd(&calls, fd, &params) }?,
        };
        // SAFETY: the regions are mapped (or given for as long), and `Kernel` owns them beside the memory.
        let memory = unsafe { RingMemory::new(&mappings.regions, &params) }.map_err(|error| {
            tracing::error!(%error, "the kernel's ring does not fit its own mapping");
            Errno::IO
        })?;
        Ok(Self { calls, memory, mappings, params, fd: ring_fd, registered })
    }

    /// Keeps the rings out of children of fork(2).
    ///
    /// # Errors
    ///
    /// What madvise(2) says.
    pub(crate) fn dontfork(&self) -> Result<(), Errno> {
        self.mappings.dontfork()
    }

    /// Where a call goes: a descriptor, or an index of the calling thread.
    #[inline]
    fn target(&self) -> Result<Target, Errno> {
        if let Some(index) = self.registered.index() {
            return Ok(Target::Registered(index));
        }
        self.fd.as_ref().map(|fd| Target::Descriptor(fd.raw)).ok_or(Errno::BADF)
    }

    /// Gives an index of the calling thread's table back.
    fn unregister_index(&self, index: u32) {
        let mut update = RsrcUpdate { offset: index, ..RsrcUpdate::default() };
        let arg = (&raw mut update).cast();
        let (fd, op) = match &self.fd {
            Some(fd) => (fd.raw, RegisterOp::UNREGISTER_RING_FDS),
            None => (index.cast_signed(), RegisterOp::UNREGISTER_RING_FDS.with_registered_ring()),
        };
        // SAFETY: the argument is one `io_uring_rsrc_update`, as the operation asks.
        let result = unsafe { register(&self.calls, fd, op, arg, 1) };
        if let Err(errno) = result {
            tracing::warn!(index, %errno, "a registered ring could not be given back");
        }
    }
}

// SAFETY: `mappings` live beside `memory` in the same value; the kernel follows the ordering table and
// touches named memory only between submission and last completion.
unsafe impl Backend for Kernel {
    #[inline]
    fn memory(&self) -> &RingMemory {
        &self.memory
    }

    fn params(&self) -> &Params {
        &self.params
    }

    unsafe fn enter(
        &self,
        to_submit: u32,
        min_complete: u32,
        flags: EnterFlags,
        arg: EnterArg<'_>,
    ) -> Result<u32, Errno> {
        let (fd, flags) = match self.target()? {
            Target::Descriptor(fd) => (fd, flags),
            Target::Registered(index) => (index.cast_signed(), flags | EnterFlags::REGISTERED_RING),
        };
        let enter = |flags: EnterFlags, arg: *const c_void, size: usize| {
            // SAFETY: the caller's contract, passed on.
            unsafe { (self.calls.enter)(fd, to_submit, min_complete, flags.bits(), arg, size) }
        };
        match arg {
            EnterArg::None => enter(flags, std::ptr::null(), SIGSET_SIZE),
            EnterArg::Raw { arg, size } => enter(flags, arg, size),
            EnterArg::Sigmask(set) => {
                // SAFETY: a reference to eight bytes.
                let staged =
                    unsafe { Staged::new(&self.calls, std::ptr::from_ref(set).cast(), SIGSET_SIZE) }?;
                enter(flags, staged.arg(), SIGSET_SIZE)
            }
            EnterArg::Extended(extended) => {
                // SAFETY: the caller vouches for what the argument points to.
                let staged = unsafe { Staged::extended(&self.calls, extended) }?;
                enter(flags | EnterFlags::EXT_ARG, staged.arg(), size_of_val(extended))
            }
            EnterArg::Registered(offset) => {
                let offset = usize::try_from(offset).map_err(|_| Errno::INVAL)?;
                let flags = flags | EnterFlags::EXT_ARG | EnterFlags::EXT_ARG_REG;
                enter(flags, std::ptr::without_provenance(offset), size_of::<annulus_abi::RegWait>())
            }
        }
    }

    unsafe fn register(&self, op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
        let by_index = self.params.feature_flags().contains(Features::REG_REG_RING);
        let (fd, op) = match self.target()? {
            Target::Registered(index) if by_index || self.fd.is_none() => {
                (index.cast_signed(), op.with_registered_ring())
            }
            Target::Descriptor(fd) => (fd, op),
            Target::Registered(_) => (self.fd.as_ref().ok_or(Errno::BADF)?.raw, op),
        };
        // SAFETY: the caller's contract, passed on.
        unsafe { register(&self.calls, fd, op, arg, nr) }
    }

    fn ring_fd(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the descriptor is open for as long as `self` is.
        self.fd.as_ref().map(|fd| unsafe { BorrowedFd::borrow_raw(fd.raw) })
    }

    fn use_registered_fd(&self, on: bool) -> Result<bool, Errno> {
        let Some(fd) = &self.fd else { return if on { Ok(false) } else { Err(Errno::INVAL) } };
        if !on {
            return Ok(self.registered.forget().map(|index| self.unregister_index(index)).is_some());
        }
        if self.registered.index().is_some() {
            return Ok(false);
        }
        for index in registered::take_orphans() {
            self.unregister_index(index);
        }
        let any_place = u32::MAX;
        let mut update = RsrcUpdate {
            offset: any_place,
            data: u64::from(fd.raw.cast_unsigned()),
            ..RsrcUpdate::default()
        };
        // SAFETY: the argument is one `io_uring_rsrc_update`, as the operation asks.
        unsafe { register(&self.calls, fd.raw, RegisterOp::REGISTER_RING_FDS, (&raw mut update).cast(), 1) }?;
        self.registered.set(update.offset);
        Ok(true)
    }

    fn resize(&mut self, params: &mut Params) -> Result<(), Errno> {
        let fd = self.fd.as_ref().ok_or(Errno::INVAL)?.raw;
        let arg = std::ptr::from_mut(params).cast();
        // SAFETY: the argument is one `io_uring_params`, as the operation asks.
        unsafe { self.register(RegisterOp::REGISTER_RESIZE_RINGS, arg, 1) }?;
        let resized = Params {
            sq_entries: params.sq_entries,
            cq_entries: params.cq_entries,
            sq_off: params.sq_off,
            cq_off: params.cq_off,
            ..self.params
        };
        // SAFETY: the descriptor is this ring's, and the kernel just filled in its new layout.
        let mappings = unsafe { Mappings::of_fd(&self.calls, fd, &resized) }?;
        // SAFETY: the regions were mapped just now, and `Kernel` owns them beside the memory.
        self.memory = unsafe { RingMemory::new(&mappings.regions, &resized) }.map_err(|_| Errno::IO)?;
        self.mappings = mappings;
        self.params = resized;
        Ok(())
    }

    fn map(&self, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
        let fd = self.fd.as_ref().ok_or(Errno::OPNOTSUPP)?.raw;
        // SAFETY: the descriptor is this ring's, from the same table.
        unsafe { (self.calls.map)(fd, len, offset) }
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) {
        // SAFETY: mapped by the same table, and no longer in use (this function's contract).
        unsafe { (self.calls.unmap)(start, len) };
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if let Some(index) = self.registered.forget() {
            self.unregister_index(index);
        }
    }
}

/// Where a call goes.
enum Target {
    Descriptor(RawFd),
    Registered(u32),
}

impl Drop for RingFd {
    fn drop(&mut self) {
        // SAFETY: this value owns the descriptor, which `close`'s table opened.
        unsafe { (self.close)(self.raw) };
    }
}

/// io_uring_setup(2) with the parameters placed where the table's host reads them.
fn setup(calls: &SystemCalls, entries: u32, params: &mut Params) -> Result<RawFd, Errno> {
    let arg: *mut c_void = std::ptr::from_mut(params).cast();
    // SAFETY: `params` is readable over its size.
    let staged = unsafe { Staged::new(calls, arg, size_of::<Params>()) }?;
    // SAFETY: the staged bytes are a `Params`.
    let result = unsafe { (calls.setup)(entries, staged.arg().cast()) };
    // SAFETY: `params` is writable over its size.
    unsafe { staged.copy_back(arg) };
    result
}
