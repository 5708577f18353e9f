//! Calls that io_uring does not have, on a helper thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{JoinError, spawn_blocking};

/// Runs a call on a helper thread. If the future is dropped, a call that was not begun is not made.
///
/// # Errors
///
/// The call's own; `EAGAIN` if too much waits for a helper thread.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match spawn_blocking(call).await {
        Ok(outcome) => outcome,
        Err(JoinError::Refused) => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        Err(error) => Err(error.into()),
    }
}

/// As [`blocking`], for work in steps: it is to end between two of them when the future is dropped.
pub(super) async fn in_steps<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (stop, _guard) = Stop::when_dropped();
    blocking(move || work(&stop)).await
}

/// Whether nobody waits for the work any more.
#[derive(Clone, Debug)]
pub struct Stop(Arc<AtomicBool>);

// Relaxed throughout: the flag hands over nothing but itself.
impl Stop {
    /// One, and a guard: when that is dropped, nobody waits any more.
    #[must_use]
    pub fn when_dropped() -> (Self, StopGuard) {
        let stop = Self(Arc::default());
        (stop.clone(), StopGuard(stop))
    }

    /// # Errors
    ///
    /// `ECANCELED` if nobody waits any more.
    pub fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::ECANCELED));
        }
        Ok(())
    }
}

/// Says to a [`Stop`] that nobody waits any more.
#[derive(Debug)]
pub struct StopGuard(Stop);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::task::Poll;
    use std::time::Duration;

    use super::in_steps;
    use crate::yield_now;

    /// Longer than a loaded machine takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn work_in_steps_hears_that_its_future_was_dropped() {
        let (began, begun) = channel();
        let (heard, told): (_, Receiver<Option<i32>>) = channel();
        let (release, wait) = channel::<()>();
        crate::run(async {
            let mut work = Box::pin(in_steps(move |stop| {
                stop.check()?;
                began.send(()).expect("the test waits for it");
                // Until the future is gone.
                let _ = wait.recv_timeout(PATIENCE);
                let errno = stop.check().err().and_then(|error| error.raw_os_error());
                heard.send(errno).expect("the test waits for it");
                Ok(())
            }));
            let first = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_ready())).await;
            assert!(!first);
            while begun.try_recv().is_err() {
                yield_now().await;
            }
            drop(work);
            release.send(()).expect("the work waits for it");
            assert_eq!(told.recv_timeout(PATIENCE), Ok(Some(libc::ECANCELED)));
        })
        .expect("a runtime");
    }
}
