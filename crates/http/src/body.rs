//! Where a request's body ends, and how it is read and dropped so that the next request is found behind it.
//!
//! A server of files has no use for a body; what matters is that no byte of one is ever taken for a request. So the
//! framing is refused when in doubt (RFC 9112 section 6.3), chunks are read strictly (CRLF only, bounded size lines),
//! and what is dropped is bounded.

use crate::Status;
use crate::headers::{Headers, Name};
use crate::rejection::Rejection;
use crate::request::Version;

/// How the end of a request's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The framing of a request with these headers, or why it is in doubt.
pub(crate) fn framing(headers: &Headers<'_>, version: Version) -> Result<Framing, Rejection> {
    let length = headers.first(Name::ContentLength);
    if headers.first(Name::TransferEncoding).is_some() {
        if length.is_some() {
            return Err(Rejection::bad_request("Content-Length together with Transfer-Encoding"));
        }
        return transfer_encoding(headers, version);
    }
    if headers.is_repeated(Name::ContentLength) {
        return Err(Rejection::bad_request("more than one Content-Length"));
    }
    match length.map(decimal) {
        None | Some(Some(0)) => Ok(Framing::None),
        Some(Some(length)) => Ok(Framing::Length(length)),
        Some(None) => Err(Rejection::bad_request("Content-Length is not a plain number")),
    }
}

fn transfer_encoding(headers: &Headers<'_>, version: Version) -> Result<Framing, Rejection> {
    if version == Version::Http10 {
        return Err(Rejection::bad_request("Transfer-Encoding in HTTP/1.0"));
    }
    let is_chunked = |member: &[u8]| member.eq_ignore_ascii_case(b"chunked");
    let count = headers.members(Name::TransferEncoding).count();
    let chunked = headers.members(Name::TransferEncoding).filter(|m| is_chunked(m)).count();
    let last = headers.members(Name::TransferEncoding).last();
    match (count, chunked) {
        (1, 1) => Ok(Framing::Chunked),
        (_, 1) if last.is_some_and(is_chunked) => {
            Err(Rejection { status: Status::NotImplemented, detail: "a transfer coding other than chunked" })
        }
        _ => Err(Rejection::bad_request("Transfer-Encoding does not end with one chunked")),
    }
}

/// Digits only: no sign, no blank, no list, and no more than fits.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// What [`Drain::feed`] did with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Bytes of the input that belonged to the body.
    pub consumed: usize,
    /// Whether the body has ended: the next request begins behind `consumed`.
    pub done: bool,
}

/// Reads a request's body and drops it.
///
/// ```
/// use annulus_http::{Drain, Drained, Framing};
///
/// let mut drain = Drain::new(Framing::Chunked, 1024);
/// assert_eq!(drain.feed(b"5\r\nab"), Ok(Drained { consumed: 5, done: false }));
/// assert_eq!(drain.feed(b"cde\r\n0\r\n\r\nGET /"), Ok(Drained { consumed: 10, done: true }));
/// ```
#[derive(Clone, Debug)]
pub struct Drain {
    state: State,
    budget: u64,
}

/// Where the reading stands. The number is what is left of the data, or the size that a size line has told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    SizeFirst,
    Size(u64),
    SizeBlank(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    TrailerFirst,
    Trailer,
    TrailerLf,
    LastLf,
    Done,
}

