//! The runtime on rings that fail as the real ones may ([`Faulty`]): nothing is lost, and it ends in order.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use annulus::{BackendChoice, IoUring};
use annulus_conformance::backends;
use annulus_conformance::faulty::{Fault, Faults, Faulty};
use annulus_rt::net::{TcpListener, TcpStream};
use annulus_rt::{Builder, spawn};

/// The faults of every ring that [`spoil`] was given.
static SPOILT: Mutex<Vec<Arc<Faults>>> = Mutex::new(Vec::new());

/// Puts faults of every kind before a ring of the runtime, which makes no chains.
fn spoil(ring: IoUring) -> IoUring {
    let mut spoilt = SPOILT.lock().expect("the list");
    let faults = Faults::seeded(spoilt.len() as u64, 3, &Fault::ALL);
    spoilt.push(Arc::clone(&faults));
    Faulty::ring(ring, &faults).expect("the ring of a builder")
}

#[test]
fn a_runtime_under_faults_echoes_every_byte_and_ends_in_order() {
    const CLIENTS: u8 = 8;
    const ROUNDS: u8 = 40;
    for backend in backends() {
        let choice = if backend.name == "engine" { BackendChoice::Engine } else { BackendChoice::Kernel };
        let builder = Builder::new().entries(8).backend(choice).around_rings(spoil);
        let echoed = builder.run(async {
            let listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address")).expect("a listener");
            let address = listener.local_addr().expect("its address");
            let server = spawn(async move {
                let mut incoming = listener.incoming();
                for _ in 0..CLIENTS {
                    let stream = incoming.next().await.expect("a connection");
                    spawn(async move { echo(&stream).await });
                }
            });
            let clients: Vec<_> =
                (0..CLIENTS).map(|n| spawn(async move { client(address, n).await })).collect();
            let mut echoed = 0;
            for client in clients {
                echoed += client.await.expect("a client that ends");
            }
            server.await.expect("a server that ends");
            echoed
        });
        match echoed {
            Ok(echoed) => assert_eq!(echoed, u32::from(CLIENTS) * u32::from(ROUNDS), "{}", backend.name),
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "SKIP: {}: {error}", backend.name);
            }
        }
    }
    let spoilt = SPOILT.lock().expect("the list");
    for fault in Fault::ALL.into_iter().filter(|_| !spoilt.is_empty()) {
        let count: u64 = spoilt.iter().map(|faults| faults.count(fault)).sum();
        assert!(count > 0, "{fault:?} came to pass");
    }

    async fn echo(stream: &TcpStream) {
        loop {
            let (read, buffer) = stream.recv(Vec::with_capacity(64)).await;
            if read.expect("what the client sent") == 0 {
                return;
            }
            stream.send_all(buffer).await.0.expect("a client that listens");
        }
    }

    async fn client(address: SocketAddr, n: u8) -> u32 {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let mut echoed = 0;
        for round in 0..ROUNDS {
            stream.send_all(vec![n, round]).await.0.expect("a server that listens");
            let mut back = Vec::new();
            while back.len() < 2 {
                let (read, buffer) = stream.recv(Vec::with_capacity(2)).await;
                assert!(read.expect("the echo") > 0, "the server hung up");
                back.extend(buffer);
            }
            assert_eq!(back, [n, round]);
            echoed += 1;
        }
        echoed
    }
}
