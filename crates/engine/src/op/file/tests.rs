//! Operations on files, on the host. The answers are those of Linux 6.18.
#![allow(unsafe_code, reason = "owns descriptors that operations made")]

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use annulus_abi::*;
use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tempfile::TempDir;

use crate::files::{RingTest, Source};
use crate::op::testing::{Stand, at, at_mut, entry, failed};
use crate::op::{Interest, Outcome, Step, Turn, Work};
use crate::pool::Lane;
use crate::world::Vouched;

/// `AT_FDCWD`.
const CWD: RawFd = -100;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("its bytes");
    file
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).expect("a pipe")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path")
}

/// An entry with a path in `addr`.
fn on_path(opcode: u8, path: &CString) -> Sqe {
    Sqe { addr: at(path.as_bytes_with_nul()), ..entry(opcode, CWD) }
}

/// Makes so many empty slots.
fn slots(stand: &mut Stand, count: u32) {
    let source = Source { world: &stand.world, vouched: Vouched::in_tests(), rings: RingTest::default() };
    stand.tables.files.register(&source, count, 0, 0).expect("slots");
}

/// Closes what an operation made.
fn adopt(result: i32) -> File {
    assert!(result >= 0, "{result}");
    // SAFETY: the operation made it for whoever reads its result.
    unsafe { File::from_raw_fd(result) }
}

#[test]
fn failures_that_linux_does_not_count_leave_a_chain_alone() {
    let (mut stand, (reader, _writer)) = (Stand::new(), pipe());
    let fd = reader.as_raw_fd();
    let lenient = |errno: Errno| Outcome { severs: false, ..Outcome::failure(errno) };
    assert_eq!(stand.run(&entry(IORING_OP_FSYNC, fd)), lenient(Errno::INVAL));
    assert_eq!(stand.run(&entry(IORING_OP_SYNC_FILE_RANGE, fd)), lenient(Errno::SPIPE));
    assert_eq!(stand.run(&Sqe { addr: 1, ..entry(IORING_OP_FALLOCATE, fd) }), lenient(Errno::BADF));
    assert_eq!(stand.run(&entry(IORING_OP_FTRUNCATE, fd)), lenient(Errno::INVAL));
    let advice = Sqe { op_flags: 99, addr: 4096, len: 4096, ..entry(IORING_OP_MADVISE, -1) };
    assert_eq!(stand.run(&advice), lenient(Errno::INVAL));
    assert_eq!(stand.run(&entry(IORING_OP_FADVISE, fd)), Outcome::failure(Errno::SPIPE));
    let nowhere = c"/nowhere/at/all".to_owned();
    let both = |opcode| Sqe { off: at(nowhere.as_bytes_with_nul()), len: 0, ..on_path(opcode, &nowhere) };
    for opcode in [IORING_OP_RENAMEAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT, IORING_OP_STATX] {
        assert_eq!(stand.run(&both(opcode)), lenient(Errno::NOENT), "{opcode}");
    }
    for opcode in [IORING_OP_UNLINKAT, IORING_OP_MKDIRAT] {
        assert_eq!(stand.run(&on_path(opcode, &nowhere)), lenient(Errno::NOENT), "{opcode}");
    }
}

#[test]
fn files_are_synced_grown_punched_and_cut() {
    let (mut stand, file) = (Stand::new(), file(&[7; 8192]));
    let fd = file.as_raw_fd();
    assert_eq!(stand.result(&entry(IORING_OP_FSYNC, fd)), 0);
    let data_only = FsyncFlags::DATASYNC.bits();
    assert_eq!(stand.result(&Sqe { op_flags: data_only, ..entry(IORING_OP_FSYNC, fd) }), 0);
    assert_eq!(stand.result(&Sqe { op_flags: 2, ..entry(IORING_OP_FSYNC, fd) }), failed(Errno::INVAL));
    assert_eq!(stand.result(&Sqe { len: 4096, op_flags: 2, ..entry(IORING_OP_SYNC_FILE_RANGE, fd) }), 0);
    assert_eq!(stand.result(&Sqe { off: 8192, addr: 10, ..entry(IORING_OP_FALLOCATE, fd) }), 0);
    assert_eq!(file.metadata().unwrap().size(), 8202);
    assert_eq!(stand.result(&Sqe { off: 3, ..entry(IORING_OP_FTRUNCATE, fd) }), 0);
    assert_eq!(file.metadata().unwrap().size(), 3);
}

