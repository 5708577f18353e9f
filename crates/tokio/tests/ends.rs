//! The end of a runtime at any moment, futures that outlive theirs, and machines without io_uring.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use annulus_tokio::{File, read};
use common::{Canary, Freed, alone, descriptors, random, runtime, until};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Starts tasks that read a pipe into which nobody writes, and waits until they are at it. Tells of their memory.
fn readers(runtime: &tokio::runtime::Runtime, reader: &Arc<File>, count: usize) -> Vec<Freed> {
    let started = Arc::new(AtomicUsize::new(0));
    let freed = (0..count)
        .map(|_| {
            let (canary, freed) = Canary::new(256);
            let (reader, started) = (reader.clone(), started.clone());
            runtime.spawn(async move {
                let mut reading = std::pin::pin!(reader.read(canary));
                std::future::poll_fn(|cx| {
                    let polled = reading.as_mut().poll(cx);
                    started.fetch_add(1, Ordering::Relaxed);
                    polled
                })
                .await
                .0
            });
            freed
        })
        .collect();
    until("tasks do not start", || started.load(Ordering::Relaxed) >= count);
    freed
}

#[test]
fn a_runtime_ends_with_reads_in_flight_and_their_memory_is_freed_untouched() {
    alone("a_runtime_ends_with_reads_in_flight_and_their_memory_is_freed_untouched", || {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (reader, writer) = (Arc::new(File::from(reader)), std::fs::File::from(writer));
        let before = descriptors();
        for round in 0..40 {
            let runtime = runtime(1 + round % 3);
            let freed = readers(&runtime, &reader, 100);
            match round % 2 {
                0 => drop(runtime),
                _ => runtime.shutdown_background(),
            }
            until("memory is not freed", || freed.iter().all(Freed::is_freed));
            // Who still read would get this.
            std::io::Write::write_all(&mut &writer, &[1; 512]).unwrap();
            let mut rest = [0; 512];
            std::io::Read::read_exact(&mut &std::fs::File::from(reader_again(&reader)), &mut rest).unwrap();
            freed.iter().for_each(Freed::assert_untouched);
        }
        until("a descriptor is left", || descriptors() <= before);
    });
}

fn reader_again(reader: &File) -> std::os::fd::OwnedFd {
    std::os::fd::AsFd::as_fd(reader).try_clone_to_owned().unwrap()
}

#[test]
fn runtimes_end_while_their_tasks_open_read_and_close() {
    alone("runtimes_end_while_their_tasks_open_read_and_close", || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; 100_000]).unwrap();
        let before = descriptors();
        let wrong = Arc::new(AtomicUsize::new(0));
        for round in 0..60_u64 {
            let runtime = runtime(3);
            for _ in 0..20 {
                let (path, wrong) = (path.clone(), wrong.clone());
                runtime.spawn(async move {
                    loop {
                        let is_right = read(&path).await.is_ok_and(|bytes| bytes == [7; 100_000])
                            && File::create(path.with_extension("made")).await.is_ok();
                        wrong.fetch_add(usize::from(!is_right), Ordering::Relaxed);
                    }
                });
            }
            runtime.block_on(async {
                for _ in 0..random(round) % 200 {
                    tokio::task::yield_now().await;
                }
            });
            runtime.shutdown_timeout(PATIENCE);
        }
        assert_eq!(wrong.load(Ordering::Relaxed), 0, "no task saw the end but by being dropped");
        until("a descriptor is left", || descriptors() <= before);
    });
}

#[test]
fn a_future_that_outlives_its_runtime_goes_on_in_another() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let (reader, writer) = (File::from(reader), File::from(writer));
    let mut reading = Box::pin(async move { reader.read(vec![0; 8]).await });
    let first = runtime(2);
    first.block_on(async {
        let pending = std::future::poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx).is_pending()));
        assert!(pending.await);
    });
    drop(first);
    let second = runtime(2);
    // It waits in the second before anything comes, and is woken there.
    let waiting = second.spawn(reading);
    let (read, buf) = second.block_on(async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        writer.write("bytes").await.0.unwrap();
        timeout(PATIENCE, waiting).await.expect("it is woken").unwrap()
    });
    assert_eq!((read.unwrap(), buf.as_slice()), (5, &b"bytes"[..]));
}

#[test]
fn a_future_that_waits_when_its_ring_loses_its_runtime_goes_on() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let (reader, writer) = (File::from(reader), File::from(writer));
    let mut reading = Box::pin(async move { reader.read(vec![0; 8]).await });
    let first = runtime(2);
    first.block_on(async {
        let pending = std::future::poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx).is_pending()));
        assert!(pending.await);
    });
    let second = runtime(2);
    let waiting = second.spawn(reading);
    second.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
    // The task of the second has been polled: now the first goes, and with it whoever listened to the ring.
    drop(first);
    let (read, buf) = second.block_on(async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        writer.write("bytes").await.0.unwrap();
        timeout(PATIENCE, waiting).await.expect("it is woken").unwrap()
    });
    assert_eq!((read.unwrap(), buf.as_slice()), (5, &b"bytes"[..]));
}

#[test]
fn where_io_uring_is_forbidden_the_engine_reads() {
    const IO_URING_SETUP: i64 = 425;
    alone("where_io_uring_is_forbidden_the_engine_reads", || {
        let filter = SeccompFilter::new(
            [(IO_URING_SETUP, Vec::new())].into(),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        // For this thread and those that it starts, the runtime's.
        seccompiler::apply_filter(&program).unwrap();
        let bytes = runtime(2).block_on(async {
            let reading = tokio::spawn(read("/proc/self/status"));
            timeout(PATIENCE, reading).await.expect("the engine reads").unwrap()
        });
        assert!(bytes.unwrap().starts_with(b"Name:"));
    });
}

#[test]
#[should_panic(expected = "annulus-tokio needs a runtime of tokio's")]
fn outside_of_a_runtime_a_future_says_what_it_needs() {
    let mut opening = Box::pin(File::open("/dev/null"));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let _polled = opening.as_mut().poll(&mut cx);
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
