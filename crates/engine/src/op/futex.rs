//! `FUTEX_WAIT`, `FUTEX_WAITV` and `FUTEX_WAKE`.
//!
//! A wait is one from the moment of its first attempt: who wakes after the submission has returned, with a request or with
//! futex(2), wakes it. How that comes about without a thread of the ring's is the world's ([`Futexes`](crate::world::Futexes)).

use annulus_abi::{FUTEX_WAITV_MAX, FUTEX2_SIZE_MASK, FUTEX2_SIZE_U32, Futex2Flags, FutexWaitv, Sqe};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::{Context, Interest, Operation, Outcome, Prepare, Step};
use crate::world::{Futex, FutexWait, FutexWaiting, ReadySet, Vouched};

/// A wait's descriptor is readable once it is over.
const OVER: ReadySet = PollFlags::IN.bits() as ReadySet;
/// Flags that have a meaning.
const FLAGS: u32 =
    FUTEX2_SIZE_MASK | Futex2Flags::NUMA.bits() | Futex2Flags::MPOL.bits() | Futex2Flags::PRIVATE.bits();

/// `FUTEX_WAIT` and `FUTEX_WAITV`.
#[derive(Debug)]
pub(super) struct Wait {
    futexes: Vec<FutexWait>,
    mask: u32,
    /// The result tells which one of several it was.
    is_several: bool,
    waiting: Option<Box<dyn FutexWaiting>>,
}

impl Wait {
    /// Reads the entry of a wait for one futex.
    ///
    /// # Errors
    ///
    /// `EINVAL`: flags without meaning, another size than 32 bits, a value or mask that is larger.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let futex = futex(cx.vouched, sqe.addr, sqe.fd.cast_unsigned())?;
        let (value, mask) = (word(sqe.off)?, word(sqe.addr3)?);
        Ok(Self { futexes: vec![FutexWait { futex, value }], mask, is_several: false, waiting: None })
    }

    /// Reads the entry of a wait for several, and the list that it names.
    ///
    /// # Errors
    ///
    /// `EINVAL` as above, and for none or too many; `EFAULT`.
    pub(super) fn prepare_several(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        if sqe.len == 0 || sqe.len > FUTEX_WAITV_MAX {
            return Err(Errno::INVAL);
        }
        let mut futexes = Vec::new();
        for index in 0..u64::from(sqe.len) {
            let at = sqe.addr.wrapping_add(index * size_of::<FutexWaitv>() as u64);
            futexes.push(element(at, cx)?);
        }
        Ok(Self { futexes, mask: u32::MAX, is_several: true, waiting: None })
    }

    /// What it has come to, or that it goes on.
    fn look(&self, waiting: &dyn FutexWaiting) -> Step {
        match waiting.woken() {
            Some(woken) => Step::Done(self.outcome(woken)),
            None => Step::Wait(Interest { events: OVER, on: Some(waiting.descriptor()) }),
        }
    }

    fn outcome(&self, woken: Result<u32, Errno>) -> Outcome {
        Outcome::from(woken.map(|index| if self.is_several { index } else { 0 }))
    }
}

impl Operation for Wait {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        if let Some(waiting) = &self.waiting {
            return self.look(&**waiting);
        }
        if self.mask == 0 {
            return Step::Done(Outcome::failure(Errno::INVAL));
        }
        match cx.world.wait_futexes(&self.futexes, self.mask) {
            Ok(waiting) => {
                let step = self.look(&*waiting);
                self.waiting = Some(waiting);
                step
            }
            Err(errno) => Step::Done(Outcome::failure(errno)),
        }
    }

    fn outrun(&mut self) -> Option<Outcome> {
        let woken = self.waiting.as_mut()?.stop()?;
        Some(self.outcome(woken))
    }

    fn abandon(&mut self, _: &mut Context<'_>) {
        self.waiting = None;
    }
}

/// `FUTEX_WAKE`.
#[derive(Debug)]
pub(super) struct Wake {
    futex: Futex,
    count: i32,
    mask: u32,
}

impl Wake {
    /// Reads the entry.
    ///
    /// # Errors
    ///
    /// `EINVAL` as for a wait.
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let futex = futex(cx.vouched, sqe.addr, sqe.fd.cast_unsigned())?;
        Ok(Self { futex, count: word(sqe.off)?.cast_signed(), mask: word(sqe.addr3)? })
    }
}

impl Operation for Wake {
    fn attempt(&mut self, cx: &mut Context<'_>) -> Step {
        Step::Done(Outcome::from(cx.world.wake_futex(self.futex, self.count, self.mask)))
    }
}

/// One element of the list of `FUTEX_WAITV`.
fn element(addr: u64, cx: &Prepare<'_>) -> Result<FutexWait, Errno> {
    let mut bytes = [0; size_of::<FutexWaitv>()];
    cx.world.load(cx.vouched.span(addr, bytes.len()), &mut bytes)?;
    let (value, rest) = bytes.split_at(8);
    let (uaddr, rest) = rest.split_at(8);
    let (flags, reserved) = rest.split_at(4);
    let long = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
    let short = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().unwrap_or_default());
    if short(reserved) != 0 {
        return Err(Errno::INVAL);
    }
    let futex = futex(cx.vouched, long(uaddr), short(flags))?;
    Ok(FutexWait { futex, value: word(long(value))? })
}

fn futex(vouched: Vouched, addr: u64, flags: u32) -> Result<Futex, Errno> {
    if flags & !FLAGS != 0 || flags & FUTEX2_SIZE_MASK != FUTEX2_SIZE_U32 {
        return Err(Errno::INVAL);
    }
    // The number of a node stands behind the word.
    let len = if flags & Futex2Flags::NUMA.bits() == 0 { 4 } else { 8 };
    Ok(Futex { word: vouched.span(addr, len), flags })
}

/// A value of 32 bits.
fn word(value: u64) -> Result<u32, Errno> {
    u32::try_from(value).map_err(|_| Errno::INVAL)
}
