//! Cancelling without dropping: which outcome the kernel has, what the future gets, and that nothing is lost by it.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;

use std::cell::Cell;
use std::fs::File as StdFile;
use std::future::poll_fn;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulus_rt::buf::IoBuf;
use annulus_rt::cancel::{CancelOutcome, Canceller};
use annulus_rt::fs::File;
use annulus_rt::net::{TcpListener, TcpStream};
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Builder, counters, run, spawn, yield_now};
use common::{alone, in_flight, leaves_none_more, pair, settled_at, settled_descriptors, turns, under};

fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// Cancels the only operation of the canceller.
async fn cancel_one(canceller: &Canceller) -> (&'static str, CancelOutcome) {
    let answers = canceller.cancel().await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    (answers[0].operation(), answers[0].outcome())
}

/// A listener whose backlog is full, so that connecting to it takes its time.
fn busy() -> (std::net::TcpListener, Vec<std::net::TcpStream>, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    // With a backlog of 0 the first is taken, and the second waits.
    let first = std::net::TcpStream::connect(address).unwrap();
    (listener, vec![first], address)
}

#[test]
fn a_connect_that_waits_is_cancelled_and_its_socket_closed() {
    alone("a_connect_that_waits_is_cancelled_and_its_socket_closed", || {
        let (_listener, _first, address) = busy();
        run(async move {
            let mut first = None;
            for _ in 0..2 {
                let (canceller, task) = under(TcpStream::connect(address));
                in_flight(1).await;
                assert_eq!(cancel_one(&canceller).await, ("CONNECT", CancelOutcome::Cancelled));
                assert_eq!(errno(task.await.unwrap()), Some(libc::ECANCELED));
                leaves_none_more(&mut first).await;
            }
        })
        .unwrap();
    });
}

#[test]
fn waiting_for_readiness_is_cancelled_too() {
    run(async {
        let (near, far) = pair().await;
        let (canceller, task) = under(async move { far.readable().await });
        in_flight(1).await;
        assert_eq!(cancel_one(&canceller).await, ("POLL_ADD", CancelOutcome::Cancelled));
        assert_eq!(errno(task.await.unwrap()), Some(libc::ECANCELED));
        drop(near);
    })
    .unwrap();
}

#[test]
fn a_write_that_waits_for_room_is_cancelled_and_gives_its_buffer_back() {
    run(async {
        let (mut read_end, write_end) = std::io::pipe().unwrap();
        let full = rustix::pipe::fcntl_getpipe_size(&write_end).unwrap();
        let pipe = Rc::new(File::from(OwnedFd::from(write_end)));
        let (written, _) = pipe.write(vec![1; full]).await;
        assert_eq!(written.unwrap(), full);
        let (canceller, task) = under({
            let pipe = pipe.clone();
            async move { pipe.write(b"more".to_vec()).await }
        });
        in_flight(1).await;
        assert_eq!(cancel_one(&canceller).await, ("WRITE", CancelOutcome::Cancelled));
        let (result, buf) = task.await.unwrap();
        assert_eq!((errno(result), buf.as_slice()), (Some(libc::ECANCELED), &b"more"[..]));
        drop(pipe);
        in_flight(0).await;
        let mut all = Vec::new();
        read_end.read_to_end(&mut all).unwrap();
        assert!(all.len() == full && all.iter().all(|byte| *byte == 1), "nothing of it was written");
    })
    .unwrap();
}

#[test]
fn what_a_cancelled_send_had_sent_is_its_result() {
    run(async {
        let (near, far) = pair().await;
        let near = Rc::new(near);
        let (canceller, task) = under({
            let near = near.clone();
            async move { near.send(vec![7; 64_000_000]).await }
        });
        // As much as fits is taken at once, and that is it; a send that finds no room waits.
        let (sent, _) = task.await.unwrap();
        let mut total = sent.unwrap();
        let (waiting, task) = loop {
            let (waiting, task) = under({
                let near = near.clone();
                async move { near.send(vec![7; 1_000_000]).await }
            });
            turns(50).await;
            if counters().in_flight == 1 {
                break (waiting, task);
            }
            total += task.await.unwrap().0.unwrap();
        };
        assert_eq!(canceller.cancel().await, []);
        waiting.cancel().await;
        match task.await.unwrap().0 {
            Ok(sent) => total += sent,
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
        }
        drop(near);
        let mut arrived = 0;
        loop {
            match far.recv(vec![0; 1_000_000]).await.0.unwrap() {
                0 => break,
                n => arrived += n,
            }
        }
        assert_eq!(arrived, total);
    })
    .unwrap();
}

#[test]
fn a_receive_within_a_timeout_is_cancelled_before_its_time() {
    run(async {
        let (near, far) = pair().await;
        let (canceller, task) =
            under(async move { timeout(Duration::from_secs(600), far.recv(vec![9; 3])).await });
        in_flight(1).await;
        assert_eq!(cancel_one(&canceller).await, ("RECV", CancelOutcome::Cancelled));
        let (result, buf) = task.await.unwrap().expect("the time was not over");
        assert_eq!((errno(result), buf), (Some(libc::ECANCELED), vec![9; 3]));
        drop(near);
    })
    .unwrap();
}

