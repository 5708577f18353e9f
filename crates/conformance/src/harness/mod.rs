//! What cases stand on: back ends, benches, rigs, memory, needs.
//!
//! Nothing here knows a particular case. The two files with unsafe code are `rig` (pushes) and
//! `memory` (what pushed entries point to).

mod backend;
mod bench;
mod buffer_group;
mod case;
mod credentials;
mod memory;
mod need;
mod rig;
mod watchdog;

pub use backend::{BackendUnderTest, Setup, backends};
pub use bench::Bench;
pub use buffer_group::BufferGroup;
pub use case::{Case, Mode, Modes, Outcome, trials};
pub use credentials::personality_of_nobody;
pub use memory::{Buffer, Kept, address, message, path, with_descriptor};
pub use need::{Need, Skip};
pub use rig::Rig;
pub use watchdog::Watch;

pub(crate) use case::cases;
