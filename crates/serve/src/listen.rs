//! The listening sockets: one per shard on the same address, among which the kernel spreads connections.
//!
//! It accepts nothing. What it keeps true: an address on which another program listens is refused, although
//! `SO_REUSEPORT` would let a second server of the same user slip in beside the first.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Connections that may wait in the kernel until they are accepted; it takes the minimum of this and `somaxconn`.
const BACKLOG: i32 = 4096;

/// `count` sockets that listen on `address`, and the port that they got.
///
/// # Errors
/// Those of socket(2), bind(2) and listen(2): `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EMFILE`.
pub(crate) fn listen(address: SocketAddr, count: usize) -> io::Result<(Vec<OwnedFd>, SocketAddr)> {
    if address.port() != 0 {
        // Without SO_REUSEPORT: fails if anybody listens there, with it or without.
        drop(bound(address, false)?);
    }
    let mut address = address;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count.max(1) {
        let socket = bound(address, true)?;
        if address.port() == 0 {
            let bound = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
            address.set_port(bound.port());
        }
        listeners.push(socket);
    }
    // All of them are bound before one of them listens, so that no connection meets half a group.
    for listener in &listeners {
        rustix::net::listen(listener, BACKLOG)?;
    }
    Ok((listeners, address))
}

fn bound(address: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Connections of a server that has ended may still linger on the port.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if shared {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    // Accepted sockets inherit it. Responses go out in as few sends as possible, so there is nothing to wait for.
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().expect("an address")
    }

    #[test]
    fn all_sockets_share_the_port_that_the_first_got() {
        let (listeners, address) = listen(any(), 3).expect("three sockets");
        assert_eq!(listeners.len(), 3);
        for listener in &listeners {
            let name = rustix::net::getsockname(listener).expect("a name");
            assert_eq!(SocketAddr::try_from(name).expect("an internet address"), address);
        }
        assert_ne!(address.port(), 0);
        drop(TcpStream::connect(address).expect("connected"));
    }

    #[test]
    fn a_port_that_another_server_has_is_refused() {
        let (_listeners, address) = listen(any(), 2).expect("two sockets");
        let error = listen(address, 2).expect_err("it is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
