//! Reading through a buffer: lines, and pieces up to a byte.
//!
//! Only the buffer is given to operations, so that what is read for the caller goes to memory that is borrowed.
//!
//! What it keeps true: whatever future is dropped, what it had read and not handed over is in the buffer again, in order,
//! for whichever method comes next.

use std::io::{self, ErrorKind};

use super::AsyncRead;
use crate::buf::{BufResult, IoBufMut, fill};

/// How much a reader reads at a time, unless told otherwise.
const CAPACITY: usize = 8 * 1024;

/// How much at most, for those who want more.
const LARGEST: usize = 64 * 1024;

/// A stream with a buffer before it.
///
/// # Examples
///
/// ```
/// use annulus_rt::io::{AsyncWrite, BufReader, pipe};
///
/// annulus_rt::run(async {
///     let (reader, writer) = pipe()?;
///     writer.write_all("one\ntwo\r\nthree").await.0?;
///     writer.shutdown().await?;
///     let mut lines = BufReader::new(reader).lines();
///     let mut all = Vec::new();
///     while let Some(line) = lines.next_line().await? {
///         all.push(line);
///     }
///     assert_eq!(all, ["one", "two", "three"]);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct BufReader<R> {
    stream: R,
    /// What was read; without memory while an operation has it, and after one that had it was dropped.
    buf: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
    capacity: usize,
    longest: usize,
}

/// A read of several pieces. What was taken out of the buffer so far is put back in front of it, unless it was handed
/// over.
struct Pieces<'a, R> {
    reader: &'a mut BufReader<R>,
    so_far: Vec<u8>,
}

impl<R> Drop for Pieces<'_, R> {
    fn drop(&mut self) {
        if !self.so_far.is_empty() {
            let reader = &mut *self.reader;
            self.so_far.extend_from_slice(&reader.buf[reader.taken..]);
            reader.buf = std::mem::take(&mut self.so_far);
            reader.taken = 0;
        }
    }
}

impl<R: AsyncRead> BufReader<R> {
    /// With a buffer of 8 KiB.
    pub const fn new(stream: R) -> Self {
        Self::with_capacity(CAPACITY, stream)
    }

    /// With a buffer of so many bytes.
    ///
    /// # Panics
    ///
    /// If that is 0.
    pub const fn with_capacity(capacity: usize, stream: R) -> Self {
        assert!(capacity > 0, "a reader with a buffer of 0 bytes reads nothing");
        Self { stream, buf: Vec::new(), taken: 0, capacity, longest: usize::MAX }
    }

