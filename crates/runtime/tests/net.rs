//! TCP on the kernel: echo, both ways of receiving, vectored sends, the ends of connections, a pool that
//! is used up.

mod common;

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use annulus_rt::buf::IoBuf;
use annulus_rt::net::{ListenOptions, TcpListener, TcpStream};
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Builder, Either, run, select, spawn};
use common::{pair, silent_port};

async fn echo(stream: TcpStream) -> io::Result<u64> {
    let mut receiver = stream.receiver();
    let mut total = 0;
    while let Some(bytes) = receiver.next().await? {
        total += bytes.len() as u64;
        stream.send_all(bytes).await.0?;
    }
    Ok(total)
}

/// Bytes of which each place can be told from its neighbours.
fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251 + seed) % 256).unwrap()).collect()
}

#[test]
fn many_clients_get_back_what_they_send() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let mut incoming = listener.incoming();
            loop {
                spawn(echo(incoming.next().await.unwrap()));
            }
        });
        let clients: Vec<_> = (0..50)
            .map(|seed| {
                spawn(async move {
                    let client = TcpStream::connect(address).await.unwrap();
                    client.set_nodelay(true).unwrap();
                    for round in 0..20 {
                        let sent = pattern(1 + seed * 97 + round * 13, seed);
                        let (result, sent) = client.send_all(sent).await;
                        result.unwrap();
                        let (result, back) = client.recv_exact(vec![0; sent.len()]).await;
                        result.unwrap();
                        assert_eq!(back, sent, "client {seed}, round {round}");
                    }
                    client.close().await.unwrap();
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.abort();
        assert!(server.await.is_err());
    })
    .unwrap();
}

#[test]
fn a_ring_without_any_optional_flag_does_the_same() {
    let builder = Builder::new().setup_flags(annulus::abi::SetupFlags::empty());
    let echoed = builder.run(async {
        let (near, far) = pair().await;
        let server = spawn(echo(far));
        near.send_all(pattern(100_000, 3)).await.0.unwrap();
        let (result, back) = near.recv_exact(vec![0; 100_000]).await;
        result.unwrap();
        assert!(back == pattern(100_000, 3));
        sleep(Duration::from_millis(1)).await;
        near.close().await.unwrap();
        server.await.unwrap().unwrap()
    });
    assert_eq!(echoed.unwrap(), 100_000);
}

#[test]
fn megabytes_pass_both_ways_at_once_through_a_small_pool() {
    let builder = Builder::new().receive_buffers(4, 4096).entries(8);
    let echoed = builder.run(async {
        let (near, far) = pair().await;
        let server = spawn(echo(far));
        let near = std::rc::Rc::new(near);
        let sender = near.clone();
        let sent = spawn(async move {
            let (result, sent) = sender.send_all(pattern(3_000_000, 7)).await;
            result.unwrap();
            sender.shutdown(Shutdown::Write).await.unwrap();
            sent
        });
        let mut back = Vec::new();
        let mut receiver = near.receiver();
        while let Some(bytes) = receiver.next().await.unwrap() {
            back.extend_from_slice(&bytes);
        }
        assert!(back == sent.await.unwrap(), "3,000,000 bytes came back changed");
        server.await.unwrap().unwrap()
    });
    assert_eq!(echoed.unwrap(), 3_000_000);
}

#[test]
fn receivers_wait_while_every_buffer_is_held_and_go_on_when_one_comes_back() {
    let builder = Builder::new().receive_buffers(2, 64);
    builder
        .run(async {
            let (near, far) = pair().await;
            let (other_near, other_far) = pair().await;
            near.send_all(pattern(128, 1)).await.0.unwrap();
            let mut receiver = far.receiver();
            let first = receiver.next().await.unwrap().unwrap();
            let second = receiver.next().await.unwrap().unwrap();
            assert_eq!((first.len(), second.len()), (64, 64));

            other_near.send_all("later").await.0.unwrap();
            let mut other = other_far.receiver();
            let waits = timeout(Duration::from_millis(50), other.next()).await;
            assert!(waits.is_err(), "both buffers are held: {waits:?}");
            drop(first);
            let later = other.next().await.unwrap().unwrap();
            assert_eq!(&*later, b"later");
            assert_eq!(&*second, &pattern(128, 1)[64..]);
        })
        .unwrap();
}

#[test]
fn a_buffer_that_is_held_keeps_its_bytes_while_others_are_used_again_and_again() {
    let builder = Builder::new().receive_buffers(2, 64);
    builder
        .run(async {
            let (near, far) = pair().await;
            let mut receiver = far.receiver();
            near.send_all("held").await.0.unwrap();
            let held = receiver.next().await.unwrap().unwrap();
            for round in 0..50_u8 {
                near.send_all(vec![round; 64]).await.0.unwrap();
                let mut got = 0;
                while got < 64 {
                    let bytes = receiver.next().await.unwrap().unwrap();
                    assert!(bytes.iter().all(|byte| *byte == round), "round {round}: {bytes:?}");
                    got += bytes.len();
                }
            }
            assert_eq!(&*held, b"held");
        })
        .unwrap();
}

#[test]
fn a_guard_outlives_its_runtime() {
    let held = run(async {
        let (near, far) = pair().await;
        near.send_all("still here").await.0.unwrap();
        far.receiver().next().await.unwrap().unwrap()
    });
    assert_eq!(&*held.unwrap(), b"still here");
}

#[test]
fn bytes_of_a_dropped_receiver_go_to_the_next_receive() {
    run(async {
        let (near, far) = pair().await;
        near.send_all("one ").await.0.unwrap();
        let mut receiver = far.receiver();
        assert_eq!(&*receiver.next().await.unwrap().unwrap(), b"one ");
        near.send_all("two ").await.0.unwrap();
        // Its completion arrives while nobody asks for it.
        sleep(Duration::from_millis(20)).await;
        drop(receiver);
        near.send_all("three").await.0.unwrap();
        let (result, rest) = far.recv_exact(vec![0; 9]).await;
        result.unwrap();
        assert_eq!(rest, b"two three");
    })
    .unwrap();
}

#[test]
fn bytes_that_a_dropped_receive_had_taken_go_to_the_next_receive() {
    run(async {
        let (near, far) = pair().await;
        let sender = spawn(async move {
            for at in 0..200_usize {
                near.send_all(pattern(64, at)).await.0.unwrap();
                annulus_rt::yield_now().await;
            }
        });
        let mut got = Vec::new();
        let mut dropped = 0;
        while got.len() < 200 * 64 {
            // Polled once or a few times, then dropped: before, while, or after bytes arrive.
            let patience = async {
                for _ in 0..got.len() % 4 {
                    annulus_rt::yield_now().await;
                }
            };
            match select(far.recv(Vec::with_capacity(48)), patience).await {
                Either::Left((result, buf)) => {
                    assert_eq!(result.unwrap(), buf.len());
                    got.extend(buf);
                }
                Either::Right(()) => {
                    dropped += 1;
                    annulus_rt::yield_now().await;
                    let mut receiver = far.receiver();
                    if let Ok(bytes) = timeout(Duration::from_millis(1), receiver.next()).await {
                        got.extend_from_slice(&bytes.unwrap().unwrap());
                    }
                }
            }
        }
        assert!(dropped > 10, "only {dropped} receives were dropped");
        let sent: Vec<u8> = (0..200).flat_map(|at| pattern(64, at)).collect();
        assert!(got == sent, "bytes were lost or came in another order");
        sender.await.unwrap();
    })
    .unwrap();
}

#[test]
fn vectored_sends_arrive_in_order_and_as_a_whole() {
    run(async {
        let (near, far) = pair().await;
        let reader = spawn(async move {
            let (result, all) = far.recv_exact(vec![0; 2_000_000]).await;
            result.unwrap();
            all
        });
        let bufs: Vec<_> = (0..2_000).map(|at| pattern(1_000, at)).collect();
        let (result, bufs) = near.send_all_vectored(bufs).await;
        result.unwrap();
        assert!(reader.await.unwrap() == bufs.concat());
    })
    .unwrap();
}

#[test]
fn a_part_of_a_buffer_is_sent_and_received_into() {
    run(async {
        let (near, far) = pair().await;
        near.send_all(b"annulus".to_vec().slice(2..5)).await.0.unwrap();
        let (result, part) = far.recv(Vec::from("xy").slice(2..)).await;
        // A vector of capacity 2 has no room behind its two bytes.
        assert_eq!(result.unwrap(), 0);
        let mut buf = part.into_inner();
        buf.reserve(10);
        let (result, part) = far.recv(buf.slice(2..)).await;
        assert_eq!(result.unwrap(), 3);
        assert_eq!(part.into_inner(), b"xynul");
    })
    .unwrap();
}

#[test]
fn the_end_of_a_stream_is_none_and_a_reset_is_an_error() {
    run(async {
        let (near, far) = pair().await;
        near.send_all("bye").await.0.unwrap();
        near.shutdown(Shutdown::Write).await.unwrap();
        let mut receiver = far.receiver();
        assert_eq!(receiver.next().await.unwrap().as_deref(), Some(&b"bye"[..]));
        assert!(receiver.next().await.unwrap().is_none());
        assert!(receiver.next().await.unwrap().is_none(), "the end stays the end");

        let (near, far) = pair().await;
        near.send_all("never read").await.0.unwrap();
        far.readable().await.unwrap();
        // Closing with bytes unread resets the connection.
        far.close().await.unwrap();
        let (result, _) = near.recv(vec![0; 8]).await;
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
    })
    .unwrap();
}

#[test]
fn a_refused_connection_says_so_with_its_errno() {
    run(async {
        let (_socket, address) = silent_port();
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    })
    .unwrap();
}

#[test]
fn more_connections_than_may_wait_are_accepted_one_by_one() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = listener.incoming();
        let first = TcpStream::connect(address).await.unwrap();
        let taken = incoming.next().await.unwrap();
        assert_eq!(taken.peer_addr().unwrap(), first.local_addr().unwrap());

        // More than the 64 that are accepted ahead, so that accepting pauses and is started again.
        let mut clients = Vec::new();
        for _ in 0..300 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        for client in &clients {
            let taken = incoming.next().await.unwrap();
            assert_eq!(taken.peer_addr().unwrap(), client.local_addr().unwrap());
        }
    })
    .unwrap();
}

