//! What programs work on: files, pipes, sockets, made when they are first used.
//!
//! All of it belongs to one run and is gone with it. Nothing here waits: what the program does by itself
//! is done at once or answered with an errno.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use tempfile::TempDir;

use super::program::{PATHS, Target};

/// The lengths of the three files that are there at first.
const FILE_LENGTHS: [usize; 3] = [100, 9000, 0];

/// The things of one run.
#[derive(Debug, Default)]
pub(super) struct World {
    directory: Option<(TempDir, OwnedFd)>,
    own: BTreeMap<Target, OwnedFd>,
    /// What the program closed itself, which stays away.
    closed: Vec<Target>,
    /// Descriptors that requests made.
    made: BTreeMap<u16, RawFd>,
    /// Descriptors that requests made, or should have closed, and that nothing names any more.
    nameless: Vec<RawFd>,
    /// Connections that the program opened to the listener, kept open until the end.
    dialled: Vec<TcpStream>,
    address: Option<SocketAddr>,
}

impl World {
    /// The number of a descriptor; -1 for one that is not there.
    pub(super) fn fd(&mut self, target: Target) -> RawFd {
        match target {
            Target::Bad | Target::Slot(_) => -1,
            Target::Made(name) => self.made.get(&name).copied().unwrap_or(-1),
            own => self.own(own).map_or(-1, |fd| fd.as_raw_fd()),
        }
    }

