//! Which slots of a ring's table of registered buffers are taken. Used under the ring's lock.
#![allow(unsafe_code, reason = "registers memory with the ring")]

use std::io;

use annulus::Submitter;
use annulus_rt::buf::{AlignedBuf, IoBuf};

/// How many buffers are registered with a ring at the most, of all pools together.
const MOST: u16 = 4096;

/// The slots of one ring.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    state: State,
    /// Given back, to be used again.
    free: Vec<u16>,
    /// A refusal was told.
    warned: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unmade,
    /// The table is there, and from this slot on it was never used.
    Made(u16),
    /// There is no table: before Linux 5.19 none with empty slots.
    Refused,
}

impl Slots {
    /// Registers a buffer with the ring. `None` if it is refused.
    pub(super) fn register(&mut self, submitter: &Submitter<'_>, buf: &AlignedBuf) -> Option<u16> {
        let slot = self.free.pop().or_else(|| self.unused(submitter))?;
        let entry = libc::iovec { iov_base: buf.as_stable_ptr().cast_mut().cast(), iov_len: buf.capacity() };
        // SAFETY: the memory is used by way of the slot only by operations that own the guard of this buffer (`slot_in`), so as
        // long as it lives; before it is freed, its slot is emptied (`Block`), or not used again.
        let registered = unsafe { submitter.register_buffers_update(slot.into(), &[entry], None) };
        match registered {
            Ok(()) => Some(slot),
            Err(error) => {
                self.free.push(slot);
                self.warn(&error, buf.capacity());
                None
            }
        }
    }

    /// Lets go of a buffer.
    pub(super) fn unregister(&mut self, submitter: &Submitter<'_>, slot: u16) {
        let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: an empty entry names no memory.
        let emptied = unsafe { submitter.register_buffers_update(slot.into(), &[empty], None) };
        // One that could not be emptied is not used again: with the ring it goes.
        if emptied.is_ok() {
            self.free.push(slot);
        }
    }

    fn unused(&mut self, submitter: &Submitter<'_>) -> Option<u16> {
        if matches!(self.state, State::Unmade) {
            self.state = match submitter.register_buffers_sparse(MOST.into()) {
                Ok(()) => State::Made(0),
                Err(error) => {
                    self.warn(&error, 0);
                    State::Refused
                }
            };
        }
        match &mut self.state {
            State::Made(next) if *next < MOST => {
                *next += 1;
                Some(*next - 1)
            }
            _ => None,
        }
    }

    fn warn(&mut self, error: &io::Error, bytes: usize) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                %error,
                bytes,
                "buffers are not registered with this ring and are used as any other memory: Linux 5.19 or later \
                 is needed, and room below RLIMIT_MEMLOCK (`ulimit -l`, `LimitMEMLOCK=`)"
            );
        }
    }
}