#[test]
fn a_half_that_is_closed_leaves_the_other_open_and_sending_into_it_is_an_error_and_no_signal() {
    common::alone(
        "a_half_that_is_closed_leaves_the_other_open_and_sending_into_it_is_an_error_and_no_signal",
        || {
            // Programs in Rust ignore it from the start; this one looks whether it comes.
            let pipe_signal = signal_hook::consts::SIGPIPE;
            let seen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            signal_hook::flag::register(pipe_signal, seen.clone()).unwrap();
            run(async {
                let (near, far) = pair().await;
                near.shutdown(Shutdown::Write).await.unwrap();
                assert_eq!(far.recv(vec![0; 4]).await.0.unwrap(), 0);
                far.send_all("still").await.0.unwrap();
                assert_eq!(near.recv(vec![0; 8]).await.0.unwrap(), 5);
                for error in [
                    near.send("x").await.0.unwrap_err(),
                    near.send_all("x").await.0.unwrap_err(),
                    near.send_all_vectored(vec!["x", "y"]).await.0.unwrap_err(),
                    near.send_zc("x").await.0.unwrap_err(),
                ] {
                    assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
                }
            })
            .unwrap();
            assert!(!seen.load(std::sync::atomic::Ordering::SeqCst));
        },
    );
}

