//! How many refer to a task: counted in a plain number by its own thread, in an atomic one by the others.
//!
//! It frees nothing: it tells who was the last.

#[cfg(test)]
mod loom_tests;
mod references;
mod sync;

pub(super) use references::{Elsewhere, Here};
