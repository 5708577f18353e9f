//! The cases, by topic, and what they cover together.
//!
//! A case's name is the corner that it shows, its module the topic. Rows of the same name in the notes on
//! semantics are the same corner.

mod cancel;
mod drain;
mod epoll;
mod eventfd;
mod exhaustive;
mod fields;
mod files;
mod forms;
mod links;
mod msg_ring;
mod net;
mod nop;
mod overflow;
mod paths;
mod pipes;
mod poll;
mod process;
mod provided;
mod registered;
mod setup;
mod skip;
mod slots;
mod socket_commands;
mod submit;
mod timeouts;
mod xattr;
mod zero_copy;

use crate::harness::Case;

/// Every case of the suite.
#[must_use]
pub fn cases() -> Vec<Case> {
    let topics = [
        nop::CASES,
        links::CASES,
        skip::CASES,
        drain::CASES,
        exhaustive::CASES,
        submit::CASES,
        timeouts::CASES,
        cancel::CASES,
        overflow::CASES,
        poll::CASES,
        epoll::CASES,
        eventfd::CASES,
        files::CASES,
        paths::CASES,
        xattr::CASES,
        pipes::CASES,
        net::CASES,
        zero_copy::CASES,
        socket_commands::CASES,
        provided::CASES,
        registered::CASES,
        slots::CASES,
        msg_ring::CASES,
        process::CASES,
        setup::CASES,
        fields::CASES,
        forms::CASES,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use annulus::abi::{IORING_OP_PIPE, IORING_OP_RECV_ZC, OPCODES};

    use super::*;

    /// Opcodes whose success takes a device that is rarely there; a case shows how they fail without it, and
    /// prints why it goes no further.
    const NEED_HARDWARE: [u8; 1] = [IORING_OP_RECV_ZC];

    #[test]
    fn every_opcode_up_to_pipe_is_covered_by_a_case() {
        let covered: BTreeSet<u8> = cases().iter().flat_map(|case| case.covers).copied().collect();
        let expected = OPCODES.iter().filter(|info| info.number <= IORING_OP_PIPE);
        let missing =
            expected.filter(|info| !covered.contains(&info.number) && !NEED_HARDWARE.contains(&info.number));
        assert_eq!(missing.map(|info| info.name).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn every_case_has_a_name_of_its_own_that_is_a_sentence() {
        let mut seen = BTreeSet::new();
        for case in cases() {
            assert!(seen.insert((case.module, case.name)), "{} stands there twice", case.name);
            assert!(case.name.split('_').count() >= 3, "{} does not say what it shows", case.name);
        }
    }
}
