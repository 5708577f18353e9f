//! Operations that own what they point to, on the kernel: results and memory come back together, a full ring
//! refuses without losing anything, and a ring that is dropped with operations in flight frees nothing early.
#![allow(unsafe_code, reason = "one test plays another ring, which posts what it likes")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod again;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use annulus::owned::{
    Accept, AcceptMulti, Allocate, Close, Connect, Directory, Handle, HardLink, LinkTimeout, Listen, MakeDir,
    Nop, Open, OwnedRing, Poll, PollMulti, Read, Readv, Recv, RecvMsg, Refused, Rename, Send, SendMsg,
    SendZc, Shutdown, Socket, Splice, Statx, Symlink, Sync, Timeout, Truncate, Unlink, Write, Writev,
};
use annulus::squeue::Flags;
use rustix::io::Errno;

fn ring() -> OwnedRing {
    OwnedRing::new(8).unwrap()
}

fn pipe() -> (Handle, fs::File) {
    let (read, write) = std::io::pipe().unwrap();
    (read.into(), OwnedFd::from(write).into())
}

#[test]
fn a_write_and_a_read_give_their_buffers_back_with_the_number_of_bytes() {
    let mut ring = ring();
    let file = Handle::from(tempfile::tempfile().unwrap());
    let (written, text) = ring.run(Write::new(&file, b"hello, ring".to_vec())).unwrap();
    assert_eq!((written, text), (Ok(11), b"hello, ring".to_vec()));
    let (read, text) = ring.run(Read::new(&file, vec![0; 64]).offset(7)).unwrap();
    assert_eq!((read, text), (Ok(4), b"ring".to_vec()));
    let (read, fixed) = ring.run(Read::new(&file, [b'.'; 6])).unwrap();
    assert_eq!((read, &fixed), (Ok(6), b"hello,"));
    let (end, boxed) = ring.run(Read::new(&file, vec![7u8; 3].into_boxed_slice()).offset(100)).unwrap();
    assert_eq!((end, &boxed[..]), (Ok(0), &[7, 7, 7][..]));
}

#[test]
fn a_failed_operation_gives_its_buffer_back_unchanged() {
    let mut ring = ring();
    let directory = Handle::from(fs::File::open("/").unwrap());
    let (result, buffer) = ring.run(Read::new(&directory, b"as it was".to_vec())).unwrap();
    assert_eq!((result, &buffer[..]), (Err(Errno::ISDIR), &b"as it was"[..]));
}

#[test]
fn several_buffers_are_filled_one_after_the_other() {
    let mut ring = ring();
    let file = Handle::from(tempfile::tempfile().unwrap());
    let parts = vec![b"abc".to_vec(), b"".to_vec(), b"defgh".to_vec()];
    let (written, parts) = ring.run(Writev::new(&file, parts)).unwrap();
    assert_eq!((written, parts.len()), (Ok(8), 3));
    let room = vec![Vec::with_capacity(5), vec![9; 2], vec![9; 2]];
    let sizes: Vec<usize> = room.iter().map(Vec::capacity).collect();
    assert_eq!(sizes[1..], [2, 2]);
    let (read, room) = ring.run(Readv::new(&file, room).offset(1)).unwrap();
    assert_eq!(read, Ok(7));
    assert_eq!(room.concat(), b"bcdefgh");
    assert_eq!(room.last().unwrap(), &Vec::<u8>::new(), "nothing came to the last one");
}

#[test]
fn a_full_ring_gives_the_operation_back() {
    let mut ring = OwnedRing::new(2).unwrap();
    let file = Handle::from(tempfile::tempfile().unwrap());
    let first = ring.push(Write::new(&file, b"first".to_vec())).unwrap();
    let second = ring.push(Nop::new()).unwrap();
    assert_eq!(ring.room(), 0);
    let Err(Refused(operation)) = ring.push(Write::new(&file, b"third".to_vec())) else {
        panic!("a third operation in a ring of two")
    };
    assert_eq!(ring.submit().unwrap(), 2);
    let (written, text) = ring.run(operation).unwrap();
    assert_eq!((written, &text[..]), (Ok(5), &b"third"[..]));
    assert_eq!(ring.wait_for(first).unwrap().0, Ok(5));
    assert_eq!(ring.wait_for(second).unwrap(), Ok(0));
}

