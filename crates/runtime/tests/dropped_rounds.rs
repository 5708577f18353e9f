//! Calls that take several receives, dropped between two of them or in one: filling a buffer, reading to the end, lines. Every
//! byte arrives once and in order, by whichever method is called next, also if the receive in flight ends after all.

mod common;

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::mpsc;
use std::time::Duration;

use annulus_rt::fs::File;
use annulus_rt::io::{AsyncRead, AsyncWrite, BufReader, PipeReader, pipe, split};
use annulus_rt::net::{ListenOptions, Protocol, Stream, TcpListener, UnixStream};
use annulus_rt::time::timeout;
use annulus_rt::{Either, counters, select};
use common::{Numbers, in_flight, turns};
use rustix::fs::{OFlags, fcntl_setfl};

/// Runs a test. What loses bytes waits for them for ever, so there is an end to that.
fn run(test: impl Future<Output = ()>) {
    let ended = annulus_rt::run(timeout(Duration::from_secs(60), test)).unwrap();
    ended.expect("a byte is missing: somebody still waits for it");
}

/// What is sent at this place of a stream: nothing that is a little off looks like it.
fn at(place: usize) -> u8 {
    (place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0]
}

/// What has come of a stream so far.
#[derive(Default)]
struct Checked(usize);

impl Checked {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            assert_eq!(*byte, at(self.0), "at {} of the stream", self.0);
            self.0 += 1;
        }
    }
}

/// A thread that sends so many bytes, each time a while after it was told to.
struct Peer {
    tell: mpsc::Sender<(usize, u64)>,
    thread: std::thread::JoinHandle<()>,
    sent: usize,
}

impl Peer {
    #[expect(
        clippy::disallowed_methods,
        reason = "a writer that nothing but chance keeps in step with the reader"
    )]
    fn new(mut to: impl Write + Send + 'static) -> Self {
        let (tell, told) = mpsc::channel::<(usize, u64)>();
        let thread = std::thread::spawn(move || {
            let mut place = 0;
            for (len, spins) in told {
                for _ in 0..spins {
                    std::hint::spin_loop();
                }
                let bytes: Vec<u8> = (place..place + len).map(at).collect();
                to.write_all(&bytes).unwrap();
                place += len;
            }
        });
        Self { tell, thread, sent: 0 }
    }

    fn send(&mut self, numbers: &mut Numbers) {
        for _ in 0..numbers.below(4) {
            let len = usize::try_from(1 + numbers.below(9)).unwrap();
            self.tell.send((len, numbers.below(3_000))).unwrap();
            self.sent += len;
        }
    }

    /// How much it will have sent when it closes its end. Somebody has to read meanwhile, as a socket holds little.
    fn end(self) -> (usize, std::thread::JoinHandle<()>) {
        drop(self.tell);
        (self.sent, self.thread)
    }
}

/// The output of a future that is ready within so many turns; one that is not is dropped.
async fn within<F: Future>(limit: u64, future: F) -> Option<F::Output> {
    match select(future, turns(limit)).await {
        Either::Left(output) => Some(output),
        Either::Right(()) => None,
    }
}

fn size(numbers: &mut Numbers, most: u64) -> usize {
    usize::try_from(1 + numbers.below(most)).unwrap()
}

/// One call on a stream, which is dropped if it takes too long: mostly one of several receives.
async fn receive<P: Protocol>(stream: &Stream<P>, numbers: &mut Numbers, checked: &mut Checked) {
    let (len, limit) = (size(numbers, 40), numbers.below(14));
    match numbers.below(10) {
        0 => {
            if let Some((received, buf)) = within(limit, stream.recv(vec![0; len])).await {
                checked.take(&buf[..received.unwrap()]);
            }
        }
        1 => {
            let parts = vec![vec![0; len], vec![0; 3]];
            if let Some((received, bufs)) = within(limit, stream.recv_vectored(parts)).await {
                checked.take(&bufs.concat()[..received.unwrap()]);
            }
        }
        2 => {
            let mut receiver = stream.receiver();
            if let Some(received) = within(limit, receiver.next()).await {
                checked.take(&received.unwrap().unwrap());
            }
        }
        3 => {
            if let Some((peeked, buf)) = within(limit, stream.peek(vec![0; len])).await {
                Checked(checked.0).take(&buf[..peeked.unwrap()]);
            }
        }
        4 | 5 => assert!(within(limit, stream.read_to_end(vec![9; 2])).await.is_none(), "it does not end"),
        _ => {
            if let Some((received, buf)) = within(limit, stream.recv_exact(vec![0; len])).await {
                received.unwrap();
                checked.take(&buf);
            }
        }
    }
}

