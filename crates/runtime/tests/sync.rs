//! What tasks agree by: in order, with a bound, across shards and threads, and with futures that are dropped.

mod common;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use annulus_rt::sync::channel::{SendError, TryRecvError, TrySendError};
use annulus_rt::sync::{
    Barrier, Closed, Mutex, Notify, RwLock, Semaphore, TryAcquireError, broadcast, channel, oneshot, watch,
};
use annulus_rt::{Shards, run, spawn, yield_now};

/// One poll, whose waker nobody hears.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn items_of_several_shards_arrive_once_and_in_the_order_of_each_sender() {
    const EACH: usize = 20_000;
    let (sender, receiver) = channel(64);
    let ends = std::sync::Mutex::new(Some((sender, receiver)));
    let ends = &ends;
    let barrier = Barrier::new(4);
    let received = Shards::new(4).pinned(false).run(|shard| {
        let barrier = &barrier;
        async move {
            let (sender, receiver) = ends.lock().unwrap().clone().unwrap();
            if barrier.wait().await {
                ends.lock().unwrap().take();
            }
            if shard < 2 {
                drop(receiver);
                for number in 0..EACH {
                    sender.send((shard, number)).await.unwrap();
                }
                return Vec::new();
            }
            drop(sender);
            let mut items = Vec::new();
            while let Some(item) = receiver.recv().await {
                items.push(item);
            }
            items
        }
    });
    let received = received.unwrap();
    let mut all = Vec::new();
    for items in received {
        for sender in 0..2 {
            let numbers: Vec<_> = items.iter().filter(|item| item.0 == sender).collect();
            assert!(numbers.is_sorted(), "each receiver sees each sender's order");
        }
        all.extend(items);
    }
    all.sort_unstable();
    let expected: Vec<_> = (0..2).flat_map(|shard| (0..EACH).map(move |number| (shard, number))).collect();
    assert!(all == expected, "{} items", all.len());
}

#[test]
fn a_receive_that_is_dropped_loses_neither_item_nor_turn() {
    let (sender, receiver) = channel(4);
    let mut first = Box::pin(receiver.recv());
    let mut second = pin!(receiver.recv());
    assert_eq!(poll(first.as_mut()), Poll::Pending);
    assert_eq!(poll(second.as_mut()), Poll::Pending);
    // The item is the first one's by now, and with it gone the second one's.
    sender.try_send(1).unwrap();
    assert_eq!(poll(second.as_mut()), Poll::Pending);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "it is spoken for");
    drop(first);
    assert_eq!(poll(second), Poll::Ready(Some(1)));
    // With nobody behind it, it stays.
    let mut third = Box::pin(receiver.recv());
    assert_eq!(poll(third.as_mut()), Poll::Pending);
    sender.try_send(2).unwrap();
    drop(third);
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn a_send_that_is_dropped_gives_its_place_to_the_next_and_nobody_overtakes() {
    let (sender, receiver) = channel(1);
    sender.try_send(0).unwrap();
    let mut first = Box::pin(sender.send(1));
    let mut second = pin!(sender.send(2));
    assert_eq!(poll(first.as_mut()), Poll::Pending);
    assert_eq!(poll(second.as_mut()), Poll::Pending);
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)), "the place is the first one's");
    drop(first);
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)), "and then the second one's");
    assert_eq!(poll(second), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!((sender.len(), sender.capacity(), receiver.is_empty()), (0, 1, true));
}

#[test]
fn a_channel_that_is_closed_gives_out_what_it_has_and_takes_nothing() {
    let (sender, receiver) = channel(2);
    sender.try_send("one").unwrap();
    sender.try_send("two").unwrap();
    let mut waiting = pin!(sender.send("three"));
    assert_eq!(poll(waiting.as_mut()), Poll::Pending);
    receiver.close();
    assert_eq!(poll(waiting), Poll::Ready(Err(SendError("three"))));
    assert_eq!(sender.try_send("four").unwrap_err().into_inner(), "four");
    assert!(sender.is_closed());
    assert_eq!(poll(pin!(receiver.recv())), Poll::Ready(Some("one")));
    assert_eq!(receiver.try_recv(), Ok("two"));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(poll(pin!(receiver.recv())), Poll::Ready(None));
}

