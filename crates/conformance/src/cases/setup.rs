//! Set-up modes and what a ring may be forbidden or lent: polling, restrictions, credentials, workers.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use annulus::abi::{IORING_REGISTER_FILES, SetupFlags};
use annulus::opcode;
use annulus::register::Restriction;
use annulus::squeue::Flags;
use annulus::types::{Fd, Fixed};

use super::tools::{fd, feed, file, nop, pipe, read};
use crate::harness::{Bench, Buffer, Need, Outcome, Rig, Skip, cases, path};

cases! {
    One entries_are_rounded_up_and_the_completion_queue_is_twice_as_long;
    One a_completion_queue_of_its_own_size_is_rounded_up;
    One too_many_entries_are_refused_or_clamped;
    One flags_that_exclude_each_other_are_refused;
    Every every_opcode_of_the_release_is_named_by_probe;
    One the_polling_thread_sleeps_says_so_and_is_woken;
    One polled_reads_complete_on_a_device_with_poll_queues;
    One polled_reads_complete_under_a_polling_thread;
    One a_ring_for_polled_devices_refuses_what_cannot_be_polled;
    Every a_disabled_ring_takes_nothing_until_it_is_enabled;
    Every restrictions_forbid_all_but_what_they_allow;
    Every a_restriction_may_require_a_flag;
    Every a_request_uses_the_credentials_that_it_names;
    Every unknown_credentials_are_refused;
    Every the_limits_of_workers_are_read_and_set;
    Every workers_are_shared_by_rings_that_say_so;
    One a_ring_of_one_issuer_refuses_another_thread;
    One wide_entries_and_completions_work;
}

fn entries_are_rounded_up_and_the_completion_queue_is_twice_as_long(bench: &Bench<'_>) -> Outcome {
    let rig = bench.rig_with(|setup| setup.entries = 5)?;
    let params = rig.ring().params();
    assert_eq!((params.sq_entries(), params.cq_entries()), (8, 16));
    Ok(())
}

fn a_completion_queue_of_its_own_size_is_rounded_up(bench: &Bench<'_>) -> Outcome {
    let rig = bench.rig_with(|setup| (setup.entries, setup.cq_entries) = (4, Some(33)))?;
    assert_eq!(rig.ring().params().cq_entries(), 64);
    let small = bench.setup(|setup| (setup.entries, setup.cq_entries) = (8, Some(4)));
    assert_eq!(refusal(bench, &small), Some(libc::EINVAL), "smaller than the submission queue");
    Ok(())
}

fn too_many_entries_are_refused_or_clamped(bench: &Bench<'_>) -> Outcome {
    let mut setup = bench.setup(|setup| setup.entries = 1 << 16);
    assert_eq!(refusal(bench, &setup), Some(libc::EINVAL));
    setup.flags |= SetupFlags::CLAMP;
    match bench.try_open(&setup) {
        Ok(ring) => assert_eq!(ring.params().sq_entries(), 32768),
        Err(error) if std::io::Error::from(error.clone()).raw_os_error() == Some(libc::ENOMEM) => {
            return Err(Skip::Privilege("not so much memory may be locked (RLIMIT_MEMLOCK)".to_owned()));
        }
        Err(error) => panic!("{error}"),
    }
    Ok(())
}

fn flags_that_exclude_each_other_are_refused(bench: &Bench<'_>) -> Outcome {
    let pairs = [
        SetupFlags::DEFER_TASKRUN,
        SetupFlags::SQ_AFF,
        SetupFlags::SQPOLL | SetupFlags::COOP_TASKRUN,
        SetupFlags::TASKRUN_FLAG,
    ];
    for flags in pairs {
        let setup = bench.setup(|setup| setup.flags = flags);
        assert_eq!(refusal(bench, &setup), Some(libc::EINVAL), "{flags:?}");
    }
    Ok(())
}

fn every_opcode_of_the_release_is_named_by_probe(bench: &Bench<'_>) -> Outcome {
    let backend = bench.backend();
    let missing: Vec<_> = backend.expected_opcodes().filter(|info| !backend.has(info.number)).collect();
    let missing: Vec<_> = missing.iter().map(|info| info.name).collect();
    // A kernel that was built without a part of the network lacks its operations.
    assert!(missing.iter().all(|name| *name == "RECV_ZC"), "{missing:?}");
    Ok(())
}

