//! Starts measuring processes and listens to their answers.
//!
//! A process that does not answer in time is killed; whoever drops a [`Worker`] ends its process.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use annulus::environment;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::report::Fault;
use crate::worker::{Answer, Task, Work};

/// How long a process may take beyond the time that it measures for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How a measuring process is started: a program and the arguments before its task. The program has to call
/// [`work`](crate::work) with the argument that follows those.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launcher {
    /// A program and its first arguments.
    #[must_use]
    pub fn new(program: PathBuf, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self { program, arguments: arguments.into_iter().collect() }
    }

    pub(crate) fn start(&self, work: &Work) -> Result<Worker, Fault> {
        let task = serde_json::to_string(work).map_err(|error| Fault::Failed(error.to_string()))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(task).stdin(Stdio::null()).stdout(Stdio::piped());
        if let Task::Read(task) = &work.task
            && let Some(back) = task.back_by_environment()
        {
            command.env(environment::BACKEND_VARIABLE, back.name());
        }
        let mut child = command.spawn().map_err(|error| {
            Fault::Failed(format!("cannot start {} to measure: {error}", self.program.display()))
        })?;
        let answers = child.stdout.take().expect("its standard output is piped");
        Ok(Worker { child, answers: BufReader::new(answers) })
    }
}

/// A measuring process.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Its next answer, which has to come within this time.
    ///
    /// # Errors
    ///
    /// The fault that it answered with, or [`Fault::Failed`] if it ended or kept silent.
    pub(crate) fn answer(&mut self, within: Duration) -> Result<Answer, Fault> {
        let mut line = String::new();
        if self.answers.buffer().is_empty() && !self.is_readable(within)? {
            return Err(Fault::Failed(format!("no answer within {} s", within.as_secs_f64())));
        }
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line) {
            Ok(Answer::Fault(fault)) => Err(fault),
            Ok(answer) => Ok(answer),
            Err(_) if line.is_empty() => {
                let status = self.child.wait()?;
                Err(Fault::Failed(format!("the process ended without an answer ({status})")))
            }
            Err(_) => Err(Fault::Failed(format!("an answer that nobody understands: {}", line.trim_end()))),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn is_readable(&self, within: Duration) -> Result<bool, Fault> {
        let timeout =
            Timespec::try_from(within).map_err(|_| Fault::Failed("a time without end".to_owned()))?;
        loop {
            let mut fds = [PollFd::new(self.answers.get_ref(), PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Err(Errno::INTR) => {}
                ready => return Ok(ready.map_err(std::io::Error::from)? > 0),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already; what remains of it is collected either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Sample;
    use crate::{meter::Window, nop};

    /// A shell stands in for the program: `$0` is the task.
    fn start(script: &str) -> Worker {
        let arguments = ["-c", script].map(OsString::from);
        let window = Window::of(Duration::from_millis(1));
        let task = Task::Nop(nop::Task { ring: nop::Ring::IoUringCrate, batch: 1, window });
        Launcher::new("/bin/sh".into(), arguments).start(&Work { core: 0, task }).unwrap()
    }

    #[test]
    fn answers_come_line_by_line() {
        let mut worker =
            start(r#"echo '{"listening":80}'; echo '{"measured":{"units":1,"wall_ns":2,"cpu_ns":3}}'"#);
        assert_eq!(worker.answer(PATIENCE), Ok(Answer::Listening(80)));
        let sample = Sample { units: 1, wall_ns: 2, cpu_ns: 3 };
        assert_eq!(worker.answer(PATIENCE), Ok(Answer::Measured(sample)));
    }

    #[test]
    fn the_task_is_the_last_argument() {
        let mut worker = start(r#"case "$0" in *io_uring_crate*) echo '{"listening":1}';; esac"#);
        assert_eq!(worker.answer(PATIENCE), Ok(Answer::Listening(1)));
    }

    #[test]
    fn a_process_that_ends_or_keeps_silent_or_babbles_has_failed() {
        let fault = start("exit 3").answer(PATIENCE).unwrap_err();
        assert_eq!(fault, Fault::Failed("the process ended without an answer (exit status: 3)".to_owned()));
        let fault = start("exec sleep 60").answer(Duration::from_millis(10)).unwrap_err();
        assert_eq!(fault, Fault::Failed("no answer within 0.01 s".to_owned()));
        let fault = start("echo hello").answer(PATIENCE).unwrap_err();
        assert_eq!(fault, Fault::Failed("an answer that nobody understands: hello".to_owned()));
    }

    #[test]
    fn a_refusal_arrives_as_one() {
        let fault = start(r#"echo '{"fault":{"refused":"seccomp"}}'"#).answer(PATIENCE).unwrap_err();
        assert_eq!(fault, Fault::Refused("seccomp".to_owned()));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let task = Task::Nop(nop::Task {
            ring: nop::Ring::IoUringCrate,
            batch: 1,
            window: Window::of(Duration::from_millis(1)),
        });
        let launcher = Launcher::new("/no/such/program".into(), []);
        let fault = launcher.start(&Work { core: 0, task }).unwrap_err();
        assert!(fault.to_string().contains("/no/such/program"), "{fault}");
    }
}
