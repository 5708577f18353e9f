//! The world as it is: system calls of this machine.
//!
//! Each trait of the world has its file here. None of them makes an io_uring call.

mod attributes;
mod clock;
mod direct;
mod file_work;
mod files;
mod memory;
mod paths;
mod pipes;
mod readiness;
mod sockets;
mod stamps;
mod transfer;

use rustix::io::Errno;

use self::direct::Aio;
use self::readiness::Epoll;
use super::World;

/// The machine.
#[derive(Debug)]
pub(crate) struct Host {
    epoll: Epoll,
    aio: Aio,
}

impl Host {
    /// A view of the machine with its own set of watched descriptors.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`: no descriptors for the set.
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self { epoll: Epoll::new()?, aio: Aio::default() })
    }
}

impl World for Host {}
