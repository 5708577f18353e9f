//! Submitting: what a call takes, where it stops, and what is tried inline.

use std::thread;

use annulus::abi::{Features, SetupFlags};
use annulus::opcode;
use annulus::squeue::Flags;
use annulus::types::Timespec;

use super::tools::{fd, feed, file, nop, pipe, read, refused};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, cases};

cases! {
    Calls a_refused_entry_ends_the_submission_and_leaves_the_rest_queued;
    Calls a_refused_entry_does_not_end_the_submission_with_submit_all;
    Every an_unknown_opcode_is_answered_with_einval;
    Every an_unknown_flag_is_answered_with_einval;
    Every an_entry_on_a_closed_descriptor_is_answered_with_ebadf;
    Every an_async_request_goes_to_a_worker_and_completes;
    Every many_requests_in_flight_all_complete;
    Calls what_an_entry_points_to_may_go_once_it_is_submitted;
    One completions_of_a_deferring_ring_appear_when_its_owner_enters;
}

fn a_refused_entry_ends_the_submission_and_leaves_the_rest_queued(bench: &Bench<'_>) -> Outcome {
    // Before, the descriptor was looked at first.
    bench.needs([Need::Feature(Features::LINKED_FILE)])?;
    let mut rig = bench.rig()?;
    rig.push_all([nop(), refused(), nop()]);
    assert_eq!(rig.submit(), 2, "up to the refused one, and including it");
    assert_eq!(rig.ring_mut().submission().len(), 1);
    assert_eq!(rig.submit(), 1);
    let results: Vec<i32> = rig.by_user_data(3).values().map(annulus::cqueue::Entry::result).collect();
    assert_eq!(results, [0, -libc::EINVAL, 0]);
    Ok(())
}

fn a_refused_entry_does_not_end_the_submission_with_submit_all(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::SUBMIT_ALL)?;
    rig.push_all([nop(), refused(), nop()]);
    assert_eq!(rig.submit(), 3);
    let results: Vec<i32> = rig.by_user_data(3).values().map(annulus::cqueue::Entry::result).collect();
    assert_eq!(results, [0, -libc::EINVAL, 0]);
    Ok(())
}

fn an_unknown_opcode_is_answered_with_einval(bench: &Bench<'_>) -> Outcome {
    assert_eq!(bench.rig()?.result(opcode::Raw::new(250).build()), -libc::EINVAL);
    Ok(())
}

fn an_unknown_flag_is_answered_with_einval(bench: &Bench<'_>) -> Outcome {
    let unknown = Flags::from_bits_retain(1 << 7);
    assert_eq!(bench.rig()?.result(nop().flags(unknown)), -libc::EINVAL);
    Ok(())
}

fn an_entry_on_a_closed_descriptor_is_answered_with_ebadf(bench: &Bench<'_>) -> Outcome {
    assert_eq!(bench.rig()?.result(read(&-1, &Buffer::new(1))), -libc::EBADF);
    Ok(())
}

fn an_async_request_goes_to_a_worker_and_completes(bench: &Bench<'_>) -> Outcome {
    let (file, buffer) = (file(b"from a worker"), Buffer::new(13));
    assert_eq!(bench.rig()?.result(read(&file, &buffer).flags(Flags::ASYNC)), 13);
    assert_eq!(buffer.bytes(), b"from a worker");
    Ok(())
}

fn many_requests_in_flight_all_complete(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    let pipes: Vec<_> = (0..32).map(|_| (pipe(), Buffer::new(8))).collect();
    rig.push_all(pipes.iter().map(|((reader, _), buffer)| read(reader, buffer)));
    rig.submit();
    for (n, ((_, writer), _)) in pipes.iter().enumerate().rev() {
        feed(writer, &(n as u64).to_ne_bytes());
    }
    for cqe in rig.take(32) {
        let place = usize::try_from(cqe.user_data()).expect("a place");
        assert_eq!(cqe.result(), 8);
        assert_eq!(pipes[place].1.bytes(), cqe.user_data().to_ne_bytes());
    }
    Ok(())
}

fn what_an_entry_points_to_may_go_once_it_is_submitted(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Feature(Features::SUBMIT_STABLE)])?;
    let (source, buffer) = (file(b"abcdef"), Buffer::new(6));
    let iovec = Kept::new(libc::iovec { iov_base: buffer.ptr().cast(), iov_len: 6 });
    let (time, mut rig) = (Kept::new(Timespec::new()), bench.rig()?);
    rig.push(opcode::Readv::new(fd(&source), iovec.ptr(), 1).build().flags(Flags::ASYNC).user_data(1));
    rig.push(opcode::Timeout::new(time.ptr()).build().user_data(2));
    rig.submit();
    iovec.set(libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 1 });
    time.set(Timespec::new().sec(1 << 40));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&1].result(), cqes[&2].result()), (6, -libc::ETIME));
    assert_eq!(buffer.bytes(), b"abcdef");
    Ok(())
}

fn completions_of_a_deferring_ring_appear_when_its_owner_enters(bench: &Bench<'_>) -> Outcome {
    let flags = SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN | SetupFlags::TASKRUN_FLAG;
    let mut rig = bench.rig_with(|setup| setup.flags |= flags)?;
    let ((reader, writer), buffer) = (pipe(), Buffer::new(1));
    rig.push(read(&reader, &buffer));
    rig.submit();
    feed(&writer, b"x");
    // The kernel says so before the write returns, the engine as soon as a thread of its own has seen it.
    while !rig.ring_mut().submission().taskrun() {
        thread::yield_now();
    }
    assert!(
        rig.ring_mut().completion().is_empty(),
        "nobody has entered since, though the ring says that somebody should"
    );
    assert_eq!(rig.take_one().result(), 1);
    Ok(())
}
