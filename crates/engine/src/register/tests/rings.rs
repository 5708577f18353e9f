//! Rings as a whole: enabling and restricting, places of threads, messages, cancelling.
#![allow(clippy::disallowed_methods, reason = "who registers is a matter of threads")]

use annulus_abi as abi;
use annulus_abi::{Backend, Sqe, SqeFlags};
use rustix::io::Errno;

use super::*;
use crate::core::Letter;
use crate::op::Outcome;

fn rule(kind: u16, value: u8) -> [u32; 4] {
    [u32::from(kind) | u32::from(value) << 16, 0, 0, 0]
}

#[test]
fn restrictions_hold_from_the_moment_when_the_ring_is_enabled() {
    let engine = engine(SetupFlags::R_DISABLED);
    let op = abi::IORING_REGISTER_RESTRICTIONS;
    assert_eq!(call(&engine, op, &mut rule(4, 0), 1), Err(Errno::INVAL), "no such kind");
    assert_eq!(call(&engine, op, &mut rule(0, 36), 1), Err(Errno::INVAL), "no such operation");
    assert_eq!(call(&engine, op, &mut rule(1, 63), 1), Err(Errno::INVAL), "no such opcode");
    assert_eq!(plain(&engine, op, 0), Err(Errno::INVAL));
    let mut rules = [
        rule(abi::IORING_RESTRICTION_REGISTER_OP, 12),
        rule(abi::IORING_RESTRICTION_SQE_OP, abi::IORING_OP_NOP),
        rule(abi::IORING_RESTRICTION_SQE_FLAGS_ALLOWED, SqeFlags::IO_LINK.bits()),
        rule(abi::IORING_RESTRICTION_SQE_FLAGS_REQUIRED, SqeFlags::ASYNC.bits()),
    ];
    assert_eq!(call(&engine, op, &mut rules, 4), Ok(0));
    assert_eq!(call(&engine, op, &mut rules, 4), Err(Errno::BUSY));
    assert_eq!(plain(&engine, abi::IORING_REGISTER_PERSONALITY, 0), Ok(1), "not in force yet");
    assert_eq!(plain(&engine, abi::IORING_REGISTER_ENABLE_RINGS, 0), Ok(0));

    assert_eq!(plain(&engine, abi::IORING_REGISTER_PERSONALITY, 0), Err(Errno::ACCESS));
    assert_eq!(
        plain(&engine, abi::IORING_REGISTER_LAST, 0),
        Err(Errno::INVAL),
        "that it does not exist comes first"
    );
    assert_eq!(call(&engine, op, &mut rules, 4), Err(Errno::ACCESS));
    let allow = |opcode, flags: SqeFlags| {
        let sqe = Sqe { opcode, flags: flags.bits(), ..Sqe::default() };
        engine.ring().lock().settings.allow(&sqe)
    };
    let refused = Err(Errno::ACCESS);
    assert_eq!(allow(abi::IORING_OP_NOP, SqeFlags::ASYNC), Ok(()));
    assert_eq!(allow(abi::IORING_OP_NOP, SqeFlags::ASYNC | SqeFlags::IO_LINK), Ok(()));
    assert_eq!(allow(abi::IORING_OP_NOP, SqeFlags::IO_LINK), refused, "without the required flag");
    assert_eq!(allow(abi::IORING_OP_NOP, SqeFlags::ASYNC | SqeFlags::IO_DRAIN), refused, "a flag too many");
    assert_eq!(allow(abi::IORING_OP_READ, SqeFlags::ASYNC), refused, "another opcode");
}

