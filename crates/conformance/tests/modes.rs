//! The program `modes` as it is run by hand: what it prints, and how it ends.

use std::process::{Command, Output};

use annulus_conformance::backends;

fn modes(arguments: &[&std::path::Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_modes")).args(arguments).output().expect("the program starts")
}

#[test]
fn each_mode_has_its_line_and_none_fails_on_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = modes(&[&directory.path().join("blocks")]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    for backend in backends() {
        let own: Vec<_> = text.lines().filter(|line| line.starts_with(backend.name)).collect();
        for mode in ["interrupt", "iopoll", "sqpoll", "iopoll+sqpoll"] {
            let line = own.iter().find(|line| line.contains(&format!(" {mode}: ")));
            let line = line.unwrap_or_else(|| panic!("no line for {mode} on {}: {text}", backend.name));
            assert!(line.contains(": ok") || line.contains(": SKIP: "), "{line}");
        }
    }
}

#[test]
fn what_cannot_be_opened_fails_with_a_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = modes(&[&directory.path().join("no directory").join("blocks")]);
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = backends().len() * 4;
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), lines), "{text}");
    assert!(text.contains("FAILED: cannot open it: No such file or directory"), "{text}");
}

#[test]
fn without_a_target_it_says_how_it_is_used() {
    let output = modes(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stdout).expect("text").starts_with("usage: modes DEVICE_OR_FILE"));
}
