//! Cancelling operations without dropping their futures, and being told what came of it.
//!
//! A dropped future is cancelled too, but what it had is gone for its owner. Here the operation ends with its result, or
//! with `ECANCELED`, and gives its buffer back either way. Nothing but operations is cancelled: a sleep, a lock, a
//! channel goes on waiting.

use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use annulus::abi::OpcodeInfo;

use crate::driver::under::{Notes, Run};
use crate::driver::{Driver, Key};
use crate::executor::Context as Executor;

/// How often an operation is cancelled that the kernel does not find although it goes on: it may be on its way
/// from one queue to another at that moment.
const TRIES: u8 = 8;

/// Cancels the operations of the futures that it [runs](Self::run). Cheap; clones are the same canceller.
///
/// Operations in flight are asked to end, and every later one that would start under it fails with `ECANCELED` at once,
/// so a future that makes one operation after the other comes to its end. A future that was cancelled is not dropped: it
/// goes on, with the error in its hands and its buffers back. Data that an operation had already are its result:
/// nothing is lost. Closing is never cancelled.
///
/// What the future spawns is not under the canceller, unless that is [run](Self::run) by it too. Cancellers nest:
/// an operation is cancelled by each that it runs under.
///
/// # Examples
///
/// A receive that is given up after some time, with its buffer, and without losing a byte:
///
/// ```
/// use annulus_rt::cancel::{CancelOutcome, Canceller};
/// use annulus_rt::net::{TcpListener, TcpStream};
/// use std::time::Duration;
///
/// annulus_rt::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let server = listener.accept().await?;
///
///     let canceller = Canceller::new();
///     let receiving = annulus_rt::spawn({
///         let canceller = canceller.clone();
///         async move { canceller.run(server.recv(vec![0; 1024])).await }
///     });
///     annulus_rt::time::sleep(Duration::from_millis(5)).await;
///     let requests = canceller.cancel().await;
///     assert_eq!(requests.len(), 1);
///     assert_eq!(requests[0].outcome(), CancelOutcome::Cancelled);
///     assert_eq!(requests[0].operation(), "RECV");
///
///     let (received, buf) = receiving.await.unwrap();
///     assert_eq!(received.unwrap_err().raw_os_error(), Some(125), "ECANCELED");
///     assert_eq!(buf.len(), 1024);
///     client.close().await
/// })?
/// # ; Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Canceller(Rc<Notes>);

/// What came of the request to cancel an operation (io_uring_cancelation(7)). The operation's own result comes in any
/// case, to the future that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancelOutcome {
    /// It was found and stopped: its future gets `ECANCELED`, or how far it had come (0).
    Cancelled,
    /// It was over before the request: its future gets its result (`ENOENT`).
    NotFound,
    /// It was under way and is not sure to stop, as a read from a disk is: its future gets the result, or `EINTR` or
    /// `ECANCELED`, when it is over (`EALREADY`; or the request was refused).
    TooLate,
}

/// One operation that was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelRequest {
    opcode: u8,
    outcome: CancelOutcome,
}

impl Canceller {
    /// A canceller that was not used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a future under this canceller: what it has in flight when [`cancel`](Self::cancel) is called is cancelled.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let run = Run::new(self.0.clone());
        let mut future = pin!(future);
        poll_fn(|cx| {
            let mut poll = || future.as_mut().poll(cx);
            match Executor::try_current() {
                Some(executor) => run.polled(&executor.driver, poll),
                // Outside of a runtime nothing is started.
                None => poll(),
            }
        })
        .await
    }

    /// Asks every operation in flight under this canceller to end, and refuses those to come. The requests are made at
    /// once; awaiting the result tells what came of each, in the order in which the operations began. One that was asked
    /// before is not asked again.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[allow(clippy::must_use_candidate, reason = "it has been done, whether or not one wants to know")]
    pub fn cancel(&self) -> Cancelling {
        self.0.cancelled.set(true);
        let driver = Executor::current().driver.clone();
        let asked = self.0.in_flight(&driver).into_iter().map(|(target, opcode)| {
            let answer = ask(&driver, target);
            Asked { target, opcode, tries: 1, answer }
        });
        let asked = asked.collect();
        Cancelling { driver, asked }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.get()
    }
}

impl Debug for Canceller {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

impl CancelRequest {
    /// The name of the operation, as the interface has it: `RECV`, `OPENAT2`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        OpcodeInfo::of(self.opcode).map_or("?", |info| info.name)
    }

    /// What came of it.
    #[must_use]
    pub const fn outcome(&self) -> CancelOutcome {
        self.outcome
    }
}

/// The answers to [`Canceller::cancel`], once they are there. May be dropped: the operations are cancelled all the same.
pub struct Cancelling {
    driver: Rc<Driver>,
    asked: Vec<Asked>,
}

struct Asked {
    target: Key,
    opcode: u8,
    tries: u8,
    answer: Answer,
}

enum Answer {
    Awaited(Key),
    Known(CancelOutcome),
}

/// Makes a request.
fn ask(driver: &Driver, target: Key) -> Answer {
    // An executor that ends cancels everything, and asks again until it is over.
    driver.request_cancel(target).map_or(Answer::Known(CancelOutcome::TooLate), Answer::Awaited)
}

impl Asked {
    fn poll(&mut self, driver: &Driver, cx: &Context<'_>) -> Poll<CancelRequest> {
        loop {
            let key = match self.answer {
                Answer::Known(outcome) => {
                    return Poll::Ready(CancelRequest { opcode: self.opcode, outcome });
                }
                Answer::Awaited(key) => key,
            };
            let Poll::Ready(completion) = driver.poll_single(key, cx) else { return Poll::Pending };
            let outcome = match -completion.result {
                0 => CancelOutcome::Cancelled,
                libc::ENOENT => CancelOutcome::NotFound,
                _ => CancelOutcome::TooLate,
            };
            self.answer = Answer::Known(outcome);
            let again = outcome == CancelOutcome::NotFound || driver.has_other_means(completion.result);
            if again && self.tries < TRIES && driver.is_unfinished(self.target) {
                self.tries += 1;
                self.answer = ask(driver, self.target);
            }
        }
    }
}

impl Future for Cancelling {
    type Output = Vec<CancelRequest>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut answers = Vec::with_capacity(this.asked.len());
        for asked in &mut this.asked {
            if let Poll::Ready(answer) = asked.poll(&this.driver, cx) {
                answers.push(answer);
            }
        }
        if answers.len() == this.asked.len() { Poll::Ready(answers) } else { Poll::Pending }
    }
}

impl Drop for Cancelling {
    fn drop(&mut self) {
        for asked in &self.asked {
            if let Answer::Awaited(key) = asked.answer {
                self.driver.disown_cancellation(asked.target, key);
            }
        }
    }
}

impl Debug for Cancelling {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelling").field("operations", &self.asked.len()).finish_non_exhaustive()
    }
}
