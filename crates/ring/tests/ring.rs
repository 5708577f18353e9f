//! The ring itself on the kernel: set-up, queues, when a call is made and when not.
#![allow(unsafe_code, reason = "pushing is unsafe; these tests push NOPs and buffers of their own")]
#![allow(clippy::disallowed_methods, reason = "some of what is tested happens in another thread")]

mod again;

use std::cell::Cell;
use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use annulus::abi::SetupFlags;
use annulus::kernel::SystemCalls;
use annulus::squeue::Flags;
use annulus::types::{SubmitArgs, Timespec};
use annulus::{IoUring, SetupError, cqueue, opcode, squeue};
use rustix::io::Errno;

thread_local! {
    static ENTERS: Cell<u32> = const { Cell::new(0) };
    static LAST_FLAGS: Cell<u32> = const { Cell::new(0) };
}

unsafe fn counted(
    fd: RawFd,
    submit: u32,
    want: u32,
    flags: u32,
    arg: *const c_void,
    size: usize,
) -> Result<u32, Errno> {
    ENTERS.set(ENTERS.get() + 1);
    LAST_FLAGS.set(flags);
    // SAFETY: passed on as it came.
    unsafe { (SystemCalls::LINUX.enter)(fd, submit, want, flags, arg, size) }
}

/// A builder for a ring of the usual entries.
fn builder() -> annulus::Builder {
    IoUring::builder()
}

/// A builder whose rings count the enters of this thread.
fn counting() -> annulus::Builder {
    ENTERS.set(0);
    let mut builder = builder();
    // SAFETY: the table calls the kernel.
    unsafe { builder.system_calls(SystemCalls { enter: counted, ..SystemCalls::LINUX }) };
    builder
}

fn nop(user_data: u64) -> squeue::Entry {
    opcode::Nop::new().build().user_data(user_data)
}

fn push<C: cqueue::EntryMarker>(ring: &mut IoUring<squeue::Entry, C>, entry: &squeue::Entry) {
    // SAFETY: the tests of this file push NOPs, which name no memory.
    unsafe { ring.submission().push(entry) }.expect("room in the queue");
}

#[test]
fn a_submit_without_work_makes_no_call() {
    let ring = counting().build(8).unwrap();
    assert_eq!(ring.submit().unwrap(), 0);
    assert_eq!(ring.submit_and_wait(0).unwrap(), 0);
    assert_eq!(ENTERS.get(), 0);
}

#[test]
fn waiting_for_completions_that_are_there_makes_no_call() {
    let mut ring = counting().build(8).unwrap();
    push(&mut ring, &nop(1));
    push(&mut ring, &nop(2));
    assert_eq!(ring.submit_and_wait(2).unwrap(), 2);
    assert_eq!(ENTERS.get(), 1);
    assert_eq!(ring.submit_and_wait(2).unwrap(), 0);
    ring.submitter().wait(2).unwrap();
    assert_eq!(ring.peek().unwrap().unwrap().user_data(), 1);
    assert_eq!(ring.wait().unwrap().user_data(), 2);
    assert_eq!(ENTERS.get(), 1);
}

#[test]
fn an_empty_queue_is_peeked_without_a_call() {
    let mut ring = counting().build(8).unwrap();
    assert!(ring.peek().unwrap().is_none());
    assert_eq!(ENTERS.get(), 0);
}

#[test]
fn entries_pushed_through_a_handle_that_lives_are_not_submitted() {
    let mut ring = IoUring::new(8).unwrap();
    let (submitter, mut submission, mut completion) = ring.split();
    // SAFETY: a NOP names no memory.
    unsafe { submission.push(&nop(3)) }.unwrap();
    assert_eq!(submitter.submit().unwrap(), 0);
    submission.sync();
    assert_eq!(submitter.submit_and_wait(1).unwrap(), 1);
    assert!(completion.next().is_none(), "as of the last sync");
    completion.sync();
    assert_eq!(completion.next().unwrap().user_data(), 3);
}

