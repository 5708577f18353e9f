//! Futures dropped at every point: no descriptor is left, no memory is given up before the kernel is done
//! with it, nothing is written into memory that came back.
#![allow(unsafe_code, reason = "a buffer that tells when it is freed implements the buffer traits")]

mod common;

use std::cell::Cell;
use std::fs::File as StdFile;
use std::future::poll_fn;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulus_rt::buf::{IoBuf, IoBufMut};
use annulus_rt::fs::{self, Dir, File, OpenOptions};
use annulus_rt::net::{TcpListener, TcpStream};
use annulus_rt::time::{now, sleep, timeout};
use annulus_rt::{Builder, counters, run, yield_now};
use common::{
    PATIENCE, alone, descriptors, folder, leaves_none_more, on_the_engine, pair, until_descriptors,
};

/// Polls a future `polls` times, with `turns` turns of the loop after each, and drops it. Whether it was ready.
async fn poll_and_drop<F: Future>(future: F, polls: usize, turns: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
        for _ in 0..turns {
            yield_now().await;
        }
    }
    false
}

/// Waits until the driver has nothing in flight any more.
async fn settled() {
    let end = now() + PATIENCE;
    while counters().in_flight > 0 {
        assert!(now() < end, "{} operations are still in flight", counters().in_flight);
        sleep(Duration::from_millis(1)).await;
    }
}

/// A buffer that tells when it is freed.
struct Watched {
    bytes: Vec<u8>,
    freed: Rc<Cell<bool>>,
}

impl Watched {
    fn new(len: usize) -> (Self, Rc<Cell<bool>>) {
        let freed = Rc::new(Cell::new(false));
        (Self { bytes: vec![0xAA; len], freed: freed.clone() }, freed)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.freed.set(true);
    }
}

// SAFETY: as the vector that it holds.
unsafe impl IoBuf for Watched {
    fn as_stable_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    fn filled(&self) -> usize {
        self.bytes.len()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Watched {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }

    unsafe fn set_filled(&mut self, _len: usize) {}
}

#[test]
fn a_dropped_operation_leaves_no_descriptor_wherever_it_was_dropped() {
    alone("a_dropped_operation_leaves_no_descriptor_wherever_it_was_dropped", || {
        let folder = folder();
        let outside = descriptors();
        run(async {
            let mut inside = (!on_the_engine()).then(descriptors);
            for _ in 0..2 {
                for round in 0..150 {
                    let (polls, turns) = (round % 3, round / 3 % 3);
                    open_and_drop(&folder, polls, turns).await;
                    accept_and_drop(polls, turns).await;
                    connect_and_drop(polls, turns).await;
                    transfer_and_drop(polls, turns).await;
                }
                leaves_none_more(&mut inside).await;
            }
            assert_eq!(counters().stale, 0);
        })
        .unwrap();
        until_descriptors(outside);
    });
}

async fn open_and_drop(folder: &tempfile::TempDir, polls: usize, turns: usize) {
    let path = folder.path();
    poll_and_drop(fs::open(path.join("file")), polls, turns).await;
    poll_and_drop(fs::metadata(path), polls, turns).await;
    poll_and_drop(Dir::open(path), polls, turns).await;
    poll_and_drop(fs::read_dir(path), polls, turns).await;
    let file = OpenOptions::new().read(true).write(true).open(path.join("file")).await.unwrap();
    poll_and_drop(file.read_at(vec![0; 8], 0), polls, turns).await;
    poll_and_drop(file.write_at("01", 0), polls, turns).await;
    poll_and_drop(file.sync_all(), polls, turns).await;
    poll_and_drop(file.close(), polls, turns).await;
}

async fn accept_and_drop(polls: usize, turns: usize) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody connects; somebody has connected; somebody connects meanwhile.
    poll_and_drop(listener.accept(), polls, turns).await;
    let client = TcpStream::connect(address).await.unwrap();
    poll_and_drop(listener.accept(), polls, turns).await;
    drop(client);
    let mut incoming = listener.incoming();
    poll_and_drop(incoming.next(), polls, turns).await;
    let clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    poll_and_drop(incoming.next(), polls, turns).await;
    drop(incoming);
    drop(clients);
}

async fn connect_and_drop(polls: usize, turns: usize) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    poll_and_drop(TcpStream::connect(listener.local_addr().unwrap()), polls, turns).await;
}

async fn transfer_and_drop(polls: usize, turns: usize) {
    let (near, far) = pair().await;
    poll_and_drop(far.recv(vec![0; 8]), polls, turns).await;
    poll_and_drop(near.send(vec![1; 8]), polls, turns).await;
    poll_and_drop(far.recv(vec![0; 4]), polls, turns).await;
    poll_and_drop(far.receiver().next(), polls, turns).await;
    poll_and_drop(near.send_all(vec![1; 8_000_000]), polls, turns).await;
    poll_and_drop(far.readable(), polls, turns).await;
    poll_and_drop(timeout(Duration::from_secs(9), far.recv(vec![0; 8])), polls, turns).await;
    poll_and_drop(timeout(Duration::from_micros(1), far.recv(vec![0; 8])), polls, turns).await;
    poll_and_drop(sleep(Duration::from_millis(1)), polls, turns).await;
    poll_and_drop(near.shutdown(std::net::Shutdown::Write), polls, turns).await;
    poll_and_drop(near.close(), polls, turns).await;
}

