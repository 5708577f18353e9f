//! How a cancel reaches a job that is blocked in a system call: by a signal, sent to its thread again and again
//! until the job has ended.
//!
//! One signal alone could come between the job's look at [`Interrupt::requested`] and its system call, and be lost.
//! A POSIX timer of the thread (timer_create(2) with `SIGEV_THREAD_ID`) repeats it every millisecond, without
//! a thread of ours; where the timer is refused, a thread of ours repeats it, more and more rarely.
//!
//! **No job sees a signal that was meant for an earlier one.** Sending begins and ends with the lock of the hand-over
//! held, while the job counts as running ([`Target::reach`], [`Target::end`]), so that nothing is sent after
//! `end`, and never to a thread that has gone. What was sent and not delivered is delivered when the thread next
//! leaves the kernel; `end` runs on that very thread and makes a system call after the last sending, so when it
//! returns, the handler has run.
//!
//! The signal is a real-time signal that nobody handles: the highest below `SIGRTMAX` whose disposition is the
//! default when the first worker of the process starts. Its handler does nothing and stays for the life of the
//! process; it is installed without `SA_RESTART`, so that system calls end with `EINTR`. Whoever handles that signal
//! later takes it away from us: a cancel is then only seen by jobs that ask. A forked child has neither the
//! threads nor the timers.
#![allow(unsafe_code, reason = "signals, their masks and timers are C structures and C calls")]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::{Pid, gettid};

/// What a running job sees of a cancel.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    requested: AtomicBool,
}

impl Interrupt {
    /// Whether the job is to end as soon as it can. Stays so until it has ended: a job looks before each system
    /// call that may wait, and after each that ended with `EINTR`.
    pub(crate) fn requested(&self) -> bool {
        // Acquire: pairs with `request`, so that a job which sees it also sees what the canceller wrote before.
        self.requested.load(Ordering::Acquire)
    }

    /// Asks the job to end, without a signal.
    pub(crate) fn request(&self) {
        // Release: pairs with `requested`.
        self.requested.store(true, Ordering::Release);
    }

    fn reset(&self) {
        // Relaxed: on the worker's thread, the only one that reads it, with the lock held that orders it
        // before the next job's `request`.
        self.requested.store(false, Ordering::Relaxed);
    }
}

/// A worker as a cancel reaches it. Lives behind the lock of the hand-over.
#[derive(Default)]
pub(super) struct Target {
    interrupt: Arc<Interrupt>,
    thread: Option<Pid>,
    signals: Option<Signals>,
}

impl Target {
    /// The calling thread is the worker's. Returns what its jobs see.
    pub(super) fn settle_in(&mut self) -> Arc<Interrupt> {
        self.thread = Some(gettid());
        self.interrupt.clone()
    }

    /// The worker's thread, once it has begun.
    pub(super) fn thread(&self) -> Option<Pid> {
        self.thread
    }

    /// Interrupts the job that the worker runs, until [`end`](Self::end). The lock is held, and the job runs.
    pub(super) fn reach(&mut self) {
        self.reach_by(Timer::start);
    }

    fn reach_by(&mut self, timer: fn(Pid, c_int) -> Result<Timer, Errno>) {
        self.interrupt.request();
        if self.signals.is_some() {
            return;
        }
        if let (Some(thread), Some(signal)) = (self.thread, signal()) {
            self.signals = Some(Signals::start(thread, signal, timer));
        }
    }

    /// The job has ended. On the worker's own thread, with the lock held.
    pub(super) fn end(&mut self) {
        if let Some(signals) = self.signals.take() {
            signals.stop();
        }
        self.interrupt.reset();
    }
}

/// What repeats the signal.
enum Signals {
    Timer(Timer),
    Chase(Arc<Chase>),
}

impl Signals {
    fn start(thread: Pid, signal: c_int, timer: fn(Pid, c_int) -> Result<Timer, Errno>) -> Self {
        match timer(thread, signal) {
            Ok(timer) => Self::Timer(timer),
            Err(error) => {
                tracing::debug!(%error, "no timer to interrupt a job with: a thread does it");
                Self::Chase(Chase::start(thread, signal))
            }
        }
    }

    /// On the thread that the signals go to.
    fn stop(self) {
        match self {
            // Its deletion is the system call after which nothing is pending.
            Self::Timer(timer) => drop(timer),
            Self::Chase(chase) => {
                chase.stop();
                // Any system call will do. What is pending is delivered when it returns.
                let _ = gettid();
            }
        }
    }
}

/// A timer that signals one thread every millisecond. A signal that is not yet delivered is not sent twice.
struct Timer(libc::timer_t);

// SAFETY: a `timer_t` is a number of the process in the shape of a pointer, and never followed.
unsafe impl Send for Timer {}

