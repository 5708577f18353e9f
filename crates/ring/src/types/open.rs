//! How to open a file, and the stand-ins for two C structures.

/// How to open a file (`struct open_how`, openat2(2)).
///
/// ```
/// use annulus::types::OpenHow;
///
/// // Read-only, and never out of the directory that the path starts from.
/// const BENEATH: OpenHow =
///     OpenHow::new().flags(libc::O_RDONLY as u64).resolve(libc::RESOLVE_BENEATH);
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

impl OpenHow {
    /// Everything zero: `O_RDONLY`.
    #[must_use]
    pub const fn new() -> Self {
        Self { flags: 0, mode: 0, resolve: 0 }
    }

    /// Sets `O_*`. Unknown bits are an error (`EINVAL`), unlike with openat(2).
    #[must_use]
    pub const fn flags(mut self, flags: u64) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the permission bits of a file that is created; must be zero unless `O_CREAT` or `O_TMPFILE`
    /// is given (`EINVAL`).
    #[must_use]
    pub const fn mode(mut self, mode: u64) -> Self {
        self.mode = mode;
        self
    }

    /// Sets `RESOLVE_*`: what the path may do on its way. `EXDEV` and `ELOOP` tell that it tried.
    #[must_use]
    pub const fn resolve(mut self, resolve: u64) -> Self {
        self.resolve = resolve;
        self
    }
}

/// Stands for `struct statx`, whose definition libc has (for some C libraries only): cast the address of
/// yours, at least 256 bytes, to `*mut` this.
#[allow(non_camel_case_types, reason = "programs know it by its C name")]
#[allow(missing_debug_implementations, reason = "opaque: only its address is used")]
#[repr(C)]
pub struct statx {
    _opaque: (),
}

/// Stands for [`libc::epoll_event`]: cast the address of yours to a pointer to this.
#[allow(non_camel_case_types, reason = "programs know it by its C name")]
#[allow(missing_debug_implementations, reason = "opaque: only its address is used")]
#[repr(C)]
pub struct epoll_event {
    _opaque: (),
}

const _: () = assert!(size_of::<OpenHow>() == 24);
