//! Connections that have messages: their borders, what does not fit, the end, descriptors, and futures that are dropped.
#![allow(clippy::print_stdout, reason = "the seed")]

mod common;

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::pin::pin;

use annulus_rt::net::{UnixAddr, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};
use annulus_rt::{Either, run, select, spawn};
use common::{alone, descriptors, settled_descriptors, turns};
use fastrand::Rng;

fn name(of: &str) -> UnixAddr {
    UnixAddr::from_abstract_name(format!("annulus-seqpacket-{of}-{}", std::process::id())).unwrap()
}

#[test]
fn messages_keep_their_borders() {
    run(async {
        let (near, far) = UnixSeqpacket::pair().unwrap();
        assert_eq!(near.send("one").await.0.unwrap(), 3);
        assert_eq!(near.send_vectored(vec!["an", "", "other"]).await.0.unwrap(), 7);
        far.send("back").await.0.unwrap();
        let (received, bytes) = far.recv_from(Vec::with_capacity(64)).await;
        let message = received.unwrap();
        assert_eq!(
            (message.len, message.whole, message.is_truncated(), bytes.as_slice()),
            (3, 3, false, &b"one"[..])
        );
        assert!(message.from.is_unnamed());
        assert_eq!(far.peek_from(Vec::with_capacity(64)).await.1, b"another");
        let (received, parts) =
            far.recv_from_vectored(vec![Vec::with_capacity(2), Vec::with_capacity(64)]).await;
        assert_eq!((received.unwrap().whole, parts), (7, vec![b"an".to_vec(), b"other".to_vec()]));
        assert_eq!(near.recv(Vec::with_capacity(64)).await.1, b"back");
    })
    .unwrap();
}

#[test]
fn what_does_not_fit_is_told_and_never_taken_for_the_next_message() {
    run(async {
        let (near, far) = UnixSeqpacket::pair().unwrap();
        for _ in 0..3 {
            near.send(vec![7; 10_000]).await.0.unwrap();
            near.send("next").await.0.unwrap();
        }
        let (received, bytes) = far.recv(Vec::with_capacity(100)).await;
        let message = received.unwrap();
        assert_eq!(
            (message.len, message.whole, message.is_truncated(), bytes),
            (100, 10_000, true, vec![7; 100])
        );
        assert_eq!(far.recv(Vec::with_capacity(100)).await.1, b"next");
        let (received, _) = far.recv_from_vectored(vec![vec![0; 10], vec![0; 20]]).await;
        let message = received.unwrap();
        assert_eq!((message.len, message.whole), (30, 10_000));
        assert_eq!(far.recv(Vec::with_capacity(100)).await.1, b"next");
        // A buffer of the pool is too small as well.
        let mut messages = far.datagrams();
        let cut = messages.next().await.unwrap();
        assert_eq!((cut.about.whole, cut.about.is_truncated()), (10_000, cut.len() < 10_000));
        assert_eq!(&*messages.next().await.unwrap(), b"next");
    })
    .unwrap();
}

#[test]
fn the_end_is_not_an_empty_message() {
    run(async {
        for closes in [true, false] {
            let (near, far) = UnixSeqpacket::pair().unwrap();
            assert!(!far.peer_has_ended().unwrap());
            assert_eq!(near.send("").await.0.unwrap(), 0);
            near.send("after it").await.0.unwrap();
            if closes {
                near.close().await.unwrap();
            } else {
                near.shutdown(Shutdown::Write).await.unwrap();
                far.send("the other direction is open").await.0.unwrap();
            }
            let message = far.recv(Vec::with_capacity(64)).await.0.unwrap();
            assert_eq!((message.whole, far.peer_has_ended().unwrap()), (0, false));
            assert_eq!(far.recv(Vec::with_capacity(64)).await.1, b"after it");
            for _ in 0..3 {
                let message = far.recv(Vec::with_capacity(64)).await.0.unwrap();
                assert_eq!((message.whole, far.peer_has_ended().unwrap()), (0, true));
            }
            let mut messages = far.datagrams();
            for _ in 0..3 {
                assert_eq!(messages.next().await.unwrap().about.whole, 0);
            }
        }
    })
    .unwrap();
}

