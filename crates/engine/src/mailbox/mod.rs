//! A mailbox: whoever has something for a ring leaves it here, without the ring's lock, and the ring takes it out with its next step.
//!
//! It does not wake anybody: who leaves something and wants it taken out soon says so by other means, afterwards.

#[cfg(test)]
mod loom_tests;
mod post;
mod sync;

pub(crate) use post::Mailbox;
