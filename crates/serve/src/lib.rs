//! A server of files and photographs over HTTP/1.1, on annulus-rt: one thread and one ring per core, and every byte goes
//! through the rings.
//!
//! `annulus_http` decides what to answer; this crate looks at the file system, moves the bytes, and bounds everything: memory per
//! connection, connections, waiting, and the end. It knows nothing of TLS or HTTP/2: put a proxy in front for those.
//!
//! # Examples
//!
//! Inside of another program, or of a test:
//!
//! ```
//! use annulus_serve::{Config, Server};
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("hello.txt"), "hello, ring")?;
//!
//! let mut config = Config::new(folder.path());
//! config.listen = "127.0.0.1:0".parse().unwrap();
//! let server = Server::start(config)?;
//!
//! let mut client = TcpStream::connect(server.address())?;
//! client.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
//! let mut response = String::new();
//! client.read_to_string(&mut response)?;
//! assert!(response.starts_with("HTTP/1.1 200 OK\r\n"));
//! assert!(response.ends_with("\r\n\r\nhello, ring"));
//!
//! server.stop();
//! server.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
