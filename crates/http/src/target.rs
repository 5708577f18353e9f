//! From a request target to a path below the root, by its characters alone.
//!
//! This is the first of two fences: the server resolves the result with `openat2(RESOLVE_BENEATH)`, since symbolic
//! links cannot be seen here. What it keeps true: the components of a [`Target`] are non-empty, hold neither `/`, `\`
//! nor NUL and are never `.` or `..`; so it is relative, stays below the root, and a redirect built from it begins with
//! exactly one slash.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use std::fmt;

/// What is written as itself in a path that we make: RFC 3986's unreserved characters. All else is encoded, so the
/// result may stand in a header, in an HTML attribute and as the beginning of a relative reference.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes one component for a link; `/` becomes `%2F`.
///
/// ```
/// assert_eq!(annulus_http::encode_component("Åre 2026.jpg".as_bytes()).to_string(), "%C3%85re%202026.jpg");
/// ```
pub fn encode_component(component: &[u8]) -> impl fmt::Display + '_ {
    percent_encode(component, ENCODED)
}

/// A path below the root, decoded and normalised, with the query it came with.
///
/// ```
/// use annulus_http::Target;
///
/// let target = Target::parse("/album//Fj%C3%A4ll/./a%2ejpg?size=320").unwrap();
/// assert_eq!(target.path(), "album/Fjäll/a.jpg".as_bytes());
/// assert_eq!(target.query(), Some("size=320"));
/// assert!(Target::parse("/album/%2e%2e/%2e%2e/etc/passwd").is_err());
/// assert_eq!(Target::parse("//evil.example/x").unwrap().with_slash(), "/evil.example/x/");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'b> {
    /// The components with one slash between each two.
    path: Vec<u8>,
    trailing_slash: bool,
    query: Option<&'b str>,
}

/// Why a target names nothing here: always 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// Neither a path nor an `http` or `https` URI; or one with an empty or malformed authority.
    Form,
    /// A `#`: fragments are never sent.
    Fragment,
    /// A `%` without two hexadecimal digits.
    Percent,
    /// `%2F`: a name cannot contain a slash.
    EncodedSlash,
    /// `%00`: a name cannot contain it.
    Nul,
    /// `\`, which some systems take for a slash.
    Backslash,
    /// `..`, encoded or not. Clients resolve it before they ask, and behind a symbolic link it means something else.
    Parent,
}

impl TargetError {
    /// The reason in words, for the response's body.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Form => "the request target is neither a path nor an http URI",
            Self::Fragment => "the request target contains '#'",
            Self::Percent => "the request target has a '%' without two hexadecimal digits",
            Self::EncodedSlash => "the request target has an encoded slash in a name",
            Self::Nul => "the request target has an encoded NUL in a name",
            Self::Backslash => "the request target has a backslash in a name",
            Self::Parent => "the request target has a '..' component; resolve it before asking",
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for TargetError {}

impl<'b> Target<'b> {
    /// From an origin-form (`/path?query`) or absolute-form (`http://host/path?query`) target.
    ///
    /// # Errors
    /// A [`TargetError`] for what cannot be a path below the root; answer 400.
    pub fn parse(raw: &'b str) -> Result<Self, TargetError> {
        if raw.contains('#') {
            return Err(TargetError::Fragment);
        }
        let origin = if raw.starts_with('/') { raw } else { after_authority(raw)? };
        let (raw_path, query) = match origin.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (origin, None),
        };
        let mut target = Self { path: Vec::with_capacity(raw_path.len()), trailing_slash: true, query };
        for component in raw_path.split('/') {
            target.push(component)?;
        }
        Ok(target)
    }

    fn push(&mut self, raw: &str) -> Result<(), TargetError> {
        let start = if self.path.is_empty() { 0 } else { self.path.len() + 1 };
        let mut component = decode(raw)?.peekable();
        if component.peek().is_some() && start > 0 {
            self.path.push(b'/');
        }
        self.path.extend(component);
        let empty_or_dot = match self.path.get(start..).unwrap_or_default() {
            b"" | b"." => true,
            b".." => return Err(TargetError::Parent),
            name => check_name(name).map(|()| false)?,
        };
        if empty_or_dot {
            self.path.truncate(start.saturating_sub(1));
        }
        self.trailing_slash = empty_or_dot;
        Ok(())
    }

    /// The path relative to the root: components with one slash between each two, empty for the root itself. Bytes,
    /// not text: file names need not be UTF-8. Never contains NUL.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// [`path`](Self::path) as `openat2(2)` takes it: the root itself is `.`.
    #[must_use]
    pub fn open_path(&self) -> &[u8] {
        if self.path.is_empty() { b"." } else { &self.path }
    }

