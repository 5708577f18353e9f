//! Links: what severs a chain and what does not.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use annulus::abi::{Features, SetupFlags};
use annulus::opcode;
use annulus::types::Fd;

use super::tools::{CANCELED, fd, feed, file, hard_linked, linked, nop, pipe, read, refused, write};
use crate::harness::{Bench, Buffer, Need, Outcome, cases};

cases! {
    Every a_short_read_breaks_its_link;
    Every a_short_write_breaks_its_link;
    Every a_short_recv_does_not_break_its_link;
    Every a_short_recv_with_waitall_breaks_its_link;
    Every a_short_send_does_not_break_its_link;
    Every a_short_send_with_waitall_breaks_its_link;
    Every a_short_splice_breaks_its_link => IORING_OP_SPLICE;
    Every a_full_read_keeps_its_link;
    Every an_error_cancels_the_rest_of_the_chain_and_nothing_behind_it;
    Every a_hard_link_survives_a_short_read;
    Every a_hard_link_survives_a_bad_result;
    Every a_hard_link_does_not_survive_an_entry_that_is_refused;
    Every an_entry_that_is_refused_cancels_the_chain_around_it;
    Calls a_link_ends_with_its_submission;
    Every a_chain_is_done_in_its_order;
}

fn a_short_read_breaks_its_link(bench: &Bench<'_>) -> Outcome {
    let (file, buffer) = (file(b"abc"), Buffer::new(64));
    let results = bench.rig()?.batch([linked(read(&file, &buffer)), nop()]);
    assert_eq!(results, [3, CANCELED]);
    Ok(())
}

fn a_short_write_breaks_its_link(bench: &Bench<'_>) -> Outcome {
    let flags = rustix::pipe::PipeFlags::NONBLOCK | rustix::pipe::PipeFlags::CLOEXEC;
    let (_reader, writer) = rustix::pipe::pipe_with(flags).expect("a pipe");
    let buffer = Buffer::new(1 << 20);
    let results = bench.rig()?.batch([linked(write(&writer, &buffer)), nop()]);
    assert_eq!(results, [65536, CANCELED], "as much as a pipe holds");
    Ok(())
}

fn a_short_recv_does_not_break_its_link(bench: &Bench<'_>) -> Outcome {
    let (mut near, far) = UnixStream::pair().expect("sockets");
    near.write_all(b"abc").expect("room in the socket");
    let buffer = Buffer::new(64);
    let recv = opcode::Recv::new(fd(&far), buffer.ptr(), 64).build();
    assert_eq!(bench.rig()?.batch([linked(recv), nop()]), [3, 0]);
    assert_eq!(buffer.first(3), b"abc");
    Ok(())
}

fn a_short_recv_with_waitall_breaks_its_link(bench: &Bench<'_>) -> Outcome {
    let (mut near, far) = UnixStream::pair().expect("sockets");
    near.write_all(b"abc").expect("room in the socket");
    near.shutdown(Shutdown::Write).expect("a shutdown");
    let buffer = Buffer::new(64);
    let recv = opcode::Recv::new(fd(&far), buffer.ptr(), 64).flags(libc::MSG_WAITALL).build();
    assert_eq!(bench.rig()?.batch([linked(recv), nop()]), [3, CANCELED]);
    Ok(())
}

fn a_short_send_does_not_break_its_link(bench: &Bench<'_>) -> Outcome {
    let (near, _far) = UnixStream::pair().expect("sockets");
    let buffer = Buffer::new(8 << 20);
    let send = opcode::Send::new(fd(&near), buffer.ptr(), buffer.len()).flags(libc::MSG_DONTWAIT).build();
    let results = bench.rig()?.batch([linked(send), nop()]);
    assert!(results[0] > 0 && results[0] < 8 << 20, "{results:?}");
    assert_eq!(results[1], 0);
    Ok(())
}

