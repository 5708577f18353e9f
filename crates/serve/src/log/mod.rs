//! One line for each response, aborted ones too.
//!
//! ```text
//! 2026-11-22T08:40:00Z 192.0.2.7 GET /album/a.jpg 200 5243000 12.4ms
//! 2026-11-22T08:40:31Z 192.0.2.9 GET /album/b.jpg 200 655360 30012.0ms aborted: the client stopped reading
//! ```
//!
//! Time in UTC, address, method, target, status, bytes of the body that the socket took, time from the end of the
//! request's head to the end of the response. A request that could not be understood has `-` for what it lacks. What it
//! keeps true: a line is one line of visible ASCII, whatever the client sent, and at most a few KiB long; writing it never
//! makes a shard wait, since lines that find the queue full are counted and dropped.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::calendar::civil_date;

mod writer;

pub(crate) use writer::{Log, Writer};

/// The most of a target that stands in a line, in bytes.
const MAX_TARGET_BYTES: usize = 2048;

/// What is said about one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// When the response ended.
    pub(crate) at: SystemTime,
    /// Who asked.
    pub(crate) address: IpAddr,
    /// The request's method; `None` if it was not understood.
    pub(crate) method: Option<String>,
    /// The request's target, encoded for logs; `None` if it was not understood.
    pub(crate) target: Option<String>,
    /// The response's status.
    pub(crate) status: u16,
    /// Bytes of the body that were sent.
    pub(crate) body_bytes: u64,
    /// From the end of the request's head to the end of the response.
    pub(crate) took: Duration,
    /// Why the response did not come to its end, or was not what was asked for.
    pub(crate) remark: Option<Cow<'static, str>>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.as_deref().unwrap_or("-");
        let (target, cut) = match target.get(..MAX_TARGET_BYTES) {
            Some(beginning) if target.len() > MAX_TARGET_BYTES => (beginning, "..."),
            _ => (target, ""),
        };
        let method = self.method.as_deref().unwrap_or("-");
        let tenths_ms = self.took.as_micros() / 100;
        write_time(f, self.at)?;
        write!(
            f,
            " {} {method} {target}{cut} {} {} {}.{}ms",
            self.address.to_canonical(),
            self.status,
            self.body_bytes,
            tenths_ms / 10,
            tenths_ms % 10,
        )?;
        self.remark.as_ref().map_or(Ok(()), |remark| write!(f, " {remark}"))
    }
}

impl Record {
    /// The line, with its end.
    pub(crate) fn line(&self) -> String {
        let mut line = String::with_capacity(128);
        // Writing to a `String` does not fail.
        let _ = writeln!(line, "{self}");
        line
    }
}

/// RFC 3339 in UTC, in seconds. A clock before 1970 counts as 1970.
fn write_time(f: &mut fmt::Formatter<'_>, time: SystemTime) -> fmt::Result {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil_date(i64::try_from(seconds / 86_400).unwrap_or(0));
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            at: UNIX_EPOCH + Duration::from_secs(1_795_336_800),
            address: "192.0.2.7".parse().expect("an address"),
            method: Some("GET".to_owned()),
            target: Some("/a.jpg".to_owned()),
            status: 206,
            body_bytes: 5_243_000,
            took: Duration::from_micros(12_468),
            remark: None,
        }
    }

    #[test]
    fn a_line_tells_who_asked_what_and_what_became_of_it() {
        assert_eq!(record().line(), "2026-11-22T08:40:00Z 192.0.2.7 GET /a.jpg 206 5243000 12.4ms\n");
        let aborted = Record { remark: Some("aborted: the client stopped reading".into()), ..record() };
        assert_eq!(
            aborted.line(),
            "2026-11-22T08:40:00Z 192.0.2.7 GET /a.jpg 206 5243000 12.4ms aborted: the client stopped reading\n"
        );
    }

    #[test]
    fn what_was_not_understood_is_a_hyphen() {
        let rejected = Record { method: None, target: None, status: 400, ..record() };
        assert_eq!(rejected.line(), "2026-11-22T08:40:00Z 192.0.2.7 - - 400 5243000 12.4ms\n");
    }

    #[test]
    fn a_long_target_is_cut() {
        let long = Record { target: Some(format!("/{}", "x".repeat(8000))), ..record() };
        assert!(long.line().len() < 2200 && long.line().contains("xxx... 206 "), "{}", long.line());
    }

    #[test]
    fn an_address_mapped_into_ipv6_is_shown_as_what_it_is() {
        let mapped = Record { address: "::ffff:192.0.2.7".parse().expect("an address"), ..record() };
        assert_eq!(mapped.line(), record().line());
    }
}
