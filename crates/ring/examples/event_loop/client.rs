//! One client: a state machine that sockets and the ring drive by turns.
//!
//! Nothing here waits. Each step goes as far as it can and says what it needs: readiness of the socket, which
//! epoll reports, or the end of an operation, which the ring does.

use std::ffi::CString;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use annulus::owned::{Directory, Handle, Key, Open, OwnedRing, Read, Refused, Ticket};
use rustix::io::Errno;

const BLOCK: usize = 64 * 1024;
const LONGEST_NAME: usize = 4096;

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Readable,
    Writable,
    /// This operation's end.
    Operation(Key),
    /// A place in the ring: to be asked again after the next submit.
    Room,
    /// Nothing: the client is done.
    Done,
}

enum State {
    Asking { line: Vec<u8> },
    ToOpen { name: CString },
    Opening { open: Ticket<Open> },
    ToRead { file: Handle, offset: u64, block: Vec<u8> },
    Reading { file: Handle, offset: u64, read: Ticket<Read<Vec<u8>>> },
    Sending { rest: Option<(Handle, u64)>, block: Vec<u8>, sent: usize },
    Ending,
}

pub(crate) struct Client {
    stream: TcpStream,
    state: State,
    /// What it was told to wait for, and since how many ticks it does.
    pub(crate) need: Need,
    pub(crate) idle_ticks: u32,
    pub(crate) sent: u64,
}

impl Client {
    pub(crate) const fn new(stream: TcpStream) -> Self {
        let state = State::Asking { line: Vec::new() };
        Self { stream, state, need: Need::Readable, idle_ticks: 0, sent: 0 }
    }

    pub(crate) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Goes as far as it can. An error is the client's end.
    pub(crate) fn advance(&mut self, ring: &mut OwnedRing, folder: &Directory) -> io::Result<Need> {
        self.idle_ticks = 0;
        loop {
            let state = std::mem::replace(&mut self.state, State::Asking { line: Vec::new() });
            let (next, need) = match state {
                State::Asking { line } => self.ask(line)?,
                State::ToOpen { name } => start_open(ring, folder, name),
                State::Opening { open } => opened(ring, open),
                State::ToRead { file, offset, block } => start_read(ring, file, offset, block),
                State::Reading { file, offset, read } => finish_read(ring, file, offset, read),
                State::Sending { rest, block, sent } => self.send(rest, block, sent)?,
                State::Ending => self.end()?,
            };
            self.state = next;
            if let Some(need) = need {
                return Ok(need);
            }
        }
    }

    /// Reads the name of a file, as much of it as has come.
    fn ask(&mut self, mut line: Vec<u8>) -> io::Result<(State, Option<Need>)> {
        let mut bytes = [0; 512];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok((State::Asking { line }, Some(Need::Done))),
                Ok(len) => line.extend_from_slice(&bytes[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((State::Asking { line }, Some(Need::Readable)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                line.truncate(end);
                let name = CString::new(line);
                return Ok(
                    name.map_or_else(|_| complaint(Errno::INVAL), |name| (State::ToOpen { name }, None))
                );
            }
            if line.len() > LONGEST_NAME {
                return Ok(complaint(Errno::NAMETOOLONG));
            }
        }
    }

    fn send(
        &mut self,
        rest: Option<(Handle, u64)>,
        block: Vec<u8>,
        mut sent: usize,
    ) -> io::Result<(State, Option<Need>)> {
        while sent < block.len() {
            match self.stream.write(&block[sent..]) {
                Ok(len) => {
                    sent += len;
                    self.sent += len as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((State::Sending { rest, block, sent }, Some(Need::Writable)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match rest {
            Some((file, offset)) => Ok((State::ToRead { file, offset, block }, None)),
            None => {
                self.stream.shutdown(Shutdown::Write)?;
                Ok((State::Ending, None))
            }
        }
    }

    /// Reads what the client still says, until it hangs up: a close before that could cost it the end of the file.
    fn end(&mut self) -> io::Result<(State, Option<Need>)> {
        loop {
            match self.stream.read(&mut [0; 512]) {
                Ok(0) => return Ok((State::Ending, Some(Need::Done))),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((State::Ending, Some(Need::Readable)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn start_open(ring: &mut OwnedRing, folder: &Directory, name: CString) -> (State, Option<Need>) {
    let inside = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    // A pipe without a writer must not block: it is empty then.
    let open = Open::new(name.clone()).at(folder).flags(libc::O_RDONLY | libc::O_NONBLOCK).resolve(inside);
    match ring.push(open) {
        Ok(open) => (State::Opening { open }, Some(Need::Operation(open.key()))),
        Err(Refused(_)) => (State::ToOpen { name }, Some(Need::Room)),
    }
}

fn opened(ring: &mut OwnedRing, open: Ticket<Open>) -> (State, Option<Need>) {
    match ring.take(open) {
        None => (State::Opening { open }, Some(Need::Operation(open.key()))),
        Some(Ok(file)) => {
            (State::ToRead { file: file.into(), offset: 0, block: Vec::with_capacity(BLOCK) }, None)
        }
        Some(Err(errno)) => complaint(errno),
    }
}

fn start_read(ring: &mut OwnedRing, file: Handle, offset: u64, block: Vec<u8>) -> (State, Option<Need>) {
    match ring.push(Read::new(&file, block).offset(offset)) {
        Ok(read) => (State::Reading { file, offset, read }, Some(Need::Operation(read.key()))),
        // The ring gives the buffer back inside the operation; a new one is as good.
        Err(Refused(_)) => {
            (State::ToRead { file, offset, block: Vec::with_capacity(BLOCK) }, Some(Need::Room))
        }
    }
}

fn finish_read(
    ring: &mut OwnedRing,
    file: Handle,
    offset: u64,
    read: Ticket<Read<Vec<u8>>>,
) -> (State, Option<Need>) {
    match ring.take(read) {
        None => (State::Reading { file, offset, read }, Some(Need::Operation(read.key()))),
        Some((Ok(0), block)) => (State::Sending { rest: None, sent: block.len(), block }, None),
        Some((Ok(len), block)) => {
            (State::Sending { rest: Some((file, offset + len as u64)), block, sent: 0 }, None)
        }
        Some((Err(Errno::INTR), block)) => (State::ToRead { file, offset, block }, None),
        Some((Err(errno), _)) => complaint(errno),
    }
}

/// Tells the client what is wrong, and then ends.
fn complaint(errno: Errno) -> (State, Option<Need>) {
    let block = format!("error: {errno}\n").into_bytes();
    (State::Sending { rest: None, block, sent: 0 }, None)
}
