//! `annulus serve` as its user has it: the program, its exit status, its memory, its descriptors, its signals.

mod child;

use std::fs;
use std::io::{self, Read as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use child::{Client, Served, annulus, content_length, is_clean, sparse};
use rustix::process::Signal;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A folder with a file that no socket's buffers hold, and a small one.
fn folder_with_files() -> TempDir {
    let folder = folder();
    sparse(&folder.path().join("large.bin"), 256 * MIB, &[]);
    fs::write(folder.path().join("a.txt"), "a").expect("written");
    folder
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        annulus().arg("serve").args(arguments).stdin(Stdio::null()).output().expect("the program starts");
    assert_eq!(String::from_utf8_lossy(&stdout), "");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn what_cannot_be_served_is_said_and_the_status_is_1() {
    assert_eq!(
        run(&["/nonexistent/photos"]),
        (Some(1), "annulus serve: cannot serve /nonexistent/photos: there is no such directory\n".to_owned())
    );
    let (status, said) = run(&["/proc/version"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("/proc/version: it is not a directory"), "{said}");

    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("an address").to_string();
    let folder = folder();
    let (status, said) = run(&[&folder.path().to_string_lossy(), "--listen", &taken]);
    assert_eq!(status, Some(1));
    assert!(said.contains(&format!("cannot listen on {taken}: another program listens there")), "{said}");
}

#[test]
fn a_command_line_that_makes_no_sense_has_the_status_2() {
    for (arguments, part) in [
        (&[][..], "<DIR>"),
        (&[".", "--listen", "somewhere"], "--listen"),
        (&[".", "--head-timeout", "5 days"], "is no unit; say ms, s, m or h"),
        (&[".", "--demo"], "--demo"),
        (&[".", "--shards", "0"], "--shards"),
    ] {
        let (status, said) = run(arguments);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn the_switches_reach_the_server() {
    let folder = folder_with_files();
    let at = |name: &str| folder.path().join(name);
    fs::write(at(".hidden"), "hidden").expect("written");
    symlink("a.txt", at("link")).expect("linked");
    let log = at("access.log");
    let etag = |head: &str| {
        let etag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("a tag");
        etag.matches('-').count()
    };

    let plain = Served::start(folder.path(), &[]);
    let mut client = plain.client();
    for (path, expected) in [("/.hidden", 404), ("/link", 404), ("/a.txt", 200)] {
        client.get(path, "");
        let (status, head) = client.head();
        client.skip(content_length(&head));
        assert_eq!(status, expected, "{path}");
        assert!(status != 200 || etag(&head) == 3, "seconds, nanoseconds, size, inode: {head}");
    }

    let log_argument = log.to_string_lossy();
    let arguments = [
        "--hidden",
        "--follow-symlinks",
        "--no-inode-etag",
        "--shards",
        "1",
        "--max-per-address",
        "2",
        "--idle-timeout",
        "3s",
        "--log",
        &log_argument,
    ];
    let switched = Served::start(folder.path(), &arguments);
    let mut client = switched.client();
    let mut second = switched.client();
    for path in ["/.hidden", "/link", "/a.txt"] {
        client.get(path, "");
        let (status, head) = client.head();
        client.skip(content_length(&head));
        assert_eq!((status, etag(&head)), (200, 2), "{path}: {head}");
    }
    second.get("/a.txt", "");
    assert_eq!(second.response().0, 200);
    let mut third = switched.client();
    assert_eq!(third.head().0, 503);
    assert_eq!((client.count_rest(), second.count_rest()), (0, 0), "idle for too long");
    let log = fs::read_to_string(&log).expect("written");
    assert!(log.contains(" GET /link 200 1 "), "{log}");
}

#[test]
fn five_gib_are_served_in_bounded_memory() {
    const SIZE: u64 = 5 << 30;
    let folder = folder();
    let (middle, end) = ((1 << 32) - 3, SIZE - 7);
    let pieces: [(u64, &[u8]); 3] = [(0, b"begin"), (middle, b"across 4 GiB"), (end, b"the end")];
    sparse(&folder.path().join("film.mkv"), SIZE, &pieces);
    let served = Served::start(folder.path(), &[]);
    let mut client = served.client();
    for (offset, bytes) in pieces {
        let last = offset + bytes.len() as u64 - 1;
        client.get("/film.mkv", &format!("Range: bytes={offset}-{last}\r\n"));
        assert_eq!(client.response(), (206, bytes.to_vec()));
    }
    client.get("/film.mkv", "Range: bytes=-7\r\n");
    assert_eq!(client.response(), (206, b"the end".to_vec()));
    client.get("/film.mkv", &format!("Range: bytes={SIZE}-\r\n"));
    assert_eq!(client.response().0, 416);

    let before = served.memory_kib("VmRSS");
    client.get("/film.mkv", "");
    let (status, head) = client.head();
    assert_eq!((status, content_length(&head)), (200, SIZE));
    let zeros = vec![0; 1 << 20];
    let mut piece = vec![0; 1 << 20];
    let mut at = 0;
    while at < SIZE {
        let read = client.stream.read(&mut piece).expect("more of it");
        assert_ne!(read, 0, "it ended after {at} bytes");
        let range = at..at + read as u64;
        for (offset, bytes) in pieces {
            for (offset, byte) in (offset..).zip(bytes) {
                if range.contains(&offset) {
                    let index = usize::try_from(offset - at).expect("within the piece");
                    assert_eq!(piece[index], *byte, "at {offset}");
                    piece[index] = 0;
                }
            }
        }
        assert!(piece[..read] == zeros[..read], "a hole is not empty, after {at} bytes");
        at += read as u64;
    }
    client.get("/film.mkv", "Range: bytes=0-4\r\n");
    assert_eq!(client.response(), (206, b"begin".to_vec()), "and nothing came behind it");
    let peak = served.memory_kib("VmHWM");
    assert!(peak < before + 8 * 1024, "{before} KiB before, {peak} KiB at the most");
}

#[test]
fn a_hundred_downloads_at_once_hold_two_chunks_each_at_the_most() {
    let folder = folder_with_files();
    let served = Served::start(folder.path(), &["--log", "off"]);
    let before = served.memory_kib("VmRSS");
    let mut clients: Vec<Client> = (0..100).map(|_| served.client()).collect();
    for client in &mut clients {
        client.get("/large.bin", "");
        assert_eq!(client.head().0, 200);
    }
    // All of them are stuck now, with what their sockets hold.
    let peak = served.memory_kib("VmHWM");
    assert!(peak < before + 100 * 2 * 128 + 8 * 1024, "{before} KiB before, {peak} KiB at the most");
    let last = clients.last_mut().expect("a hundred");
    let mut body = vec![1; 256 << 20];
    let held = last.stream.buffer().len();
    last.stream.read_exact(&mut body).expect("all of it");
    assert!(held <= body.len() && body.iter().all(|byte| *byte == 0));
}

#[test]
fn aborted_requests_leave_no_descriptor_behind() {
    let folder = folder_with_files();
    let served = Served::start(folder.path(), &["--log", "off"]);
    let before = served.descriptors();
    for round in 0..30 {
        let mut clients: Vec<Client> = (0..10).map(|_| served.client()).collect();
        for (index, client) in clients.iter_mut().enumerate() {
            match (round + index) % 5 {
                // In the middle of a response, before it, before a folder is listed, in the middle of a request, without a word.
                0 => {
                    client.get("/large.bin", "");
                    assert_eq!(client.head().0, 200);
                }
                1 => client.get("/large.bin", ""),
                2 => client.get("/", ""),
                3 => client.send("GET /large"),
                _ => {}
            }
        }
    }
    served.wait_for_descriptors(before);
    let mut client = served.client();
    client.get("/a.txt", "");
    assert_eq!(client.response(), (200, b"a".to_vec()));
}

#[test]
fn a_server_that_starts_has_all_descriptors_of_its_own() {
    let folder = folder_with_files();
    let path = folder.path().to_string_lossy();
    let options = ["--listen", "127.0.0.1:0", "--shards", "3", "--log", "off"];
    // The limit grows until the server starts: that it then has too few for something of its own is what must not be.
    for limit in 12..256 {
        let mut command = Command::new("sh");
        command.args(["-c", r#"ulimit -n "$0" && exec "$@""#, &limit.to_string()]);
        command.args([env!("CARGO_BIN_EXE_annulus"), "serve", &path]).args(options).stderr(Stdio::piped());
        match Served::try_run_until(command, "http://") {
            Err(refused) => {
                let said = String::from_utf8_lossy(&refused.stderr);
                assert_eq!(refused.status.code(), Some(1), "{limit} descriptors: {said}");
                assert!(said.starts_with("annulus serve: "), "{limit} descriptors: {said}");
                assert!(
                    said.contains("open files") || said.contains("descriptor"),
                    "{limit} descriptors: {said}"
                );
            }
            Ok(mut served) => {
                served.signal(Signal::TERM);
                let status = served.wait();
                assert!(is_clean(status), "{limit} descriptors: {status}");
                return;
            }
        }
    }
    panic!("256 descriptors are not enough");
}

#[test]
fn without_descriptors_downloads_go_on_and_later_ones_are_served_again() {
    let folder = folder_with_files();
    let served = Served::start(folder.path(), &["--log", "off"]);
    let before = served.descriptors();
    let mut running = served.client();
    running.get("/large.bin", "");
    let (status, head) = running.head();
    assert_eq!(status, 200);
    let mut idle = served.client();
    idle.get("/a.txt", "");
    assert_eq!(idle.response(), (200, b"a".to_vec()));

    // Two connections and the large file: the small one is closed behind its response.
    served.wait_for_descriptors(before + 3);
    served.forbid_descriptors();
    idle.get("/a.txt", "");
    let (status, head_of_503) = idle.head();
    assert_eq!(status, 503);
    assert!(head_of_503.contains("\r\nRetry-After: 2\r\n"), "{head_of_503}");
    idle.skip(content_length(&head_of_503));
    let mut waiting: Vec<Client> = (0..20).map(|_| served.client()).collect();
    for client in &mut waiting {
        client.get("/a.txt", "");
    }
    // Most of it, while nothing can be opened; the rest is more than sockets hold, so that it keeps its descriptors.
    running.skip(200 * MIB);
    served.allow_descriptors();
    for client in &mut waiting {
        // One that got the last descriptor for itself found none for its file, and may ask again.
        let mut response = client.response();
        if response.0 == 503 {
            client.get("/a.txt", "");
            response = client.response();
        }
        assert_eq!(response, (200, b"a".to_vec()));
    }
    idle.get("/a.txt", "");
    assert_eq!(idle.response(), (200, b"a".to_vec()));
    running.skip(content_length(&head) - 200 * MIB);
}

#[test]
fn sigterm_lets_a_download_finish_and_the_status_is_0() {
    let folder = folder_with_files();
    let mut served = Served::start(folder.path(), &["--grace", "1h"]);
    let mut idle = served.client();
    idle.get("/a.txt", "");
    assert_eq!(idle.response().0, 200);
    let mut client = served.client();
    client.get("/large.bin", "");
    assert_eq!(client.head().0, 200);
    served.signal(Signal::TERM);
    assert_eq!(idle.count_rest(), 0, "an idle connection is closed");
    assert_eq!(client.count_rest(), 256 * MIB);
    let status = served.wait();
    assert!(is_clean(status), "{status}");
    let log = served.rest_of_output();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains(" 127.0.0.1 GET /a.txt 200 1 "), "{log}");
    assert!(
        lines[1].contains(" 127.0.0.1 GET /large.bin 200 268435456 ") && lines[1].ends_with("ms"),
        "{log}"
    );
}

#[test]
fn sigint_ends_an_idle_server_at_once() {
    let folder = folder_with_files();
    let mut served = Served::start(folder.path(), &["--grace", "1h"]);
    let mut idle = served.client();
    idle.get("/a.txt", "");
    assert_eq!(idle.response().0, 200);
    served.signal(Signal::INT);
    let status = served.wait();
    assert!(is_clean(status), "{status}");
    assert_eq!(idle.count_rest(), 0);
}

#[test]
fn a_second_signal_ends_what_the_first_let_run() {
    let folder = folder_with_files();
    let mut served = Served::start(folder.path(), &["--grace", "1h", "--stall-timeout", "1h"]);
    let mut client = served.client();
    client.get("/large.bin", "");
    assert_eq!(client.head().0, 200);
    served.signal(Signal::TERM);
    // Two signals at once would count as one.
    served.wait_until_it_stops_listening();
    assert!(served.is_running(), "the download is still to be finished");
    served.signal(Signal::TERM);
    let status = served.wait();
    assert!(is_clean(status), "{status}");
    assert!(client.count_rest() < 256 * MIB);
    let log = served.rest_of_output();
    assert!(log.ends_with("ms aborted: the server ended before it was complete\n"), "{log}");
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_the_server() {
    let folder = folder_with_files();
    let served = Served::start(folder.path(), &[]);
    let mut client = served.client();
    // Far more than a pipe holds, and than the queue in front of it.
    let path = format!("/{}", "x".repeat(1000));
    for _ in 0..6000 {
        client.get(&path, "");
        assert_eq!(client.response().0, 404);
    }
}

#[test]
fn a_log_whose_reader_is_gone_does_not_stop_the_server() {
    let folder = folder_with_files();
    let mut served = Served::start(folder.path(), &[]);
    served.close_output();
    let mut client = served.client();
    for _ in 0..100 {
        client.get("/a.txt", "");
        assert_eq!(client.response().0, 200);
    }
    served.signal(Signal::TERM);
    let status = served.wait();
    assert!(is_clean(status), "{status}");
}

#[test]
fn the_demo_is_an_album_that_is_gone_afterwards() {
    let temporary = folder();
    let mut command = annulus();
    command.args(["serve", "--demo", "--demo-shrink", "16", "--listen", "127.0.0.1:0", "--log", "off"]);
    command.env("TMPDIR", temporary.path());
    let mut served = Served::run(command);
    assert_eq!(fs::read_dir(temporary.path()).expect("read").count(), 1);
    let mut client = served.client();
    client.get("/", "");
    let (status, listing) = client.response();
    let listing = String::from_utf8_lossy(&listing).into_owned();
    assert_eq!(status, 200);
    assert!(listing.contains("README.txt"), "{listing}");
    let photo =
        listing.split("href=\"").find_map(|rest| rest.split('"').next().filter(|l| l.ends_with(".jpg")));
    client.get(&format!("/{}", photo.expect("a photograph in the first folder")), "");
    let (status, bytes) = client.response();
    assert_eq!((status, &bytes[..3]), (200, &b"\xff\xd8\xff"[..]));
    // As when its terminal is closed.
    served.signal(Signal::HUP);
    let status = served.wait();
    assert!(is_clean(status), "{status}");
    assert_eq!(fs::read_dir(temporary.path()).expect("read").count(), 0);
}

#[test]
fn a_demo_that_is_interrupted_while_it_paints_leaves_nothing() -> io::Result<()> {
    let temporary = folder();
    let mut command = annulus();
    command.args(["serve", "--demo", "--demo-shrink", "4", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", temporary.path());
    let mut served = Served::run_until(command, "paints");
    served.signal(Signal::INT);
    let status = served.wait();
    assert!(is_clean(status), "{status}");
    assert_eq!(fs::read_dir(temporary.path())?.count(), 0);
    Ok(())
}

/// The tests again, on the engine, but for those that count descriptors, of which the engine opens some only when it needs
/// them, and those that take long for other reasons.
#[test]
fn the_server_is_the_same_on_the_engine() {
    if std::env::var_os("ANNULUS_BACKEND").is_some_and(|backend| backend == "engine") {
        return;
    }
    let again = Command::new(std::env::current_exe().expect("a test program has a path"))
        .arg("--exact")
        .args(["--skip", "the_server_is_the_same_on_the_engine"])
        .args(["--skip", "five_gib_are_served_in_bounded_memory"])
        .args(["--skip", "aborted_requests_leave_no_descriptor_behind"])
        .args(["--skip", "a_server_that_starts_has_all_descriptors_of_its_own"])
        .args(["--skip", "without_descriptors_downloads_go_on_and_later_ones_are_served_again"])
        .args(["--skip", "the_demo_is_an_album_that_is_gone_afterwards"])
        .args(["--skip", "a_demo_that_is_interrupted_while_it_paints_leaves_nothing"])
        .env("ANNULUS_BACKEND", "engine")
        .output()
        .expect("a test program can be run again");
    let (text, errors) = (String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&again.stderr));
    assert!(again.status.success() && text.contains("a_second_signal"), "on the engine: {text}{errors}");
}
