//! Reads as programs on runtimes make them: one task for each read under way, on annulus-rt and on the other runtimes
//! that work on io_uring. Each runtime has its own defaults, but for queues with room for the reads.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use super::Job;
use super::block::{Area, BLOCK, Offsets};
use crate::backend::{Back, entries_for, not_running};
use crate::meter::{self, Progress, Window};
use crate::report::{Fault, Sample};

/// Reads on annulus-rt.
pub(super) fn annulus(job: Job<'_>, back: Back) -> Result<Sample, Fault> {
    use annulus_rt::buf::IoBuf;
    use annulus_rt::fs::File;

    let (depth, lanes) = (job.depth, Lanes::of(&job));
    let measured = back.runtime(depth).run(async {
        let file = Rc::new(File::from(OwnedFd::from(job.file)));
        let read = |lane| {
            let (file, lanes) = (file.clone(), lanes.clone());
            annulus_rt::spawn(lanes.read(lane, async move |buffer, range, offset| {
                let (read, part) = file.read_at(buffer.slice(range), offset).await;
                (read, part.into_inner())
            }))
        };
        let readers: Vec<_> = (0..depth).map(read).collect();
        let sample = lanes.measure(annulus_rt::time::sleep).await;
        for reader in readers {
            reader.await??;
        }
        Ok::<_, io::Error>(sample)
    });
    Ok(measured.map_err(not_running)??)
}

/// Reads on tokio, through annulus-tokio. The process's environment decides on which back end.
pub(super) fn annulus_in_tokio(job: Job<'_>) -> Result<Sample, Fault> {
    use annulus_rt::buf::IoBuf;
    use annulus_tokio::File;
    use tokio::runtime::Builder;
    use tokio::task::{LocalSet, spawn_local};

    let (depth, lanes) = (job.depth, Lanes::of(&job));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let measured: io::Result<Sample> = LocalSet::new().block_on(&runtime, async {
        let file = Rc::new(File::from(job.file));
        let read = |lane| {
            let (file, lanes) = (file.clone(), lanes.clone());
            spawn_local(lanes.read(lane, async move |buffer, range, offset| {
                let (read, part) = file.read_at(buffer.slice(range), offset).await;
                (read, part.into_inner())
            }))
        };
        let readers: Vec<_> = (0..depth).map(read).collect();
        let sample = lanes.measure(tokio::time::sleep).await;
        for reader in readers {
            reader.await??;
        }
        Ok(sample)
    });
    Ok(measured?)
}

/// Reads on tokio-uring.
pub(super) fn tokio_uring(job: Job<'_>) -> Result<Sample, Fault> {
    use tokio_uring::buf::BoundedBuf;
    use tokio_uring::fs::File;

    let (depth, lanes) = (job.depth, Lanes::of(&job));
    let measured: io::Result<Sample> = tokio_uring::builder().entries(entries_for(depth)).start(async {
        let file = Rc::new(File::from_std(job.file));
        let read = |lane| {
            let (file, lanes) = (file.clone(), lanes.clone());
            tokio_uring::spawn(lanes.read(lane, async move |buffer, range, offset| {
                let (read, part) = file.read_at(buffer.slice(range), offset).await;
                (read, part.into_inner())
            }))
        };
        let readers: Vec<_> = (0..depth).map(read).collect();
        let sample = lanes.measure(tokio::time::sleep).await;
        for reader in readers {
            reader.await??;
        }
        Ok(sample)
    });
    Ok(measured?)
}

/// Reads on monoio.
pub(super) fn monoio(job: Job<'_>) -> Result<Sample, Fault> {
    use monoio::buf::IoBufMut;
    use monoio::fs::File;
    use monoio::{IoUringDriver, RuntimeBuilder};

    let (depth, lanes) = (job.depth, Lanes::of(&job));
    let mut runtime =
        RuntimeBuilder::<IoUringDriver>::new().with_entries(entries_for(depth)).enable_timer().build()?;
    let measured: io::Result<Sample> = runtime.block_on(async {
        let file = Rc::new(File::from_std(job.file)?);
        let read = |lane| {
            let (file, lanes) = (file.clone(), lanes.clone());
            monoio::spawn(lanes.read(lane, async move |buffer, range, offset| {
                let (read, part) = file.read_at(buffer.slice_mut(range), offset).await;
                (read, part.into_inner())
            }))
        };
        let readers: Vec<_> = (0..depth).map(read).collect();
        let sample = lanes.measure(monoio::time::sleep).await;
        for reader in readers {
            reader.await?;
        }
        Ok(sample)
    });
    Ok(measured?)
}

