//! The operation that waits for the end of a child, without taking its status.
#![allow(unsafe_code, reason = "names no memory")]

use std::io;

use annulus::{opcode, squeue};
use rustix::process::Pid;

use super::nothing;
use crate::driver::{Completion, Operation};

/// waitid(2) with `WNOWAIT`.
pub(crate) struct Watch {
    pub(crate) pid: Pid,
}

// SAFETY: names no memory: nothing is asked of how the child ended.
unsafe impl Operation for Watch {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        let id = self.pid.as_raw_pid().unsigned_abs();
        opcode::WaitId::new(libc::P_PID, id, libc::WEXITED | libc::WNOWAIT).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }
}
