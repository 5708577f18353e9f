//! The server on epoll(7), level-triggered, by hand: receive, send at once, and wait only for a socket that takes no
//! more.

use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use super::BUFFER;
use crate::report::Fault;

/// What the listener is known by: no descriptor has this number.
const LISTENER: u64 = u64::MAX;

/// Events taken at once.
const EVENTS: usize = 512;

/// Serves until something fails.
pub(super) fn serve(
    listener: &TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(io::Error::from)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN).map_err(io::Error::from)?;
    let mut server = Server { epoll, connections: Vec::new(), buffer: vec![0; BUFFER as usize] };
    ready()?;
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Err(Errno::INTR) => {}
            waited => drop(waited.map_err(io::Error::from)?),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => server.accept(listener)?,
                fd => server.serve(usize::try_from(fd).map_err(io::Error::other)?)?,
            }
        }
    }
}

struct Server {
    epoll: OwnedFd,
    /// By descriptor.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// What the socket did not take yet. Nothing is received meanwhile.
    unsent: Vec<u8>,
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                },
            };
            stream.set_nonblocking(true)?;
            let fd = stream.as_raw_fd().unsigned_abs();
            epoll::add(&self.epoll, &stream, EventData::new_u64(fd.into()), EventFlags::IN)?;
            let place = fd as usize;
            if self.connections.len() <= place {
                self.connections.resize_with(place + 1, || None);
            }
            self.connections[place] = Some(Connection { stream, unsent: Vec::new() });
        }
    }

    fn serve(&mut self, place: usize) -> io::Result<()> {
        let Some(connection) = self.connections[place].as_mut() else { return Ok(()) };
        let was_full = !connection.unsent.is_empty();
        let outcome = if was_full { connection.flush() } else { connection.echo(&mut self.buffer) };
        match outcome {
            Ok(true) => {
                let is_full = !connection.unsent.is_empty();
                if is_full != was_full {
                    let wanted = if is_full { EventFlags::OUT } else { EventFlags::IN };
                    epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(place as u64), wanted)?;
                }
                Ok(())
            }
            // The end of the stream, or a client that is gone: closing takes the socket out of the set.
            Ok(false) | Err(_) => {
                self.connections[place] = None;
                Ok(())
            }
        }
    }
}

impl Connection {
    /// Receives once and sends that back; whether the stream goes on.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let received = match self.stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(received) => received,
            Err(error) => return is_passing(&error).then_some(true).ok_or(error),
        };
        let sent = self.send(&buffer[..received])?;
        self.unsent.extend_from_slice(&buffer[sent..received]);
        Ok(true)
    }

    /// Sends what the socket did not take before.
    fn flush(&mut self) -> io::Result<bool> {
        let unsent = std::mem::take(&mut self.unsent);
        let sent = self.send(&unsent)?;
        self.unsent.extend_from_slice(&unsent[sent..]);
        Ok(true)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Err(error) if is_passing(&error) => Ok(0),
            sent => sent,
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
