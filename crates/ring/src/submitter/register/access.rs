//! What a ring may do and on whose behalf: probing, credentials, restrictions, starting.

use std::io;

use annulus_abi::RegisterOp;
use rustix::io::Errno;

use crate::Submitter;
use crate::register::{Probe, Restriction};

impl Submitter<'_> {
    /// Asks which opcodes the kernel has. Linux 5.6.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 5.6 and for a probe that was filled in already.
    pub fn register_probe(&self, probe: &mut Probe) -> io::Result<()> {
        self.register_asked(RegisterOp::REGISTER_PROBE, probe.as_raw_mut(), Probe::COUNT).map(drop)
    }

    /// Registers the credentials of the caller. An entry with the
    /// [personality](crate::squeue::Entry::personality) that is returned runs with them, whatever
    /// credentials the submitter has then. Linux 5.6.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 5.6, `ENOMEM`, `EBUSY` if all 65,535 are taken.
    pub fn register_personality(&self) -> io::Result<u16> {
        let id = self.register_plain(RegisterOp::REGISTER_PERSONALITY, 0)?;
        // The kernel's own limit is that of the 16-bit field in the entry.
        u16::try_from(id).map_err(|_| Errno::OVERFLOW.into())
    }

    /// Forgets registered credentials.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are none under that number.
    pub fn unregister_personality(&self, personality: u16) -> io::Result<()> {
        self.register_plain(RegisterOp::UNREGISTER_PERSONALITY, u32::from(personality)).map(drop)
    }

    /// Restricts what the ring takes, for good. Only while the ring is still
    /// [disabled](crate::Builder::setup_r_disabled). What is not allowed then fails with `EACCES`. For
    /// restrictions of all rings that a thread makes, see [`Task::restrict`](crate::register::Task::restrict). Linux 5.10.
    ///
    /// # Errors
    ///
    /// `EBADFD` on a ring that is enabled, `EBUSY` if it has restrictions already, `EINVAL` for too many.
    pub fn register_restrictions(&self, res: &mut [Restriction]) -> io::Result<()> {
        let nr = u32::try_from(res.len()).unwrap_or(u32::MAX);
        self.register_told(RegisterOp::REGISTER_RESTRICTIONS, res, nr).map(drop)
    }

    /// Starts a ring that was set up [disabled](crate::Builder::setup_r_disabled). With
    /// [a single issuer](crate::Builder::setup_single_issuer) the calling thread becomes that issuer. Linux
    /// 5.10.
    ///
    /// # Errors
    ///
    /// `EBADFD` on a ring that is enabled already.
    pub fn register_enable_rings(&self) -> io::Result<()> {
        self.register_plain(RegisterOp::REGISTER_ENABLE_RINGS, 0).map(drop)
    }
}
