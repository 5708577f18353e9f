//! Child processes, whose ends are waited for and whose standard streams are read and written through the ring.
//!
//! A child is watched by a pidfd(2) that the ring polls, or by waitid(2) on the ring where there is none: no handler of
//! `SIGCHLD` is needed, and nobody else's children are touched. The status is taken by one waitpid(2) that does not wait, when the child has
//! ended, so that a wait that is dropped loses nothing. A child that is dropped before it was waited for leaves no zombie: a
//! thread, which exists only while there are such children, waits for them.

mod child;
mod command;
mod output;
mod reaper;
mod stdio;

pub use std::process::{ExitStatus, Output, Stdio};

pub use child::Child;
pub use command::Command;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout};
