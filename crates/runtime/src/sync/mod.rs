//! What tasks, also of several shards, agree by.

mod shutdown;

pub use shutdown::{Guard, Shutdown};
