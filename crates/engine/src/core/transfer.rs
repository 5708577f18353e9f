//! Transfers that go on by themselves: direct I/O, which waits for a device and needs no thread meanwhile.

use rustix::io::Errno;

use super::State;
use crate::op::Work;
use crate::request::Stage;
use crate::scheduler::Key;
use crate::world::{Direct, Event};

impl State {
    /// Starts the transfer of a request, or has a worker do it.
    pub(super) fn start_transfer(&mut self, key: Key, direct: &Direct, work: Work) {
        let generation = self.request(key).generation;
        let token = (u64::from(generation) << 32) | u64::from(key.0);
        match self.env.world.prepare(direct, token) {
            Ok(()) => {
                self.request(key).stage = Stage::Started(work);
                self.transfers += 1;
                self.is_prepared = true;
            }
            Err(_) => self.give_to_worker(key, work),
        }
    }

    /// Starts the transfers that were prepared: before the lock is given back, and before anything else is done that could
    /// close a file under them.
    #[inline]
    pub(super) fn launch(&mut self) {
        while std::mem::take(&mut self.is_prepared) {
            let mut events = Vec::new();
            self.env.world.launch(&mut events);
            for event in events {
                if let Event::Done { token, result } = event {
                    self.take_transferred(token, result);
                }
            }
        }
    }

    /// A transfer has ended.
    pub(super) fn take_transferred(&mut self, token: u64, result: i32) {
        #[expect(clippy::cast_possible_truncation, reason = "takes the halves of the token apart")]
        let (key, generation) = (Key(token as u32), (token >> 32) as u32);
        let Some(request) = self.find_request(key, generation) else { return };
        let Stage::Started(work) = request.stage else { return };
        request.stage = Stage::Ready;
        self.transfers -= 1;
        let result = u32::try_from(result).map_err(|_| Errno::from_raw_os_error(-result));
        if result == Err(Errno::AGAIN) {
            // It could not be done without waiting after all.
            return self.give_to_worker(key, work);
        }
        let Self { requests, tables, env, .. } = self;
        let step = requests[key.0 as usize].settle(&env.world, tables, result);
        self.carry_on(key, step);
    }
}
