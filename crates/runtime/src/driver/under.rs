//! Which operations belong to which canceller: the run of one that futures are polled in, and the keys of what was
//! in flight then.
//!
//! It decides nothing and names no memory: a key that it holds may be of the past, and the table says so. While no
//! canceller is used it costs the look at one number for an operation.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};

use annulus::squeue::Flags;

use super::{Driver, Key};

/// The number of no run.
pub(crate) const NONE: u64 = 0;

/// What a canceller remembers.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) cancelled: Cell<bool>,
    /// The keys are this driver's.
    driver: RefCell<Weak<Driver>>,
    noted: RefCell<Vec<Note>>,
}

struct Note {
    /// The run that it was noted for.
    run: u64,
    /// The innermost run at that time, which is the one that the table knows of.
    innermost: u64,
    key: Key,
}

/// One future that a canceller runs.
pub(crate) struct Run {
    number: u64,
    notes: Rc<Notes>,
    /// The run that this one is polled in, if any.
    parent: RefCell<Option<Rc<Self>>>,
}

/// The innermost run that is being polled.
#[derive(Default)]
pub(crate) struct Current {
    number: Cell<u64>,
    run: RefCell<Option<Rc<Run>>>,
}

impl Notes {
    /// What is in flight at this moment in runs of this canceller, on this driver: each with its opcode.
    pub(crate) fn in_flight(&self, driver: &Rc<Driver>) -> Vec<(Key, u8)> {
        if !Weak::ptr_eq(&self.driver.borrow(), &Rc::downgrade(driver)) {
            return Vec::new();
        }
        let mut inner = driver.inner.borrow_mut();
        let noted = self.noted.borrow();
        let live = noted.iter().filter_map(|note| {
            let opcode = inner.table.cancellable(note.key, note.innermost)?;
            Some((note.key, opcode))
        });
        live.collect()
    }

    fn note(&self, driver: &Driver, note: Note) {
        let mut noted = self.noted.borrow_mut();
        if noted.len() == noted.capacity() {
            // Before it grows, what is over goes; and it grows well, so that this stays rare.
            let mut inner = driver.inner.borrow_mut();
            noted.retain(|note| inner.table.is_unfinished(note.key));
            let kept = noted.len();
            noted.reserve(kept.max(4));
        }
        noted.push(note);
    }

    /// Forgets the notes of another runtime.
    fn belong_to(&self, driver: &Rc<Driver>) {
        let owner = Rc::downgrade(driver);
        if !Weak::ptr_eq(&self.driver.borrow(), &owner) {
            self.noted.borrow_mut().clear();
            self.driver.replace(owner);
        }
    }
}

impl Run {
    pub(crate) fn new(notes: Rc<Notes>) -> Rc<Self> {
        static NUMBERED: AtomicU64 = AtomicU64::new(NONE);
        // Relaxed: that no number is given twice is all that is asked.
        let number = NUMBERED.fetch_add(1, Ordering::Relaxed) + 1;
        Rc::new(Self { number, notes, parent: RefCell::default() })
    }

    /// Makes this the current run while it polls.
    pub(crate) fn polled<T>(self: &Rc<Self>, driver: &Rc<Driver>, poll: impl FnOnce() -> T) -> T {
        /// Gives the place back, also if the poll panics.
        struct Back<'d>(&'d Current);

        impl Drop for Back<'_> {
            fn drop(&mut self) {
                let ended = self.0.run.take();
                let parent = ended.as_ref().and_then(|run| run.parent.take());
                self.0.number.set(parent.as_ref().map_or(NONE, |run| run.number));
                self.0.run.replace(parent);
            }
        }

        self.notes.belong_to(driver);
        let current = &driver.under;
        self.parent.replace(current.run.replace(Some(self.clone())));
        current.number.set(self.number);
        let _back = Back(current);
        poll()
    }
}

impl Drop for Run {
    /// What is in flight still, and outlives the future, is nobody's any more.
    fn drop(&mut self) {
        self.notes.noted.borrow_mut().retain(|note| note.run != self.number);
    }
}

impl Current {
    /// The number of the innermost run, or [`NONE`].
    pub(crate) fn run(&self) -> u64 {
        self.number.get()
    }

    /// Whether the canceller of the innermost run, or of one around it, was used.
    pub(crate) fn is_cancelled(&self) -> bool {
        let mut run = self.run.borrow().clone();
        while let Some(inner) = run {
            if inner.notes.cancelled.get() {
                return true;
            }
            run = inner.parent.borrow().clone();
        }
        false
    }

    /// Does something that belongs to no run, wherever it is called.
    pub(crate) fn outside<T>(&self, act: impl FnOnce() -> T) -> T {
        /// Gives the run its place back, also if that panics.
        struct Back<'d>(&'d Current, Option<Rc<Run>>);

        impl Drop for Back<'_> {
            fn drop(&mut self) {
                let run = self.1.take();
                self.0.number.set(run.as_ref().map_or(NONE, |run| run.number));
                self.0.run.replace(run);
            }
        }

        let _back = Back(self, self.run.take());
        self.number.set(NONE);
        act()
    }

    /// Notes an operation for every run that is being polled.
    pub(super) fn note(&self, driver: &Driver, key: Key) {
        let innermost = self.run();
        let mut run = self.run.borrow().clone();
        while let Some(inner) = run {
            inner.notes.note(driver, Note { run: inner.number, innermost, key });
            run = inner.parent.borrow().clone();
        }
    }
}

impl Driver {
    /// An operation in flight was polled: it belongs to the run that it was polled in, even if it was started before.
    #[inline]
    pub(super) fn join(&self, key: Key) {
        let run = self.under.run();
        if run != NONE {
            self.join_run(key, run);
        }
    }

    #[cold]
    fn join_run(&self, key: Key, run: u64) {
        if !self.inner.borrow_mut().table.join(key, run) {
            return;
        }
        self.under.note(self, key);
        if self.under.is_cancelled() {
            let mut inner = self.inner.borrow_mut();
            if inner.table.cancellable(key, run).is_some() {
                inner.table.mark_cancelled(key);
                inner.cancel(key);
            }
        }
    }

    /// Asks the kernel to cancel an operation, and is told what came of it: the key of the request, or `None` if the
    /// runtime is ending, where everything is cancelled.
    pub(crate) fn request_cancel(&self, target: Key) -> Option<Key> {
        let mut inner = self.inner.borrow_mut();
        if inner.closing {
            return None;
        }
        let key = inner.table.insert_cancellation(target);
        inner.ask(target, key, Flags::empty());
        Some(key)
    }

    /// Gives up what [`request_cancel`](Self::request_cancel) would tell. As nobody would see that it did not reach
    /// its operation, it is followed by another one, of which the driver sees that.
    pub(crate) fn disown_cancellation(&self, target: Key, key: Key) {
        let mut inner = self.inner.borrow_mut();
        let waker = inner.table.disown_cancellation(key);
        if !inner.closing && inner.table.is_unfinished(target) {
            inner.cancel(target);
        }
        drop(inner);
        drop(waker);
    }

    /// Whether an operation is not over.
    pub(crate) fn is_unfinished(&self, key: Key) -> bool {
        self.inner.borrow_mut().table.is_unfinished(key)
    }
}
