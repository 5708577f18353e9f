//! Who executes a ring: the program's choice, the environment's, and what filters as container runtimes have them leave.
#![allow(unsafe_code, reason = "entries without memory are pushed by the unsafe push")]
#![allow(clippy::disallowed_methods, reason = "filters are those of a thread")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::ptr::NonNull;
use std::thread;

use annulus::abi::{QueryOpcode, SetupFlags};
use annulus::kernel::SystemCalls;
use annulus::register::Task;
use annulus::{BackendChoice, BackendKind, Builder, IoUring, SetupError, cqueue, opcode, squeue, types};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

const IO_URING: [i64; 3] = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Runs `test` in a thread where these calls have this effect.
fn filtered<T: Send>(calls: &[i64], effect: SeccompAction, test: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
            let arch = std::env::consts::ARCH.try_into().unwrap();
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, effect, arch).unwrap();
            let program: BpfProgram = filter.try_into().unwrap();
            seccompiler::apply_filter(&program).unwrap();
            test()
        });
        thread.join().unwrap()
    })
}

fn answering<T: Send>(errno: Errno, test: impl FnOnce() -> T + Send) -> T {
    filtered(&IO_URING, SeccompAction::Errno(errno.raw_os_error().cast_unsigned()), test)
}

const CHILD: &str = "ANNULUS_TEST_CHILD";

/// Runs the test of this name in a process of its own, with this choice in its environment.
fn child(name: &str, choice: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1").env("ANNULUS_BACKEND", choice).output().unwrap()
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[track_caller]
fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{output:?}");
}

/// A ring that does something.
fn use_a_ring(choice: BackendChoice) -> IoUring {
    let mut ring: IoUring = IoUring::builder().backend(choice).try_build(8).unwrap();
    let nop = opcode::Nop::new().build().user_data(7);
    // SAFETY: names no memory.
    unsafe { ring.submission().push(&nop) }.unwrap();
    ring.submit_and_wait(1).unwrap();
    let cqe = ring.completion().next().unwrap();
    assert_eq!((cqe.user_data(), cqe.result()), (7, 0));
    ring
}

#[test]
fn the_program_chooses_and_can_ask() {
    for (choice, kind) in
        [(BackendChoice::Kernel, BackendKind::Kernel), (BackendChoice::Engine, BackendKind::Engine)]
    {
        let ring = use_a_ring(choice);
        assert_eq!((ring.chosen().kind(), ring.chosen().refusal()), (kind, None));
        assert!(format!("{ring:?}").contains(&format!("backend: {kind:?}")), "{ring:?}");
    }
}

#[test]
fn auto_falls_to_the_engine_where_io_uring_is_refused_and_tells_why() {
    const NAME: &str = "auto_falls_to_the_engine_where_io_uring_is_refused_and_tells_why";
    if !is_child() {
        return assert_passed(&child(NAME, "auto"));
    }
    for errno in [Errno::PERM, Errno::ACCESS, Errno::NOSYS] {
        let chosen = answering(errno, || use_a_ring(BackendChoice::Auto).chosen().clone());
        assert_eq!(chosen.kind(), BackendKind::Engine, "{errno}");
        let expected = match errno {
            Errno::NOSYS => SetupError::Missing { seccomp: true },
            errno => SetupError::ForbiddenBySeccomp { errno },
        };
        assert_eq!(chosen.refusal(), Some(&expected));
    }
}

#[test]
fn a_kernel_that_was_ordered_is_not_replaced() {
    let build = || IoUring::builder().backend(BackendChoice::Kernel).try_build(8).map(|_: IoUring| ());
    let refused = answering(Errno::PERM, build);
    assert_eq!(refused, Err(SetupError::ForbiddenBySeccomp { errno: Errno::PERM }));
}

