//! The memory of this process, reached through a system call that checks the address.
//!
//! process_vm_readv(2) on oneself answers `EFAULT` where a plain access would end the program. Where it is forbidden
//! (`EPERM`, `ENOSYS`) memory is read plainly, and only a null page is refused.
#![allow(unsafe_code, reason = "copies from and to addresses that submissions vouched for")]

use std::ffi::{CString, c_void};

use rustix::io::Errno;

use super::Host;
use crate::shared::page_size;
use crate::world::{Memory, Span};

/// No object lies below.
const FIRST_ADDRESS: u64 = 4096;
/// Strings are read page by page, as the page behind their end may not exist.
const PAGE: u64 = 4096;

impl Memory for Host {
    fn load(&self, from: Span, into: &mut [u8]) -> Result<(), Errno> {
        assert!(into.len() <= from.len(), "{} bytes from a span of {}", into.len(), from.len());
        transfer(from.addr(), into.as_mut_ptr(), into.len(), Direction::Load)
    }

    fn store(&self, to: Span, bytes: &[u8]) -> Result<(), Errno> {
        assert!(bytes.len() <= to.len(), "{} bytes into a span of {}", bytes.len(), to.len());
        transfer(to.addr(), bytes.as_ptr().cast_mut(), bytes.len(), Direction::Store)
    }

    fn load_string(&self, from: Span, limit: usize) -> Result<CString, Errno> {
        let mut text = Vec::new();
        let mut addr = from.addr();
        while text.len() < limit {
            let to_page_end = usize::try_from(PAGE - addr % PAGE).unwrap_or(1);
            let start = text.len();
            text.resize(start + to_page_end.min(limit - start), 0);
            let len = text.len() - start;
            transfer(addr, text[start..].as_mut_ptr(), len, Direction::Load)?;
            if let Some(end) = text[start..].iter().position(|byte| *byte == 0) {
                text.truncate(start + end);
                return CString::new(text).map_err(|_| Errno::FAULT);
            }
            addr = addr.wrapping_add(len as u64);
        }
        Err(Errno::NAMETOOLONG)
    }

    fn populate(&self, span: Span) -> Result<(), Errno> {
        let addr = usize::try_from(span.addr()).map_err(|_| Errno::FAULT)?;
        let start = addr - addr % page_size();
        let len = addr.checked_add(span.len()).ok_or(Errno::FAULT)? - start;
        let pages = start as *mut c_void;
        loop {
            // SAFETY: makes pages present that the program registers for its operations; changes no byte.
            if unsafe { libc::madvise(pages, len, libc::MADV_POPULATE_WRITE) } == 0 {
                return Ok(());
            }
            match std::io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN) => {}
                // A mapping that must not be written, or is of a device: those cannot be pinned either.
                Some(libc::EINVAL) if can_populate(pages) => return Err(Errno::FAULT),
                Some(libc::EINVAL | libc::ENOSYS | libc::EPERM) => return mapped(pages, len),
                // ENOMEM says that a part is not mapped, or that memory is short; mincore(2) knows which.
                Some(libc::ENOMEM) => return mapped(pages, len).and(Err(Errno::NOMEM)),
                _ => return Err(Errno::FAULT),
            }
        }
    }
}

/// Whether there is such an advice: since Linux 5.14.
fn can_populate(pages: *mut c_void) -> bool {
    // SAFETY: about no memory at all.
    (unsafe { libc::madvise(pages, 0, libc::MADV_POPULATE_WRITE) }) == 0
}

