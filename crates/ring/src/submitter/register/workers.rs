//! The worker threads that execute what would block: where they run and how many there are.

use std::io;

use annulus_abi::RegisterOp;

use crate::Submitter;

impl Submitter<'_> {
    /// Lets the worker threads run only on these CPUs. Linux 5.14.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a set with CPUs that the thread's cpuset does not allow, and before 5.14.
    pub fn register_iowq_aff(&self, cpu_set: &libc::cpu_set_t) -> io::Result<()> {
        const BYTES: u32 = 128;
        const { assert!(size_of::<libc::cpu_set_t>() == BYTES as usize) };
        self.register_told(RegisterOp::REGISTER_IOWQ_AFF, cpu_set, BYTES).map(drop)
    }

    /// Lets the worker threads run on every CPU of the program again.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 5.14.
    pub fn unregister_iowq_aff(&self) -> io::Result<()> {
        self.register_plain(RegisterOp::UNREGISTER_IOWQ_AFF, 0).map(drop)
    }

    /// Limits the worker threads of the calling thread's rings: `max[0]` for work that ends (files, block
    /// devices), `max[1]` for work that may last (sockets, pipes). 0 leaves a limit as it is. The former limits
    /// are written back, so two zeros only ask. Linux 5.15.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 5.15.
    pub fn register_iowq_max_workers(&self, max: &mut [u32; 2]) -> io::Result<()> {
        self.register_asked(RegisterOp::REGISTER_IOWQ_MAX_WORKERS, max, 2).map(drop)
    }
}
