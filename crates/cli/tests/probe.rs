//! `annulus probe` as its user runs it. Where io_uring is forbidden: `forbidden.rs`.

use std::process::{Command, Output};

use serde_json::Value;

fn probe(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_annulus")).arg("probe").args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
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
fn an_argument_that_is_not_known_is_refused_with_its_name() {
    let output = probe(&["--xml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--xml"));
}
