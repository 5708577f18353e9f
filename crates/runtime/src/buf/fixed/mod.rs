//! The registered buffers of a runtime: memory that its ring has pinned, so that an operation need not look it up.
//!
//! A bounded pool. Memory is made and registered one buffer at a time, when it is first wanted; a guard
//! ([`RegisteredBuf`]) brings its buffer back when it is dropped, and an operation in flight owns its guard, so no
//! buffer comes back before the kernel is done with it. Memory goes back to the system with the last guard
//! after the end of the run.
#![allow(unsafe_code, reason = "registers memory with the ring")]

mod guard;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use rustix::process::{Resource, getrlimit};

use super::{AlignedBuf, IoBuf};
use crate::driver::Driver;
use crate::executor::Context;

pub use guard::{FixedBuf, RegisteredBuf};

/// The registered buffers of the runtime that this thread is in: how many and how large says
/// [`Builder::registered_buffers`](crate::Builder::registered_buffers).
///
/// # Examples
///
/// ```
/// use annulus_rt::buf::FixedPool;
/// use annulus_rt::fs::File;
///
/// annulus_rt::run(async {
///     let file = File::open("Cargo.toml").await?;
///     let buf = FixedPool::current().get().await?;
///     let (read, buf) = file.read_fixed_at(buf, 0).await;
///     assert_eq!(&buf[..9], b"[package]");
///     read
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct FixedPool(Rc<Slots>);

/// The pool itself.
pub(crate) struct Slots {
    most: u16,
    size: usize,
    /// Buffers that are registered and not lent, with their slots.
    free: RefCell<Vec<(u16, AlignedBuf)>>,
    /// How many slots have a buffer; `None` before the table is registered.
    made: Cell<Option<u16>>,
    /// Who waits for a buffer, the first first.
    waiting: RefCell<VecDeque<(u64, Waker)>>,
    tickets: Cell<u64>,
}

impl FixedPool {
    /// That of the runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[must_use]
    pub fn current() -> Self {
        Self(Context::current().registered())
    }

    /// A buffer, empty, as soon as one is to be had; those who wait get theirs in the order in which they came.
    ///
    /// # Errors
    ///
    /// `ErrorKind::OutOfMemory` (`ENOMEM`) if `RLIMIT_MEMLOCK` does not allow one more to be pinned; the text says what
    /// the limit is and what to do. `EBUSY` if something else has registered buffers with the ring.
    pub async fn get(&self) -> io::Result<RegisteredBuf> {
        let mut turn = Turn { slots: &self.0, ticket: None };
        std::future::poll_fn(|cx| turn.poll(cx.waker())).await
    }

    /// A buffer, empty; `None` if all are lent, or others wait for one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn try_get(&self) -> io::Result<Option<RegisteredBuf>> {
        if self.0.waiting.borrow().is_empty() { self.0.take() } else { Ok(None) }
    }

    /// How many buffers could be lent at this moment.
    #[must_use]
    pub fn available(&self) -> usize {
        let unmade = self.0.most - self.0.made.get().unwrap_or(0);
        self.0.free.borrow().len() + usize::from(unmade)
    }

    /// How many bytes a buffer has room for.
    #[must_use]
    pub fn buffer_size(&self) -> usize {
        self.0.size
    }
}

impl Debug for FixedPool {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedPool")
            .field("available", &self.available())
            .field("buffer_size", &self.0.size)
            .finish_non_exhaustive()
    }
}

impl Slots {
    pub(crate) fn new(most: u16, size: u32) -> Rc<Self> {
        Rc::new(Self {
            most,
            size: AlignedBuf::rounded(size as usize),
            free: RefCell::default(),
            made: Cell::new(None),
            waiting: RefCell::default(),
            tickets: Cell::new(0),
        })
    }

    fn take(self: &Rc<Self>) -> io::Result<Option<RegisteredBuf>> {
        let free = self.free.borrow_mut().pop();
        let taken = match free {
            Some(free) => Some(free),
            None => self.make()?,
        };
        Ok(taken.map(|(slot, mut buf)| {
            buf.clear();
            RegisteredBuf::new(buf, slot, self.clone())
        }))
    }

