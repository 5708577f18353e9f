//! A message from nobody's ring (`IORING_REGISTER_SEND_MSG_RING`).

use annulus_abi::{CqeFlags, IORING_MSG_DATA, IORING_OP_MSG_RING, MsgRingFlags, Sqe};
use rustix::io::Errno;

use super::call::{Call, Fields};
use crate::core::{self, Letter};
use crate::op::{Message, Outcome};

/// Posts the completion that an entry of `MSG_RING` describes.
///
/// # Errors
///
/// `EINVAL` for anything but a plain message of data; `EBADF`, `EBADFD` for what is no ring, or not enabled; `EFAULT`.
pub(super) fn send(call: &Call<'_>) -> Result<u32, Errno> {
    call.structure(1)?;
    let fields: Fields<{ size_of::<Sqe>() }> = call.load()?;
    let sqe = Sqe {
        opcode: fields.u8(0),
        flags: fields.u8(1),
        fd: fields.u32(4).cast_signed(),
        off: fields.u64(8),
        addr: fields.u64(16),
        len: fields.u32(24),
        op_flags: fields.u32(28),
        buf_index: fields.u16(40),
        personality: fields.u16(42),
        file_index: fields.u32(44),
        addr3: fields.u64(48),
        ..Sqe::default()
    };
    if sqe.flags != 0 || sqe.opcode != IORING_OP_MSG_RING {
        return Err(Errno::INVAL);
    }
    let message = Message::prepare(&sqe)?;
    if message.command != IORING_MSG_DATA {
        return Err(Errno::INVAL);
    }
    call.world.kind(message.fd)?;
    let target = core::find(message.fd, &**call.world).ok_or(Errno::BADFD)?;
    let pass = message.flags.contains(MsgRingFlags::FLAGS_PASS);
    let refused = message.flags.contains(MsgRingFlags::CQE_SKIP) || (!pass && message.file_index != 0);
    if message.source_slot != 0 || refused {
        return Err(Errno::INVAL);
    }
    let flags = if pass { message.file_index } else { 0 };
    let outcome = Outcome::success(message.len.cast_signed()).with_flags(CqeFlags::from_bits_retain(flags));
    target.deliver(Letter::Completion { user_data: message.user_data, outcome })
}
