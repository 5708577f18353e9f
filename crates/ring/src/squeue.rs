//! Entries of the submission queue: what an operation looks like once it is built.
//!
//! An [`Entry`] is the kernel's `struct io_uring_sqe` and nothing else: `repr(transparent)`, `Copy`,
//! every field readable and writable. The builders of [`opcode`](crate::opcode) make them, or
//! [`opcode::Raw`](crate::opcode::Raw) does for an operation this crate has never heard of.
//!
//! Deliberately not here: keeping alive what an entry points to. An entry is plain data; the promise
//! is made where it is pushed (`unsafe`), or kept by an operation that owns its memory
//! ([`owned`](crate::owned)).

use std::fmt;

use annulus_abi::{Slot, Sqe, Sqe128};
use bitflags::bitflags;

use crate::debug;

pub use crate::submission::{PushError, SubmissionQueue};

mod sealed {
    #[allow(unnameable_types, reason = "which is what seals the traits that need it")]
    pub trait Sealed {}
}

/// What a submission queue can hold: [`Entry`] (64 bytes) or [`Entry128`] (128 bytes).
///
/// Both are plain data with exactly the kernel's layout, so a queue copies them into its slots as
/// they are. Sealed: the kernel knows no third size.
pub trait EntryMarker: Slot + From<Entry> + sealed::Sealed {
    /// The set-up flags that a ring of this entry needs: 0, or `IORING_SETUP_SQE128`.
    const BUILD_FLAGS: u32;

    /// Sets the value that the completion gives back.
    fn set_user_data(&mut self, user_data: u64);

    /// The value that the completion gives back.
    fn get_user_data(&self) -> u64;

    /// The kernel's view of the (first) 64 bytes.
    fn sqe(&self) -> &Sqe;

    /// The kernel's view of the (first) 64 bytes, to change what no builder covers.
    fn sqe_mut(&mut self) -> &mut Sqe;
}

/// A submission queue entry of 64 bytes: one request.
///
/// ```
/// use annulus::{opcode, squeue, types};
///
/// let path = c"/etc/hostname";
/// let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr())
///     .flags(libc::O_RDONLY)
///     .build()
///     .flags(squeue::Flags::IO_LINK)
///     .user_data(0x42);
/// assert_eq!(open.get_user_data(), 0x42);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Entry(pub(crate) Sqe);

/// A submission queue entry of 128 bytes, for rings set up with `IORING_SETUP_SQE128`.
///
/// [`opcode::UringCmd80`](crate::opcode::UringCmd80) builds one; every [`Entry`] converts into one.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Entry128(pub(crate) Sqe128);

bitflags! {
    /// `IOSQE_*`: how a request is issued and ordered (io_uring_enter(2)).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Flags: u8 {
        /// `fd` is an index of the registered files. Set by the builders that are given a
        /// [`types::Fixed`](crate::types::Fixed). Linux 5.1.
        #[doc(hidden)]
        const FIXED_FILE = 1 << 0;
        /// Start only after everything submitted before has completed, and hold back everything
        /// submitted after. Linux 5.2.
        const IO_DRAIN = 1 << 1;
        /// The next entry of the same submission starts when this one has succeeded. A short read or
        /// write breaks the chain as an error does: what follows ends with `ECANCELED`. Linux 5.3.
        const IO_LINK = 1 << 2;
        /// As [`IO_LINK`](Self::IO_LINK), but the chain survives a bad result. It does not survive an
        /// entry that the kernel refuses to read. Linux 5.5.
        const IO_HARDLINK = 1 << 3;
        /// Go to a worker thread at once instead of trying inline first: for what is known to block.
        /// Linux 5.6.
        const ASYNC = 1 << 4;
        /// Take a buffer of the group `buf_group` when there is data, and name it in the completion
        /// ([`cqueue::buffer_select`](crate::cqueue::buffer_select)). `ENOBUFS` if the group is empty.
        /// Linux 5.7.
        const BUFFER_SELECT = 1 << 5;
        /// Post no completion if the request succeeds. After the first such entry `IO_DRAIN` fails with
        /// `EOPNOTSUPP` on that ring. Linux 5.17.
        const SKIP_SUCCESS = 1 << 6;
    }
}

impl From<Flags> for annulus_abi::SqeFlags {
    fn from(flags: Flags) -> Self {
        Self::from_bits_retain(flags.bits())
    }
}

