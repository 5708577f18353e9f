//! Accepting where the kernel has no multishot accept.

use std::net::Ipv4Addr;

use crate::net::{TcpListener, TcpStream};

#[test]
fn without_multishot_accept_connections_come_one_by_one() {
    crate::run(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let mut incoming = listener.incoming();
        incoming.one_by_one = true;
        for _ in 0..3 {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let server = incoming.next().await.unwrap();
            assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        }
        assert!(incoming.flow.is_none());
    })
    .unwrap();
}
