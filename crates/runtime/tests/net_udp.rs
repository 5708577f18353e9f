//! Datagrams: whole or said not to be, from whom, in one buffer or several or the pool's, many by one call, and not
//! lost when a receive is dropped.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use annulus::opcode::SendZc;
use annulus_rt::net::{UdpSocket, UnixAddr, UnixDatagram};
use annulus_rt::time::timeout;
use annulus_rt::{Builder, Either, run, select, spawn, yield_now};
use common::knows;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Two sockets and their addresses.
fn two() -> (UdpSocket, SocketAddr, UdpSocket, SocketAddr) {
    let (one, other) = (UdpSocket::bind(ANY).unwrap(), UdpSocket::bind(ANY).unwrap());
    let (one_at, other_at) = (one.local_addr().unwrap(), other.local_addr().unwrap());
    (one, one_at, other, other_at)
}

#[test]
fn a_datagram_comes_whole_with_the_address_of_who_sent_it() {
    run(async {
        let (one, one_at, other, other_at) = two();
        assert_eq!(one.send_to("first", other_at).await.0.unwrap(), 5);
        assert_eq!(one.send_to(Vec::new(), other_at).await.0.unwrap(), 0);
        let (datagram, buf) = other.recv_from(Vec::with_capacity(64)).await;
        let datagram = datagram.unwrap();
        assert_eq!((datagram.len, datagram.whole, datagram.from), (5, 5, one_at));
        assert!(!datagram.is_truncated());
        assert_eq!(buf, b"first");
        let (empty, buf) = other.recv_from(buf).await;
        assert_eq!((empty.unwrap().len, buf.len()), (0, 0));
    })
    .unwrap();
}

#[test]
fn a_datagram_that_does_not_fit_says_how_long_it_was_in_every_way_to_receive() {
    run(async {
        let (one, one_at, other, other_at) = two();
        for _ in 0..4 {
            one.send_to(vec![7; 100], other_at).await.0.unwrap();
        }
        let (datagram, buf) = other.peek_from(Vec::with_capacity(10)).await;
        let datagram = datagram.unwrap();
        assert_eq!((datagram.len, datagram.whole, datagram.is_truncated()), (10, 100, true));
        assert_eq!(buf, [7; 10]);
        let (datagram, buf) = other.recv_from(buf).await;
        assert_eq!((datagram.unwrap().whole, buf.len()), (100, 10));
        let bufs = vec![Vec::with_capacity(20), Vec::with_capacity(20)];
        let (datagram, bufs) = other.recv_from_vectored(bufs).await;
        let datagram = datagram.unwrap();
        assert_eq!((datagram.len, datagram.whole, datagram.from), (40, 100, one_at));
        assert_eq!(bufs, [vec![7; 20], vec![7; 20]]);
        // A receive that was dropped had room for more than the one that gets what it had taken.
        let dropped = timeout(Duration::from_secs(20), async {
            loop {
                if let Either::Left(_) = select(other.recv_from(vec![0; 200]), yield_now()).await {
                    one.send_to(vec![7; 100], other_at).await.0.unwrap();
                    continue;
                }
                return;
            }
        });
        dropped.await.expect("a receive is dropped in time");
        let (datagram, buf) = other.recv_from(Vec::with_capacity(30)).await;
        let datagram = datagram.unwrap();
        assert_eq!((datagram.len, datagram.whole, buf.len()), (30, 100, 30));
    })
    .unwrap();
}

#[test]
fn a_pool_whose_buffers_are_too_small_says_so_too() {
    let builder = Builder::new().receive_buffers(4, 256);
    builder
        .run(async {
            let (one, one_at, other, other_at) = two();
            let mut datagrams = other.datagrams();
            for len in [10, 88, 89, 500] {
                one.send_to(vec![3; len], other_at).await.0.unwrap();
                let datagram = datagrams.next().await.unwrap();
                // 256 bytes without what is told of it there (16, 128 and 24), since Linux 6.0.
                let room = if knows(SendZc::CODE) { 88 } else { 256 };
                assert_eq!((datagram.len(), datagram.about.whole), (len.min(room), len));
                assert_eq!(datagram.about.is_truncated(), len > room);
                assert_eq!(datagram.about.from, one_at);
                assert!(datagram.iter().all(|byte| *byte == 3));
            }
        })
        .unwrap();
}

