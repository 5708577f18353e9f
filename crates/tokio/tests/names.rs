//! What is done to names and to whole files, beside what the standard library finds afterwards; and dropped at any moment.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use annulus_tokio::{
    AtomicFile, Dir, File, FileTimes, FileType, OpenOptions, RenameMode, Resolve, canonicalize, copy,
    create_dir, create_dir_all, hard_link, metadata, read_dir, read_link, read_to_string, remove_dir,
    remove_dir_all, remove_file, rename, rename_with, set_permissions, set_times, statx, symlink,
    symlink_metadata, try_exists, write, write_atomic,
};
use common::{alone, descriptors, leave, random, runtime, until};
use tokio::task::JoinSet;

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn names_are_made_changed_linked_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    runtime(2).block_on(async {
        create_dir(at("dir")).await.unwrap();
        assert_eq!(errno(create_dir(at("dir")).await), Some(libc::EEXIST));
        assert_eq!(errno(create_dir(at("none/dir")).await), Some(libc::ENOENT));
        write(at("dir/file"), "text").await.0.unwrap();
        hard_link(at("dir/file"), at("other")).await.unwrap();
        assert_eq!(std::fs::metadata(at("other")).unwrap().nlink(), 2);
        symlink("dir/file", at("link")).await.unwrap();
        assert_eq!(read_link(at("link")).await.unwrap(), Path::new("dir/file"));
        assert_eq!(errno(read_link(at("other")).await), Some(libc::EINVAL));
        assert_eq!(canonicalize(at("dir/../link")).await.unwrap(), at("dir/file").canonicalize().unwrap());
        assert_eq!(errno(remove_file(at("dir")).await), Some(libc::EISDIR));
        assert_eq!(errno(remove_dir(at("dir")).await), Some(libc::ENOTEMPTY));
        rename(at("dir/file"), at("moved")).await.unwrap();
        remove_dir(at("dir")).await.unwrap();
        assert!(!try_exists(at("link")).await.unwrap(), "it leads nowhere now");
        assert!(symlink_metadata(at("link")).await.unwrap().is_symlink());
        remove_file(at("link")).await.unwrap();
        assert_eq!(errno(remove_file(at("link")).await), Some(libc::ENOENT));
        assert_eq!(errno(remove_file("zero\0byte").await), Some(libc::EINVAL));
        assert_eq!(errno(try_exists(at("moved/below")).await), Some(libc::ENOTDIR));
    });
    assert_eq!(names(folder.path()), ["moved", "other"]);
}

#[test]
fn a_rename_replaces_refuses_or_exchanges() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    runtime(1).block_on(async {
        write(&old, "old").await.0.unwrap();
        write(&new, "new").await.0.unwrap();
        assert_eq!(errno(rename_with(&old, &new, RenameMode::NoReplace).await), Some(libc::EEXIST));
        rename_with(&old, &new, RenameMode::Exchange).await.unwrap();
        assert_eq!(read_to_string(&new).await.unwrap(), "old");
        rename(&old, &new).await.unwrap();
        assert_eq!(read_to_string(&new).await.unwrap(), "new");
        assert_eq!(errno(rename(&old, &new).await), Some(libc::ENOENT));
    });
}

#[test]
fn directories_are_made_with_all_above_them() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/../c/d");
    runtime(2).block_on(async {
        create_dir_all(folder.path().join("a/b")).await.unwrap();
        create_dir_all(&deep).await.unwrap();
        create_dir_all(&deep).await.unwrap();
        write(folder.path().join("file"), "").await.0.unwrap();
        assert_eq!(errno(create_dir_all(folder.path().join("file")).await), Some(libc::EEXIST));
        assert_eq!(errno(create_dir_all(folder.path().join("file/below")).await), Some(libc::ENOTDIR));
        // Many at once, of which each finds what the others have made.
        let mut makers = JoinSet::new();
        for _ in 0..32 {
            let path = folder.path().join("many/levels/below/each/other");
            makers.spawn(async move { create_dir_all(path).await });
        }
        while let Some(made) = makers.join_next().await {
            made.unwrap().unwrap();
        }
    });
    assert!(folder.path().join("a/c/d").is_dir());
}

