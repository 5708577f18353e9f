//! Eventfd, workers, busy polling, synchronous cancelling, on the kernel: each with its effect.
#![allow(unsafe_code, reason = "pushes NOPs and reads into static memory")]
#![allow(clippy::disallowed_methods, reason = "limits of workers belong to a thread")]
#![allow(clippy::print_stdout, reason = "a skip says why")]

mod again;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use annulus::squeue::Flags;
use annulus::types::{CancelBuilder, Fd, Napi, NapiTracking, Timespec};
use annulus::{IoUring, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: the entries of this file are NOPs, polls, and reads into buffers that outlive them.
    unsafe { ring.submission().push(entry) }.expect("room in the queue");
}

fn nop() -> squeue::Entry {
    opcode::Nop::new().build()
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// How often the eventfd was signalled since the last look.
fn signals(eventfd: &OwnedFd) -> u64 {
    let mut count = [0; 8];
    match rustix::io::read(eventfd, &mut count) {
        Ok(_) => u64::from_ne_bytes(count),
        Err(errno) => {
            assert_eq!(errno, Errno::AGAIN);
            0
        }
    }
}

fn complete(ring: &mut IoUring, entry: &squeue::Entry) {
    push(ring, entry);
    ring.submit().unwrap();
    ring.wait().unwrap();
}

#[test]
fn an_eventfd_counts_completions_unless_it_is_silenced() {
    let mut ring = IoUring::new(4).unwrap();
    let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    ring.submitter().register_eventfd(event.as_raw_fd()).unwrap();
    assert_eq!(errno(ring.submitter().register_eventfd(event.as_raw_fd())), Some(libc::EBUSY));
    complete(&mut ring, &nop());
    complete(&mut ring, &nop());
    assert_eq!(signals(&event), 2);

    ring.completion().disable_eventfd();
    assert!(ring.completion().eventfd_disabled());
    complete(&mut ring, &nop());
    assert_eq!(signals(&event), 0);
    ring.completion().set_eventfd_enabled(true).unwrap();
    complete(&mut ring, &nop());
    assert_eq!(signals(&event), 1);

    ring.submitter().unregister_eventfd().unwrap();
    complete(&mut ring, &nop());
    assert_eq!(signals(&event), 0);
    assert_eq!(errno(ring.submitter().unregister_eventfd()), Some(libc::ENXIO));
}

#[test]
fn an_eventfd_for_asynchronous_completions_is_silent_about_inline_ones() {
    let mut ring = IoUring::new(4).unwrap();
    let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    ring.submitter().register_eventfd_async(event.as_raw_fd()).unwrap();
    complete(&mut ring, &nop());
    assert_eq!(signals(&event), 0);
    complete(&mut ring, &nop().flags(Flags::ASYNC));
    assert_eq!(signals(&event), 1);
    ring.submitter().unregister_eventfd().unwrap();
    let no_eventfd = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(errno(ring.submitter().register_eventfd(no_eventfd.as_raw_fd())), Some(libc::EINVAL));
}

#[test]
fn limits_of_workers_are_read_back() {
    // They belong to the thread, and tests share theirs with nobody.
    let thread = std::thread::spawn(|| {
        let ring = IoUring::new(4).unwrap();
        let mut before = [0, 0];
        ring.submitter().register_iowq_max_workers(&mut before).unwrap();
        assert!(before.iter().all(|limit| *limit > 0), "{before:?}");
        let mut limits = [2, 3];
        ring.submitter().register_iowq_max_workers(&mut limits).unwrap();
        assert_eq!(limits, before, "the former limits are written back");
        let mut after = [0, 0];
        ring.submitter().register_iowq_max_workers(&mut after).unwrap();
        assert_eq!(after, [2, 3]);
    });
    thread.join().unwrap();
}

#[test]
fn workers_run_where_they_are_told() {
    let thread = std::thread::spawn(|| {
        let mut ring = IoUring::new(4).unwrap();
        // SAFETY: all zero is the empty set.
        let mut cpus: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: CPU 0 is in the range of the set.
        unsafe { libc::CPU_SET(0, &mut cpus) };
        ring.submitter().register_iowq_aff(&cpus).unwrap();
        complete(&mut ring, &nop().flags(Flags::ASYNC));
        assert_eq!(worker_cpus(), ["0"]);
        ring.submitter().unregister_iowq_aff().unwrap();
    });
    thread.join().unwrap();
}

/// Where the workers of the calling thread may run, as /proc lists it.
fn worker_cpus() -> Vec<String> {
    let name = format!("iou-wrk-{}", rustix::thread::gettid().as_raw_pid());
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok());
    let own = statuses.filter(|status| {
        status.lines().next().and_then(|line| line.strip_prefix("Name:")).map(str::trim) == Some(&name)
    });
    let list = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        line.trim().to_owned()
    };
    own.map(list).collect()
}