#[test]
fn the_engine_makes_none_of_the_three_calls() {
    const NAME: &str = "the_engine_makes_none_of_the_three_calls";
    if is_child() {
        return filtered(&IO_URING, SeccompAction::KillProcess, || {
            let ring = use_a_ring(BackendChoice::Engine);
            assert_eq!(ring.chosen().kind(), BackendKind::Engine);
        });
    }
    assert_passed(&child(NAME, "kernel"));
}

#[test]
fn the_engine_answers_without_a_ring_and_makes_none_of_the_three_calls() {
    const NAME: &str = "the_engine_answers_without_a_ring_and_makes_none_of_the_three_calls";
    if is_child() {
        return filtered(&IO_URING, SeccompAction::KillProcess, || {
            let task = Task::new().backend(BackendChoice::Engine);
            let known = task.query::<QueryOpcode>().unwrap();
            assert_eq!(known.nr_request_opcodes, 63, "those of Linux 6.18");
            let mut ring = use_a_ring(BackendChoice::Engine);
            let message = opcode::MsgRingData::new(types::Fd(ring.as_raw_fd()), 5, 9, None).build();
            task.send_message(&message).unwrap();
            let cqe = ring.wait().unwrap();
            assert_eq!((cqe.user_data(), cqe.result()), (9, 5));
            let refused = task.restrict(&[]).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
        });
    }
    assert_passed(&child(NAME, "kernel"));
}

#[test]
fn set_ups_of_every_kind_that_fail_on_the_engine_make_no_call_either() {
    const NAME: &str = "set_ups_of_every_kind_that_fail_on_the_engine_make_no_call_either";
    if is_child() {
        return filtered(&IO_URING, SeccompAction::KillProcess, || {
            let builder = || {
                let mut builder = IoUring::builder();
                builder.backend(BackendChoice::Engine);
                builder
            };
            let refused = |builder: &Builder, entries| {
                builder.try_build(entries).map(|_: IoUring| ()).unwrap_err().errno()
            };
            assert_eq!(refused(&builder(), 0), Errno::INVAL);
            assert_eq!(refused(builder().setup_sqe_mixed(), 8), Errno::INVAL);
            assert_eq!(refused(builder().setup_defer_taskrun(), 8), Errno::INVAL);
            assert_eq!(refused(builder().setup_attach_wq(0), 8), Errno::INVAL);
            assert_eq!(refused(builder().setup_attach_wq(-1), 8), Errno::NXIO);
        });
    }
    assert_passed(&child(NAME, "kernel"));
}

#[test]
fn an_engines_ring_takes_memory_that_it_is_given() {
    let len = IoUring::<squeue::Entry, cqueue::Entry>::builder().memory_size(8);
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    let memory = NonNull::slice_from_raw_parts(NonNull::new(memory.cast::<u8>()).unwrap(), len);
    let mut of_its_own = IoUring::builder();
    of_its_own.backend(BackendChoice::Engine).setup_no_mmap();
    let mut given = IoUring::builder();
    // SAFETY: mapped just above for this ring, and never unmapped.
    unsafe { given.backend(BackendChoice::Engine).setup_no_mmap_in(memory) };
    let mut index = of_its_own.clone();
    index.setup_registered_fd_only();
    for (builder, fd) in [(&of_its_own, true), (&given, true), (&index, false)] {
        let mut ring: IoUring = builder.build(8).unwrap();
        assert_eq!(ring.backend().ring_fd().is_some(), fd);
        for n in 0..50 {
            // SAFETY: names no memory.
            unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(n)) }.unwrap();
            assert_eq!(ring.submit_and_wait(1).unwrap(), 1);
            assert_eq!(ring.completion().next().unwrap().user_data(), n);
        }
    }
}

#[test]
fn a_registered_descriptor_is_granted_where_no_call_goes_by_descriptor() {
    let mut builder = IoUring::builder();
    let ring: IoUring =
        builder.backend(BackendChoice::Engine).dontfork().registered_ring_fd(true).build(8).unwrap();
    assert_eq!(ring.chosen().kind(), BackendKind::Engine);
}

