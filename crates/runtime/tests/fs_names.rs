//! Names: made, changed, removed, linked, listed, copied, by the working directory and by an open one.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use annulus_rt::fs::{self, Dir, DirBuilder, File, FileType, OpenOptions, RenameMode};
use annulus_rt::{Builder, run, spawn_blocking};
use common::on_disk;

fn errno<T: std::fmt::Debug>(outcome: std::io::Result<T>) -> i32 {
    outcome.unwrap_err().raw_os_error().unwrap()
}

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn directories_are_made_one_by_one_or_as_deep_as_need_be() {
    let folder = on_disk();
    run(async {
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("a")).await.unwrap();
        assert_eq!(errno(fs::create_dir(at("a")).await), libc::EEXIST);
        assert_eq!(errno(fs::create_dir(at("x/y")).await), libc::ENOENT);
        fs::create_dir_all(at("a/b/c/d")).await.unwrap();
        fs::create_dir_all(at("a/b/c/d")).await.unwrap();
        fs::create_dir_all("/").await.unwrap();
        fs::create_dir_all("").await.unwrap();
        std::fs::write(at("file"), "").unwrap();
        assert_eq!(errno(fs::create_dir_all(at("file")).await), libc::EEXIST);
        assert_eq!(errno(fs::create_dir_all(at("file/below")).await), libc::ENOTDIR);
        symlink("a", at("link")).unwrap();
        fs::create_dir_all(at("link/b/e")).await.unwrap();
        DirBuilder::new().mode(0o710).create(at("private")).await.unwrap();
        assert_eq!(std::fs::metadata(at("private")).unwrap().mode() & 0o7777, 0o710);

        let dir = Dir::open(folder.path()).await.unwrap();
        dir.create_dir("here").await.unwrap();
        dir.create_dir_all("here/and/there").await.unwrap();
        DirBuilder::new().recursive(true).create_in(&dir, "here/too").await.unwrap();
        assert_eq!(names(&at("here")), ["and", "too"]);
        assert_eq!(names(&at("a/b")), ["c", "e"]);
        assert_eq!(errno(dir.remove_dir("here").await), libc::ENOTEMPTY);
        dir.remove_dir("here/too").await.unwrap();
        fs::remove_dir(at("here/and/there")).await.unwrap();
        assert_eq!(errno(fs::remove_file(at("here")).await), libc::EISDIR);
    })
    .unwrap();
}

#[test]
fn names_are_changed_linked_and_removed() {
    let folder = on_disk();
    run(async {
        let dir = Dir::open(folder.path()).await.unwrap();
        let at = |name: &str| folder.path().join(name);
        dir.write("one", "1").await.0.unwrap();
        fs::write(at("two"), "2").await.0.unwrap();
        assert_eq!(errno(dir.rename("one", &dir, "two", RenameMode::NoReplace).await), libc::EEXIST);
        fs::rename_with(at("one"), at("two"), RenameMode::Exchange).await.unwrap();
        assert_eq!(
            (dir.read("one").await.unwrap(), dir.read("two").await.unwrap()),
            (b"2".into(), b"1".into())
        );
        fs::rename(at("one"), at("two")).await.unwrap();
        assert_eq!(names(folder.path()), ["two"]);

        fs::hard_link(at("two"), at("three")).await.unwrap();
        dir.hard_link("two", &dir, "four").await.unwrap();
        assert_eq!(dir.statx("two").await.unwrap().links(), 3);
        assert!(dir.statx("two").await.unwrap().is_same_file(&dir.statx("four").await.unwrap()));
        fs::symlink("nowhere", at("link")).await.unwrap();
        dir.symlink("two", "good").await.unwrap();
        assert_eq!(fs::read_link(at("link")).await.unwrap(), Path::new("nowhere"));
        assert_eq!(dir.read_link("good").await.unwrap(), Path::new("two"));
        assert_eq!(errno(fs::read_link(at("two")).await), libc::EINVAL);
        assert!(!fs::try_exists(at("link")).await.unwrap() && dir.try_exists("good").await.unwrap());
        assert_eq!(errno(fs::try_exists(at("two/below")).await), libc::ENOTDIR);
        assert_eq!(fs::canonicalize(at("good")).await.unwrap(), at("two").canonicalize().unwrap());

        dir.remove_file("link").await.unwrap();
        fs::remove_file(at("good")).await.unwrap();
        assert_eq!(names(folder.path()), ["four", "three", "two"]);
        assert_eq!(errno(fs::remove_file(at("gone")).await), libc::ENOENT);
        dir.set_permissions("two", PermissionsExt::from_mode(0o400)).await.unwrap();
        assert_eq!(dir.statx("four").await.unwrap().mode(), 0o400);
    })
    .unwrap();
}

