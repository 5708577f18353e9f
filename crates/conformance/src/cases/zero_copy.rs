//! Zero-copy sends: two completions, of which the second says that the memory is free again.

use std::io::Read;
use std::net::TcpStream;

use annulus::abi::RecvSendFlags;
use annulus::cqueue::Entry;
use annulus::opcode;

use super::net::{connect_to, listener, message};
use super::tools::fd;
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, Rig, Skip, cases};

cases! {
    Every a_zero_copy_send_completes_twice => IORING_OP_SEND_ZC;
    Every a_zero_copy_message_completes_twice => IORING_OP_SENDMSG_ZC;
    Every a_zero_copy_send_tells_when_it_copied;
    Every a_zero_copy_send_takes_a_registered_buffer;
    Every a_zero_copy_message_takes_parts_of_a_registered_buffer;
    Every a_zero_copy_send_out_of_what_is_not_registered_fails_with_a_notification;
    Every a_zero_copy_send_that_fails_is_followed_by_a_notification_only_if_it_says_so;
    Every a_zero_copy_send_that_is_refused_completes_once;
    Every a_vectored_zero_copy_send_sends_all_buffers;
    Every receiving_without_copies_needs_a_queue_registered_for_it;
}

fn a_zero_copy_send_completes_twice(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::SendZc::CODE)])?;
    let ((near, far), mut rig, text) = (connection(), bench.rig()?, Buffer::of(b"no copies"));
    rig.push(opcode::SendZc::new(fd(&near), text.ptr(), 9).build().user_data(7));
    result_then_notification(&mut rig, 9);
    assert_eq!(receive(far, 9), b"no copies");
    Ok(())
}

fn a_zero_copy_message_completes_twice(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::SendMsgZc::CODE)])?;
    let ((near, far), mut rig) = (connection(), bench.rig()?);
    let parts = [Buffer::of(b"no "), Buffer::of(b"copies")];
    rig.push(opcode::SendMsgZc::new(fd(&near), message(&parts).ptr()).build().user_data(7));
    result_then_notification(&mut rig, 9);
    assert_eq!(receive(far, 9), b"no copies");
    Ok(())
}

fn a_zero_copy_send_tells_when_it_copied(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 2, "IORING_SEND_ZC_REPORT_USAGE")])?;
    let ((near, _far), mut rig, text) = (connection(), bench.rig()?, Buffer::of(&[7; 8192]));
    let report = RecvSendFlags::ZC_REPORT_USAGE.bits();
    rig.push(opcode::SendZc::new(fd(&near), text.ptr(), 8192).zc_flags(report).build().user_data(7));
    let notification = result_then_notification(&mut rig, 8192);
    assert!(notification.is_notification_of_copy(), "loopback copies: {notification:?}");
    Ok(())
}

fn a_zero_copy_send_takes_a_registered_buffer(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::SendZc::CODE)])?;
    let ((near, far), mut rig, text) = (connection(), bench.rig()?, Buffer::of(b"registered"));
    rig.register_buffers(&[text])?;
    let part = text.part(0, 8);
    rig.push(opcode::SendZc::new(fd(&near), part.ptr(), 8).buf_index(Some(0)).build().user_data(7));
    result_then_notification(&mut rig, 8);
    assert_eq!(receive(far, 8), b"register");
    Ok(())
}

fn a_zero_copy_message_takes_parts_of_a_registered_buffer(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 15, "IORING_RECVSEND_FIXED_BUF of a message")])?;
    let ((near, far), mut rig, text) = (connection(), bench.rig()?, Buffer::of(b"head, padding, body"));
    rig.register_buffers(&[text])?;
    let parts = message(&[text.part(15, 4), text.part(0, 6)]);
    rig.push(opcode::SendMsgZc::new(fd(&near), parts.ptr()).buf_index(Some(0)).build().user_data(7));
    result_then_notification(&mut rig, 10);
    assert_eq!(receive(far, 10), b"bodyhead, ");
    Ok(())
}

