//! Cancellations at the moment at which what is waited for comes: it is the result, or it stays where it was.

mod common;

use std::io::Write;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::mpsc;

use annulus_rt::fs::File;
use annulus_rt::net::TcpListener;
use annulus_rt::{counters, run};
use common::{Numbers, alone, settled_at, settled_descriptors, turns, under};

/// A thread that writes one byte after the other, each a while after it was told to.
#[expect(
    clippy::disallowed_methods,
    reason = "a writer that nothing but chance keeps in step with the reader"
)]
fn writer(mut to: impl Write + Send + 'static) -> (mpsc::Sender<(u8, u64)>, std::thread::JoinHandle<()>) {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        for (byte, spins) in told {
            for _ in 0..spins {
                std::hint::spin_loop();
            }
            to.write_all(&[byte]).unwrap();
        }
    });
    (tell, thread)
}

#[test]
fn a_receive_that_is_cancelled_as_its_byte_arrives_loses_nothing() {
    const ROUNDS: usize = 3_000;
    for seed in 1..=2 {
        run(async move {
            let mut numbers = Numbers(seed);
            let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            near.set_nodelay(true).unwrap();
            let far = Rc::new(listener.accept().await.unwrap());
            let (tell, thread) = writer(near);
            let (mut received, mut cancelled) = (Vec::new(), 0);
            for round in 0..ROUNDS {
                let (canceller, task) = under({
                    let far = far.clone();
                    async move { far.recv(vec![0; 4]).await }
                });
                turns(numbers.below(3)).await;
                tell.send((round.to_le_bytes()[0], numbers.below(6_000))).unwrap();
                turns(numbers.below(12)).await;
                let answers = canceller.cancel().await;
                assert!(answers.len() <= 1);
                let (result, buf) = task.await.unwrap();
                match result {
                    Ok(n) => received.extend_from_slice(&buf[..n]),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                        cancelled += 1;
                    }
                }
            }
            drop(tell);
            thread.join().unwrap();
            let rest = ROUNDS - received.len();
            let (result, buf) = far.recv_exact(vec![0; rest]).await;
            result.unwrap();
            received.extend(buf);
            assert!(received.iter().enumerate().all(|(at, byte)| *byte == at.to_le_bytes()[0]), "in order");
            assert!(cancelled > 0, "some were cancelled");
            assert_eq!(counters().stale, 0);
        })
        .unwrap();
    }
}

#[test]
fn a_read_of_a_pipe_that_is_cancelled_as_its_byte_arrives_loses_nothing() {
    const ROUNDS: usize = 3_000;
    run(async move {
        let mut numbers = Numbers(3);
        let (read_end, write_end) = std::io::pipe().unwrap();
        let pipe = Rc::new(File::from(OwnedFd::from(read_end)));
        let (tell, thread) = writer(write_end);
        let mut received = Vec::new();
        for round in 0..ROUNDS {
            let (canceller, task) = under({
                let pipe = pipe.clone();
                async move { pipe.read(vec![0; 4]).await }
            });
            turns(numbers.below(3)).await;
            tell.send((round.to_le_bytes()[0], numbers.below(6_000))).unwrap();
            turns(numbers.below(12)).await;
            canceller.cancel().await;
            let (result, buf) = task.await.unwrap();
            match result {
                Ok(n) => received.extend_from_slice(&buf[..n]),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
            }
        }
        drop(tell);
        thread.join().unwrap();
        loop {
            let (result, buf) = pipe.read(vec![0; 64]).await;
            match result.unwrap() {
                0 => break,
                n => received.extend_from_slice(&buf[..n]),
            }
        }
        assert_eq!(received.len(), ROUNDS);
        assert!(received.iter().enumerate().all(|(at, byte)| *byte == at.to_le_bytes()[0]), "in order");
    })
    .unwrap();
}

#[test]
fn an_accept_that_is_cancelled_as_somebody_connects_loses_no_connection_and_no_descriptor() {
    alone("an_accept_that_is_cancelled_as_somebody_connects_loses_no_connection_and_no_descriptor", || {
        const ROUNDS: usize = 300;
        run(async move {
            let mut numbers = Numbers(4);
            let listener = Rc::new(TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap());
            let address = listener.local_addr().unwrap();
            // What the engine opens when it is first needed stays until the ring goes.
            drop(std::net::TcpStream::connect(address).unwrap());
            listener.accept().await.unwrap().close().await.unwrap();
            let (mut clients, mut served) = (Vec::new(), Vec::new());
            let before = settled_descriptors().await;
            for _ in 0..ROUNDS {
                let (canceller, task) = under({
                    let listener = listener.clone();
                    async move { listener.accept().await }
                });
                turns(numbers.below(3)).await;
                clients.push(std::net::TcpStream::connect(address).unwrap());
                turns(numbers.below(4)).await;
                canceller.cancel().await;
                match task.await.unwrap() {
                    Ok(stream) => served.push(stream),
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
                }
            }
            while served.len() < ROUNDS {
                served.push(listener.accept().await.unwrap());
            }
            // Both ends of each.
            settled_at(before + 2 * ROUNDS).await;
            let mut ends: Vec<_> = served.iter().map(|stream| stream.peer_addr().unwrap()).collect();
            let mut others: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
            ends.sort();
            others.sort();
            assert_eq!(ends, others);
        })
        .unwrap();
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
