//! A kernel that lacks or denies opcodes: the program sees no difference.
//!
//! What is denied is so by restrictions of the ring itself; what is missing is left out of its probe too.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;
#[path = "common/limits.rs"]
mod limits;

use std::cell::Cell;
use std::future::poll_fn;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulus::opcode::{
    Accept, Close, Connect, Fsync, OpenAt2, PollAdd, Read, Recv, Send, SendMsg, Shutdown as ShutdownOp,
    Statx, Write as WriteOp,
};
use annulus_rt::cancel::{CancelOutcome, Canceller};
use annulus_rt::fs::{self, File, OpenOptions};
use annulus_rt::net::{TcpListener, TcpStream};
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Builder, counters, spawn, yield_now};
use common::{alone, descriptors, folder, in_flight, pair, turns, under};
use limits::{How, without};

/// Everything that the program below does.
const ALL: [u8; 13] = [
    OpenAt2::CODE,
    Statx::CODE,
    Read::CODE,
    WriteOp::CODE,
    Fsync::CODE,
    Close::CODE,
    Accept::CODE,
    Connect::CODE,
    Recv::CODE,
    Send::CODE,
    SendMsg::CODE,
    ShutdownOp::CODE,
    PollAdd::CODE,
];

/// A program that uses files and connections in most ways. How many operations went aside.
async fn program() -> u64 {
    files().await;
    connections().await;
    counters().aside
}

async fn files() {
    let folder = folder();
    let path = folder.path().join("file");
    let file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
    let (read, buf) = file.read_at(vec![0; 16], 2).await;
    assert_eq!((read.unwrap(), buf), (8, b"23456789".to_vec()));
    assert_eq!(file.write_at(b"ab".to_vec(), 0).await.0.unwrap(), 2);
    file.sync_all().await.unwrap();
    assert_eq!(fs::metadata(&path).await.unwrap().len(), 10);
    file.close().await.unwrap();
    let missing = fs::open(folder.path().join("missing")).await.unwrap_err();
    assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
    assert_eq!(std::fs::read(&path).unwrap(), b"ab23456789");
}

async fn connections() {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        let mut incoming = listener.incoming();
        for _ in 0..3 {
            let stream = incoming.next().await.unwrap();
            let mut receiver = stream.receiver();
            while let Some(bytes) = receiver.next().await.unwrap() {
                stream.send_all(bytes).await.0.unwrap();
            }
        }
        drop(incoming);
        listener.accept().await.unwrap().close().await.unwrap();
    });
    for _ in 0..3 {
        let client = TcpStream::connect(address).await.unwrap();
        client.send_all_vectored(vec![b"ri".to_vec(), b"ng".to_vec()]).await.0.unwrap();
        client.send_all(b"ring".to_vec()).await.0.unwrap();
        client.readable().await.unwrap();
        let (received, buf) = client.recv_exact(vec![0; 8]).await;
        received.unwrap();
        assert_eq!(buf, b"ringring");
        let nothing = timeout(Duration::from_millis(2), client.recv(vec![0; 1])).await;
        assert!(nothing.is_err());
        client.shutdown(Shutdown::Write).await.unwrap();
        assert_eq!(client.recv(vec![0; 1]).await.0.unwrap(), 0);
        client.close().await.unwrap();
    }
    drop(TcpStream::connect(address).await.unwrap());
    server.await.unwrap();
}

#[test]
fn a_ring_that_can_do_everything_leaves_nothing_aside() {
    assert_eq!(without(&[], How::Missing).run(program()).unwrap(), 0);
    assert_eq!(without(&[], How::Denied).run(program()).unwrap(), 0);
    assert_eq!(Builder::new().run(program()).unwrap(), 0);
}

#[test]
fn an_opcode_that_is_missing_is_done_aside() {
    for opcode in ALL {
        let aside = without(&[opcode], How::Missing).run(program()).unwrap();
        assert!(aside > 0, "opcode {opcode}: {aside}");
    }
}

#[test]
fn an_opcode_that_is_denied_is_done_aside() {
    for opcode in ALL {
        let aside = without(&[opcode], How::Denied).run(program()).unwrap();
        // A close that nobody waits for is made up for by close(2), and a poll has its ways.
        assert!(aside > 0, "opcode {opcode}: {aside}");
    }
}

#[test]
fn a_ring_that_can_do_next_to_nothing_serves_all_the_same() {
    for how in [How::Missing, How::Denied] {
        let aside = without(&ALL, how).run(program()).unwrap();
        assert!(aside > 50, "{how:?}: {aside}");
    }
}

#[test]
fn what_is_denied_once_is_not_tried_again() {
    without(&[OpenAt2::CODE], How::Denied)
        .run(async {
            let folder = folder();
            for round in 1..=20 {
                let completions = counters().completions;
                let file = fs::open(folder.path().join("file")).await.unwrap();
                // The completion of the open, of the poll of the side ring, and once of the refusal.
                let more = counters().completions - completions;
                assert!(more <= 2 + u64::from(round == 1), "{more} in round {round}");
                assert_eq!(counters().aside, round);
                drop(file);
                in_flight(0).await;
            }
        })
        .unwrap();
}

