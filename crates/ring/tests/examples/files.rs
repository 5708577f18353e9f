//! `cat`, `cp` and `link_fsync`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::clients::bytes;
use crate::process::{complaint, program, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn file(folder: &Path, name: &str, contents: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, contents).expect("writing a file");
    path
}

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn cat_copies_files_of_any_size_in_order() {
    let folder = folder();
    let contents = [bytes(1, 1), bytes(2, 0), bytes(3, 128 * 1024), bytes(4, 3_000_001)];
    let files: Vec<_> =
        (0..).zip(&contents).map(|(n, contents)| file(folder.path(), &format!("{n}"), contents)).collect();
    let output = run("cat", &files);
    assert!(output.status.success(), "{}", complaint(&output));
    assert!(output.stdout == contents.concat(), "{} bytes came", output.stdout.len());
}

#[test]
fn cat_copies_a_pipe() {
    let contents = bytes(5, 700_000);
    let mut child = program("cat").arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            stdin.write_all(&contents).unwrap();
            drop(stdin);
        });
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    assert!(output.stdout == contents, "{} bytes came", output.stdout.len());
}

#[test]
fn cat_names_a_missing_file_and_copies_the_rest() {
    let folder = folder();
    let present = file(folder.path(), "present", b"present\n");
    let missing = folder.path().join("missing");
    let output = run("cat", [&missing, &present]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"present\n");
    let expected = format!("cat: {}: No such file or directory (os error 2)\n", missing.display());
    assert_eq!(complaint(&output), expected);
}

#[test]
fn cat_without_arguments_says_how_to_use_it() {
    let output = run::<&str>("cat", []);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(complaint(&output), "usage: cat FILE...  (`-` is standard input)\n");
}

#[test]
fn cat_ends_quietly_when_nobody_reads_on() {
    let folder = folder();
    let large = file(folder.path(), "large", &bytes(6, 4_000_000));
    let mut child = program("cat").arg(large).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(complaint(&output), "");
}

#[test]
fn cp_copies_files_of_any_size_with_their_mode() {
    let folder = folder();
    let block = 128 * 1024;
    for (n, size) in (0..).zip([0, 1, block - 1, block, block + 1, 32 * block, 70 * block + 17]) {
        let contents = bytes(n, size);
        let source = file(folder.path(), "source", &contents);
        fs::set_permissions(&source, fs::Permissions::from_mode(0o640 + u32::try_from(n).unwrap())).unwrap();
        let destination = folder.path().join("destination");
        let output = run("cp", [&source, &destination]);
        assert!(output.status.success(), "{size} bytes: {}", complaint(&output));
        assert!(fs::read(&destination).unwrap() == contents, "{size} bytes");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&destination), mode(&source), "{size} bytes");
        fs::remove_file(source).unwrap();
    }
    assert_eq!(names(folder.path()), ["destination"], "nothing else is left");
}

#[test]
fn cp_copies_what_gives_short_reads_and_lies_about_its_size() {
    // Files of /proc say that they are empty and are read some kilobytes at a time; those of /sys say that
    // they are a page long.
    let folder = folder();
    for source in ["/proc/kallsyms", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let Ok(contents) = fs::read(source) else {
            println!("SKIP: {source} cannot be read here");
            continue;
        };
        let destination = folder.path().join("copy");
        let output = run("cp", [Path::new(source), &destination]);
        assert!(output.status.success(), "{}", complaint(&output));
        assert!(fs::read(&destination).unwrap() == contents, "{source}");
    }
}

#[test]
fn cp_of_a_source_that_shrinks_gives_a_shorter_file_or_none() {
    let folder = folder();
    let contents = bytes(7, 24 << 20);
    for round in 0..6 {
        let source = file(folder.path(), "source", &contents);
        let destination = folder.path().join("destination");
        let mut child = program("cp").args([&source, &destination]).stderr(Stdio::piped()).spawn().unwrap();
        let source = OpenOptions::new().write(true).open(source).unwrap();
        for step in 1..=8 {
            source.set_len((24 << 20) - (step << 20) - (round << 12)).unwrap();
        }
        let status = child.wait().unwrap();
        if status.success() {
            let copy = fs::read(&destination).unwrap();
            assert!(copy.len() >= 15 << 20 && copy == contents[..copy.len()], "{} bytes", copy.len());
            fs::remove_file(destination).unwrap();
        }
        assert_eq!(names(folder.path()), ["source"], "no part of a copy is left");
    }
}

