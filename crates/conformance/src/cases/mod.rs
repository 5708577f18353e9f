//! The cases, by topic, and what they cover together.
//!
//! A case's name is the corner that it shows, its module the topic. Rows of the same name in the notes on
//! semantics are the same corner.

mod cancel;
mod drain;
mod exhaustive;
mod links;
mod overflow;
mod skip;
mod submit;
mod timeouts;

use crate::harness::Case;

/// Every case of the suite.
#[must_use]
pub fn cases() -> Vec<Case> {
    let topics = [
        links::CASES,
        skip::CASES,
        drain::CASES,
        exhaustive::CASES,
        submit::CASES,
        timeouts::CASES,
        cancel::CASES,
        overflow::CASES,
    ];
    topics.concat()
}

/// What the other side of a pipe, a socket, a file is made with; results as numbers.
mod tools {
    use std::os::fd::{AsRawFd, OwnedFd};

    use annulus::opcode;
    use annulus::squeue::{Entry, Flags};
    use annulus::types::Fd;

    use crate::harness::Buffer;

    /// `-errno` of a request that was cancelled, or never begun because its chain was severed.
    pub(super) const CANCELED: i32 = -libc::ECANCELED;

    pub(super) fn fd(file: &impl AsRawFd) -> Fd {
        Fd(file.as_raw_fd())
    }

    pub(super) fn nop() -> Entry {
        opcode::Nop::new().build()
    }

    pub(super) fn linked(entry: Entry) -> Entry {
        entry.flags(Flags::IO_LINK)
    }

    pub(super) fn hard_linked(entry: Entry) -> Entry {
        entry.flags(Flags::IO_HARDLINK)
    }

    pub(super) fn read(file: &impl AsRawFd, buffer: &Buffer) -> Entry {
        opcode::Read::new(fd(file), buffer.ptr(), buffer.len()).build()
    }

    pub(super) fn write(file: &impl AsRawFd, buffer: &Buffer) -> Entry {
        opcode::Write::new(fd(file), buffer.ptr(), buffer.len()).build()
    }

    /// A request that the kernel refuses before it looks at anything else: a field is set that the operation
    /// does not have.
    pub(super) fn refused() -> Entry {
        let mut entry = opcode::Fsync::new(Fd(-1)).build();
        entry.set_addr(1);
        entry
    }

    /// The reading and the writing end of a new pipe.
    pub(super) fn pipe() -> (OwnedFd, OwnedFd) {
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe")
    }

    /// Writes outside of the ring.
    pub(super) fn feed(file: &OwnedFd, bytes: &[u8]) {
        assert_eq!(rustix::io::write(file, bytes), Ok(bytes.len()));
    }

    /// A file without a name that holds these bytes.
    pub(super) fn file(bytes: &[u8]) -> std::fs::File {
        use std::os::unix::fs::FileExt;
        let file = tempfile::tempfile().expect("a temporary file");
        file.write_all_at(bytes, 0).expect("the file takes its bytes");
        file
    }
}
