//! Every builder writes the bytes that the `io-uring` crate's builder of the same name writes.
//!
//! The arguments are random, so each reaches its field whole. Left out, because that crate is wrong:
//! `Fadvise` and `Madvise` above 32 bits, `Close` of the slot `u32::MAX`, `ReadMulti` on a registered file
//! (it forgets that the file is one); what ours does there is tested beside the builders.
#![allow(unsafe_code, reason = "the other crate's entry is opaque: its bytes are read through a pointer")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::ptr;

use proptest::prelude::*;

/// The bytes of an entry, of either crate.
fn bytes<const N: usize, E>(entry: &E) -> [u8; N] {
    assert_eq!(size_of::<E>(), N);
    // SAFETY: the entry is `repr(C)` integers of that size, without padding, and is only read.
    unsafe { ptr::from_ref(entry).cast::<[u8; N]>().read() }
}

/// The same text for both crates, under the name `ring`, must give the same bytes.
macro_rules! same {
    ($size:literal: $entry:expr) => {{
        let ours: [u8; $size] = {
            use annulus as ring;
            bytes(&$entry)
        };
        let theirs: [u8; $size] = {
            use io_uring as ring;
            bytes(&$entry)
        };
        prop_assert_eq!(ours, theirs, "{}", stringify!($entry));
    }};
    ($($entry:expr;)*) => { $( same!(64: $entry.build()); )* };
}

/// Random arguments, one of each type that the builders take.
#[derive(Debug, Clone)]
struct Args {
    fd: i32,
    slot: u32,
    off: u64,
    small: u16,
    len: u32,
    flags: i32,
    byte: u8,
    wide: u64,
    group: u16,
    yes: bool,
}

fn args() -> impl Strategy<Value = Args> {
    let words = (any::<i32>(), any::<u32>(), any::<u64>(), any::<u16>(), any::<u32>());
    let more = (any::<i32>(), any::<u8>(), any::<u64>(), any::<u16>(), any::<bool>());
    (words, more).prop_map(|((fd, slot, off, small, len), (flags, byte, wide, group, yes))| Args {
        fd,
        slot,
        off,
        small,
        len,
        flags,
        byte,
        wide,
        group,
        yes,
    })
}

/// A pointer that is only ever turned into its address.
fn at<T>(address: u64) -> *mut T {
    ptr::without_provenance_mut(usize::try_from(address).unwrap())
}

