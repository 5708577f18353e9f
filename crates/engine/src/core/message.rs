//! `MSG_RING`: a completion, or a file, for another ring.
//!
//! Two rings that write to each other must not wait for each other's lock: if the other ring is busy at the moment, a worker, which
//! holds no lock, delivers the message.

use std::sync::{Arc, TryLockError};

use annulus_abi::{CqeFlags, IORING_MSG_DATA, IORING_MSG_SEND_FD, MsgRingFlags, SqeFlags};
use rustix::io::Errno;

use super::{Ring, State, directory};
use crate::files::File;
use crate::op::{Context, Message, Op, Operation, Outcome, Step, Work};
use crate::pool::{Interrupt, Lane};
use crate::scheduler::Key;
use crate::world::World;

/// What arrives.
#[derive(Clone, Debug)]
pub(crate) enum Letter {
    /// A completion.
    Completion { user_data: u64, outcome: Outcome },
    /// A file for a slot, and a completion that says which one, unless it is to be silent.
    File { file: Arc<File>, file_index: u32, user_data: u64, silent: bool },
}

impl State {
    /// Sends the message of a request.
    pub(super) fn send_message(&mut self, key: Key, message: &Message) {
        let is_registered = self.request(key).flags.contains(SqeFlags::FIXED_FILE);
        match self.deliver(message, is_registered) {
            Ok(Delivery::Done(result)) => self.end(key, &Outcome::from(result)),
            Ok(Delivery::Busy(post)) => {
                self.request(key).op = Op::Other(Box::new(post));
                self.give_to_worker(key, Work { lane: Lane::Bounded, hash: None });
            }
            Err(errno) => self.end(key, &Outcome::failure(errno)),
        }
    }

    /// `is_registered`: the ring that is meant stands in a slot.
    fn deliver(&mut self, message: &Message, is_registered: bool) -> Result<Delivery, Errno> {
        let fd = if is_registered { self.tables.files.get(message.fd)?.fd() } else { message.fd };
        self.env.world.kind(fd)?;
        let target = directory::find(fd, &*self.env.world).ok_or(Errno::BADFD)?;
        let is_own = target.id == self.env.id;
        let letter = self.write_letter(message, is_own)?;
        if is_own {
            return Ok(Delivery::Done(self.receive(letter)));
        }
        match target.state.try_lock() {
            Ok(mut state) => {
                let result = state.receive(letter);
                state.settle_up(&target);
                Ok(Delivery::Done(result))
            }
            Err(TryLockError::Poisoned(_)) | Err(TryLockError::WouldBlock) => {
                Ok(Delivery::Busy(Post { target: Arc::clone(&target), letter }))
            }
        }
    }

    fn write_letter(&self, message: &Message, is_own: bool) -> Result<Letter, Errno> {
        let pass = message.flags.contains(MsgRingFlags::FLAGS_PASS);
        match message.command {
            IORING_MSG_DATA => {
                let silent = message.flags.contains(MsgRingFlags::CQE_SKIP);
                if message.source_slot != 0 || silent || (!pass && message.file_index != 0) {
                    return Err(Errno::INVAL);
                }
                let flags = if pass { message.file_index } else { 0 };
                let outcome =
                    Outcome::success(message.len.cast_signed()).with_flags(CqeFlags::from_bits_retain(flags));
                Ok(Letter::Completion { user_data: message.user_data, outcome })
            }
            IORING_MSG_SEND_FD => {
                if message.len != 0 || is_own {
                    return Err(Errno::INVAL);
                }
                let slot = i32::try_from(message.source_slot).map_err(|_| Errno::BADF)?;
                let file = Arc::clone(self.tables.files.get(slot)?);
                let silent = message.flags.contains(MsgRingFlags::CQE_SKIP);
                Ok(Letter::File {
                    file,
                    file_index: message.file_index,
                    user_data: message.user_data,
                    silent,
                })
            }
            _ => Err(Errno::INVAL),
        }
    }

    /// Takes a letter in. The answer is the sender's result.
    ///
    /// # Errors
    ///
    /// `EBADFD` if the ring is not enabled yet, or no more; those of installing a file.
    pub(crate) fn receive(&mut self, letter: Letter) -> Result<u32, Errno> {
        // Whoever found the ring before it ended may come afterwards, when the memory of its queues is somebody else's.
        if self.disabled || self.closing {
            return Err(Errno::BADFD);
        }
        match letter {
            Letter::Completion { user_data, outcome } => {
                self.post(user_data, &outcome);
                Ok(0)
            }
            Letter::File { file, file_index, user_data, silent } => {
                let world = &self.env.world;
                let copy = File::new(world.hold(file.fd())?, Arc::clone(world));
                let slot = self.tables.files.install(file_index, copy).map_err(|(errno, _)| errno)?;
                if !silent {
                    self.post(user_data, &Outcome::success(i32::try_from(slot).unwrap_or(i32::MAX)));
                }
                Ok(slot)
            }
        }
    }
}

/// What became of a message.
enum Delivery {
    Done(Result<u32, Errno>),
    Busy(Post),
}

/// A letter on its way, for a worker to deliver.
struct Post {
    target: Arc<Ring>,
    letter: Letter,
}

impl Operation for Post {
    fn attempt(&mut self, _: &mut Context<'_>) -> Step {
        Step::Block(Work { lane: Lane::Bounded, hash: None })
    }

    fn block(&mut self, _: &dyn World, _: i32, _: &Interrupt) -> Result<u32, Errno> {
        self.target.with(|state| state.receive(self.letter.clone()))
    }
}

impl Ring {
    /// Delivers a letter from outside any ring (`IORING_REGISTER_SEND_MSG_RING`).
    ///
    /// # Errors
    ///
    /// Those of [`State::receive`].
    pub(crate) fn deliver(&self, letter: Letter) -> Result<u32, Errno> {
        self.with(|state| state.receive(letter))
    }
}
