//! The writing side of an adapter: one buffer, which is either filled here or with an operation.
//!
//! What was accepted is submitted at once, and goes out also if nobody flushes. How that ended is told by the next call.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use annulus_rt::buf::BufResult;
use annulus_rt::io::AsyncWrite;
use annulus_rt::time::timeout;

use crate::pump::Pump;

/// How long what was accepted may take to go out after its adapter was dropped.
const LINGER: Duration = Duration::from_secs(30);

enum Command {
    Write(Vec<u8>),
    Flush,
    Shutdown,
}

/// A stream as something that takes bytes.
pub(crate) struct Writing {
    /// The answer has the buffer of a write, or none.
    pump: Pump<Command, BufResult<(), Vec<u8>>>,
    /// Empty, without memory while an operation has it.
    buf: Vec<u8>,
    capacity: usize,
    /// Something was accepted after the last flush.
    is_dirty: bool,
    /// Shut down with success: nothing is left to do.
    is_over: bool,
    failed: Option<Failure>,
    /// Which of the two commands without memory is being carried out, if one is.
    ending: Option<Ending>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Flush,
    Shutdown,
}

/// An error that is told to everybody who asks from then on.
#[derive(Clone, Copy)]
enum Failure {
    Errno(i32),
    Kind(io::ErrorKind),
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        error.raw_os_error().map_or_else(|| Self::Kind(error.kind()), Self::Errno)
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Errno(errno) => Self::from_raw_os_error(errno),
            Failure::Kind(kind) => kind.into(),
        }
    }
}

impl Writing {
    pub(crate) fn new<S: AsyncWrite + 'static>(stream: Rc<S>, capacity: usize) -> Self {
        let work = move |command| {
            let stream = stream.clone();
            async move {
                match command {
                    Command::Write(buf) => stream.write_all(buf).await,
                    Command::Flush => (stream.flush().await, Vec::new()),
                    Command::Shutdown => (stream.shutdown().await, Vec::new()),
                }
            }
        };
        Self {
            pump: Pump::new(work),
            buf: Vec::new(),
            capacity,
            is_dirty: false,
            is_over: false,
            failed: None,
            ending: None,
        }
    }

    /// Accepts bytes, as many as the buffer takes, when the ones before have gone out.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_settled(cx))?;
        if self.is_over {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut buf = std::mem::take(&mut self.buf);
        buf.clear();
        buf.reserve_exact(self.capacity);
        for part in parts {
            let room = self.capacity - buf.len();
            buf.extend_from_slice(&part[..part.len().min(room)]);
        }
        let accepted = buf.len();
        if accepted == 0 {
            self.buf = buf;
            return Poll::Ready(Ok(0));
        }
        self.is_dirty = true;
        self.pump.begin(Command::Write(buf));
        // Submits it. If it is done at once, that is seen by the next call.
        if let Poll::Ready((written, buf)) = self.pump.poll(cx) {
            self.settle(written, buf);
        }
        Poll::Ready(Ok(accepted))
    }

    /// Waits until everything that was accepted has gone out, and flushes the stream.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_settled(cx))?;
        if self.is_dirty {
            self.begin(Ending::Flush);
            ready!(self.poll_settled(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Flushes, and shuts the stream down.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A shutdown that is carried out already is neither begun again nor flushed before.
        if self.ending != Some(Ending::Shutdown) {
            ready!(self.poll_flush(cx))?;
            if self.is_over {
                return Poll::Ready(Ok(()));
            }
            self.begin(Ending::Shutdown);
        }
        self.poll_settled(cx)
    }

    fn begin(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.pump.begin(match ending {
            Ending::Flush => Command::Flush,
            Ending::Shutdown => Command::Shutdown,
        });
    }

    /// Waits until nothing is being carried out, and tells what failed.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pump.is_busy() {
            let (done, buf) = ready!(self.pump.poll(cx));
            self.settle(done, buf);
        }
        Poll::Ready(self.failed.map_or(Ok(()), |failure| Err(failure.into())))
    }

    /// Takes note of what was carried out.
    fn settle(&mut self, done: io::Result<()>, buf: Vec<u8>) {
        let ending = self.ending.take();
        if ending.is_none() {
            self.buf = buf;
        }
        match done {
            Ok(()) => {
                self.is_dirty &= ending.is_none();
                self.is_over |= ending == Some(Ending::Shutdown);
            }
            Err(error) => self.failed = Some(Failure::of(&error)),
        }
    }
}

/// What was accepted goes out, although nobody waits for it, as it does from a socket's own buffer.
pub(crate) fn let_go(writing: Option<Writing>) {
    // Outside of a run, and at its end, there is nobody to carry it out.
    let Some(mut writing) = writing.filter(|writing| writing.pump.is_busy() && annulus_rt::is_running())
    else {
        return;
    };
    let refused = annulus_rt::try_spawn(async move {
        let rest = std::future::poll_fn(|cx| writing.poll_settled(cx));
        let _nobody_asks = timeout(LINGER, rest).await;
    });
    drop(refused);
}
