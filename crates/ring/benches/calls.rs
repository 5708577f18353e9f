//! Single operations, one at a time, on every back end: a NOP, a read of 4 KiB that is in the page cache, and 64 bytes
//! sent and received over a TCP connection of this process; beside them the system calls that do the same.
//!
//! Nothing is batched and nobody else is involved, so this is what one operation costs its caller. Whole programs are
//! compared by `annulus bench`.
//!
//! ```text
//! cargo bench -p annulus --bench calls
//! ```
#![allow(unsafe_code, reason = "pushing is unsafe; the buffers here outlive their rings")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use annulus::{BackendChoice, Builder, IoUring, opcode, squeue, types::Fd};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};

const BLOCK: u32 = 4096;
const MESSAGE: u32 = 64;

/// The back ends, by name.
fn back_ends() -> Vec<(&'static str, Builder)> {
    let on = |choice: BackendChoice| {
        let mut builder = IoUring::builder();
        builder.backend(choice);
        (choice.name(), builder)
    };
    vec![on(BackendChoice::Kernel), on(BackendChoice::Engine)]
}

/// A ring of each back end as a loop of one thread has it. One that is refused here is left out, and said to be.
fn rings() -> Vec<(&'static str, IoUring)> {
    let mut rings = Vec::new();
    for (name, mut builder) in back_ends() {
        builder.setup_single_issuer().setup_defer_taskrun();
        match builder.try_build(8) {
            Ok(ring) => rings.push((name, ring)),
            #[expect(clippy::print_stderr, reason = "the table of criterion has no place for it")]
            Err(error) => eprintln!("{name} is left out: {error}"),
        }
    }
    rings
}

/// Submits entries, waits for all of them, and looks at their results.
fn run<const N: usize>(ring: &mut IoUring, entries: [(squeue::Entry, u32); N]) {
    let mut queue = ring.submission();
    for (number, (entry, _)) in (0..).zip(&entries) {
        // SAFETY: what is pushed here names leaked buffers and files that are open until the ring is gone.
        unsafe { queue.push(&entry.user_data(number)) }.expect("a ring of 8 entries has room");
    }
    drop(queue);
    ring.submit_and_wait(N).expect("submitting");
    let mut seen = 0;
    for completion in ring.completion() {
        let number = usize::try_from(completion.user_data()).expect("the number of an entry");
        assert_eq!(completion.to_result(), Ok(entries[number].1), "entry {number}");
        seen += 1;
    }
    assert_eq!(seen, N);
}

fn nop(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("calls/nop");
    group.sampling_mode(SamplingMode::Flat);
    for (name, mut ring) in rings() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| run(&mut ring, [(opcode::Nop::new().build(), 0)]))
        });
    }
    group.finish();
}

fn cached_read(criterion: &mut Criterion) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&[7; BLOCK as usize]).expect("writing one block");
    let buffer: &'static mut [u8] = vec![0; BLOCK as usize].leak();
    let mut group = criterion.benchmark_group("calls/cached_read");
    group.sampling_mode(SamplingMode::Flat);
    let read = |file: &File, buffer: &mut [u8]| {
        assert_eq!(file.read_at(buffer, 0).expect("reading one block"), BLOCK as usize);
    };
    group.bench_function("pread", |bencher| bencher.iter(|| read(&file, buffer)));
    let address = buffer.as_mut_ptr();
    for (name, mut ring) in rings() {
        let read = opcode::Read::new(Fd(file.as_raw_fd()), address, BLOCK).build();
        group.bench_function(name, |bencher| bencher.iter(|| run(&mut ring, [(read, BLOCK)])));
    }
    group.finish();
}

fn send_and_receive(criterion: &mut Criterion) {
    let (mut near, mut far) = connection();
    let sent: &'static [u8] = vec![7; MESSAGE as usize].leak();
    let received: &'static mut [u8] = vec![0; MESSAGE as usize].leak();
    let mut group = criterion.benchmark_group("calls/send_and_receive");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("send, recv", |bencher| {
        bencher.iter(|| {
            near.write_all(sent).expect("sending");
            far.read_exact(received).expect("receiving");
        });
    });
    let address = received.as_mut_ptr();
    for (name, mut ring) in rings() {
        let send = opcode::Send::new(Fd(near.as_raw_fd()), sent.as_ptr(), MESSAGE).build();
        let recv = opcode::Recv::new(Fd(far.as_raw_fd()), address, MESSAGE).build();
        let entries = [(send, MESSAGE), (recv, MESSAGE)];
        group.bench_function(name, |bencher| bencher.iter(|| run(&mut ring, entries)));
    }
    group.finish();
}

/// Both ends of a TCP connection over loopback.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
    let near = TcpStream::connect(listener.local_addr().expect("its address")).expect("connecting");
    let (far, _) = listener.accept().expect("accepting");
    near.set_nodelay(true).expect("a new socket");
    (near, far)
}

/// Many short samples: on a machine that does other things too, most of them are undisturbed, and the median is
/// one of those.
fn short_samples() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(100), Duration::from_millis(500));
    Criterion::default()
        .sample_size(200)
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .nresamples(10_000)
}

criterion_group! { name = benches; config = short_samples(); targets = nop, cached_read, send_and_receive }
criterion_main!(benches);
