//! Reads and writes on the host, step by step.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use annulus_abi::*;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::*;
use crate::buffers::Batch;
use crate::files::{RingTest, Source};
use crate::op::testing::{Stand, at, at_mut, entry, failed};
use crate::op::{Op, Tables};
use crate::world::Vouched;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("its bytes");
    file
}

fn contents(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().expect("the beginning");
    file.read_to_end(&mut bytes).expect("the bytes");
    bytes
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).expect("a pipe")
}

fn read(file: &impl AsRawFd, into: &mut [u8], offset: u64) -> Sqe {
    let len = u32::try_from(into.len()).unwrap();
    Sqe { addr: at_mut(into), len, off: offset, ..entry(IORING_OP_READ, file.as_raw_fd()) }
}

fn write(file: &impl AsRawFd, from: &[u8], offset: u64) -> Sqe {
    let len = u32::try_from(from.len()).unwrap();
    Sqe { addr: at(from), len, off: offset, ..entry(IORING_OP_WRITE, file.as_raw_fd()) }
}

/// A read of group 1.
fn select(file: &impl AsRawFd, wanted: u32) -> Sqe {
    let flags = SqeFlags::BUFFER_SELECT.bits();
    Sqe { flags, buf_index: 1, len: wanted, ..entry(IORING_OP_READ, file.as_raw_fd()) }
}

/// Gives buffers of 16 bytes to group 1.
fn provide(tables: &mut Tables, memory: &mut [u8], first: u16) {
    let batch = Batch {
        addr: at_mut(memory),
        len: 16,
        count: u32::try_from(memory.len() / 16).unwrap(),
        first_id: first,
    };
    tables.groups.provide(Vouched::in_tests(), 1, batch).expect("a group");
}

/// Registers one buffer.
fn register(stand: &mut Stand, memory: &mut [u8]) {
    let iovec = [usize::try_from(at_mut(memory)).unwrap(), memory.len()];
    let source = Source { world: &stand.world, vouched: Vouched::in_tests(), rings: RingTest::default() };
    stand.tables.buffers.register(&source, 1, at(&iovec), 0).expect("a buffer");
}

#[test]
fn reads_and_writes_stay_small_enough_to_be_moved() {
    assert!(size_of::<Op>() <= 96, "{} bytes", size_of::<Op>());
}

#[test]
fn a_read_goes_to_its_offset_and_severs_if_it_is_short() {
    let (mut stand, file, mut into) = (Stand::new(), file(b"0123456789"), [0; 8]);
    assert_eq!(stand.run(&read(&file, &mut into[..4], 3)), Outcome::success(4));
    assert_eq!(&into[..4], b"3456");
    let short = stand.run(&read(&file, &mut into, 6));
    assert_eq!(short, Outcome { severs: true, ..Outcome::success(4) });
    assert_eq!(&into[..4], b"6789");
    assert_eq!(stand.run(&read(&file, &mut into, 10)), Outcome { severs: true, ..Outcome::success(0) });
}

#[test]
fn the_position_of_a_file_moves_only_without_an_offset() {
    let (mut stand, mut file, mut into) = (Stand::new(), file(b"0123456789"), [0; 4]);
    file.rewind().unwrap();
    assert_eq!(stand.result(&read(&file, &mut into, 5)), 4);
    assert_eq!(stand.result(&read(&file, &mut into, u64::MAX)), 4);
    assert_eq!((&into, file.stream_position().unwrap()), (b"0123", 4));
    assert_eq!(stand.result(&write(&file, b"ab", u64::MAX)), 2);
    assert_eq!(contents(&mut file), b"0123ab6789");
}

#[test]
fn a_write_goes_to_its_offset_or_to_the_end() {
    let (mut stand, mut file) = (Stand::new(), file(b"0123"));
    assert_eq!(stand.result(&write(&file, b"ab", 1)), 2);
    let append = Sqe { op_flags: RwFlags::APPEND.bits(), ..write(&file, b"cd", 0) };
    assert_eq!(stand.result(&append), 2);
    assert_eq!(contents(&mut file), b"0ab3cd");
}

