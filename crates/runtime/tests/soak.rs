//! A soak: connections that come and go, half of them cut at a random moment on one side or the other. What arrives is
//! what was sent, memory and descriptors stay flat, and at the end nothing is left.
//!
//! A second of it runs with the other tests. The real one, ten minutes with 10,000 connections at a time:
//!
//! ```sh
//! ANNULUS_SOAK_SECONDS=600 ANNULUS_SOAK_CONNECTIONS=10000 \
//!     cargo test --release -p annulus-rt --test soak connections -- --nocapture
//! ```
#![allow(clippy::print_stdout, reason = "the seed, and how the long run goes")]

mod common;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use annulus_rt::net::{ListenOptions, TcpListener, TcpStream};
use annulus_rt::sync::Shutdown;
use annulus_rt::time::{now, sleep, timeout};
use annulus_rt::{Builder, Either, counters, select, spawn, yield_now};
use common::{alone, descriptors, settled_at, settled_descriptors};

/// What the side that connects is told by: the port to connect to.
const CLIENT: &str = "ANNULUS_SOAK_CLIENT";
const SEED: &str = "ANNULUS_SOAK_SEED";
const NAME: &str = "connections_that_are_cut_at_random_leave_nothing_behind";

fn setting<T: FromStr<Err: Debug>>(name: &str, otherwise: T) -> T {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")))
}

fn seconds() -> Duration {
    Duration::from_secs_f64(setting("ANNULUS_SOAK_SECONDS", 1.0))
}

fn connections() -> usize {
    setting("ANNULUS_SOAK_CONNECTIONS", 200)
}

#[test]
fn connections_that_are_cut_at_random_leave_nothing_behind() {
    if let Ok(port) = std::env::var(CLIENT) {
        return Builder::new().run(connect_again_and_again(port.parse().unwrap())).unwrap();
    }
    let soak = || {
        let seed = setting(SEED, fastrand::u64(..));
        println!("soak: {SEED}={seed}");
        fastrand::seed(seed);
        Builder::new().run(serve_until_over(seed)).unwrap();
    };
    // Who asks for the long run wants to see how it goes, and runs nothing else in this process.
    if std::env::var_os("ANNULUS_SOAK_SECONDS").is_some() { soak() } else { alone(NAME, soak) }
}

// --- the side that accepts -----------------------------------------------------------------------

/// Serves until the time is over and the other side has ended; then nothing may be left.
async fn serve_until_over(seed: u64) {
    // What is set up at the first use (the pool of receive buffers) is there before anything is counted.
    let (near, far) = common::pair().await;
    near.send_all("x").await.0.unwrap();
    assert_eq!(far.receiver().next().await.unwrap().unwrap().as_ref(), b"x");
    drop((near, far));
    let before = settled_descriptors().await;

    let listener = ListenOptions::new().backlog(4096).bind("0.0.0.0:0".parse().unwrap()).unwrap();
    let client = start_client(listener.local_addr().unwrap().port(), seed);
    let shutdown = Shutdown::new();
    let accepting = spawn(accept(listener, shutdown.clone()));
    let samples = watch(client).await;
    shutdown.request();
    accepting.await.unwrap();
    shutdown.drain(Duration::from_secs(60)).await.expect("what serves a connection that is gone ends");

    settled_at(before).await;
    assert_eq!(counters().stale, 0);
    assert_flat(&samples);
}

/// Accepts by one multishot operation after another, as this is dropped again and again with whatever it holds.
async fn accept(listener: TcpListener, shutdown: Shutdown) {
    while !shutdown.is_requested() {
        let mut incoming = listener.incoming();
        for _ in 0..fastrand::usize(1..2_000) {
            let Either::Left(accepted) = select(incoming.next(), shutdown.requested()).await else { return };
            // Too few descriptors, or a connection that was gone before it was taken: the next one.
            let Ok(stream) = accepted else { continue };
            let guard = shutdown.guard();
            drop(spawn(async move {
                serve(stream, guard.requested()).await;
                drop(guard);
            }));
        }
    }
}

/// Sends back what comes; half of the connections are dropped at a random moment, wherever they are then.
async fn serve(stream: TcpStream, ended: impl Future<Output = ()>) {
    let stream = Rc::new(stream);
    let echoing = async {
        let mut receiver = stream.receiver();
        while let Ok(Some(bytes)) = receiver.next().await {
            if stream.send_all(bytes).await.0.is_err() {
                break;
            }
        }
    };
    let cut = async {
        if fastrand::bool() {
            sleep(Duration::from_micros(fastrand::u64(0..400_000))).await;
        } else {
            ended.await;
        }
    };
    let _ = select(echoing, cut).await;
}

