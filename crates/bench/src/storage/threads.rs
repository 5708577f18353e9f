//! Reads by pread(2): on a pool of threads that take them from a queue, and one after the other without any.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::Job;
use super::block::{Area, Block, Offsets};
use crate::meter;
use crate::report::{Fault, Sample};

/// Reads between two readings of the clock.
const READS: u64 = 16;

/// One after the other.
pub(super) fn pread(job: &Job<'_>) -> Result<Sample, Fault> {
    let (area, mut offsets, mut buffer) = (job.area(), job.offsets(), Block::new());
    meter::measure(job.window, || {
        for _ in 0..READS {
            area.pread(&job.file, offsets.next_block(), &mut buffer)?;
        }
        Ok(READS)
    })
}

/// On a pool of threads.
pub(super) fn measure(job: Job<'_>, threads: u32) -> Result<Sample, Fault> {
    let (depth, window, offsets, area, file) = (job.depth, job.window, job.offsets(), job.area(), job.file);
    let mut pool = Pool::start(Arc::new(Shared::new(file, area)), threads, offsets)?;
    let buffers = (0..depth).map(|_| Read { block: 0, buffer: Block::new(), outcome: Ok(()) });
    pool.submit(buffers.collect());
    meter::measure(window, || pool.turn())
}

/// A read: before it, which block and where to; after it, what came of it.
struct Read {
    block: u64,
    buffer: Box<Block>,
    outcome: io::Result<()>,
}

struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    offsets: Offsets,
}

/// What the threads of a pool have in common with the one that submits.
struct Shared {
    file: File,
    area: Area,
    queue: Mutex<Queue>,
    /// Told when there is something in the queue, or when it ends.
    queued: Condvar,
    done: Mutex<Vec<Read>>,
    /// Told when there is something done.
    finished: Condvar,
}

#[derive(Default)]
struct Queue {
    reads: VecDeque<Read>,
    has_ended: bool,
}

impl Pool {
    fn start(shared: Arc<Shared>, threads: u32, offsets: Offsets) -> io::Result<Self> {
        let mut pool = Self { shared, threads: Vec::new(), offsets };
        for number in 0..threads {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new().name(format!("pread-{number}"));
            pool.threads.push(thread.spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    /// Waits for some reads, and submits as many again; how many they were.
    fn turn(&mut self) -> Result<u64, Fault> {
        let mut reads = self.shared.wait();
        for read in &mut reads {
            mem::replace(&mut read.outcome, Ok(()))?;
        }
        let count = reads.len() as u64;
        self.submit(reads);
        Ok(count)
    }

    /// Gives each read its next block and queues it.
    fn submit(&mut self, mut reads: Vec<Read>) {
        let count = reads.len();
        for read in &mut reads {
            read.block = self.offsets.next_block();
        }
        lock(&self.shared.queue).reads.extend(reads);
        for _ in 0..count.min(self.threads.len()) {
            self.shared.queued.notify_one();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.queue).has_ended = true;
        self.shared.queued.notify_all();
        for thread in self.threads.drain(..) {
            // One that panicked has nothing to hand over.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn new(file: File, area: Area) -> Self {
        Self {
            file,
            area,
            queue: Mutex::default(),
            queued: Condvar::new(),
            done: Mutex::default(),
            finished: Condvar::new(),
        }
    }

    /// What each thread of the pool does, until the queue ends.
    fn work(&self) {
        while let Some(mut read) = self.next() {
            read.outcome = self.area.pread(&self.file, read.block, &mut read.buffer);
            let mut done = lock(&self.done);
            done.push(read);
            // Who waits takes all that are there, so only the first has to wake it.
            if done.len() == 1 {
                self.finished.notify_one();
            }
        }
    }

    fn next(&self) -> Option<Read> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.has_ended {
                return None;
            }
            if let Some(read) = queue.reads.pop_front() {
                return Some(read);
            }
            queue = self.queued.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// All reads that are done, at least one.
    fn wait(&self) -> Vec<Read> {
        let mut done = lock(&self.done);
        while done.is_empty() {
            done = self.finished.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
        mem::take(&mut *done)
    }
}

/// A thread that panicked left queues as they were: nothing is half done in them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
