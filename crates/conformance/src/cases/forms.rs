//! The tables of support against the back end: what they say is there is taken, what they say is not is refused.
//!
//! For each form of each opcode an entry is made that asks for it and otherwise does as little as possible. `EINVAL` and
//! `EOPNOTSUPP` are refusals; any other answer says that the form was understood. What needs a device, or larger
//! completions, is left to the cases of its topic.

use std::os::fd::AsRawFd;

use annulus::abi::*;
use annulus::squeue::{Entry, Flags};
use annulus::types::Timespec;
use annulus::{BackendKind, support};

use super::fields::{harmless, try_entry};
use super::tools::file;
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, Rig, cases};

cases! {
    One every_form_is_taken_where_the_table_says_so_and_refused_elsewhere;
    One probe_names_the_opcodes_of_the_table;
    One a_query_tells_the_flags_of_the_tables;
}

/// Forms that an entry of this case does not show: they need a device, a file system that can do it, or completions of
/// 32 bytes.
const NOT_TO_BE_TRIED: [&str; 9] = [
    "IORING_RW_ATTR_FLAG_PI",
    "RWF_ATOMIC",
    "RWF_DONTCACHE",
    "IORING_NOP_CQE32",
    "IORING_URING_CMD_MULTISHOT",
    "IORING_URING_CMD_FIXED",
    "BLOCK_URING_CMD_DISCARD",
    "SOCKET_URING_OP_TX_TIMESTAMP",
    "FUTEX2_NUMA",
];

