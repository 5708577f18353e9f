//! Operations, as the `io-uring` crate has them: what `new` takes, and every setter, all of them const.

use std::os::fd::RawFd;

use crate::ring::opcode::*;
use crate::ring::squeue::{Entry, Entry128};
use crate::ring::types::{
    CancelBuilder, DestinationSlot, Fd, Fixed, FsyncFlags, FutexWaitV as Waiter, OpenHow, TimeoutFlags,
    Timespec, epoll_event, statx,
};

/// Checks, for each operation, its number, the types of its required arguments, of its setters (which are
/// const) and of what `build` returns.
macro_rules! operations {
    ($(
        $name:ident $Op:ident $code:literal ($($arg:expr),*) { $($setter:ident: $Value:ty),* } -> $Entry:ty;
    )*) => {
        $(
            // Not every operation has a setter.
            #[allow(unused_imports, reason = "for those without any")]
            mod $name {
                use super::*;
                $(
                    pub(crate) const fn $setter(operation: $Op, value: $Value) -> $Op {
                        operation.$setter(value)
                    }
                )*
            }
        )*

        #[test]
        fn every_operation_has_its_number_and_its_setters() {
            let mut count = 0;
            $({
                const CODE: u8 = $Op::CODE;
                assert_eq!(CODE, $code, stringify!($Op));
                let operation: $Op = $Op::new($($arg),*);
                $( let _: fn($Op, $Value) -> $Op = $name::$setter; )*
                let entry: $Entry = operation.build();
                assert_eq!(entry.get_opcode(), u32::from(CODE));
                count += 1;
            })*
            assert_eq!(count, 77, "74 builders, and three of them a second time with the other kind of file");
        }
    };
}

const FD: Fd = Fd(3);
const SLOT: Fixed = Fixed(4);

fn out<T>() -> *mut T {
    std::ptr::null_mut()
}

fn input<T>() -> *const T {
    std::ptr::null()
}

