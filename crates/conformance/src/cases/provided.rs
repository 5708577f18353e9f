//! Provided buffers: chosen by the back end when there is data, by the old operations or from a ring.

use std::io::Write;
use std::net::{Shutdown, UdpSocket};
use std::os::unix::net::UnixStream;

use annulus::abi::{BufStatus, PbufRingFlags, RegisterOp};
use annulus::opcode;
use annulus::squeue::Flags;
use annulus::types::RecvMsgOut;

use super::tools::{CANCELED, fd, feed, file, pipe};
use crate::harness::{Bench, Buffer, BufferGroup, Kept, Need, Outcome, Rig, cases};

cases! {
    Every buffers_are_provided_taken_and_removed => IORING_OP_PROVIDE_BUFFERS, IORING_OP_REMOVE_BUFFERS;
    Every an_unknown_group_fails_at_once_with_enobufs;
    Every an_operation_that_cannot_select_buffers_refuses_to;
    Every a_receive_takes_a_buffer_only_when_data_comes;
    Every a_receive_that_waits_fails_with_enobufs_when_data_comes_and_no_buffer_is_left;
    Every a_buffer_ring_gives_buffers_in_its_order;
    Every a_buffer_ring_tells_how_far_it_was_used;
    Every a_read_takes_a_buffer_from_a_ring;
    Every a_multishot_receive_goes_on_until_no_buffer_is_left;
    Every a_multishot_receive_ends_with_the_stream;
    Every a_multishot_receive_of_messages_tells_who_sent_them;
    Every a_multishot_read_brings_what_comes => IORING_OP_READ_MULTISHOT;
    Every an_incremental_buffer_is_filled_piece_by_piece;
    Every a_bundle_receives_into_several_buffers_at_once;
    Every a_bundle_sends_several_buffers_at_once;
    Every a_group_has_one_ring;
}

const GROUP: u16 = 3;

fn buffers_are_provided_taken_and_removed(bench: &Bench<'_>) -> Outcome {
    let (memory, file, mut rig) = (Buffer::new(64), file(b"abcdef"), bench.rig()?);
    let provided = rig.result(opcode::ProvideBuffers::new(memory.ptr(), 16, 4, GROUP, 10).build());
    assert_eq!(provided, 0);
    let read = opcode::Read::new(fd(&file), std::ptr::null_mut(), 16).buf_group(GROUP).build();
    let cqe = rig.run(read.flags(Flags::BUFFER_SELECT));
    let id = cqe.buffer_id().expect("a buffer");
    assert_eq!((cqe.result(), (10..14).contains(&id)), (6, true));
    assert_eq!(memory.part(usize::from(id - 10) * 16, 6).bytes(), b"abcdef");
    let removed = rig.result(opcode::RemoveBuffers::new(9, GROUP).build());
    assert_eq!(removed, 3, "as many as were left");
    Ok(())
}

fn an_unknown_group_fails_at_once_with_enobufs(bench: &Bench<'_>) -> Outcome {
    let (_near, far) = UnixStream::pair().expect("sockets");
    assert_eq!(bench.rig()?.result(receive(&far)), -libc::ENOBUFS);
    Ok(())
}

fn an_operation_that_cannot_select_buffers_refuses_to(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    assert_eq!(rig.result(super::tools::nop().flags(Flags::BUFFER_SELECT)), -libc::EOPNOTSUPP);
    Ok(())
}

