//! The server as a ring wants it: one accept for all connections, one receive for each, and buffers from a ring, out of
//! which the answers are sent.
#![allow(unsafe_code, reason = "pushes sends out of buffers that it holds until they have completed")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use annulus::types::Fd;
use annulus::{BufRing, Filled, cqueue, opcode};
use rustix::io::Errno;

use super::pool_of;
use super::queue::{Purpose, Queue};
use crate::backend::{Back, not_registered};
use crate::report::Fault;

/// The group of the one buffer ring.
const GROUP: u16 = 0;

/// Bytes of a buffer. A longer request comes in several.
pub(super) const BUFFER: u32 = 2048;

/// Serves until something fails.
pub(super) fn serve(
    back: Back,
    core: usize,
    connections: u32,
    listener: &TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    let queue = Queue::new(back, core, connections)?;
    let buffers = BufRing::register(&queue.submitter(), GROUP, pool_of(connections)?, BUFFER)
        .map_err(|error| not_registered("a ring of buffers", &error))?;
    let mut server = Server {
        queue,
        buffers: ManuallyDrop::new(Rc::new(buffers)),
        listener: Fd(listener.as_raw_fd()),
        connections: Vec::new(),
        starved: Vec::new(),
    };
    server.accept()?;
    ready()?;
    loop {
        server.turn()?;
    }
}

struct Server {
    queue: Queue,
    /// Never freed: receives and sends name this memory, and nobody waits for them when serving fails.
    buffers: ManuallyDrop<Rc<BufRing>>,
    listener: Fd,
    /// By descriptor.
    connections: Vec<Option<Connection>>,
    /// Connections whose receive ended because there was no buffer.
    starved: Vec<i32>,
}

#[derive(Default)]
struct Connection {
    /// What is to be sent, in its order; the first of them is on its way.
    answers: VecDeque<Filled<Rc<BufRing>>>,
    /// Bytes of the first that were sent.
    sent: usize,
    is_receiving: bool,
    has_ended: bool,
}

impl Server {
    fn turn(&mut self) -> Result<(), Fault> {
        let completed = self.queue.turn()?;
        {
            let buffers = Rc::clone(&self.buffers);
            // The kernel is shown all buffers of this turn at once.
            let _hold = buffers.hold();
            completed.iter().try_for_each(|completion| self.handle(completion))?;
        }
        self.queue.recycle(completed);
        for fd in std::mem::take(&mut self.starved) {
            self.receive(fd)?;
        }
        Ok(())
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<(), Fault> {
        let (purpose, fd) = Purpose::read(completion.user_data());
        match purpose {
            Purpose::Accept => self.accepted(completion),
            Purpose::Recv => self.received(fd, completion),
            Purpose::Send => self.sent(fd, completion),
            Purpose::Close => Ok(()),
        }
    }

    fn accepted(&mut self, completion: &cqueue::Entry) -> Result<(), Fault> {
        match completion.to_result() {
            Ok(fd) => {
                let place = fd as usize;
                if self.connections.len() <= place {
                    self.connections.resize_with(place + 1, || None);
                }
                self.connections[place] = Some(Connection::default());
                self.receive(fd.cast_signed())?;
            }
            // The client is gone already.
            Err(Errno::CONNABORTED) => {}
            Err(errno) => return Err(Fault::Failed(format!("accept: {errno}"))),
        }
        if completion.has_more() { Ok(()) } else { self.accept() }
    }

    fn received(&mut self, fd: i32, completion: &cqueue::Entry) -> Result<(), Fault> {
        let filled = Filled::of(Rc::clone(&self.buffers), completion.flags(), completion.result());
        let connection = connection(&mut self.connections, fd);
        connection.is_receiving = completion.has_more();
        match completion.to_result() {
            Err(Errno::NOBUFS) => {
                self.starved.push(fd);
                return Ok(());
            }
            Ok(0) | Err(_) => connection.has_ended = true,
            Ok(_) => {}
        }
        if let Some(filled) = filled.filter(|filled| !filled.is_empty()) {
            connection.answers.push_back(filled);
            if connection.answers.len() == 1 {
                self.send(fd)?;
            }
        }
        self.go_on(fd)
    }

    fn sent(&mut self, fd: i32, completion: &cqueue::Entry) -> Result<(), Fault> {
        let connection = connection(&mut self.connections, fd);
        match completion.to_result() {
            Ok(count) => connection.sent += count as usize,
            // The client is gone; what else it should get goes with it.
            Err(_) => {
                connection.has_ended = true;
                connection.answers.truncate(1);
                connection.sent = usize::MAX;
            }
        }
        if connection.answers.front().is_none_or(|answer| connection.sent >= answer.len()) {
            connection.answers.pop_front();
            connection.sent = 0;
        }
        if !connection.answers.is_empty() {
            self.send(fd)?;
        }
        self.go_on(fd)
    }

    /// Receives again if the receive has ended and the client has not; closes when everything is done.
    fn go_on(&mut self, fd: i32) -> Result<(), Fault> {
        let connection = connection(&mut self.connections, fd);
        if connection.is_receiving || self.starved.contains(&fd) {
            return Ok(());
        }
        if !connection.has_ended {
            return self.receive(fd);
        }
        if connection.answers.is_empty() {
            self.connections[place(fd)] = None;
            let close = opcode::Close::new(Fd(fd)).build().user_data(Purpose::Close.of(fd));
            // SAFETY: a close names no memory, and nothing else of this descriptor is in flight.
            unsafe { self.queue.push(&close) }?;
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<(), Fault> {
        let accept = opcode::AcceptMulti::new(self.listener).flags(libc::SOCK_CLOEXEC).build();
        // SAFETY: an accept without an address names no memory.
        Ok(unsafe { self.queue.push(&accept.user_data(Purpose::Accept.of(0))) }?)
    }

    fn receive(&mut self, fd: i32) -> Result<(), Fault> {
        connection(&mut self.connections, fd).is_receiving = true;
        let recv = opcode::RecvMulti::new(Fd(fd), GROUP).build().user_data(Purpose::Recv.of(fd));
        // SAFETY: it names the buffers of the group, which are never freed.
        Ok(unsafe { self.queue.push(&recv) }?)
    }

    /// Sends what the first buffer still holds.
    fn send(&mut self, fd: i32) -> Result<(), Fault> {
        let connection = connection(&mut self.connections, fd);
        let Some(bytes) = connection.answers.front().and_then(Filled::as_slice) else { return Ok(()) };
        let rest = &bytes[connection.sent..];
        let length = u32::try_from(rest.len()).map_err(io::Error::other)?;
        let send = opcode::Send::new(Fd(fd), rest.as_ptr(), length)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .user_data(Purpose::Send.of(fd));
        // SAFETY: the buffer stays the program's until `sent` lets go of it, and its memory is never freed.
        Ok(unsafe { self.queue.push(&send) }?)
    }
}

fn place(fd: i32) -> usize {
    fd.unsigned_abs() as usize
}

/// The connection of a descriptor with operations in flight: it goes only with the last of them.
fn connection(connections: &mut [Option<Connection>], fd: i32) -> &mut Connection {
    connections[place(fd)].as_mut().expect("a connection stays until its last operation has completed")
}
