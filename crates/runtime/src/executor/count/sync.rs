//! What the counters are built of. The tests compile the same file a second time with loom's in their place.

pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};