fn a_receive_takes_a_buffer_only_when_data_comes(bench: &Bench<'_>) -> Outcome {
    let ((mut near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (_group, memory) = ring_of(bench, &rig, 1, PbufRingFlags::empty())?;
    rig.push(receive(&far).user_data(7));
    rig.submit();
    rig.nothing_more();
    // The buffer is still there for somebody else.
    let file = file(b"abc");
    let read = opcode::Read::new(fd(&file), std::ptr::null_mut(), 16).buf_group(GROUP).build();
    let cqe = rig.run(read.flags(Flags::BUFFER_SELECT).user_data(8));
    assert_eq!((cqe.result(), cqe.buffer_id()), (3, Some(0)));
    assert_eq!(memory[0].first(3), b"abc");
    near.write_all(b"x").expect("room");
    assert_eq!(rig.take_one().result(), -libc::ENOBUFS);
    Ok(())
}

fn a_receive_that_waits_fails_with_enobufs_when_data_comes_and_no_buffer_is_left(
    bench: &Bench<'_>,
) -> Outcome {
    let ((mut near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (_group, _memory) = ring_of(bench, &rig, 1, PbufRingFlags::empty())?;
    rig.push(receive(&far).user_data(7));
    rig.push(receive(&far).user_data(8));
    rig.submit();
    rig.nothing_more();
    near.write_all(&[1; 32]).expect("room");
    let mut results: Vec<_> = rig.take(2).iter().map(annulus::cqueue::Entry::result).collect();
    results.sort_unstable();
    assert_eq!(results, [-libc::ENOBUFS, 16], "one buffer, which one of them got");
    Ok(())
}

fn a_buffer_ring_gives_buffers_in_its_order(bench: &Bench<'_>) -> Outcome {
    let ((mut near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (mut group, memory) = ring_of(bench, &rig, 2, PbufRingFlags::empty())?;
    for (round, expected) in [0_u16, 1, 0, 1, 0].into_iter().enumerate() {
        let byte = u8::try_from(round).expect("few rounds");
        near.write_all(&[byte; 5]).expect("room");
        let cqe = rig.run(receive(&far));
        assert_eq!((cqe.result(), cqe.buffer_id()), (5, Some(expected)));
        let buffer = memory[usize::from(expected)];
        assert_eq!(buffer.first(5), [byte; 5]);
        group.give(&[(expected, buffer)]);
    }
    Ok(())
}

fn a_buffer_ring_tells_how_far_it_was_used(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 8, "IORING_REGISTER_PBUF_STATUS")])?;
    let ((mut near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (_group, _memory) = ring_of(bench, &rig, 2, PbufRingFlags::empty())?;
    let status = Kept::new(BufStatus { buf_group: GROUP.into(), ..BufStatus::default() });
    rig.register(RegisterOp::REGISTER_PBUF_STATUS, status, 1).expect("the status");
    assert_eq!(status.get().head, 0);
    near.write_all(b"x").expect("room");
    assert_eq!(rig.result(receive(&far)), 1);
    rig.register(RegisterOp::REGISTER_PBUF_STATUS, status, 1).expect("the status");
    assert_eq!(status.get().head, 1);
    Ok(())
}

fn a_read_takes_a_buffer_from_a_ring(bench: &Bench<'_>) -> Outcome {
    let (file, mut rig) = (file(b"abcdef"), bench.rig()?);
    let (_group, memory) = ring_of(bench, &rig, 1, PbufRingFlags::empty())?;
    let read = opcode::Read::new(fd(&file), std::ptr::null_mut(), 4).offset(2).buf_group(GROUP).build();
    let cqe = rig.run(read.flags(Flags::BUFFER_SELECT));
    assert_eq!((cqe.result(), cqe.buffer_id()), (4, Some(0)));
    assert_eq!(memory[0].first(4), b"cdef");
    Ok(())
}

fn a_multishot_receive_goes_on_until_no_buffer_is_left(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 0, "IORING_RECV_MULTISHOT")])?;
    let ((mut near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (_group, _memory) = ring_of(bench, &rig, 2, PbufRingFlags::empty())?;
    rig.push(opcode::RecvMulti::new(fd(&far), GROUP).build().user_data(7));
    rig.submit();
    for expected in 0..2 {
        near.write_all(b"abc").expect("room");
        let cqe = rig.take_one();
        assert_eq!((cqe.result(), cqe.buffer_id(), cqe.has_more()), (3, Some(expected), true));
    }
    near.write_all(b"abc").expect("room");
    let last = rig.take_one();
    assert_eq!((last.result(), last.has_more()), (-libc::ENOBUFS, false));
    Ok(())
}

fn a_multishot_receive_ends_with_the_stream(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 0, "IORING_RECV_MULTISHOT")])?;
    let ((near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (_group, _memory) = ring_of(bench, &rig, 2, PbufRingFlags::empty())?;
    rig.push(opcode::RecvMulti::new(fd(&far), GROUP).build());
    rig.submit();
    near.shutdown(Shutdown::Write).expect("a shutdown");
    let cqe = rig.take_one();
    assert_eq!((cqe.result(), cqe.has_more()), (0, false));
    Ok(())
}

fn a_multishot_receive_of_messages_tells_who_sent_them(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 0, "IORING_RECV_MULTISHOT")])?;
    let (from, to) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (from, to, mut rig) = (from.expect("a socket"), to.expect("a socket"), bench.rig()?);
    let memory = [Buffer::new(128), Buffer::new(128)];
    let mut group = BufferGroup::register(&rig, bench, GROUP, 2, PbufRingFlags::empty())?;
    group.give(&[(0, memory[0]), (1, memory[1])]);
    let header = crate::harness::message(std::ptr::null_mut(), 0);
    let mut layout = header.get();
    layout.msg_namelen = super::net::ADDRESS_LEN;
    header.set(layout);
    rig.push(opcode::RecvMsgMulti::new(fd(&to), header.ptr(), GROUP).build().user_data(7));
    rig.submit();
    for expected in 0..2_u16 {
        from.send_to(b"datagram", to.local_addr().expect("its address")).expect("a datagram");
        let cqe = rig.take_one();
        assert_eq!((cqe.buffer_id(), cqe.has_more()), (Some(expected), true));
        let bytes = memory[usize::from(expected)].first(usize::try_from(cqe.result()).expect("a length"));
        let message = RecvMsgOut::parse(&bytes, &layout).expect("a message");
        assert_eq!(message.payload_data(), b"datagram");
        let port = from.local_addr().expect("its address").port();
        assert_eq!(message.name_data()[2..4], port.to_be_bytes());
    }
    Ok(())
}