#[test]
fn datagrams_wait_for_a_buffer_of_the_pool_and_go_on_when_one_comes_back() {
    let builder = Builder::new().receive_buffers(2, 512);
    builder
        .run(async {
            let (one, _, other, other_at) = two();
            let mut datagrams = other.datagrams();
            let mut held = Vec::new();
            for round in 0..2_u8 {
                one.send_to(vec![round; 3], other_at).await.0.unwrap();
                held.push(datagrams.next().await.unwrap());
            }
            one.send_to("third", other_at).await.0.unwrap();
            assert!(timeout(Duration::from_millis(30), datagrams.next()).await.is_err());
            drop(held.remove(0));
            assert_eq!(&*datagrams.next().await.unwrap(), b"third");
            assert_eq!(&*held[0], [1, 1, 1]);
            let part = held.remove(0).into_buf();
            one.connect(other_at).await.unwrap();
            assert_eq!(one.send(part).await.0.unwrap(), 3);
            assert_eq!(&*datagrams.next().await.unwrap(), [1, 1, 1]);
        })
        .unwrap();
}

#[test]
fn datagrams_of_many_senders_are_echoed_to_each() {
    run(async {
        let server = UdpSocket::bind(ANY).unwrap();
        let server_at = server.local_addr().unwrap();
        let echo = spawn(async move {
            let mut datagrams = server.datagrams();
            loop {
                let datagram = datagrams.next().await.unwrap();
                let from = datagram.about.from;
                server.send_to(datagram.into_buf(), from).await.0.unwrap();
            }
        });
        let clients: Vec<_> = (0..20_u8)
            .map(|seed| {
                spawn(async move {
                    let client = UdpSocket::bind(ANY).unwrap();
                    client.connect(server_at).await.unwrap();
                    for round in 0..20_u8 {
                        let sent = vec![seed.wrapping_mul(round); usize::from(seed) + 1];
                        let (result, sent) = client.send(sent).await;
                        result.unwrap();
                        let (datagram, back) = client.recv(Vec::with_capacity(64)).await;
                        assert_eq!((datagram.unwrap().from, back), (server_at, sent));
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        echo.abort();
    })
    .unwrap();
}

#[test]
fn several_buffers_are_one_datagram() {
    run(async {
        let (one, _, other, other_at) = two();
        let bufs: Vec<_> = (0..100_u8).map(|at| vec![at; 3]).collect();
        let (sent, bufs) = one.send_to_vectored(bufs, other_at).await;
        assert_eq!(sent.unwrap(), 300);
        let (datagram, buf) = other.recv_from(Vec::with_capacity(400)).await;
        assert_eq!((datagram.unwrap().whole, buf), (300, bufs.concat()));
        // Leaving parts of a datagram out is not sending it.
        let (sent, bufs) = one.send_to_vectored(vec![vec![1]; 1_025], other_at).await;
        assert_eq!(sent.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(bufs.len(), 1_025);
        let (sent, _) = one.send_to_vectored(vec![vec![1]; 1_024], other_at).await;
        assert_eq!(sent.unwrap(), 1_024);
        one.connect(other_at).await.unwrap();
        assert_eq!(one.send_vectored(vec!["a", "", "b"]).await.0.unwrap(), 2);
    })
    .unwrap();
}

#[test]
fn a_datagram_can_be_sent_from_its_own_pages() {
    run(async {
        let (one, _, other, other_at) = two();
        let (sent, buf) = one.send_zc(vec![9; 2_000], Some(other_at)).await;
        assert_eq!((sent.unwrap().len, buf.len()), (2_000, 2_000));
        let (datagram, buf) = other.recv_from(Vec::with_capacity(4_000)).await;
        assert_eq!((datagram.unwrap().len, buf), (2_000, vec![9; 2_000]));
        one.connect(other_at).await.unwrap();
        assert_eq!(one.send_zc("again", None).await.0.unwrap().len, 5);
    })
    .unwrap();
}

#[test]
fn many_datagrams_leave_by_one_call_and_arrive_by_one() {
    run(async {
        let (one, _, other, other_at) = two();
        let bytes: Vec<u8> = (0..4_500_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let (sent, bytes) = one.send_segments(bytes, 1_000, Some(other_at)).await;
        assert_eq!(sent.unwrap(), 4_500);
        let mut got = Vec::new();
        for expected in [1_000, 1_000, 1_000, 1_000, 500] {
            let (datagram, part) = other.recv_from(Vec::with_capacity(2_000)).await;
            assert_eq!(datagram.unwrap().len, expected);
            got.extend(part);
        }
        assert!(got == bytes);

        other.set_gro(true).await.unwrap();
        let (sent, bytes) = one.send_segments(bytes, 1_000, Some(other_at)).await;
        assert_eq!(sent.unwrap(), 4_500);
        let (datagram, all) = other.recv_from(Vec::with_capacity(65_536)).await;
        let datagram = datagram.unwrap();
        if (datagram.segment, datagram.len) == (None, 1_000) {
            return println!("SKIP: this kernel takes apart what goes over the loopback device (Linux 5.11)");
        }
        assert_eq!(datagram.segment, Some(1_000));
        assert!(all == bytes);
        one.send_segments(bytes, 1_000, Some(other_at)).await.0.unwrap();
        let pooled = other.datagrams().next().await.unwrap();
        assert_eq!((pooled.about.segment, pooled.len()), (Some(1_000), 4_500));
    })
    .unwrap();
}

#[test]
fn a_peer_that_nobody_listens_on_refuses_and_the_socket_goes_on() {
    // A child that another test begins has all descriptors of this process until it is its own program.
    common::alone("a_peer_that_nobody_listens_on_refuses_and_the_socket_goes_on", || {
        run(async {
            let (one, one_at, ..) = two();
            // At an address where no other test gets the port meanwhile.
            let other = UdpSocket::bind("127.0.0.81:0".parse().unwrap()).unwrap();
            let other_at = other.local_addr().unwrap();
            other.close().await.unwrap();
            one.connect(other_at).await.unwrap();
            assert_eq!(one.peer_addr().unwrap(), other_at);
            one.send("anybody?").await.0.unwrap();
            let (error, _) = one.recv(vec![0; 8]).await;
            assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
            let other = UdpSocket::bind(other_at).unwrap();
            one.send("now").await.0.unwrap();
            let (datagram, _) = other.recv_from(vec![0; 8]).await;
            assert_eq!(datagram.unwrap().from, one_at);
            let error = UdpSocket::bind(other_at).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
            let too_long = one.send(vec![0; 70_000]).await.0.unwrap_err();
            assert_eq!(too_long.raw_os_error(), Some(libc::EMSGSIZE));
        })
        .unwrap();
    });
}

#[test]
fn no_datagram_is_lost_by_receives_that_are_dropped() {
    run(async {
        // A pair, as datagrams between processes of one machine are never dropped by the system.
        let (near, far) = UnixDatagram::pair().unwrap();
        let sender = spawn(async move {
            for at in 0..300_u32 {
                near.send(at.to_ne_bytes()).await.0.unwrap();
                yield_now().await;
            }
        });
        let (mut got, mut dropped) = (Vec::new(), 0);
        while got.len() < 300 {
            let patience = async {
                for _ in 0..got.len() % 4 {
                    yield_now().await;
                }
            };
            match select(far.recv_from([0; 4]), patience).await {
                Either::Left((datagram, buf)) => {
                    assert_eq!(datagram.unwrap().len, 4);
                    got.push(u32::from_ne_bytes(buf));
                }
                Either::Right(()) => {
                    dropped += 1;
                    yield_now().await;
                    let mut datagrams = far.datagrams();
                    if let Ok(datagram) = timeout(Duration::from_millis(1), datagrams.next()).await {
                        got.push(u32::from_ne_bytes(datagram.unwrap()[..4].try_into().unwrap()));
                    }
                }
            }
        }
        assert!(dropped > 10, "only {dropped} receives were dropped");
        assert!(got.iter().copied().eq(0..300), "lost or reordered: {got:?}");
        sender.await.unwrap();
    })
    .unwrap();
}

#[test]
fn looking_at_what_a_dropped_receive_had_taken_leaves_it_there() {
    run(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.send("kept").await.0.unwrap();
        loop {
            let waited = select(far.recv_from(vec![0; 8]), yield_now()).await;
            let Either::Left(_) = waited else { break };
            near.send("kept").await.0.unwrap();
        }
        for _ in 0..3 {
            let (datagram, buf) = far.peek_from(Vec::with_capacity(8)).await;
            assert_eq!((datagram.unwrap().whole, &buf[..]), (4, &b"kept"[..]));
        }
        let (datagram, buf) = far.recv(Vec::with_capacity(8)).await;
        assert_eq!((datagram.unwrap().whole, &buf[..]), (4, &b"kept"[..]));
        assert!(timeout(Duration::from_millis(20), far.recv(buf)).await.is_err());
    })
    .unwrap();
}

#[test]
fn members_of_a_group_receive_what_is_sent_to_it_and_broadcasting_must_be_allowed() {
    run(async {
        let group = Ipv4Addr::new(239, 255, 77, 3);
        let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
        member.join_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        let sender = UdpSocket::bind(ANY).unwrap();
        sender.set_multicast_interface_v4(Ipv4Addr::LOCALHOST).unwrap();
        sender.set_multicast_loop_v4(true).unwrap();
        sender.set_multicast_ttl_v4(1).unwrap();
        let port = member.local_addr().unwrap().port();
        sender.send_to("to all", (group, port)).await.0.unwrap();
        let received = timeout(Duration::from_secs(20), member.recv_from(Vec::with_capacity(16))).await;
        let (datagram, buf) = received.expect("it arrives");
        assert_eq!((datagram.unwrap().from, &buf[..]), (sender.local_addr().unwrap(), &b"to all"[..]));
        member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        let error = member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));

        let refused = sender.send_to("all", (Ipv4Addr::BROADCAST, port)).await.0.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
        sender.set_broadcast(true).unwrap();
        assert!(sender.broadcast().unwrap());
        sender.set_ttl(3).unwrap();
        assert_eq!(sender.ttl().unwrap(), 3);
    })
    .unwrap();
}

#[test]
fn it_works_over_ipv6_and_several_sockets_can_share_an_address() {
    if !common::has_ipv6() {
        return;
    }
    run(async {
        let one = UdpSocket::bind_shared("[::1]:0".parse().unwrap()).unwrap();
        let other = UdpSocket::bind_shared(one.local_addr().unwrap()).unwrap();
        let sender = UdpSocket::bind("[::1]:0".parse().unwrap()).unwrap();
        sender.send_to("one of them", one.local_addr().unwrap()).await.0.unwrap();
        let either = select(one.recv_from(vec![0; 16]), other.recv_from(vec![0; 16])).await;
        let (Either::Left((datagram, _)) | Either::Right((datagram, _))) = either;
        assert_eq!(datagram.unwrap().from, sender.local_addr().unwrap());
    })
    .unwrap();
}

#[test]
fn unix_datagrams_name_who_sent_them_if_that_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let path = folder.path().join("socket");
        let bound = UnixDatagram::bind(&path).unwrap();
        let named = UnixDatagram::bind(folder.path().join("named")).unwrap();
        let unnamed = UnixDatagram::unbound().unwrap();
        named.send_to("n", &path).await.0.unwrap();
        unnamed.connect(&path).await.unwrap();
        unnamed.send("u").await.0.unwrap();
        let (datagram, _) = bound.recv_from(vec![0; 4]).await;
        let from = datagram.unwrap().from;
        assert_eq!(from.as_pathname(), Some(&*folder.path().join("named")));
        let (datagram, _) = bound.recv_from(vec![0; 4]).await;
        assert!(datagram.unwrap().from.is_unnamed());
        let mut datagrams = bound.datagrams();
        named.send_to("n", UnixAddr::from_pathname(&path).unwrap()).await.0.unwrap();
        let datagram = datagrams.next().await.unwrap();
        assert_eq!(datagram.about.from.as_pathname(), Some(&*folder.path().join("named")));
        unnamed.send("u").await.0.unwrap();
        assert!(datagrams.next().await.unwrap().about.from.is_unnamed());
        let error = UnixDatagram::bind(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
        let missing = unnamed.connect(folder.path().join("nobody")).await.unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
