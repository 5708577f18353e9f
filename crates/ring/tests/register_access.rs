//! What a ring may do and for whom, on the kernel: probe, queries, personalities, restrictions, messages,
//! and the operations that this machine's kernel or hardware lacks.
#![allow(unsafe_code, reason = "pushes entries that name nothing but static text")]
#![allow(clippy::disallowed_methods, reason = "credentials are changed in a thread of its own")]
#![allow(clippy::print_stdout, reason = "a skip says why")]

mod again;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use annulus::abi::{
    Features, IORING_REGISTER_ENABLE_RINGS, QueryOpcode, QueryZcrxEvent, RegisterOp, SetupFlags, ZcrxIfqReg,
};
use annulus::register::{FilterRule, Restriction, Task};
use annulus::squeue::Flags;
use annulus::types::Fd;
use annulus::{IoUring, Probe, Zcrx, cqueue, opcode, squeue};
use rustix::process::{Uid, getuid};

/// Submits one entry and waits for its result.
fn run(ring: &mut IoUring, entry: &squeue::Entry) -> i32 {
    // SAFETY: the entries of this file name strings that outlive this call, in which they complete.
    unsafe { ring.submission().push(entry) }.expect("room in the queue");
    ring.submit().unwrap();
    ring.wait().unwrap().result()
}

fn nop() -> squeue::Entry {
    opcode::Nop::new().build()
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// A ring that was set up disabled.
fn disabled() -> IoUring {
    let mut builder: annulus::Builder = IoUring::builder();
    builder.setup_r_disabled().build(8).unwrap()
}

#[test]
fn a_probe_names_the_opcodes_of_the_kernel() {
    let ring = IoUring::new(2).unwrap();
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).unwrap();
    assert!(probe.is_supported(opcode::Nop::CODE) && probe.is_supported(opcode::Read::CODE));
    assert_eq!(probe.supported().next(), Some(0));
    assert!(!probe.is_supported(probe.last_opcode() + 1));
    assert!(format!("{probe:?}").starts_with("{NOP, READV, WRITEV, FSYNC, "));
    assert_eq!(errno(ring.submitter().register_probe(&mut probe)), Some(libc::EINVAL), "it is filled in");
}

#[test]
fn a_query_tells_the_same_with_a_ring_and_without() {
    let ring = IoUring::new(2).unwrap();
    let by_ring: QueryOpcode = match ring.submitter().query() {
        Ok(answer) => answer,
        Err(error) => return println!("SKIP: queries came with Linux 6.18: {error}"),
    };
    let without: QueryOpcode = Task::new().query().unwrap();
    assert_eq!(by_ring, without);
    assert!(by_ring.nr_request_opcodes >= 63 && by_ring.nr_register_opcodes >= 36, "{by_ring:?}");
    let features = Features::from_bits_retain(u32::try_from(by_ring.feature_flags).unwrap());
    assert!(features.contains(ring.params().features()));
    assert_eq!(by_ring.ring_setup_flags & 0x7ffff, 0x7ffff, "every flag of 6.18");
}

#[test]
fn a_query_that_the_kernel_does_not_know_says_so() {
    match Task::new().query::<QueryZcrxEvent>() {
        Ok(answer) => assert_ne!(answer.stats_size, 0, "a kernel that has it: {answer:?}"),
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
    }
}

