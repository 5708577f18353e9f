//! What takes several receives of a stream: filling a buffer, reading to the end.
//!
//! What it keeps true: if such a call is dropped, or fails, what its receives had taken goes to the next receive of the
//! stream, in order; before it goes what is kept of the receive in flight, which may end later.

use std::io::{self, ErrorKind};

use super::STEP;
use crate::buf::{BufResult, IoBufMut, fill};
use crate::driver::op::round::Round;
use crate::net::inbound::Inbound;

/// A stream whose receives can be rounds of a longer call.
pub(crate) trait Rounds {
    /// Receives into a part of a buffer; 0 is the end of the stream. If the future is dropped, what it had taken goes to the
    /// next receive, behind what the rounds before it had.
    async fn round<B: IoBufMut>(&self, buf: B, round: Round) -> BufResult<usize, B>;

    /// Where bytes go that nobody has read.
    fn inbound(&self) -> &Inbound;

    /// Receives as many bytes as the buffer holds.
    async fn fill<B: IoBufMut>(&self, mut buf: B) -> BufResult<(), B> {
        let mut round = Round::first_of(0..buf.filled());
        while !round.is_over() {
            let received;
            (received, buf) = self.round(buf, round).await;
            match received {
                Ok(0) => return (Err(ErrorKind::UnexpectedEof.into()), buf),
                Ok(n) => round = round.after(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // What came before is not lost if this is a cancellation: the next receive has it.
                    self.inbound().put_front(round.earlier(&buf));
                    return (Err(error), buf);
                }
            }
        }
        (Ok(()), buf)
    }

    /// Receives to the end of the stream, behind what the vector holds.
    async fn drain(&self, mut buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        let before = buf.len();
        let mut round = Round::first_of(before..usize::MAX);
        loop {
            if buf.len() == buf.capacity() {
                buf.reserve(STEP.max(buf.len()));
            }
            let received: io::Result<usize>;
            (received, buf) = self.round(buf, round).await;
            match received {
                Ok(0) => return (Ok(buf.len() - before), buf),
                Ok(n) => round = round.after(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
    }
}

/// What was kept, as what a round has received.
pub(crate) fn give<B: IoBufMut>(kept: io::Result<Vec<u8>>, round: Round, buf: B) -> BufResult<usize, B> {
    let mut part = buf.slice(round.at()..);
    let given = kept.map(|bytes| fill(&mut part, &bytes));
    (given, part.into_inner())
}
