//! Passing on what one connection receives to another, without copying it through this process.
//!
//! Through a pipe of the kernel's that lives as long as the call. What it keeps true: what is in the pipe when the future
//! is dropped, or when the other connection breaks, goes to the next receive of the stream that it came from.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use super::Stream;
use super::nonblocking::without_blocking;
use crate::net::inbound::Inbound;
use crate::net::protocol::Ordinary;
use crate::yield_now;

/// How much goes at once: what a pipe holds unless told otherwise.
const WINDOW: usize = 64 * 1024;

impl<P: Ordinary> Stream<P> {
    /// Sends what this stream receives to another, at most `most` bytes, until the end of this stream: what a proxy does,
    /// one call for each direction. Returns how many bytes there were. It shuts nothing down.
    ///
    /// If the future is dropped, or the other stream breaks, bytes that were under way go to the next receive of this
    /// stream.
    ///
    /// # Errors
    ///
    /// Those of recv(2) and send(2), `ECONNRESET` and `EPIPE` above all; `EMFILE` if there is no descriptor for a pipe;
    /// `EBUSY` if too many operations are in flight.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::net::UnixStream;
    ///
    /// annulus_rt::run(async {
    ///     let (client, here) = UnixStream::pair()?;
    ///     let (there, server) = UnixStream::pair()?;
    ///     client.send_all("request").await.0?;
    ///     drop(client);
    ///     assert_eq!(here.splice_to(&there, u64::MAX).await?, 7);
    ///     let (received, bytes) = server.recv(Vec::with_capacity(16)).await;
    ///     assert_eq!((received?, &bytes[..]), (7, &b"request"[..]));
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn splice_to<Q: Ordinary>(&self, to: &Stream<Q>, most: u64) -> io::Result<u64> {
        let mut passage = Passage::new(self.inbound.clone())?;
        let mut done = 0;
        while done < most {
            if !self.inbound.is_clear() {
                self.inbound.settled().await;
                let piece = usize::try_from(most - done).unwrap_or(usize::MAX).min(WINDOW);
                if let Some(kept) = self.inbound.read(piece) {
                    passage.put(&kept?)?;
                }
            }
            if passage.filled == 0 && self.take_in(&mut passage, most - done).await? == 0 {
                break;
            }
            while passage.filled > 0 {
                done += to.let_out(&mut passage).await?;
            }
            yield_now().await;
        }
        Ok(done)
    }

    /// From this stream into the pipe; 0 at its end.
    async fn take_in(&self, passage: &mut Passage, most: u64) -> io::Result<usize> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(WINDOW);
        let Some(socket) = self.fd.descriptor() else { return Err(Errno::BADF.into()) };
        loop {
            let spliced = without_blocking(socket, || {
                splice(socket, None, &passage.write, None, most, SpliceFlags::NONBLOCK)
            });
            match spliced {
                Ok(taken) => {
                    passage.filled += taken;
                    return Ok(taken);
                }
                Err(Errno::AGAIN) => self.readable().await?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// From the pipe to this stream.
    async fn let_out(&self, passage: &mut Passage) -> io::Result<u64> {
        let Some(socket) = self.fd.descriptor() else { return Err(Errno::BADF.into()) };
        loop {
            let spliced = without_blocking(socket, || {
                splice(&passage.read, None, socket, None, passage.filled, SpliceFlags::NONBLOCK)
            });
            match spliced {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    passage.filled = passage.filled.saturating_sub(sent);
                    return Ok(sent as u64);
                }
                Err(Errno::AGAIN) => self.writable().await?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// The pipe, and to whom its bytes go back.
struct Passage {
    read: OwnedFd,
    write: OwnedFd,
    filled: usize,
    inbound: Rc<Inbound>,
}

impl Passage {
    fn new(inbound: Rc<Inbound>) -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { read, write, filled: 0, inbound })
    }

    /// Bytes that are here already, as many as the empty pipe holds; the others go back. A pipe holds less than usual for
    /// a user who has many.
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.write, bytes) {
                Ok(n) => {
                    self.filled += n;
                    bytes = &bytes[n..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.filled > 0 => {
                    self.inbound.put_front(bytes);
                    return Ok(());
                }
                Err(errno) => {
                    self.inbound.put_front(bytes);
                    self.give_back();
                    return Err(errno.into());
                }
            }
        }
        Ok(())
    }

    /// Gives what is in the pipe to the next receive. Reading it does not wait.
    fn give_back(&mut self) {
        let mut bytes = vec![0; self.filled];
        let mut done = 0;
        while done < bytes.len() {
            match rustix::io::read(&self.read, &mut bytes[done..]) {
                Ok(n @ 1..) => done += n,
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.inbound.put_front(&bytes[..done]);
        self.filled = 0;
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if self.filled > 0 {
            self.give_back();
        }
    }
}
