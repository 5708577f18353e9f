//! `SOCKET`, `BIND`, `LISTEN`, `CONNECT`, `ACCEPT`, `SHUTDOWN`, and the operations that provide buffers.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use annulus_abi::{
    AcceptFlags, IORING_FILE_INDEX_ALLOC, IORING_OP_ACCEPT, IORING_OP_BIND, IORING_OP_CONNECT,
    IORING_OP_LISTEN, IORING_OP_PROVIDE_BUFFERS, IORING_OP_REMOVE_BUFFERS, IORING_OP_SHUTDOWN,
    IORING_OP_SOCKET,
};
use rustix::fs::OFlags;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, socket};

use super::*;
use crate::op::testing::at;

/// An address of version 4 as the kernel takes it.
pub(super) fn address(address: SocketAddr) -> [u8; 16] {
    let SocketAddr::V4(v4) = address else { panic!("{address} is not of version 4") };
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&2_u16.to_ne_bytes());
    bytes[2..4].copy_from_slice(&v4.port().to_be_bytes());
    bytes[4..8].copy_from_slice(&v4.ip().octets());
    bytes
}

fn unix_address(path: &Path) -> [u8; 110] {
    let mut bytes = [0; 110];
    bytes[..2].copy_from_slice(&1_u16.to_ne_bytes());
    let path = path.as_os_str().as_bytes();
    bytes[2..2 + path.len()].copy_from_slice(path);
    bytes
}

/// A descriptor that an operation made.
fn take(stand: &Stand, outcome: Outcome) -> crate::files::File {
    assert!(outcome.result >= 0, "{outcome:?}");
    crate::files::File::new(outcome.result, stand.world.clone())
}

#[test]
fn a_server_is_made_step_by_step() {
    let mut stand = Stand::new();
    let any = address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let make = Sqe { fd: libc::AF_INET, off: 1, ..Sqe::new(IORING_OP_SOCKET) };
    let server = stand.run(&make);
    let server = take(&stand, server);
    let bind = Sqe { fd: server.fd(), addr: at(&any), off: 16, ..Sqe::new(IORING_OP_BIND) };
    assert_eq!(stand.run(&bind), Outcome::success(0));
    assert_eq!(stand.run(&bind), failure(Errno::INVAL), "it has an address");
    let listen = Sqe { fd: server.fd(), len: 8, ..Sqe::new(IORING_OP_LISTEN) };
    assert_eq!(stand.run(&listen), Outcome::success(0));
    let (pipe, _) = std::io::pipe().unwrap();
    for opcode in [IORING_OP_LISTEN, IORING_OP_SHUTDOWN, IORING_OP_ACCEPT] {
        assert_eq!(stand.run(&entry(opcode, &pipe)), failure(Errno::NOTSOCK), "{opcode}");
    }
}

#[test]
fn sockets_without_meaning_are_refused() {
    let mut stand = Stand::new();
    let cloexec = libc::SOCK_CLOEXEC.cast_unsigned();
    let make = Sqe { fd: libc::AF_INET, off: 1, ..Sqe::new(IORING_OP_SOCKET) };
    assert_eq!(stand.run(&Sqe { off: 1 | 1 << 4, ..make }), failure(Errno::INVAL));
    assert_eq!(stand.run(&Sqe { off: u64::from(1 | cloexec), file_index: 1, ..make }), failure(Errno::INVAL));
    assert_eq!(stand.run(&Sqe { fd: 999, ..make }), failure(Errno::AFNOSUPPORT));
    let nowhere = Sqe { file_index: IORING_FILE_INDEX_ALLOC, ..make };
    let refused = Outcome { severs: false, ..failure(Errno::NFILE) };
    assert_eq!(stand.run(&nowhere), refused, "there are no slots, which breaks no chain");
    let (near, _far) = UnixStream::pair().unwrap();
    let bind = Sqe { addr: 8, off: 129, ..entry(IORING_OP_BIND, &near) };
    assert_eq!(stand.run(&bind), failure(Errno::INVAL), "no address is as long");
    assert_eq!(stand.run(&Sqe { off: u64::from(u32::MAX), ..bind }), failure(Errno::INVAL), "negative");
    assert_eq!(stand.run(&Sqe { off: 16, ..bind }), failure(Errno::FAULT));
}

