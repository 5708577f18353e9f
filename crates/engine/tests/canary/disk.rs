//! Requests that end by themselves, when the disk has answered: nobody can take them back, so they are waited for.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so, and one says what the kernel does")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::rc::Rc;

use annulus::abi::SetupFlags;
use annulus::squeue::Flags;
use annulus::types::{self, Fd};
use annulus::{BackendChoice, IoUring, opcode};
use tempfile::TempDir;

use super::flock::Canary;
use super::stage::{Ended, Provoke, Stage, TRIALS, clean_trials, engine};

const READS: usize = 32;
const SIZE: usize = 64 * 1024;

/// A file, open around the page cache and through it. On a disk: what lies in memory is read at once.
struct Disk {
    direct: File,
    buffered: File,
    _folder: TempDir,
}

impl Disk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let path = folder.path().join("data");
        std::fs::write(&path, vec![0x11; READS * SIZE]).expect("it is written");
        let buffered = File::open(&path).expect("it is there");
        buffered.sync_all().expect("it reaches the disk");
        match File::options().read(true).custom_flags(libc::O_DIRECT).open(&path) {
            Ok(direct) => Some(Self { direct, buffered, _folder: folder }),
            Err(error) => {
                println!("SKIP: no O_DIRECT in {}: {error}", folder.path().display());
                None
            }
        }
    }

    fn push_reads(stage: &mut Stage, file: &File) {
        // Of their own number, so that it can be closed.
        let fd = stage.keep(file.try_clone().expect("a descriptor"));
        for index in 0..READS {
            let buffer = stage.lend(SIZE);
            let read = opcode::Read::new(fd, buffer, u32::try_from(SIZE).expect("small"));
            stage.push(read.offset(u64::try_from(index * SIZE).expect("small")).build());
        }
    }

    /// Returns when the disk has answered what it was asked before.
    fn settle(&self) {
        let mut probe = Canary::new(SIZE);
        for _ in 0..READS {
            self.direct.read_exact_at(probe.bytes(), 0).expect("it is there");
        }
    }

    /// Around the page cache.
    fn direct(&self, stage: &mut Stage) {
        Self::push_reads(stage, &self.direct);
    }

    /// Of pages that are not in the cache.
    fn cold(&self, stage: &mut Stage) {
        let whole = rustix::fs::Advice::DontNeed;
        rustix::fs::fadvise(&self.buffered, 0, None, whole).expect("a file");
        Self::push_reads(stage, &self.buffered);
    }

    fn statx(&self, stage: &mut Stage) {
        for _ in 0..READS {
            let told = stage.lend::<types::statx>(256);
            let statx = opcode::Statx::new(Fd(self.buffered.as_raw_fd()), c"".as_ptr(), told);
            stage.push(statx.flags(libc::AT_EMPTY_PATH).mask(libc::STATX_BASIC_STATS).build());
        }
    }

    /// A scene of what the disk is asked; it is "completed" by waiting for the disk.
    fn scene(ask: fn(&Self, &mut Stage)) -> Option<impl Fn(&mut Stage) -> Provoke> {
        let disk = Rc::new(Self::new()?);
        Some(move |stage: &mut Stage| -> Provoke {
            ask(&disk, stage);
            let disk = Rc::clone(&disk);
            Box::new(move || disk.settle())
        })
    }
}

/// Nothing is written into memory that was freed at this end of what the disk is asked.
fn unharmed(ask: fn(&Disk, &mut Stage), end: fn(Stage) -> Ended) {
    if let Some(scene) = Disk::scene(ask) {
        assert_eq!(clean_trials(scene, Stage::of_trial, end), TRIALS);
    }
}

#[test]
fn reads_around_the_cache_write_nothing_after_their_ring_has_gone() {
    unharmed(Disk::direct, Stage::dropped);
}

#[test]
fn cold_reads_write_nothing_after_their_ring_has_gone() {
    unharmed(Disk::cold, Stage::dropped);
}

#[test]
fn nothing_is_told_of_a_file_after_the_ring_has_gone() {
    unharmed(Disk::statx, Stage::dropped);
}

#[test]
fn reads_around_the_cache_write_nothing_after_they_have_completed() {
    unharmed(Disk::direct, Stage::reaped);
}

#[test]
fn cold_reads_write_nothing_after_they_have_completed() {
    unharmed(Disk::cold, Stage::reaped);
}

#[test]
fn nothing_is_told_of_a_file_after_the_request_has_completed() {
    unharmed(Disk::statx, Stage::reaped);
}

#[test]
fn reads_around_the_cache_of_what_was_closed_write_nothing_late() {
    unharmed(Disk::direct, Stage::closed);
}

#[test]
fn cold_reads_of_what_was_closed_write_nothing_late() {
    unharmed(Disk::cold, Stage::closed);
}

/// With the kernel, dropping a ring gives no such promise: the disk goes on writing. How often is seen depends on the disk.
#[test]
fn a_ring_of_the_engine_protects_what_one_of_the_kernel_does_not() {
    let Some(scene) = Disk::scene(Disk::direct) else { return };
    let on_engine = |_| Stage::on(engine(SetupFlags::empty()), Flags::empty());
    let engine = clean_trials(&scene, on_engine, Stage::dropped);
    let kernel = || IoUring::builder().backend(BackendChoice::Kernel).build(64);
    match kernel() {
        Ok(_) => {
            let on_kernel = |_| Stage::on(kernel().expect("there was one before"), Flags::empty());
            let kernel = clean_trials(&scene, on_kernel, Stage::dropped);
            println!(
                "clean after a drop amid reads: the engine {engine} of {TRIALS}, the kernel {kernel} of {TRIALS}"
            );
        }
        Err(error) => println!("SKIP: no ring of the kernel's to compare with: {error}"),
    }
    assert_eq!(engine, TRIALS);
}