#[test]
fn a_peer_that_is_gone_is_an_error_and_no_signal() {
    run(async {
        let (near, far) = UnixSeqpacket::pair().unwrap();
        far.close().await.unwrap();
        assert_eq!(near.send("x").await.0.unwrap_err().raw_os_error(), Some(libc::EPIPE));
        let (near, _far) = UnixSeqpacket::pair().unwrap();
        let (sent, back) = near.send(vec![0; 10_000_000]).await;
        assert_eq!((sent.unwrap_err().raw_os_error(), back.len()), (Some(libc::EMSGSIZE), 10_000_000));
    })
    .unwrap();
}

#[test]
fn connections_are_accepted_in_every_way() {
    run(async {
        let name = name("accept");
        let listener = UnixSeqpacketListener::bind(&name).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_abstract_name(), name.as_abstract_name());
        let near = UnixSeqpacket::connect(&name).await.unwrap();
        let far = listener.accept().await.unwrap();
        near.send("accepted").await.0.unwrap();
        assert_eq!(far.recv(Vec::with_capacity(64)).await.1, b"accepted");
        assert_eq!(far.peer_credentials().unwrap().pid, Some(std::process::id()));
        assert_eq!(near.peer_addr().unwrap().as_abstract_name(), name.as_abstract_name());
        let near = UnixSeqpacket::connect(&name).await.unwrap();
        let (far, peer) = listener.accept_from().await.unwrap();
        assert!(peer.is_unnamed());
        drop((near, far));
        let mut incoming = listener.incoming();
        for _ in 0..3 {
            let near = UnixSeqpacket::connect(&name).await.unwrap();
            let far = incoming.next().await.unwrap();
            far.send("to it").await.0.unwrap();
            assert_eq!(near.recv(Vec::with_capacity(64)).await.1, b"to it");
        }
    })
    .unwrap();
}

#[test]
fn a_connection_without_a_descriptor_has_messages_too() {
    run(async {
        let name = name("direct");
        let listener = UnixSeqpacketListener::bind(&name).unwrap();
        let mut incoming = listener.incoming_direct();
        let near = UnixSeqpacket::connect(&name).await.unwrap();
        let far = incoming.next().await.unwrap();
        for len in [1, 100, 5_000] {
            near.send(vec![7; len]).await.0.unwrap();
            let (received, bytes) = far.recv(Vec::with_capacity(1_000)).await;
            assert_eq!((received.unwrap().whole, bytes.len()), (len, len.min(1_000)));
            far.send_vectored(vec![vec![1; len], vec![2]]).await.0.unwrap();
            assert_eq!(near.recv(Vec::with_capacity(10_000)).await.1.len(), len + 1);
        }
        let mut messages = far.datagrams();
        near.send("pooled").await.0.unwrap();
        assert_eq!(&*messages.next().await.unwrap(), b"pooled");
        drop(messages);
        drop(near);
        assert_eq!(far.recv(Vec::with_capacity(64)).await.0.unwrap().whole, 0);
        far.close().await.unwrap();
    })
    .unwrap();
}

#[test]
fn connecting_where_nothing_of_the_kind_listens_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let path = folder.path().join("socket");
        let error = UnixSeqpacket::connect(&path).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        let streams = UnixListener::bind(&path).unwrap();
        let error = UnixSeqpacket::connect(&path).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPROTOTYPE));
        streams.close().await.unwrap();
        let error = UnixSeqpacket::connect(&path).await.unwrap_err();
        assert!(
            [Some(libc::ECONNREFUSED), Some(libc::EPROTOTYPE)].contains(&error.raw_os_error()),
            "{error}"
        );
        let error = UnixSeqpacketListener::bind(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
        std::fs::remove_file(&path).unwrap();
        let listener = UnixSeqpacketListener::bind(&path).unwrap();
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPROTOTYPE));
        listener.close().await.unwrap();
        let error = UnixSeqpacket::connect(&path).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    })
    .unwrap();
}

/// A pipe whose reading end has these bytes in it.
fn pipe_with(bytes: &[u8]) -> OwnedFd {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    rustix::io::write(&write, bytes).unwrap();
    read
}

