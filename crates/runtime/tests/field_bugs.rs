//! What users of other runtimes complain about, by name: none of it is true here.

mod common;

use std::fs::File as StdFile;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulus::BackendKind;
use annulus::abi::SetupFlags;
use annulus_rt::fs::{self, File};
use annulus_rt::net::TcpListener;
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{BackendChoice, Builder, chosen, counters, run, spawn, spawn_blocking, yield_now};
use common::{alone, folder, in_flight, leaves_none_more, on_the_engine, turns, with_setup_answering};

/// Polls a future once, gives the ring some turns, and drops it.
async fn begin_and_drop<F: Future>(future: F, rounds: u64) {
    let mut future = pin!(future);
    let ready = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
    if !ready {
        turns(rounds).await;
    }
}

#[test]
fn a_cancelled_accept_leaks_no_descriptor_as_it_does_in_four_runtimes() {
    alone("a_cancelled_accept_leaks_no_descriptor_as_it_does_in_four_runtimes", || {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = listener.local_addr().unwrap();
            let mut first = None;
            for _ in 0..2 {
                for round in 0..200 {
                    let accept = listener.accept();
                    let mut accept = pin!(accept);
                    assert!(poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx).is_pending())).await);
                    turns(round % 2).await;
                    // The connection arrives while the accept is in flight, or before it was handed over.
                    let client = std::net::TcpStream::connect(address).unwrap();
                    turns(round / 2 % 2).await;
                    drop(client);
                }
                // Those that no accept had taken.
                while timeout(Duration::from_millis(20), listener.accept()).await.is_ok() {}
                leaves_none_more(&mut first).await;
            }
        })
        .unwrap();
    });
}

#[test]
fn a_cancelled_open_leaks_no_descriptor_as_it_does_in_four_runtimes() {
    alone("a_cancelled_open_leaks_no_descriptor_as_it_does_in_four_runtimes", || {
        let folder = folder();
        run(async {
            let mut first = None;
            for _ in 0..2 {
                for round in 0..200 {
                    begin_and_drop(fs::open(folder.path().join("file")), round % 3).await;
                }
                leaves_none_more(&mut first).await;
            }
        })
        .unwrap();
    });
}

#[test]
fn a_dropped_operation_is_cancelled_as_it_is_not_in_tokio_uring() {
    run(async {
        let (read_end, mut write_end) = std::io::pipe().unwrap();
        let pipe = File::from(OwnedFd::from(read_end));
        for _ in 0..100 {
            begin_and_drop(pipe.read(vec![0; 64]), 1).await;
        }
        // Nobody ever writes, and still all of them end.
        in_flight(0).await;
        write_end.write_all(b"kept").unwrap();
        let (read, buf) = pipe.read(vec![0; 8]).await;
        assert_eq!((read.unwrap(), buf), (4, b"kept".to_vec()));
    })
    .unwrap();
}

#[test]
fn a_program_runs_where_io_uring_is_blocked_and_does_not_panic_as_in_tokio_uring_and_glommio() {
    for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
        let (kind, text) = with_setup_answering(errno, || {
            let folder = folder();
            run(async {
                let file = fs::open(folder.path().join("file")).await.unwrap();
                let (read, text) = file.read_at(vec![0; 10], 0).await;
                read.unwrap();
                assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
                (chosen().kind(), text)
            })
            .unwrap()
        });
        assert_eq!((kind, text), (BackendKind::Engine, b"0123456789".to_vec()), "errno {errno}");
    }
}

