//! Entity tags: our own, always strong, and the ones a client sends back.
//!
//! A file's tag is made of its modification time in nanoseconds, its size and, unless left out, its inode, so that a
//! photo replaced within the same second, or by one of the same size, gets another tag. The file's bytes are not read.
//! What it keeps true: an [`ETag`] holds only characters that RFC 9110 section 8.8.3 allows between the quotes.

use crate::encoding::Coding;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hasher as _};

/// A file's modification time as `statx(2)` tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtime {
    /// Seconds since 1970; negative before.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// A strong entity tag of ours, with its quotes, held inline.
///
/// ```
/// use annulus_http::{ETag, Mtime};
///
/// let mtime = Mtime { seconds: 0x6500_0000, nanoseconds: 0x1f };
/// assert_eq!(ETag::of_file(mtime, 0x1000, Some(0x2a), None).as_str(), "\"65000000-1f-1000-2a\"");
/// assert_eq!(ETag::of_file(mtime, 0x1000, None, None).as_str(), "\"65000000-1f-1000\"");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ETag {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl ETag {
    /// Two quotes and four hexadecimal numbers (16 + 8 + 16 + 16 digits) with their hyphens and a coding's name.
    const CAPACITY: usize = 80;

    /// The tag of a file. Leave `inode` out where several machines serve copies of the same files; `coding` marks the
    /// tag of a precompressed sibling, which is another representation even if all numbers were equal.
    ///
    /// # Panics
    /// Never: the longest tag fits.
    #[must_use]
    pub fn of_file(mtime: Mtime, size: u64, inode: Option<u64>, coding: Option<Coding>) -> Self {
        let mut tag = Self::open();
        let seconds = mtime.seconds.cast_unsigned();
        let mut outcome = write!(tag, "{seconds:x}-{:x}-{size:x}", mtime.nanoseconds);
        if let Some(inode) = inode {
            outcome = outcome.and_then(|()| write!(tag, "-{inode:x}"));
        }
        if let Some(coding) = coding {
            outcome = outcome.and_then(|()| write!(tag, "-{}", coding.token()));
        }
        assert!(outcome.is_ok(), "a file's tag is shorter than {} bytes", Self::CAPACITY);
        tag.close()
    }

    /// The tag of a body made in memory (a listing, a JSON answer): a 128-bit hash of its bytes.
    ///
    /// # Panics
    /// Never: 32 digits fit.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(salt);
            hasher.write(bytes);
            hasher.finish()
        };
        let mut tag = Self::open();
        let outcome = write!(tag, "{:016x}{:016x}", half(1), half(2));
        assert!(outcome.is_ok(), "32 digits are shorter than {} bytes", Self::CAPACITY);
        tag.close()
    }

    /// The tag with its quotes, as it stands in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only `write_str` fills the array, so it is always text; an empty tag would still be no lie.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("\"\"")
    }

    fn open() -> Self {
        let mut bytes = [0; Self::CAPACITY];
        bytes[0] = b'"';
        Self { bytes, len: 1 }
    }

    fn close(mut self) -> Self {
        self.bytes[self.len] = b'"';
        self.len += 1;
        self
    }

    fn opaque(&self) -> &[u8] {
        &self.bytes[1..self.len - 1]
    }
}

impl fmt::Write for ETag {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        // The last byte belongs to the closing quote.
        let place = self.bytes[..Self::CAPACITY - 1].get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({})", self.as_str())
    }
}

/// How two tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Equal and neither weak.
    Strong,
    /// Equal, weak or not.
    Weak,
}

/// Whether a value of `If-Match` or `If-None-Match` names our tag. `*` names every tag, and a resource without one.
///
/// What follows the first malformed member of the list is not read: a list that is half nonsense matches nothing more.
pub(crate) fn list_names(value: &[u8], ours: Option<&ETag>, how: Comparison) -> bool {
    if value == b"*" {
        return true;
    }
    let mut rest = value;
    while let Some((theirs, tail)) = next_tag(rest) {
        if ours.is_some_and(|ours| theirs.equals(ours, how)) {
            return true;
        }
        rest = tail;
    }
    false
}

/// Whether `value` is exactly one entity tag that equals ours strongly, as `If-Range` asks.
pub(crate) fn is_exactly(value: &[u8], ours: &ETag) -> bool {
    next_tag(value).is_some_and(|(theirs, tail)| tail.is_empty() && theirs.equals(ours, Comparison::Strong))
}

