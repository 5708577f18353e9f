//! Options of TCP connections that have a descriptor. None of the calls blocks.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;

use super::TcpStream;

/// When a connection that is silent is asked after, so that a peer that is gone is noticed (tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// How long it is silent before it is asked after (`TCP_KEEPIDLE`). At least a second, in whole ones.
    pub idle: Duration,
    /// How long an answer is waited for before it is asked after again (`TCP_KEEPINTVL`). At least a second, in whole
    /// ones.
    pub interval: Duration,
    /// How many times, before it is given up (`TCP_KEEPCNT`): operations end with `ETIMEDOUT` then.
    pub count: u32,
}

impl Keepalive {
    /// After this time of silence; then every 15 seconds, four times.
    #[must_use]
    pub const fn after(idle: Duration) -> Self {
        Self { idle, interval: Duration::from_secs(15), count: 4 }
    }

    pub(super) fn set(&self, fd: impl AsFd) -> io::Result<()> {
        sockopt::set_tcp_keepidle(&fd, self.idle)?;
        sockopt::set_tcp_keepintvl(&fd, self.interval)?;
        sockopt::set_tcp_keepcnt(&fd, self.count)?;
        Ok(sockopt::set_socket_keepalive(&fd, true)?)
    }
}

impl TcpStream {
    /// Whether small sends go out at once instead of waiting for more (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(&self.fd, on)?)
    }

    /// Whether they do.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_nodelay(&self.fd)?)
    }

    /// Whether only full segments go out, until it is switched off again or 200 ms are over (`TCP_CORK`): to send a
    /// head together with the file that follows by other means.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_cork(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_cork(&self.fd, on)?)
    }

    /// Whether what comes is acknowledged at once, for a while (`TCP_QUICKACK`): the system switches it off again by
    /// itself.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_quickack(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_quickack(&self.fd, on)?)
    }

    /// When the connection is asked after if it is silent; `None`: never (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `EINVAL` for times below a second.
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        match keepalive {
            Some(keepalive) => keepalive.set(&self.fd),
            None => Ok(sockopt::set_socket_keepalive(&self.fd, false)?),
        }
    }

    /// When the connection is asked after if it is silent.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn keepalive(&self) -> io::Result<Option<Keepalive>> {
        if !sockopt::socket_keepalive(&self.fd)? {
            return Ok(None);
        }
        let (idle, interval) = (sockopt::tcp_keepidle(&self.fd)?, sockopt::tcp_keepintvl(&self.fd)?);
        Ok(Some(Keepalive { idle, interval, count: sockopt::tcp_keepcnt(&self.fd)? }))
    }

    /// What becomes of what was not sent yet when the connection is closed (`SO_LINGER`): `None`, the default, sends it
    /// in the background. A time makes [`close`](crate::net::Stream::close) wait for it that long, in whole seconds. No
    /// time at all drops it and resets the connection.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        Ok(sockopt::set_socket_linger(&self.fd, linger)?)
    }

    /// What becomes of what was not sent yet when the connection is closed.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_linger(&self.fd)?)
    }

    /// How long what was sent may wait for the peer to acknowledge it, before the connection is given up with
    /// `ETIMEDOUT` (`TCP_USER_TIMEOUT`), in whole milliseconds; zero: as long as the system retries.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_user_timeout(&self, timeout: Duration) -> io::Result<()> {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        Ok(sockopt::set_tcp_user_timeout(&self.fd, millis)?)
    }

    /// The time to live of what is sent: over how many routers it may go (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_ttl(&self.fd, ttl)?)
    }

    /// The time to live of what is sent.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(sockopt::ip_ttl(&self.fd)?)
    }
}
