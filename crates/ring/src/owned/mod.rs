//! Operations that own what they point to, and a ring that is safe to submit them to.
//!
//! An entry of the queue is an address and a length; whoever pushes one promises that the memory stays.
//! Here the promise is kept by construction: an [`Operation`] owns its buffers, paths and addresses, and holds
//! its file open; an [`OwnedRing`] keeps it, at one place, until the last completion, and only then gives it
//! back, with the result. A ring that is full gives it back at once ([`Refused`]). A ring that is dropped
//! cancels what is in flight and waits for it; what does not come back is leaked, never freed.
//!
//! ```
//! use annulus::owned::{Handle, Open, OwnedRing, Read};
//!
//! # fn main() -> std::io::Result<()> {
//! let mut ring = OwnedRing::new(8)?;
//! let file = Handle::from(ring.run(Open::new(c"Cargo.toml"))??);
//!
//! // Two reads at once, each with a buffer of its own.
//! let head = ring.push(Read::new(&file, vec![0; 16])).unwrap();
//! let rest = ring.push(Read::new(&file, vec![0; 16]).offset(16)).unwrap();
//! let (length, text) = ring.wait_for(head)?;
//! assert_eq!((length?, text.len()), (16, 16));
//! let (length, _) = ring.wait_for(rest)?;
//! assert_eq!(length?, 16);
//! # Ok(())
//! # }
//! ```
//!
//! Deliberately not here: buffers of the ring (registered, provided) and slots of its file table other than by
//! number, whose lifetimes are the ring's own affair; and `async`, which `annulus-rt` builds in its own way.
//!
//! Completions are recognised by their user data, into which each ring mixes a random number: what somebody
//! else posts on it (a `MSG_RING` of another ring) is passed over.
#![allow(unsafe_code, reason = "declares what an operation must keep")]

mod buffer;
mod file;
mod handle;
mod message;
mod path;
mod poll;
mod ring;
mod socket;
mod table;
mod timeout;
mod transfer;
mod vectored;
mod zero_copy;

pub use buffer::{Buffer, BufferMut, Buffers, BuffersMut};
pub use file::{Advise, Allocate, Close, CloseSlot, Nop, Shutdown, Splice, Sync, SyncRange, Truncate};
pub use handle::{Directory, Handle};
pub use message::{Received, RecvMsg, SendMsg};
pub use path::{HardLink, MakeDir, Open, Rename, Statx, Symlink, Unlink};
pub use poll::{Poll, PollMulti};
pub use ring::{OwnedRing, Refused};
pub use socket::{Accept, AcceptMulti, Bind, Connect, Listen, Socket};
pub use table::{Key, Ticket};
pub use timeout::{LinkTimeout, Timeout};
pub use transfer::{Read, Recv, Send, Write};
pub use vectored::{Readv, Writev};
pub use zero_copy::SendZc;

use crate::{cqueue, squeue};

/// An operation that owns everything its entry points to.
///
/// # Safety
///
/// Implementers keep, for as long as the value is neither moved nor dropped:
///
/// - What the entry names is memory of the value's own (in itself or on the heap), or lives forever. The
///   kernel may read it, and write it if the operation writes, until the last completion.
/// - Neither [`more`](Self::more) nor [`items`](Self::items) nor [`drop_items`](Self::drop_items) nor a method of [`Multishot`] touches what the
///   kernel may write.
/// - The operation posts a completion without `IORING_CQE_F_MORE` at its end, and none after it: no
///   `SKIP_SUCCESS`. Nor does it reach beyond itself: it takes no provided buffer, provides none, and posts
///   nothing on other rings.
pub unsafe trait Operation: std::marker::Send + 'static {
    /// What comes of it: the result, and the memory.
    type Output;

    /// The entry to submit. Called once, when the value has come to the place where it stays.
    fn entry(&mut self) -> squeue::Entry;

    /// Takes note of a completion that is not the last one.
    ///
    /// # Safety
    ///
    /// `cqe` is a completion of this value's entry, with `IORING_CQE_F_MORE`.
    unsafe fn more(&mut self, cqe: &cqueue::Entry) {
        let _ = cqe;
    }

    /// How many items of a [`Multishot`] wait to be taken.
    fn items(&self) -> usize {
        0
    }

    /// Drops what completions so far have brought: nobody will take it any more
    /// ([`OwnedRing::detach`]).
    fn drop_items(&mut self) {}

    /// Makes the result of the last completion.
    ///
    /// # Safety
    ///
    /// `cqe` is the last completion of this value's entry.
    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output;
}

/// An operation that posts several completions, each of which means something by itself.
pub trait Multishot: Operation {
    /// What one completion brings.
    type Item;

    /// The oldest item that has not been taken yet.
    fn take_item(&mut self) -> Option<Self::Item>;
}

/// Defines an operation without memory: a handle or two and some numbers. Its result is a number.
macro_rules! plain_operation {
    (
        $(#[$doc:meta])*
        pub struct $Op:ident { $($field:ident: $Field:ty),* $(,)? }
        entry($self:ident) $entry:block
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $Op { $($field: $Field),* }

        // SAFETY: the entry names no memory, only files, which the fields hold.
        unsafe impl crate::owned::Operation for $Op {
            type Output = Result<u32, rustix::io::Errno>;

            fn entry(&mut $self) -> crate::squeue::Entry $entry

            unsafe fn complete(self, cqe: &crate::cqueue::Entry) -> Self::Output {
                cqe.to_result()
            }
        }
    };
}

use plain_operation;
