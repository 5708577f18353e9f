//! Work in several steps, atomic writes above all: wherever it ends, a file is the old one or the new one, and nothing else is left.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test; one that is skipped says so")]

mod common;

use std::ffi::OsString;
use std::future::poll_fn;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::task::Poll;
use std::time::Duration;

use annulus_rt::fs::{self, AtomicFile, Dir};
use annulus_rt::time::{now, sleep};
use annulus_rt::{Builder, counters, run, spawn_blocking, yield_now};
use common::{
    PATIENCE, alone, descriptors, on_disk, on_the_engine, settled_at, settled_descriptors, until_descriptors,
};

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// Drops a future after this many polls and turns. Whether it was ready before.
async fn leave(future: impl Future, polls: usize, turns: usize) -> bool {
    let mut future = pin!(future);
    let mut polled = 0;
    let ready = poll_fn(|cx| {
        polled += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if polled > polls => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    });
    let ready = ready.await;
    for _ in 0..turns {
        yield_now().await;
    }
    ready
}

/// A runtime whose blocking work is done by one thread, one piece after the other.
fn with_one_helper() -> Builder {
    Builder::new().blocking(1, 64)
}

/// Waits until nothing goes on any more, on the ring, in tasks, or on the helper thread if there is but one: what that was
/// given for a future that was dropped since, it does all the same.
async fn settled() {
    let end = now() + PATIENCE;
    while counters().in_flight > 0 || counters().tasks > 0 {
        assert!(now() < end, "{:?}", counters());
        sleep(Duration::from_millis(1)).await;
    }
    spawn_blocking(|| ()).await.unwrap();
}

#[test]
fn a_file_is_made_and_replaced_and_its_permissions_stay() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("file");
        let (written, contents) = fs::write_atomic(&path, vec![b'a'; 100_000]).await;
        written.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), contents);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let before = std::fs::metadata(&path).unwrap().ino();
        let dir = Dir::open(folder.path()).await.unwrap();
        dir.write_atomic("file", "new").await.0.unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((after.len(), after.mode() & 0o7777), (3, 0o640));
        assert_ne!(after.ino(), before, "it is another file");

        // A link is replaced, not what it leads to.
        symlink("file", folder.path().join("link")).unwrap();
        dir.write_atomic("link", "not a link").await.0.unwrap();
        assert_eq!(dir.read_to_string("link").await.unwrap(), "not a link");
        assert_eq!(dir.read_to_string("file").await.unwrap(), "new");
        assert_eq!(names(folder.path()), ["file", "link"]);
    })
    .unwrap();
}

