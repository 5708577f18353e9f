//! Slow, stalled and too many clients: each is dealt with in its time, and nobody else notices.

use std::fs::{self, File};
use std::io::Read as _;
use std::thread;
use std::time::Duration;

use annulus_serve::LogTarget;
use annulus_serve::http::MinRate;

use crate::site::{Client, Site};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_head_that_does_not_come_to_its_end_is_answered_with_408() {
    let site = Site::start(|config| config.patience.head = SHORT);
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost:");
    let response = client.response("GET");
    assert_eq!((response.status, response.header("Connection")), (408, "close"));
    client.assert_closed();

    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(client.response("GET").status, 408, "the body counts too");
    client.assert_closed();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let site = Site::start(|config| config.patience.idle = Duration::from_secs(2));
    site.write("a.txt", "a");
    site.client().assert_closed();
    let mut client = site.client();
    assert_eq!(client.ask("GET", "/a.txt", "").status, 200);
    client.assert_closed();
}

/// A server with a file that no socket's buffers hold, and a log.
fn stalling(log: &std::path::Path, adjust: impl FnOnce(&mut annulus_serve::Config)) -> Site {
    let site = Site::start(|config| {
        config.log = LogTarget::File(log.to_owned());
        adjust(config);
    });
    File::create(site.path("large.bin")).and_then(|file| file.set_len(1 << 30)).expect("made");
    site.write("a.txt", "a");
    site
}

#[test]
fn a_client_that_stops_reading_is_cut_and_others_are_served_meanwhile() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    let mut site = stalling(&log, |config| config.patience.stall = Duration::from_secs(1));
    let mut stalled: Vec<Client> = (0..10).map(|_| site.client()).collect();
    for client in &mut stalled {
        client.request("GET", "/large.bin", "");
    }
    for _ in 0..20 {
        assert_eq!(site.get("/a.txt", "").text(), "a");
    }
    // The log says when they are cut; nobody has read a byte until then.
    for _ in 0..1500 {
        let text = fs::read_to_string(&log).expect("it is there");
        if text.matches("aborted: the client stopped reading").count() == 10 {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    for client in &mut stalled {
        assert!(client.rest().len() < 1 << 30);
    }
    site.stop();
    let text = fs::read_to_string(&log).expect("it is there");
    assert_eq!(text.matches("aborted: the client stopped reading").count(), 10, "{text}");
}

#[test]
fn a_client_that_reads_slowly_is_not_taken_for_one_that_has_stopped() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    let site = stalling(&log, |config| config.patience.stall = Duration::from_secs(3));
    let mut client = site.client();
    client.request("GET", "/large.bin", "");
    assert_eq!(client.head().status, 200);
    // 8 KiB every 50 ms, for twice as long as a client may do nothing: far less than what the socket's buffer must drain
    // by before the kernel says that there is room in it again.
    let mut piece = vec![1; 8 << 10];
    for _ in 0..130 {
        client.stream.read_exact(&mut piece).expect("it goes on");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(fs::read_to_string(&log).expect("it is there"), "", "it is still being sent");
}

#[test]
fn a_client_below_the_minimum_rate_is_cut() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    let site = stalling(&log, |config| {
        config.patience.min_rate = Some(MinRate { bytes_per_s: 1 << 30, grace: SHORT });
    });
    let mut client = site.client();
    client.request("GET", "/large.bin", "");
    assert_eq!(client.head().status, 200);
    thread::sleep(3 * SHORT);
    assert!(client.rest().len() < 1 << 30);
    for _ in 0..1500 {
        let text = fs::read_to_string(&log).expect("it is there");
        if text.contains("aborted: the client reads below the minimum rate") {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("it was not cut for that: {}", fs::read_to_string(&log).expect("it is there"));
}

#[test]
fn one_address_gets_as_many_connections_as_it_may() {
    let site = Site::start(|config| config.admission.per_address = 3);
    site.write("a.txt", "a");
    let mut clients: Vec<Client> = (0..3).map(|_| site.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/a.txt", "").status, 200);
    }
    let mut refused = site.client();
    let response = refused.response("GET");
    assert_eq!((response.status, response.header("Retry-After")), (503, "2"));
    refused.assert_closed();
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/a.txt", "").status, 200);
    }
    drop(clients);
    // Whoever has left makes room, as soon as the server has noticed.
    for _ in 0..1500 {
        let mut client = site.client();
        client.request("GET", "/a.txt", "");
        if client.response("GET").status == 200 {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("those who left are still counted");
}

#[test]
fn above_the_bound_connections_wait_until_one_ends() {
    let site = Site::start(|config| config.admission.connections = 2);
    site.write("a.txt", "a");
    let mut first = site.client();
    let mut second = site.client();
    assert_eq!(first.ask("GET", "/a.txt", "").status, 200);
    assert_eq!(second.ask("GET", "/a.txt", "").status, 200);
    let mut third = site.client();
    third.request("GET", "/a.txt", "");
    third.stream.get_mut().set_read_timeout(Some(SHORT)).expect("set");
    let waits = third.stream.read(&mut [0]).expect_err("nothing comes");
    assert!(matches!(waits.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{waits}");
    third.stream.get_mut().set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    drop(first);
    assert_eq!(third.response("GET").status, 200);
    assert_eq!(second.ask("GET", "/a.txt", "").status, 200);
}