    /// The names on the way from the root to the target.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.path.split(|&b| b == b'/').filter(|component| !component.is_empty())
    }

    /// The last component, which tells the content type; `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// Whether the target asks for a directory: it ends with a slash or a `.`, or is the root.
    #[must_use]
    pub const fn has_trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// What stands behind the first `?`, undecoded.
    #[must_use]
    pub const fn query(&self) -> Option<&'b str> {
        self.query
    }

    /// Whether a component begins with a dot.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.components().any(|component| component.starts_with(b"."))
    }

    /// The target written anew, as a reference that begins with exactly one slash and is plain ASCII.
    #[must_use]
    pub fn normalised(&self) -> String {
        self.written(self.trailing_slash)
    }

    /// Where a directory asked for without its slash is: [`normalised`](Self::normalised), ending with a slash, and
    /// the query.
    #[must_use]
    pub fn with_slash(&self) -> String {
        self.written(true)
    }

    fn written(&self, slash: bool) -> String {
        let mut text = String::with_capacity(self.path.len() + 2);
        for component in self.components() {
            text.push('/');
            text.extend(percent_encode(component, ENCODED));
        }
        if text.is_empty() || slash {
            text.push('/');
        }
        if let Some(query) = self.query {
            text.push('?');
            push_query(&mut text, query);
        }
        text
    }
}

