//! Why files, buffers or a buffer ring could not be registered, and what to do about it.
//!
//! The kernel answers with an errno for the whole list; this looks for the element that caused it. Nothing
//! is looked up before a registration has failed.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::os::fd::RawFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// The most bytes that one registered buffer has.
const MAX_BUFFER: usize = 1 << 30;
/// The most buffers that a ring has (`IORING_MAX_REG_BUFFERS`).
const MAX_BUFFERS: usize = 1 << 14;
/// The most files that a ring has (`IORING_MAX_FIXED_FILES`).
const MAX_FILES: usize = 1 << 20;

/// Something could not be registered: the errno, the cause as far as it can be seen, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// `EBUSY`: there is a table of that kind already.
    Registered {
        /// What the table is of.
        what: &'static str,
    },
    /// `ENOMEM`: registered buffers count against the limit of locked memory, or memory is short.
    OutOfMemory {
        /// Bytes that were to be locked.
        needed: u64,
        /// The soft limit of locked memory (`RLIMIT_MEMLOCK`) in bytes, if there is one.
        limit: Option<u64>,
    },
    /// `EINVAL` or `EMFILE`: none, or too many.
    Count {
        /// What was to be registered.
        what: &'static str,
        /// How many.
        asked: usize,
        /// The most that there can be.
        most: usize,
        /// What the kernel answered.
        errno: Errno,
    },
    /// `EMFILE`: more files than the process may open.
    FileLimit {
        /// How many were to be registered.
        asked: usize,
        /// The hard limit (`RLIMIT_NOFILE`).
        limit: u64,
    },
    /// `EFAULT` or `EINVAL`: a buffer that cannot be one.
    Buffer {
        /// Its index.
        index: usize,
        /// What is wrong with it.
        problem: &'static str,
        /// What the kernel answered.
        errno: Errno,
    },
    /// `EBADF`: a descriptor that is not open.
    Descriptor {
        /// Its index.
        index: usize,
        /// The descriptor.
        fd: RawFd,
    },
    /// `EINVAL`: a buffer ring cannot have that many entries.
    BufRingEntries {
        /// How many were asked for.
        asked: u16,
        /// The most that there can be.
        most: u16,
    },
    /// `EINVAL`: buffers of 0 bytes.
    BufRingEmptyBuffers,
    /// `EEXIST`: the ring has this group of buffers already.
    BufRingGroup {
        /// The group's number.
        bgid: u16,
    },
    /// Anything else that io_uring_register(2) answered.
    Other {
        /// What was to be registered.
        what: &'static str,
        /// The answer.
        errno: Errno,
    },
}

impl RegisterError {
    /// Finds the cause of a refusal of buffers.
    pub(crate) fn of_buffers(errno: Option<Errno>, bufs: &[libc::iovec]) -> Self {
        let what = "buffers";
        let errno = errno.unwrap_or(Errno::IO);
        match errno {
            Errno::BUSY => Self::Registered { what },
            Errno::NOMEM => Self::OutOfMemory {
                needed: bufs.iter().map(locked_bytes).sum(),
                limit: getrlimit(Resource::Memlock).current,
            },
            Errno::INVAL if bufs.is_empty() || bufs.len() > MAX_BUFFERS => {
                Self::Count { what, asked: bufs.len(), most: MAX_BUFFERS, errno }
            }
            Errno::FAULT | Errno::INVAL => bufs
                .iter()
                .enumerate()
                .find_map(|(index, buf)| Some(Self::Buffer { index, problem: problem(buf)?, errno }))
                .unwrap_or(Self::Other { what, errno }),
            _ => Self::Other { what, errno },
        }
    }

    /// Finds the cause of a refusal of files.
    pub(crate) fn of_files(errno: Option<Errno>, fds: &[RawFd]) -> Self {
        let what = "files";
        let errno = errno.unwrap_or(Errno::IO);
        match errno {
            Errno::BUSY => Self::Registered { what },
            Errno::INVAL if fds.is_empty() => Self::Count { what, asked: fds.len(), most: MAX_FILES, errno },
            Errno::MFILE => match getrlimit(Resource::Nofile).maximum {
                Some(limit) if fds.len() as u64 > limit => Self::FileLimit { asked: fds.len(), limit },
                _ => Self::Count { what, asked: fds.len(), most: MAX_FILES, errno },
            },
            Errno::BADF => fds
                .iter()
                .enumerate()
                .find(|(_, fd)| **fd != -1 && !is_open(**fd))
                .map_or(Self::Other { what, errno }, |(index, fd)| Self::Descriptor { index, fd: *fd }),
            _ => Self::Other { what, errno },
        }
    }

