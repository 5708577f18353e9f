//! Why a connection cannot go on.

use crate::Status;

/// A request that cannot be understood beyond doubt, or that is too large. What follows it on the connection cannot be
/// understood either, so the answer is the last one: [`Plan::rejected`](crate::Plan::rejected) closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// 400, 408, 413, 414, 431, 501, 503 or 505.
    pub status: Status,
    /// What was wrong, for the response's body and the log; never a part of the request.
    pub detail: &'static str,
}

impl Rejection {
    pub(crate) const TARGET_TOO_LONG: Self =
        Self { status: Status::UriTooLong, detail: "the request target is longer than this server reads" };
    pub(crate) const HEADERS_TOO_LARGE: Self = Self {
        status: Status::RequestHeaderFieldsTooLarge,
        detail: "the header lines are more or longer than this server reads",
    };
    pub(crate) const BODY_TOO_LARGE: Self = Self {
        status: Status::ContentTooLarge,
        detail: "this server takes no bodies and drops only small ones",
    };
    /// For a head that did not come within its time.
    pub const HEAD_TOO_SLOW: Self =
        Self { status: Status::RequestTimeout, detail: "the request head did not come in time" };
    /// For a connection above the bounds of [`Admission`](crate::Admission).
    pub const TOO_MANY_CONNECTIONS: Self =
        Self { status: Status::ServiceUnavailable, detail: "too many connections, try again in a moment" };

    pub(crate) const fn bad_request(detail: &'static str) -> Self {
        Self { status: Status::BadRequest, detail }
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.detail)
    }
}

impl std::error::Error for Rejection {}
