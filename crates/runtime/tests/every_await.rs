//! Operations dropped at every moment that they have: before the first poll, queued, in flight, completed and not looked
//! at. No descriptor is left, no byte is lost, and nothing but what was given to them is ever written or sent.
//!
//! 10,000 rounds with a seed that is printed; `ANNULUS_ROUNDS` and `ANNULUS_SEED` change that. What the kernel writes after an
//! operation was dropped is looked for in tests/canary.rs.
#![allow(clippy::print_stdout, reason = "the seed")]

mod common;

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use annulus_rt::buf::FixedPool;
use annulus_rt::fs::OpenOptions;
use annulus_rt::net::{TcpListener, TcpStream};
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Either, counters, run, select, yield_now};
use common::{alone, settled_at, settled_descriptors};
use fastrand::Rng;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Runs `round` again and again, each time with numbers of its own; at the end nothing is in flight and every descriptor
/// is closed that was not open before. One in eight of all rounds, as there are eight operations.
fn rounds<S>(name: &str, set_up: impl AsyncFnOnce() -> S, round: impl AsyncFn(&mut S, &mut Rng)) {
    alone(name, || {
        let rounds = setting("ANNULUS_ROUNDS").unwrap_or(10_000) / 8;
        let seed = setting("ANNULUS_SEED").unwrap_or_else(|| fastrand::u64(..));
        run(async {
            // The pool of receive buffers is set up once, and stays.
            let (near, far) = common::pair().await;
            near.send_all("x").await.0.unwrap();
            far.receiver().next().await.unwrap();
            drop((near, far));
            let before = settled_descriptors().await;

            let mut state = set_up().await;
            for number in 0..rounds {
                let seed = seed.wrapping_add(number);
                let said = Said(seed);
                round(&mut state, &mut Rng::with_seed(seed)).await;
                std::mem::forget(said);
            }
            drop(state);
            settled_at(before).await;
            assert_eq!(counters().stale, 0);
        })
        .unwrap();
    });
}

/// Says how to run a round again that was not the last.
struct Said(u64);

impl Drop for Said {
    fn drop(&mut self) {
        println!("again: ANNULUS_SEED={} ANNULUS_ROUNDS=8", self.0);
    }
}

/// Waits until the driver has nothing in flight any more.
async fn settled() {
    for tries in 0..10_000 {
        if counters().in_flight == 0 {
            return;
        }
        if tries < 50 {
            yield_now().await;
        } else {
            sleep(Duration::from_millis(1)).await;
        }
    }
    panic!("{:?} after ten seconds", counters());
}

/// Gives a future some polls, none to as many as some turns of the loop have, and drops it where it is then. What it yielded, if it was ready.
async fn cut<F: Future>(rng: &mut Rng, future: F) -> Option<F::Output> {
    // What is queued is handed over at the end of a turn of the executor, which has some dozens of polls.
    let (count, future_first) = (if rng.bool() { rng.u8(0..6) } else { rng.u8(0..200) }, rng.bool());
    let turns = async {
        for _ in 0..count {
            yield_now().await;
        }
    };
    // Either is polled first: so it happens too that a result is there and nobody looks at it.
    let (future, turns) = (pin!(future), pin!(turns));
    if future_first {
        match select(future, turns).await {
            Either::Left(output) => Some(output),
            Either::Right(()) => None,
        }
    } else {
        match select(turns, future).await {
            Either::Left(()) => None,
            Either::Right(output) => Some(output),
        }
    }
}

#[test]
fn an_accept_that_is_dropped_leaves_no_descriptor() {
    let set_up = async || TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    rounds("an_accept_that_is_dropped_leaves_no_descriptor", set_up, async |listener, rng| {
        let address = listener.local_addr().unwrap();
        let before = rng.bool().then(|| StdStream::connect(address).unwrap());
        let accepted = if rng.bool() {
            cut(rng, listener.accept()).await
        } else {
            let mut incoming = listener.incoming();
            cut(rng, incoming.next()).await
        };
        // A dropped accept may still take a connection before it is cancelled, and closes it then. Who is in the backlog
        // after that is taken, so that the next round begins with nobody.
        settled().await;
        let after = StdStream::connect(address).unwrap();
        let wanted = after.local_addr().unwrap();
        loop {
            if listener.accept().await.unwrap().peer_addr().ok() == Some(wanted) {
                break;
            }
        }
        drop((accepted, before));
    });
}