    /// Refuses pieces and lines that are longer than this, with their end (`ErrorKind::InvalidData`): for streams whose
    /// other end is not trusted.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// What is in the buffer; reads if that is nothing. Nothing then is the end of the stream. What was used of it is taken
    /// out by [`consume`](Self::consume).
    ///
    /// If the future is dropped, nothing is lost.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncRead::read`].
    pub async fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill_for(0).await
    }

    /// As [`fill_buf`](Self::fill_buf), with room for so many bytes if that is more than usual.
    async fn fill_for(&mut self, bytes: usize) -> io::Result<&[u8]> {
        let room = self.capacity.max(bytes.min(LARGEST));
        while self.taken == self.buf.len() {
            self.taken = 0;
            let mut buf = std::mem::take(&mut self.buf);
            buf.clear();
            if buf.capacity() > room {
                // It had room for more, or had something put back.
                buf = Vec::new();
            }
            buf.reserve_exact(room);
            let (read, buf) = self.stream.read(buf).await;
            self.buf = buf;
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    self.buf.clear();
                    if error.kind() != ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(&self.buf[self.taken..])
    }

    /// Takes bytes out of the buffer.
    ///
    /// # Panics
    ///
    /// If there are not that many in it.
    pub fn consume(&mut self, bytes: usize) {
        let held = self.buf.len() - self.taken;
        assert!(bytes <= held, "{bytes} bytes of a buffer that holds {held} cannot be consumed");
        self.taken += bytes;
    }

    /// Reads up to a byte and with it, or to the end of the stream, and appends that to `piece`. Returns how many bytes it
    /// was; 0 is the end.
    ///
    /// If the future is dropped, `piece` has what was read so far, and a further call goes on behind it.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncRead::read`]; `ErrorKind::InvalidData` if `piece` would become longer than
    /// [`longest`](Self::longest) allows.
    pub async fn read_until(&mut self, byte: u8, piece: &mut Vec<u8>) -> io::Result<usize> {
        let before = piece.len();
        loop {
            self.fill_buf().await?;
            if self.take_until(byte, piece)? {
                return Ok(piece.len() - before);
            }
        }
    }

    /// Appends what is in the buffer to `piece`, up to a byte and with it. Whether the piece has ended, with that byte or
    /// with the stream.
    fn take_until(&mut self, byte: u8, piece: &mut Vec<u8>) -> io::Result<bool> {
        let bytes = &self.buf[self.taken..];
        let end = bytes.iter().position(|&other| other == byte);
        let part = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
        if part.len() > self.longest.saturating_sub(piece.len()) {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("a piece of a stream is longer than the {} bytes that are allowed", self.longest),
            ));
        }
        piece.extend_from_slice(part);
        self.taken += part.len();
        Ok(end.is_some() || part.is_empty())
    }

    /// Reads a line with its end, or the rest of the stream, and appends it to `line`. Returns how many bytes it was; 0 is
    /// the end.
    ///
    /// If the future is dropped, `line` is unchanged, and what was read is in the buffer.
    ///
    /// # Errors
    ///
    /// As [`read_until`](Self::read_until); `ErrorKind::InvalidData` if the line is not UTF-8: it was read then, and `line`
    /// is unchanged.
    pub async fn read_line(&mut self, line: &mut String) -> io::Result<usize> {
        let bytes = self.line_of_bytes().await?;
        let text = String::from_utf8(bytes).map_err(|error| {
            io::Error::new(ErrorKind::InvalidData, format!("a line is not UTF-8: {error}"))
        })?;
        line.push_str(&text);
        Ok(text.len())
    }

    async fn line_of_bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut pieces = Pieces { reader: self, so_far: Vec::new() };
        loop {
            pieces.reader.fill_buf().await?;
            let Pieces { reader, so_far } = &mut pieces;
            if reader.take_until(b'\n', so_far)? {
                return Ok(std::mem::take(so_far));
            }
        }
    }

    /// The lines of the stream, without their ends.
    pub const fn lines(self) -> Lines<R> {
        Lines { reader: self }
    }

    /// What is in the buffer already.
    #[must_use]
    pub fn buffer(&self) -> &[u8] {
        &self.buf[self.taken..]
    }

    /// The stream. What is read from it here is missing in the buffer's stream.
    #[must_use]
    pub const fn get_ref(&self) -> &R {
        &self.stream
    }

    /// The stream; what is in the buffer is lost.
    #[must_use]
    pub fn into_inner(self) -> R {
        self.stream
    }

    /// Takes what the buffer holds, as much as fits.
    fn take<B: IoBufMut>(&mut self, buf: &mut B) -> usize {
        let taken = fill(buf, &self.buf[self.taken..]);
        self.taken += taken;
        taken
    }

    /// Reads through the buffer into one of the caller's, up to its capacity; 0 is the end of the stream. What does not fit
    /// into the reader's buffer goes past it.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncRead::read`].
    pub async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        if self.taken == self.buf.len() {
            if buf.capacity() >= self.capacity {
                return self.stream.read(buf).await;
            }
            if let Err(error) = self.fill_buf().await {
                return (Err(error), buf);
            }
        }
        (Ok(self.take(&mut buf)), buf)
    }

    /// Reads as many bytes as the buffer holds: `vec![0; n]` is filled as a whole.
    ///
    /// If the future is dropped, or fails, what it had read is in the reader's buffer again. A buffer that is as large as the
    /// reader's, while that is empty, is filled past it: then [`AsyncRead::read_exact`] says what becomes of that.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncRead::read`]; `ErrorKind::UnexpectedEof` if the stream ends before.
    pub async fn read_exact<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<(), B> {
        let want = buf.filled();
        let held = self.buffer().len();
        if held == 0 && want >= self.capacity {
            return self.stream.read_exact(buf).await;
        }
        if held >= want {
            let taken = fill(&mut buf, &self.buf[self.taken..self.taken + want]);
            self.taken += taken;
            return (Ok(()), buf);
        }
        match self.gather(want).await {
            Ok(bytes) => {
                fill(&mut buf, &bytes);
                (Ok(()), buf)
            }
            Err(error) => (Err(error), buf),
        }
    }

    /// So many bytes, of several reads.
    async fn gather(&mut self, want: usize) -> io::Result<Vec<u8>> {
        let mut pieces = Pieces { reader: self, so_far: Vec::with_capacity(want.min(LARGEST)) };
        loop {
            let Pieces { reader, so_far } = &mut pieces;
            let piece = reader.buffer().len().min(want - so_far.len());
            so_far.extend_from_slice(&reader.buffer()[..piece]);
            reader.consume(piece);
            if so_far.len() == want {
                return Ok(std::mem::take(so_far));
            }
            if reader.fill_for(want - so_far.len()).await?.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The lines of a stream, of [`BufReader::lines`].
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<R>,
}

impl<R: AsyncRead> Lines<R> {
    /// The next line, without its end (`\n` or `\r\n`); `None` at the end of the stream.
    ///
    /// If the future is dropped, nothing is lost.
    ///
    /// # Errors
    ///
    /// As [`BufReader::read_line`].
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line.ends_with('\n') {
            line.pop();
            if line.ends_with('\r') {
                line.pop();
            }
        }
        Ok(Some(line))
    }

    /// The reader.
    #[must_use]
    pub fn into_inner(self) -> BufReader<R> {
        self.reader
    }
}
