//! Every structure that the oracle has, against the oracle.

use core::mem::{offset_of, size_of};

use annulus_abi::*;
use linux_raw_sys::{general, io_uring as sys};

/// A structure: its name, our size, the oracle's, and its fields.
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    ours: usize,
    theirs: usize,
    pub(crate) fields: &'static [Field],
}

/// A field: its name, our offset, the oracle's.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    ours: usize,
    theirs: usize,
}

/// The flexible array as C has it: empty.
type Probe = annulus_abi::Probe<0>;

/// `Ours as theirs { field, ours = theirs }`: unions and fields that were reserved have another name there.
macro_rules! structures {
    ($module:ident: $( $Ours:ident as $Theirs:ident { $( $field:ident $(= $other:ident)? ),* } )*) => {
        &[$( Structure {
            name: stringify!($Ours),
            ours: size_of::<$Ours>(),
            theirs: size_of::<$module::$Theirs>(),
            fields: &[$( structures!(@field $Ours, $module::$Theirs, $field $($other)?) ),*],
        } ),*]
    };
    (@field $Ours:ty, $Theirs:ty, $field:ident) => { structures!(@field $Ours, $Theirs, $field $field) };
    (@field $Ours:ty, $Theirs:ty, $field:ident $other:ident) => {
        Field {
            name: stringify!($field),
            ours: offset_of!($Ours, $field),
            theirs: offset_of!($Theirs, $other),
        }
    };
}

/// By the oracle's module.
#[rustfmt::skip]
pub(crate) const STRUCTURES: [&[Structure]; 2] = [
    structures! { sys:
        Sqe as io_uring_sqe { opcode, flags, ioprio, fd, off = __bindgen_anon_1,
            addr = __bindgen_anon_2, len, op_flags = __bindgen_anon_3, user_data,
            buf_index = __bindgen_anon_4, personality, file_index = __bindgen_anon_5,
            addr3 = __bindgen_anon_6 }
        Cqe as io_uring_cqe { user_data, res, flags }
        GeteventsArg as io_uring_getevents_arg { sigmask, sigmask_sz, min_wait_usec, ts }
        RegWait as io_uring_reg_wait { ts, min_wait_usec, flags, sigmask, sigmask_sz, pad, pad2 }
        KernelTimespec as __kernel_timespec { tv_sec, tv_nsec }
        Params as io_uring_params { sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle,
            features, wq_fd, resv, sq_off, cq_off }
        SqRingOffsets as io_sqring_offsets { head, tail, ring_mask, ring_entries, flags, dropped,
            array, resv1, user_addr }
        CqRingOffsets as io_cqring_offsets { head, tail, ring_mask, ring_entries, overflow, cqes,
            flags, resv1, user_addr }
        AttrPi as io_uring_attr_pi { flags, app_tag, len, addr, seed, rsvd }
        IoTimespec as io_timespec { tv_sec, tv_nsec }
        RecvmsgOut as io_uring_recvmsg_out { namelen, controllen, payloadlen, flags }
        Buf as io_uring_buf { addr, len, bid, resv }
        BufRingHeader as io_uring_buf_ring__bindgen_ty_1__bindgen_ty_1 { resv1, resv2, resv3, tail }
        BufReg as io_uring_buf_reg { ring_addr, ring_entries, bgid, flags, min_left = resv }
        BufStatus as io_uring_buf_status { buf_group, head, resv }
        RegionDesc as io_uring_region_desc { user_addr, size, flags, id, mmap_offset, __resv }
        MemRegionReg as io_uring_mem_region_reg { region_uptr, flags, __resv }
        ZcrxRqe as io_uring_zcrx_rqe { off, len, __pad }
        ZcrxCqe as io_uring_zcrx_cqe { off, __pad }
        ZcrxOffsets as io_uring_zcrx_offsets { head, tail, rqes, __resv2, __resv }
        ZcrxAreaReg as io_uring_zcrx_area_reg { addr, len, rq_area_token, flags, dmabuf_fd, __resv2
            }
        ZcrxIfqReg as io_uring_zcrx_ifq_reg { if_idx, if_rxq, rq_entries, flags, area_ptr,
            region_ptr, offsets, zcrx_id, rx_buf_len = __resv2, event_desc = __resv }
        RsrcRegister as io_uring_rsrc_register { nr, flags, resv2, data, tags }
        RsrcUpdate as io_uring_rsrc_update { offset, resv, data }
        RsrcUpdate2 as io_uring_rsrc_update2 { offset, resv, data, tags, nr, resv2 }
        FilesUpdate as io_uring_files_update { offset, resv, fds }
        FileIndexRange as io_uring_file_index_range { off, len, resv }
        CloneBuffers as io_uring_clone_buffers { src_fd, flags, src_off, dst_off, nr, pad }
        ClockRegister as io_uring_clock_register { clockid, __resv }
        SyncCancelReg as io_uring_sync_cancel_reg { addr, fd, flags, timeout, opcode, pad, pad2 }
        Napi as io_uring_napi { busy_poll_to, prefer_busy_poll, opcode, pad, op_param, resv }
        Restriction as io_uring_restriction { opcode, register_op = __bindgen_anon_1, resv, resv2 }
        Probe as io_uring_probe { last_op, ops_len, resv, resv2, ops }
        ProbeOp as io_uring_probe_op { op, resv, flags, resv2 }
    },
    structures! { general:
        FutexWaitv as futex_waitv { val, uaddr, flags, __reserved }
    },
];

#[test]
fn every_structure_has_the_kernels_size_and_offsets() {
    for structure in STRUCTURES.into_iter().flatten() {
        assert_eq!(structure.ours, structure.theirs, "size of {}", structure.name);
        for field in structure.fields {
            assert_eq!(field.ours, field.theirs, "{}.{}", structure.name, field.name);
        }
    }
}
