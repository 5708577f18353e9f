//! `Child`: a process that was started here.

use std::io;
use std::os::fd::OwnedFd;
use std::process;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::output::{read_all, two};
use super::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output, reaper};
use crate::driver::Op;
use crate::driver::op::file::Poll as PollFd;
use crate::driver::op::process::Watch;
use crate::fd::SharedFd;
use crate::signal::SignalKind;

/// A child as it comes from the thread that started it. Dropped on the way, it is treated as a child that is dropped.
pub(super) struct Spawned {
    /// `None` once it was handed on.
    child: Option<process::Child>,
    kill_on_drop: bool,
}

impl Spawned {
    pub(super) const fn new(child: process::Child, kill_on_drop: bool) -> Self {
        Self { child: Some(child), kill_on_drop }
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A child that reads sees the end, also where it is not killed.
            drop((child.stdin.take(), child.stdout.take(), child.stderr.take()));
            reaper::leave(child, self.kill_on_drop);
        }
    }
}

/// A process that was started by [`Command::spawn`](super::Command::spawn).
///
/// Dropped before its end, it goes on, unless [`Command::kill_on_drop`](super::Command::kill_on_drop) was set; it leaves no
/// zombie in either case.
///
/// # Examples
///
/// ```
/// use annulus_rt::io::{AsyncRead, AsyncWrite};
/// use annulus_rt::process::{Command, Stdio};
///
/// annulus_rt::run(async {
///     let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().await?;
///     let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
///     input.write_all("there and back").await.0?;
///     let (read, bytes) = output.read_exact([0; 14]).await;
///     read?;
///     assert_eq!(&bytes, b"there and back");
///     input.shutdown().await?;
///     assert!(child.wait().await?.success());
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// What the child reads, if that is a pipe. Take it out to write and keep it; dropped or shut down, it is the end
    /// for the child.
    pub stdin: Option<ChildStdin>,
    /// What the child writes to standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// What the child writes to standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    /// `None` once it is left to the reaper.
    child: Option<process::Child>,
    /// Becomes readable when the child ends. `None` where the system has no more descriptors, or none of this kind.
    pidfd: Option<SharedFd>,
    kill_on_drop: bool,
    ended: Option<ExitStatus>,
}

impl Child {
    pub(super) fn from_spawned(mut spawned: Spawned) -> Self {
        let mut child = spawned.child.take().expect("taken only here and when it is dropped");
        // The number is the child's until its status is taken, which only this value does.
        let pidfd = pidfd_open(pid(&child), PidfdFlags::empty()).ok();
        Self {
            stdin: child.stdin.take().map(|pipe| ChildStdin::from(OwnedFd::from(pipe))),
            stdout: child.stdout.take().map(|pipe| ChildStdout::from(OwnedFd::from(pipe))),
            stderr: child.stderr.take().map(|pipe| ChildStderr::from(OwnedFd::from(pipe))),
            child: Some(child),
            pidfd: pidfd.map(SharedFd::new),
            kill_on_drop: spawned.kill_on_drop,
            ended: None,
        }
    }

    /// The number of the process; `None` when its end was waited for, as the number may be another one's then.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        let running = self.child.as_ref().filter(|_| self.ended.is_none());
        running.map(process::Child::id)
    }

    /// Waits for the end, and says how it was. Closes standard input before that, so that a child does not wait for this one
    /// while this one waits for it.
    ///
    /// If the future is dropped, nothing is lost: it can be waited for again, also after the end.
    ///
    /// # Errors
    ///
    /// `ECHILD` if this process ignores `SIGCHLD`; `EBUSY` if too many operations are in flight.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            match &self.pidfd {
                Some(pidfd) => Op::new(PollFd { fd: pidfd.clone(), events: libc::POLLIN }).await?,
                None => Op::new(Watch { pid: pid(self.running()) }).await?,
            }
        }
    }

    /// Says how the child ended, if it has.
    ///
    /// # Errors
    ///
    /// `ECHILD` if this process ignores `SIGCHLD`.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            // Does not wait: the ring has done that.
            self.ended = self.running().try_wait()?;
            if self.ended.is_some() {
                self.pidfd = None;
            }
        }
        Ok(self.ended)
    }

    /// Waits for the end, and reads meanwhile what the child writes, as far as these are pipes that were not taken out.
    ///
    /// Returns everything: for what may be without end, read [`stdout`](Self::stdout) piece by piece.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait) and of reading a pipe.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let reading = two(read_all(stdout), read_all(stderr));
        let (status, output) = two(self.wait(), reading).await;
        let (status, (stdout, stderr)) = (status?, output);
        Ok(Output { status, stdout: stdout?, stderr: stderr? })
    }

    /// Kills the child (`SIGKILL`), without waiting for its end. One that has ended is left as it is.
    ///
    /// # Errors
    ///
    /// Those of kill(2): `EPERM` if it runs as another user.
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.signal(SignalKind::from_raw(libc::SIGKILL))
    }

    /// Kills the child (`SIGKILL`) and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`start_kill`](Self::start_kill) and [`wait`](Self::wait).
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Sends the child a signal. One that has ended is left as it is.
    ///
    /// # Errors
    ///
    /// Those of kill(2): `EPERM` if it runs as another user; `EINVAL` if that is no signal, or one for real time,
    /// which have no names.
    pub fn signal(&mut self, signal: SignalKind) -> io::Result<()> {
        if self.try_wait()?.is_some() {
            return Ok(());
        }
        let named = Signal::from_named_raw(signal.as_raw()).ok_or(rustix::io::Errno::INVAL)?;
        // The number is the child's until its status is taken.
        Ok(kill_process(pid(self.running()), named)?)
    }

    fn running(&mut self) -> &mut process::Child {
        self.child.as_mut().expect("left to the reaper only when it is dropped")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none()
            && let Some(child) = self.child.take()
        {
            reaper::leave(child, self.kill_on_drop);
        }
    }
}

pub(super) fn pid(child: &process::Child) -> Pid {
    Pid::from_child(child)
}
