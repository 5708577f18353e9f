//! Dates as HTTP writes them, from a time that the caller hands in.
//!
//! This room reads no clock. What it keeps true: a [`Timestamp`] can always be written as an IMF-fixdate
//! (`Sun, 06 Nov 1994 08:49:37 GMT`), so writing never fails, whatever the file system said about a file's time.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999, the last one that an IMF-fixdate can name.
const LAST_SECOND: u64 = 253_402_300_799;

/// A point in time with HTTP's resolution of one second, from 1970 to 9999.
///
/// ```
/// use annulus_http::Timestamp;
///
/// let then = Timestamp::from_unix(784_111_777).unwrap();
/// assert_eq!(then.text().as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
/// assert_eq!(Timestamp::parse(b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(then));
/// assert_eq!(Timestamp::from_unix(-1), None, "HTTP dates of this server start in 1970");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From seconds since 1970; `None` outside of 1970 to 9999.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Option<Self> {
        u64::try_from(seconds).ok().filter(|&s| s <= LAST_SECOND).map(Self)
    }

    /// From the system's time, clamped into 1970 to 9999: a wrong clock must not stop the server.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(since.as_secs().min(LAST_SECOND))
    }

    /// Reads any of the three formats of RFC 9110 section 5.6.7; `None` for anything else.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let time = httpdate::parse_http_date(text).ok()?;
        Some(Self::from_system_time(time))
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// The IMF-fixdate of this second.
    ///
    /// # Panics
    /// Never: every second of a `Timestamp` has one.
    #[must_use]
    pub fn text(self) -> DateText {
        let time = UNIX_EPOCH + Duration::from_secs(self.0);
        let mut text = DateText { bytes: [b' '; DateText::LEN], written: 0 };
        let outcome = write!(text, "{}", httpdate::HttpDate::from(time));
        assert!(outcome.is_ok() && text.written == DateText::LEN, "{} s is no date of 29 bytes", self.0);
        text
    }
}

/// The 29 bytes of an IMF-fixdate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DateText {
    bytes: [u8; Self::LEN],
    written: usize,
}

impl DateText {
    /// The length of every IMF-fixdate.
    pub const LEN: usize = 29;

    /// The date as bytes for the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// The date as text, for logs.
    ///
    /// # Panics
    /// Never: the bytes are ASCII by construction.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(_) => unreachable!(),
        }
    }
}

impl Default for DateText {
    /// The beginning of 1970.
    fn default() -> Self {
        Timestamp(0).text()
    }
}

impl fmt::Write for DateText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.written + text.len();
        let place = self.bytes.get_mut(self.written..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.written = end;
        Ok(())
    }
}

impl fmt::Debug for DateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DateText({})", self.as_str())
    }
}

/// The text of the current second, formatted once per second however many responses carry it.
///
/// ```
/// use annulus_http::{DateCache, Timestamp};
///
/// let mut dates = DateCache::default();
/// let now = Timestamp::from_unix(0).unwrap();
/// assert_eq!(dates.at(now).as_str(), "Thu, 01 Jan 1970 00:00:00 GMT");
/// ```
#[derive(Clone, Debug)]
pub struct DateCache {
    second: Timestamp,
    text: DateText,
}

impl DateCache {
    /// The text of `now`; formats only when the second has changed.
    pub fn at(&mut self, now: Timestamp) -> &DateText {
        if now != self.second {
            self.second = now;
            self.text = now.text();
        }
        &self.text
    }
}

impl Default for DateCache {
    fn default() -> Self {
        let second = Timestamp(0);
        Self { second, text: second.text() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_formats_of_the_rfc_name_the_same_second() {
        let expected = Timestamp::from_unix(784_111_777);
        assert_eq!(Timestamp::parse(b"Sun, 06 Nov 1994 08:49:37 GMT"), expected);
        assert_eq!(Timestamp::parse(b"Sunday, 06-Nov-94 08:49:37 GMT"), expected);
        assert_eq!(Timestamp::parse(b"Sun Nov  6 08:49:37 1994"), expected);
    }

    #[test]
    fn what_is_no_date_is_none() {
        let nonsense: [&[u8]; 7] = [
            b"",
            b"yesterday",
            b"784111777",
            b"Sun, 06 Nov 1994 08:49:37 UTC",
            b"Sun, 31 Feb 1994 08:49:37 GMT",
            b"Sun, 06 Nov 1994 25:49:37 GMT",
            b"\xff\xff",
        ];
        for value in nonsense {
            assert_eq!(Timestamp::parse(value), None, "{:?}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn the_ends_of_the_calendar_can_be_written() {
        assert_eq!(Timestamp::from_unix(0).map(|t| t.unix()), Some(0));
        let last = Timestamp::from_unix(253_402_300_799).expect("the last second is inside");
        assert_eq!(last.text().as_str(), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(Timestamp::from_unix(253_402_300_800), None);
        assert_eq!(Timestamp::from_unix(i64::MIN), None);
    }

    #[test]
    fn a_clock_before_1970_is_clamped() {
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(Timestamp::from_system_time(before).unix(), 0);
    }

    #[test]
    fn the_cache_follows_the_second() {
        let mut dates = DateCache::default();
        let first = Timestamp::from_unix(1_000_000_000).expect("inside");
        let next = Timestamp::from_unix(1_000_000_001).expect("inside");
        assert_eq!(dates.at(first).as_str(), "Sun, 09 Sep 2001 01:46:40 GMT");
        assert_eq!(dates.at(first).as_str(), "Sun, 09 Sep 2001 01:46:40 GMT");
        assert_eq!(dates.at(next).as_str(), "Sun, 09 Sep 2001 01:46:41 GMT");
    }
}