#[test]
fn what_changes_a_length_takes_turns_with_writes() {
    let (mut stand, file) = (Stand::new(), file(b""));
    for opcode in [IORING_OP_FALLOCATE, IORING_OP_FTRUNCATE] {
        let mut op = stand.prepare(&entry(opcode, file.as_raw_fd())).unwrap();
        let step = stand.attempt(&mut op, file.as_raw_fd(), Turn::Inline);
        assert!(matches!(step, Step::Block(Work { lane: Lane::Bounded, hash: Some(_) })), "{step:?}");
    }
}

#[test]
fn advice_that_only_notes_something_needs_no_worker() {
    let (mut stand, file) = (Stand::new(), file(b"abc"));
    let advise =
        |advice, addr, len| Sqe { op_flags: advice, addr, len, ..entry(IORING_OP_FADVISE, file.as_raw_fd()) };
    for (advice, blocks) in [(0, false), (1, false), (2, false), (3, true), (4, true)] {
        let mut op = stand.prepare(&advise(advice, 0, 4096)).unwrap();
        let step = stand.attempt(&mut op, file.as_raw_fd(), Turn::Inline);
        assert_eq!(matches!(step, Step::Block(_)), blocks, "{advice}: {step:?}");
    }
    assert_eq!(stand.result(&advise(3, 1 << 33, 0)), 0);
}

#[test]
fn advice_about_memory_changes_it() {
    let (mut stand, mut memory) = (Stand::new(), vec![7_u8; 12_288]);
    let start = memory.as_ptr().align_offset(4096);
    let page = at_mut(&mut memory[start..]);
    let forget = Sqe { addr: page, len: 4096, op_flags: 4, ..entry(IORING_OP_MADVISE, -1) };
    assert_eq!(stand.result(&forget), 0);
    assert_eq!(memory[start..start + 4097], [&[0; 4096][..], &[7]].concat());
    assert_eq!(stand.result(&Sqe { off: 4096, len: 0, ..forget }), 0);
}

#[test]
fn paths_are_copied_when_they_are_prepared() {
    let (mut stand, dir) = (Stand::new(), directory());
    let mut path = text(&dir.path().join("sub")).into_bytes_with_nul();
    let sqe = Sqe { addr: at(&path[..]), len: 0o700, ..entry(IORING_OP_MKDIRAT, CWD) };
    let mut op = stand.prepare(&sqe).unwrap();
    path.fill(0);
    assert!(matches!(stand.attempt(&mut op, -1, Turn::Inline), Step::Block(_)));
    assert!(matches!(stand.block(&mut op, -1), Step::Done(Outcome { result: 0, .. })));
    assert!(dir.path().join("sub").is_dir());
}

#[test]
fn paths_that_cannot_be_are_refused_before_they_are_tried() {
    let (stand, empty, long) = (Stand::new(), c"".to_owned(), CString::new(vec![b'a'; 4096]).unwrap());
    let refused = |sqe: Sqe| stand.prepare(&sqe).err();
    for opcode in [IORING_OP_OPENAT, IORING_OP_UNLINKAT, IORING_OP_STATX, IORING_OP_SYMLINKAT] {
        assert_eq!(refused(on_path(opcode, &empty)), Some(Errno::NOENT), "{opcode}");
        assert_eq!(refused(on_path(opcode, &long)), Some(Errno::NAMETOOLONG), "{opcode}");
        assert_eq!(refused(entry(opcode, CWD)), Some(Errno::FAULT), "{opcode}");
        let fixed = Sqe { flags: SqeFlags::FIXED_FILE.bits(), ..on_path(opcode, &empty) };
        assert_eq!(refused(fixed), Some(Errno::BADF), "{opcode}");
    }
    let flags = Sqe { op_flags: 1, ..on_path(IORING_OP_UNLINKAT, &empty) };
    assert_eq!(refused(flags), Some(Errno::INVAL));
}

