//! The engine as a back end: set-up, enter, register, the end.
//!
//! Here calls are checked and taken apart, as io_uring_setup(2), io_uring_enter(2) and io_uring_register(2) say; what
//! they come to is the core's.
#![allow(unsafe_code, reason = "implements the contract of `Backend`, whose callers vouch for memory")]

use std::any::Any;
use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use annulus_abi::{
    Backend, EnterArg, EnterFlags, GeteventsArg, IORING_REGISTER_RESIZE_RINGS, Params, RegisterOp,
    RingMemory, SetupFlags,
};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::core::{self, Ring, State, Wait};
use crate::pool::Pool;
use crate::register::{self, Settings};
use crate::setup::{KNOWN, set_up};
use crate::world::{Host, Vouched, World};

/// A ring whose requests are carried out in this process.
///
/// Dropping it cancels what is in flight and waits for what cannot be cancelled: afterwards nothing writes into memory that
/// entries named.
///
/// It works in the process that made it. A child of fork(2) finds the queues, shared unless [`dontfork`](Self::dontfork) keeps them
/// out, and nobody behind them: calls answer `EOWNERDEAD` there, and dropping it leaves everything to the parent.
///
/// ```
/// use annulus_abi::{Backend, Params};
/// use annulus_engine::Engine;
///
/// let engine = Engine::new(8, Params::default()).unwrap();
/// assert_eq!(engine.params().cq_entries, 16);
/// ```
#[derive(Debug)]
pub struct Engine {
    ring: Arc<Ring>,
    memory: RingMemory,
    params: Params,
    sqpoll: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// The setup flags that it knows: those of Linux 6.18.
    pub const SETUP_FLAGS: SetupFlags = KNOWN;

    /// Whether this descriptor is that of one of this process's rings, or a duplicate of one.
    #[must_use]
    pub fn owns(fd: RawFd) -> bool {
        core::is_ring(fd) || Host::new().is_ok_and(|world| core::find(fd, &world).is_some())
    }

    /// Sets a ring up with room for `entries` submissions: io_uring_setup(2) without the kernel.
    ///
    /// # Errors
    ///
    /// Those of io_uring_setup(2): `EINVAL` for sizes or flags without meaning (and for `NO_MMAP`, which is
    /// [`in_memory`](Self::in_memory)), `ENXIO` and `EINVAL` for a ring to share workers with that is none, `EMFILE`, `ENFILE`, `ENOMEM`,
    /// `EAGAIN` if there is no thread for `SQPOLL`.
    pub fn new(entries: u32, params: Params) -> Result<Self, Errno> {
        if params.setup_flags().contains(SetupFlags::NO_MMAP) {
            return Err(Errno::INVAL);
        }
        // SAFETY: without NO_MMAP the parameters name no memory.
        unsafe { Self::in_memory(entries, params) }
    }

    /// As [`new`](Self::new), in the memory that the parameters name if they have `NO_MMAP`.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new); `EFAULT` for memory that is not there.
    ///
    /// # Safety
    ///
    /// With `NO_MMAP`, the memory at `params.cq_off.user_addr` and `params.sq_off.user_addr` is large enough, and nobody
    /// else's until the result is dropped.
    pub unsafe fn in_memory(entries: u32, mut params: Params) -> Result<Self, Errno> {
        // SAFETY: the contract of this function.
        let rings = unsafe { set_up(entries, &mut params) }?;
        // SAFETY: the mapping lives in the ring, which lives beside the view.
        let memory = unsafe { rings.memory.alias() };
        let world: Arc<dyn World> = Arc::new(Host::new()?);
        let pool = if params.setup_flags().contains(SetupFlags::ATTACH_WQ) {
            let other = core::find(params.wq_fd.cast_signed(), &*world).ok_or(Errno::INVAL)?;
            other.pool.clone()
        } else {
            Pool::for_ring(params.sq_entries)
        };
        let ring = Ring::new(rings, &params, world, pool)?;
        if let Some(descriptor) = &ring.descriptor {
            core::enlist(descriptor.as_fd().as_raw_fd(), &ring);
        }
        let engine = Self { ring, memory, params, sqpoll: Mutex::new(None) };
        if params.setup_flags().contains(SetupFlags::SQPOLL) {
            // SAFETY: entries are pushed by the unsafe push, whose callers vouch for them.
            let vouched = unsafe { Vouched::new() };
            let thread = core::start_sqpoll(&engine.ring, &params, vouched)?;
            *engine.sqpoll.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        }
        Ok(engine)
    }

