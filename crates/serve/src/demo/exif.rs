//! EXIF for the generated photographs: a TIFF structure with three directories (image, exposure, position), as cameras
//! write it.
//!
//! Little-endian, every value of a tag beside or after its own directory, tags in ascending order as the
//! standard wants. It writes only what [`Exif`] holds; it reads nothing and knows no thumbnails.

use crate::calendar::civil_date;

/// How the camera was held: where the stored rows and columns belong in the upright picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// 1: stored as it is to be seen.
    Upright,
    /// 3: stored upside down.
    HalfTurn,
    /// 6: to be turned a quarter clockwise for display.
    QuarterClockwise,
    /// 8: to be turned a quarter counterclockwise for display.
    QuarterCounterclockwise,
}

impl Orientation {
    /// The value of the EXIF tag.
    #[must_use]
    pub const fn tag(self) -> u16 {
        match self {
            Self::Upright => 1,
            Self::HalfTurn => 3,
            Self::QuarterClockwise => 6,
            Self::QuarterCounterclockwise => 8,
        }
    }

    /// The stored width and height of a picture that is `width` by `height` upright; its own inverse.
    #[must_use]
    pub const fn stored<T: Copy>(self, width: T, height: T) -> (T, T) {
        match self {
            Self::Upright | Self::HalfTurn => (width, height),
            Self::QuarterClockwise | Self::QuarterCounterclockwise => (height, width),
        }
    }

    /// Where the stored point (`x`, `y`) is to be seen in the upright picture of `width` by `height`.
    pub(super) const fn upright(self, x: usize, y: usize, width: usize, height: usize) -> (usize, usize) {
        match self {
            Self::Upright => (x, y),
            Self::HalfTurn => (width - 1 - x, height - 1 - y),
            Self::QuarterClockwise => (width - 1 - y, x),
            Self::QuarterCounterclockwise => (y, height - 1 - x),
        }
    }
}

/// A moment as cameras keep it: seconds of universal time, and how far the local clock was ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) unix_s: i64,
    pub(super) ahead_min: i64,
}

impl Moment {
    /// `YYYY:MM:DD HH:MM:SS` of the local clock.
    fn local(self) -> String {
        let seconds = self.unix_s + self.ahead_min * 60;
        let (year, month, day) = civil_date(seconds.div_euclid(86_400));
        let second = seconds.rem_euclid(86_400);
        format!(
            "{year:04}:{month:02}:{day:02} {:02}:{:02}:{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }

    /// `+HH:MM` ahead of universal time.
    fn offset(self) -> String {
        let sign = if self.ahead_min < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", self.ahead_min.abs() / 60, self.ahead_min.abs() % 60)
    }
}

/// A position in degrees, north and east positive, and metres above the sea.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) altitude_m: u32,
}

/// What the imaginary camera noted about one exposure. Ratios are (numerator, denominator).
#[derive(Clone, Debug)]
pub(super) struct Exif {
    pub(super) model: &'static str,
    pub(super) lens: &'static str,
    pub(super) orientation: Orientation,
    pub(super) taken: Moment,
    pub(super) exposure_s: (u32, u32),
    pub(super) f_number: (u32, u32),
    pub(super) iso: u16,
    pub(super) focal_mm: u32,
    pub(super) focal_35mm: u16,
    pub(super) position: Option<Position>,
    pub(super) description: &'static str,
    /// The stored width and height.
    pub(super) size: (u32, u32),
}

impl Exif {
    /// The TIFF bytes that follow `Exif\0\0` in a JPEG's APP1 segment.
    pub(super) fn to_tiff(&self) -> Vec<u8> {
        let mut image = Directory::default();
        let local = self.taken.local();
        image.ascii(0x010e, self.description);
        image.ascii(0x010f, "Annulus Optical");
        image.ascii(0x0110, self.model);
        image.shorts(0x0112, &[self.orientation.tag()]);
        image.ratios(0x011a, &[(72, 1)]);
        image.ratios(0x011b, &[(72, 1)]);
        image.shorts(0x0128, &[2]);
        image.ascii(0x0131, concat!("annulus ", env!("CARGO_PKG_VERSION")));
        image.ascii(0x0132, &local);
        image.ascii(0x013b, "The annulus demo");
        image.shorts(0x0213, &[1]);
        image.ascii(0x8298, "No rights reserved: a generated picture, CC0 1.0");

        let exposure = self.exposure(&local);
        let position = self.position.map(gps);
        // The pointers' own entries belong to the length, so they are put in before their values are known.
        image.long(EXPOSURE_POINTER, 0);
        if position.is_some() {
            image.long(GPS_POINTER, 0);
        }
        let exposure_at = HEADER + image.len();
        image.set_long(EXPOSURE_POINTER, exposure_at);
        if position.is_some() {
            image.set_long(GPS_POINTER, exposure_at + exposure.len());
        }
        let mut tiff = vec![b'I', b'I', 42, 0, 8, 0, 0, 0];
        for directory in [Some(image), Some(exposure), position].into_iter().flatten() {
            directory.write(&mut tiff);
        }
        tiff
    }

