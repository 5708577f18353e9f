//! Tasks: starting them with a name, waiting for them, aborting them, sets of them, values of their own, and a look at all of
//! them.
//!
//! What runs them is the executor; what is here is what a program holds in its hands. A task stays on its executor's
//! thread; its waker and its [`AbortHandle`] may leave it.

mod builder;
mod dump;
mod error;
mod handle;
mod id;
pub(crate) mod local;
mod origin;
mod set;

pub use builder::Builder;
pub use dump::{Dump, TaskDump, TaskState, dump};
pub use error::JoinError;
pub use handle::{AbortHandle, JoinHandle};
pub use id::{Id, id, try_id};
pub use local::{AccessError, LocalKey};
pub use set::JoinSet;

pub(crate) use origin::Origin;

pub use crate::blocking::spawn_blocking;
pub use crate::spawn::{spawn, try_spawn, yield_now};
pub use crate::task_local;
