//! Operations on paths: open, status, rename, unlink, directories and links.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};

use annulus::opcode;
use annulus::types::{Fd, OpenHow};
use tempfile::TempDir;

use super::tools::fd;
use crate::harness::{Bench, Kept, Need, Outcome, Rig, cases, path};

cases! {
    Every openat_creates_a_file_with_its_mode_and_close_closes_it => IORING_OP_OPENAT, IORING_OP_CLOSE;
    Every openat_is_relative_to_its_directory;
    Every openat_fails_with_enoent;
    Every openat2_keeps_within_its_directory => IORING_OP_OPENAT2;
    Every openat2_refuses_unknown_flags;
    Every closing_twice_fails_with_ebadf;
    Every statx_tells_size_and_kind => IORING_OP_STATX;
    Every statx_of_a_descriptor_needs_an_empty_path;
    Every renameat_moves_and_exchanges => IORING_OP_RENAMEAT;
    Every renameat_does_not_replace_when_told_not_to;
    Every unlinkat_removes_files_and_directories => IORING_OP_UNLINKAT;
    Every mkdirat_makes_a_directory => IORING_OP_MKDIRAT;
    Every symlinkat_makes_a_symbolic_link => IORING_OP_SYMLINKAT;
    Every linkat_makes_a_second_name => IORING_OP_LINKAT;
    Every a_file_is_opened_written_and_closed_as_one_chain;
}

const CWD: Fd = Fd(libc::AT_FDCWD);

fn openat_creates_a_file_with_its_mode_and_close_closes_it(bench: &Bench<'_>) -> Outcome {
    let (dir, mut rig) = (directory(), bench.rig()?);
    let name = dir.path().join("new");
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
    let open = opcode::OpenAt::new(CWD, path(&name)).flags(flags).mode(0o600).build();
    let descriptor = rig.result(open);
    assert!(descriptor >= 0, "{descriptor}");
    assert_eq!(fs::metadata(&name).expect("the file").permissions().mode() & 0o777, 0o600);
    assert_eq!(rig.result(opcode::Close::new(Fd(descriptor)).build()), 0);
    Ok(())
}

fn openat_is_relative_to_its_directory(bench: &Bench<'_>) -> Outcome {
    let (dir, mut rig) = (directory(), bench.rig()?);
    fs::write(dir.path().join("file"), b"abc").expect("a file");
    let at = fs::File::open(dir.path()).expect("the directory");
    let descriptor = rig.result(opcode::OpenAt::new(fd(&at), path("file")).build());
    assert_eq!(
        fs::read_link(format!("/proc/self/fd/{descriptor}")).expect("its path"),
        dir.path().join("file")
    );
    close(&mut rig, descriptor);
    Ok(())
}

fn openat_fails_with_enoent(bench: &Bench<'_>) -> Outcome {
    let missing = directory().path().join("missing");
    assert_eq!(bench.rig()?.result(opcode::OpenAt::new(CWD, path(missing)).build()), -libc::ENOENT);
    Ok(())
}

fn openat2_keeps_within_its_directory(bench: &Bench<'_>) -> Outcome {
    let (dir, mut rig) = (directory(), bench.rig()?);
    fs::write(dir.path().join("file"), b"abc").expect("a file");
    let at = fs::File::open(dir.path()).expect("the directory");
    let how = Kept::new(OpenHow::new().flags(0).resolve(libc::RESOLVE_BENEATH));
    let mut open = |name| rig.result(opcode::OpenAt2::new(fd(&at), path(name), how.ptr()).build());
    let descriptor = open("file");
    assert!(descriptor >= 0, "{descriptor}");
    assert_eq!(open("../etc"), -libc::EXDEV);
    close(&mut rig, descriptor);
    Ok(())
}

fn openat2_refuses_unknown_flags(bench: &Bench<'_>) -> Outcome {
    let how = Kept::new(OpenHow::new().flags(1 << 40));
    assert_eq!(bench.rig()?.result(opcode::OpenAt2::new(CWD, path("/"), how.ptr()).build()), -libc::EINVAL);
    Ok(())
}

fn closing_twice_fails_with_ebadf(bench: &Bench<'_>) -> Outcome {
    // A number that no other test of the process is given in between.
    static NEXT: AtomicI32 = AtomicI32::new(900);
    let file = tempfile::tempfile().expect("a file");
    let high =
        rustix::io::fcntl_dupfd_cloexec(&file, NEXT.fetch_add(1, Ordering::Relaxed)).expect("a number");
    let number = std::os::fd::IntoRawFd::into_raw_fd(high);
    let mut rig = bench.rig()?;
    let mut close = || rig.result(opcode::Close::new(Fd(number)).build());
    assert_eq!((close(), close()), (0, -libc::EBADF));
    Ok(())
}

fn statx_tells_size_and_kind(bench: &Bench<'_>) -> Outcome {
    let (dir, mut rig) = (directory(), bench.rig()?);
    fs::write(dir.path().join("file"), b"abcdef").expect("a file");
    let answer = Kept::new([0_u64; 32]);
    let entry = opcode::Statx::new(CWD, path(dir.path().join("file")), answer.ptr().cast());
    assert_eq!(rig.result(entry.mask(libc::STATX_BASIC_STATS).build()), 0);
    assert_eq!(statx_size(&answer), 6);
    Ok(())
}

