//! Which sockets a stream, a listener or a socket of datagrams is of, and what addresses look like there.
//!
//! Types without values: what differs between TCP and the sockets of this machine is decided when a program is
//! compiled, and everything else is written once.

use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg as _;
use rustix::net::{SocketAddrAny, SocketAddrUnix};

use super::{DatagramSocket, Stream};

/// Sockets of one kind: [`Tcp`], [`Unix`], [`Seqpacket`], [`Udp`] or [`Direct`] ones.
pub trait Protocol: Debug + 'static {
    /// What their addresses are.
    type Address: Address;
    /// What a [`Listener`](super::Listener) of them accepts: a [`Stream`], or, where connections have messages, a
    /// [`DatagramSocket`].
    type Connection: codec::Accepted + Debug + 'static;
}

/// Those that have a descriptor of the process, so that their options can be asked for and set at once.
pub trait Ordinary: Protocol {
    /// What [`Listener::incoming_direct`](super::Listener::incoming_direct) accepts.
    type DirectConnection: codec::Accepted + Debug + 'static;
}

/// Those of which each message may go to another address: [`Udp`] and [`Unix`], as sockets of datagrams.
pub trait Connectionless: Ordinary {}

/// Connections over a network (tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {}

/// Sockets between processes of this machine (unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unix {}

/// Connections between processes of this machine that have messages (`SOCK_SEQPACKET` of unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seqpacket {}

/// Datagrams over a network (udp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Udp {}

/// Those that are kept in the ring's own table of files, without a descriptor of the process; see
/// [`Listener::incoming_direct`](super::Listener::incoming_direct).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direct<P>(PhantomData<P>);

impl Protocol for Tcp {
    type Address = SocketAddr;
    type Connection = Stream<Self>;
}

impl Protocol for Unix {
    type Address = UnixAddr;
    type Connection = Stream<Self>;
}

impl Protocol for Seqpacket {
    type Address = UnixAddr;
    type Connection = DatagramSocket<Self>;
}

impl Protocol for Udp {
    type Address = SocketAddr;
    type Connection = DatagramSocket<Self>;
}

impl<P: Ordinary> Protocol for Direct<P> {
    type Address = P::Address;
    type Connection = P::DirectConnection;
}

impl Ordinary for Tcp {
    type DirectConnection = Stream<Direct<Self>>;
}

impl Ordinary for Unix {
    type DirectConnection = Stream<Direct<Self>>;
}

impl Ordinary for Seqpacket {
    type DirectConnection = DatagramSocket<Direct<Self>>;
}

impl Ordinary for Udp {
    type DirectConnection = DatagramSocket<Direct<Self>>;
}

impl Connectionless for Udp {}
impl Connectionless for Unix {}

/// The address of a socket: [`std::net::SocketAddr`], or [`std::os::unix::net::SocketAddr`] (a path, an abstract name,
/// or none).
pub trait Address: codec::Codec + ToAddress<Self> + Clone + Debug + 'static {}

impl Address for SocketAddr {}
impl Address for UnixAddr {}

/// What can be said for the address of a socket of the kind `A`. Names of machines are not among it, as resolving
/// them takes its time: [`lookup_host`](super::lookup_host).
pub trait ToAddress<A> {
    /// The address.
    ///
    /// # Errors
    ///
    /// `ErrorKind::InvalidInput` for a path that is too long (108 bytes) or has a zero byte in it.
    fn to_address(&self) -> io::Result<A>;
}

impl<A, T: ToAddress<A> + ?Sized> ToAddress<A> for &T {
    fn to_address(&self) -> io::Result<A> {
        (**self).to_address()
    }
}

impl ToAddress<Self> for SocketAddr {
    fn to_address(&self) -> io::Result<Self> {
        Ok(*self)
    }
}

impl<I: Copy + Into<std::net::IpAddr>> ToAddress<SocketAddr> for (I, u16) {
    fn to_address(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::new(self.0.into(), self.1))
    }
}