    fn exposure(&self, local: &str) -> Directory {
        let mut exposure = Directory::default();
        let offset = self.taken.offset();
        exposure.ratios(0x829a, &[self.exposure_s]);
        exposure.ratios(0x829d, &[self.f_number]);
        exposure.shorts(0x8822, &[3]);
        exposure.shorts(0x8827, &[self.iso]);
        exposure.undefined(0x9000, b"0232");
        exposure.ascii(0x9003, local);
        exposure.ascii(0x9004, local);
        for tag in [0x9010, 0x9011, 0x9012] {
            exposure.ascii(tag, &offset);
        }
        exposure.undefined(0x9101, &[1, 2, 3, 0]);
        exposure.ratios(0x920a, &[(self.focal_mm, 1)]);
        exposure.undefined(0xa000, b"0100");
        exposure.shorts(0xa001, &[1]);
        exposure.long(0xa002, self.size.0);
        exposure.long(0xa003, self.size.1);
        exposure.shorts(0xa405, &[self.focal_35mm]);
        exposure.ascii(0xa433, "Annulus Optical");
        exposure.ascii(0xa434, self.lens);
        exposure
    }
}

const HEADER: u32 = 8;
const EXPOSURE_POINTER: u16 = 0x8769;
const GPS_POINTER: u16 = 0x8825;

fn gps(position: Position) -> Directory {
    let mut gps = Directory::default();
    gps.bytes(0x0000, &[2, 3, 0, 0]);
    gps.ascii(0x0001, if position.latitude < 0.0 { "S" } else { "N" });
    gps.ratios(0x0002, &degrees_minutes_seconds(position.latitude));
    gps.ascii(0x0003, if position.longitude < 0.0 { "W" } else { "E" });
    gps.ratios(0x0004, &degrees_minutes_seconds(position.longitude));
    gps.bytes(0x0005, &[0]);
    gps.ratios(0x0006, &[(position.altitude_m, 1)]);
    gps.ascii(0x0012, "WGS-84");
    gps
}

/// Whole degrees and minutes, and hundredths of seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 180 degrees: 64,800,000 hundredths"
)]
fn degrees_minutes_seconds(degrees: f64) -> [(u32, u32); 3] {
    let hundredths = (degrees.abs() * 360_000.0).round() as u32;
    [(hundredths / 360_000, 1), (hundredths / 6_000 % 60, 1), (hundredths % 6_000, 100)]
}

/// One image file directory: its entries in order of their tags, each with its bytes.
#[derive(Debug, Default)]
struct Directory {
    entries: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    tag: u16,
    kind: u16,
    count: u32,
    value: Vec<u8>,
}

impl Directory {
    fn put(&mut self, tag: u16, kind: u16, count: usize, value: Vec<u8>) {
        assert!(self.entries.last().is_none_or(|last| last.tag < tag), "tag {tag:#06x} is out of order");
        let count = u32::try_from(count).expect("a field of a demo picture is short");
        self.entries.push(Field { tag, kind, count, value });
    }

    fn bytes(&mut self, tag: u16, values: &[u8]) {
        self.put(tag, 1, values.len(), values.to_vec());
    }

    /// Text with the NUL at its end that the standard wants counted.
    fn ascii(&mut self, tag: u16, text: &str) {
        assert!(text.is_ascii(), "EXIF text is ASCII: {text}");
        self.put(tag, 2, text.len() + 1, [text.as_bytes(), b"\0"].concat());
    }

    fn shorts(&mut self, tag: u16, values: &[u16]) {
        self.put(tag, 3, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }

    fn long(&mut self, tag: u16, value: u32) {
        self.put(tag, 4, 1, value.to_le_bytes().to_vec());
    }

    fn ratios(&mut self, tag: u16, values: &[(u32, u32)]) {
        let bytes =
            values.iter().flat_map(|(above, below)| [above.to_le_bytes(), below.to_le_bytes()].concat());
        self.put(tag, 5, values.len(), bytes.collect());
    }

    fn undefined(&mut self, tag: u16, values: &[u8]) {
        self.put(tag, 7, values.len(), values.to_vec());
    }

    fn set_long(&mut self, tag: u16, value: u32) {
        let field =
            self.entries.iter_mut().find(|field| field.tag == tag).expect("the entry was put in before");
        field.value = value.to_le_bytes().to_vec();
    }

    /// Two bytes of count, twelve per entry, four for "no further directory".
    fn len_of_entries(&self) -> usize {
        2 + 12 * self.entries.len() + 4
    }

    /// The bytes that [`Directory::write`] adds.
    fn len(&self) -> u32 {
        let outside: usize = self.entries.iter().map(|field| field.len_outside()).sum();
        u32::try_from(self.len_of_entries() + outside).expect("a directory of a demo picture is short")
    }

    fn write(&self, tiff: &mut Vec<u8>) {
        let mut outside_at = tiff.len() + self.len_of_entries();
        let mut outside = Vec::new();
        tiff.extend(u16::try_from(self.entries.len()).expect("a few dozen entries").to_le_bytes());
        for field in &self.entries {
            tiff.extend(field.tag.to_le_bytes());
            tiff.extend(field.kind.to_le_bytes());
            tiff.extend(field.count.to_le_bytes());
            if field.len_outside() == 0 {
                let mut inside = field.value.clone();
                inside.resize(4, 0);
                tiff.extend(inside);
            } else {
                tiff.extend(u32::try_from(outside_at).expect("a segment is below 64 KiB").to_le_bytes());
                outside.extend(&field.value);
                outside.resize(outside.len().next_multiple_of(2), 0);
                outside_at += field.len_outside();
            }
        }
        tiff.extend([0; 4]);
        tiff.extend(outside);
    }
}

impl Field {
    /// What of this field stands after the entries: nothing, if its value fits into its entry's four bytes.
    fn len_outside(&self) -> usize {
        if self.value.len() <= 4 { 0 } else { self.value.len().next_multiple_of(2) }
    }
}
