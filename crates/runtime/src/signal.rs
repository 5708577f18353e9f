//! Signals as futures.
//!
//! A handler writes a byte into a socket of the future's own, which is read through the ring. So it does
//! not matter which thread the system delivers a signal to, every shard may wait for the same one, and no signal
//! mask is changed that children would inherit (which is what signalfd(2) would need, in all threads).
//!
//! A signal that was waited for once keeps being caught by this process: the second Ctrl-C does not end it
//! unless somebody waits for that too.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::low_level;

use crate::driver::Op;
use crate::driver::op::transfer::Read;
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
        let mut reads: Vec<_> =
            self.kinds.iter().map(|listening| (listening.kind, listening.read())).collect();
        std::future::poll_fn(|cx| {
            for (kind, read) in &mut reads {
                if let std::task::Poll::Ready((result, _)) = std::pin::Pin::new(read).poll(cx) {
                    return std::task::Poll::Ready(result.map(|_| *kind));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

impl Listening {
    /// Reads what the handler wrote, all of it.
    fn read(&self) -> Op<Read<Vec<u8>>> {
        Op::new(Read { fd: self.read.clone(), buf: Vec::with_capacity(64), offset: u64::MAX })
    }
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
