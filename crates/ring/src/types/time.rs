//! Times, and how long to wait under which signal mask.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use annulus_abi::{GeteventsArg, KernelTimespec};

/// Seconds and nanoseconds, 64 bits each on every architecture (`struct __kernel_timespec`).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Timespec(pub(crate) KernelTimespec);

impl Timespec {
    /// Zero.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self(KernelTimespec { tv_sec: 0, tv_nsec: 0 })
    }

    /// Sets the seconds. What is above `i64::MAX` is refused by the kernel as negative (`EINVAL`).
    #[must_use]
    #[inline]
    pub const fn sec(mut self, sec: u64) -> Self {
        self.0.tv_sec = sec.cast_signed();
        self
    }

    /// Sets the nanoseconds, 0 to 999,999,999.
    #[must_use]
    #[inline]
    pub const fn nsec(mut self, nsec: u32) -> Self {
        self.0.tv_nsec = nsec as i64;
        self
    }
}

impl From<Duration> for Timespec {
    /// A duration of more than `i64::MAX` seconds becomes that many: forever.
    fn from(value: Duration) -> Self {
        let sec = value.as_secs().min(i64::MAX.cast_unsigned());
        Self::new().sec(sec).nsec(value.subsec_nanos())
    }
}

/// How a submission waits: how long at the most, how long for the full number of completions, and under
/// which signal mask (`struct io_uring_getevents_arg`). Linux 5.11.
///
/// What it points to is borrowed, so nothing can go away before the call:
///
/// ```compile_fail
/// use annulus::types::{SubmitArgs, Timespec};
///
/// let mut args = SubmitArgs::new();
/// {
///     let ts = Timespec::new().sec(1);
///     args = args.timespec(&ts);
/// }
/// drop(args);
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct SubmitArgs<'prev: 'now, 'now> {
    pub(crate) args: GeteventsArg,
    prev: PhantomData<&'prev ()>,
    now: PhantomData<&'now ()>,
}

impl<'prev, 'now> SubmitArgs<'prev, 'now> {
    /// Wait as long as it takes, under the present signal mask.
    #[must_use]
    #[inline]
    pub const fn new() -> SubmitArgs<'static, 'static> {
        SubmitArgs {
            args: GeteventsArg { sigmask: 0, sigmask_sz: 0, min_wait_usec: 0, ts: 0 },
            prev: PhantomData,
            now: PhantomData,
        }
    }

    /// Replaces the thread's signal mask while it waits, in one step as ppoll(2) does. `EINTR` when a
    /// signal that it lets through arrives.
    #[must_use]
    #[inline]
    pub fn sigmask<'new>(mut self, sigmask: &'new libc::sigset_t) -> SubmitArgs<'now, 'new> {
        // The kernel's set is the first eight bytes of libc's, and it insists on that size.
        self.args.sigmask = address(sigmask);
        self.args.sigmask_sz = GeteventsArg::SIGMASK_SIZE;
        SubmitArgs { args: self.args, prev: PhantomData, now: PhantomData }
    }

    /// Microseconds to wait for the full number of completions; after them one is enough, and the
    /// [timeout](Self::timespec) goes on for it alone. Linux 6.12
    /// (`Parameters::is_feature_min_timeout`).
    #[must_use]
    #[inline]
    pub const fn min_wait_usec(mut self, min_wait_usec: u32) -> Self {
        self.args.min_wait_usec = min_wait_usec;
        self
    }

    /// How long to wait at the most: `ETIME` after it.
    #[must_use]
    #[inline]
    pub fn timespec<'new>(mut self, timespec: &'new Timespec) -> SubmitArgs<'now, 'new> {
        self.args.ts = address(timespec);
        SubmitArgs { args: self.args, prev: PhantomData, now: PhantomData }
    }
}

impl Default for SubmitArgs<'static, 'static> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SubmitArgs<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitArgs")
            .field("sigmask", &(self.args.sigmask != 0))
            .field("min_wait_usec", &self.args.min_wait_usec)
            .field("timespec", &(self.args.ts != 0))
            .finish()
    }
}

/// The address that the kernel will read.
fn address<T>(value: &T) -> u64 {
    ptr::from_ref(value).expose_provenance() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_keeps_seconds_and_nanoseconds() {
        let two = Timespec::from(Duration::new(2, 500));
        assert_eq!(two.0, KernelTimespec { tv_sec: 2, tv_nsec: 500 });
        assert_eq!(Timespec::from(Duration::MAX).0.tv_sec, i64::MAX);
    }

    #[test]
    fn arguments_are_added_one_by_one() {
        let ts = Timespec::new().sec(1);
        let args = SubmitArgs::new().timespec(&ts).min_wait_usec(7).args;
        let expected = GeteventsArg { ts: address(&ts), min_wait_usec: 7, ..GeteventsArg::default() };
        assert_eq!(args, expected);
    }
}
