//! Writes `benches/results.json` and `benches/RESULTS.md` from what the last run of the benches left behind.
//!
//! ```text
//! cargo bench -p annulus-rt --bench executor
//! cargo bench -p annulus-rt --bench results
//! ```
//!
//! The first command measures; criterion keeps its estimates under `target/criterion`. This program measures nothing: see
//! [`estimates`], which it takes the medians from. It ends with an error if this crate is slower than its peer by more than
//! noise explains.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;

use estimates::{Bench, Median, OWN, kernel, processor};

#[path = "../../ring/benches/estimates/mod.rs"]
mod estimates;

const PEER: &str = "tokio";

fn main() -> Result<(), Box<dyn Error>> {
    estimates::keep(PEER, as_markdown)
}

fn as_markdown(benches: &BTreeMap<String, Bench>) -> String {
    let mut text = format!(
        "# What the executor costs\n\n\
         Written by `cargo bench -p annulus-rt --bench results` from what `cargo bench -p annulus-rt --bench executor` \
         measured; the numbers\nwith their intervals are in [results.json](results.json). The peer is tokio's current-thread \
         runtime. Both ran in the same run, by\nturns in several passes, of which each counts with its fastest.\n\n\
         Nanoseconds for one task, wake, yield or timer: the median, and the interval that it lies in with 95 % confidence. {}, Linux {}.\n\n\
         | Bench | `{OWN}` | `{PEER}` | Ratio |\n|---|---|---|---|\n",
        processor(),
        kernel()
    );
    for (name, bench) in benches {
        let (own, peer) = (bench[OWN], bench[PEER]);
        let ratio = own.point / peer.point;
        let _ = writeln!(text, "| {name} | {} | {} | {ratio:.2} |", cell(own), cell(peer));
    }
    text
}

fn cell(median: Median) -> String {
    format!("{:.1} ({:.1} to {:.1})", median.point, median.low, median.high)
}
