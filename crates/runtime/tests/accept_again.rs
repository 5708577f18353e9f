//! Accepting again right after an accept was dropped, as a loop does that waits for something else too.

mod common;

use std::io::Read;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use annulus_rt::net::TcpListener;
use annulus_rt::time::sleep;
use annulus_rt::{Either, counters, run, select, yield_now};

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