#[test]
fn status_is_told_of_paths_and_of_descriptors() {
    let (mut stand, dir, mut answer) = (Stand::new(), directory(), [0_u64; 32]);
    let path = dir.path().join("file");
    fs::write(&path, b"abcdef").unwrap();
    let name = text(&path);
    let sqe = Sqe { off: at_mut(&mut answer), len: 0x7ff, ..on_path(IORING_OP_STATX, &name) };
    assert_eq!((stand.result(&sqe), answer[5]), (0, 6));
    let (file, empty) = (file(b"abc"), c"".to_owned());
    let by_descriptor =
        Sqe { fd: file.as_raw_fd(), op_flags: 0x1000, addr: at(empty.as_bytes_with_nul()), ..sqe };
    assert_eq!((stand.result(&by_descriptor), answer[5]), (0, 3));
    assert_eq!(stand.result(&Sqe { off: 8, ..by_descriptor }), failed(Errno::FAULT));
}

#[test]
fn names_are_moved_linked_and_removed() {
    let (mut stand, dir) = (Stand::new(), directory());
    let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
    fs::write(&a, b"a").unwrap();
    let [from, to, link] = [&a, &b, &c].map(|path| text(path));
    let second = |name: &CString| at(name.as_bytes_with_nul());
    let cwd = CWD.cast_unsigned();
    let rename = Sqe { off: second(&to), len: cwd, ..on_path(IORING_OP_RENAMEAT, &from) };
    assert_eq!(stand.result(&rename), 0);
    assert_eq!(stand.result(&rename), failed(Errno::NOENT));
    let hard = Sqe { off: second(&from), len: cwd, ..on_path(IORING_OP_LINKAT, &to) };
    assert_eq!(stand.result(&hard), 0);
    assert_eq!(fs::metadata(&b).unwrap().nlink(), 2);
    let kept = Sqe { op_flags: 1, ..rename };
    assert_eq!(stand.result(&kept), failed(Errno::EXIST));
    let symlink = Sqe { off: second(&link), ..on_path(IORING_OP_SYMLINKAT, &to) };
    assert_eq!(stand.result(&symlink), 0);
    assert_eq!(fs::read_link(&c).unwrap(), b);
    assert_eq!(stand.result(&on_path(IORING_OP_UNLINKAT, &link)), 0);
    let whole = text(dir.path());
    assert_eq!(stand.result(&on_path(IORING_OP_UNLINKAT, &whole)), failed(Errno::ISDIR));
    let rmdir = Sqe { op_flags: 0x200, ..on_path(IORING_OP_UNLINKAT, &whole) };
    assert_eq!(stand.result(&rmdir), failed(Errno::NOTEMPTY));
}

#[test]
fn attributes_are_copied_set_and_read() {
    let (mut stand, dir, mut answer) = (Stand::new(), directory(), [0_u8; 16]);
    let path = dir.path().join("file");
    fs::write(&path, b"").unwrap();
    let (file, name, by_path) = (File::open(&path).unwrap(), c"user.annulus".to_owned(), text(&path));
    let mut value = *b"value";
    let on_file = |opcode| Sqe { addr: at(name.as_bytes_with_nul()), ..entry(opcode, file.as_raw_fd()) };
    let set = Sqe { off: at(&value), len: 5, ..on_file(IORING_OP_FSETXATTR) };
    let mut op = stand.prepare(&set).unwrap();
    value = *b"other";
    assert!(matches!(stand.attempt(&mut op, set.fd, Turn::Inline), Step::Block(_)));
    assert!(matches!(stand.block(&mut op, set.fd), Step::Done(Outcome { result: 0, .. })));
    let get = Sqe { off: at_mut(&mut answer), len: 16, ..on_file(IORING_OP_FGETXATTR) };
    assert_eq!((stand.result(&get), &answer[..5]), (5, &b"value"[..]));
    assert_eq!(stand.result(&Sqe { len: 2, ..get }), failed(Errno::RANGE));
    let path = at(by_path.as_bytes_with_nul());
    let replace = Sqe { opcode: IORING_OP_SETXATTR, off: at(&value), addr3: path, op_flags: 2, ..set };
    assert_eq!(stand.result(&replace), 0);
    let read = Sqe { opcode: IORING_OP_GETXATTR, addr3: path, ..get };
    assert_eq!((stand.result(&read), &answer[..5]), (5, &b"other"[..]));
}

