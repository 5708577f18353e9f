//! What programs do not ask for, as what it comes to is promised nowhere, and what they ask for instead.
//!
//! Each has its reason beside it: an accident of Linux 6.18, a race that the interface allows, or what no system call can tell a back
//! end outside the kernel.

use annulus::abi::{IORING_OP_SEND_ZC, IORING_OP_SENDMSG_ZC};

use super::Generator;
use crate::programs::program::{Key, Memory, Op, Target};

impl Generator {
    /// The operation, or what takes its place in a program in which what it comes to is an accident.
    pub(super) fn or_else(&self, op: Op, is_linked_to: bool) -> Op {
        match op {
            Op::SendZc { at, len } if self.drains => Op::Send { at, len, msg_flags: 0 },
            Op::Raw { opcode: IORING_OP_SEND_ZC | IORING_OP_SENDMSG_ZC } if self.drains => {
                Op::Nop { result: 0 }
            }
            // Behind a drain, or one that a worker ended, it goes to a worker, which waits before it tries.
            Op::RecvMany { at, group, .. } if self.drains || is_linked_to => {
                Op::Recv { at, len: 0, msg_flags: 0, memory: Memory::Select(group) }
            }
            Op::ReadMany { at, group } if self.drains || is_linked_to => {
                Op::Read { at, len: 0, offset: -1, memory: Memory::Select(group) }
            }
            // There, a buffer is taken before it is known whether there is something to put into it, and kept while the request waits,
            // if a worker is at it. What goes to a worker is up to the back end, but for what asks for it.
            Op::Recv { at, len, msg_flags, memory: Memory::Select(_) } if self.drains || is_linked_to => {
                Op::Recv { at, len, msg_flags, memory: Memory::Own }
            }
            Op::Read { at, len, offset, memory: Memory::Select(_) } if self.drains || is_linked_to => {
                Op::Read { at, len, offset, memory: Memory::Own }
            }
            // A read of Linux 6.18 keeps a buffer of a list while it waits; a receive does not, and nor should it.
            Op::Read { at, len, offset, memory: Memory::Select(group @ (1 | 2)) }
                if !matches!(at, Target::File(_)) =>
            {
                Op::Read { at, len, offset, memory: Memory::Select(group + 2) }
            }
            // Of nothing, a worker that waits in the call is told at once.
            Op::Recv { at, len: 0, msg_flags, memory: Memory::Own } if self.drains || is_linked_to => {
                Op::Recv { at, len: 1, msg_flags, memory: Memory::Own }
            }
            Op::RecvMsg { at, len: 0, msg_flags } if self.drains || is_linked_to => {
                Op::RecvMsg { at, len: 1, msg_flags }
            }
            Op::RecvMany { at, group, .. } if self.overflows => {
                Op::Recv { at, len: 0, msg_flags: 0, memory: Memory::Select(group) }
            }
            Op::ReadMany { at, group } if self.overflows => {
                Op::Read { at, len: 0, offset: -1, memory: Memory::Select(group) }
            }
            Op::Accept { multishot: true, place } if self.overflows => Op::Accept { multishot: false, place },
            Op::PollAdd { at, events, multishot: true } if self.overflows => {
                Op::PollAdd { at, events, multishot: false }
            }
            Op::RecvMany { at, group: 4, bundle } if self.is_incremental => {
                Op::RecvMany { at, group: 3, bundle }
            }
            Op::RecvBundle { at, group, .. } if self.drains || is_linked_to || self.overflows => {
                Op::Recv { at, len: 0, msg_flags: 0, memory: Memory::Select(group) }
            }
            // It completes as often as it sends.
            Op::SendBundle { at, len, .. } if self.drains || is_linked_to || self.overflows => {
                Op::Send { at, len, msg_flags: 0 }
            }
            // A message goes into the first buffer, or into several. Of a stream, what one go does not hold is there for the next; so one
            // that is to go once says how much.
            Op::RecvMany { at: at @ (Target::Sender | Target::Mailbox), group, bundle: true } => {
                Op::RecvMany { at, group, bundle: false }
            }
            Op::RecvBundle { at: at @ (Target::Sender | Target::Mailbox), group, .. } => {
                Op::Recv { at, len: 0, msg_flags: 0, memory: Memory::Select(group) }
            }
            Op::RecvBundle { at, group: 4, len } if self.is_incremental => {
                Op::RecvBundle { at, group: 3, len }
            }
            Op::SendBundle { at, group: 4, len } if self.is_incremental => {
                Op::SendBundle { at, group: 3, len }
            }
            // Lists of buffers have no next one.
            Op::RecvBundle { at, group: group @ (1 | 2), len } => {
                Op::RecvBundle { at, group: group + 2, len }
            }
            Op::SendBundle { at, group: group @ (1 | 2), len } => {
                Op::SendBundle { at, group: group + 2, len }
            }
            Op::RecvMany { at, group: group @ (1 | 2), bundle: true } => {
                Op::RecvMany { at, group: group + 2, bundle: true }
            }
            // Whether it is over may depend on how much went into one completion.
            Op::Cancel { key: Key::Name(name), .. } if self.bundled.contains(&name) => Op::Nop { result: 0 },
            // A timeout that counts completions counts wrongly while others end.
            Op::Timeout { count, .. } if (count > 0) != self.counts => Op::Nop { result: 0 },
            // A pipe that was spliced to can no longer be asked whether a write would wait. A kernel goes on to wait in
            // a worker, where it finds room in a page; who asks for readiness waits for a whole page.
            // (A worker waits until all of it is written, and what follows another request may be with a worker.)
            Op::Write { at: Target::Writer(_), .. } if self.splices || self.drains || is_linked_to => {
                Op::Nop { result: 0 }
            }
            Op::Splice { from, len, .. } | Op::Tee { from, len, .. } if !self.splices => {
                Op::Read { at: from, len, offset: -1, memory: Memory::Own }
            }
            // One that has no more to read waits or not.
            Op::Shutdown { at: Target::Sender | Target::Mailbox, .. } => Op::Nop { result: 0 },
            op => op,
        }
    }
}