#[test]
fn the_last_end_that_goes_closes_a_channel_and_what_waits_is_dropped() {
    let item = Arc::new(());
    let (sender, receiver) = channel(3);
    sender.try_send(item.clone()).unwrap();
    let clone = receiver.clone();
    drop(receiver);
    sender.try_send(item.clone()).unwrap();
    assert_eq!(Arc::strong_count(&item), 3);
    drop(clone);
    assert_eq!(Arc::strong_count(&item), 1);
    assert!(sender.try_send(item).is_err());

    let (sender, receiver) = channel(1);
    let clone = sender.clone();
    let mut waiting = pin!(receiver.recv());
    drop(sender);
    assert_eq!(poll(waiting.as_mut()), Poll::Pending);
    clone.try_send(7).unwrap();
    drop(clone);
    assert_eq!(poll(waiting), Poll::Ready(Some(7)));
    assert_eq!(poll(pin!(receiver.recv())), Poll::Ready(None));
}

#[test]
fn threads_without_a_runtime_hold_the_other_end() {
    let (sender, receiver) = channel(2);
    let (answer, answered) = oneshot::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut sum = 0;
            while let Some(number) = receiver.blocking_recv() {
                sum += number;
            }
            answer.send(sum).unwrap();
        });
        let second = sender.clone();
        scope.spawn(move || (0..1_000).for_each(|number| second.blocking_send(number).unwrap()));
        let sum = run(async move {
            for number in 0..1_000 {
                sender.send(number).await.unwrap();
            }
            drop(sender);
            answered.await.unwrap()
        });
        assert_eq!(sum.unwrap(), 2 * 499_500);
    });
}

#[test]
#[should_panic = "Receiver::blocking_recv blocks this thread, which runs a runtime: await instead"]
fn a_runtime_is_not_blocked_by_mistake() {
    let (_sender, receiver) = channel::<()>(1);
    let _ = run(async move { receiver.blocking_recv() });
}

#[test]
fn one_value_goes_to_another_shard_or_the_sender_hears_that_nobody_wants_it() {
    let (sender, receiver) = oneshot::channel();
    let ends = std::sync::Mutex::new((Some(sender), Some(receiver)));
    let got = Shards::new(2).pinned(false).run(|shard| {
        let ends = &ends;
        async move {
            if shard == 0 {
                let sender = ends.lock().unwrap().0.take().unwrap();
                return sender.send("from the other shard").map(|()| "sent").unwrap();
            }
            let receiver = ends.lock().unwrap().1.take().unwrap();
            receiver.await.unwrap()
        }
    });
    assert_eq!(got.unwrap(), ["sent", "from the other shard"]);

    let (mut sender, receiver) = oneshot::channel::<u8>();
    let mut closed = Box::pin(sender.closed());
    assert_eq!(poll(closed.as_mut()), Poll::Pending);
    drop(receiver);
    assert_eq!(poll(closed.as_mut()), Poll::Ready(()));
    drop(closed);
    assert_eq!((sender.is_closed(), sender.send(7)), (true, Err(7)));

    let (sender, mut receiver) = oneshot::channel::<u8>();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    let (sender, receiver) = oneshot::channel::<u8>();
    drop(sender);
    assert_eq!(receiver.blocking_recv(), Err(Closed));
}

#[test]
fn a_lock_goes_round_in_order_and_past_those_who_gave_up() {
    let mutex = Mutex::new(Vec::new());
    let mut held = mutex.try_lock().unwrap();
    held.push(0);
    let mut first = Box::pin(mutex.lock());
    let mut second = pin!(mutex.lock());
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    drop(held);
    assert!(mutex.try_lock().is_none(), "it is the first one's, who has not been polled");
    assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked> }");
    drop(first);
    let Poll::Ready(mut value) = poll(second) else { panic!("it was passed on") };
    value.push(2);
    drop(value);
    assert_eq!(*mutex.try_lock().unwrap(), [0, 2]);
}

