//! The status codes this server gives, with their reason phrases.
//!
//! Deliberately not a list of all registered codes: a variant here is one that some function of this crate, or the
//! server built on it, answers with.

/// A status code of RFC 9110 section 15 or RFC 6585.
///
/// ```
/// use annulus_http::Status;
///
/// assert_eq!(Status::PartialContent.code(), 206);
/// assert_eq!(Status::PartialContent.to_string(), "206 Partial Content");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Status {
    /// 200
    Ok = 200,
    /// 204
    NoContent = 204,
    /// 206
    PartialContent = 206,
    /// 304
    NotModified = 304,
    /// 308
    PermanentRedirect = 308,
    /// 400
    BadRequest = 400,
    /// 403
    Forbidden = 403,
    /// 404
    NotFound = 404,
    /// 405
    MethodNotAllowed = 405,
    /// 408
    RequestTimeout = 408,
    /// 412
    PreconditionFailed = 412,
    /// 413
    ContentTooLarge = 413,
    /// 414
    UriTooLong = 414,
    /// 416
    RangeNotSatisfiable = 416,
    /// 417
    ExpectationFailed = 417,
    /// 429
    TooManyRequests = 429,
    /// 431
    RequestHeaderFieldsTooLarge = 431,
    /// 500
    InternalServerError = 500,
    /// 501
    NotImplemented = 501,
    /// 503
    ServiceUnavailable = 503,
    /// 505
    HttpVersionNotSupported = 505,
}

impl Status {
    /// The three digits.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The digits and the reason phrase, as they stand on the status line.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::NoContent => "204 No Content",
            Self::PartialContent => "206 Partial Content",
            Self::NotModified => "304 Not Modified",
            Self::PermanentRedirect => "308 Permanent Redirect",
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::RequestTimeout => "408 Request Timeout",
            Self::PreconditionFailed => "412 Precondition Failed",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::UriTooLong => "414 URI Too Long",
            Self::RangeNotSatisfiable => "416 Range Not Satisfiable",
            Self::ExpectationFailed => "417 Expectation Failed",
            Self::TooManyRequests => "429 Too Many Requests",
            Self::RequestHeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            Self::InternalServerError => "500 Internal Server Error",
            Self::NotImplemented => "501 Not Implemented",
            Self::ServiceUnavailable => "503 Service Unavailable",
            Self::HttpVersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.line())
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn the_line_opens_with_the_code() {
        let all = [
            Status::Ok,
            Status::NoContent,
            Status::PartialContent,
            Status::NotModified,
            Status::PermanentRedirect,
            Status::BadRequest,
            Status::Forbidden,
            Status::NotFound,
            Status::MethodNotAllowed,
            Status::RequestTimeout,
            Status::PreconditionFailed,
            Status::ContentTooLarge,
            Status::UriTooLong,
            Status::RangeNotSatisfiable,
            Status::ExpectationFailed,
            Status::TooManyRequests,
            Status::RequestHeaderFieldsTooLarge,
            Status::InternalServerError,
            Status::NotImplemented,
            Status::ServiceUnavailable,
            Status::HttpVersionNotSupported,
        ];
        for status in all {
            assert!(status.line().starts_with(&format!("{} ", status.code())), "{status:?}");
        }
    }
}
