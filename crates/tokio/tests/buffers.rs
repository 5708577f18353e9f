//! Rows of buffers, registered buffers, flags of single calls, the extent of files; memory of what was dropped at any moment.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod common;

use std::future::Future;
use std::io;
use std::task::Poll;
use std::time::Duration;

use annulus_tokio::buf::{FixedPool, IoBuf, RegisteredBuf};
use annulus_tokio::{Advice, AllocateMode, File, OpenOptions, RwFlags};
use common::{Canary, alone, descriptors, leave, random, runtime, until};
use tokio::task::JoinSet;
use tokio::time::timeout;

const BLOCK: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(30);
/// The offset that stands for the file's own position, as pipes have none.
const NO_OFFSET: u64 = u64::MAX;

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// A block of which every eight bytes say where in the file they lie.
fn block(index: usize) -> Vec<u8> {
    (0..BLOCK / 8).flat_map(|word| ((index * BLOCK / 8 + word) as u64).to_le_bytes()).collect()
}

async fn new_file(folder: &tempfile::TempDir) -> File {
    File::create_new(folder.path().join("file")).await.unwrap()
}

/// Polls once. Whether it waits.
async fn waits(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
}

#[test]
fn rows_of_buffers_are_written_and_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    runtime(2).block_on(async {
        let file = new_file(&folder).await;
        let row = vec![b"one ".to_vec(), Vec::new(), b"two ".to_vec()];
        let (written, row) = file.write_vectored_at(row, 0).await;
        assert_eq!((written.unwrap(), row.len()), (8, 3));
        file.write_all_vectored_at(("three ", *b"four "), 8).await.0.unwrap();
        assert_eq!(file.len().await.unwrap(), 19);
        let row = [Vec::with_capacity(4), Vec::with_capacity(3), vec![9; 100]];
        let (read, [one, two, rest]) = file.read_vectored_at(row, 0).await;
        assert_eq!((read.unwrap(), one.as_slice(), two.as_slice()), (19, &b"one "[..], &b"two"[..]));
        assert_eq!(rest, b" three four ");
        let mut roomy = Vec::with_capacity(64);
        roomy.extend([0; 3]);
        let (read, (a, b)) = file.read_exact_vectored_at((roomy, [0; 5]), 0).await;
        read.unwrap();
        assert_eq!((a.as_slice(), &b), (&b"one"[..], b" two "));
        let short = file.read_exact_vectored_at(vec![vec![0; 10], vec![0; 10]], 0).await.0;
        assert_eq!(short.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (read, row) = file.read_vectored_at(vec![vec![1; 4]; 2], 100).await;
        assert_eq!((read.unwrap(), row), (0, vec![Vec::new(); 2]));
    });
}

#[test]
fn more_buffers_than_one_call_takes_are_all_transferred() {
    const ROW: usize = 2500;
    let folder = tempfile::tempdir().unwrap();
    runtime(1).block_on(async {
        let file = new_file(&folder).await;
        let row: Vec<Vec<u8>> = (0..ROW).map(|index| vec![u8::try_from(index % 256).unwrap(); 3]).collect();
        let (written, row) = file.write_vectored_at(row, 0).await;
        assert_eq!(written.unwrap(), 3 * 1024);
        let (written, row) = file.write_all_vectored_at(row, 0).await;
        written.unwrap();
        let (read, back) = file.read_exact_vectored_at(vec![vec![0; 3]; ROW], 0).await;
        read.unwrap();
        assert!(back == row);
    });
}

#[test]
fn flags_hold_for_a_single_call() {
    let folder = tempfile::tempdir().unwrap();
    runtime(2).block_on(async {
        let file = new_file(&folder).await;
        file.write_at_with("synced ", 0, RwFlags::DSYNC).await.0.unwrap();
        assert_eq!(file.append("at the end").await.0.unwrap(), 10);
        file.append_all(", and behind it").await.0.unwrap();
        file.write_vectored_at_with(["."], 0, RwFlags::APPEND | RwFlags::SYNC).await.0.unwrap();
        let (read, text) = file.read_to_end_at(b"> ".to_vec(), 0).await;
        assert_eq!(read.unwrap(), 33);
        assert_eq!(text, b"> synced at the end, and behind it.");
        match file.read_at_with(vec![0; 6], 0, RwFlags::DONTCACHE).await {
            (Ok(read), bytes) => assert_eq!((read, bytes.as_slice()), (6, &b"synced"[..])),
            (Err(error), _) => {
                assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP));
                println!("SKIP: no RWF_DONTCACHE on this file system");
            }
        }
        // Appending is for writes, but no flag that nobody knows is passed over.
        let unknown = file.read_at_with(vec![0; 6], 0, RwFlags::ATOMIC).await.0;
        assert_eq!(errno(unknown), Some(libc::EOPNOTSUPP));
    });
}

