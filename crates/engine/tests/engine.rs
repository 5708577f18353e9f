//! The engine behind a ring, as a program drives it.
#![allow(unsafe_code, reason = "pushes entries whose memory outlives them")]

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use annulus::abi::{Params, SetupFlags};
use annulus::types::{SubmitArgs, Timespec};
use annulus::{IoUring, cqueue, opcode, squeue, types};
use annulus_engine::Engine;

const ETIME: i32 = -62;
const ECANCELED: i32 = -125;

fn ring(flags: SetupFlags) -> IoUring {
    let params = Params { flags: flags.bits(), ..Params::default() };
    let engine = Engine::new(8, params).expect("an engine");
    IoUring::from_backend(Box::new(engine)).expect("a ring of ordinary entries")
}

fn push(ring: &mut IoUring, entry: squeue::Entry, user_data: u64) {
    // SAFETY: the tests keep what entries name until they have ended.
    unsafe { ring.submission().push(&entry.user_data(user_data)) }.expect("there is room");
}

fn results(ring: &mut IoUring) -> Vec<(u64, i32)> {
    ring.completion().map(|cqe: cqueue::Entry| (cqe.user_data(), cqe.result())).collect()
}

#[test]
fn no_ops_complete_in_every_way_of_setting_up() {
    let deferred = SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN;
    for flags in [SetupFlags::empty(), deferred, SetupFlags::NO_SQARRAY, SetupFlags::SQPOLL] {
        let mut ring = ring(flags);
        for user_data in 0..8 {
            push(&mut ring, opcode::Nop::new().build(), user_data);
        }
        ring.submit_and_wait(8).expect("it waits");
        assert_eq!(results(&mut ring), (0..8).map(|n| (n, 0)).collect::<Vec<_>>(), "{flags:?}");
    }
}

#[test]
fn a_chain_ends_with_what_breaks_it() {
    let mut ring = ring(SetupFlags::empty());
    let link = squeue::Flags::IO_LINK;
    push(&mut ring, opcode::Nop::new().build().flags(link), 1);
    push(&mut ring, opcode::Timeout::new(&Timespec::new().nsec(1000)).build().flags(link), 2);
    push(&mut ring, opcode::Nop::new().build(), 3);
    ring.submit_and_wait(3).expect("it waits");
    assert_eq!(results(&mut ring), [(1, 0), (2, ETIME), (3, ECANCELED)]);
}

#[test]
fn a_poll_request_is_told_when_the_pipe_is_written_to() {
    let mut ring = ring(SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN);
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    push(&mut ring, opcode::PollAdd::new(types::Fd(reader.as_raw_fd()), 1).build(), 7);
    ring.submit().expect("it submits");
    assert_eq!(results(&mut ring), []);
    writer.write_all(b"x").expect("room");
    ring.submit_and_wait(1).expect("it waits");
    assert_eq!(results(&mut ring), [(7, 1)]);
    reader.read_exact(&mut [0]).expect("one byte");
}

#[test]
fn completions_come_while_nobody_waits() {
    let mut ring = ring(SetupFlags::empty());
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    push(&mut ring, opcode::PollAdd::new(types::Fd(reader.as_raw_fd()), 1).build(), 7);
    ring.submit().expect("it submits");
    writer.write_all(b"x").expect("room");
    while ring.completion().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(results(&mut ring), [(7, 1)]);
}

#[test]
fn a_wait_gives_up_when_its_time_is_over() {
    let ring = ring(SetupFlags::empty());
    let time = Timespec::from(Duration::from_millis(5));
    let error =
        ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time)).expect_err("nothing comes");
    assert_eq!(error.raw_os_error(), Some(-ETIME));
}

#[test]
fn a_cancelled_request_ends_and_so_does_a_linked_one() {
    let mut ring = ring(SetupFlags::empty());
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let poll = opcode::PollAdd::new(types::Fd(reader.as_raw_fd()), 1).build();
    push(&mut ring, poll.flags(squeue::Flags::IO_LINK), 1);
    push(&mut ring, opcode::LinkTimeout::new(&Timespec::new().nsec(2_000_000)).build(), 2);
    push(&mut ring, poll, 3);
    push(&mut ring, opcode::AsyncCancel::new(3).build(), 4);
    ring.submit_and_wait(4).expect("it waits");
    let mut results = results(&mut ring);
    results.sort_unstable();
    assert_eq!(results, [(1, ECANCELED), (2, ETIME), (3, ECANCELED), (4, 0)]);
}

