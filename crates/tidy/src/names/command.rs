//! Command lines in the documents: the packages, examples, benches, subcommands and options that they name.

use super::{Index, unless};
use crate::{Kind, Tree};

/// Where the options of the `annulus` program are declared.
const PROGRAM: [&str; 2] = ["crates/cli/src/", "crates/serve/src/"];

/// What is wrong with a command line; nothing for one that does not run something of ours.
pub(super) fn complaints(tree: &Tree, index: &Index, line: &str) -> Vec<String> {
    let words = words(line);
    let mut complaints = targets(tree, index, &words);
    if let Some(arguments) = program_arguments(&words) {
        complaints.extend(program(tree, arguments));
    }
    complaints
}

/// The words of the first command of a line: without prompt, comment, pipe or what follows it.
fn words(line: &str) -> Vec<&str> {
    let words =
        line.split_whitespace().skip_while(|word| matches!(*word, "$" | "#" | "sudo") || is_assignment(word));
    words.take_while(|word| !matches!(*word, "#" | "|" | "&" | "&&" | ";" | ">")).collect()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|it| it.is_ascii_uppercase() || it == '_')
    })
}

/// What cargo is told to build or run.
fn targets(tree: &Tree, index: &Index, words: &[&str]) -> Vec<String> {
    if words.first() != Some(&"cargo") {
        return Vec::new();
    }
    let ours = words.split(|word| *word == "--").next().unwrap_or_default();
    let exists = |kind: &str, name: &str| {
        [format!("{kind}/{name}.rs"), format!("{kind}/{name}/main.rs")].iter().any(|path| tree.holds(path))
    };
    let complain = |pair: &[&str]| match *pair {
        ["-p" | "--package", name] => {
            unless(index.has_package(name), || format!("there is no package `{name}`"))
        }
        ["--example", name] => unless(exists("examples", name), || format!("there is no example `{name}`")),
        ["--bench", name] => unless(exists("benches", name), || format!("there is no bench `{name}`")),
        ["--test", name] => unless(exists("tests", name), || format!("there is no test `{name}`")),
        _ => Vec::new(),
    };
    ours.windows(2).flat_map(complain).collect()
}

/// What our program is given, if the command runs it.
fn program_arguments<'w>(words: &'w [&'w str]) -> Option<&'w [&'w str]> {
    match words {
        ["cargo", "run", rest @ ..] if !rest.contains(&"--example") => {
            rest.iter().position(|word| *word == "--").map(|at| &rest[at + 1..])
        }
        [program, rest @ ..] if *program == "annulus" || program.ends_with("/annulus") => Some(rest),
        _ => None,
    }
}

/// Subcommand and long options, held against the words and strings of the program's source.
fn program(tree: &Tree, arguments: &[&str]) -> Vec<String> {
    let says = |name: &str| {
        let sources =
            tree.sources().filter(|(path, _)| PROGRAM.iter().any(|folder| path.starts_with(folder)));
        let quoted = format!("\"{name}\"");
        let field = name.replace('-', "_");
        let same = |kind, text: &str| match kind {
            Kind::Word => {
                text.eq_ignore_ascii_case(&field) || text.eq_ignore_ascii_case(&name.replace('-', ""))
            }
            _ => text == quoted,
        };
        sources.flat_map(|(_, source)| source.tokens()).any(|token| same(token.kind, &token.text))
    };
    let subcommand = arguments.first().filter(|word| word.starts_with(|it: char| it.is_ascii_lowercase()));
    let options = arguments
        .iter()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|it| it.split('=').next().unwrap_or(it));
    let standard = |name: &str| matches!(name, "" | "help" | "version");
    let mut complaints = Vec::new();
    for name in subcommand.copied().into_iter().chain(options).filter(|name| !standard(name) && !says(name)) {
        complaints.push(format!("`annulus` knows no `{name}`"));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("crates/cli/Cargo.toml", "[package]\nname = \"annulus-cli\"\n"),
            (
                "crates/cli/src/main.rs",
                "//! x\nenum Command { Serve(Serve) }\nstruct Serve { demo: bool, idle_timeout: u32 }\n",
            ),
            ("crates/ring/examples/cat.rs", "//! x\n"),
        ]);
        complaints(&tree, &Index::of(&tree), line)
    }

    #[test]
    fn commands_that_can_be_typed_are_silent() {
        for line in [
            "cargo run --release -- serve --demo",
            "RUST_LOG=info annulus serve --idle-timeout=3 | less --gone",
            "$ ./target/release/annulus --help # --gone",
            "cargo test -p annulus-cli -- --nocapture",
            "cargo run -p annulus-cli --example cat -- --anything",
            "curl --range 0-9 http://127.0.0.1:8080/",
            "SKIP: reason",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn commands_that_name_what_is_gone_are_found() {
        for line in [
            "cargo run --release -- gone",
            "annulus serve --gone",
            "./target/release/annulus serve DIR --gone 3",
            "cargo test -p annulus-gone",
            "cargo run -p annulus-cli --example gone",
            "cargo bench --bench gone",
        ] {
            assert_eq!(found(line).len(), 1, "{line}");
        }
    }
}