#[test]
fn attributes_that_cannot_be_are_refused_before_they_are_tried() {
    let (stand, name, empty, long) =
        (Stand::new(), c"user.a".to_owned(), c"".to_owned(), CString::new(vec![b'a'; 256]).unwrap());
    let value = [0_u8; 1];
    let set = |name: &CString| Sqe {
        addr: at(name.as_bytes_with_nul()),
        off: at(&value),
        len: 1,
        ..entry(IORING_OP_FSETXATTR, 0)
    };
    let refused = |sqe: Sqe| stand.prepare(&sqe).err();
    assert_eq!(refused(set(&name)), None);
    assert_eq!(refused(set(&empty)), Some(Errno::RANGE));
    assert_eq!(refused(set(&long)), Some(Errno::RANGE));
    assert_eq!(refused(Sqe { op_flags: 4, ..set(&name) }), Some(Errno::INVAL));
    assert_eq!(refused(Sqe { len: 65_537, ..set(&name) }), Some(Errno::TOOBIG));
    assert_eq!(refused(Sqe { off: 8, ..set(&name) }), Some(Errno::FAULT));
    let by_path = Sqe { opcode: IORING_OP_SETXATTR, addr3: at(empty.as_bytes_with_nul()), ..set(&name) };
    assert_eq!(refused(by_path), Some(Errno::NOENT));
}

#[test]
fn a_file_is_opened_at_once_or_by_a_worker_and_closed() {
    let (mut stand, dir) = (Stand::new(), directory());
    let path = dir.path().join("new");
    let name = text(&path);
    let (create, read) = ((OFlags::CREATE | OFlags::RDWR).bits(), OFlags::RDONLY.bits());
    let open = |flags| Sqe { op_flags: flags, len: 0o600, ..on_path(IORING_OP_OPENAT, &name) };
    let mut op = stand.prepare(&open(create)).unwrap();
    assert!(matches!(stand.attempt(&mut op, -1, Turn::Inline), Step::Block(_)), "it makes a file");
    let Step::Done(Outcome { result, .. }) = stand.block(&mut op, -1) else { panic!("it goes on") };
    adopt(result).write_all(b"abc").unwrap();
    let mut op = stand.prepare(&open(read)).unwrap();
    let step = stand.attempt(&mut op, -1, Turn::Inline);
    let Step::Done(Outcome { result, .. }) = step else { panic!("it is in memory: {step:?}") };
    let file = adopt(result);
    let flags = rustix::fs::fcntl_getfl(&file).unwrap();
    assert!(!flags.contains(OFlags::NONBLOCK), "{flags:?}");
    let fd = file.into_raw_fd();
    assert_eq!(stand.result(&entry(IORING_OP_CLOSE, fd)), 0);
    let missing = CString::new([name.as_bytes(), b"/no"].concat()).unwrap();
    assert_eq!(stand.run(&on_path(IORING_OP_OPENAT, &missing)), Outcome::failure(Errno::NOTDIR));
}

#[test]
fn what_a_cancelled_open_made_is_closed() {
    let (mut stand, dir) = (Stand::new(), directory());
    let name = text(&dir.path().join("new"));
    let flags = (OFlags::CREATE | OFlags::WRONLY).bits();
    let sqe = Sqe { op_flags: flags, len: 0o600, ..on_path(IORING_OP_OPENAT, &name) };
    let count = || {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter(|entry| {
                let target = fs::read_link(entry.as_ref().unwrap().path());
                target.is_ok_and(|target| target.starts_with(dir.path()))
            })
            .count()
    };
    let mut op = stand.prepare(&sqe).unwrap();
    assert!(matches!(stand.attempt(&mut op, -1, Turn::Inline), Step::Block(_)));
    let blocked = op.block(stand.world.as_ref(), -1, &crate::pool::Interrupt::default());
    assert_eq!((blocked, count()), (Ok(0), 1));
    stand.abandon(&mut op, -1);
    assert_eq!(count(), 0);
}

