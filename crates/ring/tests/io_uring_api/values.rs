//! Entries and types, as the `io-uring` crate has them: names, signatures, and which functions are const.
#![allow(unsafe_code, reason = "the program's text uses unsafe functions, as such programs do")]

use std::fmt::Debug;
use std::mem::size_of;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::ring::{cqueue, opcode, squeue, types};

/// A submission entry of either size, as generic programs use it.
fn submission_entry<E: squeue::EntryMarker + Clone + Debug + From<squeue::Entry>>() -> u32 {
    let mut entry = E::from(opcode::Nop::new().build());
    entry.set_user_data(7);
    assert_eq!(entry.get_user_data(), 7);
    assert!(!format!("{:?}", entry.clone()).is_empty());
    E::BUILD_FLAGS
}

/// A completion entry of either size, as generic programs use it.
fn completion_entry<E: cqueue::EntryMarker + Clone + Debug + Into<cqueue::Entry>>() -> u32 {
    let _: fn(&E) -> u64 = E::user_data;
    let _: fn(&mut E, u64) = E::set_user_data;
    E::BUILD_FLAGS
}

#[test]
fn submission_entries_have_their_methods() {
    assert_eq!(submission_entry::<squeue::Entry>(), 0);
    assert_eq!(submission_entry::<squeue::Entry128>(), 1 << 10);
    assert_eq!((size_of::<squeue::Entry>(), size_of::<squeue::Entry128>()), (64, 128));
    let _: fn(squeue::Entry, squeue::Flags) -> squeue::Entry = squeue::Entry::flags;
    let _: fn(squeue::Entry) -> squeue::Entry = squeue::Entry::clear_flags;
    let _: fn(squeue::Entry, u64) -> squeue::Entry = squeue::Entry::user_data;
    let _: fn(squeue::Entry, u16) -> squeue::Entry = squeue::Entry::personality;
    let _: fn(&mut squeue::Entry, u64) = squeue::Entry::set_user_data;
    let _: fn(&squeue::Entry) -> u64 = squeue::Entry::get_user_data;
    let _: fn(&squeue::Entry) -> u32 = squeue::Entry::get_opcode;
    let _: fn(squeue::Entry128, squeue::Flags) -> squeue::Entry128 = squeue::Entry128::flags;
    let _: fn(squeue::Entry128) -> squeue::Entry128 = squeue::Entry128::clear_flags;
    let _: fn(squeue::Entry128, u64) -> squeue::Entry128 = squeue::Entry128::user_data;
    let _: fn(squeue::Entry128, u16) -> squeue::Entry128 = squeue::Entry128::personality;
    let _: fn(&mut squeue::Entry128, u64) = squeue::Entry128::set_user_data;
    let _: fn(&squeue::Entry128) -> u64 = squeue::Entry128::get_user_data;
    let _: fn(&squeue::Entry128) -> u32 = squeue::Entry128::get_opcode;
}

#[test]
fn submission_flags_have_their_bits() {
    use squeue::Flags;
    const LINKED: Flags = Flags::IO_LINK.union(Flags::ASYNC);
    assert_eq!(LINKED.bits(), 0b1_0100);
    let all: [(Flags, u8); 7] = [
        (Flags::FIXED_FILE, 1),
        (Flags::IO_DRAIN, 2),
        (Flags::IO_LINK, 4),
        (Flags::IO_HARDLINK, 8),
        (Flags::ASYNC, 16),
        (Flags::BUFFER_SELECT, 32),
        (Flags::SKIP_SUCCESS, 64),
    ];
    assert!(all.iter().all(|(flag, bits)| flag.bits() == *bits && *flag == Flags::from_bits_truncate(*bits)));
    assert!(Flags::IO_LINK < Flags::ASYNC && format!("{:?}", Flags::ASYNC).contains("ASYNC"));
}

