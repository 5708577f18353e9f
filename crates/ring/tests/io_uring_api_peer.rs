//! The text of `io_uring_api`, compiled and run against the `io-uring` crate: what it says is true of it.
#![allow(clippy::unwrap_used, reason = "a test")]

extern crate io_uring as ring;

#[path = "io_uring_api/operations.rs"]
mod operations;
#[path = "io_uring_api/rings.rs"]
mod rings;
#[path = "io_uring_api/values.rs"]
mod values;
