//! The loop: what each completion leads to.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::{io, mem, ptr};

use annulus::abi::SetupFlags;
use annulus::types::{CancelBuilder, Fd, Timespec};
use annulus::{Builder, IoUring, opcode, squeue};
use rustix::io::Errno;
use slab::Slab;

use crate::connection::{BUFFER, Connection};
use crate::options::{Mode, Options};
use crate::queue::{Event, Purpose, Queue};

/// How long the polling thread looks for submissions before it sleeps.
const IDLE_MS: u32 = 500;

/// How long connections have to end by themselves after a signal.
static GRACE: Timespec = Timespec::new().sec(2);

/// What there is to say at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) connections: u64,
    pub(crate) bytes: u64,
}

pub(crate) struct Server<'a> {
    sockets: Queue,
    /// A ring that polls devices, if the mode has one, and whether the greeting's device can be polled.
    polled: Option<Queue>,
    can_poll: bool,
    listener: &'a TcpListener,
    signals: &'a OwnedFd,
    greeting: Option<File>,
    connections: Slab<Connection>,
    accepting: bool,
    /// One accept serves all connections, until a kernel before 5.19 says that it cannot.
    multishot: bool,
    stopping: bool,
    totals: Totals,
}

impl<'a> Server<'a> {
    pub(crate) fn new(
        options: &Options,
        listener: &'a TcpListener,
        signals: &'a OwnedFd,
    ) -> io::Result<Self> {
        let of_file = |path: &Path, error| io::Error::other(format!("{}: {error}", path.display()));
        let open = |path: &Path| open_greeting(path, options.mode).map_err(|error| of_file(path, error));
        Ok(Self {
            sockets: Queue::new(sockets(options.mode).build(options.entries)?),
            polled: devices(options.mode).map(|builder| builder.build(8).map(Queue::new)).transpose()?,
            can_poll: true,
            listener,
            signals,
            greeting: options.greeting.as_deref().map(open).transpose()?,
            connections: Slab::new(),
            accepting: false,
            multishot: true,
            stopping: false,
            totals: Totals::default(),
        })
    }

    /// Serves until a signal comes.
    pub(crate) fn run(mut self) -> io::Result<Totals> {
        let served = self.serve();
        if self.finish().is_err() {
            // Operations that may still be in flight use these buffers.
            mem::forget(mem::take(&mut self.connections));
        }
        served.map(|()| self.totals)
    }

    fn serve(&mut self) -> io::Result<()> {
        let signal = opcode::PollAdd::new(Fd(self.signals.as_raw_fd()), libc::POLLIN.unsigned_abs().into());
        self.push(signal.build().user_data(Purpose::Signal.of(0)));
        self.accept();
        let mut events = Vec::new();
        while !(self.stopping && self.connections.is_empty()) {
            self.turn(&mut events)?;
            for event in events.drain(..) {
                self.handle(event)?;
            }
        }
        Ok(())
    }

    /// Looks at both rings without sleeping while a device is polled, else sleeps on the sockets.
    fn turn(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        match &mut self.polled {
            Some(polled) if polled.in_flight() > 0 => {
                polled.turn(0, events)?;
                self.sockets.turn(0, events)
            }
            _ => self.sockets.turn(1, events),
        }
    }

    /// Cancels what is in flight, and waits for it.
    fn finish(&mut self) -> io::Result<()> {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push(cancel.user_data(Purpose::Cancel.of(0)));
        let mut events = Vec::new();
        while self.sockets.in_flight() > 0
            || self.polled.as_ref().is_some_and(|polled| polled.in_flight() > 0)
        {
            self.turn(&mut events)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) -> io::Result<()> {
        let Event { purpose, connection, result, .. } = event;
        match purpose {
            Purpose::Accept => self.accepted(event)?,
            Purpose::Signal => self.stop(),
            Purpose::Grace => self.cancel_all(),
            Purpose::Greeting | Purpose::PolledGreeting => self.greeted(event)?,
            Purpose::Recv => self.received(connection, result)?,
            Purpose::Send => self.sent(connection, result)?,
            Purpose::Shutdown => self.shut_down(connection, result)?,
            Purpose::Close => self.closed(connection),
            Purpose::Cancel => {}
        }
        Ok(())
    }

    fn accept(&mut self) {
        let listener = Fd(self.listener.as_raw_fd());
        let accept = if self.multishot {
            opcode::AcceptMulti::new(listener).flags(libc::SOCK_CLOEXEC).build()
        } else {
            opcode::Accept::new(listener, ptr::null_mut(), ptr::null_mut()).flags(libc::SOCK_CLOEXEC).build()
        };
        self.accepting = true;
        self.push(accept.user_data(Purpose::Accept.of(0)));
    }

    fn accepted(&mut self, event: Event) -> io::Result<()> {
        self.accepting = event.has_more;
        match event.result {
            Ok(socket) => {
                // SAFETY: the kernel made this descriptor for us just now.
                let socket = unsafe { OwnedFd::from_raw_fd(socket.cast_signed()) };
                if !self.stopping {
                    let number = self.connections.insert(Connection::new(socket));
                    self.greet(number);
                }
            }
            Err(Errno::INVAL) if self.multishot => self.multishot = false,
            Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                eprintln!("tcp_echo: accept: {errno}; waiting until a connection ends");
                // The next close accepts again.
                return if self.connections.is_empty() { Err(errno.into()) } else { Ok(()) };
            }
            // The client is gone already, or the accept was cancelled.
            Err(Errno::CONNABORTED | Errno::INTR | Errno::AGAIN | Errno::CANCELED) => {}
            Err(errno) => return Err(errno.into()),
        }
        if !self.accepting && !self.stopping {
            self.accept();
        }
        Ok(())
    }

