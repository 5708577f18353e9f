//! Requests that wait for others: for bytes, for connections, for children, for events.
//!
//! Each scene says what would complete it; it happens when the memory was given back.
#![allow(unsafe_code, reason = "a zeroed header, and waking a futex")]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use annulus::{opcode, types};
use rustix::event::epoll;

use super::stage::{Ended, Provoke, Stage, TRIALS, clean_trials};

const LEN: u32 = 4096;

fn pipe_read(stage: &mut Stage) -> Provoke {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let fd = stage.keep(OwnedFd::from(reader));
    let buffer = stage.lend(4096);
    stage.push(opcode::Read::new(fd, buffer, LEN).offset(u64::MAX).build());
    // Nobody may be there to read it.
    Box::new(move || drop(writer.write_all(&[0x11; 4096])))
}

fn vectored_read(stage: &mut Stage) -> Provoke {
    let (near, mut far) = UnixStream::pair().expect("sockets");
    let fd = stage.keep(OwnedFd::from(near));
    let parts =
        [stage.lend(4096), stage.lend(4096)].map(|base| libc::iovec { iov_base: base, iov_len: 4096 });
    let parts: *mut libc::iovec = stage.lend_holding(parts).cast();
    stage.push(opcode::Readv::new(fd, parts, 2).build());
    Box::new(move || drop(far.write_all(&[0x11; 8192])))
}

fn multishot_read(stage: &mut Stage) -> Provoke {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let fd = stage.keep(OwnedFd::from(reader));
    stage.lend_group(7, 8);
    stage.push_selecting(opcode::ReadMulti::new(fd, 0, 7).offset(u64::MAX).build());
    Box::new(move || drop(writer.write_all(&[0x11; 8192])))
}

fn receive(stage: &mut Stage) -> Provoke {
    let (near, mut far) = UnixStream::pair().expect("sockets");
    let fd = stage.keep(OwnedFd::from(near));
    let buffer = stage.lend(4096);
    stage.push(opcode::Recv::new(fd, buffer, LEN).build());
    Box::new(move || drop(far.write_all(&[0x11; 4096])))
}

/// One that has got a part and waits for the rest.
fn receive_all(stage: &mut Stage) -> Provoke {
    let (near, mut far) = UnixStream::pair().expect("sockets");
    let fd = stage.keep(OwnedFd::from(near));
    let buffer = stage.lend(4096);
    stage.push(opcode::Recv::new(fd, buffer, LEN).flags(libc::MSG_WAITALL).build());
    far.write_all(&[0x11; 64]).expect("room");
    Box::new(move || drop(far.write_all(&[0x11; 4096])))
}

fn message(stage: &mut Stage) -> Provoke {
    let (near, mut far) = UnixStream::pair().expect("sockets");
    let fd = stage.keep(OwnedFd::from(near));
    let base = stage.lend(4096);
    let part = stage.lend_holding(libc::iovec { iov_base: base, iov_len: 4096 });
    // SAFETY: a message header is valid when it is zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (part, 1);
    (header.msg_name, header.msg_namelen) = (stage.lend(128), 128);
    (header.msg_control, header.msg_controllen) = (stage.lend(128), 128);
    let header = stage.lend_holding(header);
    stage.push(opcode::RecvMsg::new(fd, header).build());
    Box::new(move || drop(far.write_all(&[0x11; 4096])))
}

fn multishot_receive(stage: &mut Stage) -> Provoke {
    let (near, mut far) = UnixStream::pair().expect("sockets");
    let fd = stage.keep(OwnedFd::from(near));
    stage.lend_group(7, 8);
    stage.push_selecting(opcode::RecvMulti::new(fd, 7).build());
    Box::new(move || drop(far.write_all(&[0x11; 8192])))
}

