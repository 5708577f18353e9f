//! Doors: the files that may do what the rest of the tree may not, each listed with its reason.
//!
//! One file alone names the engine ([`ENGINE_DOOR`]). Three lists stand in ARCHITECTURE.md: files that hold `unsafe`, files that start threads or read
//! the clock. A list is exact: a file that does it and is not listed is found, and so is a file that
//! is listed and does not. That each `unsafe` block has its `SAFETY` comment, and that clock and
//! threads are refused elsewhere, is clippy's to say (`clippy.toml`).

use std::collections::BTreeSet;

use crate::tree::is_tests;
use crate::{Finding, Row, Source, Tree};

/// The heading of ARCHITECTURE.md over the files that hold `unsafe`.
pub const UNSAFE: &str = "Files that hold unsafe code";

/// The heading of ARCHITECTURE.md over the files of `src` that read the clock or start threads.
pub const CLOCK_AND_THREADS: &str = "Files that read the clock or start threads";

const FILE: &str = "ARCHITECTURE.md";

/// Neighbouring segments of paths that read the clock or start threads.
const NAMES: [(&str, &str); 6] = [
    ("thread", "Builder"),
    ("thread", "scope"),
    ("thread", "spawn"),
    ("Instant", "now"),
    ("SystemTime", "now"),
    ("time", "clock_gettime"),
];

/// Folders of programs and tests, which a list may name as a whole.
const WHOLE: [&str; 3] = ["/tests", "/examples", "/benches"];

/// Compares the files whose code says `unsafe` with their list.
#[must_use]
pub fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let holders: Vec<(&str, usize)> = tree
        .sources()
        .filter_map(|(path, source)| source.line_of("unsafe").map(|line| (path, line)))
        .collect();
    compare(tree, UNSAFE, &holders, "holds unsafe code")
}

/// Compares the library and program files that read the clock or start threads with their list.
#[must_use]
pub fn clock_and_threads(tree: &Tree) -> Vec<Finding> {
    let holders: Vec<(&str, usize)> = tree
        .sources()
        .filter(|(path, _)| path.contains("/src/") && !is_tests(path))
        .filter_map(|(path, source)| use_of_clock_or_threads(source).map(|line| (path, line)))
        .collect();
    compare(tree, CLOCK_AND_THREADS, &holders, "reads the clock or starts a thread")
}

/// The only file of a crate that is built with the engine which names it: who runs a ring is decided there, and nothing
/// else knows.
pub const ENGINE_DOOR: &str = "crates/ring/src/backend.rs";

/// Crates that may name the engine anywhere: its own, and the suite that holds every back end to the same rules.
const ENGINE_ROOMS: [&str; 2] = ["crates/engine/", "crates/conformance/"];

/// Files that name the engine and are not its door.
#[must_use]
pub fn engine(tree: &Tree) -> Vec<Finding> {
    let names = |(path, source): (&str, &Source)| Some((path.to_owned(), source.line_of("annulus_engine")?));
    let outside = |(path, _): &(String, usize)| {
        path != ENGINE_DOOR && !ENGINE_ROOMS.iter().any(|room| path.starts_with(room))
    };
    let finding = |(path, line): (String, usize)| {
        let what = format!("names the engine, which only `{ENGINE_DOOR}` does");
        Finding::new(&path, line, what, "go through `BackendChoice` of `annulus`")
    };
    tree.sources().filter_map(names).filter(outside).map(finding).collect()
}

/// The first line outside the file's unit tests that opens clippy's lint, or names what it does not know.
fn use_of_clock_or_threads(source: &Source) -> Option<usize> {
    let tokens = source.tokens();
    let tests = tokens.windows(2).find(|pair| pair[0].text == "mod" && pair[1].text == "tests");
    let end = tests.map_or(usize::MAX, |pair| pair[0].line);
    let opening = source.line_of("disallowed_methods");
    let is_named =
        |path: &[String]| path.windows(2).any(|pair| NAMES.contains(&(pair[0].as_str(), pair[1].as_str())));
    let naming = source.paths().into_iter().filter(|(path, _)| is_named(path)).map(|(_, line)| line);
    opening.into_iter().chain(naming).filter(|line| *line < end).min()
}

