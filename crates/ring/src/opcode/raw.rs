//! An operation of any number, field by field.

use annulus_abi::Sqe;

use super::set_target;
use crate::squeue::{Entry, Entry128};
use crate::types::UseFixed;

/// An operation that has no builder here, because it is newer than this crate or private to a kernel:
/// every field of the entry, by the name of its most common use.
///
/// ```
/// use annulus::{opcode, types};
///
/// // What `opcode::Read::new(Fd(0), buf, 64).offset(4096)` builds.
/// let mut buf = [0u8; 64];
/// let read = opcode::Raw::new(22)
///     .target(types::Fd(0))
///     .addr(buf.as_mut_ptr() as u64)
///     .len(64)
///     .off(4096)
///     .build();
/// let usual = opcode::Read::new(types::Fd(0), buf.as_mut_ptr(), 64).offset(4096).build();
/// assert_eq!(read, usual);
/// ```
#[derive(Clone, Debug)]
#[must_use = "an operation does nothing until it is built and pushed"]
pub struct Raw(Sqe);

/// Setters of one field each.
macro_rules! fields {
    ($( $(#[$doc:meta])* $field:ident: $T:ty; )*) => { $(
        $(#[$doc])*
        #[inline]
        pub const fn $field(mut self, $field: $T) -> Self {
            self.0.$field = $field;
            self
        }
    )* };
}

impl Raw {
    /// An entry of this number, everything else zero.
    #[inline]
    pub const fn new(opcode: u8) -> Self {
        Self(Sqe::new(opcode))
    }

    /// Sets the file to work on, and the flag that says so if it is a slot of the ring's table.
    #[inline]
    pub fn target(mut self, fd: impl UseFixed) -> Self {
        set_target(&mut self.0, fd);
        self
    }

    fields! {
        /// Sets the descriptor field to any number.
        fd: i32;
        /// Sets the priority, or flags of the operation such as `IORING_RECVSEND_*`.
        ioprio: u16;
        /// Sets the file offset; also `addr2`.
        off: u64;
        /// Sets the address of a buffer or structure.
        addr: u64;
        /// Sets a length in bytes, or a count.
        len: u32;
        /// Sets the operation's own flags: `rw_flags`, `msg_flags`, `open_flags`, ...
        op_flags: u32;
        /// Sets the index of a registered buffer, or the buffer group.
        buf_index: u16;
        /// Sets `file_index`, `splice_fd_in`, `optlen`, ...
        file_index: u32;
        /// Sets a third address: `addr3`, `optval`, `attr_ptr`.
        addr3: u64;
        /// Sets the last eight bytes: `attr_type_mask`, or the end of a command of 16 bytes.
        pad2: u64;
    }

    /// The entry to push.
    #[must_use]
    #[inline]
    pub const fn build(self) -> Entry {
        Entry(self.0)
    }

    /// The entry to push on a ring whose entries have 128 bytes, with these in its second half.
    #[must_use]
    #[inline]
    pub const fn build128(self, extra: [u8; 64]) -> Entry128 {
        Entry128(annulus_abi::Sqe128 { base: self.0, extra })
    }
}