fn receive_into_provided_buffer(stage: &mut Stage) -> Provoke {
    let (near, mut far) = UnixStream::pair().expect("sockets");
    let fd = stage.keep(OwnedFd::from(near));
    let buffer = stage.lend(4096);
    stage.run(opcode::ProvideBuffers::new(buffer, 4096, 1, 7, 0).build());
    let receive = opcode::Recv::new(fd, std::ptr::null_mut(), LEN).buf_group(7);
    stage.push_selecting(receive.build());
    Box::new(move || drop(far.write_all(&[0x11; 4096])))
}

fn accept(stage: &mut Stage) -> Provoke {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let fd = stage.keep(OwnedFd::from(listener));
    let (peer, len) = (stage.lend(128), stage.lend_holding::<libc::socklen_t>(128));
    stage.push(opcode::Accept::new(fd, peer, len).build());
    // Refused if the listener has gone with the ring.
    Box::new(move || drop(TcpStream::connect(address)))
}

fn epoll_events(stage: &mut Stage) -> Provoke {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a set");
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    epoll::add(&set, &reader, epoll::EventData::new_u64(1), epoll::EventFlags::IN).expect("it is watched");
    let fd = stage.keep(set);
    let events = stage.lend::<types::epoll_event>(4096);
    stage.push(opcode::EpollWait::new(fd, events, 8).build());
    Box::new(move || {
        writer.write_all(b"x").expect("its reader is here");
        drop(reader);
    })
}

/// A child that ends when its input does.
fn child() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).spawn().expect("a child")
}

/// Has it end. Nobody else may have waited for it.
fn end(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().expect("it is ours to wait for").success());
}

fn one_child(stage: &mut Stage) -> Provoke {
    let child = child();
    let info = stage.lend::<libc::siginfo_t>(4096);
    stage.push(opcode::WaitId::new(libc::P_PID, child.id(), libc::WEXITED).infop(info).build());
    Box::new(move || end(child))
}

/// A wait that only a worker can do: in a system call, until it is interrupted.
fn child_of_a_group(stage: &mut Stage) -> Provoke {
    let child = child();
    let info = stage.lend::<libc::siginfo_t>(4096);
    stage.push(opcode::WaitId::new(libc::P_PGID, child.id(), libc::WEXITED).infop(info).build());
    Box::new(move || end(child))
}

fn futex(stage: &mut Stage) -> Provoke {
    let word = stage.lend_holding(0_u32);
    let private = types::Futex2Flags::SIZE_U32 | types::Futex2Flags::PRIVATE;
    stage.push(opcode::FutexWait::new(word, 0, u64::from(u32::MAX), private.bits()).build());
    Box::new(move || {
        // SAFETY: no memory is read; waking is by address.
        let woken =
            unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
        assert_eq!(woken, 0, "somebody still waits");
    })
}

/// Nothing is written into memory that was freed at this end of the scene.
fn unharmed(scene: fn(&mut Stage) -> Provoke, end: fn(Stage) -> Ended) {
    assert_eq!(clean_trials(scene, Stage::of_trial, end), TRIALS);
}

#[test]
fn a_read_of_a_pipe_writes_nothing_after_its_ring_has_gone() {
    unharmed(pipe_read, Stage::dropped);
}

#[test]
fn a_vectored_read_writes_nothing_after_its_ring_has_gone() {
    unharmed(vectored_read, Stage::dropped);
}

#[test]
fn a_multishot_read_writes_nothing_after_its_ring_has_gone() {
    unharmed(multishot_read, Stage::dropped);
}

#[test]
fn a_receive_writes_nothing_after_its_ring_has_gone() {
    unharmed(receive, Stage::dropped);
}

#[test]
fn a_receive_of_all_writes_nothing_after_its_ring_has_gone() {
    unharmed(receive_all, Stage::dropped);
}

#[test]
fn a_message_is_received_nowhere_after_its_ring_has_gone() {
    unharmed(message, Stage::dropped);
}

