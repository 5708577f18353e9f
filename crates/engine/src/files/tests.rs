//! The table of registered files, on the host.

use std::fs::File as StdFile;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use annulus_abi::{IORING_FILE_INDEX_ALLOC, IORING_REGISTER_FILES_SKIP};
use rustix::io::Errno;

use super::*;
use crate::op::Tables;
use crate::world::Host;

fn host() -> Arc<dyn World> {
    Arc::new(Host::new().expect("a world"))
}

fn source(world: &Arc<dyn World>) -> Source<'_> {
    Source { world, vouched: Vouched::in_tests(), rings: RingTest::default() }
}

fn open() -> StdFile {
    tempfile::tempfile().expect("a file")
}

/// The address of a list.
fn at<T>(list: &[T]) -> u64 {
    list.as_ptr().expose_provenance() as u64
}

/// A table of so many slots, each with a file.
fn full(world: &Arc<dyn World>, tables: &mut Tables, slots: usize) {
    let file = open();
    let fds = vec![file.as_raw_fd(); slots];
    let count = u32::try_from(slots).unwrap();
    tables.files.register(&source(world), count, at(&fds), 0).expect("a table");
}

fn made(world: &Arc<dyn World>) -> File {
    File::new(world.hold(open().as_raw_fd()).expect("a descriptor"), Arc::clone(world))
}

#[test]
fn slots_hold_files_of_their_own_until_they_are_given_up() {
    let (world, mut tables, file) = (host(), Tables::default(), open());
    let fds = [-1, file.as_raw_fd()];
    tables.files.register(&source(&world), 2, at(&fds), 0).unwrap();
    let held = tables.files.get(1).unwrap().fd();
    drop(file);
    let identity = world.identity(held).expect("the slot holds it");
    assert_eq!(tables.files.get(0).unwrap_err(), Errno::BADF);
    assert_eq!(tables.files.get(2).unwrap_err(), Errno::BADF);
    assert_eq!(tables.files.get(-1).unwrap_err(), Errno::BADF);
    assert_eq!(tables.files.register(&source(&world), 1, 0, 0), Err(Errno::BUSY));
    assert_eq!(tables.files.unregister(), Ok(()));
    assert_eq!(tables.files.unregister(), Err(Errno::NXIO));
    // Another test may have been given the number meanwhile.
    assert_ne!(world.identity(held), Ok(identity), "it was the last one");
}

#[test]
fn a_refused_list_registers_nothing_and_posts_no_tag() {
    let (world, mut tables, file) = (host(), Tables::default(), open());
    let fds = [file.as_raw_fd(), 1 << 20];
    let tags = [7_u64, 8];
    let files = &mut tables.files;
    assert_eq!(files.register(&source(&world), 2, at(&fds), at(&tags)), Err(Errno::BADF));
    assert_eq!(files.register(&source(&world), 2, at(&[-1, -1]), at(&tags)), Err(Errno::INVAL));
    assert_eq!(files.register(&source(&world), 2, 8, 0), Err(Errno::FAULT));
    assert_eq!(files.register(&source(&world), 0, 0, 0), Err(Errno::INVAL));
    assert_eq!(files.register(&source(&world), u32::MAX, 0, 0), Err(Errno::MFILE));
    assert_eq!((files.len(), tables.take_retired()), (0, vec![]));
}

#[test]
fn a_ring_is_not_registered_with_a_ring() {
    let (world, mut tables, file) = (host(), Tables::default(), open());
    let rings = RingTest(|_| true);
    let source = Source { world: &world, vouched: Vouched::in_tests(), rings };
    assert_eq!(tables.files.register(&source, 1, at(&[file.as_raw_fd()]), 0), Err(Errno::BADF));
}

#[test]
fn an_update_counts_what_it_took_and_skips_what_it_is_told_to() {
    let (world, mut tables, file) = (host(), Tables::default(), open());
    let source = source(&world);
    full(&world, &mut tables, 3);
    let files = &mut tables.files;
    let kept = files.get(0).unwrap().fd();
    let fds = [IORING_REGISTER_FILES_SKIP, -1, file.as_raw_fd()];
    assert_eq!(files.update(&source, 0, 3, at(&fds), 0), Ok(3));
    assert_eq!(files.get(0).unwrap().fd(), kept);
    assert_eq!(files.get(1).unwrap_err(), Errno::BADF);
    let bad = [file.as_raw_fd(), 1 << 20];
    assert_eq!(files.update(&source, 1, 2, at(&bad), 0), Ok(1), "the second is not open");
    assert_eq!(files.get(2).unwrap_err(), Errno::BADF, "its slot was emptied first");
    assert_eq!(files.update(&source, 2, 1, at(&bad[1..]), 0), Err(Errno::BADF));
    assert_eq!(files.update(&source, 2, 2, at(&fds), 0), Err(Errno::INVAL));
    assert_eq!(files.update(&source, u32::MAX, 2, at(&fds), 0), Err(Errno::OVERFLOW));
    assert_eq!(files.update(&source, 0, 1, at(&[-1]), at(&[5_u64])), Err(Errno::INVAL));
    assert_eq!(FileTable::default().update(&source, 0, 1, at(&fds), 0), Err(Errno::NXIO));
}

