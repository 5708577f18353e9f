//! Sockets: made, bound, connected, accepted, sent to and received from.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use annulus::abi::{AcceptFlags, IORING_FILE_INDEX_ALLOC, RecvSendFlags};
use annulus::opcode;
use annulus::types::{Fd, Fixed};

use super::tools::{CANCELED, fd};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, Rig, cases};

cases! {
    Every a_server_is_made_of_socket_bind_listen_and_accept
        => IORING_OP_SOCKET, IORING_OP_BIND, IORING_OP_LISTEN, IORING_OP_ACCEPT, IORING_OP_CONNECT;
    Every a_socket_may_go_to_a_registered_slot;
    Every an_accept_tells_the_peers_address;
    Every an_accept_that_must_not_wait_fails_with_eagain;
    Every a_multishot_accept_brings_every_connection;
    Every a_multishot_accept_fills_registered_slots_and_ends_when_there_are_none;
    Every a_connect_to_nobody_fails_with_econnrefused;
    Every what_is_sent_is_received => IORING_OP_SEND, IORING_OP_RECV;
    Every a_receive_waits_for_data_and_tells_whether_there_is_more;
    Every a_receive_polls_first_when_told_so;
    Every a_datagram_is_sent_to_an_address;
    Every messages_carry_several_buffers => IORING_OP_SENDMSG, IORING_OP_RECVMSG;
    Every a_message_that_is_too_long_is_flagged;
    Every a_shutdown_ends_the_stream_for_the_peer => IORING_OP_SHUTDOWN;
    Every a_send_to_nobody_fails_with_epipe_and_no_signal;
    Every a_vectored_send_sends_all_buffers;
}

fn a_server_is_made_of_socket_bind_listen_and_accept(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::Bind::CODE), Need::Opcode(opcode::Listen::CODE)])?;
    let mut rig = bench.rig()?;
    let server = descriptor(&mut rig, opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build());
    let any = Kept::new(address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
    assert_eq!(rig.result(opcode::Bind::new(server, any.ptr().cast(), ADDRESS_LEN).build()), 0);
    assert_eq!(rig.result(opcode::Listen::new(server, 8).build()), 0);
    let there = Kept::new(address(local_address(server)));
    let client = descriptor(&mut rig, opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build());
    let connect = opcode::Connect::new(client, there.ptr().cast(), ADDRESS_LEN).build().user_data(1);
    let accept = opcode::Accept::new(server, std::ptr::null_mut(), std::ptr::null_mut()).build().user_data(2);
    rig.push_together(&[connect, accept]);
    let cqes = rig.by_user_data(2);
    assert_eq!(cqes[&1].result(), 0);
    let connection = Fd(cqes[&2].result());
    assert!(connection.0 >= 0, "{}", connection.0);
    let closed = rig.batch([server, client, connection].map(|file| opcode::Close::new(file).build()));
    assert_eq!(closed, [0, 0, 0]);
    Ok(())
}

fn a_socket_may_go_to_a_registered_slot(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::Socket::CODE)])?;
    let mut rig = bench.rig()?;
    rig.ring().submitter().register_files_sparse(2).expect("a table");
    let auto = Some(annulus::types::DestinationSlot::auto_target());
    let socket = || opcode::Socket::new(libc::AF_INET, libc::SOCK_DGRAM, 0).file_index(auto).build();
    let mut slots = rig.batch([socket(), socket(), socket()]);
    slots.sort_unstable();
    assert_eq!(slots, [-libc::ENFILE, 0, 1], "the third finds no slot");
    let (there, text) = (receiver(), Buffer::of(b"from a slot"));
    let to = Kept::new(address(there.local_addr().expect("its address")));
    let send = opcode::Send::new(Fixed(1), text.ptr(), text.len()).dest_addr(to.ptr().cast());
    assert_eq!(rig.result(send.dest_addr_len(ADDRESS_LEN).build()), 11);
    Ok(())
}

fn an_accept_tells_the_peers_address(bench: &Bench<'_>) -> Outcome {
    let (listener, mut rig) = (listener(), bench.rig()?);
    let client = connect_to(&listener);
    let (peer, len) =
        (Kept::new(address(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))), Kept::new(ADDRESS_LEN));
    let accept =
        opcode::Accept::new(fd(&listener), peer.ptr().cast(), len.ptr()).flags(libc::SOCK_CLOEXEC).build();
    let connection = descriptor(&mut rig, accept);
    assert_eq!(len.get(), ADDRESS_LEN);
    assert_eq!(u16::from_be(peer.get().sin_port), client.local_addr().expect("its address").port());
    assert_eq!(rig.result(opcode::Close::new(connection).build()), 0);
    Ok(())
}