#[test]
fn cp_into_a_full_file_system_says_so_and_leaves_nothing() {
    let folder = folder();
    let source = file(folder.path(), "source", &bytes(8, 4 << 20));
    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let example = program("cp");
    // In a mount namespace of its own, so that the mount goes with the process.
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$1" || exit 77
        "$2" "$3" "$1/copy"; status=$?
        [ -z "$(ls -A "$1")" ] || exit 78
        exit $status"#;
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(&small).arg(example.get_program()).arg(&source);
    let Ok(output) = command.output() else {
        println!("SKIP: no program `unshare` here");
        return;
    };
    let complaint = complaint(&output);
    if output.status.code() == Some(77) || complaint.contains("unshare") {
        println!("SKIP: no small file system can be mounted here: {complaint}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let expected = format!("cp: {}: No space left on device (os error 28)\n", small.join("copy").display());
    assert_eq!(complaint, expected);
}

#[test]
fn cp_refuses_what_it_would_spoil() {
    let folder = folder();
    let source = file(folder.path(), "source", b"contents");
    let of = |output: Output| (output.status.code(), complaint(&output));
    let (status, text) = of(run("cp", [&source, &source]));
    assert_eq!((status, text.contains("is the source itself")), (Some(1), true), "{text}");
    let (status, text) = of(run("cp", [&source, Path::new("/dev/null")]));
    assert_eq!((status, text.contains("is no regular file")), (Some(1), true), "{text}");
    let (status, text) = of(run("cp", [folder.path(), &folder.path().join("copy")]));
    assert_eq!((status, text.contains("Is a directory")), (Some(1), true), "{text}");
    let (status, text) = of(run("cp", [&source]));
    assert_eq!((status, text.as_str()), (Some(2), "usage: cp SOURCE DESTINATION\n"));
    assert_eq!(fs::read(&source).unwrap(), b"contents");
    assert_eq!(names(folder.path()), ["source"]);
}

#[test]
fn cp_copies_into_a_folder_and_through_a_symbolic_link() {
    let folder = folder();
    let source = file(folder.path(), "source", b"new");
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    assert!(run("cp", [&source, &inside]).status.success());
    assert_eq!(fs::read(inside.join("source")).unwrap(), b"new");

    let old = file(folder.path(), "old", b"old");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&old, &link).unwrap();
    assert!(run("cp", [&source, &link]).status.success());
    assert_eq!(fs::read(old).unwrap(), b"new");
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
}

#[test]
fn link_fsync_appends_its_records_in_order() {
    let folder = folder();
    let log = folder.path().join("log");
    let output = run("link_fsync", [log.as_os_str(), "first".as_ref(), "second".as_ref()]);
    assert_eq!(output.stdout, b"2 records, 13 bytes, on the disk\n", "{}", complaint(&output));
    let numbers: Vec<OsString> = (0..500).map(|n| n.to_string().into()).collect();
    let output = run("link_fsync", [log.clone().into_os_string()].into_iter().chain(numbers));
    assert_eq!(output.stdout, b"500 records, 1890 bytes, on the disk\n", "{}", complaint(&output));
    let expected: String = (0..500).map(|n| format!("{n}\n")).collect();
    assert_eq!(fs::read_to_string(log).unwrap(), format!("first\nsecond\n{expected}"));
}

#[test]
fn link_fsync_names_the_record_that_broke_the_chain() {
    let output = run("link_fsync", ["/dev/full", "first", "second"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        complaint(&output),
        "link_fsync: /dev/full: record 1: No space left on device (os error 28); nothing after it was carried out\n"
    );
    let output = run("link_fsync", ["/dev/full"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn link_fsync_stops_at_a_short_write() {
    let folder = folder();
    let log = folder.path().join("log");
    File::create(&log).unwrap();
    let example = program("link_fsync");
    // The second record crosses the largest size that the shell allows files to have: one block of 1024.
    let script = r#"ulimit -f 1; trap '' XFSZ; "$1" "$2" "$3" "$4" "$5""#;
    let [first, second] = [1000, 100].map(|length| "x".repeat(length - 1));
    let mut command = Command::new("bash");
    command.args(["-c", script, "sh"]).arg(example.get_program()).arg(&log).args([&first, &second, "third"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("link_fsync: {}: record 2: 24 of 100 bytes were written\n", log.display());
    assert_eq!(complaint(&output), expected);
    assert_eq!(fs::metadata(log).unwrap().len(), 1024);
}
