//! Cancelling without an entry: the call returns when it is done.

use std::io;

use annulus_abi::{KernelTimespec, RegisterOp, SyncCancelReg};

use crate::Submitter;
use crate::types::{CancelBuilder, Timespec};

impl Submitter<'_> {
    /// Cancels what `builder` matches and waits until that is done, `timeout` at the most. The cancelled
    /// operations still post their completions. Entries that were not submitted are not found. Linux 6.0;
    /// matching by operation 6.6.
    ///
    /// # Errors
    ///
    /// `ENOENT` if nothing matched, `ETIME` if the time is over, `EINVAL` before 6.0 and for keys that this
    /// kernel lacks, `EBADF` for a descriptor that is not open.
    pub fn register_sync_cancel(&self, timeout: Option<Timespec>, builder: CancelBuilder) -> io::Result<()> {
        let forever = KernelTimespec { tv_sec: -1, tv_nsec: -1 };
        let arg = SyncCancelReg {
            addr: builder.user_data.unwrap_or(0),
            fd: builder.to_fd(),
            flags: builder.flags.bits(),
            timeout: timeout.map_or(forever, |timeout| timeout.0),
            opcode: builder.opcode.unwrap_or(0),
            ..SyncCancelReg::default()
        };
        self.register_told(RegisterOp::REGISTER_SYNC_CANCEL, &arg, 1).map(drop)
    }
}
