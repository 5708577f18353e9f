//! Sockets and registered buffers: what is sent out of them without a copy, what is received into them, and that a buffer does
//! not go back to its pool before the network is done with it.
#![allow(clippy::print_stdout, reason = "the seed")]

mod common;

use std::os::linux::net::SocketAddrExt as _;
use std::pin::pin;
use std::time::Duration;

use annulus::opcode::SendZc;
use annulus_rt::buf::{FixedPool, IoBuf as _, RegisteredBuf};
use annulus_rt::io::AsyncRead as _;
use annulus_rt::net::{
    ConnectOptions, ListenOptions, TcpListener, TcpStream, UdpSocket, UnixAddr, UnixDatagram, UnixStream,
};
use annulus_rt::time::timeout;
use annulus_rt::{Builder, Either, run, select, spawn};
use common::{knows, on_the_engine, pair, turns};
use fastrand::Rng;

/// Bytes of which each place can be told from its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

async fn holding(bytes: &[u8]) -> RegisteredBuf {
    let mut buf = FixedPool::current().get().await.unwrap();
    buf.extend_from_slice(bytes);
    buf
}

#[test]
fn registered_buffers_are_sent_whole_and_come_back() {
    run(async {
        let (near, far) = pair().await;
        let bytes = pattern(60_000);
        let reader = spawn(async move { far.recv_exact(vec![0; 120_100]).await });
        let (sent, buf) = near.send_all_zc_fixed(holding(&bytes).await).await;
        let sent = sent.unwrap();
        // The loopback device cannot do without a copy, and neither can the engine.
        assert_eq!((sent.len, sent.copied), (60_000, true));
        assert!(buf[..] == bytes);
        // A part of a buffer is as good.
        let (sent, part) = near.send_all_zc_fixed(buf.slice(100..200)).await;
        assert_eq!(sent.unwrap().len, 100);
        let mut buf = part.into_inner();
        let mut done = 0;
        while done < 60_000 {
            let (sent, part) = near.send_zc_fixed(buf.slice(done..)).await;
            done += sent.unwrap().len;
            buf = part.into_inner();
        }
        let (result, all) = reader.await.unwrap();
        result.unwrap();
        assert!(all[..60_000] == bytes && all[60_000..60_100] == bytes[100..200] && all[60_100..] == bytes);
        assert_eq!(FixedPool::current().available(), 63);
        drop(buf);
        assert_eq!(FixedPool::current().available(), 64);
    })
    .unwrap();
}

#[test]
fn parts_of_a_registered_buffer_are_sent_in_their_order() {
    run(async {
        let (near, far) = pair().await;
        let bytes = pattern(60_000);
        // More of them than one call takes, some of them empty, and not in the order in which they lie.
        let parts: Vec<_> = (0..3_000).rev().map(|at| at * 20..at * 20 + at % 20).collect();
        let expected: Vec<u8> = parts.iter().flat_map(|part| bytes[part.clone()].to_vec()).collect();
        let len = expected.len();
        let reader = spawn(async move { far.recv_exact(vec![0; len]).await });
        let (sent, buf) = near.send_all_vectored_zc_fixed(holding(&bytes).await, parts).await;
        let sent = sent.unwrap();
        assert_eq!((sent.len, sent.copied), (len, true));
        assert!(buf[..] == bytes);
        let (result, all) = reader.await.unwrap();
        result.unwrap();
        assert!(all == expected);
        let (sent, _) = near.send_all_vectored_zc_fixed(buf, vec![0..0, 9..9]).await;
        assert_eq!(sent.unwrap().len, 0);
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "part 2..9 of a buffer that holds 8 bytes")]
fn a_part_that_is_not_in_the_buffer_is_a_mistake() {
    run(async {
        let (near, _far) = pair().await;
        let buf = holding(b"12345678").await;
        drop(near.send_all_vectored_zc_fixed(buf, vec![0..2, 2..9]).await);
    })
    .unwrap();
}

#[test]
fn where_the_protocol_cannot_it_is_an_ordinary_send() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (sent, buf) = near.send_zc_fixed(holding(b"ordinary").await).await;
        let sent = sent.unwrap();
        assert_eq!((sent.len, sent.copied), (8, true));
        let (sent, buf) = near.send_all_vectored_zc_fixed(buf, vec![4..8, 0..2]).await;
        let sent = sent.unwrap();
        assert_eq!((sent.len, sent.copied), (6, true));
        drop((near, buf));
        assert_eq!(far.read_to_end(Vec::new()).await.1, b"ordinarynaryor");

        let name =
            UnixAddr::from_abstract_name(format!("annulus-registered-{}", std::process::id())).unwrap();
        let far = UnixDatagram::bind(&name).unwrap();
        let near = UnixDatagram::unbound().unwrap();
        let (sent, buf) = near.send_zc_fixed(holding(b"message").await, Some(name.clone())).await;
        let sent = sent.unwrap();
        assert_eq!((sent.len, sent.copied), (7, true));
        let (sent, _) = near.send_vectored_zc_fixed(buf, vec![3..7, 0..3], Some(name)).await;
        assert_eq!(sent.unwrap().len, 7);
        assert_eq!(far.recv(Vec::with_capacity(32)).await.1, b"message");
        assert_eq!(far.recv(Vec::with_capacity(32)).await.1, b"sagemes");
    })
    .unwrap();
}

