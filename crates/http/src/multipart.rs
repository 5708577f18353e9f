//! `multipart/byteranges` as a plan: the exact length is known before the first byte, and one part's head is in memory
//! at a time.
//!
//! The bytes of the file are not touched here; the caller copies the [`Segment`]s one after another. What it keeps
//! true: the segments' lengths add up to [`Multipart::content_length`].

use crate::field::FieldValue;
use crate::range::{ByteRange, Ranges};
use crate::response::{ContentRange, Sink, content_range};
use std::hash::{DefaultHasher, Hasher as _};

/// A body of several parts, each a slice of one representation.
///
/// ```
/// use annulus_http::{select, FieldValue, Multipart, Segment, Selection};
///
/// let file = b"0123456789";
/// let Selection::Many(ranges) = select(b"bytes=0-1,-2", 10) else { panic!() };
/// let plan = Multipart::new(ranges, 10, FieldValue::from_static("text/plain"), 42);
/// let mut body = Vec::new();
/// for segment in plan.segments() {
///     match segment {
///         Segment::Text(bytes) => body.extend(bytes),
///         Segment::File(range) => body.extend(&file[range.start as usize..range.end() as usize]),
///     }
/// }
/// assert_eq!(body.len() as u64, plan.content_length());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart<'a> {
    ranges: Ranges,
    size: u64,
    content_type: FieldValue<'a>,
    boundary: [u8; 16],
}

/// What to send next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes: a part's head or the closing line, at most a few hundred.
    Text(Vec<u8>),
    /// This slice of the file.
    File(ByteRange),
}

impl<'a> Multipart<'a> {
    /// For these slices of a representation of `size` bytes and this type. `seed` goes into the boundary: a number that
    /// those who write the files cannot know keeps them from imitating it.
    #[must_use]
    pub fn new(ranges: Ranges, size: u64, content_type: FieldValue<'a>, seed: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        hasher.write_u64(size);
        for range in ranges.as_slice() {
            hasher.write_u64(range.start);
            hasher.write_u64(range.len);
        }
        let mut hash = hasher.finish();
        let boundary = std::array::from_fn(|_| {
            hash = hash.rotate_left(4);
            b"0123456789abcdef"[usize::try_from(hash & 0xf).unwrap_or(0)]
        });
        Self { ranges, size, content_type, boundary }
    }

    /// The exact length of the body in bytes.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        let mut length = 0_u64;
        for (index, &range) in self.ranges.as_slice().iter().enumerate() {
            self.part_head(&mut length, index, range);
            length = length.saturating_add(range.len);
        }
        self.closing(&mut length);
        length
    }

    /// `multipart/byteranges; boundary=...`
    #[must_use]
    pub fn content_type(&self) -> FieldValue<'static> {
        let boundary = String::from_utf8_lossy(&self.boundary);
        FieldValue::new(format!("multipart/byteranges; boundary={boundary}"))
            .unwrap_or(const { FieldValue::from_static("multipart/byteranges") })
    }

    /// The slices, in the order in which they are sent.
    #[must_use]
    pub fn ranges(&self) -> &[ByteRange] {
        self.ranges.as_slice()
    }

    /// What to send, in order.
    #[must_use]
    pub const fn segments(&self) -> Segments<'_> {
        Segments { plan: self, next: 0 }
    }

    /// The `index`th of the segments, for a caller that counts itself: heads are even, slices odd, the closing line is
    /// last.
    #[must_use]
    pub fn segment(&self, index: usize) -> Option<Segment> {
        let part = index / 2;
        let ranges = self.ranges.as_slice();
        let mut text = Vec::new();
        match ranges.get(part) {
            Some(&range) if index % 2 == 1 => return Some(Segment::File(range)),
            Some(&range) => self.part_head(&mut text, part, range),
            None if index == 2 * ranges.len() => self.closing(&mut text),
            None => return None,
        }
        Some(Segment::Text(text))
    }

    fn part_head(&self, out: &mut impl Sink, index: usize, range: ByteRange) {
        out.text(if index == 0 { "--" } else { "\r\n--" });
        out.put(&self.boundary);
        out.text("\r\n");
        out.field("Content-Type", self.content_type.as_str());
        content_range(out, ContentRange::Part { range, size: self.size });
        out.text("\r\n");
    }

    fn closing(&self, out: &mut impl Sink) {
        out.text("\r\n--");
        out.put(&self.boundary);
        out.text("--\r\n");
    }
}

/// The segments of a [`Multipart`], made one at a time.
#[derive(Clone, Debug)]
pub struct Segments<'p> {
    plan: &'p Multipart<'p>,
    next: usize,
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let segment = self.plan.segment(self.next)?;
        self.next += 1;
        Some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::{Selection, select};

    #[test]
    fn the_body_is_what_the_rfc_shows() {
        let Selection::Many(ranges) = select(b"bytes=1-2,-3", 10) else { unreachable!("two ranges") };
        let plan = Multipart::new(ranges, 10, FieldValue::from_static("image/jpeg"), 7);
        let boundary = String::from_utf8_lossy(&plan.boundary).into_owned();
        let mut body = String::new();
        for segment in plan.segments() {
            match segment {
                Segment::Text(text) => body.push_str(&String::from_utf8_lossy(&text)),
                Segment::File(ByteRange { start: 1, len: 2 }) => body.push_str("12"),
                Segment::File(ByteRange { start: 7, len: 3 }) => body.push_str("789"),
                Segment::File(other) => unreachable!("{other:?}"),
            }
        }
        let expected = format!(
            "--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Range: bytes 1-2/10\r\n\r\n12\
             \r\n--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Range: bytes 7-9/10\r\n\r\n789\
             \r\n--{boundary}--\r\n"
        );
        assert_eq!(body, expected);
        assert_eq!(plan.content_length(), expected.len() as u64);
        assert_eq!(plan.content_type().as_str(), format!("multipart/byteranges; boundary={boundary}"));
    }

    #[test]
    fn the_boundary_depends_on_the_seed() {
        let Selection::Many(ranges) = select(b"bytes=1-2,-3", 10) else { unreachable!("two ranges") };
        let boundary = |seed| Multipart::new(ranges, 10, FieldValue::from_static("a/b"), seed).boundary;
        assert_eq!(boundary(1), boundary(1));
        assert_ne!(boundary(1), boundary(2));
    }
}