#[test]
fn a_full_queue_refuses_and_takes_again_after_a_submit() {
    let mut ring = IoUring::new(4).unwrap();
    for n in 0..4 {
        push(&mut ring, &nop(n));
    }
    // SAFETY: a NOP names no memory.
    let refused = unsafe { ring.submission().push(&nop(4)) };
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the submission queue is full: submit, sync the queue, and push again"
    );
    assert_eq!(ring.submit_and_wait(4).unwrap(), 4);
    push(&mut ring, &nop(4));
    assert_eq!(ring.submit_and_wait(5).unwrap(), 1);
    let seen: Vec<u64> = ring.completion().map(|cqe| cqe.user_data()).collect();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[test]
fn an_entry_can_be_taken_back_before_it_is_published() {
    let mut ring = IoUring::new(4).unwrap();
    let mut submission = ring.submission();
    // SAFETY: a NOP names no memory.
    unsafe { submission.push(&nop(1)) }.unwrap();
    assert_eq!(submission.pop().map(|entry| entry.get_user_data()), Some(1));
    drop(submission);
    assert_eq!(ring.submit().unwrap(), 0);
}

#[test]
fn a_wait_ends_with_its_time() {
    let mut ring = IoUring::new(4).unwrap();
    let ts = Timespec::from(Duration::from_millis(5));
    let args = SubmitArgs::new().timespec(&ts);
    let error = ring.submitter().submit_with_args(1, &args).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ETIME));
    assert!(ring.wait_with_args(&args).unwrap().is_none());
}

#[test]
fn a_wait_with_a_signal_mask_of_libc_is_understood() {
    let ring = IoUring::new(4).unwrap();
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is written by the call.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised just now.
    let set = unsafe { set.assume_init() };
    let ts = Timespec::from(Duration::from_millis(2));
    let args = SubmitArgs::new().sigmask(&set).timespec(&ts);
    let error = ring.submitter().submit_with_args(1, &args).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ETIME), "io-uring 0.7 gets EINVAL here");
}

#[test]
fn a_wait_until_a_point_in_time_that_is_past_ends_at_once() {
    let ring = IoUring::new(4).unwrap();
    let ts = Timespec::new().sec(1);
    let error = ring.submitter().wait_until(1, &SubmitArgs::new().timespec(&ts)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ETIME));
}

#[test]
fn waits_can_be_kept_out_of_iowait() {
    let mut ring = counting().build(4).unwrap();
    ring.submitter().set_iowait(false).unwrap();
    push(&mut ring, &nop(1));
    ring.submit_and_wait(1).unwrap();
    assert_eq!(
        LAST_FLAGS.get() & annulus::EnterFlags::NO_IOWAIT.bits(),
        annulus::EnterFlags::NO_IOWAIT.bits()
    );
    ring.submitter().set_iowait(true).unwrap();
    push(&mut ring, &nop(2));
    ring.submit().unwrap();
    assert_eq!(LAST_FLAGS.get() & annulus::EnterFlags::NO_IOWAIT.bits(), 0);
}

