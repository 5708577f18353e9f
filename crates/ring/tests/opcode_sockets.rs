//! Forms of socket operations that the `io-uring` crate 0.7.15 has no builder or no setter for, on the kernel.
#![allow(unsafe_code, reason = "pushes entries whose memory outlives their completions")]
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "a skip says why")]

mod again;

use std::io::{IoSlice, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use annulus::squeue::Flags;
use annulus::types::{AcceptFlags, Fd, RecvMsgOut, RecvSendFlags, TxTimestamp};
use annulus::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

fn ring() -> IoUring {
    IoUring::new(8).unwrap()
}

fn push<C: cqueue::EntryMarker>(ring: &mut IoUring<squeue::Entry, C>, entry: squeue::Entry) {
    // SAFETY: what the entries of these tests name outlives the ring or their completions.
    unsafe { ring.submission().push(&entry) }.unwrap();
}

/// Runs one operation to its last completion; a zero-copy send has two.
fn run(ring: &mut IoUring, entry: squeue::Entry) -> Result<u32, Errno> {
    push(ring, entry);
    ring.submit_and_wait(1).unwrap();
    let cqe = ring.wait().unwrap();
    if cqe.has_more() {
        assert!(ring.wait().unwrap().is_notification());
    }
    cqe.to_result()
}

/// The two ends of a TCP connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn fd(file: &impl AsRawFd) -> Fd {
    Fd(file.as_raw_fd())
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

#[test]
fn an_accept_that_does_not_wait_says_that_nobody_is_there() {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accept = |flags: AcceptFlags| {
        opcode::Accept::new(fd(&listener), ptr::null_mut(), ptr::null_mut()).ioprio(flags.bits()).build()
    };
    assert_eq!(run(&mut ring, accept(AcceptFlags::DONTWAIT)), Err(Errno::AGAIN));
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let accepted = run(&mut ring, accept(AcceptFlags::POLL_FIRST)).unwrap();
    // SAFETY: the kernel made it for us.
    let accepted = TcpStream::from(unsafe { OwnedFd::from_raw_fd(accepted.cast_signed()) });
    assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
    let many = opcode::AcceptMulti::new(fd(&listener)).ioprio(AcceptFlags::POLL_FIRST.bits()).build();
    assert_eq!(many.get_ioprio(), 0b101);
}

#[test]
fn options_are_set_and_read_back() {
    let mut ring = ring();
    let (near, _far) = connection();
    let (level, name) = (libc::SOL_SOCKET.cast_unsigned(), libc::SO_KEEPALIVE.cast_unsigned());
    let on = 1i32;
    let set = opcode::SetSockOpt::new(fd(&near), level, name, ptr::from_ref(&on).cast(), 4).build();
    assert_eq!(run(&mut ring, set), Ok(0));
    let mut value = 0i32;
    let get = opcode::GetSockOpt::new(fd(&near), level, name, ptr::from_mut(&mut value).cast(), 4).build();
    assert_eq!(run(&mut ring, get), Ok(4), "the length of the value");
    assert_eq!(value, 1);
    let (tcp, nodelay) = (libc::IPPROTO_TCP.cast_unsigned(), libc::TCP_NODELAY.cast_unsigned());
    let other = opcode::GetSockOpt::new(fd(&near), tcp, nodelay, ptr::from_mut(&mut value).cast(), 4).build();
    assert_eq!(run(&mut ring, other), Err(Errno::OPNOTSUPP));
}

#[test]
fn queues_tell_how_much_waits_in_them() {
    let mut ring = ring();
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    near.send_to(b"twelve bytes", far.local_addr().unwrap()).unwrap();
    assert_eq!(run(&mut ring, opcode::SiocInq::new(fd(&far)).build()), Ok(12));
    assert_eq!(run(&mut ring, opcode::SiocOutq::new(fd(&near)).build()), Ok(0));
}

#[test]
fn a_socket_tells_its_name_where_the_kernel_has_the_command() {
    let mut ring = ring();
    let (near, _far) = connection();
    let mut address = [0u8; 128];
    let mut len: libc::socklen_t = 128;
    let ask = |address: &mut [u8; 128], len: &mut libc::socklen_t| {
        opcode::GetSockName::new(fd(&near), address.as_mut_ptr().cast(), len)
    };
    match run(&mut ring, ask(&mut address, &mut len).build()) {
        Ok(_) => {
            assert_eq!(len, 16);
            assert_eq!(address[2..4], near.local_addr().unwrap().port().to_be_bytes());
            assert_eq!(run(&mut ring, ask(&mut address, &mut len).peer(true).build()), Ok(0));
            assert_eq!(address[2..4], near.peer_addr().unwrap().port().to_be_bytes());
        }
        Err(Errno::OPNOTSUPP) => eprintln!("SKIP: this kernel is older than 6.19, which has GETSOCKNAME"),
        Err(errno) => panic!("{errno:?}"),
    }
}

#[test]
fn several_buffers_go_out_without_a_header() {
    let mut ring = ring();
    let (near, mut far) = connection();
    let parts = [IoSlice::new(b"one "), IoSlice::new(b"after "), IoSlice::new(b"another")];
    let send = opcode::SendVectored::new(fd(&near), parts.as_ptr().cast(), 3)
        .ioprio(RecvSendFlags::POLL_FIRST.bits())
        .build();
    assert_eq!(run(&mut ring, send), Ok(17));
    let zero_copy = opcode::SendZcVectored::new(fd(&near), parts.as_ptr().cast(), 2).build();
    assert_eq!(run(&mut ring, zero_copy), Ok(10));
    let mut text = [0; 27];
    far.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"one after anotherone after ");
}