async fn rounds<P: Protocol>(stream: Stream<P>, mut peer: Peer, seed: u64, rounds: u64) {
    let (mut numbers, mut checked) = (Numbers(seed), Checked::default());
    for _ in 0..rounds {
        peer.send(&mut numbers);
        receive(&stream, &mut numbers, &mut checked).await;
    }
    let (sent, thread) = peer.end();
    let (received, rest) = stream.read_to_end(vec![7; 3]).await;
    assert_eq!((received.unwrap(), &rest[..3]), (sent - checked.0, &[7; 3][..]));
    checked.take(&rest[3..]);
    assert_eq!((checked.0, counters().stale), (sent, 0));
    thread.join().unwrap();
}

#[test]
fn a_connection_loses_no_byte_of_calls_that_are_dropped() {
    for seed in 1..=3 {
        run(async move {
            let listener = ListenOptions::new().nodelay(true).bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            near.set_nodelay(true).unwrap();
            let far = listener.accept().await.unwrap();
            rounds(far, Peer::new(near), seed, 1_000).await;
        });
    }
}

#[test]
fn a_connection_in_the_table_of_the_ring_loses_none_either() {
    if !common::has_table_of_files() {
        return;
    }
    for seed in 11..=13 {
        run(async move {
            let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            near.set_nodelay(true).unwrap();
            let far = listener.incoming_direct().next().await.unwrap();
            assert!(far.is_direct());
            rounds(far, Peer::new(near), seed, 1_000).await;
        });
    }
}

#[test]
fn a_unix_connection_loses_none_either() {
    run(async move {
        let (near, far) = StdUnixStream::pair().unwrap();
        rounds(UnixStream::from(far), Peer::new(near), 21, 2_000).await;
    });
}

fn read_half_of_a_pipe(flags: OFlags) {
    run(async move {
        let (read_end, write_end) = std::io::pipe().unwrap();
        fcntl_setfl(&read_end, flags).unwrap();
        let (mut peer, mut numbers, mut checked) = (Peer::new(write_end), Numbers(31), Checked::default());
        // Through everything that passes a stream's methods on.
        let reader = Box::new(split(PipeReader::from(OwnedFd::from(read_end))).0);
        for _ in 0..2_000 {
            peer.send(&mut numbers);
            let (len, limit) = (size(&mut numbers, 40), numbers.below(14));
            match numbers.below(4) {
                0 => {
                    if let Some((read, buf)) = within(limit, reader.read(vec![0; len])).await {
                        checked.take(&buf[..read.unwrap()]);
                    }
                }
                1 => assert!(within(limit, reader.read_to_end(Vec::new())).await.is_none()),
                _ => {
                    if let Some((read, buf)) = within(limit, reader.read_exact(vec![0; len])).await {
                        read.unwrap();
                        checked.take(&buf);
                    }
                }
            }
        }
        let (sent, thread) = peer.end();
        let (read, rest) = reader.read_to_end(Vec::new()).await;
        assert_eq!(read.unwrap(), sent - checked.0);
        checked.take(&rest);
        assert_eq!(checked.0, sent);
        thread.join().unwrap();
    });
}

#[test]
fn half_of_a_pipe_loses_none_either() {
    read_half_of_a_pipe(OFlags::empty());
}

#[test]
fn half_of_a_pipe_that_does_not_block_loses_none_either() {
    // Where the system refuses to wait for such a pipe, its readiness is waited for between two reads.
    read_half_of_a_pipe(OFlags::NONBLOCK);
}