/// Fails unless every page of the range belongs to a mapping: what can be said where pages cannot be populated.
fn mapped(start: *mut c_void, len: usize) -> Result<(), Errno> {
    let mut present = vec![0_u8; len.div_ceil(page_size())];
    // SAFETY: `present` has a byte for each page; the kernel checks the range and touches nothing in it.
    match unsafe { libc::mincore(start, len, present.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(Errno::FAULT),
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Load,
    Store,
}

/// Copies `len` bytes between the program's memory at `addr` and `ours`, which is that long.
fn transfer(addr: u64, ours: *mut u8, len: usize, direction: Direction) -> Result<(), Errno> {
    if len == 0 {
        return Ok(());
    }
    let theirs = usize::try_from(addr).map_err(|_| Errno::FAULT)? as *mut c_void;
    if addr < FIRST_ADDRESS {
        return Err(Errno::FAULT);
    }
    let local = libc::iovec { iov_base: ours.cast(), iov_len: len };
    let remote = libc::iovec { iov_base: theirs, iov_len: len };
    // SAFETY: takes nothing and changes nothing.
    let pid = unsafe { libc::getpid() };
    let done = match direction {
        // SAFETY: `ours` is writable for `len` bytes; the kernel checks the other side.
        Direction::Load => unsafe {
            libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0)
        },
        // SAFETY: `ours` is readable for `len` bytes; the kernel checks the other side, which the
        // submission vouched for as the operation's to write.
        Direction::Store => unsafe {
            libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0)
        },
    };
    if usize::try_from(done) == Ok(len) {
        return Ok(());
    }
    // A part of it was there, so that no call has failed and errno means nothing.
    if done >= 0 {
        return Err(Errno::FAULT);
    }
    let errno = std::io::Error::last_os_error().raw_os_error();
    if !matches!(errno, Some(libc::EPERM | libc::ENOSYS | libc::ESRCH)) {
        return Err(Errno::FAULT);
    }
    match direction {
        // SAFETY: the submission vouched for `len` readable bytes at this address.
        Direction::Load => unsafe { std::ptr::copy(theirs.cast::<u8>(), ours, len) },
        // SAFETY: the submission vouched for `len` writable bytes at this address.
        Direction::Store => unsafe { std::ptr::copy(ours, theirs.cast::<u8>(), len) },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Vouched;

    /// A vouched span over a local value.
    fn span(addr: u64, len: usize) -> Span {
        // SAFETY: the tests name their own locals, or nonsense that is to be refused.
        unsafe { Vouched::new() }.span(addr, len)
    }

    #[test]
    fn bytes_are_loaded_and_stored_by_address() {
        let host = Host::new().unwrap();
        let mut theirs = *b"ring";
        let addr = (&raw mut theirs) as u64;
        let mut ours = [0; 4];
        host.load(span(addr, 4), &mut ours).unwrap();
        assert_eq!(&ours, b"ring");
        host.store(span(addr, 4), b"gone").unwrap();
        assert_eq!(&theirs, b"gone");
    }

    #[test]
    fn a_wrong_address_is_efault_and_no_crash() {
        let host = Host::new().unwrap();
        for addr in [0, 8, 0xdead_0000_0000_0000, u64::MAX - 3] {
            assert_eq!(host.load(span(addr, 4), &mut [0; 4]), Err(Errno::FAULT), "{addr:#x}");
            assert_eq!(host.store(span(addr, 4), &[0; 4]), Err(Errno::FAULT), "{addr:#x}");
            assert_eq!(host.load_string(span(addr, 0), 100), Err(Errno::FAULT), "{addr:#x}");
        }
    }

    #[test]
    fn memory_of_which_a_part_is_not_there_is_efault_whatever_errno_says() {
        let host = Host::new().unwrap();
        let page = page_size();
        // SAFETY: a new mapping at an address that the system chooses.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                2 * page,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        // SAFETY: inside the mapping.
        let second = unsafe { start.byte_add(page) };
        // SAFETY: the second page of it, which nothing refers to.
        assert_eq!(unsafe { libc::mprotect(second, page, libc::PROT_NONE) }, 0);
        for errno in [0, libc::EPERM] {
            // SAFETY: takes nothing; gives the place of the thread's own errno.
            let place = unsafe { libc::__errno_location() };
            // SAFETY: the thread's own errno.
            unsafe { *place = errno };
            let from = span(start as u64 + page as u64 - 8, 16);
            assert_eq!(host.load(from, &mut [0; 16]), Err(Errno::FAULT), "{errno}");
        }
        // SAFETY: the mapping of above.
        assert_eq!(unsafe { libc::munmap(start, 2 * page) }, 0);
    }

    #[test]
    fn a_string_ends_at_its_zero_byte() {
        let host = Host::new().unwrap();
        let text = c"/tmp/a path";
        let addr = text.as_ptr() as u64;
        assert_eq!(host.load_string(span(addr, 0), 4096).unwrap().as_c_str(), text);
        assert_eq!(host.load_string(span(addr, 0), 5), Err(Errno::NAMETOOLONG));
    }
}
