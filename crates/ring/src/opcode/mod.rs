//! Operations: one builder for each, in the style of the `io-uring` crate.
//!
//! `new` takes what an operation cannot be without, setters add the rest, `build` gives the
//! [`squeue::Entry`](crate::squeue::Entry) to push. A builder writes straight into the entry, so it costs
//! nothing that the entry would not.
//!
//! What an entry points to must stay valid as long as the operation needs it: buffers and whatever the
//! kernel writes until the last completion; paths, addresses, times and vectors that it only reads, until
//! the entry has been submitted (`IORING_FEAT_SUBMIT_STABLE`, Linux 5.5; with SQPOLL until it was
//! consumed). The builders cannot check that: pushing is `unsafe`. [`owned`](crate::owned) has operations
//! that own what they point to.
//!
//! Results: what the system call named in each description returns, or a negated errno. Every operation
//! may end with `EINVAL` where the kernel does not have it or a field has no meaning to it, and with
//! `ECANCELED` where a link broke before it or a cancel took it.
//!
//! An operation that this crate has never heard of is built by [`Raw`].

#![allow(
    clippy::too_long_first_doc_paragraph,
    reason = "what an operation does and its manual page go together"
)]

mod buffers;
mod cancel;
mod command;
mod epoll;
mod file;
mod futex;
mod message;
mod nop;
mod path;
mod pipe;
mod poll;
mod process;
mod raw;
mod read;
mod recv;
mod send;
mod send_zc;
mod sockcmd;
mod socket;
mod timeout;
mod write;
mod xattr;

pub use buffers::{ProvideBuffers, RemoveBuffers};
pub use cancel::{AsyncCancel, AsyncCancel2};
pub use command::{BlockDiscard, BlockZoneResetAll, UringCmd16, UringCmd80, UringCmd128};
pub use epoll::{EpollCtl, EpollWait};
pub use file::{
    Close, Fadvise, Fallocate, FilesUpdate, FixedFdInstall, Fsync, Ftruncate, Madvise, SyncFileRange,
};
pub use futex::{FutexWait, FutexWaitV, FutexWake};
pub use message::{MsgRingData, MsgRingSendFd};
pub use nop::{Nop, Nop128};
pub use path::{LinkAt, MkDirAt, OpenAt, OpenAt2, RenameAt, Statx, SymlinkAt, UnlinkAt};
pub use pipe::{Pipe, Splice, Tee};
pub use poll::{PollAdd, PollRemove, PollUpdate};
pub use process::WaitId;
pub use raw::Raw;
pub use read::{Read, ReadFixed, ReadMulti, Readv, ReadvFixed};
pub use recv::{Recv, RecvBundle, RecvMsg, RecvMsgMulti, RecvMulti, RecvMultiBundle, RecvZc};
pub use send::{Send, SendBundle, SendMsg, SendVectored};
pub use send_zc::{SendMsgZc, SendZc, SendZcVectored};
pub use sockcmd::{GetSockName, GetSockOpt, SetSockOpt, SiocInq, SiocOutq, TxTimestamp};
pub use socket::{Accept, AcceptMulti, Bind, Connect, Listen, Shutdown, Socket};
pub use timeout::{LinkTimeout, Timeout, TimeoutRemove, TimeoutUpdate};
pub use write::{Write, WriteFixed, Writev, WritevFixed};
pub use xattr::{FGetXattr, FSetXattr, GetXattr, SetXattr};

use annulus_abi::Sqe;

use crate::squeue::Flags;
use crate::types::{DestinationSlot, Target, UseFixed};

/// Defines a builder: a documented struct around an entry, `CODE`, `new`, the setters and `build`. The
/// bodies get the entry under the name that they give it, and write into it.
macro_rules! operation {
    (
        $(#[$doc:meta])*
        pub struct $Op:ident($Sqe:ident => $Entry:ident): $code:ident;

        $(#[$new_doc:meta])*
        pub fn new($sqe:ident $(, $arg:ident: $Arg:ty)* $(,)?) $new:block

        $(
            $(#[$setter_doc:meta])*
            pub const fn $setter:ident($entry:ident, $value:ident: $Value:ty) $set:block
        )*
    ) => {
        $(#[$doc])*
        #[derive(Clone)]
        #[must_use = "an operation does nothing until it is built and pushed"]
        pub struct $Op(annulus_abi::$Sqe);

        impl $Op {
            /// The operation's number, for [`Probe::is_supported`](crate::Probe::is_supported).
            pub const CODE: u8 = annulus_abi::$code;

            $(#[$new_doc])*
            #[inline]
            pub fn new($($arg: $Arg),*) -> Self {
                let mut entry = annulus_abi::$Sqe::from(annulus_abi::Sqe::new(Self::CODE));
                let $sqe = &mut entry;
                $new
                Self(entry)
            }

            $(
                $(#[$setter_doc])*
                #[inline]
                pub const fn $setter(mut self, $value: $Value) -> Self {
                    let $entry = &mut self.0;
                    $set
                    self
                }
            )*

            /// The entry to push.
            #[must_use]
            #[inline]
            pub const fn build(self) -> crate::squeue::$Entry {
                crate::squeue::$Entry(self.0)
            }
        }

        impl std::fmt::Debug for $Op {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($Op)).field(&crate::squeue::$Entry(self.0)).finish()
            }
        }
    };
    (
        $(#[$doc:meta])*
        pub struct $Op:ident: $code:ident;
        $($rest:tt)*
    ) => {
        crate::opcode::operation! {
            $(#[$doc])*
            pub struct $Op(Sqe => Entry): $code;
            $($rest)*
        }
    };
}

use operation;

/// The address of what an entry points to.
#[inline]
fn address<T: ?Sized>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// Names the file that an operation works on.
#[inline]
fn set_target(sqe: &mut Sqe, fd: impl UseFixed) {
    match fd.target() {
        Target::Fd(fd) => sqe.fd = fd,
        Target::Fixed(index) => {
            sqe.fd = index.cast_signed();
            sqe.flags |= Flags::FIXED_FILE.bits();
        }
    }
}

/// Takes a buffer of a group instead of naming one.
#[inline]
const fn select_buffer(sqe: &mut Sqe, buf_group: u16) {
    sqe.flags |= Flags::BUFFER_SELECT.bits();
    sqe.buf_index = buf_group;
}

/// `sqe.file_index` of an operation that makes a file.
#[inline]
const fn file_index(slot: Option<DestinationSlot>) -> u32 {
    match slot {
        Some(slot) => slot.kernel_index_arg(),
        None => 0,
    }
}