fn statx_of_a_descriptor_needs_an_empty_path(bench: &Bench<'_>) -> Outcome {
    let (file, mut rig) = (super::tools::file(b"abc"), bench.rig()?);
    let answer = Kept::new([0_u64; 32]);
    let statx = |flags| {
        opcode::Statx::new(fd(&file), path(""), answer.ptr().cast())
            .flags(flags)
            .mask(libc::STATX_SIZE)
            .build()
    };
    assert_eq!(rig.result(statx(0)), -libc::ENOENT);
    assert_eq!(rig.result(statx(libc::AT_EMPTY_PATH)), 0);
    assert_eq!(statx_size(&answer), 3);
    Ok(())
}

fn renameat_moves_and_exchanges(bench: &Bench<'_>) -> Outcome {
    let (dir, mut rig) = (directory(), bench.rig()?);
    let (a, b) = two_files(&dir);
    let exchange = opcode::RenameAt::new(CWD, path(&a), CWD, path(&b)).flags(libc::RENAME_EXCHANGE).build();
    assert_eq!(rig.result(exchange), 0);
    assert_eq!((fs::read(&a).expect("a"), fs::read(&b).expect("b")), (b"b".to_vec(), b"a".to_vec()));
    assert_eq!(rig.result(opcode::RenameAt::new(CWD, path(&a), CWD, path(&b)).build()), 0);
    assert!(!a.exists());
    assert_eq!(fs::read(&b).expect("b"), b"b");
    Ok(())
}

fn renameat_does_not_replace_when_told_not_to(bench: &Bench<'_>) -> Outcome {
    let dir = directory();
    let (a, b) = two_files(&dir);
    let entry = opcode::RenameAt::new(CWD, path(&a), CWD, path(&b)).flags(libc::RENAME_NOREPLACE).build();
    assert_eq!(bench.rig()?.result(entry), -libc::EEXIST);
    Ok(())
}

fn unlinkat_removes_files_and_directories(bench: &Bench<'_>) -> Outcome {
    let (dir, mut rig) = (directory(), bench.rig()?);
    let (a, sub) = (two_files(&dir).0, dir.path().join("sub"));
    fs::create_dir(&sub).expect("a directory");
    assert_eq!(rig.result(opcode::UnlinkAt::new(CWD, path(&a)).build()), 0);
    assert_eq!(rig.result(opcode::UnlinkAt::new(CWD, path(&sub)).build()), -libc::EISDIR);
    let rmdir = opcode::UnlinkAt::new(CWD, path(&sub)).flags(libc::AT_REMOVEDIR).build();
    assert_eq!(rig.result(rmdir), 0);
    assert!(!a.exists() && !sub.exists());
    Ok(())
}

fn mkdirat_makes_a_directory(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::MkDirAt::CODE)])?;
    let (dir, mut rig) = (directory(), bench.rig()?);
    let sub = dir.path().join("sub");
    let mut mkdir = || rig.result(opcode::MkDirAt::new(CWD, path(&sub)).mode(0o700).build());
    assert_eq!((mkdir(), mkdir()), (0, -libc::EEXIST));
    assert_eq!(fs::metadata(&sub).expect("the directory").permissions().mode() & 0o7777, 0o700);
    Ok(())
}

fn symlinkat_makes_a_symbolic_link(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::SymlinkAt::CODE)])?;
    let dir = directory();
    let name = dir.path().join("link");
    assert_eq!(bench.rig()?.result(opcode::SymlinkAt::new(CWD, path("over/there"), path(&name)).build()), 0);
    assert_eq!(fs::read_link(&name).expect("the link"), PathBuf::from("over/there"));
    Ok(())
}

fn linkat_makes_a_second_name(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::LinkAt::CODE)])?;
    let dir = directory();
    let (a, name) = (two_files(&dir).0, dir.path().join("second"));
    assert_eq!(bench.rig()?.result(opcode::LinkAt::new(CWD, path(&a), CWD, path(&name)).build()), 0);
    let (first, second) = (fs::metadata(&a).expect("a"), fs::metadata(&name).expect("its second name"));
    assert_eq!((first.ino(), first.nlink()), (second.ino(), 2));
    Ok(())
}

fn a_file_is_opened_written_and_closed_as_one_chain(bench: &Bench<'_>) -> Outcome {
    use annulus::types::{DestinationSlot, Fixed};
    bench.needs([Need::Feature(annulus::abi::Features::LINKED_FILE)])?;
    let (dir, mut rig) = (directory(), bench.rig()?);
    let (name, text) = (dir.path().join("new"), crate::Buffer::of(b"in one chain"));
    rig.ring().submitter().register_files_sparse(1).expect("a table");
    let slot = DestinationSlot::try_from_slot_target(0).expect("a slot");
    let flags = libc::O_CREAT | libc::O_WRONLY;
    let chain = [
        opcode::OpenAt::new(CWD, path(&name)).file_index(Some(slot)).flags(flags).mode(0o600).build(),
        opcode::Write::new(Fixed(0), text.ptr(), text.len()).build(),
        opcode::Close::new(Fixed(0)).build(),
    ];
    let results = rig.batch(chain.map(super::tools::linked));
    assert_eq!(results, [0, 12, 0]);
    assert_eq!(fs::read(&name).expect("the file"), b"in one chain");
    Ok(())
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn two_files(dir: &TempDir) -> (PathBuf, PathBuf) {
    let names = (dir.path().join("a"), dir.path().join("b"));
    fs::write(&names.0, b"a").expect("a file");
    fs::write(&names.1, b"b").expect("a file");
    names
}

/// `stx_size`, the 40 bytes before which are the mask, the block size, attributes, links, owner, mode and
/// inode.
fn statx_size(answer: &Kept<[u64; 32]>) -> u64 {
    answer.get()[5]
}

/// Closes what an operation opened, by the ring.
fn close(rig: &mut Rig, descriptor: i32) {
    assert_eq!(rig.result(opcode::Close::new(Fd(descriptor)).build()), 0);
}
