//! Names that the documents mention: what they say is there, is there.
//!
//! Code spans of the documents that speak about the tree are sorted by their looks: paths, packages,
//! kernel constants, Rust items, command lines. Shell blocks are read as command lines. A name that
//! looks like none of these is left alone, and so is everything in CHANGELOG.md, which tells of the past.
//!
//! A qualified name (`Type::method`) is held against what stands in the bodies of that type or below
//! that module; a bare one against all words of the code.

mod command;
mod index;

use crate::{Document, Finding, Span, Tree};
use index::Index;

/// The documents that speak about the tree as it is.
pub const DOCUMENTS: [&str; 4] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "STYLE.md"];

/// Endings by which a word without a slash is taken for a file.
const ENDINGS: [&str; 7] = [".rs", ".md", ".toml", ".sh", ".css", ".js", ".html"];

/// Checks every document of [`DOCUMENTS`].
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let index = Index::of(tree);
    DOCUMENTS.iter().flat_map(|path| document(tree, &index, &tree.document(path))).collect()
}

fn document(tree: &Tree, index: &Index, document: &Document) -> Vec<Finding> {
    let links =
        document.links.iter().filter(|link| !link.text.contains("://") && !link.text.starts_with('#'));
    let complaints = document
        .spans
        .iter()
        .flat_map(|span| span_complaints(tree, index, &span.text).into_iter().map(move |it| (span, it)))
        .chain(document.commands.iter().flat_map(|line| {
            command::complaints(tree, index, &line.text).into_iter().map(move |it| (line, it))
        }))
        .chain(
            links.filter_map(|link| missing_path(tree, link.text.split('#').next()?).map(|it| (link, it))),
        );
    complaints.map(|(span, what)| finding(document, span, what)).collect()
}

fn finding(document: &Document, span: &Span, what: String) -> Finding {
    Finding::new(&document.path, span.line, what, "write the name that stands there now, or take it out")
}

fn span_complaints(tree: &Tree, index: &Index, text: &str) -> Vec<String> {
    if text.contains(' ') {
        return command::complaints(tree, index, text);
    }
    if looks_like_a_path(tree, text) {
        return missing_path(tree, text).into_iter().collect();
    }
    if text.starts_with("IORING_") || text.starts_with("IOSQE_") {
        let known = text.ends_with('*') || tree.rust_texts().any(|(_, code)| code.contains(text));
        return unless(known, || format!("no Rust file mentions `{text}`"));
    }
    if text == "annulus" || text.starts_with("annulus-") {
        return unless(index.has_package(text), || format!("there is no package `{text}`"));
    }
    item_segments(text).map_or_else(Vec::new, |segments| item_complaints(index, text, &segments))
}

fn unless(fine: bool, complaint: impl FnOnce() -> String) -> Vec<String> {
    if fine { Vec::new() } else { vec![complaint()] }
}

fn looks_like_a_path(tree: &Tree, text: &str) -> bool {
    let plain = text.chars().all(|it| it.is_ascii_alphanumeric() || "_./-*".contains(it));
    let Some((first, _)) = text.split_once('/') else {
        return plain && ENDINGS.iter().any(|ending| text.len() > ending.len() && text.ends_with(ending));
    };
    let known_start = !first.is_empty() && first != "target" && (first == "." || tree.holds(first));
    plain && (known_start || ENDINGS.iter().any(|ending| text.ends_with(ending)) && !text.starts_with('/'))
}

fn missing_path(tree: &Tree, path: &str) -> Option<String> {
    (!tree.holds(path)).then(|| format!("there is no file or folder `{path}`"))
}

/// The segments of what looks like the name of an item: `Type`, `Type::method`, `module::item`, `function()`,
/// `a_test_whose_name_is_a_sentence`.
fn item_segments(text: &str) -> Option<Vec<&str>> {
    let is_call = text.ends_with(')');
    let path = text.split(['(', '<', '!']).next()?.trim_end_matches("::");
    let segments: Vec<&str> = path.split("::").collect();
    let is_word = |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    let last = segments.last()?;
    let camel = last.starts_with(|it: char| it.is_ascii_uppercase())
        && last.contains(|it: char| it.is_ascii_lowercase());
    // So many words in one name are the name of a test.
    let sentence = last.matches('_').count() >= 3;
    let named = segments.len() > 1 || is_call || camel || sentence;
    (named && segments.iter().all(|it| is_word(it))).then_some(segments)
}

fn item_complaints(index: &Index, text: &str, segments: &[&str]) -> Vec<String> {
    if segments.len() > 1 && index.is_outside(segments[0]) {
        return Vec::new();
    }
    if let Some(unknown) = segments
        .iter()
        .find(|segment| !index.has_word(segment) && !index.has_package(&segment.replace('_', "-")))
    {
        return vec![format!("`{text}`: there is no `{unknown}` in the code")];
    }
    let stray = segments.windows(2).find(|pair| !index.has_member(pair[0], pair[1]));
    stray.map(|pair| format!("`{text}`: `{}` has no `{}`", pair[0], pair[1])).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "//! IORING_SETUP_SQPOLL and more.\npub struct RingMemory;\nimpl RingMemory { pub fn head(&self) {} }\npub enum Mode { Poll }\npub fn open_it() {}\n#[test]\nfn it_opens_at_once() {}\n";

    fn complaints(readme: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("README.md", readme),
            ("STYLE.md", ""),
            (".ci/run", ""),
            (
                "crates/abi/Cargo.toml",
                "[package]\nname = \"annulus-abi\"\n[dependencies]\n# Why.\nrustix = \"1\"\n",
            ),
            ("crates/abi/src/memory.rs", CODE),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_exists_is_silent() {
        let names = [
            "crates/abi/src/memory.rs",
            "abi/src",
            ".ci/run",
            "memory.rs",
            "crates/*/src",
            "annulus-abi",
            "RingMemory",
            "RingMemory::head",
            "RingMemory::head()",
            "memory::RingMemory",
            "annulus_abi::Mode::Poll",
            "Mode",
            "open_it()",
            "it_opens_at_once",
            "IORING_SETUP_SQPOLL",
            "IORING_SETUP_*",
            "rustix::io::Errno",
            "std::fs::File",
        ];
        for name in names {
            assert_eq!(complaints(&format!("`{name}`\n")), [""; 0], "{name}");
        }
    }

    #[test]
    fn what_looks_like_no_name_is_left_alone() {
        let names = [
            "text/html",
            "HTTP/1.1",
            "/proc/self/fd",
            "enter",
            "-ECANCELED",
            "EPERM",
            "bytes=0-9",
            "io_uring_disabled",
            "a b c",
            "&mut",
        ];
        for name in names {
            assert_eq!(complaints(&format!("`{name}`\n")), [""; 0], "{name}");
        }
    }

    #[test]
    fn what_does_not_exist_is_found() {
        let names = [
            "crates/abi/src/gone.rs",
            "crates/gone",
            "gone.md",
            "annulus-gone",
            "Gone",
            "RingMemory::gone",
            "Mode::head",
            "memory::Gone",
            "gone()",
            "it_is_gone_now",
            "annulus_abi::Gone",
            "IORING_SETUP_GONE",
        ];
        for name in names {
            let found = complaints(&format!("\n`{name}`\n"));
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].starts_with("README.md:2: "), "{found:?}");
        }
    }

    #[test]
    fn a_link_to_a_missing_file_is_found() {
        assert_eq!(complaints("[a](STYLE.md#x) [b](https://example.org/x) [c](#here)\n"), [""; 0]);
        assert_eq!(complaints("[a](GONE.md)\n").len(), 1);
    }
}