fn a_short_send_with_waitall_breaks_its_link(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "MSG_WAITALL for sends")])?;
    let (near, far) = UnixStream::pair().expect("sockets");
    let (buffer, mut rig) = (Buffer::new(8 << 20), bench.rig()?);
    let send = opcode::Send::new(fd(&near), buffer.ptr(), buffer.len()).flags(libc::MSG_WAITALL).build();
    rig.push_all([linked(send), nop()]);
    rig.submit();
    rig.nothing_more();
    // What was taken so far is all that ever will be.
    drop(far);
    let cqes = rig.by_user_data(2);
    let sent = cqes[&0].result();
    assert!(sent > 0 && sent < 8 << 20, "{cqes:?}");
    assert_eq!(cqes[&1].result(), CANCELED);
    Ok(())
}

fn a_short_splice_breaks_its_link(bench: &Bench<'_>) -> Outcome {
    let ((source, feeder), (_reader, sink)) = (pipe(), pipe());
    feed(&feeder, b"abc");
    let splice = opcode::Splice::new(fd(&source), -1, fd(&sink), -1, 64).build();
    assert_eq!(bench.rig()?.batch([linked(splice), nop()]), [3, CANCELED]);
    Ok(())
}

fn a_full_read_keeps_its_link(bench: &Bench<'_>) -> Outcome {
    let (file, buffer) = (file(b"abc"), Buffer::new(3));
    assert_eq!(bench.rig()?.batch([linked(read(&file, &buffer)), nop()]), [3, 0]);
    Ok(())
}

fn an_error_cancels_the_rest_of_the_chain_and_nothing_behind_it(bench: &Bench<'_>) -> Outcome {
    let chain = [linked(bad_descriptor()), linked(nop()), nop(), nop()];
    assert_eq!(bench.rig()?.batch(chain), [-libc::EBADF, CANCELED, CANCELED, 0]);
    Ok(())
}

fn a_hard_link_survives_a_short_read(bench: &Bench<'_>) -> Outcome {
    let (file, buffer) = (file(b"abc"), Buffer::new(64));
    assert_eq!(bench.rig()?.batch([hard_linked(read(&file, &buffer)), nop()]), [3, 0]);
    Ok(())
}

fn a_hard_link_survives_a_bad_result(bench: &Bench<'_>) -> Outcome {
    // Before, a bad descriptor was an entry that is refused.
    bench.needs([Need::Feature(Features::LINKED_FILE)])?;
    assert_eq!(bench.rig()?.batch([hard_linked(bad_descriptor()), nop()]), [-libc::EBADF, 0]);
    Ok(())
}

fn a_hard_link_does_not_survive_an_entry_that_is_refused(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::SUBMIT_ALL)?;
    assert_eq!(rig.batch([hard_linked(refused()), nop()]), [-libc::EINVAL, CANCELED]);
    Ok(())
}

fn an_entry_that_is_refused_cancels_the_chain_around_it(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::SUBMIT_ALL)?;
    let chain = [linked(nop()), linked(refused()), nop(), nop()];
    assert_eq!(rig.batch(chain), [CANCELED, -libc::EINVAL, CANCELED, 0]);
    Ok(())
}

fn a_link_ends_with_its_submission(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), buffer) = (pipe(), Buffer::new(1));
    let mut rig = bench.rig()?;
    rig.push(linked(read(&reader, &buffer)).user_data(1));
    assert_eq!(rig.submit(), 1);
    assert_eq!(rig.result(nop().user_data(2)), 0, "the head of the former submission still waits");
    feed(&writer, b"x");
    assert_eq!(rig.take_one().result(), 1);
    Ok(())
}

fn a_chain_is_done_in_its_order(bench: &Bench<'_>) -> Outcome {
    let (file, from, to) = (file(b""), Buffer::of(b"written first"), Buffer::new(13));
    let fsync = opcode::Fsync::new(fd(&file)).build();
    let results = bench.rig()?.batch([linked(write(&file, &from)), linked(fsync), read(&file, &to)]);
    assert_eq!(results, [13, 0, 13]);
    assert_eq!(to.bytes(), b"written first");
    Ok(())
}

/// A request that is understood and fails when it is done.
fn bad_descriptor() -> annulus::squeue::Entry {
    let buffer = Buffer::new(1);
    opcode::Read::new(Fd(-1), buffer.ptr(), 1).build()
}
