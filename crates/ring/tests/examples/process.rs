//! Starting the built examples, and ending those that were started here, and no others.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The built example of this name, which lies beside the folder of this test program.
pub(crate) fn program(name: &str) -> Command {
    let test = std::env::current_exe().expect("this program's path");
    let path: PathBuf = test.ancestors().nth(2).expect("target/PROFILE/deps").join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not there: `cargo test -p annulus` builds it, `--test examples` alone does not",
        path.display()
    );
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    command
}

/// Runs an example to its end.
pub(crate) fn run<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> Output {
    program(name).args(arguments).output().expect("starting an example")
}

/// What an example wrote to standard error.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An example that serves until it is told to end. Ended with the value if it is not.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where it listens, as it says on its first line.
    pub(crate) address: SocketAddr,
}

/// How a server ended, and what it wrote after its first line.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) complaint: String,
}

impl Server {
    pub(crate) fn start<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = program(name);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting an example");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the first line");
        let address = line.trim_end().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let output = child.wait_with_output().expect("its end");
            panic!("{name} began with {line:?} and said {:?}", complaint(&output));
        };
        Self { child, stdout, address }
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn signal(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a signal to a child");
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> End {
        let (mut output, mut complaint) = (String::new(), String::new());
        self.stdout.read_to_string(&mut output).expect("its output");
        self.child.stderr.take().expect("a pipe").read_to_string(&mut complaint).expect("its complaints");
        let status = self.child.wait().expect("its end");
        End { status, output, complaint }
    }

    pub(crate) fn stop(self) -> End {
        self.signal();
        self.wait()
    }
}

impl Drop for Server {
    /// Leaves nothing running, also after a test that failed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