fn every_form_is_taken_where_the_table_says_so_and_refused_elsewhere(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    let things = Things::new(&rig)?;
    let mut wrong = Vec::new();
    for info in OPCODES.iter().filter(|info| bench.backend().has(info.number)) {
        let tried = |form: &&Form| form.field != SqeFields::empty() && !NOT_TO_BE_TRIED.contains(&form.name);
        for form in FORMS.iter().filter(|form| form.is_of(info)).filter(tried) {
            // Entries of 128 bytes need a ring that has them.
            if info.number == IORING_OP_RECV_ZC || info.traits.contains(OpTraits::SQE128) {
                continue;
            }
            let expected = is_honoured(bench, &rig, info, form);
            let entry = things.entry(info.number, form);
            let answer = try_entry(&mut rig, entry);
            let taken = ![-libc::EINVAL, -libc::EOPNOTSUPP].contains(&answer);
            // Old kernels look at the descriptor before they refuse, and those that are maintained take over what is newer.
            let may_be_there = !bench.backend().has_no_backports();
            if taken != expected && !(taken && may_be_there) {
                let (name, what) = (info.name, form.what);
                wrong.push(format!("{name} {what} ({}): answered {answer}, there: {expected}", form.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// Whether the table says that this back end has the opcode in this form.
fn is_honoured(bench: &Bench<'_>, rig: &Rig, info: &OpcodeInfo, form: &Form) -> bool {
    if rig.ring().chosen().kind() == BackendKind::Engine {
        return support::of_form(info, form).is_there();
    }
    let (major, minor) = form.since_with(info);
    bench.backend().is_at_least(major.into(), minor.into())
}

/// What entries work on that have to work on something.
struct Things {
    file: std::fs::File,
    /// One that knows whether it would wait, which those in memory do not say.
    prompt_file: std::fs::File,
    socket: std::net::UdpSocket,
    buffer: Buffer,
    word: Kept<u32>,
}

impl Things {
    /// Also registers the buffer.
    fn new(rig: &Rig) -> Result<Self, crate::harness::Skip> {
        let buffer = Buffer::new(4096);
        rig.register_buffers(&[buffer])?;
        let file = file(&[7; 64]);
        let in_memory = rustix::fs::fstatfs(&file).expect("its file system").f_type == libc::TMPFS_MAGIC;
        let prompt_file = if in_memory {
            std::fs::File::options().read(true).write(true).open("/dev/zero").expect("a device")
        } else {
            file.try_clone().expect("a descriptor")
        };
        Ok(Self {
            file,
            prompt_file,
            socket: std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket"),
            buffer,
            word: Kept::new(1),
        })
    }

    /// An entry of this form that otherwise passes and does next to nothing.
    fn entry(&self, opcode: u8, form: &Form) -> Entry {
        let mut entry = harmless(opcode);
        let sqe = entry.sqe_mut();
        if form.name.starts_with("RWF_") {
            // Only the file's own call looks at these.
            let file = if form.name == "RWF_NOWAIT" { &self.prompt_file } else { &self.file };
            sqe.fd = file.as_raw_fd();
            match opcode {
                IORING_OP_READV | IORING_OP_WRITEV | IORING_OP_READV_FIXED | IORING_OP_WRITEV_FIXED => {
                    sqe.addr = Kept::new(self.buffer.part(0, 8).iovec()).addr();
                }
                _ => (sqe.addr, sqe.len) = (self.buffer.addr(), 8),
            }
        }
        if form.name.starts_with("SOCKET_URING_OP_") {
            sqe.fd = self.socket.as_raw_fd();
            sqe.set_sockopt(libc::SOL_SOCKET.cast_unsigned(), libc::SO_REUSEADDR.cast_unsigned());
            (sqe.addr3, sqe.file_index) = (self.word.addr(), 4);
        }
        if form.name == "SOCKET_URING_OP_GETSOCKNAME" {
            // An address and the place of its length; no option.
            (sqe.addr, sqe.file_index) = (self.buffer.addr(), 0);
        }
        match (opcode, form.name) {
            (IORING_OP_RECV | IORING_OP_RECVMSG, "IORING_RECV_MULTISHOT")
            | (IORING_OP_RECV | IORING_OP_SEND, "IORING_RECVSEND_BUNDLE") => {
                sqe.flags |= Flags::BUFFER_SELECT.bits();
            }
            // Once, not for ever.
            (IORING_OP_TIMEOUT, "IORING_TIMEOUT_MULTISHOT") => sqe.off = 1,
            // The time itself, where otherwise its address is.
            (IORING_OP_TIMEOUT, "IORING_TIMEOUT_IMMEDIATE_ARG") => sqe.addr = 1,
            (IORING_OP_TIMEOUT_REMOVE, _) => sqe.off = Kept::new(Timespec::new()).addr(),
            (IORING_OP_CLOSE, _) => sqe.fd = 0,
            _ => {}
        }
        form.apply(sqe);
        entry
    }
}

fn probe_names_the_opcodes_of_the_table(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    let is_engine = rig.ring().chosen().kind() == BackendKind::Engine;
    for info in &OPCODES {
        let (major, minor) = info.since;
        let expected = if is_engine {
            support::of_opcode(info).is_there()
        } else {
            bench.backend().is_at_least(major.into(), minor.into())
        };
        let is_there = bench.backend().has(info.number);
        let may_be_there = !bench.backend().has_no_backports();
        assert!(is_there == expected || (is_there && may_be_there), "{}: {is_there}", info.name);
    }
    // What the probe does not name is refused, by whatever number.
    for info in OPCODES.iter().filter(|info| !bench.backend().has(info.number)) {
        if info.traits.contains(OpTraits::SQE128) {
            continue;
        }
        let answer = try_entry(&mut rig, harmless(info.number));
        assert!([-libc::EINVAL, -libc::EOPNOTSUPP].contains(&answer), "{} answered {answer}", info.name);
    }
    Ok(())
}

fn a_query_tells_the_flags_of_the_tables(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 18, "REGISTER_QUERY")])?;
    let rig = bench.rig()?;
    let is_engine = rig.ring().chosen().kind() == BackendKind::Engine;
    let answer = rig.ring().submitter().query::<QueryOpcode>().expect("it answers");
    let flags = |group| {
        let of_group = FLAGS.iter().filter(|flag| flag.group == group);
        let there = of_group.filter(|flag| {
            let (major, minor) = flag.since;
            let since = bench.backend().is_at_least(major.into(), minor.into());
            if is_engine { support::of_flag(flag).is_there() } else { since }
        });
        there.fold(0, |bits, flag| bits | flag.value)
    };
    assert_eq!(answer.feature_flags, flags(FlagGroup::Feature), "features");
    assert_eq!(answer.ring_setup_flags, flags(FlagGroup::Setup), "set-up flags");
    assert_eq!(answer.enter_flags, flags(FlagGroup::Enter), "flags of enter");
    assert_eq!(answer.sqe_flags, flags(FlagGroup::Entry), "flags of entries");
    let known = |since: (u8, u8)| bench.backend().is_at_least(since.0.into(), since.1.into());
    let opcodes = OPCODES.iter().filter(|info| known(info.since)).count();
    let register_ops = REGISTER_OPS.iter().filter(|info| known(info.since)).count();
    assert_eq!(answer.nr_request_opcodes as usize, opcodes, "opcodes");
    assert_eq!(answer.nr_register_opcodes as usize, register_ops, "register operations");
    Ok(())
}
