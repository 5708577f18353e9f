//! NOP round trips at batches of 1, 8 and 32, and a submit that has nothing to do.
//!
//! The same text is compiled against this crate and against the `io-uring` crate, and both run in one
//! group on rings with the same set-up flags. This crate calls such a ring through a registered index of its
//! thread; `annulus-by-descriptor` is the same ring without that, for the share that it has in the result.
#![allow(unsafe_code, reason = "pushing is unsafe; these benches push NOPs")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const ENTRIES: u32 = 64;

/// The benches, against the crate of this name.
macro_rules! nop {
    ($name:ident) => {
        mod $name {
            use std::hint::black_box;

            use super::ENTRIES;
            use $name::{Builder, IoUring, opcode};

            pub(crate) fn builder() -> Builder {
                let mut builder = IoUring::builder();
                builder.setup_single_issuer().setup_defer_taskrun().setup_no_sqarray();
                builder
            }

            pub(crate) fn ring() -> IoUring {
                builder().build(ENTRIES).expect("a ring of 64 entries")
            }

            /// Pushes a batch, submits and waits for all of it, takes it out.
            pub(crate) fn round_trip(ring: &mut IoUring, batch: u32) {
                let mut queue = ring.submission();
                for n in 0..u64::from(batch) {
                    let nop = opcode::Nop::new().build().user_data(n);
                    // SAFETY: a NOP names no memory.
                    unsafe { queue.push(&nop) }.expect("room");
                }
                drop(queue);
                ring.submit_and_wait(batch as usize).expect("submitting");
                let mut reaped = 0;
                for cqe in ring.completion() {
                    black_box(cqe.user_data());
                    reaped += 1;
                }
                assert_eq!(reaped, batch);
            }

            /// Submits nothing.
            pub(crate) fn submit_nothing(ring: &mut IoUring) {
                black_box(&mut *ring).submit().expect("submitting nothing");
            }
        }
    };
}

nop!(annulus);
nop!(io_uring);

/// How often both crates take turns at each bench. Of the passes the least disturbed one counts (`results`).
const PASSES: u32 = 5;

fn round_trips(criterion: &mut Criterion) {
    for pass in 1..=PASSES {
        round_trip_pass(criterion, pass);
    }
}

fn round_trip_pass(criterion: &mut Criterion, pass: u32) {
    let mut group = criterion.benchmark_group(format!("nop/pass {pass}"));
    group.sampling_mode(SamplingMode::Flat);
    let mut by_index = annulus::ring();
    let mut by_descriptor =
        annulus::builder().registered_ring_fd(false).build(ENTRIES).expect("a ring of 64 entries");
    let mut peer = io_uring::ring();
    for batch in [1, 8, 32] {
        group.throughput(Throughput::Elements(u64::from(batch)));
        group.bench_function(BenchmarkId::new("annulus", batch), |bencher| {
            bencher.iter(|| annulus::round_trip(&mut by_index, batch));
        });
        group.bench_function(BenchmarkId::new("io-uring", batch), |bencher| {
            bencher.iter(|| io_uring::round_trip(&mut peer, batch));
        });
        group.bench_function(BenchmarkId::new("annulus-by-descriptor", batch), |bencher| {
            bencher.iter(|| annulus::round_trip(&mut by_descriptor, batch));
        });
    }
    group.finish();
}

fn empty_submit(criterion: &mut Criterion) {
    let (mut own, mut peer) = (annulus::ring(), io_uring::ring());
    for pass in 1..=PASSES {
        let mut group = criterion.benchmark_group(format!("submit_nothing/pass {pass}"));
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function("annulus", |bencher| bencher.iter(|| annulus::submit_nothing(&mut own)));
        group.bench_function("io-uring", |bencher| bencher.iter(|| io_uring::submit_nothing(&mut peer)));
        group.finish();
    }
}

/// Many short samples: on a machine that does other things too, most of them are undisturbed, and the median is
/// one of those.
fn short_samples() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(20), Duration::from_millis(200));
    Criterion::default()
        .sample_size(1000)
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .nresamples(10_000)
}

criterion_group! { name = benches; config = short_samples(); targets = round_trips, empty_submit }
criterion_main!(benches);
