//! How models of what waits are made with loom, which tries every order in which threads can meet.
//!
//! Waiting is loom's `Notify`: whoever waits for a call that nobody makes is a deadlock, and loom says so.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;

/// What stands in `lock.rs`, of loom's.
pub(super) mod sync {
    pub(in crate::sync) use loom::sync::{Mutex, MutexGuard};

    pub(in crate::sync) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

/// All orders in which a thread is interrupted at most twice where it need not be: with three threads, all of them
/// are more than a test has time for.
pub(super) fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// What a thread waits by.
pub(super) struct Bell(pub(super) Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

impl Bell {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Notify::new()))
    }
}

pub(super) fn poll<F: Future>(future: Pin<&mut F>, bell: &Arc<Bell>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(bell.clone())))
}

/// Polls, and waits to be woken before each further time.
pub(super) fn wait_for<F: Future>(future: F) -> F::Output {
    let (mut future, bell) = (pin!(future), Bell::new());
    loop {
        match poll(future.as_mut(), &bell) {
            Poll::Ready(output) => return output,
            Poll::Pending => bell.0.wait(),
        }
    }
}
