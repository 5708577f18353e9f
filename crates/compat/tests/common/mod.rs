//! What the tests share: a pair of connected streams, and another run on the engine.
#![allow(dead_code, reason = "each test program uses a part")]

use std::process::Command;

use annulus_rt::BackendChoice;
use annulus_rt::net::{TcpListener, TcpStream};

/// The variable that decides who carries operations out.
const BACKEND_VARIABLE: &str = "ANNULUS_BACKEND";

/// Two ends of a connection.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    // The system's backlog takes the connection; accepting can follow.
    let near = TcpStream::connect(address).await.unwrap();
    (near, listener.accept().await.unwrap())
}

/// Bytes of which every stretch of a few is different from the others near it.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

/// Runs the tests of this program again in another process, on the engine. `name` is the full name of the test that calls
/// this, and does nothing else.
pub(crate) fn again_on_the_engine(name: &str) {
    if std::env::var(BACKEND_VARIABLE).is_ok_and(|backend| backend == BackendChoice::Engine.to_string()) {
        return;
    }
    let program = std::env::current_exe().expect("a test program has a path");
    let mut again = Command::new(program);
    again.args(["--exact", "--skip", name]).env(BACKEND_VARIABLE, BackendChoice::Engine.to_string());
    let output = again.output().expect("a test program can be run again");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !text.contains(" 0 passed"), "on the engine: {text}{errors}");
}
