//! Register calls on an engine, by topic; what they answer is what Linux 6.18 was seen to answer.

mod asking;
mod resources;
mod rings;
mod settings;

use std::sync::Arc;

use annulus_abi::{Params, RegisterOp, SetupFlags};
use rustix::io::Errno;

use super::{register, register_blind};
use crate::Engine;
use crate::world::{Host, Vouched, World};

type Answer = Result<u32, Errno>;

fn engine(flags: SetupFlags) -> Engine {
    Engine::new(8, Params { flags: flags.bits(), ..Params::default() }).unwrap()
}

/// A call whose argument is these words.
fn call<T>(engine: &Engine, op: u32, arg: &mut [T], nr: u32) -> Answer {
    let arg = arg.as_mut_ptr().cast();
    register(engine.ring(), RegisterOp::from_raw(op), arg, nr, Vouched::in_tests())
}

/// A call without an argument.
fn plain(engine: &Engine, op: u32, nr: u32) -> Answer {
    register(engine.ring(), RegisterOp::from_raw(op), std::ptr::null_mut(), nr, Vouched::in_tests())
}

/// A call on no ring.
fn blind<T>(op: u32, arg: &mut [T], nr: u32) -> Answer {
    let world: Arc<dyn World> = Arc::new(Host::new().unwrap());
    let arg = if arg.is_empty() { std::ptr::null_mut() } else { arg.as_mut_ptr().cast() };
    register_blind(&world, RegisterOp::from_raw(op), arg, nr, Vouched::in_tests())
}

/// The address of something, for an argument that points to it.
fn address<T>(of: &mut [T]) -> u64 {
    of.as_mut_ptr() as u64
}

fn fd(engine: &Engine) -> u32 {
    use std::os::fd::AsRawFd;
    engine.ring().descriptor.as_ref().unwrap().as_fd().as_raw_fd().cast_unsigned()
}
