//! Commands of sockets (`IORING_OP_URING_CMD`): options, queue lengths, time stamps, addresses.

use std::io::Write;
use std::net::UdpSocket;

use annulus::abi::SOCKET_URING_OP_GETSOCKNAME;
use annulus::{opcode, types};

use super::net::{ADDRESS_LEN, address};
use super::tools::{fd, file};
use crate::harness::{Bench, Kept, Need, Outcome, cases};

cases! {
    Every a_socket_option_is_set_and_read => IORING_OP_URING_CMD;
    Every the_bytes_that_wait_in_a_socket_are_counted;
    Every an_unknown_command_is_refused;
    Every a_file_without_commands_refuses_them;
    One a_sent_datagram_is_stamped_with_its_time;
    Every the_name_of_a_socket_is_told;
}

fn a_socket_option_is_set_and_read(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 7, "SOCKET_URING_OP_SETSOCKOPT")])?;
    let (socket, mut rig) = (UdpSocket::bind("127.0.0.1:0").expect("a socket"), bench.rig()?);
    let (on, answer) = (Kept::new(1_i32), Kept::new(0_i32));
    let set = opcode::SetSockOpt::new(fd(&socket), SOL_SOCKET, SO_KEEPALIVE, on.ptr().cast(), 4).build();
    assert_eq!(rig.result(set), 0);
    let get = opcode::GetSockOpt::new(fd(&socket), SOL_SOCKET, SO_KEEPALIVE, answer.ptr().cast(), 4).build();
    assert_eq!(rig.result(get), 4, "the length of the value");
    assert_eq!(answer.get(), 1);
    Ok(())
}

fn the_bytes_that_wait_in_a_socket_are_counted(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 5, "SOCKET_URING_OP_SIOCINQ")])?;
    let listener = super::net::listener();
    let mut near = super::net::connect_to(&listener);
    let (far, _) = listener.accept().expect("the other end");
    near.write_all(b"hello").expect("room");
    let mut rig = bench.rig()?;
    // Loopback delivers within the call that sends.
    assert_eq!(rig.result(opcode::SiocInq::new(fd(&far)).build()), 5);
    assert!(rig.result(opcode::SiocOutq::new(fd(&near)).build()) >= 0);
    Ok(())
}

fn an_unknown_command_is_refused(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 5, "SOCKET_URING_OP_SIOCINQ")])?;
    let listener = super::net::listener();
    let entry = opcode::UringCmd16::new(fd(&listener), 999).build();
    assert_eq!(bench.rig()?.result(entry), -libc::EOPNOTSUPP);
    Ok(())
}

fn a_file_without_commands_refuses_them(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::UringCmd16::CODE)])?;
    let file = file(b"abc");
    let entry = opcode::UringCmd16::new(fd(&file), 0).build();
    let result = bench.rig()?.result(entry);
    assert!([-libc::EOPNOTSUPP, -libc::ENOTTY].contains(&result), "{result}");
    Ok(())
}

fn a_sent_datagram_is_stamped_with_its_time(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 17, "SOCKET_URING_OP_TX_TIMESTAMP")])?;
    let (socket, other) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (socket, other) = (socket.expect("a socket"), other.expect("a socket"));
    let stamping = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_OPT_ID | SOF_OPT_TSONLY;
    let mut rig = bench.wide_rig()?;
    let flags = Kept::new(stamping);
    let set =
        opcode::SetSockOpt::new(fd(&socket), SOL_SOCKET, SO_TIMESTAMPING, flags.ptr().cast(), 4).build();
    assert_eq!(rig.result(set), 0);
    rig.push(opcode::TxTimestamp::new(fd(&socket)).build().user_data(7));
    rig.submit();
    socket.send_to(b"x", other.local_addr().expect("its address")).expect("a datagram");
    let cqe = rig.take_one();
    let stamp = types::TxTimestamp::parse(&cqe).expect("a time stamp");
    assert_eq!((stamp.key, stamp.hardware), (0, false), "of the first datagram");
    assert!(stamp.time.as_secs() > 1_600_000_000, "{stamp:?}");
    Ok(())
}

fn the_name_of_a_socket_is_told(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::UringCmd16::CODE)])?;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let there = socket.local_addr().expect("its address");
    let (name, len) = (Kept::new(address("0.0.0.0:0".parse().expect("an address"))), Kept::new(ADDRESS_LEN));
    let entry = opcode::GetSockName::new(fd(&socket), name.ptr().cast(), len.ptr()).build();
    let result = bench.rig()?.result(entry);
    if bench.backend().is_at_least(6, 19) {
        assert_eq!((result, u16::from_be(name.get().sin_port)), (0, there.port()));
    } else {
        assert_eq!(result, -libc::EOPNOTSUPP, "command {SOCKET_URING_OP_GETSOCKNAME} came with Linux 6.19");
    }
    Ok(())
}

const SOL_SOCKET: u32 = 1;
const SO_KEEPALIVE: u32 = 9;
const SO_TIMESTAMPING: u32 = 37;
const SOF_TIMESTAMPING_TX_SOFTWARE: u32 = 1 << 1;
const SOF_TIMESTAMPING_SOFTWARE: u32 = 1 << 4;
const SOF_OPT_ID: u32 = 1 << 7;
const SOF_OPT_TSONLY: u32 = 1 << 11;
