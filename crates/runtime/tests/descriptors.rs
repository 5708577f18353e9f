//! Too few descriptors: a run that cannot have its own does not begin, and says why.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use annulus_rt::time::timeout;
use annulus_rt::{Error, Shards, run, spawn_blocking};
use common::{alone, on_the_engine};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How long a wake-up is waited for; one that is late that much is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tries with one descriptor more each time, until `attempt` succeeds. How many were too few.
fn too_few<T>(attempt: impl Fn() -> Result<T, Error>) -> (u64, T) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // The lowest number that is free, since it is closed at once.
    let free = u64::try_from(File::open("/dev/null").unwrap().as_raw_fd()).unwrap();
    for more in 0..32 {
        setrlimit(Resource::Nofile, Rlimit { current: Some(free + more), maximum }).unwrap();
        match attempt() {
            Ok(output) => return (more, output),
            Err(error) => assert_eq!(error.errno(), Some(Errno::MFILE), "{more} descriptors: {error}"),
        }
    }
    panic!("32 descriptors are not enough");
}

#[test]
fn a_run_that_begins_hears_what_other_threads_wake() {
    alone("a_run_that_begins_hears_what_other_threads_wake", || {
        let (refused, heard) = too_few(|| run(async { timeout(PATIENCE, spawn_blocking(|| 7)).await }));
        assert_eq!(heard.expect("the wake-up comes").unwrap(), 7);
        assert!(refused == 3 || on_the_engine(), "{refused}: the ring, its eventfd twice");
    });
}

#[test]
fn shards_that_begin_hear_what_other_threads_wake() {
    alone("shards_that_begin_hear_what_other_threads_wake", || {
        let attempt = |shard| timeout(PATIENCE, spawn_blocking(move || shard));
        let (refused, heard) = too_few(|| Shards::new(2).run(attempt));
        for (shard, outcome) in heard.into_iter().enumerate() {
            assert_eq!(outcome.expect("the wake-up comes").unwrap(), shard);
        }
        // The first may have taken a seventh for messages between rings, without which it would do.
        let expected = (6..=7).contains(&refused);
        assert!(expected || on_the_engine(), "{refused}: each a ring, its eventfd twice");
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
