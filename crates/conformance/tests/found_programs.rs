//! Programs that once told two back ends apart, or that show a corner where they well might, as the hunt printed them.
//!
//! Each runs on the kernel and on every other back end, and must come to the same.

use std::io::Write as _;

use annulus_conformance::backends;
use annulus_conformance::programs::prelude::*;
use annulus_conformance::programs::{Hunt, Verdict};

/// Compares every back end with the first on this program.
fn holds(program: Program) {
    let backends = backends();
    for subject in &backends {
        match Hunt::new(&backends[0], subject).check(&program) {
            Ok(Verdict::Same | Verdict::Unsteady(_)) => {}
            Ok(other) => panic!("{}: {other:#?}", subject.name),
            Err(skip) => {
                let _ = writeln!(std::io::stderr(), "SKIP: {}: {skip}", subject.name);
            }
        }
    }
}

#[test]
fn a_failed_member_of_a_chain_behind_a_silent_one_is_silent_or_not_on_every_back_end() {
    holds(Program {
        ring: RingShape { mode: Deferred, entries: 8, cq_entries: 64, submit_all: false },
        steps: vec![
            Push(Request {
                name: 1,
                flags: 68,
                op: Read { at: Reader(0), len: 20, offset: -1, memory: Own },
                tweak: Nothing,
            }),
            Push(Request { name: 2, flags: 0, op: LinkTimeout { wait: Short }, tweak: Nothing }),
            Push(Request { name: 3, flags: 4, op: Nop { result: -18 }, tweak: Nothing }),
            Push(Request { name: 4, flags: 64, op: Nop { result: 0 }, tweak: Nothing }),
            Submit,
            Settle,
            Feed { at: Writer(0), len: 5 },
            Settle,
        ],
    });
}

#[test]
fn a_refused_entry_leaves_the_rest_in_the_queue_on_every_back_end() {
    holds(Program {
        ring: RingShape { mode: Interrupt, entries: 8, cq_entries: 64, submit_all: false },
        steps: vec![
            Push(Request { name: 1, flags: 4, op: Nop { result: 0 }, tweak: Nothing }),
            Push(Request { name: 2, flags: 4, op: Nop { result: 0 }, tweak: Ioprio(1) }),
            Push(Request { name: 3, flags: 0, op: Nop { result: 0 }, tweak: Nothing }),
            Push(Request { name: 4, flags: 0, op: Nop { result: 7 }, tweak: Nothing }),
            Submit,
            Settle,
            Submit,
            Settle,
        ],
    });
}

#[test]
fn a_pipe_that_is_full_takes_what_it_can_on_every_back_end() {
    holds(Program {
        ring: RingShape { mode: Interrupt, entries: 8, cq_entries: 64, submit_all: false },
        steps: vec![
            Push(Request {
                name: 1,
                flags: 4,
                op: Write { at: Writer(0), len: 4097, offset: -1, memory: Parts },
                tweak: Nothing,
            }),
            Push(Request { name: 2, flags: 0, op: Nop { result: 0 }, tweak: Nothing }),
            Push(Request {
                name: 3,
                flags: 16,
                op: Write { at: Writer(1), len: 4097, offset: -1, memory: Own },
                tweak: Nothing,
            }),
            Submit,
            Settle,
            Take { at: Reader(1), len: 100 },
            Settle,
            Take { at: Reader(1), len: 4096 },
            Settle,
        ],
    });
}