#[test]
fn datagrams_are_sent_to_addresses_and_to_peers() {
    run(async {
        let locals = if common::has_ipv6() { &["127.0.0.1:0", "[::1]:0"][..] } else { &["127.0.0.1:0"] };
        for local in locals {
            let near = UdpSocket::bind(local.parse().unwrap()).unwrap();
            let far = UdpSocket::bind(local.parse().unwrap()).unwrap();
            let to = far.local_addr().unwrap();
            let (sent, mut buf) = near.send_zc_fixed(holding(&pattern(9_000)).await, Some(to)).await;
            assert_eq!(sent.unwrap().len, 9_000);
            let (received, datagram) = far.recv_from(Vec::with_capacity(10_000)).await;
            assert_eq!(received.unwrap().from, near.local_addr().unwrap());
            assert!(datagram == pattern(9_000));
            near.connect(to).await.unwrap();
            buf.clear();
            buf.extend_from_slice(b"head, padding, body");
            let (sent, buf) = near.send_zc_fixed(buf, None).await;
            assert_eq!(sent.unwrap().len, 19);
            let (sent, buf) = near.send_vectored_zc_fixed(buf, vec![0..6, 15..19], None).await;
            assert_eq!(sent.unwrap().len, 10);
            assert_eq!(far.recv(Vec::with_capacity(32)).await.1, b"head, padding, body");
            assert_eq!(far.recv(Vec::with_capacity(32)).await.1, b"head, body");
            let (sent, buf) = near.send_vectored_zc_fixed(buf, vec![0..1; 1_025], None).await;
            assert_eq!(sent.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
            let (sent, _) = near.send_zc_fixed(buf.slice(..0), None).await;
            assert_eq!(sent.unwrap().len, 0);
            assert_eq!(far.recv(Vec::with_capacity(32)).await.0.unwrap().whole, 0);
        }
    })
    .unwrap();
}

#[test]
fn a_datagram_that_is_too_long_is_an_error_and_the_buffer_comes_back() {
    Builder::new()
        .registered_buffers(1, 128 * 1024)
        .run(async {
            let near = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let to = near.local_addr().unwrap();
            let (sent, buf) = near.send_zc_fixed(holding(&pattern(70_000)).await, Some(to)).await;
            assert_eq!(sent.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
            assert!(buf[..] == pattern(70_000));
        })
        .unwrap();
}

#[test]
fn streams_without_a_descriptor_take_registered_buffers_too() {
    if !common::has_table_of_files() {
        return;
    }
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let far = listener.incoming_direct().next().await.unwrap();
        assert!(far.is_direct());
        let (sent, buf) = far.send_all_zc_fixed(holding(b"no descriptor").await).await;
        assert_eq!(sent.unwrap().len, 13);
        let (sent, buf) = far.send_all_vectored_zc_fixed(buf, vec![3..7, 0..2]).await;
        assert_eq!(sent.unwrap().len, 6);
        assert_eq!(far.send_fixed(buf).await.0.unwrap(), 13);
        assert_eq!(near.recv_exact(vec![0; 32]).await.1, b"no descriptordescnono descriptor");
        near.send_all("back").await.0.unwrap();
        let (received, buf) = far.recv_fixed(holding(b"").await).await;
        assert_eq!((received.unwrap(), &buf[..]), (4, &b"back"[..]));
    })
    .unwrap();
}

