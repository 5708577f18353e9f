//! A response as data: its head and where its body comes from.
//!
//! A [`Plan`] is complete: who carries it out takes no decision any more. What it keeps true: `Content-Length` is that
//! of the body described, no body stands on 204 and 304 nor on the answer to an understood HEAD, and an error's body is a
//! short text without any part of the request.

use crate::date::DateText;
use crate::field::FieldValue;
use crate::multipart::Multipart;
use crate::policy::Policy;
use crate::range::ByteRange;
use crate::rejection::Rejection;
use crate::request::{Connection, RequestHead};
use crate::response::ResponseHead;
use crate::{Method, Status};
use std::borrow::Cow;

/// Where the bytes behind a head come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// There are none.
    None,
    /// The file from its beginning: so many bytes, also if it has grown meanwhile. If it ends earlier, close.
    Whole(u64),
    /// This part of the file.
    Slice(ByteRange),
    /// Several parts: send its [`segments`](Multipart::segments).
    Multipart(Box<Multipart<'a>>),
    /// These bytes.
    Text(Cow<'static, [u8]>),
}

impl Body<'_> {
    /// How many bytes will be sent.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Whole(len) => *len,
            Self::Slice(range) => range.len,
            Self::Multipart(parts) => parts.content_length(),
            Self::Text(bytes) => bytes.len() as u64,
        }
    }

    /// Whether nothing follows the head.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A response, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// What is written first.
    pub head: ResponseHead<'a>,
    /// What follows.
    pub body: Body<'a>,
}

impl<'a> Plan<'a> {
    /// The answer to a request that could not be understood, or to a connection that cannot be served. Closes.
    #[must_use]
    pub fn rejected(why: &Rejection, policy: &'a Policy) -> Self {
        Self::text(why.status, Some(why.detail), Connection::Close, policy)
    }

    /// A status with a line of text that says it, and why.
    pub(crate) fn error(
        status: Status,
        why: Option<&str>,
        request: &RequestHead<'_>,
        policy: &'a Policy,
    ) -> Self {
        Self::text(status, why, request.connection, policy).for_method(request.method)
    }

    /// Appends the head to `out`.
    pub fn write_head(&self, out: &mut Vec<u8>, date: &DateText) {
        self.head.write(out, date);
    }

    /// Makes this the last response of its connection: at shutdown, or after as many as one connection may ask.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.head.connection = Connection::Close;
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.head.status
    }

    /// Whether another request may follow on the connection.
    #[must_use]
    pub const fn persists(&self) -> bool {
        self.head.connection.persists()
    }

    fn text(status: Status, why: Option<&str>, connection: Connection, policy: &'a Policy) -> Self {
        let text = why.map_or_else(|| format!("{status}\n"), |why| format!("{status}: {why}\n"));
        let mut head = ResponseHead::new(status, connection);
        head.content_type = Some(const { FieldValue::from_static("text/plain; charset=utf-8") });
        head.content_length = Some(text.len() as u64);
        // Some caches keep errors and redirects for ever when nothing is said.
        head.cache_control = Some(const { FieldValue::from_static("no-cache") });
        head.retry_after_s = (status == Status::ServiceUnavailable).then_some(policy.retry_after_s);
        head.allow = status == Status::MethodNotAllowed;
        head.extra = &policy.extra;
        Self { head, body: Body::Text(text.into_bytes().into()) }
    }

    /// HEAD is answered with the head that GET would get.
    pub(crate) fn for_method(mut self, method: Method) -> Self {
        if method == Method::Head {
            self.body = Body::None;
        }
        self
    }
}
