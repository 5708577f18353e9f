//! Connections of this machine: paths and abstract names, who is at the other end, and descriptors that are passed.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;

use std::fs::File;
use std::io::Read as _;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::time::Duration;

use annulus_rt::io::{AsyncRead as _, AsyncWrite as _};
use annulus_rt::net::{UnixAddr, UnixDatagram, UnixListener, UnixStream};
use annulus_rt::time::timeout;
use annulus_rt::{Either, run, select, spawn, yield_now};
use common::{
    alone, descriptors, in_flight, on_the_engine, settled_at, settled_descriptors, until_descriptors,
};

/// A pipe whose reading end has these bytes in it.
fn pipe_with(bytes: &[u8]) -> OwnedFd {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    rustix::io::write(&write, bytes).unwrap();
    read
}

fn text_of(fd: OwnedFd) -> String {
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_path_is_listened_on_and_stays_when_the_listener_is_gone() {
    // A child that another test begins has all descriptors of this process until it is its own program.
    alone("a_path_is_listened_on_and_stays_when_the_listener_is_gone", || {
        let folder = tempfile::tempdir().unwrap();
        run(async {
            let path = folder.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
            let near = UnixStream::connect(&path).await.unwrap();
            let (far, peer) = listener.accept_from().await.unwrap();
            assert!(peer.is_unnamed() && far.peer_addr().unwrap().is_unnamed());
            assert_eq!(near.peer_addr().unwrap().as_pathname(), Some(&*path));
            near.send_all("over a path").await.0.unwrap();
            let (result, buf) = far.recv_exact(vec![0; 11]).await;
            result.unwrap();
            assert_eq!(buf, b"over a path");
            listener.close().await.unwrap();
            assert!(path.exists());
            let refused = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
            let taken = UnixListener::bind(&path).unwrap_err();
            assert_eq!(taken.raw_os_error(), Some(libc::EADDRINUSE));
            let long = UnixStream::connect("x".repeat(200)).await.unwrap_err();
            assert_eq!(long.kind(), std::io::ErrorKind::InvalidInput);
        })
        .unwrap();
    });
}

#[test]
fn an_abstract_name_needs_no_file_and_many_connect_to_it() {
    run(async {
        let name = format!("annulus-test-{}-{}", std::process::id(), on_the_engine());
        let address = UnixAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind(&address).unwrap();
        let server = spawn(async move {
            let mut incoming = listener.incoming();
            for _ in 0..30 {
                let stream = incoming.next().await.unwrap();
                spawn(async move {
                    let mut receiver = stream.receiver();
                    while let Some(bytes) = receiver.next().await.unwrap() {
                        stream.send_all(bytes).await.0.unwrap();
                    }
                });
            }
        });
        for round in 0..30_u8 {
            let client = UnixStream::connect(&address).await.unwrap();
            client.write_all(vec![round; 1_000]).await.0.unwrap();
            let (result, back) = client.read_exact(vec![0; 1_000]).await;
            result.unwrap();
            assert_eq!(back, vec![round; 1_000]);
        }
        server.await.unwrap();
    })
    .unwrap();
}

#[test]
fn the_process_at_the_other_end_is_known() {
    run(async {
        let (near, _far) = UnixStream::pair().unwrap();
        let peer = near.peer_credentials().unwrap();
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
        let pidfd = match near.peer_pidfd() {
            Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
                return println!("SKIP: no SO_PEERPIDFD (Linux 6.5)");
            }
            pidfd => pidfd.unwrap(),
        };
        rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::CONT).unwrap();
    })
    .unwrap();
}

#[test]
fn descriptors_come_with_the_bytes_they_were_sent_with() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (sent, (_, fds)) = near.send_fds("two", vec![pipe_with(b"one"), pipe_with(b"other")]).await;
        assert_eq!((sent.unwrap(), fds.len()), (3, 2));
        drop(fds);
        let (received, buf) = far.recv_fds(Vec::with_capacity(16), 8).await;
        let received = received.unwrap();
        assert_eq!((received.len, &buf[..], received.truncated), (3, &b"two"[..], false));
        let texts: Vec<_> = received.fds.into_iter().map(text_of).collect();
        assert_eq!(texts, ["one", "other"]);
        // More than there is room for: the rest is closed, and it is said.
        let three: Vec<_> = (0..3).map(|_| pipe_with(b"x")).collect();
        near.send_fds("three", three).await.0.unwrap();
        let (received, _) = far.recv_fds(buf, 1).await;
        let received = received.unwrap();
        assert_eq!((received.fds.len(), received.truncated), (1, true));
        near.send_fds::<_, OwnedFd>("none", Vec::new()).await.0.unwrap();
        let (received, _) = far.recv_fds(vec![0; 9], 4).await;
        let received = received.unwrap();
        assert_eq!((received.len, received.fds.len(), received.truncated), (4, 0, false));
        let many: Vec<_> = (0..300).map(|_| pipe_with(b"x")).collect();
        let refused = near.send_fds("too many", many).await.0.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
    })
    .unwrap();
}

