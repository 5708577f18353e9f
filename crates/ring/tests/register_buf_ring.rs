//! Buffer rings on the kernel: buffers come in completions and go back, whole, piece by piece, and in
//! bundles; none left is an answer.
#![allow(unsafe_code, reason = "pushes operations that select from buffer rings which outlive them")]
#![allow(
    clippy::disallowed_methods,
    reason = "a ring's memory is given up in another thread than its issuer"
)]

mod again;

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use annulus::cqueue::Entry;
use annulus::register::RegisterError;
use annulus::squeue::Flags;
use annulus::types::Fd;
use annulus::{BufRing, Filled, IoUring, opcode, squeue};

fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: every buffer ring of this file outlives the operations, which complete before the test ends.
    unsafe { ring.submission().push(entry) }.expect("room in the queue");
}

/// Submits and waits for the next completion.
fn next(ring: &mut IoUring) -> Entry {
    ring.submit().unwrap();
    ring.wait().unwrap()
}

fn recv(socket: &UnixStream, group: u16) -> squeue::Entry {
    let (fd, len) = (Fd(socket.as_raw_fd()), 0);
    opcode::Recv::new(fd, std::ptr::null_mut(), len).buf_group(group).build().flags(Flags::BUFFER_SELECT)
}

/// A ring, its buffers, and two connected sockets.
fn fixture(buffers: &annulus::BufRingBuilder) -> (BufRing, IoUring, UnixStream, UnixStream) {
    let ring = IoUring::new(16).unwrap();
    let buffers = buffers.register(&ring.submitter(), 3).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    (buffers, ring, near, far)
}

#[test]
fn a_buffer_comes_with_its_data_and_goes_back_when_the_guard_is_dropped() {
    let (buffers, mut ring, mut near, far) = fixture(&BufRing::builder(4, 64));
    assert_eq!(buffers.available().unwrap(), 4);
    near.write_all(b"first").unwrap();
    push(&mut ring, &recv(&far, 3));
    let cqe = next(&mut ring);
    let data = buffers.take(&cqe).unwrap();
    assert_eq!((data.len(), data.as_slice()), (5, Some(&b"first"[..])));
    assert_eq!(buffers.available().unwrap(), 3);
    assert_eq!(ring.submitter().buf_ring_head(3).unwrap(), 1);
    drop(data);
    assert_eq!(buffers.available().unwrap(), 4);
}

#[test]
fn buffers_go_round_far_beyond_the_size_of_the_ring() {
    for builder in [BufRing::builder(4, 64), BufRing::builder(4, 64).kernel_memory()] {
        let (buffers, mut ring, mut near, far) = fixture(&builder);
        for n in 0..100_u8 {
            near.write_all(&[n; 3]).unwrap();
            push(&mut ring, &recv(&far, 3));
            let cqe = next(&mut ring);
            assert_eq!(buffers.take(&cqe).unwrap().to_vec(), [n; 3], "{builder:?}");
        }
        assert_eq!(buffers.available().unwrap(), 4);
    }
}

#[test]
fn an_empty_ring_answers_enobufs_until_a_buffer_comes_back() {
    let (buffers, mut ring, mut near, far) = fixture(&BufRing::builder(2, 8));
    push(&mut ring, &opcode::RecvMulti::new(Fd(far.as_raw_fd()), 3).build());
    ring.submit().unwrap();
    let mut held = Vec::new();
    for text in [b"one", b"two"] {
        near.write_all(text).unwrap();
        let cqe = next(&mut ring);
        assert!(cqe.has_more());
        held.push(buffers.take(&cqe).unwrap());
    }
    near.write_all(b"six").unwrap();
    let exhausted = next(&mut ring);
    assert_eq!(exhausted.result(), -libc::ENOBUFS);
    assert!(!exhausted.has_more(), "the multishot receive has ended");
    assert!(buffers.take(&exhausted).is_none());

    assert_eq!(held.remove(0).as_slice(), Some(&b"one"[..]));
    push(&mut ring, &recv(&far, 3));
    let cqe = next(&mut ring);
    assert_eq!(buffers.take(&cqe).unwrap().as_slice(), Some(&b"six"[..]));
    assert_eq!(held[0].as_slice(), Some(&b"two"[..]), "what is held is not written over");
}