fn an_accept_that_must_not_wait_fails_with_eagain(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 10, "IORING_ACCEPT_DONTWAIT")])?;
    let listener = listener();
    let accept = opcode::Accept::new(fd(&listener), std::ptr::null_mut(), std::ptr::null_mut());
    let entry = accept.ioprio(AcceptFlags::DONTWAIT.bits()).build();
    assert_eq!(bench.rig()?.result(entry), -libc::EAGAIN);
    Ok(())
}

fn a_multishot_accept_brings_every_connection(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_ACCEPT_MULTISHOT")])?;
    let (listener, mut rig) = (listener(), bench.rig()?);
    rig.push(opcode::AcceptMulti::new(fd(&listener)).build().user_data(7));
    rig.submit();
    let mut connections = Vec::new();
    for _ in 0..3 {
        let _client = connect_to(&listener);
        let cqe = rig.take_one();
        assert!(cqe.result() >= 0 && cqe.has_more(), "{cqe:?}");
        connections.push(opcode::Close::new(Fd(cqe.result())).build());
    }
    rig.push(opcode::AsyncCancel::new(7).build().user_data(8));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&7].result(), cqes[&7].has_more(), cqes[&8].result()), (CANCELED, false, 0));
    assert_eq!(rig.batch(connections), [0, 0, 0]);
    Ok(())
}

fn a_multishot_accept_fills_registered_slots_and_ends_when_there_are_none(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_ACCEPT_MULTISHOT")])?;
    let (listener, mut rig) = (listener(), bench.rig()?);
    rig.ring().submitter().register_files_sparse(2).expect("a table");
    let entry = opcode::AcceptMulti::new(fd(&listener)).allocate_file_index(true).build();
    assert_eq!(entry.get_file_index(), IORING_FILE_INDEX_ALLOC);
    rig.push(entry);
    rig.submit();
    let _clients = [connect_to(&listener), connect_to(&listener), connect_to(&listener)];
    let seen: Vec<_> = rig.take(3).iter().map(|cqe| (cqe.result(), cqe.has_more())).collect();
    assert_eq!(seen, [(0, true), (1, true), (-libc::ENFILE, false)]);
    Ok(())
}

fn a_connect_to_nobody_fails_with_econnrefused(bench: &Bench<'_>) -> Outcome {
    // A port that is bound, so that no other test gets it, and on which nobody listens.
    let (bound, client) = (stream_socket(), stream_socket());
    rustix::net::bind(&bound, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    let there = Kept::new(address(local_address(fd(&bound))));
    let connect = opcode::Connect::new(fd(&client), there.ptr().cast(), ADDRESS_LEN).build();
    assert_eq!(bench.rig()?.result(connect), -libc::ECONNREFUSED);
    Ok(())
}

fn what_is_sent_is_received(bench: &Bench<'_>) -> Outcome {
    let ((near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (text, buffer) = (Buffer::of(b"hello"), Buffer::new(64));
    assert_eq!(rig.result(opcode::Send::new(fd(&near), text.ptr(), 5).build()), 5);
    assert_eq!(rig.result(opcode::Recv::new(fd(&far), buffer.ptr(), 64).build()), 5);
    assert_eq!(buffer.first(5), b"hello");
    Ok(())
}

fn a_receive_waits_for_data_and_tells_whether_there_is_more(bench: &Bench<'_>) -> Outcome {
    let (listener, mut rig, buffer) = (listener(), bench.rig()?, Buffer::new(4));
    let mut client = connect_to(&listener);
    let (connection, _) = listener.accept().expect("the other end");
    rig.push(opcode::Recv::new(fd(&connection), buffer.ptr(), 4).build());
    rig.submit();
    rig.nothing_more();
    client.write_all(b"01234567").expect("room");
    let first = rig.take_one();
    assert_eq!((first.result(), buffer.bytes()), (4, b"0123".to_vec()));
    if bench.backend().is_at_least(5, 19) {
        assert!(first.is_socket_nonempty(), "{first:?}");
    }
    let second = rig.run(opcode::Recv::new(fd(&connection), buffer.ptr(), 4).build());
    assert_eq!((second.result(), second.is_socket_nonempty()), (4, false));
    Ok(())
}

fn a_receive_polls_first_when_told_so(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_RECVSEND_POLL_FIRST")])?;
    let ((mut near, far), mut rig, buffer) =
        (UnixStream::pair().expect("sockets"), bench.rig()?, Buffer::new(5));
    let first = RecvSendFlags::POLL_FIRST.bits();
    rig.push(opcode::Recv::new(fd(&far), buffer.ptr(), 5).ioprio(first).build());
    rig.submit();
    rig.nothing_more();
    near.write_all(b"hello").expect("room");
    assert_eq!(rig.take_one().result(), 5);
    Ok(())
}

fn a_datagram_is_sent_to_an_address(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 0, "an address for IORING_OP_SEND")])?;
    let (from, to, text) = (receiver(), receiver(), Buffer::of(b"datagram"));
    let there = Kept::new(address(to.local_addr().expect("its address")));
    let send = opcode::Send::new(fd(&from), text.ptr(), 8).dest_addr(there.ptr().cast());
    assert_eq!(bench.rig()?.result(send.dest_addr_len(ADDRESS_LEN).build()), 8);
    let mut bytes = [0; 64];
    let (len, sender) = to.recv_from(&mut bytes).expect("the datagram");
    assert_eq!((&bytes[..len], sender), (&b"datagram"[..], from.local_addr().expect("its address")));
    Ok(())
}

