//! Every call through a table whose functions ask a host, as a library OS or an enclave does: the host is a
//! thread of its own, follows pointers only into memory that it shares with the program, and refuses any other. The
//! program's thread is forbidden the system calls of io_uring by seccomp, so none can slip past.
#![allow(unsafe_code, reason = "the test is about raw calls and about what their pointers point to")]
#![allow(clippy::disallowed_methods, reason = "the host and the program are threads")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;

use annulus::abi::{Params, QueryOpcode};
use annulus::kernel::{SharedMemory, SystemCalls};
use annulus::register::Task;
use annulus::types::{Fd, Fixed, SubmitArgs, Timespec};
use annulus::{BufRing, IoUring, Probe, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

#[path = "host_calls/arena.rs"]
mod arena;
#[path = "host_calls/host.rs"]
mod host;

use host::{Call, Host, Refusal};

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// The host of the calling thread.
fn host() -> Host {
    HOST.with_borrow(|host| host.clone().expect("only programs with a host call through the table"))
}

fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

unsafe fn setup(entries: u32, params: *mut Params) -> Result<RawFd, Errno> {
    let fd = host().call(Call::Setup { entries, params: address(params) })?;
    Ok(i32::try_from(fd).unwrap())
}

unsafe fn enter(
    fd: RawFd,
    submit: u32,
    want: u32,
    flags: u32,
    arg: *const c_void,
    size: usize,
) -> Result<u32, Errno> {
    let taken = host().call(Call::Enter { fd, submit, want, flags, arg: address(arg), size })?;
    Ok(u32::try_from(taken).unwrap())
}

unsafe fn register(fd: RawFd, op: u32, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
    let result = host().call(Call::Register { fd, op, arg: address(arg), nr })?;
    Ok(u32::try_from(result).unwrap())
}

unsafe fn map(fd: RawFd, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
    let start = host().call(Call::Map { fd, len, offset })?;
    let start = std::ptr::with_exposed_provenance_mut(usize::try_from(start).unwrap());
    NonNull::new(start).ok_or(Errno::NOMEM)
}

unsafe fn unmap(start: NonNull<u8>, len: usize) {
    host().call(Call::Unmap { start: address(start.as_ptr()), len }).unwrap();
}

unsafe fn close(fd: RawFd) {
    host().call(Call::Close { fd }).unwrap();
}

unsafe fn allocate(len: usize) -> Result<NonNull<u8>, Errno> {
    host().arena.allocate(len)
}

unsafe fn release(start: NonNull<u8>, len: usize) {
    host().arena.release(start, len);
}

const TABLE: SystemCalls = SystemCalls {
    setup,
    enter,
    register,
    map,
    unmap,
    close,
    shared: Some(SharedMemory { allocate, release }),
};

/// Runs a program that has nothing but its host. Afterwards nothing of the shared memory is left in use.
fn with_host(program: impl FnOnce(&Host) + Send + 'static) {
    let (host, thread) = Host::start();
    let for_program = host.clone();
    let enclave = std::thread::spawn(move || {
        forbid_io_uring();
        HOST.set(Some(for_program.clone()));
        program(&for_program);
    });
    let ended = enclave.join();
    let left = host.arena.taken();
    host.end();
    thread.join().unwrap();
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
    assert_eq!(left, 0, "pages that were not given back");
}

/// Has the kernel answer the calling thread's io_uring calls with `EPERM`, for good.
fn forbid_io_uring() {
    let op = |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf, k };
    let number = |call: libc::c_long| u32::try_from(call).unwrap();
    let program = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 3, 0, number(libc::SYS_io_uring_setup)),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 2, 0, number(libc::SYS_io_uring_enter)),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, number(libc::SYS_io_uring_register)),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned()),
    ];
    let filter =
        libc::sock_fprog { len: u16::try_from(program.len()).unwrap(), filter: program.as_ptr().cast_mut() };
    // SAFETY: plain numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: `filter` and its program are there for the call, which copies them.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) }, 0);
    let mut kernel = IoUring::<squeue::Entry>::builder();
    let refused = kernel.backend(annulus::BackendChoice::Kernel).build(2).err();
    let refused = refused.and_then(|error| error.raw_os_error());
    assert_eq!(refused, Some(libc::EPERM), "nothing can slip past the host");
}

fn ring() -> IoUring {
    let mut builder = IoUring::<squeue::Entry>::builder();
    // SAFETY: the functions do what the system calls do, in another thread, which is waited for.
    unsafe { builder.system_calls(TABLE) };
    builder.build(8).unwrap()
}

/// Bytes in the shared memory.
struct Shared {
    start: NonNull<u8>,
    len: usize,
}

