//! What waits in a ring moves to its new sizes, or stays where it is; and the kernel's answers to sizes.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use proptest::prelude::*;

use super::super::tests::{EXTRA, MIXED, NARROW, WIDE, a_mode, a_start, cqe, push, reap, rings, take, words};
use super::*;

fn sized(sq_entries: u32, cq_entries: u32) -> Params {
    Params { sq_entries, cq_entries, flags: SetupFlags::CQSIZE.bits(), ..Params::default() }
}

fn resize(rings: &mut Rings, params: &mut Params) -> Result<(), Errno> {
    // SAFETY: the tests use no other end meanwhile, and give no memory.
    unsafe { rings.resize(params) }
}

/// The completions of a queue without what fills it up, whole.
fn completions(memory: &RingMemory) -> Vec<Vec<u64>> {
    let mut places = reap(memory, usize::MAX).into_iter();
    let mut found = Vec::new();
    while let Some(mut place) = places.next() {
        let [_, _, _, _, a, b, c, d] = place[1].to_ne_bytes();
        let flags = CqeFlags::from_bits_retain(u32::from_ne_bytes([a, b, c, d]));
        if flags.contains(CqeFlags::SKIP) {
            continue;
        }
        if place.len() == 2 && flags.contains(CqeFlags::F_32) {
            place.extend(places.next().expect("the second half"));
        }
        found.push(place);
    }
    found
}

proptest! {
    #[test]
    fn what_waits_comes_along_whole_and_in_order(
        mode in a_mode(),
        start in a_start(),
        queued in 0..8_usize,
        posted in prop::collection::vec(any::<bool>(), 0..9),
        reaped in 0..4_usize,
        logs in (0..6_u32, 0..7_u32),
    ) {
        let mut rings = rings(8, 16, mode, start);
        let numbers: Vec<u64> = (100..).take(queued).collect();
        prop_assert_eq!(push(&rings, &numbers), queued);
        let mut expected = Vec::new();
        let mixed = mode.contains(SetupFlags::CQE_MIXED);
        for (n, wide) in (0..).zip(posted) {
            // Elsewhere the flag means nothing.
            let wide = wide && mixed;
            if rings.cq.push(&cqe(n, wide), EXTRA) {
                let whole = wide || mode.contains(SetupFlags::CQE32);
                expected.push([&words(&cqe(n, wide)), &EXTRA[..if whole { 2 } else { 0 }]].concat());
            }
        }
        rings.cq.publish();
        if !mixed {
            let reaped = reap(&rings.memory, reaped).len();
            expected.drain(..reaped);
        }
        rings.sq.set_flags(annulus_abi::SqRingFlags::TASKRUN);
        let (sq_entries, cq_entries) = (1 << logs.0, 1 << logs.0.max(logs.1));
        let before = rings.params;
        let result = resize(&mut rings, &mut sized(sq_entries, cq_entries));
        if result.is_err() {
            prop_assert_eq!(result, Err(Errno::OVERFLOW));
            prop_assert_eq!(rings.params, before);
            let places = 2 * expected.len() + 1;
            // On a mixed ring a wide completion must find room.
            let too_small = mixed && cq_entries < 2;
            let too_many = queued > sq_entries as usize || places > cq_entries as usize;
            prop_assert!(too_small || too_many, "it would have fitted");
        } else {
            prop_assert_eq!((rings.params.sq_entries, rings.params.cq_entries), (sq_entries, cq_entries));
            prop_assert_eq!((rings.memory.sq_entries(), rings.memory.cq_entries()), (sq_entries, cq_entries));
        }
        prop_assert_eq!(rings.memory.sq_flags(), annulus_abi::SqRingFlags::TASKRUN);
        let taken: Vec<u64> = std::iter::from_fn(|| take(&mut rings.sq)).collect();
        prop_assert_eq!(taken, numbers);
        prop_assert_eq!(completions(&rings.memory), expected);
        rings.sq.publish();
        prop_assert_eq!(rings.cq.waiting(), 0);
        prop_assert_eq!(push(&rings, &[1]), 1, "and it goes on");
        prop_assert_eq!(take(&mut rings.sq), Some(1));
    }
}

