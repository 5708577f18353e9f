//! Signals as futures.
//!
//! A handler writes a byte into a socket of the future's own, which the ring watches. So it does not matter which thread
//! the system delivers a signal to, every shard may wait for the same one, and no signal mask is changed: signalfd(2)
//! would need its signals blocked in every thread of the process, also in those that others start, and children
//! inherit a mask.
//!
//! A signal that was waited for once keeps being caught by this process: the second Ctrl-C does not end it
//! unless somebody waits for that too.

use std::ffi::c_int;
use std::fmt::{self, Debug, Display, Formatter};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::Poll;

use rustix::net::{RecvFlags, recv};
use signal_hook::SigId;
use signal_hook::low_level::{pipe, signal_name, unregister};

use crate::driver::Op;
use crate::driver::op::file::Poll as PollFd;
use crate::fd::SharedFd;

/// A signal that can be waited for: one of those that have a function here, or any other by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalKind(c_int);

impl SignalKind {
    /// The signal of this number, as `libc::SIGUSR1` or `libc::SIGRTMIN() + 1`. Whether it can be waited for is seen by
    /// [`Signals::new`].
    #[must_use]
    pub const fn from_raw(number: c_int) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn as_raw(self) -> c_int {
        self.0
    }

    /// `SIGINT`: Ctrl-C.
    #[must_use]
    pub const fn interrupt() -> Self {
        Self(libc::SIGINT)
    }

    /// `SIGTERM`: asked to end.
    #[must_use]
    pub const fn terminate() -> Self {
        Self(libc::SIGTERM)
    }

    /// `SIGHUP`: the terminal is gone; by custom: read the configuration again.
    #[must_use]
    pub const fn hangup() -> Self {
        Self(libc::SIGHUP)
    }

    /// `SIGQUIT`: Ctrl-\.
    #[must_use]
    pub const fn quit() -> Self {
        Self(libc::SIGQUIT)
    }

    /// `SIGUSR1`: what the program makes of it.
    #[must_use]
    pub const fn user_defined1() -> Self {
        Self(libc::SIGUSR1)
    }

    /// `SIGUSR2`: what the program makes of it.
    #[must_use]
    pub const fn user_defined2() -> Self {
        Self(libc::SIGUSR2)
    }

    /// `SIGCHLD`: a child has ended, or was stopped. [`process`](crate::process) does without it.
    #[must_use]
    pub const fn child() -> Self {
        Self(libc::SIGCHLD)
    }

    /// `SIGWINCH`: the terminal has another size.
    #[must_use]
    pub const fn window_change() -> Self {
        Self(libc::SIGWINCH)
    }

    /// `SIGALRM`: the timer of alarm(2) or setitimer(2).
    #[must_use]
    pub const fn alarm() -> Self {
        Self(libc::SIGALRM)
    }

    /// `SIGPIPE`: something was written that nobody reads. Programs in Rust ignore it from the start.
    #[must_use]
    pub const fn pipe() -> Self {
        Self(libc::SIGPIPE)
    }

    /// `SIGIO`: a file that was told to say so is ready; see fcntl(2), `F_SETOWN`.
    #[must_use]
    pub const fn io() -> Self {
        Self(libc::SIGIO)
    }

    /// Refuses what is no signal, what cannot be caught, and what would come again for ever as soon as a handler returns
    /// to the instruction that it comes from.
    fn check(self) -> io::Result<()> {
        let why = match self.0 {
            libc::SIGKILL | libc::SIGSTOP => "cannot be caught",
            libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE => {
                "says that an instruction of this program failed, which waiting does not repair"
            }
            number if number < 1 || number > libc::SIGRTMAX() => "is not a signal",
            number if number > 31 && number < libc::SIGRTMIN() => "belongs to the C library",
            _ => return Ok(()),
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{self} {why}")))
    }
}

impl Display for SignalKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match signal_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl Debug for SignalKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Signals of some kinds, one after the other.
///
/// They are caught from the moment that this is made. Several that come before one is waited for may
/// count as one, as signals do. Each that waits for a signal hears of it, on every shard.
///
/// # Examples
///
/// ```
/// use annulus_rt::signal::{SignalKind, Signals};
/// use rustix::process::{Signal, getpid, kill_process};
///
/// annulus_rt::run(async {
///     let mut signals = Signals::new(&[SignalKind::hangup(), SignalKind::from_raw(libc::SIGURG)])?;
///     kill_process(getpid(), Signal::URG)?;
///     assert_eq!(signals.next().await?.as_raw(), libc::SIGURG);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Signals {
    kinds: Vec<Listening>,
}

#[derive(Debug)]
struct Listening {
    kind: SignalKind,
    registered: SigId,
    read: SharedFd,
}

impl Signals {
    /// Begins to catch these signals.
    ///
    /// # Errors
    ///
    /// `ErrorKind::InvalidInput`, as sigaction(2)'s `EINVAL`, for a number that is no signal and for those that cannot be
    /// waited for: `SIGKILL`, `SIGSTOP`, and `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`. Those of socketpair(2): `EMFILE`,
    /// `ENFILE`, `ENOMEM`.
    pub fn new(kinds: &[SignalKind]) -> io::Result<Self> {
        kinds.iter().try_for_each(|kind| kind.check())?;
        let mut signals = Self { kinds: Vec::new() };
        for &kind in kinds {
            let (read, write) = UnixStream::pair()?;
            let registered = pipe::register(kind.0, write)?;
            let read = SharedFd::new(OwnedFd::from(read));
            signals.kinds.push(Listening { kind, registered, read });
        }
        Ok(signals)
    }

    /// Waits for the next signal. If the future is dropped, no signal is lost.
    ///
    /// # Errors
    ///
    /// Those of reading a socket through the ring; `EBUSY` if too many operations are in flight.
    pub async fn next(&mut self) -> io::Result<SignalKind> {
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
        let mut came = false;
        while matches!(recv(&self.read, &mut bytes, RecvFlags::DONTWAIT), Ok((1.., _))) {
            came = true;
        }
        came
    }
}

/// A result that is there.
fn ready<T>(poll: Poll<T>) -> Option<Poll<T>> {
    poll.is_ready().then_some(poll)
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _was_registered = unregister(self.registered);
    }
}

/// Waits for Ctrl-C (`SIGINT`).
///
/// # Errors
///
/// Those of [`Signals::new`] and [`Signals::next`].
pub async fn ctrl_c() -> io::Result<()> {
    Signals::new(&[SignalKind::interrupt()])?.next().await.map(drop)
}

/// Waits until this process is asked to end: by Ctrl-C (`SIGINT`) or by `SIGTERM`. Says which.
///
/// # Errors
///
/// Those of [`Signals::new`] and [`Signals::next`].
pub async fn terminate() -> io::Result<SignalKind> {
    Signals::new(&[SignalKind::interrupt(), SignalKind::terminate()])?.next().await
}