#[test]
fn openat2_reads_as_much_of_its_structure_as_it_knows() {
    let (mut stand, root) = (Stand::new(), c"/".to_owned());
    let mut how = [0_u64, 0, 0, 0];
    let open = |how: &[u64; 4], len| Sqe { off: at(how), len, ..on_path(IORING_OP_OPENAT2, &root) };
    drop(adopt(stand.result(&open(&how, 24))));
    drop(adopt(stand.result(&open(&how, 32))));
    assert_eq!(stand.result(&open(&how, 23)), failed(Errno::INVAL));
    assert_eq!(stand.result(&open(&how, 8192)), failed(Errno::TOOBIG));
    how[3] = 1;
    assert_eq!(stand.result(&open(&how, 32)), failed(Errno::TOOBIG));
    how[0] = 1 << 40;
    assert_eq!(stand.result(&open(&how, 24)), failed(Errno::INVAL), "unknown flags");
}

#[test]
fn files_are_opened_into_slots_and_closed_there() {
    let (mut stand, null) = (Stand::new(), c"/dev/null".to_owned());
    let open = |slot| Sqe { file_index: slot, ..on_path(IORING_OP_OPENAT, &null) };
    assert_eq!(stand.result(&open(1)), failed(Errno::NXIO));
    slots(&mut stand, 2);
    assert_eq!(stand.result(&open(2)), 0);
    assert_eq!(stand.result(&open(3)), failed(Errno::INVAL));
    assert_eq!(stand.result(&open(IORING_FILE_INDEX_ALLOC)), 0);
    assert_eq!(stand.result(&open(IORING_FILE_INDEX_ALLOC)), failed(Errno::NFILE));
    let inherited = Sqe { op_flags: OFlags::CLOEXEC.bits(), ..open(1) };
    assert_eq!(stand.result(&inherited), failed(Errno::INVAL));
    let close = |slot| Sqe { file_index: slot, ..entry(IORING_OP_CLOSE, 0) };
    assert_eq!((stand.result(&close(2)), stand.result(&close(2))), (0, failed(Errno::BADF)));
    assert_eq!(stand.result(&close(3)), failed(Errno::INVAL));
    assert_eq!(stand.result(&Sqe { fd: 1, ..close(1) }), failed(Errno::INVAL));
}

#[test]
fn a_ring_is_not_closed_by_a_request() {
    let (mut stand, file) = (Stand::new(), file(b""));
    stand.tables.rings = RingTest(|_| true);
    assert_eq!(stand.result(&entry(IORING_OP_CLOSE, file.as_raw_fd())), failed(Errno::BADF));
    assert!(file.metadata().is_ok());
}

#[test]
fn a_pipe_is_made_of_descriptors_or_of_slots() {
    let (mut stand, mut ends) = (Stand::new(), [-1_i32; 2]);
    let addr = at_mut(&mut ends);
    let pipe = |slot, flags| Sqe { addr, file_index: slot, op_flags: flags, ..entry(IORING_OP_PIPE, 0) };
    assert_eq!(stand.result(&pipe(0, OFlags::CLOEXEC.bits())), 0);
    let [mut reader, mut writer] = ends.map(adopt);
    writer.write_all(b"abc").unwrap();
    let mut bytes = [0; 3];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"abc");
    assert_eq!(stand.result(&pipe(0, 1)), failed(Errno::INVAL));
    assert_eq!(stand.result(&Sqe { addr: 8, ..pipe(0, 0) }), failed(Errno::FAULT));
    assert_eq!(stand.result(&pipe(1, 0)), failed(Errno::NXIO));
    slots(&mut stand, 4);
    assert_eq!(stand.result(&pipe(1, OFlags::CLOEXEC.bits())), failed(Errno::INVAL));
    assert_eq!((stand.result(&pipe(2, 0)), ends), (0, [1, 2]));
    assert_eq!(stand.result(&pipe(IORING_FILE_INDEX_ALLOC, 0)), 0);
    assert_eq!(ends, [3, 0], "behind the last one, then from the beginning");
    assert_eq!(stand.result(&pipe(4, 0)), failed(Errno::INVAL), "there is no fifth slot");
    assert_eq!(stand.tables.files.get(3).unwrap_err(), Errno::BADF, "and the fourth is empty again");
    assert_eq!(stand.result(&Sqe { addr: 8, ..pipe(1, 0) }), failed(Errno::FAULT));
    assert!(stand.tables.files.get(0).is_err() && stand.tables.files.get(1).is_err());
}