#[test]
fn reads_past_the_page_cache_go_on_together() {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let path = folder.path().join("data");
    let bytes: Vec<u8> = (0..64 * 4096_u32).map(|n| u8::try_from(n / 4096).expect("below 64")).collect();
    std::fs::write(&path, &bytes).expect("it is written");
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&path);
    let file = file.expect("the file system takes O_DIRECT");
    for flags in [SetupFlags::empty(), SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN] {
        let params = Params { flags: flags.bits(), ..Params::default() };
        let engine = Engine::new(64, params).expect("an engine");
        let mut ring: IoUring = IoUring::from_backend(Box::new(engine)).expect("a ring of ordinary entries");
        let mut memory = vec![0_u8; 65 * 4096];
        let start = memory.as_ptr().align_offset(4096);
        for block in 0..64 {
            let buffer = &mut memory[start + block * 4096..][..4096];
            let read = opcode::Read::new(types::Fd(file.as_raw_fd()), buffer.as_mut_ptr(), 4096);
            let entry = read.offset(4096 * u64::try_from(63 - block).expect("small")).build();
            push(&mut ring, entry, u64::try_from(block).expect("small"));
        }
        ring.submit_and_wait(64).expect("it waits");
        let mut results = results(&mut ring);
        results.sort_unstable();
        assert_eq!(results, (0..64).map(|n| (n, 4096)).collect::<Vec<_>>(), "{flags:?}");
        for block in 0..64_u8 {
            let got = &memory[start + usize::from(block) * 4096..][..4096];
            assert!(got.iter().all(|byte| *byte == 63 - block), "block {block}");
        }
        // In flight when the ring goes: nothing is written afterwards.
        let read = opcode::Read::new(types::Fd(file.as_raw_fd()), memory[start..].as_mut_ptr(), 64 * 4096);
        push(&mut ring, read.offset(0).build(), 64);
        ring.submit().expect("it submits");
        drop(ring);
        memory.fill(0xee);
        assert!(memory.iter().all(|byte| *byte == 0xee));
    }
}

#[test]
fn after_a_ring_is_dropped_nothing_writes_into_the_memory_that_its_reads_named() {
    const READS: usize = 16;
    // Never freed: should the engine write after all, the test says so instead of doing harm.
    let memory: &'static mut [u8] = Box::leak(vec![0; READS * 4096 + 4096].into_boxed_slice());
    let start = memory.as_ptr().align_offset(4096);
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(READS as u64 * 4096).expect("room");
    for round in 0..20 {
        let memory = &mut memory[start..start + READS * 4096];
        memory.fill(0xee);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let direct = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(file.path())
            .expect("a file that is open for direct I/O");
        let mut ring = ring(SetupFlags::empty());
        for (place, block) in memory.chunks_exact_mut(4096).enumerate() {
            // Some wait for the pipe, some are taken to it by a worker, some are under way to the disk.
            let entry = if place % 4 == 0 {
                let offset = place as u64 * 4096;
                opcode::Read::new(types::Fd(direct.as_raw_fd()), block.as_mut_ptr(), 4096)
                    .offset(offset)
                    .build()
            } else {
                opcode::Read::new(types::Fd(reader.as_raw_fd()), block.as_mut_ptr(), 4096).build()
            };
            let is_async = if place % 4 == 1 { squeue::Flags::ASYNC } else { squeue::Flags::empty() };
            push(&mut ring, entry.flags(is_async), place as u64);
            ring.submit().expect("it submits");
        }
        drop(ring);
        memory.fill(0xee);
        writer.write_all(&[0x11; 16 * 4096]).expect("the pipe has room for it");
        // The bytes are all still there for us: nobody else reads.
        let mut left = vec![0; 16 * 4096];
        (&reader).read_exact(&mut left).expect("what was written");
        assert!(left.iter().all(|byte| *byte == 0x11), "round {round}");
        assert!(memory.iter().all(|byte| *byte == 0xee), "round {round}: memory has changed");
    }
}
