//! TCP through the ring.

pub(crate) mod inbound;
mod listener;
mod receiver;
mod stream;

pub use listener::{Incoming, ListenOptions, TcpListener};
pub use receiver::Receiver;
pub use stream::TcpStream;
