//! The two directions of a connection: receiving requests, sending responses, closing in good order.
//!
//! It understands no request and decides no answer. What it keeps true: all that it waits for is bounded by the connection's
//! patience; a body that is sent never costs more than two chunks of memory, one on its way out and one being read.

use std::fmt;
use std::io;
use std::net::{IpAddr, Shutdown};
use std::rc::Rc;
use std::time::Duration;

use annulus_http::{CONTINUE, Cut, Drain, Plan, Rejection, Timestamp};
use annulus_rt::buf::IoBuf as _;
use annulus_rt::fs::File;
use annulus_rt::net::TcpStream;
use annulus_rt::time::timeout;

use super::both::both;
use super::patience::Patience;
use crate::clock::wall;
use crate::shard::Shard;
use crate::source::{Broken, Source};
use crate::transfer::Transfer;

/// How long, and for how many bytes, a client may go on sending after the last answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// Room for what is received at a time. Most requests are shorter; an idle connection holds as much.
const RECEIVE_BYTES: usize = 2048;

/// Why a connection ends without another word.
#[derive(Debug)]
pub(crate) enum End {
    /// The client closed its side, or is gone.
    Gone,
    /// The client was too slow.
    Cut(Cut),
    /// The rest of the body is not to be had.
    Broken(Broken),
    /// The server ends, and nothing was asked.
    Stopping,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the client closed the connection"),
            Self::Cut(cut) => cut.fmt(f),
            Self::Broken(broken) => broken.fmt(f),
            Self::Stopping => f.write_str("the server is stopping"),
        }
    }
}

/// Why a response was not sent.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The beginning of its body is not to be had. Nothing was sent.
    NotBegun(Broken),
    /// The connection has come to its end.
    End(End),
}

impl Unsent {
    /// For responses whose bodies are in memory, and whose beginning is always to be had.
    pub(crate) fn into_end(self) -> End {
        match self {
            Self::NotBegun(broken) => End::Broken(broken),
            Self::End(end) => end,
        }
    }
}

/// What became of a body that was to be dropped.
#[derive(Debug)]
pub(crate) enum Dropped {
    /// It has ended.
    Done {
        /// Bytes of it among those that had been received before.
        consumed: usize,
        /// What came behind it since.
        behind: Vec<u8>,
    },
    /// It is too large or makes no sense.
    Rejected(Rejection),
}

/// A connection's socket, with the patience for it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) shard: Rc<Shard>,
    pub(crate) address: IpAddr,
    stream: TcpStream,
    patience: Patience,
}

impl Wire {
    /// For a connection accepted just now.
    pub(crate) fn new(shard: Rc<Shard>, address: IpAddr, stream: TcpStream) -> Self {
        let patience = Patience::new(shard.parts.patience);
        Self { shard, address, stream, patience }
    }

    /// Appends to `received`, which holds the beginning of a head or nothing yet.
    ///
    /// # Errors
    /// [`End::Gone`] at the end of what the client sends, [`End::Cut`] if nothing came in time, [`End::Stopping`] if the
    /// server stops while no request has begun.
    pub(crate) async fn receive(&mut self, received: &mut Vec<u8>) -> Result<(), End> {
        let mut buffer = std::mem::take(received);
        buffer.reserve(RECEIVE_BYTES);
        *received = if buffer.is_empty() {
            let shard = Rc::clone(&self.shard);
            shard.unless_stopping(self.receive_behind(buffer)).await.ok_or(End::Stopping)??
        } else {
            self.patience.request_began();
            self.receive_behind(buffer).await?
        };
        Ok(())
    }

