//! `READ_MULTISHOT`: one completion for each buffer that it fills, until the file ends or the buffers do.

use rustix::io::Errno;

use super::{ReadWrite, Tried};
use crate::op::{Context, Interest, Outcome, Step};
use crate::world::FileKind;

impl ReadWrite {
    /// Fills the next buffer of the group.
    pub(super) fn try_multishot(&mut self, cx: &mut Context<'_>, group: u16) -> Step {
        if self.was_checked {
            // Without a buffer it goes on to wait: it fails only when there is something to be read.
            if cx.tables.groups.is_empty(group) && cx.world.ready(cx.fd, self.interest()) == Ok(0) {
                return Step::Wait(Interest::file(self.interest()));
            }
        } else {
            if let Err(errno) = must_be_pollable(cx) {
                return Step::Done(Outcome::failure(errno));
            }
            self.was_checked = true;
        }
        let picked = match cx.tables.groups.pick(group, 0) {
            Ok(picked) => picked,
            Err(errno) => return Step::Done(Outcome::failure(errno)),
        };
        let span = picked.span;
        let early = if self.is_unusual(cx.turn) { self.look_first(cx) } else { None };
        match early.unwrap_or_else(|| self.try_inline(cx, &[span], span.len())) {
            Tried::Moved(count) if count > 0 => {
                let flags = cx.tables.groups.commit(picked, count);
                self.done = 0;
                let outcome = Outcome::success(i32::try_from(count).unwrap_or(i32::MAX));
                Step::More(outcome.with_flags(flags))
            }
            ended => {
                cx.tables.groups.put_back(picked);
                match ended {
                    Tried::Moved(_) => Step::Done(Outcome::success(0)),
                    Tried::Failed(errno) => Step::Done(Outcome::failure(errno)),
                    // It is watched in any case: a worker never has it.
                    Tried::NotReady | Tried::Blocks(_) | Tried::Direct => {
                        Step::Wait(Interest::file(self.interest()))
                    }
                }
            }
        }
    }
}

/// Only what can be watched is read again and again.
fn must_be_pollable(cx: &Context<'_>) -> Result<(), Errno> {
    let is_pollable = match cx.world.kind(cx.fd)? {
        FileKind::Regular | FileKind::Block => false,
        FileKind::Pipe | FileKind::Socket => true,
        FileKind::Other => cx.world.is_pollable(cx.fd)?,
    };
    if is_pollable { Ok(()) } else { Err(Errno::BADFD) }
}