#[test]
fn names_are_bytes_and_a_zero_among_them_is_refused() {
    let folder = on_disk();
    run(async {
        let dir = Dir::open(folder.path()).await.unwrap();
        let odd = OsStr::from_bytes(b"\xff\xfe \n'\\\x01");
        dir.write(odd, "odd").await.0.unwrap();
        dir.symlink(odd, "link").await.unwrap();
        assert_eq!(dir.read("link").await.unwrap(), b"odd");
        assert_eq!(dir.read_link("link").await.unwrap().as_os_str(), odd);
        let entries = dir.read_dir().await.unwrap().collect().await.unwrap();
        assert!(entries.iter().any(|entry| entry.name() == odd && entry.file_type() == Some(FileType::File)));
        fs::remove_file(folder.path().join(odd)).await.unwrap();

        let zero = "a\0b";
        assert_eq!(errno(fs::create_dir(zero).await), libc::EINVAL);
        assert_eq!(errno(fs::create_dir_all(zero).await), libc::EINVAL);
        assert_eq!(errno(fs::remove_file(zero).await), libc::EINVAL);
        assert_eq!(errno(fs::remove_dir_all(zero).await), libc::EINVAL);
        assert_eq!(errno(fs::rename("x", zero).await), libc::EINVAL);
        assert_eq!(errno(fs::hard_link(zero, "x").await), libc::EINVAL);
        assert_eq!(errno(fs::symlink(zero, "x").await), libc::EINVAL);
        assert_eq!(errno(fs::read_link(zero).await), libc::EINVAL);
        assert_eq!(errno(fs::try_exists(zero).await), libc::EINVAL);
        assert_eq!(errno(fs::read(zero).await), libc::EINVAL);
        assert_eq!(fs::canonicalize(zero).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(errno(dir.write(zero, "").await.0), libc::EINVAL);
    })
    .unwrap();
}

#[test]
fn a_large_directory_is_listed_in_batches_of_which_none_is_lost() {
    let folder = on_disk();
    for i in 0..1_000 {
        std::fs::write(folder.path().join(format!("{i:04}")), "").unwrap();
    }
    run(async {
        let mut entries = fs::read_dir(folder.path()).await.unwrap();
        let mut found = Vec::new();
        // Every other future is dropped after its first poll, and the next one goes on.
        for round in 0.. {
            if round % 2 == 0 {
                let mut next = pin!(entries.next_entry());
                let polled = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
                match polled.map(Result::unwrap) {
                    Poll::Ready(Some(entry)) => found.push(entry),
                    Poll::Ready(None) => break,
                    Poll::Pending => {}
                }
                continue;
            }
            match entries.next_entry().await.unwrap() {
                Some(entry) => found.push(entry),
                None => break,
            }
        }
        let path = found[0].path();
        assert_eq!(path, folder.path().join(found[0].name()));
        assert_eq!(found[0].metadata().await.unwrap().inode(), found[0].inode());
        let mut found: Vec<_> = found.iter().map(|entry| entry.name().to_owned()).collect();
        found.sort();
        assert_eq!(found, names(folder.path()));
        assert!(entries.next_entry().await.unwrap().is_none());

        let dir = Dir::open(folder.path()).await.unwrap();
        let left = dir.read_dir().await.unwrap();
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(left.collect().await.unwrap().len(), 0, "what was removed has no entries");
    })
    .unwrap();
}

#[test]
fn a_tree_is_removed_and_what_links_in_it_lead_to_stays() {
    let folder = on_disk();
    run(async {
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("kept/inner")).unwrap();
        std::fs::write(at("kept/file"), "kept").unwrap();
        std::fs::create_dir_all(at("tree/a/b/c")).unwrap();
        for i in 0..600 {
            std::fs::write(at(&format!("tree/a/{i}")), "").unwrap();
        }
        symlink(at("kept"), at("tree/a/b/link")).unwrap();
        symlink("../kept/file", at("tree/file")).unwrap();
        fs::remove_dir_all(at("tree")).await.unwrap();
        assert_eq!(names(folder.path()), ["kept"]);
        assert_eq!(names(&at("kept")), ["file", "inner"]);

        symlink("kept", at("link")).unwrap();
        fs::remove_dir_all(at("link")).await.unwrap();
        let dir = Dir::open(folder.path()).await.unwrap();
        assert_eq!(errno(dir.remove_dir_all("kept/file").await), libc::ENOTDIR);
        assert_eq!(errno(dir.remove_dir_all("gone").await), libc::ENOENT);
        assert_eq!(names(&at("kept")), ["file", "inner"]);
        dir.remove_dir_all("kept").await.unwrap();
        assert_eq!(names(folder.path()), [] as [&str; 0]);
    })
    .unwrap();
}

#[test]
fn a_tree_whose_directories_turn_into_links_meanwhile_leads_nowhere() {
    let folder = on_disk();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("outside")).unwrap();
    std::fs::write(at("outside/precious"), "precious").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    // Somebody who changes a directory for a link out of the tree and back, all the time.
    let racer = {
        let (stop, tree, outside) = (stop.clone(), at("tree"), at("outside"));
        std::thread::Builder::new().spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _ = std::fs::create_dir_all(tree.join("a"));
                let _ = std::fs::rename(tree.join("a"), tree.join("b"));
                let _ = symlink(&outside, tree.join("a"));
                let _ = std::fs::remove_file(tree.join("a"));
            }
        })
    };
    run(async {
        for _ in 0..15 {
            std::fs::create_dir_all(at("tree/a")).ok();
            // It may be gone, or never be empty; but it is not followed.
            let _ = fs::remove_dir_all(at("tree")).await;
        }
    })
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    racer.unwrap().join().unwrap();
    assert_eq!(std::fs::read_to_string(at("outside/precious")).unwrap(), "precious");
}

