//! io_uring in user space: the kernel's side of the rings as a library of the same process.
//!
//! It takes the same 64-byte entries from the same ring memory and posts the same completions, so that
//! nothing above the `annulus` crate changes where io_uring is forbidden or absent. It presents itself as Linux 6.18 wherever it
//! runs, and needs no system call of io_uring's. Programs get it by `annulus`: `BackendChoice::Engine`, or
//! `ANNULUS_BACKEND=engine`, or because the kernel refuses. [`support`] says what it honours, form by form.
//!
//! ```
//! use std::io::Write;
//! use std::os::fd::AsRawFd;
//!
//! use annulus::{IoUring, cqueue, opcode, types};
//! use annulus_abi::Params;
//! use annulus_engine::Engine;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (reader, mut writer) = std::io::pipe()?;
//! let mut bytes = [0; 4];
//!
//! let mut ring = IoUring::from_backend(Box::new(Engine::new(8, Params::default())?))?;
//! let read = opcode::Read::new(types::Fd(reader.as_raw_fd()), bytes.as_mut_ptr(), 4).build().user_data(1);
//! // Sound, as the bytes stay where they are until the read has completed.
//! unsafe { ring.submission().push(&read)? };
//! ring.submit()?; // Nothing to read yet: the request waits for the pipe, without a thread.
//!
//! writer.write_all(b"ring")?;
//! ring.submit_and_wait(1)?; // This thread is told of the pipe, reads, and posts the completion.
//! let cqe: cqueue::Entry = ring.completion().next().expect("one completion");
//! assert_eq!((cqe.user_data(), cqe.result(), &bytes), (1, 4, b"ring"));
//! # Ok(()) }
//! ```
//!
//! # How a request goes
//!
//! `Backend::enter` takes the ring's lock, and entries out of the queue. Each is checked against the opcode table, and prepared:
//! what it points to and the kernel would copy is copied, so that the program may forget it. Unless links or a
//! drain hold it back (the scheduler decides that, without clock or thread) it is attempted at once, in a way that cannot wait (`RWF_NOWAIT`,
//! `MSG_DONTWAIT`, a look with poll(2) first). If there is nothing to be had, one of three follows:
//!
//! - the file can be watched: the request takes a reference of its own to the file and is attempted again when epoll(7) says so;
//! - it reads or writes past the page cache: Linux AIO does that without a thread, where it can;
//! - it is a matter for a thread that may block: a worker of the pool has it, and a signal ends its system call if the request is
//!   cancelled.
//!
//! Then the completion goes to the queue, or to a backlog if that is full; nothing is dropped.
//!
//! # Threads
//!
//! The thread that waits in `enter` serves what becomes ready itself. The engine's own threads are named `annulus-*`:
//!
//! | Thread | When | At most |
//! |---|---|---|
//! | `annulus-poll` | requests wait and nobody has entered to wait for a millisecond; never on a ring of `DEFER_TASKRUN` that nobody can be told of | 1 for a ring |
//! | workers, bounded | files and block devices | 4 for each processor |
//! | workers, unbounded | what may wait for ever and cannot be watched | 256 |
//! | `annulus-futex` | a futex is waited for | 256 for a ring (`ENOMEM`) |
//! | `annulus-sq` | `IORING_SETUP_SQPOLL` | 1 for a ring |
//! | the keeper of a personality | it is registered | 1 for a personality, whose workers are apart |
//!
//! `IORING_REGISTER_IOWQ_MAX_WORKERS` changes the limits of workers, `IORING_SETUP_ATTACH_WQ` shares them. Workers without work
//! end after five seconds. A ring whose requests wait uses no processor time, and ten thousand that can be watched take no worker at all.
//!
//! # What is different from the kernel
//!
//! - **Descriptors.** A request that waits holds its file by a duplicate of the descriptor, which counts towards `RLIMIT_NOFILE`: without
//!   one left it ends with `EMFILE`. Registered files are held once. The engine's own descriptors are numbers of the process too: a
//!   program that closes numbers that it was never given (close_range(2) over all) closes them, and its rings with them.
//! - **The ring's descriptor** is an epoll(7) set that is readable while completions wait; it can be polled and put into other
//!   sets, and nothing else. It is of no use to another process. A forked child inherits no threads: the ring remains its parent's.
//!   Between the program's taking of the last completion and its next enter it may still be readable, unless the program's side
//!   tells (`Backend::consumed`), as that of `annulus` does.
//! - **Registered buffers** are not pinned, and nothing is charged to `RLIMIT_MEMLOCK`. Memory that is unmapped while it is
//!   registered answers `EFAULT`; memory that was mapped there anew is used.
//! - **Zero-copy sends** copy. The notification follows the result at once, and says so if it was asked to.
//! - **Drains** hold back what the manual says. What Linux since 6.16 holds back beyond that, and what can make two requests wait for each
//!   other for ever, is not imitated.
//! - **Credentials.** Requests run with those of the thread that carries them out: the one that enters, or a worker, which has
//!   those of the thread that it was started by. A personality is a pool of workers with the credentials that were
//!   registered.
//! - **Priorities** (`ioprio`) are those of the worker for the length of the call. An attempt that needs no device has none.
//! - **`IOPOLL`**: workers poll, by `RWF_HIPRI`, and completions appear when the ring is entered.
//! - **Workers** are the ring's; the kernel's are the thread's. Rings with `ATTACH_WQ` share workers, not a polling thread.
//! - **`MSG_RING`** and `ATTACH_WQ` reach the engine's rings of this process, no others.
//! - **accept(2) and connect(2)** have no way to be told not to wait: a socket without `O_NONBLOCK` gets the flag for the length of the call. A thread
//!   of the program that calls the same socket at that moment may see `EAGAIN`.
//! - **Children.** The end of one child is watched for; `WAITID` for any, or for a stop, takes a worker.
//! - **One signal** is taken: the highest real-time signal whose disposition is the default when the first worker starts.
//! - **A system call is what the machine has.** Flags and calls that the kernel beneath lacks (`RWF_ATOMIC`, `futex_waitv(2)`) are
//!   refused with its answer, though the engine presents itself as 6.18.
//!
//! What has no meaning outside the kernel answers as on a kernel built without it and is not named by PROBE: `RECV_ZC`, commands of devices
//! (`URING_CMD`), NAPI.

mod buffers;
mod core;
mod engine;
mod files;
mod fork;
mod mailbox;
mod op;
mod pool;
mod register;
mod request;
mod scheduler;
mod setup;
mod shared;
pub mod support;
mod timer;
mod world;

pub use engine::Engine;
