//! Bytes through pipes without a copy: pipes, sockets and files on either side, ends, borders, errors, futures that are dropped.
#![allow(clippy::print_stdout, reason = "the seed")]

mod common;

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::pin::pin;

use annulus_rt::fs::{File, OpenOptions};
use annulus_rt::io::{AsyncRead as _, AsyncWrite as _, PipeReader, PipeWriter, pipe};
use annulus_rt::net::{DirectTcpStream, TcpListener, TcpStream, UnixStream};
use annulus_rt::process::{Command, Stdio};
use annulus_rt::{Either, run, select, spawn};
use common::{Numbers, pair, turns};
use fastrand::Rng;

/// Bytes of which each place can be told from its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

/// A connection whose second end has no descriptor.
async fn direct_pair() -> (TcpStream, DirectTcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let far = listener.incoming_direct().next().await.unwrap();
    assert!(far.is_direct());
    (near, far)
}

fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// Takes the first bytes that a pipe gives into a buffer nobody waits for: they go to what is next.
async fn drop_a_read(reader: &PipeReader) {
    let mut reading = Box::pin(reader.read(Vec::with_capacity(100_000)));
    assert!(matches!(select(&mut reading, turns(0)).await, Either::Right(())));
    turns(100).await;
}

#[test]
fn bytes_go_from_pipe_to_pipe_in_parts_until_the_end() {
    run(async {
        let ((source, feed), (reader, sink)) = (pipe().unwrap(), pipe().unwrap());
        feed.write_all("0123456789").await.0.unwrap();
        assert_eq!(source.splice_to_pipe(&sink, 4).await.unwrap(), 4);
        assert_eq!(source.splice_to_pipe(&sink, 0).await.unwrap(), 0);
        assert_eq!(source.tee_to(&sink, 3).await.unwrap(), 3);
        assert_eq!(source.splice_to_pipe(&sink, usize::MAX >> 1).await.unwrap(), 6);
        feed.shutdown().await.unwrap();
        assert_eq!(source.splice_to_pipe(&sink, 10).await.unwrap(), 0);
        assert_eq!(source.tee_to(&sink, 10).await.unwrap(), 0);
        sink.shutdown().await.unwrap();
        assert_eq!(reader.read_to_end(Vec::new()).await.1, b"0123456456789");
    })
    .unwrap();
}

#[test]
fn a_splice_waits_for_bytes_and_then_for_room() {
    run(async {
        let ((source, feed), (reader, sink)) = (pipe().unwrap(), pipe().unwrap());
        let moving = spawn(async move {
            let mut moved = 0;
            loop {
                match source.splice_to_pipe(&sink, 50_000).await.unwrap() {
                    0 => return moved,
                    n => moved += n,
                }
            }
        });
        turns(200).await;
        assert!(!moving.is_finished());
        let feeding = spawn(async move { feed.write_all(pattern(1_000_000)).await.0 });
        // Both pipes are full, and nobody reads.
        turns(500).await;
        assert!(!moving.is_finished() && !feeding.is_finished());
        let (read, all) = reader.read_to_end(Vec::new()).await;
        assert_eq!(read.unwrap(), 1_000_000);
        assert!(all == pattern(1_000_000));
        feeding.await.unwrap().unwrap();
        assert_eq!(moving.await.unwrap(), 1_000_000);
    })
    .unwrap();
}

#[test]
fn tee_gives_two_readers_all_of_it() {
    run(async {
        let ((source, feed), (one, first), (two, second)) =
            (pipe().unwrap(), pipe().unwrap(), pipe().unwrap());
        let feeding = spawn(async move { feed.write_all(pattern(500_000)).await.0 });
        let reading = [one, two].map(|reader| spawn(async move { reader.read_to_end(Vec::new()).await }));
        loop {
            let copied = source.tee_to(&first, 30_000).await.unwrap();
            if copied == 0 {
                break;
            }
            let mut left = copied;
            while left > 0 {
                left -= source.splice_to_pipe(&second, left).await.unwrap();
            }
        }
        drop((first, second));
        for reading in reading {
            let (read, all) = reading.await.unwrap();
            read.unwrap();
            assert!(all == pattern(500_000));
        }
        feeding.await.unwrap().unwrap();
    })
    .unwrap();
}