#[test]
fn queues_that_do_not_fit_are_left_alone() {
    let mut rings = rings(8, 16, NARROW, Start::default());
    assert_eq!(push(&rings, &[1, 2, 3]), 3);
    assert_eq!(resize(&mut rings, &mut sized(2, 16)), Err(Errno::OVERFLOW));
    assert!((0..9).all(|n| rings.cq.push(&cqe(n, false), EXTRA)));
    assert_eq!(resize(&mut rings, &mut sized(4, 8)), Err(Errno::OVERFLOW));
    assert_eq!((rings.memory.sq_len(), rings.memory.cq_len(), rings.memory.cq_entries()), (3, 9, 16));
    assert_eq!(resize(&mut rings, &mut sized(4, 16)), Ok(()));
    assert_eq!((rings.memory.sq_len(), rings.memory.cq_len(), rings.memory.sq_entries()), (3, 9, 4));
}

#[test]
fn wide_completions_are_laid_anew_where_they_would_wrap() {
    let mut rings = rings(1, 8, MIXED, Start { sq: 0, cq: 3 });
    assert!(rings.cq.push(&cqe(1, true), EXTRA));
    rings.cq.publish();
    assert_eq!(resize(&mut rings, &mut sized(1, 4)), Ok(()));
    let places = reap(&rings.memory, 9);
    let filler = words(&Cqe { flags: CqeFlags::SKIP.bits(), ..Cqe::default() });
    assert_eq!(places, [filler, words(&cqe(1, true)), EXTRA]);
}

#[test]
fn what_a_ring_is_stays_and_what_was_asked_is_answered() {
    let mut rings = rings(8, 16, WIDE, Start::default());
    let flags = rings.params.flags;
    let mut asked = Params { sq_entries: 5, ..Params::default() };
    assert_eq!(resize(&mut rings, &mut asked), Ok(()));
    assert_eq!((asked.sq_entries, asked.cq_entries, asked.setup_flags()), (8, 16, WIDE));
    let mut asked = sized(9, 100);
    assert_eq!(resize(&mut rings, &mut asked), Ok(()));
    assert_eq!((asked.sq_entries, asked.cq_entries), (16, 128));
    assert_eq!((asked.sq_off, asked.cq_off), (rings.params.sq_off, rings.params.cq_off));
    assert_eq!((rings.params.flags, rings.memory.sqe_size()), (flags, 128));
}

/// A ring of the kernel's that may be resized, by this thread.
fn kernel_ring(mode: SetupFlags) -> Option<OwnedFd> {
    let flags = mode | SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN;
    let mut params = Params { flags: flags.bits(), ..Params::default() };
    // SAFETY: takes and fills in one `io_uring_params`.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 8, &raw mut params) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: it was opened just now and nobody else has it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn kernel_resize(ring: &OwnedFd, params: &mut Params) -> Result<(), Errno> {
    let op = annulus_abi::IORING_REGISTER_RESIZE_RINGS;
    // SAFETY: takes and fills in one `io_uring_params`; nothing of the ring is mapped.
    let result = unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), op, std::ptr::from_mut(params), 1)
    };
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().expect("an errno")))
}

#[test]
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn sizes_are_answered_as_by_the_kernel() {
    let known = kernel_ring(MIXED).is_some_and(|ring| kernel_resize(&ring, &mut sized(8, 16)).is_ok());
    if !known {
        return println!("SKIP: the kernel is older than the 6.18 whose answers are expected");
    }
    let sizes = [0, 1, 2, 7, 8, 16, 33, 32_768, 32_769, 65_536, 65_537];
    let flags = [
        SetupFlags::empty(),
        SetupFlags::CQSIZE,
        SetupFlags::CLAMP,
        SetupFlags::CQSIZE | SetupFlags::CLAMP,
        SetupFlags::SQPOLL,
        SetupFlags::CQE32,
    ];
    for mode in [NARROW, WIDE, MIXED] {
        let ring = kernel_ring(mode).expect("a ring");
        let mut rings = rings(8, 16, mode, Start::default());
        for sq_entries in sizes {
            for cq_entries in sizes {
                for flags in flags {
                    let asked = Params { flags: flags.bits(), ..sized(sq_entries, cq_entries) };
                    let (mut by_kernel, mut by_engine) = (asked, asked);
                    let expected = kernel_resize(&ring, &mut by_kernel);
                    assert_eq!(resize(&mut rings, &mut by_engine), expected, "{asked:?} {mode:?}");
                    let shape = |params: &Params| (params.sq_entries, params.cq_entries, params.flags);
                    assert_eq!(shape(&by_engine), shape(&by_kernel), "{asked:?} {mode:?}");
                }
            }
        }
    }
}

#[test]
fn only_a_ring_whose_completions_are_deferred_is_resized() {
    let mut rings = rings(8, 16, NARROW, Start::default());
    rings.params.flags &= !SetupFlags::DEFER_TASKRUN.bits();
    assert_eq!(resize(&mut rings, &mut sized(4, 4)), Err(Errno::INVAL));
}
