//! The header fields of a request, borrowed from the connection's buffer.
//!
//! Nothing is copied and nothing allocated: the first value of each field that this server acts on is found while the
//! head is parsed; repeated and other fields are found by walking the block again, which is rare.
//! What it keeps true: the block was accepted by [`parse`](crate::parse), so every line has a colon, no line is folded
//! and no value holds a control character other than a tab.

use std::fmt;

/// The fields this server acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Name {
    /// `Accept`
    Accept,
    /// `Accept-Encoding`
    AcceptEncoding,
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Expect`
    Expect,
    /// `Host`
    Host,
    /// `If-Match`
    IfMatch,
    /// `If-Modified-Since`
    IfModifiedSince,
    /// `If-None-Match`
    IfNoneMatch,
    /// `If-Range`
    IfRange,
    /// `If-Unmodified-Since`
    IfUnmodifiedSince,
    /// `Range`
    Range,
    /// `Referer`
    Referer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `User-Agent`
    UserAgent,
}

impl Name {
    const ALL: [Self; 15] = [
        Self::Accept,
        Self::AcceptEncoding,
        Self::Connection,
        Self::ContentLength,
        Self::Expect,
        Self::Host,
        Self::IfMatch,
        Self::IfModifiedSince,
        Self::IfNoneMatch,
        Self::IfRange,
        Self::IfUnmodifiedSince,
        Self::Range,
        Self::Referer,
        Self::TransferEncoding,
        Self::UserAgent,
    ];

    /// The name as it is commonly written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "Accept",
            Self::AcceptEncoding => "Accept-Encoding",
            Self::Connection => "Connection",
            Self::ContentLength => "Content-Length",
            Self::Expect => "Expect",
            Self::Host => "Host",
            Self::IfMatch => "If-Match",
            Self::IfModifiedSince => "If-Modified-Since",
            Self::IfNoneMatch => "If-None-Match",
            Self::IfRange => "If-Range",
            Self::IfUnmodifiedSince => "If-Unmodified-Since",
            Self::Range => "Range",
            Self::Referer => "Referer",
            Self::TransferEncoding => "Transfer-Encoding",
            Self::UserAgent => "User-Agent",
        }
    }

    fn from_str(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }
}

/// All header fields of one request, in the order they came.
#[derive(Clone, Copy)]
pub struct Headers<'b> {
    block: &'b [u8],
    first: [Option<&'b [u8]>; Name::ALL.len()],
    repeated: u16,
}

impl<'b> Headers<'b> {
    /// `block` is what stands between the request line and the body; `parsed` are the fields found in it.
    pub(crate) fn new(block: &'b [u8], parsed: &[httparse::Header<'b>]) -> Self {
        let mut headers = Self { block, first: [None; Name::ALL.len()], repeated: 0 };
        for field in parsed {
            if let Some(name) = Name::from_str(field.name) {
                headers.note(name, field.value);
            }
        }
        headers
    }

    fn note(&mut self, name: Name, value: &'b [u8]) {
        let place = &mut self.first[name as usize];
        if place.is_some() {
            self.repeated |= 1 << (name as usize);
        } else {
            *place = Some(value);
        }
    }

    /// The first value of the field, without surrounding blanks.
    #[must_use]
    pub fn first(&self, name: Name) -> Option<&'b [u8]> {
        self.first[name as usize]
    }

    /// The value of a field that may stand only once; `None` when it is absent or repeated.
    #[must_use]
    pub fn only(&self, name: Name) -> Option<&'b [u8]> {
        if self.is_repeated(name) { None } else { self.first(name) }
    }

    /// Whether the field stands there more than once.
    #[must_use]
    pub const fn is_repeated(&self, name: Name) -> bool {
        self.repeated & (1 << (name as usize)) != 0
    }

    /// Every value of the field, in order.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let again = if self.is_repeated(name) { self.block } else { &[] };
        let others = Iter { block: again }
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_str()))
            .map(|(_, value)| value)
            .skip(1);
        self.first(name).into_iter().chain(others)
    }

    /// The members of a comma-separated field, over all its lines, without surrounding blanks; empty ones are left out.
    pub fn members(&self, name: Name) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        self.values(name)
            .flat_map(|value| value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// The first value of any field, by its name in any case: a walk over the block.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'b [u8]> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'b> {
        Iter { block: self.block }
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))))
            .finish()
    }
}

/// Walks the lines of a block that has been accepted before.
struct Iter<'b> {
    block: &'b [u8],
}

impl<'b> Iterator for Iter<'b> {
    type Item = (&'b str, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.block.iter().position(|&b| b == b'\n')?;
        let (line, rest) = (&self.block[..end], &self.block[end + 1..]);
        self.block = rest;
        let colon = line.iter().position(|&b| b == b':')?;
        let name = std::str::from_utf8(&line[..colon]).ok()?;
        Some((name, line[colon + 1..].trim_ascii()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The fields of a block written as in a request, without the empty line.
    pub(crate) fn headers(block: &str) -> Headers<'_> {
        let mut headers = Headers { block: block.as_bytes(), first: [None; Name::ALL.len()], repeated: 0 };
        let known = headers.iter().filter_map(|(name, value)| Some((Name::from_str(name)?, value)));
        for (name, value) in known.collect::<Vec<_>>() {
            headers.note(name, value);
        }
        headers
    }

    #[test]
    fn each_name_has_its_own_place() {
        for (place, name) in Name::ALL.into_iter().enumerate() {
            assert_eq!(name as usize, place);
            assert_eq!(Name::from_str(&name.as_str().to_ascii_uppercase()), Some(name));
        }
    }

    #[test]
    fn values_come_in_order_over_all_lines() {
        let headers = headers("IF-none-MATCH: \"a\"\r\nX: 1\r\nIf-None-Match:\t\"b\" \r\nx:2\r\n");
        let values: Vec<&[u8]> = headers.values(Name::IfNoneMatch).collect();
        assert_eq!(values, [b"\"a\"", b"\"b\""]);
        assert_eq!(headers.only(Name::IfNoneMatch), None);
        assert_eq!(headers.find("x"), Some(&b"1"[..]));
        assert_eq!(headers.iter().count(), 4);
    }

    #[test]
    fn members_are_split_and_trimmed() {
        let headers = headers("Connection: close , ,x\r\nHost: a\r\nConnection: y\r\n");
        let members: Vec<&[u8]> = headers.members(Name::Connection).collect();
        assert_eq!(members, [&b"close"[..], b"x", b"y"]);
        assert_eq!(headers.only(Name::Host), Some(&b"a"[..]));
        assert_eq!(headers.first(Name::Range), None);
    }
}
