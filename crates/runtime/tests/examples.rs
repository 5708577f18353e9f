//! The programs of `examples/`, run as a user runs them.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The built example of this name, which lies beside the folder of this test program.
fn program(name: &str) -> Command {
    let test = std::env::current_exe().expect("a test program has a path");
    let path: PathBuf = test.ancestors().nth(2).expect("target/PROFILE/deps").join("examples").join(name);
    let remedy = "`cargo test -p annulus-rt` builds it, `--test examples` alone does not";
    assert!(path.exists(), "{} is not there: {remedy}", path.display());
    Command::new(path)
}

#[test]
fn the_echo_server_serves_and_ends_in_order_on_sigterm() {
    let mut server = program("echo");
    server.args(["127.0.0.1:0", "2"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = server.spawn().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address: SocketAddr = line.trim_end().strip_prefix("listening on ").unwrap().parse().unwrap();

    // Held open until the end, which is to cut it off.
    let mut clients: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (seed, client) in clients.iter_mut().enumerate() {
        let sent = vec![u8::try_from(seed).unwrap(); 5_000];
        client.write_all(&sent).unwrap();
        let mut back = vec![0; sent.len()];
        client.read_exact(&mut back).unwrap();
        assert_eq!(back, sent);
    }
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    let mut told = String::new();
    output.read_to_string(&mut told).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(told.contains("shard 0: Counters {") && told.contains("shard 1: Counters {"), "{told}");
    for mut client in clients {
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "the connection was closed, not reset");
    }
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
