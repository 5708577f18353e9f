//! Programs under [`Faulty`]: whatever a back end may answer to a call, nothing is lost and nothing comes twice.
#![allow(unsafe_code, reason = "pushes NOPs, and reads into buffers that are never freed")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annulus::owned::{Handle, Nop, OwnedRing, Read, Ticket, Write};
use annulus::types::{Fd, SubmitArgs, Timespec};
use annulus::{IoUring, SetupError, opcode};
use annulus_conformance::faulty::{Fault, Faults, Faulty};
use annulus_conformance::programs::{Hunt, Verdict};
use annulus_conformance::{BackendUnderTest, Buffer, Setup, backends};

/// A ring of each back end with these faults; none, with the reason printed, where there is no io_uring.
fn rings(faults: impl Fn() -> Arc<Faults>) -> Vec<(&'static str, IoUring, Arc<Faults>)> {
    let mut rings = Vec::new();
    for backend in backends() {
        match (backend.open)(&Setup::new(8)) {
            Ok(ring) => {
                let faults = faults();
                let ring = Faulty::ring(ring, &faults).expect("the ring of a builder");
                rings.push((backend.name, ring, faults));
            }
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "SKIP: {}: {error}", backend.name);
            }
        }
    }
    rings
}

fn owned(ring: IoUring) -> OwnedRing {
    // SAFETY: nobody has used the ring, or can from now on.
    unsafe { OwnedRing::from_ring(ring) }
}

fn push(ring: &mut IoUring, user_data: u64) -> bool {
    let nop = opcode::Nop::new().build().user_data(user_data);
    // SAFETY: a NOP names no memory.
    unsafe { ring.submission().push(&nop) }.is_ok()
}

fn errno(outcome: std::io::Result<usize>) -> Result<usize, i32> {
    outcome.map_err(|error| error.raw_os_error().expect("an errno"))
}

#[test]
fn a_short_submit_takes_so_many_and_leaves_the_rest_queued() {
    for (name, mut ring, faults) in rings(|| Faults::script([Fault::Short(3), Fault::None])) {
        assert!((0..5).all(|n| push(&mut ring, n)));
        assert_eq!(errno(ring.submit()), Ok(3), "{name}");
        assert_eq!(ring.submission().len(), 2, "{name}");
        assert_eq!(errno(ring.submit_and_wait(5)), Ok(2), "{name}");
        assert_eq!(ring.completion().map(|cqe| cqe.user_data()).collect::<BTreeSet<_>>().len(), 5, "{name}");
        assert_eq!(faults.count(Fault::Short(3)), 1, "{name}");
    }
}

#[test]
fn a_refused_call_takes_nothing() {
    for (name, mut ring, faults) in rings(|| Faults::script([Fault::Again, Fault::Busy, Fault::None])) {
        assert!(push(&mut ring, 7));
        assert_eq!(errno(ring.submit()), Err(libc::EAGAIN), "{name}");
        assert_eq!(errno(ring.submit()), Err(libc::EBUSY), "{name}");
        assert_eq!(ring.submission().len(), 1, "{name}");
        assert_eq!(errno(ring.submit_and_wait(1)), Ok(1), "{name}");
        assert_eq!(ring.completion().next().map(|cqe| cqe.user_data()), Some(7), "{name}");
        assert_eq!((faults.count(Fault::Again), faults.count(Fault::Busy)), (1, 1), "{name}");
    }
}

#[test]
fn an_interrupted_wait_says_so_only_if_nothing_was_taken() {
    for (name, mut ring, _) in rings(|| Faults::script([Fault::Interrupted, Fault::Interrupted, Fault::Late]))
    {
        assert!(push(&mut ring, 7));
        assert_eq!(errno(ring.submit_and_wait(9)), Ok(1), "{name}");
        assert_eq!(errno(ring.submit_and_wait(9)), Err(libc::EINTR), "{name}");
        let time = Timespec::from(Duration::from_secs(3600));
        let waited = ring.submitter().submit_with_args(9, &SubmitArgs::new().timespec(&time));
        assert_eq!(errno(waited), Err(libc::ETIME), "{name}: late, and told at once");
        assert_eq!(ring.completion().next().map(|cqe| cqe.user_data()), Some(7), "{name}");
    }
}

