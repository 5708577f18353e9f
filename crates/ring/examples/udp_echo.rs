//! A UDP echo server: one multishot receive, buffers that the kernel picks, replies straight from them.
//!
//! ```text
//! cargo run -p annulus --example udp_echo -- [ADDRESS:PORT]
//! ```
//!
//! One entry receives all datagrams. For each the kernel takes a buffer of the ring of buffers and writes into
//! it a header, the sender's address and the payload; `RecvMsgOut` finds the parts. The reply is sent from
//! where the datagram lies, so the buffer goes back into the ring when the reply has been sent. When no buffer is
//! left the receive ends with `ENOBUFS`, datagrams wait in the socket, and it is submitted again once one is back.
//!
//! The first line on standard output says where the server listens. SIGINT and SIGTERM end it.
#![allow(unsafe_code, reason = "entries name the message headers and buffers of replies")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its user")]

#[path = "common/termination.rs"]
mod termination;

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use annulus::types::{Fd, RecvMsgOut};
use annulus::{BufRing, Filled, IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;
use slab::Slab;

const USAGE: &str = "usage: udp_echo [ADDRESS:PORT]";

/// How many datagrams are being answered at most.
const BUFFERS: u16 = 64;

/// Room for the header, an address of any kind, and the largest datagram that there is.
const BUFFER_LEN: u32 = 16 + 128 + 65_536;

/// User data of the receive, the signal, and the cancel; replies have their numbers, from zero on.
const RECEIVE: u64 = u64::MAX;
const SIGNAL: u64 = u64::MAX - 1;
const CANCEL: u64 = u64::MAX - 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = match arguments.as_slice() {
        [] => Ok(SocketAddr::from(([127, 0, 0, 1], 3456))),
        [address] => address.parse().map_err(|error| format!("{address}: {error}")),
        _ => Err("one address at the most".to_owned()),
    };
    let address = match address {
        Ok(address) => address,
        Err(error) => {
            eprintln!("udp_echo: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_echo: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: SocketAddr) -> io::Result<()> {
    let signals = termination::signals()?;
    let socket = UdpSocket::bind(address)?;
    println!("listening on {}", socket.local_addr()?);
    // Every reply, the receive, the signal and the cancel can be queued at once.
    let ring = IoUring::new(2 * u32::from(BUFFERS))?;
    let buffers = BufRing::register(&ring.submitter(), 0, BUFFERS, BUFFER_LEN)?;
    let mut echo = Echo::new(ring, &socket, &buffers);
    echo.run(&signals)?;
    println!("{} datagrams, {} bytes echoed", echo.datagrams, echo.bytes);
    Ok(())
}

/// A datagram on its way back. What `msghdr` points to lies in the same box and in the buffer.
struct Reply<'b> {
    datagram: Filled<&'b BufRing>,
    payload: libc::iovec,
    msghdr: libc::msghdr,
}

struct Echo<'b> {
    ring: IoUring,
    socket: &'b UdpSocket,
    buffers: &'b BufRing,
    /// How large the field for the sender's address is, as the receive was told.
    msghdr: Box<libc::msghdr>,
    replies: Slab<Box<Reply<'b>>>,
    receiving: bool,
    stopping: bool,
    datagrams: u64,
    bytes: u64,
}

impl<'b> Echo<'b> {
    fn new(ring: IoUring, socket: &'b UdpSocket, buffers: &'b BufRing) -> Self {
        let mut msghdr = Box::new(empty_msghdr());
        msghdr.msg_namelen = 128;
        let (receiving, stopping) = (false, false);
        let replies = Slab::with_capacity(BUFFERS.into());
        Self { ring, socket, buffers, msghdr, replies, receiving, stopping, datagrams: 0, bytes: 0 }
    }

    /// Answers until a signal comes, and until what is in flight then has ended.
    fn run(&mut self, signals: &OwnedFd) -> io::Result<()> {
        let signal = opcode::PollAdd::new(Fd(signals.as_raw_fd()), libc::POLLIN.unsigned_abs().into());
        self.push(&signal.build().user_data(SIGNAL));
        let result = self.answer();
        if result.is_err() {
            // What is in flight may still use them.
            mem::forget(mem::take(&mut self.replies));
            mem::forget(mem::replace(&mut self.msghdr, Box::new(empty_msghdr())));
        }
        result
    }

    fn answer(&mut self) -> io::Result<()> {
        while !self.stopping || self.receiving || !self.replies.is_empty() {
            let has_buffer = self.replies.len() < usize::from(BUFFERS);
            if !self.receiving && !self.stopping && has_buffer {
                self.receive();
            }
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            while let Some(cqe) = self.next_completion() {
                match cqe.user_data() {
                    RECEIVE => self.received(&cqe)?,
                    SIGNAL => self.stop(),
                    CANCEL => {}
                    number => self.sent(usize::try_from(number).expect("a reply"), cqe.to_result()),
                }
            }
        }
        Ok(())
    }

    fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    fn receive(&mut self) {
        let socket = Fd(self.socket.as_raw_fd());
        let receive =
            opcode::RecvMsgMulti::new(socket, &raw const *self.msghdr, self.buffers.group()).build();
        self.push(&receive.user_data(RECEIVE));
        self.receiving = true;
    }

    fn received(&mut self, cqe: &cqueue::Entry) -> io::Result<()> {
        self.receiving = cqe.has_more();
        match cqe.to_result() {
            Ok(_) => {
                let datagram = self.buffers.take(cqe).expect("a datagram comes in a buffer");
                self.reply(datagram);
                Ok(())
            }
            // All buffers hold datagrams whose replies are on their way; or the server ends.
            Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sends a datagram back to where it came from, from the buffer that it lies in.
    fn reply(&mut self, datagram: Filled<&'b BufRing>) {
        let (payload, msghdr) = {
            let bytes = datagram.as_slice().expect("one buffer each");
            let Ok(message) = RecvMsgOut::parse(bytes, &self.msghdr) else {
                eprintln!("udp_echo: a buffer of {} bytes is too short for a datagram", bytes.len());
                return;
            };
            let (name, data) = (message.name_data(), message.payload_data());
            let payload = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
            let mut msghdr = empty_msghdr();
            msghdr.msg_name = name.as_ptr().cast_mut().cast();
            msghdr.msg_namelen = message.incoming_name_len();
            (payload, msghdr)
        };
        let number = self.replies.insert(Box::new(Reply { datagram, payload, msghdr }));
        let reply = &mut *self.replies[number];
        reply.msghdr.msg_iov = &raw mut reply.payload;
        reply.msghdr.msg_iovlen = 1;
        let send = opcode::SendMsg::new(Fd(self.socket.as_raw_fd()), &raw const reply.msghdr).build();
        self.push(&send.user_data(number as u64));
    }

    /// Gives the buffer of a reply back, whatever came of it: datagrams may be lost.
    fn sent(&mut self, number: usize, result: Result<u32, Errno>) {
        drop(self.replies.remove(number).datagram);
        match result {
            Ok(bytes) => {
                self.datagrams += 1;
                self.bytes += u64::from(bytes);
            }
            Err(errno) => eprintln!("udp_echo: a reply: {errno}"),
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.push(&opcode::AsyncCancel::new(RECEIVE).build().user_data(CANCEL));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: sockets and buffers outlive this value, and headers and replies stay in their boxes until
        // their completions have come: `run` waits for them or lets the boxes live forever.
        unsafe { self.ring.submission().push(entry) }.expect("room for everything that can be in flight");
    }
}

/// A header that names nothing.
fn empty_msghdr() -> libc::msghdr {
    // SAFETY: null pointers and zero lengths are a valid header.
    unsafe { mem::zeroed() }
}
