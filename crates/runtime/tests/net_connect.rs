//! Connecting: to names, to the first address that answers, within a time, from an address of one's own; and what
//! goes wrong.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use annulus_rt::net::{ConnectOptions, Keepalive, ListenOptions, TcpListener, TcpStream, lookup_host};
use annulus_rt::{run, spawn};
use common::{
    alone, descriptors, has_ipv6, in_flight, leaves_none_more, on_the_engine, settled_at, silent_port,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Long enough never to pass.
const NEVER: Duration = Duration::from_secs(86_400);

/// This machine by another name: of the other family, if it has both.
fn other_loopback() -> IpAddr {
    if has_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::new(127, 0, 0, 2).into() }
}

/// A listener that takes nobody: its backlog is full, so that whoever connects is not answered. What fills it must be
/// kept.
struct BlackHole {
    address: SocketAddr,
    _listener: OwnedFd,
    _fill: Vec<std::net::TcpStream>,
}

impl BlackHole {
    fn new(ip: &str) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        let family = if ip.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let listener = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddr::new(ip, 0)).unwrap();
        listen(&listener, 0).unwrap();
        let address = getsockname(&listener).unwrap().try_into().unwrap();
        let mut fill = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            fill.push(stream);
            assert!(fill.len() < 20, "a backlog of 0 takes that many");
        }
        Self { address, _listener: listener, _fill: fill }
    }
}

#[test]
fn an_address_that_does_not_answer_is_overtaken_by_the_next() {
    alone("an_address_that_does_not_answer_is_overtaken_by_the_next", || {
        let hole = BlackHole::new(&other_loopback().to_string());
        let listener = std::net::TcpListener::bind(ANY).unwrap();
        let good = listener.local_addr().unwrap();
        run(async {
            let before = descriptors();
            let options = ConnectOptions::new().attempt_delay(Duration::from_millis(1));
            let stream = options.connect([hole.address, good]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            // The loser was cancelled, and closed.
            if on_the_engine() {
                in_flight(0).await;
            } else {
                settled_at(before + 1).await;
            }
        })
        .unwrap();
    });
}

#[test]
fn an_address_that_refuses_is_followed_at_once_by_the_next() {
    run(async {
        let (_silent, refusing) = silent_port();
        let listener = TcpListener::bind(SocketAddr::new(other_loopback(), 0)).unwrap();
        let good = listener.local_addr().unwrap();
        let options = ConnectOptions::new().attempt_delay(NEVER);
        let stream = options.connect(vec![refusing, refusing, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let lost = options.connect([refusing, refusing]).await.unwrap_err();
        assert_eq!(lost.raw_os_error(), Some(libc::ECONNREFUSED));
        let nothing = TcpStream::connect(Vec::new()).await.unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::InvalidInput);
    })
    .unwrap();
}

#[test]
fn a_peer_that_does_not_answer_ends_in_a_timeout() {
    let hole = BlackHole::new("127.0.0.1");
    run(async {
        let late = TcpStream::connect_timeout(hole.address, Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(late.raw_os_error(), Some(libc::ETIMEDOUT));
    })
    .unwrap();
}

#[test]
fn names_are_resolved_and_addresses_are_taken_as_they_are() {
    run(async {
        let listener = TcpListener::bind(ANY).unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port();
        TcpStream::connect(("localhost", port)).await.unwrap();
        TcpStream::connect((String::from("127.0.0.1"), port)).await.unwrap();
        TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
        TcpStream::connect(&address).await.unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let found: Vec<_> = lookup_host("[::1]:7").await.unwrap().collect();
        assert_eq!(found, ["[::1]:7".parse().unwrap()]);
        let error = lookup_host("no port in it").await.err().expect("that is no address");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    })
    .unwrap();
}

#[test]
fn a_connection_comes_from_where_it_was_bound_and_has_the_options_it_was_given() {
    run(async {
        let listener = TcpListener::bind(ANY).unwrap();
        let address = listener.local_addr().unwrap();
        let local: SocketAddr = "127.0.0.5:0".parse().unwrap();
        let keepalive =
            Keepalive { idle: Duration::from_secs(7), interval: Duration::from_secs(3), count: 2 };
        let options = ConnectOptions::new().bind(local).nodelay(true).keepalive(Some(keepalive));
        let stream = options.recv_buffer_size(8_192).send_buffer_size(8_192).connect(address).await.unwrap();
        let (taken, peer) = listener.accept_from().await.unwrap();
        assert_eq!((peer.ip(), peer), (local.ip(), stream.local_addr().unwrap()));
        assert_eq!(taken.peer_addr().unwrap(), peer);
        assert!(stream.nodelay().unwrap() && !taken.nodelay().unwrap());
        assert_eq!(stream.keepalive().unwrap(), Some(keepalive));
        stream.set_keepalive(None).unwrap();
        assert_eq!(stream.keepalive().unwrap(), None);
        stream.set_linger(Some(Duration::from_secs(2))).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::from_secs(2)));
        stream.set_ttl(9).unwrap();
        assert_eq!(stream.ttl().unwrap(), 9);
        stream.set_quickack(true).unwrap();
        stream.set_user_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(rustix::net::sockopt::tcp_user_timeout(&stream).unwrap(), 5_000);
        assert!(stream.take_error().unwrap().is_none());
        // No address of that family is left to try.
        let error =
            ConnectOptions::new().bind("[::1]:0".parse().unwrap()).connect(address).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let error = ConnectOptions::new().bind("192.0.2.1:0".parse().unwrap()).connect(address).await;
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EADDRNOTAVAIL));
    })
    .unwrap();
}

