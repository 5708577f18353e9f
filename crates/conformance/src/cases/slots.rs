//! Every operation that works on a file, on a registered one: by its slot instead of a descriptor.
//!
//! The operations' own cases show what they do; here each must do it through the table.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use annulus::abi::SqeFlags;
use annulus::opcode;
use annulus::squeue::Entry;
use annulus::types::{Fd, Fixed};
use rustix::event::epoll;

use super::net::{ADDRESS_LEN, address, message};
use super::tools::{feed, file, pipe};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, Rig, cases, path};

cases! {
    Every files_are_worked_on_by_their_slot;
    Every pipes_are_worked_on_by_their_slot;
    Every sockets_are_worked_on_by_their_slot;
    Every servers_are_worked_on_by_their_slot;
    Every epoll_sets_are_worked_on_by_their_slot;
    Every operations_without_a_file_refuse_a_slot_or_ignore_it;
}

fn files_are_worked_on_by_their_slot(bench: &Bench<'_>) -> Outcome {
    let (file, mut rig) = (file(&[1; 8192]), bench.rig()?);
    register(&rig, &[file.as_raw_fd()]);
    let (eight, six) = (Buffer::of(&[2; 8]), Buffer::new(6));
    let iovecs = Kept::new(six.iovec());
    let plain = [
        (opcode::Write::new(SLOT, eight.ptr(), 8).build(), 8),
        (opcode::Writev::new(SLOT, iovecs.ptr(), 1).build(), 6),
        (opcode::Readv::new(SLOT, iovecs.ptr(), 1).offset(1).build(), 6),
        (opcode::Read::new(SLOT, eight.ptr(), 8).offset(4).build(), 8),
        (opcode::Fsync::new(SLOT).build(), 0),
        (opcode::SyncFileRange::new(SLOT, 4096).build(), 0),
        (opcode::Fallocate::new(SLOT, 4096).offset(8192).build(), 0),
        (opcode::Fadvise::new(SLOT, 4096, libc::POSIX_FADV_NORMAL).build(), 0),
    ];
    all_answer(&mut rig, plain);
    assert_eq!(eight.bytes(), [0, 0, 2, 2, 1, 1, 1, 1], "after both writes, from the fourth byte");
    if bench.backend().has(opcode::Ftruncate::CODE) {
        all_answer(&mut rig, [(opcode::Ftruncate::new(SLOT, 3).build(), 0)]);
        assert_eq!(file.metadata().expect("metadata").len(), 3);
    }
    rig.register_buffers(&[eight])?;
    let fixed = [
        (opcode::WriteFixed::new(SLOT, eight.ptr(), 8, 0).build(), 8),
        (opcode::ReadFixed::new(SLOT, eight.ptr(), 4, 0).build(), 4),
    ];
    all_answer(&mut rig, fixed);
    // Linux looked these up in the process's table only, before 6.13.
    let has_attributes =
        rustix::fs::fsetxattr(&file, "user.slot", b"1", rustix::fs::XattrFlags::empty()).is_ok();
    if has_attributes && bench.backend().is_at_least(6, 13) {
        let value = eight.ptr().cast();
        let attributes = [
            (opcode::FSetXattr::new(SLOT, path("user.slot"), value, 4).build(), 0),
            (opcode::FGetXattr::new(SLOT, path("user.slot"), value, 8).build(), 4),
        ];
        all_answer(&mut rig, attributes);
    }
    Ok(())
}

fn pipes_are_worked_on_by_their_slot(bench: &Bench<'_>) -> Outcome {
    let ((source, feeder), (_copy, sink), mut rig) = (pipe(), pipe(), bench.rig()?);
    register(&rig, &[source.as_raw_fd(), sink.as_raw_fd()]);
    feed(&feeder, b"abcdef");
    let (from, to) = (Fixed(0), Fixed(1));
    let buffer = Buffer::new(2);
    let moves = [
        (opcode::PollAdd::new(from, 1).build(), 1),
        (opcode::Tee::new(from, to, 3).build(), 3),
        (opcode::Splice::new(from, -1, to, -1, 4).build(), 4),
        (opcode::Read::new(from, buffer.ptr(), 2).build(), 2),
    ];
    all_answer(&mut rig, moves);
    assert_eq!(buffer.bytes(), b"ef");
    Ok(())
}

