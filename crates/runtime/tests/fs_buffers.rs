//! Aligned buffers, and the pool of registered ones: bounded, fair, and never given out while the kernel has it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::cell::RefCell;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use annulus_rt::buf::{AlignedBuf, FixedPool, IoBuf};
use annulus_rt::fs::File;
use annulus_rt::{Builder, run, spawn, yield_now};
use common::{alone, on_the_engine};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, set_capabilities};

#[test]
fn an_aligned_buffer_lies_where_it_was_asked_to_and_does_not_grow() {
    for (capacity, alignment, rounded) in
        [(0, 4096, 0), (1, 512, 512), (4097, 4096, 8192), (65_536, 1 << 21, 1 << 21)]
    {
        let mut buf = AlignedBuf::with_alignment(capacity, alignment);
        assert_eq!((buf.capacity(), buf.alignment(), buf.len()), (rounded, alignment, 0));
        assert_eq!(buf.as_ptr().addr() % alignment, 0, "{buf:?}");
        buf.resize(rounded, 3);
        assert!(buf.iter().all(|byte| *byte == 3));
        buf.clear();
        let too_much = catch_unwind(AssertUnwindSafe(|| buf.resize(rounded + 1, 0)));
        assert!(too_much.is_err());
    }
    let mut buf = AlignedBuf::from_slice(b"ring");
    buf.extend_from_slice(b"s");
    let copy = buf.clone();
    buf.truncate(3);
    assert_eq!((&buf[..], &copy[..], copy.capacity()), (&b"rin"[..], &b"rings"[..], 4096));
    assert!(catch_unwind(|| AlignedBuf::with_alignment(1, 3)).is_err());
}

#[test]
fn the_pool_lends_as_many_as_it_has_and_the_next_one_waits_his_turn() {
    Builder::new()
        .registered_buffers(3, 5_000)
        .run(async {
            let pool = FixedPool::current();
            assert_eq!((pool.available(), pool.buffer_size()), (3, 8_192));
            let mut lent =
                vec![pool.get().await.unwrap(), pool.get().await.unwrap(), pool.get().await.unwrap()];
            assert!(pool.try_get().unwrap().is_none());
            assert_eq!(pool.available(), 0);

            let order = Rc::new(RefCell::new(Vec::new()));
            let mut tasks: Vec<_> = (0..4)
                .map(|i| {
                    let (pool, order) = (pool.clone(), order.clone());
                    spawn(async move {
                        let buf = pool.get().await.unwrap();
                        order.borrow_mut().push(i);
                        buf.len()
                    })
                })
                .collect();
            for _ in 0..3 {
                yield_now().await;
            }
            // The second of those who wait gives up.
            tasks.remove(1).abort();
            lent.pop().unwrap().resize(7, 7);
            for task in tasks {
                assert_eq!(task.await.unwrap(), 0, "a buffer is empty when it is lent");
            }
            assert_eq!(*order.borrow(), [0, 2, 3]);
            drop(lent);
            assert_eq!(pool.available(), 3);
        })
        .unwrap();
}

#[test]
fn a_buffer_is_not_lent_again_before_the_read_of_a_dropped_future_is_over() {
    Builder::new()
        .registered_buffers(1, 4096)
        .run(async {
            let pool = FixedPool::current();
            let (reader, mut writer) = std::io::pipe().unwrap();
            let file = File::from(OwnedFd::from(reader));
            let read = spawn({
                let (file, buf) = (file.clone(), pool.get().await.unwrap());
                async move { file.read_fixed_at(buf, u64::MAX).await.0 }
            });
            for _ in 0..3 {
                yield_now().await;
            }
            read.abort();
            assert!(read.await.is_err());
            // The kernel has it until the cancelled read has completed.
            let again = pool.get().await.unwrap();
            writer.write_all(b"for the next").unwrap();
            let (read, again) = file.read_fixed_at(again, u64::MAX).await;
            assert_eq!((read.unwrap(), &again[..]), (12, &b"for the next"[..]));
        })
        .unwrap();
}

#[test]
fn a_guard_may_outlive_its_run_and_serve_the_next_as_plain_memory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "0123456789").unwrap();
    let mut kept = run(async { FixedPool::current().get().await.unwrap() }).unwrap();
    kept.extend_from_slice(b"kept");
    run(async {
        let file = File::open(folder.path().join("file")).await.unwrap();
        let own = FixedPool::current().get().await.unwrap();
        let (read, kept) = file.read_fixed_at(kept.slice(4..), 8).await;
        assert_eq!((read.unwrap(), &kept.into_inner()[..]), (2, &b"kept89"[..]));
        let (read, own) = file.read_fixed_at(own, 6).await;
        assert_eq!((read.unwrap(), &own[..]), (4, &b"6789"[..]));
    })
    .unwrap();
}

#[test]
fn a_limit_on_locked_memory_is_told_with_its_name() {
    alone("a_limit_on_locked_memory_is_told_with_its_name", || {
        // The superuser's rings are not limited.
        setrlimit(Resource::Memlock, Rlimit { current: Some(64 * 1024), maximum: Some(64 * 1024) }).unwrap();
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::IPC_LOCK);
        sets.permitted.remove(CapabilitySet::IPC_LOCK);
        set_capabilities(None, sets).unwrap();
        let builder = Builder::new().entries(8).registered_buffers(8, 32 * 1024);
        builder
            .run(async {
                let pool = FixedPool::current();
                let mut lent = Vec::new();
                let error = loop {
                    match pool.get().await {
                        Ok(buf) => lent.push(buf),
                        Err(error) => break error,
                    }
                    if on_the_engine() && lent.len() == 8 {
                        // Which pins nothing.
                        return;
                    }
                };
                assert!(lent.len() <= 2, "{}", lent.len());
                assert_eq!(error.kind(), ErrorKind::OutOfMemory);
                let text = error.to_string();
                assert!(
                    text.contains("RLIMIT_MEMLOCK, 65536 bytes") && text.contains("LimitMEMLOCK"),
                    "{text}"
                );
            })
            .unwrap();
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
