//! A static file and photo server on annulus-rt.

pub mod listing;