#[test]
fn a_loop_that_tries_again_gets_every_completion_once() {
    const REQUESTS: u64 = 5_000;
    for (name, mut ring, faults) in rings(|| Faults::seeded(11, 3, &Fault::ALL)) {
        let (mut pushed, mut seen) = (0, BTreeSet::new());
        while (seen.len() as u64) < REQUESTS {
            while pushed < REQUESTS && push(&mut ring, pushed) {
                pushed += 1;
            }
            let passing = [libc::EINTR, libc::EAGAIN, libc::EBUSY, libc::ETIME];
            if let Err(error) = errno(ring.submit_and_wait(1)) {
                assert!(passing.contains(&error), "{name}: {error}");
            }
            for cqe in ring.completion() {
                assert_eq!(cqe.result(), 0, "{name}");
                assert!(seen.insert(cqe.user_data()), "{name}: {} came twice", cqe.user_data());
            }
        }
        let idle = Fault::ALL.into_iter().filter(|fault| faults.count(*fault) == 0);
        assert_eq!(idle.collect::<Vec<_>>(), [], "{name}: each kind came to pass");
    }
}

#[test]
fn operations_that_own_their_buffers_get_them_all_back() {
    for (name, ring, faults) in rings(|| Faults::seeded(5, 2, &Fault::ALL)) {
        let mut ring = owned(ring);
        let file = Handle::from(tempfile::tempfile().expect("a file"));
        for round in 0..200_u8 {
            let offset = u64::from(round) * 4;
            let mut write: Ticket<Write<Vec<u8>>> = loop {
                match ring.push(Write::new(&file, vec![round; 4]).offset(offset)) {
                    Ok(ticket) => break ticket,
                    Err(_) => drop(ring.submit_and_wait(1)),
                }
            };
            let nop = ring.push(Nop::new());
            let (written, buffer) = patiently(&mut ring, &mut write);
            assert_eq!((written, buffer), (Ok(4), vec![round; 4]), "{name}");
            if let Ok(mut nop) = nop {
                assert_eq!(patiently(&mut ring, &mut nop), Ok(0), "{name}");
            }
            let mut read = ring.push(Read::new(&file, vec![0; 4]).offset(offset)).expect("room again");
            assert_eq!(patiently(&mut ring, &mut read), (Ok(4), vec![round; 4]), "{name}");
        }
        assert_eq!(ring.in_flight(), 0, "{name}");
        assert!(
            Fault::ALL.iter().all(|fault| faults.count(*fault) > 0 || *fault == Fault::Short(1)),
            "{name}"
        );
    }
}

/// Waits for an operation, and goes on after what passes.
fn patiently<O: annulus::owned::Operation>(ring: &mut OwnedRing, ticket: &mut Ticket<O>) -> O::Output {
    loop {
        match ring.wait_for(*ticket) {
            Ok(output) => return output,
            Err(error) => {
                let passes = [Some(libc::EAGAIN), Some(libc::EBUSY), Some(libc::ETIME)];
                assert!(passes.contains(&error.raw_os_error()), "{error}");
            }
        }
    }
}

