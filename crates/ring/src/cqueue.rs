//! Entries of the completion queue: what came of a request.
//!
//! [`Entry`] is the kernel's `struct io_uring_cqe`. Its words are there as they are (`result()`,
//! `flags()`), and read: [`Entry::to_result`] makes a `Result` of the one, [`Entry::cqe_flags`] and the
//! questions beside it read the other.

use std::fmt;

use annulus_abi::{CqConsumer, Cqe, Cqe32, Slot};
use rustix::io::Errno;

use crate::debug;

pub use crate::completion::{CompletionQueue, CompletionStatus};
pub use crate::mixed::EntryMixed;
pub use annulus_abi::CqeFlags;

pub(crate) mod sealed {
    #[allow(unnameable_types, reason = "which is what seals the traits that need it")]
    pub trait Sealed {}
}

/// What a completion queue can hold: [`Entry`] (16 bytes), [`Entry32`] (32 bytes), or both sizes side by side
/// ([`EntryMixed`]).
///
/// The first two are plain data with exactly the kernel's layout. Sealed: the kernel knows no third size.
pub trait EntryMarker: Copy + fmt::Debug + Into<Entry> + sealed::Sealed + 'static {
    /// The set-up flags that a ring of this entry needs: 0, `IORING_SETUP_CQE32` or `IORING_SETUP_CQE_MIXED`.
    const BUILD_FLAGS: u32;

    /// What lies in the queue, as [`CompletionQueue::ready`] shows it.
    type Slot: Slot;

    /// Takes the oldest entry out of the queue.
    #[doc(hidden)]
    fn take(end: &mut CqConsumer<'_, Self::Slot>) -> Option<Self>;

    /// The oldest of the entries that are `ready`, left where it is.
    #[doc(hidden)]
    fn first(ready: &[Self::Slot]) -> Option<Self>;

    /// What the request carried.
    fn user_data(&self) -> u64;

    /// Replaces the user data, say by that of the program that this entry is passed on to.
    fn set_user_data(&mut self, user_data: u64);

    /// The kernel's view of the (first) 16 bytes.
    fn cqe(&self) -> &Cqe;
}

/// A completion queue entry of 16 bytes: one result.
///
/// ```
/// use annulus::cqueue;
///
/// let cqe: cqueue::Entry = annulus::abi::Cqe { user_data: 7, res: -2, flags: 0 }.into();
/// assert_eq!(cqe.user_data(), 7);
/// assert_eq!(cqe.result(), -libc::ENOENT);
/// assert_eq!(cqe.to_result(), Err(rustix::io::Errno::NOENT));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Entry(pub(crate) Cqe);

/// A completion queue entry of 32 bytes, for rings set up with `IORING_SETUP_CQE32`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Entry32(pub(crate) Cqe32);