#[test]
fn busy_polling_is_set_and_the_former_settings_come_back() {
    let ring = IoUring::new(4).unwrap();
    let mut first = Napi::new().set_busy_poll_timeout(50).set_prefer_busy_poll(true);
    if let Err(error) = ring.submitter().register_napi(&mut first) {
        return println!("SKIP: this kernel was built without busy polling: {error}");
    }
    assert_eq!((first.busy_poll_timeout(), first.prefer_busy_poll()), (0, false), "as it was before");
    let mut second = Napi::new().set_busy_poll_timeout(70);
    ring.submitter().register_napi(&mut second).unwrap();
    assert_eq!((second.busy_poll_timeout(), second.prefer_busy_poll()), (50, true));
    let mut last = Napi::new();
    ring.submitter().unregister_napi(&mut last).unwrap();
    assert_eq!((last.busy_poll_timeout(), last.prefer_busy_poll()), (70, false));
}

#[test]
fn queues_to_be_polled_are_named_with_static_tracking_alone() {
    let ring = IoUring::new(4).unwrap();
    let id = 1 << 20;
    let mut dynamic = Napi::new().set_busy_poll_timeout(50);
    if let Err(error) = ring.submitter().register_napi(&mut dynamic) {
        return println!("SKIP: this kernel was built without busy polling: {error}");
    }
    assert_eq!(errno(ring.submitter().register_napi_add_id(id)), Some(libc::EINVAL), "it finds out itself");
    let mut fixed = Napi::new().set_busy_poll_timeout(50).set_tracking(NapiTracking::Static);
    ring.submitter().register_napi(&mut fixed).unwrap();
    ring.submitter().register_napi_add_id(id).unwrap();
    assert_eq!(errno(ring.submitter().register_napi_add_id(id)), Some(libc::EEXIST));
    ring.submitter().register_napi_del_id(id).unwrap();
    assert_eq!(errno(ring.submitter().register_napi_del_id(id)), Some(libc::ENOENT));
    assert_eq!(errno(ring.submitter().register_napi_add_id(1)), Some(libc::EINVAL), "no such identifier");
}

#[test]
fn what_was_cancelled_has_completed_when_the_call_returns() {
    let mut ring = IoUring::new(8).unwrap();
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let mut byte = [0_u8];
    let read = opcode::Read::new(Fd(reader.as_raw_fd()), byte.as_mut_ptr(), 1).build();
    let poll = opcode::PollAdd::new(Fd(reader.as_raw_fd()), 1).build();
    push(&mut ring, &read.user_data(1));
    push(&mut ring, &poll.user_data(2));
    push(&mut ring, &poll.user_data(3));
    ring.submit().unwrap();
    let cancelled = |ring: &mut IoUring, builder: CancelBuilder| {
        ring.submitter().register_sync_cancel(Some(Timespec::new().sec(60)), builder).unwrap();
        let mut all: Vec<u64> = Vec::new();
        while let Some(cqe) = ring.peek().unwrap() {
            assert_eq!(cqe.result(), -libc::ECANCELED);
            all.push(cqe.user_data());
        }
        all.sort_unstable();
        all
    };
    assert_eq!(cancelled(&mut ring, CancelBuilder::op(opcode::Read::CODE)), [1]);
    assert_eq!(cancelled(&mut ring, CancelBuilder::user_data(3)), [3]);
    let nothing = CancelBuilder::user_data(3);
    assert_eq!(errno(ring.submitter().register_sync_cancel(None, nothing)), Some(libc::ENOENT));
    push(&mut ring, &poll.user_data(4));
    ring.submit().unwrap();
    assert_eq!(cancelled(&mut ring, CancelBuilder::fd(Fd(reader.as_raw_fd())).all()), [2, 4]);
}

#[test]
fn a_call_that_a_worker_is_in_is_interrupted_and_waited_for() {
    let mut ring = IoUring::new(8).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let path = CString::new(path.to_str().unwrap()).unwrap();
    // Nobody ever opens the other end.
    let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).flags(libc::O_RDONLY).build();
    push(&mut ring, &open.flags(Flags::ASYNC).user_data(1));
    ring.submit().unwrap();
    let one = CancelBuilder::user_data(1);
    ring.submitter().register_sync_cancel(Some(Timespec::new().sec(60)), one).unwrap();
    let cqe = ring.peek().unwrap().expect("it has completed");
    assert_eq!(cqe.user_data(), 1);
    // Linux lets out what it means for itself (ERESTARTSYS) where the cancel comes while the worker begins to wait.
    let interrupted = [-libc::ECANCELED, -libc::EINTR, -512];
    assert!(interrupted.contains(&cqe.result()), "{cqe:?}");
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    // The threads of the kernel are found by their name.
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &["workers_run_where_they_are_told"]);
}
