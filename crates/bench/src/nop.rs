//! `annulus bench ring`: what a round trip through a ring costs, by NOPs in batches.
//!
//! The same text is compiled against `annulus` and against the `io-uring` crate.
#![allow(unsafe_code, reason = "pushing is unsafe; what is pushed here are NOPs")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backend::Back;
use crate::meter::{self, Window};
use crate::report::{Case, Fault, Metric, Sample};
use crate::run::{Contender, Runner};
use crate::worker;
use crate::{BenchError, within};

/// Whose ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ring {
    Annulus(Back),
    IoUringCrate,
}

/// What a measuring process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) ring: Ring,
    /// NOPs for each call.
    pub(crate) batch: u32,
    pub(crate) window: Window,
}

/// The largest batch: what the rings have room for.
const MOST: u32 = 1024;

/// How many NOPs at least go between two readings of the clock.
const PER_TURN: u32 = 256;

/// Which batches are measured.
#[derive(Clone, Debug)]
pub struct RingBench {
    /// NOPs for each call, 1 to 1024.
    pub batches: Vec<u32>,
}

impl Default for RingBench {
    fn default() -> Self {
        Self { batches: vec![1, 8, 32] }
    }
}

/// Runs the bench.
pub(crate) fn run(bench: &RingBench, runner: &mut Runner<'_>) -> Result<Vec<Case>, BenchError> {
    let rings = Back::ALL.map(|back| Contender::new(back.name(), Ring::Annulus(back)));
    let peer = Contender::new("io-uring crate", Ring::IoUringCrate);
    let contenders = runner.select(rings.into_iter().chain([peer]).collect())?;
    for batch in &bench.batches {
        within("NOPs in a batch", u64::from(*batch), 1, MOST.into())?;
    }
    let window = runner.window();
    let case = |batch: &u32| {
        let name = format!("NOP, {batch} in a batch");
        let parameters = BTreeMap::from([("batch", u64::from(*batch))]);
        runner.case(name, parameters, Metric::Operations, &contenders, |runner, ring| {
            runner.measure(worker::Task::Nop(Task { ring: *ring, batch: *batch, window }))
        })
    };
    Ok(bench.batches.iter().map(case).collect())
}

/// What a measuring process does.
pub(crate) fn measure(task: &Task) -> Result<Sample, Fault> {
    let Task { batch, window, .. } = *task;
    let entries = batch.next_power_of_two();
    let trips = PER_TURN.div_ceil(batch);
    match task.ring {
        Ring::Annulus(back) => {
            let mut ring = back.ring(entries, 2 * entries)?;
            meter::measure(window, || with_annulus::turn(&mut ring, batch, trips))
        }
        Ring::IoUringCrate => {
            let mut builder = io_uring::IoUring::builder();
            builder.setup_single_issuer().setup_defer_taskrun().setup_cqsize(2 * entries);
            let mut ring = builder.build(entries).map_err(|error| Fault::Refused(error.to_string()))?;
            meter::measure(window, || with_io_uring::turn(&mut ring, batch, trips))
        }
    }
}

macro_rules! turn {
    ($module:ident, $name:ident) => {
        mod $module {
            use std::io;

            use $name::{IoUring, opcode};

            use crate::report::Fault;

            /// Some round trips of a batch; the number of NOPs that came back.
            pub(super) fn turn(ring: &mut IoUring, batch: u32, trips: u32) -> Result<u64, Fault> {
                for _ in 0..trips {
                    trip(ring, batch)?;
                }
                Ok(u64::from(batch) * u64::from(trips))
            }

            /// Pushes a batch, submits it and waits for all of it, takes it out.
            fn trip(ring: &mut IoUring, batch: u32) -> Result<(), Fault> {
                let mut queue = ring.submission();
                for number in 0..u64::from(batch) {
                    let nop = opcode::Nop::new().build().user_data(number);
                    // SAFETY: a NOP names no memory.
                    unsafe { queue.push(&nop) }.map_err(io::Error::other)?;
                }
                drop(queue);
                ring.submit_and_wait(batch as usize)?;
                // Completions of NOPs come in the order of their submission.
                let mut expected = 0;
                for completion in ring.completion() {
                    if completion.result() != 0 || completion.user_data() != expected {
                        return Err(Fault::Failed(format!(
                            "not the completion of NOP {expected}: {completion:?}"
                        )));
                    }
                    expected += 1;
                }
                if expected != u64::from(batch) {
                    return Err(Fault::Failed(format!("{expected} of {batch} NOPs came back")));
                }
                Ok(())
            }
        }
    };
}

turn!(with_annulus, annulus);
turn!(with_io_uring, io_uring);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_ring_brings_back_whole_batches() {
        let rings = Back::ALL.map(Ring::Annulus).into_iter().chain([Ring::IoUringCrate]);
        for ring in rings {
            for batch in [1, 7, 32] {
                let task = Task { ring, batch, window: Window::of(Duration::from_millis(5)) };
                let sample = measure(&task).unwrap();
                assert!(
                    sample.units >= 256 && sample.units.is_multiple_of(u64::from(batch)),
                    "{ring:?}: {sample:?}"
                );
                assert!(sample.wall_ns >= 5_000_000 && sample.cpu_ns > 0, "{ring:?}: {sample:?}");
            }
        }
    }
}