#[test]
fn a_refusal_that_is_the_files_own_stays_one() {
    // Nobody may write this file, root included.
    const UNWRITABLE: &str = "/sys/kernel/notes";
    if !std::path::Path::new(UNWRITABLE).exists() {
        println!("SKIP: no {UNWRITABLE}");
        return;
    }
    without(&[Fsync::CODE], How::Denied)
        .run(async {
            for _ in 0..3 {
                let refused = OpenOptions::new().write(true).open(UNWRITABLE).await.unwrap_err();
                assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
            }
            assert_eq!(counters().aside, 3, "each was tried there too");
            let aside = counters().aside;
            let folder = folder();
            drop(fs::open(folder.path().join("file")).await.unwrap());
            assert_eq!(counters().aside, aside, "opening is not denied as such");
        })
        .unwrap();
}

#[test]
fn dropping_and_cancelling_reach_the_ring_that_has_the_operation() {
    alone("dropping_and_cancelling_reach_the_ring_that_has_the_operation", || {
        let before = descriptors();
        for how in [How::Missing, How::Denied] {
            without(&[Recv::CODE, Read::CODE, Accept::CODE], how)
                .run(async {
                    let (near, far) = pair().await;
                    let far = Rc::new(far);
                    let (canceller, task) = under({
                        let far = far.clone();
                        async move { far.recv(vec![7; 3]).await }
                    });
                    in_flight(1).await;
                    sleep(Duration::from_millis(2)).await;
                    let answers = canceller.cancel().await;
                    assert_eq!(answers[0].outcome(), CancelOutcome::Cancelled);
                    let (result, buf) = task.await.unwrap();
                    assert_eq!(
                        (result.unwrap_err().raw_os_error(), buf),
                        (Some(libc::ECANCELED), vec![7; 3])
                    );

                    for _ in 0..50 {
                        let mut receive = pin!(far.recv(vec![0; 3]));
                        assert!(
                            poll_fn(|cx| Poll::Ready(receive.as_mut().poll(cx).is_pending())).await,
                            "nothing was sent"
                        );
                        turns(2).await;
                    }
                    // Those that were dropped have taken nothing, or kept it for this one.
                    near.send_all(b"ring".to_vec()).await.0.unwrap();
                    let (received, buf) = far.recv_exact(vec![0; 4]).await;
                    received.unwrap();
                    assert_eq!(buf, b"ring");
                    in_flight(0).await;

                    // Left to the end of the run.
                    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                    let (read_end, write_end) = std::io::pipe().unwrap();
                    let pipe = File::from(OwnedFd::from(read_end));
                    spawn(async move { pipe.read(vec![0; 64]).await.0 });
                    spawn(async move { far.recv(vec![0; 64]).await.0 });
                    spawn(async move {
                        let first = listener.accept().await;
                        let second = listener.accept().await;
                        drop((first, second, write_end));
                    });
                    turns(20).await;
                })
                .unwrap();
            assert_eq!(descriptors(), before, "{how:?}");
        }
    });
}

#[test]
fn waiting_for_the_side_ring_costs_no_processor_time_and_misses_nothing() {
    without(&[Recv::CODE, Read::CODE], How::Missing)
        .run(async {
            let (near, far) = pair().await;
            let received = Rc::new(Cell::new(0));
            let task = spawn({
                let received = received.clone();
                async move {
                    loop {
                        match far.recv(vec![0; 16]).await.0.unwrap() {
                            0 => return,
                            n => received.set(received.get() + n),
                        }
                    }
                }
            });
            in_flight(1).await;
            let enters = counters().enters;
            sleep(Duration::from_millis(200)).await;
            assert!(counters().enters - enters <= 5, "{} calls", counters().enters - enters);
            for round in 1..=300 {
                near.send(vec![1]).await.0.unwrap();
                while received.get() < round {
                    sleep(Duration::from_micros(10)).await;
                }
            }
            near.close().await.unwrap();
            task.await.unwrap();
            assert_eq!(counters().stale, 0);
        })
        .unwrap();
}

#[test]
fn many_operations_share_the_side_ring_through_a_small_queue() {
    without(&[Read::CODE], How::Missing)
        .entries(4)
        .run(async {
            let (read_end, mut write_end) = std::io::pipe().unwrap();
            let pipe = Rc::new(File::from(OwnedFd::from(read_end)));
            let canceller = Canceller::new();
            let tasks: Vec<_> = (0..200)
                .map(|_| {
                    let (pipe, canceller) = (pipe.clone(), canceller.clone());
                    spawn(async move { canceller.run(pipe.read(vec![0; 1])).await.0 })
                })
                .collect();
            in_flight(200).await;
            write_end.write_all(&[5; 120]).unwrap();
            in_flight(80).await;
            let answers = canceller.cancel().await;
            assert_eq!(answers.len(), 80);
            assert!(answers.iter().all(|answer| answer.operation() == "READ"));
            let mut outcomes = [0; 2];
            for task in tasks {
                match task.await.unwrap() {
                    Ok(n) => outcomes[0] += n,
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                        outcomes[1] += 1;
                    }
                }
            }
            assert_eq!(outcomes, [120, 80]);
        })
        .unwrap();
}

#[test]
fn a_wake_up_from_another_thread_comes_through_the_side_ring_too() {
    without(&[Read::CODE], How::Denied)
        .run(async {
            for round in 0..50 {
                let there = annulus_rt::spawn_blocking(move || round).await.unwrap();
                assert_eq!(there, round);
                yield_now().await;
            }
        })
        .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
