//! `FSETXATTR`, `SETXATTR`, `FGETXATTR` and `GETXATTR`: one call of a worker each.
//!
//! As in Linux, their failures do not break a chain.

use std::ffi::CString;
use std::os::fd::RawFd;

use annulus_abi::{self as abi, Sqe};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::paths::{load_path, refuse_slot};
use super::uninterrupted;
use crate::op::{Context, Operation, Outcome, Prepare, Step, Work};
use crate::pool::{Interrupt, Lane};
use crate::world::{Bearer, Span, World};

/// The longest name, its end included.
const NAME_MAX: usize = 256;
/// The longest value.
const VALUE_MAX: usize = 65_536;

/// What is done to an attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// Of this path; of the request's file if there is none.
    path: Option<CString>,
    name: CString,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Get(Span),
    Set { bytes: Vec<u8>, flags: u32 },
}

impl Attribute {
    /// Reads the entry of one of these opcodes.
    ///
    /// # Errors
    ///
    /// `EBADF` for a path with `IOSQE_FIXED_FILE`. `EINVAL` for unknown flags. `ERANGE`: no name, or too long a one. `E2BIG`: too long a
    /// value. `EFAULT`, and those of a path.
    pub(crate) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let sets = matches!(sqe.opcode, abi::IORING_OP_FSETXATTR | abi::IORING_OP_SETXATTR);
        let by_path = matches!(sqe.opcode, abi::IORING_OP_GETXATTR | abi::IORING_OP_SETXATTR);
        if by_path {
            refuse_slot(sqe)?;
        }
        if sets && XattrFlags::from_bits(sqe.op_flags).is_none_or(|flags| !known().contains(flags)) {
            return Err(Errno::INVAL);
        }
        let name = load_name(cx, sqe.addr)?;
        let len = usize::try_from(sqe.len).unwrap_or(usize::MAX);
        let value = if sets {
            Value::Set { bytes: load_value(cx, sqe.off, len)?, flags: sqe.op_flags }
        } else {
            Value::Get(cx.vouched.span(sqe.off, len))
        };
        let path = if by_path { Some(load_path(cx, sqe.addr3, false)?) } else { None };
        Ok(Self { path, name, value })
    }

    fn call(&self, world: &dyn World, fd: RawFd) -> Result<usize, Errno> {
        let bearer = self.path.as_ref().map_or(Bearer::File(fd), |path| Bearer::Path(path));
        match &self.value {
            Value::Get(into) => world.attribute(bearer, &self.name, *into),
            Value::Set { bytes, flags } => world.set_attribute(bearer, &self.name, bytes, *flags).map(|()| 0),
        }
    }
}

impl Operation for Attribute {
    fn attempt(&mut self, _: &mut Context<'_>) -> Step {
        Step::Block(Work { lane: Lane::Bounded, hash: None })
    }

    fn block(&mut self, world: &dyn World, fd: RawFd, interrupt: &Interrupt) -> Result<u32, Errno> {
        let len = uninterrupted(interrupt, || self.call(world, fd))?;
        Ok(u32::try_from(len).unwrap_or(u32::MAX))
    }

    fn settle(&mut self, _: &mut Context<'_>, result: Result<u32, Errno>) -> Step {
        Step::Done(Outcome::lenient(result))
    }
}

const fn known() -> XattrFlags {
    XattrFlags::CREATE.union(XattrFlags::REPLACE)
}

fn load_name(cx: &Prepare<'_>, addr: u64) -> Result<CString, Errno> {
    match cx.world.load_string(cx.vouched.span(addr, NAME_MAX), NAME_MAX) {
        Ok(name) if !name.is_empty() => Ok(name),
        Ok(_) | Err(Errno::NAMETOOLONG) => Err(Errno::RANGE),
        Err(errno) => Err(errno),
    }
}

fn load_value(cx: &Prepare<'_>, addr: u64, len: usize) -> Result<Vec<u8>, Errno> {
    if len > VALUE_MAX {
        return Err(Errno::TOOBIG);
    }
    let mut bytes = vec![0; len];
    cx.world.load(cx.vouched.span(addr, len), &mut bytes)?;
    Ok(bytes)
}