fn the_polling_thread_sleeps_says_so_and_is_woken(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::SQPOLL)?;
    for n in 0..3 {
        assert_eq!(rig.result(nop().user_data(n)), 0);
        rig.until("the thread sleeps", |rig| rig.ring_mut().submission().need_wakeup());
    }
    Ok(())
}

fn polled_reads_complete_on_a_device_with_poll_queues(bench: &Bench<'_>) -> Outcome {
    polled_read(bench, SetupFlags::IOPOLL)
}

fn polled_reads_complete_under_a_polling_thread(bench: &Bench<'_>) -> Outcome {
    polled_read(bench, SetupFlags::IOPOLL | SetupFlags::SQPOLL)
}

fn polled_read(bench: &Bench<'_>, flags: SetupFlags) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= flags)?;
    // A raw device if there is one, else whatever holds the temporary files.
    let device = File::options().read(true).custom_flags(libc::O_DIRECT).open("/dev/nvme0n1");
    let directory = tempfile::tempdir().expect("a directory");
    let file = device.or_else(|_| {
        let name = directory.path().join("blocks");
        fs::write(&name, [7; 8192])?;
        File::options().read(true).custom_flags(libc::O_DIRECT).open(name)
    });
    let Ok(file) = file else { return Err(Skip::Hardware("no file that takes O_DIRECT".to_owned())) };
    let buffer = Buffer::new(4096);
    match rig.result(read(&file, &buffer)) {
        4096 => Ok(()),
        result if result == -libc::EOPNOTSUPP => {
            Err(Skip::Hardware("the device has no poll queues (EOPNOTSUPP)".to_owned()))
        }
        other => panic!("{other}"),
    }
}

fn a_ring_for_polled_devices_refuses_what_cannot_be_polled(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::IOPOLL)?;
    let (reader, _writer) = pipe();
    rig.push(opcode::PollAdd::new(fd(&reader), 1).build().user_data(1));
    assert_eq!(rig.take_one().result(), -libc::EINVAL);
    Ok(())
}

fn a_disabled_ring_takes_nothing_until_it_is_enabled(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::R_DISABLED)?;
    rig.push(nop());
    if !bench.polls() {
        let refused = rig.ring().submit().expect_err("a ring that is disabled");
        assert_eq!(refused.raw_os_error(), Some(libc::EBADFD));
    }
    rig.ring().submitter().register_enable_rings().expect("enabled");
    assert_eq!(rig.take_one().result(), 0);
    Ok(())
}

fn restrictions_forbid_all_but_what_they_allow(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::R_DISABLED)?;
    let mut allowed = [
        Restriction::sqe_op(opcode::Nop::CODE),
        Restriction::sqe_flags_allowed(Flags::IO_LINK.bits()),
        Restriction::register_op(u8::try_from(IORING_REGISTER_FILES).expect("a small number")),
    ];
    let submitter = rig.ring().submitter();
    submitter.register_restrictions(&mut allowed).expect("restrictions");
    submitter.register_enable_rings().expect("enabled");
    let (file, buffer) = (file(b"abc"), Buffer::new(3));
    assert_eq!(rig.result(nop()), 0);
    assert_eq!(rig.result(read(&file, &buffer)), -libc::EACCES);
    assert_eq!(rig.result(nop().flags(Flags::IO_HARDLINK)), -libc::EACCES);
    let submitter = rig.ring().submitter();
    submitter.register_files(&[file.as_raw_fd()]).expect("what is allowed");
    let refused = submitter.register_personality().expect_err("what is not");
    assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
    Ok(())
}

