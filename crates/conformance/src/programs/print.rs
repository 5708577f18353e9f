//! A program as Rust text: a test that can be pasted into `tests/found_programs.rs` and run.

use std::fmt::Write;

use super::program::Program;

/// The text of a test that runs the program on both back ends, under this name.
///
/// ```
/// use annulus_conformance::programs::{generate, print};
///
/// assert!(print(&generate(7), "seed_7_once_failed").starts_with("#[test]\nfn seed_7_once_failed()"));
/// ```
#[must_use]
pub fn print(program: &Program, name: &str) -> String {
    let mut text = format!("#[test]\nfn {name}() {{\n    holds(Program {{\n");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "        ring: {:?},", program.ring);
    text.push_str("        steps: vec![\n");
    for step in &program.steps {
        let _ = writeln!(text, "            {step:?},");
    }
    text.push_str("        ],\n    });\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::prelude::*;

    #[test]
    fn a_printed_program_is_the_text_of_itself() {
        let program = Program {
            ring: RingShape { mode: Deferred, entries: 8, cq_entries: 64, submit_all: false },
            steps: vec![
                Push(Request { name: 1, flags: 4, op: Nop { result: -18 }, tweak: Nothing }),
                Push(Request {
                    name: 2,
                    flags: 0,
                    op: Read { at: Slot(0), len: 3, offset: -1, memory: Select(1) },
                    tweak: Ioprio(1),
                }),
                Feed { at: Near(0), len: 5 },
                Register(SyncCancel { of: 2 }),
            ],
        };
        let text = "#[test]
fn it_is_text() {
    holds(Program {
        ring: RingShape { mode: Deferred, entries: 8, cq_entries: 64, submit_all: false },
        steps: vec![
            Push(Request { name: 1, flags: 4, op: Nop { result: -18 }, tweak: Nothing }),
            Push(Request { name: 2, flags: 0, op: Read { at: Slot(0), len: 3, offset: -1, memory: Select(1) }, tweak: Ioprio(1) }),
            Feed { at: Near(0), len: 5 },
            Register(SyncCancel { of: 2 }),
        ],
    });
}
";
        assert_eq!(print(&program, "it_is_text"), text);
    }
}
