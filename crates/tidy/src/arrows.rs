//! Arrows between crates: those of the manifests are those that ARCHITECTURE.md lists, and all go down.
//!
//! The table stands under [`HEADING`]: folder, package, layer (a number, or `dev`), packages of this
//! workspace it is built with. Dev-dependencies are free, because cargo lets them point upwards, but
//! for the pure crates, whose tests need nothing of ours either.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::is_ours;
use crate::{Dependency, Finding, Manifest, Row, Tree};

/// The heading of ARCHITECTURE.md over the table of crates.
pub const HEADING: &str = "Crates and arrows";

/// Packages that may use no other crate of the workspace, not even in their tests.
pub const ALONE: [&str; 2] = ["annulus-abi", "annulus-http"];

const FILE: &str = "ARCHITECTURE.md";

/// Compares the manifests with the table, and the table with the direction of its layers.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let document = tree.document(FILE);
    let rows = document.table(HEADING);
    let manifests: Vec<Manifest> = tree.manifests().filter(|manifest| !manifest.package.is_empty()).collect();
    let mut findings = directions(rows);
    for manifest in &manifests {
        match rows.iter().find(|row| row.cell(1) == manifest.package) {
            Some(row) => findings.extend(differences(manifest, row)),
            None => findings.push(Finding::new(
                &manifest.path,
                1,
                format!("package `{}` has no row in {FILE}", manifest.package),
                format!("add it under \"{HEADING}\", with its layer and its arrows"),
            )),
        }
    }
    findings.extend(rows.iter().filter(|row| manifests.iter().all(|it| it.package != row.cell(1))).map(
        |row| {
            Finding::new(FILE, row.line, format!("there is no package `{}`", row.cell(1)), "remove the row")
        },
    ));
    findings.extend(manifests.iter().flat_map(company));
    findings
}

fn differences(manifest: &Manifest, row: &Row) -> Vec<Finding> {
    let mut findings = Vec::new();
    let drawn: BTreeSet<&str> = row.list(3).collect();
    let ours = || manifest.built_with().filter(|dependency| dependency.is_ours());
    for dependency in ours().filter(|dependency| !drawn.contains(dependency.package.as_str())) {
        findings.push(Finding::new(
            &manifest.path,
            dependency.line,
            format!(
                "`{}` depends on `{}`, an arrow that {FILE} does not draw",
                manifest.package, dependency.package
            ),
            "remove the dependency, or argue for the arrow in the document",
        ));
    }
    for package in drawn.iter().filter(|package| ours().all(|it| it.package != **package)) {
        let what =
            format!("draws an arrow `{}` -> `{package}` that its manifest does not have", manifest.package);
        findings.push(Finding::new(FILE, row.line, what, "remove the arrow from the table"));
    }
    if row.cell(0).trim_end_matches('/') != manifest.folder() {
        let what =
            format!("`{}` stands in `{}`, not in `{}`", manifest.package, manifest.folder(), row.cell(0));
        findings.push(Finding::new(FILE, row.line, what, "correct the first column"));
    }
    findings
}

/// Each arrow goes from a higher layer to a lower one; nothing built points at a `dev` crate.
fn directions(rows: &[Row]) -> Vec<Finding> {
    let layers: BTreeMap<&str, &str> = rows.iter().map(|row| (row.cell(1), row.cell(2))).collect();
    let layer = |package: &str| layers.get(package).and_then(|layer| layer.parse::<u32>().ok());
    let mut findings = Vec::new();
    for row in rows.iter().filter(|row| row.cell(2) != "dev") {
        for target in
            row.list(3).filter(|target| layer(target).is_none() || layer(target) >= layer(row.cell(1)))
        {
            findings.push(Finding::new(
                FILE,
                row.line,
                format!("the arrow `{}` -> `{target}` does not go down", row.cell(1)),
                "a crate is built only with crates of lower layers; turn the dependency round",
            ));
        }
    }
    findings
}

