//! Accepting again right after an accept was dropped, as a loop does that waits for something else too.

mod common;

use std::future::poll_fn;
use std::io::Read;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use annulus_rt::cancel::Canceller;
use annulus_rt::net::TcpListener;
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Either, counters, run, select, spawn, yield_now};

/// How many connections each client makes, one after the other.
const CONNECTIONS: usize = 1_500;

/// Connects again and again, and waits each time for the byte that says that the connection was taken.
fn client(address: SocketAddr, failed: &AtomicBool) {
    for number in 0..CONNECTIONS {
        let mut stream = StdStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        if let Err(error) = stream.read_exact(&mut [0]) {
            failed.store(true, Ordering::Relaxed);
            panic!("connection {number} was not taken: {error}");
        }
    }
}

/// A connection that meets a dropped accept is taken by it and kept, or left to the next.
#[test]
fn no_connection_is_lost_with_an_accept_that_is_dropped() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let failed = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..2)
            .map(|_| {
                let failed = failed.clone();
                thread::Builder::new().spawn(move || client(address, &failed)).unwrap()
            })
            .collect();
        let mut taken = 0;
        while taken < 2 * CONNECTIONS && !failed.load(Ordering::Relaxed) {
            let pause = sleep(Duration::from_micros(fastrand::u64(0..60)));
            let accepted = match fastrand::u8(0..3) {
                0 => select(pause, listener.accept()).await,
                1 => match select(pause, listener.accept_from()).await {
                    Either::Left(()) => Either::Left(()),
                    Either::Right(accepted) => Either::Right(accepted.map(|(stream, _)| stream)),
                },
                _ => select(pause, async { listener.incoming().next().await }).await,
            };
            if let Either::Right(stream) = accepted {
                taken += 1;
                stream.unwrap().send_all("x").await.0.unwrap();
            }
        }
        for client in clients {
            client.join().unwrap();
        }
    })
    .unwrap();
}

/// The ways to accept.
const WAYS: u8 = 4;

/// An accept in one of the ways: who it is that was accepted.
type Accepting = Pin<Box<dyn Future<Output = std::io::Result<SocketAddr>>>>;

fn accepting(listener: &Rc<TcpListener>, way: u8) -> Accepting {
    let listener = listener.clone();
    Box::pin(async move {
        match way {
            0 => listener.accept().await?.peer_addr(),
            1 => Ok(listener.accept_from().await?.1),
            2 => listener.incoming().next().await?.peer_addr(),
            _ => listener.incoming_direct().next().await?.peer_addr().await,
        }
    })
}

/// One that waits: it was handed over before this returns.
async fn armed(listener: &Rc<TcpListener>, way: u8) -> Accepting {
    let mut accept = accepting(listener, way);
    let is_pending = poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending, "nobody has connected");
    handed_over().await;
    accept
}

/// Nothing is ready meanwhile: what is queued is handed over, and what has come is taken.
async fn handed_over() {
    sleep(Duration::from_millis(1)).await;
}

async fn within<T>(what: &str, future: impl Future<Output = std::io::Result<T>>) -> T {
    let outcome = timeout(Duration::from_secs(20), future).await;
    outcome.unwrap_or_else(|_| panic!("{what} waits beside a connection")).unwrap()
}

/// The kernel tells the accept that has waited longest, here the one that is dropped, and none of the others.
async fn told_and_dropped(dropped: u8, waits: u8, accepted: bool) {
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap());
    let first = armed(&listener, dropped).await;
    let second = armed(&listener, waits).await;
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    if accepted {
        handed_over().await;
    }
    drop(first);
    let what = format!("{waits} beside {dropped}, which has accepted: {accepted},");
    assert_eq!(within(&what, second).await, client.local_addr().unwrap(), "{what}");
}

#[test]
fn a_connection_that_a_dropped_accept_was_told_of_goes_to_one_that_waits() {
    run(async {
        // What has come to a slot is closed with its owner, as that says: it is the last way.
        for dropped in 0..WAYS - 1 {
            for waits in 0..WAYS {
                // It was told of the connection; it has accepted it, and nobody has looked.
                for accepted in [false, true] {
                    told_and_dropped(dropped, waits, accepted).await;
                }
            }
        }
    })
    .unwrap();
}

