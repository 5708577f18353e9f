//! A TCP echo server as such programs are written for the `io-uring` crate: the ring split in three, operations
//! told apart by tokens in a slab, a backlog for what the submission queue has no room for.
#![allow(unsafe_code, reason = "the program's text pushes operations, as such programs do")]
#![allow(clippy::clone_on_copy, reason = "the entries of the peer are not Copy")]
#![allow(clippy::cast_possible_truncation, reason = "tokens and lengths are small")]

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use slab::Slab;

use crate::ring::{IoUring, SubmissionQueue, Submitter, opcode, squeue, types};

const BUFFER: usize = 2048;

/// What an operation was for. The descriptor is closed with its token's last value.
#[derive(Debug)]
enum Token {
    Accept,
    Poll { socket: OwnedFd },
    Recv { socket: OwnedFd, buffer: Box<[u8; BUFFER]> },
    Send { socket: OwnedFd, buffer: Box<[u8; BUFFER]>, sent: usize, len: usize },
}

/// What the server saw.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) connections: usize,
    pub(crate) bytes: u64,
    /// How often the submission queue was full.
    pub(crate) full: usize,
}

/// Serves until that many connections have come and gone.
pub(crate) fn serve(mut ring: IoUring, listener: &TcpListener, connections: usize) -> io::Result<Served> {
    let (submitter, mut sq, mut cq) = ring.split();
    let mut tokens = Slab::with_capacity(64);
    let mut backlog = VecDeque::new();
    let mut served = Served::default();

    let accept = opcode::Accept::new(types::Fd(listener.as_raw_fd()), ptr::null_mut(), ptr::null_mut())
        .build()
        .user_data(tokens.insert(Token::Accept) as u64);
    backlog.push_back(accept.clone());

    while served.connections < connections {
        served.full += push_backlog(&submitter, &mut sq, &mut backlog)?;
        match submitter.submit_and_wait(1) {
            Ok(_) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
        cq.sync();
        for cqe in &mut cq {
            let key = cqe.user_data() as usize;
            let result = cqe.result();
            if matches!(tokens[key], Token::Accept) {
                backlog.push_back(accept.clone());
                let socket = accepted(result)?;
                let key = tokens.insert(Token::Accept);
                backlog.push_back(poll(&mut tokens[key], socket, key as u64));
                continue;
            }
            match step(&mut tokens[key], result, key as u64, &mut served) {
                Some(next) => backlog.push_back(next),
                None => drop(tokens.remove(key)),
            }
        }
    }
    Ok(served)
}

/// What a connection does next: poll, receive, send what was received, poll again. `None` at its end.
fn step(token: &mut Token, result: i32, key: u64, served: &mut Served) -> Option<squeue::Entry> {
    let done = usize::try_from(result).ok();
    let next = match (std::mem::replace(token, Token::Accept), done) {
        (Token::Poll { socket }, Some(_)) => {
            let mut buffer = Box::new([0; BUFFER]);
            let recv = opcode::Recv::new(types::Fd(socket.as_raw_fd()), buffer.as_mut_ptr(), BUFFER as u32);
            *token = Token::Recv { socket, buffer };
            recv.build()
        }
        (Token::Recv { socket, buffer }, Some(len @ 1..)) => send(token, socket, buffer, 0, len),
        (Token::Send { socket, buffer, sent, len }, Some(more)) if sent + more < len => {
            send(token, socket, buffer, sent + more, len)
        }
        (Token::Send { socket, len, .. }, Some(_)) => {
            served.bytes += len as u64;
            return Some(poll(token, socket, key));
        }
        // The client's end of the stream, or a connection that is broken.
        (Token::Poll { .. } | Token::Recv { .. } | Token::Send { .. }, _) => {
            served.connections += 1;
            return None;
        }
        (Token::Accept, _) => unreachable!("accepts are handled by the caller"),
    };
    Some(next.user_data(key))
}

fn poll(token: &mut Token, socket: OwnedFd, key: u64) -> squeue::Entry {
    let poll = opcode::PollAdd::new(types::Fd(socket.as_raw_fd()), libc::POLLIN as _).build();
    *token = Token::Poll { socket };
    poll.user_data(key)
}

fn send(
    token: &mut Token,
    socket: OwnedFd,
    buffer: Box<[u8; BUFFER]>,
    sent: usize,
    len: usize,
) -> squeue::Entry {
    let rest = &buffer[sent..len];
    let send = opcode::Send::new(types::Fd(socket.as_raw_fd()), rest.as_ptr(), rest.len() as _)
        .flags(libc::MSG_NOSIGNAL)
        .build();
    *token = Token::Send { socket, buffer, sent, len };
    send
}

fn accepted(result: RawFd) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    // SAFETY: the kernel made this descriptor for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

/// Moves the backlog into the queue, submitting whenever that is full. Returns how often it was.
fn push_backlog(
    submitter: &Submitter<'_>,
    sq: &mut SubmissionQueue<'_>,
    backlog: &mut VecDeque<squeue::Entry>,
) -> io::Result<usize> {
    let mut full = 0;
    sq.sync();
    while let Some(entry) = backlog.pop_front() {
        // SAFETY: buffers and sockets lie in tokens, which stay until the operation's completion.
        if unsafe { sq.push(&entry) }.is_ok() {
            continue;
        }
        full += 1;
        backlog.push_front(entry);
        sq.sync();
        submitter.submit()?;
        submitter.squeue_wait()?;
        sq.sync();
    }
    sq.sync();
    Ok(full)
}
