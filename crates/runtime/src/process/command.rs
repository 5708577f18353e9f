//! `Command`: what is to be run and how.
//!
//! Everything that the standard library's builder knows is passed on to it. It also starts the child, on a thread for
//! blocking work, as that waits until the child has executed the program.
#![allow(
    unsafe_code,
    reason = "passes on what runs in the child between fork and exec, which its caller vouches for"
)]

use std::ffi::OsStr;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::child::Spawned;
use super::{Child, ExitStatus, Output, Stdio};
use crate::{JoinError, spawn_blocking};

/// A program that is to be run: [`std::process::Command`] with futures.
///
/// # Examples
///
/// ```
/// use annulus_rt::process::Command;
///
/// annulus_rt::run(async {
///     let output = Command::new("echo").arg("a ring of bytes").output().await?;
///     assert!(output.status.success());
///     assert_eq!(output.stdout, b"a ring of bytes\n");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command {
    /// Shared with the thread that starts the child, which may still be at it when the future of
    /// [`spawn`](Self::spawn) was dropped.
    inner: Arc<Mutex<process::Command>>,
    kill_on_drop: bool,
    /// Whether standard input, output and error were said.
    said: [bool; 3],
}

impl Command {
    /// The program of this name, sought in `PATH`, or of this path; without arguments, with the environment, the working
    /// directory and the standard streams of this process.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let inner = Arc::new(Mutex::new(process::Command::new(program)));
        Self { inner, kill_on_drop: false, said: [false; 3] }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.with(|inner| inner.arg(argument))
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = S>) -> &mut Self {
        self.with(|inner| inner.args(arguments))
    }

    /// Sets what the program sees as its own name.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.with(|inner| inner.arg0(name))
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.with(|inner| inner.env(name, value))
    }

    /// Sets variables of the environment.
    pub fn envs<K, V>(&mut self, variables: impl IntoIterator<Item = (K, V)>) -> &mut Self
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.with(|inner| inner.envs(variables))
    }

    /// Leaves a variable out of the environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.with(|inner| inner.env_remove(name))
    }

    /// Leaves all variables out of the environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.with(process::Command::env_clear)
    }

    /// Sets the working directory.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.with(|inner| inner.current_dir(directory))
    }

    /// Sets standard input: [`Stdio::piped`], [`Stdio::inherit`], [`Stdio::null`], or a file. Not said, it is that of this process;
    /// nothing for [`output`](Self::output).
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.said[0] = true;
        self.with(|inner| inner.stdin(stdin))
    }

    /// Sets standard output, as [`stdin`](Self::stdin). Not said, it is that of this process; a pipe for [`output`](Self::output).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.said[1] = true;
        self.with(|inner| inner.stdout(stdout))
    }

    /// Sets standard error, as [`stdout`](Self::stdout).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.said[2] = true;
        self.with(|inner| inner.stderr(stderr))
    }

    /// Whether a child that is dropped before it has ended is killed. Otherwise it goes on. Either way it leaves no zombie.
    pub const fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// Sets the user that the child runs as: setuid(2).
    pub fn uid(&mut self, user: u32) -> &mut Self {
        self.with(|inner| inner.uid(user))
    }

    /// Sets the group that the child runs as: setgid(2).
    pub fn gid(&mut self, group: u32) -> &mut Self {
        self.with(|inner| inner.gid(group))
    }

    /// Sets the process group; 0 is a new one of the child's own, which signals of the terminal do not reach.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.with(|inner| inner.process_group(group))
    }

    /// Has a closure run in the child before the program is executed; an error of it is that of [`spawn`](Self::spawn).
    ///
    /// # Safety
    ///
    /// That of [`CommandExt::pre_exec`](std::os::unix::process::CommandExt::pre_exec): the closure runs after a fork(2) of a process with several threads, so it does only what is safe in a
    /// signal handler: above all it takes no lock and allocates nothing.
    pub unsafe fn pre_exec<F>(&mut self, closure: F) -> &mut Self
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        let mut inner = lock(&self.inner);
        // SAFETY: the contract of this function.
        unsafe { inner.pre_exec(closure) };
        drop(inner);
        self
    }

    /// Starts the child, on a thread for blocking work, as that waits until the child has executed the program.
    ///
    /// That thread ends when it has been idle for a while, and for `PR_SET_PDEATHSIG` of prctl(2) it is the parent: do not set
    /// that in [`pre_exec`](Self::pre_exec).
    ///
    /// If the future is dropped, the child may have been started; it is treated as one that is dropped then.
    ///
    /// # Errors
    ///
    /// Those of fork(2) and execve(2): `ENOENT` if there is no such program, `EACCES`, `EAGAIN`, `ENOMEM`; those of pipe(2):
    /// `EMFILE`. `EAGAIN` also if too much blocking work waits ([`Builder::blocking`](crate::Builder::blocking)).
    pub async fn spawn(&mut self) -> io::Result<Child> {
        let (inner, kill_on_drop) = (self.inner.clone(), self.kill_on_drop);
        let spawned =
            spawn_blocking(move || lock(&inner).spawn().map(|child| Spawned::new(child, kill_on_drop)));
        match spawned.await {
            Ok(spawned) => spawned.map(Child::from_spawned),
            Err(JoinError::Refused) => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts the child and waits for its end. If the future is dropped, the child is treated as one that is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait`].
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        let mut child = self.spawn().await?;
        // Nobody reads and writes them.
        (child.stdin, child.stdout, child.stderr) = (None, None, None);
        child.wait().await
    }

    /// Starts the child, waits for its end, and returns all that it wrote to standard output and standard error. If the future is
    /// dropped, the child is treated as one that is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    pub async fn output(&mut self) -> io::Result<Output> {
        let unsaid = self.said.map(|said| !said);
        self.set_unsaid(unsaid, [Stdio::null, Stdio::piped, Stdio::piped]);
        let child = self.spawn().await;
        self.set_unsaid(unsaid, [Stdio::inherit; 3]);
        child?.wait_with_output().await
    }

    fn set_unsaid(&self, unsaid: [bool; 3], to: [fn() -> Stdio; 3]) {
        let mut inner = lock(&self.inner);
        if unsaid[0] {
            inner.stdin(to[0]());
        }
        if unsaid[1] {
            inner.stdout(to[1]());
        }
        if unsaid[2] {
            inner.stderr(to[2]());
        }
    }

    fn with(&mut self, change: impl FnOnce(&mut process::Command) -> &mut process::Command) -> &mut Self {
        change(&mut lock(&self.inner));
        self
    }
}

/// Held by another thread only while that starts a child for a future that was dropped.
fn lock(inner: &Mutex<process::Command>) -> MutexGuard<'_, process::Command> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<process::Command> for Command {
    /// Takes a command over. Its standard streams count as not said.
    fn from(inner: process::Command) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), kill_on_drop: false, said: [false; 3] }
    }
}

impl Debug for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let inner = lock(&self.inner);
        f.debug_struct("Command").field("inner", &*inner).field("kill_on_drop", &self.kill_on_drop).finish()
    }
}
