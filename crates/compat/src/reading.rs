//! The reading side of an adapter: one buffer, which is either read from here or with an operation.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use annulus_rt::buf::BufResult;
use annulus_rt::io::AsyncRead;

use crate::pump::Pump;

/// A stream as bytes that can be looked at and taken.
pub(crate) struct Reading {
    pump: Pump<Vec<u8>, BufResult<usize, Vec<u8>>>,
    /// Without memory while an operation has it.
    buf: Vec<u8>,
    taken: usize,
    capacity: usize,
}

impl Reading {
    pub(crate) fn new<S: AsyncRead + 'static>(stream: Rc<S>, capacity: usize) -> Self {
        let read = move |buf| {
            let stream = stream.clone();
            async move { stream.read(buf).await }
        };
        Self { pump: Pump::new(read), buf: Vec::new(), taken: 0, capacity }
    }

    /// What is there; reads if that is nothing. Nothing then is the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        while self.taken == self.buf.len() {
            if !self.pump.is_busy() {
                let mut buf = std::mem::take(&mut self.buf);
                buf.clear();
                buf.reserve_exact(self.capacity);
                self.taken = 0;
                self.pump.begin(buf);
            }
            let (read, buf) = ready!(self.pump.poll(cx));
            self.buf = buf;
            match read {
                Ok(0) => {
                    self.buf.clear();
                    break;
                }
                Ok(_) => {}
                Err(error) => {
                    self.buf.clear();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
        Poll::Ready(Ok(&self.buf[self.taken..]))
    }

    /// Takes what is there, up to `room` bytes, by `put`; reads if that is nothing. 0 is the end, or no room.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        put: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        let held = ready!(self.poll_fill(cx))?;
        let taken = held.len().min(room);
        put(&held[..taken]);
        self.consume(taken);
        Poll::Ready(Ok(taken))
    }

    /// Takes bytes that were looked at.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let held = self.buf.len() - self.taken;
        assert!(bytes <= held, "{bytes} bytes of a buffer that holds {held} cannot be consumed");
        self.taken += bytes;
    }

    /// What was read and not taken.
    pub(crate) fn held(&self) -> &[u8] {
        &self.buf[self.taken..]
    }

    /// Takes what was read and not taken.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buf);
        rest.drain(..std::mem::take(&mut self.taken));
        rest
    }
}