#[test]
fn metadata_says_what_the_standard_library_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    runtime(2).block_on(async {
        write(&path, vec![1; 1234]).await.0.unwrap();
        set_permissions(&path, std::fs::Permissions::from_mode(0o640)).await.unwrap();
        let then = UNIX_EPOCH + Duration::new(1_000_000, 7);
        set_times(&path, FileTimes::new().set_modified(then)).await.unwrap();
        let (ours, theirs) = (metadata(&path).await.unwrap(), std::fs::metadata(&path).unwrap());
        assert_eq!((ours.len(), ours.mode(), ours.modified()), (1234, 0o640, then));
        assert_eq!(ours.permissions(), std::fs::Permissions::from_mode(0o640));
        assert_eq!(theirs.permissions().mode() & 0o7777, 0o640);
        assert_eq!((ours.inode(), ours.links()), (theirs.ino(), u32::try_from(theirs.nlink()).unwrap()));
        assert_eq!((ours.created(), ours.accessed()), (theirs.created().ok(), theirs.accessed().unwrap()));
        let file = File::open(&path).await.unwrap();
        assert!(file.metadata().await.unwrap().is_same_file(&ours));
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).await.unwrap();
        file.set_times(FileTimes::new().set_accessed(then)).await.unwrap();
        let ours = statx(&path, libc::AT_STATX_DONT_SYNC, libc::STATX_BASIC_STATS).await.unwrap();
        assert_eq!((ours.mode(), ours.accessed(), ours.modified()), (0o600, then, then));
        assert_eq!(metadata(folder.path()).await.unwrap().file_type(), FileType::Dir);
        assert_eq!(metadata("/dev/null").await.unwrap().file_type(), FileType::CharDevice);
        assert_eq!(errno(metadata(path.with_extension("none")).await), Some(libc::ENOENT));
    });
}

#[test]
fn a_listing_has_every_name_once_also_if_futures_of_it_are_dropped() {
    const ENTRIES: usize = 700;
    let folder = tempfile::tempdir().unwrap();
    for index in 0..ENTRIES {
        std::fs::write(folder.path().join(format!("{index:03}")), [7; 3]).unwrap();
    }
    runtime(2).block_on(async {
        let mut listing = read_dir(folder.path()).await.unwrap();
        let (mut found, mut seed) = (Vec::new(), 0);
        loop {
            seed += 1;
            match leave(listing.next_entry(), random(seed) % 2).await {
                Some(entry) => match entry.unwrap() {
                    Some(entry) => found.push(entry),
                    None => break,
                },
                None => tokio::task::yield_now().await,
            }
        }
        let mut names: Vec<_> = found.iter().map(|entry| entry.name().to_owned()).collect();
        names.sort();
        assert_eq!(names, self::names(folder.path()));
        let one = &found[1];
        assert_eq!(one.path(), folder.path().join(one.name()));
        assert_eq!(one.metadata().await.unwrap().inode(), one.inode());
        assert!(one.file_type().is_none_or(|kind| kind == FileType::File));
        assert!(listing.next_entry().await.unwrap().is_none());
        assert_eq!(
            Dir::open(folder.path()).await.unwrap().read_dir().collect().await.unwrap().len(),
            ENTRIES
        );
        assert_eq!(errno(read_dir(folder.path().join("000")).await), Some(libc::ENOTDIR));
    });
}

