//! Forms of operations that the `io-uring` crate 0.7.15 has no builder for, on the kernel: flags of NOPs, changed
//! polls, cancels by key, messages, futexes, raw entries. Sockets are in `opcode_sockets`.
#![allow(unsafe_code, reason = "pushes entries whose memory outlives their completions")]
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "a skip says why")]

mod again;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::AtomicU32;

use annulus::abi::{FUTEX_BITSET_MATCH_ANY, IORING_OP_READ};
use annulus::types::{
    CancelBuilder, DestinationSlot, Fd, Fixed, FixedFdFlags, Futex2Flags, MsgRingFlags, Target, Timespec,
};
use annulus::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

fn ring() -> IoUring {
    IoUring::new(8).unwrap()
}

fn push<C: cqueue::EntryMarker>(ring: &mut IoUring<squeue::Entry, C>, entry: squeue::Entry, user_data: u64) {
    // SAFETY: what the entries of these tests name outlives the ring or their completions.
    unsafe { ring.submission().push(&entry.user_data(user_data)) }.unwrap();
}

/// Submits, waits for `count` completions and gives `(user data, result)` in the order of the user data.
fn results(ring: &mut IoUring, count: usize) -> Vec<(u64, Result<u32, Errno>)> {
    ring.submit_and_wait(count).unwrap();
    let mut all: Vec<_> = ring.completion().map(|cqe| (cqe.user_data(), cqe.to_result())).collect();
    assert_eq!(all.len(), count);
    all.sort_by_key(|(user_data, _)| *user_data);
    all
}

fn run(ring: &mut IoUring, entry: squeue::Entry) -> Result<u32, Errno> {
    push(ring, entry, 1);
    results(ring, 1)[0].1
}

#[test]
fn a_nop_completes_with_what_it_is_told() {
    let mut ring = ring();
    assert_eq!(run(&mut ring, opcode::Nop::new().inject_result(42).build()), Ok(42));
    assert_eq!(run(&mut ring, opcode::Nop::new().inject_result(-libc::EXDEV).build()), Err(Errno::XDEV));
    let beyond = opcode::Nop::new().inject_result(-5000).build();
    assert_eq!(run(&mut ring, beyond), Err(Errno::OVERFLOW), "no errno, no panic");
    assert_eq!(run(&mut ring, opcode::Nop::new().task_work(true).build()), Ok(0));
}

#[test]
fn a_nop_looks_files_and_buffers_up() {
    let mut ring = ring();
    let file = File::open("/").unwrap();
    ring.submitter().register_files(&[file.as_raw_fd()]).unwrap();
    assert_eq!(run(&mut ring, opcode::Nop::new().file(Fd(file.as_raw_fd())).build()), Ok(0));
    assert_eq!(run(&mut ring, opcode::Nop::new().file(Fixed(0)).build()), Ok(0));
    assert_eq!(run(&mut ring, opcode::Nop::new().file(Fixed(9)).build()), Err(Errno::BADF));
    assert_eq!(run(&mut ring, opcode::Nop::new().file(Target::Fd(-1)).build()), Err(Errno::BADF));
    assert_eq!(run(&mut ring, opcode::Nop::new().fixed_buffer(3).build()), Err(Errno::FAULT));
}

#[test]
fn a_nop_carries_sixteen_bytes_more_on_a_ring_with_room_for_them() {
    let mut ring: IoUring<squeue::Entry, cqueue::Entry32> = IoUring::builder().build(8).unwrap();
    push(&mut ring, opcode::Nop::new().cqe32([7, 8]).build(), 1);
    ring.submit_and_wait(1).unwrap();
    let cqe = ring.completion().next().unwrap();
    assert_eq!((cqe.to_result(), cqe.big_cqe()), (Ok(0), &[7, 8]));
    let mut narrow = self::ring();
    assert_eq!(run(&mut narrow, opcode::Nop::new().cqe32([7, 8]).build()), Err(Errno::INVAL));
}