/// The methods that both sizes of entry share.
macro_rules! entry {
    ($Entry:ident, $build_flags:expr) => {
        impl $Entry {
            /// The result as the kernel gave it: what the system call would have returned, or a
            /// negated errno.
            #[must_use]
            #[inline]
            pub const fn result(&self) -> i32 {
                self.cqe().res
            }

            /// What the request carried.
            #[must_use]
            #[inline]
            pub const fn user_data(&self) -> u64 {
                self.cqe().user_data
            }

            /// Replaces the user data.
            #[inline]
            pub const fn set_user_data(&mut self, user_data: u64) {
                self.cqe_mut().user_data = user_data;
            }

            /// The flag word as the kernel gave it; see [`cqe_flags`](Self::cqe_flags).
            #[must_use]
            #[inline]
            pub const fn flags(&self) -> u32 {
                self.cqe().flags
            }

            /// The result, with errors apart.
            ///
            /// # Errors
            ///
            /// The operation's errno. The kernel's own results never lie below -4095, but a request may
            /// carry any number ([`opcode::Nop::inject_result`](crate::opcode::Nop::inject_result),
            /// [`opcode::MsgRingData`](crate::opcode::MsgRingData)): what is no errno becomes
            /// `EOVERFLOW`, and [`result`](Self::result) still has the number.
            #[inline]
            pub const fn to_result(&self) -> Result<u32, Errno> {
                to_result(self.cqe().res)
            }

            /// The flags, typed. Bits that have no name (a buffer's number) are kept.
            #[must_use]
            #[inline]
            pub const fn cqe_flags(&self) -> CqeFlags {
                CqeFlags::from_bits_retain(self.cqe().flags)
            }

            /// The provided buffer that was used, if one was. Linux 5.7.
            #[must_use]
            #[inline]
            pub const fn buffer_id(&self) -> Option<u16> {
                buffer_select(self.cqe().flags)
            }

            /// Whether more completions of the same request follow. A multishot request whose
            /// completion says no has ended and must be submitted again. Linux 5.13.
            #[must_use]
            #[inline]
            pub const fn has_more(&self) -> bool {
                more(self.cqe().flags)
            }

            /// Whether the buffer named by [`buffer_id`](Self::buffer_id) stays with the kernel because
            /// more of it will be filled (incremental buffer rings). Linux 6.12.
            #[must_use]
            #[inline]
            pub const fn has_buffer_more(&self) -> bool {
                buffer_more(self.cqe().flags)
            }

            /// Whether the socket had more to read when this was posted. Linux 5.19.
            #[must_use]
            #[inline]
            pub const fn is_socket_nonempty(&self) -> bool {
                sock_nonempty(self.cqe().flags)
            }

            /// Whether this is the second completion of a zero-copy send: the buffer is free again.
            /// Linux 6.0.
            #[must_use]
            #[inline]
            pub const fn is_notification(&self) -> bool {
                notif(self.cqe().flags)
            }

            /// Whether a notification reports that the data was copied after all, for a send that asked
            /// with `IORING_SEND_ZC_REPORT_USAGE`. Linux 6.2.
            #[must_use]
            #[inline]
            pub const fn is_notification_of_copy(&self) -> bool {
                self.is_notification() && self.cqe().res == i32::MIN
            }

            /// Whether this entry is only the filling of a mixed ring's end and means nothing. Linux 6.18.
            #[must_use]
            #[inline]
            pub const fn is_skip(&self) -> bool {
                self.cqe_flags().contains(CqeFlags::SKIP)
            }

            /// Whether this entry of a mixed ring is 32 bytes long. Linux 6.18.
            #[must_use]
            #[inline]
            pub const fn is_wide(&self) -> bool {
                self.cqe_flags().contains(CqeFlags::F_32)
            }
        }

        impl sealed::Sealed for $Entry {}

        impl EntryMarker for $Entry {
            const BUILD_FLAGS: u32 = $build_flags;

            type Slot = Self;

            #[inline]
            fn take(end: &mut CqConsumer<'_, Self>) -> Option<Self> {
                end.pop()
            }

            #[inline]
            fn first(ready: &[Self]) -> Option<Self> {
                ready.first().copied()
            }

            #[inline]
            fn user_data(&self) -> u64 {
                $Entry::user_data(self)
            }

            #[inline]
            fn set_user_data(&mut self, user_data: u64) {
                $Entry::set_user_data(self, user_data);
            }

            #[inline]
            fn cqe(&self) -> &Cqe {
                $Entry::cqe(self)
            }
        }
    };
}

entry!(Entry, 0);
entry!(Entry32, annulus_abi::SetupFlags::CQE32.bits());

impl Entry {
    /// The kernel's view of the entry.
    #[must_use]
    #[inline]
    pub const fn cqe(&self) -> &Cqe {
        &self.0
    }

    const fn cqe_mut(&mut self) -> &mut Cqe {
        &mut self.0
    }
}

impl Entry32 {
    /// The kernel's view of the first 16 bytes.
    #[must_use]
    #[inline]
    pub const fn cqe(&self) -> &Cqe {
        &self.0.base
    }

    const fn cqe_mut(&mut self) -> &mut Cqe {
        &mut self.0.base
    }

    /// The second 16 bytes: what the operation defines, such as a time stamp
    /// ([`types::TxTimestamp`](crate::types::TxTimestamp)).
    #[must_use]
    #[inline]
    pub const fn big_cqe(&self) -> &[u64; 2] {
        &self.0.extra
    }
}

impl From<Cqe> for Entry {
    fn from(cqe: Cqe) -> Self {
        Self(cqe)
    }
}

impl From<Cqe32> for Entry32 {
    fn from(cqe: Cqe32) -> Self {
        Self(cqe)
    }
}

impl From<Entry32> for Entry {
    fn from(entry: Entry32) -> Self {
        Self(entry.0.base)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug::cqe_fields(&mut f.debug_struct("Entry"), &self.0).finish()
    }
}

impl fmt::Debug for Entry32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug::cqe_fields(&mut f.debug_struct("Entry32"), &self.0.base)
            .field("big_cqe", &self.0.extra)
            .finish()
    }
}

/// See [`Entry::to_result`].
pub(crate) const fn to_result(res: i32) -> Result<u32, Errno> {
    match res {
        0.. => Ok(res.cast_unsigned()),
        -4095..0 => Err(Errno::from_raw_os_error(-res)),
        _ => Err(Errno::OVERFLOW),
    }
}