#[test]
fn a_read_from_a_disk_is_not_stopped_and_gives_its_data() {
    const SIZE: usize = 128 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, vec![0x11; SIZE]).unwrap();
    StdFile::open(&path).unwrap().sync_all().unwrap();
    let direct = match StdFile::options().read(true).custom_flags(libc::O_DIRECT).open(&path) {
        Ok(direct) => direct,
        Err(error) => {
            println!("SKIP: no O_DIRECT in {}: {error}", folder.path().display());
            return;
        }
    };
    run(async move {
        let file = Rc::new(File::from(direct));
        for _ in 0..50 {
            let (canceller, task) = under({
                let file = file.clone();
                // Aligned for the device: a part of a larger buffer.
                let buf = vec![0; SIZE + 4096];
                let start = buf.as_ptr().align_offset(4096);
                async move { (start, file.read_at(buf.slice(start..start + SIZE), 0).await) }
            });
            yield_now().await;
            let answers = canceller.cancel().await;
            // One that waits for a worker still can be stopped (before Linux 6.0); one that the disk has goes on.
            let stopped = answers.iter().any(|answer| answer.outcome() == CancelOutcome::Cancelled);
            let (start, (result, part)) = task.await.unwrap();
            match result {
                Ok(n) => {
                    assert!(!stopped);
                    assert_eq!(n, SIZE);
                    assert!(part.into_inner()[start..start + SIZE].iter().all(|byte| *byte == 0x11));
                }
                // By the signal that the request sends to a worker.
                Err(error) => assert!(matches!(error.raw_os_error(), Some(libc::EINTR | libc::ECANCELED))),
            }
        }
    })
    .unwrap();
}

#[test]
fn an_operation_that_is_over_is_not_asked() {
    run(async {
        let (near, far) = pair().await;
        near.send(vec![1; 5]).await.0.unwrap();
        let (canceller, task) = under(async move { far.recv(vec![0; 5]).await.0 });
        assert_eq!(task.await.unwrap().unwrap(), 5);
        assert_eq!(canceller.cancel().await, []);
        assert!(canceller.is_cancelled());
    })
    .unwrap();
}

#[test]
fn what_starts_under_a_cancelled_canceller_fails_at_once_and_closing_does_not() {
    alone("what_starts_under_a_cancelled_canceller_fails_at_once_and_closing_does_not", || {
        run(async {
            let (near, far) = pair().await;
            let before = settled_descriptors().await;
            let canceller = Canceller::new();
            canceller.cancel();
            let enters = counters().enters;
            let (result, buf) = canceller.run(far.recv(vec![3; 3])).await;
            assert_eq!((errno(result), buf), (Some(libc::ECANCELED), vec![3; 3]));
            assert_eq!(counters().enters, enters, "the kernel has not heard of it");
            canceller.run(far.close()).await.unwrap();
            settled_at(before - 1).await;
            // It was the future that was under the canceller, not the stream.
            near.send(vec![1]).await.0.unwrap();
        })
        .unwrap();
    });
}

#[test]
fn a_future_of_many_operations_comes_to_its_end() {
    run(async {
        let (near, far) = pair().await;
        let rounds = Rc::new(Cell::new(0));
        let (canceller, task) = under({
            let rounds = rounds.clone();
            async move {
                loop {
                    let (result, _) = far.recv_exact(vec![0; 4]).await;
                    match result {
                        Ok(()) => rounds.set(rounds.get() + 1),
                        Err(error) => return (error, far),
                    }
                }
            }
        });
        for _ in 0..500 {
            near.send_all(b"ring".to_vec()).await.0.unwrap();
        }
        while rounds.get() < 500 {
            yield_now().await;
        }
        // Half of what it waits for has come when it is cancelled.
        near.send_all(b"ri".to_vec()).await.0.unwrap();
        turns(5).await;
        in_flight(1).await;
        assert_eq!(cancel_one(&canceller).await, ("RECV", CancelOutcome::Cancelled));
        let (error, far) = task.await.unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
        near.send_all(b"ng".to_vec()).await.0.unwrap();
        let (result, buf) = far.recv_exact(vec![0; 4]).await;
        result.unwrap();
        assert_eq!(buf, b"ring");
    })
    .unwrap();
}

#[test]
fn connections_that_were_accepted_ahead_outlive_a_cancellation() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = listener.incoming();
        let first = TcpStream::connect(address).await.unwrap();
        let accepted = incoming.next().await.unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), first.local_addr().unwrap());
        // The operation was started before, and is under the canceller since it is waited for there.
        let canceller = Canceller::new();
        let mut next = Box::pin(canceller.run(incoming.next()));
        poll_fn(|cx| {
            assert!(next.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let answers = canceller.cancel().await;
        assert_eq!((answers.len(), answers[0].outcome()), (1, CancelOutcome::Cancelled));
        assert_eq!(errno(next.await), Some(libc::ECANCELED));
        let second = TcpStream::connect(address).await.unwrap();
        let accepted = incoming.next().await.unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), second.local_addr().unwrap());
    })
    .unwrap();
}