impl Shared {
    fn new(len: usize) -> Self {
        Self { start: host().arena.allocate(len).unwrap(), len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: allocated for this value alone, and no operation is in flight when a test looks.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    fn iovec(&self) -> libc::iovec {
        libc::iovec { iov_base: self.start.as_ptr().cast(), iov_len: self.len }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        host().arena.release(self.start, self.len);
    }
}

/// Submits one entry and waits for its result.
fn run(ring: &mut IoUring, entry: &squeue::Entry) -> i32 {
    // SAFETY: what the entries of this file name outlives this call, in which they complete.
    unsafe { ring.submission().push(entry) }.unwrap();
    ring.submit_and_wait(1).unwrap();
    ring.completion().next().unwrap().result()
}

fn file(text: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    file
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn nops_and_reads_go_through_the_host() {
    with_host(|host| {
        let mut ring = ring();
        assert_eq!((host.count("setup"), host.count("map")), (1, 2));
        assert_eq!(ring.submit().unwrap(), 0);
        assert_eq!(host.count("enter"), 0, "nothing to do, nothing asked");
        assert_eq!(run(&mut ring, &opcode::Nop::new().build()), 0);
        assert_eq!(host.count("enter"), 1);

        let (file, mut buffer) = (file(b"from the host"), Shared::new(64));
        let read = opcode::Read::new(Fd(file.as_raw_fd()), buffer.start.as_ptr(), 64).build();
        assert_eq!(run(&mut ring, &read), 13);
        assert_eq!(&buffer.bytes()[..13], b"from the host");
        drop(ring);
        assert_eq!((host.count("unmap"), host.count("close")), (2, 1));
        assert_eq!(host.refusals(), []);
    });
}

#[test]
fn a_buffer_outside_the_shared_memory_is_refused_by_the_host() {
    with_host(|host| {
        let mut ring = ring();
        let file = file(b"not for you");
        let mut outside = [0_u8; 64];
        let read = opcode::Read::new(Fd(file.as_raw_fd()), outside.as_mut_ptr(), 64).build();
        // SAFETY: the host refuses the entry; the buffer outlives the ring's use of it anyway.
        unsafe { ring.submission().push(&read) }.unwrap();
        assert_eq!(errno(ring.submit()), Some(libc::EFAULT));
        let address = address(outside.as_ptr());
        assert_eq!(host.refusals(), [Refusal { what: "buffer", address }]);
        assert_eq!(outside, [0; 64]);
    });
}

#[test]
fn waits_take_their_times_and_masks_through_shared_memory() {
    with_host(|host| {
        let mut ring = ring();
        let soon = Timespec::new().nsec(1_000_000);
        let mut mask = std::mem::MaybeUninit::uninit();
        // SAFETY: initialises the set.
        unsafe { libc::sigfillset(mask.as_mut_ptr()) };
        // SAFETY: initialised just above.
        let mask = unsafe { mask.assume_init() };
        let timed = SubmitArgs::new().timespec(&soon);
        assert_eq!(errno(ring.submitter().submit_with_args(1, &timed)), Some(libc::ETIME));
        let masked = SubmitArgs::new().timespec(&soon).sigmask(&mask);
        assert_eq!(errno(ring.submitter().wait_with_args(1, &masked)), Some(libc::ETIME));
        assert!(ring.wait_with_args(&masked).unwrap().is_none());

        let mut timespec = Shared::new(16);
        timespec.bytes()[8..].copy_from_slice(&1_000_000_i64.to_ne_bytes());
        let timeout = opcode::Timeout::new(timespec.start.as_ptr().cast_const().cast()).build();
        assert_eq!(run(&mut ring, &timeout), -libc::ETIME);
        assert_eq!(host.refusals(), []);
    });
}

#[test]
fn registrations_take_their_arguments_and_lists_through_shared_memory() {
    with_host(|host| {
        let mut ring = ring();
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe).unwrap();
        assert!(probe.is_supported(opcode::Read::CODE), "the answer came back");

        let (first, second) = (file(b"first"), file(b"second"));
        ring.submitter().register_files(&[first.as_raw_fd(), -1]).unwrap();
        ring.submitter().register_files_update(1, &[second.as_raw_fd()]).unwrap();
        let mut buffer = Shared::new(64);
        let read = opcode::Read::new(Fixed(1), buffer.start.as_ptr(), 64).build();
        assert_eq!(run(&mut ring, &read), 6);
        assert_eq!(&buffer.bytes()[..6], b"second");
        ring.submitter().unregister_files().unwrap();
        ring.submitter().register_files2(&[first.as_raw_fd()], &[77]).unwrap();
        ring.submitter().unregister_files().unwrap();
        assert_eq!(ring.wait().unwrap().user_data(), 77, "the tag came along");
        ring.submitter().register_files_sparse(2).unwrap();
        assert_eq!(ring.submitter().register_files_update2(1, &[second.as_raw_fd()], &[78]).unwrap(), 1);
        assert_eq!(run(&mut ring, &read), 6);
        ring.submitter().unregister_files().unwrap();
        assert_eq!(ring.wait().unwrap().user_data(), 78);

        let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        ring.submitter().register_eventfd(event.as_raw_fd()).unwrap();
        assert_eq!(run(&mut ring, &opcode::Nop::new().build()), 0);
        let mut count = [0; 8];
        rustix::io::read(&event, &mut count).unwrap();
        assert_eq!(u64::from_ne_bytes(count), 1);

        let mut limits = [0, 0];
        ring.submitter().register_iowq_max_workers(&mut limits).unwrap();
        assert!(limits.iter().all(|limit| *limit > 0), "written back: {limits:?}");
        assert_eq!(host.refusals(), []);
    });
}

#[test]
fn buffers_are_registered_in_shared_memory_alone() {
    with_host(|host| {
        let buffer = Shared::new(4096);
        let mut ring = ring();
        // SAFETY: the buffer outlives the ring.
        unsafe { ring.submitter().register_buffers(&[buffer.iovec()]) }.unwrap();
        let file = file(b"fixed");
        let read = opcode::ReadFixed::new(Fd(file.as_raw_fd()), buffer.start.as_ptr(), 64, 0).build();
        assert_eq!(run(&mut ring, &read), 5);
        ring.submitter().unregister_buffers().unwrap();
        // SAFETY: as above.
        unsafe { ring.submitter().register_buffers2(&[buffer.iovec()], &[5]) }.unwrap();
        ring.submitter().unregister_buffers().unwrap();
        assert_eq!(ring.wait().unwrap().user_data(), 5);
        ring.submitter().register_buffers_sparse(1).unwrap();
        // SAFETY: as above.
        unsafe { ring.submitter().register_buffers_update(0, &[buffer.iovec()], Some(&[6])) }.unwrap();
        assert_eq!(run(&mut ring, &read), 5);
        ring.submitter().unregister_buffers().unwrap();
        assert_eq!(ring.wait().unwrap().user_data(), 6);
        assert_eq!(host.refusals(), []);

        let mut outside = vec![0; 4096];
        let iovec = libc::iovec { iov_base: outside.as_mut_ptr().cast(), iov_len: 4096 };
        // SAFETY: the host refuses it.
        assert_eq!(errno(unsafe { ring.submitter().register_buffers(&[iovec]) }), Some(libc::EFAULT));
        let address = address(outside.as_ptr());
        assert_eq!(host.refusals(), [Refusal { what: "registered buffer", address }]);
    });
}

#[test]
fn memory_that_this_crate_allocates_for_the_kernel_is_refused_by_a_host() {
    with_host(|host| {
        let mut builder = IoUring::<squeue::Entry>::builder();
        // SAFETY: as in `ring`.
        unsafe { builder.system_calls(TABLE) };
        let ring = builder.setup_r_disabled().build(8).unwrap();
        assert_eq!(errno(ring.submitter().register_wait_region(4)), Some(libc::EFAULT));
        assert_eq!(errno(BufRing::register(&ring.submitter(), 1, 4, 64)), Some(libc::EFAULT));
        let refused: Vec<&str> = host.refusals().iter().map(|refusal| refusal.what).collect();
        assert_eq!(refused, ["region", "buffer ring"]);
    });
}

#[test]
fn a_ring_registered_with_the_hosts_thread_is_called_by_its_index() {
    with_host(|host| {
        let mut ring = ring();
        ring.submitter().register_ring_fd().unwrap();
        assert_eq!(run(&mut ring, &opcode::Nop::new().build()), 0);
        let mut limits = [0, 0];
        ring.submitter().register_iowq_max_workers(&mut limits).unwrap();
        drop(ring);
        assert_eq!(host.refusals(), []);
    });
}

#[test]
fn a_query_without_a_ring_goes_through_the_host_too() {
    with_host(|host| {
        // SAFETY: as in `ring`.
        let task = unsafe { Task::with_system_calls(TABLE) };
        match task.query::<QueryOpcode>() {
            Ok(kernel) => assert!(kernel.nr_request_opcodes >= 63, "{kernel:?}"),
            Err(error) => {
                assert!(matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EBADF)), "{error}")
            }
        }
        assert_eq!((host.count("register"), host.refusals()), (1, vec![]));
    });
}
