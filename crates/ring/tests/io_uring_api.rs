//! A program written for the `io-uring` crate 0.7.15 compiles after changing the crate's name.
//!
//! The modules below are such a program's text: every path, name and signature, which the compiler checks.
//! `io_uring_api_peer` compiles the same text against that crate, so it is no wish of ours what stands there.
#![allow(clippy::unwrap_used, reason = "a test")]

extern crate annulus as ring;

mod again;
#[path = "io_uring_api/operations.rs"]
mod operations;
#[path = "io_uring_api/rings.rs"]
mod rings;
#[path = "io_uring_api/values.rs"]
mod values;

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
