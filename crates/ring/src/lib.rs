//! io_uring for Rust, everywhere: the user's side of the rings.
