//! The client: many connections, one request on its way on each, on epoll(7).
//!
//! A connection lasts as long as the client, or for one request, after which another takes its place.
//!
//! Every request carries a number of its own, and its answer has to carry it too: a server that loses, doubles or
//! mixes up bytes is not measured but fails.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::machine::cpu_ns_of;
use crate::meter::{Mark, Window, now};
use crate::report::Sample;

/// The smallest request: its number.
pub(super) const LEAST_BYTES: u32 = 8;

/// The largest request: what fits into a socket's buffer at once.
pub(super) const MOST_BYTES: u32 = 16_384;

/// How long a server may keep all connections waiting.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the client waits at most before it looks at the clock.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Events taken at once.
const EVENTS: usize = 512;

/// How long a connection lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// As long as the client.
    Long,
    /// For one request.
    Short,
}

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Client {
    epoll: OwnedFd,
    port: u16,
    life: Life,
    /// How many connections were made.
    made: u32,
    connections: Vec<Connection>,
    /// A request, but for its number.
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    /// Connects to a port of the loopback address.
    ///
    /// # Errors
    ///
    /// `ECONNREFUSED` if nobody listens, `EMFILE` for more connections than descriptors.
    pub(super) fn connect(port: u16, life: Life, connections: u32, bytes: u32) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let request: Vec<u8> = (0..=u8::MAX).cycle().take(bytes as usize).collect();
        let answer = vec![0; request.len()];
        let mut client = Self { epoll, port, life, made: 0, connections: Vec::new(), request, answer };
        for number in 0..connections {
            let stream = client.open(number.into())?;
            client.connections.push(Connection { stream, stamp: u64::from(number) << 40, received: 0 });
        }
        Ok(client)
    }

    /// A connection of this number.
    fn open(&mut self, number: u64) -> io::Result<TcpStream> {
        let stream = match self.life {
            Life::Long => TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?,
            Life::Short => connect_from(source(self.made), self.port)?,
        };
        self.made = self.made.wrapping_add(1);
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        Ok(stream)
    }

    /// Takes what has come on a connection. If that is a whole answer, sends the next request, and it counts.
    fn receive(&mut self, number: u64) -> io::Result<bool> {
        let place = usize::try_from(number).map_err(io::Error::other)?;
        if !self.connections[place].receive(&mut self.answer)? {
            return Ok(false);
        }
        if self.life == Life::Short {
            // The old one is closed, and with that it is out of the set.
            self.connections[place].stream = self.open(number)?;
        }
        self.connections[place].send(&mut self.request)?;
        Ok(true)
    }

    /// Sends and receives for a window, and counts the answers of its measured part and the server's CPU time in it.
    /// The connections have answers under way afterwards, so that they are of no more use.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` if no answer comes for a while, `InvalidData` for an answer to something else, `UnexpectedEof` and
    /// `ECONNRESET` for connections that the server ended.
    pub(super) fn run(&mut self, window: Window, server: u32) -> io::Result<Sample> {
        for connection in &mut self.connections {
            connection.send(&mut self.request)?;
        }
        self.exchange(window.warm_up)?;
        let start = Mark::with_cpu(cpu_ns_of(server)?);
        let answers = self.exchange(window.measured)?;
        Ok(start.until(Mark::with_cpu(cpu_ns_of(server)?), answers))
    }

    /// Answers each answer with the next request, for a time and until one answer at least has come; returns how many
    /// came.
    fn exchange(&mut self, time: Duration) -> io::Result<u64> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut answers = 0;
        let mut heard = now();
        let end = heard + time;
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&LOOK)) {
                Err(rustix::io::Errno::INTR) => {}
                waited => drop(waited?),
            }
            for event in &events {
                answers += u64::from(self.receive(event.data.u64())?);
            }
            let time = now();
            if time >= end && answers > 0 {
                return Ok(answers);
            }
            if !events.is_empty() {
                heard = time;
            } else if time - heard > SILENCE {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server does not answer any more"));
            }
        }
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// What the next request is marked with: the connection's number above a count of its requests.
    stamp: u64,
    /// Bytes of the answer that have come.
    received: usize,
}

impl Connection {
    fn send(&mut self, request: &mut [u8]) -> io::Result<()> {
        self.stamp += 1;
        stamp(request).copy_from_slice(&self.stamp.to_le_bytes());
        match self.stream.write(request)? {
            sent if sent == request.len() => Ok(()),
            sent => Err(io::Error::new(
                ErrorKind::WriteZero,
                format!("the socket took {sent} of {} bytes", request.len()),
            )),
        }
    }

    /// Takes what has come; whether that makes a whole answer.
    fn receive(&mut self, answer: &mut [u8]) -> io::Result<bool> {
        // Of an answer in pieces only the first one has the number; the others go where they do no harm.
        let rest = &mut answer[self.received..];
        match self.stream.read(rest) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                if self.received == 0 && count >= size_of::<u64>() {
                    self.compare(answer)?;
                }
                self.received += count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        if self.received < answer.len() {
            return Ok(false);
        }
        self.received = 0;
        Ok(true)
    }

    fn compare(&self, answer: &mut [u8]) -> io::Result<()> {
        let expected = self.stamp.to_le_bytes();
        let found = stamp(answer);
        if found == expected.as_slice() {
            return Ok(());
        }
        let message = format!("the answer to request {expected:x?} is to {found:x?}");
        Err(io::Error::new(ErrorKind::InvalidData, message))
    }
}

/// The address that a short connection comes from: each has few ports, which are not free again for a minute.
fn source(made: u32) -> Ipv4Addr {
    let [low, high, ..] = made.to_le_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// Connects to a port of the loopback address from another one.
fn connect_from(source: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(socket.into())
}

/// The number of a request: its first bytes.
fn stamp(request: &mut [u8]) -> &mut [u8] {
    &mut request[..size_of::<u64>()]
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server of one connection that answers each request of eight bytes with what `answer` makes of it, `requests`
    /// times, and then ends.
    fn serve(requests: usize, answer: fn([u8; 8]) -> Vec<u8>) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::Builder::new()
            .spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 8];
                for _ in 0..requests {
                    stream.read_exact(&mut request).unwrap();
                    stream.write_all(&answer(request)).unwrap();
                }
            })
            .unwrap();
        port
    }

    fn run(port: u16) -> io::Result<Sample> {
        let window = Window { warm_up: Duration::ZERO, measured: Duration::from_secs(60) };
        Client::connect(port, Life::Long, 1, 8)?.run(window, std::process::id())
    }

    #[test]
    fn an_answer_to_something_else_is_found() {
        let error = run(serve(1, |request| request.map(|byte| !byte).to_vec())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains("[1, 0, 0, 0, 0, 0, 0, 0]"), "{error}");
    }

    #[test]
    fn a_server_that_ends_in_the_middle_is_found() {
        let error = run(serve(100, |request| request.to_vec())).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}");
    }

    #[test]
    fn nobody_at_the_port_is_an_error_of_connecting() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for life in [Life::Long, Life::Short] {
            assert_eq!(Client::connect(port, life, 1, 8).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
    }
}