fn a_restriction_may_require_a_flag(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::R_DISABLED)?;
    // What Rust has no name for: `FIXED_FILE`.
    let fixed = 1;
    let mut rules = [Restriction::sqe_op(opcode::Read::CODE), Restriction::sqe_flags_required(fixed)];
    let file = file(b"abc");
    let submitter = rig.ring().submitter();
    submitter.register_files(&[file.as_raw_fd()]).expect("a slot");
    submitter.register_restrictions(&mut rules).expect("restrictions");
    submitter.register_enable_rings().expect("enabled");
    let buffer = Buffer::new(3);
    assert_eq!(rig.result(read(&file, &buffer)), -libc::EACCES);
    assert_eq!(rig.result(opcode::Read::new(Fixed(0), buffer.ptr(), 3).build()), 3);
    Ok(())
}

fn a_request_uses_the_credentials_that_it_names(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Root])?;
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    fs::write(&secret, b"secret").expect("a file");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("permissions");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let mut rig = bench.rig()?;
    let nobody = crate::harness::personality_of_nobody(rig.ring());
    let open = || opcode::OpenAt::new(Fd(libc::AT_FDCWD), path(&secret)).build();
    assert_eq!(rig.result(open().personality(nobody)), -libc::EACCES);
    let descriptor = rig.result(open());
    assert!(descriptor >= 0, "by the credentials of the ring: {descriptor}");
    assert_eq!(rig.result(opcode::Close::new(Fd(descriptor)).build()), 0);
    Ok(())
}

fn unknown_credentials_are_refused(bench: &Bench<'_>) -> Outcome {
    assert_eq!(bench.rig()?.result(nop().personality(404)), -libc::EINVAL);
    Ok(())
}

fn the_limits_of_workers_are_read_and_set(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 15, "IORING_REGISTER_IOWQ_MAX_WORKERS")])?;
    let mut rig = bench.rig()?;
    // The polling thread makes its workers with the first request.
    assert_eq!(rig.result(nop().flags(Flags::ASYNC)), 0);
    let set = |mut limits: [u32; 2]| {
        rig.ring().submitter().register_iowq_max_workers(&mut limits).expect("limits");
        limits
    };
    let before = set([0, 0]);
    assert!(before[0] > 0 && before[1] > 0, "{before:?}");
    assert_eq!(set([2, 3]), before, "a change tells what was before");
    assert_eq!(set([0, 0]), [2, 3], "and zero changes nothing");
    set(before);
    Ok(())
}

fn workers_are_shared_by_rings_that_say_so(bench: &Bench<'_>) -> Outcome {
    let first = bench.rig()?;
    let fd_of_first = first.fd();
    let mut second = bench.rig_with(|setup| {
        setup.flags |= SetupFlags::ATTACH_WQ;
        setup.attach_to = Some(fd_of_first);
    })?;
    assert_eq!(second.result(nop().flags(Flags::ASYNC)), 0);
    let no_ring = file(b"abc");
    let wrong = bench.setup(|setup| {
        setup.flags |= SetupFlags::ATTACH_WQ;
        setup.attach_to = Some(no_ring.as_raw_fd());
    });
    assert_eq!(refusal(bench, &wrong), Some(libc::EINVAL));
    Ok(())
}

fn a_ring_of_one_issuer_refuses_another_thread(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig_with(|setup| setup.flags |= SetupFlags::SINGLE_ISSUER)?;
    assert_eq!(rig.result(nop()), 0);
    rig.push(nop());
    let refused = std::thread::scope(|scope| {
        let ring = rig.ring();
        scope.spawn(move || ring.submit().map_err(|error| error.raw_os_error())).join().expect("the thread")
    });
    assert_eq!(refused, Err(Some(libc::EEXIST)));
    assert_eq!(rig.take_one().result(), 0, "the thread that it belongs to");
    Ok(())
}

fn wide_entries_and_completions_work(bench: &Bench<'_>) -> Outcome {
    let mut rig: Rig<_, _> = bench.wide_rig()?;
    let ((reader, writer), buffer) = (pipe(), Buffer::new(3));
    feed(&writer, b"abc");
    let cqes = rig.batch([read(&reader, &buffer), nop()]);
    assert_eq!(cqes, [3, 0]);
    assert_eq!(buffer.bytes(), b"abc");
    Ok(())
}

/// The errno that a set-up is refused with.
fn refusal(bench: &Bench<'_>, setup: &crate::Setup) -> Option<i32> {
    bench.try_open(setup).err().and_then(|error| std::io::Error::from(error).raw_os_error())
}
