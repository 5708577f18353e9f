//! Files through rings, inside an ordinary tokio program: no runtime of its own, no thread of its own.
//!
//! tokio gives every operation on a file to a pool of threads that block. Here it goes into a ring instead, at the place where the future
//! is polled first; what is in the page cache is often there at once, without a hop to another thread. Completions that
//! come later make the ring's descriptor readable, which tokio watches as it does sockets.
//!
//! ```
//! use annulus_tokio::{File, OpenOptions, RwFlags};
//! use tokio::io::{AsyncBufReadExt, BufReader};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let folder = tempfile::tempdir()?;
//!     let path = folder.path().join("notes/today");
//!     annulus_tokio::create_dir_all(path.parent().unwrap()).await?;
//!
//!     // At offsets, from as many tasks as there are, on whichever threads.
//!     let file = OpenOptions::new().read(true).write(true).create(true).open(&path).await?;
//!     let writes = (0..4_u64).map(|at| {
//!         let file = file.clone();
//!         tokio::spawn(async move { file.write_all_at(format!("line {at}\n"), 7 * at).await.0 })
//!     });
//!     for write in writes.collect::<Vec<_>>() {
//!         write.await??;
//!     }
//!     file.write_at_with("and one more\n", 28, RwFlags::DSYNC).await.0?;
//!     let (read, (word, rest)) = file.read_vectored_at(([0; 4], vec![0; 2]), 21).await;
//!     assert_eq!((read?, &word, rest.as_slice()), (6, b"line", &b" 3"[..]));
//!
//!     // As a stream, for everything that takes those of tokio.
//!     let mut lines = BufReader::new(file.cursor()).lines();
//!     assert_eq!(lines.next_line().await?.as_deref(), Some("line 0"));
//!     file.close().await?;
//!
//!     // By name.
//!     annulus_tokio::write_atomic(&path, "all of it, or none\n").await.0?;
//!     assert_eq!(annulus_tokio::read_to_string(&path).await?, "all of it, or none\n");
//!     assert_eq!(annulus_tokio::metadata(&path).await?.len(), 19);
//!     annulus_tokio::remove_dir_all(folder.path().join("notes")).await?;
//!     assert!(!annulus_tokio::try_exists(&path).await?);
//!     Ok(())
//! }
//! ```
//!
//! # What goes where
//!
//! | Through a ring | On tokio's threads that block, as there is no opcode |
//! |---|---|
//! | Open, close, read, write, sync, allocate, cut, advise, metadata; making, renaming, linking and removing names | [`read_dir`], [`read_link`], [`canonicalize`], permissions and times, [`remove_dir_all`], [`copy`] inside of the kernel, the last step of [`write_atomic`] |
//!
//! Names are those of `tokio::fs` where it has one, and of `annulus-rt` for the rest. What the kernel has no opcode for yet goes to a ring of
//! the engine, in this process; so Linux 5.10 suffices.
//!
//! # Operations own their buffers
//!
//! The kernel works on the memory of an operation until that has completed, whatever becomes of the future. So a buffer is given to
//! an operation and comes back with the result ([`buf::BufResult`]), as in `annulus-rt`, whose traits and containers these are
//! ([`buf`]). A future may be dropped at any `.await`: its operation is cancelled, its memory stays with the ring until the
//! kernel is done with it, and a file that was opened in spite of it is closed. Whether a name was made, changed or
//! removed by then is not known; what takes many steps stops between two of them.
//!
//! [`Cursor`] copies between the caller's memory and a buffer of its own instead, as the traits of tokio want it.
//!
//! # Rings and runtimes
//!
//! Each runtime has as many rings as it has workers, made when they are first needed and bounded in what they have in
//! flight; who finds one full waits for a place. Futures are `Send`: an operation goes on whichever thread polls
//! it. When a runtime ends, what its rings have in flight is cancelled and waited for, and only then they go; what
//! does not end is leaked, never freed. A future that outlives its runtime goes on in the one that polls it.
//!
//! Outside of a runtime of tokio's, or in one whose I/O is not enabled, all futures of this crate panic.
//!
//! Where io_uring is forbidden or missing, the engine of `annulus` carries the operations out in this process:
//! `ANNULUS_BACKEND` decides, or what the machine allows.

pub mod buf;

mod atomic;
mod attributes;
mod blocking;
mod copy;
mod cursor;
mod dir;
mod facts;
mod file;
mod fixed;
mod lent;
mod list;
mod make_dir;
mod names;
mod options;
mod registry;
mod ring;
mod running;
mod whole;

pub use annulus_rt::fs::{
    Advice, AllocateMode, DirectAlignment, FileTimes, FileType, Metadata, RenameMode, Resolve, RwFlags,
};
pub use atomic::{AtomicFile, write_atomic};
pub use attributes::{set_permissions, set_times};
pub use copy::copy;
pub use cursor::Cursor;
pub use dir::Dir;
pub use facts::{metadata, statx, symlink_metadata, try_exists};
pub use file::File;
pub use list::{DirEntry, ReadDir, read_dir};
pub use make_dir::{DirBuilder, create_dir, create_dir_all};
pub use names::{
    canonicalize, hard_link, read_link, remove_dir, remove_dir_all, remove_file, rename, rename_with, symlink,
};
pub use options::OpenOptions;
pub use whole::{read, read_to_string, write};
