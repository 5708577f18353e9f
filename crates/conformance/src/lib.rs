//! One suite of io_uring semantics for every back end.