#[test]
fn what_cannot_be_replaced_is_refused_and_leaves_nothing() {
    let folder = on_disk();
    run(async {
        let errno =
            |outcome: (std::io::Result<()>, &'static str)| outcome.0.unwrap_err().raw_os_error().unwrap();
        std::fs::create_dir_all(folder.path().join("dir/full")).unwrap();
        assert_eq!(errno(fs::write_atomic(folder.path().join("dir"), "x").await), libc::EISDIR);
        assert_eq!(errno(fs::write_atomic(folder.path().join("gone/file"), "x").await), libc::ENOENT);
        for path in ["", "/", "..", "a/..", "dir/", "a\0b"] {
            assert_eq!(
                errno(fs::write_atomic(folder.path().join(path), "x").await),
                libc::EINVAL,
                "{path:?}"
            );
        }
        let long = "x".repeat(256);
        assert_eq!(errno(fs::write_atomic(folder.path().join(long), "x").await), libc::ENAMETOOLONG);
        let abandoned = AtomicFile::create(folder.path().join("file")).await.unwrap();
        abandoned.file().write_all_at("never seen", 0).await.0.unwrap();
        drop(abandoned);
        settled().await;
        assert_eq!(names(folder.path()), ["dir"]);
        assert_eq!(names(&folder.path().join("dir")), ["full"]);
    })
    .unwrap();
}

#[test]
fn a_write_that_is_dropped_anywhere_leaves_the_old_file_or_the_new_one() {
    alone("a_write_that_is_dropped_anywhere_leaves_the_old_file_or_the_new_one", || {
        let folder = on_disk();
        let (there, fresh) = (folder.path().join("there"), folder.path().join("fresh"));
        let outcome = with_one_helper().run(async {
            let mut open = None;
            for (turns, path) in
                [(0, &there), (0, &fresh), (1, &there), (2, &there), (2, &fresh), (4, &there)]
            {
                let mut ready = false;
                for polls in 0.. {
                    std::fs::write(&there, "old").unwrap();
                    // The new one is to get these, which takes a helper thread.
                    std::fs::set_permissions(&there, std::fs::Permissions::from_mode(0o604)).unwrap();
                    let _ = std::fs::remove_file(&fresh);
                    ready = leave(fs::write_atomic(path, vec![b'n'; 10_000]), polls, turns).await || ready;
                    settled().await;
                    let found = names(folder.path());
                    assert!(
                        found == ["there"] || found == ["fresh", "there"],
                        "{found:?} after {polls}, {turns}"
                    );
                    let contents = std::fs::read(&there).unwrap();
                    assert!(contents == b"old" || contents == [b'n'; 10_000], "{polls}, {turns}");
                    if let Ok(contents) = std::fs::read(&fresh) {
                        assert!(contents == [b'n'; 10_000], "{polls}, {turns}");
                    }
                    if ready {
                        break;
                    }
                }
                // What the engine opens when it is first needed stays.
                if open.is_none() || on_the_engine() {
                    open = open.max(Some(settled_descriptors().await));
                }
            }
            settled_at(open.unwrap()).await;
        });
        outcome.unwrap();
        assert_eq!(names(folder.path()), ["there"]);
    });
}

/// Everything of the module that takes several steps, one after the other, in a folder that is empty before and after.
async fn everything(folder: &Path) -> std::io::Result<()> {
    let at = |name: &str| folder.join(name);
    fs::create_dir_all(at("a/b/c")).await?;
    fs::write(at("a/file"), vec![1; 5_000]).await.0?;
    let dir = Dir::open(at("a")).await?;
    dir.copy("file", &dir, "copy").await?;
    fs::copy("/proc/self/status", at("a/b/status")).await?;
    fs::read(at("a/copy")).await?;
    for entry in dir.read_dir().await?.collect().await? {
        entry.metadata().await?;
    }
    let file = dir.open_file("copy").await?;
    file.list_xattrs().await?;
    file.set_permissions(PermissionsExt::from_mode(0o600)).await?;
    file.lock().await?;
    let clone = file.clone();
    clone.cursor().seek(std::io::SeekFrom::End(0)).await?;
    AtomicFile::create_in(&dir, "b/new").await?.commit().await?;
    fs::canonicalize(at("a/b/new")).await?;
    dir.write_atomic("b/new", "newer").await.0?;
    file.close().await?;
    drop(clone);
    fs::remove_dir_all(at("a")).await
}

#[test]
fn nothing_that_takes_several_steps_leaves_a_descriptor_wherever_it_is_dropped() {
    alone("nothing_that_takes_several_steps_leaves_a_descriptor_wherever_it_is_dropped", || {
        let folder = on_disk();
        let outside = descriptors();
        let outcome = with_one_helper().run(async {
            // What the engine and the helper thread open when they are first needed stays.
            everything(folder.path()).await.unwrap();
            settled().await;
            let inside = settled_descriptors().await;
            for turns in 0..3 {
                for polls in 0.. {
                    let all = async { everything(folder.path()).await.unwrap() };
                    let ready = leave(all, polls, turns).await;
                    settled().await;
                    settled_at(inside).await;
                    let _ = fs::remove_dir_all(folder.path().join("a")).await;
                    if ready {
                        break;
                    }
                }
            }
            assert_eq!(names(folder.path()), [] as [&str; 0]);
            assert_eq!(counters().stale, 0);
        });
        outcome.unwrap();
        until_descriptors(outside);
    });
}

/// The contents of a version: which one it is stands everywhere in it.
fn version(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(20_000)
}

#[test]
fn a_process_that_is_killed_leaves_a_whole_file() {
    const INSIDE: &str = "ANNULUS_RT_TEST_KILLED";
    if let Some(path) = std::env::var_os(INSIDE) {
        // The child: writes until it is killed.
        run(async {
            for number in 1.. {
                fs::write_atomic(&path, version(number)).await.0.unwrap();
            }
        })
        .unwrap();
        return;
    }
    let folder = on_disk();
    let path = folder.path().join("file");
    for round in 0..12 {
        std::fs::write(&path, version(0)).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "a_process_that_is_killed_leaves_a_whole_file", "--nocapture"]);
        let mut child = child.env(INSIDE, &path).stdout(Stdio::null()).spawn().unwrap();
        let mut seen = 0;
        // Look until it has got somewhere, a little further each round.
        for _ in 0..20_000 {
            let contents = std::fs::read(&path).unwrap();
            let number = u32::from_le_bytes(contents[..4].try_into().unwrap());
            assert!(contents == version(number), "round {round}: a part of a file was seen");
            seen = seen.max(number);
            if seen > round {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen > round, "the child wrote nothing in twenty seconds");
        let contents = std::fs::read(&path).unwrap();
        let number = u32::from_le_bytes(contents[..4].try_into().unwrap());
        assert!(contents == version(number) && number >= seen, "round {round}: {number} after {seen}");
        for name in names(folder.path()).into_iter().filter(|name| name != "file") {
            // It was killed between the link and the rename.
            assert!(name.to_str().unwrap().starts_with(".annulus-"), "{name:?}");
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
}

#[test]
fn a_full_disk_is_enospc_and_leaves_the_old_file() {
    const INSIDE: &str = "ANNULUS_RT_TEST_FULL";
    const NAME: &str = "a_full_disk_is_enospc_and_leaves_the_old_file";
    if let Some(folder) = std::env::var_os(INSIDE) {
        let folder = Path::new(&folder);
        run(async {
            let path = folder.join("file");
            fs::write_atomic(&path, vec![1; 40_000]).await.0.unwrap();
            let (refused, contents) = fs::write_atomic(&path, vec![2; 200_000]).await;
            assert_eq!((refused.unwrap_err().raw_os_error(), contents.len()), (Some(libc::ENOSPC), 200_000));
            settled().await;
            assert!(fs::read(&path).await.unwrap() == [1; 40_000]);
            assert_eq!(names(folder), ["file"]);
            // What it took is free again.
            fs::write_atomic(&path, vec![3; 40_000]).await.0.unwrap();
            let file = fs::File::create(folder.join("other")).await.unwrap();
            assert_eq!(file.allocate(0, 1 << 20).await.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
            let (refused, _) = file.write_all_vectored_at((vec![4; 50_000], vec![4; 90_000]), 0).await;
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        })
        .unwrap();
        return;
    }
    let folder = on_disk();
    // A file system of 128 KiB, in a mount namespace that ends with the process.
    let mut inside = Command::new("unshare");
    let script = r#"mount -t tmpfs -o size=128k none "$0" || exit 77; exec "$@""#;
    inside.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(folder.path());
    inside.arg(std::env::current_exe().unwrap()).args(["--exact", NAME, "--nocapture"]);
    let output = match inside.env(INSIDE, folder.path()).output() {
        Ok(output) if output.status.code() != Some(77) => output,
        _ => return println!("SKIP: no file system may be mounted here (unshare, mount)"),
    };
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if errors.contains("unshare failed") {
        return println!("SKIP: no mount namespace may be made here");
    }
    assert!(text.contains("1 passed"), "{text}{errors}");
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
