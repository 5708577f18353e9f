//! Signals as futures.
//!
//! A handler writes a byte into a socket of the future's own, which the ring watches. So it does not matter which thread the system delivers a signal to, every shard may wait for the same one, and no signal
//! mask is changed that children would inherit (which is what signalfd(2) would need, in all threads).
//!
//! A signal that was waited for once keeps being caught by this process: the second Ctrl-C does not end it
//! unless somebody waits for that too.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::Poll;

use rustix::net::{RecvFlags, recv};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::low_level;

use crate::driver::Op;
use crate::driver::op::file::Poll as PollFd;
use crate::fd::SharedFd;

/// The signals that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `SIGINT`: Ctrl-C.
    Interrupt,
    /// `SIGTERM`: asked to end.
    Terminate,
    /// `SIGHUP`: the terminal is gone; by custom: read the configuration again.
    Hangup,
    /// `SIGUSR1`.
    User1,
    /// `SIGUSR2`.
    User2,
}

impl Kind {
    const fn number(self) -> i32 {
        match self {
            Self::Interrupt => SIGINT,
            Self::Terminate => SIGTERM,
            Self::Hangup => SIGHUP,
            Self::User1 => SIGUSR1,
            Self::User2 => SIGUSR2,
        }
    }
}

/// Signals of some kinds, one after the other.
///
/// They are caught from the moment that this is made. Several that come before one is waited for may
/// count as one, as signals do.
#[derive(Debug)]
pub struct Signals {
    kinds: Vec<Listening>,
}

#[derive(Debug)]
struct Listening {
    kind: Kind,
    registered: SigId,
    read: SharedFd,
}

impl Signals {
    /// Begins to catch these signals.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2) and sigaction(2): `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(kinds: &[Kind]) -> io::Result<Self> {
        let mut signals = Self { kinds: Vec::new() };
        for &kind in kinds {
            let (read, write) = UnixStream::pair()?;
            let registered = low_level::pipe::register(kind.number(), write)?;
            let read = SharedFd::new(OwnedFd::from(read));
            signals.kinds.push(Listening { kind, registered, read });
        }
        Ok(signals)
    }

    /// Waits for the next signal.
    ///
    /// # Errors
    ///
    /// Those of reading a socket through the ring; `EBUSY` if too many operations are in flight.
    pub async fn next(&mut self) -> io::Result<Kind> {
        loop {
            // Looking consumes nothing, so that no signal is lost with a future that is dropped.
            let mut looks: Vec<_> = self.kinds.iter().map(Listening::look).collect();
            poll_fn(|cx| {
                looks.iter_mut().find_map(|look| ready(Pin::new(look).poll(cx))).unwrap_or(Poll::Pending)
            })
            .await?;
            if let Some(came) = self.kinds.iter().find(|listening| listening.take()) {
                return Ok(came.kind);
            }
        }
    }
}

impl Listening {
    /// Waits until the handler has written.
    fn look(&self) -> Op<PollFd> {
        Op::new(PollFd { fd: self.read.clone(), events: libc::POLLIN })
    }

    /// Takes what the handler wrote, all of it; whether it had written.
    fn take(&self) -> bool {
        let mut bytes = [0; 64];
        matches!(recv(&self.read, &mut bytes, RecvFlags::DONTWAIT), Ok((1.., _)))
    }
}

/// A result that is there.
fn ready<T>(poll: Poll<T>) -> Option<Poll<T>> {
    poll.is_ready().then_some(poll)
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _was_registered = low_level::unregister(self.registered);
    }
}

/// Waits for Ctrl-C (`SIGINT`).
///
/// # Errors
///
/// Those of [`Signals::new`] and [`Signals::next`].
pub async fn ctrl_c() -> io::Result<()> {
    Signals::new(&[Kind::Interrupt])?.next().await.map(drop)
}

/// Waits until this process is asked to end: by Ctrl-C (`SIGINT`) or by `SIGTERM`. Says which.
///
/// # Errors
///
/// Those of [`Signals::new`] and [`Signals::next`].
pub async fn terminate() -> io::Result<Kind> {
    Signals::new(&[Kind::Interrupt, Kind::Terminate])?.next().await
}