#[test]
fn the_extent_of_a_file_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    runtime(2).block_on(async {
        let file = new_file(&folder).await;
        file.write_all_at(vec![7; 4 * BLOCK], 0).await.0.unwrap();
        file.start_sync_range(0, 0).await.unwrap();
        file.sync_range(0, 2 * BLOCK as u64).await.unwrap();
        file.advise(0, 0, Advice::Sequential).await.unwrap();
        file.advise(0, BLOCK as u64, Advice::DontNeed).await.unwrap();
        match file.allocate_with(AllocateMode::PUNCH_HOLE, BLOCK as u64, BLOCK as u64).await {
            Ok(()) => assert!(file.read_exact_at(vec![1; BLOCK], BLOCK as u64).await.1 == [0; BLOCK]),
            Err(error) => println!("SKIP: no holes on this file system: {error}"),
        }
        file.allocate_with(AllocateMode::KEEP_SIZE, 0, 8 * BLOCK as u64).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 4 * BLOCK as u64);
        assert_eq!(errno(file.allocate(0, 0).await), Some(libc::EINVAL));
        file.set_len(10).await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 10);
        let reading = File::open(folder.path().join("file")).await.unwrap();
        assert_eq!(errno(reading.set_len(0).await), Some(libc::EINVAL));
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        assert_eq!(errno(File::from(reader).sync_range(0, 1).await), Some(libc::ESPIPE));
    });
}

#[test]
fn registered_buffers_are_read_into_and_written_from_on_every_worker() {
    const BLOCKS: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    runtime(4).block_on(async {
        let file = new_file(&folder).await;
        let pool = FixedPool::new(16, BLOCK);
        assert_eq!((pool.available(), pool.buffer_size()), (16, BLOCK));
        let mut writes = JoinSet::new();
        for index in 0..BLOCKS {
            let (file, pool) = (file.clone(), pool.clone());
            writes.spawn(async move {
                let mut buf = pool.get().await;
                buf.extend_from_slice(&block(index));
                file.write_all_fixed_at(buf, (index * BLOCK) as u64).await.0
            });
        }
        while let Some(written) = writes.join_next().await {
            written.unwrap().unwrap();
        }
        let mut reads = JoinSet::new();
        for seed in 0..2000_u64 {
            let (file, pool) = (file.clone(), pool.clone());
            reads.spawn(async move {
                let index = usize::try_from(random(seed) % BLOCKS as u64).unwrap();
                let (read, buf) = file.read_fixed_at(pool.get().await, (index * BLOCK) as u64).await;
                assert_eq!(read.unwrap(), BLOCK);
                assert!(buf[..] == block(index), "block {index}");
                assert!(buf.registrations() >= 1, "registered where it was used");
            });
        }
        while let Some(read) = timeout(PATIENCE, reads.join_next()).await.expect("reads go on") {
            read.unwrap();
        }
        assert_eq!(pool.available(), 16);
        // A part of one, and one that is given to an operation of another kind.
        let mut buf = pool.try_get().unwrap();
        buf.resize(8, 0);
        let (read, part) = file.read_exact_fixed_at(buf.slice(4..8), BLOCK as u64).await;
        read.unwrap();
        let buf = part.into_inner();
        assert_eq!((&buf[..4], &buf[4..]), (&[0; 4][..], &block(1)[..4]));
        let (read, buf) = file.read_at(buf, 2 * BLOCK as u64).await;
        assert_eq!((read.unwrap(), &buf[..8]), (BLOCK, &block(2)[..8]));
    });
}

#[test]
fn a_pool_is_bounded_and_serves_in_order() {
    runtime(1).block_on(async {
        let pool = FixedPool::new(1, 100);
        let only = pool.get().await;
        assert_eq!((only.capacity(), pool.available()), (BLOCK, 0));
        assert!(pool.try_get().is_none());
        let (mut first, mut second) = (Box::pin(pool.get()), Box::pin(pool.get()));
        assert!(waits(&mut first).await && waits(&mut second).await);
        drop(only);
        assert!(pool.try_get().is_none(), "it is the first one's");
        assert!(waits(&mut second).await);
        // Who had a turn and goes leaves it to the next.
        drop(first);
        second.await.resize(1, 7);
        assert_eq!(pool.get().await.len(), 0);
    });
}

#[test]
fn registered_buffers_go_around_the_page_cache() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, [block(0), block(1)].concat()).unwrap();
    runtime(2).block_on(async {
        let options = OpenOptions::new().read(true).write(true).direct(true);
        let file = match options.open(&path).await {
            Ok(file) => file,
            Err(error) => return println!("SKIP: no O_DIRECT on this file system: {error}"),
        };
        assert!(BLOCK.is_multiple_of(file.direct_alignment().await.unwrap().offset() as usize));
        let pool = FixedPool::new(2, BLOCK);
        let (read, buf) = file.read_fixed_at(pool.get().await, BLOCK as u64).await;
        assert_eq!((read.unwrap(), &buf[..]), (BLOCK, &block(1)[..]));
        file.write_all_fixed_at(buf, 0).await.0.unwrap();
        assert!(annulus_tokio::read(&path).await.unwrap()[..BLOCK] == block(1));
    });
}