#[test]
fn completion_entries_have_their_methods() {
    assert_eq!(completion_entry::<cqueue::Entry>(), 0);
    assert_eq!(completion_entry::<cqueue::Entry32>(), 1 << 11);
    assert_eq!((size_of::<cqueue::Entry>(), size_of::<cqueue::Entry32>()), (16, 32));
    let _: fn(&cqueue::Entry) -> i32 = cqueue::Entry::result;
    let _: fn(&cqueue::Entry) -> u64 = cqueue::Entry::user_data;
    let _: fn(&mut cqueue::Entry, u64) = cqueue::Entry::set_user_data;
    let _: fn(&cqueue::Entry) -> u32 = cqueue::Entry::flags;
    let _: fn(&cqueue::Entry32) -> i32 = cqueue::Entry32::result;
    let _: fn(&cqueue::Entry32) -> u64 = cqueue::Entry32::user_data;
    let _: fn(&mut cqueue::Entry32, u64) = cqueue::Entry32::set_user_data;
    let _: fn(&cqueue::Entry32) -> u32 = cqueue::Entry32::flags;
    let _: fn(&cqueue::Entry32) -> &[u64; 2] = cqueue::Entry32::big_cqe;
    let _: fn(cqueue::Entry32) -> cqueue::Entry = Into::into;
}

#[test]
fn completion_flags_are_read_by_free_functions() {
    let _: fn(u32) -> bool = cqueue::buffer_more;
    assert!(cqueue::buffer_more(1 << 4));
    assert_eq!(cqueue::buffer_select(7 << 16 | 1), Some(7u16));
    assert_eq!(cqueue::buffer_select(7 << 16), None);
    assert!(cqueue::more(1 << 1) && cqueue::sock_nonempty(1 << 2) && cqueue::notif(1 << 3));
}

#[test]
fn types_are_made_as_programs_make_them() {
    const HOW: types::OpenHow = types::OpenHow::new().flags(2).mode(0o600).resolve(8);
    const TIME: types::Timespec = types::Timespec::new().sec(1).nsec(2);
    const WAITER: types::FutexWaitV = types::FutexWaitV::new().val(1).uaddr(2).flags(3);
    const NAPI: types::Napi = types::Napi::new()
        .set_busy_poll_timeout(5)
        .set_prefer_busy_poll(true)
        .set_tracking(types::NapiTracking::Dynamic);
    const SLOT: types::DestinationSlot = types::DestinationSlot::auto_target();
    const ANY: types::CancelBuilder = types::CancelBuilder::any();
    let types::Fd(fd) = types::Fd(3);
    let types::Fixed(slot) = types::Fixed(4);
    let _: (RawFd, u32) = (fd, slot);
    let copies = (HOW, TIME, WAITER, NAPI, SLOT, types::Fd(1), types::Fixed(1));
    assert!(!format!("{copies:?} {ANY:?}").is_empty());
    assert_eq!((NAPI.busy_poll_timeout(), NAPI.prefer_busy_poll()), (5, true));
    let _: types::Timespec = Duration::from_secs(1).into();
    let _ = (types::OpenHow::default(), types::Timespec::default(), types::FutexWaitV::default());
    assert_eq!(types::Napi::default().busy_poll_timeout(), 0);
    assert_eq!(types::DestinationSlot::try_from_slot_target(u32::MAX).err(), Some(u32::MAX));
    let _ = [types::NapiTracking::Static, types::NapiTracking::Inactive];
}

#[test]
fn cancel_builders_have_their_constructors() {
    let _: fn(u64) -> types::CancelBuilder = types::CancelBuilder::user_data;
    let _: types::CancelBuilder = types::CancelBuilder::fd(types::Fd(1));
    let _: types::CancelBuilder = types::CancelBuilder::fd(types::Fixed(1)).all();
}

#[test]
fn flag_types_have_their_names() {
    use types::{CloneBuffersFlags, FsyncFlags, TimeoutFlags};
    let timeout = TimeoutFlags::ABS
        | TimeoutFlags::BOOTTIME
        | TimeoutFlags::REALTIME
        | TimeoutFlags::LINK_TIMEOUT_UPDATE
        | TimeoutFlags::ETIME_SUCCESS
        | TimeoutFlags::MULTISHOT;
    assert_eq!(timeout.bits(), 0b111_1101u32);
    assert_eq!(FsyncFlags::DATASYNC.bits(), 1u32);
    assert_eq!((CloneBuffersFlags::SRC_REGISTERED | CloneBuffersFlags::DST_REPLACE).bits(), 3u32);
}

