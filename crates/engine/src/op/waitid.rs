//! `WAITID`: until a child ends, stops or goes on.
//!
//! The end of one child is something that its pidfd can be watched for. Everything else (any child, those of a group,
//! stops and continuations) only waitid(2) itself waits for, on a worker, for as long as it takes. (`__WNOTHREAD` means the children
//! of the thread that happens to look then.)

use annulus_abi::Sqe;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::{Context, Interest, Operation, Outcome, Prepare, Step, Work};
use crate::files::File;
use crate::pool::{Interrupt, Lane};
use crate::world::{Children, Fate, Mode, ReadySet, Span, World};

/// A pidfd is readable once its process has ended.
const ENDED: ReadySet = PollFlags::IN.bits() as ReadySet;
/// What may be waited for.
const EVENTS: i32 = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED;
/// All options that there are.
const OPTIONS: i32 =
    EVENTS | libc::WNOHANG | libc::WNOWAIT | libc::__WNOTHREAD | libc::__WCLONE | libc::__WALL;

/// A wait for a child.
#[derive(Debug)]
pub(super) struct WaitId {
    children: Children,
    /// Where what happened is told; nowhere if it lies at 0.
    info: Span,
    /// Of the child, while the request waits: good although the program closes its own, or the number is reused.
    process: Option<File>,
    /// It has begun to wait.
    waits: bool,
    fate: Fate,
}

impl WaitId {
    /// Reads the entry.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Self {
        Self {
            children: Children { kind: sqe.len, id: sqe.fd, options: sqe.file_index.cast_signed() },
            info: cx.vouched.span(sqe.off, size_of::<libc::siginfo_t>()),
            process: None,
            waits: false,
            fate: Fate::default(),
        }
    }

    /// What is refused before anybody is looked for, and leaves the program's memory as it is.
    fn check(&self) -> Result<(), Errno> {
        let Children { kind, id, options } = self.children;
        let known = options & !OPTIONS == 0 && options & EVENTS != 0;
        let named = match kind {
            libc::P_ALL => true,
            libc::P_PID => id > 0,
            libc::P_PGID | libc::P_PIDFD => id >= 0,
            _ => false,
        };
        if known && named { Ok(()) } else { Err(Errno::INVAL) }
    }

    /// Looks, without waiting.
    fn look(&mut self, cx: &Context<'_>) -> Step {
        let children = match &self.process {
            Some(process) => Children { kind: libc::P_PIDFD, id: process.fd(), ..self.children },
            None => self.children,
        };
        let looked = cx.world.wait_child(children, Mode::Nonblocking);
        match looked {
            Ok(fate) if fate.pid == 0 && self.children.options & libc::WNOHANG == 0 => self.wait(cx),
            looked => self.end(&**cx.world, looked),
        }
    }

    /// How to wait for what has not happened yet.
    fn wait(&mut self, cx: &Context<'_>) -> Step {
        let on_worker = Step::Block(Work { lane: Lane::Unbounded, hash: None });
        self.waits = true;
        let Children { kind, id, options } = self.children;
        if kind == libc::P_PIDFD && self.process.is_none() && cx.world.is_nonblocking(id) {
            return self.end(&**cx.world, Ok(Fate::default()));
        }
        if options & EVENTS != libc::WEXITED {
            return on_worker;
        }
        if self.process.is_none() {
            let opened = match kind {
                libc::P_PID => cx.world.open_process(id),
                libc::P_PIDFD => cx.world.hold(id),
                _ => return on_worker,
            };
            // Without one (a system that has none, no more descriptors) a worker waits.
            let Ok(fd) = opened else { return on_worker };
            self.process = Some(File::new(fd, cx.world.clone()));
            // From here on it is the descriptor that says which child is meant: was it so at the last look?
            return self.look(cx);
        }
        Step::Wait(Interest { events: ENDED, on: self.process.as_ref().map(File::fd) })
    }

    /// Tells what happened.
    fn end(&self, world: &dyn World, result: Result<Fate, Errno>) -> Step {
        let told = if self.info.addr() == 0 {
            Ok(())
        } else {
            world.store_fate(result.unwrap_or_default(), self.info)
        };
        Step::Done(Outcome::from(told.and(result).map(|_| 0)))
    }
}

impl Operation for WaitId {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        match self.check() {
            Ok(()) => self.look(cx),
            Err(errno) => Step::Done(Outcome::failure(errno)),
        }
    }

    fn block(&mut self, world: &dyn World, _: i32, interrupt: &Interrupt) -> Result<u32, Errno> {
        let children = match &self.process {
            Some(process) => Children { kind: libc::P_PIDFD, id: process.fd(), ..self.children },
            None => self.children,
        };
        loop {
            if interrupt.requested() {
                return Err(Errno::INTR);
            }
            match world.wait_child(children, Mode::Blocking) {
                Err(Errno::INTR) => {}
                Ok(fate) => {
                    self.fate = fate;
                    return Ok(0);
                }
                Err(errno) => return Err(errno),
            }
        }
    }

    fn settle(&mut self, cx: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        self.end(&**cx.world, result.map(|_| self.fate))
    }

    fn abandon(&mut self, cx: &mut Context<'_>) {
        // A wait that had begun tells that nothing has happened.
        self.process = None;
        if self.waits {
            self.end(&**cx.world, Err(Errno::CANCELED));
        }
    }
}
