//! Reads request heads from a growing buffer and decides which are acceptable.
//!
//! `httparse` finds the tokens; this room holds the limits and the rules against request smuggling (RFC 9112 sections
//! 3, 6 and 11.2). It does not look at the path (see [`target`](crate::target)) nor at the method's meaning.
//! What it keeps true: the answer depends on the bytes alone, not on how they were cut into reads: any prefix gives
//! [`Parsed::Partial`] or the answer that the whole gives. After a [`Rejection`] nothing more of the connection is read.

use crate::body::{self, Framing};
use crate::headers::{Headers, Name};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::target::is_valid_authority;
use crate::{Method, Status};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::fmt;
use std::mem::MaybeUninit;

/// Most header lines that a caller may allow: the table for them stands on the stack while a head is parsed.
pub(crate) const MAX_HEADER_LINES: usize = 128;

/// Empty lines tolerated before the request line (RFC 9112 section 2.2 asks for at least one), in bytes.
const MAX_LEADING_BYTES: usize = 8;

/// What the request line may hold beside the target: the method, two spaces, the version and the line's end.
const LINE_SLACK: usize = 64;

/// What a buffer must hold for a request line beside the target.
pub(crate) const MAX_LINE_OVERHEAD: usize = MAX_LEADING_BYTES + LINE_SLACK;

/// The version on the request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `HTTP/1.0`
    Http10,
    /// `HTTP/1.1`
    Http11,
}

/// Whether the connection goes on after the response, and what the response says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Connection {
    /// Closed after the response, which says `Connection: close`.
    Close,
    /// Goes on, as is the rule in HTTP/1.1; nothing is said.
    Persist,
    /// Goes on because an HTTP/1.0 client asked for it; the response says `Connection: keep-alive`.
    PersistStated,
}

impl Connection {
    /// Whether another request may follow.
    #[must_use]
    pub const fn persists(self) -> bool {
        !matches!(self, Self::Close)
    }
}

/// An acceptable request head, borrowed from the buffer it was parsed from.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'b> {
    /// The method's meaning to this server.
    pub method: Method,
    /// The method as the client wrote it: a token, safe to log.
    pub method_token: &'b str,
    /// The request target as the client wrote it: UTF-8 without blanks and ASCII control characters, at most 8 KiB by
    /// default. For logs there is [`target_for_log`](Self::target_for_log).
    pub raw_target: &'b str,
    /// The version on the request line.
    pub version: Version,
    /// The header fields.
    pub headers: Headers<'b>,
    /// How the end of the request's body is found.
    pub framing: Framing,
    /// Whether the connection may go on after the response.
    pub connection: Connection,
}

impl RequestHead<'_> {
    /// `Host`, if there is one. An absolute-form target's own authority takes precedence over it (RFC 9112 section
    /// 3.2.2); a server of files needs neither.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.headers.only(Name::Host).and_then(|host| std::str::from_utf8(host).ok())
    }

    /// The request target with all but visible ASCII encoded, and quotation marks and backslashes too: it cannot end
    /// a quoted field of a log, begin a line or steer a terminal.
    ///
    /// ```
    /// use annulus_http::{parse, Limits, Parsed};
    ///
    /// let request = "GET /\"\u{9b}2J HTTP/1.0\r\n\r\n".as_bytes();
    /// let Parsed::Complete { head, .. } = parse(request, &Limits::default()) else { panic!() };
    /// assert_eq!(head.target_for_log().to_string(), "/%22%C2%9B2J");
    /// ```
    pub fn target_for_log(&self) -> impl fmt::Display + use<'_> {
        const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\\');
        utf8_percent_encode(self.raw_target, UNSAFE)
    }
}

/// What a buffer holds at its beginning.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart where it is returned; a box would cost an allocation per request"
)]
pub enum Parsed<'b> {
    /// A whole acceptable head; the body or the next request begins at `consumed`.
    Complete {
        /// The head.
        head: RequestHead<'b>,
        /// Bytes that belong to it, including empty lines before it.
        consumed: usize,
    },
    /// Nothing wrong so far: read more and parse again from the same beginning.
    Partial,
    /// Answer with [`Plan::rejected`](crate::Plan::rejected) and close.
    Rejected(Rejection),
}

