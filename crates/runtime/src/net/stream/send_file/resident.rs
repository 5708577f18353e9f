//! Whether a part of a file can be read without waiting for a disk.
//!
//! An answer for this moment, made of what calls say that never wait. That nothing of it is on its way from the disk is
//! seen by reading one byte at each end; that nothing is missing between, by cachestat(2), or where there is none (before
//! Linux 6.5) by reading more single bytes.
#![allow(unsafe_code, reason = "a call of which the crates for system calls know nothing")]

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::param::page_size;

/// The distance of single bytes that are read where nothing else tells: what is read ahead is read in larger pieces.
const STEP: u64 = 16 * 1024;

/// Whether the bytes are in the page cache, or behind the end of the file.
pub(super) fn is_resident(file: BorrowedFd<'_>, from: u64, len: u64) -> bool {
    let last = from + len.max(1) - 1;
    match (probe(file, from), probe(file, last)) {
        (Ok(0), _) => true,
        (Ok(_), Ok(1..)) => match pages_in_cache(file, from, len) {
            Some(pages) => pages >= pages_of(from, last),
            None => all_probes_succeed(file, from, last),
        },
        // The file ends in between.
        (Ok(_), Ok(0)) => all_probes_succeed(file, from, last),
        _ => false,
    }
}

/// Reads one byte, if that needs no waiting. 0 behind the end of the file.
fn probe(file: BorrowedFd<'_>, at: u64) -> Result<usize, Errno> {
    let mut byte = [0];
    preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT)
}

fn all_probes_succeed(file: BorrowedFd<'_>, from: u64, last: u64) -> bool {
    let mut at = from;
    while at <= last {
        match probe(file, at) {
            Ok(0) => return true,
            Ok(_) => at += STEP,
            Err(_) => return false,
        }
    }
    true
}

fn pages_of(from: u64, last: u64) -> u64 {
    let page = page_size() as u64;
    last / page - from / page + 1
}

/// How many pages of this part are in the cache, if there is the call that tells.
fn pages_in_cache(file: BorrowedFd<'_>, from: u64, len: u64) -> Option<u64> {
    /// As on every architecture.
    const CACHESTAT: libc::c_long = 451;
    // `struct cachestat_range`, and `struct cachestat`, whose first number it is.
    let range = [from, len];
    let mut told = [0_u64; 5];
    let (range, place) = (range.as_ptr(), told.as_mut_ptr());
    // SAFETY: reads two numbers and writes five, to locals that live for the call.
    let result = unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), range, place, 0) };
    (result == 0).then_some(told[0])
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::path::Path;

    use rustix::fs::{Advice, fadvise};

    use super::*;

    #[test]
    #[allow(clippy::print_stdout, reason = "what is left out says so")]
    fn what_was_just_written_is_there_and_what_was_dropped_is_not() {
        // Not in the memory of a temporary file system, which drops nothing.
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Another machine than that on which this was built has no such folder.
        let file = if here.is_dir() { tempfile::tempfile_in(here) } else { tempfile::tempfile() };
        let mut file = file.unwrap();
        file.write_all(&vec![7; 300_000]).unwrap();
        assert!(is_resident(file.as_fd(), 0, 131_072));
        if probe(file.as_fd(), 400_000) == Ok(0) {
            assert!(is_resident(file.as_fd(), 262_144, 131_072), "the file ends in between");
            assert!(is_resident(file.as_fd(), 400_000, 1), "nothing is there to wait for");
        } else {
            println!("SKIP: what is behind the end looks like what is on the disk (seen on Linux 5.10)");
        }
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        assert!(!is_resident(file.as_fd(), 0, 131_072));
        assert!(!all_probes_succeed(file.as_fd(), 0, 131_071));
    }

    #[test]
    fn a_part_counts_every_page_that_it_touches() {
        let page = page_size() as u64;
        assert_eq!(pages_of(0, page - 1), 1);
        assert_eq!(pages_of(page - 1, page), 2);
        assert_eq!(pages_of(1, 32 * page), 33);
    }
}
