//! Waiting for a future on a thread that has no runtime.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::executor::Context as Executor;

/// Waits by parking this thread.
///
/// # Panics
///
/// Inside of a runtime, whose tasks would all stand still meanwhile.
pub(super) fn wait_for<F: Future>(what: &str, future: F) -> F::Output {
    assert!(
        Executor::try_current().is_none(),
        "{what} blocks this thread, which runs a runtime: await instead"
    );
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        // Returns at once if the waker was called since the poll: a thread has one token.
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