#[test]
fn a_ring_dropped_under_faults_ends_what_it_had_in_flight() {
    let mut spoilt = 0;
    for seed in 0..10 {
        for (name, ring, faults) in rings(|| Faults::seeded(seed, 2, &Fault::ALL)) {
            let (reader, mut writer) = std::io::pipe().expect("a pipe");
            let mut ring = owned(ring);
            let reader = Handle::from(std::os::fd::OwnedFd::from(reader));
            for _ in 0..4 {
                assert!(ring.push(Read::new(&reader, vec![0; 64])).is_ok());
            }
            while ring.submit().is_err() {}
            drop(ring);
            drop(reader);
            // Each read in flight would hold the pipe open.
            let broken = (0..5_000).any(|_| {
                std::thread::sleep(Duration::from_millis(1));
                writer.write(&[1]).is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
            });
            assert!(broken, "{name}: a read is still in flight");
            spoilt += Fault::ALL.iter().map(|fault| faults.count(*fault)).sum::<u64>();
        }
    }
    assert!(spoilt > 0 || backends().iter().all(|backend| backend.opcodes().is_err()), "no call was spoilt");
}

#[test]
fn overflow_under_faults_loses_no_completion() {
    for backend in backends() {
        let mut setup = Setup::new(8);
        setup.cq_entries = Some(8);
        let Ok(ring) = (backend.open)(&setup) else { continue };
        let faults = Faults::seeded(3, 3, &Fault::ALL);
        let mut ring = Faulty::ring(ring, &faults).expect("the ring of a builder");
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let buffers: Vec<Buffer> = (0..24).map(|_| Buffer::new(1)).collect();
        let mut pushed = 0;
        for (n, buffer) in (0_u64..).zip(&buffers) {
            let read = opcode::Read::new(Fd(reader.as_raw_fd()), buffer.ptr(), 1).build().user_data(n);
            // SAFETY: the buffer is never freed.
            while unsafe { ring.submission().push(&read) }.is_err() {
                let _ = ring.submit();
            }
            pushed += 1;
        }
        while !ring.submission().is_empty() {
            let _ = ring.submit();
        }
        writer.write_all(&[1; 24]).expect("the pipe has room");
        let mut seen = BTreeSet::new();
        while seen.len() < pushed {
            let _ = ring.submit_and_wait(1);
            seen.extend(ring.completion().map(|cqe| (cqe.user_data(), cqe.result())));
        }
        assert!(seen.iter().all(|(_, result)| *result == 1), "{}: {seen:?}", backend.name);
    }
}

/// The faults of every ring that was opened by [`open_faulty`].
static OPENED: Mutex<Vec<Arc<Faults>>> = Mutex::new(Vec::new());

/// A ring of the first back end that is interrupted and refused at random. Without short submits, as they cut
/// chains, and without late completions, of which programs here are promised that they are not late.
fn open_faulty(setup: &Setup) -> Result<IoUring, SetupError> {
    static SEED: AtomicU64 = AtomicU64::new(0);
    let ring = (backends()[0].open)(setup)?;
    // Relaxed: numbers that differ are all that is asked for.
    let seed = SEED.fetch_add(1, Ordering::Relaxed);
    let faults = Faults::seeded(seed, 3, &[Fault::Interrupted, Fault::Again, Fault::Busy]);
    OPENED.lock().expect("the list").push(Arc::clone(&faults));
    Ok(Faulty::ring(ring, &faults).expect("the ring of a builder"))
}

#[test]
fn random_programs_come_to_the_same_under_faults() {
    let backends = backends();
    let reference: &BackendUnderTest = &backends[0];
    if let Err(error) = reference.opcodes() {
        let _ = writeln!(std::io::stderr(), "SKIP: no ring: {error}");
        return;
    }
    let faulty = reference.variant("faulty", open_faulty);
    let mut hunt = Hunt::new(reference, &faulty);
    for seed in 0..300 {
        match hunt.seed(seed).expect("rings as before") {
            Verdict::Different(differences) => panic!("{}", hunt.pin_down(seed, differences)),
            Verdict::Same | Verdict::Unsteady(_) | Verdict::Racing(_) => {}
        }
    }
    let opened = OPENED.lock().expect("the list");
    for fault in [Fault::Interrupted, Fault::Again, Fault::Busy] {
        let count: u64 = opened.iter().map(|faults| faults.count(fault)).sum();
        assert!(count > 50, "{fault:?} came to pass {count} times");
    }
}
