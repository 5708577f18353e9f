//! Writes response heads into a buffer of the caller.
//!
//! A [`ResponseHead`] is plain data; nothing is decided here. What it keeps true: each line ends with CRLF and holds
//! only checked values, so no part of a request can add a line; nothing is allocated beside the caller's buffer; and
//! `Date`, `Server` and `X-Content-Type-Options` stand on every response.

use crate::date::{DateText, Timestamp};
use crate::encoding::Coding;
use crate::etag::ETag;
use crate::field::{Field, FieldValue};
use crate::range::ByteRange;
use crate::request::Connection;
use crate::{Method, Status};

/// The interim response to `Expect: 100-continue`, before a body is read.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// `Content-Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// `bytes 0-9/1000`, on 206.
    Part {
        /// The bytes that follow.
        range: ByteRange,
        /// The size of the whole.
        size: u64,
    },
    /// `bytes */1000`, on 416.
    Unsatisfied {
        /// The size of the whole.
        size: u64,
    },
}

/// What a response says before its body. A field that is `None` or `false` is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The status line.
    pub status: Status,
    /// What is said about the connection, and what must then be done with it.
    pub connection: Connection,
    /// `Content-Type`
    pub content_type: Option<FieldValue<'a>>,
    /// `Content-Length` in bytes; on HEAD that of the GET. Absent on 204 and 304.
    pub content_length: Option<u64>,
    /// `Content-Range`
    pub content_range: Option<ContentRange>,
    /// `Content-Encoding`
    pub content_encoding: Option<Coding>,
    /// `Accept-Ranges: bytes`
    pub accept_ranges: bool,
    /// `ETag`
    pub etag: Option<ETag>,
    /// `Last-Modified`
    pub last_modified: Option<Timestamp>,
    /// `Cache-Control`
    pub cache_control: Option<FieldValue<'a>>,
    /// `Vary`
    pub vary: Option<FieldValue<'a>>,
    /// `Allow: GET, HEAD, OPTIONS`
    pub allow: bool,
    /// `Location`
    pub location: Option<FieldValue<'a>>,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u32>,
    /// Headers of the configuration.
    pub extra: &'a [Field],
}

impl<'a> ResponseHead<'a> {
    /// A head that says nothing but its status.
    #[must_use]
    pub const fn new(status: Status, connection: Connection) -> Self {
        Self {
            status,
            connection,
            content_type: None,
            content_length: None,
            content_range: None,
            content_encoding: None,
            accept_ranges: false,
            etag: None,
            last_modified: None,
            cache_control: None,
            vary: None,
            allow: false,
            location: None,
            retry_after_s: None,
            extra: &[],
        }
    }

    /// Appends the head, empty line included, to `out`. Heads of files take 300 to 500 bytes.
    ///
    /// ```
    /// use annulus_http::{Connection, ResponseHead, Status, Timestamp};
    ///
    /// let mut out = Vec::new();
    /// let date = Timestamp::from_unix(0).unwrap().text();
    /// ResponseHead::new(Status::NoContent, Connection::Persist).write(&mut out, &date);
    /// assert_eq!(
    ///     String::from_utf8(out).unwrap(),
    ///     "HTTP/1.1 204 No Content\r\n\
    ///      Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    ///      Server: annulus\r\n\
    ///      X-Content-Type-Options: nosniff\r\n\r\n",
    /// );
    /// ```
    pub fn write(&self, out: &mut Vec<u8>, date: &DateText) {
        self.write_to(out, date);
    }

    /// Writes the head to the beginning of `out` and tells its length; `None`, with `out` in any state, if it does not
    /// fit.
    #[must_use]
    pub fn write_bounded(&self, out: &mut [u8], date: &DateText) -> Option<usize> {
        let mut bounded = Bounded { out, len: 0, overflowed: false };
        self.write_to(&mut bounded, date);
        (!bounded.overflowed).then_some(bounded.len)
    }

    fn write_to(&self, out: &mut impl Sink, date: &DateText) {
        out.text("HTTP/1.1 ");
        out.text(self.status.line());
        out.text("\r\nDate: ");
        out.put(date.as_bytes());
        out.text("\r\nServer: annulus\r\nX-Content-Type-Options: nosniff\r\n");
        self.write_content(out);
        self.write_validators(out);
        self.write_control(out);
        for field in self.extra {
            out.field(field.name(), field.value().as_str());
        }
        out.text("\r\n");
    }

    fn write_content(&self, out: &mut impl Sink) {
        out.optional("Content-Type", self.content_type.as_ref());
        if let Some(length) = self.content_length {
            out.text("Content-Length: ");
            out.decimal(length);
            out.text("\r\n");
        }
        if let Some(range) = self.content_range {
            content_range(out, range);
        }
        if let Some(coding) = self.content_encoding {
            out.field("Content-Encoding", coding.token());
        }
        if self.accept_ranges {
            out.text("Accept-Ranges: bytes\r\n");
        }
    }

