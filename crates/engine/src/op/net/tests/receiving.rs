//! `RECV`.

use std::io::Write;
use std::net::{Shutdown, UdpSocket};
use std::os::unix::net::UnixStream;

use annulus_abi::{IORING_OP_RECV, RecvSendFlags};

use super::*;

fn receive(fd: &impl AsRawFd, buffer: &mut [u8]) -> Sqe {
    let len = u32::try_from(buffer.len()).unwrap();
    Sqe { addr: buffer.as_mut_ptr() as u64, len, ..entry(IORING_OP_RECV, fd) }
}

/// A multishot receive into provided buffers.
fn multishot(fd: &impl AsRawFd) -> Sqe {
    selecting(Sqe { ioprio: RecvSendFlags::MULTISHOT.bits(), ..entry(IORING_OP_RECV, fd) })
}

#[test]
fn a_receive_waits_until_something_comes() {
    let ((mut near, far), mut stand, mut buffer) = (UnixStream::pair().unwrap(), Stand::new(), [0; 8]);
    let mut op = stand.prepare(&receive(&far, &mut buffer)).unwrap();
    let step = attempt(&mut stand, &mut op, &far, Turn::Inline);
    assert_eq!(waits(&step) & (IN | RDHUP | OUT), IN | RDHUP);
    near.write_all(b"hello").unwrap();
    let outcome = done(attempt(&mut stand, &mut op, &far, Turn::Ready(IN)));
    assert_eq!((outcome, &buffer[..5]), (Outcome::success(5), &b"hello"[..]));
}

#[test]
fn o_nonblock_is_no_reason_not_to_wait_but_dontwait_is() {
    let ((_near, far), mut stand, mut buffer) = (UnixStream::pair().unwrap(), Stand::new(), [0; 8]);
    far.set_nonblocking(true).unwrap();
    let mut op = stand.prepare(&receive(&far, &mut buffer)).unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    let hasty = Sqe { op_flags: DONTWAIT, ..receive(&far, &mut buffer) };
    assert_eq!(stand.run(&hasty), failure(Errno::AGAIN));
    let hasty = Sqe { ioprio: RecvSendFlags::POLL_FIRST.bits(), ..hasty };
    assert_eq!(stand.run(&hasty), failure(Errno::AGAIN), "though it is to poll first");
}

#[test]
fn a_receive_that_polls_first_tries_only_when_it_is_ready() {
    let ((mut near, far), mut stand, mut buffer) = (UnixStream::pair().unwrap(), Stand::new(), [0; 8]);
    near.write_all(b"there").unwrap();
    let first = Sqe { ioprio: RecvSendFlags::POLL_FIRST.bits(), ..receive(&far, &mut buffer) };
    let mut op = stand.prepare(&first).unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    assert_eq!(done(attempt(&mut stand, &mut op, &far, Turn::Ready(IN))).result, 5);
    let (pipe, _writer) = std::io::pipe().unwrap();
    assert_eq!(stand.run(&Sqe { fd: pipe.as_raw_fd(), ..first }), failure(Errno::NOTSOCK));
}

#[test]
fn a_full_buffer_tells_whether_more_waits_in_the_stream() {
    let ((mut near, far), mut stand, mut buffer) = (connection(), Stand::new(), [0; 3]);
    near.write_all(b"abcdef").unwrap();
    let first = stand.run(&receive(&far, &mut buffer));
    assert_eq!(first, Outcome::success(3).with_flags(CqeFlags::SOCK_NONEMPTY));
    assert_eq!(stand.run(&receive(&far, &mut buffer)), Outcome::success(3));
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    for _ in 0..2 {
        from.send_to(b"abc", to.local_addr().unwrap()).unwrap();
    }
    assert_eq!(stand.run(&receive(&to, &mut buffer)), Outcome::success(3), "datagrams are not counted");
}

#[test]
fn a_receive_that_must_fill_its_buffer_counts_all_its_parts() {
    let ((mut near, far), mut stand, mut buffer) = (UnixStream::pair().unwrap(), Stand::new(), [0; 8]);
    let mut op = stand.prepare(&Sqe { op_flags: WAITALL, ..receive(&far, &mut buffer) }).unwrap();
    near.write_all(b"abc").unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    assert_eq!(op.progress(), 3);
    near.write_all(b"defgh").unwrap();
    assert_eq!(done(attempt(&mut stand, &mut op, &far, Turn::Ready(IN))), Outcome::success(8));
    assert_eq!(&buffer, b"abcdefgh");
}

