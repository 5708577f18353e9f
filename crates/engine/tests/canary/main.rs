//! Canaries: memory that requests on the engine were lent, looked at after it was given back.
//!
//! It is given back when the request was cancelled and has completed, when its file was closed and its ring dropped, or when
//! its ring was dropped alone: afterwards not a byte of it may change, whoever else wanted to write there: a worker, the
//! background thread, the device. Each situation is tried twenty times, on rings of several kinds.

mod disk;
mod flock;
mod stage;
mod waiting;
