//! A task in memory: one allocation that holds its future or its output, the links of the executor's lists, and
//! the count of those who refer to it. A waker is a pointer to it.
//!
//! It does not decide when a task is polled: that is `turn.rs`. What it keeps true:
//!
//! - **The body** (future, then output) is touched on the executor's thread alone: by [`TaskRef::poll`] and
//!   [`TaskRef::discard`] while the task is [`Stage::Busy`], which excludes each other, and by its one
//!   [`JoinHandle`](crate::JoinHandle), which cannot leave the thread, once it is [`Stage::Ended`].
//! - **An ended task without a handle has no body**, so that whichever thread lets go last frees memory and nothing of
//!   the user's that is bound to a thread.
//! - **It is freed once**, by the last of those who refer to it, and not before it has ended (`count/`).
#![allow(unsafe_code, reason = "counts references, and calls by a table what has lost its type")]

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use super::count::{Elsewhere, Here};
use super::current;
use super::inbox::{Inbox, Left};
use crate::task::{Id, JoinError, Origin};

/// What becomes of a task, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits to be woken, or to be polled.
    Idle,
    /// Its future is being polled or dropped.
    Busy,
    /// It has an output, or had one.
    Ended,
}

/// The part of a task whose type does not depend on its future.
pub(super) struct Header {
    table: &'static Table,
    pub(super) shared: Shared,
    own: Own,
}

/// What any thread may look at.
pub(super) struct Shared {
    references: Elsewhere,
    /// The executor that runs it, and how to reach it.
    pub(super) executor: u64,
    pub(super) inbox: Arc<Inbox>,
    /// Whether it lies in the inbox, and what for.
    pub(super) left: Left,
    /// Stored with release by the thread of the task, after its output; other threads load with acquire.
    ended: AtomicBool,
    pub(super) id: Id,
}

/// What the thread of the executor alone may touch.
pub(super) struct Own {
    references: Here,
    pub(super) stage: Cell<Stage>,
    /// In the queue of tasks to be polled.
    pub(super) queued: Cell<bool>,
    /// To be discarded when its poll returns.
    pub(super) doomed: Cell<bool>,
    /// A handle waits for the output.
    handle: Cell<bool>,
    waiter: Cell<Option<Waker>>,
    pub(super) next_ready: Cell<Option<Link>>,
    pub(super) previous: Cell<Option<Link>>,
    pub(super) next: Cell<Option<Link>>,
    pub(super) polls: Cell<u64>,
    pub(super) origin: Origin,
}

/// A pointer to a task that does not count: whoever keeps one says why the task is still there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Link(NonNull<Header>);

/// A reference to a task: what wakers, handles and queues hold.
///
/// It may go to other threads, where it wakes, aborts and counts, and nothing else.
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: through a reference another thread reaches `Shared` alone, which is `Sync`; `Own` and the body are reached by way of
// `TaskRef::own`, whose callers are on the task's thread. The last reference may be dropped anywhere, as a task without
// body or handle holds nothing that is bound to its thread (the head of this file).
unsafe impl Send for TaskRef {}
// SAFETY: as above; no method that takes `&self` on another thread reaches more than `Shared`.
unsafe impl Sync for TaskRef {}

/// The task with its body. The header lies first, so a pointer to the one is a pointer to the other.
#[repr(C)]
struct Whole<F: Future> {
    header: Header,
    body: UnsafeCell<Body<F>>,
}

enum Body<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Empty,
}

/// What depends on the future's type. Each takes a task whose future is of that type.
struct Table {
    /// Polls; whether the future was ready, or panicked, and an output stands in its place.
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> bool,
    /// Replaces the future by a failure.
    fail: unsafe fn(NonNull<Header>, JoinError),
    /// Moves the output to an `Option` of its type.
    take: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output where it is.
    forget: unsafe fn(NonNull<Header>),
    free: unsafe fn(NonNull<Header>),
}

