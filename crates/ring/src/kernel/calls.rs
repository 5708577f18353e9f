//! The system calls of io_uring as a table of functions that can be replaced.
//!
//! A library OS or an enclave cannot make system calls itself: it asks its host, and the host may
//! read only memory that both share. So the table holds not only the three calls of io_uring but all
//! that a ring needs from outside: mapping, unmapping, closing, and, for such a host, memory in
//! which arguments are handed over. [`SystemCalls::LINUX`] is the ordinary table.
#![allow(unsafe_code, reason = "the door to the kernel: raw system calls with the caller's pointers")]

use std::ffi::{c_int, c_uint, c_void};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

use annulus_abi::{EnterFlags, Params};
use rustix::io::Errno;
use rustix::io_uring::IoringEnterFlags;
use rustix::mm::{MapFlags, ProtFlags};

/// Everything that the kernel back end asks of the outside.
///
/// The functions follow the system calls of the same names; errors are errnos.
///
/// # Examples
///
/// A table that counts how often the program enters:
///
/// ```
/// use annulus::kernel::SystemCalls;
/// use std::ffi::c_void;
/// use std::os::fd::RawFd;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// static ENTERS: AtomicU32 = AtomicU32::new(0);
///
/// unsafe fn counted(
///     fd: RawFd, submit: u32, complete: u32, flags: u32, arg: *const c_void, size: usize,
/// ) -> Result<u32, rustix::io::Errno> {
///     ENTERS.fetch_add(1, Ordering::Relaxed);
///     unsafe { (SystemCalls::LINUX.enter)(fd, submit, complete, flags, arg, size) }
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let mut builder = annulus::IoUring::builder();
/// // SAFETY: the table behaves as the system calls do.
/// unsafe { builder.system_calls(SystemCalls { enter: counted, ..SystemCalls::LINUX }) };
/// let ring: annulus::IoUring = builder.build(8)?;
/// ring.submit()?;
/// assert_eq!(ENTERS.load(Ordering::Relaxed), 0, "nothing to do, no call");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[allow(clippy::type_complexity, reason = "the types are the signatures of the system calls")]
pub struct SystemCalls {
    /// io_uring_setup(2): entries and parameters; returns the descriptor (or the registered index
    /// with `IORING_SETUP_REGISTERED_FD_ONLY`).
    pub setup: unsafe fn(u32, *mut Params) -> Result<RawFd, Errno>,
    /// io_uring_enter(2): descriptor, to submit, minimum to complete, flags, argument, its size.
    pub enter: unsafe fn(RawFd, u32, u32, u32, *const c_void, usize) -> Result<u32, Errno>,
    /// io_uring_register(2): descriptor, operation, argument, count.
    pub register: unsafe fn(RawFd, u32, *mut c_void, u32) -> Result<u32, Errno>,
    /// mmap(2) of the ring's descriptor, shared and populated: descriptor, length, offset.
    pub map: unsafe fn(RawFd, usize, u64) -> Result<NonNull<u8>, Errno>,
    /// munmap(2) of what `map` returned.
    pub unmap: unsafe fn(NonNull<u8>, usize),
    /// close(2) of what `setup` returned.
    pub close: unsafe fn(RawFd),
    /// Memory that the host can read and write, if it cannot read all of the program's; arguments
    /// of the three calls are then copied through it, with the lists and structures that they point to.
    /// What entries of the queue point to (buffers, paths, message headers) and memory that is registered
    /// (buffers, buffer rings, regions) the program places there itself, so
    /// [`BufRing`](crate::BufRing), [`WaitRegion`](crate::WaitRegion) and [`Zcrx`](crate::Zcrx), which allocate
    /// their memory, are not for such a host; the `register_*` below them are. Operations whose argument this crate
    /// does not know, and a caller's own `enter` argument, are passed as they are.
    pub shared: Option<SharedMemory>,
}

/// How to get memory that the host of a [`SystemCalls`] table can reach.
#[derive(Clone, Copy, Debug)]
pub struct SharedMemory {
    /// Allocates zeroed memory of this many bytes, aligned to 16.
    pub allocate: unsafe fn(usize) -> Result<NonNull<u8>, Errno>,
    /// Gives it back, with the same size.
    pub release: unsafe fn(NonNull<u8>, usize),
}

impl SystemCalls {
    /// The calls of the Linux kernel below this process.
    pub const LINUX: Self = Self {
        setup: linux_setup,
        enter: linux_enter,
        register: linux_register,
        map: linux_map,
        unmap: linux_unmap,
        close: linux_close,
        shared: None,
    };
}

impl Default for SystemCalls {
    fn default() -> Self {
        Self::LINUX
    }
}

// rustix knows the three calls too, but types their operations and arguments as far as its release goes;
// a program may ask for newer ones, so all but the plainest are made by number.

unsafe fn linux_setup(entries: u32, params: *mut Params) -> Result<RawFd, Errno> {
    // SAFETY: the caller of this table vouches for `params`.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries as c_uint, params) };
    check(result).map(u32::cast_signed)
}

unsafe fn linux_enter(
    fd: RawFd,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    arg: *const c_void,
    size: usize,
) -> Result<u32, Errno> {
    let extended = EnterFlags::EXT_ARG.union(EnterFlags::EXT_ARG_REG).bits();
    if arg.is_null() && flags & extended == 0 {
        // The usual case, which rustix makes without a detour through libc and its errno.
        // SAFETY: a descriptor that is open, or an index, which is never -1 either.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let flags = IoringEnterFlags::from_bits_retain(flags);
        // SAFETY: the caller of this table vouches for what the queued entries name.
        return unsafe { rustix::io_uring::io_uring_enter(fd, to_submit, min_complete, flags) };
    }
    // SAFETY: the caller of this table vouches for `arg` and for what the queued entries name.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            fd as c_int,
            to_submit as c_uint,
            min_complete as c_uint,
            flags as c_uint,
            arg,
            size,
        )
    };
    check(result)
}

unsafe fn linux_register(fd: RawFd, op: u32, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
    // SAFETY: the caller of this table vouches for `arg` and `nr`.
    let result =
        unsafe { libc::syscall(libc::SYS_io_uring_register, fd as c_int, op as c_uint, arg, nr as c_uint) };
    check(result)
}

unsafe fn linux_map(fd: RawFd, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
    // SAFETY: the caller of this table passes the descriptor that `setup` returned, which is open.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = MapFlags::SHARED | MapFlags::POPULATE;
    // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
    let start = unsafe {
        rustix::mm::mmap(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, fd, offset)
    };
    NonNull::new(start?.cast()).ok_or(Errno::NOMEM)
}

unsafe fn linux_unmap(start: NonNull<u8>, len: usize) {
    // SAFETY: the caller of this table passes a mapping of `linux_map` that nothing refers to any more.
    let result = unsafe { rustix::mm::munmap(start.as_ptr().cast(), len) };
    debug_assert_eq!(result, Ok(()), "unmapping a ring's region of {len} bytes");
}

unsafe fn linux_close(fd: RawFd) {
    // SAFETY: the caller of this table passes a descriptor that it owns and uses no more.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

/// The result of a system call as libc reports it.
fn check(result: libc::c_long) -> Result<u32, Errno> {
    u32::try_from(result).map_err(|_| {
        let errno = std::io::Error::last_os_error();
        Errno::from_io_error(&errno).unwrap_or(Errno::IO)
    })
}
