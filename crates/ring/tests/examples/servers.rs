//! `tcp_echo`, `udp_echo` and `event_loop`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::path::Path;

use crate::clients::{PATIENCE, bytes, connect, echo_blocks};
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

#[test]
fn udp_echo_sends_datagrams_of_every_size_back() {
    let server = Server::start("udp_echo", ["127.0.0.1:0"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut back = vec![0; 65_536];
    let sizes = [0, 1, 512, 1472, 9000, 65_507];
    for (n, size) in (0..).zip(sizes) {
        let datagram = bytes(n, size);
        socket.send_to(&datagram, server.address).unwrap();
        let (len, from) = socket.recv_from(&mut back).unwrap();
        assert_eq!((len, from), (size, server.address));
        assert!(back[..len] == datagram, "{size} bytes");
    }
    let end = server.stop();
    assert!(end.status.success(), "{end:?}");
    let total: usize = sizes.iter().sum();
    assert_eq!(end.output, format!("6 datagrams, {total} bytes echoed\n"));
}

#[test]
fn udp_echo_answers_each_client_at_its_own_address() {
    // IPv6, where the machine has it.
    let local = if UdpSocket::bind("[::1]:0").is_ok() { "[::1]:0" } else { "127.0.0.1:0" };
    let server = Server::start("udp_echo", [local]);
    let clients: Vec<UdpSocket> = (0..16).map(|_| UdpSocket::bind(local).unwrap()).collect();
    for round in 0..20_u64 {
        let text = |client: usize| format!("client {client}, round {round}");
        for (number, client) in clients.iter().enumerate() {
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client.send_to(text(number).as_bytes(), server.address).unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            let mut back = [0; 64];
            let len = client.recv(&mut back).unwrap();
            assert_eq!(std::str::from_utf8(&back[..len]), Ok(&*text(number)));
        }
    }
    assert!(server.stop().output.starts_with("320 datagrams, "));
}

#[test]
fn udp_echo_goes_on_after_more_datagrams_than_it_has_buffers() {
    let server = Server::start("udp_echo", ["127.0.0.1:0"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // Small enough for the socket's own buffer, and more than the 64 buffers of the server.
    for n in 0..150_u16 {
        socket.send_to(&n.to_ne_bytes(), server.address).unwrap();
    }
    let mut seen: Vec<u16> = (0..150)
        .map(|_| {
            let mut back = [0; 2];
            assert_eq!(socket.recv(&mut back).unwrap(), 2);
            u16::from_ne_bytes(back)
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..150).collect::<Vec<_>>());
    assert_eq!(server.stop().output, "150 datagrams, 300 bytes echoed\n");
}

/// What the event loop sends for a name.
fn ask(server: &Server, name: &str) -> Vec<u8> {
    let mut stream = connect(server.address);
    // In two pieces, as a slow client does.
    let (head, tail) = name.split_at(name.len() / 2);
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(format!("{tail}\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn event_loop(folder: &Path, arguments: &[&str]) -> Server {
    let folder = folder.to_str().unwrap();
    Server::start("event_loop", [&[folder, "--listen", "127.0.0.1:0"], arguments].concat())
}

#[test]
fn event_loop_serves_files_to_many_clients_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let contents = [bytes(1, 0), bytes(2, 1), bytes(3, 64 * 1024), bytes(4, 3_000_001)];
    for (n, contents) in (0..).zip(&contents) {
        fs::write(folder.path().join(format!("file {n}")), contents).unwrap();
    }
    let server = event_loop(folder.path(), &[]);
    // More than the ring takes at once.
    std::thread::scope(|scope| {
        for client in 0..200 {
            let (server, n) = (&server, client % contents.len());
            let contents = &contents[n];
            scope.spawn(move || {
                let answer = ask(server, &format!("file {n}"));
                assert!(&answer == contents, "client {client}: {} bytes of file {n}", answer.len());
            });
        }
    });
    let end = server.stop();
    assert!(end.status.success(), "{end:?}");
    let total = 50 * contents.iter().map(Vec::len).sum::<usize>();
    assert_eq!(end.output, format!("200 clients, {total} bytes sent\n"));
}

#[test]
fn event_loop_serves_a_client_that_reads_slowly_beside_a_fast_one() {
    let folder = tempfile::tempdir().unwrap();
    let contents = bytes(5, 20 << 20);
    fs::write(folder.path().join("large"), &contents).unwrap();
    let server = event_loop(folder.path(), &[]);
    let mut slow = connect(server.address);
    slow.write_all(b"large\n").unwrap();
    let mut first = [0; 1000];
    slow.read_exact(&mut first).unwrap();
    assert!(ask(&server, "large") == contents, "the fast client");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!([&first[..], &rest].concat() == contents, "the slow client");
}

#[test]
fn event_loop_never_leaves_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
    let server = event_loop(&inside, &[]);
    for name in ["../secret", "/etc/hostname", "link", "missing", "", "a\0b", &"x".repeat(5000)] {
        let answer = ask(&server, name);
        assert!(answer.starts_with(b"error: "), "{name:?}: {:?}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn event_loop_closes_clients_that_say_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = event_loop(folder.path(), &["--tick", "20", "--patience", "2"]);
    let mut silent = connect(server.address);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "the timer of the loop ends it");
    assert_eq!(server.stop().output, "1 clients, 0 bytes sent\n");
}

#[test]
fn event_loop_outlives_clients_that_hang_up() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), bytes(6, 8 << 20)).unwrap();
    fs::write(folder.path().join("small"), "small").unwrap();
    let server = event_loop(folder.path(), &[]);
    for _ in 0..20 {
        let mut stream = connect(server.address);
        stream.write_all(b"large\n").unwrap();
        stream.read_exact(&mut [0; 10]).unwrap();
    }
    assert_eq!(ask(&server, "small"), b"small");
    assert!(server.stop().status.success());
}

#[test]
fn event_loop_says_what_is_wrong_with_its_arguments() {
    let output = crate::process::run::<&str>("event_loop", []);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        crate::process::complaint(&output).starts_with("event_loop: which folder?\nusage: event_loop FOLDER")
    );
    let output = crate::process::run("event_loop", ["/does/not/exist", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        crate::process::complaint(&output),
        "event_loop: /does/not/exist: No such file or directory (os error 2)\n"
    );
}
