//! Writing through a buffer: many small writes as one operation.

use std::io;

use super::AsyncWrite;

/// How much a writer collects, unless told otherwise.
const CAPACITY: usize = 8 * 1024;

/// A stream with a buffer before it. What was written stays there until it is full, or [`flush`](Self::flush)ed; dropping
/// the writer loses it.
///
/// # Examples
///
/// ```
/// use annulus_rt::io::{AsyncRead, BufWriter, pipe};
///
/// annulus_rt::run(async {
///     let (reader, writer) = pipe()?;
///     let mut writer = BufWriter::new(writer);
///     for number in 0..3 {
///         writer.write_all(format!("{number};").as_bytes()).await?;
///     }
///     writer.shutdown().await?;
///     let (read, bytes) = reader.read_to_end(Vec::new()).await;
///     assert_eq!((read?, bytes.as_slice()), (6, &b"0;1;2;"[..]));
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct BufWriter<W> {
    stream: W,
    buf: Vec<u8>,
    capacity: usize,
}

impl<W: AsyncWrite> BufWriter<W> {
    /// With a buffer of 8 KiB.
    pub const fn new(stream: W) -> Self {
        Self::with_capacity(CAPACITY, stream)
    }

    /// With a buffer of so many bytes.
    pub const fn with_capacity(capacity: usize, stream: W) -> Self {
        Self { stream, buf: Vec::new(), capacity }
    }

    /// Puts bytes into the buffer, and writes when it is full. If the future is dropped, an unknown part of the buffer and of
    /// `bytes` was written and the rest is lost.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncWrite::write_all`]. What was in the buffer is lost then.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buf.len() + bytes.len() > self.capacity {
            self.write_out().await?;
            if bytes.len() >= self.capacity {
                return self.stream.write_all(bytes.to_vec()).await.0;
            }
        }
        self.buf.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what is in the buffer, and flushes the stream.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncWrite::write_all`] and [`AsyncWrite::flush`].
    pub async fn flush(&mut self) -> io::Result<()> {
        self.write_out().await?;
        self.stream.flush().await
    }

    /// Flushes, and shuts the stream down.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush) and [`AsyncWrite::shutdown`].
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await
    }

    /// What is in the buffer.
    #[must_use]
    pub fn buffer(&self) -> &[u8] {
        &self.buf
    }

    /// The stream. What is written to it here overtakes what is in the buffer.
    #[must_use]
    pub const fn get_ref(&self) -> &W {
        &self.stream
    }

    /// The stream; what is in the buffer is lost.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.stream
    }

    async fn write_out(&mut self) -> io::Result<()> {
        if self.buf.is_empty() {
            return Ok(());
        }
        let (written, mut buf) = self.stream.write_all(std::mem::take(&mut self.buf)).await;
        buf.clear();
        self.buf = buf;
        written
    }
}