/// Dependencies among our crates that no table can allow.
fn company(manifest: &Manifest) -> Vec<Finding> {
    let must_be_alone = ALONE.contains(&manifest.package.as_str());
    let refused = |it: &&Dependency| must_be_alone && is_ours(&it.package);
    let finding = |it: &Dependency| {
        let what = format!("`{}` uses `{}`", manifest.package, it.package);
        Finding::new(
            &manifest.path,
            it.line,
            what,
            "this crate stands alone, tests included: move the code that needs it",
        )
    };
    manifest.dependencies.iter().filter(refused).map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        "## Crates and arrows\n\n| Folder | Package | Layer | Built with |\n|---|---|---|---|\n";

    fn findings(rows: &str, manifests: &[(&str, &str)]) -> Vec<String> {
        let architecture = format!("{TABLE}{rows}");
        let mut files = vec![(FILE, architecture.as_str())];
        files.extend(manifests);
        check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
    }

    const ABI: (&str, &str) = ("crates/abi/Cargo.toml", "[package]\nname = \"annulus-abi\"\n");

    #[test]
    fn arrows_that_agree_with_the_table_are_silent() {
        let ring = "[package]\nname = \"annulus\"\n[dependencies]\nannulus-abi.workspace = true\n[dev-dependencies]\nannulus.workspace = true\n";
        let rows =
            "| `crates/abi` | `annulus-abi` | 0 | – |\n| `crates/ring` | `annulus` | 1 | `annulus-abi` |\n";
        assert_eq!(findings(rows, &[ABI, ("crates/ring/Cargo.toml", ring)]), [""; 0]);
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found() {
        let ring = "[package]\nname = \"annulus\"\n[build-dependencies]\nannulus-abi.workspace = true\n";
        let rows = "| `crates/abi` | `annulus-abi` | 0 | – |\n| `crates/ring` | `annulus` | 1 | – |\n";
        let found = findings(rows, &[ABI, ("crates/ring/Cargo.toml", ring)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("crates/ring/Cargo.toml:4: `annulus` depends on `annulus-abi`"),
            "{found:?}"
        );
    }

    #[test]
    fn an_arrow_that_goes_up_is_found_even_when_it_is_drawn() {
        let ring = "[package]\nname = \"annulus\"\n[dependencies]\nannulus-rt.workspace = true\n";
        let runtime = "[package]\nname = \"annulus-rt\"\n";
        let rows =
            "| `crates/ring` | `annulus` | 1 | `annulus-rt` |\n| `crates/runtime` | `annulus-rt` | 2 | |\n";
        let found =
            findings(rows, &[("crates/ring/Cargo.toml", ring), ("crates/runtime/Cargo.toml", runtime)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("`annulus` -> `annulus-rt` does not go down"), "{found:?}");
    }

    #[test]
    fn a_missing_row_a_stale_row_a_stale_arrow_and_a_wrong_folder_are_found() {
        let found = findings("| `crates/x` | `annulus-x` | 1 | – |\n", &[ABI]);
        assert!(found[0].contains("`annulus-abi` has no row"), "{found:?}");
        assert!(found[1].contains("there is no package `annulus-x`"), "{found:?}");
        let rows = "| `crates/a` | `annulus-abi` | 2 | `annulus` |\n| `crates/ring` | `annulus` | 1 | |\n";
        let found = findings(rows, &[ABI, ("crates/ring/Cargo.toml", "[package]\nname = \"annulus\"\n")]);
        assert!(found[0].contains("that its manifest does not have"), "{found:?}");
        assert!(found[1].contains("stands in `crates/abi`, not in `crates/a`"), "{found:?}");
    }

    #[test]
    fn a_pure_crate_uses_no_other_even_in_its_tests() {
        let http = "[package]\nname = \"annulus-http\"\n[dev-dependencies]\nannulus-rt.workspace = true\n";
        let found =
            findings("| `crates/http` | `annulus-http` | 2 | – |\n", &[("crates/http/Cargo.toml", http)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("stands alone"), "{found:?}");
    }
}
