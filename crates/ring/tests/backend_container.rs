//! The engine behind a filter as Docker's default profile: io_uring, looking into processes, and whatever is newer than the
//! profile are forbidden.
#![allow(unsafe_code, reason = "entries are pushed by the unsafe push")]
#![allow(clippy::disallowed_methods, reason = "filters are those of a thread and its children")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs::File;
use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::thread;

use annulus::register::Task;
use annulus::squeue::{Entry, Flags};
use annulus::{BackendKind, IoUring, opcode, types};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// What the profile forbids to a process without capabilities.
const FORBIDDEN: [libc::c_long; 38] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_kcmp,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_bpf,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_mbind,
    libc::SYS_get_mempolicy,
    libc::SYS_set_mempolicy,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_sethostname,
];

/// Calls that came after the profile was written, from futex_waitv(2) on.
const NEWER: std::ops::Range<libc::c_long> = 449..480;

fn apply(calls: impl IntoIterator<Item = libc::c_long>, errno: Errno) {
    let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let answer = SeccompAction::Errno(errno.raw_os_error().cast_unsigned());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// Runs `test` as in a container: in a thread whose filter its threads inherit.
fn contained(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // The profile reads the flags of clone(2), which clone3(2) hides behind a pointer.
            apply([libc::SYS_clone3], Errno::NOSYS);
            apply(FORBIDDEN.into_iter().chain(NEWER), Errno::PERM);
            test();
        });
        thread.join().unwrap();
    });
}

fn ring() -> IoUring {
    let ring = IoUring::new(8).unwrap();
    assert_eq!(ring.chosen().kind(), BackendKind::Engine);
    assert_eq!(ring.chosen().refusal().unwrap().errno(), Errno::PERM);
    ring
}

fn push(ring: &mut IoUring, entry: &Entry) {
    // SAFETY: each test waits for what it pushes while the memory is there.
    unsafe { ring.submission().push(entry) }.unwrap();
}

/// Waits for that many completions: `(user_data, result)`, in order of the former.
fn wait(ring: &mut IoUring, count: usize) -> Vec<(u64, i32)> {
    ring.submit_and_wait(count).unwrap();
    let mut found: Vec<_> = ring.completion().map(|cqe| (cqe.user_data(), cqe.result())).collect();
    found.sort_unstable();
    found
}

fn fd(file: &impl AsRawFd) -> types::Fd {
    types::Fd(file.as_raw_fd())
}

#[test]
fn files_are_read_inline_and_by_workers() {
    contained(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let mut ring = ring();
        let mut buffers = [[0_u8; 4]; 2];
        for (n, buffer) in (0..).zip(&mut buffers) {
            let read = opcode::Read::new(fd(&file), buffer.as_mut_ptr(), 4).offset(n * 4).build();
            let flags = if n == 1 { Flags::ASYNC } else { Flags::empty() };
            push(&mut ring, &read.user_data(n).flags(flags));
        }
        assert_eq!(wait(&mut ring, 2), [(0, 4), (1, 4)]);
        assert_eq!(buffers, [*b"0123", *b"4567"]);
    });
}

#[test]
fn sockets_are_waited_for_and_times_kept() {
    contained(|| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut ring = ring();
        let mut buffer = [0_u8; 8];
        push(&mut ring, &opcode::Recv::new(fd(&near), buffer.as_mut_ptr(), 8).build().user_data(1));
        let time = types::Timespec::new().nsec(1_000_000);
        push(&mut ring, &opcode::Timeout::new(&time).build().user_data(2));
        assert_eq!(wait(&mut ring, 1), [(2, -libc::ETIME)]);
        far.write_all(b"container").unwrap();
        assert_eq!(wait(&mut ring, 1), [(1, 8)]);
        assert_eq!(&buffer, b"containe");
    });
}

#[test]
fn a_read_that_blocks_a_worker_is_cancelled() {
    contained(|| {
        let (reader, _writer): (_, PipeWriter) = io::pipe().unwrap();
        let mut ring = ring();
        let mut buffer = [0_u8; 8];
        let read = opcode::Read::new(fd(&reader), buffer.as_mut_ptr(), 8).build();
        push(&mut ring, &read.user_data(1).flags(Flags::ASYNC));
        ring.submit().unwrap();
        push(&mut ring, &opcode::AsyncCancel::new(1).build().user_data(2));
        let found = wait(&mut ring, 2);
        assert!([-libc::ECANCELED, -libc::EINTR].contains(&found[0].1), "{found:?}");
        assert!([0, -libc::EALREADY].contains(&found[1].1), "{found:?}");
    });
}

#[test]
fn rings_find_each_other_by_their_descriptors_and_by_duplicates() {
    contained(|| {
        let (mut ring, mut other) = (ring(), ring());
        let duplicate = other.as_fd().try_clone_to_owned().unwrap();
        for (n, target) in [(1, fd(&other)), (2, fd(&duplicate))] {
            let message = opcode::MsgRingData::new(target, 7, n, None).build();
            push(&mut ring, &message.user_data(n));
        }
        assert_eq!(wait(&mut ring, 2), [(1, 0), (2, 0)]);
        assert_eq!(wait(&mut other, 2), [(1, 7), (2, 7)]);
        let mut builder = IoUring::builder();
        let sharing: IoUring = builder.setup_attach_wq(duplicate.as_raw_fd()).build(8).unwrap();
        assert_eq!(sharing.chosen().kind(), BackendKind::Engine);
    });
}

#[test]
fn what_needs_no_ring_is_answered_by_the_engine() {
    contained(|| {
        let known = Task::new().query::<annulus::abi::QueryOpcode>().unwrap();
        assert_eq!(known.nr_request_opcodes, u32::from(annulus::abi::IORING_OP_PIPE) + 1);
        let mut ring = ring();
        let message = opcode::MsgRingData::new(fd(&ring), 5, 9, None).build();
        Task::new().send_message(&message).unwrap();
        assert_eq!(wait(&mut ring, 1), [(9, 5)]);
    });
}
