//! `annulus probe` as its user runs it: here, and under the filters of container runtimes.
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

fn probe(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_annulus")).arg("probe").args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs the probe with io_uring's calls answered by `errno`, as a container's profile does.
fn probe_filtered(errno: u32, arguments: &'static [&str]) -> Output {
    let in_its_own_thread = std::thread::spawn(move || {
        let calls: BTreeMap<_, _> = IO_URING_CALLS.iter().map(|call| (*call, Vec::new())).collect();
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter =
            SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(errno), arch).unwrap();
        let program: BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        probe(arguments)
    });
    in_its_own_thread.join().unwrap()
}

fn available<'a>(report: &'a Value, list: &str) -> Vec<&'a str> {
    let rows = report[list].as_array().unwrap();
    rows.iter().filter(|row| row["available"] == true).map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn the_report_names_opcodes_flags_and_limits() {
    let output = probe(&[]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["Setup flags: ", "Features: ", "Opcodes: ", "Register operations: ", "  seccomp filter: "] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
    assert!(text.contains("\n    0  NOP                yes  since Linux 5.1\n"), "{text}");
}

#[test]
fn the_json_agrees_with_what_the_kernel_does() {
    let report = json(&probe(&["--json"]));
    assert_eq!(report["available"], true);
    assert_eq!(report["blocked"], Value::Null);
    assert_eq!(report["largest"]["sq_entries"], 32_768);
    assert!(available(&report, "opcodes").contains(&"READ"));
    assert!(available(&report, "features").contains(&"NODROP"));
    let flags = available(&report, "setup_flags");
    assert!(flags.contains(&"SQPOLL") && flags.contains(&"CLAMP"), "{flags:?}");
    assert_eq!(report["opcodes"].as_array().unwrap().len(), 65);
    let operations = available(&report, "register_operations");
    assert!(operations.contains(&"REGISTER_BUFFERS"), "{operations:?}");
    let known_by: Vec<_> =
        report["register_operations"].as_array().unwrap().iter().map(|op| &op["known_by"]).collect();
    // Linux 6.18 can be asked; before it there is the release.
    let asked = operations.contains(&"REGISTER_QUERY");
    assert!(known_by.iter().all(|by| *by == if asked { "query" } else { "release" }), "{known_by:?}");
}

#[test]
fn under_a_filter_that_forbids_the_report_says_so_and_what_to_do() {
    let output = probe_filtered(EPERM, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    assert_eq!(report["available"], false);
    assert_eq!(report["blocked"]["errno"], 1);
    let reason = report["blocked"]["reason"].as_str().unwrap();
    assert!(reason.contains("seccomp filter") && reason.contains("io_uring_setup"), "{reason}");
    assert_eq!(report["limits"]["seccomp_filter"], true);
}

#[test]
fn under_a_filter_that_denies_all_knowledge_the_report_suspects_the_filter() {
    let output = probe_filtered(ENOSYS, &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("not to be had: there is no io_uring here (ENOSYS), and a seccomp filter"),
        "{text}"
    );
}

#[test]
fn an_argument_that_is_not_known_is_refused_with_its_name() {
    let output = probe(&["--xml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--xml"));
}
