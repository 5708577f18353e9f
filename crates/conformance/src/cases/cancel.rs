//! Cancelling: what is found, by which key, and what is told to whom.
//!
//! The order of a cancel's own completion and its target's is promised nowhere, so it is not looked at.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use annulus::abi::{RegisterOp, SyncCancelReg};
use annulus::opcode;
use annulus::squeue::{Entry, Flags};
use annulus::types::{CancelBuilder, Fd, Fixed};

use super::tools::{CANCELED, fd, feed, nop, pipe, read};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, Rig, cases, path};

cases! {
    Every what_is_found_is_cancelled_and_completes => IORING_OP_ASYNC_CANCEL;
    Every what_is_unknown_is_not_found;
    Every what_has_completed_is_not_found;
    Every one_of_several_is_cancelled_unless_all_are_asked_for;
    Every requests_are_found_by_their_descriptor;
    Every requests_are_found_by_their_registered_file;
    Every requests_are_found_by_their_opcode;
    Every requests_are_found_by_opcode_and_user_data_together;
    Every any_request_is_found;
    Every an_async_read_of_a_pipe_is_cancelled;
    Every a_request_that_blocks_in_a_worker_is_found_or_too_late_and_ends;
    Every what_waits_for_a_worker_is_found_by_its_descriptor_or_its_name;
    Every a_request_can_be_cancelled_by_a_registration;
    Every closing_a_descriptor_does_not_cancel_its_requests;
    Every a_closed_connection_ends_for_its_peer_when_the_last_request_ends;
    Every a_request_goes_on_with_its_file_when_the_number_names_another;
}

fn what_is_found_is_cancelled_and_completes(bench: &Bench<'_>) -> Outcome {
    let (mut rig, _pipes) = waiting(bench, &[7])?;
    rig.push(opcode::AsyncCancel::new(7).build().user_data(1));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&1].result(), cqes[&7].result()), (0, CANCELED));
    Ok(())
}

fn what_is_unknown_is_not_found(bench: &Bench<'_>) -> Outcome {
    assert_eq!(bench.rig()?.result(opcode::AsyncCancel::new(404).build()), -libc::ENOENT);
    Ok(())
}

fn what_has_completed_is_not_found(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    assert_eq!(rig.result(nop().user_data(5)), 0);
    assert_eq!(rig.result(opcode::AsyncCancel::new(5).build().user_data(6)), -libc::ENOENT);
    Ok(())
}

fn one_of_several_is_cancelled_unless_all_are_asked_for(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_ASYNC_CANCEL_ALL")])?;
    let (mut rig, _pipes) = waiting(bench, &[7, 7, 7])?;
    rig.push(opcode::AsyncCancel::new(7).build().user_data(1));
    let mut first: Vec<_> = rig.take(2).iter().map(|cqe| (cqe.user_data(), cqe.result())).collect();
    first.sort_unstable();
    assert_eq!(first, [(1, 0), (7, CANCELED)]);
    let all = CancelBuilder::user_data(7).all();
    rig.push(opcode::AsyncCancel2::new(all).build().user_data(2));
    let mut rest: Vec<_> = rig.take(3).iter().map(|cqe| (cqe.user_data(), cqe.result())).collect();
    rest.sort_unstable();
    assert_eq!(rest, [(2, 2), (7, CANCELED), (7, CANCELED)], "the result is how many");
    Ok(())
}

fn requests_are_found_by_their_descriptor(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_ASYNC_CANCEL_FD")])?;
    let (mut rig, pipes) = waiting(bench, &[7, 8])?;
    let key = CancelBuilder::fd(fd(&pipes[1].0));
    rig.push(opcode::AsyncCancel2::new(key).build().user_data(1));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&1].result(), cqes[&8].result()), (0, CANCELED));
    rig.nothing_more();
    Ok(())
}

fn requests_are_found_by_their_registered_file(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 0, "IORING_ASYNC_CANCEL_FD_FIXED")])?;
    let mut rig = bench.rig()?;
    let ((reader, _writer), buffer) = (pipe(), Buffer::new(1));
    let files = Kept::slice(&[fd(&reader).0]);
    rig.register(RegisterOp::REGISTER_FILES, files, 1).expect("one file");
    rig.push(opcode::Read::new(Fixed(0), buffer.ptr(), 1).build().user_data(7));
    rig.submit();
    rig.push(opcode::AsyncCancel2::new(CancelBuilder::fd(Fixed(0))).build().user_data(1));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&1].result(), cqes[&7].result()), (0, CANCELED));
    Ok(())
}

fn requests_are_found_by_their_opcode(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 6, "IORING_ASYNC_CANCEL_OP")])?;
    let (mut rig, pipes) = waiting(bench, &[7])?;
    rig.push(opcode::PollAdd::new(fd(&pipes[0].0), POLLIN).build().user_data(8));
    rig.submit();
    let key = CancelBuilder::op(opcode::PollAdd::CODE);
    rig.push(opcode::AsyncCancel2::new(key).build().user_data(1));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&1].result(), cqes[&8].result()), (0, CANCELED));
    rig.nothing_more();
    Ok(())
}