#[test]
fn a_ring_is_enabled_once_and_restricted_before() {
    let enabled = engine(SetupFlags::empty());
    assert_eq!(plain(&enabled, abi::IORING_REGISTER_ENABLE_RINGS, 0), Err(Errno::BADFD));
    assert_eq!(plain(&enabled, abi::IORING_REGISTER_ENABLE_RINGS, 1), Err(Errno::INVAL));
    let mut rules = [rule(1, 0)];
    assert_eq!(call(&enabled, abi::IORING_REGISTER_RESTRICTIONS, &mut rules, 1), Err(Errno::BADFD));
    let free = engine(SetupFlags::empty());
    let sqe = Sqe { opcode: abi::IORING_OP_READ, ..Sqe::default() };
    assert_eq!(free.ring().lock().settings.allow(&sqe), Ok(()));
}

#[test]
fn whoever_enables_a_ring_of_one_issuer_is_its_issuer() {
    let engine = engine(SetupFlags::R_DISABLED | SetupFlags::SINGLE_ISSUER);
    assert_eq!(plain(&engine, abi::IORING_REGISTER_PERSONALITY, 0), Ok(1), "it has none yet");
    std::thread::scope(|scope| {
        let enable = scope.spawn(|| plain(&engine, abi::IORING_REGISTER_ENABLE_RINGS, 0));
        assert_eq!(enable.join().unwrap(), Ok(0));
    });
    assert_eq!(plain(&engine, abi::IORING_REGISTER_PERSONALITY, 0), Err(Errno::EXIST));
}

#[test]
fn a_thread_has_sixteen_places_for_rings() {
    let engine = engine(SetupFlags::empty());
    let any = u64::from(u32::MAX);
    let own = u64::from(fd(&engine));
    let register = |place: u64, fd: u64| {
        let mut update = [place, fd];
        call(&engine, abi::IORING_REGISTER_RING_FDS, &mut update, 1).map(|done| (done, update[0]))
    };
    assert_eq!(register(any, own), Ok((1, 0)));
    assert_eq!(register(0, own), Err(Errno::BUSY));
    assert_eq!(register(16, own), Err(Errno::INVAL));
    assert_eq!(register(1 << 32, own), Err(Errno::INVAL), "a reserved field");
    assert_eq!(register(3, 9999), Err(Errno::BADF));
    assert_eq!(register(3, 0), Err(Errno::OPNOTSUPP), "no ring");
    for place in 1..16 {
        assert_eq!(register(any, own), Ok((1, place)));
    }
    assert_eq!(register(any, own), Err(Errno::BUSY));
    let unregister = |place, data| call(&engine, abi::IORING_UNREGISTER_RING_FDS, &mut [place, data], 1);
    assert_eq!(unregister(5_u64, 0_u64), Ok(1));
    assert_eq!(unregister(5, 0), Ok(1), "nothing there, and no harm");
    assert_eq!(unregister(5, 1), Err(Errno::INVAL));
    assert_eq!(unregister(16, 0), Err(Errno::INVAL));
    assert_eq!(register(any, own), Ok((1, 5)));
    for op in [abi::IORING_REGISTER_RING_FDS, abi::IORING_UNREGISTER_RING_FDS] {
        assert_eq!(call(&engine, op, &mut [0_u64; 34], 0), Err(Errno::INVAL));
        assert_eq!(call(&engine, op, &mut [0_u64; 34], 17), Err(Errno::INVAL));
    }
}

#[test]
fn a_place_is_taken_for_a_ring_and_given_back_without_numbers() {
    let engines: Vec<Engine> = (0..17).map(|_| engine(SetupFlags::empty())).collect();
    for engine in &engines[..16] {
        assert_eq!(engine.use_registered_fd(true), Ok(true));
        assert_eq!(engine.use_registered_fd(true), Ok(false));
    }
    assert_eq!(engines[16].use_registered_fd(true), Err(Errno::BUSY));
    assert_eq!(engines[16].use_registered_fd(false), Ok(false));
    assert_eq!(engines[0].use_registered_fd(false), Ok(true));
    assert_eq!(engines[16].use_registered_fd(true), Ok(true));
    drop(engines);
    let later = engine(SetupFlags::empty());
    assert_eq!(later.use_registered_fd(true), Ok(true), "rings that are gone need no places");
}

