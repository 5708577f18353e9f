//! Registered buffers on the kernel: used, replaced, tagged, shared between rings, and refused with
//! an explanation.
#![allow(unsafe_code, reason = "registers memory of these tests and pushes reads into it")]
#![allow(clippy::disallowed_methods, reason = "privileges are dropped in a thread of its own")]
#![allow(clippy::print_stdout, reason = "a skip says why")]

mod again;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use annulus::register::RegisterError;
use annulus::types::{CloneBuffersFlags, Fd};
use annulus::{IoUring, opcode};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

fn iovec(buffer: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() }
}

const EMPTY: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

/// Reads a file into a part of a registered buffer. Returns the result.
fn read_fixed(ring: &mut IoUring, file: &File, into: &mut [u8], index: u16) -> i32 {
    let len = u32::try_from(into.len()).unwrap();
    let read = opcode::ReadFixed::new(Fd(file.as_raw_fd()), into.as_mut_ptr(), len, index).build();
    // SAFETY: the read completes before this function returns, `into` is borrowed until then.
    unsafe { ring.submission().push(&read.user_data(1)) }.unwrap();
    ring.submit_and_wait(1).unwrap();
    let cqe = ring.completion().next().unwrap();
    assert_eq!(cqe.user_data(), 1);
    cqe.result()
}

fn file() -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"registered").unwrap();
    file
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn a_registered_buffer_is_read_into_and_its_bounds_are_kept() {
    let (mut first, mut second) = (vec![0; 4096], vec![0; 4096]);
    let (mut ring, file) = (IoUring::new(4).unwrap(), file());
    let bufs = [iovec(&mut first), iovec(&mut second)];
    // SAFETY: both vectors live longer than the ring, and only reads of this test use them.
    unsafe { ring.submitter().register_buffers(&bufs) }.unwrap();
    assert_eq!(read_fixed(&mut ring, &file, &mut second[100..110], 1), 10);
    assert_eq!(&second[100..110], b"registered");
    assert_eq!(read_fixed(&mut ring, &file, &mut second[100..110], 0), -libc::EFAULT, "of another buffer");
    // SAFETY: as above.
    assert_eq!(errno(unsafe { ring.submitter().register_buffers(&bufs) }), Some(libc::EBUSY));
    ring.submitter().unregister_buffers().unwrap();
    assert_eq!(read_fixed(&mut ring, &file, &mut second[100..110], 1), -libc::EFAULT);
    assert_eq!(errno(ring.submitter().unregister_buffers()), Some(libc::ENXIO));
}

#[test]
fn a_sparse_table_is_filled_later() {
    let mut buffer = vec![0; 4096];
    let (mut ring, file) = (IoUring::new(4).unwrap(), file());
    ring.submitter().register_buffers_sparse(4).unwrap();
    assert_eq!(read_fixed(&mut ring, &file, &mut buffer[..10], 2), -libc::EFAULT);
    // SAFETY: the vector lives longer than the ring, and only reads of this test use it.
    unsafe { ring.submitter().register_buffers_update(2, &[iovec(&mut buffer)], None) }.unwrap();
    assert_eq!(read_fixed(&mut ring, &file, &mut buffer[..10], 2), 10);
    // SAFETY: empties a slot.
    let beyond = unsafe { ring.submitter().register_buffers_update(4, &[EMPTY], None) };
    assert_eq!(errno(beyond), Some(libc::EINVAL));
}

#[test]
fn a_tag_is_posted_once_its_buffer_is_replaced_or_unregistered() {
    let (mut first, mut second) = (vec![0; 4096], vec![0; 4096]);
    let mut ring = IoUring::new(4).unwrap();
    let (old, new) = (iovec(&mut first), iovec(&mut second));
    // SAFETY: both vectors live longer than the ring, and nothing uses them.
    unsafe { ring.submitter().register_buffers2(&[old, old], &[7, 0]) }.unwrap();
    // SAFETY: as above.
    unsafe { ring.submitter().register_buffers_update(0, &[new], Some(&[8])) }.unwrap();
    let replaced = ring.wait().unwrap();
    assert_eq!((replaced.user_data(), replaced.result()), (7, 0));
    ring.submitter().unregister_buffers().unwrap();
    assert_eq!(ring.wait().unwrap().user_data(), 8);
    assert!(ring.peek().unwrap().is_none(), "the second buffer has no tag");
}

