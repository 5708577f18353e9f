//! Registered files on the kernel: the table is filled, replaced, tagged, emptied, and operations find
//! what is in it.
#![allow(unsafe_code, reason = "pushing is unsafe; the entries read into buffers of these tests")]
#![allow(clippy::print_stdout, reason = "a skip says why")]

mod again;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};

use annulus::register::{RegisterError, SKIP_FILE};
use annulus::types::{DestinationSlot, Fixed};
use annulus::{IoUring, opcode, squeue};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Submits one entry and waits for its result.
fn run(ring: &mut IoUring, entry: &squeue::Entry) -> i32 {
    // SAFETY: the entries of this file name memory that outlives this call, in which they complete.
    unsafe { ring.submission().push(&entry.user_data(1)) }.expect("room in the queue");
    ring.submit_and_wait(1).unwrap();
    let cqe = ring.completion().next().expect("one completion was waited for");
    assert_eq!(cqe.user_data(), 1);
    cqe.result()
}

/// The first byte of the file in a slot, or the errno.
fn first_byte(ring: &mut IoUring, slot: u32) -> Result<u8, Errno> {
    let mut byte = [0_u8];
    let read = opcode::Read::new(Fixed(slot), byte.as_mut_ptr(), 1).build();
    match run(ring, &read) {
        1 => Ok(byte[0]),
        result => Err(Errno::from_raw_os_error(-result)),
    }
}

/// A file that holds one byte.
fn file(byte: u8) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[byte]).unwrap();
    file
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn registered_files_are_found_by_index_after_their_descriptors_are_closed() {
    let mut ring = IoUring::new(4).unwrap();
    let files = [file(b'a'), file(b'b')];
    let fds = [files[0].as_raw_fd(), -1, files[1].as_raw_fd()];
    ring.submitter().register_files(&fds).unwrap();
    drop(files);
    assert_eq!(first_byte(&mut ring, 0), Ok(b'a'));
    assert_eq!(first_byte(&mut ring, 1), Err(Errno::BADF));
    assert_eq!(first_byte(&mut ring, 2), Ok(b'b'));
    assert_eq!(errno(ring.submitter().register_files(&[-1])), Some(libc::EBUSY));
    ring.submitter().unregister_files().unwrap();
    assert_eq!(first_byte(&mut ring, 0), Err(Errno::BADF));
    assert_eq!(errno(ring.submitter().unregister_files()), Some(libc::ENXIO));
}

#[test]
fn an_update_replaces_empties_and_skips() {
    let mut ring = IoUring::new(4).unwrap();
    let files = [file(b'a'), file(b'b'), file(b'c'), file(b'x')];
    let fds: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    ring.submitter().register_files(&fds[..3]).unwrap();
    assert_eq!(ring.submitter().register_files_update(0, &[fds[3], SKIP_FILE, -1]).unwrap(), 3);
    assert_eq!(first_byte(&mut ring, 0), Ok(b'x'));
    assert_eq!(first_byte(&mut ring, 1), Ok(b'b'));
    assert_eq!(first_byte(&mut ring, 2), Err(Errno::BADF));
    assert_eq!(errno(ring.submitter().register_files_update(3, &[fds[0]])), Some(libc::EINVAL));
}

#[test]
fn a_sparse_table_is_filled_by_operations_within_the_range_for_allocation() {
    let mut ring = IoUring::new(4).unwrap();
    ring.submitter().register_files_sparse(8).unwrap();
    ring.submitter().register_file_alloc_range(5, 2).unwrap();
    let open = opcode::OpenAt::new(annulus::types::Fd(libc::AT_FDCWD), c"/proc/self/comm".as_ptr())
        .file_index(Some(DestinationSlot::auto_target()))
        .build();
    assert_eq!(run(&mut ring, &open), 5);
    assert_eq!(run(&mut ring, &open), 6);
    assert_eq!(run(&mut ring, &open), -libc::ENFILE);
    assert!(first_byte(&mut ring, 6).is_ok());
    assert_eq!(errno(ring.submitter().register_file_alloc_range(5, 4)), Some(libc::EINVAL));
}

#[test]
fn a_tag_is_posted_once_its_file_is_replaced_or_unregistered() {
    let mut ring = IoUring::new(4).unwrap();
    let files = [file(b'a'), file(b'b'), file(b'c')];
    let fds: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    ring.submitter().register_files2(&fds[..2], &[100, 0]).unwrap();
    assert_eq!(first_byte(&mut ring, 0), Ok(b'a'));

    assert_eq!(ring.submitter().register_files_update2(0, &fds[2..], &[300]).unwrap(), 1);
    assert_eq!(next_tag(&mut ring), 100);
    assert_eq!(first_byte(&mut ring, 0), Ok(b'c'));

    ring.submitter().unregister_files().unwrap();
    assert_eq!(next_tag(&mut ring), 300);
    assert!(ring.peek().unwrap().is_none(), "slot 1 has no tag");
}

/// The user data of the next completion, which has result 0.
fn next_tag(ring: &mut IoUring) -> u64 {
    let cqe = ring.wait().unwrap();
    assert_eq!(cqe.result(), 0);
    cqe.user_data()
}

#[test]
fn a_descriptor_that_is_not_open_is_named_with_its_place() {
    let ring = IoUring::new(4).unwrap();
    let open = file(b'a');
    let error = ring.submitter().try_register_files(&[-1, open.as_raw_fd(), 1_000_000]).unwrap_err();
    assert_eq!(error, RegisterError::Descriptor { index: 2, fd: 1_000_000 });
    assert_eq!(
        error.to_string(),
        "descriptor 1000000, number 2 of the list, is not open (EBADF); -1 leaves a slot empty"
    );
    assert_eq!(io::Error::from(error).raw_os_error(), Some(libc::EBADF));
}

#[test]
fn no_files_at_all_are_refused_with_the_most_that_there_can_be() {
    let ring = IoUring::new(4).unwrap();
    let error = ring.submitter().try_register_files(&[]).unwrap_err();
    let errno = Errno::INVAL;
    assert_eq!(error, RegisterError::Count { what: "files", asked: 0, most: 1_048_576, errno });
}

#[test]
fn the_soft_limit_rises_when_more_files_are_registered_than_it_allows() {
    let ring = IoUring::new(4).unwrap();
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let soft = maximum.map_or(3_000, |hard| hard.min(3_000) - 1);
    if maximum.is_some_and(|hard| hard < 1_000) {
        println!("SKIP: the hard limit of open files is only {maximum:?}");
        return;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum }).unwrap();
    ring.submitter().register_files_sparse(u32::try_from(soft + 1).unwrap()).unwrap();
    assert_eq!(getrlimit(Resource::Nofile).current, Some(soft + 1));
    ring.submitter().unregister_files().unwrap();
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();

    if let Some(hard) = maximum.filter(|hard| *hard < 1 << 20) {
        let most = usize::try_from(hard).unwrap() + 1;
        let error = ring.submitter().try_register_files(&vec![-1; most]).unwrap_err();
        assert_eq!(error, RegisterError::FileLimit { asked: most, limit: hard });
    }
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
