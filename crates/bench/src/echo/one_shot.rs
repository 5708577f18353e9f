//! The server on a ring as one writes it first: an entry for each accept, each receive and each send.
#![allow(unsafe_code, reason = "pushes receives into buffers that are never freed")]

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use annulus::types::Fd;
use annulus::{cqueue, opcode};
use rustix::io::Errno;

use super::BUFFER;
use super::queue::{Purpose, Queue};
use crate::backend::Back;
use crate::report::Fault;

/// Serves until something fails.
pub(super) fn serve(
    back: Back,
    core: usize,
    connections: u32,
    listener: &TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    let queue = Queue::new(back, core, connections)?;
    let mut server = Server { queue, listener: Fd(listener.as_raw_fd()), connections: Vec::new() };
    server.accept()?;
    ready()?;
    loop {
        let completed = server.queue.turn()?;
        completed.iter().try_for_each(|completion| server.handle(completion))?;
        server.queue.recycle(completed);
    }
}

struct Server {
    queue: Queue,
    listener: Fd,
    /// By descriptor. One that is closed leaves its buffer to the next of its number.
    connections: Vec<Option<Connection>>,
}

/// A connection has one operation in flight at a time, which is its buffer's one user.
#[derive(Clone, Copy)]
struct Connection {
    /// `BUFFER` bytes that are never freed: when serving fails, nobody waits for what is in flight.
    buffer: NonNull<u8>,
    /// Which bytes are still to be sent.
    sent: u32,
    received: u32,
}

impl Connection {
    fn new() -> Self {
        let buffer = Box::leak(vec![0_u8; BUFFER as usize].into_boxed_slice());
        Self { buffer: NonNull::from(buffer).cast(), sent: 0, received: 0 }
    }
}

impl Server {
    fn handle(&mut self, completion: &cqueue::Entry) -> Result<(), Fault> {
        let (purpose, fd) = Purpose::read(completion.user_data());
        match purpose {
            Purpose::Accept => self.accepted(completion),
            Purpose::Recv => match completion.to_result() {
                Ok(0) | Err(_) => self.close(fd),
                Ok(received) => self.answer(fd, received),
            },
            Purpose::Send => match completion.to_result() {
                Err(_) => self.close(fd),
                Ok(sent) => self.sent(fd, sent),
            },
            Purpose::Close => Ok(()),
        }
    }

    fn accepted(&mut self, completion: &cqueue::Entry) -> Result<(), Fault> {
        match completion.to_result() {
            Ok(fd) => {
                let place = fd as usize;
                if self.connections.len() <= place {
                    self.connections.resize(place + 1, None);
                }
                self.connections[place].get_or_insert_with(Connection::new);
                self.receive(fd.cast_signed())?;
            }
            // The client is gone already.
            Err(Errno::CONNABORTED) => {}
            Err(errno) => return Err(Fault::Failed(format!("accept: {errno}"))),
        }
        self.accept()
    }

    fn answer(&mut self, fd: i32, received: u32) -> Result<(), Fault> {
        let connection = self.connection(fd);
        (connection.sent, connection.received) = (0, received);
        self.send(fd)
    }

    fn sent(&mut self, fd: i32, sent: u32) -> Result<(), Fault> {
        let connection = self.connection(fd);
        connection.sent += sent;
        if connection.sent < connection.received { self.send(fd) } else { self.receive(fd) }
    }

    fn accept(&mut self) -> Result<(), Fault> {
        let accept = opcode::Accept::new(self.listener, ptr::null_mut(), ptr::null_mut());
        let accept = accept.flags(libc::SOCK_CLOEXEC).build().user_data(Purpose::Accept.of(0));
        // SAFETY: an accept without an address names no memory.
        Ok(unsafe { self.queue.push(&accept) }?)
    }

    fn receive(&mut self, fd: i32) -> Result<(), Fault> {
        let buffer = self.connection(fd).buffer;
        let recv = opcode::Recv::new(Fd(fd), buffer.as_ptr(), BUFFER).build().user_data(Purpose::Recv.of(fd));
        // SAFETY: the buffer has this many bytes, is never freed, and has no other user.
        Ok(unsafe { self.queue.push(&recv) }?)
    }

    fn send(&mut self, fd: i32) -> Result<(), Fault> {
        let Connection { buffer, sent, received } = *self.connection(fd);
        // The address of a part: the kernel reads there, this program does not.
        let rest = buffer.as_ptr().wrapping_add(sent as usize);
        let send = opcode::Send::new(Fd(fd), rest, received - sent).flags(libc::MSG_NOSIGNAL).build();
        // SAFETY: as in `receive`; the part lies inside what was received.
        Ok(unsafe { self.queue.push(&send.user_data(Purpose::Send.of(fd))) }?)
    }

    fn close(&mut self, fd: i32) -> Result<(), Fault> {
        let close = opcode::Close::new(Fd(fd)).build().user_data(Purpose::Close.of(fd));
        // SAFETY: a close names no memory, and nothing else of this descriptor is in flight.
        Ok(unsafe { self.queue.push(&close) }?)
    }

    fn connection(&mut self, fd: i32) -> &mut Connection {
        self.connections[fd.unsigned_abs() as usize].as_mut().expect("a descriptor that was accepted")
    }
}