#[test]
fn a_message_from_no_ring_is_plain_data_for_a_ring_that_is_enabled() {
    let to = engine(SetupFlags::empty());
    let disabled = engine(SetupFlags::R_DISABLED);
    let entry = |fd: u32| {
        let mut words = [0_u32; 16];
        (words[0], words[1], words[2], words[6]) = (abi::IORING_OP_MSG_RING.into(), fd, 0xfeed, 7);
        words
    };
    let send = |mut words: [u32; 16]| blind(abi::IORING_REGISTER_SEND_MSG_RING, &mut words, 1);
    let with = |word: usize, value: u32| {
        let mut words = entry(fd(&to));
        words[word] = value;
        words
    };
    assert_eq!(send(entry(fd(&to))), Ok(0));
    assert_eq!(to.ring().lock().rings.cq.waiting(), 1);
    assert_eq!(send(entry(fd(&disabled))), Err(Errno::BADFD));
    assert_eq!(send(entry(9999)), Err(Errno::BADF));
    assert_eq!(send(entry(0)), Err(Errno::BADFD), "no ring");
    assert_eq!(send(with(0, 0)), Err(Errno::INVAL), "no message");
    assert_eq!(send(with(0, 40 | 4 << 8)), Err(Errno::INVAL), "flags");
    assert_eq!(send(with(4, 1)), Err(Errno::INVAL), "a file, and nowhere to take it from");
    assert_eq!(send(with(7, 1)), Err(Errno::INVAL), "no completion");
    assert_eq!(send(with(7, 4)), Err(Errno::INVAL), "no such flag");
    assert_eq!(send(with(10, 1)), Err(Errno::INVAL), "a buffer");
    assert_eq!(send(with(11, 1)), Err(Errno::INVAL), "flags for the completion without passing them");
    assert_eq!(send(with(12, 1)), Err(Errno::INVAL), "a slot");
    assert_eq!(to.ring().lock().rings.cq.waiting(), 1);
}

#[test]
fn a_synchronous_cancel_without_anything_to_cancel_says_so() {
    let engine = engine(SetupFlags::empty());
    let cancel = |user_data: u64, fd: i32, flags: u32, last: u64| {
        let place = u64::from(fd.cast_unsigned()) | u64::from(flags) << 32;
        call(&engine, abi::IORING_REGISTER_SYNC_CANCEL, &mut [user_data, place, 0, 0, 0, 0, 0, last], 1)
    };
    let (fd, any, fixed) = (2, 4, 8);
    assert_eq!(cancel(1, 0, 0, 0), Err(Errno::NOENT));
    assert_eq!(cancel(0, 0, any, 0), Ok(0), "all of nothing");
    assert_eq!(cancel(0, -1, fd, 0), Err(Errno::BADF));
    assert_eq!(cancel(0, 0, fd | fixed, 0), Err(Errno::BADF));
    assert_eq!(cancel(0, 0, 1 << 10, 0), Err(Errno::INVAL));
    assert_eq!(cancel(0, 0, any, 1), Err(Errno::INVAL), "a reserved field");
    assert_eq!(plain(&engine, abi::IORING_REGISTER_SYNC_CANCEL, 1), Err(Errno::INVAL));
}

#[test]
fn a_ring_that_has_ended_takes_no_message_from_who_found_it_before() {
    let engine = engine(SetupFlags::empty());
    let ring = Arc::clone(engine.ring());
    let letter = || Letter::Completion { user_data: 7, outcome: Outcome::success(1) };
    assert_eq!(ring.deliver(letter()), Ok(0));
    assert_eq!(ring.lock().rings.cq.waiting(), 1);
    drop(engine);
    assert_eq!(ring.deliver(letter()), Err(Errno::BADFD));
    assert_eq!(
        ring.lock().rings.cq.waiting(),
        1,
        "its queues may be in memory that is somebody else's by now"
    );
}
