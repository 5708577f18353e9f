//! How a server starts and ends, and what is left of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use annulus_serve::{Config, LogTarget, ServeError, Server};

use rustix::process::{Signal, getpid, kill_process};

use crate::site::Site;

fn refused(adjust: impl FnOnce(&mut Config)) -> ServeError {
    let root = tempfile::tempdir().expect("a directory");
    let mut config = Config::new(root.path());
    config.listen = "127.0.0.1:0".parse().expect("an address");
    adjust(&mut config);
    Server::start(config).expect_err("it cannot start")
}

/// Waits until nobody listens: a child that another test begins has the listener of this process too, until it is its own
/// program.
fn nobody_listens_at(address: SocketAddr) {
    for _ in 0..1500 {
        if let Err(error) = TcpStream::connect(address) {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("somebody listens at {address} still");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_served() {
    let missing = refused(|config| config.root = "/nonexistent/photos".into());
    assert_eq!(missing.to_string(), "cannot serve /nonexistent/photos: there is no such directory");
    let file = refused(|config| config.root = "/proc/version".into());
    assert_eq!(
        file.to_string(),
        "cannot serve /proc/version: it is not a directory; name the folder that it is in"
    );
    let log = refused(|config| config.log = LogTarget::File("/nonexistent/log".into()));
    assert!(log.to_string().starts_with("cannot write the log to /nonexistent/log: "), "{log}");
    let address = refused(|config| config.listen = "192.0.2.1:0".parse().expect("an address"));
    assert!(matches!(address, ServeError::Listen { .. }), "{address:?}");
}

#[test]
fn a_port_that_is_taken_is_refused_whoever_has_it() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("an address");
    let error = refused(|config| config.listen = taken);
    assert!(matches!(&error, ServeError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse));

    let site = Site::start(|_| {});
    let error = refused(|config| config.listen = site.address());
    assert!(matches!(&error, ServeError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse));
}

#[test]
fn stopping_closes_idle_connections_and_the_listener_at_once() {
    let mut site = Site::start(|config| config.grace = Duration::from_secs(3600));
    site.write("a.txt", "a");
    let address = site.address();
    let mut idle = site.client();
    assert_eq!(idle.ask("GET", "/a.txt", "").status, 200);
    let mut fresh = site.client();
    site.stop();
    idle.assert_closed();
    fresh.assert_closed();
    nobody_listens_at(address);
}

#[test]
fn stopping_lets_a_running_response_finish_and_says_that_it_is_the_last() {
    let mut site = Site::start(|config| config.grace = Duration::from_secs(3600));
    let size = 64 << 20;
    File::create(site.path("large.bin")).and_then(|file| file.set_len(size)).expect("made");
    let mut client = site.client();
    client.request("GET", "/large.bin", "");
    assert_eq!(client.head().status, 200);
    let mut asking = site.client();
    // In one piece: with the first request, the beginning of the second has been read.
    asking.send("HEAD /large.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /large.bin HTTP/1.1\r\nHost: a\r\n");
    assert_eq!(asking.head().status, 200);
    site.server().stop();
    asking.send("\r\n");
    let last = asking.head();
    assert_eq!((last.status, last.header("Connection")), (200, "close"));
    for client in [&mut client, &mut asking] {
        assert_eq!(client.rest().len() as u64, size);
    }
    site.stop();
}

#[test]
fn what_does_not_finish_in_time_is_cut_and_logged() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    let mut site = Site::start(|config| {
        config.grace = Duration::from_millis(200);
        config.log = LogTarget::File(log.clone());
    });
    File::create(site.path("large.bin")).and_then(|file| file.set_len(1 << 30)).expect("made");
    let mut client = site.client();
    client.request("GET", "/large.bin", "");
    assert_eq!(client.head().status, 200);
    site.stop();
    let mut rest = 0;
    let mut piece = vec![0; 1 << 20];
    while let Ok(read @ 1..) = client.stream.read(&mut piece) {
        rest += read;
    }
    assert!(rest < 1 << 30);
    let log = std::fs::read_to_string(&log).expect("written");
    assert!(log.ends_with("ms aborted: the server ended before it was complete\n"), "{log}");
}

#[test]
fn serving_until_a_signal_ends_with_the_signal() {
    let root = tempfile::tempdir().expect("a directory");
    let mut config = Config::new(root.path());
    config.listen = "127.0.0.1:0".parse().expect("an address");
    let mut address = None;
    annulus_serve::serve(config, |server| {
        drop(TcpStream::connect(server.address()).expect("it listens"));
        address = Some(server.address());
        // The signal is caught by now; no other test waits for one, so that it reaches this server alone.
        kill_process(getpid(), Signal::TERM).expect("sent");
    })
    .expect("it ends in order");
    nobody_listens_at(address.expect("it has started"));
}

#[test]
fn dropping_a_server_ends_it() {
    let site = Site::start(|_| {});
    site.write("a.txt", "a");
    let address = site.address();
    let mut client = site.client();
    assert_eq!(client.ask("GET", "/a.txt", "").status, 200);
    drop(site);
    client.assert_closed();
    nobody_listens_at(address);
}

#[test]
fn servers_may_run_one_after_the_other_on_a_port() {
    let mut site = Site::start(|_| {});
    let address = site.address();
    site.write("a.txt", "a");
    assert_eq!(site.get("/a.txt", "").status, 200);
    site.stop();
    nobody_listens_at(address);
    let again = Site::start(|config| config.listen = address);
    again.write("a.txt", "b");
    assert_eq!(again.get("/a.txt", "").text(), "b");
}