#[test]
fn descriptors_come_with_their_messages() {
    alone("descriptors_come_with_their_messages", || {
        let outside = descriptors();
        run(async {
            let before = settled_descriptors().await;
            let (near, far) = UnixSeqpacket::pair().unwrap();
            near.send("none").await.0.unwrap();
            let (sent, (_, mut kept)) = near.send_fds("two", vec![pipe_with(b"1"), pipe_with(b"2")]).await;
            assert_eq!((sent.unwrap(), kept.len()), (3, 2));
            // With no bytes at all, and to somebody who does not ask.
            near.send_fds("", vec![kept.remove(0)]).await.0.unwrap();
            near.send_fds("unasked", kept).await.0.unwrap();
            let (received, _) = far.recv_fds(Vec::with_capacity(64), 4).await;
            assert_eq!(received.unwrap().1.len(), 0);
            let (received, bytes) = far.recv_fds(Vec::with_capacity(64), 4).await;
            let (message, fds) = received.unwrap();
            assert_eq!((message.whole, bytes.as_slice(), fds.len()), (3, &b"two"[..], 2));
            let texts: Vec<_> = fds
                .into_iter()
                .map(|fd| {
                    let mut text = String::new();
                    File::from(fd).read_to_string(&mut text).unwrap();
                    text
                })
                .collect();
            assert_eq!(texts, ["1", "2"]);
            let (received, _) = far.recv_fds(Vec::with_capacity(64), 4).await;
            let (message, fds) = received.unwrap();
            assert_eq!((message.whole, fds.len()), (0, 1));
            drop(fds);
            assert_eq!(far.recv(Vec::with_capacity(64)).await.1, b"unasked");
            drop((near, far));
            common::settled_at(before).await;
        })
        .unwrap();
        assert_eq!(descriptors(), outside);
    });
}

/// What a message of a round holds: its number, again and again.
fn numbered(number: u32, len: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

#[test]
fn what_is_dropped_at_any_moment_loses_no_message_and_cuts_none() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    run(async {
        let (near, far) = UnixSeqpacket::pair().unwrap();
        let mut rng = Rng::with_seed(seed);
        let (mut sent, mut received) = (0_u32, 0_u32);
        // Those that were told to be sent, and did not come yet.
        let mut told = VecDeque::new();
        let take = |message: &[u8], received: &mut u32, told: &mut VecDeque<u32>| {
            let number = u32::from_le_bytes(*message.first_chunk().unwrap());
            assert!(told.front().is_none_or(|next| *next >= number), "{told:?} did not come before {number}");
            if told.front() == Some(&number) {
                told.pop_front();
            }
            // Of the sends that were dropped, some were not sent.
            assert!(number >= *received, "{number} came after {received}: again, or in another order");
            assert!(message == numbered(number, message.len()), "a message was cut or mixed");
            *received = number + 1;
        };
        for _ in 0..1_500 {
            for _ in 0..rng.u8(1..4) {
                let bytes = numbered(sent, rng.usize(4..2_000));
                let sending = near.send(bytes);
                let done = if rng.bool() {
                    Some(sending.await.0)
                } else {
                    match select(pin!(sending), turns(rng.u64(0..150))).await {
                        Either::Left((result, _)) => Some(result),
                        Either::Right(()) => None,
                    }
                };
                if let Some(result) = done {
                    assert!(result.unwrap() >= 4);
                    told.push_back(sent);
                }
                sent += 1;
            }
            while !told.is_empty() {
                let patience = if rng.u8(0..3) == 0 { 5_000 } else { rng.u64(0..150) };
                let mut moment = rng.fork();
                let receiving = async {
                    if moment.bool() {
                        far.recv(Vec::with_capacity(2_000)).await.1
                    } else {
                        far.datagrams().next().await.unwrap().to_vec()
                    }
                };
                if let Either::Left(message) = select(pin!(receiving), turns(patience)).await {
                    take(&message, &mut received, &mut told);
                }
            }
        }
    })
    .unwrap();
}

#[test]
fn a_sender_waits_for_who_does_not_receive() {
    run(async {
        let (near, far) = UnixSeqpacket::pair().unwrap();
        let sending = spawn(async move {
            for number in 0..500 {
                near.send(numbered(number, 4_000)).await.0.unwrap();
            }
        });
        turns(500).await;
        assert!(!sending.is_finished());
        for number in 0..500 {
            assert!(far.recv(Vec::with_capacity(4_096)).await.1 == numbered(number, 4_000));
        }
        sending.await.unwrap();
        assert_eq!(far.recv(Vec::with_capacity(64)).await.0.unwrap().whole, 0);
        assert!(far.peer_has_ended().unwrap());
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