/// Arguments may be added one by one, each with a lifetime of its own.
fn submit_args<'a>(mask: &'a libc::sigset_t, time: &'a types::Timespec) -> types::SubmitArgs<'a, 'a> {
    types::SubmitArgs::new().sigmask(mask).min_wait_usec(5).timespec(time)
}

#[test]
fn submit_args_and_buffer_entries_have_their_methods() {
    const NONE: types::SubmitArgs<'static, 'static> = types::SubmitArgs::new();
    let _ = (NONE, types::SubmitArgs::default());
    let _: for<'a> fn(&'a libc::sigset_t, &'a types::Timespec) -> types::SubmitArgs<'a, 'a> = submit_args;
    // SAFETY: two integers and two halves of one are valid when zero.
    let mut entry: types::BufRingEntry = unsafe { std::mem::zeroed() };
    entry.set_addr(1);
    entry.set_len(2);
    entry.set_bid(3);
    let _: (u64, u32, u16) = (entry.addr(), entry.len(), entry.bid());
    // SAFETY: `entry` is an entry, and only the address is taken.
    let _: *const u16 = unsafe { types::BufRingEntry::tail(&entry) };
}

#[test]
fn received_messages_are_taken_apart() {
    // SAFETY: a header is integers and pointers, all valid when zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_namelen = 4;
    let mut buffer = [0u8; 24];
    buffer[0] = 4;
    buffer[8] = 3;
    buffer[16..].copy_from_slice(b"namepay.");
    let out: Result<types::RecvMsgOut<'_>, ()> = types::RecvMsgOut::parse(&buffer, &header);
    let out = out.unwrap();
    assert_eq!(
        (out.name_data(), out.control_data(), out.payload_data()),
        (&b"name"[..], &b""[..], &b"pay"[..])
    );
    let lengths: (u32, u32, u32) =
        (out.incoming_name_len(), out.incoming_control_len(), out.incoming_payload_len());
    assert_eq!(lengths, (4, 0, 3));
    let cut: [bool; 3] =
        [out.is_name_data_truncated(), out.is_control_data_truncated(), out.is_payload_truncated()];
    assert_eq!((cut, out.flags()), ([false; 3], 0u32));
    assert!(types::RecvMsgOut::parse(&buffer[..19], &header).is_err());
}

#[test]
fn names_of_the_c_interface_are_there() {
    let region = types::io_uring_region_desc { user_addr: 1, size: 2, ..Default::default() };
    assert_eq!((region.flags, region.id, region.mmap_offset, size_of_val(&region)), (0, 0, 0, 64));
    let area = types::io_uring_zcrx_area_reg { addr: 1, len: 2, rq_area_token: 3, ..Default::default() };
    assert_eq!(size_of_val(&area), 48);
    let ifq = types::io_uring_zcrx_ifq_reg { if_idx: 1, if_rxq: 2, rq_entries: 3, ..Default::default() };
    assert_eq!((ifq.area_ptr, ifq.region_ptr, size_of_val(&ifq)), (0, 0, 96));
    assert_eq!((size_of::<types::io_uring_zcrx_cqe>(), size_of::<types::io_uring_zcrx_rqe>()), (16, 16));
    let _: u32 = types::IORING_MEM_REGION_TYPE_USER;
    assert_eq!(
        (types::IORING_ZCRX_AREA_SHIFT, types::IORING_ZCRX_AREA_MASK),
        (48u32, 0xffff_0000_0000_0000u64)
    );
    assert_eq!((types::IOU_PBUF_RING_MMAP, types::IOU_PBUF_RING_INC), (1u32, 2u32));
    #[allow(deprecated, reason = "the name is still there for those who use it")]
    let _: types::RwFlags = 0u32;
    let _: (*mut types::statx, *const types::epoll_event) = (std::ptr::null_mut(), std::ptr::null());
}
