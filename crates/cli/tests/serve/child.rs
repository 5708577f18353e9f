//! The program as a child process, and a client that sends exactly what it is told.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

/// How often something is looked at that comes by itself, and how often at the most: half a minute in all.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 1500;

/// `annulus serve`, running. It is ended with this value, however the test ends.
pub(crate) struct Served {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    pub(crate) address: SocketAddr,
    pub(crate) announcement: String,
}

impl Served {
    /// Serves `directory` on a free port, and waits until the address is told.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = annulus();
        command.arg("serve").arg(directory).args(["--listen", "127.0.0.1:0"]).args(arguments);
        Self::run(command)
    }

    /// Runs a command, and waits until it tells the address.
    pub(crate) fn run(command: Command) -> Self {
        let mut served = Self::run_until(command, "http://");
        let address = served
            .announcement
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .and_then(|(address, _)| address.parse().ok());
        served.address = address.unwrap_or_else(|| panic!("no address in {:?}", served.announcement));
        served
    }

    /// Runs a command, and waits until it has said something on standard output.
    pub(crate) fn run_until(command: Command, word: &str) -> Self {
        Self::try_run_until(command, word).unwrap_or_else(|ended| panic!("it ended with {ended:?}"))
    }

    /// Runs a command, and waits until it has said something on standard output.
    ///
    /// # Errors
    /// If it ended without having said it: its status, and what it did say; on standard error only if that is a pipe.
    pub(crate) fn try_run_until(mut command: Command, word: &str) -> Result<Self, Output> {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let out = child.stdout.take().map(BufReader::new);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut served = Self { child, out, address, announcement: String::new() };
        while !served.announcement.contains(word) {
            let mut line = String::new();
            if served.out().read_line(&mut line).expect("a line of text") == 0 {
                return Err(served.end());
            }
            served.announcement.push_str(&line);
        }
        Ok(served)
    }

    /// Closes the pipe that its standard output goes into.
    pub(crate) fn close_output(&mut self) {
        self.out = None;
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_none()
    }

    fn out(&mut self) -> &mut BufReader<ChildStdout> {
        self.out.as_mut().expect("it was not closed")
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("it runs");
    }

    /// Waits until nobody listens at its address any more: it has heard a signal.
    pub(crate) fn wait_until_it_stops_listening(&self) {
        for _ in 0..LOOKS {
            if TcpStream::connect(self.address).is_err() {
                return;
            }
            thread::sleep(LOOK);
        }
        panic!("{} still listens", self.announcement);
    }

    /// Waits for it to end; half a minute is a defect.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        for _ in 0..LOOKS {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return status;
            }
            thread::sleep(LOOK);
        }
        panic!("{} did not end", self.announcement);
    }

    /// Waits for its end, with what it has said.
    fn end(mut self) -> Output {
        let mut stderr = Vec::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_end(&mut stderr).expect("readable");
        }
        Output { status: self.wait(), stdout: std::mem::take(&mut self.announcement).into_bytes(), stderr }
    }

    /// What it still says on standard output until it ends: its log.
    pub(crate) fn rest_of_output(&mut self) -> String {
        let mut rest = String::new();
        self.out().read_to_string(&mut rest).expect("text");
        rest
    }

    /// Open descriptors. A server opens all that it has for itself before it tells its address; what comes later are
    /// connections, files and folders.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.descriptor_folder()).expect("it runs").count()
    }

    fn descriptor_folder(&self) -> String {
        format!("/proc/{}/fd", self.child.id())
    }

    /// Waits until `count` or fewer descriptors are open.
    pub(crate) fn wait_for_descriptors(&self, count: usize) {
        for _ in 0..LOOKS {
            if self.descriptors() <= count {
                return;
            }
            thread::sleep(LOOK);
        }
        let open = fs::read_dir(self.descriptor_folder()).expect("it runs");
        // One that was closed meanwhile is none.
        let open: Vec<_> = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
        panic!("{} descriptors are open, not {count}: {open:?}", open.len());
    }

    /// A figure of /proc/PID/status, in KiB.
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {status}"))
    }

    /// Lets it open nothing any more.
    pub(crate) fn forbid_descriptors(&self) {
        let open: Vec<u64> = fs::read_dir(self.descriptor_folder())
            .expect("it runs")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        // The lowest number that is free: below it nothing is, and from it on nothing is allowed.
        let lowest = (0..).find(|number| !open.contains(number)).expect("some number");
        self.limit_descriptors(Some(lowest));
    }

    /// Lets it open as much again as these tests may.
    pub(crate) fn allow_descriptors(&self) {
        self.limit_descriptors(getrlimit(Resource::Nofile).current);
    }

    fn limit_descriptors(&self, current: Option<u64>) {
        let limit = Rlimit { current, maximum: getrlimit(Resource::Nofile).maximum };
        prlimit(Some(self.pid()), Resource::Nofile, limit).expect("allowed");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Fails if it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that cargo built for these tests.
pub(crate) fn annulus() -> Command {
    Command::new(env!("CARGO_BIN_EXE_annulus"))
}

/// Whether a program ended by itself, without fault.
pub(crate) fn is_clean(status: ExitStatus) -> bool {
    status.signal().is_none() && status.code() == Some(0)
}

/// A connection. It gives up after half a minute without a byte, so that no test hangs.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        Self { stream: BufReader::with_capacity(256 << 10, stream) }
    }

    pub(crate) fn send(&mut self, raw: &str) {
        self.stream.get_mut().write_all(raw.as_bytes()).expect("sent");
    }

    /// Asks for `path`; `headers` are whole lines, each with its CRLF.
    pub(crate) fn get(&mut self, path: &str, headers: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
    }

    /// Reads a head: its status, and its text.
    pub(crate) fn head(&mut self) -> (u16, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).expect("a line"), 0, "it ends after {head:?}");
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or_else(|| panic!("no status in {head:?}")), head)
    }

    /// Reads a whole response.
    pub(crate) fn response(&mut self) -> (u16, Vec<u8>) {
        let (status, head) = self.head();
        let mut body = vec![0; content_length(&head).try_into().expect("a small body")];
        self.stream.read_exact(&mut body).expect("the whole body");
        (status, body)
    }

    /// Reads so many bytes.
    pub(crate) fn skip(&mut self, bytes: u64) {
        let skipped = io::copy(&mut (&mut self.stream).take(bytes), &mut io::sink()).expect("more of it");
        assert_eq!(skipped, bytes, "it ended before");
    }

    /// How many bytes come until the end.
    pub(crate) fn count_rest(&mut self) -> u64 {
        let mut piece = vec![0; 256 << 10];
        let mut count = 0;
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return count,
                Ok(read) => count += read as u64,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return count,
                Err(error) => panic!("after {count} bytes: {error}"),
            }
        }
    }
}

pub(crate) fn content_length(head: &str) -> u64 {
    head.lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .and_then(|length| length.parse().ok())
        .unwrap_or_else(|| panic!("no length in {head}"))
}

/// A file of `size` bytes without blocks, but for these pieces.
pub(crate) fn sparse(path: &Path, size: u64, pieces: &[(u64, &[u8])]) {
    use std::os::unix::fs::FileExt as _;
    let file = File::create(path).expect("made");
    file.set_len(size).expect("this file system has room for holes");
    for (offset, bytes) in pieces {
        file.write_all_at(bytes, *offset).expect("written");
    }
}