/// Parses the head at the beginning of `buffer`. Stateless: see [`HeadParser`] for input that comes in small pieces.
///
/// ```
/// use annulus_http::{parse, Limits, Parsed, Status};
///
/// let limits = Limits::default();
/// assert!(matches!(parse(b"GET /a.jpg HT", &limits), Parsed::Partial));
///
/// let whole = b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\n\r\nGET /next";
/// let Parsed::Complete { head, consumed } = parse(whole, &limits) else { panic!() };
/// assert_eq!((head.raw_target, consumed), ("/a.jpg", 40));
///
/// let smuggled = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
/// let Parsed::Rejected(why) = parse(smuggled, &limits) else { panic!() };
/// assert_eq!(why.status, Status::BadRequest);
/// ```
#[must_use]
pub fn parse<'b>(buffer: &'b [u8], limits: &Limits) -> Parsed<'b> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADER_LINES];
    let slots = &mut slots[..limits.max_header_lines.min(MAX_HEADER_LINES)];
    let mut request = httparse::Request::new(&mut []);
    let window = Window::of(buffer, limits);
    if window.leading > MAX_LEADING_BYTES {
        return Parsed::Rejected(Rejection::bad_request(
            "more than a few empty lines before the request line",
        ));
    }
    let outcome = request.parse_with_uninit_headers(window.bytes, slots);
    if request.path.is_some_and(|target| target.len() > limits.max_target_bytes) {
        return Parsed::Rejected(Rejection::TARGET_TOO_LONG);
    }
    match outcome {
        Ok(httparse::Status::Complete(consumed)) => accept(&request, &window, consumed),
        Ok(httparse::Status::Partial) if window.is_full => Parsed::Rejected(window.too_long(&request)),
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Err(error) => refuse(error, &window),
    }
}

/// [`parse`] for input that may trickle in: a client that sends one byte at a time does not make the server look at
/// the whole head again for each. One per connection; it starts over by itself after each answer.
#[derive(Clone, Debug, Default)]
pub struct HeadParser {
    /// Bytes looked at without finding the head's end.
    seen: usize,
    /// Where the limits cut; known once the request line is whole.
    full_at: Option<usize>,
}

impl HeadParser {
    /// As [`parse`], but called again with the same beginning and more bytes after each [`Parsed::Partial`]. What is
    /// wrong in a header line may be told only when the line has ended, or when the limit is reached.
    pub fn parse<'b>(&mut self, buffer: &'b [u8], limits: &Limits) -> Parsed<'b> {
        if self.may_wait(buffer) {
            self.seen = buffer.len();
            return Parsed::Partial;
        }
        let parsed = parse(buffer, limits);
        *self = Self::default();
        if let Parsed::Partial = parsed {
            self.seen = buffer.len();
            self.full_at = Window::of(buffer, limits).end_if_line_is_whole();
        }
        parsed
    }

    /// Header lines are looked at when one has come to its end, or when the limit is reached.
    fn may_wait(&self, buffer: &[u8]) -> bool {
        let fresh = buffer.get(self.seen..).unwrap_or(buffer);
        self.full_at.is_some_and(|full_at| buffer.len() < full_at && !fresh.contains(&b'\n'))
    }
}

/// The part of the buffer that a head may occupy: up to the longest request line, and once that is whole, up to the
/// most bytes of headers behind it. Looking no further is what makes the answer independent of how reads are cut.
struct Window<'b> {
    bytes: &'b [u8],
    /// CR and LF before the request line.
    leading: usize,
    /// Where the request line begins and where the byte after it is, if it is whole.
    line_end: Option<usize>,
    limit: usize,
    is_full: bool,
}

impl<'b> Window<'b> {
    fn of(buffer: &'b [u8], limits: &Limits) -> Self {
        let leading =
            buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).take(MAX_LEADING_BYTES + 1).count();
        let line_limit = leading + limits.max_target_bytes + LINE_SLACK;
        let line = &buffer[leading..buffer.len().min(line_limit)];
        let line_end = line.iter().position(|&b| b == b'\n').map(|lf| leading + lf + 1);
        let limit = line_end.map_or(line_limit, |end| end + limits.max_header_bytes);
        let bytes = &buffer[..buffer.len().min(limit)];
        Self { bytes, leading, line_end, limit, is_full: bytes.len() == limit }
    }

    fn end_if_line_is_whole(&self) -> Option<usize> {
        self.line_end.map(|_| self.limit)
    }

    /// The request line without its end.
    fn line(&self) -> Option<&'b [u8]> {
        let line = &self.bytes[self.leading..self.line_end? - 1];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Why a full window holds no whole head.
    fn too_long(&self, request: &httparse::Request<'_, '_>) -> Rejection {
        match (self.line_end, request.method) {
            (Some(_), _) => Rejection::HEADERS_TOO_LARGE,
            (None, Some(_)) => Rejection::TARGET_TOO_LONG,
            (None, None) => Rejection::bad_request("no method at the beginning of the request line"),
        }
    }
}

