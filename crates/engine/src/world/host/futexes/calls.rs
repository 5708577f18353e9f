//! futex(2) and its younger siblings.
//!
//! The old call does all that it can do, as it is there and allowed everywhere; the calls that came with Linux 5.16 and 6.7 are
//! used for what only they can do.
#![allow(
    unsafe_code,
    reason = "futex(2), futex_waitv(2) and others, with addresses that submissions vouched for"
)]

use std::sync::atomic::AtomicU32;

use annulus_abi::{FUTEX2_SIZE_U32, Futex2Flags, FutexWaitv};
use rustix::io::Errno;

use crate::world::host::sockets::last_errno;

/// System calls of Linux 6.7, with the same number on every architecture.
const FUTEX_WAKE: libc::c_long = 454;
const FUTEX_WAIT: libc::c_long = 455;
const FUTEX_REQUEUE: libc::c_long = 456;

/// What the old call does not know.
const YOUNG: u32 = Futex2Flags::NUMA.bits() | Futex2Flags::MPOL.bits();

/// A futex as a call takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) addr: u64,
    pub(super) flags: u32,
    /// For a wait: what it has to hold.
    pub(super) value: u32,
}

impl Target {
    /// A word of ours, waited for as `like` is.
    pub(super) fn own(word: &AtomicU32, like: &Self) -> Self {
        let addr = word.as_ptr().expose_provenance() as u64;
        Self { addr, flags: (like.flags & Futex2Flags::PRIVATE.bits()) | FUTEX2_SIZE_U32, value: 0 }
    }

    fn pointer(&self) -> *mut u32 {
        std::ptr::with_exposed_provenance_mut(usize::try_from(self.addr).unwrap_or(usize::MAX))
    }

    /// An operation of the old call on it.
    fn operation(&self, operation: i32) -> i32 {
        let private = self.flags & Futex2Flags::PRIVATE.bits() != 0;
        if private { operation | libc::FUTEX_PRIVATE_FLAG } else { operation }
    }

    fn element(&self) -> FutexWaitv {
        FutexWaitv { val: self.value.into(), uaddr: self.addr, flags: self.flags, __reserved: 0 }
    }
}

/// Wakes at most `count`, and says how many.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`.
pub(super) fn wake(target: &Target, count: i32, mask: u32) -> Result<u32, Errno> {
    // To wake nobody is something that the old call does not know either: it wakes one.
    if target.flags & YOUNG != 0 || count == 0 {
        let mask = u64::from(mask);
        // SAFETY: the kernel takes the address as a name, and checks it.
        let woken = unsafe { libc::syscall(FUTEX_WAKE, target.pointer(), mask, count, target.flags) };
        return match result(woken) {
            Err(Errno::NOSYS | Errno::PERM) if target.flags & YOUNG != 0 => Err(Errno::INVAL),
            Err(Errno::NOSYS | Errno::PERM) => Ok(0),
            woken => woken,
        };
    }
    let operation = target.operation(libc::FUTEX_WAKE_BITSET);
    let (none, nowhere) = (std::ptr::null::<libc::timespec>(), std::ptr::null::<u32>());
    // SAFETY: as above; the pointers that are null are not read by this operation.
    result(unsafe { libc::syscall(libc::SYS_futex, target.pointer(), operation, count, none, nowhere, mask) })
}

/// Waits until one of them is woken, and says which. `list` is room for as many.
///
/// # Errors
///
/// `EAGAIN`: one holds another value. `EINTR`, `EINVAL`, `EFAULT`; `ENOSYS` for several where there is no such call.
pub(super) fn wait(targets: &[Target], mask: u32, list: &mut Vec<FutexWaitv>) -> Result<u32, Errno> {
    let none = std::ptr::null::<libc::timespec>();
    let [target] = targets else {
        list.clear();
        list.extend(targets.iter().map(Target::element));
        let (flags, clock) = (0, libc::CLOCK_MONOTONIC);
        // SAFETY: the list lives for the call; the addresses in it are checked by the kernel, which reads a
        // word at each: the submission vouched for them, or they are words of ours that outlive the thread.
        let woken =
            unsafe { libc::syscall(libc::SYS_futex_waitv, list.as_ptr(), list.len(), flags, none, clock) };
        return result(woken).map_err(|errno| if errno == Errno::PERM { Errno::NOSYS } else { errno });
    };
    if target.flags & YOUNG != 0 {
        let (value, mask) = (u64::from(target.value), u64::from(mask));
        let clock = libc::CLOCK_MONOTONIC;
        // SAFETY: as above, for one word.
        return result(unsafe {
            libc::syscall(FUTEX_WAIT, target.pointer(), value, mask, target.flags, none, clock)
        });
    }
    let operation = target.operation(libc::FUTEX_WAIT_BITSET);
    let nowhere = std::ptr::null::<u32>();
    // SAFETY: as above, for one word.
    result(unsafe {
        libc::syscall(libc::SYS_futex, target.pointer(), operation, target.value, none, nowhere, mask)
    })
}

/// Whether anybody waits for `own`, which holds `value`.
///
/// # Errors
///
/// `EAGAIN`: it holds another value.
pub(super) fn is_awaited(own: &AtomicU32, value: u32, like: &Target) -> Result<bool, Errno> {
    // From the word to the word: who is there stays, and is counted.
    transfer(own, value, &Target::own(own, like))
}

/// Moves the one who waits for `own`, which holds `value`, to `target` without waking it, and says whether anybody waited there.
///
/// # Errors
///
/// `EAGAIN`: `own` holds another value. `EINVAL`, `EFAULT` for the target.
pub(super) fn transfer(own: &AtomicU32, value: u32, target: &Target) -> Result<bool, Errno> {
    let from = Target { value, ..Target::own(own, target) };
    let (nobody, one) = (0, 1);
    if target.flags & YOUNG != 0 {
        let (list, flags) = ([from.element(), target.element()], 0);
        // SAFETY: the list lives for the call; the kernel checks the addresses in it and reads our own word.
        let moved = unsafe { libc::syscall(FUTEX_REQUEUE, list.as_ptr(), flags, nobody, one) };
        return match result(moved) {
            // As a kernel without them.
            Err(Errno::NOSYS | Errno::PERM) => Err(Errno::INVAL),
            moved => moved.map(|moved| moved > 0),
        };
    }
    let operation = from.operation(libc::FUTEX_CMP_REQUEUE);
    let one = std::ptr::without_provenance::<libc::timespec>(one);
    // SAFETY: the kernel checks both addresses and reads our own word; the count stands where others have a time.
    let moved = unsafe {
        libc::syscall(libc::SYS_futex, from.pointer(), operation, nobody, one, target.pointer(), value)
    };
    result(moved).map(|moved| moved > 0)
}

fn result(returned: libc::c_long) -> Result<u32, Errno> {
    u32::try_from(returned).map_err(|_| last_errno())
}
