//! The engine's workers.

/// Which limit a job counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// It ends by itself: files.
    Bounded,
    /// It may take for ever: sockets, terminals, other processes.
    Unbounded,
}

/// What a running job sees of a cancel.
#[derive(Debug, Default)]
pub(crate) struct Interrupt(std::sync::atomic::AtomicBool);

impl Interrupt {
    /// Whether the job was cancelled.
    pub(crate) fn requested(&self) -> bool {
        // Relaxed: a hint that publishes no data.
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}
