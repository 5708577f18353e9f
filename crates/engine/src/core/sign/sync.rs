//! What a sign is built of. The tests compile the same sign a second time with loom's in its place.

pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
