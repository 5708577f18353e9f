//! Permits: how many tasks may do something at the same time.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use super::{Closed, TryAcquireError, budgeted};

/// A number of permits. Who waits for permits gets them in the order of asking, also who asks for many: those
/// who ask for few later do not overtake.
///
/// Clones share the permits.
///
/// # Examples
///
/// Two downloads at a time:
///
/// ```
/// use annulus_rt::sync::Semaphore;
///
/// annulus_rt::run(async {
///     let slots = Semaphore::new(2);
///     for _download in 0..6 {
///         let permit = slots.acquire_owned().await.unwrap();
///         annulus_rt::spawn(async move {
///             annulus_rt::yield_now().await;
///             drop(permit);
///         });
///     }
///     let _all = slots.acquire_many(2).await.unwrap();
/// })?;
/// # Ok::<(), annulus_rt::Error>(())
/// ```
#[derive(Clone)]
pub struct Semaphore(Arc<tokio::sync::Semaphore>);

impl Semaphore {
    /// The most permits that there can be.
    pub const MAX_PERMITS: usize = tokio::sync::Semaphore::MAX_PERMITS;

    /// That many permits, all free.
    ///
    /// # Panics
    ///
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(permits)))
    }

    /// How many permits are free.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.0.available_permits()
    }

    /// Waits for a permit. A future that is dropped gives up its turn, and a permit that it had been given.
    ///
    /// # Errors
    ///
    /// If the semaphore was [closed](Self::close).
    pub async fn acquire(&self) -> Result<Permit<'_>, Closed> {
        self.acquire_many(1).await
    }

    /// Waits for several permits at once. As [`acquire`](Self::acquire).
    ///
    /// # Errors
    ///
    /// If the semaphore was [closed](Self::close).
    pub async fn acquire_many(&self, permits: u32) -> Result<Permit<'_>, Closed> {
        budgeted(self.0.acquire_many(permits)).await.map(Permit).map_err(|_| Closed)
    }

    /// As [`acquire`](Self::acquire); the permit borrows nothing and can go to another task or shard.
    ///
    /// # Errors
    ///
    /// If the semaphore was [closed](Self::close).
    pub async fn acquire_owned(&self) -> Result<OwnedPermit, Closed> {
        self.acquire_many_owned(1).await
    }

    /// As [`acquire_many`](Self::acquire_many), borrowing nothing.
    ///
    /// # Errors
    ///
    /// If the semaphore was [closed](Self::close).
    pub async fn acquire_many_owned(&self, permits: u32) -> Result<OwnedPermit, Closed> {
        budgeted(self.0.clone().acquire_many_owned(permits)).await.map(OwnedPermit).map_err(|_| Closed)
    }

    /// A permit, if one is free and nobody waits for it.
    ///
    /// # Errors
    ///
    /// Whether there may be one later.
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryAcquireError> {
        Ok(Permit(self.0.try_acquire()?))
    }

    /// As [`try_acquire`](Self::try_acquire), borrowing nothing.
    ///
    /// # Errors
    ///
    /// Whether there may be one later.
    pub fn try_acquire_owned(&self) -> Result<OwnedPermit, TryAcquireError> {
        Ok(OwnedPermit(self.0.clone().try_acquire_owned()?))
    }

    /// More permits, which go to those who wait first.
    ///
    /// # Panics
    ///
    /// If there were more than [`MAX_PERMITS`](Self::MAX_PERMITS) then.
    pub fn add_permits(&self, permits: usize) {
        self.0.add_permits(permits);
    }

    /// Takes up to that many free permits away for good. Returns how many.
    pub fn forget_permits(&self, permits: usize) -> usize {
        self.0.forget_permits(permits)
    }

    /// Gives no permit any more: who waits or asks is told so. Permits that were given stay.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Debug for Semaphore {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("available_permits", &self.available_permits()).finish()
    }
}

/// Permits of a [`Semaphore`], given back when this is dropped.
#[must_use = "permits are given back when this is dropped"]
#[derive(Debug)]
pub struct Permit<'a>(tokio::sync::SemaphorePermit<'a>);

impl Permit<'_> {
    /// Does not give them back.
    pub fn forget(self) {
        self.0.forget();
    }

    /// How many they are.
    #[must_use]
    pub fn num_permits(&self) -> usize {
        self.0.num_permits()
    }
}

/// As [`Permit`], borrowing nothing.
#[must_use = "permits are given back when this is dropped"]
#[derive(Debug)]
pub struct OwnedPermit(tokio::sync::OwnedSemaphorePermit);

impl OwnedPermit {
    /// Does not give them back.
    pub fn forget(self) {
        self.0.forget();
    }

    /// How many they are.
    #[must_use]
    pub fn num_permits(&self) -> usize {
        self.0.num_permits()
    }
}
