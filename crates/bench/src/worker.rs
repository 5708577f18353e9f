//! The process that is measured: told by one argument what to do, it answers in lines of JSON on standard output.
//!
//! Each measurement has a process of its own, so that threads, memory and caches of one contender do not reach into
//! the next one's figures, CPU time is that of the contender alone, and one that ends badly ends nothing else.

use std::io::{self, Write};
use std::process::ExitCode;

use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::pin::Pinned;
use crate::report::{Fault, Sample};
use crate::{echo, nop, storage};

/// What a measuring process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    /// The core to stay on.
    pub(crate) core: usize,
    pub(crate) task: Task,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    Nop(nop::Task),
    Echo(echo::Task),
    Read(storage::Task),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// A server accepts connections at this port of the loopback address, until it is killed.
    Listening(u16),
    Measured(Sample),
    Fault(Fault),
}

/// Does what a measuring process is told to do, and answers on standard output. This is what the hidden subcommand that
/// a [`Launcher`](crate::Launcher) names has to call, with its one argument.
pub fn work(text: &str) -> ExitCode {
    let answer = match serde_json::from_str(text) {
        Ok(work) => match run(&work) {
            Ok(sample) => Answer::Measured(sample),
            Err(fault) => Answer::Fault(fault),
        },
        Err(error) => Answer::Fault(Fault::Failed(format!("not a task of a bench: {error}"))),
    };
    let is_fault = matches!(answer, Answer::Fault(Fault::Failed(_)));
    match say(&answer) {
        Ok(()) if !is_fault => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Writes one answer.
///
/// # Errors
///
/// `EPIPE` if nobody reads it any more.
pub(crate) fn say(answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_string(answer)?;
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

fn run(work: &Work) -> Result<Sample, Fault> {
    // A server must not outlive the bench that started it, however that ends.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    let _pinned = Pinned::to(work.core)?;
    match &work.task {
        Task::Nop(task) => nop::measure(task),
        Task::Echo(task) => match echo::serve(task, work.core, |port| say(&Answer::Listening(port)))? {},
        Task::Read(task) => storage::measure(task, work.core),
    }
}