/// Reads on compio, which opens the file itself.
pub(super) fn compio(job: Job<'_>, direct: bool) -> Result<Sample, Fault> {
    use compio::BufResult;
    use compio::buf::{IntoInner, IoBuf};
    use compio::driver::ProactorBuilder;
    use compio::fs::OpenOptions;
    use compio::io::AsyncReadAt;
    use compio::runtime::RuntimeBuilder;

    let (depth, lanes) = (job.depth, Lanes::of(&job));
    let mut proactor = ProactorBuilder::new();
    proactor.capacity(entries_for(depth));
    let runtime = RuntimeBuilder::new().with_proactor(proactor).build()?;
    let measured: io::Result<Sample> = runtime.block_on(async {
        let flags = if direct { libc::O_DIRECT } else { 0 };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags);
        let file = Rc::new(options.open(&job.subject.path).await?);
        let read = |lane| {
            let (file, lanes) = (file.clone(), lanes.clone());
            compio::runtime::spawn(lanes.read(lane, async move |buffer, range, offset| {
                let BufResult(read, part) = file.read_at(buffer.slice(range), offset).await;
                (read, part.into_inner())
            }))
        };
        let readers: Vec<_> = (0..depth).map(read).collect();
        let sample = lanes.measure(compio::time::sleep).await;
        for reader in readers {
            reader.await.map_err(|_panic| io::Error::other("a task that reads panicked"))??;
        }
        Ok(sample)
    });
    Ok(measured?)
}

/// What the tasks of a reader have in common with the one that measures.
#[derive(Debug)]
struct Lanes {
    area: Area,
    window: Window,
    /// How many reads were made.
    reads: Cell<u64>,
    /// Asks the tasks to end.
    stop: Cell<bool>,
    /// Whether a task has ended.
    has_ended: Cell<bool>,
}

impl Lanes {
    fn of(job: &Job<'_>) -> Rc<Self> {
        let (area, window) = (job.area(), job.window);
        Rc::new(Self {
            area,
            window,
            reads: Cell::default(),
            stop: Cell::default(),
            has_ended: Cell::default(),
        })
    }

    /// A task: reads one block after the other. `read` is given a buffer, which part of it is aligned and to be read
    /// into, and an offset of the file; it brings the number of bytes and the buffer.
    async fn read(
        self: Rc<Self>,
        lane: u32,
        read: impl AsyncFn(Vec<u8>, Range<usize>, u64) -> (io::Result<usize>, Vec<u8>),
    ) -> io::Result<()> {
        let ended = self.read_until_asked_to_stop(lane, read).await;
        self.has_ended.set(true);
        ended
    }

    async fn read_until_asked_to_stop(
        &self,
        lane: u32,
        read: impl AsyncFn(Vec<u8>, Range<usize>, u64) -> (io::Result<usize>, Vec<u8>),
    ) -> io::Result<()> {
        let mut offsets = Offsets::of_lane(self.area.blocks, lane);
        let mut buffer = vec![0; 2 * BLOCK as usize];
        let start = buffer.as_ptr().align_offset(BLOCK as usize);
        while !self.stop.get() {
            let block = offsets.next_block();
            let count;
            (count, buffer) = read(buffer, start..start + BLOCK as usize, block * u64::from(BLOCK)).await;
            // Some runtimes cut a buffer to what was read.
            let found = buffer.get(start..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
            self.area.check(block, count?, found)?;
            self.reads.set(self.reads.get() + 1);
        }
        Ok(())
    }

    /// Measures the tasks while they run, and asks them to end.
    async fn measure(&self, sleep: impl AsyncFn(Duration)) -> Sample {
        let progress = || Progress { units: self.reads.get(), has_ended: self.has_ended.get() };
        let sample = meter::watch(self.window, sleep, progress).await;
        self.stop.set(true);
        sample
    }
}
