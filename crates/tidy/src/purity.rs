//! The pure part: code that does no I/O, starts no thread and reads no clock.
//!
//! ARCHITECTURE.md lists the pure folders under [`HEADING`], each with the outside crates it may be
//! built with; those of [`ALWAYS`] cannot be taken off the list. What is refused is refused by path
//! (`std::fs`, `Instant::now`), so a time may be an argument, and a test inside the folder is held
//! to the same rule.

use crate::{Finding, Manifest, Row, Tree};

/// The heading of ARCHITECTURE.md over the table of pure folders.
pub const HEADING: &str = "The pure part";

/// Folders that are pure whatever the document says.
pub const ALWAYS: [&str; 2] = ["crates/abi/src/", "crates/http/src/"];

const FILE: &str = "ARCHITECTURE.md";

/// Paths that lead outside, compared with any two neighbouring segments of a path.
const OUTSIDE: [(&str, &str); 17] = [
    ("std", "fs"),
    ("std", "net"),
    ("std", "thread"),
    ("std", "process"),
    ("std", "env"),
    ("std", "os"),
    ("io", "stdin"),
    ("io", "stdout"),
    ("io", "stderr"),
    ("thread", "spawn"),
    ("Instant", "now"),
    ("SystemTime", "now"),
    ("rustix", "fs"),
    ("rustix", "net"),
    ("rustix", "process"),
    ("rustix", "thread"),
    ("rustix", "time"),
];

/// Looks for ways out of the pure folders, in their code and in their manifests.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let document = tree.document(FILE);
    let rows = document.table(HEADING);
    let mut findings = missing_rows(rows);
    for row in rows {
        findings.extend(ways_out(tree, row.cell(0)));
        let manifest = tree
            .manifests()
            .find(|it| !it.folder().is_empty() && row.cell(0).starts_with(&format!("{}/", it.folder())));
        match manifest {
            Some(manifest) if row.cell(0) == format!("{}/src/", manifest.folder()) => {
                findings.extend(company(&manifest, row));
            }
            Some(_) => {}
            None => findings.push(Finding::new(
                FILE,
                row.line,
                format!("`{}` is in no crate", row.cell(0)),
                "correct the row",
            )),
        }
    }
    findings.extend(without_std(tree));
    findings
}

fn missing_rows(rows: &[Row]) -> Vec<Finding> {
    let missing = ALWAYS.iter().filter(|folder| rows.iter().all(|row| row.cell(0) != **folder));
    let finding = |folder: &&str| {
        Finding::new(
            FILE,
            1,
            format!("`{folder}` is missing under \"{HEADING}\""),
            "list it with its outside crates",
        )
    };
    missing.map(finding).collect()
}

fn ways_out(tree: &Tree, folder: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.sources().filter(|(file, _)| file.starts_with(folder)) {
        for (path, line) in source.paths() {
            let leads_out =
                path.windows(2).any(|pair| OUTSIDE.contains(&(pair[0].as_str(), pair[1].as_str())));
            if leads_out {
                let remedy = "take what it gives as an argument: the caller does the I/O and knows the time";
                findings.push(Finding::new(
                    file,
                    line,
                    format!("`{}` in the pure part", path.join("::")),
                    remedy,
                ));
            }
        }
    }
    findings
}

fn company(manifest: &Manifest, row: &Row) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in manifest.built_with().filter(|it| !it.is_ours()) {
        let listed = row.list(1).any(|name| name == dependency.package);
        // rustix does system calls only behind its features: without them it is types.
        if !listed || (dependency.package == "rustix" && !dependency.bare) {
            findings.push(Finding::new(
                &manifest.path,
                dependency.line,
                format!("`{}` is built with `{}`, which its row does not allow", manifest.package, dependency.package),
                "do without it; if it does no I/O, list it under \"The pure part\" of ARCHITECTURE.md (rustix without features)",
            ));
        }
    }
    for name in row.list(1).filter(|name| manifest.built_with().all(|it| it.package != *name)) {
        findings.push(Finding::new(
            FILE,
            row.line,
            format!("`{}` does not use `{name}`", manifest.package),
            "take it off the list",
        ));
    }
    findings
}

/// The contract needs no `std` at all.
fn without_std(tree: &Tree) -> Option<Finding> {
    let root = "crates/abi/src/lib.rs";
    let text = tree.text(root)?;
    (!text.lines().any(|line| line == "#![no_std]"))
        .then(|| Finding::new(root, 1, "the contract asks for `std`", "put `#![no_std]` back"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "## The pure part\n\n| Folder | Outside crates |\n|---|---|\n| `crates/abi/src/` | `rustix` |\n| `crates/http/src/` | – |\n";
    const ABI: (&str, &str) = (
        "crates/abi/Cargo.toml",
        "[package]\nname = \"annulus-abi\"\n[dependencies]\nrustix = { version = \"1\", default-features = false }\n",
    );
    const HTTP: (&str, &str) = ("crates/http/Cargo.toml", "[package]\nname = \"annulus-http\"\n");

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![(FILE, ROWS), ABI, HTTP];
        all.extend(files);
        check(&Tree::of(&all)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_time_that_comes_as_an_argument_is_silent() {
        let code =
            "//! x\nuse std::time::SystemTime;\nfn f(now: SystemTime) -> std::io::Result<()> { todo() }\n";
        assert_eq!(findings(&[("crates/http/src/date.rs", code)]), [""; 0]);
    }

    #[test]
    fn clock_thread_and_file_are_found_in_any_spelling() {
        let code = "//! x\nuse std::{thread, time::Instant};\nfn f() {\n    let t = Instant::now();\n    let s = std::fs::read(\"x\");\n}\n";
        let found = findings(&[("crates/http/src/date.rs", code)]);
        assert_eq!(found.len(), 3, "{found:?}");
        for (finding, start) in
            found.iter().zip(["date.rs:2: `std::thread`", "date.rs:4: `Instant", "date.rs:5: `std::fs"])
        {
            assert!(finding.starts_with(&format!("crates/http/src/{start}")), "{finding}");
        }
    }

    #[test]
    fn a_dependency_that_the_row_does_not_allow_is_found() {
        let tokio = "[package]\nname = \"annulus-http\"\n[dependencies]\n# Why.\ntokio = \"1\"\n";
        let tree = Tree::of(&[(FILE, ROWS), ABI, ("crates/http/Cargo.toml", tokio)]);
        let found = check(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("crates/http/Cargo.toml", 5));
        let rustix = "[package]\nname = \"annulus-abi\"\n[dependencies]\nrustix = \"1\"\n";
        let found = check(&Tree::of(&[(FILE, ROWS), ("crates/abi/Cargo.toml", rustix), HTTP]));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn the_contract_may_not_ask_for_std_nor_leave_the_list() {
        let found = findings(&[("crates/abi/src/lib.rs", "//! x\n")]);
        assert_eq!(found.len(), 1, "{found:?}");
        let found = check(&Tree::of(&[(FILE, "## The pure part\n")]));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