/// Through a pipe, a connection, another pipe: all of it, in order, though the last reader is slow.
macro_rules! through {
    ($near:ident, $far:ident) => {{
        let ((source, feed), (reader, sink)) = (pipe().unwrap(), pipe().unwrap());
        let feeding = spawn(async move { feed.write_all(pattern(3_000_000)).await.0 });
        let sending = spawn(async move {
            while source.splice_to_stream(&$near, 100_000).await.unwrap() > 0 {}
            $near.shutdown(Shutdown::Write).await.unwrap();
            $near
        });
        let receiving = spawn(async move {
            let mut moved = 0;
            loop {
                match sink.splice_from_stream(&$far, 90_000).await.unwrap() {
                    0 => return moved,
                    n => moved += n,
                }
            }
        });
        turns(1_000).await;
        assert!(!feeding.is_finished());
        let (read, all) = reader.read_to_end(Vec::new()).await;
        read.unwrap();
        assert!(all == pattern(3_000_000), "{} bytes", all.len());
        feeding.await.unwrap().unwrap();
        sending.await.unwrap();
        assert_eq!(receiving.await.unwrap(), 3_000_000);
    }};
}

#[test]
fn bytes_go_from_pipe_to_socket_to_pipe() {
    run(async {
        let (near, far) = pair().await;
        through!(near, far);
        let (near, far) = UnixStream::pair().unwrap();
        through!(near, far);
    })
    .unwrap();
}

#[test]
fn a_connection_without_a_descriptor_is_as_good() {
    if !common::has_table_of_files() {
        return;
    }
    run(async {
        let (near, far) = direct_pair().await;
        through!(near, far);
        let (near, far) = direct_pair().await;
        through!(far, near);
    })
    .unwrap();
}

#[test]
fn halves_of_a_stream_stand_for_it() {
    run(async {
        let ((near, far), (source, feed)) = (pair().await, pipe().unwrap());
        let (_read, write) = near.into_split();
        let (read, _write) = far.into_split();
        feed.write_all("half").await.0.unwrap();
        assert_eq!(source.splice_to_stream(&write, 10).await.unwrap(), 4);
        assert_eq!(feed.splice_from_stream(&read, 10).await.unwrap(), 4);
        assert_eq!(source.read(Vec::with_capacity(10)).await.1, b"half");
    })
    .unwrap();
}

#[test]
fn bytes_go_between_places_in_files() {
    let folder = common::on_disk();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::write(&from, pattern(1_000_000)).unwrap();
    std::fs::write(&to, [7; 10]).unwrap();
    run(async {
        let file = File::open(&from).await.unwrap();
        let target = OpenOptions::new().read(true).write(true).open(&to).await.unwrap();
        let (reader, writer) = pipe().unwrap();
        let filling = spawn(async move {
            let mut from = 1_000;
            loop {
                match writer.splice_from_file(&file, from, 200_000).await.unwrap() {
                    0 => return from,
                    n => from += n as u64,
                }
            }
        });
        turns(500).await;
        assert!(!filling.is_finished(), "a pipe has its bounds");
        let mut at = 5;
        loop {
            match reader.splice_to_file(&target, at, 70_000).await.unwrap() {
                0 => break,
                n => at += n as u64,
            }
        }
        assert_eq!((filling.await.unwrap(), at), (1_000_000, 999_005));
        let all = std::fs::read(&to).unwrap();
        assert!(all[..5] == [7; 5] && all[5..] == pattern(1_000_000)[1_000..]);
        // Behind its end a file has nothing; behind that of another there is a hole.
        let (file, (reader, writer)) = (File::open(&from).await.unwrap(), pipe().unwrap());
        assert_eq!(writer.splice_from_file(&file, 1_000_000, 10).await.unwrap(), 0);
        assert_eq!(writer.splice_from_file(&file, 999_990, 100).await.unwrap(), 10);
        assert_eq!(reader.splice_to_file(&target, 1_000_000, 100).await.unwrap(), 10);
        assert_eq!(std::fs::metadata(&to).unwrap().len(), 1_000_010);
    })
    .unwrap();
}

#[test]
fn what_a_dropped_read_had_taken_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let ((source, feed), (reader, sink)) = (pipe().unwrap(), pipe().unwrap());
        let (near, far) = UnixStream::pair().unwrap();
        let options = OpenOptions::new().read(true).write(true).create(true);
        let file = options.open(folder.path().join("file")).await.unwrap();
        let again = async |bytes: &'static str| {
            drop_a_read(&source).await;
            feed.write_all(bytes).await.0.unwrap();
            turns(100).await;
            feed.write_all("...").await.0.unwrap();
        };
        // A copy leaves them where they are.
        feed.write_all("kept").await.0.unwrap();
        drop_a_read(&source).await;
        assert_eq!(source.tee_to(&sink, 2).await.unwrap(), 2);
        assert_eq!(source.splice_to_pipe(&sink, 3).await.unwrap(), 3);
        assert_eq!(source.splice_to_stream(&near, 10).await.unwrap(), 1);
        again("abc").await;
        let mut at = 0;
        while at < 6 {
            at += source.splice_to_file(&file, at, 5).await.unwrap() as u64;
        }
        assert_eq!(reader.read(Vec::with_capacity(16)).await.1, b"kekep");
        assert_eq!(far.recv(Vec::with_capacity(16)).await.1, b"t");
        assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"abc...");
        // And what a dropped receive had.
        near.send_all("stream").await.0.unwrap();
        let mut receiving = Box::pin(far.recv(Vec::with_capacity(16)));
        assert!(matches!(select(&mut receiving, turns(0)).await, Either::Right(())));
        turns(100).await;
        drop(receiving);
        assert_eq!(sink.splice_from_stream(&far, 4).await.unwrap(), 4);
        assert_eq!(sink.splice_from_stream(&far, 4).await.unwrap(), 2);
        assert_eq!(reader.read(Vec::with_capacity(16)).await.1, b"stream");
    })
    .unwrap();
}

