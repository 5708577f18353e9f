//! The end of a program: asked for, waited for, and forced, over several shards, with tasks that never rest and
//! tasks that do not listen.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulus_rt::net::{TcpListener, TcpStream};
use annulus_rt::signal::{SignalKind, Signals};
use annulus_rt::sync::{Finished, Guard, Shutdown};
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Shards, run, spawn, yield_now};
use common::{alone, descriptors, until_descriptors};
use rustix::process::{Signal, getpid, kill_process};

/// More than anything here takes, on any machine.
const LONG: Duration = Duration::from_secs(30);
/// Less than something takes that never ends.
const SHORT: Duration = Duration::from_millis(5);

#[test]
fn a_child_ends_with_its_parent_and_alone() {
    run(async {
        let parent = Shutdown::new();
        let (one, other) = (parent.child(), parent.child());
        let grandchild = one.child();
        one.request();
        grandchild.requested().await;
        assert_eq!((parent.is_requested(), other.is_requested()), (false, false));
        one.request();
        parent.cancel();
        other.cancelled().await;
        grandchild.cancelled().await;
        assert!(one.is_cancelled() && parent.is_requested());
        assert!(parent.child().is_cancelled(), "one that is born late is as its parent");
        // A child may outlive its handle on the parent.
        let orphan = Shutdown::new().child();
        orphan.request();
        assert!(orphan.is_requested() && !orphan.is_cancelled());
    })
    .unwrap();
}

#[test]
fn a_parent_waits_for_the_guards_of_its_children() {
    run(async {
        let parent = Shutdown::new();
        let child = parent.child();
        let (mine, own) = (child.guard(), parent.guard());
        assert_eq!((parent.guards(), child.guards()), (2, 1));
        drop(own);
        assert!(parent.drain(SHORT).await.is_err());
        let waiting = parent.clone();
        let drained = spawn(async move { waiting.drained().await });
        child.drain(SHORT).await.unwrap_err();
        drop(mine);
        child.drained().await;
        drained.await.unwrap();
    })
    .unwrap();
}

#[test]
fn what_was_entrusted_is_dropped_when_it_does_not_end_by_itself() {
    alone("what_was_entrusted_is_dropped_when_it_does_not_end_by_itself", || {
        let before = descriptors();
        run(async {
            let shutdown = Shutdown::new();
            let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            // An accept and a receive that would wait for ever: both do not listen to the shutdown.
            let (near, far) = common::pair().await;
            let accepting = shutdown.spawn(async move { listener.accept().await.map(drop) });
            let receiving = shutdown.spawn(async move { far.recv(vec![0; 64]).await.0 });
            let polite = {
                let guard = shutdown.guard();
                spawn(async move { guard.requested().await })
            };
            let finished = shutdown.finish(SHORT, LONG).await;
            assert_eq!(finished, Finished::Cancelled(2));
            assert_eq!(
                (accepting.await.unwrap().map(drop), receiving.await.unwrap().map(drop)),
                (None, None)
            );
            polite.await.unwrap();
            // The receive is gone, and its stream closed.
            let (end, _) = near.recv(vec![0; 1]).await;
            assert_eq!(end.unwrap(), 0);
            assert_eq!(shutdown.finish(LONG, LONG).await, Finished::Drained, "a second time costs nothing");
        })
        .unwrap();
        until_descriptors(before);
    });
}

#[test]
fn an_output_that_is_there_is_not_lost_to_a_cancellation() {
    run(async {
        let shutdown = Shutdown::new();
        shutdown.cancel();
        assert_eq!(shutdown.run_until_cancelled(async { 7 }).await, Some(7));
        assert_eq!(shutdown.run_until_cancelled(yield_now()).await, None);
        assert_eq!(shutdown.guards(), 0);
    })
    .unwrap();
}

