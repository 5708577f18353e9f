//! The program where io_uring is forbidden, by filters as container runtimes install them: on the kernel alone it says so,
//! otherwise the engine takes over.
#![allow(
    clippy::disallowed_methods,
    reason = "a filter is installed in a thread, so that only its child has it"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::Value;

const IO_URING_CALLS: [i64; 3] = [425, 426, 427];
const EPERM: u32 = 1;
const EACCES: u32 = 13;
const ENOSYS: u32 = 38;
const SIGSYS: i32 = 31;

/// Runs `program` in a thread whose children have io_uring's calls answered in this way.
fn filtered<T: Send>(answer: SeccompAction, program: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let in_its_own_thread = scope.spawn(|| {
            let calls: BTreeMap<_, _> = IO_URING_CALLS.iter().map(|call| (*call, Vec::new())).collect();
            let arch = std::env::consts::ARCH.try_into().unwrap();
            let filter = SeccompFilter::new(calls, SeccompAction::Allow, answer, arch).unwrap();
            let filter: BpfProgram = filter.try_into().unwrap();
            seccompiler::apply_filter(&filter).unwrap();
            program()
        });
        in_its_own_thread.join().unwrap()
    })
}

/// The program on this back end.
fn program(arguments: &[&str], backend: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_annulus"));
    program.args(arguments).env("ANNULUS_BACKEND", backend);
    program
}

/// Runs the program on the kernel alone, with io_uring's calls answered by `errno`.
fn annulus(errno: u32, arguments: &[&str]) -> Output {
    filtered(SeccompAction::Errno(errno), || program(arguments, "kernel").output().unwrap())
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

#[test]
fn under_a_filter_the_report_tells_what_takes_over_and_why() {
    for errno in [EPERM, EACCES, ENOSYS] {
        let output =
            filtered(SeccompAction::Errno(errno), || program(&["probe", "--json"], "auto").output().unwrap());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["rings"]["run_on"], "engine");
        assert_eq!(report["blocked"]["errno"], errno);
    }
}

#[test]
fn a_probe_of_the_engine_survives_a_filter_that_kills() {
    for (arguments, backend) in [(&["probe", "--backend", "engine"][..], "auto"), (&["probe"], "engine")] {
        let output = filtered(SeccompAction::KillProcess, || program(arguments, backend).output().unwrap());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("rings run on: the engine"), "{text}");
    }
    let output = filtered(SeccompAction::KillProcess, || program(&["probe"], "auto").output().unwrap());
    assert_eq!(output.status.signal(), Some(SIGSYS), "the filter does kill: {output:?}");
}

/// Starts the server, has it send a file, ends it, and returns what it said before the address.
fn serve_a_file(arguments: &[&str], answer: SeccompAction) -> String {
    let folder = tempfile::tempdir().unwrap();
    let text = "something to serve ".repeat(10_000);
    std::fs::write(folder.path().join("file.txt"), &text).unwrap();
    let path = folder.path().to_str().unwrap();
    let arguments = [&["serve", path, "--listen", "127.0.0.1:0", "--log", "off"], arguments].concat();
    let mut server = filtered(answer, || {
        program(&arguments, "auto").stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
    });
    let mut said = String::new();
    let mut out = BufReader::new(server.stdout.take().unwrap());
    while !said.contains("http://") {
        assert_ne!(out.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let (before, address) = said.split_once("http://").unwrap();
    let mut client = TcpStream::connect(address.trim().trim_end_matches('/')).unwrap();
    client.write_all(b"GET /file.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(body == text, "{} of {} bytes", body.len(), text.len());
    before.to_owned()
}

#[test]
fn the_server_serves_where_the_calls_are_answered_by_any_of_three_errors_and_says_why() {
    for errno in [EPERM, EACCES, ENOSYS] {
        let said = serve_a_file(&[], SeccompAction::Errno(errno));
        assert!(
            said.starts_with("annulus runs its rings on the engine: ") && said.contains("seccomp"),
            "{said}"
        );
    }
}

#[test]
fn the_server_on_the_engine_makes_none_of_the_calls() {
    let said = serve_a_file(&["--backend", "engine"], SeccompAction::KillProcess);
    assert!(said.starts_with("annulus runs its rings on the engine\n"), "{said}");
}
