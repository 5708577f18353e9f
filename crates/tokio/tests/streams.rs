//! Files as streams of tokio's: copied, read by lines, sought in, beside what `tokio::fs` does; and dropped at any moment.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::future::Future;
use std::io::{self, IoSlice, SeekFrom};
use std::pin::pin;
use std::task::Poll;

use annulus_tokio::{Cursor, File, OpenOptions};
use common::{alone, descriptors, leave, random, runtime, until};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite, AsyncWriteExt, BufReader,
    BufWriter,
};
use tokio::task::JoinSet;

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| random(at).to_le_bytes()[0]).collect()
}

async fn new_file(folder: &tempfile::TempDir, name: &str) -> File {
    File::create_new(folder.path().join(name)).await.unwrap()
}

/// Drops a future after one poll. Whether it was ready.
async fn poll_once(future: impl Future) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

#[test]
fn a_file_is_copied_by_tokio_whatever_the_sizes_of_buffers() {
    let folder = tempfile::tempdir().unwrap();
    let contents = bytes(1_000_003);
    std::fs::write(folder.path().join("from"), &contents).unwrap();
    runtime(2).block_on(async {
        let from = File::open(folder.path().join("from")).await.unwrap();
        for (name, most) in [("a", 256 * 1024), ("b", 1000), ("c", 8 * 1024)] {
            let (mut source, mut target) = (from.cursor(), new_file(&folder, name).await.cursor());
            source.set_max_buf_size(most);
            target.set_max_buf_size(most);
            assert_eq!(tokio::io::copy(&mut source, &mut target).await.unwrap(), 1_000_003);
            target.flush().await.unwrap();
            assert_eq!((source.position(), target.position()), (1_000_003, 1_000_003));
            assert!(std::fs::read(folder.path().join(name)).unwrap() == contents);
        }
        let mut read = Vec::new();
        from.cursor().read_to_end(&mut read).await.unwrap();
        assert!(read == contents);
    });
}

#[test]
fn lines_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    runtime(2).block_on(async {
        let file = new_file(&folder, "lines").await;
        let mut writer = BufWriter::new(file.cursor());
        for line in 0..1000 {
            writer.write_all(format!("line {line}\n").as_bytes()).await.unwrap();
        }
        writer.shutdown().await.unwrap();
        let mut lines = BufReader::new(file.cursor()).lines();
        for line in 0..1000 {
            assert_eq!(lines.next_line().await.unwrap(), Some(format!("line {line}")));
        }
        assert_eq!(lines.next_line().await.unwrap(), None);
        let mut cursor = file.cursor();
        assert!(cursor.is_write_vectored());
        let slices = [IoSlice::new(b"LINE"), IoSlice::new(b""), IoSlice::new(b" 0\n")];
        assert_eq!(cursor.write_vectored(&slices).await.unwrap(), 7);
        let mut next = [0; 6];
        cursor.read_exact(&mut next).await.unwrap();
        assert_eq!(&next, b"line 1");
        assert_eq!(&file.read_exact_at([0; 6], 0).await.1, b"LINE 0");
    });
}

/// What the streams of both crates are asked to do.
trait Stream: AsyncRead + AsyncWrite + AsyncSeek + Unpin {}
impl<T: AsyncRead + AsyncWrite + AsyncSeek + Unpin> Stream for T {}

/// Random steps. What they gave.
async fn walk(mut stream: impl Stream, seed: u64) -> Vec<String> {
    let mut log = Vec::new();
    for step in 0..60 {
        let dice = random(seed * 1000 + step);
        let len = usize::try_from(dice >> 8 & 0x3ff).unwrap();
        let by = i64::try_from(dice >> 32 & 0xfff).unwrap() - 2048;
        log.push(match dice % 6 {
            0 | 1 => {
                let mut buf = vec![0; len];
                // To its end, as how much comes at once is not promised.
                let mut read = 0;
                while read < len {
                    match stream.read(&mut buf[read..]).await.unwrap() {
                        0 => break,
                        n => read += n,
                    }
                }
                format!("{read} {:?}", &buf[..read])
            }
            2 | 3 => format!("{:?}", stream.write_all(&bytes(len)).await.map_err(|error| error.kind())),
            4 => {
                let to = match dice >> 16 & 3 {
                    0 => SeekFrom::Start(dice >> 32 & 0xfff),
                    1 => SeekFrom::End(by),
                    _ => SeekFrom::Current(by),
                };
                format!("{to:?} {:?}", stream.seek(to).await.map_err(|error| error.raw_os_error()))
            }
            _ => format!("{:?}", stream.flush().await.map_err(|error| error.kind())),
        });
    }
    stream.flush().await.unwrap();
    log
}

