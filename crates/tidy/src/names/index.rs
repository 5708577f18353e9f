//! Everything that the tree calls by a name, gathered once for all documents.

use std::collections::{BTreeMap, BTreeSet};

use crate::Tree;

/// Crates that every Rust program knows without naming them in a manifest.
const SYSROOT: [&str; 4] = ["std", "core", "alloc", "clippy"];

/// The names of the tree.
#[derive(Debug, Default)]
pub(super) struct Index {
    words: BTreeSet<String>,
    declared: BTreeSet<String>,
    members: BTreeMap<String, BTreeSet<String>>,
    packages: BTreeSet<String>,
    outside: BTreeSet<String>,
}

impl Index {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut index = Self { outside: SYSROOT.map(str::to_owned).into(), ..Self::default() };
        for manifest in tree.manifests() {
            let outside = manifest
                .dependencies
                .iter()
                .filter(|it| !it.is_ours())
                .map(|it| it.package.replace('-', "_"));
            index.outside.extend(outside);
            index.packages.extend((!manifest.package.is_empty()).then_some(manifest.package));
        }
        for (path, source) in tree.sources() {
            let declared = source.declared();
            for module in modules(path) {
                index.members.entry(module.to_owned()).or_default().extend(declared.iter().cloned());
            }
            for (owner, members) in source.members() {
                index.members.entry(owner).or_default().extend(members);
            }
            index.words.extend(source.words().map(str::to_owned));
            index.words.extend(modules(path).into_iter().map(str::to_owned));
            index.declared.extend(declared);
        }
        index
    }

    pub(super) fn has_package(&self, name: &str) -> bool {
        self.packages.contains(name)
    }

    /// Whether `name` is a crate that is not ours.
    pub(super) fn is_outside(&self, name: &str) -> bool {
        self.outside.contains(name)
    }

    /// Whether the code says `word` anywhere.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether `member` stands in `owner`: a type, a module or one of our crates. Of an owner that is
    /// none of these (an alias, a type from outside) nothing is known, so everything may be in it.
    pub(super) fn has_member(&self, owner: &str, member: &str) -> bool {
        if self.has_package(&owner.replace('_', "-")) {
            return self.declared.contains(member) || self.members.contains_key(member);
        }
        let children = |members: &BTreeSet<String>| members.contains(member);
        self.members.get(owner).is_none_or(children)
    }
}

/// The modules that a file belongs to, by its path below `src`: `a/b.rs` is of `a` and of `b`.
fn modules(path: &str) -> Vec<&str> {
    let below = path.split_once("/src/").map_or(path, |(_, below)| below);
    let parts = below.trim_end_matches(".rs").split('/');
    parts.filter(|part| !matches!(*part, "mod" | "lib" | "main")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_each_module_above_it() {
        assert_eq!(modules("crates/ring/src/opcode/file.rs"), ["opcode", "file"]);
        assert_eq!(modules("crates/ring/src/kernel/mod.rs"), ["kernel"]);
        assert_eq!(modules("crates/ring/src/lib.rs"), [""; 0]);
    }
}
