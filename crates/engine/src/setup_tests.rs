//! The engine's set-up against the kernel's: the same answer to the same parameters.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::os::fd::{FromRawFd, OwnedFd};

use super::*;

/// What the kernel answers. The ring is closed at once.
fn kernel(entries: u32, params: &mut Params) -> Result<(), Errno> {
    let arg: *mut Params = params;
    // SAFETY: takes and fills in one `io_uring_params`.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, arg) };
    if fd < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error().expect("an errno");
        return Err(Errno::from_raw_os_error(errno));
    }
    let fd = RawFd::try_from(fd).expect("a descriptor");
    // SAFETY: it was opened just now, for this function alone.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

fn engine(entries: u32, params: &mut Params) -> Result<(), Errno> {
    // SAFETY: the tests give no memory here that could be in use.
    unsafe { set_up(entries, params) }.map(drop)
}

/// Whether the kernel is the one that the engine presents itself as.
fn oracle() -> bool {
    let mut newest = Params { flags: SetupFlags::CQE_MIXED.bits(), ..Params::default() };
    let mut next = Params { flags: SetupFlags::SQE_MIXED.bits(), ..Params::default() };
    let known = kernel(1, &mut newest).is_ok() && kernel(1, &mut next).is_err();
    if !known {
        println!("SKIP: the kernel is no Linux 6.18, whose answers are expected");
    }
    known
}

/// What both fill in alike.
fn shape(params: &Params) -> [u32; 7] {
    let Params { sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, wq_fd, .. } = *params;
    [sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, wq_fd, params.resv[0]]
}

fn same(entries: u32, asked: Params) -> Result<(), Errno> {
    let (mut by_kernel, mut by_engine) = (asked, asked);
    let expected = kernel(entries, &mut by_kernel);
    let answer = engine(entries, &mut by_engine);
    assert_eq!(answer, expected, "{entries} entries, {asked:?}, {:?}", asked.setup_flags());
    if answer.is_ok() {
        assert_eq!(shape(&by_engine), shape(&by_kernel), "{entries} entries, {asked:?}");
        let more = by_engine.features & !by_kernel.features;
        assert_eq!(more, 0, "features that the kernel lacks");
    } else {
        assert_eq!(by_engine, asked, "what is refused is left as it was");
    }
    answer
}

#[test]
fn every_single_flag_and_every_pair_is_answered_as_by_the_kernel() {
    if !oracle() {
        return;
    }
    // Beyond what is known there is room for two that are not. A thread per ring of SQPOLL makes that one slow.
    let bits: Vec<u32> = (0..21).map(|bit| 1 << bit).collect();
    let given = (SetupFlags::NO_MMAP | SetupFlags::ATTACH_WQ | SetupFlags::SQ_AFF).bits();
    let mut accepted = 0;
    for &one in &bits {
        for &other in &bits {
            let flags = one | other;
            // Those have a test of their own.
            if flags & given == 0 {
                let asked = Params { cq_entries: 8, flags, ..Params::default() };
                accepted += u32::from(same(4, asked).is_ok());
            }
        }
    }
    assert!(accepted > 80, "{accepted}");
}

#[test]
fn sizes_are_rounded_clamped_and_refused_as_by_the_kernel() {
    if !oracle() {
        return;
    }
    let sizes = [0, 1, 2, 3, 4, 5, 33, 1000, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, u32::MAX];
    let none = SetupFlags::empty();
    let modes =
        [none, SetupFlags::CQE32 | SetupFlags::SQE128, SetupFlags::CQE_MIXED | SetupFlags::NO_SQARRAY];
    let sizing = [none, SetupFlags::CLAMP, SetupFlags::CQSIZE, SetupFlags::CQSIZE | SetupFlags::CLAMP];
    let mut accepted = 0;
    for entries in sizes {
        for cq_entries in sizes {
            for sizing in sizing {
                // The number is not read without the flag.
                if !sizing.contains(SetupFlags::CQSIZE) && cq_entries > 1 {
                    continue;
                }
                for mode in modes {
                    let flags = (sizing | mode).bits();
                    accepted +=
                        u32::from(same(entries, Params { cq_entries, flags, ..Params::default() }).is_ok());
                }
            }
        }
    }
    assert!(accepted > 300, "{accepted}");
}

#[test]
fn combinations_of_task_run_flags_are_answered_as_by_the_kernel() {
    if !oracle() {
        return;
    }
    let involved = [
        SetupFlags::IOPOLL,
        SetupFlags::HYBRID_IOPOLL,
        SetupFlags::SUBMIT_ALL,
        SetupFlags::R_DISABLED,
        SetupFlags::COOP_TASKRUN,
        SetupFlags::TASKRUN_FLAG,
        SetupFlags::SINGLE_ISSUER,
        SetupFlags::DEFER_TASKRUN,
    ];
    for set in 0..1_u32 << involved.len() {
        let chosen = involved.iter().enumerate().filter(|(n, _)| set & 1 << n != 0);
        let flags: SetupFlags = chosen.map(|(_, &flag)| flag).collect();
        let _ = same(2, Params { flags: flags.bits(), ..Params::default() });
    }
}

#[test]
fn reserved_fields_must_be_zero_and_inputs_are_left_alone() {
    if !oracle() {
        return;
    }
    for n in 0..3 {
        let mut asked = Params::default();
        asked.resv[n] = 1;
        assert_eq!(same(4, asked), Err(Errno::INVAL));
    }
    let asked =
        Params { sq_thread_cpu: 9, sq_thread_idle: 8, wq_fd: 77, features: u32::MAX, ..Params::default() };
    assert_eq!(same(4, asked), Ok(()));
}

#[test]
fn a_polling_thread_is_bound_to_a_cpu_that_there_is() {
    if !oracle() {
        return;
    }
    let online = (0..64).find(|&cpu| check_cpu(cpu).is_ok()).expect("a CPU");
    let sqpoll = SetupFlags::SQPOLL | SetupFlags::SQ_AFF;
    let before = rustix::thread::sched_getaffinity(None).expect("the affinity");
    for (cpu, flags, answer) in [
        (online, sqpoll, Ok(())),
        (1000, sqpoll, Err(Errno::INVAL)),
        (u32::MAX, sqpoll, Err(Errno::INVAL)),
        (1 << 31, sqpoll, Err(Errno::INVAL)),
        (online, SetupFlags::SQ_AFF, Err(Errno::INVAL)),
        (1000, SetupFlags::SQPOLL, Ok(())),
    ] {
        let asked = Params { sq_thread_cpu: cpu, flags: flags.bits(), ..Params::default() };
        assert_eq!(same(4, asked), answer, "{cpu} {flags:?}");
    }
    assert_eq!(
        rustix::thread::sched_getaffinity(None),
        Ok(before),
        "the caller may run where it could before"
    );
}

#[test]
fn a_descriptor_to_attach_to_must_be_open() {
    if !oracle() {
        return;
    }
    for flags in [SetupFlags::ATTACH_WQ, SetupFlags::ATTACH_WQ | SetupFlags::SQPOLL] {
        for wq_fd in [u32::MAX, 1 << 20] {
            let asked = Params { wq_fd, flags: flags.bits(), ..Params::default() };
            assert_eq!(same(4, asked), Err(Errno::NXIO));
        }
    }
}