#[test]
fn an_incremental_ring_fills_each_buffer_piece_by_piece() {
    let (buffers, mut ring, mut near, far) = fixture(&BufRing::builder(2, 16).incremental());
    let mut held = Vec::new();
    let mut more = Vec::new();
    for text in [&b"aaaaaa"[..], b"bbbbbb", b"cccc", b"dd"] {
        near.write_all(text).unwrap();
        push(&mut ring, &recv(&far, 3));
        let cqe = next(&mut ring);
        more.push((cqe.buffer_id().unwrap(), cqe.has_buffer_more()));
        let data = buffers.take(&cqe).unwrap();
        assert_eq!(data.as_slice(), Some(text));
        held.push(data);
    }
    assert_eq!(more, [(0, true), (0, true), (0, false), (1, true)]);
    assert_eq!(buffers.available().unwrap(), 1, "the second buffer is still the kernel's");
    held.drain(..2);
    assert_eq!(buffers.available().unwrap(), 1, "a piece of the first is held");
    held.clear();
    assert_eq!(buffers.available().unwrap(), 2);
}

#[test]
fn the_end_of_a_stream_leaves_an_incremental_buffer_with_the_kernel() {
    let (buffers, mut ring, mut near, far) = fixture(&BufRing::builder(2, 16).incremental());
    near.write_all(b"abc").unwrap();
    push(&mut ring, &recv(&far, 3));
    let cqe = next(&mut ring);
    drop(buffers.take(&cqe).unwrap());

    near.shutdown(Shutdown::Write).unwrap();
    push(&mut ring, &recv(&far, 3));
    let end = next(&mut ring);
    assert_eq!(end.result(), 0);
    // Whether the completion names the buffer depends on the kernel; the buffer is not used up either way.
    assert!(buffers.take(&end).is_none_or(|data| data.is_empty()));
    assert_eq!(buffers.available().unwrap(), 2);

    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(b"defg").unwrap();
    push(&mut ring, &recv(&far, 3));
    let cqe = next(&mut ring);
    assert_eq!(cqe.buffer_id(), Some(0), "the same buffer goes on");
    assert_eq!(buffers.take(&cqe).unwrap().as_slice(), Some(&b"defg"[..]));
}

#[test]
fn a_read_that_brings_nothing_leaves_its_buffer_where_the_kernel_has_it() {
    // The end of a pipe, into incremental buffers: named in the completion, not used up.
    let (buffers, mut ring, _near, _far) = fixture(&BufRing::builder(2, 16).incremental());
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let read = |fd: &dyn AsRawFd| {
        let read =
            opcode::Read::new(Fd(fd.as_raw_fd()), std::ptr::null_mut(), 0).offset(u64::MAX).buf_group(3);
        read.build().flags(Flags::BUFFER_SELECT)
    };
    rustix::io::write(&writer, b"abc").unwrap();
    drop(writer);
    push(&mut ring, &read(&reader));
    let cqe = next(&mut ring);
    let begun = buffers.take(&cqe).unwrap();
    assert_eq!(begun.as_slice(), Some(&b"abc"[..]));
    for _ in 0..3 {
        push(&mut ring, &read(&reader));
        let end = next(&mut ring);
        assert_eq!(end.result(), 0);
        assert!(buffers.take(&end).is_none_or(|data| data.is_empty()));
    }
    drop(begun);
    assert_eq!(buffers.available().unwrap(), 2);

    // A failure of a file that can be polled, into whole buffers: an eventfd takes no less than 8 bytes.
    let ring_buffers = BufRing::register(&ring.submitter(), 4, 2, 4).unwrap();
    let event = rustix::event::eventfd(1, rustix::event::EventfdFlags::NONBLOCK).unwrap();
    for _ in 0..5 {
        let mut failing = read(&event);
        failing.set_buf_index(4);
        push(&mut ring, &failing);
        let failed = next(&mut ring);
        assert_eq!(failed.result(), -libc::EINVAL);
        assert!(ring_buffers.take(&failed).is_none_or(|data| data.is_empty()));
        assert_eq!((ring_buffers.available().unwrap(), ring_buffers.settle().unwrap()), (2, 0));
    }

    // And the next operation gets the same buffer before the failure is looked at.
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&writer, b"data").unwrap();
    for file in [&event as &dyn AsRawFd, &reader] {
        let mut entry = read(file).user_data(u64::from(file.as_raw_fd() == reader.as_raw_fd()));
        entry.set_buf_index(4);
        push(&mut ring, &entry);
    }
    ring.submit_and_wait(2).unwrap();
    let (failed, brought) = (ring.peek().unwrap().unwrap(), ring.peek().unwrap().unwrap());
    assert_eq!((failed.result(), failed.user_data(), brought.user_data()), (-libc::EINVAL, 0, 1));
    drop(ring_buffers.take(&failed));
    assert_eq!(ring_buffers.available().unwrap(), 1, "the buffer with the data was not given away");
    assert_eq!(ring_buffers.take(&brought).unwrap().as_slice(), Some(&b"data"[..]));
    assert_eq!(ring_buffers.available().unwrap(), 2);
}

