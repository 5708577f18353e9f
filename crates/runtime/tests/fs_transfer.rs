//! Bytes in and out of files: vectored, fixed, appended, with flags, around the page cache, beyond 4 GiB.
#![allow(unsafe_code, reason = "a buffer that counts implements the buffer traits; a handler of signals")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test; one that is skipped says so")]

mod common;

use std::borrow::Cow;
use std::cell::Cell;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use annulus_rt::buf::{AlignedBuf, FixedPool, IoBuf, IoBufMut};
use annulus_rt::fs::{DirectFile, File, OpenOptions, RwFlags};
use annulus_rt::{counters, run};
use bytes::{Bytes, BytesMut};
use common::{alone, on_disk};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open for reading and writing, with `contents`.
async fn file(folder: &tempfile::TempDir, contents: &'static str) -> File {
    let options = OpenOptions::new().read(true).write(true).create_new(true);
    let file = options.open(folder.path().join("file")).await.unwrap();
    file.write_all_at(contents, 0).await.0.unwrap();
    file
}

#[test]
fn every_container_is_written_from_and_comes_back() {
    let folder = on_disk();
    run(async {
        let file = file(&folder, "").await;
        file.append_all(Box::<str>::from("a")).await.0.unwrap();
        file.append_all(Cow::Borrowed("b")).await.0.unwrap();
        file.append_all(Cow::<[u8]>::Owned(vec![b'c'])).await.0.unwrap();
        file.append_all(Rc::new(vec![b'd'])).await.0.unwrap();
        file.append_all(Arc::new("e".to_owned())).await.0.unwrap();
        file.append_all(Rc::<str>::from("f")).await.0.unwrap();
        file.append_all(Bytes::from_static(b"g")).await.0.unwrap();
        file.append_all(BytesMut::from("h")).await.0.unwrap();
        file.append_all(*b"ij").await.0.unwrap();
        let (written, part) = file.append_all(Arc::<[u8]>::from(*b".kl.").slice(1..3)).await;
        written.unwrap();
        assert_eq!(part.into_inner(), Arc::<[u8]>::from(*b".kl."));
        let leaked: &'static mut [u8] = Box::leak(Box::new([0; 3]));
        let (read, leaked) = file.read_at(leaked, 0).await;
        assert_eq!((read.unwrap(), &*leaked), (3, &b"abc"[..]));
        file.append_all(leaked).await.0.unwrap();
        let (read, all) = file.read_to_end_at(b"> ".to_vec(), 0).await;
        assert_eq!((read.unwrap(), all), (15, b"> abcdefghijklabc".to_vec()));
    })
    .unwrap();
}

#[test]
fn several_buffers_are_read_into_in_order_as_far_as_there_is_something() {
    let folder = on_disk();
    run(async {
        let file = file(&folder, "0123456789").await;
        let bufs = vec![Vec::with_capacity(3), vec![7; 4], Vec::with_capacity(100), vec![7; 9]];
        let (read, bufs) = file.read_vectored_at(bufs, 1).await;
        assert_eq!(read.unwrap(), 9);
        assert_eq!(bufs, [b"123".to_vec(), b"4567".to_vec(), b"89".to_vec(), vec![]]);
        let (read, (array, slice)) = file.read_vectored_at(([0; 2], b"ab".to_vec().slice(1..)), 8).await;
        assert_eq!((read.unwrap(), array, slice.into_inner()), (2, *b"89", b"a".to_vec()));
        let (read, none) = file.read_vectored_at(Vec::<Vec<u8>>::new(), 0).await;
        assert_eq!((read.unwrap(), none.len()), (0, 0));
        let (read, bufs) = file.read_exact_vectored_at([[0; 3], [0; 3]], 4).await;
        read.unwrap();
        assert_eq!(bufs, [*b"456", *b"789"]);
        let (read, bufs) = file.read_exact_vectored_at([[0; 3], [0; 3]], 5).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(bufs, [*b"567", *b"89\0"]);
    })
    .unwrap();
}

#[test]
fn more_buffers_than_one_call_takes_are_written_and_read_whole() {
    let folder = on_disk();
    run(async {
        let file = file(&folder, "").await;
        let bufs: Vec<Vec<u8>> = (0..3_000_u32).map(|i| i.to_le_bytes().to_vec()).collect();
        let (written, bufs) = file.write_vectored_at(bufs, 0).await;
        assert_eq!(written.unwrap(), 1024 * 4);
        let (written, bufs) = file.write_all_vectored_at(bufs, 5).await;
        written.unwrap();
        let (read, back) = file.read_exact_vectored_at(vec![vec![0; 4]; 3_000], 5).await;
        read.unwrap();
        assert!(back == bufs);
        let (written, _) = file.write_all_vectored_at(("ab", [b'c'], b"de".to_vec()), 1).await;
        written.unwrap();
        let (_, start) = file.read_exact_at(vec![0; 7], 0).await;
        assert_eq!(start, b"\0abcde\0");
    })
    .unwrap();
}

