//! What an operation works on: a descriptor of the process, or a slot of the ring's file table.

use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

mod sealed {
    #[allow(unnameable_types, reason = "which is what seals the traits that need it")]
    pub trait Sealed {}
}

/// A descriptor of the process. It must stay open, and stay the same file, from push until the
/// operation has been submitted; the kernel then holds its own reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Fd(pub RawFd);

/// A slot of the ring's file table, registered with `Submitter::register_files` or filled by an
/// operation that was given a [`DestinationSlot`]. Saves the kernel the look-up in the process's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Fixed(pub u32);

/// Either kind, for programs that decide while they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A descriptor of the process.
    Fd(RawFd),
    /// A slot of the ring's file table.
    Fixed(u32),
}

/// What can name a directory or a second descriptor: [`Fd`], nothing else, because the kernel looks only
/// into the process's table there.
pub trait UseFd: Sized + sealed::Sealed {
    /// The descriptor's number.
    #[doc(hidden)]
    fn raw_fd(self) -> RawFd;
}

/// What most operations can work on: [`Fd`], [`Fixed`] or [`Target`].
pub trait UseFixed: Sized + sealed::Sealed {
    /// Which of both it is.
    #[doc(hidden)]
    fn target(self) -> Target;
}

impl sealed::Sealed for Fd {}
impl sealed::Sealed for Fixed {}
impl sealed::Sealed for Target {}

impl UseFd for Fd {
    #[inline]
    fn raw_fd(self) -> RawFd {
        self.0
    }
}

impl UseFixed for Fd {
    #[inline]
    fn target(self) -> Target {
        Target::Fd(self.0)
    }
}

impl UseFixed for Fixed {
    #[inline]
    fn target(self) -> Target {
        Target::Fixed(self.0)
    }
}

impl UseFixed for Target {
    #[inline]
    fn target(self) -> Self {
        self
    }
}

impl From<BorrowedFd<'_>> for Fd {
    fn from(fd: BorrowedFd<'_>) -> Self {
        Self(fd.as_raw_fd())
    }
}

/// Where in the ring's file table an operation puts the file that it makes, instead of giving it a
/// descriptor of the process. Linux 5.15, [`auto_target`](Self::auto_target) since 5.19.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationSlot {
    /// As the kernel counts: the slot's number plus one, or `IORING_FILE_INDEX_ALLOC`.
    dest: NonZeroU32,
}

impl DestinationSlot {
    /// `IORING_FILE_INDEX_ALLOC`.
    const AUTO_ALLOC: NonZeroU32 = NonZeroU32::MAX;

    /// A free slot that the kernel picks; the completion's result is its number. `ENFILE` if none is free.
    #[must_use]
    pub const fn auto_target() -> Self {
        Self { dest: Self::AUTO_ALLOC }
    }

    /// The slot of this number; a file that is there already is replaced.
    ///
    /// # Errors
    ///
    /// Gives `target` back if it is above `u32::MAX - 2`: the kernel counts from one and keeps the
    /// highest number for [`auto_target`](Self::auto_target).
    pub const fn try_from_slot_target(target: u32) -> Result<Self, u32> {
        match target.checked_add(1) {
            Some(above) if above < Self::AUTO_ALLOC.get() => match NonZeroU32::new(above) {
                Some(dest) => Ok(Self { dest }),
                None => Err(target),
            },
            _ => Err(target),
        }
    }

    /// The number as `sqe.file_index` takes it.
    #[inline]
    pub(crate) const fn kernel_index_arg(self) -> u32 {
        self.dest.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_counted_from_one_and_the_highest_two_numbers_are_refused() {
        let slot =
            |target| DestinationSlot::try_from_slot_target(target).map(DestinationSlot::kernel_index_arg);
        assert_eq!(slot(0), Ok(1));
        assert_eq!(slot(u32::MAX - 2), Ok(u32::MAX - 1));
        assert_eq!(slot(u32::MAX - 1), Err(u32::MAX - 1));
        assert_eq!(slot(u32::MAX), Err(u32::MAX));
        assert_eq!(DestinationSlot::auto_target().kernel_index_arg(), u32::MAX);
    }
}
