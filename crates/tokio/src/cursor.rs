//! `Cursor`: a file as a stream of tokio's, with a position of its own.
//!
//! The traits lend memory for the time of one poll, so nothing of it is given to an operation: bytes go through a buffer of the cursor's own.
//! What a read brought to nobody is kept for the next one; a write is taken over at once, and goes on in the background.

use std::fmt::{self, Debug, Formatter};
use std::io::{self, IoSlice, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulus_rt::buf::{BufResult, IoBuf};
use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;

use crate::File;

/// How much is read or written at once at the most, in bytes, unless it is set otherwise.
const MOST: usize = 256 * 1024;

/// A file and a position in it, from which reads and writes go on, by the traits of tokio: for `tokio::io::copy`,
/// `tokio::io::BufReader`, codecs, and whatever else takes those. Several cursors over one file do not disturb each other.
///
/// Any future of it may be dropped: what a read brought to nobody, the next one gets. A write is taken over before it is done, as by
/// `tokio::fs::File`: `flush` waits for it, and its error comes with what is done next. A cursor that is
/// dropped before leaves it to a task, which the end of the runtime cuts off.
///
/// The file must have positions, as ordinary files do; a file that was opened to append is written at its end, whatever the position.
///
/// ```
/// use annulus_tokio::File;
/// use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// let copy = File::create_new(dir.path().join("copy")).await?;
/// let mut cursor = copy.cursor();
/// tokio::io::copy(&mut File::open("Cargo.toml").await?.cursor(), &mut cursor).await?;
/// cursor.flush().await?;
///
/// cursor.rewind().await?;
/// let mut word = [0; 9];
/// cursor.read_exact(&mut word).await?;
/// assert_eq!(&word, b"[package]");
/// # Ok(())
/// # }
/// ```
pub struct Cursor {
    file: File,
    /// Where the caller's next byte comes from or goes to.
    position: u64,
    most: usize,
    state: State,
}

/// `Sync`, so that the cursor is.
type Work<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

enum State {
    /// Which bytes of the buffer were read and lie at the position. The others mean nothing.
    Idle(Vec<u8>, Range<usize>),
    /// From the position on.
    Reading(Work<BufResult<usize, Vec<u8>>>),
    /// Up to the position.
    Writing(Work<BufResult<(), Vec<u8>>>),
    /// To a place that is counted from the end of the file.
    Seeking(Work<io::Result<u64>>),
}

impl State {
    const EMPTY: Self = Self::Idle(Vec::new(), 0..0);
}

impl Cursor {
    /// At the start of a file.
    #[must_use]
    pub const fn new(file: File) -> Self {
        Self::at(file, 0)
    }

    /// At this offset, in bytes.
    #[must_use]
    pub const fn at(file: File, position: u64) -> Self {
        Self { file, position, most: MOST, state: State::EMPTY }
    }

    /// Where the next read or write begins, in bytes.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Goes to this offset.
    pub fn set_position(&mut self, position: u64) {
        self.forget_read();
        self.position = position;
    }

    /// Sets how much is read or written at once at the most, and so how large its buffer becomes, in bytes. 256 KiB unless it is set.
    ///
    /// # Panics
    ///
    /// If that is 0.
    pub const fn set_max_buf_size(&mut self, most: usize) {
        assert!(most > 0, "a buffer of no bytes");
        self.most = most;
    }

    /// The file.
    #[must_use]
    pub const fn get_ref(&self) -> &File {
        &self.file
    }

    /// The file. A write that was not waited for goes on as when the cursor is dropped.
    #[must_use]
    pub fn into_inner(self) -> File {
        self.file.clone()
    }

    /// What was read, or is being read, is of no use any more.
    fn forget_read(&mut self) {
        match &mut self.state {
            State::Idle(_, read) => *read = 0..0,
            State::Reading(_) => self.state = State::EMPTY,
            State::Writing(_) | State::Seeking(_) => {}
        }
    }

    /// Waits for a write or a seek in flight.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Idle(..) | State::Reading(_) => Poll::Ready(Ok(())),
            State::Writing(work) => {
                let (written, buf) = ready!(work.as_mut().poll(cx));
                self.state = State::Idle(buf, 0..0);
                Poll::Ready(written)
            }
            State::Seeking(work) => {
                let position = ready!(work.as_mut().poll(cx));
                self.state = State::EMPTY;
                self.position = position?;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Takes the buffer, empty, for a new operation.
    fn take_buf(&mut self) -> Vec<u8> {
        match std::mem::replace(&mut self.state, State::EMPTY) {
            State::Idle(mut buf, _) => {
                buf.clear();
                buf
            }
            State::Reading(_) | State::Writing(_) | State::Seeking(_) => Vec::new(),
        }
    }

    /// Takes bytes over and begins to write them. How many there were.
    fn poll_write_slices(
        &mut self,
        cx: &mut Context<'_>,
        slices: &mut dyn Iterator<Item = &[u8]>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_settled(cx))?;
        self.forget_read();
        let mut buf = self.take_buf();
        for slice in slices {
            let room = self.most - buf.len();
            buf.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let (file, at, len) = (self.file.clone(), self.position, buf.len());
        let mut work: Work<_> = Box::pin(async move { file.write_all_at(buf, at).await });
        // What goes into the page cache is often written now.
        self.state = match work.as_mut().poll(cx) {
            Poll::Ready((written, buf)) => {
                self.state = State::Idle(buf, 0..0);
                written?;
                self.position = at.saturating_add(len as u64);
                return Poll::Ready(Ok(len));
            }
            Poll::Pending => State::Writing(work),
        };
        self.position = at.saturating_add(len as u64);
        Poll::Ready(Ok(len))
    }
}

impl AsyncRead for Cursor {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_settled(cx))?;
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !matches!(&this.state, State::Reading(_)) && !this.has_read() {
            let (mut buf, file, at) = (this.take_buf(), this.file.clone(), this.position);
            let want = into.remaining().min(this.most);
            buf.reserve_exact(want);
            this.state = State::Reading(Box::pin(async move {
                let (read, part) = file.read_at(buf.slice(..want), at).await;
                (read, part.into_inner())
            }));
        }
        if let State::Reading(work) = &mut this.state {
            let (read, buf) = ready!(work.as_mut().poll(cx));
            this.state = State::Idle(buf, 0..*read.as_ref().unwrap_or(&0));
            read?;
        }
        if let State::Idle(buf, read) = &mut this.state {
            let len = read.len().min(into.remaining());
            into.put_slice(&buf[read.start..read.start + len]);
            read.start += len;
            this.position = this.position.saturating_add(len as u64);
        }
        Poll::Ready(Ok(()))
    }
}

