//! Calls that io_uring does not have, on tokio's threads that block.

use std::io;

use annulus_rt::fs::parts::Stop;
use tokio::task::{AbortHandle, spawn_blocking};

/// Makes a call on a thread that blocks. If the future is dropped, a call that was not begun is not made.
///
/// # Errors
///
/// The call's own; `ErrorKind::Other` if the runtime ends before it is made.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let work = spawn_blocking(call);
    let _guard = AbortWhenDropped(work.abort_handle());
    work.await.map_err(io::Error::other)?
}

/// As [`blocking`], for work in steps: it is to end between two of them when the future is dropped.
pub(crate) async fn in_steps<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (stop, _guard) = Stop::when_dropped();
    blocking(move || work(&stop)).await
}

struct AbortWhenDropped(AbortHandle);

impl Drop for AbortWhenDropped {
    fn drop(&mut self) {
        self.0.abort();
    }
}
