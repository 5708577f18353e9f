//! Poll requests: once, again and again, changed and removed.

use annulus::opcode;

use super::tools::{CANCELED, fd, feed, pipe, read};
use crate::harness::{Bench, Buffer, Need, Outcome, cases};

cases! {
    Every a_poll_waits_until_the_file_is_ready => IORING_OP_POLL_ADD;
    Every a_poll_of_a_ready_file_completes_at_once;
    Every a_poll_tells_of_the_end_although_nobody_asked;
    Every a_multishot_poll_tells_of_every_event;
    Every a_removed_poll_ends_with_ecanceled => IORING_OP_POLL_REMOVE;
    Every an_unknown_poll_cannot_be_removed;
    Every a_poll_can_be_given_other_events;
    Every a_poll_can_be_given_another_user_data;
    Every a_poll_holds_what_is_linked_to_it_until_the_file_is_ready;
}

const IN: u32 = 1;
const OUT: u32 = 4;
const HUP: u32 = 16;

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
