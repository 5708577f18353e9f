//! The `Range` header against a known size (RFC 9110 section 14).
//!
//! What it keeps true: every [`ByteRange`] given back is non-empty and lies inside the representation, at most sixteen
//! are given back, and no two of them overlap; so an answer is never longer than the representation and its headers.
//! It does not decide whether the header may be honoured at all: see [`conditional`](crate::conditional) and the plan.

/// Most ranges answered one by one.
pub const MAX_RANGES: usize = 16;

/// Out of order, so many ranges are still taken for a reader that needs the end first; more is taken for abuse.
const MAX_UNSORTED: usize = 4;

/// A non-empty run of bytes within a representation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub start: u64,
    /// Number of bytes, at least one.
    pub len: u64,
}

impl ByteRange {
    /// Offset of the last byte, as `Content-Range` names it.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.start + self.len - 1
    }

    /// Offset behind the last byte.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start + self.len
    }
}

/// Up to sixteen ranges in the order asked for, held inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ranges {
    ranges: [ByteRange; MAX_RANGES],
    count: usize,
}

impl Ranges {
    const EMPTY: Self = Self { ranges: [ByteRange { start: 0, len: 0 }; MAX_RANGES], count: 0 };

    /// The ranges.
    #[must_use]
    pub fn as_slice(&self) -> &[ByteRange] {
        &self.ranges[..self.count]
    }

    /// Only `collect` calls it, and counts.
    fn push(&mut self, range: ByteRange) {
        self.ranges[self.count] = range;
        self.count += 1;
    }

    fn overlap(&self) -> bool {
        let mut sorted = *self;
        let sorted = &mut sorted.ranges[..self.count];
        sorted.sort_unstable_by_key(|range| range.start);
        sorted.windows(2).any(|pair| pair[0].end() > pair[1].start)
    }

    fn is_ascending(&self) -> bool {
        self.as_slice().is_sorted_by_key(|range| range.start)
    }
}

impl std::fmt::Debug for Ranges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// What a `Range` header selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart where it is returned; a box would cost an allocation per request"
)]
pub enum Selection {
    /// The header is to be ignored: 200.
    Whole,
    /// 206 with `Content-Range`.
    One(ByteRange),
    /// 206 with `multipart/byteranges`; at least two.
    Many(Ranges),
    /// 416.
    Unsatisfiable,
}

/// Selects from a representation of `size` bytes.
///
/// Ignored, so that the whole is sent: another unit than `bytes`, any syntax error, more than sixteen ranges,
/// overlapping ones, more than four in no order. Of an empty representation, everything from its beginning is the whole.
///
/// ```
/// use annulus_http::{select, ByteRange, Selection};
///
/// assert_eq!(select(b"bytes=0-9", 1000), Selection::One(ByteRange { start: 0, len: 10 }));
/// assert_eq!(select(b"bytes=-5", 1000), Selection::One(ByteRange { start: 995, len: 5 }));
/// assert_eq!(select(b"bytes=5000-", 1000), Selection::Unsatisfiable);
/// assert_eq!(select(b"bytes=9-2", 1000), Selection::Whole);
/// ```
#[must_use]
pub fn select(value: &[u8], size: u64) -> Selection {
    let Some(list) = after_unit(value) else { return Selection::Whole };
    match collect(list, size) {
        None => Selection::Whole,
        Some(ranges) if ranges.overlap() => Selection::Whole,
        Some(ranges) if ranges.count > MAX_UNSORTED && !ranges.is_ascending() => Selection::Whole,
        Some(ranges) => match ranges.as_slice() {
            [] => Selection::Unsatisfiable,
            [one] => Selection::One(*one),
            _ => Selection::Many(ranges),
        },
    }
}

/// What follows `bytes=`; units are named in any case (RFC 9110 section 14.1).
fn after_unit(value: &[u8]) -> Option<&[u8]> {
    let equals = value.iter().position(|&b| b == b'=')?;
    value[..equals].trim_ascii().eq_ignore_ascii_case(b"bytes").then_some(&value[equals + 1..])
}

/// The satisfiable ranges of the list, none of them if none is; `None` if the whole is to be sent.
fn collect(list: &[u8], size: u64) -> Option<Ranges> {
    let mut ranges = Ranges::EMPTY;
    let mut specs = 0;
    for member in list.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
        if member.is_empty() {
            continue;
        }
        specs += 1;
        if specs > MAX_RANGES {
            return None;
        }
        match Spec::parse(member)?.within(size) {
            Within::Range(range) => ranges.push(range),
            Within::AllOfNothing => return None,
            Within::Nothing => {}
        }
    }
    (specs > 0).then_some(ranges)
}

/// One member of the list. Numbers too large for 64 bits are as good as the largest.
enum Spec {
    From(u64),
    Between(u64, u64),
    Suffix(u64),
}

enum Within {
    Range(ByteRange),
    /// Everything of an empty representation, for which no `Content-Range` can be written.
    AllOfNothing,
    Nothing,
}

impl Spec {
    fn parse(member: &[u8]) -> Option<Self> {
        let dash = member.iter().position(|&b| b == b'-')?;
        match (number(&member[..dash]), number(&member[dash + 1..])) {
            (Number::Is(first), Number::Is(last)) => (first <= last).then_some(Self::Between(first, last)),
            (Number::Is(first), Number::Absent) => Some(Self::From(first)),
            (Number::Absent, Number::Is(len)) => Some(Self::Suffix(len)),
            _ => None,
        }
    }