    /// The errno behind it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match *self {
            Self::Registered { .. } => Errno::BUSY,
            Self::OutOfMemory { .. } => Errno::NOMEM,
            Self::FileLimit { .. } => Errno::MFILE,
            Self::Descriptor { .. } => Errno::BADF,
            Self::BufRingEntries { .. } | Self::BufRingEmptyBuffers => Errno::INVAL,
            Self::BufRingGroup { .. } => Errno::EXIST,
            Self::Count { errno, .. } | Self::Buffer { errno, .. } | Self::Other { errno, .. } => errno,
        }
    }
}

impl Display for RegisterError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { what } => {
                write!(
                    f,
                    "the ring has registered {what} already (EBUSY): update them, or unregister them first"
                )
            }
            Self::OutOfMemory { needed, limit: Some(limit) } => write!(
                f,
                "the buffers cannot be registered (ENOMEM): they lock {needed} bytes, and all rings and registered buffers \
                 of this user together may lock {limit} bytes; raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK=) or \
                 register less"
            ),
            Self::OutOfMemory { needed, limit: None } => write!(
                f,
                "no memory to register buffers of {needed} bytes (ENOMEM); locked memory is not limited"
            ),
            Self::Count { what, asked, most, errno } => {
                write!(f, "a ring has 1 to {most} registered {what}, {asked} were given ({errno})")
            }
            Self::FileLimit { asked, limit } => write!(
                f,
                "{asked} files are more than the process may open (EMFILE): its hard limit is {limit} (`ulimit -Hn`, \
                 LimitNOFILE=)"
            ),
            Self::Buffer { index, problem, errno } => write!(f, "buffer {index} {problem} ({errno})"),
            Self::Descriptor { index, fd } => {
                write!(
                    f,
                    "descriptor {fd}, number {index} of the list, is not open (EBADF); -1 leaves a slot empty"
                )
            }
            Self::BufRingEntries { asked, most } => {
                write!(
                    f,
                    "a buffer ring has a power of two of entries, up to {most}; {asked} were asked for (EINVAL)"
                )
            }
            Self::BufRingEmptyBuffers => f.write_str("the buffers of a ring have at least 1 byte (EINVAL)"),
            Self::BufRingGroup { bgid } => {
                write!(f, "the ring has a buffer group {bgid} already (EEXIST): take another number")
            }
            Self::Other { what, errno } => write!(f, "the {what} could not be registered: {errno}"),
        }
    }
}

impl std::error::Error for RegisterError {}

impl From<RegisterError> for io::Error {
    /// Keeps the errno, so that `raw_os_error` answers as it does for a system call.
    fn from(error: RegisterError) -> Self {
        error.errno().into()
    }
}

/// What a buffer counts against the limit: every page that it touches.
fn locked_bytes(buf: &libc::iovec) -> u64 {
    let page = crate::pages::page_size();
    let start = buf.iov_base.addr();
    let end = start.saturating_add(buf.iov_len).div_ceil(page) * page;
    if buf.iov_base.is_null() { 0 } else { (end - start / page * page) as u64 }
}

/// What the kernel says no to, if it can be seen from the description.
fn problem(buf: &libc::iovec) -> Option<&'static str> {
    match (buf.iov_base.is_null(), buf.iov_len) {
        (true, 1..) => Some("has a length but no address"),
        (false, 0) => Some("is empty"),
        (false, len) if len > MAX_BUFFER => Some("is larger than 1 GiB"),
        _ => None,
    }
}

/// Whether the process has this descriptor open, without touching it.
fn is_open(fd: RawFd) -> bool {
    fd >= 0 && Path::new("/proc/self/fd").join(fd.to_string()).symlink_metadata().is_ok()
}
