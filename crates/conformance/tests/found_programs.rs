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

#[test]
fn a_request_lets_go_of_its_file_before_what_is_linked_to_it_begins_on_every_back_end() {
    holds(Program {
        ring: RingShape { mode: Interrupt, entries: 8, cq_entries: 64, submit_all: false },
        steps: vec![
            Push(Request {
                name: 1,
                flags: 4,
                op: RecvMsg { at: Client, len: 4097, msg_flags: 0 },
                tweak: Nothing,
            }),
            Push(Request {
                name: 5,
                flags: 0,
                op: Write { at: Server, len: 8, offset: -1, memory: Own },
                tweak: Nothing,
            }),
            Submit,
            Settle,
            CloseOwn(Client),
            Settle,
            Feed { at: Server, len: 64 },
            Settle,
        ],
    });
}

#[test]
fn a_file_that_is_not_there_is_told_before_a_buffer_that_is_not_on_every_back_end() {
    holds(Program {
        ring: RingShape { mode: Interrupt, entries: 16, cq_entries: 64, submit_all: false },
        steps: vec![
            Push(Request {
                name: 3,
                flags: 8,
                op: Timeout { wait: Long, count: 0, flags: 0 },
                tweak: Nothing,
            }),
            Push(Request {
                name: 4,
                flags: 0,
                op: Recv { at: Near(0), len: 0, msg_flags: 0, memory: Select(2) },
                tweak: Nothing,
            }),
            Submit,
            Settle,
            CloseOwn(Near(0)),
            Settle,
        ],
    });
}

#[test]
fn a_worker_takes_a_buffer_of_a_ring_for_good_on_every_back_end() {
    for (incremental, len) in [(false, 0), (true, 0), (true, 10)] {
        let recv = |name, at, flags| {
            let op = Recv { at, len, msg_flags: 0, memory: Select(3) };
            Push(Request { name, flags, op, tweak: Nothing })
        };
        let read = |name, at, flags| {
            let op = Read { at, len, offset: -1, memory: Select(3) };
            Push(Request { name, flags, op, tweak: Nothing })
        };
        holds(Program {
            ring: RingShape { mode: Interrupt, entries: 16, cq_entries: 64, submit_all: false },
            steps: vec![
                Register(BufferRing { group: 3, incremental }),
                recv(1, Near(0), 16),
                Submit,
                Settle,
                read(2, Reader(0), 16),
                Submit,
                Settle,
                recv(3, Near(1), 0),
                Submit,
                Settle,
                Feed { at: Far(1), len: 5 },
                Settle,
                Feed { at: Writer(0), len: 5 },
                Settle,
                Feed { at: Far(0), len: 20 },
                Settle,
                Feed { at: Writer(1), len: 200 },
                Settle,
                Push(Request { name: 4, flags: 0, op: ReadMany { at: Reader(1), group: 3 }, tweak: Nothing }),
                Submit,
                Settle,
            ],
        });
    }
}

#[test]
fn a_worker_that_finds_data_takes_all_of_an_incremental_buffer_on_every_back_end() {
    for len in [0, 10] {
        holds(Program {
            ring: RingShape { mode: Interrupt, entries: 16, cq_entries: 64, submit_all: false },
            steps: vec![
                Register(BufferRing { group: 4, incremental: true }),
                Feed { at: Writer(0), len: 1 },
                Settle,
                Push(Request {
                    name: 1,
                    flags: 16,
                    op: Read { at: Reader(0), len, offset: -1, memory: Select(4) },
                    tweak: Nothing,
                }),
                Submit,
                Settle,
                Push(Request {
                    name: 2,
                    flags: 0,
                    op: Read { at: Reader(0), len: 0, offset: -1, memory: Select(4) },
                    tweak: Nothing,
                }),
                Submit,
                Settle,
                Feed { at: Writer(0), len: 200 },
                Settle,
            ],
        });
    }
}

#[test]
fn nothing_is_written_to_a_socket_as_a_message_or_not_at_all_on_every_back_end() {
    let write = |name, at| {
        let op = Write { at, len: 0, offset: -1, memory: Own };
        Push(Request { name, flags: 0, op, tweak: Nothing })
    };
    holds(Program {
        ring: RingShape { mode: Interrupt, entries: 8, cq_entries: 64, submit_all: false },
        steps: vec![
            write(1, Near(0)),
            write(2, Sender),
            write(3, Client),
            write(4, Writer(0)),
            Submit,
            Settle,
            Take { at: Mailbox, len: 10 },
            Settle,
            ShutdownOwn(Far(0), 0),
            Settle,
            write(5, Near(0)),
            Submit,
            Settle,
        ],
    });
}

