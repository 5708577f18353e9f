//! hyper on rings: servers and clients of both versions on one executor, and the example as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream as Blocking;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use annulus_compat::{Compat, HyperExecutor, HyperTimer};
use annulus_rt::net::TcpStream;
use annulus_rt::{run, spawn};
use bytes::Bytes;
use common::{pair, pattern};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::rt::Timer;
use hyper::service::service_fn;
use hyper::{Request, Response, Version, client, server};
use rustix::process::{Pid, Signal, kill_process};

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let response =
        Response::builder().header("path", head.uri.path()).header("version", format!("{:?}", head.version));
    Ok(response.body(Full::new(body)).unwrap())
}

fn request(path: &str, body: &[u8]) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::copy_from_slice(body));
    Request::post(path).header("host", "localhost").body(body).unwrap()
}

async fn serve_http1(stream: TcpStream) -> hyper::Result<()> {
    let mut server = server::conn::http1::Builder::new();
    server.timer(HyperTimer).header_read_timeout(Duration::from_secs(20));
    server.serve_connection(Compat::new(stream), service_fn(echo)).await
}

#[test]
fn http1_is_spoken_by_both_sides_one_request_after_the_other() {
    run(async {
        let (near, far) = pair().await;
        let serving = spawn(serve_http1(far));
        let (mut sender, connection) = client::conn::http1::handshake(Compat::new(near)).await.unwrap();
        let connection = spawn(connection);
        for len in [0, 1, 100_000, 3_000_000] {
            let response = sender.send_request(request("/one", &pattern(len))).await.unwrap();
            assert_eq!(response.version(), Version::HTTP_11);
            assert_eq!(response.headers()["path"], "/one");
            assert!(response.into_body().collect().await.unwrap().to_bytes() == pattern(len));
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        serving.await.unwrap().unwrap();
    })
    .unwrap();
}

#[test]
fn http2_is_spoken_with_many_streams_at_a_time() {
    run(async {
        let (near, far) = pair().await;
        let serving = spawn(async move {
            let mut server = server::conn::http2::Builder::new(HyperExecutor);
            server.timer(HyperTimer).keep_alive_interval(Duration::from_secs(20));
            server.serve_connection(Compat::new(far), service_fn(echo)).await
        });
        let (sender, connection) =
            client::conn::http2::handshake(HyperExecutor, Compat::new(near)).await.unwrap();
        let connection = spawn(connection);
        let requests: Vec<_> = (0..50_usize)
            .map(|index| {
                let mut sender = sender.clone();
                spawn(async move {
                    let path = format!("http://localhost/{index}");
                    let sent = pattern(index * 2_000);
                    let response = sender.send_request(request(&path, &sent)).await.unwrap();
                    assert_eq!(response.headers()["version"], "HTTP/2.0");
                    assert_eq!(response.headers()["path"], format!("/{index}"));
                    assert!(response.into_body().collect().await.unwrap().to_bytes() == sent);
                })
            })
            .collect();
        for request in requests {
            request.await.unwrap();
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        serving.await.unwrap().unwrap();
    })
    .unwrap();
}

#[test]
fn hypers_timeout_of_a_head_is_kept_by_the_executors_timers() {
    run(async {
        let (near, far) = pair().await;
        near.send_all("GET / HT").await.0.unwrap();
        let mut server = server::conn::http1::Builder::new();
        server.timer(HyperTimer).header_read_timeout(Duration::from_millis(10));
        let ended = server.serve_connection(Compat::new(far), service_fn(echo)).await;
        assert!(ended.unwrap_err().is_timeout());
        drop(near);
    })
    .unwrap();
}

#[test]
fn a_timer_is_moved_in_place() {
    run(async {
        let start = HyperTimer.now();
        let mut sleep = HyperTimer.sleep(Duration::from_secs(3600));
        HyperTimer.reset(&mut sleep, start + Duration::from_millis(5));
        sleep.await;
        assert!(HyperTimer.now() - start >= Duration::from_millis(5));
        let deadline = HyperTimer.now() + Duration::from_millis(1);
        HyperTimer.sleep_until(deadline).await;
        assert!(HyperTimer.now() >= deadline);
    })
    .unwrap();
}

/// The built example, which lies beside the folder of this test program.
fn example() -> Command {
    let test = std::env::current_exe().expect("a test program has a path");
    let path: PathBuf = test.ancestors().nth(2).expect("target/PROFILE/deps").join("examples/hyper");
    let remedy = "`cargo test -p annulus-compat` builds it, `--test http` alone does not";
    assert!(path.exists(), "{} is not there: {remedy}", path.display());
    Command::new(path)
}

#[test]
fn the_example_serves_and_ends_in_order_on_sigterm() {
    let mut server = example();
    server.args(["127.0.0.1:0", "2"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = server.spawn().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening on ").unwrap();
    for _ in 0..10 {
        let mut client = Blocking::connect(address).unwrap();
        client.write_all(b"GET /path HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.ends_with("\r\n\r\nGET /path HTTP/1.1\n"), "{response}");
    }
    let mut held = Blocking::connect(address).unwrap();
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    assert_eq!(held.read(&mut [0; 1]).unwrap(), 0, "the connection was closed, not reset");
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
