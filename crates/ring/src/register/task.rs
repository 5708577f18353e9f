//! What can be asked without a ring: descriptor -1 of io_uring_register(2).
#![allow(unsafe_code, reason = "passes arguments by address for the duration of a call")]

use std::ffi::c_void;
use std::io;
use std::mem::size_of;

use annulus_abi::{IORING_OP_MSG_RING, RegisterOp, Sqe};
use rustix::io::Errno;

use super::query::{self, Query};
use super::{FilterRule, Restriction};
use crate::backend::{ENGINE_FLAGS, engine_owns, engine_register_blind};
use crate::kernel::{SystemCalls, register_sized};
use crate::{BackendChoice, environment, squeue};

/// The descriptor that means no ring.
const NO_RING: i32 = -1;

/// What can be asked of the kernel, and said about the calling thread, without a ring.
///
/// ```
/// use annulus::abi::QueryOpcode;
/// use annulus::register::Task;
///
/// match Task::new().query::<QueryOpcode>() {
///     Ok(kernel) => println!("{} opcodes", kernel.nr_request_opcodes),
///     Err(error) => println!("older than Linux 6.18: {error}"),
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Task {
    backend: BackendChoice,
    /// A table of the caller's.
    calls: Option<SystemCalls>,
}

impl Task {
    /// By the system calls of this process, if they are not forbidden: see [`backend`](Self::backend).
    #[must_use]
    pub const fn new() -> Self {
        Self { backend: BackendChoice::Auto, calls: None }
    }

    /// Who is asked, by the rules of [`Builder::backend`](crate::Builder::backend): with
    /// [`Auto`](BackendChoice::Auto) the engine answers and delivers messages where the kernel is forbidden or missing, and delivers
    /// those to rings of its own. [`restrict`](Self::restrict) and [`filter`](Self::filter) are about rings of the
    /// kernel's; the engine, which is as Linux 6.18, answers `EINVAL`.
    #[must_use]
    pub const fn backend(mut self, choice: BackendChoice) -> Self {
        self.backend = choice;
        self
    }

    /// By calls of the caller's.
    ///
    /// # Safety
    ///
    /// That of [`Builder::system_calls`](crate::Builder::system_calls).
    #[must_use]
    pub const unsafe fn with_system_calls(calls: SystemCalls) -> Self {
        Self { backend: BackendChoice::Kernel, calls: Some(calls) }
    }

    /// Asks what the kernel has: see [`Query`]. Linux 6.18.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the kernel does not know this query, `EINVAL` or `EBADF` before 6.18, and what is said
    /// where io_uring is forbidden: `EPERM`, `ENOSYS`.
    pub fn query<Q: Query>(&self) -> io::Result<Q> {
        query::ask(|header| {
            // SAFETY: the argument is one `io_uring_query_hdr`, whose answer is there for the call.
            unsafe { self.call(RegisterOp::REGISTER_QUERY, header, 0, size_of::<annulus_abi::QueryHdr>()) }
        })
    }

    /// Posts a completion on another ring, without having a ring: what [`MsgRingData`](crate::opcode::MsgRingData)
    /// does, whose entry this takes. Descriptors cannot be sent this way. Linux 6.13.
    ///
    /// # Errors
    ///
    /// `EINVAL` for any other entry, one with flags, and before 6.13; `EBADF` and `EBADFD` for no descriptor
    /// or none of a ring that is enabled; `EOVERFLOW` if the other queue is full.
    pub fn send_message(&self, message: &squeue::Entry) -> io::Result<()> {
        let mut sqe = *message.sqe();
        if sqe.opcode != IORING_OP_MSG_RING {
            return Err(Errno::INVAL.into());
        }
        let arg = (&raw mut sqe).cast();
        let mut to = *self;
        if to.backend == BackendChoice::Auto && engine_owns(sqe.fd) {
            to.backend = BackendChoice::Engine;
        }
        // SAFETY: the argument is one entry, and that operation names no memory.
        unsafe { to.call(RegisterOp::REGISTER_SEND_MSG_RING, arg, 1, size_of::<Sqe>()) }?;
        Ok(())
    }