impl From<annulus_abi::SqeFlags> for Flags {
    fn from(flags: annulus_abi::SqeFlags) -> Self {
        Self::from_bits_retain(flags.bits())
    }
}

/// The methods that both sizes of entry share.
macro_rules! entry {
    ($Entry:ident, $build_flags:expr) => {
        impl $Entry {
            /// Adds `IOSQE_*` flags to those already set.
            #[must_use]
            #[inline]
            pub const fn flags(mut self, flags: Flags) -> Self {
                self.sqe_mut().flags |= flags.bits();
                self
            }

            /// Removes all `IOSQE_*` flags, also those that the builder set
            /// (`FIXED_FILE`, `BUFFER_SELECT`).
            #[must_use]
            #[inline]
            pub const fn clear_flags(mut self) -> Self {
                self.sqe_mut().flags = 0;
                self
            }

            /// Sets the value that the completion gives back.
            #[must_use]
            #[inline]
            pub const fn user_data(mut self, user_data: u64) -> Self {
                self.sqe_mut().user_data = user_data;
                self
            }

            /// Sets the credentials to use: what
            /// [`Submitter::register_personality`](crate::Submitter::register_personality) returned, or 0
            /// for those of the submitter. Linux 5.6.
            #[must_use]
            #[inline]
            pub const fn personality(mut self, personality: u16) -> Self {
                self.sqe_mut().personality = personality;
                self
            }

            /// The number of the operation: one of the `IORING_OP_*`.
            #[must_use]
            #[inline]
            pub const fn get_opcode(&self) -> u32 {
                self.sqe().opcode as u32
            }

            /// The `IOSQE_*` flags.
            #[must_use]
            #[inline]
            pub const fn get_flags(&self) -> Flags {
                Flags::from_bits_retain(self.sqe().flags)
            }

            /// Replaces the `IOSQE_*` flags.
            #[inline]
            pub const fn set_flags(&mut self, flags: Flags) {
                self.sqe_mut().flags = flags.bits();
            }

            fields! {
                /// The value that the completion gives back.
                get_user_data, set_user_data: user_data, u64;
                /// The file descriptor, or the index of a registered file.
                get_fd, set_fd: fd, i32;
                /// The request's priority (ioprio_set(2)), or flags of the operation such as
                /// `IORING_RECVSEND_*`.
                get_ioprio, set_ioprio: ioprio, u16;
                /// The file offset; also `addr2`, and `cmd_op` in its first half.
                get_off, set_off: off, u64;
                /// The address of a buffer or structure.
                get_addr, set_addr: addr, u64;
                /// A length in bytes, or a count.
                get_len, set_len: len, u32;
                /// The operation's own flags: `rw_flags`, `msg_flags`, `open_flags`, ...
                get_op_flags, set_op_flags: op_flags, u32;
                /// The index of a registered buffer, or the buffer group with `BUFFER_SELECT`.
                get_buf_index, set_buf_index: buf_index, u16;
                /// The registered credentials to use, or 0.
                get_personality, set_personality: personality, u16;
                /// `file_index` (slot + 1, or `IORING_FILE_INDEX_ALLOC`), `splice_fd_in`, `optlen`, ...
                get_file_index, set_file_index: file_index, u32;
                /// A third address: `addr3`, `optval`, `attr_ptr`.
                get_addr3, set_addr3: addr3, u64;
            }
        }

        impl sealed::Sealed for $Entry {}

        impl EntryMarker for $Entry {
            const BUILD_FLAGS: u32 = $build_flags;

            #[inline]
            fn set_user_data(&mut self, user_data: u64) {
                $Entry::set_user_data(self, user_data);
            }

            #[inline]
            fn get_user_data(&self) -> u64 {
                $Entry::get_user_data(self)
            }

            #[inline]
            fn sqe(&self) -> &Sqe {
                $Entry::sqe(self)
            }

            #[inline]
            fn sqe_mut(&mut self) -> &mut Sqe {
                $Entry::sqe_mut(self)
            }
        }
    };
}