#[test]
fn buffered_writes_to_one_file_have_the_same_hash() {
    let (mut stand, one, other) = (Stand::new(), file(b""), file(b""));
    let again = one.try_clone().unwrap();
    let mut hash = |file: &File| {
        let mut op = stand.prepare(&write(file, b"x", 0)).unwrap();
        match stand.attempt(&mut op, file.as_raw_fd(), Turn::Worker) {
            Step::Block(Work { lane: Lane::Bounded, hash }) => hash.expect("a hash"),
            step => panic!("{step:?}"),
        }
    };
    assert_eq!(hash(&one), hash(&again));
    assert_ne!(hash(&one), hash(&other));
}

#[test]
fn a_list_is_filled_one_buffer_after_the_other() {
    let (mut stand, mut file, mut a, mut b) = (Stand::new(), file(b"0123456789"), [0; 3], [0; 4]);
    let list = [[at_mut(&mut a[..]), 3], [at_mut(&mut b[..]), 4]];
    let vectored = |opcode| Sqe { addr: at(&list), len: 2, off: 1, ..entry(opcode, file.as_raw_fd()) };
    let (readv, writev) = (vectored(IORING_OP_READV), vectored(IORING_OP_WRITEV));
    assert_eq!(stand.run(&readv), Outcome::success(7));
    assert_eq!((&a, &b), (b"123", b"4567"));
    let at_end = Sqe { off: 10, ..writev };
    assert_eq!(stand.result(&at_end), 7);
    assert_eq!(contents(&mut file), b"01234567891234567");
}

#[test]
fn lists_that_cannot_be_are_refused() {
    let (stand, file) = (Stand::new(), file(b""));
    let readv = |list: u64, len| Sqe { addr: list, len, ..entry(IORING_OP_READV, file.as_raw_fd()) };
    let refused = |sqe| stand.prepare(&sqe).err();
    assert_eq!(refused(readv(0, 1025)), Some(Errno::INVAL));
    assert_eq!(refused(readv(8, 1)), Some(Errno::FAULT));
    assert_eq!(refused(readv(at(&[8, u64::MAX]), 1)), Some(Errno::INVAL));
    assert_eq!(refused(readv(at(&[1_u64 << 63, 1]), 1)), Some(Errno::FAULT));
    assert_eq!(refused(readv(0, 0)), None, "nothing to be read");
}

#[test]
fn a_socket_has_no_offset_but_the_first() {
    let (mut stand, mut into) = (Stand::new(), [0; 4]);
    let (here, mut there) = std::os::unix::net::UnixStream::pair().expect("a pair");
    there.write_all(b"ringring").expect("room");
    assert_eq!(stand.result(&read(&here, &mut into, 4)), failed(Errno::SPIPE));
    assert_eq!(stand.result(&read(&here, &mut into, 0)), 4);
    assert_eq!(&into, b"ring");
}

#[test]
fn an_empty_pipe_is_waited_for_whatever_its_offset() {
    let (mut stand, (reader, writer), mut into) = (Stand::new(), pipe(), [0; 8]);
    for offset in [0, 5, u64::MAX] {
        let mut op = stand.prepare(&read(&reader, &mut into, offset)).unwrap();
        let first = stand.attempt(&mut op, reader.as_raw_fd(), Turn::Inline);
        assert!(matches!(first, Step::Wait(Interest { events: READABLE, on: None })), "{first:?}");
        rustix::io::write(&writer, b"abc").unwrap();
        let second = stand.attempt(&mut op, reader.as_raw_fd(), Turn::Ready(READABLE));
        let Step::Done(outcome) = second else { panic!("{second:?}") };
        assert_eq!(outcome, Outcome { severs: true, ..Outcome::success(3) });
        assert_eq!(&into[..3], b"abc");
    }
}

