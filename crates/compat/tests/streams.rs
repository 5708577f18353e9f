//! Adapters by the traits of tokio and of `futures-io`: what goes through, what is told when, what is lost: nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::task::Poll;

use annulus_compat::Compat;
use annulus_rt::io::{AsyncRead as _, pipe};
use annulus_rt::net::UnixStream;
use annulus_rt::{run, spawn, yield_now};
use common::{pair, pattern};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

#[test]
fn a_megabyte_goes_there_and_back_by_the_traits_of_tokio() {
    run(async {
        let (client, server) = pair().await;
        let echo = spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(Compat::with_capacity(1_000, server));
            let copied = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
            copied
        });
        let (mut reader, mut writer) = tokio::io::split(Compat::new(client));
        let writing = spawn(async move {
            writer.write_all(&pattern(1 << 20)).await.unwrap();
            writer.shutdown().await.unwrap();
            writer.shutdown().await.unwrap();
            let refused = writer.write(b"more").await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
            writer
        });
        let mut back = Vec::new();
        assert_eq!(reader.read_to_end(&mut back).await.unwrap(), 1 << 20);
        assert!(back == pattern(1 << 20));
        assert_eq!(echo.await.unwrap(), 1 << 20);
        drop(writing.await.unwrap());
    })
    .unwrap();
}

#[test]
fn a_megabyte_goes_there_and_back_by_the_traits_of_futures() {
    use futures_util::{AsyncReadExt, AsyncWriteExt, io};

    run(async {
        let (client, server) = pair().await;
        let echo = spawn(async move {
            let (reader, mut writer) = Compat::new(server).split();
            let copied = io::copy(reader, &mut writer).await.unwrap();
            writer.close().await.unwrap();
            copied
        });
        let (mut reader, mut writer) = Compat::new(client).split();
        let writing = spawn(async move {
            writer.write_all(&pattern(1 << 20)).await.unwrap();
            writer.close().await.unwrap();
        });
        let mut back = Vec::new();
        assert_eq!(reader.read_to_end(&mut back).await.unwrap(), 1 << 20);
        assert!(back == pattern(1 << 20));
        assert_eq!(echo.await.unwrap(), 1 << 20);
        writing.await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_read_that_is_dropped_loses_no_byte() {
    run(async {
        let (client, server) = pair().await;
        let mut reader = Compat::with_capacity(16, server);
        let sent = pattern(3_000);
        let mut got = Vec::new();
        for (round, part) in sent.chunks(10).enumerate() {
            for _ in 0..round % 4 {
                // Polled once and dropped.
                let mut bytes = [0; 7];
                let polled = {
                    let mut reading = pin!(reader.read(&mut bytes));
                    poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await
                };
                if let Poll::Ready(read) = polled {
                    got.extend_from_slice(&bytes[..read.unwrap()]);
                }
                yield_now().await;
            }
            client.send_all(part.to_vec()).await.0.unwrap();
        }
        client.shutdown(Shutdown::Write).await.unwrap();
        reader.read_to_end(&mut got).await.unwrap();
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    })
    .unwrap();
}

#[test]
fn what_was_accepted_goes_out_without_a_flush_and_without_the_adapter() {
    run(async {
        for len in [1, 10_000, 300_000] {
            let (client, server) = pair().await;
            let writing = spawn(async move {
                let mut writer = Compat::new(client);
                writer.write_all(&pattern(len)).await.unwrap();
                // Neither flushed nor shut down.
                drop(writer);
            });
            let (read, bytes) = server.read_to_end(Vec::new()).await;
            assert_eq!(read.unwrap(), len);
            assert!(bytes == pattern(len));
            writing.await.unwrap();
        }
    })
    .unwrap();
}

#[test]
fn what_fails_is_told_by_the_flush_and_by_everything_after_it() {
    run(async {
        let (far, near) = UnixStream::pair().unwrap();
        // Closing would not do: a child that another test begins may have it too for a moment.
        far.shutdown(Shutdown::Both).await.unwrap();
        let mut writer = Compat::writer(near);
        // Accepted: that nobody reads is not known yet, or just now.
        assert_eq!(writer.write(b"nobody").await.unwrap(), 6);
        assert_eq!(writer.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(writer.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(writer.flush().await.unwrap_err().raw_os_error(), Some(32));
        assert_eq!(writer.shutdown().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    })
    .unwrap();
}

#[test]
fn a_writer_takes_no_more_than_its_buffer_while_nobody_reads() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let mut writer = Compat::writer(writer);
        let bytes = vec![7; 1 << 20];
        // What the pipe holds, and one buffer.
        let mut accepted = 0;
        while accepted < 5 * 16 * 1024 {
            accepted += poll_fn(|cx| Pin::new(&mut writer).poll_write(cx, &bytes)).await.unwrap();
        }
        assert_eq!(accepted, 5 * 16 * 1024);
        for _ in 0..20 {
            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut writer).poll_write(cx, &bytes))).await;
            assert!(polled.is_pending(), "{polled:?}");
            yield_now().await;
        }
        let draining = spawn(async move { reader.read_to_end(Vec::new()).await.1.len() });
        writer.shutdown().await.unwrap();
        drop(writer);
        assert_eq!(draining.await.unwrap(), accepted);
    })
    .unwrap();
}