impl TaskRef {
    /// A task whose handle is still to be made: it has one reference, and keeps its output for whoever has that.
    pub(super) fn new<F>(future: F, id: Id, origin: Origin, executor: u64, inbox: Arc<Inbox>) -> Self
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let shared = Shared {
            references: Elsewhere::new(),
            executor,
            inbox,
            left: Left::new(),
            ended: AtomicBool::new(false),
            id,
        };
        let own = Own {
            references: Here::new(),
            stage: Cell::new(Stage::Idle),
            queued: Cell::new(false),
            doomed: Cell::new(false),
            handle: Cell::new(true),
            waiter: Cell::new(None),
            next_ready: Cell::new(None),
            previous: Cell::new(None),
            next: Cell::new(None),
            polls: Cell::new(0),
            origin,
        };
        let header = Header { table: Whole::<F>::TABLE, shared, own };
        let whole = Box::new(Whole { header, body: UnsafeCell::new(Body::Future(future)) });
        Self(NonNull::from(Box::leak(whole)).cast())
    }

    const fn header(&self) -> &Header {
        // SAFETY: a reference is counted, so the task is there; headers are only ever borrowed shared.
        unsafe { self.0.as_ref() }
    }

    pub(super) const fn shared(&self) -> &Shared {
        &self.header().shared
    }

    /// What belongs to the thread of the task.
    ///
    /// # Panics
    ///
    /// On a thread that runs another executor than the task's, or none. (A task that has ended may be asked on the
    /// thread that ran it: see [`TaskRef::take`].)
    pub(super) fn own(&self) -> &Own {
        assert!(self.is_here(), "a task is polled by its own executor");
        &self.header().own
    }

    /// Whether this thread is in the executor that runs the task.
    pub(super) fn is_here(&self) -> bool {
        current::is(self.shared().executor)
    }

    /// Whether it has ended; its output is there then, for whoever is on its thread.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared().ended.load(Ordering::Acquire)
    }

    pub(crate) fn id(&self) -> Id {
        self.shared().id
    }

    pub(super) const fn link(&self) -> Link {
        Link(self.0)
    }

    /// A waker of this task.
    pub(super) fn waker(&self) -> Waker {
        let data = self.clone().into_link().0;
        // SAFETY: the table matches the data, whose reference the waker takes over.
        unsafe { Waker::new(data.as_ptr().cast(), &WAKER) }
    }

    /// Polls its future, whose panic becomes its output. Whether there is an output now.
    ///
    /// # Panics
    ///
    /// If it is busy already, or has ended.
    pub(super) fn poll(&self) -> bool {
        let own = self.own();
        assert_eq!(own.stage.replace(Stage::Busy), Stage::Idle, "a task is polled while it waits");
        own.polls.set(own.polls.get() + 1);
        // The caller's reference lends itself to the waker, which does not count.
        // SAFETY: the table matches the data, and the reference outlives the waker, which is not dropped.
        let waker = ManuallyDrop::new(unsafe { Waker::new(self.0.as_ptr().cast(), &WAKER) });
        // SAFETY: this is the task's thread (`own`), and it was idle: nobody else is at the body. The table is that of the
        // future's type, as `new` put both there.
        let ended = unsafe { (self.header().table.poll)(self.0, &mut Context::from_waker(&waker)) };
        if !ended {
            own.stage.set(Stage::Idle);
        }
        ended
    }

    /// Drops its future and makes a failure its output: that given, or the panic of a destructor.
    ///
    /// # Panics
    ///
    /// If it is busy, or has ended.
    pub(super) fn discard(&self, error: JoinError) {
        let stage = self.own().stage.replace(Stage::Busy);
        assert_eq!(stage, Stage::Idle, "a task is discarded while it waits");
        // SAFETY: as in `poll`.
        unsafe { (self.header().table.fail)(self.0, error) };
    }

    /// Ends a task whose output is in its place: tells whoever waits, and counts in the atomic counter from here on.
    /// Returns whom to wake.
    pub(super) fn end(&self) -> Option<Waker> {
        let own = self.own();
        own.stage.set(Stage::Ended);
        let waiter = own.waiter.take();
        self.shared().ended.store(true, Ordering::Release);
        if !own.handle.get() {
            self.forget_output();
        }
        self.shared().references.settle(&own.references);
        waiter
    }

    /// The output, once: for its one handle, which stays on the task's thread, when the task has ended.
    ///
    /// # Safety
    ///
    /// The future's output is a `T`, the task has ended, this is its thread, and nobody looks at its body.
    pub(crate) unsafe fn take<T>(&self) -> Option<Result<T, JoinError>> {
        let mut output: Option<Result<T, JoinError>> = None;
        // SAFETY: the promises of the caller are those that the function wants.
        unsafe { (self.header().table.take)(self.0, (&raw mut output).cast()) };
        output
    }

    /// Notes whom to wake when it has ended.
    ///
    /// # Safety
    ///
    /// This is the thread of the task.
    pub(crate) unsafe fn wait(&self, waker: &Waker) {
        let waiter = &self.header().own.waiter;
        let before = waiter.take();
        if before.as_ref().is_some_and(|before| before.will_wake(waker)) {
            return waiter.set(before);
        }
        waiter.set(Some(waker.clone()));
        // Now that nothing is half done: a waker's destructor may do anything.
        drop(before);
    }

    /// The handle is gone: an output that is there has no taker, one that comes neither.
    ///
    /// # Safety
    ///
    /// This is the thread of the task, and it is the handle's.
    pub(crate) unsafe fn give_up_handle(&self) {
        let own = &self.header().own;
        own.handle.set(false);
        drop(own.waiter.take());
        if own.stage.get() == Stage::Ended {
            // SAFETY: it has ended, this is its thread, and its handle, which alone looks at the body then, asks for it.
            unsafe { (self.header().table.forget)(self.0) };
        }
    }

    /// Drops an output that nobody waits for. Its destructor may panic; nobody is left to be told.
    fn forget_output(&self) {
        // SAFETY: called on the task's thread when it has just ended and has no handle: nobody looks at the body.
        let forget = AssertUnwindSafe(|| unsafe { (self.header().table.forget)(self.0) });
        if let Err(payload) = catch_unwind(forget) {
            tracing::warn!("the destructor of an output that nobody waited for panicked");
            swallow(payload);
        }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        if self.is_here() && !self.has_ended() {
            self.header().own.references.add();
        } else {
            self.shared().references.add();
        }
        Self(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.is_here() && !self.has_ended() {
            return self.header().own.references.remove();
        }
        if self.shared().references.remove() {
            // SAFETY: it was the last, which comes only after the task has ended, and once (`count/references.rs`).
            unsafe { (self.header().table.free)(self.0) };
        }
    }
}