    /// Makes and registers one more buffer, if there may be one more.
    fn make(&self) -> io::Result<Option<(u16, AlignedBuf)>> {
        let driver = Driver::current();
        let made = match self.made.get() {
            Some(made) => made,
            None => self.begin(&driver)?,
        };
        if made >= self.most {
            return Ok(self.free.borrow_mut().pop());
        }
        let buf = AlignedBuf::with_capacity(self.size);
        let registered = driver.with_ring(|ring| {
            let bufs = [describe(&buf)];
            // SAFETY: the pool and its guards own the memory, and free it with the last guard after the end of the run;
            // entries name it only while they own the guard (`FixedBuf`).
            unsafe { ring.submitter().register_buffers_update(u32::from(made), &bufs, None) }
        });
        explained(registered, self.size)?;
        self.made.set(Some(made + 1));
        Ok(Some((made, buf)))
    }

    /// Registers the table, with empty slots; before Linux 5.19, which has none, with all its buffers. Returns how
    /// many buffers are registered then.
    fn begin(&self, driver: &Driver) -> io::Result<u16> {
        let sparse = driver.with_ring(|ring| ring.submitter().register_buffers_sparse(u32::from(self.most)));
        let made = match sparse {
            Some(Err(error)) if error.raw_os_error() == Some(libc::EINVAL) => {
                let all: Vec<_> =
                    (0..self.most).map(|slot| (slot, AlignedBuf::with_capacity(self.size))).collect();
                let bufs: Vec<_> = all.iter().map(|(_, buf)| describe(buf)).collect();
                let registered = driver.with_ring(|ring| {
                    // SAFETY: as in `make`.
                    unsafe { ring.submitter().register_buffers(&bufs) }
                });
                explained(registered, self.size * all.len())?;
                *self.free.borrow_mut() = all;
                self.most
            }
            other => {
                explained(other, 0)?;
                0
            }
        };
        self.made.set(Some(made));
        Ok(made)
    }

    /// Takes a buffer back.
    fn give_back(&self, slot: u16, buf: AlignedBuf) {
        self.free.borrow_mut().push((slot, buf));
        self.wake_first();
    }

    /// Wakes who waits longest, if there is something for him.
    fn wake_first(&self) {
        let any = !self.free.borrow().is_empty() || self.made.get().is_some_and(|made| made < self.most);
        let first = if any { self.waiting.borrow().front().map(|(_, waker)| waker.clone()) } else { None };
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// Someone's place among those who wait. Leaving it makes the next one the first.
struct Turn<'p> {
    slots: &'p Rc<Slots>,
    ticket: Option<u64>,
}

impl Turn<'_> {
    fn poll(&mut self, waker: &Waker) -> Poll<io::Result<RegisteredBuf>> {
        let first = self.slots.waiting.borrow().front().map(|(ticket, _)| *ticket);
        if first.is_none() || first == self.ticket {
            match self.slots.take() {
                Ok(Some(buf)) => return Poll::Ready(Ok(buf)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let replaced = self.wait(waker);
        // Only now, not borrowed: a waker's destructor may do anything.
        drop(replaced);
        Poll::Pending
    }

    fn wait(&mut self, waker: &Waker) -> Option<Waker> {
        let mut waiting = self.slots.waiting.borrow_mut();
        if let Some(place) = waiting.iter_mut().find(|(ticket, _)| Some(*ticket) == self.ticket) {
            return Some(std::mem::replace(&mut place.1, waker.clone()));
        }
        let ticket = self.slots.tickets.get();
        self.slots.tickets.set(ticket + 1);
        self.ticket = Some(ticket);
        waiting.push_back((ticket, waker.clone()));
        None
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(own) = self.ticket else { return };
        let left = {
            let mut waiting = self.slots.waiting.borrow_mut();
            let place = waiting.iter().position(|(ticket, _)| *ticket == own);
            place.and_then(|place| waiting.remove(place))
        };
        drop(left);
        self.slots.wake_first();
    }
}

fn describe(buf: &AlignedBuf) -> libc::iovec {
    libc::iovec { iov_base: buf.as_stable_ptr().cast_mut().cast(), iov_len: buf.capacity() }
}

/// The outcome of a registration; a refusal to pin memory says what limits it.
fn explained(registered: Option<io::Result<()>>, bytes: usize) -> io::Result<()> {
    let registered = registered.unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::ECANCELED)));
    registered.map_err(|error| {
        if error.raw_os_error() != Some(libc::ENOMEM) {
            return error;
        }
        let limit = getrlimit(Resource::Memlock).current;
        let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| format!("{limit} bytes"));
        let text = format!(
            "registering {bytes} bytes of buffers was refused (ENOMEM): RLIMIT_MEMLOCK, {limit} for all rings of the \
             user, allows no more; raise it (`ulimit -l`, `LimitMEMLOCK=`), or register fewer or smaller buffers \
             (`Builder::registered_buffers`)"
        );
        io::Error::new(io::ErrorKind::OutOfMemory, text)
    })
}