#[test]
fn entries_of_128_bytes_are_taken_where_the_kernel_has_their_operations() {
    let mut ring: IoUring<squeue::Entry128, cqueue::Entry> = IoUring::builder().build(8).unwrap();
    let wide = opcode::Nop128::new().inject_result(9).build().user_data(1);
    let command = opcode::UringCmd128::new(Fd(-1), 0).cmd([1; 80]).build().user_data(2);
    // SAFETY: neither names memory.
    unsafe { ring.submission().push_multiple(&[wide, command]) }.unwrap();
    ring.submit_and_wait(1).unwrap();
    let cqe = ring.completion().next().unwrap();
    // Linux 6.19 has them; 6.18 does not know the numbers.
    assert!(matches!(cqe.to_result(), Ok(9) | Err(Errno::INVAL)), "{cqe:?}");
}

#[test]
fn a_poll_changes_its_events_and_its_user_data_while_it_waits() {
    let mut ring = ring();
    let (read, write) = std::io::pipe().unwrap();
    let readable = u32::from(libc::POLLIN.cast_unsigned());
    // The writing end is ready at once for writing, never for reading.
    let poll = opcode::PollAdd::new(Fd(write.as_raw_fd()), readable).build();
    push(&mut ring, poll, 1);
    ring.submit().unwrap();
    let writable = u32::from(libc::POLLOUT.cast_unsigned());
    let update = opcode::PollUpdate::new(1).events(writable).new_user_data(5).build();
    push(&mut ring, update, 2);
    assert_eq!(results(&mut ring, 2), [(2, Ok(0)), (5, Ok(writable))]);
    assert_eq!(run(&mut ring, opcode::PollUpdate::new(1).new_user_data(5).build()), Err(Errno::NOENT));
    drop(read);
}

#[test]
fn a_level_triggered_poll_is_refused_by_the_kernels_that_name_its_flag() {
    let mut ring = ring();
    let (read, _write) = std::io::pipe().unwrap();
    let poll = opcode::PollAdd::new(Fd(read.as_raw_fd()), 1).level(true).multi(true).build();
    assert_eq!(poll.get_len(), 0b1001);
    assert_eq!(run(&mut ring, poll), Err(Errno::INVAL));
}

/// Three requests that wait: a read and a poll of one pipe, and a read of another.
fn three_waiting(ring: &mut IoUring) -> [OwnedFd; 4] {
    let [(a, b), (c, d)] = [(); 2].map(|()| std::io::pipe().unwrap());
    let room = Box::leak(Box::new([0u8; 8]));
    push(ring, opcode::Read::new(Fd(a.as_raw_fd()), room.as_mut_ptr(), 4).build(), 1);
    push(ring, opcode::PollAdd::new(Fd(a.as_raw_fd()), 1).build(), 2);
    push(ring, opcode::Read::new(Fd(c.as_raw_fd()), room[4..].as_mut_ptr(), 4).build(), 2);
    ring.submit().unwrap();
    [a.into(), b.into(), c.into(), d.into()]
}

#[test]
fn a_cancel_finds_requests_by_operation_file_and_user_data_together() {
    let mut ring = ring();
    let pipes = three_waiting(&mut ring);
    let cancel = |builder| opcode::AsyncCancel2::new(builder).build();
    let first = Fd(pipes[0].as_raw_fd());
    // The read of the first pipe: not the poll, which has another operation, nor the other read.
    push(&mut ring, cancel(CancelBuilder::fd(first).and_op(opcode::Read::CODE)), 9);
    assert_eq!(results(&mut ring, 2), [(1, Err(Errno::CANCELED)), (9, Ok(0))]);
    // Of the two that carry 2 the poll, and then none with this key is left.
    let key = || CancelBuilder::user_data(2).and_op(opcode::PollAdd::CODE);
    push(&mut ring, cancel(key()), 9);
    assert_eq!(results(&mut ring, 2), [(2, Err(Errno::CANCELED)), (9, Ok(0))]);
    assert_eq!(run(&mut ring, cancel(key())), Err(Errno::NOENT));
    push(&mut ring, cancel(CancelBuilder::op(opcode::Read::CODE).all()), 9);
    assert_eq!(results(&mut ring, 2), [(2, Err(Errno::CANCELED)), (9, Ok(1))]);
}

