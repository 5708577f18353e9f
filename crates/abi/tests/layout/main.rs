//! The layout of the interface: every constant, size and offset, against two oracles.
//!
//! `linux-raw-sys` is generated from the kernel's headers, as of Linux 6.17: what it has must agree
//! (`constants`, `structures`). What it has not is listed in `unseen` with its numbers written out;
//! they were checked against the headers of Linux 7.3. `source` reads this crate's own files, so
//! that nothing can be added without standing in one list or the other.

mod constants;
mod source;
mod structures;
mod unseen;
