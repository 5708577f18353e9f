//! `SENDMSG`, `RECVMSG`, and socket commands.

use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use annulus_abi::{self as abi, IORING_OP_RECVMSG, IORING_OP_SENDMSG, IORING_OP_URING_CMD, RecvSendFlags};

use super::*;
use crate::op::testing::{at, at_mut};
use crate::op::{Prepare, prepare};

/// A `struct msghdr` and a `struct iovec`, field by field.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Header {
    name: u64,
    name_len: u64,
    buffers: u64,
    count: u64,
    control: u64,
    control_len: u64,
    flags: u64,
}

type Vector = [u64; 2];

fn over(vectors: &[Vector]) -> Header {
    Header { buffers: at(vectors), count: vectors.len() as u64, ..Header::default() }
}

fn message(opcode: u8, fd: &impl AsRawFd, header: &mut Header) -> Sqe {
    Sqe { addr: at_mut(header), len: 1, ..entry(opcode, fd) }
}

#[test]
fn a_message_gathers_and_scatters_its_buffers() {
    let ((near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let (mut first, mut second) = ([0_u8; 4], [0_u8; 8]);
    let out = [[at(b"abc"), 3], [at(b"defg"), 4]];
    let into = [[at_mut(&mut first), 4], [at_mut(&mut second), 8]];
    let sent = stand.run(&message(IORING_OP_SENDMSG, &near, &mut over(&out)));
    assert_eq!(sent, Outcome::success(7));
    let mut header = Header { flags: 99, ..over(&into) };
    let received = stand.run(&message(IORING_OP_RECVMSG, &far, &mut header));
    assert_eq!((received, &first, &second[..3]), (Outcome::success(7), b"abcd", &b"efg"[..]));
    assert_eq!(header.flags, 0, "filled in");
}

#[test]
fn a_received_message_tells_its_sender_and_whether_it_was_cut() {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (mut stand, mut small, mut name) = (Stand::new(), [0_u8; 3], [0_u8; 64]);
    from.send_to(b"longer", to.local_addr().unwrap()).unwrap();
    let vectors = [[at_mut(&mut small), 3]];
    let mut header = Header { name: at_mut(&mut name), name_len: 64, ..over(&vectors) };
    let outcome = stand.run(&message(IORING_OP_RECVMSG, &to, &mut header));
    assert_eq!(outcome, Outcome::success(3));
    assert_eq!((header.name_len, header.flags), (16, u64::from(libc::MSG_TRUNC.cast_unsigned())));
    assert_eq!(name[..8], connections::address(from.local_addr().unwrap())[..8]);
}

#[test]
fn a_message_that_must_be_whole_is_received_in_parts() {
    use std::io::Write;
    let ((mut near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let (mut first, mut second) = ([0_u8; 2], [0_u8; 4]);
    let vectors = [[at_mut(&mut first), 2], [at_mut(&mut second), 4]];
    let mut header = over(&vectors);
    let sqe = Sqe { op_flags: WAITALL, ..message(IORING_OP_RECVMSG, &far, &mut header) };
    let mut op = stand.prepare(&sqe).unwrap();
    near.write_all(b"abc").unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    near.write_all(b"def").unwrap();
    assert_eq!(done(attempt(&mut stand, &mut op, &far, Turn::Ready(IN))), Outcome::success(6));
    assert_eq!((&first, &second), (b"ab", b"cdef"));
}

#[test]
fn messages_of_a_multishot_receive_are_laid_out_in_their_buffers() {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut stand = Stand::new();
    let memory = provide(&mut stand, 2, 64);
    // Room for 20 bytes of address and 8 of control data.
    let mut header = Header { name_len: 20, control_len: 8, ..Header::default() };
    let multi = RecvSendFlags::MULTISHOT.bits();
    let sqe = selecting(Sqe { ioprio: multi, ..message(IORING_OP_RECVMSG, &to, &mut header) });
    let mut op = stand.prepare(&sqe).unwrap();
    from.send_to(b"datagram", to.local_addr().unwrap()).unwrap();
    let outcome = more(attempt(&mut stand, &mut op, &to, Turn::Inline));
    assert_eq!(outcome, Outcome::success(16 + 20 + 8 + 8).with_flags(buffer(10)));
    let bytes = load(&stand, memory, 52);
    let words: Vec<u32> =
        bytes[..16].chunks(4).map(|four| u32::from_ne_bytes(four.try_into().unwrap())).collect();
    assert_eq!(words, [16, 0, 8, 0], "lengths of address, control data, payload; flags");
    assert_eq!(bytes[16..24], connections::address(from.local_addr().unwrap())[..8]);
    assert_eq!(&bytes[44..], b"datagram");
    waits(&attempt(&mut stand, &mut op, &to, Turn::Inline));
    from.send_to(b"", to.local_addr().unwrap()).unwrap();
    let last = done(attempt(&mut stand, &mut op, &to, Turn::Ready(IN)));
    assert_eq!(last, Outcome::success(44).with_flags(buffer(11)), "nothing in it ends it");
}

#[test]
fn a_buffer_that_cannot_hold_the_front_of_a_message_is_refused() {
    let (to, mut stand) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Stand::new());
    provide(&mut stand, 1, 32);
    let mut header = Header { name_len: 28, ..Header::default() };
    let multi = RecvSendFlags::MULTISHOT.bits();
    let sqe = selecting(Sqe { ioprio: multi, ..message(IORING_OP_RECVMSG, &to, &mut header) });
    assert_eq!(stand.run(&sqe), failure(Errno::FAULT));
    assert_eq!(stand.tables.groups.remove(GROUP, 9), Ok(1), "it is still there");
}

#[test]
fn headers_without_meaning_are_refused() {
    let ((near, _far), stand) = (UnixStream::pair().unwrap(), Stand::new());
    let negative = [[8, u64::MAX]];
    let cases = [
        (Header { name: 8, name_len: 0xffff_ffff, ..Header::default() }, Errno::INVAL),
        (Header { buffers: 8, count: 1025, ..Header::default() }, Errno::MSGSIZE),
        (Header { buffers: 8, count: 1, ..Header::default() }, Errno::FAULT),
        (over(&negative), Errno::INVAL),
    ];
    for opcode in [IORING_OP_SENDMSG, IORING_OP_RECVMSG] {
        for (header, errno) in cases {
            let mut header = header;
            let prepared = stand.prepare(&message(opcode, &near, &mut header));
            assert_eq!(prepared.map(drop), Err(errno), "{header:?}");
        }
        let nowhere = Sqe { addr: 8, len: 1, ..entry(opcode, &near) };
        assert_eq!(stand.prepare(&nowhere).map(drop), Err(Errno::FAULT));
    }
}

fn command(number: u32, fd: &impl AsRawFd) -> Sqe {
    let mut sqe = entry(IORING_OP_URING_CMD, fd);
    sqe.set_cmd_op(number);
    sqe
}

/// A command on an option of the socket's own level.
fn option(number: u32, fd: &TcpStream, name: i32, value: &mut i32) -> Sqe {
    let mut sqe = Sqe { addr3: at_mut(value), file_index: 4, ..command(number, fd) };
    sqe.set_sockopt(libc::SOL_SOCKET.cast_unsigned(), name.cast_unsigned());
    sqe
}

#[test]
fn socket_options_are_set_and_read() {
    let ((near, _far), mut stand) = (connection(), Stand::new());
    let (mut on, mut answer) = (1, 0);
    let set = option(abi::SOCKET_URING_OP_SETSOCKOPT, &near, libc::SO_KEEPALIVE, &mut on);
    assert_eq!(stand.run(&set), Outcome::success(0));
    let mut get = option(abi::SOCKET_URING_OP_GETSOCKOPT, &near, libc::SO_KEEPALIVE, &mut answer);
    assert_eq!((stand.run(&get), answer), (Outcome::success(4), 1));
    get.set_sockopt(libc::IPPROTO_TCP.cast_unsigned(), 1);
    assert_eq!(stand.run(&get), failure(Errno::OPNOTSUPP), "of another level");
}

#[test]
fn the_lengths_of_queues_are_told_and_other_commands_refused() {
    use std::io::Write;
    let ((mut near, far), mut stand) = (connection(), Stand::new());
    near.write_all(b"hello").unwrap();
    assert_eq!(stand.run(&command(abi::SOCKET_URING_OP_SIOCINQ, &far)), Outcome::success(5));
    assert_eq!(stand.run(&command(abi::SOCKET_URING_OP_SIOCOUTQ, &far)), Outcome::success(0));
    assert_eq!(stand.run(&command(999, &far)), failure(Errno::OPNOTSUPP));
    let (unix, _) = UnixStream::pair().unwrap();
    assert_eq!(stand.run(&command(abi::SOCKET_URING_OP_SIOCINQ, &unix)), failure(Errno::OPNOTSUPP));
    let (pipe, _) = std::io::pipe().unwrap();
    assert_eq!(stand.run(&command(0, &pipe)), failure(Errno::OPNOTSUPP));
    assert_eq!(stand.prepare(&Sqe { op_flags: 4, ..command(0, &far) }).map(drop), Err(Errno::INVAL));
}

#[test]
fn what_was_sent_is_stamped_with_its_time() {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut stand = Stand::new();
    // TX_SOFTWARE, SOFTWARE, OPT_ID, OPT_TSONLY.
    let stamping: i32 = 1 << 1 | 1 << 4 | 1 << 7 | 1 << 11;
    let span = Vouched::in_tests().span(at(&stamping), 4);
    let (level, name) = (libc::SOL_SOCKET, libc::SO_TIMESTAMPING);
    stand.world.set_socket_option(from.as_raw_fd(), level, name, span).unwrap();
    let sqe = command(abi::SOCKET_URING_OP_TX_TIMESTAMP, &from);
    assert_eq!(stand.run(&sqe), failure(Errno::INVAL), "its completions are too small");
    let mut cx = Prepare {
        world: stand.world.as_ref(),
        vouched: Vouched::in_tests(),
        iopoll: false,
        wide_completions: true,
    };
    let mut op = prepare(&sqe, &mut cx).unwrap();
    waits(&attempt(&mut stand, &mut op, &from, Turn::Inline));
    from.send_to(b"x", to.local_addr().unwrap()).unwrap();
    let stamp = more(attempt(&mut stand, &mut op, &from, Turn::Ready(FINAL)));
    let seconds = stamp.extra.map(|time| time[0]);
    assert_eq!((stamp.result, stamp.flags), (0, CqeFlags::empty()), "the first, by software");
    assert!(seconds.is_some_and(|seconds| seconds > 1_600_000_000), "{seconds:?}");
}
