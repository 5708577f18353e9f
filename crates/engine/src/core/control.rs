//! Operations on other requests: which part of the core carries them out.

use annulus_abi::IORING_OP_POLL_ADD;
use rustix::io::Errno;

use super::State;
use crate::op::{Control, Op, Outcome, PollRemove, Turn};
use crate::request::Stage;
use crate::scheduler::Key;

impl State {
    /// Carries out an operation of the core.
    pub(super) fn carry_out(&mut self, key: Key, control: Control) {
        let result = match control {
            Control::Timeout(timeout) => return self.start_timeout(key, timeout),
            Control::TimeoutRemove(remove) => self.remove_timeout(&remove),
            Control::Cancel(criteria) => self.cancel(&criteria, Some(key)),
            Control::PollRemove(remove) => self.remove_poll(&remove),
            Control::Message(message) => return self.send_message(key, &message),
        };
        self.end(key, &Outcome::from(result));
    }

    /// Removes a poll request, or changes it: the youngest one of those with this `user_data`, as the kernel does.
    fn remove_poll(&mut self, remove: &PollRemove) -> Result<u32, Errno> {
        let polls = self.requests.named(remove.user_data).filter(|(_, request)| {
            request.opcode == IORING_OP_POLL_ADD && matches!(request.stage, Stage::Armed(_))
        });
        let youngest = polls.max_by_key(|(_, request)| request.generation).map(|(index, _)| index);
        let key = Key(youngest.map(|index| u32::try_from(index).unwrap_or(u32::MAX)).ok_or(Errno::NOENT)?);
        if remove.events.is_none() && remove.new_user_data.is_none() {
            self.end_cancelled(key);
            return Ok(0);
        }
        self.disarm(key);
        let Self { requests, tables, env, .. } = self;
        if let Some(user_data) = remove.new_user_data {
            requests.rename(key.0 as usize, user_data);
        }
        let request = &mut requests[key.0 as usize];
        if let (Some(events), Op::Poll(poll)) = (remove.events, &mut request.op) {
            poll.change(events);
        }
        let step = request.attempt(&env.world, tables, Turn::Inline);
        self.carry_on(key, step);
        Ok(0)
    }
}
