//! What the operator decides, and what is known about a file: the two inputs of a decision beside the request.

use crate::content_type::is_html;
use crate::encoding::Coding;
use crate::etag::{ETag, Mtime};
use crate::field::{Field, FieldValue};

/// `Cache-Control` by kind of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRules {
    /// For HTML, and for pages made in memory.
    pub html: FieldValue<'static>,
    /// For all other files.
    pub files: FieldValue<'static>,
    /// For images derived from others, whose address changes when the original does. The caller says which files those
    /// are, by [`Facts::cache_control`].
    pub derived: FieldValue<'static>,
}

impl Default for CacheRules {
    /// `no-cache`, `max-age=3600`, and a year for derived images.
    fn default() -> Self {
        Self {
            html: FieldValue::from_static("no-cache"),
            files: FieldValue::from_static("max-age=3600"),
            derived: FieldValue::from_static("max-age=31536000, immutable"),
        }
    }
}

/// How the operator wants files served. One for the life of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether names that begin with a dot are served; otherwise they are answered as if they did not exist.
    pub serve_hidden: bool,
    /// Whether the inode is part of entity tags. Switch it off where several machines serve copies of the same files.
    pub inode_in_etag: bool,
    /// `Cache-Control`
    pub cache: CacheRules,
    /// `Retry-After` on 503, in seconds.
    pub retry_after_s: u32,
    /// Goes into the boundaries of multipart bodies; best a random number drawn when the server starts.
    pub boundary_seed: u64,
    /// Headers for every response.
    pub extra: Vec<Field>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            serve_hidden: false,
            inode_in_etag: true,
            cache: CacheRules::default(),
            retry_after_s: 2,
            boundary_seed: 0,
            extra: Vec::new(),
        }
    }
}

/// What kind of thing the target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A socket, a fifo or a device: never served, since reading it may block for ever.
    Other,
}

/// What `statx(2)` and the file's name tell: all that a decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes, as it is now.
    pub size: u64,
    /// When it was changed.
    pub mtime: Mtime,
    /// Its inode number.
    pub inode: u64,
    /// The type of what it holds once decoded: by the name asked for, not by that of a precompressed sibling.
    pub content_type: FieldValue<'a>,
    /// The coding, if this is a precompressed sibling.
    pub coding: Option<Coding>,
    /// Whether `Accept-Encoding` had a say, also if it chose the file itself: then `Vary` is sent.
    pub negotiated: bool,
    /// `Cache-Control` instead of the policy's rule by type.
    pub cache_control: Option<FieldValue<'a>>,
}

impl<'a> Facts<'a> {
    /// A regular file, served as it is.
    #[must_use]
    pub const fn file(size: u64, mtime: Mtime, inode: u64, content_type: FieldValue<'a>) -> Self {
        Self {
            kind: Kind::File,
            size,
            mtime,
            inode,
            content_type,
            coding: None,
            negotiated: false,
            cache_control: None,
        }
    }

    /// A directory, of which only that it is one matters.
    #[must_use]
    pub fn directory() -> Self {
        let no_type = const { FieldValue::from_static("application/octet-stream") };
        Self { kind: Kind::Directory, ..Self::file(0, Mtime::default(), 0, no_type) }
    }

    pub(crate) fn etag(&self, policy: &Policy) -> ETag {
        let inode = policy.inode_in_etag.then_some(self.inode);
        ETag::of_file(self.mtime, self.size, inode, self.coding)
    }

    pub(crate) fn caching<'f>(&'f self, policy: &'f Policy) -> FieldValue<'f> {
        let by_type = if is_html(&self.content_type) { &policy.cache.html } else { &policy.cache.files };
        self.cache_control.as_ref().unwrap_or(by_type).borrowed()
    }
}

/// Why a file that was asked for cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// There is none, or none that may be reached from the root: 404.
    NotFound,
    /// The server may not read it: 403.
    Forbidden,
    /// Descriptors, memory or time ran out: 503 with `Retry-After`.
    Busy,
    /// The file system failed: 500.
    Broken,
}

impl Failure {
    /// From the errno of `openat2(2)`, `statx(2)` or `read(2)` in Linux's generic numbering, that of x86, Arm,
    /// RISC-V, PowerPC and s390.
    ///
    /// A symbolic link that leaves the root (`EXDEV`) or is not to be followed (`ELOOP`) is not found: what lies
    /// outside is not told apart from what does not exist.
    ///
    /// ```
    /// use annulus_http::Failure;
    ///
    /// assert_eq!(Failure::from_errno(36), Failure::NotFound, "ENAMETOOLONG");
    /// assert_eq!(Failure::from_errno(24), Failure::Busy, "EMFILE");
    /// ```
    #[must_use]
    pub const fn from_errno(errno: i32) -> Self {
        const EPERM: i32 = 1;
        const ENOENT: i32 = 2;
        const EINTR: i32 = 4;
        const ENXIO: i32 = 6;
        const EAGAIN: i32 = 11;
        const ENOMEM: i32 = 12;
        const EACCES: i32 = 13;
        const EBUSY: i32 = 16;
        const EXDEV: i32 = 18;
        const ENODEV: i32 = 19;
        const ENOTDIR: i32 = 20;
        const EISDIR: i32 = 21;
        const EINVAL: i32 = 22;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const ETXTBSY: i32 = 26;
        const ENAMETOOLONG: i32 = 36;
        const ELOOP: i32 = 40;
        const ESTALE: i32 = 116;
        match errno {
            ENOENT | ENOTDIR | EISDIR | ENAMETOOLONG | ELOOP | EXDEV => Self::NotFound,
            // A name that this file system cannot hold, a device without a driver, a file gone from a network share.
            EINVAL | ENXIO | ENODEV | ESTALE => Self::NotFound,
            EPERM | EACCES => Self::Forbidden,
            EINTR | EAGAIN | ENOMEM | EBUSY | ENFILE | EMFILE | ETXTBSY => Self::Busy,
            _ => Self::Broken,
        }
    }
}
