//! Messages from ring to ring: completions, and registered files.

use std::os::fd::AsRawFd;

use annulus::abi::{MsgRingFlags, SetupFlags};
use annulus::opcode;
use annulus::types::{DestinationSlot, Fd, Fixed};

use super::tools::{fd, file};
use crate::harness::{Bench, Buffer, Need, Outcome, Rig, cases};

cases! {
    Every a_message_is_a_completion_on_the_other_ring => IORING_OP_MSG_RING;
    Every a_message_carries_flags_when_told_so;
    Every a_message_to_what_is_no_ring_is_refused;
    Every a_message_to_a_disabled_ring_is_refused;
    Every a_registered_file_goes_to_the_other_ring;
    Every a_registered_file_goes_in_silence_when_told_so;
    Calls a_message_that_finds_no_room_is_kept_for_the_other_ring;
}

fn a_message_is_a_completion_on_the_other_ring(bench: &Bench<'_>) -> Outcome {
    let (mut from, mut to) = two_rings(bench)?;
    let message = opcode::MsgRingData::new(Fd(to.fd()), 77, 0xabcd, None).build();
    assert_eq!(from.result(message), 0);
    let cqe = to.take_one();
    assert_eq!((cqe.result(), cqe.user_data(), cqe.flags()), (77, 0xabcd, 0));
    Ok(())
}

fn a_message_carries_flags_when_told_so(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 3, "IORING_MSG_RING_FLAGS_PASS")])?;
    let (mut from, mut to) = two_rings(bench)?;
    let flags = 1 << 20;
    assert_eq!(from.result(opcode::MsgRingData::new(Fd(to.fd()), 1, 2, Some(flags)).build()), 0);
    assert_eq!(to.take_one().flags(), flags);
    Ok(())
}

fn a_message_to_what_is_no_ring_is_refused(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::MsgRingData::CODE)])?;
    let file = file(b"abc");
    let message = opcode::MsgRingData::new(fd(&file), 1, 2, None).build();
    assert_eq!(bench.rig()?.result(message), -libc::EBADFD);
    Ok(())
}

fn a_message_to_a_disabled_ring_is_refused(bench: &Bench<'_>) -> Outcome {
    bench.needs([
        Need::Opcode(opcode::MsgRingData::CODE),
        Need::Since(6, 2, "the check of the other ring's state"),
    ])?;
    let to = bench.rig_with(|setup| setup.flags |= SetupFlags::R_DISABLED)?;
    let message = opcode::MsgRingData::new(Fd(to.fd()), 1, 2, None).build();
    assert_eq!(bench.rig()?.result(message), -libc::EBADFD);
    Ok(())
}

fn a_registered_file_goes_to_the_other_ring(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 0, "IORING_MSG_SEND_FD")])?;
    let (mut from, mut to) = two_rings(bench)?;
    share_a_file(&from, &to);
    let slot = DestinationSlot::try_from_slot_target(1).expect("a slot");
    let message = opcode::MsgRingSendFd::new(Fd(to.fd()), Fixed(0), slot, 7).build();
    assert_eq!(from.result(message), 0);
    let cqe = to.take_one();
    assert_eq!((cqe.result(), cqe.user_data()), (0, 7));
    let buffer = Buffer::new(6);
    assert_eq!(to.result(opcode::Read::new(Fixed(1), buffer.ptr(), 6).build()), 6);
    assert_eq!(buffer.bytes(), b"shared");
    Ok(())
}

fn a_registered_file_goes_in_silence_when_told_so(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 0, "IORING_MSG_SEND_FD")])?;
    let (mut from, mut to) = two_rings(bench)?;
    share_a_file(&from, &to);
    let message = opcode::MsgRingSendFd::new(Fd(to.fd()), Fixed(0), DestinationSlot::auto_target(), 7);
    let slot = from.result(message.opcode_flags(MsgRingFlags::CQE_SKIP.bits()).build());
    assert_eq!(slot, 0, "the slot that was free");
    to.nothing_more();
    assert_eq!(to.result(opcode::Read::new(Fixed(0), Buffer::new(6).ptr(), 6).build()), 6);
    Ok(())
}

fn a_message_that_finds_no_room_is_kept_for_the_other_ring(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::MsgRingData::CODE)])?;
    let mut to = bench.rig_with(|setup| (setup.entries, setup.cq_entries) = (1, Some(1)))?;
    let mut from = bench.rig()?;
    let sent = from.batch([1, 2, 3].map(|n| opcode::MsgRingData::new(Fd(to.fd()), 0, n, None).build()));
    let arrived = sent.iter().filter(|result| **result == 0).count();
    assert!(sent.iter().all(|result| [0, -libc::EOVERFLOW].contains(result)), "{sent:?}");
    assert!(arrived >= 1);
    assert_eq!(to.take(arrived).len(), arrived);
    Ok(())
}

/// Two rings of the same mode.
fn two_rings(bench: &Bench<'_>) -> Result<(Rig, Rig), crate::Skip> {
    bench.needs([Need::Opcode(opcode::MsgRingData::CODE)])?;
    Ok((bench.rig()?, bench.rig()?))
}

/// Registers a file with the first ring, and empty slots with the second.
fn share_a_file(from: &Rig, to: &Rig) {
    let file = file(b"shared");
    from.ring().submitter().register_files(&[file.as_raw_fd()]).expect("a slot");
    to.ring().submitter().register_files_sparse(2).expect("slots");
}