operations! {
    nop Nop 0 () {} -> Entry;
    readv Readv 1 (FD, input::<libc::iovec>(), 1u32) { ioprio: u16, offset: u64, rw_flags: i32, buf_group: u16 } -> Entry;
    writev Writev 2 (SLOT, input::<libc::iovec>(), 1u32) { ioprio: u16, offset: u64, rw_flags: i32, write_stream: u8 } -> Entry;
    fsync Fsync 3 (FD) { offset: u64, len: u32, flags: FsyncFlags } -> Entry;
    read_fixed ReadFixed 4 (FD, out::<u8>(), 1u32, 2u16) { ioprio: u16, offset: u64, rw_flags: i32 } -> Entry;
    write_fixed WriteFixed 5 (FD, input::<u8>(), 1u32, 2u16) { ioprio: u16, offset: u64, rw_flags: i32, write_stream: u8 } -> Entry;
    poll_add PollAdd 6 (FD, 1u32) { multi: bool } -> Entry;
    poll_add_fixed PollAdd 6 (SLOT, 1u32) { multi: bool } -> Entry;
    poll_remove PollRemove 7 (1u64) {} -> Entry;
    sync_file_range SyncFileRange 8 (FD, 1u32) { offset: u64, flags: u32 } -> Entry;
    sendmsg SendMsg 9 (FD, input::<libc::msghdr>()) { ioprio: u16, flags: u32 } -> Entry;
    recvmsg RecvMsg 10 (FD, out::<libc::msghdr>()) { ioprio: u16, flags: u32, buf_group: u16 } -> Entry;
    recvmsg_multi RecvMsgMulti 10 (FD, input::<libc::msghdr>(), 1u16) { ioprio: u16, flags: u32 } -> Entry;
    timeout Timeout 11 (input::<Timespec>()) { count: u32, flags: TimeoutFlags } -> Entry;
    timeout_remove TimeoutRemove 12 (1u64) {} -> Entry;
    timeout_update TimeoutUpdate 12 (1u64, input::<Timespec>()) { flags: TimeoutFlags } -> Entry;
    accept Accept 13 (FD, out::<libc::sockaddr>(), out::<libc::socklen_t>()) { file_index: Option<DestinationSlot>, flags: i32 } -> Entry;
    accept_multi AcceptMulti 13 (FD) { allocate_file_index: bool, flags: i32 } -> Entry;
    async_cancel AsyncCancel 14 (1u64) {} -> Entry;
    async_cancel2 AsyncCancel2 14 (CancelBuilder::any()) {} -> Entry;
    link_timeout LinkTimeout 15 (input::<Timespec>()) { flags: TimeoutFlags } -> Entry;
    connect Connect 16 (FD, input::<libc::sockaddr>(), 16 as libc::socklen_t) {} -> Entry;
    fallocate Fallocate 17 (FD, 1u64) { offset: u64, mode: i32 } -> Entry;
    openat OpenAt 18 (FD, input::<libc::c_char>()) { file_index: Option<DestinationSlot>, flags: i32, mode: libc::mode_t } -> Entry;
    close Close 19 (FD) {} -> Entry;
    close_fixed Close 19 (SLOT) {} -> Entry;
    files_update FilesUpdate 20 (input::<RawFd>(), 1u32) { offset: i32 } -> Entry;
    statx_of Statx 21 (FD, input::<libc::c_char>(), out::<statx>()) { flags: i32, mask: u32 } -> Entry;
    read Read 22 (FD, out::<u8>(), 1u32) { offset: u64, ioprio: u16, rw_flags: i32, buf_group: u16 } -> Entry;
    read_slot Read 22 (SLOT, out::<u8>(), 1u32) { offset: u64 } -> Entry;
    write Write 23 (FD, input::<u8>(), 1u32) { offset: u64, ioprio: u16, rw_flags: i32, write_stream: u8 } -> Entry;
    fadvise Fadvise 24 (FD, 1 as libc::off_t, 4i32) { offset: u64 } -> Entry;
    madvise Madvise 25 (input::<libc::c_void>(), 1 as libc::off_t, 4i32) {} -> Entry;
    send Send 26 (FD, input::<u8>(), 1u32) { ioprio: u16, flags: i32, dest_addr: *const libc::sockaddr, dest_addr_len: libc::socklen_t } -> Entry;
    send_bundle SendBundle 26 (FD, 1u16) { flags: i32, len: u32 } -> Entry;
    recv Recv 27 (FD, out::<u8>(), 1u32) { ioprio: u16, flags: i32, buf_group: u16 } -> Entry;
    recv_multi RecvMulti 27 (FD, 1u16) { flags: i32, len: u32 } -> Entry;
    recv_bundle RecvBundle 27 (FD, 1u16) { flags: i32 } -> Entry;
    recv_multi_bundle RecvMultiBundle 27 (FD, 1u16) { flags: i32 } -> Entry;
    openat2 OpenAt2 28 (FD, input::<libc::c_char>(), input::<OpenHow>()) { file_index: Option<DestinationSlot> } -> Entry;
    epoll_ctl EpollCtl 29 (SLOT, FD, 1i32, input::<epoll_event>()) {} -> Entry;
    splice Splice 30 (FD, -1i64, SLOT, -1i64, 1u32) { flags: u32 } -> Entry;
    provide_buffers ProvideBuffers 31 (out::<u8>(), 1i32, 1u16, 1u16, 1u16) {} -> Entry;
    remove_buffers RemoveBuffers 32 (1u16, 1u16) {} -> Entry;
    tee Tee 33 (FD, SLOT, 1u32) { flags: u32 } -> Entry;
    shutdown Shutdown 34 (FD, 1i32) {} -> Entry;
    renameat RenameAt 35 (FD, input::<libc::c_char>(), FD, input::<libc::c_char>()) { flags: u32 } -> Entry;
    unlinkat UnlinkAt 36 (FD, input::<libc::c_char>()) { flags: i32 } -> Entry;
    mkdirat MkDirAt 37 (FD, input::<libc::c_char>()) { mode: libc::mode_t } -> Entry;
    symlinkat SymlinkAt 38 (FD, input::<libc::c_char>(), input::<libc::c_char>()) {} -> Entry;
    linkat LinkAt 39 (FD, input::<libc::c_char>(), FD, input::<libc::c_char>()) { flags: i32 } -> Entry;
    msg_ring_data MsgRingData 40 (FD, 1i32, 1u64, None::<u32>) { opcode_flags: u32 } -> Entry;
    msg_ring_send_fd MsgRingSendFd 40 (FD, SLOT, DestinationSlot::auto_target(), 1u64) { opcode_flags: u32 } -> Entry;
    fsetxattr FSetXattr 41 (FD, input::<libc::c_char>(), input::<libc::c_void>(), 1u32) { flags: i32 } -> Entry;
    setxattr SetXattr 42 (input::<libc::c_char>(), input::<libc::c_void>(), input::<libc::c_char>(), 1u32) { flags: i32 } -> Entry;
    fgetxattr FGetXattr 43 (FD, input::<libc::c_char>(), out::<libc::c_void>(), 1u32) {} -> Entry;
    getxattr GetXattr 44 (input::<libc::c_char>(), out::<libc::c_void>(), input::<libc::c_char>(), 1u32) {} -> Entry;
    socket Socket 45 (1i32, 1i32, 0i32) { file_index: Option<DestinationSlot>, flags: i32 } -> Entry;
    setsockopt SetSockOpt 46 (FD, 1u32, 1u32, input::<libc::c_void>(), 4u32) { flags: u32 } -> Entry;
    uring_cmd16 UringCmd16 46 (FD, 1u32) { buf_index: Option<u16>, cmd: [u8; 16], addr: Option<u64> } -> Entry;
    uring_cmd80 UringCmd80 46 (FD, 1u32) { buf_index: Option<u16>, cmd: [u8; 80], addr: Option<u64> } -> Entry128;
    send_zc SendZc 47 (FD, input::<u8>(), 1u32) { buf_index: Option<u16>, dest_addr: *const libc::sockaddr, dest_addr_len: libc::socklen_t, flags: i32, zc_flags: u16 } -> Entry;
    sendmsg_zc SendMsgZc 48 (FD, input::<libc::msghdr>()) { ioprio: u16, flags: u32 } -> Entry;
    read_multi ReadMulti 49 (FD, 1u32, 1u16) { offset: u64 } -> Entry;
    waitid WaitId 50 (libc::P_ALL, 0 as libc::id_t, libc::WEXITED) { infop: *const libc::siginfo_t, flags: libc::c_uint } -> Entry;
    futex_wait FutexWait 51 (input::<u32>(), 1u64, 1u64, 2u32) { flags: u32 } -> Entry;
    futex_wake FutexWake 52 (input::<u32>(), 1u64, 1u64, 2u32) { flags: u32 } -> Entry;
    futex_waitv FutexWaitV 53 (input::<Waiter>(), 1u32) { flags: u32 } -> Entry;
    fixed_fd_install FixedFdInstall 54 (SLOT, 0u32) {} -> Entry;
    ftruncate Ftruncate 55 (FD, 1u64) {} -> Entry;
    bind Bind 56 (FD, input::<libc::sockaddr>(), 16 as libc::socklen_t) {} -> Entry;
    listen Listen 57 (FD, 1i32) {} -> Entry;
    recv_zc RecvZc 58 (FD, 1u32) { ifq: u32, ioprio: u16 } -> Entry;
    epoll_wait EpollWait 59 (FD, out::<epoll_event>(), 1u32) { flags: u32 } -> Entry;
    readv_fixed ReadvFixed 60 (FD, input::<libc::iovec>(), 1u32, 1u16) { ioprio: u16, offset: u64, rw_flags: i32 } -> Entry;
    writev_fixed WritevFixed 61 (FD, input::<libc::iovec>(), 1u32, 1u16) { ioprio: u16, offset: u64, rw_flags: i32, write_stream: u8 } -> Entry;
    pipe Pipe 62 (out::<RawFd>()) { flags: u32, file_index: Option<DestinationSlot> } -> Entry;
}
