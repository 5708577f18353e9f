//! Fewer receive buffers than connections: everybody comes to their turn, whoever is idle, ends, or gives up meanwhile.

mod common;
#[path = "common/limits.rs"]
mod limits;

use std::rc::Rc;
use std::time::Duration;

use annulus_rt::net::{TcpStream, UdpSocket};
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Builder, spawn, yield_now};
use common::pair;
use limits::{How, without};

/// On an ordinary ring; and on one that does not tell how many buffers are left, as before Linux 6.8.
fn builders() -> [Builder; 2] {
    [Builder::new(), without(&[], How::Denied)]
}

/// Echoes what comes, a while after it came: the buffer is held meanwhile.
async fn echo_slowly(stream: TcpStream) {
    let mut receiver = stream.receiver();
    while let Ok(Some(bytes)) = receiver.next().await {
        for _ in 0..10 {
            yield_now().await;
        }
        if stream.send_all(bytes).await.0.is_err() {
            return;
        }
    }
}

async fn connections(count: usize) -> Vec<Rc<TcpStream>> {
    let mut near = Vec::new();
    for _ in 0..count {
        let (one, other) = pair().await;
        drop(spawn(echo_slowly(other)));
        near.push(Rc::new(one));
    }
    near
}

async fn ask(stream: &TcpStream, times: usize) {
    for number in 0..times {
        let sent = vec![u8::try_from(number % 256).unwrap(); 1_000];
        let (result, sent) = stream.send_all(sent).await;
        result.unwrap();
        let receiving = stream.recv_exact(vec![0; 1_000]);
        let (result, received) =
            timeout(Duration::from_secs(60), receiving).await.expect("somebody got no turn");
        result.unwrap();
        assert_eq!(received, sent);
    }
}

#[test]
fn two_buffers_serve_a_hundred_connections_of_which_most_are_idle() {
    for builder in builders() {
        builder
            .receive_buffers(2, 4096)
            .run(async {
                let near = connections(100).await;
                let busy: Vec<_> = near[..30].iter().map(|stream| spawn(ask_all(stream.clone()))).collect();
                for task in busy {
                    task.await.unwrap();
                }
                // Those that were idle so far have not been forgotten.
                for stream in &near {
                    ask(stream, 1).await;
                }
            })
            .unwrap();
    }
}

async fn ask_all(stream: Rc<TcpStream>) {
    ask(&stream, 40).await;
}

#[test]
fn connections_that_end_in_the_midst_take_no_turn_with_them() {
    for builder in builders() {
        builder
            .receive_buffers(2, 4096)
            .run(async {
                let near = connections(60).await;
                let tasks: Vec<_> = near
                    .into_iter()
                    .enumerate()
                    .map(|(index, stream)| {
                        spawn(async move {
                            if index % 3 == 0 {
                                return ask(&stream, 30).await;
                            }
                            // Sends, and is gone: an end of the stream, or a reset, in the place of an echo.
                            for _ in 0..index % 5 {
                                stream.send_all(vec![1; 1_000]).await.0.unwrap();
                            }
                            sleep(Duration::from_micros(100 * index as u64)).await;
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            })
            .unwrap();
    }
}

#[test]
fn receives_that_are_dropped_while_they_wait_take_no_turn_with_them() {
    for builder in builders() {
        builder
            .receive_buffers(2, 4096)
            .run(async {
                let (one, other) = pair().await;
                let (hold_near, hold_far) = pair().await;
                // Both buffers are held.
                let mut holding = hold_far.receiver();
                hold_near.send_all(vec![1; 4096]).await.0.unwrap();
                let first = holding.next().await.unwrap().unwrap();
                hold_near.send_all(vec![2; 4096]).await.0.unwrap();
                let second = holding.next().await.unwrap().unwrap();

                let mut impatient = Vec::new();
                for _ in 0..10 {
                    let (near, far) = pair().await;
                    near.send_all(vec![3; 10]).await.0.unwrap();
                    impatient.push(spawn(async move {
                        let mut receiver = far.receiver();
                        let waited = timeout(Duration::from_millis(20), receiver.next()).await;
                        drop(near);
                        waited.is_ok()
                    }));
                }
                let patient = spawn(async move { other.receiver().next().await.unwrap().unwrap().to_vec() });
                one.send_all(vec![4; 10]).await.0.unwrap();
                for task in impatient {
                    assert!(!task.await.unwrap(), "there is no buffer");
                }
                drop((first, second));
                let came = timeout(Duration::from_secs(60), patient).await.expect("the turn was lost");
                assert_eq!(came.unwrap(), vec![4; 10]);
            })
            .unwrap();
    }
}

#[test]
fn a_buffer_that_is_back_before_it_is_waited_for_is_found() {
    for builder in builders() {
        builder
            .receive_buffers(2, 64)
            .run(async {
                let (near, far) = pair().await;
                let mut receiver = far.receiver();
                near.send_all("held").await.0.unwrap();
                let held = receiver.next().await.unwrap().unwrap();
                for round in 0..50_u8 {
                    // More than there is room for: the receive ends for want of a buffer while the only one is being read.
                    near.send_all(vec![round; 192]).await.0.unwrap();
                    let mut got = 0;
                    while got < 192 {
                        let next = timeout(Duration::from_secs(60), receiver.next()).await;
                        let bytes = next.expect("the other buffer came back").unwrap().unwrap();
                        got += bytes.len();
                    }
                }
                assert_eq!(&*held, b"held");
            })
            .unwrap();
    }
}

#[test]
fn datagrams_find_a_buffer_that_is_back_before_it_is_waited_for() {
    for builder in builders() {
        builder
            .receive_buffers(2, 512)
            .run(async {
                let one = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                let other = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                let address = other.local_addr().unwrap();
                let mut datagrams = other.datagrams();
                one.send_to("held", address).await.0.unwrap();
                let held = datagrams.next().await.unwrap();
                for round in 0..50_u8 {
                    for _ in 0..3 {
                        one.send_to(vec![round; 64], address).await.0.unwrap();
                    }
                    for _ in 0..3 {
                        let next = timeout(Duration::from_secs(60), datagrams.next()).await;
                        let datagram = next.expect("the other buffer came back").unwrap();
                        assert_eq!(&*datagram, [round; 64]);
                    }
                }
                assert_eq!(&*held, b"held");
            })
            .unwrap();
    }
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
