//! Which requests to cancel.

use annulus_abi::CancelFlags;

use super::{Target, UseFixed};

/// Which requests to cancel, by user data, file, operation, or all there are: for
/// [`opcode::AsyncCancel2`](crate::opcode::AsyncCancel2) and `Submitter::register_sync_cancel`.
///
/// Without [`all`](Self::all) the first match is cancelled, and which one is first is the kernel's
/// choice. Keys added with `and_*` must hold together.
///
/// ```
/// use annulus::types::{CancelBuilder, Fd, Fixed};
/// use annulus::opcode;
///
/// CancelBuilder::any(); // everything in flight
/// CancelBuilder::user_data(42); // the first with this user data
/// CancelBuilder::fd(Fd(5)).all(); // everything on this file
/// CancelBuilder::fd(Fixed(0)).and_op(opcode::Recv::CODE); // a receive on that slot
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelBuilder {
    pub(crate) flags: CancelFlags,
    pub(crate) user_data: Option<u64>,
    pub(crate) fd: Option<Target>,
    pub(crate) opcode: Option<u8>,
}

impl CancelBuilder {
    const fn matching(flags: CancelFlags) -> Self {
        Self { flags, user_data: None, fd: None, opcode: None }
    }

    /// Every request in flight. Takes no further key. Linux 5.19.
    #[must_use]
    pub const fn any() -> Self {
        Self::matching(CancelFlags::ANY)
    }

    /// The first request with this user data.
    #[must_use]
    pub const fn user_data(user_data: u64) -> Self {
        let mut builder = Self::matching(CancelFlags::empty());
        builder.user_data = Some(user_data);
        builder
    }

    /// The first request on this file. It is the file that counts, not the number: requests that came in
    /// by another descriptor of the same open file match too. Linux 5.19, [`Fixed`](super::Fixed) since 6.0.
    #[must_use]
    pub fn fd(fd: impl UseFixed) -> Self {
        Self::matching(CancelFlags::empty()).and_fd(fd)
    }

    /// The first request of this operation, named by its `CODE`. Linux 6.6.
    #[must_use]
    pub const fn op(opcode: u8) -> Self {
        Self::matching(CancelFlags::empty()).and_op(opcode)
    }

    /// And on this file.
    #[must_use]
    pub fn and_fd(mut self, fd: impl UseFixed) -> Self {
        let target = fd.target();
        let fixed = matches!(target, Target::Fixed(_));
        self.flags |= CancelFlags::FD;
        self.flags.set(CancelFlags::FD_FIXED, fixed);
        self.fd = Some(target);
        self.with_user_data_flag()
    }

    /// And of this operation, named by its `CODE`. Linux 6.6.
    #[must_use]
    pub const fn and_op(mut self, opcode: u8) -> Self {
        self.flags = self.flags.union(CancelFlags::OP);
        self.opcode = Some(opcode);
        self.with_user_data_flag()
    }

    /// And with this user data. Linux 6.6.
    #[must_use]
    pub const fn and_user_data(mut self, user_data: u64) -> Self {
        self.user_data = Some(user_data);
        self.with_user_data_flag()
    }

    /// Every match instead of the first; the completion's result is then their number. Linux 5.19.
    #[must_use]
    pub const fn all(mut self) -> Self {
        self.flags = self.flags.union(CancelFlags::ALL);
        self
    }

    /// User data is the kernel's key when there is no other; beside another it must be asked for.
    const fn with_user_data_flag(mut self) -> Self {
        let other = CancelFlags::FD.union(CancelFlags::OP);
        if self.user_data.is_some() && self.flags.intersects(other) {
            self.flags = self.flags.union(CancelFlags::USERDATA);
        }
        self
    }

    /// `sqe.fd`, or `fd` of a synchronous cancel: -1 without a file.
    pub(crate) fn to_fd(&self) -> i32 {
        match self.fd {
            Some(Target::Fd(fd)) => fd,
            Some(Target::Fixed(index)) => index.cast_signed(),
            None => -1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Fd, Fixed};

    #[test]
    fn each_key_sets_its_flag() {
        let cases = [
            (CancelBuilder::any(), 1 << 2, -1),
            (CancelBuilder::user_data(42), 0, -1),
            (CancelBuilder::user_data(42).all(), 1, -1),
            (CancelBuilder::fd(Fd(5)), 1 << 1, 5),
            (CancelBuilder::fd(Fixed(6)).all(), 1 << 1 | 1 << 3 | 1, 6),
            (CancelBuilder::op(27), 1 << 5, -1),
        ];
        for (builder, flags, fd) in cases {
            assert_eq!((builder.flags.bits(), builder.to_fd()), (flags, fd), "{builder:?}");
        }
    }

    #[test]
    fn user_data_beside_another_key_is_asked_for_in_either_order() {
        let asked = 1 << 4;
        assert_eq!(CancelBuilder::user_data(1).and_op(27).flags.bits(), 1 << 5 | asked);
        assert_eq!(CancelBuilder::op(27).and_user_data(1).flags.bits(), 1 << 5 | asked);
        assert_eq!(CancelBuilder::user_data(1).and_fd(Fd(3)).flags.bits(), 1 << 1 | asked);
        assert_eq!(CancelBuilder::op(27).and_fd(Fd(3)).flags.bits(), 1 << 1 | 1 << 5);
    }
}
