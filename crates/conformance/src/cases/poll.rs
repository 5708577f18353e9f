//! Poll requests: once, again and again, changed and removed.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use annulus::{opcode, types};

use super::tools::{CANCELED, fd, feed, nop, pipe, read};
use crate::harness::{Bench, Buffer, Mode, Need, Outcome, cases};

cases! {
    Every a_poll_waits_until_the_file_is_ready => IORING_OP_POLL_ADD;
    Every a_poll_of_a_ready_file_completes_at_once;
    Every a_poll_tells_of_the_end_although_nobody_asked;
    Every a_multishot_poll_tells_of_every_event;
    Every a_removed_poll_ends_with_ecanceled => IORING_OP_POLL_REMOVE;
    Every an_unknown_poll_cannot_be_removed;
    Every a_poll_can_be_given_other_events;
    Every a_poll_can_be_given_another_user_data;
    Every a_regular_file_is_always_ready_and_ends_a_multishot_poll;
    Every a_regular_file_is_never_ready_for_other_events;
    Every an_update_does_not_change_how_often_a_poll_tells;
    Every the_youngest_poll_of_a_user_data_is_meant;
    Every a_poll_tells_of_half_a_connection_although_nobody_asked;
    Every a_multishot_poll_tells_once_of_what_was_ready_before;
    Every a_poll_of_the_ring_itself_tells_of_a_completion;
    Every a_poll_update_without_meaning_is_refused;
    Every a_poll_holds_what_is_linked_to_it_until_the_file_is_ready;
}

const IN: u32 = 1;
const OUT: u32 = 4;
const PRI: u32 = 2;
const HUP: u32 = 16;
const RDHUP: u32 = 0x2000;

fn a_poll_waits_until_the_file_is_ready(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), mut rig) = (pipe(), bench.rig()?);
    rig.push(opcode::PollAdd::new(fd(&reader), IN).build().user_data(7));
    rig.submit();
    rig.nothing_more();
    feed(&writer, b"x");
    let cqe = rig.take_one();
    assert_eq!((cqe.to_result(), cqe.has_more()), (Ok(IN), false));
    Ok(())
}

fn a_poll_of_a_ready_file_completes_at_once(bench: &Bench<'_>) -> Outcome {
    let (_reader, writer) = pipe();
    let cqe = bench.rig()?.run(opcode::PollAdd::new(fd(&writer), IN | OUT).build());
    assert_eq!(cqe.to_result(), Ok(OUT));
    Ok(())
}

fn a_poll_tells_of_the_end_although_nobody_asked(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), mut rig) = (pipe(), bench.rig()?);
    rig.push(opcode::PollAdd::new(fd(&reader), IN).build());
    rig.submit();
    drop(writer);
    assert_eq!(rig.take_one().to_result(), Ok(HUP));
    Ok(())
}

fn a_multishot_poll_tells_of_every_event(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_ADD_MULTI")])?;
    let ((reader, writer), mut rig) = (pipe(), bench.rig()?);
    rig.push(opcode::PollAdd::new(fd(&reader), IN).multi(true).build().user_data(7));
    rig.submit();
    rig.nothing_more();
    for _ in 0..3 {
        feed(&writer, b"x");
        let cqe = rig.take_one();
        assert_eq!((cqe.to_result(), cqe.has_more()), (Ok(IN), true));
    }
    rig.push(opcode::PollRemove::new(7).build().user_data(8));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&8].result(), cqes[&7].result(), cqes[&7].has_more()), (0, CANCELED, false));
    Ok(())
}

fn a_removed_poll_ends_with_ecanceled(bench: &Bench<'_>) -> Outcome {
    let ((reader, _writer), mut rig) = (pipe(), bench.rig()?);
    rig.push(opcode::PollAdd::new(fd(&reader), IN).build().user_data(7));
    rig.push(opcode::PollRemove::new(7).build().user_data(8));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&7].result(), cqes[&8].result()), (CANCELED, 0));
    Ok(())
}

fn an_unknown_poll_cannot_be_removed(bench: &Bench<'_>) -> Outcome {
    let ((reader, _writer), mut rig) = (pipe(), bench.rig()?);
    assert_eq!(rig.result(opcode::PollRemove::new(404).build()), -libc::ENOENT);
    rig.push(read(&reader, &Buffer::new(1)).user_data(7));
    rig.submit();
    let read_is_no_poll = rig.result(opcode::PollRemove::new(7).build().user_data(8));
    assert_eq!(read_is_no_poll, -libc::ENOENT, "although a poll is under it");
    Ok(())
}

fn a_poll_can_be_given_other_events(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_UPDATE_EVENTS")])?;
    let ((_reader, writer), mut rig) = (pipe(), bench.rig()?);
    rig.push(opcode::PollAdd::new(fd(&writer), IN).build().user_data(7));
    rig.submit();
    rig.nothing_more();
    rig.push(opcode::PollUpdate::new(7).events(OUT).build().user_data(8));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&7].to_result(), cqes[&8].result()), (Ok(OUT), 0));
    Ok(())
}

fn a_poll_can_be_given_another_user_data(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_UPDATE_USER_DATA")])?;
    let ((reader, writer), mut rig) = (pipe(), bench.rig()?);
    rig.push(opcode::PollAdd::new(fd(&reader), IN).build().user_data(7));
    rig.submit();
    assert_eq!(rig.result(opcode::PollUpdate::new(7).new_user_data(70).build().user_data(8)), 0);
    feed(&writer, b"x");
    let cqe = rig.take_one();
    assert_eq!((cqe.user_data(), cqe.to_result()), (70, Ok(IN)));
    Ok(())
}