#[test]
fn a_span_in_the_entry_itself_needs_no_memory_where_the_kernel_knows_it() {
    let mut ring = ring();
    let timeout = run(&mut ring, opcode::Timeout::immediate(1_000_000).build());
    match timeout {
        Err(Errno::TIME) => {}
        Err(Errno::INVAL) => eprintln!("SKIP: this kernel is older than 7.1, which has immediate timeouts"),
        other => panic!("{other:?}"),
    }
    let update = opcode::TimeoutUpdate::immediate(7, 5).build();
    assert_eq!((update.get_addr(), update.get_off(), update.get_op_flags()), (7, 5, 0x82));
    let link = opcode::LinkTimeout::immediate(5).build();
    assert_eq!((link.get_addr(), link.get_len(), link.get_op_flags()), (5, 1, 0x80));
}

#[test]
fn an_update_gives_a_timeout_another_time() {
    let mut ring = ring();
    let (late, soon) = (Timespec::new().sec(3600), Timespec::new().nsec(1_000_000));
    push(&mut ring, opcode::Timeout::new(&late).build(), 1);
    ring.submit().unwrap();
    push(&mut ring, opcode::TimeoutUpdate::new(1, &soon).build(), 2);
    assert_eq!(results(&mut ring, 2), [(1, Err(Errno::TIME)), (2, Ok(0))]);
}

#[test]
fn a_message_carries_flags_and_a_descriptor_may_come_without_a_completion() {
    let (mut here, mut there) = (ring(), ring());
    let other = Fd(there.as_raw_fd());
    let flags = Some(0x8000_0001);
    push(&mut here, opcode::MsgRingData::new(other, 17, 4, flags).build(), 1);
    assert_eq!(results(&mut here, 1), [(1, Ok(0))]);
    let cqe = there.wait().unwrap();
    assert_eq!((cqe.user_data(), cqe.result(), cqe.buffer_id()), (4, 17, Some(0x8000)));

    let file = File::open("/").unwrap();
    here.submitter().register_files(&[file.as_raw_fd()]).unwrap();
    there.submitter().register_files_sparse(2).unwrap();
    let slot = DestinationSlot::try_from_slot_target(1).unwrap();
    let silent = opcode::MsgRingSendFd::new(other, Fixed(0), slot, 5)
        .opcode_flags(MsgRingFlags::CQE_SKIP.bits())
        .build();
    assert_eq!(run(&mut here, silent), Ok(0));
    there.submitter().get_events().unwrap();
    assert!(there.completion().next().is_none(), "no completion was asked for");
    assert_eq!(run(&mut there, opcode::Nop::new().file(Fixed(1)).build()), Ok(0), "the file is there");
}

#[test]
fn a_slot_becomes_a_descriptor_that_survives_execve_only_when_asked() {
    let mut ring = ring();
    let file = File::open("/").unwrap();
    ring.submitter().register_files(&[file.as_raw_fd()]).unwrap();
    for (flags, close_on_exec) in [(FixedFdFlags::empty(), true), (FixedFdFlags::NO_CLOEXEC, false)] {
        let fd = run(&mut ring, opcode::FixedFdInstall::new(Fixed(0), flags.bits()).build()).unwrap();
        // SAFETY: the kernel made it for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) };
        let flags = rustix::io::fcntl_getfd(fd.as_fd()).unwrap();
        assert_eq!(flags.contains(rustix::io::FdFlags::CLOEXEC), close_on_exec);
    }
}

#[test]
fn a_futex_wait_is_woken_by_a_futex_wake_of_the_same_size() {
    let mut ring = ring();
    let futex = AtomicU32::new(3);
    let flags = (Futex2Flags::SIZE_U32 | Futex2Flags::PRIVATE).bits();
    let wait = |value| opcode::FutexWait::new(futex.as_ptr(), value, FUTEX_BITSET_MATCH_ANY, flags).build();
    assert_eq!(run(&mut ring, wait(4)), Err(Errno::AGAIN), "it has another value");
    push(&mut ring, wait(3), 1);
    ring.submit().unwrap();
    push(&mut ring, opcode::FutexWake::new(futex.as_ptr(), 1, FUTEX_BITSET_MATCH_ANY, flags).build(), 2);
    assert_eq!(results(&mut ring, 2), [(1, Ok(0)), (2, Ok(1))]);
}

