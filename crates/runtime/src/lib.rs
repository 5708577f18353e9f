//! Async on rings, one thread per core.
//!
//! [`run`] runs a future on this thread, on an io_uring of its own; [`Shards`] does so on several cores, each
//! with its own ring. Tasks ([`spawn`]) stay on their thread, so they need not be `Send`. An executor that
//! has nothing to do waits in the kernel; one that has makes one call per turn of its loop, which hands over
//! everything that was queued meanwhile.
//!
//! # Examples
//!
//! An echo server, and a client of it:
//!
//! ```
//! use annulus_rt::net::{TcpListener, TcpStream};
//! use std::io;
//!
//! async fn echo(stream: TcpStream) -> io::Result<()> {
//!     let mut receiver = stream.receiver();
//!     while let Some(bytes) = receiver.next().await? {
//!         stream.send_all(bytes).await.0?;
//!     }
//!     stream.close().await
//! }
//!
//! fn main() -> io::Result<()> {
//!     annulus_rt::run(async {
//!         let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
//!         let address = listener.local_addr()?;
//!         annulus_rt::spawn(async move {
//!             let mut incoming = listener.incoming();
//!             while let Ok(stream) = incoming.next().await {
//!                 annulus_rt::spawn(echo(stream));
//!             }
//!         });
//!
//!         let client = TcpStream::connect(address).await?;
//!         client.send_all(b"ring").await.0?;
//!         let (received, buf) = client.recv_exact(vec![0; 4]).await;
//!         received?;
//!         assert_eq!(buf, b"ring");
//!         client.close().await
//!     })?
//! }
//! ```
//!
//! # Operations own their buffers
//!
//! The kernel reads and writes the memory of an operation until it has completed, whatever happens to
//! the future. So a buffer is given to its operation and comes back with the result
//! ([`buf::BufResult`]): `let (result, buf) = stream.recv(buf).await`. A future may be dropped at any
//! `.await`: the operation is cancelled, the runtime keeps its memory until the kernel is done with it, and a
//! file that it opened in spite of it is closed. Bytes that a dropped receive had taken from a socket are given to the
//! next receive of that stream, and a connection that a dropped accept had taken to the next accept of that listener.
//!
//! # Kernels
//!
//! Linux 5.10, and no difference to be seen from there on. Newer ones serve better: multishot accept since 5.19,
//! receiving into a buffer ring since 6.0, completions without interrupts (`DEFER_TASKRUN`) since 6.1. What
//! is missing is left out; an operation that the kernel does not have, or that a filter denies (Linux 7.0), is carried out by
//! the engine in this process, beside the kernel's ring ([`Counters::aside`] tells how many were). Where io_uring is forbidden
//! or missing, and on kernels before 5.9, the engine carries out all of them: [`Builder::backend`], and [`chosen`], which
//! tells what came of it.
//!
//! # The end
//!
//! When the root future is ready, or panics, every task is dropped, everything in flight is cancelled and
//! waited for, and only then the ring goes. [`sync::Shutdown`] ends a program in order before that.

pub mod buf;
pub mod cancel;
pub mod coop;
pub mod fs;
pub mod io;
pub mod net;
pub mod process;
pub mod shard;
pub mod signal;
pub mod sync;
pub mod task;
pub mod time;

mod blocking;
mod builder;
mod driver;
mod error;
mod executor;
mod fd;
mod select;
mod shards;
mod spawn;
mod stats;

pub use annulus::{BackendChoice, BackendKind, Chosen};
pub use blocking::spawn_blocking;
pub use builder::Builder;
pub use error::Error;
pub use select::{Either, select};
pub use shards::Shards;
pub use spawn::{chosen, counters, is_running, run, spawn, try_spawn, yield_now};
pub use stats::{Counters, PollTimes};
pub use task::{AbortHandle, JoinError, JoinHandle, JoinSet};
