//! The adapters: a stream in both directions, and one for each.

use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use annulus_rt::io::{AsyncRead, AsyncWrite};

use crate::reading::Reading;
use crate::writing::{Writing, let_go};

/// How large each buffer is, unless told otherwise.
const CAPACITY: usize = 16 * 1024;

/// What reads.
pub(crate) trait Reads {
    fn reading(&mut self) -> &mut Reading;
}

/// What writes.
pub(crate) trait Writes {
    fn writing(&mut self) -> &mut Writing;
}

/// A stream of `annulus-rt` with the traits of other worlds: those of `futures-io`, of tokio and of hyper.
///
/// It has a buffer for each direction, of 16 KiB unless told otherwise.
///
/// Reading: a read that is in flight stays with the adapter when whoever polled it goes away, so that no byte is lost.
///
/// Writing: what is accepted goes into the ring at once, and goes out also if nobody flushes. Flushing waits until it has, and an
/// error is told by the next call, whichever that is, and by all others. Dropped, the adapter lets what was accepted go
/// out in the background, for 30 seconds at the most and as long as the executor runs.
///
/// Shutting down flushes first, and shuts down the stream's sending direction; a second time it does nothing.
pub struct Compat<S> {
    stream: Rc<S>,
    reading: Reading,
    /// Taken out when this is dropped.
    writing: Option<Writing>,
}

impl<S: AsyncRead + AsyncWrite + 'static> Compat<S> {
    /// With buffers of 16 KiB.
    pub fn new(stream: S) -> Self {
        Self::with_capacity(CAPACITY, stream)
    }

    /// With buffers of so many bytes.
    ///
    /// # Panics
    ///
    /// If that is 0.
    pub fn with_capacity(capacity: usize, stream: S) -> Self {
        assert!(capacity > 0, "an adapter with buffers of 0 bytes moves nothing");
        let stream = Rc::new(stream);
        let reading = Reading::new(stream.clone(), capacity);
        let writing = Some(Writing::new(stream.clone(), capacity));
        Self { stream, reading, writing }
    }
}

impl<S: AsyncRead + 'static> Compat<S> {
    /// One that reads only, with a buffer of 16 KiB.
    pub fn reader(stream: S) -> CompatReader<S> {
        let stream = Rc::new(stream);
        let reading = Reading::new(stream.clone(), CAPACITY);
        CompatReader { stream, reading }
    }
}

impl<S: AsyncWrite + 'static> Compat<S> {
    /// One that writes only, with a buffer of 16 KiB.
    pub fn writer(stream: S) -> CompatWriter<S> {
        let stream = Rc::new(stream);
        let writing = Some(Writing::new(stream.clone(), CAPACITY));
        CompatWriter { stream, writing }
    }
}

impl<S> Compat<S> {
    /// The stream. What is read from it or written to it here goes past the buffers.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream, and what was read from it and not taken. What a read that is still in flight receives goes to the next
    /// read of the stream.
    #[must_use]
    pub fn into_parts(mut self) -> (Rc<S>, Vec<u8>) {
        let stream = self.stream.clone();
        let_go(self.writing.take());
        let rest = self.reading.take_rest();
        (stream, rest)
    }

    /// What is in the buffer of the reading side; reads if that is nothing. Nothing then is the end. It stays there: a
    /// server sees in the first bytes which protocol is spoken.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncRead::read`].
    pub async fn fill_buf(&mut self) -> io::Result<&[u8]> {
        poll_fn(|cx| self.reading.poll_fill(cx).map_ok(drop)).await?;
        Ok(self.reading.held())
    }
}

/// A stream of `annulus-rt` that reads, as [`Compat`]; of [`Compat::reader`].
pub struct CompatReader<S> {
    stream: Rc<S>,
    reading: Reading,
}

/// A stream of `annulus-rt` that writes, as [`Compat`]; of [`Compat::writer`].
pub struct CompatWriter<S> {
    stream: Rc<S>,
    /// Taken out when this is dropped.
    writing: Option<Writing>,
}

impl<S> CompatReader<S> {
    /// The stream. What is read from it here goes past the buffer.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S> CompatWriter<S> {
    /// The stream. What is written to it here goes past the buffer.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S> Reads for Compat<S> {
    fn reading(&mut self) -> &mut Reading {
        &mut self.reading
    }
}

impl<S> Reads for CompatReader<S> {
    fn reading(&mut self) -> &mut Reading {
        &mut self.reading
    }
}

impl<S> Writes for Compat<S> {
    fn writing(&mut self) -> &mut Writing {
        self.writing.as_mut().expect("taken out only when this is dropped")
    }
}

impl<S> Writes for CompatWriter<S> {
    fn writing(&mut self) -> &mut Writing {
        self.writing.as_mut().expect("taken out only when this is dropped")
    }
}

impl<S> Drop for Compat<S> {
    fn drop(&mut self) {
        let_go(self.writing.take());
    }
}

impl<S> Drop for CompatWriter<S> {
    fn drop(&mut self) {
        let_go(self.writing.take());
    }
}

/// Shows the stream.
macro_rules! shown {
    ($($adapter:ident),*) => {$(
        impl<S: Debug> Debug for $adapter<S> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($adapter)).field("stream", &self.stream).finish_non_exhaustive()
            }
        }
    )*};
}

shown!(Compat, CompatReader, CompatWriter);