#[test]
fn shards_exclude_each_other_by_a_lock() {
    let (mutex, inside) = (Mutex::new(0_u32), AtomicUsize::new(0));
    let counted = Shards::new(3).pinned(false).run(|_| {
        let (mutex, inside) = (&mutex, &inside);
        async move {
            for _ in 0..2_000 {
                let mut value = mutex.lock().await;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                let seen = *value;
                yield_now().await;
                *value = seen + 1;
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        }
    });
    counted.unwrap();
    assert_eq!(mutex.into_inner(), 6_000);
}

#[test]
fn a_writer_that_waits_goes_before_readers_that_come_later() {
    let lock = RwLock::new(1);
    let reading = lock.try_read().unwrap();
    let mut writer = Box::pin(lock.write());
    assert!(poll(writer.as_mut()).is_pending());
    assert!(lock.try_read().is_none(), "it would overtake the writer");
    let mut late = pin!(lock.read());
    assert!(poll(late.as_mut()).is_pending());
    drop(writer);
    assert_eq!(poll(late.as_mut()).map(|value| *value), Poll::Ready(1));
    drop(reading);
    let mut writing = lock.try_write().unwrap();
    *writing = 2;
    let reading = writing.downgrade();
    assert_eq!((*reading, *lock.try_read().unwrap()), (2, 2));
}

#[test]
fn permits_go_round_in_order_to_those_who_want_many_too() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.try_acquire_owned().unwrap();
    let mut all = Box::pin(semaphore.acquire_many(3));
    assert!(poll(all.as_mut()).is_pending());
    // Two are free, but promised.
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    let mut one = pin!(semaphore.acquire());
    assert!(poll(one.as_mut()).is_pending());
    drop(all);
    let Poll::Ready(Ok(one)) = poll(one) else { panic!("what was promised goes to the next") };
    assert_eq!((one.num_permits(), semaphore.available_permits()), (1, 1));
    one.forget();
    drop(held);
    assert_eq!(semaphore.available_permits(), 2, "one is forgotten");
    semaphore.add_permits(1);
    assert_eq!(semaphore.forget_permits(7), 3);
    let mut waiting = pin!(semaphore.acquire_owned());
    assert!(poll(waiting.as_mut()).is_pending());
    semaphore.close();
    assert!(matches!(poll(waiting), Poll::Ready(Err(Closed))));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
}

#[test]
fn an_owned_permit_is_given_back_by_another_shard() {
    let semaphore = Semaphore::new(1);
    let (sender, receiver) = channel(1);
    let ends = std::sync::Mutex::new((Some(sender), Some(receiver)));
    Shards::new(2)
        .pinned(false)
        .run(|shard| {
            let (semaphore, ends) = (semaphore.clone(), &ends);
            async move {
                if shard == 0 {
                    let sender = ends.lock().unwrap().0.take().unwrap();
                    for _ in 0..500 {
                        let permit = semaphore.acquire_owned().await.unwrap();
                        sender.send(permit).await.unwrap();
                    }
                    return;
                }
                let receiver = ends.lock().unwrap().1.take().unwrap();
                let mut given_back = 0;
                while let Some(permit) = receiver.recv().await {
                    drop(permit);
                    given_back += 1;
                }
                assert_eq!(given_back, 500);
            }
        })
        .unwrap();
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_notification_that_nobody_took_goes_to_the_next_or_is_kept_once() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    assert!(poll(pin!(notify.notified())).is_ready());
    let mut first = Box::pin(notify.notified());
    let mut second = pin!(notify.notified());
    assert!(poll(first.as_mut()).is_pending(), "only one was kept");
    assert!(poll(second.as_mut()).is_pending());
    notify.notify_one();
    drop(first);
    assert!(poll(second.as_mut()).is_ready());
    let mut made_before = pin!(notify.notified());
    notify.notify_waiters();
    assert!(poll(made_before.as_mut()).is_ready());
    assert!(poll(pin!(notify.notified())).is_pending());
}

#[test]
fn shards_meet_at_a_barrier_again_and_again() {
    let (barrier, came) = (Barrier::new(3), AtomicUsize::new(0));
    let led = Shards::new(3).pinned(false).run(|_| {
        let (barrier, came) = (&barrier, &came);
        async move {
            let mut led = 0;
            for round in 0..200 {
                came.fetch_add(1, Ordering::SeqCst);
                led += usize::from(barrier.wait().await);
                assert!(came.load(Ordering::SeqCst) >= 3 * (round + 1));
                barrier.wait().await;
            }
            led
        }
    });
    assert_eq!(led.unwrap().iter().sum::<usize>(), 200);
}

#[test]
fn the_newest_value_reaches_every_shard() {
    let (sender, receiver) = watch::channel(0);
    let ends = std::sync::Mutex::new(Some(sender));
    let seen = Shards::new(3).pinned(false).run(|shard| {
        let (ends, mut receiver) = (&ends, receiver.clone());
        async move {
            if shard == 0 {
                let sender = ends.lock().unwrap().take().unwrap();
                for number in 1..=1_000 {
                    assert_eq!(sender.send_replace(number), number - 1);
                    yield_now().await;
                }
                return 1_000;
            }
            let mut last = 0;
            while receiver.changed().await.is_ok() {
                let new = *receiver.borrow_and_update();
                assert!(new > last);
                last = new;
            }
            last
        }
    });
    assert_eq!(seen.unwrap(), [1_000; 3]);
    assert_eq!(receiver.has_changed(), Err(Closed));

    let (sender, mut receiver) = watch::channel(1);
    let mut changed = Box::pin(receiver.changed());
    assert!(poll(changed.as_mut()).is_pending());
    sender.send_modify(|value| *value = 2);
    drop(changed);
    assert_eq!(receiver.has_changed(), Ok(true), "a dropped future has seen nothing");
    assert_eq!(
        poll(pin!(receiver.wait_for(|value| *value == 2))).map(|value| *value.unwrap()),
        Poll::Ready(2)
    );
    assert!(!sender.send_if_modified(|_| false));
    assert_eq!(receiver.has_changed(), Ok(false));
    assert_eq!((sender.receiver_count(), *sender.borrow(), *sender.subscribe().borrow()), (1, 2, 2));
}

