//! What an operation is to the driver: the entry it makes, what its result becomes, and what is done
//! with a result that nobody waits for any more.
//!
//! The implementations stand in `op/`, by topic; each owns what its entry names.
#![allow(unsafe_code, reason = "declares the contract that entries rest on")]

use annulus::squeue;

use super::table::{Completion, Leftover};

/// Something that can be submitted.
///
/// # Safety
///
/// Everything that [`Operation::entry`] names (buffers, paths, structures, descriptors) is owned by the
/// value, keeps its address when the value is moved, and is not written or freed before the value is dropped.
pub(crate) unsafe trait Operation: 'static {
    /// What the future yields.
    type Output;

    /// The entry to submit. Called once, and once more if the ring refused it and another may do it.
    fn entry(&mut self) -> squeue::Entry;

    /// The result, when the last completion is there.
    fn complete(self, completion: Completion) -> Self::Output;

    /// The future was dropped, and the operation cancelled. Called once, before the two that follow.
    fn abandoned(&mut self) {}

    /// A completion of an operation whose future was dropped. Here a result that owns something (an
    /// accepted descriptor) is given up.
    fn late(&mut self, _completion: Completion) {}

    /// The last completion of an operation whose future was dropped has come. Called once, at the end.
    fn over(&mut self) {}
}

/// An operation as what its future leaves behind.
pub(crate) struct Late<T: Operation>(pub(crate) T);

impl<T: Operation> Leftover for Late<T> {
    fn late(&mut self, completion: Completion) {
        self.0.late(completion);
    }

    fn over(&mut self) {
        self.0.over();
    }
}
