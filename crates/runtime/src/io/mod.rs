//! Streams of bytes in general: what TCP connections, Unix connections, pipes and the standard streams have in
//! common, and what is built on that alone.
//!
//! [`AsyncRead`] and [`AsyncWrite`] are the two traits; their methods take `&self`, as those of the streams do, and own their
//! buffers, as every operation does. Files have positions instead, and are not streams: [`fs::File::read_at`](crate::fs::File::read_at).
//! The traits of `futures-io`, tokio and hyper, which borrow their buffers, are implemented by the crate `annulus-compat`.

mod buf_reader;
mod buf_writer;
mod copy;
mod pipe;
mod raw;
pub(crate) mod rounds;
mod splice;
mod split;
mod stdio;
mod streams;

use std::io::{Error, ErrorKind, Result};

pub use buf_reader::{BufReader, Lines};
pub use buf_writer::BufWriter;
pub use copy::{copy, copy_bidirectional};
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use split::{ReadHalf, WriteHalf, split};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};

pub(crate) use raw::Raw;

use crate::buf::{BufResult, IoBuf, IoBufMut};

/// How much is made room for at a time when a stream is read to its end.
pub(crate) const STEP: usize = 8 * 1024;

/// What bytes can be read from, one after the other.
///
/// # Examples
///
/// ```
/// use annulus_rt::io::{AsyncRead, AsyncWrite, pipe};
///
/// annulus_rt::run(async {
///     let (reader, writer) = pipe()?;
///     writer.write_all("a ring of bytes").await.0?;
///     writer.shutdown().await?;
///     let (read, bytes) = reader.read_to_end(Vec::new()).await;
///     assert_eq!((read?, bytes.as_slice()), (15, &b"a ring of bytes"[..]));
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait AsyncRead {
    /// Reads what is there, up to the buffer's capacity, and waits if there is nothing; 0 is the end of the stream.
    ///
    /// If the future is dropped, bytes that it had taken from the stream already go to the next read: implementations lose
    /// none.
    ///
    /// # Errors
    ///
    /// Those of read(2) or recv(2), `ECONNRESET` and `EIO` above all; `EBUSY` if too many operations are in flight.
    fn read<B: IoBufMut>(&self, buf: B) -> impl Future<Output = BufResult<usize, B>>;

    /// Reads as many bytes as the buffer holds: `vec![0; n]` is filled as a whole, as by [`std::io::Read::read_exact`].
    ///
    /// If the future is dropped, the streams of this crate give what it had taken to the next read, in order. What is
    /// provided here for others is reads in a row, and the bytes of all but the last are lost with the buffer: a stream that
    /// passes its reads on to another does well to pass this on too.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `ErrorKind::UnexpectedEof` if the stream ends before.
    fn read_exact<B: IoBufMut>(&self, mut buf: B) -> impl Future<Output = BufResult<(), B>> {
        async move {
            let want = buf.filled();
            let mut done = 0;
            while done < want {
                let (read, part) = self.read(buf.slice(done..want)).await;
                buf = part.into_inner();
                match read {
                    Ok(0) => return (Err(ErrorKind::UnexpectedEof.into()), buf),
                    Ok(n) => done += n,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return (Err(error), buf),
                }
            }
            (Ok(()), buf)
        }
    }

    /// Reads to the end of the stream, behind what the vector holds already, and grows it as needed. Returns how many bytes
    /// there were.
    ///
    /// Whoever does not trust the other end reads piece by piece and counts.
    ///
    /// If the future is dropped, what it had taken goes to the next read, or is lost, as with [`read_exact`](Self::read_exact).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); what came before the error is in the vector.
    fn read_to_end(&self, mut buf: Vec<u8>) -> impl Future<Output = BufResult<usize, Vec<u8>>> {
        async move {
            let before = buf.len();
            loop {
                if buf.len() == buf.capacity() {
                    buf.reserve(STEP.max(buf.len()));
                }
                let from = buf.len();
                let (read, part) = self.read(buf.slice(from..)).await;
                buf = part.into_inner();
                match read {
                    Ok(0) => return (Ok(buf.len() - before), buf),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return (Err(error), buf),
                }
            }
        }
    }
}

/// What bytes can be written to, one after the other.
pub trait AsyncWrite {
    /// Writes: as much as the system takes. If the future is dropped, an unknown part of it has been written.
    ///
    /// # Errors
    ///
    /// Those of write(2) or send(2), `EPIPE` and `ECONNRESET` above all; `EBUSY` if too many operations are in flight.
    fn write<B: IoBuf>(&self, buf: B) -> impl Future<Output = BufResult<usize, B>>;

    /// Writes the whole buffer. If the future is dropped, an unknown part of it has been written.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); `ErrorKind::WriteZero` if the stream takes no more.
    fn write_all<B: IoBuf>(&self, mut buf: B) -> impl Future<Output = BufResult<(), B>> {
        async move {
            let mut done = 0;
            while done < buf.filled() {
                let (written, part) = self.write(buf.slice(done..)).await;
                buf = part.into_inner();
                match written {
                    Ok(0) => return (Err(ErrorKind::WriteZero.into()), buf),
                    Ok(n) => done += n,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return (Err(error), buf),
                }
            }
            (Ok(()), buf)
        }
    }

    /// Hands on what the stream itself keeps back. The streams of the system keep nothing, so that this does nothing there.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn flush(&self) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }

    /// Ends this direction: the reader at the other end sees the end of the stream, after everything that was written.
    ///
    /// A second one does nothing and succeeds. A write after it fails with `EPIPE`.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); those of shutdown(2) or close(2), `ENOTCONN` if the peer of a connection is gone.
    fn shutdown(&self) -> impl Future<Output = Result<()>>;
}

/// What a write gets once its stream was shut down.
fn shut_down() -> Error {
    Error::from_raw_os_error(libc::EPIPE)
}
