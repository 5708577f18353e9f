//! A look at every task of an executor: what each is, where it came from, what it waits for.

use std::fmt::{self, Display, Formatter};
use std::panic::Location;

use super::Id;
use crate::executor::Context;

/// Every task of an executor at one moment, in the order in which they were spawned. The root future of the run is not among
/// them; the runtime's own task, which hears of other threads, is.
///
/// It is plain data: it may be sent to another thread, printed (one line for each task), or looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dump {
    /// The tasks.
    pub tasks: Vec<TaskDump>,
}

/// One task in a [`Dump`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskDump {
    /// Its number.
    pub id: Id,
    /// Its name, if it got one ([`task::Builder`](super::Builder)).
    pub name: Option<String>,
    /// What spawned it.
    pub spawned_at: &'static Location<'static>,
    /// What it is doing.
    pub state: TaskState,
    /// How often it was polled.
    pub polls: u64,
    /// What it has in flight on the ring: opcodes (`IORING_OP_*`) and how many of each, in the order of their numbers.
    /// What a dropped future has left is in it until its last completion.
    pub operations: Vec<(u8, usize)>,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It is the one that is polled: it asked for the dump.
    Running,
    /// It was woken and waits for its turn.
    Ready,
    /// It waits for something that has not happened.
    Waiting,
}

/// Looks at every task of this thread's executor. Those of another shard are looked at there
/// ([`shard::spawn_on`](crate::shard::spawn_on)), and sent back.
///
/// # Examples
///
/// ```
/// annulus_rt::run(async {
///     annulus_rt::spawn(std::future::pending::<()>());
///     println!("{}", annulus_rt::task::dump());
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
///
/// # Panics
///
/// Outside of a runtime.
#[must_use]
pub fn dump() -> Dump {
    Context::with(Context::dump)
}

impl Display for Dump {
    /// One line for each task.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for task in &self.tasks {
            writeln!(f, "{task}")?;
        }
        Ok(())
    }
}

impl Display for TaskDump {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        write!(f, " spawned at {}: {}, {} polls", self.spawned_at, self.state, self.polls)?;
        for (opcode, count) in &self.operations {
            let known = annulus::abi::OPCODES.iter().find(|known| known.number == *opcode);
            match known {
                Some(known) => write!(f, ", {count} {}", known.name)?,
                None => write!(f, ", {count} of opcode {opcode}")?,
            }
        }
        Ok(())
    }
}

impl Display for TaskState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Waiting => "waiting",
        })
    }
}
