//! TCP Fast Open: data that go with the request to connect, where both ends allow it, and that arrive in any case.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::process::Command;
use std::time::Duration;

use annulus_rt::net::{ConnectOptions, ListenOptions, TcpListener};
use annulus_rt::{Either, run, select, spawn};
use common::{settled_descriptors, silent_port, turns};
use fastrand::Rng;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Bytes of which each place can be told from its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

#[test]
fn a_listener_is_told_how_many_may_come_with_data() {
    let most: u32 = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let asked = |queue| ListenOptions::new().fast_open(queue).bind(ANY).unwrap().fast_open().unwrap();
    assert_eq!(TcpListener::bind(ANY).unwrap().fast_open().unwrap(), 0);
    assert_eq!((asked(0), asked(16), asked(u32::MAX)), (0, 16.min(most), most));
}

#[test]
fn what_is_sent_with_the_request_arrives_whatever_the_system_allows() {
    run(async {
        let listener = ListenOptions::new().fast_open(16).bind(ANY).unwrap();
        let address = listener.local_addr().unwrap();
        // To a name too, and more than a segment, or than a socket has room for.
        for (len, timeout) in [(0, None), (1, None), (5_000, Some(60)), (5_000_000, Some(60))] {
            let mut options = ConnectOptions::new().nodelay(true);
            if let Some(seconds) = timeout {
                options = options.timeout(Duration::from_secs(seconds));
            }
            let sending = spawn(async move {
                let (connected, buf) =
                    options.connect_and_send(("localhost", address.port()), pattern(len)).await;
                assert!(buf == pattern(len));
                connected.unwrap()
            });
            let far = listener.accept().await.unwrap();
            let (received, all) = far.recv_exact(vec![0; len]).await;
            received.unwrap();
            assert!(all == pattern(len));
            let near = sending.await.unwrap();
            far.send_all("answer").await.0.unwrap();
            assert_eq!(near.recv_exact(vec![0; 6]).await.1, b"answer");
        }
    })
    .unwrap();
}

#[test]
fn what_goes_wrong_gives_the_buffer_back() {
    run(async {
        let (_bound, silent) = silent_port();
        let options = ConnectOptions::new();
        let (refused, buf) = options.connect_and_send(silent, "to nobody").await;
        assert_eq!((refused.unwrap_err().raw_os_error(), buf), (Some(libc::ECONNREFUSED), "to nobody"));
        let patient = options.timeout(Duration::from_secs(60));
        let (refused, buf) = patient.connect_and_send(silent, "to nobody").await;
        assert_eq!((refused.unwrap_err().raw_os_error(), buf), (Some(libc::ECONNREFUSED), "to nobody"));
        // A peer that takes nothing: the time is over while the rest waits.
        let listener = ListenOptions::new().recv_buffer_size(8_192).bind(ANY).unwrap();
        let small = options.timeout(Duration::from_millis(300)).send_buffer_size(8_192);
        let address = listener.local_addr().unwrap();
        let (late, buf) = small.connect_and_send(address, pattern(8_000_000)).await;
        assert_eq!((late.unwrap_err().raw_os_error(), buf.len()), (Some(libc::ETIMEDOUT), 8_000_000));
    })
    .unwrap();
}

#[test]
fn connecting_and_sending_that_is_dropped_leaves_no_descriptor_and_sends_what_it_was_given() {
    let name = "connecting_and_sending_that_is_dropped_leaves_no_descriptor_and_sends_what_it_was_given";
    common::alone(name, || {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        run(async {
            let listener = ListenOptions::new().fast_open(16).bind(ANY).unwrap();
            let address = listener.local_addr().unwrap();
            let before = settled_descriptors().await;
            let mut rng = Rng::with_seed(seed);
            for _ in 0..500 {
                let bytes = pattern(rng.usize(1..5_000));
                let mut options = ConnectOptions::new();
                if rng.bool() {
                    options = options.timeout(Duration::from_micros(rng.u64(0..2_000)));
                }
                let connecting = options.connect_and_send(address, bytes.clone());
                let came = match select(pin!(connecting), turns(rng.u64(0..200))).await {
                    Either::Left((connected, back)) => {
                        assert!(back == bytes);
                        connected.ok()
                    }
                    Either::Right(()) => None,
                };
                // One that is behind all that were made in this round.
                let last = std::net::TcpStream::connect(address).unwrap();
                let wanted = last.local_addr().unwrap();
                loop {
                    let (far, peer) = listener.accept_from().await.unwrap();
                    if peer == wanted {
                        break;
                    }
                    if came.as_ref().is_some_and(|near| near.local_addr().unwrap() == peer) {
                        assert!(far.recv_exact(vec![0; bytes.len()]).await.1 == bytes);
                    }
                }
            }
            common::settled_at(before).await;
        })
        .unwrap();
    });
}

/// Set in the process that has a network of its own.
const INSIDE: &str = "ANNULUS_RT_TEST_OWN_NETWORK";

#[test]
fn where_the_system_allows_it_the_bytes_come_with_the_request() {
    const NAME: &str = "where_the_system_allows_it_the_bytes_come_with_the_request";
    if std::env::var_os(INSIDE).is_none() {
        let program = std::env::current_exe().unwrap();
        // The settings are those of a network that ends with the process.
        let script = "ip link set lo up && echo 3 > /proc/sys/net/ipv4/tcp_fastopen && echo ready && exec \"$0\" --exact \"$1\"";
        let mut own = Command::new("unshare");
        own.args(["-n", "sh", "-c", script]).arg(program).arg(NAME).env(INSIDE, "1");
        let Ok(output) = own.output() else { return println!("SKIP: no unshare(1) here") };
        let (text, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !text.contains("ready") {
            return println!("SKIP: no network of one's own may be made here: {errors}");
        }
        assert!(text.contains("1 passed"), "{text}{errors}");
        return;
    }
    run(async {
        let allows = ListenOptions::new().fast_open(16).bind(ANY).unwrap();
        let plain = TcpListener::bind(ANY).unwrap();
        for (listener, allowed) in [(&allows, true), (&plain, false)] {
            let address = listener.local_addr().unwrap();
            for known in [false, true, true] {
                let (connected, _) = ConnectOptions::new().connect_and_send(address, "first").await;
                let near = connected.unwrap();
                let far = listener.accept().await.unwrap();
                assert_eq!(far.recv_exact(vec![0; 5]).await.1, b"first");
                far.send_all("answer").await.0.unwrap();
                assert_eq!(near.recv_exact(vec![0; 6]).await.1, b"answer");
                // The first connection asks for leave, the next ones have it.
                let told = (near.was_fast_opened().unwrap(), far.was_fast_opened().unwrap());
                let expected = allowed && known;
                assert_eq!(told, (expected, expected), "allowed: {allowed}, known: {known}");
            }
        }
        // More than goes with the request.
        let address = allows.local_addr().unwrap();
        let sending =
            spawn(async move { ConnectOptions::new().connect_and_send(address, pattern(300_000)).await.0 });
        let far = allows.accept().await.unwrap();
        assert!(far.recv_exact(vec![0; 300_000]).await.1 == pattern(300_000));
        let near = sending.await.unwrap().unwrap();
        assert!(near.was_fast_opened().unwrap());
        // Leave was given, and nobody is there any more: the request with the data is refused.
        drop(far);
        allows.close().await.unwrap();
        match ConnectOptions::new().connect_and_send(address, "to nobody").await.0 {
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED)),
            Ok(stream) => {
                let error = stream.recv(vec![0; 1]).await.0.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
            }
        }
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