#[test]
fn every_receiver_gets_each_value_and_a_dropped_receive_takes_none() {
    let (sender, mut first) = broadcast::channel(4);
    let mut second = first.resubscribe();
    let mut waiting = Box::pin(first.recv());
    assert!(poll(waiting.as_mut()).is_pending());
    assert_eq!(sender.send('a').unwrap(), 2);
    drop(waiting);
    assert_eq!((first.try_recv(), second.try_recv()), (Ok(Some('a')), Ok(Some('a'))));
    assert_eq!((first.try_recv(), sender.receiver_count()), (Ok(None), 2));
    drop(sender);
    assert_eq!(first.try_recv(), Err(broadcast::RecvError::Closed));
    assert_eq!(poll(pin!(second.recv())), Poll::Ready(Err(broadcast::RecvError::Closed)));
}

/// Runs `step`, which never has to wait, in a loop, until another task has run; fails if none does.
async fn lets_others_run<F: Future>(what: &str, step: impl Fn() -> F) {
    let other = spawn(async {});
    for _ in 0..100_000 {
        step().await;
        if other.is_finished() {
            return;
        }
    }
    panic!("a loop on {what} starves the others");
}

#[test]
fn a_loop_on_what_is_always_ready_lets_the_others_run() {
    run(async {
        // In a task: the root future has a budget too, but this is what is said of tasks.
        let all = spawn(async {
            let (mutex, lock, semaphore) = (Mutex::new(()), RwLock::new(()), Semaphore::new(1));
            lets_others_run("Mutex::lock", || async { drop(mutex.lock().await) }).await;
            lets_others_run("RwLock::read", || async { drop(lock.read().await) }).await;
            lets_others_run("RwLock::write", || async { drop(lock.write().await) }).await;
            lets_others_run("Semaphore::acquire", || async { drop(semaphore.acquire().await) }).await;
            lets_others_run("acquire_owned", || async { drop(semaphore.acquire_owned().await) }).await;
            let (sender, receiver) = channel(1);
            lets_others_run("a channel", || async {
                sender.send(()).await.unwrap();
                receiver.recv().await.unwrap();
            })
            .await;
            let (notify, barrier) = (Notify::new(), Barrier::new(1));
            lets_others_run("Notify", || {
                notify.notify_one();
                notify.notified()
            })
            .await;
            lets_others_run("Barrier", || barrier.wait()).await;
            let (changing, watching) = watch::channel(0);
            let watching = std::cell::RefCell::new(watching);
            lets_others_run("watch", || {
                changing.send_modify(|value| *value += 1);
                let mut watching = watching.borrow().clone();
                async move { watching.changed().await.unwrap() }
            })
            .await;
            let (telling, _hearing) = broadcast::channel(1);
            lets_others_run("broadcast", || {
                let mut hearing = telling.subscribe();
                telling.send(()).unwrap();
                async move { hearing.recv().await.unwrap() }
            })
            .await;
        });
        all.await.unwrap();
    })
    .unwrap();
}

#[test]
fn ten_thousand_dropped_receives_and_sends_lose_no_item() {
    run(async {
        let (sender, receiver) = channel(2);
        let producer = spawn(async move {
            for number in 0..10_000_u32 {
                // A send that is given up after one poll was not made.
                let sent = {
                    let mut sending = pin!(sender.send(number));
                    poll(sending.as_mut())
                };
                match sent {
                    Poll::Ready(sent) => sent.unwrap(),
                    Poll::Pending => sender.send(number).await.unwrap(),
                }
            }
        });
        let mut next = 0;
        loop {
            let first = {
                let mut receiving = pin!(receiver.recv());
                poll(receiving.as_mut())
            };
            let item = match first {
                Poll::Ready(item) => item,
                Poll::Pending => receiver.recv().await,
            };
            let Some(item) = item else { break };
            assert_eq!(item, next);
            next += 1;
        }
        assert_eq!(next, 10_000);
        producer.await.unwrap();
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
