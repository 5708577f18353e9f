//! The file that is read from: found or written, in the page cache or past it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags, fadvise};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::block::{Area, BLOCK, Block, stamp};
use crate::BenchError;
use crate::report::Fault;

/// What is read from, as a measuring process is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(super) path: PathBuf,
    /// Whole blocks in it.
    pub(super) blocks: u64,
    /// Whether each begins with its number.
    pub(super) stamped: bool,
}

/// A subject, and the file that goes with it if it is a temporary one.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) subject: Subject,
    _temporary: Option<NamedTempFile>,
}

impl Opened {
    /// A file that is there.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`] if it cannot be opened, [`BenchError::FileTooSmall`] if it has no block.
    pub(super) fn existing(path: &Path) -> Result<Self, BenchError> {
        let failed = |source| BenchError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
        }
        let (bytes, path) = (metadata.len(), path.to_owned());
        match bytes / u64::from(BLOCK) {
            0 => Err(BenchError::FileTooSmall { path, bytes }),
            blocks => Ok(Self { subject: Subject { path, blocks, stamped: false }, _temporary: None }),
        }
    }

    /// A file of our own, written through to the device so that reads find its blocks there.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`] if it cannot be made (`ENOENT`, `EACCES`) or written (`ENOSPC`).
    pub(super) fn temporary(directory: Option<&Path>, size_mib: u32) -> Result<Self, BenchError> {
        let directory = directory.map_or_else(std::env::temp_dir, Path::to_owned);
        let failed = |source| BenchError::File { path: directory.clone(), source };
        let temporary =
            tempfile::Builder::new().prefix("annulus-bench-").tempfile_in(&directory).map_err(failed)?;
        let blocks = u64::from(size_mib) * (1 << 20) / u64::from(BLOCK);
        write(temporary.as_file(), blocks).map_err(failed)?;
        let subject = Subject { path: temporary.path().to_owned(), blocks, stamped: true };
        Ok(Self { subject, _temporary: Some(temporary) })
    }
}

impl Subject {
    /// Opens the file for reading, past the page cache or not.
    ///
    /// # Errors
    ///
    /// `EINVAL` from file systems that do not read past the page cache, and what else open(2) says.
    pub(super) fn open(&self, direct: bool) -> io::Result<File> {
        let flags = if direct { OFlags::DIRECT } else { OFlags::empty() };
        OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&self.path)
    }

    /// Tries a read past the page cache.
    ///
    /// # Errors
    ///
    /// What to tell the user, if this file system does not do that.
    pub(super) fn direct_refusal(&self) -> Result<(), String> {
        let area = Area { blocks: self.blocks, stamped: self.stamped };
        let read = self.open(true).and_then(|file| area.pread(&file, 0, &mut Block::new()));
        read.map_err(|error| {
            let path = self.path.display();
            format!("O_DIRECT does not work on the file system of {path} ({error}); name another with --dir or --file")
        })
    }

    /// Reads the whole file, so that it is in the page cache.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub(super) fn read_all(&self) -> Result<(), Fault> {
        let mut file = self.open(false)?;
        let mut chunk = vec![0; 1 << 20];
        while file.read(&mut chunk)? > 0 {}
        Ok(())
    }

    /// Takes the file out of the page cache, so that reads past it have nothing to compare with.
    pub(super) fn evict(&self) {
        // Advice: a kernel that does not take it reads past the cache all the same.
        let _ = self.open(false).map(|file| fadvise(&file, 0, None, Advice::DontNeed));
    }
}

fn write(file: &File, blocks: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut block = Block::new();
    for number in 0..blocks {
        block.0[..8].copy_from_slice(&stamp(number));
        out.write_all(&block.0)?;
    }
    out.flush()?;
    drop(out);
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_has_its_size_and_goes_with_the_run() {
        let opened = Opened::temporary(None, 2).unwrap();
        let path = opened.subject.path.clone();
        assert_eq!((opened.subject.blocks, opened.subject.stamped), (512, true));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 << 20);
        opened.subject.read_all().unwrap();
        drop(opened);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_there_is_read_without_stamps_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        std::fs::write(&path, vec![7; 10_000]).unwrap();
        let opened = Opened::existing(&path).unwrap();
        assert_eq!((opened.subject.blocks, opened.subject.stamped), (2, false));
        drop(opened);
        assert_eq!(std::fs::read(&path).unwrap(), vec![7; 10_000]);
    }

    #[test]
    fn what_cannot_be_read_from_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Opened::existing(&directory.path().join("missing")).unwrap_err();
        assert!(missing.to_string().contains("missing: No such file"), "{missing}");
        let folder = Opened::existing(directory.path()).unwrap_err();
        assert!(folder.to_string().contains("not a regular file"), "{folder}");
        let small = directory.path().join("small");
        std::fs::write(&small, "text").unwrap();
        let small = Opened::existing(&small).unwrap_err();
        assert!(matches!(small, BenchError::FileTooSmall { bytes: 4, .. }), "{small}");
        let nowhere = Opened::temporary(Some(&directory.path().join("no/where")), 1).unwrap_err();
        assert!(nowhere.to_string().contains("no/where: No such file"), "{nowhere}");
    }

    #[test]
    fn a_file_system_without_direct_reads_is_named_with_what_to_do() {
        // Files of procfs cannot be read past a page cache, as they have none.
        let subject = Subject { path: "/proc/self/status".into(), blocks: 1, stamped: false };
        let reason = subject.direct_refusal().unwrap_err();
        assert!(
            reason.starts_with("O_DIRECT does not work on the file system of /proc/self/status"),
            "{reason}"
        );
        assert!(reason.ends_with("name another with --dir or --file"), "{reason}");
    }
}