#[test]
fn a_buffered_reader_loses_no_byte_whichever_method_comes_next() {
    run(async move {
        let (near, far) = StdUnixStream::pair().unwrap();
        let (mut peer, mut numbers, mut checked) = (Peer::new(near), Numbers(41), Checked::default());
        let mut reader = BufReader::with_capacity(16, UnixStream::from(far));
        for _ in 0..3_000 {
            peer.send(&mut numbers);
            let (len, limit) = (size(&mut numbers, 40), numbers.below(14));
            match numbers.below(5) {
                0 => {
                    if let Some((read, buf)) = within(limit, reader.read(vec![0; len])).await {
                        checked.take(&buf[..read.unwrap()]);
                    }
                }
                1 => {
                    if let Some(bytes) = within(limit, reader.fill_buf()).await {
                        let half = bytes.unwrap().len() / 2;
                        checked.take(&reader.buffer()[..half]);
                        reader.consume(half);
                    }
                }
                2 => {
                    // Nearly never UTF-8, and then it was read; what is not whole stays.
                    let before = checked.0;
                    let mut line = String::new();
                    match within(limit, reader.read_line(&mut line)).await {
                        Some(Ok(_)) => checked.take(line.as_bytes()),
                        Some(Err(error)) => {
                            assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
                            let end = (before..).find(|place| at(*place) == b'\n').unwrap();
                            checked.0 = end + 1;
                        }
                        None => assert_eq!(line, ""),
                    }
                }
                _ => {
                    if let Some((read, buf)) = within(limit, reader.read_exact(vec![0; len])).await {
                        read.unwrap();
                        checked.take(&buf);
                    }
                }
            }
        }
        let (sent, thread) = peer.end();
        let (read, rest) = reader.read_exact(vec![0; sent - checked.0]).await;
        read.unwrap();
        checked.take(&rest);
        assert_eq!(reader.fill_buf().await.unwrap(), b"");
        thread.join().unwrap();
    });
}

/// Waits until a call that finds too little has that, and waits for the rest.
async fn second_in_flight<F: Future<Output: std::fmt::Debug>>(mut call: std::pin::Pin<&mut F>) {
    let before = counters().submitted;
    while counters().submitted < before + 2 {
        assert!(within(1, call.as_mut()).await.is_none());
    }
}

#[test]
fn what_comes_late_comes_behind_what_had_come() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        for round in 0..300 {
            near.send_all("abc").await.0.unwrap();
            let mut exact = Box::pin(far.recv_exact(vec![0; 6]));
            second_in_flight(exact.as_mut()).await;
            near.send_all("de").await.0.unwrap();
            turns(round % 2).await;
            drop(exact);
            near.send_all("fg").await.0.unwrap();
            let (received, buf) = far.recv_exact(vec![0; 7]).await;
            received.unwrap();
            assert_eq!(buf, b"abcdefg", "round {round}");
        }
    });
}

#[test]
fn of_two_calls_at_the_same_time_each_gives_back_what_it_had() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        near.send_all("ab").await.0.unwrap();
        {
            let mut exact = Box::pin(far.recv_exact(vec![0; 4]));
            second_in_flight(exact.as_mut()).await;
            // Now two calls receive, which no program should do. The other one is dropped and ends later.
            let mut other = Box::pin(far.recv(vec![0; 1]));
            assert!(within(3, other.as_mut()).await.is_none());
            near.send_all("c").await.0.unwrap();
            drop(other);
            let _ended = within(1, exact.as_mut()).await;
        }
        in_flight(0).await;
        near.send_all("d").await.0.unwrap();
        let (received, mut buf) = far.recv_exact(vec![0; 4]).await;
        received.unwrap();
        buf.sort_unstable();
        assert_eq!(buf, b"abcd", "each of them once");
    });
}

