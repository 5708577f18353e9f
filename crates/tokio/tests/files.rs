//! Files through rings in runtimes of tokio's: what is read and written, from many tasks, threads and runtimes; drops at any
//! moment; the end of a runtime at any moment.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod common;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use annulus_rt::buf::AlignedBuf;
use annulus_tokio::{File, OpenOptions, read, write};
use common::{Canary, alone, descriptors, leave, random, runtime, until};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

const BLOCK: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(30);

/// A block of which every eight bytes say where in the file they lie.
fn block(index: usize) -> Vec<u8> {
    (0..BLOCK / 8).flat_map(|word| ((index * BLOCK / 8 + word) as u64).to_le_bytes()).collect()
}

/// A file of so many blocks.
fn filled(blocks: usize) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks");
    let bytes: Vec<u8> = (0..blocks).flat_map(block).collect();
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn what_is_written_is_read() {
    runtime(2).block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        let file = File::options().read(true).write(true).create_new(true).open(&path).await.unwrap();
        assert!(file.is_empty().await.unwrap());
        file.write_all_at("a ring of bytes", 0).await.0.unwrap();
        file.write_all_at(vec![b'!'; 3], 15).await.0.unwrap();
        file.sync_data().await.unwrap();
        file.sync_all().await.unwrap();
        let (read_back, buf) = file.read_exact_at([0; 4], 2).await;
        read_back.unwrap();
        assert_eq!(&buf, b"ring");
        let (end, buf) = file.read_at(Vec::with_capacity(10), 18).await;
        assert_eq!((end.unwrap(), buf.len()), (0, 0));
        let missing = file.read_exact_at(vec![0; 5], 15).await.0.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::UnexpectedEof);
        file.set_len(6).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 6);
        file.allocate(0, 100).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 100);
        file.close().await.unwrap();
        assert_eq!(&read(&path).await.unwrap()[..8], b"a ring\0\0");
        write(&path, "replaced").await.0.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"replaced");
    });
}

#[test]
fn options_mean_what_they_mean_to_the_standard_library() {
    runtime(1).block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let options = OpenOptions::new;
        let error = |opened: io::Result<File>| opened.err().and_then(|error| error.raw_os_error());
        assert_eq!(error(options().read(true).open(&path).await), Some(libc::ENOENT));
        assert_eq!(error(options().open(&path).await), Some(libc::EINVAL));
        assert_eq!(error(options().read(true).create(true).open(&path).await), Some(libc::EINVAL));
        let append_and_truncate = options().append(true).truncate(true);
        assert_eq!(error(append_and_truncate.open(&path).await), Some(libc::EINVAL));
        drop(options().write(true).create_new(true).mode(0o600).open(&path).await.unwrap());
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777, 0o600);
        assert_eq!(error(options().write(true).create_new(true).open(&path).await), Some(libc::EEXIST));
        let log = options().append(true).open(&path).await.unwrap();
        log.write_all_at("one ", 0).await.0.unwrap();
        log.write_all_at("two", 0).await.0.unwrap();
        assert_eq!(read(&path).await.unwrap(), b"one two");
        drop(options().write(true).truncate(true).open(&path).await.unwrap());
        assert_eq!(read(&path).await.unwrap(), b"");
        let zero = File::open("a\0b").await.unwrap_err();
        assert_eq!(zero.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn reads_around_the_page_cache_are_read_too() {
    let (_folder, path) = filled(16);
    runtime(2).block_on(async {
        let options = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT);
        let file = match options.open(&path).await {
            Ok(file) => file,
            Err(error) => return println!("SKIP: no O_DIRECT on this file system: {error}"),
        };
        for index in [3, 0, 15] {
            let buf = AlignedBuf::with_capacity(BLOCK);
            let (read, buf) = file.read_at(buf, (index * BLOCK) as u64).await;
            assert_eq!(read.unwrap(), BLOCK);
            assert!(buf[..] == block(index)[..]);
        }
    });
}

#[test]
fn ten_thousand_reads_at_random_places_each_get_their_own_bytes() {
    const BLOCKS: usize = 1024;
    let (_folder, path) = filled(BLOCKS);
    runtime(4).block_on(async {
        let file = Arc::new(File::open(&path).await.unwrap());
        let mut reads = JoinSet::new();
        for seed in 0..10_000_u64 {
            let file = file.clone();
            reads.spawn(async move {
                let index = usize::try_from(random(seed) % BLOCKS as u64).unwrap();
                let (read, buf) = file.read_exact_at(vec![0; BLOCK], (index * BLOCK) as u64).await;
                read.unwrap();
                assert!(buf == block(index), "block {index}");
            });
        }
        let mut done = 0;
        while let Some(read) = timeout(PATIENCE, reads.join_next()).await.expect("reads go on") {
            read.unwrap();
            done += 1;
        }
        assert_eq!(done, 10_000);
    });
}

#[test]
fn several_runtimes_and_one_of_a_single_thread_work_at_the_same_time() {
    let (_folder, path) = filled(64);
    std::thread::scope(|scope| {
        for kind in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let runtime = if kind == 0 {
                    Builder::new_current_thread().enable_all().build().unwrap()
                } else {
                    runtime(2)
                };
                // One after the other on the same thread: what it remembers is another's.
                for index in 0..64 {
                    let bytes = runtime.block_on(async {
                        let file = File::open(path).await.unwrap();
                        file.read_exact_at(vec![0; BLOCK], (index * BLOCK) as u64).await.1
                    });
                    assert!(bytes == block(index));
                }
            });
        }
    });
}