#[test]
fn vectored_receives_and_looks_ahead_see_what_dropped_receives_had_taken() {
    run(async {
        let (near, far) = pair().await;
        let mut dropped = 0;
        while dropped < 5 {
            // What of it was taken, and what was not, nobody can tell.
            let bufs = vec![Vec::with_capacity(2), Vec::with_capacity(2)];
            if let Either::Right(()) = select(far.recv_vectored(bufs), annulus_rt::yield_now()).await {
                dropped += 1;
            }
        }
        near.send_all("abcdefgh").await.0.unwrap();
        near.shutdown(Shutdown::Write).await.unwrap();
        let (peeked, buf) = far.peek(Vec::with_capacity(1)).await;
        assert_eq!((peeked.unwrap(), &buf[..]), (1, &b"a"[..]));
        let mut all = Vec::new();
        loop {
            let bufs = vec![vec![9; 2], Vec::with_capacity(1), Vec::new()];
            let (received, bufs) = far.recv_vectored(bufs).await;
            let n = received.unwrap();
            assert_eq!(bufs.iter().map(Vec::len).sum::<usize>(), n, "{bufs:?}");
            all.extend(bufs.concat());
            if n == 0 {
                break;
            }
        }
        assert_eq!(all, b"abcdefgh");
    })
    .unwrap();
}

#[test]
fn a_backlog_that_is_full_makes_clients_wait_and_loses_none() {
    run(async {
        let listener = ListenOptions::new().backlog(1).bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..6_u8)
            .map(|seed| {
                spawn(async move {
                    let client = TcpStream::connect(address).await.unwrap();
                    client.send_all([seed]).await.0.unwrap();
                    assert_eq!(client.recv(vec![0; 4]).await.0.unwrap(), 0);
                })
            })
            .collect();
        let mut seen = Vec::new();
        for _ in 0..6 {
            let taken = listener.accept().await.unwrap();
            let (received, buf) = taken.recv([0; 1]).await;
            assert_eq!(received.unwrap(), 1);
            seen.extend(buf);
        }
        for client in clients {
            client.await.unwrap();
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
