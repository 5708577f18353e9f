//! The table of requests and answers that this server promises, row by row.
//!
//! Each test is one row or one half of one, asked as bytes and answered as bytes, with the expected values written out.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod conditions;
mod framing;
mod methods;
mod paths;
mod ranges;
