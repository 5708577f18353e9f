//! Credentials of somebody else, registered with a ring.
//!
//! Only the calling thread changes, and only for a moment: the system call itself changes one thread, and
//! it is libc that would change all.
#![allow(unsafe_code, reason = "the system call that changes the user of one thread")]

use annulus::IoUring;

/// The user that owns nothing.
const NOBODY: libc::c_long = 65_534;

/// Registers the credentials of a user without rights, and gives their number.
///
/// # Panics
///
/// If the thread is not root's.
#[must_use]
pub fn personality_of_nobody(ring: &IoUring) -> u16 {
    set_effective_user(NOBODY);
    let registered = ring.submitter().register_personality();
    set_effective_user(0);
    registered.expect("credentials are registered")
}

fn set_effective_user(user: libc::c_long) {
    let unchanged: libc::c_long = -1;
    // SAFETY: changes a property of this thread, reads and writes no memory.
    let done = unsafe { libc::syscall(libc::SYS_setresuid, unchanged, user, unchanged) };
    assert_eq!(done, 0, "only root can become somebody else");
}