fn requests_are_found_by_opcode_and_user_data_together(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 6, "IORING_ASYNC_CANCEL_USERDATA")])?;
    let (mut rig, _pipes) = waiting(bench, &[7, 8])?;
    let other = CancelBuilder::op(opcode::PollAdd::CODE).and_user_data(7);
    assert_eq!(rig.result(opcode::AsyncCancel2::new(other).build().user_data(1)), -libc::ENOENT);
    let both = CancelBuilder::op(opcode::Read::CODE).and_user_data(8);
    rig.push(opcode::AsyncCancel2::new(both).build().user_data(2));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&2].result(), cqes[&8].result()), (0, CANCELED));
    Ok(())
}

fn any_request_is_found(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_ASYNC_CANCEL_ANY")])?;
    let (mut rig, _pipes) = waiting(bench, &[7, 8, 9])?;
    rig.push(opcode::AsyncCancel2::new(CancelBuilder::any().all()).build().user_data(1));
    let cqes = rig.by_user_data(4);
    assert_eq!(cqes[&1].result(), 3);
    assert!([7, 8, 9].iter().all(|n| cqes[n].result() == CANCELED), "{cqes:?}");
    Ok(())
}

fn an_async_read_of_a_pipe_is_cancelled(bench: &Bench<'_>) -> Outcome {
    let ((reader, _writer), buffer) = (pipe(), Buffer::new(1));
    let mut rig = bench.rig()?;
    rig.push(read(&reader, &buffer).flags(Flags::ASYNC).user_data(7));
    rig.submit();
    let (cancel, target) = cancel_until_ended(&mut rig, 7);
    assert!(
        [(0, CANCELED), (-libc::EALREADY, CANCELED), (-libc::EALREADY, -libc::EINTR)]
            .contains(&(cancel, target))
    );
    Ok(())
}

fn a_request_that_blocks_in_a_worker_is_found_or_too_late_and_ends(bench: &Bench<'_>) -> Outcome {
    let ((source, _feeder), (_reader, sink)) = (pipe(), pipe());
    let mut rig = bench.rig()?;
    rig.push(opcode::Splice::new(fd(&source), -1, fd(&sink), -1, 1).build().user_data(7));
    rig.submit();
    let outcome = cancel_until_ended(&mut rig, 7);
    // Linux lets the number through with which a blocked call tells that it might be restarted.
    let erestartsys = -512;
    let interrupted = [CANCELED, -libc::EINTR, erestartsys].map(|ending| (-libc::EALREADY, ending));
    // Whatever signals a worker interrupts its call, also before a cancel has found it: seen under load.
    let signalled = (-libc::ENOENT, erestartsys);
    let possible = [&[(0, CANCELED), signalled], &interrupted[..]].concat();
    assert!(possible.contains(&outcome), "cancel and target: {outcome:?}");
    Ok(())
}

fn what_waits_for_a_worker_is_found_by_its_descriptor_or_its_name(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_ASYNC_CANCEL_FD")])?;
    let directory = tempfile::tempdir().expect("a directory");
    let (fifo, file) = (directory.path().join("fifo"), tempfile::tempfile().expect("a file"));
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).expect("a FIFO");
    let mut rig = bench.rig()?;
    assert_eq!(rig.result(nop().flags(Flags::ASYNC)), 0);
    rig.ring().submitter().register_iowq_max_workers(&mut [1, 1]).expect("one worker of each kind");
    // The one worker waits for somebody who opens the other end.
    rig.push(opcode::OpenAt::new(Fd(libc::AT_FDCWD), path(&fifo)).build().flags(Flags::ASYNC).user_data(7));
    rig.push(opcode::Fsync::new(fd(&file)).build().flags(Flags::ASYNC).user_data(8));
    rig.submit();
    rig.nothing_more();
    let mut cancelled = None;
    // Linux has the worker look the file up: until then only the name finds the request.
    for key in [CancelBuilder::fd(fd(&file)), CancelBuilder::user_data(8)] {
        rig.push(opcode::AsyncCancel2::new(key).build().user_data(1));
        let ended = match rig.take_one() {
            cancel if cancel.user_data() == 1 && cancel.result() == -libc::ENOENT => continue,
            cancel if cancel.user_data() == 1 => (cancel.result(), rig.take_one().result()),
            target => (rig.take_one().result(), target.result()),
        };
        cancelled = Some(ended);
        break;
    }
    assert_eq!(cancelled, Some((0, CANCELED)));
    let _other = std::fs::OpenOptions::new().write(true).open(&fifo).expect("the other end");
    let opened = rig.take_one();
    assert_eq!(opened.user_data(), 7);
    assert_eq!(rig.result(opcode::Close::new(Fd(opened.result())).build()), 0);
    Ok(())
}