#[test]
fn registered_buffers_carry_bytes_both_ways_and_so_do_slices_of_them() {
    let folder = on_disk();
    run(async {
        let file = file(&folder, "").await;
        let mut buf = FixedPool::current().get().await.unwrap();
        buf.extend_from_slice(b"registered");
        let (written, buf) = file.write_fixed_at(buf, 3).await;
        assert_eq!(written.unwrap(), 10);
        let (written, part) = file.write_fixed_at(buf.slice(2..5), 0).await;
        assert_eq!(written.unwrap(), 3);
        let (read, buf) = file.read_fixed_at(part.into_inner(), 1).await;
        assert_eq!((read.unwrap(), &buf[..]), (12, &b"isregistered"[..]));
        let (read, part) = file.read_fixed_at(buf.slice(4..6), 0).await;
        assert_eq!((read.unwrap(), &part.get_ref()[..]), (2, &b"isregi"[..]));
        // As an ordinary buffer too.
        let (read, buf) = file.read_at(part.into_inner(), 0).await;
        assert_eq!((read.unwrap(), &buf[..]), (13, &b"gisregistered"[..]));
        let (read, mut buf) = file.read_fixed_at_with(buf, 0, RwFlags::NONE).await;
        assert_eq!(read.unwrap(), 13);
        buf.clear();
        buf.resize(20_000, 8);
        let (written, mut buf) = file.write_all_fixed_at(buf, 13).await;
        written.unwrap();
        buf.fill(0);
        let (read, buf) = file.read_exact_fixed_at(buf, 12).await;
        read.unwrap();
        assert!((buf.len(), buf[0]) == (20_000, b'd') && buf[1..].iter().all(|byte| *byte == 8));
        let (read, buf) = file.read_exact_fixed_at(buf.slice(..100), 19_999).await;
        assert_eq!((read.unwrap_err().kind(), buf.filled()), (ErrorKind::UnexpectedEof, 14));
    })
    .unwrap();
}

#[test]
fn around_the_page_cache_aligned_bytes_come_and_unaligned_offsets_are_refused() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("direct");
        let options = OpenOptions::new().read(true).write(true).create_new(true).custom_flags(libc::O_DIRECT);
        let file = match options.open(&path).await {
            Ok(file) => file,
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}");
                return println!("SKIP: the file system of the target folder has no O_DIRECT");
            }
        };
        let mut buf = AlignedBuf::with_capacity(16_384);
        buf.resize(16_384, 0x5a);
        buf[8192..].fill(0xa5);
        let (written, buf) = file.write_at(buf, 4096).await;
        assert_eq!(written.unwrap(), 16_384);
        let (read, back) = file.read_at(AlignedBuf::with_capacity(16_384), 4096).await;
        assert_eq!((read.unwrap(), &back), (16_384, &buf));
        let (refused, _) = file.read_at(back, 4097).await;
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EINVAL));

        let fixed = FixedPool::current().get().await.unwrap();
        let (read, mut fixed) = file.read_fixed_at(fixed, 8192).await;
        assert_eq!((read.unwrap(), fixed[4095], fixed[4096]), (12_288, 0x5a, 0xa5));
        fixed.resize(4096, 0);
        let (written, _) = file.write_fixed_at(fixed, 0).await;
        assert_eq!(written.unwrap(), 4096);
        assert_eq!(std::fs::metadata(&path).unwrap().size(), 20_480);
    })
    .unwrap();
}

#[test]
fn any_range_is_read_around_the_page_cache() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("direct");
        let contents: Vec<u8> = (0..=250).cycle().take(50_001).collect();
        std::fs::write(&path, &contents).unwrap();
        let options = OpenOptions::new().read(true).write(true);
        let file = match DirectFile::open(&path, &options).await {
            Ok(file) => file,
            Err(error) => {
                assert!(
                    [Some(libc::EINVAL), Some(libc::EOPNOTSUPP)].contains(&error.raw_os_error()),
                    "{error}"
                );
                return println!("SKIP: the file system of the target folder has no O_DIRECT");
            }
        };
        for (offset, len) in
            [(0, 1), (4095, 2), (1, 50_000), (512, 512), (49_990, 100), (50_001, 1), (1 << 40, 9), (7, 0)]
        {
            let part = file.read_at(offset, len).await.unwrap();
            let from = usize::try_from(offset).unwrap().min(50_001);
            assert!(part.as_bytes() == &contents[from..(from + len).min(50_001)], "{len} from {offset}");
        }
        assert_eq!(file.read_at(u64::MAX, 1).await.unwrap_err().raw_os_error(), Some(libc::EINVAL));
        let mut block = file.buf(4096);
        block.resize(4096, 0xfe);
        let (written, block) = file.write_at(block, 8192).await;
        written.unwrap();
        assert_eq!(file.read_at(8191, 3).await.unwrap().as_bytes(), [contents[8191], 0xfe, 0xfe]);
        let (unaligned, _) = file.write_at(block.slice(..100), 8192).await;
        assert_eq!(unaligned.unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert!(file.alignment().offset() >= 512 && file.file().metadata().await.unwrap().len() == 50_001);
    })
    .unwrap();
}