#[test]
fn completions_that_did_not_fit_come_with_the_next_look() {
    let mut ring = builder().setup_cqsize(4).build(4).unwrap();
    for round in 0..2 {
        for n in 0..4 {
            push(&mut ring, &nop(4 * round + n));
        }
        assert_eq!(ring.submit().unwrap(), 4);
    }
    assert!(ring.submission().cq_overflow());
    let mut seen = Vec::new();
    while let Some(cqe) = ring.peek().unwrap() {
        seen.push(cqe.user_data());
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(!ring.submission().cq_overflow());
}

#[test]
fn a_ring_of_one_issuer_calls_through_a_registered_index() {
    let mut ring = counting().setup_single_issuer().build(4).unwrap();
    push(&mut ring, &nop(1));
    ring.submit_and_wait(1).unwrap();
    let registered = annulus::EnterFlags::REGISTERED_RING.bits();
    assert_eq!(LAST_FLAGS.get() & registered, registered);

    let mut ring = counting().setup_single_issuer().registered_ring_fd(false).build(4).unwrap();
    push(&mut ring, &nop(1));
    ring.submit_and_wait(1).unwrap();
    assert_eq!(LAST_FLAGS.get() & registered, 0);
}

#[test]
fn a_registered_ring_is_called_by_descriptor_from_another_thread() {
    let mut ring = builder().registered_ring_fd(true).build(4).unwrap();
    push(&mut ring, &nop(1));
    std::thread::scope(|scope| {
        let submitted = scope.spawn(|| ring.submit_and_wait(1).unwrap());
        assert_eq!(submitted.join().unwrap(), 1);
    });
    assert_eq!(ring.completion().next().unwrap().user_data(), 1);
}

#[test]
fn places_for_registered_rings_come_back_wherever_a_ring_is_dropped() {
    // A thread has 16 places: without their return the later builds would fail with EBUSY.
    for n in 0..40 {
        let ring: IoUring = builder().registered_ring_fd(true).build(1).unwrap();
        if n % 2 == 0 {
            std::thread::spawn(move || drop(ring)).join().unwrap();
        }
    }
}

#[test]
fn a_ring_without_descriptor_works_in_its_thread_alone() {
    let mut ring = builder().setup_no_mmap().setup_registered_fd_only().build(4).unwrap();
    assert_eq!(ring.as_raw_fd(), -1);
    push(&mut ring, &nop(1));
    assert_eq!(ring.submit_and_wait(1).unwrap(), 1);
    push(&mut ring, &nop(2));
    std::thread::scope(|scope| {
        let elsewhere = scope.spawn(|| ring.submit().unwrap_err().raw_os_error());
        assert_eq!(elsewhere.join().unwrap(), Some(libc::EBADF));
    });
}

#[test]
fn a_ring_lives_in_memory_of_the_caller() {
    let mut builder = builder();
    let size = builder.memory_size(8);
    let flags = rustix::mm::MapFlags::SHARED;
    let protection = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
    // SAFETY: a new mapping replaces nothing.
    let memory =
        unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), size, protection, flags) }.unwrap();
    let memory =
        std::ptr::NonNull::slice_from_raw_parts(std::ptr::NonNull::new(memory.cast()).unwrap(), size);
    // SAFETY: the mapping serves nothing else and is never unmapped.
    let mut ring = unsafe { builder.setup_no_mmap_in(memory) }.build(8).unwrap();
    push(&mut ring, &nop(77));
    ring.submit_and_wait(1).unwrap();
    assert_eq!(ring.completion().next().unwrap().user_data(), 77);
    let word = 77_u64.to_ne_bytes();
    // SAFETY: the mapping is readable over its length.
    let bytes = unsafe { std::slice::from_raw_parts(memory.cast::<u8>().as_ptr(), size) };
    assert!(bytes.windows(8).any(|window| window == word), "the entries lie in the caller's memory");
}

#[test]
fn memory_that_is_too_small_is_refused() {
    let mut page = [0_u64; 8];
    let memory = std::ptr::NonNull::slice_from_raw_parts(std::ptr::NonNull::from(&mut page).cast(), 64);
    let mut builder = builder();
    // SAFETY: the build below fails before it uses the memory.
    let error = unsafe { builder.setup_no_mmap_in(memory) }.build(8).map(drop).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
}

#[test]
fn optional_flags_are_left_out_where_they_are_refused() {
    let future = SetupFlags::SQ_REWIND | SetupFlags::SQE_MIXED;
    let wanted = SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN | future;
    let mut ring: IoUring = builder().optional(wanted).build(4).unwrap();
    let in_force = ring.params().setup_flags();
    assert!(in_force.contains(SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN), "{in_force:?}");
    push(&mut ring, &nop(1));
    ring.submit_and_wait(1).unwrap();
}

