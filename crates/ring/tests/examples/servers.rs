//! `tcp_echo`, `udp_echo` and `event_loop`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;

use crate::clients::{bytes, connect, echo_blocks};
use crate::process::Server;

/// Starts the TCP echo server with these arguments.
fn tcp_echo(arguments: &[&str]) -> Server {
    Server::start("tcp_echo", [&["--listen", "127.0.0.1:0"], arguments].concat())
}

#[test]
fn tcp_echo_serves_many_clients_in_every_mode() {
    for mode in ["interrupt", "sqpoll", "iopoll", "both"] {
        let server = tcp_echo(&["--mode", mode]);
        let sent = echo_blocks(server.address, 32, 20, 20_000);
        let end = server.stop();
        assert!(end.status.success(), "{mode}: {end:?}");
        assert_eq!(end.output, format!("32 connections, {sent} bytes echoed\n"), "{mode}");
    }
}

#[test]
fn tcp_echo_serves_more_clients_than_its_ring_has_entries() {
    for mode in ["interrupt", "sqpoll"] {
        let server = tcp_echo(&["--mode", mode, "--entries", "2"]);
        let sent = echo_blocks(server.address, 50, 8, 9_000);
        assert_eq!(server.stop().output, format!("50 connections, {sent} bytes echoed\n"), "{mode}");
    }
}

#[test]
fn tcp_echo_sends_everything_back_after_the_clients_end_of_the_stream() {
    let server = tcp_echo(&[]);
    let data = bytes(1, 8 << 20);
    let stream = connect(server.address);
    let (mut sending, mut receiving) = (stream.try_clone().unwrap(), stream);
    let back = std::thread::scope(|scope| {
        scope.spawn(|| {
            sending.write_all(&data).unwrap();
            sending.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        receiving.read_to_end(&mut back).unwrap();
        back
    });
    assert!(back == data, "{} of {} bytes came back", back.len(), data.len());
    assert_eq!(server.stop().output, "1 connections, 8388608 bytes echoed\n");
}

#[test]
fn tcp_echo_greets_from_a_file_in_every_mode() {
    let folder = tempfile::tempdir().unwrap();
    let greeting = folder.path().join("greeting");
    fs::write(&greeting, "220 hello\n").unwrap();
    for mode in ["interrupt", "sqpoll", "iopoll", "both"] {
        let server = tcp_echo(&["--mode", mode, "--greeting", greeting.to_str().unwrap()]);
        let mut clients: Vec<_> = (0..12).map(|_| BufReader::new(connect(server.address))).collect();
        for client in &mut clients {
            let mut line = String::new();
            client.read_line(&mut line).unwrap();
            assert_eq!(line, "220 hello\n", "{mode}");
            client.get_mut().write_all(b"thanks\n").unwrap();
            line.clear();
            client.read_line(&mut line).unwrap();
            assert_eq!(line, "thanks\n", "{mode}");
        }
        drop(clients);
        let end = server.stop();
        assert!(end.status.success(), "{mode}: {end:?}");
        // On a device with poll queues nothing is said; others are read through the other ring.
        let polls = end.complaint.is_empty();
        let refused = "tcp_echo: the greeting's device cannot be polled: the sockets' ring reads it\n";
        assert!(polls || (["iopoll", "both"].contains(&mode) && end.complaint == refused), "{mode}: {end:?}");
    }
}

#[test]
fn tcp_echo_ends_the_streams_of_idle_clients_on_a_signal() {
    let server = tcp_echo(&[]);
    let mut idle: Vec<_> = (0..5).map(|_| connect(server.address)).collect();
    for client in &mut idle {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    server.signal();
    for client in &mut idle {
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "the server says that it ends");
    }
    drop(idle);
    let end = server.wait();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.output, "5 connections, 5 bytes echoed\n");
}

#[test]
fn tcp_echo_does_not_wait_for_clients_that_never_end() {
    let server = tcp_echo(&[]);
    let mut client = connect(server.address);
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    let end = server.stop();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.output, "1 connections, 1 bytes echoed\n");
    drop(client);
}

#[test]
fn tcp_echo_says_what_is_wrong_with_its_arguments() {
    for (arguments, complaint) in [
        (
            vec!["--mode", "fast"],
            "cannot parse argument \"fast\": there are interrupt, sqpoll, iopoll and both",
        ),
        (vec!["--fast"], "invalid option '--fast'"),
        (vec!["--listen", "nowhere"], "cannot parse argument \"nowhere\": invalid socket address syntax"),
    ] {
        let output = crate::process::run("tcp_echo", &arguments);
        assert_eq!(output.status.code(), Some(2));
        let text = crate::process::complaint(&output);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(&*format!("tcp_echo: {complaint}")));
        assert!(lines.next().is_some_and(|line| line.starts_with("usage: tcp_echo ")), "{text}");
    }
    let missing =
        crate::process::run("tcp_echo", ["--listen", "127.0.0.1:0", "--greeting", "/does/not/exist"]);
    assert_eq!(missing.status.code(), Some(1));
    let expected = "tcp_echo: /does/not/exist: No such file or directory (os error 2)\n";
    assert_eq!(crate::process::complaint(&missing), expected);
}
