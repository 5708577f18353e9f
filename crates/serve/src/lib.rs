//! A static file and photo server on annulus-rt.

mod calendar;
pub mod demo;
pub mod listing;