#[test]
fn no_more_operations_are_in_flight_than_completions_fit() {
    let mut ring = OwnedRing::new(2).unwrap();
    let (read, _write) = pipe();
    let limit = ring.params().cq_entries() as usize;
    while ring.in_flight() < limit {
        if ring.push(Read::new(&read, vec![0; 8])).is_err() {
            ring.submit().unwrap();
        }
    }
    ring.submit().unwrap();
    assert!(ring.push(Nop::new()).is_err(), "{limit} operations in flight");
}

#[test]
fn paths_are_opened_asked_about_renamed_linked_and_removed() {
    let mut ring = ring();
    let directory = tempfile::tempdir().unwrap();
    let at = Directory::from(fs::File::open(directory.path()).unwrap());
    ring.run(MakeDir::new(c"inner").at(&at)).unwrap().unwrap();
    let create = Open::new(c"inner/a").at(&at).flags(libc::O_RDWR | libc::O_CREAT).mode(0o600);
    let file = Handle::from(ring.run(create).unwrap().unwrap());
    ring.run(Write::new(&file, *b"12345")).unwrap().0.unwrap();
    ring.run(Rename::new(c"inner/a", c"b").at(&at, &at)).unwrap().unwrap();
    ring.run(HardLink::new(c"b", c"c").at(&at, &at)).unwrap().unwrap();
    ring.run(Symlink::new(c"b", c"d").at(&at)).unwrap().unwrap();
    let facts = ring.run(Statx::new(c"d").at(&at)).unwrap().unwrap();
    assert_eq!((facts.stx_size, facts.stx_nlink), (5, 2));
    ring.run(Truncate::new(&file, 2)).unwrap().unwrap();
    ring.run(Allocate::new(&file, 0, 8192)).unwrap().unwrap();
    ring.run(Sync::all(&file)).unwrap().unwrap();
    ring.run(Sync::data(&file)).unwrap().unwrap();
    assert_eq!(fs::read(directory.path().join("c")).unwrap().len(), 8192);
    ring.run(Unlink::directory(c"inner").at(&at)).unwrap().unwrap();
    for name in [c"b", c"c", c"d"] {
        ring.run(Unlink::file(name).at(&at)).unwrap().unwrap();
    }
    assert_eq!(ring.run(Statx::new(c"d").at(&at)).unwrap().err(), Some(Errno::NOENT));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_path_that_leaves_its_directory_is_refused_when_asked_for() {
    let mut ring = ring();
    let directory = tempfile::tempdir().unwrap();
    let at = Directory::from(fs::File::open(directory.path()).unwrap());
    let open = Open::new(c"../").at(&at).resolve(libc::RESOLVE_BENEATH);
    assert_eq!(ring.run(open).unwrap().err(), Some(Errno::XDEV));
}

#[test]
fn a_connection_is_made_used_and_shut_down() {
    let mut ring = ring();
    let socket = ring.run(Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0)).unwrap().unwrap();
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = TcpListener::from(socket);
    rustix::net::bind(&listener, &address).unwrap();
    let handle = Handle::from(listener.try_clone().unwrap());
    ring.run(Listen::new(&handle, 4)).unwrap().unwrap();
    let accept = ring.push(Accept::new(&handle)).unwrap();

    let client = ring.run(Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0)).unwrap().unwrap();
    let client = TcpStream::from(client);
    let near = Handle::from(client.try_clone().unwrap());
    ring.run(Connect::new(&near, listener.local_addr().unwrap())).unwrap().unwrap();
    let (far, peer) = ring.wait_for(accept).unwrap().unwrap();
    assert_eq!(SocketAddr::try_from(peer.unwrap()), Ok(client.local_addr().unwrap()));

    let far = Handle::from(far);
    let receive = ring.push(Recv::new(&far, Vec::with_capacity(16))).unwrap();
    assert_eq!(ring.run(Send::new(&near, "over the ring")).unwrap().0, Ok(13));
    assert_eq!(ring.wait_for(receive).unwrap(), (Ok(13), b"over the ring".to_vec()));
    let (sent, data) = ring.run(SendZc::new(&far, vec![b'z'; 5000])).unwrap();
    let sent = sent.unwrap();
    assert!(sent > 0 && data.len() == 5000, "{sent} bytes without a copy");
    ring.run(Shutdown::new(&far, std::net::Shutdown::Write)).unwrap().unwrap();
    let mut all = Vec::new();
    (&client).read_to_end(&mut all).unwrap();
    assert_eq!(all, vec![b'z'; sent]);
}

