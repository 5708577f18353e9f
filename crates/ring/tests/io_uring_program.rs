//! A program written for the `io-uring` crate 0.7.15 runs on this one after changing the crate's name.
//!
//! `io_uring_program/server.rs` is such a program's text, and `io_uring_program_peer` runs the same text on
//! that crate. The clients are ordinary sockets in threads of their own.
#![allow(clippy::disallowed_methods, reason = "the server and its clients run beside each other")]

extern crate annulus as ring;

mod again;
#[path = "io_uring_program/cases.rs"]
mod cases;
mod clients;
#[path = "io_uring_program/server.rs"]
mod server;

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