#[test]
fn buffers_are_shared_with_another_ring_whole_or_in_part() {
    let (mut first, mut second) = (vec![0; 4096], vec![0; 4096]);
    let (source, file) = (IoUring::new(4).unwrap(), file());
    // SAFETY: both vectors live longer than all rings, and only reads of this test use them.
    unsafe { source.submitter().register_buffers(&[iovec(&mut first), iovec(&mut second)]) }.unwrap();

    let mut whole = IoUring::new(4).unwrap();
    whole.submitter().register_buffers_clone(source.as_raw_fd()).unwrap();
    assert_eq!(read_fixed(&mut whole, &file, &mut second[..10], 1), 10);
    assert_eq!(errno(whole.submitter().register_buffers_clone(source.as_raw_fd())), Some(libc::EBUSY));

    let mut part = IoUring::new(4).unwrap();
    let flags = CloneBuffersFlags::empty();
    part.submitter().register_buffers_clone_offset(source.as_raw_fd(), 1, 3, 1, flags).unwrap();
    assert_eq!(read_fixed(&mut part, &file, &mut second[..10], 3), 10);
    assert_eq!(read_fixed(&mut part, &file, &mut second[..10], 1), -libc::EFAULT);
    let replace = CloneBuffersFlags::DST_REPLACE;
    part.submitter().register_buffers_clone_offset(source.as_raw_fd(), 0, 3, 1, replace).unwrap();
    assert_eq!(read_fixed(&mut part, &file, &mut first[..10], 3), 10);
    assert_eq!(read_fixed(&mut part, &file, &mut second[..10], 3), -libc::EFAULT, "it was replaced");
}

#[test]
fn locked_memory_beyond_the_limit_is_told_with_both_numbers() {
    let Some(limit) = getrlimit(Resource::Memlock).current.filter(|limit| *limit <= 1 << 30) else {
        println!("SKIP: locked memory is not limited here");
        return;
    };
    // Without the privilege, which belongs to the thread, the limit counts.
    let refused = std::thread::spawn(move || {
        drop_ipc_lock();
        let mut buffer = vec![0; usize::try_from(limit).unwrap() + 4096];
        let ring = IoUring::new(4).unwrap();
        let bufs = [iovec(&mut buffer)];
        // SAFETY: the registration is refused; the vector lives longer than the ring anyway.
        let error = unsafe { ring.submitter().try_register_buffers(&bufs) }.unwrap_err();
        (error, buffer.len() as u64)
    });
    let (error, len) = refused.join().unwrap();
    let RegisterError::OutOfMemory { needed, limit: told } = error else { panic!("{error:?}") };
    assert!((len..len + 8192).contains(&needed), "{needed} for {len} bytes");
    assert_eq!(told, Some(limit));
    let text = error.to_string();
    assert!(text.contains(&format!("may lock {limit} bytes; raise RLIMIT_MEMLOCK")), "{text}");
    assert_eq!(io::Error::from(error).raw_os_error(), Some(libc::ENOMEM));
}

fn drop_ipc_lock() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::IPC_LOCK);
    set_capabilities(None, sets).unwrap();
}

#[test]
fn a_buffer_that_cannot_be_one_is_named_with_its_place() {
    let mut buffer = vec![0; 4096];
    let ring = IoUring::new(4).unwrap();
    let no_address = libc::iovec { iov_len: 7, ..EMPTY };
    // SAFETY: refused, as the second entry names no memory.
    let error =
        unsafe { ring.submitter().try_register_buffers(&[iovec(&mut buffer), no_address]) }.unwrap_err();
    let errno = error.errno();
    assert_eq!(error, RegisterError::Buffer { index: 1, problem: "has a length but no address", errno });
    assert!(matches!(errno, Errno::FAULT | Errno::INVAL), "{errno}");
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    // The engine locks no memory.
    again::on_the_engine(
        "all_of_this_holds_on_the_engine_too",
        &["locked_memory_beyond_the_limit_is_told_with_both_numbers"],
    );
}
