//! The side ring: an engine's, beside the kernel's, for what the kernel does not have or does not let one do.
//!
//! Operations on it have the same table, keys and owners as the others. Its descriptor is readable while completions
//! wait, and the kernel's ring polls it, so that one wait serves for both. It is set up when it is first needed; where the
//! engine carries out everything there is none.

use std::os::fd::AsRawFd;
use std::time::Duration;

use annulus::squeue::{Entry, Flags};
use annulus::{BackendChoice, BackendKind, IoUring, Probe, opcode, types};
use rustix::io::Errno;

use super::lane::Lane;
use super::{Counted, Wait};

/// How long a wait may be if the kernel's ring cannot poll the side ring.
const UNWATCHED: Duration = Duration::from_millis(1);

/// A set of opcodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Opcodes([u64; 4]);

impl Opcodes {
    pub(super) const fn contains(self, opcode: u8) -> bool {
        self.0[(opcode >> 6) as usize] & (1 << (opcode & 63)) != 0
    }

    pub(super) const fn insert(&mut self, opcode: u8) {
        self.0[(opcode >> 6) as usize] |= 1 << (opcode & 63);
    }
}

/// What a ring cannot do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// It does not have these.
    pub(super) lacking: Opcodes,
    /// It may deny what it has (`EACCES`): a filter of Linux 7.0, or restrictions.
    pub(super) denies: bool,
    /// It may not know the call that cancels (`IORING_REGISTER_SYNC_CANCEL`).
    pub(super) no_cancel_call: bool,
}

impl Limits {
    /// Whether this result of an operation is a refusal, by a ring with these limits, of what another ring may do.
    pub(super) const fn refused(self, opcode: u8, result: i32) -> bool {
        const DENIED: i32 = -libc::EACCES;
        const UNKNOWN: i32 = -libc::EOPNOTSUPP;
        match result {
            DENIED => self.denies,
            // The commands of sockets came one by one.
            UNKNOWN => opcode == opcode::SiocOutq::CODE,
            _ => false,
        }
    }

    /// Asks a ring.
    pub(super) fn of(ring: &IoUring) -> Self {
        let kind = ring.chosen().kind();
        if kind == BackendKind::Engine {
            return Self::default();
        }
        let major = major_release();
        let denies = kind != BackendKind::Kernel || major >= 7;
        let mut limits = Self { denies, no_cancel_call: major < 6, ..Self::default() };
        let mut probe = Probe::new();
        match ring.submitter().register_probe(&mut probe) {
            Ok(()) => {
                (0..=u8::MAX)
                    .filter(|opcode| !probe.is_supported(*opcode))
                    .for_each(|opcode| limits.lacking.insert(opcode));
                // As old as the call, Linux 6.0.
                limits.no_cancel_call &= !probe.is_supported(opcode::SendZc::CODE);
            }
            // Restricted as it is, it does not say what else it denies.
            Err(error) => limits.denies |= Errno::from_io_error(&error) == Some(Errno::ACCESS),
        }
        limits
    }
}

/// The first number of the kernel's release, for what no probe tells: whether it can filter opcodes (Linux 7.0), where a
/// wrong answer costs an attempt and nothing else, as what is refused for another reason is refused again; and whether it
/// may not know a call (before 6.0). One that cannot be read is a high one.
fn major_release() -> u32 {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let major = release.split('.').next().and_then(|major| major.parse().ok());
    major.unwrap_or(u32::MAX)
}

/// Whether another ring can do what an entry says: it names nothing that is registered with the first, and does not
/// speak of rings.
pub(super) fn may_go(entry: &Entry) -> bool {
    const REGISTERED: u8 = Flags::FIXED_FILE.bits() | Flags::BUFFER_SELECT.bits();
    let sqe = entry.sqe();
    if sqe.flags & REGISTERED != 0 {
        return false;
    }
    match sqe.opcode {
        opcode::OpenAt::CODE
        | opcode::OpenAt2::CODE
        | opcode::Accept::CODE
        | opcode::Socket::CODE
        | opcode::Pipe::CODE
        | opcode::Close::CODE => sqe.file_index == 0,
        opcode::SendZc::CODE | opcode::SendMsgZc::CODE => {
            sqe.ioprio & annulus::abi::IORING_RECVSEND_FIXED_BUF == 0
        }
        opcode::ReadFixed::CODE
        | opcode::WriteFixed::CODE
        | opcode::ReadvFixed::CODE
        | opcode::WritevFixed::CODE
        | opcode::FilesUpdate::CODE
        | opcode::ProvideBuffers::CODE
        | opcode::RemoveBuffers::CODE
        | opcode::FixedFdInstall::CODE
        | opcode::MsgRingData::CODE
        | opcode::RecvZc::CODE => false,
        _ => true,
    }
}

/// The ring itself.
pub(super) struct Side {
    pub(super) lane: Lane,
    /// The kernel's ring polls it at this moment.
    watched: bool,
    /// It refuses to.
    unwatchable: bool,
}

impl Side {
    /// Sets one up with as many entries as the ring that it stands beside.
    ///
    /// # Errors
    ///
    /// Those of io_uring_setup(2), as the engine has them: `EMFILE`, `ENFILE`, `ENOMEM`; `EOPNOTSUPP` if the program was
    /// built without the engine.
    pub(super) fn beside(ring: &IoUring) -> Result<Self, Errno> {
        let params = ring.params();
        let mut builder = IoUring::builder();
        builder.backend(BackendChoice::Engine).setup_clamp().dontfork();
        builder.optional(annulus::abi::SetupFlags::SUBMIT_ALL).setup_cqsize(params.cq_entries());
        let ring = builder.build(params.sq_entries()).map_err(|error| {
            tracing::warn!(%error, "no ring of the engine beside that of the kernel");
            Errno::from_io_error(&error).unwrap_or(Errno::OPNOTSUPP)
        })?;
        tracing::debug!("a ring of the engine does what the kernel does not have");
        Ok(Self { lane: Lane::new(ring), watched: false, unwatchable: false })
    }

    /// Hands over what is queued. What the other ring may wait for then; and, if it waits, the entry by which it learns
    /// of completions.
    ///
    /// # Errors
    ///
    /// Those of [`Lane::enter`].
    pub(super) fn turn(&mut self, wait: Wait, ignored: u64) -> Result<(Wait, Option<Entry>), Errno> {
        let all = self.lane.fill();
        self.lane.enter(Wait::No, &mut Counted::default(), ignored)?;
        if wait == Wait::No || !all || self.lane.has_completions() {
            return Ok((Wait::No, None));
        }
        if self.unwatchable {
            let shortest = match wait {
                Wait::AtMost(time) => time.min(UNWATCHED),
                _ => UNWATCHED,
            };
            return Ok((Wait::AtMost(shortest), None));
        }
        let poll = (!self.watched).then(|| {
            self.watched = true;
            let readable = u32::from(libc::POLLIN.cast_unsigned());
            opcode::PollAdd::new(types::Fd(self.lane.ring().as_raw_fd()), readable).build()
        });
        Ok((wait, poll))
    }

    /// The poll has completed. One that is over is made anew before the next wait, which misses nothing, as a poll looks
    /// at what is there first.
    pub(super) fn polled(&mut self, result: i32) {
        self.watched = false;
        self.unwatchable |= result < 0 && result != -libc::ECANCELED;
    }
}
