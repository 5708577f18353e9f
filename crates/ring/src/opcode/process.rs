//! Waiting for child processes.

use std::fmt;
use std::ptr;

use annulus_abi::{IORING_OP_WAITID, Sqe};

use super::address;
use crate::squeue::Entry;

/// Waits until a child changes its state: waitid(2). Linux 6.7.
///
/// 0, with the answer in [`infop`](Self::infop). `ECHILD` if there is no such child.
#[derive(Clone)]
#[must_use = "an operation does nothing until it is built and pushed"]
pub struct WaitId {
    sqe: Sqe,
    infop: *const libc::siginfo_t,
}

impl WaitId {
    /// The operation's number, for [`Probe::is_supported`](crate::Probe::is_supported).
    pub const CODE: u8 = IORING_OP_WAITID;

    /// Waits for the child or children that `idtype` (`P_PID`, `P_PIDFD`, `P_PGID`, `P_ALL`) and `id` name, and for
    /// the changes that `options` name (`WEXITED`, `WSTOPPED`, `WCONTINUED`, `WNOHANG`, `WNOWAIT`).
    #[inline]
    pub fn new(idtype: libc::idtype_t, id: libc::id_t, options: libc::c_int) -> Self {
        let mut sqe = Sqe::new(Self::CODE);
        sqe.len = idtype;
        sqe.fd = id.cast_signed();
        sqe.file_index = options.cast_unsigned();
        Self { sqe, infop: ptr::null() }
    }

    /// Sets where the kernel **writes** what happened; null is nowhere.
    ///
    /// The type says `*const` because that is the signature that programs know; give a `*mut` (which
    /// fits), from a place that may be written and that lives until the completion. What is behind a
    /// shared reference must not be given.
    #[inline]
    pub const fn infop(mut self, infop: *const libc::siginfo_t) -> Self {
        self.infop = infop;
        self
    }

    /// Sets the flag word; no flag is known today and others than 0 are refused (`EINVAL`).
    #[inline]
    pub const fn flags(mut self, flags: libc::c_uint) -> Self {
        self.sqe.op_flags = flags;
        self
    }

    /// The entry to push.
    #[must_use]
    #[inline]
    pub fn build(self) -> Entry {
        let mut sqe = self.sqe;
        sqe.off = address(self.infop);
        Entry(sqe)
    }
}

impl fmt::Debug for WaitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaitId").field(&self.clone().build()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_goes_where_a_mutable_pointer_says() {
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
        let wait = WaitId::new(libc::P_PID, 42, libc::WEXITED).infop(info.as_mut_ptr()).build();
        assert_eq!(wait.get_off(), info.as_ptr().addr() as u64);
        assert_eq!((wait.get_len(), wait.get_fd(), wait.get_file_index()), (1, 42, 4));
    }
}