#[test]
fn a_multishot_receive_writes_nothing_after_its_ring_has_gone() {
    unharmed(multishot_receive, Stage::dropped);
}

#[test]
fn a_provided_buffer_is_left_alone_after_its_ring_has_gone() {
    unharmed(receive_into_provided_buffer, Stage::dropped);
}

#[test]
fn an_accept_tells_no_address_after_its_ring_has_gone() {
    unharmed(accept, Stage::dropped);
}

#[test]
fn a_wait_for_events_tells_none_after_its_ring_has_gone() {
    unharmed(epoll_events, Stage::dropped);
}

#[test]
fn a_wait_for_a_child_tells_nothing_after_its_ring_has_gone() {
    unharmed(one_child, Stage::dropped);
}

#[test]
fn a_wait_for_a_group_tells_nothing_after_its_ring_has_gone() {
    unharmed(child_of_a_group, Stage::dropped);
}

#[test]
fn nobody_waits_for_a_futex_after_the_ring_has_gone() {
    unharmed(futex, Stage::dropped);
}

#[test]
fn a_cancelled_read_of_a_pipe_writes_nothing() {
    unharmed(pipe_read, Stage::cancelled);
}

#[test]
fn a_cancelled_vectored_read_writes_nothing() {
    unharmed(vectored_read, Stage::cancelled);
}

#[test]
fn a_cancelled_multishot_read_writes_nothing() {
    unharmed(multishot_read, Stage::cancelled);
}

#[test]
fn a_cancelled_receive_writes_nothing() {
    unharmed(receive, Stage::cancelled);
}

#[test]
fn a_cancelled_message_is_received_nowhere() {
    unharmed(message, Stage::cancelled);
}

#[test]
fn a_cancelled_multishot_receive_writes_nothing() {
    unharmed(multishot_receive, Stage::cancelled);
}

#[test]
fn a_cancelled_receive_leaves_its_provided_buffer_alone() {
    unharmed(receive_into_provided_buffer, Stage::cancelled);
}

#[test]
fn a_cancelled_accept_tells_no_address() {
    unharmed(accept, Stage::cancelled);
}

#[test]
fn a_cancelled_wait_for_events_tells_none() {
    unharmed(epoll_events, Stage::cancelled);
}

#[test]
fn a_cancelled_wait_for_a_child_tells_nothing() {
    unharmed(one_child, Stage::cancelled);
}

#[test]
fn a_cancelled_wait_for_a_group_tells_nothing() {
    unharmed(child_of_a_group, Stage::cancelled);
}

#[test]
fn nobody_waits_for_a_futex_after_the_cancel() {
    unharmed(futex, Stage::cancelled);
}

#[test]
fn a_read_of_a_pipe_that_was_closed_takes_nothing_from_others() {
    unharmed(pipe_read, Stage::closed);
}

#[test]
fn a_vectored_read_of_what_was_closed_takes_nothing_from_others() {
    unharmed(vectored_read, Stage::closed);
}

#[test]
fn a_multishot_read_of_what_was_closed_takes_nothing_from_others() {
    unharmed(multishot_read, Stage::closed);
}

#[test]
fn a_receive_on_what_was_closed_takes_nothing_from_others() {
    unharmed(receive, Stage::closed);
}

#[test]
fn a_message_on_what_was_closed_takes_nothing_from_others() {
    unharmed(message, Stage::closed);
}

#[test]
fn a_multishot_receive_on_what_was_closed_takes_nothing_from_others() {
    unharmed(multishot_receive, Stage::closed);
}

#[test]
fn a_provided_buffer_takes_nothing_from_others() {
    unharmed(receive_into_provided_buffer, Stage::closed);
}

#[test]
fn an_accept_on_what_was_closed_takes_nothing_from_others() {
    unharmed(accept, Stage::closed);
}

#[test]
fn a_wait_for_events_of_what_was_closed_takes_none_from_others() {
    unharmed(epoll_events, Stage::closed);
}