#[test]
fn an_accept_does_not_block_and_leaves_the_listener_as_it_was() {
    let (listener, mut stand) = (listener(), Stand::new());
    let mut op = stand.prepare(&entry(IORING_OP_ACCEPT, &listener)).unwrap();
    waits(&attempt(&mut stand, &mut op, &listener, Turn::Inline));
    assert!(!rustix::fs::fcntl_getfl(&listener).unwrap().contains(OFlags::NONBLOCK));
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let outcome = done(attempt(&mut stand, &mut op, &listener, Turn::Ready(IN)));
    drop((take(&stand, outcome), client));
    listener.set_nonblocking(true).unwrap();
    let mut op = stand.prepare(&entry(IORING_OP_ACCEPT, &listener)).unwrap();
    waits(&attempt(&mut stand, &mut op, &listener, Turn::Inline));
    assert!(rustix::fs::fcntl_getfl(&listener).unwrap().contains(OFlags::NONBLOCK), "the program's own");
    let hasty = Sqe { ioprio: AcceptFlags::DONTWAIT.bits(), ..entry(IORING_OP_ACCEPT, &listener) };
    assert_eq!(stand.run(&hasty), failure(Errno::AGAIN));
}

#[test]
fn an_accept_tells_the_peers_address() {
    let (listener, mut stand) = (listener(), Stand::new());
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, mut len) = ([0_u8; 16], 16_u32);
    let accept = Sqe { addr: addr(&mut peer), off: addr(&mut len), ..entry(IORING_OP_ACCEPT, &listener) };
    let outcome = stand.run(&accept);
    let _connection = take(&stand, outcome);
    assert_eq!((peer[..8].to_vec(), len), (address(client.local_addr().unwrap())[..8].to_vec(), 16));
}

#[test]
fn a_multishot_accept_rests_when_nobody_waits() {
    let (listener, mut stand) = (listener(), Stand::new());
    let there = listener.local_addr().unwrap();
    let _clients = [TcpStream::connect(there).unwrap(), TcpStream::connect(there).unwrap()];
    let sqe = Sqe { ioprio: AcceptFlags::MULTISHOT.bits(), ..entry(IORING_OP_ACCEPT, &listener) };
    let mut op = stand.prepare(&sqe).unwrap();
    let first = more(attempt(&mut stand, &mut op, &listener, Turn::Inline));
    let second = more(attempt(&mut stand, &mut op, &listener, Turn::Inline));
    assert_eq!((first.flags, second.flags), (CqeFlags::SOCK_NONEMPTY, CqeFlags::empty()));
    drop((take(&stand, first), take(&stand, second)));
    waits(&attempt(&mut stand, &mut op, &listener, Turn::Inline));
    let _third = TcpStream::connect(there).unwrap();
    let third = more(attempt(&mut stand, &mut op, &listener, Turn::Ready(IN)));
    drop(take(&stand, third));
}

#[test]
fn accepts_without_meaning_are_refused() {
    let (listener, mut stand) = (listener(), Stand::new());
    let plain = entry(IORING_OP_ACCEPT, &listener);
    let cloexec = libc::SOCK_CLOEXEC.cast_unsigned();
    for bad in [
        Sqe { ioprio: 8, ..plain },
        Sqe { op_flags: 1, ..plain },
        Sqe { op_flags: cloexec, file_index: 1, ..plain },
        Sqe { ioprio: AcceptFlags::MULTISHOT.bits(), file_index: 1, ..plain },
    ] {
        assert_eq!(stand.run(&bad), failure(Errno::INVAL), "{bad:?}");
    }
    let (near, _far) = connection();
    assert_eq!(stand.run(&entry(IORING_OP_ACCEPT, &near)), failure(Errno::INVAL), "it does not listen");
}

#[test]
fn a_connect_waits_for_its_verdict() {
    let mut stand = Stand::new();
    let (listener, client) = (listener(), socket(AddressFamily::INET, SocketType::STREAM, None).unwrap());
    let there = address(listener.local_addr().unwrap());
    let connect = Sqe { addr: at(&there), off: 16, ..entry(IORING_OP_CONNECT, &client) };
    assert_eq!(run_connect(&mut stand, &connect, &client), Outcome::success(0));
    assert!(!rustix::fs::fcntl_getfl(&client).unwrap().contains(OFlags::NONBLOCK));
    assert_eq!(run_connect(&mut stand, &connect, &client), failure(Errno::ISCONN));
    // A port that is bound, so that no other test gets it, and on which nobody listens.
    let bound = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&bound, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let there = address(rustix::net::getsockname(&bound).unwrap().try_into().unwrap());
    let client = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let connect = Sqe { addr: at(&there), off: 16, ..entry(IORING_OP_CONNECT, &client) };
    assert_eq!(run_connect(&mut stand, &connect, &client), failure(Errno::CONNREFUSED));
}

