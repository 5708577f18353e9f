//! The memory that a read fills or a write empties, in its five forms.

use annulus_abi::{self as abi, Sqe, SqeFlags};
use rustix::io::Errno;

use super::ReadWrite;
use crate::buffers::{IOVEC, MAX_TRANSFER, iovec};
use crate::op::{Context, Prepare};
use crate::world::{Elements, Span};

/// The most buffers that a list has (`UIO_MAXIOV`).
const LONGEST_LIST: u32 = 1024;

/// Where bytes go, or come from.
#[derive(Debug)]
pub(super) enum Memory {
    /// One piece.
    Plain(Span),
    /// Several, one after the other.
    List(Box<[Span]>),
    /// A piece of a registered buffer.
    Fixed { span: Span, index: u16 },
    /// Several pieces of a registered buffer.
    FixedList { list: Box<[Span]>, index: u16 },
    /// A buffer of a group, cut to `wanted` (0: all of it).
    Group { group: u16, wanted: usize },
}

impl Memory {
    pub(super) fn prepare(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Self, Errno> {
        let len = usize::try_from(sqe.len).unwrap_or(usize::MAX);
        let select = SqeFlags::from_bits_retain(sqe.flags).contains(SqeFlags::BUFFER_SELECT);
        match sqe.opcode {
            abi::IORING_OP_READ_FIXED | abi::IORING_OP_WRITE_FIXED => {
                Ok(Self::Fixed { span: cx.vouched.span(sqe.addr, len), index: sqe.buf_index })
            }
            abi::IORING_OP_READV_FIXED | abi::IORING_OP_WRITEV_FIXED => {
                Ok(Self::FixedList { list: load_list(sqe, cx)?.into(), index: sqe.buf_index })
            }
            abi::IORING_OP_READV | abi::IORING_OP_WRITEV if select => {
                if sqe.len != 1 {
                    return Err(Errno::INVAL);
                }
                let one = load_list(sqe, cx)?[0];
                Ok(Self::Group { group: sqe.buf_index, wanted: one.len() })
            }
            abi::IORING_OP_READV | abi::IORING_OP_WRITEV => {
                let list = clamped(load_list(sqe, cx)?)?;
                Ok(if let [one] = list[..] { Self::Plain(one) } else { Self::List(list.into()) })
            }
            _ if select => Ok(Self::Group { group: sqe.buf_index, wanted: len }),
            _ => {
                let span = cx.vouched.span(sqe.addr, len.min(MAX_TRANSFER));
                check_address(span)?;
                Ok(Self::Plain(span))
            }
        }
    }
}

impl ReadWrite {
    /// Looks the registered buffer up, holds it, and checks that all pieces lie in it. Only the first time: a request keeps the
    /// buffer that it found.
    pub(super) fn fixed(&mut self, cx: &Context<'_>, index: u16, pieces: &[Span]) -> Result<(), Errno> {
        if self.buffer.is_some() {
            return Ok(());
        }
        let buffer = cx.tables.buffers.get(index)?;
        let is_list = matches!(self.memory, Memory::FixedList { .. });
        let mut total = 0_usize;
        for piece in pieces {
            buffer.span(piece.addr(), piece.len(), cx.vouched)?;
            if is_list && piece.len() == 0 {
                return Err(Errno::FAULT);
            }
            total = total.checked_add(piece.len()).ok_or(Errno::OVERFLOW)?;
        }
        if is_list && total > MAX_TRANSFER {
            return Err(Errno::INVAL);
        }
        self.buffer = Some(std::sync::Arc::clone(buffer));
        Ok(())
    }
}

/// All bytes of a list.
pub(super) fn total(list: &[Span]) -> usize {
    list.iter().map(|span| span.len()).sum()
}

/// What is left of a list without its first bytes.
pub(super) fn skip(list: &[Span], mut count: usize) -> Vec<Span> {
    let mut rest = Vec::with_capacity(list.len());
    for span in list {
        let skipped = count.min(span.len());
        count -= skipped;
        if skipped < span.len() {
            rest.push(span.part(skipped, usize::MAX));
        }
    }
    rest
}

/// The list of `struct iovec` that an entry points to.
fn load_list(sqe: &Sqe, cx: &Prepare<'_>) -> Result<Vec<Span>, Errno> {
    if sqe.len > LONGEST_LIST {
        return Err(Errno::INVAL);
    }
    let count = usize::try_from(sqe.len).unwrap_or(usize::MAX);
    let mut list = Elements::<IOVEC>::new(cx.world, cx.vouched, sqe.addr, count);
    let one = |place| {
        let (addr, len) = iovec(&list.get(place)?)?;
        Ok(cx.vouched.span(addr, len))
    };
    (0..count).map(one).collect()
}

/// As much of a list as one call may move.
fn clamped(list: Vec<Span>) -> Result<Vec<Span>, Errno> {
    let mut left = MAX_TRANSFER;
    let cut = |span: Span| {
        check_address(span)?;
        let span = span.part(0, left);
        left -= span.len();
        Ok(span)
    };
    list.into_iter().map(cut).collect()
}

/// Refuses what can be no address of a program; whether there is memory is found out by the call.
fn check_address(span: Span) -> Result<(), Errno> {
    match span.addr().checked_add(span.len() as u64) {
        Some(end) if i64::try_from(end).is_ok() => Ok(()),
        _ => Err(Errno::FAULT),
    }
}