#[test]
fn as_many_as_wait_get_what_a_dropped_accept_was_told_of() {
    run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let address = listener.local_addr().unwrap();
        // A multishot accept stays the one that is told, of all of them.
        let first = armed(&listener, 2).await;
        let mut others = Vec::new();
        for way in [0, 2, 1, 2, 0] {
            others.push(spawn(armed(&listener, way).await));
            handed_over().await;
        }
        let clients: Vec<_> = (0..5).map(|_| StdStream::connect(address).unwrap()).collect();
        drop(first);
        let mut seen = Vec::new();
        for other in others {
            seen.push(within("one of five", async { other.await.unwrap() }).await);
        }
        let mut expected: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected);
    })
    .unwrap();
}

#[test]
fn an_incoming_that_nobody_looks_at_comes_to_what_was_left_when_somebody_does() {
    run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let address = listener.local_addr().unwrap();
        let first = armed(&listener, 0).await;
        let mut incoming = listener.incoming();
        let mut next = Box::pin(incoming.next());
        assert!(poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await);
        handed_over().await;
        drop(next);
        let clients: Vec<_> = (0..3).map(|_| StdStream::connect(address).unwrap()).collect();
        drop(first);
        handed_over().await;
        for _ in &clients {
            within("the incoming", incoming.next()).await;
        }
    })
    .unwrap();
}

#[test]
fn a_connection_that_a_cancelled_accept_was_told_of_goes_to_one_that_waits() {
    run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let address = listener.local_addr().unwrap();
        for way in 0..3 {
            let canceller = Canceller::new();
            let task = spawn({
                let (canceller, accept) = (canceller.clone(), accepting(&listener, way));
                async move { canceller.run(accept).await }
            });
            handed_over().await;
            let second = armed(&listener, 0).await;
            let client = StdStream::connect(address).unwrap();
            let cancelled = canceller.cancel();
            let first = task.await.unwrap();
            drop(cancelled.await);
            // Either it was quick enough, or it has left the connection.
            match first {
                Ok(peer) => assert_eq!(peer, client.local_addr().unwrap()),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                    assert_eq!(within("the other", second).await, client.local_addr().unwrap());
                }
            }
        }
    })
    .unwrap();
}

/// As the first, with several loops that drop accepts of one listener, each beside those of the others.
#[test]
fn no_connection_is_lost_between_several_that_accept_and_drop() {
    run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let address = listener.local_addr().unwrap();
        let failed = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..2)
            .map(|_| {
                let failed = failed.clone();
                thread::Builder::new().spawn(move || client(address, &failed)).unwrap()
            })
            .collect();
        let taken = Rc::new(std::cell::Cell::new(0));
        let loops: Vec<_> = (0..4)
            .map(|number| {
                let (listener, taken, failed) = (listener.clone(), taken.clone(), failed.clone());
                spawn(async move {
                    while taken.get() < 2 * CONNECTIONS && !failed.load(Ordering::Relaxed) {
                        // One of them waits long, so that what it is not told of is missed.
                        let longest = if number == 0 { 20_000 } else { 60 };
                        let pause = sleep(Duration::from_micros(fastrand::u64(0..longest)));
                        let accepted = match fastrand::u8(0..2) {
                            0 => select(pause, listener.accept()).await,
                            _ => select(pause, async { listener.incoming().next().await }).await,
                        };
                        if let Either::Right(stream) = accepted {
                            taken.set(taken.get() + 1);
                            stream.unwrap().send_all("x").await.0.unwrap();
                        }
                    }
                })
            })
            .collect();
        for accepting in loops {
            accepting.await.unwrap();
        }
        for client in clients {
            client.join().unwrap();
        }
    })
    .unwrap();
}

/// A loop that always has something to do is told of completions all the same, as many as there are.
#[test]
fn dropped_operations_do_not_pile_up_under_a_loop_that_never_waits() {
    run(async {
        let (near, _far) = common::pair().await;
        for _ in 0..50_000 {
            let turns = async {
                for _ in 0..3 {
                    yield_now().await;
                }
            };
            let _ = select(near.readable(), turns).await;
            assert!(counters().in_flight < 5_000, "{:?}", counters());
        }
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