#[test]
fn a_refused_flag_is_named() {
    let future = SetupFlags::from_bits_retain(1 << 29);
    let error = builder().flags(future).try_build(4).map(drop::<IoUring>).unwrap_err();
    assert_eq!(error, SetupError::FlagsUnknown { flags: future });
    assert_eq!(
        builder().flags(future).build(4).map(drop::<IoUring>).unwrap_err().raw_os_error(),
        Some(libc::EINVAL)
    );
}

#[test]
fn a_ring_is_taken_over_by_its_descriptor() {
    let ring = builder().setup_no_sqarray().build(4).unwrap();
    let params = ring.params().clone();
    let fd = ring.as_fd().try_clone_to_owned().unwrap();
    drop(ring);
    // SAFETY: the only descriptor of the ring that is left, with its parameters.
    let mut ring = unsafe { IoUring::from_fd(std::os::fd::IntoRawFd::into_raw_fd(fd), params) }.unwrap();
    push(&mut ring, &nop(5));
    ring.submit_and_wait(1).unwrap();
    assert_eq!(ring.completion().next().unwrap().user_data(), 5);
}

#[test]
fn queues_can_be_resized_with_completions_waiting() {
    let mut ring = builder().setup_single_issuer().setup_defer_taskrun().build(4).unwrap();
    push(&mut ring, &nop(1));
    ring.submit_and_wait(1).unwrap();
    ring.resize(64, Some(256)).unwrap();
    assert_eq!(ring.submission().capacity(), 64);
    assert_eq!(ring.completion().capacity(), 256);
    for n in 2..=60 {
        push(&mut ring, &nop(n));
    }
    assert_eq!(ring.submit_and_wait(60).unwrap(), 59);
    let seen: Vec<u64> = ring.completion().map(|cqe| cqe.user_data()).collect();
    assert_eq!(seen, (1..=60).collect::<Vec<_>>());
}

