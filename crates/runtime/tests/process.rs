//! Child processes: what they are given, what they write, how they end, and that nothing is left of them.
#![allow(unsafe_code, reason = "has something done in a child between fork and exec")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, which says what it skips")]

mod common;

use std::fs::read_to_string;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use annulus_rt::io::{AsyncRead, AsyncWrite, BufReader};
use annulus_rt::process::{Child, Command, Stdio};
use annulus_rt::signal::SignalKind;
use annulus_rt::time::{now, sleep, timeout};
use annulus_rt::{run, spawn};
use common::{alone, descriptors};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// How long something is waited for that comes as soon as the machine gets round to it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shell that does this.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Whether this process has children, alive or not.
fn has_children() -> bool {
    let looked = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::All, looked).is_ok()
}

/// Waits on this thread until `done`, for as long as patience lasts.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = now() + PATIENCE;
    while !done() {
        assert!(now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn output_is_all_that_was_written_to_both_streams() {
    run(async {
        let script = "head -c 1000000 /dev/zero; head -c 700000 /dev/zero >&2; exit 3";
        let output = shell(script).output().await.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!((output.stdout.len(), output.stderr.len()), (1_000_000, 700_000));
    })
    .unwrap();
}

#[test]
fn a_command_can_be_run_again_and_output_says_nothing_for_spawn() {
    run(async {
        let mut command = shell("cat; echo done");
        for _ in 0..2 {
            // Standard input is nothing for `output`, whatever that of this process is.
            assert_eq!(command.output().await.unwrap().stdout, b"done\n");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        assert!(command.status().await.unwrap().success());
        let mut child = command.spawn().await.unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        assert!(child.wait().await.unwrap().success());
    })
    .unwrap();
}

#[test]
fn a_megabyte_goes_there_and_back() {
    run(async {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().await.unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let sent: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        let writing = {
            let sent = sent.clone();
            spawn(async move { input.write_all(sent).await.0 })
        };
        let (read, back) = output.read_to_end(Vec::new()).await;
        assert_eq!(read.unwrap(), 1_000_000);
        assert!(back == sent);
        writing.await.unwrap().unwrap();
        assert!(child.wait().await.unwrap().success());
    })
    .unwrap();
}

#[test]
fn children_are_joined_by_a_pipe() {
    run(async {
        let mut first = shell("echo one; echo two").stdout(Stdio::piped()).spawn().await.unwrap();
        let pipe = Stdio::try_from(first.stdout.take().unwrap()).unwrap();
        let output = Command::new("wc").arg("-l").stdin(pipe).output().await.unwrap();
        assert_eq!(output.stdout.trim_ascii(), b"2");
        assert!(first.wait().await.unwrap().success());
    })
    .unwrap();
}

#[test]
fn a_child_gets_what_it_is_given() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut written = tempfile::tempfile().unwrap();
        let mut command = shell("pwd; echo $0 $ONE $TWO $THREE ${PATH_TO-unset}; id -u; id -g");
        command
            .arg("named")
            .env("PATH_TO", "removed")
            .env("ONE", "1")
            .envs([("TWO", "2"), ("THREE", "3")])
            .env_remove("PATH_TO")
            .current_dir(folder.path())
            .stdout(written.try_clone().unwrap());
        let user_is_root = rustix::process::getuid().is_root();
        if user_is_root {
            std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_533)).unwrap();
            command.uid(65_534).gid(65_533);
        } else {
            println!("SKIP: only root may run children as other users");
        }
        assert!(command.status().await.unwrap().success());
        let mut text = String::new();
        written.rewind().unwrap();
        written.read_to_string(&mut text).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), folder.path().canonicalize().unwrap().to_str());
        assert_eq!(lines.next(), Some("named 1 2 3 unset"));
        if user_is_root {
            assert_eq!((lines.next(), lines.next()), (Some("65534"), Some("65533")));
        }
    })
    .unwrap();
}

