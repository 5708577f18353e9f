//! Several executors: work on each, an end for all, errors of one.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulus_rt::net::{ListenOptions, TcpStream};
use annulus_rt::sync::Shutdown;
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Builder, Either, Error, Shards, select, spawn};

#[test]
fn every_shard_accepts_on_the_same_port_and_all_stop_on_one_word() {
    let options = ListenOptions::new().reuse_port(true);
    let (_socket, address) = common::silent_port();
    let shutdown = Shutdown::new();
    let bound = AtomicUsize::new(0);
    let served = Shards::new(3).run(|shard| {
        let (shutdown, bound) = (shutdown.clone(), &bound);
        async move {
            let listener = options.bind(address).unwrap();
            bound.fetch_add(1, Ordering::SeqCst);
            if shard == 0 {
                let shutdown = shutdown.clone();
                while bound.load(Ordering::SeqCst) < 3 {
                    sleep(Duration::from_millis(1)).await;
                }
                spawn(async move {
                    for _ in 0..60 {
                        let client = TcpStream::connect(address).await.unwrap();
                        client.send_all("ping").await.0.unwrap();
                        client.recv_exact(vec![0; 4]).await.0.unwrap();
                    }
                    shutdown.request();
                });
            }
            let served = Rc::new(Cell::new(0));
            let mut incoming = listener.incoming();
            loop {
                let stream = match select(shutdown.requested(), incoming.next()).await {
                    Either::Left(()) => break,
                    Either::Right(stream) => stream.unwrap(),
                };
                let (served, guard) = (served.clone(), shutdown.guard());
                spawn(async move {
                    let mut receiver = stream.receiver();
                    while let Some(bytes) = receiver.next().await.unwrap() {
                        stream.send_all(bytes).await.0.unwrap();
                    }
                    served.set(served.get() + 1);
                    drop(guard);
                });
            }
            shutdown.drain(Duration::from_secs(10)).await.unwrap();
            // The last of them counts when its task, woken by now, has run.
            sleep(Duration::from_millis(10)).await;
            served.get()
        }
    });
    let served: Vec<usize> = served.unwrap();
    assert_eq!(served.iter().sum::<usize>(), 60, "{served:?}");
}

#[test]
fn each_shard_runs_on_a_cpu_of_its_own() {
    let here = rustix::thread::sched_getaffinity(None).unwrap();
    let cpus = Shards::per_core()
        .run(|_| async {
            let allowed = rustix::thread::sched_getaffinity(None).unwrap();
            assert_eq!(allowed.count(), 1);
            (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap()
        })
        .unwrap();
    let mut different = cpus.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), cpus.len(), "{cpus:?}");
    assert_eq!(rustix::thread::sched_getaffinity(None).unwrap(), here, "the caller's thread stays as it was");
}

#[test]
fn a_pinned_run_gives_the_thread_back_as_it_was() {
    let before = rustix::thread::sched_getaffinity(None).unwrap();
    let cpu = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu)).unwrap();
    let inside = Builder::new().pin(cpu).run(async { rustix::thread::sched_getaffinity(None).unwrap() });
    let inside = inside.unwrap();
    assert!(inside.count() == 1 && inside.is_set(cpu));
    assert_eq!(rustix::thread::sched_getaffinity(None).unwrap(), before);
    let error = Builder::new().pin(1 << 20).run(async {}).unwrap_err();
    assert_eq!(error.to_string(), "pinning a thread to its CPU: Invalid argument (os error 22)");
}

#[test]
fn if_one_shard_cannot_start_none_runs() {
    let ran = AtomicUsize::new(0);
    // More entries than any kernel gives a ring, without leave to take fewer: `cq_entries` below `entries`.
    let builder = Builder::new().entries(64).cq_entries(1);
    let error = Shards::new(2)
        .builder(builder)
        .run(|_| {
            ran.fetch_add(1, Ordering::SeqCst);
            async {}
        })
        .unwrap_err();
    assert!(matches!(error, Error::Setup(_)), "{error}");
    assert_eq!(error.errno(), Some(rustix::io::Errno::INVAL));
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn the_panic_of_one_shard_is_reported_when_the_others_have_ended() {
    let ended = AtomicUsize::new(0);
    let error = Shards::new(2)
        .pinned(false)
        .run(|shard| {
            let ended = &ended;
            async move {
                assert!(shard != 1, "the second shard");
                sleep(Duration::from_millis(20)).await;
                ended.fetch_add(1, Ordering::SeqCst);
            }
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "shard 1 panicked: the second shard");
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[test]
fn a_shutdown_waits_for_its_guards_and_for_no_longer_than_told() {
    annulus_rt::run(async {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_requested());
        let guard = shutdown.guard();
        let second = guard.clone();
        assert_eq!(shutdown.guards(), 2);
        assert!(timeout(Duration::from_millis(1), guard.requested()).await.is_err());
        shutdown.request();
        shutdown.request();
        guard.requested().await;
        assert!(guard.is_requested());
        drop(guard);
        assert!(shutdown.drain(Duration::from_millis(5)).await.is_err());
        spawn(async move {
            sleep(Duration::from_millis(5)).await;
            drop(second);
        });
        shutdown.drain(Duration::from_secs(10)).await.unwrap();
        shutdown.drained().await;
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
