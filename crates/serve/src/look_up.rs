//! From a target to what it names beneath the root: a file, one of its precompressed siblings, a folder's index, or its
//! listing.
//!
//! It answers nothing itself: it finds out, and `annulus_http` decides. What it keeps true: every path is opened with
//! `openat2(RESOLVE_BENEATH)` on the ring, and what is then sent is what was opened and looked at, whatever happens to the name
//! meanwhile.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use annulus_http::{
    Coding, Facts, Failure, FieldValue, Kind, Mtime, Page, Plan, RequestHead, Target, Timestamp,
    content_type_of, is_compressible, preferred_codings, respond, respond_failure, respond_file,
    respond_page,
};
use annulus_rt::fs::{File, Metadata};

use crate::clock::wall;
use crate::folder;
use crate::listing;
use crate::shard::Shard;

/// The file that is shown instead of a folder's listing.
const INDEX: &[u8] = b"index.html";

/// The most entries of one folder that are listed: a page of a few megabytes.
const MOST_ENTRIES: usize = 10_000;

/// How often a path is resolved again when something on it was renamed meanwhile (`EAGAIN` of openat2(2)).
const RACES: usize = 8;

/// What a target names.
pub(crate) enum Found {
    /// A file, or something else that is decided by its facts alone.
    Named(Option<File>, Facts<'static>),
    /// The index of the folder that was asked for.
    Index(File, Facts<'static>),
    /// The listing of the folder that was asked for. The plan takes it.
    Listing(Cell<String>),
    /// Nothing that can be sent.
    Failed(Failure),
}

impl Found {
    /// What is to be answered.
    pub(crate) fn plan<'a>(
        &'a self,
        head: &RequestHead<'_>,
        target: &Target<'_>,
        shard: &'a Shard,
    ) -> Plan<'a> {
        let now = || Timestamp::from_system_time(wall());
        match self {
            Self::Named(_, facts) => respond(head, target, facts, &shard.parts.policy, now()),
            Self::Index(_, facts) => respond_file(head, facts, &shard.parts.policy, now()),
            Self::Failed(failure) => respond_failure(head, *failure, &shard.parts.policy),
            Self::Listing(html) => {
                let page = Page {
                    content_type: const { FieldValue::from_static("text/html; charset=utf-8") },
                    body: html.take().into_bytes().into(),
                    vary: None,
                };
                let mut plan = respond_page(head, page, &shard.parts.policy);
                plan.head.extra = &shard.parts.listing_fields;
                plan
            }
        }
    }

    /// Where the slices of the plan are read from.
    pub(crate) const fn file(&self) -> Option<&File> {
        match self {
            Self::Named(file, _) => file.as_ref(),
            Self::Index(file, _) => Some(file),
            Self::Listing(_) | Self::Failed(_) => None,
        }
    }
}

impl Shard {
    /// Finds out what `target` names.
    pub(crate) async fn look_up(&self, head: &RequestHead<'_>, target: &Target<'_>) -> Found {
        self.find(head, target).await.unwrap_or_else(Found::Failed)
    }

    async fn find(&self, head: &RequestHead<'_>, target: &Target<'_>) -> Result<Found, Failure> {
        let path = target.open_path();
        let (file, facts) = self.open(path, target.file_name().unwrap_or_default()).await?;
        match facts.kind {
            Kind::File if !target.has_trailing_slash() => {
                let (file, facts) = self.negotiate(head, path, file, facts).await?;
                Ok(Found::Named(Some(file), facts))
            }
            Kind::Directory if target.has_trailing_slash() => {
                drop(file);
                self.folder(head, path).await
            }
            Kind::File | Kind::Directory | Kind::Other => Ok(Found::Named(None, facts)),
        }
    }