impl Cursor {
    /// Whether bytes lie in the buffer that were read and not taken.
    fn has_read(&self) -> bool {
        matches!(&self.state, State::Idle(_, read) if !read.is_empty())
    }
}

impl AsyncWrite for Cursor {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_slices(cx, &mut std::iter::once(from))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(cx, &mut from.iter().map(|slice| &**slice))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Waits until everything was written to the file; not until it is on the disk, which is [`File::sync_data`]'s.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_settled(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for Cursor {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let this = &mut *self;
        if matches!(&this.state, State::Seeking(_)) {
            return Err(io::Error::other("a seek is in progress: wait for it by `poll_complete`"));
        }
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => this.position.checked_add_signed(by),
            SeekFrom::End(by) => {
                let (file, before) = (this.file.clone(), std::mem::replace(&mut this.state, State::EMPTY));
                this.state = State::Seeking(Box::pin(async move {
                    if let State::Writing(work) = before {
                        work.await.0?;
                    }
                    file.len().await?.checked_add_signed(by).ok_or_else(before_the_start)
                }));
                return Ok(());
            }
        };
        this.set_position(position.ok_or_else(before_the_start)?);
        Ok(())
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        ready!(self.poll_settled(cx))?;
        Poll::Ready(Ok(self.position))
    }
}

fn before_the_start() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        match std::mem::replace(&mut self.state, State::EMPTY) {
            State::Writing(work) => drop(runtime.spawn(work)),
            // It may wait for a write.
            State::Seeking(work) => drop(runtime.spawn(work)),
            State::Idle(..) | State::Reading(_) => {}
        }
    }
}

impl Debug for Cursor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("file", &self.file)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
