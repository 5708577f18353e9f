//! The program on the kernel alone where io_uring is forbidden, by filters as container runtimes install them.
#![allow(
    clippy::disallowed_methods,
    reason = "a filter is installed in a thread, so that only its child has it"
)]

use std::collections::BTreeMap;
use std::process::{Command, Output};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::Value;

const IO_URING_CALLS: [i64; 3] = [425, 426, 427];
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Runs the program with io_uring's calls answered by `errno`.
fn annulus(errno: u32, arguments: &'static [&str]) -> Output {
    let in_its_own_thread = std::thread::spawn(move || {
        let calls: BTreeMap<_, _> = IO_URING_CALLS.iter().map(|call| (*call, Vec::new())).collect();
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter =
            SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(errno), arch).unwrap();
        let program: BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_annulus"));
        program.args(arguments).env("ANNULUS_BACKEND", "kernel").output().unwrap()
    });
    in_its_own_thread.join().unwrap()
}

#[test]
fn under_a_filter_that_forbids_the_report_says_so_and_what_to_do() {
    let output = annulus(EPERM, &["probe", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["available"], false);
    assert_eq!(report["blocked"]["errno"], 1);
    let reason = report["blocked"]["reason"].as_str().unwrap();
    assert!(reason.contains("seccomp filter") && reason.contains("io_uring_setup"), "{reason}");
    assert_eq!(report["limits"]["seccomp_filter"], true);
}

#[test]
fn under_a_filter_that_denies_all_knowledge_the_report_suspects_the_filter() {
    let output = annulus(ENOSYS, &["probe"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("not to be had: there is no io_uring here (ENOSYS), and a seccomp filter"),
        "{text}"
    );
}

#[test]
fn the_server_says_what_forbids_its_rings_and_ends() {
    let output = annulus(EPERM, &["serve", ".", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("seccomp filter") && said.contains("io_uring_setup"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_bench_tells_which_rings_were_refused_and_that_is_no_failure() {
    let output = annulus(EPERM, &["bench", "ring", "--batches", "1", "--rounds", "2", "--seconds", "0.01"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    for contender in ["kernel", "io-uring crate"] {
        let line = table.lines().find(|line| line.trim_start().starts_with(contender)).unwrap();
        assert!(line.contains("refused: "), "{table}");
    }
    assert!(table.contains("seccomp"), "{table}");
    let engine = table.lines().find(|line| line.trim_start().starts_with("engine")).unwrap();
    assert!(engine.ends_with(" %"), "the engine is measured all the same: {table}");
}
