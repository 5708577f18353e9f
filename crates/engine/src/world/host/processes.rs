//! Children of this process.
#![allow(unsafe_code, reason = "waitid(2) with any kind and option, which rustix does not take")]

use std::mem::{MaybeUninit, offset_of};
use std::os::fd::RawFd;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Host;
use super::files::borrow;
use super::sockets::last_errno;
use crate::world::processes::{Children, Fate, Processes};
use crate::world::{Memory, Mode, Span};

/// The fields of a `siginfo_t` that waitid(2) writes, where they are on Linux.
#[repr(C)]
struct ChildInfo {
    signo: i32,
    errno: i32,
    code: i32,
    /// The union of the details is aligned as a pointer.
    #[cfg(target_pointer_width = "64")]
    padding: i32,
    pid: i32,
    uid: u32,
    status: i32,
}

const _: () =
    assert!(offset_of!(ChildInfo, code) == 8 && size_of::<ChildInfo>() <= size_of::<libc::siginfo_t>());

impl Processes for Host {
    fn wait_child(&self, children: Children, mode: Mode) -> Result<Fate, Errno> {
        let options = match mode {
            Mode::Nonblocking => children.options | libc::WNOHANG,
            Mode::Blocking => children.options,
        };
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let id = libc::id_t::from(children.id.cast_unsigned());
        // SAFETY: the structure lives for the call. No usage of resources is asked for.
        if unsafe { libc::waitid(children.kind, id, info.as_mut_ptr(), options) } != 0 {
            return Err(last_errno());
        }
        // SAFETY: the fields are a prefix of the structure, which was zeroed and has their alignment.
        let ChildInfo { pid, uid, code, status, .. } = unsafe { info.as_ptr().cast::<ChildInfo>().read() };
        Ok(Fate { pid, uid, code, status })
    }

    fn open_process(&self, pid: i32) -> Result<RawFd, Errno> {
        // SAFETY: takes numbers alone. The descriptor is closed on exec, always.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 { Err(last_errno()) } else { RawFd::try_from(fd).map_err(|_| Errno::MFILE) }
    }

    fn is_nonblocking(&self, process: RawFd) -> bool {
        let flags = borrow(process).and_then(rustix::fs::fcntl_getfl);
        flags.is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
    }

    fn store_fate(&self, fate: Fate, into: Span) -> Result<(), Errno> {
        let signo = if fate.pid == 0 { 0 } else { libc::SIGCHLD };
        let put = |at: usize, value: i32| self.store(into.part(at, 4), &value.to_ne_bytes());
        put(offset_of!(ChildInfo, signo), signo)?;
        put(offset_of!(ChildInfo, errno), 0)?;
        put(offset_of!(ChildInfo, code), fate.code)?;
        put(offset_of!(ChildInfo, pid), fate.pid)?;
        put(offset_of!(ChildInfo, uid), fate.uid.cast_signed())?;
        put(offset_of!(ChildInfo, status), fate.status)
    }
}