#[test]
fn random_reads_writes_and_seeks_do_what_those_of_tokio_do() {
    let folder = tempfile::tempdir().unwrap();
    runtime(2).block_on(async {
        for seed in 0..40 {
            let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
            std::fs::write(&ours, bytes(3000)).unwrap();
            std::fs::write(&theirs, bytes(3000)).unwrap();
            let options = OpenOptions::new().read(true).write(true);
            let mut cursor = options.open(&ours).await.unwrap().cursor();
            cursor.set_max_buf_size(300);
            let file = tokio::fs::OpenOptions::new().read(true).write(true).open(&theirs).await.unwrap();
            assert_eq!(walk(cursor, seed).await, walk(file, seed).await, "seed {seed}");
            assert!(std::fs::read(&ours).unwrap() == std::fs::read(&theirs).unwrap(), "seed {seed}");
        }
    });
}

#[test]
fn cursors_of_one_file_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let contents = bytes(50_000);
    std::fs::write(folder.path().join("file"), &contents).unwrap();
    runtime(4).block_on(async {
        let file = File::open(folder.path().join("file")).await.unwrap();
        let mut readers = JoinSet::new();
        for reader in 0..32_usize {
            let mut cursor = Cursor::at(file.clone(), reader as u64 * 1000);
            let wanted = contents[reader * 1000..].to_vec();
            readers.spawn(async move {
                let mut read = Vec::new();
                cursor.read_to_end(&mut read).await.unwrap();
                assert!(read == wanted);
            });
        }
        while let Some(reader) = readers.join_next().await {
            reader.unwrap();
        }
    });
}

#[test]
fn what_a_dropped_read_brought_is_the_next_one_s() {
    let folder = tempfile::tempdir().unwrap();
    let contents = bytes(200_000);
    std::fs::write(folder.path().join("file"), &contents).unwrap();
    runtime(2).block_on(async {
        let mut cursor = File::open(folder.path().join("file")).await.unwrap().cursor();
        let mut all: Vec<u8> = Vec::new();
        for seed in 0.. {
            let mut buf = vec![0; 1 + usize::try_from(random(seed) % 5000).unwrap()];
            // Dropped in flight or not: nothing is lost and nothing comes twice.
            let position = cursor.position();
            if poll_once(cursor.read(&mut buf)).await {
                let read = usize::try_from(cursor.position() - position).unwrap();
                all.extend(&buf[..read]);
            }
            let mut buf = vec![0; 1 + usize::try_from(random(seed + 1_000_000) % 3000).unwrap()];
            let read = cursor.read(&mut buf).await.unwrap();
            all.extend(&buf[..read]);
            if read == 0 {
                break;
            }
        }
        assert!(all == contents);
    });
}

#[test]
fn a_write_that_nobody_waits_for_is_made_by_a_task() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime(2);
    runtime.block_on(async {
        for round in 0..100_usize {
            let path = folder.path().join(round.to_string());
            let mut cursor = File::create_new(&path).await.unwrap().cursor();
            cursor.set_max_buf_size(1 << 20);
            assert_eq!(cursor.write(&bytes(700_000)).await.unwrap(), 700_000);
            drop(cursor);
            until("it is not written", || std::fs::metadata(&path).unwrap().len() == 700_000);
            std::fs::remove_file(&path).unwrap();
        }
    });
}

#[test]
fn errors_of_streams_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "text").unwrap();
    runtime(1).block_on(async {
        let mut reading = File::open(&path).await.unwrap().cursor();
        let told = match reading.write(b"x").await {
            // Taken over first.
            Ok(_) => reading.flush().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(told.raw_os_error(), Some(libc::EBADF));
        reading.flush().await.expect("it is told once");
        assert_eq!(reading.seek(SeekFrom::Start(1)).await.unwrap(), 1);
        let before = reading.seek(SeekFrom::Current(-2)).await.unwrap_err();
        assert_eq!(before.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(reading.seek(SeekFrom::End(-5)).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(reading.seek(SeekFrom::End(-1)).await.unwrap(), 3);
        let mut rest = String::new();
        reading.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "t");
        let mut writing = OpenOptions::new().write(true).open(&path).await.unwrap().cursor();
        assert_eq!(writing.read_u8().await.unwrap_err().raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn streams_dropped_at_random_leave_no_descriptor() {
    alone("streams_dropped_at_random_leave_no_descriptor", || {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("from"), bytes(100_000)).unwrap();
        let before = descriptors();
        let runtime = runtime(3);
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for seed in 0..800_u64 {
                // Two descriptors each, of 1,024 that a process has where nobody raised the limit.
                if tasks.len() >= 200 {
                    tasks.join_next().await.expect("they are many").unwrap();
                }
                let folder = folder.path().to_owned();
                tasks.spawn(async move {
                    let work = async {
                        let mut from = File::open(folder.join("from")).await.unwrap().cursor();
                        let to = File::create(folder.join((seed % 50).to_string())).await.unwrap();
                        let mut to = to.cursor();
                        tokio::io::copy(&mut from, &mut to).await.unwrap();
                        to.seek(SeekFrom::End(0)).await.unwrap();
                        to.shutdown().await.unwrap();
                    };
                    leave(work, random(seed) % 30).await;
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
fn cursors_go_to_other_threads() {
    fn is_send_and_sync<T: Send + Sync + 'static>() {}
    is_send_and_sync::<Cursor>();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
