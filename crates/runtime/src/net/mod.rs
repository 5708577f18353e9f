//! TCP, UDP and sockets of this machine, through the ring.
//!
//! What sockets do is written once, for all protocols: [`Stream`], [`Listener`] and [`DatagramSocket`], of which
//! [`TcpStream`], [`UdpSocket`], [`UnixStream`] and the like are names.

pub(crate) mod arrivals;
mod datagram;
pub(crate) mod inbound;
mod listener;
mod lookup;
mod protocol;
mod stream;
mod tcp;
mod udp;
mod unix;

pub(crate) use stream::without_blocking;

pub use datagram::{Datagram, DatagramSocket, Datagrams, PooledDatagram};
pub use listener::{Incoming, IncomingDirect, Listener};
pub use lookup::{ToSocketAddrs, lookup_host};
pub use protocol::{
    Address, Connectionless, Direct, Ordinary, Protocol, Seqpacket, Tcp, ToAddress, Udp, Unix,
};
pub use stream::{OwnedReadHalf, OwnedWriteHalf, Receiver, ReuniteError, Stream, ZeroCopy};
pub use tcp::{ConnectOptions, DirectTcpStream, Keepalive, ListenOptions, TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{
    Credentials, DatagramWithFds, DirectUnixSeqpacket, DirectUnixStream, ReceivedFds, UnixAddr, UnixDatagram,
    UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};
