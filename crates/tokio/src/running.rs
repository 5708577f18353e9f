//! An operation as a future.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use annulus::owned::{Operation, Refused, Ticket};
use rustix::io::Errno;

use crate::registry;
use crate::ring::{Ring, Started};

/// How often an operation is tried again that was cancelled though nobody asked for it.
const ATTEMPTS: usize = 16;

/// Runs an operation that can be made again and again, on the ring of the thread that polls it first.
///
/// The kernel cancels what a thread has submitted when that thread ends (`ECANCELED`, or `EFAULT` for what was about to go on in
/// it), as threads of tokio's do; a signal may interrupt it. What the future itself cancels is not waited for any more.
///
/// # Errors
///
/// Those of setting up a ring, and of the operation.
pub(crate) async fn run<O: Operation<Output = Result<T, Errno>>, T>(make: impl Fn() -> O) -> io::Result<T> {
    run_on(registry::current, make).await
}

/// As [`run`], for an opcode that came after Linux 5.10: where the kernel does not have it, on a ring of the engine.
///
/// # Errors
///
/// As [`run`].
pub(crate) async fn run_new<O: Operation<Output = Result<T, Errno>>, T>(
    opcode: u8,
    make: impl Fn() -> O,
) -> io::Result<T> {
    run_on(|| registry::with(opcode), make).await
}

async fn run_on<O: Operation<Output = Result<T, Errno>>, T>(
    ring: impl Fn() -> io::Result<Arc<Ring>>,
    make: impl Fn() -> O,
) -> io::Result<T> {
    let mut attempt = 1;
    loop {
        match on(&ring()?, make()).await {
            Err(errno) if is_spurious(errno) && attempt < ATTEMPTS => attempt += 1,
            output => return Ok(output?),
        }
    }
}

/// Runs an operation that can be made once.
///
/// # Errors
///
/// As [`run`].
pub(crate) async fn run_once<O: Operation<Output = Result<T, Errno>>, T>(operation: O) -> io::Result<T> {
    Ok(on(&registry::current()?, operation).await?)
}

/// As [`run`], for an operation that gives its memory back. It may be made for the ring that it is going to run on.
pub(crate) async fn run_with<O, B, T>(mut memory: B, make: impl Fn(B, &Arc<Ring>) -> O) -> (io::Result<T>, B)
where
    O: Operation<Output = (Result<T, Errno>, B)>,
{
    let mut attempt = 1;
    loop {
        let ring = match registry::current() {
            Ok(ring) => ring,
            Err(error) => return (Err(error), memory),
        };
        let operation = make(memory, &ring);
        let (result, back) = on(&ring, operation).await;
        match result {
            Err(errno) if is_spurious(errno) && attempt < ATTEMPTS => (attempt, memory) = (attempt + 1, back),
            result => return (result.map_err(io::Error::from), back),
        }
    }
}

fn is_spurious(errno: Errno) -> bool {
    [Errno::CANCELED, Errno::FAULT, Errno::INTR].contains(&errno)
}

/// Runs an operation on a ring, when there is a place on it.
async fn on<O: Operation>(ring: &Arc<Ring>, operation: O) -> O::Output {
    let _place = ring.place().await;
    Running { ring: ring.clone(), state: State::New(operation) }.await
}

struct Running<O: Operation> {
    ring: Arc<Ring>,
    state: State<O>,
}

enum State<O> {
    New(O),
    InFlight(Ticket<O>),
    Done,
}

/// The memory of an operation in flight is the ring's: nothing in here is pointed to.
impl<O: Operation> Unpin for Running<O> {}

impl<O: Operation> Future for Running<O> {
    type Output = O::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Output> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::New(operation) => match self.ring.start(operation) {
                Ok(Started::Ended(output)) => return Poll::Ready(output),
                Ok(Started::InFlight(ticket)) => self.state = State::InFlight(ticket),
                Err(Refused(operation)) => {
                    // Those that were given up end soon, as they are cancelled.
                    self.state = State::New(operation);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            },
            in_flight @ State::InFlight(_) => self.state = in_flight,
            State::Done => panic!("an operation was polled after it had completed"),
        }
        let State::InFlight(ticket) = self.state else { unreachable!("made so just now") };
        let polled = self.ring.poll(ticket, cx);
        if polled.is_ready() {
            self.state = State::Done;
        }
        polled
    }
}

impl<O: Operation> Drop for Running<O> {
    fn drop(&mut self) {
        if let State::InFlight(ticket) = self.state {
            self.ring.give_up(ticket);
        }
    }
}