impl Link {
    /// Looks at the task.
    ///
    /// # Safety
    ///
    /// The task has not been freed and is not before the borrow ends; this is its thread.
    pub(super) const unsafe fn own<'a>(self) -> &'a Own {
        // SAFETY: it is there, says the caller.
        &unsafe { self.0.as_ref() }.own
    }

    /// Makes a reference of it, which was counted when the link was made of a reference ([`TaskRef::into_link`]).
    ///
    /// # Safety
    ///
    /// That is so, and happens once.
    pub(super) const unsafe fn into_ref(self) -> TaskRef {
        TaskRef(self.0)
    }

    /// A reference of its own.
    ///
    /// # Safety
    ///
    /// As for [`Link::own`].
    pub(super) unsafe fn to_ref(self) -> TaskRef {
        let lent = ManuallyDrop::new(TaskRef(self.0));
        TaskRef::clone(&lent)
    }
}

impl TaskRef {
    /// Gives the reference away as a link, without counting down.
    pub(super) const fn into_link(self) -> Link {
        let link = Link(self.0);
        std::mem::forget(self);
        link
    }
}

impl<F> Whole<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    const TABLE: &'static Table = &Table {
        poll: Self::poll,
        fail: Self::fail,
        take: Self::take,
        forget: Self::forget,
        free: Self::free,
    };

    /// The body of a task of this type.
    ///
    /// # Safety
    ///
    /// The task is of this type and there; nobody else is at its body as long as the borrow is used.
    const unsafe fn body<'a>(task: NonNull<Header>) -> &'a mut Body<F> {
        // SAFETY: the header lies first (`repr(C)`), and the pointer is that of the whole allocation.
        let whole = unsafe { task.cast::<Self>().as_ref() };
        // SAFETY: nobody else is at it, says the caller.
        unsafe { &mut *whole.body.get() }
    }

    /// # Safety
    ///
    /// As for [`Self::body`].
    unsafe fn poll(task: NonNull<Header>, cx: &mut Context<'_>) -> bool {
        // SAFETY: the promise is the same.
        let body = unsafe { Self::body(task) };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let Body::Future(future) = &mut *body else {
                unreachable!("a task that has not ended has a future")
            };
            // SAFETY: the future lies in an allocation that does not move, and is dropped where it is (`replace`).
            unsafe { Pin::new_unchecked(future) }.poll(cx)
        }));
        let output = match polled {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JoinError::Panicked(payload)),
        };
        Self::replace(body, output);
        true
    }

    /// # Safety
    ///
    /// As for [`Self::body`].
    unsafe fn fail(task: NonNull<Header>, error: JoinError) {
        // SAFETY: the promise is the same.
        Self::replace(unsafe { Self::body(task) }, Err(error));
    }

    /// Drops the future where it is, and puts the output in its place; or the panic of a destructor.
    fn replace(body: &mut Body<F>, output: Result<F::Output, JoinError>) {
        let place: *mut Body<F> = body;
        // SAFETY: what is dropped here is not looked at again: it is overwritten below, whether or not this panics.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { place.drop_in_place() }));
        let (output, unwanted) = match dropped {
            Ok(()) => (output, None),
            Err(payload) => (Err(JoinError::Panicked(payload)), Some(output)),
        };
        // SAFETY: the place is that of a borrow, and holds nothing any more.
        unsafe { place.write(Body::Output(output)) };
        // A second panic has nobody to go to.
        catch_unwind(AssertUnwindSafe(|| drop(unwanted))).unwrap_or_else(swallow);
    }

    /// # Safety
    ///
    /// As for [`Self::body`], and `output` points to an `Option<Result<F::Output, JoinError>>`.
    unsafe fn take(task: NonNull<Header>, output: *mut ()) {
        // SAFETY: the promise is the same.
        let body = unsafe { Self::body(task) };
        if let Body::Output(taken) = std::mem::replace(body, Body::Empty) {
            // SAFETY: the type is right, says the caller.
            unsafe { *output.cast::<Option<Result<F::Output, JoinError>>>() = Some(taken) };
        }
    }

    /// # Safety
    ///
    /// As for [`Self::body`].
    unsafe fn forget(task: NonNull<Header>) {
        // SAFETY: the promise is the same.
        let body = unsafe { Self::body(task) };
        drop(std::mem::replace(body, Body::Empty));
    }

    /// # Safety
    ///
    /// The task is of this type, and nobody refers to it.
    unsafe fn free(task: NonNull<Header>) {
        // SAFETY: it was made of a box of this type, and is freed once.
        drop(unsafe { Box::from_raw(task.cast::<Self>().as_ptr()) });
    }
}