fn refuse(error: httparse::Error, window: &Window<'_>) -> Parsed<'static> {
    let detail = match error {
        httparse::Error::Version => return refuse_version(window),
        httparse::Error::TooManyHeaders => return Parsed::Rejected(Rejection::HEADERS_TOO_LARGE),
        httparse::Error::HeaderName => {
            "a header line with a blank before its colon, folded, or with an illegal name"
        }
        httparse::Error::HeaderValue => "a header value with a bare CR, a NUL or another control character",
        httparse::Error::NewLine => "a CR without LF",
        httparse::Error::Token | httparse::Error::Status => "an illegal character in the request line",
    };
    Parsed::Rejected(Rejection::bad_request(detail))
}

/// A version of HTTP that is not spoken here gets 505, anything else in its place 400: known when the line is whole.
fn refuse_version(window: &Window<'_>) -> Parsed<'static> {
    let Some(line) = window.line() else {
        let nonsense = Rejection::bad_request("no version at the end of the request line");
        return if window.is_full { Parsed::Rejected(nonsense) } else { Parsed::Partial };
    };
    let mut tokens = line.split(|&b| b == b' ');
    let version = (tokens.next(), tokens.next(), tokens.next(), tokens.next());
    let is_http = match version {
        (Some(_), Some(_), Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    };
    Parsed::Rejected(if is_http {
        Rejection {
            status: Status::HttpVersionNotSupported,
            detail: "this server speaks HTTP/1.1 and HTTP/1.0",
        }
    } else {
        Rejection::bad_request("the request line is not METHOD TARGET HTTP/1.1")
    })
}

/// The head has the right form; now its meaning must be beyond doubt.
fn accept<'b>(request: &httparse::Request<'_, 'b>, window: &Window<'b>, consumed: usize) -> Parsed<'b> {
    let (Some(method_token), Some(raw_target), Some(minor), Some(line_end)) =
        (request.method, request.path, request.version, window.line_end)
    else {
        return Parsed::Rejected(Rejection::bad_request("the request line is not whole"));
    };
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let headers = Headers::new(&window.bytes[line_end..consumed], request.headers);
    let framing = check_host(&headers, version).and_then(|()| body::framing(&headers, version));
    match framing {
        Err(rejection) => Parsed::Rejected(rejection),
        Ok(framing) => {
            let method = Method::from_token(method_token);
            let connection = connection(&headers, version);
            let head =
                RequestHead { method, method_token, raw_target, version, headers, framing, connection };
            Parsed::Complete { head, consumed }
        }
    }
}

/// RFC 9112 section 3.2: exactly one valid `Host` in HTTP/1.1; HTTP/1.0 may leave it out.
fn check_host(headers: &Headers<'_>, version: Version) -> Result<(), Rejection> {
    if headers.is_repeated(Name::Host) {
        return Err(Rejection::bad_request("more than one Host"));
    }
    match headers.first(Name::Host) {
        None if version == Version::Http11 => Err(Rejection::bad_request("HTTP/1.1 without Host")),
        Some(host) if !host.is_empty() && !is_valid_authority(host) => {
            Err(Rejection::bad_request("Host is neither a name nor an address with an optional port"))
        }
        _ => Ok(()),
    }
}

fn connection(headers: &Headers<'_>, version: Version) -> Connection {
    let says = |option: &[u8]| headers.members(Name::Connection).any(|m| m.eq_ignore_ascii_case(option));
    if says(b"close") {
        return Connection::Close;
    }
    match version {
        Version::Http11 => Connection::Persist,
        Version::Http10 if says(b"keep-alive") => Connection::PersistStated,
        Version::Http10 => Connection::Close,
    }
}
