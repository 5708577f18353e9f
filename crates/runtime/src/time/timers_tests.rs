//! The timers beside a plain list of what is pending, and the room that cancelled ones take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

/// Counts how often it was woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn later(duration: Duration) -> Instant {
    clock::plus(clock::now(), duration)
}

#[test]
fn timers_fire_at_their_end_in_order_whatever_is_cancelled_between() {
    let mut inner = Inner::default();
    let mut model: Vec<(u64, u64, TimerId)> = Vec::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut now = 0;
    let mut fired = 0;
    for _ in 0..20_000 {
        match random(8) {
            0..4 => {
                let at = now + random(1_000);
                let id = inner.insert(at, Waker::noop().clone());
                model.push((at, id.number, id));
            }
            4..7 if !model.is_empty() => {
                let at = usize::try_from(random(model.len() as u64)).unwrap();
                let (_, _, id) = model.swap_remove(at);
                assert!(inner.remove(id).is_some());
                assert!(inner.remove(id).is_none(), "a timer is cancelled once");
            }
            _ => {
                now += random(300);
                model.sort_unstable_by_key(|(at, number, _)| (*at, *number));
                while let Some(first) = model.first().copied().filter(|(at, ..)| *at <= now) {
                    assert_eq!(inner.next(), Some(first.0));
                    assert!(inner.get_mut(first.2).is_some());
                    assert!(inner.pop(now).is_some());
                    assert!(inner.get_mut(first.2).is_none(), "the earliest is the one that fired");
                    model.remove(0);
                    fired += 1;
                }
                assert!(inner.pop(now).is_none());
            }
        }
        assert_eq!(inner.pending.len(), model.len());
        assert!(
            inner.ends.len() <= SMALL.max(2 * model.len() + 1),
            "{} for {}",
            inner.ends.len(),
            model.len()
        );
    }
    assert!(fired > 500, "{fired}");
}

#[test]
fn a_million_timers_that_are_cancelled_leave_no_room_taken() {
    let timers = Timers::default();
    let far = later(Duration::from_secs(3600));
    let first = timers.insert(far, Waker::noop()).unwrap();
    for _ in 0..1_000_000 {
        let id = timers.insert(far, Waker::noop()).unwrap();
        assert!(timers.remove(id).is_some());
    }
    assert!(timers.refresh(first, Waker::noop()));
    assert_eq!(timers.len(), 1);
    assert!(timers.inner.borrow().ends.len() <= SMALL, "{}", timers.inner.borrow().ends.len());
    assert!(timers.inner.borrow().pending.capacity() < 16);
}

#[test]
fn a_timer_that_is_refreshed_wakes_whom_it_was_told_last() {
    let timers = Timers::default();
    let (first, last) = (Arc::<Counter>::default(), Arc::<Counter>::default());
    let id = timers.insert(later(Duration::from_millis(2)), &first.clone().into()).unwrap();
    assert!(timers.refresh(id, &last.clone().into()));
    while timers.len() > 0 {
        timers.fire();
    }
    assert_eq!((first.0.load(Ordering::Relaxed), last.0.load(Ordering::Relaxed)), (0, 1));
    assert!(!timers.refresh(id, Waker::noop()), "it has fired");
    assert_eq!(timers.wait(), Wait::Forever);
    assert!(timers.insert(clock::now(), Waker::noop()).is_some(), "the clock has been read before that");
}