    /// Appends to the buffer, as far as it has room. One receive at a time, and none while a response is being sent: what a
    /// client sends without reading stays in its own socket and takes nobody's buffers.
    async fn receive_behind(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, End> {
        let begin = buffer.len();
        let receiving = self.stream.recv(buffer.slice(begin..));
        let (outcome, part) = self.patience.wait_for(receiving).await.map_err(End::Cut)?;
        match outcome {
            Ok(1..) => Ok(part.into_inner()),
            Ok(0) | Err(_) => Err(End::Gone),
        }
    }

    /// Reads a request's body and drops it. Some of it may be in `received` already.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub(crate) async fn drop_body(
        &mut self,
        mut drain: Drain,
        received: &[u8],
        send_continue: bool,
    ) -> Result<Dropped, End> {
        let fed = match drain.feed(received) {
            Ok(fed) => fed,
            Err(why) => return Ok(Dropped::Rejected(why)),
        };
        let consumed = fed.consumed;
        if fed.done {
            return Ok(Dropped::Done { consumed, behind: Vec::new() });
        }
        self.patience.body_began();
        if send_continue {
            self.send_all(CONTINUE.to_vec(), None).await?;
            self.patience.body_began();
        }
        let shard = Rc::clone(&self.shard);
        let mut fresh = shard.chunks.take();
        let dropped = loop {
            fresh.clear();
            fresh = self.receive_behind(fresh).await?;
            match drain.feed(&fresh) {
                Ok(fed) if fed.done => {
                    break Dropped::Done { consumed, behind: fresh[fed.consumed..].to_vec() };
                }
                Ok(_) => {}
                Err(why) => break Dropped::Rejected(why),
            }
        };
        shard.chunks.put(fresh);
        Ok(dropped)
    }

    /// Sends a response.
    ///
    /// # Errors
    /// [`Unsent::NotBegun`] if the body cannot be read and nothing was sent yet, so that something else can be said;
    /// [`Unsent::End`] if the connection is of no more use.
    pub(crate) async fn respond(
        &mut self,
        plan: &Plan<'_>,
        file: Option<&File>,
        transfer: &Transfer,
    ) -> Result<(), Unsent> {
        let shard = Rc::clone(&self.shard);
        let mut source = Source::new(&plan.body, file);
        let mut chunk = shard.chunks.take();
        plan.write_head(&mut chunk, shard.dates.borrow_mut().at(Timestamp::from_system_time(wall())));
        let head_bytes = chunk.len();
        let mut chunk = source.fill(chunk).await.map_err(Unsent::NotBegun)?;
        transfer.answered(plan.status(), head_bytes);
        self.patience.response_began();
        let outcome = loop {
            if source.is_empty() {
                match self.send_all(chunk, Some(transfer)).await {
                    Ok(sent) => shard.chunks.put(sent),
                    Err(end) => break Err(end),
                }
                break Ok(());
            }
            let next = source.fill(shard.chunks.take());
            match both(self.send_all(chunk, Some(transfer)), next).await {
                Ok((sent, Ok(filled))) => {
                    shard.chunks.put(sent);
                    chunk = filled;
                }
                Ok((_, Err(broken))) => break Err(End::Broken(broken)),
                Err(end) => break Err(end),
            }
        };
        self.patience.response_ended();
        outcome.map_err(|end| {
            transfer.abort(&end);
            Unsent::End(end)
        })
    }

    /// Sends all of `bytes`, and gives the buffer back.
    async fn send_all(&mut self, bytes: Vec<u8>, transfer: Option<&Transfer>) -> Result<Vec<u8>, End> {
        let (mut bytes, mut sent) = (bytes, 0);
        // The disk may have had its time since the last send; that was not the client's.
        self.patience.progressed(1);
        while sent < bytes.len() {
            let sending = self.stream.send(bytes.slice(sent..));
            let (outcome, rest) =
                self.patience.wait_for_room(&self.stream, sending).await.map_err(End::Cut)?;
            bytes = rest.into_inner();
            match outcome {
                Ok(0) => return Err(End::Gone),
                Ok(taken) => {
                    sent += taken;
                    self.patience.progressed(taken);
                    if let Some(transfer) = transfer {
                        transfer.sent(taken);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Gone),
            }
        }
        Ok(bytes)
    }

    /// Closes after the last response. What the client still sends is read for a moment: closing on top of it would make
    /// the kernel reset the connection, and the client lose the answer.
    pub(crate) async fn linger(self) {
        if self.stream.shutdown(Shutdown::Write).await.is_err() {
            return;
        }
        let drained = async {
            let (mut chunk, mut dropped) = (self.shard.chunks.take(), 0);
            while dropped < LINGER_BYTES {
                chunk.clear();
                let (outcome, back) = self.stream.recv(chunk).await;
                chunk = back;
                match outcome {
                    Ok(received @ 1..) => dropped += received,
                    Ok(0) | Err(_) => break,
                }
            }
            self.shard.chunks.put(chunk);
        };
        // Whoever goes on sending after that is cut.
        let _ = timeout(LINGER, drained).await;
    }

    /// Closes at once and throws away what was not sent: for clients that do not take it.
    pub(crate) fn reset(self) {
        // If it fails the close is an ordinary one.
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }
}
