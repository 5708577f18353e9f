//! What it costs to wake a shard that sleeps: by a message from ring to ring, by eventfd, and from a thread without a ring.
//!
//! ```text
//! cargo bench -p annulus-rt --bench shards
//! ```
//!
//! Each measured time is that of a round: something goes over there, and an answer comes back, with both ends asleep
//! meanwhile. Both ways are measured in the same process, one after the other; the shards are pinned to CPUs of their own as
//! far as there are enough.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use annulus_rt::sync::channel::{Receiver, Sender};
use annulus_rt::sync::{Barrier, channel};
use annulus_rt::time::now;
use annulus_rt::{BackendChoice, Builder, Shards, shard};
use criterion::{Criterion, criterion_group, criterion_main};

/// The ways to call a shard.
const WAYS: [(&str, bool); 2] = [("msg_ring", true), ("eventfd", false)];

const BACK_ENDS: [BackendChoice; 2] = [BackendChoice::Kernel, BackendChoice::Engine];

/// The two ends of a channel, taken by the shards that want them.
type Ends<T> = Mutex<Option<(Sender<T>, Receiver<T>)>>;

fn ends() -> Ends<u64> {
    Mutex::new(Some(channel(1)))
}

fn shards(count: usize, backend: BackendChoice, messages: bool) -> Shards {
    Shards::new(count).builder(Builder::new().backend(backend).ring_messages(messages))
}

/// An item to the other shard and back, so many times.
fn ping_pong(shards: Shards, rounds: u64) -> Duration {
    let (there, back) = (ends(), ends());
    let (there, back) = (&there, &back);
    let taken = shards.run(|index| async move {
        let take = |ends: &Ends<u64>| ends.lock().expect("no panic").clone().expect("both take it");
        let ((to_other, from_here), (to_here, from_other)) = (take(there), take(back));
        let start = now();
        for round in 0..rounds {
            if index == 0 {
                to_other.send(round).await.expect("it receives");
                assert_eq!(from_other.recv().await, Some(round));
            } else {
                let item = from_here.recv().await.expect("it sends");
                to_here.send(item).await.expect("it receives");
            }
        }
        start.elapsed()
    });
    taken.expect("two shards")[0]
}

/// Work for every other shard at once, and all answers, so many times.
fn fan_out(shards: Shards, rounds: u64) -> Duration {
    let over = Barrier::new(shards.count());
    let over = &over;
    let taken = shards.run(|index| async move {
        let start = now();
        if index == 0 {
            for _ in 0..rounds {
                let asked: Vec<_> =
                    (1..shard::count()).map(|other| shard::spawn_on(other, || async {})).collect();
                for answer in asked {
                    answer.await.expect("it runs");
                }
            }
        }
        let elapsed = start.elapsed();
        over.wait().await;
        elapsed
    });
    taken.expect("four shards")[0]
}

/// An item from a thread without a ring to a task and back, so many times.
fn from_a_thread(backend: BackendChoice, rounds: u64) -> Duration {
    let (to_task, in_task) = channel(1);
    let (to_thread, in_thread) = channel(1);
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let start = now();
            for round in 0..rounds {
                to_task.blocking_send(round).expect("it receives");
                assert_eq!(in_thread.blocking_recv(), Some(round));
            }
            start.elapsed()
        });
        let served = Builder::new().backend(backend).run(async move {
            while let Some(item) = in_task.recv().await {
                // The thread may have gone after its last round.
                let _ = to_thread.send(item).await;
            }
        });
        served.expect("a runtime");
        thread.join().expect("no panic")
    })
}

fn wake_ups(criterion: &mut Criterion) {
    for backend in BACK_ENDS {
        let mut group = criterion.benchmark_group(format!("shards/{}", backend.name()));
        group.sample_size(20).measurement_time(Duration::from_secs(4));
        for (way, messages) in WAYS {
            group.bench_function(format!("ping-pong/{way}"), |bencher| {
                bencher.iter_custom(|rounds| ping_pong(shards(2, backend, messages), rounds));
            });
            group.bench_function(format!("ask three others/{way}"), |bencher| {
                bencher.iter_custom(|rounds| fan_out(shards(4, backend, messages), rounds));
            });
        }
        group.bench_function("from a thread", |bencher| {
            bencher.iter_custom(|rounds| from_a_thread(backend, rounds));
        });
        group.finish();
    }
}

criterion_group!(benches, wake_ups);
criterion_main!(benches);
