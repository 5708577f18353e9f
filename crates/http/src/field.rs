//! Names and values that may stand in a response's head.
//!
//! What it keeps true: a [`FieldValue`] is visible ASCII with inner blanks, so that no value, wherever it came from,
//! can begin a new line in the head; and a [`Field`] that a configuration adds cannot contradict what the head says
//! about the connection and the body.

use std::borrow::Cow;
use std::fmt;

/// A header value that cannot break out of its line.
///
/// ```
/// use annulus_http::FieldValue;
///
/// assert_eq!(FieldValue::new("max-age=60").unwrap().as_str(), "max-age=60");
/// assert!(FieldValue::new("x\r\nSet-Cookie: y").is_err());
/// const HTML: FieldValue<'static> = FieldValue::from_static("text/html; charset=utf-8");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldValue<'a>(Cow<'a, str>);

impl<'a> FieldValue<'a> {
    /// Checks a value that is not known when compiling.
    ///
    /// # Errors
    /// [`InvalidField`] unless all bytes are visible ASCII, blanks or tabs, and neither end is blank.
    pub fn new(value: impl Into<Cow<'a, str>>) -> Result<Self, InvalidField> {
        let value = value.into();
        if is_value(value.as_bytes()) { Ok(Self(value)) } else { Err(InvalidField::Value) }
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same value, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> FieldValue<'_> {
        FieldValue(Cow::Borrowed(&self.0))
    }
}

impl FieldValue<'static> {
    /// A value that is known when compiling, which is the best time to call it in a `const`.
    ///
    /// # Panics
    /// If it is no legal value.
    #[must_use]
    pub const fn from_static(value: &'static str) -> Self {
        assert!(is_value(value.as_bytes()), "not a legal header value");
        Self(Cow::Borrowed(value))
    }
}

/// A header of the configuration, sent with every response.
///
/// ```
/// use annulus_http::Field;
///
/// assert!(Field::new("Referrer-Policy", "same-origin").is_ok());
/// assert!(Field::new("Content-Length", "5").is_err(), "the response says that itself");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    name: String,
    value: FieldValue<'static>,
}

/// What a response says itself, once, so that a configuration cannot contradict it.
const OWN: [&str; 20] = [
    "Accept-Ranges",
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Keep-Alive",
    "Last-Modified",
    "Location",
    "Retry-After",
    "Server",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Vary",
    "X-Content-Type-Options",
];

impl Field {
    /// Checks a name and a value.
    ///
    /// # Errors
    /// [`InvalidField`] if either is illegal, or if the name is one that the response writes itself.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self, InvalidField> {
        let name = name.into();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(InvalidField::Name);
        }
        if OWN.iter().any(|own| own.eq_ignore_ascii_case(&name)) {
            return Err(InvalidField::Own);
        }
        Ok(Self { name, value: FieldValue::new(value.into())? })
    }

    /// The name as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &FieldValue<'static> {
        &self.value
    }
}

/// Why a name or value may not stand in a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidField {
    /// The name is no token of RFC 9110 section 5.6.2.
    Name,
    /// The response writes this header itself; the configuration has a setting for it or must leave it alone.
    Own,
    /// The value has a control character or a byte outside of ASCII, or begins or ends with a blank.
    Value,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a header name is letters, digits and !#$%&'*+-.^_`|~ only",
            Self::Own => "the server writes this header itself; remove it from the configuration",
            Self::Value => "a header value is visible ASCII without blanks at its ends; encode what is not",
        })
    }
}

impl std::error::Error for InvalidField {}

const fn is_value(value: &[u8]) -> bool {
    let mut at = 0;
    while at < value.len() {
        let byte = value[at];
        let inner_blank = (byte == b' ' || byte == b'\t') && at > 0 && at + 1 < value.len();
        if !byte.is_ascii_graphic() && !inner_blank {
            return false;
        }
        at += 1;
    }
    true
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_begin_a_line() {
        for bad in ["a\r\nb", "a\nb", "a\rb", "a\0b", "\u{7f}", "ä", " a", "a ", "\t"] {
            assert_eq!(FieldValue::new(bad), Err(InvalidField::Value), "{bad:?}");
        }
        for good in ["", "a", "a b\tc", "bytes 0-1/2"] {
            assert!(FieldValue::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_configured_field_is_a_token_that_is_not_ours() {
        assert_eq!(Field::new("a b", "c"), Err(InvalidField::Name));
        assert_eq!(Field::new("", "c"), Err(InvalidField::Name));
        assert_eq!(Field::new("a:", "c"), Err(InvalidField::Name));
        assert_eq!(Field::new("transfer-encoding", "chunked"), Err(InvalidField::Own));
        assert_eq!(Field::new("X-A", "b\r\n"), Err(InvalidField::Value));
        let field = Field::new("X-A", "b").expect("plain");
        assert_eq!((field.name(), field.value().as_str()), ("X-A", "b"));
    }
}
