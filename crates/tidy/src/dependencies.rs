//! Manifests: every dependency says why it is there, every crate takes the workspace's lints.

use crate::{Finding, Section, Tree};

/// Outside dependencies without a comment on their line or directly above it.
///
/// A dependency that is taken over from the workspace has its reason there. Our own crates need
/// none: their arrows are argued for in ARCHITECTURE.md.
#[must_use]
pub fn reasons(tree: &Tree) -> Vec<Finding> {
    let shared: Vec<String> = tree
        .manifests()
        .flat_map(|manifest| manifest.dependencies)
        .filter(|dependency| dependency.section == Section::Workspace && dependency.has_reason)
        .map(|dependency| dependency.package)
        .collect();
    let mut findings = Vec::new();
    for manifest in tree.manifests() {
        for dependency in &manifest.dependencies {
            let said_elsewhere = dependency.inherited && shared.contains(&dependency.package);
            if !dependency.is_ours() && !dependency.has_reason && !said_elsewhere {
                findings.push(Finding::new(
                    &manifest.path,
                    dependency.line,
                    format!("`{}` has no reason beside it", dependency.package),
                    "say in a comment above it what it is for, or do without it",
                ));
            }
        }
    }
    findings
}

/// Crates whose manifest lacks `[lints] workspace = true`.
#[must_use]
pub fn lints(tree: &Tree) -> Vec<Finding> {
    tree.manifests()
        .filter(|manifest| !manifest.package.is_empty() && !manifest.inherits_lints)
        .map(|manifest| {
            let what = format!("`{}` does not take the workspace's lints", manifest.package);
            Finding::new(&manifest.path, 1, what, "add `[lints]` with `workspace = true`")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace.dependencies]\n# Flags.\nbitflags = \"2\"\n"),
            (
                "crates/x/Cargo.toml",
                "[package]\nname = \"annulus-x\"\n[dependencies]\nannulus.workspace = true\nbitflags.workspace = true\n# Why.\nslab = \"0.4\"\n\nlog = \"0.4\"\n",
            ),
        ]);
        let found = reasons(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("crates/x/Cargo.toml", 9));
    }

    #[test]
    fn a_crate_without_the_workspace_lints_is_found() {
        let bad = (
            "crates/x/Cargo.toml",
            "[package]\nname = \"annulus-x\"\n[lints.rust]\nunsafe_code = \"allow\"\n",
        );
        let good = ("crates/y/Cargo.toml", "[package]\nname = \"annulus-y\"\n[lints]\nworkspace = true\n");
        let found = lints(&Tree::of(&[bad, good, ("Cargo.toml", "[workspace]\n")]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].file, "crates/x/Cargo.toml");
    }
}
