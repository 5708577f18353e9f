//! From names to addresses. The system's resolver blocks, so it is asked on another thread.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::spawn_blocking;

/// What stands for one address of a peer or several: an address, a host and a port, `"host:port"`.
///
/// Addresses, written out or not, are taken as they are; names are resolved by the system on another thread
/// ([`spawn_blocking`]).
pub trait ToSocketAddrs {
    /// The addresses, in the order of preference.
    fn to_socket_addrs(&self) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;
}

/// The addresses of a host.
///
/// # Errors
///
/// What getaddrinfo(3) says; `EBUSY` if too much blocking work waits already
/// ([`Builder::blocking`](crate::Builder::blocking)).
///
/// # Examples
///
/// ```
/// use annulus_rt::net::lookup_host;
///
/// annulus_rt::run(async {
///     let mut addresses = lookup_host("localhost:80").await?;
///     assert!(addresses.all(|address| address.ip().is_loopback() && address.port() == 80));
///     std::io::Result::Ok(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(host.to_socket_addrs().await?.into_iter())
}

async fn resolve(name: impl std::net::ToSocketAddrs + Send + 'static) -> io::Result<Vec<SocketAddr>> {
    let resolved =
        spawn_blocking(move || std::net::ToSocketAddrs::to_socket_addrs(&name).map(Iterator::collect)).await;
    resolved.map_err(io::Error::from)?
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    async fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).to_socket_addrs().await
    }
}

/// What is an address already.
macro_rules! known {
    ($($Known:ty),*) => {$(
        impl ToSocketAddrs for $Known {
            async fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(vec![SocketAddr::from(*self)])
            }
        }
    )*};
}

known!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl ToSocketAddrs for [SocketAddr] {
    async fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl<const N: usize> ToSocketAddrs for [SocketAddr; N] {
    async fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl ToSocketAddrs for Vec<SocketAddr> {
    async fn to_socket_addrs(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl ToSocketAddrs for str {
    async fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        match self.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => resolve(self.to_owned()).await,
        }
    }
}

impl ToSocketAddrs for String {
    async fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_socket_addrs().await
    }
}

impl ToSocketAddrs for (&str, u16) {
    async fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            Err(_) => resolve((host.to_owned(), port)).await,
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    async fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (self.0.as_str(), self.1).to_socket_addrs().await
    }
}