#[test]
fn a_connect_that_is_dropped_leaves_no_descriptor() {
    let set_up = async || StdListener::bind("127.0.0.1:0").unwrap();
    rounds("a_connect_that_is_dropped_leaves_no_descriptor", set_up, async |listener, rng| {
        let address = listener.local_addr().unwrap();
        let connected = cut(rng, TcpStream::connect(address)).await;
        // One more, which is behind all that were made: those are taken, and closed.
        let last = StdStream::connect(address).unwrap();
        while listener.accept().unwrap().1 != last.local_addr().unwrap() {}
        if let Some(stream) = connected {
            drop(stream.unwrap());
        }
    });
}

#[test]
fn an_open_that_is_dropped_leaves_no_descriptor() {
    let set_up = async || tempfile::tempdir().unwrap();
    rounds("an_open_that_is_dropped_leaves_no_descriptor", set_up, async |folder, rng| {
        let path = folder.path().join(rng.u8(0..4).to_string());
        let options = OpenOptions::new().read(true).write(true).create(rng.bool());
        if let Some(Err(error)) = cut(rng, options.open(&path)).await {
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    });
}

/// Bytes that are numbered: each is one more than the last.
fn numbered(from: &Cell<u8>, len: usize) -> Vec<u8> {
    let bytes: Vec<u8> =
        (0..len).map(|at| from.get().wrapping_add(u8::try_from(at % 256).unwrap())).collect();
    from.set(from.get().wrapping_add(u8::try_from(len % 256).unwrap()));
    bytes
}

#[test]
fn a_receive_that_is_dropped_loses_no_byte() {
    let set_up = async || {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (stream, listener.accept().unwrap().0, Cell::new(0), Cell::new(0))
    };
    rounds("a_receive_that_is_dropped_loses_no_byte", set_up, async |state, rng| {
        let (stream, peer, sent, received) = state;
        let len = rng.usize(1..3_000);
        let (before, later) = (rng.bool(), rng.usize(0..200));
        let mut left = len + later;
        if before {
            peer.write_all(&numbered(sent, len)).unwrap();
        }
        let receiver = &mut stream.receiver();
        let capacity = rng.usize(1..4_000);
        let taken: Option<Vec<u8>> = {
            let mut moment = Rng::with_seed(rng.u64(..));
            let receiving = async {
                if rng.bool() {
                    receiver.next().await.unwrap().unwrap().to_vec()
                } else if rng.bool() {
                    let buf = FixedPool::current().get().await.unwrap();
                    let (result, buf) = stream.recv_fixed(buf).await;
                    result.map(|_| buf.to_vec()).unwrap()
                } else {
                    let (result, buf) = stream.recv(Vec::with_capacity(capacity)).await;
                    result.map(|_| buf).unwrap()
                }
            };
            cut(&mut moment, receiving).await
        };
        if !before {
            peer.write_all(&numbered(sent, len)).unwrap();
        }
        peer.write_all(&numbered(sent, later)).unwrap();
        let mut taken = taken;
        loop {
            let bytes = match taken.take() {
                Some(bytes) => bytes,
                None if left == 0 => break,
                None => {
                    let next =
                        timeout(Duration::from_secs(30), receiver.next()).await.expect("a byte was lost");
                    next.unwrap().expect("the peer has not closed").to_vec()
                }
            };
            assert_eq!(bytes, numbered(received, bytes.len()));
            left -= bytes.len();
        }
    });
}

#[test]
fn a_send_that_is_dropped_sends_nothing_but_its_own_bytes() {
    let set_up = async || {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let peer = listener.accept().unwrap().0;
        peer.set_nonblocking(true).unwrap();
        (stream, peer, 0_u8)
    };
    let name = "a_send_that_is_dropped_sends_nothing_but_its_own_bytes";
    rounds(name, set_up, async |(stream, peer, number), rng| {
        // Every byte is one of 200 numbers, those of one send are the same; some sends are more than the socket takes.
        *number = (*number + 1) % 200;
        let len = if rng.u8(0..8) == 0 { 1_600_000 } else { rng.usize(1..16_000) };
        let bytes = vec![*number; len];
        let registered = async |len: usize, kind: u8| {
            let mut buf = FixedPool::current().get().await.unwrap();
            let len = len.min(buf.capacity());
            buf.resize(len, bytes[0]);
            match kind {
                0 => drop(stream.send_fixed(buf).await),
                1 => drop(stream.send_all_zc_fixed(buf).await),
                _ => drop(stream.send_all_vectored_zc_fixed(buf, vec![len / 2..len, 0..len / 2]).await),
            }
        };
        match rng.u8(0..6) {
            0 => drop(cut(rng, stream.send(bytes)).await),
            1 => drop(cut(rng, stream.send_all(bytes)).await),
            kind @ 2..5 => drop(cut(rng, registered(len, kind - 2)).await),
            _ => drop(cut(rng, stream.send_all_vectored(vec![bytes.clone(), bytes])).await),
        }
        // What is freed is taken again: had a send still something of it to send, it would be this.
        let other = vec![0xEE_u8; len];
        let mut lent = FixedPool::current().try_get().unwrap();
        if let Some(buf) = &mut lent {
            buf.resize(buf.capacity(), 0xEE);
        }
        let mut received = Vec::new();
        let mut some = vec![0; 1 << 20];
        for _ in 0..4 {
            yield_now().await;
            loop {
                match peer.read(&mut some) {
                    Ok(n) => received.extend_from_slice(&some[..n]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        drop((other, lent));
        assert!(!received.contains(&0xEE), "a freed buffer was sent");
    });
}

/// A file whose every block of 512 bytes holds one number again and again.
fn striped(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("striped");
    let bytes: Vec<u8> = (0..=255_u8).flat_map(|number| [number; 512]).collect();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_read_that_is_dropped_disturbs_no_other() {
    let set_up = async || {
        let folder = tempfile::tempdir().unwrap();
        let path = striped(folder.path());
        (OpenOptions::new().read(true).open(&path).await.unwrap(), folder)
    };
    rounds("a_read_that_is_dropped_disturbs_no_other", set_up, async |(file, _), rng| {
        let block = rng.u8(..);
        let forced = rng.bool();
        let dropped =
            file.read_at(Vec::with_capacity(if forced { 512 } else { 100_000 }), u64::from(block) * 512);
        drop(cut(rng, dropped).await);
        // Its memory may be given out at once, and is this one's now.
        let other = rng.u8(..);
        let (result, buf) = file.read_at(Vec::with_capacity(512), u64::from(other) * 512).await;
        assert_eq!(result.unwrap(), 512);
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(buf.iter().all(|byte| *byte == other), "block {other} with something of block {block} in it");
    });
}

#[test]
fn a_write_that_is_dropped_writes_its_own_bytes_or_none() {
    let set_up = async || {
        let folder = tempfile::tempdir().unwrap();
        let path = striped(folder.path());
        let file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
        (file, folder, Rc::new(Cell::new(7_u8)))
    };
    let name = "a_write_that_is_dropped_writes_its_own_bytes_or_none";
    rounds(name, set_up, async |(file, _, inside), rng| {
        let next = inside.get().wrapping_add(1);
        if inside.get() == 7 {
            file.write_all_at(vec![7; 4096], 0).await.0.unwrap();
        }
        let done = cut(rng, file.write_at(vec![next; 4096], 0)).await;
        let reused = vec![0xEE_u8; 4096];
        settled().await;
        drop(reused);
        let (result, buf) = file.read_at(Vec::with_capacity(4096), 0).await;
        assert_eq!(result.unwrap(), 4096);
        // A regular file is written whole or not at all, unless the disk is full.
        let written = buf[0] == next;
        assert!(
            buf.iter().all(|byte| *byte == buf[0]) && (written || buf[0] == inside.get()),
            "{:?}",
            &buf[..8]
        );
        assert!(written || done.is_none(), "a write that was done is there");
        inside.set(buf[0]);
    });
}

#[test]
fn a_timeout_that_is_dropped_leaves_no_timer_and_no_operation() {
    let set_up = async || common::pair().await;
    let name = "a_timeout_that_is_dropped_leaves_no_timer_and_no_operation";
    rounds(name, set_up, async |(near, far), rng| {
        let limit = Duration::from_micros(rng.u64(0..300));
        let sends = rng.bool();
        if sends {
            near.send_all(vec![1]).await.0.unwrap();
        }
        let received = cut(rng, timeout(limit, far.recv(Vec::with_capacity(1)))).await;
        if let Some(Ok((result, _))) = received {
            assert!(sends && result.unwrap() == 1);
        } else if sends {
            // It came, whether the time was over first or the whole was dropped.
            let (result, buf) = far.recv(Vec::with_capacity(8)).await;
            assert_eq!((result.unwrap(), buf), (1, vec![1]));
        }
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