#[test]
fn a_connection_that_was_accepted_ahead_is_not_lost_with_the_future() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = listener.incoming();
        for round in 0..30 {
            poll_and_drop(incoming.next(), 1, round % 3).await;
            let client = TcpStream::connect(address).await.unwrap();
            for _ in 0..round % 4 {
                if poll_and_drop(incoming.next(), 0, 1).await {
                    unreachable!("it was not polled");
                }
                yield_now().await;
            }
            let server = incoming.next().await.unwrap();
            assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        }
    })
    .unwrap();
}

#[test]
fn the_buffer_of_a_dropped_read_stays_until_the_kernel_is_done_with_it() {
    run(async {
        let (read_end, mut write_end) = std::io::pipe().unwrap();
        let pipe = File::from(OwnedFd::from(read_end));
        let (buf, freed) = Watched::new(64);
        let read = async { pipe.read(buf).await.0 };
        assert!(!poll_and_drop(read, 1, 2).await, "nothing is in the pipe");
        assert!(!freed.get(), "the cancellation has not completed: the kernel may still write");
        settled().await;
        assert!(freed.get(), "nothing is in flight any more");

        // What is written now belongs to the next read.
        write_end.write_all(b"next").unwrap();
        let (read, bytes) = pipe.read(vec![0; 8]).await;
        assert_eq!((read.unwrap(), bytes), (4, b"next".to_vec()));
    })
    .unwrap();
}

#[test]
fn nothing_is_written_into_memory_that_was_given_back() {
    run(async {
        let (read_end, mut write_end) = std::io::pipe().unwrap();
        let pipe = File::from(OwnedFd::from(read_end));
        let mut canaries = Vec::new();
        for round in 0..200_u8 {
            poll_and_drop(pipe.read(vec![0; 4096]), 1, usize::from(round % 3)).await;
            if round % 2 == 0 {
                settled().await;
                // Very likely the memory that the dropped read had.
                canaries.push(vec![0xC5_u8; 4096]);
            }
            write_end.write_all(&[round; 16]).unwrap();
        }
        settled().await;
        assert!(canaries.iter().flatten().all(|byte| *byte == 0xC5));
    })
    .unwrap();
}

#[test]
fn teardown_waits_for_reads_in_flight_and_frees_their_buffers() {
    alone("teardown_waits_for_reads_in_flight_and_frees_their_buffers", || {
        let before = descriptors();
        let (read_end, write_end) = std::io::pipe().unwrap();
        let (buf, freed) = Watched::new(64);
        run(async {
            let pipe = File::from(OwnedFd::from(read_end));
            annulus_rt::spawn(async move { pipe.read(buf).await.0 });
            let (near, far) = pair().await;
            annulus_rt::spawn(async move {
                let mut receiver = far.receiver();
                let _ = receiver.next().await;
            });
            annulus_rt::spawn(async move {
                let _ = near.recv(vec![0; 9]).await;
            });
            sleep(Duration::from_millis(5)).await;
            assert_eq!(counters().in_flight, 3);
        })
        .unwrap();
        assert!(freed.get());
        drop(write_end);
        until_descriptors(before);
    });
}

#[test]
#[allow(clippy::async_yields_async, reason = "the future is meant to leave the runtime unfinished")]
fn an_operation_that_leaves_its_runtime_says_cancelled_and_keeps_its_buffer() {
    let (read_end, _write_end) = std::io::pipe().unwrap();
    let (buf, freed) = Watched::new(64);
    let mut escaped = Box::pin(
        run(async {
            let pipe = File::from(OwnedFd::from(read_end));
            let mut read = Box::pin(async move { pipe.read(buf).await });
            assert!(poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
            read
        })
        .unwrap(),
    );
    assert!(!freed.get());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let Poll::Ready((result, buf)) = escaped.as_mut().poll(&mut cx) else {
        panic!("the end of the runtime has cancelled it");
    };
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buf.bytes, [0xAA; 64]);
}

#[test]
fn a_teardown_without_patience_leaks_rather_than_frees() {
    let (read_end, mut write_end) = std::io::pipe().unwrap();
    let (buf, freed) = Watched::new(64);
    let builder = Builder::new().teardown(Duration::ZERO);
    builder
        .run(async {
            let pipe = File::from(OwnedFd::from(read_end));
            annulus_rt::spawn(async move { pipe.read(buf).await.0 });
            yield_now().await;
            yield_now().await;
        })
        .unwrap();
    // The kernel may write into it at any time, so it is never freed.
    let _ = write_end.write_all(b"late");
    assert!(!freed.get());
}

#[test]
fn a_descriptor_is_not_reused_while_an_operation_on_it_waits_for_submission() {
    let folder = folder();
    let builder = Builder::new().entries(2);
    builder
        .run(async {
            for _ in 0..50 {
                // More than the ring takes at once, on a file that is dropped at once.
                let file = Rc::new(fs::open(folder.path().join("file")).await.unwrap());
                let reads: Vec<_> = (0..8)
                    .map(|_| {
                        let file = file.clone();
                        annulus_rt::spawn(async move { file.read_at(vec![0; 10], 0).await })
                    })
                    .collect();
                yield_now().await;
                drop(file);
                // Would take the number if it were free.
                let other = StdFile::open("/dev/zero").unwrap();
                for read in reads {
                    let (read, bytes) = read.await.unwrap();
                    assert_eq!((read.unwrap(), bytes), (10, b"0123456789".to_vec()));
                }
                drop(other);
            }
        })
        .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