#[test]
fn wide_and_mixed_completions_carry_their_second_half() {
    const INJECT_CQE32: u32 = 1 << 5;
    let mut wide: IoUring<squeue::Entry128, cqueue::Entry32> = IoUring::builder().build(4).unwrap();
    // SAFETY: a NOP names no memory.
    unsafe { wide.submission().push(&squeue::Entry128::from(nop(8))) }.unwrap();
    wide.submit_and_wait(1).unwrap();
    let cqe = wide.completion().next().unwrap();
    assert_eq!((cqe.user_data(), *cqe.big_cqe()), (8, [0, 0]));

    let mut mixed: IoUring<squeue::Entry, cqueue::EntryMixed> =
        IoUring::builder().setup_cqsize(8).build(4).unwrap();
    // Odd counts of narrow entries, so that wide ones meet the end of the ring and a filler is needed.
    let mut seen = Vec::new();
    for round in 0..6 {
        push(&mut mixed, &nop(2 * round));
        let mut large = nop(2 * round + 1);
        large.set_op_flags(INJECT_CQE32);
        large.set_off(11);
        large.set_addr(22);
        push(&mut mixed, &large);
        mixed.submit_and_wait(2).unwrap();
        seen.extend(mixed.completion().map(|cqe| (cqe.user_data(), cqe.big_cqe().copied())));
    }
    let expected: Vec<_> = (0..6).flat_map(|n| [(2 * n, None), (2 * n + 1, Some([11, 22]))]).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_polling_thread_submits_sleeps_and_is_woken() {
    let mut ring = counting().setup_sqpoll(20).build(8).unwrap();
    for n in 0..50 {
        push(&mut ring, &nop(n).flags(Flags::ASYNC));
        ring.submit().unwrap();
        ring.submitter().wait(1).unwrap();
        assert_eq!(ring.completion().next().unwrap().user_data(), n);
        if n % 10 == 0 {
            // Longer than the thread stays awake, so that the next submit has to wake it.
            while !ring.submission().need_wakeup() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

unsafe fn refused(_entries: u32, _params: *mut annulus::abi::Params) -> Result<RawFd, Errno> {
    Err(Errno::INVAL)
}

#[test]
fn a_filter_that_answers_invalid_is_not_blamed_on_the_flags() {
    let mut builder = builder();
    // SAFETY: the table behaves as the system calls do behind such a filter.
    unsafe { builder.system_calls(SystemCalls { setup: refused, ..SystemCalls::LINUX }) };
    let error = builder.setup_clamp().try_build(8).unwrap_err();
    let expected = if annulus::environment::seccomp_filter() {
        SetupError::ForbiddenBySeccomp { errno: Errno::INVAL }
    } else {
        SetupError::Other { errno: Errno::INVAL }
    };
    assert_eq!(error, expected);
}

/// A kernel of the future: takes `SQ_REWIND`, and says that it is in force.
unsafe fn rewinding(entries: u32, params: *mut annulus::abi::Params) -> Result<RawFd, Errno> {
    // SAFETY: the parameters of `setup` are readable and writable.
    let params = unsafe { &mut *params };
    let rewind = params.flags & SetupFlags::SQ_REWIND.bits();
    params.flags &= !rewind;
    // SAFETY: passed on.
    let fd = unsafe { (SystemCalls::LINUX.setup)(entries, params) };
    params.flags |= rewind;
    fd
}

#[test]
fn a_queue_that_the_kernel_reads_from_the_start_each_time_is_refused() {
    // Its old entries would be executed again, with memory that was freed long ago.
    let table = SystemCalls { setup: rewinding, ..SystemCalls::LINUX };
    let mut wanted = builder();
    // SAFETY: the table behaves as the system calls do, but for a flag that does not come to them.
    unsafe { wanted.system_calls(table) };
    let error = wanted.flags(SetupFlags::SQ_REWIND).try_build(8).unwrap_err();
    assert_eq!(error, SetupError::FlagsUnusable { flags: SetupFlags::SQ_REWIND });
    let mut optional = builder();
    // SAFETY: as above.
    unsafe { optional.system_calls(table) };
    let ring = optional.optional(SetupFlags::SQ_REWIND).build(8).unwrap();
    assert!(!ring.params().setup_flags().contains(SetupFlags::SQ_REWIND));
}

#[test]
fn a_number_of_entries_that_there_cannot_be_takes_no_memory() {
    let mut builder = builder();
    builder.setup_no_mmap();
    assert_eq!(builder.memory_size(u32::MAX), builder.memory_size(32_768));
    let error = builder.try_build(u32::MAX).unwrap_err();
    assert_eq!(error, SetupError::Entries { asked: u32::MAX, most: 32_768, queue: "submission" });
    let error = builder.setup_cqsize(u32::MAX).try_build(8).unwrap_err();
    assert_eq!(error, SetupError::Entries { asked: u32::MAX, most: 65_536, queue: "completion" });
}

#[test]
fn a_polling_thread_stays_on_the_cpu_that_it_was_given() {
    let allowed_here = rustix::thread::sched_getaffinity(None).unwrap();
    let cpu = (0..rustix::thread::CpuSet::MAX_CPU).rfind(|cpu| allowed_here.is_set(*cpu)).unwrap();
    let cpu_number = u32::try_from(cpu).unwrap();
    let mut ring = builder().setup_sqpoll(1000).setup_sqpoll_cpu(cpu_number).build(4).unwrap();
    assert_eq!(ring.params().sq_thread_idle(), 1000);
    // The thread goes to its CPU when it begins to run: once it has taken an entry, it is there.
    push(&mut ring, &nop(1));
    ring.submit_and_wait(1).unwrap();
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", ring.as_raw_fd())).unwrap();
    let thread = about.lines().find_map(|line| line.strip_prefix("SqThread:")).unwrap().trim();
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    assert_eq!(allowed.trim(), cpu.to_string());
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    // The kernel maps the queues by descriptor, shows its polling thread there, and knows a ring without one in one thread.
    again::on_the_engine(
        "all_of_this_holds_on_the_engine_too",
        &[
            "a_ring_is_taken_over_by_its_descriptor",
            "a_polling_thread_stays_on_the_cpu_that_it_was_given",
            "a_ring_without_descriptor_works_in_its_thread_alone",
        ],
    );
}