impl Timer {
    fn start(thread: Pid, signal: c_int) -> Result<Self, Errno> {
        let mut event = MaybeUninit::<libc::sigevent>::zeroed();
        // SAFETY: `sigevent` is integers and a pointer, for which zero is a value.
        let event = unsafe { event.assume_init_mut() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = thread.as_raw_nonzero().get();
        let mut timer: libc::timer_t = ptr::null_mut();
        // SAFETY: both are locals of the types that timer_create(2) reads and writes.
        if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, event, &mut timer) } != 0 {
            return Err(last_error());
        }
        let timer = Self(timer);
        let interval = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        // The first one comes at once: zero would disarm it.
        let first = libc::timespec { tv_sec: 0, tv_nsec: 1 };
        let times = libc::itimerspec { it_interval: interval, it_value: first };
        // SAFETY: the timer is that of the lines above and not deleted; the times are a local.
        if unsafe { libc::timer_settime(timer.0, 0, &times, ptr::null_mut()) } != 0 {
            return Err(last_error());
        }
        Ok(timer)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer was created by `start` and is deleted only here, where its one owner goes.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// A thread that signals another one until it is stopped.
struct Chase {
    is_over: Mutex<bool>,
    ended: Condvar,
}

impl Chase {
    fn start(thread: Pid, signal: c_int) -> Arc<Self> {
        let chase = Arc::new(Self { is_over: Mutex::new(false), ended: Condvar::new() });
        let mask = SignalMask::block();
        let running = chase.clone();
        let started =
            thread::Builder::new().name("annulus-int".to_owned()).spawn(move || running.run(thread, signal));
        drop(mask);
        if let Err(error) = started {
            tracing::warn!(%error, "no thread to interrupt a job with: it is signalled only once");
            send(thread, signal);
        }
        chase
    }

    fn run(&self, thread: Pid, signal: c_int) {
        let mut pause = Duration::from_millis(1);
        let mut is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_over {
            // With the lock held: the thread does not leave its job, let alone end, before `stop` had the lock.
            send(thread, signal);
            is_over = self.ended.wait_timeout(is_over, pause).unwrap_or_else(PoisonError::into_inner).0;
            // Real-time signals queue up, and a thread that does not take them would use up the user's limit.
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    fn stop(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_one();
    }
}

/// Ends the system call in which a thread is that exists and lets interrupts in, or the next one if it waits; only one.
/// False if there is no signal for that.
pub(crate) fn interrupt(thread: Pid) -> bool {
    let signal = signal();
    if let Some(signal) = signal {
        send(thread, signal);
    }
    signal.is_some()
}

/// Sends a signal to a thread of this process which its caller knows to exist.
fn send(thread: Pid, signal: c_int) {
    let process = rustix::process::getpid().as_raw_nonzero().get();
    let thread = thread.as_raw_nonzero().get();
    // SAFETY: tgkill(2) takes three integers. That the handler is ours is what `signal` established. A
    // refusal (too many are queued) leaves one pending, which is as good.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
}

/// While it lives, the calling thread and those it starts get no signals but those of its own faults.
pub(crate) struct SignalMask {
    before: libc::sigset_t,
}

impl SignalMask {
    pub(crate) fn block() -> Self {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is a local; sigfillset(3) writes all of it.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: written by the line above.
        let mut all = unsafe { all.assume_init() };
        // A fault that is blocked kills without a word; handlers of faults (a stack that overflows) keep working.
        for fault in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGSYS,
            libc::SIGABRT,
        ] {
            // SAFETY: an initialised set and the number of a signal.
            unsafe { libc::sigdelset(&mut all, fault) };
        }
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: both sets are locals; the mask is the calling thread's own.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &all, before.as_mut_ptr()) };
        // SAFETY: a set of signals is integers, zeroed above and written by the call.
        Self { before: unsafe { before.assume_init() } }
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set was written by pthread_sigmask(3) in `block`.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

/// Lets the calling thread, a worker which inherited a mask, be interrupted.
pub(crate) fn let_interrupts_in() {
    let Some(signal) = signal() else { return };
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is a local; sigemptyset(3) writes all of it.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: an initialised set and the number of a signal.
    unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    // SAFETY: the set is initialised; the mask is the calling thread's own.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut()) };
}

/// The signal of this process's interrupts, with its handler installed. `None` if the program handles all.
pub(super) fn signal() -> Option<c_int> {
    static CHOSEN: OnceLock<Option<c_int>> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let chosen = (libc::SIGRTMIN()..libc::SIGRTMAX()).rev().find(|&signal| claim(signal));
        if chosen.is_none() {
            tracing::warn!(
                "every real-time signal is handled by the program: what blocks cannot be cancelled"
            );
        }
        chosen
    })
}

/// Installs the handler of a signal that nobody handles. False if somebody does.
fn claim(signal: c_int) -> bool {
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a query; the structure is a local.
    if unsafe { libc::sigaction(signal, ptr::null(), before.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: integers and pointers, zeroed above and written by the call.
    if unsafe { before.assume_init_ref() }.sa_sigaction != libc::SIG_DFL {
        return false;
    }
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: `sigaction` is integers, a set of them and an optional function, for which zero is a value.
    let action = unsafe { action.assume_init_mut() };
    action.sa_sigaction = ignore as extern "C" fn(c_int) as libc::sighandler_t;
    // No SA_RESTART: system calls are to end. On the alternate stack, for programs whose threads have small ones.
    action.sa_flags = libc::SA_ONSTACK;
    // SAFETY: the handler does nothing, which any context allows; both structures are locals.
    if unsafe { libc::sigaction(signal, action, before.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: as above.
    let before = unsafe { before.assume_init_ref() };
    if before.sa_sigaction == libc::SIG_DFL {
        return true;
    }
    // Somebody was faster between the two calls: they get it back.
    // SAFETY: the structure is what the system itself said was in force.
    unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
    false
}

extern "C" fn ignore(_signal: c_int) {}

/// Why the C call before this one failed.
fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
#[path = "interrupt_tests.rs"]
mod tests;
