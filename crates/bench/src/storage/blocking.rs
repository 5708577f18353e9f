//! Reads as `tokio::fs` makes them: each is a closure on the threads of the blocking pool, with one task for each read
//! under way.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::runtime;
use tokio::task::{JoinSet, spawn_blocking};

use super::Job;
use super::block::{Area, Block, Offsets};
use crate::meter::{self, Progress};
use crate::report::{Fault, Sample};

pub(super) fn measure(job: Job<'_>) -> Result<Sample, Fault> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let (area, window, depth, blocks) = (job.area(), job.window, job.depth, job.subject.blocks);
    let shared = Arc::new(Shared {
        file: job.file,
        area,
        reads: 0.into(),
        stop: false.into(),
        has_ended: false.into(),
    });
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for lane in 0..depth {
            tasks.spawn(read(Arc::clone(&shared), Offsets::of_lane(blocks, lane)));
        }
        let sample = meter::watch(window, tokio::time::sleep, || shared.progress()).await;
        shared.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(sample)
    })
}

struct Shared {
    file: File,
    area: Area,
    /// How many reads were made. Written by tasks on the one thread of the runtime, which also reads it: it orders
    /// nothing.
    reads: AtomicU64,
    /// Asks the tasks to end. As above.
    stop: AtomicBool,
    /// Whether a task has ended. As above.
    has_ended: AtomicBool,
}

impl Shared {
    fn progress(&self) -> Progress {
        let (units, has_ended) = (self.reads.load(Ordering::Relaxed), self.has_ended.load(Ordering::Relaxed));
        Progress { units, has_ended }
    }
}

/// A task: reads one block after the other.
async fn read(shared: Arc<Shared>, offsets: Offsets) -> io::Result<()> {
    let ended = read_until_asked_to_stop(&shared, offsets).await;
    shared.has_ended.store(true, Ordering::Relaxed);
    ended
}

async fn read_until_asked_to_stop(shared: &Arc<Shared>, mut offsets: Offsets) -> io::Result<()> {
    let mut buffer = Block::new();
    while !shared.stop.load(Ordering::Relaxed) {
        let block = offsets.next_block();
        let in_pool = Arc::clone(shared);
        let read = spawn_blocking(move || {
            let outcome = in_pool.area.pread(&in_pool.file, block, &mut buffer);
            (outcome, buffer)
        });
        let outcome;
        (outcome, buffer) = read.await.map_err(io::Error::other)?;
        outcome?;
        shared.reads.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