impl Drain {
    /// For a body framed like this; at most `budget_bytes` of it, with the framing of chunks, are read.
    #[must_use]
    pub const fn new(framing: Framing, budget_bytes: u64) -> Self {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::SizeFirst,
        };
        Self { state, budget: budget_bytes }
    }

    /// Takes the body's bytes from the beginning of `input`, and no byte behind its end.
    ///
    /// # Errors
    /// 400 for malformed chunks, 413 when the body is larger than the budget; answer and close.
    pub fn feed(&mut self, input: &[u8]) -> Result<Drained, Rejection> {
        let mut consumed = 0;
        while consumed < input.len() && self.state != State::Done {
            let rest = &input[consumed..];
            consumed += match self.state {
                State::Length(left) => self.skip(left, rest.len(), State::Length, State::Done)?,
                State::Data(left) => self.skip(left, rest.len(), State::Data, State::DataCr)?,
                framing => {
                    self.budget = self.budget.checked_sub(1).ok_or(Rejection::BODY_TOO_LARGE)?;
                    self.state = self.step(framing, rest[0])?;
                    1
                }
            };
        }
        Ok(Drained { consumed, done: self.state == State::Done })
    }

    fn skip(
        &mut self,
        left: u64,
        have: usize,
        again: fn(u64) -> State,
        then: State,
    ) -> Result<usize, Rejection> {
        if left > self.budget {
            return Err(Rejection::BODY_TOO_LARGE);
        }
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(have);
        let taken = take as u64;
        self.budget -= taken;
        self.state = if left == taken { then } else { again(left - taken) };
        Ok(take)
    }

    /// One byte of the chunks' framing. Strict about line ends: a lone LF that another party reads differently is how
    /// requests are smuggled.
    fn step(&self, state: State, byte: u8) -> Result<State, Rejection> {
        let next = match (state, byte) {
            (State::SizeFirst, _) => hex(byte).map(State::Size),
            (State::Size(size), b'\r') => Some(State::SizeLf(size)),
            (State::Size(size), b'\t' | b' ') => Some(State::SizeBlank(size)),
            (State::Size(size), b';') => Some(State::Extension(size)),
            (State::Size(size), _) if size <= u64::MAX >> 4 => hex(byte).map(|d| State::Size(size << 4 | d)),
            (State::SizeBlank(size), b'\t' | b' ') => Some(State::SizeBlank(size)),
            (State::SizeBlank(size), b';') => Some(State::Extension(size)),
            (State::Extension(size), b'\r') => Some(State::SizeLf(size)),
            (State::Extension(size), _) if is_text(byte) => Some(State::Extension(size)),
            (State::SizeLf(0), b'\n') => Some(State::TrailerFirst),
            (State::SizeLf(size), b'\n') if size > self.budget => return Err(Rejection::BODY_TOO_LARGE),
            (State::SizeLf(size), b'\n') => Some(State::Data(size)),
            (State::DataCr, b'\r') => Some(State::DataLf),
            (State::DataLf, b'\n') => Some(State::SizeFirst),
            (State::TrailerFirst, b'\r') => Some(State::LastLf),
            (State::Trailer, b'\r') => Some(State::TrailerLf),
            (State::TrailerFirst | State::Trailer, _) if is_text(byte) => Some(State::Trailer),
            (State::TrailerLf, b'\n') => Some(State::TrailerFirst),
            (State::LastLf, b'\n') => Some(State::Done),
            _ => None,
        };
        next.ok_or(Rejection::bad_request("malformed chunks in the request's body"))
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// What may stand in an extension or a trailer line, which are dropped unread.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::tests::headers;

    fn framed(block: &str) -> Result<Framing, Status> {
        framing(&headers(block), Version::Http11).map_err(|rejection| rejection.status)
    }

    #[test]
    fn framing_is_one_plain_length_or_one_chunked() {
        assert_eq!(framed("Host: a\r\n"), Ok(Framing::None));
        assert_eq!(framed("Content-Length: 0\r\n"), Ok(Framing::None));
        assert_eq!(framed("Content-Length: 0005\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framed("Content-Length: 18446744073709551615\r\n"), Ok(Framing::Length(u64::MAX)));
        assert_eq!(framed("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    }

    #[test]
    fn a_doubtful_length_is_refused() {
        for bad in ["+5", "-5", "5, 5", "5 5", "0x5", "5.0", "", "18446744073709551616", "five"] {
            assert_eq!(framed(&format!("Content-Length: {bad}\r\n")), Err(Status::BadRequest), "{bad:?}");
        }
        assert_eq!(framed("Content-Length: 5\r\nContent-Length: 5\r\n"), Err(Status::BadRequest));
    }

    #[test]
    fn a_doubtful_transfer_coding_is_refused() {
        for bad in ["", "identity", "chunked, chunked", "chunked, gzip", "xchunked", "\"chunked\""] {
            assert_eq!(framed(&format!("Transfer-Encoding: {bad}\r\n")), Err(Status::BadRequest), "{bad:?}");
        }
        assert_eq!(framed("Transfer-Encoding: gzip, chunked\r\n"), Err(Status::NotImplemented));
        assert_eq!(
            framed("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
            Err(Status::NotImplemented)
        );
        assert_eq!(framed("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), Err(Status::BadRequest));
        let in_1_0 = framing(&headers("Transfer-Encoding: chunked\r\n"), Version::Http10);
        assert_eq!(in_1_0.map_err(|r| r.status), Err(Status::BadRequest));
    }

    fn drain(body: &[u8], budget: u64) -> Result<Drained, Status> {
        Drain::new(Framing::Chunked, budget).feed(body).map_err(|rejection| rejection.status)
    }

    #[test]
    fn chunks_with_extensions_and_trailers_end_exactly() {
        let body = b"A;x=\"y\"\r\n0123456789\r\n01 ;z\r\n!\r\n000\r\nX: y\r\nZ:\r\n\r\nGET / HTTP/1.1\r\n";
        let ends = body.len() - b"GET / HTTP/1.1\r\n".len();
        assert_eq!(drain(body, 1024), Ok(Drained { consumed: ends, done: true }));
    }

    #[test]
    fn malformed_chunks_are_refused() {
        let bad: [&[u8]; 12] = [
            b"\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"5\nabcde\r\n",
            b"5 \r\nabcde\r\n",
            b"5;a\nabcde\r\n",
            b"5\r\nabcdef\r\n",
            b"5\r\nabcde\n0\r\n\r\n",
            b"0\r\nX: y\n\r\n",
            b"0\r\n\n",
            b"10000000000000000\r\n",
        ];
        for body in bad {
            assert_eq!(drain(body, 1024), Err(Status::BadRequest), "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn the_budget_counts_data_framing_and_trailers() {
        assert_eq!(drain(b"5\r\nabcde\r\n0\r\n\r\n", 15), Ok(Drained { consumed: 15, done: true }));
        assert_eq!(drain(b"5\r\nabcde\r\n0\r\n\r\n", 14), Err(Status::ContentTooLarge));
        assert_eq!(drain(b"ffffffffffffffff\r\n", 1024), Err(Status::ContentTooLarge));
        assert_eq!(
            drain(&b"0;".iter().chain(&[b'x'; 99]).copied().collect::<Vec<_>>(), 50),
            Err(Status::ContentTooLarge)
        );
        let mut long = Drain::new(Framing::Length(6), 5);
        assert_eq!(long.feed(b"abc"), Err(Rejection::BODY_TOO_LARGE));
    }

    #[test]
    fn a_length_ends_exactly() {
        let mut drain = Drain::new(Framing::Length(5), 64);
        assert_eq!(drain.feed(b"abc"), Ok(Drained { consumed: 3, done: false }));
        assert_eq!(drain.feed(b"deGET"), Ok(Drained { consumed: 2, done: true }));
        assert_eq!(drain.feed(b"GET"), Ok(Drained { consumed: 0, done: true }));
        assert_eq!(Drain::new(Framing::None, 0).feed(b"G"), Ok(Drained { consumed: 0, done: true }));
    }
}
