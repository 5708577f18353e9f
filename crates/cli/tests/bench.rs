//! `annulus bench` as its user runs it, with rounds so short that no figure means anything: every contender has to take
//! part and to do something. Nothing is said about how much.
#![allow(clippy::print_stdout, reason = "a skip is told with its reason")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// One short round, and the cheapest cases.
const SHORT: [&str; 4] = ["--rounds", "1", "--seconds", "0.05"];

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_annulus")).arg("bench").args(arguments).output().unwrap()
}

/// Runs a bench with its report in a file; the table and the report.
fn report(arguments: &[&str]) -> (String, Value) {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("report.json");
    let output = bench(&[arguments, &SHORT, &["--json", json.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{output:?}");
    let report = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    (String::from_utf8(output.stdout).unwrap(), report)
}

fn refused(arguments: &[&str], status: i32, words: &[&str]) {
    let output = bench(arguments);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} are not all in {said}");
}

/// Whether every case has these contenders, each measured, and a line of the table for each.
fn assert_measured(table: &str, report: &Value, cases: usize, contenders: &[&str]) {
    let found = report["cases"].as_array().unwrap();
    assert_eq!(found.len(), cases, "{table}");
    for case in found {
        assert!(table.contains(case["name"].as_str().unwrap()), "{table}");
        let names: Vec<&str> = case["series"]
            .as_array()
            .unwrap()
            .iter()
            .map(|series| series["contender"].as_str().unwrap())
            .collect();
        for contender in contenders {
            assert!(names.contains(contender), "{contender} is not among {names:?}");
            assert!(table.contains(contender), "{contender} is missing in\n{table}");
        }
        for series in case["series"].as_array().unwrap() {
            assert_eq!(series["outcome"], "measured", "{series}");
            assert!(series["value"]["median"].as_f64().unwrap() > 0.0, "{series}");
            let round = &series["rounds"][0];
            assert!(round["units"].as_u64().unwrap() > 0, "{series}");
            assert!(round["wall_ns"].as_u64().unwrap() >= 50_000_000, "{series}");
        }
    }
}

#[test]
fn rings_of_every_back_end_and_of_the_peer_are_measured() {
    let (table, report) = report(&["ring", "--batches", "1,32"]);
    assert_measured(&table, &report, 2, &["kernel", "engine", "io-uring crate"]);
    assert_eq!(report["bench"], "ring");
    assert_eq!(report["cases"][1]["parameters"]["batch"], 32);
    assert_eq!(report["cases"][0]["unit"], "ns/op");
    assert_eq!(report["bars"], Value::Array(Vec::new()));
}

#[test]
fn every_echo_server_answers_a_client_on_another_core() {
    let (table, report) = report(&["echo", "--connections", "1,20", "--bytes", "64"]);
    assert_measured(
        &table,
        &report,
        2,
        &[
            "kernel async",
            "engine async",
            "kernel async direct",
            "engine async direct",
            "kernel multishot",
            "engine multishot",
            "kernel one-shot",
            "engine one-shot",
            "epoll",
            "tokio",
            "tokio-uring",
            "monoio",
            "compio",
        ],
    );
    let parameters = serde_json::json!({ "bytes": 64, "connections": 20, "short_lived": 0 });
    assert_eq!(report["cases"][1]["parameters"], parameters);
}

#[test]
fn connections_for_one_request_are_measured_too() {
    let arguments =
        ["echo", "--short-lived", "--connections", "20", "--bytes", "64", "--only", "async,tokio"];
    let (table, report) = report(&arguments);
    assert_measured(&table, &report, 1, &["kernel async", "engine async", "kernel async direct", "tokio"]);
    assert!(table.contains("20 connections, each for one request"), "{table}");
}

#[test]
fn every_reader_reads_cached_and_direct() {
    // The directory of the build is on a disk, the one for temporary files may be in memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let arguments = ["storage", "--size", "4", "--depths", "8", "--dir", directory.path().to_str().unwrap()];
    let (table, report) = report(&arguments);
    let contenders = [
        "kernel async",
        "engine async",
        "kernel in tokio",
        "engine in tokio",
        "kernel",
        "engine",
        "kernel fixed",
        "engine fixed",
        "tokio-uring",
        "monoio",
        "compio",
        "tokio blocking pool",
        "pool of 4 threads",
    ];
    let notes = report["notes"].as_array().unwrap();
    if let Some(note) = notes.iter().find(|note| note.as_str().unwrap().contains("O_DIRECT")) {
        println!("SKIP: reads past the page cache: {note}");
        assert_eq!(report["cases"][1]["series"][0]["outcome"], "refused");
    } else {
        assert_measured(&table, &report, 2, &contenders);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "the file is gone");
}

#[test]
fn a_file_of_the_user_is_read_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    std::fs::write(&path, vec![7; 100_000]).unwrap();
    let (table, report) = report(&[
        "storage",
        "--file",
        path.to_str().unwrap(),
        "--depths",
        "1",
        "--only",
        "kernel fixed,pread",
    ]);
    let series = report["cases"][0]["series"].as_array().unwrap();
    let names: Vec<&str> = series.iter().map(|series| series["contender"].as_str().unwrap()).collect();
    assert_eq!(names, ["kernel fixed", "pread"]);
    assert!(table.contains("cached, depth 1"), "{table}");
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 100_000]);
}

#[test]
fn bars_are_told_and_do_not_decide_the_exit_status() {
    let output = bench(&[&["ring", "--batches", "32", "--check"], &SHORT[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("NOP, 32 in a batch: engine / kernel"), "{table}");
    assert!(table.contains("at most 0.5"), "{table}");
}

#[test]
fn arguments_that_make_no_case_are_refused_before_anything_is_measured() {
    refused(&["ring", "--batches", "0"], 1, &["0 NOPs in a batch", "1 to 1024"]);
    refused(&["echo", "--bytes", "7"], 1, &["7 bytes", "8 to 16384"]);
    refused(&["echo", "--connections", "1000000"], 1, &["1000000 connections"]);
    refused(&["storage", "--depths", "5000"], 1, &["5000 reads at a time"]);
    refused(&["storage", "--size", "0"], 1, &["0 MiB"]);
    refused(&["ring", "--only", "windows"], 1, &["`windows`", "kernel, ", "io-uring crate"]);
    refused(&["ring", "--seconds", "0"], 2, &["--seconds", "0.001 to 3600"]);
    refused(&["ring", "--rounds", "0"], 2, &["--rounds"]);
    refused(&["storage", "--file", "a", "--dir", "b"], 2, &["--file", "--dir"]);
    refused(&["bandwidth"], 2, &["bandwidth"]);
}

#[test]
fn files_that_are_not_to_be_had_are_named() {
    let missing = Path::new("/no/such/directory/file");
    let name = missing.to_str().unwrap();
    refused(&["storage", "--file", name], 1, &[name, "No such file or directory", "--file"]);
    refused(&["storage", "--dir", name], 1, &[name, "No such file or directory", "--dir"]);
    refused(&["ring", "--json", name], 1, &["cannot write", name]);
}

#[test]
fn a_worker_without_a_task_says_so() {
    let output = bench(&["worker", "nonsense"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("not a task of a bench"));
}