#[test]
fn registered_buffers_are_sent_without_a_copy() {
    let mut ring = ring();
    let (near, mut far) = connection();
    let mut buffer = *b"from a registered buffer";
    let all = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: `buffer` outlives the ring's use of it, which the unregistering below ends.
    unsafe { ring.submitter().register_buffers(&[all]) }.unwrap();
    let piece = buffer[5..].as_ptr();
    let send = opcode::SendZc::new(fd(&near), piece, 12).buf_index(Some(0)).build();
    assert_eq!(run(&mut ring, send), Ok(12));

    let mut part = libc::iovec { iov_base: piece.cast_mut().cast(), iov_len: 19 };
    // SAFETY: a header is integers and pointers, all valid when zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
    let message = opcode::SendMsgZc::new(fd(&near), &header).buf_index(Some(0)).build();
    assert_eq!(run(&mut ring, message), Ok(19));
    let missing = opcode::SendMsgZc::new(fd(&near), &header).buf_index(Some(1)).build();
    assert_eq!(run(&mut ring, missing), Err(Errno::FAULT));

    let mut text = [0; 31];
    far.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"a registereda registered buffer");
    // A plain send takes one where the kernel is newer than 6.18.
    let plain = opcode::Send::new(fd(&near), piece, 12).buf_index(Some(0)).build();
    match run(&mut ring, plain) {
        Ok(length) => assert_eq!(length, 12),
        Err(errno) => assert_eq!(errno, Errno::INVAL),
    }
    ring.submitter().unregister_buffers().unwrap();
}

#[test]
fn a_notification_tells_that_loopback_copied() {
    let mut ring = ring();
    let (near, mut far) = connection();
    let data = vec![7u8; 40_000];
    let send = opcode::SendZc::new(fd(&near), data.as_ptr(), length(&data))
        .zc_flags(RecvSendFlags::ZC_REPORT_USAGE.bits())
        .build();
    push(&mut ring, send);
    ring.submit_and_wait(1).unwrap();
    let sent = ring.wait().unwrap();
    let count = sent.to_result().unwrap();
    assert!(sent.has_more() && !sent.is_notification());
    far.read_exact(&mut vec![0; count as usize]).unwrap();
    let notification = ring.wait().unwrap();
    assert!(notification.is_notification() && notification.is_notification_of_copy(), "{notification:?}");
    assert!(!notification.has_more());
}

/// A group of buffers of 8 bytes each, in the older way.
fn provide(ring: &mut IoUring, room: &mut [u8], group: u16) {
    let count = u16::try_from(room.len() / 8).unwrap();
    let provide = opcode::ProvideBuffers::new(room.as_mut_ptr(), 8, count, group, 0).build();
    assert!(run(ring, provide).is_ok());
}

#[test]
fn a_multishot_receive_waits_first_and_ends_when_the_group_is_empty() {
    let mut ring = ring();
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut room = vec![0u8; 16];
    provide(&mut ring, &mut room, 3);
    let receive = opcode::RecvMulti::new(fd(&far), 3).ioprio(RecvSendFlags::POLL_FIRST.bits()).build();
    assert_eq!(receive.get_ioprio(), 0b11);
    near.write_all(b"0123456789abcdefXX").unwrap();
    push(&mut ring, receive);
    ring.submit_and_wait(1).unwrap();
    let (first, second, last) = (ring.wait().unwrap(), ring.wait().unwrap(), ring.wait().unwrap());
    assert!(first.has_more() && second.has_more() && !last.has_more());
    assert_eq!((first.to_result(), second.to_result()), (Ok(8), Ok(8)));
    assert!(first.is_socket_nonempty());
    assert_ne!(first.buffer_id(), second.buffer_id());
    assert_eq!(last.to_result(), Err(Errno::NOBUFS));
}

#[test]
fn a_multishot_receive_ends_when_it_has_the_length_given() {
    let mut ring = ring();
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let mut room = vec![0u8; 64];
    provide(&mut ring, &mut room, 3);
    near.write_all(b"0123456789abcdef, and more").unwrap();
    push(&mut ring, opcode::RecvMulti::new(fd(&far), 3).total_len(16).build());
    ring.submit_and_wait(1).unwrap();
    let (first, second) = (ring.wait().unwrap(), ring.wait().unwrap());
    assert_eq!((first.to_result(), second.to_result()), (Ok(8), Ok(8)));
    assert!(first.has_more() && !second.has_more(), "{second:?}");
    let mut rest = [0; 10];
    far.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b", and more");
}

