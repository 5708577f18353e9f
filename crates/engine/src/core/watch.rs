//! Which requests wait for which descriptor.
//!
//! The world watches a descriptor once, for all that its requests ask for; here it is kept who asked. What is told of one
//! descriptor is told to each of its requests whose question it answers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::os::fd::RawFd;

use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::scheduler::Key;
use crate::world::{ReadySet, World};

/// Told without being asked for.
const ALWAYS: ReadySet = (PollFlags::ERR.bits() | PollFlags::HUP.bits() | PollFlags::NVAL.bits()) as ReadySet;

/// All that is watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_fd: HashMap<RawFd, Watch, BuildHasherDefault<Number>>,
    generation: u32,
}

/// Spreads the numbers of descriptors, which the system gives out one after the other: nobody can choose them to collide.
#[derive(Debug, Default)]
struct Number(u64);

impl Hasher for Number {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_i32(i32::from(*byte)));
    }

    #[inline]
    fn write_i32(&mut self, number: i32) {
        // Fibonacci hashing: the low bits differ as those of the numbers do, and the top bits too.
        self.0 = (self.0 ^ u64::from(number.cast_unsigned())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// One descriptor.
#[derive(Debug)]
struct Watch {
    /// Tells events of this watch from those of earlier ones on the same number.
    generation: u32,
    /// Who asked, and for what.
    requests: Vec<(Key, ReadySet)>,
}

impl Watch {
    fn events(&self) -> ReadySet {
        self.requests.iter().fold(0, |all, (_, events)| all | events)
    }
}

impl Watches {
    /// Whether nothing is watched.
    pub(super) fn is_empty(&self) -> bool {
        self.by_fd.is_empty()
    }

    /// Watches for one more request. What is ready already is told at the next look.
    ///
    /// # Errors
    ///
    /// Those of [`Readiness::arm`](crate::world::Readiness::arm).
    pub(super) fn add(
        &mut self,
        world: &dyn World,
        fd: RawFd,
        key: Key,
        events: ReadySet,
    ) -> Result<(), Errno> {
        if let Some(watch) = self.by_fd.get_mut(&fd) {
            watch.requests.push((key, events));
            // Asked anew even if nothing changes: what is ready already was told to the others only.
            let armed = world.rearm(fd, watch.events(), token(fd, watch.generation));
            if armed.is_err() {
                watch.requests.pop();
            }
            return armed;
        }
        self.generation = self.generation.wrapping_add(1);
        world.arm(fd, events, token(fd, self.generation))?;
        self.by_fd.insert(fd, Watch { generation: self.generation, requests: vec![(key, events)] });
        Ok(())
    }

    /// Watches for this request no longer.
    pub(super) fn remove(&mut self, world: &dyn World, fd: RawFd, key: Key) {
        let Some(watch) = self.by_fd.get_mut(&fd) else { return };
        watch.requests.retain(|(other, _)| *other != key);
        if watch.requests.is_empty() {
            self.by_fd.remove(&fd);
            world.disarm(fd);
        }
    }

    /// Who asked for what an event tells, with what of it concerns them.
    pub(super) fn concerned(&self, token: u64, ready: ReadySet, into: &mut Vec<(Key, ReadySet)>) {
        let (fd, generation) = split(token);
        let Some(watch) = self.by_fd.get(&fd).filter(|watch| watch.generation == generation) else { return };
        let told = watch.requests.iter().map(|(key, events)| (*key, ready & (events | ALWAYS)));
        into.extend(told.filter(|(_, ready)| *ready != 0));
    }
}

fn token(fd: RawFd, generation: u32) -> u64 {
    (u64::from(generation) << 32) | u64::from(fd.cast_unsigned())
}

#[expect(clippy::cast_possible_truncation, reason = "takes the halves apart")]
const fn split(token: u64) -> (RawFd, u32) {
    ((token as u32).cast_signed(), (token >> 32) as u32)
}
