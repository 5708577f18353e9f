//! Rooms: every module of every crate has its line in ARCHITECTURE.md, and every line its module.
//!
//! The tables stand under "Rooms of" and the crate's folder. The first column names files or folders
//! below `src`, several with commas between them; a folder stands for all that is in it and for
//! the module file of its name. `lib.rs` and `main.rs` are the crate itself, and a file of tests belongs
//! to the module beside it: they need no line.

use crate::tree::is_tests;
use crate::{Finding, Row, Tree};

const FILE: &str = "ARCHITECTURE.md";

/// The heading over the table of the crate in `folder`.
#[must_use]
pub fn heading(folder: &str) -> String {
    format!("Rooms of {folder}")
}

/// Compares the files below each crate's `src` with the crate's table.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let document = tree.document(FILE);
    let mut findings = Vec::new();
    for manifest in tree.manifests().filter(|manifest| !manifest.folder().is_empty()) {
        let heading = heading(manifest.folder());
        let source = format!("{}/src/", manifest.folder());
        let files: Vec<&str> = tree.sources().filter_map(|(path, _)| path.strip_prefix(&source)).collect();
        let rows = document.table(&heading);
        for file in
            files.iter().filter(|file| !needs_no_line(file) && !rows.iter().any(|row| covers(row, file)))
        {
            let remedy = format!("add a row for it to {FILE}, under \"{heading}\"");
            findings.push(Finding::new(&format!("{source}{file}"), 1, "has no room in the house", remedy));
        }
        findings.extend(rows.iter().flat_map(|row| stale(row, &files)));
    }
    findings
}

fn stale(row: &Row, files: &[&str]) -> Vec<Finding> {
    let empty = row.list(0).filter(|item| !files.iter().any(|file| is_in(item, file)));
    let mut findings: Vec<Finding> = empty
        .map(|item| {
            Finding::new(FILE, row.line, format!("there is no `{item}` in this crate"), "correct the row")
        })
        .collect();
    if row.cell(1).is_empty() {
        findings.push(Finding::new(
            FILE,
            row.line,
            format!("`{}` has no line of its own", row.cell(0)),
            "say what it is",
        ));
    }
    findings
}

fn needs_no_line(file: &str) -> bool {
    matches!(file, "lib.rs" | "main.rs") || is_tests(file)
}

fn covers(row: &Row, file: &str) -> bool {
    row.list(0).any(|item| is_in(item, file))
}

fn is_in(item: &str, file: &str) -> bool {
    let module_file = item.strip_suffix('/').and_then(|folder| file.strip_prefix(folder)) == Some(".rs");
    item == file || module_file || (item.ends_with('/') && file.starts_with(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &str, files: &[&str]) -> Vec<String> {
        let text = format!("## Rooms of `crates/x`\n\n| Room | What |\n|---|---|\n{rows}");
        let mut all =
            vec![(FILE, text.as_str()), ("crates/x/Cargo.toml", "[package]\nname = \"annulus-x\"\n")];
        all.extend(files.iter().map(|file| (*file, "//! x\n")));
        check(&Tree::of(&all)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_a_folder_and_its_module_file_are_covered() {
        let files = [
            "crates/x/src/lib.rs",
            "crates/x/src/a.rs",
            "crates/x/src/b/c.rs",
            "crates/x/src/b.rs",
            "crates/x/src/d/tests.rs",
        ];
        assert_eq!(found("| `a.rs`, `b/` | both |\n", &files), [""; 0]);
    }

    #[test]
    fn a_file_without_a_row_is_found() {
        let found = found("| `a.rs` | it |\n", &["crates/x/src/a.rs", "crates/x/src/ab.rs"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/x/src/ab.rs:1: "), "{found:?}");
    }

    #[test]
    fn a_row_without_a_file_and_a_row_without_a_line_are_found() {
        let found = found("| `a.rs` | |\n| `gone/` | it |\n", &["crates/x/src/a.rs"]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("ARCHITECTURE.md:5: ") && found[1].starts_with("ARCHITECTURE.md:6: "),
            "{found:?}"
        );
    }
}
