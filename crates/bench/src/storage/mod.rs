//! `annulus bench storage`: random reads of 4 KiB, from the page cache and past it.
//!
//! Every reader keeps as many reads under way as the depth says and reads blocks of the same random order. Each block of
//! a file of ours begins with its number, which all readers compare.

mod block;
mod blocking;
mod file;
mod resident;
mod ring;
mod runtimes;
mod threads;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::backend::Back;
use crate::meter::Window;
use crate::report::{Case, Fault, Metric, Sample};
use crate::run::{Contender, Runner};
use crate::worker;
use crate::{BenchError, within};
use block::{Area, Offsets};
use file::{Opened, Subject};
use resident::Resident;

/// How reads are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reader {
    /// Through a ring: `READ`, or `READ_FIXED` of a registered file into registered buffers.
    Ring { back: Back, fixed: bool },
    /// On annulus-rt, a task for each read under way.
    Async(Back),
    /// On tokio, through annulus-tokio.
    InTokio(Back),
    /// On tokio-uring, likewise.
    TokioUring,
    /// On monoio, likewise.
    Monoio,
    /// On compio, likewise.
    Compio,
    /// tokio's blocking pool, on which `tokio::fs` reads.
    Tokio,
    /// Threads that take reads from a queue and call pread(2).
    Threads(u32),
    /// pread(2), one after the other.
    Pread,
}

/// What a measuring process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) reader: Reader,
    pub(crate) subject: Subject,
    /// Past the page cache.
    pub(crate) direct: bool,
    /// Reads under way at a time.
    pub(crate) depth: u32,
    pub(crate) window: Window,
}

impl Task {
    /// The back end that the environment of the process has to name, if that is how this reader is told.
    pub(crate) const fn back_by_environment(&self) -> Option<Back> {
        if let Reader::InTokio(back) = self.reader { Some(back) } else { None }
    }
}

/// What is read from.
#[derive(Clone, Debug)]
pub enum StorageFile {
    /// A file that is there. Nothing is written to it.
    Existing(PathBuf),
    /// A file that is written into a directory (by default that for temporary files), and removed at the end.
    Temporary {
        /// Where.
        directory: Option<PathBuf>,
        /// Its size in MiB, 1 to 65,536.
        size_mib: u32,
    },
}

/// Which cases are measured: every depth, cached and direct.
#[derive(Clone, Debug)]
pub struct StorageBench {
    /// What is read from.
    pub file: StorageFile,
    /// Reads under way at a time, 1 to 1024.
    pub depths: Vec<u32>,
}

impl Default for StorageBench {
    fn default() -> Self {
        Self { file: StorageFile::Temporary { directory: None, size_mib: 256 }, depths: vec![1, 64] }
    }
}

/// Runs the bench.
pub(crate) fn run(bench: &StorageBench, runner: &mut Runner<'_>) -> Result<Vec<Case>, BenchError> {
    let contenders = runner.select(contenders())?;
    for depth in &bench.depths {
        within("reads at a time", u64::from(*depth), 1, 1024)?;
    }
    let subject = match &bench.file {
        StorageFile::Existing(path) => Opened::existing(path)?,
        StorageFile::Temporary { directory, size_mib } => {
            within("MiB", u64::from(*size_mib), 1, 65_536)?;
            (runner.progress)("writing the file that is read from");
            Opened::temporary(directory.as_deref(), *size_mib)?
        }
    };
    let mut cases = cached(bench, runner, &contenders, &subject.subject);
    let refusal = subject.subject.direct_refusal().err();
    runner.notes.extend(refusal.clone());
    subject.subject.evict();
    for depth in &bench.depths {
        cases.push(case(
            runner,
            &contenders,
            *depth,
            true,
            |runner, task| match &refusal {
                Some(reason) => Err(Fault::Refused(reason.clone())),
                None => runner.measure(worker::Task::Read(task)),
            },
            &subject.subject,
        ));
    }
    Ok(cases)
}

/// The cases out of the page cache, with the file kept there.
fn cached(
    bench: &StorageBench,
    runner: &mut Runner<'_>,
    contenders: &[Contender<Reader>],
    subject: &Subject,
) -> Vec<Case> {
    // A kernel takes pages away that nobody uses for some seconds, unless they are locked.
    let locked = Resident::lock(subject);
    if let Err(error) = &locked {
        runner.notes.push(format!(
            "the file cannot be locked in memory ({error}): it is read before each measurement"
        ));
    }
    let measure = |runner: &Runner<'_>, task: Task| {
        if locked.is_err() {
            task.subject.read_all()?;
        }
        runner.measure(worker::Task::Read(task))
    };
    bench.depths.iter().map(|depth| case(runner, contenders, *depth, false, measure, subject)).collect()
}

