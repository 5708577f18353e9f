//! One `Cargo.toml`: package name, dependencies with their places, and whether the lints are inherited.

use toml_edit::{Document, Item, TableLike};

/// Which kind of dependency a manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[dependencies]`, for any target.
    Normal,
    /// `[build-dependencies]`.
    Build,
    /// `[dev-dependencies]`.
    Dev,
    /// `[workspace.dependencies]`.
    Workspace,
}

/// One dependency of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package's name.
    pub package: String,
    /// Where it stands.
    pub section: Section,
    /// Counted from 1.
    pub line: usize,
    /// Whether a comment stands on the line or directly above it.
    pub has_reason: bool,
    /// Whether it says `default-features = false`.
    pub bare: bool,
    /// Whether version and features are those of the workspace's manifest.
    pub inherited: bool,
}

impl Dependency {
    /// Whether the package is one of this workspace.
    #[must_use]
    pub(crate) fn is_ours(&self) -> bool {
        is_ours(&self.package)
    }
}

/// Whether `package` is a crate of this workspace, by its name.
#[must_use]
pub(crate) fn is_ours(package: &str) -> bool {
    package == "annulus" || package.starts_with("annulus-")
}

/// A parsed manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its path from the root.
    pub path: String,
    /// The package's name; empty in the workspace's own.
    pub package: String,
    /// All dependencies, in the order of the file's tables.
    pub dependencies: Vec<Dependency>,
    /// Whether `[lints] workspace = true` stands in it.
    pub inherits_lints: bool,
}

impl Manifest {
    /// Reads a manifest. One that is not TOML gives an empty one: cargo has refused it before.
    #[must_use]
    pub fn parse(path: &str, text: &str) -> Self {
        let mut manifest = Self {
            path: path.to_owned(),
            package: String::new(),
            dependencies: Vec::new(),
            inherits_lints: false,
        };
        let Ok(document) = Document::parse(text) else { return manifest };
        let root = document.as_table();
        manifest.package = text_at(root, &["package", "name"]).unwrap_or_default().to_owned();
        manifest.inherits_lints = at(root, &["lints", "workspace"]).and_then(Item::as_bool) == Some(true);
        manifest.gather(root, text);
        for (_, target) in
            at(root, &["target"]).and_then(Item::as_table_like).into_iter().flat_map(TableLike::iter)
        {
            target.as_table_like().into_iter().for_each(|table| manifest.gather(table, text));
        }
        manifest
    }

    /// The crate's folder, `crates/ring`.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.path.strip_suffix("/Cargo.toml").unwrap_or_default()
    }

    /// Dependencies of a build of the crate itself: normal ones and build scripts'.
    pub fn built_with(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|dependency| matches!(dependency.section, Section::Normal | Section::Build))
    }

    fn gather(&mut self, table: &dyn TableLike, text: &str) {
        for (path, section) in [
            (&["dependencies"][..], Section::Normal),
            (&["build-dependencies"], Section::Build),
            (&["dev-dependencies"], Section::Dev),
            (&["workspace", "dependencies"], Section::Workspace),
        ] {
            let Some(entries) = at(table, path).and_then(Item::as_table_like) else { continue };
            for (name, item) in entries.iter() {
                let line = entries
                    .key(name)
                    .and_then(toml_edit::Key::span)
                    .map_or(1, |span| line_of(text, span.start));
                let field = |key| item.as_table_like().and_then(|fields| fields.get(key));
                self.dependencies.push(Dependency {
                    package: field("package").and_then(Item::as_str).unwrap_or(name).to_owned(),
                    section,
                    line,
                    has_reason: has_comment(text, line),
                    bare: field("default-features").and_then(Item::as_bool) == Some(false),
                    inherited: field("workspace").and_then(Item::as_bool) == Some(true),
                });
            }
        }
    }
}

fn at<'t>(table: &'t dyn TableLike, path: &[&str]) -> Option<&'t Item> {
    let (last, before) = path.split_last()?;
    let mut table = table;
    for key in before {
        table = table.get(key)?.as_table_like()?;
    }
    table.get(last)
}

fn text_at<'t>(table: &'t dyn TableLike, path: &[&str]) -> Option<&'t str> {
    at(table, path)?.as_str()
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

fn has_comment(text: &str, line: usize) -> bool {
    let nth = |line: usize| text.lines().nth(line.wrapping_sub(1)).unwrap_or_default();
    nth(line).contains(" # ") || (line > 1 && nth(line - 1).trim_start().starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_every_section() {
        let manifest = Manifest::parse(
            "crates/x/Cargo.toml",
            "[package]\nname = \"annulus-x\"\n[dependencies]\n# Why.\na = \"1\"\nb.workspace = true\nc = { version = \"1\", default-features = false } # Why.\n[target.'cfg(unix)'.dev-dependencies]\nd = { package = \"annulus\", path = \"..\" }\n[lints]\nworkspace = true\n",
        );
        let short: Vec<_> = manifest
            .dependencies
            .iter()
            .map(|it| (it.package.as_str(), it.section, it.line, it.has_reason))
            .collect();
        assert_eq!(
            short,
            [
                ("a", Section::Normal, 5, true),
                ("b", Section::Normal, 6, false),
                ("c", Section::Normal, 7, true),
                ("annulus", Section::Dev, 9, false)
            ]
        );
        assert!(manifest.dependencies[1].inherited && manifest.dependencies[2].bare);
        assert_eq!((manifest.package.as_str(), manifest.folder()), ("annulus-x", "crates/x"));
        assert!(manifest.inherits_lints);
    }

    #[test]
    fn the_workspace_manifest_has_a_section_of_its_own() {
        let manifest =
            Manifest::parse("Cargo.toml", "[workspace.dependencies]\nannulus = { path = \"x\" }\n");
        assert_eq!(manifest.dependencies[0].section, Section::Workspace);
        assert!(manifest.dependencies[0].is_ours() && !manifest.inherits_lints);
    }
}