#[test]
fn a_removal_that_is_dropped_before_it_began_removes_nothing() {
    let folder = on_disk();
    std::fs::create_dir_all(folder.path().join("tree/a")).unwrap();
    Builder::new()
        .blocking(1, 8)
        .run(async {
            // The only helper thread is busy.
            let (release, wait) = std::sync::mpsc::channel::<()>();
            let busy = spawn_blocking(move || wait.recv());
            let mut removal = Box::pin(fs::remove_dir_all(folder.path().join("tree")));
            let first = std::future::poll_fn(|cx| Poll::Ready(removal.as_mut().poll(cx).is_ready())).await;
            assert!(!first);
            drop(removal);
            release.send(()).unwrap();
            busy.await.unwrap().unwrap();
            // Behind it in the queue.
            spawn_blocking(|| ()).await.unwrap();
            assert_eq!(names(&folder.path().join("tree")), ["a"]);
        })
        .unwrap();
}

#[test]
fn a_copy_has_the_bytes_and_the_permissions_and_nothing_of_what_was_there() {
    let folder = on_disk();
    run(async {
        let at = |name: &str| folder.path().join(name);
        let contents: Vec<u8> = (0..=255).cycle().take(700_001).collect();
        std::fs::write(at("from"), &contents).unwrap();
        std::fs::set_permissions(at("from"), PermissionsExt::from_mode(0o6751)).unwrap();
        std::fs::write(at("to"), vec![9; 900_000]).unwrap();
        assert_eq!(fs::copy(at("from"), at("to")).await.unwrap(), 700_001);
        assert!(std::fs::read(at("to")).unwrap() == contents);
        assert_eq!(std::fs::metadata(at("to")).unwrap().mode() & 0o7777, 0o6751);
        assert_eq!(errno(fs::copy(at("from"), at("from")).await), libc::EINVAL);
        let dir = Dir::open(folder.path()).await.unwrap();
        assert_eq!(dir.copy("from", &dir, "third").await.unwrap(), 700_001);
        assert!(std::fs::read(at("third")).unwrap() == contents);
        assert_eq!(errno(fs::copy(folder.path(), at("to")).await), libc::EINVAL);
        assert!(std::fs::read(at("from")).unwrap() == contents);

        // Across file systems, and from a file that says that it is empty.
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        assert_eq!(fs::copy(at("from"), memory.path().join("to")).await.unwrap(), 700_001);
        assert!(std::fs::read(memory.path().join("to")).unwrap() == contents);
        let status = fs::copy("/proc/self/status", at("status")).await.unwrap();
        assert!(status > 100 && std::fs::metadata(at("status")).unwrap().len() == status);

        let source = File::open(at("from")).await.unwrap();
        let target = OpenOptions::new().read(true).write(true).open(at("to")).await.unwrap();
        assert_eq!(source.copy_range_to(600_000, &target, 10, 1_000).await.unwrap(), 1_000);
        let (_, part) = target.read_exact_at(vec![0; 1_000], 10).await;
        assert!(part == contents[600_000..601_000]);
        assert_eq!(source.copy_range_to(700_000, &target, 0, u64::MAX).await.unwrap(), 1);
        let log = OpenOptions::new().append(true).open(at("status")).await.unwrap();
        assert_eq!(source.copy_range_to(0, &log, 0, 5).await.unwrap(), 5);
    })
    .unwrap();
}

#[test]
fn whole_files_are_read_and_written_also_those_without_a_length_or_a_position() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("file");
        let (written, contents) = fs::write(&path, vec![b'x'; 300_000]).await;
        written.unwrap();
        assert!(fs::read(&path).await.unwrap() == contents);
        fs::write(&path, "short").await.0.unwrap();
        assert_eq!(fs::read_to_string(&path).await.unwrap(), "short");
        fs::write(&path, [0xff_u8, 0xfe]).await.0.unwrap();
        assert_eq!(fs::read_to_string(&path).await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(fs::read("/proc/self/status").await.unwrap().starts_with(b"Name:"));
        assert_eq!(errno(fs::read(folder.path()).await), libc::EISDIR);
        assert_eq!(errno(fs::write("/dev/full", "x").await.0), libc::ENOSPC);

        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let write = annulus_rt::spawn({
            let pipe = pipe.clone();
            async move { fs::write(&pipe, vec![b'p'; 200_000]).await.0 }
        });
        assert!(fs::read(&pipe).await.unwrap() == [b'p'; 200_000]);
        write.await.unwrap().unwrap();
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
