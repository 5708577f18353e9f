//! Bytes that do not pass through this process: files to connections, connections to connections, and sends from the
//! program's own pages. Slow peers, cold files, broken connections, futures that are dropped.

mod common;

use std::io::Write as _;
use std::net::Shutdown;
use std::path::Path;

use annulus_rt::fs::File;
use annulus_rt::io::AsyncRead as _;
use annulus_rt::net::{TcpListener, TcpStream, UnixStream};
use annulus_rt::{Either, run, select, spawn, yield_now};
use common::{alone, descriptors, on_disk, pair, turns, until_descriptors};
use rustix::fs::{Advice, fadvise};
use rustix::net::sockopt;

/// Bytes of which each place can be told from its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

/// A file with these bytes, in a folder of a file system that has a disk below it.
fn file_with(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = on_disk();
    let path = folder.path().join("file");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    (folder, path)
}

/// Takes it out of the page cache.
fn cool(path: &Path) {
    let file = std::fs::File::open(path).unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

#[test]
fn a_range_of_a_file_arrives_whole_cold_or_hot() {
    let bytes = pattern(1_000_000);
    let (_folder, path) = file_with(&bytes);
    run(async {
        let file = File::open(&path).await.unwrap();
        for cold in [false, true] {
            for range in [0..1_000_000, 1..2, 4_095..140_001, 999_000..1_000_000, 5..5] {
                if cold {
                    cool(&path);
                }
                let (near, far) = pair().await;
                let reader = spawn(async move { far.read_to_end(Vec::new()).await });
                let sent = near.send_file(&file, range.clone()).await.unwrap();
                assert_eq!(sent, range.end - range.start);
                drop(near);
                let (read, all) = reader.await.unwrap();
                read.unwrap();
                let (start, end) =
                    (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
                assert!(all == bytes[start..end], "{range:?}, cold: {cold}");
            }
        }
    })
    .unwrap();
}

#[test]
fn the_end_of_the_file_ends_the_range() {
    let (_folder, path) = file_with(b"0123456789");
    run(async {
        let file = File::open(&path).await.unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        assert_eq!(near.send_file(&file, 4..1_000_000).await.unwrap(), 6);
        assert_eq!(near.send_file(&file, 10..20).await.unwrap(), 0);
        let (result, buf) = far.recv_exact(vec![0; 6]).await;
        result.unwrap();
        assert_eq!(buf, b"456789");
    })
    .unwrap();
}

#[test]
fn what_is_in_no_page_cache_is_read_and_sent() {
    run(async {
        let file = File::open("/proc/self/limits").await.unwrap();
        let expected = std::fs::read("/proc/self/limits").unwrap();
        let (near, far) = pair().await;
        let sent = near.send_file(&file, 0..100_000).await.unwrap();
        assert_eq!(sent, expected.len() as u64);
        drop(near);
        let (read, all) = far.read_to_end(Vec::new()).await;
        read.unwrap();
        assert!(all == expected);
    })
    .unwrap();
}

#[test]
fn a_stream_without_a_descriptor_sends_files_too() {
    if !common::has_table_of_files() {
        return;
    }
    let bytes = pattern(300_000);
    let (_folder, path) = file_with(&bytes);
    run(async {
        let file = File::open(&path).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let far = listener.incoming_direct().next().await.unwrap();
        assert!(far.is_direct());
        let reader = spawn(async move { near.read_to_end(Vec::new()).await });
        assert_eq!(far.send_file(&file, 1_000..400_000).await.unwrap(), 299_000);
        drop(far);
        let (read, all) = reader.await.unwrap();
        read.unwrap();
        assert!(all == bytes[1_000..]);
    })
    .unwrap();
}

#[test]
fn a_slow_peer_holds_up_nobody_and_gets_everything() {
    let bytes = pattern(4_000_000);
    let (_folder, path) = file_with(&bytes);
    run(async {
        let file = File::open(&path).await.unwrap();
        let (near, far) = pair().await;
        // Left to itself, the system makes room for all of it.
        sockopt::set_socket_send_buffer_size(&near, 65_536).unwrap();
        sockopt::set_socket_recv_buffer_size(&far, 65_536).unwrap();
        let sending = spawn(async move { near.send_file(&file, 0..4_000_000).await });
        // The peer takes nothing; others go on all the same.
        let (one, other) = pair().await;
        for round in 0..200_u8 {
            one.send_all([round]).await.0.unwrap();
            let (received, buf) = other.recv([0; 1]).await;
            assert_eq!((received.unwrap(), buf), (1, [round]));
        }
        assert!(!sending.is_finished());
        let (read, all) = far.recv_exact(vec![0; 4_000_000]).await;
        read.unwrap();
        assert!(all == bytes);
        assert_eq!(sending.await.unwrap().unwrap(), 4_000_000);
    })
    .unwrap();
}

#[test]
fn a_peer_that_is_gone_is_an_error_and_no_signal() {
    let (_folder, path) = file_with(&pattern(3_000_000));
    run(async {
        let file = File::open(&path).await.unwrap();
        let (near, far) = pair().await;
        near.send_all("unread").await.0.unwrap();
        far.close().await.unwrap();
        let error = loop {
            match near.send_file(&file, 0..3_000_000).await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!([Some(libc::EPIPE), Some(libc::ECONNRESET)].contains(&error.raw_os_error()), "{error}");
    })
    .unwrap();
}

#[test]
fn connections_are_passed_on_as_a_whole_both_ways_at_once() {
    alone("connections_are_passed_on_as_a_whole_both_ways_at_once", || {
        let outside = descriptors();
        run(async {
            let (client, here) = pair().await;
            let (there, server) = UnixStream::pair().unwrap();
            let (here, there) = (std::rc::Rc::new(here), std::rc::Rc::new(there));
            let forth = spawn({
                let (here, there) = (here.clone(), there.clone());
                async move {
                    let passed = here.splice_to(&there, u64::MAX).await.unwrap();
                    there.shutdown(Shutdown::Write).await.unwrap();
                    passed
                }
            });
            let back = spawn(async move {
                let passed = there.splice_to(&here, u64::MAX).await.unwrap();
                here.shutdown(Shutdown::Write).await.unwrap();
                passed
            });
            let echo = spawn(async move {
                let mut receiver = server.receiver();
                while let Some(bytes) = receiver.next().await.unwrap() {
                    server.send_all(bytes).await.0.unwrap();
                }
            });
            let (read, write) = client.into_split();
            let sending = spawn(async move {
                write.send_all(pattern(2_000_000)).await.0.unwrap();
            });
            let (result, all) = read.read_to_end(Vec::new()).await;
            result.unwrap();
            assert!(all == pattern(2_000_000));
            sending.await.unwrap();
            echo.await.unwrap();
            assert_eq!((forth.await.unwrap(), back.await.unwrap()), (2_000_000, 2_000_000));
        })
        .unwrap();
        until_descriptors(outside);
    });
}

#[test]
fn what_was_being_passed_on_comes_back_when_that_is_given_up() {
    run(async {
        let (client, here) = UnixStream::pair().unwrap();
        let (there, server) = UnixStream::pair().unwrap();
        let sending = spawn(async move {
            client.send_all(pattern(1_500_000)).await.0.unwrap();
        });
        let receiving = spawn(async move { server.read_to_end(Vec::new()).await });
        let (mut turns, mut given_up) = (0_u64, 0);
        loop {
            turns += 1;
            // Long enough for some of it, and not for all.
            let patience = async {
                for _ in 0..turns * 37 % 600 {
                    yield_now().await;
                }
            };
            match select(here.splice_to(&there, 100_000), patience).await {
                Either::Left(passed) => {
                    if passed.unwrap() < 100_000 {
                        break;
                    }
                }
                Either::Right(()) => given_up += 1,
            }
            // What came back is there for a receive, and before what follows.
            if turns % 3 == 0 {
                let (received, buf) = here.recv(Vec::with_capacity(1_000)).await;
                received.unwrap();
                there.send_all(buf).await.0.unwrap();
            }
        }
        assert!(given_up > 3, "only {given_up} were given up");
        there.shutdown(Shutdown::Write).await.unwrap();
        let (read, got) = receiving.await.unwrap();
        read.unwrap();
        assert!(got == pattern(1_500_000), "lost or reordered: {} bytes", got.len());
        sending.await.unwrap();
    })
    .unwrap();
}

#[test]
fn what_comes_back_goes_before_what_had_come_with_it() {
    run(async {
        let (client, here) = UnixStream::pair().unwrap();
        let (there, server) = UnixStream::pair().unwrap();
        let sending = spawn(async move { client.send_all(pattern(150_000)).await.0 });
        // More than goes through the pipe at once was taken by a receive that nobody looks at.
        let mut receiving = Box::pin(here.recv(Vec::with_capacity(150_000)));
        assert!(matches!(select(&mut receiving, async {}).await, Either::Right(())));
        turns(2_000).await;
        drop(receiving);
        sending.await.unwrap().unwrap();
        // What goes on finds no room, and is given up.
        sockopt::set_socket_send_buffer_size(&there, 4_096).unwrap();
        assert!(matches!(select(here.splice_to(&there, 150_000), turns(2_000)).await, Either::Right(())));
        there.shutdown(Shutdown::Write).await.unwrap();
        let (read, mut all) = server.read_to_end(Vec::new()).await;
        read.unwrap();
        let rest = 150_000 - all.len();
        let (read, back) = here.recv_exact(vec![0; rest]).await;
        read.unwrap();
        all.extend_from_slice(&back);
        assert!(all == pattern(150_000), "another order");
    })
    .unwrap();
}

#[test]
fn a_connection_that_breaks_gives_back_what_it_did_not_take() {
    // A child that another test begins has all descriptors of this process until it is its own program.
    alone("a_connection_that_breaks_gives_back_what_it_did_not_take", || {
        run(async {
            let (client, here) = UnixStream::pair().unwrap();
            let (there, server) = UnixStream::pair().unwrap();
            server.close().await.unwrap();
            client.send_all("not lost").await.0.unwrap();
            let error = here.splice_to(&there, u64::MAX).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
            let (received, buf) = here.recv(Vec::with_capacity(16)).await;
            assert_eq!((received.unwrap(), &buf[..]), (8, &b"not lost"[..]));
        })
        .unwrap();
    });
}

#[test]
fn sends_from_ones_own_pages_arrive_and_say_whether_they_were_copied() {
    run(async {
        let (near, far) = pair().await;
        let reader = spawn(async move { far.recv_exact(vec![0; 3_000_000]).await });
        let (sent, buf) = near.send_all_zc(pattern(1_000_000)).await;
        let sent = sent.unwrap();
        // The loopback device cannot do without a copy, and neither can the engine.
        assert_eq!((sent.len, sent.copied), (1_000_000, true));
        assert!(buf == pattern(1_000_000));
        let bufs: Vec<_> = buf.chunks(500).map(<[u8]>::to_vec).collect();
        assert_eq!(bufs.len(), 2_000);
        let (sent, bufs) = near.send_all_vectored_zc(bufs).await;
        assert_eq!((sent.unwrap().len, bufs.len()), (1_000_000, 2_000));
        let (sent, _) = near.send_all_zc(buf).await;
        assert_eq!(sent.unwrap().len, 1_000_000);
        let (result, all) = reader.await.unwrap();
        result.unwrap();
        assert!(all.chunks(1_000_000).all(|chunk| chunk == pattern(1_000_000)));
        // Where the protocol cannot, it is an ordinary send.
        let (near, far) = UnixStream::pair().unwrap();
        let (sent, _) = near.send_zc("ordinary").await;
        let sent = sent.unwrap();
        assert_eq!((sent.len, sent.copied), (8, true));
        assert_eq!(far.recv(vec![0; 16]).await.0.unwrap(), 8);
        let (sent, _) = near.send_all_vectored_zc(vec!["one", "two"]).await;
        assert_eq!(sent.unwrap().len, 6);
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
