//! Operations on other requests and on time. The core carries them out, as only it has the table of requests; here
//! their entries are read.

use annulus_abi::{self as abi, CancelFlags, MsgRingFlags, PollFlags, Sqe, SqeFlags, TimeoutFlags};
use rustix::io::Errno;

use super::Prepare;
use crate::world::{ClockId, ReadySet, World};

/// An operation of the core.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Control {
    /// `TIMEOUT` and `LINK_TIMEOUT`.
    Timeout(Timeout),
    /// `TIMEOUT_REMOVE`.
    TimeoutRemove(TimeoutRemove),
    /// `ASYNC_CANCEL`.
    Cancel(Criteria),
    /// `POLL_REMOVE`.
    PollRemove(PollRemove),
    /// `MSG_RING`.
    Message(Message),
}

/// When a timeout expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout {
    /// Nanoseconds: a point on the clock, or a duration.
    pub(crate) ns: u64,
    /// Its clock.
    pub(crate) clock: ClockId,
    /// `ns` is a point on the clock.
    pub(crate) absolute: bool,
    /// Completes when so many others did; 0 does not count. With `multishot`: how often it fires.
    pub(crate) count: u32,
    /// Fires again and again.
    pub(crate) multishot: bool,
    /// Expiry counts as success for what is linked to it.
    pub(crate) expiry_succeeds: bool,
}

/// What is to become of a timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeoutRemove {
    /// The timeout's `user_data`.
    pub(crate) user_data: u64,
    /// Its new time; it is removed if there is none.
    pub(crate) update: Option<Timeout>,
    /// It is a linked one.
    pub(crate) linked: bool,
}

/// Which requests to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Criteria {
    /// What must match.
    pub(crate) flags: CancelFlags,
    /// With no other key, or `USERDATA`.
    pub(crate) user_data: u64,
    /// With `FD`: a descriptor, or a slot with `FD_FIXED`.
    pub(crate) fd: i32,
    /// With `OP`.
    pub(crate) opcode: u8,
}

impl Criteria {
    /// Whether only requests of this `user_data` are meant.
    pub(crate) const fn names(&self) -> bool {
        let other_key = CancelFlags::FD.union(CancelFlags::OP);
        !self.flags.contains(CancelFlags::ANY)
            && (self.flags.contains(CancelFlags::USERDATA) || !self.flags.intersects(other_key))
    }
}

/// What is to become of a poll request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollRemove {
    /// Its `user_data`.
    pub(crate) user_data: u64,
    /// Its new events. How often it tells does not change.
    pub(crate) events: Option<ReadySet>,
    /// Its new `user_data`.
    pub(crate) new_user_data: Option<u64>,
}

/// A message to another ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    /// The descriptor of that ring.
    pub(crate) fd: i32,
    /// `IORING_MSG_DATA` or `IORING_MSG_SEND_FD`.
    pub(crate) command: u64,
    /// `res` there, or (with a file) nothing.
    pub(crate) len: u32,
    /// `user_data` there.
    pub(crate) user_data: u64,
    /// The slot here that holds the file to send.
    pub(crate) source_slot: u64,
    /// `file_index`: the slot there, plus one, or `IORING_FILE_INDEX_ALLOC`; with `FLAGS_PASS` the completion's flags.
    pub(crate) file_index: u32,
    /// How.
    pub(crate) flags: MsgRingFlags,
}

impl Control {
    /// Reads the entry of one of these opcodes.
    ///
    /// # Errors
    ///
    /// `EINVAL` for values without meaning and any other opcode; `EFAULT` for a time that cannot be read.
    pub(crate) fn prepare(sqe: &Sqe, cx: &mut Prepare<'_>) -> Result<Self, Errno> {
        match sqe.opcode {
            abi::IORING_OP_TIMEOUT => Timeout::prepare(sqe, cx).map(Self::Timeout),
            abi::IORING_OP_LINK_TIMEOUT => Timeout::prepare_link(sqe, cx).map(Self::Timeout),
            abi::IORING_OP_TIMEOUT_REMOVE => TimeoutRemove::prepare(sqe, cx).map(Self::TimeoutRemove),
            abi::IORING_OP_ASYNC_CANCEL => Criteria::prepare(sqe).map(Self::Cancel),
            abi::IORING_OP_POLL_REMOVE => PollRemove::prepare(sqe).map(Self::PollRemove),
            abi::IORING_OP_MSG_RING => Message::prepare(sqe).map(Self::Message),
            _ => Err(Errno::INVAL),
        }
    }
}