    /// Another descriptor of the same thing, which its caller closes.
    pub(super) fn duplicate(&mut self, target: Target) -> Option<OwnedFd> {
        self.own(target).and_then(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 0).ok())
    }

    /// The directory that paths are beneath.
    pub(super) fn directory(&mut self) -> RawFd {
        self.make_directory();
        self.directory.as_ref().map_or(-1, |(_, fd)| fd.as_raw_fd())
    }

    /// Where the listener listens.
    pub(super) fn address(&mut self) -> SocketAddr {
        self.own(Target::Listener);
        self.address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    /// Notes a descriptor that a request made.
    pub(super) fn adopt(&mut self, name: u16, fd: RawFd) {
        // A request that makes several goes by the last; the others wait for the end.
        self.nameless.extend(self.made.insert(name, fd));
    }

    /// Notes a descriptor that is to be closed at the end.
    pub(super) fn adopt_nameless(&mut self, fd: RawFd) {
        self.nameless.push(fd);
    }

    /// Gives a descriptor that a request made to the request that closes it.
    pub(super) fn give_away(&mut self, name: u16) -> Option<RawFd> {
        self.made.remove(&name)
    }

    /// Everything that is left to be closed by its number.
    #[must_use]
    pub(super) fn made(&self) -> Vec<RawFd> {
        self.made.values().chain(&self.nameless).copied().collect()
    }

    /// Writes to it, as much as there is room for now.
    ///
    /// # Errors
    ///
    /// What the write says; `EAGAIN` if there is no room, `EBADF` if it is not there.
    pub(super) fn feed(&mut self, target: Target, bytes: &[u8]) -> Result<usize, Errno> {
        let fd = self.own(target).ok_or(Errno::BADF)?;
        match target {
            Target::Near(_)
            | Target::Far(_)
            | Target::Client
            | Target::Server
            | Target::Sender
            | Target::Mailbox => rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Target::Event => {
                let one = 3_u64.to_ne_bytes();
                rustix::io::write(fd, &one)
            }
            _ => {
                ready(fd, PollFlags::OUT)?;
                rustix::io::write(fd, bytes)
            }
        }
    }

    /// Reads what is there now.
    ///
    /// # Errors
    ///
    /// What the read says; `EAGAIN` if nothing is there, `EBADF` if the thing itself is not.
    pub(super) fn take(&mut self, target: Target, len: usize) -> Result<Vec<u8>, Errno> {
        let fd = self.own(target).ok_or(Errno::BADF)?;
        let mut bytes = vec![0; len];
        let count = match target {
            Target::Near(_)
            | Target::Far(_)
            | Target::Client
            | Target::Server
            | Target::Sender
            | Target::Mailbox => rustix::net::recv(fd, &mut bytes, RecvFlags::DONTWAIT)?.0,
            Target::File(_) => rustix::io::pread(fd, &mut bytes, 0)?,
            _ => {
                ready(fd, PollFlags::IN)?;
                rustix::io::read(fd, &mut bytes)?
            }
        };
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Closes a descriptor of the program's.
    pub(super) fn close(&mut self, target: Target) {
        self.own.remove(&target);
        self.closed.push(target);
    }

    /// Shuts a socket down.
    ///
    /// # Errors
    ///
    /// What shutdown(2) says.
    pub(super) fn shut_down(&mut self, target: Target, how: u8) -> Result<(), Errno> {
        let fd = self.own(target).ok_or(Errno::BADF)?;
        let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][usize::from(how.min(2))];
        rustix::net::shutdown(fd, how)
    }

    /// Connects to the listener.
    pub(super) fn dial(&mut self) {
        let address = self.address();
        if !self.closed.contains(&Target::Listener) {
            self.dialled.extend(TcpStream::connect(address));
        }
    }

    /// What is left in everything that was used, thing by thing.
    pub(super) fn rest(&mut self) -> Vec<(String, Vec<u8>)> {
        let targets: Vec<Target> = self.own.keys().copied().collect();
        let mut rest = Vec::new();
        for target in targets {
            if matches!(target, Target::Listener | Target::Writer(_)) {
                continue;
            }
            let what = match self.take(target, 1 << 16) {
                Ok(bytes) => bytes,
                Err(errno) => format!("{errno:?}").into_bytes(),
            };
            rest.push((format!("{target:?}"), what));
        }
        rest.extend(self.tree());
        rest
    }

    /// The names in the directory, with kind and size.
    fn tree(&self) -> Vec<(String, Vec<u8>)> {
        let Some((directory, _)) = &self.directory else { return Vec::new() };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory.path()).into_iter().flatten().flatten() {
            let kind = entry.file_type().map(|kind| format!("{kind:?}")).unwrap_or_default();
            let size = entry.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
            names.push((
                entry.file_name().to_string_lossy().into_owned(),
                format!("{kind} {size:?}").into_bytes(),
            ));
        }
        names.sort();
        names
    }

    fn own(&mut self, target: Target) -> Option<BorrowedFd<'_>> {
        if self.closed.contains(&target) {
            return None;
        }
        if !self.own.contains_key(&target) {
            self.make(target);
        }
        self.own.get(&target).map(AsFd::as_fd)
    }

    /// Makes a thing, with its other end if it has one.
    fn make(&mut self, target: Target) {
        match target {
            Target::File(_) => self.make_directory(),
            Target::Reader(n) | Target::Writer(n) => {
                let (reader, writer) =
                    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
                rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("a pipe of one page");
                self.put(Target::Reader(n), reader);
                self.put(Target::Writer(n), writer);
            }
            Target::Near(n) | Target::Far(n) => {
                self.pair(SocketType::STREAM, Target::Near(n), Target::Far(n))
            }
            Target::Sender | Target::Mailbox => {
                self.pair(SocketType::DGRAM, Target::Sender, Target::Mailbox);
            }
            Target::Client | Target::Server => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
                let address = listener.local_addr().expect("its address");
                let client = TcpStream::connect(address).expect("a connection");
                let (server, _) = listener.accept().expect("its other end");
                client.set_nodelay(true).expect("an option");
                server.set_nodelay(true).expect("an option");
                self.put(Target::Client, client.into());
                self.put(Target::Server, server.into());
            }
            Target::Listener => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
                self.address = listener.local_addr().ok();
                self.put(target, listener.into());
            }
            Target::Event => {
                let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
                self.put(target, event);
            }
            Target::Slot(_) | Target::Made(_) | Target::Bad => {}
        }
    }

    fn pair(&mut self, kind: SocketType, one: Target, other: Target) {
        let (first, second) = rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
            .expect("a pair of sockets");
        self.put(one, first);
        self.put(other, second);
    }

    fn put(&mut self, target: Target, fd: OwnedFd) {
        if !self.closed.contains(&target) {
            self.own.insert(target, fd);
        }
    }

    /// Makes the directory with its three files, which stay open whatever becomes of their names.
    fn make_directory(&mut self) {
        if self.directory.is_some() {
            return;
        }
        let directory = TempDir::new_in(scratch()).expect("a directory");
        for ((n, name), len) in (0..).zip(PATHS).zip(FILE_LENGTHS) {
            let contents: Vec<u8> = (0..len).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
            let path = directory.path().join(name);
            std::fs::write(&path, contents).expect("a file of the program");
            let file = File::options().read(true).write(true).open(path).expect("the file of the program");
            self.put(Target::File(n), file.into());
        }
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(directory.path(), flags, FileMode::empty()).expect("the directory");
        self.directory = Some((directory, fd));
    }
}

/// Where the files of programs lie: in memory, if the machine has such a place.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// Whether it can be read or written now.
fn ready(fd: BorrowedFd<'_>, what: PollFlags) -> Result<(), Errno> {
    let mut fds = [PollFd::from_borrowed_fd(fd, what)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::event::poll(&mut fds, Some(&now))? {
        0 => Err(Errno::AGAIN),
        _ => Ok(()),
    }
}
