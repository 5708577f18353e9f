//! What there is in a directory, as entries for the listing.
//!
//! Blocking calls: it runs on a thread that may wait, never on a shard's own. What it keeps true: an entry is shown only
//! if asking for it would be answered, so nothing hidden, no symbolic link that is not followed or leads nowhere or out
//! of the root, no device; and a folder of a million names costs a bounded page.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::listing::{Entry, Kind};

/// Which names count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visible {
    /// Those that begin with a dot too.
    pub(crate) hidden: bool,
    /// Symbolic links too, if they stay beneath the root.
    pub(crate) symlinks: bool,
}

/// What there is in a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Folder {
    /// The entries, in the order in which the file system has them.
    pub(crate) entries: Vec<Entry>,
    /// Whether there are more than these.
    pub(crate) cut_short: bool,
}

/// The entries of `path` beneath `root`, up to `most` of them.
///
/// # Errors
/// What opening and reading the directory said: `EMFILE` and `ENFILE` without a descriptor to spare, `EACCES` without
/// the right to read it, `EIO` from the device.
pub(crate) fn read(
    root: BorrowedFd<'_>,
    path: &[u8],
    visible: Visible,
    beneath: ResolveFlags,
    most: usize,
) -> Result<Folder, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = Dir::new(rustix::fs::openat2(root, path, flags, Mode::empty(), beneath)?)?;
    let mut folder = Folder::default();
    while let Some(found) = directory.read() {
        let found = found?;
        let name = found.file_name().to_bytes();
        if matches!(name, b"." | b"..") || (name.starts_with(b".") && !visible.hidden) {
            continue;
        }
        // What is gone again, or may not be looked at, is left out.
        let Some(entry) = entry(root, directory.fd()?, path, name, visible, beneath) else { continue };
        if folder.entries.len() == most {
            folder.cut_short = true;
            break;
        }
        folder.entries.push(entry);
    }
    Ok(folder)
}

fn entry(
    root: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    path: &[u8],
    name: &[u8],
    visible: Visible,
    beneath: ResolveFlags,
) -> Option<Entry> {
    let mut stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        if !visible.symlinks {
            return None;
        }
        // From the root, so that a link up and down again within it is followed, and one out of it is not.
        let target = [path, b"/", name].concat();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let target = rustix::fs::openat2(root, target, flags, Mode::empty(), beneath).ok()?;
        stat = rustix::fs::fstat(target.as_fd()).ok()?;
    }
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Folder,
        FileType::RegularFile => Kind::File,
        _ => return None,
    };
    Some(Entry {
        name: OsStr::from_bytes(name).to_owned(),
        kind,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: modified(&stat),
    })
}

/// The time of the last change; `None` before 1970, which no camera has seen.
fn modified(stat: &Stat) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(stat.st_mtime).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    fn names(visible: Visible, path: &str) -> Vec<(String, Kind)> {
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("secret"), "s").expect("written");
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("album")).expect("made");
        fs::write(at("album/a.jpg"), "12345").expect("written");
        fs::write(at("album/.hidden"), "1").expect("written");
        fs::create_dir(at("album/more")).expect("made");
        symlink("../top.txt", at("album/up")).expect("linked");
        symlink("nowhere", at("album/broken")).expect("linked");
        symlink(outside.path().join("secret"), at("album/out")).expect("linked");
        fs::write(at("top.txt"), "t").expect("written");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("album/fifo"), Mode::RWXU).expect("made");

        let mut beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if !visible.symlinks {
            beneath |= ResolveFlags::NO_SYMLINKS;
        }
        let handle = File::open(root.path()).expect("opened");
        let folder = read(handle.as_fd(), path.as_bytes(), visible, beneath, 100).expect("read");
        assert!(!folder.cut_short);
        let mut names: Vec<_> = folder
            .entries
            .into_iter()
            .map(|entry| (entry.name.to_string_lossy().into_owned(), entry.kind))
            .collect();
        names.sort();
        names
    }

    fn named(names: &[(&str, Kind)]) -> Vec<(String, Kind)> {
        names.iter().map(|&(name, kind)| (name.to_owned(), kind)).collect()
    }

    #[test]
    fn only_plain_files_and_folders_are_shown_by_default() {
        let visible = Visible { hidden: false, symlinks: false };
        assert_eq!(names(visible, "album"), named(&[("a.jpg", Kind::File), ("more", Kind::Folder)]));
        assert_eq!(names(visible, "."), named(&[("album", Kind::Folder), ("top.txt", Kind::File)]));
    }

    #[test]
    fn links_within_the_root_are_shown_when_they_are_followed() {
        let visible = Visible { hidden: true, symlinks: true };
        assert_eq!(
            names(visible, "album"),
            named(&[
                (".hidden", Kind::File),
                ("a.jpg", Kind::File),
                ("more", Kind::Folder),
                ("up", Kind::File)
            ])
        );
    }

    #[test]
    fn what_is_no_directory_is_an_error() {
        let root = tempfile::tempdir().expect("a directory");
        fs::write(root.path().join("f"), "").expect("written");
        let handle = File::open(root.path()).expect("opened");
        let visible = Visible { hidden: false, symlinks: false };
        let outcome = read(handle.as_fd(), b"f", visible, ResolveFlags::BENEATH, 100);
        assert_eq!(outcome, Err(Errno::NOTDIR));
    }

    #[test]
    fn a_folder_with_more_entries_than_are_shown_says_so() {
        let root = tempfile::tempdir().expect("a directory");
        for name in ["a", "b", "c", ".hidden"] {
            fs::write(root.path().join(name), "").expect("written");
        }
        let handle = File::open(root.path()).expect("opened");
        let visible = Visible { hidden: false, symlinks: false };
        for (most, shown, cut_short) in [(2, 2, true), (3, 3, false)] {
            let folder = read(handle.as_fd(), b".", visible, ResolveFlags::BENEATH, most).expect("read");
            assert_eq!((folder.entries.len(), folder.cut_short), (shown, cut_short));
        }
    }
}