    /// Keeps memory until the ring has ended, as the queues may lie in it: with [`in_memory`](Self::in_memory). If the ring
    /// cannot end, because a system call does not return, the memory is leaked with it.
    ///
    /// # Panics
    ///
    /// At the second call.
    pub fn keep(&mut self, memory: Box<dyn Any + Send + Sync>) {
        assert!(self.ring.lent.set(memory).is_ok(), "the ring keeps memory already");
    }

    /// Keeps the queues out of children of fork(2).
    ///
    /// # Errors
    ///
    /// What madvise(2) says; `EOWNERDEAD` in a child.
    pub fn dontfork(&self) -> Result<(), Errno> {
        self.ring.home.check()?;
        self.ring.lock().rings.mapping.dontfork()
    }

    /// A register call on no ring, as on descriptor -1: a message to an engine's ring of this process
    /// (`IORING_REGISTER_SEND_MSG_RING`), or a question about what engines do (`IORING_REGISTER_QUERY`).
    ///
    /// # Errors
    ///
    /// Those of io_uring_register(2), by operation; `EINVAL` for others.
    ///
    /// # Safety
    ///
    /// `arg` and `nr` are what `op` asks for.
    pub unsafe fn register_blind(op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        let vouched = unsafe { Vouched::new() };
        let world: Arc<dyn World> = Arc::new(Host::new()?);
        register::register_blind(&world, op, arg, nr, vouched)
    }

    /// The ring itself, for tests of what belongs to it.
    #[cfg(test)]
    pub(crate) const fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// Takes entries, or has the polling thread take them.
    fn submit<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        to_submit: u32,
        flags: EnterFlags,
        vouched: Vouched,
    ) -> Result<(u32, MutexGuard<'a, State>), Errno> {
        if self.ring.setup.contains(SetupFlags::SQPOLL) {
            if flags.contains(EnterFlags::SQ_WAKEUP) {
                state.wake_sqpoll(&self.ring);
            }
            drop(state);
            if flags.contains(EnterFlags::SQ_WAIT) {
                self.ring.wait_for_room(self.params.sq_entries);
            }
            return Ok((to_submit, self.ring.lock()));
        }
        if to_submit == 0 {
            return Ok((0, state));
        }
        state.check_issuer(self.ring.setup)?;
        let submitted = state.submit(to_submit, vouched);
        Ok((submitted, state))
    }

    /// What an enter waits for, as its argument says.
    fn wait_of(
        &self,
        settings: &Settings,
        min_complete: u32,
        flags: EnterFlags,
        arg: EnterArg<'_>,
        vouched: Vouched,
    ) -> Result<Wait, Errno> {
        let mut wait = Wait { want: min_complete.min(self.params.cq_entries), ..Wait::default() };
        let world = &*self.ring.world;
        match arg {
            EnterArg::None => Ok(wait),
            EnterArg::Sigmask(mask) => {
                wait.sigmask = Some(*mask);
                Ok(wait)
            }
            EnterArg::Extended(extended) => settings.extended_wait(extended, flags, wait, world, vouched),
            EnterArg::Registered(offset) => settings.registered_wait(offset, flags, wait, world),
            EnterArg::Raw { arg, size } => {
                let addr = arg as u64;
                if flags.contains(EnterFlags::EXT_ARG_REG) {
                    return settings.registered_wait(addr, flags, wait, world);
                }
                if !flags.contains(EnterFlags::EXT_ARG) {
                    wait.sigmask = register::load_sigmask(world, vouched, addr, size)?;
                    return Ok(wait);
                }
                if size != size_of::<GeteventsArg>() {
                    return Err(Errno::INVAL);
                }
                let extended = register::load_getevents(world, vouched, addr)?;
                settings.extended_wait(&extended, flags, wait, world, vouched)
            }
        }
    }
}

// SAFETY: the mapping lives in the ring, which this holds; the core reads and writes the queues through the device's
// ends, which follow the table of orderings; memory that entries name is touched by operations alone, which end before
// their last completion is posted, and which `drop` waits for.
unsafe impl Backend for Engine {
    fn memory(&self) -> &RingMemory {
        &self.memory
    }

    fn params(&self) -> &Params {
        &self.params
    }

