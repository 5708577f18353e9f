//! The traits by which hyper 1.x reaches a runtime: streams, tasks, time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use annulus_rt::time;
use hyper::rt::{Executor, Read, ReadBufCursor, Sleep, Timer, Write};
use send_wrapper::SendWrapper;

use crate::compat::{Compat, CompatReader, CompatWriter, Reads, Writes};
use crate::writes::writes;

macro_rules! reads {
    ($($adapter:ident),*) => {$(
        impl<S> Read for $adapter<S> {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buf: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                let reading = self.get_mut().reading();
                reading.poll_take(cx, buf.remaining(), |bytes| buf.put_slice(bytes)).map_ok(drop)
            }
        }
    )*};
}

reads!(Compat, CompatReader);
writes!(Write: Compat, CompatWriter);

/// Runs what hyper wants to run beside a connection, HTTP/2's streams above all, as tasks of the executor of this thread. They
/// need not be `Send`.
///
/// hyper has no way to hear of it if a task is refused ([`Builder::tasks`](annulus_rt::Builder::tasks)): it is
/// dropped then, which the connection sees.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> Executor<F> for HyperExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(annulus_rt::spawn(future));
    }
}

/// The timers of the executor of this thread, for hyper's timeouts.
///
/// hyper wants timers that are `Send`. These are in name: they panic when another thread polls them, or drops one that was polled, which
/// nobody can do whose stream is a [`Compat`], as that stays on its thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep(SendWrapper::new(time::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep(SendWrapper::new(time::sleep_until(deadline))))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(sleep) => sleep.get_mut().0.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// A timer.
struct HyperSleep(SendWrapper<time::Sleep>);

impl Sleep for HyperSleep {}

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut *self.0).poll(cx)
    }
}