#[test]
fn what_cannot_be_is_an_error_and_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "0123").unwrap();
    run(async {
        let ((source, feed), (near, _far)) = (pipe().unwrap(), UnixStream::pair().unwrap());
        feed.write_all("some").await.0.unwrap();
        // No pipes at all.
        let plain = |path| OwnedFd::from(std::fs::File::options().read(true).write(true).open(path).unwrap());
        let (no_reader, no_writer) = (PipeReader::from(plain(&path)), PipeWriter::from(plain(&path)));
        let file = File::open(&path).await.unwrap();
        assert_eq!(errno(source.splice_to_pipe(&no_writer, 9).await), Some(libc::EINVAL));
        assert_eq!(errno(no_reader.tee_to(&feed, 9).await), Some(libc::EINVAL));
        assert_eq!(errno(no_reader.splice_to_stream(&near, 9).await), Some(libc::EINVAL));
        assert_eq!(errno(no_reader.splice_to_file(&file, 0, 9).await), Some(libc::EINVAL));
        assert_eq!(errno(no_writer.splice_from_stream(&near, 9).await), Some(libc::EINVAL));
        assert_eq!(errno(no_writer.splice_from_file(&file, 0, 9).await), Some(libc::EINVAL));
        // The same pipe; places that cannot be; a file that only grows at its end, one that cannot be written.
        assert_eq!(errno(source.splice_to_pipe(&feed, 9).await), Some(libc::EINVAL));
        let far_off = u64::try_from(i64::MAX).unwrap() + 1;
        assert_eq!(errno(source.splice_to_file(&file, far_off, 9).await), Some(libc::EINVAL));
        assert_eq!(errno(feed.splice_from_file(&file, u64::MAX, 9).await), Some(libc::EINVAL));
        assert_eq!(errno(source.splice_to_file(&file, 0, 9).await), Some(libc::EBADF));
        let grows = OpenOptions::new().append(true).open(&path).await.unwrap();
        assert_eq!(errno(source.splice_to_file(&grows, 0, 9).await), Some(libc::EINVAL));
        assert_eq!(source.read(Vec::with_capacity(16)).await.1, b"some");

        // Nobody reads any more; the end was shut down.
        feed.write_all("more").await.0.unwrap();
        let (gone, sink) = pipe().unwrap();
        gone.close().await.unwrap();
        assert_eq!(errno(source.splice_to_pipe(&sink, 9).await), Some(libc::EPIPE));
        assert_eq!(errno(source.tee_to(&sink, 9).await), Some(libc::EPIPE));
        assert_eq!(errno(sink.splice_from_file(&file, 0, 9).await), Some(libc::EPIPE));
        sink.shutdown().await.unwrap();
        assert_eq!(errno(source.splice_to_pipe(&sink, 9).await), Some(libc::EPIPE));
        assert_eq!(errno(sink.splice_from_stream(&near, 9).await), Some(libc::EPIPE));
        let (near, far) = UnixStream::pair().unwrap();
        far.close().await.unwrap();
        assert_eq!(errno(source.splice_to_stream(&near, 9).await), Some(libc::EPIPE));
        assert_eq!(source.read(Vec::with_capacity(16)).await.1, b"more");
    })
    .unwrap();
}

#[test]
fn what_a_child_writes_goes_to_a_connection() {
    run(async {
        let mut command = Command::new("sh");
        command.args(["-c", "echo from a child"]).stdout(Stdio::piped());
        let mut child = command.spawn().await.unwrap();
        let output = PipeReader::from(child.stdout.take().unwrap());
        let (near, far) = pair().await;
        while output.splice_to_stream(&near, 1_000).await.unwrap() > 0 {}
        drop(near);
        assert_eq!(far.read_to_end(Vec::new()).await.1, b"from a child\n");
        assert!(child.wait().await.unwrap().success());
    })
    .unwrap();
}

