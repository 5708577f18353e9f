//! What is done to files by their names. Paths start from the working directory unless
//! `at` names another.
#![allow(unsafe_code, reason = "names paths that the operation owns")]

use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::{Directory, Operation};
use crate::types::{self, OpenHow};
use crate::{cqueue, opcode, squeue};

/// Opens a file: openat2(2). A descriptor that comes when nobody wants it any more is closed.
#[derive(Debug)]
pub struct Open {
    directory: Directory,
    path: CString,
    flags: u64,
    mode: u64,
    resolve: u64,
    how: OpenHow,
}

impl Open {
    /// Opens `path` for reading, with `O_CLOEXEC`.
    pub fn new(path: impl Into<CString>) -> Self {
        let path = path.into();
        let flags = open_flags(libc::O_RDONLY);
        Self { directory: Directory::working(), path, flags, mode: 0, resolve: 0, how: OpenHow::new() }
    }

    /// Starts from this directory.
    #[must_use]
    pub fn at(mut self, directory: impl Into<Directory>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Sets `O_*`; `O_CLOEXEC` is added.
    #[must_use]
    pub fn flags(mut self, flags: i32) -> Self {
        self.flags = open_flags(flags);
        self
    }

    /// Sets the permission bits of a file that is created.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = u64::from(mode);
        self
    }

    /// Sets `RESOLVE_*`: what the path may do on its way.
    #[must_use]
    pub fn resolve(mut self, resolve: u64) -> Self {
        self.resolve = resolve;
        self
    }
}

fn open_flags(flags: i32) -> u64 {
    u64::from((flags | libc::O_CLOEXEC).cast_unsigned())
}

// SAFETY: the entry names the path and the description, which the value owns.
unsafe impl Operation for Open {
    type Output = Result<OwnedFd, Errno>;

    fn entry(&mut self) -> squeue::Entry {
        self.how = OpenHow::new().flags(self.flags).mode(self.mode).resolve(self.resolve);
        opcode::OpenAt2::new(self.directory.as_target(), self.path.as_ptr(), &raw const self.how).build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        // SAFETY: the completion gives a new descriptor, to us alone.
        cqe.to_result().map(|fd| unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) })
    }
}

/// Asks about a file: statx(2).
pub struct Statx {
    directory: Directory,
    path: CString,
    flags: i32,
    mask: u32,
    answer: Box<rustix::fs::Statx>,
}

impl Statx {
    /// Asks for the basic facts about `path`.
    pub fn new(path: impl Into<CString>) -> Self {
        // SAFETY: the structure is integers and reserved space, all valid when zero.
        let answer = Box::new(unsafe { std::mem::zeroed() });
        let mask = libc::STATX_BASIC_STATS;
        Self { directory: Directory::working(), path: path.into(), flags: 0, mask, answer }
    }

    /// Starts from this directory. An empty path with `AT_EMPTY_PATH` asks about it itself.
    #[must_use]
    pub fn at(mut self, directory: impl Into<Directory>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Sets `AT_*`.
    #[must_use]
    pub fn flags(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }

    /// Sets `STATX_*`: what to find out.
    #[must_use]
    pub fn mask(mut self, mask: u32) -> Self {
        self.mask = mask;
        self
    }
}

// SAFETY: the entry names the path and the place for the answer, which the value owns and leaves alone.
unsafe impl Operation for Statx {
    type Output = Result<Box<rustix::fs::Statx>, Errno>;

    fn entry(&mut self) -> squeue::Entry {
        let place = (&raw mut *self.answer).cast::<types::statx>();
        opcode::Statx::new(self.directory.as_target(), self.path.as_ptr(), place)
            .flags(self.flags)
            .mask(self.mask)
            .build()
    }

    unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
        cqe.to_result().map(|_| self.answer)
    }
}