/// A buffer that counts those of its kind that have not been freed, and writes all over itself when it is.
struct Counted {
    bytes: Box<[u8]>,
    alive: Rc<Cell<usize>>,
}

impl Counted {
    fn new(len: usize, alive: &Rc<Cell<usize>>) -> Self {
        alive.set(alive.get() + 1);
        Self { bytes: vec![0; len].into(), alive: alive.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bytes.fill(0xa5);
        self.alive.set(self.alive.get() - 1);
    }
}

// SAFETY: as the box that it holds.
unsafe impl IoBuf for Counted {
    fn as_stable_ptr(&self) -> *const u8 {
        self.bytes.as_stable_ptr()
    }

    fn filled(&self) -> usize {
        self.bytes.len()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Counted {
    fn as_stable_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }

    unsafe fn set_filled(&mut self, _len: usize) {}
}

#[test]
fn buffers_of_dropped_transfers_are_kept_as_long_as_the_kernel_has_them() {
    let folder = on_disk();
    let alive = Rc::new(Cell::new(0));
    run(async {
        let file = file(&folder, "0123456789").await;
        let (reader, writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        for round in 0..200 {
            let bufs = (Counted::new(5, &alive), Counted::new(7, &alive));
            // From a pipe that stays empty, or of a file.
            let (from, offset) = if round % 2 == 0 { (&pipe, u64::MAX) } else { (&file, 0) };
            let mut read = Box::pin(from.read_vectored_at(bufs, offset));
            let first = std::future::poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_ready())).await;
            assert!(!first && alive.get() >= 2);
            for _ in 0..round % 3 {
                annulus_rt::yield_now().await;
            }
            let before = counters().in_flight;
            drop(read);
            assert!(alive.get() >= 2 * before, "{} buffers, {before} in flight", alive.get());
        }
        while counters().in_flight > 0 {
            annulus_rt::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(alive.get(), 0);
        drop(writer);
        // Left to the end of the run.
        let mut last = Box::pin(file.write_vectored_at(vec![Counted::new(100_000, &alive)], 0));
        let _ = std::future::poll_fn(|cx| Poll::Ready(last.as_mut().poll(cx).is_ready())).await;
    })
    .unwrap();
    assert_eq!(alive.get(), 0);
}

#[test]
fn signals_that_interrupt_do_not_make_a_transfer_fail() {
    alone("signals_that_interrupt_do_not_make_a_transfer_fail", || {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let handler = move || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        // SAFETY: the handler adds to an atomic number.
        let id = unsafe { signal_hook::low_level::register(libc::SIGUSR1, handler) }.unwrap();
        let stop = Arc::new(AtomicUsize::new(0));
        let (stopped, me) = (stop.clone(), rustix::process::getpid());
        let sender = std::thread::Builder::new().spawn(move || {
            while stopped.load(Ordering::Relaxed) == 0 {
                rustix::process::kill_process(me, rustix::process::Signal::USR1).unwrap();
            }
        });
        let folder = on_disk();
        run(async {
            let file = file(&folder, "").await;
            let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
            let mut round = 0;
            while round < 30 || seen.load(Ordering::Relaxed) < 100 {
                let (written, back) = file.write_all_at(all.clone(), round).await;
                written.unwrap();
                file.sync_data().await.unwrap();
                let (read, found) = file.read_exact_at(vec![0; 300_000], round).await;
                read.unwrap();
                assert!(found == back);
                let (written, _) = file.write_all_vectored_at(vec![vec![1; 1_000]; 100], round).await;
                written.unwrap();
                assert_eq!(
                    annulus_rt::fs::copy(folder.path().join("file"), folder.path().join("copy"))
                        .await
                        .unwrap(),
                    300_000 + round
                );
                round += 1;
            }
        })
        .unwrap();
        stop.store(1, Ordering::Relaxed);
        sender.unwrap().join().unwrap();
        signal_hook::low_level::unregister(id);
    });
}

#[test]
fn appends_meet_at_the_end_whatever_the_file_was_opened_for() {
    let folder = on_disk();
    run(async {
        let file = file(&folder, "one").await;
        assert_eq!(file.append(" two").await.0.unwrap(), 4);
        let log = OpenOptions::new().append(true).open(folder.path().join("file")).await.unwrap();
        log.write_at(" three", 0).await.0.unwrap();
        file.append_all(vec![b'!'; 3]).await.0.unwrap();
        let (_, text) = file.read_to_end_at(vec![], 0).await;
        assert_eq!(text, b"one two three!!!");
        match log.write_at_with("ONE", 0, RwFlags::NOAPPEND).await.0 {
            Ok(n) => {
                let (_, text) = file.read_at(vec![0; 5], 0).await;
                assert_eq!((n, text), (3, b"ONE t".to_vec()));
            }
            // Before Linux 6.9.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
        }
    })
    .unwrap();
}

#[test]
fn a_call_has_its_own_flags_and_what_is_not_to_be_had_is_refused_by_name() {
    let folder = on_disk();
    run(async {
        let file = file(&folder, "0123456789").await;
        file.write_at_with("ab", 0, RwFlags::DSYNC).await.0.unwrap();
        file.write_at_with("cd", 2, RwFlags::SYNC | RwFlags::DSYNC).await.0.unwrap();
        let (read, buf) = file.read_at_with(vec![0; 4], 0, RwFlags::NOWAIT).await;
        assert_eq!((read.unwrap(), buf), (4, b"abcd".to_vec()));
        for flags in [RwFlags::DONTCACHE, RwFlags::DONTCACHE | RwFlags::DSYNC] {
            match file.write_at_with("ef", 4, flags).await.0 {
                Ok(n) => assert_eq!(n, 2),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
            }
        }
        // Not on a ring that does not poll; and no bit that nobody knows.
        let (polled, _) = file.read_at_with(vec![0; 4], 0, RwFlags::HIPRI).await;
        assert_eq!(polled.unwrap_err().raw_os_error(), Some(libc::EINVAL));
        let (read, bufs) = file.read_vectored_at_with([[0; 2]; 2], 0, RwFlags::NOWAIT).await;
        assert_eq!((read.unwrap(), bufs), (4, [*b"ab", *b"cd"]));
        let (atomic, _) = file.write_at_with("x", 0, RwFlags::ATOMIC).await;
        let errno = atomic.unwrap_err().raw_os_error().unwrap();
        assert!([libc::EOPNOTSUPP, libc::EINVAL].contains(&errno), "{errno}: it is not open with O_DIRECT");
    })
    .unwrap();
}

#[test]
fn offsets_beyond_4_gib_are_kept_whole() {
    let folder = on_disk();
    run(async {
        let file = file(&folder, "start").await;
        let far = (5 << 30) + 3;
        file.write_all_at("far away", far).await.0.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), far + 8);
        let (read, back) = file.read_to_end_at(vec![], far + 4).await;
        assert_eq!((read.unwrap(), back), (4, b"away".to_vec()));
        let (read, (hole, data)) = file.read_vectored_at(([1; 2], [0; 3]), far - 2).await;
        assert_eq!((read.unwrap(), hole, data), (5, [0; 2], *b"far"));
        let beyond = file.write_at("x", i64::MAX.unsigned_abs()).await.0.unwrap_err();
        assert!([Some(libc::EFBIG), Some(libc::EINVAL)].contains(&beyond.raw_os_error()), "{beyond}");
        let negative = file.read_at(vec![0; 1], 1 << 63).await.0.unwrap_err();
        assert_eq!(negative.raw_os_error(), Some(libc::EINVAL));
    })
    .unwrap();
}

#[test]
fn a_write_beyond_the_limit_of_the_process_stops_there_with_efbig() {
    alone("a_write_beyond_the_limit_of_the_process_stops_there_with_efbig", || {
        // With the default action of SIGXFSZ the process would end.
        let ignored = std::sync::atomic::AtomicBool::new(false);
        signal_hook::flag::register(libc::SIGXFSZ, Arc::new(ignored)).unwrap();
        let maximum = getrlimit(Resource::Fsize).maximum;
        let folder = on_disk();
        setrlimit(Resource::Fsize, Rlimit { current: Some(10_000), maximum }).unwrap();
        run(async {
            let file = file(&folder, "").await;
            let (written, _) = file.write_at(vec![1; 20_000], 0).await;
            assert_eq!(written.unwrap(), 10_000, "what fits is written");
            let (written, buf) = file.write_all_at(vec![1; 20_000], 0).await;
            assert_eq!((written.unwrap_err().raw_os_error(), buf.len()), (Some(libc::EFBIG), 20_000));
            let (written, _) = file.write_all_vectored_at((vec![1; 9_000], vec![2; 9_000]), 0).await;
            assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::EFBIG));
            assert_eq!(file.metadata().await.unwrap().len(), 10_000);
        })
        .unwrap();
        setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
