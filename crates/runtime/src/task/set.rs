//! `JoinSet`: tasks that are waited for together, in the order in which they end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::{AbortHandle, JoinError, JoinHandle, Origin};
use crate::coop;
use crate::executor::Context as Executor;

/// Tasks that belong together: whoever holds the set takes their outputs in the order in which they end, and dropping it aborts
/// them all.
///
/// It holds a bounded number of tasks, those that have ended and whose outputs were not taken included.
///
/// # Examples
///
/// ```
/// use annulus_rt::JoinSet;
///
/// annulus_rt::run(async {
///     let mut set = JoinSet::new();
///     for number in 1..=3 {
///         set.spawn(async move { number * number });
///     }
///     let mut sum = 0;
///     while let Some(square) = set.join_next().await {
///         sum += square.unwrap();
///     }
///     assert_eq!(sum, 14);
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
pub struct JoinSet<T> {
    handles: Slab<JoinHandle<T>>,
    limit: usize,
    /// Tasks that never began and whose error has not been taken.
    refused: usize,
    ended: Rc<RefCell<Ended>>,
}

/// What the tasks of a set tell it.
#[derive(Default)]
struct Ended {
    /// The places of those that have ended, first come, first served.
    places: VecDeque<usize>,
    waiter: Option<Waker>,
}

/// Tells the set when a task's future is dropped, which happens when it ends, however it does.
struct Bell {
    place: usize,
    ended: Rc<RefCell<Ended>>,
}

impl Drop for Bell {
    fn drop(&mut self) {
        let waiter = {
            let mut ended = self.ended.borrow_mut();
            ended.places.push_back(self.place);
            ended.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl<T: 'static> JoinSet<T> {
    /// An empty set, which holds at most 65,536 tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(65_536)
    }

    /// An empty set, which holds at most so many tasks.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { handles: Slab::new(), limit, refused: 0, ended: Rc::default() }
    }

    /// Starts a task in the set. If the set or the executor has as many as it may have, the future is dropped and
    /// [`join_next`](Self::join_next) yields [`JoinError::Refused`] for it.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn(&mut self, future: impl Future<Output = T> + 'static) -> AbortHandle {
        if let Ok(handle) = self.try_spawn(future) {
            return handle;
        }
        self.refused += 1;
        JoinHandle::<T>::refused().abort_handle()
    }

    /// As [`spawn`](Self::spawn), but gives the future back if there is no room for it.
    ///
    /// # Errors
    ///
    /// The future, if the set holds its limit, the executor has [`Builder::tasks`](crate::Builder::tasks), or the runtime is
    /// ending.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn try_spawn<F>(&mut self, future: F) -> Result<AbortHandle, F>
    where
        F: Future<Output = T> + 'static,
    {
        if self.handles.len() >= self.limit {
            return Err(future);
        }
        let origin = Origin::here();
        let place = self.handles.vacant_entry();
        let bell = Bell { place: place.key(), ended: self.ended.clone() };
        let spawned = Executor::with(|executor| {
            if !executor.has_room() {
                return Err(future);
            }
            let rung = async move {
                let _bell = bell;
                future.await
            };
            executor.spawn(rung, origin).map_err(|_refused| unreachable!("there was room just now"))
        });
        let handle = spawned?;
        let abort = handle.abort_handle();
        place.insert(handle);
        Ok(abort)
    }

    /// Waits for the next task to end, and takes its output. `None` if the set is empty. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// What came of the task instead of an output, as for a [`JoinHandle`].
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), for futures that are written by hand.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        coop::limit(cx, |cx| {
            if let Some(output) = self.take_next() {
                return Poll::Ready(Some(output));
            }
            if self.is_empty() {
                return Poll::Ready(None);
            }
            if !self.ended.borrow().places.is_empty() {
                // Asked by the destructor of one of them, which has not ended before that returns.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let before = self.ended.borrow_mut().waiter.replace(cx.waker().clone());
            drop(before);
            Poll::Pending
        })
    }

    /// The output of a task that has ended, if there is one.
    ///
    /// # Errors
    ///
    /// As [`join_next`](Self::join_next).
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.take_next()
    }

    fn take_next(&mut self) -> Option<Result<T, JoinError>> {
        if self.refused > 0 {
            self.refused -= 1;
            return Some(Err(JoinError::Refused));
        }
        let first = self.ended.borrow().places.front().copied();
        let place = first.filter(|place| self.handles[*place].is_finished())?;
        self.ended.borrow_mut().places.pop_front();
        let mut handle = self.handles.remove(place);
        match Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => unreachable!("it has ended"),
        }
    }

    /// Waits for all of them, and gives their outputs in the order in which they ended.
    ///
    /// # Panics
    ///
    /// If one of the tasks did, with its panic; the others are aborted then. Also if one was aborted or refused.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(output) = self.join_next().await {
            match output {
                Ok(output) => outputs.push(output),
                Err(JoinError::Panicked(payload)) => std::panic::resume_unwind(payload),
                Err(error) => panic!("a task of the set has no output: {error}"),
            }
        }
        outputs
    }

    /// Aborts every task, and waits until all have ended. What they would have yielded is dropped.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }
}

impl<T> JoinSet<T> {
    /// How many tasks it holds, those that have ended and whose outputs were not taken included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handles.len() + self.refused
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Aborts every task. They stay in the set until they are taken out as [`JoinError::Aborted`].
    pub fn abort_all(&mut self) {
        for (_, handle) in &self.handles {
            handle.abort();
        }
    }

    /// Lets every task go on alone, and empties the set.
    pub fn detach_all(&mut self) {
        self.refused = 0;
        // Those that are let go tell the old list.
        self.ended = Rc::default();
        self.handles.clear();
    }
}

impl<T: 'static> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static, F: Future<Output = T> + 'static> FromIterator<F> for JoinSet<T> {
    /// Starts every one of them.
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        for future in futures {
            set.spawn(future);
        }
        set
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> Debug for JoinSet<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("len", &self.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