#[test]
fn bytes_that_were_put_back_are_spliced_first_and_go_back_in_order() {
    const LEN: usize = 1_000_000;
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (there, behind) = UnixStream::pair().unwrap();
        let sent: Vec<u8> = (0..LEN).map(at).collect();
        let sending = annulus_rt::spawn(async move { near.send_all(sent).await.0 });
        {
            // All but the end of it is taken, and dropped.
            let mut whole = Box::pin(far.recv_exact(vec![0; LEN + 1]));
            while !sending.is_finished() {
                assert!(within(1, whole.as_mut()).await.is_none());
            }
        }
        sending.await.unwrap().unwrap();
        // As much as there is room for, of which the last piece comes back; twice.
        for _ in 0..2 {
            let begun = async {
                behind.readable().await.unwrap();
                turns(50).await;
            };
            assert!(matches!(select(far.splice_to(&there, u64::MAX), begun).await, Either::Right(())));
        }
        drop(there);
        let (passed, bytes) = behind.read_to_end(Vec::new()).await;
        let passed = passed.unwrap();
        assert!((1..LEN).contains(&passed), "{passed}: there was no room for all");
        let (received, rest) = far.read_to_end(Vec::new()).await;
        assert_eq!(received.unwrap(), LEN - bytes.len());
        let mut checked = Checked::default();
        checked.take(&bytes);
        checked.take(&rest);
    });
}

#[test]
fn a_reader_gives_back_pieces_of_a_line_and_says_so_when_the_stream_ends() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let mut reader = BufReader::with_capacity(4, reader);
        for part in ["one", " li", "ne"] {
            writer.write_all(part).await.0.unwrap();
            let before = reader.buffer().len();
            while reader.buffer().len() == before {
                assert!(within(8, reader.read_line(&mut String::new())).await.is_none());
            }
        }
        assert_eq!(reader.buffer(), b"one line");
        let (read, _) = reader.read_exact(vec![0; 4]).await;
        read.unwrap();
        writer.write_all("\nrest").await.0.unwrap();
        writer.shutdown().await.unwrap();
        let mut line = String::new();
        assert_eq!((reader.read_line(&mut line).await.unwrap(), line.as_str()), (5, "line\n"));
        let (read, _) = reader.read_exact(vec![0; 5]).await;
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        let (read, rest) = reader.read_exact(Vec::from([0; 4])).await;
        read.unwrap();
        assert_eq!(rest, b"rest");
    });
}

#[test]
fn a_pipe_with_bytes_that_nobody_has_read_stays_a_stream() {
    run(async {
        let (mut reader, writer) = pipe().unwrap();
        writer.write_all("kept").await.0.unwrap();
        // Until one has read them, and given them back.
        loop {
            assert!(within(8, reader.read_exact(vec![0; 9])).await.is_none());
            in_flight(0).await;
            match reader.try_into_owned_fd() {
                Ok(unread) => reader = unread.into(),
                Err(kept) => {
                    reader = kept;
                    break;
                }
            }
        }
        let (read, bytes) = reader.read(vec![0; 9]).await;
        assert_eq!((read.unwrap(), bytes), (4, b"kept".to_vec()));
        assert!(reader.try_into_owned_fd().is_ok());
    });
}

#[test]
fn a_cursor_moves_by_what_was_handed_over() {
    run(async {
        let file = File::open("Cargo.toml").await.unwrap();
        let whole = std::fs::read("Cargo.toml").unwrap();
        let cursor = file.cursor();
        for polls in 0..4 {
            // Ready or not, one that is dropped has not moved it.
            let exact = cursor.read_exact(vec![0; whole.len()]);
            if within(polls, exact).await.is_some() {
                assert_eq!(cursor.position(), whole.len() as u64);
                cursor.set_position(0);
            }
            assert_eq!(cursor.position(), 0);
        }
        let (read, _) = cursor.read_exact(vec![0; whole.len() + 1]).await;
        assert_eq!((read.unwrap_err().kind(), cursor.position()), (std::io::ErrorKind::UnexpectedEof, 0));
        let (read, head) = cursor.read_exact([0; 9]).await;
        read.unwrap();
        assert_eq!((&head, cursor.position()), (b"[package]", 9));
        let (read, rest) = cursor.read_to_end(b"> ".to_vec()).await;
        assert_eq!((read.unwrap(), cursor.position()), (whole.len() - 9, whole.len() as u64));
        assert_eq!((&rest[..2], &rest[2..]), (&b"> "[..], &whole[9..]));
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