    /// Restricts every ring that the calling thread makes from now on, for good; children inherit
    /// it. The rules are those of [`register_restrictions`](crate::Submitter::register_restrictions). Newer than
    /// Linux 6.18: 7.0.
    ///
    /// # Errors
    ///
    /// `EPERM` if the thread is restricted already; `EACCES` without `PR_SET_NO_NEW_PRIVS` or `CAP_SYS_ADMIN`;
    /// `EINVAL` for too many rules; `EINVAL` or `EBADF` before 7.0.
    pub fn restrict(&self, rules: &[Restriction]) -> io::Result<()> {
        let mut words = task_restriction(rules).ok_or(Errno::INVAL)?;
        let len = size_of_val(words.as_slice());
        let arg = words.as_mut_ptr().cast();
        // SAFETY: the argument is a header and as many rules as it says.
        unsafe { self.call(RegisterOp::REGISTER_RESTRICTIONS, arg, 1, len) }?;
        Ok(())
    }

    /// Filters an opcode on every ring that the calling thread makes from now on; children inherit it. Newer
    /// than Linux 6.18: 7.0.
    ///
    /// # Errors
    ///
    /// Those of [`register_bpf_filter`](crate::Submitter::register_bpf_filter); `EACCES` without
    /// `PR_SET_NO_NEW_PRIVS` or `CAP_SYS_ADMIN`.
    pub fn filter(&self, rule: &FilterRule<'_>) -> io::Result<()> {
        let mut arg = rule.as_raw();
        let len = size_of_val(&arg);
        // SAFETY: the argument points to instructions that `rule` borrows.
        unsafe { self.call(RegisterOp::REGISTER_BPF_FILTER, (&raw mut arg).cast(), 1, len) }?;
        Ok(())
    }

    /// # Errors
    ///
    /// Those of the operation.
    ///
    /// # Safety
    ///
    /// `arg` holds `len` bytes, and is with `nr` what `op` asks for without a ring.
    unsafe fn call(&self, op: RegisterOp, arg: *mut c_void, nr: u32, len: usize) -> Result<u32, Errno> {
        let choice = match self.backend {
            BackendChoice::Auto => environment::backend_choice().map_err(|error| error.errno())?,
            explicit => explicit,
        };
        if choice != BackendChoice::Engine {
            // SAFETY: the contract of this function.
            let result =
                unsafe { register_sized(&self.calls.unwrap_or_default(), NO_RING, op, arg, nr, len) };
            let is_refused = matches!(result, Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS));
            // What is said about the kernel's rings has no other addressee.
            let has_substitute =
                matches!(op, RegisterOp::REGISTER_QUERY | RegisterOp::REGISTER_SEND_MSG_RING);
            if choice == BackendChoice::Kernel || !is_refused || !has_substitute || ENGINE_FLAGS.is_none() {
                return result;
            }
        }
        // SAFETY: the contract of this function.
        unsafe { engine_register_blind(op, arg, nr) }
    }
}

/// `struct io_uring_task_restriction` with its rules, as words: a header of the size of a rule (16 bits of
/// flags, 16 bits of count, zeros), then the rules. `None` for more than 65,535.
fn task_restriction(rules: &[Restriction]) -> Option<Vec<[u16; 8]>> {
    let count = u16::try_from(rules.len()).ok()?;
    let mut words = Vec::with_capacity(rules.len() + 1);
    words.push([0, count, 0, 0, 0, 0, 0, 0]);
    words.extend(rules.iter().map(|rule| {
        let annulus_abi::Restriction { opcode, register_op, .. } = *rule.as_raw();
        [opcode, u16::from_ne_bytes([register_op, 0]), 0, 0, 0, 0, 0, 0]
    }));
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use annulus_abi::TaskRestriction;
    use std::mem::offset_of;

    #[test]
    fn the_rules_of_a_task_follow_their_count() {
        let rules = [Restriction::register_op(12), Restriction::sqe_op(22)];
        let words = task_restriction(&rules).unwrap();
        let raw = |rule: &Restriction| (rule.as_raw().opcode, rule.as_raw().register_op);
        assert_eq!(rules.each_ref().map(raw), [(0, 12), (1, 22)]);
        let bytes: Vec<u8> = words.iter().flatten().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes.len(), size_of::<TaskRestriction<2>>());
        assert_eq!(bytes[offset_of!(TaskRestriction, nr_res)..][..2], 2_u16.to_ne_bytes());
        let first = offset_of!(TaskRestriction<2>, restrictions);
        assert_eq!(bytes[first..][..4], [0, 0, 12, 0]);
        assert_eq!(bytes[first + 16..][..4], [1_u16.to_ne_bytes()[0], 1_u16.to_ne_bytes()[1], 22, 0]);
    }
}