#[test]
fn an_operation_that_outlives_its_run_is_left_alone() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = listener.incoming();
        let canceller = Canceller::new();
        let _first = TcpStream::connect(address).await.unwrap();
        canceller.run(incoming.next()).await.unwrap();
        in_flight(1).await;
        assert_eq!(canceller.cancel().await, []);
        let _second = TcpStream::connect(address).await.unwrap();
        incoming.next().await.unwrap();
    })
    .unwrap();
}

#[test]
fn an_operation_is_cancelled_by_each_canceller_around_it() {
    run(async {
        for cancels_outer in [false, true] {
            let (near, far) = pair().await;
            let (outer, inner) = (Canceller::new(), Canceller::new());
            let task = spawn({
                let (outer, inner) = (outer.clone(), inner.clone());
                async move {
                    let within = outer.run(inner.run(far.recv(vec![0; 2]))).await;
                    // Only what ran under the inner one is over with it.
                    (errno(within.0), errno(outer.run(far.send(vec![1])).await.0))
                }
            });
            in_flight(1).await;
            let chosen = if cancels_outer { &outer } else { &inner };
            assert_eq!(cancel_one(chosen).await, ("RECV", CancelOutcome::Cancelled));
            let later = cancels_outer.then_some(libc::ECANCELED);
            assert_eq!(task.await.unwrap(), (Some(libc::ECANCELED), later));
            drop(near);
        }
    })
    .unwrap();
}

#[test]
#[allow(clippy::async_yields_async, reason = "the task is meant to outlive the future")]
fn what_a_cancelled_future_spawned_goes_on() {
    run(async {
        let (near, far) = pair().await;
        let canceller = Canceller::new();
        let child = canceller.run(async { spawn(async move { far.recv(vec![0; 2]).await.0 }) }).await;
        in_flight(1).await;
        assert_eq!(canceller.cancel().await, []);
        near.send(vec![1, 2]).await.0.unwrap();
        assert_eq!(child.await.unwrap().unwrap(), 2);
    })
    .unwrap();
}

#[test]
fn a_cancellation_that_nobody_awaits_happens_all_the_same() {
    run(async {
        let (near, far) = pair().await;
        let (canceller, task) = under(async move { far.recv(vec![0; 2]).await.0 });
        in_flight(1).await;
        drop(canceller.cancel());
        assert_eq!(errno(task.await.unwrap()), Some(libc::ECANCELED));
        in_flight(0).await;
        drop(near);
    })
    .unwrap();
}

#[test]
fn everything_in_a_full_table_can_be_cancelled_through_a_small_queue() {
    const OPERATIONS: usize = 200;
    // One more reads the wake-ups of other threads, and one sends.
    let builder = Builder::new().entries(4).operations(OPERATIONS + 1);
    builder
        .run(async {
            let (_read_end, write_end) = std::io::pipe().unwrap();
            let pipe = Rc::new(File::from(OwnedFd::from(_read_end)));
            let canceller = Canceller::new();
            let tasks: Vec<_> = (0..OPERATIONS)
                .map(|_| {
                    let (pipe, canceller) = (pipe.clone(), canceller.clone());
                    spawn(async move { canceller.run(pipe.read(vec![0; 1])).await.0 })
                })
                .collect();
            in_flight(OPERATIONS).await;
            assert_eq!(errno(pipe.read(vec![0; 1]).await.0), Some(libc::EBUSY), "the table is full");
            let answers = canceller.cancel().await;
            assert_eq!(answers.len(), OPERATIONS);
            assert!(answers.iter().all(|answer| answer.outcome() == CancelOutcome::Cancelled), "{answers:?}");
            for task in tasks {
                assert_eq!(errno(task.await.unwrap()), Some(libc::ECANCELED));
            }
            in_flight(0).await;
            assert_eq!(counters().stale, 0);
            drop(write_end);
            assert_eq!(pipe.read(vec![0; 1]).await.0.unwrap(), 0);
        })
        .unwrap();
}

#[test]
fn a_canceller_outlives_its_runtime_and_works_in_the_next() {
    let canceller = Canceller::new();
    for _ in 0..2 {
        run(async {
            let (near, far) = pair().await;
            let task = spawn({
                let canceller = canceller.clone();
                async move { canceller.run(far.recv(vec![0; 1])).await.0 }
            });
            sleep(Duration::from_millis(1)).await;
            let answers = pin!(canceller.cancel()).await;
            assert!(answers.len() <= 1);
            assert_eq!(errno(task.await.unwrap()), Some(libc::ECANCELED));
            drop(near);
        })
        .unwrap();
    }
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
