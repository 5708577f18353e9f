//! The channel under loom: every order in which those who send, receive, give up and go away can meet.
//!
//! Waiting is loom's `Notify`: whoever waits for a call that nobody makes is a deadlock, and loom says so.

#[allow(clippy::duplicate_mod, reason = "the same text over other primitives is what is tested")]
#[path = "shared.rs"]
mod shared;

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use super::error::{self, TryRecvError, TrySendError};
use crate::sync::model::{Bell, check, poll, sync, wait_for};
use shared::Shared;

/// Polls once, and drops it: the output, if it was ready.
fn once<F: Future>(future: F) -> Option<F::Output> {
    match poll(pin!(future), &Bell::new()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn channel<T>(capacity: usize) -> Arc<Shared<T>> {
    Arc::new(Shared::new(capacity))
}

/// A thread with an end of the channel.
fn with<T: Send + 'static, R: 'static>(
    shared: &Arc<Shared<T>>,
    work: impl FnOnce(&Shared<T>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || work(&shared))
}

/// Whoever looks at whether it was dropped.
struct Counted(Arc<()>);

#[test]
fn items_of_two_senders_arrive_once_and_then_the_end() {
    check(|| {
        let shared = channel(1);
        shared.add_sender();
        let senders = [1, 2].map(|item| {
            with(&shared, move |shared| {
                wait_for(shared.put(item)).unwrap();
                shared.remove_sender();
            })
        });
        let mut received = Vec::new();
        while let Some(item) = wait_for(shared.take()) {
            received.push(item);
        }
        assert_eq!((shared.len(), shared.capacity()), (0, 1));
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn items_of_one_sender_arrive_in_order_though_both_ends_have_to_wait() {
    check(|| {
        let shared = channel(1);
        let sender = with(&shared, |shared| {
            [1, 2, 3].into_iter().for_each(|item| wait_for(shared.put(item)).unwrap());
            shared.remove_sender();
        });
        let received: Vec<u32> = std::iter::from_fn(|| wait_for(shared.take())).collect();
        assert_eq!(received, [1, 2, 3]);
        sender.join().unwrap();
    });
}

#[test]
fn two_receivers_share_what_comes_and_both_hear_of_the_end() {
    check(|| {
        let shared = channel(1);
        shared.add_receiver();
        let receivers = [(); 2].map(|()| {
            with(&shared, |shared| {
                let mut received = Vec::new();
                while let Some(item) = wait_for(shared.take()) {
                    received.push(item);
                }
                received
            })
        });
        for item in [1, 2] {
            wait_for(shared.put(item)).unwrap();
        }
        shared.remove_sender();
        let mut received = receivers.map(|receiver| receiver.join().unwrap()).concat();
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
    });
}

#[test]
fn a_sender_that_waits_hears_that_the_last_receiver_is_gone_and_every_item_is_dropped() {
    check(|| {
        let shared = channel(1);
        let item = Arc::new(());
        let (first, second) = (Counted(item.clone()), Counted(item.clone()));
        let sender = with(&shared, |shared| {
            // The first may have gone in, and nobody takes it.
            let first = wait_for(shared.put(first)).is_ok();
            let second = wait_for(shared.put(second));
            assert!(second.is_err_and(|back| Arc::strong_count(&back.0) <= 3), "it comes back");
            first
        });
        shared.remove_receiver();
        let _put_in = sender.join().unwrap();
        assert_eq!(
            (shared.len(), Arc::strong_count(&item)),
            (0, 1),
            "nothing lies in a channel that nobody reads"
        );
    });
}

#[test]
fn a_receiver_that_waits_hears_that_the_last_sender_is_gone() {
    check(|| {
        let shared = channel::<u32>(1);
        shared.add_sender();
        let senders = [1, 2].map(|_| with(&shared, Shared::remove_sender));
        assert_eq!(wait_for(shared.take()), None);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(shared.try_put(1), Err(TrySendError::Closed(1)));
    });
}

#[test]
fn a_receive_that_is_dropped_as_its_item_comes_passes_it_on() {
    check(|| {
        let shared = channel(1);
        let gives_up = with(&shared, |shared| once(shared.take()).flatten());
        let waits = with(&shared, |shared| wait_for(shared.take()));
        shared.try_put(1).unwrap();
        let taken = gives_up.join().unwrap();
        if taken.is_some() {
            // Then the other one waits for the next.
            wait_for(shared.put(2)).unwrap();
        }
        let other = waits.join().unwrap();
        assert!(matches!((taken, other), (None, Some(1)) | (Some(1), Some(2)) | (Some(2), Some(1))));
        assert_eq!(shared.try_take(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_send_that_is_dropped_as_its_turn_comes_passes_the_place_on() {
    check(|| {
        let shared = channel(1);
        shared.try_put(0).unwrap();
        let gives_up = with(&shared, |shared| once(shared.put(1)).is_some());
        let waits = with(&shared, |shared| wait_for(shared.put(2)));
        assert_eq!(shared.try_take(), Ok(0));
        let sent = gives_up.join().unwrap();
        let mut received = vec![wait_for(shared.take()).unwrap()];
        if sent {
            received.push(wait_for(shared.take()).unwrap());
        }
        received.sort_unstable();
        assert_eq!(received, if sent { vec![1, 2] } else { vec![2] });
        waits.join().unwrap().unwrap();
        assert_eq!(shared.try_take(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_send_and_a_receive_that_are_both_dropped_leave_the_channel_as_it_was() {
    check(|| {
        let shared = channel(1);
        let sends = with(&shared, |shared| once(shared.put(1)).is_some());
        let receives = with(&shared, |shared| once(shared.take()).flatten().is_some());
        let (sent, received) = (sends.join().unwrap(), receives.join().unwrap());
        assert!(sent && (!received || shared.len() == 0), "there was room");
        assert_eq!(shared.len(), usize::from(sent) - usize::from(received));
        // Whatever became of them: it holds one item, and gives it out.
        if !received {
            assert_eq!(shared.try_put(2), Err(TrySendError::Full(2)));
            assert_eq!(shared.try_take(), Ok(1));
        }
        shared.try_put(3).unwrap();
        assert_eq!(shared.try_put(4), Err(TrySendError::Full(4)));
        assert_eq!(shared.try_take(), Ok(3));
    });
}

#[test]
fn an_item_is_received_or_given_back_when_the_channel_is_closed_and_never_both() {
    check(|| {
        let shared = channel(1);
        let sender = with(&shared, |shared| {
            let sent: Vec<_> = [1, 2].map(|item| wait_for(shared.put(item))).into();
            sent.into_iter().filter_map(Result::err).collect::<Vec<_>>()
        });
        let closer = with(&shared, Shared::close);
        let mut all = Vec::new();
        while let Some(item) = wait_for(shared.take()) {
            all.push(item);
        }
        assert!(shared.is_closed() && shared.len() == 0);
        closer.join().unwrap();
        all.extend(sender.join().unwrap());
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn a_receive_that_goes_to_another_task_is_woken_there() {
    check(|| {
        let shared = channel(1);
        let mut take = pin!(shared.take());
        let sender = with(&shared, |shared| shared.try_put(1).unwrap());
        let (before, now) = (Bell::new(), Bell::new());
        let mut received = poll(take.as_mut(), &before);
        while received.is_pending() {
            received = poll(take.as_mut(), &now);
            if received.is_pending() {
                now.0.wait();
            }
        }
        assert_eq!(received, Poll::Ready(Some(1)));
        sender.join().unwrap();
    });
}

#[test]
fn those_who_do_not_wait_take_nothing_from_those_who_do() {
    check(|| {
        let shared = channel(1);
        let mut first = pin!(shared.take());
        let bell = Bell::new();
        assert_eq!(poll(first.as_mut(), &bell), Poll::Pending);
        let quick = with(&shared, Shared::try_take);
        let sender = with(&shared, |shared| shared.try_put(1).unwrap());
        assert_eq!(quick.join().unwrap(), Err(TryRecvError::Empty), "it is spoken for");
        sender.join().unwrap();
        assert_eq!(poll(first, &bell), Poll::Ready(Some(1)));
    });
}
