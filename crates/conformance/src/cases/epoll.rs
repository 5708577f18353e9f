//! Epoll sets, changed and waited for by requests; and a ring as member of one.

use std::os::fd::OwnedFd;
use std::time::Duration;

use annulus::opcode;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use super::tools::{fd, feed, nop, pipe};
use crate::harness::{Bench, Kept, Need, Outcome, cases};

cases! {
    Every epoll_ctl_adds_changes_and_removes => IORING_OP_EPOLL_CTL;
    Every epoll_wait_brings_the_events_that_are_there => IORING_OP_EPOLL_WAIT;
    Every epoll_wait_waits_for_events;
    Every a_ring_polls_readable_while_completions_wait;
}

fn epoll_ctl_adds_changes_and_removes(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), set, mut rig) = (pipe(), set(), bench.rig()?);
    feed(&writer, b"x");
    let event = Kept::new(libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: 77 });
    let mut control = |op| {
        let entry = opcode::EpollCtl::new(fd(&set), fd(&reader), op, event.ptr().cast()).build();
        rig.result(entry)
    };
    assert_eq!(control(libc::EPOLL_CTL_ADD), 0);
    assert_eq!(ready(&set), [77]);
    assert_eq!(control(libc::EPOLL_CTL_ADD), -libc::EEXIST);
    event.set(libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: 78 });
    assert_eq!(control(libc::EPOLL_CTL_MOD), 0);
    assert_eq!(ready(&set), [78]);
    assert_eq!(control(libc::EPOLL_CTL_DEL), 0);
    assert_eq!(ready(&set), []);
    Ok(())
}

fn epoll_wait_brings_the_events_that_are_there(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::EpollWait::CODE)])?;
    let ((reader, writer), set) = (pipe(), set());
    epoll::add(&set, &reader, epoll::EventData::new_u64(5), epoll::EventFlags::IN).expect("a member");
    feed(&writer, b"x");
    let events = Kept::new([libc::epoll_event { events: 0, u64: 0 }; 4]);
    let cqe = bench.rig()?.run(opcode::EpollWait::new(fd(&set), events.ptr().cast(), 4).build());
    assert_eq!(cqe.result(), 1);
    assert_eq!({ events.get()[0].u64 }, 5);
    Ok(())
}

fn epoll_wait_waits_for_events(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::EpollWait::CODE)])?;
    let ((reader, writer), set, mut rig) = (pipe(), set(), bench.rig()?);
    epoll::add(&set, &reader, epoll::EventData::new_u64(6), epoll::EventFlags::IN).expect("a member");
    let events = Kept::new([libc::epoll_event { events: 0, u64: 0 }; 4]);
    rig.push(opcode::EpollWait::new(fd(&set), events.ptr().cast(), 4).build());
    rig.submit();
    rig.nothing_more();
    feed(&writer, b"x");
    assert_eq!(rig.take_one().result(), 1);
    assert_eq!({ events.get()[0].u64 }, 6);
    Ok(())
}

fn a_ring_polls_readable_while_completions_wait(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    assert!(!is_readable(&rig, Duration::ZERO));
    rig.push(nop());
    rig.submit();
    assert!(is_readable(&rig, Duration::from_secs(20)));
    rig.take(1);
    assert!(!is_readable(&rig, Duration::ZERO));
    Ok(())
}

fn set() -> OwnedFd {
    epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll set")
}

/// What the members that are ready carry.
fn ready(set: &OwnedFd) -> Vec<u64> {
    let mut events = Vec::with_capacity(4);
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    epoll::wait(set, rustix::buffer::spare_capacity(&mut events), Some(&at_once)).expect("a wait");
    events.iter().map(|event: &epoll::Event| event.data.u64()).collect()
}

fn is_readable(rig: &crate::Rig, within: Duration) -> bool {
    let mut fds = [PollFd::new(rig.ring(), PollFlags::IN)];
    let within = Timespec::try_from(within).expect("a short time");
    poll(&mut fds, Some(&within)).expect("a poll") == 1
}