impl ToAddress<Self> for UnixAddr {
    fn to_address(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl ToAddress<UnixAddr> for Path {
    fn to_address(&self) -> io::Result<UnixAddr> {
        UnixAddr::from_pathname(self)
    }
}

impl ToAddress<UnixAddr> for std::path::PathBuf {
    fn to_address(&self) -> io::Result<UnixAddr> {
        UnixAddr::from_pathname(self)
    }
}

impl ToAddress<UnixAddr> for str {
    fn to_address(&self) -> io::Result<UnixAddr> {
        UnixAddr::from_pathname(self)
    }
}

impl ToAddress<UnixAddr> for String {
    fn to_address(&self) -> io::Result<UnixAddr> {
        UnixAddr::from_pathname(self)
    }
}

/// How addresses are told to the system, which nobody else needs to know.
pub(crate) mod codec {
    use super::{Errno, SocketAddrAny, io};
    use crate::fd::SharedFd;

    #[allow(unnameable_types, reason = "which is what seals the traits that need it")]
    pub trait Accepted {
        /// The connection that this file is.
        #[allow(private_interfaces, reason = "nobody else can call it")]
        fn accepted(fd: SharedFd) -> Self;
    }

    #[allow(unnameable_types, reason = "which is what seals the trait that needs it")]
    pub trait Codec: Sized {
        /// As the system takes it.
        fn encode(&self) -> io::Result<SocketAddrAny>;
        /// As the system tells it.
        fn decode(address: SocketAddrAny) -> Result<Self, Errno>;
        /// As the system tells it, if it does.
        fn decode_some(address: Option<SocketAddrAny>) -> Result<Self, Errno>;
    }
}

impl codec::Codec for SocketAddr {
    fn encode(&self) -> io::Result<SocketAddrAny> {
        Ok(self.as_any())
    }

    fn decode(address: SocketAddrAny) -> Result<Self, Errno> {
        Self::try_from(address)
    }

    fn decode_some(address: Option<SocketAddrAny>) -> Result<Self, Errno> {
        Self::decode(address.ok_or(Errno::AFNOSUPPORT)?)
    }
}

impl codec::Codec for UnixAddr {
    fn encode(&self) -> io::Result<SocketAddrAny> {
        let address = if let Some(path) = self.as_pathname() {
            SocketAddrUnix::new(path)?
        } else if let Some(name) = self.as_abstract_name() {
            SocketAddrUnix::new_abstract_name(name)?
        } else {
            SocketAddrUnix::new_unnamed()
        };
        Ok(address.as_any())
    }

    fn decode(address: SocketAddrAny) -> Result<Self, Errno> {
        // Of a socket without a name, some calls tell the family alone, and some not even that.
        let Ok(address) = SocketAddrUnix::try_from(address) else {
            return Self::from_pathname("").map_err(|_| Errno::INVAL);
        };
        // One without a name is read as one with an empty abstract name.
        let made = if let Some(name) = address.abstract_name().filter(|name| !name.is_empty()) {
            Self::from_abstract_name(name)
        } else {
            let path = address.path_bytes().unwrap_or_default();
            let path = path.strip_suffix(&[0]).unwrap_or(path);
            Self::from_pathname(std::ffi::OsStr::from_bytes(path))
        };
        made.map_err(|_| Errno::INVAL)
    }

    fn decode_some(address: Option<SocketAddrAny>) -> Result<Self, Errno> {
        match address {
            Some(address) => Self::decode(address),
            // Of who has no name, nothing is told.
            None => Self::from_pathname("").map_err(|_| Errno::INVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<A: Address>(address: &A) -> A {
        A::decode(address.encode().unwrap()).unwrap()
    }

    #[test]
    fn every_address_comes_back_as_it_was() {
        for address in ["127.0.0.1:80", "[::1]:443", "[fe80::1%7]:9"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(there_and_back(&address), address);
        }
        let path = UnixAddr::from_pathname("/run/annulus.sock").unwrap();
        assert_eq!(there_and_back(&path).as_pathname(), Some(Path::new("/run/annulus.sock")));
        let name = UnixAddr::from_abstract_name(b"annulus\0name").unwrap();
        assert_eq!(there_and_back(&name).as_abstract_name(), Some(&b"annulus\0name"[..]));
        assert!(there_and_back(&UnixAddr::from_pathname("").unwrap()).is_unnamed());
    }

    #[test]
    fn paths_and_pairs_can_stand_for_addresses() {
        let address: SocketAddr = (std::net::Ipv4Addr::LOCALHOST, 80).to_address().unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:80");
        let path: UnixAddr = "/run/a".to_address().unwrap();
        assert_eq!(path.as_pathname(), Some(Path::new("/run/a")));
        let long: io::Result<UnixAddr> = "x".repeat(200).to_address();
        assert_eq!(long.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