#[test]
fn a_message_carries_address_and_control_data() {
    let mut ring = ring();
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    rustix::net::sockopt::set_ip_recvtos(&far, true).unwrap();
    let (to, from) = (far.local_addr().unwrap(), near.local_addr().unwrap());
    let receive = RecvMsg::new(far, vec![vec![0; 4], vec![0; 64]]).control(128);
    let receive = ring.push(receive).unwrap();
    let parts = vec![b"two ".to_vec(), b"parts".to_vec()];
    let (sent, parts) = ring.run(SendMsg::new(near, parts).to(to)).unwrap();
    assert_eq!((sent, parts.len()), (Ok(9), 2));
    let (received, buffers) = ring.wait_for(receive).unwrap();
    let received = received.unwrap();
    assert_eq!((received.len, buffers.concat()), (9, b"two parts".to_vec()));
    let kinds: Vec<_> = received.control_messages().map(|message| (message.level, message.kind)).collect();
    assert_eq!(kinds, [(libc::IPPROTO_IP, libc::IP_TOS)]);
    assert_eq!(SocketAddr::try_from(received.address.unwrap()), Ok(from));
}

#[test]
fn a_cut_message_tells_of_no_more_than_was_written() {
    let mut ring = ring();
    let (near, far) = std::os::unix::net::UnixDatagram::pair().unwrap();
    near.send(b"longer than the room").unwrap();
    let receive = RecvMsg::new(far, vec![Vec::with_capacity(6)]).flags(libc::MSG_TRUNC.cast_unsigned());
    let (received, buffers) = ring.run(receive).unwrap();
    let received = received.unwrap();
    assert_eq!((received.len, &buffers[0][..]), (6, &b"longer"[..]));
    assert!(received.flags & libc::MSG_TRUNC != 0);
}

#[test]
fn a_timeout_passes_and_a_link_timeout_cancels_what_it_hangs_on() {
    let mut ring = ring();
    assert_eq!(ring.run(Timeout::new(Duration::from_millis(1))).unwrap(), Ok(()));
    let (read, _write) = pipe();
    let slow = ring.push_with(Read::new(&read, vec![0; 8]), Flags::IO_LINK).unwrap();
    let limit = ring.push(LinkTimeout::new(Duration::from_millis(5))).unwrap();
    assert_eq!(ring.wait_for(slow).unwrap().0, Err(Errno::CANCELED));
    assert_eq!(ring.wait_for(limit).unwrap(), Ok(()));
}

#[test]
fn a_cancelled_operation_ends_and_gives_its_buffer_back() {
    let mut ring = ring();
    let (read, _write) = pipe();
    let stuck = ring.push(Read::new(&read, b"mine".to_vec())).unwrap();
    ring.submit().unwrap();
    assert!(ring.take(stuck).is_none(), "nothing was written");
    ring.cancel(stuck.key()).unwrap();
    let (result, buffer) = ring.wait_for(stuck).unwrap();
    assert_eq!((result, &buffer[..]), (Err(Errno::CANCELED), &b"mine"[..]));
}

