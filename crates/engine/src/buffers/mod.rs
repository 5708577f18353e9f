//! Buffers that a program gives to its ring: registered ones, and groups that requests pick from.

mod groups;

pub(crate) use groups::{Batch, Groups, Picked};

/// The registered buffers.
#[derive(Debug, Default)]
pub(crate) struct Registered {}

impl Registered {
    /// Whether there is a buffer of this number.
    pub(crate) fn has(&self, index: u16) -> bool {
        let _ = index;
        false
    }
}
