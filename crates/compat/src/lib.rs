//! Streams of `annulus-rt` for crates that are written to other traits.
//!
//! [`Compat`] puts buffers of its own between a stream whose operations own their buffers and traits that borrow them: those
//! of `futures-io`, tokio and hyper, each behind the feature of that name, all of which are on by default. So TLS by
//! `tokio-rustls` or `futures-rustls`, HTTP by hyper, and every codec of the two worlds run on rings.
//!
//! ```
//! use annulus_compat::Compat;
//! use annulus_rt::io::pipe;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! annulus_rt::run(async {
//!     let (reader, writer) = pipe()?;
//!     let mut writer = Compat::writer(writer);
//!     writer.write_all(b"a ring of bytes").await?;
//!     writer.shutdown().await?;
//!     let mut text = String::new();
//!     Compat::reader(reader).read_to_string(&mut text).await?;
//!     assert_eq!(text, "a ring of bytes");
//!     Ok::<(), std::io::Error>(())
//! })??;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The other way round, files through rings in a program of tokio's, is the crate `annulus-tokio`.

mod compat;
#[cfg(feature = "futures-io")]
mod futures;
#[cfg(feature = "hyper")]
mod hyper;
mod pump;
mod reading;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(any(feature = "hyper", feature = "tokio"))]
mod writes;
mod writing;

pub use compat::{Compat, CompatReader, CompatWriter};
#[cfg(feature = "hyper")]
pub use hyper::{HyperExecutor, HyperTimer};