#[test]
fn a_registered_buffer_is_received_into_and_sent_with_a_copy() {
    run(async {
        let ((near, far), (local, other)) = (pair().await, UnixStream::pair().unwrap());
        let (received, sent) = (spawn(async move { near.recv_fixed(holding(b"").await).await }), {
            let (sent, buf) = far.send_fixed(holding(b"there").await).await;
            assert_eq!(&buf[..], b"there");
            sent.unwrap()
        });
        let (received, buf) = received.await.unwrap();
        assert_eq!((received.unwrap(), sent, &buf[..]), (5, 5, &b"there"[..]));
        // Behind what the buffer holds, and up to a bound.
        assert_eq!(local.send_fixed(buf.slice(1..3)).await.0.unwrap(), 2);
        let (received, part) = other.recv_fixed(holding(b"w").await.slice(1..2)).await;
        assert_eq!((received.unwrap(), &part.into_inner()[..]), (1, &b"wh"[..]));
        drop(local);
        assert_eq!(other.recv_fixed(holding(b"").await).await.0.unwrap(), 1);
        assert_eq!(other.recv_fixed(holding(b"").await).await.0.unwrap(), 0);
    })
    .unwrap();
}

#[test]
fn a_peer_that_is_gone_is_an_error_and_no_signal() {
    // A child that another test begins has all descriptors of this process until it is its own program.
    common::alone("a_peer_that_is_gone_is_an_error_and_no_signal", || {
        run(async {
            let (near, far) = pair().await;
            near.send_all("unread").await.0.unwrap();
            far.close().await.unwrap();
            let mut buf = holding(&pattern(60_000)).await;
            let error = loop {
                let (sent, back) = near.send_fixed(buf).await;
                buf = back;
                if let Err(error) = sent {
                    break error;
                }
            };
            assert!([Some(libc::EPIPE), Some(libc::ECONNRESET)].contains(&error.raw_os_error()), "{error}");
            let (sent, buf) = near.send_all_zc_fixed(buf).await;
            assert_eq!(sent.unwrap_err().raw_os_error(), Some(libc::EPIPE));
            let (near, far) = UnixStream::pair().unwrap();
            far.close().await.unwrap();
            let (sent, _) = near.send_fixed(buf).await;
            assert_eq!(sent.unwrap_err().raw_os_error(), Some(libc::EPIPE));
        })
        .unwrap();
    });
}

#[test]
fn a_socket_that_somebody_made_non_blocking_waits_all_the_same() {
    run(async {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let (near, far) = (UnixStream::from(near), UnixStream::from(far));
        let receiving = spawn(async move { near.recv_fixed(holding(b"").await).await });
        turns(5).await;
        far.send_all("later").await.0.unwrap();
        let (received, buf) = receiving.await.unwrap();
        assert_eq!((received.unwrap(), &buf[..]), (5, &b"later"[..]));
    })
    .unwrap();
}

/// A connection whose peer offers a window that is smaller than what the near end's buffer takes.
async fn narrow() -> (TcpStream, TcpStream) {
    let options = ListenOptions::new().recv_buffer_size(32 * 1024);
    let listener = options.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let wide = ConnectOptions::new().send_buffer_size(1 << 20).nodelay(true);
    let near = wide.connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap())
}

