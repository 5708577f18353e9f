//! The text of `io_uring_program`, run on the `io-uring` crate: it is a program written for that crate.
#![allow(clippy::disallowed_methods, reason = "the server and its clients run beside each other")]

extern crate io_uring as ring;

#[path = "io_uring_program/cases.rs"]
mod cases;
mod clients;
#[path = "io_uring_program/server.rs"]
mod server;
