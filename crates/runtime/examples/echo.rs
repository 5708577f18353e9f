//! An echo server on every core, until Ctrl-C: `cargo run --release -p annulus-rt --example echo -- 127.0.0.1:7777`
//!
//! Prints the address, and at the end what each shard has done: how many calls it made for how many operations.
#![allow(clippy::print_stdout, reason = "a program that tells what it does")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulus_rt::net::{ListenOptions, TcpListener, TcpStream};
use annulus_rt::signal::{SignalKind, Signals};
use annulus_rt::sync::Shutdown;
use annulus_rt::{Counters, Either, Shards, counters, select, spawn};

/// How long connections may go on after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let shards = match arguments.next() {
        Some(count) => Shards::new(count.parse()?),
        None => Shards::per_core(),
    };
    let options = ListenOptions::new().reuse_port(true);
    // Bound to once, so that port 0 becomes one port for all, and a port that is taken is an error at once.
    let first = options.bind(address.parse()?)?;
    let address = first.local_addr()?;
    // Whoever listens and does not accept would still get connections.
    drop(first);
    let listening = AtomicUsize::new(0);
    let done = shards.clone().run(|_| async {
        let signals = Signals::new(&[SignalKind::interrupt(), SignalKind::terminate()])?;
        let listener = options.bind(address)?;
        if listening.fetch_add(1, Ordering::Relaxed) + 1 == shards.count() {
            println!("listening on {address}");
        }
        serve(listener, signals).await
    })?;
    for (shard, done) in done.into_iter().enumerate() {
        println!("shard {shard}: {:?}", done?);
    }
    Ok(())
}

async fn serve(listener: TcpListener, mut signals: Signals) -> io::Result<Counters> {
    let shutdown = Shutdown::new();
    let mut incoming = listener.incoming();
    while let Either::Right(stream) = select(signals.next(), incoming.next()).await {
        let (stream, guard) = (stream?, shutdown.guard());
        spawn(async move {
            let ended = select(guard.requested(), echo(&stream)).await;
            drop(guard);
            ended
        });
    }
    shutdown.request();
    let _some_were_cut_off = shutdown.drain(PATIENCE).await.is_err();
    Ok(counters())
}

async fn echo(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut receiver = stream.receiver();
    while let Some(bytes) = receiver.next().await? {
        stream.send_all(bytes).await.0?;
    }
    Ok(())
}