#[test]
fn a_guard_whose_holder_does_not_listen_is_reported_and_its_task_dropped_at_the_end() {
    let dropped = Rc::new(Cell::new(false));
    struct Tells(Rc<Cell<bool>>, #[expect(dead_code, reason = "held")] Guard);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let seen = dropped.clone();
    run(async {
        let shutdown = Shutdown::new();
        let tells = Tells(dropped, shutdown.guard());
        spawn(async move {
            let _tells = tells;
            std::future::pending::<()>().await;
        });
        assert_eq!(shutdown.finish(SHORT, SHORT).await, Finished::Remaining(1));
    })
    .unwrap();
    assert!(seen.get());
}

#[test]
fn busy_shards_end_on_one_word_and_tasks_that_ignore_it_are_cancelled() {
    let shutdown = Shutdown::new();
    let began = AtomicUsize::new(0);
    let ended = Shards::new(3).pinned(false).run(|shard| {
        let (shutdown, began) = (shutdown.clone(), &began);
        async move {
            let mut busy = Vec::new();
            for _ in 0..4 {
                // Always ready, and deaf.
                busy.push(shutdown.spawn(async {
                    loop {
                        yield_now().await;
                    }
                }));
            }
            began.fetch_add(1, Ordering::SeqCst);
            if shard == 2 {
                while began.load(Ordering::SeqCst) < 3 {
                    yield_now().await;
                }
                shutdown.request();
            }
            shutdown.requested().await;
            let finished = shutdown.finish(SHORT, LONG).await;
            for task in busy {
                assert!(task.await.unwrap().is_none_or(|never: std::convert::Infallible| match never {}));
            }
            finished
        }
    });
    for finished in ended.unwrap() {
        // Whoever cancelled first may have left nothing to the others.
        assert!(matches!(finished, Finished::Cancelled(_) | Finished::Drained), "{finished:?}");
    }
    assert_eq!(shutdown.guards(), 0);
}

#[test]
fn ctrl_c_ends_busy_shards_that_serve_in_order() {
    alone("ctrl_c_ends_busy_shards_that_serve_in_order", || {
        static SERVING: AtomicUsize = AtomicUsize::new(0);
        let before = descriptors();
        let shutdown = Shutdown::new();
        let ended = Shards::new(3).run(|shard| {
            let shutdown = shutdown.clone();
            async move {
                let mut signals = Signals::new(&[SignalKind::interrupt()]).unwrap();
                let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                let address = listener.local_addr().unwrap();
                // A server that never rests: each connection is answered for ever, and one task spins beside.
                let tasks = shutdown.clone();
                let accepting = shutdown.spawn(async move {
                    let mut incoming = listener.incoming();
                    while let Ok(stream) = incoming.next().await {
                        drop(tasks.spawn(echo_until_requested(stream, tasks.guard())));
                    }
                });
                drop(shutdown.spawn(async {
                    loop {
                        yield_now().await;
                    }
                }));
                let client = spawn(async move {
                    let stream = TcpStream::connect(address).await.unwrap();
                    let mut rounds = 0_u32;
                    while stream.send_all("ping").await.0.is_ok() {
                        if stream.recv_exact(vec![0; 4]).await.0.is_err() {
                            break;
                        }
                        rounds += 1;
                        if rounds == 10 {
                            SERVING.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    rounds
                });
                if shard == 0 {
                    while SERVING.load(Ordering::SeqCst) < 3 {
                        yield_now().await;
                    }
                    kill_process(getpid(), Signal::INT).unwrap();
                }
                assert_eq!(timeout(LONG, signals.next()).await.unwrap().unwrap(), SignalKind::interrupt());
                let finished = shutdown.finish(Duration::from_millis(50), LONG).await;
                assert_ne!(finished, Finished::Remaining(shutdown.guards()), "shard {shard}");
                assert!(accepting.await.unwrap().is_none(), "an accept that waits was cancelled");
                timeout(LONG, client).await.unwrap().unwrap()
            }
        });
        let rounds = ended.unwrap();
        assert!(rounds.iter().all(|rounds| *rounds >= 10), "{rounds:?}");
        until_descriptors(before);
    });
}

/// Answers until the end is asked for; then finishes the answer that it has.
async fn echo_until_requested(stream: TcpStream, guard: Guard) {
    while !guard.is_requested() {
        let (received, mut buf) = stream.recv(vec![0; 64]).await;
        let Ok(received @ 1..) = received else { return };
        buf.truncate(received);
        if stream.send_all(buf).await.0.is_err() {
            return;
        }
    }
}

#[test]
fn a_shutdown_can_be_requested_from_a_thread_without_a_runtime() {
    let shutdown = Shutdown::new();
    std::thread::scope(|scope| {
        let (began, begins) = std::sync::mpsc::channel();
        let requesting = shutdown.clone();
        scope.spawn(move || {
            begins.recv().unwrap();
            requesting.request();
        });
        run(async {
            let guard = shutdown.guard();
            spawn(async move {
                guard.requested().await;
                sleep(SHORT).await;
            });
            began.send(()).unwrap();
            timeout(LONG, shutdown.requested()).await.unwrap();
            assert_eq!(shutdown.finish(LONG, LONG).await, Finished::Drained);
        })
        .unwrap();
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