    /// The index of a folder, if there is one, or else its listing.
    async fn folder(&self, head: &RequestHead<'_>, path: &[u8]) -> Result<Found, Failure> {
        let index = [path, b"/", INDEX].concat();
        match self.open(&index, INDEX).await {
            Ok((file, facts)) if facts.kind == Kind::File => {
                let (file, facts) = self.negotiate(head, &index, file, facts).await?;
                return Ok(Found::Index(file, facts));
            }
            Ok(_) | Err(Failure::NotFound) => {}
            Err(failure) => return Err(failure),
        }
        let (root, path) = (Arc::clone(&self.parts.root), path.to_owned());
        let (visible, beneath) = (self.parts.visible, self.parts.beneath);
        let page = annulus_rt::spawn_blocking(move || {
            let folder = folder::read(root.as_fd(), &path, visible, beneath, MOST_ENTRIES)?;
            let shown: &[u8] = if path == b"." { b"" } else { &path };
            let page = if folder.cut_short { listing::page_cut_short } else { listing::page };
            Ok::<_, rustix::io::Errno>(page(shown, folder.entries))
        });
        match page.await {
            Ok(Ok(html)) => Ok(Found::Listing(Cell::new(html))),
            Ok(Err(errno)) => Err(Failure::from_errno(errno.raw_os_error())),
            // The pool is full, or the server is ending.
            Err(_) => Err(Failure::Busy),
        }
    }

    /// The best precompressed sibling that the client accepts, or the file itself.
    async fn negotiate(
        &self,
        head: &RequestHead<'_>,
        path: &[u8],
        file: File,
        facts: Facts<'static>,
    ) -> Result<(File, Facts<'static>), Failure> {
        if !is_compressible(&facts.content_type) {
            return Ok((file, facts));
        }
        let mut siblings = Vec::new();
        for coding in Coding::ALL {
            let sibling = [path, coding.suffix().as_bytes()].concat();
            match self.open(&sibling, b"").await {
                Ok((file, found)) if found.kind == Kind::File => siblings.push((coding, file, found)),
                Ok(_) | Err(Failure::NotFound | Failure::Forbidden) => {}
                Err(failure) => return Err(failure),
            }
        }
        let negotiated = !siblings.is_empty();
        for wanted in preferred_codings(&head.headers) {
            if let Some(at) = siblings.iter().position(|(coding, _, _)| *coding == wanted) {
                let (coding, sibling, found) = siblings.swap_remove(at);
                let content_type = facts.content_type;
                let facts = Facts { content_type, coding: Some(coding), negotiated, ..found };
                return Ok((sibling, facts));
            }
        }
        Ok((file, Facts { negotiated, ..facts }))
    }

    /// Opens what stands at `path`, and looks at it. Its content type is that of files called `name`.
    async fn open(&self, path: &[u8], name: &[u8]) -> Result<(File, Facts<'static>), Failure> {
        let mut races = 0;
        let file = loop {
            match self.directory.open_with(OsStr::from_bytes(path), &self.parts.options).await {
                Ok(file) => break file,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && races < RACES => races += 1,
                Err(error) => return Err(failure(&error)),
            }
        };
        let metadata = file.metadata().await.map_err(|error| failure(&error))?;
        Ok((file, facts(&metadata, name)))
    }
}

fn failure(error: &io::Error) -> Failure {
    // An error without a number is the runtime's own: it has as much in flight as it may.
    error.raw_os_error().map_or(Failure::Busy, Failure::from_errno)
}

fn facts(metadata: &Metadata, name: &[u8]) -> Facts<'static> {
    if metadata.is_dir() {
        return Facts::directory();
    }
    let kind = if metadata.is_file() { Kind::File } else { Kind::Other };
    let changed = metadata.modified_ns();
    let mtime = Mtime {
        seconds: i64::try_from(changed.div_euclid(1_000_000_000)).unwrap_or(0),
        nanoseconds: u32::try_from(changed.rem_euclid(1_000_000_000)).unwrap_or(0),
    };
    Facts { kind, ..Facts::file(metadata.len(), mtime, metadata.inode(), content_type_of(name)) }
}