/// Waits until nothing is in flight but what the runtime itself has.
async fn settled() {
    for _ in 0..10_000 {
        if counters().in_flight == 0 {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("{:?} after ten seconds", counters());
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    resident_kib: u64,
    descriptors: usize,
    in_flight: usize,
    tasks: usize,
}

/// Looks at this process ten times a second until the client has ended, well.
async fn watch(mut client: Child) -> Vec<Sample> {
    let mut samples = Vec::new();
    loop {
        if let Some(status) = client.try_wait().unwrap() {
            assert!(status.success(), "the side that connects: {status}");
            return samples;
        }
        sleep(Duration::from_millis(100)).await;
        let counters = counters();
        let sample = Sample {
            resident_kib: resident_kib(),
            descriptors: descriptors(),
            in_flight: counters.in_flight,
            tasks: counters.tasks,
        };
        if samples.len() % 100 == 99 {
            println!("soak: {} s: {sample:?}", samples.len() / 10 + 1);
        }
        samples.push(sample);
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Memory in the last third is that of the third before it; a run of seconds is not settled enough to compare. What there is
/// of everything else goes up and down with what else the machine does, within what the connections need.
fn assert_flat(samples: &[Sample]) {
    for sample in samples {
        let most = 3 * connections() + 64;
        let all_in_bounds = sample.descriptors < most && sample.in_flight < most && sample.tasks < most;
        assert!(all_in_bounds, "with {} connections: {sample:?}", connections());
    }
    if seconds() < Duration::from_secs(30) {
        return;
    }
    let third = samples.len() / 3;
    let most = |samples: &[Sample]| samples.iter().map(|sample| sample.resident_kib).max().unwrap_or(0);
    let (middle, last) = (most(&samples[third..2 * third]), most(&samples[2 * third..]));
    println!("soak: at the most {middle} KiB resident in the second third, {last} in the last");
    assert!(last <= middle + middle / 10 + 1024, "memory grows: {samples:?}");
}

// --- the side that connects ----------------------------------------------------------------------

fn start_client(port: u16, seed: u64) -> Child {
    let mut client = Command::new(std::env::current_exe().unwrap());
    client.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(CLIENT, port.to_string());
    client.env(SEED, (seed ^ 1).to_string()).stdin(Stdio::null()).spawn().unwrap()
}

#[derive(Default)]
struct Account {
    connected: Cell<u64>,
    echoed: Cell<u64>,
    cut: Cell<u64>,
    refused: RefCell<Vec<io::Error>>,
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

async fn connect_again_and_again(port: u16) {
    fastrand::seed(setting(SEED, 0));
    let end = now() + seconds();
    let account = Rc::new(Account::default());
    let all: Vec<_> = (0..connections())
        .map(|index| {
            // Many addresses of this machine, as the ports of one are used up by connections that have ended.
            let address = SocketAddr::from(([127, 0, 0, u8::try_from(1 + index % 200).unwrap()], port));
            let account = account.clone();
            spawn(async move {
                while now() < end {
                    one_connection(address, &account).await;
                }
            })
        })
        .collect();
    for task in all {
        task.await.unwrap();
    }
    settled().await;
    println!(
        "soak: {} connections, {} echoes, {} cut by this side",
        account.connected.get(),
        account.echoed.get(),
        account.cut.get()
    );
    assert!(
        account.connected.get() > 0 && account.echoed.get() > 0,
        "{:?}",
        account.refused.borrow().first()
    );
}

/// One connection, from the connect to its end: in order, or dropped at a random moment.
async fn one_connection(address: SocketAddr, account: &Account) {
    let whole = async {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                count(&account.connected);
                converse(&stream, account).await;
            }
            Err(error) => {
                account.refused.borrow_mut().push(error);
                account.refused.borrow_mut().truncate(10);
                sleep(Duration::from_millis(10)).await;
            }
        }
    };
    match fastrand::u8(0..4) {
        // After some turns of the loop: in the midst of whatever is submitted, in flight, or has completed.
        0 => {
            let turns = async {
                for _ in 0..fastrand::u8(0..20) {
                    yield_now().await;
                }
            };
            let _ = select(turns, whole).await;
            count(&account.cut);
        }
        1 => {
            let _ = timeout(Duration::from_micros(fastrand::u64(0..200_000)), whole).await;
            count(&account.cut);
        }
        _ => whole.await,
    }
}

/// Sends and compares what comes back, until the other side cuts, or it has been enough.
async fn converse(stream: &TcpStream, account: &Account) {
    for _ in 0..fastrand::u8(1..30) {
        let mut sent = vec![0; fastrand::usize(1..3_000)];
        fastrand::fill(&mut sent);
        let (result, sent) = stream.send_all(sent).await;
        if result.is_err() {
            return;
        }
        let (result, received) = stream.recv_exact(vec![0; sent.len()]).await;
        if result.is_err() {
            return;
        }
        assert!(sent == received, "{} bytes came back changed", sent.len());
        count(&account.echoed);
        sleep(Duration::from_micros(fastrand::u64(0..20_000))).await;
    }
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