impl Timeout {
    fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let known = TimeoutFlags::ABS
            | TimeoutFlags::BOOTTIME
            | TimeoutFlags::REALTIME
            | TimeoutFlags::ETIME_SUCCESS
            | TimeoutFlags::MULTISHOT;
        let flags = TimeoutFlags::from_bits_retain(sqe.op_flags);
        // A repeated point in time would fire without end.
        let endless = flags.contains(TimeoutFlags::MULTISHOT) && flags.contains(TimeoutFlags::ABS);
        if sqe.len != 1 || !known.contains(flags) || endless {
            return Err(Errno::INVAL);
        }
        let (clock, ns) = (clock(flags)?, load_time(cx.world, cx, sqe.addr)?);
        // The kernel keeps the count in 32 bits.
        #[expect(clippy::cast_possible_truncation, reason = "so does the kernel")]
        let count = sqe.off as u32;
        Ok(Self {
            ns,
            clock,
            absolute: flags.contains(TimeoutFlags::ABS),
            count,
            multishot: flags.contains(TimeoutFlags::MULTISHOT),
            expiry_succeeds: flags.contains(TimeoutFlags::ETIME_SUCCESS),
        })
    }

    fn prepare_link(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let known = TimeoutFlags::ABS
            | TimeoutFlags::BOOTTIME
            | TimeoutFlags::REALTIME
            | TimeoutFlags::ETIME_SUCCESS
            | TimeoutFlags::MULTISHOT;
        let flags = TimeoutFlags::from_bits_retain(sqe.op_flags);
        if flags.contains(TimeoutFlags::MULTISHOT) || !known.contains(flags) {
            return Err(Errno::INVAL);
        }
        Self::prepare(sqe, cx)
    }
}

impl TimeoutRemove {
    fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        // Neither a registered file nor a provided buffer has a meaning here.
        if SqeFlags::from_bits_retain(sqe.flags).intersects(SqeFlags::FIXED_FILE | SqeFlags::BUFFER_SELECT) {
            return Err(Errno::INVAL);
        }
        let flags = TimeoutFlags::from_bits_retain(sqe.op_flags);
        let update = flags.intersects(TimeoutFlags::UPDATE | TimeoutFlags::LINK_TIMEOUT_UPDATE);
        if !update {
            if !flags.is_empty() {
                return Err(Errno::INVAL);
            }
            return Ok(Self { user_data: sqe.addr, update: None, linked: false });
        }
        let known = TimeoutFlags::UPDATE
            | TimeoutFlags::LINK_TIMEOUT_UPDATE
            | TimeoutFlags::ABS
            | TimeoutFlags::BOOTTIME
            | TimeoutFlags::REALTIME;
        if !known.contains(flags) {
            return Err(Errno::INVAL);
        }
        let timeout = Timeout {
            ns: load_time(cx.world, cx, sqe.off)?,
            clock: clock(flags)?,
            absolute: flags.contains(TimeoutFlags::ABS),
            count: 0,
            multishot: false,
            expiry_succeeds: false,
        };
        let linked = flags.contains(TimeoutFlags::LINK_TIMEOUT_UPDATE);
        Ok(Self { user_data: sqe.addr, update: Some(timeout), linked })
    }
}

