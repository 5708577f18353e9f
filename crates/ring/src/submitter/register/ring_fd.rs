//! The ring's own descriptor, registered with the calling thread.

use std::io;

use rustix::io::Errno;

use crate::Submitter;

impl Submitter<'_> {
    /// Registers the ring's descriptor with the calling thread, which spares the kernel looking it up at
    /// every call. From now on all calls of this thread for this ring use it, through whatever handle they
    /// are made; other threads go on with the descriptor. Dropping the ring gives the place back. Linux 5.18.
    ///
    /// # Errors
    ///
    /// `EEXIST` if this thread has registered the ring already, `EBUSY` if its 16 places are taken, `EINVAL`
    /// before 5.18.
    pub fn register_ring_fd(&mut self) -> io::Result<()> {
        if self.backend.use_registered_fd(true)? { Ok(()) } else { Err(Errno::EXIST.into()) }
    }

    /// Goes back to the descriptor and gives the place in the thread's table back.
    ///
    /// # Errors
    ///
    /// `EINVAL` if this thread has not registered the ring, or the ring has no descriptor to go back to.
    pub fn unregister_ring_fd(&mut self) -> io::Result<()> {
        if self.backend.use_registered_fd(false)? { Ok(()) } else { Err(Errno::INVAL.into()) }
    }
}