#[test]
fn a_pipe_is_waited_for_even_with_o_nonblock_but_not_with_rwf_nowait() {
    let (mut stand, mut into) = (Stand::new(), [0; 8]);
    let (reader, _writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
    let mut op = stand.prepare(&read(&reader, &mut into, 0)).unwrap();
    assert!(matches!(stand.attempt(&mut op, reader.as_raw_fd(), Turn::Inline), Step::Wait(_)));
    let at_once = Sqe { op_flags: RwFlags::NOWAIT.bits(), ..read(&reader, &mut into, 0) };
    assert_eq!(stand.result(&at_once), failed(Errno::AGAIN));
}

#[test]
fn a_full_pipe_takes_what_it_can_and_is_waited_for() {
    let (mut stand, (reader, writer)) = (Stand::new(), pipe());
    let bytes = vec![7; 100_000];
    let first = stand.run(&write(&writer, &bytes, 0));
    assert_eq!(first, Outcome { severs: true, ..Outcome::success(65_536) });
    let mut op = stand.prepare(&write(&writer, &bytes, 0)).unwrap();
    let step = stand.attempt(&mut op, writer.as_raw_fd(), Turn::Inline);
    assert!(matches!(step, Step::Wait(Interest { events: WRITABLE, on: None })), "{step:?}");
    drop(reader);
}

#[test]
fn an_eventfd_is_waited_for_and_read() {
    let (mut stand, mut into) = (Stand::new(), [0; 8]);
    let counter = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let mut op = stand.prepare(&read(&counter, &mut into, 0)).unwrap();
    assert!(matches!(stand.attempt(&mut op, counter.as_raw_fd(), Turn::Inline), Step::Wait(_)));
    assert_eq!(stand.result(&write(&counter, &5_u64.to_ne_bytes(), 0)), 8);
    let step = stand.attempt(&mut op, counter.as_raw_fd(), Turn::Ready(READABLE));
    assert!(matches!(step, Step::Done(Outcome { result: 8, .. })), "{step:?}");
    assert_eq!(into, 5_u64.to_ne_bytes());
}

#[test]
fn a_worker_reads_what_the_page_cache_has_not() {
    let (mut stand, mut into) = (Stand::new(), [0; 4]);
    // The file system of shared memory does not know RWF_NOWAIT.
    let memory = File::from(rustix::fs::memfd_create("read", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    (&memory).write_all(b"0123").unwrap();
    assert_eq!(stand.run(&read(&memory, &mut into, 1)), Outcome { severs: true, ..Outcome::success(3) });
    assert_eq!(&into[..3], b"123");
    assert_eq!(stand.run(&write(&memory, b"ab", 1)), Outcome::success(2));
    let at_once = Sqe { op_flags: RwFlags::NOWAIT.bits(), ..read(&memory, &mut into, 0) };
    let refused = stand.result(&at_once);
    assert!([4, failed(Errno::OPNOTSUPP)].contains(&refused), "{refused}");
}

#[test]
fn direct_reads_go_on_by_themselves_or_on_a_worker() {
    let (mut stand, dir) = (Stand::new(), tempfile::tempdir().unwrap());
    let path = dir.path().join("direct");
    std::fs::write(&path, [5; 8192]).unwrap();
    let mut memory = vec![0; 8192];
    let start = memory.as_ptr().align_offset(4096);
    let open =
        |flags| File::from(rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).expect("the file"));
    let file = open(OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC);
    let mut op = stand.prepare(&read(&file, &mut memory[start..start + 4096], 4096)).unwrap();
    let step = stand.attempt(&mut op, file.as_raw_fd(), Turn::Inline);
    assert!(matches!(step, Step::Start(Direct { offset: 4096, .. }, _)), "{step:?}");
    let step = stand.block(&mut op, file.as_raw_fd());
    assert!(matches!(step, Step::Done(Outcome { result: 4096, severs: false, .. })), "{step:?}");
    assert_eq!(memory[start..start + 4096], [5; 4096]);
    stand.iopoll = true;
    let buffered = open(OFlags::RDONLY | OFlags::CLOEXEC);
    assert_eq!(stand.result(&read(&buffered, &mut memory, 0)), failed(Errno::OPNOTSUPP));
}

#[test]
fn errors_are_those_of_the_kernel() {
    let (mut stand, (reader, writer), mut into) = (Stand::new(), pipe(), [0; 4]);
    let file = file(b"0123");
    assert_eq!(stand.result(&read(&writer, &mut into, 0)), failed(Errno::BADF));
    assert_eq!(stand.result(&write(&reader, b"x", 0)), failed(Errno::BADF));
    assert_eq!(stand.result(&read(&file, &mut into, u64::MAX - 1)), failed(Errno::INVAL));
    assert_eq!(stand.result(&Sqe { addr: 8, ..read(&file, &mut into, 0) }), failed(Errno::FAULT));
    let with_flags = |op_flags, file: &File| Sqe { op_flags, ..read(file, &mut [0; 4], 0) };
    assert_eq!(stand.result(&with_flags(1 << 30, &file)), failed(Errno::OPNOTSUPP));
    assert_eq!(stand.result(&with_flags(RwFlags::HIPRI.bits(), &file)), failed(Errno::INVAL));
    let dir = File::open("/").unwrap();
    assert_eq!(stand.result(&read(&dir, &mut into, 0)), failed(Errno::ISDIR));
    assert_eq!(stand.result(&Sqe { fd: -1, ..read(&file, &mut into, 0) }), failed(Errno::BADF));
}

#[test]
fn what_cannot_be_prepared_is_told_before_it_is_tried() {
    let (stand, file, mut into) = (Stand::new(), file(b""), [0; 4]);
    let mut refused = |change: fn(&mut Sqe)| {
        let mut sqe = read(&file, &mut into, 0);
        change(&mut sqe);
        stand.prepare(&sqe).err()
    };
    assert_eq!(refused(|sqe| sqe.ioprio = 7 << 13), Some(Errno::INVAL));
    assert_eq!(refused(|sqe| sqe.ioprio = 3), Some(Errno::INVAL), "a level without a class");
    assert_eq!(refused(|sqe| sqe.ioprio = 2 << 13 | 4), None);
    assert_eq!(refused(|sqe| sqe.pad2 = 2), Some(Errno::INVAL));
    assert_eq!(refused(|sqe| sqe.pad2 = 1), Some(Errno::FAULT));
    assert_eq!(refused(|sqe| sqe.addr = 1 << 63), Some(Errno::FAULT));
    assert_eq!(refused(|sqe| sqe.opcode = IORING_OP_READ_MULTISHOT), Some(Errno::INVAL), "no group");
}

#[test]
fn protection_information_is_for_no_file_here() {
    let (mut stand, file, mut into) = (Stand::new(), file(b"0123"), [0; 4]);
    let attribute = AttrPi::default();
    let sqe = Sqe { pad2: RwAttrFlags::PI.bits(), addr3: at(&attribute), ..read(&file, &mut into, 0) };
    assert_eq!(stand.result(&sqe), failed(Errno::INVAL));
    let reserved = AttrPi { rsvd: 1, ..attribute };
    assert_eq!(stand.prepare(&Sqe { addr3: at(&reserved), ..sqe }).err(), Some(Errno::INVAL));
}

#[test]
fn a_request_is_given_its_priority_on_a_worker_and_takes_it_away_again() {
    let (mut stand, file, mut into) = (Stand::new(), file(b"0123"), [0; 4]);
    let idle = 3 << 13;
    let before = stand.world.replace_priority(0).expect("a priority");
    let mut op = stand.prepare(&Sqe { ioprio: idle, ..read(&file, &mut into, 0) }).unwrap();
    assert!(matches!(stand.attempt(&mut op, file.as_raw_fd(), Turn::Worker), Step::Block(_)));
    let step = stand.block(&mut op, file.as_raw_fd());
    assert!(matches!(step, Step::Done(Outcome { result: 4, .. })), "{step:?}");
    assert_ne!(stand.world.replace_priority(before), Some(idle));
}

#[test]
fn pieces_of_a_registered_buffer_are_read_and_written() {
    let (mut stand, mut file, mut memory) = (Stand::new(), file(b"0123456789"), vec![0; 4096]);
    register(&mut stand, &mut memory[..100]);
    let fd = file.as_raw_fd();
    let piece = at_mut(&mut memory[10..]);
    let fixed = |opcode| Sqe { addr: piece, len: 4, off: 2, ..entry(opcode, fd) };
    assert_eq!(stand.result(&fixed(IORING_OP_READ_FIXED)), 4);
    assert_eq!(&memory[10..14], b"2345");
    assert_eq!(stand.result(&Sqe { off: 8, ..fixed(IORING_OP_WRITE_FIXED) }), 4);
    assert_eq!(contents(&mut file), b"012345672345");
    let outside = Sqe { len: 91, ..fixed(IORING_OP_READ_FIXED) };
    assert_eq!(stand.result(&outside), failed(Errno::FAULT));
    assert_eq!(stand.result(&Sqe { buf_index: 1, ..fixed(IORING_OP_READ_FIXED) }), failed(Errno::FAULT));
    let list = [[piece, 2], [piece + 50, 3]];
    let lists = Sqe { addr: at(&list), len: 2, ..fixed(IORING_OP_READV_FIXED) };
    assert_eq!(stand.result(&lists), 5);
    assert_eq!((&memory[10..12], &memory[60..63]), (&b"23"[..], &b"456"[..]));
    let empty = [[piece, 2], [piece, 0]];
    assert_eq!(stand.result(&Sqe { addr: at(&empty), ..lists }), failed(Errno::FAULT));
}

#[test]
fn a_waiting_request_keeps_its_registered_buffer() {
    let (mut stand, (reader, writer), mut memory) = (Stand::new(), pipe(), vec![0; 4096]);
    register(&mut stand, &mut memory);
    let sqe = Sqe { addr: at(&memory[..]), len: 8, ..entry(IORING_OP_READ_FIXED, reader.as_raw_fd()) };
    let mut op = stand.prepare(&sqe).unwrap();
    assert!(matches!(stand.attempt(&mut op, reader.as_raw_fd(), Turn::Inline), Step::Wait(_)));
    let held = Arc::downgrade(stand.tables.buffers.get(0).unwrap());
    stand.tables.buffers.unregister().unwrap();
    assert!(held.upgrade().is_some());
    rustix::io::write(&writer, b"abc").unwrap();
    let step = stand.attempt(&mut op, reader.as_raw_fd(), Turn::Ready(READABLE));
    assert!(matches!(step, Step::Done(Outcome { result: 3, .. })), "{step:?}");
    drop(op);
    assert!(held.upgrade().is_none());
    assert_eq!(&memory[..3], b"abc");
}

#[test]
fn a_read_takes_a_buffer_of_its_group_and_says_which() {
    let (mut stand, file, mut memory) = (Stand::new(), file(b"0123456789"), vec![0; 32]);
    assert_eq!(stand.result(&select(&file, 4)), failed(Errno::NOBUFS));
    provide(&mut stand.tables, &mut memory, 5);
    let first = stand.run(&select(&file, 4));
    assert_eq!((first.result, first.flags.buffer_id(), first.severs), (4, Some(5), false));
    let second = stand.run(&Sqe { off: 8, ..select(&file, 0) });
    assert_eq!((second.result, second.flags.buffer_id(), second.severs), (2, Some(6), true));
    assert_eq!((&memory[..4], &memory[16..18]), (&b"0123"[..], &b"89"[..]));
    let vectored = |count, iovec: &[u64; 2]| Sqe {
        addr: at(iovec),
        len: count,
        opcode: IORING_OP_READV,
        ..select(&file, 0)
    };
    provide(&mut stand.tables, &mut memory, 5);
    assert_eq!(stand.result(&vectored(1, &[0, 3])), 3);
    assert_eq!(stand.prepare(&vectored(2, &[0, 3])).err(), Some(Errno::INVAL));
}

#[test]
fn a_buffer_goes_back_while_its_read_waits_and_is_lost_when_it_fails() {
    let (mut stand, (reader, writer), mut memory) = (Stand::new(), pipe(), vec![0; 16]);
    provide(&mut stand.tables, &mut memory, 0);
    let mut op = stand.prepare(&select(&reader, 0)).unwrap();
    assert!(matches!(stand.attempt(&mut op, reader.as_raw_fd(), Turn::Inline), Step::Wait(_)));
    assert!(!stand.tables.groups.is_empty(1));
    let failure = stand.run(&select(&writer, 0));
    assert_eq!((failure.result, failure.flags.buffer_id()), (failed(Errno::BADF), Some(0)));
    assert!(stand.tables.groups.is_empty(1));
    rustix::io::write(&writer, b"abc").unwrap();
    let step = stand.attempt(&mut op, reader.as_raw_fd(), Turn::Ready(READABLE));
    assert!(matches!(step, Step::Done(Outcome { result: -105, .. })), "{step:?}");
}

#[test]
fn a_worker_keeps_the_buffer_that_it_fills() {
    let (mut stand, file, mut memory) = (Stand::new(), file(b"0123456789"), vec![0; 32]);
    provide(&mut stand.tables, &mut memory, 3);
    let mut op = stand.prepare(&select(&file, 0)).unwrap();
    assert!(matches!(stand.attempt(&mut op, file.as_raw_fd(), Turn::Worker), Step::Block(_)));
    let meanwhile = stand.run(&select(&file, 2));
    assert_eq!((meanwhile.result, meanwhile.flags.buffer_id()), (2, Some(4)));
    let Step::Done(outcome) = stand.block(&mut op, file.as_raw_fd()) else { panic!("it goes on") };
    assert_eq!((outcome.result, outcome.flags.buffer_id()), (10, Some(3)));
    assert_eq!(&memory[..10], b"0123456789");
    provide(&mut stand.tables, &mut memory, 3);
    let mut op = stand.prepare(&select(&file, 0)).unwrap();
    assert!(matches!(stand.attempt(&mut op, file.as_raw_fd(), Turn::Worker), Step::Block(_)));
    stand.abandon(&mut op, file.as_raw_fd());
    assert_eq!(stand.run(&select(&file, 2)).flags.buffer_id(), Some(3), "it came back");
}

#[test]
fn a_multishot_read_fills_buffers_until_there_is_none() {
    let (mut stand, (reader, writer), mut memory) = (Stand::new(), pipe(), vec![0; 32]);
    provide(&mut stand.tables, &mut memory, 0);
    let sqe = Sqe { opcode: IORING_OP_READ_MULTISHOT, ..select(&reader, 0) };
    let mut op = stand.prepare(&sqe).unwrap();
    let fd = reader.as_raw_fd();
    for (id, text) in [(0, b"abc"), (1, b"def")] {
        assert!(matches!(stand.attempt(&mut op, fd, Turn::Inline), Step::Wait(_)));
        rustix::io::write(&writer, text).unwrap();
        let step = stand.attempt(&mut op, fd, Turn::Ready(READABLE));
        let Step::More(outcome) = step else { panic!("{step:?}") };
        assert_eq!((outcome.result, outcome.flags.buffer_id(), outcome.severs), (3, Some(id), false));
    }
    assert_eq!((&memory[..3], &memory[16..19]), (&b"abc"[..], &b"def"[..]));
    let step = stand.attempt(&mut op, fd, Turn::Inline);
    assert!(matches!(step, Step::Wait(_)), "nothing was lost yet: {step:?}");
    rustix::io::write(&writer, b"ghi").unwrap();
    let step = stand.attempt(&mut op, fd, Turn::Ready(READABLE));
    assert!(matches!(step, Step::Done(Outcome { result: -105, .. })), "{step:?}");
}

#[test]
fn a_multishot_read_ends_with_its_file_and_needs_one_that_can_be_watched() {
    let (mut stand, (reader, writer), mut memory) = (Stand::new(), pipe(), vec![0; 16]);
    provide(&mut stand.tables, &mut memory, 0);
    let multishot =
        |file: &dyn AsRawFd| Sqe { opcode: IORING_OP_READ_MULTISHOT, ..select(&file.as_raw_fd(), 0) };
    assert_eq!(stand.result(&multishot(&file(b"0123"))), failed(Errno::BADFD));
    assert_eq!(stand.result(&multishot(&File::open("/dev/zero").unwrap())), failed(Errno::BADFD));
    assert_eq!(stand.result(&multishot(&writer)), failed(Errno::BADF));
    drop(writer);
    assert_eq!(stand.run(&multishot(&reader)), Outcome::success(0));
    assert!(!stand.tables.groups.is_empty(1), "nothing was used");
}
