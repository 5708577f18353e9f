//! Personalities: credentials under a number, with which requests are carried out.
//!
//! Credentials belong to threads, and a thread that gave some up cannot take them back. So a personality is a pool of workers
//! whose threads have the credentials that the registering thread had at that moment: user and group identities,
//! supplementary groups, capabilities, security labels. All requests with the personality are carried out there.
//!
//! Where that ends: setuid(2) and its kin as a C library has them change all threads of the process, those of
//! personalities too. Only who changes threads one by one, by the system calls, has different ones at once, as servers
//! do that act for several users.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::call::Call;
use crate::core::{Ring, State};
use crate::pool::Pool;

/// The personalities of a ring.
#[derive(Debug, Default)]
pub(super) struct Personalities {
    pools: BTreeMap<u16, Pool>,
    /// The number given last. Numbers go round, so that one that was given up is not soon somebody else.
    last: u16,
}

impl Personalities {
    /// The workers of a personality.
    pub(super) fn get(&self, id: u16) -> Option<&Pool> {
        self.pools.get(&id)
    }

    /// The workers of all.
    pub(super) fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }

    /// The next number that is free: never 0.
    fn free_id(&self) -> Result<u16, Errno> {
        let behind = (self.last..=u16::MAX).skip(1).chain(1..=self.last);
        behind.into_iter().find(|id| !self.pools.contains_key(id)).ok_or(Errno::BUSY)
    }
}

/// `REGISTER_PERSONALITY`.
///
/// # Errors
///
/// `EINVAL`; `EBUSY`: all numbers are taken. `EAGAIN`: there is no thread to keep the credentials.
pub(super) fn register(ring: &Ring, state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    call.nothing()?;
    let personalities = &mut state.settings.personalities;
    let id = personalities.free_id()?;
    let entries = state.rings.params.sq_entries;
    let pool = Pool::as_caller(entries).inspect_err(|errno| {
        tracing::warn!(%errno, ring = ring.id, "no thread for the credentials of a personality");
    })?;
    personalities.pools.insert(id, pool);
    personalities.last = id;
    Ok(id.into())
}

/// `UNREGISTER_PERSONALITY`. Requests that have begun keep it.
///
/// # Errors
///
/// `EINVAL`.
pub(super) fn unregister(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    let id = u16::try_from(call.nr).map_err(|_| Errno::INVAL)?;
    if call.addr != 0 {
        return Err(Errno::INVAL);
    }
    state.settings.personalities.pools.remove(&id).map(|_| 0).ok_or(Errno::INVAL)
}