#[test]
fn a_personality_opens_what_its_owner_may_open() {
    if !getuid().is_root() {
        println!("SKIP: only root can give credentials up and keep them in a personality");
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = CString::new(file.path().to_str().unwrap()).unwrap();
    // Credentials belong to the thread when they are changed without libc's help.
    let thread = std::thread::spawn(move || {
        let mut ring = IoUring::new(4).unwrap();
        let root = ring.submitter().register_personality().unwrap();
        assert_ne!(root, 0);
        let nobody = Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();

        let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).flags(libc::O_RDONLY).build();
        assert_eq!(run(&mut ring, &open), -libc::EACCES, "as nobody");
        let fd = run(&mut ring, &open.personality(root));
        assert!(fd >= 0, "as root: {fd}");
        // SAFETY: the operation opened it, and nobody else knows it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });

        ring.submitter().unregister_personality(root).unwrap();
        assert_eq!(run(&mut ring, &open.personality(root)), -libc::EINVAL);
        assert_eq!(errno(ring.submitter().unregister_personality(root)), Some(libc::EINVAL));
    });
    thread.join().unwrap();
}

#[test]
fn a_restricted_ring_takes_what_is_allowed_and_nothing_else() {
    let mut ring = disabled();
    let enable = u8::try_from(IORING_REGISTER_ENABLE_RINGS).unwrap();
    let mut rules = [
        Restriction::register_op(enable),
        Restriction::sqe_op(opcode::Nop::CODE),
        Restriction::sqe_flags_allowed(Flags::IO_LINK.bits()),
        Restriction::sqe_flags_required(Flags::ASYNC.bits()),
    ];
    ring.submitter().register_restrictions(&mut rules).unwrap();
    assert_eq!(errno(ring.submitter().register_restrictions(&mut rules)), Some(libc::EBUSY));
    // SAFETY: a NOP names no memory.
    unsafe { ring.submission().push(&nop().flags(Flags::ASYNC)) }.unwrap();
    assert_eq!(errno(ring.submit()), Some(libc::EBADFD), "not enabled yet");
    ring.submitter().register_enable_rings().unwrap();
    ring.submit().unwrap();
    assert_eq!(ring.wait().unwrap().result(), 0);

    assert_eq!(run(&mut ring, &nop()), -libc::EACCES, "without the required flag");
    assert_eq!(
        run(&mut ring, &nop().flags(Flags::ASYNC | Flags::IO_DRAIN)),
        -libc::EACCES,
        "a flag too many"
    );
    assert_eq!(run(&mut ring, &nop().flags(Flags::ASYNC | Flags::IO_LINK)), 0, "an allowed flag");
    let close = opcode::Close::new(Fd(-1)).build().flags(Flags::ASYNC);
    assert_eq!(run(&mut ring, &close), -libc::EACCES, "another opcode");
    assert_eq!(errno(ring.submitter().register_files(&[-1])), Some(libc::EACCES), "another registration");
    assert_eq!(errno(ring.submitter().register_enable_rings()), Some(libc::EBADFD), "enabled already");
}

#[test]
fn restrictions_come_too_late_for_a_ring_that_is_enabled() {
    let ring = IoUring::new(2).unwrap();
    let mut rules = [Restriction::sqe_op(0)];
    assert_eq!(errno(ring.submitter().register_restrictions(&mut rules)), Some(libc::EBADFD));
}

#[test]
fn a_message_without_a_ring_arrives_as_a_completion() {
    let mut ring = IoUring::new(4).unwrap();
    let to = Fd(ring.as_raw_fd());
    let message = opcode::MsgRingData::new(to, -7, 0xfeed, None).build();
    Task::new().send_message(&message).unwrap();
    let cqe = ring.wait().unwrap();
    assert_eq!((cqe.user_data(), cqe.result()), (0xfeed, -7));

    assert_eq!(errno(Task::new().send_message(&nop())), Some(libc::EINVAL), "no message");
    let to_nobody = opcode::MsgRingData::new(Fd(1_000_000), 0, 0, None).build();
    assert_eq!(errno(Task::new().send_message(&to_nobody)), Some(libc::EBADF));
    let to_a_file = std::fs::File::open("/dev/null").unwrap();
    let to_a_file = opcode::MsgRingData::new(Fd(to_a_file.as_raw_fd()), 0, 0, None).build();
    assert_eq!(errno(Task::new().send_message(&to_a_file)), Some(libc::EBADFD));
}