/// Whether the buffer that the flags name stays with the kernel because more of it will be filled
/// (`IORING_CQE_F_BUF_MORE`, buffer rings with `IOU_PBUF_RING_INC`). Linux 6.12.
#[must_use]
#[inline]
pub const fn buffer_more(flags: u32) -> bool {
    CqeFlags::from_bits_retain(flags).contains(CqeFlags::BUF_MORE)
}

/// The provided buffer that the flags name (`IORING_CQE_F_BUFFER`). Linux 5.7.
#[must_use]
#[inline]
pub const fn buffer_select(flags: u32) -> Option<u16> {
    CqeFlags::from_bits_retain(flags).buffer_id()
}

/// Whether more completions of the same request follow (`IORING_CQE_F_MORE`). Linux 5.13.
#[must_use]
#[inline]
pub const fn more(flags: u32) -> bool {
    CqeFlags::from_bits_retain(flags).contains(CqeFlags::MORE)
}

/// Whether the socket had more to read (`IORING_CQE_F_SOCK_NONEMPTY`; receives only). Linux 5.19.
#[must_use]
#[inline]
pub const fn sock_nonempty(flags: u32) -> bool {
    CqeFlags::from_bits_retain(flags).contains(CqeFlags::SOCK_NONEMPTY)
}

/// Whether this is the notification of a zero-copy send (`IORING_CQE_F_NOTIF`). Linux 6.0.
#[must_use]
#[inline]
pub const fn notif(flags: u32) -> bool {
    CqeFlags::from_bits_retain(flags).contains(CqeFlags::NOTIF)
}

const _: () = {
    assert!(size_of::<Entry>() == 16 && align_of::<Entry>() == align_of::<Cqe>());
    assert!(size_of::<Entry32>() == 32 && align_of::<Entry32>() == align_of::<Cqe32>());
};

#[cfg(test)]
mod tests {
    use super::*;

    fn cqe(res: i32, flags: u32) -> Entry {
        Entry(Cqe { user_data: 7, res, flags })
    }

    #[test]
    fn a_result_is_a_number_or_an_errno_and_never_a_panic() {
        assert_eq!(cqe(0, 0).to_result(), Ok(0));
        assert_eq!(cqe(i32::MAX, 0).to_result(), Ok(2_147_483_647));
        assert_eq!(cqe(-1, 0).to_result(), Err(Errno::PERM));
        assert_eq!(cqe(-4095, 0).to_result(), Err(Errno::from_raw_os_error(4095)));
        assert_eq!(cqe(-4096, 0).to_result(), Err(Errno::OVERFLOW));
        assert_eq!(cqe(i32::MIN, 0).to_result(), Err(Errno::OVERFLOW));
    }

    #[test]
    fn flags_are_read_bit_by_bit() {
        let entry = cqe(64, 0x0003_0003);
        assert_eq!(entry.buffer_id(), Some(3));
        assert!(entry.has_more() && !entry.is_notification() && !entry.has_buffer_more());
        assert_eq!(cqe(0, 0x0003_0002).buffer_id(), None);
        assert!(cqe(0, 1 << 2).is_socket_nonempty());
        assert!(cqe(0, 1 << 3).is_notification());
        assert!(cqe(0, 1 << 4).has_buffer_more());
        assert!(cqe(0, 1 << 5).is_skip());
        assert!(cqe(0, 1 << 15).is_wide());
        assert!(cqe(i32::MIN, 1 << 3).is_notification_of_copy());
        assert!(!cqe(0, 1 << 3).is_notification_of_copy());
    }

    #[test]
    fn debug_names_flags_and_errno() {
        assert_eq!(
            format!("{:?}", cqe(12, 0x0003_0003)),
            "Entry { result: 12, flags: BUFFER | MORE, buffer_id: 3, user_data: 0x7 }"
        );
        let missing = format!("{:?}", cqe(-2, 0));
        assert!(missing.contains("2") && missing.contains("user_data: 0x7"), "{missing}");
        assert_eq!(format!("{:?}", cqe(-5000, 0)), "Entry { result: -5000, user_data: 0x7 }");
    }

    #[test]
    fn a_wide_entry_has_the_narrow_one_in_front() {
        let mut wide = Entry32(Cqe32 { base: Cqe { user_data: 1, res: 2, flags: 3 }, extra: [4, 5] });
        wide.set_user_data(9);
        assert_eq!(wide.big_cqe(), &[4, 5]);
        assert_eq!(Entry::from(wide), Entry(Cqe { user_data: 9, res: 2, flags: 3 }));
        assert_eq!(<Entry32 as EntryMarker>::BUILD_FLAGS, 1 << 11);
    }
}