/// A query is not ours to understand; what a header cannot carry is encoded, the rest stays as it came.
fn push_query(text: &mut String, query: &str) {
    for byte in query.bytes() {
        if byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            text.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
}

/// What follows `http://host` in an absolute-form target: empty, or beginning with `/` or `?`.
fn after_authority(raw: &str) -> Result<&str, TargetError> {
    let (scheme, rest) = raw.split_once("://").ok_or(TargetError::Form)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(TargetError::Form);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    if authority.is_empty() || !is_valid_authority(authority.as_bytes()) {
        return Err(TargetError::Form);
    }
    Ok(origin)
}

/// Decodes `%xx`, having seen that each `%` is followed by two hexadecimal digits.
fn decode(raw: &str) -> Result<impl Iterator<Item = u8>, TargetError> {
    let mut after = raw.as_bytes();
    while let Some(percent) = after.iter().position(|&b| b == b'%') {
        after = &after[percent + 1..];
        if !matches!(after, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()) {
            return Err(TargetError::Percent);
        }
    }
    Ok(percent_decode(raw.as_bytes()))
}

fn check_name(name: &[u8]) -> Result<(), TargetError> {
    match name.iter().find(|b| matches!(b, b'/' | b'\\' | 0)) {
        None => Ok(()),
        Some(b'/') => Err(TargetError::EncodedSlash),
        Some(b'\\') => Err(TargetError::Backslash),
        Some(_) => Err(TargetError::Nul),
    }
}

/// `host [":" port]` of RFC 3986 section 3.2.2, without user information.
pub(crate) fn is_valid_authority(authority: &[u8]) -> bool {
    let bracket = authority.strip_prefix(b"[").and_then(|rest| {
        let end = rest.iter().position(|&b| b == b']')?;
        Some((&rest[..end], &rest[end + 1..]))
    });
    let (host_is_valid, port) = match bracket {
        Some((address, port)) => (is_ip_literal(address), port),
        None => {
            let colon = authority.iter().position(|&b| b == b':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(colon);
            (!host.is_empty() && host.iter().all(|&b| is_reg_name(b)), port)
        }
    };
    let port_is_valid = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    host_is_valid && port_is_valid
}

fn is_ip_literal(address: &[u8]) -> bool {
    let may_stand = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    // A zone (`%25eth0`, RFC 6874) names a link of the client's machine; some clients send it.
    let end = address.iter().position(|&b| b == b'%').unwrap_or(address.len());
    let (address, zone) = address.split_at(end);
    address.contains(&b':') && address.iter().all(may_stand) && zone.iter().all(|&b| is_reg_name(b))
}

fn is_reg_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Result<String, TargetError> {
        Target::parse(raw).map(|target| String::from_utf8_lossy(target.path()).into_owned())
    }

    fn ok(path: &str) -> Result<String, TargetError> {
        Ok(path.to_owned())
    }

    #[test]
    fn paths_become_relative_and_plain() {
        assert_eq!(path("/"), ok(""));
        assert_eq!(path("/a.jpg"), ok("a.jpg"));
        assert_eq!(path("//a///b//"), ok("a/b"));
        assert_eq!(path("/./a/./b/."), ok("a/b"));
        assert_eq!(path("/%2e/a"), ok("a"));
        assert_eq!(path("/a%20b/%C3%A4"), ok("a b/ä"));
        assert_eq!(path("/100%25"), ok("100%"));
        assert_eq!(path("/%252e%252e/a"), ok("%2e%2e/a"), "decoded once, never twice");
        assert_eq!(path("/.../..a/b..").as_deref(), Ok(".../..a/b.."));
        assert_eq!(path("/a?x=/../%zz"), ok("a"), "the query is not a path");
    }

    #[test]
    fn whatever_might_leave_the_root_is_refused() {
        let refused = [
            ("/..", TargetError::Parent),
            ("/../etc/passwd", TargetError::Parent),
            ("/a/../b", TargetError::Parent),
            ("/a/..", TargetError::Parent),
            ("//evil.com/..", TargetError::Parent),
            ("/%2e%2e/a", TargetError::Parent),
            ("/.%2E/a", TargetError::Parent),
            ("/..%2fa", TargetError::EncodedSlash),
            ("/a%2Fb", TargetError::EncodedSlash),
            ("/%2f", TargetError::EncodedSlash),
            ("/a%00.jpg", TargetError::Nul),
            ("/%00", TargetError::Nul),
            ("/a\\b", TargetError::Backslash),
            ("/..\\a", TargetError::Backslash),
            ("/%5c..%5ca", TargetError::Backslash),
            ("/%", TargetError::Percent),
            ("/%2", TargetError::Percent),
            ("/%zz", TargetError::Percent),
            ("/a%2/b", TargetError::Percent),
            ("/%u002e", TargetError::Percent),
            ("/a#b", TargetError::Fragment),
            ("a.jpg", TargetError::Form),
            ("*", TargetError::Form),
            ("localhost:80", TargetError::Form),
            ("ftp://host/a", TargetError::Form),
            ("http:///a", TargetError::Form),
            ("http://user@host/a", TargetError::Form),
        ];
        for (raw, why) in refused {
            assert_eq!(path(raw), Err(why), "{raw}");
        }
    }

    #[test]
    fn absolute_targets_lose_scheme_and_host() {
        assert_eq!(path("http://host/a/b"), ok("a/b"));
        assert_eq!(path("HTTPS://[::1]:8080/a"), ok("a"));
        assert_eq!(path("http://host"), ok(""));
        let target = Target::parse("http://host?x=1").expect("the root with a query");
        assert_eq!((target.path(), target.query()), (&b""[..], Some("x=1")));
        assert_eq!(path("http://host//../a"), Err(TargetError::Parent));
    }

    #[test]
    fn a_redirect_stays_on_this_host() {
        let redirect = |raw| Target::parse(raw).map(|target| target.with_slash());
        assert_eq!(redirect("/album").as_deref(), Ok("/album/"));
        assert_eq!(redirect("//evil.com").as_deref(), Ok("/evil.com/"));
        assert_eq!(redirect("/.//evil.com").as_deref(), Ok("/evil.com/"));
        assert_eq!(redirect("///").as_deref(), Ok("/"));
        assert_eq!(redirect("/a%0d%0aSet-Cookie:x").as_deref(), Ok("/a%0D%0ASet-Cookie%3Ax/"));
        assert_eq!(redirect("/a b?c=ä\"").as_deref(), Ok("/a%20b/?c=%C3%A4\""));
        assert_eq!(redirect("http://evil.com/album").as_deref(), Ok("/album/"));
    }

    #[test]
    fn slashes_and_dots_are_told() {
        let slash = |raw| Target::parse(raw).map(|target| target.has_trailing_slash());
        for (raw, expected) in
            [("/", true), ("/a/", true), ("/a", false), ("/a/.", true), ("http://h", true), ("/a?b/", false)]
        {
            assert_eq!(slash(raw), Ok(expected), "{raw}");
        }
        let hidden = |raw| Target::parse(raw).map(|target| target.is_hidden());
        for (raw, expected) in
            [("/.git/config", true), ("/a/.b", true), ("/a.b", false), ("/%2ea", true), ("/", false)]
        {
            assert_eq!(hidden(raw), Ok(expected), "{raw}");
        }
        let target = Target::parse("/a/b.jpg").expect("plain");
        assert_eq!(target.file_name(), Some(&b"b.jpg"[..]));
        assert_eq!(Target::parse("/").expect("root").open_path(), b".");
    }

    #[test]
    fn authorities_are_names_or_addresses_with_a_port() {
        for good in ["a", "a.b:80", "127.0.0.1:8080", "[::1]", "[fe80::1%25eth0]:443", "a:", "xn--a", "a_b"] {
            assert!(is_valid_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a/b", "a@b", "a:b", "a:123456", "[::1", "[::1]x", "[]", "a:1:2", "::1", "<a>",
            "[a.b]",
        ] {
            assert!(!is_valid_authority(bad.as_bytes()), "{bad}");
        }
    }
}
