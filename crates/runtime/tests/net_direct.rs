//! Connections in the ring's own table of files: the same methods, no descriptor of the process, a table that is full,
//! slots that come back however a stream ends.

mod common;

use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use annulus_rt::io::{AsyncRead as _, AsyncWrite as _};
use annulus_rt::net::{DirectTcpStream, ListenOptions, TcpListener, TcpStream, UnixListener, UnixStream};
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Builder, Either, counters, run, select, spawn, yield_now};
use common::{alone, descriptors, has_table_of_files, on_the_engine, until_descriptors};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// An ordinary end and one in the table.
async fn direct_pair(listener: &TcpListener) -> (TcpStream, DirectTcpStream) {
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let far = listener.incoming_direct().next().await.unwrap();
    (near, far)
}

/// Waits until nothing is in flight any more.
async fn settled() {
    while counters().in_flight > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    // Closes that nobody waits for are handed over by the next turn, and done by the one after.
    sleep(Duration::from_millis(2)).await;
}

#[test]
fn a_stream_in_the_table_has_no_descriptor_and_all_the_methods() {
    if !has_table_of_files() {
        return;
    }
    alone("a_stream_in_the_table_has_no_descriptor_and_all_the_methods", || {
        run(async {
            let listener = ListenOptions::new().nodelay(true).bind(ANY).unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let mut incoming = listener.incoming_direct();
            let before = descriptors();
            let far = incoming.next().await.unwrap();
            assert!(far.is_direct());
            assert!(descriptors() <= before || on_the_engine());
            assert_eq!(far.peer_addr().await.unwrap(), near.local_addr().unwrap());
            assert_eq!(far.local_addr().await.unwrap(), near.peer_addr().unwrap());
            far.set_nodelay(true).await.unwrap();
            far.set_quickack(true).await.unwrap();
            far.set_cork(false).await.unwrap();
            assert_eq!(far.unsent_bytes().await.unwrap(), 0);

            near.send_all("one two three four").await.0.unwrap();
            far.readable().await.unwrap();
            let (peeked, buf) = far.peek(Vec::with_capacity(3)).await;
            assert_eq!((peeked.unwrap(), &buf[..]), (3, &b"one"[..]));
            let (received, bufs) = far.recv_vectored(vec![vec![0; 4], vec![0; 4]]).await;
            assert_eq!((received.unwrap(), bufs.concat()), (8, b"one two ".to_vec()));
            let (received, buf) = far.read_exact(vec![0; 6]).await;
            received.unwrap();
            assert_eq!(buf, b"three ");
            assert_eq!(&*far.receiver().next().await.unwrap().unwrap(), b"four");
            far.writable().await.unwrap();
            far.send_all_vectored(vec!["a", "b"]).await.0.unwrap();
            far.write_all("c").await.0.unwrap();
            far.send_all_zc("d").await.0.unwrap();
            far.shutdown(Shutdown::Write).await.unwrap();
            let (read, all) = near.read_to_end(Vec::new()).await;
            assert_eq!((read.unwrap(), &all[..]), (4, &b"abcd"[..]));
            far.close().await.unwrap();
        })
        .unwrap();
    });
}

#[test]
fn a_stream_that_leaves_the_table_keeps_what_dropped_receives_had_taken() {
    run(async {
        let listener = TcpListener::bind(ANY).unwrap();
        let (near, far) = direct_pair(&listener).await;
        near.send_all("before ").await.0.unwrap();
        loop {
            // Dropped after it was submitted; what it takes goes to the next receive.
            let waited = select(far.recv(vec![0; 16]), yield_now()).await;
            let Either::Left(_) = waited else { break };
            near.send_all("before ").await.0.unwrap();
        }
        let ordinary = far.install().await.unwrap();
        near.send_all("after").await.0.unwrap();
        let expected = timeout(Duration::from_secs(20), ordinary.recv_exact(vec![0; 5])).await;
        let (result, buf) = expected.expect("it arrives");
        result.unwrap();
        assert!(buf == b"befor" || buf == b"after", "{buf:?}");
        assert_eq!(ordinary.peer_addr().unwrap(), near.local_addr().unwrap());
    })
    .unwrap();
}

#[test]
fn a_table_that_is_full_is_not_the_end_and_slots_come_back() {
    if !has_table_of_files() {
        return;
    }
    let builder = Builder::new().direct_descriptors(8);
    builder
        .run(async {
            let listener = TcpListener::bind(ANY).unwrap();
            let address = listener.local_addr().unwrap();
            let mut incoming = listener.incoming_direct();
            for _ in 0..3 {
                let (mut nears, mut fars) = (Vec::new(), Vec::new());
                for _ in 0..20 {
                    nears.push(TcpStream::connect(address).await.unwrap());
                    fars.push(incoming.next().await.unwrap());
                }
                let direct = fars.iter().filter(|far| far.is_direct()).count();
                assert!((4..=8).contains(&direct), "{direct} of 20");
                for (near, far) in nears.iter().zip(&fars) {
                    near.send_all("x").await.0.unwrap();
                    assert_eq!(far.recv(vec![0; 4]).await.0.unwrap(), 1);
                }
                drop((nears, fars));
                settled().await;
            }
        })
        .unwrap();
}

