//! The way by a name, which file systems without unnamed files need, wherever it is left.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::ffi::OsString;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use annulus::BackendChoice;

use super::AtomicFile;
use crate::fs::Dir;
use crate::{Builder, yield_now};

/// The names in a folder.
fn names(folder: &Path) -> Vec<OsString> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

async fn replace(folder: &Path) {
    let dir = Dir::open(folder).await.unwrap();
    let new = AtomicFile::create_under_a_name(dir, "file".into()).await.unwrap();
    new.file().write_all_at("new", 0).await.0.unwrap();
    new.commit().await.unwrap();
}

/// Drops it after this many polls and turns. Whether it was ready before.
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

#[test]
fn a_file_under_a_name_of_its_own_leaves_none_wherever_it_is_dropped() {
    for backend in [BackendChoice::Auto, BackendChoice::Engine] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for turns in 0..3 {
            for polls in 0.. {
                std::fs::write(&path, "old").unwrap();
                let run = Builder::new().backend(backend).run(leave(replace(folder.path()), polls, turns));
                assert_eq!(names(folder.path()), ["file"], "{polls} polls, {turns} turns, {backend:?}");
                let contents = std::fs::read_to_string(&path).unwrap();
                if run.unwrap() {
                    assert_eq!(contents, "new");
                    break;
                }
                assert!(["old", "new"].contains(&contents.as_str()), "{contents}");
            }
        }
    }
}

#[test]
fn a_name_is_taken_back_while_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    crate::run(async {
        let dir = Dir::open(folder.path()).await.unwrap();
        let new = AtomicFile::create_under_a_name(dir.clone(), "file".into()).await.unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(new);
        while !names(folder.path()).is_empty() {
            yield_now().await;
        }
    })
    .unwrap();
}
