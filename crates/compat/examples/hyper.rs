//! A server of hyper's on every core, HTTP/1.1 and HTTP/2 on one port, until Ctrl-C:
//! `cargo run --release -p annulus-compat --example hyper -- 127.0.0.1:8080`, then
//! `curl http://127.0.0.1:8080/` and `curl --http2-prior-knowledge http://127.0.0.1:8080/`.
//!
//! It answers with what it was asked, and sends a body back as it comes.
#![allow(clippy::print_stdout, reason = "a program that tells what it does")]

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulus_compat::{Compat, HyperExecutor, HyperTimer};
use annulus_rt::net::{ListenOptions, TcpListener, TcpStream};
use annulus_rt::signal::{SignalKind, Signals};
use annulus_rt::sync::Shutdown;
use annulus_rt::{Either, Shards, select, spawn};
use bytes::Bytes;
use http_body_util::{BodyExt, Either as Body, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};

/// The first bytes of a client that speaks HTTP/2 without asking.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// How long responses may go on after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let shards = match arguments.next() {
        Some(count) => Shards::new(count.parse()?),
        None => Shards::per_core(),
    };
    let options = ListenOptions::new().reuse_port(true);
    // Bound to once, so that port 0 becomes one port for all, and a port that is taken is an error at once.
    let first = options.bind(address)?;
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
        accept(listener, signals).await
    })?;
    done.into_iter().collect::<io::Result<()>>()?;
    Ok(())
}

async fn accept(listener: TcpListener, mut signals: Signals) -> io::Result<()> {
    let shutdown = Shutdown::new();
    let mut incoming = listener.incoming();
    while let Either::Right(stream) = select(signals.next(), incoming.next()).await {
        let (stream, guard) = (stream?, shutdown.guard());
        spawn(async move {
            // A client that goes away in the middle is no affair of the server's.
            let _ended = select(guard.requested(), serve(stream)).await;
            drop(guard);
        });
    }
    shutdown.request();
    let _some_were_cut_off = shutdown.drain(PATIENCE).await;
    Ok(())
}

async fn serve(stream: TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut stream = Compat::new(stream);
    let first = stream.fill_buf().await?;
    if first.starts_with(PREFACE) {
        let server = http2::Builder::new(HyperExecutor);
        server.serve_connection(stream, service_fn(answer)).await?;
    } else {
        let mut server = http1::Builder::new();
        server.timer(HyperTimer).header_read_timeout(Duration::from_secs(10));
        server.serve_connection(stream, service_fn(answer)).await?;
    }
    Ok(())
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body<Full<Bytes>, Incoming>>, Infallible> {
    if request.method() == Method::POST {
        return Ok(Response::new(Body::Right(request.into_body())));
    }
    let text = format!("{} {} {:?}\n", request.method(), request.uri().path(), request.version());
    // Whatever came with it is read, so that the connection can go on.
    let _rest = request.into_body().collect().await;
    Ok(Response::new(Body::Left(Full::from(text))))
}
