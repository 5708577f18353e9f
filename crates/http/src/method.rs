//! Request methods: which are served, which are known and refused, which are unknown.
//!
//! Method names are case-sensitive (RFC 9110 section 9.1), so `get` is an unknown method, not GET.

/// A request method as far as a static file server tells them apart.
///
/// ```
/// use annulus_http::Method;
///
/// assert_eq!(Method::from_token("HEAD"), Method::Head);
/// assert_eq!(Method::from_token("DELETE"), Method::Known);
/// assert_eq!(Method::from_token("get"), Method::Unknown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `OPTIONS`
    Options,
    /// A method of RFC 9110, RFC 5789 (`PATCH`) or RFC 4918 (WebDAV) that changes or asks what is not served: 405.
    Known,
    /// Any other token: 501.
    Unknown,
}

impl Method {
    /// What `Allow` says.
    pub const ALLOWED: &'static str = "GET, HEAD, OPTIONS";

    /// Classifies the token on the request line.
    #[must_use]
    pub fn from_token(token: &str) -> Self {
        match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            "POST" | "PUT" | "DELETE" | "PATCH" | "TRACE" | "CONNECT" => Self::Known,
            "PROPFIND" | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE" | "LOCK" | "UNLOCK" => Self::Known,
            _ => Self::Unknown,
        }
    }

    /// Whether the method reads a representation: the two to which conditions apply here.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}