#[test]
fn a_registered_buffer_outlives_its_runtime_and_its_pool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, block(3)).unwrap();
    let pool = FixedPool::new(1, BLOCK);
    let mut buf = pool.try_get().unwrap();
    drop(pool);
    for workers in [1, 3, 2] {
        let read = runtime(workers).block_on(async {
            let (file, task) = (File::open(&path).await.unwrap(), buf);
            tokio::spawn(async move { file.read_fixed_at(task, 0).await }).await.unwrap()
        });
        buf = read.1;
        assert!(buf[..] == block(3));
        // The runtime's rings are gone, or go with the last task's thread.
        until("a ring is left", || buf.registrations() == 0);
    }
}

#[test]
fn a_registered_buffer_comes_back_only_when_the_kernel_is_done_with_it() {
    runtime(2).block_on(async {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (reader, writer) = (File::from(reader), File::from(writer));
        let pool = FixedPool::new(1, BLOCK);
        for round in 0..300_u64 {
            let mut reading = Box::pin(reader.read_fixed_at(pool.get().await, NO_OFFSET));
            assert!(waits(&mut reading).await);
            assert!(pool.try_get().is_none(), "the kernel has it");
            if random(round).is_multiple_of(2) {
                writer.write("late").await.0.unwrap();
            }
            drop(reading);
            let mut poisoned: RegisteredBuf =
                timeout(PATIENCE, pool.get()).await.expect("it comes back when the read has ended");
            poisoned.resize(BLOCK, 0xdd);
            writer.write("more").await.0.unwrap();
            assert!(reader.read(vec![0; 64]).await.0.unwrap() > 0);
            assert!(poisoned.iter().all(|byte| *byte == 0xdd), "written after it came back");
        }
    });
}

#[test]
fn memory_of_dropped_rows_is_kept_until_the_kernel_is_done_with_it() {
    alone("memory_of_dropped_rows_is_kept_until_the_kernel_is_done_with_it", || {
        runtime(3).block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..8_u64 {
                tasks.spawn(async move {
                    let (reader, writer) = rustix::pipe::pipe().unwrap();
                    let (reader, writer) = (File::from(reader), File::from(writer));
                    for round in 0..60_u64 {
                        let (row, freed): (Vec<_>, Vec<_>) = (0..3).map(|_| Canary::new(32)).unzip();
                        let mut reading = Box::pin(reader.read_vectored_at(row, NO_OFFSET));
                        assert!(waits(&mut reading).await);
                        match random(task * 1000 + round) % 3 {
                            0 => drop(writer.write("late").await.0.unwrap()),
                            1 => tokio::task::yield_now().await,
                            _ => {}
                        }
                        drop(reading);
                        timeout(PATIENCE, async {
                            while !freed.iter().all(common::Freed::is_freed) {
                                tokio::time::sleep(Duration::from_micros(100)).await;
                            }
                        })
                        .await
                        .expect("the memory is freed when the read has ended");
                        writer.write("more").await.0.unwrap();
                        assert!(reader.read(vec![0; 256]).await.0.unwrap() > 0);
                        freed.iter().for_each(common::Freed::assert_untouched);
                    }
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.unwrap();
            }
        });
    });
}

#[test]
fn transfers_of_all_kinds_dropped_at_random_leave_nothing_open_and_no_buffer_lent() {
    alone("transfers_of_all_kinds_dropped_at_random_leave_nothing_open_and_no_buffer_lent", || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, (0..16).flat_map(block).collect::<Vec<_>>()).unwrap();
        let before = descriptors();
        let pool = FixedPool::new(8, BLOCK);
        let runtime = runtime(4);
        // From tasks, and from threads that are not the runtime's.
        let work = |seed: u64| {
            let (path, pool) = (path.clone(), pool.clone());
            async move {
                let work = async {
                    let file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
                    let index = usize::try_from(random(seed) % 16).unwrap();
                    let at = (index * BLOCK) as u64;
                    let (read, buf) = file.read_fixed_at(pool.get().await, at).await;
                    assert_eq!((read.unwrap(), &buf[..]), (BLOCK, &block(index)[..]));
                    file.write_all_fixed_at(buf, at).await.0.unwrap();
                    let (read, row) = file.read_exact_vectored_at([[0; 8], [0; 8]], at).await;
                    read.unwrap();
                    assert_eq!(row.concat(), block(index)[..16]);
                    file.write_all_vectored_at(row, at).await.0.unwrap();
                    file.sync_data().await.unwrap();
                };
                leave(work, random(seed) % 8).await;
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (runtime, work) = (&runtime, &work);
                scope.spawn(move || (0..100).for_each(|seed| runtime.block_on(work(thread * 10_000 + seed))));
            }
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for seed in 0..1000 {
                    tasks.spawn(work(1_000_000 + seed));
                }
                while let Some(task) = tasks.join_next().await {
                    task.unwrap();
                }
            });
        });
        until("a buffer is still lent", || pool.available() == 8);
        let blocks: Vec<u8> = (0..16).flat_map(block).collect();
        drop(runtime);
        assert!(std::fs::read(&path).unwrap() == blocks, "each write wrote what was there");
        until("a descriptor is left", || descriptors() == before);
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
