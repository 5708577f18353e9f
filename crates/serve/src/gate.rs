//! How many connections there may be, over all shards: `annulus_http::Admission` behind a lock, with those who wait for room.
//!
//! The lock is taken once per connection at its beginning and once at its end, never per request. What it keeps true: a
//! connection that was counted in is counted out, however it ends.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use annulus_http::{Admission, AdmissionLimits, Refused};

/// The bound that the shards share.
#[derive(Debug)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug)]
struct State {
    admission: Admission,
    /// Of shards that found it full: as many as there are shards at the most, as each has one loop that accepts.
    waiting: Vec<Waker>,
}

impl Gate {
    /// Nobody is counted in.
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        Self(Mutex::new(State { admission: Admission::new(limits), waiting: Vec::new() }))
    }

    /// Counts a connection in.
    ///
    /// # Errors
    /// [`Refused`], by which of the bounds.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, Refused> {
        self.lock().admission.admit(address)?;
        Ok(Admitted { gate: Arc::clone(self), address })
    }

    /// Waits until there are fewer connections than allowed in all.
    pub(crate) async fn room(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if !state.admission.is_full() {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counting panics only if this file has lost count; the table is then as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is counted in, until it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.gate.lock();
            state.admission.release(self.address);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn whoever_waits_for_room_is_woken_when_a_connection_ends() {
        let gate = Arc::new(Gate::new(AdmissionLimits { connections: 1, per_address: 1 }));
        let address = IpAddr::from([192, 0, 2, 1]);
        let admitted = gate.admit(address).expect("there is room");
        assert_eq!(gate.admit(address).expect_err("no more"), Refused::Full);

        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut cx = Context::from_waker(&waker);
        let mut room = pin!(gate.room());
        assert!(room.as_mut().poll(&mut cx).is_pending());
        assert!(room.as_mut().poll(&mut cx).is_pending());
        drop(admitted);
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        assert!(room.as_mut().poll(&mut cx).is_ready());
    }
}
