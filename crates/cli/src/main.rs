//! The `annulus` program.

fn main() {}