#[test]
fn a_receive_that_cannot_fill_its_buffer_breaks_a_chain() {
    let ((mut near, far), mut stand, mut buffer) = (UnixStream::pair().unwrap(), Stand::new(), [0; 8]);
    near.write_all(b"abc").unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    let short = stand.run(&Sqe { op_flags: WAITALL, ..receive(&far, &mut buffer) });
    assert_eq!((short.result, short.severs), (3, true));
    let end = stand.run(&receive(&far, &mut buffer));
    assert_eq!((end.result, end.severs), (0, false), "the end of a stream is no failure");
}

#[test]
fn a_partly_filled_buffer_stays_with_a_receive_that_is_cancelled() {
    let ((mut near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let memory = provide(&mut stand, 2, 16);
    let all = selecting(Sqe { op_flags: WAITALL, ..entry(IORING_OP_RECV, &far) });
    let mut op = stand.prepare(&all).unwrap();
    near.write_all(b"abc").unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    let step = stand.refuse(&mut op, far.as_raw_fd(), Errno::CANCELED);
    let outcome = done(step);
    assert_eq!((outcome.result, outcome.flags, outcome.severs), (3, buffer(10), true));
    assert_eq!((load(&stand, memory, 3), stand.tables.groups.remove(GROUP, 9)), (b"abc".to_vec(), Ok(1)));
}

#[test]
fn a_provided_buffer_is_used_only_by_what_comes() {
    let ((mut near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let memory = provide(&mut stand, 2, 16);
    let mut op = stand.prepare(&selecting(entry(IORING_OP_RECV, &far))).unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    near.write_all(b"abc").unwrap();
    let outcome = done(attempt(&mut stand, &mut op, &far, Turn::Ready(IN)));
    assert_eq!(
        (outcome, load(&stand, memory, 3)),
        (Outcome::success(3).with_flags(buffer(10)), b"abc".to_vec())
    );
    drop(near);
    assert_eq!(
        stand.run(&selecting(entry(IORING_OP_RECV, &far))),
        Outcome::success(0),
        "no buffer for the end"
    );
    assert_eq!(stand.tables.groups.remove(GROUP, 9), Ok(1));
    assert_eq!(stand.run(&selecting(entry(IORING_OP_RECV, &far))), failure(Errno::NOBUFS));
}

#[test]
fn a_multishot_receive_rests_after_a_short_read() {
    let ((mut near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    provide(&mut stand, 3, 4);
    let mut op = stand.prepare(&multishot(&far)).unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    near.write_all(b"abcdef").unwrap();
    let nonempty = buffer(10) | CqeFlags::SOCK_NONEMPTY;
    let first = more(attempt(&mut stand, &mut op, &far, Turn::Ready(IN)));
    assert_eq!(first, Outcome::success(4).with_flags(nonempty));
    let second = more(attempt(&mut stand, &mut op, &far, Turn::Inline));
    assert_eq!(second, Outcome::success(2).with_flags(buffer(11)));
    near.write_all(b"x").unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    assert_eq!(more(attempt(&mut stand, &mut op, &far, Turn::Ready(IN))).flags, buffer(12));
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    let last = done(attempt(&mut stand, &mut op, &far, Turn::Ready(IN)));
    assert_eq!(last, failure(Errno::NOBUFS), "none is left");
}

#[test]
fn a_multishot_receive_sees_an_end_that_came_with_the_data() {
    let ((mut near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    provide(&mut stand, 3, 16);
    let mut op = stand.prepare(&multishot(&far)).unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    near.write_all(b"abc").unwrap();
    drop(near);
    // The edge of the end came with that of the data, and will not come again.
    assert_eq!(more(attempt(&mut stand, &mut op, &far, Turn::Ready(IN | FINAL))).result, 3);
    assert_eq!(done(attempt(&mut stand, &mut op, &far, Turn::Inline)), Outcome::success(0));
}

#[test]
fn a_multishot_receive_ends_at_its_limit() {
    let ((mut near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    provide(&mut stand, 4, 8);
    near.write_all(b"abcdefghijklmnopq").unwrap();
    let mut op = stand.prepare(&Sqe { file_index: 10, ..multishot(&far) }).unwrap();
    assert_eq!(more(attempt(&mut stand, &mut op, &far, Turn::Inline)).result, 8);
    assert_eq!(done(attempt(&mut stand, &mut op, &far, Turn::Inline)).result, 8, "the limit is passed");
}

#[test]
fn a_bundle_fills_buffers_of_a_ring_in_their_order() {
    let ((mut near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let memory = register(&mut stand, 4, 16);
    let bundle = RecvSendFlags::BUNDLE | RecvSendFlags::MULTISHOT;
    let mut op = stand.prepare(&Sqe { ioprio: bundle.bits(), ..multishot(&far) }).unwrap();
    near.write_all(&[5; 40]).unwrap();
    let outcome = more(attempt(&mut stand, &mut op, &far, Turn::Inline));
    assert_eq!(outcome, Outcome::success(40).with_flags(buffer(20)), "the first of three");
    assert_eq!(load(&stand, memory, 41), [&[5; 40][..], &[0]].concat());
    waits(&attempt(&mut stand, &mut op, &far, Turn::Inline));
    near.write_all(&[6; 7]).unwrap();
    let last = done(attempt(&mut stand, &mut op, &far, Turn::Ready(IN)));
    assert_eq!(last, Outcome::success(7).with_flags(buffer(23)), "no buffer is left");
}

#[test]
fn a_truncated_datagram_tells_its_whole_length() {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (mut stand, mut small) = (Stand::new(), [0; 3]);
    let trunc = libc::MSG_TRUNC.cast_unsigned();
    from.send_to(b"longer", to.local_addr().unwrap()).unwrap();
    assert_eq!(stand.run(&Sqe { op_flags: trunc, ..receive(&to, &mut small) }), Outcome::success(6));
    from.send_to(b"longer", to.local_addr().unwrap()).unwrap();
    let cut = stand.run(&Sqe { op_flags: WAITALL, ..receive(&to, &mut small) });
    assert_eq!((cut.result, cut.severs), (3, true), "a message was to come whole");
}

#[test]
fn a_receive_of_datagrams_ends_when_reading_is_shut_down() {
    let (socket, mut stand, mut buffer) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Stand::new(), [0; 8]);
    socket.connect("127.0.0.1:9").unwrap();
    let mut op = stand.prepare(&receive(&socket, &mut buffer)).unwrap();
    waits(&attempt(&mut stand, &mut op, &socket, Turn::Inline));
    rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).unwrap();
    let step = attempt(&mut stand, &mut op, &socket, Turn::Ready(IN | FINAL));
    assert_eq!(done(step), Outcome::success(0));
}

#[test]
fn a_worker_leaves_a_multishot_receive_to_readiness() {
    let ((_near, far), mut stand) = (UnixStream::pair().unwrap(), Stand::new());
    let mut op = stand.prepare(&multishot(&far)).unwrap();
    waits(&attempt(&mut stand, &mut op, &far, Turn::Worker));
    let ready = attempt(&mut stand, &mut op, &far, Turn::Ready(IN));
    assert_eq!(done(ready), failure(Errno::NOBUFS), "only then are there to be buffers");
}

#[test]
fn receives_without_meaning_are_refused() {
    let ((_near, far), stand) = (UnixStream::pair().unwrap(), Stand::new());
    let plain = entry(IORING_OP_RECV, &far);
    let multi = RecvSendFlags::MULTISHOT.bits();
    for bad in [
        Sqe { len: 1 << 31, ..plain },
        Sqe { ioprio: RecvSendFlags::FIXED_BUF.bits(), ..plain },
        Sqe { ioprio: multi, ..plain },
        selecting(Sqe { ioprio: multi, op_flags: WAITALL, ..plain }),
        selecting(Sqe { file_index: 1, ..plain }),
    ] {
        assert_eq!(stand.prepare(&bad).map(drop), Err(Errno::INVAL), "{bad:?}");
    }
}