#[test]
fn a_tree_is_removed_and_what_links_lead_to_stays() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let kept = folder.path().join("kept");
    runtime(2).block_on(async {
        write(&kept, "kept").await.0.unwrap();
        for index in 0..20 {
            let below = tree.join(format!("{}/{index}", index % 3));
            create_dir_all(&below).await.unwrap();
            write(below.join("file"), "").await.0.unwrap();
            symlink(folder.path(), below.join("out")).await.unwrap();
        }
        assert_eq!(errno(remove_dir_all(&kept).await), Some(libc::ENOTDIR));
        remove_dir_all(&tree).await.unwrap();
        assert_eq!(errno(remove_dir_all(&tree).await), Some(libc::ENOENT));
    });
    assert_eq!(names(folder.path()), ["kept"]);
}

#[test]
fn a_copy_has_the_contents_and_the_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let bytes: Vec<u8> = (0..700_000_usize).map(|at| u8::try_from(at % 251).unwrap()).collect();
    runtime(2).block_on(async {
        write(&from, bytes.clone()).await.0.unwrap();
        set_permissions(&from, std::fs::Permissions::from_mode(0o640)).await.unwrap();
        write(&to, vec![9; 1_000_000]).await.0.unwrap();
        assert_eq!(copy(&from, &to).await.unwrap(), 700_000);
        assert!(annulus_tokio::read(&to).await.unwrap() == bytes);
        assert_eq!(metadata(&to).await.unwrap().mode(), 0o640);
        assert_eq!(errno(copy(&from, &from).await), Some(libc::EINVAL));
        assert_eq!(errno(copy(folder.path(), &to).await), Some(libc::EINVAL));
        // A file of the kernel's own says that it is empty, and is not; and lies on another file system.
        let copied = copy("/proc/version", &to).await.unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), std::fs::read("/proc/version").unwrap());
        assert_eq!(copied, std::fs::metadata(&to).unwrap().len());
        let file = OpenOptions::new().read(true).write(true).open(&from).await.unwrap();
        assert_eq!(file.copy_range_to(10, &file, 600_000, 1000).await.unwrap(), 1000);
        assert!(annulus_tokio::read(&from).await.unwrap()[600_000..601_000] == bytes[10..1010]);
    });
}

#[test]
fn a_directory_keeps_paths_beneath_it() {
    let folder = tempfile::tempdir().unwrap();
    runtime(2).block_on(async {
        write(folder.path().join("outside"), "out").await.0.unwrap();
        create_dir_all(folder.path().join("root/deep")).await.unwrap();
        let root = Dir::open(folder.path().join("root")).await.unwrap();
        let options = OpenOptions::new().write(true).create_new(true);
        root.open_with("deep/file", &options).await.unwrap().write_all_at("in", 0).await.0.unwrap();
        root.symlink("../outside", "out").await.unwrap();
        root.symlink("deep/file", "in").await.unwrap();
        for (path, refused) in [
            ("../outside", libc::EXDEV),
            ("out", libc::EXDEV),
            ("/etc/passwd", libc::EXDEV),
            ("none", libc::ENOENT),
        ] {
            assert_eq!(errno(root.open_beneath(path).await), Some(refused), "{path}");
        }
        let (read, text) = root.open_beneath("in").await.unwrap().read_at(Vec::with_capacity(8), 0).await;
        assert_eq!((read.unwrap(), text.as_slice()), (2, &b"in"[..]));
        let no_links = OpenOptions::new().read(true).resolve(Resolve::NO_SYMLINKS);
        assert_eq!(errno(root.open_with("in", &no_links).await), Some(libc::ELOOP));
        let deep = root.open_dir_beneath("deep").await.unwrap();
        assert_eq!(errno(root.open_dir_beneath("..").await), Some(libc::EXDEV));
        deep.rename("file", &root, "moved", RenameMode::NoReplace).await.unwrap();
        root.hard_link("moved", &deep, "again").await.unwrap();
        root.create_dir_all("one/two").await.unwrap();
        root.create_dir("one/three").await.unwrap();
        root.remove_dir("one/three").await.unwrap();
        root.remove_dir_all("one").await.unwrap();
        root.remove_file("in").await.unwrap();
        assert_eq!(root.read_link("out").await.unwrap(), Path::new("../outside"));
        assert!(deep.try_exists("again").await.unwrap() && !root.try_exists("one").await.unwrap());
        assert_eq!(deep.statx_with("again", 0).await.unwrap().links(), 2);
        assert!(deep.metadata().await.unwrap().is_dir());
    });
    assert_eq!(names(&folder.path().join("root")), ["deep", "moved", "out"]);
}