#[test]
fn files_keep_no_task_waiting_as_in_the_second_driver_of_monoio() {
    let folder = folder();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    Builder::new()
        .backend(BackendChoice::Engine)
        .run(async {
            let file = fs::open(&fifo).await.unwrap();
            let mut other = StdFile::options().write(true).open(&fifo).unwrap();
            let read = spawn(async move { file.read(vec![0; 8]).await });
            for _ in 0..20 {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(!read.is_finished(), "nothing was written");
            other.write_all(b"text").unwrap();
            let (read, buf) = read.await.unwrap();
            assert_eq!((read.unwrap(), buf), (4, b"text".to_vec()));
        })
        .unwrap();
}

#[test]
fn a_ring_that_was_to_poll_for_completions_does_not_hang_on_what_cannot_be_polled() {
    let flags = SetupFlags::SINGLE_ISSUER | SetupFlags::IOPOLL | SetupFlags::HYBRID_IOPOLL;
    Builder::new()
        .setup_flags(flags)
        .run(async {
            let folder = folder();
            let file = fs::open(folder.path().join("file")).await.unwrap();
            assert_eq!(file.read_at(vec![0; 10], 0).await.0.unwrap(), 10);
            let (near, far) = common::pair().await;
            near.send(vec![1; 3]).await.0.unwrap();
            assert_eq!(far.recv(vec![0; 3]).await.0.unwrap(), 3);
            sleep(Duration::from_millis(1)).await;
            assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
        })
        .unwrap();
}

#[test]
fn a_completion_that_comes_late_is_not_taken_for_that_of_the_next_operation() {
    run(async {
        let (read_end, mut write_end) = std::io::pipe().unwrap();
        let pipe = File::from(OwnedFd::from(read_end));
        let zero = File::from(StdFile::open("/dev/zero").unwrap());
        for round in 0..1_000_u64 {
            begin_and_drop(pipe.read(vec![1; 8]), round % 2).await;
            // Takes the place of the one that is being cancelled, or the next.
            let (read, buf) = zero.read_at(vec![1; 16], 0).await;
            assert_eq!((read.unwrap(), buf), (16, vec![0; 16]));
        }
        in_flight(0).await;
        write_end.write_all(b"x").unwrap();
        assert_eq!(pipe.read(vec![0; 8]).await.0.unwrap(), 1);
        assert_eq!(counters().stale, 0);
    })
    .unwrap();
}

#[test]
fn more_completions_than_the_queue_holds_all_arrive() {
    const OPERATIONS: usize = 1_000;
    Builder::new()
        .entries(4)
        .cq_entries(8)
        .run(async {
            let (read_end, mut write_end) = std::io::pipe().unwrap();
            let pipe = Rc::new(File::from(OwnedFd::from(read_end)));
            let reads: Vec<_> = (0..OPERATIONS)
                .map(|_| {
                    let pipe = pipe.clone();
                    spawn(async move { pipe.read(vec![0; 1]).await.0 })
                })
                .collect();
            in_flight(OPERATIONS).await;
            // All of them become ready in one call of somebody else's.
            write_end.write_all(&[7; OPERATIONS]).unwrap();
            for read in reads {
                assert_eq!(read.await.unwrap().unwrap(), 1);
            }
            assert_eq!(counters().stale, 0);
        })
        .unwrap();
}

#[test]
fn more_operations_than_the_submission_queue_holds_wait_their_turn() {
    Builder::new()
        .entries(2)
        .run(async {
            let zero = Rc::new(File::from(StdFile::open("/dev/zero").unwrap()));
            let reads: Vec<_> = (0..2_000)
                .map(|_| {
                    let zero = zero.clone();
                    spawn(async move { zero.read_at(vec![1; 4], 0).await })
                })
                .collect();
            for read in reads {
                let (read, buf) = read.await.unwrap();
                assert_eq!((read.unwrap(), buf), (4, vec![0; 4]));
            }
        })
        .unwrap();
}

#[test]
fn ten_thousand_operations_beyond_the_bound_are_refused_with_ebusy_and_their_buffers() {
    const BOUND: usize = 100;
    Builder::new()
        .operations(BOUND)
        .run(async {
            let (read_end, write_end) = std::io::pipe().unwrap();
            let pipe = Rc::new(File::from(OwnedFd::from(read_end)));
            let reads: Vec<_> = (0..10_000 + BOUND)
                .map(|index| {
                    let pipe = pipe.clone();
                    spawn(async move { pipe.read(vec![index.to_le_bytes()[0]; 2]).await })
                })
                .collect();
            // Those that were taken wait; the others are told at once.
            yield_now().await;
            while counters().polls < 10_000 {
                yield_now().await;
            }
            turns(100).await;
            let refused = reads.iter().filter(|read| read.is_finished()).count();
            assert!((10_000..10_000 + BOUND).contains(&refused), "{refused}");
            drop(write_end);
            for (index, read) in reads.into_iter().enumerate() {
                let (result, buf) = read.await.unwrap();
                match result {
                    Ok(n) => assert_eq!(n, 0, "the end of the pipe"),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
                        assert_eq!(buf, vec![index.to_le_bytes()[0]; 2]);
                    }
                }
            }
            // There is room again.
            assert_eq!(pipe.read(vec![0; 1]).await.0.unwrap(), 0);
        })
        .unwrap();
}

