//! What the operations take beside their fields: flags, commands and structures, by topic.

mod control;
mod file;
mod futex;
mod net;

pub use control::*;
pub use file::*;
pub use futex::*;
pub use net::*;