#[test]
fn slots_are_filled_by_a_request() {
    let (mut stand, file, mut fds) = (Stand::new(), file(b"abc"), [-1_i32; 2]);
    fds[0] = file.as_raw_fd();
    let addr = at_mut(&mut fds);
    let update = |off, len| Sqe { addr, off, len, ..entry(IORING_OP_FILES_UPDATE, -1) };
    assert_eq!(stand.result(&update(0, 1)), failed(Errno::NXIO));
    slots(&mut stand, 2);
    assert_eq!(stand.result(&update(0, 0)), failed(Errno::INVAL));
    assert_eq!(stand.result(&update(1, 2)), failed(Errno::INVAL));
    assert_eq!(stand.run(&update(0, 2)), Outcome::success(2));
    assert_eq!(stand.result(&update(u64::MAX, 1)), 1);
    assert_eq!(fds[0], 1, "the slot that was free");
    let fixed = Sqe { flags: SqeFlags::FIXED_FILE.bits(), ..update(0, 1) };
    assert_eq!(stand.result(&fixed), failed(Errno::INVAL));
}

#[test]
fn a_slot_becomes_a_descriptor() {
    let (mut stand, file) = (Stand::new(), file(b"abc"));
    slots(&mut stand, 1);
    let fds = [file.as_raw_fd()];
    let update = Sqe { addr: at(&fds), len: 1, ..entry(IORING_OP_FILES_UPDATE, -1) };
    assert_eq!(stand.result(&update), 1);
    let install = |flags, op_flags| Sqe { flags, op_flags, ..entry(IORING_OP_FIXED_FD_INSTALL, 0) };
    let fixed = SqeFlags::FIXED_FILE.bits();
    for (op_flags, closes) in [(0, true), (FixedFdFlags::NO_CLOEXEC.bits(), false)] {
        let made = adopt(stand.result(&install(fixed, op_flags)));
        let flags = rustix::io::fcntl_getfd(&made).unwrap();
        assert_eq!(flags.contains(rustix::io::FdFlags::CLOEXEC), closes);
        assert_eq!(made.metadata().unwrap().size(), 3);
    }
    assert_eq!(stand.result(&install(0, 0)), failed(Errno::BADF));
    assert_eq!(stand.result(&install(fixed, 2)), failed(Errno::INVAL));
    assert_eq!(stand.result(&Sqe { personality: 1, ..install(fixed, 0) }), failed(Errno::PERM));
}

fn splice(from: &impl AsRawFd, to: &impl AsRawFd, len: u32) -> Sqe {
    let source = from.as_raw_fd().cast_unsigned();
    Sqe { file_index: source, addr: u64::MAX, off: u64::MAX, len, ..entry(IORING_OP_SPLICE, to.as_raw_fd()) }
}

#[test]
fn bytes_go_from_a_file_into_a_pipe_and_back() {
    let (mut stand, source, sink, (reader, writer)) = (Stand::new(), file(b"0123456789"), file(b""), pipe());
    assert_eq!(stand.run(&Sqe { addr: 2, ..splice(&source, &writer, 4) }), Outcome::success(4));
    let short = stand.run(&Sqe { addr: 8, ..splice(&source, &writer, 50) });
    assert_eq!(short, Outcome { severs: true, ..Outcome::success(2) });
    assert_eq!(stand.run(&Sqe { off: 1, ..splice(&reader, &sink, 6) }), Outcome::success(6));
    let mut bytes = [9; 7];
    rustix::io::pread(&sink, &mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"\x00234589");
}