impl std::fmt::Debug for Statx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statx").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Defines an operation on one path, or on two, that gives nothing but success.
macro_rules! path_operation {
    (
        $(#[$doc:meta])*
        pub struct $Op:ident { $($field:ident: $Field:ty),* $(,)? }
        entry($self:ident) $entry:block
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $Op { $( $field: $Field, )* }

        // SAFETY: the entry names the paths, which the value owns.
        unsafe impl Operation for $Op {
            type Output = Result<(), Errno>;

            fn entry(&mut $self) -> squeue::Entry $entry

            unsafe fn complete(self, cqe: &cqueue::Entry) -> Self::Output {
                cqe.to_result().map(drop)
            }
        }
    };
}

path_operation! {
    /// Removes a file, or an empty directory: unlinkat(2).
    pub struct Unlink { path: CString, directory: Directory, flags: i32 }
    entry(self) {
        opcode::UnlinkAt::new(self.directory.as_target(), self.path.as_ptr()).flags(self.flags).build()
    }
}

impl Unlink {
    /// Removes the name of a file.
    pub fn file(path: impl Into<CString>) -> Self {
        Self { path: path.into(), directory: Directory::working(), flags: 0 }
    }

    /// Removes an empty directory.
    pub fn directory(path: impl Into<CString>) -> Self {
        Self { path: path.into(), directory: Directory::working(), flags: libc::AT_REMOVEDIR }
    }

    /// Starts from this directory.
    #[must_use]
    pub fn at(mut self, directory: impl Into<Directory>) -> Self {
        self.directory = directory.into();
        self
    }
}

path_operation! {
    /// Makes a directory: mkdirat(2).
    pub struct MakeDir { path: CString, directory: Directory, mode: u32 }
    entry(self) {
        opcode::MkDirAt::new(self.directory.as_target(), self.path.as_ptr()).mode(self.mode).build()
    }
}

impl MakeDir {
    /// Makes `path`, with all the permissions that the umask leaves.
    pub fn new(path: impl Into<CString>) -> Self {
        Self { path: path.into(), directory: Directory::working(), mode: 0o777 }
    }

    /// Starts from this directory.
    #[must_use]
    pub fn at(mut self, directory: impl Into<Directory>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Sets the permission bits, from which the umask is taken away.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
}

path_operation! {
    /// Renames or moves a file: renameat2(2).
    pub struct Rename {
        from: CString,
        from_directory: Directory,
        to: CString,
        to_directory: Directory,
        flags: u32,
    }
    entry(self) {
        opcode::RenameAt::new(
            self.from_directory.as_target(),
            self.from.as_ptr(),
            self.to_directory.as_target(),
            self.to.as_ptr(),
        )
        .flags(self.flags)
        .build()
    }
}

impl Rename {
    /// Renames `from` to `to`.
    pub fn new(from: impl Into<CString>, to: impl Into<CString>) -> Self {
        let (from_directory, to_directory) = (Directory::working(), Directory::working());
        Self { from: from.into(), from_directory, to: to.into(), to_directory, flags: 0 }
    }

    /// Starts from these directories.
    #[must_use]
    pub fn at(mut self, from: impl Into<Directory>, to: impl Into<Directory>) -> Self {
        (self.from_directory, self.to_directory) = (from.into(), to.into());
        self
    }

    /// Sets `RENAME_*`.
    #[must_use]
    pub fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }
}

path_operation! {
    /// Gives a file another name: linkat(2).
    pub struct HardLink {
        of: CString,
        of_directory: Directory,
        path: CString,
        directory: Directory,
        flags: i32,
    }
    entry(self) {
        opcode::LinkAt::new(
            self.of_directory.as_target(),
            self.of.as_ptr(),
            self.directory.as_target(),
            self.path.as_ptr(),
        )
        .flags(self.flags)
        .build()
    }
}

impl HardLink {
    /// Makes `path` a name of `of`.
    pub fn new(of: impl Into<CString>, path: impl Into<CString>) -> Self {
        let (of_directory, directory) = (Directory::working(), Directory::working());
        Self { of: of.into(), of_directory, path: path.into(), directory, flags: 0 }
    }

    /// Starts from these directories. An empty `of` with `AT_EMPTY_PATH` is what the first of them is itself.
    #[must_use]
    pub fn at(mut self, of: impl Into<Directory>, path: impl Into<Directory>) -> Self {
        (self.of_directory, self.directory) = (of.into(), path.into());
        self
    }

    /// Sets `AT_SYMLINK_FOLLOW`, `AT_EMPTY_PATH`.
    #[must_use]
    pub fn flags(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }
}

path_operation! {
    /// Makes a symbolic link: symlinkat(2).
    pub struct Symlink { target: CString, path: CString, directory: Directory }
    entry(self) {
        opcode::SymlinkAt::new(self.directory.as_target(), self.target.as_ptr(), self.path.as_ptr()).build()
    }
}

impl Symlink {
    /// Makes `path` a link that says `target`.
    pub fn new(target: impl Into<CString>, path: impl Into<CString>) -> Self {
        Self { target: target.into(), path: path.into(), directory: Directory::working() }
    }

    /// Starts from this directory.
    #[must_use]
    pub fn at(mut self, directory: impl Into<Directory>) -> Self {
        self.directory = directory.into();
        self
    }
}
