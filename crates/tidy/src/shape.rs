//! Shape: how a file opens, how long files and functions are, how tests are named.
//!
//! Exceptions to the lengths stand in STYLE.md under [`HEADING`], each with its reason; one that is
//! no longer needed is a finding too.

use crate::{Finding, Tree};

/// The heading of STYLE.md over the files and functions that may be longer.
pub const HEADING: &str = "Longer than the rule";

/// The longest file, in lines, that needs no reason.
pub const FILE_LINES: usize = 600;

/// The longest function, in lines, that needs no reason.
pub const FUNCTION_LINES: usize = 100;

/// The fewest words in the name of a test.
pub const TEST_WORDS: usize = 3;

const FILE: &str = "STYLE.md";

/// Files that do not begin with `//!`, or could not be read at all.
#[must_use]
pub fn openings(tree: &Tree) -> Vec<Finding> {
    let silent = tree.sources().filter(|(_, source)| !source.first_line().starts_with("//! "));
    let finding = |path: &str| {
        let remedy = "open it with `//!`: what it is, what it does not do, what it keeps true";
        Finding::new(path, 1, "does not say what it is", remedy)
    };
    tree.unreadable().iter().cloned().chain(silent.map(|(path, _)| finding(path))).collect()
}

/// Files and functions over their length without a reason in STYLE.md, and reasons nobody needs.
#[must_use]
pub fn lengths(tree: &Tree) -> Vec<Finding> {
    let document = tree.document(FILE);
    let rows = document.table(HEADING);
    let long = too_long(tree);
    let unexcused = long.iter().filter(|(key, _)| rows.iter().all(|row| row.cell(0) != key));
    let mut findings: Vec<Finding> = unexcused.map(|(_, finding)| finding.clone()).collect();
    for row in rows {
        let known = long.iter().any(|(key, _)| key == row.cell(0));
        if !known || row.cell(1).is_empty() {
            let what = format!("`{}` needs no exception, or has no reason", row.cell(0));
            findings.push(Finding::new(FILE, row.line, what, "remove the row, or say why it is longer"));
        }
    }
    findings
}

/// What is over its length: the key that STYLE.md would list it by, and the finding.
fn too_long(tree: &Tree) -> Vec<(String, Finding)> {
    let mut long = Vec::new();
    for (path, source) in tree.sources() {
        if source.lines() > FILE_LINES {
            let what = format!("has {} lines, more than {FILE_LINES}", source.lines());
            let finding = Finding::new(path, 1, what, format!("split it, or give the reason in {FILE}"));
            long.push((path.to_owned(), finding));
        }
        for function in source.functions().into_iter().filter(|function| function.lines > FUNCTION_LINES) {
            let what =
                format!("`{}` has {} lines, more than {FUNCTION_LINES}", function.name, function.lines);
            let finding =
                Finding::new(path, function.line, what, format!("split it, or give the reason in {FILE}"));
            long.push((format!("{path}: {}", function.name), finding));
        }
    }
    long
}

/// Tests whose name is no sentence.
#[must_use]
pub fn test_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        for (name, line) in source.tests() {
            if name.split('_').filter(|word| !word.is_empty()).count() < TEST_WORDS {
                let remedy = format!("say what it shows, in at least {TEST_WORDS} words");
                findings.push(Finding::new(
                    path,
                    line,
                    format!("the test `{name}` does not say what it shows"),
                    remedy,
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, lines: usize) -> String {
        format!("//! x\nfn {name}() {{\n{}}}\n", "    x();\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_that_opens_with_code_is_found() {
        let tree = Tree::of(&[
            ("a.rs", "//! What.\n"),
            ("b.rs", "use x;\n"),
            ("c.rs", "// What.\n"),
            ("d.rs", "fn (\n"),
        ]);
        let files: Vec<String> = openings(&tree).into_iter().map(|finding| finding.file).collect();
        assert_eq!(files, ["d.rs", "b.rs", "c.rs"]);
    }

    #[test]
    fn the_hundredth_line_is_allowed_and_the_next_is_found() {
        assert_eq!(lengths(&Tree::of(&[("a.rs", &function("f", 100))])), []);
        let found = lengths(&Tree::of(&[("a.rs", &function("f", 101))]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "`f` has 101 lines, more than 100");
    }

    #[test]
    fn a_long_file_passes_with_a_reason_and_not_without() {
        let long = format!("//! x\n{}", "const A: u8 = 0;\n".repeat(600));
        assert_eq!(lengths(&Tree::of(&[("t.rs", &long)])).len(), 1);
        let style = "## Longer than the rule\n\n| What | Why |\n|---|---|\n| `t.rs` | a table |\n";
        assert_eq!(lengths(&Tree::of(&[("t.rs", &long), (FILE, style)])), []);
    }

    #[test]
    fn an_exception_that_nobody_needs_is_found() {
        let style = "## Longer than the rule\n\n| What | Why |\n|---|---|\n| `a.rs: f` | a table |\n";
        let found = lengths(&Tree::of(&[("a.rs", &function("f", 10)), (FILE, style)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, 5);
    }

    #[test]
    fn a_test_named_with_two_words_is_found() {
        let code = "//! x\n#[test]\nfn it_works() {}\n#[test]\nfn a_short_read_breaks_its_link() {}\n";
        let found = test_names(&Tree::of(&[("a.rs", code)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, 3);
    }
}
