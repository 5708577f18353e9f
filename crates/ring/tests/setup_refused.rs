//! Set-up under limits and filters that refuse it: each cause is told from the others, with what to do.
#![allow(unsafe_code, reason = "a raw system call gives one thread other credentials")]
#![allow(clippy::disallowed_methods, reason = "filters and credentials are those of a thread")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test; one that is skipped says so")]

use std::fs::File;
use std::process::Command;
use std::thread;

use annulus::{BackendChoice, IoUring, SetupError};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Runs `test` in a process of its own, as limits are the process's. `name` is the name of the test.
fn alone(name: &str, test: impl FnOnce()) {
    const INSIDE: &str = "ANNULUS_TEST_ALONE";
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1").output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{name} alone: {text}{}", String::from_utf8_lossy(&output.stderr));
    if let Some(skip) = text.lines().find(|line| line.contains("SKIP:")) {
        println!("{skip}");
    }
}

fn refusal() -> SetupError {
    kernel().unwrap_err()
}

/// A ring of the kernel's, which no engine takes over.
fn kernel() -> Result<(), SetupError> {
    IoUring::builder().backend(BackendChoice::Kernel).try_build(8).map(|_: IoUring| ())
}

#[test]
fn locked_memory_that_is_used_up_is_told_with_the_limit() {
    alone("locked_memory_that_is_used_up_is_told_with_the_limit", || {
        if !geteuid().is_root() {
            return println!("SKIP: only root can become somebody whose locked memory is limited to nothing");
        }
        setrlimit(Resource::Memlock, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
        let refused = thread::spawn(|| {
            let nobody: libc::c_long = 65_534;
            // SAFETY: takes numbers; without glibc's help it is for this thread alone, which ends soon.
            assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody) }, 0);
            kernel().err()
        });
        let Some(error) = refused.join().unwrap() else {
            return println!("SKIP: this kernel does not count rings as locked memory (5.12 to 6.13)");
        };
        let SetupError::OutOfMemory { needed, limit: Some(0) } = error else { panic!("{error:?}") };
        assert!((8 * 64 + 16 * 16..64 * 1024).contains(&needed), "{needed}");
        let text = error.to_string();
        assert!(text.contains("may lock 0 bytes; raise RLIMIT_MEMLOCK"), "{text}");
        assert_eq!(error.errno(), Errno::NOMEM);
    });
}

#[test]
fn descriptors_that_are_used_up_are_told_with_the_limit() {
    alone("descriptors_that_are_used_up_are_told_with_the_limit", || {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(32), maximum }).unwrap();
        let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        let error = refusal();
        drop(taken);
        assert_eq!(error, SetupError::OutOfDescriptors { errno: Errno::MFILE, limit: Some(32) });
        let text = error.to_string();
        assert!(text.contains("raise the process's limit of 32 (`ulimit -n`)"), "{text}");
    });
}

/// What a set-up answers in a thread where a filter answers the calls of io_uring.
fn filtered(errno: Errno) -> SetupError {
    thread::spawn(move || {
        let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
        let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
        let answer = SeccompAction::Errno(errno.raw_os_error().cast_unsigned());
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).unwrap();
        let program: BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        refusal()
    })
    .join()
    .unwrap()
}

#[test]
fn a_filter_is_named_whatever_it_answers() {
    for errno in [Errno::PERM, Errno::ACCESS, Errno::INVAL] {
        let error = filtered(errno);
        assert_eq!(error, SetupError::ForbiddenBySeccomp { errno }, "{error}");
        assert_eq!(error.errno(), errno);
        assert!(error.to_string().contains("allow io_uring_setup, io_uring_enter and io_uring_register"));
    }
    let error = filtered(Errno::NOSYS);
    assert_eq!(error, SetupError::Missing { seccomp: true });
    assert!(error.to_string().contains("a seccomp filter is in force that may be what says so"), "{error}");
}