fn a_poll_holds_what_is_linked_to_it_until_the_file_is_ready(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), mut rig, buffer) = (pipe(), bench.rig()?, Buffer::new(3));
    let poll = opcode::PollAdd::new(fd(&reader), IN).build();
    rig.push_all([super::tools::linked(poll), read(&reader, &buffer)]);
    rig.submit();
    feed(&writer, b"abc");
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&0].to_result(), cqes[&1].result()), (Ok(IN), 3));
    assert_eq!(buffer.bytes(), b"abc");
    Ok(())
}

fn a_regular_file_is_always_ready_and_ends_a_multishot_poll(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_ADD_MULTI")])?;
    let (file, mut rig) = (tempfile::tempfile().expect("a file"), bench.rig()?);
    assert_eq!(rig.run(opcode::PollAdd::new(fd(&file), IN | OUT).build()).to_result(), Ok(IN | OUT));
    let cqe = rig.run(opcode::PollAdd::new(fd(&file), IN).multi(true).build());
    assert_eq!((cqe.to_result(), cqe.has_more()), (Ok(IN), false));
    Ok(())
}

fn a_regular_file_is_never_ready_for_other_events(bench: &Bench<'_>) -> Outcome {
    let (file, mut rig) = (tempfile::tempfile().expect("a file"), bench.rig()?);
    assert_eq!(rig.result(opcode::PollAdd::new(fd(&file), PRI).build()), -libc::EINVAL);
    Ok(())
}

fn an_update_does_not_change_how_often_a_poll_tells(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_UPDATE_EVENTS")])?;
    let ((reader, writer), mut rig) = (pipe(), bench.rig()?);
    rig.push(opcode::PollAdd::new(fd(&reader), PRI).build().user_data(7));
    rig.submit();
    let update = opcode::PollUpdate::new(7).events(IN).multi(true).build();
    assert_eq!(rig.result(update.user_data(8)), 0);
    feed(&writer, b"x");
    let cqe = rig.take_one();
    assert_eq!((cqe.user_data(), cqe.to_result(), cqe.has_more()), (7, Ok(IN), false));
    Ok(())
}

fn the_youngest_poll_of_a_user_data_is_meant(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_UPDATE_USER_DATA")])?;
    let ((reader, writer), mut rig) = (pipe(), bench.rig()?);
    for events in [IN, PRI] {
        rig.push(opcode::PollAdd::new(fd(&reader), events).build().user_data(7));
    }
    rig.submit();
    assert_eq!(rig.result(opcode::PollUpdate::new(7).new_user_data(70).build().user_data(8)), 0);
    feed(&writer, b"x");
    let cqe = rig.take_one();
    assert_eq!((cqe.user_data(), cqe.to_result()), (7, Ok(IN)));
    drop(writer);
    let cqe = rig.take_one();
    assert_eq!((cqe.user_data(), cqe.to_result()), (70, Ok(HUP)));
    Ok(())
}

fn a_poll_tells_of_half_a_connection_although_nobody_asked(bench: &Bench<'_>) -> Outcome {
    let (one, other) = UnixStream::pair().expect("two sockets");
    let mut rig = bench.rig()?;
    rig.push(opcode::PollAdd::new(fd(&one), PRI).build());
    rig.submit();
    rig.nothing_more();
    other.shutdown(Shutdown::Write).expect("half of it");
    assert_eq!(rig.take_one().to_result(), Ok(RDHUP));
    Ok(())
}

fn a_multishot_poll_tells_once_of_what_was_ready_before(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_ADD_MULTI")])?;
    let (one, _other) = UnixStream::pair().expect("two sockets");
    let mut rig = bench.rig()?;
    for user_data in [7, 8] {
        rig.push(opcode::PollAdd::new(fd(&one), OUT).multi(true).build().user_data(user_data));
        let cqe = rig.take_one();
        assert_eq!((cqe.user_data(), cqe.to_result(), cqe.has_more()), (user_data, Ok(OUT), true));
    }
    rig.nothing_more();
    Ok(())
}

fn a_poll_of_the_ring_itself_tells_of_a_completion(bench: &Bench<'_>) -> Outcome {
    if bench.mode() == Mode::Deferred {
        // On Linux 6.1 the poll never ends.
        bench.needs([Need::Since(6, 12, "a deferring ring that tells itself of completions")])?;
    }
    let mut rig = bench.rig()?;
    rig.push(opcode::PollAdd::new(types::Fd(rig.fd()), IN).build().user_data(7));
    rig.submit();
    rig.push(nop().user_data(8));
    // The completion stays in the queue until the poll has told of it.
    rig.ring().submitter().submit_and_wait(2).expect("both come");
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&7].to_result(), cqes[&8].result()), (Ok(IN), 0));
    Ok(())
}

fn a_poll_update_without_meaning_is_refused(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 13, "IORING_POLL_UPDATE_EVENTS")])?;
    let mut rig = bench.rig()?;
    let update = || opcode::PollUpdate::new(404);
    assert_eq!(rig.result(update().multi(true).build()), -libc::EINVAL, "how often, and nothing else");
    let user_data_alone = update().new_user_data(1).multi(true).build();
    assert_eq!(rig.result(user_data_alone), -libc::ENOENT, "taken, and not found");
    Ok(())
}