/// A tag that a client sent.
struct Theirs<'v> {
    weak: bool,
    opaque: &'v [u8],
}

impl Theirs<'_> {
    fn equals(&self, ours: &ETag, how: Comparison) -> bool {
        (how == Comparison::Weak || !self.weak) && self.opaque == ours.opaque()
    }
}

/// Splits the first tag off a list; `None` at the end and at a malformed member.
fn next_tag(list: &[u8]) -> Option<(Theirs<'_>, &[u8])> {
    let start = list.iter().position(|b| !matches!(b, b',' | b' ' | b'\t'))?;
    let list = &list[start..];
    let (weak, quoted) = match list.strip_prefix(b"W/") {
        Some(quoted) => (true, quoted),
        None => (false, list),
    };
    let inner = quoted.strip_prefix(b"\"")?;
    let end = inner.iter().position(|&b| b == b'"')?;
    let (opaque, tail) = (&inner[..end], &inner[end + 1..]);
    let tail = tail.trim_ascii_start();
    let legal = opaque.iter().all(|&b| b == 0x21 || (b >= 0x23 && b != 0x7f));
    (legal && (tail.is_empty() || tail[0] == b',')).then_some((Theirs { weak, opaque }, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> ETag {
        ETag::of_file(Mtime { seconds: 1, nanoseconds: 2 }, 3, Some(4), None)
    }

    #[test]
    fn every_fact_of_the_file_changes_the_tag() {
        let mtime = Mtime { seconds: 1, nanoseconds: 2 };
        assert_eq!(ours().as_str(), "\"1-2-3-4\"");
        assert_eq!(
            ETag::of_file(Mtime { nanoseconds: 5, ..mtime }, 3, Some(4), None).as_str(),
            "\"1-5-3-4\""
        );
        assert_eq!(ETag::of_file(mtime, 3, Some(4), Some(Coding::Brotli)).as_str(), "\"1-2-3-4-br\"");
        assert_eq!(ETag::of_file(mtime, 3, None, None).as_str(), "\"1-2-3\"");
    }

    #[test]
    fn the_longest_tag_fits() {
        let mtime = Mtime { seconds: -1, nanoseconds: u32::MAX };
        let tag = ETag::of_file(mtime, u64::MAX, Some(u64::MAX), Some(Coding::Zstd));
        let expected = "\"ffffffffffffffff-ffffffff-ffffffffffffffff-ffffffffffffffff-zstd\"";
        assert_eq!(tag.as_str(), expected);
    }

    #[test]
    fn a_made_body_has_a_tag_of_its_bytes() {
        assert_eq!(ETag::of_bytes(b"album"), ETag::of_bytes(b"album"));
        assert_ne!(ETag::of_bytes(b"album"), ETag::of_bytes(b"albun"));
        assert_eq!(ETag::of_bytes(b"").as_str().len(), 34);
    }

    #[test]
    fn lists_are_searched_member_by_member() {
        let ours = ours();
        let weakly = |v: &[u8]| list_names(v, Some(&ours), Comparison::Weak);
        assert!(weakly(b"\"1-2-3-4\""));
        assert!(weakly(b"\"a\", \"1-2-3-4\""));
        assert!(weakly(b" ,, \"a,b\" ,W/\"1-2-3-4\""), "a comma may stand inside the quotes");
        assert!(weakly(b"*"));
        assert!(!weakly(b"\"1-2-3-4"), "an open quote");
        assert!(!weakly(b"1-2-3-4"), "no quotes");
        assert!(!weakly(b"\"a\" \"1-2-3-4\""), "no comma");
        assert!(!weakly(b"\"1-2-3-4 \""), "a space is not allowed inside");
        assert!(!weakly(b""));
    }

    #[test]
    fn a_weak_tag_never_matches_strongly() {
        assert!(!list_names(b"W/\"1-2-3-4\"", Some(&ours()), Comparison::Strong));
        assert!(list_names(b"W/\"x\", \"1-2-3-4\"", Some(&ours()), Comparison::Strong));
        assert!(!is_exactly(b"W/\"1-2-3-4\"", &ours()));
        assert!(is_exactly(b"\"1-2-3-4\"", &ours()));
        assert!(!is_exactly(b"\"1-2-3-4\", \"b\"", &ours()), "If-Range takes one tag");
    }

    #[test]
    fn only_the_star_names_a_resource_without_a_tag() {
        assert!(list_names(b"*", None, Comparison::Weak));
        assert!(!list_names(b"\"a\"", None, Comparison::Weak));
    }
}
