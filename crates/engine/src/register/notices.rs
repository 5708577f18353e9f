//! The eventfd that is told of completions.

use std::sync::Arc;

use rustix::io::Errno;

use super::call::Call;
use crate::core::{Audience, State};
use crate::files::File;

/// `REGISTER_EVENTFD`, `REGISTER_EVENTFD_ASYNC`.
///
/// # Errors
///
/// `EBUSY`: there is one. `EBADF`, `EINVAL` for what is none; `EFAULT`.
pub(super) fn register(state: &mut State, call: &Call<'_>, audience: Audience) -> Result<u32, Errno> {
    if call.nr != 1 {
        return Err(Errno::INVAL);
    }
    if state.notices().has_eventfd() {
        return Err(Errno::BUSY);
    }
    let fd = call.load::<4>()?.u32(0).cast_signed();
    let file = File::new(call.world.hold(fd)?, Arc::clone(call.world));
    if !call.world.is_eventfd(file.fd()) {
        return Err(Errno::INVAL);
    }
    state.notices().set_eventfd(Some((Arc::new(file), audience)));
    Ok(0)
}

/// `UNREGISTER_EVENTFD`.
///
/// # Errors
///
/// `ENXIO`: there is none. `EINVAL`.
pub(super) fn unregister(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    call.nothing()?;
    state.notices().set_eventfd(None).map(|_| 0).ok_or(Errno::NXIO)
}
