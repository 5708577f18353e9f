//! Every program of `examples/`, run as a user runs it: real files, real sockets on loopback, real signals.
#![allow(clippy::disallowed_methods, reason = "clients run beside the servers that they talk to")]
#![allow(clippy::print_stdout, reason = "a skip says why")]

mod again;
mod clients;
#[path = "examples/files.rs"]
mod files;
#[path = "examples/process.rs"]
mod process;
#[path = "examples/servers.rs"]
mod servers;

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