fn a_multishot_read_brings_what_comes(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::ReadMulti::CODE)])?;
    let ((reader, writer), mut rig) = (pipe(), bench.rig()?);
    let (_group, memory) = ring_of(bench, &rig, 2, PbufRingFlags::empty())?;
    rig.push(opcode::ReadMulti::new(fd(&reader), 0, GROUP).offset(u64::MAX).build().user_data(7));
    rig.submit();
    for expected in 0..2_u16 {
        feed(&writer, b"abc");
        let cqe = rig.take_one();
        assert_eq!((cqe.result(), cqe.buffer_id(), cqe.has_more()), (3, Some(expected), true));
        assert_eq!(memory[usize::from(expected)].first(3), b"abc");
    }
    rig.push(opcode::AsyncCancel::new(7).build().user_data(8));
    assert_eq!(rig.by_user_data(2)[&7].result(), CANCELED);
    Ok(())
}

fn an_incremental_buffer_is_filled_piece_by_piece(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 12, "IOU_PBUF_RING_INC")])?;
    let ((mut near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (_group, memory) = ring_of(bench, &rig, 2, PbufRingFlags::INC)?;
    let mut seen = Vec::new();
    for text in ["first", "second", "third"] {
        near.write_all(text.as_bytes()).expect("room");
        let cqe = rig.run(receive(&far));
        seen.push((cqe.result(), cqe.buffer_id(), cqe.has_buffer_more()));
    }
    let five = [(5, Some(0), true), (6, Some(0), true), (5, Some(0), false)];
    assert_eq!(seen, five, "16 bytes of the first buffer");
    assert_eq!(memory[0].bytes(), b"firstsecondthird");
    Ok(())
}

fn a_bundle_receives_into_several_buffers_at_once(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Feature(annulus::abi::Features::RECVSEND_BUNDLE)])?;
    let ((mut near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (_group, memory) = ring_of(bench, &rig, 4, PbufRingFlags::empty())?;
    near.write_all(&[5; 40]).expect("room");
    let cqe = rig.run(opcode::RecvBundle::new(fd(&far), GROUP).build());
    // How many buffers a receive takes at once is the back end's choice.
    let received = usize::try_from(cqe.result()).expect("bytes");
    let several = if bench.backend().is_complete() { 17..=40 } else { 16..=40 };
    assert_eq!((several.contains(&received), cqe.buffer_id()), (true, Some(0)), "{cqe:?}");
    let bytes: Vec<u8> = memory.iter().flat_map(Buffer::bytes).collect();
    assert!(
        bytes[..received].iter().all(|byte| *byte == 5) && bytes[received..].iter().all(|byte| *byte == 0)
    );
    Ok(())
}

fn a_bundle_sends_several_buffers_at_once(bench: &Bench<'_>) -> Outcome {
    use std::io::Read;
    bench.needs([Need::Feature(annulus::abi::Features::RECVSEND_BUNDLE)])?;
    let ((near, mut far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    let (_group, memory) = ring_of(bench, &rig, 2, PbufRingFlags::empty())?;
    memory[0].write(&[1; 16]);
    memory[1].write(&[2; 16]);
    let cqe = rig.run(opcode::SendBundle::new(fd(&near), GROUP).build());
    assert_eq!((cqe.result(), cqe.buffer_id()), (32, Some(0)));
    let mut bytes = [0; 32];
    far.read_exact(&mut bytes).expect("the bytes");
    assert_eq!(bytes[..], [[1; 16], [2; 16]].concat());
    Ok(())
}

fn a_group_has_one_ring(bench: &Bench<'_>) -> Outcome {
    let rig = bench.rig()?;
    let (_group, _memory) = ring_of(bench, &rig, 1, PbufRingFlags::empty())?;
    let again = BufferGroup::try_register(&rig, GROUP, 1, PbufRingFlags::empty());
    assert_eq!(again.map(drop), Err(rustix::io::Errno::EXIST));
    rig.ring().submitter().unregister_buf_ring(GROUP).expect("away with it");
    let again = BufferGroup::try_register(&rig, GROUP, 1, PbufRingFlags::empty());
    assert_eq!(again.map(drop), Ok(()));
    Ok(())
}

/// A group with `count` buffers of 16 bytes in a ring.
fn ring_of(
    bench: &Bench<'_>,
    rig: &Rig,
    count: u16,
    flags: PbufRingFlags,
) -> Result<(BufferGroup, Vec<Buffer>), crate::Skip> {
    let memory: Vec<_> = (0..count).map(|_| Buffer::new(16)).collect();
    let mut group = BufferGroup::register(rig, bench, GROUP, count, flags)?;
    let given: Vec<_> = (0..count).zip(memory.iter().copied()).collect();
    group.give(&given);
    Ok((group, memory))
}

fn receive(socket: &UnixStream) -> annulus::squeue::Entry {
    let recv = opcode::Recv::new(fd(socket), std::ptr::null_mut(), 16).buf_group(GROUP);
    recv.build().flags(Flags::BUFFER_SELECT)
}