fn case(
    runner: &mut Runner<'_>,
    contenders: &[Contender<Reader>],
    depth: u32,
    direct: bool,
    measure: impl Fn(&Runner<'_>, Task) -> Result<Sample, Fault>,
    subject: &Subject,
) -> Case {
    let how = if direct { "O_DIRECT" } else { "cached" };
    let name = format!("random reads of 4 KiB, {how}, depth {depth}");
    let parameters = BTreeMap::from([("depth", u64::from(depth)), ("direct", u64::from(direct))]);
    let window = runner.window();
    // One pread after the other has no depth.
    let is_in = |contender: &&Contender<Reader>| depth == 1 || contender.what != Reader::Pread;
    let contenders: Vec<_> = contenders.iter().filter(is_in).cloned().collect();
    runner.case(name, parameters, Metric::Reads, &contenders, |runner, reader| {
        measure(runner, Task { reader: *reader, subject: subject.clone(), direct, depth, window })
    })
}

fn contenders() -> Vec<Contender<Reader>> {
    let plain = Back::ALL.map(|back| Contender::new(back.name(), Reader::Ring { back, fixed: false }));
    let fixed = Back::ALL
        .map(|back| Contender::new(format!("{} fixed", back.name()), Reader::Ring { back, fixed: true }));
    let on_runtime =
        Back::ALL.map(|back| Contender::new(format!("{} async", back.name()), Reader::Async(back)));
    let peers = [
        Contender::new("tokio-uring", Reader::TokioUring),
        Contender::new("monoio", Reader::Monoio),
        Contender::new("compio", Reader::Compio),
        Contender::new("tokio blocking pool", Reader::Tokio),
        Contender::new("pool of 4 threads", Reader::Threads(4)),
        Contender::new("pread", Reader::Pread),
    ];
    let in_tokio =
        Back::ALL.map(|back| Contender::new(format!("{} in tokio", back.name()), Reader::InTokio(back)));
    on_runtime.into_iter().chain(in_tokio).chain(plain).chain(fixed).chain(peers).collect()
}

/// What a measuring process does.
pub(crate) fn measure(task: &Task, core: usize) -> Result<Sample, Fault> {
    let Task { reader, subject, direct, depth, window } = task;
    let file = subject.open(*direct)?;
    let job = Job { file, subject, depth: *depth, window: *window };
    match *reader {
        Reader::Ring { back, fixed } => ring::measure(&job, back, fixed, core),
        Reader::Async(back) => runtimes::annulus(job, back),
        // The process was started with a word for this back end.
        Reader::InTokio(_) => runtimes::annulus_in_tokio(job),
        Reader::TokioUring => runtimes::tokio_uring(job),
        Reader::Monoio => runtimes::monoio(job),
        Reader::Compio => runtimes::compio(job, *direct),
        Reader::Tokio => blocking::measure(job),
        Reader::Threads(threads) => threads::measure(job, threads),
        Reader::Pread => threads::pread(&job),
    }
}

/// What every reader starts from.
struct Job<'a> {
    file: File,
    subject: &'a Subject,
    depth: u32,
    window: Window,
}

impl Job<'_> {
    fn area(&self) -> Area {
        Area { blocks: self.subject.blocks, stamped: self.subject.stamped }
    }

    fn offsets(&self) -> Offsets {
        Offsets::new(self.subject.blocks)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn task(reader: Reader, subject: &Subject, direct: bool, depth: u32) -> Task {
        Task {
            reader,
            subject: subject.clone(),
            direct,
            depth,
            window: Window::of(Duration::from_millis(10)),
        }
    }

    #[test]
    fn every_reader_reads_the_right_blocks_at_every_depth() {
        let opened = Opened::temporary(None, 1).unwrap();
        let core = crate::pin::allowed().unwrap()[0];
        let direct = opened.subject.direct_refusal().is_ok();
        for Contender { name, what } in contenders() {
            for depth in [1, 3, 64] {
                for direct in [false, true].into_iter().take(1 + usize::from(direct)) {
                    let sample = measure(&task(what, &opened.subject, direct, depth), core).unwrap();
                    assert!(sample.units > 0, "{name}, {depth}, direct: {direct}: {sample:?}");
                }
            }
        }
    }

    #[test]
    fn every_reader_finds_a_block_that_is_not_the_one_it_asked_for() {
        let opened = Opened::temporary(None, 1).unwrap();
        std::fs::write(&opened.subject.path, vec![0xFF; 1 << 20]).unwrap();
        let core = crate::pin::allowed().unwrap()[0];
        for Contender { name, what } in contenders() {
            let fault = measure(&task(what, &opened.subject, false, 4), core).unwrap_err();
            assert!(fault.to_string().contains("is not there"), "{name}: {fault}");
        }
    }

    #[test]
    fn every_reader_finds_a_file_that_became_too_short() {
        let opened = Opened::temporary(None, 1).unwrap();
        std::fs::write(&opened.subject.path, [0; 100]).unwrap();
        let core = crate::pin::allowed().unwrap()[0];
        for Contender { name, what } in contenders() {
            let fault = measure(&task(what, &opened.subject, false, 4), core).unwrap_err();
            assert!(matches!(&fault, Fault::Failed(_)), "{name}: {fault}");
        }
    }
}