proptest! {
    // A failure prints its arguments; no file of them is left behind.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_and_writes_are_the_same_bytes(a in args()) {
        same! {
            ring::opcode::Read::new(ring::types::Fd(a.fd), at(a.wide), a.len)
                .offset(a.off).ioprio(a.small).rw_flags(a.flags).buf_group(a.group);
            ring::opcode::Readv::new(ring::types::Fixed(a.slot), at(a.wide), a.len)
                .offset(a.off).ioprio(a.small).rw_flags(a.flags).buf_group(a.group);
            ring::opcode::ReadFixed::new(ring::types::Fixed(a.slot), at(a.wide), a.len, a.group)
                .offset(a.off).ioprio(a.small).rw_flags(a.flags);
            ring::opcode::ReadvFixed::new(ring::types::Fd(a.fd), at(a.wide), a.len, a.group)
                .offset(a.off).ioprio(a.small).rw_flags(a.flags);
            ring::opcode::ReadMulti::new(ring::types::Fd(a.fd), a.len, a.group).offset(a.off);
            ring::opcode::Write::new(ring::types::Fixed(a.slot), at(a.wide), a.len)
                .offset(a.off).ioprio(a.small).rw_flags(a.flags).write_stream(a.byte);
            ring::opcode::Writev::new(ring::types::Fd(a.fd), at(a.wide), a.len)
                .offset(a.off).ioprio(a.small).rw_flags(a.flags).write_stream(a.byte);
            ring::opcode::WriteFixed::new(ring::types::Fd(a.fd), at(a.wide), a.len, a.group)
                .offset(a.off).ioprio(a.small).rw_flags(a.flags).write_stream(a.byte);
            ring::opcode::WritevFixed::new(ring::types::Fixed(a.slot), at(a.wide), a.len, a.group)
                .offset(a.off).ioprio(a.small).rw_flags(a.flags).write_stream(a.byte);
        }
    }

    #[test]
    fn work_on_open_files_is_the_same_bytes(a in args()) {
        same! {
            ring::opcode::Nop::new();
            ring::opcode::Fsync::new(ring::types::Fd(a.fd)).offset(a.off).len(a.len)
                .flags(ring::types::FsyncFlags::DATASYNC);
            ring::opcode::SyncFileRange::new(ring::types::Fixed(a.slot), a.len).offset(a.off).flags(a.len);
            ring::opcode::Fallocate::new(ring::types::Fd(a.fd), a.wide).offset(a.off).mode(a.flags);
            ring::opcode::Ftruncate::new(ring::types::Fixed(a.slot), a.wide);
            ring::opcode::Fadvise::new(ring::types::Fd(a.fd), i64::from(a.len), a.flags).offset(a.off);
            ring::opcode::Madvise::new(at(a.wide), i64::from(a.len), a.flags);
            ring::opcode::Close::new(ring::types::Fd(a.fd));
            ring::opcode::Close::new(ring::types::Fixed(a.slot.min(u32::MAX - 1)));
            ring::opcode::FilesUpdate::new(at(a.wide), a.len).offset(a.fd);
            ring::opcode::FixedFdInstall::new(ring::types::Fixed(a.slot), a.len);
        }
    }

    #[test]
    fn paths_and_extended_attributes_are_the_same_bytes(a in args()) {
        same! {
            ring::opcode::OpenAt::new(ring::types::Fd(a.fd), at(a.wide)).flags(a.flags).mode(a.len)
                .file_index(ring::types::DestinationSlot::try_from_slot_target(a.slot).ok());
            ring::opcode::OpenAt2::new(ring::types::Fd(a.fd), at(a.wide), at(a.off))
                .file_index(Some(ring::types::DestinationSlot::auto_target()));
            ring::opcode::Statx::new(ring::types::Fd(a.fd), at(a.wide), at(a.off)).flags(a.flags).mask(a.len);
            ring::opcode::RenameAt::new(
                ring::types::Fd(a.fd), at(a.wide), ring::types::Fd(a.flags), at(a.off)).flags(a.len);
            ring::opcode::UnlinkAt::new(ring::types::Fd(a.fd), at(a.wide)).flags(a.flags);
            ring::opcode::MkDirAt::new(ring::types::Fd(a.fd), at(a.wide)).mode(a.len);
            ring::opcode::SymlinkAt::new(ring::types::Fd(a.fd), at(a.wide), at(a.off));
            ring::opcode::LinkAt::new(
                ring::types::Fd(a.fd), at(a.wide), ring::types::Fd(a.flags), at(a.off)).flags(a.flags);
            ring::opcode::GetXattr::new(at(a.wide), at(a.off), at(a.wide ^ a.off), a.len);
            ring::opcode::SetXattr::new(at(a.wide), at(a.off), at(a.wide ^ a.off), a.len).flags(a.flags);
            ring::opcode::FGetXattr::new(ring::types::Fixed(a.slot), at(a.wide), at(a.off), a.len);
            ring::opcode::FSetXattr::new(ring::types::Fd(a.fd), at(a.wide), at(a.off), a.len).flags(a.flags);
        }
    }

    #[test]
    fn pipes_and_provided_buffers_are_the_same_bytes(a in args()) {
        same! {
            ring::opcode::Splice::new(ring::types::Fixed(a.slot), a.off.cast_signed(),
                ring::types::Fd(a.fd), a.wide.cast_signed(), a.len).flags(a.len);
            ring::opcode::Splice::new(ring::types::Fd(a.fd), a.off.cast_signed(),
                ring::types::Fixed(a.slot), a.wide.cast_signed(), a.len);
            ring::opcode::Tee::new(ring::types::Fixed(a.slot), ring::types::Fixed(a.len), a.len).flags(a.slot);
            ring::opcode::Tee::new(ring::types::Fd(a.fd), ring::types::Fd(a.flags), a.len);
            ring::opcode::Pipe::new(at(a.wide)).flags(a.len)
                .file_index(ring::types::DestinationSlot::try_from_slot_target(a.slot).ok());
            ring::opcode::ProvideBuffers::new(at(a.wide), a.fd, a.small, a.group, a.small ^ a.group);
            ring::opcode::RemoveBuffers::new(a.small, a.group);
        }
    }

    #[test]
    fn sockets_are_the_same_bytes(a in args()) {
        same! {
            ring::opcode::Socket::new(a.fd, a.flags, a.fd ^ a.flags).flags(a.flags)
                .file_index(ring::types::DestinationSlot::try_from_slot_target(a.slot).ok());
            ring::opcode::Bind::new(ring::types::Fd(a.fd), at(a.wide), a.len);
            ring::opcode::Listen::new(ring::types::Fixed(a.slot), a.flags);
            ring::opcode::Accept::new(ring::types::Fd(a.fd), at(a.wide), at(a.off)).flags(a.flags)
                .file_index(ring::types::DestinationSlot::try_from_slot_target(a.slot).ok());
            ring::opcode::AcceptMulti::new(ring::types::Fixed(a.slot)).flags(a.flags)
                .allocate_file_index(a.yes);
            ring::opcode::Connect::new(ring::types::Fd(a.fd), at(a.wide), a.len);
            ring::opcode::Shutdown::new(ring::types::Fd(a.fd), a.flags);
            ring::opcode::SetSockOpt::new(
                ring::types::Fixed(a.slot), a.len, a.slot, at(a.wide), a.len ^ a.slot).flags(a.len);
        }
    }

    #[test]
    fn sends_are_the_same_bytes(a in args()) {
        same! {
            ring::opcode::Send::new(ring::types::Fd(a.fd), at(a.wide), a.len).ioprio(a.small).flags(a.flags)
                .dest_addr(at(a.off)).dest_addr_len(u32::from(a.group));
            ring::opcode::SendZc::new(ring::types::Fd(a.fd), at(a.wide), a.len).zc_flags(a.small)
                .flags(a.flags).buf_index(a.yes.then_some(a.group)).dest_addr(at(a.off)).dest_addr_len(16);
            ring::opcode::SendMsg::new(ring::types::Fixed(a.slot), at(a.wide)).ioprio(a.small).flags(a.len);
            ring::opcode::SendMsgZc::new(ring::types::Fd(a.fd), at(a.wide)).ioprio(a.small).flags(a.len);
            ring::opcode::SendBundle::new(ring::types::Fixed(a.slot), a.group).flags(a.flags).len(a.len);
        }
    }

    #[test]
    fn receives_are_the_same_bytes(a in args()) {
        same! {
            ring::opcode::Recv::new(ring::types::Fd(a.fd), at(a.wide), a.len).ioprio(a.small).flags(a.flags)
                .buf_group(a.group);
            ring::opcode::RecvMulti::new(ring::types::Fixed(a.slot), a.group).flags(a.flags).len(a.len);
            ring::opcode::RecvBundle::new(ring::types::Fd(a.fd), a.group).flags(a.flags);
            ring::opcode::RecvMultiBundle::new(ring::types::Fd(a.fd), a.group).flags(a.flags);
            ring::opcode::RecvMsg::new(ring::types::Fd(a.fd), at(a.wide)).ioprio(a.small).flags(a.len)
                .buf_group(a.group);
            ring::opcode::RecvMsgMulti::new(ring::types::Fixed(a.slot), at(a.wide), a.group)
                .ioprio(a.small).flags(a.len);
            ring::opcode::RecvZc::new(ring::types::Fd(a.fd), a.len).ifq(a.slot).ioprio(a.small);
        }
    }

    #[test]
    fn polls_and_timeouts_are_the_same_bytes(a in args()) {
        let timeout = a.len & 0x7d;
        same! {
            ring::opcode::PollAdd::new(ring::types::Fd(a.fd), a.len).multi(a.yes);
            ring::opcode::PollRemove::new(a.wide);
            ring::opcode::EpollCtl::new(
                ring::types::Fixed(a.slot), ring::types::Fd(a.fd), a.flags, at(a.wide));
            ring::opcode::EpollWait::new(ring::types::Fd(a.fd), at(a.wide), a.len).flags(a.slot);
            ring::opcode::Timeout::new(at(a.wide)).count(a.len)
                .flags(ring::types::TimeoutFlags::from_bits(timeout).unwrap());
            ring::opcode::TimeoutRemove::new(a.wide);
            ring::opcode::TimeoutUpdate::new(a.wide, at(a.off))
                .flags(ring::types::TimeoutFlags::from_bits(timeout).unwrap());
            ring::opcode::LinkTimeout::new(at(a.wide))
                .flags(ring::types::TimeoutFlags::from_bits(timeout).unwrap());
        }
    }

    #[test]
    fn cancels_messages_and_waits_are_the_same_bytes(a in args()) {
        same! {
            ring::opcode::AsyncCancel::new(a.wide);
            ring::opcode::AsyncCancel2::new(ring::types::CancelBuilder::any());
            ring::opcode::AsyncCancel2::new(ring::types::CancelBuilder::user_data(a.wide).all());
            ring::opcode::AsyncCancel2::new(ring::types::CancelBuilder::fd(ring::types::Fd(a.fd)));
            ring::opcode::AsyncCancel2::new(ring::types::CancelBuilder::fd(ring::types::Fixed(a.slot)).all());
            ring::opcode::MsgRingData::new(
                ring::types::Fd(a.fd), a.flags, a.wide, a.yes.then_some(a.len)).opcode_flags(a.slot);
            ring::opcode::MsgRingSendFd::new(ring::types::Fd(a.fd), ring::types::Fixed(a.slot),
                ring::types::DestinationSlot::auto_target(), a.wide).opcode_flags(a.len);
            ring::opcode::FutexWait::new(at(a.wide), a.off, a.wide ^ a.off, a.len).flags(a.slot);
            ring::opcode::FutexWake::new(at(a.wide), a.off, a.wide ^ a.off, a.len).flags(a.slot);
            ring::opcode::FutexWaitV::new(at(a.wide), a.len).flags(a.slot);
            ring::opcode::WaitId::new(a.len, a.slot, a.flags).infop(at(a.wide)).flags(a.len);
        }
    }

    #[test]
    fn commands_of_both_sizes_are_the_same_bytes(a in args(), tail in any::<[u8; 32]>()) {
        let mut cmd = [a.byte; 80];
        cmd[..32].copy_from_slice(&tail);
        cmd[48..].copy_from_slice(&tail);
        let short = *cmd.first_chunk().unwrap();
        same! {
            ring::opcode::UringCmd16::new(ring::types::Fd(a.fd), a.len).cmd(short)
                .buf_index(a.yes.then_some(a.group)).addr(a.yes.then_some(a.wide));
        }
        same!(128: ring::opcode::UringCmd80::new(ring::types::Fixed(a.slot), a.len).cmd(cmd)
            .buf_index(a.yes.then_some(a.group)).addr(a.yes.then_some(a.wide)).build());
    }

    #[test]
    fn what_an_entry_is_given_after_it_was_built_is_the_same_bytes(a in args()) {
        let flags = a.byte & 0x7f;
        same! {
            64: ring::opcode::Read::new(ring::types::Fixed(a.slot), at(a.wide), a.len).build()
                .flags(ring::squeue::Flags::from_bits(flags).unwrap()).user_data(a.off).personality(a.small)
        }
        same! {
            64: ring::opcode::Read::new(ring::types::Fixed(a.slot), at(a.wide), a.len).build().clear_flags()
        }
        same! {
            128: ring::squeue::Entry128::from(ring::opcode::Nop::new().build())
                .flags(ring::squeue::Flags::from_bits(flags).unwrap()).user_data(a.off).personality(a.small)
        }
    }

    #[test]
    fn structures_that_the_kernel_reads_are_the_same_bytes(a in args()) {
        same! { 24: ring::types::OpenHow::new().flags(a.off).mode(a.wide).resolve(a.off ^ a.wide) }
        same! { 16: ring::types::Timespec::new().sec(a.wide).nsec(a.len) }
        same! { 24: ring::types::FutexWaitV::new().val(a.off).uaddr(a.wide).flags(a.len) }
        same! {
            16: ring::types::Napi::new().set_busy_poll_timeout(a.len).set_prefer_busy_poll(a.yes)
                .set_tracking(ring::types::NapiTracking::Static)
        }
    }
}