    fn within(&self, size: u64) -> Within {
        let (start, len) = match *self {
            Self::Suffix(len) => (size.saturating_sub(len), len.min(size)),
            Self::From(first) => (first, size.saturating_sub(first)),
            Self::Between(first, last) => {
                (first, size.saturating_sub(first).min((last - first).saturating_add(1)))
            }
        };
        match (self, size, len) {
            (Self::Suffix(1..) | Self::From(0) | Self::Between(0, _), 0, _) => Within::AllOfNothing,
            (_, _, 0) => Within::Nothing,
            _ => Within::Range(ByteRange { start, len }),
        }
    }
}

enum Number {
    Absent,
    Is(u64),
    Malformed,
}

fn number(digits: &[u8]) -> Number {
    if digits.is_empty() {
        return Number::Absent;
    }
    if !digits.iter().all(u8::is_ascii_digit) {
        return Number::Malformed;
    }
    let value = digits
        .iter()
        .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Number::Is(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(start: u64, len: u64) -> Selection {
        Selection::One(ByteRange { start, len })
    }

    fn many(value: &str, size: u64) -> Option<Vec<(u64, u64)>> {
        match select(value.as_bytes(), size) {
            Selection::Many(ranges) => Some(ranges.as_slice().iter().map(|r| (r.start, r.len)).collect()),
            _ => None,
        }
    }

    #[test]
    fn one_range_is_clamped_to_the_size() {
        assert_eq!(select(b"bytes=0-9", 1000), one(0, 10));
        assert_eq!(select(b"bytes=0-0", 1000), one(0, 1));
        assert_eq!(select(b"bytes=5-", 1000), one(5, 995));
        assert_eq!(select(b"bytes=-5", 1000), one(995, 5));
        assert_eq!(select(b"bytes=990-2000", 1000), one(990, 10));
        assert_eq!(select(b"bytes=-5000", 1000), one(0, 1000));
        assert_eq!(select(b"bytes=999-", 1000), one(999, 1));
        assert_eq!(select(b"Bytes= 0-9 ,", 1000), one(0, 10));
        assert_eq!(select(b"bytes=0-99999999999999999999999", 1000), one(0, 1000));
        assert_eq!(select(b"bytes=0-18446744073709551615", u64::MAX), one(0, u64::MAX));
        assert_eq!(select(b"bytes=-99999999999999999999999", 1000), one(0, 1000));
    }

    #[test]
    fn nothing_inside_is_unsatisfiable() {
        for value in ["5000-", "1000-", "1000-1001", "-0", "5000-, -0", "99999999999999999999999-"] {
            assert_eq!(
                select(format!("bytes={value}").as_bytes(), 1000),
                Selection::Unsatisfiable,
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        let ignored = [
            "items=0-9",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes 0-9",
            "bytes=9-2",
            "bytes=a-b",
            "bytes=0-9a",
            "bytes=+0-9",
            "bytes=--5",
            "bytes=-",
            "bytes=5",
            "bytes=0-9-",
            "bytes=0 - 9",
            "bytes=0-9, 9-2",
            "bytes=0-9;1-2",
            "",
        ];
        for value in ignored {
            assert_eq!(select(value.as_bytes(), 1000), Selection::Whole, "{value}");
        }
    }

    #[test]
    fn several_ranges_keep_their_order() {
        assert_eq!(many("bytes=0-9,20-29", 1000), Some(vec![(0, 10), (20, 10)]));
        assert_eq!(many("bytes=0-9, -10", 1000), Some(vec![(0, 10), (990, 10)]));
        assert_eq!(many("bytes=-10,0-9", 1000), Some(vec![(990, 10), (0, 10)]), "the end first");
        assert_eq!(
            many("bytes=0-9,10-19", 1000),
            Some(vec![(0, 10), (10, 10)]),
            "touching is not overlapping"
        );
        assert_eq!(select(b"bytes=0-9,5000-", 1000), one(0, 10), "the unsatisfiable one is left out");
    }

    #[test]
    fn abuse_gets_the_whole() {
        assert_eq!(select(b"bytes=0-9,5-14", 1000), Selection::Whole, "overlapping");
        assert_eq!(select(b"bytes=0-,0-,0-", 1000), Selection::Whole, "the same again and again");
        assert_eq!(select(b"bytes=990-2000,-5", 1000), Selection::Whole, "overlapping once clamped");
        assert_eq!(select(b"bytes=8-8,6-6,4-4,2-2,0-0", 1000), Selection::Whole, "many in no order");
        assert_eq!(many("bytes=6-6,4-4,2-2,0-0", 1000).map(|r| r.len()), Some(4), "a few in no order");
        let list = |n: u64| (0..n).map(|i| format!("{0}-{0}", i * 2)).collect::<Vec<_>>().join(",");
        assert_eq!(many(&format!("bytes={}", list(16)), 1000).map(|r| r.len()), Some(16));
        assert_eq!(select(format!("bytes={}", list(17)).as_bytes(), 1000), Selection::Whole);
    }

    #[test]
    fn of_an_empty_file_everything_is_the_whole() {
        assert_eq!(select(b"bytes=0-", 0), Selection::Whole);
        assert_eq!(select(b"bytes=0-99", 0), Selection::Whole);
        assert_eq!(select(b"bytes=-5", 0), Selection::Whole);
        assert_eq!(select(b"bytes=-0", 0), Selection::Unsatisfiable);
        assert_eq!(select(b"bytes=1-", 0), Selection::Unsatisfiable);
    }
}