fn a_zero_copy_send_out_of_what_is_not_registered_fails_with_a_notification(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::SendZc::CODE)])?;
    let ((near, _far), mut rig, text) = (connection(), bench.rig()?, Buffer::of(b"registered, and not"));
    rig.register_buffers(&[text.part(0, 10)])?;
    // Another buffer's number; beyond its end; not in it at all.
    for (part, index) in [(text.part(0, 10), 1), (text.part(5, 10), 0), (text.part(12, 3), 0)] {
        let len = u32::try_from(part.bytes().len()).expect("few");
        let send = opcode::SendZc::new(fd(&near), part.ptr(), len).buf_index(Some(index));
        rig.push(send.build().user_data(7));
        result_then_notification(&mut rig, -libc::EFAULT);
    }
    Ok(())
}

fn a_zero_copy_send_that_fails_is_followed_by_a_notification_only_if_it_says_so(
    bench: &Bench<'_>,
) -> Outcome {
    bench.needs([Need::Opcode(opcode::SendZc::CODE)])?;
    let (mut rig, text) = (bench.rig()?, Buffer::of(b"x"));
    let failed = rig.run(opcode::SendZc::new(fd(&-1), text.ptr(), 1).build().user_data(7));
    assert_eq!(failed.result(), -libc::EBADF);
    if failed.has_more() {
        let notification = rig.take_one();
        assert_eq!((notification.user_data(), notification.is_notification()), (7, true));
        assert!(!notification.has_more());
    }
    rig.nothing_more();
    Ok(())
}

fn a_zero_copy_send_that_is_refused_completes_once(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::SendZc::CODE)])?;
    let ((near, _far), mut rig, text) = (connection(), bench.rig()?, Buffer::of(b"x"));
    let mut refused = opcode::SendZc::new(fd(&near), text.ptr(), 1).build();
    refused.sqe_mut().pad2 = 1;
    let cqe = rig.run(refused);
    assert_eq!((cqe.result(), cqe.has_more()), (-libc::EINVAL, false));
    rig.nothing_more();
    Ok(())
}

fn a_vectored_zero_copy_send_sends_all_buffers(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 17, "IORING_SEND_VECTORIZED")])?;
    let ((near, far), mut rig) = (connection(), bench.rig()?);
    let iovecs = Kept::slice(&[Buffer::of(b"no "), Buffer::of(b"copies")].map(|part| part.iovec()));
    rig.push(opcode::SendZcVectored::new(fd(&near), iovecs.ptr(), 2).build().user_data(7));
    result_then_notification(&mut rig, 9);
    assert_eq!(receive(far, 9), b"no copies");
    Ok(())
}

fn receiving_without_copies_needs_a_queue_registered_for_it(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::RecvZc::CODE)])?;
    let (near, _far) = connection();
    let multishot = RecvSendFlags::MULTISHOT.bits();
    let cqe = bench.rig()?.run(opcode::RecvZc::new(fd(&near), 0).ioprio(multishot).build());
    assert_eq!(cqe.result(), -libc::EINVAL, "nothing is registered");
    Err(Skip::Hardware("RECV_ZC needs a network device with header split and a queue of its own".to_owned()))
}

/// Takes the two completions of a zero-copy send and gives the second.
fn result_then_notification(rig: &mut Rig, sent: i32) -> Entry {
    let cqes = rig.take(2);
    let shape: Vec<_> =
        cqes.iter().map(|cqe| (cqe.user_data(), cqe.has_more(), cqe.is_notification())).collect();
    assert_eq!(shape, [(7, true, false), (7, false, true)]);
    assert_eq!(cqes[0].result(), sent);
    rig.nothing_more();
    cqes[1]
}

/// Both ends of a connection over loopback.
fn connection() -> (TcpStream, TcpStream) {
    let listener = listener();
    let near = connect_to(&listener);
    (near, listener.accept().expect("the other end").0)
}

fn receive(mut far: TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    far.read_exact(&mut bytes).expect("the bytes");
    bytes
}
