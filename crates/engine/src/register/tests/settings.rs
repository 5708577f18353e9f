//! Eventfd, clock, region, personalities, workers.
#![allow(clippy::disallowed_methods, reason = "credentials and workers are matters of threads")]
#![allow(clippy::print_stdout, reason = "a skip says why")]

use std::os::fd::AsRawFd;
use std::sync::mpsc::channel;

use annulus_abi::{self as abi, EnterFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::process::{Uid, geteuid};

use super::*;
use crate::core::Wait;
use crate::pool::{Job, Lane};
use crate::world::ClockId;

#[test]
fn a_ring_tells_one_eventfd_and_nothing_else() {
    let engine = engine(SetupFlags::empty());
    let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    let no_event = rustix::pipe::pipe().unwrap();
    let (every, asynchronous) = (abi::IORING_REGISTER_EVENTFD, abi::IORING_REGISTER_EVENTFD_ASYNC);
    let unregister = abi::IORING_UNREGISTER_EVENTFD;
    assert_eq!(plain(&engine, every, 1), Err(Errno::FAULT));
    assert_eq!(call(&engine, every, &mut [-1], 1), Err(Errno::BADF));
    assert_eq!(call(&engine, every, &mut [no_event.0.as_raw_fd()], 1), Err(Errno::INVAL));
    assert_eq!(call(&engine, every, &mut [event.as_raw_fd()], 2), Err(Errno::INVAL));
    assert_eq!(plain(&engine, unregister, 0), Err(Errno::NXIO));
    assert_eq!(call(&engine, asynchronous, &mut [event.as_raw_fd()], 1), Ok(0));
    assert_eq!(call(&engine, every, &mut [event.as_raw_fd()], 1), Err(Errno::BUSY));
    assert_eq!(plain(&engine, unregister, 1), Err(Errno::INVAL));
    assert_eq!(plain(&engine, unregister, 0), Ok(0));
    assert_eq!(call(&engine, every, &mut [event.as_raw_fd()], 1), Ok(0));
}

#[test]
fn waits_go_by_one_of_two_clocks() {
    let engine = engine(SetupFlags::empty());
    let set = |id: u32, reserved| call(&engine, abi::IORING_REGISTER_CLOCK, &mut [id, 0, reserved, 0], 0);
    let clock = || engine.ring().lock().settings.clock;
    assert_eq!(set(0, 0), Err(Errno::INVAL), "the clock that can be set");
    assert_eq!(set(7, 1), Err(Errno::INVAL));
    assert_eq!((set(7, 0), clock()), (Ok(0), ClockId::Boottime));
    assert_eq!((set(1, 0), clock()), (Ok(0), ClockId::Monotonic));
    assert_eq!(call(&engine, abi::IORING_REGISTER_CLOCK, &mut [1, 0, 0, 0], 1), Err(Errno::INVAL));
}

/// Registers a region: address, size, flags, `id`, offset; and the flags of the registration.
fn region(engine: &Engine, desc: [u64; 4], flags: u64) -> (Answer, u64) {
    let mut desc = [desc[0], desc[1], desc[2], desc[3], 0, 0, 0, 0];
    let mut reg = [address(&mut desc), flags, 0, 0];
    (call(engine, abi::IORING_REGISTER_MEM_REGION, &mut reg, 1), desc[3])
}

#[test]
fn a_region_is_checked_field_by_field() {
    let engine = engine(SetupFlags::R_DISABLED);
    let refusals = [
        ([0, 0, 0, 0], 1, Errno::INVAL),
        ([0, 100, 0, 0], 1, Errno::INVAL),
        ([0, 8192, 0, 0], 2, Errno::INVAL),
        ([4096, 8192, 0, 0], 1, Errno::FAULT),
        ([0, 8192, 1, 0], 1, Errno::FAULT),
        ([123, 8192, 1, 0], 1, Errno::INVAL),
        ([0, 8192, 2, 0], 1, Errno::INVAL),
        ([0, 8192, 1 << 32, 0], 1, Errno::INVAL),
        ([0, 8192, 0, 1], 1, Errno::INVAL),
        ([0, 1 << 50, 0, 0], 1, Errno::TOOBIG),
        ([0xdead_0000_0000_0000, 8192, 1, 0], 1, Errno::FAULT),
    ];
    for (desc, flags, errno) in refusals {
        assert_eq!(region(&engine, desc, flags), (Err(errno), desc[3]), "{desc:?}");
    }
    assert_eq!(region(&engine, [0, 8192, 0, 0], 1), (Ok(0), 0x2000_0000));
    assert_eq!(region(&engine, [0, 8192, 0, 0], 1).0, Err(Errno::BUSY));
    let map = |len| crate::register::mappable(engine.ring(), len, 0x2000_0000).map(drop);
    assert_eq!([4096, 8192, 12288].map(map), [Err(Errno::FAULT), Ok(()), Ok(())]);

    let enabled = super::engine(SetupFlags::empty());
    assert_eq!(region(&enabled, [0, 4096, 0, 0], 1).0, Err(Errno::INVAL), "somebody may be waiting");
    assert_eq!(region(&enabled, [0, 4096, 0, 0], 0).0, Ok(0));
    assert_eq!(registered(&enabled, 0, EnterFlags::empty()).unwrap_err(), Errno::FAULT, "not for waits");
}

fn registered(engine: &Engine, offset: u64, flags: EnterFlags) -> Result<Wait, Errno> {
    let wait = Wait { want: 1, ..Wait::default() };
    engine.ring().lock().settings.registered_wait(offset, flags, wait, &*engine.ring().world)
}

#[test]
fn a_wait_is_read_from_the_region_at_its_offset() {
    let engine = engine(SetupFlags::R_DISABLED);
    assert_eq!(registered(&engine, 0, EnterFlags::empty()).unwrap_err(), Errno::FAULT, "no region");
    assert_eq!(region(&engine, [0, 4096, 0, 0], 1).0, Ok(0));
    let file = crate::register::mappable(engine.ring(), 4096, 0x2000_0000).unwrap();
    let mut mask = [0x1234_u64];
    // Seconds, nanoseconds, minimum wait and flags, the mask and its size.
    let wait: [u64; 8] = [5, 6, 7 | 1 << 32, address(&mut mask), 8, 0, 0, 0];
    rustix::io::pwrite(&file, wait.map(u64::to_ne_bytes).as_flattened(), 64).unwrap();
    let absolute = registered(&engine, 64, EnterFlags::ABS_TIMER).unwrap();
    assert_eq!((absolute.want, absolute.sigmask), (1, Some(0x1234)));
    assert_eq!(absolute.deadline, Some((ClockId::Monotonic, 5_000_000_006)));
    let now = engine.ring().world.now(ClockId::Monotonic);
    assert!(absolute.min_wait.is_some_and(|at| at <= now + 7_000), "{absolute:?}");
    let relative = registered(&engine, 64, EnterFlags::empty()).unwrap();
    assert!(relative.deadline.is_some_and(|(_, at)| at > 5_000_000_006), "{relative:?}");
    assert!(registered(&engine, 0, EnterFlags::empty()).unwrap().deadline.is_none(), "another slot");
    assert!(registered(&engine, 4032, EnterFlags::empty()).is_ok(), "the last one");
    for offset in [4, 4040, 4096, u64::MAX - 7] {
        assert_eq!(registered(&engine, offset, EnterFlags::empty()).unwrap_err(), Errno::FAULT, "{offset}");
    }
    let put = |word: usize, value: u64| {
        let at = 64 + 8 * word as u64;
        rustix::io::pwrite(&file, &value.to_ne_bytes(), at).unwrap();
        registered(&engine, 64, EnterFlags::ABS_TIMER)
    };
    assert_eq!(put(0, u64::MAX).unwrap().deadline, Some((ClockId::Monotonic, 0)), "a time before all times");
    assert_eq!(put(4, 7).unwrap_err(), Errno::INVAL, "the size of a mask");
    assert_eq!(put(2, 2 << 32).unwrap_err(), Errno::INVAL, "an unknown flag");
}

#[test]
fn numbers_of_personalities_go_round() {
    let engine = engine(SetupFlags::empty());
    let (register, unregister) = (abi::IORING_REGISTER_PERSONALITY, abi::IORING_UNREGISTER_PERSONALITY);
    assert_eq!([(); 3].map(|()| plain(&engine, register, 0)), [Ok(1), Ok(2), Ok(3)]);
    assert_eq!(plain(&engine, unregister, 2), Ok(0));
    assert_eq!(plain(&engine, register, 0), Ok(4), "not a number that somebody may still mean");
    assert_eq!(plain(&engine, unregister, 2), Err(Errno::INVAL));
    assert_eq!(plain(&engine, unregister, 70_000), Err(Errno::INVAL));
    assert_eq!(call(&engine, unregister, &mut [0], 1), Err(Errno::INVAL));
    assert_eq!(plain(&engine, register, 1), Err(Errno::INVAL));
    let state = engine.ring().lock();
    assert!(state.settings.personality(1).is_ok());
    assert_eq!(state.settings.personality(2).map(drop), Err(Errno::INVAL));
    assert_eq!(state.settings.personality(0).map(drop), Err(Errno::INVAL));
}

#[test]
fn workers_of_a_personality_have_the_credentials_of_whoever_registered_it() {
    if !geteuid().is_root() {
        return println!("SKIP: only root can become somebody else");
    }
    let engine = engine(SetupFlags::empty());
    let nobody = Uid::from_raw(65_534);
    std::thread::scope(|scope| {
        // Credentials belong to the thread when they are changed without libc's help.
        let register = scope.spawn(|| {
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            plain(&engine, abi::IORING_REGISTER_PERSONALITY, 0)
        });
        assert_eq!(register.join().unwrap(), Ok(1));
    });
    let run = |pool: &crate::pool::Pool| {
        let (tell, told) = channel();
        let run = Box::new(move |_: &_| tell.send(geteuid()).unwrap());
        assert!(pool.spawn(Job { lane: Lane::Bounded, owner: 0, hash: None, run }).is_ok());
        told.recv().unwrap()
    };
    let pool = engine.ring().lock().settings.personality(1).unwrap().clone();
    assert_eq!(run(&pool), nobody);
    assert_eq!(run(&engine.ring().pool), Uid::ROOT, "others are not concerned");
}

#[test]
fn limits_of_workers_come_back_and_processors_must_be_usable() {
    let engine = engine(SetupFlags::empty());
    let limits = abi::IORING_REGISTER_IOWQ_MAX_WORKERS;
    let mut now = [2_u32, 3];
    assert_eq!(call(&engine, limits, &mut now, 2), Ok(0));
    assert!(now.iter().all(|limit| *limit > 0), "{now:?}");
    let mut now = [0_u32, 0];
    assert_eq!((call(&engine, limits, &mut now, 2), now), (Ok(0), [2, 3]));
    assert_eq!(call(&engine, limits, &mut [1_u32 << 31, 0], 2), Err(Errno::INVAL));
    assert_eq!(call(&engine, limits, &mut [0_u32, 0], 1), Err(Errno::INVAL));
    assert_eq!(plain(&engine, limits, 2), Err(Errno::INVAL));

    let affinity = abi::IORING_REGISTER_IOWQ_AFF;
    let own = rustix::thread::sched_getaffinity(None).unwrap();
    let mut mask = [0_u8; 128];
    let usable = (0..1024).filter(|cpu| own.is_set(*cpu));
    usable.for_each(|cpu| mask[cpu / 8] |= 1 << (cpu % 8));
    assert_eq!(call(&engine, affinity, &mut mask, 128), Ok(0));
    assert_eq!(plain(&engine, abi::IORING_UNREGISTER_IOWQ_AFF, 0), Ok(0));
    assert_eq!(plain(&engine, abi::IORING_UNREGISTER_IOWQ_AFF, 1), Err(Errno::INVAL));
    assert_eq!(call(&engine, affinity, &mut mask, 0), Err(Errno::INVAL));
    assert_eq!(plain(&engine, affinity, 8), Err(Errno::INVAL));
}