#[test]
fn a_bundle_fills_several_buffers_in_the_order_of_the_ring() {
    let (buffers, mut ring, mut near, far) = fixture(&BufRing::builder(8, 4));
    // Mix the order up: 0, 1, 2 come back as 2, 0, 1.
    let mut held = Vec::new();
    for _ in 0..3 {
        near.write_all(b"x").unwrap();
        push(&mut ring, &recv(&far, 3));
        let cqe = next(&mut ring);
        held.push(buffers.take(&cqe).unwrap());
    }
    for index in [2, 0, 0] {
        drop(held.remove(index));
    }
    for round in 0..10_u8 {
        let text: Vec<u8> = (0..28).map(|n| n + round).collect();
        near.write_all(&text).unwrap();
        push(&mut ring, &opcode::RecvBundle::new(Fd(far.as_raw_fd()), 3).build());
        let cqe = next(&mut ring);
        assert_eq!(cqe.result(), 28);
        let data = buffers.take(&cqe).unwrap();
        let lengths: Vec<usize> = data.chunks().map(<[u8]>::len).collect();
        assert_eq!(lengths, [4; 7]);
        assert_eq!(data.to_vec(), text);
        assert!(data.as_slice().is_none());
        assert_eq!(buffers.available().unwrap(), 1);
        drop(data);
        assert_eq!(buffers.available().unwrap(), 8);
    }
}

#[test]
fn bundles_of_an_incremental_ring_share_the_buffer_between_them() {
    let (buffers, mut ring, mut near, far) = fixture(&BufRing::builder(4, 8).incremental());
    let mut held = Vec::new();
    for text in [&b"0123456789ab"[..], b"cdefghijkl"] {
        near.write_all(text).unwrap();
        push(&mut ring, &opcode::RecvBundle::new(Fd(far.as_raw_fd()), 3).build());
        let cqe = next(&mut ring);
        assert!(cqe.has_buffer_more());
        let data = buffers.take(&cqe).unwrap();
        assert_eq!(data.to_vec(), text);
        held.push(data);
    }
    let lengths: Vec<Vec<usize>> = held.iter().map(|data| data.chunks().map(<[u8]>::len).collect()).collect();
    assert_eq!(lengths, [vec![8, 4], vec![4, 6]]);
    drop(held);
    assert_eq!(buffers.available().unwrap(), 4, "two were used up and are back, one is begun, one untouched");
}

#[test]
fn a_failed_read_that_had_taken_a_buffer_gives_it_back() {
    let (buffers, mut ring, _near, _far) = fixture(&BufRing::builder(2, 16));
    let directory = std::fs::File::open("/").unwrap();
    for flags in [Flags::BUFFER_SELECT, Flags::BUFFER_SELECT | Flags::ASYNC] {
        for _ in 0..5 {
            let read = opcode::Read::new(Fd(directory.as_raw_fd()), std::ptr::null_mut(), 0).buf_group(3);
            push(&mut ring, &read.build().flags(flags));
            let cqe = next(&mut ring);
            assert_eq!(cqe.result(), -libc::EISDIR, "{flags:?}");
            drop(buffers.take(&cqe));
            assert_eq!(buffers.available().unwrap(), 1, "it may be another operation's by now");
            assert_eq!(buffers.settle().unwrap(), 1, "nothing is in flight");
            assert_eq!(buffers.available().unwrap(), 2, "{flags:?}");
        }
    }
}

