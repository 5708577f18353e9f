//! How long a connection may keep the server waiting, and when it is cut.
//!
//! No clock and no timer: times are `Duration`s since any fixed moment, such as the server's start, and the caller
//! wakes at [`Watch::deadline`]. What it keeps true: a download that makes progress is never cut, however long it takes
//! (unless a minimum rate is configured), and each phase in which the client may stall has a deadline.

use std::time::Duration;

/// The bounds on waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From a request's first byte to the end of its head, and again for a body that is dropped.
    pub head: Duration,
    /// Between two requests, and before the first.
    pub idle: Duration,
    /// Within a response, without a byte being taken.
    pub stall: Duration,
    /// The slowest that a whole response may be.
    pub min_rate: Option<MinRate>,
}

/// A minimum rate, averaged over a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    /// Bytes that the client must take per second. Zero asks for nothing.
    pub bytes_per_s: u32,
    /// For so long nothing is asked.
    pub grace: Duration,
}

impl Default for Patience {
    /// 10 s for a head, 60 s between requests, 30 s without progress, no minimum rate.
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            min_rate: None,
        }
    }
}

/// Why a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Nothing was asked for too long: close without a word.
    Idle,
    /// A head or a dropped body did not come to its end: answer [`HEAD_TOO_SLOW`](crate::Rejection::HEAD_TOO_SLOW).
    Head,
    /// The client has stopped reading: close.
    Stalled,
    /// The client reads slower than configured: close.
    TooSlow,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Idle => "no request came in time",
            Self::Head => "the request did not end in time",
            Self::Stalled => "the client stopped reading",
            Self::TooSlow => "the client reads below the minimum rate",
        })
    }
}

/// The patience with one connection.
///
/// ```
/// use annulus_http::{Cut, Patience, Watch};
/// use std::time::Duration;
///
/// let at = Duration::from_secs;
/// let mut watch = Watch::new(Patience::default(), at(100));
/// watch.request_began(at(130));
/// assert_eq!(watch.deadline(), at(140));
/// watch.response_began(at(135));
/// watch.progressed(65_536, at(150));
/// assert_eq!(watch.expired(at(179)), None);
/// assert_eq!(watch.expired(at(180)), Some(Cut::Stalled));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    patience: Patience,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle { since: Duration },
    Request { since: Duration },
    Response { began: Duration, progressed: Duration, sent_bytes: u64 },
}

impl Watch {
    /// A connection accepted `now`.
    #[must_use]
    pub const fn new(patience: Patience, now: Duration) -> Self {
        Self { patience, phase: Phase::Idle { since: now } }
    }

    /// The first byte of a request has come. Later bytes of the same head change nothing.
    pub fn request_began(&mut self, now: Duration) {
        if !matches!(self.phase, Phase::Request { .. }) {
            self.phase = Phase::Request { since: now };
        }
    }

    /// The head is whole and a body follows that is to be dropped.
    pub fn body_began(&mut self, now: Duration) {
        self.phase = Phase::Request { since: now };
    }

    /// The response's first byte is about to be sent.
    pub fn response_began(&mut self, now: Duration) {
        self.phase = Phase::Response { began: now, progressed: now, sent_bytes: 0 };
    }

    /// The client took `bytes` more. Without any, nothing changes: that is no progress.
    pub fn progressed(&mut self, bytes: u64, now: Duration) {
        if let Phase::Response { progressed, sent_bytes, .. } = &mut self.phase
            && bytes > 0
        {
            *progressed = now;
            *sent_bytes = sent_bytes.saturating_add(bytes);
        }
    }

    /// The response's last byte was taken; the next request may come.
    pub fn response_ended(&mut self, now: Duration) {
        self.phase = Phase::Idle { since: now };
    }