#[test]
fn a_table_of_calls_is_the_kernels() {
    const NAME: &str = "a_table_of_calls_is_the_kernels";
    if is_child() {
        let mut builder = IoUring::builder();
        // SAFETY: the calls themselves.
        unsafe { builder.system_calls(SystemCalls::LINUX) };
        let ring: IoUring = builder.build(8).unwrap();
        assert_eq!(ring.chosen().kind(), BackendKind::Kernel);
        builder.backend(BackendChoice::Engine);
        let refused = builder.try_build(8).map(|_: IoUring| ());
        assert_eq!(refused, Err(SetupError::EngineHasNoTable));
        return;
    }
    assert_passed(&child(NAME, "engine"));
}

#[test]
fn the_environment_forbids_the_three_calls_too() {
    const NAME: &str = "the_environment_forbids_the_three_calls_too";
    if is_child() {
        return filtered(&IO_URING, SeccompAction::KillProcess, || {
            assert_eq!(use_a_ring(BackendChoice::Auto).chosen().kind(), BackendKind::Engine);
        });
    }
    assert_passed(&child(NAME, "engine"));
    // The filter does kill: trying the kernel is the end.
    assert_eq!(child(NAME, "auto").status.signal(), Some(libc::SIGSYS));
}

#[test]
fn the_environment_decides_what_the_program_leaves_open_and_nothing_else() {
    const NAME: &str = "the_environment_decides_what_the_program_leaves_open_and_nothing_else";
    if is_child() {
        assert_eq!(use_a_ring(BackendChoice::Auto).chosen().kind(), BackendKind::Engine);
        assert_eq!(use_a_ring(BackendChoice::Kernel).chosen().kind(), BackendKind::Kernel);
        return;
    }
    assert_passed(&child(NAME, "engine"));
}

#[test]
fn an_environment_that_names_no_back_end_is_an_error() {
    const NAME: &str = "an_environment_that_names_no_back_end_is_an_error";
    if is_child() {
        let error = IoUring::builder().try_build(8).map(|_: IoUring| ()).unwrap_err();
        assert_eq!(error, SetupError::UnknownBackend { name: "epoll".to_owned() });
        assert_eq!(error.errno(), Errno::INVAL);
        assert_eq!(use_a_ring(BackendChoice::Engine).chosen().kind(), BackendKind::Engine);
        return;
    }
    assert_passed(&child(NAME, "epoll"));
}

#[test]
fn a_ring_that_shares_workers_is_of_the_back_end_that_has_them() {
    const NAME: &str = "a_ring_that_shares_workers_is_of_the_back_end_that_has_them";
    if !is_child() {
        return assert_passed(&child(NAME, "auto"));
    }
    let engine = use_a_ring(BackendChoice::Engine);
    let mut builder = IoUring::builder();
    let sharing: IoUring = builder.setup_attach_wq(engine.as_raw_fd()).try_build(8).unwrap();
    assert_eq!(sharing.chosen().kind(), BackendKind::Engine);
    let kernel = use_a_ring(BackendChoice::Kernel);
    let mut builder = IoUring::builder();
    let sharing: IoUring = builder.setup_attach_wq(kernel.as_raw_fd()).try_build(8).unwrap();
    assert_eq!(sharing.chosen().kind(), BackendKind::Kernel);
}

#[test]
fn what_the_engine_does_not_know_is_left_out_or_named() {
    let future = SetupFlags::from_bits_retain(1 << 30);
    let mut builder = IoUring::builder();
    builder.backend(BackendChoice::Engine).optional(future).setup_sqe_mixed();
    let error = builder.try_build(8).map(|_: IoUring| ()).unwrap_err();
    assert_eq!(error, SetupError::FlagsUnknown { flags: future | SetupFlags::SQE_MIXED });
    let mut builder = IoUring::builder();
    builder.backend(BackendChoice::Engine).optional(future | SetupFlags::SQE_MIXED);
    let ring: IoUring = builder.try_build(8).unwrap();
    assert_eq!(ring.params().setup_flags(), SetupFlags::NO_SQARRAY);
}