/// A getter and a setter for each field of the kernel's structure.
macro_rules! fields {
    ($( $(#[$doc:meta])* $get:ident, $set:ident: $field:ident, $T:ty; )*) => { $(
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub const fn $get(&self) -> $T {
            self.sqe().$field
        }

        $(#[$doc])*
        #[inline]
        pub const fn $set(&mut self, value: $T) {
            self.sqe_mut().$field = value;
        }
    )* };
}

entry!(Entry, 0);
entry!(Entry128, annulus_abi::SetupFlags::SQE128.bits());

impl Entry {
    /// The kernel's view of the entry.
    #[must_use]
    #[inline]
    pub const fn sqe(&self) -> &Sqe {
        &self.0
    }

    /// The kernel's view of the entry, to change what no builder covers.
    #[must_use]
    #[inline]
    pub const fn sqe_mut(&mut self) -> &mut Sqe {
        &mut self.0
    }
}

impl Entry128 {
    /// The kernel's view of the first 64 bytes.
    #[must_use]
    #[inline]
    pub const fn sqe(&self) -> &Sqe {
        &self.0.base
    }

    /// The kernel's view of the first 64 bytes, to change what no builder covers.
    #[must_use]
    #[inline]
    pub const fn sqe_mut(&mut self) -> &mut Sqe {
        &mut self.0.base
    }

    /// The second 64 bytes: the end of a command's 80 bytes, zero otherwise.
    #[must_use]
    pub const fn extra(&self) -> &[u8; 64] {
        &self.0.extra
    }

    /// The second 64 bytes, to change them.
    #[must_use]
    pub const fn extra_mut(&mut self) -> &mut [u8; 64] {
        &mut self.0.extra
    }
}

impl From<Sqe> for Entry {
    fn from(sqe: Sqe) -> Self {
        Self(sqe)
    }
}

impl From<Entry> for Sqe {
    fn from(entry: Entry) -> Self {
        entry.0
    }
}

impl From<Sqe128> for Entry128 {
    fn from(sqe: Sqe128) -> Self {
        Self(sqe)
    }
}

impl From<Entry128> for Sqe128 {
    fn from(entry: Entry128) -> Self {
        entry.0
    }
}

impl From<Entry> for Entry128 {
    #[inline]
    fn from(entry: Entry) -> Self {
        Self(entry.0.into())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug::sqe_fields(&mut f.debug_struct("Entry"), &self.0).finish()
    }
}

impl fmt::Debug for Entry128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Entry128");
        debug::sqe_fields(&mut out, &self.0.base);
        if self.0.extra != [0; 64] {
            out.field("extra", &self.0.extra);
        }
        out.finish()
    }
}

const _: () = {
    assert!(size_of::<Entry>() == 64 && align_of::<Entry>() == align_of::<Sqe>());
    assert!(size_of::<Entry128>() == 128 && align_of::<Entry128>() == align_of::<Sqe128>());
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_added_and_cleared_as_a_whole() {
        let entry = Entry::from(Sqe::new(0)).flags(Flags::IO_LINK).flags(Flags::ASYNC);
        assert_eq!(entry.sqe().flags, 0b1_0100);
        assert_eq!(entry.clear_flags().get_flags(), Flags::empty());
    }

    #[test]
    fn a_wide_entry_keeps_the_narrow_one_in_front_and_zeroes_the_rest() {
        let wide = Entry128::from(Entry::from(Sqe::new(9)).user_data(7).personality(3));
        assert_eq!((wide.get_opcode(), wide.get_user_data(), wide.get_personality()), (9, 7, 3));
        assert_eq!(wide.extra(), &[0; 64]);
    }

    #[test]
    fn debug_names_the_operation_and_hides_what_is_zero() {
        let mut entry = Entry::from(Sqe::new(22)).flags(Flags::IO_LINK | Flags::ASYNC).user_data(10);
        entry.set_fd(5);
        entry.set_len(512);
        entry.set_addr(0x1000);
        assert_eq!(
            format!("{entry:?}"),
            "Entry { opcode: READ, fd: 5, flags: IO_LINK | ASYNC, len: 512, addr: 0x1000, user_data: 0xa }"
        );
        let unknown = Entry::from(Sqe::new(250));
        assert_eq!(format!("{unknown:?}"), "Entry { opcode: 250, fd: 0, user_data: 0x0 }");
    }

    #[test]
    fn every_entry_says_which_ring_it_needs() {
        assert_eq!(<Entry as EntryMarker>::BUILD_FLAGS, 0);
        assert_eq!(<Entry128 as EntryMarker>::BUILD_FLAGS, 1 << 10);
    }
}
