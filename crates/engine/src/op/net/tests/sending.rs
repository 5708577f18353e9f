//! `SEND`, plain and without copies.

use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::unix::net::UnixStream;

use annulus_abi::{IORING_NOTIF_USAGE_ZC_COPIED, IORING_OP_SEND, IORING_OP_SEND_ZC, RecvSendFlags};

use super::*;

fn send(fd: &impl AsRawFd, bytes: &[u8]) -> Sqe {
    let len = u32::try_from(bytes.len()).unwrap();
    Sqe { addr: bytes.as_ptr() as u64, len, ..entry(IORING_OP_SEND, fd) }
}

/// Fills the way to the peer; says how much that took.
fn fill(socket: &mut UnixStream) -> usize {
    socket.set_nonblocking(true).unwrap();
    let mut total = 0;
    while let Ok(sent) = socket.write(&[9; 1000]) {
        total += sent;
    }
    socket.set_nonblocking(false).unwrap();
    total
}

/// A result and its notification.
fn noticed(step: Step) -> (Outcome, Outcome) {
    match step {
        Step::DoneWithNotice(outcome, notice) => (outcome, notice),
        other => panic!("no notification: {other:?}"),
    }
}

#[test]
fn a_send_waits_until_there_is_room() {
    let ((mut near, mut far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let filled = fill(&mut near);
    let mut op = stand.prepare(&send(&near, b"more")).unwrap();
    let step = attempt(&mut stand, &mut op, &near, Turn::Inline);
    assert_eq!(waits(&step) & (IN | OUT), OUT);
    far.read_exact(&mut vec![0; filled]).unwrap();
    assert_eq!(done(attempt(&mut stand, &mut op, &near, Turn::Ready(OUT))), Outcome::success(4));
}

#[test]
fn a_send_that_must_send_all_goes_on_until_it_has() {
    let ((near, mut far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut op = stand.prepare(&Sqe { op_flags: WAITALL, ..send(&near, &bytes) }).unwrap();
    let mut received = Vec::new();
    let mut step = attempt(&mut stand, &mut op, &near, Turn::Inline);
    while let Step::Wait(_) = step {
        let sent = usize::try_from(op.progress()).unwrap() - received.len();
        let start = received.len();
        received.resize(start + sent, 0);
        far.read_exact(&mut received[start..]).unwrap();
        step = attempt(&mut stand, &mut op, &near, Turn::Ready(OUT));
    }
    assert_eq!(done(step), Outcome::success(4_000_000));
    let start = received.len();
    received.resize(bytes.len(), 0);
    far.read_exact(&mut received[start..]).unwrap();
    assert!(received == bytes, "in the same order");
}

#[test]
fn a_send_to_nobody_fails_without_a_signal() {
    let ((near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    drop(far);
    assert_eq!(stand.run(&send(&near, b"x")), failure(Errno::PIPE));
}

#[test]
fn a_datagram_goes_where_its_entry_says() {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (mut stand, mut name) = (Stand::new(), connections::address(to.local_addr().unwrap()));
    let mut sqe = Sqe { off: addr(&mut name), ..send(&from, b"datagram") };
    sqe.set_addr_len(16);
    assert_eq!(stand.run(&sqe), Outcome::success(8));
    let mut bytes = [0; 16];
    assert_eq!(to.recv_from(&mut bytes).unwrap(), (8, from.local_addr().unwrap()));
    sqe.set_addr_len(129);
    assert_eq!(stand.run(&sqe), failure(Errno::INVAL), "no address is as long");
    assert_eq!(stand.run(&Sqe { file_index: 1 << 16, ..sqe }), failure(Errno::INVAL), "reserved");
    sqe.set_addr_len(16);
    assert_eq!(stand.run(&Sqe { off: 8, ..sqe }), failure(Errno::FAULT));
}

#[test]
fn a_provided_buffer_is_sent_up_to_the_length_of_the_entry() {
    let ((near, mut far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    register(&mut stand, 2, 16);
    let some = selecting(Sqe { len: 5, ..entry(IORING_OP_SEND, &near) });
    assert_eq!(stand.run(&some), Outcome::success(5).with_flags(buffer(20)));
    assert_eq!(far.read(&mut [0; 64]).unwrap(), 5);
    drop(far);
    let all = selecting(entry(IORING_OP_SEND, &near));
    assert_eq!(stand.run(&all), failure(Errno::PIPE).with_flags(buffer(21)), "used all the same");
    assert_eq!(stand.run(&all), failure(Errno::NOBUFS));
    assert_eq!(stand.run(&Sqe { buf_index: 9, ..all }), failure(Errno::NOENT));
}

#[test]
fn a_list_gives_a_send_its_whole_buffer() {
    let ((near, _far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    provide(&mut stand, 1, 16);
    let some = selecting(Sqe { len: 5, ..entry(IORING_OP_SEND, &near) });
    assert_eq!(stand.run(&some), Outcome::success(16).with_flags(buffer(10)));
}

#[test]
fn a_bundle_sends_the_buffers_that_there_are() {
    let ((near, mut far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let memory = register(&mut stand, 3, 16);
    let vouched = Vouched::in_tests();
    stand.world.store(vouched.span(memory, 48), &[[1; 16], [2; 16], [3; 16]].concat()).unwrap();
    let bundle = selecting(Sqe { ioprio: RecvSendFlags::BUNDLE.bits(), ..entry(IORING_OP_SEND, &near) });
    let mut op = stand.prepare(&Sqe { len: 40, ..bundle }).unwrap();
    let first = more(attempt(&mut stand, &mut op, &near, Turn::Inline));
    assert_eq!(first, Outcome::success(32).with_flags(buffer(20)), "two: the third would have to be cut");
    let last = done(attempt(&mut stand, &mut op, &near, Turn::Inline));
    assert_eq!(last, Outcome::success(16).with_flags(buffer(22)));
    let mut bytes = [0; 48];
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes[..], [[1; 16], [2; 16], [3; 16]].concat());
}

#[test]
fn buffers_of_a_cancelled_send_are_gone() {
    let ((mut near, _far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    provide(&mut stand, 2, 16);
    fill(&mut near);
    let mut op = stand.prepare(&selecting(entry(IORING_OP_SEND, &near))).unwrap();
    waits(&attempt(&mut stand, &mut op, &near, Turn::Inline));
    let step = stand.refuse(&mut op, near.as_raw_fd(), Errno::CANCELED);
    assert_eq!(done(step), failure(Errno::CANCELED).with_flags(buffer(10)));
    assert_eq!(stand.tables.groups.remove(GROUP, 9), Ok(1));
}

#[test]
fn a_send_without_copies_is_followed_by_its_notification() {
    let ((near, mut far), mut stand) = (connection(), Stand::new());
    let mut sqe = Sqe { opcode: IORING_OP_SEND_ZC, ..send(&near, b"no copies") };
    let mut op = stand.prepare(&sqe).unwrap();
    let step = attempt(&mut stand, &mut op, &near, Turn::Inline);
    assert_eq!(noticed(step), (Outcome::success(9), Outcome::success(0)));
    let mut bytes = [0; 9];
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"no copies");
    near.shutdown(Shutdown::Write).unwrap();
    sqe.ioprio = RecvSendFlags::ZC_REPORT_USAGE.bits();
    let mut op = stand.prepare(&sqe).unwrap();
    let copied = Outcome::success(IORING_NOTIF_USAGE_ZC_COPIED.cast_signed());
    let step = attempt(&mut stand, &mut op, &near, Turn::Inline);
    assert_eq!(noticed(step), (failure(Errno::PIPE), copied), "a failure too");
}

#[test]
fn a_send_without_copies_owes_its_notification_even_if_it_is_refused() {
    let ((near, _far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let sqe = Sqe { opcode: IORING_OP_SEND_ZC, ..send(&near, b"x") };
    let mut op = stand.prepare(&sqe).unwrap();
    let step = attempt(&mut stand, &mut op, &near, Turn::Inline);
    assert_eq!(noticed(step), (failure(Errno::OPNOTSUPP), Outcome::success(0)), "not for such sockets");
    let mut op = stand.prepare(&sqe).unwrap();
    let step = stand.refuse(&mut op, -1, Errno::BADF);
    assert_eq!(noticed(step).0, failure(Errno::BADF));
    let mut op = crate::op::unprepared(&sqe);
    let step = stand.refuse(&mut op, -1, Errno::INVAL);
    assert_eq!(noticed(step).0, failure(Errno::INVAL));
    let mut op = crate::op::unprepared(&Sqe { pad2: 1, ..sqe });
    assert_eq!(
        done(stand.refuse(&mut op, -1, Errno::INVAL)),
        failure(Errno::INVAL),
        "refused before it is made"
    );
}

#[test]
fn a_registered_buffer_is_needed_where_the_entry_says_so() {
    let ((near, _far), mut stand) = (connection(), Stand::new());
    let fixed = RecvSendFlags::FIXED_BUF.bits();
    let sqe = Sqe { opcode: IORING_OP_SEND_ZC, ioprio: fixed, ..send(&near, b"x") };
    let mut op = stand.prepare(&sqe).unwrap();
    let step = attempt(&mut stand, &mut op, &near, Turn::Inline);
    assert_eq!(noticed(step).0, failure(Errno::FAULT), "nothing is registered");
}