#[test]
fn a_raw_entry_does_what_the_builder_of_its_operation_does() {
    let mut ring = ring();
    let (read, mut write) = std::io::pipe().unwrap();
    write.write_all(b"raw").unwrap();
    let mut room = [0u8; 8];
    let raw = opcode::Raw::new(IORING_OP_READ)
        .target(Fd(read.as_raw_fd()))
        .addr(ptr::from_mut(&mut room).expose_provenance() as u64)
        .len(8)
        .build();
    assert_eq!(run(&mut ring, raw), Ok(3));
    assert_eq!(&room[..3], b"raw");
    assert_eq!(run(&mut ring, opcode::Raw::new(250).fd(-1).build()), Err(Errno::INVAL));
}

#[test]
fn a_command_is_given_only_to_files_that_have_commands() {
    let mut ring = ring();
    let file = tempfile::tempfile().unwrap();
    let fd = Fd(file.as_raw_fd());
    assert_eq!(run(&mut ring, opcode::UringCmd16::new(fd, 1).build()), Err(Errno::OPNOTSUPP));
    assert_eq!(run(&mut ring, opcode::BlockDiscard::new(fd, 0, 4096).build()), Err(Errno::OPNOTSUPP));
    let multishot = opcode::UringCmd16::new(fd, 1).multishot(7).build();
    assert_eq!((multishot.get_op_flags(), multishot.get_buf_index()), (0b10, 7));
    assert_eq!(run(&mut ring, multishot), Err(Errno::OPNOTSUPP));
    // A registered buffer and a provided one at once are refused before the file is asked.
    let both = opcode::UringCmd16::new(fd, 1).buf_index(Some(1)).multishot(7).build();
    assert_eq!(run(&mut ring, both), Err(Errno::INVAL));
}

/// A loop device on a file, taken off it at the end.
struct LoopDevice(File);

impl LoopDevice {
    const GET_FREE: libc::Ioctl = 0x4c82;
    const SET_FD: libc::Ioctl = 0x4c00;
    const CLR_FD: libc::Ioctl = 0x4c01;

    fn on(file: &File) -> std::io::Result<Self> {
        let control = File::options().read(true).write(true).open("/dev/loop-control")?;
        // SAFETY: takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), Self::GET_FREE) };
        let device = File::options().read(true).write(true).open(format!("/dev/loop{number}"))?;
        // SAFETY: takes a descriptor.
        if unsafe { libc::ioctl(device.as_raw_fd(), Self::SET_FD, file.as_raw_fd()) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self(device))
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // SAFETY: takes no argument.
        unsafe { libc::ioctl(self.0.as_raw_fd(), Self::CLR_FD, 0) };
    }
}

#[test]
fn a_discarded_range_of_a_block_device_reads_as_zeroes() {
    let mut ring = ring();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[0xee; 64 << 10]).unwrap();
    let device = match LoopDevice::on(&file) {
        Ok(device) => device,
        Err(error) => return eprintln!("SKIP: no loop device: {error}"),
    };
    let discard = opcode::BlockDiscard::new(Fd(device.0.as_raw_fd()), 4096, 8192).build();
    match run(&mut ring, discard) {
        Ok(result) => assert_eq!(result, 0),
        Err(Errno::OPNOTSUPP) => {
            return eprintln!("SKIP: the file system of the temporary files cannot discard");
        }
        Err(errno) => panic!("{errno:?}"),
    }
    let mut all = vec![0; 16 << 10];
    rustix::io::pread(&file, &mut all, 0).unwrap();
    assert!(all[..4096].iter().chain(&all[12288..]).all(|byte| *byte == 0xee));
    assert!(all[4096..12288].iter().all(|byte| *byte == 0));
}

#[test]
fn integrity_data_reaches_the_kernel() {
    let mut ring = ring();
    let file = tempfile::tempfile().unwrap();
    let mut room = [0u8; 512];
    let info = annulus::types::AttrPi { len: 8, rsvd: 1, ..Default::default() };
    let read = opcode::Read::new(Fd(file.as_raw_fd()), room.as_mut_ptr(), 512).protection_info(&info).build();
    assert_eq!((read.get_addr3(), read.sqe().pad2), (ptr::from_ref(&info).addr() as u64, 1));
    // Read by the kernel, which sees the reserved field.
    assert_eq!(run(&mut ring, read), Err(Errno::INVAL));
    let write = opcode::Write::new(Fd(file.as_raw_fd()), room.as_ptr(), 512)
        .protection_info(ptr::without_provenance(8))
        .build();
    assert_eq!(run(&mut ring, write), Err(Errno::FAULT));
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
