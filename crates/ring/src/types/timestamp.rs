//! Reading the completions of [`opcode::TxTimestamp`](crate::opcode::TxTimestamp).

use std::time::Duration;

use crate::cqueue;

/// When a piece of sent data passed a station of the network stack (`struct io_timespec`). Linux 6.17.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxTimestamp {
    /// Since the epoch of the clock: `CLOCK_REALTIME`, or the network card's own.
    pub time: Duration,
    /// Whether the network card took it.
    pub hardware: bool,
    /// Which station: `SCM_TSTAMP_SND` (0), `SCM_TSTAMP_SCHED` (1) or `SCM_TSTAMP_ACK` (2).
    pub station: u32,
    /// Which data: the number that `SOF_TIMESTAMPING_OPT_ID` counts.
    pub key: u32,
}

impl TxTimestamp {
    /// `IORING_TIMESTAMP_TYPE_SHIFT`.
    const STATION_SHIFT: u32 = 17;

    /// Reads a completion of [`opcode::TxTimestamp`](crate::opcode::TxTimestamp). `None` if it carries no
    /// time stamp: the last one of the request, which only has a result.
    #[must_use]
    pub fn parse(cqe: &cqueue::Entry32) -> Option<Self> {
        if !cqe.has_more() {
            return None;
        }
        let [sec, nsec] = *cqe.big_cqe();
        Some(Self {
            time: Duration::from_secs(sec).checked_add(Duration::from_nanos(nsec))?,
            hardware: cqe.cqe_flags().contains(cqueue::CqeFlags::TSTAMP_HW),
            station: cqe.flags() >> Self::STATION_SHIFT,
            key: cqe.result().cast_unsigned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use annulus_abi::{Cqe, Cqe32};

    fn cqe(flags: u32, extra: [u64; 2]) -> cqueue::Entry32 {
        Cqe32 { base: Cqe { user_data: 0, res: 7, flags }, extra }.into()
    }

    #[test]
    fn a_time_stamp_is_read_from_the_second_half_and_the_upper_flags() {
        let stamp = TxTimestamp::parse(&cqe(1 << 1 | 1 << 16 | 2 << 17, [5, 6]));
        let expected = TxTimestamp { time: Duration::new(5, 6), hardware: true, station: 2, key: 7 };
        assert_eq!(stamp, Some(expected));
    }

    #[test]
    fn the_last_completion_carries_none_and_nonsense_does_not_panic() {
        assert_eq!(TxTimestamp::parse(&cqe(0, [5, 6])), None);
        assert_eq!(TxTimestamp::parse(&cqe(1 << 1, [u64::MAX, u64::MAX])), None);
    }
}