/// How much a buffer of the tests with a slow peer holds.
const SIZE: usize = 256 * 1024;

#[test]
fn a_buffer_is_not_lent_again_while_the_peer_has_not_taken_its_bytes() {
    let test = async {
        let pool = FixedPool::current();
        let (near, far) = narrow().await;
        let bytes = pattern(SIZE);
        let buf = holding(&bytes).await;
        let mut sending = Box::pin(near.send_all_zc_fixed(buf));
        // The socket takes all of it, or what it has room for; the peer's window does not.
        assert!(matches!(select(&mut sending, turns(50)).await, Either::Right(())));
        assert!(pool.try_get().unwrap().is_none());
        drop(sending);
        turns(50).await;
        // Before Linux 6.0 the engine sends, by a copy.
        if !on_the_engine() && knows(SendZc::CODE) {
            // What is in the socket is still to be sent, out of the buffer's pages.
            assert!(pool.try_get().unwrap().is_none(), "a buffer in use was lent again");
        }
        near.shutdown(std::net::Shutdown::Write).await.unwrap();
        let reading = spawn(async move { far.read_to_end(Vec::new()).await });
        let again = timeout(Duration::from_secs(30), pool.get()).await.expect("the buffer never came back");
        let mut again = again.unwrap();
        again.resize(SIZE, 0xEE);
        let (read, all) = reading.await.unwrap();
        read.unwrap();
        assert!(all.len() > 16 * 1024 && bytes.starts_with(&all), "{} other bytes came", all.len());
    };
    Builder::new().registered_buffers(1, u32::try_from(SIZE).unwrap()).run(test).unwrap();
}

/// Reads until `done` is, and returns its output. Nothing of what comes is what was put into buffers that were lent again.
async fn reading<F: Future>(far: &TcpStream, done: F) -> F::Output {
    let mut done = pin!(done);
    let mut buf = Vec::with_capacity(1 << 16);
    loop {
        match select(&mut done, far.recv(buf)).await {
            Either::Left(output) => return output,
            Either::Right((received, bytes)) => {
                assert!(received.unwrap() > 0);
                assert!(!bytes.contains(&0xEE), "a buffer that was lent again was sent");
                buf = bytes;
            }
        }
    }
}

#[test]
fn a_send_that_is_dropped_at_any_moment_gives_its_buffer_back_when_it_is_sent() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let test = async {
        let pool = FixedPool::current();
        let (near, far) = narrow().await;
        let mut rng = Rng::with_seed(seed);
        for round in 0..300_u32 {
            // Every byte is one of 200 numbers, and never 0xEE.
            let number = u8::try_from(round % 200).unwrap();
            let free = timeout(Duration::from_secs(30), pool.get());
            let mut buf = reading(&far, free).await.expect("it comes back").unwrap();
            let len = if rng.bool() { SIZE } else { rng.usize(1..20_000) };
            buf.resize(len, number);
            let kind = rng.u8(0..3);
            let sending = async {
                match kind {
                    0 => near.send_zc_fixed(buf).await,
                    1 => near.send_all_zc_fixed(buf).await,
                    _ => near.send_all_vectored_zc_fixed(buf, vec![len / 2..len, 0..len / 2]).await,
                }
            };
            // A turn of the executor, in which operations are handed over, has some dozens of these.
            let (before, after) = (rng.u64(0..250), rng.u64(0..100));
            drop(select(pin!(sending), turns(before)).await);
            turns(after).await;
            // Whoever gets the buffer writes into it, whether or not the peer has read.
            if let Some(mut again) = pool.try_get().unwrap() {
                again.resize(SIZE, 0xEE);
            }
            reading(&far, turns(after)).await;
        }
    };
    Builder::new().registered_buffers(1, u32::try_from(SIZE).unwrap()).run(test).unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
