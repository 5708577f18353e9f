//! What an entry costs on its way into the submission queue, and out of the completion queue.
//!
//! The same text is compiled against this crate and against the `io-uring` crate, and both run in one
//! group on rings with the same set-up flags. Nothing here measures the kernel: the clock stops before the
//! queue is submitted, and starts again when the completions lie there.
#![allow(
    unsafe_code,
    reason = "pushing is unsafe; these benches push NOPs and reads that the clock never sees run"
)]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

/// How many entries pass between two looks at the clock: a full submission queue.
const ENTRIES: u32 = 256;

/// The benches, against the crate of this name.
macro_rules! queues {
    ($name:ident) => {
        mod $name {
            use std::hint::black_box;
            use std::time::{Duration, Instant};

            use super::ENTRIES;
            use $name::{IoUring, opcode, squeue, types};

            pub(crate) fn ring() -> IoUring {
                let mut builder = IoUring::builder();
                builder.setup_single_issuer().setup_defer_taskrun().setup_no_sqarray();
                builder.build(ENTRIES).expect("a ring of 256 entries")
            }

            fn nop(user_data: u64) -> squeue::Entry {
                opcode::Nop::new().build().user_data(user_data)
            }

            fn read(buffer: &mut [u8; 64], user_data: u64) -> squeue::Entry {
                // No such descriptor, so that the read fails before it touches anything.
                opcode::Read::new(types::Fd(-1), buffer.as_mut_ptr(), 64).build().user_data(user_data)
            }

            /// Submits what was pushed and empties the completion queue, beside the clock.
            fn drain(ring: &mut IoUring) {
                ring.submit_and_wait(ENTRIES as usize).expect("submitting");
                assert_eq!(ring.completion().count(), ENTRIES as usize);
            }

            /// Submits a queue of NOPs, so that as many completions wait, beside the clock.
            fn fill(ring: &mut IoUring) {
                let mut queue = ring.submission();
                for n in 0..u64::from(ENTRIES) {
                    // SAFETY: a NOP names no memory.
                    unsafe { queue.push(&nop(n)) }.expect("room");
                }
                drop(queue);
                ring.submit_and_wait(ENTRIES as usize).expect("submitting");
            }

            /// Builds and pushes NOPs through one handle.
            pub(crate) fn push_nop(ring: &mut IoUring, rounds: u64) -> Duration {
                timed(rounds, ring, |ring| {
                    let start = Instant::now();
                    let mut queue = ring.submission();
                    for n in 0..u64::from(ENTRIES) {
                        // SAFETY: a NOP names no memory.
                        unsafe { queue.push(&nop(black_box(n))) }.expect("room");
                    }
                    drop(queue);
                    let took = start.elapsed();
                    drain(ring);
                    took
                })
            }

            /// Builds and pushes reads through one handle.
            pub(crate) fn push_read(ring: &mut IoUring, rounds: u64) -> Duration {
                let mut buffer = [0_u8; 64];
                timed(rounds, ring, |ring| {
                    let start = Instant::now();
                    let mut queue = ring.submission();
                    for n in 0..u64::from(ENTRIES) {
                        // SAFETY: the descriptor is bad, the buffer is never written.
                        unsafe { queue.push(&read(black_box(&mut buffer), n)) }.expect("room");
                    }
                    drop(queue);
                    let took = start.elapsed();
                    drain(ring);
                    took
                })
            }

            /// Pushes NOPs through a handle each, as programs do that borrow the queue anew every time.
            pub(crate) fn push_one_handle_each(ring: &mut IoUring, rounds: u64) -> Duration {
                timed(rounds, ring, |ring| {
                    let start = Instant::now();
                    for n in 0..u64::from(ENTRIES) {
                        // SAFETY: a NOP names no memory.
                        unsafe { ring.submission().push(&nop(black_box(n))) }.expect("room");
                    }
                    let took = start.elapsed();
                    drain(ring);
                    took
                })
            }

            /// Takes completions out by the iterator.
            pub(crate) fn reap_iterator(ring: &mut IoUring, rounds: u64) -> Duration {
                timed(rounds, ring, |ring| {
                    fill(ring);
                    let start = Instant::now();
                    let mut sum = 0_u64;
                    for cqe in ring.completion() {
                        sum = sum.wrapping_add(cqe.user_data() ^ u64::from(cqe.flags()));
                    }
                    let took = start.elapsed();
                    assert_eq!(black_box(sum), u64::from(ENTRIES) * (u64::from(ENTRIES) - 1) / 2);
                    took
                })
            }

            /// Takes completions out through a handle each.
            pub(crate) fn reap_one_handle_each(ring: &mut IoUring, rounds: u64) -> Duration {
                timed(rounds, ring, |ring| {
                    fill(ring);
                    let start = Instant::now();
                    let mut sum = 0_u64;
                    while let Some(cqe) = ring.completion().next() {
                        sum = sum.wrapping_add(cqe.user_data());
                    }
                    let took = start.elapsed();
                    assert_eq!(black_box(sum), u64::from(ENTRIES) * (u64::from(ENTRIES) - 1) / 2);
                    took
                })
            }

            fn timed(
                rounds: u64,
                ring: &mut IoUring,
                mut round: impl FnMut(&mut IoUring) -> Duration,
            ) -> Duration {
                (0..rounds).map(|_| round(ring)).sum()
            }
        }
    };
}

queues!(annulus);
queues!(io_uring);

/// How often both crates take turns at each bench. Of the passes the least disturbed one counts (`results`).
const PASSES: u32 = 5;

/// One group: the bench of this name, against both crates.
macro_rules! group {
    ($criterion:ident, $pass:expr, $($name:ident),*) => {$(
        let mut group = $criterion.benchmark_group(format!("queues/{}/pass {}", stringify!($name), $pass));
        group.throughput(Throughput::Elements(u64::from(ENTRIES))).sampling_mode(SamplingMode::Flat);
        let mut ring = annulus::ring();
        group.bench_function("annulus", |bencher| {
            bencher.iter_custom(|rounds| annulus::$name(&mut ring, rounds));
        });
        let mut ring = io_uring::ring();
        group.bench_function("io-uring", |bencher| {
            bencher.iter_custom(|rounds| io_uring::$name(&mut ring, rounds));
        });
        group.finish();
    )*};
}

fn queues(criterion: &mut Criterion) {
    for pass in 1..=PASSES {
        group!(
            criterion,
            pass,
            push_nop,
            push_read,
            push_one_handle_each,
            reap_iterator,
            reap_one_handle_each
        );
    }
}

/// Many short samples: on a machine that does other things too, most of them are undisturbed, and the median is
/// one of those.
fn short_samples() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(5), Duration::from_millis(20));
    Criterion::default()
        .sample_size(400)
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .nresamples(10_000)
}

criterion_group! { name = benches; config = short_samples(); targets = queues }
criterion_main!(benches);