#[test]
fn many_short_connections_pass_through_few_slots() {
    if !has_table_of_files() {
        return;
    }
    let builder = Builder::new().direct_descriptors(512);
    builder
        .run(async {
            let listener = TcpListener::bind(ANY).unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(async move {
                let mut incoming = listener.incoming_direct();
                let mut direct = 0;
                for _ in 0..2_000 {
                    let stream = incoming.next().await.unwrap();
                    direct += usize::from(stream.is_direct());
                    spawn(async move {
                        let (received, buf) = stream.recv(Vec::with_capacity(16)).await;
                        assert_eq!(received.unwrap(), 4);
                        stream.send_all(buf).await.0.unwrap();
                        stream.close().await.unwrap();
                    });
                }
                direct
            });
            let clients: Vec<_> = (0..20)
                .map(|_| {
                    spawn(async move {
                        for _ in 0..100 {
                            let client = TcpStream::connect(address).await.unwrap();
                            client.send_all("ping").await.0.unwrap();
                            let (read, all) = client.read_to_end(Vec::new()).await;
                            assert_eq!((read.unwrap(), &all[..]), (4, &b"ping"[..]));
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            assert_eq!(server.await.unwrap(), 2_000);
        })
        .unwrap();
}

#[test]
fn a_dropped_accept_and_a_dropped_stream_free_their_slots() {
    if !has_table_of_files() {
        return;
    }
    alone("a_dropped_accept_and_a_dropped_stream_free_their_slots", || {
        let outside = descriptors();
        let builder = Builder::new().direct_descriptors(8);
        builder
            .run(async {
                let listener = TcpListener::bind(ANY).unwrap();
                let address = listener.local_addr().unwrap();
                // Far more of them than there are slots.
                for round in 0..100_usize {
                    let mut incoming = listener.incoming_direct();
                    let near = TcpStream::connect(address).await.unwrap();
                    let polls = round % 4;
                    let taken = {
                        let mut next = pin!(incoming.next());
                        let mut taken = None;
                        for _ in 0..polls {
                            let polled = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
                            if let Poll::Ready(accepted) = polled {
                                taken = Some(accepted.unwrap());
                                break;
                            }
                            yield_now().await;
                        }
                        taken
                    };
                    drop(incoming);
                    drop(taken);
                    // Whoever was accepted and dropped sees the end; who was not is still in the backlog.
                    if polls == 0 {
                        drop(listener.accept().await.unwrap());
                    }
                    drop(near);
                    settled().await;
                }
                while let Ok(left) = timeout(Duration::from_millis(20), listener.accept()).await {
                    drop(left.unwrap());
                }
                let near = TcpStream::connect(address).await.unwrap();
                let far = listener.incoming_direct().next().await.unwrap();
                assert!(far.is_direct(), "there is room in the table");
                near.send_all("x").await.0.unwrap();
                assert_eq!(far.recv(vec![0; 4]).await.0.unwrap(), 1);
            })
            .unwrap();
        until_descriptors(outside);
    });
}

#[test]
fn a_stream_of_an_earlier_run_has_no_meaning_in_a_later_one() {
    if !has_table_of_files() {
        return;
    }
    let left = run(async {
        let listener = TcpListener::bind(ANY).unwrap();
        let (near, far) = direct_pair(&listener).await;
        near.send_all("x").await.0.unwrap();
        far
    })
    .unwrap();
    run(async {
        let listener = TcpListener::bind(ANY).unwrap();
        let (near, far) = direct_pair(&listener).await;
        near.send_all("y").await.0.unwrap();
        let error = left.recv(vec![0; 4]).await.0.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        drop(left);
        assert_eq!(far.recv(vec![0; 4]).await.0.unwrap(), 1);
    })
    .unwrap();
}

#[test]
fn unix_connections_can_be_in_the_table_too() {
    if !has_table_of_files() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let near = UnixStream::connect(&path).await.unwrap();
        let far = listener.incoming_direct().next().await.unwrap();
        assert!(far.is_direct());
        assert_eq!(far.local_addr().await.unwrap().as_pathname(), Some(&*path));
        let (read, write) = far.into_split();
        drop(write);
        assert_eq!(near.recv(vec![0; 4]).await.0.unwrap(), 0);
        near.send_all("still open").await.0.unwrap();
        assert_eq!(read.recv(vec![0; 16]).await.0.unwrap(), 10);
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