#[test]
fn a_splice_waits_for_its_pipes_without_a_worker() {
    let (mut stand, (from, feeder), (taker, to)) = (Stand::new(), pipe(), pipe());
    for opcode in [IORING_OP_SPLICE, IORING_OP_TEE] {
        let mut sqe = Sqe { opcode, ..splice(&from, &to, 8) };
        if opcode == IORING_OP_TEE {
            (sqe.addr, sqe.off) = (0, 0);
        }
        let mut op = stand.prepare(&sqe).unwrap();
        let step = stand.attempt(&mut op, sqe.fd, Turn::Inline);
        let Step::Wait(Interest { events, on: Some(held) }) = step else { panic!("{step:?}") };
        assert_eq!((events, held == from.as_raw_fd()), (u32::from(PollFlags::IN.bits()), false));
        rustix::io::write(&feeder, b"abc").unwrap();
        let step = stand.attempt(&mut op, sqe.fd, Turn::Ready(events));
        let Step::Done(outcome) = step else { panic!("{step:?}") };
        assert_eq!(outcome, Outcome { severs: true, ..Outcome::success(3) });
        let mut bytes = [0; 8];
        assert_eq!(rustix::io::read(&taker, &mut bytes), Ok(3));
    }
    let full = vec![0; 65_536];
    rustix::io::write(&to, &full).unwrap();
    let mut op = stand.prepare(&splice(&from, &to, 8)).unwrap();
    let step = stand.attempt(&mut op, to.as_raw_fd(), Turn::Inline);
    let writable = u32::from(PollFlags::OUT.bits());
    assert!(matches!(step, Step::Wait(Interest { events, on: None }) if events == writable), "{step:?}");
}

#[test]
fn a_splice_that_must_not_wait_fails_with_eagain() {
    let (mut stand, (from, _feeder), (_taker, to)) = (Stand::new(), pipe(), pipe());
    let at_once = Sqe { op_flags: SpliceFlags::NONBLOCK.bits(), ..splice(&from, &to, 8) };
    assert_eq!(stand.run(&at_once), Outcome::failure(Errno::AGAIN));
    let sink = file(b"");
    let into_file = Sqe { fd: sink.as_raw_fd(), ..at_once };
    assert_eq!(stand.result(&into_file), failed(Errno::AGAIN));
    let (nonblocking, _writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
    assert_eq!(stand.result(&splice(&nonblocking, &to, 8)), failed(Errno::AGAIN));
}

#[test]
fn a_splice_takes_its_source_from_a_slot() {
    let (mut stand, source, (_reader, writer)) = (Stand::new(), file(b"abc"), pipe());
    let fixed = SpliceFlags::FD_IN_FIXED.bits();
    let sqe = Sqe { file_index: 0, addr: 0, op_flags: fixed, ..splice(&source, &writer, 3) };
    assert_eq!(stand.result(&sqe), failed(Errno::BADF));
    slots(&mut stand, 1);
    let fds = [source.as_raw_fd()];
    assert_eq!(stand.result(&Sqe { addr: at(&fds), len: 1, ..entry(IORING_OP_FILES_UPDATE, -1) }), 1);
    assert_eq!(stand.result(&sqe), 3);
}

#[test]
fn splices_that_cannot_be_fail_as_in_the_kernel() {
    let (mut stand, one, (reader, writer)) = (Stand::new(), file(b"abc"), pipe());
    let offsets = |sqe| Sqe { addr: 0, off: 0, ..sqe };
    assert_eq!(stand.result(&offsets(splice(&one, &one, 5))), failed(Errno::INVAL));
    assert_eq!(stand.result(&offsets(splice(&one, &one, 0))), 0);
    assert_eq!(stand.result(&splice(&-1, &writer, 0)), failed(Errno::BADF));
    assert_eq!(stand.result(&Sqe { off: 0, addr: 0, ..splice(&one, &writer, 3) }), failed(Errno::SPIPE));
    assert_eq!(stand.result(&Sqe { op_flags: 16, ..splice(&one, &writer, 3) }), failed(Errno::INVAL));
    let tee = Sqe { opcode: IORING_OP_TEE, ..offsets(splice(&one, &writer, 3)) };
    assert_eq!(stand.result(&tee), failed(Errno::INVAL));
    drop(writer);
    let sink = file(b"");
    assert_eq!(stand.result(&splice(&reader, &sink, 3)), 0, "the end of the pipe");
}