    /// Reads the greeting for a new connection, on the ring that polls if there is one.
    fn greet(&mut self, number: usize) {
        let Some(file) = &self.greeting else { return self.receive_or_end(number) };
        let (queue, purpose) = match &mut self.polled {
            Some(polled) if self.can_poll => (polled, Purpose::PolledGreeting),
            _ => (&mut self.sockets, Purpose::Greeting),
        };
        let read = self.connections[number].greet(Fd(file.as_raw_fd()));
        // SAFETY: as in `push`.
        unsafe { queue.push(read.user_data(purpose.of(number))) };
    }

    fn greeted(&mut self, event: Event) -> io::Result<()> {
        match event.result {
            Ok(0) => self.receive_or_end(event.connection),
            Ok(len) => self.send(event.connection, len, false),
            Err(Errno::OPNOTSUPP) if event.purpose == Purpose::PolledGreeting => {
                if mem::replace(&mut self.can_poll, false) {
                    eprintln!("tcp_echo: the greeting's device cannot be polled: the sockets' ring reads it");
                }
                self.greet(event.connection);
            }
            Err(errno) => {
                eprintln!("tcp_echo: the greeting: {errno}");
                self.close(event.connection)?;
            }
        }
        Ok(())
    }

    fn received(&mut self, number: usize, result: Result<u32, Errno>) -> io::Result<()> {
        let connection = &mut self.connections[number];
        match result {
            Ok(0) => {
                connection.client_ended = true;
                if connection.server_ended {
                    return self.close(number);
                }
                self.end(number);
            }
            // The server has ended its stream: what still comes is read, so that the client is not reset.
            Ok(_) if connection.server_ended => self.receive(number),
            Ok(len) => self.send(number, len, true),
            Err(Errno::CANCELED) if !connection.server_ended => self.end(number),
            Err(Errno::INTR) => self.receive_or_end(number),
            Err(_) => return self.close(number),
        }
        Ok(())
    }

    fn sent(&mut self, number: usize, result: Result<u32, Errno>) -> io::Result<()> {
        let more = match result {
            Ok(more) => more,
            Err(Errno::INTR) => 0,
            Err(_) => return self.close(number),
        };
        match self.connections[number].sent(more, number) {
            Some(rest) => self.push(rest),
            None => self.receive_or_end(number),
        }
        Ok(())
    }

    fn shut_down(&mut self, number: usize, result: Result<u32, Errno>) -> io::Result<()> {
        let connection = &mut self.connections[number];
        connection.server_ended = true;
        if connection.client_ended || result.is_err() {
            return self.close(number);
        }
        self.receive(number);
        Ok(())
    }

    fn closed(&mut self, number: usize) {
        self.totals.connections += 1;
        self.totals.bytes += self.connections.remove(number).echoed;
        if !self.accepting && !self.stopping {
            self.accept();
        }
    }

    /// No new connections; those that wait for their clients are told that the server ends.
    fn stop(&mut self) {
        self.stopping = true;
        let receives = self.connections.iter().map(|(number, _)| Purpose::Recv.of(number));
        let waiting: Vec<u64> = receives.chain([Purpose::Accept.of(0)]).collect();
        for user_data in waiting {
            self.push(opcode::AsyncCancel::new(user_data).build().user_data(Purpose::Cancel.of(0)));
        }
        let grace = opcode::Timeout::new(&raw const GRACE).build();
        self.push(grace.user_data(Purpose::Grace.of(0)));
    }

    fn cancel_all(&mut self) {
        let everything = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push(everything.user_data(Purpose::Cancel.of(0)));
    }

    fn receive_or_end(&mut self, number: usize) {
        if self.stopping { self.end(number) } else { self.receive(number) }
    }

    fn receive(&mut self, number: usize) {
        let recv = self.connections[number].recv(number);
        self.push(recv);
    }

    fn send(&mut self, number: usize, len: u32, is_echo: bool) {
        let send = self.connections[number].send(len, is_echo, number);
        self.push(send);
    }

    fn end(&mut self, number: usize) {
        let shutdown = self.connections[number].shutdown(number);
        self.push(shutdown);
    }

    fn close(&mut self, number: usize) -> io::Result<()> {
        let close = self.connections[number].close(number)?;
        self.push(close);
        Ok(())
    }

    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: entries name sockets and buffers of connections, which stay where they are until their
        // close has completed, and `run` does not let go of them before that; or what lives longer.
        unsafe { self.sockets.push(entry) };
    }
}

/// The sockets' ring: with a thread that submits, or as a loop of one thread wants it.
fn sockets(mode: Mode) -> Builder {
    let mut builder = IoUring::builder();
    if mode.sqpoll {
        builder.setup_sqpoll(IDLE_MS);
    } else {
        // The flag in the ring tells the loop that completions wait for it to enter, also when it does not sleep.
        builder.optional(SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN | SetupFlags::TASKRUN_FLAG);
    }
    builder
}

/// The ring that polls devices, in the modes that have one.
fn devices(mode: Mode) -> Option<Builder> {
    mode.iopoll.then(|| {
        let mut builder = IoUring::builder();
        builder.setup_iopoll();
        if mode.sqpoll {
            builder.setup_sqpoll(IDLE_MS);
        }
        builder
    })
}

/// Opens the greeting, past the page cache if its device is to be polled.
fn open_greeting(path: &Path, mode: Mode) -> io::Result<File> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path) {
        Ok(file) if mode.iopoll => file,
        _ => File::open(path)?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > BUFFER.into() {
        return Err(io::Error::other(format!("a greeting is a file of at most {BUFFER} bytes")));
    }
    Ok(file)
}