fn compare(tree: &Tree, heading: &str, holders: &[(&str, usize)], does: &str) -> Vec<Finding> {
    let document = tree.document(FILE);
    let rows = document.table(heading);
    let mut findings = Vec::new();
    for (path, line) in holders.iter().filter(|(path, _)| !rows.iter().any(|row| covers(row, path))) {
        let remedy =
            format!("write it without, or list the file in {FILE} under \"{heading}\", with the reason");
        findings.push(Finding::new(path, *line, format!("{does} and is not listed"), remedy));
    }
    let mut seen = BTreeSet::new();
    for row in rows {
        let (entry, line) = (row.cell(0), row.line);
        let mut refuse = |what: String, remedy: &str| findings.push(Finding::new(FILE, line, what, remedy));
        if !holders.iter().any(|(path, _)| covers(row, path)) {
            refuse(format!("`{entry}` is listed, and no file of that name {does}"), "remove the row");
        }
        if entry.ends_with('/') && !WHOLE.iter().any(|folder| entry.trim_end_matches('/').ends_with(folder)) {
            refuse(format!("`{entry}` is a folder of the library"), "list its files one by one");
        }
        let again = !seen.insert(entry);
        if again || row.cell(1).is_empty() {
            refuse(format!("`{entry}` stands there twice or without a reason"), "keep one row and say why");
        }
    }
    findings
}

fn covers(row: &Row, path: &str) -> bool {
    let entry = row.cell(0);
    entry == path || (entry.ends_with('/') && path.starts_with(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(heading: &str, rows: &str, files: &[(&str, &str)]) -> Tree {
        let text = format!("## {heading}\n\n| File | Why |\n|---|---|\n{rows}");
        let mut all = vec![(FILE, text.as_str())];
        all.extend(files);
        Tree::of(&all)
    }

    const LOUD: &str = "//! x\nfn a() { unsafe { b() } }\n";

    #[test]
    fn the_engine_is_named_in_its_door_and_its_own_rooms_alone() {
        let code = "//! x\nuse annulus_engine::Engine;\n";
        let allowed = [
            (ENGINE_DOOR, code),
            ("crates/engine/tests/a.rs", code),
            ("crates/conformance/src/faulty.rs", code),
            ("crates/rt/src/a.rs", "//! annulus_engine\n"),
        ];
        assert_eq!(engine(&tree(UNSAFE, "", &allowed)), []);
        let found = engine(&tree(UNSAFE, "", &[("crates/ring/src/builder.rs", code)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("crates/ring/src/builder.rs", 2));
    }

    #[test]
    fn a_file_with_unsafe_that_is_not_listed_is_found() {
        let found = unsafe_code(&tree(UNSAFE, "", &[("crates/x/src/a.rs", LOUD)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("crates/x/src/a.rs", 2));
    }

    #[test]
    fn a_listed_file_without_unsafe_is_found() {
        let quiet = "//! unsafe\n/// unsafe { }\nfn a() {}\n";
        let found =
            unsafe_code(&tree(UNSAFE, "| `crates/x/src/a.rs` | why |\n", &[("crates/x/src/a.rs", quiet)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), (FILE, 5));
    }

    #[test]
    fn tests_may_be_listed_by_folder_and_libraries_may_not() {
        let files = [("crates/x/tests/a/b.rs", LOUD), ("crates/x/src/a.rs", LOUD)];
        let exact = "| `crates/x/tests/` | the raw interface |\n| `crates/x/src/a.rs` | why |\n";
        assert_eq!(unsafe_code(&tree(UNSAFE, exact, &files)), []);
        let wide = "| `crates/x/tests/` | the raw interface |\n| `crates/x/src/` | why |\n";
        let found = unsafe_code(&tree(UNSAFE, wide, &files));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains("folder of the library"));
    }

    #[test]
    fn a_row_without_a_reason_and_a_second_row_are_found() {
        let rows = "| `crates/x/src/a.rs` | |\n| `crates/x/src/a.rs` | why |\n";
        assert_eq!(unsafe_code(&tree(UNSAFE, rows, &[("crates/x/src/a.rs", LOUD)])).len(), 2);
    }

    #[test]
    fn a_clock_read_outside_the_list_is_found_and_one_in_unit_tests_is_not() {
        let code = "//! x\n#[expect(clippy::disallowed_methods, reason = \"the door\")]\nfn now() {}\n";
        let test = "//! x\n#[cfg(test)]\n#[allow(dead_code)]\nmod tests {\n#![allow(clippy::disallowed_methods)]\n}\n";
        let files = [
            ("crates/x/src/clock.rs", code),
            ("crates/x/src/b.rs", test),
            ("crates/x/tests/c.rs", code),
            ("crates/x/src/d_tests.rs", code),
        ];
        let found = clock_and_threads(&tree(CLOCK_AND_THREADS, "", &files));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("crates/x/src/clock.rs", 2));
    }

    #[test]
    fn a_thread_that_clippy_does_not_see_is_found() {
        let code = "//! x\nuse std::thread;\nfn go() {\n    thread::Builder::new().name(n).spawn(f);\n}\n";
        let found = clock_and_threads(&tree(CLOCK_AND_THREADS, "", &[("crates/x/src/a.rs", code)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("crates/x/src/a.rs", 4));
    }
}
