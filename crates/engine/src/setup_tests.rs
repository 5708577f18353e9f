//! The engine's set-up against the kernel's: the same answer to the same parameters.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

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
    if params.setup_flags().contains(SetupFlags::REGISTERED_FD_ONLY) {
        // No descriptor but an index of this thread's, which goes with it.
        return Ok(());
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

/// Pages that a test may give to a ring, unmapped in the end.
struct Pages {
    start: *mut std::ffi::c_void,
    len: usize,
}

impl Pages {
    fn new(len: usize, protection: ProtFlags) -> Self {
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), len, protection, MapFlags::PRIVATE) };
        Self { start: start.expect("some pages"), len }
    }

    fn address(&self) -> u64 {
        self.start.expose_provenance() as u64
    }

    fn fill(&self, byte: u8) {
        // SAFETY: all bytes of this writable mapping, to which there is no reference.
        unsafe { self.start.cast::<u8>().write_bytes(byte, self.len) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; the rings in it are gone.
        unsafe { munmap(self.start, self.len) }.expect("unmapped");
    }
}

fn given(rings: u64, sqes: u64, more: SetupFlags) -> Params {
    let mut params = Params { flags: (SetupFlags::NO_MMAP | more).bits(), ..Params::default() };
    (params.cq_off.user_addr, params.sq_off.user_addr) = (rings, sqes);
    params
}

#[test]
fn memory_for_the_rings_is_refused_as_by_the_kernel() {
    if !oracle() {
        return;
    }
    let writable = ProtFlags::READ | ProtFlags::WRITE;
    let (rings, sqes) = (Pages::new(8192, writable), Pages::new(8192, writable));
    let read_only = Pages::new(8192, ProtFlags::READ);
    let gone = {
        let pages = Pages::new(1 << 20, writable);
        pages.address()
    };
    let (rings, sqes, read_only) = (rings.address(), sqes.address(), read_only.address());
    let none = SetupFlags::empty();
    for (asked, answer) in [
        (given(rings, sqes, none), Ok(())),
        (given(rings, sqes, SetupFlags::NO_SQARRAY), Ok(())),
        (given(rings, sqes, SetupFlags::REGISTERED_FD_ONLY), Ok(())),
        (given(0, sqes, none), Err(Errno::FAULT)),
        (given(rings, 0, none), Err(Errno::FAULT)),
        (given(rings + 64, sqes, none), Err(Errno::INVAL)),
        (given(rings, sqes + 8, none), Err(Errno::INVAL)),
        (given(read_only, sqes, none), Err(Errno::FAULT)),
        (given(rings, read_only, none), Err(Errno::FAULT)),
        (given(gone, sqes, none), Err(Errno::FAULT)),
        (given(u64::MAX << 12, sqes, none), Err(Errno::OVERFLOW)),
        (given(1 << 63, sqes, none), Err(Errno::FAULT)),
    ] {
        assert_eq!(same(4, asked), answer, "{asked:?}");
    }
}

#[test]
fn memory_that_is_given_has_the_kernels_layout_and_begins_empty() {
    if !oracle() {
        return;
    }
    let writable = ProtFlags::READ | ProtFlags::WRITE;
    let (rings, sqes) = (Pages::new(65_536, writable), Pages::new(65_536, writable));
    for more in [SetupFlags::empty(), SetupFlags::SQE128 | SetupFlags::CQE32, SetupFlags::CQE_MIXED] {
        let mut by_kernel = given(rings.address(), sqes.address(), more);
        let mut by_engine = by_kernel;
        kernel(33, &mut by_kernel).expect("a ring");
        rings.fill(0xff);
        // SAFETY: the pages are nobody else's, and outlive the ring.
        let ring = unsafe { set_up(33, &mut by_engine) }.expect("a ring");
        assert_eq!((by_engine.sq_off, by_engine.cq_off), (by_kernel.sq_off, by_kernel.cq_off));
        assert_eq!((ring.memory.sq_len(), ring.memory.cq_len(), ring.memory.sq_dropped()), (0, 0, 0));
        assert!(ring.memory.sq_flags().is_empty() && !ring.cq.eventfd_disabled());
    }
}