impl Criteria {
    fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        let flags = SqeFlags::from_bits_retain(sqe.flags);
        if flags.contains(SqeFlags::BUFFER_SELECT) {
            return Err(Errno::INVAL);
        }
        let mut criteria = Self::new(sqe.op_flags, sqe.addr, sqe.fd, sqe.len)?;
        // The entry's own flag says the same about a descriptor that is looked for.
        if flags.contains(SqeFlags::FIXED_FILE) && criteria.flags.contains(CancelFlags::FD) {
            criteria.flags |= CancelFlags::FD_FIXED;
        }
        Ok(criteria)
    }

    /// What the flags and fields of a cancel name, in an entry or in a register call.
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags, `ANY` beside another key, and an opcode out of range.
    pub(crate) fn new(flags: u32, user_data: u64, fd: i32, opcode: u32) -> Result<Self, Errno> {
        let flags = CancelFlags::from_bits(flags).ok_or(Errno::INVAL)?;
        let keys = CancelFlags::FD | CancelFlags::OP;
        if flags.contains(CancelFlags::ANY) && flags.intersects(keys) {
            return Err(Errno::INVAL);
        }
        let opcode = if flags.contains(CancelFlags::OP) {
            u8::try_from(opcode).map_err(|_| Errno::INVAL)?
        } else {
            0
        };
        Ok(Self { flags, user_data, fd, opcode })
    }
}

impl PollRemove {
    fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        let flags = PollFlags::from_bits(sqe.len).ok_or(Errno::INVAL)?;
        // A multishot flag is taken, although it changes nothing, but not alone.
        if flags.contains(PollFlags::ADD_LEVEL) || flags == PollFlags::ADD_MULTI {
            return Err(Errno::INVAL);
        }
        let update_events = flags.contains(PollFlags::UPDATE_EVENTS);
        let update_user_data = flags.contains(PollFlags::UPDATE_USER_DATA);
        if (!update_user_data && sqe.off != 0) || (!update_events && sqe.op_flags != 0) {
            return Err(Errno::INVAL);
        }
        Ok(Self {
            user_data: sqe.addr,
            events: update_events.then_some(sqe.op_flags),
            new_user_data: update_user_data.then_some(sqe.off),
        })
    }
}

impl Message {
    /// Reads the entry of a message.
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    pub(crate) fn prepare(sqe: &Sqe) -> Result<Self, Errno> {
        let flags = MsgRingFlags::from_bits(sqe.op_flags).ok_or(Errno::INVAL)?;
        if sqe.buf_index != 0 || sqe.personality != 0 {
            return Err(Errno::INVAL);
        }
        Ok(Self {
            fd: sqe.fd,
            command: sqe.addr,
            len: sqe.len,
            user_data: sqe.off,
            source_slot: sqe.addr3,
            file_index: sqe.file_index,
            flags,
        })
    }
}

/// The clock that the flags choose.
fn clock(flags: TimeoutFlags) -> Result<ClockId, Errno> {
    match (flags.contains(TimeoutFlags::BOOTTIME), flags.contains(TimeoutFlags::REALTIME)) {
        (false, false) => Ok(ClockId::Monotonic),
        (true, false) => Ok(ClockId::Boottime),
        (false, true) => Ok(ClockId::Realtime),
        (true, true) => Err(Errno::INVAL),
    }
}

/// Nanoseconds of the time at an address.
fn load_time(world: &dyn World, cx: &Prepare<'_>, addr: u64) -> Result<u64, Errno> {
    let mut bytes = [0; 16];
    world.load(cx.vouched.span(addr, bytes.len()), &mut bytes)?;
    let (seconds, nanos) = bytes.split_at(8);
    let number = |bytes: &[u8]| i64::from_ne_bytes(bytes.try_into().unwrap_or_default());
    nanoseconds(number(seconds), number(nanos)).ok_or(Errno::INVAL)
}

/// The kernel refuses what is negative, and saturates what is too long.
pub(crate) fn nanoseconds(seconds: i64, nanos: i64) -> Option<u64> {
    let (seconds, nanos) = (u64::try_from(seconds).ok()?, u64::try_from(nanos).ok()?);
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(nanos).min(i64::MAX.cast_unsigned()))
}