#[test]
fn a_tag_comes_back_when_the_last_request_lets_go() {
    let (world, mut tables, file) = (host(), Tables::default(), open());
    let fds = [file.as_raw_fd(); 2];
    tables.files.register(&source(&world), 2, at(&fds), at(&[11_u64, 12])).unwrap();
    let request = Arc::clone(tables.files.get(0).unwrap());
    assert_eq!(tables.files.remove(0), Ok(()));
    assert_eq!(tables.take_retired(), []);
    drop(request);
    assert_eq!(tables.take_retired(), [11]);
    tables.files.unregister().unwrap();
    assert_eq!((tables.take_retired(), tables.take_retired()), (vec![12], vec![]));
}

#[test]
fn a_free_slot_is_found_behind_the_last_one_that_changed() {
    let (world, mut tables) = (host(), Tables::default());
    tables.files.register(&source(&world), 130, 0, 0).unwrap();
    let mut any = || tables.files.install(IORING_FILE_INDEX_ALLOC, made(&world)).map_err(|(errno, _)| errno);
    assert_eq!((any(), any(), any()), (Ok(0), Ok(1), Ok(2)));
    assert_eq!(tables.files.remove(1), Ok(()));
    let mut any = || tables.files.install(IORING_FILE_INDEX_ALLOC, made(&world)).map_err(|(errno, _)| errno);
    assert_eq!((any(), any()), (Ok(1), Ok(3)), "the emptied one, then on");
    tables.files.set_alloc_range(127, 3).unwrap();
    let mut any = || tables.files.install(IORING_FILE_INDEX_ALLOC, made(&world)).map_err(|(errno, _)| errno);
    assert_eq!((any(), any(), any(), any()), (Ok(127), Ok(128), Ok(129), Err(Errno::NFILE)));
    assert_eq!(tables.files.set_alloc_range(128, 3), Err(Errno::INVAL));
    assert_eq!(tables.files.set_alloc_range(u32::MAX, 3), Err(Errno::OVERFLOW));
}

#[test]
fn a_named_slot_is_replaced_and_its_number_is_no_result() {
    let (world, mut tables) = (host(), Tables::default());
    let refused = |outcome: Result<u32, (Errno, File)>| outcome.map_err(|(errno, _)| errno);
    assert_eq!(refused(tables.files.install(1, made(&world))), Err(Errno::NXIO));
    assert_eq!(refused(tables.files.install(IORING_FILE_INDEX_ALLOC, made(&world))), Err(Errno::NFILE));
    full(&world, &mut tables, 2);
    let before = tables.files.get(1).unwrap().fd();
    assert_eq!(refused(tables.files.install(2, made(&world))), Ok(0));
    assert_ne!(tables.files.get(1).unwrap().fd(), before);
    assert_eq!(refused(tables.files.install(3, made(&world))), Err(Errno::INVAL));
    assert_eq!((tables.files.remove(1), tables.files.remove(1)), (Ok(()), Err(Errno::BADF)));
    assert_eq!(tables.files.remove(2), Err(Errno::INVAL));
    assert_eq!(FileTable::default().remove(0), Err(Errno::NXIO));
}

#[test]
fn a_list_learns_which_slots_were_found() {
    let (world, mut tables, file) = (host(), Tables::default(), open());
    assert_eq!(tables.files.update_any(&source(&world), 0, 1), Err(Errno::NXIO));
    full(&world, &mut tables, 4);
    tables.files.remove(1).unwrap();
    tables.files.remove(3).unwrap();
    let mut fds = [file.as_raw_fd(); 3];
    let addr = (&raw mut fds).expose_provenance() as u64;
    assert_eq!(tables.files.update_any(&source(&world), addr, 3), Ok(2));
    assert_eq!((fds[0], fds[1], fds[2]), (3, 1, file.as_raw_fd()));
    assert_eq!(tables.files.update_any(&source(&world), addr + 8, 1), Err(Errno::NFILE));
    assert_eq!(tables.files.update_any(&source(&world), at(&[-1]), 1), Err(Errno::BADF));
}

#[test]
fn a_hint_is_asked_for_again_after_some_uses() {
    let mut hints = Hints::default();
    assert!(!hints.is_buffered(5));
    hints.learn_buffered(5);
    assert_eq!((0..100).take_while(|_| hints.is_buffered(5)).count(), 32);
    hints.learn_buffered(5);
    hints.learn_buffered(5 + 64);
    assert!(!hints.is_buffered(5), "another one has its place");
}
