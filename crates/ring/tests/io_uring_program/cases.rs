//! The echo server against real clients, on rings of several kinds.

use std::net::TcpListener;

use crate::clients;
use crate::ring::IoUring;
use crate::server::{self, Served};

/// Serves so many clients with so many blocks each, and checks that both sides counted the same bytes.
fn serve(ring: impl FnOnce() -> IoUring + Send, clients: u64, blocks: u64, largest: usize) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = usize::try_from(clients).unwrap();
    std::thread::scope(|scope| {
        // The ring is made where it is used, as some kinds insist on it.
        let server = scope.spawn(|| server::serve(ring(), &listener, connections).unwrap());
        let sent = clients::echo_blocks(address, clients, blocks, largest);
        let served = server.join().unwrap();
        assert_eq!((served.connections, served.bytes), (connections, sent));
        served
    })
}

#[test]
fn an_echo_server_serves_many_clients() {
    serve(|| IoUring::new(256).unwrap(), 64, 20, 20_000);
}

#[test]
fn an_echo_server_with_a_polling_thread_serves_many_clients() {
    serve(|| IoUring::builder().setup_sqpoll(500).build(256).unwrap(), 64, 20, 20_000);
}

#[test]
fn an_echo_server_wakes_a_polling_thread_that_sleeps_between_blocks() {
    serve(|| IoUring::builder().setup_sqpoll(1).build(256).unwrap(), 2, 50, 100);
}

#[test]
fn an_echo_server_keeps_a_backlog_while_its_ring_is_full() {
    let served = serve(|| IoUring::new(2).unwrap(), 40, 10, 8_000);
    assert!(served.full > 0, "{served:?}");
    serve(|| IoUring::builder().setup_sqpoll(500).build(2).unwrap(), 40, 10, 8_000);
}

#[test]
fn an_echo_server_runs_with_deferred_task_work() {
    let ring = || IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(32).unwrap();
    serve(ring, 32, 20, 20_000);
}