#[test]
fn a_cancel_between_the_operations_of_a_chain_does_not_become_one_of_them() {
    let mut ring = ring();
    let (read, _write) = pipe();
    let stuck = ring.push(Read::new(&read, vec![0; 8])).unwrap();
    ring.submit().unwrap();
    // A link timeout belongs to what stands directly before it in its chain: were that the cancel, which ends at
    // once, the read behind it would wait for ever.
    let (other, _write) = pipe();
    let limited = ring.push_with(Read::new(&other, vec![0; 8]), Flags::IO_LINK).unwrap();
    assert!(ring.cancel(limited.key()).is_err(), "its chain may go on");
    ring.cancel(stuck.key()).unwrap();
    let limit = ring.push(LinkTimeout::new(Duration::from_millis(5))).unwrap();
    assert_eq!(ring.wait_for(limited).unwrap().0, Err(Errno::CANCELED));
    assert_eq!(ring.wait_for(limit).unwrap(), Ok(()));
    assert_eq!(ring.wait_for(stuck).unwrap().0, Err(Errno::CANCELED));
}

#[test]
fn what_has_finished_is_named_once_in_order() {
    let mut ring = ring();
    let tickets: Vec<_> = (0..3).map(|_| ring.push(Nop::new()).unwrap()).collect();
    ring.submit_and_wait(3).unwrap();
    let mut keys: Vec<_> = std::iter::from_fn(|| ring.next_finished()).collect();
    keys.sort();
    assert_eq!(keys, tickets.iter().map(|ticket| ticket.key()).collect::<Vec<_>>());
    assert!(ring.is_finished(keys[0]));
    assert_eq!(ring.take(tickets[0]), Some(Ok(0)));
    assert_eq!(ring.take(tickets[0]), None, "taken before");
}

#[test]
fn a_poll_reports_once_and_a_multishot_poll_again_and_again() {
    let mut ring = ring();
    let (read, mut write) = pipe();
    let events = u32::from(libc::POLLIN.cast_unsigned());
    let many = ring.push(PollMulti::new(&read, events)).unwrap();
    for round in 0..3 {
        write.write_all(b".").unwrap();
        ring.submit_and_wait(1).unwrap();
        assert_eq!(ring.take_item(many), Some(events), "round {round}");
    }
    assert_eq!(ring.run(Poll::new(&read, events)).unwrap(), Ok(events));
    ring.cancel(many.key()).unwrap();
    let (end, rest) = ring.wait_for(many).unwrap();
    assert_eq!((end, rest.len()), (Err(Errno::CANCELED), 0));
}

#[test]
fn a_multishot_operation_whose_items_nobody_takes_ends_with_all_of_them() {
    let mut ring = ring();
    let bound = ring.params().cq_entries() as usize;
    let (read, mut write) = pipe();
    let many = ring.push(PollMulti::new(&read, u32::from(libc::POLLIN.cast_unsigned()))).unwrap();
    ring.submit().unwrap();
    let mut ended = None;
    for _ in 0..10 * bound {
        write.write_all(b".").unwrap();
        ring.submit_and_wait(1).unwrap();
        ended = ring.take(many);
        if ended.is_some() {
            break;
        }
    }
    let (end, items) = ended.expect("the bound was reached long ago");
    assert_eq!(end, Err(Errno::CANCELED));
    assert!((bound..bound + 8).contains(&items.len()), "{} items, bound {bound}", items.len());
}