    unsafe fn enter(
        &self,
        to_submit: u32,
        min_complete: u32,
        flags: EnterFlags,
        arg: EnterArg<'_>,
    ) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        let vouched = unsafe { Vouched::new() };
        if EnterFlags::from_bits(flags.bits()).is_none() {
            return Err(Errno::INVAL);
        }
        self.ring.home.check()?;
        let state = self.ring.lock();
        if state.disabled {
            return Err(Errno::BADFD);
        }
        let (submitted, mut state) = self.submit(state, to_submit, flags, vouched)?;
        if !flags.contains(EnterFlags::GETEVENTS) || submitted != to_submit {
            state.settle_up(&self.ring);
            state.see_to_background(&self.ring);
            return Ok(submitted);
        }
        if self.ring.setup.contains(SetupFlags::DEFER_TASKRUN) {
            state.begin_task_work(&self.ring)?;
        }
        let wait = self.wait_of(&state.settings, min_complete, flags, arg, vouched);
        let waited = wait.and_then(|wait| self.ring.wait(state, &wait));
        match waited {
            Err(errno) if submitted == 0 => Err(errno),
            _ => Ok(submitted),
        }
    }

    unsafe fn register(&self, op: RegisterOp, arg: *mut c_void, nr: u32) -> Result<u32, Errno> {
        // SAFETY: the contract of this function.
        let vouched = unsafe { Vouched::new() };
        self.ring.home.check()?;
        register::register(&self.ring, op, arg, nr, vouched)
    }

    fn ring_fd(&self) -> Option<BorrowedFd<'_>> {
        let descriptor = self.ring.descriptor.as_ref()?;
        if !self.ring.home.is_here() {
            return Some(descriptor.as_fd());
        }
        let state = self.ring.lock();
        Some(descriptor.expose(&state))
    }

    fn follows_consumption(&self) -> bool {
        true
    }

    fn consumed(&self) {
        if let Some(descriptor) = &self.ring.descriptor
            && descriptor.is_left_readable()
            && self.ring.home.is_here()
        {
            let state = self.ring.lock();
            descriptor.update(&state);
        }
    }

    fn use_registered_fd(&self, on: bool) -> Result<bool, Errno> {
        self.ring.home.check()?;
        if self.ring.descriptor.is_none() {
            return if on { Ok(false) } else { Err(Errno::INVAL) };
        }
        if on { register::ring_fds::enter(&self.ring) } else { Ok(register::ring_fds::leave(&self.ring)) }
    }

    fn map(&self, len: usize, offset: u64) -> Result<NonNull<u8>, Errno> {
        self.ring.home.check()?;
        let file = register::mappable(&self.ring, len, offset)?;
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::POPULATE);
        // SAFETY: a new mapping at an address that the system chooses replaces nothing.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, access, flags, file, 0) }?;
        NonNull::new(start.cast()).ok_or(Errno::NOMEM)
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) {
        // SAFETY: a mapping of `map` that nothing refers to any more (this function's contract).
        let unmapped = unsafe { rustix::mm::munmap(start.as_ptr().cast(), len) };
        if let Err(errno) = unmapped {
            tracing::error!(%errno, len, "memory of a ring could not be unmapped");
        }
    }

    fn resize(&mut self, params: &mut Params) -> Result<(), Errno> {
        self.ring.home.check()?;
        let mut state = self.ring.lock();
        register::check(&self.ring, &state, IORING_REGISTER_RESIZE_RINGS)?;
        // SAFETY: `&mut self`: nobody uses the queues while their memory changes, and the view is renewed below.
        unsafe { state.rings.resize(params) }?;
        // SAFETY: the mapping lives in the ring, which lives beside the view.
        self.memory = unsafe { state.rings.memory.alias() };
        self.params = state.rings.params;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.ring.home.is_here() {
            // Its descriptors share their open files with the parent's, its threads are not there to be waited for, and
            // whoever had its lock never gives it back: all of it stays as it is.
            std::mem::forget(Arc::clone(&self.ring));
            std::mem::forget(self.sqpoll.get_mut().unwrap_or_else(PoisonError::into_inner).take());
            return;
        }
        core::delist(&self.ring);
        self.ring.dismiss_sqpoll();
        let thread = self.sqpoll.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It holds nothing that its end could harm.
            let _ = thread.join();
        }
        if !core::tear_down(&self.ring) {
            std::mem::forget(Arc::clone(&self.ring));
        }
    }
}
