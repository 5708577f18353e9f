//! The source tree as data: paths, texts, and every Rust file lexed once.
//!
//! A tree is read from a directory or put together from pairs in a test, so that each check can be
//! shown a small bad example. It holds what git would hold: no `target`, nothing hidden but `.ci`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::{Document, Finding, Manifest, Source};

/// The files of the workspace, by their path from its root.
#[derive(Debug, Default)]
pub struct Tree {
    texts: BTreeMap<String, String>,
    directories: BTreeSet<String>,
    sources: BTreeMap<String, Source>,
    unreadable: Vec<Finding>,
}

impl Tree {
    /// Reads the workspace that this crate belongs to.
    ///
    /// # Errors
    /// What the file system answers, with the path in the message.
    pub fn of_this_workspace() -> io::Result<Self> {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
    }

    /// Reads the tree below `root`.
    ///
    /// # Errors
    /// What the file system answers, with the path in the message.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        for entry in WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(belongs) {
            let entry = entry?;
            let Ok(path) = entry.path().strip_prefix(root) else { continue };
            let path = path.to_string_lossy().into_owned();
            if entry.file_type().is_file() {
                let text =
                    if is_read(&path) { std::fs::read_to_string(entry.path())? } else { String::new() };
                tree.insert(&path, text);
            }
        }
        Ok(tree)
    }

    /// A tree of the given paths and texts.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.insert(path, (*text).to_owned());
        }
        tree
    }

    fn insert(&mut self, path: &str, text: String) {
        for (end, _) in path.match_indices('/') {
            self.directories.insert(path[..end].to_owned());
        }
        if path.ends_with(".rs") {
            match Source::lex(&text) {
                Ok(source) => drop(self.sources.insert(path.to_owned(), source)),
                Err(error) => self.unreadable.push(Finding::new(
                    path,
                    1,
                    format!("is not Rust: {error}"),
                    "mend the file; no other check has read it",
                )),
            }
        }
        self.texts.insert(path.to_owned(), text);
    }

    /// Files that end in `.rs` and could not be lexed.
    #[must_use]
    pub fn unreadable(&self) -> &[Finding] {
        &self.unreadable
    }

    /// The text of one file, empty if it is of a kind that no check reads.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Every Rust file, lexed.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(path, source)| (path.as_str(), source))
    }

    /// The text of every Rust file, comments and all.
    pub fn rust_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The manifest of the workspace and of each crate, in the order of their paths.
    pub fn manifests(&self) -> impl Iterator<Item = Manifest> {
        self.texts
            .iter()
            .filter(|(path, _)| *path == "Cargo.toml" || is_crate_manifest(path))
            .map(|(path, text)| Manifest::parse(path, text))
    }

    /// A document of the root, or an empty one when it is missing: then its lists are empty too.
    #[must_use]
    pub fn document(&self, path: &str) -> Document {
        Document::parse(path, self.text(path).unwrap_or_default())
    }

    /// Whether `path` is a file or a directory, from the root or as the last components of a longer
    /// path. A `*` stands for any one component.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.trim_start_matches("./").trim_end_matches('/').split('/').collect();
        self.texts.keys().chain(&self.directories).any(|known| ends_with(known, &wanted))
    }
}

fn belongs(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || name == ".ci" || !(name.starts_with('.') || name == "target" || name == "corpus")
}

fn is_read(path: &str) -> bool {
    [".rs", ".toml", ".md"].iter().any(|ending| path.ends_with(ending))
}

/// Whether a file holds the unit tests of the module beside it.
pub(crate) fn is_tests(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs") || part.ends_with("_tests.rs"))
}

fn is_crate_manifest(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts.as_slice(), ["crates", _, "Cargo.toml"])
}

fn ends_with(known: &str, wanted: &[&str]) -> bool {
    let known: Vec<&str> = known.split('/').collect();
    known.len() >= wanted.len()
        && known
            .iter()
            .rev()
            .zip(wanted.iter().rev())
            .all(|(known, wanted)| *wanted == "*" || known == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_from_the_root_and_by_its_last_components() {
        let tree = Tree::of(&[("crates/ring/src/kernel/mod.rs", "//! x\n")]);
        for path in
            ["crates/ring/src/kernel/mod.rs", "crates/ring", "kernel/mod.rs", "kernel/", "crates/*/src"]
        {
            assert!(tree.holds(path), "{path}");
        }
        for path in ["ernel/mod.rs", "crates/ring/kernel", "mod"] {
            assert!(!tree.holds(path), "{path}");
        }
    }

    #[test]
    fn a_file_that_is_not_rust_is_a_finding() {
        let tree = Tree::of(&[("crates/x/src/lib.rs", "fn broken( {\n")]);
        assert_eq!(tree.unreadable().len(), 1);
        assert_eq!(tree.sources().count(), 0);
    }

    #[test]
    fn this_workspace_holds_this_file_and_no_build_output() {
        let tree = Tree::of_this_workspace().unwrap();
        assert!(tree.text("crates/tidy/src/tree.rs").is_some());
        assert!(!tree.holds("target"));
    }
}
