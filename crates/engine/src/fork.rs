//! Which process a ring belongs to: the one that made it, and none of its children.
//!
//! A child of fork(2) has a copy of a ring's requests, frozen as they were, perhaps in the middle of a change, with locks that
//! nobody there will give back and without a single thread of the ring's. There is nothing to do with it but to answer so
//! at once. The C library tells us of forks; asking for the process's number would cost a system call for each enter. (A child
//! made by a bare clone(2) is not noticed, as by the C library itself.)
#![allow(unsafe_code, reason = "has the C library call a function after each fork")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use crate::core;

/// How many forks lie between this process and the one that first asked.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A process, as the home of what cannot leave it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    forks: u32,
}

impl Home {
    /// The calling process.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: pthread_atfork(3) finds no room for its note.
    pub(crate) fn here() -> Result<Self, Errno> {
        static TOLD: OnceLock<Result<(), Errno>> = OnceLock::new();
        (*TOLD.get_or_init(|| {
            // SAFETY: the functions live as long as the program, and do what a child of a process with threads may.
            match unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) } {
                0 => Ok(()),
                errno => Err(Errno::from_raw_os_error(errno)),
            }
        }))?;
        // Relaxed: it changes in a process that has one thread, before that goes on.
        Ok(Self { forks: FORKS.load(Ordering::Relaxed) })
    }

    /// Whether the caller is in this process.
    pub(crate) fn is_here(self) -> bool {
        // Relaxed: as above.
        self.forks == FORKS.load(Ordering::Relaxed)
    }

    /// As [`is_here`](Self::is_here), for calls that it is up to.
    ///
    /// # Errors
    ///
    /// `EOWNERDEAD`, as for a ring of the kernel's whose polling thread is gone: nobody is left here who could carry it out.
    pub(crate) fn check(self) -> Result<(), Errno> {
        if self.is_here() { Ok(()) } else { Err(Errno::OWNERDEAD) }
    }
}

/// A child is to have rings of its own: what they share must be whole, and free.
extern "C" fn before() {
    core::hold_directory();
}

extern "C" fn after_in_parent() {
    core::release_directory();
}

extern "C" fn after_in_child() {
    // Relaxed: the child has one thread as yet.
    FORKS.fetch_add(1, Ordering::Relaxed);
    core::release_directory();
}
