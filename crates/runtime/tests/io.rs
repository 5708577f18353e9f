//! Streams in general: pipes, standard streams, what is built on the two traits.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use annulus_rt::buf::IoBuf;
use annulus_rt::io::{
    AsyncRead, AsyncWrite, BufReader, BufWriter, PipeReader, PipeWriter, copy, copy_bidirectional, pipe,
    split, stderr, stdin, stdout,
};
use annulus_rt::time::timeout;
use annulus_rt::{run, spawn, yield_now};
use common::{alone, descriptors, pair, until_descriptors};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Bytes of which every stretch of a few is different from the others near it.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

#[test]
fn a_megabyte_goes_through_a_pipe_that_holds_less() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let writing = spawn(async move {
            let (written, _) = writer.write_all(pattern(1 << 20)).await;
            written.unwrap();
            writer.shutdown().await.unwrap();
            let (refused, back) = writer.write("more").await;
            assert_eq!((refused.unwrap_err().raw_os_error(), back), (Some(libc::EPIPE), "more"));
            writer.shutdown().await.unwrap();
        });
        let (read, bytes) = reader.read_to_end(Vec::new()).await;
        assert_eq!(read.unwrap(), 1 << 20);
        assert!(bytes == pattern(1 << 20));
        writing.await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_write_without_a_reader_fails_with_epipe() {
    // A child that another test begins has all descriptors of this process until it is its own program.
    alone("a_write_without_a_reader_fails_with_epipe", || {
        run(async {
            let (reader, writer) = pipe().unwrap();
            reader.close().await.unwrap();
            assert_eq!(writer.write("nobody").await.0.unwrap_err().raw_os_error(), Some(libc::EPIPE));
        })
        .unwrap();
    });
}

#[test]
fn reads_that_are_dropped_lose_no_byte_of_a_pipe() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let sent = pattern(4_000);
        let mut got = Vec::new();
        for (round, part) in sent.chunks(20).enumerate() {
            if round % 2 == 0 {
                writer.write_all(part.to_vec()).await.0.unwrap();
            }
            // Polled once or a few times and dropped: before the bytes, with them, or after.
            let look = async {
                for _ in 0..round % 5 {
                    yield_now().await;
                }
            };
            if let annulus_rt::Either::Left((read, buf)) =
                annulus_rt::select(reader.read(Vec::with_capacity(7)), look).await
            {
                read.unwrap();
                got.extend_from_slice(&buf);
            }
            if round % 2 == 1 {
                writer.write_all(part.to_vec()).await.0.unwrap();
            }
        }
        writer.shutdown().await.unwrap();
        reader.read_to_end(Vec::new()).await.1.as_bytes().iter().for_each(|&byte| got.push(byte));
        assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    })
    .unwrap();
}

#[test]
fn a_descriptor_that_somebody_made_non_blocking_is_waited_for_all_the_same() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let (reader, writer): (OwnedFd, OwnedFd) =
            (reader.try_into_owned_fd().unwrap(), writer.try_into_owned_fd().unwrap());
        for fd in [&reader, &writer] {
            fcntl_setfl(fd, fcntl_getfl(fd).unwrap() | OFlags::NONBLOCK).unwrap();
        }
        let (reader, writer) = (PipeReader::from(reader), PipeWriter::from(writer));
        let reading = spawn(async move { reader.read_to_end(Vec::new()).await.1 });
        for _ in 0..10 {
            yield_now().await;
        }
        writer.write_all(pattern(300_000)).await.0.unwrap();
        writer.shutdown().await.unwrap();
        assert!(reading.await.unwrap() == pattern(300_000));
    })
    .unwrap();
}

#[test]
fn a_terminal_is_read_line_by_line() {
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

    run(async {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = ioctl_tiocgptpeer(&near, flags).unwrap();
        let mut reader = BufReader::new(PipeReader::from(terminal));
        let mut line = String::new();
        // Nothing was typed: a read waits, and can be given up.
        assert!(timeout(Duration::from_millis(20), reader.read_line(&mut line)).await.is_err());
        rustix::io::write(&near, b"typed\n").unwrap();
        assert_eq!(reader.read_line(&mut line).await.unwrap(), 6);
        assert_eq!(line, "typed\n");
    })
    .unwrap();
}

