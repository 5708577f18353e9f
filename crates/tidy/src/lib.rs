//! The house rules that a machine can check, as functions from the source tree to findings.
//!
//! Each check reads a [`Tree`] (every `.rs`, `.toml` and `.md` file of the workspace, lexed once) and
//! returns [`Finding`]s: where, what is wrong, what to do. `tests/tree.rs` runs every check on the
//! repository itself. What the documents say is part of the input: the list of files that may hold
//! `unsafe` stands in ARCHITECTURE.md and nowhere else, so document and code cannot drift apart.
//!
//! Nothing here compiles code or resolves names as the compiler would, and nothing repeats what
//! clippy already refuses. A check errs on the side of silence: what it reports is wrong.
//!
//! ```
//! use annulus_tidy::{Tree, shape};
//!
//! let tree = Tree::of(&[("crates/x/src/lib.rs", "fn lonely() {}\n")]);
//! let findings = shape::openings(&tree);
//! assert_eq!(findings.len(), 1);
//! assert!(findings[0].to_string().starts_with("crates/x/src/lib.rs:1: "));
//! ```

pub mod arrows;
pub mod dependencies;
pub mod doors;
pub mod names;
pub mod purity;
pub mod rooms;
pub mod shape;

mod document;
mod manifest;
mod source;
mod tree;

use std::fmt;

pub use document::{Document, Row, Span};
pub use manifest::{Dependency, Manifest, Section};
pub use source::{Function, Kind, Source, Token};
pub use tree::Tree;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// One thing that is wrong in the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root of the workspace.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// A finding at `file:line`.
    pub fn new(file: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    {}", self.file, self.line, self.what, self.remedy)
    }
}

/// The findings as a test prints them: one after the other, with their number.
#[must_use]
pub fn render(findings: &[Finding]) -> String {
    let mut text = format!("\n{} finding(s)\n", findings.len());
    for finding in findings {
        text.push_str(&finding.to_string());
        text.push('\n');
    }
    text
}