#[test]
fn an_empty_environment_and_another_name_are_passed_on() {
    run(async {
        let mut command = Command::new("/bin/sh");
        command.arg0("sh").args(["-c", "echo $0 ${HOME-none} ${ONE-none}"]).env_clear().env("ONE", "1");
        assert_eq!(command.output().await.unwrap().stdout, b"sh none 1\n");
    })
    .unwrap();
}

#[test]
fn a_closure_runs_in_the_child_and_its_error_is_that_of_the_spawn() {
    run(async {
        let mut command = shell("umask");
        // SAFETY: umask(2) is safe in a signal handler.
        unsafe {
            command.pre_exec(|| {
                rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o123));
                Ok(())
            })
        };
        assert_eq!(command.output().await.unwrap().stdout, b"0123\n");
        // SAFETY: makes an error out of a number.
        unsafe { command.pre_exec(|| Err(std::io::Error::from_raw_os_error(libc::EXDEV))) };
        let refused = command.spawn().await.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EXDEV));
    })
    .unwrap();
}

#[test]
fn a_process_group_of_its_own_is_the_childs() {
    run(async {
        let mut child = shell("exec sleep 1000").process_group(0).kill_on_drop(true).spawn().await.unwrap();
        let stat = read_to_string(format!("/proc/{}/stat", child.id().unwrap())).unwrap();
        let group = stat.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap().to_owned();
        assert_eq!(group, child.id().unwrap().to_string());
        child.kill().await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    run(async {
        let error = Command::new("/nowhere/to/be/found").spawn().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        let error = Command::new("/etc/passwd").output().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    })
    .unwrap();
}

#[test]
fn a_wait_that_is_dropped_loses_nothing() {
    run(async {
        let mut child = shell("read line; exit 7").stdin(Stdio::piped()).spawn().await.unwrap();
        let input = child.stdin.take().unwrap();
        let id = child.id();
        for _ in 0..3 {
            assert!(timeout(Duration::from_millis(2), child.wait()).await.is_err());
            assert_eq!(child.try_wait().unwrap(), None);
        }
        assert_eq!(child.id(), id);
        drop(input);
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        assert_eq!(child.wait().await.unwrap().code(), Some(7), "as often as it is asked for");
        assert_eq!(child.id(), None);
        child.kill().await.unwrap();
    })
    .unwrap();
}

#[test]
fn waiting_closes_what_the_child_reads() {
    run(async {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().await.unwrap();
        let ended = timeout(PATIENCE, child.wait()).await.expect("cat saw the end of its input");
        assert!(ended.unwrap().success());
    })
    .unwrap();
}

#[test]
fn a_child_is_killed_and_sent_signals() {
    run(async {
        let mut child = shell("exec sleep 1000").spawn().await.unwrap();
        child.kill().await.unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(child.start_kill().map_err(|error| error.kind()), Ok(()), "it has ended");

        let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done";
        let mut child = shell(script).stdout(Stdio::piped()).kill_on_drop(true).spawn().await.unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
        let refused = child.signal(SignalKind::from_raw(1_000)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
        child.signal(SignalKind::terminate()).unwrap();
        assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), Some(9));
    })
    .unwrap();
}

#[test]
fn a_hundred_children_at_a_time_are_each_waited_for() {
    run(async {
        let tasks: Vec<_> = (0..100)
            .map(|code| spawn(async move { shell(&format!("exit {code}")).status().await.unwrap().code() }))
            .collect();
        for (code, task) in (0..).zip(tasks) {
            assert_eq!(task.await.unwrap(), Some(code));
        }
    })
    .unwrap();
}

#[test]
fn no_handler_of_sigchld_is_installed_and_others_children_are_left_alone() {
    alone("no_handler_of_sigchld_is_installed_and_others_children_are_left_alone", || {
        let mut others = std::process::Command::new("true").spawn().unwrap();
        run(async {
            assert!(Command::new("true").status().await.unwrap().success());
            drop(shell("exit 1").spawn().await.unwrap());
        })
        .unwrap();
        let status = read_to_string("/proc/self/status").unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
        assert_eq!(caught >> (libc::SIGCHLD - 1) & 1, 0);
        assert!(others.wait().unwrap().success());
    });
}

#[test]
fn children_that_are_dropped_leave_no_zombie_and_no_descriptor() {
    alone("children_that_are_dropped_leave_no_zombie_and_no_descriptor", || {
        let before = descriptors();
        run(async {
            for round in 0..30 {
                let kill = round % 2 == 0;
                let script = if kill { "exec sleep 1000" } else { "exec sleep 0.05" };
                let mut command = shell(script);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(kill);
                let mut child = command.spawn().await.unwrap();
                if round % 3 == 0 {
                    let waited = timeout(Duration::from_millis(1), child.wait()).await;
                    assert!(waited.is_err() || !kill, "it sleeps for long");
                }
                drop(child);
            }
            // The executor is not what waits for them: it may be blocked as long as it likes.
            until("a child is left", || !has_children());
            let left: Child = shell("exec sleep 1000").kill_on_drop(true).spawn().await.unwrap();
            // And this one is dropped when the run is over.
            spawn(async move {
                std::future::pending::<()>().await;
                drop(left);
            });
        })
        .unwrap();
        until("a child is left", || !has_children());
        until("a descriptor is left", || descriptors() == before);
    });
}

#[test]
fn dropping_at_any_await_leaves_no_zombie_and_no_descriptor() {
    alone("dropping_at_any_await_leaves_no_zombie_and_no_descriptor", || {
        let before = descriptors();
        run(async {
            let mut whole = false;
            for polls in 1..200 {
                let mut command = shell("cat; echo x; echo y >&2");
                command.kill_on_drop(polls % 2 == 0);
                let mut output = pin!(command.output());
                let mut polled = 0;
                // Dropped after so many polls, wherever it is then.
                let ended = std::future::poll_fn(|cx| {
                    if let Poll::Ready(output) = output.as_mut().poll(cx) {
                        return Poll::Ready(Some(output.unwrap()));
                    }
                    polled += 1;
                    if polled == polls { Poll::Ready(None) } else { Poll::Pending }
                });
                if let Some(output) = ended.await {
                    assert_eq!(
                        (output.stdout.as_slice(), output.stderr.as_slice()),
                        (&b"x\n"[..], &b"y\n"[..])
                    );
                    whole = true;
                    if polls > 20 {
                        break;
                    }
                }
            }
            assert!(whole, "it comes to its end when it is polled often enough");
        })
        .unwrap();
        until("a child is left", || !has_children());
        until("a descriptor is left", || descriptors() == before);
    });
}

#[test]
fn without_pidfds_children_are_waited_for_all_the_same() {
    const PIDFD_OPEN: i64 = libc::SYS_pidfd_open;
    alone("without_pidfds_children_are_waited_for_all_the_same", || {
        let filter = SeccompFilter::new(
            [(PIDFD_OPEN, Vec::new())].into(),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        // For this thread and those that it starts.
        seccompiler::apply_filter(&program).unwrap();
        run(async {
            let start = now();
            assert_eq!(shell("sleep 0.05; exit 5").status().await.unwrap().code(), Some(5));
            assert!(start.elapsed() >= Duration::from_millis(50));
            let mut child = shell("exec sleep 1000").spawn().await.unwrap();
            assert!(timeout(Duration::from_millis(5), child.wait()).await.is_err());
            child.kill().await.unwrap();
            drop(shell("exec sleep 0.05").spawn().await.unwrap());
            drop(shell("exec sleep 1000").kill_on_drop(true).spawn().await.unwrap());
            sleep(Duration::from_millis(1)).await;
        })
        .unwrap();
        until("a child is left", || !has_children());
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