#[test]
fn an_atomic_write_replaces_the_whole_and_passes_permissions_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings");
    runtime(2).block_on(async {
        write_atomic(&path, "first").await.0.unwrap();
        set_permissions(&path, std::fs::Permissions::from_mode(0o600)).await.unwrap();
        write_atomic(&path, "second").await.0.unwrap();
        assert_eq!(read_to_string(&path).await.unwrap(), "second");
        assert_eq!(metadata(&path).await.unwrap().mode(), 0o600);
        symlink("settings", folder.path().join("link")).await.unwrap();
        write_atomic(folder.path().join("link"), "own").await.0.unwrap();
        assert_eq!(read_to_string(&path).await.unwrap(), "second");
        drop(AtomicFile::create(&path).await.unwrap());
        assert_eq!(errno(write_atomic(folder.path().join(".."), "").await.0), Some(libc::EINVAL));
        assert_eq!(errno(write_atomic(path.join("below"), "").await.0), Some(libc::ENOTDIR));
        std::fs::create_dir(folder.path().join("dir")).unwrap();
        assert_eq!(errno(write_atomic(folder.path().join("dir"), "").await.0), Some(libc::EISDIR));
    });
    assert_eq!(names(folder.path()), ["dir", "link", "settings"]);
}

#[test]
fn an_atomic_write_dropped_at_any_moment_leaves_the_old_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let runtime = runtime(2);
    let (mut finished, mut left) = (0, 0);
    for seed in 0..200_u64 {
        // Also while there is none yet, which is another way.
        let before = (seed % 2 == 0).then_some("old");
        match before {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => drop(std::fs::remove_file(&path)),
        }
        let written = runtime.block_on(leave(write_atomic(&path, "new"), random(seed) % 12));
        match written {
            Some((written, _)) => {
                written.unwrap();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
                finished += 1;
            }
            None => {
                // The last step may be at work on a thread that blocks: it ends with the old, the new, or none.
                let whole = || match std::fs::read_to_string(&path) {
                    Ok(text) => text == "new" || Some(&*text) == before,
                    Err(_) => before.is_none(),
                };
                assert!(whole());
                until("a name of its own is left", || names(folder.path()).iter().all(|name| name == "file"));
                assert!(whole());
                left += 1;
            }
        }
    }
    assert!(finished > 0 && left > 0, "{finished} finished, {left} left");
}

#[test]
fn names_dropped_at_random_leave_no_descriptor_and_do_no_harm() {
    alone("names_dropped_at_random_leave_no_descriptor_and_do_no_harm", || {
        let folder = tempfile::tempdir().unwrap();
        let before = descriptors();
        let runtime = runtime(4);
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for seed in 0..1_500_u64 {
                let root = folder.path().join(seed.to_string());
                tasks.spawn(leave(
                    async move {
                        create_dir_all(root.join("a/b")).await.unwrap();
                        write(root.join("a/file"), vec![7; 5000]).await.0.unwrap();
                        rename(root.join("a/file"), root.join("a/b/file")).await.unwrap();
                        assert_eq!(metadata(root.join("a/b/file")).await.unwrap().len(), 5000);
                        copy(root.join("a/b/file"), root.join("copy")).await.unwrap();
                        assert_eq!(read_dir(&root).await.unwrap().collect().await.unwrap().len(), 2);
                        remove_dir_all(&root).await.unwrap();
                        assert!(!try_exists(&root).await.unwrap());
                    },
                    random(seed) % 16,
                ));
            }
            while let Some(task) = tasks.join_next().await {
                task.unwrap();
            }
        });
        drop(runtime);
        until("a descriptor is left", || descriptors() == before);
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
