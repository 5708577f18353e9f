//! The clock of waits, queries, filters: what concerns the ring as a whole.
#![allow(unsafe_code, reason = "two arguments hold addresses, which are borrowed for the call")]

use std::io;

use annulus_abi::{ClockRegister, RegisterOp};

use crate::Submitter;
use crate::register::{FilterRule, Query, WaitClock, ask};

impl Submitter<'_> {
    /// Chooses the clock that timeouts of waits are measured by, relative and
    /// [absolute](Self::submit_until). Operations name their own. Linux 6.12.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 6.12.
    pub fn register_clock(&self, clock: WaitClock) -> io::Result<()> {
        let arg = ClockRegister { clockid: clock.id(), ..ClockRegister::default() };
        self.register_told(RegisterOp::REGISTER_CLOCK, &arg, 0).map(drop)
    }

    /// Asks what the kernel has: see [`Query`]. Without a ring: [`Task::query`](crate::register::Task::query).
    /// Linux 6.18.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the kernel does not know this query, `EINVAL` before 6.18.
    pub fn query<Q: Query>(&self) -> io::Result<Q> {
        // SAFETY: the argument is one `io_uring_query_hdr`, whose answer is there for the call.
        ask(|header| unsafe { self.backend.register(RegisterOp::REGISTER_QUERY, header, 0) })
    }

    /// Has requests of one opcode pass a filter first. For all rings of a thread, see
    /// [`Task::filter`](crate::register::Task::filter). Newer than Linux 6.18: 7.0.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a program that the kernel does not accept, for an opcode that it does not filter, and
    /// before 7.0; `EACCES` without `PR_SET_NO_NEW_PRIVS` or `CAP_SYS_ADMIN`; `EMSGSIZE` if the sizes of what the
    /// opcode adds differ.
    pub fn register_bpf_filter(&self, rule: &FilterRule<'_>) -> io::Result<()> {
        let mut arg = rule.as_raw();
        // SAFETY: the argument points to instructions that `rule` borrows.
        unsafe { self.register_raw(RegisterOp::REGISTER_BPF_FILTER, (&raw mut arg).cast(), 1) }.map(drop)
    }
}