/// Drops what a panic carried that has nobody to go to. That may panic in turn; what that carries is lost.
pub(super) fn swallow(payload: Box<dyn Any + Send>) {
    catch_unwind(AssertUnwindSafe(|| drop(payload))).unwrap_or_else(std::mem::forget);
}

/// The functions of a waker, whose data is a counted reference.
static WAKER: RawWakerVTable = RawWakerVTable::new(clone_waker, wake, wake_by_ref, drop_waker);

/// # Safety
///
/// The pointer is the data of a waker of [`WAKER`].
const unsafe fn borrowed(data: *const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: such a pointer is never null.
    ManuallyDrop::new(TaskRef(unsafe { NonNull::new_unchecked(data.cast_mut()) }.cast()))
}

/// # Safety
///
/// As for [`borrowed`].
unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: the promise is the same.
    let lent = unsafe { borrowed(data) };
    let task = TaskRef::clone(&lent);
    RawWaker::new(task.into_link().0.as_ptr().cast(), &WAKER)
}

/// # Safety
///
/// As for [`borrowed`], and the waker gives its reference away.
unsafe fn wake(data: *const ()) {
    // SAFETY: the promise is the same.
    ManuallyDrop::into_inner(unsafe { borrowed(data) }).wake();
}

/// # Safety
///
/// As for [`borrowed`].
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the promise is the same.
    unsafe { borrowed(data) }.wake_by_ref();
}

/// # Safety
///
/// As for [`wake`].
unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the promise is the same.
    drop(ManuallyDrop::into_inner(unsafe { borrowed(data) }));
}
