//! UDP: how sockets come to be, and their options. Sending and receiving is in `datagram/`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use super::DatagramSocket;
use super::protocol::Udp;
use crate::buf::{BufResult, IoBuf};
use crate::driver::Op;
use crate::driver::op::control::Control;
use crate::driver::op::parts::One;
use crate::driver::op::socket::SetOption;

/// A UDP socket; see [`DatagramSocket`] for sending and receiving.
///
/// Options for which there is no method can be reached with the `socket2` crate (`SockRef::from(&socket)`), and a
/// socket that was set up with it becomes one of these by way of [`std::net::UdpSocket`].
pub type UdpSocket = DatagramSocket<Udp>;

impl UdpSocket {
    /// A socket on an address; port 0 is any free one. None of the calls blocks, so they are made at once.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and bind(2): `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EMFILE`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::bound(address, false)
    }

    /// As [`bind`](Self::bind), and several sockets may share the address: the system distributes the datagrams among
    /// them by sender (`SO_REUSEPORT`), as among the shards of a server.
    ///
    /// # Errors
    ///
    /// Those of [`bind`](Self::bind).
    pub fn bind_shared(address: SocketAddr) -> io::Result<Self> {
        Self::bound(address, true)
    }

    fn bound(address: SocketAddr, shared: bool) -> io::Result<Self> {
        let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let fd = net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(ipproto::UDP))?;
        if shared {
            sockopt::set_socket_reuseport(&fd, true)?;
        }
        net::bind(&fd, &address)?;
        Ok(Self::from_owned(fd))
    }

    /// Sends a buffer as many datagrams of `segment` bytes each, of which the last may be shorter, by one call
    /// (`UDP_SEGMENT`): to an address, or to the peer that was connected to. At most 64 of them (128 in newer systems).
    ///
    /// # Errors
    ///
    /// Those of sendmsg(2): `EINVAL` for a segment of 0 bytes, longer than the path takes, or too many of them; `EMSGSIZE`;
    /// `EBUSY` if too many operations are in flight.
    pub async fn send_segments<B: IoBuf>(
        &self,
        buf: B,
        segment: u16,
        to: Option<SocketAddr>,
    ) -> BufResult<usize, B> {
        let control = Control::segments(segment);
        let (sent, one) = self.send_message(One::new(buf), to.as_ref(), control).await;
        (sent, one.into_inner())
    }

    /// Whether the system may put datagrams of the same length and sender together (`UDP_GRO`): one receive then brings
    /// many, and [`Datagram::segment`](super::Datagram::segment) says how long each is. Give it buffers of 64 KiB.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2); `EOPNOTSUPP` before Linux 6.7.
    pub async fn set_gro(&self, on: bool) -> io::Result<()> {
        Op::new(SetOption::new(self.fd.clone(), libc::SOL_UDP, libc::UDP_GRO, i32::from(on))).await
    }

    /// Whether it may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_broadcast(&self.fd, on)?)
    }

    /// Whether it may.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(sockopt::socket_broadcast(&self.fd)?)
    }

    /// Over how many routers what is sent may go (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_ttl(&self.fd, ttl)?)
    }

    /// Over how many routers what is sent may go.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(sockopt::ip_ttl(&self.fd)?)
    }

    /// Receives what is sent to a group, on the interface of this address; the unspecified one leaves the choice to
    /// the system (`IP_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `EINVAL` for an address that is none of a group, `ENODEV`, `EADDRINUSE`.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_add_membership(&self.fd, &group, &interface)?)
    }

    /// Receives it no longer.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `EADDRNOTAVAIL` if the group was not joined.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_drop_membership(&self.fd, &group, &interface)?)
    }

    /// Receives what is sent to a group, on the interface of this number; 0 leaves the choice to the system
    /// (`IPV6_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `EINVAL` for an address that is none of a group, `ENODEV`, `EADDRINUSE`.
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        Ok(sockopt::set_ipv6_add_membership(&self.fd, &group, interface)?)
    }

    /// Receives it no longer.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `EADDRNOTAVAIL` if the group was not joined.
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        Ok(sockopt::set_ipv6_drop_membership(&self.fd, &group, interface)?)
    }

    /// Whether what it sends to a group comes back to this machine (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_loop(&self.fd, on)?)
    }

    /// Whether what it sends to a group comes back to this machine (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_ipv6_multicast_loop(&self.fd, on)?)
    }

    /// Over how many routers what is sent to a group may go (`IP_MULTICAST_TTL`); 1 is none, and the default.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_ttl(&self.fd, ttl)?)
    }

    /// The interface, by its address, that sends to groups (`IP_MULTICAST_IF`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `EADDRNOTAVAIL`.
    pub fn set_multicast_interface_v4(&self, interface: Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_if(&self.fd, &interface)?)
    }
}

impl From<std::net::UdpSocket> for UdpSocket {
    /// Takes over a socket, blocking or not.
    fn from(socket: std::net::UdpSocket) -> Self {
        Self::from_owned(OwnedFd::from(socket))
    }
}