#[test]
fn accepted_connections_have_the_options_of_their_listener() {
    run(async {
        let keepalive = Keepalive::after(Duration::from_secs(60));
        let options = ListenOptions::new().nodelay(true).keepalive(Some(keepalive)).send_buffer_size(16_384);
        let has_ipv6 = has_ipv6();
        let any = if has_ipv6 { "[::]:0" } else { "0.0.0.0:0" };
        let listener = options.recv_buffer_size(16_384).bind(any.parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let far = listener.accept().await.unwrap();
        assert!(far.nodelay().unwrap());
        assert_eq!(far.keepalive().unwrap(), Some(keepalive));
        // The system doubles what is asked for.
        assert_eq!(rustix::net::sockopt::socket_send_buffer_size(&far).unwrap(), 32_768);
        assert_eq!(near.peer_addr().unwrap().port(), port);
        if has_ipv6 {
            let only = ListenOptions::new().only_v6(true).bind("[::1]:0".parse().unwrap()).unwrap();
            assert!(only.local_addr().unwrap().is_ipv6());
        }
    })
    .unwrap();
}

#[test]
fn a_socket_that_was_set_up_by_other_means_can_be_connected_and_taken_over() {
    run(async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&ANY.into()).unwrap();
        socket.listen(4).unwrap();
        let listener = TcpListener::from(std::net::TcpListener::from(socket));
        let address = listener.local_addr().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_tos_v4(0x10).unwrap();
        let near = TcpStream::connect_socket(socket, address).await.unwrap();
        let far = listener.accept().await.unwrap();
        assert_eq!(socket2::SockRef::from(&near).tos_v4().unwrap(), 0x10);
        near.send_all("hello").await.0.unwrap();
        // Out of the runtime again, with nothing lost.
        let mut std_stream = std::net::TcpStream::from(far.try_into_owned_fd().unwrap());
        let mut buf = [0; 5];
        std::io::Read::read_exact(&mut std_stream, &mut buf).unwrap();
        assert_eq!(&buf, b"hello");
    })
    .unwrap();
}

#[test]
fn fast_open_connects_and_the_first_bytes_arrive() {
    run(async {
        let listener = TcpListener::bind(ANY).unwrap();
        let options = ConnectOptions::new().fast_open(true);
        let near = options.connect(listener.local_addr().unwrap()).await.unwrap();
        near.send_all("early").await.0.unwrap();
        let far = listener.accept().await.unwrap();
        let (result, buf) = far.recv_exact(vec![0; 5]).await;
        result.unwrap();
        assert_eq!(buf, b"early");
    })
    .unwrap();
}

#[test]
fn without_a_descriptor_left_accepting_fails_and_goes_on_when_there_is_one() {
    alone("without_a_descriptor_left_accepting_fails_and_goes_on_when_there_is_one", || {
        run(async {
            let listener = TcpListener::bind(ANY).unwrap();
            let address = listener.local_addr().unwrap();
            // A multishot accept keeps to the limit that it began with.
            let Rlimit { maximum, current } = getrlimit(Resource::Nofile);
            setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum }).unwrap();
            let mut incoming = listener.incoming();
            // What the engine opens when it is first needed is there.
            let warm = TcpStream::connect(address).await.unwrap();
            incoming.next().await.unwrap().close().await.unwrap();
            warm.close().await.unwrap();
            // Connecting them later takes no descriptor.
            let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            let clients = [socket(), socket(), socket()];
            let mut held = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                held.push(file);
            }
            for client in &clients {
                client.connect(&address.into()).unwrap();
            }
            let error = incoming.next().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
            drop(held);
            for client in &clients {
                let stream = incoming.next().await.unwrap();
                assert_eq!(Some(stream.peer_addr().unwrap()), client.local_addr().unwrap().as_socket());
            }
            setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
        })
        .unwrap();
    });
}

#[test]
fn dropping_what_connects_to_nowhere_leaves_nothing() {
    alone("dropping_what_connects_to_nowhere_leaves_nothing", || {
        let hole = BlackHole::new("127.0.0.1");
        let address = hole.address;
        run(async move {
            let mut first = None;
            for _ in 0..2 {
                for _ in 0..50 {
                    let connecting = spawn(async move { TcpStream::connect(address).await });
                    annulus_rt::yield_now().await;
                    connecting.abort();
                    assert!(connecting.await.is_err());
                }
                leaves_none_more(&mut first).await;
            }
        })
        .unwrap();
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
