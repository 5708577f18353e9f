//! The world as it is: system calls of this machine.
//!
//! Each trait of the world has its file here. None of them makes an io_uring call.

mod attributes;
mod clock;
mod direct;
mod file_work;
mod files;
mod futexes;
mod memory;
mod paths;
mod pipes;
mod processes;
mod readiness;
mod sets;
mod sockets;
mod stamps;
mod transfer;
mod write_flags;

use rustix::io::Errno;

use self::direct::Aio;
use self::futexes::Waiters;
use self::readiness::Epoll;
use super::World;

/// The machine.
#[derive(Debug)]
pub(crate) struct Host {
    epoll: Epoll,
    aio: Aio,
    waiters: Waiters,
}

impl Host {
    /// A view of the machine with its own set of watched descriptors.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`: no descriptors for the set.
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self { epoll: Epoll::new()?, aio: Aio::default(), waiters: Waiters::default() })
    }
}

impl World for Host {}

impl Drop for Host {
    fn drop(&mut self) {
        self.waiters.close();
    }
}
