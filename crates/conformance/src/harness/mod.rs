//! What cases stand on: back ends, benches, rigs, memory, needs.
//!
//! Nothing here knows a particular case. The two files with unsafe code are `rig` (pushes) and
//! `memory` (what pushed entries point to).

mod backend;
mod bench;
mod case;
mod memory;
mod need;
mod rig;
mod watchdog;

pub use backend::{BackendUnderTest, Setup, backends};
pub use bench::Bench;
pub use case::{Case, Mode, Modes, Outcome, trials};
pub use memory::{Buffer, Kept, address, path};
pub use need::{Need, Skip};
pub use rig::Rig;
pub use watchdog::Watch;

pub(crate) use case::cases;
