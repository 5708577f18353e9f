//! Mistakes of the `io-uring` crate 0.7.15 that these builders do not make, shown on the kernel.
#![allow(unsafe_code, reason = "pushes entries whose memory outlives their completions")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod again;

use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::ptr;

use annulus::types::{Fd, Fixed};
use annulus::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

/// Runs one operation to its completion.
fn run(ring: &mut IoUring, entry: &squeue::Entry) -> cqueue::Entry {
    // SAFETY: the callers wait here until the kernel is done with what the entry names.
    unsafe { ring.submission().push(entry) }.unwrap();
    ring.submit_and_wait(1).unwrap();
    ring.completion().next().unwrap()
}

#[test]
fn closing_the_slot_of_the_highest_number_leaves_descriptor_zero_open() {
    let mut ring = IoUring::new(8).unwrap();
    ring.submitter().register_files(&[-1, -1]).unwrap();
    rustix::fs::fstat(std::io::stdin()).unwrap();
    let close = run(&mut ring, &opcode::Close::new(Fixed(u32::MAX)).build());
    assert_eq!(close.to_result(), Err(Errno::INVAL), "no table has such a slot");
    rustix::fs::fstat(std::io::stdin()).unwrap();
}

#[test]
fn advice_for_more_than_four_gibibytes_covers_them() {
    let mut ring = IoUring::new(8).unwrap();
    let file = on_disk();
    file.set_len(5 << 30).unwrap();
    // In the last page of 5 GiB, where a length cut to 32 bits (1 GiB) does not reach.
    let last = (5 << 30) - 4096;
    rustix::io::pwrite(&file, &[1; 4096], last).unwrap();
    rustix::fs::fsync(&file).unwrap();
    assert!(is_cached(&file, last));
    let all = opcode::Fadvise::new(Fd(file.as_raw_fd()), 5 << 30, libc::POSIX_FADV_DONTNEED).build();
    assert_eq!(run(&mut ring, &all).to_result(), Ok(0));
    assert!(!is_cached(&file, last), "the advice reached the last page");
    let negative = opcode::Fadvise::new(Fd(file.as_raw_fd()), -1, libc::POSIX_FADV_DONTNEED).build();
    assert_eq!(run(&mut ring, &negative).to_result(), Err(Errno::INVAL));
}

/// A file that has a page cache to leave: temporary files may be in memory.
fn on_disk() -> std::fs::File {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Another machine than that on which this was built has no such folder.
    if target.is_dir() { tempfile::tempfile_in(target).unwrap() } else { tempfile::tempfile().unwrap() }
}

/// Whether the page at this offset is in the page cache.
fn is_cached(file: &std::fs::File, offset: u64) -> bool {
    use rustix::io::ReadWriteFlags;
    let mut page = [0; 4096];
    let room = std::io::IoSliceMut::new(&mut page);
    rustix::io::preadv2(file, &mut [room], offset, ReadWriteFlags::NOWAIT) == Ok(4096)
}

#[test]
fn advice_for_more_than_four_gibibytes_of_memory_covers_them() {
    let mut ring = IoUring::new(8).unwrap();
    let len = (4 << 30) + 8192;
    let flags = rustix::mm::MapFlags::PRIVATE | rustix::mm::MapFlags::NORESERVE;
    // SAFETY: new memory of our own, unmapped below.
    let memory =
        unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, rustix::mm::ProtFlags::READ, flags) };
    let memory = memory.unwrap();
    // Cut to 32 bits the length would be 8192, and the end of the mapping keep its flags.
    let hint = opcode::Madvise::new(memory, i64::try_from(len).unwrap(), libc::MADV_RANDOM).build();
    assert_eq!((hint.get_len(), hint.get_off()), (0, len as u64));
    assert_eq!(run(&mut ring, &hint).to_result(), Ok(0));
    assert!(flags_at(memory.addr() + len - 4096).contains("rr"), "the advice reached the last page");
    // SAFETY: what was mapped above, which nobody uses any more.
    unsafe { rustix::mm::munmap(memory, len) }.unwrap();
}

/// The flags of the mapping that this address lies in (`VmFlags` of proc_pid_smaps(5)).
fn flags_at(address: usize) -> String {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut here = false;
    for line in maps.lines() {
        let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
        let bound = |text| usize::from_str_radix(text, 16).ok();
        if let Some((Some(start), Some(end))) = range.map(|(start, end)| (bound(start), bound(end))) {
            here = (start..end).contains(&address);
        } else if let (true, Some(flags)) = (here, line.strip_prefix("VmFlags:")) {
            return flags.to_owned();
        }
    }
    panic!("{address:#x} is not mapped")
}

#[test]
fn the_kernel_writes_who_ended_where_the_pointer_says() {
    let mut ring = IoUring::new(8).unwrap();
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let wait = opcode::WaitId::new(libc::P_PID, child.id(), libc::WEXITED | libc::WNOWAIT)
        .infop(info.as_mut_ptr())
        .build();
    // SAFETY: `info` is there until the completion below.
    unsafe { ring.submission().push(&wait) }.unwrap();
    ring.submit().unwrap();
    drop(child.stdin.take());
    ring.submit_and_wait(1).unwrap();
    assert_eq!(ring.completion().next().unwrap().to_result(), Ok(0));
    // SAFETY: zeroed, and written by the kernel since.
    let info = unsafe { info.assume_init() };
    assert_eq!((info.si_signo, info.si_code), (libc::SIGCHLD, libc::CLD_EXITED));
    // SAFETY: the signal number says that the answer is about a child.
    assert_eq!(unsafe { info.si_pid() }, child.id().cast_signed());
    child.wait().unwrap();
}

#[test]
fn a_multishot_read_of_a_registered_file_reads_that_file() {
    let mut ring = IoUring::new(8).unwrap();
    let (read, mut write) = std::io::pipe().unwrap();
    ring.submitter().register_files(&[-1, read.as_raw_fd()]).unwrap();
    let mut room = [0u8; 64];
    let provide = opcode::ProvideBuffers::new(room.as_mut_ptr(), 64, 1, 5, 0).build();
    assert!(run(&mut ring, &provide).result() >= 0);
    write.write_all(b"from slot one").unwrap();
    let entry = opcode::ReadMulti::new(Fixed(1), 0, 5).build();
    assert!(entry.get_flags().contains(squeue::Flags::FIXED_FILE | squeue::Flags::BUFFER_SELECT));
    let cqe = run(&mut ring, &entry);
    assert_eq!((cqe.to_result(), cqe.buffer_id()), (Ok(13), Some(0)));
    assert_eq!(&room[..13], b"from slot one");
    // The read that may still be armed ends with the ring, before `room` goes away: no buffer is left for it.
    drop(write);
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
