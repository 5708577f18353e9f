//! Waiting for a client, but not for ever: `annulus_http::Watch` with the runtime's clock and timer.
//!
//! What it keeps true: what is waited for is polled before the clock is looked at, so that nothing that is there is thrown
//! away; and a client that reads slowly is not taken for one that has stopped, although the kernel says for a long time
//! only that the socket's buffer is full.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulus_http::{Cut, Watch};
use annulus_rt::net::TcpStream;
use annulus_rt::time::{Sleep, now, sleep_until};

/// How often, within the time for one byte of progress, the socket is asked whether its buffer drains.
const LOOKS_PER_STALL: u32 = 4;

/// The patience with one connection.
#[derive(Debug)]
pub(crate) struct Patience {
    watch: Watch,
    stall: Duration,
    /// What the watch counts from.
    origin: Instant,
    /// Set once and left to ring: it is moved only to an earlier time, so that a request costs no timer.
    alarm: Sleep,
    /// What the kernel still had to send when it was last asked.
    unsent_bytes: Option<usize>,
}

impl Patience {
    /// For a connection accepted now.
    pub(crate) fn new(patience: annulus_http::Patience) -> Self {
        let origin = now();
        let watch = Watch::new(patience, Duration::ZERO);
        let alarm = sleep_until(origin + patience.idle.min(FAR));
        Self { watch, stall: patience.stall, origin, alarm, unsent_bytes: None }
    }

    /// Part of a request's head is there.
    pub(crate) fn request_began(&mut self) {
        self.watch.request_began(self.origin.elapsed());
    }

    /// A body follows that is dropped.
    pub(crate) fn body_began(&mut self) {
        self.watch.body_began(self.origin.elapsed());
    }

    /// Sending begins.
    pub(crate) fn response_began(&mut self) {
        self.unsent_bytes = None;
        self.watch.response_began(self.origin.elapsed());
    }

    /// The client took something.
    pub(crate) fn progressed(&mut self, bytes: usize) {
        self.unsent_bytes = None;
        self.watch.progressed(bytes as u64, self.origin.elapsed());
    }

    /// The response is complete.
    pub(crate) fn response_ended(&mut self) {
        self.watch.response_ended(self.origin.elapsed());
    }

    /// Waits for what the client has to do: send something.
    ///
    /// # Errors
    /// [`Cut`]: it took too long. What was waited for is dropped.
    pub(crate) async fn wait_for<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Cut> {
        let mut what = pin!(what);
        loop {
            let deadline = self.watch.deadline();
            if let Some(output) = self.first(what.as_mut(), deadline).await {
                return Ok(output);
            }
            if let Some(cut) = self.watch.expired(self.origin.elapsed()) {
                return Err(cut);
            }
        }
    }

    /// Waits for the client to take something from `stream`.
    ///
    /// # Errors
    /// [`Cut`]: it took nothing for too long, or too little. What was waited for is dropped.
    pub(crate) async fn wait_for_room<T>(
        &mut self,
        stream: &TcpStream,
        what: impl Future<Output = T>,
    ) -> Result<T, Cut> {
        let mut what = pin!(what);
        loop {
            let look = self.origin.elapsed().saturating_add(self.stall / LOOKS_PER_STALL);
            let deadline = self.watch.deadline().min(look);
            if let Some(output) = self.first(what.as_mut(), deadline).await {
                return Ok(output);
            }
            if self.origin.elapsed() >= deadline {
                self.look(stream).await;
            }
            if let Some(cut) = self.watch.expired(self.origin.elapsed()) {
                return Err(cut);
            }
        }
    }

    /// Asks the kernel what it still has to send. Less than before is progress, though of no size that counts.
    async fn look(&mut self, stream: &TcpStream) {
        let Ok(unsent) = stream.unsent_bytes().await else { return };
        if self.unsent_bytes.is_some_and(|before| unsent < before) {
            self.watch.progressed(1, self.origin.elapsed());
        }
        self.unsent_bytes = Some(unsent);
    }

    /// The output, if it comes before the alarm. The alarm may ring early, and then there is none.
    async fn first<T>(
        &mut self,
        mut what: Pin<&mut impl Future<Output = T>>,
        deadline: Duration,
    ) -> Option<T> {
        let deadline = self.origin + deadline.min(FAR);
        let alarm = &mut self.alarm;
        let origin = self.origin;
        let mut set = false;
        poll_fn(move |cx| {
            if let Poll::Ready(output) = what.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if !set {
                set = true;
                let rings = alarm.deadline();
                if rings > deadline || rings <= now().max(origin) {
                    alarm.reset(deadline);
                }
            }
            Pin::new(&mut *alarm).poll(cx).map(|()| None)
        })
        .await
    }
}

/// What stands for "never": far beyond any connection, and not so far that an `Instant` overflows.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
