//! Flags of writes that the Linux beneath may lack, done in another way.
//!
//! A Linux that does not know a flag answers `EOPNOTSUPP` before it has written anything. `RWF_NOSIGNAL` (Linux 6.18) is then a
//! write with `SIGPIPE` blocked in this thread. `RWF_NOAPPEND` (Linux 6.9) means nothing to a file that is open without `O_APPEND`, and
//! is left away. For one with `O_APPEND` the answer stays: taking the flag off the file would be seen by everybody who has
//! it. So it stays for `RWF_ATOMIC` and `RWF_DONTCACHE`, which file systems may refuse anyway.
#![allow(unsafe_code, reason = "the signal mask of the calling thread, which rustix leaves out")]

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use annulus_abi::RwFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::files::borrow;

/// Whether `EOPNOTSUPP` may mean that Linux here does not know one of these flags, and [`write`] has another way.
#[inline]
pub(super) const fn may_be_lacking(flags: u32) -> bool {
    flags & RwFlags::NOSIGNAL.union(RwFlags::NOAPPEND).bits() != 0
}

/// Writes without the flags that Linux here lacks, where the write comes to the same. `write` makes the call.
#[cold]
pub(super) fn write(
    fd: RawFd,
    flags: u32,
    write: impl Fn(u32) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let (mut flags, mut lacking) = (RwFlags::from_bits_retain(flags), Err(Errno::OPNOTSUPP));
    if flags.contains(RwFlags::NOAPPEND.union(RwFlags::APPEND)) {
        return Err(Errno::INVAL);
    }
    if flags.contains(RwFlags::NOSIGNAL) {
        flags.remove(RwFlags::NOSIGNAL);
        lacking = without_sigpipe(|| write(flags.bits()));
    }
    let appends = || rustix::fs::fcntl_getfl(borrow(fd)?).map(|status| status.contains(OFlags::APPEND));
    if lacking != Err(Errno::OPNOTSUPP) || !flags.contains(RwFlags::NOAPPEND) || appends()? {
        return lacking;
    }
    flags.remove(RwFlags::NOAPPEND);
    without_sigpipe(|| write(flags.bits()))
}

/// Makes a call that sends its thread no `SIGPIPE`: it is blocked meanwhile, and taken away if the call has brought it.
fn without_sigpipe(call: impl FnOnce() -> Result<usize, Errno>) -> Result<usize, Errno> {
    let (pipe, mut before) = (only_sigpipe(), MaybeUninit::<libc::sigset_t>::uninit());
    // SAFETY: both sets live for the call.
    let refused = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const pipe, before.as_mut_ptr()) };
    assert_eq!(refused, 0, "a thread may block signals");
    // SAFETY: the call above has written it.
    let before = unsafe { before.assume_init() };
    let was_pending = is_pending();
    let result = call();
    if result == Err(Errno::PIPE) && !was_pending && is_pending() {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: set and time live for the call, which wants to tell nothing about the signal.
        unsafe { libc::sigtimedwait(&raw const pipe, std::ptr::null_mut(), &raw const at_once) };
    }
    // SAFETY: the set lives for the call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}

/// Whether a `SIGPIPE` waits for this thread or its process.
fn is_pending() -> bool {
    let mut pending = only_sigpipe();
    // SAFETY: the set lives for the call.
    let told = unsafe { libc::sigpending(&raw mut pending) } == 0;
    // SAFETY: the set lives for the call, which reads it.
    told && unsafe { libc::sigismember(&raw const pending, libc::SIGPIPE) } == 1
}

fn only_sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call writes the whole set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: as the call above has.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: the set lives for the call.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) };
    set
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::fd::AsRawFd;

    use super::*;

    const NOSIGNAL: u32 = RwFlags::NOSIGNAL.bits();
    const NOAPPEND: u32 = RwFlags::NOAPPEND.bits();
    const SYNC: u32 = RwFlags::SYNC.bits();

    /// Writes as a Linux would that knows nothing but `known`; the flags of each call.
    fn on_linux_with(known: u32, fd: RawFd, flags: u32) -> (Result<usize, Errno>, Vec<u32>) {
        let calls = RefCell::new(Vec::new());
        let result = write(fd, flags, |flags| {
            calls.borrow_mut().push(flags);
            if flags & !known == 0 { Ok(3) } else { Err(Errno::OPNOTSUPP) }
        });
        (result, calls.into_inner())
    }

    #[test]
    fn flags_that_linux_lacks_are_left_away_and_others_stay() {
        let file = tempfile::tempfile().expect("a file");
        let fd = file.as_raw_fd();
        assert_eq!(on_linux_with(SYNC, fd, NOSIGNAL | SYNC), (Ok(3), vec![SYNC]));
        assert_eq!(on_linux_with(NOAPPEND, fd, NOSIGNAL | NOAPPEND), (Ok(3), vec![NOAPPEND]));
        assert_eq!(on_linux_with(0, fd, NOSIGNAL | NOAPPEND), (Ok(3), vec![NOAPPEND, 0]));
        assert_eq!(on_linux_with(0, fd, NOAPPEND), (Ok(3), vec![0]));
        // Another flag is what it lacks: that stays its answer.
        assert_eq!(on_linux_with(0, fd, NOAPPEND | SYNC), (Err(Errno::OPNOTSUPP), vec![SYNC]));
    }

    #[test]
    fn a_file_that_appends_keeps_doing_so_where_linux_cannot_help_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let file = std::fs::OpenOptions::new().append(true).open(file.path()).expect("it is there");
        assert_eq!(on_linux_with(0, file.as_raw_fd(), NOAPPEND), (Err(Errno::OPNOTSUPP), vec![]));
        let both = NOAPPEND | RwFlags::APPEND.bits();
        assert_eq!(on_linux_with(0, file.as_raw_fd(), both), (Err(Errno::INVAL), vec![]));
    }

    #[test]
    fn a_write_to_a_pipe_that_nobody_reads_leaves_no_signal_behind() {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        drop(reader);
        let pipe = only_sigpipe();
        // The test's own thread takes the signal as anything that is blocked, and not as the end of the process.
        // SAFETY: the set lives for the call.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const pipe, std::ptr::null_mut()) };
        // SAFETY: sets a disposition; the default one is what the other tests of this process do not need.
        let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let result = without_sigpipe(|| rustix::io::write(&writer, b"x"));
        let left = is_pending();
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGPIPE, before) };
        assert_eq!((result, left), (Err(Errno::PIPE), false));
    }
}