/// Connects, waiting as the core would.
fn run_connect(stand: &mut Stand, sqe: &Sqe, client: &OwnedFd) -> Outcome {
    let mut op = stand.prepare(sqe).unwrap();
    let mut step = attempt(stand, &mut op, client, Turn::Inline);
    while let Step::Wait(interest) = &step {
        assert_eq!(interest.events, OUT);
        let mut fds = [rustix::event::PollFd::new(client, rustix::event::PollFlags::OUT)];
        rustix::event::poll(&mut fds, None).unwrap();
        step = attempt(stand, &mut op, client, Turn::Ready(OUT));
    }
    done(step)
}

#[test]
fn a_connect_to_a_full_queue_is_left_to_a_worker() {
    let (folder, mut stand) = (tempfile::tempdir().unwrap(), Stand::new());
    let path = folder.path().join("socket");
    let server = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&server, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&server, 0).unwrap();
    let (server, _first) = (UnixListener::from(server), UnixStream::connect(&path).unwrap());
    let client = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let there = unix_address(&path);
    let connect = Sqe { addr: at(&there), off: 110, ..entry(IORING_OP_CONNECT, &client) };
    let mut op = stand.prepare(&connect).unwrap();
    let step = attempt(&mut stand, &mut op, &client, Turn::Inline);
    assert!(matches!(step, Step::Block(_)), "{step:?}");
    let _accepted = server.accept().unwrap();
    assert_eq!(done(stand.block(&mut op, client.as_raw_fd())), Outcome::success(0));
}

#[test]
fn a_shutdown_ends_the_stream_for_the_peer() {
    let ((near, mut far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let how = libc::SHUT_WR.cast_unsigned();
    assert_eq!(stand.run(&Sqe { len: how, ..entry(IORING_OP_SHUTDOWN, &near) }), Outcome::success(0));
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
    let refused = Outcome { severs: false, ..failure(Errno::INVAL) };
    assert_eq!(stand.run(&Sqe { len: 9, ..entry(IORING_OP_SHUTDOWN, &near) }), refused, "no chain breaks");
}

#[test]
fn buffers_are_provided_and_removed_within_their_limits() {
    let mut stand = Stand::new();
    let provide = |fd, addr, len, off| Sqe {
        fd,
        addr,
        len,
        off,
        buf_index: GROUP,
        ..Sqe::new(IORING_OP_PROVIDE_BUFFERS)
    };
    let remove = |fd| Sqe { fd, buf_index: GROUP, ..Sqe::new(IORING_OP_REMOVE_BUFFERS) };
    let results = [
        (remove(1), Err(Errno::NOENT)),
        (remove(0), Err(Errno::INVAL)),
        (remove(65_537), Err(Errno::INVAL)),
        (provide(0, 4096, 16, 0), Err(Errno::TOOBIG)),
        (provide(-1, 4096, 16, 0), Err(Errno::TOOBIG)),
        (provide(65_537, 4096, 16, 0), Err(Errno::TOOBIG)),
        (provide(1, 4096, 0, 0), Err(Errno::INVAL)),
        (provide(2, u64::MAX - 8, 16, 0), Err(Errno::OVERFLOW)),
        (provide(2, 1 << 63, 16, 0), Err(Errno::FAULT)),
        (provide(2, 4096, 16, 65_536), Err(Errno::TOOBIG)),
        (provide(2, 4096, 16, 65_535), Err(Errno::INVAL)),
        (provide(65_536, 4096, 16, 0), Ok(0)),
        (provide(1, 4096, 16, 0), Err(Errno::OVERFLOW)),
        (remove(65_536), Ok(65_535)),
        (remove(1), Ok(0)),
    ];
    for (sqe, expected) in results {
        assert_eq!(stand.run(&sqe), Outcome::from(expected), "{sqe:?}");
    }
}
