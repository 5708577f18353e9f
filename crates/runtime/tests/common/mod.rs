//! What the tests share: counting descriptors, a pair of connected streams, a port that nobody listens on.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::print_stdout, reason = "what is skipped says so")]

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use annulus::opcode::FixedFdInstall;
use annulus::{BackendChoice, IoUring, Probe, environment};
use annulus_rt::cancel::Canceller;
use annulus_rt::net::{TcpListener, TcpStream};
use annulus_rt::time::{now, sleep};
use annulus_rt::{JoinHandle, counters, spawn, yield_now};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Allows as many descriptors as there may be: on the engine each request that waits has one, of the 1,024 that are usual.
pub(crate) fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
}

/// How many descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    // The one that lists them is among them, each time.
    fs::read_dir("/proc/self/fd").expect("/proc is mounted").count()
}

/// How long is waited for what comes by itself, however much else the machine has to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits on this thread until so many descriptors are open. When a run is over, a helper thread may still hold for a moment
/// what it woke that run by, and a worker of the engine what it worked on.
pub(crate) fn until_descriptors(expected: usize) {
    let end = now() + PATIENCE;
    while descriptors() != expected {
        assert!(
            now() < end,
            "{} descriptors are open instead of {expected}: {:?}",
            descriptors(),
            open_files()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What the descriptors of this process are.
fn open_files() -> Vec<PathBuf> {
    let links = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    // One that was closed meanwhile is none.
    links.filter_map(|link| fs::read_link(link.ok()?.path()).ok()).collect()
}

/// Runs `test` in a process of its own: descriptors and signals are the process's, and other tests run in
/// this one at the same time. `name` is the full name of the test that calls this.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    const INSIDE: &str = "ANNULUS_RT_TEST_ALONE";
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let program = std::env::current_exe().expect("a test program has a path");
    let mut child = Command::new(program);
    child.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = child.output().expect("a test program can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{name} alone: {text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `test` in a thread of its own, in which io_uring_setup(2) answers `errno`.
pub(crate) fn with_setup_answering<T: Send>(errno: i32, test: impl FnOnce() -> T + Send) -> T {
    const IO_URING_SETUP: i64 = 425;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let filter = SeccompFilter::new(
                [(IO_URING_SETUP, Vec::new())].into(),
                SeccompAction::Allow,
                SeccompAction::Errno(errno.unsigned_abs()),
                std::env::consts::ARCH.try_into().unwrap(),
            );
            let program: BpfProgram = filter.unwrap().try_into().unwrap();
            seccompiler::apply_filter(&program).unwrap();
            test()
        });
        thread.join().unwrap()
    })
}

/// Whether this run is that of [`again_on_the_engine`], or somebody's who wants the engine everywhere.
pub(crate) fn on_the_engine() -> bool {
    environment::backend_choice() == Ok(BackendChoice::Engine)
}

/// Whether rings have tables of files that do all that is wanted of them.
pub(crate) fn has_table_of_files() -> bool {
    let has = knows(FixedFdInstall::CODE);
    if !has {
        println!("SKIP: what is in a table of files cannot leave it (Linux 6.8)");
    }
    has
}

/// Whether the ring knows an opcode: what came with it is there too.
pub(crate) fn knows(opcode: u8) -> bool {
    let mut probe = Probe::new();
    IoUring::new(2).unwrap().submitter().register_probe(&mut probe).unwrap();
    on_the_engine() || probe.is_supported(opcode)
}

/// Runs the tests of this program again in another process, on the engine. `name` is the full name of the test that calls
/// this, and does nothing else.
pub(crate) fn again_on_the_engine(name: &str) {
    if on_the_engine() {
        return;
    }
    let program = std::env::current_exe().expect("a test program has a path");
    let mut again = Command::new(program);
    again.args(["--exact", "--skip", name]).env(environment::BACKEND_VARIABLE, "engine");
    let output = again.output().expect("a test program can be run again");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !text.contains(" 0 passed"), "on the engine: {text}{errors}");
}

/// A port of this machine's own address that is bound and not listened on, for as long as the socket lives: nobody else
/// gets it meanwhile but who asks to share it (`SO_REUSEPORT`).
pub(crate) fn silent_port() -> (OwnedFd, SocketAddr) {
    let socket =
        net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_reuseport(&socket, true).unwrap();
    net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = net::getsockname(&socket).unwrap();
    (socket, address.try_into().unwrap())
}

/// Whether this machine has IPv6; says so if it has not.
pub(crate) fn has_ipv6() -> bool {
    let has = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if !has {
        // Nobody is left to tell if standard error is gone.
        let _ = writeln!(std::io::stderr(), "SKIP: this machine has no IPv6");
    }
    has
}

/// Two ends of a connection.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    // The system's backlog takes the connection; accepting can follow.
    let near = TcpStream::connect(address).await.unwrap();
    (near, listener.accept().await.unwrap())
}

/// An empty folder on the disk that this was built on, as `/tmp` may be memory.
pub(crate) fn on_disk() -> tempfile::TempDir {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Another machine than that on which this was built has no such folder.
    if target.is_dir() { tempfile::tempdir_in(target).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A folder with a file, a folder and a link out of it.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("file")).unwrap().write_all(b"0123456789").unwrap();
    fs::create_dir(folder.path().join("below")).unwrap();
    symlink("/etc", folder.path().join("out")).unwrap();
    folder
}

/// Small numbers that a seed decides.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Waits for so many turns of the executor.
pub(crate) async fn turns(turns: u64) {
    for _ in 0..turns {
        yield_now().await;
    }
}

/// Waits until this many operations are in flight, and were handed over.
pub(crate) async fn in_flight(count: usize) {
    while counters().in_flight != count {
        yield_now().await;
    }
    turns(2).await;
}

/// How many descriptors are open when nothing is in flight any more, and the number has not changed for a while: helper
/// threads, workers of the engine and the kernel's own close by and by.
pub(crate) async fn settled_descriptors() -> usize {
    in_flight(0).await;
    let (mut open, mut looks) = (descriptors(), 0);
    while looks < 10 {
        sleep(Duration::from_millis(1)).await;
        let now = descriptors();
        looks = if now == open { looks + 1 } else { 0 };
        open = now;
    }
    in_flight(0).await;
    open
}

/// Waits until nothing is in flight and no more than so many descriptors are open.
pub(crate) async fn settled_at(most: usize) {
    in_flight(0).await;
    let end = now() + PATIENCE;
    while descriptors() > most {
        assert!(now() < end, "{} descriptors are open instead of {most}: {:?}", descriptors(), open_files());
        sleep(Duration::from_millis(1)).await;
    }
    in_flight(0).await;
}

/// Waits until nothing is in flight and no more descriptors are open than the first time, of which it makes a note: what
/// the engine opens when it is first needed stays until the ring goes.
pub(crate) async fn leaves_none_more(first: &mut Option<usize>) {
    match *first {
        Some(first) => settled_at(first).await,
        None => *first = Some(settled_descriptors().await),
    }
}

/// Starts a task under a canceller of its own.
pub(crate) fn under<F>(future: F) -> (Canceller, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    let canceller = Canceller::new();
    let task = spawn({
        let canceller = canceller.clone();
        async move { canceller.run(future).await }
    });
    (canceller, task)
}