#[test]
fn a_read_that_waits_is_woken_by_the_ring() {
    runtime(2).block_on(async {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (reader, writer) = (File::from(reader), File::from(writer));
        for round in 0..200_u8 {
            let reading = reader.read(vec![0; 8]);
            let writing = async {
                tokio::task::yield_now().await;
                writer.write(vec![round; 8]).await.0
            };
            let ((read, buf), written) =
                timeout(PATIENCE, async { tokio::join!(reading, writing) }).await.unwrap();
            assert_eq!((read.unwrap(), written.unwrap()), (8, 8));
            assert_eq!(buf, [round; 8]);
        }
    });
}

#[test]
fn a_thousand_reads_that_wait_are_all_woken() {
    common::allow_descriptors();
    runtime(4).block_on(async {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (reader, writer) = (Arc::new(File::from(reader)), File::from(writer));
        let mut reads = JoinSet::new();
        for _ in 0..1_000 {
            let reader = reader.clone();
            reads.spawn(async move { reader.read([0; 1]).await });
        }
        for _ in 0..10 {
            assert_eq!(writer.write(vec![7; 100]).await.0.unwrap(), 100);
            tokio::task::yield_now().await;
        }
        while let Some(read) = timeout(PATIENCE, reads.join_next()).await.expect("reads are woken") {
            let (read, buf) = read.unwrap();
            assert_eq!((read.unwrap(), buf), (1, [7]));
        }
    });
}

#[test]
fn more_reads_than_a_ring_takes_wait_for_places() {
    common::allow_descriptors();
    runtime(1).block_on(async {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let reader = Arc::new(File::from(reader));
        let mut reads = JoinSet::new();
        for _ in 0..6_000 {
            let reader = reader.clone();
            reads.spawn(async move { reader.read([0; 1]).await.0 });
        }
        tokio::task::yield_now().await;
        // A third of them is given up: their places go to others.
        drop(File::from(writer));
        while let Some(read) = timeout(PATIENCE, reads.join_next()).await.expect("places become free") {
            assert_eq!(read.unwrap().unwrap(), 0);
        }
    });
}

#[test]
fn memory_of_a_dropped_read_is_kept_until_the_kernel_is_done_with_it() {
    alone("memory_of_a_dropped_read_is_kept_until_the_kernel_is_done_with_it", || {
        runtime(2).block_on(async {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            let (reader, writer) = (File::from(reader), File::from(writer));
            for round in 0..300_u64 {
                let (canary, freed) = Canary::new(64);
                let mut reading = Box::pin(reader.read(canary));
                // Submitted by the first poll, and dropped in flight.
                assert!(std::future::poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx).is_pending())).await);
                if random(round).is_multiple_of(2) {
                    writer.write("late").await.0.unwrap();
                }
                drop(reading);
                timeout(PATIENCE, async {
                    while !freed.is_freed() {
                        tokio::time::sleep(Duration::from_micros(100)).await;
                    }
                })
                .await
                .expect("the memory is freed when the read has ended");
                writer.write("more").await.0.unwrap();
                drain(&reader).await;
                freed.assert_untouched();
            }
        });
    });
}

/// Reads what is in the pipe, which is something.
async fn drain(reader: &File) {
    assert!(reader.read(vec![0; 64]).await.0.unwrap() > 0);
}

#[test]
fn drops_at_random_leave_no_descriptor() {
    let (_folder, path) = filled(64);
    alone("drops_at_random_leave_no_descriptor", || {
        let before = descriptors();
        let runtime = runtime(4);
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for seed in 0..3_000_u64 {
                let path = path.clone();
                tasks.spawn(async move {
                    let work = async {
                        let file = File::open(&path).await.unwrap();
                        let (read, buf) = file.read_exact_at(vec![0; BLOCK], 0).await;
                        read.unwrap();
                        assert!(buf == block(0));
                        file.close().await.unwrap();
                    };
                    leave(work, random(seed) % 5).await;
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.unwrap();
            }
        });
        drop(runtime);
        until("a descriptor is left", || descriptors() == before);
    });
}

#[test]
fn an_open_that_is_dropped_leaves_no_descriptor() {
    alone("an_open_that_is_dropped_leaves_no_descriptor", || {
        let folder = tempfile::tempdir().unwrap();
        let runtime = runtime(1);
        // Makes the ring, whose descriptors are there from then on, and the engine's, which come later.
        runtime.block_on(async {
            for index in 0..20 {
                File::create(folder.path().join(index.to_string())).await.unwrap();
            }
        });
        let before = descriptors();
        let mut given_up = 0;
        runtime.block_on(async {
            for index in 0..500 {
                // One that makes a file is handed to another thread by the kernel: it is in flight when it is dropped.
                let mut opening = pin!(File::create(folder.path().join(index.to_string())));
                let polled = std::future::poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx).is_pending()));
                given_up += usize::from(polled.await);
            }
        });
        assert!(given_up > 0, "none was in flight");
        until("a descriptor is left", || descriptors() <= before);
    });
}

#[test]
fn an_operation_outlives_the_thread_that_submitted_it() {
    runtime(2).block_on(async {
        for _ in 0..50 {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            let (reader, writer) = (File::from(reader), File::from(writer));
            let mut reading = Box::pin(reader.read(vec![0; 8]));
            let handle = tokio::runtime::Handle::current();
            let reading = std::thread::scope(|scope| {
                let first_polled = scope.spawn(move || {
                    let _inside = handle.enter();
                    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                    assert!(reading.as_mut().poll(&mut cx).is_pending());
                    reading
                });
                // The thread is gone afterwards, and the kernel has nobody to go on in.
                first_polled.join().unwrap()
            });
            let writing = writer.write("bytes");
            let ((read, buf), (written, _)) =
                timeout(PATIENCE, async { tokio::join!(reading, writing) }).await.expect("it goes on");
            assert_eq!((read.unwrap(), written.unwrap(), buf.as_slice()), (5, 5, &b"bytes"[..]));
        }
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