#[test]
fn a_bundle_is_sent_from_buffers_that_the_program_filled() {
    let (buffers, mut ring, near, far) = fixture(&BufRing::builder(4, 8).start_empty());
    assert_eq!(buffers.available().unwrap(), 0);
    for text in [&b"one "[..], b"two ", b"three"] {
        let mut vacant = buffers.vacant().unwrap();
        vacant.bytes()[..text.len()].copy_from_slice(text);
        vacant.provide(text.len());
    }
    drop(buffers.vacant().expect("the fourth buffer"));
    push(&mut ring, &opcode::SendBundle::new(Fd(near.as_raw_fd()), 3).build());
    let cqe = next(&mut ring);
    assert_eq!(cqe.result(), 13);
    drop(buffers.take(&cqe).unwrap());
    let mut received = [0; 13];
    std::io::Read::read_exact(&mut &far, &mut received).unwrap();
    assert_eq!(&received, b"one two three");
    let idle = std::iter::from_fn(|| buffers.vacant().map(std::mem::ManuallyDrop::new)).count();
    assert_eq!((idle, buffers.available().unwrap()), (4, 0));
}

#[test]
fn buffers_are_shown_to_the_kernel_in_one_go_after_a_hold_or_with_the_completions() {
    let (buffers, mut ring, mut near, far) = fixture(&BufRing::builder(4, 8));
    near.write_all(b"0123456789abcdef").unwrap();
    for _ in 0..2 {
        push(&mut ring, &recv(&far, 3));
    }
    ring.submit_and_wait(2).unwrap();
    let mut completions = ring.completion();
    let (older, newer) = completions.ready();
    let hold = buffers.hold();
    let taken: Vec<Vec<u8>> =
        older.iter().chain(newer).map(|cqe| buffers.take(cqe).unwrap().to_vec()).collect();
    assert_eq!(taken, [b"01234567", b"89abcdef"]);
    assert_eq!(buffers.available().unwrap(), 2, "held back");
    assert_eq!(buffers.advance(&mut completions, 2), 2);
    assert_eq!(buffers.available().unwrap(), 4);
    assert_eq!(completions.len(), 0);
    drop(hold);
}

#[test]
fn a_guard_can_hold_its_ring_by_count() {
    let (buffers, mut ring, mut near, far) = fixture(&BufRing::builder(2, 8));
    let buffers = Rc::new(buffers);
    near.write_all(b"counted").unwrap();
    push(&mut ring, &recv(&far, 3));
    let cqe = next(&mut ring);
    let data = Filled::of(Rc::clone(&buffers), cqe.flags(), cqe.result()).unwrap();
    drop(buffers);
    assert_eq!(data.as_slice(), Some(&b"counted"[..]));
}

#[test]
fn a_dropped_ring_of_buffers_leaves_its_group_free() {
    let ring = IoUring::new(4).unwrap();
    let first = BufRing::register(&ring.submitter(), 9, 2, 16).unwrap();
    let taken = BufRing::builder(2, 16).register(&ring.submitter(), 9).unwrap_err();
    assert_eq!(taken, RegisterError::BufRingGroup { bgid: 9 });
    drop(first);
    let second = BufRing::register(&ring.submitter(), 9, 2, 16).unwrap();
    // The ring may go first: the buffers keep it open until they have unregistered themselves.
    drop(ring);
    assert_eq!(second.available().unwrap(), 2);
}

#[test]
fn buffers_dropped_where_they_cannot_be_unregistered_are_leaked() {
    let mut builder = IoUring::<squeue::Entry>::builder();
    let mut ring: IoUring = builder.setup_single_issuer().build(4).unwrap();
    let buffers = BufRing::register(&ring.submitter(), 1, 2, 16).unwrap();
    std::thread::spawn(move || drop(buffers)).join().unwrap();
    // The group is still there, and so is its memory: a receive into it works.
    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(b"still").unwrap();
    push(&mut ring, &recv(&far, 1));
    let cqe = next(&mut ring);
    assert_eq!((cqe.result(), cqe.buffer_id()), (5, Some(0)));
}

#[test]
fn sizes_that_no_kernel_takes_are_refused_with_what_there_can_be() {
    let ring = IoUring::new(4).unwrap();
    let most = 32_768;
    for asked in [0, 3, 32_769] {
        let error = BufRing::builder(asked, 16).register(&ring.submitter(), 1).unwrap_err();
        assert_eq!(error, RegisterError::BufRingEntries { asked, most });
    }
    let error = BufRing::builder(4, 0).register(&ring.submitter(), 1).unwrap_err();
    assert_eq!(error, RegisterError::BufRingEmptyBuffers);
    let largest = BufRing::builder(32_768, 1).register(&ring.submitter(), 1).unwrap();
    assert_eq!((largest.available().unwrap(), largest.mask()), (32_768, 32_767));
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
