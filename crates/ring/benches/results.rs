//! Writes `benches/results.json` and `benches/RESULTS.md` from what the last run of the benches left behind.
//!
//! ```text
//! cargo bench -p annulus --bench queues --bench nop
//! cargo bench -p annulus --bench results
//! ```
//!
//! The first command measures; criterion keeps its estimates under `target/criterion`. This program measures nothing: see
//! [`estimates`], which it takes the medians from. It ends with an error if this crate is slower than its peer by more than
//! noise explains.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;

use estimates::{Bench, Median, OWN, kernel, processor};

mod estimates;

const PEER: &str = "io-uring";
const BY_DESCRIPTOR: &str = "annulus-by-descriptor";

fn main() -> Result<(), Box<dyn Error>> {
    estimates::keep(PEER, as_markdown)
}

fn as_markdown(benches: &BTreeMap<String, Bench>) -> String {
    let mut text = format!(
        "# What the rings cost\n\n\
         Written by `cargo bench -p annulus --bench results` from what `cargo bench -p annulus --bench queues --bench nop` \
         measured; the numbers with\ntheir intervals are in [results.json](results.json). Both crates ran in the same run on rings with \
         the same set-up flags\n(`SINGLE_ISSUER`, `DEFER_TASKRUN`, `NO_SQARRAY`), by turns in five passes, of which each counts with its fastest.\n\n\
         Nanoseconds for one entry: the median, and the interval that it lies in with 95 % confidence. {}, Linux {}.\n\n\
         | Bench | `{OWN}` | `{PEER}` 0.7 | Ratio | `{OWN}`, by descriptor |\n|---|---|---|---|---|\n",
        processor(),
        kernel()
    );
    for (name, bench) in benches {
        let (own, peer) = (bench[OWN], bench[PEER]);
        let ratio = own.point / peer.point;
        let by_descriptor = bench.get(BY_DESCRIPTOR).map_or_else(|| "–".to_owned(), |median| cell(*median));
        let _ = writeln!(text, "| {name} | {} | {} | {ratio:.2} | {by_descriptor} |", cell(own), cell(peer));
    }
    text.push_str(
        "\n`nop/NN` is a round trip in batches of NN: push, submit and wait, take out. `submit_nothing` is a submit \
         with nothing queued,\nwhich this crate answers without a system call. A ring of a single issuer is called through a registered index of its \
         thread, which\nthe peer has for a single `Submitter` only; the last column is the same ring without. `push_*` and `reap_*` never include the kernel.\n",
    );
    text
}

fn cell(median: Median) -> String {
    format!("{:.2} ({:.2} to {:.2})", median.point, median.low, median.high)
}