#[test]
fn an_operation_that_no_kernel_knows_is_refused_through_the_raw_door() {
    let ring = IoUring::new(2).unwrap();
    let unknown = RegisterOp::from_raw(4711);
    // SAFETY: no argument.
    let result = unsafe { ring.submitter().register_raw(unknown, std::ptr::null_mut(), 0) };
    assert_eq!(errno(result), Some(libc::EINVAL));
}

#[test]
fn the_rules_of_a_task_hold_for_its_next_ring() {
    // For good, so in a thread that ends with the test.
    let thread = std::thread::spawn(|| {
        let rules = [Restriction::sqe_op(opcode::Nop::CODE), Restriction::register_op(12)];
        if let Err(error) = Task::new().restrict(&rules) {
            assert!(matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EBADF)), "{error}");
            return println!("SKIP: restrictions of a task came with Linux 7.0: {error}");
        }
        let mut ring = IoUring::new(2).unwrap();
        assert_eq!(run(&mut ring, &nop()), 0);
        assert_eq!(run(&mut ring, &opcode::Close::new(Fd(-1)).build()), -libc::EACCES);
    });
    thread.join().unwrap();
}

#[test]
fn a_filter_refuses_what_its_program_refuses() {
    let ring = IoUring::new(2).unwrap();
    let refuse_all = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
    let rule = FilterRule::new(opcode::Socket::CODE, &refuse_all).pdu_size(12);
    if let Err(error) = ring.submitter().register_bpf_filter(&rule) {
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}");
        assert!(matches!(errno(Task::new().filter(&rule)), Some(libc::EINVAL | libc::EBADF)));
        return println!("SKIP: filters came with Linux 7.0: {error}");
    }
    let mut ring = ring;
    let socket = opcode::Socket::new(libc::AF_UNIX, libc::SOCK_STREAM, 0).build();
    assert_eq!(run(&mut ring, &socket), -libc::EACCES);
}

#[test]
#[allow(deprecated, reason = "the deprecated method is what is tested")]
fn an_interface_queue_is_not_registered_through_a_shared_reference() {
    let ring = IoUring::new(2).unwrap();
    let reg = ZcrxIfqReg { if_idx: 1, rq_entries: 8, ..ZcrxIfqReg::default() };
    // In the io-uring crate this safe call has the kernel write through `&reg` and the addresses in it.
    assert_eq!(errno(ring.submitter().register_ifq(&reg)), Some(libc::EOPNOTSUPP));
    assert_eq!(reg, ZcrxIfqReg { if_idx: 1, rq_entries: 8, ..ZcrxIfqReg::default() });
}

#[test]
fn zero_copy_receive_is_refused_without_the_card_for_it() {
    let plain = IoUring::new(2).unwrap();
    let refused = Zcrx::builder(1, 0).register(&plain.submitter()).unwrap_err();
    assert!(refused.raw_os_error().is_some(), "{refused}");

    let mut builder = IoUring::<squeue::Entry, cqueue::Entry32>::builder();
    let ring = builder.setup_single_issuer().setup_defer_taskrun().build(8).unwrap();
    assert!(ring.params().setup_flags().contains(SetupFlags::CQE32));
    let loopback = 1;
    match Zcrx::builder(loopback, 0).area_len(1 << 16).entries(8).register(&ring.submitter()) {
        Ok(queue) => assert_eq!(queue.flush(), 0),
        Err(error) => {
            println!("SKIP: the loopback interface receives without copies nowhere so far: {error}")
        }
    }
    let errnos = [
        errno(ring.submitter().zcrx_flush_rq(0)),
        errno(ring.submitter().zcrx_arm_event(0, 0)),
        errno(ring.submitter().zcrx_export(0)),
    ];
    println!("SKIP: no queue to be flushed, armed or exported: {errnos:?}");
    assert!(errnos.iter().all(Option::is_some));
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