    /// When to look again: the connection is cut then unless something happens before.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.verdict_to_come().0
    }

    /// Whether the connection's time is over.
    #[must_use]
    pub fn expired(&self, now: Duration) -> Option<Cut> {
        let (deadline, cut) = self.verdict_to_come();
        (now >= deadline).then_some(cut)
    }

    fn verdict_to_come(&self) -> (Duration, Cut) {
        match self.phase {
            Phase::Idle { since } => (since.saturating_add(self.patience.idle), Cut::Idle),
            Phase::Request { since } => (since.saturating_add(self.patience.head), Cut::Head),
            Phase::Response { began, progressed, sent_bytes } => {
                let stalled = progressed.saturating_add(self.patience.stall);
                match self.patience.min_rate.and_then(|rate| rate.lasts(sent_bytes)) {
                    Some(lasts) if began.saturating_add(lasts) < stalled => {
                        (began.saturating_add(lasts), Cut::TooSlow)
                    }
                    _ => (stalled, Cut::Stalled),
                }
            }
        }
    }
}

impl MinRate {
    /// How long into a response so many bytes are enough.
    fn lasts(self, sent_bytes: u64) -> Option<Duration> {
        let per_s = u64::from(self.bytes_per_s);
        let whole = sent_bytes.checked_div(per_s)?;
        let millis = (sent_bytes % per_s) * 1000 / per_s;
        Some(self.grace.max(Duration::from_secs(whole) + Duration::from_millis(millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_connection_is_cut_after_a_minute() {
        let mut watch = Watch::new(Patience::default(), at(0));
        assert_eq!(watch.expired(at(59)), None);
        assert_eq!(watch.expired(at(60)), Some(Cut::Idle));
        watch.response_began(at(10));
        watch.response_ended(at(20));
        assert_eq!(watch.deadline(), at(80));
    }

    #[test]
    fn a_head_that_trickles_is_cut_ten_seconds_after_its_first_byte() {
        let mut watch = Watch::new(Patience::default(), at(0));
        watch.request_began(at(5));
        watch.request_began(at(14));
        assert_eq!(watch.expired(at(14)), None);
        assert_eq!(watch.expired(at(15)), Some(Cut::Head));
        watch.body_began(at(14));
        assert_eq!(watch.deadline(), at(24));
    }

    #[test]
    fn a_slow_download_that_progresses_lives_for_hours() {
        let mut watch = Watch::new(Patience::default(), at(0));
        watch.response_began(at(0));
        for second in (0..36_000).step_by(29) {
            assert_eq!(watch.expired(at(second)), None);
            watch.progressed(1, at(second));
        }
    }

    #[test]
    fn a_reader_that_stopped_is_cut() {
        let mut watch = Watch::new(Patience::default(), at(0));
        watch.response_began(at(0));
        watch.progressed(1 << 20, at(3));
        watch.progressed(0, at(30));
        assert_eq!(watch.expired(at(32)), None);
        assert_eq!(watch.expired(at(33)), Some(Cut::Stalled));
    }

    #[test]
    fn a_minimum_rate_counts_from_the_beginning_of_the_response() {
        let min_rate = Some(MinRate { bytes_per_s: 1000, grace: at(5) });
        let mut watch = Watch::new(Patience { min_rate, ..Patience::default() }, at(100));
        watch.response_began(at(100));
        assert_eq!((watch.expired(at(104)), watch.expired(at(105))), (None, Some(Cut::TooSlow)));
        watch.progressed(10_500, at(104));
        assert_eq!(watch.deadline(), Duration::from_millis(110_500));
        watch.progressed(1_000_000, at(105));
        assert_eq!(watch.deadline(), at(135), "far ahead of the rate, but it must go on");
    }

    #[test]
    fn a_minimum_rate_of_zero_asks_for_nothing() {
        let min_rate = Some(MinRate { bytes_per_s: 0, grace: at(5) });
        let mut watch = Watch::new(Patience { min_rate, ..Patience::default() }, at(0));
        watch.response_began(at(0));
        assert_eq!(watch.expired(at(29)), None);
    }
}
