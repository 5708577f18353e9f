//! Clients of echo servers: real sockets on loopback, which check every byte that comes back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything here takes on a loaded machine: whoever waits this long waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that look random and are the same for the same seed.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connecting");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
    stream
}

/// That many clients at a time, each sending blocks of one byte to `largest` and waiting for each to come back.
/// Returns how many bytes went each way.
pub(crate) fn echo_blocks(address: SocketAddr, clients: u64, blocks: u64, largest: usize) -> u64 {
    let client = |seed: u64| {
        let mut stream = connect(address);
        let mut sent = 0;
        for block in 0..blocks {
            let len =
                1 + usize::try_from((seed * 7919 + block * 104_729) % largest as u64).expect("a length");
            let data = bytes(seed << 32 | block, len);
            stream.write_all(&data).expect("sending");
            let mut back = vec![0; len];
            stream.read_exact(&mut back).expect("receiving");
            assert!(back == data, "client {seed}, block {block}: other bytes came back");
            sent += len as u64;
        }
        end(stream);
        sent
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|seed| scope.spawn(move || client(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).sum()
    })
}

/// Says that nothing more is sent, and waits until the server says the same.
fn end(mut stream: TcpStream) {
    stream.shutdown(Shutdown::Write).expect("shutting down");
    assert_eq!(stream.read(&mut [0; 1]).expect("the end"), 0, "nothing was sent and something came");
}
