//! Restrictions: what a ring still takes once it is enabled.

use annulus_abi as abi;
use annulus_abi::{Restriction, Sqe};
use rustix::io::Errno;

use super::call::{Call, Fields};
use super::{REGISTER_OPS, REQUEST_OPS};
use crate::core::State;

/// What is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Restrictions {
    /// One bit for each register operation.
    register_ops: u64,
    /// One bit for each opcode.
    sqe_ops: u128,
    sqe_flags_allowed: u8,
    sqe_flags_required: u8,
}

/// As many rules as there are kinds of them, register operations and opcodes.
const MOST: u32 = 4 + REGISTER_OPS + REQUEST_OPS;

const _: () = assert!(REGISTER_OPS <= u64::BITS && REQUEST_OPS <= u128::BITS);

impl Restrictions {
    /// Whether a register operation is allowed.
    pub(super) const fn allow_register(&self, op: u32) -> bool {
        self.register_ops & (1 << op) != 0
    }

    /// Whether an entry is allowed.
    pub(super) const fn allow(&self, sqe: &Sqe) -> bool {
        // Opcodes beyond were refused before.
        let op = self.sqe_ops & (1 << (sqe.opcode & 127)) != 0;
        let required = self.sqe_flags_required;
        op && sqe.flags & required == required && sqe.flags & !(self.sqe_flags_allowed | required) == 0
    }

    fn add(&mut self, kind: u16, value: u8) -> Result<(), Errno> {
        match kind {
            abi::IORING_RESTRICTION_REGISTER_OP if u32::from(value) < REGISTER_OPS => {
                self.register_ops |= 1 << value;
            }
            abi::IORING_RESTRICTION_SQE_OP if u32::from(value) < REQUEST_OPS => self.sqe_ops |= 1 << value,
            abi::IORING_RESTRICTION_SQE_FLAGS_ALLOWED => self.sqe_flags_allowed = value,
            abi::IORING_RESTRICTION_SQE_FLAGS_REQUIRED => self.sqe_flags_required = value,
            _ => return Err(Errno::INVAL),
        }
        Ok(())
    }
}

/// `REGISTER_RESTRICTIONS`: in force from `ENABLE_RINGS` on.
///
/// # Errors
///
/// `EBADFD`: the ring is enabled. `EBUSY`: it has restrictions. `EINVAL`, `EFAULT`.
pub(super) fn register(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    if !state.disabled {
        return Err(Errno::BADFD);
    }
    if state.settings.restrictions.is_some() {
        return Err(Errno::BUSY);
    }
    if call.addr == 0 || call.nr > MOST {
        return Err(Errno::INVAL);
    }
    let mut restrictions = Restrictions::default();
    let size = size_of::<Restriction>() as u64;
    let rules: Vec<Fields<{ size_of::<Restriction>() }>> = (0..u64::from(call.nr))
        .map(|rule| call.load_at(call.addr.wrapping_add(rule * size)))
        .collect::<Result<_, _>>()?;
    for rule in rules {
        restrictions.add(rule.u16(0), rule.u8(2))?;
    }
    state.settings.restrictions = Some(Box::new(restrictions));
    Ok(0)
}
