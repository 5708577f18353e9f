//! Buffers that a program gives to its ring: registered ones, and groups that requests pick from.

mod groups;
mod registered;
#[cfg(test)]
mod registered_tests;

pub(crate) use groups::{Batch, Groups, Picked};
pub(crate) use registered::{Buffer, Clones, IOVEC, MAX_TRANSFER, Registered, iovec};
