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
    assert!(text.contains("\n    0  NOP               yes    yes    since Linux 5.1\n"), "{text}");
    assert!(text.contains("\n   58  RECV_ZC "), "{text}");
    assert!(!text.contains("IORING_RECV_MULTISHOT"), "forms are only listed on demand:\n{text}");
}

#[test]
fn the_forms_are_listed_below_their_opcodes_on_demand() {
    let output = probe(&["--forms"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let recv = text.split_once("\n   27  RECV ").unwrap().1.split_once("\n   28 ").unwrap().0;
    assert!(recv.contains("since Linux 6.0: multishot (IORING_RECV_MULTISHOT)\n"), "{recv}");
}

#[test]
fn the_support_matrix_in_the_documents_is_the_one_that_the_program_writes() {
    let output = probe(&["--matrix"]);
    assert!(output.status.success(), "{output:?}");
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/SUPPORT.md");
    let written = std::fs::read_to_string(document).unwrap();
    let remedy = "write it anew: cargo run -p annulus-cli -- probe --matrix > docs/SUPPORT.md";
    assert!(written == String::from_utf8(output.stdout).unwrap(), "{document} is not up to date; {remedy}");
}

#[test]
fn the_json_tells_of_each_form_what_the_engine_makes_of_it() {
    let report = json(&probe(&["--json"]));
    let row = |name: &str| {
        let rows = report["opcodes"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap().clone()
    };
    assert_eq!(row("RECV_ZC")["engine"]["available"], false);
    assert_eq!(row("SEND_ZC")["engine"]["available"], true);
    assert!(row("SEND_ZC")["engine"]["note"].as_str().unwrap().contains("copies"));
    let forms = row("ACCEPT")["forms"].clone();
    let multishot = forms.as_array().unwrap().iter().find(|form| form["name"] == "IORING_ACCEPT_MULTISHOT");
    let multishot = multishot.unwrap();
    assert_eq!(
        (multishot["since"].as_str(), &multishot["engine"]["available"]),
        (Some("5.19"), &true.into())
    );
}

#[test]
fn with_the_engine_forced_the_kernel_is_not_asked() {
    let output = Command::new(env!("CARGO_BIN_EXE_annulus"))
        .args(["probe", "--json"])
        .env("ANNULUS_BACKEND", "engine")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = json(&output);
    assert_eq!(report["available"], false);
    assert_eq!(report["rings"]["run_on"], "engine");
    assert_eq!(report["engine"], Value::Null);
    assert_eq!(available(&report, "opcodes"), [""; 0]);
    let read = report["opcodes"].as_array().unwrap().iter().find(|row| row["name"] == "READ").unwrap();
    assert_eq!(read["engine"]["available"], true);
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