#[test]
fn descriptors_come_with_datagrams() {
    run(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.send_fds("with", vec![pipe_with(b"text")], None).await.0.unwrap();
        let (received, _) = far.recv_fds(vec![0; 9], 4).await;
        let (datagram, mut fds) = received.unwrap();
        assert_eq!((datagram.len, fds.len()), (4, 1));
        assert_eq!(text_of(fds.remove(0)), "text");
        // What a dropped receive had taken comes with its descriptors.
        loop {
            let waited = select(far.recv_fds(vec![0; 9], 4), yield_now()).await;
            let Either::Left(_) = waited else { break };
        }
        near.send_fds("kept", vec![pipe_with(b"kept")], None).await.0.unwrap();
        let (received, _) = far.recv_fds(vec![0; 9], 4).await;
        let (datagram, mut fds) = received.unwrap();
        assert_eq!((datagram.whole, fds.len()), (4, 1));
        assert_eq!(text_of(fds.remove(0)), "kept");
        near.shutdown(Shutdown::Both).await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_receive_of_descriptors_that_is_dropped_keeps_the_bytes_and_closes_the_descriptors() {
    alone("a_receive_of_descriptors_that_is_dropped_keeps_the_bytes_and_closes_the_descriptors", || {
        let outside = descriptors();
        run(async {
            for warm in [true, false] {
                let before = settled_descriptors().await;
                let (near, far) = UnixStream::pair().unwrap();
                for round in 0..200_usize {
                    let turns = async {
                        for _ in 0..round % 4 {
                            yield_now().await;
                        }
                    };
                    // Before, while or after the message comes.
                    let receive = async {
                        select(far.recv_fds(Vec::with_capacity(8), 4), turns).await;
                    };
                    let send = async {
                        for _ in 0..round % 3 {
                            yield_now().await;
                        }
                        near.send_fds([u8::try_from(round).unwrap()], vec![pipe_with(b"x")]).await.0.unwrap();
                    };
                    futures_both(receive, send).await;
                }
                near.shutdown(Shutdown::Write).await.unwrap();
                // Receives that were not dropped had some of them; the others are all there.
                let (result, _) = far.read_to_end(Vec::new()).await;
                result.unwrap();
                drop((near, far));
                if warm {
                    in_flight(0).await;
                } else {
                    settled_at(before).await;
                }
            }
        })
        .unwrap();
        until_descriptors(outside);
    });
}

/// Waits for both.
async fn futures_both(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    let (mut one_done, mut other_done) = (false, false);
    std::future::poll_fn(|cx| {
        one_done = one_done || one.as_mut().poll(cx).is_ready();
        other_done = other_done || other.as_mut().poll(cx).is_ready();
        if one_done && other_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[test]
fn the_bytes_of_dropped_receives_of_descriptors_go_to_the_next_receive() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let mut dropped = 0;
        while dropped < 20 {
            match select(far.recv_fds(Vec::with_capacity(8), 4), yield_now()).await {
                Either::Left(_) => {}
                Either::Right(()) => dropped += 1,
            }
        }
        near.send_fds("abc", vec![pipe_with(b"x")]).await.0.unwrap();
        let (received, buf) =
            timeout(Duration::from_secs(20), far.recv(Vec::with_capacity(8))).await.unwrap();
        assert_eq!((received.unwrap(), &buf[..]), (3, &b"abc"[..]));
    })
    .unwrap();
}

#[test]
fn the_halves_of_a_stream_have_owners_of_their_own() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (read, write) = near.into_split();
        let writing = spawn(async move {
            for _ in 0..100 {
                write.send_all(vec![5; 1_000]).await.0.unwrap();
            }
            write
        });
        let (result, all) = far.read_exact(vec![0; 100_000]).await;
        result.unwrap();
        assert!(all.iter().all(|byte| *byte == 5));
        let write = writing.await.unwrap();
        // Put together and split again, nothing has ended.
        let (read, write) = read.reunite(write).unwrap().into_split();
        far.send_all("still open").await.0.unwrap();
        assert_eq!(read.recv(vec![0; 16]).await.0.unwrap(), 10);
        drop(write);
        assert_eq!(far.recv(vec![0; 16]).await.0.unwrap(), 0);

        let (one, _far) = UnixStream::pair().unwrap();
        let (other, _) = UnixStream::pair().unwrap();
        let (_, write) = one.into_split();
        let (read, other_write) = other.into_split();
        other_write.leave_open();
        let refused = read.reunite(write).unwrap_err();
        assert_eq!(refused.to_string(), "the two halves are of different streams");
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