fn a_request_can_be_cancelled_by_a_registration(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 0, "IORING_REGISTER_SYNC_CANCEL")])?;
    let (mut rig, _pipes) = waiting(bench, &[7])?;
    let forever = annulus::abi::KernelTimespec { tv_sec: -1, tv_nsec: -1 };
    let key = SyncCancelReg { addr: 7, fd: -1, timeout: forever, ..SyncCancelReg::default() };
    assert_eq!(rig.register(RegisterOp::REGISTER_SYNC_CANCEL, Kept::new(key), 1), Ok(0));
    assert_eq!(rig.take_one().result(), CANCELED);
    let again = rig.register(RegisterOp::REGISTER_SYNC_CANCEL, Kept::new(key), 1);
    assert_eq!(again, Err(rustix::io::Errno::NOENT));
    Ok(())
}

fn closing_a_descriptor_does_not_cancel_its_requests(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), buffer) = (pipe(), Buffer::new(4));
    let mut rig = bench.rig()?;
    rig.push(read(&reader, &buffer).user_data(7));
    rig.submit();
    // The polling thread looks the descriptor up when it takes the entry: not before it has.
    rig.nothing_more();
    drop(reader);
    rig.nothing_more();
    feed(&writer, b"data");
    assert_eq!(rig.take_one().result(), 4, "the request holds the file");
    assert_eq!(buffer.bytes(), b"data");
    Ok(())
}

fn a_closed_connection_ends_for_its_peer_when_the_last_request_ends(bench: &Bench<'_>) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut peer = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    let (connection, _) = listener.accept().expect("the other end");
    let (mut rig, buffer) = (bench.rig()?, Buffer::new(4));
    rig.push(opcode::Recv::new(fd(&connection), buffer.ptr(), 4).build().user_data(7));
    rig.submit();
    rig.nothing_more();
    drop(connection);
    peer.set_nonblocking(true).expect("a flag");
    let waiting = peer.read(&mut [0]).expect_err("no end of the stream while the receive holds the socket");
    assert_eq!(waiting.kind(), ErrorKind::WouldBlock);
    rig.push(opcode::AsyncCancel::new(7).build().user_data(1));
    assert_eq!(rig.by_user_data(2)[&7].result(), CANCELED);
    peer.set_nonblocking(false).expect("a flag");
    assert_eq!(peer.read(&mut [0]).expect("the end"), 0);
    Ok(())
}

fn a_request_goes_on_with_its_file_when_the_number_names_another(bench: &Bench<'_>) -> Outcome {
    let ((first, first_writer), (second, second_writer)) = (pipe(), pipe());
    let (mut rig, buffer) = (bench.rig()?, Buffer::new(5));
    // A number of this case's own, which no other test of the process can be given in between.
    let mut number = rustix::io::fcntl_dupfd_cloexec(&first, 700).expect("a number");
    rig.push(read(&number, &buffer).user_data(7));
    rig.submit();
    rig.nothing_more();
    rustix::io::dup2(&second, &mut number).expect("the number names the second pipe now");
    feed(&second_writer, b"wrong");
    rig.nothing_more();
    feed(&first_writer, b"right");
    assert_eq!(rig.take_one().result(), 5);
    assert_eq!(buffer.bytes(), b"right");
    Ok(())
}

const POLLIN: u32 = 1;

/// A rig with reads of empty pipes under way, one for each user data.
fn waiting(bench: &Bench<'_>, user_data: &[u64]) -> Result<(Rig, Vec<(OwnedFd, OwnedFd)>), crate::Skip> {
    let mut rig = bench.rig()?;
    let pipes: Vec<_> = user_data.iter().map(|_| pipe()).collect();
    for (n, (reader, _)) in user_data.iter().zip(&pipes) {
        rig.push(read_one(reader).user_data(*n));
    }
    rig.submit();
    rig.nothing_more();
    Ok((rig, pipes))
}

fn read_one(reader: &OwnedFd) -> Entry {
    read(reader, &Buffer::new(1))
}

/// Cancels what may still be on its way to a worker, or from the worker to waiting for readiness, until it
/// ends; gives the results of the last cancel that found it and of the target.
///
/// "Too late" promises no end: a worker may put the request back to wait just then.
fn cancel_until_ended(rig: &mut Rig, target: u64) -> (i32, i32) {
    let (mut cancelled, mut ended) = (-libc::ENOENT, None);
    while ended.is_none() {
        rig.push(opcode::AsyncCancel::new(target).build().user_data(1));
        loop {
            let cqe = rig.take_one();
            if cqe.user_data() == 1 {
                cancelled = if cqe.result() == -libc::ENOENT { cancelled } else { cqe.result() };
                break;
            }
            ended = Some(cqe.result());
        }
        if cancelled == 0 && ended.is_none() {
            ended = Some(rig.take_one().result());
        }
        std::thread::yield_now();
    }
    (cancelled, ended.expect("the loop's end"))
}