fn sockets_are_worked_on_by_their_slot(bench: &Bench<'_>) -> Outcome {
    let ((near, far), mut rig) = (UnixStream::pair().expect("sockets"), bench.rig()?);
    register(&rig, &[near.as_raw_fd(), far.as_raw_fd()]);
    let (here, there) = (Fixed(0), Fixed(1));
    let (text, back) = (Buffer::of(b"abc"), Buffer::new(3));
    let exchange = [
        (opcode::Send::new(here, text.ptr(), 3).build(), 3),
        (opcode::Recv::new(there, back.ptr(), 3).build(), 3),
        (opcode::SendMsg::new(there, message(&[text]).ptr()).build(), 3),
        (opcode::RecvMsg::new(here, message(&[back]).ptr()).build(), 3),
        (opcode::Shutdown::new(here, libc::SHUT_WR).build(), 0),
        (opcode::Recv::new(there, back.ptr(), 3).build(), 0),
    ];
    all_answer(&mut rig, exchange);
    Ok(())
}

fn servers_are_worked_on_by_their_slot(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::Listen::CODE), Need::Opcode(opcode::SendZc::CODE)])?;
    let mut rig = bench.rig()?;
    let inet =
        || rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
    let (server, client): (OwnedFd, OwnedFd) = (inet().expect("a socket"), inet().expect("a socket"));
    register(&rig, &[server.as_raw_fd(), client.as_raw_fd()]);
    let any = Kept::new(address("127.0.0.1:0".parse().expect("an address")));
    all_answer(
        &mut rig,
        [
            (opcode::Bind::new(SLOT, any.ptr().cast(), ADDRESS_LEN).build(), 0),
            (opcode::Listen::new(SLOT, 8).build(), 0),
        ],
    );
    let bound = rustix::net::getsockname(&server).expect("its address");
    let there = Kept::new(address(bound.try_into().expect("an internet address")));
    all_answer(&mut rig, [(opcode::Connect::new(Fixed(1), there.ptr().cast(), ADDRESS_LEN).build(), 0)]);
    let accepted = rig.result(opcode::Accept::new(SLOT, std::ptr::null_mut(), std::ptr::null_mut()).build());
    assert!(accepted >= 0, "{accepted}");
    let text = Buffer::of(b"abc");
    rig.push(opcode::SendZc::new(Fixed(1), text.ptr(), 3).build());
    let shape: Vec<_> = rig.take(2).iter().map(|cqe| (cqe.result(), cqe.is_notification())).collect();
    assert_eq!(shape, [(3, false), (0, true)]);
    let back = Buffer::new(3);
    assert_eq!(rig.result(opcode::Recv::new(Fd(accepted), back.ptr(), 3).build()), 3);
    assert_eq!(back.bytes(), b"abc");
    if bench.backend().is_at_least(6, 7) {
        let on = Kept::new(1_i32);
        let keep_alive = opcode::SetSockOpt::new(Fixed(1), 1, 9, on.ptr().cast(), 4).build();
        all_answer(&mut rig, [(keep_alive, 0)]);
    }
    assert_eq!(rig.result(opcode::Close::new(Fd(accepted)).build()), 0);
    Ok(())
}

fn epoll_sets_are_worked_on_by_their_slot(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::EpollWait::CODE)])?;
    let ((reader, writer), mut rig) = (pipe(), bench.rig()?);
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll set");
    epoll::add(&set, &reader, epoll::EventData::new_u64(9), epoll::EventFlags::IN).expect("a member");
    register(&rig, &[set.as_raw_fd()]);
    feed(&writer, b"x");
    let events = Kept::new([libc::epoll_event { events: 0, u64: 0 }; 2]);
    all_answer(&mut rig, [(opcode::EpollWait::new(SLOT, events.ptr().cast(), 2).build(), 1)]);
    assert_eq!({ events.get()[0].u64 }, 9);
    Ok(())
}

fn operations_without_a_file_refuse_a_slot_or_ignore_it(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    let fixed = annulus::squeue::Flags::from_bits_retain(SqeFlags::FIXED_FILE.bits());
    assert_eq!(rig.result(super::tools::nop().flags(fixed)), 0, "nothing is looked up");
    // A directory is a descriptor of the process, never a slot.
    let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path("/")).build().flags(fixed);
    assert_eq!(rig.result(open), -libc::EBADF);
    let statx = Kept::new([0_u64; 32]);
    let status = opcode::Statx::new(Fd(libc::AT_FDCWD), path("/"), statx.ptr().cast()).build().flags(fixed);
    assert_eq!(rig.result(status), -libc::EBADF);
    Ok(())
}

const SLOT: Fixed = Fixed(0);

/// Registers files, and drops nothing: their owners may go on using them.
fn register(rig: &Rig, files: &[RawFd]) {
    rig.ring().submitter().register_files(files).expect("the files are taken");
}

/// Runs operations one after the other; each must be answered with the number beside it.
fn all_answer(rig: &mut Rig, operations: impl IntoIterator<Item = (Entry, i32)>) {
    for (entry, expected) in operations {
        assert_eq!(rig.result(entry), expected, "{entry:?}");
    }
}
