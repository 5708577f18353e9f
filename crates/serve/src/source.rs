//! The body of a response, chunk by chunk, from wherever its bytes come.
//!
//! It sends nothing. What it keeps true: one chunk is filled at a time and from as many pieces as fit, so that a small
//! response and each turn of a multipart one are single sends; and a file that ends before the plan does is an error, never
//! padding.

use std::borrow::Cow;
use std::fmt;
use std::io;

use annulus_http::{Body, Segment};
use annulus_rt::buf::IoBuf as _;
use annulus_rt::fs::File;

use crate::chunk::CHUNK_BYTES;

/// Why a body cannot be completed.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The file has become shorter than it was when the response began.
    Shrunk,
    /// Reading it failed.
    Unreadable(io::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shrunk => f.write_str("the file became shorter while it was sent"),
            Self::Unreadable(error) => write!(f, "the file could not be read: {error}"),
        }
    }
}

/// What is left of a body.
#[derive(Debug)]
pub(crate) struct Source<'p> {
    body: &'p Body<'p>,
    file: Option<&'p File>,
    /// The next segment of a multipart body, or the next and only piece of another.
    next: usize,
    piece: Piece<'p>,
}

#[derive(Debug)]
enum Piece<'p> {
    /// Nothing is left of it.
    Empty,
    /// Bytes, from this one on.
    Text(Cow<'p, [u8]>, usize),
    /// A part of the file.
    File { offset: u64, left: u64 },
}

impl Piece<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(bytes, at) => *at == bytes.len(),
            Self::File { left, .. } => *left == 0,
        }
    }
}

impl<'p> Source<'p> {
    /// All of `body`, whose slices are those of `file`.
    pub(crate) fn new(body: &'p Body<'p>, file: Option<&'p File>) -> Self {
        let mut source = Self { body, file, next: 0, piece: Piece::Empty };
        source.skip_empty();
        source
    }

    /// Whether all of it has been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.piece.is_empty()
    }

    /// Appends as much of the body as fits.
    ///
    /// # Errors
    /// [`Broken`]: the response cannot be completed.
    pub(crate) async fn fill(&mut self, mut chunk: Vec<u8>) -> Result<Vec<u8>, Broken> {
        while !self.is_empty() {
            let room = CHUNK_BYTES.saturating_sub(chunk.len());
            if room == 0 {
                break;
            }
            match &mut self.piece {
                Piece::Empty => {}
                Piece::Text(bytes, at) => {
                    let end = bytes.len().min(*at + room);
                    chunk.extend_from_slice(&bytes[*at..end]);
                    *at = end;
                }
                Piece::File { offset, left } => {
                    // A plan with slices and no file to take them from: nothing that can be read.
                    let Some(file) = self.file else { return Err(Broken::Shrunk) };
                    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(room);
                    let (read, filled) = read(file, chunk, len, *offset).await?;
                    chunk = filled;
                    *offset += read;
                    *left -= read;
                }
            }
            self.skip_empty();
        }
        Ok(chunk)
    }

    /// Goes on to the next piece that has bytes, if there is any.
    fn skip_empty(&mut self) {
        while self.piece.is_empty() {
            let Some(piece) = piece(self.body, self.next) else { return };
            self.next += 1;
            self.piece = piece;
        }
    }
}

/// The `index`th piece of a body.
fn piece<'p>(body: &'p Body<'p>, index: usize) -> Option<Piece<'p>> {
    match body {
        Body::Multipart(parts) => Some(match parts.segment(index)? {
            Segment::Text(text) => Piece::Text(text.into(), 0),
            Segment::File(range) => Piece::File { offset: range.start, left: range.len },
        }),
        _ if index > 0 => None,
        Body::None => None,
        Body::Whole(len) => Some(Piece::File { offset: 0, left: *len }),
        Body::Slice(range) => Some(Piece::File { offset: range.start, left: range.len }),
        Body::Text(text) => Some(Piece::Text(Cow::Borrowed(text), 0)),
    }
}

/// Appends up to `len` bytes from `offset` on: at least one.
async fn read(file: &File, chunk: Vec<u8>, len: usize, offset: u64) -> Result<(u64, Vec<u8>), Broken> {
    let begin = chunk.len();
    let mut chunk = chunk;
    loop {
        let (outcome, part) = file.read_at(chunk.slice(begin..begin + len), offset).await;
        chunk = part.into_inner();
        match outcome {
            Ok(0) => return Err(Broken::Shrunk),
            Ok(read) => return Ok((read as u64, chunk)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Broken::Unreadable(error)),
        }
    }
}
