//! `Cursor`: a file as a stream, with a position of its own.

use std::cell::Cell;
use std::io::{self, SeekFrom};

use super::File;
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::{AsyncRead, AsyncWrite, STEP};

/// A file and a position in it, from which reads and writes go on. Several cursors over one file do not disturb each other.
///
/// One read or write at a time: a second one that begins before the first has ended begins at the same position. One that is
/// dropped does not move it.
///
/// # Examples
///
/// ```
/// use annulus_rt::fs::File;
/// use annulus_rt::io::{AsyncRead, BufReader};
///
/// annulus_rt::run(async {
///     let file = File::open("Cargo.toml").await?;
///     let (read, bracket) = file.cursor().read([0; 9]).await;
///     assert_eq!((read?, &bracket), (9, b"[package]"));
///     let mut lines = BufReader::new(file.cursor()).lines();
///     assert_eq!(lines.next_line().await?.as_deref(), Some("[package]"));
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cursor {
    file: File,
    position: Cell<u64>,
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
        Self { file, position: Cell::new(position) }
    }

    /// Where the next read or write begins, in bytes.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position.get()
    }

    /// Goes to this offset.
    pub fn set_position(&self, position: u64) {
        self.position.set(position);
    }

    /// Goes to an offset that may be named from the end of the file, and returns it.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an offset before the start; from the end, as [`File::metadata`].
    pub async fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.get().checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata().await?.len().checked_add_signed(by),
        };
        let position = position.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        self.position.set(position);
        Ok(position)
    }

    /// The file.
    #[must_use]
    pub const fn get_ref(&self) -> &File {
        &self.file
    }

    /// The file.
    #[must_use]
    pub fn into_inner(self) -> File {
        self.file
    }

    fn moved<B>(&self, from: u64, result: BufResult<usize, B>) -> BufResult<usize, B> {
        if let Ok(n) = result.0 {
            self.position.set(from.saturating_add(n as u64));
        }
        result
    }
}

impl AsyncRead for Cursor {
    async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        let from = self.position.get();
        self.moved(from, self.file.read_at(buf, from).await)
    }

    /// Moves the cursor if the whole buffer was read, and else not at all.
    async fn read_exact<B: IoBufMut>(&self, buf: B) -> BufResult<(), B> {
        let (from, want) = (self.position.get(), buf.filled());
        let (read, buf) = self.file.read_exact_at(buf, from).await;
        if read.is_ok() {
            self.position.set(from.saturating_add(want as u64));
        }
        (read, buf)
    }

    /// Moves the cursor when it has ended, behind what is in the vector then.
    async fn read_to_end(&self, mut buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        let (from, before) = (self.position.get(), buf.len());
        let end = loop {
            if buf.len() == buf.capacity() {
                buf.reserve(STEP.max(buf.len()));
            }
            let (at, begin) = (from.saturating_add((buf.len() - before) as u64), buf.len());
            let (read, part) = self.file.read_at(buf.slice(begin..), at).await;
            buf = part.into_inner();
            match read {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let read = buf.len() - before;
        self.position.set(from.saturating_add(read as u64));
        (end.map(|()| read), buf)
    }
}

impl AsyncWrite for Cursor {
    async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        let from = self.position.get();
        self.moved(from, self.file.write_at(buf, from).await)
    }

    /// Nothing: a file has no other end that waits for this one, and nothing is kept back. For the disk, there is [`File::sync_data`].
    async fn shutdown(&self) -> io::Result<()> {
        Ok(())
    }
}

impl File {
    /// The file as a stream, from its start on; clones of the file and other cursors have positions of their own.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.clone())
    }
}