#[test]
fn several_slices_are_one_write() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let mut writer = Compat::writer(writer);
        assert!(writer.is_write_vectored());
        let slices = [IoSlice::new(b"head "), IoSlice::new(b""), IoSlice::new(b"body")];
        assert_eq!(writer.write_vectored(&slices).await.unwrap(), 9);
        writer.flush().await.unwrap();
        let (read, bytes) = reader.read(Vec::with_capacity(100)).await;
        assert_eq!((read.unwrap(), bytes.as_slice()), (9, &b"head body"[..]));
    })
    .unwrap();
}

#[test]
fn lines_are_read_out_of_the_adapters_own_buffer() {
    use tokio::io::AsyncBufReadExt;

    run(async {
        let (client, server) = pair().await;
        let mut server = Compat::new(server);
        client.send_all("PRI first\nsecond\nthird").await.0.unwrap();
        assert!(server.fill_buf().await.unwrap().starts_with(b"PRI"));
        let mut line = String::new();
        server.read_line(&mut line).await.unwrap();
        server.read_line(&mut line).await.unwrap();
        assert_eq!(line, "PRI first\nsecond\n");
        assert!(server.get_ref().peer_addr().is_ok());
        let (stream, rest) = server.into_parts();
        assert_eq!(rest, b"third");
        client.send_all("fourth").await.0.unwrap();
        let (read, bytes) = stream.recv(Vec::with_capacity(10)).await;
        assert_eq!((read.unwrap(), bytes.as_slice()), (6, &b"fourth"[..]));
    })
    .unwrap();
}

#[test]
fn a_read_that_is_in_flight_when_the_adapter_is_taken_apart_loses_nothing() {
    run(async {
        let (client, server) = pair().await;
        let mut server = Compat::new(server);
        let mut byte = [0];
        {
            let mut reading = pin!(server.read(&mut byte));
            assert!(poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx).is_pending())).await);
        }
        client.send_all("bytes").await.0.unwrap();
        let (stream, rest) = server.into_parts();
        assert!(rest.is_empty());
        let (read, bytes) = stream.recv_exact([0; 5]).await;
        read.unwrap();
        assert_eq!(&bytes, b"bytes");
    })
    .unwrap();
}

#[test]
fn an_adapter_may_outlive_its_run() {
    let writer = run(async {
        let (reader, writer) = pipe().unwrap();
        let mut writer = Compat::writer(writer);
        writer.write_all(&[0; 16 * 1024]).await.unwrap();
        (reader, writer)
    });
    drop(writer.unwrap());
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