#[test]
fn what_ends_in_one_direction_is_copied_on_in_the_other() {
    run(async {
        let (client, near) = pair().await;
        let (far, server) = pair().await;
        let proxy = spawn(async move { copy_bidirectional(&near, &far).await });
        let serving = spawn(async move {
            let (read, asked) = AsyncRead::read_to_end(&server, Vec::new()).await;
            assert_eq!(read.unwrap(), 100_000);
            // Only now, with the other direction at its end.
            server.write_all(pattern(250_000)).await.0.unwrap();
            asked
        });
        client.write_all(pattern(100_000)).await.0.unwrap();
        AsyncWrite::shutdown(&client).await.unwrap();
        let (read, answer) = client.read_to_end(b"before ".to_vec()).await;
        assert_eq!(read.unwrap(), 250_000);
        assert!(answer == [&b"before "[..], &pattern(250_000)].concat());
        assert!(serving.await.unwrap() == pattern(100_000));
        assert_eq!(proxy.await.unwrap().unwrap(), (100_000, 250_000));
    })
    .unwrap();
}

#[test]
fn a_copy_says_how_much_it_was_and_what_failed() {
    // A child that another test begins has all descriptors of this process until it is its own program.
    alone("a_copy_says_how_much_it_was_and_what_failed", || {
        run(async {
            let (from, filled) = pipe().unwrap();
            let (read, into) = pipe().unwrap();
            let filling = spawn(async move { filled.write_all(pattern(70_000)).await.0 });
            let draining = spawn(async move { read.read_to_end(Vec::new()).await.1.len() });
            assert_eq!(copy(&from, &into).await.unwrap(), 70_000);
            drop(into);
            filling.await.unwrap().unwrap();
            assert_eq!(draining.await.unwrap(), 70_000);

            let (from, filled) = pipe().unwrap();
            filled.write_all("x").await.0.unwrap();
            let (nobody, into) = pipe().unwrap();
            drop(nobody);
            let failed = timeout(Duration::from_secs(20), copy(&from, &into)).await.unwrap();
            assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::EPIPE));
        })
        .unwrap();
    });
}

#[test]
fn halves_of_a_stream_work_in_two_tasks_and_come_together_again() {
    run(async {
        let (client, server) = pair().await;
        let echo = spawn(async move { copy(&server, &server).await.unwrap() });
        let (reader, writer) = split(client);
        let writing = spawn(async move {
            writer.write_all(pattern(50_000)).await.0.unwrap();
            writer
        });
        let (read, back) = reader.read_exact(vec![0; 50_000]).await;
        read.unwrap();
        assert!(back == pattern(50_000));
        let (_, stranger) = split(pair().await.0);
        let (reader, _) = reader.unsplit(stranger).expect_err("halves of two streams");
        let client = reader.unsplit(writing.await.unwrap()).expect("halves of one stream");
        drop(client);
        assert_eq!(echo.await.unwrap(), 50_000);
    })
    .unwrap();
}

#[test]
fn lines_of_any_length_come_whole_and_too_long_ones_are_refused() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let long = "o".repeat(50_000);
        writer.write_all(format!("first\n\nsecond\r\n{long}\nrest")).await.0.unwrap();
        writer.shutdown().await.unwrap();
        let mut lines = BufReader::with_capacity(16, reader).lines();
        for expected in ["first", "", "second", &long, "rest"] {
            assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(expected));
        }
        assert_eq!(lines.next_line().await.unwrap(), None);
        assert_eq!(lines.next_line().await.unwrap(), None);

        let (reader, writer) = pipe().unwrap();
        writer.write_all("123456789\n1234567890\n").await.0.unwrap();
        let mut reader = BufReader::new(reader).longest(10);
        let mut line = String::new();
        assert_eq!(reader.read_line(&mut line).await.unwrap(), 10);
        let refused = reader.read_line(&mut line).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(line, "123456789\n");
    })
    .unwrap();
}

#[test]
fn a_line_whose_future_was_dropped_is_read_on() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let mut lines = BufReader::new(reader).lines();
        for part in ["one", " li", "ne\nand", " another\n"] {
            if let Ok(line) = timeout(Duration::from_millis(5), lines.next_line()).await {
                assert_eq!(line.unwrap().unwrap(), "one line");
            }
            writer.write_all(part).await.0.unwrap();
        }
        let mut last = lines.next_line().await.unwrap().unwrap();
        if last == "one line" {
            last = lines.next_line().await.unwrap().unwrap();
        }
        assert_eq!(last, "and another");
    })
    .unwrap();
}

