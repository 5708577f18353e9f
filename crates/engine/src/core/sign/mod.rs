//! The sign of a ring's descriptor: up while completions wait. Who turns it, and who looks again whether it is right.
//!
//! Completions are posted with the ring's lock, and taken out without it. So whoever puts the sign up looks again whether
//! they are still there, and whoever has taken them out looks whether it is up, each with a fence in between: one of the two sees
//! what the other wrote, and takes it down. Showing it is somebody else's.

mod board;
#[cfg(test)]
mod loom_tests;
mod sync;

pub(super) use board::Sign;