fn messages_carry_several_buffers(bench: &Bench<'_>) -> Outcome {
    let ((near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (out, back) = ([Buffer::of(b"abc"), Buffer::of(b"defg")], [Buffer::new(5), Buffer::new(5)]);
    assert_eq!(rig.result(opcode::SendMsg::new(fd(&near), message(&out).ptr()).build()), 7);
    assert_eq!(rig.result(opcode::RecvMsg::new(fd(&far), message(&back).ptr()).build()), 7);
    assert_eq!((back[0].bytes(), back[1].first(2)), (b"abcde".to_vec(), b"fg".to_vec()));
    Ok(())
}

fn a_message_that_is_too_long_is_flagged(bench: &Bench<'_>) -> Outcome {
    let (from, to, small) = (receiver(), receiver(), [Buffer::new(3)]);
    from.send_to(b"longer", to.local_addr().expect("its address")).expect("a datagram");
    let header = message(&small);
    assert_eq!(bench.rig()?.result(opcode::RecvMsg::new(fd(&to), header.ptr()).build()), 3);
    assert_eq!(header.get().msg_flags & libc::MSG_TRUNC, libc::MSG_TRUNC);
    Ok(())
}

fn a_shutdown_ends_the_stream_for_the_peer(bench: &Bench<'_>) -> Outcome {
    let ((near, mut far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    assert_eq!(rig.result(opcode::Shutdown::new(fd(&near), libc::SHUT_WR).build()), 0);
    assert_eq!(far.read(&mut [0]).expect("the end"), 0);
    Ok(())
}

fn a_send_to_nobody_fails_with_epipe_and_no_signal(bench: &Bench<'_>) -> Outcome {
    let ((near, far), text) = (UnixStream::pair().expect("sockets"), Buffer::of(b"x"));
    // Closing would not do: a child that another case begins may have it too for a moment.
    far.shutdown(Shutdown::Both).expect("it is connected");
    assert_eq!(bench.rig()?.result(opcode::Send::new(fd(&near), text.ptr(), 1).build()), -libc::EPIPE);
    Ok(())
}

fn a_vectored_send_sends_all_buffers(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 17, "IORING_SEND_VECTORIZED")])?;
    let (mut pair, parts) = (UnixStream::pair().expect("sockets"), [Buffer::of(b"abc"), Buffer::of(b"defg")]);
    let iovecs = Kept::slice(&parts.map(|part| part.iovec()));
    let entry = opcode::SendVectored::new(fd(&pair.0), iovecs.ptr(), 2).build();
    assert_eq!(bench.rig()?.result(entry), 7);
    let mut bytes = [0; 7];
    pair.1.read_exact(&mut bytes).expect("the bytes");
    assert_eq!(&bytes, b"abcdefg");
    Ok(())
}

/// The size of an address of version 4.
pub(super) const ADDRESS_LEN: libc::socklen_t = 16;

/// An address of version 4 as the kernel takes it.
pub(super) fn address(address: SocketAddr) -> libc::sockaddr_in {
    let SocketAddr::V4(v4) = address else { panic!("{address} is not of version 4") };
    libc::sockaddr_in {
        sin_family: 2,
        sin_port: v4.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
        sin_zero: [0; 8],
    }
}

/// A message header over these buffers, without address and control data.
pub(super) fn message(buffers: &[Buffer]) -> Kept<libc::msghdr> {
    let iovecs: Vec<_> = buffers.iter().map(Buffer::iovec).collect();
    let iovecs = Kept::slice(&iovecs);
    crate::harness::message(iovecs.ptr(), buffers.len())
}

pub(super) fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a listener")
}

pub(super) fn connect_to(listener: &TcpListener) -> TcpStream {
    TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection")
}

fn receiver() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a socket for datagrams")
}

fn stream_socket() -> OwnedFd {
    rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
        .expect("a socket")
}

fn descriptor(rig: &mut Rig, entry: annulus::squeue::Entry) -> Fd {
    let result = rig.result(entry);
    assert!(result >= 0, "no descriptor: {}", std::io::Error::from_raw_os_error(-result));
    Fd(result)
}

fn local_address(socket: Fd) -> SocketAddr {
    crate::harness::with_descriptor(socket, |socket| {
        let address = rustix::net::getsockname(socket).expect("its address");
        SocketAddr::try_from(address).expect("an internet address")
    })
}