#[test]
fn connections_of_a_multishot_accept_that_nobody_takes_are_closed() {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = ring.push(AcceptMulti::new(listener)).unwrap();
    ring.submit().unwrap();
    let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut taken = Vec::new();
    while taken.is_empty() {
        ring.submit_and_wait(1).unwrap();
        taken.extend(ring.take_item(accept));
    }
    drop(ring);
    drop(taken);
    for mut client in clients {
        // The end of the stream, or a reset if the connection was never accepted: not a wait for ever.
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        match client.read(&mut [0]) {
            Ok(length) => assert_eq!(length, 0),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn a_file_that_is_opened_for_nobody_is_closed() {
    let mut ring = ring();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // On a worker, opening one end waits for the other, so nobody has the descriptor when it is detached.
    let open = ring.push_with(Open::new(name).flags(libc::O_WRONLY), Flags::ASYNC).unwrap();
    ring.submit().unwrap();
    ring.detach(open.key());
    let mut reader = fs::File::open(&path).unwrap();
    while ring.in_flight() > 0 {
        ring.submit_and_wait(1).unwrap();
    }
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the writing end is closed");
}

#[test]
fn a_file_stays_open_as_long_as_an_operation_needs_it() {
    let mut ring = ring();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"still there").unwrap();
    let number = file.as_raw_fd();
    let handle = Handle::from(file);
    let read = ring.push(Read::new(&handle, vec![0; 32])).unwrap();
    drop(handle);
    // Without the operation's share this file would get the number, and be read instead.
    let other = fs::File::open("/dev/zero").unwrap();
    assert_ne!(other.as_raw_fd(), number);
    assert_eq!(ring.wait_for(read).unwrap(), (Ok(11), b"still there".to_vec()));
}

#[test]
fn a_close_closes_once_whether_it_runs_or_not() {
    let mut ring = ring();
    let (mut read, write) = std::io::pipe().unwrap();
    ring.run(Close::new(write.into())).unwrap().unwrap();
    assert_eq!(read.read(&mut [0]).unwrap(), 0);

    // Never submitted: closed when it is dropped. Cancelled before it ran: likewise.
    let (mut read, write) = std::io::pipe().unwrap();
    let (mut other, other_write) = std::io::pipe().unwrap();
    let nobody = Handle::from(fs::File::open("/").unwrap());
    ring.push_with(Read::new(&nobody, vec![0; 8]), Flags::IO_LINK).unwrap();
    let broken = ring.push(Close::new(other_write.into())).unwrap();
    assert_eq!(ring.wait_for(broken).unwrap(), Err(Errno::CANCELED));
    assert_eq!(other.read(&mut [0]).unwrap(), 0);
    ring.push(Close::new(write.into())).unwrap();
    drop(ring);
    assert_eq!(read.read(&mut [0]).unwrap(), 0);
}

#[test]
fn data_goes_through_a_pipe_without_passing_through_the_program() {
    let mut ring = ring();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"spliced").unwrap();
    let (mut read, write) = std::io::pipe().unwrap();
    assert_eq!(ring.run(Splice::new(file, write, 64).from_offset(2)).unwrap(), Ok(5));
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "liced");
}

#[test]
fn a_completion_that_another_ring_posts_ends_no_operation() {
    let mut ring = ring();
    let (read, _write) = pipe();
    let waiting = ring.push(Read::new(&read, vec![0; 8])).unwrap();
    ring.submit().unwrap();
    let mut other = annulus::IoUring::new(8).unwrap();
    for user_data in [0, 1, u64::MAX] {
        let target = annulus::types::Fd(ring.as_fd().as_raw_fd());
        let message = annulus::opcode::MsgRingData::new(target, 8, user_data, None).build();
        // SAFETY: it names no memory.
        unsafe { other.submission().push(&message) }.unwrap();
    }
    other.submit_and_wait(3).unwrap();
    ring.submit_and_wait(1).unwrap();
    assert!(ring.take(waiting).is_none() && ring.in_flight() == 1);
}

#[test]
#[should_panic(expected = "a ticket of another ring")]
fn a_ticket_of_another_ring_does_not_give_its_operation_another_type() {
    let (mut one, mut other) = (ring(), ring());
    let ticket =
        one.push(Read::new(std::io::stdin().as_fd().try_clone_to_owned().unwrap(), vec![0])).unwrap();
    other.push(Nop::new()).unwrap();
    other.submit_and_wait(1).unwrap();
    let _ = other.take(ticket);
}

#[test]
#[should_panic(expected = "flags")]
fn an_operation_without_a_completion_is_refused() {
    let _ = ring().push_with(Nop::new(), Flags::SKIP_SUCCESS);
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