#[test]
fn messages_come_one_after_the_other_with_addresses_and_control_data() {
    let mut ring = ring();
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    rustix::net::sockopt::set_ip_recvtos(&far, true).unwrap();
    let mut room = vec![0u8; 256];
    let provide = opcode::ProvideBuffers::new(room.as_mut_ptr(), 128, 2, 4, 0).build();
    assert!(run(&mut ring, provide).is_ok());
    // SAFETY: a header is integers and pointers, all valid when zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_namelen, header.msg_controllen) = (16, 64);
    push(&mut ring, opcode::RecvMsgMulti::new(fd(&far), &header, 4).build());
    ring.submit().unwrap();
    for text in ["one", "another"] {
        near.send_to(text.as_bytes(), far.local_addr().unwrap()).unwrap();
        let cqe = ring.wait().unwrap();
        assert!(cqe.has_more());
        let start = usize::from(cqe.buffer_id().unwrap()) * 128;
        let filled = &room[start..start + cqe.to_result().unwrap() as usize];
        let message = RecvMsgOut::parse(filled, &header).unwrap();
        assert_eq!(message.payload_data(), text.as_bytes());
        assert_eq!(message.incoming_payload_len() as usize, text.len());
        let port = near.local_addr().unwrap().port().to_be_bytes();
        assert_eq!(message.name_data()[2..8], [port[0], port[1], 127, 0, 0, 1]);
        let control: Vec<_> = message.control_messages().map(|one| (one.level, one.kind, one.data)).collect();
        assert_eq!(control, [(libc::IPPROTO_IP, libc::IP_TOS, &[0u8][..])]);
    }
}

#[test]
fn bundles_take_poll_first_beside_their_own_flags() {
    let first = RecvSendFlags::POLL_FIRST.bits();
    let (bundle, multishot) = (RecvSendFlags::BUNDLE.bits(), RecvSendFlags::MULTISHOT.bits());
    let receive = opcode::RecvBundle::new(Fd(1), 2).ioprio(first).len(100).build();
    assert_eq!((receive.get_ioprio(), receive.get_len()), (first | bundle, 100));
    let many = opcode::RecvMultiBundle::new(Fd(1), 2).ioprio(first).build();
    assert_eq!(many.get_ioprio(), first | bundle | multishot);
    let send = opcode::SendBundle::new(Fd(1), 2).ioprio(first).build();
    assert_eq!(send.get_ioprio(), first | bundle);
    assert!([receive, many, send].iter().all(|entry| entry.get_flags() == Flags::BUFFER_SELECT));
}

#[test]
fn a_datagram_goes_where_the_entry_says() {
    let mut ring = ring();
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let to: SocketAddr = far.local_addr().unwrap();
    let address = rustix::net::SocketAddrAny::from(to);
    for zero_copy in [false, true] {
        let (place, size) = (address.as_ptr().cast(), address.addr_len());
        let text = b"to you".as_ptr();
        let entry = if zero_copy {
            opcode::SendZc::new(fd(&near), text, 6).dest_addr(place).dest_addr_len(size).build()
        } else {
            opcode::Send::new(fd(&near), text, 6).dest_addr(place).dest_addr_len(size).build()
        };
        push(&mut ring, entry);
        ring.submit_and_wait(1).unwrap();
        assert_eq!(ring.wait().unwrap().to_result(), Ok(6));
        let mut room = [0; 16];
        assert_eq!(far.recv_from(&mut room).unwrap(), (6, near.local_addr().unwrap()));
    }
}

#[test]
fn sent_data_is_stamped_on_its_way() {
    let mut ring: IoUring<squeue::Entry, cqueue::Entry32> = IoUring::builder().build(8).unwrap();
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    near.connect(far.local_addr().unwrap()).unwrap();
    // SOF_TIMESTAMPING_TX_SOFTWARE, _SOFTWARE, _OPT_ID, _OPT_TSONLY (networking/timestamping.rst).
    let wanted: libc::c_int = 1 << 1 | 1 << 4 | 1 << 7 | 1 << 11;
    let (level, name) = (libc::SOL_SOCKET.cast_unsigned(), libc::SO_TIMESTAMPING.cast_unsigned());
    let ask = opcode::SetSockOpt::new(fd(&near), level, name, ptr::from_ref(&wanted).cast(), 4).build();
    push(&mut ring, ask);
    ring.submit_and_wait(1).unwrap();
    assert_eq!(ring.wait().unwrap().to_result(), Ok(0));

    push(&mut ring, opcode::TxTimestamp::new(fd(&near)).build());
    ring.submit().unwrap();
    near.send(b"stamped").unwrap();
    near.send(b"stamped too").unwrap();
    let stamps: Vec<TxTimestamp> = (0..2)
        .map(|_| {
            let cqe = ring.wait().unwrap();
            TxTimestamp::parse(&cqe).unwrap_or_else(|| panic!("{cqe:?}"))
        })
        .collect();
    assert_eq!([stamps[0].key, stamps[1].key], [0, 1]);
    assert!(stamps.iter().all(|stamp| !stamp.hardware && stamp.station == 0));
    assert!(stamps[0].time <= stamps[1].time && stamps[0].time.as_secs() > 1_700_000_000);
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