    fn write_validators(&self, out: &mut impl Sink) {
        if let Some(etag) = &self.etag {
            out.field("ETag", etag.as_str());
        }
        if let Some(time) = self.last_modified {
            out.field("Last-Modified", time.text().as_str());
        }
        out.optional("Cache-Control", self.cache_control.as_ref());
        out.optional("Vary", self.vary.as_ref());
    }

    fn write_control(&self, out: &mut impl Sink) {
        if self.allow {
            out.field("Allow", Method::ALLOWED);
        }
        out.optional("Location", self.location.as_ref());
        if let Some(seconds) = self.retry_after_s {
            out.text("Retry-After: ");
            out.decimal(u64::from(seconds));
            out.text("\r\n");
        }
        match self.connection {
            Connection::Close => out.text("Connection: close\r\n"),
            Connection::PersistStated => out.text("Connection: keep-alive\r\n"),
            Connection::Persist => {}
        }
    }
}

/// The line `Content-Range: ...`, also used in the parts of a multipart body.
pub(crate) fn content_range(out: &mut impl Sink, range: ContentRange) {
    out.text("Content-Range: bytes ");
    let size = match range {
        ContentRange::Part { range, size } => {
            out.decimal(range.start);
            out.text("-");
            out.decimal(range.last());
            size
        }
        ContentRange::Unsatisfied { size } => {
            out.text("*");
            size
        }
    };
    out.text("/");
    out.decimal(size);
    out.text("\r\n");
}

/// Where the bytes of a head go.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn text(&mut self, text: &str) {
        self.put(text.as_bytes());
    }

    fn field(&mut self, name: &str, value: &str) {
        self.text(name);
        self.text(": ");
        self.text(value);
        self.text("\r\n");
    }

    fn optional(&mut self, name: &str, value: Option<&FieldValue<'_>>) {
        if let Some(value) = value {
            self.field(name, value.as_str());
        }
    }

    fn decimal(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts without keeping.
impl Sink for u64 {
    fn put(&mut self, bytes: &[u8]) {
        *self = self.saturating_add(bytes.len() as Self);
    }
}

struct Bounded<'o> {
    out: &'o mut [u8],
    len: usize,
    overflowed: bool,
}

impl Sink for Bounded<'_> {
    fn put(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.len..self.len + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.overflowed = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etag::Mtime;

    fn full(extra: &[Field]) -> ResponseHead<'_> {
        ResponseHead {
            content_type: Some(FieldValue::from_static("image/jpeg")),
            content_length: Some(10),
            content_range: Some(ContentRange::Part { range: ByteRange { start: 5, len: 10 }, size: 1000 }),
            content_encoding: Some(Coding::Gzip),
            accept_ranges: true,
            etag: Some(ETag::of_file(Mtime { seconds: 1, nanoseconds: 2 }, 3, None, None)),
            last_modified: Timestamp::from_unix(784_111_777),
            cache_control: Some(FieldValue::from_static("max-age=3600")),
            vary: Some(FieldValue::from_static("Accept-Encoding")),
            allow: true,
            location: Some(FieldValue::from_static("/a/")),
            retry_after_s: Some(4_294_967_295),
            extra,
            ..ResponseHead::new(Status::PartialContent, Connection::Close)
        }
    }

    const EXPECTED: &str = "HTTP/1.1 206 Partial Content\r\n\
        Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
        Server: annulus\r\n\
        X-Content-Type-Options: nosniff\r\n\
        Content-Type: image/jpeg\r\n\
        Content-Length: 10\r\n\
        Content-Range: bytes 5-14/1000\r\n\
        Content-Encoding: gzip\r\n\
        Accept-Ranges: bytes\r\n\
        ETag: \"1-2-3\"\r\n\
        Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        Cache-Control: max-age=3600\r\n\
        Vary: Accept-Encoding\r\n\
        Allow: GET, HEAD, OPTIONS\r\n\
        Location: /a/\r\n\
        Retry-After: 4294967295\r\n\
        Connection: close\r\n\
        Referrer-Policy: same-origin\r\n\r\n";

    #[test]
    fn every_field_has_its_line() {
        let extra = [Field::new("Referrer-Policy", "same-origin").expect("plain")];
        let mut out = Vec::new();
        full(&extra).write(&mut out, &DateText::default());
        assert_eq!(String::from_utf8_lossy(&out), EXPECTED);
    }

    #[test]
    fn a_bounded_buffer_takes_all_or_tells() {
        let extra = [Field::new("Referrer-Policy", "same-origin").expect("plain")];
        let head = full(&extra);
        let mut exact = vec![0; EXPECTED.len()];
        assert_eq!(head.write_bounded(&mut exact, &DateText::default()), Some(EXPECTED.len()));
        assert_eq!(String::from_utf8_lossy(&exact), EXPECTED);
        for len in 0..EXPECTED.len() {
            assert_eq!(head.write_bounded(&mut exact[..len], &DateText::default()), None, "{len} bytes");
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for (number, text) in [(0, "0"), (7, "7"), (10, "10"), (u64::MAX, "18446744073709551615")] {
            let mut out = Vec::new();
            out.decimal(number);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
