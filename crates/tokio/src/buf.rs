//! Buffers that operations can own: the traits and containers of `annulus-rt`.
//!
//! `Vec<u8>`, `Box<[u8]>`, arrays, strings, `Bytes`, `BytesMut` and others are buffers as they are; [`IoBuf::slice`] is a part of
//! one; vectors, arrays and tuples of buffers are rows of them ([`IoVectoredBuf`]). [`AlignedBuf`] is for `O_DIRECT`. The pool of registered
//! buffers ([`FixedPool`]) is this crate's own, as its rings are.
//!
//! ```
//! use annulus_tokio::buf::{IoBuf, IoBufMut};
//!
//! let part = b"annulus".to_vec().slice(2..5);
//! assert_eq!(part.as_bytes(), b"nul");
//! assert_eq!(part.into_inner().capacity(), 7);
//! ```

pub use crate::fixed::{FixedBuf, FixedPool, RegisteredBuf};
pub use annulus_rt::buf::{AlignedBuf, BufResult, IoBuf, IoBufMut, IoVectoredBuf, IoVectoredBufMut, Slice};