#[test]
fn flags_of_a_read_that_nobody_knows_are_refused_before_it_waits_on_every_back_end() {
    for memory in [Own, Select(4)] {
        holds(Program {
            ring: RingShape { mode: Interrupt, entries: 16, cq_entries: 64, submit_all: false },
            steps: vec![
                Register(BufferRing { group: 4, incremental: true }),
                Push(Request {
                    name: 8,
                    flags: 0,
                    op: Read { at: Reader(1), len: 0, offset: -1, memory },
                    tweak: OpFlags(1 << 30),
                }),
                Submit,
                Settle,
            ],
        });
    }
}

#[test]
fn a_splice_of_what_cannot_be_spliced_is_refused_before_it_waits_on_every_back_end() {
    let splice = |name, from, offset, to| {
        let op = Splice { from, offset, to, len: 11 };
        Push(Request { name, flags: 0, op, tweak: Nothing })
    };
    let tee =
        |name, from, to| Push(Request { name, flags: 0, op: Tee { from, to, len: 11 }, tweak: Nothing });
    holds(Program {
        ring: RingShape { mode: Interrupt, entries: 16, cq_entries: 64, submit_all: false },
        steps: vec![
            Feed { at: Writer(1), len: 200 },
            Settle,
            splice(1, Near(0), 0, Writer(1)),
            splice(2, Reader(0), 0, Writer(1)),
            splice(3, Near(0), -1, Client),
            splice(4, Writer(0), -1, Client),
            tee(5, Near(0), Writer(1)),
            tee(6, Reader(0), Client),
            Submit,
            Settle,
        ],
    });
}

#[test]
fn a_multishot_poll_that_is_to_tell_once_tells_once_on_every_back_end() {
    holds(Program {
        ring: RingShape { mode: Interrupt, entries: 16, cq_entries: 64, submit_all: false },
        steps: vec![
            Push(Request {
                name: 8,
                flags: 4,
                op: PollAdd { at: Reader(0), events: 1, multishot: true },
                tweak: OpFlags(1 << 30),
            }),
            Push(Request { name: 10, flags: 0, op: Nop { result: 0 }, tweak: Nothing }),
            Submit,
            Settle,
            CloseOwn(Writer(0)),
            Settle,
        ],
    });
}

#[test]
fn a_bundle_does_not_cut_its_last_buffer_on_any_back_end() {
    let receive = |name, len| {
        let op = RecvBundle { at: Near(0), group: 3, len };
        Push(Request { name, flags: 0, op, tweak: Nothing })
    };
    for len in [40, 100, 200] {
        holds(Program {
            ring: RingShape { mode: Interrupt, entries: 16, cq_entries: 64, submit_all: false },
            steps: vec![
                Register(BufferRing { group: 3, incremental: false }),
                Feed { at: Far(0), len: 200 },
                receive(1, len),
                Submit,
                Settle,
            ],
        });
    }
}

#[test]
fn a_bundle_sends_whole_buffers_on_every_back_end() {
    for len in [0, 40, 64, 100] {
        holds(Program {
            ring: RingShape { mode: Interrupt, entries: 16, cq_entries: 64, submit_all: false },
            steps: vec![
                Register(BufferRing { group: 3, incremental: false }),
                Push(Request {
                    name: 1,
                    flags: 0,
                    op: SendBundle { at: Near(0), group: 3, len },
                    tweak: Nothing,
                }),
                Submit,
                Settle,
                Take { at: Far(0), len: 4096 },
            ],
        });
    }
}

#[test]
fn what_a_polling_thread_takes_is_the_same_on_every_back_end() {
    holds(Program {
        ring: RingShape { mode: SqPoll, entries: 16, cq_entries: 64, submit_all: false },
        steps: vec![
            Push(Request {
                name: 1,
                flags: 4,
                op: Recv { at: Near(0), len: 10, msg_flags: 0, memory: Own },
                tweak: Nothing,
            }),
            Push(Request {
                name: 2,
                flags: 0,
                op: Send { at: Far(1), len: 5, msg_flags: 0 },
                tweak: Nothing,
            }),
            Submit,
            Settle,
            Feed { at: Far(0), len: 10 },
            Settle,
            Take { at: Near(1), len: 64 },
        ],
    });
}