#[test]
fn a_runtime_that_a_panic_passes_through_ends_in_order() {
    alone("a_runtime_that_a_panic_passes_through_ends_in_order", || {
        let before = common::descriptors();
        let shared = Rc::new(());
        let held = shared.clone();
        let (read_end, mut write_end) = std::io::pipe().unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            run(async move {
                let pipe = Rc::new(File::from(OwnedFd::from(read_end)));
                let (near, far) = common::pair().await;
                spawn(async move {
                    let _held = held;
                    drop(far.recv(vec![0; 64]).await);
                });
                spawn({
                    let pipe = pipe.clone();
                    async move { drop(pipe.read(vec![0; 64]).await) }
                });
                in_flight(2).await;
                drop(near.send(vec![1; 8]).await);
                panic!("in the midst of it");
            })
        }));
        let payload = ended.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"in the midst of it"));
        assert_eq!(Rc::strong_count(&shared), 1, "the tasks were dropped");
        assert_eq!(write_end.write_all(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        drop(write_end);
        common::until_descriptors(before);
        // And the thread can have another one.
        assert_eq!(run(async { 7 }).unwrap(), 7);
    });
}

#[test]
fn the_end_of_ten_thousand_operations_in_flight_takes_no_time_for_each() {
    // A child that another test begins has all descriptors of this process until it is its own program.
    alone("the_end_of_ten_thousand_operations_in_flight_takes_no_time_for_each", || {
        // Each that waits in the engine holds a descriptor, of which there may not be so many.
        let operations = if on_the_engine() { 500 } else { 10_000 };
        let (read_end, write_end) = std::io::pipe().unwrap();
        let enters = run(async move {
            let pipe = Rc::new(File::from(OwnedFd::from(read_end)));
            for _ in 0..operations {
                let pipe = pipe.clone();
                drop(spawn(async move { drop(pipe.read(vec![0; 16]).await) }));
            }
            in_flight(operations).await;
            counters().enters
        })
        .unwrap();
        assert!(enters > 0);
        // Every one of them has ended, so nobody reads any more.
        let mut write_end = write_end;
        assert_eq!(write_end.write_all(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_file_that_is_read_to_its_end_says_so_whatever_the_runtime_does_meanwhile() {
    let folder = folder();
    let mut expected = Vec::new();
    StdFile::open(folder.path().join("file")).unwrap().read_to_end(&mut expected).unwrap();
    run(async {
        let file = fs::open(folder.path().join("file")).await.unwrap();
        for round in 0..100 {
            begin_and_drop(file.read_at(vec![0; 4], 0), round % 3).await;
            let (read, buf) = file.read_at(vec![0; 64], 0).await;
            assert_eq!((read.unwrap(), &buf[..10]), (10, &expected[..]));
            assert_eq!(file.read_at(vec![0; 4], 10).await.0.unwrap(), 0);
        }
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