/// What is between the two ends of a round: which of the ways, and what it is done with.
enum Way {
    Pipe(PipeReader, PipeWriter),
    Out(PipeReader, UnixStream),
    OutDirect(PipeReader, DirectTcpStream),
    In(UnixStream, PipeWriter),
    InDirect(DirectTcpStream, PipeWriter),
}

#[test]
fn a_splice_that_is_dropped_at_any_moment_loses_no_byte() {
    if !common::has_table_of_files() {
        return;
    }
    const LEN: usize = 400_000;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    for kind in 0..5 {
        run(async {
            let (from, to) = (pipe().unwrap(), pipe().unwrap());
            let (near, far) = UnixStream::pair().unwrap();
            let (other, direct) = direct_pair().await;
            let all = pattern(LEN);
            // Where the bytes are put in, between what they are moved, and where they come out.
            let (feeding, way, reading) = match kind {
                0 => (
                    spawn(async move { from.1.write_all(all).await.0 }),
                    Way::Pipe(from.0, to.1),
                    spawn(async move { to.0.read_to_end(Vec::new()).await.1 }),
                ),
                1 => (
                    spawn(async move { from.1.write_all(all).await.0 }),
                    Way::Out(from.0, near),
                    spawn(async move { far.read_to_end(Vec::new()).await.1 }),
                ),
                2 => (
                    spawn(async move { from.1.write_all(all).await.0 }),
                    Way::OutDirect(from.0, direct),
                    spawn(async move { other.read_to_end(Vec::new()).await.1 }),
                ),
                3 => (
                    spawn(async move { far.send_all(all).await.0 }),
                    Way::In(near, to.1),
                    spawn(async move { to.0.read_to_end(Vec::new()).await.1 }),
                ),
                _ => (
                    spawn(async move { other.send_all(all).await.0 }),
                    Way::InDirect(direct, to.1),
                    spawn(async move { to.0.read_to_end(Vec::new()).await.1 }),
                ),
            };
            let mut rng = Rng::with_seed(seed.wrapping_add(kind));
            let (mut given_up, mut ended) = (0, false);
            while !ended {
                let len = rng.usize(1..3_000);
                let moving = async {
                    match &way {
                        Way::Pipe(from, to) => from.splice_to_pipe(to, len).await,
                        Way::Out(from, to) => from.splice_to_stream(to, len).await,
                        Way::OutDirect(from, to) => from.splice_to_stream(to, len).await,
                        Way::In(from, to) => to.splice_from_stream(from, len).await,
                        Way::InDirect(from, to) => to.splice_from_stream(from, len).await,
                    }
                };
                // Some come to their end: what is dropped each time before it sees the end of a stream never does.
                let patience = if rng.u8(0..4) == 0 { 2_000 } else { rng.u64(0..150) };
                match select(pin!(moving), turns(patience)).await {
                    Either::Left(moved) => ended = moved.unwrap() == 0,
                    Either::Right(()) => given_up += 1,
                }
            }
            drop(way);
            feeding.await.unwrap().unwrap();
            let read = reading.await.unwrap();
            assert!(read == pattern(LEN), "kind {kind}: {} bytes, or another order", read.len());
            assert!(given_up > 0, "none was dropped");
        })
        .unwrap();
    }
}

#[test]
fn bytes_of_a_dropped_splice_to_a_file_are_there_or_still_to_be_read() {
    let folder = common::on_disk();
    let path = folder.path().join("file");
    let mut numbers = Numbers(fastrand::u64(..));
    println!("seed {}", numbers.0);
    run(async {
        let options = OpenOptions::new().read(true).write(true).create(true);
        let file = options.open(&path).await.unwrap();
        for _ in 0..200 {
            let (source, feed) = pipe().unwrap();
            let len = 1 + usize::try_from(numbers.below(60_000)).unwrap();
            feed.write_all(pattern(len)).await.0.unwrap();
            feed.shutdown().await.unwrap();
            file.set_len(0).await.unwrap();
            let most = 1 + usize::try_from(numbers.below(60_000)).unwrap();
            let given_up =
                select(pin!(source.splice_to_file(&file, 0, most)), turns(numbers.below(300))).await;
            // It waits until it is known how many there are.
            let (read, rest) = source.read_to_end(Vec::new()).await;
            read.unwrap();
            let mut all = std::fs::read(&path).unwrap();
            if let Either::Left(moved) = given_up {
                assert_eq!(moved.unwrap(), all.len());
            }
            all.extend_from_slice(&rest);
            assert!(all == pattern(len), "{} of {len} bytes", all.len());
        }
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