#[test]
fn a_reader_with_a_buffer_reads_into_others_too() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        writer.write_all("head;0123456789abcdef").await.0.unwrap();
        writer.shutdown().await.unwrap();
        let mut reader = BufReader::with_capacity(8, reader);
        let mut head = Vec::new();
        assert_eq!(reader.read_until(b';', &mut head).await.unwrap(), 5);
        assert_eq!((head.as_slice(), reader.buffer()), (&b"head;"[..], &b"012"[..]));
        let (read, digits) = reader.read_exact([0; 10]).await;
        read.unwrap();
        assert_eq!(&digits, b"0123456789");
        let mut rest = Vec::new();
        loop {
            let (read, part) = reader.read(Vec::with_capacity(100)).await;
            if read.unwrap() == 0 {
                break;
            }
            rest.extend(part);
        }
        assert_eq!(rest, b"abcdef");
        let missing = reader.read_exact([0; 1]).await.0.unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::UnexpectedEof);
    })
    .unwrap();
}

#[test]
fn a_writer_with_a_buffer_writes_when_it_is_full_or_told_to() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let mut writer = BufWriter::with_capacity(10, writer);
        writer.write_all(b"1234").await.unwrap();
        writer.write_all(b"567890").await.unwrap();
        assert_eq!(writer.buffer(), b"1234567890");
        writer.write_all(b"a").await.unwrap();
        assert_eq!(writer.buffer(), b"a");
        writer.write_all(b"larger than the buffer").await.unwrap();
        writer.write_all(b".").await.unwrap();
        writer.flush().await.unwrap();
        drop(writer);
        assert_eq!(reader.read_to_end(Vec::new()).await.1, b"1234567890alarger than the buffer.");
    })
    .unwrap();
}

/// What the program does that is started by the test of the standard streams.
const INSIDE: &str = "ANNULUS_RT_TEST_STDIO";

fn copies_standard_input_to_both_outputs() {
    run(async {
        let (input, output, errors) = (stdin().unwrap(), stdout().unwrap(), stderr().unwrap());
        let flags = fcntl_getfl(std::io::stdin()).unwrap();
        let (read, bytes) = input.read_to_end(Vec::new()).await;
        read.unwrap();
        output.write_all(bytes.clone()).await.0.unwrap();
        errors.write_all(bytes).await.0.unwrap();
        assert_eq!(
            fcntl_getfl(std::io::stdin()).unwrap(),
            flags,
            "the file is shared: its flags are not ours"
        );
        drop((input, output, errors));
        // Closes go through the ring.
        annulus_rt::time::sleep(Duration::from_millis(5)).await;
        assert!(fcntl_getfl(std::io::stdin()).is_ok(), "the standard stream itself stays open");
    })
    .unwrap();
}

#[test]
fn the_standard_streams_may_be_pipes_and_files() {
    const NAME: &str = "the_standard_streams_may_be_pipes_and_files";
    if std::env::var_os(INSIDE).is_some() {
        return copies_standard_input_to_both_outputs();
    }
    let again = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
        command
    };
    let pipes = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
    let [input, output, errors] = pipes;
    let mut child = again().stdin(input).stdout(output).stderr(errors).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"<by pipe>").unwrap();
    let told = child.wait_with_output().unwrap();
    assert!(told.status.success());
    assert!(String::from_utf8(told.stdout).unwrap().contains("<by pipe>"));
    assert_eq!(told.stderr, b"<by pipe>");

    let mut input = tempfile::tempfile().unwrap();
    input.write_all(b"skipped<by file>").unwrap();
    input.seek(SeekFrom::Start(7)).unwrap();
    let mut output: File = tempfile::tempfile().unwrap();
    let status =
        again().stdin(input).stdout(output.try_clone().unwrap()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
    let mut text = String::new();
    output.rewind().unwrap();
    output.read_to_string(&mut text).unwrap();
    assert!(text.contains("<by file>") && !text.contains("skipped"), "{text}");
}

#[test]
fn nothing_of_all_this_leaves_a_descriptor_behind() {
    alone("nothing_of_all_this_leaves_a_descriptor_behind", || {
        let before = descriptors();
        run(async {
            for round in 0..50 {
                let (reader, writer) = pipe().unwrap();
                let reading = spawn(async move { reader.read([0; 8]).await });
                yield_now().await;
                match round % 3 {
                    0 => drop(reading),
                    1 => reading.abort(),
                    _ => assert!(writer.write_all("x").await.0.is_ok()),
                }
            }
        })
        .unwrap();
        until_descriptors(before);
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
