//! A server of files and photographs over HTTP/1.1, on annulus-rt: one thread and one ring per core, and every byte goes
//! through the rings.
//!
//! `annulus_http` decides what to answer; this crate looks at the file system, moves the bytes, and bounds everything: memory per
//! connection, connections, waiting, and the end. It knows nothing of TLS or HTTP/2: put a proxy in front for those.
//!
//! # Examples
//!
//! A directory, until Ctrl-C:
//!
//! ```no_run
//! use annulus_serve::{Config, LogTarget};
//!
//! let mut config = Config::new("/srv/photos");
//! config.log = LogTarget::Stdout;
//! annulus_serve::serve(config, |server| println!("http://{}/", server.address()))?;
//! # Ok::<(), annulus_serve::ServeError>(())
//! ```
//!
//! A server inside of another program, or of a test: see [`Server`].

mod calendar;
mod chunk;
mod clock;
mod config;
mod connection;
pub mod demo;
mod error;
mod folder;
mod gate;
mod listen;
pub mod listing;
mod log;
mod look_up;
mod server;
mod shard;
mod source;
mod transfer;

pub use annulus_http as http;
pub use annulus_rt as rt;
pub use config::{Config, LogTarget};
pub use error::ServeError;
pub use server::{Server, serve};
